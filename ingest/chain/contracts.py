"""What contracts say of themselves over JSON-RPC: tokens their symbol and decimals, proxies what they run.

Whatever a contract answers is untrusted text: it is decoded leniently here, and made safe by `tokens`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from index.errors import SourceError
from ingest.chain.node import Node

_SYMBOL, _DECIMALS, _NAME = "0x95d89b41", "0x313ce567", "0x06fdde03"
_IMPLEMENTATION_OF_BEACON = "0x5c60da1b"
_SLOTS = {
    "implementation": "0x360894a13ba1a3210667c828492db98dca3e2076cc3735a920a3ca505d382bbc",
    "admin": "0xb53127684a568b3173ae13b9f8a6016e243e63b6e8ee1178d6a717850b5d6103",
    "beacon": "0xa3f0ad74e5423aebfd80d3ef4346578335a9a72aeaee59ff6cb3582b35133d50",
}
"""Where EIP-1967 says that a proxy keeps addresses."""

MOST_DECIMALS = 77


@dataclass(frozen=True, slots=True)
class Proxy:
    """A contract that runs another's code (EIP-1967), as it was at a block."""

    address: str
    implementation: str
    beacon: str | None
    admin: str | None
    block_number: int

    @property
    def text(self) -> str:
        """What is to be said of it, in a line."""
        beacon = f" by its beacon {self.beacon}" if self.beacon else ""
        admin = f"; its admin is {self.admin}" if self.admin else ""
        return (
            f"Contract {self.address} is a proxy (EIP-1967): at block {self.block_number} its implementation"
            f" is {self.implementation}{beacon}{admin}.\n"
        )


def checked_address(text: str) -> str:
    """An address in lower case. Raises SourceError for what is none, or has a wrong checksum (EIP-55)."""
    from eth_utils.address import is_hex_address, to_checksum_address

    if not text.startswith("0x") or not is_hex_address(text):
        raise SourceError(f"{text!r} is no address; write 0x and 40 hex digits")
    right = to_checksum_address(text)
    if text[2:] not in (text[2:].lower(), text[2:].upper()) and text != right:
        raise SourceError(
            f"{text} has a wrong checksum (EIP-55); its right spelling is {right}, if the address is meant"
        )
    return text.lower()


def describe_tokens(node: Node, addresses: Sequence[str]) -> list[dict[str, object]]:
    """Symbol, decimals and name of contracts; None for what a contract does not say."""
    asked = [_call(address, what) for address in addresses for what in (_SYMBOL, _DECIMALS, _NAME)]
    answers = node.calls(asked)
    return [
        {
            "chain": node.chain,
            "address": address,
            "symbol": _text(answers[3 * at]),
            "decimals": _small(answers[3 * at + 1]),
            "name": _text(answers[3 * at + 2]),
        }
        for at, address in enumerate(addresses)
    ]


def find_proxies(node: Node, addresses: Iterable[str], block_number: int) -> list[Proxy]:
    """Those of the contracts that are proxies at a block."""
    found = []
    for address in addresses:
        slots = node.calls(
            [("eth_getStorageAt", (address, slot, hex(block_number))) for slot in _SLOTS.values()]
        )
        implementation, admin, beacon = map(_address, slots)
        if implementation is None and beacon is not None:
            [answer] = node.calls([_call(beacon, _IMPLEMENTATION_OF_BEACON, hex(block_number))])
            implementation = _address(answer)
        if implementation is not None:
            found.append(Proxy(address, implementation, beacon, admin, block_number))
    return found


def _call(address: str, selector: str, block: str = "latest") -> tuple[str, Sequence[Any]]:
    return "eth_call", ({"to": address, "data": selector}, block)


def _bytes(answer: object) -> bytes:
    try:
        return bytes.fromhex(answer[2:66_000]) if isinstance(answer, str) else b""
    except ValueError:
        return b""


def _text(answer: object) -> str | None:
    """A string as the ABI encodes it, or 32 bytes padded with zeros, as the first tokens have it."""
    data = _bytes(answer)
    if len(data) == 32:
        return data.rstrip(b"\0").decode(errors="replace") or None
    if len(data) >= 64 and (start := int.from_bytes(data[:32])) + 32 <= len(data):
        length = int.from_bytes(data[start : start + 32])
        return data[start + 32 : start + 32 + min(length, 256)].decode(errors="replace") or None
    return None


def _small(answer: object) -> int | None:
    data = _bytes(answer)
    number = int.from_bytes(data[:32]) if len(data) >= 32 else MOST_DECIMALS + 1
    return number if number <= MOST_DECIMALS else None


def _address(answer: object) -> str | None:
    data = _bytes(answer)
    return "0x" + data[12:32].hex() if len(data) >= 32 and any(data[12:32]) else None
