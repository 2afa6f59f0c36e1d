"""Searches made from annotation: by hand, against a slow version that reads like the rule, and in general."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from personsearch.errors import DatasetError, UsageError
from personsearch.protocols import camera_trials, full_gallery, junk_of_prw, match_queries, take_queries
from personsearch.types import UNLABELLED, Query, Scene, Trials

Entry = tuple[str, list[Any], list[Any]]


def scene(name: str, *people: int, camera: str | None = "1", ignore: tuple[int, ...] = ()) -> Scene:
    """Person k of the picture stands at (10 k, 0) and is 5 wide; his height tells the picture."""
    height = 10 + ord(name[-1]) - ord("a")
    return Scene(
        name,
        boxes=[[10 * k, 0, 10 * k + 5, height] for k in range(len(people))],
        people=people,
        camera=camera,
        ignore=[k in ignore for k in range(len(people))],
    )


def written_out(trials: Trials) -> list[list[Entry]]:
    """Per query the entries (picture, true boxes, ignored boxes)."""
    found = []
    for first, last in pairwise(trials.entry_ptr.tolist()):
        entries = []
        for e in range(first, last):
            truth = trials.truth_box[trials.truth_ptr[e] : trials.truth_ptr[e + 1]]
            ignore = trials.ignore_box[trials.ignore_ptr[e] : trials.ignore_ptr[e + 1]]
            entries.append((trials.scenes[trials.entry_scene[e]], truth.tolist(), ignore.tolist()))
        found.append(entries)
    return found


def left(trials: Trials) -> list[list[tuple[str, list[float], list[float]]]]:
    """The same with each box by its left side."""
    return [
        [(name, [box[0] for box in truth], [box[0] for box in ignore]) for name, truth, ignore in entries]
        for entries in written_out(trials)
    ]


@pytest.fixture
def street() -> list[Scene]:
    """Four pictures of two cameras: 7 is in all but d (in c twice), 8 in a and d, somebody nameless in b."""
    return [
        scene("a", 7, 8),
        scene("b", 7, UNLABELLED, camera="2"),
        scene("c", 7, 9, 7, camera="2", ignore=(1,)),
        scene("d", 8),
    ]


def query_of(scenes: list[Scene], name: str, person: int) -> Query:
    one = next(scene for scene in scenes if scene.name == name)
    return Query(name, one.boxes[one.people.tolist().index(person)], person)


def test_every_picture_but_the_own_one_by_hand(street: list[Scene]) -> None:
    queries = [query_of(street, "a", 7), query_of(street, "d", 8)]
    found = camera_trials("p", street, queries)
    assert left(found) == [
        [("b", [0], []), ("c", [0, 20], [10]), ("d", [], [])],
        [("a", [10], []), ("b", [], []), ("c", [], [10])],
    ]
    assert (found.name, found.query_scene.tolist(), found.query_person.tolist()) == ("p", [0, 3], [7, 8])
    assert found.truth_box[0].tolist() == [0, 0, 5, 11]


def test_cameras_by_hand(street: list[Scene]) -> None:
    queries = [query_of(street, "a", 7), query_of(street, "c", 7)]
    same, other = (camera_trials("p", street, queries, which) for which in ("same", "other"))
    assert left(same) == [[("d", [], [])], [("b", [0], [])]]
    assert left(other) == [[("b", [0], []), ("c", [0, 20], [10])], [("a", [0], []), ("d", [], [])]]


def test_a_true_box_that_is_ignored_is_only_ignored() -> None:
    scenes = [scene("a", 7), scene("b", 7, 7, ignore=(0,))]
    assert left(camera_trials("p", scenes, [query_of(scenes, "a", 7)])) == [[("b", [10], [0])]]


def test_what_cannot_be_asked_is_said(street: list[Scene]) -> None:
    asked = query_of(street, "a", 7)
    with pytest.raises(UsageError, match="no cameras 'any'"):
        camera_trials("p", street, [asked], "any")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="d does not say its camera"):
        camera_trials("p", [*street[:3], replace(street[3], camera=None)], [asked], "other")
    with pytest.raises(DatasetError, match="query 1 is in z"):
        camera_trials("p", street, [asked, replace(asked, scene="z")])
    with pytest.raises(DatasetError, match="query 0 in a has no identity"):
        camera_trials("p", street, [replace(asked, person=UNLABELLED)])
    with pytest.raises(DatasetError, match="one name"):
        camera_trials("p", [*street, street[0]], [asked])
    with pytest.raises(UsageError, match="does not say its camera"):
        junk_of_prw(camera_trials("p", street, [asked]), [replace(one, camera=None) for one in street])
    with pytest.raises(DatasetError, match="a is not annotated"):
        junk_of_prw(camera_trials("p", street, [asked]), street[1:])


def test_the_full_gallery_by_hand() -> None:
    """The gallery lists its own picture and one twice; both stay, and every other picture follows."""
    trials = Trials(
        name="small", scenes=("a", "b", "c", "d"), query_scene=[0, 1], query_box=np.zeros((2, 4)),
        query_person=[0, 1], entry_ptr=[0, 3, 4], entry_scene=[2, 2, 0, 3], truth_ptr=[0, 1, 2, 2, 2],
        truth_box=[[1, 0, 2, 2], [3, 0, 4, 2]], ignore_ptr=[0, 0, 1, 1, 1], ignore_box=[[9, 0, 10, 2]],
    )  # fmt: skip
    found = full_gallery(trials, "full")
    assert left(found) == [
        [("c", [1], []), ("c", [3], [9]), ("a", [], []), ("b", [], []), ("d", [], [])],
        [("d", [], []), ("a", [], []), ("c", [], [])],
    ]
    assert found.name == "full"


def test_prws_own_junk_by_hand(street: list[Scene]) -> None:
    queries = [query_of(street, "c", 7)]  # camera 2, as b
    found = junk_of_prw(camera_trials("p", street, queries), street)
    assert left(found) == [[("a", [0], []), ("b", [], [0, 10]), ("d", [], [])]]
    assert found.name == "p junk=prw"
    again = junk_of_prw(camera_trials("p", street, [query_of(street, "a", 7)]), street)
    assert left(again) == [[("b", [0], [10]), ("c", [0, 20], [10]), ("d", [], [])]]


def test_queries_get_the_name_of_the_box_they_overlap_best(street: list[Scene]) -> None:
    asked = [
        Query("a", [9, 0, 15, 10]),  # most of it is person 8
        Query("a", [9, 0, 60, 10]),  # hardly anybody
        Query("b", [10, 0, 15, 11]),  # nameless
        Query("z", [0, 0, 5, 10]),
        Query("a", [9, 0, 15, 10], 3),  # has a name
    ]
    assert [query.person for query in match_queries(street, asked)] == [8, -1, -1, -1, 3]


@st.composite
def worlds(draw: st.DrawFn) -> tuple[list[Scene], list[Query]]:
    """Up to seven pictures of three cameras, up to four of five people in each; whoever may be asked for."""
    scenes = []
    for k in range(draw(st.integers(1, 7))):
        people = draw(st.lists(st.integers(-1, 4), max_size=4))
        ignore = tuple(j for j in range(len(people)) if draw(st.integers(0, 4)) == 0)
        scenes.append(scene("abcdefg"[k], *people, camera=str(draw(st.integers(1, 3))), ignore=ignore))
    everybody = [
        Query(one.name, box, int(person))
        for one in scenes
        for box, person in zip(one.boxes, one.people, strict=True)
        if person != UNLABELLED
    ]
    queries = draw(st.lists(st.sampled_from(everybody), max_size=4)) if everybody else []
    return scenes, queries


def slowly(scenes: list[Scene], queries: list[Query], cameras: str, strict: bool) -> list[list[Entry]]:
    """The rule of :func:`camera_trials`, and of :func:`junk_of_prw` where ``strict``, box by box."""
    camera_of = {one.name: one.camera for one in scenes}
    found = []
    for query in queries:
        entries = []
        for one in scenes:
            same = one.camera == camera_of[query.scene]
            if one.name == query.scene or (cameras == "same" and not same) or (cameras == "other" and same):
                continue
            right, junk, nobody, ignored = [], [], [], []
            for box, person, out in zip(one.boxes.tolist(), one.people, one.ignore, strict=True):
                if out:
                    ignored.append(box)
                elif person == query.person:
                    (junk if strict and same else right).append(box)
                elif strict and person == UNLABELLED:
                    nobody.append(box)
            entries.append((one.name, right, [*ignored, *junk, *nobody]))
        found.append(entries)
    return found


@settings(max_examples=60, deadline=None)
@given(worlds(), st.sampled_from(["all", "same", "other"]))
def test_the_fast_way_is_the_slow_way(world: tuple[list[Scene], list[Query]], cameras: Any) -> None:
    scenes, queries = world
    trials = camera_trials("p", scenes, queries, cameras)
    assert written_out(trials) == slowly(scenes, queries, cameras, strict=False)
    assert written_out(junk_of_prw(trials, scenes)) == slowly(scenes, queries, cameras, strict=True)


@settings(max_examples=40, deadline=None)
@given(worlds(), st.data())
def test_taking_queries_takes_all_that_is_theirs(
    world: tuple[list[Scene], list[Query]], data: st.DataObject
) -> None:
    scenes, queries = world
    trials = camera_trials("p", scenes, queries)
    rows = data.draw(st.lists(st.integers(0, len(queries) - 1), max_size=5)) if queries else []
    taken = take_queries(trials, rows)
    everything = written_out(trials)
    assert written_out(taken) == [everything[row] for row in rows]
    assert taken.query_person.tolist() == [queries[row].person for row in rows]


@settings(max_examples=40, deadline=None)
@given(worlds(), st.data())
def test_a_full_gallery_is_the_given_one_and_the_rest(
    world: tuple[list[Scene], list[Query]], data: st.DataObject
) -> None:
    scenes, queries = world
    whole = camera_trials("p", scenes, queries)
    listed = [data.draw(st.lists(st.integers(0, len(scenes) - 1), max_size=5)) for _ in queries]
    truths = [[[[1.0, 1.0, 2.0, k]] if data.draw(st.booleans()) else [] for k in row] for row in listed]
    boxes = [box for row in truths for entry in row for box in entry]
    given_ = replace(
        whole,
        entry_ptr=np.cumsum([0, *map(len, listed)]),
        entry_scene=np.array([k for row in listed for k in row], np.int32),
        truth_ptr=np.cumsum([0, *(len(entry) for row in truths for entry in row)]),
        truth_box=np.array(boxes, np.float32).reshape(-1, 4),
        ignore_ptr=np.zeros(sum(map(len, listed)) + 1, np.int64),
        ignore_box=np.zeros((0, 4), np.float32),
    )
    found = written_out(full_gallery(given_, "full"))
    for i, query in enumerate(queries):
        start = written_out(given_)[i]
        others = {one.name for one in scenes} - {query.scene} - {entry[0] for entry in start}
        rest = [(one.name, [], []) for one in scenes if one.name in others]
        assert found[i] == start + rest


def test_tables_without_boxes_cost_no_memory() -> None:
    """PRW has 12.6 million entries: a table of zeros of that length is one zero."""
    scenes = [scene(f"{k}a", k % 5, camera=str(k % 2)) for k in range(40)]
    found = camera_trials("p", scenes, [query_of(scenes, "0a", 0)])
    assert found.ignore_ptr.strides == (0,)
    assert full_gallery(found, "full").ignore_ptr.strides == (0,)
    assert take_queries(found, [0]).ignore_ptr.strides == (0,)
