"""Reading pictures: upright RGB pixels out of files that nobody vouches for.

This is the only module that decodes. What it reads is decided by the first bytes of the
content, never by the suffix: JPEG, PNG, WebP and BMP, and HEIC where the extra ``heic`` is
installed. Each format is opened by its own parser, so no other parser of Pillow (EPS, TIFF,
PSD ...) ever sees a stranger's bytes. Width and height come from the header and are held
against ``max_pixels`` before one pixel is decoded.

What happens to unusual pictures, so that nobody has to guess:

* EXIF orientation is applied exactly once; every box of the house is in upright pixels.
* CMYK becomes RGB without a colour profile; its inks are taken as stored inverted, which is
  Adobe's convention, with or without Adobe's mark. Embedded profiles are not applied.
* 16-bit values are scaled to 8 bits over their whole range, never clipped.
* Transparency is composited on white.
* Animations are refused: which frame is meant is not ours to guess. (The extra views that
  some cameras append to a JPEG, "MPO", are not an animation; the photograph itself is read.)
* EXIF that cannot be read counts as none, as viewers do: the picture stands as it is stored.
"""

from __future__ import annotations

import importlib
import io
import os
import stat
import struct
import zlib
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import BmpImagePlugin, Image, ImageFile, JpegImagePlugin, PngImagePlugin, WebPImagePlugin

from personsearch.errors import InputError
from personsearch.types import Array, Picture

MAX_PIXELS = 100_000_000
"""Largest picture read by default, in pixels: 300 MB decoded."""

MAX_SCANS = 200
"""Of a progressive JPEG, which has some ten; each is a pass over the picture, for a few bytes of file."""

READABLE = "JPEG, PNG, WebP or BMP"

_DAMAGED = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    KeyError,
    IndexError,
    TypeError,
    struct.error,
    zlib.error,
)
"""What Pillow's parsers raise on content that breaks its own format."""

_FOREIGN = (
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"GIF8", "GIF"),
    (b"%PDF", "PDF"),
    (b"%!PS", "EPS"),
    (b"8BPS", "PSD"),
    (b"\0\0\1\0", "ICO"),
    (b"\0\0\0\x0cjP  ", "JPEG 2000"),
    (b"\xff\x4f\xff\x51", "JPEG 2000"),
    (b"<svg", "SVG"),
)

_HEIC_BRANDS = (b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1")


def load(path: Path | str, *, name: str | None = None, max_pixels: int = MAX_PIXELS) -> Picture:
    """The picture in the file ``path``: upright RGB pixels, and when and with what it was taken.

    Args:
        path: a regular file; pipes and devices are refused, since they may never end.
        name: what to call it; the file's name by default.
        max_pixels: refuse larger pictures before decoding them.

    Returns:
        A picture with (h, w, 3) uint8 pixels. ``taken`` is EXIF's time of exposure; cameras
        often leave the time zone away, and it is then read as UTC.

    Raises:
        InputError: one line that says what is wrong with which file.
    """
    path = Path(path)
    with open_regular(path) as file:
        pixels, taken, camera = _read(file, _printable(str(path)), max_pixels)
    return Picture(pixels, path.name if name is None else name, path, taken, camera)


def decode(data: bytes, name: str = "picture", *, max_pixels: int = MAX_PIXELS) -> Picture:
    """The picture in ``data``, the content of a picture file; like :func:`load` in everything else.

    >>> white = np.full((2, 3, 3), 255, np.uint8)
    >>> decode(encode_jpeg(white), "white.jpg").size
    (3, 2)
    """
    pixels, taken, camera = _read(io.BytesIO(data), _printable(name), max_pixels)
    return Picture(pixels, name, None, taken, camera)


def read_size(path: Path | str, *, max_pixels: int = MAX_PIXELS) -> tuple[int, int]:
    """(width, height) of the upright picture in the file ``path``, as :func:`load` would give it.

    Reads the header only, but for PNG: its EXIF may come after the pixels, which are then
    decoded (within ``max_pixels``) to get there.

    Raises:
        InputError: as :func:`load`; damage behind the header is not noticed.
    """
    path = Path(path)
    shown = _printable(str(path))
    with open_regular(path) as file:
        picture = _opened_picture(file, shown, max_pixels)
        try:
            exif = _exif(picture)
        except _DAMAGED as error:
            raise _damaged(shown, error) from error
    width, height = picture.size
    return (height, width) if _orientation(exif) >= 5 else (width, height)


def encode_jpeg(pixels: Array, quality: int = 90) -> bytes:
    """``pixels`` (h, w, 3) uint8 RGB as the content of a JPEG file, without any metadata.

    Args:
        pixels: the picture; JPEG holds at most 65,500 pixels a side.
        quality: 1 to 100.
    """
    return _encoded(pixels, "JPEG", quality=quality)


def encode_png(pixels: Array) -> bytes:
    """``pixels`` (h, w, 3) uint8 RGB as the content of a PNG file, without any metadata."""
    return _encoded(pixels, "PNG")


def _encoded(pixels: Array, form: str, **options: int) -> bytes:
    pixels = np.ascontiguousarray(pixels)
    if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8 or pixels.size == 0:
        raise ValueError(f"a picture is (h, w, 3) uint8 RGB, got {pixels.shape} {pixels.dtype}")
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, form, **options)
    return buffer.getvalue()


