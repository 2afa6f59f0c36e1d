"""The public face for Python: load a model, see who is in a picture, index a folder, find somebody.

    from personsearch.api import PersonSearch

    model = PersonSearch.load("model")
    model.index("photos", "gallery")
    people = model.detect("photo.jpg")
    result = model.search("gallery", "photo.jpg", people.boxes[0])
    for hit in result.hits:
        print(hit.rank, hit.picture, hit.box)

Boxes are ``x1 y1 x2 y2`` in pixels of the upright picture. Everything that is a user's to mend
raises a :class:`personsearch.errors.PersonSearchError`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, Self

import numpy as np

from personsearch.baselines.open import PARTS, Where, open_searcher
from personsearch.boxes import area, clip
from personsearch.errors import InputError, UsageError
from personsearch.gallery.gallery import Gallery
from personsearch.images import load as load_picture
from personsearch.indexing.local import index_folder
from personsearch.progress import Progress, silent
from personsearch.types import Array, Detections, IndexReport, Picture, Query, Scene, Searcher, SearchResult

Colour = Literal["rgb", "bgr"]
PictureLike = Picture | str | Path | Array

__all__ = ["Colour", "Gallery", "PersonSearch", "PictureLike", "as_picture"]


def as_picture(picture: PictureLike, *, color: Colour | None = None) -> Picture:
    """A picture from a file, from pixels, or as it is.

    Args:
        picture: a path, a :class:`Picture`, or (h, w, 3) uint8 pixels, upright.
        color: the order of the channels of pixels: OpenCV reads ``"bgr"``, everybody else
            ``"rgb"``. Pixels must say it: the wrong order gives wrong answers without an error.

    Raises:
        InputError: the file cannot be read, or the array is no picture.
        UsageError: pixels without ``color``, or ``color`` for something else.

    >>> as_picture(np.zeros((20, 30, 3), np.uint8), color="bgr").size
    (30, 20)
    """
    if isinstance(picture, np.ndarray):
        if color not in ("rgb", "bgr"):
            raise UsageError("pixels must say the order of their channels", hint='add color="rgb" or "bgr"')
        if picture.ndim != 3 or picture.shape[2] != 3 or picture.dtype != np.uint8 or not picture.size:
            raise InputError(f"pixels must be (h, w, 3) uint8, got {picture.shape} {picture.dtype}")
        return Picture(np.ascontiguousarray(picture if color == "rgb" else picture[..., ::-1]))
    if color is not None:
        raise UsageError("color is for pixels; files and pictures know their own")
    return picture if isinstance(picture, Picture) else load_picture(picture, name=str(picture))


class PersonSearch:
    """A model that finds people and tells them apart.

    Args:
        searcher: what sees and describes; :meth:`load` takes one from disk.
    """

    def __init__(self, searcher: Searcher) -> None:
        self.searcher = searcher

    @classmethod
    def load(
        cls,
        path: Path | str,
        device: str = "auto",
        *,
        parts: Path | str = PARTS,
        scenes: Sequence[Scene] | None = None,
    ) -> Self:
        """The model in the folder ``path``, as ``personsearch train`` wrote it, or ``DETECTOR+EMBEDDER``.

        Args:
            path: the folder, or two parts such as ``"acf+bow"`` or ``"onnx:find.onnx+onnx:describe.onnx"``
                (:mod:`personsearch.baselines.open`).
            device: ``"auto"`` (CUDA where there is one), ``"cpu"``, ``"cuda:0"``, ``"mps"``.
            parts: the folder that ``personsearch baselines train`` wrote.
            scenes: annotated pictures, for the detector ``gt``.

        Raises:
            InputError: there is no model, it is damaged, or the device is not to be had.
            UsageError: a name is misspelt, or is of one part alone.
        """
        return cls(open_searcher(path, Where(parts=Path(parts), device=device, scenes=scenes)))

    @property
    def fingerprint(self) -> str:
        """Names the model: a gallery of another one cannot be searched with this."""
        return self.searcher.fingerprint

    def detect(
        self, picture: PictureLike, *, min_score: float = 0.5, color: Colour | None = None
    ) -> Detections:
        """Everybody in the picture with at least ``min_score``, best first: boxes, scores, embeddings.

        Args:
            picture, color: see :func:`as_picture`.
            min_score: in [0, 1].
        """
        seen = self.searcher.detect(as_picture(picture, color=color))
        return seen.take(seen.scores >= min_score)

    def embed(self, picture: PictureLike, boxes_xyxy: Array, *, color: Colour | None = None) -> Array:
        """(n, d) float32 raw embeddings of the people in ``boxes_xyxy`` (n, 4)."""
        return self.searcher.embed(as_picture(picture, color=color), np.asarray(boxes_xyxy, np.float32))

    def index(
        self,
        folder: Path | str,
        gallery: Path | str,
        *,
        recursive: bool = True,
        retry_failed: bool = False,
        progress: Progress = silent,
    ) -> IndexReport:
        """Put everybody in the pictures of ``folder`` into ``gallery``, made if there is none.

        What is there already and has not changed costs nothing. Pictures that cannot be used are
        in the report's ``failures``, with the reason; look at them.

        Raises:
            InputError: ``folder`` is none, or has no pictures.
            ModelMismatch: the gallery is another model's.
            LockedError: another process is writing to it.
        """
        return index_folder(
            folder, gallery, self.searcher, recursive=recursive, retry_failed=retry_failed, progress=progress
        )

    def search(
        self,
        gallery: Gallery | Path | str,
        picture: PictureLike,
        box_xyxy: Array,
        k: int = 20,
        *,
        color: Colour | None = None,
    ) -> SearchResult:
        """The ``k`` people of the gallery most like the one in ``box_xyxy``, one a picture, best first.

        The catch: somebody is always the most alike. Where the model is calibrated, look at
        ``probability``; look at the picture in any case. The query's own file is no answer.

        Args:
            gallery: an open one, which is faster for many searches, or its folder.
            picture, color: see :func:`as_picture`.
            box_xyxy: (4,) the person, at least half of it inside the picture.

        Raises:
            InputError: the box is outside the picture, or there is no gallery.
            ModelMismatch: the gallery is another model's.
        """
        shown = as_picture(picture, color=color)
        box = _inside(np.asarray(box_xyxy, np.float32), shown)
        query = Query(shown.name, box)
        embedding = self.searcher.embed(shown, box[None])[0]
        opened = gallery if isinstance(gallery, Gallery) else Gallery.open(gallery)
        try:
            return opened.search(
                embedding, k, fingerprint=self.fingerprint, query=query, exclude_picture=shown.path
            )
        finally:
            if opened is not gallery:
                opened.close()


def _inside(box: Array, picture: Picture) -> Array:
    """``box`` cut to the picture, when it is one and at least half of it lies in there."""
    if box.shape != (4,) or not np.isfinite(box).all() or not area(box) > 0:
        raise InputError(f"a box is x1 y1 x2 y2 with an area, got {box.tolist()}")
    cut = clip(box, picture.size)
    if float(area(cut)) < 0.5 * float(area(box)):
        width, height = picture.size
        raise InputError(
            f"box {box.tolist()} lies outside of {picture.name or 'the picture'} ({width}x{height})"
        )
    return cut
