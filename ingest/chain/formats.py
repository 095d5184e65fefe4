"""The formats of files of rows: JSON, CSV, Parquet; each as names of columns and batches of values.

Names are folded: `blockNumber`, `BLOCK_NUMBER` and `block number` are one.
"""

from __future__ import annotations

import codecs
import csv
import gzip
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from io import TextIOWrapper
from itertools import chain, islice
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
from pydantic_core import from_json

from index.errors import SourceError
from ingest.chain.json_rows import Refused, concatenated, rows_of

ROWS = 50_000
"""Rows of a batch."""

FORMATS = (".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet")

LONGEST_FIELD = 100_000_000
"""Characters of the longest field of a CSV file; calldata may be long."""

_DELIMITERS = ",;\t|"
_NOTHING = frozenset({"", "null", "NULL", "None", "nan", "NaN", "NaT", "<NA>", "<nil>", "\\N"})
"""What stands in CSV files where there is no value."""

_MARKS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}

Tell = Callable[[str], None]
Columns = dict[str, list[Any]]
Batches = Iterator[tuple[list[int], Columns]]
"""Line numbers, and the values of each column."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A file of rows. names: of its columns as written, by their folded form; unit: what is counted."""

    names: dict[str, str]
    batches: Batches
    unit: str = "line"


def folded(name: str) -> str:
    """A column's name without case, spaces and marks.

    >>> folded("blockNumber"), folded(" BLOCK_NUMBER")
    ('blocknumber', 'blocknumber')
    """
    return "".join(sign for sign in name.lower() if sign.isalnum())


def opened(location: Path, wanted: Collection[str], tell: Tell) -> Opened:
    """A file's columns and rows.

    wanted: folded names of columns that are of use; tell: called with a line for each row that cannot be
    read. Raises SourceError when the file cannot be opened, or is not what its name says.
    """
    suffix = [part for part in location.suffixes if part != ".gz"][-1:]
    readers = {".csv": _csv, ".tsv": _csv, ".parquet": _parquet}
    if not suffix or suffix[0].lower() not in FORMATS:
        raise SourceError(f"{location.name} is of no format that is read; readable are {' '.join(FORMATS)}")
    try:
        return readers.get(suffix[0].lower(), _json)(location, wanted, tell)
    except OSError as error:
        raise SourceError(f"{location} cannot be read ({error.strerror or error}); check the path") from None
    except (pa.ArrowException, UnicodeError, csv.Error) as error:
        raise SourceError(f"{location.name} is not what its name says ({error})") from None


def _bytes_of(location: Path) -> IO[bytes]:
    return gzip.open(location) if location.suffix == ".gz" else location.open("rb")  # type: ignore[return-value]


def _encoding(location: Path) -> str:
    """The encoding of a text file by its byte order mark, else UTF-8."""
    with _bytes_of(location) as body:
        start = body.read(4)
    return next((name for mark, name in _MARKS.items() if start.startswith(mark)), "utf-8")


def _text_of(location: Path) -> TextIOWrapper:
    return TextIOWrapper(_bytes_of(location), encoding=_encoding(location), errors="replace", newline="")


def _named(names: Collection[str]) -> dict[str, str]:
    """Names as written by their folded form; of two alike the first."""
    return {folded(name): name for name in reversed(list(names))}


def _json(location: Path, wanted: Collection[str], tell: Tell) -> Opened:
    refusals: list[str] = []
    unit = "line" if _is_lines(location) else "row"
    read = _records_of_lines if unit == "line" else _records_of_document
    records = read(location, wanted, tell, refusals)
    first = list(islice(records, 100))
    if not first:
        why = f": it is an endpoint's refusal ({refusals[0]})" if refusals else ""
        raise SourceError(f"{location.name} holds no JSON object{why}; write one object a line, or a list")
    names = _named(list(dict.fromkeys(chain.from_iterable(record for _, record in first))))

    def rows() -> Batches:
        rest = chain(first, records)
        while some := list(islice(rest, ROWS)):
            later = _named(set(chain.from_iterable(record for _, record in some)) - {*names.values()})
            known = {**later, **names}
            columns = {name: [record.get(given) for _, record in some] for name, given in known.items()}
            yield [at for at, _ in some], columns

    return Opened(names, rows(), unit)


def _is_lines(location: Path) -> bool:
    """Whether a JSON file has an object a line; the first or the second line says so."""
    with _text_of(location) as body:
        lines = list(islice((line for line in body if not line.isspace()), 2))
    return any(line.lstrip()[:1] == "{" and _is_json(line) for line in lines)


