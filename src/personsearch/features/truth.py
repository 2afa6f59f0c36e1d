"""The annotation inside a features file: its pictures and the searches of its protocols."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np

from personsearch.errors import UsageError
from personsearch.features.columns import Columns, column_pointers, text_of
from personsearch.features.table import read_meta
from personsearch.features.truth_writer import CUHK, FULL, PRW, queries_of
from personsearch.protocols import Cameras, camera_trials, full_gallery
from personsearch.types import Array, Scene, Trials

USUAL_SIZE = 100
"""Gallery that is meant where galleries are listed and none is named: the field's."""

_REQUIRED = ("gt_ptr", "gt_box", "gt_pid")


@dataclass(frozen=True, eq=False, kw_only=True)
class Truth:
    """What a self-contained features file knows of the truth; galleries are read when they are asked for.

    Attributes:
        path: the file.
        name: of the data set.
        kind: ``"cuhk"``: galleries are listed, and the full one adds every other picture;
            ``"prw"``: a query is looked for in every picture but its own, or of some cameras.
        gallery_sizes: of the listed galleries, smallest first.
        names: of all pictures.
        cameras: of each picture, or None.
        sizes: (N, 2) int32 width and height, 0 where unknown.
        gt_ptr, gt_box, gt_pid: people in the pictures, as CSR.
        gt_ignore, gt_visible: (G,) as in :class:`~personsearch.types.Scene`.
        query_scene, query_box, query_person: whom the searches look for.
    """

    path: Path
    name: str
    kind: str
    gallery_sizes: tuple[int, ...]
    names: tuple[str, ...]
    cameras: tuple[str | None, ...]
    sizes: Array
    gt_ptr: Array
    gt_box: Array
    gt_pid: Array
    gt_ignore: Array
    gt_visible: Array
    query_scene: Array
    query_box: Array
    query_person: Array
    lists_full: bool

    def scenes(self, split: Literal["test"] = "test") -> tuple[Scene, ...]:
        """Every picture of the file, annotated, in its order.

        Raises:
            UsageError: the training half is asked for, which is not in the file.
        """
        if split != "test":
            raise UsageError(f"{self.path} holds no {split} pictures", hint="give the data set itself")
        return self._scenes

    @cached_property
    def _scenes(self) -> tuple[Scene, ...]:
        found = []
        for i, name in enumerate(self.names):
            rows = slice(self.gt_ptr[i], self.gt_ptr[i + 1])
            width, height = self.sizes[i].tolist()
            found.append(
                Scene(
                    name,
                    size=(width, height) if width > 0 and height > 0 else None,
                    boxes=self.gt_box[rows],
                    people=self.gt_pid[rows],
                    visible=self.gt_visible[rows],
                    ignore=self.gt_ignore[rows],
                    camera=self.cameras[i],
                )
            )
        return tuple(found)

    def trials(
        self, gallery_size: int | Literal["full"] | None = None, *, cameras: Cameras = "all"
    ) -> Trials:
        """The searches of one protocol.

        Args:
            gallery_size: of a listed gallery, ``"full"`` for all pictures; None is what the
                field uses (100 where galleries are listed, full otherwise).
            cameras: of which cameras the gallery's pictures are.

        Raises:
            UsageError: the file has no such protocol (and what it has).
            InputError: a gallery's arrays are damaged.
        """
        size = gallery_size
        if size is None:
            size = USUAL_SIZE if self.kind == CUHK else FULL
        sizes = ", ".join(map(str, (*self.gallery_sizes, FULL)))
        if size != FULL and size not in self.gallery_sizes:
            raise UsageError(
                f"{self.path} lists no gallery of {size} pictures", hint=f"--gallery-size: {sizes}"
            )
        listed = size != FULL or self.kind == CUHK or self.lists_full
        if cameras != "all" and listed:
            raise UsageError(
                f"the galleries of {self.name} are listed, not made by camera", hint="use --cameras all"
            )
        if size != FULL:
            return self._listed(size, str(size))
        if self.lists_full:
            return self._listed(None, FULL)
        if self.kind == CUHK:
            if not self.gallery_sizes:
                raise UsageError(f"{self.path} lists no galleries", hint="give --dataset and --root")
            return full_gallery(self.trials(self.gallery_sizes[0]), f"{self.name} gallery={FULL}")
        queries = queries_of(self._without_entries())
        return camera_trials(f"{self.name} cameras={cameras}", self._scenes, queries, cameras)

    def subset_trials(self, subset: str) -> Trials:
        """The searches for people who are hard to see, which no features file lists.

        Raises:
            UsageError: always.
        """
        raise UsageError(
            f"{self.path} does not list the searches for {subset}", hint="give --dataset and --root"
        )

    def _without_entries(self) -> Trials:
        return self._made(
            "",
            entry_ptr=np.zeros(len(self.query_scene) + 1, np.int64),
            entry_scene=np.zeros(0, np.int32),
            truth_ptr=np.zeros(1, np.int64),
            truth_box=np.zeros((0, 4), np.float32),
        )

    def _made(self, name: str, **columns: Array) -> Trials:
        nobody: dict[str, Array] = {
            "ignore_ptr": np.broadcast_to(np.zeros(1, np.int64), len(columns["entry_scene"]) + 1),
            "ignore_box": np.zeros((0, 4), np.float32),
        }
        return Trials(
            name=name,
            scenes=self.names,
            query_scene=self.query_scene,
            query_box=self.query_box,
            query_person=self.query_person,
            **(nobody | columns),
        )

    def _listed(self, size: int | None, label: str) -> Trials:
        """A gallery that is in the file, in either form."""
        prefix, name = f"gal{label}", f"{self.name} gallery={label}"
        with Columns(self.path) as columns:
            if f"{prefix}_ptr" in columns.names:
                return self._made(
                    name, **_any_gallery(columns, prefix, len(self.query_scene), len(self.names))
                )
            assert size is not None  # only our own form lists a full gallery
            return self._made(name, **_plain_gallery(columns, size, len(self.query_scene), len(self.names)))


