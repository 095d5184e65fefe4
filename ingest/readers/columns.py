"""From the runs of a page to its lines as a person reads them: column after column, tables row by row."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from statistics import median
from typing import NamedTuple

from ingest.readers.scripts import Run

GAP = 0.9
"""White space, in font sizes, that parts a line into fragments, which columns and tables are made of."""

_LEVEL = 0.3
"""How far baselines of one line may lie apart, in font sizes."""

_SPACE = 0.15
_STRIP = 0.5
_PARAGRAPH = 1.35
"""The gap between paragraphs, in usual distances of lines."""

_ROW_STEP = 3.2
_MARKER = re.compile(
    r"[•●○■▪◦‣∙–—*+-]|\(?(?:\d{1,3}|[a-zA-Z]|[ivxlc]{1,5})[.):]?|\[[\w+-]{1,8}\]|[│├└─┬┌┐┘|\s]+|\d{1,2}(?:\.\d{1,2})+\.?"
)


class Line(NamedTuple):
    """A line of a page: its text, font size and weight, and its place in points from the top left.

    base: the distance of its baseline from the top; row: which row of a table it is, from 1; 0 for none.
    """

    text: str
    size: float
    bold: bool
    left: float
    base: float
    right: float
    row: int = 0


def fragments(runs: Sequence[Run]) -> list[Run]:
    """Runs joined to the pieces of lines that no wide gap parts."""
    return [piece for row in rows(runs) for piece in _pieces(row)]


def rows(runs: Iterable[Run]) -> list[list[Run]]:
    """Runs by their baseline, from the top, each row from the left."""
    found: list[list[Run]] = []
    base = 0.0
    for run in sorted(runs, key=lambda run: run.base):
        if not found or run.base - base > _LEVEL * min(run.size, found[-1][0].size):
            found.append([])
            base = run.base
        found[-1].append(run)
    return [sorted(row, key=lambda run: run.left) for row in found]


def _pieces(row: Sequence[Run]) -> Iterator[Run]:
    held = row[0]
    for run in row[1:]:
        if run.left - held.right < GAP * max(run.size, held.size):
            held = _merged(held, run)
        else:
            yield held
            held = run
    yield held


def _merged(one: Run, other: Run) -> Run:
    """Two neighbours as one, in the style of the longer."""
    parted = other.left - one.right > _SPACE * max(one.size, other.size)
    space = " " if parted and not one.text.endswith(" ") and not other.text.startswith(" ") else ""
    style = max(one, other, key=lambda run: len(run.text))
    text, right = one.text + space + other.text, max(one.right, other.right)
    return replace(style, text=text, left=min(one.left, other.left), right=right)


def in_order(pieces: Sequence[Run]) -> list[Line]:
    """The lines of a page in reading order: columns that stand side by side one after the other."""
    found = _gutter(pieces)
    if found is None:
        return list(_leaf(pieces))
    lines: list[Line] = []
    for band, crossing in _bands(pieces, found):
        left, right = _sides(band, found)
        if not crossing and _columns(left, right):
            lines += in_order(left) + in_order(right)
        elif len(band) < len(pieces):
            lines += in_order(band)
        else:
            lines += _leaf(band)
    return lines


def _gutter(pieces: Sequence[Run]) -> float | None:
    """The left edge of the column that most pieces of the page stand beside or in; None without columns."""
    best, most = None, 0
    for edge in _edges(pieces):
        bands = (band for band, crossing in _bands(pieces, edge) if not crossing)
        held = sum(len(band) for band in bands if _columns(*_sides(band, edge)))
        if held > most:
            best, most = edge, held
    return best


def _edges(pieces: Sequence[Run]) -> Iterator[float]:
    """Where three pieces or more begin, with others at their left."""
    lefts = sorted(piece.left for piece in pieces)
    first = 0
    for at in range(1, len(lefts) + 1):
        if at == len(lefts) or lefts[at] - lefts[at - 1] > 1.5:
            if first and at - first >= 3:
                yield lefts[first]
            first = at


def _bands(pieces: Sequence[Run], edge: float) -> Iterator[tuple[list[Run], bool]]:
    """The pieces from the top, parted where some begin or end to cross the edge, with whether they do."""
    band: list[Run] = []
    crossing = False
    for row in rows(pieces):
        across = any(piece.left < edge - 1 and piece.right > edge - 0.3 * piece.size for piece in row)
        if band and across != crossing:
            yield band, crossing
            band = []
        band = [*band, *row]
        crossing = across
    if band:
        yield band, crossing


def _sides(band: Sequence[Run], edge: float) -> tuple[list[Run], list[Run]]:
    return [run for run in band if run.left < edge - 1], [run for run in band if run.left >= edge - 1]


def _columns(left: Sequence[Run], right: Sequence[Run]) -> bool:
    """Whether two groups of pieces are columns of running text side by side, and not cells of a table."""
    one, other = rows(left), rows(right)
    if min(len(one), len(other)) < 2 or len(one) + len(other) < 5:
        return False
    top, bottom = max(one[0][0].base, other[0][0].base), min(one[-1][0].base, other[-1][0].base)
    shorter = min(one[-1][0].base - one[0][0].base, other[-1][0].base - other[0][0].base)
    pitches = [median(b[0].base - a[0].base for a, b in pairwise(side)) for side in (one, other)]
    beside = bottom - top >= 0.5 * shorter and max(pitches) <= 1.5 * min(pitches)
    return beside and _runs_on(one) and _runs_on(other) and not _aligned(one, other)


def _runs_on(side: Sequence[Sequence[Run]]) -> bool:
    """Whether rows read as running text: several words each, most of them about as wide as the column."""
    words = median(sum(len(run.text.split()) for run in row) for row in side)
    widths = [row[-1].right - row[0].left for row in side]
    return words >= 3 and 2 * sum(width >= 0.6 * max(widths) for width in widths) >= len(widths)


def _aligned(one: Sequence[Sequence[Run]], other: Sequence[Sequence[Run]]) -> bool:
    """Whether what follows a gap stands level on both sides, as the rows of a table do."""
    breaks = [set(_after_gaps(side)) for side in (one, other)]
    few, many = sorted(breaks, key=len)
    return len(few) >= 2 and len(few & many) >= 0.8 * len(many)


def _after_gaps(side: Sequence[Sequence[Run]]) -> Iterator[int]:
    steps = [below[0].base - above[0].base for above, below in pairwise(side)]
    usual = min(steps)
    for step, row in zip(steps, side[1:], strict=True):
        if step > 1.25 * usual:
            yield round(row[0].base / 2)


def _leaf(pieces: Sequence[Run]) -> Iterator[Line]:
    """The lines of one column, with tables as rows; what stands beside a paragraph comes after it."""
    found = _labelled([part for row in rows(pieces) for part in _by_size(row)])
    aside = [_is_beside(found, at) for at in range(len(found))]
    steps = [below[0].base - above[0].base for above, below in pairwise(found)]
    far = _PARAGRAPH * median(step for step in steps if step > 0) if any(steps) else 0.0
    text: list[list[Run]] = []
    held: list[list[Run]] = []
    for row, is_aside in zip(found, aside, strict=True):
        if held and text and not is_aside and row[0].base - text[-1][0].base > far:
            yield from (*_in_rows(text), *map(_line, held))
            text, held = [], []
        (held if is_aside else text).append(row)
    yield from (*_in_rows(text), *map(_line, held))


def _labelled(found: list[list[Run]]) -> list[list[Run]]:
    """Rows in which labels that stand between the lines of what they name are on the first of these lines."""
    beside = [at for at in range(1, len(found)) if _is_beside(found, at)]
    lefts = Counter(round(found[at][0].left / 3) for at in beside)
    labels = [
        at
        for at in beside
        if lefts[round(found[at][0].left / 3)] > 1
        and at - 2 not in beside
        and found[at][0].right < found[at - 1][0].left
    ]
    for at in labels:
        above = found[at - 1][0]
        found[at - 1] = [replace(found[at][0], base=above.base), *found[at - 1]]
    return [row for at, row in enumerate(found) if at not in labels]


def _by_size(row: list[Run]) -> Iterator[list[Run]]:
    """A row; where small type stands beside running text on it, first the text and then that."""
    style = max(row, key=lambda run: len(run.text))
    small = [run for run in row if run.size < 0.85 * style.size]
    if small and len(row) - len(small) == 1 and len(style.text.split()) > 4:
        yield [style]
        yield small
    else:
        yield row


def _is_beside(found: Sequence[Sequence[Run]], at: int) -> bool:
    """Whether a row is one narrow piece, between the baselines of its neighbours and next to both."""
    [piece, *others] = found[at]
    around = [*found[max(at - 1, 0) : at], *found[at + 1 : at + 2]]
    widest = max((row[-1].right - row[0].left for row in around), default=0.0)
    if others or len(found) < 4 or piece.right - piece.left > 0.5 * widest:
        return False
    over = any(piece.left < row[-1].right and piece.right > row[0].left for row in around)
    return not over and any(
        abs(row[0].base - piece.base) < 0.85 * max(piece.size, row[0].size) for row in around
    )


def _in_rows(found: Sequence[Sequence[Run]]) -> Iterator[Line]:
    at = 0
    while at < len(found):
        until = _table_end(found, at)
        table = _table(found[at:until]) if until > at + 1 else []
        yield from table or [_line(found[at])]
        at = until if table else at + 1


def _line(row: Sequence[Run]) -> Line:
    style = max(row, key=lambda run: len(run.text))
    text = " ".join(run.text.strip() for run in row)
    return Line(text, style.size, all(run.bold for run in row), row[0].left, style.base, row[-1].right)


def _table_end(found: Sequence[Sequence[Run]], at: int) -> int:
    """The row after the last that shares a strip of white space with the row at `at`."""
    strips = [(a.right, b.left) for a, b in pairwise(found[at])]
    until = at + 1
    while strips and until < len(found):
        row, size = found[until], found[until][0].size
        outside = len(row) == 1 and row[0].right < min(above[0].left for above in found[at:until])
        if outside or row[0].base - found[until - 1][0].base > _ROW_STEP * size:
            break
        strips = [free for strip in strips for free in _free(strip, row) if free[1] - free[0] > _STRIP * size]
        if not strips:
            break
        until += 1
    while until > at + 1 and len(found[until - 1]) == 1 and found[until - 1][0].left <= found[at][0].right:
        until -= 1
    return until


def _free(strip: tuple[float, float], row: Sequence[Run]) -> Iterator[tuple[float, float]]:
    """What of a strip no run of a row covers."""
    begin, end = strip
    for run in row:
        if run.left < end and run.right > begin:
            if run.left > begin:
                yield begin, run.left
            begin = max(begin, run.right)
    if begin < end:
        yield begin, end


def _table(found: Sequence[Sequence[Run]]) -> list[Line]:
    """The rows of a table; none where these rows are something else."""
    borders = _borders(found)
    grid = [_cells(row, borders) for row in found]
    full = [cells for cells in grid if sum(map(bool, cells)) > 1]
    marked = sum(bool(_MARKER.fullmatch(cells[0])) for cells in full)
    size = median(run.size for row in found for run in row)
    wide = all(b.left - a.right > 2 * size for row in found for a, b in pairwise(row))
    enough = len(full) > 2 or (len(full) == 2 and (len(borders) > 1 or wide))
    listed = len(borders) == 1 and 2 * marked > len(full) and not _numbers(full)
    if not borders or not enough or listed or _other(full):
        return []
    records = enumerate(_records(found, grid), start=1)
    return [_row(number, runs, cells) for number, (runs, cells) in records]


def _numbers(full: Sequence[Sequence[str]]) -> bool:
    """Whether a first column of numbers belongs to a table: its head is a word, and its cells are short."""
    return not _MARKER.fullmatch(full[0][0]) and all(len(cells[-1].split()) <= 6 for cells in full)


def _other(full: Sequence[Sequence[str]]) -> bool:
    """Whether rows are formulas, whose last column counts them, or a table of contents with its dots."""
    numbers = [cells[-1] for cells in full if cells[-1]]
    counted = [number for number in numbers if re.fullmatch(r"\(\d{1,3}(?:\.\d+)?[a-z]?\)", number)]
    dotted = [cells for cells in full if any(re.search(r"(?:\. ?){5}", cell) for cell in cells)]
    return 2 * len(counted) > len(numbers) or 3 * len(dotted) > len(full)


def _borders(found: Sequence[Sequence[Run]]) -> list[float]:
    """The middles of the strips that are white in all rows of a table, or all but a few that span columns."""
    spared = len(found) // 5 if len(found) > 3 else 0
    edges = sorted(
        [(run.left, 1) for row in found for run in row] + [(run.right, -1) for row in found for run in row]
    )
    size = median(run.size for row in found for run in row)
    borders, covering, begin = [], 0, None
    for x, change in edges:
        covering += change
        if covering <= spared and begin is None and change < 0:
            begin = x
        elif covering > spared and begin is not None:
            if x - begin > _STRIP * size:
                borders.append((begin + x) / 2)
            begin = None
    return borders


def _cells(row: Sequence[Run], borders: Sequence[float]) -> list[str]:
    cells = [""] * (len(borders) + 1)
    for run in row:
        at = sum(border < run.left + 0.5 for border in borders)
        cells[at] = f"{cells[at]} {run.text.strip()}".strip()
    return cells


def _records(
    found: Sequence[Sequence[Run]], grid: Sequence[list[str]]
) -> Iterator[tuple[list[Run], list[str]]]:
    """The rows of a table, those that go on in a further line joined with it."""
    steps = [below[0].base - above[0].base for above, below in pairwise(found)]
    small = 1.2 * min(steps)
    spaced = sum(step > small for step in steps) > 1
    held, joined = list(found[0]), list(grid[0])
    for step, row, cells, above in zip(steps, found[1:], grid[1:], grid, strict=False):
        lacking = not all(cells) or not all(above)
        goes_on = step <= small and (lacking if spaced else not cells[0])
        if goes_on:
            held += row
            joined = [f"{a} {b}".strip() for a, b in zip(joined, cells, strict=True)]
            continue
        yield held, joined
        held, joined = list(row), list(cells)
    yield held, joined


def _row(number: int, runs: Sequence[Run], cells: Sequence[str]) -> Line:
    left, right = min(run.left for run in runs), max(run.right for run in runs)
    text = f"| {' | '.join(cells)} |"
    bold = all(run.bold for run in runs)
    return Line(text, runs[0].size, bold, left, runs[0].base, right, number)
