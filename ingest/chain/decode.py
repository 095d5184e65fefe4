"""Decoding of logs, column by column: logs of the same event at a time, exact to the last digit.

The encoding is that of the contract ABI specification. Arguments of one word are cut out of topics and data;
arrays, strings, byte strings and tuples go through eth-abi. What does not decode stays raw, with the reason.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ingest.chain.abi import EventSignature, Input, by_topic
from ingest.chain.lenient import LONGEST, decode_leniently, is_composite

ANONYMOUS = "no topics: an anonymous event"
UNKNOWN = "no declaration is known for its first topic"
OTHER_TOPICS = "its number of topics is not that of the declarations known"
MALFORMED = "its topics or data are not what the declaration says"

LENIENT = "its words or byte strings are not padded as the ABI says; decoded as they stand"
"""What `lenient` says of a log all of whose arguments could be read."""

LONGEST_DATA = 2 * LONGEST
"""Hex digits of data that are decoded; what is longer stays raw."""

DECODED = (
    "event",
    "signature",
    "declared_in",
    "args",
    "undecoded",
    "lenient",
    "from_address",
    "to_address",
    "owner",
    "spender",
    "value",
    "token_id",
)
"""The columns of `index.events.EVENTS` that decoding fills."""

_TYPED = {
    **dict.fromkeys((("from", "address"), ("_from", "address"), ("src", "address")), "from_address"),
    **dict.fromkeys((("to", "address"), ("_to", "address"), ("dst", "address")), "to_address"),
    **dict.fromkeys((("owner", "address"), ("_owner", "address")), "owner"),
    **dict.fromkeys((("spender", "address"), ("_spender", "address")), "spender"),
    **dict.fromkeys((("value", "uint256"), ("_value", "uint256"), ("wad", "uint256")), "value"),
    **dict.fromkeys((("amount", "uint256"), ("_amount", "uint256")), "value"),
    **dict.fromkeys((("tokenId", "uint256"), ("_tokenId", "uint256"), ("id", "uint256")), "token_id"),
}
"""The typed column that an argument of this name and type also fills."""

_WORD = 64
Words = Sequence[str]
Values = list[str | None]


class Decoder:
    """Decodes logs by declarations; those given first are tried first."""

    def __init__(self, *declarations: Iterable[EventSignature]) -> None:
        self._by_topic = by_topic(*declarations)
        self._topics = {topic for topic, _ in self._by_topic}

    def decode(self, logs: pa.Table) -> pa.Table:
        """The logs with the columns `DECODED`. Never fails: what cannot be decoded says why in `undecoded`.

        logs: the text columns topic0 to topic3 and data, lower-case hex with 0x.
        """
        columns = {name: np.full(logs.num_rows, None, object) for name in DECODED}
        topics, counts = logs["topic0"].to_pylist(), _topic_counts(logs)
        groups: dict[tuple[str | None, int], list[int]] = {}
        for row, key in enumerate(zip(topics, counts.tolist(), strict=True)):
            groups.setdefault(key, []).append(row)
        for (topic0, count), rows in groups.items():
            self._decode_group(logs, topic0, count, np.array(rows), columns)
        for name, values in columns.items():
            logs = logs.append_column(name, pa.array(values, pa.string()))
        return logs

    def _decode_group(
        self, logs: pa.Table, topic0: str | None, count: int, rows: Any, columns: dict[str, Any]
    ) -> None:
        declarations = self._by_topic.get((topic0 or "", count), [])
        if not declarations:
            known = topic0 in self._topics
            columns["undecoded"][rows] = ANONYMOUS if topic0 is None else OTHER_TOPICS if known else UNKNOWN
            return
        for signature in declarations:
            values = _arguments(signature, logs.take(rows))
            good = np.ones(len(rows), bool)
            for column in values:
                good &= [value is not None for value in column]
            _fill(columns, signature, rows[good], [_chosen(column, good) for column in values])
            rows = rows[~good]
            if not len(rows):
                return
        for row in rows.tolist():
            _fill_leniently(columns, declarations, logs, row)


def _fill(
    columns: dict[str, Any], signature: EventSignature, rows: Any, values: Sequence[Sequence[str | None]]
) -> None:
    columns["event"][rows] = signature.name
    columns["signature"][rows] = signature.text
    columns["declared_in"][rows] = signature.declared_in
    columns["args"][rows] = _as_json(signature, values, len(rows))
    for given, column in zip(signature.inputs, values, strict=True):
        if typed := _TYPED.get((given.name, given.type)):
            columns[typed][rows] = column


def _fill_leniently(
    columns: dict[str, Any], declarations: Iterable[EventSignature], logs: pa.Table, row: int
) -> None:
    """Decodes one log by the first declaration that its topics and data can be read by, clean or not."""
    topics = [logs[f"topic{at}"][row].as_py() for at in range(4)]
    for signature in declarations:
        try:
            values = _read_leniently(signature, topics, logs["data"][row].as_py())
        except ValueError:
            continue
        rows = np.array([row])
        _fill(columns, signature, rows, [[value] for value in values])
        names = zip(_distinct(signature.inputs), values, strict=True)
        broken = ", ".join(f"`{name}`" for name, value in names if value is None)
        columns["lenient"][row] = f"{broken} cannot be read; {LENIENT}" if broken else LENIENT
        return
    columns["undecoded"][row] = MALFORMED


def _read_leniently(signature: EventSignature, topics: Sequence[str], data: str) -> Values:
    """The arguments of a log, None for one that cannot be read. Raises ValueError where too many cannot."""
    plain = [given.type for given in signature.inputs if not given.indexed]
    read = iter(decode_leniently(plain, bytes.fromhex(data[2:])) if plain else ())
    left = iter(topics[1:])
    return [
        _topic_leniently(given.type, next(left)) if given.indexed else _told(given.type, next(read))
        for given in signature.inputs
    ]


def _topic_leniently(kind: str, topic: str) -> str | None:
    if is_composite(kind):
        return topic
    return _told(kind, decode_leniently([kind], bytes.fromhex(topic[2:]))[0])


def _as_json(signature: EventSignature, values: Sequence[Sequence[str | None]], count: int) -> list[str]:
    """The arguments of each log as a JSON object; integers are text."""
    if not values:
        return ["{}"] * count
    quoted = [_quoted(given, column) for given, column in zip(signature.inputs, values, strict=True)]
    names = [json.dumps(name, ensure_ascii=False) for name in _distinct(signature.inputs)]
    form = "{{" + ", ".join(f"{name.replace('{', '{{').replace('}', '}}')}: {{}}" for name in names) + "}}"
    return [form.format(*row) for row in zip(*quoted, strict=True)]


def _quoted(given: Input, column: Sequence[str | None]) -> Iterable[str]:
    is_json = given.type == "bool" or (is_composite(given.type) and not given.indexed)
    return ("null" if value is None else value if is_json else f'"{value}"' for value in column)


def _distinct(inputs: Sequence[Input]) -> list[str]:
    """The names of the arguments; a second of the same name is told apart by its place."""
    seen: set[str] = set()
    names = []
    for at, given in enumerate(inputs):
        names.append(given.name if given.name not in seen else f"{given.name}_{at}")
        seen.add(names[-1])
    return names


def _chosen(column: Sequence[Any], good: Any) -> list[Any]:
    return list(column) if good.all() else [value for value, keep in zip(column, good, strict=True) if keep]


def _arguments(signature: EventSignature, logs: pa.Table) -> list[Values]:
    """A column for each argument, in the order of the declaration; None where a log does not decode."""
    indexed = [given for given in signature.inputs if given.indexed]
    plain = [given for given in signature.inputs if not given.indexed]
    topics = iter(
        _topic_values(given, logs[f"topic{at}"].to_pylist()) for at, given in enumerate(indexed, start=1)
    )
    fixed = all(_codec(given.type) for given in plain)
    data = iter(_fixed_values(plain, logs["data"]) if fixed else _dynamic_values(plain, logs["data"]))
    return [next(topics) if given.indexed else next(data) for given in signature.inputs]


def _topic_values(given: Input, topics: list[str]) -> Values:
    if is_composite(given.type):
        return list(topics)
    codec = _codec(given.type)
    return codec([topic[2:] for topic in topics]) if codec else [None] * len(topics)


def _fixed_values(inputs: Sequence[Input], data: pa.ChunkedArray) -> list[Values]:
    """Arguments of one word each, cut out of the data at their places."""
    texts = data.to_pylist()
    found = []
    for at, given in enumerate(inputs):
        start = 2 + at * _WORD
        if codec := _codec(given.type):
            found.append(codec([text[start : start + _WORD] for text in texts]))
    return found


def _dynamic_values(inputs: Sequence[Input], data: pa.ChunkedArray) -> list[Values]:
    """All arguments of the data by eth-abi, as JSON, or as plain text where they are of one word."""
    from eth_abi.abi import decode
    from eth_abi.exceptions import DecodingError

    types = [given.type for given in inputs]
    rows: list[Sequence[str | None]] = []
    nothing: list[str | None] = [None] * len(inputs)
    for text in data.to_pylist():
        try:
            if len(text) > LONGEST_DATA:
                raise ValueError("too long")
            values = decode(types, bytes.fromhex(text[2:]))
            rows.append([_told(given.type, value) for given, value in zip(inputs, values, strict=True)])
        except (DecodingError, ValueError, OverflowError, RecursionError, MemoryError):
            rows.append(nothing)
    return [list(column) for column in zip(*rows, strict=True)]


def _told(kind: str, value: Any) -> str | None:
    if value is None:
        return None
    if is_composite(kind):
        return json.dumps(_plain(value), ensure_ascii=False)
    return str(value).lower() if isinstance(value, bool) else str(_plain(value))


def _plain(value: Any) -> Any:
    """A decoded value as JSON knows it: numbers as text, bytes as hex."""
    if isinstance(value, (bool, str)):
        return value
    if isinstance(value, bytes):
        return "0x" + value.hex()
    if isinstance(value, Decimal):
        return f"{value:f}"
    return str(value) if isinstance(value, int) else [_plain(part) for part in value]


@cache
def _codec(kind: str) -> Callable[[Words], Values] | None:
    """What reads words, 64 hex digits each, as values of a type, None for a word that is none.

    None for types that eth-abi reads.
    """
    if kind == "address":
        return _addresses
    if kind == "bool":
        return lambda words: [_BOOLS.get(word) for word in words]
    if found := re.fullmatch(r"bytes(\d+)", "bytes24" if kind == "function" else kind):
        digits = 2 * int(found[1])
        return lambda words: _byte_strings(words, digits)
    if number := re.fullmatch(r"(u?)int(\d+)", kind):
        read, bits = _unsigned if number[1] else _signed, int(number[2])
        return lambda words: read(words, bits)
    return None


_BOOLS = {"0" * 63 + "0": "false", "0" * 63 + "1": "true"}
_PAD = "0" * 24


def _addresses(words: Words) -> Values:
    return ["0x" + word[24:] if len(word) == _WORD and word.startswith(_PAD) else None for word in words]


def _byte_strings(words: Words, digits: int) -> Values:
    rest = "0" * (_WORD - digits)
    return ["0x" + w[:digits] if len(w) == _WORD and w[digits:] == rest else None for w in words]


def _unsigned(words: Words, bits: int) -> Values:
    if bits == 256:
        return [str(int(word, 16)) if len(word) == _WORD else None for word in words]
    rest = "0" * (_WORD - bits // 4)
    return [str(int(w, 16)) if len(w) == _WORD and w.startswith(rest) else None for w in words]


def _signed(words: Words, bits: int) -> Values:
    numbers = [int(word, 16) if len(word) == _WORD else None for word in words]
    signed = [n if n is None or n < 1 << 255 else n - (1 << 256) for n in numbers]
    bound = 1 << (bits - 1)
    return [None if n is None or not -bound <= n < bound else str(n) for n in signed]


def _topic_counts(logs: pa.Table) -> Any:
    there = [np.asarray(pc.is_valid(logs[f"topic{at}"]), np.int8) for at in range(4)]
    return np.sum(there, axis=0)
