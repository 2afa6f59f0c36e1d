"""Whom a command means."""

from __future__ import annotations

import numpy as np
import pytest

from personsearch.cli.query import Wanted, parse_box
from personsearch.errors import InputError, UsageError
from personsearch.types import Detections, Picture

PICTURE = Picture(np.zeros((100, 200, 3), np.uint8), "p.jpg")
PEOPLE = Detections([[0, 0, 10, 40], [20, 0, 60, 90], [70, 0, 80, 30]], [0.9, 0.7, 0.3], np.zeros((3, 2)))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1,2,3",
        "1,2,3,4,5",
        "a,2,3,4",
        "1;2;3;4",
        "1,2,nan,4",
        "1,2,inf,4",
        "1,2,0,4",
        "1,2,3,-4",
        "1,2,3,",
        "1,2,0.5,4",
        "1e39,0,1e39,1e39",
    ],
)
def test_a_box_is_four_finite_numbers_with_an_area(text: str) -> None:
    with pytest.raises(UsageError, match="--box"):
        parse_box(text)


def test_a_box_is_left_top_width_height() -> None:
    assert parse_box(" 1.5,2, 3,4").tolist() == [1.5, 2, 4.5, 6]


@pytest.mark.parametrize("text", ["300,10,20,60", "-15,10,20,60", "190,50,40,90", "10,90,20,60"])
def test_a_box_mostly_outside_is_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"outside p\.jpg, which is 200x100") as caught:
        Wanted(box=text).given(PICTURE)
    assert caught.value.exit_code == 4


def test_a_box_partly_outside_is_cut() -> None:
    given = Wanted(box="-10,10,20,60").given(PICTURE)  # exactly half of it is inside
    assert given is not None
    assert given.tolist() == [0, 10, 10, 70]
    assert Wanted().given(PICTURE) is None


def test_one_person_is_meant_several_are_not(capsys: pytest.CaptureFixture[str]) -> None:
    assert Wanted(conf=0.8).found(PICTURE, PEOPLE).tolist() == [0, 0, 10, 40]
    assert "query: the person at 0,0,10,40 (score 0.90)" in capsys.readouterr().err
    with pytest.raises(InputError, match="2 people were found") as caught:
        Wanted().found(PICTURE, PEOPLE)
    assert "--pick" in caught.value.hint
    listed = capsys.readouterr().err
    assert "0,0,10,40" in listed
    assert "20,0,40,90" in listed
    assert "70,0,10,30" not in listed  # below --conf


def test_pick_and_largest_choose() -> None:
    assert Wanted(pick=2).found(PICTURE, PEOPLE).tolist() == [20, 0, 60, 90]
    assert Wanted(largest=True).found(PICTURE, PEOPLE).tolist() == [20, 0, 60, 90]
    for number in (0, 3, -1):
        with pytest.raises(InputError, match=f"no person {number}"):
            Wanted(pick=number).found(PICTURE, PEOPLE)
    with pytest.raises(InputError, match="nobody"):
        Wanted(conf=0.95).found(PICTURE, PEOPLE)


def test_contradictions_are_refused() -> None:
    for both in ({"box": "1,2,3,4", "pick": 1}, {"pick": 1, "largest": True}):
        with pytest.raises(UsageError, match="contradict"):
            Wanted(**both)
