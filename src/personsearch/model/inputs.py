"""The border between pictures and tensors: scale, normalise, pad, and back to the picture's pixels."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from torch import Tensor

from personsearch.model.presets import InputSettings
from personsearch.types import Array


def input_scale(size: tuple[int, int], settings: InputSettings) -> float:
    """By what a picture of ``size`` (width, height) is multiplied before the network sees it.

    >>> input_scale((800, 600), InputSettings()), input_scale((4000, 600), InputSettings())
    (1.0, 0.25)
    """
    short, long = min(size), max(size)
    return min(settings.short_side / short, settings.long_side / long)


def resized(pixels: Array, scale: float) -> Array:
    """(h, w, 3) uint8 scaled by ``scale``; area averaging downwards, bilinear upwards."""
    height, width = pixels.shape[:2]
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    if size == (width, height):
        return pixels
    return cv2.resize(pixels, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)


def box_factors(before: Array, after: Array) -> Array:
    """(4,) float32 by which boxes grow when the picture ``before`` becomes ``after``.

    Sides are whole pixels, so the two axes differ a little, and much in a picture 3 pixels high.

    >>> box_factors(np.zeros((4, 1000, 3)), np.zeros((3, 500, 3))).tolist()
    [0.5, 0.75, 0.5, 0.75]
    """
    (old_height, old_width), (height, width) = before.shape[:2], after.shape[:2]
    return np.tile(np.array([width / old_width, height / old_height], np.float32), 2)


def normalised(images: Tensor, settings: InputSettings) -> Tensor:
    """(b, 3, h, w) uint8 RGB to float32 with the settings' mean and deviation removed."""
    mean = torch.tensor(settings.mean, device=images.device).view(1, 3, 1, 1) * 255
    std = torch.tensor(settings.std, device=images.device).view(1, 3, 1, 1) * 255
    return (images.float() - mean) / std


def padded_batch(pictures: list[Array], multiple: int) -> tuple[Tensor, list[tuple[int, int]]]:
    """One (b, 3, h, w) uint8 tensor of pictures padded at right and bottom, and their (height, width).

    Sides become the next multiple of ``multiple`` of the largest picture's. The padding is
    each picture's mean colour, not black: a hard edge in the middle of the input looks like
    somebody's outline.
    """
    sizes = [(int(p.shape[0]), int(p.shape[1])) for p in pictures]
    height = -(-max(h for h, _ in sizes) // multiple) * multiple
    width = -(-max(w for _, w in sizes) // multiple) * multiple
    batch = np.empty((len(pictures), height, width, 3), np.uint8)
    for i, picture in enumerate(pictures):
        h, w = sizes[i]
        if (h, w) != (height, width):
            batch[i] = picture.mean(axis=(0, 1)).astype(np.uint8)
        batch[i, :h, :w] = picture
    return torch.from_numpy(batch).permute(0, 3, 1, 2), sizes
