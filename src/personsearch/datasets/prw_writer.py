"""Annotation in PRW's layout, so that every loader of the field reads data made here.

What is read back (with ``coordinates="exact"``) is what was written: frames in their order,
boxes, people by their ids, cameras, queries. The layout has no room for a frame's size and
time and for visible shares, and a person's number follows from the ids and the query list
(see :mod:`personsearch.datasets.prw`), so numbers in another order come back in that one.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.io import savemat

from personsearch.datasets.dataset import Split
from personsearch.datasets.prw import camera_of
from personsearch.datasets.prw_files import (
    AMBIGUOUS,
    BOX_VARIABLES,
    FARTHEST,
    FRAME_LISTS,
    FRAMES,
    ID_LISTS,
    QUERIES,
    annotation_of,
    is_plain,
)
from personsearch.errors import DatasetError
from personsearch.files import disk_errors, write_bytes
from personsearch.types import UNLABELLED, Array, Query, Scene

_HEADER = b"MATLAB 5.0 MAT-file, PRW layout, written by personsearch"


@dataclass(frozen=True, eq=False, kw_only=True)
class _Plan:
    """Everything that will be written, complete before the first byte is."""

    rows: dict[str, Array]
    frames: Mapping[Split, list[str]]
    ids: Mapping[Split, list[int]]
    lines: list[str]


def write_prw(
    root: Path,
    *,
    train: Sequence[Scene],
    test: Sequence[Scene],
    queries: Sequence[Query],
    train_ids: Sequence[int] | None = None,
    test_ids: Sequence[int] | None = None,
) -> None:
    """Write ``annotations/``, the lists of frames and ids and ``query_info.txt`` into ``root``.

    Pictures go to ``root/frames``, not from here. The bytes depend on the arguments alone. The
    frame lists are taken away first and written last: a data set that was interrupted while it
    was written is no data set, and the same call completes it.

    Args:
        root: folder of the data set.
        train: pictures to learn from; identities ``0..C-1``.
        test: pictures to search in.
        queries: whom to look for, in test pictures that show them.
        train_ids: PRW's id of each training identity, by number; None: after those of the test half.
        test_ids: PRW's id of each test identity, by number; None: number + 1. An id in both is one
            person, as in the published data.

    Raises:
        DatasetError: the layout cannot hold it: a name that is not ``NAME.jpg`` or does not say
            its scene's camera (:func:`prw_names` makes such names), a name used twice, ignored
            boxes, a box without an end, an identity without an id, or a query for somebody who
            is not in its picture.
    """
    plan = _plan(train, test, queries, train_ids, test_ids)
    with disk_errors(root):
        for split in plan.frames:
            (root / FRAME_LISTS[split][0]).unlink(missing_ok=True)
        (root / FRAMES).mkdir(parents=True, exist_ok=True)
        annotation_of(root, "").parent.mkdir(exist_ok=True)
        for name, rows in plan.rows.items():
            # Two fsyncs a frame would take minutes; the frame lists below make the set whole.
            annotation_of(root, name).write_bytes(_mat(BOX_VARIABLES[0], rows))
    write_bytes(root / QUERIES, "".join(f"{line}\r\n" for line in plan.lines).encode())
    for split, numbers in plan.ids.items():
        file, variable = ID_LISTS[split]
        write_bytes(root / file, _mat(variable, np.array(numbers, np.float64).reshape(1, -1)))
    for split, names in plan.frames.items():
        file, variable = FRAME_LISTS[split]
        cells = np.empty((len(names), 1), object)
        cells[:, 0] = names
        write_bytes(root / file, _mat(variable, cells))


def prw_names(scenes: Sequence[Scene]) -> dict[str, str]:
    """A name in PRW's form for every scene, by its old one: ``c2s1_000007.jpg`` is the 7th of camera 2.

    Cameras keep their number where all of them are numbers of one digit (what other loaders can
    read), and are numbered from 1 in the order of their names otherwise.

    Raises:
        DatasetError: a scene does not say its camera, or two have one name.

    >>> prw_names([Scene("b.png", camera="yard"), Scene("a.png", camera="hall")])
    {'b.png': 'c2s1_000001.jpg', 'a.png': 'c1s1_000001.jpg'}
    """
    unknown = next((scene.name for scene in scenes if scene.camera is None), None)
    if unknown is not None:
        raise DatasetError(
            f"{unknown} does not say its camera", hint="every name in PRW's layout begins with a camera"
        )
    cameras = sorted({str(scene.camera) for scene in scenes})
    keep = all(len(camera) == 1 and camera in "0123456789" for camera in cameras)
    number_of = {camera: camera if keep else str(i) for i, camera in enumerate(cameras, 1)}
    names: dict[str, str] = {}
    counts = dict.fromkeys(cameras, 0)
    for scene in scenes:
        if scene.name in names:
            raise DatasetError(f"two scenes are called {scene.name}", hint="names of pictures must differ")
        counts[str(scene.camera)] += 1
        names[scene.name] = f"c{number_of[str(scene.camera)]}s1_{counts[str(scene.camera)]:06d}.jpg"
    return names


def _plan(
    train: Sequence[Scene],
    test: Sequence[Scene],
    queries: Sequence[Query],
    train_ids: Sequence[int] | None,
    test_ids: Sequence[int] | None,
) -> _Plan:
    """What the files will hold, after every check."""
    test_raw = _ids("test", test_ids, [*_people(test), *(query.person for query in queries)], 1)
    train_raw = _ids("train", train_ids, _people(train), max(test_raw, default=0) + 1)
    rows: dict[str, Array] = {}
    for scenes, raw in ((train, train_raw), (test, test_raw)):
        for scene in scenes:
            if scene.name in rows:
                raise DatasetError(
                    f"two scenes are called {scene.name}", hint="names of pictures must differ"
                )
            rows[scene.name] = _rows(scene, raw)
    return _Plan(
        rows=rows,
        frames={"train": [_stem(s.name) for s in train], "test": [_stem(s.name) for s in test]},
        ids={"train": train_raw, "test": sorted({test_raw[query.person] for query in queries})},
        lines=_lines(test, queries, test_raw),
    )


def _people(scenes: Sequence[Scene]) -> list[int]:
    return [person for scene in scenes for person in scene.people.tolist() if person != UNLABELLED]


def _ids(split: Split, given: Sequence[int] | None, people: Sequence[int], first: int) -> list[int]:
    """The id of every identity of one half, by number."""
    most, least = max(people, default=-1), min(people, default=0)
    ids = list(range(first, first + most + 1)) if given is None else [int(number) for number in given]
    if least < 0 or most >= len(ids):
        raise DatasetError(
            f"{split} identity {least if least < 0 else most} has no id among the {len(ids)} given",
            hint="ids stand in the order of the identities 0, 1, 2 ...",
        )
    if len(set(ids)) != len(ids) or any(not 0 <= number < FARTHEST for number in ids):
        raise DatasetError(f"{split} ids are not different whole numbers from 0", hint="a person has one id")
    return ids


def _rows(scene: Scene, raw_ids: Sequence[int]) -> Array:
    """(n, 5) float64 id, left, top, width, height of one frame."""
    if camera_of(_stem(scene.name) + ".jpg") != scene.camera:
        raise DatasetError(
            f"the name {scene.name} does not say camera {scene.camera}",
            hint="give the pictures names in PRW's form, such as c1s1_000151.jpg",
        )
    if np.any(scene.ignore):
        raise DatasetError(f"{scene.name} has ignored boxes", hint="PRW's layout has no room for them")
    xywh = _finite_xywh(scene.boxes, scene.name)
    ids = [AMBIGUOUS if person == UNLABELLED else raw_ids[person] for person in scene.people.tolist()]
    return np.concatenate([np.array(ids, np.float64).reshape(-1, 1), xywh], axis=1)


def _lines(test: Sequence[Scene], queries: Sequence[Query], raw_ids: Sequence[int]) -> list[str]:
    """The query list, with as many digits as bring every box back as it was."""
    people_of = {scene.name: set(scene.people.tolist()) for scene in test}
    lines = []
    for query in queries:
        if query.person not in people_of.get(query.scene, ()):
            raise DatasetError(
                f"query for person {query.person} in {query.scene}: no test scene of that name shows them",
                hint="a query's picture is a test picture with its person in it",
            )
        numbers = _finite_xywh(query.box[None], f"query in {query.scene}")[0].tolist()
        if min(numbers[2:]) <= 0:
            raise DatasetError(f"query in {query.scene} has an empty box", hint="a query shows somebody")
        words = [f"{number:.17g}" if number % 1 else f"{number:.0f}" for number in numbers]
        lines.append(" ".join([str(raw_ids[query.person]), *words, _stem(query.scene)]))
    return lines


def _finite_xywh(boxes: Array, where: str) -> Array:
    """(n, 4) float64 left, top, width, height; wide enough that adding up gives the same corners again."""
    corners = np.asarray(boxes, np.float64)
    if not (np.abs(corners) < FARTHEST / 2).all():
        raise DatasetError(f"{where}: a box is not finite or beyond any picture", hint="boxes are in pixels")
    return np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1)


def _stem(name: str) -> str:
    """The name without ``.jpg``, if it can be a frame's and a word of the query list."""
    stem = name.removesuffix(".jpg")
    if stem == name or not is_plain(stem) or len(stem.split()) != 1 or stem != stem.strip():
        raise DatasetError(
            f"{name[:60]!r} cannot be the name of a frame", hint="a plain NAME.jpg without spaces"
        )
    return stem


def _mat(variable: str, value: Array) -> bytes:
    """A MATLAB 5 file of one variable, without the date that would make equal data differ."""
    buffer = io.BytesIO()
    savemat(buffer, {variable: value})
    content = bytearray(buffer.getvalue())
    content[:116] = _HEADER.ljust(116)
    return bytes(content)
