"""The surface: what is said to a message, whatever platform it came from."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any

from agent.answers.events import Draft, Final, Step, Withdrawn
from agent.answers.values import EXTRACTIVE, Answer, Answers
from agent.surfaces.bots import render
from agent.surfaces.bots.access import Access, Quota, Quotas
from agent.surfaces.bots.channel import Button, Incoming, Progress, Reply
from agent.surfaces.bots.line import Line
from agent.surfaces.bots.messages import plain, shows
from agent.surfaces.bots.words import WORDS, parted, unknown
from agent.text.render import clean
from index.errors import BudgetError, ChainciteError, SettingsError
from index.values import Filters

if TYPE_CHECKING:
    from pydantic import TypeAdapter

    from agent.answers.verify import Reread
    from agent.session import Session
    from agent.surfaces.bots.gate import Gate
    from agent.surfaces.bots.store import Store
    from index.library import Library
    from index.settings import Settings

Sessions = Callable[[str, str], "Session"]
"""Makes the session of a user, named for the ledger, in a conversation, named for the memory."""

LONGEST = 4_000
"""Characters of the longest question."""

_KEPT = 200
"""Conversations that are held open."""

_TURNS = 20
"""Turns of a conversation that are held; all of them stay in the memory on the disk."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Chosen:
    """What a conversation chose for its questions. budget: None for that of the settings."""

    filters: Filters = field(default_factory=Filters)
    as_of: date | None = None
    budget: int | None = None


