"""What a searcher saw and how it describes the queries: computed once, kept on disk, scored many times.

The file is a ``.npz`` without pickles: columns of everybody seen per picture (``det_*``),
the queries (``q_*``), the people around each query (``qdet_*``), names (``img_name``) and
``meta``, a JSON text. Tables with a ``_ptr`` are CSR: rows of item i are ``ptr[i]:ptr[i+1]``.
"""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np

from personsearch import images
from personsearch.boxes import iou
from personsearch.errors import DatasetError, InputError, ModelMismatch, PersonSearchError, UsageError
from personsearch.files import sha256_of, write_atomically, write_json
from personsearch.progress import Progress, silent
from personsearch.types import Array, Detections, Embedder, Scene, Searcher, Similarity, Trials

VERSION = 1
"""Of the file; a reader refuses every other."""

SHARD_SCENES = 64
SHARD_SECONDS = 20.0
"""A shard is written after so many pictures or seconds: the most a kill can lose."""

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

Boxes = Literal["detected", "annotated"]

_log = logging.getLogger(__name__)


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
            _check_shape(getattr(self, f"{prefix}_box"), (rows, 4), f"{prefix}_box")
            _check_shape(getattr(self, f"{prefix}_feat"), (rows, dim), f"{prefix}_feat")
        queries = len(self.q_img)
        _check_shape(self.q_box, (queries, 4), "q_box")
        _check_shape(self.q_pid, (queries,), "q_pid")
        _check_shape(self.q_feat, (queries, dim), "q_feat")
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
        if scene not in self.scenes:
            raise DatasetError(f"the features hold nothing of {scene}", hint="make them for this data set")
        rows = slice(*self.det_ptr[self.scenes.index(scene) :][:2])
        return Detections(self.det_box[rows], self.det_score[rows], self.det_feat[rows])

    def context(self, query: int) -> Detections:
        """The people in the picture of query ``query`` (a row of ``q_*``), the query itself first."""
        rows = slice(*self.qdet_ptr[query:][:2])
        return Detections(self.qdet_box[rows], self.qdet_score[rows], self.qdet_feat[rows])

    def query_rows(self, trials: Trials) -> Array:
        """(len(trials),) int64 row in ``q_*`` of each query, found by picture and box.

        Raises:
            DatasetError: somebody whom ``trials`` look for is not described here.
        """
        known = _keys([self.scenes[row] for row in self.q_img], self.q_box)
        row_of = {key: row for row, key in reversed(list(enumerate(known)))}
        wanted = _keys([trials.scenes[row] for row in trials.query_scene], trials.query_box)
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
            lambda file: np.savez(file, img_name=names, meta=np.array(meta), allow_pickle=False, **columns),
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
            with np.load(path, allow_pickle=False) as file:
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


def extract(
    searcher: Embedder,
    scenes: Sequence[Scene],
    trials: Trials | Sequence[Trials],
    path: Path,
    *,
    boxes: Boxes = "detected",
    progress: Progress = silent,
) -> Features:
    """Everybody in ``scenes`` and every query of ``trials``, from ``path`` if it holds just that.

    Each picture is looked at once. A query is described by the box of its protocol in its
    whole picture. Finished pictures are kept in ``NAME.parts/`` beside ``path``: killed at
    any moment and called again it goes on there, and ends with the same bytes.

    Args:
        searcher: who looks; with ``boxes="annotated"`` it need only describe.
        scenes: pictures to look at; those of all queries and galleries must be among them.
        trials: the searches; queries stand in the file in their order, those of later
            trials only where they are new.
        path: the features file.
        boxes: people as the searcher finds them, or as they are annotated (score 1), which
            takes the detector's mistakes out of an evaluation.
        progress: told once a picture.

    Raises:
        ModelMismatch: ``path`` holds features of another model.
        UsageError: ``path`` holds features of other pictures, searches or boxes.
        InputError: a picture cannot be read.
        DatasetError: ``trials`` name a picture that is not among ``scenes``.
    """
    path = Path(path)
    if boxes not in ("detected", "annotated"):
        raise UsageError(f"boxes are 'detected' or 'annotated', not {boxes!r}")
    if boxes == "detected" and not isinstance(searcher, Searcher):
        raise UsageError("this model describes people but does not find them", hint="use annotated boxes")
    protocols = [trials] if isinstance(trials, Trials) else list(trials)
    queries = _queries(scenes, protocols)
    meta = {
        "version": VERSION,
        "fingerprint": searcher.fingerprint,
        "similarity": searcher.similarity,
        "dim": int(searcher.dim),
        "dataset": ", ".join(protocol.name for protocol in protocols),
        "settings": {"boxes": boxes},
        "inputs": _inputs(scenes, queries, boxes),
    }
    parts = path.with_name(f"{path.name}.parts")
    if path.exists():
        features = Features.load(path)
        _check_same(features.meta, meta, path)
        shutil.rmtree(parts, ignore_errors=True)  # left by a kill just after the end
        return features
    _prepare_parts(parts, meta)
    done = _finished(parts)
    todo = list(range(done, len(scenes)))
    steps = progress(todo, "describing people", total=len(scenes), done=done)
    _write_shards(parts, (_look(searcher, scenes[row], row, queries, boxes) for row in steps))
    features = _merge(parts, scenes, queries, meta)
    features.save(path)
    shutil.rmtree(parts)
    return features


