"""The features file: everybody seen per picture, and the queries, as columns.

It is a ``.npz`` without pickles: people seen per picture (``det_*``), queries (``q_*``), the
people around each query (``qdet_*``), names (``img_name``) and ``meta``, a JSON text. Tables
with a ``_ptr`` are CSR: rows of item i are ``ptr[i]:ptr[i+1]``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import numpy as np

from personsearch.errors import DatasetError, InputError, PersonSearchError
from personsearch.files import write_atomically
from personsearch.types import Array, Detections, Similarity, Trials

VERSION = 1
"""Of the file; a reader refuses every other."""

_COLUMNS = {
    "det_ptr": (np.int64, 1),
    "det_box": (np.float32, 2),
    "det_score": (np.float32, 1),
    "det_feat": (np.float32, 2),
    "q_img": (np.int32, 1),
    "q_box": (np.float32, 2),
    "q_pid": (np.int64, 1),
    "q_feat": (np.float32, 2),
    "qdet_ptr": (np.int64, 1),
    "qdet_box": (np.float32, 2),
    "qdet_score": (np.float32, 1),
    "qdet_feat": (np.float32, 2),
}


@dataclass(frozen=True, eq=False, kw_only=True)
class Features:
    """Everybody seen in N pictures, and Q queries, described by d numbers each.

    Attributes:
        scenes: names of the pictures (``img_name`` in the file).
        det_ptr: (N+1,) int64; people of picture i.
        det_box: (M, 4) float32 x1 y1 x2 y2, upright picture pixels.
        det_score: (M,) float32.
        det_feat: (M, d) float32, raw embeddings.
        q_img: (Q,) int32, row in ``scenes``.
        q_box: (Q, 4) float32.
        q_pid: (Q,) int64, identity in the protocol.
        q_feat: (Q, d) float32.
        qdet_ptr: (Q+1,) int64; people in the query's picture, the query itself FIRST.
        qdet_box, qdet_score, qdet_feat: as ``det_*``; the query's score is 1.
        meta: version, fingerprint, similarity, dim, dataset, inputs, settings.
    """

    scenes: tuple[str, ...]
    det_ptr: Array
    det_box: Array
    det_score: Array
    det_feat: Array
    q_img: Array
    q_box: Array
    q_pid: Array
    q_feat: Array
    qdet_ptr: Array
    qdet_box: Array
    qdet_score: Array
    qdet_feat: Array
    meta: Mapping[str, Any]

    def __post_init__(self) -> None:
        for name, (dtype, axes) in _COLUMNS.items():
            column = np.asarray(getattr(self, name), dtype=dtype)
            if column.ndim != axes:
                raise ValueError(f"{name} must have {axes} axes, got {column.shape}")
            object.__setattr__(self, name, column)
        if len(set(self.scenes)) != len(self.scenes):
            raise ValueError("two pictures have one name")
        dim = int(self.meta["dim"])
        for prefix, owners in (("det", len(self.scenes)), ("qdet", len(self.q_img))):
            ptr = getattr(self, f"{prefix}_ptr")
            rows = len(getattr(self, f"{prefix}_score"))
            if len(ptr) != owners + 1 or ptr[0] != 0 or ptr[-1] != rows or (np.diff(ptr) < 0).any():
                raise ValueError(f"{prefix}_ptr must rise from 0 to {rows} over {owners} rows")
            check_shape(getattr(self, f"{prefix}_box"), (rows, 4), f"{prefix}_box")
            check_shape(getattr(self, f"{prefix}_feat"), (rows, dim), f"{prefix}_feat")
        queries = len(self.q_img)
        check_shape(self.q_box, (queries, 4), "q_box")
        check_shape(self.q_pid, (queries,), "q_pid")
        check_shape(self.q_feat, (queries, dim), "q_feat")
        if queries and not (self.q_img.min() >= 0 and self.q_img.max() < len(self.scenes)):
            raise ValueError(f"q_img points outside the {len(self.scenes)} pictures")

    @property
    def fingerprint(self) -> str:
        """Of the model that described everybody."""
        return str(self.meta["fingerprint"])

    @property
    def similarity(self) -> Similarity:
        """How embeddings are compared."""
        return cast(Similarity, self.meta["similarity"])

    @property
    def dim(self) -> int:
        """Length of an embedding."""
        return int(self.meta["dim"])

    def detections(self, scene: str) -> Detections:
        """Everybody seen in the picture called ``scene``.

        Raises:
            DatasetError: there is no such picture here.
        """
        if scene not in self._row_of:
            raise DatasetError(f"the features hold nothing of {scene}", hint="make them for this data set")
        rows = slice(*self.det_ptr[self._row_of[scene] :][:2])
        return Detections(self.det_box[rows], self.det_score[rows], self.det_feat[rows])

    @cached_property
    def _row_of(self) -> dict[str, int]:
        return {name: row for row, name in enumerate(self.scenes)}

    def context(self, query: int) -> Detections:
        """The people in the picture of query ``query`` (a row of ``q_*``), the query itself first."""
        rows = slice(*self.qdet_ptr[query:][:2])
        return Detections(self.qdet_box[rows], self.qdet_score[rows], self.qdet_feat[rows])

    def query_rows(self, trials: Trials) -> Array:
        """(len(trials),) int64 row in ``q_*`` of each query, found by picture and box.

        Raises:
            DatasetError: somebody whom ``trials`` look for is not described here.
        """
        known = query_keys([self.scenes[row] for row in self.q_img], self.q_box)
        row_of = {key: row for row, key in reversed(list(enumerate(known)))}
        wanted = query_keys([trials.scenes[row] for row in trials.query_scene], trials.query_box)
        missing = [key for key in wanted if key not in row_of]
        if missing:
            raise DatasetError(
                f"the features do not describe the query at {list(missing[0][1])} of {missing[0][0]} "
                f"({len(missing)} of {len(wanted)} queries missing)",
                hint="they were made for other searches; make them again for these",
            )
        return np.array([row_of[key] for key in wanted], np.int64)

    def query_embeddings(self, trials: Trials) -> Array:
        """(len(trials), d) float32 descriptions of the people that ``trials`` look for."""
        found: Array = self.q_feat[self.query_rows(trials)]
        return found

    def save(self, path: Path) -> None:
        """Write the file, all or nothing; equal features are equal bytes."""
        columns = {name: getattr(self, name) for name in _COLUMNS}
        meta = json.dumps(dict(self.meta), sort_keys=True)
        names = np.array(self.scenes, dtype=np.str_) if self.scenes else np.zeros(0, "<U1")
        write_atomically(
            path,
            lambda file: np.savez(file, img_name=names, meta=np.array(meta), **columns),
        )

    @staticmethod
    def load(path: Path) -> Features:
        """Read what :meth:`save` wrote.

        Raises:
            InputError: no such file, damaged, or of another version.
        """
        path = Path(path)
        if not path.is_file():
            raise InputError(f"{path} is not a file", hint="features are made by evaluating a model")
        try:
            with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
                meta = json.loads(str(file["meta"]))
                if meta["version"] != VERSION:
                    raise InputError(
                        f"{path} is a features file of version {meta['version']}, this reads {VERSION}",
                        hint="make the features again",
                    )
                columns = {name: file[name] for name in _COLUMNS}
                return Features(scenes=tuple(file["img_name"].tolist()), meta=meta, **columns)
        except PersonSearchError:
            raise
        except Exception as error:  # zip, header, key and shape errors all mean that the file is damaged
            reason = f"{type(error).__name__} {error}".split("\n", 1)[0]
            raise InputError(
                f"{path} is not a whole features file: {reason}", hint="remove it and make the features again"
            ) from error


def query_keys(names: Sequence[str], boxes: Array) -> list[tuple[str, tuple[float, ...]]]:
    """What tells one query from another: the picture's name and the four numbers of the box."""
    return [(name, tuple(box)) for name, box in zip(names, boxes.tolist(), strict=True)]


def check_shape(array: Array, shape: tuple[int, ...], what: str) -> None:
    """A ValueError that names ``what`` unless ``array`` has ``shape``."""
    if array.shape != shape:
        raise ValueError(f"{what} must have shape {shape}, got {array.shape}")
