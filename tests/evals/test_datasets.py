"""Datasets: what is read, and each fault named by its line."""

from __future__ import annotations

import copy
import importlib.util
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.datasets import corpus, load
from evals.rows import plain, row_faults
from evals.runner import options
from index.errors import SettingsError, SourceError
from index.search import Options
from tests.conftest import ROOT

SAMPLE = ROOT / "evals" / "data" / "sample.jsonl"
ROWS = [json.loads(line) for line in SAMPLE.read_text(encoding="utf-8").splitlines()]
JUDGED, UNANSWERABLE = ROWS[0], ROWS[-1]


def changed(row: dict[str, Any], **values: Any) -> dict[str, Any]:
    return {**copy.deepcopy(row), **values}


def written(path: Path, *rows: Any) -> Path:
    path.write_text("".join(row if isinstance(row, str) else json.dumps(row) + "\n" for row in rows))
    return path


SPAN = JUDGED["spans"][0]
BROKEN = {
    "unknown key": changed(JUDGED, relevnt={}),
    "missing relevant": {key: value for key, value in JUDGED.items() if key != "relevant"},
    "`question` must be": changed(JUDGED, question=" "),
    "`answer` must be": changed(JUDGED, answer=""),
    "the grade of": changed(JUDGED, relevant={SPAN["path"]: 3}),
    "no document has grade 2": changed(JUDGED, relevant={SPAN["path"]: 1}),
    "plain relative path": changed(JUDGED, relevant={SPAN["path"]: 2, "../a.md": 1}),
    "0 relevant documents": changed(JUDGED, relevant={}),
    "needs two documents": changed(JUDGED, kind="multihop"),
    "0 spans": changed(JUDGED, spans=[]),
    "40 to 300 characters": changed(JUDGED, spans=[{**SPAN, "quote": "short"}]),
    "has not grade 2": changed(JUDGED, spans=[{**SPAN, "path": "b.md"}]),
    "has a page": changed(JUDGED, spans=[{**SPAN, "page": 1}]),
    "has a log_index": changed(JUDGED, spans=[{**SPAN, "log_index": 1}]),
    "is not in the answer": changed(JUDGED, must_contain=["nowhere"]),
    "`must_contain` must be": changed(JUDGED, must_contain=["a", "b", "c", "d"]),
    "must be an object": changed(JUDGED, relevant=[]),
    "has nothing in": changed(UNANSWERABLE, relevant={"a.md": 2}),
}


@pytest.mark.parametrize("said", BROKEN)
def test_each_fault_is_named_by_its_line(said: str, tmp_path: Path) -> None:
    with pytest.raises(SourceError) as told:
        load(written(tmp_path / "set.jsonl", ROWS[1], BROKEN[said]))
    assert "line 2" in str(told.value)
    assert said in str(told.value)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([JUDGED, "{not json\n"], "line 2: not JSON"),
        ([JUDGED, "[]\n"], "line 2: not an object"),
        (
            [JUDGED, ROWS[1], changed(ROWS[2], id=JUDGED["id"])],
            f"line 3: the id '{JUDGED['id']}' stands on line 1",
        ),
        ([JUDGED, changed(ROWS[1], question=JUDGED["question"].upper())], "line 2: the question"),
        ([], "holds no question"),
    ],
)
def test_faults_between_rows_are_named_too(rows: list[Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=said.replace("'", ".")):
        load(written(tmp_path / "set.jsonl", *rows))


def test_what_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="check the path"):
        load(tmp_path / "nothing.jsonl")
    (tmp_path / "latin.jsonl").write_bytes(b'{"id": "a-001"}\n{"id": "\xe9"}\n')
    with pytest.raises(SourceError, match="line 2: not UTF-8"):
        load(tmp_path / "latin.jsonl")
    with pytest.raises(SourceError, match="no BEIR folder"):
        load(tmp_path)


def test_the_sample_is_read_whole() -> None:
    dataset = load(SAMPLE)
    assert [question.id for question in dataset.questions] == [row["id"] for row in ROWS]
    assert sum(question.kind == "unanswerable" for question in dataset.questions) == 3
    assert {question.answerable for question in dataset.questions if question.kind == "unanswerable"} == {
        False
    }


