"""The documents of a library as a query sees them: their fields, their names, and who wrote them."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

from agent.answerers.catalogue_query import Both, Condition, Either, Field, Not, Test
from agent.answerers.preamble import HeaderLine, header_lines, is_whole
from index.terms import STOPWORDS, terms
from index.values import Document, Filters, Kind, Passage

if TYPE_CHECKING:
    from index.library import Library

_KEYS: dict[Field, tuple[str, ...]] = {
    "author": ("author", "authors"),
    "created": ("created", "assigned", "date"),
    "status": ("status",),
    "category": ("category", "layer", "type"),
    "type": ("type",),
    "layer": ("layer",),
    "license": ("license",),
    "requires": ("requires",),
    "replaces": ("replaces", "supersedes"),
    "replaced by": ("proposed-replacement", "superseded-by"),
    "title": ("title",),
    "number": ("eip", "bip"),
    "discussion": ("discussions-to", "discussion"),
    "deadline": ("last-call-deadline",),
    "reason": ("withdrawal-reason",),
}
_HEAD = 4
"""Passages in which the header of a proposal is looked for."""

_NUMBERED: tuple[Field, ...] = ("requires", "replaces", "replaced by")
_SUPERSEDED = re.compile(r"\b(?:superseded|replaced) by\b", re.IGNORECASE)
_DESIGNATION = re.compile(r"\b(EIP|ERC|BIP)[- ]?(\d+)", re.IGNORECASE)


def same_number(designation: str) -> str:
    """A designation as documents are compared by it: EIP and ERC share their numbers.

    >>> same_number("ERC-20"), same_number("BIP-9")
    ('eip20', 'bip9')
    """
    return next(iter(terms(designation)), designation.lower())


def words_of(name: str) -> tuple[str, ...]:
    """The words of a name without case and accents.

    >>> words_of("Ernesto García")
    ('ernesto', 'garcia')
    """
    bare = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return tuple(re.findall(r"[a-z0-9]+", bare)) or (name.lower(),)


@dataclass(frozen=True)
class Record:
    """A document with its first passages, in which its header stands."""

    document: Document
    head: tuple[Passage, ...]

    @cached_property
    def header(self) -> dict[str, HeaderLine]:
        """The header's fields, by lower-case key."""
        return header_lines("".join(passage.text for passage in self.head))

    def line(self, field: Field) -> HeaderLine | None:
        """The header line that says a field."""
        return next((self.header[key] for key in _KEYS.get(field, ()) if key in self.header), None)

    @cached_property
    def name(self) -> str:
        """What it is called in an answer."""
        return self.document.number or self.document.title

    @cached_property
    def series(self) -> frozenset[str]:
        """The series that it belongs to, as questions name them."""
        document = self.document
        audit = document.kind is Kind.PAPER and "audit" in f"{document.path} {document.title}".lower()
        names = {document.kind.value, "document", "audit" if audit else ""}
        return frozenset(names | {(document.number or "").partition("-")[0]})

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """Its category, type and layer."""
        lines = (self.line(field) for field in ("category", "type", "layer"))
        found = [self.document.category or "", *(line.value for line in lines if line)]
        return tuple(dict.fromkeys(filter(None, found)))

    def values(self, field: Field) -> tuple[str, ...]:
        """What it says in a field; of another document's field, nothing."""
        document, line = self.document, self.line(field)
        known: dict[Field, tuple[str | None, ...]] = {
            "author": document.authors,
            "created": (document.published_at.isoformat() if document.published_at else None,),
            "status": (document.status,),
            "category": (document.category,),
            "title": (document.title,),
            "number": (document.number,),
        }
        said = line.value if line else document.licence if field == "license" else None
        return tuple(filter(None, known.get(field, (said,))))

    def numbers(self, field: Field) -> tuple[str, ...]:
        """The designations in a field that names other documents."""
        if field == "requires":
            return self.document.requires
        series = (self.document.number or "").partition("-")[0]
        line, reason = self.line(field), self.line("reason")
        if line is not None:
            return tuple(f"{series}-{int(number)}" for number in re.findall(r"\d+", line.value))
        if field == "replaced by" and reason is not None and _SUPERSEDED.search(reason.value):
            return tuple(f"{m[1].upper()}-{int(m[2])}" for m in _DESIGNATION.finditer(reason.value))
        return ()

    @cached_property
    def title_terms(self) -> frozenset[str]:
        """The words of its title, and of its file where it has no number."""
        path = "" if self.document.number else self.document.path.rpartition("/")[2].partition(".")[0]
        return frozenset(terms(f"{self.document.title} {path.replace('-', ' ')}"))


