"""``personsearch train``: flags to one settings.json, and a run that goes on by its folder alone."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from functools import reduce
from operator import getitem
from pathlib import Path

import numpy as np
import pytest

from personsearch.datasets.open import open_dataset
from personsearch.datasets.synthetic.make import make_dataset
from personsearch.datasets.synthetic.presets import preset
from personsearch.images import load
from personsearch.model.checkpoint import load_searcher
from personsearch.training.presets import PRESETS
from personsearch.training.presets import preset as training_preset


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    settings = replace(preset("tiny"), train_identities=16, train_scenes=20)
    return make_dataset(tmp_path_factory.mktemp("data") / "data", settings, workers=1)


def words(data: Path, *more: object) -> list[object]:
    common = ["--dataset", "synthetic", "--root", data, "--preset", "compact-tiny", "--device", "cpu"]
    return ["train", *common, "--precision", "fp32", "--progress", "none", *more]


def test_flags_resolve_to_one_file_and_the_folder_alone_goes_on(command, data: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    flags = ["--steps1", 2, "--steps2", 3, "--loss", "softmax", "--batch", 1, "--rate", 0.001, "--ema", 0.5]
    ended = command(*words(data, "--out", run, *flags, "--log", "csv", "--snapshots", "0,3", "--seed", 4))
    assert ended.code == 0, ended.err
    record = json.loads(ended.out)
    assert (record["schema"], record["preset"], record["seed"]) == ("personsearch.train/1", "compact-tiny", 4)
    made = json.loads((run / "settings.json").read_text())
    settings = made["settings"]
    assert settings["model"]["network"]["losses"]["identity"] == "softmax"
    assert (settings["joint"]["batch"], settings["joint"]["rate"], settings["average"]) == (1, 0.001, 0.5)
    assert made["source"]["root"] == str(data.resolve())
    assert {p.name for p in (run / "snapshots").iterdir()} == {
        "config.json",
        "step-0.safetensors",
        "step-3.safetensors",
    }
    weights = (run / "model.safetensors").read_bytes()
    (run / "config.json").unlink()  # as if it had been killed just before its end
    again = command("train", "--resume", run, "--json", "--progress", "none", "--device", "cpu")
    assert again.code == 0, again.err
    assert json.loads(again.out) == record
    assert (run / "model.safetensors").read_bytes() == weights
    moved = Path(shutil.copytree(data, tmp_path / "moved"))
    (run / "config.json").unlink()
    assert command("train", "--resume", run, "--root", moved, "--log", "csv", "--json").code == 0
    refused = command("train", "--resume", run, "--rate", 1)
    assert (refused.code, len(refused.errors)) == (2, 1)
    assert "--rate" in refused.err


def documented(language: str) -> list[str]:
    text = (Path(__file__).parents[2] / "docs" / "training.md").read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


VARIANTS = [
    line.split(" --root data ")[1].split(" --out ")[0].split()
    for block in documented("sh")
    for line in block.splitlines()
    if " --root data --" in line and "--preset" not in line
]


SETTING = {
    "--loss": (("model", "network", "losses", "identity"), str),
    "--cover": (("augment", "cover"), float),
    "--correction": (("model", "network", "losses", "correction"), str),
    "--trunk": (("model", "trunk"), str),
    "--norm": (("model", "trunk_options", "norm"), str),
    "--pyramid": (("model", "trunk_options", "pyramid"), lambda _: 16),
}
"""Where in settings.json a flag of the document is to be seen, and as what."""
PLAIN = training_preset("compact-tiny").to_json()
"""The settings without flags."""


def test_the_document_shows_every_kind_of_variant() -> None:
    assert {word for flags in VARIANTS for word in flags if word.startswith("--")} == set(SETTING)


@pytest.mark.parametrize("flags", VARIANTS, ids=" ".join)
def test_every_documented_variant_becomes_a_model(command, data: Path, tmp_path: Path, flags) -> None:
    ended = command(*words(data, "--out", tmp_path / "run", "--steps1", 2, "--steps2", 2, *flags))
    assert ended.code == 0, ended.err
    settings = json.loads((tmp_path / "run" / "settings.json").read_text())["settings"]
    for flag, value in zip(flags, [*flags[1:], ""], strict=True):
        if flag.startswith("--"):
            keys, read = SETTING[flag]
            assert reduce(getitem, keys, settings) == read(value) != reduce(getitem, keys, PLAIN), flag
    searcher = load_searcher(tmp_path / "run", "cpu")
    scene = open_dataset("synthetic", data).scenes("test")[0]
    embeddings = searcher.embed(load(scene.path), scene.boxes[:2])
    assert embeddings.shape == (2, searcher.dim)
    assert np.isfinite(embeddings).all()
    assert np.abs(embeddings[0] - embeddings[1]).max() > 0


@pytest.mark.long  # a process and four more, each of which imports torch
def test_the_documented_python_trains(data: Path, tmp_path: Path) -> None:
    (program,) = documented("python")
    few = """replace(
    preset("compact-tiny"),
    initial=replace(preset("compact-tiny").initial, steps=2),
    joint=replace(preset("compact-tiny").joint, steps=2),
)"""
    assert program.count('preset("demo")') == 1
    (tmp_path / "program.py").write_text(program.replace('preset("demo")', few))
    (tmp_path / "data").symlink_to(data)
    done = subprocess.run([sys.executable, "program.py"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    losses = load_searcher(tmp_path / "run", "cpu").settings.network.losses
    assert losses.triplet_weight == 0.1


def test_the_help_names_every_preset(command) -> None:
    said = set(re.findall(r"[\w-]+", command("train", "--help").out.replace("-\n", "-")))
    assert set(PRESETS) <= said


def test_a_dry_run_answers_and_writes_nothing(command, data: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    ended = command(*words(data, "--dry-run", "--json", "--batch", 1))
    assert ended.code == 0, ended.err
    record = json.loads(ended.out)
    assert record["schema"] == "personsearch.train-dry-run/1"
    assert [stage["name"] for stage in record["stages"]] == ["stage 1: crops", "stage 2: scenes"]
    assert record["settings"]["joint"]["batch"] == 1
    table = command(*words(data, "--dry-run", "--format", "table", "--out", tmp_path / "run"))
    assert "nothing was written" in table.out
    assert "GiB" in table.out
    assert list(tmp_path.iterdir()) == []


def test_too_few_steps_to_learn_by_heart_are_a_failure(command, data: Path, tmp_path: Path) -> None:
    flags = ["--overfit", 2, "--steps1", 0, "--steps2", 21, "--rate", 1e-9]
    ended = command(*words(data, "--out", tmp_path / "run", *flags))
    assert ended.code == 1
    assert "by heart" in ended.errors[0]
    made = json.loads((tmp_path / "run" / "settings.json").read_text())
    assert made["source"]["overfit"] == "2"
    assert made["data"]["scenes"] == 2
    again = command("train", "--resume", tmp_path / "run")  # the same two scenes
    assert again.code == 1
    assert "by heart" in again.errors[0]


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--out", "x"], "--root is missing"),
        (["--root", "x"], "--out is missing"),
        (["--resume", "nowhere"], "no run in nowhere"),
        (["--resume", "nowhere", "--seed", "1"], "--seed"),
        (["--root", "x", "--out", "y", "--log", "paper"], "'paper'"),
        (["--root", "x", "--out", "y", "--snapshots", "1,two"], "1,two"),
        (["--root", "x", "--out", "y", "--preset", "vgg16", "--loss", "oim"], "score of its own"),
        (["--root", "x", "--out", "y", "--initial-from", "z", "--steps1", "3"], "--initial-from"),
        (["--root", "x", "--out", "y", "--keep", "best"], "validation"),
        (["--root", "x", "--out", "y", "--ema", "1.5"], "decay"),
        (["--root", "x", "--out", "y", "--batch", "3", "--accumulate", "2"], "batch of 3"),
        (["--root", "x", "--out", "y", "--loss", "focal"], "focal"),
    ],
)
def test_what_does_not_go_together_is_one_clear_line(
    command, flags: list[str], said: str, tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ended = command("train", *flags)
    assert ended.code in (2, 4)
    assert said in ended.err
    assert len(ended.err.splitlines()) == 2
    assert list(tmp_path.iterdir()) == []
