"""Decides for each piece of a draft whether the sources that it cites carry it, and says why where not.

A piece stands when every fact of it is in the spans chosen for it, nothing turns it around, and either its
words cover it (`COVERED`), or enough of them do and its meaning is close (`CLOSE`). The bounds were set on
123 pairs of a true sentence and a passage that holds it, and 507 pairs of the same sentences and other
passages found for the same questions, over proposals and papers. Of the pairs whose facts hold, true ones
have a coverage of 0.52 or more in 19 of 20 (median 0.83) and a cosine of 0.33 or more (median 0.62); without
regard to facts, passages of other documents stay below a coverage of 0.39 in 49 of 50, and below a cosine of
0.51 in 19 of 20. Of 107 sentences of short answers by people, 74 stand against the passages alone that
they were written from (most others sum up, compute, or say what stands elsewhere), and 6 of 444 against
passages of other documents, which say the same.

A sentence in another language shares few words with its source. It needs its facts and `CLOSE`, which the
default embedding model, made for English, seldom grants without names in common; a judge does better there.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

from agent.grounding.claims import Piece
from agent.grounding.contradiction import conflict
from agent.grounding.evidence_selection import (
    ADDS,
    WHOLE,
    Source,
    Span,
    Spelling,
    Support,
    Weights,
    displaced,
    miscounted,
    support,
)
from agent.grounding.fact_extraction import Fact, facts, hides_a_number
from agent.text.corpus import Corpus
from agent.text.normalize import is_foreign
from agent.text.quantities import Quantity, unit_words
from agent.text.render import one_line

COVERED, SHARED, CLOSE = 0.6, 0.35, 0.5
"""Coverage that is enough by itself, coverage that is needed at all, and the cosine that then is."""

_CLIP = 200


class Judge(Protocol):
    """Says whether passages support sentences, such as a chat model asked so."""

    def __call__(self, pairs: Sequence[tuple[str, str]]) -> Sequence[bool]:
        """One verdict for each pair of a sentence and a passage's text."""
        ...


@dataclass(frozen=True, slots=True)
class Kept:
    """A piece that stands. spans: what it rests on, with the number of the source of each."""

    piece: Piece
    text: str
    spans: tuple[tuple[int, Span], ...]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Dropped:
    """A piece that falls, and why, in words from which it can be repaired."""

    piece: Piece
    text: str
    reason: str


class _Claim:
    """A piece with what is needed to try it; known: the sources that it cites and that there are."""

    def __init__(self, piece: Piece, text: str, known: tuple[int, ...], weights: Weights) -> None:
        self.piece, self.text, self.known, self._weights = piece, text, known, weights

    @cached_property
    def facts(self) -> dict[Fact, Spelling]:
        found = facts(self.text)
        units = [f.key.unit if isinstance(f.key, Quantity) else "" for f in found]
        whole = [
            " ".join([fact.text, *unit_words(self.text, unit)])
            for fact, unit in zip(found, units, strict=True)
        ]
        stems = self._weights.stems_of([*(fact.text for fact in found), *whole])
        spelled = map(Spelling, stems[: len(found)], stems[len(found) :])
        return dict(zip(found, spelled, strict=True))

    @cached_property
    def content(self) -> Mapping[str, float]:
        return self._weights.content(self.text)

    @cached_property
    def foreign(self) -> bool:
        return is_foreign(self.text)


@dataclass
class _Trial:
    """A claim against some of the sources. stands: None until its meaning is looked at."""

    numbers: tuple[int, ...]
    found: Support
    stands: bool | None
    reason: str = ""


