"""What happened on a chain, in plain words: documents whose text is made of the rows of the tables.

A transaction's events, its transfers and it itself are a document each, as is a block; a log or a transfer is
a passage, so that a citation names one. Where a file holds very many transactions, each contract's events of
a name are told together, by windows of blocks. A document's sha256 is that of the rows that it tells.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import groupby
from typing import TYPE_CHECKING, Any

from index.values import Document, Kind, Passage, Position

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

RECIPE = "chain-1"
"""Part of what these documents are made by: raise it when the words change."""

UNLIMITED = str(2**256 - 1)
LONGEST_RAW = 130
"""Characters of raw data that are shown."""

_CHAINS = {
    "eip155:1": ("Ethereum mainnet", "ETH"),
    "eip155:10": ("OP Mainnet", "ETH"),
    "eip155:56": ("BNB Smart Chain", "BNB"),
    "eip155:100": ("Gnosis Chain", "xDAI"),
    "eip155:137": ("Polygon", "POL"),
    "eip155:8453": ("Base", "ETH"),
    "eip155:42161": ("Arbitrum One", "ETH"),
    "eip155:43114": ("Avalanche C-Chain", "AVAX"),
    "eip155:11155111": ("Sepolia", "ETH"),
}

Row = Mapping[str, Any]
Told = tuple[Document, list[Passage]]

_EVENTS = """
    SELECT e.*, k.symbol, k.decimals, units(e.value, k.decimals) AS amount
    FROM events AS e LEFT JOIN tokens AS k ON k.chain = e.chain AND k.address = e.address
    WHERE e.path = $path ORDER BY e.chain, e.block_number, e.block_hash, e.transaction_index,
    e.transaction_hash, e.log_index
"""
_TRANSFERS = """
    SELECT t.*, k.symbol, k.decimals, units(t.value, k.decimals) AS amount
    FROM transfers AS t LEFT JOIN tokens AS k ON k.chain = t.chain AND k.address = t.token_address
    WHERE t.path = $path ORDER BY t.chain, t.block_number, t.block_hash, t.transaction_hash, t.log_index
"""
_TRANSACTIONS = """
    SELECT *, units(value, 18) AS amount, units(effective_gas_price, 9) AS gwei,
    effective_gas_price * gas_used AS fee, units(effective_gas_price * gas_used, 18) AS fee_amount
    FROM transactions WHERE path = $path ORDER BY chain, block_number, block_hash, transaction_index
"""
_BLOCKS = """
    SELECT *, units(base_fee_per_gas, 9) AS gwei FROM blocks WHERE path = $path
    ORDER BY chain, block_number, block_hash
"""
_COUNT = "SELECT count(DISTINCT (block_hash, transaction_hash)) FROM {} WHERE path = $path"


def many(connection: DuckDBPyConnection, table: str, path: str, limit: int) -> bool:
    """Whether the rows of one file or node are of more transactions than `limit`."""
    return bool(connection.execute(_COUNT.format(table), {"path": path}).fetchall()[0][0] > limit)


def one_by_one(connection: DuckDBPyConnection, path: str, limit: int) -> Iterator[Told]:
    """The documents about blocks, and about what has no more than `limit` transactions."""
    yield from (_block(row) for row in _rows(connection, _BLOCKS, path))
    if not many(connection, "transactions", path, limit):
        yield from (_transaction(row) for row in _rows(connection, _TRANSACTIONS, path))
    if not many(connection, "transfers", path, limit):
        yield from _by_transaction(connection, _TRANSFERS, path, "transfers")
    if not many(connection, "events", path, limit):
        yield from _by_transaction(connection, _EVENTS, path, "events")


def document(
    uri: str, title: str, lines: Sequence[tuple[str, str]], rows: Sequence[Row], place: tuple[str, ...]
) -> Told:
    """A document of some lines, a passage each. lines: the last part of its heading, and the text.

    place: the heading that all passages share, its first two parts their context; rows: what is told.
    """
    sha256 = hashlib.sha256("\n".join(json.dumps(_canonical(row)) for row in rows).encode()).hexdigest()
    passages, start = [], 0
    for ordinal, (heading, text) in enumerate(lines):
        end = start + len(text)
        context = ", ".join(place[:2])
        names = (*place, heading) if heading else place
        passages.append(Passage(uri, sha256, ordinal, start, end, text, context, names))
        start = end
    first = rows[0]
    retrieved: datetime = first["retrieved_at"]
    time: datetime | None = first.get("block_timestamp")
    return (
        Document(
            uri=uri,
            kind=Kind.EVENT,
            title=title,
            sha256=sha256,
            size=start,
            media_type="text/plain",
            path=first["path"],
            location=first["location"],
            retrieved_at=retrieved.astimezone(UTC),
            published_at=time.astimezone(UTC).date() if time else None,
            chain=first["chain"],
            contracts=tuple(sorted({row[name] for row in rows for name in _EMITTERS if row.get(name)})),
            status=first.get("finality"),
        ),
        passages,
    )


_EMITTERS = ("address", "token_address", "to_address_called")
_NOT_CONTENT = {"retrieved_at", "finality", "path", "location", "orphaned_at"}


def chain_name(chain: str) -> str:
    """What people call a chain."""
    return _CHAINS.get(chain, (f"chain {chain}", ""))[0]


def token_name(row: Row, address: str) -> str:
    """A contract by its token's symbol and its address, or by its address alone."""
    return f"{row['symbol']} ({address})" if row.get("symbol") else address


