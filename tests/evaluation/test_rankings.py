"""Rankings are those that scoring scores; which queries are shown, and what is said of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from personsearch.errors import DatasetError, InputError
from personsearch.evaluation import rankings as module
from personsearch.evaluation.failures import split_failures
from personsearch.evaluation.metrics import average_precision, first_hit
from personsearch.evaluation.rankings import Rankings
from personsearch.evaluation.ranklists import rank_lists, select_queries
from personsearch.evaluation.search import SearchRules, score_search
from personsearch.ranking.kreciprocal import KReciprocalRules
from personsearch.types import Scene, SearchScores

PERSON, FAR = [0, 0, 40, 100], [300, 0, 340, 100]
NAMES = ["q", "a", "b", "c"]
RULES = [
    SearchRules(),
    SearchRules(repeated="first", match_iou="fixed"),
    SearchRules(policy="clean"),
    SearchRules(context=(4, 2)),
    SearchRules(k_reciprocal=KReciprocalRules(top=6, k1=3, k2=2)),
    SearchRules(junk_overlap=0.2, box_sides="inclusive"),
]


def angle(degrees: float) -> list[float]:
    return [float(np.cos(np.radians(degrees))), float(np.sin(np.radians(degrees)))]


def world(seed, trials_of, features_of):
    """A few pictures, some listed again, some the query's own, with ignored boxes and people twice."""
    rng = np.random.default_rng(seed)
    names = [f"s{k}" for k in range(6)]
    spots = [[90 * k, 0, 90 * k + 40, 100] for k in range(3)]
    seen = [
        [
            (
                (np.array(spots[k]) + rng.integers(-15, 16, 4)).tolist(),
                float(rng.choice([0.3, 0.9])),
                rng.normal(size=4),
            )
            for k in rng.integers(0, 3, rng.integers(0, 6))
        ]
        for _ in names
    ]
    queries = [(int(rng.integers(6)), np.add(spots[0], [q, 0, q, 0]), q) for q in range(4)]
    galleries = [
        [
            (
                int(rng.integers(6)),
                [spots[k] for k in rng.integers(0, 3, rng.choice([0, 1, 1, 2]))],
                [spots[k] for k in rng.integers(0, 3, rng.choice([0, 0, 1]))],
            )
            for _ in range(5)
        ]
        for _ in queries
    ]
    trials = trials_of(names, queries, galleries)
    return trials, features_of(names, seen, trials, rng.normal(size=(4, 4)))


@given(st.integers(0, 100_000), st.sampled_from(RULES))
@settings(max_examples=40, deadline=None)
def test_rankings_give_the_scores_that_scoring_gives(trials_of, features_of, seed, rules):
    trials, features = world(seed, trials_of, features_of)
    scores = score_search(trials, features, rules)
    for one in Rankings(trials, features, rules):
        i = one.query
        similarity = np.asarray(one.similarity)
        if np.isnan(scores.ap[i]):
            assert not one.right.any()
            continue
        precision = average_precision(similarity, one.right)
        assert precision * scores.recall[i] == pytest.approx(scores.ap[i])
        assert first_hit(similarity, one.right) == scores.first_hit[i]
        order = one.first(len(similarity))
        assert [one.rank_of(place) for place in order] == list(range(1, len(order) + 1))
        assert not (one.right & ~one.same).any()
        names = [features.scenes[s] for s in np.searchsorted(features.det_ptr, one.detection, "right") - 1]
        assert names == [trials.scenes[trials.entry_scene[entry]] for entry in one.entry]
        assert (features.det_score[one.detection] >= 0.5).all()


def test_one_by_one_and_in_blocks_they_are_the_same(trials_of, features_of, monkeypatch):
    trials, features = world(7, trials_of, features_of)
    blocks = list(Rankings(trials, features, SearchRules()))
    monkeypatch.setattr(module, "WORTH_A_BLOCK", 0)
    rankings = Rankings(trials, features, SearchRules())
    for one, other, third in zip(blocks, rankings, map(rankings.of, range(4)), strict=True):
        for name in ("similarity", "detection", "entry", "right", "same"):
            assert np.array_equal(getattr(one, name), getattr(other, name))
            assert np.array_equal(getattr(one, name), getattr(third, name))
    assert len(rankings) == 4


def test_features_that_do_not_fit_are_refused(trials_of, features_of):
    trials, features = world(7, trials_of, features_of)
    with pytest.raises(InputError, match="not finite"):
        Rankings(trials, replace(features, q_feat=np.full((4, 4), np.nan)), SearchRules())
    renamed = replace(features, scenes=("x", *features.scenes[1:]))
    with pytest.raises(DatasetError, match=r"nothing of s0|do not describe"):
        list(Rankings(trials, renamed, SearchRules()))


# --- which queries ------------------------------------------------------------------------------


def scored(ap, first, barren=()) -> SearchScores:
    rules = {"without_positives": list(barren)}
    ap = np.asarray(ap, float)
    return SearchScores(protocol="p", ap=ap, first_hit=np.asarray(first), recall=ap, rules=rules)


def test_the_best_the_worst_and_the_middle():
    ap = [0.5, 1.0, 0.0, 0.0, 1.0, 0.4, 0.6, 0.0, np.nan, 0.2]
    first = [1, 1, 0, 50, 1, 2, 1, 0, 0, 9]
    found = select_queries(scored(ap, first, barren=[7]), best=2, median=1, worst=3)
    assert found.best == (1, 4)
    assert found.worst == (2, 3, 9)  # never found before found late; 7 has nobody to find, 8 no value
    assert found.median == (0,)


