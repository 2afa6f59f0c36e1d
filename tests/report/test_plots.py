import ast
from pathlib import Path

import numpy as np
import pytest

from personsearch.report import plots
from personsearch.report.plots import (
    Curve,
    Panel,
    plot,
    training_curves,
)


def test_a_plot_is_pixels_with_both_curves_on_it():
    x = np.arange(40)
    curves = [
        Curve(name="mAP", x=x, y=x / 40),
        Curve(name="top-1", x=x, y=1 - x / 40, low=x * 0, high=x * 0 + 0.2),
    ]
    got = plot([Panel(title="t", curves=curves, x="step", y="share")] * 2, width=3, height=2, dpi=80)
    assert got.shape == (160, 480, 3)
    assert got.dtype == np.uint8
    for colour in plots.COLOURS[:2]:
        rgb = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
        assert (np.abs(got.astype(int) - rgb).sum(axis=-1) < 12).sum() > 30
    assert np.array_equal(
        got, plot([Panel(title="t", curves=curves, x="step", y="share")] * 2, width=3, height=2, dpi=80)
    )


def test_the_ready_made_plots_take_what_trainings_give():
    gaps = Curve(name="loss", x=np.arange(5), y=np.array([900, np.nan, 2, 1.5, 1]))
    assert training_curves([gaps]).shape == (540, 960, 3)
    assert (
        training_curves([gaps], [Curve(name="mAP", x=np.arange(2), y=np.array([0.1, 0.2]))]).shape[1] == 1920
    )
    assert training_curves([Curve(name="nothing yet", x=np.zeros(0), y=np.zeros(0))]).ndim == 3


def test_curves_differ_by_more_than_colour():
    assert len(set(map(str, plots.LINES))) == len(plots.COLOURS) == len(set(plots.MARKERS))


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="do not fit"):
        Curve(name="a", x=np.zeros(2), y=np.zeros(3))
    with pytest.raises(ValueError, match="both of its ends"):
        Curve(name="a", x=np.zeros(2), y=np.zeros(2), low=np.zeros(2))
    with pytest.raises(ValueError, match="a panel"):
        plot([])


def test_no_state_is_shared_between_plots():
    """pyplot keeps every figure it made, and its settings are the whole program's."""
    tree = ast.parse(Path(plots.__file__).read_text(encoding="utf-8"))
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert not [name for name in imported if name and ("pyplot" in name or name == "matplotlib")]
