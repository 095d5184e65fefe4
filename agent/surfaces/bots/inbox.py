"""The inbox: what came in is answered exactly once, though platforms deliver it at least once.

    received ──▶ answered ──▶ delivered         dropped: it can be delivered nowhere any more

A message is on the disk before the platform is told that it arrived, and the reply before any of it is shown
as final. After a kill, what was received is asked again, and what was answered is delivered again. To deliver
is to edit placeholders whose ids are on the disk, so doing it twice shows the reply once. A placeholder that
a killed process sent, and whose id it did not note, is looked for in the chat. Where a platform shows bots
nothing of a chat, as Telegram, it is left, and nothing follows it; the reply stands once, in the next one.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Literal

from agent.surfaces.bots.channel import Incoming, Reply
from agent.surfaces.bots.store import Store

if TYPE_CHECKING:
    from pydantic import TypeAdapter

State = Literal["received", "answered", "delivered", "dropped"]


@dataclass(frozen=True, slots=True)
class Entry:
    """A message that is not done with.

    attempts: how often its answer was begun; messages: ids of the messages sent for it; reply: the reply,
    once there is one; plain: whether its markup was refused.
    """

    incoming: Incoming
    state: State
    attempts: int
    messages: tuple[str, ...]
    reply: Reply | None
    plain: bool


class Inbox:
    """The inbox of one platform."""

    def __init__(self, store: Store, platform: str) -> None:
        self._store = store
        self.platform = platform

    def receive(self, incoming: Incoming) -> bool:
        """Takes a message in; False where it was taken in before."""
        now = datetime.now(UTC).isoformat()
        body = json.dumps(asdict(incoming))
        return bool(
            self._store.change(
                (
                    "insert into conversations (conversation, last_at) values (?, ?)"
                    " on conflict (conversation) do update set last_at = excluded.last_at",
                    (incoming.conversation, now),
                ),
                (
                    "insert or ignore into inbox (key, platform, conversation, received_at, state, attempts,"
                    " incoming, messages, plain) values (?, ?, ?, ?, 'received', 0, ?, '[]', 0)",
                    (incoming.key, self.platform, incoming.conversation, now, body),
                ),
            )
        )

    def entry(self, key: str) -> Entry | None:
        """The message of this key; None where it is done with or was erased."""
        found = self._entries("key = ?", key)
        return found[0] if found else None

    def open(self) -> list[Entry]:
        """All that is not done with, in the order in which it came."""
        return self._entries("platform = ?", self.platform)

    def begin(self, key: str) -> None:
        """Notes that an answer is begun."""
        self._store.change(("update inbox set attempts = attempts + 1 where key = ?", (key,)))

    def placed(self, key: str, messages: tuple[str, ...]) -> None:
        """Notes the messages that were sent for it."""
        self._store.change(("update inbox set messages = ? where key = ?", (json.dumps(messages), key)))

    def answered(self, key: str, reply: Reply) -> None:
        """Notes the reply."""
        body = _replies().dump_json(reply).decode()
        self._store.change(("update inbox set state = 'answered', reply = ? where key = ?", (body, key)))

    def misread(self, key: str) -> None:
        """Notes that the platform refused the markup."""
        self._store.change(("update inbox set plain = 1 where key = ?", (key,)))

    def done(self, entry: Entry, state: Literal["delivered", "dropped"]) -> None:
        """Notes the end, and keeps no more than the key, and which messages show which answer."""
        incoming = entry.incoming
        said = entry.messages if state == "delivered" and entry.reply and entry.reply.answer_id else ()
        answer_id = entry.reply.answer_id if entry.reply else ""
        self._store.change(
            *(
                (
                    "insert or replace into said (conversation, message, answer_id)"
                    " select conversation, ?, ? from inbox where key = ?",
                    (message, answer_id, incoming.key),
                )
                for message in said
            ),
            (
                "update inbox set state = ?, incoming = null, reply = null, messages = '[]' where key = ?",
                (state, incoming.key),
            ),
        )

    def moved(self, old: str, new: str) -> None:
        """Notes that a chat has another id. What was sent for open messages is in the old one, and void."""
        place = (f"{self.platform}:{new}:", f"{self.platform}:{old}:")
        mine = [entry.incoming for entry in self.open() if entry.incoming.chat == old]
        change = "update inbox set incoming = ?, messages = '[]' where key = ?"
        self._store.change(
            *((change, (json.dumps(asdict(one.moved(new))), one.key)) for one in mine),
            ("update inbox set conversation = ? where conversation = ?", place),
        )

    def counts(self) -> dict[str, int]:
        """How many messages there are in each state."""
        query = "select state, count(*) from inbox where platform = ? group by state"
        return dict(self._store.rows(query, self.platform))

    def prune(self, days: int) -> None:
        """Forgets the keys of what was done with so many days ago; no platform delivers again that late."""
        before = (datetime.now(UTC) - timedelta(days=days)).isoformat()
        done = "state in ('delivered', 'dropped') and received_at < ?"
        self._store.change((f"delete from inbox where {done}", (before,)))  # noqa: S608

    def _entries(self, where: str, value: str) -> list[Entry]:
        query = (
            "select incoming, state, attempts, messages, reply, plain from inbox"  # noqa: S608
            f" where {where} and state in ('received', 'answered') and incoming is not null order by number"
        )
        return [
            Entry(
                incoming=_incoming(incoming),
                state=state,
                attempts=attempts,
                messages=tuple(json.loads(messages)),
                reply=_replies().validate_json(reply) if reply else None,
                plain=bool(plain),
            )
            for incoming, state, attempts, messages, reply, plain in self._store.rows(query, value)
        ]


def _incoming(body: str) -> Incoming:
    fields = json.loads(body)
    return Incoming(**{**fields, "groups": tuple(fields["groups"])})


@cache
def _replies() -> TypeAdapter[Reply]:
    from pydantic import TypeAdapter

    return TypeAdapter(Reply)
