"""A real node for tests (anvil), and a proxy before it that limits, fails and lies as providers do."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Callable, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, Self

import httpx
import pytest
from eth_abi import encode
from eth_utils import keccak

from index.library import Library
from index.values import SourceRef
from tests.conftest import HANG

ROOT = Path(__file__).parents[2]
BYTECODE = (Path(__file__).with_name("files") / "notes.hex").read_text("utf-8").strip()
SELECTORS = {
    text: keccak(text=text)[:4] for text in ("transfer(address,uint256,uint256)", "note(bytes32,string)")
}
SYMBOL = encode(["string"], ["NOTE"])


class Anvil:
    """An anvil of one's own, with helpers for the contract of files/notes.sol. Skips where there is none.

    Blocks are mined when asked; times are fixed, so that a chain of the same transactions is the same chain.
    """

    def __init__(self, *arguments: str) -> None:
        here = ROOT / ".npm-tools" / "node_modules" / ".bin" / "anvil"
        program = str(here) if here.exists() else shutil.which("anvil")
        if program is None:
            pytest.skip("no anvil: npm install @foundry-rs/anvil@1.7.1 in .npm-tools, or put it on PATH")
        command = [program, "--host", "127.0.0.1", "--port", "0", "--no-mining", *arguments]
        self._process = subprocess.Popen(
            [*command, "--timestamp", "1700000000"],
            stdout=subprocess.PIPE,
            encoding="utf-8",
            start_new_session=True,
        )
        assert self._process.stdout is not None
        found = next(m for line in self._process.stdout if (m := re.search(r"Listening on ([\d.:]+)", line)))
        Thread(target=self._process.stdout.read, daemon=True).start()
        self.url = f"http://{found[1]}"
        self._client = httpx.Client(trust_env=False, timeout=HANG)
        self.accounts: list[str] = self.rpc("eth_accounts")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()
        os.killpg(self._process.pid, signal.SIGTERM)
        self._process.wait(HANG)
        if self._process.stdout:
            self._process.stdout.close()

    def rpc(self, method: str, *parameters: Any) -> Any:
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(parameters)}
        answer = self._client.post(self.url, json=body).json()
        assert "error" not in answer, answer
        return answer["result"]

    @property
    def head(self) -> int:
        return int(self.rpc("eth_blockNumber"), 16)

    def hash_of(self, number: int) -> str:
        block_hash: str = self.rpc("eth_getBlockByNumber", hex(number), False)["hash"]
        return block_hash

    def mine(self, blocks: int = 1) -> None:
        self.rpc("anvil_mine", hex(blocks))

    def send(self, to: str | None, data: bytes) -> str:
        """Sends a transaction from the first account; it waits for a block."""
        sent: str = self.rpc("eth_sendTransaction", transaction(self.accounts[0], to, data))
        return sent

    def deploy(self, answer: bytes = SYMBOL, decimals: int = 6) -> str:
        """Deploys a token whose symbol() answers with these bytes; mines; returns its address, lower case."""
        made = bytes.fromhex(BYTECODE) + encode(["bytes", "uint8"], [answer, decimals])
        sent = self.send(None, made)
        self.mine()
        address: str = self.rpc("eth_getTransactionReceipt", sent)["contractAddress"]
        return address.lower()

    def transfer(self, token: str, value: int, count: int = 1) -> str:
        return self.send(token, transfers(self.accounts[1], value, count))

    def note(self, token: str, text: str) -> str:
        return self.send(
            token, SELECTORS["note(bytes32,string)"] + encode(["bytes32", "string"], [b"", text])
        )

    def reorg(self, depth: int, calls: Sequence[tuple[str, bytes, int]] = ()) -> None:
        """Replaces the last blocks. calls: contract, data, and which of the new blocks a call goes into."""
        pairs = [[transaction(self.accounts[2], to, data), at] for to, data, at in calls]
        self.rpc("anvil_reorg", depth, pairs)


def transaction(sender: str, to: str | None, data: bytes) -> dict[str, str]:
    sent = {"from": sender, "data": "0x" + data.hex(), "gas": hex(3_000_000)}
    return sent if to is None else {**sent, "to": to}


def transfers(to: str, value: int, count: int = 1) -> bytes:
    arguments = encode(["address", "uint256", "uint256"], [to, value, count])
    return SELECTORS["transfer(address,uint256,uint256)"] + arguments


NAMES = {
    "hash": "hash",
    "number": "number",
    "parentHash": "parent_hash",
    "miner": "miner",
    "gasLimit": "gas_limit",
    "gasUsed": "gas_used",
    "baseFeePerGas": "base_fee_per_gas",
    "size": "size",
    "timestamp": "timestamp",
}


def exported(anvil: Anvil, folder: Path, address: str) -> list[Path]:
    """Blocks and logs as ethereum-etl writes them: snake case, decimal numbers, topics in a list."""
    numbers = ("number", "gasLimit", "gasUsed", "baseFeePerGas", "size", "timestamp")
    logs = anvil.rpc("eth_getLogs", {"fromBlock": "0x0", "toBlock": "latest", "address": address})
    blocks = [anvil.rpc("eth_getBlockByNumber", hex(number), False) for number in range(anvil.head + 1)]
    lines = {
        "blocks.jsonl": [
            {
                **{to: int(block[of], 16) if of in numbers else block[of] for of, to in NAMES.items()},
                "transaction_count": len(block["transactions"]),
            }
            for block in blocks
        ],
        "logs.jsonl": [
            {
                "log_index": int(log["logIndex"], 16),
                "transaction_hash": log["transactionHash"],
                "transaction_index": int(log["transactionIndex"], 16),
                "block_hash": log["blockHash"],
                "block_number": int(log["blockNumber"], 16),
                "address": log["address"],
                "data": log["data"],
                "topics": log["topics"],
            }
            for log in logs
        ],
    }
    files = []
    for name, records in lines.items():
        files.append(folder / name)
        files[-1].write_text("".join(json.dumps(record) + "\n" for record in records))
    return files


def cited(folder: Path, text: str) -> SourceRef:
    library = Library(folder)
    for document in library.documents():
        for passage in library.passages(document.uri):
            if text in passage.text:
                return SourceRef.of(document, passage)
    raise AssertionError(text)


Answer = tuple[int, dict[str, str], Any]
"""Status, headers, and body: bytes, or what becomes JSON."""

Rule = Callable[["Proxy", Any], Answer | None]
"""What to answer to a request (JSON) in place of the node; None lets it through."""


class Proxy:
    """A JSON-RPC proxy on loopback. requests: all that came, in order; `send` asks the node behind."""

    def __init__(self, upstream: str, rule: Rule) -> None:
        self.requests: list[Any] = []
        self._upstream = upstream
        self._client = httpx.Client(trust_env=False, timeout=HANG)
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                proxy.requests.append(asked)
                status, headers, body = rule(proxy, asked) or (200, {}, proxy.send(asked))
                sent = body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response(status)
                for name, value in {"Content-Length": str(len(sent)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(sent)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = False
        self.url = f"http://127.0.0.1:{self._server.server_port}/v2/a-key-that-nobody-may-see-0123456789"

    def send(self, asked: Any) -> Any:
        return self._client.post(self._upstream, json=asked).json()

    def __enter__(self) -> Self:
        Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._client.close()

    def methods(self) -> list[str]:
        """The methods asked for, those in batches one by one."""
        each = (asked if isinstance(asked, list) else [asked] for asked in self.requests)
        return [one["method"] for some in each for one in some]


def refusing(code: int, message: str, status: int = 200) -> Callable[[Any], Answer]:
    """An answer that refuses a request."""
    return lambda asked: (
        status,
        {},
        {"jsonrpc": "2.0", "id": asked["id"], "error": {"code": code, "message": message}},
    )


def capped(refuse: Callable[[Any], Answer], blocks: int = 10**9, results: int = 10**9) -> Rule:
    """Refuses `eth_getLogs` over more blocks, or with more results, than a provider takes."""

    def rule(proxy: Proxy, asked: Any) -> Answer | None:
        if isinstance(asked, list) or asked["method"] != "eth_getLogs" or "blockHash" in asked["params"][0]:
            return None
        low, high = (int(asked["params"][0][end], 16) for end in ("fromBlock", "toBlock"))
        if high - low + 1 > blocks or len(proxy.send(asked)["result"]) > results:
            return refuse(asked)
        return None

    return rule


def lying(change: Callable[[Any], Any]) -> Rule:
    """Changes the logs that the node gives to a question for a range."""

    def rule(proxy: Proxy, asked: Any) -> Any:
        if isinstance(asked, list) or asked["method"] != "eth_getLogs":
            return None
        answer = proxy.send(asked)
        answer["result"] = change(json.loads(json.dumps(answer["result"])))
        return 200, {}, answer

    return rule
