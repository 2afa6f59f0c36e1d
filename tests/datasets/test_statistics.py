"""Counts and heights: a case by hand, a slow version, and what must add up."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from personsearch.datasets.statistics import height_edges, histogram, quantiles, record_of, statistics
from personsearch.errors import DatasetError, UsageError
from personsearch.protocols import camera_trials
from personsearch.types import UNLABELLED, Query, Scene, Trials


@dataclass
class Memory:
    train: tuple[Scene, ...]
    test: tuple[Scene, ...]
    queries: tuple[Query, ...] = ()
    name: str = "memory"
    root: Path = Path("memory")
    gallery_sizes: tuple[int, ...] = ()

    def scenes(self, split: str) -> tuple[Scene, ...]:
        return self.train if split == "train" else self.test

    def trials(self, gallery_size: Any = None, *, cameras: str = "all") -> Trials:
        if not self.queries:
            raise UsageError("no queries")
        return camera_trials("memory", self.test, self.queries)

    def subset_trials(self, subset: str) -> Trials:
        raise UsageError("none")


def scene(name: str, *people: tuple[int, float], ignore: Any = None) -> Scene:
    boxes = np.array([[0, 0, 10, height] for _, height in people]).reshape(-1, 4)
    return Scene(name, boxes=boxes, people=[person for person, _ in people], ignore=ignore)


def by_hand() -> Memory:
    """Heights are all there is to see."""
    train = (scene("a", (0, 40), (UNLABELLED, 60)), scene("b", (0, 80), (1, 100), (UNLABELLED, 20)))
    test = (
        scene("c", (0, 30), (UNLABELLED, 50), (UNLABELLED, 70), ignore=[False, False, True]),
        scene("d", (0, 90), (UNLABELLED, 110)),
    )
    return Memory(train, test, (Query("c", [0, 0, 10, 30], 0),))


def test_a_case_by_hand() -> None:
    both, train, test = statistics(by_hand())
    assert [(g.split, g.source) for g in (both, train, test)] == [
        ("both", "all"),
        ("train", "all"),
        ("test", "all"),
    ]
    assert (train.pictures, train.identities, train.boxes) == (2, 2, 5)
    assert train.people.tolist() == [40, 80, 100]
    assert train.background.tolist() == [60, 20]
    assert (train.people_a_picture, train.background_a_picture) == (2.5, 1.0)
    assert (test.boxes, test.ignored, test.query.tolist()) == (4, 1, [30])
    assert test.background.tolist() == [50, 110]
    # Table 1: identities of both halves, since the halves share nobody.
    assert (both.pictures, both.identities, both.boxes, len(both.query)) == (4, 3, 9, 1)


def test_small_people_are_left_out_on_request() -> None:
    _, train, test = statistics(by_hand(), min_height=50)
    assert (train.people.tolist(), train.background.tolist(), train.identities) == ([80, 100], [60], 2)
    assert (test.people.tolist(), test.background.tolist(), test.query.tolist()) == ([90], [50, 110], [])
    assert (train.pictures, test.pictures) == (2, 2)


def test_sources_split_the_halves() -> None:
    data = by_hand()
    groups = statistics(data, {"a": "street", "c": "street", "d": "movie"})
    known = {(g.split, g.source): g.pictures for g in groups}
    assert known == {
        ("both", "all"): 4,
        ("both", "street"): 2,
        ("train", "all"): 2,
        ("train", "street"): 1,
        ("train", "unknown"): 1,
        ("test", "all"): 2,
        ("test", "movie"): 1,
        ("test", "street"): 1,
    }
    assert next(g for g in groups if g.source == "street" and g.split == "test").query.tolist() == [30]
    with pytest.raises(DatasetError, match="no picture x"):
        statistics(data, {"x": "street"})


def test_a_data_set_with_one_half_or_without_queries_or_people() -> None:
    (test,) = statistics(Memory((), by_hand().test))
    assert (test.split, len(test.query)) == ("test", 0)
    assert statistics(Memory((), ())) == ()
    (empty,) = statistics(Memory((), (Scene("a"),)))
    assert (empty.boxes, empty.background_a_picture) == (0, 0.0)
    (record,) = record_of([empty])
    assert np.isnan(record["heights"]["identity"]["q50"])  # type: ignore[index]
    assert sum(record["heights"]["identity"]["counts"]) == 0  # type: ignore[index]


def test_quantiles_and_the_last_step() -> None:
    heights = np.arange(1, 102, dtype=float)
    known = quantiles(heights)
    assert (known["q0"], known["q5"], known["q50"], known["q100"], known["mean"]) == (1, 6, 51, 101, 51)
    edges = np.array([0.0, 10, 20])
    assert histogram(np.array([0.0, 9.9, 10, 19, 20, 500]), edges).tolist() == [2, 4]


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 100_000))
def test_against_a_slow_count(seed: int) -> None:
    rng = np.random.default_rng(seed)

    def half(prefix: str) -> tuple[Scene, ...]:
        return tuple(
            scene(
                f"{prefix}{i}",
                *((int(rng.integers(-1, 3)), float(rng.integers(1, 300))) for _ in range(n)),
                ignore=rng.random(n) < 0.3,
            )
            for i, n in enumerate(rng.integers(0, 5, int(rng.integers(1, 4))).tolist())
        )

    data = Memory(half("a"), half("b"))
    least = float(rng.integers(0, 100))
    groups = {g.split: g for g in statistics(data, min_height=least)}
    for split in ("train", "test"):
        people, background, named, ignored = [], [], set(), 0
        for one in data.scenes(split):
            for box, person, out in zip(one.boxes, one.people, one.ignore, strict=True):
                height = float(box[3] - box[1])
                if out:
                    ignored += 1
                elif height >= least and person >= 0:
                    people.append(height)
                    named.add(int(person))
                elif height >= least:
                    background.append(height)
        group = groups[split]
        assert (group.people.tolist(), group.background.tolist()) == (people, background)
        assert (group.identities, group.ignored, group.boxes) == (
            len(named),
            ignored,
            len(people) + len(background),
        )
    both = groups["both"]
    assert both.boxes == groups["train"].boxes + groups["test"].boxes
    edges = height_edges(list(groups.values()))
    assert (np.diff(edges) >= 1).all()
    for group in groups.values():
        assert histogram(group.people, edges).sum() == len(group.people)  # nobody falls out of the figure
