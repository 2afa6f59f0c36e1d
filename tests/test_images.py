"""Every unusual picture we can think of, made here: no file of anybody's is needed."""

import io
import os
import struct
import subprocess
import sys
import tracemalloc
import zlib
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFile

from personsearch import images
from personsearch.errors import InputError

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def corners() -> np.ndarray:
    """24x16 with another colour in each corner: red, green / blue, white from the top left."""
    pixels = np.zeros((16, 24, 3), np.uint8)
    pixels[:8, :12], pixels[:8, 12:], pixels[8:, :12], pixels[8:, 12:] = RED, GREEN, BLUE, WHITE
    return pixels


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def png(width: int, height: int, bits: int, colour: int, raw: bytes, extra: bytes = b"") -> bytes:
    """A PNG put together by hand, so that its header can claim anything."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    pixels = chunk(b"IDAT", zlib.compress(raw, 9))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + extra + pixels + chunk(b"IEND", b"")


def png16(values: np.ndarray) -> bytes:
    """A 16-bit PNG of (h, w) or (h, w, 3) values."""
    rows = values.astype(">u2").reshape(len(values), -1)
    raw = b"".join(b"\0" + row.tobytes() for row in rows)
    return png(values.shape[1], values.shape[0], 16, 0 if values.ndim == 2 else 2, raw)


def exif_of(**tags: object) -> Image.Exif:
    numbers = {"orientation": 0x0112, "make": 0x010F, "model": 0x0110}
    details = {"original": 0x9003, "digitized": 0x9004, "offset": 0x9011, "part": 0x9291}
    exif = Image.Exif()
    for name, value in tags.items():
        if name in numbers:
            exif[numbers[name]] = value
        else:
            exif.get_ifd(0x8769)[details[name]] = value
    return exif


def refused(data: bytes, *words: str) -> InputError:
    """The one clear error that ``data`` is met with."""
    with pytest.raises(InputError) as caught:
        images.decode(data, "strange.bin")
    message = str(caught.value)
    assert message.startswith("strange.bin ")
    assert "\n" not in message + caught.value.hint
    assert caught.value.hint
    for word in words:
        assert word in message
    return caught.value


# What the eight orientations mean, worked by hand: the corners of the upright picture, clockwise
# from the top left, when the stored picture has R G / B W.
UPRIGHT = {1: "RGWB", 2: "GRBW", 3: "WBRG", 4: "BWGR", 5: "RBWG", 6: "BRGW", 7: "WGRB", 8: "GWBR"}


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_orientation_is_applied_once(orientation: int, kind: str, tmp_path: Path) -> None:
    options = {"JPEG": {"quality": 95, "subsampling": 0}, "PNG": {}, "WEBP": {"lossless": True}}[kind]
    path = tmp_path / "turned"
    path.write_bytes(
        saved(Image.fromarray(corners()), kind, exif=exif_of(orientation=orientation), **options)
    )
    picture = images.load(path)
    assert picture.size == ((24, 16) if orientation <= 4 else (16, 24)) == images.read_size(path)
    names = {RED: "R", GREEN: "G", BLUE: "B", WHITE: "W"}
    places = ((2, 2), (2, -3), (-3, -3), (-3, 2))
    seen = "".join(names[tuple(np.where(picture.pixels[at] > 127, 255, 0).tolist())] for at in places)
    assert seen == UPRIGHT[orientation]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_upright_agrees_with_pillow(orientation: int) -> None:
    pixels = np.random.default_rng(orientation).integers(0, 256, (5, 7, 3), np.uint8)
    methods = (
        None,
        Image.Transpose.FLIP_LEFT_RIGHT,
        Image.Transpose.ROTATE_180,
        Image.Transpose.FLIP_TOP_BOTTOM,
        Image.Transpose.TRANSPOSE,
        Image.Transpose.ROTATE_270,
        Image.Transpose.TRANSVERSE,
        Image.Transpose.ROTATE_90,
    )
    method = methods[orientation - 1]
    turned = Image.fromarray(pixels) if method is None else Image.fromarray(pixels).transpose(method)
    np.testing.assert_array_equal(images.upright(pixels, orientation), np.asarray(turned))


@pytest.mark.parametrize("nonsense", [0, 9, 65535])
def test_senseless_orientation_counts_as_none(nonsense: int) -> None:
    data = saved(Image.fromarray(corners()), "PNG", exif=exif_of(orientation=nonsense))
    np.testing.assert_array_equal(images.decode(data).pixels, corners())


def test_orientation_behind_the_pixels_of_a_png(tmp_path: Path) -> None:
    data = saved(Image.fromarray(corners()), "PNG", exif=exif_of(orientation=6))
    start = data.index(b"eXIf") - 4
    end = start + 12 + struct.unpack(">I", data[start : start + 4])[0]
    moved = data[:start] + data[end:-12] + data[start:end] + data[-12:]
    path = tmp_path / "late.png"
    path.write_bytes(moved)
    assert images.read_size(path) == (16, 24) == images.load(path).size


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP"])
def test_formats_by_content_not_by_suffix(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "picture.txt"
    path.write_bytes(saved(Image.fromarray(corners()), kind))
    picture = images.load(path, name="scene 1")
    assert (picture.name, picture.path, picture.taken, picture.camera) == ("scene 1", path, None, None)
    assert images.load(path).name == "picture.txt"
    assert picture.pixels.flags.c_contiguous
    assert picture.pixels.flags.writeable
    assert np.abs(picture.pixels[4, 4].astype(int) - RED).max() < 40
    if kind in ("PNG", "BMP"):
        np.testing.assert_array_equal(picture.pixels, corners())


def test_grey_palette_and_one_bit() -> None:
    grey = np.array([[0, 100], [200, 255]], np.uint8)
    np.testing.assert_array_equal(
        images.decode(saved(Image.fromarray(grey), "PNG")).pixels, np.repeat(grey[..., None], 3, 2)
    )
    palette = Image.fromarray(corners()).quantize(4)
    np.testing.assert_array_equal(images.decode(saved(palette, "PNG")).pixels, corners())
    bits = Image.fromarray(np.array([[True, False]]))
    assert images.decode(saved(bits, "PNG")).pixels[0].tolist() == [[255] * 3, [0] * 3]


def test_sixteen_bits_are_scaled_not_clipped() -> None:
    values = np.array([[0, 255, 257], [32768, 65278, 65535]])
    grey = images.decode(png16(values)).pixels
    np.testing.assert_array_equal(grey[..., 0], np.rint(values / 257))
    np.testing.assert_array_equal(grey, np.repeat(grey[..., :1], 3, 2))
    colour = images.decode(png16(np.stack([values, values // 2, values * 0], axis=2))).pixels
    assert np.abs(colour[..., 0].astype(int) - values / 257).max() <= 1
    assert np.abs(colour[..., 1].astype(int) - values // 2 / 257).max() <= 1
    assert not colour[..., 2].any()


def test_transparency_is_composited_on_white() -> None:
    rgba = np.array([[[255, 0, 0, 255], [255, 0, 0, 0], [0, 0, 0, 51]]], np.uint8)
    expected = [[255, 0, 0], [255, 255, 255], [204, 204, 204]]
    assert images.decode(saved(Image.fromarray(rgba), "PNG")).pixels[0].tolist() == expected
    grey_alpha = Image.fromarray(np.array([[[0, 255], [0, 0]]], np.uint8), "LA")
    assert images.decode(saved(grey_alpha, "PNG")).pixels[0, :, 0].tolist() == [0, 255]
    palette = Image.fromarray(np.array([[0, 1]], np.uint8), "P")
    palette.putpalette([10, 20, 30, 40, 50, 60])
    clear = images.decode(saved(palette, "PNG", transparency=1)).pixels
    assert clear[0].tolist() == [[10, 20, 30], [255, 255, 255]]
    key = struct.pack(">I", 2) + b"tRNS" + struct.pack(">H", 700)
    deep = png(
        2, 1, 16, 0, b"\0" + struct.pack(">HH", 700, 25700), key + struct.pack(">I", zlib.crc32(key[4:]))
    )
    assert images.decode(deep).pixels[0, :, 0].tolist() == [255, 100]


def test_cmyk_is_inverted_with_and_without_adobes_mark() -> None:
    ink = np.zeros((16, 16, 4), np.uint8)
    ink[..., 0] = 255  # all cyan: neither red nor black
    data = saved(Image.fromarray(ink, "CMYK"), "JPEG", quality=100)
    assert np.abs(images.decode(data).pixels[8, 8].astype(int) - (0, 255, 255)).max() <= 3
    marker = data.index(b"\xff\xee")
    length = struct.unpack(">H", data[marker + 2 : marker + 4])[0]
    plain = data[:marker] + data[marker + 2 + length :]
    assert np.abs(images.decode(plain).pixels[8, 8].astype(int) - (0, 255, 255)).max() <= 3


def test_time_and_camera_from_exif() -> None:
    def read(**tags: object) -> tuple[float | None, str | None]:
        picture = images.decode(saved(Image.fromarray(corners()), "JPEG", exif=exif_of(**tags)))
        return picture.taken, picture.camera

    noon = 1714564800.0  # 2024-05-01 12:00:00 UTC
    assert read(original="2024:05:01 12:00:00") == (noon, None)
    assert read(original="2024:05:01 14:00:00", offset="+02:00") == (noon, None)
    assert read(original="2024:05:01 12:00:00", offset="   :  ", part="25") == (noon + 0.25, None)
    assert read(digitized="2024:05:01 12:00:00") == (noon, None)
    assert read(original="0000:00:00 00:00:00") == (None, None)
    assert read(make="Canon", model="Canon EOS 5D\0\0") == (None, "Canon EOS 5D")
    assert read(make="Apple", model="iPhone 15 ") == (None, "Apple iPhone 15")
    assert read(make="Evil\x1b[2J\ncam") == (None, "Evil?[2J?cam")


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow warns of damaged EXIF
def test_exif_garbage_counts_as_none() -> None:
    data = saved(Image.fromarray(corners()), "JPEG", exif=b"Exif\0\0" + b"II*\0" + b"\xff" * 40)
    picture = images.decode(data)
    assert picture.size == (24, 16)
    assert (picture.taken, picture.camera) == (None, None)


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "GIF"])
def test_animations_are_refused(kind: str) -> None:
    frames = [Image.fromarray(np.full((8, 8, 3), value, np.uint8)) for value in (0, 100, 255)]
    data = saved(frames[0], kind, save_all=True, append_images=frames[1:], duration=50)
    refused(data, "GIF" if kind == "GIF" else "animation of 3 frames")


def test_the_photograph_of_a_multi_picture_jpeg_is_read() -> None:
    views = [Image.fromarray(corners()), Image.fromarray(255 - corners())]
    data = saved(views[0], "MPO", save_all=True, append_images=views[1:])
    np.testing.assert_array_equal(images.decode(data).pixels, images.decode(saved(views[0], "JPEG")).pixels)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_truncated(kind: str, share: float) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8)
    data = saved(Image.fromarray(noise), kind)
    refused(data[: int(len(data) * share)], "damaged or incomplete")


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow warns of damaged EXIF
@given(st.integers(0, 2), st.data())
@settings(max_examples=60, deadline=None)
def test_damage_never_escapes_as_something_else(which: int, draw: st.DataObject) -> None:
    exif = exif_of(orientation=6, make="x", original="2024:05:01 12:00:00")
    data = bytearray(saved(Image.fromarray(corners()), ("JPEG", "PNG", "WEBP")[which], exif=exif))
    for _ in range(draw.draw(st.integers(1, 4))):
        data[draw.draw(st.integers(0, len(data) - 1))] = draw.draw(st.integers(0, 255))
    try:
        picture = images.decode(bytes(data), max_pixels=1_000_000)
    except InputError as refusal:
        said = str(refusal)
    else:
        said = str(picture.pixels.dtype)
    assert "\n" not in said


def test_not_pictures() -> None:
    refused(b"", "is empty")
    refused(b"hello world", "is not a picture")
    refused(b"\xff\xd8\xff", "damaged or incomplete")
    refused(saved(Image.fromarray(corners()), "TIFF"), "is a TIFF file, which is not read")
    refused(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "is a EPS file, which is not read")


def test_heic_without_its_reader_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    error = refused(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(40), "HEIC")
    assert "personsearch[heic]" in error.hint


def test_heic_with_its_reader() -> None:
    module = pytest.importorskip("pillow_heif")
    buffer = io.BytesIO()
    module.from_pillow(Image.fromarray(corners())).save(buffer, quality=95)
    picture = images.decode(buffer.getvalue(), "phone.heic")
    assert picture.size == (24, 16)
    assert np.abs(picture.pixels[3, 3].astype(int) - RED).max() < 60


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    def said(path: Path | str) -> str:
        with pytest.raises(InputError) as caught:
            images.load(path)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    assert "does not exist" in said(tmp_path / "no\nwhere.jpg")
    assert "is a folder" in said(tmp_path)
    assert "cannot be opened" in said("a\0b")
    (tmp_path / "plain").write_bytes(b"x")
    assert "does not exist" in said(tmp_path / "plain" / "below")
    os.mkfifo(tmp_path / "pipe")
    assert "not a regular file" in said(tmp_path / "pipe")


def test_no_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "secret.jpg"
    path.write_bytes(b"x")

    def denied(*_: object) -> int:  # chmod 0 would not stop root
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", denied)
    with pytest.raises(InputError, match="no permission to read"):
        images.load(path)


BOMBS = {
    "claims 60000x60000": lambda: png(60000, 60000, 8, 2, b"\0" * 1000),
    "is 12000x12000 in 20 KB": lambda: png(12000, 12000, 1, 0, (b"\0" + bytes(1500)) * 12000),
    "WebP 16000x16000": lambda: _webp_canvas(16000, 16000),
    "BMP": lambda: (
        b"BM" + struct.pack("<IHHIIiiHHIIiiII", 54, 0, 0, 54, 40, 60000, 60000, 1, 24, 0, 0, 0, 0, 0, 0)
    ),
}


def _webp_canvas(width: int, height: int) -> bytes:
    """A small WebP whose extended header claims a large canvas."""
    data = saved(Image.fromarray(corners()), "WEBP", exif=exif_of(orientation=1), lossless=True)
    start = data.index(b"VP8X") + 8 + 4
    size = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return data[:start] + size + data[start + 6 :]


@pytest.mark.parametrize("bomb", BOMBS)
def test_bombs_are_refused_before_decoding(
    bomb: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def decoding(*_: object) -> None:
        raise AssertionError("decoded")

    data = BOMBS[bomb]()
    assert len(data) < 50_000
    monkeypatch.setattr(ImageFile.ImageFile, "load", decoding)
    refused(data, "more than 100 million")
    (tmp_path / "bomb").write_bytes(data)
    with pytest.raises(InputError):
        images.read_size(tmp_path / "bomb")


def _scanned(times: int) -> bytes:
    """A progressive JPEG whose last scan, of a coefficient that is refined, is there so many times."""
    data = saved(Image.fromarray(corners()), "JPEG", progressive=True)
    start = data.rindex(b"\xff\xda")
    return data[:start] + data[start:-2] * times + data[-2:]


def test_a_picture_of_a_thousand_scans(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each scan is a pass over the picture: 1 MB of them at 100 megapixels takes more than ten minutes."""
    assert images.decode(_scanned(1)).size == (24, 16)
    assert images.decode(_scanned(150)).size == (24, 16)
    bomb = tmp_path / "bomb.jpg"
    bomb.write_bytes(_scanned(5000))
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda self: pytest.fail("decoded"))
    with pytest.raises(InputError, match="more than 200 scans"):
        images.load(bomb)


