"""What may be said of a site that is to be read."""

from __future__ import annotations

from typing import Annotated, ClassVar

import typer
from pydantic import Field

from ingest.options import Options


class Site(Options):
    """Read the pages that a feed (RSS, Atom), a sitemap or an llms.txt lists; again, only what changed.

    Exit status 2 when something was skipped; the rest is in the library all the same.
    """

    kind_of_source: ClassVar[str] = "site"
    connector: ClassVar[str] = "ingest.site.connector:Pages"

    url: Annotated[
        str, typer.Argument(metavar="URL", help="A feed, a sitemap.xml or an llms.txt, by its address.")
    ]
    limit: Annotated[
        int, Field(ge=1, le=100_000), typer.Option(metavar="N", help="Pages that are read, in their order.")
    ] = 1000
