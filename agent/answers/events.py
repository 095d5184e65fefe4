"""What happens while a question is answered: steps, provisional text, and at the end the answer."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Literal, TypeAlias

from agent.answers.values import Answer
from index.errors import ModelError

StepKind = Literal[
    "plan", "search", "open", "list", "compare", "sql", "read", "repair", "fallback", "wait", "cache"
]


@dataclass(frozen=True, slots=True)
class Step:
    """Something that was done, in words for people."""

    kind: StepKind
    text: str


@dataclass(frozen=True, slots=True)
class Draft:
    """The next piece of provisional text, which nothing was checked of."""

    text: str


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """The draft so far is void: a repair, a fallback, or a tool call after some text."""

    reason: str


@dataclass(frozen=True, slots=True)
class Final:
    """The answer. There is exactly one, and it is the last event."""

    answer: Answer


Event: TypeAlias = Step | Draft | Withdrawn | Final


async def final(events: AsyncGenerator[Event, None]) -> Answer:
    """The answer that the events of a question end with. Raises what they raise."""
    async with aclosing(events) as coming:
        async for event in coming:
            if isinstance(event, Final):
                return event.answer
    raise ModelError("the answer ended without a result; ask again")
