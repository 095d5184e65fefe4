"""Text with its layout, split into parts that a platform takes.

A part never cuts a citation, a link, an entity or a character as people see it; a block of code that goes on
in the next part is closed and opened again. Whoever puts the parts together again has the same text.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from re import compile as pattern
from typing import Literal, Protocol, TypeAlias

from agent.text.render import clean

Style = Literal["", "bold", "italic", "code"]


@dataclass(frozen=True, slots=True)
class Span:
    """A run of text in one style. url: where it opens; whole: it is never cut, as a citation is not."""

    text: str
    style: Style = ""
    url: str = ""
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Block:
    """A paragraph, quotation or piece of code. gap: what parts it from the block before it."""

    spans: tuple[Span, ...]
    kind: Literal["text", "quote", "code"] = "text"
    language: str = ""
    gap: str = "\n\n"


Text: TypeAlias = tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Part:
    """One message. markup: what is sent; text: what is read; joint: what stands before the next part."""

    markup: str
    text: str
    joint: str = ""


class Format(Protocol):
    """How a platform writes text. limit: UTF-16 units of a message; marks: styled pieces that it may have."""

    limit: int
    marks: int

    def weight(self, span: Span, block: Block) -> int:
        """Units that a span takes at most; its markup counts where the platform counts it."""

    def frame(self, block: Block) -> int:
        """Units that the markup around a block takes."""

    def prepare(self, text: Text) -> Text:
        """The text as this format can say it."""

    def encode(self, text: Text) -> str:
        """The markup of a text."""


_PIECES = pattern(r"\n|[^\S\n]+|\S+")
_MENTION = pattern(r"<(?:[@#][!&]?|/|id:|a?:)[^<>\s]*>|@(?:everyone|here)|(?<!\w)@\w+")
_STOPS = (".", "!", "?", ":", ";", "]", ")", "”", '"')
_CITATION, _SPACE, _SENTENCE, _LINE, _BLOCK = range(5)
"""How well a message may end at some blank: before a citation only where there is no other way."""


def units(text: str) -> int:
    r"""Length in UTF-16 units, as platforms count.

    >>> units("a\N{GRINNING FACE}")
    3
    """
    return len(text) + sum(character > "\uffff" for character in text)


def plain(*lines: str, style: Style = "") -> Text:
    """Lines as one block of text."""
    return (Block((Span("\n".join(lines), style),)),)


def reading(text: Text) -> str:
    """What a person reads."""
    return "".join(
        ("" if first else block.gap) + "".join(span.text for span in block.spans)
        for block, first in zip(text, [True, *[False] * len(text)], strict=False)
    )


def shows(text: str) -> bool:
    """Whether there is anything to see; platforms refuse a message in which there is nothing."""
    return any(unicodedata.category(one) not in ("Zs", "Zl", "Zp", "Cc", "Cf", "Mn", "Me") for one in text)


def harmless(text: Text) -> Text:
    """The text without control characters, and with mentions as code, which calls nobody."""
    return tuple(
        replace(block, spans=tuple(one for span in block.spans for one in _harmless(span, block)))
        for block in text
    )


def _harmless(span: Span, block: Block) -> Iterator[Span]:
    text = clean(span.text).encode("utf-8", "replace").decode()
    if block.kind == "code" or span.style == "code" or span.url:
        yield replace(span, text=text)
        return
    at = 0
    for found in _MENTION.finditer(text):
        if before := text[at : found.start()]:
            yield replace(span, text=before)
        yield Span(found.group(), "code", whole=span.whole)
        at = found.end()
    if text[at:]:
        yield replace(span, text=text[at:])


def split(text: Text, form: Format) -> tuple[Part, ...]:
    """The parts of a text, each within the limit of its format; none where there is nothing to see."""
    blocks = form.prepare(harmless(text))
    tokens = list(_tokens(blocks, form))
    parts: list[Part] = []
    start = 0
    while start < len(tokens):
        end = _reach(tokens, start, blocks, form)
        if end == start:
            tokens[start : start + 1] = _cut(tokens[start], blocks, form)
            continue
        if end < len(tokens):
            end = _break(tokens, start, end)
        first, last = _trimmed(tokens, start, end, blocks)
        here = _text(tokens[first:last], blocks)
        seen, blank = reading(here), _said(tokens[start:first])
        if not shows(seen):
            blank, last = _said(tokens[start:end]), end
        if parts:
            parts[-1] = replace(parts[-1], joint=parts[-1].joint + blank)
        if shows(seen):
            parts.append(Part(form.encode(here), seen, _said(tokens[last:end])))
        start = end
    return tuple(parts)


@dataclass(frozen=True, slots=True)
class _Token:
    """A word or blank. block: its block, or that after a gap; rank: of a break after it, -1: none."""

    span: Span
    block: int
    weight: int
    rank: int = -1
    gap: bool = False


def _tokens(blocks: Text, form: Format) -> Iterator[_Token]:
    for number, block in enumerate(blocks):
        if number and block.gap:
            yield _Token(Span(block.gap), number, units(block.gap) * 2, _BLOCK, gap=True)
        pieces = [piece for span in block.spans for piece in _pieces(span)]
        for at, piece in enumerate(pieces):
            weight = form.weight(piece, block)
            if not piece.text.isspace():
                yield _Token(piece, number, weight)
                continue
            before = pieces[at - 1].text if at else ""
            cited = at + 1 < len(pieces) and pieces[at + 1].whole
            rank = _SENTENCE if before.endswith(_STOPS) else _SPACE
            yield _Token(piece, number, weight, _CITATION if cited else _LINE if piece.text == "\n" else rank)


def _pieces(span: Span) -> list[Span]:
    if span.whole or span.url:
        return [replace(span, whole=True)] if span.text else []
    return [replace(span, text=piece) for piece in _PIECES.findall(span.text)]


def _reach(tokens: Sequence[_Token], start: int, blocks: Text, form: Format) -> int:
    """The first token that does not fit into one message with those from `start` on."""
    taken = marks = 0
    before: _Token | None = None
    for at in range(start, len(tokens)):
        token = tokens[at]
        taken += token.weight
        if not token.gap and (before is None or before.block != token.block or before.gap):
            taken += form.frame(blocks[token.block])
            marks += blocks[token.block].kind != "text"
        styled = bool(token.span.style or token.span.url)
        marks += styled and (before is None or not _alike(before.span, token.span))
        if taken > form.limit or marks > form.marks:
            return at
        before = token
    return len(tokens)


def _break(tokens: Sequence[_Token], start: int, end: int) -> int:
    """Where a message that could go on to `end` ends best: the best break in its second half."""
    half = start + (end - start) // 2
    late = [at for at in range(half, end) if tokens[at].rank > _CITATION]
    if late:
        best = max(tokens[at].rank for at in late)
        return max(at for at in late if tokens[at].rank == best) + 1
    early = [at for at in range(start + 1, half) if tokens[at].rank > _CITATION]
    return early[-1] + 1 if early else end


def _cut(token: _Token, blocks: Text, form: Format) -> list[_Token]:
    """A token that is too much for a message, in two; a link becomes two links to the same place."""
    import regex  # type: ignore[import-untyped]

    block, span = blocks[token.block], token.span
    room = form.limit - form.frame(block)
    if form.weight(replace(span, text="mm"), block) > room:
        span = Span(f"{span.text} {span.url}")
    letters = regex.findall(r"\X", span.text)
    if form.weight(replace(span, text=letters[0]), block) > room:
        letters = list(span.text)
    low, high = 1, len(letters)
    while low < high:
        middle = (low + high + 1) // 2
        fits = form.weight(replace(span, text="".join(letters[:middle])), block) <= room
        low, high = (middle, high) if fits else (low, middle - 1)
    pieces = ("".join(letters[:low]), "".join(letters[low:]))
    spans = [replace(span, text=piece) for piece in pieces if piece]
    return [replace(token, span=one, weight=form.weight(one, block)) for one in spans]


def _trimmed(tokens: Sequence[_Token], start: int, end: int, blocks: Text) -> tuple[int, int]:
    """The bounds without the blanks at both ends; the indentation of code is no blank."""

    def blank(token: _Token) -> bool:
        kept = blocks[token.block].kind == "code" and not token.gap and token.span.text != "\n"
        return token.span.text.isspace() and not kept

    while start < end and blank(tokens[start]):
        start += 1
    while end > start and blank(tokens[end - 1]):
        end -= 1
    return start, end


def _text(tokens: Sequence[_Token], blocks: Text) -> Text:
    """The tokens as blocks again."""
    made: list[Block] = []
    for number, group in groupby(tokens, key=lambda token: token.block):
        some = list(group)
        gap = some[0].span.text if some[0].gap else ""
        spans = tuple(_merged(token.span for token in some if not token.gap))
        if spans:
            made.append(replace(blocks[number], spans=spans, gap=gap))
    return tuple(made)


def _merged(spans: Iterable[Span]) -> list[Span]:
    merged: list[Span] = []
    for span in spans:
        if merged and _alike(merged[-1], span):
            merged[-1] = replace(span, text=merged[-1].text + span.text)
        else:
            merged.append(span)
    return merged


def _alike(one: Span, other: Span) -> bool:
    return not (one.whole or other.whole) and one.style == other.style


def _said(tokens: Iterable[_Token]) -> str:
    return "".join(token.span.text for token in tokens)
