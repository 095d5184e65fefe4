"""Chooses the sentences of the evidence that answer a question, verbatim.

A sentence is scored by its words and its closeness in meaning, by the rank of its section, by whether the
question names its document, and by a reader (`index.reader`) that was trained to tell answering sentences
from their neighbours. The first two choose what the reader reads; both scores are brought to one scale and
added.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import numpy.typing as npt

from agent.answerers.question_terms import QuestionTerms
from agent.answers.cite import passage_at
from agent.answers.packing import Section
from agent.text.corpus import Corpus
from agent.text.sentences import Sentence, Unit, split
from index.catalogue import STANDING
from index.reader import InContext
from index.values import Document, Kind, Passage

MOST_SENTENCES = 3
"""Sentences of an answer, unless it is asked for more."""

_EMBEDDED = 64
"""Sentences that are embedded for a question; the rest were too far off by their words."""

_LONG, _RUN = 700, 400
"""Characters of the longest unit quoted, and of the longest run of short units quoted as one."""

_LEAD = 200
"""Characters of its lead that are embedded with a sentence."""

_LICENCE = "SPDX-License-Identifier"
"""What a file of code begins with, which answers nothing."""

_READ = 24
"""Sentences that the reader reads."""

_NEAR = 160
"""Characters around a sentence that the reader reads with it."""

_CLOSEST = 3
"""Sentences whose closeness to the question is averaged."""

_WORDS, _CONTEXT, _MEANING, _RANK, _SORT, _FORM, _SUBJECT, _POOR = 1.0, 0.5, 2.0, 0.2, 0.25, 1.0, 0.3, 0.2
"""Weights of a sentence's words, its headings', its cosine, section, sort and form, of its place being
named in the question, and of a fragment."""

_PLAIN, _BY_NAME, _OPENS, _SETTLED, _LOOKS, _HOLDS = 1.0, 2.5, 1.5, 0.4, 1.5, 0.4
"""Weights beside the reader's score, all in standard deviations: of the score without the reader, of a
document that the question names or defines, of the opening of its abstract, of its status, of the form of the
answer, and of the sort of thing that is asked for."""

_NEW = 3.0
"""Weight of the share of the question that a further sentence adds to what is said already."""

_BEHIND = 2.0
"""A further sentence is taken when it scores at most so much less than the best."""

_TWIN = 0.95
"""Cosine above which two sentences say the same."""

_REFUSED = 3.95
"""What the evidence must weigh for an answer to be given."""

_NAME = re.compile(r"0x[0-9a-fA-F]{2,}|`[^`]+`|<code>|\b[A-Z]{2,}(_[A-Z0-9]+)+\b|\b[a-z]+[A-Z]\w+|\w\(")

_TITLE = re.compile(r"[^.!?:;`]{0,90}$")
_ADDRESS = re.compile(
    r"\W*(?:<?(?:https?|ftp|git)://\S++\W*+)++$"
    r"|\W{0,20}\[[^\]]*\]\([^)]*\)\W*$|\W{0,20}\[\[[^\]]*\]\]\W*$"
)
_CONTENTS = re.compile(r"(?:\.\s?){3}\.\s*(?:\d+\s*)?$")
_ASIDE = re.compile(
    r"(?:copyright|acknowledge?ments?|references?|citations?|licen[cs]e|table of contents"
    r"|change ?log|authors?)",
    re.IGNORECASE,
)
"""Headings of sections that answer nothing but what they are named by."""

OPENING = re.compile(
    r"\b(?:abstract|simple summary|summary|introduction|overview|motivation|purpose|definition)\b",
    re.IGNORECASE,
)


_CONTRAST = re.compile(
    r"\b(?:unlike|whereas|while|instead|differs?|different(?:ly)?|differences?|compared|contrast|opposite|opposed|rather"
    r"|however|in addition to|on the other hand|both|previous(?:ly)?|no longer|replaces?d?|extends?)\b",
    re.IGNORECASE,
)
"""Words by which a sentence tells things apart."""


class Scorer(Protocol):
    """What reads a question beside sentences, such as `index.reader.Reader`."""

    def scores(self, question: str, texts: Sequence[InContext]) -> npt.NDArray[np.float32]:
        """How well each text answers, shape (len(texts),), in log odds."""


@dataclass(frozen=True, slots=True)
class Quote:
    """A verbatim span `section.text[start:end]` that helps to answer.

    lead: the line above its list or table.
    """

    section: Section
    start: int
    end: int
    unit: Unit
    lead: str = ""

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
    read: the reader's log odds of the best sentence.
    """

    closeness: float
    covered: float
    information: float
    unnamed: float
    formed: bool = True
    read: float = 0.0

    @property
    def margin(self) -> float:
        """Log odds that the evidence answers the question, less those at which it is refused.

        The weights but the reader's are a logistic fit of a hundred judged questions, asked with and without
        the documents that answer them, and of some that have no answer. The reader's, and the bound, were set
        on 67 questions that it was not trained on, asked in the same two ways.
        """
        known = 1.75 * self.closeness + 2.49 * self.covered + 1.33 * self.information + self.read
        return known - 2.6 * self.unnamed - _REFUSED

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
class Candidate:
    """A sentence that may be quoted.

    words, around: stems of the sentence, and of its heading and lead; named: whether the question names its
    document; opens: whether it opens the abstract of what is to be defined.
    """

    section: Section
    passage: Passage
    sentence: Sentence
    words: frozenset[str]
    around: frozenset[str]
    named: bool
    opens: bool = False

    @property
    def quote(self) -> Quote:
        """The sentence as it is quoted."""
        sentence = self.sentence
        return Quote(self.section, sentence.start, sentence.end, sentence.unit, sentence.lead)

    @property
    def text(self) -> str:
        """The sentence, exactly."""
        return self.section.text[self.sentence.start : self.sentence.end]

    @property
    def in_context(self) -> str:
        """What is embedded: the heading and the lead, then the text."""
        above = [*self.passage.heading[-1:], self.sentence.lead[-_LEAD:], self.text]
        return "\n".join(line for line in above if line)

    @property
    def as_read(self) -> InContext:
        """What the reader reads: whose text it is, under which heading, and what stands around it."""
        text, sentence = self.section.text, self.sentence
        before = sentence.lead or text[max(0, sentence.start - _NEAR) : sentence.start]
        return InContext(
            about(self.section.document, self.passage),
            before,
            self.text,
            text[sentence.end : sentence.end + _NEAR],
        )


