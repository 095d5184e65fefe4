"""Grounds a draft: keeps what the cited evidence carries, drops the rest with reasons, renumbers citations.

Nothing is kept without a citation of a verbatim span that exists, nor with an identifier, number, date or
quotation that its spans, or the headings above them, do not hold. A number that the question states needs
support like any other. Headings and leads ("In short:") are kept where their words are the question's or the
sources' and claim nothing. A sentence that says what the library lacks cannot be cited, so it is dropped
without being a fault; a draft of nothing else is a refusal.

What is not seen: who does what to whom, sums and conclusions (they count as unsupported numbers), number
words of other languages than English.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from agent.answers.cite import cite
from agent.answers.packing import Section
from agent.answers.values import Citation, Disagreement, Sentence
from agent.grounding.claim_verifier import Court, Judge, Kept
from agent.grounding.claims import Piece, pieces
from agent.grounding.evidence_selection import Source, Weights
from agent.grounding.fact_extraction import facts
from agent.grounding.source_conflicts import disagreements
from agent.text.corpus import Corpus
from index.words import query_terms

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
_FRAME = 100
"""Characters of the longest heading or lead that is kept."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A sentence of the draft that failed, and what to mend."""

    sentence: str
    reason: str


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
    """Grounds the drafts of one question; what it read of a section, it keeps for the next draft."""

    def __init__(self, corpus: Corpus, question: str) -> None:
        self._corpus, self._question = corpus, question
        self._weights = Weights(corpus)
        self._sources: dict[tuple[int, Section], Source] = {}

    def read(self, evidence: Mapping[int, Section]) -> None:
        """Divides sections into spans ahead of a draft, while a model is still writing it."""
        for source in self._of(evidence).values():
            source.read()

    def ground(self, draft: str, evidence: Mapping[int, Section], judge: Judge | None = None) -> Grounding:
        """Checks each sentence of a draft against the sections that it cites by number.

        judge: decides instead of words and meaning whether a passage supports a sentence; facts are checked
        all the same. It is called once, in this thread.
        """
        weights = self._weights
        parts = pieces(draft)
        claims = [piece for piece in parts if not _frames(piece) and not _is_refusal(piece)]
        court = Court(self._of(evidence), self._corpus, weights, judge)
        verdicts = dict(zip(map(id, claims), court.decide(claims), strict=True))
        kept = {at: v for at, piece in enumerate(parts) if isinstance(v := verdicts.get(id(piece)), Kept)}
        known = _known(self._question, kept.values(), weights)
        frames = {
            at for at, piece in enumerate(parts) if at not in kept and _is_neutral(piece, known, self._corpus)
        }
        faults = tuple(
            Fault(v.text, v.reason)
            for at, piece in enumerate(parts)
            if (v := verdicts.get(id(piece))) and not isinstance(v, Kept) and at not in frames
        )
        return _assembled(parts, kept, frames, faults, evidence, weights)

    def _of(self, evidence: Mapping[int, Section]) -> dict[int, Source]:
        for number, section in evidence.items():
            if (number, section) not in self._sources:
                self._sources[number, section] = Source(number, section, self._weights)
        return {number: self._sources[number, section] for number, section in evidence.items()}


def _frames(piece: Piece) -> bool:
    """Whether a piece only introduces others and carries no citation."""
    return piece.kind in ("heading", "lead") and not piece.cited


def _is_refusal(piece: Piece) -> bool:
    return (
        piece.kind in ("prose", "item")
        and not piece.cited
        and bool(_LACKS.search(piece.text))
        and not facts(piece.text)
    )


def _known(question: str, kept: Iterable[Kept], weights: Weights) -> frozenset[str]:
    """The stems that a heading may be made of."""
    spans = (span.stems for one in kept for _, span in one.spans)
    return weights.stems(question).union(*spans)


def _is_neutral(piece: Piece, known: frozenset[str], corpus: Corpus) -> bool:
    """Whether a heading, a lead or the head of a table says nothing that would need a source."""
    if piece.kind not in ("heading", "lead") or len(piece.text) > _FRAME or piece.broken:
        return False
    if facts(piece.text) or _DENIES.search(piece.text) or "\0" in piece.text:
        return False
    terms = [term for term in query_terms(piece.text) if term not in _NEUTRAL]
    return set(corpus.stems(" ".join(terms))) <= known


def _assembled(
    parts: Sequence[Piece],
    kept: Mapping[int, Kept],
    frames: set[int],
    faults: tuple[Fault, ...],
    evidence: Mapping[int, Section],
    weights: Weights,
) -> Grounding:
    numbers: dict[tuple[int, int, int], int] = {}
    sentences: list[Sentence] = []
    for one in kept.values():
        places = [(number, span.start, span.end) for number, span in one.spans]
        cited = tuple(sorted({numbers.setdefault(place, len(numbers) + 1) for place in places}))
        sentences.append(Sentence(one.text, cited))
    citations = tuple(cite(new, evidence[old], start, end) for (old, start, end), new in numbers.items())
    lacking = [piece for piece in parts if _is_refusal(piece)]
    notes = [f'"{_clipped(one.text)}": {one.note}' for one in kept.values() if one.note]
    notes += [f'left out, for it cannot be cited: "{_clipped(piece.text)}"' for piece in lacking if kept]
    return Grounding(
        sentences=tuple(sentences),
        citations=citations,
        faults=faults,
        text=_laid_out(parts, dict(zip(kept, sentences, strict=True)), frames),
        notes=tuple(notes),
        refused=bool(lacking) and not kept and not faults,
        disagreements=disagreements(sentences, citations, weights),
    )


def _laid_out(parts: Sequence[Piece], kept: Mapping[int, Sentence], frames: set[int]) -> str:
    """The kept sentences with their marks, in the paragraphs, items, rows and code of the draft."""
    out: list[str] = []
    waiting: list[Piece] = []
    last: Piece | None = None
    for at, piece in enumerate(parts):
        if at in frames:
            waiting = [one for one in waiting if one.kind == "heading" and piece.kind == "lead"] + [piece]
            continue
        if at not in kept:
            continue
        shown = [one for one in waiting if one.kind == "heading" or _introduces(one, piece)]
        for one in [*shown, piece]:
            text = _line(one, kept[at] if one is piece else None)
            out += [_gap(last, one), text] if last else [text]
            last = one
        waiting = []
    return "".join(out)


def _introduces(lead: Piece, piece: Piece) -> bool:
    return piece.kind != "prose" or lead.block == piece.block


def _gap(last: Piece, piece: Piece) -> str:
    """What stands between two pieces."""
    if last.block == piece.block and last.kind in ("prose", "lead") and piece.kind in ("prose", "lead"):
        return " "
    return "\n" if last.kind == piece.kind and piece.kind in ("item", "row") else "\n\n"


def _line(piece: Piece, sentence: Sentence | None) -> str:
    if sentence is None:
        return f"## {piece.text}" if piece.kind == "heading" else piece.text
    marks = "".join(f"[{number}]" for number in sentence.citations)
    if piece.kind == "code":
        return f"```\n{sentence.text}\n```\n{marks}"
    return f"{piece.prefix}{sentence.text} {marks}"


def _clipped(text: str) -> str:
    return text if len(text) <= _FRAME else f"{text[:_FRAME]}…"
