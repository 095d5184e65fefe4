"""Human-readable ABIs: declarations as Solidity, ethers and viem write them, a line each."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

_TOKEN = re.compile(r"[A-Za-z_$][\w$]*|\[\s*+\d*+\s*+\]|[(),;{}]|\S")
_COMMENT = re.compile(r"//[^\n]*|/\*.*?(?:\*/|\Z)", re.DOTALL)
_ELEMENTARY = re.compile(
    r"address|bool|string|function|bytes(?:[1-9]|[12]\d|3[0-2])?|u?int\d{0,3}|u?fixed\w*"
)
_BEGINNING = re.compile(r"\b(?:event\s+[\w$]+\s*\(|struct\s+[\w$]+\s*\{)")
_FUNCTION_WORDS = {"external", "internal", "view", "pure", "payable", "returns"}
_PLACES = {"memory", "calldata", "storage", "payable"}


@dataclass(frozen=True, slots=True)
class Argument:
    """An argument of a declaration. type: canonical, as `(uint256,bytes)[]`."""

    name: str
    type: str
    indexed: bool = False


@dataclass(frozen=True, slots=True)
class Declaration:
    """What a line declares. kind: `event`, `function`, `error`; an event where the line does not say."""

    kind: str
    name: str
    arguments: tuple[Argument, ...]
    anonymous: bool = False


class Unreadable(ValueError):
    """A declaration is none, or has a type that nothing declares."""


def declaration(text: str, structs: Mapping[str, str] | None = None) -> Declaration:
    """Reads a declaration. structs: what types of one's own are encoded as.

    Raises Unreadable.

    >>> declaration("event Filled(tuple(address maker, uint amount)[] orders, bytes32 indexed)").arguments
    (Argument(name='orders', type='(address,uint256)[]', indexed=False), \
Argument(name='arg1', type='bytes32', indexed=True))
    """
    reader = _Reader(text, structs or {})
    kind = reader.word() if reader.next in ("event", "function", "error") else "event"
    name = reader.word()
    arguments = tuple(reader.arguments())
    words = list(reader.rest())
    if kind == "event" and [word for word in words if word not in ("anonymous", ";")]:
        raise Unreadable(f"{words[0]!r} after the arguments")
    return Declaration(kind, name, arguments, "anonymous" in words)


def statements(text: str) -> Iterator[str]:
    """The events and structs that a text declares, whatever stands between them.

    >>> list(statements("abi = ['event A(uint a) anonymous', 'error B()'] // event C()"))
    ['event A(uint a) anonymous']
    """
    bare = _COMMENT.sub(" ", text)
    for found in _BEGINNING.finditer(bare):
        depth, end = 0, found.end() - 1
        for end in range(found.end() - 1, len(bare)):
            depth += (bare[end] in "({") - (bare[end] in ")}")
            if not depth:
                break
        anonymous = re.compile(r"\s*anonymous\b").match(bare, end + 1)
        yield bare[found.start() : anonymous.end() if anonymous else end + 1]


def structs_of(lines: Iterable[str]) -> dict[str, str]:
    """What the structs that lines declare are encoded as, each after those that it is made of."""
    waiting = [line for line in lines if line.split()[:1] == ["struct"]]
    found: dict[str, str] = {}
    for _ in range(len(waiting)):
        for line in waiting:
            reader = _Reader(line, found)
            reader.word()
            try:
                name, members = reader.word(), [member.type for member in reader.members()]
            except Unreadable:
                continue
            found[name] = f"({','.join(members)})"
    return found


class _Reader:
    """Takes a declaration apart. next: the token that is taken next, empty at the end."""

    def __init__(self, text: str, structs: Mapping[str, str]) -> None:
        self._tokens = _TOKEN.findall(_COMMENT.sub(" ", text))
        self._structs = structs
        self._at = 0

    @property
    def next(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def _take(self) -> str:
        token = self.next
        self._at += 1
        return token

    def _expect(self, *tokens: str) -> str:
        if (token := self._take()) not in tokens:
            raise Unreadable(f"{token or 'the end'!r} where {' or '.join(tokens)} should be")
        return token

    def word(self) -> str:
        """A name."""
        token = self._take()
        if not re.fullmatch(r"[A-Za-z_$][\w$]*", token):
            raise Unreadable(f"{token or 'the end'!r} where a name should be")
        return token

    def rest(self) -> Iterator[str]:
        """What is left."""
        while self.next:
            yield self._take()

    def arguments(self) -> Iterator[Argument]:
        """What stands in parentheses."""
        self._expect("(")
        at = 0
        while self.next != ")" or at:
            yield self._argument(at)
            at += 1
            if self._expect(",", ")") == ")":
                return
        self._take()

    def members(self) -> Iterator[Argument]:
        """What stands in braces."""
        self._expect("{")
        at = 0
        while self.next != "}":
            yield self._argument(at)
            self._expect(";")
            at += 1

    def _argument(self, at: int) -> Argument:
        kind = self._type()
        indexed, name = False, ""
        while self.next not in (",", ")", ";", ""):
            word = self.word()
            if word == "indexed":
                indexed = True
            elif word not in _PLACES:
                name = word
        return Argument(name or f"arg{at}", kind, indexed)

    def _type(self) -> str:
        if self.next in ("tuple", "("):
            if self.next == "tuple":
                self._take()
            kind = f"({','.join(argument.type for argument in self.arguments())})"
        else:
            kind = self._named(self.word())
        while self.next.startswith("["):
            kind += "".join(self._take().split())
        return kind

    def _named(self, name: str) -> str:
        if name == "function" and self.next == "(":
            list(self.arguments())
            while self.next in _FUNCTION_WORDS:
                if self._take() == "returns":
                    list(self.arguments())
        if name in self._structs:
            return self._structs[name]
        if not _ELEMENTARY.fullmatch(name):
            raise Unreadable(
                f"{name!r} is no type of the ABI; allowed are address, bool, string, bytes, int, uint"
            )
        return {"uint": "uint256", "int": "int256", "fixed": "fixed128x18", "ufixed": "ufixed128x18"}.get(
            name, name
        )