def amount_of(row: Row) -> str:
    """A raw value in whole tokens and as it is."""
    of = f" of {row['symbol']}" if row.get("symbol") else ""
    if str(row["value"]) == UNLIMITED:
        return f"an unlimited amount{of} (2**256 - 1 = {UNLIMITED} raw)"
    if row.get("amount") is None:
        return f"{row['value']} raw units"
    return f"{row['amount']} {row.get('symbol') or ''} ({row['value']} raw)".replace("  ", " ")


def _rows(connection: DuckDBPyConnection, sql: str, path: str) -> Iterator[dict[str, Any]]:
    found = connection.cursor().execute(sql, {"path": path})
    names = [name for name, *_ in found.description or ()]
    while some := found.fetchmany(10_000):
        yield from (dict(zip(names, row, strict=True)) for row in some)


def _canonical(row: Row) -> dict[str, str | None]:
    kept = {name: value for name, value in row.items() if name not in _NOT_CONTENT}
    return {name: None if value is None else str(value) for name, value in sorted(kept.items())}


def _by_transaction(connection: DuckDBPyConnection, sql: str, path: str, what: str) -> Iterator[Told]:
    def transaction(row: Row) -> tuple[Any, ...]:
        return row["chain"], row["block_number"], row["block_hash"], row["transaction_hash"]

    for _, some in groupby(_rows(connection, sql, path), transaction):
        yield (_events if what == "events" else _transfers)(list(some))


def _place(row: Row) -> Position:
    return Position(row["chain"], row["block_number"], row["block_hash"] or "", row.get("transaction_hash"))


def _where(row: Row) -> str:
    time: datetime | None = row["block_timestamp"]
    when = f", {time.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC" if time else ""
    block = f"block {row['block_number']}" + (f" ({row['block_hash']})" if row["block_hash"] else "")
    return f"{block} of {chain_name(row['chain'])}{when}"


def _heading(row: Row) -> tuple[str, ...]:
    return (
        chain_name(row["chain"]),
        f"block {row['block_number']}",
        *([f"transaction {row['transaction_hash']}"] if row.get("transaction_hash") else []),
    )


def _events(rows: list[dict[str, Any]]) -> Told:
    first = rows[0]
    counts: dict[str, int] = {}
    names: dict[str, int] = {}
    for row in rows:
        emitter = token_name(row, row["address"])
        counts[emitter] = counts.get(emitter, 0) + 1
        name = row["event"] or "not decoded"
        names[name] = names.get(name, 0) + 1
    emitted = "1 event log" if len(rows) == 1 else f"{len(rows)} event logs"
    summary = (
        f"Transaction {first['transaction_hash']} in {_where(first)} emitted {emitted}:"
        f" {_listed(names)}. By contract: {_listed(counts)}.\n"
    )
    lines = [("", summary), *((f"log {row['log_index']}", _event(row)) for row in rows)]
    title = f"Event logs of transaction {first['transaction_hash']}"
    return document(f"{_place(first).uri}/events", title, lines, rows, _heading(first))


