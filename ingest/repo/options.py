"""What may be said of a repository that is to be read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Self

import typer
from pydantic import Field

from ingest.options import Options, Text, Texts


class Repo(Options):
    """Read the files of a repository's commit; again, only those that changed. Nothing of it is run.

    Vendored, generated, minified, binary and huge files are left out and counted. Exit status 2 when
    something was skipped; the rest is in the library all the same.
    """

    kind_of_source: ClassVar[str] = "repo"
    connector: ClassVar[str] = "ingest.repo.connector:Repository"
    scheme: ClassVar[str] = "git+"

    url: Annotated[Text, typer.Argument(metavar="URL|PATH", help="A repository: https, ssh, or a folder.")]
    ref: Annotated[
        str | None, typer.Option(help="Branch, tag or commit; else what the repository has checked out.")
    ] = None
    include: Annotated[
        Texts,
        typer.Option(metavar="GLOB", help="Read only these, as .gitignore spells them; may be repeated."),
    ] = ()
    exclude: Annotated[Texts, typer.Option(metavar="GLOB", help="Leave these out; may be repeated.")] = ()
    history: Annotated[
        int,
        Field(ge=0, le=10_000),
        typer.Option(metavar="N", help="Read the messages of the last N commits too."),
    ] = 0

    def within(self, folder: Path) -> Self:
        """The repository in a folder there, if there is one."""
        local = folder / self.url
        return self.model_copy(update={"url": str(local)}) if local.exists() else self
