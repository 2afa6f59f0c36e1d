"""Small films, drawn and encoded on the spot: any time stamps, any container, sound, turned, damaged."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from personsearch.types import Array

SIZE = (64, 48)


def still(number: int = 0, size: tuple[int, int] = SIZE) -> Array:
    """A frame that says its number: a grey level for every 5 numbers, and a red corner at the top left."""
    width, height = size
    pixels = np.full((height, width, 3), 20 + 5 * (number % 40), np.uint8)
    pixels[: height // 2, : width // 2] = (230, 20, 20)
    return pixels


def number_of(pixels: Array) -> int:
    """Which still it is, as decoded."""
    return round((float(np.median(pixels[-10:-2, -10:-2])) - 20) / 5)


def film(
    path: Path,
    frames: Sequence[Array] | int = 10,
    *,
    pts: Sequence[int] | None = None,
    time_base: Fraction = Fraction(1, 1000),
    codec: str = "mpeg4",
    form: str | None = None,
    turned: int = 0,
    sound: bool = False,
    gop: int = 12,
    tags: dict[str, str] | None = None,
) -> Path:
    """Encode stills (or so many numbered ones) at ``pts``; 100 ms apart if not said otherwise."""
    stills = [still(n) for n in range(frames)] if isinstance(frames, int) else list(frames)
    height, width = stills[0].shape[:2]
    stamps = [100 * n for n in range(len(stills))] if pts is None else list(pts)
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w", format=form) as out:
        out.metadata.update(tags or {})
        stream = out.add_stream(codec, rate=25)
        stream.width, stream.height = width, height
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        stream.gop_size = gop
        stream.codec_context.time_base = time_base
        stream.codec_context.qmin = stream.codec_context.qmax = 2
        if turned:
            stream.set_display_rotation(turned)
        speech = out.add_stream("aac", rate=16000) if sound else None
        for pixels, stamp in zip(stills, stamps, strict=True):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = stamp, time_base
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
        if speech is not None:
            silence = av.AudioFrame.from_ndarray(
                np.zeros((1, 16000), np.float32), format="fltp", layout="mono"
            )
            silence.sample_rate, silence.pts = 16000, 0
            out.mux(speech.encode(silence))
            out.mux(speech.encode(None))
    return path
