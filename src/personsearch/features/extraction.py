"""Running a searcher over scenes once, so that it can be killed and loses next to nothing."""

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
from personsearch.features.table import VERSION, Features, check_shape, query_keys
from personsearch.files import sha256_of, write_atomically, write_json
from personsearch.progress import Progress, silent
from personsearch.types import Array, Detections, Embedder, Scene, Searcher, Trials

SHARD_SCENES = 64
SHARD_SECONDS = 20.0
"""A shard is written after so many pictures or seconds: the most a kill can lose."""

Boxes = Literal["detected", "annotated"]

_log = logging.getLogger(__name__)


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
    _check_boxes(searcher, boxes)
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
        keys = query_keys([protocol.scenes[row] for row in protocol.query_scene], protocol.query_box)
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


def _check_boxes(searcher: Embedder, boxes: str) -> None:
    if boxes not in ("detected", "annotated"):
        raise UsageError(f"boxes are 'detected' or 'annotated', not {boxes!r}")
    if boxes == "detected" and not isinstance(searcher, Searcher):
        raise UsageError("this model describes people but does not find them", hint="use annotated boxes")


def _check_same(found: Mapping[str, Any], wanted: Mapping[str, Any], path: Path) -> None:
    if found["fingerprint"] != wanted["fingerprint"]:
        theirs, ours = found["fingerprint"][:12], wanted["fingerprint"][:12]
        raise ModelMismatch(
            f"{path} holds features of model {theirs}, not of {ours}",
            hint="remove the file, or write to another one",
        )
    for key in ("inputs", "settings", "similarity", "dim"):
        if found.get(key) != wanted[key]:
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
        # Everything goes, also shards that do not join from the first picture on: a later one of
        # this job could close the gap, and then rows of two models would stand in one file.
        _log.warning("%s was left by another job (other model, pictures or searches): starting anew", parts)
        shutil.rmtree(parts)
    write_json(job, meta)


def _shard_files(parts: Path) -> list[Path]:
    """The shards that join without a gap from the first picture on."""
    chain, reached = [], 0
    for path in sorted(parts.glob("shard-*.npz")):
        start, stop = (int(part) for part in path.stem.split("-")[1:])
        if start == reached:
            chain.append(path)
            reached = stop
    return chain


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
    check_shape(seen.embeddings, (len(seen), searcher.dim), f"embeddings of {scene.name}")
    check_shape(embeddings, (len(mine), searcher.dim), f"query embeddings of {scene.name}")
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
    columns: dict[str, Any] = {
        "count": np.array([len(look.seen) for look in batch], np.int64),
        "box": np.concatenate([look.seen.boxes for look in batch]),
        "score": np.concatenate([look.seen.scores for look in batch]),
        "feat": np.concatenate([look.seen.embeddings for look in batch]),
        "q_row": np.concatenate([look.queries for look in batch]),
        "q_feat": np.concatenate([look.embeddings for look in batch]),
    }
    name = f"shard-{batch[0].row:08d}-{batch[-1].row + 1:08d}.npz"
    write_atomically(parts / name, lambda file: np.savez(file, **columns))


def _read_shards(parts: Path) -> Iterator[dict[str, Array]]:
    for path in _shard_files(parts):
        try:
            with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
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
