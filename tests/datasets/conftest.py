"""Small annotated worlds, and the same trials however they were made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import Any

import numpy as np
import pytest

from personsearch.types import UNLABELLED, Scene, Trials


def same_trials(a: Trials, b: Trials) -> None:
    """Everything but the name is equal, and so is what every index points to."""
    for column in fields(Trials):
        if column.name != "name":
            np.testing.assert_array_equal(getattr(a, column.name), getattr(b, column.name), column.name)


def same_scenes(a: tuple[Scene, ...], b: tuple[Scene, ...]) -> None:
    assert [scene.name for scene in a] == [scene.name for scene in b]
    for one, other in zip(a, b, strict=True):
        np.testing.assert_array_equal(one.boxes, other.boxes)
        np.testing.assert_array_equal(one.people, other.people)
        np.testing.assert_array_equal(one.visible, other.visible)


def make_world(rng: np.random.Generator, sizes: tuple[int, ...] = (1, 3)) -> dict[str, Any]:
    """Arguments of the writer: some people in some pictures, queries with and without positives."""

    def scene(name: str, people: list[int]) -> Scene:
        n = len(people)
        corner = rng.choice(60_000, (n, 2), replace=True) if n else np.zeros((0, 2))
        boxes = np.concatenate([corner, corner + rng.integers(1, 300, (n, 2))], axis=1)
        visible = rng.random(n) if rng.random() < 0.5 else np.full(n, np.nan)
        return Scene(name, boxes=boxes, people=np.array(people, np.int64), visible=visible)

    def half(prefix: str, count: int, people: int) -> list[Scene]:
        who: list[list[int]] = [[UNLABELLED] * int(rng.integers(0, 3)) for _ in range(count)]
        for person in range(people):
            for place in rng.choice(count, rng.integers(1, count + 1), replace=False).tolist():
                who[place].append(person)
        return [scene(f"{prefix}{k}.jpg", people) for k, people in enumerate(who)]

    train = half("s", int(rng.integers(1, 4)), int(rng.integers(0, 4)))
    queries = int(rng.integers(1, 4))
    test = half("t", int(rng.integers(max(sizes), max(sizes) + 3)), queries)
    return {
        "train": train,
        "test": test,
        "galleries": {size: make_trials(rng, test, queries, size) for size in sizes},
    }


def make_trials(rng: np.random.Generator, test: list[Scene], queries: int, size: int) -> Trials:
    """Every person's first appearance looks for all the others, as far as ``size`` allows."""
    query_scene, query_box, entry_scene, truths = [], [], [], []
    for person in range(queries):
        where = [k for k, scene in enumerate(test) if person in scene.people]
        box = [test[k].boxes[test[k].people == person][0] for k in where]
        query_scene.append(where[0])
        query_box.append(box[0])
        positives = list(zip(where[1:], box[1:], strict=True))[:size]
        others = [k for k in range(len(test)) if k not in where] or [where[0]]
        entries = positives + [(int(rng.choice(others)), None) for _ in range(size - len(positives))]
        entry_scene += [k for k, _ in entries]
        truths += [b for _, b in entries]
    found = [b for b in truths if b is not None]
    return Trials(
        name="t",
        scenes=tuple(scene.name for scene in test),
        query_scene=np.array(query_scene),
        query_box=np.array(query_box),
        query_person=np.arange(queries),
        entry_ptr=np.arange(queries + 1) * size,
        entry_scene=np.array(entry_scene),
        truth_ptr=np.cumsum([0, *(b is not None for b in truths)]),
        truth_box=np.array(found).reshape(-1, 4),
        ignore_ptr=np.zeros(len(entry_scene) + 1),
        ignore_box=np.zeros((0, 4)),
    )


@pytest.fixture(scope="session")
def world_of() -> Callable[..., dict[str, Any]]:
    return make_world


@pytest.fixture(scope="session")
def assert_same_trials() -> Callable[[Trials, Trials], None]:
    return same_trials


@pytest.fixture(scope="session")
def assert_same_scenes() -> Callable[..., None]:
    return same_scenes
