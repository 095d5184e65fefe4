"""The command that reads repositories."""

from __future__ import annotations

from typing import Annotated

import typer

from index.errors import SourceError
from index.settings import Settings
from ingest.commands.running import fetcher, limits, progress, tell

commands = typer.Typer()


@commands.command("repo")
def ingest_repo(
    context: typer.Context,
    target: Annotated[str, typer.Argument(metavar="URL|PATH", help="A repository: https, ssh, or a folder.")],
    ref: Annotated[
        str | None, typer.Option(help="Branch, tag or commit; else what the repository has checked out.")
    ] = None,
    include: Annotated[
        list[str] | None,
        typer.Option(metavar="GLOB", help="Read only these, as .gitignore spells them; may be repeated."),
    ] = None,
    exclude: Annotated[
        list[str] | None, typer.Option(metavar="GLOB", help="Leave these out; may be repeated.")
    ] = None,
    history: Annotated[
        int, typer.Option(min=0, max=10_000, metavar="N", help="Read the messages of the last N commits too.")
    ] = 0,
) -> None:
    """Read the files of a repository's commit; again, only those that changed. Nothing of it is run.

    Vendored, generated, minified, binary and huge files are left out and counted. Exit status 2 when
    something was skipped; the rest is in the library all the same.
    """
    from index.library import Library
    from ingest.repo.address import parse
    from ingest.repo.job import Choice, RepositoryJob

    settings: Settings = context.obj
    address = parse(target, ref)
    choice = Choice(tuple(include or ()), tuple(exclude or ()), history)
    try:
        with progress() as bar, Library.writer(settings.library, settings.embedder) as writer:
            report = RepositoryJob(writer, fetcher(settings), limits(settings), bar).run(address, choice)
    except SourceError as error:
        raise type(error)(f"{target}: {error}") from error
    tell(report)
