"""detect and index on films, patterns, lists and cameras, through the commands."""

from __future__ import annotations

import json
import runpy
import time
from pathlib import Path

import numpy as np
import pytest

film = runpy.run_path(str(Path(__file__).parents[1] / "media" / "films.py"))["film"]
played = runpy.run_path(str(Path(__file__).with_name("played_cameras.py")))


def scene(x: int) -> np.ndarray:
    pixels = np.full((100, 200, 3), 250, np.uint8)
    if x >= 0:
        pixels[20:80, x : x + 20] = (220, 30, 30)
    return pixels


@pytest.fixture
def walk(tmp_path: Path) -> Path:
    """Three seconds, somebody walks to the right."""
    return film(tmp_path / "films" / "walk.mkv", [scene(20 + 4 * n) for n in range(30)], codec="mjpeg")


def answers(ended) -> list[dict]:
    return [json.loads(line) for line in ended.out.splitlines()]


def test_detect_says_when_in_the_film(command, searcher, walk: Path) -> None:
    ended = command("detect", walk, "--model", "m", "--every", "1s", "--progress", "none")
    assert ended.code == 0, ended.err
    seen = answers(ended)
    assert [(one["position_s"], one["pts"], one["time_base"]) for one in seen] == [
        (0.0, 0, "1/1000"),
        (1.0, 1000, "1/1000"),
        (2.0, 2000, "1/1000"),
    ]
    assert [round(one["people"][0]["box_xyxy"][0] / 4) for one in seen] == [5, 15, 25]
    assert seen[1]["picture"] == f"{walk}@00:00:01.000"
    assert seen[1]["video"] == str(walk)
    paths = command("detect", walk, "--model", "m", "--format", "paths", "--progress", "none")
    assert paths.out.splitlines() == [str(walk)]


def test_index_a_film_and_other_sources(command, searcher, walk: Path, photos: Path, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("photos/a.png\nphotos/trip/c.png\n")
    words = ("--gallery", tmp_path / "g", "--model", "m", "--progress", "none")
    ended = command("index", walk, tmp_path / "list.txt", f"{photos}/b*.png", *words, "--fps", "2", "--json")
    assert ended.code == 0, ended.err
    (report,) = answers(ended)
    assert (report["added"], report["frames"], report["tracklets"], report["failed"]) == (4, 6, 1, 0)
    again = answers(command("index", walk, photos, *words, "--fps", "2"))[0]
    assert (again["unchanged"], again["added"], again["frames"]) == (4, 0, 0)
    table = command("index", walk, *words, "--format", "table", "--all-frames").out
    assert "30" in table.split("frames")[1]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--every", "1s", "--fps", "2"), "one rule chooses the frames"),
        (("--every", "soon"), "is not a step between frames"),
        (("--scene", "3"), "a change of 3"),
        (("--time-from", "moon"), "time from 'moon' is not understood"),
        (("--frames", "x"), "--frames is for cameras"),
        (("--frames", "x", "--for", "1m"), "--frames and --for are for cameras"),
    ],
)
def test_options_that_cannot_be_meant(command, searcher, photos: Path, words, said: str) -> None:
    ended = command("index", photos, "-g", photos.parent / "g", "-m", "m", *words)
    assert ended.code == 2
    assert said in ended.errors[0]
    assert not (photos.parent / "g").exists()


def failing(searcher, on) -> None:
    """The searcher fails on the pictures whose number, from 0 on, is ``on``."""
    real, calls = searcher.detect, iter(range(10**6))

    def detect(picture):
        if on(next(calls)):
            raise RuntimeError("no kernel")
        return real(picture)

    searcher.detect = detect


def test_detect_passes_over_what_the_model_fails_on(command, searcher, walk: Path, photos: Path) -> None:
    words = ("detect", walk, photos / "a.png", "--model", "m", "--progress", "none")
    failing(searcher, lambda n: n in (1, 3))
    ended = command(*words, "--every", "500ms")
    assert ended.code == 3
    assert [one.get("position_s") for one in answers(ended)] == [0.0, 1.0, 2.0, 2.5, None]
    assert [line for line in ended.errors if "the model failed" in line] == [
        f"error: {walk}@00:00:0{at}: the model failed: RuntimeError: no kernel" for at in ("0.500", "1.500")
    ]
    assert "1 of 2 files could not be used, or not whole" in ended.err


