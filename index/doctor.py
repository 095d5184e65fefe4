"""Checks a library against itself, and rebuilds its indexes from its tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from index import generation, shards, words
from index.errors import LibraryError
from index.generation import Generation
from index.shards import Opened, Shards
from index.tables import Tables
from index.values import Passage

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
_MEND = "; `chaincite doctor --repair` makes the indexes again from the tables"


def faults(folder: Path) -> Iterator[str]:
    """What is wrong with the library at `folder`, a line each; nothing when it is sound.

    Checks the manifest, the tables at their recorded versions, the sha256 of every shard, and that tables,
    vectors and words hold the same passages. Raises LibraryError when there is no library at all.
    """
    if not generation.exists(folder):
        generation.current(folder)
    try:
        now = generation.current(folder)
        found = Tables(folder / "tables")
        _whole(found, now)
        yield from _table_faults(found, now)
        keys = [np.empty(0, np.int64), *(np.asarray(batch["key"]) for batch in found.passages(_of(now)))]
    except LibraryError as error:
        yield str(error)
        return
    damaged = [fault for shard in now.shards for fault in Opened(folder / "shards", shard).faults()]
    yield from damaged or _vector_faults(folder, now)
    yield from _word_faults(folder, now, np.concatenate(keys))


def repair(folder: Path) -> Generation:
    """Makes the indexes again from the tables, embedding nothing, and publishes them as a new generation.

    Where the current manifest cannot be read, the tables say what the library holds. Raises LibraryError when
    the tables themselves are damaged, or no manifest can be read.
    """
    with generation.writer_lock(folder):
        found = Tables(folder / "tables")
        base = _sound_base(folder, found)
        _whole(found, base)
        versions = found.restore(base.tables)
        number = generation.next_number(folder)
        name = f"words-{number:08d}"
        built = _built_shards(folder, found, versions["passages"], base.dimension)
        passages = _write_words(folder / "words" / name, folder / "shards", built)
        now = replace(
            base,
            number=number,
            created_at=datetime.now(UTC),
            tables=versions,
            files=found.digests(versions, base.files),
            counts={**found.counts(versions), "passages": passages},
            shards=built,
            words=name,
        )
        generation.publish(folder, now)
        generation.sweep(folder)
        return now


def _built_shards(folder: Path, found: Tables, version: int, dimension: int) -> tuple[shards.Shard, ...]:
    built: tuple[shards.Shard, ...] = ()
    for batch in found.passages(version):
        rows, vectors = shards.rows_and_vectors([batch], dimension)
        built = shards.extend(folder / "shards", built, (), rows, vectors)
    return built


def _write_words(folder: Path, shards_folder: Path, built: Sequence[shards.Shard]) -> int:
    writer = words.WordWriter(folder, None)
    for document, passages in _by_document(shards_folder, built):
        writer.add(document, passages)
    return writer.commit()


def _by_document(folder: Path, built: Sequence[shards.Shard]) -> Iterator[tuple[int, list[Passage]]]:
    """Each document's key with its passages in order."""
    opened = Shards(folder, built)
    order = np.lexsort((np.asarray(opened.column("ordinal")), opened.documents))
    borders = np.flatnonzero(np.diff(opened.documents[order])) + 1
    for positions in np.split(order, borders):
        if len(positions):
            yield int(opened.documents[positions[0]]), opened.at(positions)


def _whole(found: Tables, now: Generation) -> None:
    """Raises LibraryError when a file of the tables is lost or altered: an index is not made from that."""
    if damaged := found.damaged(now.files):
        raise LibraryError(
            f"{len(damaged)} files of the tables are missing or not what was written ({damaged[0]} is one);"
            " ingest the sources again into a new library with --library DIR"
        )


def _table_faults(found: Tables, now: Generation) -> Iterator[str]:
    yield from _rule_faults(found, now.tables)
    for name in now.tables:
        [(count,)] = found.query(f"SELECT count(*) FROM {name}", now.tables)  # noqa: S608
        if count != now.counts.get(name, 0):
            yield f"the table {name} has {count} rows, the manifest says {now.counts[name]}{_MEND}"


def _rule_faults(found: Tables, versions: Mapping[str, int]) -> Iterator[str]:
    for sql, fault in _RULES:
        [(count,)] = found.query(sql, versions)
        if count:
            yield f"{count} {fault}; ingest the sources again into a new library with --library DIR"


def _vector_faults(folder: Path, now: Generation) -> Iterator[str]:
    """Each row and vector of the tables must stand in the shards, equal to the last bit, and none beside."""
    opened = [Opened(folder / "shards", shard) for shard in now.shards]
    keys = np.concatenate([np.empty(0, np.int64), *(np.asarray(part.rows["key"]) for part in opened)])
    vectors = np.concatenate([np.empty((0, now.dimension), np.float32), *(part.matrix for part in opened)])
    order = np.argsort(keys)
    keys, missing, differing, seen = keys[order], 0, 0, 0
    for batch in Tables(folder / "tables").passages(_of(now)):
        rows, wanted = shards.rows_and_vectors([batch], now.dimension)
        asked = np.asarray(rows["key"])
        at = np.minimum(np.searchsorted(keys, asked), max(len(keys) - 1, 0))
        there = keys[at] == asked if len(keys) else np.zeros(len(asked), np.bool_)
        missing += int((~there).sum())
        differing += int((vectors[order[at[there]]] != wanted[there]).any(axis=1).sum())
        seen += len(asked)
    if missing:
        yield f"{missing} passages of the tables are not in the vector index{_MEND}"
    if differing:
        yield f"{differing} vectors of the index are not those of the tables{_MEND}"
    if len(keys) != seen - missing:
        yield f"{len(keys) - seen + missing} passages of the vector index are not in the tables{_MEND}"


def _word_faults(folder: Path, now: Generation, keys: shards.Keys) -> Iterator[str]:
    place = folder / "words" / now.words
    if damaged := list(words.faults(place)):
        yield from damaged
        return
    try:
        seen = words.Words(place).keys()
    except LibraryError as error:
        yield str(error)
        return
    if len(differing := np.setxor1d(seen, keys)):
        yield f"the word index and the tables differ in {len(differing)} passages{_MEND}"


def _sound_base(folder: Path, found: Tables) -> Generation:
    """The current generation; or the newest that can be read, at the tables' newest consistent versions."""
    try:
        return generation.current(folder)
    except LibraryError:
        for base in generation.all_readable(folder):
            newest = found.versions()
            return base if any(_rule_faults(found, newest)) else replace(base, tables=newest, files={})
        raise


def _of(now: Generation) -> int:
    return now.tables["passages"]
