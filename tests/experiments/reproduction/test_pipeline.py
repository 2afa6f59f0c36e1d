"""From data to report: plans, refusals, and the cheap tables and figures end to end; the whole is long."""

from __future__ import annotations

import dataclasses
import json
import multiprocessing
import shutil
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from personsearch.datasets.synthetic.make import make_dataset
from personsearch.datasets.synthetic.presets import preset as data_preset
from personsearch.errors import InputError, LockedError, UsageError
from personsearch.experiments.ablation_report import read_runs
from personsearch.experiments.reproduction import trainings
from personsearch.experiments.reproduction.ablations import ablate, initial_loss
from personsearch.experiments.reproduction.page import write_report
from personsearch.experiments.reproduction.pipeline import (
    BEYOND,
    ITEMS,
    STAGES,
    chosen_items,
    plan_of,
    reproduce,
    stages_of,
)
from personsearch.experiments.reproduction.sizes import size_called
from personsearch.experiments.reproduction.workshop import Asked, Workshop
from personsearch.files import WriterLock

CHEAP = ("table1", "fig1", "fig2", "fig3", "fig4")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_dataset(tmp_path_factory.mktemp("data") / "d", data_preset("tiny"), workers=1)


def asked(root: Path | None = None, **more: Any) -> Asked:
    return Asked(
        **({"dataset": "synthetic", "root": root, "size": size_called("tiny"), "device": "cpu"} | more)
    )


def test_items_and_the_stages_they_need() -> None:
    assert {stage.name for stage in stages_of(["fig4"])} == {"data", "network"}
    assert {stage.name for stage in stages_of(["fig7b"])} == {"data", "ours", "deep", "bow", "gallery"}
    assert {stage.name for stage in stages_of(["fig6"])} == {"data", "ablation"}
    for name, stage in STAGES.items():  # no stage stands before what it needs
        assert [need for need in stage.needs if list(STAGES).index(need) > list(STAGES).index(name)] == []
    assert set(BEYOND) <= set(ITEMS)
    assert {stage for names in ITEMS.values() for stage in names} <= set(STAGES)


def test_all_is_what_the_preset_holds() -> None:
    assert chosen_items(("all",), asked()) == tuple(item for item in ITEMS if item not in ("sweep", "best"))
    assert chosen_items(("all",), asked(size=size_called("medium"))) == tuple(ITEMS)
    assert chosen_items(("fig5", "table1"), asked()) == ("table1", "fig5")
    with pytest.raises(UsageError, match="no table or figure 'fig8'"):
        chosen_items(("fig8",), asked())
    with pytest.raises(UsageError, match="preset tiny has no sweep"):
        chosen_items(("sweep",), asked())
    with pytest.raises(UsageError, match="no preset 'huge'"):
        size_called("huge")


