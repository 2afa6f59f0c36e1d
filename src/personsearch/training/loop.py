"""One stage of descent: batches in, losses down, killed and resumed at any step."""

from __future__ import annotations

import io
import json
import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from personsearch.errors import PersonSearchError
from personsearch.files import disk_errors, write_bytes
from personsearch.progress import Progress
from personsearch.training.settings import Precision, StageSettings


class Batches(Protocol):
    """A map-style data set whose item ``step`` is that step's whole batch."""

    def __getitem__(self, step: int) -> Any:
        """The batch of ``step``."""
        ...


class _Slice(Dataset[Any]):
    """Steps ``first..last`` of ``batches``, so that a loader can prefetch them."""

    def __init__(self, batches: Batches, first: int, last: int) -> None:
        self.batches, self.first, self.last = batches, first, last

    def __len__(self) -> int:
        return self.last - self.first

    def __getitem__(self, index: int) -> Any:
        return self.batches[self.first + index]


def _first(items: list[Any]) -> Any:
    """A loader's list of one item is the item: a step's batch is already whole."""
    return items[0]


def _calm(_: int) -> None:
    """A loader process computes on one thread: the others belong to the network."""
    import cv2

    torch.set_num_threads(1)
    cv2.setNumThreads(0)


@dataclass(frozen=True, kw_only=True)
class Stage:
    """What a stage of descent works with.

    Attributes:
        name: in logs and progress.
        number: 1 or 2.
        settings: how it descends.
        batches: its data.
        losses: (network, batch, device) -> losses by name.
        part: (batch, i, n) -> the i-th of n equal parts of a batch, for accumulation.
        folder: of the run.
        seed: of the run.
        workers: processes that prepare batches.
        save_seconds: between two saves.
    """

    name: str
    number: int
    settings: StageSettings
    batches: Batches
    losses: Callable[[nn.Module, Any, torch.device], dict[str, Tensor]]
    part: Callable[[Any, int, int], Any]
    folder: Path
    seed: int
    workers: int
    save_seconds: float


def native_bf16(device: torch.device) -> bool:
    """Whether the device multiplies bf16 in hardware (elsewhere it is emulated, and slower)."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    capabilities = torch.cpu.get_capabilities() if device.type == "cpu" else {}
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16") or capabilities.get("bf16"))


def choose_precision(precision: Precision, device: torch.device) -> str:
    """Accelerate's name of the precision: ``"no"`` (fp32) or ``"bf16"``."""
    if precision == "auto":
        return "bf16" if native_bf16(device) else "no"
    return "bf16" if precision == "bf16" else "no"


def make_optimizer(network: nn.Module, settings: StageSettings) -> torch.optim.Optimizer:
    """The stage's optimiser, one group of parameters a rate and decay.

    A group's ``factor`` scales the stage's rate. AdamW does not decay norms and biases; SGD,
    as in the authors' solver, decays everything.
    """
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        if not parameter.requires_grad:
            continue
        known = name.startswith("head.") and not name.startswith(("head.box.", "head.person."))
        factor = settings.reid_rate if known else 1.0
        flat = settings.optimiser == "adamw" and parameter.ndim < 2
        groups.setdefault((factor, 0.0 if flat else settings.decay), []).append(parameter)
    described = [
        {"params": members, "factor": factor, "weight_decay": decay}
        for (factor, decay), members in groups.items()
    ]
    if settings.optimiser == "sgd":
        return torch.optim.SGD(described, lr=settings.rate, momentum=0.9)
    return torch.optim.AdamW(described, lr=settings.rate)


def save_state(path: Path, stage: int, step: int, network: nn.Module, optimizer: Any) -> None:
    """Write where the run stands: stage, next step, weights, optimiser; whole or not at all."""
    buffer = io.BytesIO()
    state = {
        "stage": stage,
        "step": step,
        "network": network.state_dict(),
        "optimizer": None if optimizer is None else optimizer.state_dict(),
    }
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


def _loader(stage: Stage, first: int) -> DataLoader[Any]:
    return DataLoader(
        _Slice(stage.batches, first, stage.settings.steps),
        batch_size=1,
        collate_fn=_first,
        num_workers=stage.workers,
        prefetch_factor=4 if stage.workers else None,
        worker_init_fn=_calm if stage.workers else None,
    )


