"""Documents to passages.

The passages of a document are a partition of its text: laid end to end they are the text again, so nothing is
lost and nothing stands twice. Cuts follow the structure that the reader found (headings, paragraphs, lists,
tables, code); a block that is too large is cut at lines, then sentences, then words. Sizes are counted in the
embedding model's own tokens with the passage's context included, so the model reads every passage whole.
"""

from __future__ import annotations

import bisect
import itertools
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from index.values import Block, Document, Kind, Passage, Reading

if TYPE_CHECKING:
    from tokenizers import Tokenizer

VERSION = "2"
"""Part of every library's fingerprint: raise it when the same reading would be cut differently."""

CONTEXT_TOKENS = 48
"""The context's share of what the model reads, at most; a third for a model that reads little."""

SMALL = 48
"""A section shorter than this, in tokens, shares a passage with its neighbour."""

CHARACTERS_PER_TOKEN = 8
"""Bounds the length of passages that the tokenizer sees as few tokens, such as long hexadecimal strings."""

_TRANSCRIPT = "text/vtt"
_SEAMS = (
    re.compile(r"\n[ \t]*\n\s*"),
    re.compile(r"\n(?=[ \t]*(?:[-*+#:|]|\d+[.)])\s?)"),
    re.compile(r"\n"),
    re.compile(r"(?<=[.!?;:])\s+"),
    re.compile(r"\s+"),
    re.compile(r"(?<=[,)}\]])"),
)


@dataclass(frozen=True, slots=True)
class _Section:
    """What stands under one heading; only sections of one group may share a passage."""

    start: int
    end: int
    heading: tuple[str, ...]
    cuts: tuple[int, ...]
    group: int


