"""The job that reads files of a chain: rows into the tables, then what they say into the index."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType

import pyarrow as pa
import pyarrow.compute as pc

from index.errors import SourceError
from index.events import TOKENS
from index.values import Document
from index.writer import Writer
from ingest.chain.abi import EventSignature, declared_in_code, known_events, known_tokens
from ingest.chain.decode import Decoder
from ingest.chain.files import ChainFile, batches
from ingest.chain.passages import RECIPE
from ingest.chain.rollups import told
from ingest.jobs import Progress
from ingest.sources import Problem

_ORDER = ("blocks", "transactions", "transfers", "events")
SHOWN = 5
"""Faults of one file that are told; the others are counted."""


@dataclass(frozen=True, slots=True)
class ChainReport:
    """What a job did. rows: new in each table; read: rows read from files; documents: new or changed."""

    rows: dict[str, int]
    read: int
    documents: int
    unchanged: int
    passages: int
    embedded: int
    skipped: tuple[Problem, ...]
    notes: tuple[Problem, ...]
    seconds: float


class ChainJob:
    """Brings a library up to date with files of a chain.

    chain: CAIP-2 id; declarations: events that come before the well-known ones and those of the library's
    code; limit: transactions of one
    file that are told one by one; progress: called as passages are embedded.
    """

    def __init__(
        self,
        writer: Writer,
        chain: str,
        declarations: Iterable[EventSignature] = (),
        limit: int = 2000,
        progress: Callable[[Progress], None] = lambda _: None,
    ) -> None:
        self._writer = writer
        self._chain = chain
        self._decoder = Decoder(declarations, known_events(), declared_in_code(writer.named_code()))
        self._limit = limit
        self._progress = progress

    def run(self, files: Sequence[ChainFile], problems: Sequence[Problem] = ()) -> ChainReport:
        """Reads the files, blocks first. Rows that break a rule are left out and told; the rest goes on."""
        began = time.monotonic()
        embedded = self._writer.embedded
        skipped, notes = list(problems), list[Problem]()
        rows = dict.fromkeys(_ORDER, 0)
        self._writer.add_events(tokens=tokens(known_tokens(), "built-in"))
        read = 0
        for file in sorted(files, key=lambda file: _ORDER.index(file.kind)):
            faults = _Told(file.path)
            for batch in batches(file, self._chain, faults.tell, partial(self._writer.orphan, self._chain)):
                prepared = self.prepared(file.kind, batch)
                faults.no_hash |= prepared["block_hash"].null_count > 0
                rows |= {name: rows[name] + new for name, new in self._add(file.kind, prepared).items()}
                read += batch.num_rows
            skipped += faults.problems()
            notes += faults.notes()
        documents, unchanged, passages = self.tell(sorted({file.path for file in files}))
        self._writer.publish()
        return ChainReport(
            rows=rows,
            read=read,
            documents=documents,
            unchanged=unchanged,
            passages=passages,
            embedded=self._writer.embedded - embedded,
            skipped=tuple(skipped),
            notes=tuple(notes),
            seconds=time.monotonic() - began,
        )

    def add(self, table: str, rows: pa.Table) -> int:
        """Adds rows of `index.events.SCHEMAS[table]`, prepared; returns how many the library did not hold."""
        return self._add(table, self.prepared(table, rows))[table]

    def prepared(self, table: str, rows: pa.Table) -> pa.Table:
        """The rows with their logs decoded, and hashes and times of known blocks where they lack them."""
        rows = rows if table == "blocks" else self._with_blocks(rows)
        return self._decoder.decode(rows) if table == "events" else rows

    def _add(self, table: str, rows: pa.Table) -> dict[str, int]:
        return self._writer.add_events(**{table: rows})

    def tell(self, paths: Iterable[str]) -> tuple[int, int, int]:
        """Makes documents of the rows that came from these paths, where they changed; others of them go.

        Returns the number of documents added or changed, of those unchanged, and of passages.
        """
        known = self._writer.known()
        counts = [0, 0, 0]
        with self._writer.sql() as connection:
            for path in paths:
                gone = {uri for uri, (document, _) in known.items() if document.path == path}
                for document, passages in told(connection, path, self._limit):
                    gone.discard(document.uri)
                    before = known.get(document.uri)
                    if before and before[1] == RECIPE and _same(before[0], document):
                        counts[1] += 1
                        continue
                    counts[0] += 1
                    counts[2] += len(passages)
                    self._writer.progress = partial(self._say, counts[0], counts[2])
                    self._writer.add(document, passages, RECIPE)
                self._writer.remove(gone)
        return counts[0], counts[1], counts[2]

    def _say(self, documents: int, passages: int, embedded: int) -> None:
        self._progress(Progress(documents, documents, passages, embedded))

    def _with_blocks(self, rows: pa.Table) -> pa.Table:
        """The rows with the hashes and times of their blocks, as far as the library knows these blocks."""
        lacking = [
            name
            for name in ("block_hash", "block_timestamp")
            if name not in rows.column_names or rows[name].null_count
        ]
        if not lacking or not rows.num_rows:
            return rows
        span = pc.min_max(rows["block_number"]).as_py()
        columns = ["chain", "block_number", "block_hash", "block_timestamp", "orphaned_at"]
        known = self._writer.rows("blocks", span["min"], span["max"], columns)
        known = known.filter(pc.and_(pc.is_null(known["orphaned_at"]), pc.equal(known["chain"], self._chain)))
        at = pc.index_in(rows["block_number"], value_set=known["block_number"])
        for name in lacking:
            found = known[name].take(at)
            if name in rows.column_names:
                place = rows.column_names.index(name)
                rows = rows.set_column(place, name, pc.coalesce(rows[name], found))
            else:
                rows = rows.append_column(name, found)
        return rows


def _same(one: Document, other: Document) -> bool:
    return (one.sha256, one.status) == (other.sha256, other.status)


class _Told:
    """What is wrong with the lines of one file: the first few are told, the rest counted."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._count = 0
        self._first: list[str] = []
        self.no_hash = False

    def tell(self, fault: str) -> None:
        self._count += 1
        if len(self._first) < SHOWN:
            self._first.append(fault)

    def problems(self) -> list[Problem]:
        more = self._count - len(self._first)
        rest = [f"{more} more lines are left out"] if more else []
        return [Problem(self._path, fault) for fault in [*self._first, *rest]]

    def notes(self) -> list[Problem]:
        why = (
            "has no block hashes, nor are its blocks known: citations name their numbers; give --blocks FILE"
        )
        return [Problem(self._path, why)] if self.no_hash else []


