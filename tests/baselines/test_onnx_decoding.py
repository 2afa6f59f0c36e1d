"""A detector's outputs in every form that is understood, and in those that are not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from personsearch.baselines.onnx_decoding import decoded
from personsearch.baselines.onnx_settings import OnnxDetectorSettings
from personsearch.errors import InputError
from personsearch.types import Array

FILE = Path("d.onnx")
SIZE = (64, 128)
BOXES = np.array([[10, 20, 30, 60], [0, 0, 64, 32]], np.float32)


def words(**more: Any) -> OnnxDetectorSettings:
    usual: dict[str, Any] = {
        "channels": "rgb",
        "white": 1,
        "mean": (0, 0, 0),
        "std": (1, 1, 1),
        "output": "boxes-scores",
        "boxes": "xyxy",
        "units": "pixels",
    }
    return OnnxDetectorSettings(**{**usual, **more})


def read(outputs: dict[str, Any], **more: Any) -> tuple[Array, Array]:
    arrays = {name: np.asarray(one) for name, one in outputs.items()}
    return decoded(arrays, words(**more), SIZE, FILE)


@pytest.mark.parametrize(
    ("form", "table"),
    [
        ("xyxy", BOXES),
        ("xywh", [[10, 20, 20, 40], [0, 0, 64, 32]]),
        ("cxcywh", [[20, 40, 20, 40], [32, 16, 64, 32]]),
    ],
)
def test_boxes_of_any_form_and_unit(form: str, table: Any) -> None:
    scores = [0.5, 0.25]
    boxes, found = read({"boxes": table, "scores": scores}, boxes=form)
    assert boxes.tolist() == BOXES.tolist()
    assert found.tolist() == scores
    shares = np.asarray(table, np.float32) / [128, 64, 128, 64]
    assert read({"boxes": shares, "scores": scores}, boxes=form, units="shares")[0].tolist() == BOXES.tolist()


def test_a_batch_of_one_is_taken_off_all_outputs_or_none() -> None:
    flat = read({"boxes": BOXES, "scores": [0.5, 0.25], "labels": [1, 0]}, person=0)
    batch = read({"boxes": BOXES[None], "scores": [[0.5, 0.25]], "labels": [[1, 0]]}, person=0)
    for boxes, scores in (flat, batch):
        assert boxes.tolist() == BOXES[1:].tolist()
        assert scores.tolist() == [0.25]
    columns = [[0.1, 0.9], [0.6, 0.4]]
    for outputs in ({"boxes": BOXES, "scores": columns}, {"boxes": BOXES[None], "scores": [columns]}):
        assert read(outputs, person=1)[1].tolist() == pytest.approx([0.9, 0.4])
    assert read({"boxes": BOXES, "scores": [[0.5], [0.25]]})[1].tolist() == [0.5, 0.25]
    one = read({"boxes": BOXES[:1], "scores": [[0.2, 0.7, 0.1]]}, person=2)  # one box, three classes
    assert one[1].tolist() == pytest.approx([0.1])
    assert len(read({"boxes": np.zeros((1, 0, 4)), "scores": np.zeros((1, 0))})[1]) == 0


def test_outputs_of_other_names_are_named() -> None:
    names = {"boxes": "dets", "scores": "conf"}
    outputs = {"dets": BOXES, "conf": [0.5, 0.25]}
    assert read(outputs, names=names)[0].tolist() == BOXES.tolist()
    with pytest.raises(InputError, match="are called dets, conf: which are boxes and scores") as caught:
        read(outputs)
    assert '"names"' in caught.value.hint


def test_logits_become_probabilities() -> None:
    _, scores = read({"boxes": BOXES, "scores": [0.0, -900.0]}, scores="logit")
    assert scores.tolist() == [0.5, 0.0]
    with pytest.raises(InputError, match="no probabilities") as caught:
        read({"boxes": BOXES, "scores": [3.2, -1]})
    assert '"logit"' in caught.value.hint
    assert read({"boxes": BOXES, "scores": [1.0004, 0]})[1].tolist() == [1, 0]  # rounding


@given(
    arrays_of.arrays(np.float32, (7, 8), elements=st.floats(0, 1, width=32)),
    st.integers(0, 2),
    st.booleans(),
)
@settings(max_examples=30, deadline=None)
def test_yolo_like_a_loop(table: Array, person: int, columns: bool) -> None:
    """4 numbers, objectness, 3 classes: every anchor read by itself."""
    boxes, scores = read(
        {"out": (table.T if columns else table)[None]},
        output="yolo",
        boxes="xywh",
        classes=3,
        objectness=True,
        person=person,
    )
    for row in range(7):
        x, y, w, h = table[row, :4].tolist()
        assert boxes[row].tolist() == pytest.approx([x, y, x + w, y + h], abs=1e-6)
        assert scores[row] == pytest.approx(table[row, 4] * table[row, 5 + person], abs=1e-6)


def test_rows_of_six() -> None:
    table = [[0, 0, 8, 9, 0.9, 0], [1, 1, 5, 9, 0.4, 3], [2, 2, 6, 8, 0.6, 0]]
    boxes, scores = read({"out": [table]}, output="rows", person=0)
    assert boxes.tolist() == [[0, 0, 8, 9], [2, 2, 6, 8]]
    assert scores.tolist() == pytest.approx([0.9, 0.6])


@pytest.mark.parametrize(
    ("outputs", "more", "said"),
    [
        ({"a": BOXES, "b": BOXES}, {"output": "rows", "person": 0}, "outputs a, b"),
        ({"a": np.zeros((2, 3, 6))}, {"output": "rows", "person": 0}, "has shape"),
        ({"a": np.zeros((3, 5))}, {"output": "rows", "person": 0}, "5 columns"),
        (
            {"a": np.zeros((9, 9))},
            {"output": "yolo", "person": 0, "classes": 5, "objectness": False},
            "both sides",
        ),
        (
            {"a": np.zeros((8, 7))},
            {"output": "yolo", "person": 0, "classes": 5, "objectness": False},
            "no side",
        ),
        (
            {"a": np.zeros((8, 9))},
            {"output": "yolo", "person": 5, "classes": 5, "objectness": False},
            "0 to 4",
        ),
        ({"boxes": BOXES, "scores": [0.5]}, {}, "boxes .* and scores"),
        ({"boxes": BOXES[:, :3], "scores": [0.5, 0.5]}, {}, "boxes .* and scores"),
        ({"boxes": BOXES, "scores": [0.5, 0.5], "labels": [0, 1]}, {}, "several classes"),
        ({"boxes": BOXES, "scores": [[0.5, 0.5]] * 2}, {}, "several classes"),
        ({"boxes": BOXES, "scores": [[0.5, 0.5]] * 2}, {"person": 2}, "0 to 1"),
        ({"boxes": BOXES, "scores": [0.5, 0.5]}, {"person": 1}, "neither labels nor"),
    ],
)
def test_what_does_not_fit_is_said(outputs: dict[str, Any], more: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        read(outputs, **more)
    assert caught.value.hint
