"""What was read of a chain, and of which contracts, on record in documents of a library."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from index.errors import SourceError
from index.library import Library
from index.values import Document, Kind, Passage
from index.writer import Writer
from ingest.chain.contracts import Contract
from ingest.chain.passages import chain_name
from ingest.chain.ranges import Range, joined, until


@dataclass(frozen=True, slots=True)
class Feed:
    """What is read: a chain's (CAIP-2) logs of some contracts, lower case and sorted; none is all."""

    chain: str
    addresses: tuple[str, ...] = ()

    @property
    def uri(self) -> str:
        """The name of its record in a library."""
        name = "+".join(self.addresses) or "all"
        short = name if len(self.addresses) < 2 else hashlib.sha256(name.encode()).hexdigest()[:40]
        return f"{self.chain}/logs/{short}"


@dataclass(frozen=True, slots=True)
class Record:
    """What was read of a feed: the ranges of blocks, and what its contracts were, in the order of blocks.

    Contracts are there again at a later block where they were others by then. None: they were not asked.
    """

    covered: tuple[Range, ...] = ()
    contracts: tuple[Contract, ...] | None = None

    @classmethod
    def of(cls, recipe: str) -> Record:
        """The record that a document's recipe holds.

        >>> Record.of(Record(((1, 2),), (Contract("0xaa", 2, "0xbb"),)).recipe)
        Record(covered=((1, 2),), contracts=(Contract(address='0xaa', block_number=2, code='0xbb', \
implementation=None, implementation_code=None, beacon=None, admin=None),))
        """
        stored = json.loads(recipe)
        contracts = stored.get("contracts")
        return cls(
            tuple((low, high) for low, high in stored["covered"]),
            None if contracts is None else tuple(Contract(**contract) for contract in contracts),
        )

    @property
    def recipe(self) -> str:
        """The record as text."""
        return json.dumps(asdict(self))

    @property
    def outdated(self) -> bool:
        """Whether contracts were not asked, or had no code by then."""
        newest = {contract.address: contract for contract in self.contracts or ()}
        return self.contracts is None or not all(contract.code for contract in newest.values())

    def until(self, last: int) -> Record:
        """The record without the blocks after `last`."""
        kept = tuple(one for one in self.contracts or () if one.block_number <= last)
        whole = {one.address for one in kept} == {one.address for one in self.contracts or ()}
        asked = self.contracts is not None and whole
        return Record(tuple(until(last, self.covered)), kept if asked else None)

    def beside(self, contracts: Iterable[Contract]) -> Record:
        """The record with contracts as they are now, as far as they are not as they were."""
        newest = {contract.address: contract for contract in self.contracts or ()}
        new = [one for one in contracts if one.address not in newest or not one.same(newest[one.address])]
        return Record(self.covered, (*(self.contracts or ()), *new))


class Records:
    """The records of a chain's feeds, as documents of the library. name: of the node that is read."""

    def __init__(self, writer: Writer, feed: Feed, name: str) -> None:
        self._writer = writer
        self._feed = feed
        self._name = name
        self._records = {feed: Record()}
        for uri, (document, recipe) in writer.known().items():
            if uri.startswith(f"{feed.chain}/logs/"):
                self._records[Feed(feed.chain, document.contracts)] = Record.of(recipe)
        self._outdated = self._records[feed].outdated
        self._touched: set[Feed] = set()

    @property
    def covered(self) -> tuple[Range, ...]:
        """The blocks that were read of this feed."""
        return self._records[self._feed].covered

    def add(self, low: int, high: int) -> None:
        """Says that these blocks were read."""
        covered = tuple(joined([*self.covered, (low, high)]))
        self._records[self._feed] = Record(covered, self._records[self._feed].contracts)
        self._touched.add(self._feed)

    def outdate(self) -> None:
        """Says that a contract of this feed may not be what it was."""
        self._outdated = True

    def cut(self, last: int) -> None:
        """Says that no block after this one counts as read, in any feed of the chain."""
        for feed, record in self._records.items():
            if (kept := record.until(last)) != record:
                self._records[feed] = kept
                self._touched.add(feed)
        self._outdated |= self._records[self._feed].outdated

    def write(self, describe: Callable[[], list[Contract]]) -> None:
        """Adds the documents that changed. describe: asks for the contracts of this feed, where need be."""
        for feed in sorted(self._touched, key=lambda feed: feed.uri):
            if feed == self._feed and self._outdated:
                with suppress(SourceError):
                    self._records[feed] = self._records[feed].beside(describe())
                    self._outdated = False
            document, passages = self._document(feed)
            self._writer.add(document, passages, self._records[feed].recipe)
        self._touched = set()

    def _document(self, feed: Feed) -> tuple[Document, list[Passage]]:
        record = self._records[feed]
        whose = ", ".join(feed.addresses) or "every contract"
        blocks = ", ".join(f"{low} to {high}" for low, high in record.covered) or "none"
        title = f"Logs of {whose} on {chain_name(feed.chain)}"[:200]
        lines = [f"{title}: blocks read are {blocks}, from {self._name}.\n"]
        lines += [contract.text for contract in record.contracts or ()]
        sha256 = hashlib.sha256("".join(lines).encode()).hexdigest()
        passages, start = [], 0
        for ordinal, line in enumerate(lines):
            end = start + len(line)
            passages.append(Passage(feed.uri, sha256, ordinal, start, end, line, title))
            start = end
        document = Document(
            uri=feed.uri,
            kind=Kind.EVENT,
            title=title,
            sha256=sha256,
            size=start,
            media_type="text/plain",
            path=feed.uri,
            location=self._name,
            retrieved_at=datetime.now(UTC),
            chain=feed.chain,
            contracts=feed.addresses,
        )
        return document, passages


def records_of(library: Library, chain: str) -> dict[str, Record]:
    """The records of a chain by the uris of their documents."""
    with library.sql() as connection:
        found = connection.execute(
            "SELECT uri, recipe FROM documents WHERE starts_with(uri, $chain || '/logs/')", {"chain": chain}
        )
        return {uri: Record.of(recipe) for uri, recipe in found.fetchall()}
