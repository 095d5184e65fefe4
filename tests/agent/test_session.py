"""A session as its surfaces use it: questions in, events out, against a scripted endpoint and without one."""

from __future__ import annotations

import asyncio
import io
import json
import re
import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest
from rich.console import Console

from agent.answers.events import Draft, Event, Final, Step, Withdrawn, final
from agent.answers.markdown import to_markdown
from agent.answers.values import NOT_IN_LIBRARY, Answer, Answers, from_json, to_json
from agent.session import Session
from agent.surfaces.bots.render import answer_text
from agent.surfaces.terminal import show_answer
from index.errors import BudgetError, SettingsError
from index.library import Library
from index.settings import Settings
from index.values import Filters, Kind
from tests.agent.endpoint import Call, Endpoint, Reply, Request, broken, call, calls, say, status

FEE = "How much does the base fee rise when a block is full?"
TRUE = (
    "When a block is full, twice its target, the base fee of the next block rises by one eighth, "
    "or 12.5 percent"
)
FALSE = "The base fee was invented in 1877 by 0x00000000219ab540356cbb839cbe05303d7705fa"


@pytest.fixture
def folder(sample_library: Path, tmp_path: Path) -> Path:
    """A copy of the sample library that a test may write into."""
    return Path(shutil.copytree(sample_library, tmp_path / "library"))


@pytest.fixture
def session_of(folder: Path) -> Callable[..., Session]:
    """Makes sessions over one library; with an endpoint where one is given."""
    library = Library(folder)

    def make(endpoint: Endpoint | None = None, thread: str | None = None, **settings: object) -> Session:
        where = {"base_url": endpoint.url, "retries": 0} if endpoint else {}
        return Session(library, Settings.load(library=folder, **{**where, **settings}), thread=thread)

    return make


def told(session: Session, question: str, **options: object) -> list[Event]:
    async def listen() -> list[Event]:
        return [event async for event in session.ask(question, **options)]

    return asyncio.run(listen())


def answered(session: Session, question: str, **options: object) -> Answer:
    return asyncio.run(final(session.ask(question, **options)))


def shown(answer: Answer) -> list[str]:
    """An answer as a terminal, a Markdown document and a message have it."""
    out = Console(record=True, width=1000, file=io.StringIO())
    show_answer(answer, out)
    message = "".join(block.gap + "".join(span.text for span in block.spans) for block in answer_text(answer))
    return [out.export_text(), to_markdown(answer).replace("\\", ""), message]


def number_of(request: Request, holding: str) -> int:
    """The number of the passage of the evidence that holds these words."""
    blocks = re.split(
        r"^--- \w+ \[(\d+)\] .*$", str(request.body["messages"][-1]["content"]), flags=re.MULTILINE
    )
    for number, text in zip(blocks[1::2], blocks[2::2], strict=True):
        if holding in text:
            return int(number)
    raise AssertionError(f"{holding!r} was not sent")


def truthful(request: Request) -> Reply:
    return say(f"{TRUE} [{number_of(request, '12.5 percent')}].")


def test_a_plain_question_takes_one_request_and_its_answer_stands_in_the_source(endpoint, session_of, folder):
    served = endpoint(truthful)
    events = told(session_of(served), FEE)
    answer = events[-1].answer
    assert [type(event) for event in events].count(Final) == 1
    assert isinstance(events[0], Step)
    assert "".join(event.text for event in events if isinstance(event, Draft)).startswith(TRUE)
    assert answer.text == f"{TRUE}. [1]"
    assert not answer.refused
    assert not answer.removed
    [citation] = answer.citations
    assert citation.source.path == "eip-1559-fee-market.md"
    text = "".join(passage.text for passage in Library(folder).passages(citation.source.uri))
    assert text[citation.start : citation.end] == citation.quote
    assert "12.5 percent" in citation.quote
    assert answer.answered_by == "gpt-4.1-mini"
    assert answer.usage.requests == len(served.requests) == 1
    assert set(answer.prompts) == {"answer", "question"}
    assert answer.age.published == (date(2026, 11, 20), date(2026, 11, 20))
    assert Answers(folder).load(answer.id) == answer
    assert from_json(json.loads(json.dumps(to_json(answer)))) == answer


