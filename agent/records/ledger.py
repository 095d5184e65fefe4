"""The ledger: a line for each call of a chat model, with its tokens, money, time and end.

It holds no words of questions or answers. The lines are files that DuckDB reads as they are, also while
they are being written: `SELECT * FROM 'ledger/*.jsonl'`.
"""

from __future__ import annotations

import logging
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

from agent.records.daily import Daily

By = Literal["user", "model", "day"]

CURRENCY = "USD"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a chat model, with all the requests that it took.

    time: when it began (UTC); thread, question: the conversation, and the question that it was made for.
    asked, answered: the model asked, and the one that the endpoint says answered.
    tokens_in, tokens_out: of all its requests; cached: how many of tokens_in the endpoint had cached.
    estimated: whether tokens were counted here because the endpoint did not report them.
    cost: in `currency`; None where the model's price is not known.
    first, seconds: seconds to the first token, and to the end; retries: requests after the first.
    finish: the finish reason; error: one word for what went wrong, empty where nothing did.
    """

    time: datetime
    user: str
    thread: str
    question: str
    asked: str
    answered: str
    tokens_in: int
    tokens_out: int
    cached: int
    estimated: bool
    cost: Decimal | None
    first: float | None
    seconds: float
    retries: int
    finish: str
    error: str
    currency: str = CURRENCY


@dataclass(frozen=True, slots=True)
class Total:
    """What the calls of one user, model or day came to.

    calls, failed: how many, and how many of them failed; cost: of those with a known price, in US dollars.
    unpriced: calls whose cost is not known; first, seconds: medians, in seconds.
    """

    name: str
    calls: int
    failed: int
    tokens_in: int
    tokens_out: int
    cached: int
    cost: Decimal
    unpriced: int
    first: float | None
    seconds: float


_TYPES = {
    "datetime": "TIMESTAMPTZ",
    "str": "VARCHAR",
    "int": "BIGINT",
    "bool": "BOOLEAN",
    "Decimal | None": "DECIMAL(18, 9)",
    "float | None": "DOUBLE",
    "float": "DOUBLE",
}
_COLUMNS = {field.name: _TYPES[str(field.type)] for field in fields(Call)}
_READ = f"""
    SELECT * FROM read_json(?, format = 'newline_delimited', ignore_errors = true, columns = {_COLUMNS})
    WHERE time IS NOT NULL
"""  # noqa: S608
_KEYS = {"user": '"user"', "model": "answered", "day": "strftime(time, '%Y-%m-%d')"}
_ORDER = {"user": "cost DESC, calls DESC, name", "model": "cost DESC, calls DESC, name", "day": "name"}


class Ledger:
    """The ledger of one library, in the library's folder `ledger`. days: how long a day's lines are kept."""

    def __init__(self, library: Path, days: int = 400) -> None:
        self._daily = Daily(library / "ledger", days)

    def record(self, call: Call) -> None:
        """Adds a line. A line that cannot be written is logged as a warning: the answer is worth more."""
        cost = None if call.cost is None else f"{call.cost:f}"
        row = asdict(call) | {"time": call.time.isoformat(), "cost": cost}
        try:
            self._daily.append(row, call.time.date())
        except OSError as error:
            _log.warning(
                "the ledger in %s cannot be written (%s); the call of %s is not in it",
                self._daily.folder,
                error.strerror,
                call.asked,
            )

    def rows(self) -> list[Call]:
        """Every call that is kept, oldest first."""
        return [Call(**row) for row in self._query("SELECT * FROM calls ORDER BY time")]

    def summary(self, by: By = "model") -> list[Total]:
        """The totals by user, by the model that answered, or by day (UTC)."""
        query = f"""
            SELECT {_KEYS[by]} AS name, count(*) AS calls, count(*) FILTER (error <> '') AS failed,
                   sum(tokens_in)::BIGINT AS tokens_in, sum(tokens_out)::BIGINT AS tokens_out,
                   sum(cached)::BIGINT AS cached, coalesce(sum(cost), 0) AS cost,
                   count(*) FILTER (cost IS NULL) AS unpriced,
                   median(first) AS first, median(seconds) AS seconds
            FROM calls GROUP BY ALL ORDER BY {_ORDER[by]}
        """  # noqa: S608
        return [Total(**row) for row in self._query(query)]

    def _query(self, query: str) -> list[dict[str, Any]]:
        """The rows of a query over `calls`, by column; lines that are no record are passed over."""
        import duckdb

        if not (files := [str(file) for file in self._daily.files()]):
            return []
        with duckdb.connect() as database:
            database.execute("SET TimeZone = 'UTC'")
            found = database.execute(f"WITH calls AS ({_READ}) {query}", [files])
            names = [column[0] for column in found.description or ()]
            return [dict(zip(names, row, strict=True)) for row in found.fetchall()]
