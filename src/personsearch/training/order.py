"""Which samples a step sees: a pure function of seed and step, so that resuming needs no state."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from personsearch.types import Array


@lru_cache(maxsize=4)
def _permutation(count: int, seed: int, stage: int, epoch: int) -> Array:
    return np.random.default_rng([seed, stage, epoch]).permutation(count)


def samples_of(step: int, *, count: int, batch: int, seed: int, stage: int) -> list[int]:
    """Indices of the ``batch`` samples of ``step``: epoch after epoch, each a fresh shuffle of all.

    >>> sorted(samples_of(0, count=4, batch=4, seed=1, stage=2))
    [0, 1, 2, 3]
    """
    places = range(step * batch, (step + 1) * batch)
    return [int(_permutation(count, seed, stage, p // count)[p % count]) for p in places]


def chance(seed: int, stage: int, step: int) -> np.random.Generator:
    """The source of chance of one step."""
    return np.random.default_rng([seed, stage, step, 7])
