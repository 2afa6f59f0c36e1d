"""A preset with some of its settings chosen otherwise: what the flags of ``personsearch train`` mean."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal

from personsearch.errors import UsageError
from personsearch.model.settings import Identity
from personsearch.model.variants import Variant, varied
from personsearch.training.settings import Log, Precision, StageSettings, TrainingSettings, ValidationSettings


@dataclass(frozen=True, kw_only=True)
class Choices:
    """What somebody wants otherwise; None leaves the preset's.

    Attributes:
        loss, correction, trunk, norm, pyramid: of the network (:mod:`personsearch.model.variants`).
        cover: chance that a block of a person in a scene is covered.
        steps1, steps2: of the stages; falls of the rate and warm-up move with them.
        batch: scenes a step of stage 2. batch1: crops a step of stage 1.
        accumulate: passes that a step of stage 2 is split into.
        rate: learning rate of stage 2. rate1: of stage 1.
        validate: steps of stage 2 between two validations, 0 for none. keep: which model is the run's.
        The others are those of :class:`TrainingSettings`.
    """

    seed: int | None = None
    pretrained: Literal["none", "imagenet"] | None = None
    loss: Identity | None = None
    correction: Literal["none", "training", "test"] | None = None
    trunk: str | None = None
    norm: Literal["frozen", "group", "batch"] | None = None
    pyramid: bool | None = None
    cover: float | None = None
    steps1: int | None = None
    steps2: int | None = None
    batch: int | None = None
    batch1: int | None = None
    accumulate: int | None = None
    rate: float | None = None
    rate1: float | None = None
    workers: int | None = None
    precision: Precision | None = None
    average: float | None = None
    validate: int | None = None
    keep: Literal["last", "best"] | None = None
    initial_from: str | None = None
    snapshots: tuple[int, ...] | None = None
    like_shapes: bool | None = None
    checkpointing: bool | None = None
    compiled: bool | None = None
    norms: Literal["own", "synchronised"] | None = None
    logs: tuple[Log, ...] | None = None


_AS_THEY_ARE = (
    "seed",
    "pretrained",
    "workers",
    "precision",
    "average",
    "initial_from",
    "snapshots",
    "like_shapes",
    "checkpointing",
    "compiled",
    "norms",
    "logs",
)


def resolved(base: TrainingSettings, choices: Choices) -> TrainingSettings:
    """``base`` with ``choices``.

    Raises:
        UsageError: they contradict each other or the preset.
    """
    if choices.initial_from is not None and choices.steps1:
        raise UsageError(
            "--initial-from takes the place of stage 1, and --steps1 asks for it", hint="give one of them"
        )
    steps1 = 0 if choices.initial_from is not None else choices.steps1
    changes: dict[str, Any] = {
        name: value for name in _AS_THEY_ARE if (value := getattr(choices, name)) is not None
    }
    changes["initial"] = _stage(base.initial, steps1, choices.batch1, None, choices.rate1)
    changes["joint"] = _stage(base.joint, choices.steps2, choices.batch, choices.accumulate, choices.rate)
    if choices.validate is not None or choices.keep is not None:
        every = base.validation.every if choices.validate is None else choices.validate
        keep = choices.keep or (base.validation.keep if every else "last")
        changes["validation"] = ValidationSettings(
            every=every,
            identities=base.validation.identities,
            pictures=base.validation.pictures,
            keep=keep,
        )
    if choices.cover is not None:
        changes["augment"] = dataclasses.replace(base.augment, cover=choices.cover)
    variant = Variant(**{field.name: getattr(choices, field.name) for field in dataclasses.fields(Variant)})
    if variant != Variant():
        pretrained = (choices.pretrained or base.pretrained) == "imagenet"
        changes["model"] = varied(base.model, variant, pretrained=pretrained)
    settings = dataclasses.replace(base, **changes)
    if settings.contradiction():
        raise UsageError(settings.contradiction(), hint="see personsearch train --help")
    return settings


def _stage(
    base: StageSettings, steps: int | None, batch: int | None, accumulate: int | None, rate: float | None
) -> StageSettings:
    changes: dict[str, Any] = {}
    if steps is not None:
        share = steps / base.steps if base.steps else 1.0
        changes["steps"] = steps
        changes["falls"] = tuple(round(fall * share) for fall in base.falls)
        changes["warmup"] = min(base.warmup, max(1, steps // 4)) if base.warmup else 0
    if batch is not None:
        changes["batch"] = batch
        changes["accumulate"] = base.accumulate if batch % base.accumulate == 0 else 1
    if accumulate is not None:
        changes["accumulate"] = accumulate
    if rate is not None:
        changes["rate"] = rate
    try:
        return dataclasses.replace(base, **changes)
    except ValueError as error:
        raise UsageError(str(error), hint="choose another --batch or --accumulate") from error
