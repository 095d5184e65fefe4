"""Ranking: equal to the formula computed by hand, whole, filtered inside, and the same every time."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from index.library import Library
from index.search import Options
from index.terms import query_terms
from index.values import Filters, Hit

Make = Callable[..., Any]

SUBJECTS = (
    "base fee",
    "blob gas",
    "mnemonic seed",
    "proxy slot",
    "vault share",
    "block reward",
    "merkle root",
)
STATUSES = ("Final", "Draft", "Stagnant", None, "Review")
QUESTION = "How is the blob gas base fee of EIP-3 set?"
SIGNATURE, SELECTOR, NAMED = "setFee(uint256)", "0x69fe0e2d", 11
WEIGHTS = ("words", "vectors", "evidence", "whole", "standing", "subject")


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory, make: Make) -> Library:
    """Thirty proposals of one to six passages, some of which name others; one has identifiers."""
    folder, chance = tmp_path_factory.mktemp("ranked") / "library", random.Random(7)
    with Library.writer(folder) as writer:
        for number in range(30):
            texts = [
                f"The {chance.choice(SUBJECTS)} of rule {number} needs the {chance.choice(SUBJECTS)} {at}. "
                for at in range(chance.randint(1, 6))
            ]
            known = {
                "title": f"EIP-{number}: on the {chance.choice(SUBJECTS)}",
                "number": f"EIP-{number}",
                "status": STATUSES[number % 5],
            }
            document, passages = make(f"https://example.org/{number}", texts, **known)
            if number == NAMED:
                passages = [replace(passage, identifiers=(SIGNATURE, SELECTOR)) for passage in passages]
            writer.add(document, passages)
    return Library(folder)


def everything(library: Library, options: Options = Options()) -> list[Hit]:
    return library.search(QUESTION, 1000, options=options)


def test_the_score_is_the_sum_of_its_parts_and_falls(library: Library) -> None:
    hits = everything(library)
    assert len(hits) == library.status().passages
    assert all(hit.score == pytest.approx(sum(hit.parts.values()), abs=1e-5) for hit in hits)
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)


def test_each_part_is_what_its_definition_says(library: Library) -> None:
    """Against a reference that knows nothing of the indexes but BM25 itself."""
    hits, options = everything(library), Options()
    question = library.embedder.embed_queries([QUESTION])[0]
    vectors = library.embed([hit.passage.indexed_text for hit in hits])
    cosines = np.maximum(vectors @ question, 0)
    assert [hit.parts["vectors"] for hit in hits] == pytest.approx(
        (options.vectors * cosines / cosines.max()).tolist(), abs=2e-3
    )
    assert max(hit.parts["words"] for hit in hits) == pytest.approx(options.words)

    held: dict[str, list[float]] = {}
    for hit in sorted(hits, key=lambda hit: -(hit.parts["words"] + hit.parts["vectors"])):
        held.setdefault(hit.document.uri, []).append(hit.parts["words"] + hit.parts["vectors"])
    for hit in hits:
        best = held[hit.document.uri][:3]
        evidence = sum(score / 2**rank for rank, score in enumerate(best))
        assert hit.parts["evidence"] == pytest.approx(options.evidence * evidence, abs=1e-5)
        settled = {"Final": 1.0, None: 0.5, "Review": 0.5}.get(hit.document.status, 0.0)
        assert hit.parts["standing"] == pytest.approx(options.standing * settled)
        asked_of = hit.document.number == "EIP-3"
        assert hit.parts["subject"] == pytest.approx(options.subject * asked_of)


@pytest.mark.parametrize("spelling", ["EIP-7", "eip 7", "EIP7", "ERC-7", "EIP-0007"])
def test_what_is_asked_of_a_proposal_is_answered_from_it(library: Library, spelling: str) -> None:
    hits = library.search(f"What does {spelling} say of its rule?", 3)
    assert hits[0].document.number == "EIP-7"


def test_what_is_asked_of_a_file_is_answered_from_it(tmp_path: Path, make: Make) -> None:
    with Library.writer(tmp_path) as writer:
        for name in ("Vault", "Pool", "Market"):
            uri = f"https://example.org/src/{name}.sol"
            writer.add(*make(uri, [f"The fee of the {name} is set by its owner."], path=f"src/{name}.sol"))
    hits = Library(tmp_path).search("Who sets the fee in contracts/pool.sol?", 3)
    assert [bool(hit.parts["subject"]) for hit in hits] == [True, False, False]
    assert hits[0].document.path == "src/Pool.sol"


def test_the_whole_document_counts_once_for_all_its_passages(library: Library) -> None:
    by_document: dict[str, set[float]] = {}
    for hit in everything(library):
        by_document.setdefault(hit.document.uri, set()).add(hit.parts["whole"])
    assert all(len(parts) == 1 for parts in by_document.values())
    assert max(max(parts) for parts in by_document.values()) == pytest.approx(Options().whole)


@pytest.mark.parametrize("name", WEIGHTS)
def test_a_weight_of_nothing_leaves_its_part_out(library: Library, name: str) -> None:
    assert {hit.parts[name] for hit in everything(library, replace(Options(), **{name: 0.0}))} == {0.0}


def test_every_option_changes_something(library: Library) -> None:
    def outcome(options: Options) -> list[Any]:
        question = f"{QUESTION} {SIGNATURE}"
        return [(h.passage.id, round(h.score, 4)) for h in library.search(question, 12, options=options)]

    base = outcome(Options())
    changed = {"per_document": 1, "depth": 4}
    for field in fields(Options):
        assert outcome(replace(Options(), **{field.name: changed.get(field.name, 0.9)})) != base, field.name


@pytest.mark.parametrize("identifier", [SIGNATURE, SELECTOR, SELECTOR.upper().replace("X", "x")])
def test_a_passage_is_found_by_its_identifiers(library: Library, identifier: str) -> None:
    hits = library.search(f"What is {identifier} of the base fee?", 1000)
    named = {hit.document.number for hit in hits if hit.parts["named"]}
    assert named == {f"EIP-{NAMED}"}
    assert {hit.parts["named"] for hit in hits} == {0.0, Options().named}
    assert hits[0].document.number == f"EIP-{NAMED}"


@pytest.mark.parametrize("name", ["setFee()", "setFee"])
def test_a_passage_is_found_by_a_name_that_it_declares(library: Library, name: str) -> None:
    hits = library.search(f"Who may call {name} to change the base fee?", 1000)
    assert {hit.document.number for hit in hits if hit.parts["named"]} == {f"EIP-{NAMED}"}
    assert 0 < max(hit.parts["named"] for hit in hits) < Options().named


def test_no_more_of_one_document_than_asked(library: Library) -> None:
    hits = everything(library, Options(per_document=2))
    counts = [sum(hit.document.uri == other.document.uri for other in hits) for hit in hits]
    assert max(counts) == 2
    unlimited = everything(library)
    assert [h.passage.id for h in hits] == [
        h.passage.id
        for at, h in enumerate(unlimited)
        if sum(h.document.uri == other.document.uri for other in unlimited[:at]) < 2
    ]


def test_fewer_asked_for_are_the_first_of_more(library: Library) -> None:
    all_of_them = [hit.passage.id for hit in everything(library)]
    for k in (1, 5, 20):
        assert [hit.passage.id for hit in library.search(QUESTION, k)] == all_of_them[:k]


def test_a_filter_that_nothing_passes(library: Library) -> None:
    assert library.search(QUESTION, 5, Filters(statuses=("Withdrawn",))) == []


def test_a_question_of_stopwords_and_one_of_nothing(library: Library) -> None:
    assert query_terms("what is it") == ["what", "is", "it"]
    assert len(library.search("what is it", 5)) == 5
    assert library.search("  ", 5) == []


def test_two_readers_rank_alike(library: Library) -> None:
    again = Library(Path(library.folder)).search(QUESTION, 30)
    assert [(h.passage.id, h.score) for h in again] == [
        (h.passage.id, h.score) for h in library.search(QUESTION, 30)
    ]


def test_passages_of_one_text_are_shown_once(tmp_path: Path, make: Make) -> None:
    with Library.writer(tmp_path / "twice") as writer:
        for name, text in (
            ("a", "The base  fee is burned."),
            ("b", "The base fee\nis burned."),
            ("c", "Fees rise."),
        ):
            writer.add(*make(f"doc:{name}", [text]))
    hits = Library(tmp_path / "twice").search("Is the base fee burned?", k=3)
    assert [" ".join(hit.passage.text.split()) for hit in hits] == ["The base fee is burned.", "Fees rise."]


def test_of_several_proposals_that_are_named_each_comes_first(tmp_path: Path, make: Make) -> None:
    with Library.writer(tmp_path / "named") as writer:
        for number, texts in (
            ("EIP-7", ["EIP-7 and EIP-9 burn the fee.", "The fee is burned by EIP-7.", "A fee of EIP-7."]),
            ("EIP-9", ["A limit of gas."]),
            ("EIP-8", ["The fee is burned."]),
        ):
            writer.add(*make(f"doc:{number}", texts, number=number))
    for question in ("How do EIPs 7 and 9 burn the fee?", "What of the fee in EIP-7/9?"):
        hits = Library(tmp_path / "named").search(question, k=3)
        assert {hit.document.number for hit in hits[:2]} == {"EIP-7", "EIP-9"}
        assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
