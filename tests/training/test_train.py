"""A whole run on a handful of pictures: what it writes, says, refuses, and that a kill changes nothing."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from personsearch import images
from personsearch.errors import DatasetError, InputError, PersonSearchError, UsageError
from personsearch.model.checkpoint import fingerprint_of, load_model, load_searcher, untrained_searcher
from personsearch.model.network import PersonSearchNetwork
from personsearch.training import stages as stages_module
from personsearch.training import train as train_module
from personsearch.training.train import train
from personsearch.training.validation import choose_validation
from personsearch.types import Searcher


def test_a_run_folder_is_a_model_folder(run, scenes) -> None:
    names = {p.name for p in run.folder.iterdir()}
    assert names == {
        "model.safetensors",
        "config.json",
        "calibration.json",
        "card.md",
        "settings.json",
        "state.pt",
        "metrics.jsonl",
        "environment.json",
        "initial.safetensors",
        "lock",
    }
    searcher = load_searcher(run.folder, "cpu")
    assert isinstance(searcher, Searcher)
    assert searcher.settings.identities == 10  # 12 less the 2 held out
    assert searcher.fingerprint == fingerprint_of(run.folder)
    rows = searcher.embed(images.load(scenes[0].path), scenes[0].boxes)
    assert np.isfinite(rows).all()


def test_the_run_is_calibrated_on_the_people_it_held_out(run, scenes, settings) -> None:
    curve = load_searcher(run.folder, "cpu").calibration
    held_out = choose_validation(scenes, 2, settings.seed)
    rows = sum(int(np.isin(s.people, held_out).sum()) for s in scenes)
    shared = sum(int(np.isin(s.people, held_out).sum() == 2) for s in scenes)
    assert rows == 4
    assert curve.pairs == rows * (rows - 1) // 2 - shared
    assert (curve.probability(np.array([-1.0, 0.0, 1.0])) > 0).all()


def test_what_the_run_said(run) -> None:
    """K as it is used, and that nobody's ImageNet weights are inside."""
    assert "K = min(100, C+1) = 11" in run.log
    assert "random weights" in run.log
    assert "rss" in run.log
    card = (run.folder / "card.md").read_text()
    assert "Intended use" in card
    assert "K = 11" in card
    environment = json.loads((run.folder / "environment.json").read_text())
    assert environment["precision"] == "no"
    assert environment["device"] == "cpu"


def steps(folder: Path) -> list[tuple[int, int]]:
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [(line["stage"], line["step"]) for line in lines]


def test_the_log_has_a_line_for_every_twenty_steps(run) -> None:
    assert steps(run.folder) == [(1, 5), (2, 19), (2, 23)]
    for line in (run.folder / "metrics.jsonl").read_text().splitlines():
        entry = json.loads(line)
        parts = (
            ("identity", "person")
            if entry["stage"] == 1
            else ("proposal_class", "proposal_box", "identity", "box", "person")
        )
        assert entry["loss"] == pytest.approx(sum(entry[part] for part in parts), abs=1e-4)
        assert 0 <= entry["wait_share"] <= 1


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


def test_training_moved_every_part(run, settings) -> None:
    model = dataclasses.replace(settings.model, identities=10)
    start = untrained_searcher(model, seed=settings.seed, device="cpu").network.state_dict()
    end = weights(run.folder)
    for part in ("trunk.stem.0", "proposals.network.head.regress", "head.fc8", "head.box", "head.classifier"):
        assert not torch.equal(start[f"{part}.weight"], end[f"{part}.weight"]), part


def interrupted(label: str, at: int):
    """Progress that a Ctrl-C ends in the named job before its ``at``-th item."""

    def progress(items, name, *, total=None, done=0):
        for i, item in enumerate(items):
            if name.startswith(label) and i == at:
                raise KeyboardInterrupt
            yield item

    return progress


