"""What commands do with nodes of a chain: read a feed of logs, and go back to what was cited."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from index.errors import SourceError
from index.settings import Settings
from ingest.commands.running import fetcher, limits, progress

if TYPE_CHECKING:
    from collections.abc import Callable

    from index.values import Reading, SourceRef
    from ingest.chain.feed import FeedReport
    from ingest.chain.node import Node

TAGS = ("latest", "safe", "finalized")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to read: the logs of contracts from a block to a block, which may be a tag."""

    rpc: Sequence[str]
    chain: str | None
    addresses: Sequence[str]
    abi: Sequence[Path]
    low: int | None
    high: str
    follow: bool
    receipts: bool
    passages: int


def read_feed(settings: Settings, wanted: Wanted) -> None:
    """Reads logs from a node into the library, and prints what came of it."""
    from index.library import Library
    from ingest.chain.abi import known_tokens, read_abi
    from ingest.chain.contracts import checked_address
    from ingest.chain.feed import Follower
    from ingest.chain.jobs import ChainJob, tokens
    from ingest.chain.records import Feed

    low, high = _range(wanted)
    addresses = tuple(sorted({checked_address(address) for address in wanted.addresses}))
    declared = [event for one in wanted.abi for event in read_abi(one)]
    with (
        open_node(settings, wanted.rpc, wanted.chain) as node,
        progress() as bar,
        Library.writer(settings.library, settings.embedder) as writer,
    ):
        writer.add_events(tokens=tokens(known_tokens(), "built-in"))
        job = ChainJob(writer, node.chain, declared, wanted.passages, bar)
        feed = Feed(node.chain, addresses)
        follower = Follower(writer, node, feed, job, time.sleep, _say, receipts=wanted.receipts)
        report = follower.follow(low, settings.poll_seconds) if wanted.follow else follower.read(low, high)
    for note in node.notes:
        _say(note)
    typer.echo(_summary(node.chain, report))


def open_node(settings: Settings, rpc: Sequence[str], chain: str | None) -> Node:
    """The node behind these URLs, or, where there are none, behind the one that the settings name.

    Raises SourceError when there is none.
    """
    from ingest.chain.node import Node
    from ingest.chain.rpc import Endpoint

    named = settings.rpc.get(chain or "")
    urls = list(rpc) or ([named.get_secret_value()] if named else [])
    if not urls:
        raise SourceError(f"no node is known for {chain or 'the chain'}; name one with --rpc URL")
    return Node(
        [Endpoint(url, timeout=settings.rpc_timeout, max_bytes=settings.fetch_max_bytes) for url in urls],
        chain,
        settings.rpc_concurrency,
    )


def rereading(settings: Settings) -> Callable[[SourceRef], Reading]:
    """What reads a source again, wherever it is: in a file, at a URL, on a chain."""
    from index.library import Library
    from index.values import Kind
    from ingest.chain.check import reread as check
    from ingest.jobs import reread

    doors = fetcher(settings), limits(settings)

    def again(ref: SourceRef) -> Reading:
        if ref.kind is Kind.EVENT and ref.chain is not None:
            return check(ref, Library(settings.library, settings.embedder), at)
        return reread(ref, *doors)

    def at(chain: str) -> Node | None:
        return open_node(settings, [], chain) if chain in settings.rpc else None

    return again


def _range(wanted: Wanted) -> tuple[int, int | str]:
    """The blocks to read. Raises SourceError for what is no range, before anything is asked."""
    if wanted.low is None:
        raise SourceError("give --from-block N, the first block to read; what was read is not read again")
    if wanted.high not in TAGS and not (wanted.high.isdecimal() and len(wanted.high) < 19):
        raise SourceError(f"--to-block should be a number, {', '.join(TAGS)}, but it is {wanted.high!r}")
    if wanted.follow and wanted.high != "latest":
        raise SourceError("--follow reads up to the latest block; leave out --to-block")
    if wanted.high.isdecimal() and wanted.low > int(wanted.high):
        raise SourceError(
            f"the range is inverted: block {wanted.low} is after block {wanted.high}; swap the two"
        )
    return wanted.low, int(wanted.high) if wanted.high.isdecimal() else wanted.high


def _say(line: str) -> None:
    typer.echo(f"note     {line}", err=True)


def _summary(chain: str, report: FeedReport) -> str:
    reorgs = f", {len(report.reorgs)} reorganisations" if report.reorgs else ""
    return (
        f"{chain} is read from block {report.low} to {report.high}: {report.logs:,} logs,"
        f" {report.new:,} new; {report.documents:,} documents told{reorgs}"
    )
