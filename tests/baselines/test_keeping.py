from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from personsearch.baselines.keeping import KeepRules, keep_best
from personsearch.boxes import iou
from personsearch.errors import PersonSearchError
from personsearch.types import Array

SIZE = (60, 40)


def slowly(boxes: Array, scores: Array, rules: KeepRules) -> list[int]:
    """Greedy suppression as one says it: take the best that is left, drop whoever overlaps it too much."""
    cut = np.clip(boxes, 0, [60, 40, 60, 40])
    left = [
        i
        for i in range(len(cut))
        if scores[i] >= rules.min_score and cut[i, 2] - cut[i, 0] >= 1 and cut[i, 3] - cut[i, 1] >= 1
    ]
    kept: list[int] = []
    while left:
        best = max(left, key=lambda i: (scores[i], -i))
        kept.append(best)
        left = [
            i
            for i in left
            if i != best
            and (rules.nms is None or iou(cut[i : i + 1], cut[best : best + 1])[0, 0] <= rules.nms)
        ]
    return kept[: rules.limit]


@given(
    st.lists(
        st.tuples(
            st.integers(-9, 50),
            st.integers(-9, 35),
            st.integers(0, 30),
            st.integers(0, 30),
            st.integers(0, 9),
        ),
        max_size=12,
    ),
    st.sampled_from([None, 0.3, 0.5]),
    st.integers(1, 12),
)
@settings(max_examples=60, deadline=None)
def test_like_the_slow_form(found: list[tuple[int, ...]], overlap: float | None, limit: int) -> None:
    table = np.array(found, np.float32).reshape(-1, 5)
    boxes = np.concatenate([table[:, :2], table[:, :2] + table[:, 2:4]], axis=1)
    scores = table[:, 4] / 10
    rules = KeepRules(min_score=0.15, nms=overlap, limit=limit)
    kept = keep_best(boxes, scores, SIZE, rules)
    rows = slowly(boxes, scores, rules)
    assert kept.boxes.tolist() == np.clip(boxes[rows], 0, [60, 40, 60, 40]).tolist()
    assert kept.scores.tolist() == scores[rows].tolist()
    assert kept.embeddings.shape == (len(rows), 0)


def test_equals_stay_in_their_order() -> None:
    boxes = np.array([[i * 10, 0, i * 10 + 8, 20] for i in range(5)])
    kept = keep_best(boxes, np.full(5, 0.5), SIZE, KeepRules())
    assert kept.boxes[:, 0].tolist() == [0, 10, 20, 30, 40]


@pytest.mark.parametrize("broken", [np.nan, np.inf])
def test_numbers_that_are_none_are_said(broken: float) -> None:
    with pytest.raises(PersonSearchError, match="not finite"):
        keep_best(np.array([[0, 0, broken, 2.0]]), np.array([0.5]), SIZE, KeepRules())
    with pytest.raises(PersonSearchError, match="not finite"):
        keep_best(np.array([[0, 0, 2, 2.0]]), np.array([broken]), SIZE, KeepRules())
