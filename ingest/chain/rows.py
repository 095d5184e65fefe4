"""What a node answers, as rows of the chain's tables: by the very rules that rows of files obey."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from ingest.chain.files import typed
from ingest.chain.node import Heads, Json
from ingest.chain.rpc import Untrue

WINDOW = 1_000
"""Blocks whose rows share a `path`, so that what is told anew after a poll stays little."""

_BLOCK = {
    "block_number": "number",
    "block_hash": "hash",
    "parent_hash": "parentHash",
    "miner": "miner",
    "gas_limit": "gasLimit",
    "gas_used": "gasUsed",
    "base_fee_per_gas": "baseFeePerGas",
    "size": "size",
}
_TRANSACTION = {
    "block_number": "blockNumber",
    "block_hash": "blockHash",
    "transaction_hash": "hash",
    "transaction_index": "transactionIndex",
    "from_address": "from",
    "to_address": "to",
    "value": "value",
    "nonce": "nonce",
    "gas": "gas",
    "gas_price": "gasPrice",
    "max_fee_per_gas": "maxFeePerGas",
    "max_priority_fee_per_gas": "maxPriorityFeePerGas",
    "transaction_type": "type",
    "input": "input",
}
_RECEIPT = {
    "effective_gas_price": "effectiveGasPrice",
    "gas_used": "gasUsed",
    "status": "status",
    "contract_address": "contractAddress",
}
_LOG = {
    "block_number": "blockNumber",
    "block_hash": "blockHash",
    "transaction_hash": "transactionHash",
    "transaction_index": "transactionIndex",
    "log_index": "logIndex",
    "address": "address",
    "topics": "topics",
    "data": "data",
}


def window(chain: str, number: int) -> str:
    """The `path` of what happened in a block."""
    start = number // WINDOW * WINDOW
    return f"{chain}/blocks/{start}-{start + WINDOW - 1}"


class Rows:
    """Makes rows of a node's answers. chain: CAIP-2; name: of the endpoint; heads: they give the finality."""

    def __init__(self, chain: str, name: str, heads: Heads) -> None:
        self._chain = chain
        self._name = name
        self._heads = heads

    def blocks(self, headers: Sequence[Json]) -> pa.Table:
        """Headers as rows. Their path is one that nothing is told of, since most hold none of the logs."""
        columns = _columns(_BLOCK, headers)
        columns["block_timestamp"] = [int(header["timestamp"], 16) for header in headers]
        columns["transaction_count"] = [len(header.get("transactions") or ()) for header in headers]
        rows = self._rows("blocks", columns)
        return _with(rows, "path", [f"{self._chain}/headers"] * rows.num_rows)

    def events(self, logs: Sequence[Json], headers: Sequence[Json]) -> pa.Table:
        """Logs as rows, not decoded. headers: of their blocks."""
        return self._windowed(self._timed("events", _columns(_LOG, logs), headers))

    def transactions(self, pairs: Sequence[tuple[Json, Json]], headers: Sequence[Json]) -> pa.Table:
        """Transactions and their receipts as rows. headers: of their blocks."""
        sent, receipts = [one for one, _ in pairs], [one for _, one in pairs]
        columns = {**_columns(_TRANSACTION, sent), **_columns(_RECEIPT, receipts)}
        return self._windowed(self._timed("transactions", columns, headers))

    def _timed(self, table: str, columns: dict[str, list[Any]], headers: Sequence[Json]) -> pa.Table:
        times = {header["hash"]: int(header["timestamp"], 16) for header in headers}
        return self._rows(
            table, {**columns, "block_timestamp": [times.get(one) for one in columns["block_hash"]]}
        )

    def _windowed(self, rows: pa.Table) -> pa.Table:
        paths = [window(self._chain, number) for number in rows["block_number"].to_pylist()]
        return _with(rows, "path", paths)

    def _rows(self, table: str, columns: dict[str, list[Any]]) -> pa.Table:
        def refuse(fault: str) -> None:
            raise Untrue(f"{self._name} gives what is no row of {table}: {fault}; give another --rpc")

        count = len(columns["block_number"])
        rows = typed(table, list(range(1, count + 1)), columns, refuse)
        finality = [str(self._heads.finality(number)) for number in rows["block_number"].to_pylist()]
        rows = _with(rows, "finality", finality)
        rows = _with(rows, "chain", [self._chain] * count)
        rows = _with(rows, "location", [self._name] * count)
        now = pa.array([datetime.now(UTC)] * count, pa.timestamp("us", "UTC"))
        return rows.append_column("retrieved_at", now)


def _columns(names: dict[str, str], answers: Sequence[Json]) -> dict[str, list[Any]]:
    return {name: [answer.get(given) for answer in answers] for name, given in names.items()}


def _with(rows: pa.Table, name: str, values: Sequence[str]) -> pa.Table:
    return rows.append_column(name, pa.array(values, pa.string()))
