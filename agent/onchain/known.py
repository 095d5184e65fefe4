"""What a library holds that a question may name, asked of its tables."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from agent.onchain.lexer import Known
from agent.onchain.verbalize import Names

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


def known(connection: DuckDBPyConnection, chains: list[str]) -> Known | None:
    """What there is to name; None where there is nothing."""
    span = connection.execute(
        "SELECT min(block_number), max(block_number) FROM (SELECT block_number FROM blocks"
        " UNION ALL SELECT block_number FROM transactions UNION ALL SELECT block_number FROM events)"
    ).fetchone()
    if span is None or span[0] is None:
        return None
    symbols: dict[str, list[str]] = {}
    decimals: dict[str, int] = {}
    for symbol, address, places in connection.execute(
        "SELECT symbol, address, decimals FROM tokens WHERE symbol IS NOT NULL ORDER BY ALL"
    ).fetchall():
        symbols.setdefault(symbol, []).append(address)
        if places is not None:
            decimals[address] = int(places)
    return Known(
        chain=" and ".join(chains),
        first=span[0],
        last=span[1],
        symbols={symbol: tuple(some) for symbol, some in symbols.items()},
        decimals=decimals,
        tokens=_column(
            connection, "SELECT DISTINCT address FROM events WHERE event IN ('Transfer', 'Approval')"
        ),
        events=_column(connection, "SELECT DISTINCT event FROM events WHERE event IS NOT NULL"),
        arguments=_column(
            connection, "SELECT DISTINCT unnest(json_keys(args)) FROM events WHERE args IS NOT NULL"
        ),
        declared=_column(connection, "SELECT DISTINCT declared_in FROM events WHERE event IS NOT NULL"),
    )


def names(held: Known) -> Names:
    """Symbols and decimals of the known tokens, by address."""
    return {
        address: (symbol, held.decimals.get(address))
        for symbol, some in held.symbols.items()
        for address in some
    }


def _column(connection: DuckDBPyConnection, query: str) -> frozenset[str]:
    return frozenset(value for (value,) in connection.execute(query).fetchall())


def stands(connection: DuckDBPyConnection, question: str) -> bool:
    """Whether the question names an address that stands in a row."""
    addresses = re.findall(r"\b0x[0-9a-f]{40}\b", question.lower())
    columns = {
        "transactions": ("from_address", "to_address", "contract_address"),
        "events": ("address", "from_address", "to_address", "owner", "spender"),
        "token_transfers": ("from_address", "to_address"),
        "blocks": ("miner",),
    }
    return bool(addresses) and any(
        connection.execute(
            f"SELECT 1 FROM {table} WHERE {' OR '.join(f'list_contains(?, {c})' for c in some)} LIMIT 1",  # noqa: S608
            [addresses] * len(some),
        ).fetchall()
        for table, some in columns.items()
    )


def kind_of(connection: DuckDBPyConnection, value: str) -> str:
    """Whether 32 bytes name a `transaction`, a `block` or an event's first `topic`; empty: nothing."""
    for kind, table, column in (
        ("transaction", "transactions", "transaction_hash"),
        ("transaction", "events", "transaction_hash"),
        ("block", "blocks", "block_hash"),
        ("topic", "events", "topic0"),
    ):
        if connection.execute(f"SELECT 1 FROM {table} WHERE {column} = ? LIMIT 1", [value]).fetchall():  # noqa: S608
            return kind
    return ""
