"""An answer from the tables, followed by what other sources say to the rest of its question."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

from agent.answerers.quoted import lines
from agent.answers.question import Question
from agent.answers.values import Disagreement, Draft
from index.errors import BudgetError
from index.values import Filters, Kind

_ANAPHORA = re.compile(r"\b(?:it|its|that|this|them|their|they|those|these|same)\b", re.IGNORECASE)

_NAME = re.compile(r"\b(?!0x)[A-Z][\w-]+")


def completed(rows: Draft, question: Question, quote: Callable[[Question], Draft]) -> Draft:
    """The rows, then quotations for the parts of the question that the rows leave open.

    quote: answers in quotations. A part that stands for itself is asked alone; those that go back to the rows
    are asked as the whole question, with the names that the rows gave. What stays open is noted.
    """
    if rows.refused or not rows.rest:
        return replace(rows, rest=())
    asked = [clause for clause in rows.rest if not _ANAPHORA.search(clause)]
    notes: list[str] = []
    if len(asked) < len(rows.rest):
        names = _NAME.findall(" ".join(one.text for one in rows.sentences))
        asked.append(" ".join([question.read_as, *dict.fromkeys(names)]))
    whole = rows
    for clause in asked:
        part = replace(
            question,
            read_as=clause,
            subject=clause,
            budget=question.budget // len(asked),
            wants="explanation",
        )
        try:
            quoted = quote(part)
        except BudgetError:
            notes.append(f'not answered, for the budget is too small: "{clause}"')
            continue
        if not quoted.refused:
            whole = _joined(whole, quoted)
        elif clause in rows.rest:
            notes.append(f'not in the library: "{clause}"')
        else:
            notes += [f'not in the library: "{one}"' for one in rows.rest if one not in asked]
    return replace(whole, notes=(*whole.notes, *notes), rest=())


def _others(filters: Filters) -> tuple[Kind, ...]:
    """The kinds of source that are not rows."""
    return tuple(kind for kind in filters.kinds or Kind if kind is not Kind.EVENT)


def _joined(rows: Draft, quoted: Draft) -> Draft:
    """One answer after another."""
    packings = rows.packing, quoted.packing
    after = len(rows.citations)
    added = tuple(replace(one, number=one.number + after) for one in quoted.citations)
    sentences = tuple(
        replace(one, citations=tuple(number + after for number in one.citations)) for one in quoted.sentences
    )
    return replace(
        rows,
        text=f"{rows.text}\n{lines(sentences, added)}",
        sentences=rows.sentences + sentences,
        citations=rows.citations + added,
        packing=replace(
            rows.packing,
            evidence=sum(one.evidence for one in packings),
            reserve=sum(one.reserve for one in packings),
            items=tuple(item for one in packings for item in one.items),
        ),
        usage=replace(
            rows.usage,
            tokens_in=rows.usage.tokens_in + quoted.usage.tokens_in,
            tokens_out=rows.usage.tokens_out + quoted.usage.tokens_out,
        ),
        notes=rows.notes + quoted.notes,
        disagreements=tuple(_moved(one, len(rows.sentences), after) for one in quoted.disagreements),
    )


def _moved(one: Disagreement, sentences: int, citations: int) -> Disagreement:
    """The same further down: behind so many sentences and citations."""
    (here, there), (ours, theirs) = one.sentences, one.citations
    return Disagreement(
        (here + sentences, there + sentences),
        one.values,
        (tuple(n + citations for n in ours), tuple(n + citations for n in theirs)),
    )
