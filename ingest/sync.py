"""Every source of a file brought up to date, one after another; one that fails does not stop the others."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from functools import singledispatchmethod
from pathlib import Path
from typing import TYPE_CHECKING

from index.errors import LibraryError, SourceError
from index.writer import Writer
from ingest.fetch import Fetcher
from ingest.jobs import Job, Progress, Report
from ingest.plan import Chain, Forum, Papers, Repo, Source
from ingest.sources import Found, Limits, Problem, find

if TYPE_CHECKING:
    from ingest.chain.abi import EventSignature
    from ingest.chain.node import Node

RECORD = "sources.json"
"""The file in a library's folder that says which documents each source brought."""

Nodes = Callable[[Sequence[str], str], "AbstractContextManager[Node]"]
"""Opens the nodes at some URLs, or else those that are known for a chain."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one source. Of a chain, added counts the documents that are new or have changed."""

    label: str
    added: int = 0
    changed: int = 0
    unchanged: int = 0
    gone: int = 0
    problems: tuple[Problem, ...] = ()
    notes: tuple[Problem, ...] = ()

    @classmethod
    def of(cls, label: str, report: Report) -> Outcome:
        """The outcome that a report tells."""
        counts = report.added, report.changed, report.unchanged, report.removed
        return cls(label, *counts, report.skipped, report.notes)


class Record:
    """Which documents each source of each file brought, kept beside a library.

    library: its folder; file: the file that names the sources. Raises LibraryError where it is damaged.
    """

    def __init__(self, library: Path, file: Path) -> None:
        self._path = library / RECORD
        self._file = str(file.resolve())
        try:
            self._all: dict[str, dict[str, list[str]]] = json.loads(self._path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            self._all = {}
        except ValueError:
            raise LibraryError(
                f"{self._path} is damaged; remove it: what sources brought is recorded anew, and documents"
                " whose files are gone by then stay until `chaincite forget`"
            ) from None

    def brought(self, label: str) -> set[str]:
        """The uris that a source brought."""
        return set(self._all.get(self._file, {}).get(label, ()))

    def by_others(self, label: str) -> set[str]:
        """The uris that other sources brought, of this file or another."""
        return {
            uri
            for file, sources in self._all.items()
            for name, uris in sources.items()
            if (file, name) != (self._file, label)
            for uri in uris
        }

    def write(self, label: str, uris: Collection[str]) -> None:
        """Keeps what a source brought."""
        self._all.setdefault(self._file, {})[label] = sorted(uris)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        new = self._path.with_suffix(".new")
        new.write_text(json.dumps(self._all, indent=1), encoding="utf-8")
        os.replace(new, self._path)  # noqa: PTH105 the standard's name for what is atomic

    def left(self, labels: Iterable[str]) -> dict[str, int]:
        """Sources that the file no longer names, with the number of documents that they brought."""
        named = set(labels)
        mine = self._all.get(self._file, {})
        return {label: len(uris) for label, uris in mine.items() if uris and label not in named}


@dataclass(frozen=True)
class Sync:
    """Brings a library up to date with sources.

    folder: what their paths are relative to; nodes: opens nodes; say: called with a line for a person.
    """

    writer: Writer
    record: Record
    folder: Path
    fetcher: Fetcher
    limits: Limits
    nodes: Nodes
    progress: Callable[[Progress], None] = field(default=lambda _: None)

    def run(self, source: Source) -> Outcome:
        """Brings one source up to date. Where it cannot be read, the outcome says why, and nothing goes."""
        try:
            return replace(self._read(source), label=source.label)
        except SourceError as error:
            return Outcome(source.label, problems=(Problem(source.place, str(error)),))

    @singledispatchmethod
    def _read(self, source: Source) -> Outcome:
        raise NotImplementedError

    @_read.register
    def _papers(self, source: Papers) -> Outcome:
        manifest = self.folder / source.manifest if source.manifest else None
        found = find(
            source.targets(self.folder), manifest=manifest, base_url=source.base_url, stated=source.stated
        )
        uris = {one.uri for one in found.sources}
        before = self.record.brought(source.label)
        self.record.write(source.label, before | uris)
        report = Job(self.writer, self.fetcher, self.limits, self.progress).run(found)
        gone = self._gone(source.label, before - uris, found)
        self.record.write(source.label, uris if not found.problems else before | uris)
        return replace(Outcome.of(source.label, report), gone=gone)

    def _gone(self, label: str, uris: set[str], found: Found) -> int:
        """Removes documents whose files are gone, unless a target could not be looked into."""
        if found.problems:
            return 0
        gone = (uris - self.record.by_others(label)) & self.writer.known().keys()
        self.writer.remove(gone)
        self.writer.publish()
        return len(gone)

    @_read.register
    def _repo(self, source: Repo) -> Outcome:
        from ingest.repo.address import parse
        from ingest.repo.job import Choice, RepositoryJob

        local = self.folder / source.url
        address = parse(str(local) if local.exists() else source.url, source.ref)
        choice = Choice(source.include, source.exclude, source.history)
        job = RepositoryJob(self.writer, self.fetcher, self.limits, self.progress)
        return Outcome.of(source.label, job.run(address, choice))

    @_read.register
    def _forum(self, source: Forum) -> Outcome:
        from ingest.discourse import parse
        from ingest.forum import ForumJob

        job = ForumJob(self.writer, self.fetcher, self.limits, self.progress)
        return Outcome.of(source.label, job.run(parse(source.url), source.limit))

    @_read.register
    def _chain(self, source: Chain) -> Outcome:
        from ingest.chain.abi import read_abi

        declared = [event for file in source.abi for event in read_abi(self.folder / file)]
        if source.from_block is not None:
            return self._feed(source, source.from_block, declared)
        from ingest.chain.jobs import ChainJob, find_files

        manifest = self.folder / source.manifest if source.manifest else None
        files, problems = find_files([self.folder / file for file in source.files], manifest)
        job = ChainJob(self.writer, source.chain, declared, source.passages, self.progress)
        report = job.run(files, problems)
        return Outcome(
            source.label,
            added=report.documents,
            unchanged=report.unchanged,
            problems=report.skipped,
            notes=report.notes,
        )

    def _feed(self, source: Chain, low: int, declared: Sequence[EventSignature]) -> Outcome:
        from ingest.chain.abi import known_tokens
        from ingest.chain.contracts import checked_address
        from ingest.chain.feed import Follower
        from ingest.chain.jobs import ChainJob, tokens
        from ingest.chain.records import Feed

        notes: list[str] = []
        addresses = tuple(sorted({checked_address(address) for address in source.address}))
        with self.nodes(source.rpc, source.chain) as node:
            self.writer.add_events(tokens=tokens(known_tokens(), "built-in"))
            job = ChainJob(self.writer, node.chain, declared, source.passages, self.progress)
            feed = Feed(node.chain, addresses)
            follower = Follower(
                self.writer, node, feed, job, time.sleep, notes.append, receipts=source.receipts
            )
            report = follower.read(low, source.to_block)
            notes += node.notes
        return Outcome(
            source.label,
            added=report.documents,
            notes=tuple(Problem(source.place, note) for note in notes),
        )
