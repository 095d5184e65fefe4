"""The values that travel through the house: frozen, compared by content, ignorant of storage."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from functools import cached_property
from typing import Literal


class Kind(StrEnum):
    """What sort of source a document is."""

    PAPER = "paper"
    PROPOSAL = "proposal"
    CODE = "code"
    EVENT = "event"
    FORUM = "forum"


class Finality(StrEnum):
    """How settled a block was when its node was last asked; rows of files have none."""

    LATEST = "latest"
    SAFE = "safe"
    FINALIZED = "finalized"


@dataclass(frozen=True, slots=True)
class Position:
    """A place on a chain: a block, a transaction in it, or one of its logs.

    chain: CAIP-2 id; block_hash: empty where the source does not say it.

    >>> place = Position("eip155:1", 7, "0xaa", "0xbb")
    >>> place.uri
    'eip155:1/block/7/0xaa/tx/0xbb'
    >>> Position.of(place.uri + "/logs.jsonl") == place
    True
    """

    chain: str
    block_number: int
    block_hash: str
    transaction_hash: str | None = None
    log_index: int | None = None

    @property
    def uri(self) -> str:
        """The address of the block or transaction."""
        block = f"{self.chain}/block/{self.block_number}/{self.block_hash or '-'}"
        return f"{block}/tx/{self.transaction_hash}" if self.transaction_hash else block

    @classmethod
    def of(cls, uri: str, heading: tuple[str, ...] = ()) -> Position | None:
        """The place that a document's uri, and a passage's heading, name; None where they name none."""
        found = _PLACE.match(uri)
        if found is None:
            return None
        log = re.fullmatch(r"log (\d{1,18})", heading[-1]) if heading else None
        chain, number, block_hash, transaction = found.groups()
        return cls(
            chain,
            int(number),
            "" if block_hash == "-" else block_hash,
            transaction,
            int(log[1]) if log else None,
        )


_PLACE = re.compile(
    r"([-a-z0-9]{3,8}:[-_a-zA-Z0-9]{1,32})/block/(\d{1,18})/(0x[0-9a-f]+|-)(?:/tx/(0x[0-9a-f]+))?(?:/|$)"
)


@dataclass(frozen=True, slots=True)
class Document:
    """What is known of one source, apart from its text.

    uri: the public address of the source; it names the document in a library.
    path: the short name a person knows it by (its path in a manifest, or the path given).
    location: where its bytes are read again: a local path, a URL, or `git+URL@ref#path`.
    commit: that of its repository at which it was read.
    sha256: hex digest of the source's bytes.
    published_at: the date the source itself states; retrieved_at: when it was read (UTC).
    number: its designation, such as `EIP-1559`; requires: designations that it builds on.
    chain: CAIP-2 id; contracts: addresses (lower case) or CAIP-10 ids.
    Of an event the uri begins with its `Position`, and status is its finality.
    etag, last_modified: validators of the last HTTP answer, for conditional requests; of a file in a
    repository, etag is its git object.
    """

    uri: str
    kind: Kind
    title: str
    sha256: str
    size: int
    media_type: str
    path: str
    location: str
    retrieved_at: datetime
    published_at: date | None = None
    authors: tuple[str, ...] = ()
    number: str | None = None
    status: str | None = None
    category: str | None = None
    requires: tuple[str, ...] = ()
    chain: str | None = None
    contracts: tuple[str, ...] = ()
    licence: str | None = None
    commit: str | None = None
    etag: str | None = None
    last_modified: str | None = None


_AS_JSON = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode

BlockKind = Literal["heading", "paragraph", "list", "table", "code", "preamble"]


@dataclass(frozen=True, slots=True)
class Block:
    """A span `text[start:end]` of a document's text that a cut should not fall into.

    level: 1 for the outermost heading, 0 for what is no heading.
    title: a heading's words without its markup; the header of a table, as it stands in the text.
    """

    kind: BlockKind
    start: int
    end: int
    level: int = 0
    title: str = ""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a reader makes of a source: the document, its text, and the text's structure.

    blocks: in order, not overlapping; what lies between two blocks is white space or markup.
    pages: the offset in `text` at which each page begins (empty where there are no pages).
    identifiers: names by which a place can be looked up, each with the offset of that place.
    warnings: what a person should know, such as bytes that were not UTF-8.
    findings: what else was seen when it was read again, such as the code of a contract.
    has_lines: whether the lines of the text are those of the source, so that they say where something stands.
    """

    document: Document
    text: str
    blocks: tuple[Block, ...]
    pages: tuple[int, ...] = ()
    warnings: tuple[str, ...] = ()
    identifiers: tuple[tuple[int, str], ...] = ()
    findings: tuple[str, ...] = ()
    has_lines: bool = True


