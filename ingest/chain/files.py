"""Files of blocks, transactions, logs and token transfers, read a batch at a time.

Their columns are those of ethereum-etl, BigQuery, cryo, Dune, Flipside, Covalent, Etherscan and JSON-RPC.
Integers stay exact: they are text on the way, and a float that holds no whole number is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from index.errors import SourceError
from index.events import SCHEMAS
from ingest.chain.cells import as_text, as_time, as_topics, is_nothing, is_true
from ingest.chain.formats import Columns, Tell, opened
from ingest.names import location_of

_BLOCK = {
    "block_number": "blocknumber blocknum blockheight evtblocknumber blockno",
    "block_hash": "blockhash evtblockhash",
    "block_timestamp": "blocktimestamp timestamp blocktime evtblocktime blocksignedat unixtimestamp",
}
_TRANSACTION_HASH = "transactionhash txhash txnhash evttxhash"
_LOG_INDEX = "logindex evtindex eventindex logoffset"
_SPELLINGS: Mapping[str, Mapping[str, str]] = {
    "events": {
        **_BLOCK,
        "transaction_hash": _TRANSACTION_HASH,
        "transaction_index": "transactionindex txindex evttxindex txposition txoffset",
        "log_index": f"{_LOG_INDEX} index",
        "address": "address contractaddress senderaddress",
        "topics": "topics rawlogtopics",
        **{f"topic{at}": f"topic{at}" for at in range(5)},
        "data": "data rawlogdata",
        "removed": "removed eventremoved",
    },
    "transfers": {
        **_BLOCK,
        "transaction_hash": f"{_TRANSACTION_HASH} hash",
        "log_index": _LOG_INDEX,
        "token_address": "tokenaddress erc20 erc721 contractaddress",
        "from_address": "fromaddress from",
        "to_address": "toaddress to",
        "value": "value valuestring valuebinary amountraw rawamount tokenid tokenidstring",
    },
    "transactions": {
        **_BLOCK,
        "transaction_hash": f"hash {_TRANSACTION_HASH}",
        "transaction_index": "transactionindex txindex txposition txoffset index",
        "from_address": "fromaddress from",
        "to_address": "toaddress to",
        "value": "value valuestring valuebinary",
        "nonce": "nonce",
        "gas": "gas gaslimit",
        "gas_price": "gasprice",
        "max_fee_per_gas": "maxfeepergas",
        "max_priority_fee_per_gas": "maxpriorityfeepergas priorityfeepergas",
        "effective_gas_price": "receipteffectivegasprice effectivegasprice",
        "gas_used": "receiptgasused gasused",
        "status": "receiptstatus txreceiptstatus status success",
        "contract_address": "receiptcontractaddress contractaddress",
        "transaction_type": "transactiontype",
        "input": "input inputdata data",
    },
    "blocks": {
        "block_number": "number blocknumber",
        "block_hash": "hash blockhash",
        "block_timestamp": "timestamp blocktimestamp time blocktime",
        "parent_hash": "parenthash",
        "miner": "miner author",
        "gas_limit": "gaslimit",
        "gas_used": "gasused",
        "base_fee_per_gas": "basefeepergas",
        "size": "size",
        "transaction_count": "transactioncount txcount",
    },
}
_COLUMNS = {
    kind: {column: tuple(names.split()) for column, names in spelled.items()}
    for kind, spelled in _SPELLINGS.items()
}
"""For each table the names that its columns have in files, folded; the first that is there counts."""

_NAMES = {name for columns in _COLUMNS.values() for names in columns.values() for name in names}
_WHERE = ("transaction_hash", "log_index", "block_number")
_NEEDED: Mapping[str, tuple[str, ...]] = {
    "events": ("address", "data", *_WHERE),
    "transfers": ("token_address", "from_address", "to_address", "value", *_WHERE),
    "transactions": ("transaction_hash", "from_address", "to_address", "value", "block_number"),
    "blocks": ("block_number", "block_hash"),
}
_TOPICS = {"topics", *(f"topic{at}" for at in range(5))}
_IN_LOGS = {*_TOPICS, *_LOG_INDEX.split()}
_OF_TOKENS = {
    *("tokenaddress", "erc20", "erc721", "tokenid", "tokensymbol", "tokendecimal", "tokenname"),
    *("amountraw", "rawamount", "evtindex"),
}
_OWN: Mapping[str, set[str]] = {
    "events": _TOPICS,
    "transfers": {*_OF_TOKENS, *_LOG_INDEX.split()},
    "transactions": {
        *("nonce", "gas", "gasprice", "input", "inputdata", "transactiontype"),
        *("receiptstatus", "txreceiptstatus", "receiptgasused", "maxfeepergas", "receiptcontractaddress"),
    },
    "blocks": {
        *("number", "parenthash", "miner", "author", "basefeepergas", "transactioncount", "txcount"),
        *("stateroot", "receiptsroot", "logsbloom", "extradata", "difficulty", "sha3uncles"),
    },
}
"""Columns of which a table has one at least."""

_FOREIGN: Mapping[str, set[str]] = {
    "events": {"tokenaddress", "erc20", "erc721"},
    "transfers": _TOPICS,
    "transactions": _OF_TOKENS | _IN_LOGS,
    "blocks": _IN_LOGS | {*_TRANSACTION_HASH.split(), "from", "to", "fromaddress", "toaddress", "address"},
}
"""Columns that a table has none of."""

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
    def open(cls, location: Path, path: str | None = None, kind: str | None = None) -> ChainFile:
        """Looks at a file's columns. kind: the table of its rows, where a person says so.

        Raises SourceError when it cannot be read, has not what its table needs, or could be of several.
        """
        found = opened(location, _NAMES, lambda _: None)
        return cls(path or str(location), location, _kind_of(location, found.names, kind))


def batches(
    file: ChainFile,
    chain: str,
    tell: Tell,
    displaced: Callable[[frozenset[str]], object] = lambda _: None,
) -> Iterator[pa.Table]:
    """The rows of a file, some at a time, with the text columns of the tables' schema and `chain`.

    tell: called with a line for each row that is left out, or kept without one of its values; displaced:
    with the hashes of blocks whose logs are marked as removed, before the rows that follow. Raises
    SourceError when the file breaks off.
    """
    found = opened(file.location, _NAMES, tell)
    retrieved = pa.scalar(datetime.now(UTC), pa.timestamp("us", "UTC"))
    for numbers, columns in found.batches:
        chosen = _chosen(file.kind, columns.keys() | found.names.keys())
        given = {column: columns[name] for column, name in chosen.items() if name in columns}
        lines, given, gone = _standing(numbers, given)
        if gone:
            displaced(gone)
        table = typed(file.kind, lines, given, tell, found.unit)
        for name, value in (("chain", chain), ("path", file.path), ("location", location_of(file.location))):
            table = table.append_column(name, pa.repeat(value, table.num_rows))
        yield table.append_column("retrieved_at", pa.repeat(retrieved, table.num_rows))


def _chosen(kind: str, there: Collection[str]) -> dict[str, str]:
    """The folded name in a file of each column that it has. there: the names of the file."""
    spelled = {
        column: next((name for name in names if name in there), None)
        for column, names in _COLUMNS[kind].items()
    }
    chosen = {column: name for column, name in spelled.items() if name}
    if kind == "events" and "topics" not in chosen and "topic0" not in chosen:  # counted from 1
        numbered = {f"topic{at - 1}": f"topic{at}" for at in range(1, 5) if f"topic{at}" in chosen}
        chosen = {column: name for column, name in chosen.items() if column not in _TOPICS} | numbered
    chosen.pop("topic4", None)
    return chosen


def _standing(lines: list[int], columns: Columns) -> tuple[list[int], Columns, frozenset[str]]:
    """The rows that stand at last, without the mark, and the blocks of which none does.

    A log that is removed (JSON-RPC's `removed`) was in a block that a reorganisation displaced; it may have
    been told before, and again after.
    """
    marks = [is_true(mark) for mark in columns.pop("removed", ())]
    if not any(marks):
        return lines, columns, frozenset()
    names = [name for name in ("block_hash", "block_number", "log_index") if name in columns]
    keys = list(zip(*([str(value) for value in columns[name]] for name in names), strict=True))
    last = {key: at for at, (key, mark) in enumerate(zip(keys, marks, strict=True)) if mark}
    kept = [at for at, mark in enumerate(marks) if not mark and at > last.get(keys[at], -1)]
    hashes = columns.get("block_hash", [None] * len(lines))
    gone = {hashes[at] for at in last.values()} - {hashes[at] for at in kept} - {None}
    rows = {name: [values[at] for at in kept] for name, values in columns.items()}
    return [lines[at] for at in kept], rows, frozenset(str(one).lower() for one in gone)


def _kind_of(location: Path, names: Mapping[str, str], asked: str | None) -> str:
    """The table that a file is of: by what only that table has."""
    lacking = {kind: _lacking(kind, names) for kind in (_NEEDED if asked is None else [asked])}
    if asked is not None and not lacking[asked]:
        return asked
    could = [kind for kind, lacks in lacking.items() if not lacks and not names.keys() & _FOREIGN[kind]]
    sure = [kind for kind in could if names.keys() & _OWN[kind] or _is_of_blocks(kind, names)]
    if len(sure) == 1:
        return sure[0]
    has = f"{location.name} has the columns {', '.join(sorted(names.values())[:12])}"
    if could:
        raise SourceError(
            f"{has}, by which it could hold {' or '.join(map(_what, sure or could))}: give it with --blocks"
            " or --transactions, or export it with more columns, as ethereum-etl or cryo do"
        )
    nearest = _nearest(names, lacking)
    raise SourceError(
        f"{has}; to be read as {_what(nearest)} it lacks {', '.join(lacking[nearest])}; export it again with"
        " these, as ethereum-etl or cryo do"
    )


def _what(kind: str) -> str:
    return "logs" if kind == "events" else kind


def _lacking(kind: str, names: Mapping[str, str]) -> list[str]:
    lacks = [column for column in _NEEDED[kind] if not set(_COLUMNS[kind][column]) & names.keys()]
    return [*lacks, "topics"] if kind == "events" and not _TOPICS & names.keys() else lacks


def _is_of_blocks(kind: str, names: Mapping[str, str]) -> bool:
    """Whether a hash is said to be a block's, and there is nothing that blocks have not."""
    own = {name for spelled in _COLUMNS["blocks"].values() for name in spelled}
    return kind == "blocks" and "hash" not in names and (names.keys() & _NAMES) <= own


def _nearest(names: Mapping[str, str], lacking: Mapping[str, list[str]]) -> str:
    """The table that a file which is of none was most likely meant for."""
    left = {kind: len(lacks) / len(_NEEDED[kind]) for kind, lacks in lacking.items() if lacks}
    if "transfers" in left and names.keys() & _OF_TOKENS:
        return "transfers"
    if "events" in left and {"data", "rawlogdata"} & names.keys() and names.keys() & _IN_LOGS:
        return "events"
    return min(left, key=left.__getitem__)


def typed(kind: str, lines: list[int], columns: Columns, tell: Tell, unit: str = "line") -> pa.Table:
    """The columns as the schema wants them, without the rows that break a rule.

    A value that a row can do without and that breaks one is left out alone. unit: what `lines` counts.
    """
    faults = _Faults(lines, tell, unit)
    if kind == "events":
        _part_topics(columns, faults)
    schema, needed = SCHEMAS[kind], {*_NEEDED[kind], *_TOPICS, "to_address"}
    table = {}
    for name, values in columns.items():
        field = schema.field(name)
        if name == "block_timestamp":
            table[name] = _times(values, faults)
            continue
        shape = _shape(name, field)
        optional = name not in _NEEDED[kind] or (name == "to_address" and kind == "transactions")
        table[name], good = _checked(values, shape, optional=optional)
        if name in needed:
            faults.add(good, name, values, _SHAPES[shape][1])
        elif not good.all():
            faults.lose(good, name, values, _SHAPES[shape][1])
            table[name] = pc.if_else(pa.array(good), table[name], pa.scalar(None, table[name].type))
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
        found = pa.array([as_text(value, shape) for value in values], pa.string())
    good, lower = _matching(found, shape, optional=optional)
    if not good.all():
        found = pa.array([as_text(value, shape) for value in values], pa.string())
        good, lower = _matching(found, shape, optional=optional)
    return lower, good


def _matching(found: pa.Array, shape: str, *, optional: bool) -> tuple[Any, pa.Array]:
    found = pc.fill_null(found, "0x") if shape == "data" else found
    lower = pc.utf8_lower(found) if shape in ("hash", "address", "data") else found
    return np.asarray(pc.fill_null(pc.match_substring_regex(lower, _SHAPES[shape][0]), optional)), lower


class _Faults:
    """Which rows of a batch hold, and what is said of those that do not."""

    def __init__(self, lines: list[int], tell: Tell, unit: str) -> None:
        self.good = np.ones(len(lines), bool)
        self._lines, self._tell, self._unit = lines, tell, unit

    def add(self, good: Any, name: str, values: Sequence[Any], allowed: str) -> None:
        """Leaves out the rows that are not good for the first time, saying what was seen in the column."""
        for row in np.flatnonzero(self.good & ~good).tolist():
            self._tell(self._fault(row, name, values, allowed))
        self.good &= good

    def lose(self, good: Any, name: str, values: Sequence[Any], allowed: str) -> None:
        """Says of which rows a value is left out."""
        for row in np.flatnonzero(self.good & ~good).tolist():
            self._tell(f"{self._fault(row, name, values, allowed)}; the row is kept without it")

    def _fault(self, row: int, name: str, values: Sequence[Any], allowed: str) -> str:
        seen = "nothing" if values[row] in (None, "") else repr(values[row])[:80]
        return f"{self._unit} {self._lines[row]}: `{name}` should be {allowed}, but it is {seen}"


def _shape(name: str, field: pa.Field) -> str:
    if name.endswith("_hash") or name.startswith("topic"):
        return "hash"
    if name in _ADDRESSES:
        return "address"
    if name in ("data", "input"):
        return "data"
    return "int64" if pa.types.is_int64(field.type) else "uint256"


def _part_topics(columns: Columns, faults: _Faults) -> None:
    """Puts a column of lists, or of lists as text, in the place of four columns."""
    topics = columns.pop("topics", None)
    if topics is None:
        return
    lists = [as_topics(value) for value in topics]
    good = [some is not None and len(some) <= 4 for some in lists]
    faults.add(np.array(good, bool), "topics", topics, "a list of four hashes at most")
    for at in range(4):
        columns[f"topic{at}"] = [some[at] if some and at < len(some) else None for some in lists]


def _times(values: list[Any], faults: _Faults) -> pa.Array:
    times = [as_time(value) for value in values]
    pairs = zip(times, values, strict=True)
    good = np.array([time is not None or is_nothing(given) for time, given in pairs], bool)
    faults.lose(good, "block_timestamp", values, "seconds since 1970, or a date and time")
    return pa.array(times, pa.timestamp("us", "UTC"))
