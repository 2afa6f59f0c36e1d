"""What another layout cannot hold, said in one line each, and the data set without it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from personsearch.datasets.check_galleries import CLOSE
from personsearch.datasets.convert_material import TARGETS, Loss, Material, Step, Target
from personsearch.datasets.convert_searches import (
    listed_galleries,
    no_galleries,
    one_box,
    only_sought,
)
from personsearch.datasets.rows import has_size, ignored, take, visible
from personsearch.errors import DatasetError, UsageError
from personsearch.types import UNLABELLED, Array, Scene, Trials


def fit(material: Material, target: Target, seed: int = 0) -> tuple[Material, tuple[Loss, ...]]:
    """``material`` as ``target`` can hold it, and everything that is lost by it.

    Args:
        material: what was read.
        target: the layout.
        seed: of galleries that are drawn where the layout needs them and there are none.

    Raises:
        UsageError: there is no such layout.
        DatasetError: the layout needs searches, and there are none.
    """
    steps: dict[Target, tuple[Step, ...]] = {
        "cuhk-sysu": (
            _no_ignored,
            _no_cameras,
            _whole_pixels,
            _flat_names,
            listed_galleries(seed),
            one_box,
            only_sought,
        ),
        "prw": (_no_ignored, _no_visible, _some_camera, _pixels_when_read, no_galleries, _prw_names),
        "coco": (),
        "mot": (_some_camera, _once),
    }
    if target not in steps:
        raise UsageError(f"nothing is written in a layout {target!r}", hint=f"one of: {', '.join(TARGETS)}")
    what = "pictures of a validation part: two halves are written, and these are in neither"
    losses = [Loss(count=material.validation, what=what)] if material.validation else []
    for step in (_with_size, *steps[target], _no_times if target != "coco" else _nothing):
        material, lost = step(material)
        losses += [one for one in lost if one.count]
    return material, tuple(losses)


def _nothing(material: Material) -> tuple[Material, Sequence[Loss]]:
    return material, ()


def _with_size(material: Material) -> tuple[Material, Sequence[Loss]]:
    """Boxes without width or height: no layout's readers keep them."""
    count = sum(int((~has_size(scene)).sum()) for scene in material.scenes)
    lost = [Loss(count=count, what="boxes without width or height: they are left out")]
    return (material.with_scenes(lambda scene: take(scene, has_size(scene))) if count else material), lost


def _no_ignored(material: Material) -> tuple[Material, Sequence[Loss]]:
    count = sum(int(ignored(scene).sum()) for scene in material.scenes)
    searches = [*material.galleries.values(), *material.subsets.values()]
    searches += [] if material.whole is None else [material.whole]
    hidden = len(np.unique(np.concatenate([np.zeros((0, 4)), *(t.ignore_box for t in searches)]), axis=0))

    def without(trials: Trials) -> Trials:
        none = np.zeros_like(trials.ignore_ptr)
        return replace(trials, ignore_ptr=none, ignore_box=np.zeros((0, 4), np.float32))

    fitting = material.with_scenes(lambda scene: take(scene, ~ignored(scene))).with_trials(without)
    what = "boxes that count neither way: they are left out, and a detection there counts as wrong"
    return fitting, [Loss(count=max(count, hidden), what=what)]


def _no_cameras(material: Material) -> tuple[Material, Sequence[Loss]]:
    count = sum(scene.camera is not None for scene in material.scenes)
    fitting = material.with_scenes(lambda scene: replace(scene, camera=None))
    return fitting, [Loss(count=count, what="pictures with a camera: it is forgotten")]


def _no_times(material: Material) -> tuple[Material, Sequence[Loss]]:
    count = sum(scene.time is not None for scene in material.scenes)
    return material, [Loss(count=count, what="pictures with a time: it is forgotten")]


def _no_visible(material: Material) -> tuple[Material, Sequence[Loss]]:
    count = sum(int(np.isfinite(visible(scene)).sum()) for scene in material.scenes)
    fitting = material.with_scenes(lambda scene: replace(scene, visible=None))
    return fitting, [Loss(count=count, what="boxes with a visible share: it is forgotten")]


def _some_camera(material: Material) -> tuple[Material, Sequence[Loss]]:
    count = sum(scene.camera is None for scene in material.scenes)
    fitting = material.with_scenes(lambda s: replace(s, camera="1") if s.camera is None else s)
    return fitting, [Loss(count=count, what="pictures without a camera: all become of camera 1")]


def _once(material: Material) -> tuple[Material, Sequence[Loss]]:
    """A person is once in a frame of a sequence."""
    lost = 0

    def first(scene: Scene) -> Scene:
        nonlocal lost
        people, seen = scene.people.tolist(), set()
        for row, person in enumerate(people):
            if person in seen:
                people[row] = UNLABELLED
                lost += 1
            elif person != UNLABELLED:
                seen.add(person)
        return replace(scene, people=np.array(people, np.int64))

    fitting = material.with_scenes(first)
    what = "second boxes of a person in one picture: they lose their identity"
    return fitting, [Loss(count=lost, what=what)]


