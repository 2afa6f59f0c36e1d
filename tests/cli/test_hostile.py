"""Bad input through the commands: one clear line, the right code, nothing lost or half-written."""

from __future__ import annotations

import errno
import io
import json
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

PEOPLE = np.full((100, 200, 3), 250, np.uint8)
PEOPLE[10:70, 10:30] = (220, 30, 30)


def saved(image: Image.Image, form: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def rgb() -> Image.Image:
    return Image.fromarray(PEOPLE)


def huge_png() -> bytes:
    """One bit a pixel, 60,000 x 60,000: a few kilobytes that would be 10 GB."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 1, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0" * 1000))
        + chunk(b"IEND", b"")
    )


def animation(form: str) -> bytes:
    second = Image.fromarray(PEOPLE[::-1].copy())
    return saved(rgb(), form, save_all=True, append_images=[second], duration=50)


def turned() -> bytes:
    """Stored on its side; upright it is 200x100 with the person where everybody else has them."""
    exif = Image.Exif()
    exif[0x0112] = 6
    return saved(Image.fromarray(np.rot90(PEOPLE).copy()), "PNG", exif=exif)


def deep() -> bytes:
    grey = np.asarray(rgb().convert("L")).astype(np.uint16) * 257
    return saved(Image.fromarray(grey), "PNG")


REFUSED: dict[str, tuple[str, Callable[[], bytes]]] = {
    "text": ("x.jpg", lambda: b"I am no picture\n" * 10),
    "empty": ("x.jpg", lambda: b""),
    "truncated": ("x.jpg", lambda: saved(rgb(), "JPEG")[:700]),
    "cut PNG": ("x.png", lambda: saved(rgb(), "PNG")[:-60]),
    "huge": ("x.png", huge_png),
    "animated WebP": ("x.webp", lambda: animation("WEBP")),
    "animated PNG": ("x.png", lambda: animation("PNG")),
    "GIF": ("x.png", lambda: animation("GIF")),
    "EPS called PNG": ("x.png", lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n"),
}
READ: dict[str, tuple[str, Callable[[], bytes]]] = {
    "CMYK": ("x.jpg", lambda: saved(rgb().convert("CMYK"), "JPEG", quality=95)),
    "16 bit": ("x.png", deep),
    "grey": ("x.jpg", lambda: saved(rgb().convert("L"), "JPEG", quality=95)),
    "turned": ("x.png", turned),
    "transparent": ("x.png", lambda: saved(rgb().convert("RGBA"), "PNG")),
    "palette": ("x.png", lambda: saved(rgb().convert("P"), "PNG")),
    "wrong suffix": ("x.jpg", lambda: saved(rgb(), "PNG")),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_pictures_that_cannot_be_used(kind: str, command, searcher, photos: Path, tmp_path: Path) -> None:
    name, make = REFUSED[kind]
    bad = photos / name
    bad.write_bytes(make())
    path = tmp_path / "g"
    indexed = command("index", photos, "-g", path, "-m", "m", "--progress", "none")
    report = json.loads(indexed.out)
    assert (indexed.code, report["added"], report["failed"]) == (3, 3, 1), indexed.err
    detected = command("detect", bad, "--model", "m", "--progress", "none")
    searched = command("search", "-q", bad, "--box", "10,10,20,60", "-g", path, "-m", "m")
    for ended in (detected, searched):
        assert (ended.code, ended.out, len(ended.errors)) == (4, "", 1), ended.err
        assert name in ended.errors[0]
        assert len(ended.err.splitlines()) <= 2
    both = command("detect", bad, photos / "a.png", "--model", "m", "--progress", "none")
    assert both.code == 3
    assert len(both.out.splitlines()) == 1  # the other one is there


@pytest.mark.parametrize("kind", READ)
def test_unusual_pictures_are_read(kind: str, command, searcher, tmp_path: Path) -> None:
    name, make = READ[kind]
    (tmp_path / name).write_bytes(make())
    ended = command("detect", tmp_path / name, "--model", "m")
    assert ended.code == 0, ended.err
    seen = json.loads(ended.out)
    assert (seen["width"], seen["height"]) == (200, 100)
    assert len(seen["people"]) == 1
    assert np.allclose(seen["people"][0]["box_xyxy"], [10, 10, 30, 70], atol=2)


def test_names_cannot_steer_the_terminal_or_the_page(command, searcher, photos: Path, tmp_path: Path) -> None:
    evil = photos / "<img src=x onerror=alert(1)>\x1b[2J.png"
    (photos / "b.png").rename(evil)
    path, page = tmp_path / "g", tmp_path / "p.html"
    assert command("index", photos, "-g", path, "-m", "m").code == 0
    ended = command(
        "search", "-q", photos / "a.png", "-g", path, "-m", "m", "--format", "table", "--html", page
    )
    assert "\x1b" not in ended.out + ended.err
    assert "onerror" in ended.out
    assert "<img src=x" not in page.read_text()


def test_boxes_outside_and_malformed(command, gallery: Path, photos: Path) -> None:
    base = ("search", "-q", photos / "a.png", "-g", gallery, "-m", "m", "--box")
    for box, code in (
        ("500,500,10,10", 4),
        ("-19,10,20,60", 4),
        ("1,2,3", 2),
        ("a,b,c,d", 2),
        ("1,1,0,5", 2),
    ):
        ended = command(*base, box)
        assert (ended.code, ended.out, len(ended.errors)) == (code, "", 1), ended.err
    cut = command(*base, "-5,10,20,60")
    assert (cut.code, json.loads(cut.out)["query"]["box_xyxy"]) == (0, [0, 10, 15, 70])


def test_folders_without_pictures(command, searcher, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "notes.md").write_text("no picture")
    (tmp_path / "empty" / "list.txt").write_text("# a list that names nothing\n")
    for words in (
        ("index", tmp_path / "empty", "-g", tmp_path / "g", "-m", "m"),
        ("index", tmp_path / "nowhere", "-g", tmp_path / "g", "-m", "m"),
        ("index", tmp_path / "empty" / "list.txt", "-g", tmp_path / "g", "-m", "m"),
        ("detect", tmp_path / "empty", "--model", "m"),
    ):
        ended = command(*words)
        assert (ended.code, ended.out, len(ended.errors)) == (4, "", 1), ended.err
    assert not (tmp_path / "g").exists()


def test_a_mat_file_that_is_none(command, searcher, tmp_path: Path) -> None:
    root = tmp_path / "data"
    (root / "Image" / "SSM").mkdir(parents=True)
    for file in ("Images.mat", "pool.mat", "test/train_test/Train.mat", "test/train_test/TestG50.mat"):
        (root / "annotation" / file).parent.mkdir(parents=True, exist_ok=True)
        (root / "annotation" / file).write_bytes(b"MATLAB? no.")
    for words in (
        ("train", "--root", root, "--out", tmp_path / "run", "--preset", "compact-tiny"),
        ("evaluate", "--root", root, "--model", tmp_path, "--gallery-size", "50"),
        ("train", "--root", tmp_path / "nowhere", "--out", tmp_path / "run"),
    ):
        ended = command(*words)
        assert (ended.code, ended.out, len(ended.errors)) == (4, "", 1), ended.err
    assert not (tmp_path / "run").exists()


def test_a_gallery_that_is_none(command, searcher, photos: Path, tmp_path: Path) -> None:
    (tmp_path / "g").mkdir()
    (tmp_path / "g" / "gallery.json").write_text("{}")
    for words in (
        ("search", "-q", photos / "a.png", "-g", tmp_path / "g", "-m", "m"),
        ("index", photos, "-g", tmp_path / "g", "-m", "m"),
        ("search", "-q", photos / "a.png", "-g", photos, "-m", "m"),
    ):
        ended = command(*words)
        assert (ended.code, ended.out, len(ended.errors)) == (4, "", 1), ended.err


def test_a_full_disk(command, gallery: Path, photos: Path, tmp_path: Path, monkeypatch) -> None:
    def full(*given: object, **named: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    page = tmp_path / "p.html"
    page.write_text("the old page")
    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full)
        ended = command("search", "-q", photos / "a.png", "-g", gallery, "-m", "m", "--html", page)
    assert (ended.code, len(ended.errors)) == (1, 1)
    assert "no space left" in ended.errors[0].lower()
    assert page.read_text() == "the old page"
    assert not list(tmp_path.glob(".*tmp"))
    assert command("search", "-q", photos / "a.png", "-g", gallery, "-m", "m", "--html", page).code == 0
    assert page.read_text() != "the old page"


def test_nothing_is_drawn_over_what_is_in_a_folder(command, tmp_path: Path) -> None:
    mine = tmp_path / "Image" / "SSM" / "s1.jpg"
    mine.parent.mkdir(parents=True)
    mine.write_bytes(b"mine")
    for out in (tmp_path, mine):
        ended = command("dataset", "make", "--preset", "tiny", "--out", out)
        assert (ended.code, ended.out, len(ended.errors)) == (2, "", 1)
        assert str(out) in ended.errors[0]
    assert mine.read_bytes() == b"mine"
    assert [item.name for item in tmp_path.iterdir()] == ["Image"]
