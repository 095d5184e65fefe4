"""Ranges of blocks: which are read, which are wanting, and how wide the next request may be."""

from __future__ import annotations

from collections.abc import Iterable
from threading import Lock

Range = tuple[int, int]
"""First and last block, both included."""

WIDEST = 100_000
_TRUST = 32


def joined(ranges: Iterable[Range]) -> list[Range]:
    """The same blocks in as few ranges as can be, in order.

    >>> joined([(5, 9), (1, 2), (3, 4), (20, 30)])
    [(1, 9), (20, 30)]
    """
    found: list[Range] = []
    for low, high in sorted(ranges):
        if found and low <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(found[-1][1], high))
        else:
            found.append((low, high))
    return found


def wanting(low: int, high: int, there: Iterable[Range]) -> list[Range]:
    """What of the blocks from low to high is in none of the ranges.

    >>> wanting(0, 25, [(1, 9), (20, 30)])
    [(0, 0), (10, 19)]
    """
    found, at = [], low
    for start, end in joined(there):
        if start > high:
            break
        if at < start:
            found.append((at, start - 1))
        at = max(at, end + 1)
    return [*found, (at, high)] if at <= high else found


def until(last: int, ranges: Iterable[Range]) -> list[Range]:
    """The ranges without the blocks after `last`.

    >>> until(6, [(1, 9), (20, 30)])
    [(1, 6)]
    """
    return [(low, min(high, last)) for low, high in ranges if low <= last]


class Width:
    """How many blocks a request may span, learned from what a provider takes and refuses.

    It doubles while nothing is refused. A refusal is a ceiling: the width then nears it by halves, from
    below. After 32 requests that pass the ceiling is doubled, since limits on results depend on the blocks.
    """

    def __init__(self, start: int = 1_000) -> None:
        self._now = start
        self._ceiling = WIDEST + 1
        self._passed = 0
        self._lock = Lock()

    @property
    def now(self) -> int:
        """Blocks that the next request should span."""
        return self._now

    def passed(self, width: int) -> None:
        """Says that a request of this width was answered."""
        with self._lock:
            self._passed += 1
            if self._passed % _TRUST == 0:
                self._ceiling = min(2 * self._ceiling, WIDEST + 1)
            if width >= self._now:
                higher = 2 * width if self._ceiling > WIDEST else (width + self._ceiling) // 2
                self._now = max(1, min(higher, self._ceiling - 1))

    def refused(self, width: int) -> None:
        """Says that a request of this width was too much."""
        with self._lock:
            self._passed = 0
            if width <= self._ceiling:
                self._ceiling = max(2, width)
                self._now = min(self._now, max(1, width // 2))
