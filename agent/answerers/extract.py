"""The extractive answerer: picks the sentences that answer a question, or finds that none does.

It writes nothing itself. A sentence is scored by the share of the question's information that it holds, by
its closeness in meaning, by the rank of its section, and by whether it holds the sort of thing asked for.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from agent.answers.packing import Section
from agent.text.corpus import Corpus, information
from agent.text.sentences import Sentence, Unit, split
from index.words import code_names, file_names, query_terms

MOST_SENTENCES = 4

_EMBEDDED = 64
"""Sentences that are embedded for a question; the rest were too far off by their words."""

_LONG, _RUN = 700, 400
"""Characters of the longest unit quoted, and of the longest run of short units quoted as one."""

_LEAD = 200
"""Characters of its lead that are embedded with a sentence."""

_LICENCE = "SPDX-License-Identifier"
"""What a file of code begins with, which answers nothing."""

_CLOSEST = 3
"""Sentences whose closeness to the question is averaged."""

_WORDS, _CONTEXT, _MEANING, _RANK, _SORT, _FORM, _SUBJECT, _POOR = 1.0, 0.5, 2.0, 0.2, 0.25, 1.0, 0.3, 0.2
"""Weights of a sentence's words, its headings', its cosine, section, sort and form, of its place being
named in the question, and of a fragment."""

_WORTH = 0.75
"""A further sentence is taken when it scores at least this share of the best."""

_TWIN = 0.95
"""Cosine above which two sentences say the same."""

_NUMBER_WANTED = re.compile(
    r"\bhow (many|much|long|big|large|far|often|high|low|old|fast)\b"
    r"|\b(what|which) (\w+ )?(number|date|year|share|percentage|rate|ratio|amount|price|cost|size|length|"
    r"limit|value|range|version|height)\b"
    r"|\b(when|maximum|max|minimum|min|largest|smallest|threshold|limit|size|length|cost|bytes|bits|"
    r"seconds|percent)\b",
    re.IGNORECASE,
)
_NAME_WANTED = re.compile(
    r"\b(address|contract|selector|slot|opcode|function|event|interface|prefix|field|constant|path|record|message|"
    r"type|flag|magic)\b",
    re.IGNORECASE,
)
_HEAD = (
    r"(?i)\b(?:what|which)\b(?: (?!an?\b)[\w'’.-]+){0,5}? (?:%s)"
    r"(?=\s*(?:[?.,;:]|$|(?:of|for|in|at|on|to|that|is|was|are|were|do|does|did|has|will|would|must|may|can)\b))"
)
_TYPES = tuple(
    (re.compile(_HEAD % noun), re.compile(form))
    for noun, form in (
        ("hash|txid|digest", r"(?<![0-9a-fA-F])[0-9a-fA-F]{64}(?![0-9a-fA-F])"),
        ("timestamp", r"(?<![\w.])\d{9,13}(?!\w)"),
        ("date|day|month|year", r"\b(1[89]|2\d)\d\d\b|(?<![\w.])\d{9,13}(?!\w)"),
        (
            "price|payout|bounty|prize",
            r"(?i)[$€£]\s?\d|\d[\d.,]*\s?([km]\s?)?(usd|dollar|eth|btc|bitcoin|.?wei|sat)",
        ),
    )
)
"""Answers that are known by their form (Prager et al. 2000, Question-Answering by Predictive Annotation).

