"""The library through its one door: what was added is found, what was removed is not, whoever looks."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from index import doctor, generation
from index.cache import REMEMBERED
from index.errors import LibraryError
from index.library import Library
from index.search import Options
from index.values import Document, Filters, Kind, Passage
from tests.conftest import HANG

THINGS = ("base fee", "blob", "token", "signature", "oracle", "bridge")
NAMES = ("a", "b", "c", "d")
texts = st.lists(st.tuples(st.sampled_from(THINGS), st.integers(0, 99)), min_size=1, max_size=3).map(
    lambda pairs: [f"The {thing} has number {number}. " for thing, number in pairs]
)
names = st.sampled_from(NAMES)


class LivingLibrary(RuleBasedStateMachine):
    """A library beside a dictionary that says what it should hold."""

    def __init__(self) -> None:
        super().__init__()
        self.exit = contextlib.ExitStack()
        self.folder = Path(self.exit.enter_context(tempfile.TemporaryDirectory())) / "library"
        with Library.writer(self.folder):
            pass
        self.held: dict[str, tuple[Document, tuple[Passage, ...]]] = {}
        self.reader = Library(self.folder)

    def teardown(self) -> None:
        self.exit.close()

    @rule(changes=st.dictionaries(names, texts, min_size=1, max_size=3))
    def add_or_replace(self, changes: dict[str, list[str]]) -> None:
        with Library.writer(self.folder) as writer:
            for name, parts in changes.items():
                document, passages = MAKE(f"doc:{name}", parts)
                writer.add(document, passages, recipe="1")
                self.held[document.uri] = document, passages

    @rule(name=names, parts=texts)
    def add_and_fail(self, name: str, parts: list[str]) -> None:
        with contextlib.suppress(ZeroDivisionError), Library.writer(self.folder) as writer:
            writer.add(*MAKE(f"doc:{name}", parts))
            raise ZeroDivisionError

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def forget(self, data: st.DataObject) -> None:
        uri = data.draw(st.sampled_from(sorted(self.held)))
        with Library.writer(self.folder) as writer:
            writer.forget([uri])
        del self.held[uri]

    @rule()
    def reopen(self) -> None:
        self.reader = Library(self.folder)

    @rule()
    def repair(self) -> None:
        doctor.repair(self.folder)

    @invariant()
    def search_finds_exactly_what_is_held(self) -> None:
        hits = self.reader.search("number", k=100)
        wanted = {passage.id: passage for _, passages in self.held.values() for passage in passages}
        assert {hit.passage.id: hit.passage for hit in hits} == wanted
        assert len(hits) == len(wanted)
        assert all(hit.document == self.held[hit.passage.uri][0] for hit in hits)
        assert [document.uri for document in self.reader.documents()] == sorted(self.held)

    @invariant()
    def it_is_sound(self) -> None:
        assert list(doctor.faults(self.folder)) == []
        with Library.writer(self.folder) as writer:
            assert {uri: document for uri, (document, _) in writer.known().items()} == {
                uri: document for uri, (document, _) in self.held.items()
            }


MAKE: Callable[..., tuple[Document, tuple[Passage, ...]]]


@pytest.mark.slow
def test_a_library_holds_what_was_added_through_any_life(make: Callable[..., Any]) -> None:
    global MAKE  # noqa: PLW0603 - hypothesis makes the machine itself
    MAKE = make
    from hypothesis.stateful import run_state_machine_as_test

    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        LivingLibrary, settings=settings(max_examples=8, stateful_step_count=8)
    )


@pytest.fixture
def library(make: Callable[..., Any], tmp_path: Path) -> Path:
    """A library of three documents."""
    folder = tmp_path / "library"
    with Library.writer(folder) as writer:
        for name in "abc":
            writer.add(*make(f"doc:{name}", [f"The base fee of {name}. ", f"A second passage of {name}. "]))
    return folder


def test_a_passage_is_found_by_its_id_and_with_its_neighbours(library: Path) -> None:
    reader = Library(library)
    first, second = reader.passages("doc:b")
    assert reader.passage(second.id) == second
    assert reader.neighbours(first) == reader.neighbours(second) == [first, second]
    assert reader.neighbours(second, before=0) == [second]
    assert reader.passages("doc:none") == []


@pytest.mark.parametrize("name", ["", "0", "zz", "f" * 32, "-1", "0" * 32, "9" * 400, "é"])
def test_an_unknown_passage_is_an_error_and_not_another_passage(library: Path, name: str) -> None:
    with pytest.raises(LibraryError, match="holds no passage"):
        Library(library).passage(name)
    known = Library(library).passages("doc:a")[0].id
    with pytest.raises(LibraryError, match="holds no passage"):
        Library(library).passage(known[:16] + "0" * 16)


def test_a_question_without_words_or_an_empty_library_finds_nothing(library: Path, tmp_path: Path) -> None:
    assert Library(library).search("  ") == Library(library).search("fee", k=0) == []
    assert len(Library(library).search("?!", k=6)) <= 6
    with Library.writer(tmp_path / "empty"):
        pass
    assert Library(tmp_path / "empty").search("fee") == []
    assert list(doctor.faults(tmp_path / "empty")) == []


def test_status_counts_what_is_there(library: Path) -> None:
    status = Library(library).status()
    assert (status.documents, status.passages, status.vectors, status.events) == (3, 6, 6, 0)
    assert status.documents_by_kind == {"paper": 3}
    assert status.passages_by_kind == {"paper": 6}
    assert status.size > 0


READER = """
import sys
from pathlib import Path
from index.library import Library
library = Library(Path(sys.argv[1]))
for question in sys.stdin:
    hits = library.search(question, k=50)
    print(library.generation, len({hit.document.uri for hit in hits}), flush=True)
