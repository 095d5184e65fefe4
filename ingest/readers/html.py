"""Web pages: the main text as Markdown, without navigation."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

from index.errors import SourceError
from ingest.readers.markdown import read_markdown
from ingest.readers.parsed import Parsed
from ingest.readers.preamble import names
from ingest.sources import Facts


def read_html(body: bytes, url: str) -> Parsed:
    """The main text of a page in Markdown, with its headings, and the title, authors and date it states.

    Raises SourceError when a page holds no main text.
    """
    import trafilatura

    found = trafilatura.bare_extraction(body, url=url, with_metadata=True)
    text = trafilatura.extract(
        body, url=url, output_format="markdown", include_formatting=True, include_comments=False
    )
    if not text or found is None or isinstance(found, dict):
        raise SourceError("is a web page without readable text; give the page that holds the text")
    parsed = read_markdown(text, url)
    stated = Facts(title=found.title, authors=names(found.author or ""), published_at=_date(found.date))
    return replace(parsed, facts=stated.over(parsed.facts))


def _date(text: str | None) -> date | None:
    try:
        return date.fromisoformat((text or "")[:10])
    except ValueError:
        return None
