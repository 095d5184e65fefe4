"""Divides a passage into the units that can be quoted: sentences, items, rows, lines of code, fields.

Works on Markdown, MediaWiki, LaTeX and the text of PDFs alike, since a passage does not say which it is.
Every unit is a verbatim span of the passage.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

Unit = Literal["prose", "item", "row", "code", "field"]

_LONG_ITEM = 300
_LONG_SENTENCE = 600
"""Characters beyond which an item is divided into sentences, and a sentence into lines."""

_FENCE = re.compile(
    r"\s*(```|~~~|<(pre|source|syntaxhighlight)\b[^>]*>\s*$|</(pre|source|syntaxhighlight)>\s*$)"
)
_HEADING = re.compile(
    r"\s*(#{1,6}\s(?!.*[.;:,]\s*$).{1,80}$"
    r"|=+[^=].*=\s*$"
    r"|\\(part|chapter|(sub)*section|paragraph)\*?\{"
    r"|(\d+(\.\d+)*\.?|Appendix|[A-Z](\.\d+)+)\s+[A-Z][^.!?]{0,70}$)"
)
_ITEM = re.compile(r"\s*([-+•]|\*{1,6}|#{1,6}|:+|;|\d{1,3}[.)]|\(?[a-z0-9ivx]{1,4}\)|\\item(\[[^\]]*\])?)\s+")
_ROW = re.compile(r"\s*[|!]|[^&\n]*&.*\\\\\s*$")
_RULE = re.compile(r"[|!+{}\-=_*:.\s]*$|\s*\{\||\s*\|\}|\s*\|-")
_MARKUP_ONLY = re.compile(
    r"\s*+(</?\w[^>]*+>\s*+)++$"
    r"|\s*+(\\(begin|end|label|hypertarget|newpage|noindent)\b[^ ]*+\s*+)++$"
    r"|\s*%|\s*<!--.*-->\s*$"
)
_FRONT_MATTER = re.compile(
    r"\s*---\n(?=(?:#.*\n)*[\w\"'-]+[ \t]*:)(?s:.*?)\n---\s"
    r"|\s*\+\+\+\n(?s:.*?)\n\+\+\+\s"
    r"|\s*<pre>[ \t]*\n(?:[ \t]*[A-Z][\w-]*:[^\n]*\n)(?s:.*?)</pre>[ \t]*\n"
)
_CODE = re.compile(r"( {4}|\t)\s*\S")

_END = re.compile(r"[.!?][\"'”’)\]*_]*(?=\s)")
_NEXT = re.compile(r"\s+[^a-z\s,;:.]")
# fmt: off
_ABBREVIATIONS = frozenset({
    "e.g", "i.e", "cf", "vs", "viz", "approx", "al", "fig", "figs", "eq", "eqs", "sec", "nr",
    "vol", "pp", "p", "dr", "mr", "mrs", "ms", "prof", "st", "resp", "incl", "excl", "ref",
    "thm", "jr", "sr",
})
# fmt: on


@dataclass(frozen=True, slots=True)
class Sentence:
    """A unit that can be quoted: `passage[start:end]`, without the marker of its list item.

    lead: what an item or row needs to be understood (the line above the list, the table's first row).
    """

    start: int
    end: int
    unit: Unit
    lead: str = ""


def split(text: str) -> list[Sentence]:
    """The quotable units of `text`, in order and not overlapping. Headings, rules and bare markup are none.

    >>> text = "It costs 1.5 gas, e.g. for `a. B`. Then it ends."
    >>> [text[sentence.start : sentence.end] for sentence in split(text)]
    ['It costs 1.5 gas, e.g. for `a. B`.', 'Then it ends.']
    """
    found: list[Sentence] = []
    for block in _blocks(text):
        found.extend(_divided(text, block))
    return found


def within(spans: Sequence[tuple[int, int]], at: int) -> bool:
    """Whether `at` lies inside one of the spans, which come in order and do not overlap."""
    nearest = bisect_left(spans, (at,)) - 1
    return nearest >= 0 and at < spans[nearest][1]


def _blocks(text: str) -> Iterator[Sentence]:
    """Gathers lines into blocks: a paragraph, an item with its further lines, a row, a line of code."""
    block: Sentence | None = None
    lead = head = ""
    for kind, start, end in _lines(text):
        if kind == "more" and block is not None:
            block = Sentence(block.start, end, block.unit, block.lead)
            continue
        if block is not None:
            yield block
            lead = text[block.start : block.end].strip() if block.unit == "prose" else lead
        block = None
        if kind == "row":
            yield Sentence(start, end, "row", head or lead)
            head = head or text[start:end].strip()
        elif kind == "code":
            yield Sentence(start, end, "code", lead)
        elif kind == "field":
            yield Sentence(start, end, "field")
        elif kind == "item":
            marker = _ITEM.match(text, start, end)
            block = Sentence(marker.end() if marker else start, end, "item", lead)
        elif kind == "prose":
            block = Sentence(start, end, "prose")
        head = head if kind in ("row", "rule") else ""
    if block is not None:
        yield block


def _lines(text: str) -> Iterator[tuple[str, int, int]]:
    """Each line as its kind and its span; `more` carries on with the paragraph or item before it."""
    in_code, last = _starts_in_code(text), "blank"
    matter = _FRONT_MATTER.match(text)
    start, body = 0, matter.end() if matter else 0
    for line in text.splitlines(keepends=True):
        end = start + len(line)
        kind = "field" if start < body else _kind(line.rstrip("\r\n"), in_code, last)
        in_code = in_code != (kind == "fence")
        yield kind, start, end
        start, last = end, kind


def _starts_in_code(text: str) -> bool:
    """Whether the passage begins inside a fence that was opened before it."""
    fences = [match.group(0).strip() for line in text.splitlines() if (match := _FENCE.match(line))]
    if not fences:
        return False
    first = next(line.strip() for line in text.splitlines() if _FENCE.match(line))
    return first.startswith("</") or (len(fences) % 2 == 1 and first in ("```", "~~~"))


def _kind(line: str, in_code: bool, last: str) -> str:
    """What a line is, seen what the line before it was."""
    carries_on = last in ("prose", "item", "more")
    if _FENCE.match(line):
        return "fence"
    if not line.strip():
        return "blank"
    if in_code:
        return "code"
    for kind, pattern in (("markup", _MARKUP_ONLY), ("rule", _RULE), ("heading", _HEADING), ("row", _ROW)):
        if pattern.match(line):
            return kind
    if _ITEM.match(line):
        return "item"
    if _CODE.match(line) and not carries_on:
        return "code"
    return "more" if carries_on else "prose"


def _divided(text: str, block: Sentence) -> Iterator[Sentence]:
    """A paragraph, or an item too long to be read at once, as its sentences; anything else as it is."""
    whole = _trimmed(text, block)
    if whole is None:
        return
    long_item = whole.unit == "item" and whole.end - whole.start > _LONG_ITEM
    if whole.unit != "prose" and not long_item:
        yield whole
        return
    start = whole.start
    for stop in [*_stops(text[whole.start : whole.end]), whole.end - whole.start]:
        sentence = _trimmed(text, Sentence(start, whole.start + stop, whole.unit, whole.lead))
        start = whole.start + stop
        if sentence is not None:
            yield from _by_line(text, sentence)


def _by_line(text: str, sentence: Sentence) -> Iterator[Sentence]:
    """What has no full stop for very long is a table or a listing: its lines stand for themselves."""
    if sentence.end - sentence.start <= _LONG_SENTENCE:
        yield sentence
        return
    for match in re.finditer(r"[^\n]+", text[sentence.start : sentence.end]):
        at, to = sentence.start + match.start(), sentence.start + match.end()
        line = _trimmed(text, Sentence(at, to, "row", sentence.lead))
        if line is not None:
            yield line


def _trimmed(text: str, block: Sentence) -> Sentence | None:
    """The block without white space around it; None where nothing of substance is left."""
    words = text[block.start : block.end]
    start = block.start + len(words) - len(words.lstrip())
    end = block.end - len(words) + len(words.rstrip())
    if not re.search(r"\w", text[start:end]):
        return None
    return Sentence(start, end, block.unit, block.lead)


def _stops(paragraph: str) -> Iterator[int]:
    """The offsets at which sentences end."""
    quoted = [match.span() for match in re.finditer(r"`[^`]*`|<code>(?:(?!<code>).)*?</code>", paragraph)]
    for match in _END.finditer(paragraph):
        at = match.start()
        if not _NEXT.match(paragraph, match.end()) or within(quoted, at):
            continue
        word = re.search(r"(?<![\w.])[\w.]*$", paragraph[max(0, at - 20) : at])
        before = word.group(0).lower() if word else ""
        initial = len(before) == 1 and before.isalpha()
        if paragraph[at] == "." and (before in _ABBREVIATIONS or initial):
            continue
        yield match.end()
