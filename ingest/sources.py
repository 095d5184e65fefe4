"""Where documents come from: files, folders, globs, URLs and manifests, made into sources to read."""

from __future__ import annotations

import glob
import hashlib
import itertools
import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import date
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote, urldefrag

from index.errors import Gone, SourceError
from index.values import Kind
from ingest.fetch import Fetched, Fetcher

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

    location: an absolute local path, or a URL; path: the short name a person knows it by;
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


@dataclass(frozen=True, slots=True)
class Problem:
    """One line about something that is not read, or not read as asked: what it is, and why."""

    what: str
    why: str

    def __str__(self) -> str:
        return f"{self.what}: {self.why}"


@dataclass(frozen=True, slots=True)
class Found:
    """What targets came to: sources in order and each once; faults of the input; things worth saying."""

    sources: tuple[Source, ...]
    problems: tuple[Problem, ...] = ()
    notes: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class Limits:
    """How much a single source may cost: bytes read, and memory (bytes) and seconds to open a PDF.

    repo_entries: files and folders of a repository; repo_file_bytes: of the largest file read; repo_bytes: of
    all, and of what is downloaded; repo_seconds: for downloading and listing it. ocr: languages in which
    scanned pages are recognised by Tesseract, such as `eng+deu`; empty: not at all.
    """

    text_bytes: int = 32 << 20
    pdf_bytes: int = 128 << 20
    pdf_memory: int = 1 << 30
    pdf_seconds: float = 60.0
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


def find(
    targets: Sequence[str],
    *,
    manifest: Path | None = None,
    base_url: str | None = None,
    stated: Facts = NOTHING_STATED,
) -> Found:
    """The sources behind files, folders, globs and URLs, or behind a whole manifest without targets.

    manifest: a JSON list of {path, source, commit, kind, licence, sha256}, paths relative to its folder;
    files it names get its address and facts. base_url: the address of each given folder on the web.
    stated: facts about every source, stronger than the manifest's. Input at fault is in `problems`.
    """
    search = _Search(base_url, stated)
    if manifest is not None:
        try:
            search.read_manifest(manifest)
        except SourceError as error:
            return Found((), (Problem(str(manifest), str(error)),))
    for target in targets:
        try:
            search.add_target(target)
        except (OSError, ValueError) as error:
            search.problem(target, f"cannot be used ({error}); check the path")
    search.add_entries(everything=not targets)
    return search.found()


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
        fetched = Fetched(url=source.location, body=_read_file(Path(source.location), limits))
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


@dataclass(frozen=True, slots=True)
class _Entry:
    """A manifest's line about a file."""

    path: str
    uri: str
    kind: str
    facts: Facts
    sha256: str | None


