"""The one way out to the network for sources: checked addresses, bounded size and time, clear errors."""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Self

from index.errors import Gone, SourceError, Unreachable

if TYPE_CHECKING:
    import httpx
    from tenacity import RetryCallState

    from ingest.network import Address, Resolve

CONNECT_SECONDS = 10.0
READ_SECONDS = 20.0
MOST_REDIRECTS = 5
MOST_TRIES = 4
LONGEST_WAIT = 30.0
"""Seconds between two tries, whatever a server asks for."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """The bytes of a source and what the answer said about them.

    url: where they came from in the end (after redirects), or the local path.
    media_type: lower case, without parameters; etag, last_modified: validators for the next request.
    not_modified: the source is what the given validators name, and `body` is empty.
    """

    url: str
    body: bytes
    media_type: str | None = None
    etag: str | None = None
    last_modified: str | None = None
    not_modified: bool = False


class Busy(Unreachable):
    """A server that asks to come back after so many seconds."""

    def __init__(self, message: str, after: float) -> None:
        super().__init__(message)
        self.after = after


class Fetcher:
    """Gets sources over http and https, and refuses what a source must not be.

    allow_private: whether addresses inside the machine or the local network may be reached.
    max_bytes: the largest body, after decompression; timeout: seconds for a whole fetch, redirects included.
    transport: what carries requests in place of the network; resolve: the addresses of a host and port in
    place of the system's, asked once a connection, which is then made to the address that was checked.
    No proxy is taken from the environment, since a proxy would look hosts up again, unchecked.
    """

    def __init__(
        self,
        *,
        allow_private: bool = False,
        max_bytes: int = 128 << 20,
        timeout: float = 120.0,
        transport: httpx.BaseTransport | None = None,
        resolve: Resolve | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._allow_private = allow_private
        self._max_bytes = max_bytes
        self._timeout = timeout
        self._transport = transport
        self._resolve = resolve
        self._sleep = sleep
        self._client: httpx.Client | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connections that are kept open."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def get(self, url: str, *, etag: str | None = None, last_modified: str | None = None) -> Fetched:
        """The source at a URL; `not_modified` when it is still what the validators name.

        Raises SourceError when it is refused, gone or too large; Unreachable when the network or the
        server failed at every try.
        """
        from tenacity import Retrying, retry_if_exception_type, stop_after_attempt

        conditions = {"If-None-Match": etag, "If-Modified-Since": last_modified}
        headers = {"Accept-Encoding": "gzip, deflate", "User-Agent": "chaincite"}
        headers |= {name: value for name, value in conditions.items() if value}
        tries = Retrying(
            retry=retry_if_exception_type(Unreachable),
            stop=stop_after_attempt(MOST_TRIES),
            wait=pause,
            sleep=self._sleep,
            reraise=True,
        )
        return tries(self._try, url, headers)

    def addresses(self, host: str, port: int) -> Sequence[str]:
        """The addresses of a host, each of which may be reached.

        Raises SourceError for one that may not, Unreachable when there is none.
        """
        from ingest import network

        found = (self._resolve or network.resolve)(host, port)
        for address in found:
            self._check(host, ipaddress.ip_address(address.partition("%")[0]))
        return found

    def _try(self, url: str, headers: dict[str, str]) -> Fetched:
        from ingest import network

        token = network.deadline.set(time.monotonic() + self._timeout)
        try:
            return self._follow(url, headers)
        except network.VENDOR_ERRORS as error:
            raise network.translated(error) from error
        finally:
            network.deadline.reset(token)

    def _follow(self, address: str, headers: dict[str, str]) -> Fetched:
        import httpx

        url = httpx.URL(address)
        for _ in range(MOST_REDIRECTS + 1):
            self._permit(url)
            with self._opened().stream("GET", url, headers=headers) as response:
                if not response.has_redirect_location:
                    return self._answer(response)
                url = url.join(response.headers["Location"])
        raise SourceError(f"redirects more than {MOST_REDIRECTS} times; give the address it ends at")

    def _opened(self) -> httpx.Client:
        import httpx

        from ingest import network

        if self._client is None:
            timeout = httpx.Timeout(READ_SECONDS, connect=CONNECT_SECONDS)
            transport = self._transport or network.Transport(self._resolve or network.resolve, self._check)
            self._client = httpx.Client(transport=transport, timeout=timeout, trust_env=False)
        return self._client

    def _permit(self, url: httpx.URL) -> None:
        """Refuses a URL for what it says, before any host is looked up."""
        if url.scheme not in ("http", "https") or not url.host:
            raise SourceError(f"{str(url)!r} is not allowed; give an http or https address")
        if url.userinfo:
            raise SourceError("holds a user name or password; give the address without it")
        try:
            address = ipaddress.ip_address(url.host)
        except ValueError:
            return
        self._check(url.host, address)

    def _check(self, host: str, address: Address) -> None:
        from ingest import network

        if not self._allow_private and not network.is_public(address):
            named = host if host == str(address) else f"{host} leads to {address}, which"
            raise SourceError(
                f"{named} is not a public address; set allow_private_addresses if that is meant"
            )

    def _answer(self, response: httpx.Response) -> Fetched:
        validators = response.headers.get("ETag"), response.headers.get("Last-Modified")
        if response.status_code == HTTPStatus.NOT_MODIFIED:
            return Fetched(str(response.url), b"", None, *validators, not_modified=True)
        if response.status_code != HTTPStatus.OK:
            raise refusal(response)
        media_type = response.headers.get("Content-Type", "").partition(";")[0].strip().lower() or None
        return Fetched(str(response.url), self._body(response), media_type, *validators)

    def _body(self, response: httpx.Response) -> bytes:
        from ingest import network

        encoding = response.headers.get("Content-Encoding", "").strip().lower()
        if encoding not in ("", "identity", "gzip", "deflate"):
            raise SourceError(f"comes in the encoding {encoding!r}; only gzip and deflate are allowed")
        announced = response.headers.get("Content-Length", "")
        self._fits(int(announced) if announced.isdecimal() and len(announced) < 20 else 0)
        body = bytearray()
        for piece in response.iter_bytes():
            body += piece
            self._fits(len(body))
            if time.monotonic() > network.deadline.get():
                raise Unreachable(f"took longer than {self._timeout:.0f} s; try again later")
        return bytes(body)

    def _fits(self, size: int) -> None:
        if size > self._max_bytes:
            limit = self._max_bytes / 2**20
            raise SourceError(
                f"is larger than the limit of {limit:.0f} MiB; raise fetch_max_bytes if that is meant"
            )


def refusal(response: httpx.Response) -> SourceError:
    """What an HTTP status that is no success means, and whether another try may help."""
    said = f"answers {response.status_code} {response.reason_phrase}".rstrip()
    if response.status_code == HTTPStatus.TOO_MANY_REQUESTS or response.is_server_error:
        after = _seconds(response.headers.get("Retry-After", ""))
        message = f"{said}; try again later"
        return Unreachable(message) if after is None else Busy(message, after)
    if response.status_code in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return SourceError(f"{said}: it is not open to everybody; give an address that is")
    absent = response.status_code in (HTTPStatus.NOT_FOUND, HTTPStatus.GONE)
    return (Gone if absent else SourceError)(f"{said}; check the address")


def _seconds(retry_after: str) -> float | None:
    """The seconds that a Retry-After header asks for, given as a number or as a date."""
    if retry_after.strip().isdecimal():
        return float(retry_after)
    try:
        return max(0.0, (parsedate_to_datetime(retry_after) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return None


def pause(state: RetryCallState) -> float:
    """The seconds to wait before the next try, for tenacity: what the server asks for, or ever more."""
    from tenacity import wait_exponential_jitter

    error = state.outcome.exception() if state.outcome else None
    if isinstance(error, Busy):
        return min(error.after, LONGEST_WAIT)
    return wait_exponential_jitter(multiplier=0.5, max=LONGEST_WAIT)(state)
