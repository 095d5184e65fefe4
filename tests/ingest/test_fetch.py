"""The way to the network: what it refuses, what it bounds, what it makes of answers."""

from __future__ import annotations

import gzip
import inspect
import ipaddress
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import httpcore
import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from index.errors import SourceError, Unreachable
from ingest.fetch import LONGEST_WAIT, MOST_REDIRECTS, MOST_TRIES, Fetcher
from ingest.network import VENDOR_ERRORS, is_public, translated

INSIDE = [
    "127.0.0.1",
    "10.1.2.3",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "0.0.0.0",  # noqa: S104 an address to refuse
    "224.0.0.1",
    "239.1.1.1",
    "240.0.0.1",
    "255.255.255.255",
    "::1",
    "::",
    "fe80::1",
    "fc00::1",
    "fec0::1",
    "ff02::1",
    "::ffff:10.0.0.1",
    "::ffff:127.0.0.1",
    "64:ff9b::127.0.0.1",
    "2002:7f00:1::",
]


def fetcher(handler: Any, **options: Any) -> Fetcher:
    options = {"sleep": lambda _: None, **options}
    return Fetcher(transport=httpx.MockTransport(handler), **options)


def literal(address: str) -> str:
    return f"[{address}]" if ":" in address else address


@pytest.mark.parametrize("address", INSIDE)
def test_an_inside_address_is_refused_however_it_is_reached(address: str) -> None:
    def leads_inside(request: httpx.Request) -> httpx.Response:
        assert request.url.host == "public.example", "no request may go inside"
        return httpx.Response(302, headers={"Location": f"http://{literal(address)}/secret"})

    with pytest.raises(SourceError, match="not a public address"):
        fetcher(leads_inside).get(f"http://{literal(address)}/")
    with pytest.raises(SourceError, match="not a public address"):
        fetcher(leads_inside).get("https://public.example/")
    with (
        Fetcher(resolve=lambda *_: ["1.1.1.1", address]) as resolving,
        pytest.raises(SourceError, match="not a pu"),
    ):
        resolving.get("https://public.example/")


@given(st.ip_addresses(v=4))
def test_an_ipv4_address_hidden_in_ipv6_is_judged_as_itself(address: ipaddress.IPv4Address) -> None:
    for prefix in ("::ffff:0:0", "64:ff9b::"):
        hidden = ipaddress.IPv6Address(int(ipaddress.IPv6Address(prefix)) | int(address))
        assert is_public(hidden) == is_public(address)


@pytest.mark.parametrize("spelling", ["2130706433", "0x7f000001", "127.1", "0177.0.0.1"])
def test_an_address_in_disguise_is_seen_through(spelling: str) -> None:
    with Fetcher(sleep=lambda _: None) as made, pytest.raises(SourceError):
        made.get(f"http://{spelling}/")


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.org/a",
        "file:///etc/hostname",
        "gopher://x/",
        "http:///a",
        "example.org/a",
        "http://[::1",
    ],
)
def test_only_web_addresses_are_allowed(url: str) -> None:
    with pytest.raises(SourceError):
        fetcher(lambda request: httpx.Response(200)).get(url)


@pytest.mark.parametrize("url", ["https://ann:secret@example.org/", "https://ann@example.org/"])
def test_credentials_in_an_address_are_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(SourceError, match="user name or password") as caught:
        fetcher(lambda request: httpx.Response(200)).get(url)
    assert "secret" not in str(caught.value)


