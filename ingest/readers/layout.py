"""The layout of a PDF's pages: from lines with a place and a font to a text with headings and paragraphs."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import dropwhile, pairwise, zip_longest
from statistics import median

from index.values import Block
from ingest.readers.columns import Line
from ingest.readers.hyphens import HYPHEN, Hyphens, marked
from ingest.readers.parsed import Parsed

_LIGATURES = str.maketrans({"ﬀ": "ff", "ﬁ": "fi", "ﬂ": "fl", "ﬃ": "ffi", "ﬄ": "ffl", "ﬅ": "st", "ﬆ": "st"})
_BULLET = re.compile(r"[•●○■▪◦‣∙–*-]\s|\(?(?:\d{1,2}|[a-z])[.)]\s")
_NUMBER = re.compile(
    r"(?:Appendix |Chapter )?(\d{1,2}(?:\.\d{1,2})*|[A-Z](?:\.\d{1,2})*)(?:[.:]| \|)?\s(?=[^\W\d_])"
)
_NAMED = re.compile(r"(?:abstract|introduction|references|conclusions?|acknowledge?ments?)\.?", re.IGNORECASE)
_OPENS = re.compile(rf"{_NUMBER.pattern}|(?i:{_NAMED.pattern})$")
_NO_HEADING = re.compile(r"[.,;:]$|[=@]|__|://|\. ?\. ?\.|^(?:Figure|Fig\.|Table|Listing) \d|^[^\w\[(“\"]")
_BYLINE = re.compile(r"(?:[A-ZÀ-Þ]\S* ){1,3}[A-ZÀ-Þ]\S*|.*\b\d{4}\b.*")
_SENTENCE_END = re.compile(r"[.:!?][)\]”\"’']*$")
_CLOSES = re.compile(r"[.!?][)\]”\"’'⁽⁰¹²³⁴-⁹⁾]*(?=\s+[^a-z\s]|\s*$)")
_FOOTNOTE = re.compile(r"⁽[^⁾]{1,8}⁾ ")
_LONGEST_TAIL = 800
"""Characters of a sentence's end that join the page on which it begins, at most."""

_MOST_HEADING_LINES = 4
_LEVELS = 6


@dataclass
class _Block:
    """A block: its first and last line, its text with whole words, and where in it other pages begin."""

    first: Line
    last: Line
    text: str
    turns: dict[int, int] = field(default_factory=dict)


def lay_out(pages: Sequence[Sequence[Line]]) -> Parsed:
    """The text of pages and its blocks.

    A form feed stands where a page ends, or the last sentence that begins on it; footnotes stand before it.
    """
    clean = [[line._replace(text=marked(line.text.translate(_LIGATURES))) for line in page] for page in pages]
    hyphens = Hyphens(line.text for page in clean for line in page)
    layout = _Layout(clean)
    found = [layout.blocks(page, hyphens) for page in clean]
    _join_sentences(found, layout, hyphens)
    return _written(found, layout)


def _join_sentences(pages: Sequence[list[_Block]], layout: _Layout, hyphens: Hyphens) -> None:
    """Moves the end of each sentence that a page breaks to the block in which it begins."""
    held: _Block | None = None
    for number, page in enumerate(pages):
        body = [block for block in page if not layout.is_footnote(block)]
        if held is not None and body and layout.goes_on(held.last, body[0].first):
            first = body[0]
            end = _CLOSES.search(first.text)
            size = end.end() if end else len(first.text)
            if size <= _LONGEST_TAIL:
                whole = hyphens.continued(held.text, first.text[:size])
                held.turns[number] = len(whole) - size
                held.text, first.text = whole, first.text[size:].lstrip()
            if not first.text:
                page.remove(first)
                held.last = first.last
                if len(body) == 1:
                    continue
        held = body[-1] if body else None


def _written(pages: Sequence[Sequence[_Block]], layout: _Layout) -> Parsed:
    """Blocks as one text, parted by a blank line where a sentence ends between them."""
    texts: list[str] = []
    starts: dict[int, int] = {}
    blocks: list[Block] = []
    position = 0
    for number, page in enumerate(pages):
        starts.setdefault(number, position)
        text = ""
        for block, following in zip_longest(page, page[1:]):
            piece, begin = block.text.replace(HYPHEN, "-"), position + len(text)
            blocks.append(layout.block(block.first, begin, piece))
            starts |= {turned: begin + at for turned, at in block.turns.items()}
            text += piece
            if following is not None:
                text += "\n\n" if layout.ends(block, following) else "\n"
        texts.append(text)
        position += len(text) + 2
    whole = "\n\f".join(texts)
    return Parsed(whole, tuple(_headed(whole, blocks)), pages=tuple(starts[at] for at in range(len(pages))))


def _headed(text: str, blocks: Iterable[Block]) -> Iterator[Block]:
    """The blocks; a table that goes on from the page before has the header of that part."""
    before: Block | None = None
    for block in blocks:
        if (
            before is not None
            and before.kind == block.kind == "table"
            and "\f" in text[before.end : block.start]
        ):
            row = text[block.start : block.end].partition("\n")[0]
            if row != before.title and row.count(" | ") == before.title.count(" | "):
                block = replace(block, title=before.title)  # noqa: PLW2901
        yield block
        before = block


def front(pages: Sequence[Sequence[Line]]) -> tuple[Sequence[Line], Sequence[Line]]:
    """The title's lines on the first page, and those below up to the abstract or the first section."""
    page = pages[0] if pages else []
    count = next((i for i, line in enumerate(page) if i and _opens_body(line)), len(page))
    largest = max((line.size for line in page[:count] if len(_letters(line.text)) > 2), default=0.0)
    title = [line for line in page[:count] if line.size == largest]
    if len(title) == count:
        title = [line for line in title[:1] if not _NO_HEADING.search(line.text)]
    if len(title) > _MOST_HEADING_LINES:
        title = []
    below = dropwhile(lambda line: line not in title, page[:count])
    return title, [line for line in below if line not in title]


