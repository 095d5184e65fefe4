"""A chat endpoint of our own over loopback, spoken to as OpenAI's, which says and breaks what a script tells.

with Endpoint([say("The base fee is burned [1]."), status(429, retry_after="1")]) as endpoint:
    ...  # base_url=endpoint.url
    endpoint.requests[0].body["messages"]

A script is one reply (given to every request), a list of replies (one a request, in order; a request beyond
the last is answered with status 400 and `endpoint.exhausted` is set), or a function of a request.
"""

from __future__ import annotations

import asyncio
import json
import selectors
import threading
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal, TypeVar

Done = TypeVar("Done")

Fault = Literal["cut", "truncated", "done", "malformed", "stall", "empty", "error", "html"]
FAULTS: tuple[Fault, ...] = ("cut", "truncated", "done", "malformed", "stall", "empty", "error", "html")


@dataclass(frozen=True)
class Call:
    """A tool call of the model. arguments: JSON text, which need not parse."""

    name: str
    arguments: str
    id: str = ""


@dataclass(frozen=True)
class Reply:
    """What the endpoint answers one request with.

    finish: the finish reason, else "stop", or "tool_calls" where there are calls.
    fault: what goes wrong after `after` pieces of the text:
      cut (the connection is closed inside a chunk), truncated (the stream ends without finish reason or
      [DONE]), done (the stream ends with [DONE] and no finish reason), malformed (a chunk is `raw`, and the
      stream ends as it should), stall (nothing more comes), empty (no choices at all), error (an error object
      inside the stream), html (a page with status 200).
    before: what is done before the first piece; pace: seconds before each further one.
    usage: tokens in, out, and how many of those in were cached; None: not reported.
    model: the model that says it answered, else the one asked for.
    status: an HTTP status other than 200 answers with an error of this `code` and `message`.
    body: what is sent as it is, with `content_type`, instead of all this.
    """

    text: str = ""
    calls: tuple[Call, ...] = ()
    finish: str | None = None
    fault: Fault | None = None
    after: int = 1
    raw: str = '{"id": "x", "choices": [{"delta": {"content": '
    before: Callable[[], object] = int
    pace: float = 0.0
    usage: tuple[int, int, int] | None = (100, 20, 0)
    model: str | None = None
    status: int = 200
    code: str | None = None
    message: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str | None = None
    content_type: str = "text/event-stream"

    @property
    def reason(self) -> str:
        return self.finish or ("tool_calls" if self.calls else "stop")

    @property
    def pieces(self) -> list[str]:
        """The text in the pieces that a stream sends it in: its words."""
        words = self.text.split(" ")
        return [word + " " for word in words[:-1]] + words[-1:]


@dataclass(frozen=True)
class Request:
    """What reached the endpoint; names of headers are in lower case."""

    path: str
    headers: Mapping[str, str]
    body: dict[str, Any]

    @property
    def text(self) -> str:
        """All that the messages say, joined."""
        return "\n".join(str(message.get("content") or "") for message in self.body.get("messages", ()))


Script = Reply | Sequence[Reply] | Callable[[Request], Reply]


def say(text: str, **more: Any) -> Reply:
    """An answer in words."""
    return Reply(text=text, **more)


def call(name: str, /, text: str = "", **arguments: Any) -> Reply:
    """An answer that calls one tool; join several with `calls`."""
    return Reply(text=text, calls=(Call(name, json.dumps(arguments)),))


def calls(*some: Call, text: str = "") -> Reply:
    """An answer that calls several tools, or one with arguments as they are."""
    return Reply(text=text, calls=some)


def broken(fault: Fault, text: str = "The base fee is burned [1].", after: int = 1, **more: Any) -> Reply:
    """An answer that goes wrong after some of its pieces."""
    return Reply(text=text, fault=fault, after=after, **more)


def status(number: int, retry_after: str | None = None, code: str | None = None, message: str = "") -> Reply:
    """An HTTP error."""
    headers = {} if retry_after is None else {"Retry-After": retry_after}
    return Reply(status=number, code=code, message=message or f"status {number}", headers=headers)


