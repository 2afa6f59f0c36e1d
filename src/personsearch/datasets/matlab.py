"""MATLAB 5 files as plain columns, whatever MATLAB squeezed, and one clear line when they are odd.

Why not ``scipy.io.loadmat``: a single damaged byte can make it end the whole process with a
segmentation fault, and it needs 13.6 GB and 249 s for CUHK-SYSU's largest gallery file, whose
11.6 million entries are the same few thousand names and the same empty matrix again and
again. Here a file is unpacked as it is read, equal small matrices are decoded once, a column
of a struct array is numbers that point to them, and every length is checked.

Source: MathWorks, "MAT-File Format" (R2019b), level 5.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

import numpy as np

from personsearch.datasets.matlab_stream import MATRIX, Odd, Stream, variables
from personsearch.errors import DatasetError
from personsearch.types import Array

_CELL, _STRUCT, _CHAR = 1, 2, 4
_NUMBERS = range(6, 16)  # double, single, and the integers of 8 to 64 bits
_DTYPES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
_TEXTS = {1: "utf-8", 2: "latin-1", 4: "utf-16", 16: "utf-8", 17: "utf-16", 18: "utf-32"}
_FLAGS = 6  # the type of the numbers that every matrix begins with
_COMPLEX, _DEEPEST = 0x0800, 16
_SMALL, _MANY, _HEAD = 168, 64, 1 << 16
_EXACT, _VASTEST, _FARTHEST = 1 << 53, 1 << 48, 1 << 24
# At most so many bytes are held, where a value and its place count as so many. A place that was never
# filled counts more: at 8 bytes it is all that could keep the reader busy for minutes.
_HELD, _A_VALUE, _A_PLACE, _A_HOLE = 3 << 30, 700, 16, 1 << 14


@dataclass(frozen=True, eq=False)
class Column:
    """One field of a struct array: row i is ``values[codes[i]]``; equal small ones have one code.

    ``values`` may be the table of a whole file, so look at those only that ``codes`` names.

    >>> column = Column(np.array([1, 0, 1]), ["a", "b"])
    >>> len(column), column[0], list(column)
    (3, 'b', ['b', 'a', 'b'])
    """

    codes: Array
    values: list[Value] = field(repr=False)

    def __len__(self) -> int:
        return len(self.codes)

    def __getitem__(self, row: int) -> Value:
        value: Value = self.values[self.codes[row]]
        return value

    def __iter__(self) -> Iterator[Value]:
        return map(self.values.__getitem__, self.codes.tolist())

    @staticmethod
    def of(values: Sequence[Value]) -> Column:
        """The column with these rows."""
        return Column(np.arange(len(values)), list(values))


@dataclass(frozen=True, eq=False)
class Struct:
    """A struct array of any shape, flattened in MATLAB's order: one column a field."""

    columns: dict[str, Column]


class Cell(list[Any]):
    """The contents of a cell array, flattened in MATLAB's order, and its ``shape``."""

    def __init__(self, values: Sequence[Value], shape: tuple[int, ...]) -> None:
        super().__init__(values)
        self.shape = shape


Value: TypeAlias = "Struct | Cell | str | Array"
"""A struct array, the contents of a cell array, a text, or float64 numbers in their shape (read-only)."""


