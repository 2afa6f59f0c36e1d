"""What probabilities are worth: by hand, against the plain formulas, and on worlds whose answer is known."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from personsearch.errors import InputError
from personsearch.evaluation import reliability
from personsearch.evaluation.rankings import Ranking, Rankings
from personsearch.evaluation.reliability import cross_fitted, score_reliability
from personsearch.evaluation.search import SearchRules
from personsearch.ranking.calibration import Calibration, expected_calibration_error, fit_calibration

PERSON, FAR = [0, 0, 40, 100], [300, 0, 340, 100]
NAMES = ["q", "a", "b"]
IDENTITY = Calibration(
    method="isotonic", pairs=10, prior=0.5, similarities=(0.0, 1.0), probabilities=(0.0, 1.0)
)
"""A similarity in [0, 1] is the probability itself."""


def like(similarity: float) -> list[float]:
    return [similarity, float(np.sqrt(1 - similarity**2))]


def seed(number=0):
    return np.random.default_rng(number)


@pytest.fixture
def by_hand(trials_of, features_of):
    """One query: in a the person twice (0.8 and 0.7) and a stranger (0.9), in b a stranger (0.2)."""
    trials = trials_of(NAMES, [(0, PERSON, 0)], [[(1, [PERSON]), (2, [])]])
    seen = [
        [],
        [(PERSON, 0.9, like(0.8)), ([0, 0, 40, 90], 0.9, like(0.7)), (FAR, 0.9, like(0.9))],
        [(FAR, 0.9, like(0.2)), (FAR, 0.1, like(1.0))],
    ]
    return trials, features_of(NAMES, seen, trials, [like(1.0)])


@pytest.mark.parametrize(
    ("unit", "answers", "share", "probability", "error"),
    [
        # 0.9 wrong, 0.2 wrong: each picture's best
        ("picture", 2, 0.0, 0.55, 0.55),
        ("first", 1, 0.0, 0.9, 0.9),
        # both boxes of the person are the person: 0.8 and 0.7 right, 0.9 and 0.2 wrong
        ("detection", 4, 0.5, 0.65, (0.2 + 0.3 + 0.9 + 0.2) / 4),
    ],
)
def test_which_answers_are_judged(by_hand, unit, answers, share, probability, error):
    found = score_reliability(*by_hand, SearchRules(), IDENTITY, seed(), unit=unit)
    assert (found.answers, found.queries, found.unit, found.source) == (answers, 1, unit, "given")
    assert found.share == share
    assert found.probability == pytest.approx(probability)
    assert found.ece.mean == pytest.approx(error)
    assert sum(one.n for one in found.bins) == answers
    assert json.dumps(found.to_json(), allow_nan=False)
    assert [row["n"] for row in found.rows()] == [one.n for one in found.bins]


def test_a_bin_of_one_answer_is_not_certain(by_hand):
    (only,) = score_reliability(*by_hand, SearchRules(), IDENTITY, seed(), unit="first").bins
    assert (only.share.mean, only.share.low) == (0.0, 0.0)
    assert only.share.high == pytest.approx(0.793, abs=0.001)  # Wilson, none of one


@given(st.integers(0, 10_000))
@settings(max_examples=25, deadline=None)
def test_the_best_of_each_picture_is_found_as_one_by_one(number):
    rng = seed(number)
    n = int(rng.integers(0, 30))
    ranking = Ranking(
        query=0,
        similarity=rng.integers(0, 4, n) / 4.0,
        detection=np.arange(n),
        entry=np.sort(rng.integers(3, 9, n)),
        right=np.zeros(n, bool),
        same=rng.random(n) < 0.5,
    )
    best = {}
    for place, entry in enumerate(ranking.entry.tolist()):
        if entry not in best or ranking.similarity[place] > ranking.similarity[best[entry]]:
            best[entry] = place
    rows = [best[entry] for entry in sorted(best)]
    alike, same = reliability._answers(ranking, "picture")
    assert alike.tolist() == ranking.similarity[rows].tolist()
    assert same.tolist() == ranking.same[rows].tolist()


# --- against the plain formulas -----------------------------------------------------------------


def people(rng, trials_of, features_of, queries=30, pictures=6):
    """Queries with one detection in each of their own pictures; more alike is more often the person."""
    names = ["q", *(f"s{i}" for i in range(queries * pictures))]
    galleries, seen = [], [[]]
    for q in range(queries):
        gallery = []
        for i in range(pictures):
            alike = float(rng.random())
            here = rng.random() < alike**2
            gallery.append((1 + q * pictures + i, [PERSON] if here else []))
            seen.append([(PERSON, 0.9, like(alike))])
        galleries.append(gallery)
    trials = trials_of(names, [(0, [0, 0, 40 + q, 100], q // 2) for q in range(queries)], galleries)
    return trials, features_of(names, seen, trials, [like(1.0)] * queries)


@given(st.integers(0, 10_000))
@settings(max_examples=10, deadline=None)
def test_errors_are_those_of_the_formulas(trials_of, features_of, number):
    trials, features = people(seed(number), trials_of, features_of)
    curve = fit_calibration(np.linspace(0, 1, 30), np.arange(30) % 3 == 0, method="platt")
    found = score_reliability(trials, features, SearchRules(), curve, seed(), unit="detection")
    rankings = list(Rankings(trials, features, SearchRules()))
    said = curve.probability(np.concatenate([one.similarity for one in rankings]))
    same = np.concatenate([one.same for one in rankings])
    assert found.ece.mean == pytest.approx(expected_calibration_error(said, same))
    assert found.brier.mean == pytest.approx(np.mean((said - same) ** 2))
    assert (found.share, found.probability) == pytest.approx((same.mean(), said.mean()))
    for one in found.bins:
        inside = (said >= one.low) & (said < one.high + (one.high == 1))
        assert one.n == inside.sum()
        assert one.share.mean == pytest.approx(same[inside].mean())
        assert one.probability == pytest.approx(said[inside].mean())
        assert one.share.low <= one.share.mean <= one.share.high
    assert found.ece.low <= found.ece.mean <= found.ece.high


# --- held out -----------------------------------------------------------------------------------


def test_nobody_is_judged_by_a_curve_that_saw_him(trials_of, features_of):
    trials, features = people(seed(3), trials_of, features_of)
    found = cross_fitted(trials, features, SearchRules(), seed(8), unit="detection", method="platt")
    half = reliability._halves(trials.query_person, seed(8))
    assert set(half) == {0, 1}
    assert abs(half.sum() - 15) <= 1  # 15 people, two queries each
    assert (half[0::2] == half[1::2]).all()
    rankings = list(Rankings(trials, features, SearchRules()))

    def pairs(which):
        of = [one for one in rankings if half[one.query] == which]
        return np.concatenate([one.similarity for one in of]), np.concatenate([one.same for one in of])

    said, came = [], []
    for which in (0, 1):
        alike, same = pairs(which)
        said.append(fit_calibration(*pairs(1 - which), method="platt").probability(alike))
        came.append(same)
    expected = expected_calibration_error(np.concatenate(said), np.concatenate(came))
    assert found.ece.mean == pytest.approx(expected)
    assert found.source == "cross-fitted"


def test_a_curve_fitted_on_the_same_answers_flatters_itself(trials_of, features_of):
    rng = seed(5)
    trials, features = people(rng, trials_of, features_of, queries=20)
    rankings = list(Rankings(trials, features, SearchRules()))
    alike, same = (np.concatenate([getattr(r, name) for r in rankings]) for name in ("similarity", "same"))
    fitted = fit_calibration(alike, same)
    own = score_reliability(trials, features, SearchRules(), fitted, seed(), unit="detection")
    held_out = cross_fitted(trials, features, SearchRules(), seed(), unit="detection")
    assert own.ece.mean < 0.5 * held_out.ece.mean
    assert own.brier.mean < held_out.brier.mean


# --- worlds whose answer is known ---------------------------------------------------------------


@pytest.mark.parametrize(("shift", "error"), [(0.0, 0.0), (0.15, 0.15)])
def test_intervals_hold_the_true_error(shift, error):
    rng, inside = seed(2), 0
    for _ in range(30):
        sums = reliability._Sums(100)
        for query in range(100):
            said = 0.05 + 0.75 * rng.random(8)
            sums.add(query, said, rng.random(8) < said + shift)
        found = sums.reliability("p", "picture", "given", rng)
        inside += found.ece.low <= error <= found.ece.high
        assert found.ece.low <= found.ece.mean <= found.ece.high
    assert inside >= 25


# --- wrong use ----------------------------------------------------------------------------------


def test_wrong_use_is_said(by_hand, trials_of, features_of):
    with pytest.raises(ValueError, match="unit is one of first, picture, detection"):
        score_reliability(*by_hand, SearchRules(), IDENTITY, seed(), unit="box")
    with pytest.raises(InputError, match="1 identities"):
        cross_fitted(*by_hand, SearchRules(), seed())
    trials = trials_of(NAMES, [(0, PERSON, 0), (0, PERSON, 1)], [[(1, [PERSON])], [(2, [])]])
    nobody = features_of(NAMES, [[], [], []], trials, [like(1.0)] * 2)
    with pytest.raises(InputError, match="has an answer"):
        score_reliability(trials, nobody, SearchRules(), IDENTITY, seed())
    with pytest.raises(InputError, match="cannot calibrate"):
        cross_fitted(trials, nobody, SearchRules(), seed())
