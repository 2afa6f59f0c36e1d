from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from personsearch.boxes import iou
from personsearch.evaluation.iou_rule import match_threshold, paired_ignored, paired_iou


@pytest.mark.parametrize(
    ("size", "threshold"),
    [((10, 20), 200 / 600), ((15, 35), 525 / (25 * 45)), ((12, 34), 408 / (22 * 44)), ((60, 160), 0.5)],
)
def test_the_threshold_of_a_box_by_its_size(size: tuple[int, int], threshold: float) -> None:
    box = np.array([[100.0, 50, 100 + size[0], 50 + size[1]]])
    assert match_threshold(box)[0] == pytest.approx(threshold)


@given(st.integers(1, 300), st.integers(1, 300))
@settings(max_examples=30, deadline=None)
def test_a_box_five_pixels_loose_all_round_is_just_enough(width: int, height: int) -> None:
    box = np.array([[50.0, 50, 50 + width, 50 + height]])
    loose = box + np.array([-5, -5, 5, 5])
    assert match_threshold(box)[0] == pytest.approx(min(0.5, iou(box, loose)[0, 0]))


def random_boxes(seed: int, n: int) -> np.ndarray:
    corners = np.random.default_rng(seed).integers(0, 40, (n, 2, 2))
    return np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1).astype(np.float32)


def test_pairs_overlap_as_the_matrix_says() -> None:
    a, b = random_boxes(1, 50), random_boxes(2, 50)
    np.testing.assert_array_equal(paired_iou(a, b), np.diagonal(iou(a, b)))


def test_ignored_by_overlap_or_by_lying_inside() -> None:
    group = np.array([[0, 0, 100, 100.0]] * 4)
    detected = np.array([[0, 0, 60, 90], [10, 10, 20, 30], [95, 95, 120, 120], [0, 0, 0, 0.0]])
    assert paired_ignored(detected, group).tolist() == [True, True, False, False]