@pytest.mark.parametrize("cut", range(0, 12))
def test_a_mark_on_the_border_of_two_blocks_counts(cut: int) -> None:
    data = b"\xff\xd8" + b"a" * ((1 << 20) - 8 + cut) + b"\xff\xda" + b"\xff" * 3 + b"\xda"
    assert images._scans(io.BytesIO(data)) == 2


@pytest.mark.parametrize("chunk", [b"zTXt", b"iTXt", b"iCCP"])
def test_text_that_unpacks_to_a_gigabyte(chunk: bytes, tmp_path: Path) -> None:
    packed = zlib.compress(bytes(200_000_000), 9)
    head = {b"zTXt": b"a\0\0", b"iTXt": b"a\0\1\0\0\0", b"iCCP": b"a\0\0"}[chunk]
    plain = saved(Image.fromarray(corners()), "PNG")
    body = chunk + head + packed
    whole = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    path = tmp_path / "bomb.png"
    path.write_bytes(plain[:33] + whole + plain[33:])
    tracemalloc.start()
    with suppress(InputError):
        images.load(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20_000_000


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"II*\0" + bytes(60), "TIFF"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", "EPS"),
        (b"SIMPLE  =" + b" " * 60, "a picture"),
    ],
)
def test_other_formats_called_png(head: bytes, kind: str, tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(head)
    with pytest.raises(InputError, match=f"is (not )?(an? )?{kind}"):
        images.load(tmp_path / "x.png")


def test_limit_is_the_callers() -> None:
    data = saved(Image.fromarray(corners()), "PNG")
    assert images.decode(data, max_pixels=24 * 16).size == (24, 16)
    with pytest.raises(InputError, match="24x16"):
        images.decode(data, max_pixels=24 * 16 - 1)


def test_bombs_cost_no_memory(tmp_path: Path) -> None:
    for number, bomb in enumerate(BOMBS.values()):
        (tmp_path / f"{number}.png").write_bytes(bomb())
    program = """
import resource, sys
from personsearch import images
from personsearch.errors import InputError
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for path in sys.argv[1:]:
    try:
        images.load(path)
    except InputError:
        continue
    raise SystemExit("was read")
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    paths = [str(path) for path in sorted(tmp_path.iterdir())]
    done = subprocess.run([sys.executable, "-c", program, *paths], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 20_000  # KiB; the smallest of them decodes to 432 MB


@given(st.integers(1, 40), st.integers(1, 40))
@settings(max_examples=20, deadline=None)
def test_jpeg_round_trip(width: int, height: int) -> None:
    pixels = np.full((height, width, 3), (200, 60, 90), np.uint8)
    back = images.decode(images.encode_jpeg(pixels, quality=95))
    assert back.size == (width, height)
    assert np.abs(back.pixels.astype(int) - pixels).max() <= 6


def test_jpeg_wants_rgb() -> None:
    for wrong in (np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3)), np.zeros((0, 4, 3), np.uint8)):
        with pytest.raises(ValueError, match="RGB"):
            images.encode_jpeg(wrong)


def test_importing_needs_neither_torch_nor_cv2() -> None:
    program = (
        "import sys, personsearch.images; print([m for m in ('torch', 'cv2', 'lancedb') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
