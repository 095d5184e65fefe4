"""Rows of the chain in the tables: added once, orphaned by reorganisations, made final."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from index.events import KEYS, SCHEMAS
from index.tables import Tables, quoted, slices
from index.values import Finality

BY_BLOCK = ("blocks", "transactions", "events", "transfers")


def add(tables: Tables, name: str, rows: pa.Table) -> int:
    """Commits the rows of a chain's table that it does not hold yet; returns how many those were.

    rows: columns of `index.events.SCHEMAS[name]`; columns that are missing are null. A block that was
    orphaned and is added again stands again. Of a token the given row replaces the one that was there.
    """
    rows = _whole(rows, SCHEMAS[name])
    if not rows.num_rows:
        return 0
    if name == "tokens":
        return _add_tokens(tables, _first_of_each(rows, KEYS[name]))
    rows = _first_of_each(rows, KEYS[name])
    held = _held(tables, name, rows)
    if held.num_rows:
        _revive(tables, held, rows)
        rows = _without(rows, held, KEYS[name])
    if rows.num_rows:
        tables.append(name, rows)
    return int(rows.num_rows)


def rewrite(
    tables: Tables, on: str, topics: Collection[str], change: Callable[[pa.Table], pa.Table]
) -> set[str]:
    """Changes the logs of a chain that have these topics in the first place; returns the paths of them.

    change: takes and gives rows with the columns of `index.events.EVENTS`; what it leaves out becomes null.
    """
    if not topics:
        return set()
    known = f"chain = {quoted(on)} AND topic0 IN ({', '.join(map(quoted, sorted(topics)))})"
    rows = tables.table("events")
    same = pc.and_(pc.equal(rows["chain"], on), pc.is_in(rows["topic0"], pa.array(sorted(topics))))
    rows = rows.filter(same)
    tables.delete("events", known)
    tables.append("events", _whole(change(rows), SCHEMAS["events"]))
    return set(pc.unique(rows["path"]).to_pylist())


def orphan(tables: Tables, chain: str, block_hashes: Collection[str]) -> int:
    """Marks all rows of these blocks as orphaned now; returns how many rows that were."""
    return _mark(tables, chain, block_hashes, "orphaned_at IS NULL", str(_micros(datetime.now(UTC))))


def finalize(tables: Tables, chain: str, safe: int, finalized: int) -> int:
    """Upgrades the finality of rows that have one, up to these block numbers; returns how many changed."""
    changed = 0
    steps = (
        (finalized, Finality.FINALIZED, (Finality.LATEST, Finality.SAFE)),
        (safe, Finality.SAFE, (Finality.LATEST,)),
    )
    for number, finality, lower in steps:
        below = " OR ".join(f"finality = {quoted(value)}" for value in lower)
        where = (
            f"chain = {quoted(chain)} AND block_number <= {int(number)} AND ({below}) AND orphaned_at IS NULL"
        )
        changed += sum(tables.update(name, {"finality": quoted(finality)}, where) for name in BY_BLOCK)
    return changed


def _mark(tables: Tables, chain: str, block_hashes: Collection[str], unless: str, at: str) -> int:
    changed = 0
    for some in slices(sorted(block_hashes), 500):
        where = f"chain = {quoted(chain)} AND block_hash IN ({', '.join(map(quoted, some))}) AND {unless}"
        value = f"to_timestamp_micros({at})" if at != "NULL" else at
        changed += sum(tables.update(name, {"orphaned_at": value}, where) for name in BY_BLOCK)
    return changed


def _micros(moment: datetime) -> int:
    return int(moment.timestamp() * 1_000_000)


def _add_tokens(tables: Tables, rows: pa.Table) -> int:
    """Replaces the tokens of these addresses; those that are there as given are left alone."""
    held = tables.table("tokens")
    content = ("chain", "address", "symbol", "decimals", "name")
    rows = _without(rows, held, content)
    if rows.num_rows:
        kept = _without(held, rows, KEYS["tokens"])
        tables.append("tokens", pa.concat_tables([kept, rows]), overwrite=True)
    return int(rows.num_rows)


def _held(tables: Tables, name: str, rows: pa.Table) -> pa.Table:
    """Keys, and the mark of an orphan, of the rows that are there in the blocks that new rows come from."""
    numbers = pc.min_max(rows["block_number"])
    low, high = numbers["min"].as_py(), numbers["max"].as_py()
    columns = [*KEYS[name], "orphaned_at"]
    return tables.between(name, low, high, columns)


def _revive(tables: Tables, held: pa.Table, rows: pa.Table) -> None:
    orphans = held.filter(pc.is_valid(held["orphaned_at"]))
    for chain in pc.unique(rows["chain"]).to_pylist():
        there = orphans.filter(pc.equal(orphans["chain"], chain))["block_hash"]
        again = set(pc.unique(there).to_pylist()) & set(pc.unique(rows["block_hash"]).to_pylist())
        if again := again - {None}:
            _mark(tables, chain, again, "orphaned_at IS NOT NULL", "NULL")


def _whole(rows: pa.Table, schema: pa.Schema) -> pa.Table:
    """The rows with all columns of the schema, in its order."""
    columns: list[Any] = [
        rows[field.name].cast(field.type)
        if field.name in rows.column_names
        else pa.nulls(rows.num_rows, field.type)
        for field in schema
    ]
    return pa.table(columns, schema=schema)


def _first_of_each(rows: pa.Table, keys: Sequence[str]) -> pa.Table:
    """The rows without those whose key stood before."""
    named = rows.select(keys).append_column("row", pa.array(range(rows.num_rows), pa.int64()))
    first = named.group_by(list(keys), use_threads=False).aggregate([("row", "min")])["row_min"]
    return rows if len(first) == rows.num_rows else rows.take(_sorted(first))


def _sorted(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return column.take(pc.sort_indices(column))


def _without(rows: pa.Table, held: pa.Table, keys: Sequence[str]) -> pa.Table:
    """The rows whose key is not among those held. A null in a key equals a null."""
    named = _keyed(rows, keys).append_column("row", pa.array(range(rows.num_rows), pa.int64()))
    left = named.join(_keyed(held, keys), list(keys), join_type="left anti")["row"]
    return rows if len(left) == rows.num_rows else rows.take(_sorted(left))


def _keyed(rows: pa.Table, keys: Sequence[str]) -> pa.Table:
    return pa.table({key: pc.fill_null(rows[key].cast(pa.string()), "") for key in keys})
