"""COCO's average precision against its definition, written again slowly, and in silence."""

from __future__ import annotations

import logging
from dataclasses import asdict, replace

import numpy as np
import pytest

from personsearch.boxes import iou
from personsearch.errors import DatasetError
from personsearch.evaluation.coco import score_coco
from personsearch.types import Scene


def slow_ap(scenes, features, least: float) -> float:
    """Greedy matching by score, precision made to fall, read at 101 recalls."""
    answers, truths = [], 0
    for scene in scenes:
        seen = features.detections(scene.name)
        free = [k for k in range(len(scene)) if not scene.ignore[k]]
        truths += len(free)
        for k in np.argsort(-seen.scores, kind="stable"):
            shares = iou(seen.boxes[k][None].astype(np.float64), scene.boxes.astype(np.float64))[0]
            best = max(free, key=lambda t: shares[t], default=None)
            right = best is not None and shares[best] >= least
            if right:
                free.remove(best)
            answers.append((float(seen.scores[k]), right))
    answers.sort(key=lambda pair: -pair[0])
    hits = np.cumsum([right for _, right in answers])
    precision = hits / np.arange(1, len(hits) + 1)
    precision = np.maximum.accumulate(precision[::-1])[::-1]
    places = np.searchsorted(hits / truths, np.linspace(0, 1, 101), "left")
    return float(np.mean([precision[k] if k < len(precision) else 0.0 for k in places]))


def made(features_of, trials_of, seed: int):
    rng = np.random.default_rng(seed)
    scenes, seen = [], []
    for k in range(12):
        corner = rng.integers(0, 400, (4, 2))
        boxes = np.concatenate([corner, corner + rng.integers(20, 120, (4, 2))], 1)
        scenes.append(Scene(f"s{k}", boxes=boxes, people=np.full(4, -1)))
        found = [(b + rng.integers(-6, 7, 4)).tolist() for b in boxes[rng.random(4) < 0.8]]
        found += [[500, 500, 540, 600]] * int(rng.integers(0, 2))
        seen.append(
            [(b, s, [1.0]) for b, s in zip(found, rng.permutation(1000)[: len(found)] / 1000, strict=True)]
        )
    names = [scene.name for scene in scenes]
    return scenes, features_of(names, seen, trials_of(names, [], []), np.zeros((0, 1)))


@pytest.mark.parametrize("seed", range(3))
def test_as_it_is_defined(features_of, trials_of, seed: int) -> None:
    scenes, features = made(features_of, trials_of, seed)
    scores = score_coco(scenes, features)
    assert scores.ap50 == pytest.approx(slow_ap(scenes, features, 0.5), abs=1e-6)
    assert scores.ap75 == pytest.approx(slow_ap(scenes, features, 0.75), abs=1e-6)
    mean = np.mean([slow_ap(scenes, features, k / 100) for k in range(50, 100, 5)])
    assert scores.ap == pytest.approx(mean, abs=1e-6)


def test_by_size_and_what_is_ignored(features_of, trials_of) -> None:
    small, large, crowd = [0, 0, 20, 40], [100, 0, 200, 200], [300, 0, 500, 300]
    scene = Scene("a", boxes=[small, large, crowd], people=[0, 1, -1], ignore=[False, False, True])
    seen = [[(large, 0.9, [1.0]), ([310, 10, 350, 110], 0.95, [1.0])]]  # the second is in the crowd
    features = features_of(["a"], seen, trials_of(["a"], [], []), np.zeros((0, 1)))
    scores = score_coco([scene], features)
    assert (scores.large, scores.small) == (pytest.approx(1.0), 0.0)
    assert np.isnan(scores.medium)
    assert scores.ap == pytest.approx(51 / 101)  # precision 1 up to a recall of 1/2
    assert scores.recall == 0.5


@pytest.mark.parametrize("scale", [lambda s: s - 2, lambda s: np.log(s + 1e-3), lambda s: 1000 * s])
def test_only_the_order_of_the_scores_matters(features_of, trials_of, scale) -> None:
    """Logits and probabilities of one detector are one detector."""
    scenes, features = made(features_of, trials_of, 1)
    other = replace(features, det_score=scale(features.det_score).astype(np.float32))
    assert asdict(score_coco(scenes, other)) == pytest.approx(asdict(score_coco(scenes, features)))


def test_nobody_seen_and_pictures_nobody_looked_at(features_of, trials_of) -> None:
    scene = Scene("a", boxes=[[0, 0, 20, 40]], people=[0])
    features = features_of(["a"], [[]], trials_of(["a"], [], []), np.zeros((0, 1)))
    assert score_coco([scene], features).ap == 0.0
    with pytest.raises(DatasetError, match="nothing of b"):
        score_coco([Scene("b")], features)


def test_the_library_says_nothing(features_of, trials_of, capfd, caplog) -> None:
    with caplog.at_level(logging.INFO):
        score_coco(*made(features_of, trials_of, 0))
    assert capfd.readouterr() == ("", "")
    assert caplog.text == ""
