"""Train a network by the paper's two stages: an initial point from crops, then whole scenes (4.2).

A run folder is a model folder plus ``settings.json``, ``state.pt`` (resume), ``metrics.jsonl``
and ``environment.json``. Calling :func:`train` again resumes an unfinished run and returns at
once from a finished one.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from torch import Tensor, nn

from personsearch.errors import DatasetError, UsageError
from personsearch.files import disk_errors, write_json
from personsearch.model.checkpoint import CONFIG, WEIGHTS, save_model
from personsearch.model.inputs import normalised
from personsearch.model.network import PersonSearchNetwork, Targets
from personsearch.model.presets import InputSettings, build_network
from personsearch.model.searcher import NetworkSearcher, choose_device
from personsearch.model.trunks import Vgg16Trunk
from personsearch.model.weights import load_imagenet
from personsearch.progress import Progress, silent
from personsearch.training.card import model_card
from personsearch.training.crops import CropBatch, CropBatches, cut_crops
from personsearch.training.loop import (
    Stage,
    choose_precision,
    environment,
    load_state,
    run_stage,
    save_state,
)
from personsearch.training.scenes import SceneBatch, SceneBatches, without_names
from personsearch.training.settings import TrainingSettings
from personsearch.training.validation import calibrate, choose_validation
from personsearch.types import Scene

log = logging.getLogger(__name__)


def train(
    scenes: Sequence[Scene],
    out: Path,
    settings: TrainingSettings,
    *,
    device: str = "auto",
    progress: Progress = silent,
) -> Path:
    """Train on annotated scenes and return the finished run folder ``out``.

    Args:
        scenes: training scenes with their picture files; identities need not be contiguous.
        out: the run folder; resumed if it holds an unfinished run of the same settings.
        settings: see :mod:`personsearch.training.presets`.
        device: ``"auto"``, ``"cpu"``, ``"cuda"`` ...
        progress: told of every long step.

    Raises:
        DatasetError: nobody in the scenes has an identity, or a picture is missing.
        UsageError: ``out`` holds a run of other settings or data.
    """
    held_out = choose_validation(scenes, settings.validation_identities, settings.seed)
    known = without_names(scenes, held_out)
    identities = 1 + max((int(s.people.max()) for s in known if len(s)), default=-1)
    if identities < 2:
        raise DatasetError(
            f"training needs at least 2 identities, found {identities + len(held_out)}",
            hint="check the annotation files",
        )
    settings = dataclasses.replace(settings, model=dataclasses.replace(settings.model, identities=identities))
    finished = _claim(out, settings, scenes)
    if finished:
        log.info("%s is finished; nothing to do", out)
        return out
    network = _descend(known, out, settings, device, progress)
    searcher = NetworkSearcher(network, settings.model, fingerprint="", device=device)
    calibration = calibrate(searcher, scenes, held_out, progress=progress)
    done = dataclasses.replace(settings, validation_identities=len(held_out))
    card = model_card(done, scenes, calibration, seconds=_seconds(out))
    save_model(out, network, settings.model, calibration=calibration, card=card)
    for leftover in ("crops.u8", "crops.json"):
        (out / leftover).unlink(missing_ok=True)
    return out


def _claim(out: Path, settings: TrainingSettings, scenes: Sequence[Scene]) -> bool:
    """Make ``out`` this run's folder; True if the run in it is already finished."""
    wanted = {"settings": settings.to_json(), "data": _data_summary(scenes)}
    wanted = json.loads(json.dumps(wanted))
    path = out / "settings.json"
    with disk_errors(out):
        out.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            if (out / WEIGHTS).exists() or (out / CONFIG).exists():
                raise UsageError(f"{out} holds a model, not a run", hint="choose another --out")
            write_json(path, wanted)
            return False
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:  # not a run's settings, so not this run's
        found = None
    if found != wanted:
        raise UsageError(
            f"{out} holds a run of other settings or data", hint="choose another --out or delete that folder"
        )
    return (out / CONFIG).exists()


def _data_summary(scenes: Sequence[Scene]) -> dict[str, Any]:
    """What the run is trained on, enough to notice that it has changed."""
    people = np.concatenate([s.people for s in scenes]) if scenes else np.zeros(0, np.int64)
    boxes = np.concatenate([s.boxes for s in scenes]) if scenes else np.zeros((0, 4))
    return {
        "scenes": len(scenes),
        "people": len(people),
        "labelled": int((people >= 0).sum()),
        "identities": len(np.unique(people[people >= 0])),
        "checksum": hashlib.sha256(
            "\n".join(s.name for s in scenes).encode() + boxes.tobytes() + people.tobytes()
        ).hexdigest(),
    }


