"""The token gate: a wallet's balance or stake opens it. It only reads: nothing is signed or sent here.

A person proves a wallet by signing a message (EIP-4361) with a nonce that was made for them and runs out:
with a key (EIP-191), or as a contract would (EIP-1271). Then a contract is asked for the wallet's balance.
"""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from agent.surfaces.bots.access import Quota
from agent.surfaces.bots.messages import Block, Span, Text, plain
from agent.surfaces.bots.store import Store
from index.errors import SettingsError, SourceError, Unreachable
from index.settings import Settings

_NONCE = timedelta(minutes=10)
"""How long a nonce may be signed."""

_FRESH = timedelta(hours=1)
"""How long a balance is believed; where the node does not answer, a day."""

_STALE = timedelta(days=1)

_VALID = bytes.fromhex("1626ba7e")
"""What a contract answers for a signature that is its own (EIP-1271)."""

_TIMEOUT = 15


@dataclass(frozen=True, slots=True)
class Tier:
    """What a balance opens. least: in whole tokens."""

    name: str
    least: Decimal
    quota: Quota


class Gate:
    """The gate of these settings. Raises SettingsError where they lack the contract or the tiers."""

    invitation = "Or prove a wallet that holds enough: write /wallet ADDRESS to it in a private chat."

    def __init__(self, store: Store, settings: Settings) -> None:
        if not (settings.gate_rpc and settings.gate_contract and settings.gate_tiers):
            raise SettingsError(
                "a token gate needs `gate_rpc`, `gate_contract` and `gate_tiers`; set them all or none"
            )
        self._store = store
        self._url = settings.gate_rpc.get_secret_value()
        self._contract = settings.gate_contract
        self._call = settings.gate_call
        self._unit = Decimal(10) ** settings.gate_decimals
        tiers = [Tier(n, Decimal(str(t[0])), Quota(*t[1:])) for n, t in settings.gate_tiers.items()]
        self.tiers = sorted(tiers, key=lambda tier: tier.least, reverse=True)

    async def talk(self, person: str, rest: str) -> Text:
        """What `/wallet` answers: with an address, what to sign; with a signature, the tier that it opens.

        Raises SettingsError for anything else, and for a signature that proves nothing.
        """
        words = rest.split()
        if len(words) == 1 and len(words[0]) == 42:
            message = await self._message(person, _address(words[0]))
            return (
                *plain("Sign this with the wallet, within ten minutes, and send /wallet SIGNATURE:"),
                Block((Span(message, "code"),), "code"),
            )
        if len(words) == 1 and words[0].startswith("0x") and len(words[0]) > 42:
            await self._prove(person, words[0])
            tier = await self.tier(person)
            if tier is None:
                return plain(f"Proved, but it holds less than {self.tiers[-1].least:f} tokens, the least.")
            return plain(f"Proved: tier {tier.name}, {tier.quota.questions:,} questions a day.")
        raise SettingsError("Write /wallet ADDRESS, an address of 0x and 40 digits, to prove a wallet.")

    async def tier(self, person: str) -> Tier | None:
        """The tier of a person's wallet; None where there is no wallet or it holds too little."""
        found = self._store.rows("select address, balance, seen_at from wallets where person = ?", person)
        if not found or not found[0][0] or not found[0][2]:
            return None
        address, known, seen_at = found[0]
        balance, age = Decimal(known), datetime.now(UTC) - datetime.fromisoformat(seen_at)
        if age > _FRESH:
            try:
                balance = await self._balance(address)
            except SourceError:
                if age > _STALE:
                    return None
            else:
                self._seen(person, address, balance)
        return next((tier for tier in self.tiers if balance >= tier.least), None)

    async def _message(self, person: str, address: str) -> str:
        """The message to sign (EIP-4361), whose nonce is noted for this person."""
        nonce, now = secrets.token_hex(16), datetime.now(UTC).replace(microsecond=0)
        message = self._text(person, address, await self._chain(), f"{nonce} {now:%Y-%m-%dT%H:%M:%SZ}")
        self._store.change(
            (
                "insert into wallets (person, nonce, expires_at) values (?, ?, ?) on conflict (person)"
                " do update set nonce = excluded.nonce, expires_at = excluded.expires_at",
                (person, f"{address} {nonce} {now:%Y-%m-%dT%H:%M:%SZ}", (now + _NONCE).isoformat()),
            )
        )
        return message

    def _text(self, person: str, address: str, chain: int, drawn: str) -> str:
        nonce, issued = drawn.split()
        expires = datetime.fromisoformat(issued) + _NONCE
        return (
            f"chaincite wants you to sign in with your Ethereum account:\n{address}\n\n"
            f"Shows {person} that this wallet is yours. It moves nothing and costs nothing.\n\n"
            f"URI: urn:chaincite:{person}\nVersion: 1\nChain ID: {chain}\nNonce: {nonce}\n"
            f"Issued At: {issued}\nExpiration Time: {expires:%Y-%m-%dT%H:%M:%SZ}"
        )

    async def _prove(self, person: str, signature: str) -> None:
        """Notes the wallet that signed this person's message. Raises SettingsError where it did not."""
        found = self._store.rows("select nonce, expires_at from wallets where person = ?", person)
        if not found or not found[0][0] or datetime.fromisoformat(found[0][1]) < datetime.now(UTC):
            raise SettingsError("There is no message to sign, or it ran out; write /wallet ADDRESS first.")
        self._store.change(("update wallets set nonce = null where person = ?", (person,)))
        address, _, drawn = found[0][0].partition(" ")
        message = self._text(person, address, await self._chain(), drawn)
        try:
            signed = bytes.fromhex(signature.removeprefix("0x"))
        except ValueError:
            signed = b""
        if not (_recovers(message, signed, address) or await self._contract_agrees(message, signed, address)):
            raise SettingsError("This wallet did not sign the message; write /wallet ADDRESS to begin again.")
        held = self._store.rows(
            "select person from wallets where address = ? and seen_at is not null and person <> ?",
            address,
            person,
        )
        if held:
            raise SettingsError("Another account proved this wallet already.")
        self._seen(person, address, await self._balance(address))

    def _seen(self, person: str, address: str, balance: Decimal) -> None:
        self._store.change(
            (
                "update wallets set address = ?, balance = ?, seen_at = ? where person = ?",
                (address, f"{balance:f}", datetime.now(UTC).isoformat(), person),
            )
        )

    async def _balance(self, address: str) -> Decimal:
        """The balance in whole tokens. Raises SourceError."""
        from eth_abi.abi import encode
        from eth_utils.abi import function_signature_to_4byte_selector

        data = function_signature_to_4byte_selector(self._call) + encode(["address"], [address])
        answer = await self._eth_call(self._contract, data)
        if len(answer) < 32:
            raise SourceError(f"{self._contract} has no function {self._call}; see `gate_call`")
        return Decimal(int.from_bytes(answer[:32])) / self._unit

    async def _contract_agrees(self, message: str, signed: bytes, address: str) -> bool:
        """Whether the contract at an address calls the signature its own (EIP-1271)."""
        from eth_abi.abi import encode
        from eth_account.messages import _hash_eip191_message, encode_defunct

        digest = _hash_eip191_message(encode_defunct(text=message))
        data = _VALID + encode(["bytes32", "bytes"], [digest, signed])
        answer = await self._eth_call(address, data)
        return len(answer) == 32 and hmac.compare_digest(answer, _VALID.ljust(32, b"\0"))

    async def _chain(self) -> int:
        return int(str(await self._asked("eth_chainId")), 16)

    async def _eth_call(self, to: str, data: bytes) -> bytes:
        """What a contract answers; nothing where it reverts. Raises Unreachable."""
        call = {"to": to, "data": "0x" + data.hex(), "gas": hex(200_000)}
        answer = await self._asked("eth_call", call, "latest")
        return bytes.fromhex(answer.removeprefix("0x")) if answer else b""

    async def _asked(self, method: str, *params: object) -> str:
        """What the node answers; empty where it answers with an error, as for a call that reverts."""
        import httpx

        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        try:
            async with httpx.AsyncClient(timeout=_TIMEOUT) as client:
                answer = (await client.post(self._url, json=body)).raise_for_status().json()
            result = answer["result"] if "error" not in answer else ""
            bytes.fromhex(result.removeprefix("0x").rjust(2, "0")) if method == "eth_call" else int(
                result, 16
            )
        except (
            httpx.HTTPError,
            httpx.InvalidURL,
            ValueError,
            LookupError,
            TypeError,
            AttributeError,
        ) as error:
            raise Unreachable(
                f"the node of the token gate does not answer as a node does ({type(error).__name__}); "
                "see `gate_rpc`"
            ) from error
        return str(result)


def _address(text: str) -> str:
    from eth_utils.address import is_address, to_checksum_address

    if not is_address(text):
        raise SettingsError(
            f"{text!r} is no address: 0x and 40 hexadecimal digits, with a checksum that fits"
        )
    return str(to_checksum_address(text))


def _recovers(message: str, signed: bytes, address: str) -> bool:
    """Whether the key of an address signed the message (EIP-191)."""
    from eth_account import Account
    from eth_account.messages import encode_defunct
    from eth_keys.exceptions import BadSignature
    from eth_utils.exceptions import ValidationError

    if len(signed) != 65:
        return False
    try:
        found = Account.recover_message(encode_defunct(text=message), signature=signed)
    except (BadSignature, ValidationError, ValueError):
        return False
    return hmac.compare_digest(str(found).lower(), address.lower())
