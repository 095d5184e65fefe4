"""Where a source stands, in words, and the address that opens there."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import PurePosixPath
from urllib.parse import urlsplit

from agent.text.render import clean, one_line
from index.values import Kind, SourceRef

_RENDERED = {".md", ".markdown", ".mediawiki", ".rst", ".adoc", ".org", ".textile"}
"""What GitHub shows rendered, where a line number means nothing without `?plain=1`."""


def place(source: SourceRef) -> str:
    """The name, heading, status, date of publication, and page or lines of a source.

    The heading of a post has its date. Such as `EIP-1559 § Specification, Final, 2019-04-13, lines 120–141`.
    """
    path = source.heading if source.kind is Kind.FORUM else source.heading[-1:]
    heading = f" § {' › '.join(path)}" if path and path[-1] != source.title else ""
    where = f", page {source.page}" if source.page else ""
    if source.line_start is not None and not source.page:
        one = source.line_start == source.line_end
        where = f", line {source.line_start}" if one else f", lines {source.line_start}–{source.line_end}"
    date = source.published_at if source.kind is not Kind.FORUM else None
    standing = "".join(f", {one}" for one in (source.status, date) if one)
    return one_line(f"{source.designation or source.title}{heading}{standing}{where}")


def citation_line(numbers: Sequence[int], source: SourceRef) -> str:
    """The line under an answer: place, commit, day of retrieval, and the start of the source's sha256."""
    marks = " ".join(f"[{number}]" for number in numbers)
    within = f" of {source.repository}" if source.repository else ""
    commit = f", commit {source.commit[:7]}{within}" if source.commit else ""
    retrieved = f"{source.retrieved_at:%Y-%m-%d}"
    return clean(f"{marks} {place(source)}{commit}, retrieved {retrieved}, sha256 {source.sha256[:8]}…")


def link(source: SourceRef) -> str:
    """The address that opens at the quotation: a file at its lines, a PDF at its page, a post.

    A file of a repository is shown as it was at the commit that it was read at, one of a local repository as
    it is now.
    """
    uri = one_line(source.uri).replace(" ", "%20")
    local = uri.startswith("git+file:")
    if local:
        uri = re.sub(r"^git\+(file:.*)@[^@#]+#", r"\1/", uri)
    elif source.commit:
        uri = re.sub(r"/blob/[^/]+/", f"/blob/{source.commit}/", uri, count=1)
    if source.page:
        return f"{uri}#page={source.page}"
    if source.kind is Kind.FORUM and (post := re.search(r", #(\d+)$", "".join(source.heading[:1]))):
        return f"{uri}/{post[1]}"
    parts = urlsplit(uri)
    lined = parts.scheme == "file" if local else uri.startswith("http") and "/blob/" in parts.path
    if lined and source.line_start is not None:
        plain = "?plain=1" if not local and PurePosixPath(parts.path).suffix.lower() in _RENDERED else ""
        mark = "-" if "/-/blob/" in parts.path else "-L"
        last = f"{mark}{source.line_end}" if source.line_end != source.line_start else ""
        return f"{uri}{plain}#L{source.line_start}{last}"
    return uri
