"""Readers: the bytes of a source made into a document, its text and its structure."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import PurePosixPath
from urllib.parse import urlsplit

from index.errors import SourceError
from index.values import Document, Kind, Reading
from ingest.grammar import GRAMMARS
from ingest.readers.code import read_code
from ingest.readers.html import read_html
from ingest.readers.latex import read_latex
from ingest.readers.markdown import read_markdown
from ingest.readers.mediawiki import read_mediawiki
from ingest.readers.parsed import Parsed, whole
from ingest.readers.pdf import read_pdf
from ingest.selectors import NO_TYPES, Types
from ingest.sources import DEFAULT_LIMITS, FORMATS, Facts, Format, Limits, Source, check_size, is_url

_MEDIA_TYPES: dict[Format, str] = {
    "pdf": "application/pdf",
    "html": "text/html",
    "markdown": "text/markdown",
    "mediawiki": "text/x-wiki",
    "latex": "text/x-tex",
    "text": "text/plain",
    "code": "text/plain",
}
_FORMAT_OF: dict[str, Format] = {
    **{kind: name for name, kind in _MEDIA_TYPES.items() if kind != "text/plain"},
    "application/xhtml+xml": "html",
    "application/x-tex": "latex",
    "text/x-markdown": "markdown",
}
_TEXT_READERS: dict[Format, Callable[[str, str], Parsed]] = {
    "markdown": read_markdown,
    "mediawiki": read_mediawiki,
    "latex": read_latex,
    "text": lambda text, _: Parsed(text, whole(text, ())),
}
_CONTROLS = re.compile(r"[\x00-\x08\x0e-\x1a\x1c-\x1f]")


def read(
    body: bytes,
    source: Source,
    *,
    media_type: str | None = None,
    retrieved_at: datetime,
    limits: Limits = DEFAULT_LIMITS,
    types: Types = NO_TYPES,
) -> Reading:
    """Reads a source's bytes as a PDF, HTML, Markdown, MediaWiki, LaTeX, code or plain text.

    The format follows from the bytes, the media type an HTTP answer gave, and the name, in that order.
    types: of the files that a Solidity file imports.
    Raises SourceError with one line when the bytes are empty, too many, or not readable as that.
    """
    form = format_of(body, source.path, media_type)
    check_size(len(body), body[:1024], limits)
    if form == "pdf":
        parsed = read_pdf(body, limits)
    elif form == "html":
        parsed = read_html(body, source.uri)
    else:
        text, warnings = decode(body)
        is_code = form == "code"
        parsed = read_code(text, source.path, types) if is_code else _TEXT_READERS[form](text, source.path)
        parsed = replace(parsed, warnings=(*parsed.warnings, *warnings))
    if not parsed.text.strip():
        raise SourceError("holds no text; remove it, or give a source with words in it")
    document = _document(source, parsed.facts, body, media_type or _MEDIA_TYPES[form], retrieved_at)
    return Reading(document, parsed.text, parsed.blocks, parsed.pages, parsed.warnings, parsed.identifiers)


def format_of(body: bytes, path: str, media_type: str | None = None) -> Format:
    """The format that bytes of this name and media type are in. Raises SourceError for none."""
    if not body:
        raise SourceError("is empty; remove it, or give a source with words in it")
    suffix = _file_name(path).suffix.lower()
    named = FORMATS.get(suffix) or ("code" if suffix in GRAMMARS else None)
    told = _FORMAT_OF.get(media_type or "", named)
    if b"%PDF-" in body[:1024]:
        return "pdf"
    if told == "pdf":
        raise SourceError("is named a PDF and is none (no %PDF at its beginning); get the file again")
    if told in (None, "text") and re.match(rb"\s*(?:<!doctype html|<html\b)", body[:1024], re.IGNORECASE):
        return "html"
    return told or "text"


def _file_name(path: str) -> PurePosixPath:
    return PurePosixPath(urlsplit(path).path if is_url(path) else path)


def decode(body: bytes) -> tuple[str, tuple[str, ...]]:
    """Bytes as text, with warnings: UTF-8, or UTF-16 with a byte order mark.

    Bytes that are not UTF-8 become U+FFFD. Raises SourceError for what is not text at all.
    """
    if body.startswith((b"\xff\xfe", b"\xfe\xff")):
        text = body.decode("utf-16", errors="replace")
    else:
        text = body.removeprefix(b"\xef\xbb\xbf").decode("utf-8", errors="replace")
    if "\0" in text or len(_CONTROLS.findall(text)) > len(text) // 100:
        raise SourceError("is binary, not text; readable are " + " ".join(FORMATS))
    replaced = text.count("\ufffd") - body.count("\ufffd".encode())
    if replaced > len(text) // 4:
        raise SourceError("is not UTF-8 text; convert it to UTF-8")
    warning = f"{replaced} places were not UTF-8 and are read as U+FFFD; convert the file to UTF-8"
    return text, (warning,) if replaced > 0 else ()


def _document(source: Source, facts: Facts, body: bytes, media_type: str, retrieved_at: datetime) -> Document:
    facts = source.stated.over(facts)
    return Document(
        uri=source.uri,
        kind=facts.kind or Kind.PAPER,
        title=facts.title or _file_name(source.path).stem or source.path,
        sha256=hashlib.sha256(body).hexdigest(),
        size=len(body),
        media_type=media_type,
        path=source.path,
        location=source.location,
        retrieved_at=retrieved_at,
        published_at=facts.published_at,
        authors=facts.authors,
        number=facts.number,
        status=facts.status,
        category=facts.category,
        requires=facts.requires,
        chain=facts.chain,
        licence=facts.licence,
        commit=facts.commit,
    )
