"""A Discord of our own over loopback: its gateway and its REST API, strict where bots go wrong.

with Guild() as guild:
    guild.say("<@99> What is the base fee?")       # a message in the channel of the guild
    guild.drop(resumable=False)                     # the connection breaks, the session is gone
    guild.away()                                    # an outage of the guild, until guild.back()
    guild.in_chat()                                 # what the bot's messages read now

Events of a session are replayed at RESUME. What a bot may not send is refused with Discord's codes, and noted
in `faults`. `script` may answer a call before the API does, and `after` may keep an answer back.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from aiohttp import WSMsgType, web

from tests.conftest import HANG

TOKEN = "MTIzNDU2Nzg5MDEyMzQ1Njc4.GabcdE.a_token_for_tests_0123456789abcdef"

ME, GUILD, CHANNEL, THREAD, ROLE = 99, 7, 5, 51, 71
"""Ids of the bot, the guild, its channel, a thread in that channel, and a role of all who write there."""

Answer = tuple[int, Any, dict[str, str]]

_EPOCH = 1_420_070_400_000


@dataclass
class Sent:
    """A message of the bot. history: its texts, oldest first; aside: for one user alone."""

    chat: int
    id: int
    body: dict[str, Any]
    aside: bool = False
    history: list[str] = field(default_factory=list)
    buttons: list[dict[str, Any]] = field(default_factory=list)
    file: tuple[str, bytes] | None = None

    @property
    def text(self) -> str:
        return self.history[-1]


@dataclass
class Session:
    """A session of the gateway: its events, and the connection that follows them."""

    events: list[tuple[str, Any]] = field(default_factory=list)
    socket: web.WebSocketResponse | None = None
    valid: bool = True


class Guild:
    """The server. closes: the code with which a new session is refused, if it is; beat: seconds of a beat."""

    def __init__(self, closes: int = 0, beat: float = 20.0) -> None:
        self.messages: dict[int, Sent] = {}
        self.calls: list[tuple[str, str, Any]] = []
        self.faults: list[str] = []
        self.commands: list[dict[str, Any]] = []
        self.counts: Counter[str] = Counter()
        self.said: dict[int, list[dict[str, Any]]] = {}
        self.script: Callable[[str, str, Any], Answer | None] = lambda _method, _path, _body: None
        self.after: Callable[[str, str, Any], Answer | None] = lambda _method, _path, _body: None
        self.closes = closes
        self.members = True
        self.there = True
        self._beat = beat
        self._sessions: dict[str, Session] = {}
        self._interactions: dict[str, dict[str, Any]] = {}
        self._nonces: dict[str, Sent] = {}
        self._numbers = itertools.count(1)
        self._changed = threading.Condition(threading.RLock())
        self._loop = asyncio.new_event_loop()

    def __enter__(self) -> Guild:
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.port = self._do(self._open())
        self.url = f"http://127.0.0.1:{self.port}"
        return self

    def __exit__(self, *_: object) -> None:
        self._do(self._runner.cleanup())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _open(self) -> int:
        app = web.Application(client_max_size=2**24)
        app.router.add_get("/gateway", self._gateway)
        app.router.add_get("/resume", self._gateway)
        app.router.add_route("*", "/api/v10/{path:.*}", self._rest)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        return int(self._runner.addresses[0][1])

    def _do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(HANG)

    # What people do

    def say(self, text: str, user: int = 1, chat: int = CHANNEL, **more: Any) -> int:
        """A message; in a private chat, whose number is 1000 and that of the user, or in the guild."""
        number = self.number()
        message = self._message(number, chat, _user(user), text, **more)
        self.said.setdefault(chat, []).append(message)
        if self.there or chat >= 1000:
            self._do(self._tell("MESSAGE_CREATE", self._live(message)))
        return number

    def away(self) -> None:
        """An outage of the guild: what is said in it is not told."""
        self.there = False
        self._do(self._tell("GUILD_DELETE", {"id": str(GUILD), "unavailable": True}))

    def back(self) -> None:
        """The end of the outage."""
        self.there = True
        self._do(self._tell("GUILD_CREATE", self._guild()))

    def slash(self, name: str, text: str = "", user: int = 1, chat: int = CHANNEL) -> int:
        """A slash command."""
        options = [{"name": "text", "type": 3, "value": text}] if text else []
        return self._interact({"id": "3", "name": name, "type": 1, "options": options}, 2, user, chat)

    def press(self, sent: Sent, label: str, user: int = 1) -> int:
        """A press of a button of a message."""
        data = next(one["custom_id"] for one in sent.buttons if one["label"] == label)
        press = {"custom_id": data, "component_type": 2}
        return self._interact(press, 3, user, sent.chat, message=self.shown(sent))

    def drop(self, how: str = "abort", *, resumable: bool = True) -> None:
        """Ends the connection: abort, a close code, or op 7; the session may be resumed, or is gone."""
        self._do(self._drop(how, resumable=resumable))

    def in_chat(self, chat: int = CHANNEL) -> list[Sent]:
        """What the bot said in a chat, in order."""
        return [sent for _, sent in sorted(self.messages.items()) if sent.chat == chat]

    def wait(self, until: Callable[[], object]) -> None:
        """Waits until something holds, looking after each call and now and then. Fails where it does not."""
        end = time.monotonic() + HANG
        with self._changed:
            while not until():
                assert time.monotonic() < end, f"it did not come about in time: {self.counts}"
                self._changed.wait(0.1)

    def number(self) -> int:
        """A new id, which holds the time, as Discord's do."""
        return (int(time.time() * 1000) - _EPOCH << 22) + next(self._numbers) % (1 << 22)

    def shown(self, sent: Sent) -> dict[str, Any]:
        """A message of the bot as Discord tells it."""
        reference = sent.body.get("message_reference")
        more = {"type": 19, "message_reference": reference} if reference else {}
        return self._message(sent.id, sent.chat, _user(ME), sent.text if sent.history else "", **more)

    # The gateway

    async def _gateway(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_json({"op": 10, "d": {"heartbeat_interval": int(self._beat * 1000)}})
        async for frame in socket:
            if frame.type is not WSMsgType.TEXT:
                break
            said = json.loads(frame.data)
            if said["op"] == 1:
                await socket.send_json({"op": 11})
            elif said["op"] in (2, 6) and said["d"]["token"] != TOKEN:
                await socket.close(code=4004)
            elif said["op"] == 2:
                await self._identify(socket, said["d"])
            elif said["op"] == 6:
                await self._resume(socket, said["d"])
        return socket

    async def _identify(self, socket: web.WebSocketResponse, said: dict[str, Any]) -> None:
        self.counts["identify"] += 1
        if self.closes:
            await socket.close(code=self.closes)
            return
        if not said["intents"] & 1 << 15:
            self.faults.append("the text of messages is not asked for")
        for old in self._sessions.values():
            old.valid = False
        name = f"s{len(self._sessions)}"
        self._sessions[name] = Session(socket=socket)
        ready = {
            "v": 10,
            "user": _user(ME),
            "guilds": [{"id": str(GUILD), "unavailable": True}],
            "session_id": name,
            "resume_gateway_url": f"ws://127.0.0.1:{self.port}/resume",
            "application": {"id": str(ME), "flags": 0},
        }
        await self._tell("READY", ready)
        if self.there:
            await self._tell("GUILD_CREATE", self._guild())

    async def _resume(self, socket: web.WebSocketResponse, said: dict[str, Any]) -> None:
        session = self._sessions.get(said["session_id"])
        if session is None or not session.valid:
            self.counts["refused"] += 1
            await socket.send_json({"op": 9, "d": False})
            return
        self.counts["resumed"] += 1
        session.socket = None
        for at in range(said["seq"], len(session.events)):
            await self._send(socket, session, at)
        session.socket = socket
        await self._tell("RESUMED", {"_trace": []})

    async def _tell(self, kind: str, data: Any) -> None:
        """An event to the session that is valid, whether it is connected or not."""
        for session in self._sessions.values():
            if session.valid:
                session.events.append((kind, data))
                if session.socket is not None:
                    await self._send(session.socket, session, len(session.events) - 1)

    async def _send(self, socket: web.WebSocketResponse, session: Session, at: int) -> None:
        kind, data = session.events[at]
        try:
            await socket.send_json({"op": 0, "t": kind, "s": at + 1, "d": data})
        except (ConnectionError, RuntimeError):
            session.socket = None

    async def _drop(self, how: str, *, resumable: bool) -> None:
        for session in self._sessions.values():
            socket, session.socket = session.socket, None
            session.valid = session.valid and resumable
            if socket is None:
                continue
            self.counts["dropped"] += 1
            if how == "abort":
                transport = socket._req.transport if socket._req else None
                if transport is not None:
                    transport.abort()
            elif how == "reconnect":
                await socket.send_json({"op": 7, "d": None})
            elif how == "invalid":
                await socket.send_json({"op": 9, "d": resumable})
            else:
                await socket.close(code=int(how))

    def _interact(self, data: dict[str, Any], kind: int, user: int, chat: int, **more: Any) -> int:
        number = self.number()
        token = f"interaction-token-{number}"
        private = chat >= 1000
        who = {"user": _user(user)} if private else {"member": {**_member(), "user": _user(user)}}
        place = {"id": str(chat), "type": 1 if private else 0, "name": "c"}
        if chat == THREAD:
            place = self._guild()["threads"][0]
        told = {
            "id": str(number),
            "application_id": str(ME),
            "type": kind,
            "data": data,
            "token": token,
            "version": 1,
            "channel": place,
            "channel_id": str(chat),
            "attachment_size_limit": 2**20,
            "app_permissions": "8",
            "entitlements": [],
            **({} if private else {"guild_id": str(GUILD)}),
            **who,
            **more,
        }
        self._interactions[token] = {"chat": chat, "first": None, "over": False}
        self._do(self._tell("INTERACTION_CREATE", told))
        return number

    def lapse(self) -> None:
        """Ends what is open of interactions, as time does."""
        for interaction in self._interactions.values():
            interaction["over"] = True

    # REST

    async def _rest(self, request: web.Request) -> web.Response:
        body, file = await _body(request)
        path = "/" + request.match_info["path"]
        with self._changed:
            try:
                self.calls.append((request.method, path, body))
                status, answer, headers = self._answer(request, path, body, file)
            finally:
                self._changed.notify_all()
        if status == 204:
            return web.Response(status=204)
        told = json.dumps(answer).encode()
        return web.Response(body=told, content_type="application/json", status=status, headers=headers)

    def _answer(self, request: web.Request, path: str, body: Any, file: tuple[str, bytes] | None) -> Answer:
        scripted = self.script(request.method, path, body)
        if scripted is not None:
            return scripted
        open_to_all = path.startswith(("/interactions/", "/webhooks/"))
        if not open_to_all and request.headers.get("Authorization") != f"Bot {TOKEN}":
            return refused(401, 0, "401: Unauthorized")
        for method, pattern, serve in _ROUTES:
            found = re.fullmatch(pattern, path)
            if method == request.method and found:
                answer = serve(self, *found.groups(), body=body, file=file, query=request.query)
                return self.after(request.method, path, body) or answer
        self.faults.append(f"no such call: {request.method} {path}")
        return refused(404, 0, "404: Not Found")

    def _me(self, **_: Any) -> Answer:
        return 200, _user(ME), {}

    def _application(self, **_: Any) -> Answer:
        told = {"id": str(ME), "name": "app", "description": "", "icon": None, "bot_public": True}
        return 200, {**told, "bot_require_code_grant": False, "verify_key": "", "owner": _user(2)}, {}

    def _list(self, *, body: Any, **_: Any) -> Answer:
        for command in body:
            options = command.get("options", [])
            names = [command["name"], *(option["name"] for option in options)]
            told = [command["description"], *(option["description"] for option in options)]
            if not all(re.fullmatch(r"[-_a-z0-9]{1,32}", name) for name in names):
                self.faults.append(f"no names of commands: {names}")
            if not all(1 <= len(one) <= 100 for one in told):
                self.faults.append(f"no descriptions: {told}")
        self.commands = body
        return 200, body, {}

    def _post(self, chat: str, *, body: Any, file: tuple[str, bytes] | None, **_: Any) -> Answer:
        sent = Sent(int(chat), self.number(), body)
        if body.get("enforce_nonce"):
            sent = self._nonces.setdefault(body["nonce"], sent)
        return (200, self.shown(sent), {}) if sent.history else self._put(sent, body, file, new=True)

    def _patch(self, chat: str, number: str, *, body: Any, file: Any, **_: Any) -> Answer:
        sent = self.messages.get(int(number))
        if sent is None or sent.chat != int(chat) or sent.aside:
            return refused(404, 10008, "Unknown Message")
        return self._put(sent, body, file)

    def _channel(self, chat: str, **_: Any) -> Answer:
        if int(chat) >= 1000:
            return 200, {"id": chat, "type": 1, "recipients": [_user(int(chat) - 1000)]}, {}
        told = next(one for one in self._guild()["channels"] if one["id"] == chat)
        return 200, {**told, "guild_id": str(GUILD)}, {}

    def _history(self, chat: str, *, query: Any, **_: Any) -> Answer:
        after, most = int(query.get("after", 0)), int(query.get("limit", 50))
        mine = [self.shown(sent) for sent in self.in_chat(int(chat)) if not sent.aside]
        said = sorted([*self.said.get(int(chat), []), *mine], key=lambda one: int(one["id"]))
        found = [one for one in said if int(one["id"]) > after][:most]
        self.counts["read"] += 1
        return 200, found[::-1], {}

    def _fetch_member(self, _guild: str, user: str, **_: Any) -> Answer:
        return (
            (200, {**_member(), "user": _user(int(user))}, {})
            if self.members
            else refused(404, 10007, "Unknown Member")
        )

    def _callback(self, _number: str, token: str, *, body: Any, file: Any, **_: Any) -> Answer:
        interaction = self._interactions[token]
        if interaction["over"]:
            return refused(404, 10062, "Unknown interaction")
        if interaction["first"] is not None:
            return refused(400, 40060, "Interaction has already been acknowledged.")
        data = body.get("data") or {}
        sent = Sent(interaction["chat"], self.number(), data, aside=bool(data.get("flags", 0) & 64))
        interaction["first"], interaction["waiting"] = sent, body["type"] == 5
        self.counts["deferred"] += body["type"] == 5
        told = {"interaction": {"id": "1", "type": 2, "response_message_id": str(sent.id)}}
        if body["type"] == 5:
            sent.history.append("thinking")
            self.messages[sent.id] = sent
            return 200, told, {}
        answer = self._put(sent, data, file, new=True)
        return (200, told, {}) if answer[0] == 200 else answer

    def _follow(self, _app: str, token: str, *, body: Any, file: Any, **_: Any) -> Answer:
        interaction = self._interactions[token]
        if interaction["over"] or interaction["first"] is None:
            return refused(404, 10015, "Unknown Webhook")
        if interaction["waiting"]:
            interaction["waiting"] = False
            return self._put(interaction["first"], body, file, new=True)
        sent = Sent(interaction["chat"], self.number(), body, aside=bool(body.get("flags", 0) & 64))
        return self._put(sent, body, file, new=True)

    def _original(self, _app: str, token: str, **_: Any) -> Answer:
        interaction = self._interactions[token]
        if interaction["over"] or interaction["first"] is None:
            return refused(404, 10015, "Unknown Webhook")
        return 200, self.shown(interaction["first"]), {}

    def _follow_edit(self, _app: str, token: str, number: str, *, body: Any, file: Any, **_: Any) -> Answer:
        if self._interactions[token]["over"]:
            return refused(401, 50027, "Invalid Webhook Token")
        sent = self.messages.get(int(number))
        return refused(404, 10008, "Unknown Message") if sent is None else self._put(sent, body, file)

    def _put(self, sent: Sent, body: Any, file: tuple[str, bytes] | None, *, new: bool = False) -> Answer:
        text, rows = body.get("content") or "", body.get("components") or []
        buttons = [button for row in rows for button in row["components"]]
        faults = [f"{len(text)} characters"] if not 0 < len(text.strip()) <= len(text) <= 2000 else []
        mentions = body.get("allowed_mentions") or {}
        if mentions.get("parse") != [] or mentions.get("replied_user"):
            faults.append(f"mentions are not disarmed: {mentions}")
        if new and not body.get("flags", 0) & 4:
            faults.append("link previews are not off")
        if any(len(row["components"]) > 5 for row in rows) or len(rows) > 5:
            faults.append("too many buttons")
        faults += [
            f"no button: {button}"
            for button in buttons
            if not (1 <= len(button["custom_id"]) <= 100 and 1 <= len(button["label"]) <= 80)
        ]
        if faults:
            self.faults += faults
            return refused(400, 50035, f"Invalid Form Body: {faults[0]}")
        sent.history.append(text)
        sent.buttons, sent.file = buttons, file
        self.messages[sent.id] = sent
        return 200, self.shown(sent), {}

    # What Discord tells

    def _message(self, number: int, chat: int, user: Any, text: str, **more: Any) -> dict[str, Any]:
        return {
            "id": str(number),
            "channel_id": str(chat),
            "author": user,
            "content": text,
            "timestamp": "2026-01-01T00:00:00+00:00",
            "edited_timestamp": None,
            "tts": False,
            "mention_everyone": False,
            "mentions": [_user(ME)] if f"<@{ME}>" in text else [],
            "mention_roles": [],
            "attachments": [],
            "embeds": [],
            "pinned": False,
            "type": 0,
            **more,
        }

    def _live(self, message: dict[str, Any]) -> dict[str, Any]:
        """A message as the gateway tells it, which the history does with less."""
        if int(message["channel_id"]) >= 1000:
            return message
        return {**message, "guild_id": str(GUILD), "member": _member()}

    def replying(self, sent: Sent) -> dict[str, Any]:
        """Fields of a message that replies to one of the bot."""
        reference = {"message_id": str(sent.id), "channel_id": str(sent.chat)}
        return {"type": 19, "message_reference": reference, "referenced_message": self.shown(sent)}

    def _guild(self) -> dict[str, Any]:
        lasts = {chat: said[-1]["id"] for chat, said in self.said.items()}
        plain = {"permission_overwrites": [], "nsfw": False, "parent_id": None, "topic": None, "position": 0}
        channel = {"id": str(CHANNEL), "type": 0, "name": "c", **plain, "last_message_id": lasts.get(CHANNEL)}
        thread = {
            "id": str(THREAD),
            "type": 11,
            "name": "t",
            "guild_id": str(GUILD),
            "parent_id": str(CHANNEL),
            "owner_id": "1",
            "last_message_id": lasts.get(THREAD),
            "message_count": 1,
            "member_count": 1,
            "rate_limit_per_user": 0,
            "thread_metadata": {
                "archived": False,
                "auto_archive_duration": 60,
                "archive_timestamp": "2026-01-01T00:00:00+00:00",
                "locked": False,
            },
        }
        roles = [
            _role(GUILD, "@everyone"),
            _role(ROLE, "readers"),
            _role(72, "bot", tags={"bot_id": str(ME)}),
        ]
        return {
            "id": str(GUILD),
            "name": "g",
            "icon": None,
            "owner_id": "2",
            "channels": [channel],
            "threads": [thread],
            "roles": roles,
            "members": [{**_member(), "user": _user(ME)}],
            **dict.fromkeys(("emojis", "features", "presences", "voice_states", "stage_instances"), ()),
            **dict.fromkeys(("guild_scheduled_events", "stickers", "soundboard_sounds"), ()),
            **dict.fromkeys(("verification_level", "default_message_notifications", "mfa_level"), 0),
            **dict.fromkeys(("explicit_content_filter", "premium_tier", "nsfw_level", "afk_timeout"), 0),
            **dict.fromkeys(("system_channel_flags", "premium_subscription_count"), 0),
            "member_count": 2,
            "preferred_locale": "en-US",
            "joined_at": "2026-01-01T00:00:00+00:00",
            "large": False,
            "unavailable": False,
        }


_ROUTES: list[tuple[str, str, Any]] = [
    ("GET", "/users/@me", Guild._me),
    ("GET", "/oauth2/applications/@me", Guild._application),
    ("PUT", r"/applications/\d+/commands", Guild._list),
    ("GET", r"/channels/(\d+)", Guild._channel),
    ("POST", r"/channels/(\d+)/messages", Guild._post),
    ("PATCH", r"/channels/(\d+)/messages/(\d+)", Guild._patch),
    ("GET", r"/channels/(\d+)/messages", Guild._history),
    ("GET", r"/guilds/(\d+)/members/(\d+)", Guild._fetch_member),
    ("POST", r"/interactions/(\d+)/([^/]+)/callback", Guild._callback),
    ("POST", r"/webhooks/(\d+)/([^/]+)", Guild._follow),
    ("GET", r"/webhooks/(\d+)/([^/]+)/messages/@original", Guild._original),
    ("PATCH", r"/webhooks/(\d+)/([^/]+)/messages/(\d+)", Guild._follow_edit),
]


async def _body(request: web.Request) -> tuple[Any, tuple[str, bytes] | None]:
    if not request.content_type.startswith("multipart"):
        return await request.json() if request.can_read_body else None, None
    form = await request.post()
    files = [one for one in form.values() if isinstance(one, web.FileField)]
    body = json.loads(str(form["payload_json"]))
    return body, (files[0].filename, files[0].file.read()) if files else None


def _user(number: int) -> dict[str, Any]:
    name = {"id": str(number), "username": f"u{number}", "discriminator": "0", "global_name": None}
    return {**name, "avatar": None, "bot": number == ME}


def _member() -> dict[str, Any]:
    return {
        "roles": [str(ROLE)],
        "joined_at": "2026-01-01T00:00:00+00:00",
        "deaf": False,
        "mute": False,
        "flags": 0,
    }


def _role(number: int, name: str, **more: Any) -> dict[str, Any]:
    colors = {"primary_color": 0, "secondary_color": None, "tertiary_color": None}
    looks = {"color": 0, "colors": colors, "hoist": False, "position": 0, "mentionable": False}
    return {
        "id": str(number),
        "name": name,
        "permissions": "8",
        "managed": False,
        "flags": 0,
        **looks,
        **more,
    }


def refused(status: int, code: int, text: str) -> Answer:
    return status, {"code": code, "message": text}, {}


def wait_for(seconds: float, *, via: bool = True) -> Answer:
    """429; without `via`, as what stands before Discord says it."""
    told = {"message": "You are being rate limited.", "retry_after": seconds, "global": False}
    headers = {
        "Retry-After": str(seconds),
        "X-RateLimit-Limit": "5",
        "X-RateLimit-Remaining": "0",
        "X-RateLimit-Reset-After": str(seconds),
        "X-RateLimit-Bucket": "b",
        "X-RateLimit-Scope": "user",
    }
    return 429, told, {**headers, **({"Via": "1.1 google"} if via else {})}
