"""Every detector looks once and every embedder describes once, and nobody can tell the difference."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest
import torch

from personsearch.baselines.ground_truth import GroundTruth
from personsearch.baselines.two_stage import TwoStage
from personsearch.datasets.dataset import Dataset
from personsearch.datasets.open import open_dataset
from personsearch.datasets.synthetic.make import make_dataset
from personsearch.datasets.synthetic.settings import SyntheticSettings
from personsearch.errors import DatasetError, ModelMismatch
from personsearch.experiments.assembled import Finder, Recorded, Stopwatch, Timed, look
from personsearch.experiments.benchmark import Protocol, describe
from personsearch.experiments.timing import ROUNDS
from personsearch.types import Array, Detections, Picture

T = TypeVar("T")
PROTOCOL = Protocol(gallery_size=8)


class Halves:
    """Sees somebody in the left half of every picture and somebody in the right one."""

    name = "halves"

    def __init__(self, fingerprint: str = "h" * 64) -> None:
        self.fingerprint, self.asked = fingerprint, 0

    def detect(self, picture: Picture) -> Detections:
        self.asked += 1
        width, height = picture.size
        boxes = np.array([[0, 0, width / 2, height], [width / 2, 0, width, height]], np.float32)
        return Detections(boxes, np.array([0.9, 0.6]), np.zeros((2, 0), np.float32))


class Colour:
    """Describes people by their mean colour and its deviation."""

    similarity = "euclidean"

    def __init__(self, dim: int, fingerprint: str) -> None:
        self.dim, self.fingerprint, self.asked = dim, fingerprint, 0

    def embed(self, picture: Picture, boxes: Array) -> Array:
        self.asked += len(boxes)
        crops = [
            picture.pixels[int(y1) : int(np.ceil(y2)), int(x1) : int(np.ceil(x2))] for x1, y1, x2, y2 in boxes
        ]
        rows = [np.concatenate([c.mean(axis=(0, 1)), c.std(axis=(0, 1))])[: self.dim] for c in crops]
        return np.array(rows, np.float32).reshape(-1, self.dim)


class Killed:
    """A progress that ends the work after so many pictures."""

    def __init__(self, left: int) -> None:
        self.left, self.labels = left, []

    def __call__(
        self, items: Iterable[T], label: str, *, total: int | None = None, done: int = 0
    ) -> Iterator[T]:
        self.labels.append(label)
        for item in items:
            if not self.left:
                raise KeyboardInterrupt
            self.left -= 1
            yield item


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    settings = SyntheticSettings(
        train_identities=0, train_scenes=0, test_identities=6, test_scenes=9, size=(200, 150),
        bystanders=1.0, gallery_sizes=(6, 8), smallest=18,
    )  # fmt: skip
    return open_dataset("synthetic", make_dataset(tmp_path_factory.mktemp("data") / "d", settings, workers=1))


def made(data: Dataset) -> tuple[dict, dict]:
    gt = GroundTruth(data.scenes("test"))
    return {"halves": Halves(), "gt": gt}, {"mean": Colour(3, "m" * 64), "both": Colour(6, "b" * 64)}


def test_the_same_as_running_every_pair_by_itself(data: Dataset, tmp_path: Path) -> None:
    detectors, embedders = made(data)
    looked = look(detectors, embedders, data, PROTOCOL, tmp_path / "at once")
    people = sum(len(scene) for scene in data.scenes("test"))
    queries = len(data.trials(8))
    assert detectors["halves"].asked == 9
    assert [one.asked for one in embedders.values()] == [queries + 2 * 9 + people] * 2
    for (finder, describer), found in looked.people.items():
        pair = TwoStage(detectors[finder], embedders[describer])
        alone, file = describe(pair, data, PROTOCOL, tmp_path / "alone")
        assert file.name == looked.files[finder, describer].name
        assert file.read_bytes() == looked.files[finder, describer].read_bytes()
        assert alone.fingerprint == found.fingerprint == pair.fingerprint
    assert looked.boxes["gt"].dim == 0
    assert len(looked.boxes["gt"].det_box) == people


def test_what_was_seen_is_not_looked_at_again(data: Dataset, tmp_path: Path) -> None:
    look(*made(data), data, PROTOCOL, tmp_path)
    detectors, embedders = made(data)
    again = look(detectors, embedders, data, Protocol(gallery_size=6), tmp_path)
    assert detectors["halves"].asked == 0
    assert [one.asked for one in embedders.values()] == [0, 0]
    assert len(again.people) == 4


@pytest.mark.parametrize("pictures", [0, 5, 9, 30, 50])
def test_killed_it_goes_on_and_ends_with_the_same_bytes(
    data: Dataset, tmp_path: Path, pictures: int, monkeypatch
) -> None:
    monkeypatch.setattr("personsearch.features.extraction.SHARD_SCENES", 2)
    whole = look(*made(data), data, PROTOCOL, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        look(*made(data), data, PROTOCOL, tmp_path / "killed", progress=Killed(pictures))
    detectors, embedders = made(data)
    finished = look(detectors, embedders, data, PROTOCOL, tmp_path / "killed")
    for pair, file in whole.files.items():
        assert file.read_bytes() == finished.files[pair].read_bytes()
    assert detectors["halves"].asked <= 9 - (min(pictures, 9) // 2) * 2 + 1
    assert not list((tmp_path / "killed").glob("*.parts"))


def test_who_is_looking_is_said(data: Dataset, tmp_path: Path) -> None:
    progress = Killed(10**6)
    look(*made(data), data, PROTOCOL, tmp_path, progress=progress)
    assert progress.labels == [
        "halves: finding", "gt: finding", "mean: queries", "both: queries",
        "halves+mean", "halves+both", "gt+mean", "gt+both",
    ]  # fmt: skip


def test_a_record_is_of_its_detector_and_pictures(data: Dataset, tmp_path: Path) -> None:
    detector = Halves()
    seen, _ = describe(Finder(detector), data, PROTOCOL, tmp_path)
    recorded = Recorded(detector, seen)
    name = data.scenes("test")[0].name
    picture = Picture(np.zeros((150, 200, 3), np.uint8), name)
    assert recorded.detect(picture).boxes.tolist() == detector.detect(picture).boxes.tolist()
    assert recorded.fingerprint == detector.fingerprint != Finder(detector).fingerprint
    with pytest.raises(DatasetError, match="hold nothing of other"):
        recorded.detect(Picture(picture.pixels, "other"))


def test_times_are_kept_and_taken_again_for_another_model(data: Dataset, tmp_path: Path, monkeypatch) -> None:
    detectors, embedders = made(data)
    looked = look(detectors, embedders, data, PROTOCOL, tmp_path)
    scenes = data.scenes("test")[:4]
    ticks = iter(np.arange(0, 1000, 0.5).tolist())
    monkeypatch.setattr("personsearch.experiments.timing.time.perf_counter", lambda: next(ticks))

    def times(detector: Halves, scenes=scenes, **more: Timed) -> dict[str, list[float]]:
        watch = Stopwatch(tmp_path / "costs.json", scenes, looked.boxes, dataset="d", device="cpu")
        asked = {"find": watch.detecting(detector), **{name: make(watch) for name, make in more.items()}}
        return {name: each.tolist() for name, each in watch.times(asked).items()}

    def describing(watch: Stopwatch) -> Timed:
        return watch.describing("halves", detectors["halves"], embedders["mean"])

    before, described = detectors["halves"].asked, embedders["mean"].asked
    both = times(detectors["halves"], describe=describing)
    assert both == {"find": [500.0] * 4, "describe": [500.0] * 4}  # half a second from tick to tick
    looks = 1 + ROUNDS * 4  # the first one warms up
    assert detectors["halves"].asked == before + looks
    assert embedders["mean"].asked == described + 2 * looks
    # Another table is told the same, and only what is new is measured.
    assert times(detectors["halves"], describe=describing) == both
    assert (detectors["halves"].asked, embedders["mean"].asked) == (before + looks, described + 2 * looks)
    times(Halves("x" * 64))
    times(detectors["halves"], scenes[:2])
    assert detectors["halves"].asked == before + looks + 1 + ROUNDS * 2
    assert len(json.loads((tmp_path / "costs.json").read_text())) == 4
    # Damaged, or of an earlier version, which kept one number for all pictures.
    for text in (
        "damaged",
        json.dumps(dict.fromkeys(json.loads((tmp_path / "costs.json").read_text()), 1.0)),
    ):
        (tmp_path / "costs.json").write_text(text)
        assert times(detectors["halves"])["find"] == [500.0] * 4


def test_features_of_another_model_are_refused(data: Dataset, tmp_path: Path) -> None:
    seen, file = describe(Finder(Halves()), data, PROTOCOL, tmp_path)
    from personsearch.features import extract

    with pytest.raises(ModelMismatch):
        extract(Finder(Halves("o" * 64)), data.scenes("test"), data.trials(6), file)
    assert seen.dim == 0


def test_times_of_another_device_data_set_size_or_number_of_threads_are_taken_anew(
    data: Dataset, tmp_path: Path, monkeypatch
) -> None:
    detectors, embedders = made(data)
    looked = look(detectors, embedders, data, PROTOCOL, tmp_path)
    scenes = data.scenes("test")[:2]

    def asked(scenes=scenes, *, dataset: str = "d", device: str = "cpu") -> int:
        """How many pictures were looked at to tell the times."""
        before = detectors["halves"].asked
        watch = Stopwatch(tmp_path / "costs.json", scenes, looked.boxes, dataset=dataset, device=device)
        asked = {
            "find": watch.detecting(detectors["halves"]),
            "describe": watch.describing("halves", detectors["halves"], embedders["mean"]),
        }
        watch.times(asked)
        return detectors["halves"].asked - before

    looks = 1 + 2 * ROUNDS
    assert (asked(), asked()) == (looks, 0)
    assert scenes[0].size is None  # read from the files
    assert asked([dataclasses.replace(scene, size=(200, 150)) for scene in scenes]) == 0
    assert asked(dataset="other") == looks
    assert asked([dataclasses.replace(scene, size=(400, 300)) for scene in scenes]) == looks
    assert asked(device="meta") == looks
    threads = torch.get_num_threads()
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads + 1)
    assert asked() == looks
    monkeypatch.undo()
    assert asked() == 0
    assert len(json.loads((tmp_path / "costs.json").read_text())) == 10
