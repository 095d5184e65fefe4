"""The tables: Delta Lake, and the truth of a library. Rows exist in this module alone.

Commits are atomic and versioned. A generation names the versions that belong together, so a commit that no
generation names has not happened: the next writer rolls it back.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from index import events
from index.errors import LibraryError
from index.values import Document, Kind, Passage

if TYPE_CHECKING:
    from deltalake import DeltaTable

    from index.embed import Vectors

_STRINGS = pa.list_(pa.string())

DOCUMENTS = pa.schema(
    [
        ("uri", pa.string()),
        ("kind", pa.string()),
        ("title", pa.string()),
        ("sha256", pa.string()),
        ("size", pa.int64()),
        ("media_type", pa.string()),
        ("path", pa.string()),
        ("location", pa.string()),
        ("retrieved_at", pa.timestamp("us", "UTC")),
        ("published_at", pa.date32()),
        ("authors", _STRINGS),
        ("number", pa.string()),
        ("status", pa.string()),
        ("category", pa.string()),
        ("requires", _STRINGS),
        ("chain", pa.string()),
        ("contracts", _STRINGS),
        ("licence", pa.string()),
        ("commit", pa.string()),
        ("etag", pa.string()),
        ("last_modified", pa.string()),
        ("recipe", pa.string()),
    ]
)
"""The fields of `Document`, and `recipe`: how it was read and cut, so that a change of that is noticed."""

PASSAGES = pa.schema(
    [
        ("key", pa.int64()),
        ("id", pa.string()),
        ("document", pa.int64()),
        ("uri", pa.string()),
        ("sha256", pa.string()),
        ("ordinal", pa.int32()),
        ("start", pa.int64()),
        ("end", pa.int64()),
        ("text", pa.string()),
        ("context", pa.string()),
        ("heading", _STRINGS),
        ("page", pa.int32()),
        ("line_start", pa.int32()),
        ("line_end", pa.int32()),
        ("identifiers", _STRINGS),
        ("digest", pa.binary()),
    ]
)
"""What a passage says, and `digest`: its hash, which is null in what older formats wrote."""

AGAIN = "ingest the sources again into a new library with --library DIR"

COMPACTED = 64_000_000
"""Bytes of a file that small ones are joined to."""

_WITH_VECTOR = PASSAGES.append(pa.field("vector", pa.list_(pa.float32())))
SCHEMAS = {"documents": DOCUMENTS, "passages": _WITH_VECTOR, **events.SCHEMAS}
_STATISTICS = {"documents": "uri", "passages": "uri", "tokens": "chain"}
"""Delta's log keeps the extremes of these columns for good; the text, which may be forgotten, is not one.

