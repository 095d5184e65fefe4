"""Answers a question about a chain from the tables, or says that it is none that it can read."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from agent.answers.packing import PackingReport
from agent.answers.values import NOT_IN_LIBRARY, Answer, Citation, Sentence, Usage, identify
from agent.onchain import lexicon, sandbox
from agent.onchain.asked import Absent, Asked, Known, Reading
from agent.onchain.sandbox import Limits, Result
from agent.onchain.tell import Statement, cut, told
from agent.requests.budget import count_tokens
from index.errors import BudgetError, LibraryError
from index.values import Filters, Hit, Kind, SourceRef

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from index.library import Library

ANSWERED_BY = "sql"
"""Who answered, where figures were computed from the tables."""

SECONDS = 20.0
_UNREAD = 4
"""Words of a question that may be unknown where it names a block, a hash or an address."""


@dataclass(frozen=True, slots=True)
class Computed:
    """An answer from the tables. rest: the clauses of its question that ask for no rows."""

    answer: Answer
    rest: tuple[str, ...] = ()


def answered(
    library: object,
    question: str,
    budget: int,
    filters: Filters = Filters(),
    asked_at: datetime | None = None,
) -> Computed | None:
    """The answer computed from the tables; None where the question is not of this kind, or not understood.

    None also where it takes more than 20 seconds.

    Refused where it asks for blocks or hashes that the library does not hold. budget: tokens.
    Raises what the library raises.
    """
    if not lexicon.CUE.search(question) or (filters.kinds and Kind.EVENT not in filters.kinds):
        return None
    from index.library import Library

    if not isinstance(library, Library) or not library.events:
        return None
    started, asked_at = time.perf_counter(), asked_at or datetime.now(UTC)
    with library.sql() as connection:
        generation = library.generation
        if filters != Filters():
            from agent.onchain.sandbox_worker import narrow

            narrow(connection, filters, [one.uri for one in library.documents(filters)])
        stop = threading.Timer(SECONDS, connection.interrupt)
        stop.start()
        try:
            found = _statements(connection, question, generation, filters)
        finally:
            stop.cancel()
    if found is None:
        return None
    room = budget - count_tokens(question)
    sentences: tuple[Sentence, ...] = ()
    citations: tuple[Citation, ...] = ()
    reading = Reading(())
    if isinstance(found, Absent):
        text = f"{NOT_IN_LIBRARY[:-1]}: {found.why}."
    else:
        statements, reading = found
        kept = cut(statements, lambda text: count_tokens(text) * 3 // 2 <= room)
        if not kept:
            return None
        sentences, citations, text = _cited(library, kept)
    answer = Answer(
        id=identify(asked_at, question, text, citations),
        question=question,
        asked_at=asked_at,
        text=text,
        sentences=sentences,
        refused=isinstance(found, Absent),
        removed=(),
        citations=citations,
        nearest=(),
        filters=filters,
        generation=generation,
        packing=PackingReport(budget, count_tokens(question), 0, 0, ()),
        usage=Usage(count_tokens(question), count_tokens(text), round(time.perf_counter() - started, 3)),
        answered_by=ANSWERED_BY,
        notes=tuple(_left_out(reading)),
    )
    return Computed(answer, reading.rest)


def _left_out(reading: Reading) -> Iterator[str]:
    """What of a question the figures do not heed, in words for a person."""
    if words := dict.fromkeys(word for asked in reading.asked for word in asked.unread):
        yield f"words that were not understood, so that the figures do not heed them: {', '.join(words)}"
    for clause in reading.unread:
        yield f'not computed: "{clause}"'


def completed(computed: Computed, quote: Callable[[str, int], Answer]) -> Answer:
    """The answer from the tables, then what other sources say where the question asks for that too.

    quote: answers in quotations, one of so many. A clause that stands for itself is asked alone; if one goes
    back to the rows, the question is, with the names that they gave. What is not answered is noted.
    """
    rows = computed.answer
    if rows.refused:
        return rows
    asked = [clause for clause in computed.rest if not lexicon.ANAPHORA.search(clause)]
    notes: list[str] = []
    if len(asked) < max(len(computed.rest), bool(lexicon.ELSEWHERE.search(rows.question))):
        names = re.findall(r"\b(?!0x)[A-Z][\w-]+", " ".join(one.text for one in rows.sentences))
        asked.append(" ".join([rows.question, *dict.fromkeys(names)]))
    whole = rows
    for clause in asked:
        try:
            quoted = quote(clause, len(asked))
        except BudgetError:
            notes.append(f'not answered, for the budget is too small: "{clause}"')
            continue
        if not quoted.refused:
            whole = _joined(whole, quoted)
        elif clause in computed.rest:
            notes.append(f'not in the library: "{clause}"')
    return replace(whole, notes=(*whole.notes, *notes))


def _joined(rows: Answer, quoted: Answer) -> Answer:
    """One answer after another."""
    packings = rows.packing, quoted.packing
    after = len(rows.citations)
    citations = rows.citations + tuple(replace(one, number=one.number + after) for one in quoted.citations)
    sentences = rows.sentences + tuple(
        replace(one, citations=tuple(number + after for number in one.citations)) for one in quoted.sentences
    )
    text = "\n".join(one.text + "".join(f" [{mark}]" for mark in one.citations) for one in sentences)
    usage = replace(
        rows.usage,
        tokens_in=rows.usage.tokens_in + quoted.usage.tokens_in,
        tokens_out=rows.usage.tokens_out + quoted.usage.tokens_out,
        seconds=rows.usage.seconds + quoted.usage.seconds,
    )
    return replace(
        rows,
        id=identify(rows.asked_at, rows.question, text, citations),
        text=text,
        sentences=sentences,
        citations=citations,
        packing=replace(
            rows.packing,
            evidence=sum(one.evidence for one in packings),
            reserve=sum(one.reserve for one in packings),
            items=tuple(item for one in packings for item in one.items),
        ),
        usage=usage,
    )


def _statements(
    connection: DuckDBPyConnection, question: str, generation: int, filters: Filters
) -> tuple[list[Statement], Reading] | Absent | None:
    import duckdb

    from agent.onchain.grammar import read
    from agent.onchain.sandbox_worker import Refused, run

    limits = Limits()

    def ask(query: str) -> Result:
        reply = run(connection, query, limits.rows, 10**9)
        columns = tuple((name, kind) for name, kind in reply["columns"])
        rows = tuple(tuple(row) for row in reply["rows"])
        return Result(query, generation, columns, rows, reply["more"], filters)

    try:
        known = _known(connection)
        if known is None:
            return None
        reading = read(question, known, lambda one: _kind_of(connection, one))
        if reading is None or isinstance(reading, Absent):
            return reading
        if not _understood(reading.asked):
            return None
        if "block" not in question.lower() and _named_nowhere(connection, question):
            return None
        found = {one.text: one for asked in reading.asked for one in told(asked, ask)}
        return (list(found.values()), reading) if found else None
    except (Refused, duckdb.InterruptException):
        return None
    except duckdb.Error as error:
        raise LibraryError(
            f"the tables of events cannot be read ({str(error).splitlines()[0]}); `chaincite doctor` says"
            " what is damaged, and --kind paper --kind proposal asks without them"
        ) from error


def _understood(asked: Iterable[Asked]) -> bool:
    """Whether enough of the words were read: all, or most where blocks, hashes or addresses are named."""
    first = next(iter(asked))
    return not first.unread or (first.anchored and len(first.unread) <= _UNREAD)


def _known(connection: DuckDBPyConnection) -> Known | None:
    """What there is to name; None where there is nothing, or more than one chain."""
    spans = connection.execute(
        "SELECT chain, min(block_number), max(block_number) FROM (SELECT chain, block_number FROM blocks"
        " UNION ALL SELECT chain, block_number FROM transactions"
        " UNION ALL SELECT chain, block_number FROM events)"
        " GROUP BY chain"
    ).fetchall()
    if len(spans) != 1:
        return None
    chain, first, last = spans[0]
    symbols: dict[str, list[str]] = {}
    for symbol, address in connection.execute(
        "SELECT symbol, address FROM tokens WHERE symbol IS NOT NULL AND chain = ? ORDER BY ALL", [chain]
    ).fetchall():
        symbols.setdefault(symbol, []).append(address)
    return Known(
        chain=chain,
        first=first,
        last=last,
        symbols={symbol: tuple(some) for symbol, some in symbols.items()},
        tokens=_column(
            connection, "SELECT DISTINCT address FROM events WHERE event IN ('Transfer', 'Approval')"
        ),
        events=_column(connection, "SELECT DISTINCT event FROM events WHERE event IS NOT NULL"),
        declared=_column(connection, "SELECT DISTINCT declared_in FROM events WHERE event IS NOT NULL"),
    )


def _column(connection: DuckDBPyConnection, query: str) -> frozenset[str]:
    return frozenset(value for (value,) in connection.execute(query).fetchall())


def _named_nowhere(connection: DuckDBPyConnection, question: str) -> bool:
    """Whether the question names addresses, and none of them stands in a row."""
    addresses = re.findall(r"\b0x[0-9a-f]{40}\b", question.lower())
    columns = {
        "transactions": ("from_address", "to_address", "contract_address"),
        "events": ("address", "from_address", "to_address", "owner", "spender"),
        "token_transfers": ("from_address", "to_address"),
        "blocks": ("miner",),
    }
    return bool(addresses) and not any(
        connection.execute(
            f"SELECT 1 FROM {table} WHERE {' OR '.join(f'list_contains(?, {c})' for c in some)} LIMIT 1",  # noqa: S608
            [addresses] * len(some),
        ).fetchall()
        for table, some in columns.items()
    )


def _kind_of(connection: DuckDBPyConnection, value: str) -> str:
    for kind, table, column in (
        ("transaction", "transactions", "transaction_hash"),
        ("transaction", "events", "transaction_hash"),
        ("block", "blocks", "block_hash"),
        ("topic", "events", "topic0"),
    ):
        if connection.execute(f"SELECT 1 FROM {table} WHERE {column} = ? LIMIT 1", [value]).fetchall():  # noqa: S608
            return kind
    return ""


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
        hits = [hit for row in statement.rows for hit in _passages(library, row, statement.kinds)]
        if statement.result is not None or not hits:
            path = hits[0].document.path if hits else ""
            result = statement.result or statement.query
            hits += [result.hit(path)] if result is not None else []
        sentences.append(Sentence(statement.text, tuple(dict.fromkeys(map(number, hits)))))
    text = "\n".join(one.text + "".join(f" [{mark}]" for mark in one.citations) for one in sentences)
    return tuple(sentences), tuple(citations), text


def _passages(library: Library, row: dict[str, Any], kinds: tuple[str, ...]) -> list[Hit]:
    """The passage that tells a row, of the first kind of document that has it."""
    place = sandbox.position(row)
    for kind in kinds:
        if found := sandbox.passages_of(library, place, (kind,)):
            return found
    return []
