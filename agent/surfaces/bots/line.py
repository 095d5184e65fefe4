"""The queue before the answers: so many at a time, first come first served, each told where it stands."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator


class Line:
    """A queue. places: how many may be served at a time."""

    def __init__(self, places: int) -> None:
        self._free = places
        self._waiting: deque[Turn] = deque()

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self._waiting)

    def turn(self) -> Turn:
        """A turn, which begins to wait when `ahead` is read."""
        return Turn(self)

    def _join(self, turn: Turn) -> None:
        self._waiting.append(turn)

    def _ahead(self, turn: Turn) -> int:
        """How many must be served before; 0: it is served now."""
        place = self._waiting.index(turn)
        return 0 if place < self._free else place - self._free + 1

    def _enter(self, turn: Turn) -> None:
        self._waiting.remove(turn)
        self._free -= 1

    def _leave(self, *, served: bool, turn: Turn) -> None:
        if served:
            self._free += 1
        elif turn in self._waiting:
            self._waiting.remove(turn)
        for one in self._waiting:
            one.moved.set()


class Turn:
    """One turn in a queue: `with turn:` gives it back at the end, however it ends."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._served = False
        self.moved = asyncio.Event()

    def __enter__(self) -> Turn:
        self._line._join(self)
        return self

    def __exit__(self, *_: object) -> None:
        self._line._leave(served=self._served, turn=self)

    async def ahead(self) -> AsyncGenerator[int, None]:
        """How many are to be served before, each time it changes; it ends when it is this one's turn."""
        said = 0
        while before := self._line._ahead(self):
            if before != said:
                said = before
                yield before
            await self.moved.wait()
            self.moved.clear()
        self._line._enter(self)
        self._served = True
