"""Annotation in CUHK-SYSU's layout, so that every loader of the field reads data made here.

What is read back is what was written, except where the layout has no room: gallery
positives stand before distractors (other loaders stop at the first empty entry), a
picture's size, camera and time are lost, and a test identity is known only where a query
or a positive of the smallest gallery shows it. Visible shares go to a file of our own.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.io import savemat

from personsearch.boxes import to_xywh
from personsearch.datasets.cuhk_sysu_layout import CUHK_SYSU, Layout, picture_name
from personsearch.datasets.dataset import Subset
from personsearch.errors import DatasetError
from personsearch.files import disk_errors, write_atomically, write_bytes
from personsearch.types import Array, Scene, Trials

_HEADER = b"MATLAB 5.0 MAT-file, CUHK-SYSU layout, written by personsearch"
_ENTRY = [("imname", object), ("idlocate", object), ("ishard", object)]
_PERSON = [("idname", object), ("nAppear", object), ("scene", object)]
_Rows = list[tuple[Any, ...]]


def write_annotations(
    root: Path,
    *,
    train: Sequence[Scene],
    test: Sequence[Scene],
    galleries: Mapping[int, Trials],
    occlusion: Trials | None = None,
    low_resolution: Trials | None = None,
    layout: Layout = CUHK_SYSU,
) -> None:
    """Write everything under ``root/annotation`` (pictures go to ``root/Image/SSM``, not from here).

    Train identities must be ``0..C-1``; the identity of a test query is its index, the same
    in every gallery. The bytes depend on the arguments alone, each file is whole or absent.

    Args:
        root: folder of the data set.
        train: pictures to learn from.
        test: pictures to search in (the pool).
        galleries: per gallery size, written as ``TestG{size}.mat``.
        occlusion: searches for occluded people, ``Occlusion.mat``.
        low_resolution: searches for small people, ``Resolution.mat``.
        layout: names of the files; where every gallery has a pool, the largest one's is ``test``.

    Raises:
        DatasetError: the layout cannot hold it: boxes that are not whole pixels, a name used
            twice or outside of the folder, two boxes in one gallery entry, ignored boxes,
            identities with gaps, a query whose person is not its index, or a search for a box
            that is not in the pictures.
    """
    everything = (*train, *test)
    _check_names([scene.name for scene in everything])
    # Test people are named first, so that a protocol does not change with the training half.
    sought = _people(test, 0)
    people = _people(train, len(sought))
    known = {scene.name: {tuple(box) for box in scene.boxes.tolist()} for scene in test}
    searches = _searches(galleries, {"occlusion": occlusion, "low-resolution": low_resolution}, layout)
    for variable, trials in searches.values():
        _check_trials(trials, known, variable)
    _check_queries(galleries)
    if layout.train_listed:
        _check_listed(train)

    files: dict[Path, tuple[str, Array]] = {
        layout.images: ("Img", _images(everything)),
        layout.annotation / "Person.mat": ("Person", _rows(map(_person, (*people, *sought)), _PERSON)),
        layout.protocols / layout.train: ("Train", _train(people, layout)),
    }
    for path, names in _pools([scene.name for scene in test], galleries, layout).items():
        files[path] = ("pool", _cells(names))
    for path, (variable, trials) in searches.items():
        files[path] = (variable, _protocol(trials))

    with disk_errors(root):
        (root / layout.pictures).mkdir(parents=True, exist_ok=True)
    for path, (variable, value) in files.items():
        _save(root / path, variable, value)
    _write_visible(root / layout.visible, everything)


def _searches(
    galleries: Mapping[int, Trials], subsets: Mapping[Subset, Trials | None], layout: Layout
) -> dict[Path, tuple[str, Trials]]:
    """Per protocol file its variable and its trials."""
    searches = {layout.gallery(size): (f"TestG{size}", trials) for size, trials in galleries.items()}
    for subset, trials in subsets.items():
        if trials is not None and subset not in layout.subsets:
            raise DatasetError(f"the layout has no subset {subset}", hint="leave it out")
        if trials is not None:
            path, variable = layout.subsets[subset]
            searches[path] = (variable, trials)
    return searches


def _pools(test: list[str], galleries: Mapping[int, Trials], layout: Layout) -> dict[Path, list[str]]:
    """Per pool file the names of its pictures, in the order of the test half."""
    if not layout.pools_differ:
        return {layout.pool_of(0): test}
    if test and not galleries:
        raise DatasetError(
            "test pictures without a gallery: the layout has one pool for every gallery",
            hint="give a gallery",
        )
    pools = {}
    for size, trials in galleries.items():
        used = {trials.scenes[row] for row in np.union1d(trials.entry_scene, trials.query_scene).tolist()}
        largest = size == max(galleries)
        pools[layout.pool_of(size)] = [name for name in test if largest or name in used]
    return pools


def _save(path: Path, variable: str, value: Array) -> None:
    """One variable in one MATLAB 5 file, without the date that would make equal data differ."""
    buffer = io.BytesIO()
    savemat(buffer, {variable: value}, do_compression=True)
    content = bytearray(buffer.getvalue())
    content[:116] = _HEADER.ljust(116)
    write_bytes(path, bytes(content))


def _rows(rows: Iterable[Any], dtype: list[tuple[str, Any]]) -> Array:
    """(1, n) struct array of ``rows``."""
    return np.array([tuple(row) for row in rows], dtype=dtype).reshape(1, -1)


def _cells(values: Sequence[Any]) -> Array:
    """(n, 1) cell array of ``values``."""
    cells = np.empty((len(values), 1), dtype=object)
    for row, value in enumerate(values):
        cells[row, 0] = value
    return cells


def _box_xywh(box: Array, name: str) -> Array:
    """(1, 4) whole pixels left, top, width, height, as narrow as the official files have them."""
    numbers = to_xywh(box)
    whole = np.rint(numbers).astype(np.int64)
    if not np.array_equal(whole, numbers):
        raise DatasetError(
            f"{name}: box {np.asarray(box).tolist()} is not on whole pixels",
            hint="the layout holds integers only",
        )
    fits = whole.min() >= 0 and whole.max() <= np.iinfo(np.uint16).max
    return whole.reshape(1, 4).astype(np.uint16 if fits else np.int32)


def _not_hard() -> Array:
    return np.zeros((1, 1), np.uint8)


def _appearance(name: str, box: Array) -> tuple[str, Array, Array]:
    return name, _box_xywh(box, name), _not_hard()


def _count(n: int) -> Array:
    return np.array([[n]], np.uint16 if n <= np.iinfo(np.uint16).max else np.uint32)


def _images(scenes: Sequence[Scene]) -> Array:
    rows = []
    for scene in scenes:
        located = [(_box_xywh(box, scene.name), _not_hard()) for box in scene.boxes]
        boxes = _rows(located, [("idlocate", object), ("ishard", object)])
        rows.append((scene.name, _count(len(scene)), boxes))
    return _rows(rows, [("imname", object), ("nAppear", object), ("box", object)])


def _people(scenes: Sequence[Scene], named: int) -> list[tuple[str, _Rows]]:
    """Per identity its name and its appearances; identities must have no gaps.

    ``named`` people have their names already.
    """
    where: dict[int, _Rows] = {}
    for scene in scenes:
        for person, box in zip(scene.people.tolist(), scene.boxes, strict=True):
            if person >= 0:
                where.setdefault(person, []).append(_appearance(scene.name, box))
    if sorted(where) != list(range(len(where))):
        gap = next(row for row in range(len(where)) if row not in where)
        raise DatasetError(
            f"identity {gap} never appears, but {max(where)} does",
            hint="number the people 0, 1, 2 ... without gaps",
        )
    return [(f"p{named + person + 1}", where[person]) for person in range(len(where))]


def _person(person: tuple[str, _Rows]) -> tuple[str, Array, Array]:
    name, appearances = person
    return name, _count(len(appearances)), _rows(appearances, _ENTRY)


def _train(people: Sequence[tuple[str, _Rows]], layout: Layout) -> Array:
    """(n, 1) cell array of structs; or (n, 3), each person's scene (m, 3) in turn."""
    if not layout.cells:
        return _cells([_rows([_person(person)], _PERSON) for person in people])
    return _table([(name, _count(len(rows)), _table(rows)) for name, rows in people])


