"""Names beside points: none lies on a point, a bar, a name or a line of another."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from personsearch.report.cost_figure import Priced, _crosses, _points, name_places
from personsearch.report.paper_figures import Priced as Shown

METHODS = [
    Priced(name=name, ms=ms, value=value, low=value - 0.035, high=value + 0.038)
    for name, ms, value in (
        ("ours", 44.2, 0.58), ("ACF+Euclidean", 279.6, 0.242), ("ACF+KISSME", 274.4, 0.501),
        ("ACF+BoW", 200.4, 0.325), ("ACF+IDNet", 196.2, 0.524), ("Deep+Euclidean", 182.7, 0.205),
        ("Deep+KISSME", 194.0, 0.432), ("Deep+BoW", 94.2, 0.269), ("Deep+IDNet", 111.3, 0.50),
    )
]  # fmt: skip


def overlaps(methods: list[Priced]) -> int:
    """How many names lie on another name, or on somebody's point or bar, by what matplotlib draws."""
    drawing, axes = _points(methods, "t")
    places = name_places(drawing, axes, methods)
    letters = [
        axes.text(x, y, one.name, transform=axes.transAxes, fontsize=9, va="center")
        for one, (x, y) in zip(methods, places, strict=True)
    ]
    drawing.draw_without_rendering()
    boxes = [one.get_window_extent() for one in letters]
    found = sum(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[i + 1 :])
    for one in methods:
        (x, low), (_, high) = (axes.transData.transform((one.ms, end)) for end in (one.low, one.high))
        found += sum(b.x0 < x < b.x1 and b.y0 < high and low < b.y1 for b in boxes)
    return found


def test_the_names_of_a_real_table_touch_nothing() -> None:
    assert overlaps(METHODS) == 0
    assert Shown is Priced


@settings(max_examples=8, deadline=None)
@given(st.lists(st.tuples(st.floats(10, 400), st.floats(0.1, 0.7)), min_size=1, max_size=6))
def test_a_handful_of_names_touches_nothing(points) -> None:
    methods = [
        Priced(name=f"method {i}", ms=ms, value=value, low=value - 0.03, high=value + 0.03)
        for i, (ms, value) in enumerate(points)
    ]
    crowded = any(
        abs(a.ms / b.ms - 1) < 0.15 and abs(a.value - b.value) < 0.1
        for i, a in enumerate(methods)
        for b in methods[i + 1 :]
    )
    if not crowded:
        assert overlaps(methods) == 0


@pytest.mark.parametrize(
    ("start", "end", "through"),
    [
        ((0, 0), (3, 3), True),
        ((0, 0), (0.9, 0.9), False),
        ((0, 3), (3, 3), False),
        ((1.5, 0), (1.5, 9), True),
    ],
)
def test_a_line_through_a_box_by_hand(start, end, through: bool) -> None:
    assert _crosses(start, end, (1, 1, 2, 2)) is through
