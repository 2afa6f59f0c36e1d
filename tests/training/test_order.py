"""Which samples a step sees."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from personsearch.training.order import WINDOW, LikeShapes, chance, samples_of, seed_of


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 30), st.integers(1, 12), st.integers(0, 5), st.integers(1, 3))
def test_every_epoch_is_a_permutation(count: int, batch: int, seed: int, stage: int) -> None:
    """However batches and epochs fall: the stream is shuffle after shuffle of everybody."""
    steps = -(-3 * count // batch)
    stream = [
        i for s in range(steps) for i in samples_of(s, count=count, batch=batch, seed=seed, stage=stage)
    ]
    for epoch in range(3):
        assert sorted(stream[epoch * count : (epoch + 1) * count]) == list(range(count))


def test_it_is_a_pure_function() -> None:
    """Asked in any order, after any other question, a step sees the same samples."""
    forward = [samples_of(s, count=7, batch=3, seed=1, stage=2) for s in range(6)]
    chance(1, 2, 0).random(100)
    samples_of(4, count=9, batch=2, seed=8, stage=1)
    assert [samples_of(s, count=7, batch=3, seed=1, stage=2) for s in reversed(range(6))] == forward[::-1]


def test_epochs_seeds_and_stages_shuffle_differently() -> None:
    def epoch(seed: int, stage: int, number: int) -> tuple[int, ...]:
        return tuple(samples_of(number, count=20, batch=20, seed=seed, stage=stage))

    seen = {epoch(seed, stage, n) for seed in (0, 1) for stage in (1, 2, 3) for n in (0, 1)}
    assert len(seen) == 12


@pytest.mark.parametrize("other", [(1, 1, 3), (0, 2, 3), (0, 1, 4)])
def test_every_step_has_a_chance_of_its_own(other: tuple[int, int, int]) -> None:
    assert chance(0, 1, 3).random() == chance(0, 1, 3).random()
    assert chance(0, 1, 3).random() != chance(*other).random()


def test_like_shapes_are_the_same_stream_dealt_otherwise() -> None:
    """Over each window everybody is there as often as in the plain stream, in whatever order it is asked."""
    shapes = np.random.default_rng(0).choice([0.75, 1.33, 1.78], 50)
    dealt = LikeShapes(shapes, batch=4, seed=3, stage=2)
    for window in range(3):
        steps = range(window * WINDOW, (window + 1) * WINDOW)
        plain = [i for s in steps for i in samples_of(s, count=50, batch=4, seed=3, stage=2)]
        assert sorted(i for s in steps for i in dealt(s)) == sorted(plain)
    again = LikeShapes(shapes, batch=4, seed=3, stage=2)
    assert [again(s) for s in (70, 3, 40)] == [dealt(s) for s in (70, 3, 40)]


def test_a_batch_holds_like_shapes_in_no_order_of_shape() -> None:
    """With three shapes at most two batches of a window mix them; and wide ones do not all come last."""
    shapes = np.random.default_rng(1).choice([0.75, 1.33, 1.78], 50)
    dealt = LikeShapes(shapes, batch=4, seed=3, stage=2)
    batches = [shapes[dealt(step)] for step in range(WINDOW)]
    assert sum(len(set(batch)) > 1 for batch in batches) <= 2
    middle = [batch.mean() for batch in batches]
    assert middle != sorted(middle)
    plain = [shapes[samples_of(step, count=50, batch=4, seed=3, stage=2)] for step in range(WINDOW)]
    assert sum(len(set(batch)) > 1 for batch in plain) > 20


def test_every_part_of_a_step_has_a_chance_of_its_own() -> None:
    """Drawn, not only numbered: torch's generator drops the upper half of a seed."""
    drawn = set()
    for seed in (0, 1):
        for stage in (1, 2):
            for step in range(5):
                for part in range(4):
                    torch.manual_seed(seed_of(seed, stage, step, part))
                    drawn.add(torch.rand(1, dtype=torch.float64).item())
    assert len(drawn) == 2 * 2 * 5 * 4
    assert seed_of(2**32 - 1, 2, 10**6, 63) < 2**63
