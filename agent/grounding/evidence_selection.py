"""Which spans of the evidence carry a sentence: its facts to the letter, then its words, then its meaning.

Coverage is the share of a sentence's information (its stems, each weighted by BM25's idf) that stands in the
spans chosen for it. Closeness is the cosine of the sentence and the best of these spans.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import NamedTuple

from agent.answers.cite import passage_at
from agent.answers.packing import Section
from agent.grounding.alignment import verbatim_units
from agent.grounding.clauses import Wording, readings, topic_of
from agent.grounding.fact_extraction import Fact
from agent.grounding.fact_matching import FactIndex
from agent.grounding.words import words
from agent.text.corpus import Corpus, information
from agent.text.normalize import plain
from agent.text.sentences import split
from index.terms import query_terms

MOST_SPANS = 3
"""Spans of one source that a sentence may rest on."""

_TOLD = 5
"""Words from which on a line between the units may be quoted."""

_WINDOW = 4
"""Neighbouring units that a quotation may reach over."""

_LEAD = 300
"""Characters of the line above a list or table that count as part of each item and row."""

_MARK = "xqzjkv"
"""A word that no text has."""

_SHORT = 3
"""Characters of a name that is too short to stand for its document."""

_MOSTLY, _PARTLY = 0.5, 0.25
"""The shares of a claim's information that stand in a source and a span of which it may be the own words."""

ADDS = 0.12
"""The share of a sentence that a further span must add, where it adds no fact."""


class IdfWeights:
    """Stems of texts, and what each weighs: its idf, on a scale where an unknown word weighs 1."""

    def __init__(self, corpus: Corpus) -> None:
        self._corpus, self._size = corpus, corpus.size
        self._idf: dict[str, float] = {}
        self._contents: dict[str, dict[str, float]] = {}

    @cached_property
    def _mark(self) -> str:
        [stem] = self._corpus.stems(_MARK)
        return stem

    def stems(self, text: str) -> frozenset[str]:
        """All stems of a text."""
        return self.stems_of([text])[0]

    def stems_of(self, texts: Sequence[str]) -> list[frozenset[str]]:
        """The stems of each text, for which the library is asked once: a word of no text divides them."""
        return list(map(frozenset, self._stemmed(list(map(plain, texts)))))

    def content(self, text: str) -> Mapping[str, float]:
        """The stems that can tell texts apart, with their weights."""
        return self.contents_of([text])[0]

    def contents_of(self, texts: Sequence[str]) -> list[Mapping[str, float]]:
        """The same of each text, for which the library is asked once."""
        new = [text for text in dict.fromkeys(texts) if text not in self._contents]
        found = self._stemmed([" ".join(query_terms(plain(text))) for text in new])
        self._weigh(dict.fromkeys(chain.from_iterable(found)))
        self._contents |= {
            text: {stem: self._idf[stem] for stem in stems} for text, stems in zip(new, found, strict=True)
        }
        return [self._contents[text] for text in texts]

    def _stemmed(self, texts: Sequence[str]) -> list[list[str]]:
        if not texts:
            return []
        found: list[list[str]] = [[]]
        for stem in self._corpus.stems(f"\n{_MARK}\n".join(texts)):
            if stem == self._mark:
                found.append([])
            else:
                found[-1].append(stem)
        return found

    def _weigh(self, stems: Iterable[str]) -> None:
        new = [stem for stem in stems if stem not in self._idf]
        for stem, found in zip(new, self._corpus.frequencies(new) if new else (), strict=True):
            self._idf[stem] = information(found, self._size)


class Span:
    """A unit of a section, or a few neighbours: `section.text[start:end]`, with the headings above it."""

    def __init__(
        self,
        section: Section,
        start: int,
        end: int,
        around: str = "",
        lead: str = "",
        stems: frozenset[str] = frozenset(),
    ) -> None:
        self.section, self.start, self.end, self.stems = section, start, end, stems
        self.around, self.lead = around, lead

    @property
    def text(self) -> str:
        """The words of the span, exactly."""
        return self.section.text[self.start : self.end]

    @cached_property
    def held(self) -> FactIndex:
        """The span as a holder of facts."""
        return FactIndex(self.text, self.around)


