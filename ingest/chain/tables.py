"""Rows of a chain on their way into the tables: decoded, with their blocks, and decoded anew."""

from __future__ import annotations

from collections.abc import Iterable

import pyarrow as pa
import pyarrow.compute as pc

from index.events import TOKENS
from index.writer import Writer
from ingest.chain.abi import EventSignature, declared_in_code, known_events, known_tokens
from ingest.chain.decode import DECODED, Decoder

_RAW = ("topic0", "topic1", "topic2", "topic3", "data")
_NAMED = ("event", "declared_in", "args")
_EXAMPLES = """
    SELECT DISTINCT ON (topic0, topic1 IS NULL, topic2 IS NULL, topic3 IS NULL, event, declared_in)
    topic0, topic1, topic2, topic3, data, event, declared_in, args::VARCHAR AS args
    FROM events WHERE chain = $chain AND topic0 IS NOT NULL
"""
"""A log of each kind as it is decoded."""

_EXAMPLE = pa.schema([(name, pa.string()) for name in (*_RAW, *_NAMED)])


class ChainRows:
    """Rows of one chain on their way into a library.

    chain: CAIP-2 id; declarations: events that come before the well-known ones and those of the library's
    code.
    """

    def __init__(self, writer: Writer, chain: str, declarations: Iterable[EventSignature] = ()) -> None:
        self._writer = writer
        self._chain = chain
        declarations = tuple(declarations)
        self._given = {declared.declared_in for declared in declarations}
        self._decoder = Decoder(declarations, known_events(), declared_in_code(writer.named_code()))
        writer.add_events(tokens=tokens(known_tokens(), "built-in"))

    def add(self, table: str, rows: pa.Table) -> int:
        """Adds rows of `index.events.SCHEMAS[table]`; returns how many the library did not hold."""
        return self._writer.add_events(**{table: self.prepared(table, rows)})[table]

    def prepared(self, table: str, rows: pa.Table) -> pa.Table:
        """The rows with their logs decoded, and hashes and times of known blocks where they lack them."""
        rows = rows if table == "blocks" else self._with_blocks(rows)
        return self._decoder.decode(rows) if table == "events" else rows

    def refresh(self) -> set[str]:
        """Decodes logs anew that were read before their declaration was known; the paths that they came from.

        A declaration that is given now, or has changed where it stands, takes the place of the one before.
        """
        outdated = set[str]()
        with self._writer.sql() as connection:
            found = connection.execute(_EXAMPLES, {"chain": self._chain})
            names = [name for name, *_ in found.description or ()]
            before = pa.Table.from_pylist(
                [dict(zip(names, row, strict=True)) for row in found.fetchall()], schema=_EXAMPLE
            )
        after = self._decoder.decode(before.select(_RAW))
        for old, new in zip(before.to_pylist(), after.to_pylist(), strict=True):
            stands = new["declared_in"] in {*self._given, old["declared_in"]}
            if (
                new["event"]
                and (old["event"] is None or stands)
                and any(new[name] != old[name] for name in _NAMED)
            ):
                outdated.add(new["topic0"])
        return self._writer.rewrite_events(self._chain, outdated, self._again)

    def _again(self, rows: pa.Table) -> pa.Table:
        return self._decoder.decode(rows.drop_columns(list(DECODED)))

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