The noun that `what` or `which` asks for, and the form of what can be an answer.
"""

_REPORTS = re.compile(r"\b(?:says?|said|tells?|mentions?)\b", re.IGNORECASE)
"""Verbs by which a question asks what a source holds; they are not of its subject."""

_NAMED = re.compile(r"(?<!^)(?<![.?!:]\s)\b[A-Z][\w-]+|\b\w*\d\w*\b|\b\w+[A-Z]\w*")
"""Names and numbers in a question, save the word that a sentence begins with."""

_NAME = re.compile(r"0x[0-9a-fA-F]{2,}|`[^`]+`|<code>|\b[A-Z]{2,}(_[A-Z0-9]+)+\b|\b[a-z]+[A-Z]\w+|\w+\(")


@dataclass(frozen=True, slots=True)
class Quote:
    """A verbatim span `section.text[start:end]` that helps to answer."""

    section: Section
    start: int
    end: int
    unit: Unit

    @property
    def text(self) -> str:
        """The quoted words, exactly."""
        return self.section.text[self.start : self.end]


@dataclass(frozen=True, slots=True)
class Support:
    """How well the evidence supports an answer, in the figures that the decision to refuse rests on.

    closeness: mean cosine of the question and its three closest sentences.
    covered: the best section's share of the question's information.
    information: the same in words, where a word that stands nowhere else counts as 1.
    unnamed: the share of the question's information that lies in names and numbers which no quote, nor a
    heading above it, holds.
    formed: whether the quotes hold what the answer must look like, such as the digits of a hash.
    """

    closeness: float
    covered: float
    information: float
    unnamed: float
    formed: bool = True

    @property
    def margin(self) -> float:
        """Log odds that the evidence answers the question, less those at which it is refused.

        The weights are a logistic fit of a hundred judged questions, asked with and without the documents
        that answer them, and of some that have no answer.
        """
        known = 1.75 * self.closeness + 2.49 * self.covered + 1.33 * self.information
        return known - 2.6 * self.unnamed - 3.88

    @property
    def enough(self) -> bool:
        """Whether to answer at all."""
        return self.formed and self.margin > 0


@dataclass(frozen=True, slots=True)
class Extraction:
    """The quotes, best section first, and how well they are supported."""

    quotes: tuple[Quote, ...]
    support: Support


@dataclass(frozen=True, slots=True)
class _Candidate:
    section: Section
    sentence: Sentence
    words: frozenset[str]
    around: frozenset[str]
    named: bool

    @property
    def quote(self) -> Quote:
        return Quote(self.section, self.sentence.start, self.sentence.end, self.sentence.unit)

    @property
    def text(self) -> str:
        return self.section.text[self.sentence.start : self.sentence.end]

    @property
    def in_context(self) -> str:
        """What is embedded: the heading and the lead, then the text."""
        above = [*self.section.passages[0].heading[-1:], self.sentence.lead[-_LEAD:], self.text]
        return "\n".join(line for line in above if line)


class _Question:
    """A question as terms, each weighted by its BM25 idf, on a scale where an unknown word weighs 1."""

    def __init__(self, question: str, corpus: Corpus, size: int) -> None:
        self.weights: dict[str, float] = {}
        stems = corpus.stems(" ".join(query_terms(_REPORTS.sub(" ", question))))
        for stem, found in zip(stems, corpus.frequencies(stems), strict=True):
            self.weights[stem] = information(found, size)
        self.total = sum(self.weights.values()) or 1.0
        named = frozenset(corpus.stems(" ".join(_NAMED.findall(question))))
        self.names = {stem: weight for stem, weight in self.weights.items() if stem in named}
        self.declared, self.files = code_names(question), file_names(question)
        self.wants_number = bool(_NUMBER_WANTED.search(question))
        self.wants_name = bool(_NAME_WANTED.search(question))
        self.forms = [form for noun, form in _TYPES if noun.search(question)]

    def of(self, section: Section, corpus: Corpus) -> bool:
        """Whether the question names the section: its proposal, its file, or a name that it declares."""
        number, file = section.document.number, section.document.path.rpartition("/")[2].lower()
        if file in self.files or (number and self.names.keys() >= {*corpus.stems(number)}):
            return True
        found = (one.partition("(")[0] for passage in section.passages for one in passage.identifiers)
        return not self.declared.isdisjoint(found)

    def formed(self, text: str) -> bool:
        """Whether a text holds what the answer is known to look like; true where that is not known."""
        return all(form.search(text) for form in self.forms)

    def unnamed(self, words: frozenset[str]) -> float:
        """The share of the question's information that lies in names and numbers outside these words."""
        return sum(weight for stem, weight in self.names.items() if stem not in words) / self.total

    def share(self, words: frozenset[str]) -> float:
        """The share of the question's information that these words hold, 0 to 1."""
        return sum(weight for stem, weight in self.weights.items() if stem in words) / self.total


def extract(
    question: str,
    sections: Sequence[Section],
    corpus: Corpus,
    size: int,
    fits: Callable[[Sequence[Quote]], bool],
) -> Extraction:
    """Picks one to four sentences of the sections (best first) that answer the question.

    size: passages in the corpus; fits: whether these quotes together are within the answer's tokens.
    No quotes come back where nothing can be quoted; whether the support is enough is the caller's to decide.
    """
    asked = _Question(question, corpus, size)
    candidates = _candidates(sections, asked, corpus)
    best = max((section.score for section in sections), default=0.0) or 1.0
    lexical = {id(c): _lexical(c, asked, best) for c in candidates}
    candidates = sorted(candidates, key=lambda c: -lexical[id(c)])[:_EMBEDDED]
    if not candidates:
        return Extraction((), Support(0.0, 0.0, 0.0, 0.0))
    rows = corpus.embed([question, *(c.in_context for c in candidates)])
    meaning = rows[1:] @ rows[0]
    scores = [lexical[id(c)] + _MEANING * float(m) for c, m in zip(candidates, meaning, strict=True)]
    chosen = _choose(candidates, scores, rows[1:], asked, fits)
    order = {id(section): at for at, section in enumerate(sections)}
    chosen.sort(key=lambda at: (order[id(candidates[at].section)], candidates[at].sentence.start))
    quoted = [candidates[at] for at in chosen]
    closest = float(np.sort(meaning)[-_CLOSEST:].mean())
    quotes = tuple(candidate.quote for candidate in quoted)
    return Extraction(quotes, _support(asked, sections, quoted, corpus, closest))


