"""What may be said of a forum that is to be read."""

from __future__ import annotations

from typing import Annotated, ClassVar

import typer
from pydantic import Field

from ingest.options import Options

LOCATION = "discourse+"
"""What the location of a topic begins with."""


class Forum(Options):
    """Read topics of a Discourse forum, post by post; again, only those that changed.

    Only what everybody may read is read. Exit status 2 when something was skipped; the rest is in the library
    all the same.
    """

    kind_of_source: ClassVar[str] = "forum"
    connector: ClassVar[str] = "ingest.forum.connector:Topics"
    scheme: ClassVar[str] = LOCATION

    url: Annotated[
        str, typer.Argument(metavar="URL", help="A topic, a category, a tag, or a whole Discourse forum.")
    ]
    limit: Annotated[
        int,
        Field(ge=1, le=10_000),
        typer.Option(metavar="N", help="Topics that are read, the latest first."),
    ] = 100
