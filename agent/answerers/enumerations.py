"""What a document enumerates: its lists, the headings below a heading, and the declarations in its code."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

_HEADING = re.compile(r"(#{1,6})\s+(.*)$")
_WIKI_HEADING = re.compile(r"(={1,6})(?!=)(.+)\1\s*$")
_ITEM = re.compile(r"(\s*)(?:[-*+]|\d{1,2}[.)])\s+(?=\S)")
_WIKI_ITEM = re.compile(r"()(?:[*#]+|;)\s*(?=[^\s*#])")
_FENCE = re.compile(r"\s*(?:```|~~~)|\s*<(/?)(?:pre|source|syntaxhighlight)\b")
_SCOPE = re.compile(r"\s*(?:abstract\s+)?(?:interface|contract|library)\s+(\w+)")
_DECLARED = re.compile(r"\s*(function|event|error|struct|enum|modifier)\s+(\w+)")
_MARKUP = re.compile(
    r"!?\[([^\]]{0,300})\]\([^)]{0,300}\)|\[\[(?:[^\]|]{0,300}\|)?([^\]]{0,300})\]\]|'''?|[`*]"
)
_LONGEST_LEAD = 400
_LONGEST_LABEL = 100


@dataclass(frozen=True, slots=True)
class Enumeration:
    """Things that are listed in one place of a text.

    path: the headings above it; label: the nearest heading, or the scope that declares it; lead: the line
    that introduces it, as a span of the text; items: the spans of what is listed.
    """

    kind: Literal["list", "headings", "function", "event", "error", "struct", "enum", "modifier"]
    path: tuple[str, ...]
    label: str
    lead: tuple[int, int] | None
    items: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class _Line:
    kind: Literal["heading", "item", "code", "blank", "text"]
    start: int
    end: int
    level: int = 0
    title: str = ""


def bare(text: str) -> str:
    """A heading or an item without its markup.

    >>> bare("[EIP-20](./eip-20.md): `transfer`")
    'EIP-20: transfer'
    """
    return " ".join(_MARKUP.sub(lambda m: m[1] or m[2] or "", text).split())


def enumerations(text: str, wiki: bool) -> list[Enumeration]:
    """All that a text enumerates, in order. wiki: it is MediaWiki, else Markdown."""
    lines = list(_lines(text, wiki))
    return [*_lists(text, lines), *_headings(lines), *_declarations(text, lines)]


def _lines(text: str, wiki: bool) -> Iterator[_Line]:
    at, in_code = 0, False
    heading, item = (_WIKI_HEADING, _WIKI_ITEM) if wiki else (_HEADING, _ITEM)
    for raw in text.splitlines(keepends=True):
        start, end = at, at + len(raw.rstrip())
        at += len(raw)
        fence = _FENCE.match(raw)
        if fence:
            in_code = not in_code and not fence[1]
            yield _Line("code", start, end)
        elif in_code:
            yield _Line("code", start, end)
        elif not raw.strip():
            yield _Line("blank", start, end)
        elif found := heading.match(raw.rstrip()):
            yield _Line(
                "heading", start, end, len(found[1]), bare(found[2] if wiki else found[2].rstrip("#"))
            )
        elif found := item.match(raw):
            yield _Line("item", start + found.end(), end, len(found[1].expandtabs(4)))
        else:
            yield _Line("text", start, end, len(raw) - len(raw.lstrip()))


def _paths(lines: list[_Line]) -> Iterator[tuple[_Line, tuple[str, ...]]]:
    """Each line with the headings above it, its own included."""
    path: list[tuple[int, str]] = []
    for line in lines:
        if line.kind == "heading":
            path = [*(one for one in path if one[0] < line.level), (line.level, line.title)]
        yield line, tuple(title for _, title in path)


def _lists(text: str, lines: list[_Line]) -> Iterator[Enumeration]:
    """Runs of list items, and those below an item, which is then their label."""
    run: list[_Line] = []
    lead: _Line | None = None
    before: _Line | None = None
    gap = False
    path: tuple[str, ...] = ()
    for line, here in [*_paths(lines), (_Line("heading", len(text), len(text)), ())]:
        if line.kind == "item":
            if not run:
                path, lead = here, before
            run.append(line)
        elif run and line.kind == "text" and (not gap or line.level > run[0].level):
            run[-1] = replace(run[-1], end=line.end)
        elif run and line.kind != "blank":
            yield from _nested(text, run, path, _lead(lead), path[-1] if path else "")
            run = []
        gap = line.kind == "blank"
        if not gap:
            before = run[-1] if run else line


def _nested(
    text: str, run: list[_Line], path: tuple[str, ...], lead: tuple[int, int] | None, label: str
) -> Iterator[Enumeration]:
    """The list of the outermost items of a run, then those below each of them."""
    tops = [at for at, line in enumerate(run) if line.level <= run[0].level]
    groups = [run[a:b] for a, b in pairwise([*tops, len(run)])]
    if len(groups) > 1 or (lead and label == bare(text[slice(*lead)]).rstrip(":")):
        yield Enumeration(
            "list", path, label, lead, tuple((group[0].start, group[-1].end) for group in groups)
        )
    for group in groups:
        if len(group) > 1:
            head = group[0].start, group[0].end
            title = bare(text[slice(*head)]).rstrip(":")
            if len(title) <= _LONGEST_LABEL:
                yield from _nested(text, group[1:], (*path, title), head, title)


def _lead(before: _Line | None) -> tuple[int, int] | None:
    lead = before is not None and before.kind == "text" and before.end - before.start <= _LONGEST_LEAD
    return (before.start, before.end) if before is not None and lead else None


def _headings(lines: list[_Line]) -> Iterator[Enumeration]:
    """The headings right below a heading, with the text before the first of them as their lead."""
    heads = [(line, path) for line, path in _paths(lines) if line.kind == "heading"]
    for at, (head, path) in enumerate(heads):
        below = []
        for line, _ in heads[at + 1 :]:
            if line.level <= head.level:
                break
            if line.level == head.level + 1:
                below.append(line)
        if len(below) > 1:
            body = [
                line
                for line in lines
                if head.end < line.start < below[0].start and line.kind in ("text", "code")
            ]
            lead = (body[0].start, body[-1].end) if body else None
            if lead and lead[1] - lead[0] > _LONGEST_LEAD:
                lead = None
            spans = tuple((line.start, line.end) for line in below)
            yield Enumeration("headings", path, head.title, lead, spans)


def _declarations(text: str, lines: list[_Line]) -> Iterator[Enumeration]:
    """What the code of one scope declares, by its kind: functions, events, errors, structs, enums."""
    found: dict[tuple[str, str, tuple[str, ...]], list[tuple[int, int]]] = {}
    scope = ""
    for line, path in _paths(lines):
        words = text[line.start : line.end]
        if line.kind != "code":
            scope = "" if line.kind == "heading" else scope
        elif opened := _SCOPE.match(words):
            scope = opened[1]
        elif declared := _DECLARED.match(words):
            start = line.start + len(words) - len(words.lstrip())
            found.setdefault((declared[1], scope, path), []).append((start, line.end))
    for (kind, scope, path), items in found.items():
        label = scope or (path[-1] if path else "")
        yield Enumeration(kind, path, label, None, tuple(items))  # type: ignore[arg-type]
