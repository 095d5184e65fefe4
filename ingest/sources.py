"""Where documents come from: files, folders, globs, URLs and manifests, made into sources to read."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import date
from pathlib import Path
from typing import Any, Literal

from index.errors import Gone, SourceError
from index.values import Kind
from ingest.fetch import Fetched, Fetcher
from ingest.names import local_path
from ingest.pointers import refuse_pointer

Format = Literal[
    "pdf", "html", "markdown", "mediawiki", "latex", "rst", "org", "text", "code", "transcript", "mail",
    "csv", "json", "jsonl", "notebook", "docx", "pptx", "epub", "zip",
]  # fmt: skip

FORMATS: Mapping[str, Format] = {
    ".pdf": "pdf",
    ".html": "html",
    ".htm": "html",
    ".xhtml": "html",
    ".md": "markdown",
    ".markdown": "markdown",
    ".mediawiki": "mediawiki",
    ".wiki": "mediawiki",
    ".tex": "latex",
    ".latex": "latex",
    ".rst": "rst",
    ".org": "org",
    ".txt": "text",
    ".text": "text",
    ".vtt": "transcript",
    ".srt": "transcript",
    ".eml": "mail",
    ".mbox": "mail",
    ".csv": "csv",
    ".tsv": "csv",
    ".json": "json",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".ipynb": "notebook",
    ".docx": "docx",
    ".pptx": "pptx",
    ".epub": "epub",
    ".zip": "zip",
}
"""The format of a file by its extension: a folder is searched for these."""

DOCUMENT_KINDS = (Kind.PAPER, Kind.PROPOSAL)
"""The kinds in a manifest that are read as documents."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What one party (the command line, a manifest, the source itself) states about a document."""

    kind: Kind | None = None
    title: str | None = None
    authors: tuple[str, ...] = ()
    published_at: date | None = None
    number: str | None = None
    status: str | None = None
    category: str | None = None
    requires: tuple[str, ...] = ()
    chain: str | None = None
    licence: str | None = None
    commit: str | None = None

    def over(self, other: Facts) -> Facts:
        """These facts, with the other's where these are silent.

        >>> merged = Facts(title="A").over(Facts(title="B", status="Final"))
        >>> merged.title, merged.status
        ('A', 'Final')
        """
        stated = {f.name: getattr(self, f.name) for f in fields(self) if getattr(self, f.name)}
        return replace(other, **stated)


NOTHING_STATED = Facts()


@dataclass(frozen=True, slots=True)
class Source:
    """Something to read.

    location: an absolute local path, or a URL (see `location_of`); path: the short name a person knows it by;
    uri: its public address; stated: what overrides the source's own words about itself;
    sha256: hex digest that its bytes must have.
    """

    location: str
    path: str
    uri: str
    stated: Facts = NOTHING_STATED
    sha256: str | None = None

    @property
    def remote(self) -> bool:
        """Whether it is read over the network."""
        return is_url(self.location)


@dataclass(frozen=True)
class Problem:
    """One line about something that is not read, or not read as asked: what it is, and why."""

    what: str
    why: str

    def __str__(self) -> str:
        return f"{self.what}: {self.why}"


@dataclass(frozen=True, slots=True)
class Found:
    """What targets came to: sources in order and each once; faults of the input; things worth saying.

    roots: the files and folders that were looked into.
    """

    sources: tuple[Source, ...]
    problems: tuple[Problem, ...] = ()
    notes: tuple[Problem, ...] = ()
    roots: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class Limits:
    """How much a single source may cost: bytes read, seconds to read it, and memory (bytes) to open a PDF.

    repo_entries: files and folders of a repository; repo_file_bytes: of the largest file read; repo_bytes: of
    all, and of what is downloaded; repo_seconds: for downloading and listing it. ocr: languages in which
    scanned pages are recognised by Tesseract, such as `eng+deu`; empty: not at all.
    """

    text_bytes: int = 32 << 20
    pdf_bytes: int = 128 << 20
    pdf_memory: int = 1 << 30
    pdf_seconds: float = 60.0
    text_seconds: float = 60.0
    repo_entries: int = 200_000
    repo_file_bytes: int = 1_000_000
    repo_bytes: int = 500_000_000
    repo_seconds: float = 600.0
    ocr: str = ""


DEFAULT_LIMITS = Limits()


def is_url(target: str) -> bool:
    """Whether a target is an address of the web rather than a path.

    >>> is_url("https://example.org/a.md"), is_url("papers/a.md")
    (True, False)
    """
    return target.lower().startswith(("http://", "https://"))


def manifest_rows(manifest: Path) -> list[Any]:
    """The entries of a manifest. Raises SourceError when it cannot be used at all."""
    try:
        rows = json.loads(manifest.read_text(encoding="utf-8"))
    except OSError as error:
        raise SourceError(f"the manifest cannot be read ({error.strerror}); check the path") from None
    except (ValueError, RecursionError) as error:
        raise SourceError(f"the manifest is not JSON ({error}); mend it") from None
    if not isinstance(rows, list):
        raise SourceError("the manifest is not a list of objects with `path` and `source`; mend it")
    return rows


def load(
    source: Source,
    fetcher: Fetcher,
    *,
    etag: str | None = None,
    last_modified: str | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> Fetched:
    """The bytes of a source, from the disk or over the network.

    etag, last_modified: validators of an earlier answer; an unchanged URL gives `not_modified` and no body.
    Raises SourceError when it is missing, larger than the limits, or not what its manifest says;
    Unreachable when the network failed.
    """
    if source.remote:
        fetched = fetcher.get(source.location, etag=etag, last_modified=last_modified)
    else:
        fetched = Fetched(url=source.location, body=_read_file(local_path(source.location), limits))
    refuse_pointer(fetched.body)
    if source.sha256 and not fetched.not_modified:
        digest = hashlib.sha256(fetched.body).hexdigest()
        if digest != source.sha256:
            raise SourceError(
                f"sha256 is {digest[:12]}…, the manifest says {source.sha256[:12]}…; "
                "restore the file, or correct the manifest"
            )
    return fetched


def _read_file(path: Path, limits: Limits) -> bytes:
    try:
        if not path.is_file():
            raise Gone("no such file; check the path")
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            head = file.read(1024)
            check_size(size, head, limits)
            return head + file.read(limits.pdf_bytes)
    except OSError as error:
        raise SourceError(f"cannot be read ({error.strerror}); check its permissions") from None


def check_size(size: int, head: bytes, limits: Limits) -> None:
    """Refuses a source of `size` bytes beginning with `head` that is over its limit, with SourceError."""
    pdf = b"%PDF-" in head
    limit = limits.pdf_bytes if pdf else limits.text_bytes
    if size > limit:
        sizes = f"{size / 2**20:.0f} MiB is over the limit of {limit / 2**20:.0f} MiB"
        raise SourceError(f"{sizes}; split the file, or raise {'pdf' if pdf else 'text'}_max_bytes")
