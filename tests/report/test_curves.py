"""The benchmark's plots: what is drawn, what is left empty, and that colour is not all that tells."""

import numpy as np
import pytest

from personsearch.report import curves
from personsearch.report.curves import REASONS, failure_bars, open_set_plot, reliability_plot
from personsearch.report.plots import COLOURS, Curve


def coloured(picture, colour):
    """Pixels that are exactly of a colour, as columns and rows."""
    rgb = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    rows, columns = np.nonzero(np.abs(picture.astype(int) - rgb).sum(axis=-1) < 12)
    return columns, rows


def open_set(n):
    far = np.arange(1, n + 1) / n
    return Curve(name="ours", x=far, y=0.5 + 0.4 * far, low=0.3 + 0.4 * far, high=0.6 + 0.4 * far)


def row(value, by="all", **counts):
    counts = {key: counts.get(key, 0) for key, *_ in REASONS}
    return {"of": "query", "by": by, "value": value, "n": sum(counts.values()), **counts}


def test_what_cannot_be_told_is_not_drawn():
    """A curve that was drawn below one in n searches would promise what nobody measured."""
    curve = open_set(1000)
    all_of_it = open_set_plot([curve], smallest_far=0.001)
    half_of_it = open_set_plot([curve], smallest_far=0.1)
    assert all_of_it.shape == half_of_it.shape
    left, _ = coloured(all_of_it, COLOURS[0])
    right, _ = coloured(half_of_it, COLOURS[0])
    assert right.min() > left.min() + 0.5 * (left.max() - left.min())
    assert np.array_equal(all_of_it, open_set_plot([curve], smallest_far=0.001))


def test_plots_without_anything_to_draw_are_plots():
    nothing = Curve(name="nothing", x=np.zeros(0), y=np.zeros(0))
    assert open_set_plot([nothing], smallest_far=float("inf")).ndim == 3
    assert open_set_plot([]).ndim == 3
    assert reliability_plot(nothing, np.zeros(0)).ndim == 3
    assert failure_bars([]).ndim == 3
    assert failure_bars([row("all")]).ndim == 3  # a group without anybody


def test_points_lie_where_the_shares_are():
    x = np.array([0.1, 0.5, 0.9])
    high, low = (
        reliability_plot(Curve(name="c", x=x, y=y, low=y - 0.05, high=y + 0.05), np.array([9, 9, 9]))
        for y in (np.array([0.9, 0.9, 0.9]), np.array([0.3, 0.3, 0.3]))
    )
    upper = slice(0, int(0.7 * len(high)))  # above the counts
    assert np.median(coloured(high[upper], COLOURS[0])[1]) < np.median(coloured(low[upper], COLOURS[0])[1])
    with pytest.raises(ValueError, match="do not fit"):
        reliability_plot(Curve(name="c", x=x, y=x), np.array([1, 2]))


def test_a_bar_is_as_long_as_its_share_and_begins_where_the_one_before_ends():
    colour = {key: colour for key, _, colour, _ in REASONS}

    def ends(reason, **counts):
        columns, rows = coloured(failure_bars([row("all", **counts)]), colour[reason])
        bar = columns[rows < 0.5 * rows.max()]  # not the legend below
        return bar.min(), bar.max()

    start, stop = ends("ranked_low", ranked_low=8)
    assert ends("found", ranked_low=2, found=6) == pytest.approx(
        (start, start + 0.75 * (stop - start)), abs=4
    )
    assert ends("ranked_low", ranked_low=2, found=6) == pytest.approx(
        (start + 0.75 * (stop - start), stop), abs=4
    )


def test_groups_have_their_heading_and_reasons_more_than_a_colour():
    few = failure_bars([row("all", found=3)])
    many = failure_bars(
        [row("all", found=3), row("1", "camera", found=1), row("2", "camera", not_detected=2)]
    )
    assert many.shape[0] > few.shape[0]
    assert len({hatch for *_, hatch in REASONS[1:]}) == len(REASONS) - 1
    assert len({colour for _, _, colour, _ in REASONS}) == len(REASONS)
    assert len(curves.REASONS) == 5
