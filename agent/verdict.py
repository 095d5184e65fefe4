"""Decides for each piece of a draft whether the sources that it cites carry it, and says why where not.

A piece stands when every fact of it is in the spans chosen for it, nothing turns it around, and either its words
cover it (`COVERED`), or enough of them do and its meaning is close (`CLOSE`). The bounds were set on 123 pairs of
a true sentence and a passage that holds it, and 507 pairs of the same sentences and other passages found for the
same questions, over proposals and papers. Of the pairs whose facts hold, true ones have a coverage of 0.52 or more
in 19 of 20 (median 0.83) and a cosine of 0.33 or more (median 0.62); without regard to facts, passages of other
documents stay below a coverage of 0.39 in 49 of 50, and below a cosine of 0.51 in 19 of 20.

A sentence in another language shares few words with its source. It needs its facts and `CLOSE`, which the default
embedding model, made for English, seldom grants without names in common; a judge does better there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from agent.draft import Piece
from agent.facts import facts, hides_a_number
from agent.fold import is_foreign
from agent.polarity import conflict
from agent.present import one_line
from agent.support import Corpus, Source, Span, Support, Weights, support

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


@dataclass
class _Trial:
    """A piece against some of the sources. stands: None until its meaning is looked at."""

    numbers: tuple[int, ...]
    found: Support
    stands: bool | None
    reason: str


class Court:
    """Tries the pieces of one draft against the evidence.

    evidence: the sources by number; judge: asked instead of words and meaning, never instead of facts.
    """

    def __init__(
        self, sources: Mapping[int, Source], corpus: Corpus, weights: Weights, judge: Judge | None
    ) -> None:
        self._sources, self._corpus, self._weights, self._judge = sources, corpus, weights, judge

    def decide(self, pieces: Sequence[Piece]) -> list[Kept | Dropped]:
        """A verdict for each piece, in their order; meanings are compared, or the judge asked, all at once."""
        texts = [self._named(piece) for piece in pieces]
        flaws = [self._flaw(piece, text) for piece, text in zip(pieces, texts, strict=True)]
        trials = [
            [] if flaw else self._tried(piece, text)
            for piece, text, flaw in zip(pieces, texts, flaws, strict=True)
        ]
        open_ones = [
            (text, t) for text, some in zip(texts, trials, strict=True) for t in some if t.stands is None
        ]
        self._settle(open_ones)
        return [
            Dropped(piece, text, flaw) if flaw else self._verdict(piece, text, some)
            for piece, text, flaw, some in zip(pieces, texts, flaws, trials, strict=True)
        ]

    def _named(self, piece: Piece) -> str:
        """The piece's text, a citation that was used as a noun replaced by the name of its source."""

        def name(match: re.Match[str]) -> str:
            source = self._sources.get(int(match.group(1)))
            return (
                one_line(source.section.document.number or source.section.document.title) if source else "?"
            )

        return re.sub("\0(\\d+)\0", name, piece.text)

    def _flaw(self, piece: Piece, text: str) -> str:
        """What is wrong with a piece before any source is looked at."""
        known = [number for number in piece.cited if number in self._sources]
        if piece.broken or (piece.kind != "code" and hides_a_number(text)):
            return "a citation or markup stands inside a number or name; write it in one piece"
        if piece.cited and not known:
            has = ", ".join(f"[{number}]" for number in sorted(self._sources)) or "none"
            return f"there is no source {_marks(piece.cited)}; the sources are {has}"
        if not piece.cited:
            return "it carries no citation; end it with the number of the source that says it, such as [1]"
        return ""

    def _tried(self, piece: Piece, text: str) -> list[_Trial]:
        """The piece against each source that it cites, then against all of them where none carries it alone."""
        known = [number for number in piece.cited if number in self._sources]
        trials = [self._trial(piece, text, (number,)) for number in known]
        if len(known) > 1 and not any(trial.stands for trial in trials):
            trials.append(self._trial(piece, text, tuple(known)))
        return trials

    def _trial(self, piece: Piece, text: str, numbers: tuple[int, ...]) -> _Trial:
        sources = [self._sources[number] for number in numbers]
        if piece.kind == "code":
            spans = [(s.number, span) for s in sources if (span := s.verbatim(text))]
            reason = f"the code does not stand in {_marks(numbers)} as it is written"
            return _Trial(numbers, Support(tuple(spans), (), 1.0), bool(spans), reason)
        found = support(self._weights.content(text), facts(text), sources)
        if found.missing or not found.spans:
            return _Trial(numbers, found, False, self._missing(found, numbers))
        said = "\n".join(span.text for _, span in found.spans)
        foreign = is_foreign(text)
        if not foreign and (turned := conflict(text, said)):
            return _Trial(numbers, found, False, f"{turned}: {_quoted(found)}")
        weak = f"{_marks(numbers)} does not say this; the closest there is {_quoted(found)}"
        if self._judge is not None or foreign or SHARED <= found.coverage < COVERED:
            return _Trial(numbers, found, None, weak)
        return _Trial(numbers, found, found.coverage >= COVERED, weak)

    def _missing(self, found: Support, numbers: Sequence[int]) -> str:
        """Names the facts that are not there, what is there instead, and where they are."""
        parts = []
        for fact in found.missing[:4]:
            there = [n for n, s in self._sources.items() if n not in numbers and s.holding(fact)]
            elsewhere = f" ({_marks(there[:3])} has it)" if there else ""
            parts.append(f"the {fact.kind} {fact.text} does not occur in {_marks(numbers)}{elsewhere}")
        return "; ".join([*parts, f"the closest there is {_quoted(found)}"] if found.spans else parts) or (
            f"{_marks(numbers)} has nothing of it"
        )

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

    def _verdict(self, piece: Piece, text: str, trials: Sequence[_Trial]) -> Kept | Dropped:
        """Keeps the sources that carry the piece alone, else those that do together, else finds another."""
        alone = [t for t in trials if t.stands and len(t.numbers) == 1]
        together = [t for t in trials if t.stands and len(t.numbers) > 1]
        if standing := alone or together:
            spans = tuple(dict.fromkeys(span for t in standing for span in t.found.spans))
            unused = [n for n in piece.cited if n not in {number for number, _ in spans}]
            return Kept(piece, text, spans, f"{_marks(unused)} did not carry it" if unused else "")
        if other := self._elsewhere(piece, text):
            number = other.numbers[0]
            note = f"{_marks(piece.cited)} did not carry it, {_marks([number])} does"
            return Kept(piece, text, other.found.spans, note)
        best = max(trials, key=lambda t: (-len(t.found.missing), t.found.coverage))
        return Dropped(piece, text, best.reason)

    def _elsewhere(self, piece: Piece, text: str) -> _Trial | None:
        """A source that was not cited and carries the piece beyond doubt."""
        if self._judge is not None:
            return None
        others = (self._trial(piece, text, (n,)) for n in self._sources if n not in piece.cited)
        return next((trial for trial in others if trial.stands), None)


def _spoken(span: Span) -> str:
    """What is embedded of a span: the line above it, then its words."""
    return "\n".join(filter(None, (span.around.rpartition("\n")[2][-_CLIP:], span.text)))


def _marks(numbers: Sequence[int]) -> str:
    return "".join(f"[{number}]" for number in numbers)


def _quoted(found: Support) -> str:
    text = one_line(found.spans[0][1].text) if found.spans else ""
    return f'"{text[:_CLIP]}{"…" if len(text) > _CLIP else ""}"'
