"""What the measuring stages compute themselves: intervals of precision, ratios of times, examples."""

from __future__ import annotations

import dataclasses
import multiprocessing
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from personsearch.evaluation.detection import JudgedDetections
from personsearch.evaluation.metrics import average_precision
from personsearch.experiments.reproduction import costs
from personsearch.experiments.reproduction.costs import ratio
from personsearch.experiments.reproduction.detection_intervals import (
    columns,
    drawn,
    intervals,
    recall_interval,
)
from personsearch.experiments.reproduction.measurements import ap_difference
from personsearch.experiments.reproduction.paper import CLAIMS, OURS, TABLE1, TABLE2, TABLE3
from personsearch.experiments.reproduction.samples import samples, search, spread
from personsearch.experiments.reproduction.sizes import SIZES, search_size
from personsearch.model.folding import fold_norms
from personsearch.model.network import capacity
from personsearch.model.presets import build_network, compact_tiny
from personsearch.types import Array


def judged(scores: list[float], right: list[bool], truths: int) -> JudgedDetections:
    return JudgedDetections(scores=np.array(scores, np.float32), right=np.array(right, bool), truths=truths)


def slow_ap(pictures: list[JudgedDetections]) -> float:
    """Copies of the pictures drawn, side by side, ranked as one list."""
    scores = np.concatenate([one.scores for one in pictures])
    right = np.concatenate([one.right for one in pictures])
    truths = sum(one.truths for one in pictures)
    if not truths or not right.any():
        return 0.0
    return float(average_precision(scores, right, "step") * right.sum() / truths)


PICTURE = st.lists(st.tuples(st.integers(0, 1000), st.booleans()), max_size=4)


@settings(max_examples=60, deadline=None)
@given(st.lists(PICTURE, min_size=1, max_size=6), st.integers(0, 2**31))
def test_drawn_pictures_are_counted_as_if_they_were_there_so_often(pictures, seed: int) -> None:
    # Every score once, so that there is no order among equals to argue about.
    rng = np.random.default_rng(seed)
    total = sum(len(one) for one in pictures)
    distinct = iter(rng.permutation(total) / max(1, total))
    all_of = [judged([float(next(distinct)) for _ in one], [r for _, r in one], 4) for one in pictures]
    of = columns(all_of)
    whole = np.arange(len(all_of))
    assert drawn(of, whole).ap(of.right) == pytest.approx(slow_ap(all_of), abs=1e-6)
    # A picture that is drawn twice: two copies stand at one score, and count together.
    once = [i for i in range(len(all_of)) if rng.random() < 0.5] or [0]
    few = drawn(of, np.array(once))
    assert few.ap(of.right) == pytest.approx(slow_ap([all_of[i] for i in once]), abs=1e-6)
    # Recall and precision down to a score, as if the pictures lay there.
    scores = np.concatenate([all_of[i].scores for i in once])
    right = np.concatenate([all_of[i].right for i in once])
    over = scores >= 0.5
    recall, precision = few.at(int((of.score >= 0.5).sum()) - 1)
    assert recall == pytest.approx(right[over].sum() / (4 * len(once)))
    assert precision == pytest.approx(right[over].mean()) if over.any() else np.isnan(precision)


def test_a_picture_drawn_twice_by_hand() -> None:
    """Right at 0.9 in the first picture, wrong at 0.8 in the second, drawn 1, 1, 2: two of two, recall 1."""
    pictures = [judged([0.9], [True], 1), judged([0.8], [False], 1)]
    of = columns(pictures)
    thrice = drawn(of, np.array([0, 0, 1]))
    assert thrice.ap(of.right) == pytest.approx(2 / 3)
    assert drawn(of, np.array([1, 1])).ap(of.right) == 0.0
    assert thrice.at(0) == pytest.approx((2 / 3, 1))
    assert thrice.at(1) == pytest.approx((2 / 3, 2 / 3))
    assert thrice.at(-1)[0] == 0
    assert thrice.reaching(0.6) == 1
    assert np.isnan(thrice.reaching(0.7))


