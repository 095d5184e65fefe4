"""SQL over a library's tables, for people and models: one SELECT, bounded in time, memory, rows and text.

The query runs in a process of its own over a locked, read-only connection. Integers are exact: those of
more than 64 bits are text. A result is a source like any other: its text can be quoted, and the query run
again to verify it.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from index.errors import LibraryError, SettingsError, SourceError
from index.values import Document, Filters, Hit, Kind, Passage, Position, Reading, SourceRef

if TYPE_CHECKING:
    from index.library import Library

SCHEME = "sql:"
"""How the uri of a query begins; its sha256 follows."""

_ENVIRONMENT = ("PATH", "HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "TMPDIR", "TEMP", "TMP", "SYSTEMROOT")
"""All that the query's process knows of the environment: no keys, no settings."""

_RULES = """token_transfers(chain, block_number, block_hash, block_timestamp, transaction_hash, log_index,
 token_address, from_address, to_address, value, token_id, symbol, decimals, amount)
DESCRIBE events says the types. Hashes and addresses are lower-case text. Amounts are exact, in raw units;
units(value, decimals) writes them as decimals. * and / and avg make a float of value: cast it to HUGEINT.
Select chain, block_number, block_hash, transaction_hash and log_index so that a row can be cited."""

MOST_CITED = 20
"""Rows of one result that are looked up as passages."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one query may take. characters: of its rows as JSON; megabytes: of memory."""

    rows: int = 100
    characters: int = 12_000
    seconds: float = 15.0
    megabytes: int = 1024


@dataclass(frozen=True, slots=True)
class Result:
    """What a query gave. columns: names and types; more: whether rows were left out by a limit."""

    sql: str
    generation: int
    columns: tuple[tuple[str, str], ...]
    rows: tuple[tuple[Any, ...], ...]
    more: bool
    filters: Filters = Filters()

    @property
    def text(self) -> str:
        """The rows in words, a line each: `symbol: USDT; total: 600321880000`."""
        names = [name for name, _ in self.columns]
        lines = [
            "; ".join(f"{name}: {_shown(value)}" for name, value in zip(names, row, strict=True))
            for row in self.rows
        ]
        return "".join(f"{line}\n" for line in lines) or "no rows\n"

    @property
    def inexact(self) -> tuple[str, ...]:
        """The columns that hold floating point, which is not exact."""
        return tuple(name for name, kind in self.columns if kind in ("DOUBLE", "FLOAT"))

    def records(self) -> list[dict[str, Any]]:
        """The rows as objects; of columns of one name the last counts."""
        return [dict(zip([name for name, _ in self.columns], row, strict=True)) for row in self.rows]

    def csv(self) -> str:
        """The rows as CSV (RFC 4180) with a header."""
        out = io.StringIO()
        rows = csv.writer(out)
        rows.writerow([name for name, _ in self.columns])
        rows.writerows([["" if v is None else _shown(v) for v in row] for row in self.rows])
        return out.getvalue()

    def hit(self, path: str = "") -> Hit:
        """The result as a source: a document whose text is the rows, and whose location is the query.

        path: the file that the rows come from, where it is one.
        """
        return as_hit(self.sql, self.text, self.generation, path)


def as_hit(sql: str, text: str, generation: int, path: str = "") -> Hit:
    """What a query gave as a document of one passage. generation: that of the library it was run on."""
    digest = hashlib.sha256(text.encode()).hexdigest()
    uri = SCHEME + hashlib.sha256(sql.encode()).hexdigest()
    document = Document(
        uri=uri,
        kind=Kind.EVENT,
        title=f"SQL over generation {generation}",
        sha256=digest,
        size=len(text.encode()),
        media_type="text/plain",
        path=path or uri[: len(SCHEME) + 12],
        location=sql,
        retrieved_at=datetime.now(UTC),
    )
    return Hit(document, Passage(uri, digest, 0, 0, len(text), text, document.title), 1.0)


def described() -> str:
    """What a model is told of the tables: names of columns, and what it must know of their values."""
    from index.events import SCHEMAS

    hidden = {"orphaned_at", "path", "location", "retrieved_at", "finality"}
    lines = [
        f"{name}({', '.join(column for column in schema.names if column not in hidden)})"
        for name, schema in SCHEMAS.items()
        if name != "transfers"
    ]
    return "\n".join(
        [
            "Ask the tables of on-chain events in SQL. Counts and sums of events come from here.",
            *lines,
            _RULES,
        ]
    )