def test_a_host_is_looked_up_once_and_the_checked_address_is_used(server: Any) -> None:
    server.routes["/a"] = lambda request: request.answer(
        200, b"body", Content_Type="Text/Plain; charset=utf-8"
    )
    asked: list[str] = []

    def resolve(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["192.0.2.1"]

    with Fetcher(allow_private=True, resolve=resolve) as made:
        fetched = made.get(server.url("/a", host="rebound.example"))
    assert asked == ["rebound.example"]
    assert fetched.body == b"body"
    assert fetched.media_type == "text/plain"
    assert server.seen[0].headers["Host"].startswith("rebound.example:")


def test_the_local_server_is_refused_unless_allowed(server: Any) -> None:
    server.routes["/a"] = lambda request: request.answer(200, b"body")
    with Fetcher() as made, pytest.raises(SourceError, match="allow_private_addresses"):
        made.get(server.url("/a"))
    assert not server.seen


def test_redirects_are_followed_to_their_end(server: Any) -> None:
    server.routes["/a"] = lambda request: request.answer(301, Location="/b/")
    server.routes["/b/"] = lambda request: request.answer(307, Location="c.md")
    server.routes["/b/c.md"] = lambda request: request.answer(200, b"end")
    with Fetcher(allow_private=True) as made:
        fetched = made.get(server.url("/a"))
    assert (fetched.body, fetched.url) == (b"end", server.url("/b/c.md"))


def test_redirects_without_end_are_given_up() -> None:
    hops: list[httpx.URL] = []

    def on_and_on(request: httpx.Request) -> httpx.Response:
        hops.append(request.url)
        return httpx.Response(302, headers={"Location": f"/{len(hops)}"})

    with pytest.raises(SourceError, match="redirects more than"):
        fetcher(on_and_on).get("https://example.org/0")
    assert len(hops) == MOST_REDIRECTS + 1


def test_an_unchanged_source_is_not_sent_again(server: Any) -> None:
    def conditional(request: Any) -> None:
        known = request.headers["If-None-Match"] == '"v1"' and request.headers["If-Modified-Since"] == "then"
        request.answer(304 if known else 200, b"" if known else b"text", ETag='"v1"', Last_Modified="then")

    server.routes["/a"] = conditional
    with Fetcher(allow_private=True) as made:
        first = made.get(server.url("/a"))
        again = made.get(server.url("/a"), etag=first.etag, last_modified=first.last_modified)
    assert (first.not_modified, first.body) == (False, b"text")
    assert (again.not_modified, again.body, again.etag) == (True, b"", '"v1"')


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 204])
def test_an_answer_that_is_final_is_not_asked_again(status: int) -> None:
    asked: list[int] = []

    def refuse(request: httpx.Request) -> httpx.Response:
        asked.append(status)
        return httpx.Response(status)

    with pytest.raises(SourceError, match=str(status)) as caught:
        fetcher(refuse).get("https://example.org/")
    assert not caught.value.retry
    assert len(asked) == 1


@pytest.mark.parametrize("status", [429, 500, 502, 503])
def test_a_passing_fault_is_tried_again(status: int) -> None:
    answers = iter([httpx.Response(status), httpx.Response(status), httpx.Response(200, content=b"at last")])
    waits: list[float] = []
    made = fetcher(lambda request: next(answers), sleep=waits.append)
    assert made.get("https://example.org/").body == b"at last"
    assert len(waits) == 2


def test_a_fault_that_stays_is_unreachable() -> None:
    waits: list[float] = []
    with pytest.raises(Unreachable, match="503"):
        fetcher(lambda request: httpx.Response(503), sleep=waits.append).get("https://example.org/")
    assert len(waits) == MOST_TRIES - 1


@pytest.mark.parametrize(
    ("asked", "waited"),
    [
        ("7", 7.0),
        ("100000", LONGEST_WAIT),
        ("Wed, 01 Jan 2020 00:00:00 GMT", 0.0),
        ("Fri, 01 Jan 2100 00:00:00 GMT", LONGEST_WAIT),
    ],
)
def test_a_server_that_asks_for_patience_gets_it_within_reason(asked: str, waited: float) -> None:
    answers = iter([httpx.Response(429, headers={"Retry-After": asked}), httpx.Response(200)])
    waits: list[float] = []
    fetcher(lambda request: next(answers), sleep=waits.append).get("https://example.org/")
    assert waits == [waited]


def test_a_wait_that_is_no_date_falls_back() -> None:
    answers = iter([httpx.Response(429, headers={"Retry-After": "soon"}), httpx.Response(200)])
    waits: list[float] = []
    fetcher(lambda request: next(answers), sleep=waits.append).get("https://example.org/")
    assert 0 < waits[0] <= LONGEST_WAIT


def endless(piece: bytes, sent: list[int]) -> Iterator[bytes]:
    while True:
        sent.append(len(piece))
        yield piece


def test_an_endless_body_is_cut_off() -> None:
    sent: list[int] = []
    made = fetcher(lambda request: httpx.Response(200, content=endless(b"x" * 1000, sent)), max_bytes=10_000)
    with pytest.raises(SourceError, match="larger than the limit"):
        made.get("https://example.org/")
    assert sum(sent) <= 12_000


def test_an_announced_size_is_refused_before_the_body() -> None:
    sent: list[int] = []
    headers = {"Content-Length": "1000000"}
    made = fetcher(
        lambda _: httpx.Response(200, headers=headers, content=endless(b"x", sent)), max_bytes=10_000
    )
    with pytest.raises(SourceError, match="larger than the limit"):
        made.get("https://example.org/")
    assert not sent


def test_what_counts_is_the_size_after_decompression() -> None:
    bomb = gzip.compress(bytes(1_000_000))
    headers = {"Content-Encoding": "gzip"}
    assert len(bomb) < 2000
    with pytest.raises(SourceError, match="larger than the limit"):
        fetcher(lambda _: httpx.Response(200, headers=headers, content=bomb), max_bytes=10_000).get(
            "https://a.example/"
        )
    plain = fetcher(
        lambda _: httpx.Response(200, headers=headers, content=gzip.compress(b"words")), max_bytes=10_000
    )
    assert plain.get("https://a.example/").body == b"words"


