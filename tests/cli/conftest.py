"""People who are plain rectangles, and a searcher that sees just those: the commands without a network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from personsearch.cli.main import run
from personsearch.types import Array, Detections, Picture

RED, GREEN, BLUE = (220, 30, 30), (30, 220, 30), (30, 30, 220)
WALL = 250


class RectangleSearcher:
    """Sees every rectangle in front of a bright wall; describes it by its mean colour."""

    dim = 3
    similarity = "euclidean"
    calibration = None
    name = "rectangles"

    def __init__(self, fingerprint: str = "rectangles-1") -> None:
        self.fingerprint = fingerprint

    def detect(self, picture: Picture) -> Detections:
        labels, _ = ndimage.label((np.asarray(picture.pixels, int) < WALL - 40).any(axis=2))
        boxes = [[x.start, y.start, x.stop, y.stop] for y, x in ndimage.find_objects(labels)]
        boxes = [box for box in boxes if (box[2] - box[0]) * (box[3] - box[1]) > 60]
        boxes = np.array(boxes, np.float32).reshape(-1, 4)
        return Detections(boxes, np.linspace(0.9, 0.6, len(boxes)), self.embed(picture, boxes))

    def embed(self, picture: Picture, boxes: Array) -> Array:
        rows = []
        for x1, y1, x2, y2 in np.asarray(boxes, int):
            rows.append(picture.pixels[max(y1, 0) : y2, max(x1, 0) : x2].mean(axis=(0, 1)) / 255)
        return np.array(rows, np.float32).reshape(-1, 3)


@dataclass(frozen=True)
class Ended:
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str

    @property
    def errors(self) -> list[str]:
        return [line for line in self.err.splitlines() if line.startswith("error: ")]


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Callable[..., Ended]:
    """Run ``personsearch`` in this process, as a pipe would see it."""

    def call(*words: object) -> Ended:
        capsys.readouterr()
        code = run([str(word) for word in words])
        return Ended(code, *capsys.readouterr())

    return call


@pytest.fixture
def searcher(monkeypatch: pytest.MonkeyPatch) -> RectangleSearcher:
    """Every ``--model`` is the rectangle searcher."""
    fake = RectangleSearcher()
    monkeypatch.setattr("personsearch.model.checkpoint.load_searcher", lambda path, device="auto": fake)
    return fake


def draw(path: Path, *people: tuple[tuple[int, int, int, int], tuple[int, int, int]]) -> Path:
    """A picture of 200x100 with a rectangle ``(x, y, w, h)`` of a colour for everybody."""
    pixels = np.full((100, 200, 3), WALL, np.uint8)
    for (x, y, w, h), colour in people:
        pixels[y : y + h, x : x + w] = colour
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Three pictures: red alone, red and green, blue."""
    folder = tmp_path / "photos"
    draw(folder / "a.png", ((10, 10, 20, 60), RED))
    draw(folder / "b.png", ((30, 20, 20, 60), GREEN), ((100, 20, 20, 60), RED))
    draw(folder / "trip" / "c.png", ((50, 30, 20, 60), BLUE))
    return folder


@pytest.fixture
def gallery(photos: Path, searcher: RectangleSearcher, command: Callable[..., Ended]) -> Path:
    """Those pictures, indexed."""
    path = photos.parent / "gallery"
    ended = command("index", photos, "--gallery", path, "--model", "m", "--progress", "none")
    assert ended.code == 0, ended.err
    return path
