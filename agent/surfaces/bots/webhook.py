"""What listens: the health of a bot, and Telegram's webhook."""

from __future__ import annotations

import hmac
import json
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from index.errors import SettingsError

if TYPE_CHECKING:
    from aiohttp import web

    from agent.surfaces.bots.desk import Desk
    from agent.surfaces.bots.telegram import Telegram

LARGEST = 1_000_000
"""Bytes of the largest update."""

SECRET = "X-Telegram-Bot-Api-Secret-Token"  # noqa: S105

_log = logging.getLogger(__name__)


def place(address: str) -> tuple[str, int]:
    """Host and port of an address to listen at. Raises SettingsError.

    >>> place("127.0.0.1:8787")
    ('127.0.0.1', 8787)
    """
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or len(port) > 5 or int(port) > 65535:
        raise SettingsError(f"{address!r} is no address to listen at; write HOST:PORT, as in 127.0.0.1:8787")
    return host.strip("[]"), int(port)


@asynccontextmanager
async def listening(app: web.Application, address: str) -> AsyncIterator[int]:
    """Serves while the context lasts, and gives the port. Raises SettingsError where it cannot listen."""
    from aiohttp import web

    host, port = place(address)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        try:
            await site.start()
        except OSError as error:
            raise SettingsError(f"cannot listen at {address}: {error.strerror}; give another one") from None
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()


def health(desk: Desk, alive: Callable[[], bool]) -> web.Application:
    """Answers GET /health: status 200 while the bot is alive, else 503, and its figures as JSON."""
    from aiohttp import web

    async def answer(_request: web.Request) -> web.Response:
        well = alive()
        told: dict[str, Any] = {
            "alive": well,
            "platform": desk.channel.platform,
            "in_work": desk.in_work,
            **desk.surface.stats(),
            "inbox": desk.inbox.counts(),
        }
        return web.json_response(told, status=200 if well else 503)

    app = web.Application()
    app.router.add_get("/health", answer)
    return app


def webhook(telegram: Telegram, desk: Desk, url: str, secret: str) -> web.Application:
    """Takes updates at the path of `url`, and nowhere else, from whoever knows the secret.

    An update is confirmed (status 200) after it is on the disk.
    """
    from aiohttp import web
    from telegram import Update

    async def take(request: web.Request) -> web.Response:
        shown = request.headers.get(SECRET, "").encode("utf-8", "surrogateescape")
        if not hmac.compare_digest(shown, secret.encode()):
            _log.warning("a webhook call with a wrong secret was refused")
            return web.Response(status=403)
        try:
            update = Update.de_json(json.loads(await request.read()), telegram.bot)
        except (ValueError, TypeError, KeyError, AttributeError):
            return web.Response(status=400)
        await telegram.take(update, desk)
        return web.Response()

    app = web.Application(client_max_size=LARGEST)
    app.router.add_post(path_of(url), take)
    return app


def path_of(url: str) -> str:
    """The path of a webhook's URL. Raises SettingsError where Telegram would not call it."""
    parts = urlsplit(url)
    if parts.scheme != "https" or not parts.hostname or len(parts.path) < 2 or "{" in parts.path:
        raise SettingsError(
            f"{url!r} is no URL for a webhook; give one that begins with https:// and has a path, as in "
            "https://bot.example.org/telegram"
        )
    return parts.path
