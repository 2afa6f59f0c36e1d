"""Re-ranking against a slow transcription of the paper's equations, set by set."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from personsearch.ranking import kreciprocal as module
from personsearch.ranking.kreciprocal import KReciprocalRules, _mean_of_neighbours, rerank


def slow_distances(query, people, k1, k2, weight, kind):
    """Equations 1-12 with Python sets; the query is number 0."""
    world = [np.asarray(query, float), *np.asarray(people, float)]
    if kind == "cosine":
        world = [v / np.linalg.norm(v) for v in world]
    n = len(world)
    d = np.array([[((a - b) ** 2).sum() for b in world] for a in world])
    d = np.array([row / max(row) if max(row) > 0 else row for row in d])
    order = [sorted(range(n), key=lambda j, i=i: d[i][j]) for i in range(n)]

    def reciprocal(p, k):
        return {g for g in order[p][: k + 1] if p in order[g][: k + 1]}

    vectors = []
    for p in range(n):
        circle = reciprocal(p, k1)
        for q in reciprocal(p, k1):
            closer = reciprocal(q, round(k1 / 2))
            if len(reciprocal(p, k1) & closer) > 2 / 3 * len(closer):
                circle |= closer
        v = np.zeros(n)
        for g in circle:
            v[g] = np.exp(-d[p][g])
        vectors.append(v / v.sum())
    if k2 > 1:
        vectors = [np.mean([vectors[g] for g in order[p][:k2]], axis=0) for p in range(n)]
    final = []
    for g in range(1, n):
        low = sum(min(a, b) for a, b in zip(vectors[0], vectors[g], strict=True))
        high = sum(max(a, b) for a, b in zip(vectors[0], vectors[g], strict=True))
        final.append((1 - weight) * (1 - low / high) + weight * d[0][g])
    return np.array(final)


# The same drawings every time: neighbours that differ by less than float32 can tell may swap.
@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 9),
    st.integers(1, 4),
    st.sampled_from([0.0, 0.3, 1.0]),
    st.sampled_from(["cosine", "euclidean"]),
)
def test_equals_the_slow_transcription(seed, k1, k2, weight, kind):
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(4, 5)) * 2
    people = centres[rng.integers(0, 4, size=24)] + rng.normal(size=(24, 5))
    query = centres[0] + rng.normal(size=5)
    values = -np.linalg.norm(people - query, axis=1)
    rules = KReciprocalRules(top=24, k1=k1, k2=k2, weight=weight)
    rows, new = rerank(query, people, values, kind, rules)
    by_value = np.argsort(-values, kind="stable")  # the order in which they enter, for ties
    expected = slow_distances(query, people[by_value], k1, k2, weight, kind)
    assert new == pytest.approx(-np.sort(expected), abs=1e-5)
    got = np.empty(24)
    got[rows] = -new
    assert got[by_value] == pytest.approx(expected, abs=1e-5)
    assert ((new <= 0) & (new >= -1 - 1e-9)).all()


def test_two_people_on_a_line_by_hand():
    """Query at 0, people at 1 and 2, one neighbour each: only the query and the first choose each other.

    Squared distances of the query 0, 1/4, 1, of the first 1, 0, 1. Circles {0, 1}, {0, 1}, {2}; weights
    (1, e^-1/4) / 1.7788 and (e^-1, 1) / 1.3679, so the overlap is 0.2689 + 0.4378 = 0.7067.
    """
    people = np.array([[1.0], [2.0]])
    rules = KReciprocalRules(k1=1, k2=1, weight=0.3)
    rows, new = rerank(np.zeros(1), people, np.array([-1.0, -2.0]), "euclidean", rules)
    assert rows.tolist() == [0, 1]
    assert new == pytest.approx([-(0.7 * (1 - 0.7067 / 1.2933) + 0.3 / 4), -1.0], abs=1e-4)


def test_a_loner_falls_behind_the_crowd():
    """Five people stand together, one alone on the other side, nearer than the last of the crowd."""
    people = np.array([0.9, 0.95, 0.98, 1.05, 1.1, -1.0])[:, None]
    values = -np.abs(people[:, 0])
    assert np.argsort(-values).tolist() == [0, 1, 2, 5, 3, 4]
    rows, _ = rerank(np.zeros(1), people, values, "euclidean", KReciprocalRules(k1=5, k2=1, weight=0))
    assert rows.tolist()[-1] == 5


def test_only_the_best_candidates_take_part():
    rng = np.random.default_rng(1)
    people, query = rng.normal(size=(50, 6)), rng.normal(size=6)
    values = -np.linalg.norm(people - query, axis=1)
    rows, new = rerank(query, people, values, "euclidean", KReciprocalRules(top=10, k1=3, k2=2))
    assert sorted(rows.tolist()) == sorted(np.argsort(-values)[:10].tolist())
    rest = people.copy()
    rest[np.argsort(-values)[10:]] = 99.0  # whoever is not among them changes nothing
    again, same = rerank(query, rest, values, "euclidean", KReciprocalRules(top=10, k1=3, k2=2))
    assert np.array_equal(rows, again)
    assert np.array_equal(new, same)


def test_rows_of_a_table_stand_for_the_people():
    rng = np.random.default_rng(5)
    table, query, rows = rng.normal(size=(40, 6)), rng.normal(size=6), rng.integers(0, 40, 25)
    values = -np.linalg.norm(table[rows] - query, axis=1)
    rules = KReciprocalRules(top=10, k1=3, k2=2)
    order, new = rerank(query, table, values, "euclidean", rules, rows=rows)
    expected = rerank(query, table[rows], values, "euclidean", rules)
    assert np.array_equal(order, expected[0])
    assert np.array_equal(new, expected[1])


def test_with_the_original_distance_alone_the_order_stays():
    rng = np.random.default_rng(2)
    people, query = rng.normal(size=(30, 4)), rng.normal(size=4)
    values = -np.linalg.norm(people - query, axis=1)
    rows, _ = rerank(query, people, values, "euclidean", KReciprocalRules(weight=1.0))
    assert rows.tolist() == np.argsort(-values).tolist()


def test_copies_and_nobody_are_no_error():
    same = np.ones((30, 3))
    rows, new = rerank(np.ones(3), same, np.zeros(30), "cosine", KReciprocalRules(k1=2, k2=2))
    assert rows.tolist() == list(range(30))
    assert np.isfinite(new).all()
    assert rerank(np.ones(3), np.zeros((0, 3)), np.zeros(0), "cosine")[0].shape == (0,)


def test_rules_that_mean_nothing_are_refused():
    for wrong in ({"top": 0}, {"k1": 0}, {"k2": 0}, {"weight": 1.5}):
        with pytest.raises(ValueError, match="must be positive"):
            KReciprocalRules(**wrong)


def whole_tables(squared, rules):
    """As :func:`_distances_to_first`, all rows at once."""
    m, ranking = len(squared), np.argsort(squared, axis=1, kind="stable")

    def mutual(k):
        first = np.zeros((m, m), bool)
        np.put_along_axis(first, ranking[:, :k], True, axis=1)
        return first & first.T

    near, closer = mutual(rules.k1 + 1), mutual(round(rules.k1 / 2) + 1).astype(int)
    joins = near & (3 * (near.astype(int) @ closer.T) > 2 * closer.sum(axis=1)[None])
    circle = near | ((joins.astype(int) @ closer) > 0)
    weights = np.where(circle, np.exp(-squared), 0.0)
    total = weights.sum(axis=1, keepdims=True)
    weights = weights / np.where(total > 0, total, 1.0)
    if rules.k2 > 1:
        weights = weights[ranking[:, : rules.k2]].mean(axis=1)
    overlap = np.minimum(np.minimum(weights[:1], weights[1:]).sum(axis=1), 1.0)
    return (1.0 - rules.weight) * (1.0 - overlap / (2.0 - overlap)) + rules.weight * squared[0, 1:]


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 60),
    st.integers(1, 20),
    st.integers(1, 8),
    st.integers(1, 70),
    st.booleans(),
)
def test_some_rows_at_a_time_are_all_at_once_to_the_last_bit(seed, n, k1, k2, at_a_time, copies):
    rng = np.random.default_rng(seed)
    world = rng.normal(size=(n + 1, 6)).astype(np.float32)
    if copies:
        world = world[rng.integers(0, n + 1, n + 1)]
    rules = KReciprocalRules(k1=k1, k2=k2)
    for kind in ("cosine", "euclidean"):
        squared = module._squared(world, kind)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(module, "_ROWS", at_a_time)
            found = module._distances_to_first(squared, rules)
        np.testing.assert_array_equal(found, whole_tables(squared, rules))


def test_many_candidates_take_few_tables(monkeypatch):
    monkeypatch.setattr(module, "_ROWS", 16)
    rng = np.random.default_rng(4)
    people, table = rng.normal(size=(500, 8)).astype(np.float32), 501 * 501 * 8
    alike = (people @ people[0]).astype(np.float32)
    tracemalloc.start()
    rerank(people[0], people, alike, "cosine", KReciprocalRules(top=500))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3 * table  # of float64


def test_neighbours_are_averaged_in_the_memory_of_a_few_tables():
    """And to the last bit what the mean of all at once is."""
    rng = np.random.default_rng(8)
    weights, m, k = rng.random((300, 300)), 300, 40
    neighbours = rng.integers(0, m, (m, k))
    tracemalloc.start()
    mean = _mean_of_neighbours(weights, neighbours)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert np.array_equal(mean, weights[neighbours].mean(axis=1))
    assert peak < 5 * weights.nbytes  # all at once would be k of them
