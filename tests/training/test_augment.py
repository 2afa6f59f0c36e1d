"""Variations of pictures: what they do by hand, and that boxes stay on their people."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from personsearch.training.augment import covered, mirrored_boxes, relit
from personsearch.training.settings import AugmentSettings


def test_a_mirrored_box_worked_by_hand() -> None:
    assert mirrored_boxes(np.array([[1.0, 2, 4, 9], [0, 0, 10, 5]]), 10).tolist() == [
        [6, 2, 9, 9],
        [0, 0, 10, 5],
    ]


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 99), st.integers(5, 60))
def test_mirrored_twice_is_where_it_was(seed: int, width: int) -> None:
    rng = np.random.default_rng(seed)
    corners = rng.uniform(0, width, (4, 2, 2))
    boxes = np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)
    once = mirrored_boxes(boxes, width)
    assert (once[:, 2] >= once[:, 0]).all()
    np.testing.assert_allclose(mirrored_boxes(once, width), boxes)


def test_a_mirrored_box_shows_the_mirrored_pixels() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (20, 31, 3), dtype=np.uint8)
    x1, y1, x2, y2 = 3, 4, 12, 17
    m1, n1, m2, n2 = mirrored_boxes(np.array([[x1, y1, x2, y2]]), 31)[0]
    assert (pixels[:, ::-1][n1:n2, m1:m2] == pixels[y1:y2, x1:x2][:, ::-1]).all()


def test_no_light_is_no_change() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (4, 5, 3), dtype=np.uint8)
    assert relit(pixels, AugmentSettings(), np.random.default_rng(0)) is pixels


class Fixed:
    """Chance that always gives the highest it may."""

    def uniform(self, low, high, size=None):
        return high if size is None else np.full(size, high)


def test_light_worked_by_hand() -> None:
    """Gain 1.2: 100 becomes 120, 250 stays at 255. Gamma e^log2: (127.5/255)^2 of 255 is 64."""
    grey = np.array([[[100, 250, 0]]], np.uint8)
    assert relit(grey, AugmentSettings(gain=0.2), Fixed()).tolist() == [[[120, 255, 0]]]
    assert relit(np.full((1, 1, 3), 128, np.uint8), AugmentSettings(gamma=float(np.log(2))), Fixed())[
        0, 0
    ].tolist() == [64, 64, 64]


def test_a_cast_is_each_channels_own() -> None:
    grey = np.full((3, 3, 3), 100, np.uint8)
    changed = relit(grey, AugmentSettings(cast=0.3), np.random.default_rng(2))
    assert len(set(changed[0, 0].tolist())) == 3
    assert (changed == changed[0, 0]).all()
    assert (grey == 100).all()
    assert (np.abs(changed.astype(int) - 100) <= 31).all()


@pytest.mark.parametrize("seed", range(8))
def test_a_block_covers_part_of_the_person_and_nothing_else(seed: int) -> None:
    pixels = np.zeros((60, 40, 3), np.uint8)
    pixels[:] = np.arange(60)[:, None, None] + np.arange(40)[:, None]
    box = np.array([10.0, 5, 30, 55])
    before = pixels.copy()
    after = covered(pixels, box, np.random.default_rng(seed))
    assert (pixels == before).all()
    rows, columns = np.nonzero((after != before).any(axis=2))
    assert len(rows)
    assert rows.min() >= 5
    assert rows.max() < 55
    assert rows.max() - rows.min() <= 0.5 * 50 + 1
    assert columns.min() >= 10 - 0.2 * 20 - 1
    assert columns.max() < 30 + 0.2 * 20 + 1
    assert len(np.unique(after[rows, columns], axis=0)) == 1
