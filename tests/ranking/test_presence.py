"""Probabilities in galleries of any size, and the verdict on a search: by hand, slowly, in the long run."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from personsearch.errors import InputError
from personsearch.ranking.calibration import (
    Calibration,
    SearchFit,
    expected_calibration_error,
    fit_calibration,
)
from personsearch.ranking.presence import (
    EXPECTED,
    JudgedSearch,
    absent_below,
    calibrate_people,
    fit_searches,
    hit_evidence,
    hit_probabilities,
    judge,
    search_evidence,
)

CURVE = Calibration(method="platt", pairs=1000, prior=0.02, slope=9.0, intercept=-6.0)
FIT = SearchFit(slope=0.5, intercept=0.3, present=(0.7, 1.0), absent_below=0.2, searches=100)


def test_by_hand() -> None:
    # similarity 0.5: odds e^(4.5 - 6) = 0.2231, prior odds 1/49: ratio 10.93; among 100: evidence ln 0.1093
    assert hit_evidence(CURVE, np.array([0.5]), 100)[0] == pytest.approx(
        math.log(0.22313 * 49 / 100), abs=1e-4
    )
    # without searches: odds 10.93 times those of 2 in 100, 1/49
    odds = 0.22313 * 49 / 49
    assert hit_probabilities(CURVE, np.array([0.5]), 100)[0] == pytest.approx(odds / (1 + odds), abs=1e-4)
    fitted = replace(CURVE, searches=FIT)
    said = 1 / (1 + math.exp(-(0.5 * math.log(0.22313 * 0.49) + 0.3)))
    assert hit_probabilities(fitted, np.array([0.5]), 100)[0] == pytest.approx(said, abs=1e-4)
    both = search_evidence(CURVE, np.array([0.5, 0.5]), 100)
    assert both == pytest.approx(math.log(2 * 0.22313 * 0.49), abs=1e-4)
    assert search_evidence(CURVE, np.zeros(0), 100) == -np.inf


def test_verdicts_by_hand() -> None:
    fitted = replace(CURVE, searches=FIT)
    sure, never = np.array([1.2, 0.1]), np.array([0.0])
    assert judge(fitted, sure, 100).verdict == "likely"
    assert judge(fitted, np.array([0.5]), 100).verdict == "unsure"
    assert judge(fitted, never, 1000).verdict == "likely absent"
    assert judge(fitted, np.zeros(0), 1000).verdict == "likely absent"
    assert judge(CURVE, never, 1000).verdict == "unsure"  # nobody has measured absence
    assert judge(CURVE, never, 1000).present is None
    assert judge(replace(CURVE, searches=replace(FIT, absent_below=None)), never, 1000).verdict == "unsure"
    assert judge(fitted, never, 1000).present == pytest.approx(
        1 / (1 + math.exp(-(0.7 * search_evidence(CURVE, never, 1000) + 1.0)))
    )


def test_absence_is_not_said_of_nobody_nor_against_the_probability() -> None:
    never, nobody = np.array([0.0]), np.zeros(0)
    fitted = replace(CURVE, searches=FIT)
    assert judge(fitted, nobody, 0).verdict == "unsure"
    said = judge(fitted, nobody, 1000, compared=0)
    assert (said.verdict, said.present) == ("unsure", None)
    assert judge(fitted, never, 1000, compared=1).verdict == "likely absent"
    # nearest to one of several examples, where the mean over them is far from all
    assert judge(fitted, never, 1000, nearest=0.3).verdict == "unsure"
    assert judge(fitted, never, 1000, nearest=0.1).verdict == "likely absent"
    # presence that evidence teaches nothing about: even odds, and a verdict that does not contradict them
    flat = replace(CURVE, searches=replace(FIT, present=(0.0, 0.0)))
    assert (judge(flat, never, 1000).present, judge(flat, never, 1000).verdict) == (0.5, "unsure")
    assert judge(flat, nobody, 1000).present == 0.5  # and not 0 times infinity
    seldom = replace(CURVE, searches=replace(FIT, present=(0.0, -0.1)))
    assert judge(seldom, never, 1000).verdict == "likely absent"


def test_few_people_are_no_evidence() -> None:
    """One person compared: the odds before looking are even at best, with searches as without."""
    even = -CURVE.intercept / CURVE.slope + np.log(0.02 / 0.98) / CURVE.slope  # a likelihood ratio of 1
    plain = replace(CURVE, searches=SearchFit(slope=1.0, intercept=math.log(EXPECTED)))
    for people in (1, 2):
        assert hit_probabilities(CURVE, np.array([even]), people)[0] == pytest.approx(0.5)
        assert hit_probabilities(plain, np.array([even]), people)[0] == pytest.approx(0.5)


@settings(deadline=None)
@given(
    st.lists(st.floats(-1, 1), min_size=1, max_size=8),
    st.integers(1, 10**6),
    st.integers(1, 10**6),
    st.booleans(),
)
def test_more_people_or_less_likeness_never_say_more(alike, people, more, fitted) -> None:
    curve = replace(CURVE, searches=FIT) if fitted else CURVE
    values = np.sort(np.array(alike))[::-1]
    few, many = hit_probabilities(curve, values, people), hit_probabilities(curve, values, people + more)
    assert ((few >= 0) & (few <= 1)).all()
    assert (many <= few + 1e-12).all()
    assert (np.diff(few) <= 1e-12).all()
    assert search_evidence(curve, values, people + more) <= search_evidence(curve, values, people)


def world(
    rng: np.random.Generator, searches: int, people: int = 200, there: float = 0.5
) -> list[JudgedSearch]:
    """Searches whose similarities are drawn: others around 0.2, the person's three around 0.55."""
    found = []
    for _ in range(searches):
        present = bool(rng.random() < there)
        alike = rng.normal(0.2, 0.1, people)
        right = np.zeros(people, bool)
        if present:
            right[:3], alike[:3] = True, rng.normal(0.55, 0.12, 3)
        order = np.argsort(-alike)[:10]
        judged = JudgedSearch(
            similarities=alike[order],
            right=right[order],
            people=people,
            present=present,
            best=float(alike[:3].max()) if present else None,
        )
        found.append(judged)
    return found


