"""The best k against a stable sort of everything, with many ties."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from personsearch.ranking.topk import top_k


def slow_top_k(row, k):
    """Python's sort is stable and keeps equal values in their order."""
    order = sorted(range(len(row)), key=lambda i: -row[i])[:k]
    return order, [row[i] for i in order]


def test_ties_at_the_last_place_go_to_the_smaller_index():
    values = np.array([1.0, 2.0, 1.0, 3.0, 1.0, 2.0], np.float32)
    for k, expected in [(1, [3]), (2, [3, 1]), (3, [3, 1, 5]), (4, [3, 1, 5, 0]), (9, [3, 1, 5, 0, 2, 4])]:
        indices, best = top_k(values, k)
        assert indices.tolist() == expected
        assert best.tolist() == values[expected].tolist()
        assert best.dtype == np.float32


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from([-np.inf, -1.0, -0.0, 0.0, 0.5, 2.0, np.inf]), max_size=40), st.integers(0, 45)
)
def test_equals_a_stable_sort(values, k):
    indices, best = top_k(np.array(values, np.float64), k)
    expected_indices, expected_values = slow_top_k(values, k)
    assert indices.tolist() == expected_indices
    assert best.tolist() == expected_values


def test_rows_are_each_their_own():
    table = np.random.default_rng(0).integers(0, 6, size=(7, 300)).astype(np.float32)
    indices, best = top_k(table, 25)
    assert indices.shape == best.shape == (7, 25)
    for row, found in zip(table, indices, strict=True):
        assert found.tolist() == slow_top_k(row.tolist(), 25)[0]
    assert np.array_equal(best, np.take_along_axis(table, indices, axis=1))


def test_edges():
    assert [part.shape for part in top_k(np.zeros((3, 0)), 5)] == [(3, 0), (3, 0)]
    assert [part.shape for part in top_k(np.zeros((0, 4)), 2)] == [(0, 2), (0, 2)]
    assert top_k(np.array([3, 1, 2], np.uint8), 2)[0].tolist() == [0, 2]
    assert top_k(np.arange(3.0), 0)[0].tolist() == []


def test_what_has_no_order_is_refused():
    with pytest.raises(ValueError, match="NaN"):
        top_k(np.array([[0.0, 1.0], [np.nan, 0.0]]), 1)
    with pytest.raises(ValueError, match="negative"):
        top_k(np.zeros(3), -1)
    with pytest.raises(ValueError, match="shape"):
        top_k(np.zeros((1, 2, 3)), 1)