def _candidates(sections: Sequence[Section], asked: _Question, corpus: Corpus) -> list[_Candidate]:
    found = []
    for section in sections:
        around = frozenset(corpus.stems(section.passages[0].context))
        named = asked.of(section, corpus)
        text = section.text
        for sentence in _runs(text, split(text)):
            body = text[sentence.start : sentence.end]
            if len(body) <= _LONG and _LICENCE not in body:
                lead = frozenset(corpus.stems(sentence.lead))
                found.append(
                    _Candidate(section, sentence, frozenset(corpus.stems(body)), around | lead, named)
                )
    return found


def _runs(text: str, sentences: Sequence[Sentence]) -> Iterator[Sentence]:
    """Joins short neighbours that are read together: items, lines of code, a table's rows and its head."""
    held: Sentence | None = None
    for sentence in sentences:
        if held is not None and held.unit == sentence.unit and _joins(text, held, sentence):
            held = Sentence(held.start, sentence.end, held.unit, held.lead)
            continue
        if held is not None:
            yield held
        held = sentence
    if held is not None:
        yield held


def _joins(text: str, held: Sentence, after: Sentence) -> bool:
    together = held.lead == after.lead or after.lead == text[held.start : held.start + len(after.lead)]
    return held.unit in ("item", "row", "code") and together and after.end - held.start <= _RUN


def _lexical(candidate: _Candidate, asked: _Question, best: float) -> float:
    """What can be said of a sentence without embedding it. best: the score of the best section."""
    held = asked.share(candidate.words)
    beside = asked.share(candidate.words | candidate.around) - held
    poor = candidate.sentence.unit in ("code", "field") or len(candidate.words) < 4
    return (
        _WORDS * held
        + _CONTEXT * beside
        + _RANK * candidate.section.score / best
        + _SORT * _sort(candidate, asked)
        + _FORM * (bool(asked.forms) and asked.formed(candidate.text))
        + _SUBJECT * candidate.named
        - _POOR * poor
    )


def _sort(candidate: _Candidate, asked: _Question) -> float:
    """Whether the sentence holds the sort of thing asked for: a number that the question lacks, a name."""
    number = asked.wants_number and any(word[:1].isdigit() for word in candidate.words - asked.weights.keys())
    name = asked.wants_name and bool(_NAME.search(candidate.text))
    return number + 0.5 * name


def _choose(
    candidates: Sequence[_Candidate],
    scores: Sequence[float],
    vectors: npt.NDArray[np.float32],
    asked: _Question,
    fits: Callable[[Sequence[Quote]], bool],
) -> list[int]:
    """Indices of the best candidate, then of those that score well and add most of what is not yet said."""
    chosen: list[int] = []
    said: frozenset[str] = frozenset()
    floor = _WORTH * max(scores)
    left = {i for i, score in enumerate(scores) if score >= floor}
    while left and len(chosen) < MOST_SENTENCES:
        gains = {i: scores[i] + bool(chosen) * asked.share(candidates[i].words - said) for i in left}
        best = min(left, key=lambda i: (-gains[i], i))
        left.discard(best)
        twin = any(float(vectors[best] @ vectors[i]) > _TWIN for i in chosen)
        if twin or not fits([candidates[i].quote for i in [*chosen, best]]):
            continue
        chosen.append(best)
        said |= candidates[best].words
    return chosen


def _support(
    asked: _Question,
    sections: Sequence[Section],
    quoted: Sequence[_Candidate],
    corpus: Corpus,
    closeness: float,
) -> Support:
    covered = max(
        asked.share(frozenset(corpus.stems(f"{section.passages[0].context}\n{section.text}")))
        for section in sections
    )
    said = frozenset().union(*(candidate.words | candidate.around for candidate in quoted))
    formed = asked.formed("\n".join(candidate.text for candidate in quoted))
    return Support(closeness, covered, covered * asked.total, asked.unnamed(said), formed)