class Surface:
    """Answers messages. reread: what reads a source again; gate: who may prove a wallet to it, if any."""

    def __init__(
        self,
        library: Library,
        settings: Settings,
        sessions: Sessions,
        reread: Reread,
        store: Store,
        gate: Gate | None = None,
    ) -> None:
        self.library = library
        self.settings = settings
        self.reread = reread
        self.gate = gate
        self.access = Access(store, settings)
        self.quotas = Quotas(store, settings)
        self.line = Line(settings.bot_concurrency)
        self.store = store
        self.answers = Answers(settings.library)
        self.answered = 0
        self.failed = 0
        self._make = sessions
        self._sessions: OrderedDict[str, Session] = OrderedDict()

    async def replies(self, incoming: Incoming) -> AsyncGenerator[Progress | Reply, None]:
        """What may be shown until the reply, then the reply; it is there for every fault too.

        Messages of one conversation are to be given one after another.
        """
        name, rest = parted(incoming.text.strip())
        try:
            quota = await self._admitted(incoming, name)
            talk = Talk(self, incoming, quota)
            if name not in ("", "ask"):
                if name == "verify":
                    yield Progress(render.progress_text("reading the sources again"))
                yield await self._obeyed(talk, name, rest)
                return
            async with aclosing(self._question(talk, rest)) as events:
                async for event in events:
                    yield event
        except _Refused as refusal:
            yield Reply(plain(str(refusal)), aside=True)
        except ChainciteError as error:
            yield Reply(plain(self._fault(error)), aside=True)
        except Exception as error:  # noqa: BLE001
            _log.exception("a message could not be answered", extra={"key": incoming.key})
            yield Reply(plain(self._fault(error)), aside=True)

    def session(self, incoming: Incoming) -> Session:
        """The session of a conversation, for whoever asks in it now."""
        key = incoming.conversation
        session = self._sessions.pop(key, None)
        if session is None or session.user != incoming.person:
            session = self._make(incoming.person, key)
        self._sessions[key] = session
        while len(self._sessions) > _KEPT:
            self._sessions.popitem(last=False)
        return session

    def chosen(self, conversation: str) -> Chosen:
        """What a conversation chose."""
        found = self.store.rows("select chosen from conversations where conversation = ?", conversation)
        return _choices().validate_json(found[0][0]) if found and found[0][0] else Chosen()

    def choose(self, conversation: str, chosen: Chosen) -> None:
        """Notes what a conversation chose."""
        body = _choices().dump_json(chosen).decode()
        change = "update conversations set chosen = ? where conversation = ?"
        self.store.change((change, (body, conversation)))

    def begin_anew(self, conversation: str) -> None:
        """Forgets what was said in a conversation; its answers can still be shown."""
        self._sessions.pop(conversation, None)
        self._make("", conversation).clear()

    def forget(self, conversation: str) -> None:
        """Erases a conversation: its turns, its answers, its settings, and what was kept of its messages."""
        session = self._make("", conversation)
        told = "select answer_id from said where conversation = ?"
        mine = {turn.answer_id for turn in session.turns} | {
            row[0] for row in self.store.rows(told, conversation)
        }
        self._sessions.pop(conversation, None)
        session.clear()
        others = "select answer_id from said where conversation <> ?"
        self.answers.remove(mine - {row[0] for row in self.store.rows(others, conversation)})
        ended = "state in ('delivered', 'dropped')"
        self.store.change(
            ("delete from said where conversation = ?", (conversation,)),
            ("delete from conversations where conversation = ?", (conversation,)),
            (f"update inbox set conversation = '' where conversation = ? and {ended}", (conversation,)),  # noqa: S608
        )
        self.store.wipe()

    def forget_old(self) -> int:
        """Erases the conversations that are older than the settings keep them, and says how many."""
        before = (datetime.now(UTC) - timedelta(days=self.settings.bot_retention_days)).isoformat()
        old = self.store.rows("select conversation from conversations where last_at < ?", before)
        for (conversation,) in old:
            self.forget(conversation)
        self.quotas.prune(self.settings.bot_retention_days)
        return len(old)

    def moved(self, platform: str, old: str, new: str) -> None:
        """Notes that a chat has another id: access, what was said, chosen and spent there follow it."""
        was, now = f"{platform}:{old}:", f"{platform}:{new}:"
        session = self._sessions.pop(was, None)
        (session or self._make("", was)).move(now)
        self._sessions.pop(now, None)
        if session is not None:
            self._sessions[now] = session
        self.store.change(
            (
                "insert into conversations (conversation, last_at, chosen)"
                " select ?, last_at, chosen from conversations where conversation = ?"
                " on conflict (conversation) do update set chosen = coalesce(chosen, excluded.chosen)",
                (now, was),
            ),
            ("delete from conversations where conversation = ?", (was,)),
            (
                "update said set conversation = ?, message = ? || ':' || message where conversation = ?",
                (now, old, was),
            ),
        )
        self.quotas.moved(f"{platform}:chat:{old}", f"{platform}:chat:{new}")
        self.access.moved(f"{platform}:chat:{old}", f"{platform}:chat:{new}")

    def stats(self) -> dict[str, int]:
        """What goes on: questions answered since the start, those that failed, waiting, conversations."""
        conversations = self.store.rows("select count(*) from conversations")[0][0]
        return {
            "answered": self.answered,
            "failed": self.failed,
            "waiting": self.line.waiting,
            "conversations": int(conversations),
        }

    def give_up(self, incoming: Incoming, times: int) -> Reply:
        """The reply to a message at which the bot ended each time that it began to answer."""
        _log.error("given up: the bot ended %d times over it", times, extra={"key": incoming.key})
        self.failed += 1
        return Reply(
            plain(
                f"This could not be answered: the bot ended {times} times over it, and tries no more. Ask in "
                "other words; the operator can see it in the log."
            )
        )

    def _fault(self, error: Exception) -> str:
        """What the writer is told of an error: what concerns the operator stays in the log."""
        if isinstance(error, SettingsError | BudgetError):
            return str(error)[:1000]
        self.failed += 1
        if isinstance(error, ChainciteError):
            _log.error("a message could not be answered: %s", error)
        why = "the library or its model failed. The operator can see why in the log."
        return f"This could not be answered: {why}"

    async def _admitted(self, incoming: Incoming, name: str) -> Quota | None:
        """The writer's own quota, if any. Raises _Refused where the writer may not use the bot."""
        allowed = self.access.allows(incoming)
        if self.gate is None or allowed is False:
            if not allowed:
                raise _Refused(_closed(incoming, denied=allowed is False))
            return None
        tier = await self.gate.tier(incoming.person)
        if not allowed and tier is None and not (name == "wallet" and incoming.private):
            raise _Refused(f"{_closed(incoming, denied=False)} {self.gate.invitation}")
        return tier.quota if tier else None

    async def _obeyed(self, talk: Talk, name: str, rest: str) -> Reply:
        word = WORDS.get(name)
        if word is None or (word.admin and not self.access.is_admin(talk.incoming)):
            raise SettingsError(unknown(name))
        return await word.run(talk, rest.strip())

    async def _question(self, talk: Talk, question: str) -> AsyncGenerator[Progress | Reply, None]:
        incoming = talk.incoming
        if not shows(question):
            raise SettingsError("Ask in words, as in: What is the base fee?")
        if len(question) > LONGEST:
            raise SettingsError(f"The question has {len(question):,} characters; ask in {LONGEST:,} at most.")
        if why := self.quotas.refusal(incoming, talk.quota):
            raise _Refused(why)
        self.quotas.begin(incoming)
        yield Progress(render.progress_text("looking"))
        with self.line.turn() as turn:
            async for ahead in turn.ahead():
                before = "question is" if ahead == 1 else "questions are"
                yield Progress(render.progress_text(f"in the queue: {ahead} {before} before yours"))
            try:
                async with aclosing(self._asked(talk, question)) as events:
                    async for event in events:
                        yield event
            except Exception:
                self.quotas.waive(incoming)
                raise

    async def _asked(self, talk: Talk, question: str) -> AsyncGenerator[Progress | Reply, None]:
        session = self.session(talk.incoming)
        chosen = talk.chosen
        session.filters, session.as_of = chosen.filters, chosen.as_of
        session.budget = chosen.budget or self.settings.budget
        session.turns, later = talk.turns(session)
        doing, draft = "looking", ""
        async with aclosing(session.ask(clean(question))) as events:
            async for event in events:
                match event:
                    case Step(text=doing):
                        pass
                    case Draft(text=piece):
                        draft += piece
                    case Withdrawn(reason=doing):
                        draft = ""
                    case Final(answer=answer):
                        session.turns = (*later, *session.turns[-1:])[-_TURNS:]
                        yield self._answered(talk.incoming, answer)
                        return
                yield Progress(render.progress_text(doing, draft))

    def _answered(self, incoming: Incoming, answer: Answer) -> Reply:
        if not answer.cached:
            usage, spoke = answer.usage, answer.answered_by != EXTRACTIVE
            tokens = usage.tokens_in + usage.tokens_out if spoke else 0
            self.quotas.charge(incoming, tokens, usage.cost or 0.0)
        self.answered += 1
        buttons = (
            Button("Sources", f"/sources {answer.id}"),
            Button("Verify", f"/verify {answer.id}"),
            Button("As a file", f"/file {answer.id}"),
        )
        return Reply(render.answer_text(answer), () if answer.refused else buttons, answer_id=answer.id)


