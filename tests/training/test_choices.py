"""Flags and what they make of a preset."""

from __future__ import annotations

import dataclasses
import json

import pytest

from personsearch.errors import UsageError
from personsearch.training.choices import Choices, resolved
from personsearch.training.presets import preset
from personsearch.training.settings import ValidationSettings, settings_from_json


def test_nothing_chosen_is_the_preset() -> None:
    for name in ("demo", "vgg16"):
        assert resolved(preset(name), Choices()) == preset(name)


def test_choices_by_hand() -> None:
    base = preset("vgg16")
    chosen = resolved(
        base,
        Choices(
            seed=3,
            loss="softmax",
            steps1=500,
            steps2=1200,
            batch=4,
            accumulate=2,
            rate=0.5,
            rate1=0.25,
            precision="fp32",
            average=0.99,
            validate=100,
            keep="best",
            snapshots=(0, 1200),
            logs=("csv",),
            compiled=True,
        ),
    )
    assert (chosen.initial.steps, chosen.initial.falls, chosen.initial.rate) == (500, (200, 400), 0.25)
    assert (chosen.joint.steps, chosen.joint.falls) == (1200, (1000,))  # the rate falls where it fell
    assert (chosen.joint.batch, chosen.joint.accumulate, chosen.joint.rate) == (4, 2, 0.5)
    assert chosen.model.network.losses.identity == "softmax"
    assert chosen.validation == ValidationSettings(every=100, keep="best")
    assert (chosen.seed, chosen.precision, chosen.average, chosen.compiled) == (3, "fp32", 0.99, True)
    same = dataclasses.replace(
        chosen,
        initial=base.initial,
        joint=base.joint,
        model=base.model,
        validation=base.validation,
        seed=0,
        precision="auto",
        average=0.0,
        snapshots=(),
        logs=(),
        compiled=False,
    )
    assert same == base


def test_settings_survive_their_file() -> None:
    for name in ("demo", "vgg16", "vgg16-authors"):
        settings = resolved(preset(name), Choices(snapshots=(1, 2), logs=("csv", "tensorboard"), validate=9))
        assert settings_from_json(json.loads(json.dumps(settings.to_json()))) == settings


def test_short_runs_warm_up_shortly() -> None:
    assert resolved(preset("demo"), Choices(steps2=40)).joint.warmup == 10
    assert resolved(preset("demo"), Choices(steps2=4000)).joint.warmup == 40


@pytest.mark.parametrize(
    ("choices", "said"),
    [
        (Choices(loss="oim"), "score of its own"),
        (Choices(trunk="vgg17"), "no trunk 'vgg17'"),
        (Choices(trunk="timm"), "no trunk 'timm'"),
        (Choices(norm="group"), "norms of vgg16 are fixed"),
        (Choices(correction="test", loss="softmax"), "no odds to correct"),
        (Choices(batch=5, accumulate=2), "batch of 5"),
        (Choices(initial_from="run", steps1=5), "--initial-from"),
        (Choices(keep="best"), "without validation"),
        (Choices(validate=0, keep="best"), "without validation"),
        (Choices(average=1.0), "decay"),
        (Choices(snapshots=(7,), steps2=5), "step 7"),
        (Choices(steps1=0, steps2=0), "0 steps"),
    ],
)
def test_what_cannot_be_meant_is_said(choices: Choices, said: str) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        resolved(preset("vgg16"), choices)
    assert caught.value.hint


def test_another_runs_point_takes_stage_1s_place() -> None:
    chosen = resolved(preset("demo"), Choices(initial_from="run"))
    assert (chosen.initial.steps, chosen.initial_from) == (0, "run")


@pytest.mark.parametrize(("parts", "stage"), [("detector", "initial"), ("embedder", "joint")])
def test_a_network_with_parts_left_away_has_one_stage(parts: str, stage: str) -> None:
    base = preset("demo")
    network = dataclasses.replace(base.model.network, parts=parts)
    wanted = dataclasses.replace(base, model=dataclasses.replace(base.model, network=network))
    assert wanted.contradiction()
    none = {stage: dataclasses.replace(getattr(base, stage), steps=0)}
    assert not dataclasses.replace(wanted, **none).contradiction()
    assert dataclasses.replace(wanted, **none, validation=ValidationSettings(every=5)).contradiction()
