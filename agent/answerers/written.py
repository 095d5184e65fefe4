"""Answers a question with a chat model: search, let it search on, keep of its draft what the sources carry.

The first request holds the best evidence already, so that a plain question takes one. A question about
several things is divided first, and each part searched for. The model may then search and open more, by
`agent.answerers.tools`, until it answers or the question's allowance nears its end: then it is offered no
more tools. Each request is composed anew just before it is sent (`agent.requests.context`): the budget and
the model's window hold for every one of them.
"""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, cast

from langchain.agents import create_agent
from langchain.agents.middleware import AgentMiddleware, ModelRequest, ModelResponse
from langchain.agents.middleware.types import ToolCallRequest
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    AnyMessage,
    BaseMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)

from agent.answerers.tools import Desk, tools
from agent.answers.events import Draft, Event, Step, Withdrawn
from agent.answers.packing import PackingReport, Section
from agent.grounding.entailment import ChatJudge, judge_of
from agent.grounding.pipeline import Fault, Grounder, Grounding
from agent.memory.conversations import Turn
from agent.memory.followup import names, needs_context
from agent.models import Models
from agent.models.tool_calls import UNREAD, with_calls
from agent.requests.context import Evidence, Request, Terms, compose, fitted
from agent.text.normalize import is_foreign
from agent.text.render import one_line
from index.errors import BudgetError, ChainciteError, ModelError
from index.settings import Settings
from index.values import Filters, Hit
from prompts import Prompt, load_all

if TYPE_CHECKING:
    from index.library import Library

CANDIDATES = 30
"""Passages that a search for a question, or for all its parts together, may bring."""

MOST_PARTS = 4
"""Sub-questions that a question is divided into at most."""

_KEPT = 3
"""Requests kept back for answer, judge and repair: with no more left, the model is offered no tools."""

_TURNS = 4
"""Turns of the conversation that a follow-up is read with."""

