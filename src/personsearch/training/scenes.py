"""Stage 2's data: whole scenes with everybody in them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from torch import Tensor

from personsearch import images
from personsearch.boxes import clip
from personsearch.errors import DatasetError
from personsearch.model.inputs import box_factors, input_scale, padded_batch, resized
from personsearch.model.presets import InputSettings
from personsearch.training.augment import mirrored_boxes, relit
from personsearch.training.order import chance, samples_of
from personsearch.training.settings import AugmentSettings
from personsearch.types import UNLABELLED, Array, Scene


class SceneBatch(NamedTuple):
    """One step of stage 2.

    Attributes:
        images: (b, 3, h, w) uint8, padded to a common size.
        sizes: (height, width) of each picture without padding.
        boxes: per picture (n, 4) float32, input pixels.
        people: per picture (n,) int64.
    """

    images: Tensor
    sizes: list[tuple[int, int]]
    boxes: list[Array]
    people: list[Array]


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
    ) -> None:
        self.scenes = [scene for scene in scenes if len(scene)]
        if not self.scenes:
            raise DatasetError("the training scenes show nobody", hint="check the annotation files")
        self.settings, self.augment = settings, augment
        self.batch, self.seed = batch, seed

    def __getitem__(self, step: int) -> SceneBatch:
        rng = chance(self.seed, 2, step)
        chosen = samples_of(step, count=len(self.scenes), batch=self.batch, seed=self.seed, stage=2)
        # One factor for the whole batch: pictures of different sizes would pad each other.
        factor = rng.uniform(*self.augment.scale)
        pixels, boxes, people = zip(*(self._picture(i, factor, rng) for i in chosen), strict=True)
        batch, sizes = padded_batch(list(pixels), self.settings.multiple)
        return SceneBatch(batch, sizes, list(boxes), list(people))

    def _picture(self, index: int, factor: float, rng: np.random.Generator) -> tuple[Array, Array, Array]:
        scene = self.scenes[index]
        if scene.path is None:
            raise DatasetError(f"scene {scene.name} has no picture file")
        picture = images.load(scene.path)
        scale = input_scale(picture.size, self.settings) * factor
        pixels = resized(picture.pixels, scale)
        boxes = scene.boxes * box_factors(picture.pixels, pixels)
        # A box without area in the picture overlaps no anchor, and a proposal network that gives
        # every person their best anchors would then make people of all anchors.
        sides = np.diff(clip(boxes, pixels.shape[1::-1]).reshape(-1, 2, 2), axis=1)[:, 0]
        there = (sides >= 1).all(axis=1)
        boxes, people = boxes[there], scene.people[there]
        if rng.random() < self.augment.flip:
            pixels, boxes = np.ascontiguousarray(pixels[:, ::-1]), mirrored_boxes(boxes, pixels.shape[1])
        return relit(pixels, self.augment, rng), boxes.astype(np.float32), people


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
