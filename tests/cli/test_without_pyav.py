"""Where PyAV is not installed: no video is read, and none is written down as one that cannot be."""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest

from personsearch.gallery.gallery import Gallery

film = runpy.run_path(str(Path(__file__).parents[1] / "media" / "films.py"))["film"]
SAID = "error: the reader of videos is not installed"


@pytest.fixture
def walk(photos: Path) -> Path:
    """A second of somebody who stands there, among the pictures."""
    pixels = np.full((100, 200, 3), 250, np.uint8)
    pixels[20:80, 40:60] = (220, 30, 30)
    return film(photos / "walk.mkv", [pixels] * 10, codec="mjpeg")


def test_index_takes_the_pictures_says_so_and_reads_the_video_once_it_can(
    command, searcher, walk: Path, photos: Path, tmp_path: Path
) -> None:
    words = ("index", photos, "--gallery", tmp_path / "g", "--model", "m", "--progress", "none", "--json")
    for added in (3, 0):
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(sys.modules, "av", None)
            ended = command(*words)
        assert ended.code == 3
        assert (
            f"{walk}: the reader of videos is not installed: pip install 'personsearch[video]'" in ended.err
        )
        assert (json.loads(ended.out)["added"], json.loads(ended.out)["failed"]) == (added, 1)
        with Gallery.open(tmp_path / "g") as opened:
            assert opened.entry(opened.place(walk)) is None
    ended = command(*words)
    assert ended.code == 0, ended.err
    assert json.loads(ended.out)["added"] == 1


def test_index_of_nothing_but_videos_makes_no_gallery(
    command, searcher, walk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    ended = command("index", walk, "--gallery", tmp_path / "g", "--model", "m", "--progress", "none")
    assert (ended.code, ended.errors) == (2, [SAID])
    assert not (tmp_path / "g").exists()


def test_detect_answers_for_the_pictures(
    command, searcher, walk: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    ended = command("detect", photos, "--model", "m", "--progress", "none")
    assert ended.code == 3
    assert len(ended.out.splitlines()) == 3
    assert "walk.mkv: the reader of videos is not installed" in ended.err
    ended = command("detect", walk, "--model", "m", "--progress", "none")
    assert (ended.code, ended.errors) == (2, [SAID])


def test_annotate_says_so_once_and_makes_no_folder(
    command, searcher, walk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = command("detect", walk, "--model", "m", "--progress", "none")
    (tmp_path / "seen.jsonl").write_text(seen.out)
    monkeypatch.setitem(sys.modules, "av", None)
    ended = command("annotate", tmp_path / "seen.jsonl", "-o", tmp_path / "out", "--progress", "none")
    assert (ended.code, ended.errors) == (2, [SAID])
    assert not (tmp_path / "out").exists()
