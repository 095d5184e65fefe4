"""Lists of pages: RSS, RDF and Atom feeds, sitemaps (sitemaps.org), and llms.txt (llmstxt.org)."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import urldefrag, urljoin, urlsplit
from xml.etree.ElementTree import Element, ParseError, fromstring

from index.errors import SourceError
from ingest.fetch import Fetched

MOST_SITEMAPS = 100
"""Sitemaps of one index that are read."""

_LARGEST = 64 << 20
"""Bytes of a list, unpacked."""

_LINK = re.compile(r"^[ \t]*[-*+][ \t]+\[([^\]\n]*)\]\((\S+?)\)", re.MULTILINE)
_FEEDS = ("rss", "RDF", "feed")


@dataclass(frozen=True, slots=True)
class Page:
    """A page of a list. stamp: what the list says of its state; published: when it says that it appeared."""

    url: str
    title: str = ""
    author: str = ""
    stamp: str | None = None
    published: datetime | None = None


@dataclass(frozen=True, slots=True)
class Listing:
    """Pages in the order of their list. whole: whether a page that is not on it is gone."""

    pages: tuple[Page, ...]
    whole: bool


def read_listing(fetched: Fetched, fetch: Callable[[str], Fetched]) -> Listing:
    """The pages that a list names, each once. fetch: gets the sitemaps of an index.

    Raises SourceError for what is no such list.
    """
    root = _parsed(_unpacked(fetched.body))
    kind = _name(root) if root is not None else ""
    if root is not None and kind in _FEEDS:
        return Listing(_once(_entries(root, fetched.url)), whole=False)
    if root is not None and kind in ("urlset", "sitemapindex"):
        pages = [page for page in _sitemap(root, fetched.url, fetch) if _same_site(page.url, fetched.url)]
        return Listing(_once(iter(pages)), whole=True)
    text = fetched.body.decode("utf-8", errors="replace")
    found = _once(
        Page(url, title)
        for title, link in _LINK.findall(text)
        if _same_site(url := urldefrag(urljoin(fetched.url, link)).url, fetched.url)
    )
    if not found or "<html" in text[:2048].lower():
        raise SourceError(
            "is no feed, sitemap or llms.txt; give the address of one, as https://…/sitemap.xml"
        )
    return Listing(found, whole=True)


def _sitemap(root: Element, base: str, fetch: Callable[[str], Fetched]) -> Iterator[Page]:
    if _name(root) == "urlset":
        for entry in root:
            if link := _text(entry, "loc"):
                yield Page(urljoin(base, link), stamp=_text(entry, "lastmod") or None)
        return
    for entry in list(root)[:MOST_SITEMAPS]:
        link = urljoin(base, _text(entry, "loc"))
        inner = _parsed(_unpacked(fetch(link).body)) if _same_site(link, base) else None
        if inner is not None and _name(inner) == "urlset":
            yield from _sitemap(inner, link, fetch)


def _entries(root: Element, base: str) -> Iterator[Page]:
    """The entries of a feed: `item` of RSS, `entry` of Atom."""
    for entry in [*root.iterfind(".//{*}item"), *root.iterfind(".//{*}entry")]:
        links = [one for one in entry if _name(one) == "link" and one.get("rel", "alternate") == "alternate"]
        link = next((one.get("href") or (one.text or "").strip() for one in links), "")
        link = link or (_text(entry, "guid") if _text(entry, "guid").startswith("http") else "")
        if link:
            dates = [_text(entry, name) for name in ("published", "pubDate", "date", "updated")]
            yield Page(
                urldefrag(urljoin(base, link)).url,
                title=" ".join(_text(entry, "title").split()),
                author=_text(entry, "creator") or _text(entry, "name") or _text(entry, "author"),
                stamp=_text(entry, "updated") or None,
                published=next(filter(None, map(_time, dates)), None),
            )


def _text(entry: Element, name: str) -> str:
    """The words of the first element of a name below an entry; empty where there is none."""
    found = entry.find(f".//{{*}}{name}")
    return "".join(found.itertext()).strip() if found is not None else ""


def _name(element: Element) -> str:
    return str(element.tag).rpartition("}")[2]


def _parsed(body: bytes) -> Element | None:
    """The root of XML that declares no entities of its own; None for what is none."""
    body = body.lstrip(b"\xef\xbb\xbf \t\r\n")
    if not body.startswith(b"<") or b"<!ENTITY" in body.replace(b"\0", b""):
        return None
    try:
        return fromstring(body)  # noqa: S314 no entities are left that could grow
    except (ParseError, ValueError, LookupError):
        return None


def _unpacked(body: bytes) -> bytes:
    if not body.startswith(b"\x1f\x8b"):
        return body
    try:
        return zlib.decompressobj(wbits=31).decompress(body, _LARGEST)
    except zlib.error as error:
        raise SourceError(f"is a broken gzip file ({error}); give another address") from None


def _time(text: str) -> datetime | None:
    for read in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            found = read(text)
        except (ValueError, TypeError, IndexError):
            continue
        return found if found.tzinfo else found.replace(tzinfo=UTC)
    return None


def _same_site(url: str, base: str) -> bool:
    """Whether a page is on the host of its list, as the protocol of sitemaps wants it."""
    return urlsplit(url).scheme in ("http", "https") and urlsplit(url).netloc == urlsplit(base).netloc


def _once(pages: Iterator[Page]) -> tuple[Page, ...]:
    return tuple({page.url: page for page in pages}.values())
