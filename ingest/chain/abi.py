"""Declarations of events: those a person gives, and the well-known ones."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from index.errors import SourceError

_KNOWN = Path(__file__).with_name("known.toml")
_DECLARATION = re.compile(r"(?:event\s+)?([A-Za-z_$][\w$]*)\s*\(([^()]*)\)\s*+(?:(anonymous)\s*+)?;?")
_EVENT = re.compile(r"\bevent\s+([A-Za-z_$][\w$]*)\s*\(([^()]*)\)\s*+(?:(anonymous)\s*+)?;")
_COMMENT = re.compile(r"//[^\n]*|/\*.*?(?:\*/|\Z)", re.DOTALL)
_TYPE = re.compile(r"(address|bool|string|bytes\d{0,2}|u?int\d{0,3})((?:\[\d*\])*)")


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
    def parse(cls, declaration: str, declared_in: str = "") -> EventSignature:
        """Reads a declaration as Solidity spells it. Raises SourceError for one that cannot be read."""
        found = _DECLARATION.fullmatch(declaration.strip())
        if found is None:
            raise SourceError(
                f"{declaration!r} is no declaration of an event; write Name(type indexed name, …)"
            )
        name, inside, anonymous = found.groups()
        inputs = tuple(_parsed(at, part) for at, part in enumerate(inside.split(",")) if part.strip())
        return cls(name, inputs, bool(anonymous), declared_in)

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
    """The events of an ABI file: a JSON list, solc's or Foundry's or Hardhat's artefact, Etherscan's answer.

    Raises SourceError when the file cannot be read, is no ABI, or declares no event.
    """
    try:
        body = json.loads(file.read_text(encoding="utf-8"))
        while isinstance(body, (dict, str)):
            body = json.loads(body) if isinstance(body, str) else body.get("abi", body.get("result"))
    except OSError as error:
        raise SourceError(f"the ABI {file} cannot be read ({error.strerror}); check the path") from None
    except (ValueError, RecursionError) as error:
        raise SourceError(
            f"the ABI {file} is not JSON ({error}); give it as solc or Etherscan writes it"
        ) from None
    items = [item for item in body if isinstance(item, dict)] if isinstance(body, list) else []
    found = tuple(EventSignature.of(item, file.stem) for item in items if item.get("type") == "event")
    if not found:
        raise SourceError(f"the ABI {file} declares no event; give the ABI of the contract that emits them")
    return found


def declared_in_code(passages: Iterable[tuple[str, str, list[str]]]) -> Iterator[EventSignature]:
    """The events that passages of Solidity declare.

    passages: path, text and identifiers of each; the identifiers hold the signatures with types resolved,
    and the topics, which each declaration is checked against.
    """
    for path, text, identifiers in passages:
        for found in _EVENT.finditer(_COMMENT.sub(" ", text)):
            name, inside, anonymous = found.groups()
            parts = [part.split() for part in inside.split(",") if part.strip()]
            for signature in identifiers:
                types = signature.removeprefix(f"{name}(").removesuffix(")").split(",")
                if not signature.startswith(f"{name}(") or len([t for t in types if t]) != len(parts):
                    continue
                event = EventSignature(name, tuple(map(_named_input, types, parts)), bool(anonymous), path)
                if event.topic0 in identifiers:
                    yield event


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


def _named_input(kind: str, words: list[str]) -> Input:
    name = words[-1] if len(words) > 1 and words[-1] != "indexed" else ""
    return Input(name, kind, "indexed" in words)


def _parsed(at: int, part: str) -> Input:
    kind, *words = part.split()
    found = _TYPE.fullmatch(kind)
    if found is None:
        raise SourceError(
            f"{kind!r} is no type of the ABI; allowed are address, bool, string, bytes, int, uint"
        )
    return Input(
        words[-1] if words and words[-1] != "indexed" else f"arg{at}",
        {"uint": "uint256", "int": "int256"}.get(found[1], found[1]) + found[2],
        "indexed" in words,
    )


def _canonical(given: Mapping[str, Any]) -> str:
    kind = str(given["type"])
    if not kind.startswith("tuple"):
        return kind
    return f"({','.join(_canonical(part) for part in given['components'])}){kind.removeprefix('tuple')}"
