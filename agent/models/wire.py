"""What goes over the wire to an OpenAI-compatible endpoint and comes back, made what the interface says.

Endpoints differ. A request is sent again without what they refuse (`Capabilities`). An answer is read chunk
by chunk, or whole where the endpoint does not stream: its words without reasoning, its tool calls put
together, its end wherever one is marked. A chunk of which nothing can be read is an error.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from types import TracebackType
from typing import Any

import openai
from openai import AsyncStream

from agent.models.capabilities import UNOPENED, Capabilities
from agent.models.failover import REASONING
from agent.models.reasoning import ReasoningFilter, UnopenedReasoning
from agent.models.refusals import refusal_of
from agent.models.tool_calls import ToolCalls
from index.errors import Unavailable

_ENDS = frozenset(".!?…。！？:;)]}>\"'”’」』`*_|")
"""What an answer ends with that was not cut off in a sentence."""


class _Events(AsyncStream[object]):
    """The client's stream of events, each as JSON says it. ended: whether the endpoint said [DONE]."""

    ended = False

    async def _iter_events(self) -> AsyncIterator[Any]:
        async for event in super()._iter_events():
            self.ended = self.ended or event.data.strip().startswith("[DONE]")
            if event.data.strip():
                yield event


class Completions:
    """The client's chat completions, as langchain calls them.

    again: called before a request is sent another time. hold: whether nothing is shown before the end.
    """

    def __init__(
        self,
        client: openai.AsyncOpenAI,
        capabilities: Capabilities,
        again: Callable[[], None],
        hold: bool = False,
    ) -> None:
        self._client = client
        self._capabilities = capabilities
        self._again = again
        self._hold = hold

    async def create(
        self,
        *,
        extra_headers: Mapping[str, str] | None = None,
        extra_body: Mapping[str, Any] | None = None,
        **payload: Any,
    ) -> Answer:
        """Sends a request, as often as it takes to leave out what is refused, and gives the answer."""
        payload |= extra_body or {}
        without: set[str] = set()
        while True:
            body = self._capabilities.applied(payload, without)
            try:
                source = await self._opened(body, dict(extra_headers or {}))
            except openai.APIError as error:
                refusal = refusal_of(error, body)
                if refusal is None:
                    raise
                without |= refusal.parts
                for part in refusal.parts if refusal.lasting else ():
                    self._capabilities.learn(part)
                self._again()
                continue
            return Answer(
                source, self._capabilities, self._hold, calls="tools" in body or "tools" not in payload
            )

    async def _opened(self, body: dict[str, Any], headers: dict[str, str]) -> _Source:
        """The answer to a request, begun. Raises APIError where it is refused, also in its first chunk."""
        stream = await self._client.post(
            "/chat/completions",
            cast_to=object,
            body=body,
            options={"headers": headers},
            stream=True,
            stream_cls=_Events,
        )
        try:
            return await _Source.begin(stream)
        except BaseException:
            await stream.close()
            raise


class _Source:
    """The chunks of an answer as they came. first: the one that was awaited; None where none came."""

    def __init__(self, stream: _Events, chunks: AsyncIterator[object], first: object) -> None:
        self.stream = stream
        self.first = first
        self.rest = chunks

    @classmethod
    async def begin(cls, stream: _Events) -> _Source:
        chunks = _whole(stream) if await _is_whole(stream) else _streamed(stream)
        return cls(stream, chunks, await anext(chunks, None))

    async def chunks(self) -> AsyncIterator[object]:
        if self.first is not None:
            yield self.first
        async for chunk in self.rest:
            yield chunk


async def _is_whole(stream: _Events) -> bool:
    """Whether an answer is one JSON object; endpoints do not always say what they send."""
    response = stream.response
    if "event-stream" in response.headers.get("content-type", ""):
        return False
    return (await response.aread()).lstrip()[:1] == b"{"


async def _whole(stream: _Events) -> AsyncIterator[object]:
    answer = json.loads(stream.response.content)
    stream.ended = True
    _refuse_errors(stream, answer)
    yield answer


async def _streamed(stream: _Events) -> AsyncIterator[object]:
    async for chunk in stream:
        _refuse_errors(stream, chunk)
        yield chunk


def _refuse_errors(stream: _Events, chunk: object) -> None:
    """Raises APIError for an error in the place of an answer, of which some endpoints give no status."""
    if isinstance(chunk, dict) and (chunk.get("error") or chunk.get("object") == "error"):
        error = chunk.get("error") or chunk
        message = error.get("message") if isinstance(error, dict) else error
        raise openai.APIError(str(message), stream.response.request, body=error)


