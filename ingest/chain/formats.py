"""The formats of files of rows: JSON lines, CSV, Parquet; each as names of columns and batches of values."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Callable, Collection, Iterator
from functools import partial
from io import TextIOWrapper
from itertools import chain, islice
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
from pydantic_core import from_json

from index.errors import SourceError

ROWS = 50_000
"""Rows of a batch."""

FORMATS = (".jsonl", ".ndjson", ".json", ".csv", ".parquet")

Tell = Callable[[str], None]
Columns = dict[str, list[Any]]
Batches = Iterator[tuple[list[int], Columns]]
"""Line numbers, and the values of each column."""


def opened(location: Path, wanted: Collection[str], tell: Tell) -> tuple[set[str], Batches]:
    """The names of a file's columns, and its rows.

    wanted: columns that are of use; tell: called with a line for each line that cannot be read. Raises
    SourceError when the file cannot be opened, or is not what its name says.
    """
    suffix = [part for part in location.suffixes if part != ".gz"][-1:]
    readers: dict[str, Callable[[Path, Tell], tuple[set[str], Batches]]] = {
        ".csv": _csv,
        ".parquet": partial(_parquet, wanted=wanted),
    }
    if not suffix or suffix[0] not in FORMATS:
        raise SourceError(f"{location.name} is of no format that is read; readable are {' '.join(FORMATS)}")
    try:
        return readers.get(suffix[0], _json_lines)(location, tell)
    except OSError as error:
        raise SourceError(f"{location} cannot be read ({error.strerror or error}); check the path") from None
    except (pa.ArrowException, UnicodeDecodeError, csv.Error) as error:
        raise SourceError(f"{location.name} is not what its name says ({error})") from None


def _bytes_of(location: Path) -> IO[bytes]:
    return gzip.open(location) if location.suffix == ".gz" else location.open("rb")  # type: ignore[return-value]


def _json_lines(location: Path, tell: Tell) -> tuple[set[str], Batches]:
    records = _records(location, tell)
    first = list(islice(records, 100))
    if not first:
        raise SourceError(f"{location.name} holds no JSON object; write one object a line")
    names = set(chain.from_iterable(record for _, record in first))

    def rows() -> Batches:
        rest = chain(first, records)
        while some := list(islice(rest, ROWS)):
            yield [at for at, _ in some], {name: [record.get(name) for _, record in some] for name in names}

    return names, rows()


def _records(location: Path, tell: Tell) -> Iterator[tuple[int, dict[str, Any]]]:
    with _bytes_of(location) as body:
        for at, line in enumerate(body, start=1):
            if line.isspace():
                continue
            try:
                record = from_json(line, cache_strings="keys")
            except ValueError as error:
                tell(f"line {at} is not JSON ({error})")
                continue
            if isinstance(record, dict):
                yield at, record
            else:
                tell(f"line {at} is no JSON object; write one object a line")


def _csv(location: Path, tell: Tell) -> tuple[set[str], Batches]:
    with _text_of(location) as body:
        header = next(csv.reader(body), [])

    def rows() -> Batches:
        with _text_of(location) as body:
            reader = csv.reader(body)
            next(reader)
            good = _whole_rows(reader, len(header), tell)
            while some := list(islice(good, ROWS)):
                values = zip(*(row for _, row in some), strict=True)
                columns = {n: [v or None for v in column] for n, column in zip(header, values, strict=True)}
                yield [at for at, _ in some], columns

    return set(header), rows()


def _text_of(location: Path) -> TextIOWrapper:
    return TextIOWrapper(_bytes_of(location), encoding="utf-8", errors="replace", newline="")


def _whole_rows(reader: Any, width: int, tell: Tell) -> Iterator[tuple[int, list[str]]]:
    while True:
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            tell(f"line {reader.line_num} is not CSV ({error})")
            continue
        if len(row) == width:
            yield reader.line_num, row
        elif row:
            tell(f"line {reader.line_num} has {len(row)} fields, the header has {width}")


def _parquet(location: Path, tell: Tell, wanted: Collection[str]) -> tuple[set[str], Batches]:
    import pyarrow.parquet as pq

    file = pq.ParquetFile(location)
    names = [name for name in file.schema_arrow.names if name in wanted]

    def rows() -> Batches:
        at = 1
        try:
            for batch in file.iter_batches(ROWS, columns=names):
                yield list(range(at, at + len(batch))), {n: _listed(batch[n]) for n in names}
                at += len(batch)
        except (OSError, pa.ArrowException) as error:
            tell(f"breaks off after row {at - 1} ({str(error).splitlines()[0]})")

    return set(file.schema_arrow.names), rows()


def _listed(column: pa.Array) -> list[Any]:
    """The values of a column; byte strings as hex."""
    values: list[Any] = column.to_pylist()
    if pa.types.is_binary(column.type) or pa.types.is_fixed_size_binary(column.type):
        return [None if value is None else "0x" + value.hex() for value in values]
    return values
