"""What a question about a chain asks for: the values between its words and the SQL."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Aggregate = Literal[
    "count",
    "distinct",
    "sum",
    "max",
    "min",
    "average",
    "median",
    "change",
    "first",
    "last",
    "list",
    "net",
    "swap",
]


@dataclass(frozen=True, slots=True)
class Known:
    """What a library holds that a question may name.

    first, last: its blocks; symbols: addresses of tokens by symbol; tokens: those that were transferred;
    events: names of decoded events; declared: standards and protocols that declare them.
    """

    chain: str
    first: int
    last: int
    symbols: Mapping[str, tuple[str, ...]]
    tokens: frozenset[str]
    events: frozenset[str]
    declared: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Measure:
    """A column to add up or to order by. decimals: 18 for what is told in ETH, 9 for gwei; unit: else."""

    column: str
    name: str
    decimals: int | None = None
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Condition:
    """What must hold of a row, in SQL and in words that follow `which`. wide: it only says where to look."""

    sql: str
    said: str
    wide: bool = False


@dataclass(frozen=True, slots=True)
class Asked:
    """One thing that a question asks for.

    subject: a key of `compose.SUBJECTS`; group: the column whose values are compared or counted apart;
    top: how many of the best rows; share: whether a percentage is wanted; within: the period in words;
    party: an address whose gains are asked for; transaction: the one that is named; anchored: the question
    names blocks, hashes or addresses; unread: words that the grammar does not know.
    """

    subject: str
    aggregate: Aggregate
    conditions: tuple[Condition, ...] = ()
    measure: Measure | None = None
    group: str | None = None
    top: int = 1
    within: str = ""
    party: str | None = None
    transaction: str | None = None
    anchored: bool = False
    unread: tuple[str, ...] = ()
    share: bool = False


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read of a question.

    rest: its clauses that ask for something else, in its own words; unread: those that ask for more of the
    rows than is understood.
    """

    asked: tuple[Asked, ...]
    rest: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Absent:
    """The question asks for what the library does not hold. why: in words."""

    why: str