def read_variable(path: Path, variable: str) -> Value:
    """What the MATLAB 5 file ``path`` holds as ``variable``; numbers are widened to float64.

    Raises:
        DatasetError: no such file, not a MATLAB 5 file, cut short, MATLAB 7.3, or another variable;
            also a file that would take more than 3 GB, and integers that float64 cannot hold.
    """
    if not path.is_file():
        raise DatasetError(
            f"{path} is missing", hint="is the data set unpacked whole, and --root its folder?"
        )
    names = []
    try:
        with path.open("rb") as file:
            order = _byte_order(file, path, variable)
            for stream in variables(file, path.stat().st_size, order):
                decoder = _Decoder(order)
                head = stream.peek(_HEAD)
                name = decoder.head(head, 0, len(head))[2]
                if name == variable:
                    value = decoder.variable(stream, head)
                    stream.finish()
                    return value
                names.append(name if name.isidentifier() else ascii(name))
    except (ValueError, OSError, struct.error, zlib.error) as error:  # odd bytes, in the words of many
        raise DatasetError(
            f"{path} cannot be read as a MATLAB file: {error}",
            hint="it is damaged, cut short or something else; fetch it again",
        ) from error
    there = ", ".join(name[:63] for name in names[:9]) or "nothing"
    raise DatasetError(
        f"{path} holds no variable {variable!r} (it holds: {there})",
        hint="is this the file of that name from the data set?",
    )


def _byte_order(file: BinaryIO, path: Path, variable: str) -> str:
    """``<`` or ``>``, from the header of 128 bytes."""
    header = file.read(128)
    mark = header[126:]
    if mark not in (b"IM", b"MI"):
        raise Odd("it has no MATLAB header")
    order = "<" if mark == b"IM" else ">"
    (version,) = struct.unpack_from(f"{order}H", header, 124)
    if version == 0x0200:
        raise DatasetError(
            f"{path} is a MATLAB 7.3 (HDF5) file", hint=f"save {variable} again in MATLAB with -v7"
        )
    if version != 0x0100:
        raise Odd(f"its version is {version:#06x}")
    return order