def _printable(name: str) -> str:
    """``name`` fit for one line of a terminal: file names are other people's text."""
    return "".join(letter if letter.isprintable() else "?" for letter in name)


def open_regular(path: Path) -> BinaryIO:
    """The regular file ``path`` (a picture, a video), open for reading.

    Raises:
        InputError: it is not there, may not be read, or is a folder, pipe or device.
    """
    shown = _printable(str(path))
    try:
        # Without O_NONBLOCK, opening a pipe that nobody writes to would wait for ever.
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise InputError(f"{shown} does not exist", hint="check the path of the picture") from error
    except PermissionError as error:
        if path.is_dir():  # Windows says so of folders
            raise _is_folder(shown) from error
        raise InputError(f"no permission to read {shown}", hint="make the file readable") from error
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise InputError(f"{shown} cannot be opened: {error}", hint="check the path and the disk") from error
    kind = os.fstat(handle).st_mode
    if stat.S_ISREG(kind):
        return os.fdopen(handle, "rb")
    os.close(handle)
    if stat.S_ISDIR(kind):
        raise _is_folder(shown)
    raise InputError(f"{shown} is not a regular file", hint=f"give a {READABLE} file")


def _is_folder(shown: str) -> InputError:
    return InputError(
        f"{shown} is a folder, not a picture", hint="give one picture of it, or index the folder"
    )


def _damaged(shown: str, error: Exception) -> InputError:
    said = _printable(" ".join(str(error).split()))[:200] or type(error).__name__
    return InputError(
        f"{shown} is damaged or incomplete: {said}", hint="copy it again from where it came, or save it anew"
    )


def _too_large(shown: str, size: str, max_pixels: int) -> InputError:
    return InputError(
        f"{shown} is {size} pixels, more than {max_pixels / 1e6:g} million",
        hint="shrink the picture first",
    )


def _read(file: BinaryIO, shown: str, max_pixels: int) -> tuple[Array, float | None, str | None]:
    """Upright RGB pixels, time and camera of the picture in ``file``."""
    picture = _opened_picture(file, shown, max_pixels)
    try:
        picture.load()
        exif = _exif(picture)
        pixels = _rgb(picture)
    except _DAMAGED as error:
        raise _damaged(shown, error) from error
    except MemoryError as error:
        raise InputError(f"{shown} does not fit in memory", hint="shrink the picture first") from error
    if pixels is None:
        raise InputError(
            f"{shown} has pixels of the kind {picture.mode}, whose range is not known",
            hint="save it with 8 or 16 bits a channel",
        )
    return upright(pixels, _orientation(exif)), _taken(exif), _camera(exif)


def _opened_picture(file: BinaryIO, shown: str, max_pixels: int) -> ImageFile.ImageFile:
    """The picture in ``file``, header read and judged, no pixel decoded."""
    head = file.read(32)
    file.seek(0)
    if not head:
        raise InputError(f"{shown} is empty (0 bytes)", hint=f"give a {READABLE} file")
    parser = _parser(head, shown)
    try:
        picture = parser(file)
        width, height = picture.size
        frames = getattr(picture, "n_frames", 1)
    except _DAMAGED as error:
        raise _damaged(shown, error) from error
    except Image.DecompressionBombError as error:  # Pillow's own look into a WebP's header
        raise _too_large(shown, "of far too many", max_pixels) from error
    if width * height > max_pixels:
        raise _too_large(shown, f"{width}x{height}", max_pixels)
    if parser is JpegImagePlugin.JpegImageFile and _scans(file) > MAX_SCANS:
        raise InputError(
            f"{shown} is a JPEG of more than {MAX_SCANS} scans, which takes hours to decode",
            hint="save the picture anew",
        )
    if frames > 1:
        raise InputError(
            f"{shown} is an animation of {frames} frames",
            hint="save the frame that you mean as its own picture",
        )
    return picture


def _scans(file: BinaryIO) -> int:
    """How many scans a JPEG file may have: marks of their beginning, which pixels cannot look like.

    Thumbnails and extra views count, too, and what looks like a mark in other data; both are few.
    """
    where, last, count = file.tell(), b"", 0
    file.seek(0)
    while count <= MAX_SCANS and (block := file.read(1 << 20)):
        count += (last + block).count(b"\xff\xda")
        last = b"\xff" if block.endswith(b"\xff") else b""
    file.seek(where)
    return count


