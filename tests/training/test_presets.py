"""The two baselines that are the network with parts left away: what they are and that they train."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from personsearch.errors import UsageError
from personsearch.images import load
from personsearch.model.checkpoint import load_model
from personsearch.model.searcher import NetworkDetector, NetworkEmbedder
from personsearch.training.presets import PRESETS, deep, idnet, preset
from personsearch.training.train import train


@pytest.mark.parametrize("name", ["oim", "seqnet"])
def test_without_stage_1_there_is_a_detector_but_no_embedder(name: str) -> None:
    assert preset(f"deep-{name}").model.network.parts == "detector"
    with pytest.raises(UsageError, match="without stage 1"):
        preset(f"idnet-{name}")


def test_published_schedules() -> None:
    """OIM: 1e-3 for 40,000 of 50,000 steps of two. SeqNet: 3e-3 for 16 of 20 passes by fives, warmed up."""
    first, second = preset("oim").joint, preset("seqnet").joint
    assert (first.batch, first.rate_at(39_999), first.steps) == (2, 1e-3, 50_000)
    assert first.rate_at(40_000) == pytest.approx(1e-4)
    epoch = round(11_206 / 5 + 0.4)
    assert (second.batch, second.steps, second.clip) == (5, 20 * epoch, 10.0)
    assert second.rate_at(epoch) == second.rate_at(16 * epoch - 1) == 3e-3
    assert second.rate_at(0) == pytest.approx(3e-3 / epoch)
    assert second.rate_at(16 * epoch) == pytest.approx(3e-4)
    assert preset("resnet50").model.network.losses.identity == "rss"


@pytest.mark.parametrize("name", [n for n in PRESETS if preset(n).initial.steps])
def test_each_preset_has_its_detector_and_its_embedder(name: str) -> None:
    joint, finds, tells = preset(name), preset(f"deep-{name}"), preset(f"idnet-{name}")
    for part in (finds, tells):
        assert part.contradiction() == ""
        assert part.augment == joint.augment
        assert part.model.trunk == joint.model.trunk
    assert (finds.model.network.parts, tells.model.network.parts) == ("detector", "embedder")
    assert (finds.initial.steps, finds.joint) == (0, joint.joint)
    assert (tells.joint.steps, tells.crops) == (0, joint.crops)
    by_cosine = joint.initial.schedule == "cosine"
    assert tells.initial.steps == joint.initial.steps + (joint.joint.steps if by_cosine else 0)


def test_people_are_cut_out_as_in_training() -> None:
    crop = idnet(preset("medium")).model.crop
    assert (crop.size, crop.keep_aspect, crop.margin) == ((192, 96), True, 0.125)
    crop = idnet(preset("vgg16")).model.crop  # the paper's: stretched to 224x224
    assert (crop.size, crop.keep_aspect, crop.margin) == ((224, 224), False, 0.0)


def test_names_that_are_none() -> None:
    for name in ("deep-", "deep", "idnet-none", "deeper-demo"):
        with pytest.raises(UsageError, match="no training preset"):
            preset(name)


def test_both_train_and_open_as_what_they_are(scenes, settings, tmp_path: Path) -> None:
    short = dataclasses.replace(
        settings,
        initial=dataclasses.replace(settings.initial, steps=2),
        joint=dataclasses.replace(settings.joint, steps=2),
    )
    picture = load(scenes[0].path)
    finds = load_model(train(scenes, tmp_path / "deep", deep(short), device="cpu"), "cpu")
    assert isinstance(finds, NetworkDetector)
    assert finds.detect(picture).embeddings.shape[1] == 0
    tells = load_model(train(scenes, tmp_path / "idnet", idnet(short), device="cpu"), "cpu")
    assert isinstance(tells, NetworkEmbedder)
    found = tells.embed(picture, scenes[0].boxes)
    assert found.shape == (len(scenes[0]), tells.dim)
    assert np.isfinite(found).all()
