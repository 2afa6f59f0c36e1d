"""What is done now and then, by the clock, though it is asked for more often."""

from __future__ import annotations

import math
import time
from collections.abc import Callable


def now_and_then(act: Callable[[], object], every: float) -> Callable[[], None]:
    """``act``, done when it is called, unless it ended less than ``every`` seconds ago.

    >>> calls = []
    >>> seldom = now_and_then(lambda: calls.append(1), every=3600)
    >>> seldom(), seldom(), calls
    (None, None, [1])
    """
    done = -math.inf

    def due() -> None:
        nonlocal done
        if time.monotonic() - done >= every:
            act()
            done = time.monotonic()

    return due
