"""Rows of the chain in a library: added once, orphaned, made final, rolled back, read by SQL alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from index import doctor, generation
from index.events import SCHEMAS
from index.library import Library
from index.sql import connect, describe
from index.values import Document, Finality, Kind, Passage, Position, SourceRef

CHAIN = "eip155:1"
TOP = 2**256 - 1


def event(block: int, log: int, **more: Any) -> dict[str, Any]:
    fork = more.pop("fork", "a")
    return {
        "chain": CHAIN,
        "block_number": block,
        "block_hash": f"0x{fork}{block}",
        "transaction_hash": f"0x{fork}{block}{log}",
        "log_index": log,
        "address": "0xc0",
        "finality": "latest",
        "path": "node",
        **more,
    }


def table(*rows: dict[str, Any]) -> pa.Table:
    names = dict.fromkeys(name for row in rows for name in row)
    return pa.table({name: [row.get(name) for row in rows] for name in names})


def asked(folder: Path, sql: str) -> list[tuple[Any, ...]]:
    with Library(folder).sql() as connection:
        return connection.execute(sql).fetchall()


def test_a_row_is_added_once_however_often_it_is_given(tmp_path: Path) -> None:
    with Library.writer(tmp_path) as writer:
        assert writer.add_events(events=table(event(1, 0), event(1, 1), event(1, 0))) == {"events": 2}
        assert writer.add_events(events=table(event(1, 1), event(1, 2))) == {"events": 1}
    with Library.writer(tmp_path) as writer:
        assert writer.add_events(events=table(event(1, 2), event(1, 0, fork="b"))) == {"events": 1}
    assert asked(tmp_path, "SELECT count(*), count(DISTINCT (block_hash, log_index)) FROM events") == [(4, 4)]
    assert Library(tmp_path).status().events == 4
    assert list(doctor.faults(tmp_path)) == []


@settings(max_examples=8)
@given(st.lists(st.lists(st.tuples(st.integers(1, 6), st.integers(0, 3)), max_size=6), max_size=4))
def test_any_order_of_batches_gives_the_same_rows(tmp_path_factory: Any, batches: list[Any]) -> None:
    folder = tmp_path_factory.mktemp("order")
    with Library.writer(folder) as writer:
        for batch in batches:
            if batch:
                writer.add_events(events=table(*(event(block, log) for block, log in batch)))
    wanted = sorted({key for batch in batches for key in batch})
    found = asked(folder, "SELECT block_number, log_index FROM events ORDER BY ALL")
    assert found == wanted


def test_an_orphan_leaves_the_views_and_comes_back_when_its_block_does(tmp_path: Path) -> None:
    with Library.writer(tmp_path) as writer:
        writer.add_events(events=table(event(1, 0), event(2, 0), event(2, 1)))
    with Library.writer(tmp_path) as writer:
        assert writer.orphan(CHAIN, ["0xa2"]) == 2
        assert writer.orphan(CHAIN, ["0xa2"]) == 0
        assert writer.orphan("eip155:10", ["0xa1"]) == 0
        writer.add_events(events=table(event(2, 0, fork="b")))
    assert asked(tmp_path, "SELECT block_hash FROM events ORDER BY 1") == [("0xa1",), ("0xb2",)]
    assert asked(tmp_path, "SELECT count(*) FROM orphaned_events") == [(2,)]
    with Library.writer(tmp_path) as writer:
        assert writer.add_events(events=table(event(2, 0))) == {"events": 0}
    assert asked(tmp_path, "SELECT count(*) FROM orphaned_events") == [(0,)]
    assert list(doctor.faults(tmp_path)) == []


def test_finality_rises_and_never_falls(tmp_path: Path) -> None:
    given_rows = [event(block, 0) for block in range(1, 5)]
    with Library.writer(tmp_path) as writer:
        writer.add_events(events=table(*given_rows, event(1, 1, finality=None)))
        assert writer.finalize(CHAIN, safe=3, finalized=2) == 3
        assert writer.finalize(CHAIN, safe=3, finalized=1) == 0
    found = asked(tmp_path, "SELECT block_number, log_index, finality FROM events ORDER BY 1, 2")
    finalities = ["finalized", None, "finalized", "safe", "latest"]
    assert [finality for _, _, finality in found] == finalities


def test_what_was_not_published_is_rolled_back(tmp_path: Path) -> None:
    with Library.writer(tmp_path) as writer:
        writer.add_events(events=table(event(1, 0)))
    with pytest.raises(KeyboardInterrupt), Library.writer(tmp_path) as writer:  # noqa: PT012
        writer.add_events(events=table(event(2, 0)))
        writer.orphan(CHAIN, ["0xa1"])
        raise KeyboardInterrupt
    assert asked(tmp_path, "SELECT block_number FROM events") == [(1,)]
    with Library.writer(tmp_path) as writer:
        assert writer.add_events(events=table(event(2, 0))) == {"events": 1}
    assert asked(tmp_path, "SELECT block_number FROM events ORDER BY 1") == [(1,), (2,)]
    assert list(doctor.faults(tmp_path)) == []


def test_a_connection_stays_with_its_generation(tmp_path: Path) -> None:
    with Library.writer(tmp_path) as writer:
        writer.add_events(events=table(event(1, 0)))
    with Library(tmp_path).sql() as connection:
        with Library.writer(tmp_path) as writer:
            writer.orphan(CHAIN, ["0xa1"])
        assert connection.execute("SELECT count(*) FROM events").fetchall() == [(1,)]
    assert asked(tmp_path, "SELECT count(*) FROM events") == [(0,)]


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("filled")
    moved = {"event": "Transfer", "from_address": "0x1", "to_address": "0x2"}
    token = {"chain": CHAIN, "address": "0xc0", "symbol": "COIN", "decimals": 6}
    with Library.writer(folder) as writer:
        writer.add_events(
            tokens=table(token),
            events=table(
                event(1, 0, value=str(TOP), **moved),
                event(1, 1, value="600321880000", **moved),
                event(1, 2, token_id="7", **moved),
            ),
            transfers=table(
                {**event(1, 1), "token_address": "0xc0", "value": "600321880000", "path": "transfers"},
                {**event(2, 0), "token_address": "0xc0", "value": "1", "path": "transfers"},
            ),
            blocks=table({**event(1, 0), "base_fee_per_gas": "80869370967", "gas_used": 9755040}),
        )
    return folder


def test_integers_of_256_bits_are_exact_in_sql(filled: Path) -> None:
    assert asked(filled, "SELECT sum(value)::VARCHAR FROM events") == [(str(TOP + 600321880000),)]
    assert asked(filled, f"SELECT log_index FROM events WHERE value = {TOP}") == [(0,)]  # noqa: S608
    assert asked(filled, f"SELECT count(*) FROM events WHERE value > {TOP - 1}") == [(1,)]  # noqa: S608
    assert asked(filled, "SELECT base_fee_per_gas * gas_used FROM blocks") == [(80869370967 * 9755040,)]


def test_transfers_of_both_sources_are_told_once(filled: Path) -> None:
    sql = "SELECT block_number, log_index, amount, token_id, path FROM token_transfers ORDER BY 1, 2"
    whole, part = str(TOP)[:-6], str(TOP)[-6:]
    assert asked(filled, sql) == [
        (1, 0, f"{whole}.{part}", None, "node"),
        (1, 1, "600321.88", None, "transfers"),
        (1, 2, None, "7", "node"),
        (2, 0, "0.000001", None, "transfers"),
    ]


@settings(max_examples=25)
@given(st.integers(-(2**200), 2**200), st.integers(0, 40))
def test_units_are_exact(raw: int, decimals: int) -> None:
    from decimal import Context, Decimal

    from index.sql import UNITS

    with duckdb.connect() as connection:
        connection.execute(UNITS)
        [(told,)] = connection.execute(f"SELECT units('{raw}'::BIGNUM, {decimals})").fetchall()
    exact = Context(prec=200)
    assert Decimal(told) == exact.divide(Decimal(raw), exact.power(Decimal(10), decimals))
    assert "." not in told or not told.endswith(("0", "."))


@pytest.mark.parametrize(
    "sql",
    [
        "DROP VIEW events",
        "CREATE TABLE t (a INTEGER)",
        "CREATE OR REPLACE VIEW events AS SELECT 1",
        "COPY (SELECT 1) TO '{folder}/out.csv'",
        "SELECT * FROM read_text('{folder}/CURRENT')",
        "SELECT * FROM glob('{folder}/*')",
        "ATTACH '{folder}/other.duckdb'",
        "SET memory_limit = '100GB'",
        "SET enable_external_access = true",
        "INSTALL httpfs",
    ],
)
def test_the_connection_writes_nothing_and_opens_nothing_else(filled: Path, sql: str) -> None:
    before = {file: file.stat().st_mtime_ns for file in filled.rglob("*")}
    with Library(filled).sql() as connection:
        with pytest.raises(duckdb.Error):
            connection.execute(sql.format(folder=filled))
        assert connection.execute("SELECT count(*) FROM events").fetchall() == [(3,)]
    assert {file: file.stat().st_mtime_ns for file in filled.rglob("*")} == before


def test_an_empty_library_has_the_views_too(tmp_path: Path) -> None:
    with Library.writer(tmp_path):
        pass
    for view in [*SCHEMAS, "token_transfers", "orphaned_events", "documents"]:
        assert asked(tmp_path, f"FROM {view}") == []


def test_the_description_names_every_column_of_the_views(filled: Path) -> None:
    text = describe()
    with Library(filled).sql() as connection:
        for view in ("blocks", "transactions", "events", "token_transfers", "tokens"):
            part = text.partition(f"{view}: ")[2].partition("\n\n")[0]
            for name, kind, *_ in connection.execute(f"DESCRIBE {view}").fetchall():
                assert name in part or name == "orphaned_at"
                assert view == "token_transfers" or f"  {name} " not in part or kind.split()[0] in part


def test_a_library_made_before_these_tables_gets_them(sample_library: Path, tmp_path: Path) -> None:
    import shutil
    from dataclasses import replace

    folder = tmp_path / "old"
    shutil.copytree(sample_library, folder)
    for name in SCHEMAS:
        shutil.rmtree(folder / "tables" / name, ignore_errors=True)
    now = generation.current(folder)
    old = {name: now.tables[name] for name in ("documents", "passages")}
    counts = {name: now.counts[name] for name in old} | {"events": 0}
    generation.publish(folder, replace(now, tables=old, counts=counts))
    assert asked(folder, "SELECT count(*) FROM events") == [(0,)]
    with Library.writer(folder) as writer:
        writer.add_events(events=table(event(1, 0)))
    assert asked(folder, "SELECT count(*) FROM events") == [(1,)]
    assert list(doctor.faults(folder)) == []


def test_orphans_take_the_documents_about_them_along(tmp_path: Path) -> None:
    from datetime import UTC, datetime

    place = Position(CHAIN, 2, "0xa2", "0xa20")
    now = datetime.now(UTC)
    document = Document(
        f"{place.uri}/events", Kind.EVENT, "t", "s", 5, "text/plain", "node", "node", now, status="safe"
    )
    passage = Passage(document.uri, "s", 0, 0, 5, "Log 3", "", ("Ethereum", "log 3"))
    with Library.writer(tmp_path) as writer:
        writer.add(document, [passage])
    ref = SourceRef.of(document, passage)
    assert (ref.chain, ref.block_number, ref.block_hash) == (CHAIN, 2, "0xa2")
    assert (ref.transaction_hash, ref.log_index, ref.finality) == ("0xa20", 3, Finality.SAFE)
    with Library.writer(tmp_path) as writer:
        writer.orphan(CHAIN, ["0xa2"])
    assert Library(tmp_path).documents() == []


def test_a_repaired_library_keeps_its_rows(filled: Path, tmp_path: Path) -> None:
    import shutil

    folder = tmp_path / "damaged"
    shutil.copytree(filled, folder)
    shutil.rmtree(folder / "words")
    assert list(doctor.faults(folder))
    doctor.repair(folder)
    assert list(doctor.faults(folder)) == []
    assert asked(folder, "SELECT count(*) FROM events") == [(3,)]


def test_a_lost_file_of_events_is_noticed(filled: Path, tmp_path: Path) -> None:
    import shutil

    folder = tmp_path / "lost"
    shutil.copytree(filled, folder)
    for file in (folder / "tables" / "events").glob("*.parquet"):
        file.unlink()
    assert len(list(doctor.faults(folder))) == 1


def test_a_table_without_a_newer_column_is_read_beside_one_that_has_it(tmp_path: Path) -> None:
    empty = {name: [] for name in ("blocks", "transactions", "transfers", "tokens", "documents")}
    row = dict.fromkeys(SCHEMAS["events"].names) | {"block_number": 7, "log_index": 1}
    new = pa.Table.from_pylist([row | {"lenient": "padded"}], SCHEMAS["events"])
    old = pa.Table.from_pylist([row | {"log_index": 2}], SCHEMAS["events"]).drop_columns(["lenient"])
    for name, files in (("old", [old]), ("both", [old, new])):
        paths = [tmp_path / f"{name}{at}.parquet" for at in range(len(files))]
        for table, path in zip(files, paths, strict=True):
            pq.write_table(table, path)
        with connect(tmp_path, {**empty, "events": paths}) as connection:
            found = connection.execute("SELECT log_index, lenient FROM events ORDER BY 1").fetchall()
        assert found == [(1, "padded"), (2, None)][-len(files) :]
