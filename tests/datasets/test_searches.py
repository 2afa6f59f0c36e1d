"""Searches in listed galleries, against an independent slow oracle."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from personsearch.datasets.searches import list_searches
from personsearch.errors import DatasetError
from personsearch.protocols import camera_trials
from personsearch.types import UNLABELLED, Query, Scene


def world(rng: np.random.Generator) -> tuple[list[Scene], list[Query]]:
    scenes, queries = [], []
    for k in range(int(rng.integers(1, 7))):
        n = int(rng.integers(0, 5))
        corner = rng.integers(0, 50, (n, 2))
        boxes = np.concatenate([corner, corner + rng.integers(1, 9, (n, 2))], axis=1)
        people = rng.integers(-1, 3, n)
        scenes.append(Scene(f"s{k}", boxes=boxes, people=people, ignore=rng.random(n) < 0.3))
        queries += [Query(f"s{k}", b, int(p)) for b, p in zip(boxes, people, strict=True) if p != UNLABELLED]
    return scenes, queries


@given(st.integers(0, 10**6))
@settings(max_examples=60, deadline=None)
def test_every_entry_has_the_boxes_of_its_picture(seed: int) -> None:
    rng = np.random.default_rng(seed)
    scenes, queries = world(rng)
    galleries = [rng.integers(0, len(scenes), int(rng.integers(0, 9))) for _ in queries]
    found = list_searches("t", scenes, queries, galleries)
    entry = 0
    for i, (query, gallery) in enumerate(zip(queries, galleries, strict=True)):
        assert found.scenes[found.query_scene[i]] == query.scene
        assert found.query_person[i] == query.person
        for row in gallery.tolist():
            scene = scenes[row]
            rows = range(len(scene))
            truth = [
                scene.boxes[k].tolist()
                for k in rows
                if scene.people[k] == query.person and not scene.ignore[k]
            ]
            junk = [scene.boxes[k].tolist() for k in rows if scene.ignore[k]]
            assert found.entry_scene[entry] == row
            assert found.truth_box[found.truth_ptr[entry] : found.truth_ptr[entry + 1]].tolist() == truth
            assert found.ignore_box[found.ignore_ptr[entry] : found.ignore_ptr[entry + 1]].tolist() == junk
            entry += 1
        assert found.entry_ptr[i + 1] == entry


@given(st.integers(0, 10**6))
@settings(max_examples=20, deadline=None)
def test_all_pictures_but_the_own_one_are_the_full_gallery(seed: int) -> None:
    scenes, queries = world(np.random.default_rng(seed))
    own = {scene.name: row for row, scene in enumerate(scenes)}
    every = [np.array([r for r in range(len(scenes)) if r != own[q.scene]], np.int64) for q in queries]
    ours, theirs = list_searches("t", scenes, queries, every), camera_trials("t", scenes, queries)
    for column in (
        "query_scene",
        "query_box",
        "entry_ptr",
        "entry_scene",
        "truth_ptr",
        "truth_box",
        "ignore_box",
    ):
        np.testing.assert_array_equal(getattr(ours, column), getattr(theirs, column), column)
    np.testing.assert_array_equal(ours.ignore_ptr, theirs.ignore_ptr)


def test_queries_of_nobody_or_nowhere_are_refused() -> None:
    with pytest.raises(DatasetError, match="query 0 is in b"):
        list_searches("t", [Scene("a")], [Query("b", [0, 0, 1, 1], 0)], [np.array([0])])
    with pytest.raises(DatasetError, match="query 0 in a has no identity"):
        list_searches("t", [Scene("a")], [Query("a", [0, 0, 1, 1])], [np.array([0])])
