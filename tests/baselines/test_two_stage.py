from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from personsearch.baselines.two_stage import Cost, Detector, TwoStage
from personsearch.errors import PersonSearchError
from personsearch.ranking.calibration import Calibration
from personsearch.types import Embedder, Picture, Searcher

RED, GREEN = (255, 0, 0), (0, 255, 0)
BOXES = [[10, 10, 30, 70], [100, 20, 120, 80]]


def test_boxes_are_the_detectors_and_embeddings_the_embedders(blocks, mean_colour, wall) -> None:
    picture = wall((BOXES[0], RED), (BOXES[1], GREEN))
    pair = TwoStage(blocks(BOXES, [0.6, 0.9]), mean_colour())
    seen = pair.detect(picture)
    assert seen.boxes.tolist() == BOXES  # in the detector's order, though the second scores higher
    assert seen.scores.tolist() == pytest.approx([0.6, 0.9])
    assert seen.embeddings.tolist() == [[1, 0, 0], [0, 1, 0]]
    assert pair.embed(picture, np.array(BOXES[1:])).tolist() == [[0, 1, 0]]
    assert isinstance(pair, Searcher)
    assert (pair.dim, pair.similarity, pair.name, pair.calibration) == (3, "euclidean", "blocks+mean", None)
    assert isinstance(pair.detector, Detector)
    assert not isinstance(mean_colour(), Detector)
    assert not isinstance(blocks(BOXES, [1, 1]), Embedder)


@given(st.permutations(range(6)), st.integers(0, 6))
@settings(max_examples=20, deadline=None)
def test_row_i_is_one_person_whatever_the_order(blocks, mean_colour, order: list[int], kept: int) -> None:
    """Every box has its own grey, so an embedding tells which box it is of."""
    pixels = np.zeros((40, 60, 3), np.uint8)
    boxes = np.array([[10 * i, 5, 10 * i + 10, 35] for i in range(6)], np.float32)
    for i in range(6):
        pixels[5:35, 10 * i : 10 * i + 10] = 40 * i
    rows = np.array(order[:kept], int)
    seen = TwoStage(blocks(boxes[rows], np.linspace(1, 0, kept)), mean_colour()).detect(Picture(pixels))
    assert seen.embeddings.shape == (kept, 3)
    assert np.allclose(seen.embeddings[:, 0] * 255, 4 * seen.boxes[:, 0], atol=1e-3)


def test_nobody_is_described_without_asking(blocks, mean_colour, wall) -> None:
    embedder = mean_colour()
    pair = TwoStage(blocks([], []), embedder)
    seen = pair.detect(wall())
    assert (seen.boxes.shape, seen.embeddings.shape, embedder.asked) == ((0, 4), (0, 3), 0)
    assert pair.embed(wall(), np.zeros((0, 4))).shape == (0, 3)


def test_the_fingerprint_is_of_both_and_of_who_is_which(blocks, mean_colour) -> None:
    def of(detector: str, embedder: str) -> str:
        return TwoStage(blocks(BOXES, [1, 1], detector), mean_colour(embedder)).fingerprint

    assert of("a", "b") == of("a", "b")
    assert len({of("a", "b"), of("a", "c"), of("c", "b"), of("b", "a")}) == 4
    assert len(of("a", "b")) == 64


def test_a_calibration_is_the_embedders(blocks, mean_colour) -> None:
    embedder = mean_colour()
    embedder.calibration = Calibration.from_json(
        {
            "schema": "personsearch.calibration/1",
            **{k: v for k, v in _calibration().to_json().items() if k != "schema"},
        }
    )
    detector = blocks(BOXES, [1, 1])
    detector.calibration = "of detection scores, which is something else"
    assert TwoStage(detector, embedder).calibration == embedder.calibration
    del embedder.calibration
    assert TwoStage(detector, embedder).calibration is None


def _calibration() -> Calibration:
    from personsearch.ranking.calibration import fit_calibration

    rng = np.random.default_rng(0)
    right = rng.random(400) < 0.5
    return fit_calibration(rng.normal(right, 0.5), right)


@pytest.mark.parametrize("shape", [(1, 3), (2, 4), (2,)])
def test_an_embedder_that_loses_people_is_not_believed(
    blocks, mean_colour, wall, shape: tuple[int, ...], monkeypatch
) -> None:
    embedder = mean_colour()
    monkeypatch.setattr(embedder, "embed", lambda picture, boxes: np.zeros(shape, np.float32))
    with pytest.raises(PersonSearchError, match="mean describes 2 people"):
        TwoStage(blocks(BOXES, [1, 1]), embedder).detect(wall())


def test_the_cost_is_split_by_stage(blocks, mean_colour, wall, monkeypatch) -> None:
    pair = TwoStage(blocks(BOXES, [1, 1]), mean_colour())
    ticks = iter([0.0, 0.25, 0.35, 10.0, 10.25, 10.35])  # start, found, described, twice
    monkeypatch.setattr("personsearch.baselines.two_stage.time.perf_counter", lambda: next(ticks))
    pair.detect(wall())
    pair.detect(wall())
    assert pair.cost.pictures == 2
    assert (pair.cost.detect_ms, pair.cost.describe_ms) == pytest.approx((250, 100))
    assert np.isnan(Cost().detect_ms)
