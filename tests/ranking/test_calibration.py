"""Calibration by hand, against slow forms, and what must hold of any curve."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from personsearch.errors import InputError
from personsearch.ranking.calibration import Calibration, expected_calibration_error, fit_calibration

METHODS = ["isotonic", "platt"]


def slow_isotonic(scores, right):
    """Min-max formula: the fit at i is max over j<=i of min over k>=i of the mean of j..k."""
    levels = sorted(set(scores))
    groups = [[r for s, r in zip(scores, right, strict=True) if s == level] for level in levels]

    def mean(j, k):
        pooled = [r for group in groups[j : k + 1] for r in group]
        return sum(pooled) / len(pooled)

    n = len(levels)
    return {levels[i]: max(min(mean(j, k) for k in range(i, n)) for j in range(i + 1)) for i in range(n)}


def pairs(seed, n=400):
    """Similarities of two people and of one, and which is which."""
    rng = np.random.default_rng(seed)
    same = rng.random(n) < 0.4
    same[:2] = [True, False]
    return np.round(rng.normal(np.where(same, 0.6, 0.3), 0.15), 2), same


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=2, max_size=25))
def test_isotonic_equals_the_min_max_formula(drawn):
    scores, right = [s / 10 for s, _ in drawn], [r for _, r in drawn]
    if all(right) or not any(right):
        return
    curve = fit_calibration(np.array(scores), np.array(right))
    low, high = 1 / (right.count(False) + 2), (right.count(True) + 1) / (right.count(True) + 2)
    expected = slow_isotonic(scores, right)
    got = curve.probability(np.array(list(expected)))
    assert got == pytest.approx(np.clip(list(expected.values()), low, high))


def test_platt_is_where_the_slow_search_ends():
    scores, same = pairs(3, 200)
    curve = fit_calibration(scores, same, method="platt")
    positive = same.sum()
    targets = np.where(same, (positive + 1) / (positive + 2), 1 / (200 - positive + 2))

    def loss(slope, intercept):
        p = 1 / (1 + np.exp(-(slope * scores + intercept)))
        return -np.mean(targets * np.log(p) + (1 - targets) * np.log(1 - p))

    slope, intercept, step = 0.0, 0.0, 8.0
    while step > 1e-7:  # pattern search: walk downhill, halve the step when stuck
        around = [(slope + a * step, intercept + b * step) for a in (-1, 0, 1) for b in (-1, -0.5, 0, 0.5, 1)]
        best = min(around, key=lambda at: loss(*at))
        if loss(*best) >= loss(slope, intercept) - 1e-16:
            step /= 2
        else:
            slope, intercept = best
    assert loss(curve.slope, curve.intercept) <= loss(slope, intercept) + 1e-9
    assert curve.slope == pytest.approx(slope, rel=1e-2)
    at = np.array([0.2, 0.45, 0.7])
    assert curve.probability(at) == pytest.approx(1 / (1 + np.exp(-(slope * at + intercept))), abs=1e-3)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_probabilities_rise_and_are_true_of_new_pairs(method, seed):
    curve = fit_calibration(*pairs(seed, 3000), method=method)
    grid = curve.probability(np.linspace(-2, 2, 999))
    assert (np.diff(grid) >= 0).all()
    assert grid.min() > 0
    assert grid.max() < 1
    fresh, same = pairs(seed + 100, 3000)
    assert expected_calibration_error(curve.probability(fresh), same) < 0.04
    assert expected_calibration_error(np.clip(fresh, 0, 1), same) > 0.1  # what the similarity itself says


@pytest.mark.parametrize("method", METHODS)
def test_what_speaks_against_itself_gives_a_flat_curve(method):
    scores, same = pairs(4)
    curve = fit_calibration(-scores, same, method=method)
    assert curve.probability(np.array([-1.0, 1.0])) == pytest.approx([same.mean()] * 2, abs=0.01)


@pytest.mark.parametrize("method", METHODS)
def test_perfect_pairs_do_not_make_certainty(method):
    scores, same = np.array([0.1] * 8 + [0.9] * 8), np.array([False] * 8 + [True] * 8)
    found = fit_calibration(scores, same, method=method).probability(np.array([0.0, 1.0]))
    assert 0 < found[0] < 0.15
    assert 0.85 < found[1] < 1
    at_knots = fit_calibration(scores, same, method=method).probability(np.array([0.1, 0.9]))
    assert at_knots == pytest.approx([0.1, 0.9], abs=1e-5)  # 1 / (8 + 2) and 9 / 10


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from(METHODS))
def test_json_gives_back_the_same_curve(seed, method):
    curve = fit_calibration(*pairs(seed, 60), method=method)
    again = Calibration.from_json(json.loads(json.dumps(curve.to_json())))
    assert again == curve
    assert again.probability(np.array(0.5)).shape == ()


def test_another_prior_moves_the_odds():
    curve = Calibration(method="platt", pairs=10, prior=0.5, slope=2.0, intercept=0.0)
    at = np.array([-1.0, 0.0, 1.0])
    plain = curve.probability(at)
    moved = curve.probability(at, prior=0.01)
    assert moved / (1 - moved) == pytest.approx(plain / (1 - plain) / 99)
    assert curve.probability(at, prior=0.5) == pytest.approx(plain)
    with pytest.raises(ValueError, match="prior"):
        curve.probability(at, prior=1.0)


def test_calibration_error_by_a_slow_form():
    rng = np.random.default_rng(8)
    p, same = rng.random(500), rng.random(500) < 0.5
    p[:2] = [0.0, 1.0]
    total = 0.0
    for b in range(15):
        inside = [i for i in range(500) if b <= min(p[i] * 15, 14.999) < b + 1]
        total += len(inside) / 500 * abs(np.mean(p[inside]) - np.mean(same[inside]))
    assert expected_calibration_error(p, same) == pytest.approx(total)
    with pytest.raises(ValueError, match="in \\[0, 1\\]"):
        expected_calibration_error(np.array([1.5]), np.array([1]))


def test_pairs_that_teach_nothing_are_refused():
    with pytest.raises(InputError, match="0 pairs of one person and 3 of two"):
        fit_calibration(np.zeros(3), np.zeros(3, bool))
    with pytest.raises(InputError, match="finite"):
        fit_calibration(np.array([np.nan, 1.0]), np.array([True, False]))
    with pytest.raises(ValueError, match="both be"):
        fit_calibration(np.zeros(3), np.zeros(4, bool))


@pytest.mark.parametrize(
    "value",
    [
        {},
        [],
        {"schema": "personsearch.calibration/1"},
        {"schema": "personsearch.calibration/1", "method": "magic", "pairs": 5, "prior": 0.5},
        {"schema": "personsearch.calibration/1", "method": "platt", "pairs": 5, "prior": 0.5, "slope": "x"},
        {"schema": "personsearch.calibration/1", "method": "platt", "pairs": 5, "prior": 0.5, "slope": -1},
        {
            "schema": "personsearch.calibration/1",
            "method": "isotonic",
            "pairs": 5,
            "prior": 0.5,
            "similarities": [0.2, 0.1],
            "probabilities": [0.2, 0.3],
        },
    ],
)
def test_a_file_that_is_no_calibration_is_refused(value):
    with pytest.raises(InputError, match="not a calibration"):
        Calibration.from_json(value)
