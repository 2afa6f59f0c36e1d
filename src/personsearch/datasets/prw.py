"""PRW as its authors distribute it: one MATLAB file of boxes a frame, frame lists, and a text of queries.

Layout: ``frames/NAME.jpg``, ``annotations/NAME.jpg.mat``, ``frame_train.mat`` and ``frame_test.mat``
(names without ``.jpg``), ``ID_train.mat``, ``ID_test.mat``, ``query_info.txt``.

Decided here, because the files leave it open:

- **Coordinates** are left, top, width, height, fractional, a few of them negative. ``"official"``
  is what the field's evaluators make of them, so that numbers compare. An annotated box: each of
  the four raised to 0 at least, then added up, then cut to whole pixels; a box that starts at
  -3 so keeps its width and its right edge moves 3 pixels out. A query: added up first, then cut,
  then raised to 0. The same person's two boxes may therefore differ. ``"exact"`` is what the files say.
- **Identities**: id -2 is a person whom nobody could name. A training person's number is the row in
  ``ID_train.mat`` (0..482 in the published set, whose ids are 1..478, 480..483, 932); without that
  file (its first release had none) the rank of the id among those that occur, which is the same
  there. Test people are numbered in the order in which the query list first names them, then
  everybody else in the test frames by rising id; some of those are training people.
- **A person twice in one frame** stays so: both boxes are right answers, in the order of annotation.
- **A query** is its line: the person is the id that it names, its box its own. Truncation makes three
  published query boxes differ from the annotated one by a pixel, so nothing is matched by box.
- **Times** stay unknown: nobody has documented how the six cameras' frame numbers relate.

Source: Zheng et al., Person Re-identification in the Wild, CVPR 2017, and its release of 2016-04-20.
"""

from __future__ import annotations

import re
from functools import cached_property
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from personsearch.boxes import from_xywh
from personsearch.datasets.dataset import GallerySize, Split, Subset
from personsearch.datasets.prw_files import (
    AMBIGUOUS,
    ANNOTATIONS,
    FRAME_LISTS,
    FRAMES,
    ID_LISTS,
    QUERIES,
    Half,
    Line,
    annotation_of,
    read_half,
    read_ids,
    read_lines,
)
from personsearch.errors import DatasetError, UsageError
from personsearch.protocols import Cameras, camera_trials
from personsearch.types import UNLABELLED, Array, Query, Scene, Trials

Coordinates = Literal["official", "exact"]

_PUBLISHED: dict[Split, int] = {"train": 5704, "test": 6112}
"""Frames of the published set, whose cameras' sizes are known."""


