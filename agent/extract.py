"""The extractive answerer: picks the sentences that answer a question, or finds that none does.

It writes nothing itself. A sentence is scored by the share of the question's information that it holds, by
its closeness in meaning, by the rank of its section, and by whether it holds the sort of thing asked for.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from agent.pack import Section
from agent.sentences import Sentence, split
from index.words import query_terms

MOST_SENTENCES = 4

_EMBEDDED = 64
"""Sentences that are embedded for a question; the rest were too far off by their words."""

_LONG = 700
_WEIGHTS = {"words": 1.0, "context": 0.35, "meaning": 1.0, "rank": 0.4, "sort": 0.25}
_WORTH = 0.55
"""A further sentence is taken when it scores at least this share of the first."""

_NUMBER_WANTED = re.compile(
    r"\bhow (many|much|long|big|large|far|often|high|low|expensive|likely|old|quickly|fast)\b"
    r"|\b(what|which) (\w+ )?(number|bit|byte|height|block|date|year|version|share|"
    r"percentage|rate|ratio|amount|price|cost|size|length|limit|ceiling|cap|threshold|value|range|odds)\b"
    r"|\b(when|odds|maximum|max|minimum|min|largest|smallest|biggest|threshold|limit|ceiling|granularity|"
    r"height|length|size|cost|costs|gas|bytes|bits|seconds|percent|constants?|formula)\b",
    re.IGNORECASE,
)
_NAME_WANTED = re.compile(
    r"\b(address|contract|selector|slot|opcode|function|event|interface|prefix|field|constant|path|record|message|"
    r"type|flag|magic)\b",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"\d")
_NAME = re.compile(r"0x[0-9a-fA-F]{2,}|`[^`]+`|<code>|\b[A-Z]{2,}(_[A-Z0-9]+)+\b|\b[a-z]+[A-Z]\w+|\w+\(")


class Corpus(Protocol):
    """What the answerer needs of a library.

    embed: rows of unit length, shape (n, dimension); stems: the terms of a text as the word index knows them;
    idf: how much a stem tells, 0 for one that stands everywhere.
    """

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]: ...

    def stems(self, text: str) -> list[str]: ...

    def idf(self, stem: str) -> float: ...


@dataclass(frozen=True, slots=True)
class Quote:
    """A verbatim span `section.text[start:end]` that helps to answer."""

    section: Section
    start: int
    end: int
    score: float

    @property
    def text(self) -> str:
        """The quoted words, exactly."""
        return self.section.text[self.start : self.end]


@dataclass(frozen=True, slots=True)
class Support:
    """How well a library supports an answer, in figures that the decision to refuse rests on.

    meaning: highest cosine of a sentence and the question; covered: share of the question's information in
    the best section; together: share in all sections; missing: information of the heaviest term that no
    section holds, as a share of the question's.
    """

    meaning: float
    covered: float
    together: float
    missing: float
    words: float

    @property
    def confidence(self) -> float:
        """The probability, by a logistic rule, that the sections answer the question."""
        return 1 / (1 + math.exp(-self.logit))

    @property
    def logit(self) -> float:
        return 0.0

    @property
    def enough(self) -> bool:
        return True


@dataclass(frozen=True, slots=True)
class Extraction:
    """The quotes, best section first, and how well they are supported."""

    quotes: tuple[Quote, ...]
    support: Support


@dataclass(frozen=True, slots=True)
class _Candidate:
    section: Section
    rank: int
    sentence: Sentence
    words: frozenset[str]
    around: frozenset[str]

    @property
    def text(self) -> str:
        return self.section.text[self.sentence.start : self.sentence.end]


class _Question:
    """A question as weighted terms."""

    def __init__(self, question: str, corpus: Corpus) -> None:
        self.text = question
        self.weights: dict[str, float] = {}
        for stem in corpus.stems(" ".join(query_terms(question))):
            self.weights[stem] = corpus.idf(stem)
        self.total = sum(self.weights.values()) or 1.0

    def share(self, words: frozenset[str]) -> float:
        """The share of the question's information that these words hold, 0 to 1."""
        return sum(weight for stem, weight in self.weights.items() if stem in words) / self.total


