"""The connector of forums: topics that are new or have changed, all their posts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from index.errors import SourceError, Unreachable
from index.values import Document, Reading, SourceRef
from ingest.connector import Doors, Expected, Found, Held, Item, Note, Shelf
from ingest.forum.discourse import Discourse, Row, parse
from ingest.forum.options import LOCATION, Forum
from ingest.forum.posts import location, read_topic

VERSION = "1"
"""Part of every topic's version: raise it when the same posts would be read differently."""

EDITABLE = timedelta(days=30)
"""How long people may edit their posts, as Discourse has it; a list does not show an edit."""


@dataclass(frozen=True, slots=True)
class _Topic:
    """A topic of a list. uri: that of the library; waiting: topics that come after it."""

    row: Row
    uri: str
    waiting: int


class Topics:
    """The topics that an address names."""

    def __init__(self, options: Forum, doors: Doors) -> None:
        self._limit = options.limit
        self._place = parse(options.url)
        self._limits = doors.limits
        self._forum = Discourse(self._place.root, doors.fetcher, doors.wait)
        self._reachable = True

    def discover(self, shelf: Shelf) -> Iterator[Found]:
        """The topics to look at, as long as the forum answers."""
        held = {one.document.location: one for one in shelf.documents.values()}
        rows, notes = self._rows([one.document for one in held.values()])
        yield from notes
        yield Expected(len(rows))
        for at, row in enumerate(rows):
            place = location(self._place.root, row.id)
            known = held.get(place)
            topic = _Topic(row, known.document.uri if known else place, len(rows) - at - 1)
            yield Item(topic, f"topic {row.id}", VERSION, settled=known is not None and _settled(known, row))
            if not self._reachable:
                return

    def read(self, item: Item, held: Document | None) -> Reading | None:
        """The topic with its posts."""
        topic: _Topic = item.key
        try:
            found = self._forum.changed(topic.row.id, held.etag if held else None)
        except Unreachable as error:
            self._reachable = False
            rest = f"; {topic.waiting} more topics wait for the next run" if topic.waiting else ""
            raise Unreachable(f"{error}{rest}") from error
        if found is None:
            return None
        category = self._forum.category(found.category_id)
        reading = read_topic(self._forum.root, found, category, datetime.now(UTC), self._limits)
        document = replace(reading.document, last_modified=_stamp(topic.row))
        same = held is not None and _same(held, document)
        return None if same else replace(reading, document=document)

    def link(self, item: Item) -> str:
        """The address of the topic, as the library knows it; its title may be another by now."""
        topic: _Topic = item.key
        return topic.uri

    @classmethod
    def reread(cls, ref: SourceRef, doors: Doors) -> Reading:
        """The topic as it is now."""
        place = parse(ref.location.removeprefix(LOCATION))
        if place.topic is None:
            raise SourceError(f"{ref.location} names no topic; ingest it again")
        topic = Discourse(place.root, doors.fetcher, doors.wait).topic(place.topic)
        reading = read_topic(place.root, topic, None, datetime.now(UTC), doors.limits)
        return replace(reading, document=replace(reading.document, uri=ref.uri))

    def _rows(self, held: Iterable[Document]) -> tuple[list[Row], list[Note]]:
        """The topics to look at; with a whole list, those too that were read and that it shows no more."""
        place, forum, limit = self._place, self._forum, self._limit
        if place.topic is not None:
            return [Row(id=place.topic)], []
        rows = list(forum.topics(place.listing, limit + 1))
        if len(rows) > limit:
            return rows[:limit], [Note(place.root, f"only {limit} topics are read; more with --limit N")]
        listed = {row.id for row in rows}
        missing = {
            there.topic: document.category
            for document in held
            if document.location.startswith(LOCATION)
            and (there := parse(document.location.removeprefix(LOCATION))).root == place.root
            and there.topic not in listed
        }
        if not missing or place.listing.startswith("/tag/"):
            return rows, []
        categories = {forum.category(row.category_id) for row in rows}
        gone = [Row(id=topic) for topic, category in missing.items() if topic and category in categories]
        return rows + gone, []


def _stamp(row: Row) -> str | None:
    """What a list says of a topic's state."""
    return f"{row.bumped_at.isoformat()} {row.posts_count}" if row.bumped_at else None


def _settled(held: Held, row: Row) -> bool:
    """Whether a list shows that a topic is as it was read, at a time when its posts could change no more."""
    return (
        row.bumped_at is not None
        and held.document.last_modified == _stamp(row)
        and held.document.retrieved_at - row.bumped_at >= EDITABLE
    )


def _same(one: Document, other: Document) -> bool:
    """Whether two readings of a topic differ in nothing but when and how they were fetched."""
    return one == replace(
        other, etag=one.etag, last_modified=one.last_modified, retrieved_at=one.retrieved_at
    )
