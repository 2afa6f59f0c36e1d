"""One stage of descent: batches in, losses down, killed and resumed at any step."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from personsearch.errors import PersonSearchError
from personsearch.files import disk_errors
from personsearch.progress import Progress, silent
from personsearch.training.average import WeightAverage
from personsearch.training.loader import Batches, make_loader, received
from personsearch.training.log import Clock, Journal
from personsearch.training.order import seed_of
from personsearch.training.settings import Log, StageSettings
from personsearch.training.state import STATE, save_state
from personsearch.training.team import Team

_log = logging.getLogger(__name__)


class Milestones(Protocol):
    """What is done after some steps of a stage: weights kept, searches tried."""

    def due(self, done: int) -> bool:
        """Whether something is, after ``done`` steps."""
        ...

    def reach(self, done: int, network: nn.Module) -> list[dict[str, Any]]:
        """Do it; lines for the log."""
        ...

    def state(self) -> dict[str, Any]:
        """What a resumed run must know."""
        ...

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from :meth:`state`."""
        ...


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
        labelled: batch -> how many people in it have an identity.
        folder: of the run.
        seed: of the run.
        workers: processes that prepare batches. spawn: started afresh instead of by fork.
        save_seconds: between two saves.
        logs: beside ``metrics.jsonl``.
        average: decay of the moving average of the weights, 0 for none.
        milestones: what is done after some steps.
    """

    name: str
    number: int
    settings: StageSettings
    batches: Batches
    losses: Callable[[nn.Module, Any, torch.device], dict[str, Tensor]]
    part: Callable[[Any, int, int], Any]
    labelled: Callable[[Any], int]
    folder: Path
    seed: int
    workers: int = 0
    spawn: bool = False
    save_seconds: float = 30.0
    logs: tuple[Log, ...] = ()
    average: float = 0.0
    milestones: Milestones | None = None


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
    return torch.optim.AdamW(described, lr=settings.rate, fused=True)


def run_stage(
    stage: Stage,
    network: nn.Module,
    team: Team,
    state: dict[str, Any] | None,
    progress: Progress,
) -> None:
    """Descend from the state's step (or the first) to the stage's last, saving on the way.

    Every draw of a step comes from (seed, stage, step), so that a resumed run repeats the
    uninterrupted one; a kill or Ctrl-C loses what came after the last save, and no more. Where the
    stage has an average of its weights, the network ends with it.
    """
    descent = Descent(stage, network, team, state)
    steps, first = stage.settings.steps, descent.first
    journal = None
    with disk_errors(stage.folder):
        try:
            if team.leads:
                journal = Journal(stage.folder, stage.logs, stage.number, first)
            descent.begin(journal)
            batches = iter(
                make_loader(
                    stage.batches, range(first, steps), team, workers=stage.workers, spawn=stage.spawn
                )
            )
            shown = progress if team.leads else silent
            for step in shown(range(first, steps), stage.name, total=steps, done=first):
                descent.do(step, batches)
                descent.note(step, journal)
            if journal is not None:
                journal.keep()
        finally:
            if journal is not None:
                journal.close()
    descent.end()


class Descent:
    """One stage under way: network, optimiser, average, and what the log will say next.

    Args:
        stage, network, team: with whom.
        state: where to go on; None, or one of another stage, begins.
    """

    def __init__(self, stage: Stage, network: nn.Module, team: Team, state: dict[str, Any] | None) -> None:
        self.stage, self.network, self.team = stage, network.to(team.device), team
        self.parts = stage.settings.parts(team.count)
        optimizer = make_optimizer(network, stage.settings)
        self.first = 0
        resumed = state is not None and state["stage"] == stage.number and state["optimizer"] is not None
        going_on: dict[str, Any] = state if resumed and state is not None else {}
        if going_on:
            optimizer.load_state_dict(going_on["optimizer"])
            # A run from before AdamW was fused goes on unfused, and then it is the scaler that unscales.
            fused = bool(optimizer.param_groups[0].get("fused"))
            optimizer._step_supports_amp_scaling = fused  # type: ignore[attr-defined]
            self.first = int(going_on["step"])
        if team.accelerator.scaler is not None:
            # Or it would unscale the gradients once more, for the last stage's optimiser.
            team.accelerator.free_memory()
        self.optimizer: Any = team.accelerator.prepare(optimizer)
        self.average = WeightAverage(network, stage.average) if stage.average else None
        if self.average is not None and going_on:
            self.average.restore(going_on["average"])
        if stage.milestones is not None and going_on:
            stage.milestones.restore(going_on.get("milestones", {}))
        if team.accelerator.scaler is not None and going_on:
            team.accelerator.scaler.load_state_dict(going_on["scaler"])
        self.clock = Clock(
            stage.number,
            stage.settings,
            stage.save_seconds,
            going_on.get("losses", ()),
            going_on.get("nameless", 0),
        )
        self._learn()

    def _learn(self) -> None:
        """Training mode, but for the norms that are to stay as stage 1 left them."""
        self.network.train()
        if self.stage.settings.freeze_head_norms:
            for name, module in self.network.named_modules():
                if name.startswith("head.") and isinstance(module, nn.modules.batchnorm._BatchNorm):
                    module.eval()

    def begin(self, journal: Journal | None) -> None:
        """Milestones before the first step."""
        if self.first == 0:
            self._reach(0, journal)

    def do(self, step: int, batches: Iterator[tuple[Any, float]]) -> None:
        """One step on the next batch."""
        waiting = time.perf_counter()
        batch, seconds = next(batches)
        batch = received(batch)
        self.clock.waited += time.perf_counter() - waiting
        self.clock.loaders += seconds
        losses, labelled = descend(self, step, batch)
        self.clock.losses.append(losses)
        if not labelled:
            self._nobody(step)
        if self.average is not None:
            self.average.step(self.network)

    def _nobody(self, step: int) -> None:
        """A step whose pictures show nobody with an identity: its identity loss is 0, not NaN."""
        if not self.clock.nameless and self.team.leads:
            _log.info("%s: nobody in the batch of step %d has an identity", self.stage.name, step)
        self.clock.nameless += 1

    def note(self, step: int, journal: Journal | None) -> None:
        """Write the log's line, reach milestones and save, where they are due."""
        if self.clock.due(step):
            line = self.clock.line(step)
            if journal is not None:
                journal.write(line)
        reached = self._reach(step + 1, journal)
        if journal is not None and (reached or self.clock.save_due()):
            journal.keep()
            self.save(step + 1)

    def _reach(self, done: int, journal: Journal | None) -> bool:
        milestones = self.stage.milestones
        if milestones is None or not milestones.due(done):
            return False

        def reach() -> None:
            if self.average is None:
                lines = milestones.reach(done, self.network)
            else:
                with self.average.inside(self.network):
                    lines = milestones.reach(done, self.network)
            for line in lines:
                if journal is not None:
                    journal.write({"stage": self.stage.number, "step": done - 1, **line})

        self.team.led(reach)
        self._learn()
        return True

    def save(self, done: int) -> None:
        """Write where the stage stands after ``done`` steps."""
        more: dict[str, Any] = {"losses": self.clock.losses, "nameless": self.clock.nameless}
        if self.average is not None:
            more["average"] = self.average.state()
        if self.stage.milestones is not None:
            more["milestones"] = self.stage.milestones.state()
        if self.team.accelerator.scaler is not None:
            more["scaler"] = self.team.accelerator.scaler.state_dict()
        save_state(self.stage.folder / STATE, self.stage.number, done, self.network, self.optimizer, **more)
        self.clock.has_saved()

    def end(self) -> None:
        """The stage is over: its weights (the average, where there is one) begin the next."""
        if self.average is not None:
            self.network.load_state_dict(self.average.values)
        milestones = self.stage.milestones
        more = {} if milestones is None else {"milestones": milestones.state()}
        path, number = self.stage.folder / STATE, self.stage.number + 1
        self.team.led(lambda: save_state(path, number, 0, self.network, None, **more))


