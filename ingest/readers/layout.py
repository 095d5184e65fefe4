"""The layout of a PDF's pages: from lines with a place and a font to a text with headings and paragraphs."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import dropwhile, pairwise
from statistics import median
from typing import NamedTuple

from index.values import Block
from ingest.readers.parsed import Parsed

HYPHEN = "\ufffe"
"""What the worker leaves for the hyphen of a word that is broken at the end of a line."""

_LIGATURES = str.maketrans({"ﬀ": "ff", "ﬁ": "fi", "ﬂ": "fl", "ﬃ": "ffi", "ﬄ": "ffl", "ﬅ": "st", "ﬆ": "st"})
_BULLET = re.compile(r"[•●○■▪◦‣∙–*-]\s|\(?(?:\d{1,2}|[a-z])[.)]\s")
_NUMBER = re.compile(
    r"(?:Appendix |Chapter )?(\d{1,2}(?:\.\d{1,2})*|[A-Z](?:\.\d{1,2})*)(?:[.:]| \|)?\s(?=[^\W\d_])"
)
_NAMED = re.compile(r"(?:abstract|introduction|references|conclusions?|acknowledge?ments?)\.?", re.IGNORECASE)
_NO_HEADING = re.compile(r"[.,;:]$|[=@]|__|://|\. ?\. ?\.|^(?:Figure|Fig\.|Table|Listing) \d|^[^\w\[(“\"]")
_BYLINE = re.compile(r"(?:[A-ZÀ-Þ]\S* ){1,3}[A-ZÀ-Þ]\S*|.*\b\d{4}\b.*")
_SENTENCE_END = re.compile(r"[.:!?][)\]”\"’']*$")
_WORDS = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*")
_MOST_HEADING_LINES = 4
_LEVELS = 6


class Line(NamedTuple):
    """A line of a page: its text, font size and weight, and its place in points from the top left."""

    text: str
    size: float
    bold: bool
    left: float
    top: float
    right: float


def lay_out(pages: Sequence[Sequence[Line]]) -> Parsed:
    """The text of pages, each after a form feed, and its blocks.

    Running heads and page numbers stay in the text, outside the blocks.
    """
    words = _Words(pages)
    layout = _Layout(pages)
    texts: list[str] = []
    starts: list[int] = []
    blocks: list[Block] = []
    position = 0
    for page in pages:
        text, spans = words.join(page)
        starts.append(position)
        for run in layout.runs(page):
            start, end = position + spans[run[0]][0], position + spans[run[-1]][1]
            blocks.append(layout.block(page[run[0]], start, end, text[spans[run[0]][0] : spans[run[-1]][1]]))
        texts.append(text)
        position += len(text) + 2
    return Parsed("\n\f".join(texts), tuple(blocks), pages=tuple(starts))


def front(pages: Sequence[Sequence[Line]]) -> tuple[Sequence[Line], Sequence[Line]]:
    """The title's lines on the first page, and those below up to the abstract or the first section."""
    page = pages[0] if pages else []
    count = next((i for i, line in enumerate(page) if i and _opens_body(line)), len(page))
    largest = max((line.size for line in page[:count] if len(_letters(line.text)) > 2), default=0.0)
    title = [line for line in page[:count] if line.size == largest]
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
                if line.size == following.size and 0 < following.top - line.top < 2.5 * line.size:
                    pitches.append((following.top - line.top) / line.size)
        self._size = sizes.most_common(1)[0][0] if sizes else 0.0
        self._pitch = median(pitches) if pitches else 1.2
        self._furniture = _furniture(pages)
        self._title, self._front = map(set, front(pages))
        found = {self._rank(line) for page in pages for line in page if self._is_heading(line)}
        self._ranks = {rank: min(level, _LEVELS) for level, rank in enumerate(sorted(found), start=1)}

    def runs(self, page: Sequence[Line]) -> Iterator[list[int]]:
        """The lines of a page, by number, that make a block each; running heads are in none."""
        run: list[int] = []
        for index, line in enumerate(page):
            furniture = _key(page, index) in self._furniture
            if run and (furniture or self._parts(page[run[0]], page[index - 1], line)):
                yield run
                run = []
            if not furniture:
                run.append(index)
        if run:
            yield run

    def block(self, first: Line, start: int, end: int, text: str) -> Block:
        """The block that begins with a line and has this text at a span of the document."""
        if not self._is_heading(first):
            return Block("list" if _BULLET.match(first.text) else "paragraph", start, end)
        level, title = self._ranks[self._rank(first)], " ".join(text.split())
        return Block("heading", start, end, min(level, 2) if _NAMED.fullmatch(title) else level, title)

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
        if before.text.endswith(HYPHEN):
            return False
        step = line.top - before.top
        far = step < -2 or step > 1.45 * self._pitch * max(line.size, before.size)
        if self._is_heading(first):
            alike = abs(line.size - first.size) <= 0.15 * first.size and not _NUMBER.match(line.text)
            goes_on = self._stands_out(line) or (first.bold and line.bold and self._is_heading(line))
            return far or not alike or not goes_on
        if self._is_heading(line):
            return True
        if _BULLET.match(line.text):
            return not _BULLET.match(first.text) or far
        resized = abs(line.size - before.size) > 0.15 * before.size and len(line.text) > 40
        indented = line.left > before.left + 0.8 * line.size and not _BULLET.match(first.text)
        return far or resized or (indented and bool(_SENTENCE_END.search(before.text)))


