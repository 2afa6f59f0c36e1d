"""Columns of a scene, and the scene with some of its rows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from personsearch.images import read_size
from personsearch.types import Array, Scene


def ignored(scene: Scene) -> Array:
    """(n,) bool, boxes that count neither way."""
    mask: Array = np.asarray(scene.ignore, bool)
    return mask


def visible(scene: Scene) -> Array:
    """(n,) float32 visible share, NaN where unknown."""
    shares: Array = np.asarray(scene.visible, np.float32)
    return shares


def has_size(scene: Scene) -> Array:
    """(n,) bool, boxes of finite numbers with a width and a height."""
    sides = scene.boxes[:, 2:] - scene.boxes[:, :2]
    mask: Array = np.logical_and(np.isfinite(scene.boxes).all(1), (sides > 0).all(1))
    return mask


def sized(scene: Scene) -> Scene:
    """The scene with its size, read from its picture where the annotation does not say.

    Raises:
        InputError: the picture cannot be read.
    """
    if scene.size is not None or scene.path is None or not scene.path.is_file():
        return scene
    return replace(scene, size=read_size(scene.path))


def take(scene: Scene, rows: Array) -> Scene:
    """The scene with some of its boxes; the rest of each row goes with its box."""
    return replace(
        scene,
        boxes=scene.boxes[rows],
        people=scene.people[rows],
        visible=visible(scene)[rows],
        ignore=ignored(scene)[rows],
    )