def _opens_body(line: Line) -> bool:
    numbered = re.match(r"1[. ]", line.text) and _NUMBER.match(line.text)
    return bool(numbered or _NAMED.match(line.text) or len(line.text) > 75)


class _Layout:
    """What is usual in a document: its body size, the pitch of its lines, its styles of headings."""

    def __init__(self, pages: Sequence[Sequence[Line]]) -> None:
        sizes = Counter[float]()
        pitches = []
        for page in pages:
            for line in page:
                sizes[line.size] += len(line.text)
            for line, following in pairwise(page):
                if line.size == following.size and 0 < following.base - line.base < 2.5 * line.size:
                    pitches.append((following.base - line.base) / line.size)
        self._size = sizes.most_common(1)[0][0] if sizes else 0.0
        self._pitch = median(pitches) if pitches else 1.2
        self._title, self._front = map(set, front(pages))
        found = {self._rank(line) for page in pages for line in page if self._is_heading(line)}
        self._ranks = {rank: min(level, _LEVELS) for level, rank in enumerate(sorted(found), start=1)}

    def blocks(self, page: Sequence[Line], hyphens: Hyphens) -> list[_Block]:
        """The blocks of a page in order, footnotes last."""
        runs: list[list[Line]] = []
        for line in page:
            if not runs or self._parts(runs[-1][0], runs[-1][-1], line):
                runs.append([])
            runs[-1].append(line)
        found = [_Block(run[0], run[-1], hyphens.joined([line.text for line in run])) for run in runs]
        return sorted(found, key=self.is_footnote)

    def is_footnote(self, block: _Block) -> bool:
        """Whether a block is a footnote: it begins with a mark, in smaller type."""
        return bool(_FOOTNOTE.match(block.first.text)) and block.first.size < 0.96 * self._size

    def block(self, first: Line, start: int, text: str) -> Block:
        """The block that begins with a line and has this text, from an offset of the document on."""
        end = start + len(text)
        if first.row:
            return Block("table", start, end, title=text.partition("\n")[0])
        if not self._is_heading(first):
            return Block("list" if _BULLET.match(first.text) else "paragraph", start, end)
        level, title = self._ranks[self._rank(first)], " ".join(text.split())
        return Block("heading", start, end, min(level, 2) if _NAMED.fullmatch(title) else level, title)

    def ends(self, block: _Block, following: _Block) -> bool:
        """Whether no sentence goes on from one block to the next."""
        kinds = [each.first.row or self._is_heading(each.first) for each in (block, following)]
        return any(kinds) or bool(_SENTENCE_END.search(block.text) or _BULLET.match(following.text))

    def goes_on(self, before: Line, line: Line) -> bool:
        """Whether a sentence goes on from the last line of a column or page to the first of the next."""
        if (
            before.row
            or line.row
            or self._is_heading(line)
            or self._is_heading(before)
            or _BULLET.match(line.text)
        ):
            return False
        if before.text.endswith(HYPHEN):
            return True
        alike = abs(before.size - line.size) <= 0.05 * line.size and before.bold == line.bold
        begins = line.text.lstrip("(“\"'")[:1]
        return alike and not _SENTENCE_END.search(before.text) and (begins.islower() or len(before.text) > 40)

    def _rank(self, line: Line) -> tuple[float, int]:
        number = _NUMBER.match(line.text)
        return -line.size, number[1].count(".") if number else 0

    def _is_heading(self, line: Line) -> bool:
        text = line.text.strip()
        words = text[number.end() :] if (number := _NUMBER.match(text)) else text
        if line in self._title or _NAMED.fullmatch(words):
            return True
        if line in self._front and (_BYLINE.fullmatch(text) or not self._stands_out(line)):
            return False
        if len(text) > 120 or _NO_HEADING.search(text):
            return False
        if len(_letters(words)) < max(3 if number else 4, 0.6 * len(words.replace(" ", ""))):
            return False
        if self._stands_out(line):
            return True
        return line.bold and line.size >= 0.98 * self._size and not text.endswith(HYPHEN)

    def _stands_out(self, line: Line) -> bool:
        return line.size >= (1.06 if line.bold else 1.25) * self._size

    def _parts(self, first: Line, before: Line, line: Line) -> bool:
        """Whether a block that begins with `first` and has come to `before` ends ahead of `line`."""
        if first.row or line.row:
            return not (before.row and line.row > 1)
        if before.text.endswith(HYPHEN):
            return False
        step = line.base - before.base
        if step < -2:
            return not self.goes_on(before, line)
        far = step > 1.45 * self._pitch * max(line.size, before.size)
        if self._is_heading(first):
            alike = abs(line.size - first.size) <= 0.15 * first.size and not _OPENS.match(line.text)
            goes_on = self._stands_out(line) or (first.bold and line.bold and self._is_heading(line))
            return far or not alike or not goes_on
        return self._parts_text(first, before, line, far)

    def _parts_text(self, first: Line, before: Line, line: Line, far: bool) -> bool:
        if self._is_heading(line) or _FOOTNOTE.match(line.text):
            return True
        if _BULLET.match(line.text):
            return not _BULLET.match(first.text) or far
        resized = abs(line.size - before.size) > 0.15 * before.size and len(line.text) > 40
        indented = line.left > before.left + 0.8 * line.size and not _BULLET.match(first.text)
        return far or resized or (indented and bool(_SENTENCE_END.search(before.text)))


def _letters(text: str) -> str:
    return "".join(char for char in text if char.isalpha())
