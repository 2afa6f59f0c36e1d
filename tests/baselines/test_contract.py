"""What every searcher keeps, whatever it is made of."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from personsearch.baselines.ground_truth import GroundTruth
from personsearch.baselines.hog import HogDetector
from personsearch.baselines.two_stage import TwoStage
from personsearch.model.checkpoint import untrained_model
from personsearch.model.presets import CropSettings, compact_tiny, detector, embedder
from personsearch.types import Array, Picture, Scene, Searcher

BOXES = np.array([[30, 20, 70, 140], [100, 30, 160, 220], [230, 60, 300, 236]], np.float32)
TINY = dataclasses.replace(compact_tiny(), identities=5)
CROP = CropSettings(size=(64, 32), keep_aspect=True, margin=0.1)


def scenery(name: str = "street") -> Picture:
    """A patchwork, so that no two boxes hold the same."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (13, 17, 3), dtype=np.uint8)
    return Picture(coarse.repeat(20, axis=0).repeat(20, axis=1)[:241, :321], name)


def onnx_pair(folder: Path) -> Searcher:
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    from personsearch.baselines.open import open_searcher

    make, numbers = onnx.helper, onnx.numpy_helper
    shape = (1, 3, 241, 321)
    finding = [
        make.make_node("Constant", [], ["boxes"], value=numbers.from_array(BOXES)),
        make.make_node(
            "Constant", [], ["scores"], value=numbers.from_array(np.array([0.5, 0.9, 0.7], np.float32))
        ),
    ]
    describing = [
        make.make_node("GlobalAveragePool", ["images"], ["pooled"]),
        make.make_node("Flatten", ["pooled"], ["vector"]),
    ]
    plain = {"channels": "rgb", "white": 1, "mean": [0, 0, 0], "std": [1, 1, 1]}
    for name, nodes, outputs, size, words in (
        (
            "find",
            finding,
            {"boxes": (3, 4), "scores": (3,)},
            shape,
            {"output": "boxes-scores", "boxes": "xyxy", "units": "pixels"},
        ),
        ("tell", describing, {"vector": ("n", 3)}, ("n", 3, 16, 8), {"similarity": "cosine"}),
    ):
        values = [make.make_tensor_value_info(k, 1, v) for k, v in outputs.items()]
        graph = make.make_graph(nodes, "g", [make.make_tensor_value_info("images", 1, size)], values)
        model = make.make_model(graph, opset_imports=[make.make_opsetid("", 17)], ir_version=8)
        onnx.save(model, str(folder / f"{name}.onnx"))
        (folder / f"{name}.onnx.json").write_text(json.dumps({**plain, **words}))
    return open_searcher(f"onnx:{folder / 'find.onnx'}+onnx:{folder / 'tell.onnx'}")


KINDS = ("stubs", "gt", "hog", "joint", "deep+idnet", "joint boxes", "onnx")


@pytest.fixture(scope="module")
def make(
    blocks: Any, mean_colour: Any, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Searcher]:
    """A new searcher of a kind, as if opened again."""

    def of(kind: str) -> Searcher:
        if kind == "stubs":
            return TwoStage(blocks(BOXES, [0.9, 0.8, 0.6]), mean_colour())
        if kind == "gt":
            scenes = [Scene("street", boxes=BOXES, people=[0, 1, -1]), Scene("nobody")]
            return TwoStage(GroundTruth(scenes), mean_colour())
        if kind == "hog":
            if not hasattr(cv2, "HOGDescriptor"):
                pytest.skip("OpenCV 5 has dropped its people detector")
            return TwoStage(HogDetector(), mean_colour())
        if kind == "joint":
            return untrained_model(TINY, seed=0, device="cpu")
        if kind == "deep+idnet":
            return TwoStage(
                untrained_model(detector(TINY), seed=0, device="cpu"),
                untrained_model(embedder(TINY, CROP), seed=0, device="cpu"),
            )
        if kind == "joint boxes":
            return TwoStage(untrained_model(TINY, seed=0, device="cpu"), mean_colour())
        return onnx_pair(tmp_path_factory.mktemp("onnx"))

    return of


@pytest.mark.parametrize("kind", KINDS)
def test_row_i_is_one_person(make: Callable[[str], Searcher], kind: str) -> None:
    """What is told of row i is what the searcher tells of box i when asked, in any order and company."""
    searcher, picture = make(kind), scenery()
    seen = searcher.detect(picture)
    assert kind == "hog" or len(seen) >= 3
    assert len(seen.boxes) == len(seen.scores) == len(seen.embeddings)
    assert seen.embeddings.shape[1] == searcher.dim
    order = np.random.default_rng(1).permutation(len(seen))[:20]
    again = searcher.embed(picture, seen.boxes[order])
    assert np.allclose(again, seen.embeddings[order], atol=2e-3)
    if len(order):
        assert np.allclose(searcher.embed(picture, seen.boxes[order[:1]]), again[:1], atol=2e-3)


@pytest.mark.parametrize("kind", KINDS)
def test_scores_and_boxes_are_what_everybody_expects(make: Callable[[str], Searcher], kind: str) -> None:
    searcher, picture = make(kind), scenery()
    assert isinstance(searcher, Searcher)
    assert searcher.similarity in ("cosine", "euclidean")
    seen = searcher.detect(picture)
    assert (np.diff(seen.scores) <= 0).all()
    assert (seen.scores >= 0).all()
    assert (seen.scores <= 1).all()
    assert (seen.boxes >= 0).all()
    assert (seen.boxes <= [321, 241, 321, 241]).all()
    assert (seen.boxes[:, 2:] > seen.boxes[:, :2]).all()
    columns: tuple[Array, ...] = (seen.boxes, seen.scores, seen.embeddings)
    assert all(column.dtype == np.float32 for column in columns)


@pytest.mark.parametrize("kind", KINDS)
def test_twice_the_same_and_a_stable_fingerprint(make: Callable[[str], Searcher], kind: str) -> None:
    one, other, picture = make(kind), make(kind), scenery()
    assert one.fingerprint == other.fingerprint
    assert len(one.fingerprint) == 64
    first, second, third = one.detect(picture), one.detect(picture), other.detect(picture)
    for seen in (second, third):
        assert np.array_equal(first.boxes, seen.boxes)
        assert np.array_equal(first.scores, seen.scores)
        assert np.array_equal(first.embeddings, seen.embeddings)


@pytest.mark.parametrize("kind", KINDS)
def test_an_empty_picture_and_nobody_to_describe(make: Callable[[str], Searcher], kind: str) -> None:
    searcher = make(kind)
    empty = Picture(np.full((241, 321, 3), 128, np.uint8), "nobody")
    seen = searcher.detect(empty)
    assert seen.embeddings.shape == (len(seen), searcher.dim)
    if kind in ("gt", "hog"):
        assert len(seen) == 0
    assert searcher.embed(empty, np.zeros((0, 4), np.float32)).shape == (0, searcher.dim)


def test_no_two_kinds_share_a_fingerprint(make: Callable[[str], Searcher]) -> None:
    kinds = [kind for kind in KINDS if kind not in ("hog", "onnx")]
    assert len({make(kind).fingerprint for kind in kinds}) == len(kinds)
