"""The words of the house: what is known of a picture, what was seen in it, whom we look for.

Everything upstream of these types answers *who is here, where, and what do they look
like*; everything downstream consumes only that. Boxes are ``(n, 4)`` float32, ``x1 y1 x2
y2``, continuous sides, in pixels of the upright original picture, everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Similarity = Literal["cosine", "euclidean", "product"]
"""How two embeddings are compared; larger is more alike (``"euclidean"`` is minus the distance)."""

UNLABELLED = -1
"""Identity of a person whom the annotation does not name: a person, but nobody in particular."""


def _shaped(value: object, dtype: type, shape: tuple[int, ...], what: str) -> Array:
    """``value`` as an array of ``dtype`` and ``shape`` (-1: any length), or a ValueError naming ``what``."""
    array: Array = np.asarray(value, dtype=dtype)
    if array.size == 0 and array.ndim < len(shape):
        array = array.reshape(tuple(max(n, 0) for n in shape))
    if array.ndim != len(shape) or any(n not in (-1, m) for n, m in zip(shape, array.shape, strict=True)):
        raise ValueError(f"{what} must have shape {shape}, got {array.shape}")
    return array


@dataclass(frozen=True, eq=False)
class Picture:
    """One decoded picture: upright RGB pixels and where they came from.

    Attributes:
        pixels: (h, w, 3) uint8, RGB, EXIF orientation already applied.
        name: what people call it; in a data set, the scene's name.
        path: the file it was read from, if any.
        taken: seconds since 1970 (from EXIF), if known.
        camera: the camera's name (from EXIF), if known.
    """

    pixels: Array
    name: str = ""
    path: Path | None = None
    taken: float | None = None
    camera: str | None = None

    def __post_init__(self) -> None:
        if self.pixels.ndim != 3 or self.pixels.shape[2] != 3 or self.pixels.dtype != np.uint8:
            raise ValueError(f"a picture is (h, w, 3) uint8 RGB, got {self.pixels.shape} {self.pixels.dtype}")

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels."""
        return int(self.pixels.shape[1]), int(self.pixels.shape[0])


@dataclass(frozen=True, eq=False)
class Scene:
    """Annotation of one picture: who is in it, where, and how much of them can be seen.

    Attributes:
        name: unique within its data set.
        path: the picture's file, if there is one.
        size: (width, height), or None where the annotation does not say.
        boxes: (n, 4) float32 x1 y1 x2 y2, whole body, upright picture pixels.
        people: (n,) int64 identities, ``UNLABELLED`` for people without one.
        visible: (n,) float32 visible share of each body in [0, 1], NaN where unknown.
        ignore: (n,) bool, boxes that count neither way.
        camera, time: where and when (seconds since 1970), if known.

    >>> scene = Scene("s1.jpg", boxes=[[0, 0, 10, 20]], people=[3])
    >>> len(scene), scene.visible, scene.ignore
    (1, array([nan], dtype=float32), array([False]))
    """

    name: str
    path: Path | None = None
    size: tuple[int, int] | None = None
    boxes: Array = field(default_factory=lambda: np.zeros((0, 4), np.float32))
    people: Array = field(default_factory=lambda: np.zeros(0, np.int64))
    visible: Array | None = None
    ignore: Array | None = None
    camera: str | None = None
    time: float | None = None

    def __post_init__(self) -> None:
        boxes = _shaped(self.boxes, np.float32, (-1, 4), "boxes")
        n = len(boxes)
        visible = np.full(n, np.nan) if self.visible is None else self.visible
        ignore = np.zeros(n, bool) if self.ignore is None else self.ignore
        object.__setattr__(self, "boxes", boxes)
        object.__setattr__(self, "people", _shaped(self.people, np.int64, (n,), "people"))
        object.__setattr__(self, "visible", _shaped(visible, np.float32, (n,), "visible"))
        object.__setattr__(self, "ignore", _shaped(ignore, np.bool_, (n,), "ignore"))

    def __len__(self) -> int:
        return len(self.boxes)


