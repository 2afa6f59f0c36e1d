"""Identities held out of training."""

from __future__ import annotations

import numpy as np
import pytest

from personsearch.ranking.calibration import fit_calibration
from personsearch.training.validation import calibrate, choose_validation
from personsearch.types import Scene


def crowd(*pictures: list[int]) -> list[Scene]:
    return [
        Scene(str(i), path=None, boxes=[[j, 0, j + 1, 2] for j in range(len(p))], people=p)
        for i, p in enumerate(pictures)
    ]


MANY = crowd(list(range(20)), list(range(20)), [-1, -1, 30], [40, 40])


def test_only_people_in_at_least_two_pictures_can_be_held_out() -> None:
    """30 was seen once; 40 twice, but in one picture: no pair across pictures, and -1 is nobody."""
    for seed in range(20):
        chosen = choose_validation(MANY, 4, seed)
        assert len(chosen) == 4
        assert len(set(chosen.tolist())) == 4
        assert (np.diff(chosen) > 0).all()
        assert set(chosen.tolist()) <= set(range(20))


def test_the_seed_decides() -> None:
    assert choose_validation(MANY, 4, 1).tolist() == choose_validation(MANY, 4, 1).tolist()
    assert len({tuple(choose_validation(MANY, 4, seed)) for seed in range(8)}) > 4


def test_a_small_set_keeps_most_of_its_people_for_training() -> None:
    """30 asked for of 20: somebody must be left to train on."""
    assert len(choose_validation(MANY, 30, 0)) <= 22 // 2
    assert len(choose_validation(MANY, 0, 0)) == 0
    assert len(choose_validation([], 3, 0)) == 0
    assert len(choose_validation(crowd([1, 2], [1, 2]), 30, 0)) == 0
    assert len(choose_validation(MANY, 1, 0)) == 0  # one person alone makes no pair of two people


class Known:
    """Embeds a box as the identity written into its left side."""

    fingerprint, dim, similarity = "f", 2, "euclidean"

    def embed(self, picture, boxes):
        angle = np.asarray(boxes)[:, 0] / 10
        return np.stack([np.cos(angle), np.sin(angle)], axis=1).astype(np.float32)


@pytest.fixture
def pictures(tmp_path):
    """Three pictures; the left side of a box says who it is, give or take a little."""
    import cv2

    made = []
    for i, people in enumerate(([1, 2, 5], [1, 2, -1], [2, 3, 1])):
        cv2.imwrite(str(tmp_path / f"{i}.png"), np.zeros((30, 90, 3), np.uint8))
        boxes = [[10 * p + i if p > 0 else 70, 0, 80, 20] for p in people]
        made.append(Scene(str(i), path=tmp_path / f"{i}.png", boxes=boxes, people=people))
    return made


def test_pairs_worked_by_hand(pictures) -> None:
    """Held out: 1 and 2, three pictures each. Across pictures: 3 right pairs each, and 6 wrong ones.

    The two of one picture are left out: they are always two people.
    """
    curve = calibrate(Known(), pictures, np.array([1, 2]))
    assert (curve.pairs, curve.prior) == (12, 0.5)
    rows = [(p, i, Known().embed(None, [[10 * p + i, 0, 80, 20]])[0]) for i in range(3) for p in (1, 2)]
    distances, same = [], []
    for a, (p, i, x) in enumerate(rows):
        for q, j, y in rows[a + 1 :]:
            if i != j:
                distances.append(-float(np.linalg.norm(x - y)))
                same.append(p == q)
    slow = fit_calibration(np.array(distances), np.array(same))
    grid = np.linspace(-2, 0, 50)
    np.testing.assert_allclose(curve.probability(grid), slow.probability(grid), atol=0.02)


def test_nobody_held_out_no_calibration(pictures) -> None:
    assert calibrate(Known(), pictures, np.zeros(0, np.int64)) is None
