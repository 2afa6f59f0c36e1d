"""What a training run is made of, as frozen values; the presets are in ``presets.py``."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field
from typing import Any, Literal

from personsearch.model.presets import ModelSettings

Precision = Literal["auto", "fp32", "bf16"]


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
    """

    flip: float = 0.5
    scale: tuple[float, float] = (1.0, 1.0)
    gain: float = 0.0
    cast: float = 0.0
    gamma: float = 0.0
    erase: float = 0.0


@dataclass(frozen=True, kw_only=True)
class TrainingSettings:
    """A whole run.

    Attributes:
        model: the network; its ``identities`` are set from the data.
        crops, augment: the pictures.
        initial: stage 1, the initial point. joint: stage 2.
        validation_identities: training identities that lose their names and serve to
            calibrate probabilities: people whom no identity loss ever saw.
        seed: of weights, order and every draw.
        precision: ``"bf16"``, ``"fp32"``, or ``"auto"``: bf16 where the device computes it natively.
        workers: processes that prepare pictures.
        save_seconds: how much work a kill may lose.
        pretrained: ``"imagenet"`` loads a trunk's ImageNet weights, or says that it cannot.
    """

    model: ModelSettings
    crops: CropSettings = field(default_factory=CropSettings)
    augment: AugmentSettings = field(default_factory=AugmentSettings)
    initial: StageSettings
    joint: StageSettings
    validation_identities: int = 0
    seed: int = 0
    precision: Precision = "auto"
    workers: int = 1
    save_seconds: float = 30.0
    pretrained: Literal["none", "imagenet"] = "none"

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        return dataclasses.asdict(self)