class Prw:
    """The data set in ``root``; each half is read once, when it is first asked for.

    Args:
        root: the folder with ``annotations/``, ``frames/`` and the lists.
        coordinates: ``"official"`` for the field's whole pixels, ``"exact"`` for what the files say.
        queries: the query list: a file in ``root`` (PRW-mini is another such list), or any path.
        name: what to call it in names of protocols.

    Raises:
        DatasetError: a file is missing, damaged or not what the layout says.
        UsageError: there are no such coordinates.
    """

    def __init__(
        self,
        root: Path,
        *,
        coordinates: Coordinates = "official",
        queries: str | Path = QUERIES,
        name: str = "prw",
    ) -> None:
        if coordinates not in get_args(Coordinates):
            raise UsageError(
                f"no coordinates {coordinates!r}", hint=f"one of: {', '.join(get_args(Coordinates))}"
            )
        self._root, self._name = Path(root), name
        self._exact, self._list = coordinates == "exact", self._root / queries
        if not (self._root / ANNOTATIONS).is_dir():
            raise DatasetError(
                f"{self._root} holds no folder 'annotations'",
                hint="give the folder that contains annotations/, frames/ and frame_test.mat",
            )

    @property
    def name(self) -> str:
        """What the data set is called."""
        return self._name

    @property
    def root(self) -> Path:
        """The folder it lies in."""
        return self._root

    @property
    def gallery_sizes(self) -> tuple[int, ...]:
        """None: every query is looked for in all frames, or in those of some cameras."""
        return ()

    def scenes(self, split: Split) -> tuple[Scene, ...]:
        """Every frame of one half with all its people, in the order of the frame list.

        The size is given for the published set, whose cameras are known, and unknown otherwise.

        Raises:
            DatasetError: a file is missing or odd, or a training id is not in ``ID_train.mat``.
        """
        folder = self._root / FRAMES
        if not folder.is_dir():
            raise DatasetError(f"{folder} is missing", hint="the pictures c1s1_000151.jpg ... belong there")
        return self._train_scenes if split == "train" else self._test_scenes

    def trials(self, gallery_size: GallerySize | None = None, *, cameras: Cameras = "all") -> Trials:
        """Every query looked for in all test frames but its own; needs no pictures.

        Args:
            gallery_size: None or ``"full"``; PRW has no smaller galleries.
            cameras: ``"all"`` is the field's regular gallery, ``"other"`` its multi-view one.

        Raises:
            UsageError: a gallery size is asked for, there is no such choice of cameras, or frames
                do not name their camera.
            DatasetError: a file is missing or odd, a query lies in no test frame, or its person does
                not appear there.
        """
        if gallery_size not in (None, "full"):
            raise UsageError(
                f"{self._name} has no galleries of {gallery_size} pictures",
                hint="it has 'full' only, of cameras all, same or other",
            )
        parts = [self._name, "gallery=full", f"cameras={cameras}"]
        parts += ["coordinates=exact"] * self._exact
        parts += [f"queries={self._list.name}"] * (self._list.name != QUERIES)
        return camera_trials(" ".join(parts), self._test_scenes, self.queries(), cameras)

    def subset_trials(self, subset: Subset) -> Trials:
        """Never: PRW defines neither occluded nor small queries.

        Raises:
            UsageError: always.
        """
        raise UsageError(
            f"{self._name} has no subset {subset!r}",
            hint="low resolution and occlusion are subsets of CUHK-SYSU's queries; PRW defines none",
        )

    def queries(self) -> tuple[Query, ...]:
        """The query list, in its order.

        Raises:
            DatasetError: a line is odd, its frame is no test frame, or its person is not in it.
        """
        half, numbers = self._test, {raw: number for number, raw in enumerate(self._test_ids.tolist())}
        row_of = {name: row for row, name in enumerate(half.names)}
        corners = _corners_of_query_xywh(np.array([line.xywh for line in self._lines]), exact=self._exact)
        queries = []
        for line, box in zip(self._lines, corners, strict=True):
            where = f"{self._list} line {line.number}"
            row = row_of.get(f"{line.frame}.jpg")
            if row is None:
                raise DatasetError(
                    f"{where}: {line.frame} is not in {FRAME_LISTS['test'][0]}",
                    hint="a query lies in a test frame; are the files of one set?",
                )
            if line.person not in half.ids[half.ptr[row] : half.ptr[row + 1]]:
                raise DatasetError(
                    f"{where}: person {line.person} is not annotated in {line.frame}",
                    hint="are the query list and annotations/ of one set?",
                )
            queries.append(Query(f"{line.frame}.jpg", box, numbers[line.person]))
        return tuple(queries)

    def raw_ids(self, split: Split) -> Array:
        """(n,) int64: PRW's own id of each person's number, for writers and checkers."""
        return self._train_ids if split == "train" else self._test_ids

    def listed_ids(self, split: Split) -> tuple[int, ...] | None:
        """What ``ID_train.mat`` or ``ID_test.mat`` lists, None without the file.

        Raises:
            DatasetError: the file is damaged, or does not hold different whole numbers.
        """
        return read_ids(self._root, split)

    @cached_property
    def _train(self) -> Half:
        return read_half(self._root, "train")

    @cached_property
    def _test(self) -> Half:
        return read_half(self._root, "test")

    @cached_property
    def _train_scenes(self) -> tuple[Scene, ...]:
        return self._scenes("train", self._train, self._train_ids)

    @cached_property
    def _test_scenes(self) -> tuple[Scene, ...]:
        return self._scenes("test", self._test, self._test_ids)

    @cached_property
    def _train_ids(self) -> Array:
        half, listed = self._train, self.listed_ids("train")
        found = np.unique(half.ids[half.ids != AMBIGUOUS])
        if listed is None:
            return found
        unknown = ~np.isin(half.ids, [AMBIGUOUS, *listed])
        if unknown.any():
            row = int(np.argmax(unknown))
            path = annotation_of(self._root, half.frame_of(row))
            raise DatasetError(
                f"{path}: id {half.ids[row]} is not in {ID_LISTS['train'][0]}",
                hint="every training person is listed there; are the files of one set?",
            )
        return np.array(listed, np.int64)

    @cached_property
    def _test_ids(self) -> Array:
        queried = list(dict.fromkeys(line.person for line in self._lines))
        found = np.unique(self._test.ids[self._test.ids != AMBIGUOUS])
        return np.array([*queried, *np.setdiff1d(found, queried).tolist()], np.int64)

    @cached_property
    def _lines(self) -> tuple[Line, ...]:
        return read_lines(self._list)

    def _scenes(self, split: Split, half: Half, raw_ids: Array) -> tuple[Scene, ...]:
        order = np.argsort(raw_ids)
        people = np.full(len(half.ids), UNLABELLED, np.int64)
        named = half.ids != AMBIGUOUS
        people[named] = order[np.searchsorted(raw_ids[order], half.ids[named])]
        boxes = _corners_of_annotated_xywh(half.xywh, exact=self._exact)
        published = len(half.names) == _PUBLISHED[split]
        scenes = []
        for name, start, stop in zip(half.names, half.ptr[:-1].tolist(), half.ptr[1:].tolist(), strict=True):
            camera = camera_of(name)
            size = ((720, 576) if camera == "6" else (1920, 1080)) if published else None
            path = self._root / FRAMES / name
            rows = slice(start, stop)
            scenes.append(
                Scene(name, path=path, size=size, boxes=boxes[rows], people=people[rows], camera=camera)
            )
        return tuple(scenes)


def camera_of(name: str) -> str | None:
    """The camera that a frame's name says: the number after the leading "c"; None without one.

    >>> camera_of("c6s1_000151.jpg"), camera_of("street.jpg")
    ('6', None)
    """
    found = re.match(r"c([0-9]+)[^0-9]", name)
    return found[1] if found else None


def _corners_of_annotated_xywh(xywh: Array, *, exact: bool) -> Array:
    """(n, 4) float32 corners of annotated boxes (see the module)."""
    if exact:
        return from_xywh(xywh)
    raised = np.maximum(xywh, 0)
    corners: Array = np.trunc(np.concatenate([raised[:, :2], raised[:, :2] + raised[:, 2:]], axis=1))
    return corners.astype(np.float32)


def _corners_of_query_xywh(xywh: Array, *, exact: bool) -> Array:
    """(n, 4) float32 corners of query boxes (see the module)."""
    boxes = xywh.reshape(-1, 4)
    if exact:
        return from_xywh(boxes)
    corners: Array = np.trunc(np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1))
    return np.maximum(corners, 0).astype(np.float32)
