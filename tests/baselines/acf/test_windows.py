from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from personsearch.baselines.acf.pyramid import build_pyramid, window_features
from personsearch.baselines.acf.settings import AcfSettings
from personsearch.baselines.acf.windows import (
    Truth,
    cut_window,
    is_background,
    person_windows,
    random_background,
    truth_of,
)
from personsearch.types import Scene

SETTINGS = AcfSettings(min_height=50, least_visible=0.5)
NOBODY = np.zeros((0, 4), np.float32)


def test_who_is_sought() -> None:
    boxes = np.array([[0, 0, 20, 50], [0, 0, 20, 49], [30, 0, 50, 60], [60, 0, 80, 60], [90, 0, 99, 99.0]])
    scene = Scene(
        "s",
        boxes=boxes,
        people=np.full(5, -1),
        visible=np.array([np.nan, 1, 0.5, 0.49, 1]),
        ignore=np.array([False, False, False, False, True]),
    )
    truth = truth_of(scene, SETTINGS)
    assert truth.wanted.tolist() == boxes[[0, 2]].tolist()
    assert truth.others.tolist() == boxes[[1, 3]].tolist()
    assert truth.ignored.tolist() == boxes[[4]].tolist()


@given(st.integers(0, 10_000), st.sampled_from([0.0, 0.1, 0.5]))
@settings(max_examples=50, deadline=None)
def test_background_as_looped_over(seed: int, most: float) -> None:
    rng = np.random.default_rng(seed)

    def some(count: int) -> np.ndarray:
        low = rng.integers(0, 12, (count, 2))
        return np.concatenate([low, low + rng.integers(1, 10, (count, 2))], axis=1).astype(np.float64)

    boxes, wanted, others, ignored = (some(int(rng.integers(0, 4))) for _ in range(4))
    found = is_background(boxes, Truth(wanted, others, ignored), most)
    for box, free in zip(boxes, found, strict=True):
        size = (box[2] - box[0]) * (box[3] - box[1])
        allowed = True
        for group in (wanted, others, ignored):
            for other in group:
                w = max(min(box[2], other[2]) - max(box[0], other[0]), 0)
                h = max(min(box[3], other[3]) - max(box[1], other[1]), 0)
                union = size + (other[2] - other[0]) * (other[3] - other[1]) - w * h
                allowed &= w * h / (size if group is ignored else union) <= most + 1e-12
        assert free == allowed


def test_cut_by_hand() -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (120, 100, 3), dtype=np.uint8)
    whole = cut_window(pixels, np.array([50, 60]), 1.0, SETTINGS)  # 64 x 96 around the middle
    assert np.array_equal(whole, pixels[12:108, 18:82])
    beyond = cut_window(pixels, np.array([0, 60]), 1.0, SETTINGS)
    assert np.array_equal(beyond[:, 32:], pixels[12:108, :32])
    assert (beyond[:, :32] == pixels[12:108, :1]).all()
    half = cut_window(np.full((400, 300, 3), 7, np.uint8), np.array([150, 200]), 0.5, SETTINGS)
    assert half.shape == (96, 64, 3)
    assert (half == 7).all()


def test_views_of_a_person() -> None:
    rng = np.random.default_rng(1)
    pixels = rng.integers(0, 256, (150, 120, 3), dtype=np.uint8)
    settings_ = AcfSettings(views=3)
    found = person_windows(pixels, np.array([[40, 40, 60, 90.0]]), settings_, np.random.default_rng(0))
    assert found.shape == (6, 1280)
    part = cut_window(pixels, np.array([50, 65]), 1.0, settings_)
    assert np.array_equal(found[0], window_features(part, settings_))
    assert np.array_equal(found[1], window_features(np.ascontiguousarray(part[:, ::-1]), settings_))
    assert not np.array_equal(found[2], found[0])
    assert person_windows(pixels, NOBODY, settings_, rng).shape == (0, 1280)


def test_random_background_is_what_the_pyramid_holds_away_from_people() -> None:
    rng = np.random.default_rng(2)
    pixels = rng.integers(0, 256, (100, 160, 3), dtype=np.uint8)
    pyramid = build_pyramid(pixels, SETTINGS, 0.1)
    half = Truth(np.array([[0, 0, 80, 100.0]]), NOBODY, np.array([[80, 0, 120, 100.0]]))
    found = random_background(pyramid, half, 0.4, 30, SETTINGS, np.random.default_rng(0))
    assert 0 < len(found) <= 30
    allowed = is_background(pyramid.boxes(pyramid.windows, (20, 50)), half, 0.1)
    known = {row.tobytes() for row in pyramid.features(pyramid.windows[allowed])}
    assert all(row.tobytes() in known for row in found)
    everywhere = Truth(NOBODY, NOBODY, np.array([[-500, -500, 900, 900.0]]))
    assert not len(random_background(pyramid, everywhere, 0.4, 30, SETTINGS, rng))


def test_enough_is_enough() -> None:
    pyramid = build_pyramid(np.zeros((100, 160, 3), np.uint8), SETTINGS, 0.1)
    nobody = Truth(NOBODY, NOBODY, NOBODY)
    found = random_background(pyramid, nobody, 0.4, 7, SETTINGS, np.random.default_rng(0))
    assert len(found) == 7
