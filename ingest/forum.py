"""The job of reading forums: topics that are new or have changed, all their posts."""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial

from index.errors import Gone, SourceError, Unreachable
from index.values import Document, Reading
from index.writer import Writer
from ingest.chunk import Chunker
from ingest.discourse import Forum, Place, Row, parse
from ingest.fetch import Fetcher
from ingest.jobs import READERS, Progress, Report
from ingest.posts import LOCATION, location, read_topic
from ingest.sources import Limits, Problem

VERSION = "1"
"""Part of every topic's recipe: raise it when the same posts would be read differently."""

LIMIT = 100
"""Topics of a list that are read, if no other number is asked for."""

EDITABLE = timedelta(days=30)
"""How long people may edit their posts, as Discourse has it; a list does not show an edit."""


@dataclass(slots=True)
class _Tally:
    """What came of the topics so far."""

    counts: Counter[str] = field(default_factory=Counter)
    left: Counter[str] = field(default_factory=Counter)
    skipped: list[Problem] = field(default_factory=list)
    notes: list[Problem] = field(default_factory=list)
    gone: set[str] = field(default_factory=set)
    passages: int = 0


class ForumJob:
    """Brings a library up to date with forums. See `ingest.jobs.Job`, whose arguments these are.

    sleep: waits for some seconds between two requests.
    """

    def __init__(
        self,
        writer: Writer,
        fetcher: Fetcher,
        limits: Limits = Limits(),
        progress: Callable[[Progress], None] = lambda _: None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._writer = writer
        self._fetcher = fetcher
        self._limits = limits
        self._progress = progress
        self._sleep = sleep
        self._chunker = Chunker(writer.embedder.tokenizer, writer.embedder.max_tokens)

    def run(self, place: Place, limit: int = LIMIT) -> Report:
        """Reads a topic, or the topics of a list, at most `limit`, and removes those that were deleted.

        Raises SourceError when a list cannot be read; one topic that cannot is skipped and the rest goes on,
        unless the forum answers no more.
        """
        began, embedded = time.monotonic(), self._writer.embedded
        self._writer.chunker = self._chunker.fingerprint
        forum = Forum(place.root, self._fetcher, self._sleep)
        held = {known[0].location: known for known in self._writer.known().values()}
        tally = _Tally()
        rows = self._rows(forum, place, limit, [known for known, _ in held.values()], tally)
        for at, row in enumerate(rows):
            known = held.get(location(place.root, row.id))
            self._writer.progress = partial(self._tell, at + 1, len(rows), tally)
            try:
                self._topic(forum, row, known, tally)
            except Unreachable as error:
                waiting = len(rows) - at - 1
                rest = f"; {waiting} more topics wait for the next run" if waiting else ""
                tally.skipped.append(Problem(f"topic {row.id}", f"{error}{rest}"))
                break
            except Gone as error:
                if known is None:
                    tally.skipped.append(Problem(f"topic {row.id}", str(error)))
                else:
                    tally.gone.add(known[0].uri)
                    tally.counts["removed"] += 1
            except SourceError as error:
                tally.skipped.append(Problem(f"topic {row.id}", str(error)))
        self._writer.remove(tally.gone)
        self._writer.publish()
        return self._report(place, tally, embedded, began)

    def _rows(
        self, forum: Forum, place: Place, limit: int, held: Iterable[Document], tally: _Tally
    ) -> list[Row]:
        """The topics to look at; with a whole list, those too that were read and that it shows no more."""
        if place.topic is not None:
            return [Row(id=place.topic)]
        rows = list(forum.topics(place.listing, limit + 1))
        if len(rows) > limit:
            tally.notes.append(Problem(place.root, f"only {limit} topics are read; more with --limit N"))
            return rows[:limit]
        listed = {row.id for row in rows}
        missing = {
            there.topic: document.category
            for document in held
            if document.location.startswith(LOCATION)
            and (there := parse(document.location.removeprefix(LOCATION))).root == place.root
            and there.topic not in listed
        }
        if not missing or place.listing.startswith("/tag/"):
            return rows
        categories = {forum.category(row.category_id) for row in rows}
        return rows + [
            Row(id=topic) for topic, category in missing.items() if topic and category in categories
        ]

    def _topic(self, forum: Forum, row: Row, known: tuple[Document, str] | None, tally: _Tally) -> None:
        """Brings one topic up to date."""
        held = known[0] if known is not None and known[1] == self._recipe() else None
        if held is not None and _settled(held, row):
            tally.counts["unchanged"] += 1
            return
        topic = forum.changed(row.id, held.etag if held else None)
        if topic is None:
            tally.counts["unchanged"] += 1
            return
        category = forum.category(topic.category_id)
        reading, left = read_topic(forum.root, topic, category, datetime.now(UTC), self._limits)
        document = replace(reading.document, last_modified=_stamp(row))
        if held is not None and _same(held, document):
            tally.counts["unchanged"] += 1
            return
        tally.left += left
        tally.counts["changed" if known else "added"] += 1
        if known is not None and known[0].uri != document.uri:
            tally.gone.add(known[0].uri)
        self._add(replace(reading, document=document), tally)

    def _add(self, reading: Reading, tally: _Tally) -> None:
        passages = self._chunker.passages(reading)
        tally.passages += len(passages)
        self._writer.add(reading.document, passages, self._recipe())

    def _recipe(self) -> str:
        parts = f"{READERS}\n{VERSION}\n{self._chunker.fingerprint}"
        return hashlib.sha256(parts.encode()).hexdigest()[:16]

    def _tell(self, topics: int, total: int, tally: _Tally, embedded: int) -> None:
        self._progress(Progress(topics, total, tally.passages, embedded))

    def _report(self, place: Place, tally: _Tally, embedded: int, began: float) -> Report:
        counts = ", ".join(f"{n:,} {what}" for what, n in tally.left.most_common() if n)
        left = [Problem(place.root, f"left out {counts}")] if counts else []
        return Report(
            added=tally.counts["added"],
            changed=tally.counts["changed"],
            unchanged=tally.counts["unchanged"],
            skipped=tuple(tally.skipped),
            notes=(*tally.notes, *left),
            passages=tally.passages,
            embedded=self._writer.embedded - embedded,
            seconds=time.monotonic() - began,
            removed=tally.counts["removed"],
        )


def _stamp(row: Row) -> str | None:
    """What a list says of a topic's state."""
    return f"{row.bumped_at.isoformat()} {row.posts_count}" if row.bumped_at else None


def _settled(held: Document, row: Row) -> bool:
    """Whether a list shows that a topic is as it was read, at a time when its posts could change no more."""
    return (
        row.bumped_at is not None
        and held.last_modified == _stamp(row)
        and held.retrieved_at - row.bumped_at >= EDITABLE
    )


def _same(one: Document, other: Document) -> bool:
    """Whether two readings of a topic differ in nothing but when and how they were fetched."""
    return one == replace(
        other, etag=one.etag, last_modified=one.last_modified, retrieved_at=one.retrieved_at
    )