class _Search:
    """The state of one `find`: what the manifest says, and what came up so far."""

    def __init__(self, base_url: str | None, stated: Facts) -> None:
        self._base_url = base_url
        self._stated = stated
        self._entries: dict[Path, _Entry] = {}
        self._missing: set[Path] = set()
        self._roots: list[Path] = []
        self._sources: dict[str, Source] = {}
        self._other_kinds: Counter[str] = Counter()
        self._problems: list[Problem] = []
        self._notes: list[Problem] = []

    def found(self) -> Found:
        """Everything that came up."""
        return Found(tuple(self._sources.values()), tuple(self._problems), tuple(self._notes))

    def read_manifest(self, manifest: Path) -> None:
        """Takes in a manifest. Raises SourceError when it cannot be used at all."""
        try:
            rows = json.loads(manifest.read_text(encoding="utf-8"))
        except OSError as error:
            raise SourceError(f"the manifest cannot be read ({error.strerror}); check the path") from None
        except ValueError as error:
            raise SourceError(f"the manifest is not JSON ({error}); mend it") from None
        if not isinstance(rows, list):
            raise SourceError("the manifest is not a list of objects with `path` and `source`; mend it")
        root = manifest.resolve().parent
        for number, row in enumerate(rows, start=1):
            what = f"{manifest.name} entry {number}"
            try:
                self._read_entry(root, what, row)
            except (OSError, ValueError) as error:
                self.problem(what, f"names no usable file ({error}); mend the manifest")

    def _read_entry(self, root: Path, what: str, row: Any) -> None:
        texts = {k: v for k, v in row.items() if isinstance(v, str)} if isinstance(row, dict) else {}
        if not texts.get("path") or not texts.get("source"):
            self.problem(what, "needs the texts `path` and `source`; mend the manifest")
            return
        location = (root / texts["path"]).resolve()
        if not location.is_relative_to(root):
            self.problem(texts["path"], f"leaves the manifest's folder {root}; give a path inside it")
        elif location in self._entries:
            self.problem(texts["path"], f"stands twice in the manifest; {what} is ignored")
        else:
            self._entries[location] = _entry(texts)
            if not location.is_file():
                self._missing.add(location)

    def add_entries(self, *, everything: bool) -> None:
        """Adds the manifest's files, or only reports what of them is missing under the targets."""
        for location, entry in self._entries.items():
            wanted = everything or any(location.is_relative_to(root) for root in self._roots)
            if wanted and location in self._missing:
                self.problem(entry.path, "is in the manifest, but not on the disk; correct the manifest")
            elif everything:
                self._add_file(location, entry.path, entry.path)
        if self._other_kinds:
            kinds = ", ".join(f"{n} of kind {kind}" for kind, n in sorted(self._other_kinds.items()))
            allowed = " and ".join(DOCUMENT_KINDS)
            self._notes.append(Problem("manifest", f"left out {kinds}; this job reads {allowed}"))

    def add_target(self, target: str) -> None:
        """Adds what a file, folder, glob or URL stands for."""
        if is_url(target):
            url = urldefrag(target).url
            self._add(Source(url, url, url, self._stated))
            return
        path = Path(target)
        self._roots.append(path.resolve())
        if path.is_dir():
            self._add_files(target, path, _walk(path))
        elif path.is_file():
            self._add_file(path.resolve(), target, path.name)
        elif glob.has_magic(target):
            root = Path(*itertools.takewhile(lambda part: not glob.has_magic(part), path.parts))
            self._add_files(target, root, _matches(root, path))
        elif path.resolve() not in self._entries:
            self.problem(target, "no such file or folder; check the path")

    def _add_files(self, target: str, root: Path, files: Sequence[Path]) -> None:
        others: Counter[str] = Counter()
        for file in files:
            if file.suffix.lower() in FORMATS:
                name = file.relative_to(root).as_posix()
                self._add_file(file.resolve(), name, name)
            else:
                others[file.suffix.lower() or "no extension"] += 1
        if len(files) == others.total():
            self.problem(target, f"holds no file to read; readable are {' '.join(FORMATS)}")
        elif others:
            counts = ", ".join(f"{n} {extension}" for extension, n in others.most_common())
            self._notes.append(Problem(target, f"left out {counts}; readable are {' '.join(FORMATS)}"))

    def _add_file(self, location: Path, name: str, relative: str) -> None:
        entry = self._entries.get(location)
        if entry is None:
            uri = location.as_uri() if self._base_url is None else _join(self._base_url, relative)
            self._add(Source(str(location), name, uri, self._stated))
        elif entry.kind and entry.kind not in DOCUMENT_KINDS:
            self._other_kinds[entry.kind] += 1
        else:
            facts = self._stated.over(entry.facts)
            self._add(Source(str(location), entry.path, entry.uri, facts, entry.sha256))

    def _add(self, source: Source) -> None:
        known = self._sources.setdefault(source.uri, source)
        if known.location != source.location:
            self.problem(source.path, f"has the address of {known.path} ({known.uri}); give each its own")

    def problem(self, what: str, why: str) -> None:
        """Notes an input at fault."""
        self._problems.append(Problem(what, why))


def _walk(folder: Path) -> list[Path]:
    """The files under a folder in sorted order, hidden ones left out."""
    files: list[Path] = []
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        paths = (Path(root, name) for name in sorted(names) if not name.startswith("."))
        files.extend(path for path in paths if path.is_file())
    return files


def _matches(root: Path, pattern: Path) -> list[Path]:
    """The files under a folder that a pattern below it matches, in sorted order, hidden ones left out."""
    found = sorted(root.glob(str(pattern.relative_to(root))))
    hidden = {path for path in found if any(part.startswith(".") for part in path.relative_to(root).parts)}
    return [path for path in found if path.is_file() and path not in hidden]


def _entry(row: Mapping[str, str]) -> _Entry:
    kind = row.get("kind", "")
    facts = Facts(
        kind=Kind(kind) if kind in DOCUMENT_KINDS else None,
        licence=row.get("licence"),
        commit=row.get("commit"),
    )
    return _Entry(row["path"], row["source"], kind, facts, row.get("sha256"))


def _join(base: str, relative: str) -> str:
    return f"{base.rstrip('/')}/{quote(relative)}"
