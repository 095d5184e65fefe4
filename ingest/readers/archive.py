"""Zip archives, as such and as the body of other formats: opened within limits, read member by member."""

from __future__ import annotations

import io
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace

from index.errors import SourceError
from index.values import Block
from ingest.readers.parsed import Parsed
from ingest.sources import FORMATS, Limits

_MOST_MEMBERS = 10_000
_RATIO = 200
"""How many times its packed size a member may have."""

_TRIFLE = 1 << 20
"""Bytes below which a member may be packed as well as it can."""

Reader = Callable[[bytes, str], Parsed]


class Archive:
    """A zip archive, whose members are read only where they and all that was read are of bearable size.

    Raises SourceError for bytes that are no archive.
    """

    def __init__(self, body: bytes, limits: Limits) -> None:
        try:
            self._zip = zipfile.ZipFile(io.BytesIO(body))
        except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError):
            raise SourceError("is a broken archive; get the file again") from None
        self._limit = limits.text_bytes
        self._read = 0
        self._members = {info.filename: info for info in self._zip.infolist() if not info.is_dir()}
        if len(self._members) > _MOST_MEMBERS:
            raise SourceError(f"has {len(self._members)} members, {_MOST_MEMBERS} are allowed; split it")

    def check(self) -> None:
        """Raises SourceError, which names a member, where all of them together are too much to unpack."""
        for name in self._members:
            self._take(name)
        self._read = 0

    def _take(self, name: str) -> None:
        """Counts a member as read. Raises SourceError where it may not be."""
        size, packed = self._members[name].file_size, max(self._members[name].compress_size, 1)
        if size > _TRIFLE and size > _RATIO * packed:
            raise SourceError(
                f"{name!r} unpacks to {size / packed:.0f} times its size, {_RATIO} times are allowed; unpack"
                " it yourself if you trust it"
            )
        if self._read + size > self._limit:
            raise SourceError(
                f"{name!r} unpacks to {size / 2**20:.0f} MiB, which is over the limit of"
                f" {self._limit / 2**20:.0f} MiB for a whole archive; split it, or raise text_max_bytes"
            )
        self._read += size

    def names(self) -> list[str]:
        """The names of the members, in their order."""
        return list(self._members)

    def read(self, name: str) -> bytes:
        """The bytes of a member. Raises SourceError, which names it, where it cannot be read."""
        if name not in self._members:
            raise SourceError(f"lacks {name!r}; get the file again")
        self._take(name)
        try:
            return self._zip.read(name)
        except RuntimeError:
            raise SourceError(f"{name!r} is protected by a password; take the protection off") from None
        except (zipfile.BadZipFile, NotImplementedError, OSError, EOFError, ValueError) as error:
            raise SourceError(f"{name!r} cannot be unpacked ({error}); get the file again") from None


def read_zip(body: bytes, limits: Limits, reader: Reader) -> Parsed:
    """The readable members of an archive as one text, each under its name; the others are named as left out.

    reader: what reads the bytes of a member by its name. Raises SourceError where none can be read.
    """
    archive = Archive(body, limits)
    text, blocks, warnings, lost = "", list[Block](), list[str](), Counter[str]()
    for name in sorted(archive.names()):
        if "." + name.rpartition(".")[2].lower() not in FORMATS:
            warnings.append(f"{name!r} is of a format that is not read; it is left out")
            lost["members of an archive"] += 1
            continue
        try:
            parsed = reader(archive.read(name), name)
        except SourceError as error:
            said = str(error)
            warnings.append(f"{said if name in said else f'{name!r} {said}'}; it is left out")
            lost["members of an archive"] += 1
            continue
        lost.update(dict(parsed.lost))
        warnings += [f"{name!r}: {warning}" for warning in parsed.warnings]
        head = f"{name}\n\n"
        blocks.append(Block("heading", len(text), len(text) + len(name), 1, name))
        blocks += _under(parsed, len(text) + len(head))
        text += f"{head}{parsed.text.rstrip()}\n\n"
    if not text:
        why = f": {warnings[0]}" if warnings else f"; readable are {' '.join(FORMATS)}"
        raise SourceError(f"is an archive without a file that can be read{why}")
    return Parsed(text, tuple(blocks), warnings=tuple(warnings), lost=tuple(lost.items()))


def _under(parsed: Parsed, at: int) -> Iterator[Block]:
    """The blocks of a member, moved to where its text stands, headings one level down."""
    for block in parsed.blocks:
        level = min(block.level + 1, 6) if block.kind == "heading" else block.level
        yield replace(block, start=block.start + at, end=block.end + at, level=level)