def test_what_no_source_holds_is_sent_back_once_and_then_removed(endpoint, session_of):
    def script(request: Request) -> Reply:
        if "failed" in request.text:
            assert "1877" in request.text
        first = request.body["messages"][1]
        number = number_of(Request("", {}, {"messages": [first]}), "12.5 percent")
        return say(f"{TRUE} [{number}]. {FALSE} [{number}]. Nobody knows [77].")

    served = endpoint(script)
    events = told(session_of(served), FEE)
    answer = events[-1].answer
    assert len(served.requests) == 2
    assert "repair" in [event.kind for event in events if isinstance(event, Step)]
    assert any(isinstance(event, Withdrawn) for event in events)
    assert answer.text == f"{TRUE}. [1]"
    assert len(answer.removed) == 2
    assert any("1877" in sentence for sentence in answer.removed)
    assert any("removed" in note for note in answer.notes)
    assert "77" not in answer.text


def test_a_repair_that_mends_leaves_nothing_removed(endpoint, session_of):
    def script(request: Request) -> Reply:
        first = request.body["messages"][1]
        number = number_of(Request("", {}, {"messages": [first]}), "12.5 percent")
        if "failed" in request.text:
            return say(f"{TRUE} [{number}].")
        return say(f"{TRUE.replace('12.5', '13.5')} [{number}].")

    answer = answered(session_of(endpoint(script)), FEE)
    assert answer.text == f"{TRUE}. [1]"
    assert answer.removed == ()


@pytest.mark.parametrize(
    "said",
    [
        "The base fee is 1877 wei.",
        "Teapots whistle [99].",
        "Die Grundgebühr wurde 1877 erfunden [1].",
        "I am a teapot [0].",
    ],
    ids=["no citation", "an invented citation", "another language", "number zero"],
)
def test_nothing_left_is_not_in_the_library(endpoint, session_of, said):
    answer = answered(session_of(endpoint(say(said))), FEE)
    assert answer.refused
    assert answer.text == NOT_IN_LIBRARY
    assert answer.nearest
    assert not answer.sentences
    assert not answer.citations
    assert len(answer.removed) == 1


def test_a_model_that_refuses_is_not_asked_to_mend(endpoint, session_of):
    served = endpoint(say(NOT_IN_LIBRARY))
    answer = answered(session_of(served), FEE)
    assert answer.refused
    assert not answer.removed
    assert len(served.requests) == 1


def test_the_model_searches_and_cites_what_it_found(endpoint, session_of):
    def script(request: Request) -> Reply:
        if request.body["messages"][-1]["role"] != "tool":
            return call("search", text="Let me look. ", query="seed phrase checksum words", source="bip-39*")
        [number] = re.findall(r"^\[(\d+)\] .*$", str(request.body["messages"][-1]["content"]), re.MULTILINE)[
            :1
        ]
        evidence = str(request.body["messages"][1]["content"])
        body = evidence.split(f"[{number}] ")[1].split("--- ")[0].strip().splitlines()
        quoted = next(line for line in body if line.endswith(".")).split(". ")[0].rstrip(".")
        return say(f"{quoted} [{number}].")

    events = told(session_of(endpoint(script)), FEE)
    answer = events[-1].answer
    assert "Let me look." in "".join(event.text for event in events if isinstance(event, Draft))
    assert any(isinstance(event, Withdrawn) for event in events)
    assert answer.citations, answer.removed
    assert answer.citations[0].source.path == "bip-39-mnemonics.md"
    assert any("bip-39*" in step for step in answer.steps)


