"""Our reader of MATLAB 5 files against SciPy's, and against files that SciPy dies of."""

from __future__ import annotations

import io
import struct
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.io import loadmat, savemat

from personsearch.datasets.matlab import Struct, columns, read_variable
from personsearch.errors import DatasetError

numbers = st.builds(
    lambda dtype, shape, seed: np.random.default_rng(seed).integers(0, 100, shape).astype(dtype),
    st.sampled_from(["u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f4", "f8"]),
    st.tuples(st.integers(0, 3), st.integers(0, 5)),
    st.integers(0, 99),
)
names = st.text("abcxyz_.019 é人", min_size=1, max_size=12)


def as_cell(values: list) -> np.ndarray:
    cell = np.empty((1, len(values)), object)
    for k, value in enumerate(values):
        cell[0, k] = value
    return cell


def as_struct(rows: list[tuple]) -> np.ndarray:
    return np.array(rows, dtype=[("first", "O"), ("a_longer_name", "O")]).reshape(1, -1)


anything = st.recursive(
    numbers | names,
    lambda inner: (
        st.lists(inner, max_size=4).map(as_cell)
        | st.lists(st.tuples(inner, inner), min_size=1, max_size=4).map(as_struct)
    ),
    max_leaves=8,
)


def same(ours: Any, theirs: np.ndarray) -> None:
    if theirs.dtype.names:
        assert isinstance(ours, Struct)
        assert list(ours.columns) == list(theirs.dtype.names)
        for field in theirs.dtype.names:
            for one, other in zip(ours.columns[field], theirs[field].ravel("F"), strict=True):
                same(one, other)
    elif theirs.dtype == object:
        for one, other in zip(ours, theirs.ravel("F"), strict=True):
            same(one, other)
    elif theirs.dtype.kind == "U":
        assert ours == (str(theirs[0]) if theirs.size else "")
    else:
        np.testing.assert_array_equal(ours, theirs.astype(np.float64))
        assert ours.shape == theirs.shape


@given(anything, st.booleans())
@settings(max_examples=80, deadline=None)
def test_it_reads_what_scipy_reads(value: Any, packed: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.mat"
        savemat(path, {"before": np.ones(3), "value": value, "after": "z"}, do_compression=packed)
        same(read_variable(path, "value"), loadmat(path)["value"])


def example() -> bytes:
    rows = [(np.array([[1, 2, 3, 4]], "u2"), "s1.jpg"), (np.zeros((1, 0)), as_cell(["s2.jpg", np.eye(3)]))]
    buffer = io.BytesIO()
    savemat(buffer, {"value": as_struct(rows)})
    return buffer.getvalue()


def test_damaged_bytes_never_get_further_than_an_error(tmp_path: Path) -> None:
    whole, path = example(), tmp_path / "x.mat"
    rng, said = np.random.default_rng(0), []
    for place in range(100, len(whole), 2):
        for value in (255, int(rng.integers(256))):
            path.write_bytes(whole[:place] + bytes([value]) + whole[place + 1 :])
            try:
                read_variable(path, "value")
            except DatasetError as error:
                said.append(str(error))
    assert len(said) > 100
    assert not any("\n" in line for line in said)


def test_every_cut_is_an_error(tmp_path: Path) -> None:
    whole, path = example(), tmp_path / "x.mat"
    for length in range(0, len(whole), 3):
        path.write_bytes(whole[:length])
        with pytest.raises(DatasetError):
            read_variable(path, "value")


def element(kind: int, data: bytes, order: str) -> bytes:
    return struct.pack(f"{order}II", kind, len(data)) + data.ljust((len(data) + 7) // 8 * 8, b"\0")


@pytest.mark.parametrize("order", ["<", ">"])
def test_both_byte_orders(order: str, tmp_path: Path) -> None:
    """Written by the format's description, byte by byte: a double matrix stored as 16-bit integers."""
    mark = struct.pack(f"{order}H", 0x4D49)
    body = (
        element(6, struct.pack(f"{order}II", 6, 0), order)
        + element(5, struct.pack(f"{order}ii", 2, 2), order)
        + element(1, b"box", order)
        + element(4, struct.pack(f"{order}4H", 1, 2, 3, 500), order)
    )
    header = b"MATLAB 5.0 MAT-file".ljust(124) + struct.pack(f"{order}H", 0x0100) + mark
    (tmp_path / "x.mat").write_bytes(header + element(14, body, order))
    assert np.asarray(read_variable(tmp_path / "x.mat", "box")).tolist() == [[1, 3], [2, 500]]  # by columns


def test_cells_without_end_are_an_error(tmp_path: Path) -> None:
    value: Any = "deep"
    for _ in range(20):
        value = as_cell([value])
    savemat(tmp_path / "x.mat", {"value": value})
    with pytest.raises(DatasetError, match="nested too deeply"):
        read_variable(tmp_path / "x.mat", "value")


def test_what_is_shared_cannot_be_changed(tmp_path: Path) -> None:
    savemat(tmp_path / "x.mat", {"value": as_cell([np.ones((1, 4)), np.ones((1, 4))])})
    one, other = read_variable(tmp_path / "x.mat", "value")
    assert one is other
    with pytest.raises(ValueError, match="read-only"):
        one[0, 0] = 5


def test_columns_of_what_is_no_struct() -> None:
    assert columns(np.zeros((0, 0)), ("a", "b"), "here") == ([], [])
    with pytest.raises(DatasetError, match="here is not a struct array"):
        columns(np.ones((1, 1)), ("a",), "here")
    with pytest.raises(DatasetError, match="here has no field 'b'"):
        columns(Struct({"a": []}), ("b",), "here")


def test_it_says_what_the_file_holds_instead(tmp_path: Path) -> None:
    savemat(tmp_path / "x.mat", {"one": 1, "two": 2})
    with pytest.raises(DatasetError, match=r"no variable 'three' \(it holds: one, two\)"):
        read_variable(tmp_path / "x.mat", "three")
