"""The features file: everybody seen per picture, and the queries, as columns.

It is a ``.npz`` without pickles: people seen per picture (``det_*``), queries (``q_*``), the
people around each query (``qdet_*``), names (``img_name``) and ``meta``, a JSON text. Tables
with a ``_ptr`` are CSR: rows of item i are ``ptr[i]:ptr[i+1]``. With the annotation inside
(:mod:`personsearch.features.truth`) it is self-contained. ``docs/evaluation.md`` describes
the layout for those who write such files themselves.
"""

from __future__ import annotations

import json
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import numpy as np

from personsearch.boxes import iou
from personsearch.errors import DatasetError, InputError, UsageError
from personsearch.features.columns import Columns, column_pointers
from personsearch.features.truth_writer import Annotated, truth_columns
from personsearch.files import write_atomically
from personsearch.types import Array, Detections, Similarity, Trials

VERSION = 1
"""Of the file; a reader refuses every other."""
UNKNOWN = "unknown"
"""Fingerprint of whatever made a file that does not say."""
COMPARISONS: tuple[Similarity, ...] = ("cosine", "euclidean", "product")
DEFAULT_COMPARISON: Similarity = "product"
SAME_BOX = 0.8
"""Overlap from which two boxes are one that was rounded or cut to the picture."""

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
_AROUND = ("qdet_ptr", "qdet_box", "qdet_score", "qdet_feat")


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
        meta: version, fingerprint, similarity, dim; ours also dataset, inputs, settings.
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
        """How embeddings are compared; a file of another program may also say ``"product"``."""
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
        """The people in the picture of query ``query`` (a row of ``q_*``), the query itself first.

        Raises:
            UsageError: the file does not say who is around the queries.
        """
        rows = slice(*self.qdet_ptr[query:][:2])
        if rows.stop <= rows.start:
            raise UsageError(
                f"the features do not say who is around query {query}",
                hint="context matching needs the arrays qdet_*, the query itself first",
            )
        return Detections(self.qdet_box[rows], self.qdet_score[rows], self.qdet_feat[rows])

    def query_rows(self, trials: Trials) -> Array:
        """(len(trials),) int64 row in ``q_*`` of each query, found by picture, box and identity.

        Identities are numbered by whoever wrote the file, so where none agrees the picture
        and the box decide; where no box is the same, as when another program rounded or cut
        it, the one that overlaps by ``SAME_BOX`` or more, and most. Of several rows that are
        alike, the first is the first query of ``trials`` that is like them, the second the
        second, and so on (the last again, where ``trials`` hold more).

        Raises:
            DatasetError: somebody whom ``trials`` look for is not described here.
        """
        known = query_keys([self.scenes[row] for row in self.q_img], self.q_box)
        people, places = _Rows(zip(known, self.q_pid.tolist(), strict=True)), _Rows(known)
        wanted = query_keys([trials.scenes[row] for row in trials.query_scene], trials.query_box)
        found, missing = [], []
        for key, person in zip(wanted, trials.query_person.tolist(), strict=True):
            row = people.next((key, person))
            if row < 0:
                row = places.next(key)
            if row < 0:
                row = self._nearest(*key)
            if row < 0:
                missing.append(key)
            found.append(row)
        if missing:
            raise DatasetError(
                f"the features do not describe the query at {list(missing[0][1])} of {missing[0][0]} "
                f"({len(missing)} of {len(wanted)} queries missing)",
                hint="they were made for other searches; make them again for these",
            )
        return np.array(found, np.int64)

    def _nearest(self, scene: str, box: tuple[float, ...]) -> int:
        """Row of the query whose box is nearly ``box``; -1 where there is none."""
        rows = np.flatnonzero(self.q_img == self._row_of.get(scene, -1))
        if not len(rows):
            return -1
        shared = iou(self.q_box[rows], np.array([box], np.float32))[:, 0]
        best = int(np.argmax(shared))
        return int(rows[best]) if shared[best] >= SAME_BOX else -1

    def query_embeddings(self, trials: Trials) -> Array:
        """(len(trials), d) float32 descriptions of the people that ``trials`` look for."""
        found: Array = self.q_feat[self.query_rows(trials)]
        return found

    def save(self, path: Path, *, truth: Annotated | None = None) -> None:
        """Write the file, all or nothing; equal features are equal bytes.

        Args:
            path: where.
            truth: a data set (or the truth of another file) whose annotation goes in, so that
                the file can be scored by itself.

        Raises:
            DatasetError: ``truth`` is of other pictures or queries.
        """
        columns = {name: getattr(self, name) for name in _COLUMNS}
        meta = dict(self.meta)
        if truth is not None:
            added, said = truth_columns(truth, self.scenes, len(self.q_img), self.query_rows)
            columns, meta = {**columns, **added}, {**meta, **said}
        text = json.dumps(meta, sort_keys=True)
        names = np.array(self.scenes, dtype=np.str_) if self.scenes else np.zeros(0, "<U1")
        write_atomically(
            path,
            lambda file: np.savez(file, img_name=names, meta=np.array(text), **columns),
        )

    @staticmethod
    def load(path: Path) -> Features:
        """Read what :meth:`save` wrote, or another program in the same layout.

        Half precision is widened. Where ``meta`` says nothing, embeddings are compared by their
        plain product, as the field's evaluators do: the cosine, if they are unit vectors.

        Raises:
            InputError: no such file, damaged, of another version, or not of this layout.
        """
        with Columns(path) as columns:
            meta = read_meta(columns)
            scenes = columns.read("img_name", "text", (-1,))
            det_score = columns.floats("det_score", (-1,))
            det_feat = columns.floats("det_feat", (len(det_score), -1))
            q_img = columns.read("q_img", "whole", (-1,))
            dim, queries = det_feat.shape[1], len(q_img)
            found = {
                "det_ptr": column_pointers(columns, "det_ptr", len(scenes), len(det_score)),
                "det_box": columns.boxes("det_box", len(det_score)),
                "det_score": det_score,
                "det_feat": det_feat,
                "q_img": q_img,
                "q_box": columns.boxes("q_box", queries),
                "q_pid": columns.read("q_pid", "whole", (queries,)),
                "q_feat": columns.floats("q_feat", (queries, dim)),
                **_around(columns, queries, dim),
            }
            if "dim" in meta and meta["dim"] != dim:
                raise columns.wrong("meta", f"says dim {meta['dim']}, but det_feat has {dim}")
            if queries and not (q_img.min() >= 0 and q_img.max() < len(scenes)):
                raise columns.wrong("q_img", f"points outside the {len(scenes)} pictures")
            said = {
                "fingerprint": UNKNOWN,
                "similarity": DEFAULT_COMPARISON,
                **meta,
                "version": VERSION,
                "dim": dim,
            }
            try:
                return Features(scenes=tuple(scenes.tolist()), meta=said, **found)
            except (ValueError, TypeError, OverflowError) as error:
                raise InputError(
                    f"{path}: {error}", hint="docs/evaluation.md describes the layout"
                ) from error


