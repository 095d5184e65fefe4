"""Comparisons: statistics against references and cases worked by hand, rankings by their properties."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evals.compare import holm, interval, moved, overlap, randomisation, rank_biased_overlap

VALUES = st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0]), min_size=2, max_size=9)
PAIRS = st.lists(
    st.tuples(st.sampled_from([0.0, 0.25, 0.5, 1.0]), st.sampled_from([0.0, 0.25, 0.5, 1.0])),
    min_size=2,
    max_size=8,
)
RANKINGS = st.lists(st.sampled_from("abcdefghij"), unique=True, max_size=10)


@settings(max_examples=25)
@given(PAIRS)
def test_the_randomisation_test_of_few_questions_is_exact(pairs: list[tuple[float, float]]) -> None:
    differences = [after - before for before, after in pairs]
    seen = abs(sum(differences))
    signs = list(itertools.product([1, -1], repeat=len(pairs)))
    extreme = sum(
        abs(sum(s * d for s, d in zip(sign, differences, strict=True))) >= seen - 1e-9 for sign in signs
    )
    assert randomisation(pairs) == pytest.approx(extreme / len(signs), abs=1e-9)


def test_the_randomisation_test_of_many_questions_is_near_the_exact_one_and_repeats() -> None:
    random = np.random.default_rng(7)
    before = random.random(200)
    pairs = list(zip(before, before + random.normal(0.02, 0.1, 200), strict=True))
    p = randomisation(pairs)
    assert p == randomisation(pairs)
    differences = np.array([after - before for before, after in pairs])
    z = abs(differences.sum()) / np.sqrt((differences**2).sum())
    normal = 2 * (1 - 0.5 * (1 + np.vectorize(math.erf)(z / np.sqrt(2))))
    assert p == pytest.approx(float(normal), abs=0.02)


@settings(max_examples=25)
@given(VALUES)
def test_an_interval_holds_its_mean_and_stays_among_the_values(values: list[float]) -> None:
    found = interval(values)
    assert min(values) <= found.low <= found.mean + 1e-9
    assert found.mean - 1e-9 <= found.high <= max(values)
    assert found == interval(values)


def test_an_interval_covers_the_true_mean_about_as_often_as_it_says() -> None:
    random = np.random.default_rng(3)
    samples = random.normal(0.5, 0.2, (100, 60))
    covered = sum((found := interval(list(sample))).low <= 0.5 <= found.high for sample in samples)
    assert 88 <= covered <= 100


@given(st.lists(st.floats(0, 1), max_size=8))
def test_holm_never_lowers_a_p_value_and_keeps_their_order(ps: list[float]) -> None:
    corrected = holm(ps)
    assert all(
        p <= c <= min(1.0, p * len(ps)) + 1e-12 or c <= 1.0 for p, c in zip(ps, corrected, strict=True)
    )
    assert all(c >= p for p, c in zip(ps, corrected, strict=True))
    order = sorted(range(len(ps)), key=lambda at: ps[at])
    assert [corrected[at] for at in order] == sorted(corrected)


def test_holm_as_worked_by_hand() -> None:
    assert holm([0.02, 0.01, 0.5, 0.03]) == pytest.approx([0.06, 0.04, 0.5, 0.06])


@given(RANKINGS, RANKINGS, st.floats(0.1, 0.95))
def test_rank_biased_overlap_is_symmetric_and_between_0_and_1(
    one: list[str], other: list[str], p: float
) -> None:
    found = rank_biased_overlap(one, other, p)
    assert found == pytest.approx(rank_biased_overlap(other, one, p))
    assert -1e-9 <= found <= 1 + 1e-9
    assert rank_biased_overlap(one, one, p) == pytest.approx(1.0)
    if not set(one) & set(other) and (one or other):
        assert found == pytest.approx(0.0)


@given(RANKINGS.filter(len), RANKINGS.filter(len), st.floats(0.1, 0.9))
def test_rank_biased_overlap_is_its_infinite_sum_when_agreement_stays(
    one: list[str], other: list[str], p: float
) -> None:
    """With equal lengths the extrapolation says that the agreement at the last rank goes on for ever."""
    depth = min(len(one), len(other))
    one, other = one[:depth], other[:depth]
    agreement = [len(set(one[:d]) & set(other[:d])) / d for d in range(1, depth + 1)]
    endless = agreement + [agreement[-1]] * 2000
    direct = (1 - p) * sum(a * p**d for d, a in enumerate(endless))
    assert rank_biased_overlap(one, other, p) == pytest.approx(direct, abs=1e-6)


def test_rank_biased_overlap_heeds_the_top_most() -> None:
    first = rank_biased_overlap(list("abcdef"), list("bacdef"))
    last = rank_biased_overlap(list("abcdef"), list("abcdfe"))
    assert 0 < first < last < 1


def test_overlap_counts_what_is_in_both() -> None:
    assert overlap(["a", "b", "c"], ["c", "b", "d"], 3) == pytest.approx(2 / 3)
    assert overlap([], [], 10) == 1.0
    assert overlap(["a"], [], 10) == 0.0


def test_what_moved_most_comes_first_and_ties_break_by_id() -> None:
    base = {name: {"AP": 0.5} for name in "dcba"} | {"e": {}}
    after = {"a": {"AP": 0.6}, "b": {"AP": 0.4}, "c": {"AP": 0.5}, "d": {"AP": 1.0}, "e": {"AP": 1.0}}
    assert [name for name, _ in moved(base, after, "AP", 10)] == ["d", "a", "b"]
    assert [name for name, _ in moved(base, after, "AP", 1)] == ["d"]
