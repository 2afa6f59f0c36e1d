"""The paper's Table 2 from parts that lie in folders: untrained networks and the annotated boxes."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from personsearch.baselines.open import Where, open_searcher
from personsearch.cli.baselines_tables import curves, table_answer
from personsearch.cli.output import plain
from personsearch.datasets.dataset import Dataset
from personsearch.datasets.open import open_dataset
from personsearch.datasets.synthetic.make import make_dataset
from personsearch.datasets.synthetic.settings import SyntheticSettings
from personsearch.errors import InputError, UsageError
from personsearch.evaluation.detection import DetectionRules, score_detection
from personsearch.experiments.baseline_table import BaselineTable, TableSettings, curve_marks, fill_table
from personsearch.experiments.benchmark import Protocol, run_benchmark
from personsearch.model.checkpoint import load_searcher, save_model
from personsearch.model.presets import CropSettings, build_network, compact_tiny, detector, embedder

TINY = dataclasses.replace(compact_tiny(), identities=3)
SETTINGS = TableSettings(
    gallery_size=8, det_threshold=0.3, min_height=30, detectors=("deep", "gt"), embedders=("idnet",), timed=2
)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    settings = SyntheticSettings(
        train_identities=0, train_scenes=0, test_identities=6, test_scenes=9, size=(200, 150),
        bystanders=1.0, gallery_sizes=(6, 8), smallest=18,
    )  # fmt: skip
    return open_dataset("synthetic", make_dataset(tmp_path_factory.mktemp("data") / "d", settings, workers=1))


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("parts")
    for name, made in (
        ("deep", detector(TINY)),
        ("idnet", embedder(TINY, CropSettings(size=(64, 32)))),
        ("joint", TINY),
    ):
        save_model(folder / name, build_network(made), made)
    return folder


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("out")


@pytest.fixture(scope="module")
def table(data: Dataset, parts: Path, out: Path) -> BaselineTable:
    joint = load_searcher(parts / "joint", "cpu")
    return fill_table(data, parts, out, SETTINGS, joint=joint, device="cpu")


def test_each_cell_is_the_benchmark_of_its_searcher(
    table: BaselineTable, data: Dataset, parts: Path, tmp_path: Path
) -> None:
    where = Where(parts=parts, device="cpu", scenes=data.scenes("test"))
    protocol = Protocol(gallery_size=8, rules=SETTINGS.protocol().rules)
    assert set(table.cells) == {("deep", "idnet"), ("gt", "idnet")}
    for (finder, describer), cell in table.cells.items():
        alone = run_benchmark(open_searcher(f"{finder}+{describer}", where), data, protocol, tmp_path)
        assert cell.evaluation.search.ap.tolist() == alone.search.ap.tolist()
        assert cell.evaluation.intervals == alone.intervals
        assert cell.features.name == alone.features.name
        assert cell.detect_ms >= 0
        assert cell.describe_ms > 0
    assert table.joint is not None
    alone = run_benchmark(load_searcher(parts / "joint", "cpu"), data, protocol, tmp_path)
    assert table.joint.evaluation.search.ap.tolist() == alone.search.ap.tolist()
    assert np.isnan(table.joint.describe_ms)
    assert table.pictures == 9
    assert (table.cells["gt", "idnet"].evaluation.search.recall == 1).all()


def test_curves_are_of_all_scores_and_marks_on_them(table: BaselineTable, data: Dataset, out: Path) -> None:
    assert list(table.found) == ["deep", "joint"]  # GT has none
    for one in table.found.values():
        assert (np.diff(one.recall) >= 0).all()
        for recall, precision, threshold in one.marks:
            row = int(np.argmin(np.abs(one.recall - recall)))
            assert one.recall[row] == pytest.approx(recall, abs=0.02)
            assert 0 <= precision <= 1
            assert 0 <= threshold <= 1
        assert one.scores.rules["min_height"] == 30
        assert one.scores.rules["det_threshold"] == 0.3
    from personsearch.features import Features

    features = Features.load(table.joint.features)
    wanted = score_detection(data.scenes("test"), features, DetectionRules(det_threshold=0.3, min_height=30))
    assert table.found["joint"].scores == wanted
    picture = curves(table)
    assert picture.dtype == np.uint8
    assert picture.shape[2] == 3


def test_marks_are_the_first_points_that_reach_a_recall() -> None:
    recall = np.array([0.1, 0.45, 0.52, 0.95])
    marks = curve_marks(recall, 1 - recall, recall[::-1])
    assert [mark[0] for mark in marks] == [0.45, 0.52, 0.95]
    assert curve_marks(recall[:1], recall[:1], recall[:1]) == ()


def test_the_record_is_json_and_short_without_queries(table: BaselineTable, out: Path) -> None:
    whole = json.loads(json.dumps(plain(table.record()), allow_nan=False))
    assert whole["schema"] == "personsearch.baselines/1"
    assert [(row["detector"], row["embedder"]) for row in whole["cells"]] == [
        ("deep", "idnet"),
        ("gt", "idnet"),
    ]
    for row in (*whole["cells"], whole["joint"]):
        assert {"mAP", "top1", "intervals", "detect_ms", "ap_per_query", "protocol"} <= row.keys()
        assert len(row["ap_per_query"]) == 6
    assert whole["joint"]["describe_ms"] is None
    assert {claim["verdict"] for claim in whole["order"]} <= {"holds", "undecided", "reversed"}
    assert len(whole["order"]) == 2 * 3  # gt over deep, joint over deep+idnet, gt+idnet over joint
    short = plain(table.record(per_query=False))
    assert not any(key.endswith("_per_query") for row in short["cells"] for key in row)
    answer = table_answer(table, out)
    text = "\n".join([*answer.before, *answer.after])
    assert [row["method"] for row in answer.rows] == ["deep + idnet", "gt + idnet", "joint network"]
    assert "the paper's order holds in" in text
    assert "mAP / top-1 in per cent" in text


def test_a_second_call_only_counts(table: BaselineTable, data: Dataset, parts: Path, out: Path) -> None:
    def nobody_looks(items, label, *, total=None, done=0):
        raise AssertionError(label)
        yield from items

    joint = load_searcher(parts / "joint", "cpu")
    again = fill_table(data, parts, out, SETTINGS, joint=joint, device="cpu", progress=nobody_looks)
    assert plain(again.record()) == plain(table.record())


def test_what_is_missing_is_said_before_anything_is_looked_at(
    data: Dataset, parts: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="there is no trained acf"):
        fill_table(data, parts, tmp_path, TableSettings(gallery_size=8))
    with pytest.raises(UsageError, match="has no TestG7"):
        fill_table(data, parts, tmp_path, dataclasses.replace(SETTINGS, gallery_size=7))
    assert list(tmp_path.iterdir()) == []
