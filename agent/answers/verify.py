"""Goes back to the source of each citation: whether it is what it was, and holds the quotation."""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from agent.answers.values import Answer, Citation
from agent.text.sentences import split
from index.errors import Gone, Reorged, SourceError, Unreachable
from index.values import Reading, SourceRef

Reread = Callable[[SourceRef], Reading]
"""Reads a source again. Raises Gone, Reorged, Unreachable, or SourceError where it is not what it was."""

Verdict = Literal["OK", "CHANGED", "GONE", "REORGED", "UNREACHABLE"]

_SHORTLIST = 20


@dataclass(frozen=True, slots=True)
class Check:
    """What became of one citation. now: what stands in the source instead of the quotation.

    change: the quotation turned into `now`, with [-removed-] and {+added+} words.
    notes: what else was seen in the source, told with the first of its citations.
    """

    number: int
    verdict: Verdict
    message: str
    now: str | None = None
    change: str | None = None
    notes: tuple[str, ...] = ()


def verify(answer: Answer, reread: Reread) -> list[Check]:
    """One check for each citation, in their order. Each source is read once."""
    readings: dict[tuple[str, str], Reading | SourceError] = {}
    checks = []
    for citation in answer.citations:
        key = (citation.source.location, citation.source.uri)
        first = key not in readings
        if first:
            readings[key] = _read(citation.source, reread)
        reading = readings[key]
        notes = reading.findings if first and isinstance(reading, Reading) else ()
        checks.append(replace(_check(citation, reading), notes=notes))
    return checks


def _read(source: SourceRef, reread: Reread) -> Reading | SourceError:
    try:
        return reread(source)
    except SourceError as error:
        return error


def _check(citation: Citation, reading: Reading | SourceError) -> Check:
    if isinstance(reading, Unreachable):
        return Check(citation.number, "UNREACHABLE", str(reading))
    if isinstance(reading, Reorged):
        return Check(citation.number, "REORGED", str(reading))
    if isinstance(reading, Gone):
        return Check(citation.number, "GONE", str(reading))
    if isinstance(reading, SourceError):
        return Check(citation.number, "CHANGED", f"the source changed: what is there now {reading}")
    same = reading.document.sha256 == citation.source.sha256
    stands = _stands(citation, reading.text)
    if same and stands:
        return Check(citation.number, "OK", "the source is the same and the quotation stands in it")
    digests = f"sha256 {citation.source.sha256[:8]}… then, {reading.document.sha256[:8]}… now"
    if stands:
        return Check(
            citation.number,
            "CHANGED",
            f"the source changed ({digests}), but the quotation still stands in it",
        )
    now = _closest(citation.quote, reading.text)
    change = None if now is None else _change(citation.quote, now)
    if same and _letters(citation.quote) in _letters(reading.text):
        message = "the source is the same, but its signs are read otherwise now than in the quotation"
        return Check(citation.number, "CHANGED", message, now, change)
    what = "the source is the same" if same else f"the source changed ({digests})"
    return Check(citation.number, "CHANGED", f"{what}, and the quotation does not stand in it", now, change)


def _letters(text: str) -> str:
    """The letters and digits of a text, in Unicode's compatibility form."""
    return "".join(filter(str.isalnum, unicodedata.normalize("NFKC", text)))


def _stands(citation: Citation, text: str) -> bool:
    """Whether the words of the quotation stand in the text, white space aside."""
    if text[citation.start : citation.end] == citation.quote:
        return True
    words = citation.quote.split()
    return bool(words) and " ".join(words) in " ".join(text.split())


def _closest(quote: str, text: str) -> str | None:
    """The sentence of the text that is most like the quotation; None where none shares a word with it."""
    wanted = _words(quote)
    sentences = dict.fromkeys(text[sentence.start : sentence.end] for sentence in split(text))
    shared = {sentence: _overlap(wanted, _words(sentence)) for sentence in sentences}
    shortlist = sorted((s for s in shared if shared[s]), key=lambda s: -shared[s])[:_SHORTLIST]
    matcher = difflib.SequenceMatcher(b=quote.split(), autojunk=False)

    def likeness(sentence: str) -> float:
        matcher.set_seq1(sentence.split())
        return matcher.ratio()

    return max(shortlist, key=likeness, default=None)


def _words(text: str) -> frozenset[str]:
    return frozenset(re.findall(r"\w+", text.lower()))


def _overlap(one: frozenset[str], other: frozenset[str]) -> float:
    return len(one & other) / max(1, len(one | other))


def _change(before: str, after: str) -> str:
    """The words of `before` turned into those of `after`.

    >>> _change("the fee is 8 gas", "the fee is 10 gas")
    'the fee is [-8-] {+10+} gas'
    """
    old, new = before.split(), after.split()
    parts = []
    for tag, a, b, c, d in difflib.SequenceMatcher(a=old, b=new, autojunk=False).get_opcodes():
        if tag == "equal":
            parts.append(" ".join(old[a:b]))
            continue
        if b > a:
            parts.append(f"[-{' '.join(old[a:b])}-]")
        if d > c:
            parts.append(f"{{+{' '.join(new[c:d])}+}}")
    return " ".join(parts)
