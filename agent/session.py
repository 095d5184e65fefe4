"""A conversation with a library: questions in, events out, the answer last."""

from __future__ import annotations

import asyncio
import hashlib
import json
import secrets
import unicodedata
from collections.abc import AsyncGenerator, Callable
from dataclasses import asdict, dataclass, replace
from datetime import UTC, date, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from agent.answerers.quoted import ask, check, nearest
from agent.answers.events import Event, Final, Step, final
from agent.answers.values import NOT_IN_LIBRARY, Answer, Answers, Usage, identify
from agent.memory.conversations import Memory, Turn
from agent.memory.followup import resolve
from agent.models import Models
from agent.records.ledger import Ledger
from index.errors import BudgetError, LibraryError, ModelError
from index.settings import Settings
from index.values import Filters

if TYPE_CHECKING:
    from langchain_core.runnables import Runnable

    from agent.answerers.written import Found
    from index.library import Library

_QUOTED = "the library is quoted instead"


@dataclass(frozen=True)
class _Asked:
    """A question with all that its answer depends on. tell: is told what happens."""

    question: str
    filters: Filters
    budget: int
    model: str | None
    at: datetime
    tell: Callable[[Event], None]


class Session:
    """One conversation with a library, asked one question at a time.

    thread: the name under which the conversation is remembered; None: it is forgotten.
    keep: whether answers are stored in the library.
    filters, budget, as_of, model: for the next questions; they may be changed between two.
    turns: the conversation so far. Raises SettingsError where the chat endpoint may not be used.
    """

    def __init__(
        self,
        library: Library,
        settings: Settings,
        *,
        user: str = "local",
        thread: str | None = None,
        keep: bool = True,
    ) -> None:
        self.user = user
        self._keep = keep
        self.thread = thread
        self.filters = Filters()
        self.budget = settings.budget
        self.as_of: date | None = None
        self.model: str | None = None
        self._library = library
        self._settings = settings
        self._answers = Answers(settings.library)
        self._memory = Memory(settings.library)
        self._models = Models.connect(settings, Ledger(settings.library), user=user)
        self.turns: tuple[Turn, ...] = self._memory.turns(thread) if thread else ()

    async def ask(
        self,
        question: str,
        *,
        filters: Filters | None = None,
        budget: int | None = None,
        model: str | None = None,
        fresh: bool = False,
    ) -> AsyncGenerator[Event, None]:
        """What happens until the answer, which is stored.

        fresh: ask anew what was answered before. Raises SettingsError for an empty question, BudgetError for
        one that does not fit, and what the library raises. Where chat models fail, the library is quoted.
        """
        check(question)
        events: asyncio.Queue[Event | None] = asyncio.Queue()
        seen = filters or self.filters
        asked = _Asked(
            question=question,
            filters=replace(seen, as_of=seen.as_of or self.as_of),
            budget=budget or self.budget,
            model=model or self.model,
            at=datetime.now(UTC),
            tell=events.put_nowait,
        )
        work = asyncio.create_task(self._answer(asked, fresh))
        work.add_done_callback(lambda _: events.put_nowait(None))
        try:
            while (event := await events.get()) is not None:
                yield event
            yield Final(work.result())
        finally:
            work.cancel()
            await asyncio.wait({work})

    def clear(self) -> None:
        """Begins the conversation anew, and erases what is remembered of it."""
        self.turns = ()
        if self.thread:
            self._memory.forget(self.thread)

    def move(self, thread: str) -> None:
        """Gives the conversation another name, under which it is remembered."""
        if self.thread:
            self._memory.move(self.thread, thread)
        self.thread = thread

    def as_runnable(self) -> Runnable[str, Answer]:
        """The conversation as a Runnable of LangChain's, from a question to its answer."""
        from langchain_core.runnables import RunnableLambda

        async def answer(question: str) -> Answer:
            return await final(self.ask(question))

        return RunnableLambda(lambda question: asyncio.run(answer(question)), afunc=answer, name="chaincite")

    async def _answer(self, asked: _Asked, fresh: bool) -> Answer:
        models = self._models and self._models.question(_question_id(asked.at), self.thread or "")
        resolved = await self._resolved(asked, models)
        if resolved != asked.question:
            asked.tell(Step("read", f"read as: {resolved}"))
        history = self.turns if resolved != asked.question else ()
        key = self._key(resolved, asked, history)
        answer = None if fresh else self._cached(key, asked, resolved)
        if answer is not None:
            asked.tell(Step("cache", "answered before, and nothing has changed since"))
            whole = False
        else:
            answer, whole = await self._made(asked, resolved, history, models)
        if self._keep:
            self._answers.save(answer)
        if self._keep and whole:
            self._memory.keep(key, answer.id)
        turn = Turn(asked.question, resolved, answer.id, answer.text)
        self.turns += (turn,)
        if self.thread:
            self._memory.add(self.thread, turn)
        return answer

    async def _resolved(self, asked: _Asked, models: Models | None) -> str:
        """The question as it reads without the conversation."""
        if not self.turns:
            return asked.question
        if models is not None:
            from agent.answerers.written import reworded

            found = await reworded(asked.question, self.turns, models, self._settings, asked.budget)
            if found is not None:
                return found
        return resolve(asked.question, self.turns)

    def _key(self, resolved: str, asked: _Asked, history: tuple[Turn, ...]) -> str:
        """What must be equal for an answer to be given again."""
        settings = self._settings
        says: dict[str, Any] = {
            "software": version("chaincite"),
            "question": " ".join(unicodedata.normalize("NFC", resolved).split()),
            "generation": self._library.generation,
            "filters": asdict(asked.filters),
            "budget": asked.budget,
        }
        if self._models is not None:
            from prompts import load_all

            says["models"] = [asked.model, *self._models.names, self._models.simple, self._models.judge]
            says["options"] = [
                settings.base_url,
                settings.temperature,
                settings.window,
                settings.token_factor,
            ]
            says["prompts"] = {prompt.name: prompt.hash for prompt in load_all(settings.prompts)}
            says["history"] = [turn.answer_id for turn in history]
        return hashlib.sha256(json.dumps(says, default=str, sort_keys=True).encode()).hexdigest()

    def _cached(self, key: str, asked: _Asked, resolved: str) -> Answer | None:
        """The answer that was given to the same question, as it is given now: it took no tokens."""
        answer_id = self._memory.answered(key)
        try:
            before = self._answers.load(answer_id) if answer_id else None
        except LibraryError:
            return None
        return before and replace(
            before,
            id=identify(asked.at, asked.question, before.text, before.citations),
            question=asked.question,
            asked_at=asked.at,
            read_as=resolved if resolved != asked.question else None,
            usage=Usage(0, 0, _seconds_since(asked.at)),
            cached=True,
        )

    async def _made(
        self, asked: _Asked, resolved: str, history: tuple[Turn, ...], models: Models | None
    ) -> tuple[Answer, bool]:
        """A new answer, and whether it is the one that was wanted, not a fallback's."""
        steps: list[str] = []

        def tell(event: Event) -> None:
            if isinstance(event, Step):
                steps.append(event.text)
            asked.tell(event)

        if models is None:
            return await self._quoted(replace(asked, tell=tell), resolved, ()), True
        from agent.answerers.written import Research

        research = Research(self._library, self._settings, models, tell)
        try:
            async with asyncio.timeout(models.allowance.seconds):
                found = await research.answer(resolved, asked.filters, asked.budget, history, asked.model)
        except (ModelError, BudgetError, TimeoutError) as error:
            if isinstance(error, BudgetError) and not models.allowance.requests:
                raise
            why = str(error) or f"no answer within {self._settings.deadline:g} seconds"
            asked.tell(Step("fallback", f"{why}; {_QUOTED}"))
            note = f"{why}; {_QUOTED}"
            return await self._quoted(replace(asked, tell=tell), resolved, (note,), models), False
        return self._told(asked, resolved, found, models, tuple(steps)), found.whole

    async def _quoted(
        self, asked: _Asked, resolved: str, notes: tuple[str, ...], models: Models | None = None
    ) -> Answer:
        """The answer in quotations."""
        asked.tell(Step("search", "searching the library"))
        answer = await asyncio.to_thread(ask, self._library, resolved, asked.budget, asked.filters)
        usage = replace(
            answer.usage,
            seconds=_seconds_since(asked.at),
            requests=models.allowance.requests if models else 0,
            cost=_cost(models),
        )
        answer = replace(answer, notes=notes + answer.notes + _as_of(asked.filters), usage=usage)
        if resolved == asked.question:
            return answer
        named = identify(answer.asked_at, asked.question, answer.text, answer.citations)
        return replace(answer, id=named, question=asked.question, read_as=resolved)

    def _told(
        self, asked: _Asked, resolved: str, found: Found, models: Models, steps: tuple[str, ...]
    ) -> Answer:
        """The answer that a model gave, as far as it is grounded."""
        grounding, allowance = found.grounding, models.allowance
        refused = not grounding.sentences
        text = NOT_IN_LIBRARY if refused else grounding.text
        removed = tuple(fault.sentence for fault in grounding.faults)
        were = "sentence was" if len(removed) == 1 else "sentences were"
        gone = f"{len(removed)} {were} removed: not in the sources"
        return Answer(
            id=identify(asked.at, asked.question, text, grounding.citations),
            question=asked.question,
            asked_at=asked.at,
            text=text,
            sentences=grounding.sentences,
            refused=refused,
            removed=removed,
            citations=grounding.citations,
            nearest=nearest(found.hits) if refused else (),
            filters=asked.filters,
            generation=self._library.generation,
            packing=found.report,
            usage=Usage(
                tokens_in=allowance.tokens_in,
                tokens_out=allowance.tokens_out,
                seconds=_seconds_since(asked.at),
                requests=allowance.requests,
                cost=_cost(models),
            ),
            answered_by=found.answered_by,
            read_as=resolved if resolved != asked.question else None,
            prompts=found.prompts,
            notes=((gone,) if removed else ()) + found.notes + grounding.notes + _as_of(asked.filters),
            steps=steps,
            disagreements=grounding.disagreements,
        )


def _as_of(filters: Filters) -> tuple[str, ...]:
    said = f"as of {filters.as_of}: only what was published by then, or, undated, retrieved by then"
    return (said,) if filters.as_of else ()


def _question_id(at: datetime) -> str:
    return f"{at:%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}"


def _seconds_since(at: datetime) -> float:
    return round((datetime.now(UTC) - at).total_seconds(), 3)


def _cost(models: Models | None) -> float | None:
    """US dollars; None where the price of a call is not known."""
    if models is None:
        return 0.0
    return None if models.allowance.unpriced else float(models.allowance.cost)
