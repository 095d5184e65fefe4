"""A chat model that never takes a broken answer for a whole one, and writes each call into the ledger.

`ChatModel` is langchain's `ChatOpenAI` with its one way to the wire guarded. A call is made of requests:
- each waits for its turn in the queue, and counts against the question's allowance before it is sent;
- what fails before any words came is sent again, here, unseen: tenacity decides how often and how long to
  wait. The client's own retries end where the stream begins, know no deadline and leave no count;
  langchain's `ModelRetryMiddleware` knows no Retry-After;
- what fails after words were shown is raised as `Interrupted`: whoever showed them must say that they are
  void (`Withdrawn`) before the whole call is made again, as `Failover` does.
Every answer is streamed on the wire, also where the caller wants it whole: there is one thing to guard.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, aclosing, contextmanager
from dataclasses import dataclass, field
from typing import Any, NoReturn

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun
from langchain_core.language_models.chat_models import agenerate_from_stream
from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langchain_openai import ChatOpenAI
from pydantic import PrivateAttr, SecretStr
from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception_type,
    stop_after_attempt,
    stop_before_delay,
    wait_random_exponential,
)

import agent.models.faults as faults
import agent.models.prices as prices
from agent.models.allowance import Allowance
from agent.models.capabilities import ROOM, Capabilities
from agent.models.line import NO_KEY, line, url_of
from agent.models.tally import Tally
from agent.models.wire import Completions
from agent.records.ledger import Call, Ledger
from agent.records.privacy import Transcript, mask
from index.errors import BudgetError, Interrupted, ModelError, Unavailable
from index.settings import Settings

_Chunks = AsyncGenerator[ChatGenerationChunk, None]

_NAME = 200
"""Characters of what an endpoint calls a model or a finish reason that are kept."""

_backoff = wait_random_exponential(multiplier=0.5, max=20)


@dataclass(frozen=True)
class Asker:
    """For whom a model speaks: the user, the conversation, the question and what that may still spend.

    told: what was learnt of endpoints while it was answered, for a person.
    """

    settings: Settings
    ledger: Ledger
    user: str
    thread: str
    question: str
    allowance: Allowance
    told: list[str] = field(default_factory=list)

    @property
    def transcript(self) -> Transcript:
        """The log of prompts and answers."""
        return Transcript(self.settings.library, self.settings.log, self.settings.log_days)


class ChatModel(ChatOpenAI):
    """A chat model as langchain knows one, asynchronous only; see the module.

    Raises ModelError for whatever goes wrong with the endpoint (Unavailable where trying again may help), and
    BudgetError where the question's allowance is spent.
    """

    _asker: Asker = PrivateAttr()

    @classmethod
    def of(cls, name: str, asker: Asker) -> ChatModel:
        """The model of this name at the endpoint of the asker's settings."""
        model = cls(
            model=name,
            temperature=asker.settings.temperature,
            base_url=url_of(asker.settings),
            api_key=asker.settings.api_key or SecretStr(NO_KEY),
            client=_Missing(),
            async_client=_Missing(),
            cache=False,
            max_retries=0,
            stream_usage=True,
            stream_chunk_timeout=None,
            use_responses_api=False,
        )
        model._asker = asker
        return model

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **options: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        """The chunks of an answer. They are all of it only where no error follows."""
        async for chunk in self._answer(messages, stop, options):
            if run_manager is not None:
                await run_manager.on_llm_new_token(chunk.text, chunk=chunk)
            yield chunk

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,  # noqa: ARG002
        **options: Any,
    ) -> ChatResult:
        """A whole answer, sent again as often as need be: nobody saw a part of it."""
        options.pop("stream", None)
        return await agenerate_from_stream(self._answer(messages, stop, options, unseen=True))

    def _generate(self, *_: Any, **__: Any) -> NoReturn:
        raise NotImplementedError("chat models are asynchronous here: use ainvoke or astream")

    def _stream(self, *_: Any, **__: Any) -> NoReturn:
        raise NotImplementedError("chat models are asynchronous here: use ainvoke or astream")

    async def _answer(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None,
        options: dict[str, Any],
        unseen: bool = False,
    ) -> _Chunks:
        """The chunks of a call; unseen: all of them are held back until the answer is whole."""
        tally = Tally(self.model_name, self._get_request_payload(messages, stop=stop, **options))
        with self._recorded(tally):
            named = {**_plain(options), "extra_headers": _named_once(options.get("extra_headers"))}
            held, rest = await self._begun(
                lambda: self._request(tally, messages, stop, named, unseen), unseen
            )
            async with aclosing(rest):
                try:
                    for chunk in held:
                        yield chunk
                    async for chunk in rest:
                        yield chunk
                except Unavailable as error:
                    raise Interrupted(str(error), error.reason, error.after) from error

    async def _begun(
        self, request: Callable[[], _Chunks], unseen: bool
    ) -> tuple[list[ChatGenerationChunk], _Chunks]:
        """The chunks up to the first words, or all of an answer that has none, and the stream of the rest."""

        async def begin() -> tuple[list[ChatGenerationChunk], _Chunks]:
            stream, held = request(), []
            async for chunk in stream:
                held.append(chunk)
                if chunk.text and not unseen:
                    break
            return held, stream

        again = AsyncRetrying(
            retry=retry_if_exception_type(Unavailable),
            stop=stop_after_attempt(1 + self._asker.settings.retries)
            | stop_before_delay(self._asker.allowance.seconds),
            wait=_patience,
            reraise=True,
        )
        return await again(begin)

    async def _request(
        self,
        tally: Tally,
        messages: list[BaseMessage],
        stop: list[str] | None,
        options: dict[str, Any],
        unseen: bool,
    ) -> _Chunks:
        """One request: its turn, its chunks, and an error unless it ended well."""
        asker, usage, heard = self._asker, None, False
        url = url_of(asker.settings)
        capabilities = Capabilities(asker.settings.library, url, self.model_name, asker.told)

        def sent() -> None:
            asker.allowance.request()
            tally.requests += 1

        sent()
        tally.finish, tally.text, tally.calls = "", "", 0
        async with AsyncExitStack() as stack:
            with self._translated():
                async with asyncio.timeout(asker.allowance.seconds):
                    way = line(asker.settings)
                    await stack.enter_async_context(way.gate.entered(asker.user))
            self.root_async_client = way.client
            self.async_client = Completions(way.client, capabilities, sent, hold=unseen)
            ends = time.monotonic() + min(asker.settings.request_timeout, asker.allowance.seconds)
            chunks = super()._astream(messages, stop, **options)
            await stack.enter_async_context(aclosing(chunks))  # type: ignore[type-var]
            try:
                while (chunk := await self._next(chunks, ends)) is not None:
                    heard = True
                    tally.hear(_named(chunk, self.model_name))
                    usage = getattr(chunk.message, "usage_metadata", None) or usage
                    yield chunk
            finally:
                if heard:
                    tally.add(usage)
        if not heard:
            raise faults.malformed(self.model_name, url)
        self._ended(tally, capabilities)

    def _ended(self, tally: Tally, capabilities: Capabilities) -> None:
        """Raises an error unless a request brought a whole answer."""
        said = bool(tally.text.strip() or tally.calls)
        if faults.is_cut_short(tally.finish) and not said and capabilities.learn(ROOM):
            raise faults.no_room_to_reason(self.model_name)
        if tally.calls and faults.is_cut_short(tally.finish):
            return
        if (error := faults.unfinished(tally.finish or None, self.model_name)) is not None:
            raise error
        if not said:
            raise faults.empty(self.model_name)

    async def _next(
        self, chunks: AsyncIterator[ChatGenerationChunk], ends: float
    ) -> ChatGenerationChunk | None:
        """The next chunk, None after the last. ends: when the request must be over (monotonic clock)."""
        stall = self._asker.settings.stall_timeout
        with self._translated():
            async with asyncio.timeout(min(stall, max(ends - time.monotonic(), 0.0))):
                return await anext(chunks, None)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Makes errors of our own of the vendor's, and of time that is over."""
        try:
            yield
        except ModelError:
            raise
        except faults.VENDOR as error:
            settings = self._asker.settings
            if self._asker.allowance.seconds == 0:
                raise Unavailable(
                    f"the question was not answered within its {settings.deadline:g} seconds; raise"
                    " CHAINCITE_DEADLINE, or ask again",
                    "deadline",
                ) from error
            raise faults.translate(error, self.model_name, url_of(settings)) from error

    @contextmanager
    def _recorded(self, tally: Tally) -> Iterator[None]:
        """Writes the call into ledger and log, whatever its end."""
        try:
            yield
        except ModelError as error:
            tally.error = error.reason
            raise
        except BudgetError:
            tally.error = "budget"
            raise
        except (asyncio.CancelledError, GeneratorExit):
            tally.error = "cancelled"
            raise
        finally:
            if tally.requests:
                self._record(tally)

    def _record(self, tally: Tally) -> None:
        asker = self._asker
        tokens = (tally.tokens_in, tally.tokens_out, tally.cached)
        url, own = url_of(asker.settings), asker.settings.prices
        cost = prices.price(tally.asked, *tokens, url=url, own=own)
        asker.allowance.spent(tally.tokens_in, tally.tokens_out, cost)
        asker.ledger.record(
            Call(
                time=tally.began,
                user=asker.user,
                thread=asker.thread,
                question=asker.question,
                asked=tally.asked,
                answered=tally.answered or tally.asked,
                tokens_in=tally.tokens_in,
                tokens_out=tally.tokens_out,
                cached=tally.cached,
                estimated=tally.estimated,
                cost=cost,
                first=tally.first,
                seconds=tally.seconds,
                retries=tally.requests - 1,
                finish=tally.finish,
                error=tally.error,
            )
        )
        messages = tally.payload["messages"]
        asker.transcript.write(asker.question, tally.asked, messages, tally.text, tally.error)


