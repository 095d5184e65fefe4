"""Ingestion again and again: only what changed costs anything, and nothing that failed stops the rest."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from index import doctor
from index.errors import LibraryError, SourceError
from index.library import Library
from index.values import Document, Kind, Reading, SourceRef
from ingest.connector import Doors, Item, Lost, Made, Shelf
from ingest.engine import Engine, Progress, Report
from ingest.fetch import Fetcher
from ingest.papers import Documents
from ingest.registry import reread
from ingest.sources import Facts
from ingest.targets import find
from ingest.time_limit import time_limit

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


def pruned(library: Path, *folders: Path) -> Report:
    with Library.writer(library) as writer:
        return Engine(writer).run(Documents(find([*map(str, folders)]), Doors(Fetcher()), prune=True))


def test_what_is_gone_from_a_folder_goes_when_that_is_asked_for(
    library: Path, notes: Path, tmp_path: Path
) -> None:
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "delta.md").write_text(note("delta"))
    ingested(library, tmp_path / "more")
    (notes / "beta.md").unlink()
    (tmp_path / "more" / "delta.md").unlink()
    assert ingested(library, notes).removed == 0
    assert pruned(library, notes, tmp_path / "absent").removed == 0
    assert pruned(library, notes).removed == 1
    assert sorted(document.path for document in Library(library).documents()) == [
        "alpha.md",
        "delta.md",
        "gamma.md",
    ]
    assert list(doctor.faults(library)) == []


def test_names_that_are_not_unicode_are_kept_exactly_and_shown_escaped(tmp_path: Path) -> None:
    folder = tmp_path / os.fsdecode(b"gr\xf6\xdfe")
    folder.mkdir()
    (folder / os.fsdecode(b"na\xefve\n.md")).write_text(note("alpha"))
    (folder / "plain.md").write_text(note("beta"))
    (folder / "lost.md").symlink_to("nowhere")
    report = ingested(tmp_path / "library", folder)
    assert counts(report)[:3] == (2, 0, 0)
    assert "1 pipes and broken links" in str(report.notes[0])
    hit = Library(tmp_path / "library").search("the abstract of alpha")[0]
    assert (hit.document.path, hit.document.uri[-21:]) == ("na\\xefve\\n.md", "gr%F6%DFe/na%EFve%0A.md"[-21:])
    again = reread(SourceRef.of(hit.document, hit.passage), Doors(Fetcher()))
    assert again.document.sha256 == hit.document.sha256
    assert counts(ingested(tmp_path / "library", folder))[:3] == (0, 0, 2)


class Odd:
    """A source whose items are made, or fail, as its functions say."""

    def __init__(self, **items: Callable[[], Made]) -> None:
        self._items = items

    def discover(self, _: Shelf) -> Iterator[Item]:
        yield from (Item(name, name, "1") for name in self._items)

    def read(self, item: Item, _: Document | None) -> Made:
        return self._items[item.key]()

    def link(self, item: Item) -> str:
        return f"odd:{item.key}"

    @classmethod
    def reread(cls, ref: SourceRef, doors: Doors) -> Reading:
        raise NotImplementedError


def odd(name: str, text: str) -> Reading:
    digest = hashlib.sha256(name.encode()).hexdigest()
    at = datetime(2025, 1, 2, tzinfo=UTC)
    document = Document(f"odd:{name}", Kind.PAPER, name, digest, 1, "text/plain", name, name, at)
    return Reading(document, text, (), lost=(("images", 2),))


def failing(error: BaseException) -> Callable[[], Made]:
    def fail() -> Made:
        raise error

    return fail


@pytest.mark.parametrize(
    "error",
    [
        RecursionError("too deep"),
        MemoryError(),
        UnicodeEncodeError("utf-8", "\udce9", 0, 1, "no"),
        KeyError("a\nb"),
        SourceError("is odd"),
        ValueError("x" * 5000),
    ],
    ids=lambda error: type(error).__name__,
)
def test_whatever_is_wrong_with_an_item_costs_that_item_alone(tmp_path: Path, error: Exception) -> None:
    items = {
        "bad": failing(error),
        "unstorable": lambda: odd("unstorable", "words \ud800 here"),
        "left": lambda: Lost("left", "pointers"),
        "good": lambda: odd("good", "good words"),
    }
    with Library.writer(tmp_path) as writer:
        report = Engine(writer).run(Odd(**items))
    assert [document.uri for document in Library(tmp_path).documents()] == ["odd:good"]
    assert [problem.what for problem in report.skipped] == ["bad", "unstorable"]
    assert all(len(str(line)) < 400 and str(line).isprintable() for line in report.skipped)
    assert report.lost_by_reason == {"images": 2, "pointers": 1}
    assert report.as_json()["read"] == 1


def test_a_fault_of_the_library_is_not_one_of_the_item(tmp_path: Path) -> None:
    with Library.writer(tmp_path) as writer, pytest.raises(LibraryError):
        Engine(writer).run(Odd(bad=failing(LibraryError("is damaged"))))


def test_an_item_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    def slow() -> Made:
        with time_limit(0.05):
            return odd("slow", "x" * sum(1 for _ in iter(int, 1)))

    with Library.writer(tmp_path) as writer:
        report = Engine(writer).run(Odd(slow=slow, good=lambda: odd("good", "good words")))
    assert (report.added, report.skipped[0].why[:23]) == (1, "takes longer than 0.05 ")


def test_a_pointer_is_not_read_as_the_file(library: Path, notes: Path) -> None:
    oid = "sha256:" + "ab" * 32
    (notes / "lfs.md").write_text(f"version https://git-lfs.github.com/spec/v1\noid {oid}\nsize 12\n")
    (notes / "annex.md").write_text("/annex/objects/SHA256E-s12--00.md\n")
    long = (
        f"version https://git-lfs.github.com/spec/v1\n\nis how a pointer of {oid} begins. " + "More. " * 300
    )
    (notes / "about.md").write_text(long)
    report = ingested(library, notes)
    assert counts(report)[:3] == (1, 0, 3)
    assert [problem.what for problem in report.skipped] == ["annex.md", "lfs.md"]
    assert "git lfs pull" in report.skipped[1].why