class Chunker:
    """Cuts readings into passages for one embedding model.

    tokenizer: the model's own, without truncation; max_tokens: what the model reads of a text, its special
    tokens included.
    """

    def __init__(self, tokenizer: Tokenizer, max_tokens: int) -> None:
        self._tokenizer = tokenizer
        self._room = max_tokens - tokenizer.num_special_tokens_to_add(is_pair=False)
        self._context_room = min(CONTEXT_TOKENS, self._room // 3)
        self.fingerprint = f"{VERSION}:{max_tokens}"

    def passages(self, reading: Reading) -> tuple[Passage, ...]:
        """The passages of a document in order. Their texts, joined, are the document's text."""
        text = reading.text
        if not text:
            return ()
        ruler = _Ruler(text, self._tokenizer)
        tables = _Tables(reading)
        spans = [
            (start, end, section.heading, self._under(context, tables.header(start)))
            for section in _merged(_sections(reading), ruler, self._room - self._context_room)
            for context in [self._context(reading.document, section.heading)]
            for start, end in self._spans(section, self._under(context, tables.within(section)), ruler)
        ]
        lines, lined = _Lines(text), reading.has_lines and not reading.pages
        return tuple(
            Passage(
                uri=reading.document.uri,
                sha256=reading.document.sha256,
                ordinal=ordinal,
                start=start,
                end=end,
                text=text[start:end],
                context=context,
                heading=heading,
                page=bisect.bisect_right(reading.pages, start) or None,
                line_start=lines.first(start, end) if lined else None,
                line_end=lines.last(start, end) if lined else None,
                identifiers=_named(reading, start, end),
            )
            for ordinal, (start, end, heading, context) in enumerate(spans)
        )

    def _context(self, document: Document, heading: Sequence[str]) -> str:
        """Designation, title and heading path; the beginning of a long path gives way first.

        The title of code is left out: it is the name of a file, and a file that moves keeps its vectors.
        """
        title = None if document.kind is Kind.CODE else document.title
        name = ": ".join(dict.fromkeys(part for part in (document.number, title) if part))
        path = [part for part in heading if part != title]
        while len(path) > 1 and self._count(" › ".join([name, *path])) > self._context_room:
            path.pop(0)
        return self._cut(" › ".join(part for part in (name, *path) if part), self._context_room)

    def _under(self, context: str, header: str) -> str:
        """A context with the header of the table that a passage begins in the middle of."""
        return self._cut(f"{context} › {header}", self._context_room) if header else context

    def _spans(self, section: _Section, context: str, ruler: _Ruler) -> Iterator[tuple[int, int]]:
        room = self._room - self._count(context + "\n")
        for start, end in _packed(section, ruler, room):
            yield from self._fitting(start, end, ruler, room)

    def _fitting(self, start: int, end: int, ruler: _Ruler, room: int) -> Iterator[tuple[int, int]]:
        """A cut inside a word may change the count, so each span is counted once more by itself."""
        if end - start < 2 or self._count(ruler.text[start:end]) <= room:
            yield start, end
            return
        middle = (start + end) // 2
        yield from self._fitting(start, middle, ruler, room)
        yield from self._fitting(middle, end, ruler, room)

    def _count(self, text: str) -> int:
        return len(self._tokenizer.encode(text, add_special_tokens=False).ids)

    def _cut(self, text: str, tokens: int) -> str:
        offsets = self._tokenizer.encode(text, add_special_tokens=False).offsets
        return text if len(offsets) <= tokens else text[: offsets[tokens - 1][1]].rstrip()


class _Ruler:
    """Measures spans of one text in tokens, from one tokenization of the whole."""

    def __init__(self, text: str, tokenizer: Tokenizer) -> None:
        self.text = text
        self._starts = np.array([a for a, _ in tokenizer.encode(text, add_special_tokens=False).offsets])

    def tokens(self, start: int, end: int) -> int:
        """Tokens that begin in [start, end), or more for a span that has few tokens for its length."""
        seen = int(np.searchsorted(self._starts, end) - np.searchsorted(self._starts, start))
        return max(seen, (end - start) // CHARACTERS_PER_TOKEN)


class _Tables:
    """The tables of a reading that have a header."""

    def __init__(self, reading: Reading) -> None:
        self._text = reading.text
        self._held = [block for block in reading.blocks if block.kind == "table" and block.title]
        self._starts = [block.start for block in self._held]

    def header(self, at: int) -> str:
        """The header of the table that goes on at an offset; nothing where none does."""
        place = bisect.bisect_right(self._starts, at) - 1
        if place < 0 or at >= self._held[place].end:
            return ""
        title = self._held[place].title
        return "" if self._text.startswith(title, at) else title

    def within(self, section: _Section) -> str:
        """The longest header of the tables in a section."""
        first = bisect.bisect_left(self._starts, section.start)
        last = bisect.bisect_left(self._starts, section.end)
        return max((block.title for block in self._held[first:last]), key=len, default="")


class _Lines:
    """Line numbers, from 1, of spans of one text."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._breaks = [match.start() for match in re.finditer("\n", text)]

    def first(self, start: int, end: int) -> int:
        body = self._text[start:end]
        return self._line(start + len(body) - len(body.lstrip()) if body.strip() else start)

    def last(self, start: int, end: int) -> int:
        return self._line(start + max(len(self._text[start:end].rstrip()) - 1, 0))

    def _line(self, at: int) -> int:
        return bisect.bisect_left(self._breaks, at) + 1


def _named(reading: Reading, start: int, end: int) -> tuple[str, ...]:
    """The identifiers of the places in [start, end); a document of kind code is also named by its path."""
    first = bisect.bisect_left(reading.identifiers, (start,))
    last = bisect.bisect_left(reading.identifiers, (end,))
    path = (reading.document.path,) if reading.document.kind is Kind.CODE else ()
    return tuple(dict.fromkeys((*path, *(name for _, name in reading.identifiers[first:last]))))


def _sections(reading: Reading) -> Iterator[_Section]:
    """The text cut at headings, page breaks and the end of the preamble."""
    path: list[tuple[int, str]] = []
    start, group = 0, 0
    heading: tuple[str, ...] = ()
    cuts: list[int] = []
    for at, block in _marks(reading):
        if at > start and (block is None or block.kind != "heading"):
            cuts.append(at)
        if block is None or block.kind == "heading":
            if at > start:
                yield _Section(start, at, heading, tuple(cuts), group)
                start, cuts = at, []
            group += block is None
        if block is not None and block.kind == "heading":
            path = [(level, title) for level, title in path if level < block.level] + [
                (block.level, block.title)
            ]
            heading = tuple(title for _, title in path if title)
    if start < len(reading.text):
        yield _Section(start, len(reading.text), heading, tuple(cuts), group)


def _marks(reading: Reading) -> list[tuple[int, Block | None]]:
    """Where blocks begin, and (as None) where a page, what follows the preamble, or a forum's post does."""
    borders = {_border(reading.text, page) for page in reading.pages}
    if reading.document.kind is Kind.FORUM or reading.document.media_type == _TRANSCRIPT:
        borders |= {block.start for block in reading.blocks if block.level == 1}
    for block, after in pairwise(reading.blocks):
        if block.kind == "preamble":
            borders.add(after.start)
    marks: list[tuple[int, Block | None]] = [(at, None) for at in borders]
    marks += [(block.start, block) for block in reading.blocks]
    return sorted(marks, key=lambda mark: (mark[0], mark[1] is not None))


def _border(text: str, page: int) -> int:
    """Where the first passage of a page begins: after the form feed, if a sentence goes on from before it."""
    begun = page > 0 and text[page - 1] != "\f"
    return text.find("\f", page) + 1 or page if begun else page


def _merged(sections: Iterable[_Section], ruler: _Ruler, room: int) -> Iterator[_Section]:
    """Sections in which the small ones share a passage with a neighbour of the same page."""
    held: _Section | None = None
    for section in sections:
        if held is not None and held.group == section.group:
            size, more = ruler.tokens(held.start, held.end), ruler.tokens(section.start, section.end)
            if min(size, more) < SMALL and size + more <= room:
                heading = held.heading if size >= SMALL else _joined(held.heading, section.heading)
                cuts = (*held.cuts, section.start, *section.cuts)
                held = _Section(held.start, section.end, heading, cuts, held.group)
                continue
        if held is not None:
            yield held
        held = section
    if held is not None:
        yield held


def _joined(a: tuple[str, ...], b: tuple[str, ...]) -> tuple[str, ...]:
    """The heading path of two neighbours: the longer where one continues the other, else what they share.

    >>> _joined(("Specification",), ("Specification", "Gas"))
    ('Specification', 'Gas')
    >>> _joined(("Specification", "Gas"), ("Specification", "Opcodes"))
    ('Specification',)
    """
    shared = sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], zip(a, b, strict=False)))
    return max(a, b, key=len) if shared == min(len(a), len(b)) else a[:shared]


