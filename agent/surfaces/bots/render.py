"""Answers, sources and checks as text for messages; citations are links to their sources."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from agent.answers.markdown import failure, told
from agent.answers.place import link, place
from agent.answers.values import EXTRACTIVE
from agent.records.privacy import mask
from agent.surfaces.bots.markup import web
from agent.surfaces.bots.messages import Block, Span, Style, Text
from agent.text.render import clean, one_line
from index.values import SourceRef

if TYPE_CHECKING:
    from markdown_it.token import Token

    from agent.answers.values import Answer, Citation
    from agent.answers.verify import Check

PROVISIONAL = "provisional, not yet checked against its sources"

_SEEN = 800
"""Characters of provisional text, from its end, that are shown."""

_CITED = re.compile(r"\[(\d{1,6})\]")

Links = Mapping[int, str]


def answer_text(answer: Answer) -> Text:
    """The answer, what should be known of it, and a line for each of its sources."""
    links = {citation.number: web(link(citation.source)) for citation in answer.citations}
    if answer.refused:
        body: Text = (Block((Span(mask(answer.text), "bold"),)),)
    elif answer.answered_by == EXTRACTIVE:
        body = tuple(_quoted(one.text, one.citations, links) for one in answer.sentences)
    else:
        body = markdown(mask(answer.text), links)
    notes = [Block(cited(f"· {mask(note)}", links, "italic"), gap="\n") for note in told(answer)]
    notes[:1] = [replace(notes[0], gap="\n\n")] if notes else []
    failed = failure(answer)
    first = (Block((Span(mask(failed), "bold"),)),) if failed else ()
    return first + body + tuple(notes) + _places(answer)


def sources_text(answer: Answer) -> Text:
    """Each source of an answer: where it stands, the words that were cited, when it was read."""
    if not answer.citations:
        return (Block((Span("This answer cites nothing."),)), *_places(answer))
    return tuple(block for citation in answer.citations for block in citation_text(citation))


def citation_text(citation: Citation) -> Text:
    """One source of an answer."""
    source = citation.source
    commit = f"commit {source.commit[:7]}, " if source.commit else ""
    told = f"{commit}retrieved {source.retrieved_at:%Y-%m-%d}, sha256 {source.sha256[:8]}…"
    return (
        Block((*_number(citation), Span(f" {mask(place(source))}"))),
        Block((Span(mask(clean(citation.quote).strip())),), "quote", gap="\n"),
        Block((Span(told, "italic"),), gap="\n"),
    )


def checks_text(answer: Answer, checks: Sequence[Check]) -> Text:
    """What became of each source."""
    named = {citation.number: citation for citation in answer.citations}
    blocks = []
    for check in checks:
        where = mask(place(named[check.number].source))
        spans = (*_number(named[check.number]), Span(" "), Span(check.verdict, "bold"), Span(f"  {where}"))
        faults = (check.message, check.change) if check.verdict != "OK" else ()
        more = [line for line in (*faults, *check.notes) if line]
        blocks.append(Block((*spans, *(Span(f"\n{mask(clean(line))}") for line in more)), gap="\n"))
    if not answer.intact:
        blocks.append(Block((Span("ALTERED: the stored answer is not what it was when it was given."),)))
    return tuple(blocks) or (Block((Span("This answer cites nothing."),)),)


def progress_text(doing: str, draft: str = "") -> Text:
    """What is being done, and the end of the provisional text."""
    head = Block((Span(f"… {mask(one_line(doing))}", "italic"),))
    shown = mask(clean(draft)).strip()
    if not shown:
        return (head,)
    if len(shown) > _SEEN:
        shown = "… " + shown[-_SEEN:].partition(" ")[2]
    return (Block((Span(f"… {PROVISIONAL}", "italic"),)), Block((Span(shown),), gap="\n"))


def _number(citation: Citation) -> tuple[Span, ...]:
    return (Span(f"[{citation.number}]", url=web(link(citation.source)), whole=True),)


def _quoted(text: str, numbers: Sequence[int], links: Links) -> Block:
    marks = [one for number in numbers for one in (Span(" "), _citation(number, links))]
    return Block((Span(mask(clean(text))), *marks), "quote")


def _citation(number: int, links: Links) -> Span:
    return Span(f"[{number}]", url=links.get(number, ""), whole=True)


def _places(answer: Answer) -> Text:
    """The sources in lines, those of one place together; of a refused answer, the nearest."""
    lines: dict[tuple[str, str], list[int]] = {}
    for citation in answer.citations:
        key = (mask(place(citation.source)), web(link(citation.source)))
        lines.setdefault(key, []).append(citation.number)
    near: list[SourceRef] = list(answer.nearest) if answer.refused else []
    if not lines and not near:
        return ()
    blocks = [Block((Span("Nearest sources" if answer.refused else "Sources", "bold"),))]
    for (where, url), numbers in lines.items():
        marks = [one for n in numbers for one in (Span(f"[{n}]", url=url, whole=True), Span(" "))]
        blocks.append(Block((*marks, Span(where)), gap="\n"))
    for source in near:
        name, url = mask(place(source)), web(link(source))
        blocks.append(Block((Span("· "), Span(name, url=url, whole=bool(url))), gap="\n"))
    return tuple(blocks)


def cited(text: str, links: Links, style: Style = "") -> tuple[Span, ...]:
    """Text with its citations as links."""
    spans = []
    for at, piece in enumerate(_CITED.split(text)):
        if at % 2 and int(piece) in links:
            spans.append(_citation(int(piece), links))
        elif piece:
            spans.append(Span(f"[{piece}]" if at % 2 else piece, style))
    return tuple(spans)


def markdown(text: str, links: Links) -> Text:
    """Markdown that a model wrote. Only citations become links: other addresses are text."""
    from markdown_it import MarkdownIt

    return tuple(_Reader(links).blocks(MarkdownIt("commonmark").enable("table").parse(clean(text))))


class _Reader:
    """Reads the tokens of markdown-it: what lays out a block is kept as words that every platform shows."""

    def __init__(self, links: Links) -> None:
        self._links = links
        self._items: list[int | None] = []
        self._mark = ""
        self._quotes = 0
        self._near = False
        self._style: Style = ""
        self._row: list[Span] | None = None

    def blocks(self, tokens: Sequence[Token]) -> Iterator[Block]:
        """The blocks, in order."""
        for token in tokens:
            if token.type == "inline":
                spans = tuple(self._spans(token.children or []))
                if self._row is not None:
                    self._row += [Span(" | "), *spans] if self._row else spans
                elif spans:
                    yield self._block(spans)
            elif token.type == "tr_open":
                self._row = []
            elif token.type == "tr_close":
                yield self._block(tuple(self._row or ()))
                self._row, self._near = None, True
            elif token.type in ("fence", "code_block") and token.content.strip():
                yield from self._code(token)
            elif token.type in ("html_block", "hr"):
                yield self._block((Span(token.content.rstrip("\n") or "———"),))
            else:
                self._layout(token)

    def _block(self, spans: tuple[Span, ...]) -> Block:
        mark, self._mark = self._mark, ""
        near, self._near = self._near, False
        spans = (Span(mark), *spans) if mark else spans
        return Block(spans, "quote" if self._quotes else "text", gap="\n" if near else "\n\n")

    def _code(self, token: Token) -> Iterator[Block]:
        if self._mark:
            yield self._block(())
            self._near = True
        block = self._block((Span(token.content.rstrip("\n"), "code"),))
        yield replace(block, kind="code", language=(token.info.split() or [""])[0])

    def _layout(self, token: Token) -> None:
        kind, opens = token.type.removesuffix("_open").removesuffix("_close"), token.nesting == 1
        if kind in ("bullet_list", "ordered_list"):
            if opens:
                self._near = bool(self._items)
                self._items.append(int(token.attrGet("start") or 1) if kind == "ordered_list" else None)
            else:
                self._items.pop()
                self._near = bool(self._items)
        elif kind == "list_item":
            self._item() if opens else None
            self._near = self._near or not opens
        elif kind == "blockquote":
            self._quotes += token.nesting
        elif kind == "heading":
            self._style = "bold" if opens else ""
        elif kind == "table" and not opens:
            self._near = False

    def _item(self) -> None:
        number = self._items[-1]
        indent = "   " * (len(self._items) - 1)
        self._mark = f"{indent}• " if number is None else f"{indent}{number}. "
        if number is not None:
            self._items[-1] = number + 1

    def _spans(self, children: Sequence[Token]) -> Iterator[Span]:
        style: list[Style] = [self._style]
        href = said = ""
        for token in children:
            if token.tag in ("strong", "em") and token.nesting == 1:
                style.append(style[-1] or ("bold" if token.tag == "strong" else "italic"))
            elif token.tag in ("strong", "em"):
                style.pop()
            elif token.type in ("softbreak", "hardbreak"):
                yield Span("\n")
            elif token.type == "code_inline":
                yield Span(token.content, "code")
            elif token.type == "image":
                yield Span(f"{token.content} ({token.attrGet('src')})", style[-1])
            elif token.type == "link_open":
                href = str(token.attrGet("href"))
            elif token.type == "link_close" and said != href:
                yield Span(f" ({href})", style[-1])
            elif token.content:
                said = token.content
                yield from cited(token.content, self._links, style[-1])
