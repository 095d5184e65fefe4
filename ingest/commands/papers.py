"""The command that reads papers and proposals."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from index.errors import SourceError
from index.values import Kind
from ingest.commands.running import run
from ingest.sources import Facts, find

commands = typer.Typer()


@commands.command("papers")
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
    run(context.obj, find(targets or [], manifest=manifest, base_url=base_url, stated=stated))
