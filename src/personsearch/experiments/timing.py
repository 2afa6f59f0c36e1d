"""How long searchers take, measured in one way wherever times are told."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from personsearch.progress import Progress, silent
from personsearch.types import Array, Picture

ROUNDS = 3
"""How often each picture is looked at by each method; the quickest counts, as the others were disturbed."""
LABEL = "timing"
Work = Callable[[Picture], object]


def quickest_in_turn(
    works: Mapping[str, Work],
    pictures: Sequence[Picture],
    *,
    rounds: int = ROUNDS,
    progress: Progress = silent,
) -> dict[str, Array]:
    """(n,) milliseconds that each of ``works`` takes with each picture: the quickest of ``rounds``.

    Within a round the works take turns with the same picture, so that a machine that is busy for a moment
    is busy for all of them. Each looks at the first picture once before it counts.

    The catch: the quickest round says what the work costs, not what a busy machine makes of it.

    Args:
        works: by name, in the order of their turns.
        pictures: decoded.
        rounds: at least 1.
        progress: told of every picture.
    """
    if not works:
        return {}
    for work in works.values():
        for picture in pictures[:1]:
            work(picture)
    times = {name: np.full(len(pictures), np.inf) for name in works}
    for number, picture in enumerate(progress(pictures, LABEL, total=len(pictures))):
        for _ in range(rounds):
            for name, work in works.items():
                start = time.perf_counter()
                work(picture)
                spent = 1000 * (time.perf_counter() - start)
                times[name][number] = min(times[name][number], spent)
    return times
