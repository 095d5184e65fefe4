"""The request that is sent: instructions, conversation, evidence, question, tool results; within the budget.

    evidence = Evidence()
    evidence.add(hits)
    request = compose(…, evidence=evidence, terms=Terms.of(models, settings, budget))

Instructions, tools and question must be there. Of the room that is left, the results of this question's tool
calls may take a half and the conversation an eighth, the newest first. The evidence takes the rest, the best
first. What it leaves goes to the conversation, which has none where no evidence fits beside it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from langchain_core.messages import BaseMessage, HumanMessage, SystemMessage

from agent.answers.packing import PackedItem, PackingReport, Section, Verdict
from agent.requests.budget import PRIMING, EncodingName, count_messages, count_tokens, count_tools
from agent.requests.compress import compress, excerpt
from agent.requests.conversation import newest, sendable, steps, turns
from agent.requests.evidence import Evidence
from index.errors import BudgetError
from index.settings import Settings
from index.values import Hit
from prompts import Prompt

if TYPE_CHECKING:
    from langchain_core.tools import BaseTool


__all__ = ["Evidence", "Request", "Terms", "compose", "fitted", "unforged"]

_MOST_RESERVE = 4096
"""Tokens that an answer is promised at most."""

_NOTHING = "(no passage was found)"


class ChatModels(Protocol):
    """What composing a request needs to know of the chat models."""

    @property
    def names(self) -> tuple[str, ...]:
        """The chosen model, then its fallbacks."""
        ...

    def window(self, name: str | None = None) -> int:
        """The tokens that a model can take."""
        ...

    def encoding(self, name: str | None = None) -> EncodingName:
        """How a model's tokens are counted."""
        ...


