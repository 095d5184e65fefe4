"""Measures equal those of the reference scorer and of trec_eval, and what they lack is what it says it is."""

from __future__ import annotations

import ast
import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.requests.budget import count_tokens
from evals.datasets import Question, Span
from evals.expectations import holds
from evals.measures import Scores, answer_scores, headline, ranking, refusals, score, summaries, within
from evals.results import Answered, Ranked, Result
from evals.runs import Run, Runs
from tests.conftest import ROOT

Scorer = Callable[[dict[str, Any], list[dict[str, str]]], Mapping[str, float]]

NAMES = {
    "nDCG@10": "documents/nDCG(gains={2:3})@10",
    "R@10": "documents/R(rel=2)@10",
    "MRR@10": "documents/RR(rel=2)@10",
    **{f"P@{k}": f"passages/P@{k}" for k in (1, 3, 5, 10)},
}
"""The reference scorer's names in the notation of ir-measures."""

SENTENCES = [
    "the base fee of the next block rises by one eighth when a block is full",
    "nodes must serve blob sidecars for many epochs, which is about eighteen days",
    "user interfaces should set the allowance to zero first and only then to the new value",
    "whoever has an extended public key and one child private key can compute the parent",
]
PATHS = ["a.md", "b.md", "c.pdf", "d.md"]


@pytest.fixture(scope="module")
def reference(shared: Path) -> Scorer:
    """`score` of the reference scorer, without the call of `main` that its file ends with."""
    tree = ast.parse((shared / "evals" / "score.py").read_text(encoding="utf-8"))
    tree.body.pop()
    names: dict[str, Any] = {}
    exec(compile(tree, "score", "exec"), names)  # noqa: S102
    found: Scorer = names["score"]
    return found


def ranked(path: str, text: str, at: int) -> Ranked:
    return Ranked(path, f"https://example.org/{path}", f"{at:032x}", 0, len(text), 1.0 / (at + 1), text)


HITS = st.lists(
    st.tuples(
        st.sampled_from(PATHS), st.lists(st.sampled_from(SENTENCES), min_size=1, max_size=40).map(" ".join)
    ),
    max_size=30,
).map(lambda pairs: tuple(ranked(path, text, at) for at, (path, text) in enumerate(pairs)))

QUESTIONS = st.builds(
    lambda grades, spans: Question("q-001", "why?", "fact", {**grades, "b.md": 2}, tuple(spans)),
    st.dictionaries(st.sampled_from(PATHS), st.sampled_from([1, 2]), max_size=4),
    st.lists(st.builds(Span, st.sampled_from(PATHS), st.sampled_from(SENTENCES)), min_size=1, max_size=4),
)


def assert_equal_to_reference(reference: Scorer, row: dict[str, Any], results: Any, ours: Scores) -> None:
    for name, value in reference(row, results).items():
        assert ours[NAMES.get(name, name)] == pytest.approx(value, abs=1e-9), name


@settings(max_examples=60)
@given(question=QUESTIONS, hits=HITS)
def test_measures_equal_those_of_the_reference_scorer(
    reference: Scorer, question: Question, hits: tuple[Ranked, ...]
) -> None:
    row = {
        "relevant": question.relevant,
        "spans": [{"path": span.path, "quote": span.quote} for span in question.spans],
    }
    results = [{"path": hit.path, "text": hit.text} for hit in hits]
    found = score([question], {"q-001": Result("q-001", hits)}, (1, 3, 5, 10), (1000, 2000, 4000))
    assert_equal_to_reference(reference, row, results, found["q-001"])


def test_a_run_scores_as_the_reference_scorer_says(reference: Scorer, sample_run: Run) -> None:
    rows = (ROOT / "evals" / "data" / "sample.jsonl").read_text(encoding="utf-8").splitlines()
    lines = (sample_run.folder / "results.jsonl").read_text(encoding="utf-8").splitlines()
    results = {result["id"]: result["results"] for result in map(json.loads, lines)}
    judged = [row for row in map(json.loads, rows) if row["relevant"]]
    assert len(judged) == 18
    for row in judged:
        assert_equal_to_reference(reference, row, results[row["id"]], sample_run.scores[row["id"]])


GRADES = st.dictionaries(st.sampled_from("abcdefgh"), st.integers(0, 3), min_size=1)
RANKINGS = st.lists(st.sampled_from("abcdefghijkl"), unique=True, max_size=12)


