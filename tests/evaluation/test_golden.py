"""The numbers of the field's public evaluators, from the same inputs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from personsearch.evaluation.detection import DetectionRules, score_detection
from personsearch.evaluation.search import SearchRules, score_search

GOLDEN = Path(__file__).resolve().parents[2] / ".." / "shared" / "golden"
pytestmark = pytest.mark.skipif(
    not GOLDEN.is_dir(), reason="the reference results are not beside the repository"
)


def keys(kind: str) -> list[tuple[str, str]]:
    """(fixture, key) of every expectation of ``kind`` that uses no context matching."""
    found = []
    for path in sorted(GOLDEN.glob("*.expected.json")):
        configs = json.loads(path.read_text())["configs"]
        name = path.name.removesuffix(".expected.json")
        found += [(name, key) for key in configs if key.startswith(kind) and "cbgm=1" not in key]
    return found


def options(key: str) -> dict[str, str]:
    return dict(part.split("=") for part in key.split("|")[1:])


@pytest.mark.parametrize(("name", "key"), keys("search"))
def test_search_is_as_the_field_computes_it(golden, name: str, key: str) -> None:
    world, wanted = golden(name), options(key)
    expected = world.expected["configs"][key]
    rules = SearchRules(det_threshold=float(wanted["thr"]), repeated=wanted.get("dup", "twice"))
    scores = score_search(world.trials(wanted), world.features, rules)
    np.testing.assert_allclose(scores.ap, expected["ap_per_query"], rtol=0, atol=1e-9)
    assert scores.mean_ap == pytest.approx(expected["mAP"], abs=1e-9)
    for k in (1, 5, 10):
        assert expected[f"top{k}_lo"] - 1e-9 <= scores.top(k) <= expected[f"top{k}_hi"] + 1e-9


@pytest.mark.parametrize(("name", "key"), keys("det"))
def test_detection_is_as_the_field_computes_it(golden, name: str, key: str) -> None:
    world, wanted = golden(name), options(key)
    expected = world.expected["configs"][key]
    rules = DetectionRules(
        det_threshold=float(wanted["thr"]), iou=float(wanted["iou"]), labelled_only=wanted["labelled"] == "1"
    )
    scores = score_detection(world.scenes(), world.features, rules)
    assert scores.recall == pytest.approx(expected["recall"], abs=1e-12)
    assert scores.ap == pytest.approx(expected["ap"], abs=1e-9)


def test_every_fixture_took_part() -> None:
    assert len(keys("search")) >= 30
    assert len(keys("det")) >= 45