def about(document: Document, passage: Passage) -> str:
    """Whose text a passage is, in a line: designation, status, title and heading."""
    path = " › ".join([name for name in passage.heading if name != document.title][-2:])
    status = f"({document.status})" if document.status else ""
    name = " ".join(part for part in (document.number or "", status, document.title) if part)
    return f"{name} § {path}" if path else name


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked of the selection.

    question: as the reader reads it; subject: the words that sentences are found by;
    defines, compares: whether a thing is to be defined, or several told apart; named: uris of the documents
    that the question names; most: sentences at most.
    """

    question: str
    subject: str
    defines: bool = False
    compares: bool = False
    named: frozenset[str] = frozenset()
    most: int = MOST_SENTENCES


def select(
    wish: Wish,
    sections: Sequence[Section],
    corpus: Corpus,
    reader: Scorer,
    fits: Callable[[Sequence[Quote]], bool],
) -> Extraction:
    """Picks the sentences of the sections (best first) that answer the question, the best sentence first.

    fits: whether these quotes together are within the answer's tokens. No quotes come back where nothing can
    be quoted; whether the support is enough is the caller's to decide.
    """
    asked = QuestionTerms(wish.subject, corpus, corpus.size)
    pairs = ranked(wish, sections, corpus, asked)[:_EMBEDDED]
    candidates = [candidate for candidate, _ in pairs]
    if not candidates:
        return Extraction((), Support(0.0, 0.0, 0.0, 0.0))
    rows = corpus.embed([wish.question, *(c.in_context for c in candidates)])
    meaning = rows[1:] @ rows[0]
    plain = np.array([score for _, score in pairs], np.float32) + _MEANING * meaning
    order = np.argsort(-(plain + 0.5 * np.array([c.opens + c.named for c in candidates])), kind="stable")[
        :_READ
    ]
    candidates, plain, rows = [candidates[i] for i in order], plain[order], rows[1:][order]
    read = reader.scores(wish.question, [c.as_read for c in candidates])
    scores = _scaled(read) + _PLAIN * _scaled(plain) + [_prior(c, wish, asked) for c in candidates]
    chosen = _choose(candidates, scores.tolist(), rows, asked, fits, wish)
    quoted = [candidates[at] for at in chosen]
    closest = float(np.sort(meaning)[-_CLOSEST:].mean())
    support = _support(asked, sections, quoted, corpus, closest)
    return Extraction(tuple(c.quote for c in quoted), replace(support, read=float(read.max())))


def ranked(
    wish: Wish, sections: Sequence[Section], corpus: Corpus, asked: QuestionTerms
) -> list[tuple[Candidate, float]]:
    """The sentences of the sections that may be quoted, each with its score by words, the best first."""
    best = max((section.score for section in sections), default=0.0) or 1.0
    scored = [(c, _lexical(c, asked, best)) for c in _candidates(sections, asked, corpus, wish)]
    return sorted(scored, key=lambda pair: -pair[1] - 0.5 * pair[0].opens)


def _scaled(scores: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Scores with mean 0 and deviation 1."""
    return np.asarray((scores - scores.mean()) / (scores.std() + 1e-6), np.float32)


