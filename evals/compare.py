"""Two runs over the same questions: differences with their uncertainty, and how far two rankings agree."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from evals.measures import LESS_IS_BETTER, Scores
from index.errors import SettingsError

if TYPE_CHECKING:
    from evals.runs import Run

RESAMPLES = 10_000
SEED = 0
CONFIDENCE = 0.95
PERSISTENCE = 0.9
"""The p of rank-biased overlap: the first ten ranks carry 86% of its weight."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean and the ends of its confidence interval."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """A run against a base on one measure, over the questions that have it in both.

    difference: of the means, run minus base, with a 95% bootstrap interval; p: of a paired randomisation
    test, two-sided; corrected: the same after Holm's correction for all comparisons made together.
    """

    measure: str
    run: str
    questions: int
    base_mean: float
    run_mean: float
    difference: Interval
    p: float
    corrected: float
    wins: int
    losses: int
    ties: int


@dataclass(frozen=True, slots=True)
class Change:
    """How far a question's documents are the same in two runs: 1 for no change, 0 for nothing in common.

    gone, new: documents that left and entered the first k, in their order.
    """

    question: str
    overlap: float
    rank_biased_overlap: float
    gone: tuple[str, ...]
    new: tuple[str, ...]


def check_same_questions(base: Run, other: Run) -> None:
    """Raises SettingsError when two runs are not over the same questions, judged the same way."""
    one, two = base.record, other.record
    if one.dataset_sha256 != two.dataset_sha256:
        raise SettingsError(
            f"{other.name} belongs to another dataset ({two.dataset}, {two.dataset_sha256[:12]}) than"
            f" {base.name} ({one.dataset}, {one.dataset_sha256[:12]}); compare runs over the same one"
        )
    if one.judgments != two.judgments:
        raise SettingsError(
            f"{base.name} and {other.name} count other added judgments; make both with the same --judgments"
        )
    if base.kinds != other.kinds:
        raise SettingsError(
            f"{base.name} asked {len(base.kinds)} questions of {one.dataset} and {other.name}"
            f" {len(other.kinds)}; make both runs with the same --without"
        )


def compare(base: Run, others: Sequence[Run], measures: Sequence[str]) -> list[Comparison]:
    """Each run against the base on each measure, corrected together.

    Raises SettingsError for runs over other questions, or a measure that a run has not.
    """
    found = []
    for other in others:
        check_same_questions(base, other)
        for measure in measures:
            pairs = paired(base.scores, other.scores, measure)
            if not pairs:
                raise SettingsError(
                    f"{base.name} and {other.name} share no measure {measure!r};"
                    f" `chaincite eval show {base.name} --json` lists what there is"
                )
            found.append(_compared(measure, other.name, list(pairs.values())))
    corrected = holm([one.p for one in found])
    return [replace(one, corrected=p) for one, p in zip(found, corrected, strict=True)]


def shared(runs: Sequence[Run]) -> list[str]:
    """The measures that tables show of the first run and that all runs have."""
    known = [{name for scores in run.scores.values() for name in scores} for run in runs]
    return [measure for measure in runs[0].measures() if all(measure in names for names in known)]


def paired(
    base: Mapping[str, Scores], other: Mapping[str, Scores], measure: str
) -> dict[str, tuple[float, float]]:
    """A measure in both, by question, where both have it."""
    return {
        question: (base[question][measure], other[question][measure])
        for question in base
        if measure in base[question] and measure in other.get(question, {})
    }


def moved(
    base: Mapping[str, Scores], other: Mapping[str, Scores], measure: str, most: int
) -> list[tuple[str, float]]:
    """The questions whose measure changed most, with the change; ties break by id.

    >>> moved({"a": {"AP": 0.1}, "b": {"AP": 0.5}}, {"a": {"AP": 0.1}, "b": {"AP": 0.0}}, "AP", 5)
    [('b', -0.5)]
    """
    pairs = paired(base, other, measure)
    changes = [(question, after - before) for question, (before, after) in pairs.items() if after != before]
    return sorted(changes, key=lambda change: (-abs(change[1]), change[0]))[:most]


