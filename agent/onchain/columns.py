"""What can be asked of: the subjects, their columns with kinds and units, and their relations."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Kind = Literal[
    "number", "wei", "gwei", "gas", "bytes", "percent", "token", "category", "address", "text", "time"
]
"""What a column holds. wei, gwei: wei that is told in ETH or in gwei; token: raw units of a row's token."""

SubjectName = Literal["transactions", "logs", "transfers", "blocks"]

NUMERIC: tuple[Kind, ...] = ("number", "wei", "gwei", "gas", "bytes", "percent", "token")
ARGUMENT = re.compile(r"args\.([A-Za-z_]\w{0,63})")
"""A decoded argument of an event, by its name."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a subject. noun: what people call it; sql: how it is read from the subject's relation."""

    name: str
    noun: str
    kind: Kind
    sql: str

    @property
    def numeric(self) -> bool:
        """Whether it can be added up and put in order."""
        return self.kind in NUMERIC


@dataclass(frozen=True, slots=True)
class Subject:
    """What rows are about. order: their order on the chain; documents: those that tell them, best first."""

    name: SubjectName
    noun: str
    relation: str
    order: str
    documents: tuple[str, ...]
    columns: Mapping[str, Column]

    @property
    def position(self) -> str:
        """The last column of the order: the place of a row in its block."""
        return self.order.rpartition(", ")[2]


def _columns(*rows: tuple[str, str, Kind] | tuple[str, str, Kind, str]) -> dict[str, Column]:
    return {row[0]: Column(row[0], row[1], row[2], row[3] if len(row) > 3 else row[0]) for row in rows}


_PLACE: tuple[tuple[str, str, Kind], ...] = (
    ("block_number", "block", "category"),
    ("block_hash", "block hash", "text"),
    ("block_timestamp", "time", "time"),
    ("transaction_hash", "transaction", "text"),
)

_TRANSACTIONS = """
    SELECT t.*, b.base_fee_per_gas, t.effective_gas_price * t.gas_used AS fee, coalesce(e.logs, 0) AS logs,
           coalesce(m.transfers, 0) AS transfers, k.symbol, e.contracts, e.most_from, e.from_most,
           t.effective_gas_price - b.base_fee_per_gas AS tip_per_gas,
           (t.effective_gas_price - b.base_fee_per_gas) * t.gas_used AS tip,
           b.base_fee_per_gas * t.gas_used AS burnt, (length(t.input) - 2) // 2 AS input_size
    FROM transactions AS t
    LEFT JOIN blocks AS b USING (chain, block_number, block_hash)
    LEFT JOIN tokens AS k ON k.chain = t.chain AND k.address = t.to_address
    LEFT JOIN (
        SELECT chain, block_hash, transaction_hash, sum(n)::BIGINT AS logs, count(*) AS contracts,
               arg_max(address, n) AS most_from, max(n) AS from_most
        FROM (SELECT chain, block_hash, transaction_hash, address, count(*) AS n FROM events GROUP BY ALL)
        GROUP BY ALL
    ) AS e USING (chain, block_hash, transaction_hash)
    LEFT JOIN (
        SELECT chain, block_hash, transaction_hash, count(*) AS transfers FROM token_transfers GROUP BY ALL
    ) AS m USING (chain, block_hash, transaction_hash)
"""
_LOGS = """
    SELECT e.*, k.symbol, k.decimals FROM events AS e
    LEFT JOIN tokens AS k ON k.chain = e.chain AND k.address = e.address
"""
_TOPICS = " + ".join(f"(topic{place} IS NOT NULL)::INT" for place in range(4))
_BLOCKS = """
    SELECT b.*, b.base_fee_per_gas * b.gas_used AS burnt, t.tips, t.fees, t.sent, t.failed, t.found,
           coalesce(e.logs, 0) AS logs, coalesce(m.transfers, 0) AS transfers,
           NULL::VARCHAR AS transaction_hash
    FROM blocks AS b LEFT JOIN (
        SELECT t.chain, t.block_hash, sum(t.effective_gas_price * t.gas_used) AS fees, sum(t.value) AS sent,
               sum((t.effective_gas_price - b.base_fee_per_gas) * t.gas_used) AS tips, count(*) AS found,
               count(*) FILTER (t.status = 0) AS failed
        FROM transactions AS t JOIN blocks AS b USING (chain, block_number, block_hash) GROUP BY ALL
    ) AS t USING (chain, block_hash)
    LEFT JOIN (SELECT chain, block_hash, count(*) AS logs FROM events GROUP BY ALL) AS e
        USING (chain, block_hash)
    LEFT JOIN (SELECT chain, block_hash, count(*) AS transfers FROM token_transfers GROUP BY ALL) AS m
        USING (chain, block_hash)
"""

