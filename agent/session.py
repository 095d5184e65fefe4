"""A conversation with a library: questions in, events out, the answer last."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING

from agent.answers import Answers
from agent.ask import ask
from agent.events import Event, Final, Step
from index.settings import Settings
from index.values import Filters

if TYPE_CHECKING:
    from index.library import Library


@dataclass(frozen=True, slots=True)
class Turn:
    """A question of a conversation, as it was asked and as it was understood, and its answer."""

    question: str
    resolved: str
    answer_id: str
    text: str


class Session:
    """One conversation with a library. Its settings may change between questions."""

    def __init__(
        self, library: Library, settings: Settings, *, user: str = "local", thread: str | None = None
    ) -> None:
        self.user = user
        self.thread = thread
        self.filters = Filters()
        self.budget = settings.budget
        self.as_of: date | None = None
        self.model: str | None = None
        self.turns: tuple[Turn, ...] = ()
        self._library = library
        self._answers = Answers(settings.library)

    async def ask(
        self,
        question: str,
        *,
        filters: Filters | None = None,
        budget: int | None = None,
        model: str | None = None,  # noqa: ARG002
    ) -> AsyncGenerator[Event, None]:
        """What happens until the answer, which is stored. Raises ChainciteError."""
        yield Step("search", "searching the library")
        seen = filters or self.filters
        seen = replace(seen, as_of=seen.as_of or self.as_of)
        answer = await asyncio.to_thread(ask, self._library, question, budget or self.budget, seen)
        self._answers.save(answer)
        self.turns += (Turn(question, question, answer.id, answer.text),)
        yield Final(answer)

    def clear(self) -> None:
        """Begins the conversation anew."""
        self.turns = ()
