"""Very many events, told together: by contract, name of event, and window of blocks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ingest.chain.passages import Told, amount_of, chain_name, document, many, one_by_one, token_name

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

WINDOWS = (100, 1_000, 10_000, 100_000, 1_000_000)
"""Blocks that a roll-up may span; the least that keeps the number of roll-ups in bounds is taken."""

_GROUPS = """
    SELECT count(*)
    FROM (SELECT DISTINCT chain, address, topic0, block_number // {} FROM events WHERE path = $path)
"""
_ROLLED = """
    WITH told AS (
        SELECT *, CASE WHEN length(value::VARCHAR) <= 30 THEN value::VARCHAR::HUGEINT END AS small
        FROM events WHERE path = $path
    ), grouped AS (
        SELECT chain, address, topic0, any_value(event) AS event, count(*) AS logs,
               min(block_number) AS first_block, max(block_number) AS last_block,
               min(block_timestamp) AS block_timestamp,
               CASE WHEN count(small) = count(*) THEN sum(small) END AS total, max(small) AS largest,
               arg_max(transaction_hash, small) AS largest_in, arg_max(log_index, small) AS largest_at,
               min(path) AS path, min(location) AS location, max(retrieved_at) AS retrieved_at
        FROM told GROUP BY chain, address, topic0, block_number // {window}
        ORDER BY logs DESC, chain, address, topic0, first_block LIMIT {limit}
    )
    SELECT g.*, k.symbol, k.decimals, units(total, k.decimals) AS total_amount,
           units(largest, k.decimals) AS largest_amount
    FROM grouped AS g LEFT JOIN tokens AS k USING (chain, address)
"""
"""Sums are told where every value has at most 30 digits: exact, and not of unlimited approvals."""


def told(connection: DuckDBPyConnection, path: str, limit: int) -> Iterator[Told]:
    """The documents about the rows that came from one file or node, with their passages.

    connection: as `Library.sql` gives it; limit: transactions that are told one by one, and the number of
    documents that tell of more together.
    """
    yield from one_by_one(connection, path, limit)
    if many(connection, "events", path, limit):
        yield from rolled_up(connection, path, limit)


def rolled_up(connection: DuckDBPyConnection, path: str, limit: int) -> Iterator[Told]:
    """At most `limit` documents about the events of one file, those with the most logs.

    connection: as `Library.sql` gives it.
    """
    for window in WINDOWS:
        if connection.execute(_GROUPS.format(window), {"path": path}).fetchall()[0][0] <= limit:
            break
    found = connection.execute(_ROLLED.format(window=window, limit=int(limit)), {"path": path})
    names = [name for name, *_ in found.description or ()]
    for values in found.fetchall():
        yield _told(dict(zip(names, values, strict=True)), window)


def _told(row: dict[str, Any], window: int) -> Told:
    name = row["event"] or f"events with the first topic {row['topic0']}"
    start = row["first_block"] // window * window
    text = (
        f"{name} of {token_name(row, row['address'])} on {chain_name(row['chain'])}, blocks"
        f" {row['first_block']} to {row['last_block']}: {row['logs']} logs."
        f"{_sums(row)} First topic {row['topic0']}.\n"
    )
    uri = f"{row['chain']}/blocks/{start}-{start + window - 1}/{row['address']}/{row['topic0']}"
    place = (chain_name(row["chain"]), f"blocks {row['first_block']} to {row['last_block']}")
    return document(uri, f"{name} of {row['address']}", [("", text)], [row], place)


def _sums(row: dict[str, Any]) -> str:
    if row["total"] is None:
        return ""
    total = amount_of({**row, "value": row["total"], "amount": row["total_amount"]})
    largest = amount_of({**row, "value": row["largest"], "amount": row["largest_amount"]})
    return (
        f" Their values sum to {total}; the largest is {largest}, log {row['largest_at']} of transaction"
        f" {row['largest_in']}."
    )
