"""Which samples a step sees: a pure function of seed and step, so that resuming needs no state."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from personsearch.types import Array

WINDOW = 32
"""Batches among which samples of like shape are brought together."""


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


class LikeShapes:
    """Step -> samples of like shape: the same stream of samples, dealt out in another order.

    The samples of :data:`WINDOW` batches in a row are sorted by shape, cut into batches again, and
    these shuffled. Whoever was in the stream is in it still, and as often.

    Args:
        shapes: (n,) of each sample, e.g. width over height.
        batch, seed, stage: as of :func:`samples_of`.
    """

    def __init__(self, shapes: Array, *, batch: int, seed: int, stage: int) -> None:
        self.shapes, self.batch, self.seed, self.stage = np.asarray(shapes), batch, seed, stage
        self._window: tuple[int, Array] | None = None

    def __call__(self, step: int) -> list[int]:
        """Indices of the samples of ``step``."""
        number, place = divmod(step, WINDOW)
        if self._window is None or self._window[0] != number:
            self._window = number, self._dealt(number)
        return [int(i) for i in self._window[1][place]]

    def _dealt(self, number: int) -> Array:
        """(WINDOW, batch) samples of the window's batches."""
        count, size = len(self.shapes), self.batch * WINDOW
        stream = np.array(samples_of(number, count=count, batch=size, seed=self.seed, stage=self.stage))
        alike = stream[np.argsort(self.shapes[stream], kind="stable")].reshape(WINDOW, self.batch)
        return np.random.default_rng([self.seed, self.stage, number, 13]).permutation(alike)


def chance(seed: int, stage: int, step: int) -> np.random.Generator:
    """The source of chance of one step."""
    return np.random.default_rng([seed, stage, step, 7])


def seed_of(seed: int, stage: int, step: int, part: int = 0) -> int:
    """What torch's chance starts from in one part of one step's batch, whichever process computes it.

    On CPUs torch's generator knows only the lower 32 bits of it.
    """
    if part:
        return int(np.random.SeedSequence([seed, stage, step, part]).generate_state(1)[0])
    return (seed * 4 + stage) * 1_000_003 + step
