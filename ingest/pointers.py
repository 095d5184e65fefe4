"""Files whose content is kept elsewhere by a program, which leaves a pointer in their place."""

from __future__ import annotations

import re
from typing import NamedTuple

from index.errors import SourceError


class Keeper(NamedTuple):
    """A program that keeps files. command: what brings their content."""

    name: str
    command: str


_LONGEST = 1024
"""Bytes of a pointer, at most (Git LFS specification, "The Pointer")."""

_POINTERS = (
    (
        re.compile(rb"\s*version https?://(?:git-lfs\.github\.com|hawser\.github\.com)/spec/"),
        Keeper("Git LFS", "git lfs pull"),
    ),
    (re.compile(rb"\s*/annex/objects/\S+\s*"), Keeper("git-annex", "git annex get")),
)


def refuse_pointer(body: bytes) -> None:
    """Raises SourceError for the bytes of a pointer."""
    if keeper := keeper_of(body):
        raise SourceError(f"is a pointer of {keeper.name}, not the file; run `{keeper.command}` in its clone")


def keeper_of(body: bytes) -> Keeper | None:
    r"""Whose pointer the bytes of a file are; None where they are its content.

    >>> keeper_of(b"version https://git-lfs.github.com/spec/v1\noid sha256:00\\nsize 9\n")
    Keeper(name='Git LFS', command='git lfs pull')
    """
    if len(body) > _LONGEST:
        return None
    return next((keeper for pointer, keeper in _POINTERS if pointer.match(body)), None)
