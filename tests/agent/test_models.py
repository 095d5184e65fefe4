"""Chat models against a scripted endpoint: what they answer, refuse, retry, and leave in the ledger."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Callable
from decimal import Decimal
from email.utils import formatdate
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain.agents import create_agent
from langchain_core.messages import AIMessage, HumanMessage
from pydantic import SecretStr

from agent.models import Models, faults, prices
from agent.models.gate import MINUTE, Gate
from agent.records.ledger import Ledger
from agent.requests.budget import count_tokens
from index.errors import BudgetError, Interrupted, ModelError, SettingsError, Unavailable
from index.settings import Settings
from tests.agent.endpoint import FAULTS, Call, Endpoint, Reply, broken, call, calls, say, status
from tests.conftest import HANG

TEXT = "The base fee is burned [1]."

Connect = Callable[..., Models]


@pytest.fixture
def connect(tmp_path: Path) -> Connect:
    """Connects to an endpoint, for a question; keywords are settings."""

    def make(endpoint: Endpoint | str, **settings: Any) -> Models:
        url = endpoint if isinstance(endpoint, str) else endpoint.url
        usual = {"stall_timeout": HANG, "deadline": 2 * HANG, "retries": 2, "only_loopback": True}
        given = Settings.load(library=tmp_path, base_url=url, **{**usual, **settings})
        models = Models.connect(given, Ledger(tmp_path), user="ann")
        assert models is not None
        return models.question("q1", "t1")

    return make


async def shown(models: Models, question: str = "hi") -> tuple[str, ModelError | None]:
    """What a person sees of a streamed answer, and the error that voids it."""
    text = ""
    try:
        async for chunk in models.chat().astream(question):
            text += chunk.text
    except ModelError as error:
        return text, error
    return text, None


def test_without_key_and_endpoint_there_are_no_models(tmp_path):
    assert Models.connect(Settings.load(library=tmp_path), Ledger(tmp_path)) is None


def test_an_answer_says_who_spoke_and_is_in_the_ledger(endpoint, connect, tmp_path):
    there = endpoint(say(TEXT, model="gpt-4.1-mini-2025-04-14", usage=(1000, 50, 400)))
    models = connect(there)
    answer = asyncio.run(models.chat().ainvoke([HumanMessage("What burns?")]))
    assert answer.content == TEXT
    assert answer.response_metadata["model_name"] == "gpt-4.1-mini-2025-04-14"
    assert answer.response_metadata["finish_reason"] == "stop"
    [row] = Ledger(tmp_path).rows()
    assert (row.user, row.thread, row.question, row.asked) == ("ann", "t1", "q1", "gpt-4.1-mini")
    assert (row.answered, row.finish, row.error) == ("gpt-4.1-mini-2025-04-14", "stop", "")
    assert (row.tokens_in, row.tokens_out, row.cached, row.estimated) == (1000, 50, 400, False)
    # 600 tokens at $0.4, 400 cached at $0.1, 50 at $1.6 the million
    assert row.cost == Decimal("0.00036") == models.allowance.cost
    assert row.first is not None
    assert row.first <= row.seconds
    body = there.requests[0].body
    assert (body["temperature"], body["stream_options"]) == (0.0, {"include_usage": True})
    assert there.requests[0].path == "/v1/chat/completions"


def test_tool_calls_come_whole(endpoint, connect):
    there = endpoint(calls(Call("search", '{"question": "a"}'), Call("open", '{"n": 2}')))
    answer = asyncio.run(connect(there).chat().ainvoke("hi"))
    assert [(one["name"], one["args"]) for one in answer.tool_calls] == [
        ("search", {"question": "a"}),
        ("open", {"n": 2}),
    ]


@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault not in ("empty", "html")])
def test_a_fault_after_some_words_voids_them(fault, endpoint, connect, tmp_path):
    there = endpoint(broken(fault, TEXT, after=2))
    text, error = there.run(shown(connect(there)))
    assert TEXT.startswith(text)
    assert isinstance(error, Interrupted)
    assert error.retry
    assert len(there.requests) == 1
    [row] = Ledger(tmp_path).rows()
    assert row.error == error.reason != ""
    assert row.estimated
    assert row.tokens_out > 0


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_before_any_word_is_retried_unseen(fault, endpoint, connect, tmp_path):
    there = endpoint([broken(fault, TEXT, after=0), say(TEXT)])
    assert there.run(shown(connect(there))) == (TEXT, None)
    names = {request.headers["idempotency-key"] for request in there.requests}
    assert len(there.requests) == 2
    assert len(names) == 1
    [row] = Ledger(tmp_path).rows()
    assert (row.retries, row.error, row.finish) == (1, "", "stop")


def test_a_busy_endpoint_is_asked_as_often_as_the_setting_says(endpoint, connect):
    there = endpoint(status(503))
    with pytest.raises(Unavailable, match="cannot answer now"):
        asyncio.run(connect(there, retries=2).chat().ainvoke("hi"))
    assert len(there.requests) == 3


@pytest.mark.parametrize("fault", FAULTS)
def test_an_answer_wanted_whole_is_retried_after_words_too(fault, endpoint, connect):
    there = endpoint([broken(fault, TEXT, after=3), say(TEXT)])
    assert there.run(connect(there).chat().ainvoke("hi")).content == TEXT


def test_each_call_has_a_name_of_its_own(endpoint, connect):
    there = endpoint(say(TEXT))
    models = connect(there)

    async def twice():
        await models.chat().ainvoke("a")
        await models.chat().ainvoke("b")

    asyncio.run(twice())
    assert len({request.headers["idempotency-key"] for request in there.requests}) == 2


@pytest.mark.parametrize(
    ("reply", "reason", "said"),
    [
        (status(400, message="no such field"), "request", "no such field"),
        (status(400, code="context_length_exceeded"), "window", "CHAINCITE_WINDOW"),
        (status(401), "key", "OPENAI_API_KEY"),
        (status(402), "credit", "no credit left"),
        (status(403), "key", "does not allow"),
        (status(404, code="model_not_found"), "model", "knows no model 'gpt-4.1-mini'"),
        (status(429, code="insufficient_quota"), "credit", "no credit left"),
        (status(307, message="elsewhere"), "request", "refuses the request"),
        (say("It is", finish="length"), "length", "--budget"),
        (say("It is", finish="content_filter"), "content_filter", "content filter"),
    ],
)
def test_what_no_retry_mends_is_final(reply, reason, said, endpoint, connect, tmp_path):
    there = endpoint(reply)
    with pytest.raises(ModelError, match=said) as told:
        asyncio.run(connect(there).chat().ainvoke("hi"))
    assert (told.value.retry, told.value.reason) == (False, reason)
    assert len(there.requests) == 1
    assert [row.error for row in Ledger(tmp_path).rows()] == [reason]


def test_an_answer_of_nothing_is_none(endpoint, connect):
    with pytest.raises(Unavailable, match="nothing at all"):
        asyncio.run(connect(endpoint(say("")), retries=1).chat().ainvoke("hi"))


def test_nobody_at_the_address_is_told(connect, closed_port):
    with pytest.raises(Unavailable, match="connection to http://127"):
        asyncio.run(connect(f"http://127.0.0.1:{closed_port}/v1", retries=1).chat().ainvoke("hi"))


def test_retry_after_is_waited_for(endpoint, connect, tmp_path):
    there = endpoint([Reply(status=429, headers={"Retry-After-Ms": "400"}), say(TEXT)])
    asyncio.run(connect(there).chat().ainvoke("hi"))
    assert Ledger(tmp_path).rows()[0].seconds >= 0.4


@pytest.mark.parametrize("when", ["3600", formatdate(2**32, usegmt=True)])
def test_retry_after_beyond_the_deadline_is_not_waited_for(when, endpoint, connect):
    there = endpoint([status(429, retry_after=when), say(TEXT)])
    with pytest.raises(Unavailable) as told:
        asyncio.run(connect(there).chat().ainvoke("hi"))
    assert told.value.reason == "rate_limit"
    assert told.value.after > 3000
    assert len(there.requests) == 1


@given(st.one_of(st.text(max_size=40), st.floats().map(str), st.integers().map(str)))
def test_any_retry_after_is_understood_or_passed_over(text):
    seconds = faults.retry_after({"retry-after": text})
    assert seconds is None or 0 <= seconds < float("inf")


@pytest.mark.parametrize("reply", [broken("stall", after=0), broken("stall"), say("a b c d", pace=9)])
def test_a_question_ends_at_its_deadline(reply, endpoint, connect):
    there = endpoint(reply)
    models = connect(there, deadline=0.6)
    _, error = asyncio.run(shown(models))
    assert error is not None
    assert error.reason == "deadline"
    assert "0.6 seconds" in str(error)
    assert models.allowance.seconds == 0


def test_one_request_has_its_own_time(endpoint, connect):
    there = endpoint([broken("stall", TEXT), say(TEXT)])
    models = connect(there, request_timeout=HANG / 2)
    assert there.run(models.chat().ainvoke("hi")).content == TEXT


def test_requests_and_money_are_counted_before_anything_is_sent(endpoint, connect):
    there = endpoint(say(TEXT, usage=(1_000_000, 0, 0)))

    async def ask(models, times):
        for _ in range(times):
            await models.chat().ainvoke("hi")

    with pytest.raises(BudgetError, match="2 requests"):
        asyncio.run(ask(connect(there, max_requests=2), 3))
    assert len(there.requests) == 2
    with pytest.raises(BudgetError, match=r"has cost \$0.4000 of the \$0.3"):
        asyncio.run(ask(connect(there, max_cost=0.3), 3))
    assert len(there.requests) == 3


def test_tool_calls_are_counted(connect):
    allowance = connect("http://127.0.0.1:9/v1", max_tool_calls=1).allowance
    allowance.tool_call()
    with pytest.raises(BudgetError, match="1 tool calls"):
        allowance.tool_call()


def test_a_new_question_has_an_allowance_of_its_own(endpoint, connect):
    there = endpoint(say(TEXT))
    models = connect(there, max_requests=1)
    asyncio.run(models.chat().ainvoke("hi"))
    again = models.question("q2")
    assert (models.allowance.requests, again.allowance.requests) == (1, 0)
    assert asyncio.run(again.chat().ainvoke("hi")).content == TEXT


def test_models_serve_one_event_loop_after_another(endpoint, connect):
    models = connect(endpoint(say(TEXT)))
    chat = models.chat()
    assert [asyncio.run(chat.ainvoke("hi")).content for _ in range(3)] == [TEXT] * 3


def test_there_is_no_way_around_the_guard(connect):
    with pytest.raises(NotImplementedError, match="ainvoke"):
        connect("http://127.0.0.1:9/v1").chat().invoke("hi")


def test_requests_wait_for_their_turn(endpoint, connect):
    three = threading.Barrier(3)
    there = endpoint(say(TEXT, before=lambda: three.wait(HANG)))
    models = connect(there, concurrency=3, max_requests=100)

    async def many():
        return await asyncio.gather(*(models.chat().ainvoke(f"{n}") for n in range(21)))

    assert [answer.content for answer in asyncio.run(many())] == [TEXT] * 21
    assert there.most == 3


def test_a_cancelled_call_is_in_the_ledger_and_gives_its_place_back(endpoint, connect, tmp_path):
    there = endpoint([broken("stall", TEXT), say(TEXT)])
    models = connect(there, concurrency=1)

    async def interrupt():
        async for _ in (stream := models.chat().astream("hi")):
            break
        await stream.aclose()
        return await models.chat().ainvoke("hi")

    assert asyncio.run(interrupt()).content == TEXT
    assert [row.error for row in Ledger(tmp_path).rows()] == ["cancelled", ""]


class Clock(asyncio.SelectorEventLoop):
    """An event loop whose clock can be put forward."""

    ahead = 0.0

    def time(self) -> float:
        return super().time() + self.ahead


@given(
    users=st.lists(st.sampled_from("abc"), min_size=1, max_size=30),
    concurrency=st.integers(1, 4),
    per_minute=st.integers(0, 5),
)
def test_the_queue_is_bounded_ordered_and_fair(users, concurrency, per_minute):
    """All come in, each user's in order; while one waits, each other passes once, besides those called."""
    loop = Clock()
    came: dict[int, int] = {}
    admitted: list[tuple[str, int]] = []
    begun: list[float] = []
    inside = 0

    async def visit(gate, user, number):
        nonlocal inside
        came[number] = len(admitted)
        async with gate.entered(user):
            inside += 1
            assert inside <= concurrency
            admitted.append((user, number))
            begun.append(loop.time())
            await asyncio.sleep(0)
            inside -= 1

    async def everyone():
        gate = Gate(concurrency, per_minute)
        waiting = [asyncio.create_task(visit(gate, user, n)) for n, user in enumerate(users)]
        while not all(task.done() for task in waiting):
            before = len(admitted)
            for _ in range(2 * len(users) + 2):
                await asyncio.sleep(0)
            if len(admitted) == before:
                loop.ahead += MINUTE
        await asyncio.gather(*waiting)

    try:
        loop.run_until_complete(everyone())
    finally:
        loop.close()
    assert sorted(number for _, number in admitted) == list(range(len(users)))
    for user in "abc":
        own = [at for at, (name, _) in enumerate(admitted) if name == user]
        assert [admitted[at][1] for at in own] == sorted(admitted[at][1] for at in own)
        for at, before in zip(own, [-1, *own], strict=False):
            passed = [name for name, _ in admitted[max(came[admitted[at][1]], before + 1) : at]]
            assert all(passed.count(other) <= 1 + concurrency for other in passed)
    for early, late in zip(begun, begun[per_minute:], strict=False):
        assert not per_minute or late - early >= MINUTE


