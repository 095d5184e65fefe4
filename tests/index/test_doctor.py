"""The doctor: each kind of damage is one clear line, and mended from the tables with no model in reach."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from index import doctor, generation
from index.embed import MiniLM
from index.errors import LibraryError
from index.library import Library
from index.tables import Tables

Damage = Callable[[Path], None]


@pytest.fixture(scope="module")
def sound(make: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library of three generations, with something deleted in the last."""
    folder = tmp_path_factory.mktemp("sound") / "library"
    for names in ("abc", "de"):
        with Library.writer(folder) as writer:
            for name in names:
                writer.add(
                    *make(f"doc:{name}", [f"The base fee of {name}. ", f"A second passage of {name}. "])
                )
    with Library.writer(folder) as writer:
        writer.add(*make("doc:a", ["The base fee of a is another. "]))
    return folder


@pytest.fixture
def library(sound: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(sound, tmp_path / "library"))


def put(file: Path, body: bytes | bytearray) -> None:
    """Puts other bytes in the place of a file; an index that has the old ones mapped keeps them."""
    scratch = file.with_suffix(".new")
    scratch.write_bytes(body)
    scratch.replace(file)


def flip(file: Path, at: float = 0.5) -> None:
    body = bytearray(file.read_bytes())
    body[int(len(body) * at)] ^= 1
    put(file, body)


def manifest(folder: Path) -> Path:
    return folder / (folder / "CURRENT").read_text("utf-8").strip()


def shard_of(folder: Path) -> Path:
    name = json.loads(manifest(folder).read_text("utf-8"))["shards"][0]["name"]
    return folder / "shards" / name


def words_of(folder: Path, pattern: str) -> Path:
    words = folder / "words" / json.loads(manifest(folder).read_text("utf-8"))["words"]
    return min(words.glob(pattern))


def remove_shard(folder: Path) -> None:
    for suffix in (".faiss", ".arrow"):
        shard_of(folder).with_suffix(suffix).unlink()


def shorten(file: Path) -> None:
    put(file, file.read_bytes()[:-40])


def miscounted(folder: Path) -> None:
    body = json.loads(manifest(folder).read_text("utf-8"))
    manifest(folder).write_text(json.dumps({**body, "counts": {**body["counts"], "passages": 3}}))


INDEXES: dict[str, Damage] = {
    "a bit of the vectors": lambda folder: flip(shard_of(folder).with_suffix(".faiss")),
    "a bit of the rows": lambda folder: flip(shard_of(folder).with_suffix(".arrow")),
    "the vectors' end": lambda folder: shorten(shard_of(folder).with_suffix(".faiss")),
    "the rows' end": lambda folder: shorten(shard_of(folder).with_suffix(".arrow")),
    "the vectors": lambda folder: shard_of(folder).with_suffix(".faiss").unlink(),
    "a bit of the postings": lambda folder: flip(words_of(folder, "passages/*.idx"), 0.1),
    "a bit of the terms": lambda folder: flip(words_of(folder, "documents/*.term"), 0.1),
    "a segment": lambda folder: words_of(folder, "passages/*.term").unlink(),
    "the words' meta": lambda folder: words_of(folder, "passages/meta.json").write_text("{"),  # type: ignore[dict-item, return-value]
    "the words": lambda folder: shutil.rmtree(words_of(folder, "passages").parent),
    "the manifest's end": lambda folder: shorten(manifest(folder)),
    "the manifest": lambda folder: manifest(folder).unlink(),
    "CURRENT": lambda folder: (folder / "CURRENT").unlink(),
    "what CURRENT says": lambda folder: (folder / "CURRENT").write_bytes(b"\xff\xfe\x00"),  # type: ignore[dict-item, return-value]
    "CURRENT's content": lambda folder: (folder / "CURRENT").write_text(""),  # type: ignore[dict-item, return-value]
    "the count": miscounted,
}


