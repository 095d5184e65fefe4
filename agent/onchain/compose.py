"""From what is asked to SQL: a relation for each subject, and the queries over it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from agent.onchain.asked import Asked, Measure


@dataclass(frozen=True, slots=True)
class Subject:
    """What rows are about. order: their order on the chain; kinds: documents that tell them, best first.

    giver, taker, about: the columns that an address may stand in, by its part.
    """

    noun: str
    relation: str
    order: str
    kinds: tuple[str, ...]
    giver: tuple[str, ...]
    taker: tuple[str, ...]
    about: tuple[str, ...]


_TRANSACTIONS = """
    SELECT t.*, b.base_fee_per_gas, t.effective_gas_price * t.gas_used AS fee, coalesce(e.logs, 0) AS logs,
           t.effective_gas_price - b.base_fee_per_gas AS tip_per_gas, k.symbol, e.contracts, e.most_from,
           (t.effective_gas_price - b.base_fee_per_gas) * t.gas_used AS tip, e.from_most,
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
"""
_LOGS = """
    SELECT e.*, k.symbol, k.decimals FROM events AS e
    LEFT JOIN tokens AS k ON k.chain = e.chain AND k.address = e.address
"""
_BLOCKS = """
    SELECT b.*, b.base_fee_per_gas * b.gas_used AS burnt, t.tips, t.fees, t.sent, t.failed, t.found,
           NULL::VARCHAR AS transaction_hash
    FROM blocks AS b LEFT JOIN (
        SELECT t.chain, t.block_hash, sum(t.effective_gas_price * t.gas_used) AS fees, sum(t.value) AS sent,
               sum((t.effective_gas_price - b.base_fee_per_gas) * t.gas_used) AS tips, count(*) AS found,
               count(*) FILTER (t.status = 0) AS failed
        FROM transactions AS t JOIN blocks AS b USING (chain, block_number, block_hash) GROUP BY ALL
    ) AS t USING (chain, block_hash)
