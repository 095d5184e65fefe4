"""The token gate: a wallet that is proved opens its tier, and nothing else does."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from eth_abi.abi import decode, encode
from eth_account import Account
from eth_account.messages import defunct_hash_message, encode_defunct
from eth_utils.abi import function_signature_to_4byte_selector

from agent.surfaces.bots.gate import Gate
from agent.surfaces.bots.messages import reading
from agent.surfaces.bots.store import Store
from index.errors import SettingsError, Unreachable
from index.settings import Settings
from tests.agent.bots.conftest import Bot

TOKEN = "0x" + "11" * 20
SAFE = "0x" + "22" * 20
ONE = 10**18


class Node:
    """A node over loopback. balances: by address in lower case; safes: what contracts sign."""

    def __init__(self) -> None:
        self.balances: dict[str, int] = {}
        self.safes: dict[str, tuple[bytes, bytes]] = {}
        self.calls: list[str] = []
        self.broken = False

    def __enter__(self) -> Node:
        node = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                answer = {
                    "jsonrpc": "2.0",
                    "id": asked["id"],
                    **node.answer(asked["method"], asked["params"]),
                }
                body = b"<html>" if node.broken else json.dumps(answer).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                """Says nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1/a-key-of-the-node"
        threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        ).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, method: str, params: list[Any]) -> dict[str, Any]:
        self.calls.append(method)
        if method == "eth_chainId":
            return {"result": "0x1"}
        assert method == "eth_call", "the gate only reads"
        to, data = params[0]["to"].lower(), bytes.fromhex(params[0]["data"][2:])
        if to == TOKEN and data[:4] == function_signature_to_4byte_selector("balanceOf(address)"):
            (holder,) = decode(["address"], data[4:])
            return {"result": "0x" + encode(["uint256"], [self.balances.get(holder.lower(), 0)]).hex()}
        if to in self.safes and data[:4] == function_signature_to_4byte_selector(
            "isValidSignature(bytes32,bytes)"
        ):
            agrees = decode(["bytes32", "bytes"], data[4:]) == self.safes[to]
            return {
                "result": "0x" + (bytes.fromhex("1626ba7e") if agrees else b"\xff" * 4).ljust(32, b"\0").hex()
            }
        if to in self.safes:
            return {"error": {"code": 3, "message": "execution reverted"}}
        return {"result": "0x"}


@pytest.fixture
def node() -> Iterator[Node]:
    with Node() as served:
        yield served


def gated(folder: Path, node: Node) -> Settings:
    return Settings.load(
        library=folder,
        gate_rpc=node.url,
        gate_contract=TOKEN,
        gate_tiers={"holder": (10, 5, 0, 0), "whale": (1000, 50, 0, 0)},
    )


@pytest.fixture
def gate(folder: Path, node: Node) -> Gate:
    return Gate(Store(folder), gated(folder, node))


def said(gate: Gate, rest: str, person: str = "telegram:user:7") -> str:
    return reading(asyncio.run(gate.talk(person, rest)))


def message_for(gate: Gate, address: str, person: str = "telegram:user:7") -> str:
    return said(gate, address, person).partition("\n\n")[2]


def signature(message: str, account: Any) -> str:
    return "0x" + account.sign_message(encode_defunct(text=message)).signature.hex().removeprefix("0x")


def tier(gate: Gate, person: str = "telegram:user:7") -> str | None:
    found = asyncio.run(gate.tier(person))
    return found.name if found else None


@pytest.mark.parametrize(
    ("tokens", "named"), [(0, None), (9.99, None), (10, "holder"), (999, "holder"), (1000, "whale")]
)
def test_a_wallet_opens_the_tier_that_it_holds_enough_for(
    gate: Gate, node: Node, tokens: float, named: str | None
) -> None:
    wallet = Account.create()
    node.balances[wallet.address.lower()] = int(tokens * ONE)
    answer = said(gate, signature(message_for(gate, wallet.address), wallet))
    assert (f"tier {named}" in answer) if named else ("holds less than 10" in answer)
    assert tier(gate) == named
    assert tier(gate, "telegram:user:8") is None
    assert set(node.calls) <= {"eth_chainId", "eth_call"}


def test_the_message_says_whom_it_binds_what_it_is_for_and_when_it_ends(gate: Gate) -> None:
    wallet = Account.create()
    message = message_for(gate, wallet.address.lower())
    assert wallet.address in message
    assert "telegram:user:7" in message
    for line in (
        "Version: 1",
        "Chain ID: 1",
        "Nonce: ",
        "Issued At: ",
        "Expiration Time: ",
        "It moves nothing",
    ):
        assert line in message
    assert message != message_for(gate, wallet.address)


