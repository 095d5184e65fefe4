"""Many calls under faults of the wire: no broken answer passes for a whole one, every call ends in time."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from agent.models import Models
from agent.records.ledger import Ledger
from index.errors import Interrupted, ModelError
from index.settings import Settings
from tests.agent.endpoint import Endpoint, Reply, Request, broken, say, status
from tests.conftest import HANG

MIX = (
    *(say, say, say, say, say),
    *(lambda text, **more: status(429, retry_after="0.05"), lambda text, **more: status(503)),
    lambda text, **more: broken("cut", text, **more),
    *(
        lambda text, **more: broken("truncated", text, **more),
        lambda text, **more: broken("done", text, **more),
    ),
    *(
        lambda text, **more: broken("malformed", text, **more),
        lambda text, **more: broken("error", text, **more),
    ),
)


@dataclass(frozen=True)
class End:
    """How a call ended. shown: the words a person saw."""

    question: str
    shown: str
    error: ModelError | None


@pytest.fixture
def connect(tmp_path: Path) -> Callable[..., Models]:
    def make(url: str, **more: object) -> Models:
        usual = {"stall_timeout": 0.25, "deadline": HANG, "retries": 2, "concurrency": 64}
        given = Settings.load(library=tmp_path, base_url=url, **{**usual, **more})
        models = Models.connect(given, Ledger(tmp_path))
        assert models is not None
        return models

    return make


async def ends(models: Models, questions: list[str]) -> list[End]:
    """Asks 64 at a time; half of the answers are streamed, half are wanted whole."""
    places = asyncio.Semaphore(64)

    async def one(number: int, question: str) -> End:
        async with places:
            return await end(models.question(question), question, number % 2 == 0)

    return await asyncio.gather(*(one(number, question) for number, question in enumerate(questions)))


async def end(models: Models, question: str, streamed: bool) -> End:
    """Asks one; raises TimeoutError where that takes longer than it may."""
    shown = ""
    try:
        async with asyncio.timeout(2 * HANG):
            if streamed:
                async for chunk in models.chat().astream(question):
                    shown += chunk.text
            else:
                shown = (await models.chat().ainvoke(question)).text
    except ModelError as error:
        return End(question, shown, error)
    return End(question, shown, None)


def truth(question: str) -> str:
    return f"The answer to {question} is the whole of this sentence and not a part of it, END."


class Mix:
    """A reply drawn anew for each request of a question, from a seed; one of a hundred stalls."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._asked: Counter[str] = Counter()

    def __call__(self, request: Request) -> Reply:
        question = request.text
        self._asked[question] += 1
        draw = random.Random(f"{self._seed} {question} {self._asked[question]}")
        if draw.random() < 0.01:
            return broken("stall", truth(question), after=draw.randrange(8))
        kind = draw.choice(MIX)
        return kind(truth(question), **({} if kind is say else {"after": draw.randrange(8)}))


@pytest.mark.slow
def test_of_a_thousand_calls_none_takes_a_part_for_the_whole(connect, tmp_path):
    questions = [f"question {number}" for number in range(1000)]
    with Endpoint(Mix(seed=4)) as endpoint:
        ended = asyncio.run(ends(connect(endpoint.url, stall_timeout=5.0), questions))
    whole = [one for one in ended if one.error is None]
    assert all(one.shown == truth(one.question) for one in whole)
    assert len(whole) > 500
    assert all(one.error.retry for one in ended if one.error is not None)
    assert all(isinstance(one.error, Interrupted) for one in ended if one.error is not None and one.shown)
    rows = Ledger(tmp_path).rows()
    assert Counter(row.question for row in rows) == Counter(questions)
    assert sum(row.error == "" for row in rows) == len(whole)
    assert {"connection", "malformed", "server", "timeout", "truncated"} <= {row.error for row in rows}


@pytest.fixture
def llmock() -> Iterator[Callable[..., str]]:
    """Gives the URL of the mock, which from now on fails at this rate, or in its streams in these ways."""
    testing = pytest.importorskip("llmock.testing")
    from llmock.chaos import StreamChaos
    from llmock.simulation import MockResponseSettings

    with testing.LLMockServer(responses=MockResponseSettings(response_style="hello")) as server:

        def start(failing: float = 0.0, **faults: float) -> str:
            rates = tuple(sorted(faults.items()))
            server.state.chaos.error_rates = {429: failing / 2, 503: failing / 2}
            server.state.stream_chaos = StreamChaos(fault_rates=rates, stall_seconds=30).validated()
            return server.base_url("openai")

        yield start


def test_a_mock_of_others_is_not_believed_either(llmock, connect):
    questions = [f"question {number}" for number in range(50)]
    patient = connect(llmock(), stall_timeout=HANG)
    plain = asyncio.run(ends(patient, questions))
    assert all(one.error is None and one.shown for one in plain)
    whole = {one.question: one.shown for one in plain}
    url = llmock(failing=0.2, truncate=0.15, disconnect=0.15, malformed=0.15, stall=0.1)
    ended = asyncio.run(ends(connect(url), questions))
    assert all(one.shown == whole[one.question] for one in ended if one.error is None)
    assert all(one.error.retry for one in ended if one.error is not None)
    always = asyncio.run(ends(connect(llmock(truncate=1.0), retries=1), questions[:6]))
    assert all(one.error is not None for one in always)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda parts: (
        st.lists(parts, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "choices",
                    "delta",
                    "content",
                    "tool_calls",
                    "finish_reason",
                    "usage",
                    "index",
                    "error",
                    "model",
                ]
            ),
            parts,
            max_size=4,
        )
    ),
    max_leaves=8,
)
chunks = st.one_of(
    json_values.map(json.dumps),
    json_values.map(lambda value: json.dumps({"choices": [{"index": 0, "delta": value}]})),
    json_values.map(lambda value: json.dumps({"choices": value, "usage": value})),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n"), max_size=30),
)


def test_whatever_a_chunk_holds_the_end_is_an_answer_or_an_error_of_ours(connect):
    text = "The base fee is burned [1]."
    reply = say(text)
    with Endpoint(lambda _: reply) as endpoint:
        models = connect(endpoint.url, retries=0)

        @settings(max_examples=100)
        @given(raw=chunks, after=st.integers(0, 3), streamed=st.booleans())
        @example(raw='{"choices": [{"delta": {"tool_calls": {"index": 0}}}]}', after=0, streamed=False)
        def holds(raw: str, after: int, streamed: bool) -> None:
            nonlocal reply
            reply = replace(broken("malformed", text, after=after), raw=raw)
            ended = asyncio.run(end(models.question("q"), "hi", streamed))
            assert ended.error is not None or ended.shown

        holds()
