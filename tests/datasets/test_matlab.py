"""Our reader of MATLAB 5 files against SciPy's, and against files that SciPy dies of."""

from __future__ import annotations

import io
import struct
import tempfile
import tracemalloc
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.io import loadmat, savemat

from personsearch.datasets import matlab, matlab_stream
from personsearch.datasets.matlab import Cell, Column, Struct, columns, read_variable
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
        assert ours.shape == theirs.shape
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


def file_of(order: str, *variables: bytes) -> bytes:
    mark = struct.pack(f"{order}H", 0x4D49)
    header = b"MATLAB 5.0 MAT-file".ljust(124) + struct.pack(f"{order}H", 0x0100) + mark
    return header + b"".join(variables)


def matrix(order: str, class_: int, shape: tuple[int, ...], data: bytes, name: bytes = b"value") -> bytes:
    """A matrix by the format's description, byte by byte; ``data`` are its elements."""
    head = element(6, struct.pack(f"{order}II", class_, 0), order)
    head += element(5, struct.pack(f"{order}{len(shape)}i", *shape), order) + element(1, name, order)
    return element(14, head + data, order)


def packed(order: str, variable: bytes) -> bytes:
    body = zlib.compress(variable)
    return struct.pack(f"{order}II", 15, len(body)) + body


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("pack", [False, True])
@pytest.mark.parametrize("kind", ["i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8"])
@pytest.mark.parametrize("class_", [6, 7, 8, 9, 10, 11, 12, 13, 14, 15])
def test_every_type_of_box_in_both_byte_orders(
    order: str, pack: bool, kind: str, class_: int, tmp_path: Path
) -> None:
    """Doubles are often stored as the narrowest integers that hold them, so type and class differ."""
    codes = {"i1": 1, "u1": 2, "i2": 3, "u2": 4, "i4": 5, "u4": 6, "f4": 7, "f8": 9, "i8": 12, "u8": 13}
    box = np.array([[1, 3], [2, 100]], f"{order}{kind}")
    variable = matrix(order, class_, (2, 2), element(codes[kind], box.tobytes("F"), order))
    path = tmp_path / "x.mat"
    path.write_bytes(file_of(order, packed(order, variable) if pack else variable))
    assert np.asarray(read_variable(path, "value")).tolist() == [[1, 3], [2, 100]]
    np.testing.assert_array_equal(loadmat(path)["value"], box)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    ("type_", "coding", "name", "scipy_too"),
    [
        (16, "utf-8", "s1.jpg", True),
        (16, "utf-8", "Größe人.jpg", True),
        (4, "utf-16", "s1.jpg", True),
        (4, "utf-16", "Größe人.jpg", False),  # SciPy takes the low bytes unless told otherwise
        (17, "utf-16", "Größe人😀.jpg", True),
        (2, "latin-1", "s1.jpg", True),
        (2, "latin-1", "Größe.jpg", False),  # SciPy: UTF-8 or nothing
        (1, "ascii", "s1", True),
    ],
)
def test_names_in_every_coding(
    order: str, type_: int, coding: str, name: str, scipy_too: bool, tmp_path: Path
) -> None:
    suffix = {"utf-16": "-le" if order == "<" else "-be"}.get(coding, "")
    data = name.encode(coding + suffix)
    path = tmp_path / "x.mat"
    path.write_bytes(file_of(order, matrix(order, 4, (1, len(name)), element(type_, data, order))))
    assert read_variable(path, "value") == name
    if scipy_too:
        assert loadmat(path)["value"].tolist() == [name]


def small(order: str, kind: int, data: bytes) -> bytes:
    """An element of up to four bytes rides in its own tag."""
    return struct.pack(f"{order}I", len(data) << 16 | kind) + data.ljust(4, b"\0")


@pytest.mark.parametrize("order", ["<", ">"])
def test_small_elements(order: str, tmp_path: Path) -> None:
    head = element(6, struct.pack(f"{order}II", 6, 0), order)
    head += element(5, struct.pack(f"{order}ii", 1, 4), order) + small(order, 1, b"v")
    path = tmp_path / "x.mat"
    path.write_bytes(file_of(order, element(14, head + small(order, 2, bytes([1, 2, 3, 4])), order)))
    assert np.asarray(read_variable(path, "v")).tolist() == [[1, 2, 3, 4]] == loadmat(path)["v"].tolist()


