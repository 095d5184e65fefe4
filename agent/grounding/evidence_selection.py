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
from agent.grounding.fact_extraction import Fact, Kind, numeric_facts
from agent.grounding.fact_matching import Held
from agent.text.corpus import Corpus, information
from agent.text.normalize import plain
from agent.text.sentences import split
from index.words import query_terms

MOST_SPANS = 3
"""Spans of one source that a sentence may rest on."""

_TOLD = 5
"""Words from which on a line between the units may be quoted."""

_WINDOW = 4
"""Neighbouring units that a quotation may reach over."""

_LEAD = 300
"""Characters of the line above a list or table that count as part of each item and row."""

_HALF, _NEARLY, WHOLE, _SOME = 0.5, 0.8, 0.9, 4
"""The shares of a sentence's words in one span: from _HALF on it speaks of the same; from _NEARLY on none of
its values may be another; from WHOLE on all of at least _SOME words bind the values to it."""

_MARK = "xqzjkv"
"""A word that no text has."""

_VALUES: tuple[Kind, ...] = ("number", "date", "time", "address", "hash", "power", "ordinal", "designation")

ADDS = 0.12
"""The share of a sentence that a further span must add, where it adds no fact."""


class Weights:
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
        self, section: Section, start: int, end: int, around: str = "", stems: frozenset[str] = frozenset()
    ) -> None:
        self.section, self.start, self.end, self.around, self.stems = section, start, end, around, stems

    @property
    def text(self) -> str:
        """The words of the span, exactly."""
        return self.section.text[self.start : self.end]

    @cached_property
    def held(self) -> Held:
        """The span as a holder of facts."""
        return Held(self.text, self.around)


class Source:
    """A numbered section of the evidence, divided into spans."""

    def __init__(self, number: int, section: Section, weights: Weights) -> None:
        self.number, self.section, self._weights = number, section, weights

    @cached_property
    def spans(self) -> list[Span]:
        """The quotable units in order, and the lines between them that are long enough to say something."""
        places = list(self._places())
        texts = [f"{around}\n{self.section.text[start:end]}" for start, end, around in places]
        stems = self._weights.stems_of(texts)
        return [Span(self.section, *place, found) for place, found in zip(places, stems, strict=True)]

    def _places(self) -> Iterator[tuple[int, int, str]]:
        """Where the spans begin and end, and what belongs to each from above."""
        text, end = self.section.text, 0
        for unit in split(text):
            context = passage_at(self.section, unit.start)[0].context
            above = text[end : unit.start].rpartition("\n")[0]
            table = unit.unit == "row" and unit.lead.lstrip()[:1] in "|!"
            lead = unit.lead[-_LEAD:] if table or unit.lead.endswith(":") else ""
            around = "\n".join(filter(None, (context, above.strip(), lead)))
            yield from self._lines(end, unit.start)
            yield unit.start, unit.end, around
            end = unit.end
        yield from self._lines(end, len(text))

    def _lines(self, start: int, end: int) -> Iterator[tuple[int, int, str]]:
        """Headings, or items of a list that look like headings, of `_TOLD` words or more."""
        for line in re.finditer(r"\S.*\S", self.section.text[start:end]):
            if len(re.findall(r"\w+", line.group())) >= _TOLD:
                yield start + line.start(), start + line.end(), ""

    @cached_property
    def stems(self) -> frozenset[str]:
        """The stems of all spans."""
        return frozenset[str]().union(*(span.stems for span in self.spans))

    def read(self) -> None:
        """Finds the spans, with what of them is made of digits, before they are asked for."""
        for span in self.spans:
            _ = span.held.numeric

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
                return Span(self.section, start, end)
            at = dense.find(wanted, at + 1)
        return None

    def _windows(self) -> Iterator[Span]:
        for size in range(2, _WINDOW + 1):
            for at in range(len(self.spans) - size + 1):
                window = self.spans[at : at + size]
                stems = frozenset[str]().union(*(span.stems for span in window))
                yield Span(self.section, window[0].start, window[-1].end, window[0].around, stems)


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


_COUNTED = re.compile(r"(?<![\w.,])(\d[\d.,_]*)((?: [A-Za-z][\w'’-]*){3}| [A-Za-z]\w* \([^()\s]+\))")
"""A figure with what it counts: three words, or one with its address or symbol."""


def miscounted(text: str, found: Support) -> str | None:
    """A figure that the spans give otherwise before the same words; None where there is none."""
    ours, theirs = _counted(text), [_counted(span.text) for _, span in found.spans]
    for words, figures in ours.items():
        known = {figure: said for one in theirs for figure, said in one.get(words, {}).items()}
        if known and (strange := figures.keys() - known.keys()):
            wrong = min(strange)
            return f"where it says {figures[wrong]}, the source says {known[min(known)]}"
    return None


def _counted(text: str) -> dict[tuple[str, ...], dict[str, str]]:
    """What is counted, each with its figures and how they are written."""
    out: dict[tuple[str, ...], dict[str, str]] = {}
    for match in _COUNTED.finditer(" ".join(plain(text).replace("`", "").split())):
        words = tuple(word.lower().rstrip("s") for word in match[2].split())
        out.setdefault(words, {})[re.sub("[,_]", "", match[1]).rstrip(".")] = match.group()
    return out


def displaced(text: str, content: Mapping[str, float], found: Support) -> str | None:
    """A value in a sentence that was put in the place of another, in words; None where there is none.

    The closest span is the one that holds most of the sentence's words. Where it holds nearly all of them,
    the sentence's values must be in it too, and of as many values none may be another.
    """
    words = {stem: weight for stem, weight in content.items() if not stem[:1].isdigit()}
    total = sum(words.values())
    if not total or not found.spans:
        return None
    shares = [math.fsum(words[w] for w in words.keys() & span.stems) / total for _, span in found.spans]
    share = max(shares)
    span = found.spans[shares.index(share)][1]
    if share < _NEARLY:
        return None
    said = Held(text)
    ours, theirs = numeric_facts(said.plain), numeric_facts(plain(span.text))
    for kind in _VALUES:
        here = [fact for fact in ours if fact.kind == kind]
        there = [fact for fact in theirs if fact.kind == kind]
        strange = [fact for fact in here if not span.held.holds(fact)]
        instead = [fact for fact in there if not (said.holds(fact) or any(map(Held(fact.text).holds, here)))]
        if instead and (strange or len(here) >= len(there)):
            return f"where it says {(strange or here)[0].text}, the source says {instead[0].text}"
        bound = share >= WHOLE and len(words) >= _SOME
        if strange and bound and not _said_alike(strange[0], shares, found):
            return f"its source does not say {strange[0].text} of this"
    return None


def _said_alike(fact: Fact, shares: Sequence[float], found: Support) -> bool:
    """Whether a span that speaks of half of the sentence says the fact, as where two rules are one."""
    spans = zip(shares, found.spans, strict=True)
    return any(share >= _HALF and span.held.holds(fact) for share, (_, span) in spans)


class Spelling(NamedTuple):
    """The stems with which a sentence spells a fact: of its figures or name alone, and with its unit."""

    bare: frozenset[str]
    whole: frozenset[str]

    def said_by(self, span: Span) -> frozenset[str]:
        """The stems that a span which holds the fact in another spelling says all the same."""
        return frozenset() if self.bare <= span.stems else self.whole


def support(
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
