"""From a typed query to SQL over the library's views."""

from __future__ import annotations

from agent.onchain.columns import SUBJECTS, TOKEN_COLUMN, Column, SubjectName, column_of
from agent.onchain.query import All, Any, ChainQuery, Compare, Condition, Not, both
from index.tables import quoted


def condition(one: Condition, subject: SubjectName) -> str:
    """A condition on the rows of a subject; comparing an unknown value is false."""
    if isinstance(one, Compare):
        return f"coalesce({_comparison(one, subject)}, false)"
    if isinstance(one, Not):
        return f"NOT ({condition(one.negated, subject)})"
    if isinstance(one, All):
        return " AND ".join(f"({condition(part, subject)})" for part in one.all) or "true"
    if isinstance(one, Any):
        return " OR ".join(f"({condition(part, subject)})" for part in one.any) or "false"
    inner = f"SELECT transaction_hash FROM ({SUBJECTS[one.related].relation})"  # noqa: S608
    return f"transaction_hash IN ({inner} WHERE {condition(one.where, one.related)})"


def _comparison(one: Compare, subject: SubjectName) -> str:
    column = column_of(subject, one.column)
    if column is None:
        raise ValueError(f"{subject} have no column {one.column!r}")
    if one.operator == "known":
        return f"{column.sql} IS NOT NULL"
    if one.other is not None:
        other = column_of(subject, one.other)
        return f"{column.sql} {one.operator} {other.sql if other else 'NULL'}"
    values = [_literal(value, column) for value in one.values]
    if len(values) == 1:
        return f"{column.sql} {one.operator} {values[0]}"
    return f"{column.sql} IN ({', '.join(values)})"


def _literal(value: str, column: Column) -> str:
    if column.kind == "token" or column.name == "token_id":
        return f"'{value}'::BIGNUM"
    if column.kind == "time":
        return f"TIMESTAMPTZ {quoted(value)}"
    return value if column.numeric or value.isdecimal() else quoted(value)


def within(blocks: tuple[tuple[int, int], ...]) -> str:
    """The rows of some ranges of blocks."""
    some = [
        f"block_number = {first}" if first == last else f"block_number BETWEEN {first} AND {last}"
        for first, last in blocks
    ]
    return f"({' OR '.join(some)})" if some else "true"


def rows_of(query: ChainQuery, where: Condition | None = None) -> str:
    """FROM and WHERE of a query. where: instead of its own condition."""
    holds = condition(query.where if where is None else where, query.subject)
    return f"FROM ({SUBJECTS[query.subject].relation}) WHERE {within(query.blocks)} AND ({holds})"


def figure(query: ChainQuery) -> str:
    """One figure as `figure`, from how many rows as `found`, and by the token where amounts are of several.

    A mean is given as its sum and number, so that it is exact; a median as the sum of the values in the
    middle, and how many these are.
    """
    column = measured(query)
    if query.measure == "distinct":
        return f"SELECT count(DISTINCT {column}) AS figure, count({column}) AS found {rows_of(query)}"
    token = TOKEN_COLUMN.get(query.subject) if _of_tokens(query) else None
    names = (
        f", any_value(symbol) AS symbol, any_value(decimals) AS decimals, {token} AS token_address"
        if token
        else ""
    )
    group = f" GROUP BY {token} ORDER BY found DESC, {token}" if token else ""
    if query.measure == "median":
        return _median(query, column, token)
    if query.measure in ("sum", "mean", "share", "min", "max"):
        of = "sum" if query.measure in ("sum", "mean", "share") else query.measure
        return f"SELECT {of}({column}) AS figure, count({column}) AS found{names} {rows_of(query)}{group}"
    return f"SELECT count(*) AS figure, count(*) AS found {rows_of(query)}"


def _median(query: ChainQuery, column: str, token: str | None) -> str:
    part = f"PARTITION BY {token}" if token else ""
    names = f", symbol, decimals, {token} AS token_address" if token else ""
    inner = (
        f"SELECT {column} AS v, row_number() OVER ({part} ORDER BY {column}) AS place,"
        f" count(*) OVER ({part}) AS found{names} {rows_of(query)} AND {column} IS NOT NULL"
    )
    outer = ", any_value(symbol) AS symbol, any_value(decimals) AS decimals, token_address" if token else ""
    return (
        f"SELECT sum(v) AS figure, count(*) AS middle, any_value(found) AS found{outer} FROM ({inner})"  # noqa: S608
        f" WHERE place IN ((found + 1) // 2, (found + 2) // 2){' GROUP BY token_address' if token else ''}"
    )


def measured(query: ChainQuery) -> str:
    """The measured column in SQL, * where rows are counted."""
    column = column_of(query.subject, query.column) if query.column else None
    return column.sql if column else "*"


