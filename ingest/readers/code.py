"""Code, along its structure: a section for each declaration, with the comment that speaks of it.

Sections nest as the declarations do, so that a heading path reads `contract Token › function transfer`. What
cannot be parsed, and languages without a grammar, have no sections and are cut at lines.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import accumulate, pairwise
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from index.values import Block, Kind
from ingest import selectors
from ingest.grammar import CONTAINERS, GRAMMARS, PREFIXES, SOLIDITY, WRAPPERS, Grammar
from ingest.readers.parsed import Parsed, whole
from ingest.selectors import Types
from ingest.sources import Facts

if TYPE_CHECKING:
    from tree_sitter import Node

_SPDX = re.compile(r"SPDX-License-Identifier:[ \t]*([\w.+-]+(?:[ \t]+(?:OR|AND|WITH)[ \t]+[\w.+-]+)*)")
_WORD = re.compile(rb"\w")
_LONGEST_NAME = 80
_HEAD = 4096
"""Characters in which a file states its licence."""


@dataclass(frozen=True, slots=True)
class _Declaration:
    """A declaration with the comments before it, in bytes, and the one that it is a member of."""

    start: int
    end: int
    title: str
    container: bool
    parent: _Declaration | None

    @property
    def level(self) -> int:
        """1 for what is a member of nothing."""
        return 1 if self.parent is None else self.parent.level + 1


_Mark = tuple[int, int, str]
"""Where a section begins, its level and its title."""


def read_code(text: str, path: str, types: Types = selectors.NO_TYPES) -> Parsed:
    """The structure of a program's text, which stays as it is.

    path: its extension says which language it is in; types: those of the files that a Solidity file imports.
    Solidity also gives identifiers: signatures, selectors of functions and errors, topics of events.
    """
    licence = _SPDX.search(text, 0, _HEAD)
    facts = Facts(kind=Kind.CODE, licence=licence[1] if licence else None)
    grammar = GRAMMARS.get(PurePosixPath(path).suffix.lower())
    if grammar is None:
        return Parsed(text, whole(text, ()), facts)
    body = text.encode()
    root, at = grammar.parse(body), _characters(body)
    named = selectors.identifiers(root, types) if grammar is SOLIDITY else []
    identifiers = tuple(sorted((at(byte), name) for byte, name in named))
    marks = [(at(byte), level, title) for byte, level, title in _marks(grammar, root, body)]
    return Parsed(text, tuple(_blocks(text, marks)), facts, identifiers=identifiers)


def _characters(body: bytes) -> Callable[[int], int]:
    """What turns an offset in UTF-8 bytes into one in characters."""
    if body.isascii():
        return lambda byte: byte
    before = [0, *accumulate(byte & 0xC0 != 0x80 for byte in body)]
    return before.__getitem__


def _blocks(text: str, marks: list[_Mark]) -> Iterator[Block]:
    """A heading block over the first line of each section; paragraphs where there are none."""
    if not marks:
        yield from whole(text, ())
    for (start, level, title), (following, _, _) in pairwise([*marks, (len(text), 0, "")]):
        line = text.find("\n", start, following) + 1
        yield Block("heading", start, line or following, level, title)


def _marks(grammar: Grammar, root: Node, body: bytes) -> Iterator[_Mark]:
    """Where declarations begin, and where one ends and words of what it is a member of follow. In bytes."""
    beyond = _Declaration(len(body), len(body), "", False, None)
    for here, following in pairwise([*_declarations(grammar, root, body), beyond]):
        yield here.start, here.level, here.title
        inner: _Declaration | None = here
        while inner is not None and inner.end <= following.start:
            parent = inner.parent
            until = min(parent.end, following.start) if parent else following.start
            if _WORD.search(body, inner.end, until):
                yield inner.end, max(inner.level - 1, 1), parent.title if parent else ""
            inner = parent


def _declarations(grammar: Grammar, root: Node, body: bytes) -> Iterator[_Declaration]:
    """Declarations in order, without those inside of functions."""
    last: _Declaration | None = None
    for label, node, name in grammar.declarations(root):
        start, end = _extent(node, body)
        parent = last
        while parent is not None and parent.end <= start:
            parent = parent.parent
        if (parent is None or parent.container) and (last is None or last.start < start):
            called = " ".join(body[name.start_byte : name.end_byte].decode().split())[:_LONGEST_NAME]
            title = label if called == label else f"{label} {called}"
            last = _Declaration(start, end, title, label in CONTAINERS, parent)
            yield last


def _extent(node: Node, body: bytes) -> tuple[int, int]:
    """Where a declaration begins and ends, with its wrappers and the comments right before it."""
    while node.parent is not None and node.parent.type in WRAPPERS:
        node = node.parent
    start, end = node.start_byte, node.end_byte
    before = node.prev_sibling
    while before is not None and before.type in PREFIXES and not _trails(before):
        if body.count(b"\n", before.start_byte + len(_text(before, body)), start) > 1:
            break
        start, before = before.start_byte, before.prev_sibling
    line = body.rfind(b"\n", 0, start) + 1
    return start if body[line:start].strip() else line, end


def _text(node: Node, body: bytes) -> bytes:
    return body[node.start_byte : node.end_byte].rstrip()


def _trails(comment: Node) -> bool:
    """Whether a comment stands behind something on its line, of which it speaks."""
    before = comment.prev_sibling
    return (
        before is not None and before.end_point.row == comment.start_point.row and before.end_point.column > 0
    )
