"""What the presets computed when their accuracy was measured, they compute today.

The losses were recorded before the variants were built (torch 2.15, one thread); then and after
they were equal to the last bit, gradients too. The test allows for other processors' rounding.
"""

from __future__ import annotations

import dataclasses

import pytest
import torch

from personsearch.model.network import Targets
from personsearch.model.presets import ModelSettings, build_network, compact, compact_tiny, vgg16

SIZES = [(96, 128), (80, 128)]


def small_vgg16(**head) -> ModelSettings:
    base = vgg16()
    inner = dataclasses.replace(
        base.network,
        head=dataclasses.replace(base.network.head, hidden=32, **head),
        proposals=dataclasses.replace(base.network.proposals, after_nms=(60, 60)),
    )
    return dataclasses.replace(base, network=inner)


RECORDED = {
    "compact-tiny": (
        dataclasses.replace(compact_tiny(), identities=5),
        {
            "proposal_class": 0.6935812830924988,
            "proposal_box": 0.006876693572849035,
            "identity": 1.7930468320846558,
            "box": 0.538000226020813,
            "person": 0.7934611439704895,
        },
        ([55, 52], 135.83561174615716),
    ),
    "compact": (
        dataclasses.replace(compact(), identities=2400),
        {
            "proposal_class": 0.694808840751648,
            "proposal_box": 0.007179473992437124,
            "identity": 4.690134525299072,
            "box": 0.3159705102443695,
            "person": 0.7616023421287537,
        },
        ([44, 43], 588.9558022660729),
    ),
    "vgg16": (
        dataclasses.replace(small_vgg16(embedding_relu=True), identities=200),
        {
            "proposal_class": 0.6961839199066162,
            "proposal_box": 0.3521588444709778,
            "identity": 4.469072341918945,
            "box": 0.0606236532330513,
        },
        ([3, 3], 71.82300639152527),
    ),
}


@pytest.mark.parametrize("name", RECORDED)
def test_losses_and_detections_are_those_recorded(name: str) -> None:
    settings, wanted, (counts, length) = RECORDED[name]
    torch.manual_seed(0)
    network = build_network(settings).train()
    torch.manual_seed(1)
    images = torch.randn(2, 3, 96, 128)
    targets = [
        Targets(torch.tensor([[10.0, 8, 40, 88], [60, 10, 90, 80]]), torch.tensor([3, -1])),
        Targets(torch.tensor([[20.0, 4, 50, 76]]), torch.tensor([0])),
    ]
    torch.manual_seed(2)
    losses = network(images, SIZES, targets)
    assert {n: v.item() for n, v in losses.items()} == pytest.approx(wanted, rel=2e-4)
    network.eval()
    with torch.inference_mode():
        seen = network.detect(images, SIZES)
    assert [len(one.boxes) for one in seen] == counts
    assert sum(float(one.embeddings.double().abs().sum()) for one in seen) == pytest.approx(length, rel=1e-3)