class Endpoint:
    """The server. Requests are answered by threads, so several may be open at once.

    key: the only API key that it takes, else any. most: the most requests that were open at one time.
    """

    def __init__(self, script: Script, key: str | None = None) -> None:
        self._script = script
        self._key = key
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self.silent = threading.Event()
        self._open = 0
        self.most = 0
        self.exhausted = False
        self.requests: list[Request] = []

    @property
    def url(self) -> str:
        """The base URL to give to a client."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def __enter__(self) -> Endpoint:
        self._server = _Server(self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def run(self, work: Coroutine[Any, Any, Done]) -> Done:
        """Runs what asks this endpoint; where it stalls, the clock goes on to the next timer at once."""
        with asyncio.Runner(loop_factory=lambda: _Loop(self.silent)) as runner:
            return runner.run(work)

    def stall(self) -> None:
        """Says nothing more."""
        self.silent.set()
        self.wait(3600)
        raise _Cut

    def wait(self, seconds: float) -> None:
        """Holds an answer back, no longer than the server lives."""
        if seconds:
            self._closing.wait(seconds)

    def reply(self, request: Request) -> Reply:
        """The script's answer to a request."""
        if self._key is not None and request.headers.get("authorization") != f"Bearer {self._key}":
            return status(401, code="invalid_api_key", message=f"no key is {self._key[:3]}...")
        with self._lock:
            number = len(self.requests)
            self.requests.append(request)
            if isinstance(self._script, Reply):
                return self._script
            if callable(self._script):
                return self._script(request)
            if number < len(self._script):
                return self._script[number]
            self.exhausted = True
        return status(400, message="the script has no further reply")

    def opened(self) -> None:
        with self._lock:
            self._open += 1
            self.most = max(self.most, self._open)

    def closed(self) -> None:
        with self._lock:
            self._open -= 1


class _Loop(asyncio.SelectorEventLoop):
    """An event loop that waits no longer for what is silent, once all that it said was heard."""

    def __init__(self, silent: threading.Event) -> None:
        self._waiting = _Waiting(silent)
        super().__init__(self._waiting)

    def time(self) -> float:
        return super().time() + self._waiting.skipped


class _Waiting(selectors.DefaultSelector):
    """Waits in short spells; after one that began in silence and brought nothing, the rest is skipped."""

    def __init__(self, silent: threading.Event) -> None:
        super().__init__()
        self.skipped = 0.0
        self._silent = silent

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ends = float("inf") if timeout is None else time.monotonic() + timeout
        while True:
            silent = self._silent.is_set()
            left = max(ends - time.monotonic(), 0.0)
            if (ready := super().select(min(left, 0.05))) or not left:
                return ready
            if silent and timeout is not None:
                self._silent.clear()
                self.skipped += left
                return []


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, endpoint: Endpoint) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.endpoint = endpoint

    def handle_error(self, *_: object) -> None:
        """A client that went away is no news."""


class _Cut(Exception):
    pass


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))))
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request(self.path, headers, body)
        self.server.endpoint.opened()
        try:
            self._answer(self.server.endpoint.reply(request), body)
        except (_Cut, OSError):
            self.close_connection = True
        finally:
            self.server.endpoint.closed()

    def _answer(self, reply: Reply, body: dict[str, Any]) -> None:
        if reply.body is not None:
            self._whole(reply.body, reply.status, {"Content-Type": reply.content_type})
        elif reply.status != 200:
            error = {"message": reply.message, "type": "error", "code": reply.code, "param": None}
            self._whole(json.dumps({"error": error}), reply.status, reply.headers)
        elif reply.fault == "html":
            reply.before()
            self._whole("<html>Back soon</html>", 200, {"Content-Type": "text/html"})
        elif body.get("stream"):
            self._stream(reply, body)
        else:
            reply.before()
            self._complete(replace(reply, model=reply.model or body["model"]))

    def _whole(self, text: str, number: int = 200, headers: Mapping[str, str] | None = None) -> None:
        raw = text.encode()
        self.send_response(number)
        for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def _complete(self, reply: Reply) -> None:
        answer = json.dumps(_completion(reply))
        if reply.fault == "malformed":
            answer = answer[: len(answer) // 2]
        if reply.fault == "stall":
            self.server.endpoint.stall()
        if reply.fault == "cut":
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer) + 100))
            self.end_headers()
            self.wfile.write(answer.encode())
            raise _Cut
        self._whole(answer)

    def _stream(self, reply: Reply, body: dict[str, Any]) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        reply = replace(reply, model=reply.model or body["model"])
        reported = (body.get("stream_options") or {}).get("include_usage", False)
        for at, event in enumerate(_events(reply, reported)):
            if at:
                self.server.endpoint.wait(reply.pace)
            else:
                reply.before()
            if event == "stall":
                self.server.endpoint.stall()
            if event == "cut":
                self.wfile.write(b'ff\r\ndata: {"id": "x", "choi')
                raise _Cut
            raw = f"data: {event}\n\n".encode()
            self.wfile.write(f"{len(raw):x}\r\n".encode() + raw + b"\r\n")
            self.wfile.flush()
        self.wfile.write(b"0\r\n\r\n")

    def log_message(self, format: str, *_: Any) -> None:  # noqa: A002
        """Tests are quiet."""