def descend(descent: Descent, step: int, batch: Any) -> tuple[dict[str, float], int]:
    """One optimiser step: its losses by name, and how many people of the batch have an identity."""
    stage, network, team = descent.stage, descent.network, descent.team
    accelerator, optimizer = team.accelerator, descent.optimizer
    rate = stage.settings.rate_at(step)
    for group in optimizer.param_groups:
        group["lr"] = rate * group["factor"]
    optimizer.zero_grad()
    own = descent.parts // team.count
    names: list[str] = []
    rows: list[Tensor] = []
    for i in range(own):
        torch.manual_seed(seed_of(stage.seed, stage.number, step, team.index + i * team.count))
        with accelerator.autocast():
            losses = stage.losses(network, stage.part(batch, i, own), team.device)
        each = torch.stack([value.float() for value in losses.values()])
        accelerator.backward(each.sum() / descent.parts)
        names = list(losses)
        rows.append(each.detach())
    # One wait for the device a step, here: what the losses were is known when all is under way.
    values = (torch.stack(rows).cpu().double() / descent.parts).sum(dim=0)
    values = torch.cat([values, values.new_tensor([stage.labelled(batch)])])
    *means, labelled = team.sum_gradients(network, values).tolist()
    if not math.isfinite(sum(means)):
        shown = ", ".join(f"{name} {value:.3g}" for name, value in zip(names, means, strict=True))
        raise _lost(stage, step, "loss", shown)
    if stage.settings.clip:
        norm = accelerator.clip_grad_norm_(network.parameters(), stage.settings.clip)
        if accelerator.scaler is None and not math.isfinite(float(norm)):
            raise _lost(stage, step, "gradient", f"norm {float(norm):.3g}")
    optimizer.step()
    return dict(zip(names, means, strict=True)), int(labelled)


def _lost(stage: Stage, step: int, what: str, shown: str) -> PersonSearchError:
    return PersonSearchError(
        f"{stage.name}: the {what} is not finite at step {step} ({shown})",
        hint="lower the learning rate; the last saved state is kept",
    )
