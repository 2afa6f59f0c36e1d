"""JSON of others, taken apart; boxes in the fewest decimals; names that stay in their folder."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from personsearch.boxes import from_xywh
from personsearch.datasets.json_files import Fields, exact_xywh, picture_path, read_json, write_tables
from personsearch.errors import DatasetError

coordinate = st.one_of(
    st.floats(-3000, 3000, width=32).filter(lambda x: abs(x) > 1e-3),
    st.integers(-3000, 3000).map(float),
    st.floats(-3000, 3000).map(lambda x: float(np.float32(round(x, 2)))),
)


@given(st.lists(st.tuples(coordinate, coordinate, coordinate, coordinate), max_size=8))
@settings(max_examples=60, deadline=None)
def test_boxes_come_back_to_the_bit_through_text(corners) -> None:
    boxes = np.array(corners, np.float32).reshape(-1, 4)
    boxes = np.concatenate(
        [np.minimum(boxes[:, :2], boxes[:, 2:]), np.maximum(boxes[:, :2], boxes[:, 2:])], 1
    )
    boxes = boxes[(boxes[:, 2:] > boxes[:, :2]).all(1)]
    text = json.dumps(exact_xywh(boxes))
    np.testing.assert_array_equal(from_xywh(np.array(json.loads(text)).reshape(-1, 4)), boxes)


def test_boxes_of_few_decimals_keep_them() -> None:
    given = [[586.8, 278.11, 42.31, 116.9], [3.0, 4.0, 10.0, 20.5], [0.1, 0.2, 0.3, 0.4]]
    assert exact_xywh(from_xywh(np.array(given))) == given
    for bad in ([5, 5, 5, 9], [5, 5, 1, 9], [0, 0, np.inf, 1], [0, 0, np.nan, 1]):
        with pytest.raises(DatasetError, match="no inside"):
            exact_xywh(np.array([bad], np.float32))


@pytest.mark.parametrize(
    ("field", "value", "ask"),
    [
        ("bbox", [1, 2, 3], "box"),
        ("bbox", [1, 2, 3, "4"], "box"),
        ("bbox", [1, 2, 3, None], "box"),
        ("bbox", [1, 2, 3, float("nan")], "box"),
        ("bbox", [1, 2, 3, 1e300], "box"),
        ("bbox", [1, 2, 3, 10**400], "box"),
        ("bbox", [True, 2, 3, 4], "box"),
        ("bbox", "1,2,3,4", "box"),
        ("bbox", [1, 2, -3, 4], "box"),
        ("id", True, "label"),
        ("id", 1.5, "label"),
        ("id", [], "label"),
        ("id", "", "label"),
        ("id", "\ud800", "label"),
        ("time", float("inf"), "number"),
        ("time", "1", "number"),
        ("frame", 1.25, "integer"),
        ("iscrowd", 2, "flag"),
        ("iscrowd", "1", "flag"),
        ("name", 3, "text"),
        ("images", {}, "objects"),
    ],
)
def test_a_field_of_the_wrong_kind_is_named(field: str, value: object, ask: str) -> None:
    with pytest.raises(DatasetError, match=rf"a\.json: images\[3\]: {field}"):
        getattr(Fields({field: value}, "a.json: images[3]"), ask)(field)


def test_numbers_and_text_are_one_label() -> None:
    labels = [Fields({"id": value}, "x").label("id") for value in (3, 3.0, "3", 0, -1, None, "p 3")]
    assert labels == ["3", "3", "3", "0", "-1", None, "p 3"]


@pytest.mark.parametrize(
    "name",
    [
        "../a.jpg",
        "b/../../a.jpg",
        "/etc/passwd",
        "C:\\a.jpg",
        "..\\a.jpg",
        "a\\..\\..\\b",
        ".",
        "a\0.jpg",
        "//x/y",
    ],
)
def test_names_that_leave_the_folder_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(DatasetError, match="x: file_name"):
        picture_path(tmp_path, name, "x: file_name")


def test_links_may_not_lead_out_but_the_folder_itself_may_be_one(tmp_path: Path) -> None:
    outside, inside = tmp_path / "outside", tmp_path / "inside"
    outside.mkdir()
    (inside / "real").mkdir(parents=True)
    (outside / "a.jpg").touch()
    (inside / "link").symlink_to(outside)
    (inside / "a.jpg").symlink_to(outside / "a.jpg")
    (inside / "b.jpg").symlink_to(inside / "real" / "b.jpg")
    for name in ("link/a.jpg", "a.jpg"):
        with pytest.raises(DatasetError, match="leads out"):
            picture_path(inside, name, "x")
    assert picture_path(inside, "b.jpg", "x") == inside / "b.jpg"
    assert picture_path(inside / "link", "a.jpg", "x") == inside / "link" / "a.jpg"
    assert picture_path(inside, "real/" + "n" * 300 + ".jpg", "x").parent == inside / "real"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "not JSON"),
        (b'{"a": [1, 2', "not JSON"),
        (b"\xff\xfe\x00", "not JSON"),
        (b"[" * 200_000, "nested too deeply|not JSON"),
        (b"9" * 5000, "not JSON"),
    ],
)
def test_files_that_are_no_json(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(DatasetError, match=rf"a\.json .*({said})"):
        read_json(path)
    with pytest.raises(DatasetError, match="missing"):
        read_json(tmp_path / "b.json")
    with pytest.raises(DatasetError, match="cannot be read"):
        read_json(tmp_path)


def test_tables_have_a_line_an_entry(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_tables(path, {"name": "ä"}, {"rows": [{"b": 1}, {"b": 2}], "none": []})
    assert path.read_text() == '{\n"name": "ä",\n"rows": [\n{"b": 1},\n{"b": 2}\n],\n"none": []\n}\n'
    assert read_json(path) == {"name": "ä", "rows": [{"b": 1}, {"b": 2}], "none": []}