"""


@contextlib.contextmanager
def reading(folder: Path) -> Iterator[Callable[[], list[int]]]:
    """A reader in another process: call it for its generation and the number of documents it finds."""
    with subprocess.Popen(
        [sys.executable, "-c", READER, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        encoding="utf-8",
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None

        def ask() -> list[int]:
            assert process.stdin is not None
            assert process.stdout is not None
            print("the base fee", file=process.stdin, flush=True)
            return [int(part) for part in process.stdout.readline().split()]

        yield ask
        process.stdin.close()


def test_a_reader_in_another_process_moves_on_when_a_generation_is_published(
    library: Path, make: Callable[..., Any]
) -> None:
    with reading(library) as ask:
        assert ask() == [1, 3]
        with Library.writer(library) as writer:
            writer.add(*make("doc:d", ["The base fee of d."]))
            assert ask() == [1, 3]
            writer.publish()
            assert ask() == [2, 4]
        with Library.writer(library) as writer:
            writer.forget(["doc:a", "doc:d"])
        assert ask() == [3, 2]
        for name in "efgh":
            with Library.writer(library) as writer:
                writer.add(*make(f"doc:{name}", [f"The base fee again, {name}."]))
        assert ask() == [7, 6]


HURRIED = """
import sys
from pathlib import Path
from index.library import Library
kept = Library(Path(sys.argv[1]))
while not Path(sys.argv[2]).exists():
    for library in (kept, Library(Path(sys.argv[1]))):
        hits = library.search("the base fee", k=50)
        assert {hit.document.uri for hit in hits} >= {"doc:b", "doc:c"}, hits
        assert sum(library.status().documents_by_kind.values()) >= 2
        library.passage(hits[0].passage.id) if hits[0].document.uri != "doc:a" else None
