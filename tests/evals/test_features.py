"""The shipped weights fit the features of sentences, and fitting finds what tells right from wrong."""

import json

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.answerers.features import WEIGHTS, names, weights
from evals.features import Found, fitted, places


def test_the_shipped_weights_are_those_of_the_features():
    assert set(json.loads(WEIGHTS.read_text(encoding="utf-8"))) == set(names())
    assert np.isfinite(weights()).all()
    assert len(set(names())) == len(names())


@settings(max_examples=10)
@given(st.integers(0, 3), st.integers(0, 2**32 - 1))
def test_fitting_finds_the_feature_that_tells_right_from_wrong(which, seed):
    drawn = np.random.default_rng(seed)
    some = []
    for fold in range(30):
        rows = drawn.normal(size=(8, 4))
        right = np.zeros(8, np.bool_)
        right[rows[:, which].argmax()] = True
        some.append(Found(rows, right, fold % 10))
    found = fitted(some)
    assert np.abs(found).argmax() == which
    assert found[which] > 0
    assert sum(place == 0 for place in places(some, found)) >= 24
