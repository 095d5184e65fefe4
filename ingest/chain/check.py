"""Citations of what happened on a chain, checked again: at a node by block hash, or in its file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from index.errors import Gone, Reorged, SourceError, Unreachable
from index.library import Library
from index.values import Document, Filters, Position, Reading, SourceRef
from ingest.chain.abi import known_events
from ingest.chain.decode import Decoder
from ingest.chain.files import ChainFile, batches
from ingest.chain.node import Displaced, Heads, Json, Node
from ingest.chain.rows import Rows

_TABLES = {"events": "events", "transfers": "transfers", "transaction": "transactions", "header": "blocks"}
"""The table of the rows that a document tells, by the last part of its uri."""

_AT = ("block_timestamp", "transaction_hash")
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
    "events": ("log_index", *_AT, "address", "topic0", "topic1", "topic2", "topic3", "data"),
    "transfers": ("log_index", "transaction_hash", "token_address", "from_address", "to_address", "value"),
    "transactions": (*_AT, *_TRANSACTION, "effective_gas_price", "contract_address", "input"),
    "blocks": ("block_timestamp", "parent_hash", "miner", "gas_limit", "gas_used", "base_fee_per_gas"),
}
_NO_HEADS = Heads(-1, -1, -1)

Row = dict[str, Any]
Open = Callable[[str], Node | None]
"""The node of a chain (CAIP-2); None where no setting names one."""


def reread(ref: SourceRef, library: Library, node: Open) -> Reading:
    """The document of a citation, if the rows that it tells are those of the chain, or of their file.

    Raises Reorged when its block was displaced, Gone when the rows are no longer there, Unreachable when
    nobody can be asked, and SourceError when the rows are others now.
    """
    table, place = _TABLES.get(ref.uri.rpartition("/")[2], ""), Position.of(ref.uri)
    if not table or place is None:
        raise Unreachable("tells of many blocks together; only blocks, transactions and logs are checked")
    stored = _stored(library, table, place, ref.path)
    with_node = node(place.chain)
    if with_node is not None:
        with with_node as asked:
            found = _from_node(asked, table, place)
    elif ref.location.startswith(("http://", "https://")):
        setting = f"""CHAINCITE_RPC='{{"{place.chain}": "https://…"}}'"""
        raise Unreachable(f"no node is set for {place.chain}; name one in the setting rpc, as {setting}")
    else:
        found = list(_from_file(ref, table, place))
    _compare(table, stored, found)
    document = _document(library, ref)
    return Reading(document, "".join(passage.text for passage in library.passages(ref.uri)), ())


def _stored(library: Library, table: str, place: Position, path: str) -> list[Row]:
    """The rows that the document tells. Raises Reorged or Gone when they do not stand."""
    where = "chain = $chain AND block_number = $number AND coalesce(block_hash, '') = $hash"
    values: dict[str, Any] = {
        "chain": place.chain,
        "number": place.block_number,
        "hash": place.block_hash,
    }
    orphaned = f"SELECT any_value(orphaned_at)::VARCHAR FROM orphaned_events WHERE {where}"  # noqa: S608
    columns = ", ".join(f"{name}::VARCHAR AS {name}" for name in _COMPARED[table])
    sql = f"SELECT {columns} FROM {table} WHERE {where} AND path = $path"  # noqa: S608 - names of ours
    with library.sql() as connection:
        [(when,)] = connection.execute(orphaned, values).fetchall()
        if when is not None:
            raise Reorged(
                f"block {place.block_number} ({place.block_hash}) was displaced by a reorganisation, which"
                f" the library met on {when[:19]} UTC"
            )
        if place.transaction_hash:
            sql, values = f"{sql} AND transaction_hash = $sent", {**values, "sent": place.transaction_hash}
        if table == "transfers":
            sql = sql.replace("FROM transfers", "FROM token_transfers").replace(" AND path = $path", "")
            found = connection.execute(sql, values)
        else:
            found = connection.execute(sql, {**values, "path": path})
        names = [name for name, *_ in found.description or ()]
        return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


def _from_node(node: Node, table: str, place: Position) -> list[Row]:
    """The rows as the node tells them now."""
    [header] = node.headers([place.block_number])
    if header is None:
        raise Unreachable(f"{node.name} has no block {place.block_number}; the node may be behind")
    if place.block_hash and header["hash"] != place.block_hash:
        raise Reorged(
            f"block {place.block_number} was displaced by a reorganisation: it is {header['hash']} now, and"
            f" was {place.block_hash}"
        )
    rows = Rows(place.chain, node.name, _NO_HEADS)
    if table == "blocks":
        return _texts(table, rows.blocks([header]))
    if table == "transactions":
        try:
            pairs = node.transactions([str(place.transaction_hash)])
        except Displaced:
            return []
        return _texts(table, rows.transactions(pairs, [header]))
    logs = [log for log in node.block_logs(header["hash"]) if _in(log, place)]
    found = rows.events(logs, [header])
    return _texts(table, found if table == "events" else _transfers(found))


def _in(log: Json, place: Position) -> bool:
    return place.transaction_hash in (None, log.get("transactionHash"))


def _transfers(events: pa.Table) -> pa.Table:
    decoded = Decoder(known_events()).decode(events)
    decoded = decoded.filter(pc.fill_null(pc.equal(decoded["event"], "Transfer"), False))
    value = pc.coalesce(decoded["value"], decoded["token_id"])
    return decoded.set_column(decoded.column_names.index("value"), "value", value).append_column(
        "token_address", decoded["address"]
    )


def _from_file(ref: SourceRef, table: str, place: Position) -> Iterator[Row]:
    """The rows of the document as they stand in their file now."""
    location = Path(ref.location)
    if not location.is_file():
        raise Gone(f"the file {location} is not there any more")
    for batch in batches(ChainFile.open(location, ref.path), place.chain, lambda _: None):
        here = pc.equal(batch["block_number"], place.block_number)
        if place.transaction_hash:
            here = pc.and_(here, pc.equal(batch["transaction_hash"], place.transaction_hash))
        yield from _texts(table, batch.filter(pc.fill_null(here, False)))


def _texts(table: str, rows: pa.Table) -> list[Row]:
    names = [name for name in _COMPARED[table] if name in rows.column_names]
    return [
        {name: None if value is None else _text(value) for name, value in row.items()}
        for row in rows.select(names).to_pylist()
    ]


def _text(value: Any) -> str:
    return value.strftime("%Y-%m-%d %H:%M:%S+00") if hasattr(value, "strftime") else str(value)


def _compare(table: str, stored: list[Row], found: list[Row]) -> None:
    """Raises SourceError, saying the first difference, where a stored row is not as it was found."""
    by_log = {row.get("log_index"): row for row in found}
    if not stored:
        raise Gone("the library holds these rows no longer; ingest them again")
    for row in stored:
        now = by_log.get(row.get("log_index"))
        what = f"log {row['log_index']}" if "log_index" in row else f"row of {table}"
        if now is None:
            raise Gone(f"the {what} is not there any more")
        for name, value in row.items():
            if value is not None and now.get(name) is not None and now[name] != value:
                raise SourceError(f"has another {name} in its {what}: {now[name]}, and not {value}")


def _document(library: Library, ref: SourceRef) -> Document:
    for document in library.documents(Filters(sources=(ref.uri,))):
        if document.uri == ref.uri:
            return document
    raise Gone("the library tells of these rows no longer; ingest them again")
