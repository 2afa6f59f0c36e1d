"""Intervals that draw whole groups: by hand, against a slow version, and where groups do not matter."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from personsearch.ranking.bootstrap import mean_interval

FILE = Path(__file__).parents[2] / "benchmarks" / "drawing.py"
specification = importlib.util.spec_from_file_location("drawing", FILE)
assert specification is not None
assert specification.loader is not None
drawing = importlib.util.module_from_spec(specification)
specification.loader.exec_module(drawing)


def test_a_group_is_drawn_whole() -> None:
    # Person 5 is found by three queries, person 2 by none: the mean of a drawing is 0, 3/4 or 1.
    values, people = np.array([1.0, 1.0, 0.0, 1.0]), np.array([5, 5, 2, 5])
    found = drawing.group_interval(values, people, np.random.default_rng(0))
    assert (found.mean, found.low, found.high) == (0.75, 0.0, 1.0)
    alone = drawing.group_interval(values, np.zeros(4), np.random.default_rng(0))
    assert alone.low == alone.high == 0.75


def test_groups_of_one_are_the_usual_interval() -> None:
    values = np.random.default_rng(1).random(37)
    mine = drawing.group_interval(values, np.arange(37), np.random.default_rng(0))
    usual = mean_interval(values, np.random.default_rng(0))
    assert (mine.low, mine.high) == pytest.approx((usual.low, usual.high))


def test_means_by_sums_are_means_of_the_rows_drawn() -> None:
    rng = np.random.default_rng(2)
    values, groups = rng.random(30), rng.integers(0, 8, 30)
    quick = drawing.group_interval(values, groups, np.random.default_rng(3), resamples=200)
    drawn = np.random.default_rng(3).integers(len(np.unique(groups)), size=(200, len(np.unique(groups))))
    members = [values[groups == one] for one in np.unique(groups)]
    means = [np.concatenate([members[one] for one in row]).mean() for row in drawn]
    assert (quick.low, quick.high) == pytest.approx(tuple(np.quantile(means, [0.025, 0.975])))
    slow = drawing.drawn_intervals(
        lambda rows: {"mean": float(values[rows].mean())}, groups, np.random.default_rng(3), resamples=200
    )["mean"]
    assert (slow.mean, slow.low, slow.high) == pytest.approx((values.mean(), quick.low, quick.high))


def test_a_drawing_without_the_number_is_left_out() -> None:
    values = np.array([float("nan"), 0.25])
    found = drawing.drawn_intervals(
        lambda rows: {"least": float(np.nanmin(values[rows])) if (rows == 1).any() else float("nan")},
        np.arange(2),
        np.random.default_rng(0),
    )
    assert (found["least"].low, found["least"].high) == (0.25, 0.25)
