"""A typed query over the documents of a library: which documents, and what of them is wanted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Literal

Field = Literal[
    "author",
    "created",
    "status",
    "category",
    "type",
    "layer",
    "license",
    "requires",
    "required by",
    "replaces",
    "replaced by",
    "title",
    "number",
    "discussion",
    "deadline",
    "reason",
]
"""What can be asked of a document."""

TestField = Literal[
    "series", "author", "status", "class", "license", "requires", "required by", "replaces", "replaced by",
    "created", "retrieved", "topic",
]  # fmt: skip
"""What a condition can be on; `class` is a category, a type or a layer."""


Want = Literal["fields", "check", "list", "count", "newest", "oldest", "inventory", "changes"]


@dataclass(frozen=True, slots=True)
class Test:
    """One of `values` is among what a document has in a field.

    values: names of authors, statuses, classes, licences or series as the library writes them;
    designations; the words of a topic. No values: the document has any at all.
    first, last: for dates, the days that bound them, both included.
    """

    field: TestField
    values: tuple[str, ...] = ()
    first: date | None = None
    last: date | None = None


@dataclass(frozen=True, slots=True)
class Not:
    """Holds where its part does not."""

    part: Condition


@dataclass(frozen=True, slots=True)
class Both:
    """Holds where all parts do."""

    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Either:
    """Holds where one of its parts does."""

    parts: tuple[Condition, ...]


Condition = Test | Not | Both | Either


@dataclass(frozen=True, slots=True)
class CatalogueQuery:
    """A question about the metadata of documents.

    want: `fields` of the `documents`; `check`: whether they meet the condition; `list` or `count` of all that
    meet it; the `newest` or `oldest` of them; `inventory`: what the library holds; `changes` since `since`.
    documents: uris; limit: how many of the newest or oldest.
    unknown: names that stand where an author would, and that no document has.
    """

    want: Want
    documents: tuple[str, ...] = ()
    fields: tuple[Field, ...] = ()
    where: Condition | None = None
    limit: int = 1
    since: date | None = None
    unknown: tuple[str, ...] = ()


def both(*parts: Condition | None) -> Condition | None:
    """All of these; None where there are none."""
    return _joined(Both, parts)


def either(*parts: Condition | None) -> Condition | None:
    """One of these; None where there are none."""
    return _joined(Either, parts)


def tests(condition: Condition | None) -> Iterator[Test]:
    """The tests in a condition, from left to right."""
    if isinstance(condition, Test):
        yield condition
    elif isinstance(condition, Not):
        yield from tests(condition.part)
    elif condition is not None:
        for part in condition.parts:
            yield from tests(part)


def negated(condition: Condition | None) -> bool:
    """Whether a part of a condition is denied."""
    if isinstance(condition, Both | Either):
        return any(negated(part) for part in condition.parts)
    return isinstance(condition, Not)


def _joined(how: type[Both | Either], parts: tuple[Condition | None, ...]) -> Condition | None:
    flat = (p for part in parts for p in (part.parts if isinstance(part, how) else (part,)))
    there = tuple(dict.fromkeys(part for part in flat if part is not None))
    return how(there) if len(there) > 1 else there[0] if there else None


def in_words(condition: Condition) -> str:
    """A condition as a person reads it, after a noun.

    >>> in_words(Both((Test("status", ("Final",)), Not(Test("requires", ("EIP-165",))))))
    'with the status Final, not requiring EIP-165'
    """
    if isinstance(condition, Test):
        return _test_in_words(condition)
    if isinstance(condition, Not):
        words = in_words(condition.part)
        return f"not {words}" if isinstance(condition.part, Test) else f"not ({words})"
    word = ", " if isinstance(condition, Both) else " or "
    return word.join(
        f"({in_words(part)})" if isinstance(part, Both | Either) else in_words(part)
        for part in condition.parts
    )


def _test_in_words(test: Test) -> str:
    values = " or ".join(test.values)
    if test.field in ("created", "retrieved"):
        return f"{test.field} {_days(test.first, test.last)}"
    words, without = _WORDS[test.field]
    return words.format(values) if values else without


_WORDS: dict[str, tuple[str, str]] = {
    "series": ("in {}", ""),
    "author": ("by {}", ""),
    "status": ("with the status {}", ""),
    "class": ("of the class {}", ""),
    "license": ("under the license {}", ""),
    "requires": ("requiring {}", "requiring another"),
    "required by": ("required by {}", "required by another"),
    "replaces": ("replacing {}", "replacing another"),
    "replaced by": ("replaced by {}", "replaced by another"),
    "topic": ('about "{}"', ""),
}


def _days(first: date | None, last: date | None) -> str:
    if first and last:
        whole = first.year == last.year and (first.month, first.day, last.month, last.day) == (1, 1, 12, 31)
        return f"in {first.year}" if whole else f"on {first}" if first == last else f"from {first} to {last}"
    return f"since {first}" if first else f"until {last}"
