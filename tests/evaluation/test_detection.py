from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from personsearch.errors import DatasetError
from personsearch.evaluation.detection import (
    DetectionRules,
    judge_detections,
    mutual_best,
    score_detection,
)
from personsearch.types import UNLABELLED, Scene


def seen_in(features_of, trials_of, **people):
    """Features of scenes by name: lists of (box, score)."""
    names = list(people)
    seen = [[(box, score, [1.0]) for box, score in people[name]] for name in names]
    return features_of(names, seen, trials_of(names, [], []), np.zeros((0, 1)))


LEFT, RIGHT = [0, 0, 40, 100], [100, 0, 140, 100]


@pytest.fixture
def world(features_of, trials_of):
    scenes = [
        Scene("a", boxes=np.array([LEFT, RIGHT]), people=np.array([0, UNLABELLED])),
        Scene("b", boxes=np.array([LEFT]), people=np.array([UNLABELLED])),
    ]
    features = seen_in(
        features_of,
        trials_of,
        a=[(LEFT, 0.9), ([0, 0, 40, 80], 0.8), (RIGHT, 0.7), (RIGHT, 0.3)],
        b=[([300, 0, 340, 100], 0.95)],
    )
    return scenes, features


def test_by_hand(world) -> None:
    # ranking 0.95 wrong, 0.9 right, 0.8 wrong (second on the left person), 0.7 right; one of three is missed
    scores = score_detection(*world)
    assert (scores.truths, scores.detections) == (3, 4)
    assert scores.recall == pytest.approx(2 / 3)
    assert scores.ap == pytest.approx((1 / 2 + 2 / 4) / 2 * 2 / 3)


def test_labelled_only_drops_pictures_without_a_name_and_keeps_identity_zero(world) -> None:
    scores = score_detection(*world, DetectionRules(labelled_only=True))
    assert (scores.truths, scores.detections, scores.recall) == (
        1,
        3,
        1.0,
    )  # b is out; the unlabelled are wrong
    assert scores.ap == 1.0


def test_ignored_boxes_are_neither_truth_nor_mistakes(world) -> None:
    scenes, features = world
    hidden = Scene("b", boxes=np.array([[290, 0, 400, 200]]), people=np.array([-1]), ignore=np.array([True]))
    scores = score_detection([scenes[0], hidden], features)
    assert (scores.truths, scores.detections, scores.recall) == (2, 3, 1.0)


def test_low_people_count_neither_way(features_of, trials_of) -> None:
    low, lower = [200, 0, 220, 49], [300, 0, 320, 40]
    scene = Scene("a", boxes=np.array([LEFT, low, lower]), people=np.array([0, 1, -1]))
    seen = [
        (LEFT, 0.9),  # right
        (low, 0.8),  # on somebody low
        ([200, 0, 220, 60], 0.7),  # on her too (49 / 60), and not low itself
        ([500, 0, 520, 49], 0.6),  # on nobody, and low
        ([500, 0, 520, 50], 0.5),  # on nobody: wrong
    ]
    features = seen_in(features_of, trials_of, a=seen)
    scores = score_detection([scene], features, DetectionRules(min_height=50))
    assert (scores.truths, scores.detections, scores.recall) == (1, 2, 1.0)
    everybody = score_detection([scene], features)
    assert (everybody.truths, everybody.detections, everybody.recall) == (3, 5, pytest.approx(2 / 3))


def test_a_low_detection_may_be_right(features_of, trials_of) -> None:
    features = seen_in(features_of, trials_of, a=[([0, 0, 40, 45], 0.9)])
    scene = Scene("a", boxes=np.array([[0, 0, 40, 60]]), people=np.array([0]))
    assert score_detection([scene], features, DetectionRules(min_height=50)).recall == 1.0


def test_the_curve_ends_where_the_scores_say(world) -> None:
    judged = judge_detections(*world)
    scores = score_detection(*world)
    assert judged.curve.recall[-1] == scores.recall
    assert judged.curve.threshold.tolist() == pytest.approx([0.95, 0.9, 0.8, 0.7])
    assert judged.curve.precision.tolist() == pytest.approx([0, 1 / 2, 1 / 3, 2 / 4])
    assert judged.curve.recall_at_precision(0.5) == pytest.approx(2 / 3)


def test_nobody_to_find_and_nobody_found(features_of, trials_of) -> None:
    features = seen_in(features_of, trials_of, a=[])
    empty = score_detection([Scene("a")], features)
    assert np.isnan(empty.recall)
    assert np.isnan(empty.ap)
    missed = score_detection([Scene("a", boxes=np.array([LEFT]), people=np.array([0]))], features)
    assert (missed.recall, missed.ap, missed.detections) == (0.0, 0.0, 0)


def test_a_scene_nobody_looked_at_is_an_error(world) -> None:
    with pytest.raises(DatasetError, match="nothing of c"):
        score_detection([Scene("c")], world[1])


@given(st.integers(0, 10_000), st.sampled_from([0.3, 0.5, 0.7]))
@settings(max_examples=60, deadline=None)
def test_mutual_best_as_the_field_loops_over_it(seed: int, least: float) -> None:
    rng = np.random.default_rng(seed)
    corners = rng.integers(0, 12, (rng.integers(1, 6) + rng.integers(1, 6), 2, 2))
    boxes = np.concatenate([corners.min(1), corners.max(1) + 1], 1).astype(np.float32)
    cut = rng.integers(1, len(boxes))
    detected, truth = boxes[:cut], boxes[cut:]
    overlap = np.zeros((len(truth), len(detected)))
    for i, t in enumerate(truth):
        for j, d in enumerate(detected):
            w, h = min(t[2], d[2]) - max(t[0], d[0]), min(t[3], d[3]) - max(t[1], d[1])
            shared = np.float32(max(w, 0) * max(h, 0))
            union = (t[2] - t[0]) * (t[3] - t[1]) + (d[2] - d[0]) * (d[3] - d[1]) - shared
            overlap[i, j] = shared / union
    right = overlap >= least
    for j in range(len(detected)):
        best = max(range(len(truth)), key=lambda i: overlap[i, j])
        right[[i for i in range(len(truth)) if i != best], j] = False
    for i in range(len(truth)):
        best = max(range(len(detected)), key=lambda j: overlap[i, j])
        right[i, [j for j in range(len(detected)) if j != best]] = False
    got = mutual_best(detected, truth, least)
    assert got.tolist() == right.any(axis=0).tolist()
    assert got.sum() <= len(truth)