@dataclass(frozen=True, eq=False)
class Detections:
    """What a searcher saw in one picture; row i is one person through every filter.

    The three arrays only ever change rows together, through :meth:`take`: boxes and
    features that were filtered apart are how the paper's own numbers went wrong.

    Attributes:
        boxes: (n, 4) float32 x1 y1 x2 y2, upright picture pixels.
        scores: (n,) float32 in [0, 1], that this is a person.
        embeddings: (n, d) float32, raw (not normalised) features.

    >>> seen = Detections([[0, 0, 1, 2], [0, 0, 3, 4]], [0.2, 0.9], [[1, 0], [0, 1]])
    >>> best = seen.take(seen.scores >= 0.5)
    >>> best.boxes.tolist(), best.embeddings.tolist()
    ([[0.0, 0.0, 3.0, 4.0]], [[0.0, 1.0]])
    """

    boxes: Array
    scores: Array
    embeddings: Array

    def __post_init__(self) -> None:
        boxes = _shaped(self.boxes, np.float32, (-1, 4), "boxes")
        object.__setattr__(self, "boxes", boxes)
        object.__setattr__(self, "scores", _shaped(self.scores, np.float32, (len(boxes),), "scores"))
        object.__setattr__(
            self, "embeddings", _shaped(self.embeddings, np.float32, (len(boxes), -1), "embeddings")
        )

    def __len__(self) -> int:
        return len(self.boxes)

    def take(self, rows: Array | Sequence[int]) -> Detections:
        """The people in ``rows`` (indices or a mask), in that order."""
        index = np.asarray(rows)
        if index.size == 0 and index.dtype != np.bool_:
            index = index.astype(np.int64)
        return Detections(self.boxes[index], self.scores[index], self.embeddings[index])

    @staticmethod
    def none(dim: int) -> Detections:
        """Nobody, described by ``dim`` numbers each."""
        return Detections(np.zeros((0, 4)), np.zeros(0), np.zeros((0, dim)))


@dataclass(frozen=True, eq=False)
class Query:
    """Whom we look for: one box in one picture (and, in a benchmark, who it is).

    Attributes:
        scene: name of the picture.
        box: (4,) float32 x1 y1 x2 y2.
        person: identity, ``UNLABELLED`` when nobody knows.
        position: of a frame of a video, seconds since the first; None for a picture.
    """

    scene: str
    box: Array
    person: int = UNLABELLED
    position: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "box", _shaped(self.box, np.float32, (4,), "box"))


@dataclass(frozen=True, eq=False)
class Trials:
    """All searches of a protocol, as columns: pure data, no behaviour.

    Q queries, E gallery entries over all queries, in protocol order, repeats kept; the
    tables with a ``_ptr`` are CSR: rows of item i are ``ptr[i]:ptr[i+1]``.

    Attributes:
        name: what the protocol is called, e.g. ``"cuhk-sysu gallery=100"``.
        scenes: names of all pictures that occur; the indices below point into it.
        query_scene, query_person: (Q,) int32 and (Q,) int64.
        query_box: (Q, 4) float32 x1 y1 x2 y2.
        entry_ptr, entry_scene: (Q+1,) int64, (E,) int32; entries of query i.
        truth_ptr, truth_box: (E+1,) int64, (T, 4) float32 of the person looked for, per entry.
        ignore_ptr, ignore_box: (E+1,) int64, (I, 4) float32 that count neither way, per entry.
    """

    name: str
    scenes: tuple[str, ...]
    query_scene: Array
    query_box: Array
    query_person: Array
    entry_ptr: Array
    entry_scene: Array
    truth_ptr: Array
    truth_box: Array
    ignore_ptr: Array
    ignore_box: Array

    def __post_init__(self) -> None:
        n = len(self.query_scene)
        checks: tuple[tuple[str, type, tuple[int, ...]], ...] = (
            ("query_scene", np.int32, (n,)),
            ("query_box", np.float32, (n, 4)),
            ("query_person", np.int64, (n,)),
            ("entry_ptr", np.int64, (n + 1,)),
            ("entry_scene", np.int32, (-1,)),
            ("truth_box", np.float32, (-1, 4)),
            ("ignore_box", np.float32, (-1, 4)),
        )
        for name, dtype, shape in checks:
            object.__setattr__(self, name, _shaped(getattr(self, name), dtype, shape, name))
        entries = len(self.entry_scene)
        for name, rows in (("truth_ptr", len(self.truth_box)), ("ignore_ptr", len(self.ignore_box))):
            object.__setattr__(self, name, _shaped(getattr(self, name), np.int64, (entries + 1,), name))
            _check_pointers(getattr(self, name), rows, name)
        _check_pointers(self.entry_ptr, entries, "entry_ptr")
        for name in ("query_scene", "entry_scene"):
            index = getattr(self, name)
            if index.size and (index.min() < 0 or index.max() >= len(self.scenes)):
                raise ValueError(f"{name} points outside the {len(self.scenes)} scenes")

    def __len__(self) -> int:
        return len(self.query_scene)


def _check_pointers(pointers: Array, rows: int, what: str) -> None:
    """A CSR pointer column starts at 0, never falls and ends at the number of rows."""
    if pointers[0] != 0 or pointers[-1] != rows or (pointers[1:] < pointers[:-1]).any():
        raise ValueError(f"{what} must rise from 0 to {rows}")


