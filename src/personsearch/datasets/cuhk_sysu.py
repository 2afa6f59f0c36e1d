"""CUHK-SYSU as its authors distribute it: pictures, annotation and gallery protocols in MATLAB files.

Boxes are stored as left, top, width, height and used as they are, as every loader of the
field does (no 1-based shift). Identity is attached to a box by exact equality of the four
numbers with a box of the same picture in ``Images.mat``. In the published data every
query and every positive has such an equal (2,900 + 5,447 boxes, of which 2 are the same
box twice, are the 8,345 labelled test boxes), so one without is an error here, never a
person who silently loses the name.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from personsearch.boxes import from_xywh
from personsearch.datasets.dataset import Split, Subset
from personsearch.datasets.matlab import Struct, box_xywh, columns, read_variable, text
from personsearch.errors import DatasetError, UsageError
from personsearch.types import UNLABELLED, Array, Scene, Trials

PICTURES = Path("Image/SSM")
ANNOTATION = Path("annotation")
PROTOCOLS = ANNOTATION / "test/train_test"
VISIBLE = ANNOTATION / "visible.npz"
SUBSETS: dict[Subset, tuple[Path, str]] = {
    "occlusion": (ANNOTATION / "test/subset/Occlusion.mat", "Occlusion1"),
    "low-resolution": (ANNOTATION / "test/subset/Resolution.mat", "Test_Size"),
}

BoxNumbers = tuple[float, ...]
BoxKey = tuple[str, BoxNumbers]
"""A box as identities are attached to it: picture, and left, top, width, height."""


@dataclass(frozen=True, eq=False, kw_only=True)
class _Protocol:
    """One TestG file, flattened: names and left-top-width-height boxes, entries of all queries in a row."""

    query_names: list[str]
    query_boxes: list[BoxNumbers]
    query_ids: list[str]
    entry_ptr: Array
    entry_names: list[str]
    truth_ptr: Array
    truth_boxes: list[BoxNumbers]


class CuhkSysu:
    """The data set in ``root``; each file is read when first asked for (training needs no TestG4000).

    Args:
        root: the folder with ``annotation/`` and ``Image/SSM/``.
        name: what to call it in names of protocols.

    Raises:
        DatasetError: a file is missing, damaged or not what the layout says.
    """

    def __init__(self, root: Path, name: str = "cuhk-sysu") -> None:
        self._root, self._name = Path(root), name
        if not (self._root / ANNOTATION).is_dir():
            raise DatasetError(
                f"{self._root} holds no folder 'annotation'",
                hint="give the folder that contains annotation/ and Image/SSM/",
            )

    @property
    def name(self) -> str:
        """What the data set is called."""
        return self._name

    @property
    def root(self) -> Path:
        """The folder it lies in."""
        return self._root

    @cached_property
    def gallery_sizes(self) -> tuple[int, ...]:
        """Sizes of the TestG files on disk, smallest first."""
        found = (
            re.fullmatch(r"TestG(\d+)\.mat", path.name) for path in (self._root / PROTOCOLS).glob("*.mat")
        )
        return tuple(sorted(int(match[1]) for match in found if match))

    def scenes(self, split: Split) -> tuple[Scene, ...]:
        """Every picture of one half with all its people, in the order of ``Images.mat``.

        Training pictures are those of ``Images.mat`` that ``pool.mat`` does not name. Boxes
        without width or height are left out.

        Raises:
            DatasetError: a file is missing or odd, or an identity points to a box that is not there.
        """
        folder = self._root / PICTURES
        if not folder.is_dir():
            raise DatasetError(f"{folder} is missing", hint="the pictures s1.jpg, s2.jpg ... belong there")
        people = self._train_people if split == "train" else self._test_people
        self._check_known(people, split)
        return tuple(
            self._scene(name, boxes, people)
            for name, boxes in self._images.items()
            if (name in self._pool) == (split == "test")
        )

    def trials(self, gallery_size: int = 100) -> Trials:
        """The searches of ``TestG{gallery_size}.mat``; repeats and own pictures are kept as given.

        ``Trials.scenes`` names the whole test half in the order of ``scenes("test")``. Test
        identity is the index of the query (queries with the same ``idname`` share the first's).

        Raises:
            UsageError: there is no such gallery size.
            DatasetError: the file is damaged, odd, or disagrees with the other files.
        """
        if gallery_size not in self.gallery_sizes:
            sizes = ", ".join(map(str, self.gallery_sizes)) or "none"
            raise UsageError(
                f"{self._root} has no TestG{gallery_size}.mat", hint=f"gallery sizes there: {sizes}"
            )
        protocol, first = self._gallery(gallery_size), self._gallery(self.gallery_sizes[0])
        if (protocol.query_names, protocol.query_boxes) != (first.query_names, first.query_boxes):
            raise DatasetError(
                f"TestG{gallery_size}.mat and TestG{self.gallery_sizes[0]}.mat list different queries",
                hint="a test identity is the index of its query, which all TestG files must share",
            )
        return self._trials(f"{self._name} gallery={gallery_size}", protocol, _identities(protocol.query_ids))

    def subset_trials(self, subset: Subset) -> Trials:
        """The searches of ``Occlusion.mat`` or ``Resolution.mat``.

        A query's identity is that of its box in the test half, or of its ``idname`` there;
        a person whom the test half does not know stays ``UNLABELLED``.

        Raises:
            UsageError: there is no such subset.
            DatasetError: the file is missing, damaged or odd.
        """
        if subset not in SUBSETS:
            raise UsageError(f"there is no subset {subset!r}", hint=f"one of: {', '.join(SUBSETS)}")
        path, variable = SUBSETS[subset]
        protocol = _read_protocol(self._root / path, variable)
        first = self._gallery(self._smallest())
        named = dict(zip(first.query_ids, _identities(first.query_ids), strict=True))
        people = [
            self._test_people.get((name, box), named.get(idname, UNLABELLED) if idname else UNLABELLED)
            for name, box, idname in zip(
                protocol.query_names, protocol.query_boxes, protocol.query_ids, strict=True
            )
        ]
        return self._trials(f"{self._name} {subset}", protocol, people)

    @cached_property
    def _images(self) -> dict[str, Array]:
        """Per picture the (n, 4) float64 left-top-width-height boxes that have an area."""
        path = self._root / ANNOTATION / "Images.mat"
        names, boxes = columns(read_variable(path, "Img"), ("imname", "box"), path.name)
        images: dict[str, Array] = {}
        for raw_name, raw_boxes in zip(names, boxes, strict=True):
            name = text(raw_name, path.name)
            if name in images:
                raise DatasetError(f"{path.name} lists {name} twice", hint="names of pictures must differ")
            (located,) = columns(raw_boxes, ("idlocate",), f"{path.name}: {name}")
            rows = [box for value in located if len(box := box_xywh(value, name))]
            table = np.array(rows, dtype=np.float64).reshape(-1, 4)
            images[name] = table[(table[:, 2] > 0) & (table[:, 3] > 0)]
        return images

    @cached_property
    def _pool(self) -> dict[str, int]:
        """Names of the test pictures and their row in ``scenes("test")``."""
        path = self._root / ANNOTATION / "pool.mat"
        cells = read_variable(path, "pool")
        if not isinstance(cells, list):
            raise DatasetError(f"{path.name} is not a cell array", hint="is this the official layout?")
        names = {text(value, path.name) for value in cells}
        unknown = sorted(names - self._images.keys())
        if unknown:
            raise DatasetError(
                f"pool.mat names {unknown[0]}, which Images.mat lacks", hint="are both of one set?"
            )
        return {name: row for row, name in enumerate(name for name in self._images if name in names)}

    @cached_property
    def _train_people(self) -> dict[BoxKey, int]:
        path = self._root / PROTOCOLS / "Train.mat"
        (people,) = columns(read_variable(path, "Train"), ("scene",), path.name)
        labels: dict[BoxKey, int] = {}
        for person, appearances in enumerate(people):
            names, located = columns(appearances, ("imname", "idlocate"), path.name)
            for raw_name, value in zip(names, located, strict=True):
                name = text(raw_name, path.name)
                _label(labels, name, box_xywh(value, name), person)
        return labels

    @cached_property
    def _test_people(self) -> dict[BoxKey, int]:
        protocol = self._gallery(self._smallest())
        labels: dict[BoxKey, int] = {}
        for i, person in enumerate(_identities(protocol.query_ids)):
            _label(labels, protocol.query_names[i], protocol.query_boxes[i], person)
            for entry in range(protocol.entry_ptr[i], protocol.entry_ptr[i + 1]):
                for row in range(protocol.truth_ptr[entry], protocol.truth_ptr[entry + 1]):
                    _label(labels, protocol.entry_names[entry], protocol.truth_boxes[row], person)
        return labels

    @cached_property
    def _visible(self) -> dict[str, dict[tuple[float, ...], float]]:
        """Visible share by picture and corner box, from our own sidecar file, where there is one."""
        path = self._root / VISIBLE
        shares: dict[str, dict[tuple[float, ...], float]] = {}
        if not path.is_file():
            return shares
        try:
            with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
                names, boxes, visible = file["name"], file["box"].reshape(-1, 4), file["visible"]
            for name, box, share in zip(names.tolist(), boxes.tolist(), visible.tolist(), strict=True):
                shares.setdefault(name, {})[tuple(box)] = share
        except Exception as error:  # zip, header and shape errors of a damaged file are many; all mean this
            raise DatasetError(
                f"{path} is damaged: {type(error).__name__}", hint="remove it, or make the data set again"
            ) from error
        return shares

    @cached_property
    def _galleries(self) -> dict[int, _Protocol]:
        return {}

    def _gallery(self, size: int) -> _Protocol:
        """TestG file of ``size``; only the smallest, which names the people, is kept in memory."""
        if size not in self._galleries:
            protocol = _read_protocol(self._root / PROTOCOLS / f"TestG{size}.mat", f"TestG{size}")
            if size != self.gallery_sizes[0]:
                return protocol
            self._galleries[size] = protocol
        return self._galleries[size]

    def _smallest(self) -> int:
        if not self.gallery_sizes:
            raise DatasetError(
                f"{self._root / PROTOCOLS} holds no TestG file", hint="TestG50.mat and its like belong there"
            )
        return self.gallery_sizes[0]

    def _check_known(self, people: dict[BoxKey, int], split: Split) -> None:
        """Everybody with a name is a box of ``Images.mat`` in the right half."""
        known = {(name, tuple(box)) for name, boxes in self._images.items() for box in boxes.tolist()}
        for name, box in people:
            if (name, box) not in known:
                numbers = ",".join(f"{value:g}" for value in box)
                raise DatasetError(
                    f"{split} person {people[name, box]}: box {numbers} of {name} is not in Images.mat",
                    hint="identities are attached by exact equality of x,y,w,h; are the files of one set?",
                )
            if (name in self._pool) != (split == "test"):
                raise DatasetError(
                    f"{split} person {people[name, box]} appears in {name}, a picture of the other half",
                    hint="pool.mat names the test pictures; are the files of one set?",
                )

    def _scene(self, name: str, boxes: Array, people: dict[BoxKey, int]) -> Scene:
        corners = from_xywh(boxes)
        shares = self._visible.get(name, {})
        return Scene(
            name,
            path=self._root / PICTURES / name,
            boxes=corners,
            people=np.array([people.get((name, tuple(box)), UNLABELLED) for box in boxes.tolist()], np.int64),
            visible=np.array([shares.get(tuple(box), np.nan) for box in corners.tolist()], np.float32),
        )

    def _trials(self, name: str, protocol: _Protocol, people: list[int]) -> Trials:
        row_of = self._pool
        try:
            query_scene = np.fromiter((row_of[scene] for scene in protocol.query_names), np.int32)
            entry_scene = np.fromiter((row_of[scene] for scene in protocol.entry_names), np.int32)
        except KeyError as error:
            raise DatasetError(
                f"{name} names the picture {error.args[0]}, which pool.mat lacks", hint="are both of one set?"
            ) from error
        entries = len(entry_scene)
        return Trials(
            name=name,
            scenes=tuple(row_of),
            query_scene=query_scene,
            query_box=from_xywh(np.array(protocol.query_boxes).reshape(-1, 4)),
            query_person=np.array(people, np.int64),
            entry_ptr=protocol.entry_ptr,
            entry_scene=entry_scene,
            truth_ptr=protocol.truth_ptr,
            truth_box=from_xywh(np.array(protocol.truth_boxes).reshape(-1, 4)),
            ignore_ptr=np.zeros(entries + 1, np.int64),
            ignore_box=np.zeros((0, 4), np.float32),
        )


def _label(labels: dict[BoxKey, int], name: str, box: BoxNumbers, person: int) -> None:
    """Give a box its person; a box of no size is nobody, a box of two people is an error."""
    if len(box) == 0 or box[2] <= 0 or box[3] <= 0:
        return
    key = (name, box)
    if labels.setdefault(key, person) != person:
        numbers = ",".join(f"{value:g}" for value in key[1])
        raise DatasetError(
            f"box {numbers} of {name} belongs to two people, {labels[key]} and {person}",
            hint="one box is one person; mend the annotation",
        )


def _identities(names: list[str]) -> list[int]:
    """Index of the query, or of the first query of the same name.

    >>> _identities(["p7", "p3", "p7", "", ""])
    [0, 1, 0, 3, 4]
    """
    first: dict[str, int] = {}
    return [first.setdefault(name, row) if name else row for row, name in enumerate(names)]


def _read_protocol(path: Path, variable: str) -> _Protocol:
    """A TestG or subset file, flattened; positives may stand anywhere among the entries."""
    queries, galleries = columns(read_variable(path, variable), ("Query", "Gallery"), path.name)
    query_names, query_boxes, query_ids = [], [], []
    entry_names: list[str] = []
    entry_ptr, truth_ptr, truth_boxes = [0], [0], []
    for number, (query, gallery) in enumerate(zip(queries, galleries, strict=True)):
        where = f"{path.name} query {number}"
        has_id = isinstance(query, Struct) and "idname" in query.columns
        fields = ("imname", "idlocate", *(("idname",) if has_id else ()))
        found = columns(query, fields, where)
        if len(found[0]) != 1 or len(box := box_xywh(found[1][0], where)) != 4:
            raise DatasetError(f"{where} is not one box in one picture", hint="is this the official layout?")
        query_names.append(text(found[0][0], where))
        query_boxes.append(box)
        query_ids.append(text(found[2][0], where) if has_id else "")
        names, located = columns(gallery, ("imname", "idlocate"), where)
        for raw_name, value in zip(names, located, strict=True):
            entry_names.append(text(raw_name, where))
            if box := box_xywh(value, where):
                truth_boxes.append(box)
            truth_ptr.append(len(truth_boxes))
        entry_ptr.append(len(entry_names))
    return _Protocol(
        query_names=query_names,
        query_boxes=query_boxes,
        query_ids=query_ids,
        entry_ptr=np.array(entry_ptr, np.int64),
        entry_names=entry_names,
        truth_ptr=np.array(truth_ptr, np.int64),
        truth_boxes=truth_boxes,
    )