def test_intervals_of_a_detector_by_hand() -> None:
    """Half of the pictures hold a right one, the others a wrong one, at the same scores all."""
    pictures = [judged([0.9 - 0.01 * i], [i % 2 == 0], 1) for i in range(20)]
    found = intervals(pictures, 0.5, (0.2, 0.9), 0)
    assert found["n"] == 20
    # Everybody is over 0.5: recall and precision are the share of right pictures among twenty drawn.
    assert found["recall"] == found["precision"]
    assert found["recall"] == pytest.approx([0.3, 0.7], abs=0.06)  # 0.5, 1.96 deviations of 0.112 each way
    assert found["ap"][0] < found["ap"][1] <= found["recall"][1]
    assert found["marks"]["0.9"] is None  # hardly ever reached
    assert found["marks"]["0.2"] is not None
    alike = intervals([judged([0.9, 0.4], [True, False], 2)] * 9, 0.5, (0.4,), 0)
    assert (alike["ap"], alike["recall"], alike["precision"]) == ([0.5, 0.5], [0.5, 0.5], [1, 1])


def test_recall_over_pictures_by_hand() -> None:
    """Two of four in one picture, all four in the other: drawn are twice the one, both, twice the other."""
    found = recall_interval(np.array([2, 4]), np.array([4, 4]), 0)
    assert (found["mean"], found["low"], found["high"]) == (0.75, 0.5, 1.0)
    assert recall_interval(np.zeros(2), np.zeros(2), 0) == {"mean": None, "low": None, "high": None}


def test_weights_are_those_that_are_trained() -> None:
    """A searcher's norms are folded into its layers; figure 4 and the cost table count before that."""
    settings = dataclasses.replace(compact_tiny(), identities=9)
    folded = sum(p.numel() for p in fold_norms(build_network(settings)).parameters())
    assert costs.trained_weights(settings) == capacity(build_network(settings))["all"] != folded


def test_the_better_detector_is_told_by_its_interval_over_pictures() -> None:
    good = [judged([0.9, 0.2], [True, False], 1) for _ in range(20)]
    bad = [judged([0.9, 0.2], [False, True], 1) for _ in range(20)]
    found = ap_difference(good, bad, 0)
    # Good: everything right first. Bad: twenty wrong ones first, so that the k-th right one has k / (20 + k).
    bad_ap = np.mean([k / (20 + k) for k in range(1, 21)])
    assert found["mean"] == pytest.approx(1 - bad_ap, abs=1e-5)
    assert (found["n"], found["low"] > 0) == (20, True)
    back = ap_difference(bad, good, 0)
    assert back["mean"] == -found["mean"]
    same = ap_difference(good, good, 0)
    assert (same["mean"], same["low"], same["high"]) == (0, 0, 0)


def test_times_side_by_side_by_hand() -> None:
    found = ratio(np.array([40.0, 80.0]), np.array([1.0, 2.0]), 0)
    assert (found["ratio"], found["low"], found["high"], found["n"]) == (40.0, 40.0, 40.0, 2)
    uneven = ratio(np.array([10.0, 90.0]), np.array([1.0, 1.0]), 0)
    assert (uneven["ratio"], uneven["low"], uneven["high"]) == (50.0, 10.0, 90.0)


def test_examples_are_spread_from_the_first_to_the_last() -> None:
    assert spread(np.arange(100), 3) == [0, 50, 99]
    assert spread(np.array([7, 9]), 5) == [7, 9]
    assert spread(np.zeros(0, int), 5) == []


def test_the_papers_numbers_fit_each_other() -> None:
    assert TABLE3["whole"]["ours"] == OURS
    assert TABLE3["whole"]["deep+kissme"] == TABLE2["deep", "kissme"]
    assert TABLE3["whole"]["acf+bow"] == TABLE2["acf", "bow"]
    # Its claims are of its own numbers: the order of methods and of detectors, 3 points, who is hurt by what.
    for detector in ("acf", "deep", "gt"):
        row = [TABLE2[detector, method] for method in ("euclidean", "kissme", "bow", "idnet")]
        assert row == sorted(row)
    for method in ("euclidean", "kissme", "bow", "idnet"):
        column = [TABLE2[detector, method] for detector in ("acf", "deep", "gt")]
        assert column == sorted(column)
    assert OURS[0] - TABLE2["deep", "idnet"][0] == pytest.approx(3.1)
    for method, whole in TABLE3["whole"].items():
        assert TABLE3["occlusion"][method] < whole
        assert (TABLE3["low-resolution"][method][0] > whole[0]) == (method != "ours")
    assert len(TABLE1) == 7
    assert len({said.key for said in CLAIMS}) == len(CLAIMS) == 18


