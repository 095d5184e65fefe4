"""Reads the conditions of a selection, from left to right; what it cannot read, it says."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

from agent.answerers.catalogue_lexicon import Item
from agent.answerers.catalogue_query import (
    Both,
    Condition,
    Not,
    Test,
    TestField,
    Want,
    both,
    either,
    tests,
)
from agent.answerers.catalogue_records import Records

SKIPPED = frozenset({"fn", "library", "mark"})
"""Kinds of items that add nothing to a condition."""

_IN_TOPIC = frozenset(
    "word quoted field make change count_of name to in from rel series first it about class".split()  # noqa: SIM905
)
_TIMES = frozenset({"before", "after", "since", "until", "between", "from", "in"})
_JOINS = frozenset({"and", "or", "comma"})
_FIELD_VALUES: dict[str, frozenset[str]] = {
    "status": frozenset({"status"}),
    "category": frozenset({"class", "series"}),
    "type": frozenset({"class"}),
    "layer": frozenset({"class"}),
    "license": frozenset({"license"}),
    "author": frozenset({"author", "unknown"}),
    "created": frozenset({"date"}) | _TIMES,
    "discussion": frozenset(),
}
_RELATIONS: dict[str, TestField] = {
    "requires": "requires",
    "required by": "required by",
    "replaces": "replaces",
    "replaced by": "replaced by",
}
_INVERSE: dict[str, TestField] = {
    "requires": "required by",
    "required by": "requires",
    "replaces": "replaced by",
    "replaced by": "replaces",
}


class Unread(Exception):
    """A question, or a part of it, is no query over metadata."""


class ConditionReader:
    """Reads conditions from items. rest: what is still to be read; plural: the noun was in the plural.

    unknown: names that stand where an author would, and that no document has.
    """

    def __init__(self, items: Sequence[Item], records: Records) -> None:
        self.rest = [item for item in items if item.kind not in SKIPPED]
        self.unknown: list[str] = []
        self.plural = False
        self._noun = False
        self._records = records

    def head(self) -> tuple[Want, int, list[Condition | None]]:
        """What is wanted, how many (0 where it is not said), and the conditions up to the noun, with it."""
        want: Want = "list"
        limit = 0
        parts: list[Condition | None] = []
        while self.rest and not self._noun:
            item = self.rest[0]
            if item.kind == "count":
                want = "count"
            elif item.kind == "first":
                want = "newest" if item.value == "newest" else "oldest"
            elif item.kind == "count_of":
                limit = int(item.text)
            elif item.kind not in ("comma", "and") or not parts:
                parts.append(self._before_noun())
                continue
            self.rest.pop(0)
        if want == "count" and not self.plural:
            raise Unread
        if not self._noun and {test.field for part in parts for test in tests(part)} <= {
            "status",
            "class",
            "created",
        }:
            raise Unread
        return want, limit, parts

    def disjunction(self) -> Condition | None:
        """Conditions joined by `or`."""
        parts = [self._conjunction()]
        while self._next() == "or":
            self.rest.pop(0)
            parts.append(self._conjunction())
            if parts[0] is None or parts[-1] is None:
                raise Unread
        return either(*parts)

    def check_topics(self, where: Condition | None) -> None:
        """A topic holds for the whole selection, and is enough only for several documents."""
        parts = where.parts if isinstance(where, Both) else (where,)
        topics = [test for test in tests(where) if test.field == "topic"]
        if any(topic not in parts for topic in topics):
            raise Unread
        if topics and not self.plural and not {test.field for test in tests(where)} - {"series", "topic"}:
            raise Unread

    def _next(self, at: int = 0) -> str:
        return self.rest[at].kind if at < len(self.rest) else ""

    def _before_noun(self) -> Condition | None:
        if self._next() in ("series", "plural"):
            return self._series()
        words = 0
        while self._next(words) == "word":
            words += 1
        if words and self._next(words) in ("series", "plural"):
            return self._topic(words)
        return self._unit()

    def _series(self) -> Condition:
        """The noun, or several of them: `EIPs and ERCs`."""
        self._noun = True
        names: list[str] = []
        while self._next() in ("series", "plural"):
            item = self.rest.pop(0)
            self.plural = self.plural or item.kind == "plural"
            names.append(item.value)
            if self._next() in _JOINS and self._next(1) in ("series", "plural"):
                self.rest.pop(0)
        return Test("series", tuple(dict.fromkeys(names)))

    def _conjunction(self) -> Condition | None:
        parts: list[Condition | None] = []
        while self.rest and self._next() != "or":
            joined = False
            while self._next() in ("and", "comma"):
                self.rest.pop(0)
                joined = True
            if joined and (not self.rest or self._next() == "or"):
                raise Unread
            parts.append(self._unit())
        return both(*parts)

    def _unit(self) -> Condition | None:
        """One condition; None for a verb that adds none, such as `created` before a date."""
        kind = self._next()
        readers = {
            "not": self._not,
            "status": self._values,
            "class": self._values,
            "license": self._values,
            "field": self._field,
            "author": self._author_group,
            "unknown": self._author_group,
            "both": self._author_group,
            "by": self._by,
            "rel": self._relation,
            "name": self._subject,
            "about": self._about,
            "date": self._time,
            "make": self._make,
        }
        if kind in _TIMES:
            return self._time()
        if kind not in readers:
            raise Unread
        if kind == "both" and self._next(1) == "name":
            raise Unread
        return readers[kind]()

    def _make(self) -> None:
        self.rest.pop(0)

    def _not(self) -> Condition:
        self.rest.pop(0)
        if self._next() == "make":
            self.rest.pop(0)
        part = self._unit()
        if part is None or isinstance(part, Both):
            raise Unread
        return Not(part)

    def _values(self) -> Condition:
        """`Final or Living`: values of one field; any of them will do."""
        kind = self._next()
        found: list[str] = []
        while self._next() == kind:
            found.extend(self._named_values(self.rest.pop(0)))
            ahead = 0
            while self._next(ahead) in _JOINS:
                ahead += 1
            if not ahead or self._next(ahead) != kind:
                break
            del self.rest[:ahead]
        if self._next() == "field" and kind in _FIELD_VALUES.get(self.rest[0].value, ()):
            self.rest.pop(0)
        field: TestField = "status" if kind == "status" else "class" if kind == "class" else "license"
        return Test(field, tuple(dict.fromkeys(found)))

    def _named_values(self, item: Item) -> list[str]:
        if item.kind == "status":
            return [self._records.statuses.get(item.value, item.value.title())]
        return item.value.split("|")

    def _field(self) -> Condition | None:
        """`with the status`, before its value; `dependencies`, where it is asked whether there are any."""
        item = self.rest.pop(0)
        if item.value in ("requires", "replaced by", "replaces"):
            return Test(_RELATIONS[item.value])
        allowed = _FIELD_VALUES.get(item.value, frozenset())
        if self._next() in ("in", "by") and self._next(1) in allowed - {"date"}:
            self.rest.pop(0)
        if self._next() == "not" and self._next(1) in allowed:
            return self._not()
        if self._next() not in allowed:
            raise Unread
        if self._next() == "series":
            return Test("series", (self.rest.pop(0).value,))
        return self._unit()

    def _by(self) -> Condition | None:
        self.rest.pop(0)
        if self._next() not in ("author", "unknown", "both"):
            raise Unread
        return self._author_group()

    def _author_group(self) -> Condition | None:
        """`Ann and Ben`: who wrote it together; `Ann or Ben`: one of them."""
        group, word = self._group(("author", "unknown"))
        if self._next() == "make" or (self._next() == "field" and self.rest[0].value == "author"):
            self.rest.pop(0)
        self.unknown.extend(item.text for item in group if item.kind == "unknown")
        found = [Test("author", tuple(item.value.split("|"))) for item in group]
        return either(*found) if word == "or" else both(*found)

    def _group(self, kinds: tuple[str, ...]) -> tuple[list[Item], str]:
        """Names joined by `and`, or by `or`, and which of these."""
        if self._next() == "both":
            self.rest.pop(0)
        if self._next() not in kinds:
            raise Unread
        group = [self.rest.pop(0)]
        words: set[str] = set()
        while self._next() in _JOINS:
            ahead = 1
            while self._next(ahead) in _JOINS:
                ahead += 1
            if self._next(ahead) not in kinds or self._next(ahead + 1) == "rel":
                break
            words |= {item.kind for item in self.rest[:ahead]} - {"comma"}
            del self.rest[:ahead]
            group.append(self.rest.pop(0))
        if len(words) > 1 or (len(group) > 1 and not words):
            raise Unread
        return group, "".join(words)

    def _relation(self) -> Condition | None:
        """`that require EIP-20 or EIP-165`; without a name, whether there is any."""
        item = self.rest.pop(0)
        if self._next() in ("name", "both"):
            group, word = self._group(("name",))
            found = [Test(_RELATIONS[item.value], (self._called(one),)) for one in group]
            return either(*found) if word == "or" else both(*found)
        if self._next() not in ("", "and", "or", "comma", "not"):
            raise Unread
        passive = item.text.lower().endswith("ed")
        return Test(_INVERSE[item.value] if passive else _RELATIONS[item.value])

    def _subject(self) -> Condition:
        """`that EIP-1884 requires`."""
        if self._next(1) != "rel" or self._next(2) == "name":
            raise Unread
        name, verb = self.rest.pop(0), self.rest.pop(0)
        return Test(_INVERSE[verb.value], (self._called(name),))

    def _called(self, item: Item) -> str:
        record = self._records.by_uri.get(item.value)
        return record.name if record else item.value

    def _about(self) -> Condition:
        self.rest.pop(0)
        return self._topic(self._topic_length())

    def _topic_length(self) -> int:
        words = 0
        while self._next(words) in _IN_TOPIC or (
            self._next(words) in _JOINS and self._next(words + 1) in _IN_TOPIC - {"make", "rel", "in", "from"}
        ):
            if self._next(words) in _TIMES and self._next(words + 1) == "date":
                break
            words += 1
        return words

    def _topic(self, words: int) -> Condition:
        """The next words as a topic; `or` parts what may be spoken of."""
        topics = [""]
        for item in self.rest[:words]:
            if item.kind == "or":
                topics.append("")
            elif item.kind not in ("and", "comma"):
                topics[-1] = f"{topics[-1]} {item.text}".strip()
        del self.rest[:words]
        if not all(topics):
            raise Unread
        return Test("topic", tuple(topics))

    def _onwards(self) -> bool:
        """Whether `on` follows, as in `from 2016 on`; it is read then."""
        there = bool(self.rest) and self.rest[0].text.lower() in ("on", "onward", "onwards")
        if there:
            self.rest.pop(0)
        return there

    def _time(self) -> Condition | None:
        """Days: `in 2023`, `between 2019 and 2020`, `before May 2021`."""
        opening = self.rest[0]
        how = "in" if opening.kind == "date" else self.rest.pop(0).kind
        if opening.text.lower() == "on" and self._next() in ("word", "quoted"):
            return self._topic(self._topic_length())
        if how in ("in", "from") and self._next() in (
            "status",
            "class",
            "field",
            "author",
            "license",
            "unknown",
        ):
            return self._unit()
        if self._next() != "date":
            raise Unread
        first = self.rest.pop(0)
        last = first
        if how in ("between", "from") and self._next() in ("and", "to", "until") and self._next(1) == "date":
            self.rest.pop(0)
            last = self.rest.pop(0)
        elif how == "between":
            raise Unread
        elif how == "from" and (first.first == first.last or self._onwards()):
            how = "since"
        return Test("created", (), *_bounds(how, first, last))


def _bounds(how: str, first: Item, last: Item) -> tuple[date | None, date | None]:
    """The first and last day that a phrase of time allows; Unread where no day is."""
    if first.first is None or first.last is None or last.last is None or last.last < first.first:
        raise Unread
    day = timedelta(days=1)
    return {
        "before": (None, first.first - day),
        "after": (first.last + day, None),
        "since": (first.first, None),
        "until": (None, first.last),
    }.get(how, (first.first, last.last))
