"""Cutting a piece out of a video: exact to the frame, with its sound, whatever its frame rate.

The piece is decoded and encoded anew (H.264 and AAC in MP4), for a cut that only copies can begin
at keyframes alone, seconds too early, and not every codec may lie in an MP4. Every frame keeps its
time, so variable frame rates stay what they are; the frame that is on the screen when the piece
begins is its first. Frames are upright and have square pixels, as everywhere in this house.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from personsearch.errors import InputError, PersonSearchError
from personsearch.files import write_atomically
from personsearch.images import upright
from personsearch.media.container import (
    INDEXED,
    LIMITS,
    Limits,
    opened,
    printable,
    pyav,
    reason,
    square_size,
    too_large,
)
from personsearch.media.sound import Sound, SoundTrack
from personsearch.media.video import Clock, orientation

TIME_BASE = Fraction(1, 90_000)
"""Times in a clip: the unit of MPEG's clocks, which divides the usual frame rates."""

FAR = 10
"""Seconds ahead from which looking for a keyframe is quicker than decoding on."""

STANDING = Fraction(1, 2)
"""Seconds that the last picture must stand before the end of a clip to be written there once more."""

ENCODERS = ("libx264", "libopenh264", "mpeg4")
"""The first that this FFmpeg has is used."""


@dataclass(frozen=True, kw_only=True)
class Piece:
    """A piece of a video, seconds since its first frame."""

    start: float
    end: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.end) and 0 <= self.start <= self.end):
            raise ValueError(f"no piece of a video: {self.start} to {self.end}")


def merged(pieces: Iterable[Piece]) -> list[Piece]:
    """The same seconds in as few pieces as possible, in order; pieces that touch become one.

    >>> merged([Piece(start=8, end=9), Piece(start=0, end=3), Piece(start=2, end=5), Piece(start=5, end=6)])
    [Piece(start=0, end=6), Piece(start=8, end=9)]
    """
    joined: list[Piece] = []
    for piece in sorted(pieces, key=lambda piece: (piece.start, piece.end)):
        if joined and piece.start <= joined[-1].end:
            joined[-1] = Piece(start=joined[-1].start, end=max(joined[-1].end, piece.end))
        else:
            joined.append(piece)
    return joined


@dataclass(frozen=True, kw_only=True)
class Clip:
    """What was cut.

    Attributes:
        start, end: seconds since the first frame of the video, as they came out: a piece ends with
            its video.
        frames: how many.
        sound: whether there is any.
        width, height: in pixels.
    """

    start: float
    end: float
    frames: int
    sound: bool
    width: int
    height: int


