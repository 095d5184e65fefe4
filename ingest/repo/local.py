"""A repository on this machine, read without its configuration.

A folder that somebody else packed may hold a configuration that runs programs, reaches the network, or
borrows the objects of other repositories. So git is given a folder of ours that links to what is data: the
objects, the references and the file `shallow`. Hooks, attributes, grafts and every key stay unread, but for
the few keys below, and these are read as those of any file.
"""

from __future__ import annotations

import os
import re
from itertools import chain
from pathlib import Path

from index.errors import SourceError
from ingest.repo.git import Git
from ingest.sources import Limits

_DATA = ("objects", "refs", "packed-refs", "reftable", "shallow")
_HEAD = re.compile(r"(ref:\s*refs/\S+|[0-9a-f]{40,64})")
_KEYS = r"^(core\.worktree|extensions\.(objectformat|refstorage)|remote\.origin\.url)$"
_CONFIG = "[core]\nrepositoryFormatVersion = 1\nbare = true\ncommitGraph = false\n[extensions]\n"
_SHORT = 4096
"""Bytes that are read of a file that holds one line."""


def linked(folder: Path, here: Path, limits: Limits) -> tuple[Git, str]:
    """The repository in a folder, and the URL that it says it was cloned from, empty if none.

    here: an empty folder, for the links. Raises SourceError where the folder is no repository, stands within
    one, leads to one elsewhere, or takes objects from elsewhere.
    """
    git = Git(here, limits)
    try:
        return git, _link(Path(os.path.realpath(folder)), git)
    except OSError as error:
        raise SourceError(
            f"cannot be read ({error.strerror}: {error.filename}); check its permissions"
        ) from None


def _link(folder: Path, git: Git) -> str:
    place, common = _places(folder, git)
    head = _line(place / "HEAD")
    if not (_HEAD.fullmatch(head) and _looks_like_one(common)):
        raise _none(folder)
    _check(common)
    stated = _stated(common, git)
    formats = "".join(
        f"{key} = {stated[f'extensions.{key}']}\n"
        for key in ("objectformat", "refstorage")
        if stated.get(f"extensions.{key}", "").isalnum()
    )
    (git.folder / "HEAD").write_text(f"{head}\n")
    (git.folder / "config").write_text(_CONFIG + formats)
    for name in _DATA:
        if (common / name).is_file() or (common / name).is_dir():
            (git.folder / name).symlink_to(common / name)
    return stated.get("remote.origin.url", "")


def _places(folder: Path, git: Git) -> tuple[Path, Path]:
    """Where the HEAD of a repository is, and where its objects are: of a linked work tree these are two.

    What leads out of the folder is followed where the other side leads back: it is not an archive's to say.
    """
    named = folder / ".git"
    if not os.path.lexists(named):
        return folder, folder
    leads = _line(named).removeprefix("gitdir:").strip() if named.is_file() else named
    place = Path(os.path.realpath(folder / leads))
    if place.is_relative_to(folder):
        return place, place
    if _leads(place, _line(place / "gitdir")) == named:
        return place, place.parent.parent
    if _leads(place, _stated(place, git).get("core.worktree", "")) == folder:
        return place, place
    raise SourceError(
        f"{named} leads to {place}, which does not lead back; give that folder itself if it is meant"
    )


def _leads(place: Path, path: str) -> Path:
    return Path(os.path.realpath(place / path))


def _none(folder: Path) -> SourceError:
    for above in folder.parents:
        if (above / ".git").exists() or _looks_like_one(above):
            inner = folder.relative_to(above).as_posix()
            return SourceError(
                f"{folder} is a folder of a repository; give the repository, with --include '/{inner}/'"
            )
    return SourceError(f"{folder} is no git repository; give one, or use `chaincite ingest papers`")


def _looks_like_one(place: Path) -> bool:
    return (place / "HEAD").is_file() and (place / "objects").is_dir() and (place / "refs").is_dir()


def _check(common: Path) -> None:
    """Raises SourceError where what is read of a repository would come from elsewhere."""
    objects = common / "objects"
    for name in ("alternates", "http-alternates"):
        if os.path.lexists(file := objects / "info" / name):
            raise SourceError(
                f"borrows objects of another repository, named in {file}; give that one,"
                " or a clone that is whole, made with --dissociate"
            )
    parts = (common / name for name in _DATA)
    for path in chain(parts, objects.glob("*"), objects.glob("*/*"), (common / "refs").rglob("*")):
        if path.is_symlink():
            raise SourceError(f"holds what is elsewhere: {path} is a link; give a clone of the repository")


def _stated(place: Path, git: Git) -> dict[str, str]:
    """What a configuration says of the few keys that are read of it, without what it includes."""
    file = place / "config"
    if not file.is_file():
        return {}
    try:
        out = git.run("config", "--file", str(file), "--no-includes", "-z", "--get-regexp", _KEYS)
    except SourceError:
        return {}
    rows = (row.partition("\n") for row in out.decode(errors="replace").split("\0"))
    return {key: value for key, _, value in rows if key}


def _line(file: Path) -> str:
    """The one line of a small file, empty where there is none."""
    if not file.is_file():
        return ""
    with file.open(encoding="utf-8", errors="replace") as text:
        return text.read(_SHORT).strip().partition("\0")[0]