def pairs_of_the_world(rng: np.random.Generator) -> Calibration:
    same = rng.random(20_000) < 0.03
    return fit_calibration(rng.normal(np.where(same, 0.55, 0.2), np.where(same, 0.12, 0.1)), same)


def test_bayes_rule_holds_in_galleries_of_other_sizes() -> None:
    """Pairs alone, where hits are what the rule takes them for: probabilities come true at every size."""
    rng = np.random.default_rng(4)
    curve = pairs_of_the_world(rng)
    for people in (50, 400, 3000):
        searches = world(rng, 400, people, there=EXPECTED / 3)
        said = np.concatenate([hit_probabilities(curve, s.similarities, people) for s in searches])
        right = np.concatenate([s.right for s in searches])
        plain = np.concatenate([curve.probability(s.similarities) for s in searches])
        error = expected_calibration_error(said, right)
        assert error < 0.07, people  # in 3,000 the curve's last steps stand on a handful of pairs
        if people > 50:
            assert error < 0.5 * expected_calibration_error(plain, right)


def test_searches_teach_hits_and_verdict() -> None:
    rng = np.random.default_rng(5)
    curve = pairs_of_the_world(rng)
    fitted = fit_searches(curve, world(rng, 600))
    fresh = world(rng, 600)
    judged = [judge(fitted, s.similarities, s.people) for s in fresh]
    there = np.array([s.present for s in fresh])
    said = np.array([one.present for one in judged])
    absent = np.array([one.verdict == "likely absent" for one in judged])
    assert expected_calibration_error(said, there) < 0.07
    assert absent[there].mean() <= 0.06
    first, right = np.array([s.similarities[0] for s in fresh]), np.array([s.right[0] for s in fresh])
    error = expected_calibration_error(hit_probabilities(fitted, first, 200), right)
    assert error < 0.12
    assert error < 0.5 * expected_calibration_error(curve.probability(first), right)


@pytest.mark.parametrize("people", [20, 2000])
def test_the_share_of_false_absences_is_bounded_at_every_size(people) -> None:
    """In the mean over calibrations by n searches at most k / (n + 1), though they were of 200 people."""
    rng = np.random.default_rng(6)
    shares = []
    for _ in range(40):
        best = [s.best for s in world(rng, 40, there=1.0)]
        bar = absent_below(best, 0.1)
        assert bar is not None
        shares.append(np.mean([s.similarities[0] < bar for s in world(rng, 40, people, there=1.0)]))
    assert np.mean(shares) <= 0.1 + 0.02
    assert people > 20 or np.mean(shares) > 0.02  # and where few others look alike, it is said


@settings(deadline=None)
@given(st.lists(st.floats(-1, 1), max_size=60), st.floats(0.01, 0.99))
def test_absence_by_counting(best, share) -> None:
    found = absent_below(best, share)
    most = int((len(best) + 1) * share + 1e-9)  # so many may be called absent, themselves included
    if found is None:
        assert most < 1
    else:
        assert sum(value < found for value in best) < most <= sum(value <= found for value in best)


def test_absence_stays_unless_best_views_are_known() -> None:
    assert absent_below([-np.inf, 0.2, 0.3], share=0.4) == 0.2  # nobody detected the first
    searches = world(np.random.default_rng(2), 80)
    unknown = [replace(s, best=None) for s in searches]
    old = replace(CURVE, searches=FIT)
    fits = [fit_searches(*some).searches for some in ((old, unknown), (CURVE, unknown), (old, searches))]
    assert [(fit.absent_below, fit.searches) for fit in fits[:2]] == [(0.2, 100), (None, 0)]
    known = [s.best for s in searches if s.present]
    assert (fits[2].absent_below, fits[2].searches) == (absent_below(known), len(known))
    assert fits[0].slope == fits[1].slope == fits[2].slope


