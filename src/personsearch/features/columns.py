"""Arrays of a ``.npz`` that somebody else may have written: whole and of the right kind, or one line.

Nothing is believed before it is checked: an array's header has to agree with what is expected
and with the size of its place in the file before memory is asked for, objects (pickles) are refused
by their header, and whatever is wrong is said with the names of the file and the array.
"""

from __future__ import annotations

import json
import math
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Literal

import numpy as np

from personsearch.errors import InputError
from personsearch.types import Array

Sort = Literal["text", "whole", "number", "flag"]
"""What an array holds: text, whole numbers, numbers of any type, yes or no."""

_Check = Callable[[np.dtype[Any], tuple[int, ...]], None]
_KINDS: dict[Sort, str] = {"text": "U", "whole": "iu", "number": "iuf", "flag": "b"}
_CHUNK = 1 << 20
_CHECKED_AT_ONCE = 1 << 21


class Columns:
    """The arrays of one ``.npz``, read when they are asked for; use it in a ``with`` block.

    Raises:
        InputError: there is no such file, or it is no zip.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        if not self.path.is_file():
            raise InputError(f"{self.path} is not a file", hint="features are made by evaluating a model")
        try:
            self._zip = zipfile.ZipFile(self.path)
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
            raise InputError(
                f"{self.path} is cut short or no features file: {_reason(error)}", hint="was it copied whole?"
            ) from error
        self.names = frozenset(
            name.removesuffix(".npy") for name in self._zip.namelist() if name.endswith(".npy")
        )

    def __enter__(self) -> Columns:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._zip.close()

    def read(self, name: str, sort: Sort, shape: tuple[int, ...]) -> Array:
        """The array called ``name``, in the type it was written in.

        Args:
            sort: what it has to hold; numbers must be finite.
            shape: what it has to be like; -1 is any length.

        Raises:
            InputError: there is none, it is damaged, or not like that.
        """

        def check(dtype: np.dtype[Any], found: tuple[int, ...]) -> None:
            if dtype.kind not in _KINDS[sort]:
                raise self.wrong(name, f"must hold {_said(sort)}, not {dtype}")
            if len(found) != len(shape) or any(n not in (-1, m) for n, m in zip(shape, found, strict=True)):
                wanted = ", ".join("any" if n == -1 else str(n) for n in shape)
                raise self.wrong(name, f"must have shape ({wanted}), not {found}")

        array = self._array(name, check)
        if array.dtype.kind == "f" and not _finite(array):
            raise self.wrong(name, "holds a number that is not finite")
        return array

    def floats(self, name: str, shape: tuple[int, ...]) -> Array:
        """The numbers called ``name`` as float32; raises as :meth:`read`, and where one is too large."""
        array = self.read(name, "number", shape)
        with np.errstate(over="ignore"):
            narrow: Array = array.astype(np.float32, copy=False)
        if array.dtype.itemsize > 4 and not np.isfinite(narrow).all():
            raise self.wrong(name, "holds a number that is too large")
        return narrow

    def boxes(self, name: str, rows: int) -> Array:
        """(rows, 4) float32 boxes called ``name``; raises as :meth:`floats`, and for swapped corners."""
        box = self.floats(name, (rows, 4))
        swapped = np.flatnonzero((box[:, 2:] < box[:, :2]).any(axis=1))
        if len(swapped):
            row = int(swapped[0])
            numbers = ", ".join(f"{number:g}" for number in box[row].tolist())
            raise InputError(
                f"{self.path}: {name} row {row} is no box x1 y1 x2 y2: ({numbers}) ends before it begins",
                hint="were boxes written as x, y, width, height? The layout has both corners",
            )
        return box

    def meta(self) -> dict[str, Any]:
        """The JSON object in ``meta``; an empty one where there is none."""
        if "meta" not in self.names:
            return {}
        array = self.read("meta", "text", ())
        try:
            meta = json.loads(str(array))
        except (ValueError, RecursionError) as error:
            raise self.wrong("meta", f"is no JSON: {_reason(error)}") from error
        if not isinstance(meta, dict):
            raise self.wrong("meta", "must be a JSON object")
        return meta

    def wrong(self, name: str, what: str) -> InputError:
        """The error that says what is the matter with one array."""
        return InputError(f"{self.path}: {name} {what}", hint="docs/evaluation.md describes the layout")

    def _array(self, name: str, check: _Check) -> Array:
        if name not in self.names:
            raise self.wrong(name, "is missing")
        try:
            info = self._zip.getinfo(f"{name}.npy")
            with self._zip.open(info) as file:
                return _read_array(file, info.file_size, check)
        except InputError:
            raise
        # A damaged zip member fails in whichever layer meets it first: zip, zlib, header, memory.
        except Exception as error:
            raise self.wrong(name, f"cannot be read: {_reason(error)}") from error


def _read_array(file: IO[bytes], size: int, check: _Check) -> Array:
    """One ``.npy`` of ``size`` bytes; ``check`` sees its header before anything is unpacked.

    Raises:
        ValueError: its header is none, names objects, or does not agree with the size.
    """
    version = np.lib.format.read_magic(file)
    if version == (1, 0):
        shape, fortran, dtype = np.lib.format.read_array_header_1_0(file)
    else:
        shape, fortran, dtype = np.lib.format.read_array_header_2_0(file)
    if dtype.hasobject:
        raise ValueError("objects are refused (a pickle can run code)")
    length = math.prod(shape) * dtype.itemsize
    if length != size - file.tell() or min(shape, default=0) < 0:
        raise ValueError(f"{shape} {dtype} does not fill its {size} bytes")
    check(dtype, shape)
    data = bytearray(length)
    view, done = memoryview(data), 0
    while done < length:
        block = file.read(min(_CHUNK, length - done))
        if not block:
            raise ValueError("it ends too early")
        view[done : done + len(block)] = block
        done += len(block)
    if file.read(1):  # also makes the zip compare its checksum
        raise ValueError("it does not end where it should")
    array: Array = np.frombuffer(data, dtype).reshape(shape, order="F" if fortran else "C")
    return array.astype(dtype.newbyteorder("="), copy=False)


def column_pointers(columns: Columns, name: str, owners: int, rows: int) -> Array:
    """(owners + 1,) int64 CSR pointers called ``name`` that rise from 0 to ``rows``."""
    array = columns.read(name, "whole", (owners + 1,))
    pointers = array.astype(np.int64)
    if pointers[0] != 0 or pointers[-1] != rows or (pointers[1:] < pointers[:-1]).any():
        raise columns.wrong(name, f"must rise from 0 to {rows}")
    return pointers


def text_of(meta: Mapping[str, Any], *keys: str, default: str) -> str:
    """The first of ``keys`` that ``meta`` has as a text."""
    return next((meta[key] for key in keys if isinstance(meta.get(key), str) and meta[key]), default)


def _finite(array: Array) -> bool:
    flat = array.reshape(-1)
    return all(
        np.isfinite(flat[start : start + _CHECKED_AT_ONCE]).all()
        for start in range(0, len(flat), _CHECKED_AT_ONCE)
    )


def _said(sort: Sort) -> str:
    return {"text": "text", "whole": "whole numbers", "number": "numbers", "flag": "booleans"}[sort]


def _reason(error: BaseException) -> str:
    said = str(error).split("\n", 1)[0].strip() or type(error).__name__
    return said[:200]
