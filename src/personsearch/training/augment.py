"""Variations of training pictures: light, mirror, cover."""

from __future__ import annotations

import numpy as np

from personsearch.training.settings import AugmentSettings
from personsearch.types import Array


def relit(pixels: Array, settings: AugmentSettings, rng: np.random.Generator) -> Array:
    """The picture under another light: one gain and gamma, and a cast of each channel's own."""
    if not (settings.gain or settings.cast or settings.gamma):
        return pixels
    gain = 1 + rng.uniform(-settings.gain, settings.gain)
    cast = 1 + rng.uniform(-settings.cast, settings.cast, 3)
    gamma = np.exp(rng.uniform(-settings.gamma, settings.gamma))
    ramp = np.linspace(0, 1, 256)[:, None] ** gamma * gain * cast
    table = np.clip(ramp * 255 + 0.5, 0, 255).astype(np.uint8)
    changed = np.empty_like(pixels)
    for channel in range(3):
        changed[..., channel] = table[pixels[..., channel], channel]
    return changed


def mirrored_boxes(boxes: Array, width: float) -> Array:
    """(n, 4) boxes in the mirror image of a picture ``width`` wide.

    >>> mirrored_boxes(np.array([[1.0, 2, 4, 9]]), 10).tolist()
    [[6.0, 2.0, 9.0, 9.0]]
    """
    return np.stack([width - boxes[:, 2], boxes[:, 1], width - boxes[:, 0], boxes[:, 3]], axis=1)


def covered(pixels: Array, box: Array, rng: np.random.Generator) -> Array:
    """The crop with a block over part of ``box`` (x1 y1 x2 y2), in the colour of some pixel of it."""
    height, width = box[3] - box[1], box[2] - box[0]
    h, w = height * rng.uniform(0.15, 0.5), width * rng.uniform(0.4, 1.0)
    y = box[1] + rng.uniform(0, height - h)
    x = box[0] + rng.uniform(-0.2 * width, width - 0.8 * w)
    changed = pixels.copy()
    colour = pixels[rng.integers(pixels.shape[0]), rng.integers(pixels.shape[1])]
    changed[int(y) : int(y + h), max(0, int(x)) : max(0, int(x + w))] = colour
    return changed