def test_the_fit_is_where_a_slow_search_ends() -> None:
    rng = np.random.default_rng(7)
    searches = world(rng, 30)
    fit = fit_searches(CURVE, searches).searches
    assert fit is not None
    evidence = [hit_evidence(CURVE, s.similarities[:5], s.people) for s in searches]
    right = [s.right[:5] for s in searches]

    def loss(slope: float, intercept: float) -> float:
        total = 0.5 * ((slope - 1) ** 2 + (intercept - math.log(EXPECTED)) ** 2)
        for e, r in zip(np.concatenate(evidence), np.concatenate(right), strict=True):
            p = 1 / (1 + math.exp(-(slope * e + intercept)))
            total -= math.log(p if r else 1 - p)
        return total

    slope, intercept, step = 1.0, 0.0, 2.0
    while step > 1e-5:
        around = [(slope + a * step, intercept + b * step) for a in (-1, 0, 1) for b in (-1, 0, 1)]
        best = min((p for p in around if p[0] >= 0), key=lambda p: loss(*p))
        slope, intercept, step = (*best, step if best != (slope, intercept) else step / 2)
    assert (fit.slope, fit.intercept) == pytest.approx((slope, intercept), abs=2e-3)


def test_few_searches_move_little_and_say_nothing_of_absence() -> None:
    one = JudgedSearch(
        similarities=np.array([0.6, 0.3]), right=np.array([True, False]), people=50, present=True
    )
    fit = fit_searches(CURVE, [one]).searches
    assert fit is not None
    assert abs(fit.slope - 1) < 1
    assert (fit.absent_below, fit.present, fit.searches) == (None, None, 0)


@pytest.mark.parametrize("right", [[True, True], [False, False], []])
def test_what_teaches_nothing(right) -> None:
    search = JudgedSearch(
        similarities=np.linspace(0.5, 0.4, len(right)), right=np.array(right, bool), people=9, present=True
    )
    with pytest.raises(InputError, match="cannot calibrate"):
        fit_searches(CURVE, [search])


def test_a_fit_survives_json_and_nonsense_is_refused() -> None:
    curve = replace(CURVE, searches=FIT)
    assert Calibration.from_json(curve.to_json()) == curve
    assert "searches" not in CURVE.to_json()  # files from before are read, and written as they were
    for wrong in ({"slope": -1.0}, {"slope": float("nan")}, {"present": (-1.0, 0.0)}, {"searches": -1}):
        with pytest.raises(ValueError):
            replace(FIT, **wrong)
        with pytest.raises(InputError, match="not a calibration"):
            Calibration.from_json({**curve.to_json(), "searches": {**curve.to_json()["searches"], **wrong}})
    with pytest.raises(InputError, match="not a calibration"):
        Calibration.from_json({**CURVE.to_json(), "searches": 3})


def crowd(seed: int, people: int, views: int = 3, spread: float = 0.5):
    """Views of people in pictures of two; who is where."""
    rng = np.random.default_rng(seed)
    who = np.repeat(np.arange(people), views)
    centre = rng.standard_normal((people, 16))
    vectors = (centre[who] + spread * rng.standard_normal((len(who), 16))).astype(np.float32)
    where = np.empty(len(who), int)
    where[rng.permutation(len(who))] = np.arange(len(who)) // 2
    return vectors, who, where


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 1000))
def test_people_are_calibrated_by_pairs_and_searches(seed) -> None:
    vectors, who, where = crowd(seed, 24)
    found = calibrate_people(vectors, who, where, "cosine")
    slow = fit_calibration(
        *map(
            np.array,
            zip(
                *(
                    (
                        vectors[i] @ vectors[j] / np.linalg.norm(vectors[i]) / np.linalg.norm(vectors[j]),
                        who[i] == who[j],
                    )
                    for i in range(len(who))
                    for j in range(i)
                    if where[i] != where[j]
                ),
                strict=True,
            ),
        )
    )
    grid = np.linspace(-1, 1, 41)
    assert found.probability(grid) == pytest.approx(slow.probability(grid), abs=0.03)
    best = []
    for i in range(len(who)):
        views = [j for j in range(len(who)) if who[j] == who[i] and where[j] != where[i]]
        norm = np.linalg.norm
        if views:
            best.append(max(vectors[i] @ vectors[j] / norm(vectors[i]) / norm(vectors[j]) for j in views))
    assert found.searches is not None
    assert found.searches.searches == len(best)
    assert found.searches.absent_below == pytest.approx(
        sorted(best)[int((len(best) + 1) * 0.03) - 1], abs=1e-6
    )


def test_calibrated_people_leave_probabilities_to_bayes_rule() -> None:
    found = calibrate_people(*crowd(3, 24), "cosine")
    for people in (50, 5000):
        said = hit_probabilities(found, np.array([0.2, 0.6]), people)
        plain = hit_probabilities(replace(found, searches=None), np.array([0.2, 0.6]), people)
        assert said == pytest.approx(plain, rel=EXPECTED / people * 1.1)


def test_few_people_say_nothing_of_absence() -> None:
    few = calibrate_people(*crowd(1, 4), "cosine").searches
    assert few is not None
    assert few.absent_below is None
    with pytest.raises(InputError):
        calibrate_people(*crowd(1, 1), "cosine")
