"""The connector of repositories: only files that changed between commits are read."""

from __future__ import annotations

import hashlib
import posixpath
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import PurePosixPath

from index.errors import Gone, SourceError
from index.values import Document, Kind, Reading, SourceRef
from ingest import readers
from ingest.connector import Doors, Expected, Found, Held, Item, Lost, Note, Shelf, Vanished
from ingest.names import shown
from ingest.pointers import keeper_of
from ingest.repo.address import located, parse
from ingest.repo.checkout import Checkout, opened
from ingest.repo.git import Commit, Entry
from ingest.repo.history import commit_reading
from ingest.repo.licence import FILE, licence_of
from ingest.repo.options import Repo
from ingest.repo.selection import Selection
from ingest.repo.solidity import Declarations
from ingest.selectors import NO_TYPES
from ingest.sources import Facts, Source
from ingest.time_limit import time_limit

_ATTRIBUTES, _MODULES, _SOLIDITY = ".gitattributes", ".gitmodules", ".sol"
_SUBMODULE = re.compile(r"^[ \t]*+(path|url)[ \t]*+=[ \t]*+(\S.*)", re.MULTILINE)


class Repository:
    """A repository at a ref."""

    def __init__(self, options: Repo, doors: Doors) -> None:
        self._options = options
        self._doors = doors
        self._address = parse(options.url, options.ref)
        self._commit = ""
        self._licence: str | None = None
        self._blob: Callable[[str], bytes | None] = lambda _: None
        self._declarations = Declarations({}, self._blob)
        self._selection = Selection()
        self._pointers: list[str] = []

    def discover(self, shelf: Shelf) -> Iterator[Found]:
        """The last commits and the chosen files, while the repository stays open; then what is gone."""
        options, doors = self._options, self._doors
        self._selection = selection = Selection(options.include, options.exclude)
        with (
            opened(self._address, doors.fetcher, doors.limits, max(options.history, 1)) as checkout,
            checkout.reader() as self._blob,
        ):
            self._address, self._commit = checkout.address, checkout.commit
            entries = [entry for entry in checkout.entries() if entry.kind != "tree"]
            notes = self._prepared(checkout, entries, selection)
            chosen = selection.of(entries)
            held = self._held(shelf)
            items = [*self._commits(checkout), *self._files(checkout, entries, chosen, held)]
            yield Expected(len(items))
            fresh = [item.key.oid for item in items if _is_fresh(item, held.get(self.link(item)))]
            checkout.want(fresh)
            yield from items
        there = {self.link(item) for item in items}
        yield from (Vanished(uri) for uri in held.keys() - there)
        yield from (Lost(self._address.name, reason, n) for reason, n in selection.left_out.items())
        yield from notes
        if self._pointers:
            what = f"only pointers are in the commit, the files are elsewhere: {_listed(self._pointers)}"
            yield Note(self._address.name, f"{what}; fetch them (`git lfs pull`) and read their folder")

    def read(self, item: Item, _held: Document | None) -> Reading | Lost:
        """A file, or the message of a commit."""
        key: Entry | Commit = item.key
        now = datetime.now(UTC)
        if isinstance(key, Commit):
            return commit_reading(self._address, key, now)
        body = self._blob(key.oid)
        reason = "huge" if body is None else self._selection.against(key.path, body)
        if body is None or reason is not None:
            if body is not None and keeper_of(body):
                self._pointers.append(item.name)
            return Lost(self._address.name, reason or "huge")
        return self._file(key, body, now)

    def link(self, item: Item) -> str:
        """Where a file or commit is shown on the web, where that is known."""
        key: Entry | Commit = item.key
        if isinstance(key, Commit):
            return self._address.commit_uri(key.oid)
        return self._address.uri(key.path)

    @classmethod
    def reread(cls, ref: SourceRef, doors: Doors) -> Reading:
        """What stands now at the ref that a cited file was read from; of a cited commit, its message."""
        address, path = located(ref.location)
        now = datetime.now(UTC)
        if not path:
            address = replace(address, ref=ref.commit or address.ref)
            with opened(address, doors.fetcher, doors.limits) as checkout:
                [commit] = checkout.git.log(checkout.commit, 1)
                return commit_reading(address, commit, now)
        with opened(address, doors.fetcher, doors.limits) as checkout:
            entry = next((found for found in checkout.entries(path) if found.kind == "blob"), None)
            if entry is None:
                at = f"commit {checkout.commit[:7]}, the newest of {address.ref}"
                raise Gone(f"{shown(path)} is not in {at}")
            checkout.want([entry.oid])
            with checkout.reader() as blob:
                body = blob(entry.oid)
            if body is None:
                raise SourceError("is larger than repo_max_file_bytes; raise it to read the file")
            source = Source(ref.location, ref.path, ref.uri, Facts(kind=ref.kind, commit=checkout.commit))
            return readers.read(body, source, retrieved_at=now, limits=doors.limits)

    def _held(self, shelf: Shelf) -> dict[str, Held]:
        """What the library holds of this repository at this ref, by uri."""
        place = self._address.location("")
        return {
            uri: held for uri, held in shelf.documents.items() if held.document.location.startswith(place)
        }

    def _prepared(self, checkout: Checkout, entries: Sequence[Entry], selection: Selection) -> list[Note]:
        """Takes in the repository's attributes and its licence; returns what is to be said of submodules."""
        wanted = {
            entry.oid: entry.path
            for entry in entries
            if posixpath.basename(entry.path) == _ATTRIBUTES
            or FILE.fullmatch(entry.path)
            or entry.path == _MODULES
        }
        urls: dict[str, str] = {}
        self._licence = None
        checkout.want(wanted)
        for oid, path in wanted.items():
            text = (self._blob(oid) or b"").decode(errors="replace")
            if path == _MODULES:
                urls = _submodules(text)
            elif path.endswith(_ATTRIBUTES):
                selection.heed(path.removesuffix(_ATTRIBUTES), text)
            else:
                self._licence = self._licence or licence_of(text)
        names = [entry.path for entry in entries if entry.kind == "submodule"]
        told = _listed([f"{shown(name)} ({urls[name]})" if name in urls else shown(name) for name in names])
        why = f"submodules are repositories of their own: {told}; read each with `chaincite ingest repo URL`"
        return [Note(self._address.name, why)] if names else []

    def _commits(self, checkout: Checkout) -> Iterator[Item]:
        """The last commits; one without a message has nothing to say."""
        if self._options.history:
            for commit in checkout.git.log(checkout.commit, self._options.history):
                if commit.message.strip():
                    yield Item(commit, f"commit {commit.oid[:12]}", "1")

    def _files(
        self, checkout: Checkout, entries: Sequence[Entry], chosen: Sequence[Entry], held: Mapping[str, Held]
    ) -> list[Item]:
        """The chosen files.

        Those whose own bytes changed come last: until they are written, the next reading looks at all that
        import them.
        """
        solidity = {e.path: e.oid for e in entries if e.kind == "blob" and e.path.endswith(_SOLIDITY)}
        here = {entry.path: entry.oid for entry in chosen if entry.path in solidity}
        others = sorted((path, oid) for path, oid in solidity.items() if path not in here)
        own = {e.path: self._version(e, others if e.path in here else ()) for e in chosen}
        types = self._types(checkout, solidity, here, own, held)
        items = [
            Item(entry, shown(entry.path), f"{own[entry.path]}{types.get(entry.path, '')}")
            for entry in chosen
        ]
        return sorted(items, key=lambda item: _is_other(item.key, held.get(self.link(item))))

    def _version(self, entry: Entry, others: Iterable[object]) -> str:
        parts = (entry.oid, self._licence, self._doors.limits.ocr, *others)
        return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]

    def _types(
        self,
        checkout: Checkout,
        solidity: Mapping[str, str],
        here: Mapping[str, str],
        own: Mapping[str, str],
        held: Mapping[str, Held],
    ) -> dict[str, str]:
        """The part of a Solidity file's version that names the types that it imports, by path.

        It is as it was where no Solidity file of the commit changed; else all of them are looked at.
        """
        known = {path: held.get(self._address.uri(path)) for path in here}
        before = [uri for uri, one in held.items() if one.document.location.endswith(_SOLIDITY)]
        versions = {path: one.version for path, one in known.items() if one and one.version}
        same = len(before) == len(here) and all(versions.get(p, "").startswith(own[p] + ".") for p in here)
        if same:
            return {path: version[len(own[path]) :] for path, version in versions.items()}
        checkout.want(here.values(), also=solidity.values())
        self._declarations = Declarations(solidity, self._blob)
        return {path: f".{self._imported(path, oid)}" for path, oid in here.items()}

    def _imported(self, path: str, oid: str) -> str:
        """A digest of the types that a Solidity file imports."""
        try:
            types = self._declarations.types(path, self._blob(oid) or b"")
        except Exception:  # noqa: BLE001 a file that defeats its parser is told of when it is read
            return "-"
        return hashlib.sha256(repr(sorted(types.items())).encode(errors="replace")).hexdigest()[:16]

    def _file(self, entry: Entry, body: bytes, now: datetime) -> Reading:
        path = shown(entry.path)
        source = Source(
            location=self._address.location(entry.path),
            path=f"{self._address.name}/{path}",
            uri=self._address.uri(entry.path),
            stated=Facts(commit=self._commit),
        )
        is_solidity = entry.path.endswith(_SOLIDITY)
        limits = self._doors.limits
        with time_limit(limits.text_seconds + limits.pdf_seconds):
            types = self._declarations.types(entry.path, body) if is_solidity else NO_TYPES
            reading = readers.read(body, source, retrieved_at=now, limits=limits, types=types)
        document = reading.document
        prose = PurePosixPath(entry.path).suffix.lower() in _PROSE
        return replace(
            reading,
            document=replace(
                document,
                kind=Kind.CODE if document.kind is Kind.PAPER else document.kind,
                title=document.title if prose else path,
                licence=document.licence or self._licence,
                etag=entry.oid,
            ),
        )


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


_NAMED = 20
"""Files that one line names, at most."""


def _is_fresh(item: Item, held: Held | None) -> bool:
    return isinstance(item.key, Entry) and (held is None or held.version != item.version)


def _is_other(entry: Entry, held: Held | None) -> bool:
    """Whether the bytes of a file are not those that the library holds."""
    return held is None or held.document.etag != entry.oid


def _submodules(text: str) -> dict[str, str]:
    """The addresses of submodules by their paths, as `.gitmodules` has them."""
    urls: dict[str, str] = {}
    for section in text.split("[submodule")[1:]:
        stated = {name: value.strip() for name, value in _SUBMODULE.findall(section)}
        if "path" in stated and "url" in stated:
            urls[stated["path"]] = shown(stated["url"])
    return urls


_PROSE = {".md", ".markdown", ".mediawiki", ".wiki", ".tex", ".latex", ".pdf", ".html", ".htm"}
"""Extensions of files that have a title of their own."""