class Cutter:
    """A video from which pieces are cut, in order; use it as a context manager.

    Args:
        path: the video.
        limits: what it may ask for.

    Raises:
        InputError: it is no video, or damaged beyond opening.
    """

    def __init__(self, path: Path | str, limits: Limits = LIMITS) -> None:
        self.path, self._shown, self._limits = Path(path), printable(str(path)), limits
        with ExitStack() as closing:
            self._container, self._stream = closing.enter_context(opened(self.path, limits))
            self._sound = SoundTrack(self.path, limits)
            closing.callback(self._sound.close)
            self._closing = closing.pop_all()
        form = self._container.format.name.split(",")[0]
        self._indexed, self._by_dts = form in INDEXED, form == "avi"
        self._frames: Iterator[Any] | None = None
        self._clock = Clock(self._stream, by_dts=self._by_dts)
        self._zero: Fraction | None = None  # of the first frame
        self._first_key: Fraction | None = None  # where it is stored, beside its sound
        self._waiting: tuple[Fraction, Any] | None = None  # read, but of a later piece
        self._current: tuple[Fraction, Any] | None = None  # read last; on the screen until the next

    def __enter__(self) -> Cutter:
        return self

    def __exit__(self, *error: object) -> None:
        self._closing.close()

    def cut(self, piece: Piece, out: Path) -> Clip:
        """Write a piece to ``out``, whole or not at all.

        Args:
            piece: not before the one that was cut last.
            out: the MP4 file.

        Raises:
            InputError: the video has no frame in the piece, or cannot be decoded there.
        """
        made: list[Clip] = []
        write_atomically(out, lambda file: made.append(self._write(piece, file)))
        return made[0]

    def _write(self, piece: Piece, file: BinaryIO) -> Clip:
        av = pyav()
        start, end = (Fraction(side).limit_denominator(1_000_000) for side in (piece.start, piece.end))
        frames = self._between(start, end)
        first = next(frames, None)
        if first is None:
            raise InputError(
                f"{self._shown} has no frame from {piece.start:.3f} to {piece.end:.3f} s",
                hint="index the video again: it is not what it was",
            )
        try:
            with av.open(file, "w", format="mp4") as to:
                writer = _Writer(to, first[1], self._stream, self._limits, self._shown)
                sound = self._sounds_of(to, start, end)
                last = start
                for position, frame in _chain(first, frames):
                    writer.add(frame, max(position - start, Fraction(0)))
                    last = max(position, start)
                    if sound is not None:
                        sound.up_to(position - start)
                if self._waiting is not None and self._current is not None and end - last > STANDING:
                    writer.add(self._current[1], end - start)  # the picture stands still until then
                    last = end
                writer.finish()
                heard = _finish(sound, end - start)
        except av.error.FFmpegError as error:
            raise PersonSearchError(f"a clip of {self._shown} cannot be written: {reason(error)}") from error
        return Clip(
            start=piece.start,
            end=max(float(last), piece.start),
            frames=writer.frames,
            sound=heard,
            width=writer.size[0],
            height=writer.size[1],
        )

    def _sounds_of(self, to: Any, start: Fraction, end: Fraction) -> Sound | None:
        """What writes the sound; none after the join of recordings whose time stamps start anew there."""
        if self._zero is None or self._clock.zero != self._zero:
            return None
        zero = self._zero
        if self._by_dts and self._first_key is not None:
            # Stamps of decoding are late by what the decoder holds back (B-frames); sound is not.
            zero = min(zero, self._first_key)
        return self._sound.into(to, zero, start, end)

    def _between(self, start: Fraction, end: Fraction) -> Iterator[tuple[Fraction, Any]]:
        """The frames that are on the screen from ``start`` to ``end``, with their positions."""
        self._go_to(start)
        before = self._current if self._current is not None and self._current[0] <= start else None
        for position, frame in self._onward():
            if position <= start:
                self._current = before = position, frame
                if position < start:
                    continue
            if position > end:
                self._waiting = position, frame
                if before is not None:
                    yield before
                return
            self._current = position, frame
            if before is not None:
                yield before
            if before is None or before[0] != position:
                yield position, frame
            before = None
        if before is not None:
            yield before

    def _go_to(self, start: Fraction) -> None:
        """Move near to ``start``: by the container's table where it has one, else by decoding."""
        if self._frames is None:
            self._frames = self._decoded()
            first = next(self._frames, None)
            if first is None:
                return
            self._waiting = self._clock.position(first), first
            self._zero = self._clock.zero
        here = Fraction(0) if self._waiting is None else self._waiting[0]
        if not self._indexed or self._zero is None or start - here < FAR:
            return
        av = pyav()
        # By the order of storing, a keyframe may lie some frames before the place where it is shown.
        at = max(start - 1, Fraction(0)) if self._by_dts else start + self._zero
        target = math.floor(at / Fraction(self._stream.time_base))
        try:
            self._container.seek(target, stream=self._stream, backward=True)
        except av.error.FFmpegError:  # no table after all
            return
        self._frames, self._waiting, self._current = self._decoded(), None, None
        self._clock.jump()

    def _onward(self) -> Iterator[tuple[Fraction, Any]]:
        """The frames from here on, with their positions."""
        while True:
            if self._waiting is not None:
                found, self._waiting = self._waiting, None
                yield found
                continue
            frame = next(self._frames, None) if self._frames is not None else None
            if frame is None:
                return
            yield self._clock.position(frame), frame

    def _decoded(self) -> Iterator[Any]:
        """Every whole frame from here on; what is damaged is left out."""
        av = pyav()
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets, None)
            except (av.error.FFmpegError, OSError):
                return  # cut off: what is there is cut
            if packet is None:
                return
            if self._first_key is None and packet.is_keyframe and packet.dts is not None:
                self._first_key = packet.dts * Fraction(packet.time_base)
            try:
                frames = packet.decode()
            except av.error.FFmpegError:
                continue
            for frame in frames:
                if frame.width * frame.height > self._limits.pixels:
                    raise too_large(self._shown, frame.width, frame.height, self._limits)
                if not frame.is_corrupt:
                    yield frame


