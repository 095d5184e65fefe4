"""Markdown, with YAML or TOML front matter or the fenced preamble of a BIP."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from functools import cache
from typing import TYPE_CHECKING

from index.values import Block, BlockKind
from ingest.readers.parsed import Parsed, lines_of, offsets_of, whole
from ingest.readers.preamble import facts_of, header_fields, is_front_matter, toml_fields, yaml_fields
from ingest.sources import Facts

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

_FRONT_MATTER = re.compile(r"---[ \t]*\r?\n(.*?)^(?:---|\.\.\.)[ \t]*(?:\r?\n|\Z)", re.DOTALL | re.MULTILINE)
_TOML = re.compile(r"\+\+\+[ \t]*\r?\n(.*?)^\+\+\+[ \t]*(?:\r?\n|\Z)", re.DOTALL | re.MULTILINE)
_FENCED = re.compile(r"\s*```[^\n`]*\n(\s*BIP:.*?)^[^\S\n]*```[ \t]*(?:\r?\n|\Z)", re.DOTALL | re.MULTILINE)
_LONGEST_TITLE = 1000
_WINDOW = 5000
"""Lines that are parsed at a time."""

_KINDS: dict[str, BlockKind] = {
    "paragraph_open": "paragraph",
    "blockquote_open": "paragraph",
    "bullet_list_open": "list",
    "ordered_list_open": "list",
    "table_open": "table",
    "fence": "code",
    "code_block": "code",
}


def read_markdown(text: str, path: str) -> Parsed:
    """The structure of a Markdown text; the text stays as it is."""
    facts, start = _preamble(text, path)
    preamble = [Block("preamble", 0, start)] if start else []
    blocks = whole(text, [*preamble, *_blocks(text, start)])
    headings = [block for block in blocks if block.kind == "heading"]
    title = next((block.title for block in sorted(headings, key=lambda block: block.level)), None)
    return Parsed(text, blocks, facts.over(Facts(title=title)))


def _preamble(text: str, path: str) -> tuple[Facts, int]:
    if (match := _FRONT_MATTER.match(text)) and is_front_matter(match[1]):
        return facts_of(yaml_fields(match[1]), path), match.end()
    if (match := _TOML.match(text)) and (fields := toml_fields(match[1])):
        return facts_of(fields, path), match.end()
    if match := _FENCED.match(text):
        return facts_of(header_fields(match[1]), path), match.end()
    return Facts(), 0


def _blocks(text: str, start: int) -> Iterator[Block]:
    """The blocks of `text[start:]`, parsed a window of lines at a time to keep memory flat.

    The last block of a window may go on, so the next window begins with it again. A block that fills a
    window is cut there, unless it is code, whose end must be found.
    """
    offsets = offsets_of(lines_of(text, start), start)
    at, size, lines = 0, _WINDOW, len(offsets) - 1
    while at < lines:
        until = min(at + size, lines)
        blocks = list(_parsed(text, offsets[at : until + 1]))
        fills = len(blocks) == 1 and blocks[0].end == offsets[until]
        if until < lines and fills and blocks[0].kind == "code":
            size *= 2
        elif until == lines or fills or not blocks:
            yield from blocks
            at, size = until, _WINDOW
        else:
            yield from blocks[:-1]
            at, size = bisect_left(offsets, blocks[-1].start, at), _WINDOW if len(blocks) > 1 else 2 * size


def _parsed(text: str, offsets: Sequence[int]) -> Iterator[Block]:
    """The blocks of the lines that begin at these offsets; the last offset is where the last line ends."""
    depth = 0
    tokens = _parser().parse(text[offsets[0] : offsets[-1]])
    for token, following in zip(tokens, [*tokens[1:], None], strict=False):
        if depth == 0 and token.map:
            start, end = offsets[token.map[0]], offsets[token.map[1]]
            block = _block(token, following, text[start:end], start)
            if block:
                yield block
        depth += token.nesting


def _block(token: Token, following: Token | None, source: str, start: int) -> Block | None:
    end = start + len(source)
    if token.type == "heading_open":
        title = _plain(following.content) if following else ""
        return Block("heading", start, end, int(token.tag[1]), title) if title else None
    if token.type == "html_block":
        return Block(_html_kind(token.content), start, end)
    kind = _KINDS.get(token.type)
    header = source.partition("\n")[0].strip() if kind == "table" else ""
    return Block(kind, start, end, title=header) if kind else None


def _html_kind(content: str) -> BlockKind:
    head = content.lstrip()[:20].lower()
    if head.startswith(("<pre", "<code")):
        return "code"
    return "table" if head.startswith("<table") else "paragraph"


def _plain(content: str) -> str:
    """The words of inline Markdown without its marks."""
    if len(content) > _LONGEST_TITLE or not re.search(r"[*_`\[<&\\~]", content):
        return " ".join(content[:_LONGEST_TITLE].split())
    children = _inline_parser().parseInline(content)[0].children or []
    words = (child for child in children if child.type != "html_inline")
    return " ".join("".join(" " if word.type.endswith("break") else word.content for word in words).split())


@cache
def _parser() -> MarkdownIt:
    from markdown_it import MarkdownIt

    return MarkdownIt("commonmark").enable("table").disable("inline")


@cache
def _inline_parser() -> MarkdownIt:
    from markdown_it import MarkdownIt

    return MarkdownIt("commonmark")
