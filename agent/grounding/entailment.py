"""A chat model that judges whether passages support sentences, in place of words and meaning."""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import Sequence

from langchain_core.messages import HumanMessage

from agent.grounding.claim_verifier import Judge
from agent.models import Models
from agent.text.render import one_line
from prompts import Prompt

_VERDICT = re.compile(r"^\W*(\d+)\W+(yes|no)\b", re.IGNORECASE | re.MULTILINE)

_BATCH = 16
"""Pairs of a sentence and a passage in one request."""


def judge_of(models: Models, prompt: Prompt) -> Judge:
    """The judge model of these models, to be called in a thread; it asks through the running event loop.

    What the model says nothing of is not supported. Raises ModelError and BudgetError when called.
    """
    loop = asyncio.get_running_loop()

    def judge(pairs: Sequence[tuple[str, str]]) -> Sequence[bool]:
        return asyncio.run_coroutine_threadsafe(_judged(models, prompt, pairs), loop).result()

    return judge


async def _judged(models: Models, prompt: Prompt, pairs: Sequence[tuple[str, str]]) -> list[bool]:
    batches = [pairs[at : at + _BATCH] for at in range(0, len(pairs), _BATCH)]
    found = await asyncio.gather(*(_batch(models, prompt, batch) for batch in batches))
    return [verdict for batch in found for verdict in batch]


async def _batch(models: Models, prompt: Prompt, pairs: Sequence[tuple[str, str]]) -> list[bool]:
    boundary = secrets.token_hex(4)
    listed = "\n".join(
        f"--- {boundary} [{number}]\nSentence: {one_line(sentence)}\nPassage: {passage}"
        for number, (sentence, passage) in enumerate(pairs, 1)
    )
    asked = prompt.render(boundary=boundary, pairs=listed)
    said = (await models.chat(models.judge).ainvoke([HumanMessage(asked)])).text
    verdicts = {int(number): word.lower() == "yes" for number, word in _VERDICT.findall(said)}
    return [verdicts.get(number, False) for number in range(1, len(pairs) + 1)]
