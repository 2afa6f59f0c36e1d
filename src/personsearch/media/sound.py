"""The sound of a piece of a video, beside its frames: decoded, cut to the sample, encoded as AAC."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from personsearch.images import open_regular
from personsearch.media.container import CONTAINERS, Limits, Named, pyav
from personsearch.types import Array

CODECS = (
    "aac,aac_latm,mp3,mp3float,mp2,mp2float,ac3,eac3,opus,libopus,vorbis,flac,alac,pcm_s16le,pcm_s16be,"
    "pcm_s24le,pcm_f32le,pcm_u8,pcm_mulaw,pcm_alaw,adpcm_ima_wav,adpcm_ms,wmav1,wmav2,amrnb,amrwb,nellymoser"
)
"""FFmpeg's names of the sound decoders that are used."""

RATES = (48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000)
"""Samples a second that AAC can have here."""

JITTER = 0.04
"""Seconds by which sound may come early or late without being moved: stamps are rounded."""

BLOCK = 1024
"""Samples of one frame of AAC."""


class SoundTrack:
    """The first sound of a video file, read beside its frames; a file without one gives none.

    It is a file of its own to FFmpeg, so that reading sound never moves the pictures.
    """

    def __init__(self, path: Path, limits: Limits) -> None:
        self._path, self._limits = path, limits
        self._closing = ExitStack()
        self._container: Any = None
        self._stream: Any = None
        self._open()

    def close(self) -> None:
        """Let go of the file."""
        self._closing.close()

    def _open(self) -> None:
        av = pyav()
        file = self._closing.enter_context(open_regular(self._path))
        options = {
            "protocol_whitelist": "",
            "format_whitelist": CONTAINERS,
            "codec_whitelist": CODECS,
            "max_streams": str(self._limits.streams + 1),
            "probesize": str(self._limits.probe_bytes),
        }
        try:
            container = av.open(
                Named(file), options=options, container_options=options, metadata_errors="replace"
            )
        except av.error.FFmpegError:
            return
        self._container = self._closing.enter_context(container)
        for stream in container.streams.audio:
            context = stream.codec_context
            if context is not None and context.name in CODECS.split(",") and context.sample_rate:
                self._stream = stream
                break
        for other in container.streams:
            if self._stream is None or other.index != self._stream.index:
                other.discard = av.stream.Discard.all

    def into(self, to: Any, zero: Fraction, start: Fraction, end: Fraction) -> Sound | None:
        """A writer of the sound from ``start`` to ``end`` into the open file ``to``; None without sound.

        Args:
            zero: time stamp, in seconds, of the video's first frame.
            start, end: seconds since then.
        """
        if self._stream is None:
            return None
        av = pyav()
        target = max(start + zero - 1, Fraction(0))  # a little early: the decoder has to get going
        try:
            self._container.seek(int(target / Fraction(self._stream.time_base)), stream=self._stream)
        except av.error.FFmpegError:
            return None
        return Sound(to, self._stream, self._frames(), zero + start, end - start)

    def _frames(self) -> Iterator[Any]:
        av = pyav()
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets, None)
                frames = [] if packet is None else packet.decode()
            except av.error.InvalidDataError:
                continue
            except (av.error.FFmpegError, OSError):
                return
            if packet is None:
                return
            yield from frames


class Sound:
    """Writes the samples of a piece, each where it belongs; a hole in the sound becomes silence."""

    def __init__(
        self, to: Any, stream: Any, frames: Iterator[Any], begin: Fraction, length: Fraction
    ) -> None:
        av = pyav()
        context = stream.codec_context
        self.rate = next((rate for rate in RATES if rate == context.sample_rate), RATES[0])
        layout = "mono" if context.channels == 1 else "stereo"
        self._channels = 1 if layout == "mono" else 2
        self._out = to.add_stream("aac", rate=self.rate, layout=layout)
        self._resampler = av.AudioResampler(format="fltp", layout=layout, rate=self.rate)
        self._to, self._frames, self._begin, self._layout = to, frames, begin, layout
        self._total = round(length * self.rate)
        self._written = 0  # samples that were given to the encoder or wait for it
        self._heard = 0
        self._waiting: list[Array] = []
        self._encoded = 0
        self._next: tuple[int, Array] | None = None
        self._ended = False

    def up_to(self, seconds: Fraction) -> None:
        """Write what is heard before so many seconds of the piece."""
        limit = min(round(seconds * self.rate), self._total)
        while self._written < limit and not self._ended:
            if self._next is None:
                self._next = self._chunk()
                if self._next is None:
                    self._ended = True
                    return
            at, samples = self._next
            if at >= limit and at > self._written:
                return  # it is not its turn yet
            self._next = None
            self._put(at, samples)

    def finish(self) -> bool:
        """Write the rest; whether anything was heard."""
        self._encode(last=True)
        self._to.mux(self._out.encode(None))
        return self._heard > 0

    def _chunk(self) -> tuple[int, Array] | None:
        """The next samples, and how many samples after the piece's beginning the first of them is."""
        for frame in self._frames:
            if frame.pts is None:
                continue
            stamp = Fraction(frame.pts) * Fraction(frame.time_base)
            at = round((stamp - self._begin) * self.rate)
            arrays = [made.to_ndarray() for made in self._resampler.resample(frame)]
            if arrays:
                return at, np.concatenate(arrays, axis=1)
        return None

    def _put(self, at: int, samples: Array) -> None:
        """Samples at their place: cut to the piece, silence before them where there is a hole."""
        slack = round(JITTER * self.rate)
        if abs(at - self._written) <= slack and self._heard:
            at = self._written
        if at < self._written:
            samples = samples[:, self._written - at :]
            at = self._written
        samples = samples[:, : max(self._total - at, 0)]
        if not samples.shape[1]:
            return
        while self._written < at:
            hole = min(at - self._written, self.rate)
            self._waiting.append(np.zeros((self._channels, hole), np.float32))
            self._written += hole
            self._encode()
        self._waiting.append(samples.astype(np.float32, copy=False))
        self._written += samples.shape[1]
        self._heard += samples.shape[1]
        self._encode()

    def _encode(self, last: bool = False) -> None:
        av = pyav()
        if not self._waiting:
            return
        samples = np.concatenate(self._waiting, axis=1)
        whole = samples.shape[1] if last else samples.shape[1] - samples.shape[1] % BLOCK
        for start in range(0, whole, BLOCK):
            block = np.ascontiguousarray(samples[:, start : start + BLOCK])
            frame = av.AudioFrame.from_ndarray(block, format="fltp", layout=self._layout)
            frame.sample_rate, frame.pts = self.rate, self._encoded
            frame.time_base = Fraction(1, self.rate)
            self._encoded += block.shape[1]
            self._to.mux(self._out.encode(frame))
        self._waiting = [samples[:, whole:]] if whole < samples.shape[1] else []
