"""Sites: pages that feeds, sitemaps and llms.txt list, read once, and gone when a whole list drops them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from index.errors import SourceError
from index.library import Library
from ingest.connector import Doors
from ingest.engine import Engine, Report
from ingest.fetch import Fetched, Fetcher
from ingest.plan import read_plan
from ingest.site.listing import read_listing
from ingest.sync import Record, Sync
from tests.ingest.conftest import Server

ATOM = """<?xml version="1.0"?><feed xmlns="http://www.w3.org/2005/Atom"><title>Notes</title>
<entry><title>The fee
 switch</title><link href="{0}/a.md"/><updated>2025-01-02T00:00:00Z</updated>
<author><name>Ada</name></author></entry></feed>"""
RSS = """<rss version="2.0" xmlns:dc="http://purl.org/dc/elements/1.1/"><channel><link>{0}</link>
<item><title>The fee switch</title><link>{0}/a.md#top</link><dc:creator>Ada</dc:creator>
<pubDate>Thu, 02 Jan 2025 09:00:00 GMT</pubDate></item></channel></rss>"""
INDEX = """<sitemapindex xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">
<sitemap><loc>{0}/inner.xml</loc></sitemap><sitemap><loc>http://elsewhere.invalid/x.xml</loc></sitemap>
</sitemapindex>"""
SITEMAP = """<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">
<url><loc>{0}/a.md</loc><lastmod>2025-01-02</lastmod></url><url><loc>{0}/b.md</loc></url>
<url><loc>http://elsewhere.invalid/c.md</loc></url></urlset>"""
LLMS = (
    "# Docs\n\n- [The fee switch](/a.md): how\n- [Bridges](b.md)\n- [Other](https://elsewhere.invalid/c.md)\n"
)


@pytest.fixture
def site(server: Server) -> Server:
    def page(body: str) -> Callable[..., None]:
        return lambda request: request.answer(200, body.format(server.url("")).encode(), ETag='"1"')

    lists = {"/atom": ATOM, "/rss": RSS, "/sitemap.xml": INDEX, "/inner.xml": SITEMAP, "/llms.txt": LLMS}
    pages = {"/a.md": "# A\n\nThe fee is a sixth.\n", "/b.md": "# B\n\nThe bridge is paused.\n"}
    server.routes = {path: page(body) for path, body in {**lists, **pages}.items()}
    return server


def synced(folder: Path, url: str, limit: int = 10) -> Report:
    file = folder / "sources.toml"
    file.write_text(f'[site]\nurl = "{url}"\nlimit = {limit}\n')
    library = folder / "library"
    with Fetcher(allow_private=True, sleep=lambda _: None) as door, Library.writer(library) as writer:
        doors = Doors(door, wait=lambda _: None)
        [source] = read_plan(file)
        return Sync(Engine(writer), Record(library, file), folder, doors).run(source)


def counts(report: Report) -> tuple[int, int, int, int, int]:
    return report.added, report.changed, report.unchanged, report.removed, len(report.skipped)


@pytest.mark.parametrize("name", ["/atom", "/rss"])
def test_a_feed_brings_its_pages_with_what_it_says_of_them(site: Server, tmp_path: Path, name: str) -> None:
    assert counts(synced(tmp_path, site.url(name))) == (1, 0, 0, 0, 0)
    [document] = Library(tmp_path / "library").documents()
    assert (document.uri, document.title, document.authors) == (
        site.url("/a.md"), "The fee switch", ("Ada",),
    )  # fmt: skip
    assert str(document.published_at) == "2025-01-02"
    assert counts(synced(tmp_path, site.url(name))) == (0, 0, 1, 0, 0)
    site.routes[name] = lambda request: request.answer(200, b"<rss><channel></channel></rss>")
    assert counts(synced(tmp_path, site.url(name))) == (0, 0, 0, 0, 0)


@pytest.mark.parametrize("name", ["/sitemap.xml", "/llms.txt"])
def test_a_whole_list_is_followed_within_its_host(site: Server, tmp_path: Path, name: str) -> None:
    assert counts(synced(tmp_path, site.url(name))) == (2, 0, 0, 0, 0)
    assert counts(synced(tmp_path, site.url(name))) == (0, 0, 2, 0, 0)
    shorter = LLMS.replace("- [Bridges](b.md)\n", "")
    site.routes[name] = lambda request: request.answer(200, shorter.encode())
    assert counts(synced(tmp_path, site.url(name)))[2:] == (1, 1, 0) or name == "/sitemap.xml"
    assert len(Library(tmp_path / "library").documents()) == 1


def test_a_page_that_fails_is_skipped_and_a_list_that_fails_removes_nothing(
    site: Server, tmp_path: Path
) -> None:
    synced(tmp_path, site.url("/llms.txt"))
    site.routes["/b.md"] = lambda request: request.answer(404)
    assert counts(synced(tmp_path, site.url("/llms.txt"))) == (0, 0, 1, 0, 1)
    site.routes["/llms.txt"] = lambda request: request.answer(404)
    assert counts(synced(tmp_path, site.url("/llms.txt"))) == (0, 0, 0, 0, 1)
    assert len(Library(tmp_path / "library").documents()) == 2


def test_pages_after_the_limit_are_told(site: Server, tmp_path: Path) -> None:
    report = synced(tmp_path, site.url("/llms.txt"), limit=1)
    assert (report.added, "only 1 of 2 pages" in str(report.notes[0])) == (1, True)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html><body><a href='/a'>a</a></body></html>",
        b"<urlset><url>",
        b'<!DOCTYPE x [<!ENTITY a "aaaa">]><rss><channel>&a;</channel></rss>',
        '<!DOCTYPE x [<!ENTITY a "http://127.0.0.1/a">]><rss><item><link>&a;</link></item></rss>'.encode(
            "utf-16-le"
        ),
        b"\x1f\x8bbroken",
        b"just words",
    ],
)
def test_what_is_no_list_is_refused_in_one_line(body: bytes) -> None:
    with pytest.raises(SourceError, match=r"give (the address of one|another address)") as refused:
        read_listing(Fetched("https://example.org/x", body), lambda _: Fetched("", b""))
    assert "\n" not in str(refused.value)
