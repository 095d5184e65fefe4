"""A bot as a service: what it is made of, how it runs, how it stops, what it logs."""

from __future__ import annotations

import asyncio
import json
import logging
import signal
import sys
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from agent.records.privacy import hide
from agent.surfaces.bots.desk import Desk
from agent.surfaces.bots.inbox import Inbox
from agent.surfaces.bots.store import Store
from agent.surfaces.bots.surface import Surface
from agent.surfaces.bots.webhook import health, listening

if TYPE_CHECKING:
    from agent.answers.verify import Reread
    from agent.surfaces.bots.channel import Channel
    from index.library import Library
    from index.settings import Settings

GRACE = 20.0
"""Seconds that answers under way may take when the bot is told to stop."""

_TEND = 3600.0
"""Seconds between two times that old conversations are erased."""

_SHOWN = ("key", "conversation")

_log = logging.getLogger(__name__)


class JsonLines(logging.Formatter):
    """A record as a line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """Time, level, logger and message, with the key and the conversation where they are known."""
        told = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **{name: getattr(record, name) for name in _SHOWN if hasattr(record, name)},
        }
        if record.exc_text or record.exc_info:
            told["error"] = record.exc_text or self.formatException(record.exc_info or (None, None, None))
        return json.dumps(told, ensure_ascii=False)


def log_to_stderr(settings: Settings) -> None:
    """Writes what the program logs as JSON lines without secrets to the standard error."""
    hide(settings)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    for loud in ("httpx", "httpcore", "aiohttp.access", "faiss"):
        logging.getLogger(loud).setLevel(logging.WARNING)


def desk_of(channel: Channel, library: Library, settings: Settings, reread: Reread) -> Desk:
    """The desk of a channel over a library, and all behind it. Raises LibraryError, SettingsError."""
    from agent.session import Session

    def session(user: str, thread: str) -> Session:
        return Session(library, settings, user=user, thread=thread)

    store = Store(settings.library)
    gate = None
    if settings.gate_rpc or settings.gate_tiers:
        from agent.surfaces.bots.gate import Gate

        gate = Gate(store, settings)
    surface = Surface(library, settings, session, reread, store, gate)
    return Desk(channel, surface, Inbox(store, channel.platform))


async def serve(
    desk: Desk, listen: Callable[[asyncio.Event], Awaitable[None]], health_at: str | None = None
) -> None:
    """Runs a bot until SIGTERM or SIGINT, then finishes what is under way or hands it to the next start.

    listen: gives the desk what comes in until the event is set; what it raises ends the bot.
    health_at: HOST:PORT where its health is told.
    """
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    async with AsyncExitStack() as stack:
        listener = asyncio.ensure_future(listen(stopped))
        tender = asyncio.create_task(_tend(desk))
        stack.callback(tender.cancel)
        if health_at:
            app = health(desk, lambda: not (stopped.is_set() or listener.done() or tender.done()))
            await stack.enter_async_context(listening(app, health_at))
        left = await desk.resume()
        _log.info("started; %d messages were left by the last run", left)
        ending = asyncio.ensure_future(stopped.wait())
        await asyncio.wait({listener, ending}, return_when=asyncio.FIRST_COMPLETED)
        stopped.set()
        with suppress(asyncio.CancelledError):
            await listener
        _log.info("stopping; %d messages are in work", desk.in_work)
        await desk.stop(GRACE)
    _log.info("stopped")


async def _tend(desk: Desk) -> None:
    """Erases what is older than the settings keep."""
    while True:
        gone = desk.surface.forget_old()
        desk.inbox.prune(desk.surface.settings.bot_retention_days)
        if gone:
            _log.info("%d old conversations were erased", gone)
        await asyncio.sleep(_TEND)
