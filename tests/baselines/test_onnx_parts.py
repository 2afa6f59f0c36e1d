"""ONNX files of others: tiny graphs whose answers are known, made here."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from personsearch.baselines.onnx_parts import load_onnx_detector, load_onnx_embedder
from personsearch.baselines.onnx_session import open_graph
from personsearch.errors import InputError, PersonSearchError, UsageError
from personsearch.types import Embedder, Picture

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

Shape = Sequence[int | str]
PLAIN = {"channels": "rgb", "white": 1, "mean": [0, 0, 0], "std": [1, 1, 1]}
FOUND = {**PLAIN, "output": "boxes-scores", "boxes": "xyxy", "units": "pixels"}
YOLO = {**PLAIN, "output": "yolo", "boxes": "cxcywh", "units": "pixels", "person": 0, "classes": 2}


def constant(name: str, value: Any) -> Any:
    return onnx.helper.make_node(
        "Constant", [], [name], value=onnx.numpy_helper.from_array(np.asarray(value))
    )


def save(
    path: Path,
    nodes: Sequence[Any],
    outputs: Mapping[str, Shape],
    *,
    shape: Shape = ("n", 3, "h", "w"),
    metadata: Mapping[str, str] | None = None,
    sidecar: Mapping[str, Any] | None = None,
    kind: int = 1,
) -> Path:
    """A file whose graph takes ``images`` and is made of ``nodes``."""
    make, floats = onnx.helper, onnx.TensorProto.FLOAT
    graph = make.make_graph(
        list(nodes),
        "g",
        [make.make_tensor_value_info("images", kind, shape)],
        [make.make_tensor_value_info(name, floats, one) for name, one in outputs.items()],
    )
    model = make.make_model(graph, opset_imports=[make.make_opsetid("", 17)], ir_version=8)
    if metadata:
        make.set_model_props(model, dict(metadata))
    onnx.save(model, str(path))
    if sidecar is not None:
        path.with_name(f"{path.name}.json").write_text(json.dumps(sidecar))
    return path


def answers(path: Path, values: Mapping[str, Any], **more: Any) -> Path:
    """A file that answers the same whatever it sees."""
    nodes = []
    for name, value in values.items():
        nodes.append(constant(name, np.asarray(value, np.float32)))
    return save(path, nodes, {name: np.shape(value) for name, value in values.items()}, **more)


def mean_colour(path: Path, **more: Any) -> Path:
    """A file that describes a crop by the means of its channels, (n, 3)."""
    node = onnx.helper.make_node
    nodes = [node("GlobalAveragePool", ["images"], ["pooled"]), node("Flatten", ["pooled"], ["vector"])]
    return save(path, nodes, {"vector": ("n", 3)}, **more)


def picture(width: int = 40, height: int = 20, colour: tuple[int, int, int] = (255, 0, 51)) -> Picture:
    return Picture(np.tile(np.array(colour, np.uint8), (height, width, 1)), "p")


def told(caught: pytest.ExceptionInfo[PersonSearchError]) -> str:
    return f"{caught.value} | {caught.value.hint}"


# embedders


def test_an_embedder_sees_pixels_as_its_sidecar_says(tmp_path: Path) -> None:
    words = {**PLAIN, "similarity": "cosine"}
    one = load_onnx_embedder(mean_colour(tmp_path / "a.onnx", shape=("n", 3, 8, 4), sidecar=words), "cpu")
    boxes = np.array([[0, 0, 10, 20], [5, 5, 30, 20.0]])
    assert isinstance(one, Embedder)
    assert (one.dim, one.similarity, one.name, one.size) == (3, "cosine", "onnx:a.onnx", (8, 4))
    assert np.allclose(one.embed(picture(), boxes), [[1, 0, 0.2]] * 2, atol=1e-6)
    assert one.embed(picture(), np.zeros((0, 4))).shape == (0, 3)
    other = {**words, "channels": "bgr", "white": 255, "mean": [51, 10, 5], "std": [1, 2, 50]}
    bgr = load_onnx_embedder(mean_colour(tmp_path / "b.onnx", shape=("n", 3, 8, 4), sidecar=other), "cpu")
    assert np.allclose(bgr.embed(picture(), boxes[:1]), [[0, -5, 5]], atol=1e-4)
    assert one.fingerprint != bgr.fingerprint
    again = mean_colour(tmp_path / "c.onnx", shape=("n", 3, 8, 4), sidecar=words)
    assert load_onnx_embedder(again, "cpu").fingerprint == one.fingerprint  # content counts, not the name


def test_each_person_is_the_own_crop(tmp_path: Path) -> None:
    pixels = np.zeros((20, 40, 3), np.uint8)
    pixels[:, :20], pixels[:, 20:] = (255, 0, 0), (0, 0, 255)
    file = mean_colour(tmp_path / "a.onnx", shape=("n", 3, 8, 4), sidecar={**PLAIN, "similarity": "cosine"})
    one = load_onnx_embedder(file)
    found = one.embed(Picture(pixels), np.array([[22, 2, 38, 18], [2, 2, 18, 18.0]]))
    assert np.allclose(found, [[0, 0, 1], [1, 0, 0]], atol=1e-6)


def test_a_fixed_batch_is_filled_up_and_rows_stay(tmp_path: Path) -> None:
    pixels = np.zeros((20, 100, 3), np.uint8)
    pixels[...] = (np.arange(100) * 2)[None, :, None]
    words = {**PLAIN, "similarity": "cosine"}
    several, single = (
        load_onnx_embedder(mean_colour(tmp_path / f"{n}.onnx", shape=(n, 3, 8, 4), sidecar=words))
        for n in (4, 1)
    )
    for count in (1, 3, 4, 6):
        boxes = np.array([[10 * i, 0, 10 * i + 10, 20] for i in range(count)], np.float32)
        found = several.embed(Picture(pixels), boxes)
        assert np.allclose(found, single.embed(Picture(pixels), boxes), atol=1e-6)
        assert (np.diff(found[:, 0]) > 0.05).all()


def test_half_precision_input(tmp_path: Path) -> None:
    node = onnx.helper.make_node
    nodes = [
        node("Cast", ["images"], ["wide"], to=1),
        node("GlobalAveragePool", ["wide"], ["pooled"]),
        node("Flatten", ["pooled"], ["vector"]),
    ]
    words = {**PLAIN, "similarity": "cosine"}
    file = save(
        tmp_path / "a.onnx", nodes, {"vector": ("n", 3)}, shape=("n", 3, 8, 4), sidecar=words, kind=10
    )
    assert np.allclose(
        load_onnx_embedder(file).embed(picture(), np.array([[0, 0, 9, 9.0]])), [[1, 0, 0.2]], atol=1e-3
    )


def test_what_an_embedder_does_not_say_is_asked_for(tmp_path: Path) -> None:
    file = mean_colour(tmp_path / "a.onnx")
    with pytest.raises(InputError) as caught:
        load_onnx_embedder(file)
    assert "channels, white, mean, std, similarity" in told(caught)
    assert "a.onnx.json" in caught.value.hint
    example = json.loads(caught.value.hint[caught.value.hint.index("{") :])
    side = file.with_name("a.onnx.json")
    side.write_text(json.dumps(example))
    with pytest.raises(InputError, match="does not say its size"):  # the graph leaves it open
        load_onnx_embedder(file)
    side.write_text(json.dumps({**example, "size": [16, 8]}))
    assert load_onnx_embedder(file).size == (16, 8)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"chanels": "rgb"}, "did you mean 'channels'"),
        ({"channels": "grey"}, "channels"),
        ({"std": [1, 0, 1]}, "std must be positive"),
        ({"mean": [1, 2]}, "mean"),
        ({"size": [8, 5]}, "graph takes 8 by 4"),
        ({"name": "other"}, "no output 'other'"),
    ],
)
def test_wrong_words_are_named(tmp_path: Path, words: dict[str, Any], said: str) -> None:
    whole = {**PLAIN, "similarity": "cosine", **words}
    file = mean_colour(tmp_path / "a.onnx", shape=("n", 3, 8, 4), sidecar=whole)
    with pytest.raises(InputError) as caught:
        load_onnx_embedder(file)
    assert said in told(caught)


def test_the_metadata_speaks_and_the_sidecar_has_the_last_word(tmp_path: Path) -> None:
    said = {"personsearch": json.dumps({"kind": "embedder", **PLAIN, "similarity": "euclidean"})}
    file = mean_colour(tmp_path / "a.onnx", shape=("n", 3, 8, 4), metadata=said)
    assert load_onnx_embedder(file).similarity == "euclidean"
    with pytest.raises(InputError, match="is not a detector"):
        load_onnx_detector(file)
    file.with_name("a.onnx.json").write_text('{"similarity": "cosine"}')
    assert load_onnx_embedder(file).similarity == "cosine"
    broken = mean_colour(tmp_path / "b.onnx", shape=("n", 3, 8, 4), metadata={"personsearch": "{"})
    with pytest.raises(InputError, match=r"metadata of .* is damaged"):
        load_onnx_embedder(broken)


def test_several_outputs_want_a_name(tmp_path: Path) -> None:
    node = onnx.helper.make_node
    nodes = [
        node("GlobalAveragePool", ["images"], ["map"]),
        node("Flatten", ["map"], ["vector"]),
    ]
    outputs = {"map": ("n", 3, 1, 1), "vector": ("n", 3)}
    words = {**PLAIN, "similarity": "cosine"}
    file = save(tmp_path / "a.onnx", nodes, outputs, shape=("n", 3, 8, 4), sidecar=words)
    with pytest.raises(InputError, match="it has map, vector") as caught:
        load_onnx_embedder(file)
    assert '{"name": "map"}' in caught.value.hint
    file.with_name("a.onnx.json").write_text(json.dumps({**words, "name": "map"}))
    assert load_onnx_embedder(file).dim == 3  # (n, 3, 1, 1) is one vector each, too


# detectors


def test_boxes_and_scores_come_back_to_the_picture(tmp_path: Path) -> None:
    """40x20 into 20 high, 20 wide by a letterbox: half the size, 5 rows of margin above and below."""
    values = {"boxes": [[[2, 6, 6, 14], [10, 5, 20, 15]]], "scores": [[0.3, 0.8]]}
    file = answers(tmp_path / "a.onnx", values, shape=(1, 3, 20, 20), sidecar=FOUND)
    one = load_onnx_detector(file, "cpu")
    seen = one.detect(picture())
    assert seen.boxes.tolist() == [[20, 0, 40, 20], [4, 2, 12, 18]]
    assert seen.scores.tolist() == pytest.approx([0.8, 0.3])
    assert seen.embeddings.shape == (2, 0)
    assert one.detect(picture()).boxes.tolist() == seen.boxes.tolist()
    corner = load_onnx_detector(
        answers(tmp_path / "b.onnx", values, shape=(1, 3, 20, 20), sidecar={**FOUND, "fit": "corner"})
    )
    assert corner.detect(picture()).boxes.tolist() == [[20, 10, 40, 20], [4, 12, 12, 20]]
    stretched = load_onnx_detector(
        answers(tmp_path / "c.onnx", values, shape=(1, 3, 20, 20), sidecar={**FOUND, "fit": "stretch"})
    )
    assert stretched.detect(picture()).boxes.tolist() == [[20, 5, 40, 15], [4, 6, 12, 14]]
    assert len({one.fingerprint, corner.fingerprint, stretched.fingerprint}) == 3


@pytest.mark.parametrize(("fit", "rows"), [("letterbox", (5, 15)), ("corner", (0, 10)), ("stretch", (0, 20))])
def test_the_graph_sees_the_picture_where_its_boxes_say(
    tmp_path: Path, fit: str, rows: tuple[int, int]
) -> None:
    """The score is the mean of the rows in which the picture must lie: white there means 1."""
    node = onnx.helper.make_node
    nodes = [
        constant("from", np.array([rows[0]], np.int64)),
        constant("to", np.array([rows[1]], np.int64)),
        constant("axis", np.array([2], np.int64)),
        node("Slice", ["images", "from", "to", "axis"], ["middle"]),
        node("ReduceMean", ["middle"], ["mean"], axes=[0, 1, 2, 3], keepdims=0),
        constant("shape", np.array([1], np.int64)),
        node("Reshape", ["mean", "shape"], ["scores"]),
        constant("boxes", np.array([[0, rows[0], 20, rows[1]]], np.float32)),
    ]
    file = save(
        tmp_path / "a.onnx",
        nodes,
        {"boxes": (1, 4), "scores": (1,)},
        shape=(1, 3, 20, 20),
        sidecar={**FOUND, "fit": fit, "margin": 0},
    )
    seen = load_onnx_detector(file).detect(picture(colour=(255, 255, 255)))
    assert seen.boxes.tolist() == [[0, 0, 40, 20]]
    assert seen.scores.tolist() == pytest.approx([1])


def test_an_open_graph_follows_the_picture(tmp_path: Path) -> None:
    """40x20 with a short side of 10: half the size, padded to 16 rows; the output is the input's size."""
    node = onnx.helper.make_node
    nodes = [
        node("Shape", ["images"], ["shape"]),
        node("Cast", ["shape"], ["sides"], to=1),
        constant("zero", np.array([0], np.int64)),
        constant("four", np.array([[0, 0, 20, 10]], np.float32)),
        constant("pick", np.array([3, 2, 3, 2], np.int64)),
        node("Gather", ["sides", "pick"], ["whole"]),
        constant("as", np.array([1, 4], np.int64)),
        node("Reshape", ["whole", "as"], ["all"]),
        node("Concat", ["four", "all"], ["boxes"], axis=0),
        constant("scores", np.array([0.9, 0.8], np.float32)),
    ]
    words = {**FOUND, "short_side": 10, "long_side": 100, "multiple": 16, "nms": None}
    file = save(tmp_path / "a.onnx", nodes, {"boxes": (2, 4), "scores": (2,)}, sidecar=words)
    seen = load_onnx_detector(file).detect(picture())
    assert seen.boxes.tolist()[0] == [0, 0, 40, 20]  # x1 y1 x2 y2 in half the size
    assert len(seen) == 1 or seen.boxes.tolist()[1][2:] == [40, 20]  # 32x16 cut to the picture
    file.with_name("a.onnx.json").write_text(json.dumps(FOUND))
    with pytest.raises(InputError, match="does not say its size"):
        load_onnx_detector(file)
    half = save(
        tmp_path / "b.onnx", nodes, {"boxes": (2, 4), "scores": (2,)}, shape=(1, 3, 16, "w"), sidecar=words
    )
    with pytest.raises(InputError, match="only one side is open"):
        load_onnx_detector(half)