def test_the_evidence_of_the_sample_stands_in_its_documents() -> None:
    for row in ROWS:
        for span in row["spans"]:
            if not span["path"].endswith(".pdf"):
                text = (ROOT / "evals" / "data" / "sample" / span["path"]).read_text(encoding="utf-8")
                assert span["quote"] in " ".join(text.split())


def test_questions_alone_are_a_set_of_queries(tmp_path: Path) -> None:
    dataset = load(written(tmp_path / "queries.jsonl", {"id": "q-1", "question": "What?"}))
    assert (dataset.questions[0].relevant, dataset.questions[0].answerable) == (None, False)


ASK = {"id": "a-1", "type": "followup", "turns": ["What is EIP-1559?", "Who wrote it?"], "expect": "answer"}


def test_a_row_may_say_what_is_expected_in_a_conversation(tmp_path: Path) -> None:
    more = {"first_must_contain": ["a|b"], "must_not_contain": ["c"], "note": "hard"}
    [one, two] = load(
        written(tmp_path / "asks.jsonl", ASK | more, {"id": "a-2", "question": "hi", "expect": "help"})
    ).questions
    assert (one.before, one.question, one.kind, one.expect) == (
        ("What is EIP-1559?",),
        "Who wrote it?",
        "followup",
        "answer",
    )
    assert (one.first_must_contain, one.must_not_contain, one.must_contain) == (("a|b",), ("c",), ())
    assert (two.before, two.kind, two.expect) == ((), "question", "help")


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (ASK | {"expect": "silence"}, "`expect` is 'silence'; allowed are answer, refuse, decline, help"),
        (ASK | {"must_not_contain": "c"}, "`must_not_contain` must be a list"),
        (ASK | {"turns": []}, "`turns` must be a list"),
        (ASK | {"question": "Other?"}, "`turns` must be a list"),
        (ASK | {"kind": "fact"}, "`kind` and `type` were both given"),
        (ASK | {"relevant": {"a.md": 3}}, "the grade of a.md"),
        ({"id": "a-1", "question": "hi", "first_must_contain": ["a"]}, "need `expect`"),
    ],
)
def test_what_is_wrong_with_an_expectation_is_named(row: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(SourceError) as told:
        load(written(tmp_path / "asks.jsonl", row))
    assert "line 1" in str(told.value)
    assert said in str(told.value)


@pytest.fixture(scope="module")
def reference(shared: Path) -> Callable[[dict[str, Any]], list[str]]:
    """The faults that the reference check finds in a row's form, over a corpus that has every file."""
    spec = importlib.util.spec_from_file_location("reference_check", shared / "evals" / "check.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    class Everything(str):
        def __contains__(self, part: object) -> bool:
            return True

    class AnyCorpus:
        def file(self, path: object) -> str | None:
            sound = isinstance(path, str) and ".." not in path.split("/") and not path.startswith("/")
            return str(path) if sound else None

        def text(self, path: str) -> str:
            return Everything()

        def pages(self, path: str) -> list[str]:
            return [Everything()] * 1000

        def rows(self, path: str) -> list[dict[str, Any]]:
            return []

    return lambda row: list(module.check_row(AnyCorpus(), row))


VALUES = st.sampled_from([None, "", "text", 0, 1, 3, [], {}, ["a"], [{}], {"a.md": 2}, {"a.md": 3}, True])
QUOTES = st.sampled_from([SPAN["quote"], "short", "x" * 301, 7, None])
SPANS = st.lists(
    st.fixed_dictionaries(
        {"path": st.sampled_from([SPAN["path"], "b.pdf", "c.jsonl", "../d.md"]), "quote": QUOTES},
        optional={"page": st.sampled_from([1, 0, "2"]), "log_index": st.just(3)},
    ),
    max_size=5,
)
GRADES = st.dictionaries(
    st.sampled_from([SPAN["path"], "b.pdf", "c.jsonl", "e.md"]),
    st.sampled_from([0, 1, 2, "2", True]),
    max_size=4,
)


@given(
    row=st.sampled_from([JUDGED, UNANSWERABLE]),
    values=st.dictionaries(
        st.sampled_from(["relevant", "spans", "must_contain", "answer"]), VALUES, max_size=1
    ),
    spans=st.none() | SPANS,
    grades=st.none() | GRADES,
)
def test_rows_are_refused_when_the_reference_check_refuses_them(
    reference: Callable[[dict[str, Any]], list[str]],
    row: dict[str, Any],
    values: dict[str, Any],
    spans: Any,
    grades: Any,
) -> None:
    some = {"spans": spans, "relevant": grades}
    tried = changed(
        row,
        **values,
        **{key: value for key, value in some.items() if value is not None and key not in values},
    )
    assert bool(list(row_faults(tried))) == bool(reference(tried)), (
        list(row_faults(tried)),
        reference(tried),
    )


@given(st.integers(1000, 10**12))
def test_digit_grouping_does_not_count(number: int) -> None:
    assert plain(f"{number:,}") == plain(f"{number:_}") == str(number)


def beir(folder: Path, **files: list[str]) -> Path:
    (folder / "qrels").mkdir()
    lines = {
        "corpus": ['{"_id": "d1", "title": "One", "text": "first"}', '{"_id": "d2", "text": "second"}'],
        "queries": [
            '{"_id": "q1", "text": "one?"}',
            '{"_id": "q2", "text": "two?"}',
            '{"_id": "q3", "text": "?"}',
        ],
        "qrels": ["query-id\tcorpus-id\tscore", "q1\td1\t1", "q1\td2\t0", "q2\td2\t2"],
    } | files
    (folder / "corpus.jsonl").write_text("\n".join(lines["corpus"]))
    (folder / "queries.jsonl").write_text("\n".join(lines["queries"]))
    (folder / "qrels" / "test.tsv").write_text("\n".join(lines["qrels"]))
    return folder


def test_a_beir_folder_is_read(tmp_path: Path) -> None:
    dataset = load(beir(tmp_path))
    assert [(q.id, q.relevant) for q in dataset.questions] == [("q1", {"d1": 1, "d2": 0}), ("q2", {"d2": 2})]
    assert list(corpus(tmp_path)) == [("d1", "One", "first"), ("d2", "", "second")]
    (tmp_path / "corpus.jsonl").write_text('{"_id": "d1", "text": "changed"}')
    assert load(tmp_path).sha256 != dataset.sha256


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"qrels": ["query-id\tcorpus-id\tscore"]}, "judges no document relevant"),
        ({"qrels": ["q1\td1\t0"]}, "judges no document relevant"),
        ({"qrels": ["q1\td1\t1", "q1\td1"]}, "line 2"),
        ({"qrels": ["q1\td1\t1", "q1\td1\t1"]}, "line 2: q1 and d1 are judged above"),
        ({"qrels": ["q9\td1\t1"]}, "judges 1 queries that .* lacks, as 'q9'"),
        ({"queries": ['{"_id": "q1", "text": "?"}', '{"_id": "q1", "text": "!"}']}, "line 2: the id 'q1'"),
        ({"queries": ['{"_id": "q1"}']}, "line 1: `text` must be a text"),
    ],
)
def test_a_broken_beir_folder_is_one_line(files: dict[str, list[str]], said: str, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=said):
        load(beir(tmp_path, **files))


def test_a_broken_corpus_is_named_by_its_line(tmp_path: Path) -> None:
    lines = ['{"_id": "d1", "text": "a"}', '{"_id": "d1", "text": "b"}']
    with pytest.raises(SourceError, match="line 2: the id 'd1'"):
        list(corpus(beir(tmp_path, corpus=lines)))


def test_options_are_set_by_name() -> None:
    assert options(["search.vectors=0.5", "search.per_document=2"]) == Options(vectors=0.5, per_document=2)
    assert options([]) == Options()


def _wrong() -> Iterator[tuple[str, str]]:
    yield "search.vector=1", "did you mean `search.vectors`"
    yield "words=1", "did you mean `search.words`"
    yield "search.zzz=1", "known are search."
    for value in ("much", "-1", "NaN", "Infinity", "true", "", "[1]"):
        yield f"search.words={value}", "must be a number of 0 or more"
    yield "search.depth=1.5", "must be a whole number of 0 or more"


@pytest.mark.parametrize(("assignment", "said"), list(_wrong()))
def test_a_wrong_option_is_one_line_that_says_what_is_known(assignment: str, said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        options([assignment])
