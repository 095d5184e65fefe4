"""The desk: takes messages in, has them answered, and delivers each reply once, whatever happens between."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import aclosing, suppress
from dataclasses import replace
from functools import partial
from typing import TypeVar
from weakref import WeakValueDictionary

from agent.surfaces.bots.channel import Channel, Incoming, Progress, Reply
from agent.surfaces.bots.inbox import Entry, Inbox
from agent.surfaces.bots.messages import Part, Text, plain, split
from agent.surfaces.bots.surface import Surface
from index.errors import Delayed, DeliveryError, Misread, Vanished

Given = TypeVar("Given")

Sleep = Callable[[float], Awaitable[None]]

_log = logging.getLogger(__name__)

_WAITING = 1000
"""Messages in work; beyond them the platform is not read on, and keeps what comes."""

_ATTEMPTS = 10
"""Times that an answer is begun; a message that ends the bot each time is given up then."""

_EDITS = 20
"""Edits a second of what is provisional, over all chats."""

_PATIENCE = 60.0
"""Seconds between two tries to deliver, at most, where the platform does not say how long to wait."""


class Desk:
    """The desk of one platform. sleep: waits so many seconds; tests do not."""

    def __init__(self, channel: Channel, surface: Surface, inbox: Inbox, sleep: Sleep | None = None) -> None:
        self.channel = channel
        self.surface = surface
        self.inbox = inbox
        self.sleep: Sleep = sleep or asyncio.sleep
        self._room = asyncio.Semaphore(_WAITING)
        self._orders: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._work: dict[str, asyncio.Task[None]] = {}
        self._unsure: set[str] = set()
        self._next_edit = 0.0

    async def take(self, incoming: Incoming) -> bool:
        """Takes a message in, which is on the disk afterwards; False where it was taken before.

        It is answered by and by. Waits while too many are in work.
        """
        await self._room.acquire()
        try:
            new = self.inbox.receive(incoming)
        except BaseException:
            self._room.release()
            raise
        if not new:
            self._room.release()
            return False
        self._start(incoming)
        return True

    async def resume(self) -> int:
        """Goes on with what was left by the process before, and says how many messages that are."""
        left = [entry for entry in self.inbox.open() if entry.incoming.key not in self._work]
        for entry in left:
            await self._room.acquire()
            if entry.attempts or entry.incoming.ticket:
                self._unsure.add(entry.incoming.key)
            self._start(entry.incoming)
        return len(left)

    def moved(self, old: str, new: str) -> None:
        """Notes that a chat has another id: all that belongs to it follows, and what is in work."""
        platform = self.channel.platform
        self.surface.moved(platform, old, new)
        self.inbox.moved(old, new)
        if (order := self._orders.get(f"{platform}:{old}:")) is not None:
            self._orders.setdefault(f"{platform}:{new}:", order)

    async def idle(self) -> None:
        """Waits until nothing is in work."""
        while self._work:
            await asyncio.wait(list(self._work.values()))

    async def stop(self, seconds: float) -> None:
        """Finishes what is under way in this time, and hands the rest back to the next start, saying so."""
        if self._work:
            await asyncio.wait(list(self._work.values()), timeout=seconds)
        late = list(self._work.values())
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late)
        await asyncio.gather(*(self._hand_back(entry) for entry in self.inbox.open()))

    @property
    def in_work(self) -> int:
        """How many messages are in work."""
        return len(self._work)

    def _start(self, incoming: Incoming) -> None:
        task = asyncio.create_task(self._through(incoming))
        self._work[incoming.key] = task
        task.add_done_callback(partial(self._ended, incoming.key))

    def _ended(self, key: str, task: asyncio.Task[None]) -> None:
        self._work.pop(key, None)
        self._unsure.discard(key)
        self._room.release()
        if not task.cancelled() and (error := task.exception()):
            _log.error("left for the next start", exc_info=error, extra={"key": key})

    async def _through(self, incoming: Incoming) -> None:
        """One message from the inbox to its end, after those before it in its conversation."""
        order = self._orders.setdefault(incoming.conversation, asyncio.Lock())
        async with order:
            entry = self.inbox.entry(incoming.key)
            if entry is None:
                return
            try:
                await self._answered(entry)
                await self._delivered(incoming.key)
                _log.info("answered", extra={"key": incoming.key, "conversation": incoming.conversation})
            except DeliveryError as error:
                entry = self.inbox.entry(incoming.key) or entry
                self.inbox.done(entry, "dropped")
                _log.warning("dropped: %s", error, extra={"key": incoming.key})

    async def _answered(self, entry: Entry) -> None:
        """Has a message answered, showing how it goes on. Raises DeliveryError where nothing can be shown."""
        if entry.state != "received":
            return
        key = entry.incoming.key
        self.inbox.begin(key)
        if entry.attempts >= _ATTEMPTS:
            self.inbox.answered(key, self.surface.give_up(entry.incoming, entry.attempts))
            return
        async with _Stage(self, entry) as stage, aclosing(self.surface.replies(entry.incoming)) as replies:
            async for one in replies:
                if isinstance(one, Reply):
                    self.inbox.answered(key, one)
                else:
                    await stage.show(one)

    async def _delivered(self, key: str) -> None:
        """Puts the reply in the place of its placeholders, with as many more as it takes."""
        while (entry := self.inbox.entry(key)) is not None and entry.reply is not None:
            try:
                entry = await self._put(entry, entry.reply)
            except _Moved:
                continue
            except Vanished:
                self.inbox.placed(key, ())
            except Misread:
                if entry.plain:
                    raise
                self.inbox.misread(key)
            else:
                self.inbox.done(entry, "delivered")

    async def _put(self, entry: Entry, reply: Reply) -> Entry:
        form = self.channel.plain if entry.plain else self.channel.format
        parts = split(reply.text, form) or split(plain("(nothing to show)"), form)
        for number, part in enumerate(parts):
            if number == len(entry.messages):
                entry = await self.place(entry, plain("…"), aside=reply.aside)
                if number == len(entry.messages):
                    raise _Moved
            buttons, file = (reply.buttons, reply.file) if number == len(parts) - 1 else ((), None)
            edit = partial(self.channel.edit, entry.incoming, entry.messages[number], part, buttons, file)
            await self._tried(edit)
        return entry

    async def place(self, entry: Entry, text: Text, *, aside: bool = False) -> Entry:
        """Sends one more placeholder for a message. Raises DeliveryError."""
        part = split(text, self.channel.format)[0]
        new = await self._tried(partial(self._sent, entry, part, aside=aside))
        entry = self.inbox.entry(entry.incoming.key) or entry
        entry = replace(entry, messages=(*entry.messages, new))
        self.inbox.placed(entry.incoming.key, entry.messages)
        return entry

    async def _sent(self, entry: Entry, part: Part, *, aside: bool) -> str:
        """Sends a placeholder, unless one was sent whose id did not arrive. Raises DeliveryError."""
        incoming = entry.incoming
        if incoming.key in self._unsure and (found := await self.channel.lost(incoming, entry.messages)):
            self._unsure.discard(incoming.key)
            return found
        self._unsure.add(incoming.key)
        try:
            new = await self.channel.send(incoming, part, aside=aside)
        except Delayed as error:
            if error.after is not None:
                self._unsure.discard(incoming.key)
            raise
        self._unsure.discard(incoming.key)
        return new

    async def _tried(self, deliver: Callable[[], Awaitable[Given]]) -> Given:
        """Delivers, again and again while the platform asks to wait. Raises DeliveryError."""
        wait = 1.0
        while True:
            try:
                return await deliver()
            except Delayed as error:
                _log.warning("delayed: %s", error)
                if error.after is not None:
                    await self.sleep(error.after)
                else:
                    await self.sleep(wait)
                    wait = min(wait * 2, _PATIENCE)

    def edit_in(self) -> float:
        """Seconds until something provisional may be edited: all chats together stay within bounds."""
        now = asyncio.get_running_loop().time()
        self._next_edit = max(self._next_edit, now) + 1 / _EDITS
        return self._next_edit - now - 1 / _EDITS

    async def _hand_back(self, entry: Entry) -> None:
        if entry.state != "received" or not entry.messages:
            return
        part = split(plain("The bot is restarting; it answers this afterwards."), self.channel.format)[0]
        with suppress(DeliveryError):
            await self.channel.edit(entry.incoming, entry.messages[0], part)


class _Moved(Exception):
    """The chat got another id meanwhile, and what was sent is in the old one."""


class _Stage:
    """Where it is shown how an answer comes to be: one message, edited at the platform's pace."""

    def __init__(self, desk: Desk, entry: Entry) -> None:
        self._desk = desk
        self._entry = entry
        self._next: Progress | None = None
        self._changed = asyncio.Event()
        self._ended = asyncio.Event()
        self._editing: asyncio.Task[None] | None = None

    async def __aenter__(self) -> _Stage:
        return self

    async def __aexit__(self, *_: object) -> None:
        """Ends after the edit that is under way, so that none comes after the reply."""
        self._ended.set()
        self._changed.set()
        if self._editing is not None:
            await self._editing

    async def show(self, progress: Progress) -> None:
        """Shows it as soon as the pace allows, unless something newer is there then."""
        if not self._entry.messages:
            self._entry = await self._desk.place(self._entry, progress.text)
            return
        self._next = progress
        self._changed.set()
        self._editing = self._editing or asyncio.create_task(self._edit())

    async def _edit(self) -> None:
        channel = self._desk.channel
        while True:
            await self._changed.wait()
            self._changed.clear()
            await self._paused(self._desk.edit_in())
            if self._ended.is_set() or self._next is None:
                return
            part = split(self._next.text, channel.format)[0]
            pause = channel.pace
            try:
                await channel.edit(self._entry.incoming, self._entry.messages[0], part)
            except Delayed as error:
                pause = max(pause, error.after or 0.0)
            except DeliveryError as error:
                _log.debug("not shown: %s", error)
                return
            await self._paused(pause)

    async def _paused(self, seconds: float) -> None:
        """Waits, but no longer than until the reply is there."""
        waiting = asyncio.ensure_future(self._desk.sleep(seconds))
        over = asyncio.ensure_future(self._ended.wait())
        await asyncio.wait({waiting, over}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        over.cancel()
