"""Which files of a repository are read: what people wrote, in a form that has text."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from ingest.grammar import GRAMMARS
from ingest.pointers import keeper_of
from ingest.repo.git import Entry
from ingest.sources import FORMATS

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

_BY_LINES = """
    .vy .vyi .move .cairo .yul .huff .fe .nr .circom .lean .k .tla .dfy .act
    .c .h .cc .cpp .hpp .cs .java .kt .scala .swift .rb .php .ex .exs .hs .ml .nix .zig .lua .proto .graphql
    .sh .sql .toml .yaml .yml .json .rst .adoc
""".split()  # noqa: SIM905
READ = {*GRAMMARS, *_BY_LINES, *FORMATS} - {".pdf", ".html", ".htm", ".xhtml"}
"""Extensions that are read where nothing is included by name."""

_VENDORED = {
    "node_modules", "bower_components", "vendor", "vendored", "third_party", "third-party", "site-packages",
    "lib/forge-std", "lib/ds-test", "lib/openzeppelin-contracts", "lib/openzeppelin-contracts-upgradeable",
    "lib/solmate", "lib/solady",
}  # fmt: skip
_GENERATED = {
    "artifacts", "build", "cache", "dist", "out", "target", "typechain", "typechain-types", "__pycache__",
    "coverage", "broadcast",
}  # fmt: skip
_LOCKS = {
    "package-lock.json", "npm-shrinkwrap.json", "yarn.lock", "pnpm-lock.yaml", "cargo.lock", "go.sum",
    "poetry.lock", "uv.lock", "pipfile.lock", "composer.lock", "gemfile.lock", "foundry.lock", "flake.lock",
}  # fmt: skip
_MINIFIED = re.compile(r"\.min\.\w+$|[-.]bundle\.\w+$", re.IGNORECASE)
_MADE = re.compile(
    rb"^[ \t]*(?://|#|/?\*|--|;|<!--|\"\"\").{0,200}"
    rb"(?:@generated\b|code generated\b.{0,200}do not edit|\bauto-?generated (?:file|by|from|with)\b)",
    re.IGNORECASE | re.MULTILINE,
)
"""How a program says, in a comment at its beginning, that a program wrote it."""
_OTHER = "of other formats"
_HEAD = 2048
_LARGE_DATA = 32_768
"""Bytes from which JSON, YAML and the like hold data rather than words."""

_DATA = {".json", ".yaml", ".yml", ".toml"}
_LONG_LINE = 400
"""Bytes of an average line from which a program is not meant for people."""


class Selection:
    """The rules for one repository.

    include, exclude: patterns as in `.gitignore`; where there are any to include, only those are read, in
    whatever format they are. One that names a folder, with a slash before its end, also brings what counts as
    hidden, vendored, generated or minified.
    attributes: the texts of the repository's `.gitattributes`, by the folder each stands in.
    left_out: what was left out so far, by reason.
    """

    def __init__(self, include: Sequence[str] = (), exclude: Sequence[str] = ()) -> None:
        self._include, self._exclude = _globs(include), _globs(exclude)
        self._wanted = _globs([pattern for pattern in include if "/" in pattern.rstrip("/")])
        self._attributes: list[tuple[str, str, GitIgnoreSpec]] = []
        self._any = bool(include)
        self.left_out: Counter[str] = Counter()

    def heed(self, folder: str, attributes: str) -> None:
        """Takes in what a `.gitattributes` says of generated and vendored files."""
        for line in attributes.splitlines():
            pattern, *words = line.split() or [""]
            for word in words:
                name, _, value = word.lstrip("-!").partition("=")
                if name in ("linguist-generated", "linguist-vendored") and not pattern.startswith("#"):
                    off = word.startswith(("-", "!")) or value == "false"
                    self._attributes.append(
                        (folder, "" if off else name.removeprefix("linguist-"), _globs([pattern]))
                    )

    def of(self, entries: Iterable[Entry]) -> list[Entry]:
        """The files that are to be read, for all that their names say; the others are counted."""
        chosen = []
        for entry in entries:
            reason = self._against(entry)
            if reason is None:
                chosen.append(entry)
            elif entry.kind != "tree":
                self.left_out[reason] += 1
        return chosen

    def against(self, path: str, body: bytes) -> str | None:
        """Why a file of these bytes is not read; None where it is."""
        if keeper := keeper_of(body):
            return f"{keeper.name} pointers"
        return None if self._wanted.match_file(path) else _unreadable(path, body)

    def _against(self, entry: Entry) -> str | None:
        """Why an entry is not read; None where it is."""
        if entry.kind != "blob":
            return f"{entry.kind}s"
        if self._exclude.match_file(entry.path) or (self._any and not self._include.match_file(entry.path)):
            return "excluded"
        if self._wanted.match_file(entry.path):
            return None
        reason = self._attributed(entry.path) or _named(entry.path)
        return None if self._any and reason == _OTHER else reason

    def _attributed(self, path: str) -> str | None:
        """What `.gitattributes` says of a file; the last line that speaks of it counts."""
        found: str | None = None
        for folder, reason, globs in self._attributes:
            if path.startswith(folder) and globs.match_file(path[len(folder) :]):
                found = reason or None
        return found


def _named(path: str) -> str | None:
    """Why a file of this name is not read; None where it is."""
    place = PurePosixPath(path)
    folders = [part.lower() for part in place.parts[:-1]]
    names = {*folders, *("/".join(pair) for pair in pairwise(folders))}
    if any(part.startswith(".") for part in place.parts):
        return "hidden"
    if place.name.lower() in _LOCKS:
        return "lock files"
    if _MINIFIED.search(place.name):
        return "minified"
    if names & _VENDORED:
        return "vendored"
    if names & _GENERATED:
        return "generated"
    return None if place.suffix.lower() in READ else _OTHER


def _unreadable(path: str, body: bytes) -> str | None:
    suffix = PurePosixPath(path).suffix.lower()
    if suffix != ".pdf" and b"\0" in body[:8192] and not body.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "binary"
    if not body.strip():
        return "empty"
    if suffix in _DATA and len(body) > _LARGE_DATA:
        return "data"
    if _MADE.search(body, 0, _HEAD):
        return "generated"
    if suffix in GRAMMARS and len(body) > _HEAD and len(body) > _LONG_LINE * (body.count(b"\n") + 1):
        return "minified"
    return None


def _globs(patterns: Sequence[str]) -> GitIgnoreSpec:
    from pathspec import GitIgnoreSpec

    return GitIgnoreSpec.from_lines(patterns)
