"""Judges of whether passages support claims: a chat model, or a local model for entailment.

A verdict that cannot be read, comes late or is missing is none: the claim stays unverified.
"""

from __future__ import annotations

import asyncio
import json
import re
import secrets
from collections.abc import Sequence
from itertools import groupby

from langchain_core.messages import HumanMessage

from agent.grounding.claim_verifier import Judge
from agent.grounding.local_entailment import LocalJudge
from agent.models import Models
from agent.requests.context import Terms, unforged
from agent.text.render import one_line
from index.errors import BudgetError, ModelError
from index.settings import Settings
from prompts import Prompt

CHAT, NONE = "chat", "none"
"""The values of the setting `verifier` that name no local model."""

_PATIENCE = 1 / 3
"""The share of a question's deadline for which a verdict is waited for."""

_FENCED = re.compile(r"\s*```(?:json)?[^\S\n]*\n(.*)\n[^\S\n]*```\s*", re.DOTALL)


async def judge_of(
    settings: Settings, models: Models | None, prompt: Prompt, model: str | None = None
) -> Judge | None:
    """The judge that the settings name; None where none is, or no chat endpoint is set.

    model: the chat model that answers, which judges where no other is set. Call the judge in a thread.
    Raises ModelError where a local model cannot be loaded.
    """
    if settings.verifier == NONE:
        return None
    if settings.verifier != CHAT:
        return await asyncio.to_thread(LocalJudge.load, settings.verifier)
    return ChatJudge(settings, models, prompt, models.judge or model or models.names[0]) if models else None


class ChatJudge:
    """A chat model as a judge, to be called in a thread: it asks through the event loop that made it.

    asked: whether it was; failures: what went wrong, for a person. One request holds all claims that fit.
    """

    def __init__(self, settings: Settings, models: Models, prompt: Prompt, model: str) -> None:
        self.name, self.asked = model, False
        self.failures: list[str] = []
        self._settings, self._models, self._prompt = settings, models, prompt
        self._loop = asyncio.get_running_loop()

    def __call__(self, pairs: Sequence[tuple[str, str]]) -> Sequence[bool | None]:
        """A verdict for each pair of a claim and a passage; None where the model gives none."""
        return asyncio.run_coroutine_threadsafe(self.judged(pairs), self._loop).result()

    async def judged(self, pairs: Sequence[tuple[str, str]]) -> list[bool | None]:
        """The same, within the event loop."""
        self.asked = True
        terms = Terms.of(self._models, self._settings, self._settings.budget, self.name)
        order = sorted(range(len(pairs)), key=lambda at: pairs[at][1])
        while order and terms.count(self._request(pairs, order)) > terms.room:
            order.pop()
        verdicts: dict[int, bool] = {}
        try:
            if order:
                verdicts = _read(await self._said(self._request(pairs, order), terms.reserve))
        except (ModelError, BudgetError, TimeoutError) as error:
            why = str(error) or "it gave no verdict in time"
            self.failures.append(f"the judge {self.name} failed ({why}); what it did not judge is unverified")
        else:
            if missing := [at for at in range(len(pairs)) if at + 1 not in verdicts]:
                count = f"{len(missing)} {'sentence' if len(missing) == 1 else 'sentences'}"
                self.failures.append(f"the judge {self.name} gave no verdict on {count}")
        return [verdicts.get(at + 1) for at in range(len(pairs))]

    async def _said(self, request: str, reserve: int) -> str:
        async with asyncio.timeout(self._settings.deadline * _PATIENCE):
            chat = self._models.chat(self.name)
            return (await chat.ainvoke([HumanMessage(request)], max_tokens=reserve)).text

    def _request(self, pairs: Sequence[tuple[str, str]], order: Sequence[int]) -> str:
        """The request for these pairs; each passage stands in it once, before its claims."""
        boundary = secrets.token_hex(4)
        parts = []
        for passage, group in groupby(order, key=lambda at: pairs[at][1]):
            claims = (f"[{at + 1}] {unforged(one_line(pairs[at][0]), boundary)}" for at in group)
            parts += [f"--- {boundary} passage", unforged(passage.strip(), boundary)]
            parts += [f"--- {boundary} sentences", *claims]
        return self._prompt.render(boundary=boundary, parts="\n".join(parts))


def _read(said: str) -> dict[int, bool]:
    """The verdicts in a reply; none where it is anything but one JSON object of numbers with yes or no."""
    fenced = _FENCED.fullmatch(said)
    try:
        pairs = json.loads(fenced.group(1) if fenced else said, object_pairs_hook=list)
    except ValueError:
        return {}
    known = {"yes": True, "no": False}
    if not isinstance(pairs, list) or not all(isinstance(one, tuple) for one in pairs):
        return {}
    names = [name for name, _ in pairs]
    return {
        int(name): known[word]
        for name, word in pairs
        if name.isdecimal() and len(name) < 9 and isinstance(word, str) and word in known
        if names.count(name) == 1
    }