def test_integers_that_no_float_holds_are_an_error(tmp_path: Path) -> None:
    for value in (2**53 - 1, 2**53 + 1):
        savemat(tmp_path / "x.mat", {"value": np.array([[value]], np.int64)})
        if value < 2**53:
            assert np.asarray(read_variable(tmp_path / "x.mat", "value")).tolist() == [[value]]
        else:
            with pytest.raises(DatasetError, match="more than 53 bits"):
                read_variable(tmp_path / "x.mat", "value")


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
    assert [list(column) for column in columns(np.zeros((0, 0)), ("a", "b"), "here")] == [[], []]
    with pytest.raises(DatasetError, match="here is not a struct array"):
        columns(np.ones((1, 1)), ("a",), "here")
    with pytest.raises(DatasetError, match="here has no field 'b'"):
        columns(Struct({"a": Column.of([])}), ("b",), "here")


def test_a_cell_array_with_a_row_for_each_struct() -> None:
    cell = Cell(["p1", "p2", 1, 2, "s1", "s2"], (2, 3))
    (scene, name) = columns(cell, ("scene", "idname"), "here", ("idname", "nAppear", "scene"))
    assert (list(scene), list(name)) == (["s1", "s2"], ["p1", "p2"])
    with pytest.raises(DatasetError, match="here is not a struct array"):
        columns(cell, ("scene",), "here")
    structs = Cell([Struct({"a": Column.of([k])}) for k in range(3)], (1, 3))
    assert list(columns(structs, ("a",), "here", ("a", "b", "c"))[0]) == [0, 1, 2]


def test_it_says_what_the_file_holds_instead(tmp_path: Path) -> None:
    savemat(tmp_path / "x.mat", {"one": 1, "two": 2})
    with pytest.raises(DatasetError, match=r"no variable 'three' \(it holds: one, two\)"):
        read_variable(tmp_path / "x.mat", "three")
    odd = matrix("<", 6, (1, 1), element(9, b"\0" * 8, "<"), b"one\n\x1b[2J" + b"x" * 500)
    (tmp_path / "x.mat").write_bytes(file_of("<", odd))
    with pytest.raises(DatasetError, match=r"holds: 'one\\n\\x1b\[2Jx{40,50}\)$"):
        read_variable(tmp_path / "x.mat", "three")


HOLE = struct.pack("<II", 14, 0)


def long_struct(rng: np.random.Generator, rows: int) -> np.ndarray:
    """Like a gallery: many rows of few different small things, here and there something large."""
    things = [np.zeros((1, 0)), np.zeros((0, 0)), "s1.jpg", "s22222.jpg", np.array([[14, 0, 6, 8]], "u2")]
    things += [np.array([[14, 0, 0, 0, 6, 0, 8, 0]], "u2"), np.arange(40.0), as_cell(["a", "b"])]
    picked = rng.integers(0, len(things), (rows, 2))
    return as_struct([(things[a], things[b]) for a, b in picked])


@given(st.integers(60, 300), st.integers(0, 1000), st.booleans())
@settings(max_examples=15, deadline=None)
def test_long_struct_arrays_are_read_as_short_ones_are(rows: int, seed: int, pack: bool) -> None:
    value = long_struct(np.random.default_rng(seed), rows)
    outer = as_struct([(value, "one"), ("two", value)])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.mat"
        savemat(path, {"value": outer, "flat": value}, do_compression=pack)
        for name in ("value", "flat"):
            same(read_variable(path, name), loadmat(path)[name])