def test_whoever_leaves_the_queue_holds_nobody_up():
    async def leave():
        gate = Gate(1)
        inside = asyncio.Event()

        async def hold():
            async with gate.entered("a"):
                inside.set()
                await asyncio.Event().wait()

        async def wait():
            async with gate.entered("b"):
                return "in"

        holder = asyncio.create_task(hold())
        await inside.wait()
        leaver, waiter = asyncio.create_task(wait()), asyncio.create_task(wait())
        await asyncio.sleep(0)
        leaver.cancel()
        await asyncio.sleep(0)
        holder.cancel()
        return await waiter

    assert asyncio.run(leave()) == "in"


def agent_answer(models: Models) -> tuple[AIMessage, list[tuple[str, str | None]]]:
    """What an agent with these models answers, and what its failover told."""
    told: list[tuple[str, str | None]] = []
    agent = create_agent(
        models.chat(), [], middleware=models.middleware(lambda e, name: told.append((e.reason, name)))
    )

    async def run():
        last = None
        async for mode, part in agent.astream(
            {"messages": [HumanMessage("hi")]}, stream_mode=["messages", "values"]
        ):
            last = part["messages"][-1] if mode == "values" else last
        return last

    return asyncio.run(run()), told


def test_fallbacks_speak_in_their_order_and_say_so(endpoint, connect):
    def script(request):
        return {"best": status(503), "second": status(404)}.get(request.body["model"], say(TEXT))

    there = endpoint(script)
    models = connect(there, model="best", fallback_models="second,third,fourth", retries=1)
    assert models.names == ("best", "second", "third", "fourth")
    answer, told = agent_answer(models)
    assert answer.content == TEXT
    assert answer.response_metadata["model_name"] == "third"
    assert told == [("server", "second"), ("model", "third")]
    assert [request.body["model"] for request in there.requests] == ["best", "best", "second", "third"]


