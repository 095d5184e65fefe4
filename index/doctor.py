"""Checks a library against itself, and rebuilds its indexes from its tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa

from index import generation, shards
from index.errors import ChainciteError, LibraryError
from index.generation import Generation
from index.shards import Opened, Shards
from index.tables import Tables
from index.values import Passage
from index.words import Words, WordWriter

_PARTITION = """
    SELECT count(*) FROM (
        SELECT uri, "start", "end", length(text) AS size, sha256,
               lag("end", 1, 0) OVER (PARTITION BY uri ORDER BY ordinal) AS before
        FROM passages
    ) WHERE "start" <> before OR "end" - "start" <> size
"""
_STRAY = """
    SELECT count(*) FROM passages AS p LEFT JOIN documents AS d ON d.uri = p.uri AND d.sha256 = p.sha256
    WHERE d.uri IS NULL
"""
_EMPTY = "SELECT count(*) FROM documents ANTI JOIN passages USING (uri)"
_TWICE = "SELECT count(*) - count(DISTINCT key) FROM passages"
_SAME_DOCUMENT = "SELECT count(*) - count(DISTINCT uri) FROM documents"
_RULES = (
    (_SAME_DOCUMENT, "documents stand twice in the tables"),
    (_TWICE, "passages stand twice in the tables"),
    (_STRAY, "passages belong to no document, or to another version of it"),
    (_EMPTY, "documents have no passage"),
    (_PARTITION, "passages do not continue where the one before ends"),
)


def faults(folder: Path) -> Iterator[str]:
    """What is wrong with the library at `folder`, a line each; nothing when it is sound.

    Checks the manifest, the tables at their recorded versions, the sha256 of every shard, and that tables,
    vectors and words hold the same passages. Raises LibraryError when there is no library at all.
    """
    try:
        now = generation.current(folder)
    except LibraryError as error:
        if not generation.exists(folder):
            raise
        yield str(error)
        return
    try:
        yield from _table_faults(folder, now)
    except Exception as error:  # deltalake and duckdb raise many kinds for a damaged file
        yield f"the tables cannot be read ({_line(error)}); ingest the sources again into a new library"
        return
    damaged = [f"{fault}" for shard in now.shards for fault in Opened(folder / "shards", shard).faults()]
    yield from damaged
    if not damaged:
        yield from _vector_faults(folder, now)
    yield from _word_faults(folder, now)


def repair(folder: Path) -> Generation:
    """Makes the indexes again from the tables, embedding nothing, and publishes them as a new generation.

    Where the current manifest cannot be read, goes back to the newest that can. Raises LibraryError when the
    tables themselves are damaged.
    """
    with generation.writer_lock(folder):
        base = _sound_base(folder)
        found = Tables(folder / "tables")
        try:
            versions = found.restore(base.tables)
            number = max((g.number for g in generation.all_readable(folder)), default=0) + 1
            name = f"words-{number:08d}"
            writer = WordWriter(folder / "words" / name, None)
            built: tuple[shards.Shard, ...] = ()
            for batch in found.passages(versions["passages"]):
                rows, vectors = shards.rows_and_vectors([batch], base.dimension)
                built = shards.extend(folder / "shards", built, (), rows, vectors)
            for document, passages in _by_document(folder, built):
                writer.add(document, passages)
            total = writer.commit()
            documents = found.documents(versions["documents"]).num_rows
        except ChainciteError:
            raise
        except Exception as error:  # as above
            raise LibraryError(
                f"the tables cannot be read ({_line(error)}); ingest the sources again into a new library"
            ) from error
        counts = {"documents": documents, "passages": total, "events": 0}
        now = replace(
            base,
            number=number,
            created_at=datetime.now(UTC),
            tables=versions,
            counts=counts,
            shards=built,
            words=name,
        )
        generation.publish(folder, now)
        generation.sweep(folder)
        return now


def _by_document(folder: Path, built: Sequence[shards.Shard]) -> Iterator[tuple[int, list[Passage]]]:
    """Each document's key with its passages in order."""
    opened = Shards(folder / "shards", built)
    documents, ordinals = np.asarray(opened.column("document")), np.asarray(opened.column("ordinal"))
    order = np.lexsort((ordinals, documents))
    borders = np.flatnonzero(np.diff(documents[order])) + 1
    for positions in np.split(order, borders):
        if len(positions):
            yield int(documents[positions[0]]), opened.at(positions)


def _table_faults(folder: Path, now: Generation) -> Iterator[str]:
    found = Tables(folder / "tables")
    for sql, words in _RULES:
        [(count,)] = found.query(sql, now.tables)
        if count:
            yield f"{count} {words}; ingest the sources again into a new library"
    for name in ("documents", "passages"):
        [(count,)] = found.query(f"SELECT count(*) FROM {name}", now.tables)  # noqa: S608
        if count != now.counts[name]:
            yield f"the table {name} has {count} rows, the manifest says {now.counts[name]}"


def _vector_faults(folder: Path, now: Generation) -> Iterator[str]:
    """Each row and vector of the tables must stand in the shards, equal to the last bit, and none beside."""
    opened = [Opened(folder / "shards", shard) for shard in now.shards]
    keys = np.concatenate([np.empty(0, np.int64), *(np.asarray(part.rows["key"]) for part in opened)])
    vectors = np.concatenate([np.empty((0, now.dimension), np.float32), *(part.matrix for part in opened)])
    order = np.argsort(keys)
    keys, missing, differing, seen = keys[order], 0, 0, 0
    for batch in Tables(folder / "tables").passages(now.tables["passages"]):
        rows, wanted = shards.rows_and_vectors([batch], now.dimension)
        asked = np.asarray(rows["key"])
        at = np.minimum(np.searchsorted(keys, asked), max(len(keys) - 1, 0))
        there = keys[at] == asked if len(keys) else np.zeros(len(asked), np.bool_)
        missing += int((~there).sum())
        differing += int((vectors[order[at[there]]] != wanted[there]).any(axis=1).sum())
        seen += len(asked)
    if missing:
        yield f"{missing} passages of the tables are not in the vector index"
    if differing:
        yield f"{differing} vectors of the index are not those of the tables"
    if len(keys) != seen - missing:
        yield f"{len(keys) - seen + missing} passages of the vector index are not in the tables"


def _word_faults(folder: Path, now: Generation) -> Iterator[str]:
    try:
        words = set(Words(folder / "words" / now.words).keys().tolist())
    except Exception as error:  # tantivy raises many kinds for a damaged file
        yield f"the word index cannot be read ({_line(error)})"
        return
    held = {key for shard in now.shards for key in _keys(folder, shard)}
    if words != held:
        yield f"the word index and the vector index differ in {len(words ^ held)} passages"


def _keys(folder: Path, shard: shards.Shard) -> list[int]:
    try:
        keys: list[int] = Opened(folder / "shards", shard).rows["key"].to_pylist()
    except (LibraryError, pa.ArrowInvalid):
        return []
    return keys


def _sound_base(folder: Path) -> Generation:
    try:
        return generation.current(folder)
    except LibraryError:
        for found in generation.all_readable(folder):
            return found
        raise


def _line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]