@pytest.mark.parametrize(
    "bad",
    [
        call("format_disk", path="/"),
        calls(Call("search", '{"query": base}')),
        calls(Call("list_documents", '{"kind": "pap')),
        calls(Call("list_documents", '["paper"]')),
        calls(Call("search", '{"question": "x"}')),
        calls(Call("search", '{"query": "x", "limit": 5000}')),
        call("open", number=4711),
        call("search", query="fee", source="no such document"),
        call("compare", one="EIP-1559", other="nothing of the kind", point="fees"),
    ],
    ids=[
        "unknown tool",
        "unparsable",
        "cut off",
        "no object",
        "wrong name",
        "over its bound",
        "no passage",
        "no document",
        "no other",
    ],
)
def test_a_bad_tool_call_is_told_to_the_model_which_goes_on(endpoint, session_of, bad):
    def script(request: Request) -> Reply:
        last = request.body["messages"][-1]
        if last["role"] != "tool":
            return bad
        assert "rror" in last["content"] or "nothing was found" in last["content"], last
        first = request.body["messages"][1]
        return say(f"{TRUE} [{number_of(Request('', {}, {'messages': [first]}), '12.5 percent')}].")

    served = endpoint(script)
    answer = answered(session_of(served), FEE)
    assert answer.text == f"{TRUE}. [1]"
    assert not answer.model_failed
    assert len(served.requests) == 2


def test_an_endless_loop_ends_where_its_tools_are_taken_away(endpoint, session_of):
    def script(request: Request) -> Reply:
        if request.body.get("tools"):
            return call("search", query="base fee")
        first = request.body["messages"][1]
        return say(f"{TRUE} [{number_of(Request('', {}, {'messages': [first]}), '12.5 percent')}].")

    served = endpoint(script)
    answer = answered(session_of(served, max_requests=6), FEE)
    assert answer.text == f"{TRUE}. [1]"
    assert len(served.requests) <= 6


def test_a_budget_too_small_for_tools_asks_without_them(endpoint, session_of):
    served = endpoint(truthful)
    answer = answered(session_of(served), FEE, budget=1400)
    assert answer.text == f"{TRUE}. [1]"
    assert not served.requests[0].body.get("tools")


def test_a_model_that_loops_without_tools_is_left_and_the_library_quoted(endpoint, session_of):
    served = endpoint(call("search", query="base fee"))
    answer = answered(session_of(served, max_requests=5, max_tool_calls=2), FEE)
    assert answer.answered_by == "extractive"
    assert "12.5 percent" in answer.text
    assert any("CHAINCITE_MAX_REQUESTS" in note for note in answer.notes)
    assert len(served.requests) <= 5


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        (status(401, code="invalid_api_key"), "OPENAI_API_KEY"),
        (status(404, code="model_not_found"), "--model"),
        (status(503), "try again"),
        (broken("truncated"), "broke off"),
        (broken("malformed"), "cannot be read"),
        (say("so far", finish="length"), "no room"),
    ],
    ids=["key", "model", "down", "truncated", "malformed", "length"],
)
def test_where_no_model_answers_the_library_is_quoted_and_this_is_told(endpoint, session_of, reply, why):
    served = endpoint(reply)
    session = session_of(served)
    events = told(session, FEE)
    answer = events[-1].answer
    assert answer.answered_by == "extractive"
    assert "12.5 percent" in answer.text
    [note] = answer.notes
    assert why in note
    assert "quoted instead" in note
    assert to_json(answer)["model_failed"]
    first = f"The chat model failed: {note}"
    for form in shown(answer):
        line = form.lstrip().partition("\n\n")[0]
        assert " ".join(line.strip("*").split()).startswith(" ".join(first.split()))
        assert form.count("The chat model failed") == form.count("quoted instead") == 1
    assert "fallback" in [event.kind for event in events if isinstance(event, Step)]
    if any(isinstance(event, Draft) for event in events):
        at = max(i for i, event in enumerate(events) if isinstance(event, Draft))
        assert any(isinstance(event, Withdrawn) for event in events[at:])
    assert not answered(session, FEE).cached


def test_a_fallback_model_answers_and_is_named(endpoint, session_of):
    def script(request: Request) -> Reply:
        return status(404) if request.body["model"] == "gpt-4.1-mini" else truthful(request)

    session = session_of(endpoint(script), fallback_models="little-model")
    answer = answered(session, FEE)
    assert answer.answered_by == "little-model"
    assert answer.text == f"{TRUE}. [1]"
    assert any("little-model" in note for note in answer.notes)
    assert not answered(session, FEE).cached


