"""Finds where sentences of an answer give different values for the same thing, from different documents."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations

from agent.answers import Citation, Disagreement, Sentence
from agent.facts import Fact, facts
from agent.quantities import Quantity
from agent.support import Weights

_ALIKE = 0.6
"""The share of their information that two sentences must have in common, their values aside."""


def disagreements(
    sentences: Sequence[Sentence], citations: Sequence[Citation], weights: Weights
) -> tuple[Disagreement, ...]:
    """The pairs of sentences, alike in words, of different documents, that share no value of one unit."""
    documents = {citation.number: citation.source.uri for citation in citations}
    found = [facts(sentence.text) for sentence in sentences]
    out = []
    for one, other in combinations(range(len(sentences)), 2):
        here, there = ({documents[number] for number in sentences[at].citations} for at in (one, other))
        if here & there or not (values := _differing(found[one], found[other])):
            continue
        if _alike(sentences[one].text, sentences[other].text, [*found[one], *found[other]], weights):
            cited = (sentences[one].citations, sentences[other].citations)
            out.append(Disagreement((one, other), values, cited))
    return tuple(out)


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


def _alike(one: str, other: str, said: Sequence[Fact], weights: Weights) -> bool:
    """Whether two sentences speak of the same thing."""
    for fact in said:
        one, other = one.replace(fact.text, " "), other.replace(fact.text, " ")
    here, there = weights.content(one), weights.content(other)
    every = {**here, **there}
    shared = math.fsum(every[stem] for stem in here.keys() & there.keys())
    return shared >= _ALIKE * (sum(every.values()) or 1.0)
