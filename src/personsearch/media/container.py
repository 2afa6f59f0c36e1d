"""Opening a video that nobody vouches for, with FFmpeg on the shortest leash there is.

FFmpeg reads hundreds of formats, some of which (playlists, lists of files, session descriptions)
make it open other files or addresses. Here it is given an open file, never a name, so it has
nothing to interpret; no protocol is allowed at all; only the containers and codecs below are
tried; and pixels, streams and the bytes looked at to recognise a format are limited before the
first frame is decoded.

PyAV is the extra ``video``: its wheels bring FFmpeg with encoders under the GPL, 100 MB, which
nobody needs for photographs.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO

from personsearch.errors import InputError
from personsearch.images import open_regular

CONTAINERS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpeg,mpegts,mpegvideo,flv,asf,ogg,mxf,dv"
"""FFmpeg's names of the containers that are opened; no playlist, no list of pictures, no device."""

INDEXED = {"mov", "matroska", "avi"}
"""Containers with a table of keyframes, and time stamps that do not start anew in the middle."""

CODECS = (
    "h264,hevc,av1,libdav1d,vp8,vp9,libvpx,libvpx-vp9,mpeg4,mpeg1video,mpeg2video,mjpeg,h263,h263p,flv,"
    "msmpeg4v1,msmpeg4,msmpeg4v2,msmpeg4v3,wmv1,wmv2,wmv3,vc1,theora,dvvideo,prores,dnxhd,ffv1,png,rawvideo"
)
"""FFmpeg's names of the video decoders that are used."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How much one video may ask for; what exceeds it is refused with a reason.

    Attributes:
        pixels: of one frame (8K has 33 million).
        streams: of one file, video, sound and all others together.
        frames: decoded from one file, looked at or not (20 million are a week at 30 a second).
        seconds: from the first frame to any other.
        probe_bytes: read to recognise the format and its streams.
    """

    pixels: int = 50_000_000
    streams: int = 64
    frames: int = 20_000_000
    seconds: int = 31 * 24 * 3600
    probe_bytes: int = 10_000_000


LIMITS = Limits()


def printable(name: str) -> str:
    """``name`` fit for one line of a terminal: what files are called, and say, is strangers' text."""
    return "".join(letter if letter.isprintable() else "?" for letter in name)


def pyav() -> Any:
    """The library that reads video.

    Raises:
        InputError: it is not installed.
    """
    try:
        module: Any = importlib.import_module("av")
    except ImportError as error:
        raise InputError(
            "the reader of videos is not installed", hint="pip install 'personsearch[video]'"
        ) from error
    return module


@contextmanager
def opened(path: Path, limits: Limits = LIMITS) -> Iterator[tuple[Any, Any]]:
    """PyAV's container of the video file ``path`` and its video stream, ready to be decoded.

    Raises:
        InputError: no video, damaged beyond opening, or beyond the limits.
    """
    shown = printable(str(path))
    with open_regular(path) as file:
        if not file.read(1):
            raise InputError(f"{shown} is empty (0 bytes)", hint="give a video, such as MP4, MKV or AVI")
        file.seek(0)
        with _container(file, shown, limits) as container:
            yield container, _video_stream(container, shown, limits)


def _container(file: BinaryIO, shown: str, limits: Limits) -> Any:
    av = pyav()
    options = {
        "protocol_whitelist": "",
        "format_whitelist": CONTAINERS,
        "codec_whitelist": CODECS,
        "max_streams": str(limits.streams + 1),  # FFmpeg leaves further ones out without a word
        "max_pixels": str(limits.pixels),
        "probesize": str(limits.probe_bytes),
        "analyzeduration": "10000000",
    }
    try:
        return av.open(Named(file), options=options, container_options=options, metadata_errors="replace")
    except av.error.FFmpegError as error:
        raise InputError(
            f"{shown} is not a video that can be read: {reason(error)}",
            hint="if it plays elsewhere, convert it to MP4 with H.264; a download may be incomplete",
        ) from error
    except (OSError, UnicodeError) as error:
        raise InputError(f"{shown} cannot be read: {error}", hint="check the disk") from error


class Named:
    """An open file without its name: FFmpeg judges formats by names, too, and the content is to decide."""

    name = "video"

    def __init__(self, file: BinaryIO) -> None:
        self.read, self.seek, self.tell = file.read, file.seek, file.tell


def _video_stream(container: Any, shown: str, limits: Limits) -> Any:
    """The stream that is decoded: the first whose pictures move; the others are not even demuxed."""
    av = pyav()
    if len(container.streams) > limits.streams:
        raise InputError(f"{shown} has {len(container.streams)} streams, more than {limits.streams}")
    still = av.stream.Disposition.attached_pic | av.stream.Disposition.timed_thumbnails
    moving = [
        stream
        for stream in container.streams.video
        if stream.codec_context is not None and not stream.disposition & still
    ]
    if not moving:
        kinds = ", ".join(sorted({stream.type or "unknown data" for stream in container.streams}))
        raise InputError(
            f"{shown} has no video that can be decoded (it holds: {kinds or 'nothing'})",
            hint="convert it to MP4 with H.264",
        )
    stream = moving[0]
    context = stream.codec_context
    if context.name not in CODECS.split(","):
        raise InputError(
            f"{shown} is coded with {printable(context.name)}, which is not read",
            hint="convert it to MP4 with H.264",
        )
    if context.width * context.height > limits.pixels:
        raise too_large(shown, context.width, context.height, limits)
    for other in container.streams:
        if other.index != stream.index:
            other.discard = av.stream.Discard.all
    context.options = {"max_pixels": str(limits.pixels)}
    context.thread_count = 2  # each thread keeps a frame of its own
    context.thread_type = "AUTO"
    return stream


def too_large(shown: str, width: int, height: int, limits: Limits) -> InputError:
    """The error for a frame of that size."""
    return InputError(
        f"{shown} has frames of {width}x{height}, more than {limits.pixels / 1e6:g} million pixels",
        hint="make a smaller version of it first",
    )


def reason(error: Exception) -> str:
    """What FFmpeg said, in a few words."""
    if type(error).__name__ == "ExitError":  # FFmpeg's "immediate exit requested" is PyAV's time limit
        return "no answer in time"
    said = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return printable(" ".join(str(said).split()))[:120]


def square_size(width: int, height: int, aspect: Fraction | None) -> tuple[int, int]:
    """Size on a screen of a frame whose pixels are ``aspect`` times as wide as high.

    Old cameras store people squeezed; nothing is ever made smaller than it is stored. Aspects
    beyond 4 to 1 are taken for damage and ignored.

    >>> square_size(720, 576, Fraction(64, 45)), square_size(1440, 1080, None)
    ((1024, 576), (1440, 1080))
    """
    if aspect is None or not Fraction(1, 4) <= aspect <= 4:
        return width, height
    if aspect >= 1:
        return round(width * aspect), height
    return width, round(height / aspect)
