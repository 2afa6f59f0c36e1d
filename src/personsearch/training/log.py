"""What a run says while it descends: one line every twenty steps, for people and for other programs."""

from __future__ import annotations

import csv
import io
import json
import os
import platform
import time
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, TextIO

import torch

from personsearch import __version__
from personsearch.errors import UsageError
from personsearch.files import write_text
from personsearch.training.settings import Log, StageSettings
from personsearch.training.state import METRICS, forget_after, on_disk, read_lines
from personsearch.training.team import Team

EVERY = 20
PACKAGES = ("accelerate", "numpy", "opencv-python-headless", "safetensors", "torch", "torchvision", "timm")


class Clock:
    """When to log and save, and what the log says.

    Args:
        number: of the stage. settings: of it.
        save_seconds: between two saves.
        losses: of the steps since the last line, where a run is resumed between two lines.
    """

    def __init__(
        self,
        number: int,
        settings: StageSettings,
        save_seconds: float,
        losses: Sequence[dict[str, float]] = (),
        nameless: int = 0,
    ) -> None:
        self.number, self.settings, self.save_seconds = number, settings, save_seconds
        self.saved = self.logged = time.perf_counter()
        self.processor = time.process_time()
        self.waited = self.loaders = 0.0
        self.losses = list(losses)
        self.resumed = len(self.losses)
        self.nameless = nameless

    def due(self, step: int) -> bool:
        """Whether the log wants a line: every 20 steps of the stage, and at its end.

        Counted from the stage's beginning, so that a resumed run's log has the same lines.
        """
        return (step + 1) % EVERY == 0 or step + 1 == self.settings.steps

    def save_due(self) -> bool:
        """Whether the state is to be saved."""
        return time.perf_counter() - self.saved >= self.save_seconds

    def has_saved(self) -> None:
        """The next save is due in ``save_seconds``."""
        self.saved = time.perf_counter()

    def line(self, step: int) -> dict[str, Any]:
        """Mean losses since the last line, speed, and how long the network waited for data.

        ``processor_seconds`` are those of this process and of its loaders. ``nameless_steps`` had
        nobody with an identity, so an identity loss of 0.
        """
        now, processor = time.perf_counter(), time.process_time()
        names = self.losses[0].keys()
        means = {name: round(sum(v[name] for v in self.losses) / len(self.losses), 5) for name in names}
        elapsed = now - self.logged
        done = len(self.losses) - self.resumed
        line = {
            "stage": self.number,
            "step": step,
            "rate": self.settings.rate_at(step),
            "loss": round(sum(means.values()), 5),
            **means,
            "samples_per_s": round(done * self.settings.batch / elapsed, 2),
            "wait_share": round(self.waited / elapsed, 4),
            "seconds": round(elapsed, 3),
            "processor_seconds": round(processor - self.processor + self.loaders, 3),
        }
        if self.nameless:
            line["nameless_steps"] = self.nameless
        self.logged, self.processor, self.waited, self.loaders = now, processor, 0.0, 0.0
        self.losses, self.resumed, self.nameless = [], 0, 0
        return line


class Journal:
    """A run's ``metrics.jsonl``, and what is made of it: ``metrics.csv`` and TensorBoard's files.

    Args:
        folder: of the run.
        logs: beside ``metrics.jsonl``.
        stage, step: where the run goes on; later lines are of work that is done again.
    """

    def __init__(self, folder: Path, logs: Sequence[Log], stage: int, step: int) -> None:
        self.folder, self.logs = folder, logs
        forget_after(folder / METRICS, stage, step)
        self.board = _board(folder, stage, step) if "tensorboard" in logs else None
        self.lines: TextIO = (folder / METRICS).open("a", encoding="utf-8")

    def write(self, line: dict[str, Any]) -> None:
        """Add one line."""
        self.lines.write(json.dumps(line) + "\n")
        self.lines.flush()
        if self.board is not None:
            for name, value in flat(line).items():
                if isinstance(value, int | float) and name not in ("stage", "step"):
                    self.board.add_scalar(f"stage {line['stage']}/{name}", value, line["step"])

    def keep(self) -> None:
        """Make what was written so far survive a power cut, and bring the table up to date."""
        on_disk(self.lines)
        if self.board is not None:
            self.board.flush()
        if "csv" in self.logs:
            write_text(self.folder / "metrics.csv", table(read_lines(self.folder / METRICS)))

    def close(self) -> None:
        """Nothing is written any more."""
        self.lines.close()
        if self.board is not None:
            self.board.close()


def flat(line: dict[str, Any]) -> dict[str, Any]:
    """One level: ``{"validation": {"mAP": 1}}`` becomes ``{"validation mAP": 1}``."""
    result: dict[str, Any] = {}
    for name, value in line.items():
        if isinstance(value, dict):
            result.update({f"{name} {inner}": v for inner, v in value.items()})
        else:
            result[name] = value
    return result


def table(entries: Sequence[dict[str, Any]]) -> str:
    """CSV of the log's entries: a row each, a column for every name that occurs.

    >>> print(table([{"stage": 1, "loss": 2.5}, {"stage": 2, "box": 1}]), end="")
    stage,loss,box
    1,2.5,
    2,,1
    """
    rows = [flat(entry) for entry in entries]
    names = list(dict.fromkeys(name for row in rows for name in row))
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return buffer.getvalue()


def check_logs(logs: Sequence[Log]) -> None:
    """Refuse a log that cannot be written here, before anything is trained.

    Raises:
        UsageError: TensorBoard is not installed.
    """
    if "tensorboard" in logs:
        _writer()


def _writer() -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise UsageError(
            "TensorBoard is not installed",
            hint="pip install 'personsearch[tensorboard]', or leave it out of --log",
        ) from error
    return SummaryWriter


def _board(folder: Path, stage: int, step: int) -> Any:
    """TensorBoard's writer. Stages are names, not times: what a kill left of this stage is purged."""
    return _writer()(str(folder / "tensorboard" / f"stage-{stage}"), purge_step=step)


def environment(team: Team) -> dict[str, Any]:
    """What the run ran on, for the run folder."""
    return {
        "personsearch": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {name: found for name in PACKAGES if (found := _version(name))},
        "torch": torch.__version__,
        "device": str(team.device),
        "device_name": torch.cuda.get_device_name(team.device) if team.device.type == "cuda" else "",
        "precision": team.accelerator.mixed_precision,
        "processes": team.count,
        "threads": torch.get_num_threads(),
        "processors": os.cpu_count(),
    }


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""