@settings(max_examples=60)
@given(grades=GRADES, items=RANKINGS)
def test_measures_of_rankings_are_those_of_their_definitions(
    grades: dict[str, int], items: list[str]
) -> None:
    got = {name: value for _, name, value in ranking({"q": grades}, {"q": items}, (1, 5))}
    relevant = {item for item, grade in grades.items() if grade > 0}
    hits = [item in relevant for item in items]
    precisions = [sum(hits[: at + 1]) / (at + 1) for at, hit in enumerate(hits) if hit]
    expected = {
        "P@5": sum(hits[:5]) / 5,
        "R@5": sum(hits[:5]) / len(relevant) if relevant else 0.0,
        "RR@5": next((1 / rank for rank, hit in enumerate(hits[:5], 1) if hit), 0.0),
        "Success@5": float(any(hits[:5])),
        "AP": sum(precisions) / len(relevant) if relevant else 0.0,
        "cP@5": sum(hits[:5]) / min(5, len(relevant)) if relevant else 0.0,
        "nDCG@5": _ndcg([grades.get(item, 0) for item in items], list(grades.values()), 5),
    }
    assert {name: got[name] for name in expected} == pytest.approx(expected, abs=1e-9)
    top = max(grades.values())
    if top > 1:
        gains = ",".join(f"{grade}:{2**grade - 1}" for grade in range(2, top + 1))
        steep = _ndcg(
            [2 ** grades.get(item, 0) - 1 for item in items], [2**g - 1 for g in grades.values()], 5
        )
        assert got[f"nDCG(gains={{{gains}}})@5"] == pytest.approx(steep, abs=1e-9)


def _ndcg(gains: list[int], there: list[int], k: int) -> float:
    def dcg(values: list[int]) -> float:
        return sum(value / math.log2(rank + 1) for rank, value in enumerate(values[:k], 1))

    ideal = dcg(sorted(there, reverse=True))
    return dcg(gains) / ideal if ideal else 0.0


def test_a_question_that_failed_counts_as_zero() -> None:
    questions = [Question(f"q-{n}", "?", "fact", {"a.md": 2}, (Span("a.md", SENTENCES[0]),)) for n in (1, 2)]
    results = {
        "q-1": Result("q-1", (ranked("a.md", SENTENCES[0], 0),), held={"a.md": 1}),
        "q-2": Result("q-2", error="no"),
    }
    scores = score(questions, results, (1,), (1000,), answers=True)
    assert set(scores["q-1"]) == set(scores["q-2"])
    assert set(scores["q-2"].values()) == {0.0}
    every = summaries(questions, scores, results)[0]
    assert (every.questions, every.failed) == (2, 1)
    assert every.measures["documents/nDCG(gains={2:3})@1"] == 0.5


def test_questions_without_judgments_have_no_measures() -> None:
    assert score([Question("q", "?")], {}, (1,), (1000,)) == {"q": {}}


@given(hits=HITS, budget=st.integers(1, 2000))
def test_what_fits_is_the_longest_beginning_within_the_budget(hits: tuple[Ranked, ...], budget: int) -> None:
    kept = within(hits, budget)
    sizes = [count_tokens(hit.text) for hit in hits]
    assert kept == hits[: len(kept)]
    assert sum(sizes[: len(kept)]) <= budget
    assert len(kept) == len(hits) or sum(sizes[: len(kept) + 1]) > budget


GOLD = Question(
    "q-001",
    "?",
    "fact",
    {"a.md": 2},
    (Span("a.md", SENTENCES[0]), Span("a.md", SENTENCES[1])),
    "16,777,216",
    ("16777216", "gas"),
)


def answered(*citations: tuple[str, str], text: str = "", refused: bool = False) -> Answered:
    return Answered(text, refused, citations, 100, "extractive")


def test_citations_are_held_against_the_gold_quotations() -> None:
    right, wrong = ("a.md", f"So {SENTENCES[0]}."), ("b.md", SENTENCES[1])
    found = answer_scores(GOLD, answered(right, wrong, text="16_777_216 units"))
    assert found["citation/P"] == found["citation/documents"] == 0.5
    assert (found["citation/R"], found["must_contain"]) == (0.5, 0.5)
    assert answer_scores(GOLD, answered(right, ("a.md", SENTENCES[1])))["citation/R"] == 1.0


