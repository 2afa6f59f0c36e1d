"""Variations of training pictures: light, mirror, cover.

What chance decides is drawn apart from what it does to pixels: a process that makes its share of
a batch draws for all of it, and so sees what any other sees.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from personsearch.training.settings import AugmentSettings
from personsearch.types import Array


def drawn_light(settings: AugmentSettings, rng: np.random.Generator) -> Array | None:
    """(256, 3) what becomes of each value of each channel; None where light does not vary.

    One gain and gamma, and a cast of each channel's own: the colour of the light.
    """
    if not (settings.gain or settings.cast or settings.gamma):
        return None
    gain = 1 + rng.uniform(-settings.gain, settings.gain)
    cast = 1 + rng.uniform(-settings.cast, settings.cast, 3)
    gamma = np.exp(rng.uniform(-settings.gamma, settings.gamma))
    ramp = np.linspace(0, 1, 256)[:, None] ** gamma * gain * cast
    table: Array = np.clip(ramp * 255 + 0.5, 0, 255).astype(np.uint8)
    return table


def lit(pixels: Array, table: Array | None) -> Array:
    """The picture under the light of ``table``."""
    if table is None:
        return pixels
    return cv2.LUT(np.ascontiguousarray(pixels), table[None])


def relit(pixels: Array, settings: AugmentSettings, rng: np.random.Generator) -> Array:
    """The picture under another light."""
    return lit(pixels, drawn_light(settings, rng))


def mirrored_boxes(boxes: Array, width: float) -> Array:
    """(n, 4) boxes in the mirror image of a picture ``width`` wide.

    >>> mirrored_boxes(np.array([[1.0, 2, 4, 9]]), 10).tolist()
    [[6.0, 2.0, 9.0, 9.0]]
    """
    return np.stack([width - boxes[:, 2], boxes[:, 1], width - boxes[:, 0], boxes[:, 3]], axis=1)


class Cover(NamedTuple):
    """A block x1 y1 x2 y2 over somebody, in the colour of the pixel (row, column)."""

    block: tuple[int, int, int, int]
    colour: tuple[int, int]

    def over(self, pixels: Array) -> Array:
        """A copy of the picture with the block."""
        changed = pixels.copy()
        x1, y1, x2, y2 = self.block
        changed[y1:y2, x1:x2] = pixels[self.colour]
        return changed


def drawn_cover(box: Array, shape: tuple[int, ...], rng: np.random.Generator) -> Cover:
    """A block over part of ``box`` (x1 y1 x2 y2) in a picture of ``shape`` (rows, columns)."""
    height, width = box[3] - box[1], box[2] - box[0]
    h, w = height * rng.uniform(0.15, 0.5), width * rng.uniform(0.4, 1.0)
    y = box[1] + rng.uniform(0, height - h)
    x = box[0] + rng.uniform(-0.2 * width, width - 0.8 * w)
    colour = int(rng.integers(shape[0])), int(rng.integers(shape[1]))
    block = max(0, int(x)), max(0, int(y)), max(0, int(x + w)), max(0, int(y + h))
    return Cover(block, colour)


def covered(pixels: Array, box: Array, rng: np.random.Generator) -> Array:
    """The crop with a block over part of ``box``, in the colour of some pixel of it."""
    return drawn_cover(box, pixels.shape, rng).over(pixels)
