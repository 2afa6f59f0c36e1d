"""What a run writes beside its model: tables, TensorBoard, and on what it ran."""

from __future__ import annotations

import csv
import dataclasses
import json
import sys
import types

import pytest

from personsearch.errors import UsageError
from personsearch.training import train as train_module
from personsearch.training.log import flat, table
from personsearch.training.train import train


def short(settings, **changes):
    return dataclasses.replace(
        settings,
        initial=dataclasses.replace(settings.initial, steps=2),
        joint=dataclasses.replace(settings.joint, steps=22),
        **changes,
    )


def test_flat_and_table_by_hand() -> None:
    entries = [{"stage": 1, "loss": 2.0}, {"stage": 2, "validation": {"mAP": 0.5}}]
    assert flat(entries[1]) == {"stage": 2, "validation mAP": 0.5}
    assert table(entries) == "stage,loss,validation mAP\n1,2.0,\n2,,0.5\n"
    assert table([]) == "\n"


class Writer:
    """In TensorBoard's place."""

    def __init__(self, folder: str, purge_step: int) -> None:
        self.said: list[tuple[str, float, int]] = []
        WRITERS.append((folder, purge_step, self))

    def add_scalar(self, name: str, value: float, step: int) -> None:
        self.said.append((name, value, step))

    def flush(self) -> None:
        pass

    def close(self) -> None:
        self.said.append(("closed", 0, 0))


WRITERS: list[tuple[str, int, Writer]] = []


def test_csv_and_tensorboard_say_what_the_log_says(scenes, settings, tmp_path, monkeypatch) -> None:
    module = types.ModuleType("torch.utils.tensorboard")
    module.SummaryWriter = Writer
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", module)
    WRITERS.clear()
    out = train(scenes, tmp_path / "run", short(settings, logs=("csv", "tensorboard")), device="cpu")
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    with (out / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [{k: float(v) for k, v in row.items() if v} for row in rows] == lines
    assert [(folder.split("/")[-1], step) for folder, step, _ in WRITERS] == [("stage-1", 0), ("stage-2", 0)]
    said = [entry for _, _, writer in WRITERS for entry in writer.said]
    assert ("stage 2/loss", lines[-1]["loss"], 21) in said
    assert sum(name == "closed" for name, _, _ in said) == 2


def test_tensorboard_that_is_missing_is_said_before_anything_is_written(
    scenes, settings, tmp_path, monkeypatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(UsageError, match="TensorBoard") as caught:
        train(scenes, tmp_path / "run", short(settings, logs=("tensorboard",)), device="cpu")
    assert "pip install 'personsearch[tensorboard]'" in caught.value.hint
    assert not (tmp_path / "run").exists()


def test_a_real_tensorboard_reads_it(scenes, settings, tmp_path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    out = train(scenes, tmp_path / "run", short(settings, logs=("tensorboard",)), device="cpu")
    events = EventAccumulator(str(out / "tensorboard" / "stage-2"))
    events.Reload()
    assert [event.step for event in events.Scalars("stage 2/loss")] == [19, 21]


def test_the_run_says_what_it_ran_on_and_from(run, settings) -> None:
    said = json.loads((run.folder / "environment.json").read_text())
    assert said["processes"] == 1
    assert set(said["packages"]) >= {"torch", "numpy", "accelerate"}
    assert said["python"].count(".") == 2
    made = json.loads((run.folder / "settings.json").read_text())
    assert made["data"]["labelled"] == 24
    assert len(made["data"]["checksum"]) == 64
    assert made["settings"]["joint"]["steps"] == settings.joint.steps
    assert train_module.METRICS == "metrics.jsonl"