def read_truth(path: Path) -> Truth | None:
    """The annotation inside the features file at ``path``; None where it holds no array ``gt_*``.

    Raises:
        InputError: no such file, damaged, or not of the layout.
    """
    with Columns(path) as columns:
        if not columns.names & set(_REQUIRED):
            return None
        meta = read_meta(columns)
        names = tuple(columns.read("img_name", "text", (-1,)).tolist())
        n = len(names)
        pid = columns.read("gt_pid", "whole", (-1,)).astype(np.int64)
        q_img = columns.read("q_img", "whole", (-1,)).astype(np.int64)
        if len(q_img) and not (q_img.min() >= 0 and q_img.max() < n):
            raise columns.wrong("q_img", f"points outside the {n} pictures")
        sizes = _sizes(columns)
        full = f"gal{FULL}_ptr" in columns.names
        kind = text_of(meta, "kind", default=CUHK if sizes else PRW)
        if kind not in (CUHK, PRW):
            raise columns.wrong("meta", f"says kind {kind!r}, not {CUHK} or {PRW}")
        return Truth(
            path=Path(path),
            name=text_of(meta, "name", "dataset", default=Path(path).stem),
            kind=kind,
            gallery_sizes=sizes,
            names=names,
            cameras=_cameras(columns, n),
            sizes=_optional(columns, "img_wh", np.zeros((n, 2), np.int32), (n, 2)),
            gt_ptr=column_pointers(columns, "gt_ptr", n, len(pid)),
            gt_box=columns.boxes("gt_box", len(pid)),
            gt_pid=pid,
            gt_ignore=_flags(columns, len(pid)),
            gt_visible=_visible(columns, len(pid)),
            query_scene=q_img.astype(np.int32),
            query_box=columns.boxes("q_box", len(q_img)),
            query_person=columns.read("q_pid", "whole", (len(q_img),)).astype(np.int64),
            lists_full=full,
        )


def _sizes(columns: Columns) -> tuple[int, ...]:
    """Sizes of the galleries that the file lists, smallest first."""
    found = (re.fullmatch(r"gal([1-9]\d{0,8})_img", name) for name in columns.names)
    return tuple(sorted(int(match[1]) for match in found if match))


def _plain_gallery(columns: Columns, size: int, queries: int, pictures: int) -> dict[str, Array]:
    """Layout 1: ``size`` pictures for each query, the first ``ngt`` of them with the person, one box each."""
    image = columns.read(f"gal{size}_img", "whole", (queries, size))
    _check_within(columns, f"gal{size}_img", image, pictures)
    count = columns.read(f"gal{size}_ngt", "whole", (queries,)).astype(np.int64)
    if len(count) and (count.min() < 0 or count.max() > size):
        raise columns.wrong(f"gal{size}_ngt", f"must be between 0 and {size}")
    box = columns.boxes(f"gal{size}_gtbox", int(count.sum()))
    truth_ptr = np.zeros(queries * size + 1, np.int64)
    truth_ptr[1:].reshape(queries, size)[:] = np.arange(size) < count[:, None]
    return {
        "entry_ptr": np.arange(queries + 1, dtype=np.int64) * size,
        "entry_scene": image.astype(np.int32).reshape(-1),
        "truth_ptr": np.cumsum(truth_ptr, out=truth_ptr),
        "truth_box": box,
    }


def _any_gallery(columns: Columns, prefix: str, queries: int, pictures: int) -> dict[str, Array]:
    """Our richer form: any number of entries, true and ignored boxes for each of them."""
    image = columns.read(f"{prefix}_img", "whole", (-1,))
    _check_within(columns, f"{prefix}_img", image, pictures)
    found = {
        "entry_ptr": column_pointers(columns, f"{prefix}_ptr", queries, len(image)),
        "entry_scene": image.astype(np.int32),
    }
    for what in ("truth", "ignore"):
        box = columns.boxes(f"{prefix}_{what}_box", -1)
        found[f"{what}_ptr"] = column_pointers(columns, f"{prefix}_{what}_ptr", len(image), len(box))
        found[f"{what}_box"] = box
    return found


def _check_within(columns: Columns, name: str, image: Array, pictures: int) -> None:
    if image.size and not (image.min() >= 0 and image.max() < pictures):
        raise columns.wrong(name, f"points outside the {pictures} pictures")


def _cameras(columns: Columns, n: int) -> tuple[str | None, ...]:
    """Names of the cameras where the file has names, their numbers otherwise."""
    if "img_camera" in columns.names:
        return tuple(name or None for name in columns.read("img_camera", "text", (n,)).tolist())
    numbers = _optional(columns, "img_cam", np.full(n, -1), (n,))
    return tuple(None if number < 0 else str(number) for number in numbers.tolist())


def _optional(columns: Columns, name: str, default: Array, shape: tuple[int, ...]) -> Array:
    return columns.read(name, "whole", shape) if name in columns.names else default


def _flags(columns: Columns, n: int) -> Array:
    return columns.read("gt_ignore", "flag", (n,)) if "gt_ignore" in columns.names else np.zeros(n, bool)


def _visible(columns: Columns, n: int) -> Array:
    """Visible shares, NaN where unknown (-1 in the file, where every number is finite)."""
    if "gt_visible" not in columns.names:
        return np.full(n, np.nan, np.float32)
    share = columns.read("gt_visible", "number", (n,)).astype(np.float32)
    return np.where(share < 0, np.float32(np.nan), share)
