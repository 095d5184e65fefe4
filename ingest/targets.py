"""Finds the sources that files, folders, globs, URLs and manifests stand for."""

from __future__ import annotations

import glob
import itertools
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urldefrag

from index.errors import SourceError
from index.values import Kind
from ingest.names import location_of, shown
from ingest.sources import (
    DOCUMENT_KINDS,
    FORMATS,
    NOTHING_STATED,
    Facts,
    Found,
    Problem,
    Source,
    is_url,
    manifest_rows,
)


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
        self._manifest: Path | None = None
        self._roots: list[Path] = []
        self._sources: dict[str, Source] = {}
        self._other_kinds: Counter[str] = Counter()
        self._problems: list[Problem] = []
        self._notes: list[Problem] = []

    def found(self) -> Found:
        """Everything that came up."""
        return Found(
            tuple(self._sources.values()), tuple(self._problems), tuple(self._notes), tuple(self._roots)
        )

    def read_manifest(self, manifest: Path) -> None:
        """Takes in a manifest. Raises SourceError when it cannot be used at all."""
        rows = manifest_rows(manifest)
        self._manifest = manifest.resolve()
        root = self._manifest.parent
        for number, row in enumerate(rows, start=1):
            what = f"{manifest.name} entry {number}"
            try:
                self._read_entry(root, what, row)
            except (OSError, ValueError) as error:
                why = getattr(error, "strerror", None) or error
                self.problem(what, f"names no usable file ({why}); mend the manifest")

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
            self._add_files(target, path, _walk(path, self._closed))
        elif path.is_file():
            self._add_file(path.resolve(), target, path.name)
        elif glob.has_magic(target):
            root = Path(*itertools.takewhile(lambda part: not glob.has_magic(part), path.parts))
            self._add_files(target, root, _matches(root, path))
        elif path.resolve() not in self._entries:
            self.problem(target, "no such file or folder; check the path")

    def _add_files(self, target: str, root: Path, files: Sequence[Path]) -> None:
        others: Counter[str] = Counter()
        files = [file for file in files if file.resolve() != self._manifest]
        for file in files:
            if not file.is_file():
                others["pipes and broken links"] += 1
            elif file.suffix.lower() in FORMATS:
                name = file.relative_to(root).as_posix()
                self._add_file(file.resolve(), name, name)
            else:
                others[shown(file.suffix.lower()) or "no extension"] += 1
        if len(files) == others.total():
            self.problem(target, f"holds no file to read; readable are {' '.join(FORMATS)}")
        elif others:
            counts = ", ".join(f"{n} {extension}" for extension, n in others.most_common())
            self._notes.append(Problem(shown(target), f"left out {counts}; readable are {' '.join(FORMATS)}"))

    def _add_file(self, location: Path, name: str, relative: str) -> None:
        entry = self._entries.get(location)
        if entry is None:
            uri = location.as_uri() if self._base_url is None else _join(self._base_url, relative)
            self._add(Source(location_of(location), shown(name), uri, self._stated))
        elif entry.kind and entry.kind not in DOCUMENT_KINDS:
            self._other_kinds[entry.kind] += 1
        else:
            facts = self._stated.over(entry.facts)
            self._add(Source(location_of(location), shown(entry.path), entry.uri, facts, entry.sha256))

    def _add(self, source: Source) -> None:
        known = self._sources.setdefault(source.uri, source)
        if known.location != source.location:
            self.problem(source.path, f"has the address of {known.path} ({known.uri}); give each its own")

    def _closed(self, error: OSError) -> None:
        self.problem(str(error.filename), f"cannot be looked into ({error.strerror}); check permissions")

    def problem(self, what: str, why: str) -> None:
        """Notes an input at fault."""
        self._problems.append(Problem(shown(what), shown(why)))


def _walk(folder: Path, closed: Callable[[OSError], None]) -> list[Path]:
    """What stands under a folder, sorted, hidden names left out. closed: told of folders that are closed."""
    files: list[Path] = []
    for root, folders, names in os.walk(folder, onerror=closed):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        files.extend(Path(root, name) for name in sorted(names) if not name.startswith("."))
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
    return f"{base.rstrip('/')}/{quote(os.fsencode(relative))}"
