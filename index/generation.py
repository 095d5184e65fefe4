"""Generations: small manifests that say which table versions and index files belong together.

Publishing is one atomic replace of the file `CURRENT`, which names the manifest. Whatever moment a writer
dies at, `CURRENT` names a generation whose parts are all on disk.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, TextIO

from index.errors import LibraryError
from index.shards import Shard

FORMAT = 4
"""The layout of a library folder and the terms of its word index; a newer one is refused. Format 1 knew no
identifiers of passages, format 2 no digests of them, format 3 other terms."""

CURRENT = "CURRENT"

KEPT = 2
"""Generations whose files stay on disk, so that a reader that is opening one is not surprised."""


@dataclass(frozen=True, slots=True)
class Generation:
    """One state of a library.

    number: counts from 0, an empty library; tables: the version of each Delta table; files: the sha256 of
    each data file of the tables; words: the folder of the word index; embedder, dimension: whose vectors
    these are; chunker: what cut the passages.
    """

    number: int
    created_at: datetime
    tables: Mapping[str, int]
    counts: Mapping[str, int]
    shards: tuple[Shard, ...]
    words: str
    embedder: str
    fingerprint: str
    dimension: int
    chunker: str
    files: Mapping[str, str] = field(default_factory=dict)
    format: int = FORMAT

    @property
    def name(self) -> str:
        """The file name of the manifest."""
        return f"generation-{self.number:08d}.json"


def exists(folder: Path) -> bool:
    """Whether there is a library in this folder, sound or not."""
    return (folder / CURRENT).is_file() or next_number(folder) > 1


def next_number(folder: Path) -> int:
    """A number above that of every manifest in the folder, readable or not."""
    return max((int(file.stem[-8:]) + 1 for file in _manifests(folder)), default=0)


def current_name(folder: Path) -> str:
    """The file name of the current manifest. Raises LibraryError when there is no library."""
    try:
        return (folder / CURRENT).read_text("utf-8").strip()
    except (FileNotFoundError, NotADirectoryError):
        if exists(folder):
            raise LibraryError(
                f"the library at {folder} has lost its file {CURRENT};"
                " `chaincite doctor --repair` writes it again"
            ) from None
        raise LibraryError(
            f"there is no library at {folder}; make one with `chaincite ingest papers PATH`, or choose"
            " another with --library DIR or CHAINCITE_LIBRARY"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise LibraryError(
            f"the file {CURRENT} of the library at {folder} cannot be read ({error});"
            " `chaincite doctor --repair` writes it again"
        ) from error


def current(folder: Path) -> Generation:
    """The generation that `CURRENT` names. Raises LibraryError when it is missing, damaged, or too new."""
    name = current_name(folder)
    try:
        return _parsed(json.loads((folder / name).read_text("utf-8")))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LibraryError(
            f"the manifest {name!r} of the library at {folder} cannot be read ({error});"
            " `chaincite doctor --repair` goes back to the newest one that can"
        ) from error


def all_readable(folder: Path) -> Iterator[Generation]:
    """Every generation whose manifest can be read, newest first."""
    for file in sorted(_manifests(folder), reverse=True):
        try:
            yield _parsed(json.loads(file.read_text("utf-8")))
        except (OSError, ValueError, KeyError, TypeError):
            continue


def publish(folder: Path, generation: Generation) -> None:
    """Makes this the current generation, in one step that cannot be half done."""
    body = {**asdict(generation), "created_at": generation.created_at.isoformat(), "format": FORMAT}
    _replace(folder / generation.name, json.dumps(body, indent=1) + "\n")
    _replace(folder / CURRENT, generation.name + "\n")


def orphans(folder: Path, kept: int = KEPT) -> list[Path]:
    """Index files and manifests that the newest `kept` generations do not name."""
    now = current(folder).number
    live = [found for found in all_readable(folder) if found.number <= now][:kept]
    stems = {shard.name for found in live for shard in found.shards}
    names = {f"{stem}{suffix}" for stem in stems for suffix in (".faiss", ".arrow")}
    names |= {found.words for found in live} | {found.name for found in live}
    there = [*folder.glob("shards/*"), *folder.glob("words/*"), *folder.glob("generation-*")]
    return sorted(path for path in there if path.name not in names)


def sweep(folder: Path, kept: int = KEPT) -> None:
    """Deletes the orphans. For the writer alone."""
    for path in orphans(folder, kept):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


@contextmanager
def writer_lock(folder: Path) -> Iterator[None]:
    """Holds the library's one writer's place; the operating system frees it when the process ends.

    Raises LibraryError when another process holds it, or the folder cannot be written to.
    """
    with _lock_file(folder) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.seek(0)
            holder = file.read().strip() or "unknown"
            raise LibraryError(
                f"another process (pid {holder}) is writing to the library at {folder}; one writer at a time"
                " is allowed: wait until it has ended, then try again"
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def _lock_file(folder: Path) -> TextIO:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return (folder / "writer.lock").open("a+")
    except OSError as error:
        raise LibraryError(
            f"the library cannot be written to {folder} ({error.strerror}); choose another folder with"
            " --library DIR or CHAINCITE_LIBRARY"
        ) from error


def _manifests(folder: Path) -> list[Path]:
    return [file for file in folder.glob("generation-*.json") if file.stem[-8:].isdigit()]


def _parsed(body: dict[str, Any]) -> Generation:
    if body["format"] > FORMAT:
        raise LibraryError(
            f"the library is of format {body['format']}, this chaincite reads up to {FORMAT}; upgrade"
            " chaincite with `pip install --upgrade chaincite`, or choose another library with --library DIR"
        )
    shards = tuple(Shard(**shard) for shard in body["shards"])
    return Generation(**{**body, "created_at": datetime.fromisoformat(body["created_at"]), "shards": shards})


def _replace(file: Path, text: str) -> None:
    scratch = file.with_suffix(".part")
    with scratch.open("w") as out:
        out.write(text)
        out.flush()
        os.fsync(out.fileno())
    scratch.replace(file)
    directory = os.open(file.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