class Court:
    """Tries the pieces of one draft against the evidence.

    evidence: the sources by number; judge: asked instead of words and meaning, never instead of facts.
    """

    def __init__(
        self, sources: Mapping[int, Source], corpus: Corpus, weights: Weights, judge: Judge | None
    ) -> None:
        self._sources, self._corpus, self._weights, self._judge = sources, corpus, weights, judge

    def decide(self, pieces: Sequence[Piece]) -> list[Kept | Dropped]:
        """A verdict for each piece, in order. Meanings are compared, or the judge asked, all at once."""
        claims = [self._claim(piece) for piece in pieces]
        self._weights.contents_of([claim.text for claim in claims])
        flaws = [self._flaw(claim) for claim in claims]
        trials = [[] if flaw else self._tried(claim) for claim, flaw in zip(claims, flaws, strict=True)]
        unsure = [
            (c.text, t) for c, some in zip(claims, trials, strict=True) for t in some if t.stands is None
        ]
        self._settle(unsure)
        return [
            Dropped(claim.piece, claim.text, flaw) if flaw else self._verdict(claim, some)
            for claim, flaw, some in zip(claims, flaws, trials, strict=True)
        ]

    def _claim(self, piece: Piece) -> _Claim:
        known = tuple(number for number in piece.cited if number in self._sources)
        return _Claim(piece, self._named(piece), known, self._weights)

    def _named(self, piece: Piece) -> str:
        """The piece's text, a citation that was used as a noun replaced by the name of its source."""

        def name(match: re.Match[str]) -> str:
            source = self._sources.get(int(match.group(1)))
            return (
                one_line(source.section.document.number or source.section.document.title) if source else "?"
            )

        return re.sub("\0(\\d+)\0", name, piece.text)

    def _flaw(self, claim: _Claim) -> str:
        """What is wrong with a claim before any source is looked at."""
        if claim.piece.broken or (claim.piece.kind != "code" and hides_a_number(claim.text)):
            return "a citation or markup cuts a number, a name or a quotation; write it in one piece"
        if claim.piece.cited and not claim.known:
            has = ", ".join(f"[{number}]" for number in sorted(self._sources)) or "none"
            return f"there is no source {_marks(claim.piece.cited)}; the sources are {has}"
        if not claim.piece.cited:
            return "it carries no citation; end it with the number of the source that says it, such as [1]"
        return ""

    def _tried(self, claim: _Claim) -> list[_Trial]:
        """The claim against each source that it cites, then against all where none carries all of it."""
        trials = [self._trial(claim, (number,)) for number in claim.known]
        if len(claim.known) > 1 and not any(
            trial.stands and trial.found.coverage > WHOLE for trial in trials
        ):
            trials.append(self._trial(claim, claim.known))
        return trials

    def _trial(self, claim: _Claim, numbers: tuple[int, ...]) -> _Trial:
        sources = [self._sources[number] for number in numbers]
        if claim.piece.kind == "code":
            spans = [(s.number, span) for s in sources if (span := s.verbatim(claim.text))]
            found = Support(tuple(spans), (), 1.0)
            return _Trial(numbers, found, bool(spans), "" if spans else "the code does not stand there so")
        found = support(claim.content, claim.facts, sources)
        if found.missing or not found.spans:
            return _Trial(numbers, found, False)
        if swapped := displaced(claim.text, claim.content, found) or miscounted(claim.text, found):
            return _Trial(numbers, found, False, swapped)
        said = ". ".join(span.text for _, span in found.spans)
        if not claim.foreign and (turned := conflict(claim.text, said)):
            return _Trial(numbers, found, False, turned)
        if self._judge is not None or claim.foreign or SHARED <= found.coverage < COVERED:
            return _Trial(numbers, found, None)
        return _Trial(numbers, found, found.coverage >= COVERED)

    def _reason(self, trial: _Trial) -> str:
        """Why a trial failed: what it turns around, which facts are missing and where, what is there."""
        cited = _marks(trial.numbers)
        parts = [trial.reason] if trial.reason else []
        for fact in trial.found.missing[:4]:
            others = {n: s for n, s in self._sources.items() if n not in trial.numbers}
            there = [n for n, source in others.items() if fact.text in source.section.text]
            elsewhere = f" ({_marks(there[:3])} has it)" if there else ""
            parts.append(f"the {fact.kind} {fact.text} does not occur in {cited}{elsewhere}")
        closest = f"; the closest in {cited} is {_quoted(trial.found)}" if trial.found.spans else ""
        return ("; ".join(parts) or f"{cited} does not say this") + closest

    def _settle(self, trials: Sequence[tuple[str, _Trial]]) -> None:
        """Decides what words could not: by the judge where there is one, else by meaning."""
        if not trials:
            return
        if self._judge is not None:
            pairs = [
                (text, "\n\n".join(self._sources[n].section.render() for n in t.numbers))
                for text, t in trials
            ]
            for (_, trial), stands in zip(trials, self._judge(pairs), strict=True):
                trial.stands = bool(stands)
            return
        sentences = list(dict.fromkeys(text for text, _ in trials))
        spans = list(dict.fromkeys(_spoken(span) for _, t in trials for _, span in t.found.spans[:2]))
        rows = self._corpus.embed([*sentences, *spans])
        row = {text: rows[at] for at, text in enumerate([*sentences, *spans])}
        for text, trial in trials:
            closeness = max(float(row[text] @ row[_spoken(span)]) for _, span in trial.found.spans[:2])
            trial.stands = closeness >= CLOSE

    def _verdict(self, claim: _Claim, trials: Sequence[_Trial]) -> Kept | Dropped:
        """Keeps the sources that carry the claim alone, or more of it together, or finds another."""
        alone = [t for t in trials if t.stands and len(t.numbers) == 1]
        together = [t for t in trials if t.stands and len(t.numbers) > 1]
        cited = claim.piece.cited
        most = max((t.found.coverage for t in alone), default=0.0)
        if standing := [t for t in together if t.found.coverage >= most + ADDS] or alone or together:
            spans = tuple(dict.fromkeys(span for t in standing for span in t.found.spans))
            unused = [n for n in cited if n not in {number for number, _ in spans}]
            note = f"also cited was {self._places(unused)}, which does not carry it" if unused else ""
            return Kept(claim.piece, claim.text, spans, note)
        if other := self._elsewhere(claim):
            wrong, right = self._places(cited), self._places(other.numbers)
            note = f"cited was {wrong}, which does not carry it; {right} does"
            return Kept(claim.piece, claim.text, other.found.spans, note)
        best = max(trials, key=lambda t: (-len(t.found.missing), t.found.coverage))
        return Dropped(claim.piece, claim.text, self._reason(best))

    def _places(self, numbers: Sequence[int]) -> str:
        """Sources in words for a person, who does not see the draft's numbers."""
        known = [self._sources[number].section.place for number in numbers if number in self._sources]
        unknown = ["a source that does not exist"] if len(known) < len(numbers) else []
        return " and ".join(dict.fromkeys([*known, *unknown]))

    def _elsewhere(self, claim: _Claim) -> _Trial | None:
        """A source that was not cited and carries the claim beyond doubt."""
        if self._judge is not None or claim.foreign:
            return None
        total = sum(claim.content.values())
        for number, source in self._sources.items():
            if number in claim.known or total == 0:
                continue
            words = math.fsum(claim.content[stem] for stem in claim.content.keys() & source.stems)
            if words >= COVERED * total and (trial := self._trial(claim, (number,))).stands:
                return trial
        return None


def _spoken(span: Span) -> str:
    """What is embedded of a span: the line above it, then its words."""
    return "\n".join(filter(None, (span.around.rpartition("\n")[2][-_CLIP:], span.text)))


def _marks(numbers: Sequence[int]) -> str:
    return "".join(f"[{number}]" for number in numbers)


def _quoted(found: Support) -> str:
    text = one_line(found.spans[0][1].text) if found.spans else ""
    return f'"{text[:_CLIP]}{"…" if len(text) > _CLIP else ""}"'
