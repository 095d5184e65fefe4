"""Readers: the bytes of a source made into a document, its text and its structure."""

from __future__ import annotations

import codecs
import hashlib
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import PurePosixPath
from urllib.parse import urlsplit

from index.errors import SourceError
from index.values import Document, Kind, Reading
from ingest.grammar import GRAMMARS
from ingest.readers.archive import read_zip
from ingest.readers.code import read_code
from ingest.readers.data import read_csv, read_json, read_jsonl, read_notebook
from ingest.readers.html import read_html
from ingest.readers.latex import read_latex
from ingest.readers.mail import read_mail
from ingest.readers.markdown import read_markdown
from ingest.readers.markup import read_org, read_rst
from ingest.readers.mediawiki import read_mediawiki
from ingest.readers.office import read_docx, read_epub, read_pptx
from ingest.readers.parsed import Parsed, whole
from ingest.readers.pdf import read_pdf
from ingest.readers.transcript import TRANSCRIPT, read_transcript
from ingest.selectors import NO_TYPES, Types
from ingest.sources import DEFAULT_LIMITS, FORMATS, Facts, Format, Limits, Source, check_size, is_url

_MEDIA_TYPES: dict[Format, str] = {
    "pdf": "application/pdf",
    "html": "text/html",
    "markdown": "text/markdown",
    "mediawiki": "text/x-wiki",
    "latex": "text/x-tex",
    "rst": "text/x-rst",
    "org": "text/org",
    "text": "text/plain",
    "code": "text/plain",
    "transcript": TRANSCRIPT,
    "mail": "message/rfc822",
    "csv": "text/csv",
    "json": "application/json",
    "jsonl": "application/jsonl",
    "notebook": "application/x-ipynb+json",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    "epub": "application/epub+zip",
    "zip": "application/zip",
}
_FORMAT_OF: dict[str, Format] = {
    **{kind: name for name, kind in _MEDIA_TYPES.items() if kind != "text/plain"},
    "application/xhtml+xml": "html",
    "application/x-tex": "latex",
    "application/x-subrip": "transcript",
    "application/x-ndjson": "jsonl",
    "application/x-zip-compressed": "zip",
    "application/mbox": "mail",
    "text/x-markdown": "markdown",
    "text/tab-separated-values": "csv",
}
_TEXT_READERS: dict[Format, Callable[[str, str], Parsed]] = {
    "markdown": read_markdown,
    "mediawiki": read_mediawiki,
    "latex": read_latex,
    "rst": lambda text, _: read_rst(text),
    "org": lambda text, _: read_org(text),
    "text": lambda text, _: Parsed(text, whole(text, ())),
    "transcript": lambda text, _: read_transcript(text),
    "csv": read_csv,
    "json": lambda text, _: read_json(text),
    "jsonl": lambda text, _: read_jsonl(text),
    "notebook": lambda text, _: read_notebook(text),
}
_BYTE_READERS: dict[Format, Callable[[bytes, Limits], Parsed]] = {
    "pdf": read_pdf,
    "mail": lambda body, _: read_mail(body),
    "docx": read_docx,
    "pptx": read_pptx,
    "epub": read_epub,
    "zip": lambda body, limits: read_zip(body, limits, partial(_member, limits)),
}
_ZIPPED: frozenset[Format] = frozenset({"docx", "pptx", "epub", "zip"})
_WITHOUT_LINES: frozenset[Format] = _ZIPPED | {"mail", "json", "jsonl", "notebook", "transcript"}
_PARTS: tuple[tuple[bytes, Format], ...] = (
    (b"word/document.xml", "docx"),
    (b"ppt/presentation.xml", "pptx"),
    (b"mimetypeapplication/epub+zip", "epub"),
)
_DECLARED = re.compile(rb"(?:encoding|charset|coding)\s*[:=]\s*[\"']?([\w.-]{2,30})", re.IGNORECASE)
_HIGH = re.compile(rb"[\x80-\xff]")
_UTF8 = re.compile(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")
_SAMPLE = 1 << 18
_LIKELY = [
    *("cp1252", "cp1250", "cp1251", "koi8_r", "cp1253", "cp1254", "iso8859_2"),
    *("shift_jis", "euc_jp", "gb18030", "big5", "euc_kr"),
]
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
    """Reads a source's bytes in the format that they are in, one of `ingest.sources.FORMATS` or code.

    The format follows from the bytes, the media type an HTTP answer gave, and the name, in that order.
    types: of the files that a Solidity file imports.
    Raises SourceError with one line when the bytes are empty, too many, or not readable as that.
    """
    form = format_of(body, source.path, media_type)
    check_size(len(body), body[:1024], limits)
    parsed = _parsed(form, body, source, limits, types)
    if not parsed.text.strip():
        raise SourceError("holds no text; remove it, or give a source with words in it")
    document = _document(source, parsed.facts, body, media_type or _MEDIA_TYPES[form], retrieved_at)
    return Reading(
        document,
        parsed.text,
        parsed.blocks,
        parsed.pages,
        parsed.warnings,
        parsed.identifiers,
        lost=parsed.lost,
        has_lines=form not in _WITHOUT_LINES,
    )


def _parsed(form: Format, body: bytes, source: Source, limits: Limits, types: Types) -> Parsed:
    if form in _BYTE_READERS:
        return _BYTE_READERS[form](body, limits)
    if form == "html":
        return read_html(body, source.uri)
    text, warnings = decode(body)
    if form == "code":
        parsed = read_code(text, source.path, types)
    else:
        parsed = _TEXT_READERS[form](text, source.path)
    return replace(parsed, warnings=(*parsed.warnings, *warnings))


def _member(limits: Limits, body: bytes, name: str) -> Parsed:
    """What a member of an archive holds. Raises SourceError for what cannot be read, or is an archive."""
    form = format_of(body, name)
    if form == "zip":
        raise SourceError("is an archive in an archive; unpack it first")
    return _parsed(form, body, Source(name, name, name), limits, NO_TYPES)


def format_of(body: bytes, path: str, media_type: str | None = None) -> Format:
    """The format that bytes of this name and media type are in. Raises SourceError for none."""
    if not body:
        raise SourceError("is empty; remove it, or give a source with words in it")
    suffix = _file_name(path).suffix.lower()
    named = FORMATS.get(suffix) or ("code" if suffix in GRAMMARS else None)
    told = _FORMAT_OF.get(media_type or "", named)
    if body.startswith(b"PK\x03\x04"):
        return next((form for part, form in _PARTS if part in body), told if told in _ZIPPED else "zip")
    if b"%PDF-" in body[:1024]:
        return "pdf"
    if told == "pdf":
        raise SourceError("is named a PDF and is none (no %PDF at its beginning); get the file again")
    if told in _ZIPPED:
        old = body.startswith(b"\xd0\xcf\x11\xe0")
        what = "is of an old or protected Office format; save it as" if old else "is named so and is no"
        raise SourceError(f"{what} .{told}{'' if old else '; get the file again'}")
    if told in (None, "text") and re.match(rb"\s*(?:<!doctype html|<html\b)", body[:1024], re.IGNORECASE):
        return "html"
    return told or "text"


def _file_name(path: str) -> PurePosixPath:
    return PurePosixPath(urlsplit(path).path if is_url(path) else path)


def decode(body: bytes) -> tuple[str, tuple[str, ...]]:
    """Bytes as text, with warnings that name the encoding where it is not UTF-8.

    The encoding is that of the byte order mark, else UTF-8, else the one that the text declares, else the one
    that it is most likely in. A few stray bytes of UTF-8 become U+FFFD. Raises SourceError for what is not
    text at all.
    """
    if body.startswith((b"\xff\xfe", b"\xfe\xff")):
        text, encoding = body.decode("utf-16", errors="replace"), "utf-8"
    else:
        body = body.removeprefix(b"\xef\xbb\xbf")
        encoding = _encoding(body)
        text = body.decode(encoding, errors="replace")
    if "\0" in text or len(_CONTROLS.findall(text)) > len(text) // 100:
        raise SourceError("is binary, not text; readable are " + " ".join(FORMATS))
    replaced = text.count("\ufffd") - body.count("\ufffd".encode())
    if replaced > len(text) // 4:
        raise SourceError("is not UTF-8 text; convert it to UTF-8")
    if encoding != "utf-8":
        return text, (f"is not UTF-8 and was read as {encoding}; convert it to UTF-8 to be sure",)
    warning = f"{replaced} places were not UTF-8 and are read as U+FFFD; convert the file to UTF-8"
    return text, (warning,) if replaced > 0 else ()


def _encoding(body: bytes) -> str:
    """The name of the encoding of text without a byte order mark."""
    try:
        body.decode("utf-8")
    except UnicodeDecodeError:
        pass
    else:
        return "utf-8"
    if (match := _DECLARED.search(body[:1024])) and (found := _codec(match[1].decode())):
        return found
    high = len(_HIGH.findall(body))
    if b"\0" in body or 3 * len(_UTF8.findall(body)) > high:
        return "utf-8"
    from charset_normalizer import from_bytes

    best = from_bytes(body[:_SAMPLE], cp_isolation=_LIKELY).best()
    if best is None:
        return "utf-8"
    return next((one for one in _LIKELY if one in best.could_be_from_charset), best.encoding)


def _codec(name: str) -> str | None:
    """The codec of a declared encoding; None for an unknown one, and for UTF-8, which the text is not in."""
    try:
        found = codecs.lookup(name).name
    except LookupError:
        return None
    return found if found not in ("utf-8", "ascii") else None


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
