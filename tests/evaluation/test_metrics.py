from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from personsearch.evaluation.metrics import average_precision, first_hit

rankings = st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=1, max_size=25)


def slow_curve(pairs: list[tuple[int, bool]]) -> list[tuple[float, float]]:
    """(recall, precision) after each distinct similarity, from the best, by counting."""
    total = sum(right for _, right in pairs)
    points = []
    for level in sorted({value for value, _ in pairs}, reverse=True):
        above = [right for value, right in pairs if value >= level]
        points.append((sum(above) / total, sum(above) / len(above)))
    return points


@given(rankings)
@settings(max_examples=60, deadline=None)
def test_both_readings_equal_the_area_counted_slowly(pairs: list[tuple[int, bool]]) -> None:
    similarity, right = np.array([v for v, _ in pairs], np.float32), np.array([r for _, r in pairs])
    if not right.any():
        assert average_precision(similarity, right) == average_precision(similarity, right, "trapezoid") == 0
        return
    step = trapezoid = 0.0
    recall, precision = 0.0, 1.0
    for r, p in slow_curve(pairs):
        step += (r - recall) * p
        trapezoid += (r - recall) * (p + precision) / 2
        recall, precision = r, p
    assert average_precision(similarity, right) == pytest.approx(step)
    assert average_precision(similarity, right, "trapezoid") == pytest.approx(trapezoid)


@given(rankings)
@settings(max_examples=60, deadline=None)
def test_first_hit_is_where_a_stable_sort_puts_it(pairs: list[tuple[int, bool]]) -> None:
    order = sorted(range(len(pairs)), key=lambda i: -pairs[i][0])  # stable
    ranks = [rank for rank, i in enumerate(order, 1) if pairs[i][1]]
    got = first_hit(np.array([v for v, _ in pairs]), np.array([r for _, r in pairs]))
    assert got == (ranks[0] if ranks else 0)


@given(rankings, st.randoms())
@settings(max_examples=30, deadline=None)
def test_the_order_of_equals_does_not_change_average_precision(pairs: list, random) -> None:
    shuffled = random.sample(pairs, len(pairs))
    for reading in ("step", "trapezoid"):
        values = [
            average_precision(np.array([v for v, _ in p]), np.array([r for _, r in p]), reading)
            for p in (pairs, shuffled)
        ]
        assert values[0] == pytest.approx(values[1])


def test_by_hand() -> None:
    # right at ranks 1, 3, 4 of 5: (1/1 + 2/3 + 3/4) / 3
    similarity, right = np.array([5, 4, 3, 2, 1.0]), np.array([1, 0, 1, 1, 0], bool)
    assert average_precision(similarity, right) == pytest.approx((1 + 2 / 3 + 3 / 4) / 3)
    # the lines run from (0, 1) to (1/3, 1), from (1/3, 1/2) to (2/3, 2/3) and on to (1, 3/4)
    by_hand = (1 + 1) / 2 / 3 + (1 / 2 + 2 / 3) / 2 / 3 + (2 / 3 + 3 / 4) / 2 / 3
    assert average_precision(similarity, right, "trapezoid") == pytest.approx(by_hand)
    assert first_hit(similarity, right) == 1


def test_nobody_at_all() -> None:
    nothing = np.zeros(0)
    assert average_precision(nothing, nothing) == 0.0
    assert first_hit(nothing, nothing) == 0


def test_similarities_may_be_negative() -> None:
    similarity, right = np.array([0.5, 0.2, 0.3]), np.array([True, False, True])
    assert average_precision(similarity, right) == average_precision(similarity - 10, right) == 1.0


def test_an_unknown_reading_is_refused() -> None:
    with pytest.raises(ValueError, match="'step' or 'trapezoid'"):
        average_precision(np.ones(1), np.ones(1), "11-point")  # type: ignore[arg-type]
