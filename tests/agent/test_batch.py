"""Many questions at once: nothing is asked twice, nothing is lost, whatever moment it was stopped at."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.answers.values import Answer
from agent.session import ask
from agent.surfaces.cli.batch import AnswersFile, Asked, asked, read_questions, run
from index.errors import BudgetError, SourceError
from tests.agent.endpoint import status

QUESTIONS = [
    Asked("fee", "What becomes of the base fee?"),
    Asked(2, "How many words hold a seed phrase's entropy?"),
    Asked(["a", 3], "What does a bridge lock?"),
    Asked(None, "Where do wallets read the fee?"),
    Asked("no", "Who won the football world cup?"),
]

Answering = Callable[[Asked], Awaitable[Answer]]


@pytest.fixture
def own_library(sample_library, tmp_path):
    """A copy of the sample library that answers are written into."""
    return shutil.copytree(sample_library, tmp_path / "library")


@pytest.fixture
def answering(library) -> Answering:
    async def answer(one: Asked) -> Answer:
        return ask(library, one.question, 2000)

    return answer


def answered(out: Path, questions: Sequence[Asked], answer: Answering, concurrency: int = 2) -> list[Asked]:
    """Runs a batch and returns the questions that were asked in it."""
    file = AnswersFile(out)
    try:
        todo = file.open(questions)
        asyncio.run(run(todo, answer, file, concurrency, lambda *_: None))
    finally:
        file.close()
    return todo


def rows(out: Path) -> dict[str, dict]:
    found = [json.loads(line) for line in out.read_text("utf-8").splitlines()]
    by_id = {json.dumps(row["id"]): row for row in found}
    assert len(by_id) == len(found)
    return by_id


def texts(out: Path) -> dict[str, str]:
    return {key: row["answer"] for key, row in rows(out).items()}


def test_every_question_gets_the_answer_that_it_gets_alone(tmp_path, answering, library):
    answered(tmp_path / "out", QUESTIONS, answering)
    found = rows(tmp_path / "out")
    assert set(found) == {one.key for one in QUESTIONS}
    for one in QUESTIONS:
        alone = ask(library, one.question, 2000)
        row = found[one.key]
        assert (row["question"], row["answer"], row["refused"]) == (one.question, alone.text, alone.refused)
        assert [citation["quote"] for citation in row["citations"]] == [c.quote for c in alone.citations]
        assert row["answer_id"] != row["id"]


@settings(max_examples=40)
@given(order=st.permutations(QUESTIONS), concurrency=st.integers(1, 7), cut=st.floats(0, 1))
def test_a_batch_cut_off_anywhere_goes_on_and_ends_the_same(
    order, concurrency, cut, tmp_path, answering, library
):
    out = tmp_path / "out"
    out.unlink(missing_ok=True)
    answered(out, order, answering, concurrency)
    whole, body = texts(out), out.read_bytes()
    left = body[: int(cut * len(body))]
    out.write_bytes(left)
    again = answered(out, QUESTIONS, answering, concurrency)
    assert texts(out) == whole
    standing = {one.key for one in QUESTIONS} - {one.key for one in again}
    assert len(standing) == left.count(b"\n") or (left and json.loads(left.splitlines()[-1]))
    assert out.read_bytes().startswith(left[: left.rfind(b"\n") + 1])


def test_what_stands_answered_is_not_asked_again_and_not_touched(tmp_path, answering):
    out = tmp_path / "out"
    answered(out, QUESTIONS[:3], answering)
    before = out.read_bytes()
    assert {one.key for one in answered(out, QUESTIONS, answering)} == {one.key for one in QUESTIONS[3:]}
    assert out.read_bytes().startswith(before)
    assert answered(out, QUESTIONS[::-1], answering) == []


def test_a_failed_question_says_why_and_is_asked_again(tmp_path, answering):
    out = tmp_path / "out"

    async def failing(one: Asked) -> Answer:
        if "bridge" in one.question:
            raise BudgetError("no room at all")
        return await answering(one)

    answered(out, QUESTIONS, failing)
    row = rows(out)[QUESTIONS[2].key]
    assert row == {
        "id": ["a", 3],
        "question": QUESTIONS[2].question,
        "error": "no room at all",
        "retry": False,
    }
    assert answered(out, QUESTIONS, answering) == [QUESTIONS[2]]
    assert "error" not in rows(out)[QUESTIONS[2].key]


def test_a_question_whose_chat_model_failed_is_asked_again(tmp_path, answering):
    out = tmp_path / "out"

    async def quoting(one: Asked) -> Answer:
        return replace(await answering(one), model_failed="bridge" in one.question)

    answered(out, QUESTIONS, quoting)
    assert [key for key, row in rows(out).items() if row["model_failed"]] == [QUESTIONS[2].key]
    assert answered(out, QUESTIONS, answering) == [QUESTIONS[2]]
    assert not any(row["model_failed"] for row in rows(out).values())


def test_a_conversation_is_asked_again_where_a_question_of_it_changed(tmp_path, answering):
    out = tmp_path / "out"
    talk = Asked("talk", "And which one mints?", ("What locks tokens?",))
    answered(out, [talk, QUESTIONS[0]], answering)
    assert rows(out)['"talk"']["turns"] == ["What locks tokens?", "And which one mints?"]
    assert "turns" not in rows(out)['"fee"']
    assert answered(out, [QUESTIONS[0], talk], answering) == []
    other = talk._replace(before=("What burns tokens?",))
    assert answered(out, [QUESTIONS[0], other], answering) == [other]


def test_a_question_in_other_words_is_asked_again(tmp_path, answering):
    out = tmp_path / "out"
    answered(out, QUESTIONS, answering)
    changed = [QUESTIONS[0]._replace(question="What does a bridge mint?"), *QUESTIONS[1:]]
    assert answered(out, changed, answering) == changed[:1]
    assert rows(out)['"fee"']["question"] == "What does a bridge mint?"


def test_an_interrupted_batch_keeps_what_is_done(tmp_path, answering):
    out = tmp_path / "out"

    async def interrupted() -> None:
        begun = asyncio.Event()

        async def answer(one: Asked) -> Answer:
            if one == QUESTIONS[3]:
                begun.set()
                await asyncio.Event().wait()
            return await answering(one)

        file = AnswersFile(out)
        task = asyncio.create_task(run(file.open(QUESTIONS), answer, file, 1, lambda *_: None))
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        file.close()

    asyncio.run(interrupted())
    assert set(rows(out)) == {one.key for one in QUESTIONS[:3]}
    assert answered(out, QUESTIONS, answering) == QUESTIONS[3:]


def test_no_more_are_asked_at_a_time_than_wanted(tmp_path, answering):
    now, most = 0, 0

    async def answer(one: Asked) -> Answer:
        nonlocal now, most
        now += 1
        most = max(most, now)
        for _ in range(5):
            await asyncio.sleep(0)
        now -= 1
        return await answering(one)

    answered(tmp_path / "out", QUESTIONS, answer, 3)
    assert most == 3


def test_two_batches_do_not_share_a_file(tmp_path):
    one, other = AnswersFile(tmp_path / "out"), AnswersFile(tmp_path / "out")
    one.open(QUESTIONS)
    with pytest.raises(SourceError, match="in use"):
        other.open(QUESTIONS)
    one.close()
    assert other.open(QUESTIONS) == QUESTIONS
    other.close()


@pytest.mark.parametrize(
    "body", ["notes of mine", '{"id": 1, "question": "x"}\n', "[]\n", '{"id": 1}', "1\n2"]
)
def test_a_file_that_is_not_of_a_batch_is_left_alone(tmp_path, body):
    out = tmp_path / "out"
    out.write_text(body)
    with pytest.raises(SourceError, match="line 1 is no line of a batch"):
        AnswersFile(out).open(QUESTIONS)
    assert out.read_text("utf-8") == body


def test_lines_at_fault_are_named_by_number(tmp_path):
    file = tmp_path / "questions"
    file.write_bytes(
        b'{"id": 1, "question": "a"}\n\n{"id": 2\n{"id": 1, "question": "b"}\n\xff\n'
        b'{"id": 3, "question": " "}\n{"id": 4, "question": "\\ud800"}\n{"id": "1", "question": "c"}\n'
        b'{"id": 5, "turns": []}\n{"id": 6, "turns": "a"}\n{"id": 7, "turns": ["a", " "]}\n'
        b'{"id": 8, "turns": ["a", "b"], "question": "c"}\n{"id": 9, "turns": ["a", "b"]}\n{"id": 10}\n'
    )
    found, faults = read_questions(file)
    assert found == [Asked(1, "a"), Asked("1", "c"), Asked(9, "b", ("a",))]
    named = ["line 3: not JSON", "line 4: the id 1 is that of line 1", "line 5", "line 6", "line 7"]
    named += ['line 9: "turns"', 'line 10: "turns"', "line 11: the question is empty", "line 12", "line 14"]
    assert len(faults) == len(named)
    assert all(name in fault for name, fault in zip(named, faults, strict=True))


@given(st.binary())
def test_any_line_is_a_question_or_a_fault(line):
    try:
        found = asked(line)
    except ValueError as error:
        assert str(error)
    else:
        assert found is None or found.question.strip()


def lines(*values: object) -> str:
    return "".join(f"{json.dumps(value)}\n" for value in values)


def questions(file: Path, *some: Iterable[object]) -> Path:
    file.write_text(lines(*({"id": name, "question": question} for name, question in some)))
    return file


def test_the_command_resumes_and_says_what_it_did(chaincite, own_library, tmp_path):
    out = tmp_path / "answers.jsonl"
    some = questions(
        tmp_path / "questions.jsonl",
        ("fee", "How much does the base fee rise when a block is full?"),
        ("cup", "Who won the football world cup in 1998?"),
    )
    first = chaincite("--library", own_library, "batch", some, "--out", out)
    assert (first.returncode, first.stdout) == (0, ""), first.stderr
    assert "2 answered" in first.stderr
    assert "12.5 percent" in rows(out)['"fee"']["answer"]
    assert rows(out)['"cup"']["refused"]
    body = out.read_bytes()
    second = chaincite("--library", own_library, "batch", some, "--out", out)
    assert "0 answered" in second.stderr
    assert "2 were there already" in second.stderr
    assert out.read_bytes() == body


def test_the_last_of_several_turns_is_answered_in_their_conversation(chaincite, own_library, tmp_path):
    out, file = tmp_path / "answers.jsonl", tmp_path / "questions.jsonl"
    before, follow_up = "What is the checksum of BIP-39?", "and how many words does it have?"
    file.write_text(lines({"id": 1, "turns": [before, follow_up]}, {"id": 2, "question": follow_up}))
    ran = chaincite("--library", own_library, "batch", file, "--out", out)
    assert ran.returncode == 0, ran.stderr
    talk, alone = rows(out)["1"], rows(out)["2"]
    assert (talk["question"], talk["turns"]) == (follow_up, [before, follow_up])
    assert talk["citations"][0]["path"] == "bip-39-mnemonics.md"
    assert "turns" not in alone
    for sentence in talk["sentences"]:
        assert {"text", "citations", "verified_by"} <= set(sentence)
    assert (talk["route"], bool(talk["route_reason"])) == ("quoted", True)
    assert talk["citations"][0]["published_at"] == "2026-11-20"
    assert {"number", "status"} <= set(talk["citations"][0])


def test_a_failing_model_counts_as_failed(chaincite, own_library, tmp_path, endpoint):
    out = tmp_path / "answers.jsonl"
    some = questions(tmp_path / "q.jsonl", ("fee", "How much does the base fee rise when a block is full?"))
    served = endpoint(status(401, code="invalid_api_key"))
    model = {"OPENAI_BASE_URL": served.url, "OPENAI_API_KEY": "none", "CHAINCITE_RETRIES": "0"}
    command = ["--library", own_library, "batch", some, "--out", out]
    failed = chaincite(*command, **model)
    assert failed.returncode == 1, failed.stderr
    assert 'question "fee": The chat model failed' in failed.stderr
    assert "0 answered, 1 failed" in failed.stderr
    assert rows(out)['"fee"']["model_failed"]
    again = chaincite(*command)
    assert (again.returncode, rows(out)['"fee"']["model_failed"]) == (0, False), again.stderr


def test_the_command_fails_when_questions_do(chaincite, own_library, tmp_path):
    out = tmp_path / "answers.jsonl"
    some = questions(tmp_path / "q.jsonl", (1, "What is the base fee?"), (2, "What is a seed?"))
    short = chaincite("--library", own_library, "batch", some, "--out", out, "--budget", "5")
    assert short.returncode == 1
    assert "question 1: " in short.stderr
    assert {row["error"] for row in rows(out).values()}
    again = chaincite("--library", own_library, "batch", some, "--out", out)
    assert again.returncode == 0, again.stderr
    with some.open("a") as file:
        file.write("nonsense\n")
    broken = chaincite("--library", own_library, "batch", some, "--out", out)
    assert broken.returncode == 2
    assert "line 3" in broken.stderr
