"""Papers and proposals: files, folders and web pages, a document each."""

from __future__ import annotations

import datetime
import hashlib
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated, ClassVar, Self

import typer
from pydantic import Field, model_validator

from index.errors import Gone, SourceError, Unreachable
from index.values import Document, Kind, Reading, SourceRef
from ingest.connector import Doors, Expected, Found, Held, Item, Note, NothingToRead, Shelf, Vanished
from ingest.names import local_path
from ingest.options import Caip2, Options, Texts
from ingest.sources import Facts, Source, is_url, load
from ingest.sources import Found as Targets
from ingest.targets import find
from ingest.time_limit import time_limit


class Papers(Options):
    """Read papers, proposals and other documents.

    PDF, HTML, Markdown, MediaWiki, LaTeX, reStructuredText, Org, plain text; Word, slides, EPUB; notebooks,
    CSV, JSON; mail, transcripts, and zip archives of these.
    Exit status 2 when something was skipped; the rest is in the library all the same.
    """

    kind_of_source: ClassVar[str] = "papers"
    connector: ClassVar[str] = "ingest.papers:Documents"

    paths: Annotated[
        Texts, typer.Argument(metavar="PATH|URL ...", help="Files, folders, patterns, or web addresses.")
    ] = ()
    manifest: Annotated[
        Path | None, typer.Option(help="JSON list that says where each file is published; see the README.")
    ] = None
    base_url: Annotated[
        str | None, typer.Option("--base-url", metavar="URL", help="Where the given folder is published.")
    ] = None
    authors: Annotated[Texts, typer.Option("--author", help="Author of these sources; may be repeated.")] = ()
    title: Annotated[str | None, typer.Option(help="Title, for a single source.")] = None
    kind: Annotated[Kind | None, typer.Option(help="What they are, where it is not plain.")] = None
    chain: Annotated[Caip2 | None, typer.Option(metavar="CAIP-2", help="Chain they are about: eip155:1.")] = (
        None
    )
    licence: Annotated[str | None, typer.Option(help="Licence they are published under.")] = None
    date: Annotated[
        datetime.date | None,
        typer.Option(formats=["%Y-%m-%d"], metavar="YYYY-MM-DD", help="Date of publication."),
    ] = None
    prune: Annotated[
        bool, typer.Option("--prune", help="Remove documents whose files are gone from the given folders.")
    ] = Field(False, exclude=True)

    @property
    def place(self) -> str:
        """Its first path, or its manifest."""
        return (*self.paths, str(self.manifest))[0]

    @classmethod
    def owns(cls, _ref: SourceRef) -> bool:
        """Every file and web page that no other kind owns."""
        return True

    def within(self, folder: Path) -> Self:
        """Paths from a folder; what is gone from there goes, as a file of sources wants it."""
        paths = tuple(path if is_url(path) else str(folder / path) for path in self.paths)
        manifest = folder / self.manifest if self.manifest else None
        return self.model_copy(update={"paths": paths, "manifest": manifest, "prune": True})

    def open(self, doors: Doors) -> Documents:
        """The files and pages behind the paths."""
        stated = Facts(
            kind=self.kind,
            title=self.title,
            authors=self.authors,
            published_at=self.date,
            chain=self.chain,
            licence=self.licence,
        )
        found = find(self.paths, manifest=self.manifest, base_url=self.base_url, stated=stated)
        if found.problems and not found.sources:
            raise NothingToRead(found.problems, found.notes)
        return Documents(found, doors, prune=self.prune)

    @model_validator(mode="after")
    def _names_something(self) -> Self:
        if not self.paths and self.manifest is None:
            raise ValueError("nothing to read; needs `paths` or `manifest`: files, folders or URLs")
        return self


class Documents:
    """The connector of files and web pages. prune: whether what is gone from their folders is removed."""

    def __init__(self, targets: Targets, doors: Doors, *, prune: bool = False) -> None:
        self._targets = targets
        self._doors = doors
        self._prune = prune

    def discover(self, shelf: Shelf) -> Iterator[Found]:
        """Every file and page; their bytes are looked at when they are read."""
        yield from self._targets.problems
        yield from (Note(note.what, note.why) for note in self._targets.notes)
        yield Expected(len(self._targets.sources))
        for source in self._targets.sources:
            stated = "\n".join((source.path, source.location, repr(source.stated), self._doors.limits.ocr))
            version = hashlib.sha256(stated.encode()).hexdigest()[:16]
            yield Item(source, source.path, version, settled=False)
        if self._prune and not self._targets.problems:
            there = {source.uri for source in self._targets.sources}
            yield from (
                Vanished(uri)
                for uri, held in shelf.documents.items()
                if uri not in there and self._was_here(held)
            )

    def read(self, item: Item, held: Document | None) -> Reading | None:
        """The document that a file or page is."""
        source: Source = item.key
        try:
            fetched = load(
                source,
                self._doors.fetcher,
                etag=held.etag if held else None,
                last_modified=held.last_modified if held else None,
                limits=self._doors.limits,
            )
        except Gone as error:
            raise SourceError(str(error)) from error
        same = held is not None and hashlib.sha256(fetched.body).hexdigest() == held.sha256
        if fetched.not_modified or same:
            return None
        reading = _read(fetched.body, source, fetched.media_type, self._doors)
        document = replace(reading.document, etag=fetched.etag, last_modified=fetched.last_modified)
        return replace(reading, document=document)

    def link(self, item: Item) -> str:
        """The address that it is published at."""
        source: Source = item.key
        return source.uri

    @classmethod
    def reread(cls, ref: SourceRef, doors: Doors) -> Reading:
        """The file or page as it is now."""
        source = Source(location=ref.location, path=ref.path, uri=ref.uri, stated=Facts(kind=ref.kind))
        try:
            fetched = load(source, doors.fetcher, limits=doors.limits)
        except (Gone, Unreachable):
            raise
        except SourceError as error:
            raise Unreachable(str(error)) from error
        return _read(fetched.body, source, fetched.media_type, doors)

    def _was_here(self, held: Held) -> bool:
        """Whether a document was brought from these targets: by the record, or else by where its file lay."""
        location = held.document.location
        if held.brought is not None or is_url(location) or "+" in location.partition(":")[0]:
            return held.brought is True
        place = local_path(location)
        lay_here = held.document.kind is not Kind.EVENT and any(
            map(place.is_relative_to, self._targets.roots)
        )
        return lay_here and not os.path.lexists(place)


def _read(body: bytes, source: Source, media_type: str | None, doors: Doors) -> Reading:
    from ingest import readers

    seconds = doors.limits.text_seconds + (doors.limits.pdf_seconds if b"%PDF-" in body[:1024] else 0)
    with time_limit(seconds):
        return readers.read(
            body,
            source,
            media_type=media_type,
            retrieved_at=datetime.datetime.now(datetime.UTC),
            limits=doors.limits,
        )
