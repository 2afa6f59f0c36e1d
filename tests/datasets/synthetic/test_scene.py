"""One picture: who hides whom, and boxes from what was drawn."""

from __future__ import annotations

import numpy as np
import pytest

from personsearch.datasets.synthetic.photo import Tiles, cut_tile
from personsearch.datasets.synthetic.plan import plan_split
from personsearch.datasets.synthetic.render import Layer
from personsearch.datasets.synthetic.scene import compose, make_shot, whole_box
from personsearch.datasets.synthetic.settings import SyntheticSettings


def block(left: int, top: int, width: int, height: int, distance: float, grey: float = 0.5) -> Layer:
    return Layer(
        corner=(left, top),
        colour=np.full((height, width, 3), grey, np.float32),
        coverage=np.ones((height, width), np.float32),
        distance=distance,
    )


def test_visible_shares_by_hand() -> None:
    image = np.zeros((50, 50, 3), np.float32)
    layers = [
        (block(10, 10, 10, 20, distance=5, grey=0.2), 0),  # 4 of its 10 columns behind person 1
        (block(16, 5, 10, 40, distance=3, grey=0.4), 1),  # in front of all but the thing
        (block(40, 0, 20, 10, distance=9, grey=0.6), 2),  # half outside the picture
        (block(16, 25, 10, 100, distance=2, grey=0.8), -2),  # a thing: hides the lower half of person 1
    ]
    assert compose(image, layers, 4) == pytest.approx([0.6, 0.5, 0.5, 0.0])
    assert image[15, 12, 0] == pytest.approx(0.2)
    assert image[15, 18, 0] == pytest.approx(0.4)
    assert image[30, 18, 0] == pytest.approx(0.8)


def test_half_covered_pixels_belong_to_nobody_new() -> None:
    image = np.zeros((4, 4, 3), np.float32)
    faint = block(0, 0, 4, 4, distance=1)
    thin = Layer(corner=(0, 0), colour=faint.colour, coverage=faint.coverage * 0.4, distance=1)
    assert compose(image, [(block(0, 0, 4, 4, distance=2), 0), (thin, 1)], 2)[0] == 1


def test_whole_boxes_stay_in_the_picture() -> None:
    assert whole_box(np.array([600.3, 100.0, 700.9, 481.0]), (640, 480)).tolist() == [600, 100, 640, 480]


@pytest.mark.parametrize("number", [0, 3])
def test_a_shot_shows_its_cast_and_is_the_same_again(
    small: SyntheticSettings, tiles: Tiles, number: int
) -> None:
    cast = plan_split(small, "test")[number]
    shot = make_shot(small, "test", number, cast, tiles)
    again = make_shot(small, "test", number, cast, tiles)
    np.testing.assert_array_equal(shot.pixels, again.pixels)
    assert shot.pixels.shape == (150, 200, 3)
    assert shot.pixels.std() > 15
    assert sorted(p for p in shot.people.tolist() if p >= 0) == sorted(cast.people)
    width, rows = small.size
    assert (shot.boxes >= 0).all()
    assert (shot.boxes[:, 2:] <= (width, rows)).all()
    assert (shot.boxes[:, 3] - shot.boxes[:, 1] >= small.smallest).all()
    assert ((shot.visible >= 0.1) & (shot.visible <= 1)).all()


def test_tiles_reach_over_large_pictures() -> None:
    tile = np.arange(12).reshape(3, 4)
    assert cut_tile(tile, 7, 9, np.random.default_rng(0)).shape == (7, 9)
    assert cut_tile(tile, 2, 2, np.random.default_rng(0)).shape == (2, 2)
