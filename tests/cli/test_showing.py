"""sheet, annotate, clips and watch through the commands, with names that mean harm."""

from __future__ import annotations

import csv
import io
import itertools
import json
import os
import runpy
import sys
import threading
import time
import types
from dataclasses import replace
from fractions import Fraction
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import personsearch.cli.watch
import personsearch.cli.watch_camera
from personsearch.gallery.gallery import Gallery
from personsearch.gallery.named import Example, NamedPeople, NamedPerson
from personsearch.indexing.watch_sources import Alert
from personsearch.media.camera import Camera, CameraSettings

film = runpy.run_path(str(Path(__file__).parents[1] / "media" / "films.py"))["film"]
played = runpy.run_path(str(Path(__file__).with_name("played_cameras.py")))
RED, GREEN = (220, 30, 30), (30, 220, 30)


def scene(x: int, colour=RED) -> np.ndarray:
    pixels = np.full((100, 200, 3), 250, np.uint8)
    if x >= 0:
        pixels[20:80, x : x + 20] = colour
    return pixels


@pytest.fixture
def walk(tmp_path: Path) -> Path:
    """Twelve seconds with sound; red walks from 2 s to 4 s and stands there again from 8 s to 9 s."""
    places = [20 + 4 * (n - 20) if 20 <= n <= 40 else 120 if 80 <= n <= 90 else -1 for n in range(120)]
    return film(tmp_path / "films" / "walk.mkv", [scene(x) for x in places], codec="mjpeg", sound=True)


@pytest.fixture
def hits(photos: Path, walk: Path, tmp_path: Path) -> Path:
    """What a search for red in a.png answers, as JSON lines: two pictures, and two ways through the film."""
    found = [
        (photos / "b.png", [100, 20, 120, 80], None, None),
        (walk, [60, 20, 80, 80], 3.0, {"first": 2.0, "last": 4.0, "frames": 5}),
        (walk, [120, 20, 140, 80], 8.0, {"first": 8.0, "last": 9.0, "frames": 3}),
        (photos / "trip" / "c.png", [50, 30, 70, 90], None, None),
    ]
    record = {
        "schema": "personsearch.search/1",
        "query": {"picture": str(photos / "a.png"), "box_xyxy": [10, 10, 30, 70]},
        "gallery": str(tmp_path / "gallery"),
        "pictures": 4,
        "people": 9,
        "model": "rectangles-1",
        "similarity": "euclidean",
        "hits": [
            {
                "rank": rank,
                "similarity": -0.1 * rank,
                "probability": None,
                "picture": str(file),
                "box_xyxy": box,
                "score": 0.9,
                "detection": rank,
                "camera": None,
                "time": None,
                "position_s": position,
                "span": span,
            }
            for rank, (file, box, position, span) in enumerate(found, 1)
        ],
    }
    path = tmp_path / "hits.jsonl"
    path.write_text(json.dumps(record) + "\n")
    return path


def answer(ended) -> dict:
    assert ended.code in (0, 3), ended.err
    (line,) = ended.out.splitlines()
    return json.loads(line)


# sheet


@pytest.mark.parametrize("name", ["sheet.png", "sheet.jpg"])
def test_sheet(command, hits: Path, tmp_path: Path, name: str) -> None:
    told = answer(command("sheet", hits, "--out", tmp_path / name, "--columns", "3", "--most", "3"))
    with Image.open(tmp_path / name) as picture:
        assert picture.format == ("PNG" if name.endswith("png") else "JPEG")
        assert picture.size == (told["width"], told["height"]) == (3 * 192 + 12, told["height"])
        pixels = np.asarray(picture.convert("RGB")).astype(int)
    middle = pixels[12 + 180, [12 + 90, 192 + 12 + 90, 384 + 12 + 90]]
    assert (np.abs(middle - RED).max(axis=1) < 40).all()  # the person looked for, and the first two hits
    assert told["hits"] == 3
    assert answer(command("sheet", hits, "-o", tmp_path / "s.png", "--scenes"))["width"] > told["width"]


