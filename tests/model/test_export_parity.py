"""The check an export has to pass: by hand, against loops, and against planted mistakes."""

from __future__ import annotations

import dataclasses
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from personsearch.boxes import iou
from personsearch.model.checkpoint import untrained_model, untrained_searcher
from personsearch.model.export_parity import (
    SAME_PLACE,
    Parity,
    Tolerances,
    compare,
    cosines,
    distances,
    pairs,
    probe_boxes,
    rank_agreement,
)
from personsearch.model.presets import detector, embedder
from personsearch.model.searcher import NetworkSearcher
from personsearch.types import Detections, Picture

GOOD = Parity(pictures=2, people=100, missing=0, box=0.0, score=0.0, cosine=1.0, embedding=0.0, ranks=1.0)


@pytest.fixture(scope="module")
def pictures(picture) -> list[Picture]:
    turned = np.ascontiguousarray(picture.pixels.transpose(1, 0, 2))
    return [picture, Picture(turned, name="turned"), Picture(picture.pixels[:97, :61].copy(), name="small")]


def changed(searcher: NetworkSearcher, **changes) -> NetworkSearcher:
    """The same weights behind another input."""
    settings = searcher.settings
    other = dataclasses.replace(settings, input=dataclasses.replace(settings.input, **changes))
    return NetworkSearcher(searcher.network, other, fingerprint="other", device="cpu")


def test_a_model_agrees_with_itself(tiny_searcher, pictures) -> None:
    parity = compare(tiny_searcher, tiny_searcher, pictures)
    assert (parity.missing, parity.box, parity.score, parity.embedding) == (0, 0.0, 0.0, 0.0)
    assert (parity.ranks, parity.order) == (1.0, 1.0)
    assert parity.cosine == pytest.approx(1.0, abs=1e-9)
    assert parity.people > 50
    assert parity.described == parity.people * 2 + 5 * len(pictures)
    assert parity.complaints(Tolerances()) == []


def test_pixels_normalised_twice_are_seen(tiny_searcher, pictures) -> None:
    mean, std = (np.array(v) for v in (tiny_searcher.settings.input.mean, tiny_searcher.settings.input.std))
    # ((x - m) / s - m) / s = (x - (m + m s)) / s^2
    twice = changed(tiny_searcher, mean=tuple((mean + mean * std).tolist()), std=tuple((std**2).tolist()))
    complaints = compare(tiny_searcher, twice, pictures).complaints(Tolerances())
    assert any("embedding" in complaint for complaint in complaints)
    assert any("cosine" in complaint for complaint in complaints)


@pytest.mark.parametrize("changes", [{"bgr": True}, {"short_side": 160}], ids=["bgr", "smaller"])
def test_other_mistakes_before_the_network_are_seen(tiny_searcher, pictures, changes) -> None:
    assert compare(tiny_searcher, changed(tiny_searcher, **changes), pictures).complaints(Tolerances())


def test_boxes_in_pixels_of_the_resized_picture_are_seen(tiny_searcher, pictures) -> None:
    class Unscaled:
        def __init__(self, inner: NetworkSearcher) -> None:
            self.embed = inner.embed
            self.inner = inner

        def detect(self, picture: Picture) -> Detections:
            seen = self.inner.detect(picture)
            return Detections(seen.boxes * 1.02, seen.scores, seen.embeddings)

    (complaint,) = compare(tiny_searcher, Unscaled(tiny_searcher), pictures[:1]).complaints(
        Tolerances(missing=1.0)
    )
    assert "px off" in complaint
    assert complaint.endswith("in patches")


def test_embeddings_that_belong_to_other_rows_are_seen(tiny_searcher, pictures) -> None:
    class Shifted:
        embed = tiny_searcher.embed

        def detect(self, picture: Picture) -> Detections:
            seen = tiny_searcher.detect(picture)
            return Detections(seen.boxes, seen.scores, np.roll(seen.embeddings, 1, axis=0))

    complaints = compare(tiny_searcher, Shifted(), pictures).complaints(Tolerances())
    assert any("cosine" in complaint for complaint in complaints)


def test_detectors_have_no_embeddings_to_compare_and_embedders_no_boxes(tiny_settings, pictures) -> None:
    finder = untrained_model(detector(tiny_settings), seed=1, device="cpu")
    found = compare(finder, finder, pictures)
    assert found.people > 0
    assert (found.described, found.cosine, found.ranks) == (0, None, None)
    describer = untrained_model(embedder(tiny_settings), seed=1, device="cpu")
    described = compare(describer, describer, pictures)
    assert (described.people, described.missing, described.box) == (None, None, None)
    assert (described.described, described.searches, described.ranks) == (15, 15, 1.0)
    other = untrained_model(embedder(tiny_settings), seed=2, device="cpu")
    assert compare(describer, other, pictures).complaints(Tolerances())