def _table(rows: _Rows) -> Array:
    """(n, 3) cell array."""
    table = np.empty((len(rows), 3), dtype=object)
    for k, row in enumerate(rows):
        for column, value in enumerate(row):
            table[k, column] = value
    return table


def _check_names(names: Sequence[str]) -> None:
    if len(set(names)) != len(names):
        twice = next(name for name, count in Counter(names).items() if count > 1)
        raise DatasetError(f"two scenes are called {twice}", hint="names of pictures must differ")
    for name in names:
        picture_name(name, "a scene's name")


def _check_listed(train: Sequence[Scene]) -> None:
    nobody = next((scene.name for scene in train if not (scene.people >= 0).any()), None)
    if nobody is not None:
        raise DatasetError(
            f"{nobody} shows nobody with an identity, and the layout lists training pictures by them",
            hint="leave it out of the training half",
        )


def _check_queries(galleries: Mapping[int, Trials]) -> None:
    """All galleries look for the same boxes, query i for person i (or whom an earlier one looked for)."""
    first: tuple[int, list[Any]] | None = None
    for size, trials in galleries.items():
        seen: dict[int, int] = {}
        for row, person in enumerate(trials.query_person.tolist()):
            if seen.setdefault(person, row) != person:
                raise DatasetError(
                    f"TestG{size}: query {row} looks for person {person}; a test person's number "
                    "must be the row of the first query for them",
                    hint="the files hold no numbers: a reader counts the queries",
                )
        names = [trials.scenes[row] for row in trials.query_scene.tolist()]
        queries = [*zip(names, trials.query_box.tolist(), trials.query_person.tolist(), strict=True)]
        first = first or (size, queries)
        if queries != first[1]:
            raise DatasetError(
                f"TestG{size} and TestG{first[0]} have different queries",
                hint="a test person is the row of a query, which all galleries must share",
            )