def test_sheet_of_somebody_in_a_frame_of_a_video(command, searcher, walk: Path, tmp_path: Path) -> None:
    gallery = tmp_path / "gallery"
    more = ("-m", "m", "--progress", "none")
    assert command("index", walk, "-g", gallery, "--every", "500ms", *more).code == 0
    there = answer(command("search", "--detection", "3", "--own", "-g", gallery, "--json"))
    assert there["examples"][0]["position_s"] == 3.0
    (tmp_path / "found.jsonl").write_text(json.dumps(there))
    told = answer(command("sheet", tmp_path / "found.jsonl", "--out", tmp_path / "s.png"))
    with Image.open(tmp_path / "s.png") as picture:
        pixels = np.asarray(picture.convert("RGB")).astype(int)
    assert told["hits"] >= 1
    assert np.abs(pixels[12 + 180, 12 + 90] - RED).max() < 40
    there["examples"][0]["position_s"] = 3.05  # no frame of the film
    (tmp_path / "found.jsonl").write_text(json.dumps(there))
    answer(command("sheet", tmp_path / "found.jsonl", "--out", tmp_path / "s.png"))
    with Image.open(tmp_path / "s.png") as picture:
        grey = np.asarray(picture.convert("RGB")).astype(int)[12 + 180, 12 + 90]
    assert np.ptp(grey) < 20


def test_sheet_reads_from_a_pipe(command, hits: Path, tmp_path: Path, monkeypatch) -> None:
    class Pipe(io.TextIOWrapper):
        def isatty(self) -> bool:
            return False

    monkeypatch.setattr(sys, "stdin", Pipe(io.BytesIO(hits.read_bytes() * 2)))
    told = answer(command("sheet", "--out", tmp_path / "s.png"))
    assert (told["searches"], told["hits"]) == (2, 8)


def test_sheet_says_what_is_wrong(command, hits: Path, photos: Path, tmp_path: Path) -> None:
    assert command("sheet", hits, "--out", tmp_path / "s.gif").code == 2
    assert command("sheet", tmp_path / "none.jsonl", "--out", tmp_path / "s.png").code == 4
    (tmp_path / "empty").write_text("")
    assert "has no answers" in command("sheet", tmp_path / "empty", "--out", tmp_path / "s.png").err
    seen = {"schema": "personsearch.detect/1", "picture": str(photos / "a.png"), "people": []}
    (tmp_path / "seen").write_text(json.dumps(seen))
    assert "not the answer of a search" in command("sheet", tmp_path / "seen", "-o", tmp_path / "s.png").err
    assert not (tmp_path / "s.png").exists()


# annotate


def test_annotate_hits_in_pictures_and_frames(command, hits: Path, photos: Path, tmp_path: Path) -> None:
    before = {path: path.read_bytes() for path in photos.rglob("*.png")}
    told = answer(
        command(
            "annotate",
            hits,
            "-o",
            tmp_path / "seen",
            "--as",
            "png",
            "--coco",
            tmp_path / "coco.json",
            "--progress",
            "none",
        )
    )
    copies = [Path(copy["copy"]) for copy in told["copies"]]
    assert len(copies) == len(set(copies)) == 4
    assert sorted(copies) == sorted((tmp_path / "seen").iterdir())
    assert {path: path.read_bytes() for path in before} == before
    for copy in told["copies"]:
        pixels = np.asarray(Image.open(copy["copy"]))
        assert (pixels == (240, 228, 66)).all(axis=2).any()  # a box
    coco = json.loads((tmp_path / "coco.json").read_text())
    assert len(coco["images"]) == len(coco["annotations"]) == 4
    assert {(image["width"], image["height"]) for image in coco["images"]} == {(200, 100)}
    again = answer(command("annotate", hits, "-o", tmp_path / "seen", "--as", "png", "--progress", "none"))
    assert [copy["copy"] for copy in again["copies"]] == [copy["copy"] for copy in told["copies"]]


def test_annotate_what_detect_saw(command, searcher, walk: Path, tmp_path: Path) -> None:
    seen = command("detect", walk, "--model", "m", "--every", "300ms", "--json", "--progress", "none")
    (tmp_path / "seen.jsonl").write_text(seen.out)
    ended = command(
        "annotate", tmp_path / "seen.jsonl", "-o", tmp_path / "out", "--format", "paths", "--progress", "none"
    )
    assert ended.code == 0, ended.err
    assert len(ended.out.splitlines()) == len(seen.out.splitlines())
    assert all(Path(line).exists() for line in ended.out.splitlines())


