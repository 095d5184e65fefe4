"""Fits ranked passages into a token budget: whole passages, the best first, none twice."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from agent.answers.packing import PackedItem, PackingReport, Section, Verdict
from agent.requests.budget import Budget
from index.values import Hit

_SHINGLE = 5
_NEAR_DUPLICATE = 0.8


@dataclass(frozen=True, slots=True)
class Packing:
    """The evidence for one question, best section first, and the report on what was left out."""

    sections: tuple[Section, ...]
    report: PackingReport

    def render(self) -> str:
        """The evidence as one text, whose tokens the report counts."""
        return "".join(section.render() for section in self.sections)


def pack(hits: Sequence[Hit], budget: Budget) -> Packing:
    """Keeps the passages of `hits` (best first) that fit into the room of `budget`, each of them whole.

    A passage that does not fit is left out and the next one tried. What repeats a kept passage (Jaccard
    similarity of five-word shingles of 0.8 or more) is left out. Touching passages become one section.
    """
    kept: list[Hit] = []
    items: list[PackedItem] = []
    seen: list[frozenset[tuple[str, ...]]] = []
    room = budget.room
    for hit in hits:
        tokens = budget.count(Section(hit.document, (hit.passage,), hit.score).render())
        here = shingles(hit.passage.text)
        verdict: Verdict = "kept"
        if any(alike(here, other) for other in seen):
            verdict = "near-duplicate"
        elif tokens > room:
            verdict = "no room"
        else:
            room -= tokens
            kept.append(hit)
            seen.append(here)
        items.append(PackedItem(hit.passage.id, hit.document.path, tokens, verdict))
    return _fitted(kept, items, budget)


def _fitted(kept: list[Hit], items: list[PackedItem], budget: Budget) -> Packing:
    """Counts the evidence as it is rendered, and drops from the end should the parts not add up."""
    while True:
        sections = joined(kept)
        evidence = budget.count("".join(section.render() for section in sections))
        if evidence <= budget.room:
            break
        dropped = kept.pop().passage.id
        items = [replace(item, verdict="no room") if item.passage_id == dropped else item for item in items]
    report = PackingReport(budget.total, budget.question, budget.reserve, evidence, tuple(items))
    return Packing(sections, report)


def joined(kept: Sequence[Hit]) -> tuple[Section, ...]:
    """Sections of touching passages; each stands where its best passage stood."""
    rank = {hit.passage.id: at for at, hit in enumerate(kept)}
    runs: list[list[Hit]] = []
    for hit in sorted(kept, key=lambda h: (h.passage.uri, h.passage.sha256, h.passage.start, h.passage.end)):
        before = runs[-1][-1].passage if runs else None
        here = hit.passage
        if before and (before.uri, before.sha256, before.end) == (here.uri, here.sha256, here.start):
            runs[-1].append(hit)
        else:
            runs.append([hit])
    runs.sort(key=lambda run: min(rank[hit.passage.id] for hit in run))
    return tuple(
        Section(run[0].document, tuple(h.passage for h in run), max(h.score for h in run)) for run in runs
    )


def shingles(text: str) -> frozenset[tuple[str, ...]]:
    """The runs of five words in a text, by which it is known to repeat another."""
    words = re.findall(r"\w+", text.lower())
    return frozenset(tuple(words[at : at + _SHINGLE]) for at in range(max(1, len(words) - _SHINGLE + 1)))


def alike(one: frozenset[tuple[str, ...]], other: frozenset[tuple[str, ...]]) -> bool:
    """Whether two texts are near-duplicates: their shingles have a Jaccard similarity of 0.8 or more."""
    few, many = sorted((len(one), len(other)))
    return few >= _NEAR_DUPLICATE * many and len(one & other) >= _NEAR_DUPLICATE * len(one | other)
