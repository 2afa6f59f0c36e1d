"""Every command of docs/sources.md is run, in order, on a few generated pictures, a film and a camera."""

from __future__ import annotations

import json
import re
import runpy
import shlex
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from personsearch.gallery.info import describe
from personsearch.media.camera import Camera, CameraFrame
from personsearch.types import Array

DOCUMENT = Path(__file__).parents[2] / "docs" / "sources.md"
film = runpy.run_path(str(Path(__file__).parents[1] / "media" / "films.py"))["film"]
FIRST = 1_780_323_187.25
"""2026-06-01T14:13:07.250Z"""


def scene(x: int, colour: tuple[int, int, int] = (220, 30, 30)) -> Array:
    pixels = np.full((100, 200, 3), 250, np.uint8)
    pixels[20:80, x : x + 20] = colour
    return pixels


class Fake(Camera):
    """A camera before which somebody walks by for three frames; then it is switched off."""

    def frames(self, *_: object, **__: object) -> Iterator[CameraFrame]:
        for number in range(3):
            yield CameraFrame(scene(20 + 40 * number), FIRST + number)


@pytest.fixture
def place(tmp_path: Path, searcher, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the commands name."""
    for name, x in (
        ("photos/a.png", 10),
        ("photos/deep/b.png", 60),
        ("trip/day1/c.jpg", 110),
        ("photo.jpg", 140),
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(scene(x, (x, 40, 120))).save(tmp_path / name)
    (tmp_path / "list.txt").write_text("# one of them\ntrip/day1/c.jpg\n")
    # Three seconds at ten frames a second, a keyframe every twelve frames, standing still after one.
    film(tmp_path / "cam2.mp4", [scene(min(4 * n, 40)) for n in range(30)])
    monkeypatch.chdir(tmp_path)

    def camera(address: str, *, name: str | None = None, settings: object = None) -> Camera:
        return Fake(name or "webcam0", opener=lambda: iter(()))

    monkeypatch.setattr("personsearch.media.camera.camera", camera)
    return tmp_path


def lines() -> list[str]:
    blocks = re.findall(r"^```sh\n(.*?)^```", DOCUMENT.read_text(), re.M | re.S)
    return [line for block in blocks for line in block.splitlines()]


def test_the_commands_run_as_they_stand_and_count_what_they_say(command, place: Path) -> None:
    assert len(lines()) >= 14
    said = {}
    for line in lines():
        ended = command(*shlex.split(line)[1:], "--progress", "none")
        assert ended.code == 0, (line, ended.err)
        said[line] = [json.loads(row) for row in ended.out.splitlines()]
    counts = ("added", "unchanged", "updated", "people", "frames")
    indexed = [tuple(said[line][0][one] for one in counts) for line in said if " index " in line]
    film = [line for line in said if "index cam2.mp4" in line]
    assert indexed[:3] == [(2, 0, 0, 2, 0), (2, 0, 0, 2, 0), (0, 1, 0, 0, 0)]
    assert [tuple(said[line][0][one] for one in counts) for line in film] == [
        (1, 0, 0, 6, 6),  # three seconds by 500 ms
        (0, 1, 0, 0, 0),  # which is two a second
        (0, 0, 1, 3, 3),  # keyframes at 0, 1.2 and 2.4 s
        (0, 0, 1, said[film[3]][0]["frames"], said[film[3]][0]["frames"]),
        (0, 0, 1, 30, 30),
    ]
    assert 1 < said[film[3]][0]["frames"] < 15  # by change: none of those in which nobody moves
    assert indexed[-3:] == [(3, 0, 0, 3, 3), (0, 2, 0, 0, 0), (3, 0, 0, 3, 0)]
    detected = {line: answers for line, answers in said.items() if " detect " in line}
    by_keyframe = next(answers for line, answers in detected.items() if "--keyframes" in line)
    assert [one["position_s"] for one in by_keyframe] == pytest.approx([0, 1.2, 2.4])
    assert all(person["embedding"] for one in by_keyframe for person in one["people"])
    assert [len(answers) for line, answers in detected.items() if "webcam:0" in line] == [3]
    here, again = describe(Path("gallery")), describe(Path("rebuilt"))
    assert {"phone", "yard"} <= set(here["cameras"])
    assert again["cameras"] == {"yard": 3}
    assert sorted(path.name for path in Path("seen/yard").iterdir())[0] == "2026-06-01T14-13-07.250Z.jpg"
    assert (again["earliest"], again["latest"]) == ("2026-06-01T14:13:07+00:00", "2026-06-01T14:13:09+00:00")
    assert "password" not in "".join(str(answers) for answers in said.values())


def test_every_flag_of_index_is_in_the_document_or_in_that_of_clusters(command) -> None:
    text = DOCUMENT.read_text() + DOCUMENT.with_name("cluster.md").read_text()
    common = {"--help", "--format", "--json", "--parts", "--device", "--progress", "--gallery", "--model",
              "--null", "--recursive"}  # fmt: skip
    for verb in ("index", "detect"):
        flags = set(re.findall(r"^ +(?:-\w, )?(--[a-z-]+)", command(verb, "--help").out, re.M)) - common
        missing = [flag for flag in flags if not re.search(rf"{flag}[ `\n]", text)]
        assert not missing, (verb, missing)
