"""Searches for people who are not there: by hand, against a slow count, and what always holds."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from personsearch.evaluation.openset import open_set_rates, score_open_set
from personsearch.evaluation.rankings import Rankings
from personsearch.evaluation.search import SearchRules, score_search
from personsearch.ranking.kreciprocal import KReciprocalRules

PERSON, FAR = [0, 0, 40, 100], [300, 0, 340, 100]
NAMES = ["q", "a", "b", "c"]


def angle(degrees: float) -> list[float]:
    return [float(np.cos(np.radians(degrees))), float(np.sin(np.radians(degrees)))]


def seed(number=0):
    return np.random.default_rng(number)


# --- by hand ------------------------------------------------------------------------------------


def test_rates_by_hand():
    mated = np.array([0.9, 0.7, -np.inf, 0.3, np.nan])  # the third is not first, the fifth nowhere
    nonmated = np.array([0.8, 0.6, 0.5, 0.2, 0.1])
    scores = open_set_rates(mated, nonmated, seed(), fars=[0.1, 0.2, 0.4, 1.0])
    assert (scores.mated, scores.nonmated, scores.closed) == (4, 5, 0.75)
    none, one, two, everything = scores.points
    assert (none.resolved, none.threshold, none.rate) == (False, None, None)  # a tenth of five searches
    assert (one.threshold, one.alarms, one.rate.mean) == (0.6, 1, 0.5)
    assert (two.threshold, two.alarms, two.rate.mean) == (0.5, 2, 0.5)
    assert (everything.threshold, everything.alarms, everything.rate.mean) == (-np.inf, 5, 0.75)
    assert scores.curve_far.tolist() == [0.2, 0.4, 0.6, 0.8, 1.0]
    assert scores.curve_rate.tolist() == [0.5, 0.5, 0.75, 0.75, 0.75]
    assert scores.smallest_far == 0.2
    assert scores.rows()[0]["note"] == "cannot be told from 5 searches"
    assert scores.rows()[1]["dir"] == 0.5
    text = json.dumps(scores.to_json(), allow_nan=False)
    assert json.loads(text)["points"][3]["threshold"] is None


def test_equal_similarities_raise_no_more_alarms_than_are_allowed():
    scores = open_set_rates(np.full(4, 0.5), np.full(4, 0.5), seed(), fars=[0.25, 0.75, 1.0])
    assert [(p.alarms, p.rate.mean) for p in scores.points] == [(0, 0.0), (0, 0.0), (4, 1.0)]


def test_a_rate_of_29_in_100_is_29_searches():
    """0.29 * 100 is 28.999... in floating point."""
    values = np.arange(100.0)
    point = open_set_rates(values, values, seed(), fars=[0.29]).points[0]
    assert (point.alarms, point.threshold) == (29, 70.0)


def test_every_picture_with_the_person_is_taken_out(trials_of, features_of):
    """Also where it is listed again as a stranger's, and the query's own."""
    gallery = [(1, [PERSON]), (2, []), (1, []), (0, [])]
    trials = trials_of(NAMES, [(0, PERSON, 0)], [gallery])
    seen = [
        [(PERSON, 0.9, angle(0))],
        [(PERSON, 0.9, angle(10)), (FAR, 0.9, angle(20))],
        [(FAR, 0.9, angle(60)), (PERSON, 0.9, angle(40)), (PERSON, 0.3, angle(1))],
        [],
    ]
    features = features_of(NAMES, seen, trials, [angle(0)])
    scores = score_open_set(trials, features, SearchRules(), seed())
    assert scores.nonmated_similarity == pytest.approx([np.cos(np.radians(40))], abs=1e-6)
    assert scores.mated_similarity.tolist() == [-np.inf]  # the query itself is first, and no right answer
    second = score_open_set(trials, features, SearchRules(), seed(), rank=2)
    # the same picture listed again has the same detection, at rank 3, after the first at rank 2
    assert second.mated_similarity == pytest.approx([np.cos(np.radians(10))], abs=1e-6)


def test_reranking_does_not_see_the_person_who_is_not_there(trials_of, features_of):
    """What is left of a gallery is ranked as if the pictures with the person had never been in it."""
    rng = seed(3)
    names = [f"s{i}" for i in range(9)]
    truths = [[PERSON], [], [PERSON], [], [], [], [], []]
    trials = trials_of(
        names,
        [(0, PERSON, 0), (0, FAR, 1)],
        [[(i + 1, one, [FAR] if i % 2 else []) for i, one in enumerate(truths)], [(3, []), (5, [PERSON])]],
    )
    seen = [[(box, 0.9, rng.normal(size=3)) for box in (PERSON, FAR)] for _ in names]
    features = features_of(names, seen, trials, rng.normal(size=(2, 3)))
    absent = trials_of(
        names,
        [(0, PERSON, 0), (0, FAR, 1)],
        [[(i + 1, [], [FAR] if i % 2 else []) for i, one in enumerate(truths) if not one], [(3, [])]],
    )
    for rules in (SearchRules(), SearchRules(k_reciprocal=KReciprocalRules(top=6, k1=3, k2=2))):
        expected = [one.similarity.max() for one in Rankings(absent, features, rules)]
        found = score_open_set(trials, features, rules, seed())
        assert found.nonmated_similarity == pytest.approx(expected)


def test_a_gallery_without_anybody_raises_no_alarm(trials_of, features_of):
    trials = trials_of(NAMES, [(0, PERSON, 0), (0, PERSON, 1)], [[(1, [PERSON])], [(2, [])]])
    features = features_of(NAMES, [[], [(PERSON, 0.9, angle(9))], [], []], trials, [angle(0), angle(0)])
    scores = score_open_set(trials, features, SearchRules(), seed(), fars=[0.5])
    assert scores.nonmated_similarity.tolist() == [-np.inf, -np.inf]
    assert np.isnan(scores.mated_similarity[1])  # nobody to find: only a search for somebody absent
    assert (scores.mated, scores.nonmated) == (1, 2)
    assert scores.points[0].rate.mean == 1.0
    assert json.dumps(scores.to_json(), allow_nan=False)


def test_no_query_at_all(trials_of, features_of):
    empty = open_set_rates(np.zeros(0), np.zeros(0), seed())
    assert not any(point.resolved for point in empty.points)
    assert len(empty.curve_far) == 0
    assert json.dumps(empty.to_json(), allow_nan=False)
    nobody = open_set_rates(np.full(3, np.nan), np.zeros(3), seed(), fars=[1.0])
    assert not nobody.points[0].resolved


# --- against a slow count -----------------------------------------------------------------------


def slow_rate(mated, nonmated, far) -> float | None:
    """Try every threshold: the best rate whose alarms are few enough."""
    asked = [one for one in mated if not np.isnan(one)]
    best = None
    for threshold in [-np.inf, *nonmated, *asked]:
        alarms = sum(one > threshold for one in nonmated)
        if alarms / len(nonmated) <= far + 1e-12:
            rate = sum(one > threshold for one in asked) / len(asked)
            best = rate if best is None else max(best, rate)
    return best


@st.composite
def searches(draw):
    rng = np.random.default_rng(draw(st.integers(0, 100_000)))
    n = int(rng.integers(1, 30))
    mated = rng.integers(0, 12, n) / 10.0
    mated[rng.random(n) < 0.2] = -np.inf
    mated[1:][rng.random(n - 1) < 0.2] = np.nan
    nonmated = rng.integers(0, 10, n) / 10.0
    nonmated[rng.random(n) < 0.1] = -np.inf
    return mated, nonmated


@given(searches())
@settings(max_examples=30, deadline=None)
def test_the_threshold_is_the_best_one(given_searches):
    mated, nonmated = given_searches
    fars = [0.02, 0.1, 0.3, 0.5, 1.0]
    scores = open_set_rates(mated, nonmated, seed(), fars=fars, resamples=50)
    for point in scores.points:
        assert point.resolved == (point.far * len(nonmated) >= 1 - 1e-9)
        if point.resolved:
            assert point.rate.mean == pytest.approx(slow_rate(mated, nonmated, point.far))
            assert point.alarms <= point.far * len(nonmated) + 1e-9
            assert point.rate.low <= point.rate.high
    assert (np.diff(scores.curve_rate) >= 0).all()
    assert scores.curve_rate[-1] == pytest.approx(scores.closed)
    for far, rate in zip(scores.curve_far, scores.curve_rate, strict=True):
        assert rate == pytest.approx(slow_rate(mated, nonmated, far))


def test_without_a_threshold_it_is_top_k(golden):
    world = golden("cuhk_tiny")
    trials = world.trials({"gallery": "50"})
    scores = score_search(trials, world.features)
    for k in (1, 5):
        found = score_open_set(trials, world.features, SearchRules(), seed(), rank=k)
        assert found.closed == pytest.approx(scores.top(k))
        assert found.nonmated == len(trials)


# --- intervals ----------------------------------------------------------------------------------


def test_intervals_cover_what_they_should():
    """Worlds of known rate: mated and non-mated similarities are uniform, so DIR(far) = far * 0.9."""
    rng, inside = seed(4), 0
    for _ in range(60):
        mated = np.where(rng.random(200) < 0.9, rng.random(200), -np.inf)
        point = open_set_rates(mated, rng.random(200), rng, fars=[0.3], resamples=200).points[0]
        inside += point.rate.low <= 0.27 <= point.rate.high
    assert 51 <= inside <= 60


def test_the_same_generator_gives_the_same_interval():
    values = seed(1).random(50)
    one, other = (open_set_rates(values, values[::-1], seed(2)) for _ in range(2))
    assert one.points == other.points
    assert np.array_equal(one.curve_low, other.curve_low)


@pytest.mark.parametrize(
    ("change", "word"),
    [({"fars": [0.0]}, "rates"), ({"fars": [1.5]}, "rates"), ({"rank": 0}, "rank")],
)
def test_wrong_use_is_said(change, word):
    with pytest.raises(ValueError, match=word):
        open_set_rates(np.zeros(3), np.zeros(3), seed(), **change)
    with pytest.raises(ValueError, match="must both be"):
        open_set_rates(np.zeros(3), np.zeros(2), seed())
