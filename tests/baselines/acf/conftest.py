"""Drawn worlds: figures with a head, a body and two legs on ground with boxes and stripes on it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from personsearch.baselines.acf.settings import AcfSettings
from personsearch.files import write_bytes
from personsearch.images import encode_jpeg
from personsearch.types import Scene

SMALL = AcfSettings(
    trees=(16, 32, 64),
    pictures=40,
    views=1,
    negatives=1500,
    negatives_added=800,
    held_out=0.15,
    min_height=50,
)


def draw_person(pixels: np.ndarray, box: np.ndarray, rng: np.random.Generator) -> None:
    left, top, right, bottom = box
    width, height = right - left, bottom - top
    colours = rng.integers(0, 256, (3, 3)).tolist()

    def place(x: float, y: float) -> tuple[int, int]:
        return round(left + x * width), round(top + y * height)

    for leg in (0.2, 0.6):
        cv2.rectangle(pixels, place(leg, 0.55), place(leg + 0.22, 1.0), colours[0], -1)
    cv2.rectangle(pixels, place(0.1, 0.18), place(0.9, 0.58), colours[1], -1)
    cv2.circle(pixels, place(0.5, 0.09), round(height * 0.09), colours[2], -1)


def draw_scene(rng: np.random.Generator, size: tuple[int, int] = (200, 160)) -> tuple[np.ndarray, np.ndarray]:
    """(h, w, 3) uint8 and the boxes of one or two people from 50 px up, who do not overlap."""
    width, height = size
    pixels = np.empty((height, width, 3), np.uint8)
    pixels[:] = rng.integers(60, 200, 3)
    for _ in range(8):
        corner, extent = rng.integers(0, [width, height]), rng.integers(8, 60, 2)
        colour = rng.integers(0, 256, 3).tolist()
        cv2.rectangle(pixels, corner.tolist(), (corner + extent).tolist(), colour, -1)
    boxes = []
    for half in range(int(rng.integers(1, 3))):
        high = rng.uniform(52, 110)
        wide = 0.4 * high
        left = rng.uniform(0, width / 2 - wide) + half * width / 2
        top = rng.uniform(0, height - high)
        boxes.append([left, top, left + wide, top + high])
        draw_person(pixels, np.array(boxes[-1]), rng)
    noise = rng.normal(0, 4, pixels.shape)
    return np.clip(pixels + noise, 0, 255).astype(np.uint8), np.array(boxes, np.float32)


def write_scenes(folder: Path, count: int, seed: int) -> list[Scene]:
    scenes = []
    for number in range(count):
        pixels, boxes = draw_scene(np.random.default_rng([seed, number]))
        path = folder / f"{seed}-{number}.jpg"
        write_bytes(path, encode_jpeg(pixels))
        scenes.append(Scene(path.name, path=path, boxes=boxes, people=np.full(len(boxes), -1)))
    return scenes


@pytest.fixture(scope="session")
def small() -> AcfSettings:
    return SMALL


@pytest.fixture(scope="session")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> list[Scene]:
    return write_scenes(tmp_path_factory.mktemp("drawn"), 24, seed=1)


@pytest.fixture(scope="session")
def new_scenes(tmp_path_factory: pytest.TempPathFactory) -> list[Scene]:
    return write_scenes(tmp_path_factory.mktemp("new"), 8, seed=2)


@pytest.fixture(scope="session")
def drawn() -> Callable[..., tuple[np.ndarray, np.ndarray]]:
    return draw_scene


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, scenes: list[Scene]) -> Path:
    from personsearch.baselines.acf.train import train_acf

    return train_acf(scenes, SMALL, tmp_path_factory.mktemp("acf") / "drawn")
