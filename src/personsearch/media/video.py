"""Frames of a video file: upright pixels, each with its own time, right for any frame rate.

Time comes from the presentation time stamps (PTS) alone, never from counting frames: phones and
screen recorders write variable frame rates, and "frame 100 at 25 a second" is then wrong by
seconds. A frame's time stamp is kept as the file has it (``pts`` in units of ``time_base``), to
find the frame again, beside its position in seconds from the first frame.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from personsearch.errors import InputError
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
from personsearch.media.sampling import ALL, SIDE, Chooser, Sampling
from personsearch.types import Array

_STORES_DURATION = {"mov", "matroska", "avi", "mpegts", "flv", "asf", "ogg", "mxf"}
"""Containers that say how long the video is (or end in a time stamp that does); others are guessed at."""

SAME = 1e-6
"""Seconds below which two positions are one: records round to a millionth, no film has frames so near."""


class Stopped(Exception):
    """Somebody stopped or closed the video: what was read is not all there is."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Frame:
    """One frame of a video.

    Attributes:
        pixels: (h, w, 3) uint8 RGB, upright, square pixels.
        pts: its presentation time stamp, as the file has it.
        time_base: seconds of one unit of ``pts``.
        position: seconds since the first frame; more than that of the frame before.
        number: how many frames were decoded before it.
        key: whether it is a keyframe.
    """

    pixels: Array
    pts: int
    time_base: Fraction
    position: float
    number: int
    key: bool


