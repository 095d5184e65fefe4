"""reStructuredText and Org: their structure located by rule; the text stays as it is, line for line."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

from index.values import Block, BlockKind
from ingest.readers.parsed import Parsed, lines_of, offsets_of, whole
from ingest.readers.preamble import day_of, names
from ingest.sources import Facts

_UNDERLINE = re.compile(r"([!-/:-@\[-`{-~])\1{1,}\s*")
_FIELD = re.compile(r":([A-Za-z][\w -]*):[ \t]+(\S.*)")
_RST_TABLE = re.compile(r"\s*(?:\+[-=+]+\+|\||=+(?: +=+)+)\s*")
_RST_LIST = re.compile(r"\s*(?:[-*+•]|(?:\d+|[a-zA-Z#])[.)]|\((?:\d+|[a-zA-Z])\))\s+\S")
_CODE_DIRECTIVE = re.compile(r"\s*\.\.\s+(?:code(?:-block)?|sourcecode|parsed-literal|math|highlight)::")
_COMMENT = re.compile(r"\.\.(?:\s+_[^:]+:.*|\s+(?![\w-]+::).*|\s*)")
_ROLE = re.compile(
    r"(?<![\w:+-]):[\w:+-]++(?<=:)`([^`<]*+)(?:<[^`>]*+>)?+`|`{1,2}+([^`<]*+)(?:<[^`>]*+>)?+`{1,2}+_{0,2}"
)
_ORG_HEADING = re.compile(r"(\*++)[ \t]++(?:(?:TODO|DONE|NEXT|WAITING)[ \t]++)?+(?:\[#\w\][ \t]++)?+(.*)")
_ORG_KEYWORD = re.compile(r"#\+(\w++):[ \t]*+(.*)", re.IGNORECASE)
_ORG_LIST = re.compile(r"\s*(?:[-+]|\d+[.)])\s+\S|\s+\*\s+\S")
_Found = tuple[BlockKind | None, int, int, str]
"""The kind of a block (None for what is blank), the line after it, its level, its title."""


def read_rst(text: str) -> Parsed:
    """The structure of a reStructuredText."""
    lines = lines_of(text)
    levels: list[str] = []
    fields = dict[str, str]()
    blocks = list(_located(lines, lambda at: _rst(lines, at, levels)))
    for line in lines[:60]:
        if match := _FIELD.fullmatch(line.strip()):
            fields[match[1].lower()] = match[2]
    return _parsed(text, blocks, fields)


def read_org(text: str) -> Parsed:
    """The structure of an Org file."""
    lines = lines_of(text)
    keywords = (_ORG_KEYWORD.fullmatch(line.strip()) for line in lines)
    fields = {match[1].lower(): match[2] for match in keywords if match}
    return _parsed(text, list(_located(lines, lambda at: _org(lines, at))), fields)


def _parsed(text: str, blocks: Sequence[Block], fields: dict[str, str]) -> Parsed:
    headings = [block for block in blocks if block.kind == "heading"]
    first = min(headings, key=lambda block: block.level, default=None)
    facts = Facts(
        title=fields.get("title") or (first.title if first else None),
        authors=names(fields.get("author") or fields.get("authors", "")),
        published_at=day_of(fields.get("date", "").strip("<>[]")),
    )
    return Parsed(text, whole(text, blocks), facts)


def _located(lines: Sequence[str], block_at: Callable[[int], _Found]) -> Iterator[Block]:
    offsets = offsets_of(lines)
    at = 0
    while at < len(lines):
        kind, until, level, title = block_at(at)
        if kind:
            yield Block(kind, offsets[at], offsets[until], level, title)
        at = until


def _rst(lines: Sequence[str], at: int, levels: list[str]) -> _Found:
    line = lines[at]
    if not line.strip():
        return None, at + 1, 0, ""
    if heading := _rst_heading(lines, at):
        mark, until, title = heading
        if mark not in levels:
            levels.append(mark)
        return (
            "heading",
            until,
            min(levels.index(mark) + 1, 6),
            _ROLE.sub(lambda m: m[1] or m[2] or "", title),
        )
    if _RST_TABLE.match(line) and not line.lstrip().startswith("|  "):
        return _table(lines, at)
    if _CODE_DIRECTIVE.match(line):
        return "code", _indented(lines, at + 1), 0, ""
    if line.startswith("..") and _COMMENT.fullmatch(line.rstrip()):
        return "preamble", at + 1, 0, ""
    until = _run(lines, at + 1)
    if lines[until - 1].rstrip().endswith("::") and until < len(lines):
        return "paragraph", until, 0, ""
    indented = line[:1].isspace() and at > 1 and lines[at - 2].rstrip().endswith("::")
    kind: BlockKind = "code" if indented else "list" if _RST_LIST.match(line) else "paragraph"
    return kind, _indented(lines, at) if indented else until, 0, ""


def _rst_heading(lines: Sequence[str], at: int) -> tuple[str, int, str] | None:
    """The mark of a heading, the line after it, and its words; with a line above and below, or only below."""
    over = _UNDERLINE.fullmatch(lines[at])
    if over and at + 2 < len(lines) and lines[at + 2].strip() == lines[at].strip() and lines[at + 1].strip():
        return over[1] * 2, at + 3, lines[at + 1].strip()
    if at + 1 >= len(lines) or over or lines[at][:1].isspace():
        return None
    under = _UNDERLINE.fullmatch(lines[at + 1])
    long_enough = under and len(lines[at + 1].strip()) >= min(len(lines[at].strip()), 4)
    return (under[1], at + 2, lines[at].strip()) if under and long_enough else None


def _table(lines: Sequence[str], at: int) -> _Found:
    """A table by its borders, up to a blank line; its header is the first row that is none of them."""
    simple = lines[at].lstrip().startswith("=")
    until, borders = at + 1, 1
    while until < len(lines) and (lines[until].strip() or (simple and borders < 3)):
        borders += simple and bool(re.fullmatch(r"\s*=+(?: +=+)+\s*", lines[until]))
        until += 1
        if simple and borders == 3:
            break
    header = next((line for line in lines[at:until] if re.search(r"\w", line)), "")
    return "table", until, 0, header.strip()


def _indented(lines: Sequence[str], at: int) -> int:
    """The line after those that are indented or blank from `at` on."""
    while at < len(lines) and (not lines[at].strip() or lines[at][:1].isspace()):
        at += 1
    return at


def _run(lines: Sequence[str], at: int) -> int:
    while at < len(lines) and lines[at].strip() and not _rst_heading(lines, at):
        at += 1
    return at


def _org_title(text: str) -> str:
    """A heading without its tags, as in `Fees  :draft:gas:`."""
    *words, last = text.rsplit(None, 1) or [""]
    return " ".join(words) if re.fullmatch(r":[\w@:]++(?<=:)", last) else text.strip()


def _org_end(line: str) -> str | None:
    """The name of the block that a line ends."""
    ended = re.match(r"\s*#\+end_(\w+)", line, re.IGNORECASE)
    return ended[1].lower() if ended else None


def _org(lines: Sequence[str], at: int) -> _Found:
    line = lines[at]
    if not line.strip():
        return None, at + 1, 0, ""
    if heading := _ORG_HEADING.fullmatch(line.rstrip("\r\n")):
        return "heading", at + 1, min(len(heading[1]), 6), _org_title(heading[2])
    if begun := re.match(r"\s*#\+begin_(\w+)", line, re.IGNORECASE):
        name = begun[1].lower()
        until = next((i for i in range(at + 1, len(lines)) if _org_end(lines[i]) == name), at)
        kind: BlockKind = "code" if name in ("src", "example", "export") else "paragraph"
        return kind, until + 1, 0, ""
    if re.match(r"\s*:\w+:\s*$", line):
        until = next((i for i in range(at, len(lines)) if re.match(r"\s*:END:", lines[i], re.IGNORECASE)), at)
        return "preamble", until + 1, 0, ""
    sort = _org_sort(line)
    until = at + 1
    while until < len(lines) and lines[until].strip() and _org_sort(lines[until]) in (sort, "paragraph"):
        if sort != "paragraph" and sort != "list" and _org_sort(lines[until]) != sort:
            break
        if _ORG_HEADING.fullmatch(lines[until].rstrip("\r\n")):
            break
        until += 1
    return sort, until, 0, line.strip() if sort == "table" else ""


def _org_sort(line: str) -> BlockKind:
    if line.lstrip().startswith("|"):
        return "table"
    if _ORG_KEYWORD.fullmatch(line.strip()) or line.startswith("# "):
        return "preamble"
    return "list" if _ORG_LIST.match(line) else "paragraph"
