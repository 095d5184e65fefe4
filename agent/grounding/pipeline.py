"""Grounds a draft: verifies its claims against the evidence, drops those that it lacks, renumbers citations.

Nothing is kept without a citation of a verbatim span that exists, nor with an identifier, number, date or
quotation that its spans, or the headings above them, do not hold. A number that the question states needs
support like any other. A claim whose facts hold and whose meaning nobody has judged is marked, or dropped
where that is set. Headings and leads ("In short:") are kept where their words are the question's or the
sources' and claim nothing. A draft of one value becomes the source's own sentence that holds it and answers
the question. A sentence that says what the library lacks cannot be cited, so it is dropped without being a
fault; a draft of nothing else is a refusal.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from agent.answers.cite import cite
from agent.answers.packing import Section
from agent.answers.values import UNVERIFIED, Citation, Disagreement, Sentence
from agent.grounding.claim_verifier import ClaimVerifier, Judge, Verdict
from agent.grounding.claims import Claim, claims
from agent.grounding.evidence_selection import IdfWeights, Source, Span
from agent.grounding.fact_extraction import facts
from agent.grounding.source_conflicts import disagreements
from agent.text.corpus import Corpus
from agent.text.render import one_line
from index.terms import query_terms

_LACKS = re.compile(
    r"\bnot in (?:the|this|your|our) library\b"
    r"|\b(?:passages?|sources?|library|documents?|context|evidence|excerpts?|materials?|text)\b.{0,40}"
    r"\b(?:do(?:es)? not|don't|doesn't|did not|cannot|can't|lacks?|contains? no|ha(?:s|ve) no|holds? no"
    r"|says? nothing)"
    r"|\b(?:could|can|was|were|am) ?(?:not|n't|unable to)\b.{0,30}\b(?:find|found|answer|determine|locate)"
    r"|\bi (?:do not|don't) (?:know|have)\b"
    r"|\bno (?:relevant )?(?:information|mention|answer|evidence|passage|source)s?\b"
    r"|\bno (?:se encuentra|aparece|está|hay información)\b|\bno encontr"
    r"|(?:库|庫|资料|資料|来源|來源|文档|文檔|上下文|段落)[^。]{0,12}(?:没有|沒有|未|不)|(?:没有|沒有|未)(?:找到|提到|提及|包含)",
    re.IGNORECASE,
)
_DENIES = re.compile(r"\b(?:not|never|no|none|without|cannot)\b|n't\b", re.IGNORECASE)
_NEUTRAL = frozenset(
    [
        "short", "summary", "overview", "answer", "background", "introduction", "conclusion", "details",
        "detail", "key", "point", "points", "difference", "differences", "similarity", "similarities",
        "comparison", "compared", "example", "examples", "note", "notes", "step", "steps", "source",
        "sources", "result", "results", "main", "follow", "follows", "following", "below", "result",
        "brief", "both", "case", "cases", "list", "table", "value", "values", "name", "names", "limit",
        "limits", "rule", "rules", "parameter", "parameters", "constant", "constants", "work", "works",
        "how", "question", "first", "second", "finally", "next", "also", "word", "words", "say", "says",
        "thing", "things", "mean", "means", "meaning", "reason", "reasons",
    ]
)  # fmt: skip
_ANSWERS = 0.35
"""The share of a question's information that stands in the sentence that completes a value."""

_FRAME = 100
"""Characters of the longest heading or lead that is kept."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A sentence of the draft that failed. reason: what to mend; told: the same for a person."""

    sentence: str
    reason: str
    told: str


@dataclass(frozen=True, slots=True)
class Grounding:
    """What is left of a draft.

    sentences and citations: numbered from 1 in order of appearance; each citation is one verbatim span.
    text: the sentences with their marks, laid out as the draft was, with its headings.
    notes: corrections for a person to know, such as a citation that was replaced.
    refused: the draft says nothing but that the library holds no answer.
    """

    sentences: tuple[Sentence, ...]
    citations: tuple[Citation, ...]
    faults: tuple[Fault, ...]
    text: str
    notes: tuple[str, ...] = ()
    refused: bool = False
    disagreements: tuple[Disagreement, ...] = ()


