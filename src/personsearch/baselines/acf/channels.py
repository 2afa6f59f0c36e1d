"""Ten numbers for every 4 x 4 pixels: colour, how much changes there, and in which direction.

Colours are CIE LUV; the gradient is that of whichever of the three changes most, divided by
its mean in the neighbourhood; six orientations share it out. OpenCV does the standard steps.
"""

from __future__ import annotations

import cv2
import numpy as np

from personsearch.baselines.acf.settings import CELL
from personsearch.types import Array

COLOURS, ORIENTATIONS = 3, 6
CHANNELS = COLOURS + 1 + ORIENTATIONS
GAINS = np.array([255] * COLOURS + [80] * (1 + ORIENTATIONS), np.float64)
"""Channel value to the 8 bits that trees compare; gradients over 3.2 times what is around are alike."""

NORM_RADIUS, NORM_CONSTANT = 5, 0.005
HALO = 8
"""Rows by which neighbouring bands overlap: smoothing 1, gradient 1, normalisation 5, up to whole cells."""
BAND = 1 << 18
"""Pixels that are worked on at once: what is needed at full resolution stays small for any picture."""

_SMOOTHING = np.array([1, 2, 1], np.float32) / 4
_TRIANGLE = np.concatenate([np.arange(1, 7), np.arange(5, 0, -1)]).astype(np.float32) / 36
_LUV_UNITS = np.array([100, 354, 262], np.float32) / 255 / 270
"""8-bit L, u, v to steps of equal size, as the paper's tools scale them."""


def aggregated_channels(pixels: Array, band: int = BAND) -> Array:
    """The ten channels of a picture, averaged over cells of 4 x 4 pixels.

    Args:
        pixels: (h, w, 3) uint8 RGB; h and w multiples of 4.
        band: pixels worked on at once; the values do not depend on it.

    Returns:
        (10, h / 4, w / 4) float32: L, u and v in [0, 1]; the normalised gradient magnitude, 1 where as
        much changes as around, less where little does; and its six shares by orientation, 0, 30,
        ... 150 degrees, which sum to it.

    Source: Dollár et al. (TPAMI 2014), section 6.1.

    >>> ramp = np.repeat(np.arange(0, 160, 5, dtype=np.uint8), 3).reshape(1, 32, 3).repeat(32, axis=0)
    >>> centre = aggregated_channels(ramp)[:, 4, 4]
    >>> bool(0.5 < centre[3] < 0.7), int(centre[4:].argmax())  # a gentle slope, along x
    (True, 0)
    """
    height, width = pixels.shape[:2]
    if height % CELL or width % CELL or not height or not width:
        raise ValueError(
            f"a picture of whole cells has sides that are multiples of {CELL}, got {pixels.shape}"
        )
    rows = max(band // width // CELL, 1) * CELL
    found = np.empty((CHANNELS, height // CELL, width // CELL), np.float32)
    for top in range(0, height, rows):
        bottom = min(top + rows, height)
        above, below = max(top - HALO, 0), min(bottom + HALO, height)
        channels = _band(np.ascontiguousarray(pixels[above:below]))
        start = (top - above) // CELL
        found[:, top // CELL : bottom // CELL] = channels[:, start : start + (bottom - top) // CELL]
    return found


def smoothed(plane: Array) -> Array:
    """``plane`` smoothed by [1 2 1] / 4 in both directions, its border repeated outwards."""
    result: Array = cv2.sepFilter2D(plane, -1, _SMOOTHING, _SMOOTHING, borderType=cv2.BORDER_REPLICATE)
    return result


def _band(pixels: Array) -> Array:
    """(10, h / 4, w / 4) channels of ``pixels``; the outer 7 rows lack what lies beyond."""
    colours = smoothed(cv2.cvtColor(pixels, cv2.COLOR_RGB2LUV).astype(np.float32))
    magnitude, orientation = gradient(colours * _LUV_UNITS)
    around: Array = cv2.sepFilter2D(magnitude, -1, _TRIANGLE, _TRIANGLE, borderType=cv2.BORDER_REPLICATE)
    around += NORM_CONSTANT
    magnitude /= around
    planes = [*cv2.split(colours / np.float32(255)), magnitude]
    shares = orientation_shares(magnitude, orientation)
    size = (pixels.shape[1] // CELL, pixels.shape[0] // CELL)
    return np.stack([cv2.resize(plane, size, interpolation=cv2.INTER_AREA) for plane in (*planes, *shares)])


def gradient(colours: Array) -> tuple[Array, Array]:
    """Magnitude and orientation of whichever colour changes most, pixel by pixel.

    Args:
        colours: (h, w, 3) float32.

    Returns:
        (h, w) float32 each: half the central difference's length, and where it points to, in
        units of 30 degrees, in [0, 6): light to dark counts as dark to light.

    >>> step = np.zeros((5, 5, 3), np.float32)
    >>> step[:, 3:, 1] = 1
    >>> magnitude, orientation = gradient(step)
    >>> magnitude[2].tolist(), orientation[2, 2:4].tolist()
    ([0.0, 0.0, 0.5, 0.5, 0.0], [0.0, 0.0])
    """
    across = cv2.split(cv2.Sobel(colours, -1, 1, 0, ksize=1, scale=0.5, borderType=cv2.BORDER_REPLICATE))
    down = cv2.split(cv2.Sobel(colours, -1, 0, 1, ksize=1, scale=0.5, borderType=cv2.BORDER_REPLICATE))
    x, y = across[0].copy(), down[0].copy()
    most = x * x + y * y
    for other_x, other_y in zip(across[1:], down[1:], strict=True):
        squared = other_x * other_x + other_y * other_y
        more = squared > most
        for kept, other in ((x, other_x), (y, other_y), (most, squared)):
            np.copyto(kept, other, where=more)
    orientation: Array = cv2.phase(x, y)
    orientation *= np.float32(ORIENTATIONS / np.pi)
    for _ in range(2):  # phase rounds: what is almost the whole turn may come out as all of it
        np.subtract(orientation, ORIENTATIONS, out=orientation, where=orientation >= ORIENTATIONS)
    return np.sqrt(most, out=most), orientation


def orientation_shares(magnitude: Array, orientation: Array) -> list[Array]:
    """``magnitude`` shared out between the two nearest of the six orientations, which sum to it.

    >>> shares = orientation_shares(np.float32([[4.0]]), np.float32([[5.25]]))  # 157.5 degrees
    >>> [float(share[0, 0]) for share in shares]  # three quarters to 150, one to 180, which is 0
    [1.0, 0.0, 0.0, 0.0, 0.0, 3.0]
    """
    shares = []
    for bin_ in range(ORIENTATIONS):
        share = np.subtract(orientation, np.float32(bin_))
        if bin_ == 0:  # 0 degrees are 180, too
            np.minimum(share, ORIENTATIONS - share, out=share)
        np.abs(share, out=share)
        np.subtract(1, share, out=share)
        np.maximum(share, 0, out=share)
        share *= magnitude
        shares.append(share)
    return shares
