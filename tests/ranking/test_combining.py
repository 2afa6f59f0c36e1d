"""Several examples make one vector to look for."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from personsearch.ranking.combining import AWAY, combined
from personsearch.ranking.similarity import similarities


def slowly(right: np.ndarray, wrong: np.ndarray, kind: str, away: float) -> list[float]:
    """Number by number, as the formula stands in the literature."""

    def unit(row: np.ndarray) -> list[float]:
        length = sum(float(x) ** 2 for x in row) ** 0.5
        return [float(x) / length if length and kind == "cosine" else float(x) for x in row]

    rows = [unit(row) for row in right], [unit(row) for row in wrong]
    p, n = ([sum(column) / len(column) for column in zip(*some, strict=True)] for some in rows)
    if kind == "euclidean":
        return [a + away * (a - b) for a, b in zip(p, n, strict=True)]
    return [a - away * b for a, b in zip(p, n, strict=True)]


@pytest.mark.parametrize("kind", ["cosine", "euclidean", "product"])
def test_it_is_what_the_formula_says(kind) -> None:
    rng = np.random.default_rng(3)
    right, wrong = rng.standard_normal((4, 7)), 3 * rng.standard_normal((2, 7))
    for away in (0.1, AWAY, 1.0):
        assert combined(right, wrong, kind=kind, away=away) == pytest.approx(
            slowly(right, wrong, kind, away), rel=1e-5
        )


@settings(deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 6), st.integers(0, 5))
def test_lengths_and_order_do_not_count_in_cosine_and_places_do_not_in_euclidean(seed, p, n) -> None:
    rng = np.random.default_rng(seed)
    right, wrong = rng.standard_normal((p, 5)), rng.standard_normal((n, 5))
    turned = combined(right[::-1] * rng.uniform(0.1, 9, (p, 1)), wrong * rng.uniform(0.1, 9, (n, 1)))
    assert similarities(combined(right, wrong)[None], turned[None], "cosine")[0, 0] == pytest.approx(
        1, abs=1e-5
    )
    moved = combined(right + 5, wrong + 5, kind="euclidean")
    assert moved == pytest.approx(combined(right, wrong, kind="euclidean") + 5, abs=1e-4)


def test_a_wrong_one_gets_less_like_it_and_a_right_one_stays_in_front() -> None:
    person, other = np.array([[1.0, 0.3, 0.0]]), np.array([[1.0, 0.0, 0.4]])
    for kind in ("cosine", "euclidean"):
        before = similarities(combined(person, kind=kind)[None], np.concatenate([person, other]), kind)[0]
        after = similarities(combined(person, other, kind=kind)[None], np.concatenate([person, other]), kind)[
            0
        ]
        assert after[1] < before[1]
        assert after[0] > after[1]


def test_one_example_is_itself() -> None:
    one = np.array([[0.1, 0.7, 1e-8]], np.float32)
    assert combined(one).tobytes() == one[0].tobytes()
    assert combined(one, np.ones((2, 3)), away=0).tobytes() == one[0].tobytes()


@pytest.mark.parametrize(
    ("right", "wrong", "away"),
    [(np.zeros((0, 3)), None, 1), (np.ones((1, 3)), np.ones((1, 2)), 1), (np.ones((1, 3)), None, -1)],
)
def test_what_cannot_be_combined(right, wrong, away) -> None:
    with pytest.raises(ValueError):
        combined(right, wrong, away=away)
