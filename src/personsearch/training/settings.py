"""What a training run is made of, as frozen values; the presets are in ``presets.py``."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import TypeAdapter

from personsearch.errors import UsageError
from personsearch.model.presets import ModelSettings

Precision = Literal["auto", "fp32", "bf16", "fp16"]
Log = Literal["csv", "tensorboard"]
Norms = Literal["own", "synchronised"]

FREE = ("workers", "spawn", "save_seconds", "logs")
"""Settings of how fast a run is and what it says, not of what it computes: they may change under way."""


def shaping(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Of a training's settings as JSON those that shape its result.

    >>> shaping({"seed": 3, "workers": 2})
    {'seed': 3}
    """
    return {name: value for name, value in settings.items() if name not in FREE}


@dataclass(frozen=True, kw_only=True)
class StageSettings:
    """How one stage descends.

    Attributes:
        steps: optimiser steps; 0 skips the stage.
        batch: crops (stage 1) or scenes (stage 2) a step.
        accumulate: passes a step's batch is split into, where memory is short.
        optimiser: ``"sgd"`` with momentum 0.9, or ``"adamw"``.
        rate: the learning rate.
        decay: weight decay.
        schedule: ``"step"``: the rate falls to a tenth at each of ``falls``; ``"cosine"``: to 0.
        falls: steps at which the rate falls, for ``"step"`` only.
        warmup: steps over which the rate rises from 0.
        clip: largest norm of the gradient; 0 for none.
        reid_rate: factor on the rate of what stage 1 has already taught the re-id part: fc6, fc7,
            fc8 and the classifier.
        freeze_head_norms: keep the re-id part's batch norms at the statistics of stage 1. The
            RoIs of two or four scenes are many boxes around the same few people, and no
            sample of the people that a gallery holds.
    """

    steps: int
    batch: int
    accumulate: int = 1
    optimiser: Literal["sgd", "adamw"] = "sgd"
    rate: float = 1e-3
    decay: float = 5e-4
    schedule: Literal["step", "cosine"] = "step"
    falls: tuple[int, ...] = ()
    warmup: int = 0
    clip: float = 0.0
    reid_rate: float = 1.0
    freeze_head_norms: bool = False

    def __post_init__(self) -> None:
        if self.accumulate < 1 or self.batch % self.accumulate:
            raise ValueError(f"a batch of {self.batch} has no {self.accumulate} equal parts")

    def parts(self, processes: int) -> int:
        """Passes that a step's batch is split into over all processes: at least ``accumulate``.

        A process takes every ``processes``-th part. Two processes compute what one computes that
        accumulates twice.

        Raises:
            UsageError: the batch has no that many equal parts.

        >>> StageSettings(steps=1, batch=12, accumulate=3).parts(2)
        4
        """
        parts = processes * -(-self.accumulate // processes)
        if self.batch % parts:
            raise UsageError(
                f"a batch of {self.batch} has no {parts} equal parts for {processes} processes",
                hint="choose another batch or number of processes",
            )
        return parts

    def rate_at(self, step: int) -> float:
        """Learning rate of a step, counted from 0.

        >>> round(StageSettings(steps=120_000, batch=2, falls=(100_000,)).rate_at(100_000), 6)
        0.0001
        >>> StageSettings(steps=10, batch=1, schedule="cosine").rate_at(5)
        0.0005
        """
        if step < self.warmup:
            return self.rate * (step + 1) / self.warmup
        if self.schedule == "step":
            fallen = sum(step >= fall for fall in self.falls)
            return self.rate * math.pow(0.1, fallen)
        share = (step - self.warmup) / max(1, self.steps - self.warmup)
        return self.rate * 0.5 * (1 + math.cos(math.pi * min(1.0, share)))


@dataclass(frozen=True, kw_only=True)
class CropSettings:
    """Stage 1's crops (paper 4.2: resized to 224x224, as many of background as of people).

    Attributes:
        stored: (height, width) of a crop on disk.
        sizes: (height, width) the network sees, one drawn a step.
        margin: share of a person's height that is kept around the box as context, with
            ``keep_aspect`` only.
        keep_aspect: cut a window of the stored shape around the box; otherwise the box is
            stretched to it, as the paper does.
        background_share: share of background crops in a batch; the paper's is a half.
    """

    stored: tuple[int, int] = (256, 256)
    sizes: tuple[tuple[int, int], ...] = ((224, 224),)
    margin: float = 0.0
    keep_aspect: bool = False
    background_share: float = 0.5


@dataclass(frozen=True, kw_only=True)
class AugmentSettings:
    """How pictures are varied.

    Attributes:
        flip: chance of a mirror image.
        scale: (low, high) factor on a scene's input size.
        gain: largest change of brightness, as a share; drawn for all channels together.
        cast: largest change of each channel's gain, as a share: the colour of the light.
        gamma: largest change of the exponent.
        erase: chance that a block of a crop is covered, as by a passer-by; for crops that
            ``keep_aspect`` only.
        cover: chance that a block of a person in a scene is covered.
        jitter: largest shift of a crop's box sides, as a share of its sides; for crops that
            ``keep_aspect`` only.
    """

    flip: float = 0.5
    scale: tuple[float, float] = (1.0, 1.0)
    gain: float = 0.0
    cast: float = 0.0
    gamma: float = 0.0
    erase: float = 0.0
    cover: float = 0.0
    jitter: float = 0.06


@dataclass(frozen=True, kw_only=True)
class ValidationSettings:
    """Searching a held-out part of the training data while stage 2 descends.

    Attributes:
        every: steps between two validations; 0: never, and nothing is held out for them.
        identities: people looked for, at most: they lose their names in training, and
            every picture of theirs leaves it.
        pictures: at most so many pictures leave training.
        keep: the run's model: the ``"last"`` weights, or the ``"best"`` by mAP. The other
            is not lost: ``best/`` is a model folder of its own.
    """

    every: int = 0
    identities: int = 30
    pictures: int = 150
    keep: Literal["last", "best"] = "last"

    def __post_init__(self) -> None:
        if self.keep == "best" and not self.every:
            raise UsageError("without validation there is no best model", hint="set how often to validate")


@dataclass(frozen=True, kw_only=True)
class TrainingSettings:
    """A whole run.

    Attributes:
        model: the network; its ``identities`` are set from the data.
        crops, augment: the pictures.
        initial: stage 1, the initial point. joint: stage 2.
        validation_identities: training identities that lose their names and serve to
            calibrate probabilities: people whom no identity loss ever saw.
        validation: by searches in a held-out part, while stage 2 descends.
        seed: of weights, order and every draw.
        precision: ``"bf16"``, ``"fp16"`` (CUDA only), ``"fp32"``, or ``"auto"``: bf16 where the
            device computes it natively.
        like_shapes: scenes of one batch have like shapes, so that they pad each other less.
        norms: batch norms see each process's ``"own"`` share of a batch, or, ``"synchronised"``,
            all of it.
        average: decay of a moving average of the weights over stage 2; 0 for none. Where there
            is one, it is what validation, snapshots and the finished model hold.
        checkpointing: the trunk's blocks are computed again for the gradient instead of kept:
            less memory, about a third more time in the trunk.
        compiled: the trunk is compiled by ``torch.compile`` (wants a C++ compiler on CPUs).
        initial_from: another run's folder, whose stage 1 takes the place of this run's.
        snapshots: steps of stage 2 after which the weights are kept (0: before the first).
        workers: processes that prepare pictures, beside each training process.
        spawn: start them afresh instead of by fork (which only Linux does).
        save_seconds: how much work a kill may lose.
        logs: beside ``metrics.jsonl``.
        pretrained: ``"imagenet"`` loads a trunk's ImageNet weights, or says that it cannot.
    """

    model: ModelSettings
    crops: CropSettings = field(default_factory=CropSettings)
    augment: AugmentSettings = field(default_factory=AugmentSettings)
    initial: StageSettings
    joint: StageSettings
    validation_identities: int = 0
    validation: ValidationSettings = field(default_factory=ValidationSettings)
    seed: int = 0
    precision: Precision = "auto"
    like_shapes: bool = False
    norms: Norms = "own"
    average: float = 0.0
    checkpointing: bool = False
    compiled: bool = False
    initial_from: str | None = None
    snapshots: tuple[int, ...] = ()
    workers: int = 1
    spawn: bool = False
    save_seconds: float = 30.0
    logs: tuple[Log, ...] = ()
    pretrained: Literal["none", "imagenet"] = "none"

    def contradiction(self) -> str:
        """Why these settings cannot be meant; empty when they can."""
        if self.initial_from is not None and self.initial.steps:
            return "another run's initial point takes the place of stage 1, which must have 0 steps"
        if not 0 <= self.average < 1:
            return f"the decay of averaged weights lies in [0, 1), not at {self.average}"
        late = [step for step in self.snapshots if not 0 <= step <= self.joint.steps]
        if late:
            return f"there is no step {late[0]} to keep: stage 2 has {self.joint.steps}"
        parts = self.model.network.parts
        if parts == "embedder" and (self.joint.steps or self.validation.every or self.snapshots):
            return "an embedder alone learns from crops: stage 2 must have 0 steps, snapshots and validations"
        if parts == "detector" and (self.initial.steps or self.initial_from or self.validation.every):
            return "a detector alone learns from scenes: it has no stage 1 and searches for nobody"
        if not self.initial.steps and not self.joint.steps:
            return "both stages have 0 steps"
        return self.model.network.contradiction()

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        return dataclasses.asdict(self)


def settings_from_json(values: dict[str, Any]) -> TrainingSettings:
    """What :meth:`TrainingSettings.to_json` wrote; what an older version did not write is at its default.

    Raises:
        ValueError: these are no settings (pydantic's ``ValidationError`` is one).
    """
    return TypeAdapter(TrainingSettings).validate_python(values)
