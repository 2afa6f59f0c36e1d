"""The two stages of the paper's training, each put together from its data and its losses (4.2)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from personsearch.model.inputs import normalised
from personsearch.model.network import Targets
from personsearch.model.presets import InputSettings
from personsearch.progress import Progress, silent
from personsearch.training.crops import CropBatch, CropBatches, CropStore, cut_crops
from personsearch.training.loop import Stage
from personsearch.training.milestones import JointMilestones
from personsearch.training.scenes import SceneBatch, SceneBatches
from personsearch.training.settings import TrainingSettings
from personsearch.training.validation import HeldOut
from personsearch.types import Scene


def crop_files(
    scenes: Sequence[Scene], folder: Path, settings: TrainingSettings, progress: Progress = silent
) -> CropStore:
    """Stage 1's crops in ``folder``, cut there unless they are."""
    identities = settings.model.identities
    return cut_crops(
        scenes, folder, settings.crops, identities=identities, seed=settings.seed, progress=progress
    )


def initial_stage(store: CropStore, out: Path, settings: TrainingSettings) -> Stage:
    """Stage 1: classify crops, the initial point."""
    identities = settings.model.identities
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
        images = _to_device(torch.from_numpy(batch.images), source, device)
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
        labelled=lambda batch: int((batch.labels < identities).sum()),
        folder=out,
        seed=settings.seed,
        workers=settings.workers,
        spawn=settings.spawn,
        save_seconds=settings.save_seconds,
        logs=settings.logs,
    )


def joint_stage(
    known: Sequence[Scene],
    scenes: Sequence[Scene],
    held_out: HeldOut | None,
    out: Path,
    settings: TrainingSettings,
    device: str,
) -> Stage:
    """Stage 2: the four losses on whole scenes.

    Args:
        known: scenes that are trained on, with the identities' numbers in the classifier.
        scenes: all, as the data set has them. held_out: whom validation looks for in them.
        out: the run folder.
        settings: of the run.
        device: where the network is.
    """
    source = settings.model.input
    batches = SceneBatches(
        known,
        source,
        settings.augment,
        batch=settings.joint.batch,
        seed=settings.seed,
        like_shapes=settings.like_shapes,
    )

    def losses(network: nn.Module, batch: SceneBatch, device: torch.device) -> dict[str, Tensor]:
        images = _to_device(batch.images, source, device)
        targets = scene_targets(batch, device)
        result: dict[str, Tensor] = network(images, batch.sizes, targets, True)
        return result

    return Stage(
        name="stage 2: scenes",
        number=2,
        settings=settings.joint,
        batches=batches,
        losses=losses,
        part=part_of,
        labelled=lambda batch: int(sum((people >= 0).sum() for people in batch.people)),
        folder=out,
        seed=settings.seed,
        workers=settings.workers,
        spawn=settings.spawn,
        save_seconds=settings.save_seconds,
        logs=settings.logs,
        average=settings.average,
        milestones=JointMilestones(out, settings, scenes, held_out, device),
    )


def scene_targets(batch: SceneBatch, device: torch.device) -> list[Targets]:
    """The network's targets of a batch of scenes."""
    return [
        Targets(
            torch.from_numpy(boxes).to(device),
            torch.from_numpy(people).to(device),
            torch.from_numpy(ignored).to(device) if len(ignored) else None,
        )
        for boxes, people, ignored in zip(batch.boxes, batch.people, batch.ignored, strict=True)
    ]


def part_of(batch: SceneBatch | CropBatch, index: int, parts: int) -> SceneBatch | CropBatch:
    """The ``index``-th of ``parts`` interleaved shares of a batch: every column sliced alike.

    Interleaved, so that each share holds people and background in the batch's proportion.
    """
    return type(batch)(*(column[index::parts] for column in batch))  # type: ignore[arg-type]


def _to_device(images: Tensor, source: InputSettings, device: torch.device) -> Tensor:
    """Normalised, channels-last input on the device."""
    moved = normalised(images.to(device, non_blocking=True), source)
    return moved.contiguous(memory_format=torch.channels_last)
