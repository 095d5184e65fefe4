"""What can be told of a candidate sentence without reading it: figures that a linear score is made of.

Half of them compare its words with the question's (how much of the question the sentence, its headings and
the sentence before it hold), the others say what it looks like, and whether that is what this form of
question is answered by: a reason for `why`, a number for `how many`. Their weights, `features.json`, are
fitted by `evals.features` to questions with marked answers.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from agent.answerers.candidates import Candidate
from agent.answerers.question_terms import QuestionTerms

WEIGHTS = Path(__file__).with_name("features.json")

_ASKS = {
    "why": r"\bwhy\b|\breasons?\b|\bpurpose\b|\brationale\b",
    "which": r"\bwhich\b",
    "how": r"\bhow (?:do|can|should|would|must|to|does|is|are|did)\b",
    "whether": r"(?:^|[,;] )(?:is|are|does|do|can|may|must|should|will|has|have|did|was|were|could)\b",
    "happens": r"\bwhat happens\b|\bif\b|\bwhen\b",
    "compares": r"\b(?:differ\w*|compar\w*|versus|vs|than|unlike|instead)\b",
    "risk": r"\b(?:attack\w*|risk\w*|danger\w*|malicious|secur\w*|protect\w*|prevent\w*|abuse|audit\w*)\b",
}
"""Forms of a question."""

_SAYS = {
    "because": r"\b(?:because|since|so that|in order to|therefore|thus|hence|allow(?:s|ing)?|avoid(?:s|ing)?"
    r"|prevent(?:s|ing)?|ensur(?:e|es|ing)|reason|otherwise|would)\b",
    "must": r"\b(?:must|shall|should|required?|needs? to|has to|have to|may not|cannot)\b",
    "if": r"\b(?:if|when|unless|only|whenever|once|in case)\b",
    "not": r"\b(?:not|no|never|cannot|without)\b|n't\b",
    "fails": r"\b(?:revert|throw|fail|reject|invalid|error|abort)\w*",
    "contrast": r"\b(?:unlike|whereas|while|instead|differ\w*|compared|contrast|rather|however|but|both"
    r"|no longer|more than|less than)\b",
    "risk": r"\b(?:attack\w*|risk\w*|malicious|secur\w*|vulnerab\w*|exploit\w*|front-?run\w*|replay"
    r"|collision)\b",
    "example": r"\b(?:example|e\.g\.|for instance)\b",
}
"""Forms of a sentence."""

_UNDER = {
    "abstract": r"abstract|summary|introduction|overview",
    "motivation": r"motivation|background",
    "specification": r"specification|definition|parameter|constant|encoding|format",
    "rationale": r"rationale|why|design|discussion|faq",
    "security": r"security|risk|attack|consideration",
    "compatibility": r"backward|compat|migration",
    "implementation": r"implementation|code|test|example|appendix",
    "references": r"reference|acknowledg|copyright|footnote|see also|history|changelog",
}
"""Sorts of headings."""

_PAIRS = (
    ("why", "because"),
    ("why", "number"),
    ("why", "under rationale"),
    ("why", "under motivation"),
    ("why", "under specification"),
    ("wants number", "number"),
    ("wants number", "row"),
    ("wants name", "name"),
    ("which", "name"),
    ("how", "must"),
    ("how", "item"),
    ("whether", "not"),
    ("whether", "if"),
    ("happens", "if"),
    ("happens", "fails"),
    ("compares", "contrast"),
    ("risk", "risk"),
)
"""A form of question, and what of a sentence may answer it."""

_PATTERNS = {
    group: {name: re.compile(form, re.IGNORECASE) for name, form in forms.items()}
    for group, forms in (("asks", _ASKS), ("says", _SAYS), ("under", _UNDER))
}
_NAME = re.compile(r"0x[0-9a-fA-F]{2,}|`[^`]+`|<code>|\b[A-Z]{2,}(_[A-Z0-9]+)+\b|\b[a-z]+[A-Z]\w+|\w\(")
_MOST_NUMBERS = 3


def features(question: str, asked: QuestionTerms, found: Sequence[Candidate]) -> npt.NDArray[np.float32]:
    """A row for each candidate, shape (len(found), len(names())), in the order of `names`."""
    best = max((candidate.section.score for candidate in found), default=0.0) or 1.0
    asks = {name: float(bool(form.search(question))) for name, form in _PATTERNS["asks"].items()}
    asks |= {"wants number": float(asked.wants_number), "wants name": float(asked.wants_name)}
    rows = [list(_of(candidate, asked, asks, best).values()) for candidate in found]
    return np.array(rows, np.float32).reshape(len(found), len(names()))


def names() -> tuple[str, ...]:
    """What the columns are."""
    says = (*_SAYS, *(f"under {name}" for name in _UNDER))
    return (*_MEASURED, *says, *(f"{one} × {other}" for one, other in _PAIRS))


_MEASURED = (
    "held", "beside", "before", "pairs", "section", "length", "length²", "item", "row", "code", "number",
    "numbers", "name", "form", "question", "new",
)  # fmt: skip


def _of(candidate: Candidate, asked: QuestionTerms, asks: dict[str, float], best: float) -> dict[str, float]:
    words, around, text = candidate.words, candidate.around, candidate.text
    held, beside = asked.share(words), asked.share(words | around)
    numbers = sum(word[:1].isdigit() for word in words - asked.weights.keys())
    length = float(np.log1p(len(candidate.stems)))
    unit = candidate.sentence.unit
    measured = (
        held,
        beside - held,
        asked.share(words | around | candidate.before) - beside,
        asked.paired(candidate.stems),
        candidate.section.score / best,
        length,
        length * length,
        unit == "item",
        unit == "row",
        unit == "code",
        numbers > 0,
        min(numbers, _MOST_NUMBERS) / _MOST_NUMBERS,
        bool(_NAME.search(text)),
        asked.looks(text),
        text.rstrip().endswith("?"),
        len(words - asked.weights.keys()) / max(len(words), 1),
    )
    says = dict(zip(_MEASURED, map(float, measured), strict=True))
    says |= {name: float(bool(form.search(text))) for name, form in _PATTERNS["says"].items()}
    heading = " › ".join(candidate.passage.heading[-2:])
    says |= {f"under {name}": float(bool(form.search(heading))) for name, form in _PATTERNS["under"].items()}
    return says | {f"{one} × {other}": asks[one] * says[other] for one, other in _PAIRS}


@cache
def weights() -> npt.NDArray[np.float32]:
    """The shipped weights, shape (len(names()),)."""
    shipped = json.loads(WEIGHTS.read_text(encoding="utf-8"))
    return np.array([shipped[name] for name in names()], np.float32)