@dataclass(frozen=True, eq=False)
class _Queries:
    """The distinct people looked for: picture (row in scenes), box, identity."""

    scene: Array
    box: Array
    person: Array


@dataclass(frozen=True, eq=False)
class _Look:
    """One picture done: who is in it, and the queries of it (rows and embeddings)."""

    row: int
    seen: Detections
    queries: Array
    embeddings: Array


def _queries(scenes: Sequence[Scene], protocols: Sequence[Trials]) -> _Queries:
    """Queries of the first protocol as they are, then whoever is new in the others."""
    row_of = {scene.name: row for row, scene in enumerate(scenes)}
    if len(row_of) != len(scenes):
        raise DatasetError("two pictures have one name", hint="names of pictures must differ")
    rows, boxes, people = [], [], []
    known: set[tuple[str, tuple[float, ...]]] = set()
    for number, protocol in enumerate(protocols):
        used = np.unique(np.concatenate([protocol.entry_scene, protocol.query_scene]))
        missing = [protocol.scenes[row] for row in used.tolist() if protocol.scenes[row] not in row_of]
        if missing:
            raise DatasetError(
                f"{protocol.name} names {missing[0]}, which is not among the scenes",
                hint="give the scenes of the split that the searches are made in",
            )
        keys = _keys([protocol.scenes[row] for row in protocol.query_scene], protocol.query_box)
        for key, person in zip(keys, protocol.query_person.tolist(), strict=True):
            if number and key in known:
                continue
            known.add(key)
            rows.append(row_of[key[0]])
            boxes.append(key[1])
            people.append(person)
    return _Queries(
        np.array(rows, np.int32), np.array(boxes, np.float32).reshape(-1, 4), np.array(people, np.int64)
    )


def _keys(names: Sequence[str], boxes: Array) -> list[tuple[str, tuple[float, ...]]]:
    return [(name, tuple(box)) for name, box in zip(names, boxes.tolist(), strict=True)]


def _inputs(scenes: Sequence[Scene], queries: _Queries, boxes: Boxes) -> str:
    """Hex digest of everything but the model that the result depends on, pictures by content."""
    digest = hashlib.sha256()
    for scene in scenes:
        if scene.path is None or not scene.path.is_file():
            raise InputError(
                f"picture {scene.path or scene.name} is missing", hint="is the data set unpacked whole?"
            )
        digest.update(f"{scene.name}\n{sha256_of(scene.path)}\n".encode())
        if boxes == "annotated":
            digest.update(scene.boxes.tobytes() + b"\n")
    for column in (queries.scene, queries.box, queries.person):
        digest.update(column.tobytes())
    digest.update(boxes.encode())
    return digest.hexdigest()


def _check_same(found: Mapping[str, Any], wanted: Mapping[str, Any], path: Path) -> None:
    if found["fingerprint"] != wanted["fingerprint"]:
        raise ModelMismatch(
            f"{path} holds features of model {found['fingerprint'][:12]}, not of {wanted['fingerprint'][:12]}",
            hint="remove the file, or write to another one",
        )
    for key in ("inputs", "settings", "similarity", "dim"):
        if found[key] != wanted[key]:
            raise UsageError(
                f"{path} holds features of other pictures, searches or boxes ({key} differ)",
                hint="remove the file, or write to another one",
            )


def _prepare_parts(parts: Path, meta: Mapping[str, Any]) -> None:
    """An empty folder for this job, or the one that an earlier call of the same job left."""
    job = parts / "job.json"
    if parts.exists():
        try:
            same = json.loads(job.read_text()) == meta
        except (OSError, ValueError):
            same = False
        if same:
            return
        _log.warning("%s was left by another job (other model, pictures or searches): starting anew", parts)
        shutil.rmtree(parts)
    write_json(job, meta)


def _shard_files(parts: Path) -> list[Path]:
    return sorted(parts.glob("shard-*.npz"))


def _finished(parts: Path) -> int:
    """How many pictures, from the first on, the shards hold."""
    files = _shard_files(parts)
    return int(files[-1].stem.split("-")[2]) if files else 0


