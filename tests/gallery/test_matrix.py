"""The fast exact search against a full sort in float64, ties and odd lengths included."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from personsearch.gallery import matrix as module
from personsearch.gallery.matrix import Chosen, Matrix, _firsts, bar, best_of_groups, kth
from personsearch.ranking.similarity import norms, similarities

KINDS = ("cosine", "euclidean", "product")


def slow(query, vectors, kind, allowed, k):
    """Everybody in float64, sorted: similarity down, row up."""
    alike = similarities(query[None], vectors, kind)[0]
    rows = sorted(allowed, key=lambda row: (-alike[row], row))[:k]
    return rows, [alike[row] for row in rows]


def agree(query, vectors, kind, allowed, k) -> None:
    """Equal similarities, and equal rows but where a last digit of float32 decides."""
    matrix = Matrix.of(vectors)
    wanted = np.zeros(len(vectors), bool)
    wanted[allowed] = True
    (finder,) = matrix.finders(query[None], kind, wanted)
    rows, values = finder.best(k)
    expected, alike = slow(query, vectors, kind, allowed, k)
    assert len(rows) == len(set(rows.tolist())) == len(expected)
    assert set(rows.tolist()) <= set(allowed)
    own = similarities(query[None], vectors, kind)[0]
    for found in (values, own[rows]):
        found, wished = found.astype(np.float64), np.array(alike, np.float64)
        if kind == "euclidean":  # a distance is the root of a difference, which float64 rounds
            longest = np.linalg.norm(np.vstack([query, vectors]).astype(np.float64), axis=1).max()
            rounding = 64 * 2.0**-52 * longest**2
            np.testing.assert_allclose(found**2, wished**2, rtol=1e-6, atol=rounding)
        else:
            np.testing.assert_allclose(found, wished, rtol=3e-7, atol=1e-30)


def test_worked_by_hand() -> None:
    vectors = np.array([[3, 4], [0, 0], [4, -3], [6, 8], [30, 40]], np.float32)
    query = np.array([[3, 4]], np.float32)
    matrix = Matrix.of(vectors)

    def best(kind, k=5, *rows_wanted):
        wanted = np.isin(np.arange(5), rows_wanted) if rows_wanted else None
        rows, values = next(matrix.finders(query, kind, wanted)).best(k)
        return rows.tolist(), values.tolist()

    assert best("cosine") == ([0, 3, 4, 1, 2], [1, 1, 1, 0, 0])
    assert best("product", 3) == ([4, 3, 0], [250, 50, 25])
    assert best("euclidean", 3) == ([0, 1, 3], [0, -5, -5])
    assert best("euclidean", 2, 2, 3) == ([3, 2], [-5, pytest.approx(-np.sqrt(50))])
    assert best("cosine", 3, 99) == ([], [])


@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from(KINDS),
    st.integers(1, 60),
    st.sampled_from([1, 2, 7, 64]),
    st.integers(1, 12),
    st.sampled_from(["normal", "ties", "near", "lengths", "huge", "tiny"]),
)
@settings(max_examples=150, deadline=None)
def test_agrees_with_sorting_everybody(seed, kind, n, d, k, sort) -> None:
    rng = np.random.default_rng(seed)
    vectors = rng.standard_normal((n, d))
    query = rng.standard_normal(d)
    if sort == "ties":
        vectors, query = rng.integers(-2, 3, (n, d)).astype(float), rng.integers(-2, 3, d).astype(float)
    elif sort == "near":  # differences far below what one product of float32 can tell
        vectors = query + 1e-6 * rng.standard_normal((n, d))
    elif sort == "lengths":
        vectors *= 10.0 ** rng.uniform(-8, 8, (n, 1))
    elif sort in ("huge", "tiny"):
        factor = 1e17 if sort == "huge" else 1e-17
        vectors, query = vectors * factor, query * factor
    allowed = sorted(rng.permutation(n)[: rng.integers(0, n + 1)].tolist())
    agree(query.astype(np.float32), vectors.astype(np.float32), kind, allowed, k)


def test_a_bound_that_is_too_small_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """The planted mistake: without the slack, somebody who wins in float64 is lost."""
    rng = np.random.default_rng(3)
    query = rng.standard_normal(256).astype(np.float32)
    vectors = (query + 1e-3 * rng.standard_normal((300, 256))).astype(np.float32)
    agree(query, vectors, "euclidean", list(range(300)), 20)
    monkeypatch.setattr(module, "UNIT", 0.0)
    with pytest.raises(AssertionError):
        agree(query, vectors, "euclidean", list(range(300)), 20)


@given(
    st.integers(0, 2**32 - 1), st.sampled_from(KINDS), st.integers(1, 300), st.integers(1, 300), st.booleans()
)
@settings(max_examples=100, deadline=None)
def test_few_are_compared_to_the_last_bit_as_many_are(seed, kind, n, d, ties) -> None:
    """Which candidates there are decides on the way; it must not decide on the answer."""
    rng = np.random.default_rng(seed)
    vectors = rng.standard_normal((n, d)).astype(np.float32)
    query = vectors[0] if ties else rng.standard_normal(d).astype(np.float32)
    if ties:
        vectors[rng.random(n) < 0.3] = vectors[0]
    vectors[rng.random(n) < 0.05] = 0.0
    query = query * np.float32(rng.choice([1.0, 0.0, 1e-3]))
    matrix = Matrix.of(vectors)
    finder = next(matrix.finders(query[None], kind, None))
    rows = np.flatnonzero(rng.random(n) < 0.7)
    expected = similarities(query[None], vectors[rows], kind, people_norms=matrix.lengths[rows])[0]
    np.testing.assert_array_equal(finder._similarities(rows), expected)
    k = int(rng.integers(1, n + 1))
    found = finder.best(k)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "AT_ONCE", 0)
        other = finder.best(k)
    np.testing.assert_array_equal(found[0], other[0])
    np.testing.assert_array_equal(found[1], other[1])


def test_who_counts_is_worked_out_once(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(2)
    vectors, mask = rng.standard_normal((1000, 8)).astype(np.float32), rng.random(1000) < 0.6
    matrix, chosen, made = Matrix.of(vectors), Chosen(mask), []
    real = module._barred
    monkeypatch.setattr(module, "_barred", lambda mask: made.append(1) or real(mask))
    for query in vectors[:5]:
        kept = next(matrix.finders(query[None], "cosine", chosen)).best(20)
        anew = next(matrix.finders(query[None], "cosine", mask)).best(20)
        np.testing.assert_array_equal(kept[0], anew[0])
        np.testing.assert_array_equal(kept[1], anew[1])
    assert len(made) == 1 + 5


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("share", [1.0, 0.6, 0.1])
def test_many_queries_are_answered_as_one_by_one(
    kind: str, share: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PRODUCTS", 2500)  # so that they come in several products
    monkeypatch.setattr(module, "AT_A_TIME", 64)
    rng = np.random.default_rng(1)
    vectors = rng.standard_normal((1000, 16)).astype(np.float32)
    queries = rng.standard_normal((7, 16)).astype(np.float32)
    wanted = None if share == 1.0 else rng.random(1000) < share
    matrix = Matrix.of(vectors)
    together = [finder.best(10) for finder in matrix.finders(queries, kind, wanted)]
    assert len(together) == 7
    for query, (rows, values) in zip(queries, together, strict=True):
        alone_rows, alone_values = next(matrix.finders(query[None], kind, wanted)).best(10)
        assert rows.tolist() == alone_rows.tolist()
        np.testing.assert_allclose(values, alone_values, rtol=3e-7)
        everybody = np.arange(1000)
        allowed = everybody if wanted is None else everybody[wanted]
        agree(query, vectors, kind, allowed.tolist(), 10)


@given(st.integers(0, 2**32 - 1), st.integers(1, 6), st.integers(1, 300))
@settings(max_examples=60, deadline=None)
def test_a_query_is_as_long_among_others_as_alone(seed: int, q: int, d: int) -> None:
    queries = np.random.default_rng(seed).standard_normal((q, d)).astype(np.float32)
    for kind in KINDS:
        finders = Matrix.of(queries).finders(queries, kind, None)
        assert [finder.length for finder in finders] == [norms(query[None])[0] for query in queries]


@given(st.lists(st.integers(-3, 12), min_size=1, max_size=80))
def test_firsts_are_those_of_numpy(values: list[int]) -> None:
    expected = np.unique(np.array(values), return_index=True)[1]
    np.testing.assert_array_equal(_firsts(np.array(values)), expected)


def test_few_are_computed_twice() -> None:
    """It is fast because only the few who may win are compared in float64."""
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((20000, 64)).astype(np.float32)
    for kind in KINDS:
        finder = next(Matrix.of(vectors).finders(vectors[:1], kind, None))
        assert len(finder._candidates(100)) < 120


@given(st.integers(0, 2**32 - 1), st.integers(1, 30), st.integers(0, 9000), st.booleans())
@settings(max_examples=60, deadline=None)
def test_the_kth_largest_is_that_of_sorting(seed: int, k: int, more: int, ties: bool) -> None:
    """With groups (many people) and without; ties, and people who are barred."""
    rng = np.random.default_rng(seed)
    values = rng.standard_normal(k + more).astype(np.float32)
    if ties:
        values = values.round(1)
    values[k:][rng.random(more) < 0.3] = -np.inf
    assert kth(values, k) == np.sort(values)[-k]


@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.sampled_from([1.0, 0.6, 0.3]), st.booleans())
@settings(max_examples=60, deadline=None)
def test_who_may_win_is_whom_two_looks_at_everybody_leave(
    seed: int, k: int, share: float, ties: bool
) -> None:
    """One look by a lower bar, and one at the few it leaves, is what a sort of everybody would leave."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(k + 1, 9000))
    vectors = rng.standard_normal((n, 4)).astype(np.float32)
    if ties:
        vectors = vectors[rng.integers(0, 50, n) % n]
    mask = rng.random(n) < share
    mask[: k + 1] = True
    finder = next(Matrix.of(vectors).finders(vectors[:1], "cosine", mask))
    value = finder.value.copy()
    least = np.sort(value[np.isfinite(value)])[-k] - 2 * finder.slack
    expected = np.flatnonzero(value >= np.nextafter(least, np.float32(-np.inf)))
    np.testing.assert_array_equal(finder._candidates(k), expected)
    assert bar(value, k) <= np.sort(value)[-k]


