"""Answers a question about a chain from the tables, or says that it is none that it can read."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agent.answers.packing import PackingReport
from agent.answers.question import Question
from agent.answers.values import NOT_IN_LIBRARY, Citation, Draft, Sentence, Usage
from agent.onchain import known as tables
from agent.onchain import sandbox
from agent.onchain.clauses import GENERAL
from agent.onchain.flows import Statement
from agent.onchain.lexer import Known, Token, tokens
from agent.onchain.parser import Reading, read
from agent.onchain.query import ChainQuery
from agent.onchain.report import cut, told
from agent.onchain.sandbox import Limits, Result
from agent.onchain.terms import Declined
from agent.requests.budget import count_tokens
from index.errors import LibraryError, SettingsError
from index.values import Filters, Hit, Kind, SourceRef

if TYPE_CHECKING:
    import duckdb
    from duckdb import DuckDBPyConnection

    from index.library import Library

ANSWERED_BY = "sql"
"""Who answered, where figures were computed from the tables."""

SECONDS = 20.0

CUE = re.compile(
    r"\b0x[0-9a-fA-F]{40}(?:[0-9a-fA-F]{24})?\b|\d{6}|block|transac|\btxn?s?\b|transfer|approv|\blogs?\b|event"
    r"|swap|gas|base ?fee|\bfees?\b|\btips?\b|sender|mint|deploy|contract|wrap|\beth\b|\bsent\b|selector"
    r"|spender|\btokens?\b",
    re.IGNORECASE,
)
"""What a question must hold to be looked at here at all; a cheap test."""

NAMED_HASH = re.compile(
    r"\b(?:transactions?|txn?s?|block|logs?|events?|hash)\s+(?:with hash\s+|hash\s+)?0x", re.IGNORECASE
)
"""A hash that the question itself calls one of a chain's."""

_ROWS = re.compile(r"^\s*(?:list|show|any|were|was|did)\b", re.IGNORECASE)

