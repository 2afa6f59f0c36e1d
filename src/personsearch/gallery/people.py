"""Everybody in a gallery, in memory: an exact search is one matrix-vector product.

The matrix is a copy that can be made again at any time from the table, which stays the
truth. Up to some 500,000 people it is faster than any index on disk (measured: as fast as the
bare product, where LanceDB's own exact search takes eleven times as long).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from personsearch.gallery.filters import Filter
from personsearch.gallery.matrix import Chosen, Matrix, best_of_groups
from personsearch.gallery.spans import shots, span
from personsearch.types import Array, Detections, Similarity, Span

Per = Literal["picture", "person"]

NUMBERS: dict[str, tuple[type, Any]] = {
    "detection": (np.int64, None),
    "picture": (np.int64, None),
    "score": (np.float32, None),
    "time": (np.float64, np.nan),
    "frame": (np.int64, -1),
    "position": (np.float64, np.nan),
    "tracklet": (np.int64, -1),
}
"""Columns that are one number a person: its type, and what stands for "not known"."""


def schema(dim: int) -> pa.Schema:
    """Columns of the people table, for embeddings of ``dim`` numbers.

    A column that comes later must be nullable: tables made before have nobody in it, and the
    next writer adds it to them (:meth:`personsearch.gallery.tables.Table.upgrade`).
    """
    return pa.schema(
        [
            pa.field("detection", pa.int64(), nullable=False),
            pa.field("picture", pa.int64(), nullable=False),
            pa.field("box_xyxy", pa.list_(pa.float32(), 4), nullable=False),
            pa.field("score", pa.float32(), nullable=False),
            pa.field("vector", pa.list_(pa.float32(), dim), nullable=False),
            pa.field("model", pa.string(), nullable=False),
            pa.field("camera", pa.string()),
            pa.field("time", pa.float64()),
            pa.field("frame", pa.int64()),
            # Columns from here on came later: tables made before lack them until they are written to.
            pa.field("time_base", pa.string()),
            pa.field("position", pa.float64()),
            pa.field("tracklet", pa.int64()),
        ]
    )


@dataclass(frozen=True, kw_only=True)
class Circumstances:
    """Of the people in one picture: which picture, described by what, where and when.

    Attributes:
        picture: its number.
        model: fingerprint.
        camera, time, frame: of the exposure, where known; ``time`` in seconds since 1970; ``frame``
            is a video's time stamp (PTS).
        time_base: seconds of one unit of ``frame``, as a fraction such as ``1/90000``.
        position: seconds since the video's first frame.
    """

    picture: int
    model: str
    camera: str | None = None
    time: float | None = None
    frame: int | None = None
    time_base: str | None = None
    position: float | None = None


def check(seen: Detections, dim: int) -> None:
    """Raise ValueError for embeddings of another length than ``dim``, and for what is not finite."""
    if len(seen) and seen.embeddings.shape[1] != dim:
        raise ValueError(f"embeddings have {seen.embeddings.shape[1]} numbers, the gallery's {dim}")
    for name in ("boxes", "scores", "embeddings"):
        if not np.isfinite(getattr(seen, name)).all():
            raise ValueError(f"{name} of the detections are not finite")


def to_rows(seen: Detections, first: int, known: Circumstances, tracklets: Array | None = None) -> pa.Table:
    """``seen`` as rows of the people table, numbered from ``first``; (n,) ``tracklets`` of a video."""
    n = len(seen)
    return pa.table(
        {
            "detection": np.arange(first, first + n, dtype=np.int64),
            "picture": np.full(n, known.picture, np.int64),
            "box_xyxy": fixed(seen.boxes),
            "score": seen.scores,
            "vector": fixed(seen.embeddings),
            "model": pa.array([known.model] * n, pa.string()),
            "camera": pa.array([known.camera] * n, pa.string()),
            "time": pa.array([known.time] * n, pa.float64()),
            "frame": pa.array([known.frame] * n, pa.int64()),
            "time_base": pa.array([known.time_base] * n, pa.string()),
            "position": pa.array([known.position] * n, pa.float64()),
            "tracklet": pa.nulls(n, pa.int64()) if tracklets is None else pa.array(tracklets, pa.int64()),
        },
        schema=schema(seen.embeddings.shape[1]),
    )


def fixed(rows: Array) -> pa.FixedSizeListArray:
    """(n, m) numbers as a column of float32 lists of fixed length."""
    flat = pa.array(np.ascontiguousarray(rows, np.float32).reshape(-1))
    return pa.FixedSizeListArray.from_arrays(flat, rows.shape[1])


def unfixed(column: pa.FixedSizeListArray, width: int) -> Array:
    """(n, width) of such a column."""
    flat: Array = column.flatten().to_numpy()
    return flat.reshape(-1, width)


@dataclass(frozen=True, eq=False, kw_only=True)
class People:
    """Everybody who is searched, in the order of their detection numbers.

    Attributes:
        detection, picture: (n,) int64.
        frame: (n,) int64 of a video, -1 where there is none.
        position: (n,) float64 seconds since the first frame of a video, NaN in a picture.
        tracklet: (n,) int64 of a video, counted within it, -1 where there is none.
        shot: (n,) int64, equal for people of one picture, or for one person of a video; see
            :func:`personsearch.gallery.spans.shots`.
        box: (n, 4) float32 x1 y1 x2 y2.
        score: (n,) float32.
        time: (n,) float64 seconds since 1970, NaN where unknown.
        camera: (n,) int32, which of ``cameras``; -1 where unknown.
        cameras: names.
        matrix: the vectors.
        room: a larger array that the vectors are the beginning of.
    """

    detection: Array
    picture: Array
    frame: Array
    position: Array
    tracklet: Array
    shot: Array
    box: Array
    score: Array
    time: Array
    camera: Array
    cameras: tuple[str, ...]
    matrix: Matrix
    room: Array

    COLUMNS = (*NUMBERS, "box_xyxy", "vector", "camera")

    def __len__(self) -> int:
        return len(self.detection)

    @property
    def vectors(self) -> Array:
        """(n, d) float32, raw."""
        return self.matrix.vectors

    @property
    def lengths(self) -> Array:
        """(n,) float64, the vectors' Euclidean lengths."""
        return self.matrix.lengths

    @property
    def newest(self) -> int:
        """The largest detection number; 0 for nobody."""
        return int(self.detection[-1]) if len(self) else 0

    @staticmethod
    def load(batches: Iterable[pa.RecordBatch], pictures: Array, rows: int, dim: int) -> People:
        """The people of ``pictures`` (sorted) among ``rows`` rows of the table, batch by batch.

        Some room is left behind them, so that :meth:`followed_by` need not copy everything.
        """
        room = np.empty((rows + max(4096, rows // 8), dim), np.float32)
        columns, n = _read(batches, pictures, room)
        return _in_order(columns, Matrix.of(room[:n]), room)

    def of_pictures(self, pictures: Array) -> People:
        """Only those in ``pictures`` (sorted)."""
        wanted = np.isin(self.picture, pictures)
        if wanted.all():
            return self
        columns = {name: getattr(self, name)[wanted] for name in (*NUMBERS, "box", "camera")}
        matrix = self.matrix.take(wanted)
        return _in_order({**columns, "cameras": self.cameras}, matrix, matrix.vectors)

    def followed_by(self, batches: Iterable[pa.RecordBatch], pictures: Array, rows: int) -> People:
        """These and the people of ``pictures`` among ``rows`` more rows, whose numbers are larger."""
        new = np.empty((rows, self.vectors.shape[1]), np.float32)
        columns, n = _read(batches, pictures, new, self.cameras)
        if not n:
            return self
        for name in (*NUMBERS, "box", "camera"):
            columns[name] = np.concatenate([getattr(self, name), columns[name]])
        room = self.room if len(self) + n <= len(self.room) else None
        if room is None:
            size = len(self) + n
            room = np.empty((size + max(4096, size // 8), new.shape[1]), np.float32)
            room[: len(self)] = self.vectors
        return _in_order(columns, self.matrix.followed_by(new[:n], room), room)

    def counts(self) -> dict[int, int]:
        """How many people each picture has."""
        pictures, people = np.unique(self.picture, return_counts=True)
        return dict(zip(pictures.tolist(), people.tolist(), strict=True))

    def circumstances(self, row: int) -> tuple[str | None, float | None, float | None, Span | None]:
        """Camera and time of a row; of a video also its position, and the piece the person is seen in."""
        return self.circumstances_of([row])[0]

    def circumstances_of(
        self, rows: Sequence[int] | Array
    ) -> list[tuple[str | None, float | None, float | None, Span | None]]:
        """The same of each of ``rows``, at a tenth of the cost of one after the other."""
        columns = (column[rows].tolist() for column in (self.camera, self.time, self.position))
        known = zip(rows, *columns, strict=True)
        return [
            (
                None if camera < 0 else self.cameras[camera],
                None if time != time else time,  # NaN: not known
                None if position != position else position,
                None if position != position else span(self.position[self._rows_of_shot(row)]),
            )
            for row, camera, time, position in known
        ]

    def _rows_of_shot(self, row: int) -> Array:
        """Everybody whom a search takes for the person of ``row``."""
        order, start = self._by_shot
        shot = int(self.shot[row])
        rows: Array = order[start[shot] : start[shot + 1]]
        return rows

    @cached_property
    def _by_shot(self) -> tuple[Array, Array]:
        """Rows sorted by shot, and where each shot begins: without it every hit costs a look at everybody."""
        order = np.argsort(self.shot, kind="stable")
        return order, np.searchsorted(self.shot[order], np.arange(int(self.shot.max(initial=-1)) + 2))

    def meeting(self, where: Filter, min_score: float) -> Array:
        """(n,) bool: who meets the conditions that people carry, which is all but the paths."""
        wanted: Array = self.score >= np.float32(min_score)
        if where.cameras:
            codes = [code for code, name in enumerate(self.cameras) if name in where.cameras]
            wanted &= np.isin(self.camera, codes)
        if where.since is not None or where.until is not None:
            with np.errstate(invalid="ignore"):  # comparisons with NaN are False, which is meant
                if where.since is not None:
                    wanted &= self.time >= where.since
                if where.until is not None:
                    wanted &= self.time < where.until
        if where.min_height is not None or where.max_height is not None:
            height = self.box[:, 3] - self.box[:, 1]
            if where.min_height is not None:
                wanted &= height >= np.float32(where.min_height)
            if where.max_height is not None:
                wanted &= height <= np.float32(where.max_height)
        return wanted

    def best(
        self,
        embedding: Array,
        k: int,
        kind: Similarity,
        per: Per,
        without: int | None,
        min_score: float,
    ) -> tuple[Array, Array]:
        """Rows and similarities of the ``k`` people most like ``embedding`` (d,), best first.

        Exact; of equal ones, those stored first. With ``per="picture"`` only the best of each
        picture (or frame) counts; people of the picture ``without`` or scored below
        ``min_score`` do not.
        """
        queries = np.asarray(embedding, np.float32)[None]
        wanted = self.meeting(Filter(), min_score)
        return next(iter(self.ranked(queries, k, kind, per, wanted, [without])))

    def ranked(
        self,
        queries: Array,
        k: int,
        kind: Similarity,
        per: Per,
        wanted: Array | Chosen,
        without: Sequence[int | None],
    ) -> Iterator[tuple[Array, Array]]:
        """For each of ``queries`` (q, d), rows and similarities of the best ``k`` who are ``wanted`` (n,).

        People of the picture ``without[i]`` are no answer to query i: so many more are ranked as it
        has, and they are taken out, so that one product serves all queries.
        """
        group = self.shot if per == "picture" else None
        for finder, picture in zip(self.matrix.finders(queries, kind, wanted), without, strict=True):
            more = 0 if picture is None else int((self.picture == picture).sum())
            rows, alike = best_of_groups(finder.best, len(finder), k + more, group)
            if more:
                others = self.picture[rows] != picture
                rows, alike = rows[others][:k], alike[others][:k]
            yield rows, alike


def _read(
    batches: Iterable[pa.RecordBatch], pictures: Array, vectors: Array, cameras: tuple[str, ...] = ()
) -> tuple[dict[str, Any], int]:
    """Columns of the people of ``pictures``; their vectors go to the beginning of ``vectors``."""
    parts: dict[str, list[Array]] = {name: [] for name in (*NUMBERS, "box", "camera")}
    codes = {name: code for code, name in enumerate(cameras)}
    n = 0
    for batch in batches:
        wanted = np.isin(batch.column("picture").to_numpy(), pictures)
        if not wanted.all():
            batch = batch.filter(pa.array(wanted))
        vectors[n : n + len(batch)] = unfixed(batch.column("vector"), vectors.shape[1])
        n += len(batch)
        parts["box"].append(unfixed(batch.column("box_xyxy"), 4))
        parts["camera"].append(_coded(batch.column("camera"), codes))
        for name, (kind, unknown) in NUMBERS.items():
            column = batch.column(name)
            known = column if unknown is None else column.fill_null(unknown)
            parts[name].append(known.to_numpy(zero_copy_only=False).astype(kind, copy=False))
    empty: dict[str, Array] = {name: np.empty(0, kind) for name, (kind, _) in NUMBERS.items()}
    empty |= {"box": np.empty((0, 4), np.float32), "camera": np.empty(0, np.int32)}
    columns: dict[str, Any] = {name: np.concatenate([empty[name], *some]) for name, some in parts.items()}
    return {**columns, "cameras": tuple(codes)}, n


def _coded(column: pa.StringArray, codes: dict[str, int]) -> Array:
    """The names as numbers; ``codes`` learns the new ones."""
    names = column.dictionary_encode()
    known = np.array([codes.setdefault(name, len(codes)) for name in names.dictionary.to_pylist()] + [-1])
    coded: Array = known[names.indices.fill_null(-1).to_numpy(zero_copy_only=False)].astype(np.int32)
    return coded


def _in_order(columns: dict[str, Any], matrix: Matrix, room: Array) -> People:
    """Everybody by detection number, which folding small files and forgetting may have changed."""
    if (np.diff(columns["detection"]) < 0).any():
        order = np.argsort(columns["detection"], kind="stable")
        columns = {name: c if name == "cameras" else c[order] for name, c in columns.items()}
        matrix = matrix.take(order)
        room = matrix.vectors
    shot = shots(columns["picture"], columns["frame"], columns["tracklet"])
    return People(**columns, shot=shot, matrix=matrix, room=room)