_SEVERAL = re.compile(
    r"\b(?:compare|comparison|differ\w*|versus|vs\.?|both|between|relat\w+|interact\w*|combin\w+)\b"
    r"|(?m:^)(?>.*?\b(?:which|what|who|when|how)\b).*\b(?:and|,)\s+(?:which|what|who|when|how|why)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Found:
    """What a model's answer came to. hits: the first searches' passages, best first.

    whole: whether the model that was chosen gave it, unhindered.
    """

    grounding: Grounding
    report: PackingReport
    answered_by: str
    prompts: Mapping[str, str]
    notes: tuple[str, ...]
    hits: tuple[Hit, ...]
    whole: bool


def several(question: str) -> bool:
    """Whether a question seems to be about several things, so that one search may not do."""
    return bool(_SEVERAL.search(question)) or len(names(question)) > 1


async def reworded(
    question: str, turns: Sequence[Turn], models: Models, settings: Settings, budget: int
) -> str | None:
    """A question that leans on its conversation, as a model puts it without; None where the model fails.

    A question that can be understood alone, by its words, comes back as it is, and no model is asked.
    """
    if not needs_context(question) and not is_foreign(question):
        return question
    terms = Terms.of(models, settings, budget)
    prompt = load_all(settings.prompts)
    instructions = next(one for one in prompt if one.name == "followup").render()
    try:
        messages = fitted(instructions, history(turns[-_TURNS:]), question, terms)
        answer = await models.chat().ainvoke(messages, max_tokens=terms.reserve)
    except (ModelError, BudgetError):
        return None
    found = one_line(answer.text).strip("\"' ")
    return found if 0 < len(found) <= 2 * len(question) + 500 else None


def history(turns: Sequence[Turn]) -> list[BaseMessage]:
    """A conversation as messages."""
    return [message for turn in turns for message in (HumanMessage(turn.question), AIMessage(turn.text))]


class Research:
    """Answers one question. models: with the allowance of this question; tell: is told what happens."""

    def __init__(
        self, library: Library, settings: Settings, models: Models, tell: Callable[[Event], None]
    ) -> None:
        self._library = library
        self._settings = settings
        self._models = models
        self._tell = tell
        self._prompts = {prompt.name: prompt for prompt in load_all(settings.prompts)}
        self._used: dict[str, str] = {}
        self._notes: list[str] = []
        self._whole = True
        self._asking = ""

    async def answer(
        self,
        question: str,
        filters: Filters,
        budget: int,
        turns: Sequence[Turn] = (),
        model: str | None = None,
    ) -> Found:
        """The grounded answer. turns: the conversation that the question leans on.

        Raises BudgetError where the question does not fit or has spent its allowance, ModelError where no
        model answers.
        """
        chosen = model or (self._models.names[0] if several(question) or turns else self._models.simple)
        terms = Terms.of(self._models, self._settings, budget, chosen)
        scene = _Scene(
            question=question,
            instructions=self._prompt("answer").render(today=_today(filters)),
            history=history(turns),
            evidence=Evidence(),
            prompt=self._prompt("question"),
            boundary=secrets.token_hex(4),
        )
        scene.composed((), (), terms)
        hits = await self._searched(question, filters, scene, terms, chosen)
        desk = Desk(self._library, filters, scene.evidence, self._tell)
        grounder = Grounder(self._library, question, keep_unverified=self._settings.unverified == "mark")
        guide = _Guide(scene, self._models, self._settings, budget, grounder)
        draft, spoke = await self._drafted(question, chosen, guide, desk)
        grounding = await self._grounded(draft, guide)
        if grounding.faults and not grounding.refused:
            grounding = await self._repaired(draft, grounding, guide, chosen)
        return Found(
            grounding=grounding,
            report=guide.report,
            answered_by=spoke,
            prompts=dict(sorted(self._used.items())),
            notes=tuple(dict.fromkeys((*self._models.told, *self._notes))),
            hits=tuple(hits),
            whole=self._whole,
        )

    def _prompt(self, name: str) -> Prompt:
        self._used[name] = self._prompts[name].hash
        return self._prompts[name]

    async def _searched(
        self, question: str, filters: Filters, scene: _Scene, terms: Terms, model: str
    ) -> list[Hit]:
        """Searches for the question and its parts, and takes what is found into the evidence."""
        parts = await self._divided(question, scene, terms, model) if several(question) else [question]
        each = max(CANDIDATES // len(parts), 1)
        found: list[list[Hit]] = []
        for part in parts:
            self._tell(Step("search", f'searching for "{one_line(part)}"'))
            found.append(await asyncio.to_thread(self._library.search, part, each, filters))
        for hits in reversed(found):
            scene.evidence.add(hits)
        return [hit for row in zip_longest(*found) for hit in row if hit is not None]

    async def _divided(self, question: str, scene: _Scene, terms: Terms, model: str) -> list[str]:
        """The question, and the sub-questions that a model makes of it; without any where the model fails."""
        prompt = self._prompt("plan").render(most=MOST_PARTS)
        try:
            messages = fitted(prompt, scene.history, question, terms)
            said = (await self._models.chat(model).ainvoke(messages, max_tokens=terms.reserve)).text
        except ModelError as error:
            self._tell(Step("plan", f"the question was not divided: {error}"))
            return [question]
        parts = [line.strip(" -*\t") for line in said.splitlines() if line.strip(" -*\t")][:MOST_PARTS]
        if len(parts) < 2:
            return [question]
        self._tell(Step("plan", "; ".join(one_line(part) for part in parts)))
        return [question, *parts]

    async def _drafted(self, question: str, model: str, guide: _Guide, desk: Desk) -> tuple[str, str]:
        """The draft of an answer, told as it comes, and the model that wrote it."""
        self._asking = model
        agent = create_agent(
            self._models.chat(model),
            tools(desk),
            middleware=[*self._models.middleware(self._failed), guide],
        )
        last: AIMessage | None = None
        shown = False
        async for mode, part in agent.astream(
            {"messages": [HumanMessage(question)]},
            {"recursion_limit": 10_000},
            stream_mode=["messages", "values"],
        ):
            if mode == "values":
                said = cast(dict[str, Any], part)["messages"]
                last = next((one for one in reversed(said) if isinstance(one, AIMessage)), None)
                continue
            chunk = part[0]
            if not isinstance(chunk, AIMessageChunk):
                continue
            if chunk.text:
                shown = True
                self._tell(Draft(chunk.text))
            if chunk.tool_call_chunks and shown:
                shown = False
                self._tell(Withdrawn("the model looks further"))
        if last is None:
            raise ModelError("the model gave no answer; ask again")
        return last.text, str(last.response_metadata.get("model_name") or model)

    def _failed(self, error: ModelError, following: str | None) -> None:
        """Tells that a model failed, and which is asked next."""
        self._tell(Withdrawn(str(error)))
        if following == self._asking:
            self._tell(Step("wait", f"{error}; asking {following} again"))
        elif following is not None:
            self._asking, self._whole = following, False
            self._tell(Step("fallback", f"{error}; asking {following}"))
            self._notes.append(f"{error}; {following} was asked instead")

    async def _grounded(self, draft: str, guide: _Guide) -> Grounding:
        judge = None
        try:
            judge = await judge_of(self._settings, self._models, self._prompts["judge"], self._asking)
        except ModelError as error:
            self._notes.append(str(error))
        found = await asyncio.to_thread(guide.grounder.ground, draft, guide.shown, judge)
        if isinstance(judge, ChatJudge) and judge.asked:
            self._prompt("judge")
            self._notes += judge.failures
        return found

    async def _repaired(self, draft: str, grounding: Grounding, guide: _Guide, model: str) -> Grounding:
        """What a second draft comes to, in which faults are mended; the first where that leaves less."""
        self._tell(Step("repair", f"without support: {len(grounding.faults)}; mending"))
        said = self._prompt("repair").render(faults=_listed(grounding.faults))
        scratch = [AIMessage(draft), HumanMessage(said)]
        self._tell(Withdrawn("some of it has no support in the sources"))
        try:
            request = guide.compose(model, scratch, ())
            chunks = self._models.chat(model).astream(request.messages, max_tokens=request.reserve)
            text = ""
            async for chunk in chunks:
                if chunk.text:
                    text += chunk.text
                    self._tell(Draft(chunk.text))
        except (ModelError, BudgetError) as error:
            self._tell(Withdrawn(str(error)))
            self._notes.append(f"the answer was not mended: {error}")
            return grounding
        mended = await self._grounded(text, guide)
        return mended if len(mended.sentences) >= max(len(grounding.sentences), 1) else grounding


@dataclass
class _Scene:
    """What every request of a question holds."""

    question: str
    instructions: str
    history: Sequence[BaseMessage]
    evidence: Evidence
    prompt: Prompt
    boundary: str

    def composed(self, scratch: Sequence[BaseMessage], offered: Sequence[Any], terms: Terms) -> Request:
        return compose(
            instructions=self.instructions,
            question=self.question,
            evidence=self.evidence,
            history=self.history,
            scratch=scratch,
            tools=offered,
            prompt=self.prompt,
            boundary=self.boundary,
            terms=terms,
        )


class _Guide(AgentMiddleware[Any, Any, Any]):
    """Composes each request of an agent within budget and window, and counts its tool calls.

    shown: the evidence that the model has seen, by number; report: of the last request.
    """

    def __init__(
        self, scene: _Scene, models: Models, settings: Settings, budget: int, grounder: Grounder
    ) -> None:
        super().__init__()
        self.scene = scene
        self.grounder = grounder
        self.shown: dict[int, Section] = {}
        self._models = models
        self._settings = settings
        self._budget = budget

    def compose(self, model: str, scratch: Sequence[BaseMessage], offered: Sequence[Any]) -> Request:
        """The next request to a model. scratch: what was said since the question."""
        terms = Terms.of(self._models, self._settings, self._budget, model)
        request = self.scene.composed(scratch, offered, terms)
        self.shown |= {number: self.scene.evidence.sections[number] for number in request.shown}
        self.report = request.report
        return request

    async def awrap_model_call(
        self,
        request: ModelRequest[Any],
        handler: Callable[[ModelRequest[Any]], Awaitable[ModelResponse[Any]]],
    ) -> ModelResponse[Any]:
        """Sends what fits, and reads it. Calls that do not parse, or of tools not offered, are not run."""
        allowance = self._models.allowance
        left = min(
            allowance.max_requests - allowance.requests - _KEPT,
            allowance.max_tool_calls - allowance.tool_calls,
        )
        offered = request.tools if left > 0 else []
        name = str(getattr(request.model, "model_name", ""))
        try:
            sent = self.compose(name, request.messages[1:], offered)
        except BudgetError:
            offered = []
            sent = self.compose(name, request.messages[1:], offered)
        system, messages = sent.messages[0], sent.messages[1:]
        reading = asyncio.create_task(asyncio.to_thread(self.grounder.read, dict(self.shown)))
        try:
            response = await handler(
                request.override(
                    system_message=system if isinstance(system, SystemMessage) else None,
                    messages=cast(list[AnyMessage], messages),
                    tools=list(offered),
                    model_settings={"max_tokens": sent.reserve},
                )
            )
        finally:
            await reading
        return replace(response, result=[with_calls(message, bool(offered)) for message in response.result])

    async def awrap_tool_call(
        self, request: ToolCallRequest, handler: Callable[[ToolCallRequest], Awaitable[Any]]
    ) -> Any:
        """What a tool says; or, where it cannot, why, in words for the model."""
        call = request.tool_call
        try:
            self._models.allowance.tool_call()
            if UNREAD in call["args"]:
                raise ModelError("the arguments are not one whole JSON object; call again with one")
            return await handler(request)
        except ChainciteError as error:
            return ToolMessage(f"Error: {error}", tool_call_id=call["id"], name=call["name"], status="error")


def _listed(faults: Sequence[Fault]) -> str:
    return "\n".join(f"- {one_line(fault.sentence)} ({one_line(fault.reason)})" for fault in faults)


def _today(filters: Filters) -> str:
    from datetime import UTC, datetime

    return (filters.as_of or datetime.now(UTC).date()).isoformat()
