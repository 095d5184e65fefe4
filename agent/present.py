"""Answers, citations and hits as people read them: plain words, Markdown, and where each source opens."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import date
from pathlib import PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from agent.sentences import Unit
from index.values import Hit, Kind, SourceRef

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from agent.answers import Answer, Citation
    from agent.excerpt import Excerpt
    from agent.verify import Check

_ESCAPES = re.compile(
    r"\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?"  # operating system commands, such as links and titles
    r"|\x1b[PX^_].*?(?:\x1b\\|$)"
    r"|[\x1b\x9b]\[?[0-?]*[ -/]*[@-~]"
    r"|[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]"
)
_RENDERED = {".md", ".markdown", ".mediawiki", ".rst", ".adoc", ".org", ".textile"}
"""What GitHub shows rendered, where a line number means nothing without `?plain=1`."""


_LAYOUT = re.compile(r" *(?:#{1,6} |[-*+] |\d{1,3}[.)] |> )+")
"""What lays out a line of Markdown: headings, items, quotations."""

EXTRACTIVE = "extractive"
"""Who answered, where no chat model did."""

_INDENT = "    "


def clean(text: str) -> str:
    r"""Source text made safe for a terminal: no escape sequences, control or direction characters.

    >>> clean("red \x1b[31malert\x1b[0m")
    'red alert'
    """
    return _ESCAPES.sub("", text)


def one_line(text: str) -> str:
    r"""Clean text with every run of white space as one space.

    >>> one_line(" a\n  b ")
    'a b'
    """
    return " ".join(clean(text).split())


def readable(quote: str, unit: Unit) -> str:
    r"""A quotation as it stands in an answer: prose in one line, what is laid out in lines with its lines.

    >>> readable("one\n  two", "prose"), readable("- one\n\n- two  ", "item")
    ('one two', '- one\n- two')
    """
    if unit == "prose":
        return one_line(quote)
    return "\n".join(line.rstrip() for line in clean(quote).splitlines() if line.strip())


def place(source: SourceRef) -> str:
    """The name, heading, and page or lines of a source.

    Such as `EIP-1559 § Specification, lines 120–141`.
    """
    path = source.heading if source.kind is Kind.FORUM else source.heading[-1:]
    heading = f" § {' › '.join(path)}" if path and path[-1] != source.title else ""
    where = f", page {source.page}" if source.page else ""
    if source.line_start is not None and not source.page:
        one = source.line_start == source.line_end
        where = f", line {source.line_start}" if one else f", lines {source.line_start}–{source.line_end}"
    return one_line(f"{source.designation or source.title}{heading}{where}")


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
        uri = re.sub(r"git\+(file:.*)@[^@#]+#", r"\1/", uri)
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


def to_markdown(answer: Answer) -> str:
    """The answer as a Markdown document: question, answer, notes, numbered sources with links."""
    lines = [f"# {_escaped(answer.question)}", ""]
    if answer.refused:
        lines += [_escaped(answer.text), "", "Nearest sources:", ""]
        lines += [f"- [{_escaped(place(source))}]({link(source)})" for source in answer.nearest]
    elif answer.answered_by == EXTRACTIVE:
        for sentence in answer.sentences:
            marks = "".join(f" [{number}]" for number in sentence.citations)
            quoted = map(_escaped, f"{sentence.text}{marks}".split("\n"))
            lines += ["> " + "\\\n> ".join(quoted), ""]
    else:
        lines += [*_markdown(answer.text), ""]
    if notes := told(answer):
        lines += ["", *(f"- {_escaped(note)}" for note in notes), ""]
    if answer.citations:
        lines += ["## Sources", ""]
        lines += [
            f"{c.number}. [{_escaped(place(c.source))}]({link(c.source)}), "
            + (f"commit `{clean(c.source.commit)}`, " if c.source.commit else "")
            + f"retrieved {c.source.retrieved_at:%Y-%m-%d}, sha256 `{c.source.sha256}`"
            for c in answer.citations
        ]
    lines += ["", f"Answer {answer.id}, {answer.answered_by}, library generation {answer.generation}."]
    return "\n".join(lines).replace("\n\n\n", "\n\n") + "\n"


def _escaped(text: str) -> str:
    return re.sub(r"([\\`*_\[\]<>#|])", r"\\\1", one_line(text))


def _markdown(text: str) -> Iterable[str]:
    """Markdown that a model wrote, with its layout, and nothing in it that could act, such as a link."""
    code = False
    for line in clean(text).split("\n"):
        fence = line.startswith("```")
        code ^= fence
        if code or fence:
            yield line
        elif line.startswith("|"):
            yield "|".join(map(_escaped, line.split("|")))
        else:
            mark = _LAYOUT.match(line)
            begins = mark.group() if mark else ""
            yield begins + _escaped(line[len(begins) :])


def told(answer: Answer) -> list[str]:
    """What a person should know beside the answer: how it was made, disagreements, age of sources."""
    out = [f"read as: {answer.read_as}"] if answer.read_as else []
    out += ["given before to the same question; nothing has changed since"] if answer.cached else []
    out += answer.notes
    for one in answer.disagreements:
        sides = (
            f"{value} {''.join(f'[{number}]' for number in numbers)}"
            for value, numbers in zip(one.values, one.citations, strict=True)
        )
        out.append(f"the sources disagree: {' against '.join(sides)}")
    published, retrieved = answer.age
    said = [f"published {_days(*published)}"] if published else []
    said += [f"retrieved {_days(*retrieved)}"] if retrieved else []
    return [one_line(note) for note in out] + ([f"sources {', '.join(said)}"] if said else [])


def _days(first: date, last: date) -> str:
    return f"{first}" if first == last else f"{first} to {last}"


def console(*, stderr: bool = False) -> Console:
    """Where people read: no markup is interpreted, nothing is highlighted, colour only on a terminal."""
    from rich.console import Console

    return Console(markup=False, highlight=False, emoji=False, stderr=stderr)


def show_answer(answer: Answer, out: Console, *, parted: bool = False) -> None:
    """Prints the sentences, then the sources with their addresses, then what it took.

    parted: whether a ruled line with a name stands above the sources.
    """
    from rich.text import Text

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
    marked.highlight_regex(r"\[\d+\](?=(?:\s*\[\d+\])*\W*$)", "cyan")
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
