"""MATLAB 5 files as plain columns, whatever MATLAB squeezed, and one clear line when they are odd.

Why not ``scipy.io.loadmat``: a single damaged byte can make it end the whole process with a
segmentation fault, and it needs 13.6 GB and 249 s for CUHK-SYSU's largest gallery file, whose
11.6 million entries are the same few thousand names and the same empty matrix again and
again. Here equal small matrices are decoded once and shared, and every length is checked.

Source: MathWorks, "MAT-File Format" (R2019b), level 5.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from personsearch.errors import DatasetError
from personsearch.types import Array

_MATRIX, _COMPRESSED = 14, 15
_CELL, _STRUCT, _CHAR = 1, 2, 4
_NUMBERS = range(6, 16)  # double, single, and the integers of 8 to 64 bits
_DTYPES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
_TEXTS = {1: "utf-8", 2: "latin-1", 4: "utf-16", 16: "utf-8", 17: "utf-16", 18: "utf-32"}
_COMPLEX, _DEEPEST, _SMALL = 0x0800, 16, 160


@dataclass(frozen=True, eq=False)
class Struct:
    """A struct array of any shape, flattened in MATLAB's order: one list a field."""

    columns: dict[str, list[Value]]


Value: TypeAlias = "Struct | list[Any] | str | Array"
"""A struct array, the contents of a cell array, a text, or float64 numbers in their shape (read-only)."""


class _Odd(ValueError):
    """The bytes are not what the format says."""


def read_variable(path: Path, variable: str) -> Value:
    """What the MATLAB 5 file ``path`` holds as ``variable``; numbers are widened to float64.

    Raises:
        DatasetError: no such file, not a MATLAB 5 file, cut short, MATLAB 7.3, or another variable.
    """
    if not path.is_file():
        raise DatasetError(
            f"{path} is missing", hint="is the data set unpacked whole, and --root its folder?"
        )
    names = []
    try:
        content = path.read_bytes()
        order = _byte_order(content, path, variable)
        for body, start, stop in _matrices(content, order):
            reader = _Reader(body, start, stop, order)
            name = reader.name()
            if name == variable:
                return reader.value()
            names.append(name)
    except (_Odd, OSError, struct.error, zlib.error, UnicodeDecodeError) as error:
        raise DatasetError(
            f"{path} cannot be read as a MATLAB file: {error}",
            hint="it is damaged, cut short or something else; fetch it again",
        ) from error
    raise DatasetError(
        f"{path} holds no variable {variable!r} (it holds: {', '.join(names) or 'nothing'})",
        hint="is this the file of that name from the data set?",
    )


def _byte_order(content: bytes, path: Path, variable: str) -> str:
    """``<`` or ``>``, from the header of 128 bytes."""
    mark = content[126:128]
    if mark not in (b"IM", b"MI"):
        raise _Odd("it has no MATLAB header")
    order = "<" if mark == b"IM" else ">"
    (version,) = struct.unpack_from(f"{order}H", content, 124)
    if version == 0x0200:
        raise DatasetError(
            f"{path} is a MATLAB 7.3 (HDF5) file", hint=f"save {variable} again in MATLAB with -v7"
        )
    if version != 0x0100:
        raise _Odd(f"its version is {version:#06x}")
    return order


def _matrices(content: bytes, order: str) -> Iterator[tuple[bytes, int, int]]:
    """Every variable, unpacked: bytes, and where it starts (after its tag) and stops in them."""
    at = 128
    while at < len(content):
        kind, size = struct.unpack_from(f"{order}II", content, at)
        body, start, stop = content, at + 8, at + 8 + size
        if stop > len(content):
            raise _Odd(f"it ends {stop - len(content)} bytes too early")
        at = stop
        if kind == _COMPRESSED:
            body = zlib.decompress(memoryview(content)[start:stop])
            kind, size = struct.unpack_from(f"{order}II", body, 0)
            start, stop = 8, 8 + size
            if stop > len(body):
                raise _Odd("a packed variable is cut short")
        if kind == _MATRIX and size:
            yield body, start, stop