def _look(searcher: Embedder, scene: Scene, row: int, queries: _Queries, boxes: Boxes) -> _Look:
    """Everybody in one picture and the queries in it."""
    picture = images.load(cast(Path, scene.path), name=scene.name)
    if boxes == "annotated":
        seen = Detections(scene.boxes, np.ones(len(scene), np.float32), searcher.embed(picture, scene.boxes))
    else:
        seen = cast(Searcher, searcher).detect(picture)
    mine = np.flatnonzero(queries.scene == row)
    embeddings = np.zeros((0, searcher.dim), np.float32)
    if len(mine):
        embeddings = np.asarray(searcher.embed(picture, queries.box[mine]), np.float32)
    _check_shape(seen.embeddings, (len(seen), searcher.dim), f"embeddings of {scene.name}")
    _check_shape(embeddings, (len(mine), searcher.dim), f"query embeddings of {scene.name}")
    if not (np.isfinite(seen.embeddings).all() and np.isfinite(embeddings).all()):
        raise PersonSearchError(
            f"the model describes somebody in {scene.name} by numbers that are not finite",
            hint="its weights are broken; train it again",
        )
    return _Look(row, seen, mine, embeddings)


def _write_shards(parts: Path, looks: Iterable[_Look]) -> None:
    """Keep what is done every few pictures or seconds; a shard is named by its first and last + 1 picture."""
    batch: list[_Look] = []
    since = time.monotonic()
    for look in looks:
        batch.append(look)
        if len(batch) >= SHARD_SCENES or time.monotonic() - since >= SHARD_SECONDS:
            _write_shard(parts, batch)
            batch, since = [], time.monotonic()
    if batch:
        _write_shard(parts, batch)


def _write_shard(parts: Path, batch: Sequence[_Look]) -> None:
    columns = {
        "count": np.array([len(look.seen) for look in batch], np.int64),
        "box": np.concatenate([look.seen.boxes for look in batch]),
        "score": np.concatenate([look.seen.scores for look in batch]),
        "feat": np.concatenate([look.seen.embeddings for look in batch]),
        "q_row": np.concatenate([look.queries for look in batch]),
        "q_feat": np.concatenate([look.embeddings for look in batch]),
    }
    name = f"shard-{batch[0].row:08d}-{batch[-1].row + 1:08d}.npz"
    write_atomically(parts / name, lambda file: np.savez(file, allow_pickle=False, **columns))


def _read_shards(parts: Path) -> Iterator[dict[str, Array]]:
    for path in _shard_files(parts):
        try:
            with np.load(path, allow_pickle=False) as file:
                yield dict(file)
        except (OSError, ValueError, EOFError, KeyError) as error:
            raise InputError(f"{path} is damaged", hint=f"remove {parts} and start again") from error


def _merge(parts: Path, scenes: Sequence[Scene], queries: _Queries, meta: Mapping[str, Any]) -> Features:
    """One file of all shards, and the people around each query."""
    dim = int(meta["dim"])
    shards = list(_read_shards(parts))

    def column(name: str, empty: Array) -> Array:
        return np.concatenate([empty, *(shard[name] for shard in shards)])

    nobody = Detections.none(dim)
    ptr = np.concatenate([[0], np.cumsum(column("count", np.zeros(0, np.int64)))])
    box, score = column("box", nobody.boxes), column("score", nobody.scores)
    feat = column("feat", nobody.embeddings)
    q_feat = np.zeros((len(queries.scene), dim), np.float32)
    q_feat[column("q_row", np.zeros(0, np.int64))] = column("q_feat", nobody.embeddings)
    around = [
        _context(Detections(box[rows], score[rows], feat[rows]), queries.box[i], q_feat[i])
        for i, rows in enumerate(slice(*ptr[row:][:2]) for row in queries.scene)
    ]
    return Features(
        scenes=tuple(scene.name for scene in scenes),
        det_ptr=ptr,
        det_box=box,
        det_score=score,
        det_feat=feat,
        q_img=queries.scene,
        q_box=queries.box,
        q_pid=queries.person,
        q_feat=q_feat,
        qdet_ptr=np.cumsum([0, *(len(people) for people in around)]),
        qdet_box=np.concatenate([nobody.boxes, *(people.boxes for people in around)]),
        qdet_score=np.concatenate([nobody.scores, *(people.scores for people in around)]),
        qdet_feat=np.concatenate([nobody.embeddings, *(people.embeddings for people in around)]),
        meta=meta,
    )


def _context(seen: Detections, box: Array, embedding: Array) -> Detections:
    """The query first, then everybody in the picture who is not the query (overlaps by less than a half)."""
    others = seen.take(iou(seen.boxes, box[None])[:, 0] < 0.5)
    return Detections(
        np.concatenate([box[None], others.boxes]),
        np.concatenate([np.ones(1, np.float32), others.scores]),
        np.concatenate([embedding[None], others.embeddings]),
    )


def _check_shape(array: Array, shape: tuple[int, ...], what: str) -> None:
    if array.shape != shape:
        raise ValueError(f"{what} must have shape {shape}, got {array.shape}")
