"""Decides of each claim of a draft: verified, unverified or removed, and says why.

Verified: the claim is a source's own sentence or clause (`alignment`), or a judge confirms it. Unverified:
its facts are in the sources, and nobody has judged its meaning; words alone cannot tell a paraphrase from
its opposite. Removed: a fact that the sources do not have, or a judge's no.

The sources that a claim cites are looked at first, then all others: a claim without a citation, or with a
wrong one, is attributed to the source that carries it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal, Protocol

from agent.grounding.claims import Claim
from agent.grounding.evidence_selection import (
    ADDS,
    IdfWeights,
    Source,
    Span,
    Spelling,
    Support,
    select_evidence,
)
from agent.grounding.fact_extraction import Fact, facts, hides_a_number
from agent.text.quantities import Quantity, unit_words
from agent.text.render import one_line

Outcome = Literal["verified", "unverified", "removed"]

VERBATIM = "verbatim"
"""The means of verification where a claim is the source's own sentence."""

_CARRIES, _TOUCHES = 0.5, 0.15
"""The share of a claim's information that stands in a source that carries it, and in one that is of it."""

_CLIP = 200


class Judge(Protocol):
    """Says whether passages support claims. name: what `verified_by` calls it."""

    @property
    def name(self) -> str:
        """What an answer calls it."""
        ...

    def __call__(self, pairs: Sequence[tuple[str, str]]) -> Sequence[bool | None]:
        """One verdict for each pair of a claim and a passage's text; None where there is none."""
        ...


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a claim. spans: what it rests on, best first, each with the number of its source.

    reason: why it was removed, for a model that may mend it; told: the same for a person, who sees no
    numbers; note: what a person should know of its citation.
    """

    claim: Claim
    text: str
    outcome: Outcome
    spans: tuple[tuple[int, Span], ...] = ()
    verified_by: str | None = None
    reason: str = ""
    told: str = ""
    note: str = ""


class _Examined:
    """A claim with what is needed to examine it; known: the sources that it cites and that there are."""

    def __init__(self, claim: Claim, text: str, known: tuple[int, ...], weights: IdfWeights) -> None:
        self.claim, self.text, self.known, self._weights = claim, text, known, weights

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


@dataclass(frozen=True, slots=True)
class _Attempt:
    """A claim against some of the sources."""

    numbers: tuple[int, ...]
    found: Support

    @property
    def holds(self) -> bool:
        """Whether all facts of the claim are there."""
        return not self.found.missing and bool(self.found.spans)


class ClaimVerifier:
    """Verifies the claims of one draft against the evidence.

    sources: the evidence by number; judge: asked of what is not verbatim, never of facts.
    """

    def __init__(self, sources: Mapping[int, Source], weights: IdfWeights, judge: Judge | None) -> None:
        self._sources, self._weights, self._judge = sources, weights, judge

    def decide(self, claims: Sequence[Claim]) -> list[Verdict]:
        """A verdict for each claim, in order. The judge is asked once, in this thread."""
        examined = [self._examined(claim) for claim in claims]
        self._weights.contents_of([one.text for one in examined])
        return self._judged([self._decided(one) for one in examined])

    def _examined(self, claim: Claim) -> _Examined:
        known = tuple(number for number in claim.cited if number in self._sources)
        return _Examined(claim, self._named(claim), known, self._weights)

    def _named(self, claim: Claim) -> str:
        """The claim's text, a citation that was used as a noun replaced by the name of its source."""

        def name(match: re.Match[str]) -> str:
            source = self._sources.get(int(match.group(1)))
            return (
                one_line(source.section.document.number or source.section.document.title) if source else "?"
            )

        return re.sub("\0(\\d+)\0", name, claim.text)

    def _decided(self, one: _Examined) -> Verdict:
        """What becomes of a claim without a judge."""
        if one.claim.broken or (one.claim.kind != "code" and hides_a_number(one.text)):
            why = "a citation or markup cuts a number, a name or a quotation; write it in one piece"
            return Verdict(one.claim, one.text, "removed", reason=why, told=why)
        if one.claim.kind == "code":
            return self._code(one)
        if spans := self._verbatim(one):
            return self._kept(one, spans, "verified", VERBATIM)
        attempt = self._attempted(one)
        if attempt is not None and attempt.holds:
            return self._kept(one, attempt.found.spans, "unverified", None)
        return self._removed(one, attempt)

    def _code(self, one: _Examined) -> Verdict:
        for number in self._nearest_first(one):
            if span := self._sources[number].code(one.text):
                return self._kept(one, ((number, span),), "verified", VERBATIM)
        why = "the code does not stand in the sources so"
        return Verdict(one.claim, one.text, "removed", reason=why, told=why)

    def _nearest_first(self, one: _Examined) -> Iterable[int]:
        return dict.fromkeys((*one.known, *self._sources))

    def _verbatim(self, one: _Examined) -> tuple[tuple[int, Span], ...]:
        """The spans whose own words the claim is, with all its facts; addresses of links are no words."""
        for number in self._nearest_first(one):
            if spans := self._sources[number].verbatim(one.text, one.content, one.facts):
                return tuple((number, span) for span in spans)
        return ()

    def _attempted(self, one: _Examined) -> _Attempt | None:
        """The sources that carry the claim best: those it cites, or else the one that holds all its facts."""
        cited = [self._attempt(one, (number,)) for number in one.known]
        if len(one.known) > 1:
            most = max((a.found.coverage for a in cited if a.holds), default=0.0)
            together = self._attempt(one, one.known)
            cited += [together] if together.found.coverage >= most + ADDS else []
        best = max(cited, key=_rank, default=None)
        if best is not None and best.holds and best.found.coverage >= _CARRIES:
            return best
        others = [self._attempt(one, (number,)) for number in self._likely(one)]
        elsewhere = max(others, key=_rank, default=None)
        if elsewhere is None or not elsewhere.holds or (best is not None and _rank(best) >= _rank(elsewhere)):
            return best if best is not None else elsewhere
        enough = _CARRIES if one.known else _TOUCHES
        return elsewhere if elsewhere.found.coverage >= enough else best

    def _likely(self, one: _Examined) -> list[int]:
        """The sources that are not cited, and hold enough of the claim's words to carry it."""
        total, least = sum(one.content.values()), _CARRIES if one.known else _TOUCHES
        return [
            number
            for number, source in self._sources.items()
            if number not in one.known
            and sum(one.content[stem] for stem in one.content.keys() & source.stems) >= least * total
        ]

    def _attempt(self, one: _Examined, numbers: tuple[int, ...]) -> _Attempt:
        return _Attempt(numbers, select_evidence(one.content, one.facts, [self._sources[n] for n in numbers]))

    def _kept(
        self, one: _Examined, spans: tuple[tuple[int, Span], ...], outcome: Outcome, means: str | None
    ) -> Verdict:
        used = {number for number, _ in spans}
        unused = [number for number in one.claim.cited if number not in used]
        note = ""
        if unused and used.isdisjoint(one.claim.cited):
            right = self._places(sorted(used))
            note = f"cited was {self._places(unused)}, which does not carry it; {right} does"
        elif unused:
            note = f"also cited was {self._places(unused)}, which does not carry it"
        return Verdict(one.claim, one.text, outcome, spans, means, note=note)

    def _removed(self, one: _Examined, attempt: _Attempt | None) -> Verdict:
        """A claim that no source carries: which facts are missing and where, and what is there."""
        absent = [number for number in one.claim.cited if number not in self._sources]
        if attempt is None:
            has = _marks(sorted(self._sources)) or "none"
            why = f"there is no source {_marks(absent)}; the sources are {has}" if absent else ""
            why = why or f"no source says this; the sources are {has}"
            return Verdict(one.claim, one.text, "removed", reason=why, told="no source says this")
        cited, place = _marks(attempt.numbers), self._places(attempt.numbers)
        lacks, told = [], []
        for fact in attempt.found.missing[:4]:
            others = {n: s for n, s in self._sources.items() if n not in attempt.numbers}
            there = [n for n, source in others.items() if fact.text in source.section.text]
            lacks.append(
                f"the {fact.kind} {fact.text} does not occur in {cited}"
                + (f" ({_marks(there[:3])} has it)" if there else "")
            )
            told.append(f"the {fact.kind} {fact.text} does not occur in {place}")
        reason = "; ".join(lacks) or f"{cited} does not say this"
        reason += f"; the closest in {cited} is {_quoted(attempt.found)}" if attempt.found.spans else ""
        return Verdict(
            one.claim,
            one.text,
            "removed",
            reason=reason,
            told="; ".join(told) or f"{place} does not say this",
        )

    def _judged(self, verdicts: list[Verdict]) -> list[Verdict]:
        """The verdicts with those of the judge on what is not verified."""
        open_ = [at for at, verdict in enumerate(verdicts) if verdict.outcome == "unverified"]
        if self._judge is None or not open_:
            return verdicts
        said = self._judge([(verdicts[at].text, self._passages(verdicts[at])) for at in open_])
        for at, stands in zip(open_, said, strict=True):
            if stands:
                verdicts[at] = replace(verdicts[at], outcome="verified", verified_by=self._judge.name)
            elif stands is not None:
                verdicts[at] = self._denied(verdicts[at], self._judge.name)
        return verdicts

    def _denied(self, verdict: Verdict, judge: str) -> Verdict:
        numbers = sorted({number for number, _ in verdict.spans})
        cited, place = _marks(numbers), self._places(numbers)
        closest = _quoted(Support(verdict.spans, (), 0.0))
        return replace(
            verdict,
            outcome="removed",
            reason=f"{cited} does not say this, as {judge} judges; the closest in {cited} is {closest}",
            told=f"{place} does not say this, as {judge} judges",
        )

    def _passages(self, verdict: Verdict) -> str:
        numbers = dict.fromkeys(number for number, _ in verdict.spans)
        return "\n\n".join(self._sources[number].section.render() for number in numbers)

    def _places(self, numbers: Iterable[int]) -> str:
        """Sources in words for a person, who does not see the draft's numbers."""
        known = [self._sources[n].section.place if n in self._sources else "" for n in numbers]
        named = [place or "a source that does not exist" for place in known]
        return " and ".join(dict.fromkeys(named))


def _rank(attempt: _Attempt) -> tuple[bool, int, float]:
    return attempt.holds, -len(attempt.found.missing), attempt.found.coverage


def _marks(numbers: Iterable[int]) -> str:
    return "".join(f"[{number}]" for number in numbers)


def _quoted(found: Support) -> str:
    text = one_line(found.spans[0][1].text) if found.spans else ""
    return f'"{text[:_CLIP]}{"…" if len(text) > _CLIP else ""}"'
