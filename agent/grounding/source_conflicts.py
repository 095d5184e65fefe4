"""Finds where sentences of an answer give different values for the same thing, from different documents."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations

from agent.answers.values import Citation, Disagreement, Sentence
from agent.grounding.evidence_selection import IdfWeights
from agent.grounding.fact_extraction import Fact, facts
from agent.text.quantities import Quantity
from index.values import Kind

_ALIKE = 0.6
"""The share of their information that two sentences must have in common, their values aside."""


def contradicting(
    said: Sequence[tuple[Sentence, Citation]],
    others: Sequence[tuple[Sentence, Citation]],
    weights: IdfWeights,
) -> int | None:
    """The first of the others that gives another value than a sentence that is said; None without."""
    every = [*said, *others]
    sentences = [replace(one, citations=(at,)) for at, (one, _) in enumerate(every)]
    citations = [replace(citation, number=at) for at, (_, citation) in enumerate(every)]
    pairs = (found.sentences for found in disagreements(sentences, citations, weights))
    beside = [other - len(said) for one, other in pairs if one < len(said) <= other]
    return min(beside, default=None)


def disagreements(
    sentences: Sequence[Sentence], citations: Sequence[Citation], weights: IdfWeights
) -> tuple[Disagreement, ...]:
    """The pairs of sentences, alike in words, of different documents, that share no value of one unit.

    Rows of a chain are each of their own place there, and contradict nothing.
    """
    documents = {
        citation.number: citation.source.uri
        for citation in citations
        if citation.source.kind is not Kind.EVENT
    }
    found = [facts(sentence.text) for sentence in sentences]
    pairs = []
    for one, other in combinations(range(len(sentences)), 2):
        here, there = (documents.keys() & set(sentences[at].citations) for at in (one, other))
        apart = {documents[n] for n in here}.isdisjoint(documents[n] for n in there)
        if here and there and apart and (values := _differing(found[one], found[other])):
            said = [*found[one], *found[other]]
            pairs.append((one, other, values, [_without(said, sentences[at].text) for at in (one, other)]))
    weights.contents_of([text for *_, texts in pairs for text in texts])
    return tuple(
        Disagreement((one, other), values, (sentences[one].citations, sentences[other].citations))
        for one, other, values, texts in pairs
        if _alike(*map(weights.content, texts))
    )


def _differing(here: Sequence[Fact], there: Sequence[Fact]) -> tuple[str, str] | None:
    """One value of each, of the same sort, where no value of that sort is in both."""
    ours, theirs = _by_sort(here), _by_sort(there)
    for sort in ours:
        if sort in theirs and ours[sort].keys().isdisjoint(theirs[sort]):
            return next(iter(ours[sort].values())), next(iter(theirs[sort].values()))
    return None


def _by_sort(some: Sequence[Fact]) -> dict[str, dict[object, str]]:
    """The values of each sort, with how they are written."""
    found: dict[str, dict[object, str]] = {}
    for fact in some:
        if sort := _sort(fact):
            found.setdefault(sort, {})[_value(fact)] = fact.text
    return found


def _sort(fact: Fact) -> str:
    """What a value can be compared with: of one unit, length or precision; empty: with nothing."""
    if isinstance(fact.key, Quantity):
        return f"quantity {fact.key.unit}"
    if fact.kind in ("address", "hash"):
        return f"{fact.kind} {len(str(fact.key))}"
    if fact.kind == "date" and isinstance(fact.key, tuple):
        return f"date {[part is not None for part in fact.key]}"
    return ""


def _value(fact: Fact) -> object:
    return fact.key.value if isinstance(fact.key, Quantity) else fact.key


def _without(said: Sequence[Fact], text: str) -> str:
    for fact in said:
        text = text.replace(fact.text, " ")
    return text


def _alike(here: Mapping[str, float], there: Mapping[str, float]) -> bool:
    """Whether two sentences speak of the same thing, by what their stems weigh."""
    every = {**here, **there}
    shared = math.fsum(every[stem] for stem in here.keys() & there.keys())
    return shared >= _ALIKE * (sum(every.values()) or 1.0)
