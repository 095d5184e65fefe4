"""Shortens a source to its best sentences: each verbatim, in order, with a mark where some are left out."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from agent.text.sentences import Sentence, split
from index.terms import STOPWORDS, query_terms, terms

CUT = "[…]"
"""Stands where something is left out."""

_LETTERS = 5
"""Letters by which words are compared, a plain form of stemming (McNamee and Mayfield 2004)."""

_BESIDE = 0.4
"""The share of its neighbour's worth that a sentence gains: an answer often stands beside what is asked."""

Span = tuple[int, int]


def compress(
    text: str, question: str, most: int, count: Callable[[str], int], around: str = ""
) -> tuple[Span, ...]:
    """The spans of `text` to keep so that `excerpt` takes at most `most` tokens; none where nothing fits.

    Sentences are taken by the idf of the question's terms that they hold, each sentence being a document.
    A row comes with the head of its table. around: what stands above the text and so is no sentence's own.
    """
    units = split(text)
    asked = _keys(query_terms(question))
    worth = _worth([text[unit.start : unit.end] for unit in units], asked - _keys(terms(around)) or asked)
    chosen: set[int] = set()
    spans: tuple[Span, ...] = ()
    for at in sorted(range(len(units)), key=lambda at: (-worth[at], at)):
        if worth[at] <= 0 and spans:
            break
        wider = _spans(text, units, chosen | {at})
        if count(excerpt(text, wider)) <= most:
            chosen.add(at)
            spans = wider
    return spans


def excerpt(text: str, spans: Sequence[Span]) -> str:
    r"""The spans of a text, with a mark for each gap.

    >>> excerpt("One. Two. Three. Four.", [(0, 4), (10, 16)])
    'One.\n[…]\nThree.\n[…]'
    """
    parts: list[str] = []
    last = 0
    for start, end in spans:
        if text[last:start].strip():
            parts.append(CUT)
        parts.append(text[start:end])
        last = end
    if text[last:].strip():
        parts.append(CUT)
    return "\n".join(parts)


def _spans(text: str, units: Sequence[Sentence], chosen: set[int]) -> tuple[Span, ...]:
    """Where the chosen units and their leads stand; neighbours are one span."""
    wanted = set(chosen)
    leads = set()
    for at in chosen:
        start = text.rfind(units[at].lead, 0, units[at].start) if units[at].lead else -1
        if start >= 0:
            leads.add((start, start + len(units[at].lead)))
    found = sorted({(units[at].start, units[at].end) for at in wanted} | leads)
    joined: list[Span] = []
    for start, end in found:
        if joined and (start <= joined[-1][1] or not text[joined[-1][1] : start].strip()):
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return tuple(joined)


def _worth(sentences: Sequence[str], asked: frozenset[str]) -> list[float]:
    """What each sentence tells of what is asked, with a share of what its neighbours tell."""
    held = [asked & _keys(terms(sentence)) for sentence in sentences]
    weights = {key: _idf(sum(key in keys for keys in held), len(held)) for key in asked}
    own = [sum(weights[key] for key in keys) for keys in held]
    return [
        value + _BESIDE * max(before, after)
        for before, value, after in zip([0.0, *own], own, [*own[1:], 0.0], strict=False)
    ]


def _idf(found: int, size: int) -> float:
    """As BM25 has it."""
    return math.log(1 + (size - found + 0.5) / (found + 0.5))


def _keys(words: Sequence[str]) -> frozenset[str]:
    return frozenset(word[:_LETTERS] if word.isalpha() else word for word in words if word not in STOPWORDS)
