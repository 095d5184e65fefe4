"""The connectors of a chain: rows of files or nodes into the tables, then what they say as documents."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import pyarrow as pa

from index.errors import ChainciteError, SourceError
from index.values import Document, Passage, Reading, SourceRef
from ingest.chain.abi import read_abi
from ingest.chain.contracts import checked_address
from ingest.chain.feed import FeedReport, Follower
from ingest.chain.files import ChainFile, batches
from ingest.chain.options import Chain
from ingest.chain.passages import RECIPE
from ingest.chain.records import Feed
from ingest.chain.rollups import told
from ingest.chain.tables import ChainRows
from ingest.connector import (
    Count,
    Doors,
    Found,
    Item,
    NoNode,
    Note,
    NothingToRead,
    Shelf,
    Summary,
    Vanished,
    fault,
)  # fmt: skip
from ingest.names import shown
from ingest.pointers import refuse_pointer
from ingest.sources import Problem, manifest_rows

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from ingest.chain.node import Node

_ORDER = ("blocks", "transactions", "transfers", "events")
SHOWN = 5
"""Faults of one file that are told; the others are counted."""


class _Told:
    """What the two connectors of a chain share: documents about rows, which are made before they are read."""

    def read(self, item: Item, _held: Document | None) -> tuple[Document, Sequence[Passage]]:
        """The document about some rows."""
        made: tuple[Document, Sequence[Passage]] = item.key
        return made

    def link(self, item: Item) -> str:
        """The place on the chain."""
        document: Document = item.key[0]
        return document.uri

    @classmethod
    def reread(cls, ref: SourceRef, doors: Doors) -> Reading:
        """The rows of a citation as their node, or their file, tells them now."""
        from ingest.chain.check import reread

        if doors.library is None:
            raise SourceError("what is told of a chain is checked with its library; open one")

        def node(chain: str) -> Node | None:
            try:
                return doors.nodes((), chain)
            except NoNode:
                return None

        return reread(ref, doors.library(), node)


class Files(_Told):
    """Files of a chain, blocks first. Rows that break a rule are left out and told; the rest goes on."""

    def __init__(self, options: Chain, _doors: Doors | None = None) -> None:
        self._chain = str(options.chain)
        self._limit = options.passages
        targets = [Path(one) for one in options.targets]
        self._files, self._problems = find_files(targets, options.manifest, options.tables)
        if self._problems and not self._files:
            raise NothingToRead(self._problems)
        self._declared = [event for file in options.abi for event in read_abi(file)]

    def discover(self, shelf: Shelf) -> Iterator[Found]:
        """The rows of all files into the tables, then the documents about them."""
        yield from self._problems
        rows = ChainRows(shelf.writer, self._chain, self._declared)
        new, read = dict.fromkeys(_ORDER, 0), 0
        for file in sorted(self._files, key=lambda file: _ORDER.index(file.kind)):
            faults = _Faults(file.path)
            for batch in self._batches(file, rows, faults, shelf):
                faults.no_hash |= batch["block_hash"].null_count > 0
                new[file.kind] += shelf.writer.add_events(**{file.kind: batch})[file.kind]
                read += batch.num_rows
            yield from faults.problems()
            yield from faults.notes()
        yield from (Count(name, number) for name, number in {**new, "rows": read}.items())
        counts = ", ".join(f"{number:,} {name}" for name, number in new.items())
        yield Summary(f"{read:,} rows read, new are {counts}")
        paths = {file.path for file in self._files} | rows.refresh()
        yield from documents(shelf, sorted(paths), self._limit)

    def _batches(self, file: ChainFile, rows: ChainRows, faults: _Faults, shelf: Shelf) -> Iterator[pa.Table]:
        """The rows of a file, prepared, up to where it cannot be read any further."""
        try:
            for batch in batches(file, self._chain, faults.tell, partial(shelf.writer.orphan, self._chain)):
                yield rows.prepared(file.kind, batch)
        except ChainciteError as error:
            if not isinstance(error, SourceError):
                raise
            faults.tell(str(error))
        except Exception as error:  # noqa: BLE001 whatever is wrong with one file, the others are read
            faults.tell(fault(error))


class Logs(_Told):
    """The logs of contracts at a node. report: what was read so far, over all readings."""

    def __init__(self, options: Chain, doors: Doors) -> None:
        self.report = FeedReport()
        self._options = options
        self._doors = doors
        self._addresses = tuple(sorted({checked_address(address) for address in options.address}))
        self._declared = [event for file in options.abi for event in read_abi(file)]
        self._node = doors.nodes(options.rpc, options.chain)
        self._follower: Follower | None = None
        self._lines: list[str] = []

    def discover(self, shelf: Shelf) -> Iterator[Found]:
        """The blocks that were not read, and the documents about the rows that changed by that."""
        options, report, node = self._options, self.report, self._node
        before, logs, new = report.high, report.logs, report.new
        if self._follower is None:
            rows = ChainRows(shelf.writer, node.chain, self._declared)
            yield from documents(shelf, sorted(rows.refresh()), options.passages)
            self._follower = self._begun(shelf, rows)
        for windows in self._follower.read(options.from_block or 0, options.to_block):
            yield from documents(shelf, windows, options.passages)
        if options.follow and report.high != before:
            self._lines.append(f"at block {report.high}, {report.new} new logs")
        yield from (Note(options.place, line) for line in [*self._lines, *node.notes])
        self._lines.clear()
        node.notes.clear()
        yield from (Count("logs", report.logs - logs), Count("new logs", report.new - new))
        reorgs = f", {len(report.reorgs)} reorganisations" if report.reorgs else ""
        what = f"{node.chain} is read from block {report.low} to {report.high}"
        yield Summary(f"{what}: {report.logs:,} logs, {report.new:,} new{reorgs}")

    def _begun(self, shelf: Shelf, rows: ChainRows) -> Follower:
        feed, say = Feed(self._node.chain, self._addresses), self._lines.append
        return Follower(
            shelf.writer, self._node, feed, rows, self._doors.wait, say,
            receipts=self._options.receipts, report=self.report,
        )  # fmt: skip


def documents(shelf: Shelf, paths: Iterable[str], limit: int) -> Iterator[Found]:
    """What is to be told of the rows that came from these paths, and what is told no more.

    limit: transactions of one path that are told one by one.
    """
    with shelf.writer.sql() as connection:
        for path in paths:
            yield from _documents(shelf, connection, path, limit)


def _documents(shelf: Shelf, connection: DuckDBPyConnection, path: str, limit: int) -> Iterator[Found]:
    before = {uri for uri, held in shelf.documents.items() if held.document.path == path}
    for document, passages in told(connection, path, limit):
        before.discard(document.uri)
        version = f"{RECIPE}.{document.sha256}.{document.status or ''}"
        yield Item((document, passages), document.title, version)
    yield from map(Vanished, before)


class _Faults:
    """What is wrong with the lines of one file: the first few are told, the rest counted."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._count = 0
        self._first: list[str] = []
        self.no_hash = False

    def tell(self, fault: str) -> None:
        self._count += 1
        if len(self._first) < SHOWN:
            self._first.append(fault)

    def problems(self) -> list[Problem]:
        more = self._count - len(self._first)
        rest = [f"{more} more lines are left out"] if more else []
        return [Problem(self._path, fault) for fault in [*self._first, *rest]]

    def notes(self) -> list[Note]:
        why = (
            "has no block hashes, nor are its blocks known: citations name their numbers; give --blocks FILE"
        )
        return [Note(self._path, why)] if self.no_hash else []