def _events(reply: Reply, reported: bool) -> Iterator[str]:
    """The data of each event in turn; "stall" and "cut" are for the connection."""
    if reply.fault == "empty":
        yield _chunk(reply, None)
        yield "[DONE]"
        return
    yield _chunk(reply, {"role": "assistant", "content": ""})
    for at, piece in enumerate(reply.pieces if reply.text else ()):
        if reply.fault and at == reply.after:
            break
        yield _chunk(reply, {"content": piece})
    if reply.fault:
        yield from _broken_end(reply)
        return
    for at, one in enumerate(reply.calls):
        head = {"index": at, "id": one.id or f"call_{at}", "type": "function"}
        yield _chunk(reply, {"tool_calls": [{**head, "function": {"name": one.name, "arguments": ""}}]})
        for half in (one.arguments[: len(one.arguments) // 2], one.arguments[len(one.arguments) // 2 :]):
            yield _chunk(reply, {"tool_calls": [{"index": at, "function": {"arguments": half}}]})
    yield _chunk(reply, {}, reply.reason)
    if reported and reply.usage:
        yield _chunk(reply, None, usage=_usage(reply.usage))
    yield "[DONE]"


def _broken_end(reply: Reply) -> Iterator[str]:
    if reply.fault in ("stall", "cut"):
        yield reply.fault
    elif reply.fault == "malformed":
        yield reply.raw
        yield _chunk(reply, {}, reply.reason)
        yield "[DONE]"
    elif reply.fault == "error":
        yield json.dumps({"error": {"message": "the model fell over", "type": "server_error", "code": None}})
    elif reply.fault == "done":
        yield "[DONE]"


def _chunk(
    reply: Reply, delta: dict[str, Any] | None, finish: str | None = None, usage: dict[str, Any] | None = None
) -> str:
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish}]
    chunk = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": reply.model}
    return json.dumps({**chunk, "choices": choices, "usage": usage})


def _completion(reply: Reply) -> dict[str, Any]:
    truncated = reply.fault in ("truncated", "done", "error")
    text = "".join(reply.pieces[: reply.after]) if truncated else reply.text
    message: dict[str, Any] = {"role": "assistant", "content": text}
    if reply.calls:
        message["tool_calls"] = [
            {
                "id": one.id or f"call_{at}",
                "type": "function",
                "function": {"name": one.name, "arguments": one.arguments},
            }
            for at, one in enumerate(reply.calls)
        ]
    choice = {"index": 0, "message": message, "finish_reason": None if truncated else reply.reason}
    answer = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": reply.model}
    choices = [] if reply.fault == "empty" else [choice]
    return {**answer, "choices": choices, **({"usage": _usage(reply.usage)} if reply.usage else {})}


def _usage(tokens: tuple[int, int, int]) -> dict[str, Any]:
    read, written, cached = tokens
    details = {"cached_tokens": cached}
    total = {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}
    return {**total, "prompt_tokens_details": details}