def _prior(candidate: Candidate, wish: Wish, asked: QuestionTerms) -> float:
    """What speaks for a sentence before it is read: its document, its place there, and its status."""
    settled = STANDING.get((candidate.section.document.status or "").lower(), 0.0)
    named = candidate.section.document.uri in wish.named
    apart = wish.compares and bool(_CONTRAST.search(candidate.text))
    looks = (
        _HOLDS * apart
        + _LOOKS * (bool(asked.forms) and asked.formed(candidate.text))
        + _HOLDS * _sort(candidate, asked)
    )
    return _BY_NAME * named + _OPENS * candidate.opens + _SETTLED * settled + looks


def _candidates(
    sections: Sequence[Section], asked: QuestionTerms, corpus: Corpus, wish: Wish
) -> list[Candidate]:
    found = []
    for section in sections:
        named = asked.of(section, corpus)
        defined = wish.defines and section.document.uri in wish.named
        text = section.text
        at = 0
        heading: tuple[str, ...] = ()
        for sentence in _runs(text, split(text)):
            passage, _ = passage_at(section, sentence.start)
            at = at + 1 if passage.heading == heading else 0
            heading = passage.heading
            body = text[sentence.start : sentence.end]
            if not _quotable(body, sentence) or _aside(section, passage):
                continue
            around = frozenset(corpus.stems(f"{passage.context}\n{sentence.lead}"))
            opens = defined and at < 3 and bool(heading and OPENING.search(heading[-1]))
            words = frozenset(corpus.stems(body))
            found.append(Candidate(section, passage, sentence, words, around, named, opens))
    return found


def _aside(section: Section, passage: Passage) -> bool:
    """Whether a passage stands under a heading such as `Copyright`."""
    return section.document.kind is not Kind.CODE and bool(
        passage.heading and _ASIDE.fullmatch(passage.heading[-1].strip())
    )


def _quotable(body: str, sentence: Sentence) -> bool:
    """Whether a unit can stand as an answer: no front matter, title, address or table of contents."""
    if len(body) > _LONG or sentence.unit == "field" or _LICENCE in body:
        return False
    if _ADDRESS.match(body) or _CONTENTS.search(body):
        return False
    bare = sentence.unit == "prose" and bool(_TITLE.match(body)) and not re.search(r"\d|`", body)
    return not (bare and len(body.split()) < 9)


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
    apart = re.search(r"\n\s*(?:\n\s*\n|=|#|\|-|<)", text[held.end : after.start])
    runs = held.unit in ("item", "row", "code") and after.end - held.start <= _RUN
    return runs and together and apart is None


def _lexical(candidate: Candidate, asked: QuestionTerms, best: float) -> float:
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


def _sort(candidate: Candidate, asked: QuestionTerms) -> float:
    """Whether the sentence holds the sort of thing asked for: a number that the question lacks, a name."""
    number = asked.wants_number and any(word[:1].isdigit() for word in candidate.words - asked.weights.keys())
    name = asked.wants_name and bool(_NAME.search(candidate.text))
    return number + 0.5 * name


def _choose(
    candidates: Sequence[Candidate],
    scores: Sequence[float],
    vectors: npt.NDArray[np.float32],
    asked: QuestionTerms,
    fits: Callable[[Sequence[Quote]], bool],
    wish: Wish,
) -> list[int]:
    """Indices of the best candidate, then of those that score well and add most of what is not yet said.

    Where several documents are named, each has its best sentence before any has its second.
    """
    chosen = _opening(candidates, wish, asked)
    said: frozenset[str] = frozenset().union(*(candidates[i].words for i in chosen))
    owed = {c.section.document.uri for c in candidates} & wish.named if len(wish.named) > 1 else set()
    floor = max(scores) - _BEHIND
    left = set(range(len(scores))) - set(chosen)
    while left and len(chosen) < max(wish.most, len(wish.named)):
        new = _NEW if chosen else 0.0
        gains = {i: scores[i] + new * asked.share(candidates[i].words - said) for i in left}
        due = {i for i in left if candidates[i].section.document.uri in owed}
        best = min(due if chosen and due else left, key=lambda i: (-gains[i], i))
        left.discard(best)
        if chosen and best not in due and scores[best] < floor:
            continue
        twin = any(float(vectors[best] @ vectors[i]) > _TWIN for i in chosen)
        if twin or not fits([candidates[i].quote for i in [*chosen, best]]):
            continue
        chosen.append(best)
        owed.discard(candidates[best].section.document.uri)
        said |= candidates[best].words
    return chosen


def _opening(candidates: Sequence[Candidate], wish: Wish, asked: QuestionTerms) -> list[int]:
    """The sentence in which the document that is to be defined says first what it is."""

    def rank(i: int) -> tuple[float, int]:
        return -asked.share(candidates[i].words), candidates[i].sentence.start

    opens = [i for i, c in enumerate(candidates) if c.opens and c.section.document.uri in wish.named]
    return [min(opens, key=rank)] if wish.defines and opens else []


def _support(
    asked: QuestionTerms,
    sections: Sequence[Section],
    quoted: Sequence[Candidate],
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
