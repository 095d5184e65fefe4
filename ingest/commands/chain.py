"""The command that reads what happened on a chain."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from index.errors import SourceError
from index.settings import Settings
from ingest.commands.node import Wanted, read_feed
from ingest.commands.running import progress

if TYPE_CHECKING:
    from ingest.chain.jobs import ChainReport

commands = typer.Typer()

_CAIP2 = re.compile(r"[-a-z0-9]{3,8}:[-_a-zA-Z0-9]{1,32}")


@commands.command("chain")
def ingest_chain(
    context: typer.Context,
    file: Annotated[
        list[Path] | None,
        typer.Option(help="Logs, token transfers, blocks or transactions; or a folder; may be repeated."),
    ] = None,
    blocks: Annotated[list[Path] | None, typer.Option(help="The blocks of these logs.")] = None,
    transactions: Annotated[list[Path] | None, typer.Option(help="The transactions of these logs.")] = None,
    manifest: Annotated[
        Path | None, typer.Option(help="JSON list of files; alone, all of kind `chain` are read.")
    ] = None,
    chain: Annotated[
        str | None, typer.Option(metavar="CAIP-2", help="Chain that the files are of: eip155:1.")
    ] = None,
    rpc: Annotated[
        list[str] | None, typer.Option(metavar="URL", help="Node to read logs from; may be repeated.")
    ] = None,
    address: Annotated[
        list[str] | None, typer.Option(metavar="0x…", help="Contract whose logs are read; may be repeated.")
    ] = None,
    from_block: Annotated[int | None, typer.Option(min=0, help="First block to read from a node.")] = None,
    to_block: Annotated[str, typer.Option(help="Last block: a number, latest, safe, finalized.")] = "latest",
    follow: Annotated[bool, typer.Option("--follow", help="Go on with new blocks until Ctrl-C.")] = False,
    receipts: Annotated[
        bool, typer.Option("--receipts", help="Read the transactions of these logs as well.")
    ] = False,
    abi: Annotated[
        list[Path] | None, typer.Option(help="ABI or Solidity that declares events; may be repeated.")
    ] = None,
    passages: Annotated[
        int, typer.Option(min=0, help="Transactions of a file told one by one; more are told together.")
    ] = 2000,
) -> None:
    """Read what happened on a chain, from files or from nodes.

    Files hold blocks, transactions, logs and token transfers: JSON, CSV or Parquet, as ethereum-etl, cryo,
    BigQuery, Dune, Etherscan and eth_getLogs give them.
    A node (--rpc, --address, --from-block) gives logs; what was read is not read again, and reorganisations
    are followed. Exit status 2 when something was skipped; the rest is in the library all the same.
    """
    if rpc or address or from_block is not None:
        if file or blocks or transactions or manifest:
            raise SourceError("files and nodes are read one after the other; leave out --file or --rpc")
        read_feed(
            context.obj,
            Wanted(
                rpc=rpc or (),
                chain=chain,
                addresses=address or (),
                abi=abi or (),
                low=from_block,
                high=to_block,
                follow=follow,
                receipts=receipts,
                passages=passages,
            ),
        )
        return
    kinds = dict.fromkeys(blocks or (), "blocks") | dict.fromkeys(transactions or (), "transactions")
    targets = [*(file or []), *kinds]
    if not targets and manifest is None:
        raise SourceError("nothing to read; name files with --file or --manifest, or a node with --rpc")
    _read_files(context.obj, targets, kinds, manifest, chain, abi or [], passages)


def _read_files(
    settings: Settings,
    targets: list[Path],
    kinds: dict[Path, str],
    manifest: Path | None,
    chain: str | None,
    abi: list[Path],
    passages: int,
) -> None:
    from ingest.chain.jobs import find_files

    if chain is None or not _CAIP2.fullmatch(chain):
        raise SourceError(
            f"--chain should be a CAIP-2 id, as eip155:1 for Ethereum mainnet, but it is {chain}"
        )
    files, problems = find_files(targets, manifest, kinds)
    report = None
    if files:
        from index.library import Library
        from ingest.chain.abi import read_abi
        from ingest.chain.jobs import ChainJob

        declared = [event for one in abi for event in read_abi(one)]
        with progress() as tell, Library.writer(settings.library, settings.embedder) as writer:
            report = ChainJob(writer, chain, declared, passages, tell).run(files, problems)
        problems = list(report.skipped)
    _say(report, [str(problem) for problem in problems])


def _say(report: ChainReport | None, skipped: list[str]) -> None:
    for note in report.notes if report else ():
        typer.echo(f"note     {note}", err=True)
    for problem in skipped:
        typer.echo(f"skipped  {problem}", err=True)
    if report:
        rows = ", ".join(f"{count:,} {name}" for name, count in report.rows.items())
        typer.echo(
            f"{report.read:,} rows read, new are {rows}; {report.documents:,} documents told,"
            f" {report.unchanged:,} unchanged, {len(skipped)} skipped; {report.passages:,} passages,"
            f" {report.embedded:,} embedded, {report.seconds:.1f} s"
        )
    else:
        typer.echo(f"nothing to read, {len(skipped)} skipped")
    if skipped:
        raise typer.Exit(2)
