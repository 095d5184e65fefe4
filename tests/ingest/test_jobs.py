"""Ingestion again and again: only what changed costs anything, and nothing that failed stops the rest."""

from __future__ import annotations

from pathlib import Path

import pytest

from index import doctor
from index.library import Library
from index.values import SourceRef
from ingest.connector import Doors
from ingest.engine import Engine, Progress, Report
from ingest.fetch import Fetcher
from ingest.papers import Documents
from ingest.registry import reread
from ingest.sources import Facts, find

SECTIONS = ("Abstract", "Motivation", "Specification", "Rationale")


def note(name: str, **changed: str) -> str:
    """A note of four sections; `changed` replaces the words of some."""
    parts = [
        f"## {title}\n\n" + f"The {title.lower()} of {name} is {changed.get(title, 'plain')}. " * 14
        for title in SECTIONS
    ]
    return f"# {name}\n\n" + "\n\n".join(parts) + "\n"


def ingested(library: Path, folder: Path, stated: Facts = Facts()) -> Report:  # noqa: B008
    with Library.writer(library) as writer:
        return Engine(writer).run(Documents(find([str(folder)], stated=stated), Doors(Fetcher())))


def counts(report: Report) -> tuple[int, int, int, int]:
    return report.added, report.changed, report.unchanged, report.embedded


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    folder = tmp_path / "notes"
    folder.mkdir()
    for name in ("alpha", "beta", "gamma"):
        (folder / f"{name}.md").write_text(note(name))
    return folder


@pytest.fixture
def library(tmp_path: Path, notes: Path) -> Path:
    folder = tmp_path / "library"
    report = ingested(folder, notes)
    assert counts(report)[:3] == (3, 0, 0)
    assert report.embedded == report.passages == Library(folder).status().passages
    return folder


def test_what_is_unchanged_is_not_embedded_nor_published_again(library: Path, notes: Path) -> None:
    before = Library(library).generation
    (notes / "alpha.md").touch()
    assert counts(ingested(library, notes)) == (0, 0, 3, 0)
    assert Library(library).generation == before


def test_an_edit_embeds_the_passages_that_it_changed_only(library: Path, notes: Path) -> None:
    (notes / "beta.md").write_text(note("beta", Rationale="sapphire"))
    report = ingested(library, notes)
    holding = [
        p
        for d in Library(library).documents()
        for p in Library(library).passages(d.uri)
        if "sapphire" in p.text
    ]
    assert counts(report) == (0, 1, 2, len(holding))
    assert 0 < len(holding) < report.passages
    assert "sapphire" in Library(library).search("sapphire")[0].passage.text
    assert list(doctor.faults(library)) == []


def test_an_edit_taken_back_costs_nothing(library: Path, notes: Path) -> None:
    (notes / "beta.md").write_text(note("beta", Abstract="sapphire"))
    ingested(library, notes)
    (notes / "beta.md").write_text(note("beta"))
    assert counts(ingested(library, notes)) == (0, 1, 2, 0)
    assert all("sapphire" not in hit.passage.text for hit in Library(library).search("sapphire", k=50))


def test_what_is_stated_of_a_document_is_brought_up_to_date(library: Path, notes: Path) -> None:
    report = ingested(library, notes, Facts(authors=("Ada",), chain="eip155:1"))
    assert counts(report) == (0, 3, 0, 0)
    assert {(d.authors, d.chain) for d in Library(library).documents()} == {(("Ada",), "eip155:1")}


def test_a_forgotten_document_is_gone_at_the_next_search_and_comes_back_when_it_is_read(
    library: Path, notes: Path
) -> None:
    reader = Library(library)
    [gone] = [document.uri for document in reader.documents() if document.path.endswith("beta.md")]
    with Library.writer(library) as writer:
        writer.forget([gone])
    assert gone not in {hit.document.uri for hit in reader.search("the rationale of beta", k=100)}
    report = ingested(library, notes)
    assert counts(report) == (1, 0, 2, report.passages)
    assert reader.search("the rationale of beta")[0].document.uri == gone


def test_a_file_that_cannot_be_read_is_skipped_and_the_rest_goes_on(library: Path, notes: Path) -> None:
    (notes / "alpha.md").write_bytes(b"\x00\x01\x02" * 100)
    (notes / "delta.md").write_text(note("delta"))
    (notes / "empty.md").touch()
    report = ingested(library, notes)
    assert counts(report)[:3] == (1, 0, 2)
    assert sorted(problem.what for problem in report.skipped) == ["alpha.md", "empty.md"]
    assert Library(library).search("the abstract of alpha")[0].document.path.endswith("alpha.md")


def test_progress_ends_at_what_was_done(tmp_path: Path, notes: Path) -> None:
    told: list[Progress] = []
    with Library.writer(tmp_path / "another") as writer:
        report = Engine(writer, told.append).run(Documents(find([str(notes)]), Doors(Fetcher())))
    assert [at.indexed for at in told] == sorted(at.indexed for at in told)
    last = told[-1]
    assert (last.sources, last.total, last.indexed) == (3, 3, report.passages)
    assert last.expected == report.passages


def test_a_citation_is_read_again_as_its_source_is_now(library: Path, notes: Path) -> None:
    hit = Library(library).search("the abstract of gamma")[0]
    ref = SourceRef.of(hit.document, hit.passage)
    same = reread(ref, Doors(Fetcher()))
    assert same.document.sha256 == ref.sha256
    assert hit.passage.text == same.text[hit.passage.start : hit.passage.end]
    (notes / "gamma.md").write_text(note("gamma", Abstract="sapphire"))
    assert reread(ref, Doors(Fetcher())).document.sha256 != ref.sha256
