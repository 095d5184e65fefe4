"""What stands on every page and is no part of the text: running heads, page numbers, lines of margins."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from statistics import median

from ingest.readers.columns import rows
from ingest.readers.scripts import Run

_MARGIN = 0.12
"""The share of a page's height, at the top and at the bottom, in which running heads stand."""

_EDGE_ROWS = 2
_APART = 2.0
"""Distance of a running head from the text, in font sizes."""

_SHORT = 25
"""Characters of a running head with a page number, at most, that stands as close to the text as its lines."""

_COUNTER = re.compile(r"\b(?:\d{1,4}|[ivxlc]{1,7})\b")
_ROMAN = {"i": 1, "v": 5, "x": 10, "l": 50, "c": 100}

Key = tuple[str, int, int]


def without_furniture(pages: Sequence[Sequence[Run]], heights: Sequence[float]) -> list[list[Run]]:
    """The pieces of pages without running heads, page numbers and the numbers of lines.

    A running head says the same at the same place of several pages, or the same but for a number that grows
    with the pages. heights: of the pages, in points.
    """
    margins = [_margins(page, height) for page, height in zip(pages, heights, strict=True)]
    counts = Counter(
        key for at, page in enumerate(margins) for key in {k for run, _ in page for k in _keys(run, at)}
    )
    least = max(3, len(pages) // 10)
    kept = []
    for at, (page, margin) in enumerate(zip(pages, margins, strict=True)):
        gone = [
            run
            for run, apart in margin
            if any(
                counts[key] >= (2 if apart else least) and (apart or _is_short(key)) for key in _keys(run, at)
            )
        ]
        level = {round(run.base) for run in gone}
        names = {id(run) for run in gone}
        names |= {id(run) for run, apart in margin if apart and round(run.base) in level}
        kept.append(_without_line_numbers([run for run in page if id(run) not in names]))
    return kept


def _margins(page: Sequence[Run], height: float) -> list[tuple[Run, bool]]:
    """The pieces of the outermost rows of a page, as far as these stand in its margins.

    Each with whether it stands further from the text than lines of text do from each other.
    """
    found = rows(page)
    outer = [*found[:_EDGE_ROWS], *found[max(_EDGE_ROWS, len(found) - _EDGE_ROWS) :]]
    inner = [run.base for row in found[_EDGE_ROWS:-_EDGE_ROWS] for run in row] or [height / 2]
    return [
        (run, min(abs(run.base - base) for base in inner) > _APART * run.size)
        for row in outer
        for run in row
        if not _MARGIN * height < run.base < (1 - _MARGIN) * height
    ]


def _keys(run: Run, page: int) -> Iterator[Key]:
    """What a piece says and how high it stands; as often with one of its numbers counted from its page."""
    text, height = run.text.strip().casefold(), round(run.base / 8)
    yield text, 0, height
    for match in _COUNTER.finditer(text):
        if (number := _number(match[0])) is not None:
            yield f"{text[: match.start()]}#{text[match.end() :]}", number - page, height


def _is_short(key: Key) -> bool:
    """Whether what stands close to the text and counts pages is too short to be a line of it."""
    return "#" not in key[0] or len(key[0]) <= _SHORT


def _number(digits: str) -> int | None:
    """The number that Arabic or Roman digits are; None for what is neither.

    >>> _number("12"), _number("xiv"), _number("mix")
    (12, 14, None)
    """
    if digits.isdigit():
        return int(digits)
    if not set(digits) <= _ROMAN.keys():
        return None
    values = [_ROMAN[digit] for digit in digits]
    return sum(-a if a < b else a for a, b in zip(values, [*values[1:], 0], strict=True))


def _without_line_numbers(page: list[Run]) -> list[Run]:
    """The pieces of a page of running text without the numbers of its lines, which stand left of them all."""
    found = rows(page)
    column = [row[0] for row in found if row[0].text.strip().isdigit()]
    rest = [row[1:] if row[0].text.strip().isdigit() else row for row in found]
    others = [run for row in rest for run in row]
    if len(column) < 10 or 2 * len(column) < len(found) or not others:
        return page
    values = [int(run.text) for run in column]
    regular = Counter(b - a for a, b in pairwise(values)).most_common(1)[0][1] >= 0.8 * (len(values) - 1)
    words = median(sum(len(run.text.split()) for run in row) for row in rest if row)
    outside = min(run.left for run in others) > max(run.right for run in column)
    return others if regular and outside and words >= 6 else page