def between_pixels(boxes: Array) -> Array:
    """(n,) which boxes are not of whole pixels."""
    mask: Array = (boxes != np.rint(boxes)).any(-1)
    return mask


def on_pixels(boxes: Array) -> Array:
    """``boxes`` on whole pixels, at least one wide and high; equal boxes stay equal.

    >>> on_pixels(np.array([[0.4, 1.6, 0.45, 9.5]], np.float32)).tolist()
    [[0.0, 2.0, 1.0, 10.0]]
    """
    low = np.rint(boxes[..., :2])
    high = np.maximum(np.rint(boxes[..., 2:]), low + 1)
    whole: Array = np.concatenate([low, high], axis=-1).astype(np.float32)
    return whole


def _annotated(material: Material) -> Material:
    """Queries and positives as the annotation has them: protocols in text give few digits.

    A box that differs by more stays, and is then none of the layout's boxes.
    """
    boxes = {scene.name: scene.boxes for scene in material.test}

    def nearest(names: Sequence[str], given: Array) -> Array:
        found = np.array(given)
        for row, name in enumerate(names):
            there = boxes.get(name, given[:0])
            off = np.abs(there - given[row]).max(axis=1, initial=0)
            if len(off) and 0 < off.min() < CLOSE:
                found[row] = there[int(np.argmin(off))]
        return found

    def change(trials: Trials) -> Trials:
        entry_of = np.repeat(np.arange(len(trials.entry_scene)), np.diff(trials.truth_ptr))
        asked, shown = (
            [trials.scenes[row] for row in rows.tolist()]
            for rows in (trials.query_scene, trials.entry_scene[entry_of])
        )
        return replace(
            trials,
            query_box=nearest(asked, trials.query_box),
            truth_box=nearest(shown, trials.truth_box),
        )

    return material.with_trials(change)


def _whole_pixels(material: Material) -> tuple[Material, Sequence[Loss]]:
    """Every box on whole pixels, the same wherever it stands."""
    material = _annotated(material)
    count = sum(int(between_pixels(scene.boxes).sum()) for scene in material.scenes)
    fitting = material.with_scenes(lambda scene: replace(scene, boxes=on_pixels(scene.boxes))).with_trials(
        lambda trials: replace(
            trials, query_box=on_pixels(trials.query_box), truth_box=on_pixels(trials.truth_box)
        )
    )
    return fitting, [Loss(count=count, what="boxes between pixels: they are rounded", cure="round")]


def _pixels_when_read(material: Material) -> tuple[Material, Sequence[Loss]]:
    """PRW's files hold fractions, and the field's readers cut them off."""
    fitting, lost = _whole_pixels(material)
    return fitting, [replace(one, what=f"{one.what} (every reader of PRW would cut them)") for one in lost]


def _flat_names(material: Material) -> tuple[Material, Sequence[Loss]]:
    names = {scene.name: re.sub(r"[\\/]+", "_", scene.name) for scene in material.scenes}
    return renamed(material, names), ()


def _prw_names(material: Material) -> tuple[Material, Sequence[Loss]]:
    from personsearch.datasets.prw import camera_of
    from personsearch.datasets.prw_writer import prw_names

    fitting = all(s.name.endswith(".jpg") and camera_of(s.name) == s.camera for s in material.scenes)
    names = {s.name: s.name for s in material.scenes} if fitting else prw_names(material.scenes)
    material = renamed(material, names)
    of = {scene.name: camera_of(scene.name) for scene in material.scenes}
    cameras = material.with_scenes(lambda scene: replace(scene, camera=of[scene.name]))
    moved = len({s.camera for s in material.scenes if s.camera != of[s.name]})
    return cameras, [Loss(count=moved, what="cameras whose name is no digit: they are numbered from 1")]


def renamed(material: Material, names: Mapping[str, str]) -> Material:
    """The same with other names of pictures.

    Raises:
        DatasetError: two pictures would have one name.
    """
    changed = {old: new for old, new in names.items() if old != new}
    if not changed:
        return material
    if len(set(names.values())) < len(names):
        twice = next(new for new in names.values() if list(names.values()).count(new) > 1)
        raise DatasetError(f"two pictures would be called {twice}", hint="rename one of them first")
    fitting = material.with_scenes(lambda scene: replace(scene, name=names[scene.name])).with_trials(
        lambda trials: replace(trials, scenes=tuple(names[name] for name in trials.scenes))
    )
    frames = {names[name]: frame for name, frame in material.frames.items()}
    return replace(fitting, frames=frames, renamed=changed)