def _descend(
    scenes: Sequence[Scene], out: Path, settings: TrainingSettings, device: str, progress: Progress
) -> PersonSearchNetwork:
    """Both stages from wherever the run stands."""
    chosen = choose_device(device)
    # Accelerate keeps the first run's device and precision for as long as the process lives.
    AcceleratorState._reset_state(reset_partial_state=True)
    accelerator = Accelerator(
        cpu=chosen.type == "cpu", mixed_precision=choose_precision(settings.precision, chosen)
    )
    write_json(out / "environment.json", environment(accelerator))
    torch.manual_seed(settings.seed)
    network = build_network(settings.model).to(memory_format=torch.channels_last)
    if settings.pretrained == "none" and isinstance(network.trunk, Vgg16Trunk):
        # The authors freeze conv1 and conv2 at ImageNet's weights; frozen noise serves nobody.
        network.trunk.requires_grad_(True)
    state = load_state(out / "state.pt")
    if state is not None:
        network.load_state_dict(state["network"])
    elif settings.pretrained == "imagenet":
        load_imagenet(network)
    else:
        log.info("starting from random weights (no ImageNet weights were asked for)")
    losses = settings.model.network.losses
    log.info(
        "%d identities; identity loss %s%s; precision %s",
        network.identities,
        losses.identity,
        f", K = min({losses.k}, C+1) = {network.k}" if losses.identity == "rss" else "",
        accelerator.mixed_precision,
    )
    number = 1 if state is None else int(state["stage"])
    if number == 1:
        if settings.initial.steps:
            stage = _initial_stage(scenes, out, settings, progress)
            run_stage(stage, network, accelerator, state, progress)
            state = None
        else:
            save_state(out / "state.pt", 2, 0, network, None)
        number = 2
    if number == 2:
        run_stage(_joint_stage(scenes, out, settings), network, accelerator, state, progress)
    return network.eval()


def _initial_stage(
    scenes: Sequence[Scene], out: Path, settings: TrainingSettings, progress: Progress
) -> Stage:
    """Stage 1: classify crops, the initial point."""
    identities = settings.model.identities
    store = cut_crops(
        scenes, out, settings.crops, identities=identities, seed=settings.seed, progress=progress
    )
    batches = CropBatches(
        store,
        settings.crops,
        settings.augment,
        batch=settings.initial.batch,
        seed=settings.seed,
        identities=identities,
    )
    source = settings.model.input

    def losses(network: nn.Module, batch: CropBatch, device: torch.device) -> dict[str, Tensor]:
        images = _to_device(torch.from_numpy(np.ascontiguousarray(batch.images)), source, device)
        targets = [
            Targets(torch.from_numpy(box[None]).to(device), torch.from_numpy(label).to(device))
            for box, label in zip(batch.boxes, batch.labels[:, None], strict=True)
        ]
        sizes = [(images.shape[2], images.shape[3])] * len(images)
        result: dict[str, Tensor] = network(images, sizes, targets, False)
        return result

    return Stage(
        name="stage 1: crops",
        number=1,
        settings=settings.initial,
        batches=batches,
        losses=losses,
        part=part_of,
        folder=out,
        seed=settings.seed,
        workers=settings.workers,
        save_seconds=settings.save_seconds,
    )


def _joint_stage(scenes: Sequence[Scene], out: Path, settings: TrainingSettings) -> Stage:
    """Stage 2: the four losses on whole scenes."""
    source = settings.model.input
    batches = SceneBatches(scenes, source, settings.augment, batch=settings.joint.batch, seed=settings.seed)

    def losses(network: nn.Module, batch: SceneBatch, device: torch.device) -> dict[str, Tensor]:
        images = _to_device(batch.images, source, device)
        targets = [
            Targets(torch.from_numpy(boxes).to(device), torch.from_numpy(people).to(device))
            for boxes, people in zip(batch.boxes, batch.people, strict=True)
        ]
        result: dict[str, Tensor] = network(images, batch.sizes, targets, True)
        return result

    return Stage(
        name="stage 2: scenes",
        number=2,
        settings=settings.joint,
        batches=batches,
        losses=losses,
        part=part_of,
        folder=out,
        seed=settings.seed,
        workers=settings.workers,
        save_seconds=settings.save_seconds,
    )


def part_of(batch: SceneBatch | CropBatch, index: int, parts: int) -> SceneBatch | CropBatch:
    """The ``index``-th of ``parts`` interleaved shares of a batch: every column sliced alike.

    Interleaved, so that each share holds people and background in the batch's proportion.
    """
    return type(batch)(*(column[index::parts] for column in batch))  # type: ignore[arg-type]


def _to_device(images: Tensor, source: InputSettings, device: torch.device) -> Tensor:
    """Normalised, channels-last input on the device."""
    moved = normalised(images.to(device, non_blocking=True), source)
    return moved.contiguous(memory_format=torch.channels_last)


def _seconds(out: Path) -> float:
    """Wall-clock seconds of descent, from the log."""
    lines = (out / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return sum(float(json.loads(line)["seconds"]) for line in lines)
