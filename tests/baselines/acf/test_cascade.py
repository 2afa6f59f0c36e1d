from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from personsearch.baselines.acf import cascade
from personsearch.baselines.acf.cascade import run_cascade
from personsearch.baselines.acf.pyramid import Level, Pyramid
from personsearch.baselines.acf.trees import Trees


def random_pyramid(rng: np.random.Generator, cells: tuple[int, int] = (3, 2)) -> Pyramid:
    sizes = [(7, 9), (5, 4), (4, 3)]
    places = [(0, 0), (7, 0), (7, 4)]
    levels = tuple(
        Level(scale=(1.0, 1.0), octave=0, top=top, left=left, rows=rows, columns=columns)
        for (rows, columns), (top, left) in zip(sizes, places, strict=True)
    )
    return Pyramid(rng.integers(0, 256, (10, 12, 9)).astype(np.uint8), levels, cells)


def random_trees(rng: np.random.Generator, count: int) -> Trees:
    leaves = rng.integers(-300, 400, (count, 4)).astype(np.float32) / 1024
    return Trees(
        rng.integers(0, 60, (count, 3)).astype(np.int32),
        rng.integers(0, 256, (count, 3)).astype(np.uint8),
        leaves,
    )


def window_by_window(pyramid: Pyramid, trees: Trees, threshold: float) -> dict[int, float]:
    """Every window of every level on its own, tree after tree."""
    rows, columns = pyramid.cells
    found = {}
    for level in pyramid.levels:
        for y in range(level.top, level.top + level.rows - rows + 1):
            for x in range(level.left, level.left + level.columns - columns + 1):
                window = pyramid.planes[:, y : y + rows, x : x + columns].reshape(-1)
                total = 0.0
                for feature, limit, leaves in zip(
                    trees.features, trees.thresholds, trees.leaves, strict=True
                ):
                    first = bool(window[feature[0]] < limit[0])
                    node = 1 if first else 2
                    total += float(leaves[2 * first + int(window[feature[node]] < limit[node])])
                    if total <= threshold:
                        break
                else:
                    found[y * pyramid.planes.shape[2] + x] = total
    return found


@given(st.integers(0, 10_000), st.integers(0, 90), st.sampled_from([-1.0, -0.25, -0.001]))
@settings(max_examples=40, deadline=None)
def test_as_the_rule_says_window_by_window(seed: int, count: int, threshold: float) -> None:
    rng = np.random.default_rng(seed)
    pyramid, trees = random_pyramid(rng), random_trees(rng, count)
    wanted = window_by_window(pyramid, trees, threshold)
    places, sums = run_cascade(pyramid, trees, threshold)
    assert dict(zip(places.tolist(), sums.tolist(), strict=True)) == wanted


@given(st.integers(0, 10_000), st.integers(1, 90))
@settings(max_examples=25, deadline=None)
def test_against_the_full_sum(seed: int, count: int) -> None:
    """Nobody is given up without a threshold; with one, whoever stays has the full sum, to the bit."""
    rng = np.random.default_rng(seed)
    pyramid, trees = random_pyramid(rng), random_trees(rng, count)
    full = trees.sums(pyramid.features(pyramid.windows))
    places, sums = run_cascade(pyramid, trees, -np.inf)
    assert np.array_equal(places, pyramid.windows)
    assert np.array_equal(sums, full)
    sums_of = dict(zip(places.tolist(), full.tolist(), strict=True))
    kept, sums = run_cascade(pyramid, trees, -0.5)
    assert [sums_of[place] for place in kept.tolist()] == sums.tolist()


def test_blocks_and_memory_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    pyramid, trees = random_pyramid(rng), random_trees(rng, 77)
    wanted = run_cascade(pyramid, trees, -1.0)
    assert len(wanted[0])
    for name, value in (("DENSE", 0), ("DENSE", 4), ("BLOCK", 1), ("VALUES", 1)):
        with monkeypatch.context() as patched:
            patched.setattr(cascade, name, value)
            found = run_cascade(pyramid, trees, -1.0)
        assert [one.tolist() for one in found] == [one.tolist() for one in wanted]


def test_a_fall_within_four_trees_is_seen() -> None:
    """Down to the threshold after the second tree, and up again with the third."""
    pyramid = random_pyramid(np.random.default_rng(0))
    always = np.repeat(np.float32([[-0.5], [-0.5], [3.0], [0.5]]), 4, axis=1)
    trees = Trees(np.zeros((4, 3), np.int32), np.zeros((4, 3), np.uint8), always)
    assert len(run_cascade(pyramid, trees, -1.0)[0]) == 0
    places, sums = run_cascade(pyramid, trees, -1.001)
    assert len(places) == len(pyramid.windows)
    assert (sums == 2.5).all()
