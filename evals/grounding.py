"""Measures the verification of drafts on judged pairs of a passage and a claim."""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path, PurePosixPath

import numpy as np
import numpy.typing as npt
from scipy.stats import binomtest

from agent.answers.packing import Section
from agent.grounding.claim_verifier import ClaimVerifier, Judge, Outcome, Verdict
from agent.grounding.claims import claims
from agent.grounding.entailment import CHAT, ChatJudge, judge_of
from agent.grounding.evidence_selection import IdfWeights, Source
from agent.models import Models
from agent.records.ledger import Ledger
from index.errors import SourceError
from index.settings import Settings
from index.terms import terms
from index.values import Document, Kind, Passage
from index.words import analyzer
from prompts import load_all

SUPPORTED = "supported"
OUTCOMES: tuple[Outcome, ...] = ("verified", "unverified", "removed")


@dataclass(frozen=True, slots=True)
class Pair:
    """A claim and the passage that it is held against. label: `supported`, or anything else where it is not.

    path: of the passage's document, whose name a claim may use; type: by which measures are told apart.
    """

    id: str
    passage: str
    claim: str
    label: str
    path: str = ""
    type: str = ""


@dataclass(frozen=True, slots=True)
class Decision:
    """What became of a claim, why, and by what means where it was verified."""

    id: str
    outcome: Outcome
    reason: str
    verified_by: str | None


@dataclass(frozen=True, slots=True)
class Share:
    """How many of the claims of one label and type had an outcome; low, high: Wilson's 95 % interval."""

    label: str
    type: str
    outcome: Outcome
    count: int
    of: int
    share: float
    low: float
    high: float


def read_pairs(file: Path) -> list[Pair]:
    """The pairs of a file of JSON lines. Raises SourceError, naming the line that is none."""
    try:
        lines = file.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(f"{file} cannot be read: {error}; give a file of JSON lines") from error
    pairs = [_pair(file, number, line) for number, line in enumerate(lines, 1) if line.strip()]
    repeated = [name for name, times in Counter(pair.id for pair in pairs).items() if times > 1]
    if repeated or not pairs:
        what = f"has the id {repeated[0]!r} more than once" if repeated else "holds no pairs"
        raise SourceError(f"{file} {what}; give each line an id of its own")
    return pairs


def _pair(file: Path, number: int, line: str) -> Pair:
    try:
        row = json.loads(line)
        fields = {name: row[name] for name in ("id", "passage", "claim", "label")}
        fields |= {name: row.get(name) or "" for name in ("path", "type")}
    except (ValueError, TypeError, KeyError, AttributeError):
        fields = {}
    if not fields or not all(isinstance(value, str) for value in fields.values()):
        raise SourceError(
            f"{file}, line {number} is no pair; write id, passage, claim and label, each as text,"
            " and path and type where there are any"
        )
    return Pair(**fields)


def decide(
    pairs: Sequence[Pair], settings: Settings, told: Callable[[int], None] | None = None
) -> list[Decision]:
    """The decision on each claim, by the verifier of the settings; told: is given how many are done.

    Raises ModelError where a local verifier cannot be loaded.
    """
    return asyncio.run(_decide(pairs, settings, told))


async def _decide(
    pairs: Sequence[Pair], settings: Settings, told: Callable[[int], None] | None
) -> list[Decision]:
    models = Models.connect(settings, Ledger(settings.library)) if settings.verifier == CHAT else None
    prompt = next(one for one in load_all(settings.prompts) if one.name == "judge")
    weights = IdfWeights(_Passages([pair.passage for pair in pairs]))
    found = []
    for number, pair in enumerate(pairs, 1):
        judge = await judge_of(settings, models and models.question(pair.id), prompt)
        found.append(await asyncio.to_thread(_decided, pair, weights, judge))
        if told is not None:
            told(number)
    return found


def _decided(pair: Pair, weights: IdfWeights, judge: Judge | None) -> Decision:
    """The decision on a claim, of whose sentences the worst counts."""
    parts = [replace(part, cited=(1,)) for part in claims(pair.claim) if part.text]
    verifier = ClaimVerifier({1: Source(1, _section(pair), weights)}, weights, judge)
    verdicts = verifier.decide(parts)
    if not verdicts:
        return Decision(pair.id, "removed", "it says nothing", None)
    worst = max(verdicts, key=lambda verdict: OUTCOMES.index(verdict.outcome))
    means = dict.fromkeys(verdict.verified_by or "" for verdict in verdicts)
    verified = worst.outcome == "verified"
    return Decision(pair.id, worst.outcome, _reason(worst, judge), ", ".join(means) if verified else None)


def _reason(verdict: Verdict, judge: Judge | None) -> str:
    if verdict.outcome == "verified":
        return "the source's own words" if verdict.verified_by == "verbatim" else "a judge confirms it"
    if verdict.outcome == "removed":
        return verdict.told
    failed = f"; {judge.failures[-1]}" if isinstance(judge, ChatJudge) and judge.failures else ""
    return f"its facts are in the passage, and nothing has judged its meaning{failed}"


def _section(pair: Pair) -> Section:
    """A pair's passage as the whole of its document."""
    digest = sha256(pair.passage.encode()).hexdigest()
    stem = PurePosixPath(pair.path).stem
    designation = re.fullmatch(r"(eip|erc|bip)-?0*((?!0)\d+|0)", stem, re.IGNORECASE)
    name = f"{designation[1].upper()}-{designation[2]}" if designation else None
    document = Document(
        uri=f"pair:{digest}",
        kind=Kind.PAPER,
        title=stem.replace("-", " ").replace("_", " "),
        sha256=digest,
        size=len(pair.passage.encode()),
        media_type="text/plain",
        path=pair.path or pair.id,
        location=pair.path or pair.id,
        retrieved_at=datetime.now(UTC),
        number=name,
    )
    passage = Passage(document.uri, digest, 0, 0, len(pair.passage), pair.passage, document.title)
    return Section(document, (passage,), 1.0)


class _Passages:
    """The passages of a file as the texts whose words are weighed."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._analyzer = analyzer()
        distinct = [frozenset(self.stems(text)) for text in dict.fromkeys(texts)]
        self.size = len(distinct)
        self._found = Counter(stem for one in distinct for stem in one)

    def stems(self, text: str) -> list[str]:
        return [stem for term in terms(text) for stem in self._analyzer.analyze(term)]

    def frequencies(self, stems: Sequence[str]) -> list[int]:
        return [self._found[stem] for stem in stems]

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        raise NotImplementedError("claims are verified without vectors")


def shares(pairs: Sequence[Pair], decisions: Sequence[Decision]) -> list[Share]:
    """How often claims had each outcome: all supported, all others, then by type."""
    groups: dict[tuple[str, str], Counter[str]] = {}
    for pair, decision in zip(pairs, decisions, strict=True):
        label = SUPPORTED if pair.label == SUPPORTED else f"not {SUPPORTED}"
        for kind in dict.fromkeys(("", pair.type)):
            groups.setdefault((label, kind), Counter())[decision.outcome] += 1
    ordered = sorted(groups, key=lambda group: (group[1] != "", group[0] != SUPPORTED, group[1]))
    return [_share(*group, outcome, groups[group]) for group in ordered for outcome in OUTCOMES]


def _share(label: str, kind: str, outcome: Outcome, found: Counter[str]) -> Share:
    count, of = found[outcome], found.total()
    low, high = binomtest(count, of).proportion_ci(method="wilson")
    return Share(label, kind, outcome, count, of, count / of, float(low), float(high))