def _chain(
    first: tuple[Fraction, Any], rest: Iterator[tuple[Fraction, Any]]
) -> Iterator[tuple[Fraction, Any]]:
    yield first
    yield from rest


def _finish(sound: Sound | None, end: Fraction) -> bool:
    """Write what is left of the sound; whether there was any."""
    if sound is None:
        return False
    sound.up_to(end)
    return sound.finish()


class _Writer:
    """Encodes frames at their times."""

    def __init__(self, to: Any, first: Any, stream: Any, limits: Limits, shown: str) -> None:
        av = pyav()
        self._turned = orientation(first)
        wide, high = square_size(first.width, first.height, stream.sample_aspect_ratio)
        if wide * high > limits.pixels:
            raise too_large(shown, wide, high, limits)
        self._square = wide, high
        if self._turned >= 5:
            wide, high = high, wide
        self.size = max(wide - wide % 2, 2), max(high - high % 2, 2)  # colours are stored at half the size
        name = next(name for name in ENCODERS if name in av.codecs_available)
        rate = stream.average_rate or 25
        self._out = to.add_stream(name, rate=min(max(Fraction(rate), Fraction(1)), Fraction(240)))
        self._out.width, self._out.height = self.size
        self._out.pix_fmt = "yuv420p"
        self._out.codec_context.time_base = TIME_BASE
        if name == "libx264":
            self._out.options = {"preset": "veryfast", "crf": "20"}
        else:
            self._out.bit_rate = max(1_000_000, 4 * wide * high)
        self._to, self._last, self.frames = to, -1, 0

    def add(self, frame: Any, at: Fraction) -> None:
        """Encode one frame, ``at`` seconds from the beginning of the clip."""
        shown = self._upright(frame)
        shown.pts = self._last = max(round(at / TIME_BASE), self._last + 1)
        shown.time_base = TIME_BASE
        shown.pict_type = pyav().video.frame.PictureType.NONE  # the encoder chooses its own keyframes
        self._to.mux(self._out.encode(shown))
        self.frames += 1

    def finish(self) -> None:
        """Write what the encoder still holds."""
        self._to.mux(self._out.encode(None))

    def _upright(self, frame: Any) -> Any:
        av = pyav()
        if self._turned == 1:
            return frame.reformat(*self.size, "yuv420p")
        rgb = upright(frame.reformat(*self._square, "rgb24").to_ndarray(), self._turned)
        made = av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24")
        return made.reformat(*self.size, "yuv420p")


def pieces_around(
    spans: Sequence[tuple[float, float]], before: float, after: float
) -> list[tuple[Piece, list[int]]]:
    """Pieces that hold every span with so many seconds around it, and which spans each holds.

    >>> pieces_around([(10, 12), (1, 1), (14, 15)], 2, 3)
    [(Piece(start=0.0, end=4), [1]), (Piece(start=8, end=18), [0, 2])]
    """
    wanted = [Piece(start=max(first - before, 0.0), end=last + after) for first, last in spans]
    found = []
    for piece in merged(wanted):
        inside = [i for i, one in enumerate(wanted) if piece.start <= one.start and one.end <= piece.end]
        found.append((piece, inside))
    return found
