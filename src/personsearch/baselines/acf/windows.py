"""What trees learn from: people cut out of pictures, and windows in which nobody is."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from personsearch.baselines.acf.channels import CHANNELS
from personsearch.baselines.acf.pyramid import PAD, Pyramid, window_features
from personsearch.baselines.acf.settings import CELL, AcfSettings
from personsearch.boxes import area, iou
from personsearch.types import Array, Scene

SHIFT = CELL / 2
"""Pixels of the window by which later views are moved, at most: detection steps by whole cells."""


@dataclass(frozen=True, eq=False)
class Truth:
    """Who has to be found in a picture, and where nothing can be said.

    Attributes:
        wanted: (n, 4) people.
        others: (m, 4) people who are too low or too hidden: neither sought nor background.
        ignored: (k, 4) regions of which the annotation says nothing.
    """

    wanted: Array
    others: Array
    ignored: Array


def truth_of(scene: Scene, settings: AcfSettings) -> Truth:
    """The people of ``scene`` by what training makes of them; who has no known visible share can be seen."""
    sides = scene.boxes[:, 2:] - scene.boxes[:, :2]
    seen = ~(np.asarray(scene.visible) < settings.least_visible)
    ignored = np.asarray(scene.ignore)
    wanted = ~ignored & seen & (sides[:, 1] >= settings.min_height) & (sides[:, 0] > 0)
    return Truth(scene.boxes[wanted], scene.boxes[~ignored & ~wanted], scene.boxes[ignored])


def covered(boxes: Array, regions: Array) -> Array:
    """(n,) largest share of each of ``boxes`` (n, 4) that lies in one of ``regions`` (m, 4).

    >>> covered(np.array([[0, 0, 10, 10.0]]), np.array([[5, 0, 90, 90.0], [0, 8, 90, 90]])).tolist()
    [0.5]
    """
    if not len(regions):
        return np.zeros(len(boxes))
    low = np.maximum(boxes[:, None, :2], regions[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], regions[None, :, 2:])
    shared = np.maximum(high - low, 0).prod(axis=2).max(axis=1)
    found: Array = shared / np.maximum(area(boxes), 1e-9)
    return found


def is_background(boxes: Array, truth: Truth, most: float) -> Array:
    """(n,) bool: nobody annotated overlaps the box by more than ``most``, and no more of it is ignored.

    >>> truth = Truth(np.array([[0, 0, 10, 20.0]]), np.zeros((0, 4)), np.array([[50, 0, 90, 90.0]]))
    >>> is_background(np.array([[0, 0, 10, 18.0], [20, 0, 30, 20], [60, 0, 70, 20]]), truth, 0.1).tolist()
    [False, True, False]
    """
    people = np.concatenate([truth.wanted, truth.others])
    overlap = iou(boxes, people).max(axis=1, initial=0.0)
    found: Array = (overlap <= most) & (covered(boxes, truth.ignored) <= most)
    return found


def person_windows(pixels: Array, boxes: Array, settings: AcfSettings, rng: np.random.Generator) -> Array:
    """(n * views * 2, f) uint8 features of the people in ``boxes``, each view and its mirror image.

    A person's height decides the scale; the first view has the person in the middle, the others
    are moved by up to half a cell and half a step of scale, as detection will see people.
    """
    found = [np.zeros((0, CHANNELS * settings.cells[0] * settings.cells[1]), np.uint8)]
    for left, top, right, bottom in np.asarray(boxes, np.float64).tolist():
        for view in range(settings.views):
            shift, growth = rng.uniform(-SHIFT, SHIFT, 2), rng.uniform(-0.5, 0.5) / settings.scales_per_octave
            if view == 0:
                shift, growth = np.zeros(2), 0.0
            scale = settings.person_height / (bottom - top) * 2.0**growth
            middle = np.array([left + right, top + bottom]) / 2 + shift / scale
            part = cut_window(pixels, middle, scale, settings)
            for side in (part, np.ascontiguousarray(part[:, ::-1])):
                found.append(window_features(side, settings)[None])
    return np.concatenate(found)


def cut_window(pixels: Array, middle: Array, scale: float, settings: AcfSettings) -> Array:
    """The window around ``middle`` (x, y) at ``scale``, with the cells around it that its features need.

    Beyond the picture its last pixels go on. Returns (window height + 32, window width + 32, 3).
    """
    size = np.array(settings.window) + 2 * PAD * CELL
    extent = np.maximum(np.round(size / scale), 1).astype(np.int64)
    start = np.round(middle - extent / 2).astype(np.int64)
    columns, rows = (
        np.clip(np.arange(first, first + count), 0, last - 1)
        for first, count, last in zip(start, extent, pixels.shape[1::-1], strict=True)
    )
    part = pixels[rows[:, None], columns]
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    resized: Array = cv2.resize(part, tuple(size.tolist()), interpolation=method)
    return resized


def random_background(
    pyramid: Pyramid, truth: Truth, aspect: float, count: int, settings: AcfSettings, rng: np.random.Generator
) -> Array:
    """(up to ``count``, f) uint8 features of windows drawn from all scales, in which nobody is."""
    places = pyramid.windows
    drawn = rng.choice(places, min(4 * count, len(places)), replace=False)
    boxes = pyramid.boxes(drawn, person_size(aspect, settings))
    return pyramid.features(drawn[is_background(boxes, truth, settings.negative_overlap)][:count])


def person_size(aspect: float, settings: AcfSettings) -> tuple[float, float]:
    """(width, height) in window pixels of somebody whose width is ``aspect`` of the height."""
    return aspect * settings.person_height, settings.person_height
