"""Bootstrap intervals against theory, every possible drawing, and each other."""

from itertools import product

import numpy as np
import pytest

from personsearch.ranking import bootstrap
from personsearch.ranking.bootstrap import mean_interval, paired_interval


def test_three_values_against_all_27_drawings():
    values = np.array([0.0, 0.5, 1.0])
    means = np.array([np.mean(drawn) for drawn in product(values, repeat=3)])
    got = mean_interval(values, np.random.default_rng(0), level=0.8, resamples=20_000)
    assert got.mean == 0.5
    assert got.low == pytest.approx(np.quantile(means, 0.1), abs=1e-9)
    assert got.high == pytest.approx(np.quantile(means, 0.9), abs=1e-9)


def test_many_values_against_the_normal_form():
    values = np.random.default_rng(1).random(400)
    got = mean_interval(values, np.random.default_rng(2), resamples=8000)
    half = 1.96 * values.std() / np.sqrt(400)
    assert got.low == pytest.approx(values.mean() - half, abs=0.05 * half)
    assert got.high == pytest.approx(values.mean() + half, abs=0.05 * half)


def test_the_generator_decides_and_blocks_do_not(monkeypatch):
    values = np.random.default_rng(3).random(50)
    one = mean_interval(values, np.random.default_rng(7), resamples=300)
    assert one == mean_interval(values, np.random.default_rng(7), resamples=300)
    assert one != mean_interval(values, np.random.default_rng(8), resamples=300)
    monkeypatch.setattr(bootstrap, "_DRAWS_AT_ONCE", 50 * 7)
    assert one == mean_interval(values, np.random.default_rng(7), resamples=300)


def test_pairs_show_what_two_intervals_hide():
    rng = np.random.default_rng(4)
    hardness = rng.random(80)
    better, worse = hardness + 0.05 + rng.normal(0, 0.02, 80), hardness
    apart = mean_interval(better, rng), mean_interval(worse, rng)
    assert apart[0].low < apart[1].high  # two intervals overlap
    paired = paired_interval(better, worse, rng)
    assert paired.low > 0.03
    assert paired.mean == pytest.approx((better - worse).mean())
    turned = paired_interval(worse, better, np.random.default_rng(5))
    straight = paired_interval(better, worse, np.random.default_rng(5))
    assert (turned.low, turned.high) == pytest.approx((-straight.high, -straight.low))


def test_the_interval_covers_as_often_as_it_says():
    rng = np.random.default_rng(6)
    covered = 0
    for _ in range(300):
        got = mean_interval(rng.random(60) ** 2, rng, level=0.9, resamples=300)
        covered += got.low <= 1 / 3 <= got.high
    assert 0.84 < covered / 300 < 0.95


def test_what_has_no_interval_is_refused():
    rng = np.random.default_rng(0)
    for wrong in (np.zeros(0), np.array([np.nan]), np.zeros((2, 2))):
        with pytest.raises(ValueError, match="finite"):
            mean_interval(wrong, rng)
    with pytest.raises(ValueError, match="level"):
        mean_interval(np.zeros(3), rng, level=1.0)
    with pytest.raises(ValueError, match="shapes"):
        paired_interval(np.zeros(3), np.zeros(4), rng)
