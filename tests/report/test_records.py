"""Answers come back from JSON lines as they were; whatever else is in the lines is one clear error."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from personsearch.cli.found import answer
from personsearch.errors import InputError
from personsearch.gallery.asking import Answered, Order, Sought
from personsearch.report.records import Sight, read_answers, sights
from personsearch.types import SearchResult, Span

LINE = {
    "schema": "personsearch.search/1",
    "query": {"picture": "q.jpg", "box_xyxy": [1, 2, 3, 4]},
    "gallery": "g",
    "pictures": 3,
    "people": 9,
    "model": "m",
    "similarity": "cosine",
    "hits": [
        {
            "rank": 1,
            "similarity": 0.5,
            "probability": None,
            "picture": "a.jpg",
            "box_xyxy": [0, 0, 9, 30],
            "score": 0.9,
            "detection": 7,
        }
    ],
}


def read(*records):
    return list(read_answers([json.dumps(record) for record in records], "x"))


def changed(**more):
    return {**LINE, **more}


def hit(**more):
    return changed(hits=[{**LINE["hits"][0], **more}])


def test_the_first_example_of_the_person_says_where_in_a_video_it_is():
    wrong = {"right": False, "picture": "b.mp4", "position_s": 7.5}
    right = {"right": True, "picture": "q.mp4", "position_s": 1 / 3}
    last = {**right, "position_s": 9.0}
    assert read(changed(examples=[wrong, right, last]))[0].query.position == 1 / 3
    assert read(changed(examples=[{**right, "position_s": None}, last]))[0].query.position is None
    assert read(LINE)[0].query.position is None
    for damaged in ([3], [{"position_s": 1.0}], [{**right, "position_s": "1"}], {"right": True}):
        with pytest.raises(InputError, match="line 1 of x"):
            read(changed(examples=damaged))


def test_what_search_writes_comes_back(result):
    before = result(
        ("a.mp4", [1.5, 1, 9, 30]),
        ("f\udce9.jpg", [1, 1, 9, 30]),
        probabilities=[0.5, 0.25],
        position=1 / 3,
        span=Span(0.1, 2 / 3, 4),
        camera="north",
        time=1.5,
    )
    sought = Sought(name="q", examples=())
    answered = Answered(result=before, sought=sought, order=Order(), judgement=None, ranked=9)
    (after,) = read(answer(answered).record)
    assert isinstance(after, SearchResult)
    assert (after.gallery, after.model, after.similarity, after.people) == (
        before.gallery,
        before.model,
        "cosine",
        1234,
    )
    for one, other in zip(before.hits, after.hits, strict=True):
        assert np.array_equal(one.box, other.box)
        for name in ("rank", "similarity", "probability", "picture", "position", "span", "camera", "time"):
            assert getattr(one, name) == getattr(other, name), name  # positions to the bit


def test_what_detect_writes_comes_back():
    person = {"box_xyxy": [1, 2, 3, 4], "score": 0.75}
    picture = {"schema": "personsearch.detect/1", "picture": "a.jpg", "people": [person]}
    frame = {**picture, "picture": "f.mp4@1", "video": "f.mp4", "pts": 90, "position_s": 1.0, "people": []}
    one, other = read(picture, frame)
    assert (one.file, one.is_frame, one.people[0].label) == ("a.jpg", False, "0.75")
    assert (other.file, other.frame, other.position, other.people) == ("f.mp4", 90, 1.0, ())


def test_pictures_are_gathered_with_everybody_in_them(result):
    found = sights([result(("a", [1, 1, 9, 30]), ("b", [1, 1, 9, 30]), ("a", [2, 1, 9, 30]))])
    assert [(s.file, [p.label for p in s.people]) for s in found] == [
        ("a", ["1: 0.900", "3: 0.700"]),
        ("b", ["2: 0.800"]),
    ]
    likely = sights([result(("a", [1, 1, 9, 30]), probabilities=[0.943])])
    assert likely[0].people[0].label == "1: 0.900 (94%)"
    assert likely[0].people[0].known["detection"] == 0


@pytest.mark.parametrize(
    "record",
    [
        [],
        {},
        changed(schema="personsearch.index/1"),
        changed(query="q.jpg"),
        changed(similarity="manhattan"),
        changed(hits={}),
        changed(hits=[7]),
        changed(people="9"),
        changed(people=True),
        hit(picture=""),
        hit(picture="a\0b"),
        hit(picture=["a"]),
        hit(box_xyxy=[1, 2, 3]),
        hit(box_xyxy=[1, 2, 3, "4"]),
        hit(box_xyxy=[9, 0, 1, 30]),
        hit(box_xyxy=[0, 0, 1e300, 1]),
        hit(similarity=math.nan),
        hit(position_s=math.inf),
        hit(rank=None),
        hit(span={"first": 0, "last": 1}),
        {"schema": "personsearch.detect/1", "picture": "a", "people": [{"score": 1}]},
    ],
)
def test_anything_else_is_one_line_that_names_it(record):
    with pytest.raises(InputError, match=r"line 2 of x cannot be used") as caught:
        read(LINE, record)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("line", ["nonsense", "[" * 100_000, b"\xff"])
def test_no_json(line):
    with pytest.raises(InputError, match="line 1 of x is no JSON"):
        list(read_answers([line], "x"))


def test_empty_lines_are_none():
    assert list(read_answers(["", "\n"], "x")) == []


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text(), st.lists, max_leaves=5))
def test_whatever_a_field_holds_it_is_read_or_refused(value):
    for name in LINE["hits"][0]:
        try:
            found = read(hit(**{name: value}))
        except InputError:
            continue
        assert isinstance(found[0], SearchResult | Sight)
