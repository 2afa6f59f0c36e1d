"""Everybody in a gallery, in memory: an exact search is one matrix-vector product.

The matrix is a copy that can be made again at any time from the table, which stays the
truth. Up to some 500,000 people it is faster than any index (measured: as fast as the bare
product, where LanceDB's own exact search takes eleven times as long).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from personsearch.gallery.spans import shots, span
from personsearch.ranking.similarity import norms, similarities
from personsearch.ranking.topk import top_k
from personsearch.types import Array, Detections, Similarity, Span

Per = Literal["picture", "person"]


def schema(dim: int) -> pa.Schema:
    """Columns of the people table, for embeddings of ``dim`` numbers."""
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


def to_rows(seen: Detections, first: int, known: Circumstances, tracklets: Array | None = None) -> pa.Table:
    """``seen`` as rows of the people table, numbered from ``first``; (n,) ``tracklets`` of a video."""
    n = len(seen)
    return pa.table(
        {
            "detection": np.arange(first, first + n, dtype=np.int64),
            "picture": np.full(n, known.picture, np.int64),
            "box_xyxy": _fixed(seen.boxes),
            "score": seen.scores,
            "vector": _fixed(seen.embeddings),
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


def _fixed(rows: Array) -> pa.FixedSizeListArray:
    flat = pa.array(np.ascontiguousarray(rows, np.float32).reshape(-1))
    return pa.FixedSizeListArray.from_arrays(flat, rows.shape[1])


@dataclass(frozen=True, eq=False, kw_only=True)
class People:
    """Everybody who is searched, in the order of their detection numbers.

    Attributes:
        detection, picture: (n,) int64.
        shot: (n,) int64, equal for people of one picture, or for one person of a video; see
            :func:`personsearch.gallery.spans.shots`.
        position: (n,) float64 seconds since the first frame of a video, NaN in a picture.
        box: (n, 4) float32 x1 y1 x2 y2.
        score: (n,) float32.
        vectors: (n, d) float32, raw.
        lengths: (n,) float64, their Euclidean lengths.
        rest: the columns camera and time.
    """

    detection: Array
    picture: Array
    shot: Array
    position: Array
    box: Array
    score: Array
    vectors: Array
    lengths: Array
    rest: pa.Table

    COLUMNS = ("detection", "picture", "box_xyxy", "score", "vector", "camera", "time", "frame")
    COLUMNS += ("position", "tracklet")

    def __len__(self) -> int:
        return len(self.detection)

    @staticmethod
    def load(batches: Iterable[pa.RecordBatch], pictures: Array, rows: int, dim: int) -> People:
        """The people of ``pictures`` (sorted) among ``rows`` rows of the table, batch by batch."""
        columns: dict[str, list[Any]] = {
            "detection": [],
            "picture": [],
            "box_xyxy": [],
            "score": [],
            "frame": [],
            "tracklet": [],
            "position": [],
        }
        vectors = np.empty((rows, dim), np.float32)
        rest: list[pa.RecordBatch] = []
        n = 0
        for batch in batches:
            wanted = np.isin(batch.column("picture").to_numpy(), pictures)
            if not wanted.all():
                batch = batch.filter(pa.array(wanted))
            vectors[n : n + len(batch)] = _unfixed(batch.column("vector"), dim)
            n += len(batch)
            columns["box_xyxy"].append(_unfixed(batch.column("box_xyxy"), 4))
            for name, unknown in (("frame", -1), ("tracklet", -1), ("position", np.nan)):
                filled = batch.column(name).fill_null(pa.scalar(unknown, batch.column(name).type))
                columns[name].append(filled.to_numpy())
            for name in ("detection", "picture", "score"):
                columns[name].append(batch.column(name).to_numpy())
            rest.append(batch.select(["camera", "time"]))
        shapes = {"box_xyxy": ((0, 4), np.float32), "score": ((0,), np.float32), "position": ((0,), float)}
        whole = {
            name: np.concatenate([np.empty(*shapes.get(name, ((0,), np.int64))), *parts])
            for name, parts in columns.items()
        }
        kept = schema(dim)
        others = pa.Table.from_batches(rest, pa.schema([kept.field("camera"), kept.field("time")]))
        return People._in_order(whole, vectors[:n], others)

    @staticmethod
    def _in_order(columns: dict[str, Array], vectors: Array, rest: pa.Table) -> People:
        detection = columns["detection"]
        if (np.diff(detection) < 0).any():  # folding small files may change the order of rows
            order = np.argsort(detection, kind="stable")
            columns = {name: column[order] for name, column in columns.items()}
            vectors, rest = vectors[order], rest.take(order)
        picture = columns["picture"]
        return People(
            detection=columns["detection"],
            picture=picture,
            shot=shots(picture, columns["frame"], columns["tracklet"]),
            position=columns["position"],
            box=columns["box_xyxy"],
            score=columns["score"],
            vectors=vectors,
            lengths=norms(vectors),
            rest=rest,
        )

    def counts(self) -> dict[int, int]:
        """How many people each picture has."""
        pictures, people = np.unique(self.picture, return_counts=True)
        return dict(zip(pictures.tolist(), people.tolist(), strict=True))

    def circumstances(self, row: int) -> tuple[str | None, float | None, float | None, Span | None]:
        """Camera and time of a row; of a video also its position, and the piece the person is seen in."""
        position = None if np.isnan(self.position[row]) else float(self.position[row])
        piece = span(self.shot, self.position, row)
        return self.rest["camera"][row].as_py(), self.rest["time"][row].as_py(), position, piece

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
        alike = similarities(embedding[None], self.vectors, kind, people_norms=self.lengths)[0]
        wanted = self.score >= np.float32(min_score)
        if without is not None:
            wanted &= self.picture != without
        allowed = np.flatnonzero(wanted)
        alike = alike[allowed]
        if per == "person":
            first, values = top_k(alike, k)
            return allowed[first], values
        look = min(len(allowed), max(4 * k, 64))
        while True:
            first, values = top_k(alike, look)
            _, leaders = np.unique(self.shot[allowed[first]], return_index=True)
            if len(leaders) >= k or look == len(allowed):
                leaders = np.sort(leaders)[:k]
                return allowed[first[leaders]], values[leaders]
            look = min(len(allowed), 4 * look)


def _unfixed(column: pa.FixedSizeListArray, width: int) -> Array:
    flat: Array = column.flatten().to_numpy()
    return flat.reshape(-1, width)
