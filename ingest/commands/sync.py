"""The command that brings a library up to date with all its sources."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Annotated

import typer

from index.errors import LibraryError
from index.settings import Settings
from ingest.commands.running import AsJson, doors, print_lines, progress

if TYPE_CHECKING:
    from ingest.engine import Report
    from ingest.options import Options

commands = typer.Typer()


@commands.command()
def sync(
    context: typer.Context,
    file: Annotated[
        Path,
        typer.Argument(metavar="SOURCES.toml", help="TOML file that names sources; see the README."),
    ],
    watch: Annotated[
        float | None,
        typer.Option(min=1, metavar="SECONDS", help="Begin again after so many seconds, until Ctrl-C."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Read every source that a file names; again, only what changed. What is gone from a source goes.

    Nothing goes because a source could not be reached. Exit status 2 when something failed; the rest is in
    the library all the same.
    """
    from ingest.plan import read_plan

    plan = read_plan(file)
    if watch is None:
        if any(report.skipped for report in _round(context.obj, plan, file, Event(), as_json=as_json)):
            raise typer.Exit(2)
        return
    with _asked_to_stop() as stop:
        while not stop.is_set():
            try:
                _round(context.obj, plan, file, stop, as_json=as_json)
            except LibraryError as error:
                _say(f"chaincite: {error}; tries again in {watch:.0f} s")
            stop.wait(watch)


def _round(
    settings: Settings, plan: Sequence[Options], file: Path, stop: Event, *, as_json: bool = False
) -> list[Report]:
    """Reads each source once, up to the one at which a stop is asked for, and prints what came of it."""
    from index.library import Library
    from ingest.engine import Engine
    from ingest.sync import Record, Sync

    reports: dict[str, Report] = {}
    with (
        progress() as bar,
        doors(settings) as opened,
        Library.writer(settings.library, settings.embedder) as writer,
    ):
        record = Record(settings.library, file)
        job = Sync(Engine(writer, bar), record, file.parent, opened)
        for source in plan:
            if stop.is_set():
                break
            reports[source.label] = job.run(source)
            print_lines(reports[source.label], source.place, source.label)
        for label, count in record.left(source.label for source in plan).items():
            _say(f"note     {label}: not in {file} now; its {count} documents stay until `chaincite forget`")
    if as_json:
        rows = [{"source": label, **report.as_json()} for label, report in reports.items()]
        typer.echo(json.dumps({"sources": rows}, indent=2, default=str))
    else:
        _table(reports)
    return list(reports.values())


def _table(reports: Mapping[str, Report]) -> None:
    """Prints a line for each source under the names of the counts."""
    heads = ("added", "changed", "unchanged", "gone", "failed")
    wide = max(map(len, reports), default=0)
    typer.echo(f"{'source':<{wide}}  {'  '.join(heads)}")
    for label, report in reports.items():
        counts = (report.added, report.changed, report.unchanged, report.removed, len(report.skipped))
        cells = "  ".join(f"{count:>{len(head)}}" for count, head in zip(counts, heads, strict=True))
        typer.echo(f"{label:<{wide}}  {cells}")


def _say(line: str) -> None:
    typer.echo(line, err=True)


@contextmanager
def _asked_to_stop() -> Iterator[Event]:
    """An event that the first Ctrl-C sets; the second interrupts at once."""
    asked = Event()

    def stop(_number: int, _frame: object) -> None:
        asked.set()
        signal.signal(signal.SIGINT, before)
        _say("chaincite: ends after this source; Ctrl-C again ends at once")

    before = signal.signal(signal.SIGINT, stop)
    try:
        yield asked
    finally:
        signal.signal(signal.SIGINT, before)
