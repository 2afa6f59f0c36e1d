"""The annotated boxes as a perfect detector: "GT" of the paper's Table 2."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from personsearch.errors import DatasetError, InputError
from personsearch.types import Array, Detections, Picture, Scene


class GroundTruth:
    """Finds exactly the annotated people of a data set's pictures, each with score 1.

    An upper bound for what a better detector could bring, and no detector for anybody's own
    pictures. Boxes that the annotation ignores are not people, and are left out; those that reach
    beyond the picture are cut to it, as a detector's would be.

    Args:
        scenes: annotated pictures; a picture is known by its scene's name.

    Raises:
        DatasetError: two scenes have one name.

    >>> from personsearch.types import Picture
    >>> gt = GroundTruth([Scene("a.jpg", boxes=[[1, 2, 11, 22]], people=[3])])
    >>> seen = gt.detect(Picture(np.zeros((30, 20, 3), np.uint8), "a.jpg"))
    >>> seen.boxes.tolist(), seen.scores.tolist()
    ([[1.0, 2.0, 11.0, 22.0]], [1.0])
    """

    name = "gt"

    def __init__(self, scenes: Sequence[Scene]) -> None:
        self._boxes: dict[str, Array] = {}
        self._sizes: dict[str, tuple[int, int] | None] = {}
        digest = hashlib.sha256(b"annotated boxes\n")
        for scene in scenes:
            if scene.name in self._boxes:
                raise DatasetError(
                    f"two pictures are called {scene.name}", hint="names of pictures must differ"
                )
            boxes = scene.boxes[~np.asarray(scene.ignore)]
            self._boxes[scene.name], self._sizes[scene.name] = boxes, scene.size
            digest.update(f"{scene.name}\n{len(boxes)}\n".encode() + boxes.tobytes())
        self.fingerprint = digest.hexdigest()

    def detect(self, picture: Picture) -> Detections:
        """The annotated people of the picture, in the order of the annotation; embeddings of length 0.

        Raises:
            InputError: nothing is annotated under its name, or that picture has another size.
        """
        if picture.name not in self._boxes:
            raise InputError(
                f"{picture.name or 'the picture'} is not annotated, and gt knows nobody else",
                hint="use gt with `personsearch evaluate` on its data set, or choose another detector",
            )
        size = self._sizes[picture.name]
        if size is not None and size != picture.size:
            raise InputError(
                f"{picture.name} is {picture.size[0]}x{picture.size[1]}, "
                f"but the picture annotated under that name is {size[0]}x{size[1]}",
                hint="use the pictures of the data set itself",
            )
        width, height = picture.size
        boxes = np.clip(self._boxes[picture.name], 0, np.array([width, height, width, height], np.float32))
        boxes = boxes[(boxes[:, 2:] > boxes[:, :2]).all(axis=1)]
        return Detections(boxes, np.ones(len(boxes), np.float32), np.zeros((len(boxes), 0), np.float32))
