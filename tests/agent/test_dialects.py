"""Servers that speak OpenAI's interface in their own ways: what they refuse, and how they answer."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.models import Models, capabilities
from agent.models.reasoning import ReasoningFilter
from agent.models.tool_calls import ToolCalls
from agent.records.ledger import Ledger
from index.errors import ModelError, Unavailable
from index.settings import Settings
from tests.agent.endpoint import Call, Reply, Request, calls, say
from tests.conftest import HANG

TEXT = "The toll is 12 basis points [1]."
TOOL = {
    "type": "function",
    "function": {"name": "search", "parameters": {"type": "object", "properties": {}}},
}


@pytest.fixture
def connect(tmp_path: Path) -> Callable[..., Models]:
    def make(url: str, **settings: Any) -> Models:
        usual = {"stall_timeout": HANG, "deadline": 2 * HANG, "retries": 1, "model": "mill"}
        given = Settings.load(library=tmp_path, base_url=url, **{**usual, **settings})
        models = Models.connect(given, Ledger(tmp_path))
        assert models is not None
        return models.question("q")

    return make


def sse(*events: object, eol: str = "\n", done: bool = True) -> Reply:
    """A stream of these: text as it is, a dictionary as a delta of the answer, a list as a whole chunk."""
    lines = []
    for event in events:
        if isinstance(event, str):
            lines.append(event)
            continue
        chunk = event[0] if isinstance(event, list) else {"choices": [{"index": 0, "delta": event}]}
        lines.append(f"data: {json.dumps(chunk)}")
    lines += ["data: [DONE]"] * done
    return Reply(body="".join(line + eol + eol for line in lines))


def end(finish: str | None = "stop", delta: Any = None) -> list[Any]:
    return [{"choices": [{"index": 0, "delta": delta or {}, "finish_reason": finish}]}]


def words(text: str = TEXT) -> list[Any]:
    return [{"content": text[at : at + 5]} for at in range(0, len(text), 5)]


WHOLE = {"choices": [{"message": {"role": "assistant", "content": TEXT}, "finish_reason": "stop"}]}
THINKING = [
    {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]},
    {"type": "text", "text": TEXT},
]
ANSWERS = {
    "whole": Reply(body=json.dumps(WHOLE), content_type="application/json"),
    "whole, called text": Reply(body="\n" + json.dumps(WHOLE), content_type="text/plain"),
    "stream, called JSON": Reply(body=sse(*words(), end()).body, content_type="application/json"),
    "parts": sse({"content": THINKING}, end()),
    "comments, events, CRLF": sse(": wait", "event: message", *words(), ": wait", end(), eol="\r\n"),
    "empty events": sse("event: ping\ndata:", [{"type": "ping"}], *words(), end()),
    "no role, no choices": sse(
        [{"choices": []}], [{"choices": None}], *words(), end(delta={"content": None})
    ),
    "message for delta": sse([{"choices": [{"message": {"content": TEXT}, "finish_reason": "stop"}]}]),
    "odd usage": sse(*words(), end(), [{"choices": [], "usage": {"prompt_tokens": None, "total": "9"}}]),
    "usage of Groq": sse(
        *words(), end(), [{"x_groq": {"usage": {"prompt_tokens": 3, "completion_tokens": 4}}}]
    ),
    "no [DONE]": sse(*words(), end(), done=False),
    "no finish reason": sse(*words()),
    "no finish reason, tokens told": sse(
        *words(), [{"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 1}}], done=False
    ),
    **{f"ends by {name}": sse(*words(), end(name)) for name in ("eos", "stop_sequence", "END_TURN", "tired")},
    "finish reason of no letters": sse(*words(), end("")),
    "reasoning fields": sse(
        {"reasoning_content": "Perhaps 99."},
        {"reasoning": "Or 98.", "content": ""},
        {"thinking": "x"},
        *words(),
        end(),
    ),
    "think": sse(*words("<think>\nPerhaps 99 [1]. <b>\n</think>\n\n" + TEXT), end()),
    "Thinking": sse(*words("<Thinking>Perhaps 99.</Thinking>" + TEXT), end()),
    "Magistral": sse(*words("[THINK]Perhaps 99.[/THINK]" + TEXT), end()),
    "harmony": sse(
        *words(f"<|channel|>analysis<|message|>Perhaps 99.<|end|><|channel|>final<|message|>{TEXT}"), end()
    ),
    "an object of text": sse({"content": {"type": "text", "text": TEXT}}, end()),
    "thought twice": sse(*words(f"<think>99</think><think>98</think>{TEXT}"), end()),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_is_read_however_it_is_given(name, endpoint, connect):
    there = endpoint(ANSWERS[name])

    async def streamed() -> str:
        return "".join([chunk.text async for chunk in connect(there.url).chat().astream("hi")])

    assert asyncio.run(streamed()) == TEXT
    assert asyncio.run(connect(there.url).chat().ainvoke("hi")).text == TEXT
    assert len(there.requests) == 2


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (sse(*words(TEXT[:14])), "truncated"),
        (sse(*words(), done=False), "truncated"),
        (sse(*words("<think>Perhaps 99 [1]. Perhaps"), end()), "empty"),
        (sse({"reasoning_content": TEXT}, end()), "empty"),
        (sse(*words(), end("insufficient_system_resource")), "unfinished"),
        (sse(*words(), end("MAX_TOKENS")), "length"),
        (sse(*words(), end("SAFETY")), "content_filter"),
        (sse({"content": 12}, end()), "malformed"),
        (Reply(body='{"error": "overloaded"}', content_type="application/json"), "server"),
        (sse([{"object": "error", "message": "overloaded", "code": 503}]), "server"),
    ],
)
def test_what_is_no_whole_answer_is_none(reply, reason, endpoint, connect):
    with pytest.raises(ModelError) as failed:
        asyncio.run(connect(endpoint(reply).url, retries=0).chat().ainvoke("hi"))
    assert failed.value.reason == reason


def test_reasoning_that_nothing_opens_is_taken_back_once(endpoint, connect):
    there = endpoint(sse(*words("Perhaps 99 [1].\n</think>\n\n" + TEXT), end()))
    models = connect(there.url)

    async def streamed() -> str:
        return "".join([chunk.text async for chunk in models.chat().astream("hi")])

    with pytest.raises(Unavailable, match="reasoning"):
        asyncio.run(streamed())
    assert asyncio.run(streamed()) == TEXT
    assert [line for line in models.told if "reasoning" in line] == list(models.told)


@given(st.text("<>/thinkg a\n", max_size=40), st.lists(st.text("<>/think a", max_size=30), max_size=2))
def test_however_reasoning_is_cut_into_pieces_the_answer_is_the_same(rest, thoughts):
    text = "".join(
        f"<think>{thought.replace('</think>', '')}</think>" for thought in thoughts
    ) + rest.replace("think", "")
    assert (
        filtered([text])
        == filtered(list(text))
        == filtered([text[at : at + 3] for at in range(0, len(text), 3)])
    )
    assert filtered([text]) == rest.replace("think", "").lstrip()


def filtered(pieces: list[str]) -> str:
    words = ReasoningFilter()
    return "".join([words.feed(piece) for piece in pieces]) + words.end()


def detail(field: str) -> str:
    said = {
        "type": "extra_forbidden",
        "loc": ["body", field],
        "msg": "Extra inputs are not permitted",
        "input": 5,
    }
    return json.dumps({"detail": [said], "body": {"temperature": 0, "tools": [], "stream_options": {}}})


def error(message: str, **more: Any) -> str:
    return json.dumps({"error": {"message": message, **more}})


REFUSALS = [
    (422, detail("max_completion_tokens"), "max_completion_tokens"),
    (400, error("max_tokens: Field required"), "max_completion_tokens"),
    (
        400,
        json.dumps([json.loads(error('Unknown name "stream_options": Cannot find field.'))]),
        "stream_options",
    ),
    (
        422,
        "unknown field `stream_options`, expected one of `messages`, `temperature`, `tools`",
        "stream_options",
    ),
    (400, error("Unsupported value", param="temperature", code="unsupported_value"), "temperature"),
    (400, json.dumps({"object": "error", "message": "temperature must be 1"}), "temperature"),
    (400, error("mill does not support tools"), "tools"),
    (404, error("No endpoints found that support tool use."), "tools"),
    (500, error("tools param requires --jinja flag"), "tools"),
    (501, "Function calling is not implemented", "tools"),
    (400, error('"auto" tool choice requires --enable-auto-tool-choice'), "tools"),
    (400, error("This response_format type is unavailable now"), "response_format"),
    (400, error("structured output by json_schema: not supported"), "response_format"),
    (400, error("Streaming is not supported for this model"), "stream"),
    (200, error("stream_options is not allowed", code=400), "stream_options"),
]


@pytest.mark.parametrize(("number", "body", "part"), REFUSALS)
def test_what_is_refused_is_left_out_remembered_and_told_once(number, body, part, endpoint, connect):
    refusal = Reply(status=number, body=body, content_type="application/json")

    def script(request: Request) -> Reply:
        return refusal if request.body.get(part, False) is not False else say(TEXT)

    there = endpoint(script)

    def ask() -> tuple[str, ...]:
        models = connect(there.url)
        chat = models.chat().bind(tools=[TOOL], response_format={"type": "json_object"}, max_tokens=300)
        assert asyncio.run(chat.ainvoke("hi")).text == TEXT
        return models.told

    [told] = ask()
    assert part in told
    assert ask() == ()
    capabilities.forget()
    assert ask() == ()
    sent = [request.body for request in there.requests]
    assert [one.get(part, False) is not False for one in sent] == [True, False, False, False]
    assert sent[1].get("max_tokens", sent[1].get("max_completion_tokens")) == 300
    kept = {"model", "messages", "stream", "temperature", "tools", "response_format", "stream_options"}
    lost = kept - {part} - set(sent[1])
    assert lost <= ({"stream_options"} if part == "stream" else set())


@pytest.mark.parametrize(
    "said",
    [
        "This model's maximum context length is 8192 tokens, max_tokens is too large",
        "the messages are not valid",
    ],
)
def test_other_refusals_stay_what_they_are(said, endpoint, connect):
    there = endpoint(Reply(status=400, body=error(said), content_type="application/json"))
    models = connect(there.url)
    with pytest.raises(ModelError):
        asyncio.run(models.chat().ainvoke("hi", max_tokens=300))
    assert (len(there.requests), models.told) == (1, ())


def test_a_refusal_that_goes_on_ends(endpoint, connect):
    there = endpoint(
        Reply(status=400, body=error("stream is not supported"), content_type="application/json")
    )
    with pytest.raises(ModelError, match="refuses"):
        asyncio.run(connect(there.url).chat().ainvoke("hi"))
    assert len(there.requests) == 2


def test_two_things_that_are_refused_are_both_left_out(endpoint, connect):
    def script(request: Request) -> Reply:
        for field in ("temperature", "stream_options"):
            if field in request.body:
                return Reply(
                    status=400, body=error(f"{field} is not supported"), content_type="application/json"
                )
        return say(TEXT)

    models = connect(endpoint(script).url)
    assert asyncio.run(models.chat().ainvoke("hi")).text == TEXT
    assert len(models.told) == 2


def test_without_tools_what_they_said_stays_in_the_conversation(endpoint, connect):
    def script(request: Request) -> Reply:
        if "tools" in request.body:
            return Reply(status=400, body=error("no tools supported"), content_type="application/json")
        return say(TEXT)

    there = endpoint(script)
    called = {"id": "c", "type": "function", "function": {"name": "search", "arguments": "{}"}}
    asked = [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": "", "tool_calls": [called]},
        {"role": "tool", "tool_call_id": "c", "content": "found: toll"},
    ]
    asyncio.run(connect(there.url).chat().bind(tools=[TOOL]).ainvoke(asked))
    assert there.requests[-1].body["messages"] == [
        {"role": "user", "content": "hi"},
        {"role": "user", "content": "found: toll"},
    ]


def test_a_model_without_a_system_role_has_its_instructions_in_the_question(endpoint, connect):
    def script(request: Request) -> Reply:
        if request.body["messages"][0]["role"] == "system":
            return Reply(status=400, body=error("System role not supported"), content_type="application/json")
        return say(TEXT)

    there = endpoint(script)
    models = connect(there.url)
    asyncio.run(models.chat().ainvoke([("system", "Be brief."), ("human", "hi")]))
    assert there.requests[-1].body["messages"] == [{"role": "user", "content": "Be brief.\n\nhi"}]


def test_a_model_that_reasons_is_given_room_once(endpoint, connect):
    def script(request: Request) -> Reply:
        room = request.body["max_completion_tokens"]
        return say(TEXT) if room > 1000 else sse({"reasoning": "hm"}, end("length"))

    there = endpoint(script)
    assert asyncio.run(connect(there.url).chat().ainvoke("hi", max_tokens=300)).text == TEXT
    with pytest.raises(ModelError, match="--budget"):
        asyncio.run(connect(there.url).chat().ainvoke("hi", max_tokens=100))
    assert [request.body["max_completion_tokens"] for request in there.requests] == [300, 1200, 400]


def function(name: str, arguments: Any, **more: Any) -> dict[str, Any]:
    return {"function": {"name": name, "arguments": arguments}, **more}


A, B = '{"query": "toll"}', '{"query": "mill"}'
PIECES = {
    "as they should be": ([function("search", A[:5], index=0, id="a"), function("", A[5:], index=0)], [A]),
    "two of one index": (
        [function("search", A, index=0, id="a"), function("search", B, index=0, id="b")],
        [A, B],
    ),
    "two without ids": ([function("search", A, index=0), function("search", B, index=0)], [A, B]),
    "without index": (
        [function("search", A[:5], id="a"), function("", A[5:]), function("search", B, id="b")],
        [A, B],
    ),
    "index null": (
        [function("search", A, index=None, id="a"), function("search", B, index=None, id="b")],
        [A, B],
    ),
    "all said each time": (
        [function("search", part, index=0, id="a") for part in (A[:4], A[4:9], A[9:])],
        [A],
    ),
    "the name each time": ([function("search", part, index=0) for part in (A[:4], A[4:9], A[9:])], [A]),
    "objects": ([function("search", json.loads(A), index=0)], [A]),
    "quoted twice": ([function("search", json.dumps(A), index=0)], [A]),
    "no arguments": ([function("search", None, index=0), function("search", "", index=1)], ["{}", "{}"]),
    "null": ([function("search", "null", index=0)], ["{}"]),
    "equal ids": ([function("search", A, index=0, id="a"), function("search", B, index=1, id="a")], [A, B]),
    "named for its channel": ([function("functions.search:0", A, index=0)], [A]),
    "without function": ([{"name": "search", "arguments": A}, "noise", None], [A]),
}


@pytest.mark.parametrize("name", PIECES)
def test_tool_calls_are_put_together_however_they_are_numbered(name):
    pieces, wanted = PIECES[name]
    found = ToolCalls()
    for piece in pieces:
        found.add([piece])
    made = found.finished()
    assert [json.loads(call["function"]["arguments"]) for call in made] == [json.loads(one) for one in wanted]
    assert {call["function"]["name"] for call in made} == {"search"}
    assert len({call["id"] for call in made} - {""}) == len(wanted)


@pytest.mark.parametrize("given", ['{"query": "to', "[1]", "query: toll", A + B, "12"])
def test_arguments_that_are_not_whole_make_no_call(given, endpoint, connect):
    there = endpoint([calls(Call("search", given)), calls(Call("search", given), text="x")])
    for _ in range(2):
        answer = asyncio.run(connect(there.url).chat().ainvoke("hi"))
        assert answer.tool_calls == []
        assert [call["name"] for call in answer.invalid_tool_calls] == ["search"]


def test_a_call_cut_off_for_lack_of_room_is_told_of(endpoint, connect):
    there = endpoint(calls(Call("search", A), Call("search", '{"que')))
    answer = asyncio.run(connect(there.url).chat().ainvoke("hi"))
    assert (len(answer.tool_calls), len(answer.invalid_tool_calls)) == (1, 1)


@pytest.mark.parametrize(
    "written", ['{"name": "search", "arguments": %s}', '{"name": "search", "parameters": %s}']
)
def test_calls_written_as_text_are_calls(written, endpoint, connect):
    there = endpoint(sse(*words(f"<think>x</think><tool_call>\n{written % A}\n</tool_call>"), end()))
    answer = asyncio.run(connect(there.url).chat().ainvoke("hi"))
    assert (answer.text, [call["args"] for call in answer.tool_calls]) == ("", [{"query": "toll"}])


def test_legacy_calls_are_calls(endpoint, connect):
    there = endpoint(sse({"function_call": {"name": "search", "arguments": A}}, end("function_call")))
    assert asyncio.run(connect(there.url).chat().ainvoke("hi")).tool_calls[0]["args"] == {"query": "toll"}
