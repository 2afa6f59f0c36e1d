"""Two runs side by side: by hand, against SciPy, and what chance gives when nothing differs."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from personsearch.errors import InputError, UsageError
from personsearch.evaluation.comparison import (
    compare_scores,
    load_scores,
    mcnemar_p_value,
    scores_from_json,
    sign_flip_p_value,
)
from personsearch.types import SearchScores


def scored(values, first=None, protocol="p", **rules) -> SearchScores:
    ap = np.asarray(values, float)
    first = np.where(ap >= 0.5, 1, 7) if first is None else np.asarray(first)
    return SearchScores(protocol=protocol, ap=ap, first_hit=first, recall=np.ones(len(ap)), rules=rules)


def seed(number=0):
    return np.random.default_rng(number)


# --- by hand ------------------------------------------------------------------------------------


def test_two_runs_by_hand():
    a = scored([1.0, 0.5, 0.2, 0.4], [1, 1, 8, 0], det_threshold=0.5, context=(10, 3))
    b = scored([0.5, 0.5, 0.3, 0.1], [2, 1, 6, 0], det_threshold=0.4, context=[10, 3])
    found = compare_scores(a, b, seed())
    ap, top1, top5, top10 = found.measures
    assert [one.measure for one in found.measures] == ["mAP", "top-1", "top-5", "top-10"]
    assert (ap.wins, ap.losses, ap.ties) == (2, 1, 1)
    assert (ap.a, ap.b) == pytest.approx((0.525, 0.35))
    assert ap.difference.mean == pytest.approx(0.175)
    # of the eight sums of .5, .1 and .3 with signs, those of .9 and .7 are as far off, both ways
    assert ap.p_value == 0.5
    assert (top1.wins, top1.losses, top1.ties, top1.p_value) == (1, 0, 3, 1.0)
    assert (top5.a, top5.b, top10.difference.mean) == (0.5, 0.5, 0.0)
    assert found.most_won == (0, 3)
    assert found.most_lost == (2,)
    assert found.rules == {"det_threshold": (0.5, 0.4)}  # a tuple and the list that JSON makes of it are one
    assert [row["measure"] for row in found.rows()] == ["mAP", "top-1", "top-5", "top-10"]
    assert json.loads(json.dumps(found.to_json()))["most_won"] == [0, 3]


def test_equal_runs_are_a_tie_to_the_last_bit_of_the_order_of_additions():
    a = scored(np.full(30, 0.3))
    b = scored(np.full(30, 0.1 + 0.2))
    assert a.ap[0] != b.ap[0]
    found = compare_scores(a, b, seed()).measures[0]
    assert (found.wins, found.losses, found.ties, found.p_value) == (0, 0, 30, 1.0)


def test_queries_with_nobody_to_find_are_left_out_where_the_policy_says_so():
    a = scored([0.9, np.nan, 0.1], [1, 0, 4], without_positives=[1])
    b = scored([0.8, np.nan, 0.3], [1, 0, 1], without_positives=[1])
    found = compare_scores(a, b, seed())
    assert found.queries == 3 - 1
    assert found.measures[0].a == pytest.approx(0.5)
    assert found.measures[1].b == 1.0
    assert found.most_lost == (2,)  # numbered as in the protocol


# --- the tests, against SciPy and by enumeration ------------------------------------------------


def test_every_pattern_of_signs_is_counted():
    values = np.array([0.3, -0.1, 0.25, 0.05, 0.0, 0.2])
    sums = [
        abs(sum(s * v for s, v in zip(signs, values, strict=True))) for signs in product([-1, 1], repeat=6)
    ]
    expected = np.mean([one >= abs(values.sum()) - 1e-12 for one in sums])
    assert sign_flip_p_value(values, seed()) == expected
    theirs = stats.permutation_test(
        (values, np.zeros(6)), lambda x, y: np.mean(x - y), permutation_type="samples", n_resamples=np.inf
    )
    assert sign_flip_p_value(values, seed()) == pytest.approx(theirs.pvalue)


@pytest.mark.parametrize("shift", [0.0, 0.05, 0.12])
def test_many_queries_agree_with_scipy(shift):
    values = seed(3).normal(shift, 0.3, 200)
    theirs = stats.permutation_test(
        (values, np.zeros(200)),
        lambda x, y, axis: np.mean(x - y, axis=axis),
        permutation_type="samples",
        n_resamples=4999,
        vectorized=True,
        rng=seed(1),
    )
    ours = sign_flip_p_value(values, seed(2))
    assert ours == pytest.approx(theirs.pvalue, abs=4 * np.sqrt(0.25 / 4999))
    assert ours == sign_flip_p_value(values, seed(2))
    assert ours >= 1 / 10_000


@given(st.integers(0, 40), st.integers(0, 40))
@settings(max_examples=30, deadline=None)
def test_mcnemar_is_the_binomial_test_of_what_differs(wins, losses):
    n = wins + losses
    if n:
        tail = stats.binom.cdf(min(wins, losses), n, 0.5)
        assert mcnemar_p_value(wins, losses) == pytest.approx(min(1.0, 2 * tail))
    assert mcnemar_p_value(wins, losses) == mcnemar_p_value(losses, wins)


def test_p_values_are_uniform_where_nothing_differs():
    rng = seed(5)
    values = [
        sign_flip_p_value(rng.normal(size=30) * rng.uniform(0, 1, 30), rng, flips=199) for _ in range(600)
    ]
    assert stats.kstest(values, "uniform").pvalue > 1e-3
    for level in (0.01, 0.05, 0.1, 0.5):  # a valid test: no more alarms than it says
        assert np.mean(np.array(values) <= level) <= level + 3 * np.sqrt(level * (1 - level) / 600)


def test_a_real_difference_is_seen_and_an_interval_without_zero_goes_with_it():
    rng = seed(7)
    hard = rng.uniform(0, 0.8, 300)
    found = compare_scores(scored(hard + 0.05 + rng.normal(0, 0.02, 300)), scored(hard), rng).measures[0]
    assert found.p_value <= 0.001
    assert found.difference.low > 0


@given(st.integers(0, 10_000), st.integers(1, 40))
@settings(max_examples=25, deadline=None)
def test_the_other_way_round_everything_is_the_other_way_round(number, n):
    rng = seed(number)
    a = scored(rng.choice([0, 0.25, 0.5, 1], n), rng.integers(0, 12, n))
    b = scored(rng.choice([0, 0.25, 0.5, 1], n), rng.integers(0, 12, n))
    for one, other in zip(
        compare_scores(a, b, seed()).measures, compare_scores(b, a, seed()).measures, strict=True
    ):
        assert (one.wins, one.losses, one.ties) == (other.losses, other.wins, other.ties)
        assert one.wins + one.losses + one.ties == n
        assert one.p_value == other.p_value
        assert one.difference.mean == pytest.approx(-other.difference.mean)
        assert 0 < one.p_value <= 1
        assert one.difference.mean == pytest.approx(one.a - one.b)


# --- what cannot be compared --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("other", "word"),
    [
        ({"protocol": "q"}, "other searches"),
        ({"ap": np.ones(2), "first_hit": np.ones(2, int), "recall": np.ones(2)}, "queries"),
        ({"rules": {"ap": "trapezoid"}}, "trapezoid"),
        ({"rules": {"ap": "step", "without_positives": [1]}}, "without their person"),
        ({"ap": np.array([1, np.nan, 1])}, "without their person"),
    ],
)
def test_other_searches_are_refused_in_one_line(other, word):
    a = scored([1, 1, 1], ap="step", without_positives=[])
    with pytest.raises(UsageError, match=word) as caught:
        compare_scores(a, replace(a, **other), seed())
    assert "\n" not in str(caught.value)
    assert caught.value.hint


def test_no_query_is_no_comparison():
    with pytest.raises(UsageError, match="no query"):
        compare_scores(scored([]), scored([]), seed())


# --- saved scores -------------------------------------------------------------------------------


def test_saved_scores_come_back(tmp_path):
    value = {
        "protocol": "p",
        "ap_per_query": [0.5, None, 1.0],
        "first_hit_per_query": [3, 0, 1],
        "rules": {"ap": "step"},
        "mAP": 0.75,
    }
    file = tmp_path / "scores.json"
    file.write_text(json.dumps(value))
    found = load_scores(file)
    assert found.protocol == "p"
    assert found.first_hit.tolist() == [3, 0, 1]
    assert np.isnan(found.ap).tolist() == [False, True, False]
    assert compare_scores(found, found, seed()).measures[0].p_value == 1.0


GOOD = {"protocol": "p", "ap_per_query": [0.5], "first_hit_per_query": [1]}


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"ap_per_query": None}, "ap_per_query"),
        ({"ap_per_query": "0.5"}, "ap_per_query"),
        ({"ap_per_query": [[0.5]]}, "ap_per_query"),
        ({"ap_per_query": [1.5]}, "not in"),
        ({"ap_per_query": [-0.1]}, "not in"),
        ({"ap_per_query": [0.5, 0.5]}, "2 average precisions"),
        ({"first_hit_per_query": [-1]}, "rank"),
        ({"first_hit_per_query": [1.5]}, "rank"),
        ({"first_hit_per_query": [None]}, "rank"),
        ({"first_hit_per_query": {"a": 1}}, "first_hit_per_query"),
        ({"rules": [1]}, "rules"),
    ],
)
def test_damaged_scores_name_the_part(change, word):
    with pytest.raises(InputError, match=word) as caught:
        scores_from_json({**GOOD, **change}, "file.json")
    assert str(caught.value).startswith("file.json")


@pytest.mark.parametrize("missing", sorted(GOOD))
def test_a_missing_part_is_named(missing):
    with pytest.raises(InputError, match=missing):
        scores_from_json({key: value for key, value in GOOD.items() if key != missing}, "file.json")


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff\xfe\x00", b"[" * 100_000])
def test_what_is_no_json_is_one_clear_error(tmp_path, content):
    file = tmp_path / "x.json"
    file.write_bytes(content)
    with pytest.raises(InputError, match=r"x\.json"):
        load_scores(file)
    with pytest.raises(InputError, match="not a file"):
        load_scores(tmp_path / "none.json")
