"""A library that is written to often, a little at a time: its files are joined, its readers stay."""

from pathlib import Path

import pytest

from index import doctor, writer
from index.events import EVENTS
from index.library import Library


def event(number: int) -> dict[str, object]:
    row: dict[str, object] = dict.fromkeys(EVENTS.names)
    return row | {
        "chain": "eip155:1",
        "block_number": number,
        "block_hash": f"0x{number:064x}",
        "log_index": 0,
        "value": str(number),
        "finality": "latest",
    }


def test_many_small_publications_leave_few_files(
    make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pyarrow as pa

    monkeypatch.setattr(writer, "CROWD", 24)
    readers = []
    with Library.writer(tmp_path) as writing:
        for number in range(16):
            document, passages = make(
                f"https://example.org/{number}", [f"The fee of block {number} was paid."]
            )
            writing.add_events(events=pa.Table.from_pylist([event(number)], schema=EVENTS))
            writing.add(document, passages)
            writing.publish()
            if number == 14:
                reader = Library(tmp_path)
                readers.append((reader.sql(), reader.search("fee", 20)))
        writing.orphan("eip155:1", [f"0x{3:064x}"])
        writing.finalize("eip155:1", 12, 8)
    files = list((tmp_path / "tables").rglob("*.parquet"))
    assert len(files) < 24 + 12
    assert list(doctor.faults(tmp_path)) == []
    [(connection, hits)] = readers
    assert connection.execute("SELECT count(*), sum(value)::VARCHAR FROM events").fetchall() == [(15, "105")]
    assert len(hits) == 15
    connection.close()
    library = Library(tmp_path)
    with library.sql() as connection:
        found = connection.execute(
            "SELECT finality, count(*) FROM events GROUP BY ALL ORDER BY ALL"
        ).fetchall()
    assert found == [("finalized", 8), ("latest", 3), ("safe", 4)]
    assert {hit.document.uri for hit in library.search("fee", 20)} == {
        f"https://example.org/{number}" for number in range(16)
    }
