"""Zip archives, as such and as the body of other formats: opened within limits, read member by member."""

from __future__ import annotations

import io
import zipfile
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
    """A zip archive whose members are of bearable size.

    Raises SourceError, which names the member, for one that is not; and for bytes that are no archive.
    """

    def __init__(self, body: bytes, limits: Limits) -> None:
        try:
            self._zip = zipfile.ZipFile(io.BytesIO(body))
        except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError):
            raise SourceError("is a broken archive; get the file again") from None
        self._limit = limits.text_bytes
        self.members = [info for info in self._zip.infolist() if not info.is_dir()]
        if len(self.members) > _MOST_MEMBERS:
            raise SourceError(f"has {len(self.members)} members, {_MOST_MEMBERS} are allowed; split it")
        total = 0
        for member in self.members:
            total += member.file_size
            self._check(member, total)

    def _check(self, member: zipfile.ZipInfo, total: int) -> None:
        size, packed = member.file_size, max(member.compress_size, 1)
        if size > _TRIFLE and size > _RATIO * packed:
            raise SourceError(
                f"holds {member.filename!r}, which unpacks to {size / packed:.0f} times its size; {_RATIO}"
                " times are allowed: unpack it yourself if you trust it"
            )
        if total > self._limit:
            raise SourceError(
                f"unpacks to over {self._limit / 2**20:.0f} MiB with {member.filename!r}; split it, or raise"
                " text_max_bytes"
            )

    def names(self) -> list[str]:
        """The names of the members, in their order."""
        return [member.filename for member in self.members]

    def read(self, name: str) -> bytes:
        """The bytes of a member. Raises SourceError, which names it, where it cannot be read."""
        try:
            return self._zip.read(name)
        except KeyError:
            raise SourceError(f"lacks {name!r}; get the file again") from None
        except RuntimeError:
            raise SourceError(f"{name!r} is protected by a password; take the protection off") from None
        except (zipfile.BadZipFile, NotImplementedError, OSError, EOFError, ValueError) as error:
            raise SourceError(f"{name!r} cannot be unpacked ({error}); get the file again") from None


def read_zip(body: bytes, limits: Limits, reader: Reader) -> Parsed:
    """The readable members of an archive as one text, each under its name; the others are named as left out.

    reader: what reads the bytes of a member by its name. Raises SourceError where none can be read.
    """
    archive = Archive(body, limits)
    text, blocks, warnings = "", list[Block](), list[str]()
    for name in sorted(archive.names()):
        if "." + name.rpartition(".")[2].lower() not in FORMATS or name.lower().endswith(".zip"):
            warnings.append(f"{name!r} left out: of a format that is not read")
            continue
        try:
            parsed = reader(archive.read(name), name)
        except SourceError as error:
            warnings.append(f"{name!r} left out: {error}")
            continue
        warnings += [f"{name!r}: {warning}" for warning in parsed.warnings]
        head = f"{name}\n\n"
        blocks.append(Block("heading", len(text), len(text) + len(name), 1, name))
        blocks += _under(parsed, len(text) + len(head))
        text += f"{head}{parsed.text.rstrip()}\n\n"
    if not text:
        raise SourceError(f"is an archive without a file to read; readable are {' '.join(FORMATS)}")
    return Parsed(text, tuple(blocks), warnings=tuple(warnings))


def _under(parsed: Parsed, at: int) -> Iterator[Block]:
    """The blocks of a member, moved to where its text stands, headings one level down."""
    for block in parsed.blocks:
        level = min(block.level + 1, 6) if block.kind == "heading" else block.level
        yield replace(block, start=block.start + at, end=block.end + at, level=level)