@pytest.mark.parametrize(
    ("label", "at"),
    [("cutting crops", 5), ("stage 2", 0), ("calibrating", 1)],
)
def test_a_killed_run_resumes_to_the_same_model(run, scenes, settings, tmp_path, label: str, at: int) -> None:
    out = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        train(scenes, out, settings, device="cpu", progress=interrupted(label, at))
    with pytest.raises(InputError):
        load_searcher(out, "cpu")  # an unfinished run is no model
    torch.manual_seed(99)  # and the chance of whatever ran in between takes no part
    train(scenes, out, settings, device="cpu")
    ours, theirs = weights(out), weights(run.folder)
    assert ours.keys() == theirs.keys()
    for name in ours:
        assert torch.equal(ours[name], theirs[name]), name
    assert steps(out) == steps(run.folder)
    assert (out / "calibration.json").read_text() == (run.folder / "calibration.json").read_text()
    assert {p.name for p in out.iterdir()} == {p.name for p in run.folder.iterdir()}


def test_a_finished_run_returns_at_once(run, scenes, settings) -> None:
    before = {p: (p.stat().st_mtime_ns, p.stat().st_size) for p in run.folder.iterdir()}

    def never(items, label, *, total=None, done=0):
        raise AssertionError(f"worked again: {label}")

    assert train(scenes, run.folder, settings, device="cpu", progress=never) == run.folder
    assert {p: (p.stat().st_mtime_ns, p.stat().st_size) for p in run.folder.iterdir()} == before


def test_other_settings_or_data_are_refused(run, scenes, settings) -> None:
    before = fingerprint_of(run.folder)
    others = [
        (scenes, dataclasses.replace(settings, seed=1)),
        (scenes, dataclasses.replace(settings, joint=dataclasses.replace(settings.joint, rate=1.0))),
        (scenes[:-1], settings),
        (scenes[::-1], settings),  # another order is another run
        ((dataclasses.replace(scenes[0], people=scenes[1].people), *scenes[1:]), settings),
        ((dataclasses.replace(scenes[0], boxes=scenes[0].boxes + 1), *scenes[1:]), settings),
    ]
    for data, wanted in others:
        with pytest.raises(UsageError, match="other settings or data") as caught:
            train(data, run.folder, wanted, device="cpu")
        assert "--out" in caught.value.hint
    assert fingerprint_of(run.folder) == before


def test_a_model_that_is_no_run_is_not_written_over(run, scenes, settings, tmp_path) -> None:
    """Somebody's model in the folder, without a run: training there would destroy it."""
    folder = Path(shutil.copytree(run.folder, tmp_path / "model"))
    for name in ("settings.json", "state.pt", "metrics.jsonl", "environment.json"):
        (folder / name).unlink()
    before = fingerprint_of(folder)
    with pytest.raises(UsageError, match="model"):
        train(scenes, folder, dataclasses.replace(settings, seed=1), device="cpu")
    assert fingerprint_of(folder) == before


@pytest.mark.parametrize("content", ["", "{", "[]"])
def test_broken_settings_of_a_run_are_one_clear_error(scenes, settings, tmp_path, content: str) -> None:
    (tmp_path / "settings.json").write_text(content)
    with pytest.raises(PersonSearchError, match=tmp_path.name):
        train(scenes, tmp_path, settings, device="cpu")


def test_nobody_with_a_name_is_refused_before_anything_is_written(scenes, settings, tmp_path) -> None:
    nameless = [dataclasses.replace(s, people=np.full(len(s), -1)) for s in scenes]
    for data in (nameless, [], scenes[:0]):
        with pytest.raises(DatasetError, match="identit"):
            train(data, tmp_path / "run", settings, device="cpu")
    assert not (tmp_path / "run").exists()


def test_a_missing_picture_is_named(scenes, settings, tmp_path) -> None:
    data = [*scenes[:-1], dataclasses.replace(scenes[-1], path=tmp_path / "gone.png")]
    with pytest.raises(InputError, match=r"gone\.png"):
        train(data, tmp_path / "run", settings, device="cpu")


def test_a_device_that_is_not_there(scenes, settings, tmp_path) -> None:
    with pytest.raises(InputError, match="cuda:99"):
        train(scenes, tmp_path / "run", settings, device="cuda:99")