class Records:
    """The documents that a question may see, of one generation of a library."""

    def __init__(self, records: Sequence[Record]) -> None:
        self.all = records
        self.by_uri = {record.document.uri: record for record in self.all}

    @cached_property
    def _by_number(self) -> dict[str, list[Record]]:
        found: dict[str, list[Record]] = defaultdict(list)
        for record in self.all:
            if record.document.number:
                found[same_number(record.document.number)].append(record)
        return found

    def numbered(self, designation: str) -> list[Record]:
        """The documents of this number."""
        return self._by_number.get(same_number(designation), [])

    @cached_property
    def authors(self) -> dict[tuple[str, ...], set[str]]:
        """The authors' names by their words."""
        found: dict[tuple[str, ...], set[str]] = defaultdict(set)
        for record in self.all:
            for author in record.document.authors:
                found[words_of(author)].add(author)
        return found

    @cached_property
    def author_words(self) -> dict[str, set[str]]:
        """The authors' names by each of their words."""
        found: dict[str, set[str]] = defaultdict(set)
        for words, names in self.authors.items():
            for word in words:
                found[word] |= names
        return found

    @cached_property
    def statuses(self) -> dict[str, str]:
        """The statuses that there are, by lower case."""
        return {(r.document.status or "").lower(): r.document.status or "" for r in self.all}

    @cached_property
    def classes(self) -> dict[tuple[str, ...], set[str]]:
        """The categories, types and layers that there are, by their words, and by what stands before `(`."""
        found: dict[tuple[str, ...], set[str]] = defaultdict(set)
        for record in self.all:
            for name in record.classes:
                found[words_of(name)].add(name)
                found[words_of(name.partition("(")[0])].add(name)
        return found

    @cached_property
    def licenses(self) -> dict[tuple[str, ...], set[str]]:
        """The licences that headers name, by their words; one of several by its own too."""
        found: dict[tuple[str, ...], set[str]] = defaultdict(set)
        for record in self.all:
            if line := record.line("license"):
                for name in line.value.split(" OR "):
                    found[words_of(name)].add(line.value)
        return found

    @cached_property
    def titles(self) -> dict[tuple[str, ...], list[Record]]:
        """The documents by the words of their titles."""
        found: dict[tuple[str, ...], list[Record]] = defaultdict(list)
        for record in self.all:
            found[words_of(record.document.title)].append(record)
        return found

    def titled(self, words: str, series: str) -> list[Record]:
        """The one document of a series in whose title all these words stand; none where it is not clear."""
        wanted = frozenset(terms(words)) - STOPWORDS
        if not wanted:
            return []
        found = [r for r in self.all if series in r.series and wanted <= r.title_terms]
        if series != "audit" and len(found) > 1:
            found = [r for r in found if "audit" not in r.series] or found
        exact = [r for r in found if r.title_terms - STOPWORDS == wanted]
        return exact[:1] if len(exact) == 1 else found if len(found) == 1 else []

    def meeting(
        self, condition: Condition | None, topic: Callable[[Test, list[Record]], list[Record]]
    ) -> list[Record]:
        """The documents that meet a condition, in order. topic: chooses those that speak of something.

        Topics are weighed among what the rest of the condition leaves, when all else is known.
        """
        first, topics = _parted(condition)
        found = [record for record in self.all if first is None or self._meets(record, first)]
        for test in topics:
            found = topic(test, found)
        return found

    def _meets(self, record: Record, condition: Condition) -> bool:
        if isinstance(condition, Not):
            return not self._meets(record, condition.part)
        if isinstance(condition, Both):
            return all(self._meets(record, part) for part in condition.parts)
        if isinstance(condition, Either):
            return any(self._meets(record, part) for part in condition.parts)
        return self.passes(record, condition)

    def passes(self, record: Record, test: Test) -> bool:
        """Whether a document passes one test."""
        if test.field in ("created", "retrieved"):
            retrieved = record.document.retrieved_at.date()
            day = record.document.published_at if test.field == "created" else retrieved
            return day is not None and (test.first or day) <= day <= (test.last or day)
        if test.field in ("requires", "required by", "replaces", "replaced by"):
            there = {same_number(number) for number in self.related(record, test.field)}
            return bool(there) if not test.values else any(same_number(v) in there for v in test.values)
        return not self._values(record, test.field).isdisjoint(test.values)

    def related(self, record: Record, field: str) -> tuple[str, ...]:
        """The designations of the documents that a document requires, is replaced by, and so on.

        A replacement counts where either of the two names the other.
        """
        if field == "requires":
            return record.document.requires
        number = record.document.number
        return tuple(self._relations[field].get(same_number(number), ())) if number else ()

    @cached_property
    def _relations(self) -> dict[str, dict[str, dict[str, None]]]:
        found: dict[str, dict[str, dict[str, None]]] = {
            name: defaultdict(dict) for name in ("required by", "replaces", "replaced by")
        }
        for record in self.all:
            own = record.document.number
            for field in _NUMBERED if own else ():
                for other in record.numbers(field):
                    self._relate(found, field, str(own), self._as_named(other))
        return found

    def _as_named(self, designation: str) -> str:
        there = self.numbered(designation)
        return there[0].name if there else designation

    @staticmethod
    def _relate(found: dict[str, dict[str, dict[str, None]]], field: Field, own: str, other: str) -> None:
        if field == "requires":
            found["required by"][same_number(other)][own] = None
            return
        newer, older = (own, other) if field == "replaces" else (other, own)
        found["replaces"][same_number(newer)][older] = None
        found["replaced by"][same_number(older)][newer] = None

    @staticmethod
    def _values(record: Record, field: str) -> frozenset[str]:
        if field == "series":
            return record.series
        if field == "author":
            return frozenset(record.document.authors)
        if field == "class":
            return frozenset(record.classes)
        if field == "license":
            line = record.line("license")
            return frozenset([line.value] if line else ())
        return frozenset([record.document.status or ""])


