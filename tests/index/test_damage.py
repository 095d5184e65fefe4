"""One altered bit: it is told before it is shown, and before anything is made of it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from index import doctor, generation, writer
from index.errors import LibraryError
from index.events import EVENTS
from index.library import Library

MOST = "9223372036854775807"
REPAIR = "chaincite doctor --repair"

Damage = Callable[[Path], None]


@pytest.fixture(scope="module")
def sound(make: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library of two publications, each with a shard of its own, and of a row of a chain."""
    folder = tmp_path_factory.mktemp("sound") / "library"
    with Library.writer(folder) as writing:
        writing.add(*make("doc:most", [f"The most that may be sent is {MOST} wei. ", "Less is welcome. "]))
        writing.add(*make("doc:fee", ["The base fee is burned. ", "A blob has a fee. ", "So is a tip. "]))
        writing.add_events(events=pa.Table.from_pylist([event()], schema=EVENTS))
    with Library.writer(folder) as writing:
        writing.add(*make("doc:tip", ["A tip goes to the proposer. "]))
    assert len(generation.current(folder).shards) == 2
    return folder


@pytest.fixture
def library(sound: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(sound, tmp_path / "library"))


def event() -> dict[str, object]:
    row: dict[str, object] = dict.fromkeys(EVENTS.names)
    place = {"chain": "eip155:1", "block_number": 1, "block_hash": "0x01", "log_index": 0}
    return row | place | {"value": MOST, "finality": "latest"}


def put(file: Path, body: bytes | bytearray) -> None:
    """Puts other bytes in the place of a file; what has the old one mapped keeps it."""
    scratch = file.with_suffix(".new")
    scratch.write_bytes(body)
    scratch.replace(file)


def flip(files: Iterator[Path], seen: bytes, at: int = 0) -> None:
    """Alters a bit of each file at the places where these bytes stand; there must be one."""
    places = 0
    for file in files:
        body = file.read_bytes()
        altered = seen[:at] + bytes([seen[at] ^ 1]) + seen[at + 1 :]
        places += body.count(seen)
        put(file, body.replace(seen, altered))
    assert places


def a_number_of_the_passages(folder: Path) -> None:
    flip((folder / "tables" / "passages").glob("*.parquet"), MOST.encode(), 1)


def the_passages_footer(folder: Path) -> None:
    flip((folder / "tables" / "passages").glob("*.parquet"), b"PAR1")


def a_text_of_the_shards(folder: Path) -> None:
    flip((folder / "shards").glob("*.arrow"), MOST.encode(), 1)


def all_is_sound(folder: Path) -> None:
    assert list(doctor.faults(folder)) == []
    assert Library(folder).passages("doc:most")[0].text == f"The most that may be sent is {MOST} wei. "


def add(folder: Path, make: Callable[..., Any]) -> None:
    with Library.writer(folder) as writing:
        writing.add(*make("doc:fee", ["The base fee is burned, and a tip is not. "]))


def forget(folder: Path, make: Callable[..., Any]) -> None:
    with Library.writer(folder) as writing:
        writing.forget(["doc:fee"])


def compact(folder: Path, make: Callable[..., Any]) -> None:
    with pytest.MonkeyPatch.context() as crowded, Library.writer(folder) as writing:
        crowded.setattr(writing, "_crowded", 1)
        writing.add(*make("doc:new", ["A nonce counts. "]))
        writing.publish()


@pytest.mark.parametrize(
    ("damage", "change"),
    [
        (a_number_of_the_passages, add),
        (the_passages_footer, add),
        (a_number_of_the_passages, forget),
        (a_number_of_the_passages, compact),
    ],
)
def test_a_damaged_table_is_told_not_taken_for_good_and_restored_from_the_indexes(
    library: Path,
    damage: Damage,
    change: Callable[[Path, Callable[..., Any]], None],
    make: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    damage(library)
    with pytest.raises(LibraryError, match=REPAIR):
        change(library, make)
    [fault] = doctor.faults(library)
    assert REPAIR in fault
    with monkeypatch.context() as without:
        without.setattr(writer, "load", lambda *_: pytest.fail("the doctor asked for the model"))
        doctor.repair(library)
    all_is_sound(library)
    change(library, make)
    all_is_sound(library)


@pytest.mark.parametrize("change", [add, forget])
def test_a_damaged_shard_is_not_merged_into_another(
    library: Path, change: Callable[[Path, Callable[..., Any]], None], make: Callable[..., Any]
) -> None:
    a_text_of_the_shards(library)
    with pytest.raises(LibraryError, match=REPAIR):
        change(library, make)
    doctor.repair(library)
    all_is_sound(library)


def test_what_tables_and_indexes_have_both_lost_is_not_repaired(library: Path) -> None:
    a_number_of_the_passages(library)
    a_text_of_the_shards(library)
    before = sorted((library / "tables" / "passages").glob("*.parquet"))
    with pytest.raises(LibraryError, match=r"held 5 passages, .* have 0 .* into a new library"):
        doctor.repair(library)
    assert sorted((library / "tables" / "passages").glob("*.parquet")) == before
    assert list(doctor.faults(library))


def test_damage_that_was_hashed_as_good_is_found_by_the_passage_itself(library: Path) -> None:
    """As where no manifest was left that says what the file was."""
    a_number_of_the_passages(library)
    now = generation.current(library)
    tables = doctor.Tables(library / "tables")
    generation.publish(library, doctor.replace(now, files=tables.digests(now.tables, {})))
    [fault] = doctor.faults(library)
    assert REPAIR in fault
    doctor.repair(library)
    all_is_sound(library)


def test_damaged_documents_are_told_by_readers_and_writers(library: Path, make: Callable[..., Any]) -> None:
    flip((library / "tables" / "documents").glob("*.parquet"), b"text/plain")
    with pytest.raises(LibraryError, match="into a new library"):
        Library(library).search("base fee")
    with pytest.raises(LibraryError, match="into a new library"):
        add(library, make)


def test_damaged_rows_of_a_chain_are_not_rewritten(library: Path) -> None:
    flip((library / "tables" / "events").glob("*.parquet"), MOST.encode(), 1)
    for _ in range(2):
        with pytest.raises(LibraryError, match="into a new library"), Library.writer(library) as writing:
            writing.finalize("eip155:1", 2, 2)
    assert len(list(doctor.faults(library))) == 1


@settings(max_examples=100)
@given(st.data())
def test_a_flipped_bit_of_the_rows_is_told_or_changes_nothing(sound: Path, data: st.DataObject) -> None:
    wanted = Library(sound).passages("doc:fee")
    file = sound / "shards" / f"{generation.current(sound).shards[0].name}.arrow"
    body = file.read_bytes()
    starts = [(body.index(p.text.encode()), len(p.text)) for p in wanted]
    where = [at for start, length in starts for at in range(start, start + length)]
    at = data.draw(st.sampled_from(where) | st.integers(0, len(body) - 1))
    altered = bytearray(body)
    altered[at] ^= 1 << data.draw(st.integers(0, 7))
    put(file, altered)
    try:
        assert Library(sound).passages("doc:fee") == wanted
        assert at not in where
    except LibraryError as error:
        assert REPAIR in str(error)
    finally:
        put(file, body)
