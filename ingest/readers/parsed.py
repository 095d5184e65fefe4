"""What every reader gives: a text, its blocks, and what the source states about itself."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import accumulate

from index.values import Block
from ingest.sources import NOTHING_STATED, Facts

_WORD = re.compile(r"\w")
_PARAGRAPH = re.compile(r"\S(?:[^\r\n]|\r?\n(?!\s*[\r\n])|\r(?!\s*[\r\n]))*")
_LINE = re.compile(r"[^\r\n]*(?:\r\n?|\n|\Z)")


@dataclass(frozen=True, slots=True)
class Parsed:
    """A source's text and structure, before it becomes a document; see `index.values.Reading`."""

    text: str
    blocks: tuple[Block, ...]
    facts: Facts = NOTHING_STATED
    pages: tuple[int, ...] = ()
    warnings: tuple[str, ...] = ()
    identifiers: tuple[tuple[int, str], ...] = ()
    lost: tuple[tuple[str, int], ...] = ()


def lines_of(text: str, start: int = 0) -> list[str]:
    r"""The lines of `text[start:]` with their ends, which are \n, \r\n or \r and nothing else.

    >>> lines_of("a\r\nb\x0cc")
    ['a\r\n', 'b\x0cc']
    """
    lines = _LINE.findall(text, start)
    return lines[:-1] if lines and not lines[-1] else lines


def offsets_of(lines: Iterable[str], start: int = 0) -> list[int]:
    """Where each line begins, and where the last one ends, counted from `start`.

    >>> offsets_of(["ab", "c"], 10)
    [10, 12, 13]
    """
    return list(accumulate(map(len, lines), initial=start))


def whole(text: str, blocks: Iterable[Block]) -> tuple[Block, ...]:
    """Blocks without the white space at their ends, and paragraphs for the words between them.

    blocks: in order and not overlapping; empty ones are dropped.
    """
    return tuple(_whole(text, blocks))


def _whole(text: str, blocks: Iterable[Block]) -> Iterator[Block]:
    position = 0
    for block in blocks:
        yield from paragraphs(text, position, block.start)
        end = block.start + len(text[block.start : block.end].rstrip())
        if end > block.start:
            yield Block(block.kind, block.start, end, block.level, block.title)
        position = block.end
    yield from paragraphs(text, position, len(text))


def paragraphs(text: str, start: int, end: int) -> Iterator[Block]:
    """The paragraphs of `text[start:end]`, parted by blank lines; what holds no word is markup."""
    for match in _PARAGRAPH.finditer(text, start, end):
        if _WORD.search(match[0]):
            yield Block("paragraph", match.start(), match.start() + len(match[0].rstrip()))
