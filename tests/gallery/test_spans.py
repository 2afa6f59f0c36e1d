"""Rows that are one person: one by one, and in any order."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from personsearch.gallery.spans import shots, span
from personsearch.types import Span

rows = st.lists(st.tuples(st.integers(1, 3), st.integers(-1, 2), st.integers(-1, 2)), max_size=12)


@given(rows)
def test_two_rows_are_one_shot_when_they_say_so(several: list[tuple[int, int, int]]) -> None:
    picture, frame, tracklet = (np.array(several, np.int64).reshape(-1, 3)).T
    shot = shots(picture, frame, tracklet)
    for i in range(len(several)):
        for j in range(len(several)):
            (p, f, t), (q, g, u) = several[i], several[j]
            same = p == q and (t == u if t >= 0 or u >= 0 else f == g)
            assert (shot[i] == shot[j]) == same


def test_spans() -> None:
    assert span(np.array([4.0, 1.5])) == Span(1.5, 4.0, 2)
    assert span(np.array([4.0])) == Span(4.0, 4.0, 1)
