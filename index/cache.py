"""Vectors that have been computed once: those of passages on disk, those of questions in memory.

The first are kept by (model fingerprint, sha256 of the text). SQLite makes each batch durable as it is
embedded, so a killed job pays for nothing twice.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np

from index.embed import Embedder, Vectors
from index.errors import LibraryError

BATCH = 32
"""Texts embedded between two writes to disk: what a kill can cost at most."""

REMEMBERED = 1024
"""Questions whose vectors are kept in memory: those asked last."""

LONGEST = 4096
"""Characters of the longest question that is kept."""

_SET_UP = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = NORMAL",
    "CREATE TABLE IF NOT EXISTS vectors (model TEXT, text BLOB, vector BLOB, PRIMARY KEY (model, text))",
)


class VectorCache:
    """An embedder that remembers. Not to be shared by threads.

    embedded: how many texts the model has really seen since this was opened.
    Raises LibraryError when the file is not what it should be.
    """

    def __init__(self, file: Path, embedder: Embedder) -> None:
        self._embedder = embedder
        self._connection = sqlite3.connect(file, isolation_level=None, timeout=30)
        self.embedded = 0
        try:
            for statement in _SET_UP:
                self._connection.execute(statement)
        except sqlite3.DatabaseError as error:
            self._connection.close()
            raise LibraryError(
                f"the cache of vectors {file} cannot be used ({error}); where it is damaged, delete it: the"
                " library itself does not need it"
            ) from error

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Float32 rows of unit length, shape (len(texts), dimension); only unseen texts reach the model."""
        names = [hashlib.sha256(text.encode(errors="surrogatepass")).digest() for text in texts]
        known = self._known(names)
        missing = {name: text for name, text in zip(names, texts, strict=True) if name not in known}
        order = sorted(missing, key=lambda name: len(missing[name]))
        for at in range(0, len(order), BATCH):
            batch = order[at : at + BATCH]
            vectors = self._embedder.embed([missing[name] for name in batch])
            self._keep(batch, vectors)
            known.update(zip(batch, vectors, strict=True))
        rows = [known[name] for name in names]
        return np.array(rows, np.float32).reshape(len(texts), self._embedder.dimension)

    def forget(self, texts: Sequence[str]) -> None:
        """Removes the vectors of these texts, of every model."""
        names = [(hashlib.sha256(text.encode(errors="surrogatepass")).digest(),) for text in texts]
        self._connection.execute("BEGIN")
        self._connection.executemany("DELETE FROM vectors WHERE text = ?", names)
        self._connection.execute("COMMIT")

    def close(self) -> None:
        """Ends the connection."""
        self._connection.close()

    def _known(self, names: Sequence[bytes]) -> dict[bytes, Vectors]:
        found: dict[bytes, Vectors] = {}
        for at in range(0, len(names), 500):
            some = names[at : at + 500]
            marks = ", ".join("?" * len(some))
            sql = f"SELECT text, vector FROM vectors WHERE model = ? AND text IN ({marks})"  # noqa: S608
            rows = self._connection.execute(sql, (self._embedder.fingerprint, *some))
            found.update((name, np.frombuffer(vector, np.float32)) for name, vector in rows)
        return found

    def _keep(self, names: Sequence[bytes], vectors: Vectors) -> None:
        self._connection.execute("BEGIN")
        self._connection.executemany(
            "INSERT OR REPLACE INTO vectors VALUES (?, ?, ?)",
            [(self._embedder.fingerprint, n, v.tobytes()) for n, v in zip(names, vectors, strict=True)],
        )
        self._connection.execute("COMMIT")
        self.embedded += len(names)


def remembered(embedder: Embedder) -> Callable[[str], Vectors]:
    """Gives the unit vector of a question, shape (dimension,), and remembers it; threads may share it."""

    def vector(question: str) -> Vectors:
        found: Vectors = embedder.embed_queries([question])[0]
        found.flags.writeable = False
        return found

    kept = lru_cache(REMEMBERED)(vector)
    return lambda question: (kept if len(question) <= LONGEST else vector)(question)