def test_the_same_question_comes_from_the_cache_and_says_so(
    endpoint, session_of, chaincite, folder, tmp_path
):
    served = endpoint(truthful)
    session = session_of(served)
    first = answered(session, FEE)
    again = answered(session_of(served), f"  {FEE} ")
    assert again.cached
    assert (again.text, again.citations, again.usage.cost) == (first.text, first.citations, 0)
    assert Answers(folder).load("last") == again
    assert len(served.requests) == 1
    assert not answered(session, FEE, fresh=True).cached
    assert not answered(session, FEE, budget=5000).cached
    assert not answered(session, FEE, filters=Filters(kinds=(Kind.PROPOSAL, Kind.PAPER))).cached
    assert not answered(session, FEE, model="other").cached
    note = tmp_path / "note.md"
    note.write_text("# A note\n\nSomething new.\n")
    assert chaincite("--library", folder, "ingest", "papers", note).returncode == 0
    assert not answered(session, FEE).cached


def test_a_follow_up_is_read_with_the_conversation(endpoint, session_of):
    def script(request: Request) -> Reply:
        if request.text.startswith("Rewrite"):
            assert request.body["messages"][1]["content"] == "What does EIP-1559 burn?"
            return say("When does EIP-1559 raise the base fee?")
        return say("The base fee is burned [1].")

    session = session_of(endpoint(script), thread="talk")
    answered(session, "What does EIP-1559 burn?")
    events = told(session, "and when does it rise?")
    answer = events[-1].answer
    assert answer.read_as == "When does EIP-1559 raise the base fee?"
    assert answer.question == "and when does it rise?"
    assert [turn.resolved for turn in session_of(thread="talk").turns] == [
        "What does EIP-1559 burn?",
        "When does EIP-1559 raise the base fee?",
    ]


def test_without_a_model_the_question_before_is_context_and_words_stay_as_they_are(session_of):
    session = session_of(thread="quiet")
    before, follow_up = "What is the checksum of BIP-39?", "and how many words does it have?"
    answered(session, before)
    events = told(session, follow_up)
    answer = events[-1].answer
    assert Step("read", f"read after: {before}") in events
    assert (answer.question, answer.read_as) == (follow_up, None)
    assert answer.citations[0].source.path == "bip-39-mnemonics.md"
    assert [turn.resolved for turn in session.turns] == [before, follow_up]
    complete = told(session, "How is the base fee of EIP-1559 set?")
    assert not [event for event in complete if isinstance(event, Step) and event.kind == "read"]
    session.clear()
    assert session.turns == ()
    assert session_of(thread="quiet").turns == ()
    afresh = told(session, follow_up)
    assert not [event for event in afresh if isinstance(event, Step) and event.kind == "read"]


def test_a_question_about_two_things_is_divided_and_both_are_searched(endpoint, session_of):
    def script(request: Request) -> Reply:
        if "Divide the question" in request.text:
            return say("What is the base fee of EIP-1559?\nHow long is a BIP-39 seed phrase?")
        assert "eip-1559" in request.text.lower()
        assert "BIP-39" in request.text
        return say(NOT_IN_LIBRARY)

    answer = answered(session_of(endpoint(script)), "Compare EIP-1559 and BIP-39")
    assert set(answer.prompts) == {"answer", "plan", "question"}
    assert sum("searching" in step for step in answer.steps) == 3


PARAPHRASE = "The next block's base fee goes up by 12.5 percent after a full block"


def judged(reply: str | None) -> Callable[[Request], Reply]:
    """A model that paraphrases, and says this where it judges; None: it never answers then."""

    def script(request: Request) -> Reply:
        if not request.text.startswith("Decide for each sentence"):
            return say(f"{PARAPHRASE} [1].")
        return broken("stall") if reply is None else say(reply)

    return script


def test_the_model_that_answers_judges_what_is_not_verbatim(endpoint, session_of):
    served = endpoint(judged('{"1": "yes"}'))
    answer = answered(session_of(served), FEE)
    assert [sentence.verified_by for sentence in answer.sentences] == ["gpt-4.1-mini"]
    assert PARAPHRASE in served.requests[-1].text
    assert len(served.requests) == 2
    assert "judge" in answer.prompts


def test_a_judge_s_no_removes_with_the_reason(endpoint, session_of):
    served = endpoint(judged('```json\n{"1": "no"}\n```'))
    answer = answered(session_of(served, judge_model="stern"), FEE)
    assert answer.refused
    assert answer.removed == (f"{PARAPHRASE}.",)
    assert any("does not say this, as stern judges" in note for note in answer.notes)
    assert {"gpt-4.1-mini", "stern"} == {request.body["model"] for request in served.requests}


