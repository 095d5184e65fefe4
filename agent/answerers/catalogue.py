"""Answers questions about the metadata of documents from the tables, cited by their header lines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING

from agent.answerers.catalogue_citations import CitedLines
from agent.answerers.catalogue_names import near
from agent.answerers.catalogue_parser import may_ask, parse
from agent.answerers.catalogue_query import CatalogueQuery, Condition, Field, Test, negated, tests
from agent.answerers.catalogue_records import Record, Records, records_of, same_number
from agent.answerers.catalogue_topic import about
from agent.answerers.catalogue_wording import (
    counted,
    entry,
    headline,
    listed,
    nothing_stated,
    only_ercs,
    predicate,
    series_of,
)
from agent.answers.packing import PackingReport
from agent.answers.question import Question
from agent.answers.values import Draft, Sentence
from agent.requests.budget import count_tokens

if TYPE_CHECKING:
    from index.library import Library

ANSWERED_BY = "catalogue"
"""Who answered, where metadata did."""

MOST = 25
"""Documents that a list shows."""

_BRIEF = 10
"""Documents that a count or a report of changes shows."""

_EXAMPLES = 3
"""Documents that a statement on many is cited by, and that stand for a series."""

_TOKENS = 60
"""Tokens of the budget that a document in a list may take."""

_SEARCHED = 30
"""Passages that a question without a name is looked up in."""

_INVERSE: dict[str, Field] = {
    "required by": "requires",
    "replaces": "replaced by",
    "replaced by": "replaces",
}


def answer(library: Library, question: Question) -> Draft | None:
    """The answer from metadata; None where a question asks for none, or for more, or is not understood.

    Refused where no document meets what is asked. Raises what the library raises.
    """
    today = question.asked_at.date()
    if not (may_ask(question.read_as, today) or (question.before and may_ask(question.before, today))):
        return None
    records = records_of(library, question.filters)
    query = parse(question.read_as, records, today, lambda: _subject(library, question), question.before)
    return _Writer(library, question, records).write(query) if query else None


def _subject(library: Library, question: Question) -> tuple[str, ...]:
    """What `it` stands for: the document that the question before named.

    Where it named none, the only one that search finds for it, or the one on which most of those build.
    """
    if question.context.documents or not question.before:
        return question.context.documents[:1]
    hits = library.search(question.before, _SEARCHED, question.filters)
    found = {hit.document.uri: hit.document for hit in hits}
    required = Counter(same_number(one) for document in found.values() for one in document.requires)
    counts = {uri: required[same_number(one.number)] if one.number else 0 for uri, one in found.items()}
    best = max(counts, key=lambda uri: counts[uri], default="")
    return (best,) if best and (counts[best] or len(counts) == 1) else ()


class _Writer:
    """Writes the answer to one query."""

    def __init__(self, library: Library, question: Question, records: Records) -> None:
        self._library = library
        self._question = question
        self._records = records
        self._lines = CitedLines(library)
        self._sentences: list[Sentence] = []
        self._notes: list[str] = []

    def write(self, query: CatalogueQuery) -> Draft | None:
        """The draft; None where nothing speaks of the topic that is asked for."""
        if query.unknown and not query.documents:
            return self._refused(self._unknown(query))
        if query.want == "inventory":
            self._inventory()
        elif query.want == "changes":
            self._changes(query.since)
        elif query.want == "check" and query.where is not None:
            self._checked(self._records.by_uri[query.documents[0]], query.where)
        elif query.want == "fields":
            for uri in query.documents:
                self._fields(self._records.by_uri[uri], query.fields)
            if query.unknown:
                self._say(self._unknown(query), ())
        else:
            return self._selection(query)
        return self._draft()

    def _selection(self, query: CatalogueQuery) -> Draft | None:
        where = query.where
        found = self._meeting(where)
        if not found and (wider := only_ercs(where)) is not None:
            found = self._meeting(wider)
            where = wider if found else where
        if not found:
            topic = any(test.field == "topic" for test in tests(where))
            return None if topic else self._refused(self._none(where))
        if query.want in ("newest", "oldest"):
            found = _by_age(found, query)
        else:
            found = sorted(found, key=_designation)
        room = max(_EXAMPLES, self._question.budget // _TOKENS)
        most = min(room, _BRIEF if query.want == "count" else MOST)
        shown = [(record, self._lines.header(record, _fields_of(query))) for record in found[:most]]
        total = sum(not record.series.isdisjoint(series_of(where)) for record in self._records.all)
        self._say(headline(query, where, [record.name for record in found], total), self._examples(shown))
        for record, numbers in shown:
            self._say(entry(record.document), numbers)
        if len(found) > most:
            self._say(_rest(len(found) - most), ())
        if self._question.filters.as_of and "status" in _fields_of(query):
            self._notes.append("a status is that of the day on which its document was retrieved")
        return self._draft()

    def _meeting(self, where: Condition | None) -> list[Record]:
        return self._records.meeting(where, lambda test, among: about(self._library, test.values, among))

    @staticmethod
    def _examples(shown: Sequence[tuple[Record, tuple[int, ...]]]) -> tuple[int, ...]:
        return tuple(dict.fromkeys(number for _, numbers in shown[:_EXAMPLES] for number in numbers))

    def _fields(self, record: Record, fields: Sequence[Field]) -> None:
        """A sentence for each field of a document."""
        name = f"{record.name} ({record.document.title})" if record.document.number else record.name
        for field in fields:
            text, numbers = self._field(record, field)
            self._say(f"{name} {text}.", numbers)
            name = "It"

    def _checked(self, record: Record, where: Condition) -> None:
        """Yes or no, with what the document says in the fields of the condition.

        A question with a negation has the fields alone, since yes and no to it are read in two ways.
        """
        opening = "Yes: " if record in self._meeting(where) else "No: "
        opening = "" if negated(where) else opening
        for field in dict.fromkeys(_field_of(record, test) for test in tests(where)):
            text, numbers = self._field(record, field)
            self._say(f"{opening}{record.name} {text}.", numbers)
            opening = ""

    def _field(self, record: Record, field: Field) -> tuple[str, tuple[int, ...]]:
        """What a document says in a field, as a predicate, and where it stands."""
        if field in ("requires", *_INVERSE):
            return self._relation(record, field)
        values = record.values(field)
        if not values:
            return nothing_stated(field), self._lines.header(record, ())
        words = predicate(field, values, record.document)
        as_of = self._question.filters.as_of
        if field == "status" and as_of:
            day = record.document.retrieved_at.date()
            words += f" as retrieved on {day}; which it had on {as_of} is not known"
        if record.line(field) is not None:
            return words, self._lines.header(record, (field,))
        if field == "license":
            return words, self._lines.license(record, values[0])
        return words, self._lines.beginning(record, values)

    def _relation(self, record: Record, field: Field) -> tuple[str, tuple[int, ...]]:
        """The documents that a document requires or replaces, or that do so with it; cited by who says it."""
        others = self._records.related(record, field)
        if not others:
            return nothing_stated(field), self._lines.header(record, ())
        there = [self._records.numbered(number)[:1] for number in others[:MOST]]
        names = [
            f"{found[0].name} ({found[0].document.title})" if found else number
            for found, number in zip(there, others, strict=False)
        ]
        numbers: tuple[int, ...] = ()
        if record.line(field) or (field == "replaced by" and record.line("reason")):
            numbers = self._lines.header(record, (field,))
        for one in [found[0] for found in there if found and field in _INVERSE]:
            if one.line(_INVERSE[field]):
                numbers += self._lines.header(one, (_INVERSE[field],))
        names += [f"{len(others) - MOST} more"] if len(others) > MOST else []
        return predicate(field, names, record.document), numbers

    def _none(self, where: Condition | None) -> str:
        """That no document meets the condition, which is known for all that there are."""
        text = f"The library holds no {counted(where, 0)}."
        statuses = self._records.statuses
        asked = [value for test in tests(where) if test.field == "status" for value in test.values]
        if any(value.lower() not in statuses for value in asked):
            text += f" The statuses that it knows are {listed(sorted(filter(None, statuses.values())))}."
        return text

    def _unknown(self, query: CatalogueQuery) -> str:
        """That a document or an author is not there, with the names that are near."""
        if query.want in ("fields", "check"):
            return f"The library holds no {listed(query.unknown, 'or')}."
        names = sorted({name for found in self._records.authors.values() for name in found})
        close = list(dict.fromkeys(one for name in query.unknown for one in near(name, names)))
        text = f"The library holds no document by {listed(query.unknown, 'or')}."
        return f"{text} Names near it: {listed(close)}." if close else text

    def _inventory(self) -> None:
        """What there is, by series, without citations: it is the library's own account of itself."""
        groups: dict[str, list[Record]] = {}
        for record in self._records.all:
            series = (record.document.number or record.document.kind.value).partition("-")[0]
            groups.setdefault(series, []).append(record)
        parts = [counted(Test("series", (name,)), len(group)) for name, group in sorted(groups.items())]
        events = [f"{self._library.events} logs of chains"] if self._library.events else []
        self._say(f"The library holds {len(self._records.all)} documents: {listed(parts + events)}.", ())
        for part, (_, group) in zip(parts, sorted(groups.items()), strict=True):
            shown = "; ".join(entry(record.document) for record in _newest(group)[:_EXAMPLES])
            self._say(f"{part}, the newest of which: {shown}", ())
        self._say("Ask for a list by author, status, category or year to see them.", ())

    def _changes(self, since: date | None) -> None:
        """What was published and what was retrieved since a day, newest first."""
        retrieved = [record.document.retrieved_at.date() for record in self._records.all]
        dated = [
            r
            for r in _newest(self._records.all)
            if (r.document.published_at or date.min) >= (since or date.min)
        ]
        shown = [(record, self._lines.header(record, ("created",))) for record in dated[:_BRIEF]]
        held = f"generation {self._library.generation}, the last of them on {max(retrieved, default=None)}"
        if since:
            read = sum(day >= since for day in retrieved)
            text = (
                f"Since {since}, {len(dated)} documents were published, and {read} were retrieved ({held})."
            )
        else:
            text = f"The newest documents of the library, of {len(retrieved)} retrieved ({held}):"
        self._say(text, self._examples(shown))
        for record, numbers in shown:
            self._say(entry(record.document), numbers)
        if since and len(dated) > _BRIEF:
            self._say(_rest(len(dated) - _BRIEF), ())

    def _say(self, text: str, numbers: tuple[int, ...]) -> None:
        self._sentences.append(Sentence(text, numbers, "computed"))

    def _refused(self, text: str) -> Draft:
        return Draft(text, (), (), self._packing(), ANSWERED_BY, refused=True)

    def _draft(self) -> Draft:
        text = "\n".join(f"{s.text}{''.join(f' [{n}]' for n in s.citations)}" for s in self._sentences)
        draft = Draft(
            text, tuple(self._sentences), tuple(self._lines.citations), self._packing(), ANSWERED_BY
        )
        return replace(draft, notes=tuple(self._notes))

    def _packing(self) -> PackingReport:
        return PackingReport(self._question.budget, count_tokens(self._question.read_as), 0, 0, ())


