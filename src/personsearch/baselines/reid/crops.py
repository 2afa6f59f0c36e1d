"""Every labelled person as a small upright crop of one size: what the classical descriptors look at."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from personsearch import images
from personsearch.baselines.reid.stages import read_arrays
from personsearch.boxes import inside
from personsearch.errors import DatasetError
from personsearch.files import write_atomically
from personsearch.progress import Progress, silent
from personsearch.types import Array, Picture, Scene

CROPS_AT_ONCE = 32
SHARD_SCENES = 64
"""Pictures whose people are written together: the most that a kill loses."""


def people_crops(picture: Picture, boxes: Array, size: tuple[int, int]) -> Array:
    """(n, h, w, 3) uint8 RGB: the people in ``boxes``, each stretched to ``size``.

    A box is cut to the picture and rounded to whole pixels (at least one), since the cited methods
    look at whole crops; shrinking averages over the pixels, enlarging is bilinear.

    Args:
        picture: upright pixels.
        boxes: (n, 4) x1 y1 x2 y2 in its pixels.
        size: (height, width) of a crop.

    Raises:
        InputError: a box has no area inside the picture.

    >>> picture = Picture(np.repeat(np.arange(40, dtype=np.uint8), 20 * 3).reshape(40, 20, 3))
    >>> people_crops(picture, np.array([[0, 10, 20, 30]]), (20, 20))[0, :4, 0, 0].tolist()
    [10, 11, 12, 13]
    """
    height, width = size
    found = inside(boxes, picture)
    crops = np.empty((len(found), height, width, 3), np.uint8)
    for crop, (x1, y1, x2, y2) in zip(crops, found.tolist(), strict=True):
        left, right = _whole(x1, x2, picture.size[0])
        top, bottom = _whole(y1, y2, picture.size[1])
        shrinks = (bottom - top) * (right - left) > height * width
        how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        cv2.resize(picture.pixels[top:bottom, left:right], (width, height), dst=crop, interpolation=how)
    return crops


def described(
    describe: Callable[[Array], Array], picture: Picture, boxes: Array, size: tuple[int, int], dim: int
) -> Array:
    """(n, dim) float32 descriptions of the people in ``boxes``, some crops in memory at a time.

    Args:
        describe: (m, h, w, 3) uint8 crops to (m, dim) float32.
        picture: upright pixels.
        boxes: (n, 4) x1 y1 x2 y2 in its pixels.
        size: (height, width) of a crop.
        dim: length of a description, for nobody.

    Raises:
        InputError: a box has no area inside the picture.
    """
    boxes = np.asarray(boxes, np.float32).reshape(-1, 4)
    rows = [np.zeros((0, dim), np.float32)]
    for start in range(0, len(boxes), CROPS_AT_ONCE):
        rows.append(describe(people_crops(picture, boxes[start : start + CROPS_AT_ONCE], size)))
    return np.concatenate(rows)


def _whole(low: float, high: float, limit: int) -> tuple[int, int]:
    """Whole pixels of the stretch from ``low`` to ``high`` inside [0, ``limit``]; at least one."""
    start = min(round(low), limit - 1)
    return start, max(start + 1, round(high))


@dataclass(frozen=True, eq=False, kw_only=True)
class LabelledCrops:
    """Crops on disk with who they show, in the order of the scenes.

    Attributes:
        files: one shard each, ``pixels`` (m, h, w, 3) uint8 and ``people`` (m,) int64.
        people: (n,) int64 identities of all shards.
        digest: hex digest of what was cut: pictures' names, boxes, people, size. Not of the pictures'
            content, nor of when their files were copied here.
        stamp: hex digest of that and of the picture files as they lie here: what caches are called by.
    """

    files: tuple[Path, ...]
    people: Array
    digest: str
    stamp: str

    def __len__(self) -> int:
        return len(self.people)

    def shards(self) -> Iterator[Array]:
        """The crops of one shard after the other; one of them in memory at a time."""
        for file in self.files:
            yield read_arrays(file, "pixels")["pixels"]

    def take(self, rows: Array) -> Iterator[Array]:
        """The crops in ``rows`` (sorted, distinct), shard by shard."""
        start = 0
        for pixels in self.shards():
            mine = rows[(rows >= start) & (rows < start + len(pixels))] - start
            start += len(pixels)
            if len(mine):
                yield pixels[mine]


def cut_labelled(
    scenes: Sequence[Scene], size: tuple[int, int], cache: Path, *, progress: Progress = silent
) -> LabelledCrops:
    """Every person with an identity (>= 0, not to be ignored) as a crop in the folder ``cache``.

    Finished shards are kept: killed and called again with the same scenes it goes on there, and
    other scenes, another size or changed picture files get files of their own.

    Raises:
        DatasetError: nobody has an identity, or a scene has no picture file.
        InputError: a picture cannot be read, or a box lies outside it.
    """
    digest = _digest(scenes, size)
    used = [scene for scene in scenes if named(scene).any()]
    if not used:
        raise DatasetError(
            "no person in the training scenes has an identity", hint="check the annotation files"
        )
    stamp = _stamp(digest, used)
    folder = cache / f"crops-{stamp[:12]}"
    shards = [used[start : start + SHARD_SCENES] for start in range(0, len(used), SHARD_SCENES)]
    files = tuple(folder / f"{number:05d}.npz" for number in range(len(shards)))
    left = [
        (scene, file, scene is shard[-1])
        for shard, file in zip(shards, files, strict=True)
        if not file.exists()
        for scene in shard
    ]
    found: list[tuple[Array, Array]] = []
    for scene, file, last in progress(left, "cutting people", total=len(used), done=len(used) - len(left)):
        found.append(_cut_scene(scene, size))
        if last:
            _write(file, np.concatenate([crops for crops, _ in found]), np.concatenate([w for _, w in found]))
            found = []
    people = np.concatenate([read_arrays(file, "people")["people"] for file in files])
    return LabelledCrops(files=files, people=people, digest=digest, stamp=stamp)


def named(scene: Scene) -> Array:
    """(n,) bool: people with an identity who are not to be ignored.

    >>> named(Scene("a", boxes=[[0, 0, 1, 1]] * 3, people=[4, -1, 5], ignore=[False, False, True])).tolist()
    [True, False, False]
    """
    mask: Array = (scene.people >= 0) & ~np.asarray(scene.ignore)
    return mask


def _cut_scene(scene: Scene, size: tuple[int, int]) -> tuple[Array, Array]:
    """Crops and identities of one scene's labelled people."""
    if scene.path is None:
        raise DatasetError(f"scene {scene.name} has no picture file")
    mine = named(scene)
    picture = images.load(scene.path, name=scene.name)
    return people_crops(picture, scene.boxes[mine], size), scene.people[mine]


