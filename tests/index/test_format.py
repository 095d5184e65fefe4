"""Libraries of the format before this one are read, searched and added to."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from index import doctor, generation, shards, tables
from index.errors import LibraryError
from index.library import Library


@pytest.fixture
def old(tmp_path: Path, make: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> Path:
    """A library as format 1 has it: its passages have no identifiers, and neither they nor keys a hash."""
    newer = ("identifiers", "digest")
    before = pa.schema([field for field in tables.PASSAGES if field.name not in newer])
    vectors = tables.SCHEMAS["passages"].field("vector")
    with monkeypatch.context() as then:
        then.setattr(tables, "PASSAGES", before)
        then.setattr(shards, "PASSAGES", before)
        then.setattr(tables, "_WITH_VECTOR", before.append(vectors))
        then.setitem(tables.SCHEMAS, "passages", before.append(vectors))
        then.setattr(generation, "FORMAT", 1)
        written = shards.write

        def without_hashes(folder: Path, rows: pa.Table, vectors: Any) -> shards.Shard:
            nothing = pa.nulls(len(rows), pa.binary())
            return replace(written(folder, rows.append_column("digest", nothing), vectors), keys_sha256="")

        then.setattr(shards, "checked", lambda rows: rows)
        then.setattr(shards, "write", without_hashes)
        with Library.writer(tmp_path / "old") as writer:
            writer.add(*make("doc:old", ["The base fee is burned. ", "A blob has a fee of its own."]))
    return tmp_path / "old"


def test_a_library_of_format_1_is_read(old: Path) -> None:
    assert json.loads((old / generation.current_name(old)).read_text("utf-8"))["format"] == 1
    opened = Library(old)
    assert [passage.identifiers for passage in opened.passages("doc:old")] == [(), ()]
    assert opened.search("burned base fee", k=1)[0].passage.ordinal == 0
    assert opened.search("0xddf252ad", k=2) != []
    assert list(doctor.faults(old)) == []


def test_a_library_of_format_1_is_added_to_and_is_then_of_this_one(
    old: Path, make: Callable[..., Any]
) -> None:
    document, passages = make("doc:new", ["A transfer of tokens. "])
    with Library.writer(old) as writer:
        writer.add(document, [replace(passages[0], identifiers=("transfer(address,uint256)", "0xa9059cbb"))])
    assert json.loads((old / generation.current_name(old)).read_text("utf-8"))["format"] == generation.FORMAT
    opened = Library(old)
    assert opened.search("0xa9059cbb", k=1)[0].document.uri == "doc:new"
    assert opened.passages("doc:new")[0].identifiers == ("transfer(address,uint256)", "0xa9059cbb")
    assert len(opened.passages("doc:old")) == 2
    assert list(doctor.faults(old)) == []
    doctor.repair(old)
    assert Library(old).search("0xa9059cbb", k=1)[0].document.uri == "doc:new"


def test_a_library_of_a_format_to_come_is_refused(old: Path) -> None:
    manifest = old / generation.current_name(old)
    manifest.write_text(
        json.dumps({**json.loads(manifest.read_text("utf-8")), "format": generation.FORMAT + 1})
    )
    with pytest.raises(LibraryError, match=r"is of format 5, this chaincite reads up to 4; upgrade"):
        Library(old)


def test_a_passage_of_a_format_without_hashes_is_checked_with_its_file(
    old: Path, make: Callable[..., Any]
) -> None:
    [shard] = generation.current(old).shards
    file = old / "shards" / f"{shard.name}.arrow"
    body = file.read_bytes()
    scratch = file.with_suffix(".new")
    scratch.write_bytes(body.replace(b"burned", b"burnet"))
    scratch.replace(file)
    with pytest.raises(LibraryError, match="doctor --repair"):
        Library(old).passages("doc:old")
    with pytest.raises(LibraryError, match="doctor --repair"), Library.writer(old) as writer:
        writer.add(*make("doc:new", ["A transfer of tokens. "]))
    doctor.repair(old)
    assert Library(old).passages("doc:old")[0].text == "The base fee is burned. "
    assert list(doctor.faults(old)) == []