def short(settings, initial: int, joint: int):
    return dataclasses.replace(
        settings,
        initial=dataclasses.replace(settings.initial, steps=initial),
        joint=dataclasses.replace(settings.joint, steps=joint),
    )


def test_stage_2_starts_where_stage_1_ended(scenes, settings, tmp_path, monkeypatch) -> None:
    """The initial point is carried over, weights and all; the optimiser begins anew."""
    moments: list[tuple[str, dict[str, torch.Tensor]]] = []
    original = train_module.run_stage

    def watched(stage, network, team, state, progress):
        def copy() -> dict[str, torch.Tensor]:
            return {name: value.clone() for name, value in network.state_dict().items()}

        assert state is None
        moments.append((f"before {stage.number}", copy()))
        original(stage, network, team, state, progress)
        moments.append((f"after {stage.number}", copy()))

    monkeypatch.setattr(train_module, "run_stage", watched)
    out = train(scenes, tmp_path / "run", short(settings, 3, 2), device="cpu")
    assert [name for name, _ in moments] == ["before 1", "after 1", "before 2", "after 2"]
    states = dict(moments)

    def equal(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
        return all(torch.equal(a[name], b[name]) for name in a)

    assert equal(states["after 1"], states["before 2"])
    assert equal(states["after 2"], weights(out))
    assert not equal(states["before 1"], states["after 1"])
    first, second = states["before 1"], states["after 1"]
    assert not torch.equal(first["head.classifier.weight"], second["head.classifier.weight"])
    assert torch.equal(
        first["proposals.network.head.conv.weight"], second["proposals.network.head.conv.weight"]
    )


def test_another_seed_is_another_model(scenes, settings, tmp_path) -> None:
    """Or the comparison of killed and uninterrupted runs would prove nothing."""
    runs = []
    for seed in (0, 0, 1):
        wanted = dataclasses.replace(short(settings, 1, 1), seed=seed)
        runs.append(
            weights(train(scenes, tmp_path / str(len(runs)), wanted, device="cpu"))["head.fc8.weight"]
        )
    assert torch.equal(runs[0], runs[1])
    assert not torch.equal(runs[0], runs[2])


@pytest.mark.parametrize(("initial", "joint"), [(0, 2), (2, 0)])
def test_either_stage_can_be_left_out(scenes, settings, tmp_path, initial: int, joint: int) -> None:
    out = train(scenes, tmp_path / "run", short(settings, initial, joint), device="cpu")
    assert {stage for stage, _ in steps(out)} == ({2} if joint else {1})
    assert not (out / "crops.u8").exists()


def test_held_out_people_stay_people_and_reach_no_identity_loss(
    scenes, settings, tmp_path, monkeypatch
) -> None:
    """Recorded from the run itself: every labelled row, and every box that a stage was given."""
    held_out = set(choose_validation(scenes, 2, settings.seed).tolist())
    everybody = sorted({int(p) for s in scenes for p in s.people if p >= 0})
    renumbered = {p: i for i, p in enumerate(p for p in everybody if p not in held_out)}
    labels: set[int] = set()
    original = PersonSearchNetwork._identity_loss

    def spy(self, logits, rows):
        assert logits.shape[1] == len(renumbered) + 1
        labels.update(rows.tolist())
        return original(self, logits, rows)

    given: dict[str, list] = {}

    def recording(name: str):
        inner = getattr(stages_module, name)

        def call(data, *arguments, **keywords):
            given[name] = list(data)
            return inner(data, *arguments, **keywords)

        return call

    monkeypatch.setattr(PersonSearchNetwork, "_identity_loss", spy)
    for name in ("SceneBatches", "cut_crops"):
        monkeypatch.setattr(stages_module, name, recording(name))
    train(scenes, tmp_path / "run", short(settings, 1, 8), device="cpu")
    assert labels <= {-1, *renumbered.values(), len(renumbered)}
    assert -1 in labels
    for data in given.values():
        assert len(data) == len(scenes)
        for ours, theirs in zip(data, scenes, strict=True):
            assert np.array_equal(ours.boxes, theirs.boxes)
            assert ours.people.tolist() == [renumbered.get(int(p), -1) for p in theirs.people]
    assert set(given) == {"SceneBatches", "cut_crops"}


def test_a_loss_that_explodes_is_one_clear_error(scenes, settings, tmp_path, monkeypatch) -> None:
    original = PersonSearchNetwork._identity_loss
    monkeypatch.setattr(
        PersonSearchNetwork, "_identity_loss", lambda self, x, y: original(self, x, y) * torch.nan
    )
    with pytest.raises(PersonSearchError, match=r"stage 2.*not finite") as caught:
        train(scenes, tmp_path / "run", short(settings, 0, 3), device="cpu")
    assert "identity nan" in str(caught.value)
    assert not (tmp_path / "run" / "config.json").exists()


def test_runs_of_another_precision_in_one_process(scenes, settings, tmp_path) -> None:
    """Accelerate remembers the first run's precision; ours is an argument."""
    for precision in ("bf16", "fp32"):
        wanted = dataclasses.replace(short(settings, 1, 1), precision=precision)
        out = train(scenes, tmp_path / precision, wanted, device="cpu")
        said = json.loads((out / "environment.json").read_text())["precision"]
        assert said == ("bf16" if precision == "bf16" else "no")


def test_a_plain_softmax_run_says_so(scenes, settings, tmp_path, caplog) -> None:
    inner = settings.model.network
    plain = dataclasses.replace(inner, losses=dataclasses.replace(inner.losses, identity="softmax"))
    model = dataclasses.replace(settings.model, network=plain)
    with caplog.at_level("INFO", logger="personsearch"):
        train(scenes, tmp_path / "run", dataclasses.replace(short(settings, 0, 1), model=model), device="cpu")
    assert "identity loss softmax" in caplog.text
    assert "K =" not in caplog.text


def test_imagenet_weights_are_never_silently_missing(scenes, settings, tmp_path) -> None:
    with pytest.raises(UsageError, match="ImageNet"):
        train(scenes, tmp_path / "run", dataclasses.replace(settings, pretrained="imagenet"), device="cpu")


@pytest.mark.parametrize(("parts", "number"), [("detector", 2), ("embedder", 1)])
def test_deep_and_idnet_are_the_network_with_parts_left_away(
    scenes, settings, tmp_path, parts: str, number: int
) -> None:
    """The paper's 5.1: a detector learns from scenes alone, an embedder from crops alone."""
    wanted = short(settings, *((0, 3) if number == 2 else (3, 0)))
    network = dataclasses.replace(wanted.model.network, parts=parts)
    crop = dataclasses.replace(wanted.model.crop, size=(64, 32), keep_aspect=True)
    model = dataclasses.replace(wanted.model, network=network, crop=crop)
    out = train(scenes, tmp_path / "run", dataclasses.replace(wanted, model=model), device="cpu")
    assert {stage for stage, _ in steps(out)} == {number}
    trained = load_model(out, "cpu")
    assert trained.parts == parts
    assert (trained.calibration is None) == (parts == "detector")
    with pytest.raises(UsageError, match="stage"):
        train(scenes, tmp_path / "both", dataclasses.replace(settings, model=model), device="cpu")


def test_a_detector_learns_from_people_whom_nobody_named(scenes, settings, tmp_path) -> None:
    nameless = tuple(dataclasses.replace(s, people=np.full(len(s), -1)) for s in scenes)
    wanted = short(settings, 0, 2)
    network = dataclasses.replace(wanted.model.network, parts="detector")
    finds = dataclasses.replace(wanted, model=dataclasses.replace(wanted.model, network=network))
    out = train(nameless, tmp_path / "run", finds, device="cpu")
    assert "| identities | 0 trained, 0 held out |" in (out / "card.md").read_text()
    assert load_model(out, "cpu").parts == "detector"
    with pytest.raises(DatasetError, match="at least 2 identities, found 0"):
        train(nameless, tmp_path / "joint", wanted, device="cpu")
