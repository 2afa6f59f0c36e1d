"""ImageNet weights: asked for and to be had, or one clear error."""

from __future__ import annotations

import dataclasses
import urllib.error
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from personsearch.errors import InputError, UsageError
from personsearch.model.presets import build_network, compact_tiny, vgg16
from personsearch.model.weights import load_imagenet


def narrow_vgg():
    settings = dataclasses.replace(vgg16(), identities=3)
    head = dataclasses.replace(settings.network.head, hidden=4)
    network = dataclasses.replace(settings.network, head=head)
    return build_network(dataclasses.replace(settings, network=network))


def test_a_compact_trunk_has_none() -> None:
    with pytest.raises(UsageError, match="vgg16"):
        load_imagenet(build_network(dataclasses.replace(compact_tiny(), identities=3)))


def test_weights_that_cannot_be_had_are_an_input_error(monkeypatch) -> None:
    def refuse(weights=None):
        raise urllib.error.URLError("no route")

    network = narrow_vgg()
    monkeypatch.setattr("torchvision.models.vgg16", refuse)
    with pytest.raises(InputError, match="cannot be had") as caught:
        load_imagenet(network)
    assert "vgg16-397923af.pth" in caught.value.hint


def test_they_go_to_conv1_to_conv5_fc6_and_fc7_and_nowhere_else(monkeypatch) -> None:
    network = narrow_vgg()
    source = SimpleNamespace(
        features=nn.Sequential(*narrow_vgg().trunk.convolutions, nn.MaxPool2d(2, 2)),
        classifier=nn.Sequential(nn.Linear(512 * 49, 4), nn.ReLU(), nn.Dropout(), nn.Linear(4, 4)),
    )
    asked = []

    def give(weights=None):
        asked.append(weights)
        return source

    monkeypatch.setattr("torchvision.models.vgg16", give)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    load_imagenet(network)
    assert [str(w) for w in asked] == ["VGG16_Weights.IMAGENET1K_V1"]
    for ours, theirs in zip(network.trunk.convolutions, source.features, strict=False):
        for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
            assert torch.equal(a, b)
    assert torch.equal(network.head.fc6.weight, source.classifier[0].weight)
    assert torch.equal(network.head.fc7.bias, source.classifier[3].bias)
    for name, value in network.state_dict().items():
        touched = name.startswith(("trunk.", "head.fc6.", "head.fc7."))
        assert touched or torch.equal(value, before[name]), name
