"""The chart of similarities: counts, places and words, against sums done by hand and by a slow loop."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from personsearch.report.spread import BARS, chart, spread_of
from personsearch.types import Hit


def hit(rank, similarity):
    return Hit(rank=rank, similarity=similarity, picture="a", box=np.zeros(4), score=1.0, detection=rank)


def test_counts_by_hand():
    spread = spread_of(np.array([0.0, 0.2, 0.25, 0.5, 1.0]), bins=4)
    assert spread.edges.tolist() == [0, 0.25, 0.5, 0.75, 1]
    assert spread.counts.tolist() == [2, 1, 1, 1]  # the upper end belongs to the last
    assert spread.people == 5
    assert spread_of(np.array([])) is None
    alike = spread_of(np.full(3, 0.7), bins=2)
    assert alike.people == 3
    assert alike.edges[0] < 0.7 < alike.edges[-1]


@given(st.lists(st.floats(-1, 1, width=32), min_size=1, max_size=60), st.integers(1, 9))
def test_everybody_is_counted_once_where_they_are(values, bins):
    spread = spread_of(np.array(values), bins=bins)
    slow = np.zeros(bins, int)
    for value in values:
        place = sum(1 for edge in spread.edges[1:-1] if value >= edge)
        slow[place] += 1
    assert spread.counts.tolist() == slow.tolist()


def test_bars_marks_and_words():
    spread = spread_of(np.array([0.0] * 99 + [0.5, 1.0]), bins=2)
    drawn = chart(spread, [hit(1, 1.0), hit(2, 0.5)], [hit(3, 0.0)], "cosine")
    assert [(bar.x, bar.width, bar.count) for bar in drawn.bars] == [(0.0, 50.0, 99), (50.0, 50.0, 2)]
    assert drawn.bars[0].height == pytest.approx(BARS - 12)
    assert drawn.bars[1].height == pytest.approx((BARS - 12) * np.log(3) / np.log(100), abs=0.1)
    assert [(mark.x, mark.rank, mark.chosen) for mark in drawn.marks] == [
        (100.0, 1, True),
        (50.0, 2, True),
        (0.0, 3, False),
    ]
    assert drawn.cut == 50.0
    assert [tick.text for tick in drawn.across] == ["0.000", "0.250", "0.500", "0.750", "1.000"]
    assert [tick.text for tick in drawn.up] == ["1", "10"]
    assert "similarity from 1.000 to 0.500; at least 98% of all people are less alike." in drawn.text
    assert "left out has a similarity of 0.000" in drawn.text


def test_distances_are_written_as_distances():
    drawn = chart(spread_of(np.array([-8.0, -2.0])), [hit(1, -2.0)], [], "euclidean")
    assert [tick.text for tick in drawn.across][::4] == ["8.00", "2.00"]
    assert "distance from 2.00 to 2.00" in drawn.text


def test_no_hits_have_no_cut():
    drawn = chart(spread_of(np.array([0.1, 0.2])), [], [], "cosine")
    assert drawn.cut is None
    assert drawn.text == "How alike the 2 people who were compared are."
