"""The library: the one door to everything on disk.

with Library.writer(folder) as writer:  # one writer at a time
    writer.add(document, passages)
Library(folder).search("What burns the base fee?")  # any number of readers, in any process
"""

from __future__ import annotations

import contextlib
import errno
import re
import shutil
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from typing import TypeVar

import numpy as np
import pyarrow as pa

from index import generation, shards, tables
from index.cache import VectorCache
from index.catalogue import Catalogue
from index.embed import DEFAULT_MODEL, Embedder, Vectors, load
from index.errors import ChainciteError, LibraryError
from index.generation import Generation
from index.once import once
from index.search import Options
from index.snapshot import Snapshot, Status, agree
from index.tables import Tables
from index.values import Document, Filters, Hit, Passage
from index.words import WordWriter, terms

Served = TypeVar("Served")

CHECKPOINT = 4096
"""Passages that a writer gathers before it publishes them."""

ROOM = 3
"""Room on the disk that publishing wants before it begins, times the size of the new rows."""

LEAST_ROOM = 1_000_000
"""Bytes that must be free for a writer to begin at all."""

_FULL = re.compile("no space left on device|disk is full", re.IGNORECASE)


class Library:
    """A library, open for reading. It serves the newest generation, and moves on when one is published.

    Threads may share it: each call is answered from one generation, whole.
    folder: the library's folder; embedder: the model it must have been built with.
    Raises LibraryError when there is none, or it is damaged, of a newer format, or of another model.
    """

    def __init__(self, folder: Path, embedder: str = DEFAULT_MODEL) -> None:
        self.folder = folder
        self._embedder_name = embedder
        self._now: Snapshot | None = None
        self._moving = Lock()
        self._served(lambda now: now)

    @property
    def generation(self) -> int:
        """The number of the newest generation."""
        return self._served(lambda now: now.generation.number)

    @once
    def embedder(self) -> Embedder:
        """The embedding model, loaded when it is first needed."""
        found = load(self._embedder_name)
        self._served(lambda now: _same_model(now.generation, found))
        return found

    def search(
        self, question: str, k: int = 10, filters: Filters = Filters(), options: Options = Options()
    ) -> list[Hit]:
        """The k passages that best answer a question, best first; ties break by passage key.

        filters hold inside the searches, so k passages come back whenever k match them.
        """
        if not question.strip() or k < 1:
            return []
        vector = self.embedder.embed_queries([question])[0]
        return self._served(lambda now: now.search(question, vector, k, filters, options))

    def passage(self, passage_id: str) -> Passage:
        """The passage with this id. Raises LibraryError when the current generation has none."""
        try:
            key = int(passage_id[:16], 16) >> 1
            [found] = self._served(lambda now: now.shards.passages([key]))
        except (ValueError, KeyError, OverflowError):
            found = None
        if found is None or found.id != passage_id:
            raise LibraryError(
                f"the library holds no passage {passage_id!r}; `chaincite search --json` lists passages by id"
            )
        return found

    def passages(self, uri: str) -> list[Passage]:
        """All passages of a document in order; their texts, joined, are the document's text."""
        return self._served(lambda now: now.passages(uri))

    def neighbours(self, passage: Passage, before: int = 1, after: int = 1) -> list[Passage]:
        """The passage with up to `before` and `after` passages of the same document around it, in order."""
        return self.passages(passage.uri)[max(passage.ordinal - before, 0) : passage.ordinal + after + 1]

    def documents(self, filters: Filters = Filters()) -> list[Document]:
        """The documents that pass a filter, ordered by uri."""
        return self._served(lambda now: now.catalogue.documents(filters))

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Texts to float32 rows of unit length, shape (len(texts), dimension)."""
        return self.embedder.embed(texts)

    def stems(self, text: str) -> list[str]:
        """The terms of a text as the word index knows them."""
        return self._served(lambda now: now.words.stems(terms(text)))

    def frequency(self, stem: str) -> int:
        """In how many passages a stem stands."""
        return self._served(lambda now: now.words.frequency(stem))

    @property
    def size(self) -> int:
        """How many passages it holds."""
        return self._served(lambda now: now.generation.counts["passages"])

    def status(self) -> Status:
        """What the library holds."""
        return self._served(lambda now: now.status())

    @staticmethod
    @contextlib.contextmanager
    def writer(folder: Path, embedder: str = DEFAULT_MODEL) -> Iterator[Writer]:
        """The library's writer; makes the library when there is none. Publishes what was added at the end.

        After an interruption or an error the library is as last published, and every vector that was computed
        is in the cache.
        """
        with _full_disk_told(folder), generation.writer_lock(folder):
            _ensure_room(folder, LEAST_ROOM)
            writer = Writer(folder, embedder)
            try:
                yield writer
                writer.publish()
            finally:
                writer.close()

    def _served(self, use: Callable[[Snapshot], Served]) -> Served:
        """What `use` makes of the newest generation; again where a writer swept that away meanwhile."""
        while True:
            name = generation.current_name(self.folder)
            try:
                return use(self._newest(name))
            except LibraryError:
                if generation.current_name(self.folder) == name:
                    raise

    def _newest(self, name: str) -> Snapshot:
        with self._moving:
            if self._now is None or self._now.generation.name != name:
                found = generation.current(self.folder)
                _same_name(found, self._embedder_name)
                if self._now is None or self._now.generation.name != found.name:
                    self._now = Snapshot(found, self.folder)
            return self._now


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
        self._indexed = 0
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
        catalogue = Catalogue(self._tables.documents(self.generation.tables["documents"]))
        return {uri: (catalogue.document(uri), recipe) for uri, recipe in catalogue.recipes()}

    def add(self, document: Document, passages: Sequence[Passage], recipe: str = "") -> None:
        """Adds a document, or replaces the one of the same uri.

        recipe: how it was read and cut; it comes back from `known`.
        """
        self._gone.add(document.uri)
        self._waiting += len(passages)
        self._added[document.uri] = (document, recipe, tuple(passages))
        if self._waiting >= CHECKPOINT:
            self.publish()

    def forget(self, uris: Collection[str]) -> None:
        """Removes documents, their passages and their vectors, from the older versions on disk too."""
        last = Snapshot(self.generation, self.folder)
        texts = [passage.indexed_text for uri in uris for passage in last.passages(uri)]
        self._gone.update(uris)
        for uri in uris:
            self._added.pop(uri, None)
        self.publish()
        self._cache.forget(texts)
        self._tables.vacuum()
        generation.sweep(self.folder, kept=1)

    def publish(self) -> None:
        """Embeds and commits what is waiting, and makes it the current generation."""
        if not self._gone:
            return
        added, gone = list(self._added.values()), self._gone
        passages = [passage for _, _, some in added for passage in some]
        vectors = self._embedded(passages)
        rows = tables.passage_rows(passages, vectors)
        documents = tables.document_rows([(document, recipe) for document, recipe, _ in added])
        published = self._published(gone)
        _ensure_room(self.folder, ROOM * rows.nbytes)
        versions = self._tables.replace(published, documents, rows)
        by_document = [some for _, _, some in added]
        self._publish(versions, {tables.document_key(uri) for uri in published}, rows, vectors, by_document)
        self._added, self._gone, self._waiting = {}, set(), 0

    def close(self) -> None:
        """Frees what is held. What was not published is undone; its vectors stay in the cache."""
        self._cache.close()

    def _start(self) -> Generation:
        if not generation.exists(self.folder):
            return self._found()
        now = generation.current(self.folder)
        _same_name(now, self._embedder.name)
        _same_model(now, self._embedder)
        versions = self._tables.restore(now.tables)
        return replace(now, tables=versions)

    def _found(self) -> Generation:
        words = "words-00000000"
        WordWriter(self.folder / "words" / words, None).commit()
        first = Generation(
            number=0,
            created_at=datetime.now(UTC),
            tables=self._tables.create(),
            counts={"documents": 0, "passages": 0, "events": 0},
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
        there = set(Catalogue(self._tables.documents(self.generation.tables["documents"])).uris)
        return there & set(uris)

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
        documents = self._tables.documents(versions["documents"]).num_rows
        self.generation = replace(now, counts={"documents": documents, "passages": total, "events": 0})
        generation.publish(self.folder, self.generation)
        generation.sweep(self.folder)


def _ensure_room(folder: Path, wanted: int) -> None:
    if (free := shutil.disk_usage(folder).free) < wanted:
        raise OSError(errno.ENOSPC, f"No space left on device ({free:,} bytes free, {wanted:,} wanted)")


@contextlib.contextmanager
def _full_disk_told(folder: Path) -> Iterator[None]:
    """Makes one error of the many that SQLite, Delta, tantivy and the system raise for a full disk."""
    try:
        yield
    except Exception as error:
        if isinstance(error, ChainciteError) or not _FULL.search(str(error)):
            raise
        raise LibraryError(
            f"the disk of the library at {folder} is full; make room and run the command again: what was"
            " published is whole, and what was embedded is kept"
        ) from error


def _same_name(now: Generation, embedder: str) -> None:
    if now.embedder != embedder:
        raise LibraryError(
            f"the library was built with the embedding model {now.embedder!r}, the settings say {embedder!r};"
            f" set CHAINCITE_EMBEDDER={now.embedder}, or choose another library with --library DIR"
        )


def _same_model(now: Generation, embedder: Embedder) -> None:
    if now.fingerprint != embedder.fingerprint or now.dimension != embedder.dimension:
        raise LibraryError(
            f"the library was built with {now.fingerprint}, but the model {embedder.name!r} is now"
            f" {embedder.fingerprint}; restore the old model, or ingest into a new library with --library DIR"
        )