class Grounder:
    """Grounds the drafts of one question; what it read of a section, it keeps for the next draft.

    keep_unverified: whether claims whose meaning nobody has judged are kept, with a mark.
    """

    def __init__(self, corpus: Corpus, question: str, *, keep_unverified: bool = True) -> None:
        self._corpus, self._question, self._keep_unverified = corpus, question, keep_unverified
        self._weights = IdfWeights(corpus)
        self._sources: dict[tuple[int, Section], Source] = {}

    def read(self, evidence: Mapping[int, Section]) -> None:
        """Divides sections into spans ahead of a draft, while a model is still writing it."""
        for source in self._of(evidence).values():
            source.read()

    def ground(self, draft: str, evidence: Mapping[int, Section], judge: Judge | None = None) -> Grounding:
        """Verifies each sentence of a draft, first against the sections that it cites by number.

        judge: decides on what is not a source's own words; facts are checked all the same. It is called
        once, in this thread.
        """
        sources = self._of(evidence)
        parts = self._completed(claims(draft), sources)
        stated = [part for part in parts if not _frames(part) and not _is_refusal(part)]
        verifier = ClaimVerifier(sources, self._weights, judge)
        verdicts = {id(verdict.claim): verdict for verdict in verifier.decide(stated)}
        found = {at: verdicts[id(part)] for at, part in enumerate(parts) if id(part) in verdicts}
        kept = {at: verdict for at, verdict in found.items() if self._is_kept(verdict)}
        known = _known(self._question, kept.values(), self._weights)
        frames = {
            at for at, part in enumerate(parts) if at not in kept and _is_neutral(part, known, self._corpus)
        }
        faults = tuple(
            _fault(verdict) for at, verdict in found.items() if at not in kept and at not in frames
        )
        return _assembled(parts, kept, frames, faults, evidence, self._weights)

    def _is_kept(self, verdict: Verdict) -> bool:
        """Whether a claim is shown; a heading or lead that claims something, only where it is verified."""
        states = verdict.claim.kind not in ("heading", "lead")
        marked = verdict.outcome == "unverified" and self._keep_unverified and states
        return marked or verdict.outcome == "verified"

    def _completed(self, parts: Sequence[Claim], sources: Mapping[int, Source]) -> list[Claim]:
        """The claims; for a single value, the source's sentence that holds it and answers the question."""
        if len(parts) != 1 or not _is_value(parts[0]):
            return list(parts)
        [value] = parts
        content = self._weights.content(self._question)
        held = [
            (sum(content[stem] for stem in content.keys() & span.stems), number in value.cited, number, span)
            for number, source in sources.items()
            for span in source.spans
            if all(span.held.holds(fact) for fact in facts(value.text))
        ]
        share, _, number, span = max(held, key=lambda one: one[:2], default=(0.0, False, 0, None))
        if span is None or share < _ANSWERS * sum(content.values()):
            return list(parts)
        return [Claim("prose", one_line(span.text), (number,))]

    def _of(self, evidence: Mapping[int, Section]) -> dict[int, Source]:
        for number, section in evidence.items():
            if (number, section) not in self._sources:
                self._sources[number, section] = Source(number, section, self._weights)
        return {number: self._sources[number, section] for number, section in evidence.items()}


def _fault(verdict: Verdict) -> Fault:
    """Why a claim is not kept."""
    if verdict.outcome == "unverified":
        why = "its facts are in the sources, but nobody has judged whether they say this"
        return Fault(verdict.text, why, why)
    return Fault(verdict.text, verdict.reason, verdict.told)


def _is_value(claim: Claim) -> bool:
    """Whether a claim is a value and nothing else, such as `24`, `0x48` or `24 words`."""
    found, rest = facts(claim.text), claim.text
    for fact in found:
        rest = rest.replace(fact.text, " ")
    kinds = ("prose", "item", "code", "heading")
    return bool(found) and claim.kind in kinds and len(re.findall(r"[^\W_]+", rest)) <= 1


def _frames(claim: Claim) -> bool:
    """Whether a claim only introduces others and carries no citation."""
    return claim.kind in ("heading", "lead") and not claim.cited


def _is_refusal(claim: Claim) -> bool:
    return (
        claim.kind in ("prose", "item")
        and not claim.cited
        and bool(_LACKS.search(claim.text))
        and not facts(claim.text)
    )


