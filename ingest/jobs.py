"""The job of ingestion: sources read, cut, and handed to a library's writer; only what changed costs."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial

from index.errors import Gone, SourceError, Unreachable
from index.values import Document, Reading, SourceRef
from index.writer import Writer
from ingest import readers
from ingest.chunk import Chunker
from ingest.fetch import Fetcher
from ingest.posts import LOCATION as TOPIC
from ingest.posts import reread as reread_topic
from ingest.repo.reread import reread as reread_file
from ingest.sources import Facts, Found, Limits, Problem, Source, load

READERS = "2"
"""Part of every document's recipe: raise it when a reader makes something else of the same bytes."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a job is: sources read, of how many; passages they gave, and how many of these are embedded."""

    sources: int
    total: int
    passages: int
    indexed: int

    @property
    def expected(self) -> int:
        """About how many passages there will be."""
        return max(self.passages * self.total // max(self.sources, 1), self.indexed, 1)


@dataclass(frozen=True, slots=True)
class Report:
    """What a job did. `skipped` is input at fault, `notes` are worth knowing; embedded counts texts.

    removed: documents whose source is there no more.
    """

    added: int
    changed: int
    unchanged: int
    skipped: tuple[Problem, ...]
    notes: tuple[Problem, ...]
    passages: int
    embedded: int
    seconds: float
    removed: int = 0


class Job:
    """Brings a library up to date with sources.

    writer: where documents go; fetcher: the one door to the network; progress: called as the job goes on.
    """

    def __init__(
        self,
        writer: Writer,
        fetcher: Fetcher,
        limits: Limits = Limits(),
        progress: Callable[[Progress], None] = lambda _: None,
    ) -> None:
        self._writer = writer
        self._fetcher = fetcher
        self._limits = limits
        self._progress = progress
        self._chunker = Chunker(writer.embedder.tokenizer, writer.embedder.max_tokens)

    def run(self, found: Found) -> Report:
        """Reads every source that is new or has changed. One that fails is skipped and the rest goes on."""
        began = time.monotonic()
        known = self._writer.known()
        counts = {"added": 0, "changed": 0, "unchanged": 0}
        skipped, notes = list(found.problems), list(found.notes)
        embedded, indexed = self._writer.embedded, 0
        self._writer.chunker = self._chunker.fingerprint
        for at, source in enumerate(found.sources):
            try:
                reading, recipe = self._read(source, known.get(source.uri))
            except SourceError as error:
                skipped.append(Problem(source.path, str(error)))
                continue
            if reading is None:
                counts["unchanged"] += 1
                continue
            passages = self._chunker.passages(reading)
            indexed += len(passages)
            self._writer.progress = partial(self._tell, at + 1, len(found.sources), indexed)
            self._writer.add(reading.document, passages, recipe)
            counts["changed" if source.uri in known else "added"] += 1
            notes += [Problem(source.path, warning) for warning in reading.warnings]
        self._writer.publish()
        return Report(
            **counts,
            skipped=tuple(skipped),
            notes=tuple(notes),
            passages=indexed,
            embedded=self._writer.embedded - embedded,
            seconds=time.monotonic() - began,
        )

    def _tell(self, sources: int, total: int, passages: int, embedded: int) -> None:
        self._progress(Progress(sources, total, passages, embedded))

    def _read(self, source: Source, known: tuple[Document, str] | None) -> tuple[Reading | None, str]:
        """The reading of a source, or None when the library already holds it as it is now."""
        recipe = self._recipe(source)
        document = known[0] if known is not None and known[1] == recipe else None
        now = datetime.now(UTC)
        fetched = load(
            source,
            self._fetcher,
            etag=document.etag if document else None,
            last_modified=document.last_modified if document else None,
            limits=self._limits,
        )
        if document is not None and (
            fetched.not_modified or hashlib.sha256(fetched.body).hexdigest() == document.sha256
        ):
            return None, recipe
        reading = readers.read(
            fetched.body, source, media_type=fetched.media_type, retrieved_at=now, limits=self._limits
        )
        document = replace(reading.document, etag=fetched.etag, last_modified=fetched.last_modified)
        return replace(reading, document=document), recipe

    def _recipe(self, source: Source) -> str:
        """Names all that the passages of a source depend on, apart from its bytes."""
        readers_of = (READERS, self._limits.ocr, self._chunker.fingerprint)
        parts = (*readers_of, source.path, source.location, repr(source.stated))
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def reread(ref: SourceRef, fetcher: Fetcher, limits: Limits = Limits()) -> Reading:
    """The source of a citation as it is now.

    Raises Gone when it is there no more, Unreachable when it could not be had, and SourceError when what is
    there now cannot be read.
    """
    if ref.location.startswith("git+"):
        return reread_file(ref, fetcher, limits)
    if ref.location.startswith(TOPIC):
        return reread_topic(ref, fetcher, limits)
    source = Source(location=ref.location, path=ref.path, uri=ref.uri, stated=Facts(kind=ref.kind))
    try:
        fetched = load(source, fetcher, limits=limits)
    except (Gone, Unreachable):
        raise
    except SourceError as error:
        raise Unreachable(str(error)) from error
    return readers.read(
        fetched.body, source, media_type=fetched.media_type, retrieved_at=datetime.now(UTC), limits=limits
    )
