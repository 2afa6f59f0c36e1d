"""Identities, poses and bodies: what makes somebody the same from picture to picture."""

from __future__ import annotations

import math

import numpy as np
import pytest

from personsearch.datasets.synthetic.appearance import draw_appearance, near_twin
from personsearch.datasets.synthetic.body import build_body
from personsearch.datasets.synthetic.camera import Camera
from personsearch.datasets.synthetic.guests import appearance_of
from personsearch.datasets.synthetic.photo import Tiles
from personsearch.datasets.synthetic.pose import draw_pose, skeleton, walking_pose
from personsearch.datasets.synthetic.render import Light, body_box, place_body, render_body
from personsearch.datasets.synthetic.settings import SyntheticSettings

CAMERA = Camera(size=(640, 480), focal=600.0, height=1.6, pitch=0.05, roll=0.0)
LIGHT = Light(
    direction=np.array([0.0, 1.0, 0.0]),
    sun=np.ones(3, np.float32) * 0.3,
    sky=np.ones(3, np.float32) * 0.6,
    bounce=np.ones(3, np.float32) * 0.4,
)


def test_an_identity_looks_the_same_every_time() -> None:
    few, many = SyntheticSettings(train_identities=5, train_scenes=9), SyntheticSettings()
    assert appearance_of(few, "train", 3) == appearance_of(many, "train", 3)
    assert appearance_of(few, "train", 3) != appearance_of(few, "train", 4)
    assert appearance_of(few, "train", 3) != appearance_of(few, "test", 3)


def test_a_near_twin_wears_the_same_garments_but_can_be_told_apart() -> None:
    for seed in range(60):
        rng = np.random.default_rng(seed)
        person = draw_appearance(rng)
        twin = near_twin(person, rng)
        assert (twin.upper, twin.lower, twin.female) == (person.upper, person.lower, person.female)
        assert np.abs(np.subtract(twin.top.first, person.top.first)).max() < 0.25
        differs = [
            np.abs(np.subtract(twin.bottom.first, person.bottom.first)).sum() > 0.4,
            twin.hair_style != person.hair_style,
            twin.bag != person.bag,
            np.abs(np.subtract(twin.shoes, person.shoes)).sum() > 0.4,
            twin.top.pattern != person.top.pattern,
        ]
        assert sum(differs) >= 2


def test_people_stand_on_the_ground_at_their_height() -> None:
    for seed in range(40):
        rng = np.random.default_rng(seed)
        person = draw_appearance(rng)
        bones = skeleton(draw_pose(rng), person.height, width=person.build**0.5, child=person.child)
        body = build_body(person, draw_pose(rng))
        up = np.broadcast_to(np.array([[[0.0, 1.0, 0.0]]]), (len(body.solids), 1, 3))
        low, high = body.solids.extents(up)
        assert -0.05 < low.min() < 0.02 * person.height
        assert 0.9 * person.height < high.max() < 1.09 * person.height
        assert np.linalg.norm(bones.shoulders[0] - bones.shoulders[1]) < 0.3 * person.height


def test_a_leg_keeps_its_length_over_the_whole_gait() -> None:
    lengths = []
    for phase in np.linspace(0, 2 * math.pi, 9):
        pose = walking_pose(phase, 1.0, np.random.default_rng(0), spread=(0.1, 0.1), head=(0, 0))
        assert min(pose.knees) >= 0
        bones = skeleton(pose, 1.75)
        lengths.append(np.linalg.norm(bones.knees - bones.ankles, axis=1))
    assert np.ptp(lengths) < 1e-9


@pytest.mark.parametrize("distance", [3.0, 7.0, 18.0])
def test_the_box_is_the_outline_of_the_drawn_body(distance: float, tiles: Tiles) -> None:
    """The box is computed from the solids; here it is compared with the pixels, at every size."""
    for seed in range(6):
        rng = np.random.default_rng(seed)
        body = build_body(draw_appearance(rng), draw_pose(rng))
        solids = place_body(body, (float(rng.uniform(-1, 1)), distance), float(rng.uniform(0, 6)))
        layer = render_body(body, solids, CAMERA, LIGHT, tiles.folds)
        rows, columns = np.nonzero(layer.coverage > 0.02)
        left, top = layer.corner
        drawn = [left + columns.min(), top + rows.min(), left + columns.max() + 1, top + rows.max() + 1]
        assert body_box(solids, CAMERA) == pytest.approx(drawn, abs=1.6)


def test_the_same_clothes_from_the_front_and_from_behind(tiles: Tiles) -> None:
    """Mean colours of two sides of one person are closer than those of two people."""

    def mean(seed: int, facing: float) -> np.ndarray:
        person = draw_appearance(np.random.default_rng(seed))
        body = build_body(person, draw_pose(np.random.default_rng(1)))
        layer = render_body(body, place_body(body, (0, 6.0), facing), CAMERA, LIGHT, tiles.folds)
        rows = len(layer.coverage)
        bands = [slice(rows // 4, rows // 2), slice(rows // 2, rows)]
        return np.concatenate([np.average(layer.colour[b], axis=(0, 1), weights=None) for b in bands])

    same = [np.abs(mean(s, 0.3) - mean(s, 3.4)).mean() for s in range(12)]
    other = [np.abs(mean(s, 0.3) - mean(s + 1, 3.4)).mean() for s in range(12)]
    assert np.mean(same) < 0.6 * np.mean(other)