def tokens(given: Iterable[dict[str, object]], origin: str) -> pa.Table:
    """Tokens (chain, address, symbol, decimals, name) as rows, their texts made safe to show.

    origin: who says so. Symbols are cut at 32 characters, names at 64; control characters go.
    """
    rows = [
        {
            **token,
            "symbol": _safe(token.get("symbol"), 32),
            "name": _safe(token.get("name"), 64),
            "origin": origin,
        }
        for token in given
    ]
    return pa.Table.from_pylist(rows, schema=TOKENS)


def _safe(text: object, length: int) -> str | None:
    if text is None:
        return None
    return " ".join("".join(c if c.isprintable() else " " for c in str(text)).split())[:length] or None


def find_files(
    targets: Sequence[Path], manifest: Path | None = None, kinds: Mapping[Path, str] = MappingProxyType({})
) -> tuple[list[ChainFile], list[Problem]]:
    """The files that targets name, and what is wrong with the others.

    targets: files, or folders whose files are all taken; with a manifest and no target, its files of kind
    `chain` are taken. A file of the manifest is known by its path there. kinds: the table of a target's
    rows, where a person says so.
    """
    said = {file.resolve(): kind for target, kind in kinds.items() for file in _under(target)}
    names = _manifest(manifest) if manifest else {}
    wanted = [file for target in targets for file in _under(target)] or list(names)
    files, problems = list[ChainFile](), list[Problem]()
    for location in dict.fromkeys(file.resolve() for file in wanted):
        path = names.get(location, str(location.name))
        try:
            files.append(ChainFile.open(location, path, said.get(location)))
        except SourceError as error:
            problems.append(Problem(path, str(error)))
    return files, problems


def _under(target: Path) -> list[Path]:
    return sorted(file for file in target.iterdir() if file.is_file()) if target.is_dir() else [target]


def _manifest(manifest: Path) -> dict[Path, str]:
    """The files of kind `chain` in a manifest, with their paths there."""
    try:
        rows = json.loads(manifest.read_text(encoding="utf-8"))
        found = [row["path"] for row in rows if row.get("kind") == "chain"]
    except OSError as error:
        raise SourceError(f"the manifest cannot be read ({error.strerror}); check the path") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SourceError(
            f"the manifest is not a JSON list of objects with `path` ({error}); mend it"
        ) from None
    return {(manifest.resolve().parent / path).resolve(): path for path in found}