@runtime_checkable
class Embedder(Protocol):
    """Describes given people: boxes in a picture in, vectors out."""

    @property
    def fingerprint(self) -> str:
        """Hex digest naming the model; features of two fingerprints never meet."""
        ...

    @property
    def dim(self) -> int:
        """Length of an embedding."""
        ...

    @property
    def similarity(self) -> Similarity:
        """How two embeddings are to be compared."""
        ...

    def embed(self, picture: Picture, boxes: Array) -> Array:
        """(n, d) float32 raw features of the people in ``boxes`` (n, 4)."""
        ...


@runtime_checkable
class Searcher(Embedder, Protocol):
    """An embedder that also finds the people by itself."""

    def detect(self, picture: Picture) -> Detections:
        """Everybody in the picture, best score first."""
        ...


class Span(NamedTuple):
    """The piece of a video in which somebody is seen: seconds since its first frame; how many frames."""

    first: float
    last: float
    frames: int


@dataclass(frozen=True, eq=False, kw_only=True)
class Hit:
    """One answer of a search: a person in a picture.

    Attributes:
        rank: 1 for the best.
        similarity: larger is more alike; cosine in [-1, 1], or minus the Euclidean distance.
        picture: path of the picture as it was indexed.
        box: (4,) float32 x1 y1 x2 y2, upright picture pixels.
        score: the detector's, in [0, 1].
        detection: the person's row id in the gallery.
        probability: that this is the person looked for, where the model is calibrated.
        camera, time: where and when (seconds since 1970), if known.
        position, span: in a video, seconds since its first frame; the piece where the person is seen.
    """

    rank: int
    similarity: float
    picture: str
    box: Array
    score: float
    detection: int
    probability: float | None = None
    camera: str | None = None
    time: float | None = None
    position: float | None = None
    span: Span | None = None


@dataclass(frozen=True, eq=False, kw_only=True)
class SearchResult:
    """What a search of a gallery answered.

    Attributes:
        query: whom it looked for.
        hits: best first.
        gallery: the gallery's folder.
        model: the fingerprint of the model that described everybody.
        similarity: how embeddings were compared.
        pictures, people: how many the gallery holds.
    """

    query: Query
    hits: tuple[Hit, ...]
    gallery: str
    model: str
    similarity: Similarity
    pictures: int
    people: int


@dataclass(frozen=True, kw_only=True)
class Failure:
    """One input that could not be used, and why."""

    path: str
    stage: str
    error: str
    retryable: bool = False


@dataclass(frozen=True, kw_only=True)
class IndexReport:
    """What indexing did, in counts of pictures and videos; nothing is ever skipped silently.

    ``moved``: gone from one place, found at another. ``near``: of the ``duplicates``, those saved anew.
    ``people``: in what was added or updated, in each of the ``frames`` of videos; ``tracklets``: their ways.
    """

    gallery: str
    model: str
    added: int = 0
    unchanged: int = 0
    updated: int = 0
    removed: int = 0
    duplicates: int = 0
    moved: int = 0
    near: int = 0
    people: int = 0
    frames: int = 0
    tracklets: int = 0
    failures: tuple[Failure, ...] = ()
    seconds: float = 0.0


@dataclass(frozen=True, eq=False, kw_only=True)
class SearchScores:
    """How well a protocol's searches went.

    Attributes:
        protocol: which trials, with every rule that shaped the numbers.
        ap: (Q,) float64 average precision of each query, in protocol order; NaN for a query that
            the rules leave out of every mean.
        first_hit: (Q,) int64 rank (1-based, in boxes) of the first right answer, 0 for never.
        recall: (Q,) float64 share of the query's appearances that were detected at all.
        rules: the settings, e.g. threshold and IoU rule.
    """

    protocol: str
    ap: Array
    first_hit: Array
    recall: Array
    rules: Mapping[str, Any] = field(default_factory=dict)

    @property
    def mean_ap(self) -> float:
        """Mean average precision (mAP) over the queries that count."""
        counted = self.ap[~np.isnan(self.ap)]
        return float(np.mean(counted)) if len(counted) else float("nan")

    def top(self, k: int) -> float:
        """Share of the queries that count with a right answer among the first ``k`` boxes."""
        hits = self.first_hit[~np.isnan(self.ap)]
        return float(np.mean((hits >= 1) & (hits <= k))) if len(hits) else float("nan")


@dataclass(frozen=True, kw_only=True)
class DetectionScores:
    """How well people were found, by the field's mutual-argmax rule (recall and AP)."""

    recall: float
    ap: float
    truths: int
    detections: int
    rules: Mapping[str, Any] = field(default_factory=dict)
