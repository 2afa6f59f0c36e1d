"""The ablation: what each variant trains, that nothing is trained twice, and what the report makes of it."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from personsearch.datasets.open import open_dataset
from personsearch.datasets.synthetic.make import make_dataset
from personsearch.datasets.synthetic.presets import preset as data_preset
from personsearch.errors import InputError, UsageError
from personsearch.experiments import ablation
from personsearch.experiments.ablation import (
    SCHEMA,
    VARIANTS,
    AblationSettings,
    chosen_variants,
    resolved,
    run_ablation,
)
from personsearch.experiments.ablation_page import markdown
from personsearch.experiments.ablation_report import (
    CURVES,
    NUMBERS,
    PAGE,
    fig6,
    read_runs,
    small_queries,
    summary,
    write_report,
)
from personsearch.training.presets import preset


def raw(variant: str, seed: int, ap: list[float | None], **more: Any) -> dict[str, Any]:
    """What a run leaves, with average precisions chosen by hand."""
    n = len(ap)
    search = {
        "protocol": "made up gallery=6",
        "mAP": 0.5,
        "ap_per_query": ap,
        "first_hit_per_query": [1 if value and value > 0.5 else 2 for value in ap],
        "recall_per_query": [1.0] * n,
        "rules": {},
    }
    return {
        "schema": SCHEMA,
        "variant": variant,
        "seed": seed,
        "preset": "medium",
        "pretrained": "none",
        "data": {"checksum": "abc"},
        "losses": {"step": [20, 40, 60], "all": [3.0, 2.0, 1.0], "identity": [2.0, 1.0, 0.5]},
        "way": [{"step": 30, "mAP": 0.2, "top1": 0.2}, {"step": 60, "mAP": 0.4, "top1": 0.4}],
        "query_height": [40.0 + 10 * i for i in range(n)],
        "detection": {"recall": 0.9, "ap": 0.8},
        "cost": {"2": {"processor_seconds": 90.0}},
        "environment": {"device_name": "", "threads": 2, "precision": "bf16"},
        "search": search,
        "annotated": search,
        **more,
    }


def written(folder: Path, *runs: dict[str, Any]) -> Path:
    folder.mkdir(exist_ok=True)
    for run in runs:
        (folder / f"{run['variant']}-{run['seed']}.json").write_text(json.dumps(run))
    return folder


def test_variants_differ_from_the_preset_by_what_they_say(tmp_path: Path) -> None:
    base, settings = preset("medium"), AblationSettings(points=4)
    found = {v.name: resolved(v, base, settings, tmp_path) for v in VARIANTS if not v.whole}
    losses = {name: one.model.network.losses for name, one in found.items()}
    assert losses["rss"] == base.model.network.losses
    assert losses["softmax"] == dataclasses.replace(losses["rss"], identity="softmax")
    assert losses["softmax-unstarted"] == losses["softmax"]
    assert losses["rss-corrected"] == dataclasses.replace(losses["rss"], correction="training")
    assert losses["oim"].identity == "oim"
    assert all(one.initial.steps == 0 for one in found.values())
    start = str(tmp_path / "start-0")
    assert {name for name, one in found.items() if one.initial_from != start} == {"softmax-unstarted"}
    alone = found["softmax-unstarted"]
    assert alone.initial_from is None
    assert (alone.joint.reid_rate, alone.joint.freeze_head_norms) == (1, False)
    assert found["rss"].snapshots == (250, 500, 750)
    # Finer input sees the same people: anchors of the same height in the picture.
    sides = [found[name].model.input.short_side for name in ("rss", "rss-fine")]
    anchors = [found[name].model.network.proposals.anchor_sizes for name in ("rss", "rss-fine")]
    np.testing.assert_allclose(np.divide(*anchors), sides[0] / sides[1])
    # All but the input are one network, so that they can share the initial point.
    trunks = {(one.model.trunk, one.model.network.head, one.model.network.pools) for one in found.values()}
    assert len(trunks) == 1


def test_unknown_variants_are_refused() -> None:
    assert [v.name for v in chosen_variants(("oim", "softmax"))] == ["softmax", "oim"]
    with pytest.raises(UsageError, match="there is no variant 'rsss'"):
        chosen_variants(("rsss",))


def test_the_longer_run_is_a_preset_of_its_own_and_only_beside_medium(tmp_path: Path) -> None:
    (longer,) = chosen_variants(("rss-longer",))
    base = dataclasses.replace(preset("medium"), seed=3)
    wanted = resolved(longer, base, AblationSettings(), tmp_path)
    assert wanted == dataclasses.replace(preset("medium-long"), seed=3)
    hasty = resolved(longer, dataclasses.replace(base, workers=5), AblationSettings(), tmp_path)
    assert hasty == dataclasses.replace(wanted, workers=5)
    assert longer not in chosen_variants((), "vgg16")
    with pytest.raises(UsageError, match="no variant 'rss-longer'"):
        chosen_variants(("rss-longer",), "demo")


def test_from_data_to_report_and_nothing_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = make_dataset(tmp_path / "data", data_preset("tiny"), workers=1)
    data = open_dataset("synthetic", root)
    settings = AblationSettings(preset="compact-tiny", seeds=(0,), gallery_size=6, points=2)
    settings = dataclasses.replace(settings, only=("softmax-unstarted", "oim", "rss"))
    said: list[str] = []
    files = run_ablation(data, tmp_path / "out", settings, device="cpu", say=said.append)
    assert [f.name for f in files] == ["softmax-unstarted-0.json", "rss-0.json", "oim-0.json"]
    assert said.count("start-0: ready") == 1
    first = json.loads(files[1].read_text())
    assert [point["step"] for point in first["way"]] == [3, 6]
    assert first["way"][-1]["mAP"] == pytest.approx(first["search"]["mAP"], abs=1e-5)
    assert len(first["query_height"]) == len(first["search"]["ap_per_query"]) == 8
    assert (first["cost"]["1"]["steps"], first["cost"]["2"]["steps"]) == (0, 6)

    def forbidden(*_: Any, **__: Any) -> None:
        raise AssertionError("trained again")

    monkeypatch.setattr(ablation, "train", forbidden)
    assert run_ablation(data, tmp_path / "out", settings, device="cpu") == files
    for change in ({"points": 3}, {"preset": "demo"}, {"gallery_size": 10}, {"pretrained": "imagenet"}):
        with pytest.raises(UsageError, match="other settings or data"):
            run_ablation(data, tmp_path / "out", dataclasses.replace(settings, **change), device="cpu")
    found = write_report(tmp_path / "out" / "results", tmp_path / "report")
    assert [row["variant"] for row in found["variants"]] == ["softmax-unstarted", "rss", "oim"]
    assert {path.name for path in (tmp_path / "report").iterdir()} == {PAGE, NUMBERS, CURVES}
    assert json.loads((tmp_path / "report" / NUMBERS).read_text()) == found


def test_the_report_by_hand(tmp_path: Path) -> None:
    low, high = [0.0, 0.2, 0.4, 0.6], [0.4, 0.4, 0.6, 0.8]
    folder = written(
        tmp_path / "results",
        raw("softmax", 0, low), raw("rss", 0, high), raw("rss", 1, [1.0] * 4),
        raw("oim", 0, low, environment={"device_name": "Card X", "threads": 1, "precision": "fp32"}),
    )  # fmt: skip
    found = summary(read_runs(folder))
    by_name = {row["variant"]: row for row in found["variants"]}
    assert by_name["rss"]["seeds"] == [0, 1]
    assert by_name["rss"]["mAP"]["mean"] == pytest.approx((0.55 + 1.0) / 2)
    # Only the seed that both have is compared, and all four queries gained.
    (pair,) = [row for row in found["pairs"] if row["b"] == "softmax"]
    assert (pair["a"], pair["seeds"], pair["verdict"]) == ("rss", [0], "holds")
    assert pair["mAP"]["mean"] == pytest.approx(0.25)
    assert pair["mAP_p"] == pytest.approx(2 / 16)
    (worse,) = [row for row in found["pairs"] if row["a"] == "oim"]
    assert (worse["verdict"], worse["mAP"]["mean"]) == ("reversed", pytest.approx(-0.25))
    # The smallest of four is one query: softmax has 0.0 there and 0.4 elsewhere, RSS 0.4 and 0.6.
    assert found["small_queries"] == {"n": 1, "tallest_px": 40.0}
    assert by_name["softmax"]["gap"]["mean"] == pytest.approx(0.4)
    assert pair["small_mAP"]["mean"] == pytest.approx(0.4)
    assert pair["shrinks"]["mean"] == pytest.approx(0.4 - 0.2)
    text = markdown(found, "a.png")
    assert "| RSS, from stage 1 | softmax, from stage 1 | 0 | +0.250" in text
    assert "| 1.5 | processor, 2 threads, bf16 |" in text  # where another machine trained, it says so
    assert "| 1.5 | Card X, fp32 |" in text
    assert fig6(read_runs(folder)).ndim == 3


def test_queries_that_the_rules_leave_out_count_nowhere(tmp_path: Path) -> None:
    runs = read_runs(
        written(tmp_path / "r", raw("rss", 0, [0.2, None, 0.4]), raw("softmax", 0, [0.1, None, 0.1]))
    )
    found = summary(runs)
    assert found["variants"][1]["mAP"]["mean"] == pytest.approx(0.3)
    assert found["pairs"][0]["mAP"]["mean"] == pytest.approx(0.2)
    right = read_runs(written(tmp_path / "s", raw("rss", 0, [0.9, None, 0.9])))
    assert summary(right)["runs"][0]["top1"]["mean"] == 1


def test_small_queries_are_a_tenth_but_never_nobody() -> None:
    assert small_queries(np.arange(100.0)).sum() == 10
    assert small_queries(np.arange(3.0)).sum() == 1


@pytest.mark.parametrize("damage", ["empty", "json", "schema", "variant", "search"])
def test_other_files_are_refused(tmp_path: Path, damage: str) -> None:
    folder = written(tmp_path / "r", raw("rss", 0, [0.2, 0.4]))
    file = folder / "rss-0.json"
    value = json.loads(file.read_text())
    if damage == "empty":
        file.unlink()
    elif damage == "json":
        file.write_text(file.read_text()[:-9])
    else:
        value[damage] = "other"
        file.write_text(json.dumps(value))
    with pytest.raises(InputError):
        read_runs(folder)


@pytest.mark.parametrize("what", ["preset", "pretrained", "data"])
def test_results_of_other_trainings_are_refused(tmp_path: Path, what: str) -> None:
    folder = written(tmp_path / "r", raw("rss", 0, [0.2, 0.4]), raw("oim", 0, [0.2, 0.4], **{what: "demo"}))
    with pytest.raises(InputError, match="different presets or training data"):
        read_runs(folder)


def test_runs_looked_at_after_other_steps_are_refused(tmp_path: Path) -> None:
    other = raw("rss", 1, [0.2, 0.4], way=[{"step": 60, "mAP": 0.4, "top1": 0.4}])
    with pytest.raises(InputError, match="after different steps"):
        read_runs(written(tmp_path / "r", raw("rss", 0, [0.2, 0.4]), other))


def test_ways_without_a_common_seed_are_no_pair(tmp_path: Path) -> None:
    runs = read_runs(written(tmp_path / "r", raw("rss", 0, [0.2, 0.4]), raw("softmax", 1, [0.1, 0.1])))
    assert summary(runs)["pairs"] == []


def test_started_variants_keep_frozen_what_the_preset_keeps_frozen(tmp_path: Path) -> None:
    base = dataclasses.replace(preset("vgg16"), pretrained="imagenet")
    found = {v.name: resolved(v, base, AblationSettings(), tmp_path) for v in VARIANTS if not v.whole}
    assert {one.pretrained for one in found.values()} == {"imagenet"}


def test_results_of_other_searches_are_refused(tmp_path: Path) -> None:
    folder = written(tmp_path / "r", raw("rss", 0, [0.2, 0.4]), raw("oim", 0, [0.2, 0.4, 0.6]))
    with pytest.raises(InputError, match="different searches"):
        read_runs(folder)
