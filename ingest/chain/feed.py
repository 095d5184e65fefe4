"""A feed: logs of contracts as a node tells them, read once, resumed, followed through reorganisations.

What was read is on record (`ingest.chain.records`), published with the rows. Blocks that may yet be displaced
are stored with their hashes and parents; each reading begins by walking back to the last that still stands.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from index.errors import SourceError, Unreachable
from index.writer import Writer
from ingest.chain.contracts import UPGRADES, Contract, describe_contracts, describe_tokens
from ingest.chain.node import Displaced, Heads, Node, Part
from ingest.chain.ranges import wanting
from ingest.chain.records import Feed, Records
from ingest.chain.rows import Rows, window
from ingest.chain.rpc import Behind, Refused
from ingest.chain.tables import ChainRows, tokens

SLICE = 50
"""Blocks that may yet be displaced, read at a time."""

LOGS = 20_000
"""Logs after which a long reading is written and published."""

PARTS = 500
"""Answers of the node after which it is, however few logs they hold."""

MOST_RETURNS = 8
_TRANSFER = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"


@dataclass(slots=True)
class FeedReport:
    """What a feed did so far. reorgs: depths of the reorganisations that were met, in blocks."""

    low: int = 0
    high: int = 0
    logs: int = 0
    new: int = 0
    generations: int = 0
    reorgs: list[int] = field(default_factory=list)


class Follower:
    """Brings a library up to date with a feed.

    rows: decodes rows and keeps them; say: called with a line for what a person should know.
    wait: sleeps for some seconds; receipts: read the transactions of the logs, with their receipts, as well.
    report: one to go on with.
    """

    def __init__(
        self,
        writer: Writer,
        node: Node,
        feed: Feed,
        rows: ChainRows,
        wait: Callable[[float], None],
        say: Callable[[str], None] = lambda _: None,
        *,
        receipts: bool = False,
        report: FeedReport | None = None,
    ) -> None:
        self._writer = writer
        self._node = node
        self._feed = feed
        self._rows = rows
        self._wait = wait
        self._say = say
        self._receipts = receipts
        self._records = Records(writer, feed, node.name)
        self._standing, self._anchor, self._tokens = self._stored()
        self._waiting: dict[str, list[pa.Table]] = {"blocks": [], "transactions": [], "events": []}
        self._windows: set[str] = set()
        self._unknown: set[str] = set()
        self._finality = (-1, -1)
        self._changed = False
        self.report = report or FeedReport()

    def read(self, low: int, high: int | str = "latest") -> Iterator[list[str]]:
        """Reads the blocks from low to high that were not read, and publishes. high: a number or a tag.

        Gives the paths whose rows are others now, each time before it publishes, to tell of them. Raises
        SourceError for a range that is inverted or beyond the head, and where nodes fail; what was published
        stays, and reading again goes on from there.
        """
        for again in range(MOST_RETURNS):
            heads = self._node.heads()
            try:
                self._rewind(heads)
                yield from self._read(heads, low, _last(low, high, heads))
                yield from self._publish(heads)
                return
            except (Displaced, Behind) as met:
                fault = met
                self._write()
                self._wait(min(0.2 * 2**again, 5.0))
            except SourceError:
                yield from self._publish(heads)
                raise
        raise Unreachable(f"the blocks of {self._node.name} change faster than they are read ({fault})")

    def _stored(self) -> tuple[dict[int, str], dict[int, str], set[str]]:
        """Blocks by number: those that may yet be displaced, and the last that may not; the known tokens."""
        of = "SELECT block_number, block_hash FROM blocks WHERE chain = ? AND finality"
        known = "SELECT address FROM tokens WHERE chain = ?"
        with self._writer.sql() as connection:

            def found(sql: str) -> list[Any]:
                return connection.execute(sql, [self._feed.chain]).fetchall()

            blocks = found(f"{of} IN ('latest', 'safe')")
            last = found(f"{of} = 'finalized' ORDER BY block_number DESC LIMIT 1")
            return dict(blocks), dict(last), {address for (address,) in found(known)}

    def _check_anchor(self) -> None:
        """Raises SourceError where a block that the library holds as final is another on the node."""
        for number, block_hash in self._anchor.items():
            [header] = self._node.headers([number])
            if header is not None and header["hash"] != block_hash:
                raise SourceError(
                    f"block {number} of {self._node.name} is {header['hash']}, but the library holds"
                    f" {block_hash} as final: it is another chain of the id {self._feed.chain}; choose"
                    " another library with --library DIR"
                )
        self._anchor = {}

    def _rewind(self, heads: Heads) -> None:
        """Orphans the blocks that do not stand any more: those after the last whose hash the node has."""
        self._check_anchor()
        numbers = sorted((n for n in self._standing if n <= heads.latest), reverse=True)
        if not numbers:
            return
        ancestor = -1
        for at in range(0, len(numbers), SLICE):
            some = numbers[at : at + SLICE]
            now = [header and header["hash"] for header in self._node.headers(some)]
            same = [n for n, block_hash in zip(some, now, strict=True) if self._standing[n] == block_hash]
            if same:
                ancestor = same[0]
                break
        if ancestor == numbers[0]:
            return
        gone = {n: block_hash for n, block_hash in self._standing.items() if n > ancestor}
        self._writer.orphan(self._feed.chain, gone.values())
        self._standing = {n: h for n, h in self._standing.items() if n <= ancestor}
        self._records.cut(min(gone) - 1 if ancestor < 0 else ancestor)
        self._windows |= {window(self._feed.chain, n) for n in gone}
        self._changed = True
        self.report.reorgs.append(len(gone))
        self._say(f"reorganisation: {len(gone)} blocks from block {min(gone)} are orphaned")

    def _read(self, heads: Heads, low: int, high: int) -> Iterator[list[str]]:
        self.report.low, self.report.high = low, high
        for start, end in wanting(low, high, self._records.covered):
            settled = min(end, heads.settled)
            for part in self._node.settled(start, settled, self._feed.addresses):
                self._add(part, heads)
                waiting = self._waiting["events"]
                if sum(map(len, waiting)) >= LOGS or len(self._waiting["blocks"]) >= PARTS:
                    yield from self._publish(heads)
            for at in range(max(start, settled + 1), end + 1, SLICE):
                part = self._node.unsettled(at, min(at + SLICE - 1, end), self._feed.addresses)
                if self._standing.get(at - 1, part.headers[0]["parentHash"]) != part.headers[0]["parentHash"]:
                    raise Displaced(f"block {at} does not follow block {at - 1}")
                self._add(part, heads)

    def _add(self, part: Part, heads: Heads) -> None:
        rows = Rows(self._feed.chain, part.name, heads)
        if part.logs and self._receipts:
            hashes = list(dict.fromkeys(log["transactionHash"] for log in part.logs))
            pairs = self._node.transactions(hashes)
            if {one["blockHash"] for one, _ in pairs} - {header["hash"] for header in part.headers}:
                raise Displaced(f"a transaction of blocks {part.low} to {part.high} moved")
            self._waiting["transactions"].append(rows.transactions(pairs, part.headers))
        self._waiting["blocks"].append(rows.blocks(part.headers))
        if part.logs:
            self._waiting["events"].append(rows.events(part.logs, part.headers))
        self.report.logs += len(part.logs)
        self._windows |= {window(self._feed.chain, int(log["blockNumber"], 16)) for log in part.logs}
        named = [((log.get("topics") or [""])[0], log["address"].lower()) for log in part.logs]
        self._unknown |= {address for topic, address in named if topic == _TRANSFER} - self._tokens
        if any(topic in UPGRADES for topic, _ in named):
            self._records.outdate()
        above = ((int(h["number"], 16), h["hash"]) for h in part.headers)
        self._standing.update({n: h for n, h in above if n > heads.finalized})
        self._records.add(part.low, part.high)
        self._changed = True

    def _write(self) -> None:
        """Adds the rows that wait to the tables."""
        for table, waiting in self._waiting.items():
            if waiting:
                new = self._rows.add(table, pa.concat_tables(waiting))
                self.report.new += new if table == "events" else 0
                self._waiting[table] = []

    def _publish(self, heads: Heads) -> Iterator[list[str]]:
        """Writes what waits, upgrades finality, gives what changed, puts on record what was read.

        Makes a generation of it.
        """
        self._write()
        self._finalize(heads)
        if not self._changed:
            return
        self._ask_tokens()
        yield sorted(self._windows)
        self._records.write(lambda: self._contracts(heads))
        self._writer.publish()
        self.report.generations += 1
        self._windows, self._changed = set(), False

    def _ask_tokens(self) -> None:
        """Asks contracts that move tokens what they are; once, unless the node does not answer."""
        with suppress(Unreachable):
            if self._unknown:
                described = describe_tokens(self._node, sorted(self._unknown))
                self._writer.add_events(tokens=tokens(described, self._node.name))
                self._tokens |= self._unknown
                self._unknown = set()

    def _contracts(self, heads: Heads) -> list[Contract]:
        """The contracts of the feed at the last block to read, or at the head where that state is gone."""
        try:
            number = min(self.report.high, heads.latest) or heads.latest
            return describe_contracts(self._node, self._feed.addresses, number)
        except (Behind, Refused):
            return describe_contracts(self._node, self._feed.addresses, heads.latest)

    def _finalize(self, heads: Heads) -> None:
        now = (heads.safe, heads.finalized)
        if now == self._finality or not self._standing:
            return
        upgraded = [n for n in self._standing if n <= max(now)]
        self._finality = now
        if upgraded and self._writer.finalize(self._feed.chain, *now):
            self._windows |= {window(self._feed.chain, n) for n in upgraded}
            self._changed = True
        self._standing = {n: h for n, h in self._standing.items() if n > heads.finalized}


def _last(low: int, high: int | str, heads: Heads) -> int:
    """The number of the last block to read."""
    if isinstance(high, str):
        number = {"latest": heads.latest, "safe": heads.safe, "finalized": heads.finalized}[high]
        if number < 0:
            raise SourceError(
                f"the node does not say which block is {high}; give --to-block a number or latest"
            )
        if low > number:
            raise SourceError(
                f"block {low} is after the {high} block, which is {number}; give a lower --from-block"
            )
        return number
    if low > high:
        raise SourceError(f"the range is inverted: block {low} is after block {high}; swap the two")
    if high > heads.latest:
        raise SourceError(
            f"block {high} is beyond the head, which is block {heads.latest}; give --to-block latest"
        )
    return high
