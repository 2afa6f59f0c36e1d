"""The files of PRW, each read and checked by itself: boxes of the frames, lists of ids, list of queries."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from personsearch.datasets.dataset import Split
from personsearch.datasets.matlab import Value, read_variable, text
from personsearch.errors import DatasetError
from personsearch.types import Array

FRAMES = Path("frames")
ANNOTATIONS = Path("annotations")
QUERIES = "query_info.txt"
BOX_VARIABLES = ("box_new", "anno_file", "anno_previous")
"""Names under which an annotation file may hold its boxes, in the order in which they count."""
FRAME_LISTS: dict[Split, tuple[str, str]] = {
    "train": ("frame_train.mat", "img_index_train"),
    "test": ("frame_test.mat", "img_index_test"),
}
ID_LISTS: dict[Split, tuple[str, str]] = {
    "train": ("ID_train.mat", "ID_train"),
    "test": ("ID_test.mat", "ID_test2"),
}
AMBIGUOUS = -2
"""PRW's id of a person whom nobody could name."""
FARTHEST = 2.0**24
"""Numbers must stay below it: float32 no longer tells pixels apart beyond."""

_ROW = "a row is id, left, top, width, height"


@dataclass(frozen=True, eq=False, kw_only=True)
class Half:
    """Annotation of one half: rows of frame i are ``ptr[i]:ptr[i+1]`` of ``ids`` and ``xywh``.

    Attributes:
        names: frames with ``.jpg``, in the order of the frame list.
        ptr: (F+1,) int64.
        ids: (n,) int64 ids as the files give them.
        xywh: (n, 4) float64 left, top, width, height as the files give them.
    """

    names: tuple[str, ...]
    ptr: Array
    ids: Array
    xywh: Array

    def frame_of(self, row: int) -> str:
        """The frame that a row belongs to."""
        return _frame_of(self.names, self.ptr, row)


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line of the query list; ``number`` counts from 1, ``frame`` is without ``.jpg``."""

    number: int
    person: int
    xywh: tuple[float, float, float, float]
    frame: str


def annotation_of(root: Path, name: str) -> Path:
    """The annotation file of the frame ``name`` (with ``.jpg``)."""
    return root / ANNOTATIONS / f"{name}.mat"


def read_half(root: Path, split: Split) -> Half:
    """All annotation files of one half.

    Raises:
        DatasetError: a file is missing, damaged or odd; it names the file and what is wrong in it.
    """
    tables = {name: _read_boxes(annotation_of(root, name)) for name in _read_frame_list(root, split)}
    names, table = tuple(tables), np.concatenate([np.zeros((0, 5)), *tables.values()])
    ptr = np.cumsum([0, *(len(boxes) for boxes in tables.values())])
    ids = table[:, 0]
    finite = np.isfinite(table).all(1) & (np.abs(table) < FARTHEST).all(1)
    whole = (ids == np.floor(ids)) & ((ids >= 0) | (ids == AMBIGUOUS))
    for good, what in (
        (finite, "a number is not finite or beyond any picture"),
        (whole, "an id is no whole number from 0, nor -2"),
    ):
        if not good.all():
            row = int(np.argmin(good))
            path = annotation_of(root, _frame_of(names, ptr, row))
            raise DatasetError(f"{path}: {what}: {' '.join(f'{x:g}' for x in table[row])}", hint=_ROW)
    return Half(names=names, ptr=ptr, ids=ids.astype(np.int64), xywh=table[:, 1:])


def read_ids(root: Path, split: Split) -> tuple[int, ...] | None:
    """What ``ID_train.mat`` or ``ID_test.mat`` lists, None without the file.

    Raises:
        DatasetError: the file is damaged, or does not hold different whole numbers.
    """
    file, variable = ID_LISTS[split]
    path = root / file
    if not path.is_file():
        return None
    value = read_variable(path, variable)
    numbers = value.ravel().tolist() if isinstance(value, np.ndarray) else None
    if numbers is None or not all(_is_id(number) for number in numbers):
        raise DatasetError(
            f"{path}: {variable!r} is not a list of ids", hint="whole numbers from 0 belong there"
        )
    if len(set(numbers)) != len(numbers):
        raise DatasetError(f"{path}: {variable!r} lists an id twice", hint="a person has one number")
    return tuple(int(number) for number in numbers)


def read_lines(path: Path) -> tuple[Line, ...]:
    """The query list: ``id left top width height frame`` a line, CRLF or LF, blank lines apart.

    Raises:
        DatasetError: the file is missing or no text, or a line is odd.
    """
    if not path.is_file():
        raise DatasetError(f"{path} is missing", hint="the list of queries belongs there")
    try:
        content = path.read_bytes().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(f"{path} cannot be read as text: {error}", hint="fetch it again") from error
    return tuple(
        _line(number, words, f"{path} line {number}")
        for number, words in enumerate(map(str.split, content.splitlines()), 1)
        if words
    )


def is_plain(name: str) -> bool:
    """Whether ``name`` is that of a file in a folder and nothing else.

    >>> is_plain("c1s1_000151"), is_plain("../c1s1_000151"), is_plain("C:x")
    (True, False, False)
    """
    return re.fullmatch(r"[^/\\:\x00-\x1f.][^/\\:\x00-\x1f]{0,119}", name) is not None


def _read_frame_list(root: Path, split: Split) -> tuple[str, ...]:
    """Names of the frames of one half, with ``.jpg``."""
    file, variable = FRAME_LISTS[split]
    path = root / file
    cells = read_variable(path, variable)
    if isinstance(cells, np.ndarray) and cells.size == 0:
        return ()
    if not isinstance(cells, list):
        raise DatasetError(f"{path}: {variable!r} is not a cell array", hint="is this the official layout?")
    names: dict[str, None] = {}
    for row, cell in enumerate(cells):
        name = _plain(text(cell, f"{path}: {variable!r} row {row}"), f"{path}: {variable!r} row {row}")
        if f"{name}.jpg" in names:
            raise DatasetError(f"{path}: {variable!r} lists {name} twice", hint="names of frames must differ")
        names[f"{name}.jpg"] = None
    return tuple(names)


def _read_boxes(path: Path) -> Array:
    """(n, 5) float64 id, left, top, width, height of one annotation file, as they stand there."""
    value = _first_variable(path)
    if isinstance(value, np.ndarray) and value.size == 0:
        return np.zeros((0, 5))
    if not isinstance(value, np.ndarray) or value.ndim != 2 or value.shape[1] != 5:
        what = f"a matrix of {value.shape}" if isinstance(value, np.ndarray) else "no matrix"
        raise DatasetError(f"{path} holds {what} instead of n x 5 numbers", hint=_ROW)
    return np.asarray(value, np.float64)


def _first_variable(path: Path) -> Value:
    """What the file holds under the first of the names that it may have there."""
    failure: DatasetError | None = None
    for variable in BOX_VARIABLES:
        try:
            return read_variable(path, variable)
        except DatasetError as error:
            failure = failure or error
    raise failure or DatasetError(f"{path} holds no boxes")


def _line(number: int, words: list[str], where: str) -> Line:
    """One line of the query list, checked by itself."""
    try:
        person, x, y, width, height = (float(word) for word in words[:5])
        (frame,) = words[5:]
    except ValueError as error:
        raise DatasetError(
            f"{where} is not 'id left top width height frame'", hint="six words, the first five numbers"
        ) from error
    if not _is_id(person):
        raise DatasetError(f"{where}: id {words[0]} names nobody", hint="whole numbers from 0 belong there")
    box = (x, y, width, height)
    if not all(abs(value) < FARTHEST for value in box) or width <= 0 or height <= 0:
        raise DatasetError(f"{where}: {' '.join(words[1:5])} is no box", hint="left, top, width, height")
    return Line(number=number, person=int(person), xywh=box, frame=_plain(frame, where))


def _plain(name: str, where: str) -> str:
    if not is_plain(name):
        raise DatasetError(
            f"{where}: {name[:60]!r} is not the name of a frame", hint="names must not leave their folder"
        )
    return name


def _is_id(number: float) -> bool:
    return 0 <= number < FARTHEST and number == int(number)


def _frame_of(names: tuple[str, ...], ptr: Array, row: int) -> str:
    return names[int(np.searchsorted(ptr, row, side="right")) - 1]
