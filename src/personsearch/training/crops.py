"""Stage 1's data: crops of labelled people and as many of background (paper 4.2), cut once to disk."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np

from personsearch import images
from personsearch.boxes import iou
from personsearch.errors import DatasetError
from personsearch.files import disk_errors, write_json
from personsearch.model import inputs
from personsearch.progress import Progress, silent
from personsearch.training.augment import Cover, drawn_cover, drawn_light, lit, mirrored_boxes
from personsearch.training.order import chance, samples_of
from personsearch.training.settings import AugmentSettings, CropSettings
from personsearch.types import Array, Scene


class PixelFile:
    """(n, h, w, 3) uint8 pixels in a file, of which each process maps what it reads.

    Args:
        path: raw pixels, one crop after the other.
        shape: of all of them.
    """

    def __init__(self, path: Path, shape: tuple[int, ...]) -> None:
        self.path, self.shape = path, shape
        self._mapped: Array | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Path and shape: a loader process maps the file itself, and is not sent its gigabytes."""
        return {"path": self.path, "shape": self.shape, "_mapped": None}

    def _map(self) -> Array:
        if self._mapped is None:
            self._mapped = np.memmap(self.path, np.uint8, "r", shape=self.shape)
        return self._mapped

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, row: Any) -> Array:
        crops: Array = self._map()[row]
        return crops

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return np.array(self._map(), dtype=dtype, copy=copy)


class CropStore(NamedTuple):
    """Crops on disk.

    Attributes:
        pixels: (n, h, w, 3) uint8, read when asked for.
        boxes: (n, 4) float32 the person (or background box) inside its crop.
        labels: (n,) int64 identity, C for background.
    """

    pixels: PixelFile | Array
    boxes: Array
    labels: Array


def cut(pixels: Array, box: Array, settings: CropSettings) -> tuple[Array, Array]:
    """One stored crop of ``box``, and where the box lies in it."""
    return inputs.cut(pixels, box, settings.stored, keep_aspect=settings.keep_aspect, margin=settings.margin)


def background_boxes(scene: Scene, size: tuple[int, int], count: int, rng: np.random.Generator) -> Array:
    """(m, 4) boxes of people-like shape that overlap nobody by 0.3 or more; m may fall short of count.

    Nor does 0.3 of a box lie in an ignored one: what is in there, nobody has said.
    """
    width, height = size
    tries = 20 * count
    tall = rng.uniform(0.12, 0.8, tries) * height
    wide = np.minimum(tall * rng.uniform(0.3, 0.55, tries), width)
    left, top = rng.uniform(0, 1, tries) * (width - wide), rng.uniform(0, 1, tries) * (height - tall)
    boxes = np.stack([left, top, left + wide, top + tall], axis=1).astype(np.float32)
    if len(scene):
        boxes = boxes[iou(boxes, scene.boxes).max(axis=1) < 0.3]
    if np.any(scene.ignore):
        boxes = boxes[covered_share(boxes, scene.boxes[scene.ignore]).max(axis=1) < 0.3]
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
    if not any(len(_named(scene)) for scene in scenes):
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
    return CropStore(
        PixelFile(pixel_file, shape),
        np.array(index["boxes"], np.float32),
        np.array(index["labels"], np.int64),
    )


def _named(scene: Scene) -> Array:
    """Rows of the people whom stage 1 learns: those with an identity that are not to be ignored."""
    return np.flatnonzero((scene.people >= 0) & ~np.asarray(scene.ignore))


def covered_share(boxes: Array, others: Array) -> Array:
    """(n, m) share of each box's area that lies in each of ``others``.

    >>> covered_share(np.array([[0.0, 0, 2, 2]]), np.array([[1.0, 0, 9, 9]])).tolist()
    [[0.5]]
    """
    low = np.maximum(boxes[:, None, :2], others[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    shared = np.prod(np.maximum(high - low, 0), axis=2)
    areas = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    result: Array = shared / np.maximum(areas, 1e-9)[:, None]
    return result


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
            named = _named(scene)
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


class _Variation(NamedTuple):
    """What chance decided about one crop.

    Attributes:
        box: (4,) float32 inside the crop, as the network sees it.
        flip: whether it is mirrored.
        light: of :func:`lit`.
        cover: of the stored crop, or None.
        corner: (top, left) of the window, for crops that are stretched.
    """

    box: Array
    flip: bool
    light: Array | None
    cover: Cover | None = None
    corner: tuple[int, int] = (0, 0)


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
        return self.share(step, 0, 1)

    def share(self, step: int, index: int, count: int) -> CropBatch:
        """Every ``count``-th crop of the step's batch from ``index`` on, as the whole batch holds it."""
        rng = chance(self.seed, 1, step)
        wanted = self.batch - self.background
        rows = self.people[samples_of(step, count=len(self.people), batch=wanted, seed=self.seed, stage=1)]
        if self.background:
            drawn = samples_of(step, count=len(self.empty), batch=self.background, seed=self.seed, stage=3)
            rows = np.concatenate([rows, self.empty[drawn]])
        size = self.settings.sizes[rng.integers(len(self.settings.sizes))]
        varied = [self._drawn(int(row), size, rng) for row in rows]
        rows, varied = rows[index::count], varied[index::count]
        crops = [self._varied(int(row), size, v) for row, v in zip(rows, varied, strict=True)]
        boxes = np.stack([v.box for v in varied])
        return CropBatch(np.stack(crops).transpose(0, 3, 1, 2), boxes, self.store.labels[rows].copy())

    def _drawn(self, row: int, size: tuple[int, int], rng: np.random.Generator) -> _Variation:
        """How one crop is to be shifted, mirrored, relit and perhaps covered."""
        stored, box = self.settings.stored, self.store.boxes[row]
        if not self.settings.keep_aspect:
            # The authors' variation: a random window of the network's size out of the stored crop.
            corner = int(rng.integers(stored[0] - size[0] + 1)), int(rng.integers(stored[1] - size[1] + 1))
            flip = bool(rng.random() < self.augment.flip)
            whole = np.array([0, 0, size[1], size[0]], np.float32)
            return _Variation(whole, flip, drawn_light(self.augment, rng), corner=corner)
        cover = drawn_cover(box, stored, rng) if rng.random() < self.augment.erase else None
        # A detector's box is never exact: the embedding must not care.
        sides = np.tile(box[2:] - box[:2], 2)
        factor = np.float32(size[0] / stored[0])
        reach = self.augment.jitter
        box = (box + rng.uniform(-reach, reach, 4) * sides).astype(np.float32) * factor
        flip = bool(rng.random() < self.augment.flip)
        if flip:
            box = mirrored_boxes(box[None], size[1])[0].astype(np.float32)
        return _Variation(box, flip, drawn_light(self.augment, rng), cover)

    def _varied(self, row: int, size: tuple[int, int], varied: _Variation) -> Array:
        """One crop's pixels at the step's size."""
        pixels = np.asarray(self.store.pixels[row])
        if self.settings.keep_aspect:
            if varied.cover is not None:
                pixels = varied.cover.over(pixels)
            pixels = cv2.resize(pixels, (size[1], size[0]), interpolation=cv2.INTER_AREA)
        else:
            top, left = varied.corner
            pixels = pixels[top : top + size[0], left : left + size[1]]
        return lit(pixels[:, ::-1] if varied.flip else pixels, varied.light)
