"""An answer as a Markdown document, and what a person should know beside it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date

from agent.answers.place import link, place
from agent.answers.values import EXTRACTIVE, Answer
from agent.text.render import clean, one_line
from index.values import SourceRef

_SHOWN = 60
"""Characters of a sentence that is named again."""

_LAYOUT = re.compile(r" *(?:#{1,6} |[-*+] |\d{1,3}[.)] |> )+")
"""What lays out a line of Markdown: headings, items, quotations."""


def to_markdown(answer: Answer) -> str:
    """The answer as a Markdown document: question, answer, notes, numbered sources with links."""
    failed = failure(answer)
    lines = [f"**{_escaped(failed)}**", ""] if failed else []
    lines += [f"# {_escaped(answer.question)}", ""]
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


def failure(answer: Answer) -> str | None:
    """What a person reads first where no chat model answered; None where one did, or none was asked."""
    if not answer.model_failed:
        return None
    why = answer.notes[0] if answer.notes else "it gave no answer; the library is quoted instead"
    return one_line(f"The chat model failed: {why}.")


def told(answer: Answer) -> list[str]:
    """What a person should know beside the answer, and beside its `failure`.

    How it was made, the source's own words for what is not verified, disagreements, the age of its sources;
    and that all of it rests on one text, of which copies are no further source.
    """
    out = [f"read as: {answer.read_as}"] if answer.read_as else []
    out += ["given before to the same question; nothing has changed since"] if answer.cached else []
    for sentence in answer.sentences:
        if sentence.beside:
            marks = "".join(f"[{number}]" for number in sentence.citations)
            out.append(f"unverified: {_clipped(sentence.text)} The source says: “{sentence.beside}” {marks}")
    out += answer.notes[answer.model_failed :]
    whose = {citation.number: _standing(citation.source) for citation in answer.citations}
    for one in answer.disagreements:
        sides = [
            f"{value} " + "".join(f"[{number}]{whose.get(number, '')}" for number in numbers)
            for value, numbers in zip(one.values, one.citations, strict=True)
        ]
        out.append(f"the sources differ: {' against '.join(sides)}")
    published, retrieved = answer.age
    said = [f"published {_days(*published)}"] if published else []
    said += [f"retrieved {_days(*retrieved)}"] if retrieved else []
    texts = {citation.source.sha256 for citation in answer.citations}
    rests = "one source alone," if len(texts) == 1 else "sources"
    return [one_line(note) for note in out] + ([f"{rests} {', '.join(said)}"] if said else [])


def _standing(source: SourceRef) -> str:
    """Whose a side is and whether it is in force, as far as that is known."""
    known = ", ".join(part for part in (source.designation, source.status) if part)
    return f" ({known})" if known else ""


def _clipped(text: str) -> str:
    text = one_line(text)
    return f"“{text}”" if len(text) <= _SHOWN else f"“{text[:_SHOWN]}…”"


def _days(first: date, last: date) -> str:
    return f"{first}" if first == last else f"{first} to {last}"
