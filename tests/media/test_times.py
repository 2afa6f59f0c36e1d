"""Times out of names: by hand, and against Python's own parser."""

from __future__ import annotations

import calendar
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from personsearch.errors import UsageError
from personsearch.media.times import TimeFrom, time_from


@pytest.mark.parametrize(
    ("pattern", "name", "expected"),
    [
        ("%Y-%m-%d_%H", "cam2_2026-06-01_14.mp4", (2026, 6, 1, 14, 0, 0)),
        ("%Y%m%d%H%M%S", "NVR_ch2_main_20260601140507.mp4", (2026, 6, 1, 14, 5, 7)),
        ("IMG_%Y%m%d", "IMG_20260601_2.jpg", (2026, 6, 1, 0, 0, 0)),
        ("%Y*%m", "in 2026 and 07.jpg", (2026, 7, 1, 0, 0, 0)),
        ("%Y-%m-%dT%H-%M-%S.%f", "2026-06-01T14-13-07.250Z.jpg", (2026, 6, 1, 14, 13, 7.25)),
        ("%d.%m.%Y", "99.99.2026 01.02.2026.jpg", (2026, 2, 1, 0, 0, 0)),
        ("100%%%Y%m", "100%202601.jpg", (2026, 1, 1, 0, 0, 0)),
    ],
)
def test_names(pattern: str, name: str, expected: tuple) -> None:
    *whole, seconds = expected
    wanted = calendar.timegm((*whole, 0)) + seconds
    assert time_from(f"filename:{pattern}").of_name(name) == pytest.approx(wanted)


def test_zones_and_seconds_since_1970() -> None:
    assert time_from("filename:%Y-%m-%dT%H%z").of_name("2026-01-01T02+02:00.jpg") == 1767225600
    assert time_from("filename:f%s").of_name("f1767225600.jpg") == 1767225600


@pytest.mark.parametrize(
    "name", ["IMG_2.jpg", "2026-13-01_10.jpg", "2026-02-31_10.jpg", "", "２０２６-01-01_10"]
)
def test_names_that_say_nothing(name: str) -> None:
    assert time_from("filename:%Y-%m-%d_%H").of_name(name) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "EXIF",
        "filename",
        "filename:",
        "filename:abc",
        "filename:%Y",
        "filename:%Y%m%Y",
        "filename:%Q%Y%m",
        "filename:%Y%m%",
    ],
)
def test_what_is_not_understood(text: str) -> None:
    with pytest.raises(UsageError):
        time_from(text)


@given(st.datetimes(datetime(1970, 1, 2), datetime(2100, 1, 1)), st.text("abc_. ([*", max_size=5))
def test_as_python_reads_it(moment: datetime, before: str) -> None:
    moment = moment.replace(microsecond=0)
    pattern = "%Y-%m-%d %H_%M_%S"
    found = TimeFrom("filename", pattern).of_name(f"{before}{moment.strftime(pattern)}.jpg")
    assert found == moment.replace(tzinfo=UTC).timestamp()


def test_where_it_comes_from() -> None:
    path = Path("2026-01-01.mp4")
    assert TimeFrom().of(path, 5.0, mtime_ns=9) == 5.0
    assert TimeFrom().of(path, None, mtime_ns=9) is None
    assert time_from("mtime").of(path, 5.0, mtime_ns=20_000_000_000, length=3.5) == 16.5
    assert time_from("filename:%Y-%m-%d").of(path, None, mtime_ns=0) == 1767225600