def test_an_interrupted_answer_is_told_and_begun_again(endpoint, connect):
    there = endpoint([broken("cut", TEXT, after=2), broken("truncated", TEXT, after=2), say(TEXT)])
    answer, told = agent_answer(connect(there, model="best", fallback_models="second", retries=1))
    assert answer.content == TEXT
    assert told == [("connection", "best"), ("truncated", "second")]


def test_a_refused_key_is_not_tried_on_the_fallbacks(endpoint, connect):
    there = endpoint(say(TEXT), "sk-right")
    with pytest.raises(ModelError, match="refuses the key"):
        agent_answer(connect(there, api_key=SecretStr("sk-wrong"), fallback_models="second"))
    assert not there.requests
    assert agent_answer(connect(there, api_key=SecretStr("sk-right")))[0].content == TEXT


def test_where_all_fail_the_last_error_is_raised(endpoint, connect):
    with pytest.raises(Unavailable, match="cannot answer now"):
        agent_answer(connect(endpoint(status(500)), fallback_models="second", retries=0))


def test_a_spent_budget_is_not_tried_on_the_fallbacks(endpoint, connect):
    there = endpoint(call("search", question="x"))
    models = connect(there, fallback_models="second", max_requests=1)
    asyncio.run(models.chat().ainvoke("hi"))
    with pytest.raises(BudgetError):
        agent_answer(models)
    assert len(there.requests) == 1


