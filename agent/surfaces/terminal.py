"""Answers, citations and hits as people read them: plain words, Markdown, and where each source opens."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from agent.answers.markdown import failure, told
from agent.answers.place import citation_line, link, place
from agent.answers.values import EXTRACTIVE, UNVERIFIED
from agent.text.render import clean, one_line
from index.values import Hit, SourceRef

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from agent.answers.excerpt import Excerpt
    from agent.answers.values import Answer, Citation
    from agent.answers.verify import Check


_INDENT = "    "


def console(*, stderr: bool = False) -> Console:
    """Where people read: no markup is interpreted, nothing is highlighted, colour only on a terminal."""
    from rich.console import Console

    return Console(markup=False, highlight=False, emoji=False, stderr=stderr)


def show_answer(answer: Answer, out: Console, *, parted: bool = False) -> None:
    """Prints the sentences, then the sources with their addresses, then what it took.

    Where the chat model failed, a line that says so stands first.
    parted: whether a ruled line with a name stands above the sources.
    """
    from rich.text import Text

    if failed := failure(answer):
        _flow(Text(f"{failed}\n", style="bold"), out)
    _show_text(answer, out)
    notes = told(answer)
    for note in notes:
        _flow(Text(f"· {note}", style="dim"), out, rest="  ")
    if answer.citations or answer.nearest:
        name = "nearest sources" if answer.refused else "sources"
        if parted:
            out.rule(name, align="left", style="dim")
        elif answer.refused:
            out.print(f"\n{name.capitalize()}:")
        elif notes:
            out.print()
    show_sources(answer, out)
    out.print(Text(f"\n{_made(answer)}", style="dim"))


def _made(answer: Answer) -> str:
    """What an answer took, in a line."""
    packed = sum(item.verdict == "kept" for item in answer.packing.items)
    usage = answer.usage
    parts = [
        f"answer {answer.id}",
        *([answer.answered_by] if answer.answered_by != EXTRACTIVE else []),
        f"{packed} {'passage' if packed == 1 else 'passages'}",
        f"{usage.tokens_in} of {answer.packing.budget} tokens"
        if usage.requests < 2
        else f"{usage.tokens_in} tokens in {usage.requests} requests",
        *([f"${usage.cost:.4f}"] if usage.cost else []),
        f"{usage.seconds:.1f} s",
    ]
    return " · ".join(parts)


def _show_text(answer: Answer, out: Console) -> None:
    """Prints an answer's sentences: quotations one by one, a model's text as it is laid out."""
    from rich.text import Text

    if answer.refused:
        out.print(Text(answer.text, style="bold"))
        return
    if answer.answered_by == EXTRACTIVE:
        texts = [
            "".join([one.text, *(f" [{number}]" for number in one.citations)]) for one in answer.sentences
        ]
        lines = [line for text in texts for line in (text, "")]
    else:
        lines = [*answer.text.split("\n"), ""]
    for line in lines:
        _flow(_marked(clean(line)), out)


def _marked(text: str) -> Text:
    """Text in which the numbers of citations stand out."""
    from rich.text import Text

    marked = Text(text)
    marked.highlight_regex(rf"\[\d+\](?=(?:\s*\[\d+\])*(?: {re.escape(UNVERIFIED)})?\W*$)", "cyan")
    marked.highlight_regex(re.escape(UNVERIFIED), "yellow")
    return marked


def show_sources(answer: Answer, out: Console) -> None:
    """Prints where an answer comes from, with addresses; of a refused one, the nearest sources."""
    for citations in _by_place(answer.citations):
        _show_source(
            citation_line([c.number for c in citations], citations[0].source), citations[0].source, out
        )
    for source in answer.nearest:
        _show_source(place(source), source, out)


def show_excerpt(excerpt: Excerpt, out: Console, number: int | None = None) -> None:
    """Prints words of a source where they stand, and where that opens.

    Words with text around them are marked: reversed in colour, else »so«. number: of the citation.
    """
    from rich.text import Text

    source = excerpt.source
    _show_source(citation_line([] if number is None else [number], source).strip(), source, out)
    around = bool(excerpt.before or excerpt.after)
    coloured = out.color_system is not None and not out.no_color
    words = clean(excerpt.words)
    if around:
        body = Text.assemble(
            (clean(excerpt.before), "dim"),
            (words, "reverse") if coloured else f"»{words}«",
            (clean(excerpt.after), "dim"),
        )
    else:
        body = Text(words)
    body = _trimmed(body)
    out.print()
    if not excerpt.opens:
        out.print(Text(f"{_INDENT}…", style="dim"))
    _flow(body, out, _INDENT, _INDENT)
    if not excerpt.ends:
        out.print(Text(f"{_INDENT}…", style="dim"))
    if excerpt.note:
        _flow(Text(f"· {excerpt.note}", style="dim"), out, rest="  ")


def _trimmed(text: Text) -> Text:
    """The text without empty lines at its two ends."""
    plain = text.plain
    lead = len(plain) - len(plain.lstrip())
    first = plain.rfind("\n", 0, lead) + 1
    return text[first : len(plain.rstrip())]


def show_checks(answer: Answer, checks: Iterable[Check], out: Console) -> None:
    """Prints what became of each citation of an answer."""
    from rich.text import Text

    sources = {citation.number: citation.source for citation in answer.citations}
    for check in checks:
        verdict = (check.verdict, "green" if check.verdict == "OK" else "bold red")
        out.print(Text.assemble(f"[{check.number}] ", verdict, f"  {place(sources[check.number])}"))
        faults = (check.message, check.change) if check.verdict != "OK" else ()
        for line in (*faults, *check.notes):
            if line:
                out.print(f"    {clean(line)}")
    if not answer.citations:
        out.print("The answer cites nothing: it was refused.")
    if not answer.intact:
        out.print("ALTERED  the question, the text or a citation is no longer what the id was made from")


def _by_place(citations: Sequence[Citation]) -> Iterable[list[Citation]]:
    """Citations in their order, those of the same place together."""
    places: dict[tuple[str, str], list[Citation]] = {}
    for citation in citations:
        places.setdefault((link(citation.source), place(citation.source)), []).append(citation)
    return places.values()


def _show_source(line: str, source: SourceRef, out: Console) -> None:
    from rich.text import Text

    _flow(Text(line), out, rest=_INDENT)
    out.print(_linked(f"    {link(source)}", source), soft_wrap=True)


def _flow(text: Text, out: Console, first: str = "", rest: str = "") -> None:
    """Prints text in lines that end in no blanks, the first one behind `first`, the others behind `rest`."""
    from rich.text import Text

    for number, line in enumerate(text.wrap(out, max(out.width - len(rest), 10))):
        shown = Text(rest if number else first) + line
        shown.rstrip()
        out.print(shown)


def _linked(text: str, source: SourceRef) -> Text:
    """Text that opens the source where the terminal can do that."""
    from rich.style import Style
    from rich.text import Text

    return Text(text, style=Style(color="blue", link=link(source)))


def show_hits(hits: Iterable[Hit], out: Console) -> None:
    """Prints each hit: rank, score, place, address, and the beginning of its text."""
    from rich.text import Text

    for rank, hit in enumerate(hits, 1):
        source = SourceRef.of(hit.document, hit.passage)
        out.print(
            Text.assemble((f"{rank}. ", "bold"), (place(source), "bold"), (f"  {hit.score:.3f}", "dim"))
        )
        if source.designation:
            _flow(Text(one_line(source.title), style="italic"), out, _INDENT, _INDENT)
        text = Text(one_line(hit.passage.text))
        text.truncate(280, overflow="ellipsis")
        _flow(text, out, _INDENT, _INDENT)
        out.print(Text(f"    {link(source)}\n", style="blue"), soft_wrap=True)