class Source:
    """A numbered section of the evidence, divided into spans."""

    def __init__(self, number: int, section: Section, weights: IdfWeights) -> None:
        self.number, self.section, self._weights = number, section, weights

    @cached_property
    def spans(self) -> list[Span]:
        """The quotable units in order, and the lines between them that are long enough to say something."""
        places = list(self._places())
        texts = [f"{around}\n{self.section.text[start:end]}" for start, end, around, _ in places]
        stems = self._weights.stems_of(texts)
        return [Span(self.section, *place, found) for place, found in zip(places, stems, strict=True)]

    def _places(self) -> Iterator[tuple[int, int, str, str]]:
        """Where the spans begin and end, what belongs to each from above, and the line that leads to it."""
        text, end = self.section.text, 0
        for unit in split(text):
            context = passage_at(self.section, unit.start)[0].context
            above = text[end : unit.start].rpartition("\n")[0]
            table = unit.unit == "row" and unit.lead.lstrip()[:1] in "|!"
            lead = unit.lead[-_LEAD:] if table or unit.lead.endswith(":") else ""
            around = "\n".join(filter(None, (context, above.strip(), lead)))
            yield from self._lines(end, unit.start)
            yield unit.start, unit.end, around, lead if lead.endswith(":") else ""
            end = unit.end
        yield from self._lines(end, len(text))

    def _lines(self, start: int, end: int) -> Iterator[tuple[int, int, str, str]]:
        """Headings, or items of a list that look like headings, of `_TOLD` words or more."""
        for line in re.finditer(r"\S.*\S", self.section.text[start:end]):
            if len(re.findall(r"\w+", line.group())) >= _TOLD:
                yield start + line.start(), start + line.end(), "", ""

    @cached_property
    def stems(self) -> frozenset[str]:
        """The stems of all spans."""
        return frozenset[str]().union(*(span.stems for span in self.spans))

    @cached_property
    def name(self) -> tuple[str, ...]:
        """What its document is called."""
        document = self.section.document
        return tuple(one for one in (document.number, document.title) if one and len(one) > _SHORT)

    @cached_property
    def readings(self) -> list[tuple[Wording, ...]]:
        """The words of each span, in the ways in which it may be read."""
        found: list[tuple[Wording, ...]] = []
        topic: tuple[str, ...] = ()
        for span in self.spans:
            found.append(readings(span.text, span.lead, topic, self.name))
            topic = topic_of(found[-1][0]) or topic
        return found

    def verbatim(self, said: str, content: Mapping[str, float], facts: Iterable[Fact]) -> tuple[Span, ...]:
        """The spans whose own words a claim is, if any. content: its stems with their weights.

        The facts of the claim must be there too: the addresses of links are no words.
        """
        total = sum(content.values())
        if not total or math.fsum(content[w] for w in content.keys() & self.stems) < _MOSTLY * total:
            return ()
        shared = (math.fsum(content[w] for w in content.keys() & span.stems) for span in self.spans)
        near = [share >= _PARTLY * total for share in shared]
        units = [found if at else () for found, at in zip(self.readings, near, strict=True)]
        found = verbatim_units(words(said, self.name), units)
        around = {near for at in found for near in (at, max(at - 1, 0))}
        held = all(any(self.spans[at].held.holds(fact) for at in around) for fact in facts)
        return tuple(self.spans[at] for at in found) if held else ()

    def read(self) -> None:
        """Finds the spans, with their words and what of them is made of digits, before they are asked for."""
        for span, some in zip(self.spans, self.readings, strict=True):
            _ = span.held.numeric, span.held.quotable, [(one.begins, one.vocabulary) for one in some]

    def holding(self, fact: Fact) -> list[Span]:
        """The spans that hold a fact; for a quotation or code that no one unit holds, neighbours together."""
        found = [span for span in self.spans if span.held.holds(fact)]
        if found or fact.kind not in ("quotation", "code"):
            return found
        return [span for span in self._windows() if span.held.holds(fact)][:1]

    def code(self, code: str) -> Span | None:
        """Where these lines stand, white space aside."""
        places = [at for at, char in enumerate(self.section.text) if not char.isspace()]
        dense, wanted = "".join(self.section.text.split()), "".join(code.split())
        at = dense.find(wanted) if wanted else -1
        while at >= 0:
            start, end = places[at], places[at + len(wanted) - 1] + 1
            if not (_joins(self.section.text, start) or _joins(self.section.text, end)):
                return Span(self.section, start, end)
            at = dense.find(wanted, at + 1)
        return None

    def _windows(self) -> Iterator[Span]:
        for size in range(2, _WINDOW + 1):
            for at in range(len(self.spans) - size + 1):
                window = self.spans[at : at + size]
                stems = frozenset[str]().union(*(span.stems for span in window))
                yield Span(self.section, window[0].start, window[-1].end, window[0].around, stems=stems)


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


class Spelling(NamedTuple):
    """The stems with which a sentence spells a fact: of its figures or name alone, and with its unit."""

    bare: frozenset[str]
    whole: frozenset[str]

    def said_by(self, span: Span) -> frozenset[str]:
        """The stems that a span which holds the fact in another spelling says all the same."""
        return frozenset() if self.bare <= span.stems else self.whole


def select_evidence(
    content: Mapping[str, float], facts: Mapping[Fact, Spelling], sources: Sequence[Source]
) -> Support:
    """Chooses spans greedily: each next one holds most facts not yet held, then most words not yet there.

    content: the sentence's stems with their weights.
    """
    holders = {fact: [(s.number, span) for s in sources for span in s.holding(fact)] for fact in facts}
    missing = tuple(fact for fact in facts if not holders[fact])
    left = {fact for fact in facts if holders[fact]}
    pool = {id(span): (s.number, span) for s in sources for span in s.spans}
    pool |= {id(span): (number, span) for spans in holders.values() for number, span in spans}
    held = {key: {f for f in left if any(span is pool[key][1] for _, span in holders[f])} for key in pool}
    pool = {key: one for key, one in pool.items() if held[key] or not one[1].stems.isdisjoint(content)}
    total = sum(content.values()) or 1.0
    chosen: list[tuple[int, Span]] = []
    covered: set[str] = set()
    while pool and len(chosen) < MOST_SPANS * len(sources):
        gain = {
            key: (
                len(held[key] & left),
                math.fsum(content[w] for w in content.keys() & span.stems - covered) / total,
            )
            for key, (_, span) in pool.items()
        }
        best = max(gain, key=lambda key: (gain[key][0] + gain[key][1], -len(pool[key][1].stems)))
        if chosen and not gain[best][0] and gain[best][1] < ADDS:
            break
        if sum(gain[best]) == 0:
            break
        number, span = pool.pop(best)
        chosen.append((number, span))
        covered |= content.keys() & span.stems.union(*(facts[fact].said_by(span) for fact in held[best]))
        left -= held[best]
    coverage = math.fsum(content[word] for word in covered) / total if content else 1.0
    return Support(tuple(chosen), missing, coverage)
