"""The network itself: connections to checked addresses only, each step under one deadline."""

from __future__ import annotations

import ipaddress
import socket
import ssl
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextvars import ContextVar
from typing import Any

import httpcore
import httpx

from index.errors import SourceError, Unreachable

VENDOR_ERRORS = (
    httpx.HTTPError,
    httpx.InvalidURL,
    httpx.CookieConflict,
    httpx.StreamError,
    httpcore.ConnectionNotAvailable,
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.ProxyError,
    httpcore.TimeoutException,
    httpcore.UnsupportedProtocol,
)
"""Every error of the HTTP library is one of these; none leaves this module."""

_PASSING = (
    httpx.NetworkError,
    httpx.RemoteProtocolError,
    httpx.ProxyError,
    httpcore.ConnectionNotAvailable,
    httpcore.NetworkError,
    httpcore.RemoteProtocolError,
    httpcore.ProxyError,
)
_TIMEOUTS = (httpx.TimeoutException, httpcore.TimeoutException)
_NAT64 = ipaddress.ip_network("64:ff9b::/96")

deadline: ContextVar[float] = ContextVar("deadline", default=float("inf"))
"""When the fetch in hand must be over, on the monotonic clock."""

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve = Callable[[str, int], Sequence[str]]
Check = Callable[[str, Address], None]


def is_public(address: Address) -> bool:
    """Whether an address belongs to the public internet, also when an IPv4 address is hidden in IPv6.

    >>> is_public(ipaddress.ip_address("::ffff:127.0.0.1")), is_public(ipaddress.ip_address("1.1.1.1"))
    (False, True)
    """
    if isinstance(address, ipaddress.IPv6Address):
        hidden = address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)
        if address in _NAT64:
            hidden = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if hidden is not None:
            return is_public(hidden)
        if address.is_site_local:
            return False
    return address.is_global and not address.is_multicast and not address.is_reserved


def translated(error: Exception) -> SourceError:
    """An error of the HTTP library as one of ours, which says whether another try may help."""
    detail = str(error) or type(error).__name__
    if isinstance(error, _TIMEOUTS):
        return Unreachable(f"did not answer in time ({detail}); try again later")
    if isinstance(error, _PASSING):
        return Unreachable(f"cannot be reached ({detail}); check the address and the network")
    return SourceError(f"cannot be fetched ({detail}); check the address")


def resolve(host: str, port: int) -> Sequence[str]:
    """The addresses of a host. Raises Unreachable when there is none."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        message = f"the host {host} is not found ({error}); check the address and the network"
        raise Unreachable(message) from None
    return list(dict.fromkeys(str(address[4][0]) for address in found))


class Transport(httpx.BaseTransport):
    """Carries requests over connections to addresses that passed a check.

    resolve: the addresses of a host and port; check: raises SourceError for an address that is not allowed.
    """

    def __init__(self, resolve: Resolve, check: Check) -> None:
        backend = _CheckedBackend(resolve, check)
        self._pool = httpcore.ConnectionPool(httpx.create_ssl_context(), network_backend=backend)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Sends a request and opens its answer."""
        url = request.url
        target = httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path)
        sent = httpcore.Request(
            request.method,
            target,
            headers=request.headers.raw,
            content=request.stream,
            extensions=request.extensions,
        )
        answer = self._pool.handle_request(sent)
        return httpx.Response(
            answer.status, headers=answer.headers, stream=_Stream(answer), extensions=answer.extensions
        )

    def close(self) -> None:
        """Closes all connections."""
        self._pool.close()


class _Stream(httpx.SyncByteStream):
    def __init__(self, answer: httpcore.Response) -> None:
        self._answer = answer

    def __iter__(self) -> Iterator[bytes]:
        return self._answer.iter_stream()

    def close(self) -> None:
        self._answer.close()


class _CheckedBackend(httpcore.NetworkBackend):
    """Looks a host up once, checks every address, and connects to those very addresses."""

    def __init__(self, resolve: Resolve, check: Check) -> None:
        self._resolve = resolve
        self._check = check
        self._sockets = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        """A stream to a host. Raises SourceError when any of its addresses is not allowed."""
        addresses = [ipaddress.ip_address(address.partition("%")[0]) for address in self._resolve(host, port)]
        for address in addresses:
            self._check(host, address)
        fault: Exception = httpcore.ConnectError(f"{host} has no address")
        for address in addresses:
            try:
                return _TimedStream(
                    self._sockets.connect_tcp(
                        str(address), port, _left(timeout), local_address, socket_options
                    )
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                fault = error
        raise fault


class _TimedStream(httpcore.NetworkStream):
    """A stream whose every step also ends at the deadline of the fetch it serves."""

    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self._stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _left(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, _left(timeout))

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        return _TimedStream(self._stream.start_tls(ssl_context, server_hostname, _left(timeout)))

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)

    def close(self) -> None:
        self._stream.close()


def _left(timeout: float | None) -> float:
    """The seconds that a step may take: its own timeout, or what is left until the deadline."""
    left = deadline.get() - time.monotonic()
    if left <= 0:
        raise httpcore.ReadTimeout("the time for the whole fetch is over")
    return left if timeout is None else min(timeout, left)