def _known(question: str, kept: Iterable[Verdict], weights: IdfWeights) -> frozenset[str]:
    """The stems that a heading may be made of."""
    spans = (span.stems for one in kept for _, span in one.spans)
    return weights.stems(question).union(*spans)


def _is_neutral(claim: Claim, known: frozenset[str], corpus: Corpus) -> bool:
    """Whether a heading, a lead or the head of a table says nothing that would need a source."""
    if claim.kind not in ("heading", "lead") or len(claim.text) > _FRAME or claim.broken:
        return False
    if facts(claim.text) or _DENIES.search(claim.text) or "\0" in claim.text:
        return False
    terms = [term for term in query_terms(claim.text) if term not in _NEUTRAL]
    return set(corpus.stems(" ".join(terms))) <= known


def _assembled(
    parts: Sequence[Claim],
    kept: Mapping[int, Verdict],
    frames: set[int],
    faults: tuple[Fault, ...],
    evidence: Mapping[int, Section],
    weights: IdfWeights,
) -> Grounding:
    numbers: dict[tuple[int, int, int], int] = {}
    sentences: list[Sentence] = []
    for one in kept.values():
        places = [(number, span.start, span.end) for number, span in one.spans]
        cited = tuple(sorted({numbers.setdefault(place, len(numbers) + 1) for place in places}))
        beside = "" if one.outcome == "verified" else _beside(one.spans[0][1])
        sentences.append(Sentence(one.text, cited, one.verified_by, beside))
    citations = tuple(cite(new, evidence[old], start, end) for (old, start, end), new in numbers.items())
    lacking = [claim for claim in parts if _is_refusal(claim)]
    notes = [f'"{_clipped(one.text)}": {one.note}' for one in kept.values() if one.note]
    notes += [f'left out, for it cannot be cited: "{_clipped(claim.text)}"' for claim in lacking if kept]
    return Grounding(
        sentences=tuple(sentences),
        citations=citations,
        faults=faults,
        text=_laid_out(parts, dict(zip(kept, sentences, strict=True)), frames),
        notes=tuple(notes),
        refused=bool(lacking) and not kept and not faults,
        disagreements=disagreements(sentences, citations, weights),
    )


def _beside(span: Span) -> str:
    """The source's own words, as they are shown beside a claim that is not verified."""
    return one_line(span.text)


def _laid_out(parts: Sequence[Claim], kept: Mapping[int, Sentence], frames: set[int]) -> str:
    """The kept sentences with their marks, in the paragraphs, items, rows and code of the draft."""
    out: list[str] = []
    waiting: list[Claim] = []
    last: Claim | None = None
    for at, claim in enumerate(parts):
        if at in frames:
            waiting = [one for one in waiting if one.kind == "heading" and claim.kind == "lead"] + [claim]
            continue
        if at not in kept:
            continue
        shown = [one for one in waiting if one.kind == "heading" or _introduces(one, claim)]
        for one in [*shown, claim]:
            text = _line(one, kept[at] if one is claim else None)
            out += [_gap(last, one), text] if last else [text]
            last = one
        waiting = []
    return "".join(out)


def _introduces(lead: Claim, claim: Claim) -> bool:
    return claim.kind != "prose" or lead.block == claim.block


def _gap(last: Claim, claim: Claim) -> str:
    """What stands between two pieces."""
    if last.block == claim.block and last.kind in ("prose", "lead") and claim.kind in ("prose", "lead"):
        return " "
    return "\n" if last.kind == claim.kind and claim.kind in ("item", "row") else "\n\n"


def _line(claim: Claim, sentence: Sentence | None) -> str:
    if sentence is None:
        return f"## {claim.text}" if claim.kind == "heading" else claim.text
    marks = "".join(f"[{number}]" for number in sentence.citations)
    marks += "" if sentence.verified_by else f" {UNVERIFIED}"
    if claim.kind == "code":
        return f"```\n{sentence.text}\n```\n{marks}"
    return f"{claim.prefix}{sentence.text} {marks}"


def _clipped(text: str) -> str:
    return text if len(text) <= _FRAME else f"{text[:_FRAME]}…"
