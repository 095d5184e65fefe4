"""One generation of a library, open for reading."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from index import sql, tables
from index.catalogue import Catalogue
from index.embed import Vectors
from index.errors import LibraryError
from index.generation import Generation
from index.once import once
from index.search import Options, Ranker
from index.shards import Shards
from index.tables import Tables
from index.values import Filters, Hit, Passage
from index.words import Words

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


@dataclass(frozen=True, slots=True)
class Status:
    """What a library holds. Sizes in bytes; passages and documents by kind."""

    generation: int
    created_at: datetime
    documents: int
    passages: int
    vectors: int
    events: int
    documents_by_kind: dict[str, int]
    passages_by_kind: dict[str, int]
    embedder: str
    chunker: str
    size: int
    shards: int
    folder: str = field(default="")


@dataclass(frozen=True)
class Snapshot:
    """One generation, open for reading."""

    generation: Generation
    folder: Path

    @once
    def catalogue(self) -> Catalogue:
        """The documents, and which of them pass a filter."""
        found, files = Tables(self.folder / "tables"), self.generation.files
        found.check({file: files[file] for file in files if file.startswith("documents/")})
        return Catalogue(found.documents(self.generation.tables["documents"]))

    @once
    def shards(self) -> Shards:
        """Passages and vectors."""
        found = Shards(self.folder / "shards", self.generation.shards)
        agree("passages in the vector index", len(found.keys), self.generation.counts["passages"])
        return found

    @once
    def words(self) -> Words:
        """The word index."""
        found = Words(self.folder / "words" / self.generation.words)
        agree("passages in the word index", found.count, self.generation.counts["passages"])
        return found

    def passages(self, uri: str) -> list[Passage]:
        """All passages of a document, in order."""
        positions = np.flatnonzero(self.shards.documents == tables.document_key(uri))
        return sorted(self.shards.at(positions), key=lambda passage: passage.ordinal)

    def openings(self, uris: Collection[str]) -> dict[str, Passage]:
        """As `Library.openings`."""
        keys = np.fromiter((tables.document_key(uri) for uri in uris), np.int64)
        first = np.asarray(self.shards.column("ordinal")) == 0
        positions = np.flatnonzero(first & np.isin(self.shards.documents, keys))
        return {passage.uri: passage for passage in self.shards.at(positions)}

    def search(self, question: str, vector: Vectors, k: int, filters: Filters, options: Options) -> list[Hit]:
        """As `Library.search`, for a question and its vector."""
        if not self.generation.counts["passages"]:
            return []
        ranker = Ranker(self.catalogue, self.shards, self.words, options)
        try:
            ranked = ranker.rank(question, vector, k, filters)
            passages = self.shards.passages(key for key, _, _ in ranked)
            return [
                Hit(self.catalogue.document(passage.uri), passage, score, parts)
                for passage, (_, score, parts) in zip(passages, ranked, strict=True)
            ]
        except KeyError as error:
            raise LibraryError(
                f"the indexes of the library do not agree ({error} is not in all of them); `chaincite doctor"
                " --repair` makes them again from the tables, without embedding anything"
            ) from error

    def sql(self, *, memory: str, threads: int) -> DuckDBPyConnection:
        """As `Library.sql`."""
        files = Tables(self.folder / "tables").files(self.generation.tables)
        return sql.connect(self.folder, files, memory=memory, threads=threads)

    def status(self) -> Status:
        """What the library holds."""
        now = self.generation
        by_kind = "SELECT kind, count(*) FROM {} GROUP BY kind ORDER BY kind"
        found = Tables(self.folder / "tables")
        return Status(
            generation=now.number,
            created_at=now.created_at,
            documents=now.counts["documents"],
            passages=now.counts["passages"],
            vectors=sum(shard.count for shard in now.shards),
            events=now.counts["events"],
            documents_by_kind=dict(found.query(by_kind.format("documents"), now.tables)),
            passages_by_kind=dict(
                found.query(by_kind.format("passages JOIN documents USING (uri)"), now.tables)
            ),
            embedder=now.fingerprint,
            chunker=now.chunker,
            size=_size(self.folder),
            shards=len(now.shards),
            folder=str(self.folder),
        )


def _size(folder: Path) -> int:
    """Bytes of all files in a folder, apart from those that a writer sweeps away meanwhile."""
    total = 0
    for place, _, files in os.walk(folder):
        for name in files:
            with contextlib.suppress(FileNotFoundError):
                total += Path(place, name).stat().st_size
    return total


def agree(what: str, seen: int, wanted: int) -> None:
    """Raises LibraryError when a part of the library has not as many passages as the manifest says."""
    if seen != wanted:
        raise LibraryError(
            f"the library is damaged: {seen} {what}, {wanted} in the manifest; `chaincite doctor --repair`"
            " makes the indexes again from the tables, without embedding anything"
        )