def _event(row: Row) -> str:
    log = f"Log {row['log_index']} of transaction {row['transaction_hash']} in block {row['block_number']}"
    topic = f" First topic {row['topic0']}.\n" if row["topic0"] else "\n"
    if row["event"] is None:
        topics = [row[f"topic{at}"] for at in range(1, 4) if row[f"topic{at}"]]
        return (
            f"{log}: an event of contract {row['address']} that is not decoded ({row['undecoded']});"
            f" further topics {', '.join(topics) or 'none'}; data {_short(row['data'])}.{topic}"
        )
    if row["event"] == "Transfer" and row["from_address"] and row["to_address"]:
        return f"{log}: Transfer of {_moved(row, row['address'])}.{topic}"
    if row["event"] == "Approval" and row["owner"] and row["spender"] and row["value"]:
        return (
            f"{log}: Approval of {amount_of(row)} by owner {row['owner']} for spender {row['spender']};"
            f" token {token_name(row, row['address'])}.{topic}"
        )
    arguments = ", ".join(
        f"{name} {_short(_spoken(value))}" for name, value in json.loads(row["args"]).items()
    )
    emitter = token_name(row, row["address"])
    lenient = f" Not as the ABI says: {row['lenient']}." if row.get("lenient") else ""
    declared = f"{row['event']} ({row['declared_in']})"
    return f"{log}: {declared} at {emitter}: {arguments or 'no arguments'}.{lenient}{topic}"


def _moved(row: Row, token: str) -> str:
    what = amount_of(row) if row["value"] is not None else f"token number {row.get('token_id')}"
    return f"{what} from {row['from_address']} to {row['to_address']}; token {token_name(row, token)}"


def _transfers(rows: list[dict[str, Any]]) -> Told:
    first = rows[0]
    lines = [(f"log {row['log_index']}", _transfer(row)) for row in rows]
    title = f"Token transfers of transaction {first['transaction_hash']}"
    return document(f"{_place(first).uri}/transfers", title, lines, rows, _heading(first))


def _transfer(row: Row) -> str:
    return (
        f"Token transfer at log {row['log_index']} of transaction {row['transaction_hash']} in block"
        f" {row['block_number']}: {_moved(row, row['token_address'])}.\n"
    )


def _transaction(row: dict[str, Any]) -> Told:
    coin = _CHAINS.get(row["chain"], ("", "of the native coin"))[1]
    ended = {0: "failed (status 0)", 1: "succeeded (status 1)"}.get(row["status"], "ended unknown")
    to = f"to {row['to_address']}" if row["to_address"] else "without a receiver: it creates a contract"
    created = f" It created the contract {row['contract_address']}." if row["contract_address"] else ""
    fee = (
        f" Effective gas price {row['gwei']} gwei ({row['effective_gas_price']} wei),"
        f" fee {row['fee_amount']} {coin} ({row['fee']} wei)."
        if row["fee"] is not None
        else ""
    )
    call = f" It calls the function {row['selector']}." if row["selector"] and row["to_address"] else ""
    text = (
        f"Transaction {row['transaction_hash']}, number {row['transaction_index']} in {_where(row)},"
        f" {ended}: from {row['from_address']} {to}, value {row['amount']} {coin} ({row['value']} wei)."
        f"{created} Gas used {row['gas_used']} of a limit of {row['gas']}.{fee}{call}\n"
    )
    title = f"Transaction {row['transaction_hash']}"
    return document(
        f"{_place(row).uri}/transaction",
        title,
        [("", text)],
        [{**row, "to_address_called": row["to_address"]}],
        _heading(row),
    )


def _block(row: dict[str, Any]) -> Told:
    fee = (
        f" Base fee per gas {row['gwei']} gwei ({row['base_fee_per_gas']} wei)."
        if row["base_fee_per_gas"] is not None
        else ""
    )
    count = (
        f" It holds {row['transaction_count']} transactions." if row["transaction_count"] is not None else ""
    )
    text = (
        f"The header of {_where(row)}: parent {row['parent_hash']}, fee recipient {row['miner']}, gas used"
        f" {row['gas_used']} of a limit of {row['gas_limit']}.{fee}{count}\n"
    )
    title = f"Block {row['block_number']} of {chain_name(row['chain'])}"
    return document(f"{_place(row).uri}/header", title, [("", text)], [row], _heading(row))


def _listed(counts: Mapping[str, int]) -> str:
    most = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    shown = ", ".join(f"{count} {name}" for name, count in most[:12])
    return shown + (f" and {len(most) - 12} more" if len(most) > 12 else "")


def _spoken(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _short(text: str) -> str:
    """A text with its middle left out where it is long, its control characters made visible."""
    shown = "".join(c if c.isprintable() else "�" for c in text)
    return shown if len(shown) <= LONGEST_RAW else f"{shown[:LONGEST_RAW]}… ({len(shown)} characters)"
