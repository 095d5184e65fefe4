"""The library: the one door to everything on disk.

with Library.writer(folder) as writer:  # one writer at a time
    writer.add(document, passages)
Library(folder).search("What burns the base fee?")  # any number of readers, in any process
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, TypeVar

from index import generation
from index.cache import remembered
from index.doctor import renewed
from index.embed import Embedder, Vectors, load
from index.errors import ChainciteError, LibraryError
from index.network import DEFAULT_MODEL
from index.once import once
from index.search import Options
from index.snapshot import Snapshot, Status
from index.terms import terms
from index.values import Document, Filters, Hit, Passage
from index.writer import LEAST_ROOM, Writer, ensure_room, same_model, same_name

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from index.retriever import LibraryRetriever

Served = TypeVar("Served")

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
        self._renew_words()
        self._served(lambda now: now)

    @property
    def generation(self) -> int:
        """The number of the newest generation."""
        return self._served(lambda now: now.generation.number)

    @property
    def embedder_name(self) -> str:
        """The name of the embedding model that it was opened with."""
        return self._embedder_name

    @once
    def embedder(self) -> Embedder:
        """The embedding model, loaded when it is first needed."""
        found = load(self._embedder_name)
        self._served(lambda now: same_model(now.generation, found))
        return found

    def search(
        self, question: str, k: int = 10, filters: Filters = Filters(), options: Options = Options()
    ) -> list[Hit]:
        """The k passages that best answer a question, best first; ties break by passage key.

        filters hold inside the searches, so k passages come back whenever k match them.
        """
        if not question.strip() or k < 1:
            return []
        vector = self._vector(question)
        return self._served(lambda now: now.search(question, vector, k, filters, options))

    def as_retriever(
        self, k: int = 10, filters: Filters = Filters(), options: Options = Options()
    ) -> LibraryRetriever:
        """A LangChain retriever over this library, whose documents carry all that a citation needs."""
        from index.retriever import LibraryRetriever

        return LibraryRetriever(search=self.search, k=k, filters=filters, options=options)

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

    def openings(self, uris: Collection[str]) -> dict[str, Passage]:
        """The first passage of each of these documents, by uri: the header, where a document has one."""
        return self._served(lambda now: now.openings(uris))

    def neighbours(self, passage: Passage, before: int = 1, after: int = 1) -> list[Passage]:
        """The passage with up to `before` and `after` passages of the same document around it, in order."""
        return self.passages(passage.uri)[max(passage.ordinal - before, 0) : passage.ordinal + after + 1]

    def document(self, uri: str) -> Document | None:
        """The document of this uri; None where there is none."""
        try:
            return self._served(lambda now: now.catalogue.document(uri))
        except KeyError:
            return None

    def documents(self, filters: Filters = Filters()) -> list[Document]:
        """The documents that pass a filter, ordered by uri."""
        return self._served(lambda now: now.catalogue.documents(filters))

    def named(self, designations: Sequence[str]) -> list[Document]:
        """The documents that have these designations, such as `EIP-1559`, in this order."""
        return self._served(lambda now: now.catalogue.named(designations))

    def respelled(self, stem: str) -> str | None:
        """The commonest stem that is spelled nearly as this one, or with which it begins; None without."""
        return self._served(lambda now: now.words.respelled(stem))

    def check(self, filters: Filters) -> None:
        """Raises SettingsError where a value of a filter, such as an author, matches no document at all.

        A library without documents lets all filters pass, as do filters that only together leave nothing.
        """
        self._served(lambda now: now.catalogue.check(filters))

    def sql(self, *, memory: str = "1GB", threads: int = 2) -> DuckDBPyConnection:
        """A locked, read-only DuckDB connection over the newest generation's tables; the caller closes it.

        Its views are blocks, transactions, events, token_transfers, tokens, documents and orphaned_events, as
        `index.sql.describe` says. It stays with this generation when others are published.
        memory, threads: what DuckDB may take.
        """
        return self._served(lambda now: now.sql(memory=memory, threads=threads))

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Texts to float32 rows of unit length, shape (len(texts), dimension)."""
        return self.embedder.embed(texts)

    def stems(self, text: str) -> list[str]:
        """The terms of a text as the word index knows them."""
        return self._served(lambda now: now.words.stems(terms(text)))

    def frequencies(self, stems: Sequence[str]) -> list[int]:
        """In how many passages each stem stands."""
        return self._served(lambda now: now.words.frequencies(stems))

    @property
    def size(self) -> int:
        """How many passages it holds."""
        return self._served(lambda now: now.generation.counts["passages"])

    @property
    def events(self) -> int:
        """How many logs of chains it holds."""
        return self._served(lambda now: now.generation.counts["events"])

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
            ensure_room(folder, LEAST_ROOM)
            writer = Writer(folder, embedder)
            try:
                yield writer
                writer.publish()
            finally:
                writer.close()

    @once
    def _vector(self) -> Callable[[str], Vectors]:
        return remembered(self.embedder)

    def _served(self, use: Callable[[Snapshot], Served]) -> Served:
        """What `use` makes of the newest generation; again where a writer swept that away meanwhile."""
        while True:
            name = generation.current_name(self.folder)
            try:
                return use(self._newest(name))
            except LibraryError:
                if generation.current_name(self.folder) == name:
                    raise

    def _renew_words(self) -> None:
        """Makes the word index again where an older chaincite made it, unless another process writes.

        A library that cannot be written to is searched by the terms that it has.
        """
        found = generation.current(self.folder)
        if found.format >= generation.FORMAT:
            return
        same_name(found, self._embedder_name)
        with contextlib.suppress(LibraryError, OSError), generation.writer_lock(self.folder):
            renewed(self.folder, generation.current(self.folder))

    def _newest(self, name: str) -> Snapshot:
        with self._moving:
            if self._now is None or self._now.generation.name != name:
                found = generation.current(self.folder)
                same_name(found, self._embedder_name)
                if self._now is None or self._now.generation.name != found.name:
                    self._now = Snapshot(found, self.folder)
            return self._now


@contextlib.contextmanager
def _full_disk_told(folder: Path) -> Iterator[None]:
    """Makes one error of the many that SQLite, Delta, tantivy and the system raise for a full disk."""
    try:
        yield
    except Exception as error:
        ours = isinstance(error, ChainciteError) and not isinstance(error.__cause__, Exception)
        if ours or not _FULL.search(f"{error} {error.__cause__ or ''}"):
            raise
        raise LibraryError(
            f"the disk of the library at {folder} is full; make room and run the command again: what was"
            " published is whole, and what was embedded is kept"
        ) from error
