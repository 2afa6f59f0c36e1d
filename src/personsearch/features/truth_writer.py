"""The annotation of a data set as arrays of a features file, which is self-contained with them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Literal, Protocol

import numpy as np

from personsearch.errors import DatasetError
from personsearch.protocols import Cameras, camera_trials
from personsearch.types import Array, Query, Scene, Trials

FULL: Literal["full"] = "full"
CUHK, PRW = "cuhk", "prw"
"""Kinds of truth: galleries that are listed, or every picture of some cameras."""


class Annotated(Protocol):
    """What a features file takes from a data set: its test pictures and its searches."""

    @property
    def name(self) -> str:
        """What it is called."""
        ...

    @property
    def gallery_sizes(self) -> tuple[int, ...]:
        """Sizes of the listed galleries; none where every gallery is whole."""
        ...

    def scenes(self, split: Literal["test"]) -> tuple[Scene, ...]:
        """The annotated test pictures."""
        ...

    def trials(
        self, gallery_size: int | Literal["full"] | None = None, *, cameras: Cameras = "all"
    ) -> Trials:
        """The searches of one protocol."""
        ...


def truth_columns(
    truth: Annotated, names: Sequence[str], queries: int, query_rows: Callable[[Trials], Array]
) -> tuple[dict[str, Array], dict[str, Any]]:
    """The arrays ``img_*``, ``gt_*``, ``gal*``, ``q_box`` and ``q_pid`` of ``truth``, and what ``meta`` says.

    Args:
        truth: the data set.
        names: the pictures of the features file, in its order.
        queries: how many queries it describes.
        query_rows: rows of the file's queries that trials look for, in the order of the trials.

    Raises:
        DatasetError: the file is of other pictures or queries.
    """
    of = {scene.name: scene for scene in truth.scenes("test")}
    if of.keys() != set(names):
        odd = sorted(of.keys() ^ set(names))[0]
        raise DatasetError(
            f"{odd} is a picture of only one of features and {truth.name}",
            hint="the annotation that goes into a features file is of all its pictures, and no other",
        )
    scenes = [of[name] for name in names]
    columns = {**_pictures(scenes), **_boxes(scenes)}
    for size in truth.gallery_sizes or (FULL,):
        trials = truth.trials(size)
        if len(trials) != queries or not np.array_equal(query_rows(trials), np.arange(queries)):
            raise DatasetError(
                f"the features describe other queries than {trials.name} asks for, or in another order",
                hint="make the features for these searches",
            )
        trials = _renumbered(trials, names)
        columns |= {"q_box": trials.query_box, "q_pid": trials.query_person}
        if size == FULL:
            usual = camera_trials(trials.name, scenes, queries_of(trials))
            columns |= {} if _equal(trials, usual) else _gallery(trials, f"gal{FULL}")
        else:
            columns |= _plain_gallery(trials, size) or _gallery(trials, f"gal{size}")
    return columns, {"name": truth.name, "kind": CUHK if truth.gallery_sizes else PRW}


def queries_of(trials: Trials) -> list[Query]:
    """Whom ``trials`` look for."""
    rows = zip(trials.query_scene.tolist(), trials.query_box, trials.query_person.tolist(), strict=True)
    return [Query(trials.scenes[row], box, person) for row, box, person in rows]


def _pictures(scenes: Sequence[Scene]) -> dict[str, Array]:
    """``img_cam`` (-1: none), ``img_camera`` where cameras have names, ``img_wh`` (0: unknown)."""
    cameras = [scene.camera for scene in scenes]
    columns = {"img_wh": np.array([scene.size or (0, 0) for scene in scenes], np.int32).reshape(-1, 2)}
    if all(camera is None or (camera.isdecimal() and camera == str(int(camera))) for camera in cameras):
        numbers = [-1 if camera is None else int(camera) for camera in cameras]
    else:
        columns["img_camera"] = np.array([camera or "" for camera in cameras], np.str_)
        known = {camera: i for i, camera in enumerate(sorted({camera for camera in cameras if camera}))}
        numbers = [known[camera] if camera else -1 for camera in cameras]
    columns["img_cam"] = np.array(numbers, np.int32)
    return columns


def _boxes(scenes: Sequence[Scene]) -> dict[str, Array]:
    """``gt_*``; whole numbers as such, what is not the usual case (ignored, visible) only where it occurs."""
    box = np.concatenate([np.zeros((0, 4), np.float32), *(scene.boxes for scene in scenes)])
    ignore = np.concatenate([np.zeros(0, bool), *(np.asarray(scene.ignore) for scene in scenes)])
    visible = np.concatenate([np.zeros(0, np.float32), *(np.asarray(scene.visible) for scene in scenes)])
    columns = {
        "gt_ptr": np.cumsum([0, *(len(scene) for scene in scenes)]).astype(np.int64),
        "gt_box": _whole(box),
        "gt_pid": np.concatenate([np.zeros(0, np.int64), *(scene.people for scene in scenes)]),
    }
    if ignore.any():
        columns["gt_ignore"] = ignore
    if not np.isnan(visible).all():
        columns["gt_visible"] = np.where(np.isnan(visible), np.float32(-1), visible)
    return columns


def _whole(box: Array) -> Array:
    whole = box.astype(np.int32)
    return whole if (whole == box).all() else box


def _renumbered(trials: Trials, names: Sequence[str]) -> Trials:
    """``trials`` with the pictures numbered as in ``names``."""
    row_of = {name: row for row, name in enumerate(names)}
    number = np.array([row_of.get(name, -1) for name in trials.scenes], np.int32)
    return replace(
        trials,
        scenes=tuple(names),
        query_scene=number[trials.query_scene],
        entry_scene=number[trials.entry_scene],
    )


def _plain_gallery(trials: Trials, size: int) -> dict[str, Array] | None:
    """``gal{size}_img/_ngt/_gtbox``: of ``size`` pictures each, those with the person first, one box each."""
    counts, truths = np.diff(trials.entry_ptr), np.diff(trials.truth_ptr)
    if (counts != size).any() or len(trials.ignore_box) or (truths > 1).any():
        return None
    table = truths.reshape(-1, size)
    if (np.diff(table, axis=1) > 0).any():
        return None
    small = len(trials.scenes) <= np.iinfo(np.int16).max
    return {
        f"gal{size}_img": trials.entry_scene.reshape(-1, size).astype(np.int16 if small else np.int32),
        f"gal{size}_ngt": table.sum(axis=1).astype(np.int32),
        f"gal{size}_gtbox": _whole(trials.truth_box),
    }


def _gallery(trials: Trials, prefix: str) -> dict[str, Array]:
    """Any gallery: entries of each query as CSR, and for each entry its true and its ignored boxes."""
    return {
        f"{prefix}_ptr": trials.entry_ptr,
        f"{prefix}_img": trials.entry_scene,
        f"{prefix}_truth_ptr": trials.truth_ptr,
        f"{prefix}_truth_box": trials.truth_box,
        f"{prefix}_ignore_ptr": trials.ignore_ptr,
        f"{prefix}_ignore_box": trials.ignore_box,
    }


def _equal(a: Trials, b: Trials) -> bool:
    """Whether two sets of searches are the same, whatever they are called."""
    tables = vars(a).keys() - {"name", "scenes"}
    return a.scenes == b.scenes and all(np.array_equal(getattr(a, key), getattr(b, key)) for key in tables)