@dataclass(frozen=True)
class Passage:
    """A span of a document, and where it stands for a person.

    The text is exactly the document's text in [start, end). `context` (designation, title, heading
    path) helps to find it and is kept beside the text, never in it.
    page counts from 1; line_start and line_end count from 1 and include both ends.
    identifiers: what its text declares or is, in names that may not stand in it: the path of a file of code,
    signatures, function selectors, topics of events. Search finds it by them; they are not embedded.
    """

    uri: str
    sha256: str
    ordinal: int
    start: int
    end: int
    text: str
    context: str
    heading: tuple[str, ...] = ()
    page: int | None = None
    line_start: int | None = None
    line_end: int | None = None
    identifiers: tuple[str, ...] = ()

    @cached_property
    def id(self) -> str:
        """128 bits of hex that name this span of this version of this document."""
        name = f"{self.uri}\n{self.sha256}\n{self.start}\n{self.end}"
        return hashlib.sha256(name.encode()).hexdigest()[:32]

    @cached_property
    def key(self) -> int:
        """The first 63 bits of the id: the passage's number in the indexes."""
        return int(self.id[:16], 16) >> 1

    @cached_property
    def digest(self) -> bytes:
        """The sha256 of all that it says, as JSON: written beside it, and checked when it is read."""
        place = [self.uri, self.sha256, self.ordinal, self.start, self.end]
        lines = [self.page, self.line_start, self.line_end]
        said = [*place, self.text, self.context, self.heading, *lines, self.identifiers]
        return hashlib.sha256(_AS_JSON(said).encode()).digest()

    @property
    def indexed_text(self) -> str:
        """What is embedded: the context, a line break, the text."""
        return f"{self.context}\n{self.text}" if self.context else self.text


@dataclass(frozen=True, slots=True)
class SourceRef:
    """Where a quotation stands, in terms that anyone can check again.

    sha256 is of the source's bytes, passage_sha256 of the passage's text (UTF-8). status is that of when it
    was read, such as `Final`; None for what has none. What happened on a chain has a place there as well:
    chain (CAIP-2), block, transaction, log; finality is that of when it was read.
    """

    uri: str
    path: str
    location: str
    title: str
    kind: Kind
    sha256: str
    passage_id: str
    passage_sha256: str
    retrieved_at: datetime
    heading: tuple[str, ...] = ()
    page: int | None = None
    line_start: int | None = None
    line_end: int | None = None
    commit: str | None = None
    designation: str | None = None
    published_at: date | None = None
    chain: str | None = None
    block_number: int | None = None
    block_hash: str | None = None
    transaction_hash: str | None = None
    log_index: int | None = None
    finality: Finality | None = None
    status: str | None = None

    @property
    def repository(self) -> str | None:
        """Where the repository of a file is cloned from; None for what is in none."""
        if not self.location.startswith("git+"):
            return None
        return self.location.removeprefix("git+").partition("#")[0].rpartition("@")[0]

    @classmethod
    def of(cls, document: Document, passage: Passage) -> SourceRef:
        """The reference to a passage of a document."""
        place = Position.of(document.uri, passage.heading) if document.kind is Kind.EVENT else None
        return cls(
            uri=document.uri,
            path=document.path,
            location=document.location,
            title=document.title,
            kind=document.kind,
            sha256=document.sha256,
            passage_id=passage.id,
            passage_sha256=hashlib.sha256(passage.text.encode()).hexdigest(),
            retrieved_at=document.retrieved_at,
            heading=passage.heading,
            page=passage.page,
            line_start=passage.line_start,
            line_end=passage.line_end,
            commit=document.commit,
            designation=document.number,
            published_at=document.published_at,
            chain=place.chain if place else document.chain,
            block_number=place.block_number if place else None,
            block_hash=place.block_hash if place else None,
            transaction_hash=place.transaction_hash if place else None,
            log_index=place.log_index if place else None,
            finality=Finality(document.status) if place and document.status else None,
            status=None if place else document.status,
        )


@dataclass(frozen=True, slots=True)
class Filters:
    """Which documents a search may see. Fields are joined by AND, the values in one by OR.

    sources: shell patterns matched against the uri and the path; authors: parts of names;
    dates include both ends, and a document without a date does not match a date.
    as_of: only what was published by the end of this day, or, where a document has no publication date,
    retrieved by then (UTC). A day to come is allowed: it leaves out only what is dated after it.
    """

    kinds: tuple[Kind, ...] = ()
    sources: tuple[str, ...] = ()
    authors: tuple[str, ...] = ()
    statuses: tuple[str, ...] = ()
    chains: tuple[str, ...] = ()
    contracts: tuple[str, ...] = ()
    published_from: date | None = None
    published_to: date | None = None
    as_of: date | None = None


@dataclass(frozen=True, slots=True)
class Hit:
    """A passage that a search found, with the parts that its score is made of."""

    document: Document
    passage: Passage
    score: float
    parts: Mapping[str, float] = field(default_factory=dict)