class Video:
    """A video file, open for reading once from its first frame to its last.

    Use it as a context manager. The frames are those that a player would show: turned as the
    file says, with square pixels. Interlaced fields are not separated, and HDR is not tone-mapped.

    Args:
        path: a regular file.
        limits: what it may ask for.

    Raises:
        InputError: no video, damaged beyond opening, or beyond the limits.

    Attributes:
        path: the file.
        duration: seconds, where the file's header says so.
        created: when the recording began, seconds since 1970, if the file says so.
        camera: what it was taken with, if the file says so.
    """

    def __init__(self, path: Path | str, limits: Limits = LIMITS) -> None:
        self.path = Path(path)
        self._shown, self._limits = printable(str(path)), limits
        self._stopped = threading.Event()
        self._busy = threading.Lock()  # held while FFmpeg is at work, so that nobody closes it then
        with ExitStack() as closing:
            self._container, self._stream = closing.enter_context(opened(self.path, limits, self._stopped))
            self._closing = closing.pop_all()
        self.duration = _duration(self._container, self._stream)
        tags = {**self._container.metadata, **self._stream.metadata}
        tags = {name.lower(): value for name, value in tags.items()}
        self.created = _created(tags)
        self.camera = _camera(tags)
        self.decoded = 0
        self._damaged = 0
        self._broken_off: str | None = None
        self._form = self._container.format.name.split(",")[0]
        self._clock = Clock(self._stream, by_dts=self._form == "avi")
        self._read_to = Fraction(0)  # where the last packet ends, as the file stamps it
        self._forward: Iterator[Any] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file; in the middle of decoding, in whichever thread, after :meth:`stop`."""
        self.stop()
        with self._busy:
            self._closing.close()

    def stop(self) -> None:
        """End decoding soon, from whichever thread; it cannot go on afterwards.

        Between two frames that a rule takes there may be an hour that has to be decoded. Whoever
        waits for the next one then gets :class:`Stopped`, no later than a packet from now.
        """
        self._stopped.set()

    @property
    def damage(self) -> str | None:
        """What of the video could not be read, once its frames were; None if all could."""
        said = []
        if self._broken_off is not None:
            said.append(self._broken_off)
        if self._damaged:
            said.append(f"it is damaged in {self._damaged} places")
        return "; ".join(said) or None

    def frames(self, sampling: Sampling = ALL) -> Iterator[Frame]:
        """The frames that ``sampling`` takes, in order; each is decoded when it is asked for.

        Damaged frames are left out and the rest goes on; afterwards :attr:`damage` says so.

        Raises:
            InputError: no frame at all can be decoded, or one is beyond the limits.
            Stopped: before the last frame the video was stopped or closed.
        """
        chosen = self._chosen(sampling)
        while (frame := self._next(chosen)) is not None:
            yield frame

    def _next(self, frames: Iterator[Frame]) -> Frame | None:
        with self._busy:
            self._go_on()
            return next(frames, None)

    def _go_on(self) -> None:
        if self._stopped.is_set():
            raise Stopped(f"{self._shown} was stopped after {self._clock.last_shown}")

    def _chosen(self, sampling: Sampling) -> Iterator[Frame]:
        """The frames that ``sampling`` takes; one who asks for the next has FFmpeg for himself."""
        chooser = sampling.chooser()
        # Elsewhere a position depends on all the frames before: stamps start anew, or are not there.
        skipping = sampling.kind == "keyframes" and self._form in INDEXED - {"avi"}
        for frame in self._decoded():
            position = self._clock.position(frame)
            if skipping:  # not before the first frame, keyframe or not: position 0 is its
                self._stream.codec_context.skip_frame = "NONKEY"
            if position > self._limits.seconds:
                raise InputError(
                    f"{self._shown} claims a frame {float(position):.4g} s after its first",
                    hint="its time stamps are damaged; convert it to MP4 anew",
                )
            if chooser.takes(position, key=bool(frame.key_frame), thumbnail=self._thumbnail(frame, chooser)):
                yield self._frame(frame, position)
        if not self.decoded:
            why = f": {self.damage}" if self.damage else ""
            raise InputError(
                f"{self._shown} has no frame that can be decoded{why}",
                hint="copy it again from its source; frames of more than "
                f"{self._limits.pixels / 1e6:g} million pixels are not decoded",
            )
        self._note_early_end(all_frames=not skipping)

    def find(self, pts: int | None, position: float | None = None) -> Frame | None:
        """The next frame with this time stamp and position, as far as given; None if no later one has.

        Positions are the same that differ by less than :data:`SAME`. The search goes forward only,
        from the frame that was found before, so that finding many costs one decoding. Not to be
        mixed with :meth:`frames`.

        Raises:
            Stopped: the video was stopped or closed.
        """
        with self._busy:
            self._go_on()
            return self._find(pts, position)

    def _find(self, pts: int | None, position: float | None) -> Frame | None:
        if self._forward is None:
            self._forward = self._decoded()
        for frame in self._forward:
            here = self._clock.position(frame)
            there = position is None or abs(position - float(here)) < SAME
            if there and pts in (None, self._clock.pts):
                return self._frame(frame, here)
        return None

    def _decoded(self) -> Iterator[Any]:
        """Every whole frame, as FFmpeg has it, in the order of presentation."""
        av = pyav()
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets, None)
            except (av.error.FFmpegError, OSError) as error:
                self._broken_off = f"it cannot be read after {self._clock.last_shown}: {reason(error)}"
                return
            finally:
                self._go_on()
            if packet is None:
                return
            self._damaged += packet.is_corrupt
            if packet.pts is not None and packet.time_base:
                ends = (packet.pts + (packet.duration or 0)) * Fraction(packet.time_base)
                self._read_to = max(self._read_to, ends)
            try:
                frames = packet.decode()
            except av.error.FFmpegError:
                self._damaged += 1
                continue
            for frame in frames:
                if frame.width * frame.height > self._limits.pixels:
                    raise too_large(self._shown, frame.width, frame.height, self._limits)
                if frame.is_corrupt:
                    self._damaged += 1
                    continue
                if self.decoded >= self._limits.frames:
                    raise InputError(
                        f"{self._shown} has more than {self._limits.frames} frames",
                        hint="cut it into pieces first",
                    )
                yield frame
                self.decoded += 1

    def _thumbnail(self, frame: Any, chooser: Chooser) -> Array | None:
        """(32, 32) grey levels for a rule that wants to see the frame."""
        if not chooser.needs_thumbnail:
            return None
        small: Array = frame.reformat(SIDE, SIDE, "gray", interpolation="AREA").to_ndarray()
        return small

    def _frame(self, frame: Any, position: Fraction) -> Frame:
        width, height = square_size(frame.width, frame.height, self._stream.sample_aspect_ratio)
        if width * height > self._limits.pixels:
            raise too_large(self._shown, width, height, self._limits)
        rgb = frame.reformat(width, height, "rgb24").to_ndarray()
        return Frame(
            pixels=np.array(upright(rgb, orientation(frame))),
            pts=self._clock.pts,
            time_base=self._clock.time_base,
            position=float(position),
            number=self.decoded,
            key=bool(frame.key_frame),
        )

    def _note_early_end(self, all_frames: bool) -> None:
        """A header that promises more than there was is how a cut-off copy shows itself."""
        if self._broken_off is not None or self.duration is None:
            return
        read = self._clock.end if all_frames else max(self._clock.end, self._read_to - self._clock.zero)
        end, promised = float(read), self.duration
        if promised - end > max(1.0, 0.05 * promised):
            self._broken_off = f"it ends after {end:.1f} of {promised:.1f} s"
        elif all_frames and self._stream.frames - self.decoded > max(25, 0.05 * self._stream.frames):
            self._broken_off = f"it ends after {self.decoded} of {self._stream.frames} frames"


class Clock:
    """From time stamps to a position that only grows.

    Joined recordings start their stamps anew in the middle; the position then goes on by one
    frame from where it was. Frames without a stamp follow the one before by one frame.

    Args:
        stream: of the video.
        by_dts: go by the stamps of decoding. AVI has no others: what FFmpeg makes up there as the
            time of presentation is out of order where frames are stored out of order (B-frames).
    """

    def __init__(self, stream: Any, *, by_dts: bool = False) -> None:
        self._by_dts = by_dts
        self._rate = stream.average_rate or stream.guessed_rate
        self._shift = Fraction(0)
        self._last: Fraction | None = None
        self._step = Fraction(1, 25)
        self.time_base = Fraction(stream.time_base or Fraction(1, 90_000))
        self.pts = 0

    @property
    def end(self) -> Fraction:
        """Where the last frame ends."""
        return Fraction(0) if self._last is None else self._last + self._step

    @property
    def zero(self) -> Fraction:
        """The time stamp, in seconds, that position 0 would have in the recording at hand."""
        return -self._shift

    def jump(self) -> None:
        """Let the next frame be anywhere: it is not the one that follows."""
        self._last = Fraction(-1)

    @property
    def last_shown(self) -> str:
        """How far it is, in words."""
        return "its beginning" if self._last is None else f"{float(self._last):.1f} s"

    def position(self, frame: Any) -> Fraction:
        """Seconds of ``frame`` since the first one."""
        self.time_base = Fraction(frame.time_base or self.time_base)
        following = Fraction(0) if self._last is None else self._last + self._step
        own = frame.dts if self._by_dts else frame.pts
        if own is None:
            self.pts = round((following - self._shift) / self.time_base)
        else:
            self.pts = int(own)
        stamp = self.pts * self.time_base
        if self._last is None:
            self._shift = -stamp
        elif stamp + self._shift <= self._last:
            self._shift = following - stamp
        self._last = stamp + self._shift
        self._step = self._length(frame)
        return self._last

    def _length(self, frame: Any) -> Fraction:
        """How long ``frame`` is shown, as far as the file says."""
        if frame.duration and 0 < frame.duration * self.time_base <= 10:
            return Fraction(frame.duration * self.time_base)
        if self._rate and Fraction(1, 10) <= self._rate <= 1000:
            return 1 / Fraction(self._rate)
        return Fraction(1, 25)


def orientation(frame: Any) -> int:
    """EXIF's number (1 to 8) for how ``frame`` has to be turned, from its display matrix.

    The matrix a b u / c d v / x y w (16.16 fixed point) maps a stored point (p, q) to the shown
    (a p + c q, b p + d q); angles between quarter turns become the nearest one.
    """
    kind = pyav().sidedata.sidedata.Type.DISPLAYMATRIX
    for item in frame.side_data:
        if item.type == kind:
            a, b, _, c, d = np.frombuffer(bytes(item), "<i4")[:5].tolist()
            if abs(a) + abs(d) >= abs(b) + abs(c):
                return {(False, False): 1, (True, False): 2, (True, True): 3, (False, True): 4}[a < 0, d < 0]
            return {(False, False): 5, (False, True): 6, (True, True): 7, (True, False): 8}[b < 0, c < 0]
    return 1


def _duration(container: Any, stream: Any) -> float | None:
    """Seconds that the file claims; None for containers that leave it to be guessed from the bit rate."""
    if container.format.name.split(",")[0] not in _STORES_DURATION:
        return None
    if stream.duration and stream.time_base:
        seconds = float(stream.duration * stream.time_base)
    elif container.duration:
        seconds = container.duration / 1e6
    else:
        return None
    return seconds if math.isfinite(seconds) and seconds > 0 else None


def _created(tags: dict[str, str]) -> float | None:
    """When the recording began; ISO 8601, UTC where there is no zone. Zero dates of cameras are none."""
    for name in ("com.apple.quicktime.creationdate", "creation_time", "date"):
        try:
            moment = datetime.fromisoformat(tags.get(name, "").strip())
        except ValueError:
            continue
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        if moment.year >= 1980:
            return moment.timestamp()
    return None


def _camera(tags: dict[str, str]) -> str | None:
    """Maker and model, the maker not said twice."""
    make = printable(tags.get("com.apple.quicktime.make", tags.get("make", ""))).strip()
    model = printable(tags.get("com.apple.quicktime.model", tags.get("model", ""))).strip()
    name = model if model.lower().startswith(make.lower()) else f"{make} {model}"
    return name.strip()[:120] or None