def _packed(section: _Section, ruler: _Ruler, room: int) -> Iterator[tuple[int, int]]:
    """Spans of about equal size, at most `room` tokens each, cut between blocks where that can be."""
    total = ruler.tokens(section.start, section.end)
    target = total / math.ceil(total / room) if total else room
    borders = (section.start, *section.cuts, section.end)
    start = end = section.start
    for piece_start, piece_end in itertools.chain.from_iterable(
        _pieces(a, b, ruler, room, 0) for a, b in pairwise(borders)
    ):
        middle = (piece_start + piece_end) // 2
        if end > start and (ruler.tokens(start, piece_end) > room or ruler.tokens(start, middle) > target):
            yield start, end
            start = end
        end = piece_end
    if end > start:
        yield start, end


def _pieces(start: int, end: int, ruler: _Ruler, room: int, seam: int) -> Iterator[tuple[int, int]]:
    """A block, or its parts where it is too large: at blank lines, items, lines, sentences, words."""
    if ruler.tokens(start, end) <= room or end - start < 2:
        yield start, end
    elif seam == len(_SEAMS):
        middle = (start + end) // 2
        yield from _pieces(start, middle, ruler, room, seam)
        yield from _pieces(middle, end, ruler, room, seam)
    else:
        inner = (match.end() for match in _SEAMS[seam].finditer(ruler.text, start, end))
        borders = [start, *(at for at in inner if start < at < end), end]
        for a, b in pairwise(borders):
            yield from _pieces(a, b, ruler, room, seam + 1)