@dataclass(frozen=True)
class Talk:
    """A message with what belongs to it. quota: the writer's own, where a tier gives one."""

    surface: Surface
    incoming: Incoming
    quota: Quota | None = None

    @property
    def chosen(self) -> Chosen:
        """What the conversation chose."""
        return self.surface.chosen(self.incoming.conversation)

    def choose(self, chosen: Chosen) -> Chosen:
        """Notes what the conversation chooses."""
        self.surface.choose(self.incoming.conversation, chosen)
        return chosen

    def answer(self, answer_id: str = "") -> Answer:
        """The answer of this id, or that replied to, or the last, if it was given in this conversation."""
        conversation = self.incoming.conversation
        found: list[tuple[Any, ...]]
        if answer_id:
            query = "select answer_id from said where conversation = ? and answer_id = ? limit 1"
            found = self.surface.store.rows(query, conversation, answer_id.strip())
        elif not (found := self._replied_to()):
            query = "select answer_id from said where conversation = ? order by number desc limit 1"
            found = self.surface.store.rows(query, conversation)
        if not found:
            raise SettingsError("There is no such answer in this conversation; ask something first.")
        return self.surface.answers.load(found[0][0])

    def turns(self, session: Session) -> tuple[Any, Any]:
        """The turns that a question goes on from, and all; a reply goes on from the answer replied to."""
        all_turns = session.turns[-_TURNS:]
        ids = [turn.answer_id for turn in all_turns]
        if (found := self._replied_to()) and found[0][0] in ids:
            return all_turns[: ids.index(found[0][0]) + 1], all_turns
        return all_turns, all_turns

    def _replied_to(self) -> list[tuple[Any, ...]]:
        query = "select answer_id from said where conversation = ? and message = ?"
        return self.surface.store.rows(query, self.incoming.conversation, self.incoming.reply_to)


class _Refused(Exception):
    """Why the writer is refused."""


def _closed(incoming: Incoming, *, denied: bool) -> str:
    if denied:
        return "The operator of this bot has denied it to you or to this chat."
    more = "" if incoming.private else f", or {incoming.place} for this chat"
    return f"This bot answers those who were allowed. Ask its operator to allow {incoming.person}{more}."


@cache
def _choices() -> TypeAdapter[Chosen]:
    from pydantic import TypeAdapter

    return TypeAdapter(Chosen)