def test_a_size_is_the_nearest_that_the_data_hold() -> None:
    assert search_size((50, 100, 500)) == 100
    assert search_size((50, 200)) == 50
    assert search_size((2000,)) == 2000
    assert search_size(()) is None


@pytest.mark.parametrize("name", SIZES)
def test_every_preset_resolves_to_settings_without_contradiction(name: str) -> None:
    size = SIZES[name]
    base = size.base(3, size.pretrained)
    assert base.contradiction() == ""
    assert base.seed == 3
    if size.steps is not None:
        assert (base.initial.steps, base.joint.steps) == size.steps


def test_searches_that_are_shown(trials_of) -> None:
    trials = trials_of()
    found = search(trials, 0)
    assert found["query"]["picture"] == "a.jpg"
    assert [hit["picture"] for hit in found["hits"]] == ["b.jpg"]
    assert found["hits"][0]["box_xyxy"] == [5.0, 6.0, 15.0, 46.0]
    assert [one["picture"] for one in found["distractors"]] == ["c.jpg", "d.jpg"]
    assert (found["right"], found["gallery"]) == (1, 3)


def test_queries_of_each_kind(shop_of) -> None:
    found = samples(shop_of())
    assert found["queries"]["occlusion"] is None
    assert found["queries"]["low-resolution"]["n"] == 1
    # The small one is not among those of high resolution, and of the others the taller half is.
    tall = [one["box_xyxy"] for one in found["queries"]["high resolution"]["queries"]]
    assert tall == [[0.0, 0.0, 40.0, 120.0]]
    assert len(found["searches"]) == 3


@pytest.fixture
def trials_of():
    """Three searches of a gallery of three; whom they look for is in one picture of it."""
    from personsearch.datasets.searches import list_searches
    from personsearch.types import Query, Scene, Trials

    def made() -> Trials:
        boxes: dict[str, Array] = {
            "a.jpg": np.array([[0, 0, 20, 60], [0, 0, 40, 120], [50, 0, 60, 30]], float),
            "b.jpg": np.array([[5, 6, 15, 46]], float),
            "c.jpg": np.zeros((0, 4)),
            "d.jpg": np.array([[1, 1, 9, 30], [20, 1, 30, 30]], float),
        }
        people = {"a.jpg": [0, 1, 2], "b.jpg": [0], "c.jpg": [], "d.jpg": [1, 2]}
        scenes = [Scene(name, boxes=boxes[name], people=people[name]) for name in boxes]
        queries = [Query("a.jpg", boxes["a.jpg"][i], i) for i in range(3)]
        return list_searches("made", scenes, queries, [np.array([1, 2, 3])] * 3)

    return made


@pytest.fixture
def shop_of(trials_of):
    from types import SimpleNamespace

    from personsearch.errors import UsageError
    from personsearch.protocols import take_queries

    def made():
        trials = trials_of()

        class Data:
            def trials(self, size):
                return trials

            def subset_trials(self, subset):
                if subset == "occlusion":
                    raise UsageError("no such subset", hint="none")
                return take_queries(trials, [2])

        return SimpleNamespace(data=Data(), gallery_size=3)

    return made


def test_a_process_does_not_count_its_parents_memory() -> None:
    """A child that does nothing, of a parent that holds 300 MiB: what it says is its own."""
    held = np.ones(300 * 2**20 // 8)
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=tell_memory, args=(theirs,))
    process.start()
    found = ours.recv()
    process.join()
    assert held.nbytes / 2**20 < costs._resident()
    # torch and all that is imported with this module; the parent's arrays are not among it.
    assert 20 < found["before"] < costs._resident() - 100
    assert 60 <= found["after"] - found["before"] <= 90


def tell_memory(answer: Any) -> None:
    before = costs._resident()
    more = np.ones(64 * 2**20 // 8)
    answer.send({"before": before, "after": costs._resident(), "held": more.nbytes})