"""
_IN_BLOCK = "block_number, transaction_index"
_IN_LOGS = "block_number, log_index"

TOKEN_COLUMNS: Mapping[str, str] = {"transfers": "token_address", "approvals": "address", "logs": "address"}
"""Where the token of a row stands."""

SUBJECTS: Mapping[str, Subject] = {
    "transactions": Subject(
        "transaction",
        _TRANSACTIONS,
        _IN_BLOCK,
        ("transaction",),
        ("from_address",),
        ("to_address",),
        ("from_address", "to_address", "contract_address"),
    ),
    "transfers": Subject(
        "token transfer",
        "SELECT * FROM token_transfers",
        _IN_LOGS,
        ("transfers", "events"),
        ("from_address",),
        ("to_address",),
        ("from_address", "to_address"),
    ),
    "approvals": Subject(
        "approval",
        f"{_LOGS} WHERE e.event = 'Approval' AND e.value IS NOT NULL",
        _IN_LOGS,
        ("events",),
        ("owner",),
        ("spender",),
        ("owner", "spender", "address"),
    ),
    "logs": Subject("event log", _LOGS, _IN_LOGS, ("events",), ("address",), ("address",), ("address",)),
    "blocks": Subject("block", _BLOCKS, "block_number", ("header",), ("miner",), ("miner",), ("miner",)),
}


def _from(asked: Asked, wide: bool = False) -> str:
    subject = SUBJECTS[asked.subject]
    where = [c.sql for c in asked.conditions if c.wide or not wide]
    return f"FROM ({subject.relation}) WHERE {' AND '.join(f'({one})' for one in where) or 'true'}"


def counting(asked: Asked) -> str:
    """Counts the rows, and those of the whole period."""
    everything = f"(SELECT count(*) {_from(asked, wide=True)})"
    return f"SELECT (SELECT count(*) {_from(asked)}) AS found, {everything} AS of_all"


def by_block(asked: Asked) -> str:
    """Counts the rows in each block."""
    grouped = "GROUP BY block_number ORDER BY block_number LIMIT 6"
    return f"SELECT block_number, count(*) AS n {_from(asked)} {grouped}"


def distinct(asked: Asked) -> str:
    """Counts the values of a column."""
    return f"SELECT count(DISTINCT {asked.group}) AS found, count(*) AS rows {_from(asked)}"


def adding(asked: Asked, measure: Measure) -> str:
    """Adds a column up, by token where rows are of several."""
    column = TOKEN_COLUMNS.get(asked.subject)
    named = (
        f", any_value(symbol) AS symbol, any_value(decimals) AS decimals, {column} AS token_address"
        if column
        else ""
    )
    grouped = f"GROUP BY {column} ORDER BY rows DESC, {column}" if column else ""
    total = f"sum({measure.column}) AS total, count({measure.column}) AS rows"
    return f"SELECT {total}{named} {_from(asked)} {grouped}"


def middle(asked: Asked, measure: Measure) -> str:
    """The sum and number of the one or two values in the middle, and how many there are in all."""
    column = TOKEN_COLUMNS.get(asked.subject)
    token = f"symbol, decimals, {column} AS token_address" if column else "0 AS decimals"
    ordered = (
        f"SELECT {measure.column} AS v, row_number() OVER (ORDER BY {measure.column}) AS place,"
        f" count(*) OVER () AS found, {token} {_from(asked)} AND {measure.column} IS NOT NULL"
    )
    named = "any_value(COLUMNS(* EXCLUDE (v, place)))"
    middling = "place IN ((found + 1) // 2, (found + 2) // 2)"
    return f"SELECT sum(v) AS total, count(*) AS rows, {named} FROM ({ordered}) WHERE {middling}"  # noqa: S608


def ranking(asked: Asked, measure: Measure) -> str:
    """The rows with the most or the least of a column."""
    falling = "DESC" if asked.aggregate == "max" else "ASC"
    order = SUBJECTS[asked.subject].order
    return (
        f"SELECT * {_from(asked)} AND {measure.column} IS NOT NULL"
        f" ORDER BY {measure.column} {falling}, {order} LIMIT {asked.top + 4}"
    )


def listing(asked: Asked, limit: int) -> str:
    """The first or last rows in the order of the chain."""
    order = SUBJECTS[asked.subject].order
    if asked.aggregate == "last":
        order = ", ".join(f"{column} DESC" for column in order.split(", "))
    return f"SELECT * {_from(asked)} ORDER BY {order} LIMIT {limit}"


def grouping(asked: Asked, limit: int) -> str:
    """The values of a column with most rows, or with the greatest sum of a measure; ties in their order."""
    value = f"sum({asked.measure.column})" if asked.measure else "count(*)"
    column = TOKEN_COLUMNS.get(asked.subject)
    symbol = (
        ", any_value(symbol) AS symbol" if asked.group in (column, "to_address" if not column else "") else ""
    )
    unit = f", any_value(symbol) AS unit, any_value(decimals) AS decimals, count(DISTINCT {column}) AS tokens"
    falling = "ASC" if asked.aggregate == "min" else "DESC"
    columns = f"{asked.group} AS named, {value} AS amount, count(*) AS rows{symbol}{unit if column else ''}"
    return (
        f"SELECT {columns} {_from(asked)} AND {asked.group} IS NOT NULL GROUP BY {asked.group}"
        f" ORDER BY amount {falling}, named LIMIT {limit}"
    )


def flows(asked: Asked) -> str:
    """What a party gave and received of each token."""
    party = f"'{asked.party}'"
    return (
        "SELECT token_address, any_value(symbol) AS symbol, any_value(decimals) AS decimals,"
        f" coalesce(sum(value) FILTER (to_address = {party}), 0::BIGNUM)::VARCHAR AS received,"
        f" coalesce(sum(value) FILTER (from_address = {party}), 0::BIGNUM)::VARCHAR AS given"
        f" {_from(asked)} AND {party} IN (from_address, to_address) AND from_address <> to_address"
        " GROUP BY token_address ORDER BY count(*) DESC, token_address"
    )


def unwrapping(asked: Asked) -> str:
    """How much WETH a transaction turned into ETH."""
    return (
        f"SELECT sum(value) AS total FROM events WHERE transaction_hash = '{asked.transaction}'"  # noqa: S608
        " AND event = 'Withdrawal' AND declared_in = 'WETH'"
    )