@dataclass(frozen=True, slots=True)
class Terms:
    """What a request may take, in tokens of its model. budget: with the answer; window: the model's.

    factor: tokens reckoned for each one counted, 1 where the model's own encoding is used.
    """

    budget: int
    window: int
    encoding: EncodingName = "o200k_base"
    factor: float = 1.0

    @classmethod
    def of(cls, models: ChatModels, settings: Settings, budget: int, model: str | None = None) -> Terms:
        """The terms of a model, the first where none is named."""
        from tiktoken.model import encoding_name_for_model

        name = model or models.names[0]
        try:
            encoding_name_for_model(name)
            factor = 1.0
        except KeyError:
            factor = settings.token_factor
        return cls(budget, models.window(name), models.encoding(name), factor)

    @property
    def limit(self) -> int:
        """The tokens of request and answer together."""
        return min(self.budget, self.window)

    @property
    def reserve(self) -> int:
        """What the answer is promised: a fifth, at most 4,096."""
        return max(min(self.limit // 5, _MOST_RESERVE), 1)

    @property
    def room(self) -> int:
        """The tokens that a request may count: the most that are reckoned to fit."""
        near = math.floor((self.limit - self.reserve) / self.factor)
        return next(n for n in (near + 1, near, near - 1) if self.reckoned(n) + self.reserve <= self.limit)

    def reckoned(self, counted: int) -> int:
        """The tokens to expect where so many were counted."""
        return math.ceil(counted * self.factor)

    def count(self, text: str) -> int:
        """The tokens counted in a text."""
        return count_tokens(text, self.encoding)

    def count_messages(self, messages: Sequence[BaseMessage]) -> int:
        """The tokens counted in messages."""
        return count_messages(messages, self.encoding)

    def refuse(self, instructions: int, tools: int, question: int) -> BudgetError:
        """The error for what must be sent and does not fit: what it takes, and what would be enough."""
        needed = self.reckoned(instructions + tools + question)
        enough = min(max(needed * 5 // 4 + 2, 2), needed + _MOST_RESERVE)
        parts = f"instructions take {instructions} tokens, tools {tools}, the question {question}"
        if self.budget > self.window or enough > self.window:
            return BudgetError(
                f"{parts}: with the answer more than the {self.window} tokens that the model can take; ask "
                f"in fewer words, or choose a --model that can take {enough} (set `window` if this one can)"
            )
        return BudgetError(
            f"{parts}: with the answer more than the budget of {self.budget}; ask in fewer words or raise "
            f"--budget to {enough} or more"
        )


@dataclass(frozen=True, slots=True)
class Request:
    """What to send. reserve: the most tokens of the answer; shown: the numbers of the sections in it."""

    messages: list[BaseMessage]
    report: PackingReport
    reserve: int
    shown: frozenset[int]


@dataclass(frozen=True, slots=True)
class _Block:
    """A section as it is sent, or would be."""

    number: int
    section: Section
    text: str
    tokens: int
    verdict: Verdict

    @property
    def is_sent(self) -> bool:
        return self.verdict in ("kept", "compressed")

    @property
    def item(self) -> PackedItem:
        first = self.section.passages[0].id
        return PackedItem(first, self.section.document.path, self.tokens, self.verdict, self.number)


def compose(
    *,
    instructions: str,
    question: str,
    evidence: Evidence,
    history: Sequence[BaseMessage],
    scratch: Sequence[BaseMessage],
    tools: Sequence[BaseTool | dict[str, Any]],
    prompt: Prompt,
    boundary: str,
    terms: Terms,
) -> Request:
    """The request for a question, which with `reserve` for the answer takes no more than budget and window.

    prompt: has the variables `question`, `passages` and `boundary`, a random word that sets passages apart.
    history: the conversation before; scratch: tool calls, their results, and what else was said since.
    Messages become plain text; a tool call without its results, or results without a call, are left out.
    Raises BudgetError where instructions, tools and question alone do not fit.
    """
    asked = partial(_asked, prompt=prompt, boundary=boundary, question=question)
    system = SystemMessage(sendable(instructions))
    words, tool_tokens = terms.count(sendable(question)), count_tools(_schemas(tools), terms.encoding)
    fixed = terms.count_messages([system, asked(())]) + PRIMING + tool_tokens
    if fixed > terms.room:
        raise terms.refuse(fixed - tool_tokens - words, tool_tokens, words)
    count = terms.count_messages
    left = terms.room - fixed
    said = newest(steps(scratch), left // 2, count)
    left -= count(said)
    before = newest(turns(history), left // 8, count)
    blocks = _packed(evidence, question, boundary, left - count(before), terms)
    if not any(block.is_sent for block in blocks):
        blocks = _packed(evidence, question, boundary, left, terms)
    left -= sum(block.tokens for block in blocks if block.is_sent)
    before = newest(turns(history), left, count)
    while True:
        sent = [block for block in blocks if block.is_sent]
        messages = [system, *before, asked(sent), *said]
        total = count(messages) + PRIMING + tool_tokens
        if total <= terms.room:
            break
        before, blocks, said = _less(before, blocks, said)
    evidence_tokens = count([asked(sent)]) - count([asked(())])
    return Request(
        messages=messages,
        report=PackingReport(
            budget=terms.budget,
            question=words,
            reserve=terms.reserve,
            evidence=max(evidence_tokens, 0),
            items=(*(block.item for block in blocks), *(_twin(hit, terms) for hit in evidence.twins)),
            instructions=fixed - tool_tokens - words,
            tools=tool_tokens,
            history=count(before),
            results=count(said),
            margin=terms.reckoned(total) - total,
        ),
        reserve=terms.reserve,
        shown=frozenset(block.number for block in sent),
    )


def fitted(
    instructions: str, history: Sequence[BaseMessage], question: str, terms: Terms
) -> list[BaseMessage]:
    """The messages for a question without evidence, with as much of the conversation as fits, newest first.

    Raises BudgetError where instructions and question alone do not fit.
    """
    system, asked = SystemMessage(sendable(instructions)), HumanMessage(sendable(question))
    fixed = terms.count_messages([system, asked]) + PRIMING
    if fixed > terms.room:
        words = terms.count(asked.text)
        raise terms.refuse(fixed - words, 0, words)
    return [system, *newest(turns(history), terms.room - fixed, terms.count_messages), asked]


def _asked(blocks: Sequence[_Block], *, prompt: Prompt, boundary: str, question: str) -> HumanMessage:
    passages = "\n".join(block.text for block in blocks) or _NOTHING
    return HumanMessage(prompt.render(boundary=boundary, passages=passages, question=sendable(question)))


def _packed(evidence: Evidence, question: str, boundary: str, room: int, terms: Terms) -> list[_Block]:
    """What becomes of each section, best first.

    Where not all fit, whole ones take four fifths of the room, and the best sentences of those left out the
    rest. That share sends more of what answers than smaller and larger ones do, and than whole ones alone.
    """
    sections, ranked = evidence.sections, evidence.ranked()

    def block(number: int, text: str, verdict: Verdict) -> _Block:
        head = f"--- {boundary} [{number}] {unforged(sections[number].place, boundary)}"
        shown = f"{head}\n{unforged(text, boundary)}"
        return _Block(number, sections[number], shown, terms.count(f"{shown}\n"), verdict)

    whole = {number: block(number, sections[number].text.strip("\n"), "kept") for number in ranked}
    if sum(one.tokens for one in whole.values()) <= room:
        return list(whole.values())
    return _squeezed(whole, question, room, block, terms)


def _squeezed(
    whole: Mapping[int, _Block],
    question: str,
    room: int,
    block: Callable[[int, str, Verdict], _Block],
    terms: Terms,
) -> list[_Block]:
    share = room // 5
    left = room - share
    sent: dict[int, _Block] = {}
    for number, one in whole.items():
        if one.tokens <= left:
            sent[number] = one
            left -= one.tokens
    left += share
    for number, one in whole.items():
        if number not in sent:
            most = min(left, share) - block(number, "", "compressed").tokens
            spans = compress(one.section.text, question, most, terms.count, one.section.passages[0].context)
            short = block(number, excerpt(one.section.text, spans), "compressed")
            fits = bool(spans) and short.tokens <= left
            sent[number] = short if fits else replace(one, verdict="no room")
            left -= short.tokens if fits else 0
    return [sent[number] for number in whole]


def _less(
    before: list[BaseMessage], blocks: list[_Block], said: list[BaseMessage]
) -> tuple[list[BaseMessage], list[_Block], list[BaseMessage]]:
    """Less of it: no conversation, then one section less, and no tool results last."""
    if before:
        return [], blocks, said
    for at in reversed(range(len(blocks))):
        if blocks[at].is_sent:
            return [], [*blocks[:at], replace(blocks[at], verdict="no room"), *blocks[at + 1 :]], said
    return [], blocks, []


def _twin(hit: Hit, terms: Terms) -> PackedItem:
    """What the report says of a passage that repeats another."""
    return PackedItem(hit.passage.id, hit.document.path, terms.count(hit.passage.text), "near-duplicate")


def unforged(text: str, boundary: str) -> str:
    """A text in which the boundary does not occur. What is quoted from is not altered, only what is sent."""
    return text.replace(boundary, f"{boundary[:1]}…")


def _schemas(tools: Sequence[BaseTool | dict[str, Any]]) -> list[dict[str, Any]]:
    from langchain_core.utils.function_calling import convert_to_openai_tool

    return [convert_to_openai_tool(tool) for tool in tools]
