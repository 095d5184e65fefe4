"""A typed query in words, as the answer restates it: what was counted, of which rows, on which blocks."""

from __future__ import annotations

from collections.abc import Mapping

from agent.onchain.columns import SUBJECTS, TOKEN_COLUMN, Column, SubjectName, column_of
from agent.onchain.concepts import FUNCTIONS, UNLIMITED
from agent.onchain.query import Any, ChainQuery, Compare, Condition, Not, Related, conjuncts
from agent.onchain.rows import Unit, amount

Names = Mapping[str, tuple[str, int | None]]
"""Symbol and decimals of tokens, by address."""

_SIGNS = {"<": "less than", "<=": "at most", ">": "more than", ">=": "at least", "=": ""}
_VALUES = {("status", "0"): "failed", ("status", "1"): "success"}
_TYPES = {"0": "legacy", "1": "access list", "2": "EIP-1559", "3": "blob"}


def rows(query: ChainQuery, names: Names, where: Condition | None = None) -> str:
    """The rows that a query is about: `transactions of block 1 whose status is failed`."""
    said = condition(query.where if where is None else where, query.subject, names)
    noun = f"{SUBJECTS[query.subject].noun}s"
    place = f" {blocks(query)}" if query.subject == "blocks" and query.blocks else f" of {blocks(query)}"
    if query.subject == "blocks" and query.blocks:
        return f"{blocks(query)}{f' {said}' if said else ''}"
    return f"{noun}{place}{f' {said}' if said else ''}"


def blocks(query: ChainQuery) -> str:
    """The blocks of a query."""
    if not query.blocks:
        return "all blocks in the library"
    said = [f"{first}" if first == last else f"{first} to {last}" for first, last in query.blocks]
    several = len(said) > 1 or query.blocks[0][0] != query.blocks[0][1]
    return f"block{'s' if several else ''} {' and '.join(said)}"


def condition(one: Condition, subject: SubjectName, names: Names) -> str:
    """A condition as a clause after a noun, empty where everything passes."""
    return " and ".join(_clause(part, subject, names) for part in conjuncts(one))


def _clause(one: Condition, subject: SubjectName, names: Names) -> str:
    if isinstance(one, Compare):
        return f"whose {_comparison(one, subject, names, '')}"
    if isinstance(one, Not):
        return _negation(one.negated, subject, names)
    if isinstance(one, Related):
        return f"with {_related(one, names)}"
    if isinstance(one, Any):
        return f"either {' or '.join(_clause(part, subject, names) for part in one.any)}"
    return f"({condition(one, subject, names)})"


def _negation(inner: Condition, subject: SubjectName, names: Names) -> str:
    if isinstance(inner, Compare):
        return f"whose {_comparison(inner, subject, names, 'not ')}"
    if isinstance(inner, Related):
        return f"without {_related(inner, names)}"
    if isinstance(inner, Any):
        return " and ".join(_negation(part, subject, names) for part in inner.any)
    if isinstance(inner, Not):
        return _clause(inner.negated, subject, names)
    return f"not both ({condition(inner, subject, names)})"


def _related(one: Related, names: Names) -> str:
    said = condition(one.where, one.related, names)
    noun = f"{SUBJECTS[one.related].noun}s"
    return f"{noun} {said} in the same transaction" if said else f"{noun} in the same transaction"


def _comparison(one: Compare, subject: SubjectName, names: Names, negation: str) -> str:
    column = column_of(subject, one.column)
    if column is None:
        raise ValueError(f"{subject} have no column {one.column!r}")
    if one.operator == "known":
        return f"{column.noun} is {'unknown or none' if negation else 'known'}"
    sign = f"{_SIGNS[one.operator]} ".lstrip()
    if one.other is not None:
        other = column_of(subject, one.other)
        return f"{column.noun} is {negation}{sign or 'equal to '}its {other.noun if other else ''}"
    values = " or ".join(value(text, column, names) for text in one.values)
    return f"{column.noun} is {negation}{sign}{values}"


def value(text: str, column: Column, names: Names) -> str:
    """A value of a column in words."""
    if named := _VALUES.get((column.name, text)):
        return named
    if column.name == "transaction_type" and text in _TYPES:
        return f"{text} ({_TYPES[text]})"
    if column.name == "selector" and text in FUNCTIONS:
        return f"{text} ({FUNCTIONS[text]})"
    if column.kind == "token":
        return "unlimited" if text == UNLIMITED else f"{text} raw units"
    if column.kind in ("wei", "gwei"):
        return amount(int(text), Unit(18 if column.kind == "wei" else 9))
    if column.kind in ("gas", "bytes"):
        return f"{text} {column.kind}"
    if column.kind == "percent":
        return f"{text} per cent"
    symbol = names.get(text, ("", None))[0] if column.kind == "address" else ""
    return f"{text} ({symbol})" if symbol else text


def unit_of(column: Column) -> Unit | None:
    """The unit that a column's figures are told in; that of a token is its own."""
    return {
        "wei": Unit(18),
        "gwei": Unit(9),
        "gas": Unit(None, "gas"),
        "bytes": Unit(None, "bytes"),
        "percent": Unit(None, "per cent"),
    }.get(column.kind, Unit(None))


def figure(query: ChainQuery) -> str:
    """What is measured: `average gas used`, `number of different senders`."""
    column = column_of(query.subject, query.column) if query.column else None
    noun = column.noun if column else "rows"
    words = {
        "sum": f"total {noun}",
        "mean": f"average {noun}",
        "median": f"median {noun}",
        "min": f"smallest {noun}",
        "max": f"largest {noun}",
        "distinct": f"number of different {_plural(noun)}",
        "share": f"share of the total {noun}" if column else "share",
        "count": "number",
        "rows": noun,
    }
    return words[query.measure]


def _plural(noun: str) -> str:
    return f"{noun}es" if noun.endswith("s") else f"{noun}s"


def token_of(query: ChainQuery) -> tuple[str, ...]:
    """The addresses of the token that a query keeps to."""
    column = TOKEN_COLUMN.get(query.subject)
    for one in conjuncts(query.where):
        if isinstance(one, Compare) and one.column == column and one.operator == "=":
            return one.values
    return ()
