"""Web pages: the main text as Markdown, without navigation."""

from __future__ import annotations

from ingest.readers.parsed import Parsed


def read_html(body: bytes, url: str) -> Parsed:
    raise NotImplementedError