def test_data_that_look_like_a_matrix_are_not_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A box whose bytes are the beginning of a matrix: the quick way must give up, not split there."""
    asked = []
    quick = matlab._Decoder._ends
    monkeypatch.setattr(matlab._Decoder, "_ends", lambda *a: asked.append(quick(*a)) or asked[-1])
    liar = np.array([[14, 48, 6, 8]], "u4")
    rows = [(np.ones((1, 4)), "s1.jpg")] * 70
    savemat(tmp_path / "x.mat", {"value": as_cell([as_struct(rows)])})
    (plain,) = read_variable(tmp_path / "x.mat", "value")
    savemat(tmp_path / "x.mat", {"value": as_cell([as_struct([*rows, (liar, "s2.jpg")])])})
    (lying,) = read_variable(tmp_path / "x.mat", "value")
    assert [ends is not None for ends in asked] == [True, False]
    assert (len(plain.columns["first"]), len(lying.columns["first"])) == (70, 71)
    assert lying.columns["first"][70].tolist() == [[14, 48, 6, 8]]


@pytest.mark.parametrize("holes", [0, 1])
def test_a_liar_and_a_hole_together(holes: int, tmp_path: Path) -> None:
    """As many beginnings as matrices, but not the same ones: only their chain tells."""
    plain = matrix("<", 6, (1, 1), element(2, b"\7", "<"), b"")
    liar = matrix("<", 13, (1, 4), element(6, struct.pack("<4I", 14, 48, 6, 8), "<"), b"")
    rows = [plain] * 70 + [HOLE] * holes + [liar] * holes + [plain]
    names = small("<", 5, struct.pack("<i", 4)) + element(1, b"abc\0", "<")
    inner = matrix("<", 2, (1, len(rows)), names + b"".join(rows), b"")
    (tmp_path / "x.mat").write_bytes(file_of("<", matrix("<", 1, (1, 1), inner)))
    found = [
        np.asarray(value).ravel().tolist()
        for value in read_variable(tmp_path / "x.mat", "value")[0].columns["abc"]
    ]
    assert found == [[7]] * 70 + [[], [14, 48, 6, 8]][: 2 * holes] + [[7]]


def cell_of(rows: int, contents: bytes, claimed: int | None = None) -> bytes:
    """A packed cell of ``rows`` matrices; its header may claim another length."""
    inside = matrix("<", 1, (1, rows), b"")[8:] + contents
    return packed("<", struct.pack("<II", 14, len(inside) if claimed is None else claimed) + inside)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (packed("<", matrix("<", 6, (1, 1 << 27), b"\0" * (1 << 27))), "one matrix of|bytes unpack to more"),
        (
            cell_of(12, matrix("<", 6, (1, 1 << 20), element(9, bytes(1 << 23), "<")) * 12),
            "bytes unpack to more than",
        ),
        (cell_of(1 << 22, HOLE * (1 << 22)), "more than 3221225472 bytes of memory"),
        (cell_of(1 << 10, HOLE * (1 << 9), 1 << 20), "cut short"),
        (
            packed("<", matrix("<", 6, (1, 1), element(9, b"\0" * 8, "<")) + b"\0" * 99),
            "longer than its header",
        ),
        (matrix("<", 2, (1, 1 << 30), element(5, struct.pack("<i", 32), "<") + element(1, b"", "<")), ""),
        (matrix("<", 1, (1, 2**31 - 1), b""), "longer than what holds it"),
        (matrix("<", 6, (1, 2**31 - 1), element(9, b"", "<")), "0 numbers for a matrix"),
        (matrix("<", 6, (2**31 - 1, 2**31 - 1), b""), "a matrix of shape"),
        (matrix("<", 6, (0, *[2**31 - 1] * 3), element(9, b"", "<")), "a matrix of shape"),
    ],
)
def test_a_file_cannot_fill_the_memory(content: bytes, said: str, tmp_path: Path) -> None:
    path = tmp_path / "x.mat"
    path.write_bytes(file_of("<", content))
    assert path.stat().st_size < 1 << 20
    tracemalloc.start()
    try:
        if said:
            with pytest.raises(DatasetError, match=said):
                read_variable(path, "value")
        else:
            assert read_variable(path, "value").columns == {}
        assert tracemalloc.get_traced_memory()[1] < 200 << 20
    finally:
        tracemalloc.stop()


def test_what_is_held_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matlab, "_HELD", 1 << 20)
    many = as_cell([np.array([[k, k + 1, 2, 3]], "u2") for k in range(3000)])
    savemat(tmp_path / "x.mat", {"value": many, "wide": np.zeros((1000, 1000), "u1")})
    for name in ("value", "wide"):
        with pytest.raises(DatasetError, match="more than 1048576 bytes of memory"):
            read_variable(tmp_path / "x.mat", name)


def test_a_wrong_checksum_is_an_error(tmp_path: Path) -> None:
    body = bytearray(packed("<", matrix("<", 6, (1, 1), element(9, b"\0" * 8, "<"))))
    body[-1] ^= 1
    (tmp_path / "x.mat").write_bytes(file_of("<", bytes(body)))
    with pytest.raises(DatasetError, match="incorrect data check"):
        read_variable(tmp_path / "x.mat", "value")


def test_a_stream_gives_the_same_bytes_however_it_is_cut() -> None:
    whole = bytes(range(256)) * 8
    rng = np.random.default_rng(0)
    for _ in range(50):
        cuts = np.sort(rng.integers(0, len(whole), 9))
        pieces = [piece for piece in map(bytes, np.split(np.frombuffer(whole, "u1"), cuts)) if piece]
        stream, got = matlab_stream.Stream(iter(pieces), len(whole)), b""
        while stream.left:
            size = int(rng.integers(0, 400))
            seen = stream.peek(size)
            got += stream.take(len(seen))
            assert got.endswith(seen)
        assert got == whole
        stream.finish()
        with pytest.raises(matlab_stream.Odd):
            stream.take(1)
