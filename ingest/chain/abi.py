"""Declarations of events: those a person gives, and the well-known ones."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from index.errors import SourceError
from ingest import selectors
from ingest.chain.human_abi import Unreadable, declaration, statements, structs_of
from ingest.grammar import SOLIDITY
from ingest.selectors import DeclaredEvent

_KNOWN = Path(__file__).with_name("known.toml")
_DEEPEST = 12
"""Levels of a JSON file that declarations are looked for in."""


@dataclass(frozen=True, slots=True)
class Input:
    """One argument of an event. type: canonical, as `uint256`, `address[]` or `(uint256,bytes)[]`."""

    name: str
    type: str
    indexed: bool = False


@dataclass(frozen=True)
class EventSignature:
    """The declaration of an event, and where it stands: a standard, a contract, a file.

    >>> transfer = EventSignature.parse("Transfer(address indexed from, address indexed to, uint256 value)")
    >>> transfer.text, transfer.topic0[:10], transfer.indexed
    ('Transfer(address,address,uint256)', '0xddf252ad', 2)
    """

    name: str
    inputs: tuple[Input, ...]
    anonymous: bool = False
    declared_in: str = ""

    @property
    def text(self) -> str:
        """The canonical signature, which topic0 is the hash of."""
        return f"{self.name}({','.join(given.type for given in self.inputs)})"

    @cached_property
    def topic0(self) -> str:
        """The keccak-256 of the signature, as hex."""
        from eth_utils.crypto import keccak

        return "0x" + keccak(text=self.text).hex()

    @property
    def indexed(self) -> int:
        """How many arguments stand in topics."""
        return sum(given.indexed for given in self.inputs)

    @classmethod
    def parse(
        cls, text: str, declared_in: str = "", structs: Mapping[str, str] | None = None
    ) -> EventSignature:
        """Reads a declaration as Solidity spells it, or a human-readable ABI. structs: types of one's own.

        Raises SourceError for one that cannot be read.
        """
        try:
            found = declaration(text, structs)
        except Unreadable as error:
            raise SourceError(
                f"{text!r} is no declaration of an event ({error}); write Name(type indexed name, …)"
            ) from None
        inputs = tuple(Input(one.name, one.type, one.indexed) for one in found.arguments)
        return cls(found.name, inputs, found.anonymous, declared_in)

    @classmethod
    def of(cls, item: Mapping[str, Any], declared_in: str = "") -> EventSignature:
        """Takes an event out of a JSON ABI. Raises SourceError where it is not one."""
        try:
            inputs = tuple(
                Input(given.get("name") or f"arg{at}", _canonical(given), bool(given.get("indexed")))
                for at, given in enumerate(item["inputs"])
            )
            return cls(str(item["name"]), inputs, bool(item.get("anonymous")), declared_in)
        except (KeyError, TypeError, AttributeError) as error:
            raise SourceError(f"an event of the ABI lacks {error}; give the ABI as solc writes it") from None


def read_abi(file: Path) -> tuple[EventSignature, ...]:
    """The events that a file declares: a JSON ABI wherever it stands, a human-readable ABI, or Solidity.

    JSON is that of solc, Vyper, Foundry, Hardhat, Sourcify, Etherscan or Blockscout. Raises SourceError when
    the file cannot be read, is no ABI, or declares no event.
    """
    try:
        text = file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise SourceError(f"the ABI {file} cannot be read ({error.strerror}); check the path") from None
    except UnicodeDecodeError as error:
        raise SourceError(f"the ABI {file} is no text ({error.reason}); give it as solc writes it") from None
    try:
        found = _events_of(text, file.stem)
    except RecursionError:
        raise SourceError(f"the ABI {file} is nested too deeply; give it as solc writes it") from None
    if not found:
        raise SourceError(f"the ABI {file} declares no event; give the ABI of the contract that emits them")
    return tuple(dict.fromkeys(found))


def _events_of(text: str, declared_in: str) -> list[EventSignature]:
    try:
        parts = list(_declarations(json.loads(text), _DEEPEST))
    except ValueError:
        if "{" in text and re.search(r"\b(?:contract|interface|library)\s+[\w$]", text):
            return _events_of_solidity(text, declared_in)
        parts = list(statements(text))
    lines = [part for part in parts if isinstance(part, str)]
    structs = structs_of(lines)
    return [
        EventSignature.parse(part, declared_in, structs)
        if isinstance(part, str)
        else EventSignature.of(part, declared_in)
        for part in parts
        if not isinstance(part, str) or part.split(maxsplit=1)[:1] == ["event"]
    ]


def _declarations(value: object, deepest: int) -> Iterator[str | Mapping[str, Any]]:
    """The events of a JSON value and the lines of human-readable ABIs in it, also in JSON that is quoted."""
    if isinstance(value, list):
        for part in value if deepest else ():
            yield from _declarations(part, deepest - 1)
    elif isinstance(value, dict):
        if value.get("type") == "event":
            yield value
        else:
            for part in value.values() if deepest else ():
                yield from _declarations(part, deepest - 1)
    elif isinstance(value, str):
        if value.lstrip()[:1] in ("[", "{") and deepest:
            with suppress(ValueError):
                yield from _declarations(json.loads(value), deepest - 1)
        elif re.match(r"\s*(?:event|struct)\s+\w+\s*[({]", value):
            yield value.strip()


def _events_of_solidity(text: str, declared_in: str) -> list[EventSignature]:
    body = text.encode()
    names = [name for _, name in selectors.identifiers(SOLIDITY.parse(body), selectors.NO_TYPES)]
    return list(declared_in_code([(declared_in, text, names)]))


def declared_in_code(passages: Iterable[tuple[str, str, list[str]]]) -> Iterator[EventSignature]:
    """The events that passages of Solidity declare.

    passages: path, text and identifiers of each; the identifiers hold the signatures with types resolved,
    and the topics, which each declaration is checked against.
    """
    for path, text, identifiers in passages:
        known = set(identifiers)
        for event in selectors.events(text.encode()):
            for signature in identifiers:
                kinds = _types_of(signature, event)
                if kinds is None:
                    continue
                inputs = tuple(
                    Input(one.name, kind, one.indexed)
                    for one, kind in zip(event.parameters, kinds, strict=True)
                )
                found = EventSignature(event.name, inputs, event.anonymous, path)
                if found.topic0 in known:
                    yield found


def _types_of(signature: str, event: DeclaredEvent) -> list[str] | None:
    """The types of a resolved signature; None where it cannot be of this event."""
    if not signature.startswith(f"{event.name}(") or not signature.endswith(")"):
        return None
    kinds = _parted(signature[len(event.name) + 1 : -1])
    fits = len(kinds) == len(event.parameters) and all(
        one.type in (None, kind) for one, kind in zip(event.parameters, kinds, strict=True)
    )
    return kinds if fits else None


def _parted(types: str) -> list[str]:
    """A list of types taken apart at the commas outside of tuples.

    >>> _parted("uint8,(address,uint256)[],bytes")
    ['uint8', '(address,uint256)[]', 'bytes']
    """
    parts, depth = [""], 0
    for sign in types:
        depth += (sign == "(") - (sign == ")")
        if sign == "," and not depth:
            parts.append("")
        else:
            parts[-1] += sign
    return parts if types else []


@cache
def known_events() -> tuple[EventSignature, ...]:
    """The built-in declarations, those of standards first."""
    return tuple(
        EventSignature.parse(event, group["name"])
        for group in _known()["declared"]
        for event in group["events"]
    )


def known_tokens() -> list[dict[str, Any]]:
    """The built-in tokens: chain, address, symbol, decimals, name."""
    return [{"chain": group["chain"], **token} for group in _known()["tokens"] for token in group["list"]]


def by_topic(*given: Iterable[EventSignature]) -> dict[tuple[str, int], list[EventSignature]]:
    """Declarations by topic0 and number of topics; those given first come first, none stands twice."""
    found: dict[tuple[str, int], list[EventSignature]] = {}
    for signature in _named(given):
        same = found.setdefault((signature.topic0, signature.indexed + 1), [])
        if all(one.inputs != signature.inputs for one in same):
            same.append(signature)
    return found


def _named(given: Iterable[Iterable[EventSignature]]) -> Iterator[EventSignature]:
    return (one for signatures in given for one in signatures if not one.anonymous)


@cache
def _known() -> dict[str, Any]:
    return tomllib.loads(_KNOWN.read_text(encoding="utf-8"))


def _canonical(given: Mapping[str, Any]) -> str:
    kind = str(given["type"])
    if not kind.startswith("tuple"):
        return kind
    return f"({','.join(_canonical(part) for part in given['components'])}){kind.removeprefix('tuple')}"
