"""Citations of what happened on a chain, checked again: at a node by block hash, or in its file."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Self

import pyarrow as pa
import pyarrow.compute as pc

from index.errors import Gone, Reorged, SourceError, Unreachable
from index.library import Library
from index.values import Position, Reading, SourceRef
from ingest.chain.abi import known_events
from ingest.chain.contracts import compare_contracts
from ingest.chain.decode import Decoder
from ingest.chain.files import ChainFile, batches
from ingest.chain.node import Displaced, Heads, Node
from ingest.chain.records import Record, records_of
from ingest.chain.rows import Rows
from ingest.chain.rpc import MOST_IN_BATCH
from ingest.names import local_path

MOST_LOGS = 50_000
"""Logs told together that are read again."""

MOST_REQUESTS = 500
"""Requests to a node for the logs of one source."""

_TABLES = {"events": "events", "transfers": "transfers", "transaction": "transactions", "header": "blocks"}
"""The table of the rows that a document tells, by the last part of its uri."""

_ROLLED_UP = re.compile(r"(.+)/blocks/(\d{1,18})-(\d{1,18})/(0x[0-9a-f]{40})/(0x[0-9a-f]{64}|None)")

_IN_BLOCK = ("block_number", "block_hash", "block_timestamp", "transaction_hash")
_TRANSACTION = (
    "transaction_index",
    "from_address",
    "to_address",
    "value",
    "nonce",
    "gas",
    "gas_used",
    "status",
)
_COMPARED = {
    "events": (*_IN_BLOCK, "log_index", "address", "topic0", "topic1", "topic2", "topic3", "data"),
    "transfers": (*_IN_BLOCK, "log_index", "token_address", "from_address", "to_address", "value"),
    "transactions": (*_IN_BLOCK, *_TRANSACTION, "effective_gas_price", "contract_address", "input"),
    "blocks": (*_IN_BLOCK[:3], "parent_hash", "miner", "gas_limit", "gas_used", "base_fee_per_gas"),
}
_EMITTER = {"events": "address", "transfers": "token_address"}
_NO_HEADS = Heads(-1, -1, -1)

Row = dict[str, Any]
Open = Callable[[str], Node | None]
"""The node of a chain (CAIP-2); None where no setting names one."""


@dataclass(frozen=True, slots=True)
class _Told:
    """Which rows a document tells, as its uri says: those of a block, or of a window of blocks.

    having: columns with the value that they have; empty is null.
    """

    table: str
    chain: str
    low: int
    high: int
    having: Mapping[str, str]

    @classmethod
    def of(cls, uri: str) -> Self | None:
        place, table = Position.of(uri), _TABLES.get(uri.rpartition("/")[2])
        if place is not None and table is not None:
            having = {"block_hash": place.block_hash}
            if place.transaction_hash:
                having["transaction_hash"] = place.transaction_hash
            return cls(table, place.chain, place.block_number, place.block_number, having)
        if rolled := _ROLLED_UP.fullmatch(uri):
            chain, low, high, address, topic = rolled.groups()
            having = {"address": address, "topic0": "" if topic == "None" else topic}
            return cls("events", chain, int(low), int(high), having)
        return None

    @property
    def where(self) -> str:
        """The rows in SQL, with parameters named as `values` has them."""
        having = "".join(f" AND coalesce({name}, '') = ${name}" for name in self.having)
        return f"chain = $chain AND block_number BETWEEN $low AND $high{having}"

    @property
    def values(self) -> dict[str, Any]:
        return {"chain": self.chain, "low": self.low, "high": self.high, **self.having}

    def of_these(self, rows: pa.Table) -> pa.Table:
        """Those of the rows that it tells. A file may not know the hashes of its blocks."""
        number = rows["block_number"]
        here = pc.and_(pc.greater_equal(number, self.low), pc.less_equal(number, self.high))
        for name in self.having.keys() & set(rows.column_names) - {"block_hash"}:
            here = pc.and_(here, pc.equal(pc.fill_null(rows[name], ""), self.having[name]))
        return rows.filter(pc.fill_null(here, False))


def reread(ref: SourceRef, library: Library, node: Open) -> Reading:
    """The document of a citation, if what it tells is what the chain, or its file, says.

    Raises Reorged when its block was displaced, Gone when the rows are no longer there, Unreachable when
    nobody can be asked, and SourceError when the rows, or the code of their contracts, are others now.
    """
    chain = str(ref.chain)
    told = _Told.of(ref.uri)
    rows = _stored(library, told, ref.path) if told else []
    record = None if told else records_of(library, chain).get(ref.uri)
    document = library.document(ref.uri)
    if document is None or not (told or record):
        raise Gone("the library tells of this no longer; ingest it again")
    with _telling():
        opened = node(chain)
    findings: tuple[str, ...] = ()
    if opened is not None:
        with opened as asked:
            if told:
                findings = _rows_checked(asked, library, told, rows)
            elif record:
                findings = _record_checked(asked, library, record)
    elif ref.location.startswith(("http://", "https://")):
        setting = f"""CHAINCITE_RPC='{{"{chain}": "https://…"}}'"""
        raise Unreachable(f"no node is set for {chain}; name one in the setting rpc, as {setting}")
    elif told:
        _compare(told, rows, list(_from_file(ref, told)))
    text = "".join(passage.text for passage in library.passages(ref.uri))
    return Reading(document, text, (), findings=findings)


@contextmanager
def _telling() -> Iterator[None]:
    """A node that refuses, or contradicts itself, says nothing of the source."""
    try:
        yield
    except (Gone, Unreachable):
        raise
    except SourceError as fault:
        raise Unreachable(str(fault)) from None


def _stored(library: Library, told: _Told, path: str) -> list[Row]:
    """The rows that the document tells, in order. Raises Reorged or Gone when they do not stand."""
    columns = ", ".join(f"{name}::VARCHAR AS {name}" for name in _COMPARED[told.table])
    view, where, values = told.table, f"{told.where} AND path = $path", {**told.values, "path": path}
    if told.table == "transfers":
        view, where, values = "token_transfers", told.where, told.values
    sql = f"SELECT {columns} FROM {view} AS t WHERE {where} ORDER BY t.block_number"  # noqa: S608
    orphaned = f"SELECT block_number, block_hash, orphaned_at FROM orphaned_events WHERE {told.where}"  # noqa: S608
    with library.sql() as connection:
        found = connection.execute(f"{sql} LIMIT {MOST_LOGS + 1}", values)
        names = [name for name, *_ in found.description or ()]
        rows = [dict(zip(names, row, strict=True)) for row in found.fetchall()]
        displaced = [] if rows else connection.execute(f"{orphaned} LIMIT 1", told.values).fetchall()
    for number, block_hash, when in displaced:
        raise Reorged(
            f"block {number} ({block_hash}) was displaced by a reorganisation, which the library met on"
            f" {when:%Y-%m-%d %H:%M:%S} UTC"
        )
    if not rows:
        raise Gone("the library holds these rows no longer; ingest them again")
    if len(rows) > MOST_LOGS:
        raise Unreachable(f"tells of more than {MOST_LOGS:,} logs together, which are not read again")
    return rows


def _rows_checked(node: Node, library: Library, told: _Told, rows: list[Row]) -> tuple[str, ...]:
    """Compares rows with those of the node, and what is on record of their contracts; what is to be said."""
    last = int(rows[-1]["block_number"])
    with _telling():
        found, reached = _from_node(node, told, rows)
    _compare(told, [row for row in rows if int(row["block_number"]) <= reached], found)
    if reached < last:
        raise Unreachable(
            f"tells of {len(rows):,} logs together: up to block {reached} they are as they were, but the rest"
            f" up to block {last} takes more than the {MOST_REQUESTS} requests that are sent for a source"
        )
    more = len(found) - len(rows) if told.low < told.high else 0
    findings = [f"{node.name} has {more:,} more logs of the kind in these blocks"] if more else []
    if told.table in _EMITTER:
        emitters = {row[_EMITTER[told.table]] for row in rows}
        records = records_of(library, told.chain).values()
        contracts = [one for record in records for one in record.contracts or () if one.address in emitters]
        contracts.sort(key=lambda contract: contract.block_number)
        on_record = {contract.address for contract in contracts}
        addresses = [*sorted(on_record), *sorted(emitters - on_record)]
        findings += compare_contracts(node, contracts, addresses, last)
    return tuple(findings)


def _record_checked(node: Node, library: Library, record: Record) -> tuple[str, ...]:
    """Whether the last block that was read still stands, and with it all before; and the contracts."""
    findings: list[str] = []
    if record.covered:
        last = max(high for _, high in record.covered)
        with library.sql() as connection:
            hashes = connection.execute(
                "SELECT block_hash FROM blocks WHERE chain = $chain AND block_number = $number",
                {"chain": node.chain, "number": last},
            ).fetchall()
        with _telling():
            _standing(node, last, *hashes[0] if hashes else (None,))
    contracts = record.contracts or ()
    for number, some in groupby(contracts, lambda contract: contract.block_number):
        findings += compare_contracts(node, contracts, [contract.address for contract in some], number)
    return tuple(findings)


def _standing(node: Node, number: int, block_hash: str | None) -> dict[str, Any]:
    """The header of a block. Raises Reorged when it has not this hash any more."""
    [header] = node.headers([number])
    if header is None:
        raise Unreachable(f"{node.name} has no block {number}; the node may be behind")
    if block_hash and header["hash"] != block_hash:
        raise Reorged(
            f"block {number} was displaced by a reorganisation: it is {header['hash']} now, and was"
            f" {block_hash}"
        )
    return header


def _from_node(node: Node, told: _Told, stored: list[Row]) -> tuple[list[Row], int]:
    """The rows as the node tells them now, and the block up to which they were read.

    Where the last block stands, so do those before it.
    """
    first, last = int(stored[0]["block_number"]), int(stored[-1]["block_number"])
    header = _standing(node, last, stored[-1]["block_hash"])
    rows = Rows(told.chain, node.name, _NO_HEADS)
    if told.table == "blocks":
        return _texts(told.table, rows.blocks([header])), last
    if told.table == "transactions":
        try:
            pairs = node.transactions([told.having["transaction_hash"]])
        except Displaced:
            return [], last
        return _texts(told.table, rows.transactions(pairs, [header])), last
    if told.low == told.high:
        logs = node.block_logs(header["hash"])
        found = told.of_these(rows.events(logs, [header]))
        return _texts(told.table, found if told.table == "events" else _transfers(found)), last
    many, requests = list[Row](), 0
    for part in node.settled(first, last, (told.having["address"],)):
        if part.logs:
            many += _texts(told.table, told.of_these(rows.events(part.logs, part.headers)))
        requests += 1 + -(-len(part.headers) // MOST_IN_BATCH)
        if requests >= MOST_REQUESTS:
            return many, part.high
    return many, last


def _transfers(events: pa.Table) -> pa.Table:
    decoded = Decoder(known_events()).decode(events)
    decoded = decoded.filter(pc.fill_null(pc.equal(decoded["event"], "Transfer"), False))
    value = pc.coalesce(decoded["value"], decoded["token_id"])
    return decoded.set_column(decoded.column_names.index("value"), "value", value).append_column(
        "token_address", decoded["address"]
    )


def _from_file(ref: SourceRef, told: _Told) -> Iterator[Row]:
    """The rows of the document as they stand in their file now."""
    location = local_path(ref.location)
    if not location.is_file():
        raise Gone(f"the file {location} is not there any more")
    for batch in batches(ChainFile.open(location, ref.path), told.chain, lambda _: None):
        yield from _texts(told.table, told.of_these(batch))


def _texts(table: str, rows: pa.Table) -> list[Row]:
    names = [name for name in _COMPARED[table] if name in rows.column_names]
    return [
        {name: None if value is None else _text(value) for name, value in row.items()}
        for row in rows.select(names).to_pylist()
    ]


def _text(value: Any) -> str:
    return value.strftime("%Y-%m-%d %H:%M:%S+00") if hasattr(value, "strftime") else str(value)


def _compare(told: _Told, stored: list[Row], found: list[Row]) -> None:
    """Raises Gone or SourceError, saying the first difference, where a stored row is not as it was found."""
    by_place = {(row["block_number"], row.get("log_index")): row for row in found}
    for row in stored:
        number, log = place = row["block_number"], row.get("log_index")
        what = f"row of {told.table}" if log is None else f"log {log} of block {number}"
        now = by_place.get(place)
        if now is None:
            raise Gone(f"the {what} is not there any more")
        for name, value in row.items():
            if value is not None and now.get(name) is not None and now[name] != value:
                raise SourceError(f"has another {name} in its {what}: {now[name]}, and not {value}")
