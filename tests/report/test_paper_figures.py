"""The figures of the paper's experiments: points pointed out, texts that keep off each other."""

import numpy as np

from personsearch.report import plots
from personsearch.report.cost_figure import Priced, cost_plot
from personsearch.report.paper_figures import Mark, detector_curves
from personsearch.report.plots import Curve


def test_points_are_pointed_out_in_their_curves_colour():
    lines = [
        Curve(name=name, x=np.linspace(0, 1, 50), y=np.full(50, y)) for name, y in (("a", 0.9), ("b", 0.4))
    ]
    here, elsewhere = (
        detector_curves(lines, [Mark(curve=1, x=x, y=0.4, text=f"({x:.2f}, 0.40)")], title="t")
        for x in (0.5, 0.8)
    )
    rgb = [int(plots.COLOURS[1][i : i + 2], 16) for i in (1, 3, 5)]
    changed = np.argwhere((here != elsewhere).any(axis=2))
    near = (np.abs(here.astype(int) - rgb).sum(axis=2) < 12)[tuple(changed.T)]
    assert near.sum() > 20
    assert np.ptp(changed[:, 1]) > 0.2 * here.shape[1]  # here and there, and nothing else


def test_a_text_between_two_others_is_left_away():
    lines = [
        Curve(name=name, x=np.array([0.0, 1.0]), y=np.full(2, y))
        for name, y in zip("abc", (0.9, 0.4, 0.7), strict=True)
    ]
    ends = [Mark(curve=i, x=0.5, y=y, text="(0.5)") for i, y in ((0, 0.9), (1, 0.4))]
    between, silent = (Mark(curve=2, x=0.5, y=0.7, text=text) for text in ("(0.5)", ""))
    shown = detector_curves(lines, [*ends, between], title="t")
    np.testing.assert_array_equal(shown, detector_curves(lines, [*ends, silent], title="t"))
    alone = [detector_curves(lines, [mark], title="t") for mark in (between, silent)]
    assert (alone[0] != alone[1]).any()


def test_names_keep_off_each_other_and_off_points():
    """Two methods at one place: drawn together, no more ink is lost than where one stands far away."""
    one = Priced(name="first", ms=10.0, value=0.5, low=0.45, high=0.55)
    near, far = (
        Priced(name="second", ms=10.5, value=value, low=value - 0.05, high=value + 0.05)
        for value in (0.5, 0.2)
    )
    inked = [int((cost_plot([one, other], title="t") < 100).all(axis=2).sum()) for other in (near, far)]
    assert inked[0] > 0.93 * inked[1]