def test_yolo_rows_and_columns_are_told_apart(tmp_path: Path) -> None:
    rows = np.array(
        [[10, 10, 4, 8, 0.9, 0.1], [20, 15, 6, 10, 0.2, 0.95], [30, 5, 8, 8, 0.6, 0.3]], np.float32
    )
    words = {**YOLO, "objectness": False}
    shape = (1, 3, 20, 40)
    seen = [
        load_onnx_detector(
            answers(tmp_path / f"{i}.onnx", {"out": table[None]}, shape=shape, sidecar=words)
        ).detect(picture())
        for i, table in enumerate((rows, rows.T))
    ]
    for one in seen:
        assert one.boxes.tolist() == [[8, 6, 12, 14], [26, 1, 34, 9], [17, 10, 23, 20]]
        assert one.scores.tolist() == pytest.approx([0.9, 0.6, 0.2])
    with_objectness = np.insert(rows, 4, [0.5, 1.0, 0.0], axis=1)
    file = answers(
        tmp_path / "o.onnx", {"out": with_objectness[None]}, shape=shape, sidecar={**YOLO, "objectness": True}
    )
    assert load_onnx_detector(file).detect(picture()).scores.tolist() == pytest.approx([0.45, 0.2])


def test_what_a_detector_does_not_say_is_asked_for(tmp_path: Path) -> None:
    file = answers(tmp_path / "a.onnx", {"out": np.zeros((1, 3, 6))}, shape=(1, 3, 20, 40))
    with pytest.raises(InputError) as caught:
        load_onnx_detector(file)
    assert "channels, white, mean, std, output, boxes, units" in told(caught)
    file.with_name("a.onnx.json").write_text(json.dumps({k: v for k, v in YOLO.items() if k != "person"}))
    with pytest.raises(InputError, match="objectness, person"):
        load_onnx_detector(file)


