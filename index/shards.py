"""Shards: immutable pairs of files that hold passages for search, derived from the tables.

A shard is a FAISS index (`.faiss`, exact inner product, stable 64-bit ids) and the same passages' rows
(`.arrow`, memory-mapped, in the same order). Shards are merged as an LSM tree merges its runs: a new one
swallows its smaller predecessors, so there are few and each row is rewritten a logarithmic number of times
(O'Neil et al. 1996, The Log-Structured Merge-Tree).
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from index.embed import Vectors
from index.errors import LibraryError
from index.once import once
from index.tables import PASSAGES, passage_from, sha256_of, vectors_of
from index.values import Passage

LARGEST = 32_768
"""Passages in a shard at most: bounds what a writer holds in memory."""

_MEND = "; `chaincite doctor --repair` makes it again from the tables, without embedding anything"

_DIFFERS = "its sha256 is not the one recorded"

Keys = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Shard:
    """What a generation records of a shard: its name (of content), rows, and the sha256 of both files.

    keys_sha256: of the columns `key` and `document`; empty where its rows have no digests, as in format 2.
    """

    name: str
    count: int
    vectors_sha256: str
    rows_sha256: str
    keys_sha256: str = ""


def write(folder: Path, rows: pa.Table, vectors: Vectors) -> Shard:
    """Writes a shard and flushes it to disk.

    rows: columns of `PASSAGES`, n of them; vectors: float32, shape (n, dimension).
    """
    import faiss

    if rows["digest"].null_count:
        rows = checked(rows)
    keys = np.asarray(rows["key"], np.int64)
    flat = faiss.IndexIDMap2(faiss.IndexFlatIP(vectors.shape[1]))
    flat.add_with_ids(np.ascontiguousarray(vectors), keys)
    folder.mkdir(parents=True, exist_ok=True)
    serialized = faiss.serialize_index(flat)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, PASSAGES) as writer:
        writer.write_table(rows.select(PASSAGES.names).combine_chunks())
    arrow = sink.getvalue()
    shas = _sha256(serialized), _sha256(arrow)
    name = _sha256("".join(shas).encode())[:24]
    _write_synced(folder / f"{name}.faiss", serialized)
    _write_synced(folder / f"{name}.arrow", arrow)
    return Shard(name, len(keys), *shas, _keys_sha256(rows))


def extend(
    folder: Path, shards: Sequence[Shard], gone: Collection[int], rows: pa.Table, vectors: Vectors
) -> tuple[Shard, ...]:
    """The shards without the passages of the documents with the keys `gone`, and with new rows.

    Unaffected shards stay as they are; nothing on disk is changed or removed.
    """
    kept = list(_without(folder, shards, np.fromiter(gone, np.int64)))
    if rows.num_rows:
        parts = [(rows.select(PASSAGES.names), vectors)]
        size = rows.num_rows
        while kept and kept[-1].count < 2 * size and kept[-1].count + size <= LARGEST:
            last = Opened(folder, kept.pop())
            parts.insert(0, (last.intact, last.matrix))
            size += last.shard.count
        merged = pa.concat_tables([part for part, _ in parts])
        kept.append(write(folder, merged, np.concatenate([part for _, part in parts])))
    return tuple(kept)


def _without(folder: Path, shards: Iterable[Shard], gone: Keys) -> Iterator[Shard]:
    for shard in shards:
        opened = Opened(folder, shard)
        stays = ~np.isin(np.asarray(opened.rows["document"], np.int64), gone)
        if stays.all():
            yield shard
        elif stays.any():
            yield write(folder, opened.intact.filter(pa.array(stays)), opened.matrix[stays])


class Opened:
    """One shard, open for reading.

    Raises LibraryError when a file is missing or cannot be read, or the vectors are not what was written.
    What the rows say is checked where a passage is made of them, or in `intact`.
    """

    def __init__(self, folder: Path, shard: Shard) -> None:
        self.shard = shard
        self._vectors_file = folder / f"{shard.name}.faiss"
        self._rows_file = folder / f"{shard.name}.arrow"

    @once
    def rows(self) -> pa.Table:
        """The passages' rows, columns of `PASSAGES`, memory-mapped; their keys and structure are checked."""
        try:
            found = pa.ipc.open_file(pa.memory_map(str(self._rows_file))).read_all()
            for field in PASSAGES:
                if field.name not in found.column_names:  # of format 1 or 2
                    found = found.append_column(field, pa.nulls(len(found), field.type))
            found = found.select(PASSAGES.names)
            if not found.schema.equals(PASSAGES):
                raise pa.ArrowInvalid("its columns are of other types")
            _as_bytes(found).validate(full=True)
        except (OSError, ValueError, KeyError, pa.ArrowException) as error:
            raise damaged(self._rows_file, error) from error
        wanted = self.shard.keys_sha256
        if (wanted and _keys_sha256(found) != wanted) or not (wanted or self._is_written):
            raise damaged(self._rows_file, _DIFFERS)
        return found

    @once
    def intact(self) -> pa.Table:
        """The rows, to make another file of: the sha256 of theirs was checked."""
        if not self._is_written:
            raise damaged(self._rows_file, _DIFFERS)
        return self.rows

    @once
    def _is_written(self) -> bool:
        try:
            return sha256_of(self._rows_file) == self.shard.rows_sha256
        except OSError as error:
            raise damaged(self._rows_file, error) from error

    @once
    def index(self) -> Any:
        """The FAISS index, its sha256 checked."""
        import faiss

        try:
            body = np.fromfile(self._vectors_file, np.uint8)
            if _sha256(body) != self.shard.vectors_sha256:
                raise damaged(self._vectors_file, _DIFFERS)
            return faiss.deserialize_index(body)
        except (OSError, RuntimeError) as error:
            raise damaged(self._vectors_file, error) from error

    @once
    def matrix(self) -> Vectors:
        """The vectors, float32, shape (n, dimension), in the order of the rows: FAISS's own memory."""
        import faiss

        flat: Any = faiss.downcast_index(self.index.index)
        memory = faiss.rev_swig_ptr(flat.get_xb(), flat.ntotal * flat.d)
        return np.asarray(_Held(self.index, memory), np.float32).reshape(-1, flat.d)

    def faults(self) -> Iterator[str]:
        """What is wrong with this shard, a line each."""
        for file, want in (
            (self._vectors_file, self.shard.vectors_sha256),
            (self._rows_file, self.shard.rows_sha256),
        ):
            if not file.exists():
                yield f"{file.name} is missing{_MEND}"
            elif sha256_of(file) != want:
                yield f"{file.name} is not what was written (sha256 differs){_MEND}"