def run_stage(
    stage: Stage,
    network: nn.Module,
    accelerator: Accelerator,
    state: dict[str, Any] | None,
    progress: Progress,
) -> None:
    """Descend from the state's step (or the first) to the stage's last, saving on the way.

    Every draw of a step comes from (seed, stage, step), so that a resumed run repeats the
    uninterrupted one; a kill or Ctrl-C loses what came after the last save, and no more.
    """
    optimizer = make_optimizer(network, stage.settings)
    first = 0
    if state is not None and state["stage"] == stage.number and state["optimizer"] is not None:
        optimizer.load_state_dict(state["optimizer"])
        first = int(state["step"])
    prepared, optimizer = accelerator.prepare(network, optimizer)
    prepared.train()
    if stage.settings.freeze_head_norms:
        for name, module in network.named_modules():
            if name.startswith("head.") and isinstance(module, nn.BatchNorm1d):
                module.eval()
    path = stage.folder / "state.pt"
    clock = _Clock(stage.save_seconds)
    log = stage.folder / "metrics.jsonl"
    _forget_after(log, stage.number, first)
    with disk_errors(stage.folder), log.open("a", encoding="utf-8") as lines:
        waiting = time.perf_counter()
        batches = iter(_loader(stage, first))
        steps = range(first, stage.settings.steps)
        for step in progress(steps, stage.name, total=stage.settings.steps, done=first):
            batch = next(batches)
            clock.waited += time.perf_counter() - waiting
            clock.losses.append(_step(stage, step, batch, prepared, optimizer, accelerator))
            if clock.due(step, stage.settings.steps):
                lines.write(json.dumps(clock.line(stage, step)) + "\n")
                lines.flush()
            if clock.save_due():
                save_state(path, stage.number, step + 1, network, optimizer)
            waiting = time.perf_counter()
    save_state(path, stage.number + 1, 0, network, None)


def _step(
    stage: Stage, step: int, batch: Any, network: nn.Module, optimizer: Any, accelerator: Accelerator
) -> dict[str, float]:
    """One optimiser step; its losses by name."""
    torch.manual_seed((stage.seed * 4 + stage.number) * 1_000_003 + step)
    rate = stage.settings.rate_at(step)
    for group in optimizer.param_groups:
        group["lr"] = rate * group["factor"]
    optimizer.zero_grad()
    parts = stage.settings.accumulate
    means: dict[str, float] = {}
    for i in range(parts):
        with accelerator.autocast():
            losses = stage.losses(network, stage.part(batch, i, parts), accelerator.device)
        total = torch.stack([value.float() for value in losses.values()]).sum() / parts
        if not math.isfinite(total.item()):
            shown = ", ".join(f"{name} {value.item():.3g}" for name, value in losses.items())
            raise PersonSearchError(
                f"{stage.name}: the loss is not finite at step {step} ({shown})",
                hint="lower the learning rate; the last saved state is kept",
            )
        accelerator.backward(total)
        for name, value in losses.items():
            means[name] = means.get(name, 0.0) + value.item() / parts
    if stage.settings.clip:
        accelerator.clip_grad_norm_(network.parameters(), stage.settings.clip)
    optimizer.step()
    return means


def _forget_after(log: Path, stage: int, step: int) -> None:
    """Drop the log's lines of steps that a resumed run will do again."""
    if not log.exists():
        return
    kept = []
    for line in log.read_text(encoding="utf-8").splitlines():
        try:
            entry = json.loads(line)
        except json.JSONDecodeError:  # the line that a kill cut short
            continue
        if (entry["stage"], entry["step"]) < (stage, step):
            kept.append(line)
    write_bytes(log, "".join(f"{line}\n" for line in kept).encode())


class _Clock:
    """When to log and save, and what the log says."""

    def __init__(self, save_seconds: float) -> None:
        self.save_seconds = save_seconds
        self.saved = self.logged = time.perf_counter()
        self.processor = time.process_time()
        self.waited = 0.0
        self.losses: list[dict[str, float]] = []

    def due(self, step: int, steps: int) -> bool:
        """Whether the log wants a line: every 20 steps of the stage, and at its end.

        Counted from the stage's beginning, so that a resumed run's log has the same lines.
        """
        return (step + 1) % 20 == 0 or step + 1 == steps

    def save_due(self) -> bool:
        """Whether the state is to be saved."""
        if time.perf_counter() - self.saved < self.save_seconds:
            return False
        self.saved = time.perf_counter()
        return True

    def line(self, stage: Stage, step: int) -> dict[str, Any]:
        """Mean losses since the last line, speed, and how long the network waited for data."""
        now, processor = time.perf_counter(), time.process_time()
        names = self.losses[0].keys()
        means = {name: round(sum(v[name] for v in self.losses) / len(self.losses), 5) for name in names}
        elapsed = now - self.logged
        line = {
            "stage": stage.number,
            "step": step,
            "rate": stage.settings.rate_at(step),
            "loss": round(sum(means.values()), 5),
            **means,
            "samples_per_s": round(len(self.losses) * stage.settings.batch / elapsed, 2),
            "wait_share": round(self.waited / elapsed, 4),
            "seconds": round(elapsed, 3),
            "processor_seconds": round(processor - self.processor, 3),
        }
        self.logged, self.processor, self.waited, self.losses = now, processor, 0.0, []
        return line


def environment(accelerator: Accelerator) -> dict[str, Any]:
    """What the run ran on, for the run folder."""
    return {
        "torch": torch.__version__,
        "device": str(accelerator.device),
        "precision": accelerator.mixed_precision,
        "threads": torch.get_num_threads(),
        "processors": os.cpu_count(),
    }
