"""The line to a chat endpoint: one client with its connections, and one queue, for all in an event loop."""

from __future__ import annotations

import asyncio
import ipaddress
from dataclasses import dataclass
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

import httpx2
import openai

from agent.models.gate import Gate
from index.errors import SettingsError
from index.settings import Settings

OPENAI = "https://api.openai.com/v1"

CONNECT = 10.0
"""Seconds that a connection may take to stand."""

NO_KEY = "none"
"""What is sent as the key to an endpoint that wants none; the client insists on one."""


@dataclass(frozen=True)
class Line:
    """A client and the queue before it, for one event loop."""

    client: openai.AsyncOpenAI
    gate: Gate


_lines: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[tuple[object, ...], Line]] = WeakKeyDictionary()


def line(settings: Settings) -> Line:
    """The running loop's line to the endpoint of these settings; the same for all who have the same settings.

    The client does not retry and follows no redirect: a key goes nowhere else.
    """
    here = _lines.setdefault(asyncio.get_running_loop(), {})
    terms = (
        *(url_of(settings), _key(settings), settings.stall_timeout, settings.only_loopback),
        *(settings.concurrency, settings.requests_per_minute),
    )
    if terms not in here:
        here[terms] = Line(_client(settings), Gate(settings.concurrency, settings.requests_per_minute))
    return here[terms]


def url_of(settings: Settings) -> str:
    """The endpoint of these settings."""
    return settings.base_url or OPENAI


def check(settings: Settings) -> None:
    """Raises SettingsError where the endpoint may not be used, or a key would travel for all to read."""
    url = url_of(settings)
    if settings.only_loopback:
        _stay_here(url)
    if settings.api_key and url.startswith("http:") and not is_loopback(url):
        raise SettingsError(
            f"the key would go to {url} unencrypted; use an https:// address in CHAINCITE_BASE_URL, or unset"
            " OPENAI_API_KEY where the endpoint wants none"
        )


def is_loopback(url: str) -> bool:
    """Whether a URL leads to this machine.

    >>> is_loopback("http://127.0.0.1:8000/v1"), is_loopback("https://api.openai.com/v1")
    (True, False)
    """
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _client(settings: Settings) -> openai.AsyncOpenAI:
    stall = settings.stall_timeout
    timeout = httpx2.Timeout(stall, connect=min(CONNECT, stall), pool=None)

    async def look(request: httpx2.Request) -> None:
        if settings.only_loopback:
            _stay_here(str(request.url))

    http = openai.DefaultAsyncHttpxClient(
        timeout=timeout, follow_redirects=False, event_hooks={"request": [look]}
    )
    return openai.AsyncOpenAI(
        api_key=_key(settings), base_url=url_of(settings), max_retries=0, timeout=timeout, http_client=http
    )


def _key(settings: Settings) -> str:
    return settings.api_key.get_secret_value() if settings.api_key else NO_KEY


def _stay_here(url: str) -> None:
    if not is_loopback(url):
        raise SettingsError(
            f"{url} is outside this machine, and the setting only_loopback forbids such chat endpoints; unset"
            " CHAINCITE_ONLY_LOOPBACK to allow them"
        )
