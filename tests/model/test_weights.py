"""ImageNet weights: asked for and to be had, or one clear error."""

from __future__ import annotations

import dataclasses
import urllib.error
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from personsearch.errors import InputError, UsageError
from personsearch.model import weights
from personsearch.model.backbones import torchvision_resnet
from personsearch.model.inputs import normalised
from personsearch.model.presets import (
    CAFFE,
    InputSettings,
    ModelSettings,
    build_network,
    build_trunk,
    compact_tiny,
    detector,
    resnet50,
    seqnet,
    vgg16,
    with_pyramid,
)
from personsearch.model.trunks import TrunkSettings
from personsearch.model.weights import fit_first_convolution, load_imagenet


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


def test_weights_see_the_same_picture_through_the_authors_preprocessing() -> None:
    """Torchvision's weights on torchvision's input, and fitted ones on BGR minus means: one answer inside."""
    torch.manual_seed(0)
    trunk = build_trunk("vgg16")
    layer = trunk.convolutions[0]
    nn.init.normal_(layer.bias)
    picture = torch.randint(0, 256, (1, 3, 16, 16), dtype=torch.uint8)
    wanted = layer(normalised(picture, InputSettings()))
    fit_first_convolution(trunk, InputSettings())  # its own preprocessing: nothing to fit
    assert torch.equal(layer(normalised(picture, InputSettings())), wanted)
    fit_first_convolution(trunk, CAFFE)
    ours = layer(normalised(picture, CAFFE))
    torch.testing.assert_close(ours[..., 1:-1, 1:-1], wanted[..., 1:-1, 1:-1], rtol=1e-4, atol=1e-4)
    assert (ours - wanted).abs().max() < 0.05  # at the border zero padding is another colour, but hardly


def test_a_layer_without_a_bias_cannot_take_another_mean() -> None:
    trunk = build_trunk("resnet18", TrunkSettings(norm="group"))
    before = trunk.conv1.weight.clone()
    with pytest.raises(UsageError, match="mean"):
        fit_first_convolution(trunk, CAFFE)
    assert torch.equal(trunk.conv1.weight, before)
    fit_first_convolution(trunk, InputSettings(bgr=True))
    assert torch.equal(trunk.conv1.weight, before.flip(1))


def small_resnet(**options) -> ModelSettings:
    base = seqnet()
    return dataclasses.replace(base, trunk="resnet18", identities=3, trunk_options=TrunkSettings(**options))


def test_resnet_weights_go_to_the_trunk_and_to_both_fifth_stages(monkeypatch) -> None:
    source = torchvision_resnet(18, TrunkSettings(norm="batch"))
    source.bn1.running_mean.fill_(7.0)
    asked = []
    monkeypatch.setattr(
        "torchvision.models.resnet18", lambda weights=None: (asked.append(weights), source)[1]
    )
    network = build_network(small_resnet())
    other = network.head.fc8.weight.clone()
    load_imagenet(network)
    assert asked == ["IMAGENET1K_V1"]
    assert torch.equal(network.trunk.conv1.weight, source.conv1.weight)
    assert (network.trunk.bn1.running_mean == 7).all()
    for part in (network.head, network.first):
        assert torch.equal(part.res5[1].conv2.weight, source.layer4[1].conv2.weight)
    assert torch.equal(network.head.fc8.weight, other)


def test_weights_of_a_pyramid_go_below_it(monkeypatch) -> None:
    source = torchvision_resnet(18, TrunkSettings(norm="batch"))
    monkeypatch.setattr("torchvision.models.resnet18", lambda weights=None: source)
    settings = detector(with_pyramid(small_resnet(), 16))
    network = build_network(settings)
    load_imagenet(network)
    assert torch.equal(network.trunk.bottom.layer4[0].conv1.weight, source.layer4[0].conv1.weight)


def test_group_norms_have_none_and_missing_files_are_named(monkeypatch) -> None:
    with pytest.raises(UsageError, match="group norm"):
        load_imagenet(build_network(small_resnet(norm="group")))

    def refuse(weights=None):
        raise urllib.error.URLError("no route")

    monkeypatch.setattr("torchvision.models.resnet18", refuse)
    with pytest.raises(InputError, match="resnet18 cannot be had") as caught:
        load_imagenet(build_network(small_resnet()))
    assert "resnet18-f37072fd.pth" in caught.value.hint


def test_timm_weights_that_cannot_be_had_are_an_input_error(monkeypatch) -> None:
    pytest.importorskip("timm")
    settings = dataclasses.replace(
        resnet50(), trunk="timm", identities=3, trunk_options=TrunkSettings(timm="mobilenetv3_small_050")
    )
    network = build_network(settings)
    original = weights.make_timm

    def offline(name, *, pretrained, maps=None):
        if pretrained:
            raise ConnectionError("no route")
        return original(name, pretrained=False, maps=maps)

    monkeypatch.setattr(weights, "make_timm", offline)
    with pytest.raises(InputError, match="mobilenetv3_small_050 cannot be had: no route"):
        load_imagenet(network)
    source = original("mobilenetv3_small_050", pretrained=False, maps=network.trunk.kept)
    monkeypatch.setattr(weights, "make_timm", lambda name, **_: source)
    load_imagenet(network)
    assert torch.equal(network.trunk.model.conv_stem.weight, source.conv_stem.weight)


def test_other_sizes_of_fc6_and_a_detector_take_the_convolutions_alone(monkeypatch, caplog) -> None:
    source = SimpleNamespace(
        features=nn.Sequential(*narrow_vgg().trunk.convolutions, nn.MaxPool2d(2, 2)),
        classifier=nn.Sequential(nn.Linear(7, 4), nn.ReLU(), nn.Dropout(), nn.Linear(4, 4)),
    )
    monkeypatch.setattr("torchvision.models.vgg16", lambda weights=None: source)
    network = narrow_vgg()
    before = network.head.fc7.weight.clone()
    load_imagenet(network)
    assert "stay random" in caplog.text
    assert torch.equal(network.head.fc7.weight, before)
    assert torch.equal(network.trunk.convolutions[0].weight, source.features[0].weight)
