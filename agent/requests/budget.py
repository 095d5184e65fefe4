"""Tokens, counted as the chat model counts them, and the budget that a question may spend."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

from index.errors import BudgetError

if TYPE_CHECKING:
    from bpe_openai import Encoding
    from langchain_core.messages import BaseMessage

EncodingName = Literal["o200k_base", "cl100k_base"]

_SLICE = 40_000
"""Characters counted in one go: four tokens a character at worst stay under the counter's own limit."""


@cache
def _encoding(name: EncodingName) -> Encoding:
    import bpe_openai

    return bpe_openai.get_encoding(name)


_APART = re.compile(r"\n(?=[^\s/])")
"""Where a text can be cut and keep its tokens: before a line that begins with neither blank nor slash."""

_MESSAGE, PRIMING = 4, 3
"""Tokens around a message, its role included, and before the reply.

As OpenAI's cookbook, "How to count tokens with tiktoken", gives them.
"""

_CALL, _TOOL, _SCHEMA = 8, 16, 1.25
"""Tokens around a tool call and around a tool; tokens reckoned for each one of a tool's schema as JSON.

Endpoints render schemas in ways of their own; this is above the cookbook's figures and the schema as JSON.
"""


def count_tokens(text: str, encoding: EncodingName = "o200k_base") -> int:
    """The tokens of `text`. Names of special tokens count as the ordinary text they are.

    A text over 40,000 characters is counted in slices. They end where a line does; one that has no such end
    is cut anywhere, which adds at most a token or two.

    >>> count_tokens("hello world")
    2
    """
    encode = _encoding(encoding).encode_ordinary
    return sum(len(encode(part)) for part in _slices(text))


def _slices(text: str) -> Iterator[str]:
    start = 0
    while len(text) - start > _SLICE:
        ends = [match.end() for match in _APART.finditer(text, start + _SLICE // 2, start + _SLICE)]
        end = ends[-1] if ends else start + _SLICE
        yield text[start:end]
        start = end
    yield text[start:]


def count_messages(messages: Sequence[BaseMessage], encoding: EncodingName = "o200k_base") -> int:
    """The tokens of messages of plain text and tool calls, without those that prime the reply."""
    return sum(_count_message(message, encoding) for message in messages)


def _count_message(message: BaseMessage, encoding: EncodingName) -> int:
    from langchain_core.messages import AIMessage, ToolMessage

    tokens = _MESSAGE + count_tokens(message.text, encoding)
    if isinstance(message, AIMessage):
        for call in message.tool_calls:
            said = json.dumps([call["name"], call["id"], call["args"]], ensure_ascii=False)
            tokens += _CALL + count_tokens(said, encoding)
    if isinstance(message, ToolMessage):
        tokens += _CALL + count_tokens(f"{message.tool_call_id} {message.name or ''}", encoding)
    return tokens


def count_tools(schemas: Sequence[dict[str, Any]], encoding: EncodingName = "o200k_base") -> int:
    """The tokens that tools take, reckoned from above. schemas: as they are sent."""
    return sum(_TOOL + math.ceil(_SCHEMA * count_tokens(json.dumps(schema), encoding)) for schema in schemas)


@dataclass(frozen=True, slots=True)
class Budget:
    """The tokens of one question: all of them, the question's own, and what the answer is promised."""

    total: int
    question: int
    reserve: int
    encoding: EncodingName = "o200k_base"

    @classmethod
    def plan(cls, question: str, total: int, encoding: EncodingName = "o200k_base") -> Budget:
        """Sets aside the question, then a fifth of `total` for the answer; the rest is for evidence.

        Raises BudgetError when the question and the reserve leave nothing.

        >>> Budget.plan("hello world", 1000).room
        798
        """
        asked, reserve = count_tokens(question, encoding), total // 5
        if asked + reserve >= total:
            raise BudgetError(
                f"the question takes {asked} tokens and the answer is promised {reserve}, which leaves no "
                f"room for evidence in a budget of {total}; ask in fewer words or raise --budget "
                f"above {asked * 5 // 4 + 1}"
            )
        return cls(total=total, question=asked, reserve=reserve, encoding=encoding)

    @property
    def room(self) -> int:
        """The tokens left for evidence."""
        return self.total - self.question - self.reserve

    def count(self, text: str) -> int:
        """The tokens of `text` in this budget's encoding."""
        return count_tokens(text, self.encoding)
