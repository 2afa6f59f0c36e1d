"""Stage 1's data: crops of labelled people and as many of background (paper 4.2), cut once to disk."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from personsearch import images
from personsearch.boxes import iou
from personsearch.errors import DatasetError
from personsearch.files import disk_errors, write_json
from personsearch.progress import Progress, silent
from personsearch.training.augment import covered, mirrored_boxes, relit
from personsearch.training.order import chance, samples_of
from personsearch.training.settings import AugmentSettings, CropSettings
from personsearch.types import Array, Scene


class CropStore(NamedTuple):
    """Crops on disk.

    Attributes:
        pixels: (n, h, w, 3) uint8, memory-mapped.
        boxes: (n, 4) float32 the person (or background box) inside its crop.
        labels: (n,) int64 identity, C for background.
    """

    pixels: Array
    boxes: Array
    labels: Array


def cut(pixels: Array, box: Array, settings: CropSettings) -> tuple[Array, Array]:
    """One stored crop of ``box``, and where the box lies in it.

    With ``keep_aspect`` the window has the stored shape and reaches ``margin`` of the box's
    height beyond it above and below; what lies outside the picture repeats its border.
    """
    out_height, out_width = settings.stored
    if settings.keep_aspect:
        height = max(
            (box[3] - box[1]) * (1 + 2 * settings.margin), (box[2] - box[0]) * 1.1 * out_height / out_width
        )
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


def background_boxes(scene: Scene, size: tuple[int, int], count: int, rng: np.random.Generator) -> Array:
    """(m, 4) boxes of people-like shape that overlap nobody by 0.3 or more; m may fall short of count."""
    width, height = size
    tries = 20 * count
    tall = rng.uniform(0.12, 0.8, tries) * height
    wide = np.minimum(tall * rng.uniform(0.3, 0.55, tries), width)
    left, top = rng.uniform(0, 1, tries) * (width - wide), rng.uniform(0, 1, tries) * (height - tall)
    boxes = np.stack([left, top, left + wide, top + tall], axis=1).astype(np.float32)
    if len(scene):
        boxes = boxes[iou(boxes, scene.boxes).max(axis=1) < 0.3]
    return boxes[:count]


def cut_crops(
    scenes: Sequence[Scene],
    folder: Path,
    settings: CropSettings,
    *,
    identities: int,
    seed: int,
    progress: Progress = silent,
) -> CropStore:
    """Cut every labelled person and as many background boxes; an earlier, finished cut is reused."""
    if not any((scene.people >= 0).any() for scene in scenes):
        raise DatasetError(
            "no person in the training scenes has an identity", hint="check the annotation files"
        )
    pixel_file, index_file = folder / "crops.u8", folder / "crops.json"
    with disk_errors(folder):
        if not index_file.exists():
            folder.mkdir(parents=True, exist_ok=True)
            boxes, labels = _cut_to(pixel_file, scenes, settings, identities, seed, progress)
            write_json(index_file, {"boxes": boxes.tolist(), "labels": labels.tolist()})
    index = json.loads(index_file.read_text(encoding="utf-8"))
    shape = (len(index["labels"]), *settings.stored, 3)
    pixels = np.memmap(pixel_file, np.uint8, "r", shape=shape)
    return CropStore(pixels, np.array(index["boxes"], np.float32), np.array(index["labels"], np.int64))


def _cut_to(
    path: Path,
    scenes: Sequence[Scene],
    settings: CropSettings,
    identities: int,
    seed: int,
    progress: Progress,
) -> tuple[Array, Array]:
    """Write the crops' pixels; return their boxes and labels.

    Written, not mapped: a full disk under a mapped file is a signal, not an error.
    """
    boxes: list[Array] = []
    labels: list[int] = []
    with path.open("wb") as file:
        for i, scene in enumerate(progress(scenes, "cutting crops", total=len(scenes))):
            named = np.flatnonzero(scene.people >= 0)
            if not len(named):
                continue
            if scene.path is None:
                raise DatasetError(f"scene {scene.name} has no picture file")
            picture = images.load(scene.path)
            empty = background_boxes(scene, picture.size, len(named), np.random.default_rng([seed, 11, i]))
            people = [(scene.boxes[j], int(scene.people[j])) for j in named]
            for box, label in people + [(b, identities) for b in empty]:
                crop, inside = cut(picture.pixels, box, settings)
                file.write(np.ascontiguousarray(crop).tobytes())
                boxes.append(inside)
                labels.append(label)
        file.flush()
        os.fsync(file.fileno())
    return np.array(boxes), np.array(labels)


class CropBatch(NamedTuple):
    """One step of stage 1: (b, 3, h, w) uint8 pixels, (b, 4) boxes inside them, (b,) labels."""

    images: Array
    boxes: Array
    labels: Array


class CropBatches:
    """Step -> batch of crops; a map-style data set for torch's loader, one item a step."""

    def __init__(
        self,
        store: CropStore,
        settings: CropSettings,
        augment: AugmentSettings,
        *,
        batch: int,
        seed: int,
        identities: int,
    ) -> None:
        self.store, self.settings, self.augment = store, settings, augment
        self.seed = seed
        self.people = np.flatnonzero(store.labels != identities)
        self.empty = np.flatnonzero(store.labels == identities)
        self.background = round(batch * settings.background_share) if len(self.empty) else 0
        self.batch = batch

    def __getitem__(self, step: int) -> CropBatch:
        rng = chance(self.seed, 1, step)
        wanted = self.batch - self.background
        rows = self.people[samples_of(step, count=len(self.people), batch=wanted, seed=self.seed, stage=1)]
        if self.background:
            drawn = samples_of(step, count=len(self.empty), batch=self.background, seed=self.seed, stage=3)
            rows = np.concatenate([rows, self.empty[drawn]])
        size = self.settings.sizes[rng.integers(len(self.settings.sizes))]
        crops, boxes = zip(*(self._vary(int(row), size, rng) for row in rows), strict=True)
        return CropBatch(
            np.stack(crops).transpose(0, 3, 1, 2), np.stack(boxes), self.store.labels[rows].copy()
        )

    def _vary(self, row: int, size: tuple[int, int], rng: np.random.Generator) -> tuple[Array, Array]:
        """One crop at the step's size, shifted, mirrored, relit and sometimes covered."""
        pixels, box = np.asarray(self.store.pixels[row]), self.store.boxes[row]
        if not self.settings.keep_aspect:
            return self._window(pixels, size, rng)
        if rng.random() < self.augment.erase:
            pixels = covered(pixels, box, rng)
        factor = size[0] / pixels.shape[0]
        pixels = cv2.resize(pixels, (size[1], size[0]), interpolation=cv2.INTER_AREA)
        # A detector's box is never exact: the embedding must not care.
        sides = np.tile(box[2:] - box[:2], 2)
        box = (box + rng.uniform(-0.06, 0.06, 4) * sides).astype(np.float32) * np.float32(factor)
        if rng.random() < self.augment.flip:
            pixels, box = pixels[:, ::-1], mirrored_boxes(box[None], size[1])[0].astype(np.float32)
        return relit(pixels, self.augment, rng), box

    def _window(self, pixels: Array, size: tuple[int, int], rng: np.random.Generator) -> tuple[Array, Array]:
        """The authors' variation: a random window of the network's size out of the stored crop, mirrored."""
        top = rng.integers(pixels.shape[0] - size[0] + 1)
        left = rng.integers(pixels.shape[1] - size[1] + 1)
        pixels = pixels[top : top + size[0], left : left + size[1]]
        if rng.random() < self.augment.flip:
            pixels = pixels[:, ::-1]
        return relit(pixels, self.augment, rng), np.array([0, 0, size[1], size[0]], np.float32)
