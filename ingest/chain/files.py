"""Files of blocks, transactions, logs and token transfers, read a batch at a time.

JSON lines and CSV have the columns of ethereum-etl, Parquet has those of cryo. Integers stay exact: they are
text on the way, and a float where an integer belongs is refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from index.errors import SourceError
from index.events import SCHEMAS
from ingest.chain.formats import Columns, Tell, opened
from ingest.names import location_of

_BLOCK = {
    "block_number": ("block_number", "blockNumber"),
    "block_hash": ("block_hash", "blockHash"),
    "block_timestamp": ("block_timestamp", "timestamp"),
}
_COLUMNS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "transfers": {
        **_BLOCK,
        "transaction_hash": ("transaction_hash",),
        "log_index": ("log_index",),
        "token_address": ("token_address", "erc20", "erc721"),
        "from_address": ("from_address",),
        "to_address": ("to_address",),
        "value": ("value", "value_string", "value_binary", "token_id", "token_id_string"),
    },
    "events": {
        **_BLOCK,
        "transaction_hash": ("transaction_hash", "transactionHash"),
        "transaction_index": ("transaction_index", "transactionIndex"),
        "log_index": ("log_index", "logIndex"),
        "address": ("address", "contract_address"),
        "topics": ("topics",),
        **{f"topic{at}": (f"topic{at}",) for at in range(4)},
        "data": ("data",),
    },
    "transactions": {
        **_BLOCK,
        "transaction_hash": ("hash", "transaction_hash"),
        "transaction_index": ("transaction_index",),
        "from_address": ("from_address", "from"),
        "to_address": ("to_address", "to"),
        "value": ("value", "value_string", "value_binary"),
        "nonce": ("nonce",),
        "gas": ("gas", "gas_limit"),
        "gas_price": ("gas_price",),
        "max_fee_per_gas": ("max_fee_per_gas",),
        "max_priority_fee_per_gas": ("max_priority_fee_per_gas",),
        "effective_gas_price": ("receipt_effective_gas_price", "effective_gas_price"),
        "gas_used": ("receipt_gas_used", "gas_used"),
        "status": ("receipt_status", "status", "success"),
        "contract_address": ("receipt_contract_address", "contract_address"),
        "transaction_type": ("transaction_type",),
        "input": ("input",),
    },
    "blocks": {
        "block_number": ("number", "block_number"),
        "block_hash": ("hash", "block_hash"),
        "block_timestamp": ("timestamp", "block_timestamp"),
        "parent_hash": ("parent_hash",),
        "miner": ("miner", "author"),
        "gas_limit": ("gas_limit",),
        "gas_used": ("gas_used",),
        "base_fee_per_gas": ("base_fee_per_gas",),
        "size": ("size",),
        "transaction_count": ("transaction_count",),
    },
}
"""For each table the names that its columns have in files; the first that is there counts."""

_NAMES = {name for columns in _COLUMNS.values() for names in columns.values() for name in names}
_WHERE = ("transaction_hash", "log_index", "block_number")
_NEEDED: Mapping[str, tuple[str, ...]] = {
    "transfers": ("token_address", "from_address", "to_address", "value", *_WHERE),
    "events": ("address", "data", *_WHERE),
    "transactions": ("transaction_hash", "from_address", "to_address", "value", "block_number"),
    "blocks": ("block_number", "block_hash"),
}
_ADDRESSES = {"address", "from_address", "to_address", "token_address", "contract_address", "miner"}
_SHAPES = {
    "hash": (r"^0x[0-9a-f]{64}$", "0x and 64 hex digits"),
    "address": (r"^0x[0-9a-f]{40}$", "0x and 40 hex digits"),
    "data": (r"^0x(?:[0-9a-f][0-9a-f])*$", "0x and an even number of hex digits"),
    "int64": (r"^[0-9]{1,18}$", "a whole number, not below 0"),
    "uint256": (r"^[0-9]{1,78}$", "a whole number, not below 0"),
}


@dataclass(frozen=True, slots=True)
class ChainFile:
    """A file of rows. path: the short name that people know it by; kind: the table of its rows."""

    path: str
    location: Path
    kind: str

    @classmethod
    def open(cls, location: Path, path: str | None = None) -> ChainFile:
        """Looks at a file's columns.

        Raises SourceError when it cannot be read, or has not what any table needs.
        """
        names, _ = opened(location, _NAMES, lambda _: None)
        return cls(path or str(location), location, _kind_of(location, names))


def batches(file: ChainFile, chain: str, tell: Tell) -> Iterator[pa.Table]:
    """The rows of a file, some at a time, with the text columns of the tables' schema and `chain`.

    tell: called with a line for each row that is left out. Raises SourceError when the file breaks off.
    """
    names, rows = opened(file.location, _NAMES, tell)
    wanted = _COLUMNS[file.kind]
    chosen = {
        column: next((name for name in given if name in names), None) for column, given in wanted.items()
    }
    retrieved = pa.scalar(datetime.now(UTC), pa.timestamp("us", "UTC"))
    for lines, columns in rows:
        table = typed(file.kind, lines, {c: columns[n] for c, n in chosen.items() if n}, tell)
        for name, value in (("chain", chain), ("path", file.path), ("location", location_of(file.location))):
            table = table.append_column(name, pa.repeat(value, table.num_rows))
        yield table.append_column("retrieved_at", pa.repeat(retrieved, table.num_rows))


def _kind_of(location: Path, names: set[str]) -> str:
    """The table whose needs these columns meet."""
    lacking = {}
    for kind, needed in _NEEDED.items():
        lacking[kind] = [c for c in needed if not names & set(_COLUMNS[kind][c])]
        if kind == "events" and not names & {"topics", "topic0"}:
            lacking[kind].append("topics")
        if not lacking[kind]:
            return kind
    nearest = min(lacking, key=lambda kind: len(lacking[kind]) / len(_NEEDED[kind]))
    what = "logs" if nearest == "events" else nearest
    raise SourceError(
        f"{location.name} has the columns {', '.join(sorted(names)[:12])}; to be read as {what} it lacks"
        f" {', '.join(lacking[nearest])}; export it again with these, as ethereum-etl or cryo do"
    )


def typed(kind: str, lines: list[int], columns: Columns, tell: Tell) -> pa.Table:
    """The columns as the schema wants them, without the rows that break a rule."""
    faults = _Faults(lines, tell)
    if kind == "events":
        _part_topics(columns, faults)
    schema, needed = SCHEMAS[kind], {*_NEEDED[kind]}
    table = {}
    for name, values in columns.items():
        field = schema.field(name)
        if name == "block_timestamp":
            table[name] = _times(values, faults)
            continue
        shape = _shape(name, field)
        optional = name not in needed or (name == "to_address" and kind == "transactions")
        table[name], good = _checked(values, shape, optional=optional)
        faults.add(good, name, values, _SHAPES[shape][1])
    keep = pa.array(faults.good)
    kept = {name: column.filter(keep) for name, column in table.items()}
    if "input" in kept:
        calls = pc.utf8_slice_codeunits(kept["input"], 0, 10)
        kept["selector"] = pc.if_else(
            pc.equal(pc.utf8_length(calls), 10), calls, pa.scalar(None, pa.string())
        )
    return pa.table({n: c.cast(schema.field(n).type) for n, c in kept.items()})


def _checked(values: list[Any], shape: str, *, optional: bool) -> tuple[pa.Array, Any]:
    """Values as a column of text or integers, and which of them are of a shape."""
    try:
        if shape == "int64" and any(value.__class__ is int for value in values[:1]):
            numbers = pa.array(values, pa.int64())
            return numbers, np.asarray(pc.fill_null(pc.greater_equal(numbers, 0), optional))
        found = pa.array(values, pa.string())
    except (pa.ArrowException, OverflowError):
        found = pa.array([_as_text(value, shape) for value in values], pa.string())
    good, lower = _matching(found, shape, optional=optional)
    if not good.all():
        found = pa.array([_as_text(value, shape) for value in values], pa.string())
        good, lower = _matching(found, shape, optional=optional)
    return lower, good


def _matching(found: pa.Array, shape: str, *, optional: bool) -> tuple[Any, pa.Array]:
    found = pc.fill_null(found, "0x") if shape == "data" else found
    lower = pc.utf8_lower(found) if shape in ("hash", "address", "data") else found
    return np.asarray(pc.fill_null(pc.match_substring_regex(lower, _SHAPES[shape][0]), optional)), lower


class _Faults:
    """Which rows of a batch hold, and what is said of those that do not."""

    def __init__(self, lines: list[int], tell: Tell) -> None:
        self.good = np.ones(len(lines), bool)
        self._lines, self._tell = lines, tell

    def add(self, good: Any, name: str, values: Sequence[Any], allowed: str) -> None:
        """Leaves out the rows that are not good for the first time, saying what was seen in the column."""
        for row in np.flatnonzero(self.good & ~good).tolist():
            seen = "nothing" if values[row] in (None, "") else repr(values[row])[:80]
            self._tell(f"line {self._lines[row]}: `{name}` should be {allowed}, but it is {seen}")
        self.good &= good


def _shape(name: str, field: pa.Field) -> str:
    if name.endswith("_hash") or name.startswith("topic"):
        return "hash"
    if name in _ADDRESSES:
        return "address"
    if name in ("data", "input"):
        return "data"
    return "int64" if pa.types.is_int64(field.type) else "uint256"


def _as_text(value: Any, shape: str) -> str | None:
    """A value as the text that the rules look at; numbers in decimal digits, however they were written."""
    if value.__class__ is str:
        if shape in ("int64", "uint256"):
            return _decimal(value)
        return value or None
    if value is None:
        return None
    return str(int(value)) if isinstance(value, bool) else str(value)


def _decimal(text: str) -> str | None:
    if text.startswith("0x"):
        try:
            return str(int(text, 16))
        except ValueError:
            return text
    return {"true": "1", "false": "0"}.get(text.lower(), text) or None


def _part_topics(columns: Columns, faults: _Faults) -> None:
    """Puts a column of lists, or of lists parted by commas, in the place of four columns."""
    topics = columns.pop("topics", None)
    if topics is None:
        return
    lists = [
        value
        if isinstance(value, list)
        else [part.strip() for part in (value or "").split(",") if part.strip()]
        for value in topics
    ]
    faults.add(np.array([len(some) <= 4 for some in lists], bool), "topics", topics, "four at most")
    for at in range(4):
        columns[f"topic{at}"] = [some[at] if at < len(some) else None for some in lists]


def _times(values: list[Any], faults: _Faults) -> pa.Array:
    times = [_time(value) for value in values]
    good = np.array([time is not None or not given for time, given in zip(times, values, strict=True)], bool)
    faults.add(good, "block_timestamp", values, "seconds since 1970, or a date and time")
    return pa.array(times, pa.timestamp("us", "UTC"))


def _time(value: Any) -> datetime | int | None:
    """A time as Arrow takes it: microseconds, or a datetime with its zone."""
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=UTC)
    try:
        if isinstance(value, int) or (isinstance(value, str) and value.isdigit()):
            return datetime.fromtimestamp(int(value), UTC)
        if isinstance(value, str) and value:
            found = datetime.fromisoformat(value.replace(" UTC", "+00:00"))
            return found if found.tzinfo else found.replace(tzinfo=UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return None
