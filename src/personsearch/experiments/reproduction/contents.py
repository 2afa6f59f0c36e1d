"""What a data set holds besides its scenes, as digests: which searches, which picture files."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from personsearch.datasets.dataset import Dataset
from personsearch.datasets.inventory import subset_if_there, subsets
from personsearch.types import Scene, Trials


def contents(data: Dataset) -> dict[str, Any]:
    """Digests of the searches of every protocol, and of the picture files by name and size.

    The catch: a picture that was replaced by one of as many bytes is not noticed here, as reading all of
    them to plan would take minutes; features files are named by the pictures' bytes.
    """
    protocols = {str(size): data.trials(size) for size in data.gallery_sizes} or {"": data.trials()}
    protocols |= {name: found for name in subsets(data) if (found := subset_if_there(data, name)) is not None}
    return {
        "searches": {name: searches_digest(trials) for name, trials in protocols.items()},
        "pictures": [pictures_digest(data.scenes(half)) for half in ("train", "test")],
    }


def searches_digest(trials: Trials) -> str:
    """Of who is looked for in which pictures, and where they are there."""
    digest = hashlib.sha256("\n".join(trials.scenes).encode())
    for column in dataclasses.fields(trials):
        value = getattr(trials, column.name)
        if isinstance(value, np.ndarray):
            digest.update(np.ascontiguousarray(value).tobytes())
    return digest.hexdigest()[:16]


def pictures_digest(scenes: Sequence[Scene]) -> str:
    """Of the scenes' names and the sizes of their files; a file that is missing has none."""
    digest = hashlib.sha256()
    for scene in scenes:
        there = scene.path is not None and scene.path.is_file()
        size = scene.path.stat().st_size if there and scene.path is not None else -1
        digest.update(f"{scene.name}\n{size}\n".encode())
    return digest.hexdigest()[:16]
