"""Chooses the sentences of the evidence that answer a question, verbatim.

A sentence has three scores: a linear one of what it holds and looks like (`features`), its closeness in
meaning, and that of a reader (`index.reader`) that was trained to tell answering sentences from their
neighbours. The first two choose what the reader reads; all three are brought to one scale and added.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import numpy.typing as npt

from agent.answerers.candidates import Candidate, Quote, Wish, candidates
from agent.answerers.features import features, weights
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

_BY_NAME, _OPENS, _LOOKS, _SETTLED = 2.5, 1.5, 1.5, 0.4
"""Weights beside the three scores, all in standard deviations: of a document that the question names or
defines, of the opening of its abstract, of the form that the answer must have, and of its status."""

_NAMES_IT = 0.3
"""Share of the question that an opening must hold to name the thing that is to be defined."""

_BEHIND = 3.0
"""A further sentence is taken when it scores at most so much less than the best."""

_TWIN = 0.95
"""Cosine above which two sentences say the same."""

_REFUSED = 1.76
"""What the evidence must weigh for an answer to be given."""


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

        A logistic fit of 166 questions that the reader was not trained on, each asked with and without the
        documents that answer it; the bound refuses 6 % of those that are answered.
        """
        known = 1.3 * self.closeness + 1.04 * self.covered + 0.68 * self.information + 1.46 * self.read
        return known - 4.1 * self.unnamed - _REFUSED

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
    plain = _scaled(np.array([score for _, score in pairs], np.float32)) + _scaled(meaning)
    order = np.argsort(-plain - [_FIRST * c.opens for c in candidates], kind="stable")[:_READ]
    candidates, plain, rows = [candidates[i] for i in order], plain[order], rows[1:][order]
    read = reader.scores(wish.question, [c.as_read for c in candidates])
    scores = _scaled(read) + plain + [_prior(c, asked) for c in candidates]
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
    found = candidates(sections, asked, corpus, wish)
    if wish.defines and any(c.section.document.uri in wish.named for c in found):
        found = [c for c in found if c.section.document.uri in wish.named]
    scores = features(wish.question, asked, found) @ weights()
    pairs = zip(found, scores.tolist(), strict=True)
    return sorted(pairs, key=lambda pair: -pair[1] - _FIRST * pair[0].opens)


def _scaled(scores: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Scores with mean 0 and deviation 1."""
    return np.asarray((scores - scores.mean()) / (scores.std() + 1e-6), np.float32)


def _prior(candidate: Candidate, asked: QuestionTerms) -> float:
    """What speaks for a sentence besides what it says: its document, its place there, and its status."""
    settled = STANDING.get((candidate.section.document.status or "").lower(), 0.0)
    looks = asked.looks(candidate.text)
    return _BY_NAME * candidate.named + _OPENS * candidate.opens + _LOOKS * looks + _SETTLED * settled


def _choose(
    candidates: Sequence[Candidate],
    scores: Sequence[float],
    vectors: npt.NDArray[np.float32],
    asked: QuestionTerms,
    fits: Callable[[Sequence[Quote]], bool],
    wish: Wish,
) -> list[int]:
    """Indices of the best candidates that score well and say what no better one says.

    Where several documents are named, each has its best sentence before any has its second.
    """
    chosen = [i for i in _opening(candidates, wish, asked) if fits([candidates[i].quote])]
    owed = {c.section.document.uri for c in candidates} & wish.named if len(wish.named) > 1 else set()
    floor = max(scores) - _BEHIND
    left = set(range(len(scores))) - set(chosen)
    while left and len(chosen) < max(wish.most, len(wish.named)):
        due = {i for i in left if candidates[i].section.document.uri in owed}
        best = min(due if chosen and due else left, key=lambda i: (-scores[i], i))
        left.discard(best)
        if chosen and best not in due and scores[best] < floor:
            continue
        twin = any(
            float(vectors[best] @ vectors[i]) > _TWIN or candidates[best].stems == candidates[i].stems
            for i in chosen
        )
        if twin or not fits([candidates[i].quote for i in [*chosen, best]]):
            continue
        chosen.append(best)
        owed.discard(candidates[best].section.document.uri)
    return chosen


def _opening(candidates: Sequence[Candidate], wish: Wish, asked: QuestionTerms) -> list[int]:
    """The sentence in which the document that is to be defined says first what it is."""

    def rank(i: int) -> tuple[float, int]:
        candidate = candidates[i]
        share = asked.share(candidate.words)
        place = candidate.section.passages[0].start + candidate.sentence.start
        return -share if share >= _NAMES_IT else 0.0, place

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
