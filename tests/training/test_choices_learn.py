"""Every choice of the network that ``train`` offers can be built and takes steps in both stages."""

from __future__ import annotations

import dataclasses
import math

import pytest

from personsearch.errors import UsageError
from personsearch.training.choices import Choices, resolved
from personsearch.training.presets import PRESETS, preset
from personsearch.training.sanity import dry_run

CHOICES = {
    "softmax": Choices(loss="softmax"),
    "margin": Choices(loss="margin"),
    "oim": Choices(loss="oim"),
    "triplet": Choices(loss="triplet"),
    "corrected in training": Choices(correction="training"),
    "covered": Choices(cover=1.0),
    "compact": Choices(trunk="compact"),
    "resnet18": Choices(trunk="resnet18"),
    "resnet50 of batch norms": Choices(trunk="resnet50", norm="batch"),
    "pyramid": Choices(trunk="resnet18", pyramid=True, loss="margin"),
}


@pytest.mark.parametrize("name", CHOICES)
def test_a_choice_takes_steps(scenes, settings, name: str) -> None:
    chosen = resolved(settings, dataclasses.replace(CHOICES[name], workers=0))
    tried = dry_run(scenes, chosen, device="cpu")
    assert len(tried.stages) == 2
    assert all(math.isfinite(loss) for stage in tried.stages for loss in stage.losses.values())


def test_a_trunk_of_timm_takes_steps(scenes, settings) -> None:
    pytest.importorskip("timm")
    chosen = resolved(settings, Choices(trunk="timm:mobilenetv3_small_050"))
    assert chosen.model.trunk_options.norm == "batch"  # its own, since it begins with random weights
    assert len(dry_run(scenes, chosen, device="cpu").stages) == 2


def test_frozen_norms_want_weights(scenes, settings) -> None:
    chosen = resolved(settings, Choices(trunk="resnet18", norm="frozen"))
    with pytest.raises(UsageError, match="ImageNet"):
        dry_run(scenes, chosen, device="cpu")
    assert (
        resolved(settings, Choices(trunk="resnet18", pretrained="imagenet")).model.trunk_options.norm
        == "frozen"
    )


def test_a_margin_has_a_scale_and_a_presets_own_scale_stays() -> None:
    for name in PRESETS:
        base = preset(name)
        if base.model.network.parts == "joint":
            head = resolved(base, Choices(loss="margin")).model.network.head
            assert head.cosine_scale == (base.model.network.head.cosine_scale or 30.0)


def test_what_is_not_chosen_stays(settings) -> None:
    chosen = resolved(settings, Choices(trunk="resnet18"))
    kept = dataclasses.replace(chosen.model.network, pools=settings.model.network.pools)
    assert kept == settings.model.network
    assert [pool.source for pool in chosen.model.network.pools] == ["trunk"]
    assert dataclasses.replace(chosen, model=settings.model) == settings