@pytest.mark.parametrize(
    "reply",
    [
        "",
        "yes",
        "1 yes",
        '{"1": "maybe"}',
        '{"1": true}',
        '["yes"]',
        '{"2": "yes"}',
        '{"1": "yes", "1": "no"}',
        None,
    ],
)
def test_a_verdict_that_is_unreadable_late_or_missing_is_none(endpoint, session_of, reply):
    answer = answered(session_of(endpoint(judged(reply)), deadline=6.0), FEE)
    [sentence] = answer.sentences
    assert sentence.verified_by is None
    assert "12.5 percent" in sentence.beside
    assert answer.text == f"{PARAPHRASE}. [1][2] (unverified)"
    assert any("judge gpt-4.1-mini" in note for note in answer.notes)


def test_unverified_sentences_are_shown_beside_the_source_s_own_words(endpoint, session_of):
    answer = answered(session_of(endpoint(judged("?"))), FEE)
    for form in shown(answer):
        assert f"{PARAPHRASE}. [1][2] (unverified)" in form
        assert f"The source says: “{answer.sentences[0].beside}” [1][2]" in form


def test_unverified_sentences_are_removed_where_that_is_set(endpoint, session_of):
    answer = answered(session_of(endpoint(judged("?")), unverified="remove"), FEE)
    assert answer.removed == (f"{PARAPHRASE}.",)
    assert answer.refused


def test_a_right_answer_is_not_lost_to_its_form(endpoint, session_of):
    def script(request: Request) -> Reply:
        return say(NOT_IN_LIBRARY) if "failed" in request.text else say(f"{TRUE}. {FALSE}.")

    answer = answered(session_of(endpoint(script)), FEE)
    assert answer.text == f"{TRUE}. [1]"
    assert answer.removed == (f"{FALSE}.",)
    assert any("1877" in note for note in answer.notes)


def test_a_verifier_that_cannot_be_loaded_is_told(endpoint, session_of, tmp_path):
    session = session_of(endpoint(judged("?")), verifier=str(tmp_path))
    answer = answered(session, FEE)
    assert [sentence.verified_by for sentence in answer.sentences] == [None]
    assert any("cannot be loaded" in note and "`verifier`" in note for note in answer.notes)


def test_as_of_sees_only_what_was_there(session_of):
    session = session_of()
    session.as_of = date(2020, 1, 1)
    answer = answered(session, FEE)
    assert answer.refused
    assert not answer.nearest
    assert any("2020-01-01" in note for note in answer.notes)


def test_the_deadline_ends_a_question_with_quotations(endpoint, session_of):
    answer = answered(session_of(endpoint(broken("stall")), deadline=0.001), FEE)
    assert answer.answered_by == "extractive"
    assert "12.5 percent" in answer.text


@pytest.mark.parametrize("question", ["", "  \n\t"])
def test_an_empty_question_is_refused(session_of, question):
    with pytest.raises(SettingsError, match="empty"):
        answered(session_of(), question)


def test_a_question_that_does_not_fit_is_refused_before_anything_is_sent(endpoint, session_of):
    served = endpoint(say("hello"))
    with pytest.raises(BudgetError, match="--budget"):
        answered(session_of(served), "why? " * 20_000)
    with pytest.raises(BudgetError, match="window"):
        answered(session_of(served, window=1024), "why? " * 1000, budget=20_000)
    assert served.requests == []


def test_a_session_is_a_runnable(endpoint, session_of):
    runnable = session_of(endpoint(truthful)).as_runnable() | (lambda answer: answer.text)
    assert runnable.invoke(FEE) == f"{TRUE}. [1]"
    assert asyncio.run(runnable.ainvoke(FEE)) == f"{TRUE}. [1]"


def test_a_listener_that_leaves_stops_the_work(endpoint, session_of):
    served = endpoint(broken("stall"))
    session = session_of(served, thread="left")

    async def leave() -> None:
        events = session.ask(FEE)
        async for event in events:
            if isinstance(event, Draft):
                break
        await events.aclose()

    asyncio.run(leave())
    assert session.turns == ()