def _write(file: Path, pixels: Array, people: Array) -> None:
    write_atomically(file, lambda out: np.savez(out, pixels=pixels, people=people))


def _digest(scenes: Sequence[Scene], size: tuple[int, int]) -> str:
    """Hex digest of who is to be cut out of which picture, and at what size.

    It is part of what is trained, so nothing counts that differs between two copies of a data set.
    """
    digest = hashlib.sha256(json.dumps(["crops", 2, *size]).encode())
    for scene in scenes:
        mine = named(scene)
        digest.update(json.dumps([scene.name, int(mine.sum())]).encode())
        digest.update(np.ascontiguousarray(scene.boxes[mine]).tobytes())
        digest.update(np.ascontiguousarray(scene.people[mine]).tobytes())
    return digest.hexdigest()


def _stamp(digest: str, scenes: Sequence[Scene]) -> str:
    """Hex digest of what is cut and of the picture files as they lie here, by size and time.

    Whoever changes a picture gets new crops; reading all of them to notice would cost as much as cutting.
    """
    stamp = hashlib.sha256(digest.encode())
    for scene in scenes:
        if scene.path is not None and scene.path.exists():
            known = scene.path.stat()
            stamp.update(f"{known.st_size} {known.st_mtime_ns}\n".encode())
    return stamp.hexdigest()
