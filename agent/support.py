"""Which spans of the evidence carry a sentence: its facts to the letter, then its words, then its meaning.

Coverage is the share of a sentence's information (its stems, each weighted by BM25's idf) that stands in the
spans chosen for it. Closeness is the cosine of the sentence and the best of these spans.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

from agent import extract
from agent.cite import passage_at
from agent.facts import Fact, Kind, numeric_facts
from agent.fold import plain
from agent.held import Held
from agent.pack import Section
from agent.sentences import split
from index.words import query_terms

MOST_SPANS = 3
"""Spans of one source that a sentence may rest on."""

_WINDOW = 4
"""Neighbouring units that a quotation may reach over."""

_LEAD = 300
"""Characters of the line above a list or table that count as part of each item and row."""

_NEARLY, _WHOLE, _SOME = 0.8, 0.9, 4
"""The share of a sentence's words in one span from which on no value may be another, and from which on all of
at least so many words bind the values to the span."""

_VALUES: tuple[Kind, ...] = ("number", "date", "time", "address", "hash", "power", "ordinal", "designation")

_ADDS = 0.12
"""The share of a sentence that a further span must add, where it adds no fact."""


class Corpus(extract.Corpus, Protocol):
    """What grounding needs of a library."""

    @property
    def size(self) -> int:
        """How many passages it holds."""
        ...


class Weights:
    """Stems of texts, and what each weighs: its idf, on a scale where an unknown word weighs 1."""

    def __init__(self, corpus: Corpus) -> None:
        self._corpus, self._size = corpus, corpus.size
        self._idf: dict[str, float] = {}

    def stems(self, text: str) -> frozenset[str]:
        """All stems of a text."""
        return frozenset(self._corpus.stems(plain(text)))

    def content(self, text: str) -> dict[str, float]:
        """The stems that can tell texts apart, with their weights."""
        stems = self._corpus.stems(" ".join(query_terms(plain(text))))
        return {stem: self._weight(stem) for stem in stems}

    def _weight(self, stem: str) -> float:
        if stem not in self._idf:
            found = min(self._corpus.frequency(stem), self._size)
            idf = math.log(1 + (self._size - found + 0.5) / (found + 0.5))
            self._idf[stem] = idf / math.log(1 + (self._size + 0.5) / 0.5)
        return self._idf[stem]


class Span:
    """A unit of a section, or a few neighbours: `section.text[start:end]`, with the headings above it."""

    def __init__(self, section: Section, start: int, end: int, around: str, weights: Weights) -> None:
        self.section, self.start, self.end, self.around = section, start, end, around
        self._weights = weights

    @property
    def text(self) -> str:
        """The words of the span, exactly."""
        return self.section.text[self.start : self.end]

    @cached_property
    def held(self) -> Held:
        """The span as a holder of facts."""
        return Held(self.text, self.around)

    @cached_property
    def stems(self) -> frozenset[str]:
        """The stems of the span and of what stands above it."""
        return self._weights.stems(f"{self.around}\n{self.text}")


class Source:
    """A numbered section of the evidence, divided into spans."""

    def __init__(self, number: int, section: Section, weights: Weights) -> None:
        self.number, self.section, self._weights = number, section, weights

    @cached_property
    def spans(self) -> list[Span]:
        """The quotable units in order."""
        text, spans, end = self.section.text, [], 0
        for unit in split(text):
            context = passage_at(self.section, unit.start)[0].context
            above = text[end : unit.start].rpartition("\n")[0]
            table = unit.unit == "row" and unit.lead.lstrip()[:1] in "|!"
            lead = unit.lead[-_LEAD:] if table or unit.lead.endswith(":") else ""
            around = "\n".join(filter(None, (context, above.strip(), lead)))
            spans.append(Span(self.section, unit.start, unit.end, around, self._weights))
            end = unit.end
        return spans

    @cached_property
    def stems(self) -> frozenset[str]:
        """The stems of the whole section and its headings."""
        contexts = "\n".join(dict.fromkeys(passage.context for passage in self.section.passages))
        return self._weights.stems(f"{contexts}\n{self.section.text}")

    def holding(self, fact: Fact) -> list[Span]:
        """The spans that hold a fact; for a quotation or code that no one unit holds, neighbours together."""
        found = [span for span in self.spans if span.held.holds(fact)]
        if found or fact.kind not in ("quotation", "code"):
            return found
        return [span for span in self._windows() if span.held.holds(fact)][:1]

    def verbatim(self, code: str) -> Span | None:
        """Where these lines stand, white space aside."""
        places = [at for at, char in enumerate(self.section.text) if not char.isspace()]
        dense, wanted = "".join(self.section.text.split()), "".join(code.split())
        at = dense.find(wanted) if wanted else -1
        while at >= 0:
            start, end = places[at], places[at + len(wanted) - 1] + 1
            if not (_joins(self.section.text, start) or _joins(self.section.text, end)):
                return Span(self.section, start, end, "", self._weights)
            at = dense.find(wanted, at + 1)
        return None

    def _windows(self) -> Iterator[Span]:
        for size in range(2, _WINDOW + 1):
            for first, last in zip(self.spans, self.spans[size - 1 :], strict=False):
                yield Span(self.section, first.start, last.end, first.around, self._weights)


def _joins(text: str, at: int) -> bool:
    """Whether a name or number goes on over this offset."""
    return re.fullmatch(r"\w\w|[.,]\d|\d[.,]", text[max(at - 1, 0) : at + 1]) is not None and at > 0


@dataclass(frozen=True, slots=True)
class Support:
    """What some sources do for a sentence. spans: the chosen, best first, with the numbers of their sources.

    missing: facts that none of them holds; coverage: the share of the sentence's information in the spans.
    """

    spans: tuple[tuple[int, Span], ...]
    missing: tuple[Fact, ...]
    coverage: float


def displaced(text: str, content: Mapping[str, float], found: Support) -> str | None:
    """A value in a sentence that was put in the place of another, in words; None where there is none.

    The closest span is the one that holds most of the sentence's words. Where it holds nearly all of them,
    the sentence's values must be in it too, and of as many values none may be another.
    """
    words = {stem: weight for stem, weight in content.items() if not stem[:1].isdigit()}
    total = sum(words.values())
    if not total or not found.spans:
        return None
    shares = [sum(words[w] for w in words.keys() & span.stems) / total for _, span in found.spans]
    share = max(shares)
    span = found.spans[shares.index(share)][1]
    if share < _NEARLY:
        return None
    said = Held(text)
    for kind in _VALUES:
        here = [fact for fact in numeric_facts(said.plain) if fact.kind == kind]
        there = [fact for fact in numeric_facts(plain(span.text)) if fact.kind == kind]
        strange = [fact for fact in here if not span.held.holds(fact)]
        instead = [fact for fact in there if not said.holds(fact)]
        if instead and (strange or len(here) >= len(there)):
            return f"where it says {(strange or here)[0].text}, the source says {instead[0].text}"
        if strange and share >= _WHOLE and len(words) >= _SOME:
            return f"its source does not say {strange[0].text} of this"
    return None


def support(content: dict[str, float], facts: Sequence[Fact], sources: Sequence[Source]) -> Support:
    """Chooses spans greedily: each next one holds most facts not yet held, then most words not yet there.

    content: the sentence's stems with their weights.
    """
    holders = {fact: [(s.number, span) for s in sources for span in s.holding(fact)] for fact in facts}
    missing = tuple(fact for fact in facts if not holders[fact])
    left = {fact for fact in facts if holders[fact]}
    pool = {id(span): (s.number, span) for s in sources for span in s.spans}
    pool |= {id(span): (number, span) for spans in holders.values() for number, span in spans}
    held = {key: {f for f in left if any(span is pool[key][1] for _, span in holders[f])} for key in pool}
    total = sum(content.values()) or 1.0
    chosen: list[tuple[int, Span]] = []
    covered: set[str] = set()
    while pool and len(chosen) < MOST_SPANS * len(sources):
        gain = {
            key: (
                len(held[key] & left),
                sum(content[w] for w in content.keys() & span.stems - covered) / total,
            )
            for key, (_, span) in pool.items()
        }
        best = max(gain, key=lambda key: (gain[key][0] + gain[key][1], -len(pool[key][1].stems)))
        if chosen and not gain[best][0] and gain[best][1] < _ADDS:
            break
        if sum(gain[best]) == 0:
            break
        number, span = pool.pop(best)
        chosen.append((number, span))
        covered |= content.keys() & span.stems
        left -= held[best]
    coverage = sum(content[word] for word in covered) / total if content else 1.0
    return Support(tuple(chosen), missing, coverage)
