"""The numbered evidence of one question: what its searches found, joined where it touches, nothing twice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from agent.answers.packing import Section
from agent.requests.pack import alike, joined, shingles
from index.values import Hit

_RRF = 60
"""The constant of reciprocal rank fusion (Cormack, Clarke and Büttcher 2009)."""


class Evidence:
    """Sections with numbers from 1, which a model cites. A number never changes its meaning.

    twins: passages left out, for they repeat one that is there.
    """

    def __init__(self) -> None:
        self.twins: list[Hit] = []
        self._sections: dict[int, Section] = {}
        self._hits: dict[str, Hit] = {}
        self._at: dict[str, int] = {}
        self._stands_for: dict[str, str] = {}
        self._shingles: dict[str, frozenset[tuple[str, ...]]] = {}
        self._scores: dict[str, tuple[float, int]] = {}
        self._searches = 0

    @property
    def sections(self) -> Mapping[int, Section]:
        """All sections by number, also those that a wider one has taken the place of."""
        return MappingProxyType(self._sections)

    def add(self, hits: Sequence[Hit]) -> tuple[int, ...]:
        """Takes in what a search found, best first; the numbers under which it stands, in the same order.

        What touches passages of its document forms one section with them, under a new number. What is there
        already, or repeats a passage that is (see `pack`), keeps the number it has.
        """
        self._searches += 1
        names: dict[str, None] = {}
        new: dict[str, None] = {}
        for hit in hits:
            name = self._name(hit)
            if name not in self._at:
                new[name] = None
            names[name] = None
        for name in new:
            if name not in self._at:
                self._number(name)
        for rank, name in enumerate(names, 1):
            score, _ = self._scores.get(name, (0.0, 0))
            self._scores[name] = (score + 1 / (_RRF + rank), self._searches)
        return tuple(dict.fromkeys(self._at[name] for name in names))

    def ranked(self) -> tuple[int, ...]:
        """The numbers to show, best first, without those that are part of a wider section.

        Searches are fused by reciprocal ranks; of equals, what a later search found stands first.
        """
        best: dict[int, tuple[float, int]] = {}
        for name, number in self._at.items():
            best[number] = max(best.get(number, (0.0, 0)), self._scores[name])
        return tuple(sorted(best, key=lambda number: best[number], reverse=True))

    def _name(self, hit: Hit) -> str:
        """The id of the passage that stands for this one: itself, or the one that it repeats."""
        own = hit.passage.id
        if own in self._stands_for:
            return self._stands_for[own]
        here = shingles(hit.passage.text)
        twin = next((name for name, there in self._shingles.items() if alike(here, there)), None)
        if twin is not None:
            self.twins.append(hit)
        else:
            self._shingles[own] = here
            self._hits[own] = hit
        self._stands_for[own] = twin or own
        return self._stands_for[own]

    def _number(self, name: str) -> None:
        """Gives a number to the section that this new passage is part of."""
        uri = self._hits[name].passage.uri
        beside = [hit for hit in self._hits.values() if hit.passage.uri == uri]
        section = next(one for one in joined(beside) if any(passage.id == name for passage in one.passages))
        number = len(self._sections) + 1
        self._sections[number] = section
        self._at.update((passage.id, number) for passage in section.passages)
