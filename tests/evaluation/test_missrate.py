from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from personsearch.errors import DatasetError
from personsearch.evaluation.missrate import REASONABLE, MissRateRules, judge_greedily, score_miss_rate
from personsearch.types import Scene

LEFT, RIGHT = [0, 0, 40, 100], [100, 0, 140, 100]


def seen_in(features_of, trials_of, people: dict):
    """Features of scenes by name: lists of (box, score)."""
    names = list(people)
    seen = [[(box, score, [1.0]) for box, score in people[name]] for name in names]
    return features_of(names, seen, trials_of(names, [], []), np.zeros((0, 1)))


def test_by_hand(features_of, trials_of) -> None:
    scenes = [
        Scene("a", boxes=np.array([LEFT, RIGHT]), people=np.array([0, -1])),
        Scene("b", boxes=np.array([LEFT]), people=np.array([-1])),
    ]
    features = seen_in(
        features_of,
        trials_of,
        {
            "a": [(LEFT, 0.9), ([0, 0, 40, 80], 0.8), (RIGHT, 0.7)],  # right, twice on one person, right
            "b": [([300, 0, 340, 100], 0.6)],  # on nobody
        },
    )
    result = score_miss_rate(scenes, features)
    assert (result.truths, result.pictures) == (3, 2)
    assert result.threshold.tolist() == pytest.approx([0.9, 0.8, 0.7, 0.6])
    assert result.alarms.tolist() == [0, 0.5, 0.5, 1.0]
    assert result.missed.tolist() == pytest.approx([2 / 3, 2 / 3, 1 / 3, 1 / 3])
    assert (result.at(0.49), result.at(0.5), result.at(9)) == pytest.approx((2 / 3, 1 / 3, 1 / 3))
    # of the nine references only 10 ** -0.25 = 0.56 and 1 are at 0.5 or above
    assert result.log_average == pytest.approx((2 / 3) ** (7 / 9) * (1 / 3) ** (2 / 9))


def test_before_the_first_alarm_nobody_is_found(features_of, trials_of) -> None:
    scene = Scene("a", boxes=np.array([LEFT]), people=np.array([0]))
    features = seen_in(features_of, trials_of, {"a": [(RIGHT, 0.9), (LEFT, 0.8)]})
    result = score_miss_rate([scene], features)
    assert (result.at(0.99), result.at(1.0)) == (1.0, 0.0)
    assert result.log_average == pytest.approx(1e-10 ** (1 / 9))


def test_who_does_not_count(features_of, trials_of) -> None:
    low, hidden = [200, 0, 220, 49], [300, 0, 340, 100]
    scene = Scene(
        "a",
        boxes=np.array([LEFT, low, hidden, [400, 0, 600, 300]]),
        people=np.full(4, -1),
        visible=np.array([np.nan, 1, 0.64, 1]),
        ignore=np.array([False, False, False, True]),
    )
    seen = [
        (low, 0.9),  # swallowed
        (low, 0.8),  # again: an ignored person may be found often
        (hidden, 0.7),
        ([450, 0, 490, 100], 0.6),  # inside the region
        ([500, 400, 520, 439], 0.5),  # too low to exist
        ([500, 400, 520, 441], 0.4),  # 50 / 1.25 = 40: a false alarm
        (LEFT, 0.3),
    ]
    result = score_miss_rate([scene], seen_in(features_of, trials_of, {"a": seen}), REASONABLE)
    assert result.truths == 1
    assert result.threshold.tolist() == pytest.approx([0.4, 0.3])
    assert (result.alarms.tolist(), result.missed.tolist()) == ([1, 1], [1, 0])


def test_a_worse_detection_takes_the_second_best_person() -> None:
    people = np.array([[0, 0, 10, 10], [4, 0, 14, 10.0]])
    boxes = np.array([[1, 0, 11, 10], [1, 0, 11, 10.0]])  # 9 of 11 with the first, 7 of 13 with the other
    assert judge_greedily(boxes, np.array([0.8, 0.9]), people, people[:0], 0.5).tolist() == [1, 1]
    assert judge_greedily(boxes, np.array([0.8, 0.9]), people, people[:0], 0.6).tolist() == [0, 1]