def test_who_sees_nobody_proves_nothing(tiny_settings, pictures) -> None:
    network = tiny_settings.network
    blind = dataclasses.replace(network, detect=dataclasses.replace(network.detect, min_score=1.0))
    searcher = untrained_searcher(dataclasses.replace(tiny_settings, network=blind), seed=0, device="cpu")
    (complaint,) = compare(searcher, searcher, pictures).complaints(Tolerances())
    assert complaint == "nobody was seen in 3 pictures, which proves nothing"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"box": 0.2}, "a box is 0.2 px off (0.1 allowed)"),
        ({"score": 0.01}, "a score is 0.01 off (0.001 allowed)"),
        ({"embedding": float("nan")}, "an embedding is nan of its length off (0.01 allowed)"),
        ({"box": float("nan")}, "a box is nan px off (0.1 allowed)"),
        ({"cosine": float("nan")}, "cosine of two descriptions of one person is nan"),
        ({"cosine": 0.998}, "is 0.9980 (at least 0.9999 wanted)"),
        ({"missing": 3}, "3 of 103 people are seen by one of the two only"),
        ({"ranks": 0.5}, "50.0% of the first hits name the same person (99.0% wanted)"),
    ],
)
def test_every_measure_can_fail_alone(changes, said) -> None:
    (complaint,) = dataclasses.replace(GOOD, **changes).complaints(Tolerances())
    assert said in complaint


def test_what_is_within_the_tolerances_is_no_complaint() -> None:
    near = dataclasses.replace(GOOD, missing=2, box=0.09, score=9e-4, cosine=0.99991, ranks=0.995)
    assert near.complaints(Tolerances()) == []


def test_ranks_by_hand() -> None:
    ours = np.array([[0.9, 0.5, 0.1], [0.2, 0.3, 0.4]])
    assert rank_agreement(ours, ours * 2) == (1.0, 1.0)
    swapped = np.array([[0.5, 0.9, 0.1], [0.2, 0.3, 0.4]])  # places 1 and 2 of the first list
    assert rank_agreement(ours, swapped) == (pytest.approx(4 / 6), pytest.approx(4 / 6))
    assert rank_agreement(ours, swapped, k=1) == (0.5, 0.5)
    assert rank_agreement(ours, swapped, tie=0.41) == (1.0, pytest.approx(4 / 6))


TABLES = arrays(np.float64, (3, 6), elements=st.floats(-1, 1, width=32))


@settings(max_examples=40)
@given(TABLES, TABLES, st.integers(1, 8), st.sampled_from([0.0, 0.1, 0.5]))
def test_ranks_against_loops(ours, theirs, k, tie) -> None:
    alike = same = places = 0
    for a, b in zip(ours.tolist(), theirs.tolist(), strict=True):
        first = sorted(range(6), key=lambda i, a=a: (-a[i], i))[:k]
        second = sorted(range(6), key=lambda i, b=b: (-b[i], i))[:k]
        for i, j in zip(first, second, strict=True):
            places += 1
            same += i == j
            alike += abs(a[i] - a[j]) <= tie
    assert rank_agreement(ours, theirs, k=k, tie=tie) == (
        pytest.approx(alike / places),
        pytest.approx(same / places),
    )


@settings(max_examples=50)
@given(
    st.lists(st.tuples(*[st.integers(0, 6)] * 2), max_size=4),
    st.lists(st.tuples(*[st.integers(0, 6)] * 2), max_size=4),
)
def test_pairs_overlap_as_much_as_any_pairing(a, b) -> None:
    first, second = (
        np.array([[x, y, x + 5, y + 5] for x, y in corners], np.float32).reshape(-1, 4) for corners in (a, b)
    )
    rows, columns = pairs(first, second)
    overlap = iou(first, second)
    assert len(set(rows.tolist())) == len(rows) == len(set(columns.tolist()))
    assert (overlap[rows, columns] >= SAME_PLACE).all()
    if len(a) > len(b):
        overlap = overlap.T
    best = max(
        (
            sum(overlap[i, j] for i, j in enumerate(chosen))
            for chosen in permutations(range(overlap.shape[1]), overlap.shape[0])
        ),
        default=0.0,
    )
    # What is left out overlaps too little to be one person.
    found = float(iou(first, second)[rows, columns].sum())
    left = min(len(a), len(b)) - len(rows)
    assert found <= best + 1e-5
    assert found >= best - left * SAME_PLACE - 1e-5


@settings(max_examples=40)
@given(arrays(np.float64, (4, 3), elements=st.floats(-5, 5, width=32)), st.floats(0.1, 9))
def test_a_longer_copy_has_cosine_one_and_its_own_distance(rows, factor) -> None:
    assert cosines(rows, factor * rows) == pytest.approx(np.ones(4), abs=1e-6)
    wanted = abs(1 - factor) / max(1, factor)
    lengths = np.linalg.norm(rows, axis=1)
    assert distances(rows, factor * rows) == pytest.approx(np.where(lengths > 0, wanted, 0), abs=1e-6)


def test_a_number_that_is_none_is_no_agreement() -> None:
    rows = np.array([[1.0, np.nan]])
    assert np.isnan(cosines(rows, np.ones((1, 2)))).all()


def test_probe_boxes_have_an_area_in_the_smallest_picture() -> None:
    boxes = probe_boxes((1, 1))
    assert (boxes[:, 2:] > boxes[:, :2]).all()
    assert (boxes >= 0).all()
    assert (boxes <= 1).all()
