from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from personsearch.baselines.acf.detector import AcfDetector, load_acf, save_acf
from personsearch.baselines.parts import CONFIG, WEIGHTS
from personsearch.errors import InputError
from personsearch.images import load
from personsearch.types import Picture, Scene


@pytest.fixture
def detector(trained: Path) -> AcfDetector:
    return load_acf(trained)


def test_what_a_detector_promises(detector: AcfDetector, drawn: Callable) -> None:
    pixels, _ = drawn(np.random.default_rng(7), (233, 171))  # no whole number of cells
    seen = detector.detect(Picture(pixels))
    assert detector.dim == 0
    assert seen.embeddings.shape == (len(seen), 0)
    assert len(seen)
    assert (seen.boxes >= 0).all()
    assert (seen.boxes[:, 2:] <= [233, 171]).all()
    assert (seen.boxes[:, 2:] > seen.boxes[:, :2]).all()
    assert (np.diff(seen.scores) <= 0).all()
    assert ((seen.scores >= 0) & (seen.scores <= 1)).all()
    again = detector.detect(Picture(pixels))
    assert np.array_equal(seen.boxes, again.boxes)
    assert np.array_equal(seen.scores, again.scores)


def test_scores_keep_the_order_of_the_sums(detector: AcfDetector, drawn: Callable) -> None:
    pixels, _ = drawn(np.random.default_rng(8))
    _, boxes, sums = detector.model.find(detector.model.pyramid(pixels), (200, 160))
    seen = detector.detect(Picture(pixels))
    assert np.array_equal(boxes, seen.boxes)
    assert (np.diff(sums) <= 0).all()
    steps = detector.calibration.probability(np.linspace(-5, 50, 200))
    assert (np.diff(steps) > 0).all()


@pytest.mark.parametrize("size", [(1, 1), (3, 200), (200, 3), (31, 40), (64, 32)])
def test_pictures_of_any_size(detector: AcfDetector, size: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    seen = detector.detect(Picture(rng.integers(0, 256, (*size, 3), dtype=np.uint8)))
    assert (seen.boxes[:, 2:] <= size[::-1]).all()


def test_a_person_moves_and_is_found_there(detector: AcfDetector, scenes: list[Scene]) -> None:
    """Moved by whole cells of the coarsest octave, best boxes move along."""
    pixels = load(scenes[0].path).pixels
    grown = np.pad(pixels, ((16, 0), (32, 0), (0, 0)), mode="edge")
    first, second = detector.detect(Picture(pixels)), detector.detect(Picture(grown))
    assert second.boxes[0] - [32, 16, 32, 16] == pytest.approx(first.boxes[0], abs=6)


def test_saved_again_it_is_the_same(detector: AcfDetector, trained: Path, tmp_path: Path) -> None:
    about = json.loads((trained / CONFIG).read_text())["trained_on"]
    fingerprint = save_acf(tmp_path / "copy", detector.model, detector.calibration, about)
    for name in (CONFIG, WEIGHTS):
        assert (tmp_path / "copy" / name).read_bytes() == (trained / name).read_bytes()
    assert fingerprint == detector.fingerprint
    assert load_acf(tmp_path / "copy").name == "copy"


def _change(folder: Path, change: Callable[[dict], object]) -> None:
    values = json.loads((folder / CONFIG).read_text())
    change(values)
    (folder / CONFIG).write_text(json.dumps(values))


@pytest.mark.parametrize(
    "change",
    [
        lambda v: v.pop("settings"),
        lambda v: v["settings"].pop("window"),
        lambda v: v["settings"].update(nms_overlap=7.0),
        lambda v: v.update(settings=[]),
        lambda v: v.update(power="a"),
        lambda v: v.update(power=float("nan")),
        lambda v: v.update(aspect=None),
        lambda v: v.update(aspect=-1),
        lambda v: v.update(calibration={}),
        lambda v: v.update(kind="bow"),
        lambda v: v["settings"].update(
            window=[16, 32], person_height=25.0
        ),  # fewer features than trees ask about
    ],
)
def test_a_changed_configuration_is_told(trained: Path, tmp_path: Path, change: Callable) -> None:
    folder = Path(shutil.copytree(trained, tmp_path / "copy"))
    _change(folder, change)
    with pytest.raises(InputError, match="copy"):
        load_acf(folder)


@pytest.mark.parametrize(
    "change",
    [
        lambda a: a.pop("leaves"),
        lambda a: a.update(more=a["leaves"]),
        lambda a: a.update(features=a["features"].astype(np.int64)),
        lambda a: a.update(features=a["features"] - 2000),
        lambda a: a.update(leaves=a["leaves"][:, :3]),
        lambda a: a.update(leaves=a["leaves"] * np.float32("nan")),
    ],
)
def test_changed_trees_are_told(trained: Path, tmp_path: Path, change: Callable) -> None:
    folder = Path(shutil.copytree(trained, tmp_path / "copy"))
    arrays = load_file(folder / WEIGHTS)
    change(arrays)
    save_file({name: np.ascontiguousarray(one) for name, one in arrays.items()}, folder / WEIGHTS)
    with pytest.raises(InputError, match="does not fit its configuration"):
        load_acf(folder)
