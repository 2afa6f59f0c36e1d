from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from personsearch.baselines.acf.trees import LEAF_STEP, Trees, grow_trees


def test_one_tree_by_hand() -> None:
    # people: both low or both high; background: one of them. Below 11 in the first feature are 4 people of 8,
    # and 3 of 8 backgrounds; then the second feature tells them apart, but for the one that was moved.
    people = np.uint8([[10, 10], [90, 90]] * 4)
    background = np.uint8([[20, 90], [90, 10], *([[10, 90], [90, 10]] * 3)])
    (tree,) = grow_trees(people, background, 1, share=1.0, slack=0.0, rng=np.random.default_rng(0))
    assert (tree.features.tolist(), tree.thresholds.tolist()) == ([[0, 1, 1]], [[11, 11, 11]])
    a, b = 4 / 16 + 1 / 16, 3 / 16 + 1 / 16  # what four and three windows weigh, and what keeps leaves finite
    wanted = [math.log(a / (2 / 16)), -math.log(a * 16), -math.log(b * 16), math.log(a * 16)]
    assert tree.leaves[0] == pytest.approx(np.array(wanted) / 2, abs=LEAF_STEP / 2)


def slow_boosting(
    people: np.ndarray, background: np.ndarray, drawings: list[np.ndarray]
) -> list[list[float]]:
    """Sums of all windows after each tree, by trying every question on every window."""
    rows = [*people.tolist(), *background.tolist()]
    label = [1] * len(people) + [0] * len(background)
    weight = [0.5 / len(people)] * len(people) + [0.5 / len(background)] * len(background)
    sums, after = [0.0] * len(rows), []

    def best(members: list[int], chosen: list[int]) -> tuple[int, int]:
        found, smallest = (chosen[0], 0), math.inf
        for feature in chosen:
            for threshold in range(256):
                heavy = [[0.0, 0.0], [0.0, 0.0]]
                for i in members:
                    heavy[rows[i][feature] < threshold][label[i]] += weight[i]
                impurity = sum(math.sqrt(a * b) for a, b in heavy)
                if impurity < smallest - 1e-12:
                    found, smallest = (feature, threshold), impurity
        return found

    for drawing in drawings:
        chosen = sorted(drawing.tolist())
        everyone = list(range(len(rows)))
        feature, threshold = best(everyone, chosen)
        yes = {i for i in everyone if rows[i][feature] < threshold}
        said = [0.0] * len(rows)
        for side in (sorted(yes), [i for i in everyone if i not in yes]):
            feature, threshold = best(side, chosen)
            for part in (True, False):
                leaf = [i for i in side if (rows[i][feature] < threshold) is part]
                heavy = [sum(weight[i] for i in leaf if label[i] == kind) for kind in (0, 1)]
                value = 0.5 * math.log((heavy[1] + 1 / len(rows)) / (heavy[0] + 1 / len(rows)))
                for i in leaf:
                    said[i] = min(max(value, -4), 4)
        weight = [w * math.exp((1 - 2 * y) * s) for w, y, s in zip(weight, label, said, strict=True)]
        weight = [w / sum(weight) for w in weight]
        sums = [a + round((s + 0.005) * 1024) / 1024 for a, s in zip(sums, said, strict=True)]
        after.append(sums)
    return after


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_as_boosting_is_written_down(seed: int) -> None:
    rng = np.random.default_rng(seed)
    # values so far apart, and weights so uneven, that no two questions are equally good but for the threshold
    people = rng.integers(0, 12, (9, 5)).astype(np.uint8) * 20
    background = rng.integers(3, 12, (7, 5)).astype(np.uint8) * 20
    grown = list(grow_trees(people, background, 4, share=0.6, slack=0.005, rng=np.random.default_rng(seed)))
    drawing = np.random.default_rng(seed)
    slow = slow_boosting(people, background, [drawing.choice(5, 3, replace=False) for _ in range(4)])
    windows, sums = np.concatenate([people, background]), np.zeros(16)
    for tree, wanted in zip(grown, slow, strict=True):
        sums = sums + tree.sums(windows)
        assert sums == pytest.approx(wanted, abs=2 / 1024)


@given(st.integers(0, 10_000), st.integers(2, 30), st.integers(2, 30))
@settings(max_examples=25, deadline=None)
def test_the_exponential_loss_falls_and_leaves_are_exact(seed: int, n: int, m: int) -> None:
    rng = np.random.default_rng(seed)
    people = rng.integers(0, 256, (n, 6)).astype(np.uint8)
    background = rng.integers(0, 256, (m, 6)).astype(np.uint8)
    before, sums = 1.0, [np.zeros(n), np.zeros(m)]
    for tree in grow_trees(people, background, 8, share=0.5, slack=0.0, rng=rng):
        assert (tree.leaves % LEAF_STEP == 0).all()
        assert np.abs(tree.leaves).max() <= 4
        sums = [s + tree.sums(w) for s, w in zip(sums, (people, background), strict=True)]
        loss = (np.exp(-sums[0]).mean() + np.exp(sums[1]).mean()) / 2
        assert loss <= before * 1.002  # leaves are rounded
        before = loss


def random_trees(rng: np.random.Generator, count: int, features: int) -> Trees:
    leaves = rng.integers(-400, 400, (count, 4)).astype(np.float32) / 1024
    return Trees(
        rng.integers(0, features, (count, 3)).astype(np.int32),
        rng.integers(0, 256, (count, 3)).astype(np.uint8),
        leaves,
    )


@given(st.integers(0, 10_000), st.integers(0, 150))
@settings(max_examples=25, deadline=None)
def test_sums_as_walked_node_by_node(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    trees, windows = random_trees(rng, count, 7), rng.integers(0, 256, (4, 7)).astype(np.uint8)
    for window, found in zip(windows, trees.sums(windows), strict=True):
        total = 0.0
        for feature, threshold, leaves in zip(trees.features, trees.thresholds, trees.leaves, strict=True):
            node = 1 if window[feature[0]] < threshold[0] else 2
            total += leaves[2 * (node == 1) + (window[feature[node]] < threshold[node])]
        assert found == total


def test_shapes_are_checked() -> None:
    with pytest.raises(ValueError, match="leaves"):
        Trees(np.zeros((2, 3), np.int32), np.zeros((2, 3), np.uint8), np.zeros((2, 3), np.float32))
