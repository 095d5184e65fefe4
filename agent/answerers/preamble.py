"""The header lines of a proposal, YAML front matter or a BIP's preamble, each with its place."""

from __future__ import annotations

import re
from dataclasses import dataclass

_OPENING = re.compile(r"\A\s*---[^\n]*\n|^[ \t]*(?:<pre>|```)[ \t]*\n(?=[ \t]*BIP:)", re.MULTILINE)
_CLOSING = re.compile(r"^[ \t]*(?:---|</pre>|```)[ \t]*$", re.MULTILINE)
_FIELD = re.compile(r"[ \t]*([A-Za-z][\w-]*):[ \t]*+(.*)")


@dataclass(frozen=True, slots=True)
class HeaderLine:
    """A header field: its value as it is written, further lines included, and its span in the text."""

    value: str
    start: int
    end: int


def header_lines(text: str) -> dict[str, HeaderLine]:
    r"""The fields of the header of a text, by lower-case key; none where there is no header.

    >>> lines = header_lines("---\neip: 7\nauthor: Ann,\n  Ben\nstatus: Final\n---\n\n# Text\nnot: this\n")
    >>> list(lines), lines["author"].value
    (['eip', 'author', 'status'], 'Ann,\nBen')
    """
    opening = _OPENING.search(text)
    found: dict[str, HeaderLine] = {}
    if opening is None:
        return found
    key, depth, at = "", 0, opening.end()
    closing = _CLOSING.search(text, at)
    for line in text[at : closing.start() if closing else None].splitlines(keepends=True):
        bare = line.rstrip()
        indent = len(bare) - len(bare.lstrip())
        field = _FIELD.fullmatch(bare)
        if field and (not key or indent <= depth):
            key, depth = field[1].lower(), indent
            found[key] = HeaderLine(_unquoted(field[2]), at + indent, at + len(bare))
        elif key and bare.strip():
            before = found[key]
            found[key] = HeaderLine(f"{before.value}\n{bare.strip()}".strip(), before.start, at + len(bare))
        at += len(line)
    return found


def is_whole(text: str) -> bool:
    """Whether a text has a header with its end."""
    opening = _OPENING.search(text)
    return opening is not None and _CLOSING.search(text, opening.end()) is not None


def _unquoted(value: str) -> str:
    return value[1:-1] if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'" else value
