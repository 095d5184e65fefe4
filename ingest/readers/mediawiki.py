"""MediaWiki, with the preamble of a BIP. Structure follows from lines, so that offsets are exact."""

from __future__ import annotations

import re
from collections.abc import Iterator

from index.values import Block, BlockKind
from ingest.readers.parsed import Parsed, lines_of, offsets_of, whole
from ingest.readers.preamble import facts_of, header_fields
from ingest.sources import Facts

_PREAMBLE = re.compile(r"<pre>\s*^([ \t]*BIP:.*?)</pre>", re.DOTALL | re.MULTILINE)
_HEADING = re.compile(r"(={1,6})(?!=)\s*(.*?[^=\s].*?)\s*\1\s*(?:<!--.*-->)?\s*")
_OPENING = re.compile(r"\s*(?:(\{\|)|(```)|[^<]*<(pre|source|syntaxhighlight|table)\b(?!.*</\3\s*>))", re.IGNORECASE)
_MARKUP = re.compile(r"['\[{<&]")


def read_mediawiki(text: str, path: str) -> Parsed:
    """The structure of a MediaWiki text; the text stays as it is."""
    facts = Facts()
    preamble = _PREAMBLE.search(text)
    if preamble:
        facts = facts_of(header_fields(preamble[1]), path)
    blocks = whole(text, _blocks(text, preamble.span() if preamble else (0, 0)))
    title = next((block.title for block in blocks if block.kind == "heading"), None)
    return Parsed(text, blocks, facts.over(Facts(title=title)))


def _blocks(text: str, preamble: tuple[int, int]) -> Iterator[Block]:
    """Blocks line by line: a run of lines of one sort is a block, an opening runs to its closing."""
    lines = lines_of(text)
    offsets = offsets_of(lines)
    at = 0
    while at < len(lines):
        kind, until, level, title = _run(lines, at)
        if offsets[at] < preamble[1] and offsets[until] > preamble[0]:
            kind = "preamble"
        if kind:
            yield Block(kind, offsets[at], offsets[until], level, title)
        at = until


def _run(lines: list[str], at: int) -> tuple[BlockKind | None, int, int, str]:
    """The kind of the block that begins at a line (none for blank), the line after it, level, title."""
    line = lines[at]
    if heading := _HEADING.fullmatch(line):
        return "heading", at + 1, len(heading[1]), _plain(heading[2])
    if until := _closing(lines, at):
        table = line.lstrip().lower().startswith(("{|", "<table"))
        return "table" if table else "code", until, 0, ""
    sort = _sort(line)
    until = at + 1
    while until < len(lines) and _sort(lines[until]) == sort and not _begins(lines[until]):
        until += 1
    return sort, until, 0, ""


def _begins(line: str) -> bool:
    return bool(_HEADING.fullmatch(line) or _OPENING.match(line))


def _sort(line: str) -> BlockKind | None:
    if not line.strip():
        return None
    if line[0] in "*#:;":
        return "list"
    return "code" if line[0] in " \t" else "paragraph"


def _closing(lines: list[str], at: int) -> int:
    """The line after the end of the table or code that opens in a line; 0 where none opens or none ends."""
    opening = _OPENING.match(lines[at])
    if not opening:
        return 0
    table, fence, tag = opening.groups()
    if table:
        close, reopen = re.compile(r"\s*\|\}"), re.compile(r"\s*\{\|")
    else:
        close, reopen = re.compile(r"\s*```\s*$" if fence else rf".*</{tag}\s*>", re.IGNORECASE), None
    depth = 1
    for until in range(at + 1, len(lines)):
        depth += bool(reopen and reopen.match(lines[until])) - bool(close.match(lines[until]))
        if depth == 0:
            return until + 1
    return 0


def _plain(title: str) -> str:
    """The words of a heading without its marks."""
    if not _MARKUP.search(title):
        return " ".join(title.split())
    import mwparserfromhell

    return " ".join(str(mwparserfromhell.parse(title).strip_code()).split())
