"""The connector of sites: the pages that a list names, read like any other page of the web."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from index.values import Document, Reading
from ingest.connector import Doors, Expected, Found, Item, Note, Shelf, Vanished
from ingest.papers import Documents
from ingest.site.listing import Page, read_listing
from ingest.site.options import Site
from ingest.sources import Facts, Source
from ingest.sources import Found as Targets

PAUSE = 0.1
"""Seconds between two requests to a site."""


class Pages(Documents):
    """The pages of one list. A page that a whole list names no more is gone."""

    def __init__(self, options: Site, doors: Doors) -> None:
        super().__init__(Targets(()), doors)
        self._options = options

    def discover(self, shelf: Shelf) -> Iterator[Found]:
        """The pages of the list; one whose date stands in it is not asked for again."""
        url, limit, fetcher = self._options.url, self._options.limit, self._doors.fetcher
        listing = read_listing(fetcher.get(url), fetcher.get)
        if len(listing.pages) > limit:
            yield Note(url, f"only {limit} of {len(listing.pages)} pages are read; more with --limit N")
        yield Expected(min(len(listing.pages), limit))
        yield from map(_item, listing.pages[:limit])
        there = {page.url for page in listing.pages}
        if listing.whole:
            held = shelf.documents.items()
            yield from (Vanished(uri) for uri, one in held if one.brought and uri not in there)

    def read(self, item: Item, held: Document | None) -> Reading | None:
        """The document that a page is, after a pause."""
        self._doors.wait(PAUSE)
        return super().read(item, held)


def _item(page: Page) -> Item:
    stated = Facts(
        title=page.title or None,
        authors=(page.author,) if page.author else (),
        published_at=page.published.date() if page.published else None,
    )
    version = hashlib.sha256(f"{page.stamp}\n{stated!r}".encode(errors="replace")).hexdigest()[:16]
    return Item(
        Source(page.url, page.url, page.url, stated), page.url, version, settled=page.stamp is not None
    )
