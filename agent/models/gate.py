"""The queue before an endpoint: so many requests open at a time, so many begun in any minute."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

MINUTE = 60.0


class Gate:
    """Lets requests through, users in turn, each user's in order. For one event loop.

    concurrency: requests open at a time; per_minute: requests begun in any minute, 0 for no limit.

    langchain's `InMemoryRateLimiter` would not do: it makes the first request wait, looks again every tenth
    of a second, and lets through whoever looks first.
    """

    def __init__(self, concurrency: int, per_minute: int = 0) -> None:
        self._free = concurrency
        self._per_minute = per_minute
        self._begun: deque[float] = deque()
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()
        self._alarm: asyncio.TimerHandle | None = None

    @asynccontextmanager
    async def entered(self, user: str) -> AsyncIterator[None]:
        """Waits for the user's turn, and gives the place back at the end."""
        turn = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(user, deque()).append(turn)
        self._admit()
        try:
            await turn
            yield
        finally:
            if turn.done() and not turn.cancelled():
                self._free += 1
            turn.cancel()
            self._admit()

    def _admit(self) -> None:
        """Calls in whoever may come: the first of the user who has waited longest since the last call."""
        while self._free and self._waiting and not self._full():
            user, turns = self._waiting.popitem(last=False)
            while turns and turns[0].done():
                turns.popleft()
            if turns:
                turns.popleft().set_result(None)
                self._free -= 1
                self._begun.append(asyncio.get_running_loop().time())
            if turns:
                self._waiting[user] = turns

    def _full(self) -> bool:
        """Whether this minute has had its requests; if so, an alarm calls the next when it is over."""
        if not self._per_minute:
            self._begun.clear()
            return False
        loop = asyncio.get_running_loop()
        while self._begun and self._begun[0] <= loop.time() - MINUTE:
            self._begun.popleft()
        if len(self._begun) < self._per_minute:
            return False
        if self._alarm is None or self._alarm.cancelled() or self._alarm.when() <= loop.time():
            self._alarm = loop.call_at(self._begun[0] + MINUTE, self._admit)
        return True
