"""Patches against loops over pixels, against OpenCV's own SIFT, and by hand."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from personsearch.baselines.reid import patches as module
from personsearch.baselines.reid.patches import (
    PatchSettings,
    colour_histograms,
    dense_sift,
    describe_patches,
    direction_maps,
    starts,
    windows,
)


def crop_of(seed: int, size=(128, 48)) -> np.ndarray:
    rng = np.random.default_rng(seed)
    rough = rng.integers(0, 256, (size[0] // 4, size[1] // 4, 3), dtype=np.uint8)
    return cv2.resize(rough, (size[1], size[0]), interpolation=cv2.INTER_CUBIC)


def test_the_papers_numbers():
    found = describe_patches(crop_of(0), PatchSettings())
    assert found.shape == (300, 672)
    assert found.dtype == np.float32
    assert describe_patches(crop_of(0), PatchSettings(step=5)).shape == (24 * 8, 672)
    # nine histograms and three SIFT vectors, each of length 1
    for part in (*np.split(found[:, :288], 9, axis=1), *np.split(found[:, 288:], 3, axis=1)):
        np.testing.assert_allclose(np.linalg.norm(part, axis=1), 1, rtol=1e-5)


def test_one_colour_is_one_bin_of_each_channel_and_no_gradient():
    crop = np.full((128, 48, 3), 255, np.uint8)  # L 255, a 128, b 128 in OpenCV's 8 bits
    found = describe_patches(crop, PatchSettings())
    colours = found[:, :288].reshape(300, 3, 3, 32)
    # L: 255 * 32 // 256 = 31; a and b: (128 - 18) * 32 / 220 = 16
    assert (colours[:, :, 0, 31] == 1).all()
    assert (colours[:, :, 1:, 16] == 1).all()
    assert np.count_nonzero(colours) == 300 * 9
    assert not found[:, 288:].any()


def slow_histograms(crop, settings):
    """Every pixel of every window put into its bin, one at a time."""
    rows, columns = settings.grid
    patch, bins = settings.patch, settings.bins
    result = np.zeros((rows * columns, 3, 3, bins))
    for s, scale in enumerate((0.5, 0.75, 1.0)):
        size = (round(crop.shape[1] * scale), round(crop.shape[0] * scale))
        small = crop if scale == 1 else cv2.resize(crop, size, interpolation=cv2.INTER_AREA)
        lab = cv2.cvtColor(small, cv2.COLOR_RGB2LAB)
        for p in range(rows * columns):
            corner = []
            for first, limit in zip(
                (p // columns * settings.step, p % columns * settings.step), lab.shape, strict=False
            ):
                middle = (first + patch / 2) * scale
                corner.append(int(min(max(np.floor(middle - patch / 2 + 0.5), 0), limit - patch)))
            for y in range(corner[0], corner[0] + patch):
                for x in range(corner[1], corner[1] + patch):
                    lightness, a, b = (int(v) for v in lab[y, x])
                    result[p, s, 0, lightness * bins // 256] += 1
                    for channel, value in ((1, a), (2, b)):
                        place = int(np.floor((value - 18) * bins / 220))
                        result[p, s, channel, min(max(place, 0), bins - 1)] += 1
    return result / np.linalg.norm(result, axis=-1, keepdims=True)


@pytest.mark.parametrize(("step", "bins"), [(4, 32), (5, 8)])
def test_histograms_equal_counting_pixel_by_pixel(step, bins):
    settings_ = PatchSettings(crop=(32, 24), step=step, bins=bins)
    crop = crop_of(3, (32, 24))
    np.testing.assert_allclose(
        colour_histograms(crop, settings_), slow_histograms(crop, settings_), atol=1e-6
    )


def test_a_window_at_half_scale_shows_the_same_middle():
    at = windows(128, 10, 4, 0.5, 64)
    middles = (at * (np.arange(64) + 0.5)).sum(axis=1) / at.sum(axis=1)
    wanted = (starts(128, 10, 4) + 5) / 2
    inner = (wanted > 5.5) & (wanted < 58.5)
    assert inner.sum() > 20
    assert np.abs(middles - wanted)[inner].max() <= 0.5
    assert (at.sum(axis=1) == 10).all()


def slow_sift(channel, settings, blurred=False):
    """Lowe's descriptor patch by patch and pixel by pixel."""
    cell = settings.patch / 4
    if not blurred:
        channel = cv2.GaussianBlur(channel, (0, 0), np.sqrt((cell / 3) ** 2 - 0.25))
    height, width = channel.shape
    rows, columns = settings.grid
    found = np.zeros((rows * columns, 4, 4, 8))
    for p in range(rows * columns):
        middle_y = p // columns * settings.step + (settings.patch - 1) / 2
        middle_x = p % columns * settings.step + (settings.patch - 1) / 2
        for y in range(height):
            for x in range(width):
                v, u = (y - middle_y) / cell, (x - middle_x) / cell
                if abs(v) >= 2.5 or abs(u) >= 2.5:
                    continue
                dx = channel[y, min(x + 1, width - 1)] - channel[y, max(x - 1, 0)]
                dy = channel[max(y - 1, 0), x] - channel[min(y + 1, height - 1), x]
                turn = (np.arctan2(dy, dx) / (2 * np.pi) * 8) % 8
                weight = np.hypot(dx, dy) * np.exp(-(v * v + u * u) / 8)
                for r in range(4):
                    for c in range(4):
                        share = max(0, 1 - abs(v - (r - 1.5))) * max(0, 1 - abs(u - (c - 1.5)))
                        for o in range(8):
                            apart = min(abs(turn - o), 8 - abs(turn - o))
                            found[p, r, c, o] += weight * share * max(0, 1 - apart)
    found = found.reshape(rows * columns, -1)
    found /= np.linalg.norm(found, axis=1, keepdims=True)
    found = np.minimum(found, 0.2)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def test_sift_equals_the_loop_over_pixels():
    settings_ = PatchSettings(crop=(24, 20), step=6)
    channel = crop_of(5, (24, 20))[..., 1].astype(np.float32)
    np.testing.assert_allclose(dense_sift(channel, settings_), slow_sift(channel, settings_), atol=2e-5)


