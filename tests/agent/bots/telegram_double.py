"""A Bot API of our own over loopback, as strict as Telegram's where bots go wrong.

with BotApi() as api:
    api.say("What is the base fee?", user=7)        # an update, delivered until its offset is confirmed
    api.messages                                      # what stands in the chats now

Updates are redelivered at random: some are given once more after they were confirmed.
A text that Telegram would refuse is refused with Telegram's words, and noted in
`faults`. `script` may answer a call before the API does.
"""

from __future__ import annotations

import json
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from email.parser import BytesParser
from email.policy import HTTP
from html.parser import HTMLParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tests.conftest import HANG

TOKEN = "123456789:AAE-a_token_for_tests_0123456789abc"

Answer = tuple[int, dict[str, Any]]

_TAGS = {"b", "i", "code", "pre", "a", "blockquote"}


class Entities(HTMLParser):
    """Reads HTML as Telegram does: its tags alone, well nested, nothing inside code. text: what is read."""

    def __init__(self, markup: str) -> None:
        super().__init__(convert_charrefs=False)
        self.text = ""
        self.entities: list[tuple[str, int, int, str]] = []
        self.faults: list[str] = []
        self._open: list[tuple[str, int, str]] = []
        self.feed(markup)
        self.close()
        if self._open:
            self.faults.append(f"can't find end tag corresponding to start tag {self._open[-1][0]}")

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        inside = [one for one, _, _ in self._open]
        if tag not in _TAGS:
            self.faults.append(f'unsupported start tag "{tag}"')
        if "code" in inside or (inside and inside[-1] == "pre" and tag != "code"):
            self.faults.append("nested entity in code")
        if tag in inside:
            self.faults.append(f"nested {tag}")
        url = dict(attrs).get("href") or ""
        if tag == "a" and urlsplit(url).scheme not in ("http", "https"):
            self.faults.append(f"link to {url!r}")
        self._open.append((tag, self._length(), url))

    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open[-1][0] != tag:
            self.faults.append(f"unexpected end tag {tag}")
            return
        _, start, url = self._open.pop()
        if tag == "code" and self._open and self._open[-1][0] == "pre":
            return
        if self._length() == start:
            self.faults.append(f"empty {tag}")
        self.entities.append((tag, start, self._length() - start, url))

    def handle_data(self, data: str) -> None:
        if "<" in data or ">" in data:
            self.faults.append(f"a bare angle in {data[:20]!r}")
        self.text += data

    def handle_entityref(self, name: str) -> None:
        known = {"lt": "<", "gt": ">", "amp": "&", "quot": '"'}
        if name not in known:
            self.faults.append(f"entity &{name}; is unknown")
        self.text += known.get(name, "")

    def handle_charref(self, name: str) -> None:
        self.text += chr(int(name[1:], 16) if name.startswith("x") else int(name))

    def handle_comment(self, data: str) -> None:
        self.faults.append("a comment")

    def unknown_decl(self, data: str) -> None:
        self.faults.append("a declaration")

    handle_decl = handle_pi = handle_comment

    def _length(self) -> int:
        return units(self.text)