@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.integers(1, 8), st.integers(1, 6))
@settings(max_examples=60, deadline=None)
def test_groups_give_their_best_only(seed: int, n: int, groups: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    group = rng.integers(0, groups, n)
    order = rng.permutation(n)
    values = np.sort(rng.standard_normal(n))[::-1]
    asked = []

    def best(look: int):
        asked.append(look)
        return order[:look], values[:look]

    rows, alike = best_of_groups(best, n, k, group)
    met, expected = set(), []
    for row, value in zip(order.tolist(), values.tolist(), strict=True):
        if group[row] not in met:
            met.add(group[row])
            expected.append((row, value))
    assert list(zip(rows.tolist(), alike.tolist(), strict=True)) == expected[:k]


def test_rows_behind_are_appended_in_the_room() -> None:
    room = np.zeros((6, 2), np.float32)
    room[:2] = [[3, 4], [1, 0]]
    first = Matrix.of(room[:2])
    both = first.followed_by(np.array([[0, 5]], np.float32), room)
    assert both.vectors.tolist() == [[3, 4], [1, 0], [0, 5]]
    assert both.vectors.base is room
    assert both.lengths.tolist() == [5, 1, 5]
    assert len(first) == 2
    copied = first.followed_by(np.array([[7, 0]], np.float32))
    assert copied.vectors.tolist() == [[3, 4], [1, 0], [7, 0]]
    assert both.vectors[2].tolist() == [0, 5]
    assert both.take(np.array([True, False, True])).lengths.tolist() == [5, 5]