def find_files(
    targets: Sequence[Path], manifest: Path | None = None, tables: Mapping[Path, str] = MappingProxyType({})
) -> tuple[list[ChainFile], list[Problem]]:
    """The files that targets name, and what is wrong with the others.

    targets: files, or folders whose files are all taken; with a manifest and no target, its files of kind
    `chain` are taken. A file of the manifest is known by its path there. tables: the table of a target's
    rows, where a person says so.
    """
    said = {file.resolve(): table for target, table in tables.items() for file in _under(target)}
    names = _manifest(manifest) if manifest else {}
    wanted = [file for target in targets for file in _under(target)] or list(names)
    files, problems = list[ChainFile](), list[Problem]()
    for location in dict.fromkeys(file.resolve() for file in wanted):
        path = shown(names.get(location, location.name))
        try:
            with suppress(OSError), location.open("rb") as file:
                refuse_pointer(file.read(2048))
            files.append(ChainFile.open(location, path, said.get(location)))
        except SourceError as error:
            problems.append(Problem(path, str(error)))
        except Exception as error:  # noqa: BLE001 whatever is wrong with one file, the others are read
            problems.append(Problem(path, fault(error)))
    return files, problems


def _under(target: Path) -> list[Path]:
    return sorted(file for file in target.iterdir() if file.is_file()) if target.is_dir() else [target]


def _manifest(manifest: Path) -> dict[Path, str]:
    """The files of kind `chain` in a manifest, with their paths there."""
    rows = [row for row in manifest_rows(manifest) if isinstance(row, dict) and row.get("kind") == "chain"]
    paths = [row["path"] for row in rows if isinstance(row.get("path"), str)]
    return {(manifest.resolve().parent / path).resolve(): path for path in paths}