def test_simple_questions_and_judging_have_models_of_their_own(connect):
    url = "http://127.0.0.1:9/v1"
    assert connect(url).simple == "gpt-4.1-mini"
    assert connect(url).judge is None
    models = connect(url, simple_model="small", judge_model="stern")
    assert (models.simple, models.judge, models.names) == ("small", "stern", ("gpt-4.1-mini",))
    assert models.chat(models.simple).model_name == "small"


def test_tests_cannot_reach_a_paid_endpoint(connect, tmp_path):
    for settings in ({"api_key": SecretStr("sk-x")}, {"base_url": "https://chat.example.org/v1"}):
        with pytest.raises(SettingsError, match="outside this machine"):
            Models.connect(Settings.load(library=tmp_path, **settings), Ledger(tmp_path))


def test_the_send_point_itself_refuses_what_is_elsewhere(monkeypatch, connect):
    monkeypatch.setattr("agent.models.line.check", lambda settings: None)
    with pytest.raises(SettingsError, match="outside this machine"):
        asyncio.run(connect("http://192.0.2.1/v1").chat().ainvoke("hi"))


def test_a_key_does_not_travel_unencrypted(tmp_path):
    url = "http://chat.example.org/v1"
    given = Settings.load(library=tmp_path, base_url=url, api_key=SecretStr("sk-x"), only_loopback=False)
    with pytest.raises(SettingsError, match="unencrypted; use an https://"):
        Models.connect(given, Ledger(tmp_path))