def test_sift_equals_opencvs_inside_the_crop(monkeypatch):
    # OpenCV places descriptors on whole pixels (so a patch of 11), blurs to 1.6 itself, takes cells of
    # 1.5 keypoint sizes and rounds to 1/512. It leaves out the outermost pixels: compared away from there.
    settings_ = PatchSettings(crop=(128, 48), patch=11, step=4)
    crop = cv2.cvtColor(crop_of(9), cv2.COLOR_RGB2GRAY)
    rows, columns = (starts(side, 11, 4) + 5 for side in settings_.crop)
    points = [(x, y) for y in rows if 13 < y < 114 for x in columns if 13 < x < 34]
    keypoints = [cv2.KeyPoint(float(x), float(y), 11 / 4 / 1.5, 0, 1, 0) for x, y in points]
    _, theirs = cv2.SIFT_create(enable_precise_upscale=True).compute(crop, keypoints)
    monkeypatch.setattr(module, "BLUR_OF_CELL", 1.6 / (11 / 4))
    mine = dense_sift(crop.astype(np.float32), settings_).reshape(len(rows), len(columns), 128)
    inside = [mine[np.flatnonzero(rows == y)[0], np.flatnonzero(columns == x)[0]] for x, y in points]
    assert len(points) > 50
    theirs = theirs / np.linalg.norm(theirs, axis=1, keepdims=True)
    alike = (np.array(inside) * theirs).sum(axis=1)
    assert alike.min() > 0.995


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_a_mirrored_channel_mirrors_cells_and_directions(seed):
    # 48 - 10 is no multiple of 4, so the grid is not symmetric: 50 pixels are.
    settings_ = PatchSettings(crop=(30, 50))
    channel = np.random.default_rng(seed).uniform(0, 255, (30, 50)).astype(np.float32)
    rows, columns = settings_.grid
    once = dense_sift(channel, settings_).reshape(rows, columns, 4, 4, 8)
    mirrored = dense_sift(channel[:, ::-1].copy(), settings_).reshape(rows, columns, 4, 4, 8)
    turned = mirrored[:, ::-1, :, ::-1][..., [4, 3, 2, 1, 0, 7, 6, 5]]
    np.testing.assert_allclose(once, turned, atol=1e-4)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.2, 3), st.floats(-50, 50))
def test_brightness_and_contrast_of_a_channel_do_not_matter(seed, factor, offset):
    settings_ = PatchSettings(crop=(24, 24))
    channel = np.random.default_rng(seed).uniform(0, 255, (24, 24)).astype(np.float32)
    changed = (channel * np.float32(factor) + np.float32(offset)).astype(np.float32)
    np.testing.assert_allclose(dense_sift(changed, settings_), dense_sift(channel, settings_), atol=1e-3)


def test_directions_by_hand():
    rising = np.repeat(np.arange(6, dtype=np.float32)[::-1, None], 6, axis=1)  # brighter upwards
    maps = direction_maps(rising)
    assert maps[2, 2, 2] == pytest.approx(2)
    assert maps[:, 2, 2].sum() == pytest.approx(2)
    falling = direction_maps(np.tile(-np.arange(6, dtype=np.float32), (6, 1)))
    assert falling[4, 3, 3] == pytest.approx(2)
    # 22.5 degrees lie half way between directions 0 and 1
    x, y = np.meshgrid(np.arange(6), np.arange(6))
    slope = direction_maps((np.cos(np.pi / 8) * x - np.sin(np.pi / 8) * y).astype(np.float32))
    np.testing.assert_allclose(slope[:2, 3, 3], [1, 1], atol=1e-5)


def test_a_crop_of_another_size_is_a_mistake():
    with pytest.raises(ValueError, match="a crop is"):
        describe_patches(crop_of(0, (64, 32)), PatchSettings())