def test_only_the_wallet_itself_can_prove_it(gate: Gate, node: Node) -> None:
    wallet, other = Account.create(), Account.create()
    node.balances[wallet.address.lower()] = 10**6 * ONE
    for signed in (
        lambda text: signature(text, other),
        lambda text: signature(text + " ", wallet),
        lambda _text: "0x" + "00" * 65,
        lambda _text: "0x" + "ff" * 65,
        lambda text: signature(text, wallet)[:-2],
        lambda _text: "0x" + "zz" * 65,
    ):
        text = message_for(gate, wallet.address)
        with pytest.raises(SettingsError, match="did not sign"):
            said(gate, signed(text))
    assert tier(gate) is None


def test_a_signature_serves_once_for_one_person_and_not_for_ever(gate: Gate, node: Node) -> None:
    wallet = Account.create()
    node.balances[wallet.address.lower()] = 10 * ONE
    signed = signature(message_for(gate, wallet.address), wallet)
    with pytest.raises(SettingsError, match="no message to sign"):
        said(gate, signed, "telegram:user:8")
    message_for(gate, wallet.address, "telegram:user:8")
    with pytest.raises(SettingsError, match="did not sign"):
        said(gate, signed, "telegram:user:8")
    assert "tier holder" in said(gate, signed)
    with pytest.raises(SettingsError, match="no message to sign"):
        said(gate, signed)
    late = signature(message_for(gate, wallet.address, "telegram:user:9"), wallet)
    gate._store.change(
        ("update wallets set expires_at = '2001-01-01T00:00:00+00:00' where person like '%9'", ())
    )
    with pytest.raises(SettingsError, match="ran out"):
        said(gate, late, "telegram:user:9")


def test_a_wallet_serves_one_account(gate: Gate, node: Node) -> None:
    wallet = Account.create()
    node.balances[wallet.address.lower()] = 10 * ONE
    said(gate, signature(message_for(gate, wallet.address), wallet))
    with pytest.raises(SettingsError, match="Another account"):
        said(gate, signature(message_for(gate, wallet.address, "discord:user:1"), wallet), "discord:user:1")


def test_a_contract_proves_itself_as_contracts_do(gate: Gate, node: Node) -> None:
    node.balances[SAFE] = 2000 * ONE
    text = message_for(gate, SAFE)
    blob = b"signatures of the owners" * 10
    node.safes[SAFE] = (bytes(defunct_hash_message(text=text)), blob)
    assert "tier whale" in said(gate, "0x" + blob.hex())
    message_for(gate, SAFE)
    with pytest.raises(SettingsError, match="did not sign"):
        said(gate, "0x" + blob.hex())


def test_a_balance_is_asked_for_again_and_believed_for_a_day_at_most(gate: Gate, node: Node) -> None:
    wallet = Account.create()
    node.balances[wallet.address.lower()] = 10 * ONE
    said(gate, signature(message_for(gate, wallet.address), wallet))
    node.balances.clear()
    assert tier(gate) == "holder"
    aged(gate, hours=2)
    assert tier(gate) is None
    node.balances[wallet.address.lower()] = 10 * ONE
    aged(gate, hours=2)
    assert tier(gate) == "holder"
    node.broken = True
    aged(gate, hours=2)
    assert tier(gate) == "holder"
    aged(gate, hours=25)
    assert tier(gate) is None


def aged(gate: Gate, hours: int) -> None:
    from datetime import UTC, datetime, timedelta

    seen = (datetime.now(UTC) - timedelta(hours=hours)).isoformat()
    gate._store.change(("update wallets set seen_at = ?", (seen,)))


def test_a_node_that_is_none_is_told_without_its_key(gate: Gate, node: Node) -> None:
    node.broken = True
    with pytest.raises(Unreachable, match="gate_rpc") as told:
        said(gate, Account.create().address)
    assert "a-key-of-the-node" not in str(told.value)


@pytest.mark.parametrize("rest", ["", "0x12", "bob", "0x" + "g" * 40, "0x" + "11" * 20 + " 0x12"])
def test_what_is_neither_address_nor_signature_is_told(gate: Gate, rest: str) -> None:
    with pytest.raises(SettingsError, match="0x and 40"):
        said(gate, rest)


def test_half_a_gate_is_told(folder: Path) -> None:
    with pytest.raises(SettingsError, match="set them all or none"):
        Gate(Store(folder), Settings.load(library=folder, gate_rpc="http://127.0.0.1:1"))


def test_the_bot_lets_holders_in_with_their_quota(bot_with: Callable[..., Bot], node: Node) -> None:
    bot = bot_with(bot_allow=())
    bot.surface.gate = Gate(bot.store, gated(bot.settings.library, node))
    wallet = Account.create()
    node.balances[wallet.address.lower()] = 10 * ONE
    assert "Or prove a wallet" in bot.run("/help")[0]
    text = bot.run(f"/wallet {wallet.address}")[0].partition("\n\n")[2]
    assert "Ask its operator" in bot.run(f"/wallet {wallet.address}", chat=-100)[0]
    assert "tier holder" in bot.run(f"/wallet {signature(text, wallet)}")[0]
    assert "questions 0 of 5" in bot.run("/usage")[0]
    assert "Ask its operator" in bot.run("/help", user=8)[0]
