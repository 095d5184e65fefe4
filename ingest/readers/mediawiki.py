"""MediaWiki, with the preamble of a BIP. Structure follows from lines, so that offsets are exact."""

from __future__ import annotations

import re
from collections.abc import Iterator

from index.values import Block, BlockKind
from ingest.readers.parsed import Parsed, lines_of, offsets_of, whole
from ingest.readers.preamble import facts_of, header_fields
from ingest.sources import Facts

_PREAMBLE = re.compile(r"<pre>\s*^([ \t]*BIP:(?:(?!<pre>).)*?)</pre>", re.DOTALL | re.MULTILINE)
_HEADING = re.compile(r"(={1,6})(?!=)([=\s]*+[^=\s].*)\1")
_COMMENT = re.compile(r"(?<==)\s*<!--")
_OPENED = re.compile(r"<(pre|source|syntaxhighlight|table)\b", re.IGNORECASE)
_CLOSED = re.compile(r"</(pre|source|syntaxhighlight|table)\s*>", re.IGNORECASE)
_MARKUP = re.compile(r"['\[{<&]")
_LONGEST_MARK = 1000
"""A longer line is taken for prose."""

_LONGEST_PREAMBLE = 20_000


def read_mediawiki(text: str, path: str) -> Parsed:
    """The structure of a MediaWiki text; the text stays as it is."""
    facts = Facts()
    preamble = _PREAMBLE.search(text, 0, _LONGEST_PREAMBLE)
    if preamble:
        facts = facts_of(header_fields(preamble[1]), path)
    blocks = whole(text, _blocks(text, preamble.span() if preamble else (0, 0)))
    title = next((block.title for block in blocks if block.kind == "heading"), None)
    return Parsed(text, blocks, facts.over(Facts(title=title)))


def _blocks(text: str, preamble: tuple[int, int]) -> Iterator[Block]:
    """Blocks line by line: a run of lines of one sort is a block, an opening runs to its closing."""
    lines = lines_of(text)
    offsets = offsets_of(lines)
    ends = _ends(lines)
    at = 0
    while at < len(lines):
        kind, until, level, title = _run(lines, at, ends)
        if offsets[at] < preamble[1] and offsets[until] > preamble[0]:
            kind = "preamble"
        if kind:
            yield Block(kind, offsets[at], offsets[until], level, title)
        at = until


def _run(lines: list[str], at: int, ends: dict[int, int]) -> tuple[BlockKind | None, int, int, str]:
    """The kind of the block that begins at a line (none for blank), the line after it, level, title."""
    line = lines[at]
    if heading := _heading(line):
        return "heading", at + 1, len(heading[1]), _plain(heading[2])
    if at in ends:
        table = line.lstrip().lower().startswith(("{|", "<table"))
        return "table" if table else "code", ends[at], 0, ""
    sort = _sort(line)
    until = at + 1
    while until < len(lines) and _sort(lines[until]) == sort:
        if until in ends or _heading(lines[until]):
            break
        until += 1
    return sort, until, 0, ""


def _heading(line: str) -> re.Match[str] | None:
    if not line.startswith("=") or len(line) > _LONGEST_MARK:
        return None
    line = line.rstrip()
    comment = _COMMENT.search(line) if line.endswith("-->") else None
    return _HEADING.fullmatch(line[: comment.start()] if comment else line)


def _sort(line: str) -> BlockKind | None:
    if not line.strip():
        return None
    if line[0] in "*#:;":
        return "list"
    return "code" if line[0] in " \t" else "paragraph"


def _ends(lines: list[str]) -> dict[int, int]:
    """For each line that opens a table or code, the line after the one that closes it."""
    ends: dict[int, int] = {}
    opened: list[tuple[int, str]] = []
    for at, line in enumerate(lines):
        if opened and opened[-1][1] in line.lower():
            ends[opened.pop()[0]] = at + 1
            continue
        closing = _closing(line) if len(line) <= _LONGEST_MARK else ""
        if closing and (not opened or opened[-1][1] == "|}"):
            opened.append((at, closing))
    return ends


def _closing(line: str) -> str:
    """What closes the table or code that a line opens and does not close; nothing where it opens none."""
    begun = line.lstrip()
    if begun.startswith(("{|", "```")):
        return "|}" if begun[0] == "{" else "```"
    closed = {mark[1].lower(): mark.start() for mark in _CLOSED.finditer(line)}
    opened = ((mark[1].lower(), mark.end()) for mark in _OPENED.finditer(line))
    return next((f"</{tag}" for tag, end in opened if closed.get(tag, -1) < end), "")


def _plain(title: str) -> str:
    """The words of a heading without its marks."""
    if not _MARKUP.search(title):
        return " ".join(title.split())
    import mwparserfromhell

    return " ".join(str(mwparserfromhell.parse(title).strip_code()).split())