@pytest.mark.parametrize("step", ["1s", "100ms"])
def test_detect_fails_if_the_model_fails_on_everything(command, searcher, walk: Path, step: str) -> None:
    failing(searcher, lambda n: True)
    ended = command("detect", walk, "--model", "m", "--progress", "none", "--every", step)
    assert (ended.code, ended.out) == (1, "")
    said = "on 20 frames in a row" if step == "100ms" else "on everything"
    assert f"the model failed {said}: RuntimeError: no kernel" in ended.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("rtsp://h/1", "--scene", "0.1"), "a camera is looked at in steps of time"),
        (("rtsp://h/1", "--all-frames"), "a camera is looked at in steps of time"),
        (("rtsp://h/1", "--keyframes"), "a camera is looked at in steps of time"),
        (("a.png", "--for", "10s"), "--for is for cameras"),
    ],
)
def test_detect_refuses_what_cannot_be_meant(command, searcher, photos: Path, words, said: str) -> None:
    source, *options = words
    ended = command("detect", photos / source if "." in source else source, "--model", "m", *options)
    assert (ended.code, said in ended.errors[0]) == (2, True)


def test_detect_says_that_a_camera_broke_off(command, searcher, monkeypatch: pytest.MonkeyPatch) -> None:
    made = played["breaking"](monkeypatch, scene(20), "cable")
    monkeypatch.setattr("personsearch.media.camera.camera", lambda *words, **more: made())
    ended = command("detect", "rtsp://h/1", "--model", "m", "--for", "100ms", "--every", "10ms")
    assert answers(ended)
    assert (ended.code, ended.errors[0]) == (3, "error: yard: cable")


def test_a_camera(command, searcher, tmp_path: Path, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = played["Played"]("yard", [scene(20), scene(-1), scene(40)], time.time())
    monkeypatch.setattr("personsearch.media.camera.camera", lambda *words, **more: fake)
    words = ("--gallery", tmp_path / "g", "--model", "m", "--progress", "none")
    ended = command(
        "index", "rtsp://h/1", *words, "--every", "50ms", "--for", "500ms", "--frames", tmp_path / "s"
    )
    assert ended.code == 0, ended.err
    (report,) = answers(ended)
    assert (report["frames"], report["added"], report["people"]) == (3, 2, 2)
    assert len(list((tmp_path / "s" / "yard").iterdir())) == 2
    refused = command("index", "rtsp://h/1", *words)
    assert (refused.code, "no files that hits could show" in refused.errors[0]) == (2, True)
    both = command("index", "rtsp://h/1", photos, *words)
    assert (both.code, "a camera is watched alone" in both.errors[0]) == (2, True)
    seen = answers(command("detect", "rtsp://h/1", "--model", "m", "--for", "200ms", "--fps", "4"))
    assert [(one["picture"], len(one["people"])) for one in seen] == [("yard", 1), ("yard", 0), ("yard", 1)]
    assert fake.asked == [(0.05, 0.5), (0.25, 0.2)]


def test_a_search_says_where_in_the_film_and_shows_it(
    command, searcher, walk: Path, photos: Path, tmp_path: Path
) -> None:
    words = ("--gallery", tmp_path / "g", "--model", "m")
    assert command("index", walk, photos, *words, "--progress", "none").code == 0
    base = ("search", "-q", photos / "a.png", *words, "--largest", "--conf", "0")
    page = tmp_path / "hits.html"
    ended = command(*base, "--json", "--html", page)
    assert ended.code == 0, ended.err
    (result,) = answers(ended)
    (hit,) = [hit for hit in result["hits"] if hit["picture"] == str(walk)]
    assert hit["position_s"] in (0.0, 1.0, 2.0)
    assert hit["span"] == {"first": 0.0, "last": 2.0, "frames": 3}
    assert all(h["position_s"] is h["span"] is None for h in result["hits"] if h["picture"] != str(walk))
    assert "cannot be shown" not in page.read_text()
    assert f"at 00:00:0{int(hit['position_s'])}.000" in page.read_text()
    table = command(*base, "--format", "table").out
    assert f"00:00:0{int(hit['position_s'])}.000" in table
    walk.write_bytes(b"gone bad")
    assert command(*base, "--json", "--html", page).code == 0
    assert "cannot be shown" in page.read_text()