@pytest.mark.parametrize("what", INDEXES)
def test_damage_is_one_clear_line_and_mended_without_embedding(
    library: Path, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {hit.passage.id: hit.score for hit in Library(library).search("the base fee", k=50)}
    INDEXES[what](library)
    [fault] = doctor.faults(library)
    assert "doctor --repair" in fault
    assert "\n" not in fault

    monkeypatch.setattr(MiniLM, "_embedded", lambda *_: pytest.fail("the doctor asked for the model"))
    now = doctor.repair(library)
    monkeypatch.undo()
    assert list(doctor.faults(library)) == []
    assert now.counts["passages"] == len(before)
    after = {hit.passage.id: hit.score for hit in Library(library).search("the base fee", k=50)}
    assert after.keys() == before.keys()


def test_a_lost_shard_is_a_line_for_each_of_its_files(library: Path) -> None:
    remove_shard(library)
    assert [fault.partition(" is missing")[0][-6:] for fault in doctor.faults(library)] == [
        ".faiss",
        ".arrow",
    ]
    doctor.repair(library)
    assert list(doctor.faults(library)) == []


@pytest.mark.parametrize(
    ("table", "how"),
    [
        *[("documents", how) for how in ("gone", "flipped", "shortened", "unlogged")],
        ("passages", "unlogged"),
    ],
)
def test_lost_tables_are_said_and_not_repaired(library: Path, table: str, how: str) -> None:
    for file in (library / "tables" / table).glob("*.parquet"):
        if how == "gone":
            file.unlink()
        elif how == "flipped":
            flip(file, 0.3)
        elif how == "shortened":
            shorten(file)
    if how == "unlogged":
        shutil.rmtree(library / "tables" / table / "_delta_log")
    faults = list(doctor.faults(library))
    assert len(faults) == 1, faults
    assert "ingest the sources again into a new library" in faults[0]
    assert "\n" not in faults[0]
    with pytest.raises(LibraryError, match="ingest the sources again"):
        doctor.repair(library)


def test_a_manifest_that_cannot_be_read_costs_no_document(library: Path) -> None:
    """Not even where the one before it is the empty library."""
    held = Library(library).documents()
    for file in library.glob("generation-*.json"):
        if file != manifest(library):
            body = {
                **json.loads(file.read_text("utf-8")),
                "tables": {"documents": 0, "passages": 0},
                "shards": [],
            }
            file.write_text(json.dumps(body))
    manifest(library).write_text("")
    doctor.repair(library)
    assert Library(library).documents() == held


def test_an_unpublished_commit_is_not_taken_for_the_library(library: Path) -> None:
    found = Tables(library / "tables")
    held = Library(library).documents()
    rows = found.documents(found.versions()["documents"])
    found.replace([], rows.slice(0, 1).set_column(0, "uri", [["doc:half"]]), _no_passages(found))
    assert list(doctor.faults(library)) == []
    manifest(library).write_text("")
    doctor.repair(library)
    assert Library(library).documents() != held or list(doctor.faults(library)) == []
    assert "doc:half" not in {document.uri for document in Library(library).documents()}


def _no_passages(found: Tables) -> Any:
    import pyarrow as pa

    return pa.Table.from_batches(list(found.passages(found.versions()["passages"]))).slice(0, 0)


def test_files_of_an_unfinished_write_are_no_fault(library: Path) -> None:
    (library / "shards" / "0123.faiss.part").write_bytes(b"half")
    (library / "words" / "words-99999999").mkdir()
    (library / "generation-99999999.part").write_text("{")
    assert list(doctor.faults(library)) == []
    assert len(generation.orphans(library)) == 3
    with Library.writer(library) as writer:
        writer.forget(["doc:b"])
    assert generation.orphans(library) == []


def test_there_is_nothing_to_examine_where_there_is_no_library(tmp_path: Path) -> None:
    with pytest.raises(LibraryError, match="chaincite ingest"):
        list(doctor.faults(tmp_path))
    with pytest.raises(LibraryError, match="chaincite ingest"):
        doctor.repair(tmp_path / "none")


def test_a_newer_library_is_not_repaired(library: Path) -> None:
    body = json.loads(manifest(library).read_text("utf-8"))
    manifest(library).write_text(json.dumps({**body, "format": generation.FORMAT + 1}))
    [fault] = doctor.faults(library)
    assert "upgrade" in fault
    with pytest.raises(LibraryError, match="upgrade"):
        doctor.repair(library)


@pytest.mark.parametrize("arguments", [(), ("--repair",), ("--json",)])
def test_the_command_says_by_its_status_what_it_found(
    chaincite: Callable[..., Any], library: Path, arguments: tuple[str, ...]
) -> None:
    sound = chaincite("--library", library, "doctor", *arguments)
    assert (sound.returncode, sound.stderr) == (0, "")
    remove_shard(library)
    ran = chaincite("--library", library, "doctor", *arguments)
    assert ran.returncode == (0 if "--repair" in arguments else 1)
    assert "Traceback" not in ran.stdout + ran.stderr
    if "--json" in arguments:
        assert len(json.loads(ran.stdout)["faults"]) == 2
    elif not arguments:
        assert len(ran.stdout.splitlines()) == 2
    else:
        assert chaincite("--library", library, "doctor").returncode == 0
