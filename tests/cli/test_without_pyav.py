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


def test_index_says_so_and_reads_the_video_once_it_can(
    command, gallery: Path, walk: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "av", None)
        ended = command("index", photos, "--gallery", gallery, "--model", "m", "--progress", "none")
    assert (ended.code, ended.errors) == (2, [SAID])
    assert "personsearch[video]" in ended.err
    with Gallery.open(gallery) as opened:
        assert opened.entry(opened.place(walk)) is None
    ended = command("index", photos, "--gallery", gallery, "--model", "m", "--progress", "none", "--json")
    assert ended.code == 0, ended.err
    assert json.loads(ended.out)["added"] == 1


@pytest.mark.parametrize("verb", ["detect", "annotate"])
def test_one_error_and_not_one_for_each_file(
    command, searcher, walk: Path, photos: Path, tmp_path: Path, monkeypatch, verb: str
) -> None:
    seen = command("detect", walk, "--model", "m", "--progress", "none")
    (tmp_path / "seen.jsonl").write_text(seen.out)
    monkeypatch.setitem(sys.modules, "av", None)
    words = (
        (photos, "--model", "m") if verb == "detect" else (tmp_path / "seen.jsonl", "-o", tmp_path / "out")
    )
    ended = command(verb, *words, "--progress", "none")
    assert (ended.code, ended.errors) == (2, [SAID])
    assert not (tmp_path / "out").exists()