class _Held:
    """Memory that lives as long as an array that looks at it."""

    def __init__(self, owner: object, memory: npt.NDArray[Any]) -> None:
        self.__array_interface__ = memory.__array_interface__
        self._owner = owner


class Shards:
    """All shards of one generation, open for search.

    keys, documents: the 64-bit keys of the passages and of their documents, in the order of the rows.
    """

    def __init__(self, folder: Path, shards: Sequence[Shard]) -> None:
        self._opened = [Opened(folder, shard) for shard in shards]
        self._rows = pa.concat_tables([PASSAGES.empty_table(), *(part.rows for part in self._opened)])
        self.keys: Keys = np.asarray(self._rows["key"], np.int64)
        self.documents: Keys = np.asarray(self._rows["document"], np.int64)
        self._order = np.argsort(self.keys)
        self._sorted = self.keys[self._order]

    def column(self, name: str) -> pa.ChunkedArray:
        """A column of `PASSAGES` over all shards."""
        return self._rows[name]

    def passages(self, keys: Iterable[int]) -> list[Passage]:
        """The passages with these keys, in the order asked. Raises KeyError for one that is not there."""
        return self.at(self.positions(np.fromiter(keys, np.int64)))

    def at(self, positions: Keys) -> list[Passage]:
        """The passages at these positions of the rows, in the order asked, each as it was written."""
        try:
            rows = self._rows.take(pa.array(positions, pa.int64())).to_pylist()
        except (UnicodeDecodeError, pa.ArrowException) as error:
            raise LibraryError(f"the text of a passage cannot be read ({error}){_MEND}") from error
        return [passage_from(row) for row in rows]

    def positions(self, keys: Keys) -> Keys:
        """Where the passages with these keys stand in the rows. Raises KeyError for one that is not there."""
        at = np.searchsorted(self._sorted, keys)
        if (at == len(self._sorted)).any() or (self._sorted[at] != keys).any():
            raise KeyError(keys.tolist())
        return self._order[at]

    def cosines(self, query: Vectors, positions: Keys) -> Vectors:
        """The cosine of a unit vector with the passages at these positions."""
        out, begin = np.empty(len(positions), np.float32), 0
        for part in self._opened:
            inside = (positions >= begin) & (positions < begin + part.shard.count)
            out[inside] = part.matrix[positions[inside] - begin] @ query
            begin += part.shard.count
        return out

    def search(self, query: Vectors, k: int, allowed: Keys | None = None) -> tuple[Keys, Vectors]:
        """The k nearest passages to one unit vector: their keys and cosines, best first, ties by key.

        It takes one thread: more gain nothing for one vector, and wait for each other on a busy machine.
        allowed: the only keys that may be found; the restriction holds inside the search.
        """
        import faiss

        faiss.omp_set_num_threads(1)
        keys, scores = [np.empty(0, np.int64)], [np.empty(0, np.float32)]
        for part in self._opened:
            parameters: Any = None
            if allowed is not None:
                make: Any = faiss.SearchParameters  # its keyword is not in the stubs
                parameters = make(sel=faiss.IDSelectorBatch(allowed))
            ids, found = _nearest(part.index, query, k, parameters)
            keys.append(ids)
            scores.append(found)
        all_keys, all_scores = np.concatenate(keys), np.concatenate(scores)
        best = np.lexsort((all_keys, -all_scores))[:k]
        return all_keys[best], all_scores[best]


