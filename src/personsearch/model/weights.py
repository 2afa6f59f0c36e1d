"""ImageNet weights for the trunk, loaded when asked for and to be had, never silently."""

from __future__ import annotations

import logging

from torch import nn

from personsearch.errors import InputError, UsageError
from personsearch.model.network import PersonSearchNetwork
from personsearch.model.trunks import Vgg16Trunk

log = logging.getLogger(__name__)


def load_imagenet(network: PersonSearchNetwork) -> None:
    """Put torchvision's ImageNet VGG16 into conv1-conv5, fc6 and fc7, in place.

    torchvision looks in its own cache first and downloads only because the user asked for it
    by name.

    Raises:
        UsageError: the trunk has no ImageNet weights.
        InputError: they cannot be had here.
    """
    from torchvision.models import VGG16_Weights, vgg16

    if not isinstance(network.trunk, Vgg16Trunk):
        raise UsageError("only vgg16 has ImageNet weights", hint="leave --pretrained away")
    try:
        source = vgg16(weights=VGG16_Weights.IMAGENET1K_V1)
    except OSError as error:
        raise InputError(
            f"ImageNet weights of vgg16 cannot be had: {error}",
            hint="put vgg16-397923af.pth into torch's hub cache, or train without --pretrained",
        ) from error
    kept = source.features[:-1].state_dict()
    network.trunk.convolutions.load_state_dict(kept)
    for ours, theirs in ((network.head.fc6, source.classifier[0]), (network.head.fc7, source.classifier[3])):
        assert isinstance(theirs, nn.Linear)
        ours.load_state_dict(theirs.state_dict())
    log.info("ImageNet weights loaded into conv1-conv5, fc6 and fc7")
