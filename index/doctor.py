"""Checks a library against itself; rebuilds indexes from tables, and lost passages from indexes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa

from index import generation, shards, words
from index.errors import LibraryError
from index.generation import Generation
from index.shards import Opened, Shards, checked
from index.tables import AGAIN, DOCUMENTS, Tables, damaged, vector_column
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
_NO_KEYS: shards.Keys = np.empty(0, np.int64)
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
        if unsound := _unsound(found, now):
            yield str(damaged(unsound))
            return
        yield from _table_faults(found, now)
        keys = [_NO_KEYS, *(np.asarray(batch["key"]) for batch in found.passages(_of(now)))]
    except LibraryError as error:
        yield str(error)
        return
    faulty = [fault for shard in now.shards for fault in Opened(folder / "shards", shard).faults()]
    yield from faulty or _vector_faults(folder, now)
    yield from _word_faults(folder, now, np.concatenate(keys))


def repair(folder: Path) -> Generation:
    """Makes the indexes again from the tables, embedding nothing, and publishes them as a new generation.

    Passages of damaged tables come back from the indexes, where these are as they were written. Where the
    current manifest cannot be read, the tables say what the library holds. Raises LibraryError when there is
    no sound copy of something, or no manifest can be read.
    """
    with generation.writer_lock(folder):
        found = Tables(folder / "tables")
        base = _sound_base(folder, found)
        unsound = _unsound(found, base)
        versions = found.restore(base.tables)
        if unsound:
            _restore(folder, found, base, unsound)
            versions = found.versions()
            base = replace(base, files={file: base.files[file] for file in base.files.keys() - set(unsound)})
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


def renewed(folder: Path, now: Generation) -> Generation:
    """The generation with a word index of today's terms: itself, or one that is published after it.

    The caller holds the writer's lock. Nothing is embedded, and older generations stay as they are.
    """
    if now.format >= generation.FORMAT:
        return now
    number = generation.next_number(folder)
    name = f"words-{number:08d}"
    _write_words(folder / "words" / name, folder / "shards", now.shards)
    newer = replace(now, number=number, created_at=datetime.now(UTC), words=name, format=generation.FORMAT)
    generation.publish(folder, newer)
    generation.sweep(folder)
    return newer


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


def _unsound(found: Tables, now: Generation) -> list[str]:
    """The files of the tables that are missing or altered, or hold a passage that is: no truth is in them."""
    lost = found.damaged(now.files)
    there = [file for file in found.sizes("passages", _of(now)) if file not in lost]
    return lost + [file for file in there if not _as_written(found, file)]


def _as_written(found: Tables, file: str) -> bool:
    try:
        for batch in found.passages_in([file]):
            checked(pa.Table.from_batches([batch]))
    except (LibraryError, UnicodeDecodeError):
        return False
    return True


def _restore(folder: Path, found: Tables, base: Generation, unsound: Sequence[str]) -> None:
    """Puts the passages of unsound files into new ones, from shards that are as they were written.

    Raises LibraryError, and changes nothing, where other tables than that of the passages are unsound, or the
    shards do not hold just as many passages as were in the files.
    """
    sizes = found.sizes("passages", _of(base))
    if not sizes.keys() >= set(unsound):
        raise damaged(sorted(set(unsound) - sizes.keys()))
    sound = sorted(sizes.keys() - set(unsound))
    kept = np.concatenate([_NO_KEYS, *(np.asarray(batch["key"]) for batch in found.passages_in(sound))])
    opened = [Opened(folder / "shards", shard) for shard in base.shards]
    lacking = [
        (part, ~np.isin(np.asarray(part.rows["key"]), kept)) for part in opened if not any(part.faults())
    ]
    wanted, there = sum(sizes[file] for file in unsound), sum(int(stays.sum()) for _, stays in lacking)
    if there != wanted:
        raise LibraryError(
            f"{len(unsound)} damaged files of the tables held {wanted} passages, the sound indexes have"
            f" {there} to restore them from; {AGAIN}"
        )
    found.drop("passages", unsound)
    for part, stays in lacking:
        rows = checked(part.intact.filter(pa.array(stays)))
        vector = vector_column(part.matrix[stays])
        found.replace((), DOCUMENTS.empty_table(), rows.append_column("vector", vector))


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
    keys = np.concatenate([_NO_KEYS, *(np.asarray(part.rows["key"]) for part in opened)])
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
            if any(_rule_faults(found, newest)):
                return base
            there = {file for name, version in newest.items() for file in found.sizes(name, version)}
            return replace(base, tables=newest, files={f: base.files[f] for f in there & base.files.keys()})
        raise


def _of(now: Generation) -> int:
    return now.tables["passages"]
