from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from personsearch.baselines.acf.channels import aggregated_channels, gradient, orientation_shares, smoothed


def random_pixels(seed: int, rows: int, columns: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (rows // 4, columns // 4, 3), dtype=np.uint8)
    return cv2.resize(coarse, (columns, rows), interpolation=cv2.INTER_LINEAR)


def test_nothing_changes() -> None:
    white = aggregated_channels(np.full((8, 12, 3), 255, np.uint8))
    assert white.shape == (10, 2, 3)
    assert white[0] == pytest.approx(np.ones((2, 3)))  # L of white is 100 of 100
    assert white[1:3] == pytest.approx(
        np.array([134 / 354, 140 / 262])[:, None, None] * np.ones((2, 3)), abs=3e-3
    )
    assert not white[3:].any()


@pytest.mark.parametrize(("angle", "bin_"), [(0, 0), (30, 1), (60, 2), (90, 3), (120, 4), (150, 5), (180, 0)])
def test_edges_fall_into_their_orientation(angle: int, bin_: int) -> None:
    y, x = np.mgrid[:32, :32] - 15.5
    along = math.cos(math.radians(angle)) * x + math.sin(math.radians(angle)) * y
    ramp = np.clip(128 + 6 * along, 0, 255).astype(np.uint8)
    shares = aggregated_channels(np.repeat(ramp[..., None], 3, 2))[4:, 3:5, 3:5].mean(axis=(1, 2))
    assert shares.argmax() == bin_
    assert shares[bin_] > 0.7 * shares.sum()


def slow_gradient(colours: np.ndarray, y: int, x: int) -> tuple[float, float]:
    rows, columns, _ = colours.shape
    best = (-1.0, 0.0)
    for colour in range(3):
        dx = (colours[y, min(x + 1, columns - 1), colour] - colours[y, max(x - 1, 0), colour]) / 2
        dy = (colours[min(y + 1, rows - 1), x, colour] - colours[max(y - 1, 0), x, colour]) / 2
        if math.hypot(dx, dy) > best[0] + 1e-9:
            best = (math.hypot(dx, dy), math.degrees(math.atan2(dy, dx)) % 180)
    return best


def slow_filter(plane: np.ndarray, weights: list[float]) -> np.ndarray:
    radius = len(weights) // 2
    rows, columns = plane.shape
    found = np.zeros_like(plane)
    for y in range(rows):
        for x in range(columns):
            for i, down in enumerate(weights):
                for j, right in enumerate(weights):
                    at = min(max(y + i - radius, 0), rows - 1), min(max(x + j - radius, 0), columns - 1)
                    found[y, x] += down * right * plane[at]
    return found


def test_as_written_out_pixel_by_pixel() -> None:
    pixels = random_pixels(5, 24, 16)
    luv = cv2.cvtColor(pixels, cv2.COLOR_RGB2LUV).astype(np.float64)
    luv = np.stack([slow_filter(luv[..., c], [0.25, 0.5, 0.25]) for c in range(3)], axis=2)
    units = luv * np.array([100, 354, 262]) / 255 / 270
    rows, columns = pixels.shape[:2]
    magnitude, degrees = np.zeros((rows, columns)), np.zeros((rows, columns))
    for y in range(rows):
        for x in range(columns):
            magnitude[y, x], degrees[y, x] = slow_gradient(units, y, x)
    triangle = [(6 - abs(i)) / 36 for i in range(-5, 6)]
    magnitude = magnitude / (slow_filter(magnitude, triangle) + 0.005)
    shares = np.zeros((6, rows, columns))
    for y in range(rows):
        for x in range(columns):
            low = int(degrees[y, x] // 30)
            over = degrees[y, x] / 30 - low
            shares[low % 6, y, x] += (1 - over) * magnitude[y, x]
            shares[(low + 1) % 6, y, x] += over * magnitude[y, x]
    planes = np.concatenate([luv.transpose(2, 0, 1) / 255, magnitude[None], shares])
    cells = planes.reshape(10, rows // 4, 4, columns // 4, 4).mean(axis=(2, 4))
    found = aggregated_channels(pixels)
    assert found[:4] == pytest.approx(cells[:4], abs=1e-3)
    assert found[4:] == pytest.approx(cells[4:], abs=0.02)  # OpenCV's angles are good to 0.3 degrees


@given(st.integers(0, 1000), st.integers(2, 9), st.integers(1, 6), st.integers(1, 600))
@settings(max_examples=40, deadline=None)
def test_bands_change_nothing(seed: int, rows: int, columns: int, band: int) -> None:
    pixels = random_pixels(seed, 4 * rows, 4 * columns)
    assert np.array_equal(aggregated_channels(pixels, band), aggregated_channels(pixels, 1 << 30))


@given(st.integers(0, 1000), st.integers(1, 6), st.integers(1, 6))
@settings(max_examples=30, deadline=None)
def test_orientations_share_the_magnitude_and_follow_a_mirror(seed: int, rows: int, columns: int) -> None:
    pixels = random_pixels(seed, 4 * rows, 4 * columns)
    found = aggregated_channels(pixels)
    assert found[4:].sum(axis=0) == pytest.approx(found[3], abs=1e-4)
    assert (found >= 0).all()
    mirrored = aggregated_channels(np.ascontiguousarray(pixels[:, ::-1]))[..., ::-1]
    assert mirrored[:4] == pytest.approx(found[:4], abs=1e-4)
    assert mirrored[[4, 9, 8, 7, 6, 5]] == pytest.approx(found[4:], abs=0.05)


def test_the_strongest_colour_decides() -> None:
    colours = np.zeros((3, 3, 3), np.float32)
    colours[:, 2, 0] = 1  # across, weak
    colours[2, :, 2] = 4  # down, strong
    magnitude, orientation = gradient(colours)
    assert magnitude[1, 1] == 2
    assert orientation[1, 1] == pytest.approx(3, abs=0.01)


def test_shares_at_the_turn() -> None:
    (*_, last), first = (shares := orientation_shares(np.float32([[2.0]]), np.float32([[5.5]]))), shares[0]
    assert (first[0, 0], last[0, 0]) == (1, 1)


def test_smoothing_by_hand() -> None:
    plane = np.zeros((3, 3), np.float32)
    plane[1, 1] = 16
    assert smoothed(plane).tolist() == [[1, 2, 1], [2, 4, 2], [1, 2, 1]]


def test_sides_must_be_whole_cells() -> None:
    with pytest.raises(ValueError, match="multiples of 4"):
        aggregated_channels(np.zeros((10, 8, 3), np.uint8))
