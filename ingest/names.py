"""Names of files as they are, which may be any bytes, and as people, tables and addresses can have them."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path
from urllib.parse import unquote_to_bytes


def shown(name: str) -> str:
    r"""A name as a person and a table can have it: bytes that are not UTF-8, and controls, are escaped.

    >>> shown(b"caf\xe9\n.md".decode(errors="surrogateescape"))
    'caf\\xe9\\n.md'
    """
    text = name.encode(errors="surrogateescape").decode(errors="backslashreplace")
    if text.isprintable():
        return text
    return "".join(repr(c)[1:-1] if unicodedata.category(c) == "Cc" else c for c in text)


def location_of(path: Path) -> str:
    """Where a file is read again: its path, or, where its name is not UTF-8, its file URI, which is exact."""
    text = str(path)
    try:
        text.encode()
    except UnicodeEncodeError:
        return path.as_uri()
    return text


def local_path(location: str) -> Path:
    """The file behind what `location_of` gave."""
    if not location.startswith("file://"):
        return Path(location)
    return Path(os.fsdecode(unquote_to_bytes(location.removeprefix("file://"))))
