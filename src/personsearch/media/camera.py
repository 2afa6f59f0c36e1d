"""A camera that is watched: newest frame first, connected again when it drops, never stuck.

One thread does nothing but read, so the camera's buffer never fills up; whoever looks at the
frames gets the newest one each time and those in between are dropped (and counted). Reading and
connecting have time limits, and after a break the camera is tried again, waiting twice as long
each time. Frames carry the time at which they arrived: cameras' own clocks begin at any number.

An address is opened only here, only because somebody named it as a camera, and with the protocols
of its scheme alone; playlists are not followed.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from personsearch.errors import PersonSearchError, UsageError
from personsearch.images import upright
from personsearch.media.container import CODECS, LIMITS, printable, pyav, reason, square_size
from personsearch.media.pacing import now_and_then
from personsearch.media.video import orientation
from personsearch.types import Array

PROTOCOLS = {
    "rtsp": "rtsp,rtp,udp,tcp,tls",
    "rtsps": "rtsps,rtsp,rtp,udp,tcp,tls",
    "http": "http,tcp",
    "https": "https,tls,tcp",
    "rtmp": "rtmp,tcp",
    "tcp": "tcp",
    "udp": "udp",
    "srt": "srt",
}
"""What each scheme of a camera's address may use; nothing that opens files."""

BREATH = 0.5
"""Seconds that a frame is waited for before ``idle`` is called."""

FORMATS = "rtsp,mpegts,mpjpeg,mjpeg,flv,matroska,webm,mov,mp4,m4a,3gp,3g2,mj2,h264,hevc"

Grab = Callable[[], Array]
"""A frame that has arrived; called, it gives (h, w, 3) uint8 RGB upright pixels."""

Opener = Callable[[], Iterator[Grab]]
"""Connects (or raises) and gives frames until the camera ends (or raises)."""


@dataclass(frozen=True, kw_only=True)
class CameraSettings:
    """How patient to be with a camera.

    Attributes:
        open_timeout: seconds to connect.
        read_timeout: seconds without a frame after which the connection counts as lost.
        wait: seconds before the first new try; doubled after each that fails.
        longest_wait: seconds.
        attempts: give up after so many tries in a row without one frame.
    """

    open_timeout: float = 10.0
    read_timeout: float = 10.0
    wait: float = 1.0
    longest_wait: float = 60.0
    attempts: int = 10


@dataclass
class Health:
    """How a camera has been doing.

    Attributes:
        connections: how often it was connected.
        failures: tries and connections that failed.
        received, dropped: frames that arrived, and those of them that nobody looked at.
        last_error: of the last failure; empty if there was none.
    """

    connections: int = 0
    failures: int = 0
    received: int = 0
    dropped: int = 0
    last_error: str = ""


@dataclass(frozen=True, eq=False)
class CameraFrame:
    """A frame of a camera: (h, w, 3) uint8 RGB upright pixels, and when it arrived (since 1970)."""

    pixels: Array
    time: float


@dataclass
class Camera:
    """A source of frames that does not end by itself.

    Args:
        name: what it is called; no password belongs in it.
        opener: connects; :func:`camera` makes one from an address.
        settings: how patient to be.
        health: counts, for whoever wants to show them.
    """

    name: str
    opener: Opener
    settings: CameraSettings = CameraSettings()
    health: Health = field(default_factory=Health)

    def frames(
        self,
        every: float = 1.0,
        *,
        most: int | None = None,
        seconds: float | None = None,
        idle: Callable[[], None] = lambda: None,
    ) -> Iterator[CameraFrame]:
        """The newest frame, at most one ``every`` seconds, until the limits or for ever.

        Args:
            every: seconds between two frames.
            most: end after so many frames.
            seconds: end after so long.
            idle: done by the caller's thread between two frames: before each, while none comes and in
                the pause of ``every``; twice a second, not more often.

        Raises:
            PersonSearchError: the camera could not be reached ``attempts`` times in a row, or sent
                nothing in all of ``seconds``.
        """
        reader = _Reader(self.opener, self.settings, self.health)
        thread = threading.Thread(target=reader.run, name=f"camera {self.name}", daemon=True)
        thread.start()
        end = None if seconds is None else time.monotonic() + seconds
        idle = now_and_then(idle, 0.9 * BREATH)  # a wait may end a moment early
        given, ran_dry = 0, False
        try:
            while most is None or given < most:
                if given and end is not None and time.monotonic() >= end:
                    break  # a camera quicker than the model has always a newer frame
                idle()  # a camera that is quicker than the model leaves no time in between
                taken = reader.take(end, idle)
                if taken is None:
                    ran_dry = True
                    break
                yield taken
                given += 1
                pause = every if end is None else min(every, end - time.monotonic())
                if not (most is not None and given >= most):
                    reader.rest(pause, idle)
        finally:
            reader.stop()
            thread.join(timeout=5)
        if ran_dry and (reader.given_up is not None or not given):
            why = reader.given_up or self.health.last_error or "no frame arrived in time"
            raise PersonSearchError(
                f"camera {self.name} cannot be reached: {why}",
                hint="check its address, user and password, and that it plays elsewhere",
            )


