"""The numbers of the field's public evaluators, from the same inputs."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from personsearch.evaluation import search
from personsearch.evaluation.detection import DetectionRules, score_detection
from personsearch.evaluation.search import SearchRules, score_search, score_searches
from personsearch.types import Trials

OURS = Path(__file__).parent / "golden"
ALL = Path(__file__).resolve().parents[2] / ".." / "shared" / "golden"


@cache
def expectations() -> dict[str, dict]:
    """What is expected of each fixture: of our copies, and of all where they are at hand."""
    paths = [*sorted(OURS.glob("*.expected.json")), *sorted(ALL.glob("*.expected.json"))]
    read = {path.name.removesuffix(".expected.json"): path for path in reversed(paths)}
    return {name: json.loads(path.read_text())["configs"] for name, path in sorted(read.items())}


def keys(kind: str) -> list[tuple[str, str]]:
    """(fixture, key) of every expectation of ``kind``."""
    return [(name, key) for name, found in expectations().items() for key in found if key.startswith(kind)]


def options(key: str) -> dict[str, str]:
    return dict(part.split("=") for part in key.split("|")[1:])


def rules_of(name: str, wanted: dict[str, str]) -> SearchRules:
    """What an expectation's key says; where the quirks say nothing, context matching means ``first``."""
    matched = wanted["cbgm"] == "1"
    return SearchRules(
        det_threshold=float(wanted["thr"]),
        repeated=wanted.get("dup", "first" if matched else "twice"),  # type: ignore[arg-type]
        context=(int(wanted["k1"]), int(wanted["k2"])) if matched else None,
    )


@cache
def trials_of(world, **wanted: str) -> Trials:
    return world.trials(wanted)


def made(world, wanted: dict[str, str]) -> Trials:
    return trials_of(world, **{k: v for k, v in wanted.items() if k in ("gallery", "cams", "nq")})


@pytest.mark.parametrize(("name", "key"), keys("search"))
def test_search_is_as_the_field_computes_it(golden, name: str, key: str) -> None:
    world, wanted = golden(name), options(key)
    expected = expectations()[name][key]
    scores = score_search(made(world, wanted), world.features, rules_of(name, wanted))
    np.testing.assert_allclose(scores.ap, expected["ap_per_query"], rtol=0, atol=1e-9)
    assert scores.mean_ap == pytest.approx(expected["mAP"], abs=1e-9)
    for k in (1, 5, 10):
        assert expected[f"top{k}_lo"] - 1e-9 <= scores.top(k) <= expected[f"top{k}_hi"] + 1e-9


@pytest.mark.parametrize(("name", "key"), keys("det"))
def test_detection_is_as_the_field_computes_it(golden, name: str, key: str) -> None:
    world, wanted = golden(name), options(key)
    expected = expectations()[name][key]
    rules = DetectionRules(
        det_threshold=float(wanted["thr"]), iou=float(wanted["iou"]), labelled_only=wanted["labelled"] == "1"
    )
    scores = score_detection(world.scenes(), world.features, rules)
    assert scores.recall == pytest.approx(expected["recall"], abs=1e-12)
    assert scores.ap == pytest.approx(expected["ap"], abs=1e-9)


@pytest.mark.parametrize("block", [1, 7, 512])
@pytest.mark.parametrize("name", sorted(expectations()))
def test_the_block_size_changes_nothing(
    golden, name: str, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All protocols of a fixture in one call, in blocks, against each by itself and query by query."""
    world = golden(name)
    protocols = {
        tuple(sorted((k, v) for k, v in options(key).items() if k in ("gallery", "cams", "nq")))
        for _, key in keys("search")
        if key in expectations()[name]
    }
    trials = [made(world, dict(one)) for one in sorted(protocols)]
    together = score_searches(trials, world.features, block=block)
    monkeypatch.setattr(search, "WORTH_A_BLOCK", 0)
    for one, scores in zip(trials, together, strict=True):
        alone = score_search(one, world.features)
        np.testing.assert_array_equal(scores.ap, alone.ap)
        np.testing.assert_array_equal(scores.first_hit, alone.first_hit)


def test_every_fixture_took_part() -> None:
    assert len(expectations()) >= 6
    assert len(keys("search")) >= 40  # of the six sets that lie here; more with those beside the repository
    assert len(keys("det")) >= 30
    assert sum("cbgm=1" in key for _, key in keys("search")) >= 14