@pytest.mark.parametrize("encoding", ["gzip, gzip", "br", "zstd"])
def test_other_encodings_are_refused(encoding: str) -> None:
    with pytest.raises(SourceError, match="encoding"):
        fetcher(
            lambda _: httpx.Response(
                200, headers={"Content-Encoding": encoding}, stream=httpx.ByteStream(b"x")
            )
        ).get("https://example.org/")


@contextmanager
def listening(talk: Callable[[socket.socket, threading.Event], None]) -> Iterator[int]:
    """The port of a server that talks to each that connects until it is told to stop."""
    stop = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as door:

        def serve() -> None:
            while not stop.is_set():
                connection, _ = door.accept()
                with connection, suppress(OSError):
                    talk(connection, stop)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield door.getsockname()[1]
        stop.set()
        with suppress(OSError):
            socket.create_connection(door.getsockname()).close()
        thread.join()


@pytest.mark.parametrize(
    ("head", "end"),
    [
        (b"HTTP/1.1 200 OK\r\nX: ", b"\r\nContent-Length: 0\r\n\r\n"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\n", b""),
    ],
)
def test_a_server_that_drips_is_left_at_the_deadline(head: bytes, end: bytes) -> None:
    """Without a deadline the answer would come, after 200 seconds and more."""

    def drip(connection: socket.socket, stop: threading.Event) -> None:
        connection.sendall(head)
        for _ in range(10_000):
            if stop.wait(0.02):
                return
            connection.sendall(b"x")
        connection.sendall(end)

    made = Fetcher(allow_private=True, timeout=0.3, sleep=lambda _: None)
    with listening(drip) as port, made, pytest.raises(Unreachable):
        made.get(f"http://127.0.0.1:{port}/")


def test_the_name_of_the_host_is_kept_where_the_connection_goes_to_an_address() -> None:
    hello: list[bytes] = []

    def listen(connection: socket.socket, _: threading.Event) -> None:
        hello.append(connection.recv(4096))

    made = Fetcher(allow_private=True, resolve=lambda *_: ["127.0.0.1"], sleep=lambda _: None)
    with listening(listen) as port, made, pytest.raises(Unreachable):
        made.get(f"https://public.example:{port}/")
    assert b"public.example" in hello[0]


def test_a_closed_port_is_unreachable(closed_port: int) -> None:
    with (
        Fetcher(allow_private=True, sleep=lambda _: None) as made,
        pytest.raises(Unreachable, match="cannot be reached"),
    ):
        made.get(f"http://127.0.0.1:{closed_port}/")


def test_a_proxy_in_the_environment_is_not_used(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    server.routes["/a"] = lambda request: request.answer(200, b"direct")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    with Fetcher(allow_private=True) as made:
        assert made.get(server.url("/a")).body == b"direct"


def vendor_errors() -> list[type[Exception]]:
    found = {
        kind
        for module in (httpx, httpcore)
        for _, kind in inspect.getmembers(module, inspect.isclass)
        if issubclass(kind, Exception)
    }
    return sorted(found, key=lambda kind: (kind.__module__, kind.__name__))


def made_of(kind: type[Exception]) -> Exception:
    if kind is httpx.HTTPStatusError:
        request = httpx.Request("GET", "https://example.org")
        return httpx.HTTPStatusError(
            "message", request=request, response=httpx.Response(500, request=request)
        )
    if kind in (httpx.StreamConsumed, httpx.ResponseNotRead, httpx.RequestNotRead, httpx.StreamClosed):
        return kind()
    return kind("message")


@pytest.mark.parametrize("kind", vendor_errors(), ids=lambda kind: f"{kind.__module__}.{kind.__name__}")
def test_no_vendor_error_gets_out(kind: type[Exception]) -> None:
    def fail(request: httpx.Request) -> httpx.Response:
        raise made_of(kind)

    with pytest.raises(SourceError) as caught:
        fetcher(fail).get("https://example.org/")
    assert issubclass(kind, VENDOR_ERRORS)
    passing = issubclass(
        kind,
        httpx.TimeoutException
        | httpx.NetworkError
        | httpx.RemoteProtocolError
        | httpx.ProxyError
        | httpcore.TimeoutException
        | httpcore.NetworkError
        | httpcore.RemoteProtocolError
        | httpcore.ProxyError
        | httpcore.ConnectionNotAvailable,
    )
    assert caught.value.retry == passing


def test_a_message_says_what_happened() -> None:
    assert "no route" in str(translated(httpx.ConnectError("no route")))
    assert "ReadTimeout" in str(translated(httpcore.ReadTimeout()))
