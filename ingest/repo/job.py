"""The job of reading a repository: only files that changed between commits are read, cut and embedded."""

from __future__ import annotations

import hashlib
import posixpath
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import PurePosixPath

from index.errors import SourceError
from index.values import Document, Kind, Reading
from index.writer import Writer
from ingest import readers
from ingest.chunk import Chunker
from ingest.fetch import Fetcher
from ingest.jobs import READERS, Progress, Report
from ingest.repo.address import Address
from ingest.repo.checkout import Checkout, opened
from ingest.repo.git import Entry
from ingest.repo.history import commit_reading
from ingest.repo.licence import FILE, licence_of
from ingest.repo.selection import Selection
from ingest.repo.solidity import Declarations
from ingest.selectors import NO_TYPES
from ingest.sources import Facts, Limits, Problem, Source

_ATTRIBUTES = ".gitattributes"


@dataclass(frozen=True, slots=True)
class Choice:
    """What of a repository is wanted: patterns as in `.gitignore`, and how many commits' messages."""

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    history: int = 0


class RepositoryJob:
    """Brings a library up to date with repositories. See `ingest.jobs.Job`, whose arguments these are."""

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

    def run(self, address: Address, choice: Choice = Choice()) -> Report:
        """Reads what changed, and removes what is gone or no longer chosen.

        Raises SourceError when the repository cannot be read at all; what the library holds of it then stays.
        """
        began, embedded = time.monotonic(), self._writer.embedded
        self._writer.chunker = self._chunker.fingerprint
        with opened(address, self._fetcher, self._limits, max(choice.history, 1)) as checkout:
            sync = _Sync(checkout, choice, self._held(checkout.address), self._recipe())
            passages = 0
            for reading, recipe in sync.readings():
                cut = self._chunker.passages(reading)
                passages += len(cut)
                self._writer.progress = partial(self._tell, sync, passages)
                self._writer.add(reading.document, cut, recipe)
        self._writer.remove(sync.gone)
        self._writer.publish()
        return Report(
            added=sync.added,
            changed=sync.changed,
            unchanged=sync.unchanged,
            skipped=tuple(sync.problems),
            notes=tuple(sync.notes),
            passages=passages,
            embedded=self._writer.embedded - embedded,
            seconds=time.monotonic() - began,
            removed=len(sync.gone),
        )

    def _held(self, address: Address) -> dict[str, tuple[Document, str]]:
        """What the library holds of this repository at this ref, by uri."""
        place = address.location("")
        return {uri: held for uri, held in self._writer.known().items() if held[0].location.startswith(place)}

    def _recipe(self) -> str:
        return hashlib.sha256(f"{READERS}\n{self._chunker.fingerprint}".encode()).hexdigest()[:16]

    def _tell(self, sync: _Sync, passages: int, embedded: int) -> None:
        self._progress(Progress(sync.added + sync.changed, sync.total, passages, embedded))