def test_a_plan_writes_nothing(tmp_path: Path) -> None:
    plan = plan_of(("table2",), asked(size=size_called("small")), tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert [one.done for one in plan] == [False] * len(plan)
    assert all(one.minutes is not None for one in plan)


@pytest.mark.parametrize("name", ["small", "medium"])
def test_presets_are_planned_within_their_time(name: str, tmp_path: Path) -> None:
    it = asked(size=size_called(name))
    minutes = sum(one.minutes or 99 for one in plan_of(chosen_items(("all",), it), it, tmp_path / "out"))
    assert minutes <= {"small": 45, "medium": 150}[name]


def test_the_cheap_ones_end_to_end_and_nothing_twice(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    made = reproduce(CHEAP, asked(root), tmp_path / "out", say=said.append)
    report = write_report(made, tmp_path / "out")
    text = (report / "reproduction.md").read_text()
    assert "| synthetic (here) | 20 |" in text
    assert sorted(path.name for path in (report / "figures").iterdir()) == [
        "fig1.jpg", "fig2.png", "fig3.jpg", "fig4.png",
    ]  # fmt: skip
    assert said[0].startswith("1 of 4, data: begins")
    assert all(one.done for one in plan_of(CHEAP, asked(root), tmp_path / "out"))

    def forbidden(*_: Any, **__: Any) -> None:
        raise AssertionError("done again")

    monkeypatch.setattr("personsearch.experiments.reproduction.measurements.statistics", forbidden)
    again = reproduce(CHEAP, asked(root), tmp_path / "out")
    assert again.results == made.results


def test_one_folder_is_of_one_reproduction(root: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    reproduce(("table1",), asked(root), out)
    changes: dict[str, dict[str, Any]] = {
        "preset": {"size": size_called("small")},
        "seed": {"seeds": (4,)},
        "pretrained": {"pretrained": "imagenet"},
        "dataset": {"dataset": "cuhk-sysu"},
    }
    for what, change in changes.items():
        with pytest.raises(UsageError, match=f"with another {what}"):
            reproduce(("table1",), asked(root, **change), out)
    (out / "reproduction.json").write_text("{")
    with pytest.raises(UsageError, match="cannot be read"):
        plan_of(("table1",), asked(root), out)


def test_what_would_fail_late_fails_at_once(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--root is missing: prw cannot be drawn"):
        reproduce(("table1",), asked(None, dataset="prw"), tmp_path / "out")
    with pytest.raises(InputError, match="is not a folder"):
        reproduce(("table2",), asked(None, model=tmp_path / "none"), tmp_path / "out")
    with pytest.raises(InputError, match="is not a folder"):
        reproduce(("fig6",), asked(None, ablation=tmp_path / "none"), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_two_do_not_work_in_one_folder(root: Path, tmp_path: Path) -> None:
    tmp_path.mkdir(exist_ok=True)
    lock = WriterLock(tmp_path / "lock")
    try:
        with pytest.raises(LockedError):
            reproduce(("table1",), asked(root), tmp_path)
    finally:
        lock.release()


def test_other_data_in_the_same_place_are_noticed(tmp_path: Path) -> None:
    import shutil

    place = tmp_path / "data"
    make_dataset(place, data_preset("tiny"), workers=1)
    first = reproduce(("table1",), asked(place), tmp_path / "out")
    import dataclasses

    # A picture with other bytes, and a search with another gallery: nothing of it is in the boxes.
    picture = Workshop(asked(place), tmp_path).data.scenes("test")[0].path
    assert picture is not None
    picture.write_bytes(picture.read_bytes() + b"\0")
    again = reproduce(("table1",), asked(place), tmp_path / "out")
    assert again.results["data"]["pictures"][0] == first.results["data"]["pictures"][0]
    assert again.results["data"]["pictures"][1] != first.results["data"]["pictures"][1]
    assert again.results["data"]["searches"] == first.results["data"]["searches"]
    shutil.rmtree(place)
    make_dataset(place, dataclasses.replace(data_preset("tiny"), seed=5), workers=1)
    second = reproduce(("table1",), asked(place), tmp_path / "out")
    assert first.results["data"]["test"]["checksum"] != second.results["data"]["test"]["checksum"]
    assert first.results["statistics"] != second.results["statistics"]


def ablation_file(
    folder: Path, root: Path, variant: str, ap: list[float], checksum: str, **more: Any
) -> None:
    search = {
        "protocol": "synthetic gallery=10", "gallery_size": 10, "mAP": 0.5, "top1": 0.5,
        "intervals": {k: {"low": 0.4, "high": 0.6, "level": 0.95} for k in ("mAP", "top1")},
        "ap_per_query": ap, "first_hit_per_query": [1] * len(ap), "recall_per_query": [1.0] * len(ap),
        "rules": {"ap": "step", "det_threshold": 0.5},
    }  # fmt: skip
    raw = {
        "schema": "personsearch.ablation-run/1", "variant": variant, "seed": 0, "preset": "medium",
        "pretrained": "none", "data": {"checksum": checksum},
        "losses": {"step": [20, 40, 60, 80], "all": [3.0] * 4, "identity": [3.0, 2.0, 1.0, 1.0]},
        "way": [{"step": 40, "mAP": 0.2, "top1": 0.2}, {"step": 80, "mAP": 0.4, "top1": 0.4}],
        "query_height": [60.0 + i for i in range(len(ap))], "detection": {"recall": 0.9, "ap": 0.8},
        "cost": {"2": {"processor_seconds": 90.0}}, "search": search, "annotated": search,
        "environment": {"device_name": "", "threads": 2, "precision": "bf16"}, **more,
    }  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{variant}-0.json").write_text(json.dumps(raw))


@pytest.mark.parametrize("where", ["given", "found"])
def test_an_ablation_from_elsewhere_is_taken_without_training(root: Path, tmp_path: Path, where: str) -> None:
    out = tmp_path / "out"
    folder = tmp_path / "brought" / "results" if where == "given" else out / "ablation" / "results"
    known, test_half = (
        trainings.data_summary(Workshop(asked(root), out).data.scenes(half))["checksum"]
        for half in ("train", "test")
    )
    low, high = [0.1, 0.2] * 5, [0.6, 0.7] * 5
    for variant, ap in (("softmax-unstarted", low), ("softmax", low), ("rss", high), ("rss-longer", high)):
        ablation_file(folder, root, variant, ap, known, **{"test data": {"checksum": test_half}})
    it = asked(root, ablation=tmp_path / "brought") if where == "given" else asked(root)
    made = reproduce(("fig6",), it, out)
    assert made.results["ablation"]["foreign"] is True
    assert made.results["ablation"]["unchecked"] == ""
    assert made.results["ablation"]["recall"] == {}
    assert not list(out.glob("ablation/*/settings.json"))
    pairs = {(p["a"], p["b"]): p["mAP"]["mean"] for p in made.results["ablation"]["summary"]["pairs"]}
    assert pairs["rss", "softmax"] == pytest.approx(0.5)
    # Our network is then trained apart, and the longer run of the results is our best one.
    shop = Workshop(it, out)
    assert shop.our_folder == out / "model"
    assert trainings.best(shop)["name"] == "rss-longer, seed 0, of the ablation"
    ablation_file(folder, root, "rss", high, "other")
    ablation_file(folder, root, "softmax", low, "other")
    ablation_file(folder, root, "softmax-unstarted", low, "other")
    ablation_file(folder, root, "rss-longer", high, "other")
    with pytest.raises(UsageError, match=r"other data \(train half\)"):
        reproduce(("fig6",), it, out)


def test_results_of_another_test_half_are_refused(root: Path, tmp_path: Path) -> None:
    known = trainings.data_summary(Workshop(asked(root), tmp_path).data.scenes("train"))["checksum"]
    ablation_file(tmp_path / "brought", root, "rss", [0.5], known)
    file = tmp_path / "brought" / "rss-0.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"test data": {"checksum": "other"}}))
    with pytest.raises(UsageError, match=r"other data \(test half\)"):
        reproduce(("fig6",), asked(root, ablation=tmp_path / "brought"), tmp_path / "out")


def test_results_that_do_not_name_their_test_half(root: Path, tmp_path: Path) -> None:
    """Their queries have to be as many and as tall; that no more was checked is said."""
    shop = Workshop(asked(root, ablation=tmp_path / "brought"), tmp_path / "out")
    known = trainings.data_summary(shop.data.scenes("train"))["checksum"]
    boxes = shop.data.trials(10).query_box
    heights = np.round(boxes[:, 3] - boxes[:, 1], 1).tolist()
    ap = [0.5] * len(heights)
    detection = {"recall": 0.5, "ap": 0.4, "found_per_picture": [1, 3], "people_per_picture": [4, 4]}
    ablation_file(tmp_path / "brought", root, "rss", ap, known, query_height=heights, detection=detection)
    found = ablate(shop)
    assert found["unchecked"].startswith("its results do not name their test half")
    assert found["recall"]["rss"] == {"mean": 0.5, "low": 0.25, "high": 0.75}
    heights[0] += 1
    ablation_file(tmp_path / "brought", root, "rss", ap, known, query_height=heights)
    with pytest.raises(UsageError, match="test half: other queries"):
        ablate(shop)
    search = json.loads((tmp_path / "brought" / "rss-0.json").read_text())["search"] | {"gallery_size": 7}
    ablation_file(tmp_path / "brought", root, "rss", ap, known, search=search)
    assert "nothing of it could be compared" in ablate(shop)["unchecked"]


def test_softmax_is_trained_beside_the_other_k(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All from stage 1's point; the softmax of an ablation that was made here is not trained again."""
    it = asked(root)
    it = dataclasses.replace(it, size=dataclasses.replace(it.size, sweep=(4, 300)))
    shop = Workshop(it, tmp_path / "out")
    losses = SimpleNamespace(network=SimpleNamespace(losses=SimpleNamespace(k=100)))
    shop.__dict__["ours"] = SimpleNamespace(settings=losses)
    trained = []

    def train(scenes: Any, folder: Path, settings: Any, **more: Any) -> None:
        chosen = settings.model.network.losses
        trained.append((folder, chosen.identity, chosen.k, settings.initial.steps, settings.initial_from))

    monkeypatch.setattr(trainings, "train", train)
    monkeypatch.setattr(trainings, "_start", lambda shop, scenes: tmp_path / "start")
    monkeypatch.setattr(trainings, "_classes", lambda shop: 601)
    monkeypatch.setattr(trainings, "load_searcher", lambda folder, device: folder)
    monkeypatch.setattr(trainings, "_scored", lambda shop, searcher: {"of": searcher})
    found = trainings.sweep(shop)
    sweep, start = tmp_path / "out" / "sweep", str((tmp_path / "start").resolve())
    preset_k = shop.base().model.network.losses.k
    assert trained == [
        (sweep / "k4-0", "rss", 4, 0, start),
        (sweep / "k300-0", "rss", 300, 0, start),
        (sweep / "softmax-0", "softmax", preset_k, 0, start),
    ]
    assert [row["k"] for row in found["rows"]] == [4, 100, 300, None]
    assert found["rows"][-1]["of"] == sweep / "softmax-0"
    assert found["classes"] == 601
    made_here = shop.ablation / "softmax-0"
    made_here.mkdir(parents=True)
    for name in (trainings.WEIGHTS, trainings.CONFIG):
        (made_here / name).write_text(name)
    alone = trainings.sweep_settings(Workshop(it, tmp_path / "elsewhere"))
    trained.clear()
    assert trainings.sweep(shop)["rows"][-1]["of"] == made_here
    assert [k for _, _, k, _, _ in trained] == [4, 300]
    assert trainings.sweep_settings(shop) == {
        **alone,
        "softmax": trainings.folder_fingerprint(made_here),  # another one, and the sweep is made again
    }
    own = sweep / "softmax-0"
    own.mkdir(parents=True)
    for name in (trainings.WEIGHTS, trainings.CONFIG):
        (own / name).write_text(name)  # made before the ablation was: nothing is done again
    assert trainings.sweep(shop)["rows"][-1]["of"] == own
    assert trainings.sweep_settings(shop) == alone
    shutil.rmtree(own)
    brought = Workshop(dataclasses.replace(it, ablation=tmp_path / "brought"), tmp_path / "out")
    brought.__dict__["ours"] = shop.ours
    trained.clear()  # an ablation from elsewhere has no models, and may be of other settings
    assert trainings.sweep(brought)["rows"][-1]["of"] == sweep / "softmax-0"
    assert [k for _, _, k, _, _ in trained] == [4, 300, preset_k]
    assert trainings.sweep_settings(brought) == alone


def test_the_sweep_wants_no_ablation(root: Path) -> None:
    assert [stage.name for stage in stages_of(("sweep",))] == ["data", "ours", "sweep"]
    with_ablation = [stage.name for stage in stages_of(("sweep", "fig6"))]
    assert with_ablation.index("ablation") < with_ablation.index("sweep")  # which then uses its softmax


def test_what_was_brought_along_takes_no_time_in_the_plan(tmp_path: Path) -> None:
    it = asked(size=size_called("medium"))
    items = chosen_items(("all",), it)
    (tmp_path / "brought").mkdir()
    (tmp_path / "brought" / "rss-longer-0.json").write_text("{}")

    def minutes(it: Asked) -> dict[str, float]:
        plan = plan_of(items, it, tmp_path / "out")
        return {one.stage.name: one.minutes or 0.0 for one in plan}

    whole, brought = minutes(it), minutes(dataclasses.replace(it, ablation=tmp_path / "brought"))
    assert {name for name in whole if whole[name] != brought[name]} == {"ablation", "best"}
    assert max(brought["ablation"], brought["best"]) <= 1
    given = minutes(dataclasses.replace(it, model=tmp_path, best=tmp_path))
    assert {name for name in whole if whole[name] != given[name]} == {"ours", "best"}


def test_the_loss_at_the_end_by_hand(tmp_path: Path) -> None:
    """Losses 3, 2, 1, 1: it begins at 3, and over the last half it is 1; the other run halves that."""
    ablation_file(tmp_path, tmp_path, "softmax-unstarted", [0.5], "")
    assert initial_loss(read_runs(tmp_path)) is None
    ablation_file(tmp_path, tmp_path, "softmax", [0.5], "")
    file = tmp_path / "softmax-0.json"
    raw = json.loads(file.read_text())
    raw["losses"]["identity"] = [2.0, 1.0, 0.6, 0.4]
    file.write_text(json.dumps(raw))
    assert initial_loss(read_runs(tmp_path)) == {
        "seeds": [0], "first": [3.0], "without": [1.0], "with": [0.5],
    }  # fmt: skip


def _whole(root: str, out: str) -> None:
    it = asked(Path(root))
    reproduce(chosen_items(("all",), it), it, Path(out))


TIMED = ("speed", "cost")
"""Stages whose results are times and memory, which no two runs share."""


def numbers_of(out: Path) -> dict[str, Any]:
    found = {}
    for file in (out / "results").glob("*.json"):
        result = json.loads(file.read_text())["result"]
        if file.stem == "table2":
            for cell in (*result["cells"].values(), result["ours"]):
                cell.pop("detect_ms"), cell.pop("describe_ms"), cell.pop("ms")
        if file.stem not in TIMED:
            found[file.stem] = result
    return found


@pytest.mark.long
def test_killed_five_times_it_ends_with_the_same_numbers(root: Path, tmp_path: Path) -> None:
    _whole(str(root), str(tmp_path / "whole"))
    spawn = multiprocessing.get_context("spawn")
    killed = 0
    for wait in (12.0, 15.0, 20.0, 25.0, 30.0):
        process = spawn.Process(target=_whole, args=(str(root), str(tmp_path / "killed")))
        process.start()
        process.join(wait)
        killed += process.is_alive()
        process.kill()
        process.join()
        time.sleep(0.2)
    assert killed >= 2
    _whole(str(root), str(tmp_path / "killed"))
    assert numbers_of(tmp_path / "killed") == numbers_of(tmp_path / "whole")
    it = asked(root)
    made = reproduce(chosen_items(("all",), it), it, tmp_path / "killed")
    report = write_report(made, tmp_path / "killed")
    text = (report / "reproduction.md").read_text()
    for heading in ("Table 1", "Table 2", "Table 3", "Figure 4", "Figure 7a", "Speed"):
        assert f"## {heading}" in text
