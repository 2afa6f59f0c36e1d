"""What people name, and which files that is; and what must not be reached by any name."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from personsearch.errors import InputError
from personsearch.media.sources import find_sources, is_camera, is_video_file


@pytest.fixture
def album(tmp_path: Path) -> Path:
    root = tmp_path / "album"
    for name in ("b.jpg", "a.png", "sub/c.JPG", "sub/film.mp4", "sub/deep/d.webp", "notes.md", "x[1].jpg"):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return root


def names(root: Path, found) -> list[str]:
    return [path.relative_to(root).as_posix() for path in found.files]


def test_a_folder_with_pictures_and_videos(album: Path) -> None:
    found = find_sources([album])
    assert names(album, found) == [
        "a.png",
        "b.jpg",
        "sub/c.JPG",
        "sub/deep/d.webp",
        "sub/film.mp4",
        "x[1].jpg",
    ]
    assert found.folders == found.roots == (album,)
    assert names(album, find_sources([album], recursive=False)) == ["a.png", "b.jpg", "x[1].jpg"]


def test_patterns(album: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert names(album, find_sources([f"{album}/*.jpg"])) == ["b.jpg", "x[1].jpg"]
    assert names(album, find_sources([f"{album}/**/*.[jJ]*"])) == ["b.jpg", "sub/c.JPG", "x[1].jpg"]
    assert names(album, find_sources([f"{album}/x[1].jpg"])) == ["x[1].jpg"]  # a file of that very name
    monkeypatch.chdir(album)
    found = find_sources(["sub/*"])
    assert (names(album, found), found.folders, found.roots) == (
        ["sub/c.JPG", "sub/film.mp4"],
        (),
        (album / "sub",),
    )
    with pytest.raises(InputError, match=r"no file matches .*\.gif"):
        find_sources([f"{album}/*.gif"])


def test_single_files_and_the_same_twice(album: Path) -> None:
    found = find_sources([album / "sub" / "c.JPG", album / "b.jpg", album / "sub" / ".." / "b.jpg", album])
    assert names(album, found)[:2] == ["sub/c.JPG", "b.jpg"]
    assert len(found.files) == 6
    assert names(album, find_sources([album / "notes.md"])) == [
        "notes.md"
    ]  # named: its reader says what it is


def test_lists(album: Path, tmp_path: Path) -> None:
    listing = album / "list.txt"
    listing.write_text(
        "# mine\n\nb.jpg\n  sub/film.mp4  \n../album/a.png\nrtsp://10.0.0.1/x\nsub\nnowhere.jpg\n"
    )
    found = find_sources([listing])
    assert names(album, found) == ["b.jpg", "sub/film.mp4", "a.png", "nowhere.jpg"]
    assert [(Path(f.path).name, f.error) for f in found.failures] == [
        ("x", "a list names files only, no addresses"),
        ("sub", "it is a folder; a list names files"),
    ]
    (album / "odd\nname.jpg").write_bytes(b"x")
    listing.write_bytes(b"b.jpg\0odd\nname.jpg\0")
    assert names(album, find_sources([listing])) == ["b.jpg", "odd\nname.jpg"]
    listing.write_bytes("﻿b.jpg\r\n".encode())
    assert names(album, find_sources([listing])) == ["b.jpg"]
    for content in ("", "# nothing\n"):
        listing.write_text(content)
        with pytest.raises(InputError, match="lists no files"):
            find_sources([listing])


def test_what_is_not_there(album: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        find_sources([album / "nowhere"])
    found = find_sources([album, album / "nowhere"])
    assert len(found.files) == 6
    assert [(f.stage, "does not exist" in f.error) for f in found.failures] == [("find", True)]
    with pytest.raises(InputError, match="is not a path"):
        find_sources(["a\0b"])
    (album / "empty").mkdir()
    with pytest.raises(InputError, match="has no pictures in it or in the folders inside, nor videos"):
        find_sources([album / "empty"])


def test_nothing_outside_of_the_folder_that_may_be_read(album: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret.jpg"
    secret.write_bytes(b"x")
    (album / "link.jpg").symlink_to(secret)
    (album / "loop.jpg").symlink_to(album / "loop.jpg")
    (album / "inside.jpg").symlink_to(album / "b.jpg")
    (album / "list.txt").write_text(f"../secret.jpg\n{secret}\nb.jpg\n")
    for source in (
        album,
        album / "list.txt",
        f"{album}/*.jpg",
        album / "link.jpg",
        album / ".." / "secret.jpg",
    ):
        found = find_sources([source, album / "a.png"], within=album)
        resolved = [path.resolve() for path in found.files if path.name != "loop.jpg"]
        assert all(path.is_relative_to(album) for path in resolved)
        assert any("outside of the folder" in failure.error for failure in found.failures)
    assert "inside.jpg" in names(album, find_sources([album], within=album))


awkward = st.lists(
    st.sampled_from([*"ab./\\~%*?[]", "..", "\u202e", "é", "\n", "%2e%2e", "//", "/../"]), max_size=6
).map("".join)


@given(awkward)
@settings(max_examples=60, deadline=None)
def test_no_name_leads_outside(name: str) -> None:
    with tempfile.TemporaryDirectory() as where:
        # Deep, so that no name climbs out of the temporary folder and walks the whole disk.
        root = Path(where).resolve() / "1/2/3/4/5/6/7/8/root"
        root.mkdir(parents=True)
        (root / "a.jpg").write_bytes(b"x")
        (root.parent / "b.jpg").write_bytes(b"x")
        (root / "list.txt").write_bytes(os.fsencode(f"a.jpg\n{name}\n../b.jpg\n"))
        found = find_sources([root / "list.txt", f"{root}/{name}"], within=root)
        assert all(Path(os.path.realpath(path)).is_relative_to(root) for path in found.files)


def test_folders_nested_deeper_than_python_may_call(tmp_path: Path) -> None:
    deep = 1200
    (tmp_path / "a.jpg").write_bytes(b"x")
    top = Path.cwd()
    try:
        os.chdir(tmp_path)
        for _ in range(deep):
            Path("d").mkdir()
            os.chdir("d")
        found = find_sources([tmp_path])
        for _ in range(deep):
            os.chdir("..")
            Path("d").rmdir()
    finally:
        os.chdir(top)
    assert [path.name for path in found.files] == ["a.jpg"]


def test_kinds(tmp_path: Path, film) -> None:
    real = film(tmp_path / "a.mkv", 2)
    assert is_video_file(real)
    real.rename(tmp_path / "recording")
    assert is_video_file(tmp_path / "recording")
    (tmp_path / "photo").write_bytes(b"\xff\xd8\xff\xe0")
    assert not is_video_file(tmp_path / "photo")
    assert not is_video_file(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "pipe")
    assert not is_video_file(tmp_path / "pipe")
    assert is_camera("RTSP://x/1")
    (tmp_path / "rtsp:x").write_bytes(b"")
    assert not is_camera(str(tmp_path / "rtsp:x"))
