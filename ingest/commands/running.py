"""What the commands that read sources share: the doors that the settings give, the bar, the report."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from index.settings import Settings
from ingest.connector import Doors, NoNode
from ingest.fetch import Fetcher
from ingest.sources import Limits

if TYPE_CHECKING:
    from index.library import Library
    from index.values import Reading, SourceRef
    from ingest.chain.node import Node
    from ingest.engine import Progress, Report

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]

NOTHING = "nothing to read"
"""The summary of a source that names nothing that is there."""


@contextmanager
def doors(settings: Settings) -> Iterator[Doors]:
    """Whatever sources are reached through, as the settings want it."""
    from index.library import Library

    def library() -> Library:
        return Library(settings.library, settings.embedder)

    fetcher = Fetcher(
        allow_private=settings.allow_private_addresses,
        max_bytes=settings.fetch_max_bytes,
        timeout=settings.fetch_timeout,
    )
    with fetcher, ExitStack() as opened:

        def nodes(rpc: Sequence[str], chain: str | None) -> Node:
            return opened.enter_context(open_node(settings, rpc, chain))

        yield Doors(fetcher, _limits(settings), nodes, library)


def open_node(settings: Settings, rpc: Sequence[str], chain: str | None) -> Node:
    """The node behind these URLs, or, where there are none, behind the one that the settings name.

    Raises NoNode when there is none.
    """
    from ingest.chain.node import Node
    from ingest.chain.rpc import Endpoint

    named = settings.rpc.get(chain or "")
    urls = list(rpc) or ([named.get_secret_value()] if named else [])
    if not urls:
        raise NoNode(chain)
    return Node(
        [Endpoint(url, timeout=settings.rpc_timeout, max_bytes=settings.fetch_max_bytes) for url in urls],
        chain,
        settings.rpc_concurrency,
    )


def rereading(settings: Settings) -> Callable[[SourceRef], Reading]:
    """What reads a source again, wherever it is: in a file, at a URL, on a chain."""

    def again(ref: SourceRef) -> Reading:
        from ingest.registry import reread

        with doors(settings) as opened:
            return reread(ref, opened)

    return again


def print_report(report: Report, place: str, label: str = "") -> None:
    """Prints what came of a source: a line for each thing at fault, and one for the whole."""
    print_lines(report, place, label)
    if report.summary == NOTHING:
        typer.echo(f"{NOTHING}, {len(report.skipped)} skipped")
        return
    removed = f" {report.removed} removed," if report.removed else ""
    typer.echo(
        f"{f'{report.summary}; ' if report.summary else ''}"
        f"{report.added} added, {report.changed} changed, {report.unchanged} unchanged,{removed}"
        f" {len(report.skipped)} skipped; {report.passages} passages, {report.embedded} embedded,"
        f" {report.seconds:.1f} s"
    )


def print_lines(report: Report, place: str, label: str = "") -> None:
    """Prints a line for each note, for what was left out, and for each thing at fault.

    label: what the source is called in a file of sources.
    """
    named = f"{label}: " if label else ""
    for note in report.notes:
        typer.echo(f"note     {named}{note}", err=True)
    if counts := ", ".join(f"{count:,} {reason}" for reason, count in report.lost_by_reason.items()):
        typer.echo(f"note     {named or f'{place}: '}left out {counts}", err=True)
    for problem in report.skipped:
        typer.echo(f"skipped  {named}{problem}", err=True)


@contextmanager
def progress() -> Iterator[Callable[[Progress], None]]:
    """A bar with rate and time left on a terminal; nothing where there is none."""
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.fields[sources]} sources"),
        BarColumn(bar_width=None),
        TextColumn("{task.completed:.0f}/~{task.total:.0f} passages"),
        TextColumn("{task.fields[rate]:.0f}/s"),
        TimeRemainingColumn(elapsed_when_finished=True),
    )
    with Bar(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=1, sources="0", rate=0.0)

        def tell(at: Progress) -> None:
            rate = bar.tasks[0].speed or 0.0
            bar.update(
                task, completed=at.indexed, total=at.expected, sources=f"{at.sources}/{at.total}", rate=rate
            )

        yield tell


def _limits(settings: Settings) -> Limits:
    return Limits(
        text_bytes=settings.text_max_bytes,
        pdf_bytes=settings.pdf_max_bytes,
        pdf_memory=settings.pdf_memory_bytes,
        pdf_seconds=settings.pdf_timeout,
        text_seconds=settings.text_timeout,
        repo_entries=settings.repo_max_entries,
        repo_file_bytes=settings.repo_max_file_bytes,
        repo_bytes=settings.repo_max_bytes,
        repo_seconds=settings.repo_timeout,
        ocr=settings.ocr,
    )
