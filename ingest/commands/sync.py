"""The command that brings a library up to date with all its sources."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Annotated

import typer

from index.errors import LibraryError
from index.settings import Settings
from ingest.commands.node import open_node
from ingest.commands.running import fetcher, limits, progress

if TYPE_CHECKING:
    from ingest.plan import Plan
    from ingest.sync import Outcome

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
) -> None:
    """Read every source that a file names; again, only what changed. What is gone from a source goes.

    Nothing goes because a source could not be reached. Exit status 2 when something failed; the rest is in
    the library all the same.
    """
    from ingest.plan import read_plan

    plan = read_plan(file)
    if watch is None:
        if any(outcome.problems for outcome in _round(context.obj, plan, file, Event())):
            raise typer.Exit(2)
        return
    with _asked_to_stop() as stop:
        while not stop.is_set():
            try:
                _round(context.obj, plan, file, stop)
            except LibraryError as error:
                _say(f"chaincite: {error}; tries again in {watch:.0f} s")
            stop.wait(watch)


def _round(settings: Settings, plan: Plan, file: Path, stop: Event) -> list[Outcome]:
    """Reads each source once, up to the one at which a stop is asked for, and prints what came of it."""
    from index.library import Library
    from ingest.sync import Record, Sync

    outcomes: list[Outcome] = []
    with (
        progress() as bar,
        fetcher(settings) as door,
        Library.writer(settings.library, settings.embedder) as writer,
    ):
        record = Record(settings.library, file)
        job = Sync(
            writer,
            record,
            file.parent,
            door,
            limits(settings),
            lambda rpc, chain: open_node(settings, rpc, chain),
            bar,
        )
        for source in plan:
            if stop.is_set():
                break
            outcomes.append(job.run(source))
            _tell(outcomes[-1])
        for label, count in record.left(source.label for source in plan).items():
            _say(f"note     {label}: not in {file} now; its {count} documents stay until `chaincite forget`")
    _table(outcomes)
    return outcomes


def _tell(outcome: Outcome) -> None:
    for note in outcome.notes:
        _say(f"note     {outcome.label}: {note}")
    for problem in outcome.problems:
        _say(f"skipped  {outcome.label}: {problem}")


def _table(outcomes: Sequence[Outcome]) -> None:
    """Prints a line for each source under the names of the counts."""
    heads = ("added", "changed", "unchanged", "gone", "failed")
    wide = max((len(outcome.label) for outcome in outcomes), default=0)
    typer.echo(f"{'source':<{wide}}  {'  '.join(heads)}")
    for outcome in outcomes:
        counts = (outcome.added, outcome.changed, outcome.unchanged, outcome.gone, len(outcome.problems))
        cells = "  ".join(f"{count:>{len(head)}}" for count, head in zip(counts, heads, strict=True))
        typer.echo(f"{outcome.label:<{wide}}  {cells}")


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