def _of_tokens(query: ChainQuery) -> bool:
    column = column_of(query.subject, query.column) if query.column else None
    return bool(column and column.kind == "token" and query.subject in TOKEN_COLUMN)


def counting(query: ChainQuery) -> str:
    """How many rows pass, and of how many."""
    of_all = f"(SELECT count(*) {rows_of(query, query.base)})"
    return f"SELECT (SELECT count(*) {rows_of(query)}) AS found, {of_all} AS of_all"


def by_block(query: ChainQuery) -> str:
    """How many rows pass in each block."""
    return f"SELECT block_number, count(*) AS n {rows_of(query)} GROUP BY ALL ORDER BY 1 LIMIT 6"


def listing(query: ChainQuery, limit: int, skip: int = 0) -> str:
    """The rows in their order: that of a column, the largest or smallest first, or that on the chain."""
    order = SUBJECTS[query.subject].order
    known = ""
    if query.order_by and (column := column_of(query.subject, query.order_by)):
        order = f"{column.sql} {'ASC' if query.order == 'least' else 'DESC'}, {order}"
        known = f" AND {column.sql} IS NOT NULL"
    elif query.order == "most":
        order = ", ".join(f"{one} DESC" for one in order.split(", "))
    return f"SELECT * {rows_of(query)}{known} ORDER BY {order} LIMIT {limit} OFFSET {skip}"


def grouping(query: ChainQuery, limit: int, skip: int = 0) -> str:
    """The values of a column as `named`, each with its figure; the best first, or in their own order."""
    group = column_of(query.subject, query.group or "")
    if group is None:
        raise ValueError(f"{query.subject} have no column {query.group!r}")
    order = {"most": "figure DESC, named", "least": "figure ASC, named", None: "named"}[query.order]
    if query.order is None and group.name not in ("block_number", "transaction_type", "status"):
        order = "figure DESC, named"
    having = f" HAVING figure {query.having.operator} {query.having.values[0]}" if query.having else ""
    return (
        f"SELECT {group.sql} AS named, {_grouped(query)} AS figure, count(*) AS found{_names(query)}"
        f" {rows_of(query)} AND {group.sql} IS NOT NULL GROUP BY {group.sql}{having}"
        f" ORDER BY {order} LIMIT {limit} OFFSET {skip}"
    )


def _grouped(query: ChainQuery) -> str:
    column = measured(query)
    of = {"sum": "sum", "mean": "sum", "min": "min", "max": "max", "median": "median"}.get(query.measure, "")
    if query.measure == "distinct":
        return f"count(DISTINCT {column})"
    return f"{of}({column})" if of and column != "*" else "count(*)"


def _names(query: ChainQuery) -> str:
    token = TOKEN_COLUMN.get(query.subject)
    if token is None:
        return ""
    return (
        f", any_value(symbol) AS symbol, any_value(decimals) AS decimals, count(DISTINCT {token}) AS tokens"
    )


def groups(query: ChainQuery) -> str:
    """How many values of a column there are that occur often enough."""
    return f"SELECT count(*) AS figure, count(*) AS found FROM ({grouping(query, 2**31)})"  # noqa: S608


def overlap(query: ChainQuery) -> str:
    """How many values of a column stand in both ranges of blocks, or in the first only."""
    first, last = (query.model_copy(update={"blocks": (one,)}) for one in query.blocks)
    column = measured(query)
    sets = [
        f"SELECT DISTINCT {column} AS named {rows_of(one)} AND {column} IS NOT NULL" for one in (first, last)
    ]
    word = "INTERSECT" if query.overlap == "both" else "EXCEPT"
    return (
        f"SELECT named, count(*) OVER () AS figure FROM ({sets[0]} {word} {sets[1]}) ORDER BY named LIMIT 12"  # noqa: S608
    )


def flows(query: ChainQuery, party: str) -> str:
    """What a party gave and received of each token."""
    of = quoted(party)
    return (
        "SELECT token_address, any_value(symbol) AS symbol, any_value(decimals) AS decimals,"
        f" coalesce(sum(value) FILTER (to_address = {of}), 0::BIGNUM)::VARCHAR AS received,"
        f" coalesce(sum(value) FILTER (from_address = {of}), 0::BIGNUM)::VARCHAR AS given"
        f" {rows_of(query)} AND {of} IN (from_address, to_address) AND from_address <> to_address"
        " GROUP BY token_address ORDER BY count(*) DESC, token_address"
    )


def narrowed(query: ChainQuery, *conditions: Condition) -> ChainQuery:
    """The same rows, as far as they pass more conditions."""
    return query.model_copy(update={"where": both(query.where, *conditions)})