_PAST = re.compile(r"\b(?:was|were|did|been|had)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Found:
    statements: list[Statement]
    reading: Reading


@dataclass(frozen=True, slots=True)
class _Refused:
    why: str


def drafted(library: object, question: Question) -> Draft | None:
    """The answer computed from the tables; None where the question is not about them.

    Its `rest` are the clauses that ask for no rows. Refused where it is about them, but is not understood as
    a whole, or asks for what they do not hold. Raises what the library raises.
    """
    filters = question.filters
    if not CUE.search(question.read_as) or (filters.kinds and Kind.EVENT not in filters.kinds):
        return None
    from index.library import Library

    if not isinstance(library, Library) or not library.events:
        return None
    started = time.perf_counter()
    with _tables(library, filters) as (connection, ask):
        found = _statements(connection, question.read_as, ask)
    if found is None:
        return None
    room = question.budget - count_tokens(question.read_as)
    sentences: tuple[Sentence, ...] = ()
    citations: tuple[Citation, ...] = ()
    rest: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    if isinstance(found, _Refused):
        text = f"{NOT_IN_LIBRARY[:-1]}: {found.why}."
    else:
        kept = cut(found.statements, lambda text: count_tokens(text) * 3 // 2 <= room)
        if not kept:
            return None
        sentences, citations, text = _cited(library, kept)
        rest = found.reading.rest
        notes = tuple(f'"{word}" was read as "{read_as}"' for word, read_as in found.reading.corrected)
    return Draft(
        text=text,
        sentences=sentences,
        citations=citations,
        packing=PackingReport(question.budget, count_tokens(question.read_as), 0, 0, ()),
        answered_by=ANSWERED_BY,
        refused=isinstance(found, _Refused),
        notes=notes,
        usage=Usage(
            count_tokens(question.read_as), count_tokens(text), round(time.perf_counter() - started, 3)
        ),
        rest=rest,
    )


def figures(library: Library, query: ChainQuery, filters: Filters = Filters()) -> list[tuple[str, list[Hit]]]:
    """What a query finds, in sentences that restate it, each with its figures and the passages it rests on.

    Raises SettingsError where the library holds no rows, or those of several chains, and for a query that the
    tables refuse or that takes too long; and what the library raises.
    """
    import duckdb

    from agent.onchain.sandbox_worker import Refused

    with _tables(library, filters) as (connection, ask):
        chains = _chains(connection)
        known = tables.known(connection, chains)
        if known is None:
            raise SettingsError("the library holds no rows of a chain; `chaincite ingest chain` reads some")
        if len(chains) > 1:
            raise SettingsError(_several(chains))
        try:
            found = told(query, tables.names(known), ask)
        except (Refused, duckdb.InterruptException) as error:
            raise SettingsError(f"the query was not answered ({error}); ask for less") from None
        except duckdb.Error as error:
            raise _damaged(error) from error
    return [(one.text, [*_query_of(one), *_rests_on(library, one)]) for one in found]


@contextmanager
def _tables(
    library: Library, filters: Filters
) -> Iterator[tuple[DuckDBPyConnection, Callable[[str], Result]]]:
    """The tables that pass the filters, and what runs a query over them; stopped after `SECONDS`."""
    from agent.onchain.sandbox_worker import narrow, run

    with library.sql() as connection:
        generation = library.generation
        if filters != Filters():
            narrow(connection, filters, [one.uri for one in library.documents(filters)])

        def ask(query: str) -> Result:
            reply = run(connection, query, Limits().rows, 10**9)
            columns = tuple((name, kind) for name, kind in reply["columns"])
            rows = tuple(tuple(row) for row in reply["rows"])
            return Result(query, generation, columns, rows, reply["more"], filters)

        stop = threading.Timer(SECONDS, connection.interrupt)
        stop.start()
        try:
            yield connection, ask
        finally:
            stop.cancel()


def _chains(connection: DuckDBPyConnection) -> list[str]:
    return [
        chain for (chain,) in connection.execute("SELECT DISTINCT chain FROM blocks ORDER BY 1").fetchall()
    ]


def _several(chains: list[str]) -> str:
    return f"the library holds {' and '.join(chains)}; say which by the filter on chains"


def _damaged(error: duckdb.Error) -> LibraryError:
    return LibraryError(
        f"the tables of events cannot be read ({str(error).splitlines()[0]}); `chaincite doctor` says"
        " what is damaged, and --kind paper --kind proposal asks without them"
    )


def _statements(
    connection: DuckDBPyConnection, question: str, ask: Callable[[str], Result]
) -> _Found | _Refused | None:
    import duckdb

    from agent.onchain.sandbox_worker import Refused

    try:
        chains = _chains(connection)
        known = tables.known(connection, chains)
        anchored = known is not None and _anchored(connection, question, known)
        if known is None or (not anchored and GENERAL.search(question)):
            return None
        try:
            reading = read(question, known, lambda one: tables.kind_of(connection, one))
        except Declined as fault:
            return (
                _Refused(str(fault)) if anchored or _about_rows(tokens(question, known), question) else None
            )
        if reading is None or not (anchored or _complete(reading, question, known)):
            return None
        if len(chains) > 1:
            return _Refused(_several(chains))
        names = tables.names(known)
        found = [
            statement
            for one in reading.queries
            for statement in told(one.query, names, ask, one.party, one.swap)
        ]
        kept = {one.text: one for one in found}
        return _Found(list(kept.values()), reading) if kept else None
    except (Refused, duckdb.InterruptException):
        return None
    except duckdb.Error as error:
        raise _damaged(error) from error


def _about_rows(found: list[Token], question: str) -> bool:
    """Whether a question that names no place on a chain is about its rows: how many there were."""
    unknown = [one for one in found if not one.kinds]
    rows = any(
        one.value("subject") in ("transactions", "logs", "transfers") or "token_value" in one.kinds
        or "events_value" in one.kinds
        or "ether" in one.kinds.values()
        for one in found
    )  # fmt: skip
    past = bool(_PAST.search(question))
    plain = not unknown and not any("beyond" in one.kinds for one in found)
    measured = _measures(found)
    return rows and ((plain and (measured or past)) or (measured and past and len(unknown) <= 3))


def _measures(found: list[Token]) -> bool:
    """Whether the words ask for a figure."""
    return any(
        kind in one.kinds
        for one in found
        for kind in ("quantity", "aggregate", "superlative", "share", "distinct", "difference", "net")
    )


def _complete(reading: Reading, question: str, known: Known) -> bool:
    """Whether a question that names no place on a chain asks its rows alone, and for a figure."""
    found = tokens(question, known)
    scoped = any("scope" in one.kinds for one in found)
    named = any((one.value("address_value") or "") not in {"", *known.decimals} for one in found)
    return not reading.rest and not named and (scoped or _measures(found) or bool(_ROWS.search(question)))


def _anchored(connection: DuckDBPyConnection, question: str, known: Known) -> bool:
    """Whether a question names blocks, or hashes or addresses that stand in the tables."""
    numbers = [
        n
        for one in tokens(question, known)
        if one.kinds.get("scope") == ""
        for span in one.blocks
        for n in span
    ]
    if any(known.first <= n <= known.last or n >= known.first // 10 for n in numbers):
        return True
    hashes = re.findall(r"\b0x[0-9a-f]{64}\b", question.lower())
    return (
        any(tables.kind_of(connection, one) for one in hashes)
        or bool(hashes and NAMED_HASH.search(question))
        or tables.stands(connection, question)
    )


def _cited(
    library: Library, statements: list[Statement]
) -> tuple[tuple[Sentence, ...], tuple[Citation, ...], str]:
    """The sentences with numbers, and what the numbers stand for; a passage or a query has one number."""
    numbers: dict[str, int] = {}
    citations: list[Citation] = []
    sentences = []

    def number(hit: Hit) -> int:
        name = hit.passage.id
        if name not in numbers:
            numbers[name] = len(numbers) + 1
            quote = hit.passage.text.rstrip("\n")
            start = hit.passage.start
            source = SourceRef.of(hit.document, hit.passage)
            citations.append(Citation(numbers[name], source, quote, start, start + len(quote)))
        return numbers[name]

    for statement in statements:
        numbered = tuple(dict.fromkeys(map(number, _rests_on(library, statement))))
        sentences.append(Sentence(statement.text, numbered, "computed"))
    text = "\n".join(one.text + "".join(f" [{mark}]" for mark in one.citations) for one in sentences)
    return tuple(sentences), tuple(citations), text


def _rests_on(library: Library, statement: Statement) -> list[Hit]:
    """The passages that tell its rows; and its query, where they are not all, or nothing tells them."""
    hits = [hit for row in statement.rows for hit in _passages(library, row, statement.kinds)]
    if statement.result is not None or not hits:
        path = hits[0].document.path if hits else ""
        result = statement.result or statement.query
        hits += [result.hit(path)] if result is not None else []
    return hits


def _query_of(statement: Statement) -> list[Hit]:
    """The query whose rows hold the statement's figures."""
    result = statement.result or statement.query
    return [result.hit()] if result is not None else []


def _passages(library: Library, row: dict[str, Any], kinds: tuple[str, ...]) -> list[Hit]:
    """The passage that tells a row, of the first kind of document that has it."""
    place = sandbox.position(row)
    for kind in kinds:
        if found := sandbox.passages_of(library, place, (kind,)):
            return found
    return []
