"""A topic of a forum as a document: a section for each post, under its author, day and number."""

from __future__ import annotations

import hashlib
import html
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from html.parser import HTMLParser

from index.errors import SourceError
from index.values import Block, Document, Kind, Reading
from ingest.forum.discourse import Post, Topic
from ingest.forum.options import LOCATION
from ingest.readers.html import read_html
from ingest.readers.markdown import read_markdown
from ingest.sources import Limits, check_size

_WRITTEN = (1, 2)
"""Kinds of posts that somebody wrote; the others say that a topic was closed, moved and the like."""

_VOID = {"area", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}
_FENCE = re.compile(r"\s{0,3}(`{3,}|~{3,})")
_TAGGED = re.compile(r"(\[quote(?:=[^\]]*)?\])?(.*?)(\[/quote\])?", re.IGNORECASE)
_OPENED = re.compile(r"\[quote(?:=\"?([^\]\"]*)\"?)?\]", re.IGNORECASE)
_POLL = re.compile(r"^\[poll\b.*?^\[/poll\][ \t]*$", re.DOTALL | re.MULTILINE)
_IMAGE = re.compile(r"!\[(?:(?!!\[)[^\]\n])*\]\((?:(?!!\[)[^)\n])*\)|<img\b(?:(?!<img\b)[^>\n])*>")
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


def location(root: str, topic: int) -> str:
    """Where a topic is read again, whatever its title becomes."""
    return f"{LOCATION}{root}/t/{topic}"


def read_topic(
    root: str, topic: Topic, category: str | None, now: datetime, limits: Limits = Limits()
) -> Reading:
    """A topic as a document.

    root: the forum's address; now: when it was read. Quotations of posts are replaced by a line that names
    the post, where the words stand under their author. Raises SourceError for a topic without a word, or one
    that is too large.
    """
    left: Counter[str] = Counter()
    text, blocks, authors = "", list[Block](), list[str]()
    for post in topic.post_stream.posts:
        words = _words(post, root, left)
        if not words:
            continue
        head = f"## {_title(post)}"
        blocks.append(Block("heading", len(text), len(text) + len(head), 1, _title(post)))
        text += head
        blocks += _shifted(read_markdown(f"\n\n{words}", "").blocks, len(text))
        text += f"\n\n{words}\n\n"
        authors.append(post.username)
    if not text:
        raise SourceError("holds no post that can be read; its posts are deleted, hidden or pictures")
    body = text.encode()
    check_size(len(body), b"", limits)
    slug = topic.slug or "-"
    document = Document(
        uri=f"{root}/t/{slug}/{topic.id}",
        kind=Kind.FORUM,
        title=topic.title,
        sha256=hashlib.sha256(body).hexdigest(),
        size=len(body),
        media_type="text/markdown",
        path=f"{root.partition('://')[2]}/t/{slug}/{topic.id}",
        location=location(root, topic.id),
        retrieved_at=now,
        published_at=topic.created_at.date(),
        authors=tuple(dict.fromkeys(authors)),
        category=category,
        etag=topic.etag,
    )
    tags = tuple((0, tag) for tag in topic.tags)
    lost = tuple((reason, count) for reason, count in left.items() if count)
    return Reading(document, text, tuple(blocks), identifiers=tags, lost=lost)


def _title(post: Post) -> str:
    edited = ", edited" if post.version > 1 else ""
    return f"{post.username}, {post.created_at:%Y-%m-%d}{edited}, #{post.number}"


def _shifted(blocks: Sequence[Block], by: int) -> list[Block]:
    """The blocks of a post where they stand in the topic, its headings below that of the post."""
    return [
        replace(block, start=block.start + by, end=block.end + by, level=block.level and block.level + 1)
        for block in blocks
    ]


def _words(post: Post, root: str, left: Counter[str]) -> str:
    """The Markdown of a post without pictures, polls and the words of others; empty for one that is gone."""
    if post.kind not in _WRITTEN:
        return ""
    if post.hidden or post.user_deleted or post.deleted_at is not None:
        left["hidden posts" if post.hidden else "deleted posts"] += 1
        return ""
    raw = post.raw if post.raw is not None else _markdown(post.cooked, root, left)
    words = _without_markup(_CONTROLS.sub("", raw.replace("\r\n", "\n")), root, left)
    if not words:
        left["posts without words"] += 1
    return words


