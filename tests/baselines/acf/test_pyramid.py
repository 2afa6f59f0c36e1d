from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from personsearch.baselines.acf.channels import GAINS, aggregated_channels, smoothed
from personsearch.baselines.acf.pyramid import PAD, Pyramid, build_pyramid, estimate_power, window_features
from personsearch.baselines.acf.settings import AcfSettings

WINDOW = AcfSettings(window=(8, 16), person_height=12, scales_per_octave=4)


def fractal(seed: int, size: int = 256) -> np.ndarray:
    """Grey pixels whose detail falls with scale as it does in photographs: amplitude 1 over frequency."""
    rng = np.random.default_rng(seed)
    frequency = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None])
    frequency[0, 0] = 1
    phases = np.exp(2j * np.pi * rng.random(frequency.shape))
    values = np.fft.irfft2(phases / frequency, s=(size, size))
    grey = np.clip(128 + 40 * values / values.std(), 0, 255).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=2)


def blocks(seed: int, size: int = 256) -> np.ndarray:
    """Flat rectangles on flat ground: the smaller the picture, the more of it is edges."""
    rng = np.random.default_rng(seed)
    pixels = np.full((size, size, 3), 128, np.uint8)
    for _ in range(25):
        corner = rng.integers(0, size, 2)
        cv2.rectangle(
            pixels,
            corner.tolist(),
            (corner + rng.integers(8, 90, 2)).tolist(),
            rng.integers(0, 256, 3).tolist(),
            -1,
        )
    return pixels


def part(pyramid: Pyramid, number: int) -> np.ndarray:
    level = pyramid.levels[number]
    return pyramid.planes[:, level.top : level.top + level.rows, level.left : level.left + level.columns]


def test_scales_by_hand() -> None:
    pyramid = build_pyramid(fractal(0, 48), WINDOW, 0.1)
    assert pyramid.levels[0].scale == (1, 1)
    assert (pyramid.levels[0].rows, pyramid.levels[0].columns) == (12 + 2 * PAD, 12 + 2 * PAD)
    # a person of 48 pixels is 12 at a quarter: two octaves of four scales, and both ends
    assert len(pyramid.levels) == 9
    assert pyramid.levels[8].scale == (0.25, 0.25)
    assert [level.octave for level in pyramid.levels] == [0, 0, 0, 1, 1, 1, 1, 2, 2]
    assert len(pyramid.windows) == sum((lv.rows - 3) * (lv.columns - 1) for lv in pyramid.levels)


def test_the_finest_scale_is_the_channels_themselves() -> None:
    pixels = fractal(1, 64)
    found = part(build_pyramid(pixels, WINDOW, 0.3), 0)
    for plane, channel, gain in zip(found, aggregated_channels(pixels), GAINS, strict=True):
        whole = np.clip(np.round(smoothed(channel) * gain), 0, 255)
        inner = slice(PAD + 1, -PAD - 1)
        assert np.abs(plane[inner, inner].astype(float) - whole[1:-1, 1:-1]).max() <= 1


def test_half_the_picture_is_computed_from_half_the_picture() -> None:
    pixels = fractal(2, 128)
    pyramid = build_pyramid(pixels, WINDOW, 0.3)
    number = next(i for i, level in enumerate(pyramid.levels) if level.scale == (0.5, 0.5))
    half = build_pyramid(cv2.resize(pixels, (64, 64), interpolation=cv2.INTER_AREA), WINDOW, 0.3)
    assert np.array_equal(part(pyramid, number), part(half, 0))


def test_twice_the_picture_comes_first() -> None:
    pyramid = build_pyramid(fractal(2, 64), AcfSettings(window=(8, 16), person_height=12, octaves_up=1), 0.1)
    assert pyramid.levels[0].scale == (2, 2)
    assert pyramid.levels[0].octave == -1
    assert pyramid.levels[8].scale == (1, 1)