def read_meta(columns: Columns) -> dict[str, Any]:
    """What a features file says of itself, of a version that can be read.

    Raises:
        InputError: another version, or a comparison that is unknown.
    """
    meta = columns.meta()
    version = meta.get("version", meta.get("layout_version", VERSION))
    if version != VERSION:
        raise InputError(
            f"{columns.path} is a features file of version {version}, this reads {VERSION}",
            hint="make the features again",
        )
    if meta.get("similarity", DEFAULT_COMPARISON) not in COMPARISONS:
        raise columns.wrong(
            "meta", f"says similarity {meta['similarity']!r}, not one of {', '.join(COMPARISONS)}"
        )
    return meta


def _around(columns: Columns, queries: int, dim: int) -> dict[str, Array]:
    """The people around the queries; nobody around any where the file has none of these arrays."""
    if not columns.names & set(_AROUND):
        nobody = Detections.none(dim)
        empty = (np.zeros(queries + 1, np.int64), nobody.boxes, nobody.scores, nobody.embeddings)
        return dict(zip(_AROUND, empty, strict=True))
    score = columns.floats("qdet_score", (-1,))
    return {
        "qdet_ptr": column_pointers(columns, "qdet_ptr", queries, len(score)),
        "qdet_box": columns.boxes("qdet_box", len(score)),
        "qdet_score": score,
        "qdet_feat": columns.floats("qdet_feat", (len(score), dim)),
    }


class _Rows:
    """Rows by key, handed out one by one.

    >>> rows = _Rows(["a", "b", "a"])
    >>> [rows.next("a"), rows.next("a"), rows.next("a"), rows.next("c")]
    [0, 2, 2, -1]
    """

    def __init__(self, keys: Iterable[Hashable]) -> None:
        self._rows: dict[Hashable, list[int]] = {}
        for row, key in enumerate(keys):
            self._rows.setdefault(key, []).append(row)

    def next(self, key: Hashable) -> int:
        """The next row of ``key``, or its last once more; -1 where it has none."""
        rows = self._rows.get(key, [-1])
        return rows.pop(0) if len(rows) > 1 else rows[0]


def query_keys(names: Sequence[str], boxes: Array) -> list[tuple[str, tuple[float, ...]]]:
    """What tells one query from another: the picture's name and the four numbers of the box."""
    return [(name, tuple(box)) for name, box in zip(names, boxes.tolist(), strict=True)]


def check_shape(array: Array, shape: tuple[int, ...], what: str) -> None:
    """A ValueError that names ``what`` unless ``array`` has ``shape``."""
    if array.shape != shape:
        raise ValueError(f"{what} must have shape {shape}, got {array.shape}")