class _Sync:
    """One comparison of a commit with what a library holds of its repository."""

    def __init__(
        self, checkout: Checkout, choice: Choice, held: Mapping[str, tuple[Document, str]], recipe: str
    ) -> None:
        self.problems: list[Problem] = []
        self.notes: list[Problem] = []
        self.added = self.changed = self.unchanged = self.total = 0
        self.gone: set[str] = set()
        self._checkout = checkout
        self._address = checkout.address
        self._choice = choice
        self._held = held
        self._recipe = recipe
        self._now = datetime.now(UTC)
        self._selection = Selection(choice.include, choice.exclude)
        self._there: set[str] = set()

    def readings(self) -> Iterator[tuple[Reading, str]]:
        """The files that are new or have changed, and commits, each with its recipe."""
        entries = [entry for entry in self._checkout.entries() if entry.kind != "tree"]
        licence = self._prepared(entries)
        chosen = self._selection.of(entries)
        fresh = [entry for entry in chosen if not self._is_held(entry)]
        self.total = len(fresh) + self._choice.history
        yield from self._commits()
        yield from self._files(fresh, entries, licence)
        self.gone = set(self._held) - self._there
        self._tell_left_out()

    def _prepared(self, entries: Sequence[Entry]) -> str | None:
        """Heeds the repository's `.gitattributes`; returns the licence of its licence file."""
        attributes = {e.oid: e.path for e in entries if posixpath.basename(e.path) == _ATTRIBUTES}
        licences = {e.oid: e.path for e in entries if FILE.fullmatch(e.path)}
        licence: str | None = None
        for oid, body in self._checkout.read([*attributes, *licences]):
            text = (body or b"").decode(errors="replace")
            if oid in attributes:
                self._selection.heed(attributes[oid].removesuffix(_ATTRIBUTES), text)
            else:
                licence = licence or licence_of(text)
        return licence

    def _is_held(self, entry: Entry) -> bool:
        """Whether the library holds this very object, read as it would be read now."""
        uri = self._address.uri(entry.path)
        held = self._held.get(uri)
        if held is None or held[0].etag != entry.oid or held[1] != self._recipe:
            return False
        self._there.add(uri)
        self.unchanged += 1
        return True

    def _files(
        self, fresh: Sequence[Entry], entries: Sequence[Entry], licence: str | None
    ) -> Iterator[tuple[Reading, str]]:
        """What is in files. All the commit's Solidity is held in memory for what is imported of it."""
        sources = (entry for entry in entries if entry.kind == "blob" and entry.path.endswith(".sol"))
        solidity = {entry.path: entry.oid for entry in sources}
        imported = solidity if any(entry.path in solidity for entry in fresh) else {}
        paths: dict[str, list[str]] = {}
        for entry in fresh:
            paths.setdefault(entry.oid, []).append(entry.path)
        self._checkout.fetch([*paths, *imported.values()])
        declarations = Declarations(imported, dict(self._checkout.read(imported.values())).get)
        for oid, body in self._checkout.read(paths):
            for path in paths[oid]:
                if body is None:
                    self._selection.left_out["huge"] += 1
                elif self._selection.readable(path, body):
                    types = declarations.types(path, body) if path in imported else NO_TYPES
                    yield from self._reading(Entry(path, "blob", oid), body, types, licence)

    def _reading(
        self, entry: Entry, body: bytes, types: Mapping[str, str], licence: str | None
    ) -> Iterator[tuple[Reading, str]]:
        """The reading of a file, with its recipe; where it cannot be read, what the library holds stays."""
        try:
            reading = self._read(entry, body, types, licence)
        except SourceError as error:
            self.problems.append(Problem(entry.path, str(error)))
            self._there.add(self._address.uri(entry.path))
            return
        self.notes += [Problem(entry.path, warning) for warning in reading.warnings]
        yield self._counted(reading), self._recipe

    def _read(self, entry: Entry, body: bytes, types: Mapping[str, str], licence: str | None) -> Reading:
        source = Source(
            location=self._address.location(entry.path),
            path=f"{self._address.name}/{entry.path}",
            uri=self._address.uri(entry.path),
            stated=Facts(commit=self._checkout.commit),
        )
        reading = readers.read(
            body, source, retrieved_at=self._now, limits=self._checkout.limits, types=types
        )
        document = reading.document
        prose = PurePosixPath(entry.path).suffix.lower() in _PROSE
        return replace(
            reading,
            document=replace(
                document,
                kind=Kind.CODE if document.kind is Kind.PAPER else document.kind,
                title=document.title if prose else entry.path,
                licence=document.licence or licence,
                etag=entry.oid,
            ),
        )

    def _counted(self, reading: Reading) -> Reading:
        uri = reading.document.uri
        self._there.add(uri)
        if uri in self._held:
            self.changed += 1
        else:
            self.added += 1
        return reading

    def _commits(self) -> Iterator[tuple[Reading, str]]:
        """The messages of the last commits, a document each."""
        if self._choice.history:
            for commit in self._checkout.git.log(self._checkout.commit, self._choice.history):
                reading = commit_reading(self._address, commit, self._now)
                if reading.document.uri in self._held:
                    self._there.add(reading.document.uri)
                    self.unchanged += 1
                elif reading.text.strip():
                    yield self._counted(reading), self._recipe

    def _tell_left_out(self) -> None:
        counts = ", ".join(f"{n:,} {reason}" for reason, n in self._selection.left_out.most_common())
        if counts:
            self.notes.append(Problem(self._address.name, f"left out {counts}"))


_PROSE = {".md", ".markdown", ".mediawiki", ".wiki", ".tex", ".latex", ".pdf", ".html", ".htm"}
"""Extensions of files that have a title of their own."""
