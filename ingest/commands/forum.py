"""The command that reads forums."""

from __future__ import annotations

from typing import Annotated

import typer

from index.errors import SourceError
from index.settings import Settings
from ingest.commands.running import fetcher, limits, progress, tell

commands = typer.Typer()


@commands.command("forum")
def ingest_forum(
    context: typer.Context,
    url: Annotated[
        str, typer.Argument(metavar="URL", help="A topic, a category, a tag, or a whole Discourse forum.")
    ],
    limit: Annotated[
        int, typer.Option(min=1, max=10_000, metavar="N", help="Topics that are read, the latest first.")
    ] = 100,
) -> None:
    """Read topics of a Discourse forum, post by post; again, only those that changed.

    Only what everybody may read is read. Exit status 2 when something was skipped; the rest is in the library
    all the same.
    """
    from index.library import Library
    from ingest.discourse import parse
    from ingest.forum import ForumJob

    settings: Settings = context.obj
    try:
        place = parse(url)
        with (
            progress() as bar,
            fetcher(settings) as door,
            Library.writer(settings.library, settings.embedder) as writer,
        ):
            report = ForumJob(writer, door, limits(settings), bar).run(place, limit)
    except SourceError as error:
        raise type(error)(f"{url}: {error}") from error
    tell(report)