def _parser(head: bytes, shown: str) -> Callable[[BinaryIO], ImageFile.ImageFile]:
    """What reads a file that begins with ``head``."""
    if head.startswith(b"\xff\xd8\xff"):
        return JpegImagePlugin.JpegImageFile
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return PngImagePlugin.PngImageFile
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return WebPImagePlugin.WebPImageFile
    if head.startswith(b"BM"):
        return BmpImagePlugin.BmpImageFile
    if head[4:8] == b"ftyp" and head[8:12] in _HEIC_BRANDS:
        return _heic_parser(shown)
    foreign = next((kind for magic, kind in _FOREIGN if head.startswith(magic)), None)
    if foreign is None and head[4:12] in (b"ftypavif", b"ftypavis"):
        foreign = "AVIF"
    if foreign is not None:
        raise InputError(f"{shown} is a {foreign} file, which is not read", hint=f"convert it to {READABLE}")
    raise InputError(f"{shown} is not a picture", hint=f"give a {READABLE} file")


def _heic_parser(shown: str) -> Callable[[BinaryIO], ImageFile.ImageFile]:
    """The optional reader of HEIC; it turns pictures upright itself and says so in their EXIF."""
    try:
        module: Any = importlib.import_module("pillow_heif")
    except ImportError as error:
        raise InputError(
            f"{shown} is a HEIC picture, and the reader for them is not installed",
            hint="pip install 'personsearch[heic]', or convert it to JPEG",
        ) from error
    parser: Callable[[BinaryIO], ImageFile.ImageFile] = module.HeifImageFile
    return parser


def _rgb(picture: ImageFile.ImageFile) -> Array | None:
    """(h, w, 3) uint8 pixels of a decoded picture as it is stored; None for values without a range."""
    if picture.mode.startswith("I;16"):
        values = np.asarray(picture).astype(np.uint32)
        clear = picture.info.get("transparency")
        grey = ((values * 255 + 32767) // 65535).astype(np.uint8)
        if isinstance(clear, int):
            grey[values == clear] = 255
        return np.repeat(grey[..., None], 3, axis=2)
    if picture.mode in ("I", "F"):
        return None
    if picture.has_transparency_data:
        clear_image = picture.convert("RGBA")
        white = Image.new("RGBA", picture.size, (255, 255, 255, 255))
        white.alpha_composite(clear_image)
        return np.array(white.convert("RGB"))
    return np.array(picture.convert("RGB"))


def upright(pixels: Array, orientation: int) -> Array:
    """``pixels`` (h, w, ...) as stored, turned as EXIF ``orientation`` (1 to 8) says.

    The numbers say which edges of the scene the stored row 0 and column 0 are (EXIF 2.3,
    tag 0x0112): 6 means row 0 is the right edge, so the picture is turned clockwise.

    >>> upright(np.array([[1, 2, 3], [4, 5, 6]]), 6).tolist()
    [[4, 1], [5, 2], [6, 3]]
    """
    if orientation >= 5:
        pixels = pixels.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)


def _exif(picture: ImageFile.ImageFile) -> Image.Exif:
    """The picture's EXIF; an empty one where there is none that can be read."""
    if isinstance(picture, PngImagePlugin.PngImageFile):
        picture.load()  # PNG may put EXIF after the pixels; damaged pixels are the caller's error
    try:
        return picture.getexif()
    except _DAMAGED:
        return Image.Exif()


def _orientation(exif: Image.Exif) -> int:
    value = exif.get(0x0112, 1)
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _taken(exif: Image.Exif) -> float | None:
    """Seconds since 1970 of the exposure; UTC where EXIF names no offset."""
    try:
        details = exif.get_ifd(0x8769)
    except _DAMAGED:
        return None
    for when, part, offset in ((0x9003, 0x9291, 0x9011), (0x9004, 0x9292, 0x9012)):
        moment = _moment(_text(details.get(when)), _text(details.get(offset)))
        if moment is not None:
            fraction = _text(details.get(part))
            seconds = float(f"0.{fraction}") if fraction.isascii() and fraction.isdigit() else 0.0
            return moment.timestamp() + seconds
    return None


def _moment(text: str, offset: str) -> datetime | None:
    """EXIF's "2024:05:01 12:00:00" at "+02:00"; UTC where there is no offset or no sensible one."""
    for said, form in ((f"{text} {offset}", "%Y:%m:%d %H:%M:%S %z"), (text, "%Y:%m:%d %H:%M:%S")):
        try:
            moment = datetime.strptime(said, form)
        except ValueError:
            continue
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return None


def _camera(exif: Image.Exif) -> str | None:
    """Maker and model, the maker not said twice."""
    make, model = _text(exif.get(0x010F)), _text(exif.get(0x0110))
    name = model if model.lower().startswith(make.lower()) else f"{make} {model}"
    return name.strip()[:120] or None


def _text(value: object) -> str:
    """An EXIF string without padding, NULs and control characters; empty for anything else."""
    return _printable(value.split("\0")[0]).strip() if isinstance(value, str) else ""
