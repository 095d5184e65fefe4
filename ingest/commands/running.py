"""What the commands that read sources share: the limits that the settings give, the bar, the report."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from index.settings import Settings
from ingest.fetch import Fetcher
from ingest.sources import Found, Limits

if TYPE_CHECKING:
    from ingest.jobs import Progress, Report


def fetcher(settings: Settings) -> Fetcher:
    """The door to the network, as the settings want it."""
    return Fetcher(
        allow_private=settings.allow_private_addresses,
        max_bytes=settings.fetch_max_bytes,
        timeout=settings.fetch_timeout,
    )


def limits(settings: Settings) -> Limits:
    """What one source may cost, as the settings want it."""
    return Limits(
        text_bytes=settings.text_max_bytes,
        pdf_bytes=settings.pdf_max_bytes,
        pdf_memory=settings.pdf_memory_bytes,
        pdf_seconds=settings.pdf_timeout,
    )


def run(settings: Settings, found: Found) -> None:
    """Brings the library up to date with sources, and prints what came of it.

    Raises typer.Exit with status 2 when something was skipped.
    """
    from index.library import Library
    from ingest.jobs import Job

    report: Report | None = None
    if found.sources:
        with progress() as tell, Library.writer(settings.library, settings.embedder) as writer:
            report = Job(writer, fetcher(settings), limits(settings), tell).run(found)
    skipped = report.skipped if report else found.problems
    for note in report.notes if report else found.notes:
        typer.echo(f"note     {note}", err=True)
    for problem in skipped:
        typer.echo(f"skipped  {problem}", err=True)
    if report:
        typer.echo(
            f"{report.added} added, {report.changed} changed, {report.unchanged} unchanged,"
            f" {len(skipped)} skipped; {report.passages} passages, {report.embedded} embedded,"
            f" {report.seconds:.1f} s"
        )
    else:
        typer.echo(f"nothing to read, {len(skipped)} skipped")
    if skipped:
        raise typer.Exit(2)


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