def test_an_export_of_ultralytics_speaks_for_itself(tmp_path: Path) -> None:
    said = {
        "author": "Ultralytics",
        "task": "detect",
        "names": "{0: 'dog', 1: 'person'}",
        "imgsz": "[20, 40]",
    }
    rows = np.array([[10, 10, 4, 8, 0.9, 0.1], [20, 15, 6, 10, 0.2, 0.95]], np.float32)
    file = answers(tmp_path / "a.onnx", {"output0": rows.T[None]}, shape=(1, 3, 20, 40), metadata=said)
    seen = load_onnx_detector(file).detect(picture())
    assert seen.boxes.tolist() == [[17, 10, 23, 20], [8, 6, 12, 14]]
    assert seen.scores.tolist() == pytest.approx([0.95, 0.1])
    finished = np.array([[[8, 6, 12, 14, 0.7, 1], [0, 0, 9, 9, 0.9, 0]]], np.float32)
    file = answers(
        tmp_path / "b.onnx", {"output0": finished}, shape=(1, 3, 20, 40), metadata={**said, "end2end": "True"}
    )
    assert load_onnx_detector(file).detect(picture()).boxes.tolist() == [[8, 6, 12, 14]]
    for wrong, what in (({"names": "{0: 'dog'}"}, "no class 'person'"), ({"task": "segment"}, "'segment'")):
        file = answers(
            tmp_path / "c.onnx", {"output0": rows.T[None]}, shape=(1, 3, 20, 40), metadata={**said, **wrong}
        )
        with pytest.raises(InputError, match=what):
            load_onnx_detector(file)