class Answer:
    """An answer in chunks as langchain reads them. Raises ValueError at a chunk that is none.

    Each chunk that comes gives one, so that time without any is time in which nothing came; the last has
    the tool calls, why the answer ended, and the tokens used. calls: whether
    tool calls are wanted.
    """

    def __init__(self, source: _Source, capabilities: Capabilities, hold: bool, calls: bool) -> None:
        self._source = source
        self._capabilities = capabilities
        self._words = ReasoningFilter(hold or capabilities.lacks(UNOPENED))
        self._calls = ToolCalls()
        self._offered = calls
        self._finish: str | None = None
        self._usage: dict[str, Any] | None = None
        self._model: str | None = None
        self._tail = ""
        self._heard = self._totalled = False

    async def __aenter__(self) -> Answer:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._source.stream.close()

    async def __aiter__(self) -> AsyncIterator[dict[str, Any]]:
        async for chunk in self._source.chunks():
            try:
                text = self._words.feed(self._read(chunk))
            except UnopenedReasoning:
                self._capabilities.learn(UNOPENED)
                raise Unavailable(
                    "what was shown is the model's reasoning, which it had not marked", REASONING
                ) from None
            self._tail = (self._tail + text).rstrip()[-1:]
            yield self._chunk(text)
        if self._heard:
            yield self._last()

    def _read(self, chunk: object) -> str:
        """Takes what a chunk says, and gives its words."""
        if not isinstance(chunk, Mapping):
            raise ValueError("a chunk that is no object")
        self._model = _text_or_none(chunk, "model") or self._model
        usage = _usage(chunk)
        self._usage = usage or self._usage
        choices = chunk.get("choices") or []
        self._totalled |= usage is not None and not choices
        self._heard |= bool(choices) or usage is not None
        if not isinstance(choices, list) or not all(isinstance(choice, Mapping) for choice in choices):
            raise ValueError("choices that are none")
        return "".join(self._said(choice) for choice in choices if not choice.get("index"))

    def _said(self, choice: Mapping[str, Any]) -> str:
        delta = choice.get("delta") or choice.get("message") or {}
        if not isinstance(delta, Mapping):
            raise ValueError("a delta that is none")
        self._finish = _text_or_none(choice, "finish_reason") or self._finish
        calls = delta.get("tool_calls") or []
        self._calls.add(calls if isinstance(calls, list) else [calls])
        if isinstance(legacy := delta.get("function_call"), Mapping):
            self._calls.add([legacy])
        return "".join(_words(delta.get("content") or ""))

    def _last(self) -> dict[str, Any]:
        text = self._words.end()
        self._tail = (self._tail + text).rstrip()[-1:]
        for call in self._words.calls:
            self._calls.add_text(call)
        calls = self._calls.finished() if self._offered else []
        return self._chunk(text, calls, self._finish or self._unsaid_finish(calls), self._usage)

    def _unsaid_finish(self, calls: list[dict[str, Any]]) -> str | None:
        """The finish reason of an answer that has none; None where it broke off.

        It is whole where the tokens used are told after it, or where [DONE] follows a whole sentence.
        """
        whole = bool(calls) or self._tail in _ENDS
        return "stop" if self._totalled or (self._source.stream.ended and whole) else None

    def _chunk(
        self,
        text: str,
        calls: list[dict[str, Any]] | None = None,
        finish: str | None = None,
        usage: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        delta = {"role": "assistant", "content": text, "tool_calls": calls}
        return {
            "model": self._model,
            "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
            "usage": usage,
        }


def _words(content: object) -> Iterator[str]:
    """The text of a content: a string, or parts of which those of text count."""
    if isinstance(content, str):
        yield content
    elif isinstance(content, list | dict):
        for part in content if isinstance(content, list) else [content]:
            if isinstance(part, Mapping) and part.get("type", "text") in ("text", "output_text"):
                yield from _words(part.get("text") or part.get("content") or "")
            elif isinstance(part, str):
                yield part
    else:
        raise ValueError("a content that is none")


def _text_or_none(given: Mapping[str, Any], name: str) -> str | None:
    value = given.get(name)
    if not isinstance(value, str | None):
        raise ValueError(f"a {name} that is none")
    return value


def _usage(chunk: Mapping[str, Any]) -> dict[str, Any] | None:
    """The tokens used, of which all figures are whole numbers; Groq has them in a field of its own."""
    groq = chunk.get("x_groq")
    told = chunk.get("usage") or (groq.get("usage") if isinstance(groq, Mapping) else None)
    if not isinstance(told, Mapping):
        return None
    figures = {name: told.get(name) for name in ("prompt_tokens", "completion_tokens")}
    if not all(isinstance(figure, int) for figure in figures.values()):
        return None
    details = told.get("prompt_tokens_details")
    cached = details.get("cached_tokens") if isinstance(details, Mapping) else None
    return {
        **figures,
        "total_tokens": sum(figures.values()),
        "prompt_tokens_details": {"cached_tokens": cached if isinstance(cached, int) else 0},
    }