def _without_markup(raw: str, root: str, left: Counter[str]) -> str:
    raw, polls = _POLL.subn("", raw)
    lines = _parted(raw.split("\n"))
    code = _code(lines)
    quotes = _quotes(lines, code)
    images = 0
    out, at = list[str](), 0
    while at < len(lines):
        if at in quotes:
            out += ["", *_quoted(lines[at], lines[at + 1 : quotes[at]], root), ""]
            at = quotes[at]
        elif at in code:
            out.append(lines[at])
        else:
            line, found = _IMAGE.subn("", lines[at])
            images += found
            out.append(line)
        at += 1
    left.update({"polls": polls, "images": images})
    return "\n".join(out).strip()


def _parted(lines: Sequence[str]) -> list[str]:
    """The lines with each mark of a quotation, which begins or ends a line, on a line of its own."""
    code = _code(lines)
    parted = list[str]()
    for at, line in enumerate(lines):
        found = _TAGGED.fullmatch(line.strip())
        if at in code or found is None or not (found[1] or found[3]):
            parted.append(line)
        else:
            parted += [part for part in found.groups() if part and part.strip()]
    return parted


def _code(lines: Sequence[str]) -> set[int]:
    """The numbers of the lines that stand in fences, which hold no markup."""
    inside, fence = set[int](), ""
    for at, line in enumerate(lines):
        mark = _FENCE.match(line)
        if fence:
            inside.add(at)
            if mark and mark[1].startswith(fence) and line.strip() == mark[1]:
                fence = ""
        elif mark:
            inside.add(at)
            fence = mark[1]
    return inside


def _quotes(lines: Sequence[str], code: set[int]) -> dict[int, int]:
    """The line at which each quotation ends, by that at which it begins; a mark without its like is text."""
    opened, pairs = list[int](), dict[int, int]()
    for at, line in enumerate(lines):
        if at in code:
            continue
        if _OPENED.fullmatch(line):
            opened.append(at)
        elif line.lower() == "[/quote]" and opened:
            pairs[opened.pop()] = at
    return pairs


def _quoted(mark: str, lines: Sequence[str], root: str) -> list[str]:
    """A line that names the quoted post, or a block quotation of what is no post."""
    found = _OPENED.fullmatch(mark)
    who, *rest = [part.strip() for part in (found[1] or "").split(",")] if found else [""]
    facts = dict(part.split(":", 1) for part in rest if ":" in part)
    if "post" in facts and "topic" in facts:
        return [f"> quotes {who}, {root}/t/{facts['topic']}/{facts['post']}"]
    return [f"> quoted from {who}:" if who else "> quoted:", *(f"> {line}" for line in lines if line.strip())]


def _markdown(cooked: str, root: str, left: Counter[str]) -> str:
    """The Markdown of a post's HTML, where a forum gives no more; empty where it holds no words."""
    parser = _Cooked(root, left)
    parser.feed(cooked)
    parser.close()
    page = f"<html><body><article>{''.join(parser.out)}</article></body></html>"
    try:
        return read_html(page.encode(), root).text
    except SourceError:
        return ""


class _Cooked(HTMLParser):
    """Takes pictures, polls and previews of links out of a post's HTML, and marks quotations."""

    def __init__(self, root: str, left: Counter[str]) -> None:
        super().__init__()
        self.out: list[str] = []
        self._root = root
        self._left = left
        self._depth = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Copies a tag, or begins to leave one out."""
        told = {name: value or "" for name, value in attrs}
        classes = told.get("class", "").split()
        if self._depth:
            self._depth += tag not in _VOID
        elif tag == "img":
            self._left["images"] += "emoji" not in classes
        elif tag in ("aside", "div") and {"quote", "onebox", "poll"} & set(classes):
            self._depth = 1
            self.out.append(self._instead(classes, told))
        else:
            self.out.append(self.get_starttag_text() or "")

    def handle_endtag(self, tag: str) -> None:
        """Copies the end of a tag that was copied."""
        if not self._depth:
            self.out.append(f"</{tag}>")
        elif tag not in _VOID:
            self._depth -= 1

    def handle_data(self, data: str) -> None:
        """Copies words."""
        if not self._depth:
            self.out.append(html.escape(data, quote=False))

    def _instead(self, classes: Sequence[str], told: dict[str, str]) -> str:
        if "quote" in classes:
            names = ("username", "topic", "post")
            who, topic, post = (html.escape(told.get(f"data-{name}", "")) for name in names)
            return f"<p>(quotes {who}, {self._root}/t/{topic}/{post})</p>"
        self._left["polls" if "poll" in classes else "previews of links"] += 1
        source = html.escape(told.get("data-onebox-src", ""))
        return f"<p>{source}</p>" if source else ""
