"""kill -9 at any moment: a run goes on where it was saved, and its loss curve is the uninterrupted one's."""

from __future__ import annotations

import dataclasses
import json
import multiprocessing
import os
import random
import runpy
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from personsearch.training.settings import ValidationSettings
from personsearch.training.train import train

PROGRAM = Path(__file__).with_name("train_program.py")
TIMES = ("seconds", "processor_seconds", "samples_per_s", "wait_share")


def curve(folder: Path) -> list[dict]:
    """The log without what differs from one time to the next."""
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in line.items() if name not in TIMES} for line in lines]


def killed(scenes, out: Path, settings, *, after: int, seconds: float) -> bool:
    """Train in another process, and kill it that long after so many of its items; True if it had ended."""
    # A server that has imported everything once forks a process for each call: quick starts, and
    # no thread of this process comes along.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["personsearch.training.train"])
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(
        target=runpy.run_path,
        args=(str(PROGRAM),),
        kwargs={"init_globals": {"job": (scenes, out, settings, theirs)}, "run_name": "killed"},
    )
    process.start()
    theirs.close()
    try:
        for _ in range(after):
            if not ours.poll(60):
                break
            ours.recv()
        time.sleep(seconds)
    except EOFError:
        pass
    finally:
        process.kill()
        process.join()
    return process.exitcode == 0


def run(scenes, out: Path, settings, *, kills: int, seed: int, reach: int) -> int:
    """Train with ``kills`` kills at random moments, then to the end; how many met it alive."""
    chance, met = random.Random(seed), 0
    for _ in range(kills):
        met += not killed(
            scenes, out, settings, after=chance.randrange(reach), seconds=chance.choice((0, 0.003, 0.02))
        )
        assert not (out / "config.json").exists() or (out / "model.safetensors").exists()
        if (out / "state.pt").exists():  # whatever was written last is whole
            torch.load(out / "state.pt", weights_only=True)
    train(scenes, out, settings, device="cpu")
    return met


def same(a: Path, b: Path) -> None:
    """To the bit: the curve, the weights, what is told of probabilities."""
    assert curve(a) == curve(b)
    ours, theirs = load_file(a / "model.safetensors"), load_file(b / "model.safetensors")
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert (a / "calibration.json").read_text() == (b / "calibration.json").read_text()
    for path in b.rglob("*.safetensors"):
        assert path.read_bytes() == (a / path.relative_to(b)).read_bytes(), path
    left = {p.name for p in a.rglob("*") if not p.name.startswith(".")}
    assert left == {p.name for p in b.rglob("*") if not p.name.startswith(".")}


@pytest.mark.skipif(os.name == "nt", reason="needs fork")
def test_five_kills_change_nothing(run_folder_settings, scenes, tmp_path) -> None:
    settings, straight = run_folder_settings
    met = run(scenes, tmp_path / "run", settings, kills=5, seed=0, reach=14)
    assert met >= 3
    same(tmp_path / "run", straight)


@pytest.fixture(scope="module")
def run_folder_settings(scenes, settings, tmp_path_factory):
    """Everything at once: average, validation, snapshots, a table; saved after every other step or so."""
    full = dataclasses.replace(
        settings,
        average=0.9,
        validation=ValidationSettings(every=10, identities=2, pictures=8),
        snapshots=(0, 7),
        logs=("csv",),
        save_seconds=0.02,
    )
    return full, train(scenes, tmp_path_factory.mktemp("straight") / "run", full, device="cpu")


@pytest.mark.long
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("workers", [0, 2])
def test_twenty_kills_change_nothing(run_folder_settings, scenes, tmp_path, seed: int, workers: int) -> None:
    settings, straight = run_folder_settings
    settings = dataclasses.replace(settings, workers=workers)
    run(scenes, tmp_path / "run", settings, kills=20, seed=seed, reach=40)
    same(tmp_path / "run", straight)
