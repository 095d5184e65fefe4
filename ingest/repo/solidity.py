"""The types that a Solidity file imports from other files of its repository."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Mapping
from functools import cached_property

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
        self._by_name: dict[str, list[str]] = {}
        for path in sorted(files):
            self._by_name.setdefault(posixpath.basename(path), []).append(path)

    def types(self, path: str, body: bytes) -> Types:
        """The types that a file can name, of all files that it imports, near or far.

        Where one of them is not in the commit, as those of a submodule, a type of the commit will do.
        """
        found: dict[str, str] = {}
        own = selectors.imports(body)
        waiting, seen = self._imported(path, own), {path}
        lacks = len(waiting) < len(own.paths)
        while waiting and len(seen) <= _MOST:
            other = waiting.pop()
            if other not in seen:
                seen.add(other)
                declared = self._of(other)
                found.update(declared.types)
                further = self._imported(other, declared)
                lacks |= len(further) < len(declared.paths)
                waiting += further
        return {**self._everywhere, **found} if lacks else found

    @cached_property
    def _everywhere(self) -> Types:
        """The types of the whole commit that have one meaning, for files that import what is not in it."""
        found: dict[str, str] = {}
        twice = set()
        for path in self._files:
            for name, encoded in self._of(path).types.items():
                if found.setdefault(name, encoded) != encoded:
                    twice.add(name)
        return {name: encoded for name, encoded in found.items() if name not in twice}

    def _of(self, path: str) -> Imports:
        oid = self._files[path]
        if oid not in self._seen:
            body = self._read(oid)
            self._seen[oid] = Imports() if body is None else selectors.imports(body)
        return self._seen[oid]

    def _imported(self, path: str, declared: Imports) -> list[str]:
        """The files behind import paths: those that are there, and of others the most alike."""
        found = []
        for written in declared.paths:
            place = posixpath.normpath(posixpath.join(posixpath.dirname(path), written))
            if place in self._files:
                found.append(place)
            elif not written.startswith("."):
                alike = self._by_name.get(posixpath.basename(written), ())
                found += [max(alike, key=lambda other: _likeness(other, written, path))] if alike else []
        return found


def _likeness(place: str, written: str, importer: str) -> tuple[int, int, int]:
    """How well a file's path fits an import that is remapped: by its end, its parts, and how near it lies."""
    parts, wanted = place.split("/"), written.split("/")
    ends = next((n for n in range(min(len(parts), len(wanted)), 0, -1) if parts[-n:] == wanted[-n:]), 0)
    near = len(posixpath.commonprefix([place, importer]))
    return ends, len(set(parts) & set(wanted)), near - len(place)
