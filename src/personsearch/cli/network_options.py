"""The options of ``train`` that choose the network: its trunk, norms and identity loss."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

import typer


class Loss(StrEnum):
    """The identity loss of stage 2."""

    RSS = "rss"
    SOFTMAX = "softmax"
    MARGIN = "margin"
    OIM = "oim"
    TRIPLET = "triplet"


class Correction(StrEnum):
    """Where the odds that RSS shifts are corrected."""

    NONE = "none"
    TRAINING = "training"
    TEST = "test"


class Norm(StrEnum):
    """The norms of a ResNet or one of timm's models."""

    FROZEN = "frozen"
    GROUP = "group"
    BATCH = "batch"


def preset_option(help_text: str, *names: str, **more: Any) -> Any:
    """An option without a default of its own: the preset's holds."""
    return typer.Option(*names, help=help_text, show_default="the preset's", **more)


LossChoice = Annotated[Loss | None, preset_option("Identity loss of stage 2.", "--loss")]
CorrectionChoice = Annotated[
    Correction | None,
    preset_option("Correct the odds of RSS: in training, or when people are scored.", "--correction"),
]
TrunkChoice = Annotated[
    str | None, preset_option("vgg16, compact, resnet18, resnet50 or timm:NAME.", "--trunk", metavar="NAME")
]
NormChoice = Annotated[
    Norm | None, preset_option("Of ResNets and timm's; frozen wants ImageNet weights.", "--norm")
]
Pyramid = Annotated[bool | None, preset_option("A feature pyramid (ResNets, timm's).", "--pyramid")]
