"""The files of CUHK-SYSU's layout as flat columns: pictures with boxes, and searches.

Boxes are left, top, width, height here, as stored. In the official gallery files the same names
stand millions of times, so each distinct value is looked at once and the rest is indices.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np

from personsearch.datasets.cache import array_to_texts, texts_to_array
from personsearch.datasets.cuhk_sysu_layout import ENTRY_FIELDS, IMAGE_FIELDS, picture_name
from personsearch.datasets.matlab import Column, Struct, Value, box_xywh, columns, read_variable
from personsearch.errors import DatasetError
from personsearch.types import Array

_ABSENT, _NEW = -1, -2


@dataclass(frozen=True, eq=False, kw_only=True)
class Pictures:
    """``Images.mat``: per picture the boxes that have an area, in its order.

    Attributes:
        names: of the pictures, all different.
        box_ptr: (n+1,) int64; boxes of picture i.
        box: (B, 4) float64 left, top, width, height.
        empty: (n,) int64; how many boxes of picture i have no area, and are left out.
    """

    names: tuple[str, ...]
    box_ptr: Array
    box: Array
    empty: Array

    def __post_init__(self) -> None:
        _check_rows(self.box, 4)
        _check_pointer(self.box_ptr, len(self.names), len(self.box))
        if self.empty.shape != (len(self.names),) or self.empty.dtype != np.int64 or (self.empty < 0).any():
            raise ValueError("a count of boxes without area is missing or odd")
        if len(set(self.names)) != len(self.names):
            raise ValueError("a picture is listed twice")

    def to_arrays(self) -> dict[str, Array]:
        """As the cache keeps it."""
        columns_ = {"box_ptr": self.box_ptr, "box": self.box, "empty": self.empty}
        return {"names": texts_to_array(self.names), **columns_}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array]) -> Self:
        """The same again; a ValueError if the arrays do not fit together."""
        columns_ = {column: arrays[column] for column in ("box_ptr", "box", "empty")}
        return cls(names=array_to_texts(arrays["names"]), **columns_)


@dataclass(frozen=True, eq=False, kw_only=True)
class Searches:
    """A TestG or subset file: Q queries, E gallery entries in a row, T of them with the person.

    Attributes:
        names: of the pictures that occur; the two ``_name`` columns point into it.
        query_name: (Q,) integers.
        query_box: (Q, 4) float64 left, top, width, height.
        query_id: the person's name in the file, "" where it has none.
        entry_ptr: (Q+1,) int64; entries of query i.
        entry_name: (E,) integers.
        truth_entry: (T,) int64, rising; entries in which the person is.
        truth_box: (T, 4) float64.
    """

    names: tuple[str, ...]
    query_name: Array
    query_box: Array
    query_id: tuple[str, ...]
    entry_ptr: Array
    entry_name: Array
    truth_entry: Array
    truth_box: Array

    def __post_init__(self) -> None:
        queries, entries = len(self.query_id), len(self.entry_name)
        _check_rows(self.query_box, 4)
        _check_rows(self.truth_box, 4)
        if len(self.query_name) != queries or len(self.query_box) != queries:
            raise ValueError("the queries' columns differ in length")
        _check_pointer(self.entry_ptr, queries, entries)
        for column in (self.query_name, self.entry_name):
            _check_index(column, len(self.names))
        _check_index(self.truth_entry.astype(np.int64, casting="safe"), entries)
        if len(self.truth_entry) != len(self.truth_box) or (np.diff(self.truth_entry) <= 0).any():
            raise ValueError("truth_entry must rise, one entry a box")

    def query_names(self) -> list[str]:
        """The picture of each query."""
        return [self.names[row] for row in self.query_name.tolist()]

    def same_queries(self, other: Searches) -> bool:
        """Whether both look for the same boxes in the same pictures, in the same order."""
        return self.query_names() == other.query_names() and np.array_equal(self.query_box, other.query_box)

    def to_arrays(self) -> dict[str, Array]:
        """As the cache keeps it: 2 bytes an entry."""
        dtype = np.min_scalar_type(len(self.names))
        return {
            "names": texts_to_array(self.names),
            "query_id": texts_to_array(self.query_id),
            "query_name": self.query_name.astype(dtype),
            "query_box": self.query_box,
            "entry_ptr": self.entry_ptr,
            "entry_name": self.entry_name.astype(dtype),
            "truth_entry": self.truth_entry,
            "truth_box": self.truth_box,
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array]) -> Self:
        """The same again; a ValueError if the arrays do not fit together."""
        columns_ = {name: array for name, array in arrays.items() if name not in ("names", "query_id")}
        return cls(
            names=array_to_texts(arrays["names"]), query_id=array_to_texts(arrays["query_id"]), **columns_
        )


def read_pictures(path: Path) -> Pictures:
    """``Images.mat`` without the boxes that have no width or height.

    Raises:
        DatasetError: the file is missing, damaged or odd, or lists a picture twice.
    """
    raw_names, raw_boxes = columns(read_variable(path, "Img"), ("imname", "box"), path.name, IMAGE_FIELDS)
    names: dict[str, None] = {}
    counts, rows, empty = [0], [], []
    for raw_name, raw in zip(raw_names, raw_boxes, strict=True):
        name = picture_name(raw_name, f"{path.name} imname")
        if name in names:
            raise DatasetError(f"{path.name} lists {name} twice", hint="names of pictures must differ")
        names[name] = None
        (located,) = columns(raw, ("idlocate",), f"{path.name}: box of {name}")
        where = f"{path.name}: idlocate of {name}"
        boxes = [box for value in located if len(box := box_xywh(value, where))]
        rows += [box for box in boxes if box[2] > 0 and box[3] > 0]
        empty.append(len(boxes) + counts[-1] - len(rows))
        counts.append(len(rows))
    table = np.array(rows, np.float64).reshape(-1, 4)
    return Pictures(
        names=tuple(names),
        box_ptr=np.array(counts, np.int64),
        box=table,
        empty=np.array(empty, np.int64),
    )


def read_searches(path: Path, variable: str) -> Searches:
    """A TestG or subset file, flattened; positives may stand anywhere among the entries.

    Raises:
        DatasetError: the file is missing, damaged or odd.
    """
    queries, galleries = columns(read_variable(path, variable), ("Query", "Gallery"), path.name)
    names: dict[str, int] = {}
    boxes: list[tuple[float, ...]] = []
    query_names, query_boxes, query_ids = [], [], []
    entry_names, truth_entries, truth_rows = [], [], []
    entry_ptr = [0]

    def name_row(value: Value, where: str) -> int:
        return names.setdefault(picture_name(value, f"{where} imname"), len(names))

    def box_row(value: Value, where: str) -> int:
        box = box_xywh(value, f"{where} idlocate")
        boxes.extend([box] if box else [])
        return len(boxes) - 1 if box else _ABSENT

    name_rows, box_rows = _Rows(name_row), _Rows(box_row)
    for number, (query, gallery) in enumerate(zip(queries, galleries, strict=True)):
        name, box, idname = _query(query, f"{path.name} query {number}")
        query_names.append(names.setdefault(name, len(names)))
        query_boxes.append(box)
        query_ids.append(idname)
        where = f"{path.name} query {number}: Gallery"
        pictures, located = columns(gallery, ("imname", "idlocate"), where, ENTRY_FIELDS)
        found = box_rows.of(located, where)
        present = np.flatnonzero(found != _ABSENT)
        entry_names.append(name_rows.of(pictures, where))
        truth_entries.append(present + entry_ptr[-1])
        truth_rows.append(found[present])
        entry_ptr.append(entry_ptr[-1] + len(pictures))
    nothing = np.zeros(0, np.int32)
    return Searches(
        names=tuple(names),
        query_name=np.array(query_names, np.int32),
        query_box=np.array(query_boxes, np.float64).reshape(-1, 4),
        query_id=tuple(query_ids),
        entry_ptr=np.array(entry_ptr, np.int64),
        entry_name=np.concatenate([nothing, *entry_names]),
        truth_entry=np.concatenate([nothing.astype(np.int64), *truth_entries]),
        truth_box=np.array(boxes, np.float64).reshape(-1, 4)[np.concatenate([nothing, *truth_rows])],
    )


def _query(query: Value, where: str) -> tuple[str, tuple[float, ...], str]:
    """(picture, box, name of the person or "") of a query."""
    has_id = isinstance(query, Struct) and "idname" in query.columns
    fields = ("imname", "idlocate", *(("idname",) if has_id else ()))
    found = columns(query, fields, where)
    if len(found[0]) != 1 or len(box := box_xywh(found[1][0], f"{where} idlocate")) != 4:
        raise DatasetError(f"{where} is not one box in one picture", hint="is this the official layout?")
    idname = found[2][0] if has_id else ""
    if not isinstance(idname, str):
        raise DatasetError(f"{where}: idname is not a text", hint="is this the official layout?")
    return picture_name(found[0][0], f"{where} imname"), box, idname


class _Rows:
    """What the values of columns mean as integers; each distinct value is worked out once."""

    def __init__(self, work: Callable[[Value, str], int]) -> None:
        self._work = work
        self._values: list[Value] = []
        self._rows = np.zeros(0, np.int32)

    def of(self, column: Column, where: str) -> Array:
        """(len(column),) int32."""
        if column.values is not self._values:  # all columns of one file point into one table
            self._values, self._rows = column.values, np.full(len(column.values), _NEW, np.int32)
        rows = self._rows[column.codes]
        if (new := rows == _NEW).any():
            for code in np.unique(column.codes[new]).tolist():
                self._rows[code] = self._work(self._values[code], where)
            rows = self._rows[column.codes]
        return rows


def _check_rows(array: Array, width: int) -> None:
    if array.ndim != 2 or array.shape[1] != width or not np.isfinite(array).all():
        raise ValueError(f"boxes of shape {array.shape}")


def _check_pointer(pointer: Array, owners: int, rows: int) -> None:
    if pointer.shape != (owners + 1,) or pointer.dtype != np.int64:
        raise ValueError("a pointer column has another length than its owners")
    if pointer[0] != 0 or pointer[-1] != rows or (np.diff(pointer) < 0).any():
        raise ValueError(f"a pointer column must rise from 0 to {rows}")


def _check_index(index: Array, count: int) -> None:
    if index.ndim != 1 or index.dtype.kind not in "iu":
        raise ValueError("an index column is not one of integers")
    if index.size and not (index.min() >= 0 and index.max() < count):
        raise ValueError(f"an index points outside {count} rows")
