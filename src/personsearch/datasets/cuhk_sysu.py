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
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np

from personsearch.boxes import from_xywh
from personsearch.datasets.cache import cached
from personsearch.datasets.cuhk_sysu_layout import (
    CUHK_SYSU,
    ENTRY_FIELDS,
    PERSON_FIELDS,
    Layout,
    picture_name,
)
from personsearch.datasets.cuhk_sysu_tables import Pictures, Searches, read_pictures, read_searches
from personsearch.datasets.dataset import GallerySize, Split, Subset
from personsearch.datasets.matlab import Cell, box_xywh, columns, read_variable
from personsearch.errors import DatasetError, UsageError
from personsearch.protocols import Cameras, full_gallery
from personsearch.types import UNLABELLED, Array, Scene, Trials

PICTURES, SUBSETS = CUHK_SYSU.pictures, CUHK_SYSU.subsets

_FORM = 2  # of what the cache keeps; raised when it, or what is read from a file, changes

BoxNumbers = tuple[float, ...]
BoxKey = tuple[str, BoxNumbers]
"""A box as identities are attached to it: picture, and left, top, width, height."""


class CuhkSysu:
    """The data set in ``root``; each file is read when first asked for (training needs no TestG4000).

    What was read from large files is kept outside the data set (``datasets/cache.py``).

    Args:
        root: the folder with ``annotation/`` and ``Image/SSM/``.
        name: what to call it in names of protocols.
        layout: names of files and folders, where they are other than CUHK-SYSU's.

    Raises:
        DatasetError: a file is missing, damaged or not what the layout says.
    """

    def __init__(self, root: Path, name: str = "cuhk-sysu", layout: Layout = CUHK_SYSU) -> None:
        self._root, self._name, self._layout = Path(root), name, layout
        if not (self._root / layout.annotation).is_dir():
            raise DatasetError(
                f"{self._root} holds no folder '{layout.annotation}'",
                hint=f"give the folder that contains {layout.annotation}/ and {layout.pictures}/",
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
    def layout(self) -> Layout:
        """Names of its files and folders."""
        return self._layout

    @cached_property
    def gallery_sizes(self) -> tuple[int, ...]:
        """Sizes of the TestG files on disk, smallest first."""
        found = (
            re.fullmatch(r"TestG([1-9]\d{0,8})\.mat", path.name)
            for path in (self._root / self._layout.protocols).glob("*.mat")
        )
        return tuple(sorted(int(match[1]) for match in found if match))

    def scenes(self, split: Split) -> tuple[Scene, ...]:
        """Every picture of one half with all its people: test in the order of ``pool.mat``.

        Training pictures are those of ``Images.mat`` that ``pool.mat`` does not name, in the order
        of ``Images.mat``. Boxes without width or height are left out.

        Raises:
            DatasetError: a file is missing or odd, or an identity points to a box that is not there.
        """
        folder = self._root / self._layout.pictures
        if not folder.is_dir():
            raise DatasetError(f"{folder} is missing", hint="the pictures s1.jpg, s2.jpg ... belong there")
        people = self._train_people if split == "train" else self._test_people
        self._check_known(people, split)
        listed = {name for name, _ in people}
        pictures = self._pictures
        bounds = pictures.box_ptr.tolist()
        row_of = {name: row for row, name in enumerate(pictures.names)}
        wanted = self._pool if split == "test" else [n for n in pictures.names if n not in self._pool]
        return tuple(
            self._scene(name, pictures.box[bounds[row_of[name]] : bounds[row_of[name] + 1]], people)
            for name in wanted
            if split == "test" or name in listed or not self._layout.train_listed
        )

    def left_out(self, split: Split) -> dict[str, int]:
        """By name of a picture how many of its boxes have no area, and are therefore in no scene."""
        counts = zip(self._pictures.names, self._pictures.empty.tolist(), strict=True)
        return {name: n for name, n in counts if n and (name in self._pool) == (split == "test")}

    def trials(self, gallery_size: GallerySize | None = None, *, cameras: Cameras = "all") -> Trials:
        """The searches of ``TestG{gallery_size}.mat``; repeats and own pictures are kept as given.

        ``Trials.scenes`` names the whole test half in the order of ``scenes("test")``. Test
        identity is the index of the query (queries with the same ``idname`` share the first's).

        Args:
            gallery_size: a size on disk; ``"full"``: the smallest of them, then all other test
                pictures; None: the size that the field compares by (100).
            cameras: only "all", the data set does not tell cameras.

        Raises:
            UsageError: there is no such gallery size, or cameras are asked for.
            DatasetError: the file is damaged, odd, or disagrees with the other files.
        """
        if cameras != "all":
            raise UsageError(
                f"{self._name} does not tell which camera took a picture", hint="use cameras 'all'"
            )
        if gallery_size == "full":
            return full_gallery(self.trials(self._smallest()), f"{self._name} gallery=full")
        size = self._layout.gallery_size if gallery_size is None else gallery_size
        if size not in self.gallery_sizes:
            sizes = ", ".join(map(str, self.gallery_sizes)) or "none"
            raise UsageError(f"{self._root} has no TestG{size}.mat", hint=f"gallery sizes there: {sizes}")
        searches, first = self._gallery(size), self._gallery(self.gallery_sizes[0])
        if not searches.same_queries(first):
            raise DatasetError(
                f"TestG{size}.mat and TestG{self.gallery_sizes[0]}.mat list different queries",
                hint="a test identity is the index of its query, which all TestG files must share",
            )
        if self._layout.pools_differ:
            self._check_pool(size, searches)
        return self._trials(f"{self._name} gallery={size}", searches, _identities(searches.query_id))

    def subset_trials(self, subset: Subset) -> Trials:
        """The searches of ``Occlusion.mat`` or ``Resolution.mat``.

        A query's identity is that of its box in the test half, or of its ``idname`` there;
        a person whom the test half does not know stays ``UNLABELLED``.

        Raises:
            UsageError: there is no such subset.
            DatasetError: the file is missing, damaged or odd.
        """
        subsets = self._layout.subsets
        if subset not in subsets:
            known = f"one of: {', '.join(subsets)}" if subsets else f"{self._name} has no subsets"
            raise UsageError(f"there is no subset {subset!r}", hint=known)
        path, variable = subsets[subset]
        searches = self._searches(path, variable)
        first = self._gallery(self._smallest())
        named = dict(zip(first.query_id, _identities(first.query_id), strict=True))
        boxes = map(tuple, searches.query_box.tolist())
        people = [
            self._test_people.get((name, box), named.get(idname, UNLABELLED) if idname else UNLABELLED)
            for name, box, idname in zip(searches.query_names(), boxes, searches.query_id, strict=True)
        ]
        return self._trials(f"{self._name} {subset}", searches, people)

    @cached_property
    def _pictures(self) -> Pictures:
        path = self._root / self._layout.images
        return cached([path], f"cuhk-pictures-{_FORM}", Pictures, lambda: read_pictures(path))

    def _searches(self, path: Path, variable: str) -> Searches:
        whole = self._root / path
        kind = f"cuhk-searches-{variable}-{_FORM}"
        return cached([whole], kind, Searches, lambda: read_searches(whole, variable))

    @cached_property
    def _pool(self) -> dict[str, int]:
        """Names of the test pictures and their row in ``scenes("test")``."""
        names = self._pictures.names
        if not self._layout.pools_differ:
            named = self._named_by_pool(self._layout.pool_of(0))
        else:
            pools = [self._named_by_pool(self._layout.pool_of(size)) for size in self.gallery_sizes]
            others = set().union(self._gallery(self._smallest()).query_names(), *pools)
            named = {name: None for name in names if name in others}  # no one pool gives their order
        unknown = sorted(named.keys() - set(names))
        if unknown:
            raise DatasetError(
                f"{Path(self._layout.pool).name} names {unknown[0]}, which Images.mat lacks",
                hint="are both of one set?",
            )
        return {name: row for row, name in enumerate(named)}

    def _named_by_pool(self, path: Path) -> dict[str, None]:
        """Names in a pool file, in its order."""
        cells = read_variable(self._root / path, "pool")
        if not isinstance(cells, Cell):
            raise DatasetError(f"{path.name} is not a cell array", hint="is this the official layout?")
        return {picture_name(value, path.name): None for value in cells}

    @cached_property
    def _train_people(self) -> dict[BoxKey, int]:
        path = self._root / self._layout.protocols / self._layout.train
        (people,) = columns(read_variable(path, "Train"), ("scene",), path.name, PERSON_FIELDS)
        labels: dict[BoxKey, int] = {}
        for person, appearances in enumerate(people):
            where = f"{path.name} person {person}"
            names, located = columns(appearances, ("imname", "idlocate"), where, ENTRY_FIELDS)
            for raw_name, value in zip(names, located, strict=True):
                name = picture_name(raw_name, f"{where} imname")
                _label(labels, name, box_xywh(value, f"{where} idlocate in {name}"), person)
        return labels

    @cached_property
    def _test_people(self) -> dict[BoxKey, int]:
        searches = self._gallery(self._smallest())
        people = _identities(searches.query_id)
        labels: dict[BoxKey, int] = {}
        for name, box, person in zip(
            searches.query_names(), searches.query_box.tolist(), people, strict=True
        ):
            _label(labels, name, tuple(box), person)
        query = np.searchsorted(searches.entry_ptr, searches.truth_entry, side="right") - 1
        rows = searches.entry_name[searches.truth_entry].tolist()
        for row, box, i in zip(rows, searches.truth_box.tolist(), query.tolist(), strict=True):
            _label(labels, searches.names[row], tuple(box), people[i])
        return labels

    @cached_property
    def _visible(self) -> dict[str, dict[tuple[float, ...], float]]:
        """Visible share by picture and corner box, from our own sidecar file, where there is one."""
        path = self._root / self._layout.visible
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
    def _galleries(self) -> dict[int, Searches]:
        return {}

    def _gallery(self, size: int) -> Searches:
        """TestG file of ``size``; only the smallest, which names the people, is kept in memory."""
        if size not in self._galleries:
            searches = self._searches(self._layout.gallery(size), f"TestG{size}")
            if size != self.gallery_sizes[0]:
                return searches
            self._galleries[size] = searches
        return self._galleries[size]

    def _smallest(self) -> int:
        if not self.gallery_sizes:
            raise DatasetError(
                f"{self._root / self._layout.protocols} holds no TestG file",
                hint=f"TestG{self._layout.gallery_size}.mat and its like belong there",
            )
        return self.gallery_sizes[0]

    def _check_pool(self, size: int, searches: Searches) -> None:
        """All gallery pictures are of this size's own pool (queries may come from elsewhere)."""
        path = self._layout.pool_of(size)
        named = self._named_by_pool(path)
        for row in np.unique(searches.entry_name).tolist():
            if searches.names[row] not in named:
                raise DatasetError(
                    f"TestG{size}.mat names the picture {searches.names[row]}, which {path.name} lacks",
                    hint="are both of one set?",
                )

    def _check_known(self, people: dict[BoxKey, int], split: Split) -> None:
        """Everybody with a name is a box of ``Images.mat`` in the right half."""
        pictures = self._pictures
        owners = np.repeat(np.arange(len(pictures.names)), np.diff(pictures.box_ptr)).tolist()
        rows = zip(owners, map(tuple, pictures.box.tolist()), strict=True)
        known = {(pictures.names[owner], box) for owner, box in rows}
        file = Path(self._layout.train).name if split == "train" else f"TestG{self._smallest()}.mat"
        for name, box in people:
            if (name, box) not in known:
                numbers = ",".join(f"{value:g}" for value in box)
                raise DatasetError(
                    f"{file}: {split} person {people[name, box]}: "
                    f"box {numbers} of {name} is not in Images.mat",
                    hint="identities are attached by exact equality of x,y,w,h; are the files of one set?",
                )
            if (name in self._pool) != (split == "test"):
                raise DatasetError(
                    f"{file}: {split} person {people[name, box]} is in {name}, a picture of the other half",
                    hint="pool.mat names the test pictures; are the files of one set?",
                )

    def _scene(self, name: str, boxes: Array, people: dict[BoxKey, int]) -> Scene:
        corners = from_xywh(boxes)
        shares = self._visible.get(name, {})
        return Scene(
            name,
            path=self._root / self._layout.pictures / name,
            boxes=corners,
            people=np.array([people.get((name, tuple(box)), UNLABELLED) for box in boxes.tolist()], np.int64),
            visible=np.array([shares.get(tuple(box), np.nan) for box in corners.tolist()], np.float32),
        )

    def _trials(self, name: str, searches: Searches, people: Sequence[int]) -> Trials:
        row_of = self._pool
        rows = np.array([row_of.get(picture, -1) for picture in searches.names], np.int32)
        if (rows < 0).any():
            raise DatasetError(
                f"{name} names the picture {searches.names[int(np.argmin(rows))]}, "
                f"which {Path(self._layout.pool).name} lacks",
                hint="are both of one set?",
            )
        entries = len(searches.entry_name)
        truths = np.zeros(entries + 1, np.int64)
        truths[searches.truth_entry + 1] = 1
        return Trials(
            name=name,
            scenes=tuple(row_of),
            query_scene=rows[searches.query_name],
            query_box=from_xywh(searches.query_box),
            query_person=np.array(people, np.int64),
            entry_ptr=searches.entry_ptr,
            entry_scene=rows[searches.entry_name],
            truth_ptr=np.cumsum(truths, out=truths),
            truth_box=from_xywh(searches.truth_box),
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


def _identities(names: Sequence[str]) -> list[int]:
    """Index of the query, or of the first query of the same name.

    >>> _identities(["p7", "p3", "p7", "", ""])
    [0, 1, 0, 3, 4]
    """
    first: dict[str, int] = {}
    return [first.setdefault(name, row) if name else row for row, name in enumerate(names)]