SUBJECTS: Mapping[SubjectName, Subject] = {
    one.name: one
    for one in (
        Subject(
            "transactions",
            "transaction",
            _TRANSACTIONS,
            "block_number, transaction_index",
            ("transaction",),
            _columns(
                *_PLACE,
                ("transaction_index", "transaction index", "number"),
                ("from_address", "sender", "address"),
                ("to_address", "receiver", "address"),
                ("contract_address", "created contract", "address"),
                ("value", "value", "wei"),
                ("nonce", "nonce", "number"),
                ("gas_limit", "gas limit", "gas", "gas"),
                ("gas_used", "gas used", "gas"),
                ("gas_price", "offered gas price", "gwei"),
                ("max_fee_per_gas", "max fee per gas", "gwei"),
                ("max_priority_fee_per_gas", "max priority fee per gas", "gwei"),
                ("effective_gas_price", "effective gas price", "gwei"),
                ("base_fee_per_gas", "base fee per gas", "gwei"),
                ("tip_per_gas", "tip per gas", "gwei"),
                ("tip", "tip", "wei"),
                ("fee", "fee", "wei"),
                ("burnt", "burnt fee", "wei"),
                ("status", "status", "category"),
                ("transaction_type", "type", "category"),
                ("selector", "selector", "text"),
                ("input_size", "input size", "bytes"),
                ("logs", "log count", "number"),
                ("transfers", "token transfer count", "number"),
            ),
        ),
        Subject(
            "logs",
            "event log",
            _LOGS,
            "block_number, log_index",
            ("events",),
            _columns(
                *_PLACE,
                ("log_index", "log index", "number"),
                ("transaction_index", "transaction index", "number"),
                ("address", "contract", "address"),
                ("event", "event name", "text"),
                ("declared_in", "standard", "text"),
                ("topic0", "first topic", "text"),
                ("topics", "number of topics", "number", _TOPICS),
                ("from_address", "sender", "address"),
                ("to_address", "receiver", "address"),
                ("owner", "owner", "address"),
                ("spender", "spender", "address"),
                ("value", "amount", "token"),
                ("token_id", "token id", "number"),
            ),
        ),
        Subject(
            "transfers",
            "token transfer",
            "SELECT * FROM token_transfers",
            "block_number, log_index",
            ("transfers", "events"),
            _columns(
                *_PLACE,
                ("log_index", "log index", "number"),
                ("token_address", "token", "address"),
                ("from_address", "sender", "address"),
                ("to_address", "receiver", "address"),
                ("value", "amount", "token"),
                ("token_id", "token id", "number"),
            ),
        ),
        Subject(
            "blocks",
            "block",
            _BLOCKS,
            "block_number",
            ("header",),
            _columns(
                *_PLACE[:3],
                ("parent_hash", "parent hash", "text"),
                ("miner", "fee recipient", "address"),
                ("gas_limit", "gas limit", "gas"),
                ("gas_used", "gas used", "gas"),
                ("fullness", "fullness", "percent", "gas_used * 100.0 / gas_limit"),
                ("base_fee_per_gas", "base fee per gas", "gwei"),
                ("seconds", "Unix time in seconds", "number", "epoch(block_timestamp)::BIGINT"),
                ("size", "size", "bytes"),
                ("transaction_count", "transaction count", "number"),
                ("failed", "number of failed transactions", "number"),
                ("logs", "log count", "number"),
                ("transfers", "token transfer count", "number"),
                ("burnt", "burnt fees", "wei"),
                ("fees", "fees", "wei"),
                ("tips", "tips", "wei"),
                ("sent", "value sent", "wei"),
            ),
        ),
    )
}

TOKEN_COLUMN: Mapping[SubjectName, str] = {"transfers": "token_address", "logs": "address"}
"""Where the token of a row stands."""


def column_of(subject: SubjectName, name: str) -> Column | None:
    """The column of a subject by its name; a decoded argument is `args.NAME`, for logs only."""
    if subject == "logs" and (argument := ARGUMENT.fullmatch(name)):
        return Column(name, argument[1], "text", f"args->>'{argument[1]}'")
    return SUBJECTS[subject].columns.get(name)