def test_the_approximation_against_the_exact_pyramid() -> None:
    """Between octaves channels are near those computed there; without the power law gradients are off."""
    pictures = [blocks(seed) for seed in range(3)]
    power = estimate_power(pictures)
    assert power > 0.1
    for pixels in pictures:
        exact = build_pyramid(pixels, WINDOW, power, exact=True)
        near, plain = build_pyramid(pixels, WINDOW, power), build_pyramid(pixels, WINDOW, 0.0)
        assert near.levels == exact.levels
        off, plain_off = [], []
        for number, level in enumerate(near.levels):
            wanted, found = part(exact, number).astype(float), part(near, number).astype(float)
            if level.scale == (2.0**-level.octave,) * 2:
                assert np.array_equal(found, wanted)
                continue
            if min(wanted.shape[1:]) < 24:  # a few cells say little about a mean
                continue
            assert np.abs(found[:3] - wanted[:3]).mean() < 2.5  # of 255
            assert np.abs(found[3] - wanted[3]).mean() < 0.2 * wanted[3].mean()
            inner = slice(PAD, -PAD)
            mean = wanted[3, inner, inner].mean()
            off.append(abs(found[3, inner, inner].mean() / mean - 1))
            plain_off.append(abs(part(plain, number)[3, inner, inner].mean() / mean - 1))
        assert len(off) >= 4
        assert np.mean(off) < 0.05
        assert np.mean(off) < np.mean(plain_off) / 2


def test_the_power_as_a_line_through_the_origin() -> None:
    pictures = [fractal(seed, 128) for seed in range(4)]
    steps = np.arange(1, 9) / 4
    ratios = []
    for pixels in pictures:
        means = []
        for step in (0, *steps):
            side = round(128 * 2**-step / 4) * 4
            resized = cv2.resize(pixels, (side, side), interpolation=cv2.INTER_AREA)
            means.append(float(aggregated_channels(resized)[3].mean()))
        ratios.append(np.array(means[1:]) / means[0])
    slope, *_ = np.linalg.lstsq(-steps[:, None], np.log2(np.mean(ratios, axis=0)), rcond=None)
    assert estimate_power(pictures) == pytest.approx(-slope[0], rel=1e-4)


def test_pictures_that_say_nothing_about_scale() -> None:
    flat, little = np.full((128, 128, 3), 9, np.uint8), fractal(1, 32)
    with pytest.raises(ValueError, match="no picture"):
        estimate_power([flat, little])
    told = fractal(3, 128)
    assert estimate_power([flat, told, little]) == estimate_power([told])


@given(st.integers(1, 90), st.integers(1, 130), st.integers(0, 1))
@settings(max_examples=40, deadline=None)
def test_any_size(height: int, width: int, up: int) -> None:
    """Scales do not overlap on the canvas, every window lies in one, and boxes cover the picture."""
    rng = np.random.default_rng(height * 1000 + width)
    pixels = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    shape = AcfSettings(window=(8, 16), person_height=12, scales_per_octave=4, octaves_up=up)
    pyramid = build_pyramid(pixels, shape, 0.1)
    taken = np.zeros(pyramid.planes.shape[1:], int)
    for level in pyramid.levels:
        taken[level.top : level.top + level.rows, level.left : level.left + level.columns] += 1
    assert taken.max(initial=0) <= 1
    y, x = np.divmod(pyramid.windows, pyramid.planes.shape[2])
    assert len(np.unique(pyramid.windows)) == len(pyramid.windows)
    for top, left in zip(y[::7], x[::7], strict=True):
        assert (taken[top : top + 4, left : left + 2] == 1).all()
    boxes = pyramid.boxes(pyramid.windows, (5, 12))
    assert (boxes[:, 2:] > boxes[:, :2]).all()
    if len(boxes):
        assert boxes[:, 3].max() >= height
        assert boxes[:, 2].max() >= width
        assert boxes[:, :2].min() <= 0


def test_features_and_boxes_by_hand() -> None:
    pyramid = build_pyramid(fractal(4, 64), WINDOW, 0.1)
    level = next(one for one in pyramid.levels if one.scale == (0.5, 0.5))
    place = np.array([(level.top + 6) * pyramid.planes.shape[2] + level.left + 5])
    window = pyramid.planes[:, level.top + 6 : level.top + 10, level.left + 5 : level.left + 7]
    assert pyramid.features(place)[0].tolist() == window.reshape(-1).tolist()
    # column 5 - 4 of padding + 1 = cell 2 is the middle: 8 pixels at half scale, 16 in the picture; down 32
    assert pyramid.boxes(place, (5, 12)).tolist() == [[11, 20, 21, 44]]


def test_a_cut_out_window_has_the_features_that_detection_sees() -> None:
    pixels = fractal(5, 64)
    pyramid = build_pyramid(pixels, WINDOW, 0.1)
    top, left = 20, 16  # whole cells, far from the border
    cut = pixels[top - 16 : top + 32, left - 16 : left + 24]
    place = np.array([(top // 4 + PAD) * pyramid.planes.shape[2] + left // 4 + PAD])
    found = window_features(cut, WINDOW).astype(int)
    assert np.abs(found - pyramid.features(place)[0]).max() <= 1
