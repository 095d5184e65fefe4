"""The words of a catalogue's answer."""

from __future__ import annotations

from collections.abc import Sequence

from agent.answerers.catalogue_query import (
    Both,
    CatalogueQuery,
    Condition,
    Field,
    Test,
    both,
    in_words,
)
from agent.text.render import one_line
from index.values import Document, Kind

_NAMED = 10
"""Documents that the first sentence of a list names."""

_PREDICATES: dict[Field, str] = {
    "author": "was written by {}",
    "created": "was created on {}",
    "status": "has the status {}",
    "category": "has the category {}",
    "type": "is of the type {}",
    "layer": "is on the layer {}",
    "license": "is under the license {}",
    "requires": "requires {}",
    "required by": "is required by {}",
    "replaces": "replaces {}",
    "replaced by": "is replaced by {}",
    "title": 'has the title "{}"',
    "number": "has the number {}",
    "discussion": "is discussed at {}",
    "deadline": "has its last call until {}",
    "reason": 'was withdrawn for this reason: "{}"',
}
_NOTHING: dict[str, str] = {
    "requires": "names no other proposal that it requires",
    "required by": "is required by no other document of the library",
    "replaces": "names no other proposal that it replaces, and none names it as its replacement",
    "replaced by": "names no replacement, and no other document of the library says that it replaces it",
}
_PLURAL = {"EIP", "ERC", "BIP", "proposal", "document", "paper", "audit"}


def listed(names: Sequence[str], word: str = "and") -> str:
    """Names as a list in a sentence.

    >>> listed(["a", "b", "c"]), listed(["a"])
    ('a, b and c', 'a')
    """
    return f" {word} ".join(filter(None, [", ".join(names[:-1]), names[-1] if names else ""]))


def predicate(field: Field, values: Sequence[str], document: Document) -> str:
    """What a document has in a field, after its name."""
    if field == "created" and document.kind is not Kind.PROPOSAL:
        return f"is dated {listed(values)}"
    return _PREDICATES[field].format(one_line(listed(values)))


def nothing_stated(field: Field) -> str:
    """That a document has nothing in a field, after its name."""
    return _NOTHING.get(field) or f"states no {field}"


def entry(document: Document) -> str:
    """A document in a list: designation, title, status, date."""
    details = [document.status, document.published_at.isoformat() if document.published_at else None]
    said = ", ".join(filter(None, details))
    name = f"{document.number}: {document.title}" if document.number else document.title
    return one_line(f"{name} ({said})" if said else name)


def counted(where: Condition | None, count: int) -> str:
    """So many documents that meet a condition; 0 leaves out the number.

    >>> counted(Both((Test("series", ("BIP",)), Test("author", ("Ann",)))), 2)
    '2 BIPs by Ann'
    """
    names = series_of(where) or ("document",)
    nouns = listed([name if count == 1 or name not in _PLURAL else f"{name}s" for name in names], "or")
    rest = _without_series(where)
    words = [str(count) if count else "", nouns, in_words(rest) if rest else ""]
    return " ".join(filter(None, words))


def headline(query: CatalogueQuery, where: Condition | None, names: Sequence[str], total: int) -> str:
    """The first sentence of a list: how many meet which condition, and which they are, where they are few."""
    if query.want in ("newest", "oldest"):
        what = counted(where, len(names))
        return f"The {query.want} {what.removeprefix('1 ')}: {listed(names)}."
    text = counted(where, len(names))
    if query.want == "count" and _without_series(where) is not None and series_of(where):
        text += f", of {counted(Test('series', series_of(where)), total)} in the library"
    elif _without_series(where) is None:
        text += " in the library"
    return f"{text}: {listed(names)}." if len(names) <= _NAMED else f"{text}."


def series_of(where: Condition | None) -> tuple[str, ...]:
    """The series that all documents which meet a condition belong to."""
    parts = where.parts if isinstance(where, Both) else (where,)
    return next((part.values for part in parts if isinstance(part, Test) and part.field == "series"), ())


def only_ercs(where: Condition | None) -> Condition | None:
    """The condition for ERCs where it is for EIPs, as these share their numbers and are often called so."""
    if series_of(where) != ("EIP",):
        return None
    return both(Test("series", ("ERC",)), _without_series(where))


def _without_series(where: Condition | None) -> Condition | None:
    parts = where.parts if isinstance(where, Both) else (where,)
    return both(*(part for part in parts if not (isinstance(part, Test) and part.field == "series")))
