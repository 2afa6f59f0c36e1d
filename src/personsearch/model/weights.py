"""ImageNet weights for the trunk, loaded when asked for and to be had, never silently."""

from __future__ import annotations

import logging
from typing import cast

import torch
from torch import nn

from personsearch.errors import InputError, UsageError
from personsearch.model.backbones import (
    PyramidTrunk,
    ResNetTrunk,
    TimmTrunk,
    first_convolution,
    made_as_wished,
    make_timm,
)
from personsearch.model.head import ReidHead
from personsearch.model.network import PersonSearchNetwork
from personsearch.model.presets import IMAGENET_MEAN, IMAGENET_STD, InputSettings
from personsearch.model.trunks import Trunk, Vgg16Trunk

log = logging.getLogger(__name__)


def load_imagenet(network: PersonSearchNetwork, source: InputSettings | None = None) -> None:
    """Put ImageNet weights into the trunk, and into what of the head has ImageNet weights, in place.

    That is fc6 and fc7 of vgg16 (where they have its sizes), and res5 of a ResNet. torchvision and
    timm look in their own cache first and download only because the user asked for it by name.

    Args:
        network: with a vgg16, resnet or timm trunk.
        source: its preprocessing. The weights expect torchvision's; for another one the
            first convolution is fitted to it.

    Raises:
        UsageError: the trunk has no ImageNet weights, or not for this preprocessing.
        InputError: they cannot be had here.
    """
    trunk = network.trunk.bottom if isinstance(network.trunk, PyramidTrunk) else network.trunk
    if isinstance(trunk, Vgg16Trunk):
        _load_vgg16(network, trunk)
    elif isinstance(trunk, ResNetTrunk):
        _load_resnet(network, trunk)
    elif isinstance(trunk, TimmTrunk):
        _load_timm(trunk)
    else:
        raise UsageError(
            "only vgg16, resnet18, resnet50 and timm have ImageNet weights", hint="leave --pretrained away"
        )
    fit_first_convolution(trunk, source or InputSettings())


def _cannot_be_had(name: str, file: str, error: Exception) -> InputError:
    return InputError(
        f"ImageNet weights of {name} cannot be had: {error}",
        hint=f"put {file} into torch's hub cache, or train without --pretrained",
    )


def _load_vgg16(network: PersonSearchNetwork, trunk: Vgg16Trunk) -> None:
    from torchvision.models import VGG16_Weights, vgg16

    try:
        whole = vgg16(weights=VGG16_Weights.IMAGENET1K_V1)
    except OSError as error:
        raise _cannot_be_had("vgg16", "vgg16-397923af.pth", error) from error
    trunk.convolutions.load_state_dict(whole.features[:-1].state_dict())
    if network.settings.parts == "detector":
        log.info("ImageNet weights loaded into conv1-conv5")
        return
    heads = [network.head, *([network.first] if network.settings.sequential else [])]
    layers = [(ours, whole.classifier[i]) for head in heads for ours, i in ((head.fc6, 0), (head.fc7, 3))]
    if any(ours.weight.shape != cast(nn.Linear, theirs).weight.shape for ours, theirs in layers):
        log.warning("ImageNet weights loaded into conv1-conv5; fc6 and fc7 have other sizes, and stay random")
        return
    for ours, theirs in layers:
        ours.load_state_dict(theirs.state_dict())
    log.info("ImageNet weights loaded into conv1-conv5, fc6 and fc7")


def _load_resnet(network: PersonSearchNetwork, trunk: ResNetTrunk) -> None:
    from torchvision import models

    if trunk.settings.norm == "group":
        raise UsageError("group norm has no ImageNet weights", hint="choose norm frozen or batch")
    name = f"resnet{trunk.depth}"
    file = {18: "resnet18-f37072fd.pth", 50: "resnet50-0676ba61.pth"}[trunk.depth]
    try:
        whole = (models.resnet18 if trunk.depth == 18 else models.resnet50)(weights="IMAGENET1K_V1")
    except OSError as error:
        raise _cannot_be_had(name, file, error) from error
    theirs = whole.state_dict()
    wanted = trunk.state_dict().keys()
    trunk.load_state_dict({key: value for key, value in theirs.items() if key in wanted})
    tails = [
        head.res5
        for head in network.children()
        if isinstance(head, ReidHead) and head.settings.body == "res5"
    ]
    for tail in tails:
        prefix = "layer4."
        kept = {k.removeprefix(prefix): v for k, v in theirs.items() if k.startswith(prefix)}
        tail.load_state_dict({key: value for key, value in kept.items() if key in tail.state_dict()})
    log.info("ImageNet weights loaded into %s%s", name, " and res5" if tails else "")


def _load_timm(trunk: TimmTrunk) -> None:
    name = trunk.settings.timm
    try:
        source = make_timm(name, pretrained=True, maps=trunk.kept)
    except UsageError:
        raise
    except Exception as error:  # of timm, huggingface_hub or whichever client they use
        raise InputError(
            f"ImageNet weights of timm's {name} cannot be had: {str(error).splitlines()[0]}",
            hint="let timm download them once where there is a network, or train without --pretrained",
        ) from error
    trunk.model.load_state_dict(made_as_wished(source, trunk.settings).state_dict())
    log.info("ImageNet weights loaded into timm's %s", name)


@torch.no_grad()
def fit_first_convolution(trunk: Trunk, source: InputSettings) -> None:
    """Let weights made for torchvision's preprocessing see the same picture through ``source``'s.

    Both are one factor and one shift a channel, which go into the first convolution's weights
    and bias. Exact but at the picture's border, where zero padding is another colour.

    Raises:
        UsageError: the shift differs, and the convolution has no bias to take it.
    """
    if (source.mean, source.std, source.bgr) == (IMAGENET_MEAN, IMAGENET_STD, False):
        return
    layer = first_convolution(trunk)
    mean, std = torch.tensor(IMAGENET_MEAN), torch.tensor(IMAGENET_STD)
    shift = (torch.tensor(source.mean) - mean) / std  # theirs of a pixel that is 0 to us, per RGB
    if layer.bias is None:
        if shift.any():
            raise UsageError(
                "these ImageNet weights want torchvision's mean and deviation",
                hint="choose its preprocessing",
            )
    else:
        layer.bias += torch.einsum("oikl,i->o", layer.weight, shift)
    weight = layer.weight * (torch.tensor(source.std) / std).view(1, 3, 1, 1)
    layer.weight.copy_(weight.flip(1) if source.bgr else weight)