Of the other tables it keeps those of `block_number` and `finality`, so that few files are looked into.
"""


class Tables:
    """The tables of one library. Every read names the version it wants.

    folder: where the tables are, one folder each.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def create(self, there: Collection[str] = ()) -> dict[str, int]:
        """Makes the tables, empty, apart from those that are there; returns the version of each."""
        from deltalake import DeltaTable

        for name in SCHEMAS.keys() - set(there):
            schema = SCHEMAS[name]
            skipping = {"delta.dataSkippingStatsColumns": _STATISTICS.get(name, "block_number,finality")}
            DeltaTable.create(self.folder / name, schema=schema, mode="ignore", configuration=skipping)
        return self.versions()

    def versions(self) -> dict[str, int]:
        """The newest version of each table, published or not."""
        return {name: self._table(name).version() for name in SCHEMAS}

    def restore(self, versions: Mapping[str, int]) -> dict[str, int]:
        """Undoes commits made after `versions`, and makes the tables these lack, empty.

        Returns the versions that now stand.
        """
        self.create(versions)
        for name in SCHEMAS:
            version, table = versions.get(name, 0), self._table(name)
            if table.version() != version:
                table.restore(version, ignore_missing_files=True)
        return self.versions()

    def replace(self, gone: Collection[str], documents: pa.Table, passages: pa.Table) -> dict[str, int]:
        """Removes the documents with these uris and their passages, then adds rows.

        passages: the columns of `PASSAGES` and `vector`. Returns the new versions.
        """
        from deltalake import write_deltalake

        for name, rows in (("passages", passages), ("documents", documents)):
            with _told():
                table = self._table(name)
                for some in slices(sorted(gone), 500):
                    table.delete(f"uri IN ({', '.join(map(quoted, some))})")
                if rows.num_rows:
                    write_deltalake(table, rows.cast(SCHEMAS[name]), mode="append", schema_mode="merge")
        return self.versions()

    def append(self, name: str, rows: pa.Table, *, overwrite: bool = False) -> None:
        """Adds rows to a table, or writes them in place of all that it holds."""
        from deltalake import WriterProperties, write_deltalake

        write_deltalake(
            self._table(name),
            rows.cast(SCHEMAS[name]),
            mode="overwrite" if overwrite else "append",
            writer_properties=WriterProperties(compression="ZSTD", compression_level=1),
        )

    def update(self, name: str, values: Mapping[str, str], where: str) -> int:
        """Sets columns to SQL expressions in the rows that a condition holds for; returns how many."""
        with _told():
            changed = self._table(name).update(updates=dict(values), predicate=where)
            return int(changed["num_updated_rows"])

    def delete(self, name: str, where: str) -> None:
        """Removes the rows that a condition holds for."""
        with _told():
            self._table(name).delete(where)

    def drop(self, name: str, files: Collection[str]) -> None:
        """Removes data files of a table, with the rows in them, from the table and from the disk."""
        for file in files:
            (self.folder / file).unlink(missing_ok=True)
        with _told():
            self._table(name).repair()

    def table(self, name: str) -> pa.Table:
        """All rows of a table as it stands, published or not."""
        with _told():
            table: pa.Table = self._dataset(name, self._files(name, None)).to_table()
            return table

    def between(self, name: str, low: int, high: int, columns: Sequence[str]) -> pa.Table:
        """Columns of the rows from block `low` to `high`, as the table stands, published or not."""
        import pyarrow.dataset

        with _told():
            files = [
                str(self.folder / name / file["path"])
                for file in self._added(name, None)
                if file["max.block_number"] >= low and file["min.block_number"] <= high
            ]
            rows = pyarrow.dataset.dataset(files or SCHEMAS[name].empty_table(), schema=SCHEMAS[name])
            number = pyarrow.dataset.field("block_number")
            found: pa.Table = rows.to_table(list(columns), filter=(number >= low) & (number <= high))
            return found

    def files(self, versions: Mapping[str, int]) -> dict[str, list[Path]]:
        """The data files of each table at these versions; they are Parquet."""
        return {
            name: [self.folder / file for file in self._files(name, version)]
            for name, version in versions.items()
        }

    def counts(self, versions: Mapping[str, int]) -> dict[str, int]:
        """How many rows each table has at these versions."""
        return {name: sum(self.sizes(name, version).values()) for name, version in versions.items()}

    def sizes(self, name: str, version: int) -> dict[str, int]:
        """How many rows each data file of a table has, by its path in the folder."""
        added = self._added(name, version)
        return {f"{name}/{Path(file['path']).name}": int(file["num_records"]) for file in added}

    def documents(self, version: int) -> pa.Table:
        """All rows of the documents table, ordered by uri."""
        with _told():
            rows = self._dataset("documents", self._files("documents", version)).to_table()
            return rows.cast(DOCUMENTS).sort_by("uri")

    def passages(self, version: int) -> Iterator[pa.RecordBatch]:
        """The rows of the passages table, vectors included, a batch at a time."""
        yield from self.passages_in(self._files("passages", version))

    def passages_in(self, files: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """The rows of the passages in some data files, as `passages` gives them."""
        with _told():
            dataset = self._dataset("passages", files)
            for batch in dataset.to_batches(batch_size=4096, batch_readahead=1, fragment_readahead=1):
                if batch.num_rows:
                    yield batch.cast(_WITH_VECTOR)

    def query(self, sql: str, versions: Mapping[str, int]) -> list[tuple[Any, ...]]:
        """Rows that DuckDB answers over these versions; `documents` and `passages` are the tables' names."""
        import duckdb

        with _told(), duckdb.connect() as connection:
            for name, version in versions.items():
                connection.register(name, self._dataset(name, self._files(name, version)))
            return connection.execute(sql).fetchall()

    def compact(self) -> None:
        """Joins the small files of each table to larger ones; the rows stay what they are."""
        with _told():
            for name in SCHEMAS:
                self._table(name).optimize.compact(target_size=COMPACTED)

    def vacuum(self, kept: Sequence[Mapping[str, int]] = ()) -> None:
        """Deletes from disk what neither current rows nor those of the versions kept need."""
        for name in SCHEMAS:
            versions = [some[name] for some in kept if name in some]
            self._table(name).vacuum(
                retention_hours=0,
                dry_run=False,
                enforce_retention_duration=False,
                keep_versions=versions or None,
            )

    def digests(self, versions: Mapping[str, int], known: Mapping[str, str]) -> dict[str, str]:
        """The sha256 of each data file of these versions by its path in the folder.

        known: digests of files that were written before. Those that the versions still have are not read.
        Those that they have no more were rewritten: raises LibraryError where one was damaged, so that what
        was read from it is not taken for good.
        """
        files = [file for name, version in versions.items() for file in self._files(name, version)]
        self.check({file: known[file] for file in known.keys() - set(files)})
        return {file: known.get(file) or sha256_of(self.folder / file) for file in files}

    def damaged(self, digests: Mapping[str, str]) -> list[str]:
        """The files that are missing, or are not what they were when `digests` was taken."""
        there = {file: self.folder / file for file in digests}
        return [f for f, at in there.items() if not at.is_file() or sha256_of(at) != digests[f]]

    def check(self, digests: Mapping[str, str]) -> None:
        """Raises LibraryError when one of these files is missing, or not what it was."""
        if found := self.damaged(digests):
            raise damaged(found)

    def _files(self, name: str, version: int | None) -> list[str]:
        return sorted(f"{name}/{Path(uri).name}" for uri in self._table(name, version).file_uris())

    def _added(self, name: str, version: int | None) -> list[dict[str, Any]]:
        """The data files of a version as Delta's log describes them: path, rows, extremes of columns."""
        described: list[dict[str, Any]] = pa.table(
            self._table(name, version).get_add_actions(flatten=True)
        ).to_pylist()
        return described

    def _dataset(self, name: str, files: Sequence[str]) -> Any:
        """The rows of data files of a table, read by Arrow itself.

        Delta's own dataset reads through Python, which aborts the process when an Arrow thread frees the last
        buffer while the interpreter ends.
        """
        import pyarrow.dataset

        places = [str(self.folder / file) for file in files]
        return pyarrow.dataset.dataset(places or SCHEMAS[name].empty_table(), schema=SCHEMAS[name])

    def _table(self, name: str, version: int | None = None) -> DeltaTable:
        from deltalake import DeltaTable

        with _told():
            return DeltaTable(self.folder / name, version=version)


def sha256_of(file: Path) -> str:
    """Hex digest of a file's bytes."""
    with file.open("rb") as body:
        return hashlib.file_digest(body, "sha256").hexdigest()


def damaged(files: Sequence[str]) -> LibraryError:
    """The error for data files of the tables that are missing or are not what was written."""
    restorable = all(file.startswith("passages/") for file in files)
    mend = "`chaincite doctor --repair` restores their passages from the indexes" if restorable else AGAIN
    seen = f"{len(files)} files of the tables are missing or not what was written ({min(files)} is one)"
    return LibraryError(f"{seen}; {mend}")


@contextmanager
def _told() -> Iterator[None]:
    """What deltalake, Arrow and DuckDB raise for missing or damaged files, as one kind of error."""
    import duckdb
    from deltalake.exceptions import DeltaError

    try:
        yield
    except (DeltaError, OSError, pa.ArrowException, duckdb.Error) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise LibraryError(
            f"the tables of the library cannot be read ({reason}); `chaincite doctor --repair` restores lost"
            f" passages from the indexes; where it cannot, {AGAIN}"
        ) from error


def document_key(uri: str) -> int:
    """63 bits of the uri's sha256: a document's number in the indexes."""
    return int.from_bytes(hashlib.sha256(uri.encode()).digest()[:8]) >> 1


def document_rows(documents: Sequence[tuple[Document, str]]) -> pa.Table:
    """Documents and their recipes as rows of `DOCUMENTS`."""
    names = [field.name for field in fields(Document)]
    columns: dict[str, Any] = {name: [getattr(d, name) for d, _ in documents] for name in names}
    return pa.table({**columns, "recipe": [recipe for _, recipe in documents]}, schema=DOCUMENTS)


def document_from(row: Mapping[str, Any]) -> Document:
    """A row of `DOCUMENTS` as a value."""
    values = {field.name: row[field.name] for field in fields(Document)}
    lists = {name: tuple(row[name]) for name in ("authors", "requires", "contracts")}
    return Document(**{**values, **lists, "kind": Kind(row["kind"])})


def passage_rows(passages: Sequence[Passage], vectors: Vectors) -> pa.Table:
    """Passages and their vectors, shape (n, dimension), as rows of `PASSAGES` and `vector`."""
    names = [name for name in PASSAGES.names if name != "document"]
    columns: dict[str, Any] = {name: [getattr(p, name) for p in passages] for name in names}
    columns["document"] = [document_key(p.uri) for p in passages]
    return pa.table({**columns, "vector": vector_column(vectors)}, schema=_WITH_VECTOR)


def passage_from(row: Mapping[str, Any]) -> Passage:
    """A row of `PASSAGES` as a value. Raises LibraryError where it is not what its digest was taken of.

    A row that an older format wrote has none: of that, its file must have been checked.
    """
    values = {field.name: row[field.name] for field in fields(Passage)}
    lists = {name: tuple(row[name] or ()) for name in ("heading", "identifiers")}
    passage = Passage(**{**values, **lists})
    if row["digest"] not in (None, passage.digest):
        raise LibraryError(
            f"a passage of {passage.uri!r} is not what was written; `chaincite doctor --repair` restores it"
        )
    return passage


def vector_column(vectors: Vectors) -> pa.Array:
    """Vectors of shape (n, dimension) as a column of lists, not copied."""
    count, dimension = vectors.shape
    offsets = pa.array(np.arange(0, (count + 1) * dimension, max(dimension, 1), dtype=np.int32)[: count + 1])
    return pa.ListArray.from_arrays(offsets, pa.array(vectors.reshape(-1), pa.float32()))


def vectors_of(column: pa.ChunkedArray | pa.Array, dimension: int) -> Vectors:
    """The inverse of `vector_column`."""
    chunk = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    return np.asarray(chunk.flatten(), np.float32).reshape(-1, dimension)


def quoted(text: str) -> str:
    """A text as SQL spells it."""
    return "'" + text.replace("'", "''") + "'"


def slices(items: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    """The items, at most `size` at a time."""
    return (items[at : at + size] for at in range(0, len(items), size))
