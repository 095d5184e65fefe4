"""What contracts are, over JSON-RPC: the symbol and decimals of tokens, the code of all, what proxies run.

Whatever a contract answers is untrusted text: it is decoded leniently here, and made safe by `tokens`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from index.errors import SourceError
from ingest.chain.node import Node
from ingest.chain.rpc import Behind, Refused, Untrue

_SYMBOL, _DECIMALS, _NAME = "0x95d89b41", "0x313ce567", "0x06fdde03"
_IMPLEMENTATION_OF_BEACON = "0x5c60da1b"
_SLOTS = {
    "implementation": "0x360894a13ba1a3210667c828492db98dca3e2076cc3735a920a3ca505d382bbc",
    "admin": "0xb53127684a568b3173ae13b9f8a6016e243e63b6e8ee1178d6a717850b5d6103",
    "beacon": "0xa3f0ad74e5423aebfd80d3ef4346578335a9a72aeaee59ff6cb3582b35133d50",
}
"""Where EIP-1967 says that a proxy keeps addresses."""

UPGRADES = frozenset(
    {
        "0xbc7cd75a20ee27fd9adebab32041f755214dbc6bffa90cc0225b39da2e5c2d3b",
        "0x1cf3b03a6cf19fa2baba4df148e9dcabedea7f8a5c07840e207e5c089be95d3e",
    }
)
"""First topics of Upgraded and BeaconUpgraded, by which EIP-1967 has a proxy tell that it runs other code."""

MOST_DECIMALS = 77
MOST_COMPARED = 20
"""Contracts of one source whose code is compared."""


@dataclass(frozen=True, slots=True)
class Contract:
    """What a contract was at a block: its code, and of a proxy (EIP-1967) what it ran.

    code, implementation_code: keccak-256, 0x and 64 hex digits; None where there is no code.
    """

    address: str
    block_number: int
    code: str | None
    implementation: str | None = None
    implementation_code: str | None = None
    beacon: str | None = None
    admin: str | None = None

    @property
    def codes(self) -> dict[str, str | None]:
        """Code by address: of the contract, and of the one that it ran."""
        ran = {self.implementation: self.implementation_code} if self.implementation else {}
        return {self.address: self.code, **ran}

    def same(self, other: Contract) -> bool:
        """Whether it was the same at another block."""
        return replace(self, block_number=other.block_number) == other

    @property
    def text(self) -> str:
        """What is to be said of it, in a line."""
        code = f"the keccak-256 of its code is {self.code}" if self.code else "it has no code"
        if self.implementation is None:
            return f"Contract {self.address} at block {self.block_number}: {code}.\n"
        beacon = f" by its beacon {self.beacon}" if self.beacon else ""
        admin = f"; its admin is {self.admin}" if self.admin else ""
        ran = f", that of its implementation's {self.implementation_code}" if self.implementation_code else ""
        return (
            f"Contract {self.address} is a proxy (EIP-1967): at block {self.block_number} its implementation"
            f" is {self.implementation}{beacon}{admin}; {code}{ran}.\n"
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


def describe_contracts(node: Node, addresses: Sequence[str], block_number: int) -> list[Contract]:
    """What contracts were at a block.

    Raises Refused or Behind where the node does not say, as one that keeps no state of old blocks.
    """
    at = hex(block_number)
    codes = _codes(node, addresses, at)
    slots = _answered(
        node.calls(
            [("eth_getStorageAt", (address, slot, at)) for address in addresses for slot in _SLOTS.values()]
        )
    )
    found = []
    for number, address in enumerate(addresses):
        implementation, admin, beacon = map(_address, slots[3 * number : 3 * number + 3])
        if implementation is None and beacon is not None:
            [answer] = node.calls([_call(beacon, _IMPLEMENTATION_OF_BEACON, at)])
            implementation = _address(answer)
        [ran] = _codes(node, [implementation], at) if implementation else [None]
        found.append(Contract(address, block_number, codes[number], implementation, ran, beacon, admin))
    return found


def compare_contracts(
    node: Node, recorded: Iterable[Contract], addresses: Sequence[str], block_number: int
) -> tuple[str, ...]:
    """What is to be said of contracts at a block, beside what is on record of them: a line for each.

    Raises SourceError where the code is not the one on record.
    """
    try:
        found = describe_contracts(node, addresses[:MOST_COMPARED], block_number)
    except (Behind, Refused) as fault:
        why = str(fault).partition(";")[0]
        return (
            f"the code at block {block_number} is not checked: the node does not tell that block's state, an"
            f" archive node would ({why})",
        )
    except SourceError as fault:
        return (f"the code at block {block_number} is not checked: {fault}",)
    known = list(recorded)
    lines = [_compared(now, [then for then in known if then.address == now.address]) for now in found]
    if more := len(addresses) - len(found):
        lines.append(f"the code of {more} more contracts is not checked")
    return tuple(lines)


def _compared(now: Contract, recorded: Sequence[Contract]) -> str:
    """A line about a contract. recorded: what it was at other blocks, in their order."""
    told = f"contract {now.address}: code {_digest(now.code)} at block {now.block_number}"
    ran = f"a proxy (EIP-1967) of {now.implementation}, code {_digest(now.implementation_code)}"
    proxy = f"; {ran}" if now.implementation else ""
    if not recorded:
        return f"{told}, none on record{proxy}"
    recorded = [then for then in recorded if then.block_number == now.block_number] or recorded
    faults = [(_difference(now, then), then) for then in recorded]
    alike = [then for fault, then in faults if fault is None]
    if not alike:
        raise SourceError(str(faults[-1][0]))
    same = [then for then in alike if then.implementation == now.implementation]
    nearest = max(same or alike, key=lambda then: (then.block_number <= now.block_number, then.block_number))
    before = "" if same else f" (of {nearest.implementation or 'none'} at block {nearest.block_number})"
    return f"{told}, as recorded at block {nearest.block_number}{proxy}{before}"


def _difference(now: Contract, then: Contract) -> str | None:
    """How code is another than on record; None where it is not. At the same block all must be the same."""
    for address, code in now.codes.items():
        before = then.codes.get(address, code)
        if before != code:
            return (
                f"has other code in contract {address}: {code} at block {now.block_number}, and not {before}"
                f" as recorded at block {then.block_number}"
            )
    if now.block_number == then.block_number and now.implementation != then.implementation:
        return (
            f"has another implementation of contract {now.address} at block {now.block_number}:"
            f" {now.implementation}, and not {then.implementation}"
        )
    return None


def _digest(code: str | None) -> str:
    return f"{code[:10]}…" if code else "none"


def _codes(node: Node, addresses: Sequence[str], at: str) -> list[str | None]:
    """The keccak-256 of contracts' code; None where there is none."""
    from eth_utils.crypto import keccak

    answers = _answered(node.calls([("eth_getCode", (address, at)) for address in addresses]))
    try:
        return [None if answer == "0x" else f"0x{keccak(hexstr=answer).hex()}" for answer in answers]
    except (TypeError, ValueError):
        raise Untrue(f"{node.name} gives what is no code; give another --rpc") from None


def _answered(answers: list[Any]) -> list[Any]:
    for answer in answers:
        if isinstance(answer, Refused):
            raise answer
    return answers


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