class _Decoder:
    """Decodes one variable, and remembers every value that it has decoded."""

    def __init__(self, order: str) -> None:
        self._order, self._words = order, struct.Struct(f"{order}II")
        self._values: list[Value] = []
        self._known: dict[bytes, int] = {}
        self._held = 0
        self._nothing = np.zeros((0, 0))
        self._nothing.setflags(write=False)

    def variable(self, stream: Stream, head: bytes) -> Value:
        """What a whole variable holds; ``head`` is how it begins. Its contents come one at a time."""
        flags, shape, _, at = self.head(head, 0, len(head))
        kind = flags & 0xFF
        if kind not in (_CELL, _STRUCT):
            return self._matrix(stream.take(stream.left), 0, None, 0)
        names: list[str] = []
        if kind == _STRUCT:
            names, at = self._fields(head, at, len(head))
        stream.take(at)
        codes = []
        for _ in range(_count(shape) * (len(names) if kind == _STRUCT else 1)):
            tag = stream.take(8)
            type_, size = self._words.unpack(tag)
            if type_ != MATRIX:
                raise Odd("something else than a matrix stands in a cell or struct")
            codes.append(self._code(tag + stream.take(size), 0, 8 + size, 1))
            self._charge(_A_PLACE)
        if kind == _CELL:
            return Cell([self._values[code] for code in codes], shape)
        return self._struct(names, np.array(codes, np.int32))

    def head(self, body: bytes, at: int, end: int) -> tuple[int, tuple[int, ...], str, int]:
        """(class and flags, shape, name, where the contents start) of the matrix at ``at``."""
        flags, at = self._numbers(body, at, end)
        shape, at = self._numbers(body, at, end)
        if len(flags) != 2 or not 2 <= len(shape) <= 8 or shape.dtype.kind != "i" or (shape < 0).any():
            raise Odd("a matrix has no proper head")
        if prod(max(n, 1) for n in shape.tolist()) >= _VASTEST:
            raise Odd(f"a matrix of shape {tuple(shape.tolist())}")
        _, start, stop, at = self._element(body, at, end)
        return int(flags[0]), tuple(shape.tolist()), body[start:stop].decode("ascii"), at

    def _charge(self, cost: int) -> None:
        self._held += cost
        if self._held > _HELD:
            raise Odd(f"it would take more than {_HELD} bytes of memory")

    def _element(self, body: bytes, at: int, end: int) -> tuple[int, int, int, int]:
        """(kind, start and stop of the data, where the next element starts) of the element at ``at``."""
        kind, size = self._words.unpack_from(body, at)
        if kind >> 16:  # up to four bytes ride in the tag itself
            kind, size, start, after = kind & 0xFFFF, kind >> 16, at + 4, at + 8
            if size > 4:
                raise Odd(f"a small element of {size} bytes")
        else:
            start = at + 8
            after = start + (size + 7) // 8 * 8
        if start + size > end:
            raise Odd("an element is longer than what holds it")
        return kind, start, start + size, min(after, end)

    def _numbers(self, body: bytes, at: int, end: int) -> tuple[Array, int]:
        kind, start, stop, after = self._element(body, at, end)
        dtype = np.dtype(self._order + _DTYPES[kind]) if kind in _DTYPES else None
        if dtype is None or (stop - start) % dtype.itemsize:
            raise Odd(f"{stop - start} bytes of type {kind} are not numbers")
        return np.frombuffer(body, dtype, (stop - start) // dtype.itemsize, start), after

    def _codes(self, body: bytes, at: int, end: int, count: int, depth: int) -> Array:
        """Which value each of the ``count`` matrices is that stand one after the other from ``at`` on."""
        ends = self._ends(body, at, end, count) if count >= _MANY else None
        if ends is not None:
            starts = [at, *ends[:-1]]
            get = self._known.get
            codes = [get(body[start:stop], -1) for start, stop in zip(starts, ends, strict=True)]
            for k in np.flatnonzero(np.array(codes) < 0).tolist():
                codes[k] = self._code(body, starts[k], ends[k], depth)
        else:
            codes = []
            for _ in range(count):
                kind, size = self._words.unpack_from(body, at)
                after = at + 8 + size
                if kind != MATRIX or after > end:
                    raise Odd("something else than a matrix stands in a cell or struct")
                codes.append(self._code(body, at, after, depth))
                at = after
        self._charge(_A_PLACE * len(codes))
        return np.array(codes, np.int32)

    def _ends(self, body: bytes, at: int, end: int, count: int) -> list[int] | None:
        """Where ``count`` matrices in a row end, found all at once; None if that is not so plain.

        Every place where a matrix may begin is looked up; only if each ends where the next
        begins, and the last at ``end``, are they the matrices in fact.
        """
        if (end - at) % 8:
            return None
        words = np.frombuffer(body, f"{self._order}u4", (end - at) // 4, at).reshape(-1, 2)
        starts = np.flatnonzero((words[:-1, 0] == MATRIX) & (words[1:, 0] == _FLAGS))
        if len(starts) != count:
            return None
        ends = 8 * starts + 8 + words[starts, 1]
        if starts[0] != 0 or ends[-1] != end - at or not np.array_equal(ends[:-1], 8 * starts[1:]):
            return None
        found: list[int] = (ends + at).tolist()
        return found

    def _code(self, body: bytes, at: int, end: int, depth: int) -> int:
        """Which value the matrix is whose tag stands at ``at``; equal small ones are one."""
        if end - at > _SMALL:
            value = self._matrix(body, at + 8, end, depth)
        else:
            raw = body[at:end]
            if end == at + 8:
                self._charge(_A_HOLE)
            code = self._known.get(raw)
            if code is not None:
                return code
            value = self._matrix(body, at + 8, end, depth) if end > at + 8 else self._nothing
            self._known[raw] = len(self._values)
        self._charge(_A_VALUE)
        self._values.append(value)
        return len(self._values) - 1

    def _matrix(self, body: bytes, at: int, end: int | None, depth: int) -> Value:
        end = len(body) if end is None else end
        if depth > _DEEPEST:
            raise Odd("cells are nested too deeply")
        flags, shape, _, at = self.head(body, at, end)
        kind = flags & 0xFF
        count = _count(shape)
        if kind == _CELL:
            codes = self._codes(body, at, end, count, depth + 1)
            return Cell([self._values[code] for code in codes.tolist()], shape)
        if kind == _STRUCT:
            names, at = self._fields(body, at, end)
            return self._struct(names, self._codes(body, at, end, count * len(names), depth + 1))
        if kind == _CHAR:
            return self._text(body, at, end, shape)
        if kind not in _NUMBERS or flags & _COMPLEX:
            raise Odd(f"a matrix of class {kind} does not belong in an annotation")
        values, _ = self._numbers(body, at, end)
        if len(values) != count:
            raise Odd(f"{len(values)} numbers for a matrix of {shape}")
        self._charge(8 * count)
        wide = values.astype(np.float64).reshape(shape, order="F")
        if values.dtype.kind in "iu" and values.itemsize == 8 and (np.abs(wide) >= _EXACT).any():
            raise Odd("an integer of more than 53 bits")
        wide.setflags(write=False)
        return wide

    def _fields(self, body: bytes, at: int, end: int) -> tuple[list[str], int]:
        """Names of a struct's fields, and where the contents start."""
        length, at = self._numbers(body, at, end)
        _, start, stop, at = self._element(body, at, end)
        if len(length) != 1 or length[0] < 1 or (stop - start) % int(length[0]):
            raise Odd("names of fields are cut")
        step = int(length[0])
        names = [body[k : k + step].split(b"\0")[0].decode("ascii") for k in range(start, stop, step)]
        if len(set(names)) != len(names):
            raise Odd("two fields have one name")
        return names, at

    def _struct(self, names: list[str], codes: Array) -> Struct:
        table = codes.reshape(-1, max(len(names), 1))
        self._charge(_A_VALUE * len(names))
        return Struct(
            {name: Column(np.ascontiguousarray(table[:, k]), self._values) for k, name in enumerate(names)}
        )

    def _text(self, body: bytes, at: int, end: int, shape: tuple[int, ...]) -> str:
        kind, start, stop, _ = self._element(body, at, end)
        if kind not in _TEXTS or (_count(shape) and shape[0] != 1):
            raise Odd(f"a text of type {kind} and shape {shape}")
        self._charge(stop - start)
        coding = _TEXTS[kind]
        if coding in ("utf-16", "utf-32"):
            coding += "-le" if self._order == "<" else "-be"
        return body[start:stop].decode(coding)


def _count(shape: tuple[int, ...]) -> int:
    count: int = prod(shape)
    return count


def columns(value: Value, fields: Sequence[str], where: str, order: Sequence[str] = ()) -> tuple[Column, ...]:
    """The ``fields`` of a struct array as one column each, row by row.

    Args:
        value: a struct array, a cell of struct arrays, an empty matrix, or (if ``order`` is
            given) a cell array with one row a struct and one column a field.
        fields: names of the fields wanted.
        where: what to call the place in an error.
        order: names of all fields in the layout's order, for the cell array.

    Raises:
        DatasetError: ``value`` is no struct, or lacks a field.
    """
    if isinstance(value, Struct):
        missing = [name for name in fields if name not in value.columns]
        if missing:
            raise DatasetError(f"{where} has no field {missing[0]!r}", hint="is this the official layout?")
        return tuple(value.columns[name] for name in fields)
    if isinstance(value, Cell):
        if order and value.shape[1:] == (len(order),) and not any(isinstance(v, Struct) for v in value[:1]):
            rows = value.shape[0]
            return tuple(Column.of(value[rows * order.index(name) :][:rows]) for name in fields)
        parts = [columns(part, fields, where, order) for part in value]
        return tuple(Column.of([row for part in parts for row in part[i]]) for i in range(len(fields)))
    if isinstance(value, np.ndarray) and value.size == 0:
        return tuple(Column.of([]) for _ in fields)
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
    if not (np.abs(value) < _FARTHEST).all():  # or not a number; beyond it, float32 cannot tell pixels apart
        raise DatasetError(
            f"{where}: a box is not finite, or larger than any picture", hint="mend the annotation"
        )
    return tuple(value.ravel().tolist())
