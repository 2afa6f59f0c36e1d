"""Times are the quickest of rounds in which everybody takes turns."""

from __future__ import annotations

import numpy as np
import pytest

from personsearch.experiments import timing
from personsearch.experiments.timing import quickest_in_turn
from personsearch.types import Picture

PICTURES = [Picture(np.zeros((2, 2, 3), np.uint8), name) for name in ("p", "q")]


class Clock:
    """Moves on only when somebody works."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now, self.log = 0.0, []
        monkeypatch.setattr(timing.time, "perf_counter", lambda: self.now)

    def work(self, name: str, seconds: list[float]):
        """Takes so many seconds, one after the other, and notes when it was its turn."""
        left = iter(seconds)

        def work(picture: Picture) -> None:
            self.log.append(f"{name}{picture.name}")
            self.now += next(left)

        return work


def test_turns_and_the_quickest_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    # The first look warms up; then three rounds with p, three with q.
    works = {
        "a": clock.work("a", [9, 3, 1, 2, 5, 4, 6]),
        "b": clock.work("b", [9, 1, 1, 8, 2, 2, 2]),
    }
    found = quickest_in_turn(works, PICTURES)
    assert {name: each.tolist() for name, each in found.items()} == {"a": [1000, 4000], "b": [1000, 2000]}
    assert clock.log == ["ap", "bp", *["ap", "bp"] * 3, *["aq", "bq"] * 3]


def test_a_busy_moment_costs_nobody_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything takes ten times as long in one round of three: the ratio stays what it is."""
    clock = Clock(monkeypatch)
    found = quickest_in_turn(
        {"a": clock.work("a", [1, 20, 2, 2]), "b": clock.work("b", [1, 10, 1, 1])}, PICTURES[:1]
    )
    assert found["a"] / found["b"] == 2


def test_nothing_to_time() -> None:
    assert quickest_in_turn({}, PICTURES) == {}
    assert quickest_in_turn({"a": lambda picture: None}, [])["a"].tolist() == []
