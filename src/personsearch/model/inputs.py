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
    """(b, 3, h, w) uint8 RGB to float32 with the settings' mean and deviation removed, in their order."""
    mean = torch.tensor(settings.mean, device=images.device).view(1, 3, 1, 1) * 255
    std = torch.tensor(settings.std, device=images.device).view(1, 3, 1, 1) * 255
    result = (images.float() - mean) / std
    return result.flip(1) if settings.bgr else result


def cut(
    pixels: Array, box: Array, size: tuple[int, int], *, keep_aspect: bool = False, margin: float = 0.0
) -> tuple[Array, Array]:
    """(h, w, 3) uint8 crop of one box (4,), and where the box lies in it.

    Args:
        pixels: of the picture.
        box: x1 y1 x2 y2, pixels of the picture.
        size: (height, width) of the crop.
        keep_aspect: cut a window of the crop's shape around the box; otherwise the box is
            stretched to it. What lies outside the picture repeats its border.
        margin: share of the box's height by which the window reaches beyond it above and
            below, with ``keep_aspect`` only.
    """
    out_height, out_width = size
    if keep_aspect:
        height = max((box[3] - box[1]) * (1 + 2 * margin), (box[2] - box[0]) * 1.1 * out_height / out_width)
        width = height * out_width / out_height
    else:
        height, width = box[3] - box[1], box[2] - box[0]
    left, top = (box[0] + box[2] - width) / 2, (box[1] + box[3] - height) / 2
    scale = np.array([out_width / width, out_height / height])
    # cv2.warpAffine does not average over source pixels; shrink first where it must shrink much.
    factor = min(1.0, 1.5 * float(scale.max()))
    if factor < 0.75:
        pixels = cv2.resize(pixels, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    else:
        factor = 1.0
    # OpenCV counts from pixel centres, boxes from the picture's edge: half a pixel on either side.
    shrink = scale / factor
    shift = 0.5 * shrink - 0.5 - np.array([left, top]) * scale
    matrix = np.array([[shrink[0], 0, shift[0]], [0, shrink[1], shift[1]]], np.float64)
    crop = cv2.warpAffine(
        pixels, matrix, (out_width, out_height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    inside = (box - np.array([left, top, left, top])) * np.tile(scale, 2)
    return crop, inside.astype(np.float32)


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
