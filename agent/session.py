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

from agent.answerers.quoted import nearest
from agent.answerers.routes import Answerers
from agent.answers.events import Event, Final, Step, final
from agent.answers.question import Question
from agent.answers.values import NOT_IN_LIBRARY, Answer, Answers, Draft, Usage, identify
from agent.memory.conversations import Memory, Turn
from agent.models import Models
from agent.records.ledger import Ledger
from agent.text.render import one_line
from agent.understanding import understand
from index.errors import BudgetError, LibraryError, ModelError, SettingsError
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


def check(question: str) -> None:
    """Raises SettingsError for an empty question."""
    if not question.strip():
        raise SettingsError(
            'the question is empty; ask in words, as in: chaincite ask "What is the base fee?"'
        )


def ask(library: Library, text: str, budget: int, filters: Filters = Filters()) -> Answer:
    """The answer to a question without a chat model, within `budget` tokens, or an honest refusal.

    Raises SettingsError for an empty question, BudgetError for one that does not fit, and what the library
    raises.
    """
    check(text)
    question = understand(text, text, (), filters, budget, datetime.now(UTC))
    return _assembled(*Answerers(library).answer(question), library.generation)


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
        self._last: Answer | None = None
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

        fresh: ask anew what was answered before. Raises SettingsError for an empty question and for a filter
        that matches nothing, BudgetError for a question that does not fit, and what the library raises. Where
        chat models fail, the library is quoted.
        """
        check(question)
        self._library.check(filters or self.filters)
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
        self.turns, self._last = (), None
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
        read_as = await self._reworded(asked, models)
        question = understand(
            asked.question, read_as, self.turns, asked.filters, asked.budget, asked.at, self._cited()
        )
        if read_as != asked.question:
            asked.tell(Step("read", f"read as: {read_as}"))
        elif question.before:
            asked.tell(Step("read", f"read after: {question.before}"))
        history = self.turns if question.before or read_as != asked.question else ()
        key = self._key(question, asked, history)
        answer = None if fresh else self._cached(key, question)
        if answer is not None:
            asked.tell(Step("cache", "answered before, and nothing has changed since"))
            whole = False
        else:
            answer, whole = await self._made(asked, question, history, models)
        if self._keep:
            self._answers.save(answer)
        if self._keep and whole:
            self._memory.keep(key, answer.id)
        self._last = answer
        turn = Turn(asked.question, read_as, answer.id, answer.text)
        self.turns += (turn,)
        if self.thread:
            self._memory.add(self.thread, turn)
        return answer

    def _cited(self) -> tuple[str, ...]:
        """Designations of the documents that the last answer was cited from."""
        last = self._last
        if last is None and self.turns:
            try:
                last = self._answers.load(self.turns[-1].answer_id)
            except LibraryError:
                return ()
        found = (citation.source.designation for citation in last.citations) if last else ()
        return tuple(dict.fromkeys(one for one in found if one))

    async def _reworded(self, asked: _Asked, models: Models | None) -> str:
        """The question as a chat model puts it without the conversation; as it is where none does."""
        if not self.turns or models is None:
            return asked.question
        from agent.answerers.written import reworded

        found = await reworded(asked.question, self.turns, models, self._settings, asked.budget)
        return found or asked.question

    def _key(self, question: Question, asked: _Asked, history: tuple[Turn, ...]) -> str:
        """What must be equal for an answer to be given again."""
        settings = self._settings
        says: dict[str, Any] = {
            "software": version("chaincite"),
            "question": " ".join(unicodedata.normalize("NFC", question.read_as).split()),
            "before": question.before,
            "generation": self._library.generation,
            "filters": asdict(asked.filters),
            "budget": asked.budget,
        }
        if self._models is not None:
            from prompts import load_all

            says["models"] = [asked.model, *self._models.names, self._models.simple, self._models.judge]
            says["verification"] = [settings.verifier, settings.unverified]
            says["options"] = [
                settings.base_url,
                settings.temperature,
                settings.window,
                settings.token_factor,
            ]
            says["prompts"] = {prompt.name: prompt.hash for prompt in load_all(settings.prompts)}
            says["history"] = [turn.answer_id for turn in history]
        return hashlib.sha256(json.dumps(says, default=str, sort_keys=True).encode()).hexdigest()

    def _cached(self, key: str, question: Question) -> Answer | None:
        """The answer that was given to the same question, as it is given now: it took no tokens."""
        answer_id = self._memory.answered(key)
        try:
            before = self._answers.load(answer_id) if answer_id else None
        except LibraryError:
            return None
        return before and replace(
            before,
            id=identify(question.asked_at, question.text, before.text, before.citations),
            question=question.text,
            asked_at=question.asked_at,
            read_as=_other(question),
            usage=Usage(0, 0, _seconds_since(question.asked_at)),
            cached=True,
        )

    async def _made(
        self, asked: _Asked, question: Question, history: tuple[Turn, ...], models: Models | None
    ) -> tuple[Answer, bool]:
        """A new answer, and whether it is the one that was wanted, not a fallback's."""
        asked.tell(Step("search", "searching the library"))
        answerers = Answerers(self._library)
        found = await asyncio.to_thread(answerers.answer if models is None else answerers.computed, question)
        if found is not None:
            return self._finished(*found), True
        assert models is not None  # noqa: S101
        return await self._written(asked, replace(question, route="written"), history, models)

    async def _written(
        self, asked: _Asked, question: Question, history: tuple[Turn, ...], models: Models
    ) -> tuple[Answer, bool]:
        """What a chat model answers; where all fail, the library is quoted."""
        from agent.answerers.written import Research

        steps: list[str] = []

        def tell(event: Event) -> None:
            if isinstance(event, Step):
                steps.append(event.text)
            asked.tell(event)

        research = Research(self._library, self._settings, models, tell)
        try:
            async with asyncio.timeout(models.allowance.seconds):
                found = await research.answer(
                    question.read_as, question.filters, question.budget, history, asked.model
                )
        except (ModelError, BudgetError, TimeoutError) as error:
            if isinstance(error, BudgetError) and not models.allowance.requests:
                raise
            why = str(error) or f"no answer within {self._settings.deadline:g} seconds"
            asked.tell(Step("fallback", f"{why}; {_QUOTED}"))
            route, draft = await asyncio.to_thread(Answerers(self._library).answer, question)
            usage = replace(draft.usage, requests=models.allowance.requests, cost=_cost(models))
            draft = replace(draft, notes=(f"{why}; {_QUOTED}", *draft.notes), usage=usage)
            return replace(self._finished(route, draft), model_failed=True), False
        why = "a chat model answers from the passages that were found"
        draft = _draft_of(found, models)
        return replace(self._finished(replace(question, why=why), draft), steps=tuple(steps)), found.whole

    def _finished(self, question: Question, draft: Draft) -> Answer:
        return _assembled(question, draft, self._library.generation)


