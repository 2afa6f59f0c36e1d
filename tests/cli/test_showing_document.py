"""The commands of docs/showing.md run, in their order, on small generated pictures and a film."""

from __future__ import annotations

import io
import json
import re
import runpy
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from personsearch.gallery.named import Example, NamedPeople, NamedPerson
from personsearch.media.camera import Camera, CameraFrame

DOCUMENT = Path(__file__).parents[2] / "docs" / "showing.md"
film = runpy.run_path(str(Path(__file__).parents[1] / "media" / "films.py"))["film"]
RED = (220, 30, 30)


def scene(x: int) -> np.ndarray:
    pixels = np.full((100, 200, 3), 250, np.uint8)
    if x >= 0:
        pixels[20:80, x : x + 20] = RED
    return pixels


class Fake(Camera):
    """A camera before which somebody walks by for three seconds; then it is switched off."""

    def frames(self, *_: object, **__: object) -> Iterator[CameraFrame]:
        for number in range(4):
            yield CameraFrame(scene(20 + 20 * number), 1_780_323_187.25 + number)


@pytest.fixture
def world(command, searcher, photos: Path, tmp_path: Path, monkeypatch) -> Path:
    """What the document takes for granted: pictures and a film that are indexed, and a named person."""
    monkeypatch.chdir(tmp_path)
    places = [4 * n if n <= 30 else -1 for n in range(60)]
    film(photos / "walk.mkv", [scene(x) for x in places], codec="mjpeg", sound=True)
    Image.fromarray(scene(30)).save("photo.png")
    Path("incoming").mkdir()
    Image.fromarray(scene(60)).save("incoming/7.png")
    ended = command("index", "photos", "-g", "gallery", "-m", "model", "--progress", "none")
    assert ended.code == 0, ended.err
    look = np.array(RED, np.float32) / 255
    example = Example(vector=look, model="rectangles-1", right=True, picture="photo.png", box=np.ones(4))
    monkeypatch.setattr(
        "personsearch.media.camera.camera",
        lambda address, *, name=None, settings=None: Fake(name or "", opener=lambda: iter(())),
    )
    NamedPeople("gallery").change("Ana", lambda _: NamedPerson(name="Ana", examples=(example,)))
    return tmp_path


def lines() -> list[str]:
    blocks = re.findall(r"^```sh\n(.*?)^```", DOCUMENT.read_text(), re.M | re.S)
    return [line for block in blocks for line in block.splitlines() if line]


def run_line(line: str, command, monkeypatch):
    """One line of the document as a shell would: pipes and ``>`` between commands of ours."""
    line, _, target = line.partition(" > ")
    fed = None
    for part in line.split(" | "):
        if fed is not None:
            monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(fed.encode())))
        words = shlex.split(part)
        assert words[0] == "personsearch"
        ended = command(*words[1:])
        assert ended.code == 0, f"{part}: {ended.err}"
        fed = ended.out
    if target:
        Path(target.strip()).write_text(ended.out)
    return ended


def test_every_command_runs_and_leaves_what_it_says(command, world: Path, monkeypatch) -> None:
    told = [run_line(line, command, monkeypatch).out for line in lines()]
    for name in ("hits.jpg", "hits.png"):
        Image.open(world / name).verify()
    assert (world / "hits.html").read_text().startswith("<!doctype html>")
    assert len(list((world / "seen").glob("*.png"))) >= 3
    for name in ("seen.json", "people.json"):
        assert json.loads((world / name).read_text())["annotations"]
    assert list((world / "clips").glob("*.mp4"))
    alerts = [
        json.loads(out) for out, line in zip(told, lines(), strict=True) if "personsearch watch" in line
    ]
    assert [alert["person"] for alert in alerts] == ["Ana"] * 4
    assert [alert["camera"] for alert in alerts] == [None, None, "gate", "yard"]
    assert [alert["detection"] is None for alert in alerts] == [True, False, True, True]  # one is indexed
    assert (world / "gate.jsonl").exists()
    assert [path.suffix for path in (world / "frames" / "yard").iterdir()] == [".jpg"]


def test_the_examples_have_the_fields_that_there_are(command, world: Path, monkeypatch) -> None:
    examples = [
        json.loads(block) for block in re.findall(r"^```json\n(.*?)^```", DOCUMENT.read_text(), re.M | re.S)
    ]
    known = {example["schema"]: example for example in examples}
    ended = command("watch", "incoming", "-g", "gallery", "-m", "model", "--once", "--min-similarity", "-0.2")
    assert json.loads(ended.out).keys() == known["personsearch.alert/1"].keys()
    from personsearch.report.review import read_judgements

    (world / "j.json").write_text(json.dumps(known["personsearch.judgements/1"]))
    assert read_judgements(world / "j.json").judged[0].same