def _check_trials(trials: Trials, known: Mapping[str, set[tuple[float, ...]]], variable: str) -> None:
    """The layout holds at most one box an entry, none ignored, each a box of its picture."""
    if len(trials.ignore_box):
        raise DatasetError(
            f"{variable}: the layout has no ignored boxes", hint="leave them out of the searches"
        )
    if (np.diff(trials.truth_ptr) > 1).any():
        raise DatasetError(
            f"{variable}: a gallery picture has two boxes of one person",
            hint="repeat the picture, one box each",
        )
    entry_of_truth = np.repeat(np.arange(len(trials.entry_scene)), np.diff(trials.truth_ptr))
    scenes = np.concatenate([trials.query_scene, trials.entry_scene[entry_of_truth]])
    boxes = np.concatenate([trials.query_box, trials.truth_box])
    for scene, box in zip(scenes.tolist(), boxes.tolist(), strict=True):
        if tuple(box) not in known.get(trials.scenes[scene], ()):
            raise DatasetError(
                f"{variable}: {trials.scenes[scene]} has no person at {box}",
                hint="searches are for boxes of the pool",
            )
    for scene in np.unique(trials.entry_scene).tolist():
        if trials.scenes[scene] not in known:
            raise DatasetError(
                f"{variable}: {trials.scenes[scene]} is no test picture", hint="add it to the pool"
            )


def _protocol(trials: Trials) -> Array:
    """(1, Q) struct of queries and their galleries, positives first."""
    nobody = np.zeros((1, 0))
    rows = []
    for i in range(len(trials)):
        name = trials.scenes[trials.query_scene[i]]
        person = int(trials.query_person[i])
        idname = f"p{person + 1}" if person >= 0 else ""
        query = _rows([(*_appearance(name, trials.query_box[i]), idname)], [*_ENTRY, ("idname", object)])
        positives, distractors = [], []
        for entry in range(trials.entry_ptr[i], trials.entry_ptr[i + 1]):
            picture = trials.scenes[trials.entry_scene[entry]]
            if trials.truth_ptr[entry] < trials.truth_ptr[entry + 1]:
                positives.append(_appearance(picture, trials.truth_box[trials.truth_ptr[entry]]))
            else:
                distractors.append((picture, nobody, nobody))
        rows.append((query, _rows([*positives, *distractors], _ENTRY)))
    return _rows(rows, [("Query", object), ("Gallery", object)])


def _write_visible(path: Path, scenes: Sequence[Scene]) -> None:
    """The visible shares, if any is known; an older file of them goes away otherwise."""
    shares = [np.asarray(scene.visible, np.float32) for scene in scenes]
    if all(np.isnan(share).all() for share in shares):
        path.unlink(missing_ok=True)
        return
    names = np.array([scene.name for scene in scenes for _ in range(len(scene))])
    boxes = np.concatenate([scene.boxes for scene in scenes])
    visible = np.concatenate(shares)
    write_atomically(path, lambda file: np.savez_compressed(file, name=names, box=boxes, visible=visible))
