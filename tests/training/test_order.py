"""Which samples a step sees."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from personsearch.training.order import chance, samples_of


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
