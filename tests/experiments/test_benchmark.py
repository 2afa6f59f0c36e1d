"""A searcher against a protocol: looked at once, scored as often as asked, by the scorer's own numbers."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest

from personsearch.datasets.dataset import Dataset
from personsearch.datasets.open import open_dataset
from personsearch.datasets.synthetic.make import make_dataset
from personsearch.datasets.synthetic.settings import SyntheticSettings
from personsearch.evaluation.detection import score_detection
from personsearch.evaluation.search import score_search
from personsearch.experiments.benchmark import (
    Protocol,
    benchmark_record,
    benchmark_rows,
    intervals,
    run_benchmark,
)
from personsearch.experiments.hardness import ColourHistogram
from personsearch.features import Features
from personsearch.types import Detections, Picture, SearchScores

T = TypeVar("T")


class Halves(ColourHistogram):
    """Sees somebody in the left half of every picture and somebody in the right one."""

    def detect(self, picture: Picture) -> Detections:
        width, height = picture.size
        boxes = np.array([[0, 0, width / 2, height], [width / 2, 0, width, height]], np.float32)
        return Detections(boxes, np.array([0.9, 0.6]), self.embed(picture, boxes))


class Counting:
    """A progress that counts the pictures looked at."""

    def __init__(self) -> None:
        self.looked = 0

    def __call__(
        self, items: Iterable[T], label: str, *, total: int | None = None, done: int = 0
    ) -> Iterator[T]:
        for item in items:
            self.looked += label == "describing people"
            yield item


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    settings = SyntheticSettings(
        train_identities=0, train_scenes=0, test_identities=6, test_scenes=9, size=(200, 150),
        bystanders=1.0, gallery_sizes=(6, 8), smallest=18, occluded_share=0.4,
    )  # fmt: skip
    return open_dataset("synthetic", make_dataset(tmp_path_factory.mktemp("data") / "d", settings, workers=1))


def test_pictures_are_looked_at_once_for_every_gallery_and_subset(data: Dataset, tmp_path: Path) -> None:
    seen = []
    for protocol in (
        Protocol(gallery_size=8),
        Protocol(gallery_size=6),
        Protocol(subset="low-resolution"),
        Protocol(gallery_size=8, boxes="annotated"),
    ):
        progress = Counting()
        result = run_benchmark(Halves(), data, protocol, tmp_path, progress=progress)
        seen.append((progress.looked, result.features))
    files = [file for _, file in seen]
    assert [looked for looked, _ in seen] == [9, 0, 0, 9]
    assert files[0] == files[1] == files[2] != files[3]
    assert sorted(tmp_path.iterdir()) == sorted(set(files))


@pytest.mark.parametrize("size", [6, 8])
def test_the_numbers_are_the_scorers_on_the_asked_protocol(data: Dataset, tmp_path: Path, size: int) -> None:
    result = run_benchmark(Halves(), data, Protocol(gallery_size=size), tmp_path)
    features = Features.load(result.features)
    wanted = score_search(data.trials(size), features)
    np.testing.assert_array_equal(result.search.ap, wanted.ap)
    np.testing.assert_array_equal(result.search.first_hit, wanted.first_hit)
    assert result.detection == score_detection(data.scenes("test"), features)
    assert result.pictures == 9
    record = json.loads(json.dumps(benchmark_record(result)))
    assert record["protocol"] == f"synthetic gallery={size}"
    assert record["mAP"]["value"] == pytest.approx(wanted.mean_ap)
    assert record["queries"] == 6
    for k in (1, 5, 10):
        assert record[f"top-{k}"]["value"] == pytest.approx(wanted.top(k))
    rows = {row["measure"]: row["value"] for row in benchmark_rows(result)}
    assert rows["mAP"] == record["mAP"]["value"]
    assert rows["detection recall"] == result.detection.recall


def test_on_annotated_boxes_nobody_is_missed(data: Dataset, tmp_path: Path) -> None:
    result = run_benchmark(Halves(), data, Protocol(gallery_size=8, boxes="annotated"), tmp_path)
    assert result.detection.recall == 1
    assert (result.search.recall == 1).all()


def test_intervals_hold_their_means_and_depend_on_the_seed_alone() -> None:
    rng = np.random.default_rng(0)
    hits = np.array([1, 0, 3, 7, 11, 1, 2, 0])
    search = SearchScores(protocol="by hand", ap=rng.random(8), first_hit=hits, recall=np.ones(8))
    found = intervals(search, 3)
    assert found == intervals(search, 3)
    assert found["mAP"] != intervals(search, 4)["mAP"]
    assert [found[f"top-{k}"].mean for k in (1, 5, 10)] == [2 / 8, 4 / 8, 5 / 8]
    for interval in found.values():
        assert interval.low <= interval.mean <= interval.high
