"""Videos, names and metadata that mean harm, through the commands: refused in a line, and nothing leaks."""

from __future__ import annotations

import csv
import io
import json
import os
import runpy
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from personsearch import images
from personsearch.errors import InputError

film = runpy.run_path(str(Path(__file__).parents[1] / "media" / "films.py"))["film"]
PLACE = "Rue-du-Secret-11"
"""What a camera wrote about where it was."""


def scene(x: int) -> np.ndarray:
    pixels = np.full((100, 200, 3), 250, np.uint8)
    pixels[20:80, x : x + 20] = (220, 30, 30)
    return pixels


def without_its_table(path: Path) -> None:
    """An MP4 cut off before the table of contents, which comes last."""
    whole = film(path, 6).read_bytes()
    path.write_bytes(whole[: whole.find(b"moov")])


def without_a_rate(path: Path) -> None:
    """An AVI whose headers say 0 frames a second, 0 microseconds each."""
    content = bytearray(film(path, [scene(20)] * 4, codec="mjpeg").read_bytes())
    stream, main = content.index(b"strh") + 8, content.index(b"avih") + 8
    content[stream + 20 : stream + 28] = bytes(8)  # dwScale, dwRate
    content[main : main + 4] = bytes(4)  # dwMicroSecPerFrame
    path.write_bytes(content)


def playlist(text: str) -> Callable[[Path], object]:
    return lambda path: path.write_text(text.format(secret=path.parent / "trip" / SECRET))


