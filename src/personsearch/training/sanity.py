"""Is this run going to work? Two looks before the long one: a dry run, and a few scenes learned by heart."""

from __future__ import annotations

import dataclasses
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from personsearch.errors import DatasetError, PersonSearchError
from personsearch.model.network import PersonSearchNetwork
from personsearch.training.loop import Descent, Stage
from personsearch.training.settings import (
    AugmentSettings,
    StageSettings,
    TrainingSettings,
    ValidationSettings,
)
from personsearch.training.stages import crop_files, initial_stage, joint_stage
from personsearch.training.state import logged_losses
from personsearch.training.team import Team, gather_team
from personsearch.training.train import make_plan, starting_network
from personsearch.types import Scene

LEARNED = 0.6
"""Share of the first logged loss below which the last one of an overfit run must lie."""
_CROP_SCENES, _TRIES = 16, 3


@dataclass(frozen=True, kw_only=True)
class DryStage:
    """One stage, tried on a few batches.

    Attributes:
        name: of the stage.
        steps, batch, passes: how many steps of how many samples, each in how many passes.
        losses: of the first batch.
        step_seconds: of the quickest step, the network's part. data_seconds: of making a batch.
        hours: estimated for all steps, where loader processes make batches beside the steps.
        memory_gib: most that was held at once: on CUDA by tensors, elsewhere by the process.
    """

    name: str
    steps: int
    batch: int
    passes: int
    losses: dict[str, float]
    step_seconds: float
    data_seconds: float
    hours: float
    memory_gib: float


@dataclass(frozen=True, kw_only=True)
class DryRun:
    """What a run would be.

    Attributes:
        settings: resolved. device, precision: as chosen.
        scenes, identities: that would be trained on. held_out: pictures that would not be.
        parameters, learning: weights, and those of them that change.
        stages: those with steps.
    """

    settings: TrainingSettings
    device: str
    precision: str
    scenes: int
    identities: int
    held_out: int
    parameters: int
    learning: int
    stages: tuple[DryStage, ...]


def dry_run(scenes: Sequence[Scene], settings: TrainingSettings, *, device: str = "auto") -> DryRun:
    """Resolve everything, and put a few batches of each stage through the network; nothing is kept.

    Raises:
        PersonSearchError: whatever :func:`personsearch.training.train.train` would raise by then.
    """
    plan = make_plan(scenes, settings)
    team = gather_team(device, settings.precision)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        network = starting_network(plan, folder, None)
        weights = list(network.parameters())
        stages = []
        if plan.settings.initial.steps:
            # Crops of a few scenes: they are cut for the batch's sake, not to be complete.
            named = [s for s in plan.known if (s.people >= 0).any()][:_CROP_SCENES]
            store = crop_files(named, folder, plan.settings)
            stages.append(_tried(initial_stage(store, folder, plan.settings), network, team))
        if plan.settings.joint.steps:
            stage = joint_stage(
                plan.known, plan.scenes, plan.held_out, folder, plan.settings, str(team.device)
            )
            stages.append(_tried(stage, network, team))
    return DryRun(
        settings=plan.settings,
        device=str(team.device),
        precision={"no": "fp32"}.get(team.accelerator.mixed_precision, team.accelerator.mixed_precision),
        scenes=len(plan.known),
        identities=network.identities,
        held_out=0 if plan.held_out is None else len(plan.held_out.pictures),
        parameters=sum(w.numel() for w in weights),
        learning=sum(w.numel() for w in weights if w.requires_grad),
        stages=tuple(stages),
    )


def _tried(stage: Stage, network: PersonSearchNetwork, team: Team) -> DryStage:
    if team.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(team.device)
    descent = Descent(stage, network, team, None)
    data, step = 0.0, float("inf")
    for number in range(_TRIES):
        begun = time.perf_counter()
        batch = stage.batches.share(number, team.index, team.count)
        data = time.perf_counter() - begun
        descent.do(number, iter([(batch, 0.0)]))
        if team.device.type == "cuda":
            torch.cuda.synchronize(team.device)
        step = min(step, time.perf_counter() - begun - data)
    each = max(step, data / stage.workers) if stage.workers else step + data
    return DryStage(
        name=stage.name,
        steps=stage.settings.steps,
        batch=stage.settings.batch,
        passes=descent.parts,
        losses={name: round(value, 4) for name, value in descent.clock.losses[0].items()},
        step_seconds=round(step, 4),
        data_seconds=round(data, 4),
        hours=round(stage.settings.steps * each / 3600, 3),
        memory_gib=round(_memory(team.device) / 2**30, 2),
    )


def _memory(device: torch.device) -> int:
    """Bytes held at most: by tensors on CUDA, by this process elsewhere."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    if sys.platform == "win32":
        import psutil

        return int(psutil.Process().memory_info().peak_wset)
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def overfit(
    scenes: Sequence[Scene], settings: TrainingSettings, count: int
) -> tuple[tuple[Scene, ...], TrainingSettings]:
    """``count`` scenes and settings to learn them by heart: nothing varies, nobody is held out.

    The scenes with most named people, in their order. A network that can learn at all must drive
    its loss down on them; :func:`check_overfit` says whether it did.

    Raises:
        DatasetError: no scene names anybody.
    """
    named = [int(((s.people >= 0) & ~np.asarray(s.ignore)).sum()) for s in scenes]
    best = np.argsort(-np.array(named), kind="stable")[:count]
    chosen = tuple(scenes[i] for i in sorted(best.tolist()) if named[i])
    if not chosen:
        raise DatasetError("no training scene names anybody", hint="check the annotation files")
    plain = AugmentSettings(flip=0.0, jitter=0.0)
    crops = settings.crops
    # One size and, where the stored crop is larger than it, no window that moves about in it.
    size = crops.sizes[-1]
    still = dataclasses.replace(crops, sizes=(size,), stored=crops.stored if crops.keep_aspect else size)
    return chosen, dataclasses.replace(
        settings,
        augment=plain,
        crops=still,
        initial=_eager(settings.initial, settings.initial.batch),
        joint=_eager(settings.joint, len(chosen)),
        validation_identities=0,
        validation=ValidationSettings(),
        average=0.0,
        snapshots=(),
    )


def _eager(stage: StageSettings, batch: int) -> StageSettings:
    """No more samples a step than there are, and no long warm-up."""
    batch = min(stage.batch, batch)
    parts = stage.accumulate if batch % stage.accumulate == 0 else batch
    return dataclasses.replace(stage, batch=batch, accumulate=parts, warmup=min(stage.warmup, 10))


def check_overfit(run: Path) -> dict[str, Any]:
    """First and last logged loss of each stage of an overfit run.

    Raises:
        PersonSearchError: a loss did not fall below :data:`LEARNED` of where it began.
    """
    found: dict[str, Any] = {}
    for stage in (1, 2):
        losses = logged_losses(run, stage)
        if len(losses) < 2:
            continue
        found[f"stage {stage}"] = {"first": losses[0], "last": losses[-1]}
        if losses[-1] > LEARNED * losses[0]:
            raise PersonSearchError(
                f"stage {stage} did not learn its few scenes by heart: "
                f"the loss was {losses[0]:.3g} and is {losses[-1]:.3g}",
                hint="give it more steps or another rate; if that does not help, data or losses are wrong",
            )
    return found