print("undisturbed")
"""


@pytest.mark.slow
def test_a_reader_is_not_disturbed_by_a_writer_that_sweeps_generations_away(
    library: Path, make: Callable[..., Any], tmp_path: Path
) -> None:
    done = tmp_path / "done"
    with subprocess.Popen(
        [sys.executable, "-c", HURRIED, str(library), str(done)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    ) as process:
        for _ in range(12):
            with Library.writer(library) as writer:
                writer.forget(["doc:a"])
            with Library.writer(library) as writer:
                writer.add(*make("doc:a", ["The base fee of a. "]))
        done.touch()
        out, errors = process.communicate(timeout=HANG)
    assert (out.strip(), errors) == ("undisturbed", "")


def test_a_second_writer_is_refused_with_the_first_ones_pid(library: Path) -> None:
    program = "import sys; from pathlib import Path; from index.library import Library\n"
    program += "with Library.writer(Path(sys.argv[1])): pass"
    with Library.writer(library):
        refused = subprocess.run(
            [sys.executable, "-c", program, str(library)], capture_output=True, encoding="utf-8", timeout=HANG
        )
    assert refused.returncode != 0
    assert f"pid {os.getpid()}" in refused.stderr.splitlines()[-1]
    with Library.writer(library):
        pass


def test_no_library_names_the_command_that_makes_one(tmp_path: Path) -> None:
    with pytest.raises(LibraryError, match="chaincite ingest"):
        Library(tmp_path / "none")
    (tmp_path / "file").touch()
    with pytest.raises(LibraryError, match="chaincite ingest"):
        Library(tmp_path / "file")
    with pytest.raises(LibraryError, match="--library"), Library.writer(tmp_path / "file"):
        pass


def altered(folder: Path, **fields: Any) -> None:
    manifest = folder / (folder / "CURRENT").read_text("utf-8").strip()
    manifest.write_text(json.dumps({**json.loads(manifest.read_text("utf-8")), **fields}))


@pytest.mark.parametrize(
    ("fields", "mend"),
    [
        ({"format": generation.FORMAT + 1, "unheard_of": 1}, "pip install --upgrade"),
        ({"embedder": "another"}, "CHAINCITE_EMBEDDER=another"),
        ({"fingerprint": "another"}, "--library DIR"),
        ({"shards": "no list"}, "doctor --repair"),
    ],
)
def test_a_library_of_another_make_is_refused_with_what_mends_it(
    library: Path, fields: dict[str, Any], mend: str
) -> None:
    before = sorted(
        path.name for path in library.rglob("*") if not path.name.endswith((".lock", "-shm", "-wal"))
    )
    altered(library, **fields)
    with pytest.raises(LibraryError, match=re.escape(mend)):
        Library(library).search("fee")
    with pytest.raises(LibraryError, match=re.escape(mend)), Library.writer(library):
        pass
    after = sorted(
        path.name for path in library.rglob("*") if not path.name.endswith((".lock", "-shm", "-wal"))
    )
    assert after == before


def test_what_is_forgotten_is_not_in_the_text_of_any_file(library: Path, make: Callable[..., Any]) -> None:
    secret = "Xylophonequartz is the word that nobody may read again. "
    document, passages = make("doc:secret", [secret])
    with Library.writer(library) as writer:
        writer.add(document, passages)
    with Library.writer(library) as writer:
        writer.forget([document.uri])
    for file in library.rglob("*"):
        assert not file.is_file() or secret[:30].encode() not in file.read_bytes(), file
    assert Library(library).search("Xylophonequartz")[0].document.uri != document.uri


PEOPLE = ("Vitalik Buterin", "Hayden Adams", "Satoshi Nakamoto")
CONTRACTS = ("0x" + "ab" * 20, "eip155:1:0x" + "cd" * 20)
dates = st.dates(date(2015, 1, 1), date(2025, 1, 1))
facts = st.fixed_dictionaries(
    {
        "kind": st.sampled_from([Kind.PAPER, Kind.PROPOSAL, Kind.FORUM]),
        "authors": st.lists(st.sampled_from(PEOPLE), max_size=2, unique=True).map(tuple),
        "status": st.sampled_from([None, "Final", "Draft"]),
        "chain": st.sampled_from([None, "eip155:1", "eip155:10"]),
        "published_at": st.none() | dates,
        "retrieved_at": st.builds(datetime.combine, dates, st.times(timezones=st.just(UTC))),
        "contracts": st.lists(st.sampled_from(CONTRACTS), max_size=2, unique=True).map(tuple),
    }
)
filters = st.builds(
    Filters,
    kinds=st.sampled_from([(), (Kind.PAPER,), (Kind.PROPOSAL, Kind.FORUM)]),
    sources=st.sampled_from([(), ("doc:1*",), ("*/[0-4]",), ("doc:2", "doc:3")]),
    authors=st.sampled_from([(), ("vitalik",), ("adams", "SATOSHI")]),
    statuses=st.sampled_from([(), ("final",), ("Draft", "Final")]),
    chains=st.sampled_from([(), ("eip155:1",)]),
    contracts=st.sampled_from([(), (CONTRACTS[0].upper().replace("0X", "0x"),), CONTRACTS]),
    published_from=st.none() | dates,
    published_to=st.none() | dates,
    as_of=st.none() | dates,
)


def passes(document: Document, wanted: Filters) -> bool:
    """What a filter means, said once more in plain words."""
    when = document.published_at
    lower = {contract.lower() for contract in document.contracts}
    names = " ".join(document.authors).lower()
    return (
        (not wanted.kinds or document.kind in wanted.kinds)
        and (not wanted.statuses or (document.status or "").lower() in {s.lower() for s in wanted.statuses})
        and (not wanted.chains or document.chain in wanted.chains)
        and (not wanted.authors or any(name.lower() in names for name in wanted.authors))
        and (not wanted.contracts or any(contract.lower() in lower for contract in wanted.contracts))
        and (
            not wanted.sources
            or any(fnmatchcase(name, p) for p in wanted.sources for name in (document.uri, document.path))
        )
        and (not wanted.published_from or (when is not None and when >= wanted.published_from))
        and (not wanted.published_to or (when is not None and when <= wanted.published_to))
        and (not wanted.as_of or _was_there(document, wanted.as_of))
    )


def _was_there(document: Document, day: date) -> bool:
    if document.published_at is not None:
        return document.published_at <= day
    return document.retrieved_at <= datetime.combine(day, time.max, UTC)


@pytest.mark.slow
@settings(max_examples=4)
@given(known=st.lists(facts, min_size=6, max_size=12), wanted=st.lists(filters, min_size=60, max_size=60))
def test_filters_hold_inside_the_search(
    make: Callable[..., Any], known: list[dict[str, Any]], wanted: list[Filters]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        with Library.writer(Path(folder)) as writer:
            for at, fields in enumerate(known):
                parts = [f"The base fee of {at}. ", f"Another passage, about number {at}. "]
                writer.add(*make(f"doc:{at}", parts, **{**fields, "path": f"papers/{at}"}))
        reader = Library(Path(folder))
        everything = [hit.passage.id for hit in reader.search("the base fee", k=1000)]
        assert len(everything) == 2 * len(known)
        for one in [*wanted, Filters()]:
            matching = {d.uri for d in reader.documents() if passes(d, one)}
            assert {document.uri for document in reader.documents(one)} == matching
            found = reader.search("the base fee", k=1000, filters=one)
            assert {hit.passage.id for hit in found} == {
                passage.id for uri in matching for passage in reader.passages(uri)
            }
            few = reader.search("the base fee", k=3, filters=one)
            assert len(few) == min(3, 2 * len(matching))
            assert [hit.passage.id for hit in few] == [hit.passage.id for hit in found[:3]]


def test_as_of_a_day_nothing_newer_is_found_by_words_or_by_vectors(
    make: Callable[..., Any], tmp_path: Path
) -> None:
    day, last = date(2024, 3, 13), datetime(2024, 3, 13, 23, 59, 59, 999999, tzinfo=UTC)
    moments = {
        "doc:published-that-day": (day, datetime(2026, 1, 1, tzinfo=UTC)),
        "doc:published-the-day-after": (date(2024, 3, 14), last),
        "doc:retrieved-in-its-last-moment": (None, last),
        "doc:retrieved-at-midnight": (None, last + timedelta(microseconds=1)),
    }
    with Library.writer(tmp_path) as writer:
        for at, (uri, (published, retrieved)) in enumerate(moments.items()):
            text = f"The base fee is burned, says note {at}. "
            writer.add(*make(uri, [text], published_at=published, retrieved_at=retrieved))
    reader = Library(tmp_path)
    wanted = {"doc:published-that-day", "doc:retrieved-in-its-last-moment"}
    for options in (Options(words=1, vectors=0), Options(words=0, vectors=1)):
        hits = reader.search("What burns the base fee?", 10, Filters(as_of=day), options)
        assert {hit.document.uri for hit in hits} == wanted
        assert len(reader.search("the base fee", 10, Filters(as_of=date.max), options)) == 4
        assert reader.search("the base fee", 10, Filters(as_of=date.min), options) == []


def test_a_document_comes_back_as_it_was_given(make: Callable[..., Any], tmp_path: Path) -> None:
    document, passages = make(
        "doc:'; DROP TABLE documents; --",
        ["quotes ' \" and \x00 nul, 🔥 é\n"],
        authors=("A. Nakamoto", "B"),
        number="EIP-1",
        published_at=date(2020, 2, 29),
        retrieved_at=datetime(2025, 1, 1, 1, 1, 1, 999999, tzinfo=UTC),
        contracts=CONTRACTS,
    )
    passages = tuple(replace(p, heading=("A", "B › C"), line_start=1, line_end=2) for p in passages)
    for _ in range(2):
        with Library.writer(tmp_path) as writer:
            writer.add(document, passages, recipe="r")
            assert list(writer.known().values()) in ([], [(document, "r")])
        reader = Library(tmp_path)
        assert reader.documents() == [document]
        assert tuple(reader.passages(document.uri)) == passages
        assert list(doctor.faults(tmp_path)) == []


def test_a_question_asked_again_is_embedded_once(
    make: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Library.writer(tmp_path) as writer:
        writer.add(*make("doc:a", ["The base fee is burned. ", "A bridge locks tokens. "]))
    library, asked = Library(tmp_path), list[str]()
    embed_queries = library.embedder.embed_queries

    def observed(texts: Sequence[str]) -> Any:
        asked.extend(texts)
        return embed_queries(texts)

    monkeypatch.setattr(library.embedder, "embed_queries", observed)
    first, long = library.search("the base fee"), "the base fee " * 1000
    assert library.search("the base fee") == first
    assert library.search("the base fee ") is not None
    assert asked == ["the base fee", "the base fee "]
    assert library.search(long) == library.search(long)
    assert asked[2:] == [long, long]
    for number in range(REMEMBERED):
        library.search(f"question {number}")
    assert library.search("the base fee") == first
    assert asked[-1] == "the base fee"
