"""Distributions of heights as a picture."""

import numpy as np
import pytest

from personsearch.report import plots
from personsearch.report.statistics_plot import HeightPanel, _steps, height_plot


def test_panels_side_by_side_in_the_style_of_the_house() -> None:
    counts = np.array([0, 5, 9, 2])
    panel = HeightPanel(title="t", names=["test", "queries"], counts=[counts, counts // 2])
    got = height_plot([panel, panel], np.arange(5) * 20.0)
    assert got.shape == (540, 1920, 3)
    assert got.dtype == np.uint8
    for colour in plots.COLOURS[:2]:
        rgb = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
        assert (np.abs(got.astype(int) - rgb).sum(axis=-1) < 12).sum() > 100


def test_an_outline_rises_at_the_left_edge_of_its_step() -> None:
    curve = _steps("x", np.array([3, 0]), np.array([0.0, 10, 20]))
    assert curve.x.tolist() == [0, 0, 10, 10, 20, 20]
    assert curve.y.tolist() == [0, 3, 3, 0, 0, 0]


def test_nobody_at_all_is_an_empty_figure_and_names_must_fit() -> None:
    assert height_plot(
        [HeightPanel(title="t", names=["test"], counts=[np.zeros(2)])], np.array([0.0, 1, 2])
    ).any()
    with pytest.raises(ValueError, match="2 names for 1"):
        HeightPanel(title="t", names=["a", "b"], counts=[np.zeros(2)])
