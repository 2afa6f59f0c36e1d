"""Dense patches of a crop: LAB colour histograms at three scales and SIFT in three channels.

Source: R. Zhao, W. Ouyang and X. Wang, "Unsupervised Salience Learning for Person
Re-identification", CVPR 2013, section 3.1: patches of 10x10 pixels on a dense grid; 32 bins for
each of L, A and B at the scales 0.5, 0.75 and 1; SIFT of 4x4 cells and 8 directions in each of the
three channels; all L2 normalised. 3 x 3 x 32 + 3 x 128 = 672 numbers a patch.

Where the source leaves room: the window at a smaller scale is again 10x10 pixels around the same
place of the body, so it shows more of it (at 0.5 a patch of 20x20); at the border it is moved
inside. Each of the nine histograms and three SIFT vectors has length 1 of its own, so a patch is
nine parts colour and three parts gradient.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from personsearch.types import Array

SCALES = (0.5, 0.75, 1.0)
CELLS, DIRECTIONS = 4, 8
CLIP = 0.2
"""No number of a SIFT vector is larger than this share of its length (Lowe 2004, section 6.1)."""

ASSUMED_BLUR, BLUR_OF_CELL = 0.5, 1 / 3
"""A picture counts as blurred by 0.5 pixels, SIFT wants a third of a cell (Lowe 2004): the rest is added."""

_LAB_RANGES = ((0.0, 256.0), (18.0, 238.0), (18.0, 238.0))
"""Of OpenCV's 8-bit L, A and B: all lightnesses, and -110 to 110 of a and b, which holds all of sRGB."""


