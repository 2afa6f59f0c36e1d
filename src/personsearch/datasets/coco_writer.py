"""Scenes as COCO JSON with person ids, as :mod:`personsearch.datasets.coco` and every COCO tool read it.

What is read back is what was written: boxes to the bit, identities, visible shares, ignored boxes
(``iscrowd``), sizes, cameras, times and pictures without anybody. Only gaps close: a person number
that nobody has is not kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from personsearch.datasets.coco import ANNOTATION
from personsearch.datasets.dataset import Split
from personsearch.datasets.json_files import exact_xywh, picture_path, write_tables
from personsearch.datasets.rows import ignored, visible
from personsearch.errors import DatasetError
from personsearch.types import UNLABELLED, Scene

PersonNames = Mapping[Split, Sequence[str]]


def write_coco(
    root: Path,
    *,
    train: Sequence[Scene] = (),
    test: Sequence[Scene] = (),
    person_names: PersonNames | None = None,
    frames: Mapping[str, int] | None = None,
) -> Path:
    """Write ``root/annotations.json``, all or nothing; pictures belong in ``root/images/NAME``.

    The bytes depend on the arguments alone.

    Args:
        root: folder of the data set.
        train: pictures to learn from (``split`` train).
        test: pictures to search in (``split`` test).
        person_names: per half what person 0, 1, 2 ... is called (``raw_ids`` of a reader). Without
            it a test person's id is its number, and training people are numbered after those.
        frames: frame numbers by name of picture, where known.

    Returns:
        The file.

    Raises:
        DatasetError: two pictures share a name, a name leads out of the folder, or a box has no inside.
    """
    path = root / ANNOTATION
    halves: tuple[tuple[Split, Sequence[Scene]], ...] = (("train", train), ("test", test))
    names = person_names or _numbers(train, test)
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    seen: set[str] = set()
    for split, scenes in halves:
        for scene in scenes:
            if scene.name in seen:
                raise DatasetError(
                    f"two scenes are called {scene.name}", hint="names of pictures must differ"
                )
            seen.add(scene.name)
            picture_path(Path(), scene.name, f"{path}: file_name")
            images.append(_image(len(images) + 1, scene, split, (frames or {}).get(scene.name)))
            for box in _boxes(scene, names[split]):
                place = {"id": len(annotations) + 1, "image_id": len(images), "category_id": 1}
                annotations.append({**place, **box})
    write_tables(
        path,
        {"info": {"description": "written by personsearch"}},
        {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "person"}]},
    )
    return path


def _numbers(train: Sequence[Scene], test: Sequence[Scene]) -> dict[Split, list[int]]:
    """Ids that differ between the halves; test people first, as protocols name them."""
    people = {split: _count(scenes) for split, scenes in (("train", train), ("test", test))}
    first = people["test"]
    return {"test": list(range(first)), "train": list(range(first, first + people["train"]))}


def _count(scenes: Sequence[Scene]) -> int:
    """The largest person number and one."""
    return max((int(scene.people.max(initial=UNLABELLED)) for scene in scenes), default=UNLABELLED) + 1


def _image(number: int, scene: Scene, split: Split, frame: int | None) -> dict[str, Any]:
    image: dict[str, Any] = {"id": number, "file_name": scene.name}
    if scene.size is not None:
        image |= {"width": scene.size[0], "height": scene.size[1]}
    image["split"] = split
    known = {"camera": scene.camera, "frame": frame, "time": scene.time}
    return image | {key: value for key, value in known.items() if value is not None}


def _boxes(scene: Scene, names: Sequence[str] | Sequence[int]) -> Iterator[dict[str, Any]]:
    try:
        boxes = exact_xywh(scene.boxes)
    except DatasetError as error:
        raise DatasetError(f"{scene.name}: {error}", hint=error.hint) from error
    shares, junk = visible(scene), ignored(scene)
    for box, person, share, ignore in zip(boxes, scene.people.tolist(), shares, junk, strict=True):
        annotation: dict[str, Any] = {"bbox": box, "area": box[2] * box[3], "iscrowd": int(ignore)}
        if person != UNLABELLED:
            if not 0 <= person < len(names):
                raise DatasetError(f"{scene.name}: person {person} has no name", hint="give every name")
            annotation["person_id"] = names[person]
        if not np.isnan(share):
            annotation["visible"] = float(str(share))
        yield annotation