class _Words:
    """The words of a document, which tell whether a word broken at a line's end has a hyphen of its own."""

    def __init__(self, pages: Sequence[Sequence[Line]]) -> None:
        self._counts: Counter[str] = Counter()
        breaks = []
        for page in pages:
            broken = ""
            for line in page:
                if broken:
                    breaks.append((broken, line.text))
                text = re.sub(r"^\w+", "", line.text) if broken else line.text
                broken = text.removesuffix(HYPHEN) if text.endswith(HYPHEN) else ""
                whole = re.sub(rf"(?<!\w)\w*{HYPHEN}$", "", text)
                self._counts.update(word.lower() for word in _WORDS.findall(whole))
        self._breaks_syllables = any(self._counts["".join(_halves(*each))] for each in breaks)

    def join(self, page: Sequence[Line]) -> tuple[str, list[tuple[int, int]]]:
        """The text of a page, and the span of each line in it; broken words are whole again."""
        text = ""
        spans = []
        for index, line in enumerate(page):
            piece, end = line.text.translate(_LIGATURES), "\n" if index + 1 < len(page) else ""
            if piece.endswith(HYPHEN):
                following = page[index + 1].text.translate(_LIGATURES) if end else ""
                piece = piece.removesuffix(HYPHEN)
                if following[:1].isalnum():
                    piece, end = piece + self._mark(piece, following), ""
                else:
                    piece += "-"
            spans.append((len(text), len(text) + len(piece)))
            text += piece + end
        return text, spans

    def _mark(self, head: str, tail: str) -> str:
        """What belongs between the halves of a broken word: a hyphen of its own, or nothing."""
        first, second = _halves(head, tail)
        if self._counts[first + second]:
            return ""
        address = "://" in head.split(" ")[-1]
        if address or self._counts[f"{first}-{second}"] or not tail[0].islower():
            return "-"
        if self._counts[first.rpartition("-")[2]] and self._counts[second]:
            return "-"
        return "" if self._breaks_syllables else "-"


def _halves(head: str, tail: str) -> tuple[str, str]:
    """The last word of one line and the first of the next, in lower case.

    >>> _halves("a proof-Of", "work system")
    ('proof-of', 'work')
    """
    left, right = re.search(r"(?<![\w-])[\w-]*$", head), re.match(r"\w*", tail)
    return (left[0] if left else "").lower(), (right[0] if right else "").lower()


def _furniture(pages: Sequence[Sequence[Line]]) -> set[tuple[str, int]]:
    """Keys of the lines at the edges of pages that come back: running heads, page numbers."""
    edges = Counter(key for page in pages for key in {_key(page, index) for index in _edges(page)})
    return {key for key, count in edges.items() if count >= max(3, len(pages) // 4)}


def _edges(page: Sequence[Line]) -> set[int]:
    order = sorted(range(len(page)), key=lambda index: page[index].top)
    return {*order[:2], *order[-2:]}


def _key(page: Sequence[Line], index: int) -> tuple[str, int]:
    """A line without its numbers and where it stands: what running heads have in common."""
    return re.sub(r"\d+", "#", page[index].text).strip(), round(page[index].top / 8)


def _letters(text: str) -> str:
    return "".join(char for char in text if char.isalpha())
