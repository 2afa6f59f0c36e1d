from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from personsearch.evaluation.curves import precision_recall

answers = st.lists(st.tuples(st.integers(0, 5), st.booleans()), max_size=20)


@given(answers, st.integers(0, 3))
@settings(max_examples=60, deadline=None)
def test_every_point_is_what_its_threshold_keeps(pairs: list[tuple[int, bool]], missed: int) -> None:
    scores, right = np.array([s for s, _ in pairs]), np.array([r for _, r in pairs], bool)
    truths = int(right.sum()) + missed
    curve = precision_recall(scores, right, truths)
    assert curve.threshold.tolist() == sorted({s for s, _ in pairs}, reverse=True)
    for threshold, precision, recall in zip(curve.threshold, curve.precision, curve.recall, strict=True):
        kept = [r for s, r in pairs if s >= threshold]
        assert precision == pytest.approx(sum(kept) / len(kept))
        assert np.isnan(recall) if truths == 0 else recall == pytest.approx(sum(kept) / truths)
    for wanted in (0.3, 0.5, 1.0):
        enough = [r for p, r in zip(curve.precision, curve.recall, strict=True) if p >= wanted]
        if truths:
            assert curve.recall_at_precision(wanted) == max(enough, default=0.0)


def test_by_hand() -> None:
    curve = precision_recall(np.array([0.9, 0.8, 0.7, 0.6]), np.array([True, False, True, False]), 3)
    assert curve.precision.tolist() == pytest.approx([1, 1 / 2, 2 / 3, 1 / 2])
    assert curve.recall.tolist() == pytest.approx([1 / 3, 1 / 3, 2 / 3, 2 / 3])
    assert (curve.recall_at_precision(0.6), curve.threshold_at_precision(0.6)) == (pytest.approx(2 / 3), 0.7)
    assert curve.recall_at_precision(1.1) == 0.0
    assert np.isnan(curve.threshold_at_precision(1.1))


def test_nothing_was_answered() -> None:
    curve = precision_recall(np.zeros(0), np.zeros(0, bool), 3)
    assert (len(curve.recall), curve.recall_at_precision(0.5)) == (0, 0.0)
