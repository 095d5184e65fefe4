"""What changes a library: documents, passages and rows of the chain, published as generations."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from index import chain, generation, shards, sql, tables
from index.cache import VectorCache
from index.doctor import renewed
from index.embed import Embedder, Vectors, load
from index.errors import LibraryError
from index.generation import Generation
from index.snapshot import Snapshot, agree
from index.tables import Tables
from index.values import Document, Kind, Passage, Position
from index.words import WordWriter

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

CHECKPOINT = 4096
"""Passages that a writer gathers before it publishes them."""

ROOM = 3
"""Room on the disk that publishing wants before it begins, times the size of the new rows."""

ROWS = 500_000
"""Rows of the chain that a writer gathers before it publishes them."""

CROWD = 200
"""Files that come to the tables before they are joined, and those of older generations deleted."""

LEAST_ROOM = 1_000_000
"""Bytes that must be free for a writer to begin at all."""


_NAMED_CODE = """
    SELECT path, passages FROM passages JOIN documents USING (uri)
    WHERE kind = 'code' AND len(identifiers) > 0 AND contains(text, 'event ') ORDER BY uri, ordinal
"""


class Writer:
    """Adds and removes documents. Made by `Library.writer`, which holds the lock.

    chunker: fingerprint of what cuts the passages; progress: called with the passages embedded so far.
    """

    def __init__(self, folder: Path, embedder: str) -> None:
        self.folder = folder
        self._embedder = load(embedder)
        self._tables = Tables(folder / "tables")
        self.generation = self._start()
        self.chunker = self.generation.chunker
        self._cache = VectorCache(folder / "vectors.sqlite", self._embedder)
        self._added: dict[str, tuple[Document, str, tuple[Passage, ...]]] = {}
        self._gone: set[str] = set()
        self._waiting = 0
        self._rows = 0
        self._indexed = 0
        self._crowded = CROWD
        self.progress: Callable[[int], None] = lambda _: None

    @property
    def embedder(self) -> Embedder:
        """The model that embeds what is added."""
        return self._embedder

    @property
    def embedded(self) -> int:
        """How many texts the model has seen in this writer's life."""
        return self._cache.embedded

    def known(self) -> dict[str, tuple[Document, str]]:
        """The published documents by uri, each with the recipe it was made by."""
        catalogue = Snapshot(self.generation, self.folder).catalogue
        recipes = (recipe for _, recipe in catalogue.recipes())
        return {d.uri: (d, recipe) for d, recipe in zip(catalogue.documents(), recipes, strict=True)}

    def add(self, document: Document, passages: Sequence[Passage], recipe: str = "") -> None:
        """Adds a document, or replaces the one of the same uri.

        recipe: how it was read and cut; it comes back from `known`.
        """
        self._gone.add(document.uri)
        self._waiting += len(passages)
        self._added[document.uri] = (document, recipe, tuple(passages))
        if self._waiting >= CHECKPOINT:
            self.publish()

    def add_events(
        self,
        *,
        events: pa.Table | None = None,
        blocks: pa.Table | None = None,
        transactions: pa.Table | None = None,
        transfers: pa.Table | None = None,
        tokens: pa.Table | None = None,
    ) -> dict[str, int]:
        """Adds rows to the tables of the chain; returns how many of each table were not there.

        The columns are those of `index.events.SCHEMAS`; one that is missing is null. A row is named by
        `index.events.KEYS`, and is added once, however often it is given. Rows of a block that was orphaned
        stand again. Raises LibraryError for a column that is not in the schema.
        """
        given = {
            "blocks": blocks,
            "transactions": transactions,
            "events": events,
            "transfers": transfers,
            "tokens": tokens,
        }
        new = {}
        for name, rows in given.items():
            if rows is not None:
                ensure_room(self.folder, rows.nbytes)
                new[name] = chain.add(self._tables, name, rows)
        self._rows += sum(new.values())
        if self._rows >= ROWS:
            self.publish()
        return new

    def orphan(self, on: str, block_hashes: Collection[str]) -> int:
        """Marks the rows of blocks that a reorganisation displaced, and removes the documents about them.

        on: CAIP-2 id of the chain. The rows stay, outside of the views; returns how many they are.
        """
        hashes = set(block_hashes)
        changed = chain.orphan(self._tables, on, hashes)
        places = {uri: Position.of(uri) for uri in [*self.known(), *self._added]}
        gone = {
            uri for uri, place in places.items() if place and place.chain == on and place.block_hash in hashes
        }
        self._gone |= gone
        for uri in gone:
            self._added.pop(uri, None)
        return changed

    def finalize(self, on: str, safe: int, finalized: int) -> int:
        """Upgrades the finality of the rows of a chain up to these block numbers; returns how many changed.

        on: CAIP-2 id of the chain. Rows of files, which have no finality, stay without.
        """
        return chain.finalize(self._tables, on, safe, finalized)

    def rows(self, name: str, low: int, high: int, columns: Sequence[str]) -> pa.Table:
        """Columns of a chain's table from block `low` to `high`, with orphans and what is unpublished."""
        return self._tables.between(name, low, high, columns)

    def named_code(self) -> list[tuple[str, str, list[str]]]:
        """Path, text and identifiers of the published passages of code that declare events."""
        rows = self._tables.query(_NAMED_CODE, self.generation.tables)
        found = [(path, tables.passage_from(row)) for path, row in rows]
        return [(path, passage.text, list(passage.identifiers)) for path, passage in found]

    def sql(self) -> DuckDBPyConnection:
        """As `Library.sql`, over the tables as they stand, published or not."""
        return sql.connect(self.folder, self._tables.files(self._tables.versions()))

    def remove(self, uris: Collection[str]) -> None:
        """Removes documents and their passages when it publishes next.

        Their vectors stay in the cache, for the same text under another name.
        """
        self._gone.update(uris)
        for uri in uris:
            self._added.pop(uri, None)

    def forget(self, uris: Collection[str]) -> None:
        """Removes documents, their passages and vectors, from the older versions on disk too.

        With the last document about the rows of a file of the chain, these rows go as well.
        """
        self._forget_rows(set(uris))
        last = Snapshot(self.generation, self.folder)
        texts = [passage.indexed_text for uri in uris for passage in last.passages(uri)]
        self._gone.update(uris)
        for uri in uris:
            self._added.pop(uri, None)
        self.publish()
        self._cache.forget(texts)
        self._tables.vacuum()
        generation.sweep(self.folder, kept=1)

    def _forget_rows(self, uris: set[str]) -> None:
        known = {uri: document for uri, (document, _) in self.known().items() if document.kind is Kind.EVENT}
        kept = {document.path for uri, document in known.items() if uri not in uris}
        for path in {document.path for uri, document in known.items() if uri in uris} - kept:
            for name in chain.BY_BLOCK:
                self._tables.delete(name, f"path = {tables.quoted(path)}")

    def publish(self) -> None:
        """Embeds and commits what is waiting, and makes it the current generation."""
        if not self._gone:
            self._publish_rows()
            return
        added, gone = list(self._added.values()), self._gone
        passages = [passage for _, _, some in added for passage in some]
        vectors = self._embedded(passages)
        rows = tables.passage_rows(passages, vectors)
        documents = tables.document_rows([(document, recipe) for document, recipe, _ in added])
        published = self._published(gone)
        ensure_room(self.folder, ROOM * rows.nbytes)
        versions = self._tables.replace(published, documents, rows)
        by_document = [some for _, _, some in added]
        self._publish(versions, {tables.document_key(uri) for uri in published}, rows, vectors, by_document)
        self._added, self._gone, self._waiting, self._rows = {}, set(), 0, 0

    def _publish_rows(self) -> None:
        """Makes a generation of the tables as they stand; the indexes are those of the last one."""
        versions = self._tables.versions()
        files = self._tables.digests(versions, self.generation.files)
        self._rows = 0
        if files == self.generation.files:
            return
        self._make_current(
            replace(
                self.generation,
                number=self.generation.number + 1,
                created_at=datetime.now(UTC),
                tables=versions,
                files=files,
                counts=self._tables.counts(versions),
            )
        )

    def _make_current(self, now: Generation) -> None:
        self.generation = now
        generation.publish(self.folder, now)
        generation.sweep(self.folder)
        if len(now.files) >= self._crowded:
            self._compact()

    def _compact(self) -> None:
        """Makes a generation of fewer files, for a library that is written to often, a little at a time."""
        self._tables.compact()
        versions = self._tables.versions()
        files = self._tables.digests(versions, self.generation.files)
        self._crowded = len(files) + CROWD
        self._make_current(
            replace(self.generation, number=self.generation.number + 1, tables=versions, files=files)
        )
        newest = islice(generation.all_readable(self.folder), generation.KEPT)
        self._tables.vacuum([found.tables for found in newest])

    def close(self) -> None:
        """Frees what is held. What was not published is undone; its vectors stay in the cache."""
        self._cache.close()

    def _start(self) -> Generation:
        if not generation.exists(self.folder):
            return self._found()
        now = generation.current(self.folder)
        same_name(now, self._embedder.name)
        same_model(now, self._embedder)
        now = renewed(self.folder, now)
        versions = self._tables.restore(now.tables)
        return replace(now, tables=versions, counts={**dict.fromkeys(tables.SCHEMAS, 0), **now.counts})

    def _found(self) -> Generation:
        words = "words-00000000"
        WordWriter(self.folder / "words" / words, None).commit()
        first = Generation(
            number=0,
            created_at=datetime.now(UTC),
            tables=self._tables.create(),
            counts=dict.fromkeys(tables.SCHEMAS, 0),
            shards=(),
            words=words,
            embedder=self._embedder.name,
            fingerprint=self._embedder.fingerprint,
            dimension=self._embedder.dimension,
            chunker="",
        )
        generation.publish(self.folder, first)
        return first

    def _embedded(self, passages: Sequence[Passage]) -> Vectors:
        """Vectors of the passages, in their order; embedded in order of length, reported as it goes."""
        out = np.empty((len(passages), self._embedder.dimension), np.float32)
        order = np.argsort([len(passage.indexed_text) for passage in passages], kind="stable")
        for at in range(0, len(order), 512):
            some = order[at : at + 512]
            out[some] = self._cache.embed([passages[i].indexed_text for i in some])
            self._indexed += len(some)
            self.progress(self._indexed)
        return out

    def _published(self, uris: Collection[str]) -> set[str]:
        return set(Snapshot(self.generation, self.folder).catalogue.uris) & set(uris)

    def _publish(
        self,
        versions: dict[str, int],
        gone: Collection[int],
        rows: pa.Table,
        vectors: Vectors,
        added: Sequence[Sequence[Passage]],
    ) -> None:
        number = self.generation.number + 1
        name = f"words-{number:08d}"
        writer = WordWriter(self.folder / "words" / name, self.folder / "words" / self.generation.words)
        for document in gone:
            writer.remove(document)
        for passages in added:
            if passages:
                writer.add(tables.document_key(passages[0].uri), passages)
        count = writer.commit()
        now = replace(
            self.generation,
            number=number,
            created_at=datetime.now(UTC),
            tables=versions,
            files=self._tables.digests(versions, self.generation.files),
            shards=shards.extend(self.folder / "shards", self.generation.shards, gone, rows, vectors),
            words=name,
            chunker=self.chunker,
        )
        total = sum(shard.count for shard in now.shards)
        agree("passages in the word index", count, total)
        self._make_current(replace(now, counts={**self._tables.counts(versions), "passages": total}))


def ensure_room(folder: Path, wanted: int) -> None:
    """Raises OSError when fewer bytes than wanted are free on the disk of a folder."""
    if (free := shutil.disk_usage(folder).free) < wanted:
        raise OSError(errno.ENOSPC, f"No space left on device ({free:,} bytes free, {wanted:,} wanted)")


def same_name(now: Generation, embedder: str) -> None:
    """Raises LibraryError when a library was built with an embedding model of another name."""
    if now.embedder != embedder:
        raise LibraryError(
            f"the library was built with the embedding model {now.embedder!r}, the settings say {embedder!r};"
            f" set CHAINCITE_EMBEDDER={now.embedder}, or choose another library with --library DIR"
        )


def same_model(now: Generation, embedder: Embedder) -> None:
    """Raises LibraryError when the embedding model is not what it was when the library was built."""
    if now.fingerprint != embedder.fingerprint or now.dimension != embedder.dimension:
        raise LibraryError(
            f"the library was built with {now.fingerprint}, but the model {embedder.name!r} is now"
            f" {embedder.fingerprint}; restore the old model, or ingest into a new library with --library DIR"
        )
