"""The commands that look after a library: status, doctor, forget."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated

import typer

from index.errors import SourceError
from index.settings import Settings
from ingest.commands.running import AsJson

commands = typer.Typer()


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
