"""PRW's files when they are not what they should be: one clear error that names file and field."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.io import savemat

from personsearch.datasets.prw import Prw
from personsearch.datasets.prw_writer import write_prw
from personsearch.errors import DatasetError
from personsearch.types import Query, Scene

FILES = ("frame_train.mat", "frame_test.mat", "ID_train.mat", "query_info.txt")
BOXES = ("annotations/c1s1_1.jpg.mat", "annotations/c2s1_1.jpg.mat")


def make(root: Path) -> Path:
    """A small whole set: one training and two test frames."""
    boxes = [[0, 0, 5, 9], [9, 9, 20, 40]]
    train = [Scene("c1s1_1.jpg", boxes=boxes, people=[0, -1], camera="1")]
    test = [Scene(f"c{i}s1_1.jpg", boxes=boxes, people=[0, 1], camera=str(i)) for i in (2, 3)]
    write_prw(root, train=train, test=test, queries=[Query("c2s1_1.jpg", boxes[0], 0)])
    return root


def read_all(root: Path) -> None:
    data = Prw(root)
    data.scenes("train")
    data.scenes("test")
    for cameras in ("all", "other"):
        data.trials(cameras=cameras)
    data.listed_ids("test")


def cells(*names: object) -> np.ndarray:
    column = np.empty((len(names), 1), object)
    column[:, 0] = names
    return column


def mat(file: str, variable: str, value: object) -> tuple[str, Callable[[Path], None]]:
    return file, lambda path: savemat(path, {variable: value})


def written(file: str, content: bytes) -> tuple[str, Callable[[Path], None]]:
    return file, lambda path: path.write_bytes(content)  # type: ignore[return-value]


TRAIN_LIST, TEST_LIST, TEXT = ("frame_train.mat", "frame_test.mat", "query_info.txt")
FRAME = "annotations/c1s1_1.jpg.mat"
NAN, LINE = float("nan"), b"1 0 0 5 9 c2s1_1"
DAMAGES = [
    (
        mat(FRAME, "boxes", np.ones((1, 5))),
        r"c1s1_1\.jpg\.mat holds no variable 'box_new' \(it holds: boxes\)",
    ),
    (mat(FRAME, "box_new", np.ones((2, 4))), r"c1s1_1\.jpg\.mat holds a matrix of \(2, 4\)"),
    (mat(FRAME, "box_new", np.ones((1, 5, 2))), r"holds a matrix of \(1, 5, 2\) instead of n x 5"),
    (mat(FRAME, "anno_file", "nobody"), r"c1s1_1\.jpg\.mat holds no matrix"),
    (mat(FRAME, "anno_previous", cells(1.0, 2.0)), r"c1s1_1\.jpg\.mat holds no matrix"),
    (
        mat(FRAME, "box_new", [[-2, 1, 2, NAN, 4]]),
        r"c1s1_1\.jpg\.mat: .* not finite.*: -2 1 2 nan 4",
    ),
    (mat(FRAME, "box_new", [[-2, 1, 2, 3, 1e20]]), r"c1s1_1\.jpg\.mat: .* beyond any picture"),
    (mat(FRAME, "box_new", [[NAN, 1, 2, 3, 4]]), "a number is not finite"),
    (mat(FRAME, "box_new", [[1.5, 1, 2, 3, 4]]), r"c1s1_1\.jpg\.mat: an id is no whole number"),
    (mat(FRAME, "box_new", [[-1, 1, 2, 3, 4]]), "an id is no whole number from 0, nor -2: -1 1 2 3 4"),
    (mat(FRAME, "box_new", [[77, 1, 2, 3, 4]]), r"c1s1_1\.jpg\.mat: id 77 is not in ID_train\.mat"),
    (written(FRAME, b""), r"c1s1_1\.jpg\.mat cannot be read as a MATLAB file"),
    (written(FRAME, b"x" * 300), r"c1s1_1\.jpg\.mat cannot be read as a MATLAB file"),
    (
        mat(TRAIN_LIST, "img_index_test", cells("c1s1_1")),
        r"frame_train\.mat holds no variable 'img_index_train'",
    ),
    (
        mat(TRAIN_LIST, "img_index_train", np.ones((2, 2))),
        r"frame_train\.mat: '.*train' is not a cell",
    ),
    (
        mat(TRAIN_LIST, "img_index_train", cells(3.0)),
        r"frame_train\.mat: '.*train' row 0: .* not a text",
    ),
    (mat(TRAIN_LIST, "img_index_train", cells("c1s1_1", "c1s1_1")), r"frame_train\.mat.* lists c1s1_1 twice"),
    (mat(TRAIN_LIST, "img_index_train", cells("c9s1_1")), r"c9s1_1\.jpg\.mat is missing"),
    *(
        (
            mat(TEST_LIST, "img_index_test", cells("c2s1_1", name)),
            r"frame_test\.mat: '.*test' row 1: .* not the",
        )
        for name in ("../c3s1_1", "/etc/x", "a/b", "a\\b", "C:x", ".x", "..", "a\nb", "x" * 300)
    ),
    (mat("ID_train.mat", "ID_test2", [[3.0]]), r"ID_train\.mat holds no variable 'ID_train'"),
    (mat("ID_train.mat", "ID_train", [[3, 4, 3]]), r"ID_train\.mat: 'ID_train' lists an id twice"),
    (mat("ID_train.mat", "ID_train", [[3, -2]]), r"ID_train\.mat: 'ID_train' is not a list of ids"),
    (mat("ID_train.mat", "ID_train", [[3, NAN]]), "is not a list of ids"),
    (mat("ID_train.mat", "ID_train", cells("a")), "is not a list of ids"),
    (written("ID_test.mat", b"MATLAB"), r"ID_test\.mat cannot be read"),
    (written(TEXT, b"1 0 0 5 c2s1_1"), r"query_info\.txt line 1 is not"),
    (written(TEXT, LINE + b"\n\n" + LINE + b" more"), r"query_info\.txt line 3 is not"),
    (written(TEXT, b"1 0 0 five 9 c2s1_1"), r"query_info\.txt line 1 is not"),
    (written(TEXT, b"1 0 0 nan 9 c2s1_1"), r"query_info\.txt line 1: 0 0 nan 9 is no box"),
    (written(TEXT, b"1 0 0 inf 9 c2s1_1"), r"query_info\.txt line 1: 0 0 inf 9 is no box"),
    (written(TEXT, b"1 0 0 -5 9 c2s1_1"), r"query_info\.txt line 1: 0 0 -5 9 is no box"),
    (written(TEXT, b"-2 0 0 5 9 c2s1_1"), r"query_info\.txt line 1: id -2 names nobody"),
    (written(TEXT, b"1.5 0 0 5 9 c2s1_1"), r"query_info\.txt line 1: id 1\.5 names nobody"),
    (written(TEXT, b"1 0 0 5 9 ../c2s1_1"), r"query_info\.txt line 1: '\.\./c2s1_1' is not the name"),
    (written(TEXT, b"1 0 0 5 9 c1s1_1"), r"query_info\.txt line 1: c1s1_1 is not in frame_test\.mat"),
    (
        written(TEXT, LINE + b"\r\n9 0 0 5 9 c3s1_1"),
        r"query_info\.txt line 2: person 9 is not .* c3s1_1",
    ),
    (written(TEXT, b"\xff\xfe1"), r"query_info\.txt cannot be read as text"),
]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("prw"))


@pytest.mark.parametrize(("damage", "match"), DAMAGES)
def test_each_damage_is_one_clear_error(
    whole: Path, damage: tuple[str, Callable[[Path], None]], match: str
) -> None:
    path = whole / damage[0]
    before = path.read_bytes()
    try:
        damage[1](path)
        with pytest.raises(DatasetError, match=match) as caught:
            read_all(whole)
    finally:
        path.write_bytes(before)
    assert "\n" not in str(caught.value)
    assert caught.value.hint
    read_all(whole)


@pytest.mark.parametrize("name", [*FILES[:2], FILES[3], *BOXES])
def test_a_missing_file_is_named(whole: Path, name: str) -> None:
    before = (whole / name).read_bytes()
    try:
        (whole / name).unlink()
        with pytest.raises(DatasetError, match=f"{Path(name).name} is missing"):
            read_all(whole)
    finally:
        (whole / name).write_bytes(before)


def damage_bytes(whole: Path, data: st.DataObject) -> None:
    """Cut a file anywhere, change some bytes: it is read, or one error names a file."""
    path = whole / data.draw(st.sampled_from([*FILES, "ID_test.mat", *BOXES]))
    before = path.read_bytes()
    content = bytearray(before[: data.draw(st.integers(0, len(before)), label="cut")])
    for place in data.draw(st.lists(st.integers(0, max(len(content) - 1, 0)), max_size=4), label="places"):
        if content:
            content[place] = data.draw(st.integers(0, 255), label="byte")
    path.write_bytes(bytes(content))
    try:
        said = refusal(whole)
    finally:
        path.write_bytes(before)
    assert said is None or str(whole) in said


def refusal(root: Path) -> str | None:
    try:
        read_all(root)
    except DatasetError as error:
        return str(error)
    return None


@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_damaged_bytes_are_read_or_refused(whole: Path, data: st.DataObject) -> None:
    damage_bytes(whole, data)


@pytest.mark.long
@given(data=st.data())
@settings(max_examples=5000, deadline=None)
def test_many_damaged_bytes_are_read_or_refused(whole: Path, data: st.DataObject) -> None:
    damage_bytes(whole, data)


WORDS = st.one_of(
    st.sampled_from(["1", "0", "-1", "nan", "1e400", "5.5", "c2s1_1", "..", "\u2028", "\x85", "\x00"]),
    st.text(max_size=4),
)


@given(lines=st.lists(st.lists(WORDS, max_size=7).map(" ".join), max_size=3))
@settings(max_examples=40, deadline=None)
def test_any_query_list_is_read_or_refused(whole: Path, lines: list[str]) -> None:
    path = whole / "query_info.txt"
    before = path.read_bytes()
    path.write_bytes("\n".join(lines).encode("utf-8", "surrogatepass"))
    try:
        said = refusal(whole)
    finally:
        path.write_bytes(before)
    assert said is None or "query_info.txt" in said