@given(st.integers(0, 30), st.integers(0, 5), st.integers(0, 5), st.integers(0, 5), st.integers(0, 1000))
@settings(max_examples=40, deadline=None)
def test_groups_are_disjoint_and_in_order(n, best, median, worst, seed):
    ap = np.random.default_rng(seed).choice([0, 0.3, 0.5, 1.0], n)
    found = select_queries(scored(ap, (ap > 0).astype(int)), best=best, median=median, worst=worst)
    everybody = [*found.best, *found.median, *found.worst]
    assert len(set(everybody)) == len(everybody) == min(n, best + median + worst)
    assert len(found.worst) == min(worst, n)
    assert (np.diff(ap[list(found.worst)]) >= 0).all()
    assert (np.diff(ap[[*found.best, *found.median]]) <= 0).all()
    if found.best and found.worst:
        assert ap[list(found.best)].min() >= ap[list(found.worst)].max()


# --- what is said of them -----------------------------------------------------------------------


def test_a_rank_list_by_hand(trials_of, features_of):
    """The person well detected in a, loosely in b, too unsure in c; a has a second box on him."""
    trials = trials_of(NAMES, [(0, PERSON, 0)], [[(1, [PERSON]), (2, [PERSON]), (3, [PERSON])]])
    seen = [
        [],
        [(FAR, 0.9, angle(5)), (PERSON, 0.9, angle(10)), ([0, 0, 40, 90], 0.8, angle(20))],
        [([0, 0, 40, 40], 0.9, angle(15))],
        [(PERSON, 0.25, angle(0)), (FAR, 0.9, angle(80))],
    ]
    features = features_of(NAMES, seen, trials, [angle(0)])
    scenes = [Scene(name, boxes=[PERSON], people=[0]) for name in NAMES]
    scores = score_search(trials, features)
    rankings = Rankings(trials, features, SearchRules())
    split = split_failures(trials, features, SearchRules(), scenes, scores=scores)
    (one,) = rank_lists(rankings, scores, split, [0], hits=4)
    assert [(hit.rank, hit.picture, hit.verdict) for hit in one.hits] == [
        (1, "a", "wrong"),
        (2, "a", "right"),
        (3, "b", "loose"),
        (4, "a", "again"),
    ]
    assert one.hits[1].similarity == pytest.approx(np.cos(np.radians(10)))
    assert one.hits[2].box.tolist() == [0, 0, 40, 40]
    assert (one.reason, one.first_hit, one.pictures, one.people) == ("ranked low", 2, 3, 5)
    assert one.ap == pytest.approx(0.5 / 3)
    first, second, third = one.appearances
    assert (first.outcome, first.rank) == ("ranked low", 2)
    assert (second.outcome, second.rank) == ("box too loose", 0)
    assert second.overlap == pytest.approx(0.4)
    assert second.nearest.tolist() == [0, 0, 40, 40]
    assert (third.outcome, third.score) == ("below threshold", 0.25)
    assert third.nearest.tolist() == PERSON


def test_a_picture_listed_twice_has_two_ranks(trials_of, features_of):
    trials = trials_of(NAMES, [(0, PERSON, 0)], [[(1, [PERSON]), (1, [PERSON])]])
    features = features_of(NAMES, [[], [(PERSON, 0.9, angle(5))], [], []], trials, [angle(0)])
    for rules, ranks in (
        (SearchRules(), [1, 2]),
        (SearchRules(policy="clean"), [1]),
        (SearchRules(repeated="first"), [1]),
    ):
        scores = score_search(trials, features, rules)
        split = split_failures(trials, features, rules, [], scores=scores)
        (one,) = rank_lists(Rankings(trials, features, rules), scores, split, [0])
        assert [a.rank for a in one.appearances] == ranks


def test_a_true_box_of_a_later_entry_is_found_where_the_picture_is_searched_once(trials_of, features_of):
    trials = trials_of(NAMES, [(0, PERSON, 0)], [[(2, []), (1, []), (1, [PERSON])]])
    features = features_of(NAMES, [[], [(PERSON, 0.9, angle(5))], [], []], trials, [angle(0)])
    rules = SearchRules(policy="clean")
    scores = score_search(trials, features, rules)
    assert scores.first_hit.tolist() == [1]
    split = split_failures(trials, features, rules, [], scores=scores)
    (one,) = rank_lists(Rankings(trials, features, rules), scores, split, [0])
    assert [(a.outcome, a.rank) for a in one.appearances] == [("found", 1)]


@given(st.integers(0, 100_000), st.sampled_from(RULES))
@settings(max_examples=20, deadline=None)
def test_what_is_said_agrees_with_the_scores(trials_of, features_of, seed, rules):
    trials, features = world(seed, trials_of, features_of)
    scores = score_search(trials, features, rules)
    split = split_failures(trials, features, rules, [], scores=scores)
    for one in rank_lists(Rankings(trials, features, rules), scores, split, range(4), hits=40):
        right = [hit.rank for hit in one.hits if hit.verdict == "right"]
        assert min(right, default=0) == one.first_hit
        ranks = [a.rank for a in one.appearances if a.rank]
        assert min(ranks, default=0) == one.first_hit or rules.policy == "clean"
        assert (one.reason == "found") == (one.first_hit == 1)
        assert (one.reason == "nobody to find") == (not one.appearances)