def _fields_of(query: CatalogueQuery) -> tuple[str, ...]:
    """The fields of a query's condition and order, which bear out why a document is listed."""
    fields = [test.field for test in tests(query.where) if test.field != "series"]
    return tuple(dict.fromkeys([*fields, *(["created"] if query.want in ("newest", "oldest") else [])]))


def _field_of(record: Record, test: Test) -> Field:
    """The field of a document that answers a test."""
    if test.field == "class":
        fields: tuple[Field, ...] = ("category", "type", "layer")
        held = [field for field in fields if not set(record.values(field)).isdisjoint(test.values)]
        return held[0] if held else "category"
    known: dict[str, Field] = {"series": "number", "topic": "title", "retrieved": "created"}
    return known.get(test.field) or test.field  # type: ignore[return-value]


def _by_age(found: Sequence[Record], query: CatalogueQuery) -> list[Record]:
    """The newest or oldest, with all that share the last one's day."""
    dated = [record for record in _newest(found) if record.document.published_at]
    if query.want == "oldest":
        dated.reverse()
    edge = {record.document.published_at for record in dated[query.limit - 1 : query.limit]}
    return dated[: query.limit] + [r for r in dated[query.limit :] if r.document.published_at in edge]


def _newest(records: Sequence[Record]) -> list[Record]:
    return sorted(records, key=lambda record: record.document.published_at or date.min, reverse=True)


def _designation(record: Record) -> tuple[str, int, str]:
    """What lists are ordered by: the series, then the number."""
    series, _, number = (record.document.number or "").partition("-")
    return series, int(number) if number.isdigit() else 0, record.name


def _rest(count: int) -> str:
    return f"{count} more are not shown; narrow the question, or read `documents` by `chaincite events`."
