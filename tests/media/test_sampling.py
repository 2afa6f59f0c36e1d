"""Which frames are looked at: by hand, one by one, and what always holds."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from personsearch.errors import UsageError
from personsearch.media.sampling import ALL, KEYFRAMES, every, rate, scenes


def taken(sampling, times) -> list[Fraction]:
    chooser = sampling.chooser()
    return [t for t in times if chooser.takes(Fraction(t))]


def test_steps_as_people_write_them() -> None:
    assert [every(text).value for text in ("1s", "500ms", "2m", "1h", "1.5", " 3 S ")] == [
        1,
        Fraction(1, 2),
        120,
        3600,
        Fraction(3, 2),
        3,
    ]
    assert rate(2.5).value == Fraction(2, 5)
    assert every(0.25) == every("250ms")


@pytest.mark.parametrize("text", ["", "0s", "-1s", "1 day", "25h", "1e3", "nan", "１s", "s", "0.0"])
def test_no_steps(text: str) -> None:
    with pytest.raises(UsageError, match="is not a step"):
        every(text)


@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf"), 1e9])
def test_no_rates_and_no_scenes(value: float) -> None:
    with pytest.raises(UsageError):
        rate(value)
    with pytest.raises(UsageError):
        scenes(value)


def test_ntsc_does_not_drift() -> None:
    """30000/1001 frames a second for 10 hours: a frame a second is exactly a frame a second."""
    chooser, count = every("1s").chooser(), 0
    frame = Fraction(1001, 30000)
    for second in range(36_000):  # frames around each full second
        n = int(second / frame)
        for number in (n, n + 1):
            count += chooser.takes(number * frame)
    assert count == 36_000


times = st.lists(st.fractions(0, 50, max_denominator=1000), max_size=60).map(
    lambda several: sorted(set(several))
)


@given(times, st.sampled_from([Fraction(1), Fraction(1, 3), Fraction(7, 5)]))
def test_the_first_frame_of_each_interval(several: list[Fraction], step: Fraction) -> None:
    first: dict[int, Fraction] = {}
    for t in several:
        first.setdefault(int(t / step), t)
    assert taken(every(step), several) == sorted(first.values())


def test_scenes_by_hand() -> None:
    chooser = scenes(0.2).chooser()
    dark, spot = np.zeros((32, 32), np.uint8), np.zeros((32, 32), np.uint8)
    spot[0:4, 4:8] = 51  # one field of 8x8 goes from 0 to 0.2
    almost = spot.copy()
    almost[0, 4] = 30
    assert chooser.takes(Fraction(0), thumbnail=dark)
    assert not chooser.takes(Fraction(1), thumbnail=almost)
    assert chooser.takes(Fraction(2), thumbnail=spot)
    assert not chooser.takes(Fraction(3), thumbnail=spot)
    assert chooser.takes(Fraction(4), thumbnail=dark)
    with pytest.raises(ValueError, match="see the frame"):
        chooser.takes(Fraction(5))


def test_slow_change_adds_up() -> None:
    """Compared with the last one taken, not the last one seen."""
    chooser = scenes(0.1).chooser()
    levels = [chooser.takes(Fraction(n), thumbnail=np.full((32, 32), 4 * n, np.uint8)) for n in range(20)]
    assert [n for n, new in enumerate(levels) if new] == [0, 7, 14]


def test_keyframes_and_all() -> None:
    assert [KEYFRAMES.chooser().takes(Fraction(0), key=key) for key in (True, False)] == [True, False]
    assert taken(ALL, [0, 1, 2]) == [0, 1, 2]


def test_patience_outlasts_a_missed_step() -> None:
    assert (ALL.patience, every("1s").patience, every("4s").patience, KEYFRAMES.patience) == (2, 2.5, 10, 10)