def units(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def faults_of(markup: str, mode: str | None) -> tuple[Entities | None, list[str]]:
    """What Telegram would hold against a text, and its entities."""
    read = Entities(markup) if mode == "HTML" else None
    text = read.text if read else markup
    faults = list(read.faults) if read else []
    if not text.strip():
        faults.append("message text is empty")
    if units(text) > 4096:
        faults.append(f"message is too long: {units(text)}")
    if read and len(read.entities) > 100:
        faults.append(f"{len(read.entities)} entities")
    return read, faults


@dataclass
class Sent:
    """A message of the bot. history: its texts, oldest first; file: name and bytes, if it has one."""

    chat: int
    id: int
    call: dict[str, Any]
    history: list[str] = field(default_factory=list)
    entities: list[tuple[str, int, int, str]] = field(default_factory=list)
    buttons: list[dict[str, Any]] = field(default_factory=list)
    file: tuple[str, bytes] | None = None

    @property
    def text(self) -> str:
        return self.history[-1]


class BotApi:
    """The server. again: the chance that an update is given once more after it was confirmed."""

    def __init__(self, again: float = 0.0, seed: int = 0) -> None:
        self.messages: dict[tuple[int, int], Sent] = {}
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.faults: list[str] = []
        self.given: Counter[int] = Counter()
        self.script: Callable[[str, dict[str, Any]], Answer | None] = lambda _method, _call: None
        self.bare = False
        self._updates: dict[int, dict[str, Any]] = {}
        self._stale: list[dict[str, Any]] = []
        self._again = again
        self._random = random.Random(seed)
        self._numbers = 1000
        self._changed = threading.Condition()
        self._over = False

    def __enter__(self) -> BotApi:
        api = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                api._serve(self)

            def log_message(self, *_: Any) -> None:
                """Says nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.handle_error = lambda *_: None  # type: ignore[method-assign]
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        ).start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._over = True
            self._changed.notify_all()
        self._server.shutdown()
        self._server.server_close()

    def say(self, text: str | None, user: int = 7, chat: int | None = None, **more: Any) -> int:
        """A message to the bot; more: fields of it. Returns the update's id."""
        place = chat or user
        kind = "private" if place > 0 else "supergroup"
        message = {
            "message_id": self._number(),
            "date": int(time.time()),
            "from": {"id": user, "is_bot": False, "first_name": "U"},
            "chat": {"id": place, "type": kind, "title": "t"} | ({"first_name": "U"} if place > 0 else {}),
            **({} if text is None else {"text": text}),
            **more,
        }
        return self.update(message=message)

    def press(self, sent: Sent, label: str, user: int = 7) -> int:
        """A press of a button of a message."""
        data = next(one["callback_data"] for one in sent.buttons if one["text"] == label)
        return self.update(
            callback_query={
                "id": str(self._number()),
                "from": {"id": user, "is_bot": False, "first_name": "U"},
                "chat_instance": "1",
                "data": data,
                "message": self._message(sent),
            }
        )

    def update(self, **what: Any) -> int:
        """Any update. Returns its id."""
        with self._changed:
            number = self._number()
            self._updates[number] = {"update_id": number, **what}
            self._changed.notify_all()
        return number

    def in_chat(self, chat: int = 7) -> list[Sent]:
        """What the bot said in a chat, in order."""
        return [sent for (place, _), sent in sorted(self.messages.items()) if place == chat]

    def wait(self, until: Callable[[], object]) -> None:
        """Waits until something holds, looking after each call and now and then. Fails where it does not."""
        end = time.monotonic() + HANG
        with self._changed:
            while not until():
                assert time.monotonic() < end, "it did not come about in time"
                self._changed.wait(0.1)

    def _number(self) -> int:
        self._numbers += 1
        return self._numbers

    def _message(self, sent: Sent) -> dict[str, Any]:
        kind = "private" if sent.chat > 0 else "supergroup"
        return {
            "message_id": sent.id,
            "date": int(time.time()),
            "chat": {"id": sent.chat, "type": kind, "title": "t"},
            "from": {"id": 123456789, "is_bot": True, "first_name": "B", "username": "the_bot"},
            "text": sent.text,
        }

    def _serve(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        token, _, method = handler.path.removeprefix("/bot").partition("/")
        call = _fields(handler.headers.get("Content-Type") or "", body)
        status, answer = (404, _error(404, "Not Found")) if token != TOKEN else self._answer(method, call)
        told = json.dumps(answer).encode()
        try:
            handler.send_response(status)
            handler.send_header("Content-Type", "application/json")
            handler.send_header("Content-Length", str(len(told)))
            handler.end_headers()
            handler.wfile.write(told)
        except OSError:
            handler.close_connection = True

    def _answer(self, method: str, call: dict[str, Any]) -> Answer:
        if method == "getUpdates" and self.script(method, call) is None:
            return 200, {"ok": True, "result": self._fetch(call)}
        with self._changed:
            try:
                self.calls.append((method, call))
                scripted = self.script(method, call)
                if scripted is not None:
                    return scripted
                serve = getattr(self, f"_{method}", None)
                return serve(call) if serve else (200, {"ok": True, "result": True})
            finally:
                self._changed.notify_all()

    def _fetch(self, call: dict[str, Any]) -> list[dict[str, Any]]:
        offset = int(call.get("offset") or 0)
        with self._changed:
            for number in [number for number in self._updates if number < offset]:
                confirmed = self._updates.pop(number)
                if self.given[number] == 1 and self._random.random() < self._again:
                    self._stale.append(confirmed)
            self._changed.wait_for(
                lambda: self._updates or self._over, min(float(call.get("timeout") or 0), 5)
            )
            given = [self._updates[number] for number in sorted(self._updates)][
                : int(call.get("limit") or 20)
            ]
            given, self._stale = self._stale + given, []
            self.given.update(one["update_id"] for one in given)
            return given

    def _getMe(self, _call: dict[str, Any]) -> Answer:  # noqa: N802
        me = {"id": 123456789, "is_bot": True, "first_name": "B", "username": "the_bot"}
        return 200, {"ok": True, "result": me}

    def _sendMessage(self, call: dict[str, Any]) -> Answer:  # noqa: N802
        sent = Sent(int(call["chat_id"]), self._number(), call)
        return self._put(sent, call)

    def _editMessageText(self, call: dict[str, Any]) -> Answer:  # noqa: N802
        sent = self.messages.get((int(call["chat_id"]), int(call["message_id"])))
        if sent is None:
            return _bad("message to edit not found")
        return self._put(sent, call)

    def _editMessageMedia(self, call: dict[str, Any]) -> Answer:  # noqa: N802
        sent = self.messages[int(call["chat_id"]), int(call["message_id"])]
        media = json.loads(call["media"])
        sent.file = call[media["media"].removeprefix("attach://")]
        return self._put(sent, {"text": media["caption"], "parse_mode": media.get("parse_mode")})

    def _put(self, sent: Sent, call: dict[str, Any]) -> Answer:
        read, faults = faults_of(call["text"], call.get("parse_mode"))
        if faults:
            self.faults += faults
            return _bad(f"can't parse entities: {faults[0]}")
        text = (read.text if read else call["text"]).strip()
        buttons = [
            b for row in json.loads(call.get("reply_markup") or "{}").get("inline_keyboard", []) for b in row
        ]
        if any(len(button["callback_data"].encode()) > 64 for button in buttons):
            return _bad("BUTTON_DATA_INVALID")
        if sent.history and (sent.text, sent.buttons) == (text, buttons) and sent.file is None:
            return _bad("message is not modified")
        sent.history.append(text)
        sent.entities, sent.buttons = read.entities if read else [], buttons
        self.messages[sent.chat, sent.id] = sent
        return 200, {"ok": True, "result": self._message(sent)}


def _fields(kind: str, body: bytes) -> dict[str, Any]:
    if not kind.startswith("multipart"):
        return dict(parse_qsl(body.decode(), keep_blank_values=True))
    fields: dict[str, Any] = {}
    whole = BytesParser(policy=HTTP).parsebytes(f"Content-Type: {kind}\r\n\r\n".encode() + body)
    for part in whole.iter_parts():  # type: ignore[attr-defined]
        name, content = part.get_param("name", header="content-disposition"), part.get_payload(decode=True)
        fields[name] = (part.get_filename(), content) if part.get_filename() else content.decode()
    return fields


def _error(code: int, text: str) -> dict[str, Any]:
    return {"ok": False, "error_code": code, "description": text}


def _bad(text: str) -> Answer:
    return 400, _error(400, f"Bad Request: {text}")


def forbidden(text: str = "bot was blocked by the user") -> Answer:
    return 403, _error(403, f"Forbidden: {text}")


def wait_for(seconds: int) -> Answer:
    return 429, {**_error(429, "Too Many Requests"), "parameters": {"retry_after": seconds}}


def moved_to(chat: int) -> Answer:
    told = _error(400, "Bad Request: group chat was upgraded to a supergroup chat")
    return 400, {**told, "parameters": {"migrate_to_chat_id": chat}}