class _Reader:
    """Decodes the body of one variable."""

    def __init__(self, body: bytes, start: int, stop: int, order: str) -> None:
        self._body, self._start, self._stop, self._order = body, start, stop, order
        self._words = struct.Struct(f"{order}II")
        self._known: dict[bytes, Value] = {}
        self._nothing = np.zeros((0, 0))
        self._nothing.setflags(write=False)

    def name(self) -> str:
        """What the variable is called."""
        return self._head(self._start, self._stop)[2]

    def value(self) -> Value:
        """What it holds."""
        return self._matrix(self._start, self._stop, 0)

    def _element(self, at: int, end: int) -> tuple[int, int, int, int]:
        """(kind, start and stop of the data, where the next element starts) of the element at ``at``."""
        kind, size = self._words.unpack_from(self._body, at)
        if kind >> 16:  # up to four bytes ride in the tag itself
            kind, size, start, after = kind & 0xFFFF, kind >> 16, at + 4, at + 8
            if size > 4:
                raise _Odd(f"a small element of {size} bytes")
        else:
            start = at + 8
            after = start + (size + 7) // 8 * 8
        if start + size > end:
            raise _Odd("an element is longer than what holds it")
        return kind, start, start + size, min(after, end)

    def _numbers(self, at: int, end: int) -> tuple[Array, int]:
        kind, start, stop, after = self._element(at, end)
        dtype = np.dtype(self._order + _DTYPES[kind]) if kind in _DTYPES else None
        if dtype is None or (stop - start) % dtype.itemsize:
            raise _Odd(f"{stop - start} bytes of type {kind} are not numbers")
        values = np.frombuffer(self._body, dtype, (stop - start) // dtype.itemsize, start)
        return values, after

    def _head(self, at: int, end: int) -> tuple[int, tuple[int, ...], str, int]:
        """(class and flags, shape, name, where the contents start) of a matrix."""
        flags, at = self._numbers(at, end)
        shape, at = self._numbers(at, end)
        if len(flags) != 2 or not 2 <= len(shape) <= 8 or shape.dtype.kind != "i" or (shape < 0).any():
            raise _Odd("a matrix has no proper head")
        _, start, stop, at = self._element(at, end)
        return int(flags[0]), tuple(shape.tolist()), self._body[start:stop].decode("ascii"), at

    def _nested(self, at: int, end: int, depth: int) -> tuple[Value, int]:
        """The matrix inside another at ``at``, and where the next starts; equal small ones are shared."""
        kind, size = self._words.unpack_from(self._body, at)
        after = at + 8 + size
        if kind != _MATRIX or after > end:
            raise _Odd("something else than a matrix stands in a cell or struct")
        if size == 0:
            return self._nothing, after
        if size > _SMALL:
            return self._matrix(at + 8, after, depth), after
        raw = self._body[at:after]
        value = self._known.get(raw)
        if value is None:
            value = self._known[raw] = self._matrix(at + 8, after, depth)
        return value, after

    def _matrix(self, at: int, end: int, depth: int) -> Value:
        if depth > _DEEPEST:
            raise _Odd("cells are nested too deeply")
        flags, shape, _, at = self._head(at, end)
        kind = flags & 0xFF
        if kind == _CELL:
            contents = []
            for _ in range(_count(shape)):
                value, at = self._nested(at, end, depth + 1)
                contents.append(value)
            return contents
        if kind == _STRUCT:
            return self._struct(at, end, _count(shape), depth)
        if kind == _CHAR:
            return self._text(at, end, shape)
        if kind not in _NUMBERS or flags & _COMPLEX:
            raise _Odd(f"a matrix of class {kind} does not belong in an annotation")
        values, _ = self._numbers(at, end)
        if len(values) != _count(shape):
            raise _Odd(f"{len(values)} numbers for a matrix of {shape}")
        wide = values.astype(np.float64).reshape(shape, order="F")
        wide.setflags(write=False)
        return wide

    def _struct(self, at: int, end: int, rows: int, depth: int) -> Struct:
        length, at = self._numbers(at, end)
        _, start, stop, at = self._element(at, end)
        if len(length) != 1 or length[0] < 1 or (stop - start) % int(length[0]):
            raise _Odd("names of fields are cut")
        step = int(length[0])
        names = [self._body[k : k + step].split(b"\0")[0].decode("ascii") for k in range(start, stop, step)]
        columns: dict[str, list[Value]] = {name: [] for name in names}
        if len(columns) != len(names):
            raise _Odd("two fields have one name")
        if names:
            appends = [columns[name].append for name in names]
            nested, deeper = self._nested, depth + 1
            for _ in range(rows):
                for append in appends:
                    value, at = nested(at, end, deeper)
                    append(value)
        return Struct(columns)

    def _text(self, at: int, end: int, shape: tuple[int, ...]) -> str:
        kind, start, stop, _ = self._element(at, end)
        if kind not in _TEXTS or (_count(shape) and shape[0] != 1):
            raise _Odd(f"a text of type {kind} and shape {shape}")
        coding = _TEXTS[kind]
        if coding in ("utf-16", "utf-32"):
            coding += "-le" if self._order == "<" else "-be"
        return self._body[start:stop].decode(coding)


def _count(shape: tuple[int, ...]) -> int:
    count: int = prod(shape)
    return count


def columns(value: Value, fields: Sequence[str], where: str) -> tuple[list[Value], ...]:
    """The ``fields`` of a struct array as one list each, row by row.

    Args:
        value: a struct array, a cell of struct arrays, or an empty matrix.
        fields: names of the fields wanted.
        where: what to call the place in an error.

    Raises:
        DatasetError: ``value`` is no struct, or lacks a field.
    """
    if isinstance(value, Struct):
        missing = [name for name in fields if name not in value.columns]
        if missing:
            raise DatasetError(f"{where} has no field {missing[0]!r}", hint="is this the official layout?")
        return tuple(value.columns[name] for name in fields)
    if isinstance(value, list):
        parts = [columns(part, fields, where) for part in value]
        return tuple([row for part in parts for row in part[i]] for i in range(len(fields)))
    if isinstance(value, np.ndarray) and value.size == 0:
        return tuple([] for _ in fields)
    raise DatasetError(f"{where} is not a struct array", hint="is this the official layout?")


def text(value: Value, where: str) -> str:
    """A name.

    >>> text("s1.jpg", "pool.mat")
    's1.jpg'
    """
    if not isinstance(value, str) or not value:
        raise DatasetError(f"{where}: a name is not a text", hint="is this the official layout?")
    return value


def box_xywh(value: Value, where: str) -> tuple[float, ...]:
    """Left, top, width, height; or () where nobody is (1x0 or 0x0).

    >>> box_xywh(np.array([[84.0, 10, 84, 225]]), "s1.jpg")
    (84.0, 10.0, 84.0, 225.0)
    """
    if not isinstance(value, np.ndarray) or value.size not in (0, 4):
        raise DatasetError(f"{where}: a box is not four numbers", hint="is this the official layout?")
    if not value.size:
        return ()
    if not np.isfinite(value).all():
        raise DatasetError(f"{where}: a box is not finite", hint="is this the official layout?")
    return tuple(value.ravel().tolist())