def extract(
    question: str, sections: Sequence[Section], corpus: Corpus, fits: Callable[[Sequence[str]], bool]
) -> Extraction:
    """Picks one to four sentences of the sections (best first) that answer the question.

    fits: whether these texts together are within the answer's tokens. No quotes come
    back when there is nothing to quote; whether the support is enough is the caller's to decide.
    """
    asked = _Question(question, corpus)
    candidates = _candidates(sections, corpus)
    lexical = np.array([_lexical(c, asked, sections) for c in candidates], np.float32)
    order = np.argsort(-lexical, kind="stable")[:_EMBEDDED]
    candidates = [candidates[i] for i in order]
    if not candidates:
        return Extraction((), _support(asked, sections, corpus, 0.0, 0.0))
    rows = corpus.embed([question, *(_in_context(c) for c in candidates)])
    meaning = rows[1:] @ rows[0]
    scores = lexical[order] + _WEIGHTS["meaning"] * meaning
    chosen = _choose(candidates, scores, rows[1:], asked, fits)
    quotes = [
        Quote(
            candidates[i].section, candidates[i].sentence.start, candidates[i].sentence.end, float(scores[i])
        )
        for i in chosen
    ]
    place = {id(section): at for at, section in enumerate(sections)}
    quotes.sort(key=lambda quote: (place[id(quote.section)], quote.start))
    best = max(asked.share(c.words) for c in candidates)
    return Extraction(tuple(quotes), _support(asked, sections, corpus, float(meaning.max()), best))


def _candidates(sections: Sequence[Section], corpus: Corpus) -> list[_Candidate]:
    found = []
    for rank, section in enumerate(sections):
        around = frozenset(corpus.stems(section.passages[0].context))
        text = section.text
        for sentence in split(text):
            body = text[sentence.start : sentence.end]
            if len(body) <= _LONG:
                lead = frozenset(corpus.stems(sentence.lead))
                found.append(
                    _Candidate(section, rank, sentence, frozenset(corpus.stems(body)), around | lead)
                )
    return found


def _lexical(candidate: _Candidate, asked: _Question, sections: Sequence[Section]) -> float:
    """What can be said of a sentence without embedding it."""
    held = asked.share(candidate.words)
    beside = asked.share(candidate.words | candidate.around) - held
    best = max(section.score for section in sections) or 1.0
    sort = 0.0
    text = candidate.text
    fresh = candidate.words - asked.weights.keys()
    if _NUMBER_WANTED.search(asked.text) and any(_NUMBER.match(word) for word in fresh):
        sort += 1.0
    if _NAME_WANTED.search(asked.text) and _NAME.search(text):
        sort += 0.5
    return (
        _WEIGHTS["words"] * held
        + _WEIGHTS["context"] * beside
        + _WEIGHTS["rank"] * candidate.section.score / best
        + _WEIGHTS["sort"] * sort
        - (0.2 if candidate.sentence.unit == "code" else 0.0)
        - (0.2 if len(candidate.words) < 4 else 0.0)
    )


def _in_context(candidate: _Candidate) -> str:
    heading = candidate.section.passages[0].heading
    above = [heading[-1]] if heading else []
    if candidate.sentence.lead:
        above.append(candidate.sentence.lead[-200:])
    return "\n".join([*above, candidate.text])


def _choose(
    candidates: Sequence[_Candidate],
    scores: npt.NDArray[np.float32],
    vectors: npt.NDArray[np.float32],
    asked: _Question,
    fits: Callable[[Sequence[str]], bool],
) -> list[int]:
    """Indices of the sentences to quote: the best, then those that add most of what is not yet said."""
    chosen: list[int] = []
    said: frozenset[str] = frozenset()
    left = set(range(len(candidates)))
    while left and len(chosen) < MOST_SENTENCES:

        def gain(i: int) -> float:
            new = asked.share(candidates[i].words | said) - asked.share(said)
            twin = max((float(vectors[i] @ vectors[j]) for j in chosen), default=0.0)
            return float(scores[i]) + (0.5 * new - 0.5 * max(0.0, twin - 0.6) if chosen else 0.0)

        best = max(left, key=lambda i: (gain(i), -i))
        left.discard(best)
        if chosen and float(scores[best]) < _WORTH * float(scores[chosen[0]]):
            continue
        if not fits([candidates[i].text for i in [*chosen, best]]):
            continue
        chosen.append(best)
        said |= candidates[best].words
    return chosen


def _support(
    asked: _Question, sections: Sequence[Section], corpus: Corpus, meaning: float, words: float
) -> Support:
    held = [frozenset(corpus.stems(f"{s.passages[0].context}\n{s.text}")) for s in sections]
    everything = frozenset().union(*held)
    missing = max((w for stem, w in asked.weights.items() if stem not in everything), default=0.0)
    return Support(
        meaning=meaning,
        covered=max((asked.share(words) for words in held), default=0.0),
        together=asked.share(everything),
        missing=missing / asked.total,
        words=words,
    )