def records_of(library: Library, filters: Filters) -> Records:
    """The documents of the newest generation that pass a filter. Raises what the library raises."""
    return _records(library, library.generation, filters)


@lru_cache(maxsize=4)
def _records(library: Library, _generation: int, filters: Filters) -> Records:
    documents = [one for one in library.documents(filters) if one.kind is not Kind.EVENT]
    openings = library.openings([document.uri for document in documents])
    return Records([Record(one, _head(library, one, openings.get(one.uri))) for one in documents])


def _head(library: Library, document: Document, opening: Passage | None) -> tuple[Passage, ...]:
    """The first passages of a document: one, or those in which a longer header, or a later one, is whole."""
    if opening is None:
        return ()
    if document.kind is not Kind.PROPOSAL or is_whole(opening.text):
        return (opening,)
    return tuple(library.passages(document.uri)[:_HEAD])


def _parted(condition: Condition | None) -> tuple[Condition | None, list[Test]]:
    """A condition without the topics that hold for all of it, and those topics."""
    parts = condition.parts if isinstance(condition, Both) else (condition,) if condition else ()
    topics = [part for part in parts if isinstance(part, Test) and part.field == "topic"]
    rest = tuple(part for part in parts if part not in topics)
    return (Both(rest) if rest else None), topics
