"""Finds where sentences of an answer give different values for the same thing, from different documents."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import combinations

from agent.answers.values import Citation, Disagreement, Sentence
from agent.grounding.evidence_selection import IdfWeights
from agent.grounding.fact_extraction import Fact, facts
from agent.text.quantities import Quantity

_ALIKE = 0.6
"""The share of their information that two sentences must have in common, their values aside."""


def disagreements(
    sentences: Sequence[Sentence], citations: Sequence[Citation], weights: IdfWeights
) -> tuple[Disagreement, ...]:
    """The pairs of sentences, alike in words, of different documents, that share no value of one unit."""
    documents = {citation.number: citation.source.uri for citation in citations}
    found = [facts(sentence.text) for sentence in sentences]
    pairs = []
    for one, other in combinations(range(len(sentences)), 2):
        here, there = ({documents[number] for number in sentences[at].citations} for at in (one, other))
        if not here & there and (values := _differing(found[one], found[other])):
            said = [*found[one], *found[other]]
            pairs.append((one, other, values, [_without(said, sentences[at].text) for at in (one, other)]))
    weights.contents_of([text for *_, texts in pairs for text in texts])
    return tuple(
        Disagreement((one, other), values, (sentences[one].citations, sentences[other].citations))
        for one, other, values, texts in pairs
        if _alike(*map(weights.content, texts))
    )


def _differing(here: Sequence[Fact], there: Sequence[Fact]) -> tuple[str, str] | None:
    """One value of each, of the same unit, where no value of that unit is in both."""
    ours, theirs = (
        [(fact.key, fact.text) for fact in some if isinstance(fact.key, Quantity)] for some in (here, there)
    )
    for a, text in ours:
        same_unit = [(b, other) for b, other in theirs if b.unit == a.unit]
        shared = {q.value for q, _ in ours if q.unit == a.unit} & {b.value for b, _ in same_unit}
        if same_unit and not shared:
            return text, same_unit[0][1]
    return None


def _without(said: Sequence[Fact], text: str) -> str:
    for fact in said:
        text = text.replace(fact.text, " ")
    return text


def _alike(here: Mapping[str, float], there: Mapping[str, float]) -> bool:
    """Whether two sentences speak of the same thing, by what their stems weigh."""
    every = {**here, **there}
    shared = math.fsum(every[stem] for stem in here.keys() & there.keys())
    return shared >= _ALIKE * (sum(every.values()) or 1.0)
