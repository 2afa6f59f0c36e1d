"""The focal model by hand and against a slow one; the learned table's file, built tiny and damaged."""

import math

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.io import savemat

from personsearch.baselines.reid.colour_names import (
    FOCAL_LAB,
    LEVELS,
    NAMES,
    agreement,
    differences,
    focal_table,
    read_table,
)
from personsearch.errors import DatasetError, InputError

TABLE = focal_table()


@pytest.mark.parametrize(
    ("rgb", "name"),
    [
        ((10, 10, 10), "black"),
        ((250, 250, 250), "white"),
        ((122, 122, 122), "grey"),
        ((200, 20, 30), "red"),
        ((255, 20, 20), "red"),
        ((250, 120, 10), "orange"),
        ((240, 220, 40), "yellow"),
        ((30, 140, 60), "green"),
        ((50, 130, 200), "blue"),
        ((110, 60, 25), "brown"),
        ((250, 180, 190), "pink"),
        ((110, 40, 130), "purple"),
    ],
)
def test_colours_that_everybody_names_alike(rgb, name):
    assert NAMES[TABLE[rgb[0] // 8, rgb[1] // 8, rgb[2] // 8].argmax()] == name


def test_shares_add_up_and_foci_are_their_own_best_example():
    assert TABLE.shape == (32, 32, 32, 11)
    assert TABLE.dtype == np.float32
    np.testing.assert_allclose(TABLE.sum(axis=-1), 1, rtol=1e-5)
    foci = np.array(FOCAL_LAB)
    apart = differences(foci[:, None], foci[None])
    assert (apart.argmin(axis=1) == np.arange(11)).all()
    assert np.abs(np.diagonal(apart)).max() < 1e-9


def cie94(lab, standard):
    """CIE 116-1995 with the factors for textiles, term by term."""
    c1, c2 = math.hypot(*standard[1:]), math.hypot(*lab[1:])
    hue = (lab[1] - standard[1]) ** 2 + (lab[2] - standard[2]) ** 2 - (c2 - c1) ** 2
    return math.sqrt(
        ((lab[0] - standard[0]) / 2) ** 2
        + ((c2 - c1) / (1 + 0.048 * c1)) ** 2
        + max(hue, 0) / (1 + 0.014 * c1) ** 2
    )


@settings(max_examples=60, deadline=None)
@given(st.tuples(*[st.integers(0, 31)] * 3))
def test_equals_the_formula_colour_by_colour(steps):
    pixel = np.array([[[(8 * step + 3.5) / 255 for step in steps]]], np.float32)
    lab = cv2.cvtColor(pixel, cv2.COLOR_RGB2LAB)[0, 0].tolist()
    shares = [math.exp(-(cie94(lab, focus) ** 2) / (2 * 12**2)) for focus in FOCAL_LAB]
    total = sum(shares)
    if total > 1e-12:
        np.testing.assert_allclose(TABLE[steps], [share / total for share in shares], atol=1e-4)


def learned(seed=0):
    """A table that nobody could take for another: rows in its file's order, blue slowest."""
    rows = np.random.default_rng(seed).uniform(0.01, 1, (LEVELS**3, 11))
    return rows / rows.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("before", [0, 3])
def test_the_learned_table_is_read_red_fastest(tmp_path, before):
    rows = learned()
    savemat(tmp_path / "w2c.mat", {"w2c": np.hstack([np.full((LEVELS**3, before), 7.5), rows])})
    table = read_table(tmp_path / "w2c.mat")
    assert table.shape == (32, 32, 32, 11)
    for red, green, blue in ((0, 0, 0), (31, 0, 0), (3, 17, 29), (31, 31, 31)):
        np.testing.assert_allclose(table[red, green, blue], rows[red + 32 * green + 1024 * blue], rtol=1e-5)


def test_files_that_are_no_table_are_told(tmp_path):
    with pytest.raises(DatasetError, match="is missing"):
        read_table(tmp_path / "none.mat")
    savemat(tmp_path / "small.mat", {"w2c": np.ones((10, 11))})
    with pytest.raises(InputError, match="not a table of colour names"):
        read_table(tmp_path / "small.mat")
    rows = learned()
    rows[5] = 0
    savemat(tmp_path / "hole.mat", {"w2c": rows})
    with pytest.raises(InputError, match="without any name"):
        read_table(tmp_path / "hole.mat")


def test_agreement_counts_first_names():
    one, other = np.eye(11)[:4].reshape(2, 2, 11), np.eye(11)[[0, 1, 5, 3]].reshape(2, 2, 11)
    assert agreement(one, other) == 0.75
