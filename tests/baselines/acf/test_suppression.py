from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from personsearch.baselines.acf.suppression import suppress


def share(a: np.ndarray, b: np.ndarray) -> float:
    w = min(a[2], b[2]) - max(a[0], b[0])
    h = min(a[3], b[3]) - max(a[1], b[1])
    smaller = min((a[2] - a[0]) * (a[3] - a[1]), (b[2] - b[0]) * (b[3] - b[1]))
    return max(w, 0) * max(h, 0) / smaller


def test_by_hand() -> None:
    boxes = np.array([[0, 0, 10, 10], [4, 0, 14, 10], [8, 0, 18, 10], [3, 3, 5, 5.0]])
    # 0 and 1 share 0.6 of either; 3 lies in 0, and half in 1
    assert suppress(boxes, np.array([0.9, 0.8, 0.7, 0.6]), 0.65).tolist() == [0, 1, 2]
    assert suppress(boxes, np.array([0.9, 0.8, 0.7, 0.6]), 0.5).tolist() == [0, 2]
    # dropped by 0, 1 drops nobody
    assert suppress(boxes[:3], np.array([0.9, 0.8, 0.1]), 0.55).tolist() == [0, 2]


@given(st.integers(0, 10_000), st.integers(0, 12), st.sampled_from([0.0, 0.3, 0.65, 1.0]))
@settings(max_examples=60, deadline=None)
def test_as_looped_over(seed: int, count: int, overlap: float) -> None:
    rng = np.random.default_rng(seed)
    low = rng.integers(0, 12, (count, 2))
    boxes = np.concatenate([low, low + rng.integers(1, 10, (count, 2))], axis=1).astype(np.float32)
    scores = rng.integers(0, 5, count).astype(np.float32)
    kept: list[int] = []
    for row in sorted(range(count), key=lambda i: (-scores[i], i)):
        if all(share(boxes[row], boxes[other]) <= overlap + 1e-12 for other in kept):
            kept.append(row)
    found = suppress(boxes, scores, overlap)
    assert found.tolist() == kept
    again = suppress(boxes[found], scores[found], overlap)
    assert again.tolist() == list(range(len(found)))
