"""What one call of a chat model came to, as it goes."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import agent.models.prices as prices
from agent.requests.budget import count_tokens

if TYPE_CHECKING:
    from langchain_core.outputs import ChatGenerationChunk

_MOST = 1_000_000_000
"""Tokens that no request can have; an endpoint that reports more is wrong."""


@dataclass
class Tally:
    """One call: the model asked and what is sent to it, and what came of it so far.

    began: UTC; clock: the same on the monotonic clock; requests: how many were sent; tokens: of all of them.
    first: seconds to the first chunk; finish, text, calls: what the last request gave; error: why it ended.
    """

    asked: str
    payload: dict[str, Any]
    began: datetime = field(default_factory=lambda: datetime.now(UTC))
    clock: float = field(default_factory=time.monotonic)
    answered: str = ""
    requests: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    cached: int = 0
    estimated: bool = False
    first: float | None = None
    finish: str = ""
    error: str = ""
    text: str = ""
    calls: int = 0

    @property
    def seconds(self) -> float:
        """Seconds since the call began."""
        return round(time.monotonic() - self.clock, 6)

    def hear(self, chunk: ChatGenerationChunk) -> None:
        """Notes what a chunk says."""
        if self.first is None:
            self.first = self.seconds
        told = chunk.generation_info or {}
        self.finish = told.get("finish_reason") or self.finish
        self.answered = told.get("model_name") or self.answered
        self.text += chunk.text
        self.calls += len(getattr(chunk.message, "tool_call_chunks", ()))

    def add(self, usage: Any) -> None:
        """Adds the tokens of a request: as the endpoint reported them, else as counted here."""
        told = _told(usage or {})
        if told is not None:
            self.tokens_in += told[0]
            self.tokens_out += told[1]
            self.cached += told[2]
            return
        encoding = prices.encoding(self.asked)
        self.estimated = True
        self.tokens_in += count_tokens(_sent(self.payload), encoding)
        self.tokens_out += count_tokens(self.text, encoding)


def _told(usage: Mapping[str, Any]) -> tuple[int, int, int] | None:
    """The tokens in, out and cached that an endpoint reports; None where no such figures can be."""
    cached = (usage.get("input_token_details") or {}).get("cache_read") or 0
    read, written = usage.get("input_tokens", -1), usage.get("output_tokens", -1)
    possible = 0 <= cached <= read <= _MOST and 0 <= written <= _MOST
    return (read, written, cached) if possible else None


def _sent(payload: dict[str, Any]) -> str:
    """The words of a request, for an estimate of its tokens."""
    parts = [str(message.get("content") or "") for message in payload["messages"]]
    return "\n".join([*parts, *(str(tool) for tool in payload.get("tools", ()))])
