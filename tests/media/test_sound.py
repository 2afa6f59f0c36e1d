"""Samples of a piece, each where it belongs, whatever kind of sound follows another."""

from __future__ import annotations

import io
from collections.abc import Iterator
from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import av
import numpy as np
import pytest

from personsearch.media.sound import Sound

KINDS = [("stereo", 48_000), ("stereo", 32_000), ("5.1", 44_100), ("mono", 48_000)]


def frames(kinds: list[tuple[str, int]]) -> Iterator[Any]:
    """A second of a steady tone of 480 Hz in each kind of sound, one after the other."""
    for second, (layout, rate) in enumerate(kinds):
        tone = 0.5 * np.sin(2 * np.pi * 480 * np.arange(rate) / rate).astype(np.float32)
        for start in range(0, rate, 1000):
            block = np.tile(tone[start : start + 1000], (av.AudioLayout(layout).nb_channels, 1))
            frame = av.AudioFrame.from_ndarray(block, format="fltp", layout=layout)
            frame.sample_rate, frame.pts = rate, second * rate + start
            frame.time_base = Fraction(1, rate)
            yield frame


@pytest.mark.parametrize("kinds", [KINDS, KINDS[::-1]])
def test_one_kind_of_sound_after_another_leaves_no_hole(kinds: list[tuple[str, int]]) -> None:
    file = io.BytesIO()
    stream = SimpleNamespace(codec_context=SimpleNamespace(sample_rate=48_000, channels=2))
    with av.open(file, "w", format="mp4") as to:
        sound = Sound(to, stream, frames(kinds), Fraction(0), Fraction(len(kinds)))
        sound.up_to(Fraction(len(kinds)))
        assert sound.finish()
    file.seek(0)
    with av.open(file) as made:
        samples = np.concatenate([frame.to_ndarray()[0] for frame in made.decode(audio=0)])
    parts = np.abs(samples[2048 : 4 * 48_000 - 2048]).reshape(-1, 512).max(axis=1)
    assert len(samples) == pytest.approx(4 * 48_000, abs=2048)
    assert parts.min() > 0.1
