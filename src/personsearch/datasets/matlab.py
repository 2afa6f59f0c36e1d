"""MATLAB 5 files as plain columns, whatever MATLAB squeezed, and one clear line when they are odd.

A struct array may come as a struct, as a cell of structs, or empty as a 0x0 double; numbers
come in the narrowest type that holds them (a box can be uint8). Here everything is
flattened and widened once, so that no reader meets those traps again.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy.io import loadmat, whosmat

from personsearch.errors import DatasetError
from personsearch.types import Array


def read_variable(path: Path, variable: str) -> Array:
    """The array stored as ``variable`` in the MATLAB 5 file ``path``, nothing squeezed.

    Raises:
        DatasetError: no such file, not a MATLAB file, cut short, MATLAB 7.3, or another variable.
    """
    if not path.is_file():
        raise DatasetError(
            f"{path} is missing", hint="is the data set unpacked whole, and --root its folder?"
        )
    try:
        content = loadmat(path, variable_names=[variable])
    except NotImplementedError as error:
        raise DatasetError(
            f"{path} is a MATLAB 7.3 (HDF5) file", hint=f"save it again in MATLAB with -v7 ({variable})"
        ) from error
    except Exception as error:  # scipy raises a dozen kinds on damaged files; each means the same to people
        raise DatasetError(
            f"{path} cannot be read as a MATLAB file: {_one_line(error)}",
            hint="it is damaged, cut short or something else; fetch it again",
        ) from error
    if variable not in content:
        held = ", ".join(name for name, _, _ in whosmat(path)) or "nothing"
        raise DatasetError(
            f"{path} holds no variable {variable!r} (it holds: {held})",
            hint="is this the file of that name from the data set?",
        )
    value: Array = content[variable]
    return value


def _one_line(error: Exception) -> str:
    return f"{type(error).__name__} {error}".split("\n", 1)[0].strip()


def columns(value: Array, fields: Sequence[str], where: str) -> tuple[list[Array], ...]:
    """The ``fields`` of a struct array as one list each, row by row.

    Args:
        value: a struct array of any shape, a cell of struct arrays, or an empty matrix.
        fields: names of the fields wanted.
        where: what to call the place in an error.

    Raises:
        DatasetError: ``value`` is no struct, or lacks a field.
    """
    value = np.asarray(value)
    if value.dtype.names is not None:
        missing = [name for name in fields if name not in value.dtype.names]
        if missing:
            raise DatasetError(f"{where} has no field {missing[0]!r}", hint="is this the official layout?")
        return tuple(list(value[name].reshape(-1)) for name in fields)
    if value.size == 0:
        return tuple([] for _ in fields)
    if value.dtype != object:
        raise DatasetError(f"{where} is not a struct array", hint="is this the official layout?")
    parts = [columns(cell, fields, where) for cell in value.reshape(-1)]
    return tuple([row for part in parts for row in part[i]] for i in range(len(fields)))


def text(value: Array, where: str) -> str:
    """A MATLAB char row as a string.

    >>> text(np.array(["s1.jpg"]), "pool.mat")
    's1.jpg'
    """
    array = np.asarray(value)
    while array.dtype == object and array.size == 1:
        array = np.asarray(array.reshape(-1)[0])
    if array.size != 1 or array.dtype.kind != "U":
        raise DatasetError(f"{where}: a name is not a text", hint="is this the official layout?")
    return str(array.reshape(-1)[0])


def box_xywh(value: Array, where: str) -> Array:
    """(4,) float64 left, top, width, height; or (0,) where nobody is (1x0 or 0x0).

    Widened before anybody can calculate with it: 84 * 225 in uint8 is 212.

    >>> box_xywh(np.array([[84, 10, 84, 225]], np.uint8), "s1.jpg").prod() == 84 * 10 * 84 * 225
    np.True_
    """
    array = np.asarray(value)
    if array.dtype == object or array.dtype.kind not in "iuf" or array.size not in (0, 4):
        raise DatasetError(
            f"{where}: a box is not four numbers but {array.dtype} {array.shape}",
            hint="is this the official layout?",
        )
    numbers: Array = array.reshape(-1).astype(np.float64)
    if not np.isfinite(numbers).all():
        raise DatasetError(f"{where}: a box is not finite", hint="is this the official layout?")
    return numbers