def _is_json(text: str) -> bool:
    try:
        from_json(text)
    except ValueError:
        return False
    return True


def _records_of_lines(
    location: Path, wanted: Collection[str], tell: Tell, refusals: list[str]
) -> Iterator[tuple[int, dict[str, Any]]]:
    row: tuple[str, ...] = ()
    plain = _encoding(location) == "utf-8"
    body: IO[Any] = _bytes_of(location) if plain else _text_of(location)
    with body:
        for at, line in enumerate(body, start=1):
            if line.isspace():
                continue
            try:
                value = from_json(line, cache_strings="keys")
                if isinstance(value, dict) and tuple(value) == row:  # a row as the one before
                    yield at, value
                    continue
                some = rows_of(value, wanted)
                row = tuple(value) if some and some[0] is value else row
            except Refused as error:
                refusals.append(str(error))
                tell(f"line {at} is an endpoint's refusal ({error})")
                continue
            except ValueError as error:
                tell(f"line {at} is not JSON ({error})")
                continue
            if not some and not isinstance(value, dict):
                tell(f"line {at} is no JSON object; write one object a line")
            yield from ((at, record) for record in some)


def _records_of_document(
    location: Path, wanted: Collection[str], tell: Tell, refusals: list[str]
) -> Iterator[tuple[int, dict[str, Any]]]:
    with _text_of(location) as body:
        text = body.read()
    at = 0
    for value in concatenated(text, tell):
        try:
            some = rows_of(value, wanted)
        except Refused as error:
            refusals.append(str(error))
            continue
        for record in some:
            at += 1
            yield at, record


def _csv(location: Path, wanted: Collection[str], tell: Tell) -> Opened:
    csv.field_size_limit(LONGEST_FIELD)
    skipped, header, delimiter = _header(location, wanted)
    names = _named(header)
    places = {name: header.index(given) for name, given in names.items()}

    def rows() -> Batches:
        with _text_of(location) as body:
            reader = csv.reader(body, delimiter=delimiter, skipinitialspace=True)
            for _ in range(skipped + 1):
                next(reader)
            good = _whole_rows(reader, len(header), tell)
            while some := list(islice(good, ROWS)):
                columns = {
                    name: [None if row[at] in _NOTHING else row[at] for _, row in some]
                    for name, at in places.items()
                }
                yield [at for at, _ in some], columns

    return Opened(names, rows())


def _header(location: Path, wanted: Collection[str]) -> tuple[int, list[str], str]:
    """The rows before the header, the header, and the delimiter by which it has the most known names."""
    with _text_of(location) as body:
        lines = list(islice(body, 3))
    skipped = next((at for at, line in enumerate(lines) if line.strip() and not line.startswith("sep=")), 0)
    line = lines[skipped] if lines else ""
    headers = {
        sign: [name.strip() for name in next(csv.reader([line], delimiter=sign), [])] for sign in _DELIMITERS
    }
    delimiter = max(headers, key=lambda sign: sum(folded(name) in wanted for name in headers[sign]))
    return skipped, headers[delimiter], delimiter


def _whole_rows(reader: Any, width: int, tell: Tell) -> Iterator[tuple[int, list[str]]]:
    while True:
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            tell(f"line {reader.line_num} is not CSV ({error})")
            continue
        while len(row) > width and not row[-1]:
            row.pop()
        if len(row) == width:
            yield reader.line_num, row
        elif row:
            tell(f"line {reader.line_num} has {len(row)} fields, the header has {width}")


def _parquet(location: Path, wanted: Collection[str], tell: Tell) -> Opened:
    import pyarrow.parquet as pq

    file = pq.ParquetFile(location)
    names = _named(file.schema_arrow.names)
    useful = {name: given for name, given in names.items() if name in wanted}

    def rows() -> Batches:
        at = 1
        try:
            for batch in file.iter_batches(ROWS, columns=list(useful.values())):
                yield (
                    list(range(at, at + len(batch))),
                    {n: _listed(batch[given]) for n, given in useful.items()},
                )
                at += len(batch)
        except (OSError, pa.ArrowException) as error:
            tell(f"breaks off after row {at - 1} ({str(error).splitlines()[0]})")

    return Opened(names, rows(), "row")


def _listed(column: pa.Array) -> list[Any]:
    """The values of a column; byte strings as hex, also in lists."""
    values: list[Any] = column.to_pylist()
    kind = column.type
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return [value and [_hex(part) for part in value] for value in values]
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind):
        return [_hex(value) for value in values]
    return values


def _hex(value: Any) -> Any:
    return "0x" + value.hex() if isinstance(value, bytes) else value