def _compared(measure: str, run: str, pairs: Sequence[tuple[float, float]]) -> Comparison:
    differences = [after - before for before, after in pairs]
    wins, losses = sum(d > 0 for d in differences), sum(d < 0 for d in differences)
    if measure in LESS_IS_BETTER:
        wins, losses = losses, wins
    return Comparison(
        measure=measure,
        run=run,
        questions=len(pairs),
        base_mean=sum(before for before, _ in pairs) / len(pairs),
        run_mean=sum(after for _, after in pairs) / len(pairs),
        difference=interval(differences),
        p=randomisation(pairs),
        corrected=1.0,
        wins=wins,
        losses=losses,
        ties=len(pairs) - wins - losses,
    )


def interval(values: Sequence[float]) -> Interval:
    """The mean of values, with a 95% interval from 10,000 bootstrap samples (percentiles; seeded)."""
    import numpy as np
    from scipy.stats import bootstrap

    mean = float(np.mean(values))
    if len(set(values)) < 2:
        return Interval(mean, mean, mean)
    found = bootstrap(
        (values,),
        np.mean,
        n_resamples=RESAMPLES,
        batch=1000,
        confidence_level=CONFIDENCE,
        method="percentile",
        rng=np.random.default_rng(SEED),
    ).confidence_interval
    return Interval(mean, float(found.low), float(found.high))


def randomisation(pairs: Sequence[tuple[float, float]]) -> float:
    """The p-value of Fisher's paired randomisation test on the difference of means, two-sided, seeded.

    With few questions every exchange is tried and the p-value is exact.
    """
    import numpy as np
    from scipy.stats import permutation_test

    if len(pairs) == 1 or all(before == after for before, after in pairs):
        return 1.0

    def difference(before: Any, after: Any, axis: int) -> Any:
        return np.mean(after - before, axis=axis)

    statistic: Callable[..., Any] = difference
    found = permutation_test(
        tuple(zip(*pairs, strict=True)),
        statistic,
        permutation_type="samples",
        vectorized=True,
        n_resamples=RESAMPLES,
        batch=1000,
        rng=np.random.default_rng(SEED),
    )
    return float(found.pvalue)


def holm(ps: Sequence[float]) -> list[float]:
    """P-values corrected for their number (Holm 1979).

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    corrected, highest = [0.0] * len(ps), 0.0
    for rank, at in enumerate(sorted(range(len(ps)), key=lambda at: ps[at])):
        highest = max(highest, min(1.0, ps[at] * (len(ps) - rank)))
        corrected[at] = highest
    return corrected


def drift(one: Run, other: Run, k: int) -> list[Change]:
    """The change of each question's ranked documents, what changed most first; ties break by id.

    Raises SettingsError for runs over other questions.
    """
    check_same_questions(one, other)
    changes = []
    for question in one.kinds:
        before, after = one.documents(question), other.documents(question)
        first, second = before[:k], after[:k]
        changes.append(
            Change(
                question=question,
                overlap=overlap(before, after, k),
                rank_biased_overlap=rank_biased_overlap(before, after),
                gone=tuple(path for path in first if path not in second),
                new=tuple(path for path in second if path not in first),
            )
        )
    return sorted(changes, key=lambda change: (change.rank_biased_overlap, change.question))


def overlap(one: Sequence[str], other: Sequence[str], k: int) -> float:
    """The share of the first k that two rankings have in common; 1 for two empty ones.

    >>> overlap(["a", "b"], ["b", "c"], 2)
    0.5
    """
    longest = min(k, max(len(one), len(other)))
    return len(set(one[:k]) & set(other[:k])) / longest if longest else 1.0


def rank_biased_overlap(one: Sequence[str], other: Sequence[str], p: float = PERSISTENCE) -> float:
    """How far two rankings without repeats agree, the top counting most.

    Extrapolated rank-biased overlap (Webber, Moffat and Zobel 2010, equation 32). p: the chance that a reader
    goes on to the next rank, 0 < p < 1. Two empty rankings agree, 1.

    >>> round(rank_biased_overlap(["a", "b"], ["b", "a"], 0.5), 3)
    0.5
    """
    short, long = sorted((one, other), key=len)
    if not short:
        return 1.0 if not long else 0.0
    s, n = len(short), len(long)
    common = [len(set(short[:depth]) & set(long[:depth])) for depth in range(n + 1)]
    at_s = common[s]
    total = sum(common[d] / d * p**d for d in range(1, n + 1))
    total += sum(at_s * (d - s) / (s * d) * p**d for d in range(s + 1, n + 1))
    return (1 - p) / p * total + ((common[n] - at_s) / n + at_s / s) * p**n