# files


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no file"):
        open_graph(tmp_path / "none.onnx")
    (tmp_path / "text.onnx").write_text("not a model")
    with pytest.raises(InputError, match="is no ONNX file that can be run"):
        open_graph(tmp_path / "text.onnx")
    grey = save(
        tmp_path / "grey.onnx",
        [onnx.helper.make_node("Identity", ["images"], ["out"])],
        {"out": (1, 1, 8, 8)},
        shape=(1, 1, 8, 8),
    )
    with pytest.raises(InputError, match=r"pictures are float \(n, 3, h, w\)"):
        open_graph(grey)
    with pytest.raises(InputError, match="no device 'tpu'"):
        open_graph(mean_colour(tmp_path / "a.onnx"), "tpu")
    side = tmp_path / "a.onnx.json"
    for text, what in (("{", "cannot be read as JSON"), ("[]", "is no JSON object")):
        side.write_text(text)
        with pytest.raises(InputError, match=what):
            load_onnx_embedder(tmp_path / "a.onnx")


def test_without_the_runtime_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Any:
        raise ImportError(name)

    monkeypatch.setattr("personsearch.baselines.onnx_session.import_module", missing)
    with pytest.raises(UsageError, match="needs the package onnxruntime") as caught:
        open_graph(tmp_path / "a.onnx")
    assert "personsearch[onnx]" in caught.value.hint


def test_a_graph_that_fails_is_said_with_its_reason(tmp_path: Path) -> None:
    node = onnx.helper.make_node
    nodes = [
        constant("shape", np.array([1, 7], np.int64)),
        node("Reshape", ["images", "shape"], ["vector"]),
    ]
    file = save(
        tmp_path / "a.onnx",
        nodes,
        {"vector": (1, 7)},
        sidecar={**PLAIN, "similarity": "cosine", "size": [8, 4]},
    )
    with pytest.raises(PersonSearchError, match="fails on an input of"):
        load_onnx_embedder(file)
