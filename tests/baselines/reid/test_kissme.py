"""The metric by hand, against the paper's definition pair by pair, and what must hold of it."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from personsearch.baselines.reid.kissme import different_pairs, learn_metric, same_pairs
from personsearch.errors import DatasetError


def test_by_hand():
    # One number a person. Same: differences 1 and 1, so S = 1. Two people: always 10 apart or 9 or 11;
    # with the rows below every pair of two people differs by 10 -+ 1.
    people = np.array([0, 0, 1, 1])
    vectors = np.array([[0.0], [1.0], [10.0], [11.0]])
    rng = np.random.default_rng(3)
    same = same_pairs(people, 100, rng)
    different = different_pairs(people, len(same), rng)
    d = np.mean([(vectors[i] - vectors[j]) ** 2 for i, j in different])
    metric = learn_metric(vectors, people, shrinkage=0, seed=3)
    assert metric.shape == (1, 1)
    assert metric[0, 0] ** 2 == pytest.approx(1 / 1 - 1 / d)


def slow_metric(vectors, people, same, different, shrinkage):
    """M = inv(S) - inv(D) from sums over pairs, negative eigenvalues set to 0."""
    dim = vectors.shape[1]
    found = []
    for pairs in (same, different):
        total = np.zeros((dim, dim))
        for i, j in pairs:
            difference = vectors[i] - vectors[j]
            total += np.outer(difference, difference)
        total /= len(pairs)
        total = (1 - shrinkage) * total + shrinkage * np.trace(total) / dim * np.eye(dim)
        found.append(np.linalg.inv(total))
    values, directions = np.linalg.eigh(found[0] - found[1])
    return directions @ np.diag(np.maximum(values, 0)) @ directions.T


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0.0, 0.05, 0.5]), st.integers(5, 60))
def test_equals_the_definition_pair_by_pair(seed, shrinkage, most):
    rng = np.random.default_rng(seed)
    people = rng.integers(0, 6, 40)
    vectors = rng.normal(size=(6, 4))[people] * [3, 1, 1, 0.1] + rng.normal(size=(40, 4))
    drawing = np.random.default_rng(7)
    same = same_pairs(people, most, drawing)
    different = different_pairs(people, len(same), drawing)
    metric = learn_metric(vectors, people, pairs=most, shrinkage=shrinkage, seed=7)
    slow = slow_metric(vectors, people, same, different, shrinkage)
    np.testing.assert_allclose(metric.T @ metric, slow, rtol=1e-6, atol=1e-9 * np.abs(slow).max())


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 5), min_size=2, max_size=25))
def test_pairs_of_one_person_are_all_there_once(people):
    people = np.array(people)
    wanted = {(i, j) for i, j in itertools.combinations(range(len(people)), 2) if people[i] == people[j]}
    if not wanted:
        with pytest.raises(DatasetError, match="seen twice"):
            same_pairs(people, 9, np.random.default_rng(0))
        return
    found = [tuple(sorted(pair)) for pair in same_pairs(people, 10**6, np.random.default_rng(0)).tolist()]
    assert len(found) == len(set(found))
    assert set(found) == wanted
    few = [tuple(sorted(pair)) for pair in same_pairs(people, 3, np.random.default_rng(0)).tolist()]
    assert len(set(few)) == len(few) == min(3, len(wanted))
    assert set(few) <= wanted


def test_a_person_seen_very_often_has_every_pair_in_range():
    # The pair's number is turned into two rows with a square root: right to the last of 2 * 10^9.
    people = np.zeros(60_000, np.int64)
    pairs = same_pairs(people, 2000, np.random.default_rng(0))
    assert (pairs[:, 0] < pairs[:, 1]).all()
    assert pairs.max() < 60_000


def test_pairs_of_two_people():
    people = np.random.default_rng(0).integers(0, 4, 30)
    pairs = different_pairs(people, 5000, np.random.default_rng(1))
    assert pairs.shape == (5000, 2)
    assert (people[pairs[:, 0]] != people[pairs[:, 1]]).all()
    # every row is drawn about as often as the others of its person
    counts = np.bincount(pairs.ravel(), minlength=30)
    assert counts.min() > 0.5 * counts.mean()


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_units_do_not_matter(seed):
    """KISSME without shrinkage knows no unit: vectors in other units, the same distances."""
    rng = np.random.default_rng(seed)
    people = np.repeat(np.arange(10), 6)
    vectors = rng.normal(size=(10, 3))[people] * 3 + rng.normal(size=(60, 3))
    units = np.diag(rng.uniform(0.1, 10, 3)) @ np.linalg.qr(rng.normal(size=(3, 3)))[0]
    one = learn_metric(vectors, people, shrinkage=0)
    other = learn_metric(vectors @ units.T, people, shrinkage=0)
    # M' = inv(U)^T M U^-1 only where nothing is set to zero, so hold only those cases
    if len(one) == len(other) == 3:
        a, b = vectors @ one.T, (vectors @ units.T) @ other.T
        np.testing.assert_allclose(
            np.linalg.norm(a[0] - a, axis=1), np.linalg.norm(b[0] - b, axis=1), rtol=1e-6, atol=1e-8
        )


def test_it_ignores_what_varies_within_a_person():
    rng = np.random.default_rng(0)
    people = np.repeat(np.arange(80), 4)
    vectors = np.stack([people.astype(float), rng.normal(size=320) * 5], axis=1)
    vectors[:, 0] += rng.normal(size=320) * 0.1

    def right(x):
        distance = np.linalg.norm(x[:, None] - x[None], axis=2)
        np.fill_diagonal(distance, np.inf)
        return np.mean(people[distance.argmin(axis=1)] == people)

    metric = learn_metric(vectors, people, shrinkage=0.01)
    assert right(vectors @ metric.T) > 2 * right(vectors)


def test_the_same_seed_gives_the_same_bytes():
    rng = np.random.default_rng(0)
    people, vectors = rng.integers(0, 9, 90), rng.normal(size=(90, 5))
    one, again = (learn_metric(vectors, people, pairs=50, seed=4) for _ in range(2))
    assert one.tobytes() == again.tobytes()
    assert learn_metric(vectors, people, pairs=50, seed=5).tobytes() != one.tobytes()


def test_few_pairs_need_shrinkage():
    rng = np.random.default_rng(0)
    people, vectors = np.repeat(np.arange(4), 2), rng.normal(size=(8, 20))
    with pytest.raises(DatasetError, match="do not span"):
        learn_metric(vectors, people, shrinkage=0)
    assert np.isfinite(learn_metric(vectors, people)).all()


def test_what_cannot_be_learned_is_told():
    with pytest.raises(DatasetError, match="seen twice"):
        learn_metric(np.eye(3), np.array([0, 1, 2]))
    with pytest.raises(DatasetError, match="only one person"):
        learn_metric(np.eye(3), np.array([1, 1, 1]))
    with pytest.raises(DatasetError, match="do not span"):
        learn_metric(np.ones((4, 2)), np.array([0, 0, 1, 1]))
    apart = np.array([[0.0], [10.0], [0.5], [9.5]])  # two appearances differ more than two people
    with pytest.raises(DatasetError, match="metric is zero"):
        learn_metric(apart, np.array([0, 0, 1, 1]), shrinkage=0, seed=_seed_of_near_pairs())
    with pytest.raises(ValueError, match="shrinkage"):
        learn_metric(np.eye(2), np.array([0, 0]), shrinkage=1.0)


def _seed_of_near_pairs() -> int:
    """A seed whose two pairs of two people are near ones: rows 0 and 2, or 1 and 3."""
    people = np.array([0, 0, 1, 1])
    for seed in range(1000):
        rng = np.random.default_rng(seed)
        same = same_pairs(people, 9, rng)
        drawn = different_pairs(people, len(same), rng)
        if all(set(pair) in ({0, 2}, {1, 3}) for pair in drawn.tolist()):
            return seed
    raise AssertionError("no such seed")