class _Reader:
    """Reads in a thread of its own and keeps the newest frame."""

    def __init__(self, opener: Opener, settings: CameraSettings, health: Health) -> None:
        self._opener, self._settings, self._health = opener, settings, health
        self._changed = threading.Condition()
        self._newest: tuple[Grab, float] | None = None
        self.stopped = threading.Event()
        self.given_up: str | None = None

    def stop(self) -> None:
        """End the thread as soon as it comes up for air."""
        self.stopped.set()
        with self._changed:
            self._changed.notify_all()

    def rest(self, seconds: float, idle: Callable[[], None]) -> None:
        """Wait so long, in short breaths; what ``idle`` takes counts. Over at once if the camera is lost."""
        while seconds > 0:
            breath = min(seconds, BREATH)
            if self.stopped.wait(breath):
                return
            begun = time.monotonic()
            idle()
            seconds -= breath + time.monotonic() - begun

    def take(self, end: float | None, idle: Callable[[], None]) -> CameraFrame | None:
        """The newest frame that was not taken yet, waiting for one until ``end``; None for no more."""
        while True:
            with self._changed:
                if self._newest is None and not self.stopped.is_set():
                    left = BREATH if end is None else end - time.monotonic()
                    # Never without a limit: a wait without one cannot be interrupted on every system.
                    self._changed.wait(max(0.0, min(left, BREATH)))
                newest, self._newest = self._newest, None
                over = self.stopped.is_set()  # asked later, it may be true of a frame that came meanwhile
            if newest is not None:
                grab, when = newest
                try:
                    return CameraFrame(grab(), when)
                except Exception as error:  # one frame that cannot be converted is not the camera's end
                    self._note(error)
            elif over:
                return None
            if end is not None and time.monotonic() >= end:
                return None
            idle()  # without the lock: the camera goes on meanwhile

    def run(self) -> None:
        """Connect, read, and after a break connect again, until stopped."""
        fruitless, wait = 0, self._settings.wait
        while not self.stopped.is_set():
            before = self._health.received
            try:
                self._read()
                raise PersonSearchError("the stream ended")
            except Exception as error:  # whatever a camera does, the answer is to try again
                if self.stopped.is_set():
                    return
                self._note(error)
            if self._health.received > before:
                fruitless, wait = 0, self._settings.wait
            fruitless += 1
            if fruitless >= self._settings.attempts:
                self.given_up = f"{self._health.last_error} ({fruitless} tries)"
                self.stop()
                return
            self.stopped.wait(wait)
            wait = min(2 * wait, self._settings.longest_wait)

    def _read(self) -> None:
        frames = self._opener()
        self._health.connections += 1
        for grab in frames:
            if self.stopped.is_set():
                return
            self._health.received += 1
            with self._changed:
                self._health.dropped += self._newest is not None
                self._newest = grab, time.time()
                self._changed.notify_all()

    def _note(self, error: Exception) -> None:
        with self._changed:  # it may come from either thread
            self._health.last_error = reason(error)  # first: whoever sees the number grow reads it
            self._health.failures += 1