def _nearest(index: Any, query: Vectors, k: int, parameters: Any) -> tuple[Keys, Vectors]:
    """The k nearest of one index and whatever ties with the last of them: keys and cosines."""
    width = k + 1
    while True:
        scores, ids = index.search(query.reshape(1, -1), width, params=parameters)
        if ids[0, -1] < 0 or scores[0, -1] < scores[0, k - 1]:
            found = ids[0] >= 0
            return ids[0, found], scores[0, found]
        width *= 4


def damaged(file: Path, reason: object) -> LibraryError:
    """The error for an index file that cannot be used."""
    return LibraryError(f"the index file {file.name} cannot be used ({reason}){_MEND}")


def _write_synced(file: Path, body: Any) -> None:
    scratch = file.with_suffix(file.suffix + ".part")
    with scratch.open("wb") as out:
        out.write(body)
        out.flush()
        os.fsync(out.fileno())
    scratch.replace(file)


def _sha256(body: Any) -> str:
    return hashlib.sha256(body).hexdigest()


def _keys_sha256(rows: pa.Table) -> str:
    columns = [np.asarray(rows[name], np.int64) for name in ("key", "document")]
    return _sha256(np.concatenate(columns))


def _as_bytes(rows: pa.Table) -> pa.Table:
    """The rows with their texts as bytes, which are told apart without being read."""
    at = rows.schema.get_field_index("text")
    return rows.set_column(at, "text", rows["text"].cast(pa.binary()))


def checked(rows: pa.Table) -> pa.Table:
    """Rows of `PASSAGES`, each as its digest says, and with a digest where it had none.

    Raises LibraryError for a row that is not what its digest was taken of.
    """
    found = rows.select(PASSAGES.names).to_pylist()
    digests = pa.array([passage_from(row).digest for row in found], pa.binary())
    return rows.set_column(rows.schema.get_field_index("digest"), PASSAGES.field("digest"), digests)


def rows_and_vectors(batches: Iterable[pa.RecordBatch], dimension: int) -> tuple[pa.Table, Vectors]:
    """Batches of the passages table as what `write` takes."""
    table = pa.Table.from_batches(list(batches))
    return table.select(PASSAGES.names), vectors_of(table["vector"], dimension)