def query(library: Library, sql: str, filters: Filters = Filters(), limits: Limits = Limits()) -> Result:
    """Runs one SELECT over what passes the filters.

    Raises SettingsError for what is no SELECT over the library's tables, for a query that DuckDB does not
    understand, and for one that takes too long or too much; LibraryError where the tables cannot be opened.
    """
    if filters.kinds and Kind.EVENT not in filters.kinds:
        raise SettingsError(
            f"SQL reads on-chain events, but only these may be seen: {', '.join(filters.kinds)}"
        )
    request = {
        "library": str(library.folder.resolve()),
        "embedder": library.embedder_name,
        "sql": sql,
        "filters": asdict(filters),
        **asdict(limits),
    }
    reply = _reply(request, limits)
    if "fault" in reply:
        raise LibraryError(reply["fault"])
    if "refused" in reply:
        raise SettingsError(f"the query was refused: {reply['refused']}")
    return Result(
        sql=sql,
        generation=reply["generation"],
        columns=tuple((name, kind) for name, kind in reply["columns"]),
        rows=tuple(tuple(row) for row in reply["rows"]),
        more=reply["more"],
        filters=filters,
    )


def _reply(request: dict[str, Any], limits: Limits) -> dict[str, Any]:
    kept = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
    try:
        ran = subprocess.run(
            [sys.executable, "-P", "-m", "agent.onchain.sandbox_worker"],
            input=json.dumps(request, default=str).encode("utf-8", "backslashreplace"),
            capture_output=True,
            timeout=limits.seconds,
            env={**kept, "PYTHONPATH": str(Path(__file__).parents[1])},
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise SettingsError(
            f"the query took more than {limits.seconds:g} seconds and was stopped; read fewer rows, as with"
            " WHERE block_number BETWEEN"
        ) from None
    try:
        reply: dict[str, Any] = json.loads(ran.stdout)
    except ValueError:
        raise SettingsError(
            "the query was stopped: it took more memory than it may; read fewer rows or columns"
        ) from None
    return reply


def row_hits(library: Library, result: Result) -> list[Hit]:
    """The passages that tell the rows of a result, as far as they name a block, transaction or log."""
    hits: dict[str, Hit] = {}
    for record in result.records()[:MOST_CITED]:
        if isinstance(record.get("chain"), str) and isinstance(record.get("block_number"), int):
            for hit in passages_of(library, position(record)):
                hits.setdefault(hit.passage.id, hit)
    return list(hits.values())


def position(record: dict[str, Any]) -> Position:
    """Where a row that names its chain, block, and perhaps transaction and log, happened."""
    return Position(
        record["chain"],
        record["block_number"],
        record.get("block_hash") or "",
        record.get("transaction_hash"),
        record.get("log_index") if record.get("transaction_hash") else None,
    )


def passages_of(library: Library, place: Position, kinds: tuple[str, ...] = ()) -> list[Hit]:
    """The passages that tell what happened at a place.

    kinds: the sorts of documents looked in: transaction, transfers, events, header; none given: the ones
    that hold the place itself.
    """
    if not kinds:
        whole = ("transaction",) if place.transaction_hash else ("header",)
        kinds = ("transfers", "events") if place.log_index is not None else whole
    found = []
    for kind in kinds:
        uri = f"{place.uri}/{kind}"
        there = library.passages(uri)
        wanted = [p for p in there if place.log_index is None or Position.of(uri, p.heading) == place]
        document = library.document(uri)
        if wanted and document:
            found += [Hit(document, passage, 1.0) for passage in wanted[:1]]
    return found


def rereading(
    library: Callable[[], Library], reread: Callable[[SourceRef], Reading]
) -> Callable[[SourceRef], Reading]:
    """Reads sources again as `reread` does, and queries by running them again on the library as it is now."""

    def read(source: SourceRef) -> Reading:
        if not source.uri.startswith(SCHEME):
            return reread(source)
        try:
            hit = query(library(), source.location).hit(source.path)
        except SettingsError as error:
            raise SourceError(f"cannot be asked again: {error}") from None
        return Reading(replace(hit.document, uri=source.uri), hit.passage.text, ())

    return read


def _shown(value: Any) -> str:
    if value is None:
        return "null"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
