"""A searcher that only looks at colours, and the benchmark's shares."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from personsearch.datasets.synthetic.make import make_dataset
from personsearch.datasets.synthetic.settings import SyntheticSettings
from personsearch.errors import DatasetError
from personsearch.experiments.hardness import ColourHistogram, measure_hardness
from personsearch.types import Picture


def test_histograms_by_hand() -> None:
    pixels = np.zeros((10, 30, 3), np.uint8)
    pixels[:, :10] = (200, 30, 30)
    pixels[:, 10:20] = (30, 30, 200)
    boxes = np.array([[0, 0, 10, 10], [10, 0, 20, 10], [0, 0, 20, 10], [5, 2, 9, 8], [40, 0, 50, 5]])
    described = ColourHistogram().embed(Picture(pixels), boxes)
    alike = described @ described.T
    assert alike[0, 3] == pytest.approx(1)  # the same colour
    assert alike[0, 1] == pytest.approx(0)  # no colour in common
    assert alike[0, 2] == pytest.approx(np.sqrt(0.5))  # half in common: Bhattacharyya's coefficient
    assert not described[4].any()  # outside the picture


def test_measured_on_a_small_benchmark(tmp_path: Path) -> None:
    settings = SyntheticSettings(
        train_identities=0, train_scenes=0, test_identities=5, test_scenes=9, size=(200, 150),
        bystanders=1.0, gallery_sizes=(6,), smallest=18, twin_share=1.0,
    )  # fmt: skip
    root = make_dataset(tmp_path / "root", settings, workers=1)
    result = measure_hardness(root, 6)
    assert 0 < result["histogram"]["mAP"] <= 1
    assert result["counts"]["queries"] == 5
    assert result["counts"]["test identities"] == 5
    assert result["queries"]["near-twin"] >= 0.6
    assert result["queries"]["under 80 px"] > 0.5  # pictures the size of stamps
    assert result["settings"]["test_scenes"] == 9


def test_other_folders_are_refused(tmp_path: Path) -> None:
    (tmp_path / "annotation").mkdir()
    with pytest.raises(DatasetError):
        measure_hardness(tmp_path)
