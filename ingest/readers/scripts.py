"""Raised and lowered text of a page: exponents, indices and marks of footnotes, each in its own notation.

`2^256` and `x^{n-1}` for what is raised, `CO₂` and `x_{ij}` for what is lowered, `word⁽⁹⁾` for a mark.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

RAISED, LOWERED, CLOSED = "\ufdd0", "\ufdd1", "\ufdd2"
"""What encloses raised and lowered text until its meaning is known; no text has these non-characters."""

_SCRIPT = re.compile(f"[{RAISED}{LOWERED}][^{RAISED}{LOWERED}{CLOSED}]*+{CLOSED}")
_MARK = re.compile(r"\d{1,3}(?:\s?[,–-]\s?\d{1,3})*|[a-z]")
_SIGN = re.compile(r"[*∗†‡§¶®©™°′″]+|(?i:st|nd|rd|th)")
_NAMED_SIGNS = {"TM": "™", "SM": "℠"}
_POWER_OF = re.compile(
    r"(?<![^\W\d_])(?:[kcmdnµμ]?m|[kmµμ]?g|m?s|[kMG]?Hz|ft|sin|cos|tan|log|ln|exp|max|min|[A-Z]{2,5})$"
)
_YEAR = re.compile(r"(?<![\d.,])(?:19|20)\d\d$")
_BASE_OF_POWERS = re.compile(r"(?<![\d.,])(?:2|10)$")
_FORMULA = re.compile(r"[+*/=<>−^]|\d|^\s*\w\s*$")
_FOOTNOTE = re.compile(rf"\s*(?:{RAISED}\s*(\d{{1,3}}|[a-z])\s*{CLOSED}|(\d{{1,3}})[.)]?\s)\s*[^\W\d_]")
_UP = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
_DOWN = str.maketrans("0123456789+-−", "₀₁₂₃₄₅₆₇₈₉₊₋₋")
_MOST_WORDS = 2
_CELL = 10


@dataclass(frozen=True, slots=True)
class Run:
    """Text of one size on one baseline, and its place in points from the top left of the page."""

    text: str
    size: float
    bold: bool
    left: float
    base: float
    right: float


class _Chain:
    """A run with what is raised and lowered at its end."""

    def __init__(self, run: Run) -> None:
        self.run, self.text, self.right = run, run.text, run.right
        self._last: Run | None = None
        self._kind = ""

    def takes(self, run: Run) -> bool:
        """Whether a run is raised or lowered at the end of this one."""
        size = self.run.size
        rise, ratio = (self.run.base - run.base) / size, run.size / size
        near = (-0.3 * size <= run.left - right <= 0.4 * size for right in (self.run.right, self.right))
        if not 0.4 <= ratio <= 1.02 or len(run.text.split()) > _MOST_WORDS or not any(near):
            return False
        if ratio > 0.92:
            return len(run.text.strip()) <= 12 and (0.2 < rise < 0.6 or -0.5 < rise < -0.15)
        return 0.1 < rise < 0.85 or -0.6 < rise < -0.05

    def append(self, run: Run) -> None:
        """Adds a raised or lowered run; one that is raised above the last is its exponent."""
        kind = RAISED if run.base < self.run.base else LOWERED
        last = self._last
        if last is not None and kind == self._kind:
            smaller = run.size < 0.88 * last.size and abs(run.base - last.base) > 0.5
            nested = ("^" if run.base < last.base else "_") if smaller else ""
            self.text = f"{self.text[:-1]}{nested}{run.text}{CLOSED}"
        elif last is not None and self._is_fraction(last, run):
            above, below = (run, last) if kind == RAISED else (last, run)
            self.text = (
                f"{self.text[: -len(last.text.strip()) - 2]} {above.text.strip()}/{below.text.strip()}"
            )
        else:
            self.text += f"{kind}{run.text.strip()}{CLOSED}"
        self._last, self._kind, self.right = run, kind, max(self.right, run.right)

    def _is_fraction(self, last: Run, run: Run) -> bool:
        """Whether two small numbers, one over the other, stand apart from what is before them."""
        apart = self.run.text.endswith(" ") or run.left - self.run.right > 0.1 * self.run.size
        over = abs(run.left - last.left) < 0.5 * run.size
        return apart and over and run.text.strip().isdigit() and last.text.strip().isdigit()


def attached(runs: Sequence[Run]) -> list[Run]:
    """The runs of a page in which raised and lowered ones stand, enclosed, in the run that they belong to."""
    chains: list[_Chain] = []
    ends: defaultdict[int, list[_Chain]] = defaultdict(list)
    for run in sorted(runs, key=lambda run: (run.left, -run.size)):
        reach = range(int((run.left - run.size) // _CELL), int((run.left + run.size) // _CELL) + 1)
        chain = next((chain for cell in reach for chain in ends[cell] if chain.takes(run)), None)
        if chain is None:
            chain = _Chain(run)
            chains.append(chain)
        else:
            chain.append(run)
        ends[int(chain.right // _CELL)].append(chain)
    return _led([replace(chain.run, text=chain.text, right=chain.right) for chain in chains])


def _led(runs: Sequence[Run]) -> list[Run]:
    """The runs, those with a mark raised before them with that mark."""
    begins: defaultdict[int, list[int]] = defaultdict(list)
    for at, run in enumerate(runs):
        begins[int(run.left // _CELL)].append(at)
    out: dict[int, Run] = dict(enumerate(runs))
    for at, run in enumerate(runs):
        if len(run.text.strip()) > 3:
            continue
        cell = int(run.right // _CELL)
        host = next((i for c in (cell - 1, cell, cell + 1) for i in begins[c] if _leads(run, runs[i])), None)
        if host is not None:
            text = f"{RAISED}{run.text.strip()}{CLOSED} {out[host].text.lstrip()}"
            out[host] = replace(out[host], text=text, left=run.left)
            del out[at]
    return list(out.values())


def _leads(run: Run, host: Run) -> bool:
    gap, rise = host.left - run.right, host.base - run.base
    small = run.size < 0.92 * host.size or rise > 0.25 * host.size
    return small and -0.1 < gap / host.size < 1 and 0.1 < rise / host.size < 0.85


class Notation:
    """What raised and lowered text means on one page.

    lines: the page's, each with its font size, enclosed as `attached` does; usual: size of running text.
    """

    def __init__(self, lines: Sequence[tuple[str, float]], usual: float) -> None:
        self._defined = {
            label
            for text, size in lines
            if (match := _FOOTNOTE.match(text)) and (match[1] or size < 0.93 * usual)
            for label in match.groups()
            if label
        }
        meanings = [found for text, _ in lines for found in _meanings(text)]
        self._certain = {label for label, _, sense in meanings if sense == "mark"}
        self._likelier = {
            label
            for label, before, sense in meanings
            if sense == "open" and not _BASE_OF_POWERS.search(before)
        }

    def written(self, text: str) -> str:
        """A line with its raised and lowered text in plain notation."""
        out, at = "", 0
        for match in _SCRIPT.finditer(text):
            out += text[at : match.start()]
            out += self._script(out, match[0][0], match[0][1:-1].strip(), text[match.end() :])
            at = match.end()
        return out + text[at:]

    def _script(self, before: str, kind: str, label: str, after: str) -> str:
        if kind == LOWERED:
            return lowered(before, label)
        open_mark = _meaning(before, label) == "open" and self._is_mark(before, label)
        written = raised(before, label, noted=open_mark)
        return written + " " * (written.startswith("⁽") and not before and not after.startswith(" "))

    def _is_mark(self, before: str, label: str) -> bool:
        """Whether what may be a power is the one mark on the page of a footnote that has this label."""
        if label not in self._defined - self._certain:
            return False
        return label not in self._likelier or not _BASE_OF_POWERS.search(before)


def raised(before: str, label: str, *, noted: bool = False) -> str:
    """A raised label in plain notation: a power, or the mark of a footnote where that is plain or `noted`.

    >>> raised("space of 2", "256"), raised("the council.", "9"), raised("250", "9", noted=True)
    ('^256', '⁽⁹⁾', '⁽⁹⁾')
    """
    if label in _NAMED_SIGNS:
        return _NAMED_SIGNS[label]
    if _SIGN.fullmatch(label) or not label:
        return label
    if noted or _meaning(before, label) == "mark":
        return f"⁽{label.translate(_UP)}⁾"
    return f"^{label}" if re.fullmatch(r"[+−-]?\d+|\w", label) else f"^{{{label}}}"


def lowered(before: str, label: str) -> str:
    """A lowered label in plain notation.

    >>> lowered("CO", "2"), lowered("x", "i"), lowered("x", "ij")
    ('₂', '_i', '_{ij}')
    """
    if re.fullmatch(r"[+−-]?\d+", label) and re.search(r"\w\)?$", before):
        return label.translate(_DOWN)
    if not re.search(r"\w", label):
        return label
    return f"_{label}" if len(label) == 1 else f"_{{{label}}}"


def _meanings(text: str) -> Iterator[tuple[str, str, str]]:
    """Each raised label of a line that stands after something, with that, and what it means by it."""
    for match in _SCRIPT.finditer(text):
        before = _SCRIPT.sub("", text[: match.start()])
        if match[0][0] == RAISED and before.strip():
            label = match[0][1:-1].strip()
            yield label, before, _meaning(before, label)


def _meaning(before: str, label: str) -> Literal["mark", "power", "open"]:
    """What a raised label means after this text; `open` is a power unless a footnote has its mark."""
    before = before.rstrip()
    if not _MARK.fullmatch(label):
        return "power"
    if not before or before[-1] in '.,;:!?%"”’»…':
        return "mark"
    if before[-1] in ")]":
        opener = before.rfind("(" if before[-1] == ")" else "[")
        return "power" if _FORMULA.search(before[opener + 1 : -1]) else "mark"
    if before[-1].isdigit():
        listed = not label.isalnum()
        return "mark" if listed or (_YEAR.search(before) and label.isdigit()) else "open"
    word = re.search(r"(?<![^\W\d_])[^\W\d_]*+$", before)
    if word is None or len(word[0]) < 2 or _POWER_OF.search(before):
        return "open" if label.isalnum() else "power"
    return "mark"
