"""Reads a question as a query over metadata; it reads every word, or it reads no query.

A selection is `[count | newest n] modifiers NOUN modifiers`: modifiers before the noun hold together; those
after it are joined by `and` and `or`, of which `and` binds tighter; `not` holds for the next modifier, with
all its values. A question for fields names its documents, the fields, and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date
from typing import get_args

from agent.answerers.catalogue_conditions import SKIPPED, ConditionReader, Unread
from agent.answerers.catalogue_lexicon import CUES, Item, items_of
from agent.answerers.catalogue_names import named
from agent.answerers.catalogue_query import CatalogueQuery, Field, both
from agent.answerers.catalogue_records import Records

Context = Callable[[], Sequence[str]]

_IN_FIELDS = frozenset(
    {
        "field",
        "who",
        "where",
        "make",
        "rel",
        "name",
        "it",
        "and",
        "comma",
        "series",
        "plural",
        "both",
        "by",
        "in",
        "status",
    }
)
_AUXILIARY = frozenset("is was are were has have does did do".split())  # noqa: SIM905
_FEW = 5
"""How many are shown of "the newest EIPs"."""

_INVERSE: dict[str, Field] = {
    "requires": "required by",
    "required by": "requires",
    "replaces": "replaced by",
    "replaced by": "replaces",
}


def may_ask(question: str, today: date) -> bool:
    """Whether a question has a word of those that ask for metadata; cheap, without a library."""
    items = items_of(question, today)
    return len(items) <= _LONGEST and any(item.kind in CUES for item in items)


_LONGEST = 60
"""Items of a question that is read at all."""


def parse(
    question: str, records: Records, today: date, context: Context = tuple, before: str = ""
) -> CatalogueQuery | None:
    """The query that a question is; None where a word of it is not understood.

    context: gives the designation or uri that `it` stands for; before: the question that this one follows.
    """
    items = named(_numbers_asked(items_of(question, today)), records)
    if items and items[0].kind == "field" and items[0].text.lower() == "name" and len(items) > 1:
        items = items[1:]
    for read in (_inventory, _changes, _fields, _check, _selection):
        try:
            return read(items, records, context)
        except Unread:
            continue
    return _continued(items, records, before, today)


def _numbers_asked(items: list[Item]) -> list[Item]:
    """`the number of the … EIP` is no count, as there is but one."""
    if any(item.kind == "plural" for item in items):
        return items
    return [
        replace(item, kind="field", value="number") if item.text.lower() == "number of" else item
        for item in items
    ]


def _continued(items: list[Item], records: Records, before: str, today: date) -> CatalogueQuery | None:
    """`and EIP-7594?` asks for the fields that the question before asked for."""
    names = [item for item in items if item.kind == "name"]
    rest = {item.kind for item in items if item.kind not in SKIPPED} - {"name", "and", "about", "series"}
    if not before or not names or rest:
        return None
    earlier = parse(before, records, today)
    if earlier is None or earlier.want != "fields":
        return None
    return CatalogueQuery("fields", _uris(names, records), earlier.fields, unknown=_missing(names, records))


def _inventory(items: list[Item], _records: Records, _context: Context) -> CatalogueQuery:
    """Reads `Which documents do you have?`."""
    kinds = {item.kind for item in items} - {"fn", "in", "about"}
    documents = any(item.kind == "plural" and item.value == "document" for item in items)
    known = len(items) > 1 and items[0].text.lower() == "what" and items[-1].kind == "library"
    if kinds - {"library", "plural"} or not (documents or (known and "plural" not in kinds)):
        raise Unread
    return CatalogueQuery("inventory")


def _changes(items: list[Item], _records: Records, _context: Context) -> CatalogueQuery:
    """Reads `What changed since 2025-06-01?`."""
    kinds = {item.kind for item in items} - SKIPPED
    if "change" not in kinds or kinds - {"change", "since", "after", "date", "in"}:
        raise Unread
    days = [item.first for item in items if item.kind == "date"]
    if len(days) > 1 or ("since" in kinds or "after" in kinds) != bool(days):
        raise Unread
    return CatalogueQuery("changes", since=days[0] if days else None)


def _fields(items: list[Item], records: Records, context: Context) -> CatalogueQuery:
    """Fields of named documents, or of those that `it` stands for."""
    read = [item for item in items if item.kind not in SKIPPED]
    names = [item for item in read if item.kind == "name"]
    if {item.kind for item in read} - _IN_FIELDS:
        raise Unread
    fields = list(dict.fromkeys(_asked_fields(read, [item.text.lower() for item in items])))
    if not names and any(item.kind == "it" for item in read):
        names = [Item("name", one, one) for one in context()]
    if not names or not fields:
        raise Unread
    return CatalogueQuery("fields", _uris(names, records), tuple(fields), unknown=_missing(names, records))


def _asked_fields(read: list[Item], words: list[str]) -> list[Field]:
    """The fields that are asked for, in order. Raises Unread for a word that asks for something else."""
    kinds = {item.kind for item in read}
    _check_words(read, kinds)
    fields: list[Field] = []
    for at, item in enumerate(read):
        if item.kind == "field":
            fields.append(_FIELDS[item.value])
        elif item.kind == "who":
            fields.append("author")
        elif item.kind == "rel":
            fields.append(_related(read, at, words))
    if "created" in fields and "rel" in kinds and not kinds & {"and", "comma"}:
        raise Unread  # when it was replaced is not when it was created
    if "deadline" in fields or ("title" in fields and "number" in fields):
        fields = [field for field in fields if field not in ("created", "title")]
    if set(fields) <= {"title"} and kinds - {"field"} == {"series", "name"} and not _designated(read):
        return ["number"]
    return fields


def _check_words(read: list[Item], kinds: set[str]) -> None:
    """Raises Unread for `who`, `where` and a status without the word that makes it one of metadata."""
    values = [item.value for item in read if item.kind == "field"]
    withdrawn = any(item.kind == "status" and item.value == "withdrawn" for item in read)
    if ("status" in kinds) != ("reason" in values and withdrawn):
        raise Unread
    if "where" in kinds and "discussion" not in values:
        raise Unread
    if "who" in kinds and not kinds & {"make", "by"} and "author" not in values:
        raise Unread


_FIELDS: dict[str, Field] = {name: name for name in get_args(Field)}


def _designated(read: list[Item]) -> bool:
    return any(item.kind == "name" and "://" not in item.value for item in read)


def _related(read: list[Item], at: int, words: list[str]) -> Field:
    """What a verb between documents asks for: of the document before it, or of the one after it."""
    verb = read[at].value
    before = any(item.kind in ("name", "it") for item in read[:at])
    after = any(item.kind in ("name", "it") for item in read[at + 1 : at + 2])
    if before and not after:
        participle = read[at].text.lower().endswith("ed") and not {"did", "does", "has"} & set(words[:-1])
        passive = participle or "been" in words
        return _INVERSE[verb] if passive and not verb.endswith(" by") else _FIELDS[verb]
    if after and not before and verb.startswith("replace"):
        return _INVERSE[verb]
    raise Unread


def _check(items: list[Item], records: Records, context: Context) -> CatalogueQuery:
    """Reads `Is EIP-1559 Final?`."""
    names = [at for at, item in enumerate(items) if item.kind in ("name", "it")]
    if not items or items[0].text.lower() not in _AUXILIARY or not names:
        raise Unread
    subject = items[names[0]]
    uris = (
        _uris([subject], records)
        if subject.kind == "name"
        else _uris([Item("name", c, c) for c in context()], records)
    )
    rest = [item for at, item in enumerate(items) if at != names[0] and item.kind != "series"]
    unheld = [item for item in rest if item.kind == "status" and item.value not in records.statuses]
    if unheld and len([item for item in rest if item.kind not in SKIPPED]) == 1:
        return CatalogueQuery("fields", uris, ("status",), unknown=_missing([subject], records))
    reader = ConditionReader(rest, records)
    where = reader.disjunction()
    if where is None or reader.rest or (not uris and subject.kind == "it"):
        raise Unread
    return CatalogueQuery("check", uris, where=where, unknown=_missing([subject], records))


def _selection(items: list[Item], records: Records, _context: Context) -> CatalogueQuery:
    """Which, or how many, documents meet a condition."""
    reader = ConditionReader(items, records)
    want, limit, parts = reader.head()
    after = reader.disjunction()
    if reader.rest:
        raise Unread
    where = both(*parts, after)
    reader.check_topics(where)
    if limit == 0:
        limit = _FEW if reader.plural else 1
    return CatalogueQuery(want, where=where, limit=limit, unknown=tuple(reader.unknown))


def _uris(names: Sequence[Item], records: Records) -> tuple[str, ...]:
    found = [
        r
        for name in names
        for r in (
            [records.by_uri[name.value]] if name.value in records.by_uri else records.numbered(name.value)
        )
    ]
    return tuple(dict.fromkeys(record.document.uri for record in found))


def _missing(names: Sequence[Item], records: Records) -> tuple[str, ...]:
    return tuple(name.value for name in names if name.kind == "name" and not _uris([name], records))