def vendor_errors() -> list[type[Exception]]:
    roots = (openai.OpenAIError, httpx2.HTTPError, httpx2.StreamError, httpx2.InvalidURL)
    kinds = [kind for module in (openai, httpx2) for _, kind in inspect.getmembers(module, inspect.isclass)]
    return [kind for kind in kinds if issubclass(kind, roots)]


@pytest.mark.parametrize("kind", vendor_errors(), ids=lambda kind: f"{kind.__module__}.{kind.__name__}")
def test_every_error_of_the_vendors_becomes_ours(kind):
    error = kind.__new__(kind)
    response = httpx2.Response(418, request=httpx2.Request("POST", "http://127.0.0.1/v1"))
    error.__dict__.update(message="it went wrong", body=None, code=None, response=response)
    if isinstance(error, openai.APIStatusError):
        error.status_code = getattr(error, "status_code", 418)
    assert isinstance(error, faults.VENDOR)
    ours = faults.translate(error, "some-model", "http://127.0.0.1/v1")
    assert isinstance(ours, ModelError)
    assert ours.reason
    assert "some-model" in str(ours) or "http://127.0.0.1/v1" in str(ours)


def test_windows_are_known_assumed_or_set(connect):
    url = "http://127.0.0.1:9/v1"
    assert connect(url).window() == 1_000_000
    assert connect(url).window("gpt-4o") == 128_000
    assert connect(url).window("some-llama") == prices.UNKNOWN_WINDOW
    assert connect(url, window=4096).window("gpt-4o") == 4096


def test_prices_are_known_set_or_unknown(connect):
    models = connect("http://127.0.0.1:9/v1", prices={"mine": [1, 2], "gpt-4o": [0, 0]})
    assert models.price("gpt-4.1-mini", 1_000_000, 1_000_000) == Decimal(2)
    assert models.price("gpt-4.1-mini", 1_000_000, 0, 1_000_000) == Decimal("0.1")
    assert models.price("mine", 500_000, 500_000) == Decimal("1.5")
    assert models.price("gpt-4o", 10**6, 10**6) == 0
    assert models.price("some-llama", 10, 10) is None


def test_an_unknown_cost_is_said_to_be_unknown(endpoint, connect, tmp_path):
    models = connect(endpoint(say(TEXT, usage=None)), model="some-llama")
    asyncio.run(models.chat().ainvoke("What burns?"))
    [row] = Ledger(tmp_path).rows()
    assert row.cost is None
    assert row.estimated
    assert row.tokens_out == count_tokens(TEXT)
    assert (models.allowance.cost, models.allowance.unpriced) == (0, 1)


@pytest.mark.parametrize("told", [(-5, 20, 0), (100, 10**30, 0), (100, 20, 10**9)])
def test_figures_that_cannot_be_are_not_believed(told, endpoint, connect, tmp_path):
    asyncio.run(connect(endpoint(say(TEXT, usage=told))).chat().ainvoke("What burns?"))
    [row] = Ledger(tmp_path).rows()
    assert row.estimated
    assert 0 < row.tokens_in < 100
    assert row.tokens_out == count_tokens(TEXT)
    assert row.cached == 0
    assert row.cost is not None
    assert row.cost > 0


@pytest.mark.parametrize("name", ["o200k_base", "cl100k_base"])
def test_tokens_are_those_that_tiktoken_counts_with_the_same_ranks(name):
    tiktoken = pytest.importorskip("tiktoken")
    from bpe_openai import registry

    reference = tiktoken.Encoding(**registry.ENCODING_CONSTRUCTORS[name]())

    @given(st.text(max_size=200))
    def same(text):
        assert count_tokens(text, name) == len(reference.encode_ordinary(text))

    same()


@pytest.mark.parametrize(
    ("model", "name"),
    [("gpt-4o-mini", "o200k_base"), ("gpt-3.5-turbo", "cl100k_base"), ("some-llama", "o200k_base")],
)
def test_each_model_has_its_encoding(model, name, connect):
    assert connect("http://127.0.0.1:9/v1").encoding(model) == name
