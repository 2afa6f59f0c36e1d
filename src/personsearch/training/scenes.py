"""Stage 2's data: whole scenes with everybody in them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from torch import Tensor

from personsearch import images
from personsearch.boxes import clip
from personsearch.errors import DatasetError
from personsearch.model.inputs import box_factors, input_scale, padded_batch, resized
from personsearch.model.presets import InputSettings
from personsearch.training.augment import Cover, drawn_light, lit, mirrored_boxes
from personsearch.training.order import LikeShapes, chance, samples_of
from personsearch.training.settings import AugmentSettings
from personsearch.types import UNLABELLED, Array, Scene


class SceneBatch(NamedTuple):
    """One step of stage 2.

    Attributes:
        images: (b, 3, h, w) uint8, padded to a common size.
        sizes: (height, width) of each picture without padding.
        boxes: per picture (n, 4) float32, input pixels.
        people: per picture (n,) int64.
        ignored: per picture (m, 4) float32: what is in there is neither a person nor background.
    """

    images: Tensor
    sizes: list[tuple[int, int]]
    boxes: list[Array]
    people: list[Array]
    ignored: list[Array]


class _Variation(NamedTuple):
    """What chance decided about one scene; (n, 7) ``covers`` are shares of each box, see :func:`_cover`."""

    flip: bool
    light: Array | None
    covers: Array | None


class SceneBatches:
    """Step -> batch of scenes; a map-style data set for torch's loader, one item a step."""

    def __init__(
        self,
        scenes: Sequence[Scene],
        settings: InputSettings,
        augment: AugmentSettings,
        *,
        batch: int,
        seed: int,
        like_shapes: bool = False,
    ) -> None:
        self.scenes = [scene for scene in scenes if not np.all(scene.ignore)]
        if not self.scenes:
            raise DatasetError("the training scenes show nobody", hint="check the annotation files")
        self.settings, self.augment = settings, augment
        self.batch, self.seed = batch, seed
        self.alike = None
        if like_shapes:
            shapes = np.array([_shape(scene) for scene in self.scenes])
            self.alike = LikeShapes(shapes, batch=batch, seed=seed, stage=2)

    def __getitem__(self, step: int) -> SceneBatch:
        return self.share(step, 0, 1)

    def _chosen(self, step: int) -> list[int]:
        if self.alike is not None:
            return self.alike(step)
        return samples_of(step, count=len(self.scenes), batch=self.batch, seed=self.seed, stage=2)

    def share(self, step: int, index: int, count: int) -> SceneBatch:
        """Every ``count``-th scene of the step's batch from ``index`` on, padded to the largest of them."""
        rng = chance(self.seed, 2, step)
        chosen = self._chosen(step)
        # One factor for the whole batch: pictures of different sizes would pad each other.
        factor = rng.uniform(*self.augment.scale)
        varied = [self._drawn(i, rng) for i in chosen]
        mine = list(zip(chosen, varied, strict=True))[index::count]
        pixels, boxes, people, ignored = zip(*(self._picture(i, factor, v) for i, v in mine), strict=True)
        batch, sizes = padded_batch(list(pixels), self.settings.multiple)
        return SceneBatch(batch, sizes, list(boxes), list(people), list(ignored))

    def _drawn(self, index: int, rng: np.random.Generator) -> _Variation:
        flip = bool(rng.random() < self.augment.flip)
        light = drawn_light(self.augment, rng)
        covers = rng.random((len(self.scenes[index]), 7)) if self.augment.cover else None
        return _Variation(flip, light, covers)

    def _picture(self, index: int, factor: float, varied: _Variation) -> tuple[Array, Array, Array, Array]:
        """Pixels, boxes and identities of the people, ignored boxes."""
        scene = self.scenes[index]
        picture = images.load(_file(scene))
        scale = input_scale(picture.size, self.settings) * factor
        pixels = resized(picture.pixels, scale)
        boxes = scene.boxes * box_factors(picture.pixels, pixels)
        # A box without area in the picture overlaps no anchor, and a proposal network that gives
        # every person their best anchors would then make people of all anchors.
        sides = np.diff(clip(boxes, pixels.shape[1::-1]).reshape(-1, 2, 2), axis=1)[:, 0]
        there, ignore = (sides >= 1).all(axis=1), np.asarray(scene.ignore)
        if varied.covers is not None:
            for i in np.flatnonzero(there & ~ignore & (varied.covers[:, 0] < self.augment.cover)):
                pixels = _cover(boxes[i], varied.covers[i], pixels).over(pixels)
        if varied.flip:
            pixels, boxes = np.ascontiguousarray(pixels[:, ::-1]), mirrored_boxes(boxes, pixels.shape[1])
        boxes = boxes.astype(np.float32)
        people = there & ~ignore
        return lit(pixels, varied.light), boxes[people], scene.people[people], boxes[there & ignore]


def _file(scene: Scene) -> Path:
    if scene.path is None:
        raise DatasetError(f"scene {scene.name} has no picture file")
    return scene.path


def _shape(scene: Scene) -> float:
    """Width over height of a scene's picture."""
    width, height = scene.size or images.read_size(_file(scene))
    return width / height


def _cover(box: Array, drawn: Array, pixels: Array) -> Cover:
    """The block over ``box`` that seven numbers in [0, 1) stand for: the first decided that there is one.

    Then: height and width, place down and across, and the row and column of its colour.
    """
    (left, top), (width, height) = box[:2], box[2:] - box[:2]
    h, w = height * (0.15 + 0.35 * drawn[1]), width * (0.4 + 0.6 * drawn[2])
    y, x = top + (height - h) * drawn[3], left - 0.2 * width + (1.2 * width - 0.8 * w) * drawn[4]
    rows, columns = pixels.shape[:2]
    block = max(0, int(x)), max(0, int(y)), max(0, int(x + w)), max(0, int(y + h))
    return Cover(block, (int(rows * drawn[5]), int(columns * drawn[6])))


def without_names(scenes: Sequence[Scene], nameless: Array) -> tuple[Scene, ...]:
    """The scenes with the identities in ``nameless`` unlabelled and the others renumbered from 0.

    The people stay where they are: they still teach the detector.

    >>> scene = Scene("a", boxes=[[0, 0, 1, 2], [0, 0, 3, 4]], people=[4, 7])
    >>> without_names([scene], np.array([4]))[0].people.tolist()
    [-1, 0]
    """
    present = np.unique(np.concatenate([s.people for s in scenes])) if scenes else np.zeros(0, np.int64)
    kept = np.setdiff1d(present[present >= 0], nameless)
    changed = []
    for scene in scenes:
        place = np.searchsorted(kept, scene.people)
        found = (
            (place < len(kept)) & (kept[np.minimum(place, len(kept) - 1)] == scene.people)
            if len(kept)
            else False
        )
        changed.append(dataclasses.replace(scene, people=np.where(found, place, UNLABELLED)))
    return tuple(changed)
