"""JSON that others wrote, taken apart so that every error names file, entry and field; and its writing.

The names of pictures in such a file are checked here too: they must not lead out of their folder.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import numpy as np

from personsearch.boxes import from_xywh
from personsearch.errors import DatasetError
from personsearch.files import write_text
from personsearch.types import Array

FARTHEST = 1e7
"""Coordinates must stay below it: float32 would no longer hold them to a pixel."""


class Fields:
    """One JSON object of a file, whose fields are asked for by type.

    A field that is absent or null is None; one of another type is a DatasetError that names it.

    >>> entry = Fields({"id": 3, "bbox": [1, 2, 3, 4], "camera": None}, "a.json: images[0]")
    >>> entry.integer("id"), entry.box("bbox"), entry.label("camera"), entry.number("time")
    (3, [1.0, 2.0, 3.0, 4.0], None, None)
    """

    __slots__ = ("values", "where")

    def __init__(self, values: object, where: str) -> None:
        if not isinstance(values, dict):
            raise DatasetError(
                f"{where} is not an object but {_kind(values)}", hint="mend the file, or write it again"
            )
        self.values: dict[str, Any] = values
        self.where = where

    def __contains__(self, field: str) -> bool:
        return self.values.get(field) is not None

    def wrong(self, field: str, wanted: str) -> DatasetError:
        """The error that says what ``field`` should have been."""
        return DatasetError(
            f"{self.where}: {field} must be {wanted}, not {_kind(self.values.get(field))}",
            hint="mend the file, or write it again",
        )

    def objects(self, field: str) -> list[Any]:
        """The list in ``field``, empty where it is absent."""
        value = self.values.get(field)
        if value is None:
            return []
        if not isinstance(value, list):
            raise self.wrong(field, "a list")
        return value

    def text(self, field: str) -> str | None:
        """Text that is not empty and can be printed and stored."""
        value = self.values.get(field)
        if value is None:
            return None
        if not isinstance(value, str) or not value or not _storable(value):
            raise self.wrong(field, "text")
        return value

    def number(self, field: str) -> float | None:
        """A finite number."""
        value = self.values.get(field)
        if value is None:
            return None
        number = _finite(value)
        if number is None:
            raise self.wrong(field, "a finite number")
        return number

    def integer(self, field: str) -> int | None:
        """A whole number (3.0 is one: tables of other programs write it so)."""
        number = self.number(field)
        if number is None:
            return None
        if number != math.floor(number):
            raise self.wrong(field, "a whole number")
        value = self.values[field]
        return value if isinstance(value, int) else int(number)

    def flag(self, field: str) -> bool:
        """False for absent, null, false and 0; true for true and 1."""
        value = self.values.get(field)
        if value is None or value in (0, 1):
            return bool(value)
        raise self.wrong(field, "0 or 1")

    def label(self, field: str) -> str | None:
        """A whole number or text, as text: 3, 3.0 and "3" are one."""
        value = self.values.get(field)
        if isinstance(value, str):
            return self.text(field)
        number = value if isinstance(value, int) and not isinstance(value, bool) else self.integer(field)
        return None if number is None else str(number)

    def box(self, field: str) -> list[float]:
        """Left, top, width, height: four finite numbers, the sides not negative."""
        value = self.values.get(field)
        numbers = [_finite(part) for part in value] if isinstance(value, list) else []
        box = [number for number in numbers if number is not None and abs(number) < FARTHEST]
        if len(box) != 4 or len(numbers) != 4:
            raise self.wrong(field, "four finite numbers x, y, width, height")
        if box[2] < 0 or box[3] < 0:
            raise DatasetError(
                f"{self.where}: {field} has a negative side: {box}", hint="a box is x, y, width, height"
            )
        return box


def read_json(path: Path) -> Any:
    """What the JSON file ``path`` holds.

    Raises:
        DatasetError: it is missing, cannot be read, or is not (all of) a JSON file.
    """
    try:
        return json.loads(path.read_bytes().decode("utf-8-sig"))
    except FileNotFoundError as error:
        raise DatasetError(f"{path} is missing", hint="is this the data set's own folder?") from error
    except OSError as error:
        raise DatasetError(f"{path} cannot be read: {error.strerror}", hint="check the file") from error
    except RecursionError as error:
        raise DatasetError(f"{path} is nested too deeply", hint="this is no annotation") from error
    except ValueError as error:
        said = str(error).splitlines()[0][:120]
        raise DatasetError(f"{path} is not JSON: {said}", hint="is the file whole?") from error


def picture_path(folder: Path, name: str, where: str) -> Path:
    """``folder / name``, a name that an annotation gives (with ``/``), if it stays in ``folder``.

    ``folder`` itself may be a link, because its owner made it; nothing below it may lead out.

    Raises:
        DatasetError: the name is absolute, climbs with "..", or passes a link that leads out.
    """
    for pure in (PurePosixPath(name), PureWindowsPath(name)):
        if pure.anchor or ".." in pure.parts or not pure.parts or min(name) < " ":
            raise DatasetError(
                f"{where}: {name[:80]!r} is not a name inside the picture folder",
                hint="names are relative to it, without '..'",
            )
    path = folder / name
    step = path
    while step != folder:
        if os.path.islink(step):  # noqa: PTH114 - pathlib raises on names that are too long
            if not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder)):
                raise DatasetError(
                    f"{where}: {name[:80]!r} leads out of {folder} through a link",
                    hint="give the folder that holds the pictures",
                )
            break
        step = step.parent
    return path


def exact_xywh(boxes: Array) -> list[list[float]]:
    """Left, top, width, height of corner boxes, in the fewest decimals that are read back as the same.

    Raises:
        DatasetError: a box is inverted, empty or not finite: the form cannot hold it.

    >>> exact_xywh(np.array([[586.8, 278.11, 629.11, 395.01]], np.float32))
    [[586.8, 278.11, 42.31, 116.9]]
    """
    corners = np.asarray(boxes, np.float32).reshape(-1, 4)
    bad = ~(np.isfinite(corners).all(1) & (corners[:, 2:] > corners[:, :2]).all(1))
    if bad.any():
        raise DatasetError(
            f"box {corners[np.argmax(bad)].tolist()} has no inside", hint="leave out boxes without area"
        )
    start = np.array([float(str(value)) for value in corners[:, :2].ravel()]).reshape(-1, 2)
    side = corners[:, 2:].astype(np.float64) - start
    short = side.copy()
    for decimals in range(6, -1, -1):
        rounded = side.round(decimals)
        fits = ((start + rounded).astype(np.float32) == corners[:, 2:]) & (rounded > 0)
        short = np.where(fits, rounded, short)
    result = np.concatenate([start, short], axis=1)
    if not np.array_equal(from_xywh(result), corners):
        raise DatasetError("a box is too far off to be written exactly", hint="boxes are pixels of a picture")
    numbers: list[list[float]] = result.tolist()
    return numbers


def write_tables(path: Path, head: Mapping[str, Any], tables: Mapping[str, Iterable[Any]]) -> None:
    """A JSON object of ``head`` and then ``tables``, one entry a line, all or nothing."""
    parts = [f"{json.dumps(key)}: {_dumps(value)}" for key, value in head.items()]
    for key, rows in tables.items():
        lines = ",\n".join(_dumps(row) for row in rows)
        parts.append(f"{json.dumps(key)}: [\n{lines}\n]" if lines else f"{json.dumps(key)}: []")
    write_text(path, "{\n" + ",\n".join(parts) + "\n}\n")


def _dumps(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _finite(value: object) -> float | None:
    """``value`` as a float; None for what is no finite number (true and false are none)."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _storable(value: str) -> bool:
    """Whether ``value`` is Unicode text (JSON can hold halves of characters, which are none)."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _kind(value: object) -> str:
    """``value`` in a few words, for messages."""
    if value is None:
        return "nothing"
    said = ascii(value)
    return said if len(said) <= 60 else f"{said[:57]}..."