def test_a_refusal_is_right_where_there_is_no_answer() -> None:
    nothing = Question("q-002", "?", "unanswerable", {})
    refused, given_ = answered(refused=True), answered(("a.md", SENTENCES[0]))
    assert answer_scores(nothing, refused)["refusal/accuracy"] == 1.0
    assert answer_scores(GOLD, refused)["refusal/accuracy"] == 0.0
    assert (answer_scores(GOLD, refused)["citation/R"], "citation/P" in answer_scores(GOLD, refused)) == (
        0,
        False,
    )
    results = {"q-001": Result("q-001", answer=refused), "q-002": Result("q-002", answer=refused)}
    assert refusals([GOLD, nothing], results) == {
        "refusal/refused unanswerable": 1.0,
        "refusal/refused answerable": 1.0,
        "refusal/unanswerable": 1.0,
        "refusal/answerable": 1.0,
        "refusal/P": 0.5,
        "refusal/R": 1.0,
    }
    kept = {"q-001": Result("q-001", answer=given_), "q-002": Result("q-002", answer=given_)}
    assert refusals([GOLD, nothing], kept)["refusal/R"] == 0.0


def expecting(expect: str, **wanted: Any) -> Question:
    return Question("q", "How many bits?", "value", expect=expect, **wanted)


def said(*sentences: str, path: str | None = "a.md", refused: bool = False) -> Answered:
    cited = ((path, "q"),) if path else ()
    return Answered(" ".join(sentences), refused, cited, 1, "extractive", sentences=sentences)


WANTED = expecting(
    "answer",
    relevant={"a.md": 2, "b.md": 1},
    must_contain=("1024|one thousand",),
    first_must_contain=("bits",),
    must_not_contain=("author:",),
)


@pytest.mark.parametrize(
    ("question", "answer", "passed", "first", "wrong"),
    [
        (WANTED, said("There are 1,024 BITS."), 1, 1, 0),
        (WANTED, said("There are 01024 of them.", "That is bits."), 1, 0, 0),
        (WANTED, said("There are 21024 bits."), 0, 1, 0),
        (WANTED, said("There are 1.1024 bits."), 0, 1, 0),
        (WANTED, said("One  thousand bits, author: me."), 0, 1, 0),
        (WANTED, said("There are 1024 bits.", path="b.md"), 0, 1, 0),
        (WANTED, said("1024 bits are not in the library.", refused=True), 0, 0, 1),
        (expecting("answer", must_contain=("24",)), said("24", path=None), 1, None, 0),
        (expecting("refuse"), said("Not in the library.", path=None, refused=True), 1, None, 0),
        (expecting("refuse"), said("Nobody knows.", path=None), 1, None, 0),
        (expecting("refuse"), said("There are 7.", path=None), 0, None, 1),
        (expecting("refuse"), said("Nobody knows."), 0, None, 1),
        (expecting("refuse", accept_contain=("not yet|TODO",)), said("Todo: a date."), 1, None, 0),
        (expecting("decline", must_not_contain=("buy",)), said("Do buy.", path=None), 0, None, 0),
        (expecting("help", must_contain=("documents",)), said("It reads documents.", path=None), 1, None, 0),
        (expecting("help", must_contain=("documents",)), said("It reads documents."), 0, None, 1),
    ],
)
def test_an_answer_is_held_against_what_is_expected(
    question: Question, answer: Answered, passed: int, first: int | None, wrong: int
) -> None:
    found = answer_scores(question, answer)
    assert found["expect/passed"] == passed
    assert found.get("expect/first") == first
    assert found["expect/passed and first"] == (passed if first is None else passed and first)
    side = "refused" if question.expect == "answer" else "answered"
    assert {name: value for name, value in found.items() if "wrongly" in name} == {
        f"expect/wrongly {side}": wrong
    }


@given(number=st.integers(0, 10**15), other=st.integers(0, 10**15))
def test_a_number_is_held_whole_however_it_is_grouped(number: int, other: int) -> None:
    for form in (f"{number:,}", f"{number:_}", str(number)):
        assert holds(f"it is {form} wei", str(number))
        assert holds(f"it is {form} wei", f"{other}|{number}")
        assert holds(f"it is {form} wei", str(other)) == (number == other)


def test_the_headline_heeds_grades_where_there_are_any() -> None:
    plain = ["documents/nDCG@10", "documents/R@10", "passages/P@5"]
    assert headline(plain, 10, 2000) == plain
    graded = [*plain, "documents/nDCG(gains={2:3})@10", "documents/R(rel=2)@10"]
    assert headline(graded, 10, 2000) == [*graded[3:], "passages/P@5"]


def test_packed_evidence_is_what_an_answer_is_made_from(sample_run: Run) -> None:
    for result in sample_run.results.values():
        texts = dict(result.packed_texts(2000))
        assert sum(count_tokens(text) for text in texts.values()) <= 1600
        assert all(path in {hit.path for hit in result.hits} for path in texts)


def test_runs_fixture_is_saved_whole(sample_run: Run) -> None:
    again = Runs(sample_run.folder.parent).open(sample_run.name)
    assert again.results == sample_run.results
    assert again.record == sample_run.record
