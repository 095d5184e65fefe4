"""What the commands that read sources share: the limits that the settings give, the bar, the report."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from index.settings import Settings
from ingest.fetch import Fetcher
from ingest.sources import Found, Limits, Problem

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
        repo_entries=settings.repo_max_entries,
        repo_file_bytes=settings.repo_max_file_bytes,
        repo_bytes=settings.repo_max_bytes,
        repo_seconds=settings.repo_timeout,
        ocr=settings.ocr,
    )


def run(settings: Settings, found: Found) -> None:
    """Brings the library up to date with sources, and prints what came of it.

    Raises typer.Exit with status 2 when something was skipped.
    """
    from index.library import Library
    from ingest.jobs import Job

    if not found.sources:
        _told(found.problems, found.notes)
        typer.echo(f"nothing to read, {len(found.problems)} skipped")
        raise typer.Exit(2 if found.problems else 0)
    with progress() as bar, Library.writer(settings.library, settings.embedder) as writer:
        report = Job(writer, fetcher(settings), limits(settings), bar).run(found)
    tell(report)


def tell(report: Report) -> None:
    """Prints what a job did. Raises typer.Exit with status 2 when something was skipped."""
    _told(report.skipped, report.notes)
    removed = f" {report.removed} removed," if report.removed else ""
    typer.echo(
        f"{report.added} added, {report.changed} changed, {report.unchanged} unchanged,{removed}"
        f" {len(report.skipped)} skipped; {report.passages} passages, {report.embedded} embedded,"
        f" {report.seconds:.1f} s"
    )
    if report.skipped:
        raise typer.Exit(2)


def _told(skipped: Sequence[Problem], notes: Sequence[Problem]) -> None:
    for note in notes:
        typer.echo(f"note     {note}", err=True)
    for problem in skipped:
        typer.echo(f"skipped  {problem}", err=True)


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
