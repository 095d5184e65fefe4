"""Commands that fill a library and look after it: ingest, status, doctor, forget."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from index.errors import SourceError
from index.settings import Settings
from index.values import Kind
from ingest.fetch import Fetcher
from ingest.sources import Facts, Found, Limits, find

if TYPE_CHECKING:
    from ingest.jobs import Progress

commands = typer.Typer()
ingest = typer.Typer(
    no_args_is_help=True, help="Read sources into the library; only what changed costs anything."
)
commands.add_typer(ingest, name="ingest")

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


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


@ingest.command("papers")
def ingest_papers(
    context: typer.Context,
    targets: Annotated[
        list[str] | None,
        typer.Argument(metavar="PATH|URL ...", help="Files, folders, patterns, or web addresses."),
    ] = None,
    manifest: Annotated[
        Path | None, typer.Option(help="JSON list that says where each file is published; see the README.")
    ] = None,
    base_url: Annotated[
        str | None, typer.Option("--base-url", metavar="URL", help="Where the given folder is published.")
    ] = None,
    author: Annotated[
        list[str] | None, typer.Option(help="Author of these sources; may be repeated.")
    ] = None,
    title: Annotated[str | None, typer.Option(help="Title, for a single source.")] = None,
    kind: Annotated[Kind | None, typer.Option(help="What they are, where it is not plain.")] = None,
    chain: Annotated[
        str | None, typer.Option(metavar="CAIP-2", help="Chain they are about: eip155:1.")
    ] = None,
    licence: Annotated[str | None, typer.Option(help="Licence they are published under.")] = None,
    date: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], metavar="YYYY-MM-DD", help="Date of publication.")
    ] = None,
) -> None:
    """Read papers and proposals: PDF, HTML, Markdown, MediaWiki, LaTeX, plain text.

    Exit status 2 when something was skipped; the rest is in the library all the same.
    """
    if not targets and manifest is None:
        raise SourceError("nothing to read; name files, folders or URLs, or give --manifest FILE")
    stated = Facts(
        kind=kind,
        title=title,
        authors=tuple(author or ()),
        published_at=date.date() if date else None,
        chain=chain,
        licence=licence,
    )
    _run(context.obj, find(targets or [], manifest=manifest, base_url=base_url, stated=stated))


def _run(settings: Settings, found: Found) -> None:
    from index.library import Library
    from ingest.jobs import Job, Report

    report: Report | None = None
    if found.sources:
        with _progress() as tell, Library.writer(settings.library, settings.embedder) as writer:
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
def _progress() -> Iterator[Callable[[Progress], None]]:
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


@commands.command()
def status(context: typer.Context, as_json: AsJson = False) -> None:
    """Show what the library holds: documents, passages and events, its age, size and model."""
    from index.library import Library

    found = Library(context.obj.library, context.obj.embedder).status()
    if as_json:
        typer.echo(json.dumps(asdict(found), default=str, indent=2))
        return
    rows = [
        ("library", found.folder),
        ("documents", _counted(found.documents, found.documents_by_kind)),
        ("passages", _counted(found.passages, found.passages_by_kind)),
        ("vectors", f"{found.vectors:,} in {found.shards} shards"),
        ("events", f"{found.events:,}"),
        ("generation", f"{found.generation}, {_age(found.created_at)} old"),
        ("size", f"{found.size / 1e6:.1f} MB"),
        ("model", found.embedder),
    ]
    for name, value in rows:
        typer.echo(f"{name:<11} {value}")


@commands.command()
def doctor(
    context: typer.Context,
    repair: Annotated[
        bool, typer.Option("--repair", help="Make the indexes again from the tables; nothing is embedded.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Check that tables, vectors and words agree and are what was written. Exit status 1 on a fault."""
    from index import doctor as library_doctor
    from index import generation

    folder: Path = context.obj.library
    found = list(library_doctor.faults(folder))
    if repair and found:
        for line in found:
            typer.echo(line, err=True)
        now = library_doctor.repair(folder)
        typer.echo(f"repaired: generation {now.number}, {now.counts['passages']} passages", err=True)
        found = list(library_doctor.faults(folder))
    if as_json:
        typer.echo(json.dumps({"faults": found}))
    else:
        for line in found:
            typer.echo(line)
    if found:
        raise typer.Exit(1)
    left = generation.orphans(folder)
    if left and not as_json:
        typer.echo(f"note: {len(left)} files of an unfinished write; the next ingest removes them", err=True)


@commands.command()
def forget(
    context: typer.Context,
    patterns: Annotated[
        list[str],
        typer.Argument(metavar="URI|PATTERN ...", help="Addresses or paths; * and ? are wildcards."),
    ],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be removed.")] = False,
) -> None:
    """Remove documents, with their passages and vectors, from the library and from the disk."""
    from index.library import Library

    settings: Settings = context.obj
    documents = Library(settings.library, settings.embedder).documents()
    chosen = [
        document
        for document in documents
        if any(fnmatchcase(name, pattern) for name in (document.uri, document.path) for pattern in patterns)
    ]
    if not chosen:
        raise SourceError(
            f"no document matches {' '.join(patterns)}; `chaincite status` counts what is there"
        )
    if not dry_run:
        with Library.writer(settings.library, settings.embedder) as writer:
            writer.forget([document.uri for document in chosen])
    for document in chosen:
        typer.echo(f"{'would forget' if dry_run else 'forgot'}  {document.path}  {document.uri}")


def _counted(total: int, by_kind: dict[str, int]) -> str:
    parts = ", ".join(f"{count:,} {kind}" for kind, count in by_kind.items())
    return f"{total:,}" + (f" ({parts})" if parts else "")


def _age(then: datetime) -> str:
    seconds = (datetime.now(UTC) - then).total_seconds()
    for size, unit in ((86_400, "days"), (3_600, "hours"), (60, "minutes")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} seconds"
