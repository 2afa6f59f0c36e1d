"""Which frames of a video are looked at: one every so often, keyframes, what has changed, all.

A rule is asked about every frame in turn and knows nothing but the frames it was asked about,
so it works on a stream as on a file. Times are exact fractions: a video's time base is one, and
sums of rounded seconds drift by frames within an hour.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

import numpy as np

from personsearch.errors import UsageError
from personsearch.types import Array

Kind = Literal["every", "keyframes", "scene", "all"]

LONGEST = 24 * 3600
"""Longest step, in seconds."""

FIELDS, SIDE = 8, 32
"""A scene's thumbnail has SIDE x SIDE pixels and is compared in FIELDS x FIELDS fields."""

SCENE = Fraction(1, 10)
"""Change of brightness (of 1) of one field that makes a new scene by default."""

_UNITS = {"ms": Fraction(1, 1000), "s": Fraction(1), "m": Fraction(60), "h": Fraction(3600), "": Fraction(1)}


@dataclass(frozen=True)
class Sampling:
    """A rule that chooses frames; made by :func:`every`, :func:`rate`, :func:`scenes`, or the two constants.

    Attributes:
        kind: what it goes by.
        value: seconds of a step (``"every"``), or the change of a field in (0, 1] (``"scene"``).
    """

    kind: Kind
    value: Fraction = Fraction(0)

    def __str__(self) -> str:
        """The rule in words that the ledger keeps: another rule is another result.

        >>> str(every("500ms")), str(scenes()), str(KEYFRAMES)
        ('every 1/2 s', 'scene 1/10', 'keyframes')
        """
        if self.kind == "every":
            return f"every {self.value} s"
        return f"scene {self.value}" if self.kind == "scene" else self.kind

    @property
    def patience(self) -> float:
        """Seconds that a person may be unseen and still be on the same way through the video.

        Two seconds, and at least two and a half steps, so that one step may miss somebody; ten
        where the frames have no fixed distance.
        """
        if self.kind in ("keyframes", "scene"):
            return 10.0
        return max(2.0, 2.5 * float(self.value))

    def chooser(self) -> Chooser:
        """What applies the rule to one video, from its first frame on."""
        return Chooser(self)


ALL = Sampling("all")
KEYFRAMES = Sampling("keyframes")


def every(step: str | float | Fraction) -> Sampling:
    """One frame every ``step``: ``"1s"``, ``"500ms"``, ``"2m"``, ``"1h"``, or seconds.

    The exact rule: time since the first frame is cut into intervals [k step, (k+1) step), and the
    first frame of each is taken. An interval without a frame (the video stood still) gives none.

    Raises:
        UsageError: not a length of time above 0 and at most a day.

    >>> chooser = every("1s").chooser()
    >>> [chooser.takes(Fraction(t, 10)) for t in (0, 4, 9, 12, 19, 35, 39, 40)]
    [True, False, False, True, False, True, False, True]
    """
    seconds = _seconds(step)
    if seconds is None or not 0 < seconds <= LONGEST:
        raise UsageError(
            f"{step!r} is not a step between frames", hint="such as 1s, 500ms or 2m, at most 24h"
        )
    return Sampling("every", seconds)


def rate(frames_per_second: float) -> Sampling:
    """So many frames a second: :func:`every` with a step of its inverse.

    >>> str(rate(2))
    'every 1/2 s'
    """
    if not (np.isfinite(frames_per_second) and 1 / LONGEST <= frames_per_second <= 1000):
        raise UsageError(
            f"{frames_per_second} frames a second cannot be meant", hint="between one a day and 1000 a second"
        )
    return Sampling("every", 1 / Fraction(frames_per_second).limit_denominator(100_000))


def scenes(change: float | Fraction = SCENE) -> Sampling:
    """The first frame, and every one that differs from the last one taken.

    The exact rule: both frames shrink to 32x32 grey pixels; of 8x8 fields, the one whose mean
    brightness (black 0, white 1) changed most must have changed by at least ``change``. So a cut,
    a pan, and a person who enters a still room all make a new scene; noise does not.

    Raises:
        UsageError: not above 0 and at most 1.
    """
    if not 0 < change <= 1:
        raise UsageError(f"a change of {change} cannot be meant", hint="above 0 and at most 1; 0.1 is usual")
    return Sampling("scene", Fraction(change).limit_denominator(100_000))


class Chooser:
    """Applies a rule to the frames of one video, in their order."""

    def __init__(self, rule: Sampling) -> None:
        self._rule = rule
        self._served: int | None = None
        self._last: Array | None = None

    @property
    def needs_thumbnail(self) -> bool:
        """Whether :meth:`takes` has to be shown the frame."""
        return self._rule.kind == "scene"

    def takes(self, position: Fraction, *, key: bool = False, thumbnail: Array | None = None) -> bool:
        """Whether the frame is looked at.

        Args:
            position: seconds since the first frame; never less than before.
            key: it is a keyframe.
            thumbnail: (32, 32) grey levels of the frame, where :attr:`needs_thumbnail`.
        """
        if self._rule.kind == "every":
            interval = position // self._rule.value
            if self._served is not None and interval <= self._served:
                return False
            self._served = interval
            return True
        if self._rule.kind == "scene":
            if thumbnail is None:
                raise ValueError("this rule has to see the frame")
            fields = _fields(thumbnail)
            if self._last is not None and float(np.abs(fields - self._last).max()) < float(self._rule.value):
                return False
            self._last = fields
            return True
        return key or self._rule.kind == "all"


def _fields(thumbnail: Array) -> Array:
    """(8, 8) mean brightness in [0, 1] of the fields of a (32, 32) grey thumbnail."""
    size = SIDE // FIELDS
    blocks = np.asarray(thumbnail, np.float64).reshape(FIELDS, size, FIELDS, size)
    means: Array = blocks.mean((1, 3)) / 255
    return means


def _seconds(step: str | float | Fraction) -> Fraction | None:
    """A length of time in seconds; None for what is none."""
    if isinstance(step, str):
        said = re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?)\s*(ms|s|m|h|)", step.strip().lower(), re.ASCII)
        return None if said is None else Fraction(said[1]) * _UNITS[said[2]]
    return Fraction(step) if np.isfinite(float(step)) else None