def test_annotate_a_joined_recording(command, searcher, tmp_path: Path) -> None:
    """Its second part has the time stamps of the first one again."""
    parts = []
    for first in (10, 150):
        stills = [scene(first + 2 * n) for n in range(6)]
        part = film(
            tmp_path / f"{first}.ts", stills, pts=range(6), time_base=Fraction(1, 25), codec="mpeg2video"
        )
        parts.append(part.read_bytes())
    (tmp_path / "both.ts").write_bytes(parts[0] + parts[1])
    seen = command("detect", tmp_path / "both.ts", "--model", "m", "--all-frames", "--progress", "none")
    (tmp_path / "seen.jsonl").write_text(seen.out)
    found = [json.loads(line) for line in seen.out.splitlines()]
    assert len({one["pts"] for one in found}) < len(found)
    out = tmp_path / "copies"
    told = answer(command("annotate", tmp_path / "seen.jsonl", "--out", out, "--as", "png"))
    assert told["failed"] == 0
    for one, row in zip(found, told["copies"], strict=True):
        x1, y1, x2, y2 = one["people"][0]["box_xyxy"]
        with Image.open(row["copy"]) as copy:
            middle = np.array(copy.convert("RGB").getpixel((int(x1 + x2) // 2, int(y1 + y2) // 2)))
        assert np.abs(middle - RED).max() < 60


def test_annotate_passes_over_what_is_gone(command, hits: Path, photos: Path, tmp_path: Path) -> None:
    (photos / "b.png").unlink()
    ended = command("annotate", hits, "-o", tmp_path / "seen", "--progress", "none")
    assert ended.code == 3
    assert "b.png" in ended.err
    assert len(answer(ended)["copies"]) == 3


# clips


def test_clips_hold_every_hit_and_keep_the_sound(command, hits: Path, walk: Path, tmp_path: Path) -> None:
    from personsearch.media.video import Video

    around = ("--before", "500ms", "--after", "1s", "--progress", "none")
    words = ("clips", hits, "--out", tmp_path / "clips", *around)
    told = answer(command(*words))
    assert (told["hits"], told["hits_in_pictures"], told["failed"]) == (4, 2, 0)
    one, other = told["clips"]
    assert (one["start_s"], one["end_s"], other["start_s"], other["end_s"]) == (1.5, 5.0, 7.5, 10.0)
    for clip in told["clips"]:
        with Video(clip["clip"]) as video:
            frames = list(video.frames())
        assert frames[-1].position == pytest.approx(clip["end_s"] - clip["start_s"], abs=0.11)
        for hit in clip["hits"]:
            near = min(frames, key=lambda frame: abs(frame.position - hit["at_s"]))
            assert abs(near.position - hit["at_s"]) < 1e-3
            assert (np.abs(near.pixels.astype(int) - RED).max(axis=2) < 60).any()
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "clips").iterdir()}
    assert len(before) == 2
    next(iter(before)).unlink()  # an interrupted run: only what is missing is made
    answer(command(*words))
    after = {path: path.stat().st_mtime_ns for path in (tmp_path / "clips").iterdir()}
    assert after.keys() == before.keys()
    assert sum(after[path] != before[path] for path in after) == 1


def test_overlapping_clips_become_one(command, hits: Path, tmp_path: Path) -> None:
    told = answer(command("clips", hits, "-o", tmp_path / "c", "--after", "5s", "--progress", "none"))
    assert len(told["clips"]) == 1
    assert len(told["clips"][0]["hits"]) == 2


def test_a_video_that_is_gone_is_said(command, hits: Path, walk: Path, tmp_path: Path) -> None:
    walk.unlink()
    ended = command("clips", hits, "-o", tmp_path / "c", "--progress", "none")
    assert ended.code == 3
    assert f"{walk} is gone" in ended.err
    assert answer(ended)["clips"] == []
    walk.write_bytes(b"no film")
    ended = command("clips", hits, "-o", tmp_path / "c", "--progress", "none")
    assert ended.code == 3
    assert "is not a video" in ended.err
    assert list((tmp_path / "c").iterdir()) == []


def test_hits_in_pictures_alone_have_no_clips(command, hits: Path, tmp_path: Path) -> None:
    record = json.loads(hits.read_text())
    record["hits"] = record["hits"][::3]
    hits.write_text(json.dumps(record))
    ended = command("clips", hits, "-o", tmp_path / "c", "--format", "table")
    assert ended.code == 0
    assert "none of the 2 hits is in a video" in ended.out


# hostile names


def with_names(hits: Path, tmp_path: Path, change) -> Path:
    """The answer with other paths in it."""
    record = json.loads(hits.read_text())
    for hit in record["hits"]:
        hit["picture"] = str(change(Path(hit["picture"])))
        if hit["picture"].endswith(".png"):
            hit["position_s"] = None
    path = tmp_path / "changed.jsonl"
    path.write_text(json.dumps(record) + "\n")
    return path


EVIL = (
    "=cmd|'calc'!A0",
    "<img src=x onerror=alert(1)>",
    "a\nb",
    "-rf",
    "..evil",
    "CON",
    "f\udce9",
    "\x1b[2J",
)


def test_names_that_mean_harm_stay_names(command, hits, walk, photos, tmp_path) -> None:
    record = json.loads(hits.read_text())
    picture, moving = record["hits"][:2]
    record["hits"] = []
    for name in EVIL:
        (photos / f"{name}.png").write_bytes((photos / "b.png").read_bytes())
        record["hits"].append({**picture, "picture": str(photos / f"{name}.png")})
    for name in EVIL[1:7:5]:
        walk.with_name(f"{name}.mkv").write_bytes(walk.read_bytes())
        record["hits"].append({**moving, "picture": str(walk.with_name(f"{name}.mkv"))})
    changed, out = tmp_path / "changed.jsonl", tmp_path / "deep" / "out"
    changed.write_text(json.dumps(record) + "\n")
    for words in (
        ("sheet", changed, "-o", tmp_path / "deep" / "sheet.png"),
        ("annotate", changed, "-o", out, "--progress", "none", "--coco", tmp_path / "deep" / "coco.json"),
        ("clips", changed, "-o", out, "--progress", "none"),
    ):
        ended = command(*words)
        assert ended.code == 0, ended.err
    made = sorted(path.relative_to(tmp_path / "deep").as_posix() for path in (tmp_path / "deep").rglob("*"))
    assert len(made) == 3 + (len(EVIL) + 2) + 2
    assert all(part[0] not in ".-" and part.isprintable() for path in made for part in path.split("/"))
    record["hits"] = [hit for hit in record["hits"] if "\x1b" in hit["picture"]]
    changed.write_text(json.dumps(record) + "\n")
    table = command("annotate", changed, "-o", out, "--progress", "none", "--format", "table").out
    assert "?[2J" in table
    assert "\x1b" not in table


def test_no_cell_of_csv_is_a_formula(command, hits: Path, photos: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(photos)
    for name in ("=1+1.png", "@sum.png", "+1.png", "-1.png"):
        (photos / name).write_bytes((photos / "b.png").read_bytes())
        changed = with_names(hits, tmp_path, lambda path, name=name: name)
        words = ("annotate", changed, "-o", tmp_path / "out", "--progress", "none", "--format", "csv")
        cells = [row["picture"] for row in csv.DictReader(io.StringIO(command(*words).out))]
        assert cells[0] == f"'{name}"


def test_paths_that_lead_elsewhere_write_nothing_elsewhere(command, hits: Path, tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    changed = with_names(hits, tmp_path, lambda path: f"{tmp_path}/x/../{path.relative_to(tmp_path)}")
    for verb in ("annotate", "clips"):
        assert command(verb, changed, "-o", tmp_path / "out", "--progress", "none").code == 0
    before = {"films", "photos", "hits.jsonl", "changed.jsonl", "x", "out"}
    assert {path.name for path in tmp_path.iterdir()} == before


def test_links_in_the_output_folder_are_replaced_not_followed(command, hits: Path, tmp_path: Path) -> None:
    out, secret = tmp_path / "out", tmp_path / "secret.txt"
    for verb in ("annotate", "clips"):
        told = command(verb, hits, "-o", out, "--progress", "none", "--format", "paths").out.splitlines()
        for line in told:
            Path(line).unlink()
            secret.write_text("mine")
            Path(line).symlink_to(secret)
        again = command(verb, hits, "-o", out, "--progress", "none", "--format", "paths").out.splitlines()
        assert again == told
        assert secret.read_text() == "mine"
        assert not any(Path(line).is_symlink() for line in told)


def test_devices_and_pipes_are_no_pictures(command, hits: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    changed = with_names(hits, tmp_path, lambda path: tmp_path / "pipe")
    for verb in ("annotate", "clips"):
        ended = command(verb, changed, "-o", tmp_path / "out", "--progress", "none")
        assert ended.code == 3, ended.err


# watch


@pytest.fixture
def ana(gallery: Path) -> Path:
    """Red has a name in the gallery."""
    look = np.array([220 / 255, 30 / 255, 30 / 255], np.float32)
    example = Example(
        vector=look, model="rectangles-1", right=True, picture="a.png", box=np.array([10, 10, 30, 70])
    )
    NamedPeople(gallery).change("Ana", lambda _: NamedPerson(name="Ana", examples=(example,)))
    return gallery


def alerts(ended) -> list[dict]:
    return [json.loads(line) for line in ended.out.splitlines()]


ALIKE = ("--min-similarity", "-0.2")


def test_watch_a_folder_that_grows(command, ana: Path, photos: Path, tmp_path: Path) -> None:
    words = ("watch", tmp_path / "new", "-g", ana, "-m", "m", "--once", *ALIKE, "--quiet", "0")
    (tmp_path / "new").mkdir()
    assert command(*words).code == 0
    Image.fromarray(scene(40)).save(tmp_path / "new" / "1.png")
    Image.fromarray(scene(40, GREEN)).save(tmp_path / "new" / "2.png")
    (alert,) = alerts(command(*words))
    assert (alert["schema"], alert["person"]) == ("personsearch.alert/1", "Ana")
    assert alert["picture"] == str(tmp_path / "new" / "1.png")
    assert alert["box_xyxy"] == [40, 20, 60, 80]
    assert alert["similarity"] == pytest.approx(0, abs=0.01)
    assert alerts(command(*words)) == []  # nothing new
    Image.fromarray(scene(90)).save(tmp_path / "new" / "3.png")
    (tmp_path / "new" / "4.png").write_bytes(b"broken")
    ended = command(*words)
    assert ended.code == 3
    assert "4.png" in ended.err
    assert [Path(alert["picture"]).name for alert in alerts(ended)] == ["3.png"]
    assert command(*words).code == 0  # said once, and again only when it changes


def test_watch_a_film_tells_every_way_once(command, ana: Path, walk: Path) -> None:
    words = ("watch", walk, "-g", ana, "-m", "m", "--once", "--every", "500ms", *ALIKE)
    found = alerts(command(*words, "--quiet", "3s"))
    assert [(one["position_s"], one["tracklet"]) for one in found] == [(2.0, 0), (8.0, 1)]
    assert alerts(command(*words, "--quiet", "3s")) == []
    os.utime(walk, (1, 1))  # changed: it is looked at again, and nothing is told again
    assert alerts(command(*words, "--quiet", "3s")) == []


def test_watch_indexes_too(command, ana: Path, walk: Path, tmp_path: Path) -> None:
    new = tmp_path / "new"
    new.mkdir()
    here = ("-g", ana, "-m", "m")
    words = ("watch", new, *here, "--once", "--index", "--every", "500ms", *ALIKE, "--quiet", "3s")
    assert command(*words).code == 0
    walk.rename(new / "walk.mkv")
    found = alerts(command(*words))
    assert [(one["position_s"], one["tracklet"]) for one in found] == [(2.0, 0), (8.0, 1)]
    query = ("search", "-q", tmp_path / "photos" / "a.png", *here, "--format", "jsonl")
    hits = json.loads(command(*query).out)["hits"]
    walks = {hit["detection"]: hit["span"] for hit in hits if hit["position_s"] is not None}
    assert len(walks) == 2  # they can be searched
    assert all(isinstance(one["detection"], int) for one in found)
    assert alerts(command(*words)) == []


def test_what_an_earlier_watch_indexed_and_did_not_tell_is_told(command, ana, walk, tmp_path) -> None:
    words = ("-g", ana, "-m", "m", "--every", "500ms")
    watching = ("watch", walk.parent, *words, "--once", "--index", *ALIKE, "--quiet", "3s")
    (tmp_path / "empty").mkdir()
    assert command("watch", tmp_path / "empty", *words, "--once", "--index", *ALIKE).code == 0  # begins here
    assert command("index", walk, *words, "--progress", "none").code == 0  # the kill came after this
    assert len(alerts(command(*watching))) == 2


@pytest.fixture
def yard(monkeypatch):
    """Makes the camera of every address one that shows these pictures; gives the cameras made."""
    cameras = []
    now = time.time()

    def made(shots, address, *, name=None, **more):
        cameras.append(played["Played"](name or "yard", shots, now + len(cameras)))
        return cameras[-1]

    def at(shots) -> list:
        monkeypatch.setattr("personsearch.media.camera.camera", partial(made, shots))
        monkeypatch.setattr("personsearch.cli.watch_camera.LOOK", 0.0)
        monkeypatch.setattr("personsearch.cli.watch_camera.RELOAD", 0.0)
        return cameras

    return at


def test_watch_a_camera(command, ana: Path, tmp_path: Path, yard) -> None:
    cameras = yard([scene(20), scene(24), scene(-1), scene(28)])
    words = ("watch", "rtsp://10.0.0.7/1", "-g", ana, "-m", "m", "--every", "10ms", "--for", "400ms", *ALIKE)
    ended = command(*words, "--frames", tmp_path / "seen")
    assert (ended.code, ended.err) == (0, "")
    (alert,) = alerts(ended)
    assert (alert["person"], alert["camera"]) == ("Ana", "yard")
    with Image.open(alert["picture"]) as picture:
        assert picture.size == (200, 100)
    assert Path(alert["picture"]).parent == (tmp_path / "seen" / "yard").resolve()
    assert alerts(command(*words)) == []  # seen a moment ago, by another run
    assert [camera.asked for camera in cameras] == [[(0.01, 0.4)]] * 2


def camera_words(gallery: Path, folder: Path, *more: str) -> tuple:
    words = ("watch", "rtsp://10.0.0.7/1", "-g", gallery, "-m", "m", "--every", "10ms", *ALIKE)
    return (*words, "--index", "--frames", folder / "seen", *more)


def test_watch_indexes_a_camera(command, ana: Path, tmp_path: Path, yard) -> None:
    cameras = yard([scene(20), scene(24), scene(60, GREEN), scene(-1)])
    ended = command(*camera_words(ana, tmp_path, "--for", "600ms"))
    assert (ended.code, ended.err) == (0, "")
    (alert,) = alerts(ended)
    assert (alert["person"], alert["camera"]) == ("Ana", "yard")
    kept = sorted((tmp_path / "seen" / "yard").iterdir())
    assert len(kept) == 3
    assert Path(alert["picture"]) in kept
    with Gallery.open(ana) as gallery:
        assert gallery.stored([alert["detection"]])
    assert alerts(command(*camera_words(ana, tmp_path, "--for", "300ms"))) == []
    assert [camera.asked for camera in cameras] == [[(0.01, 0.6)], [(0.01, 0.3)]]


def test_who_was_seen_last_is_told_though_the_camera_is_lost(command, ana, tmp_path, monkeypatch) -> None:
    shots = iter([scene(20)])

    def opener():
        for pixels in shots:
            yield lambda p=pixels: p
        raise OSError("switched off")

    lost = Camera("yard", opener, CameraSettings(attempts=2, wait=0.01))
    monkeypatch.setattr("personsearch.media.camera.camera", lambda *words, **more: lost)
    monkeypatch.setattr("personsearch.cli.watch_camera.LOOK", 10.0**6)
    ended = command(*camera_words(ana, tmp_path))
    assert [alert["person"] for alert in alerts(ended)] == ["Ana"]
    assert (ended.code, "camera yard cannot be reached: switched off" in ended.err) == (1, True)


def test_an_alert_does_not_wait_for_the_next_frame(command, ana, tmp_path, monkeypatch) -> None:
    told, tell = threading.Event(), personsearch.cli.watch.tell
    in_time = []

    def opener():
        if not in_time:
            yield lambda: scene(20)
            in_time.append(told.wait(10))  # the camera stands still meanwhile
        raise OSError("switched off")

    def telling(alert: Alert) -> None:
        tell(alert)
        told.set()

    still = Camera("yard", opener, CameraSettings(attempts=2, wait=0.01))
    monkeypatch.setattr("personsearch.media.camera.camera", lambda *words, **more: still)
    monkeypatch.setattr("personsearch.gallery.batch.SECONDS", 0.3)
    monkeypatch.setattr("personsearch.cli.watch.tell", telling)
    ended = command(*camera_words(ana, tmp_path))
    assert [alert["person"] for alert in alerts(ended)] == ["Ana"]
    assert in_time == [True]
    assert "switched off" in ended.err


@pytest.mark.parametrize("index", [True, False])
def test_a_break_is_said_while_no_frame_comes(command, ana, tmp_path, monkeypatch, index: bool) -> None:
    told, heard, tries, in_time = threading.Event(), threading.Event(), itertools.count(), []
    say, tell = personsearch.cli.watch_camera.say, personsearch.cli.watch.tell

    def saying(line: str) -> None:
        say(line)
        heard.set()

    def telling(alert: Alert) -> None:
        tell(alert)
        told.set()

    def opener():
        if next(tries) == 0:
            yield lambda: scene(20)
            told.wait(10)
            time.sleep(0.2)  # nobody is at the frame any more
        else:
            in_time.append(heard.wait(10))  # no frame comes, and the camera is not given up either
        raise OSError("switched off")

    still = Camera("yard", opener, CameraSettings(attempts=2, wait=0.01))
    monkeypatch.setattr("personsearch.media.camera.camera", lambda *words, **more: still)
    monkeypatch.setattr("personsearch.cli.watch_camera.say", saying)
    monkeypatch.setattr("personsearch.cli.watch.tell", telling)
    monkeypatch.setattr("personsearch.gallery.batch.SECONDS", 0.1)
    monkeypatch.setattr("personsearch.cli.watch_camera.LOOK", 0.1)
    words = camera_words(ana, tmp_path)
    ended = command(*[word for word in words if index or word != "--index"])
    assert in_time == [True]
    assert ended.errors == [
        "error: yard: switched off",  # the same reason a moment later is not said again
        "error: camera yard cannot be reached: switched off (2 tries)",
    ]


def test_a_camera_that_breaks_all_the_time_is_said_now_and_then(capsys, monkeypatch) -> None:
    clock = [100.0]
    stopped = types.SimpleNamespace(monotonic=lambda: clock[0])
    monkeypatch.setattr("personsearch.cli.watch_camera.time", stopped)
    camera = Camera("yard", lambda: iter(()))
    run = personsearch.cli.watch_camera.CameraRun(camera, None, 1.0, None, 0.5, lambda: None)
    said = {}
    for reason in ["", "cut", "cut", "off", *["off"] * 7, "", "", "", "off"]:
        if reason:
            camera.health.last_error = reason
            camera.health.failures += 1
        run._say_break()
        said[clock[0]] = capsys.readouterr().err
        clock[0] += 1.0
    assert {when: line for when, line in said.items() if line} == {
        101.0: "error: yard: cut\n",
        103.0: "error: yard: off\n",
        114.0: "error: yard: off\n",  # and none at 113, when it goes again
    }


@pytest.mark.parametrize("index", [True, False])
def test_breaks_of_a_watched_camera_are_said(command, ana, tmp_path, monkeypatch, index: bool) -> None:
    made = played["breaking"](monkeypatch, scene(20), "switched off")
    monkeypatch.setattr("personsearch.media.camera.camera", lambda *words, **more: made())
    words = camera_words(ana, tmp_path, "--for", "500ms")
    ended = command(*[word for word in words if index or word != "--index"])
    assert [alert["person"] for alert in alerts(ended)] == ["Ana"]
    assert (ended.code, ended.errors[0]) == (3, "error: yard: switched off")


@pytest.mark.parametrize("index", [True, False])
def test_who_gets_a_name_meanwhile_is_watched_for(command, ana, tmp_path, yard, index: bool) -> None:
    people = NamedPeople(ana)
    red = people.load("Ana").examples[0]
    green = replace(red, vector=np.array([30 / 255, 220 / 255, 30 / 255], np.float32))

    def shots():
        yield scene(-1)
        people.change("Gil", lambda _: NamedPerson(name="Gil", examples=(green,)))
        yield scene(-1)
        yield scene(60, GREEN)

    yard(shots())
    words = camera_words(ana, tmp_path)
    ended = command(*[word for word in words if index or word != "--index"])
    assert [alert["person"] for alert in alerts(ended)] == ["Gil"]


def test_a_watch_waits_while_somebody_else_writes(command, ana: Path, tmp_path: Path) -> None:
    new = tmp_path / "new"
    new.mkdir()
    words = ("watch", new, "-g", ana, "-m", "m", "--index", *ALIKE, "--poll", "50ms")
    assert command(*words, "--once").code == 0  # begins here
    Image.fromarray(scene(40)).save(new / "1.png")
    with Gallery.open(ana, writable=True):
        ended = command(*words, "--for", "200ms")
        assert (ended.code, ended.out) == (0, "")
        assert "is being written by" in ended.errors[0]
        assert command(*words, "--once").code == 6
    assert [alert["person"] for alert in alerts(command(*words, "--for", "100ms"))] == ["Ana"]


def test_the_last_round_of_a_watch_is_at_its_end(command, ana: Path, tmp_path: Path, monkeypatch) -> None:
    """By a clock of its own: rounds every 10 s for 25 s are four, the last one at the end."""
    clock = types.SimpleNamespace(now=0.0)

    def sleep(seconds: float) -> None:
        clock.now += seconds

    fake = types.SimpleNamespace(monotonic=lambda: clock.now, sleep=sleep, time=time.time)
    monkeypatch.setattr("personsearch.cli.watch.time", fake)
    (tmp_path / "new").mkdir()
    rounds: list[float] = []
    monkeypatch.setattr(
        "personsearch.indexing.watch_sources.FileWatch.round",
        lambda self: rounds.append(clock.now) or iter(()),
    )
    words = ("watch", tmp_path / "new", "-g", ana, "-m", "m", *ALIKE)
    assert command(*words, "--poll", "10s", "--for", "25s").code == 0
    assert rounds == [0.0, 10.0, 20.0, 25.0]


@pytest.mark.parametrize("index", [True, False])
def test_channels_of_a_recorder_are_cameras_with_names(command, ana, tmp_path, yard, index: bool) -> None:
    found = []
    for x, name in ((20, "gate"), (40, "hall"), (60, "gate")):
        yard([scene(x)])
        words = [word for word in camera_words(ana, tmp_path, "--for", "300ms") if index or word != "--index"]
        words[1] = f"rtsp://10.0.0.7/live?channel={len(name)}"
        found.append([alert["camera"] for alert in alerts(command(*words, "--camera", name))])
    assert found == [["gate"], ["hall"], []]  # at the gate a moment ago
    for verb, more in (("watch", ALIKE), ("index", ())):
        ended = command(verb, words[1], "-g", ana, "-m", "m", "--frames", tmp_path / "seen", *more)
        assert ended.code == 2
        assert ended.errors == ["error: this camera needs a name: others may be rtsp://10.0.0.7/live, too"]


@pytest.mark.parametrize("more", [(), ("--index",)])
def test_watch_calls_files_by_the_name_of_their_camera(command, ana: Path, tmp_path: Path, more) -> None:
    (tmp_path / "empty").mkdir()
    words = ("-g", ana, "-m", "m", "--once", *ALIKE, "--quiet", "1h", *more)
    found = []
    for name in ((), ("--camera", "yard")):
        words = (*words, "--state", tmp_path / f"{len(name)}.jsonl", *name)
        assert command("watch", tmp_path / "empty", *words).code == 0  # begins here
        for folder in ("north", "south"):
            file = tmp_path / "new" / folder / "1.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(scene(10 * len(name) + (40 if folder == "north" else 120))).save(file)
        found.append([alert["camera"] for alert in alerts(command("watch", tmp_path / "new", *words))])
    assert found == [[None, None], ["yard"]]  # one camera: the other picture is of a moment later


def test_watch_says_what_is_wrong(command, gallery: Path, ana: Path, photos: Path, tmp_path: Path) -> None:
    words = ("-g", ana, "-m", "m", "--once")
    assert "no calibration" in command("watch", photos, *words).err
    assert command("watch", photos, *words, "--min-prob", "0.5").code == 2
    assert command("watch", "rtsp://10.0.0.7/1", *words, *ALIKE).code == 2
    assert "nobody called Eve" in command("watch", photos, *words, *ALIKE, "--person", "Eve").err
    assert command("watch", photos, *words, *ALIKE, "--frames", tmp_path).code == 2
    assert command("watch", tmp_path / "none", *words, *ALIKE).code == 4
    NamedPeople(ana).remove("Ana")
    assert "nobody to watch for" in command("watch", photos, *words, *ALIKE).err
