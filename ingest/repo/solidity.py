"""The types that a Solidity file imports from other files of its repository."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Mapping

from ingest import selectors
from ingest.selectors import Imports, Types

_MOST = 500
"""Files that one file may import, with all that these import."""


class Declarations:
    """What the Solidity files of a commit declare.

    files: the git object of each by its path; read: the bytes of one, None where it is not here.
    """

    def __init__(self, files: Mapping[str, str], read: Callable[[str], bytes | None]) -> None:
        self._files = files
        self._read = read
        self._seen: dict[str, Imports] = {}
        self._by_end: dict[str, str | None] = {}
        for path in files:
            parts = path.split("/")
            for at in range(len(parts)):
                end = "/".join(parts[at:])
                self._by_end[end] = None if end in self._by_end else path

    def types(self, path: str, body: bytes) -> Types:
        """The types that a file can name, of all files that it imports, near or far."""
        found: dict[str, str] = {}
        waiting, seen = list(self._imported(path, selectors.imports(body))), {path}
        while waiting and len(seen) <= _MOST:
            other = waiting.pop()
            if other not in seen:
                seen.add(other)
                declared = self._of(other)
                found.update(declared.types)
                waiting += self._imported(other, declared)
        return found

    def _of(self, path: str) -> Imports:
        oid = self._files[path]
        if oid not in self._seen:
            body = self._read(oid)
            self._seen[oid] = Imports() if body is None else selectors.imports(body)
        return self._seen[oid]

    def _imported(self, path: str, declared: Imports) -> list[str]:
        """The files behind import paths: relative ones, and others by how they end."""
        found = []
        for written in declared.paths:
            place = posixpath.normpath(posixpath.join(posixpath.dirname(path), written))
            if not written.startswith(".") and place not in self._files:
                parts = written.split("/")
                ends = ("/".join(parts[at:]) for at in range(len(parts)))
                place = next((p for p in (self._by_end.get(end) for end in ends) if p is not None), written)
            if place in self._files:
                found.append(place)
        return found