def _assembled(question: Question, draft: Draft, generation: int) -> Answer:
    """The answer: what was drafted, with the question, the time and the generation that it belongs to."""
    return Answer(
        id=identify(question.asked_at, question.text, draft.text, draft.citations),
        question=question.text,
        asked_at=question.asked_at,
        text=draft.text,
        sentences=draft.sentences,
        refused=draft.refused,
        removed=draft.removed,
        citations=draft.citations,
        nearest=draft.nearest,
        filters=question.filters,
        generation=generation,
        packing=replace(draft.packing, budget=question.budget),
        usage=replace(draft.usage, seconds=_seconds_since(question.asked_at)),
        answered_by=draft.answered_by,
        read_as=_other(question),
        prompts=draft.prompts,
        notes=_after(question) + draft.notes + _as_of(question.filters),
        disagreements=draft.disagreements,
        route=question.route,
        route_reason=question.why,
    )


def _after(question: Question) -> tuple[str, ...]:
    """The question that a follow-up was read with."""
    return (f"read after: {question.before}",) if question.before else ()


def _other(question: Question) -> str | None:
    """How a question was read, where that is other words."""
    return question.read_as if question.read_as != question.text else None


def _draft_of(found: Found, models: Models) -> Draft:
    """What a model answered, as far as it is grounded."""
    grounding, allowance = found.grounding, models.allowance
    refused = not grounding.sentences
    removed = tuple(fault.sentence for fault in grounding.faults)
    gone = tuple(f"removed: “{one_line(fault.sentence)}”: {fault.told}" for fault in grounding.faults)
    return Draft(
        text=NOT_IN_LIBRARY if refused else grounding.text,
        sentences=grounding.sentences,
        citations=grounding.citations,
        packing=found.report,
        answered_by=found.answered_by,
        refused=refused,
        removed=removed,
        nearest=nearest(found.hits) if refused else (),
        notes=gone + found.notes + grounding.notes,
        usage=Usage(allowance.tokens_in, allowance.tokens_out, 0.0, allowance.requests, _cost(models)),
        prompts=found.prompts,
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