@dataclass(frozen=True, kw_only=True)
class PatchSettings:
    """How a crop is taken apart.

    Attributes:
        crop: (height, width) of a crop in pixels; 128x48 is what the source's VIPeR crops are.
        patch: side of a patch in pixels.
        step: pixels from one patch to the next (4; the source can also be read as 5).
        bins: of one channel's histogram.
    """

    crop: tuple[int, int] = (128, 48)
    patch: int = 10
    step: int = 4
    bins: int = 32

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of patches.

        >>> PatchSettings().grid, PatchSettings(step=5).grid
        ((30, 10), (24, 8))
        """
        rows, columns = (len(starts(side, self.patch, self.step)) for side in self.crop)
        return rows, columns

    @property
    def length(self) -> int:
        """Numbers that describe a patch.

        >>> PatchSettings().length
        672
        """
        return 3 * len(SCALES) * self.bins + 3 * CELLS * CELLS * DIRECTIONS


def starts(side: int, patch: int, step: int) -> Array:
    """First pixels of the patches along a side of ``side`` pixels; none reaches beyond it.

    >>> starts(20, 10, 4).tolist()
    [0, 4, 8]
    """
    return np.arange(0, side - patch + 1, step)


def describe_patches(crop: Array, settings: PatchSettings) -> Array:
    """(patches, 672) float32 of one crop (h, w, 3) uint8 RGB; patches row by row.

    The first 288 numbers are histograms (scale, channel, bin), the others SIFT (channel, cell row,
    cell column, direction).
    """
    if crop.shape != (*settings.crop, 3):
        raise ValueError(f"a crop is {(*settings.crop, 3)}, got {crop.shape}")
    colours = colour_histograms(crop, settings)
    lab = cv2.cvtColor(crop, cv2.COLOR_RGB2LAB).astype(np.float32)
    channels = [dense_sift(lab[..., c], settings) for c in range(3)]
    return np.concatenate([colours.reshape(len(colours), -1), *channels], axis=1)


def colour_histograms(crop: Array, settings: PatchSettings) -> Array:
    """(patches, scales, 3, bins) float32 histograms of L, A and B, each of length 1."""
    found = []
    for scale in SCALES:
        small = crop
        if scale != 1:
            size = (round(crop.shape[1] * scale), round(crop.shape[0] * scale))
            small = cv2.resize(crop, size, interpolation=cv2.INTER_AREA)
        found.append(_histograms(cv2.cvtColor(small, cv2.COLOR_RGB2LAB), scale, settings))
    counts = np.stack(found, axis=1)
    result: Array = counts / np.sqrt(np.einsum("...b,...b->...", counts, counts))[..., None]
    return result


def _histograms(lab: Array, scale: float, settings: PatchSettings) -> Array:
    """(patches, 3, bins) float32 counts of a crop that was scaled by ``scale``.

    A window is so many rows and so many columns, so all windows together are two matrix products
    with the table of which pixel is in which bin.
    """
    bins, (height, width) = settings.bins, lab.shape[:2]
    table = _bins_of(bins)
    places = np.stack([table[c][lab[..., c]] + c * bins for c in range(3)], axis=2).reshape(-1, 3)
    places += np.arange(height * width)[:, None] * (3 * bins)
    member = np.zeros((height, width * 3 * bins), np.float32)
    member.ravel()[places.ravel()] = 1
    down, across = (
        windows(before, settings.patch, settings.step, scale, after)
        for before, after in zip(settings.crop, (height, width), strict=True)
    )
    counts: Array = across @ (down @ member).reshape(len(down), width, 3 * bins)
    return counts.reshape(-1, 3, bins)


@lru_cache(maxsize=16)
def windows(side: int, patch: int, step: int, scale: float, scaled: int) -> Array:
    """(patches, scaled) float32: 1 where a pixel of the crop's scaled side is in a patch's window.

    >>> windows(8, 4, 4, 0.5, 4).tolist()  # around 1 and 3 of 4: both windows are moved inside
    [[1.0, 1.0, 1.0, 1.0], [1.0, 1.0, 1.0, 1.0]]
    """
    middle = (starts(side, patch, step) + patch / 2) * scale
    first = np.clip(np.floor(middle - patch / 2 + 0.5), 0, scaled - patch)[:, None]
    pixel = np.arange(scaled)
    members = ((pixel >= first) & (pixel < first + patch)).astype(np.float32)
    members.setflags(write=False)
    return members


@lru_cache(maxsize=4)
def _bins_of(bins: int) -> Array:
    """(3, 256) the bin of every 8-bit value of L, A and B."""
    values = np.arange(256)
    table = [np.floor((values - low) * bins / (high - low)) for low, high in _LAB_RANGES]
    result: Array = np.clip(np.stack(table), 0, bins - 1).astype(np.int64)
    return result


def dense_sift(channel: Array, settings: PatchSettings) -> Array:
    """(patches, 128) float32 SIFT vectors of one channel (h, w) float32, upright, each of length 1.

    Lowe's descriptor with its interpolation between cells and directions and its Gaussian window
    (two cells wide). Both are products of a function of y and one of x, so all patches together
    are two matrix products for each direction. A patch without any gradient is all zeros.

    Source: D. Lowe, "Distinctive Image Features from Scale-Invariant Keypoints", IJCV 2004, section 6.
    """
    cell = settings.patch / CELLS
    blur = np.sqrt(max((cell * BLUR_OF_CELL) ** 2 - ASSUMED_BLUR**2, 0.0))
    smooth = cv2.GaussianBlur(channel, (0, 0), blur) if blur > 0 else channel
    maps = direction_maps(smooth)
    down, across = (pooling(side, settings.patch, settings.step) for side in settings.crop)
    rows, columns = settings.grid
    pooled = down @ maps @ across.T
    pooled = pooled.reshape(DIRECTIONS, rows, CELLS, columns, CELLS).transpose(1, 3, 2, 4, 0)
    vectors = _unit(pooled.reshape(rows * columns, -1))
    return _unit(np.minimum(vectors, CLIP))


def direction_maps(channel: Array) -> Array:
    """(8, h, w) float32: each pixel's gradient, shared between the two directions that it lies between.

    Direction 0 is brighter to the right, 2 brighter upwards.

    >>> maps = direction_maps(np.tile(np.arange(5, dtype=np.float32), (4, 1)))
    >>> maps[:, 1, 2].tolist()
    [2.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]
    """
    slope = np.array([[-1, 0, 1]], np.float32)
    dx = cv2.filter2D(channel, cv2.CV_32F, slope, borderType=cv2.BORDER_REPLICATE)
    dy = cv2.filter2D(channel, cv2.CV_32F, -slope.T, borderType=cv2.BORDER_REPLICATE)
    strength = np.sqrt(dx * dx + dy * dy).ravel()
    place = np.arctan2(dy, dx).ravel() * (DIRECTIONS / (2 * np.pi))
    lower = np.floor(place)
    share = (place - lower).astype(np.float32)
    first = lower.astype(np.int64) % DIRECTIONS
    pixel = np.arange(channel.size)
    maps = np.zeros((DIRECTIONS, channel.size), np.float32)
    maps[first, pixel] = strength * (1 - share)
    maps[(first + 1) % DIRECTIONS, pixel] = strength * share
    return maps.reshape(DIRECTIONS, *channel.shape)


@lru_cache(maxsize=16)
def pooling(side: int, patch: int, step: int) -> Array:
    """(patches * 4, side) float32: how much each pixel along a side counts in each cell of each patch.

    A pixel between two cell centres is shared linearly; pixels count less away from the patch's
    centre, by a Gaussian of two cells.
    """
    cell = patch / CELLS
    centre = starts(side, patch, step)[:, None] + (patch - 1) / 2
    cells = centre + (np.arange(CELLS) - (CELLS - 1) / 2) * cell
    pixel = np.arange(side)
    shared = np.maximum(0, 1 - np.abs(pixel - cells[..., None]) / cell)
    window = np.exp(-0.5 * ((pixel - centre) / (cell * CELLS / 2)) ** 2)
    weights = (shared * window[:, None, :]).reshape(-1, side).astype(np.float32)
    weights.setflags(write=False)
    return weights


def _unit(vectors: Array) -> Array:
    """Rows of length 1; a row of zeros stays one."""
    lengths = np.sqrt(np.einsum("nd,nd->n", vectors, vectors))[:, None]
    result: Array = np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)
    return result
