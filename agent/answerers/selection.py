"""Chooses the sentences of the evidence that answer a question, verbatim.

A sentence is scored by its words and its closeness in meaning, by the rank of its section, by whether the
question names its document, and by a reader (`index.reader`) that was trained to tell answering sentences
from their neighbours. The first two choose what the reader reads; both scores are brought to one scale and
added.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import numpy.typing as npt

from agent.answerers.candidates import Candidate, Quote, Wish, candidates
from agent.answerers.question_terms import QuestionTerms
from agent.answers.packing import Section
from agent.text.corpus import Corpus
from index.catalogue import STANDING
from index.reader import InContext

_EMBEDDED = 64
"""Sentences that are embedded for a question; the rest were too far off by their words."""


_FIRST = 10.0
"""Weight of the opening of what is to be defined, so that it is read whatever its words."""

_READ = 24
"""Sentences that the reader reads."""


_CLOSEST = 3
"""Sentences whose closeness to the question is averaged."""

_WORDS, _CONTEXT, _MEANING, _RANK, _SORT, _FORM, _SUBJECT, _POOR = 1.0, 0.5, 2.0, 0.2, 0.25, 1.0, 0.3, 0.2
"""Weights of a sentence's words, its headings', its cosine, section, sort and form, of its place being
named in the question, and of a fragment."""

_PLAIN, _BY_NAME, _OPENS, _SETTLED, _LOOKS, _HOLDS = 1.0, 2.5, 1.5, 0.4, 1.5, 0.4
"""Weights beside the reader's score, all in standard deviations: of the score without the reader, of a
document that the question names or defines, of the opening of its abstract, of its status, of the form of the
answer, and of the sort of thing that is asked for."""

_NAMES_IT = 0.3
"""Share of the question that an opening must hold to name the thing that is to be defined."""

_NEW = 3.0
"""Weight of the share of the question that a further sentence adds to what is said already."""

_BEHIND = 2.0
"""A further sentence is taken when it scores at most so much less than the best."""

_TWIN = 0.95
"""Cosine above which two sentences say the same."""

_REFUSED = 3.88
"""What the evidence must weigh for an answer to be given."""

_NAME = re.compile(r"0x[0-9a-fA-F]{2,}|`[^`]+`|<code>|\b[A-Z]{2,}(_[A-Z0-9]+)+\b|\b[a-z]+[A-Z]\w+|\w\(")


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
        known = 1.75 * self.closeness + 2.49 * self.covered + 1.33 * self.information + 0.5 * self.read
        return known - 2.6 * self.unnamed - _REFUSED

    @property
    def enough(self) -> bool:
        """Whether to answer at all."""
        return self.formed and self.margin > 0


@dataclass(frozen=True, slots=True)
class Extraction:
    """The quotes, the best first, and how well they are supported; others: what was read and not chosen."""

    quotes: tuple[Quote, ...]
    support: Support
    others: tuple[Quote, ...] = ()


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
    first = plain + np.array([_FIRST * c.opens + 0.5 * c.named for c in candidates], np.float32)
    order = np.argsort(-first, kind="stable")[:_READ]
    candidates, plain, rows = [candidates[i] for i in order], plain[order], rows[1:][order]
    read = reader.scores(wish.question, [c.as_read for c in candidates])
    scores = _scaled(read) + _PLAIN * _scaled(plain) + [_prior(c, wish, asked) for c in candidates]
    chosen = _choose(candidates, scores.tolist(), rows, asked, fits, wish)
    quoted = [candidates[at] for at in chosen]
    closest = float(np.sort(meaning)[-_CLOSEST:].mean())
    support = _support(asked, sections, quoted, corpus, closest)
    others = [candidates[at].quote for at in np.argsort(-scores).tolist() if at not in chosen]
    quotes = tuple(candidate.quote for candidate in quoted)
    return Extraction(quotes, replace(support, read=float(read.max())), tuple(others))


def ranked(
    wish: Wish, sections: Sequence[Section], corpus: Corpus, asked: QuestionTerms
) -> list[tuple[Candidate, float]]:
    """The sentences of the sections that may be quoted, each with its score by words, the best first."""
    best = max((section.score for section in sections), default=0.0) or 1.0
    found = candidates(sections, asked, corpus, wish)
    if wish.defines and any(c.section.document.uri in wish.named for c in found):
        found = [c for c in found if c.section.document.uri in wish.named]
    scored = [(c, _lexical(c, asked, best)) for c in found]
    return sorted(scored, key=lambda pair: -pair[1] - _FIRST * pair[0].opens)


def _scaled(scores: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Scores with mean 0 and deviation 1."""
    return np.asarray((scores - scores.mean()) / (scores.std() + 1e-6), np.float32)


def _prior(candidate: Candidate, wish: Wish, asked: QuestionTerms) -> float:
    """What speaks for a sentence before it is read: its document, its place there, and its status."""
    settled = STANDING.get((candidate.section.document.status or "").lower(), 0.0)
    named = candidate.section.document.uri in wish.named
    apart = wish.compares and bool(_CONTRAST.search(candidate.text))
    looks = _HOLDS * apart + _LOOKS * asked.looks(candidate.text) + _HOLDS * _sort(candidate, asked)
    return _BY_NAME * named + _OPENS * candidate.opens + _SETTLED * settled + looks


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
        + _FORM * asked.looks(candidate.text)
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
    chosen = [i for i in _opening(candidates, wish, asked) if fits([candidates[i].quote])]
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
        share = asked.share(candidates[i].words)
        return -share if share >= _NAMES_IT else 0.0, candidates[i].sentence.start

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
