"""A searcher against a protocol: looked at once, scored as often as asked, by the scorer's own numbers."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest

from personsearch.datasets.dataset import Dataset
from personsearch.datasets.open import open_dataset
from personsearch.datasets.synthetic.make import make_dataset
from personsearch.datasets.synthetic.settings import SyntheticSettings
from personsearch.errors import UsageError
from personsearch.evaluation.detection import score_detection
from personsearch.evaluation.search import score_search
from personsearch.evaluation.search_rules import SearchRules
from personsearch.experiments.benchmark import (
    Protocol,
    benchmark_record,
    benchmark_rows,
    evaluate,
    evaluation_record,
    evaluation_row,
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
    assert record["mAP"] == pytest.approx(wanted.mean_ap)
    assert record["queries"] == 6
    for k in (1, 5, 10):
        assert record[f"top{k}"] == pytest.approx(wanted.top(k))
    rows = {row["measure"]: row["value"] for row in benchmark_rows(result)}
    assert rows["mAP"] == record["mAP"]
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


def test_queries_that_are_left_out_are_in_no_mean() -> None:
    hits, ap = np.array([1, 0, 3]), np.array([1.0, np.nan, 0.5])
    search = SearchScores(protocol="by hand", ap=ap, first_hit=hits, recall=np.ones(3))
    found = intervals(search, 0)
    assert (found["mAP"].mean, found["top-1"].mean, found["top-5"].mean) == (0.75, 0.5, 1.0)
    nobody = intervals(replace(search, ap=np.full(3, np.nan)), 0)
    assert np.isnan(nobody["mAP"].mean)
    assert np.isnan(nobody["top-1"].mean)


@pytest.fixture(scope="module")
def features(data: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Features:
    result = run_benchmark(Halves(), data, Protocol(gallery_size=6), tmp_path_factory.mktemp("f"))
    return Features.load(result.features)


def test_several_sizes_in_one_call_are_the_sizes_one_by_one(data: Dataset, features: Features) -> None:
    protocols = [Protocol(gallery_size=size) for size in (6, 8, "full")]
    together = evaluate(features, data, protocols)
    assert [one.gallery_size for one in together] == [6, 8, "full"]
    for one, protocol in zip(together, protocols, strict=True):
        (alone,) = evaluate(features, data, [protocol])
        np.testing.assert_array_equal(one.search.ap, alone.search.ap)
        assert evaluation_row(one) == evaluation_row(alone)
    with pytest.raises(UsageError, match="share their rules"):
        evaluate(features, data, [Protocol(), Protocol(rules=SearchRules(det_threshold=0.1))])


def test_a_query_that_is_not_detected_scores_nothing_and_is_named(data: Dataset, features: Features) -> None:
    """The searcher sees every picture's halves with scores 0.9 and 0.6: right of the middle is below 0.7."""
    trials = data.trials(8)
    width = {scene.name: 200 for scene in data.scenes("test")}
    left = trials.query_box[:, 0] < [width[trials.scenes[row]] / 2 for row in trials.query_scene]
    assert left.any()
    assert not left.all()
    rules = SearchRules(det_threshold=0.7)
    (asked,) = evaluate(features, data, [Protocol(gallery_size=8, query_box="detected", rules=rules)])
    assert asked.undetected == tuple(np.flatnonzero(~left).tolist())
    assert (asked.search.ap[~left] == 0).all()
    assert (asked.search.first_hit[~left] == 0).all()
    record = evaluation_record(asked)
    assert record["without_detection"] == list(asked.undetected)
    assert record["query_box"] == evaluation_row(asked)["query"] == "detected"
    # Where there is one, the query is the left half as it was detected.
    described = replace(features, q_feat=features.q_feat.copy())
    for i in np.flatnonzero(left).tolist():
        row = features.query_rows(trials)[i]
        described.q_feat[row] = features.detections(trials.scenes[trials.query_scene[i]]).embeddings[0]
    wanted = score_search(trials, described, rules)
    np.testing.assert_array_equal(asked.search.ap[left], wanted.ap[left])


def test_the_first_queries_only_and_subsets(data: Dataset, features: Features) -> None:
    (few,) = evaluate(features, data, [Protocol(gallery_size=8, limit=2)])
    (all_of_them,) = evaluate(features, data, [Protocol(gallery_size=8, limit=100)])
    np.testing.assert_array_equal(few.search.ap, all_of_them.search.ap[:2])
    assert (len(few.search.ap), len(all_of_them.search.ap)) == (2, 6)
    (hard,) = evaluate(features, data, [Protocol(subset="low-resolution")])
    assert evaluation_row(hard)["protocol"] == "low-resolution"
    with pytest.raises(UsageError, match="galleries of their own"):
        evaluate(features, data, [Protocol(subset="low-resolution", gallery_size=8)])


def test_everything_that_shaped_a_number_stands_beside_it(data: Dataset, features: Features) -> None:
    rules = SearchRules(ap="trapezoid", policy="clean", det_threshold=0.25, match_iou="fixed")
    (one,) = evaluate(features, data, [Protocol(gallery_size=6, rules=rules)])
    row, record = evaluation_row(one), evaluation_record(one)
    assert tuple(row.values())[:7] == ("synthetic", "listed", 6, "annotated", "trapezoid", "clean", 6)
    assert (record["dataset"], record["gallery_size"], record["policy"]) == ("synthetic", 6, "clean")
    assert (record["ap_kind"], record["similarity"]) == ("trapezoid", features.similarity)
    assert record["rules"]["det_threshold"] == 0.25
    assert record["rules"]["match_iou"] == "fixed"
    assert record["intervals"].keys() == {"mAP", "top1", "top5", "top10"}
    assert record["intervals"]["mAP"]["low"] <= record["mAP"] <= record["intervals"]["mAP"]["high"]