def test_nobody_to_find_and_nobody_found(features_of, trials_of) -> None:
    empty = seen_in(features_of, trials_of, {"a": []})
    assert np.isnan(score_miss_rate([Scene("a")], empty).log_average)
    one = Scene("a", boxes=np.array([LEFT]), people=np.array([0]))
    assert score_miss_rate([one], empty).log_average == 1.0
    with pytest.raises(DatasetError, match="nothing of b"):
        score_miss_rate([Scene("b")], empty)


def slow(scenes, seen, rules: MissRateRules) -> tuple[list[float], list[float]]:
    """(alarms, missed) at every score, each threshold judged on its own."""

    def overlap(a, b, of_first: bool) -> float:
        w, h = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
        shared = max(w, 0) * max(h, 0)
        first, second = ((x[2] - x[0]) * (x[3] - x[1]) for x in (a, b))
        return shared / (first if of_first else first + second - shared)

    truths = 0
    alarms, missed = [], []
    for threshold in sorted({score for people in seen.values() for _, score in people}, reverse=True):
        found = wrong = truths = counted = 0
        for scene in scenes:
            counts = [
                not ignore and box[3] - box[1] >= rules.min_height
                for box, ignore in zip(scene.boxes.tolist(), scene.ignore, strict=True)
            ]
            truths += sum(counts)
            free = [box for box, count in zip(scene.boxes.tolist(), counts, strict=True) if count]
            others = [box for box, count in zip(scene.boxes.tolist(), counts, strict=True) if not count]
            for box, score in sorted(seen[scene.name], key=lambda pair: -pair[1]):
                if score < threshold or box[3] - box[1] < rules.min_height / rules.height_margin:
                    continue
                here = score == threshold
                best = max(free, key=lambda one: overlap(box, one, False), default=None)
                if best is not None and overlap(box, best, False) >= rules.iou:
                    free.remove(best)
                    found += 1
                    counted += here
                elif not any(overlap(box, one, True) >= rules.iou for one in others):
                    wrong += 1
                    counted += here
        if counted:
            alarms.append(wrong / len(scenes))
            missed.append(1 - found / truths if truths else float("nan"))
    return alarms, missed


@given(st.integers(0, 10_000), st.sampled_from([0.3, 0.5]), st.sampled_from([0.0, 6.0]))
@settings(max_examples=80, deadline=None)
def test_as_judged_threshold_by_threshold(
    features_of, trials_of, seed: int, iou: float, height: float
) -> None:
    rng = np.random.default_rng(seed)

    def boxes(count: int) -> np.ndarray:
        corners = rng.integers(0, 14, (count, 2, 2))
        return np.concatenate([corners.min(1), corners.max(1) + 1], 1).astype(np.float32)

    scenes, seen = [], {}
    for name in "abc":
        people = boxes(int(rng.integers(0, 4)))
        ignore = rng.random(len(people)) < 0.3
        scenes.append(Scene(name, boxes=people, people=np.full(len(people), -1), ignore=ignore))
        found = boxes(int(rng.integers(0, 6)))
        scores = rng.permutation(1000)[: len(found)] * 4 + ord(name) - ord("a")  # no two are equal
        seen[name] = [(box.tolist(), float(score) / 4096) for box, score in zip(found, scores, strict=True)]
    rules = MissRateRules(iou=iou, min_height=height)
    result = score_miss_rate(scenes, seen_in(features_of, trials_of, seen), rules)
    alarms, missed = slow(scenes, seen, rules)
    assert result.alarms.tolist() == pytest.approx(alarms)
    assert result.missed.tolist() == pytest.approx(missed, nan_ok=True)
    assert (np.diff(result.alarms) >= 0).all()
    if result.truths:
        assert (np.diff(result.missed) <= 0).all()
        assert 0 < result.log_average <= 1
