"""What comes over the wire, looked at chunk by chunk before it is believed.

The client takes any JSON for a chunk: what has not the type that it should have stays so.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from types import TracebackType
from typing import Any

import openai
from openai.types.chat import ChatCompletionChunk
from openai.types.chat.chat_completion_chunk import Choice, ChoiceDelta, ChoiceDeltaToolCall


class Completions:
    """The client's chat completions, as langchain calls them, with streams that are checked."""

    def __init__(self, client: openai.AsyncOpenAI) -> None:
        self._client = client

    async def create(self, **payload: Any) -> _Chunks:
        """Sends a request and gives the stream of its answer."""
        return _Chunks(await self._client.chat.completions.create(**payload))


class _Chunks:
    """A stream of chunks as dictionaries. Raises ValueError at a chunk that is none."""

    def __init__(self, stream: openai.AsyncStream[ChatCompletionChunk]) -> None:
        self._stream = stream

    async def __aenter__(self) -> _Chunks:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stream.close()

    async def __aiter__(self) -> AsyncIterator[dict[str, Any]]:
        async for chunk in self._stream:
            if not is_chunk(chunk):
                raise ValueError("a chunk that is none")
            yield chunk.model_dump(warnings=False)


def is_chunk(chunk: object) -> bool:
    """Whether the client made a chunk of what came: choices with words or tool calls, or the tokens used."""
    if not isinstance(chunk, ChatCompletionChunk) or not isinstance(
        getattr(chunk, "model", None), str | None
    ):
        return False
    choices = getattr(chunk, "choices", None)
    if choices is None:
        return getattr(chunk, "usage", None) is not None
    return isinstance(choices, list) and all(_is_choice(choice) for choice in choices)


def _is_choice(choice: object) -> bool:
    delta = getattr(choice, "delta", None)
    return (
        isinstance(choice, Choice)
        and isinstance(delta, ChoiceDelta)
        and isinstance(delta.content, str | None)
        and isinstance(getattr(choice, "finish_reason", None), str | None)
        and isinstance(delta.tool_calls, list | None)
        and all(_is_call(call) for call in delta.tool_calls or ())
    )


def _is_call(call: object) -> bool:
    function = getattr(call, "function", None)
    texts = [getattr(function, name, None) for name in ("name", "arguments")]
    return isinstance(call, ChoiceDeltaToolCall) and all(isinstance(text, str | None) for text in texts)
