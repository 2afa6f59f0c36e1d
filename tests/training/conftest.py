"""A handful of generated pictures, and one finished run on them that the tests share."""

from __future__ import annotations

import dataclasses
import logging
from pathlib import Path

import cv2
import numpy as np
import pytest

from personsearch.training.presets import preset
from personsearch.training.settings import TrainingSettings
from personsearch.training.train import train
from personsearch.types import Scene

SIZE = (128, 96)  # width, height


def paint(rng: np.random.Generator, boxes: np.ndarray, people: list[int]) -> np.ndarray:
    """A noisy street with a block of its own colour for everybody."""
    pixels = rng.integers(90, 130, (SIZE[1], SIZE[0], 3), dtype=np.uint8)
    for (x1, y1, x2, y2), person in zip(boxes.astype(int), people, strict=True):
        colour = np.random.default_rng(person + 100).integers(0, 256, 3)
        pixels[y1:y2, x1:x2] = colour
    return pixels


@pytest.fixture(scope="session")
def scenes(tmp_path_factory) -> tuple[Scene, ...]:
    """8 pictures with 3 labelled people and 1 unlabelled; identities 0, 3, 6 ... 33 in two pictures each."""
    folder = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)
    made = []
    for i in range(8):
        left = np.array([4, 36, 68, 100]) + rng.integers(0, 6, 4)
        top = rng.integers(4, 30, 4)
        boxes = np.stack([left, top, left + 20, top + 50], axis=1).astype(np.float32)
        people = [3 * ((3 * i + j) % 12) for j in range(3)] + [-1]
        path = folder / f"{i}.png"
        cv2.imwrite(str(path), paint(rng, boxes, people)[..., ::-1])
        made.append(Scene(path.name, path=path, size=SIZE, boxes=boxes, people=people))
    return tuple(made)


@pytest.fixture(scope="session")
def settings() -> TrainingSettings:
    """Seconds of training, in fp32, saved after every step, long enough to log twice."""
    base = preset("compact-tiny")
    source = dataclasses.replace(base.model.input, short_side=96, long_side=128)
    return dataclasses.replace(
        base,
        model=dataclasses.replace(base.model, input=source),
        initial=dataclasses.replace(base.initial, steps=6),
        joint=dataclasses.replace(base.joint, steps=24),
        precision="fp32",
        validation_identities=2,
        workers=0,
        save_seconds=0.0,
    )


@dataclasses.dataclass(frozen=True)
class Run:
    """A finished run and what it said."""

    folder: Path
    log: str


class _Lines(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


@pytest.fixture(scope="session")
def run(scenes, settings, tmp_path_factory) -> Run:
    """The uninterrupted run; nobody may change its folder."""
    logger, handler = logging.getLogger("personsearch"), _Lines()
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        folder = train(scenes, tmp_path_factory.mktemp("runs") / "run", settings, device="cpu")
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
    return Run(folder, "\n".join(handler.lines))
