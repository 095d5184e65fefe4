"""A question about a chain as a typed query: subject, conditions, measure, grouping, order, comparison.

It is checked when it is made, and it is JSON: a parser of words makes it, and a chat model can.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator

from agent.onchain.columns import SUBJECTS, TOKEN_COLUMN, SubjectName, column_of

Operator = Literal["=", "<", "<=", ">", ">=", "known"]
"""`known`: the column has a value at all. What is unequal is the negation of what is equal."""

Aggregate = Literal["count", "distinct", "sum", "mean", "median", "min", "max", "share", "rows"]
"""share: the part, in per cent, of the rows that pass `base`, or of their sum; rows: the rows themselves."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Compare(_Frozen):
    """A comparison. values: any one of them; integers of any size, in raw units, as text. other: a column."""

    column: str
    operator: Operator = "="
    values: tuple[str, ...] = ()
    other: str | None = None


class Not(_Frozen):
    """What does not hold."""

    negated: Condition


class All(_Frozen):
    """What holds together."""

    all: tuple[Condition, ...]


class Any(_Frozen):
    """Of which one at least holds."""

    any: tuple[Condition, ...]


class Related(_Frozen):
    """Rows of another subject, in the same transaction, of which at least one passes."""

    related: SubjectName
    where: Condition


Condition = Annotated[Compare | Not | All | Any | Related, Field(union_mode="smart")]

EVERYTHING = All(all=())


class ChainQuery(_Frozen):
    """What is asked of a chain's tables.

    blocks: ranges of numbers, both ends included, none: all that the library holds; where: what rows must
    pass; base: what those that a share is of must pass; column: what is measured; group: a column whose
    values are measured apart; having: how often a value must occur to be counted; order, top, rank: the best
    groups or rows, from which place on; order_by: a column, or none for the order on the chain; compare: of
    two blocks, the first against the last; overlap: values found in both blocks, or only in the first of two.
    """

    subject: SubjectName
    blocks: tuple[tuple[int, int], ...] = ()
    where: Condition = EVERYTHING
    measure: Aggregate = "count"
    base: Condition = EVERYTHING
    column: str | None = None
    group: str | None = None
    having: Compare | None = None
    order: Literal["most", "least"] | None = None
    order_by: str | None = None
    top: int = Field(default=1, ge=1, le=20)
    rank: int = Field(default=1, ge=1, le=1000)
    compare: Literal["difference", "ratio", "which"] | None = None
    overlap: Literal["both", "only"] | None = None

    @model_validator(mode="after")
    def _checked(self) -> Self:
        for name in (self.column, self.group, self.order_by):
            if name is not None and column_of(self.subject, name) is None:
                raise ValueError(f"{self.subject} have no column {name!r}")
        for one in (self.where, self.base):
            _check(one, self.subject)
        self._check_measure()
        self._check_shape()
        if any(first > last for first, last in self.blocks):
            raise ValueError("a range of blocks ends before it begins")
        return self

    def _check_measure(self) -> None:
        measured = column_of(self.subject, self.column) if self.column else None
        if self.measure in ("sum", "mean", "median", "min", "max") and not (measured and measured.numeric):
            raise ValueError(f"a {self.measure} needs a column of numbers, not {self.column!r}")
        if self.measure == "share" and measured and not measured.numeric:
            raise ValueError(f"a share of {self.column!r} cannot be computed")
        if self.measure == "distinct" and measured is None:
            raise ValueError("distinct values need a column")
        if measured and measured.kind == "token" and self.measure == "share" and not self._one_token():
            raise ValueError("amounts of different tokens cannot be added up")

    def _check_shape(self) -> None:
        if self.compare and (self.overlap or self.group or self.measure == "rows"):
            raise ValueError("two blocks are compared by one figure")
        if self.overlap and self.measure != "distinct":
            raise ValueError("an overlap is one of distinct values")
        if self.having and not self.group:
            raise ValueError("`having` needs a group")

    def _one_token(self) -> bool:
        column = TOKEN_COLUMN.get(self.subject)
        return any(
            isinstance(one, Compare) and one.column == column and len(one.values) == 1
            for one in conjuncts(self.base)
        )


_FORM = """
Count, add up, rank or compare on-chain rows by a typed query; the answer restates how it was read.
query: {{subject, blocks: [[first, last]], where, measure, column, group, order: most|least, order_by, top,
 rank, base, having, compare: difference|ratio|which, overlap: both|only}}; all but subject may be left out.
measure: {measures}; share: per cent of the rows that pass base.
A condition is {{column, operator: =|<|<=|>|>=|known, values: ["text"]}} or {{column, operator, other:
 column}}, {{negated: condition}}, {{all: [conditions]}}, {{any: [conditions]}} or {{related: subject,
 where: condition}}, rows of the same transaction. Numbers are text in raw units; addresses and hashes
 are in lower case; logs also have args.NAME, their decoded arguments.
Subjects and columns:
{columns}
""".strip()


def described() -> str:
    """How a query is written, in words for a model."""
    columns = "\n".join(f"{one.name}: {', '.join(one.columns)}" for one in SUBJECTS.values())
    return _FORM.format(measures=", ".join(get_args(Aggregate)), columns=columns)


def _check(condition: Condition, subject: SubjectName) -> None:
    if isinstance(condition, Compare):
        _check_comparison(condition, subject)
    elif isinstance(condition, Related):
        if condition.related == subject or "blocks" in (condition.related, subject):
            raise ValueError(f"{subject} have no {condition.related} of the same transaction")
        _check(condition.where, condition.related)
    else:
        for one in parts(condition):
            _check(one, subject)


def _check_comparison(one: Compare, subject: SubjectName) -> None:
    column = column_of(subject, one.column)
    if column is None:
        raise ValueError(f"{subject} have no column {one.column!r}")
    if one.other is not None:
        other = column_of(subject, one.other)
        if other is None or other.kind != column.kind:
            raise ValueError(f"{one.column!r} cannot be compared with {one.other!r}")
    if (one.operator == "known") != (not one.values and one.other is None):
        raise ValueError(f"{one.column!r} is compared with nothing")
    if one.operator not in ("=", "known") and not (column.numeric or column.kind == "time"):
        raise ValueError(f"{one.column!r} has no order")
    if column.numeric and not all(_is_number(value) for value in one.values):
        raise ValueError(f"{one.column!r} is a number")
    if one.operator != "=" and len(one.values) > 1:
        raise ValueError(f"{one.operator} takes one value")


def _is_number(value: str) -> bool:
    whole, _, part = value.removeprefix("-").partition(".")
    return whole.isascii() and whole.isdigit() and (not part or (part.isascii() and part.isdigit()))


def parts(condition: Condition) -> tuple[Condition, ...]:
    """The conditions that one is made of, one level down."""
    if isinstance(condition, Not):
        return (condition.negated,)
    if isinstance(condition, All):
        return condition.all
    return condition.any if isinstance(condition, Any) else ()


def conjuncts(condition: Condition) -> Iterator[Condition]:
    """The conditions that must all hold."""
    if isinstance(condition, All):
        for one in condition.all:
            yield from conjuncts(one)
    else:
        yield condition


def both(*conditions: Condition) -> Condition:
    """All of some conditions, each once."""
    found = tuple(dict.fromkeys(part for one in conditions for part in conjuncts(one)))
    return found[0] if len(found) == 1 else All(all=found)
