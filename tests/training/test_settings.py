"""Learning rates by hand, and settings that cannot be meant."""

from __future__ import annotations

import dataclasses
import itertools
import json
import math

import pytest

from personsearch.errors import UsageError
from personsearch.training.presets import PRESETS, preset
from personsearch.training.settings import StageSettings


def test_the_papers_schedule() -> None:
    """Section 5.1: 1e-3, and 1e-4 after 100 K of 120 K iterations; 4.2: two scenes, RSS with K = 100."""
    settings = preset("vgg16")
    joint = settings.joint
    assert (joint.steps, joint.batch, joint.optimiser) == (120_000, 2, "sgd")
    assert joint.rate_at(0) == joint.rate_at(99_999) == 1e-3
    assert joint.rate_at(100_000) == joint.rate_at(119_999) == pytest.approx(1e-4)
    assert (joint.decay, joint.warmup, joint.clip) == (5e-4, 0, 0.0)
    assert (settings.model.network.losses.identity, settings.model.network.losses.k) == ("rss", 100)


def test_the_papers_initial_point() -> None:
    """Section 4.2: as many background crops as people, 224 x 224, batches of 256, from ImageNet."""
    settings = preset("vgg16")
    assert settings.pretrained == "none"  # ImageNet is asked for by name, or not loaded
    assert settings.crops.sizes == ((224, 224),)
    assert (settings.crops.background_share, settings.crops.keep_aspect) == (0.5, False)
    assert settings.initial.batch == 256
    assert settings.initial.optimiser == "sgd"
    assert settings.initial.rate_at(19_999) == 1e-3
    assert settings.initial.rate_at(20_000) == pytest.approx(1e-4)
    assert settings.initial.rate_at(40_000) == pytest.approx(1e-5)
    assert settings.augment.flip == 0.5
    assert (settings.augment.gain, settings.augment.erase, settings.augment.scale) == (0.0, 0.0, (1.0, 1.0))


def test_the_authors_schedule() -> None:
    """Their code: 128 crops in two passes, 50,000 steps; scenes one a pass, 1e-3 for all of 100,000 steps."""
    settings, text = preset("vgg16-authors"), preset("vgg16")
    assert (settings.initial.batch, settings.initial.accumulate, settings.initial.steps) == (128, 2, 50_000)
    assert settings.initial.rate_at(20_000) == pytest.approx(1e-4)
    assert (settings.joint.batch, settings.joint.accumulate, settings.joint.steps) == (2, 2, 100_000)
    assert settings.joint.rate_at(0) == settings.joint.rate_at(99_999) == 1e-3
    assert settings.model.network.head.embedding_relu
    assert not text.model.network.head.embedding_relu
    assert (settings.crops, settings.augment) == (text.crops, text.augment)


def test_steps_by_hand() -> None:
    stage = StageSettings(steps=10, batch=1, rate=1.0, falls=(3, 6))
    rates = [stage.rate_at(s) for s in range(10)]
    assert rates == pytest.approx([1, 1, 1, 0.1, 0.1, 0.1, 0.01, 0.01, 0.01, 0.01])


def test_warm_up_and_cosine_by_hand() -> None:
    """Up in fourths over 4 steps; then half a cosine over 8: its middle is the half, its end nearly 0."""
    stage = StageSettings(steps=12, batch=1, rate=2.0, schedule="cosine", warmup=4)
    rates = [stage.rate_at(s) for s in range(12)]
    assert rates[:4] == pytest.approx([0.5, 1.0, 1.5, 2.0])
    assert rates[4] == 2.0
    assert rates[8] == pytest.approx(1.0)
    assert rates[11] == pytest.approx(1 + math.cos(math.pi * 7 / 8))
    assert all(a >= b for a, b in itertools.pairwise(rates[4:]))
    assert stage.rate_at(12) == pytest.approx(0.0)
    assert stage.rate_at(99) == pytest.approx(0.0)


def test_warm_up_before_steps() -> None:
    stage = StageSettings(steps=9, batch=1, rate=1.0, warmup=2, falls=(5,))
    assert [stage.rate_at(s) for s in (0, 1, 2, 5)] == pytest.approx([0.5, 1.0, 1.0, 0.1])


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_can_be_meant(name: str) -> None:
    settings = preset(name)
    json.dumps(settings.to_json())
    assert settings.joint.steps > 0
    assert settings.initial.batch % settings.initial.accumulate == 0
    assert settings.joint.batch % settings.joint.accumulate == 0
    for height, width in settings.crops.sizes:
        assert height % settings.model.input.multiple == 0 or settings.model.trunk == "vgg16"
        assert width % settings.model.input.multiple == 0 or settings.model.trunk == "vgg16"
        if settings.crops.keep_aspect:  # a crop is scaled by one factor, its boxes too
            assert height * settings.crops.stored[1] == width * settings.crops.stored[0]
        else:
            assert height <= settings.crops.stored[0]
            assert width <= settings.crops.stored[1]
    low, high = settings.augment.scale
    assert 0 < low <= high
    assert settings.model.network.losses.identity == ("oim" if name in ("oim", "seqnet") else "rss")


def test_an_unknown_preset() -> None:
    with pytest.raises(UsageError, match="large") as caught:
        preset("large")
    assert "medium-long" in caught.value.hint


@pytest.mark.parametrize("parts", [0, -1, 3])
def test_a_batch_without_equal_parts_is_refused(parts: int) -> None:
    stage = StageSettings(steps=1, batch=4, accumulate=2)
    with pytest.raises(ValueError, match="batch"):
        dataclasses.replace(stage, accumulate=parts)
