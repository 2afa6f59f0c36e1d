"""Where a run stands, on disk: whole or not at all, and read without running anybody's code."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path
from typing import Any

import torch
from torch import nn

from personsearch.errors import PersonSearchError
from personsearch.files import write_bytes

STATE, METRICS = "state.pt", "metrics.jsonl"


def save_state(path: Path, stage: int, step: int, network: nn.Module, optimizer: Any, **more: Any) -> None:
    """Write where the run stands: stage, next step, weights, optimiser, and ``more``; whole or not at all.

    Raises:
        PersonSearchError: a weight is not finite (the last state is kept), or the disk is full.
    """
    weights = network.state_dict()
    broken = [name for name, value in weights.items() if not bool(torch.isfinite(value).all())]
    if broken:
        raise PersonSearchError(
            f"the weights of {broken[0]} are no longer finite before step {step} of stage {stage}",
            hint="lower the learning rate; the last saved state is kept",
        )
    state = {
        "stage": stage,
        "step": step,
        "network": weights,
        "optimizer": None if optimizer is None else optimizer.state_dict(),
        **more,
    }
    buffer = io.BytesIO()
    torch.save(state, buffer)
    write_bytes(path, buffer.getvalue())


def load_state(path: Path) -> dict[str, Any] | None:
    """Where the run stands, or None at its beginning."""
    if not path.exists():
        return None
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises a dozen kinds, an UnpicklingError among them
        raise PersonSearchError(
            f"{path} cannot be read", hint="delete the run folder to start again from the beginning"
        ) from error
    return state


def read_lines(log: Path) -> list[dict[str, Any]]:
    """The entries of a run's ``metrics.jsonl``, but for a line that a kill cut short."""
    entries = []
    if log.exists():
        for line in log.read_text(encoding="utf-8").splitlines():
            try:
                entries.append(json.loads(line))
            except json.JSONDecodeError:
                continue
    return entries


def forget_after(log: Path, stage: int, step: int) -> None:
    """Drop the log's lines of steps that a resumed run will do again."""
    if not log.exists():
        return
    kept = [entry for entry in read_lines(log) if (entry["stage"], entry["step"]) < (stage, step)]
    write_bytes(log, "".join(f"{json.dumps(entry)}\n" for entry in kept).encode())


def on_disk(file: Any) -> None:
    """What was written to ``file`` survives a power cut."""
    file.flush()
    os.fsync(file.fileno())


def logged_losses(folder: Path, stage: int) -> list[float]:
    """The losses in the log of a run's stage, first to last."""
    entries = read_lines(folder / METRICS)
    return [float(entry["loss"]) for entry in entries if entry["stage"] == stage and "loss" in entry]