class _Missing:
    """Stands where langchain would make clients of its own; a request puts the line's client in its place."""


def _patience(state: RetryCallState) -> float:
    """Seconds before the next request: what the endpoint asks for, and no less than the backoff."""
    error = state.outcome and state.outcome.exception()
    return max(getattr(error, "after", None) or 0.0, _backoff(state))


def _plain(options: dict[str, Any]) -> dict[str, Any]:
    """Options for the one way to the wire: langchain sends a request with a schema by another."""
    extra = {name: value for name, value in options.items() if name == "response_format"}
    if not extra:
        return options
    rest = {name: value for name, value in options.items() if name not in extra}
    return {**rest, "extra_body": {**(options.get("extra_body") or {}), **extra}}


def _named_once(headers: dict[str, str] | None) -> dict[str, str]:
    """The headers that let an endpoint know the requests of one call for the same."""
    name = str(uuid.uuid4())
    return {"Idempotency-Key": name, "X-Client-Request-Id": name, **(headers or {})}


def _named(chunk: ChatGenerationChunk, asked: str) -> ChatGenerationChunk:
    """The chunk; a last one says why it ended and who spoke (else the one asked), both without secrets."""
    told = chunk.generation_info
    if told and told.get("finish_reason"):
        told["finish_reason"] = mask(told["finish_reason"])[:_NAME]
        told["model_name"] = mask(told.get("model_name") or asked)[:_NAME]
    return chunk