SECRET = "secret.bin"
"""A film that no folder's search takes for one, where FFmpeg's own rules let a list reach it."""
HLS = "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{secret}\n#EXT-X-ENDLIST\n"
REFUSED: dict[str, tuple[str, Callable[[Path], object]]] = {
    "HLS": ("x.m3u8", playlist(HLS)),
    "HLS called MP4": ("x.mp4", playlist(HLS)),
    "concat": ("x.ffconcat", playlist(f"ffconcat version 1.0\nfile 'trip/{SECRET}'\n")),
    "concat called MKV": ("x.mkv", playlist(f"ffconcat version 1.0\nfile 'trip/{SECRET}'\n")),
    "SDP": ("x.sdp", playlist("v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nm=video 9 RTP/AVP 96\n")),
    "no table": ("x.mp4", without_its_table),
    "pipe": ("x.mkv", os.mkfifo),
    "picture called MP4": ("x.mp4", lambda path: Image.fromarray(scene(20)).save(path, "PNG")),
    "video called JPEG": ("x.jpg", lambda path: film(path, 4, form="mp4")),
    "SVG": ("x.png", playlist("<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>")),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_files_that_are_refused_cost_nobody_else(
    kind: str, command, searcher, photos: Path, tmp_path: Path
) -> None:
    film(photos / "trip" / SECRET, [scene(60)] * 3, form="mpegts")
    name, make = REFUSED[kind]
    make(photos / name)
    words = ("index", photos, photos / name, "-g", tmp_path / "g", "-m", "m", "--progress", "none")
    indexed = command(*words)
    report = json.loads(indexed.out)
    assert (indexed.code, report["added"], report["failed"], report["frames"]) == (3, 3, 1, 0), indexed.err
    detected = command("detect", photos / name, "--model", "m", "--progress", "none")
    assert (detected.code, detected.out, len(detected.errors)) == (4, "", 1), detected.err
    assert name in detected.errors[0]
    assert "secret" not in indexed.err + detected.err


def test_no_frame_rate_at_all_ends_and_keeps_the_order(command, searcher, tmp_path: Path) -> None:
    path = tmp_path / "x.avi"
    without_a_rate(path)
    ended = command("detect", path, "--model", "m", "--all-frames", "--progress", "none")
    assert ended.code in (0, 3, 4), ended.err
    at = [json.loads(line)["position_s"] for line in ended.out.splitlines()]
    assert at == sorted(set(at))
    assert len(at) <= 4
    assert all(np.isfinite(at))


@pytest.mark.parametrize("form", ["PNG", "WEBP"])
def test_animations_of_many_frames_are_not_decoded(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (1000, 8, 8, 3), np.uint8)  # like frames are one frame
    frames = [Image.fromarray(pixels) for pixels in noise]
    buffer = io.BytesIO()
    frames[0].save(buffer, form, save_all=True, append_images=frames[1:], duration=20, lossless=True)

    def decoding(*_: object) -> None:
        raise AssertionError("decoded")

    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", decoding)
    with pytest.raises(InputError, match="an animation of 1000 frames"):
        images.decode(buffer.getvalue())


def test_a_png_that_claims_four_billion_frames() -> None:
    """The count is the file's word; Pillow takes absurd ones for a picture that stands still."""
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    buffer = io.BytesIO()
    frames[0].save(buffer, "PNG", save_all=True, append_images=frames[1:])
    content = bytearray(buffer.getvalue())
    at = content.index(b"acTL")
    for claimed in (0, 0x7FFFFFFF, 0xFFFFFFFF):
        content[at + 4 : at + 8] = struct.pack(">I", claimed)
        content[at + 12 : at + 16] = struct.pack(">I", zlib.crc32(content[at : at + 12]))
        if claimed == 0x7FFFFFFF:
            with pytest.raises(InputError, match="an animation of 2147483647 frames"):
                images.decode(bytes(content))
        else:
            with pytest.warns(UserWarning, match="Invalid APNG"):
                assert images.decode(bytes(content)).size == (8, 8)


@pytest.fixture
def linked(photos: Path, tmp_path: Path) -> Path:
    """Photos with a link to a folder elsewhere, and one in a circle."""
    outside = tmp_path / "outside"
    outside.mkdir()
    Image.fromarray(scene(60)).save(outside / "private.png")
    (photos / "link").symlink_to(outside)
    (photos / "again").symlink_to(photos)
    return photos


def test_what_links_lead_to_is_not_indexed_unasked(command, searcher, linked: Path, tmp_path: Path) -> None:
    ended = command("index", linked, "-g", tmp_path / "g", "-m", "m", "--progress", "none")
    assert (ended.code, json.loads(ended.out)["added"]) == (0, 3), ended.err


def test_what_links_lead_to_is_indexed_when_asked_for(
    command, searcher, linked: Path, tmp_path: Path
) -> None:
    words = ("index", linked, "-g", tmp_path / "g", "-m", "m", "--follow-links", "--progress", "none")
    ended = command(*words)
    assert (ended.code, json.loads(ended.out or "{}").get("added")) == (0, 4), ended.err
    assert json.loads(command(*words).out)["unchanged"] == 4


EVIL = ("\x1b]0;owned\x07", "a\nerror: none", "\u202egpj", "f\udce9")


def test_names_of_broken_files_cannot_steer_the_terminal(
    command, searcher, photos: Path, tmp_path: Path
) -> None:
    for name in EVIL:
        (photos / f"{name}.jpg").write_bytes(b"no picture")
        (photos / f"{name}.mp4").write_bytes(b"no video")
    indexed = command("index", photos, "-g", tmp_path / "g", "-m", "m", "--progress", "none")
    detected = command("detect", *sorted(photos.glob("*.*")), "-m", "m", "--progress", "none")
    for ended in (indexed, detected):
        assert ended.code == 3
        assert "no picture" not in ended.err
        assert not [letter for letter in ended.err if not letter.isprintable() and letter != "\n"]
        assert not [line for line in ended.err.splitlines() if line.startswith("error: none")]
    assert json.loads(indexed.out)["failed"] == 2 * len(EVIL)


FORMULA = "=cmd|'/C calc'!A0"


def test_no_cell_of_csv_is_a_formula_that_a_camera_or_a_purpose_wrote(
    command, searcher, photos: Path, tmp_path: Path
) -> None:
    exif = Image.Exif()
    exif[0x0110] = FORMULA  # the camera's model
    Image.fromarray(scene(60)).save(photos / "evil.png", exif=exif)
    here = ("-g", tmp_path / "g")
    assert command("index", photos, *here, "-m", "m", "--progress", "none").code == 0
    words = ("search", "-q", photos / "a.png", *here, "-m", "m", "--purpose", FORMULA, "--format", "csv")
    told = [command(*words).out, command("gallery", "audit", *here, "--format", "csv").out]
    assert command("gallery", "export", *here, "--out", tmp_path / "people.csv").code == 0
    for text in (*told, (tmp_path / "people.csv").read_text()):
        cells = [cell for row in csv.reader(io.StringIO(text)) for cell in row]
        assert any(FORMULA in cell for cell in cells), text
        assert not [cell for cell in cells if cell.startswith(FORMULA)], text


def test_where_a_picture_was_taken_goes_nowhere(command, searcher, photos: Path, tmp_path: Path) -> None:
    """GPS, remarks and titles of pictures and films are in nothing that is made to be passed on."""
    exif = Image.Exif()
    exif[0x010E] = exif[0x9286] = PLACE
    exif.get_ifd(0x8825).update({1: "N", 2: (48.0, 51.0, 29.5), 29: PLACE})
    Image.fromarray(scene(60)).save(photos / "far.jpg", exif=exif, quality=95)
    assert PLACE.encode() in (photos / "far.jpg").read_bytes()
    tags = {"title": PLACE, "location": PLACE, "comment": PLACE}
    film(photos / "walk.mkv", [scene(4 * n) for n in range(12)], codec="mjpeg", tags=tags, sound=True)
    assert PLACE.encode() in (photos / "walk.mkv").read_bytes()
    gallery, out = tmp_path / "g", tmp_path / "out"
    out.mkdir()
    assert command("index", photos, "-g", gallery, "-m", "m", "--progress", "none").code == 0
    words = ("search", "-q", photos / "far.jpg", "-g", gallery, "-m", "m", "--own", "--html", out / "p.html")
    (tmp_path / "hits.jsonl").write_text(command(*words).out)
    hits = json.loads((tmp_path / "hits.jsonl").read_text())["hits"]
    assert {"far.jpg", "walk.mkv"} <= {Path(hit["picture"]).name for hit in hits}
    for more in (
        ("sheet", tmp_path / "hits.jsonl", "-o", out / "sheet.jpg"),
        ("annotate", tmp_path / "hits.jsonl", "-o", out / "seen", "--progress", "none"),
        ("clips", tmp_path / "hits.jsonl", "-o", out / "clips", "--progress", "none"),
    ):
        assert command(*more).code == 0
    made = [path for path in out.rglob("*") if path.is_file()]
    assert {".html", ".jpg", ".mp4"} <= {path.suffix for path in made}
    kept = [path for path in gallery.rglob("*") if path.is_file()]
    assert not [path for path in (*made, *kept) if PLACE.encode() in path.read_bytes()]
    for path in made:
        if path.suffix in (".jpg", ".png"):
            with Image.open(path) as picture:
                assert not dict(picture.getexif())


def test_a_heic_that_claims_too_many_pixels(tmp_path: Path) -> None:
    module = pytest.importorskip("pillow_heif")
    buffer = io.BytesIO()
    module.from_pillow(Image.fromarray(scene(60))).save(buffer, quality=80)
    content = bytearray(buffer.getvalue())
    at = content.index(b"ispe")
    while at >= 0:  # the size of each image in the file
        content[at + 8 : at + 16] = struct.pack(">II", 60_000, 60_000)
        at = content.find(b"ispe", at + 4)
    with pytest.raises(InputError, match=r"more than 100 million|damaged or incomplete"):
        images.decode(bytes(content), "x.heic")