def camera(source: str, *, name: str | None = None, settings: CameraSettings | None = None) -> Camera:
    """The camera at an address (``rtsp://...``, ``http://...``), ``webcam:N`` or ``/dev/videoN``.

    Nothing is opened before :meth:`Camera.frames`.

    Raises:
        UsageError: no address of a camera, or PyAV is not installed.
    """
    pyav()  # now, and not as a camera that cannot be reached in ten tries
    settings = CameraSettings() if settings is None else settings
    device = re.fullmatch(r"(?:webcam:|/dev/video)(\d{1,3})", source)
    if device:
        number = int(device[1])
        return Camera(name or f"webcam:{number}", lambda: _webcam(number, settings), settings)
    scheme = source.partition(":")[0].lower()
    if scheme not in PROTOCOLS or not source.lower().startswith(f"{scheme}://"):
        raise UsageError(
            f"{redacted(source)} is no camera that can be opened",
            hint=f"an address with one of {', '.join(PROTOCOLS)}, or webcam:0",
        )
    return Camera(name or redacted(source), lambda: _stream(source, scheme, settings), settings)


def name_for(address: str, given: str | None) -> str | None:
    """The name to open a camera by, whose people are kept under it; None if its address is one.

    Raises:
        UsageError: it was given none, and a part of the address is left out of names, for it may be
            a password. The channels of a recorder often differ in nothing else.

    >>> name_for("rtsp://10.0.0.7/live?channel=2", "gate"), name_for("rtsp://10.0.0.7/1", None)
    ('gate', None)
    """
    if not given and ("?" in address or "#" in address):
        raise UsageError(
            f"this camera needs a name: others may be {redacted(address)}, too",
            hint="--camera NAME (options.camera in Python), another one for each channel of a recorder",
        )
    return given or None


def redacted(address: str) -> str:
    """An address that can be shown and written down: without user, password and what follows ``?``.

    >>> redacted("rtsp://ana:secret@10.0.0.7:554/stream1?token=x")
    'rtsp://10.0.0.7:554/stream1'
    """
    try:
        parts = urlsplit(address)
        host = parts.netloc.rpartition("@")[2]
    except ValueError:
        return f"{address.partition(':')[0]}:?"
    path = parts.path if parts.netloc else parts.path.rpartition("@")[2]
    return printable(f"{parts.scheme}://{host}{path}")


def _stream(address: str, scheme: str, settings: CameraSettings) -> Iterator[Grab]:
    options = {
        "protocol_whitelist": PROTOCOLS[scheme],
        "format_whitelist": FORMATS,
        "fflags": "nobuffer",
        "probesize": "2000000",
        "analyzeduration": "2000000",
    }
    if scheme.startswith("rtsp"):
        options["rtsp_transport"] = "tcp"  # frames lost on the way would be damaged frames
    return _frames(address, None, options, settings)


def _webcam(number: int, settings: CameraSettings) -> Iterator[Grab]:
    import sys

    form, file = {
        "darwin": ("avfoundation", str(number)),
        "win32": ("dshow", f"video={number}"),
    }.get(sys.platform, ("video4linux2", f"/dev/video{number}"))
    return _frames(file, form, {}, settings)


def _frames(file: str, form: str | None, options: dict[str, str], settings: CameraSettings) -> Iterator[Grab]:
    """Connects now; the frames follow. Errors of FFmpeg never show the address, which holds the password."""
    av = pyav()
    limits = {"codec_whitelist": CODECS, "max_streams": "16", "max_pixels": str(LIMITS.pixels)}
    options = {**limits, **options}
    try:
        container = av.open(
            file,
            format=form,
            options=options,
            container_options=options,
            metadata_errors="replace",
            timeout=(settings.open_timeout, settings.read_timeout),
        )
    except av.error.FFmpegError as error:
        raise PersonSearchError(reason(error)) from None
    return _decoded(container)


def _decoded(container: Any) -> Iterator[Grab]:
    av = pyav()
    with container as stream_of:
        if not stream_of.streams.video:
            raise PersonSearchError("it sends no video")
        stream = stream_of.streams.video[0]
        stream.codec_context.options = {"max_pixels": str(LIMITS.pixels)}
        aspect = stream.sample_aspect_ratio
        try:
            for packet in stream_of.demux(stream):
                try:
                    frames = packet.decode()
                except av.error.InvalidDataError:
                    continue  # a packet lost on the way; the next keyframe mends it
                for frame in frames:
                    if not frame.is_corrupt:
                        yield partial(_pixels, frame, aspect)
        except av.error.FFmpegError as error:
            raise PersonSearchError(reason(error)) from None


def _pixels(frame: Any, aspect: Any) -> Array:
    width, height = square_size(frame.width, frame.height, aspect)
    rgb = frame.reformat(width, height, "rgb24").to_ndarray()
    return np.array(upright(rgb, orientation(frame)))
