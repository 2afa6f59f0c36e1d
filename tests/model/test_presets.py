"""The networks with a name: the paper's to the letter, the compact ones in structure."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import nn

from personsearch.errors import UsageError
from personsearch.model.network import PersonSearchNetwork, Targets
from personsearch.model.presets import (
    ModelSettings,
    build_network,
    build_trunk,
    compact,
    compact_tiny,
    vgg16,
    vgg16_authors,
)
from personsearch.model.trunks import CompactTrunk, Vgg16Trunk

IDENTITIES = 5532


@pytest.fixture(scope="module")
def paper() -> PersonSearchNetwork:
    """The whole network on torch's device without memory: shapes and flags, no numbers."""
    with torch.device("meta"):
        return build_network(dataclasses.replace(vgg16(), identities=IDENTITIES))


def shape(layer: nn.Module) -> tuple[int, ...]:
    assert isinstance(layer, nn.Linear | nn.Conv2d)
    return tuple(layer.weight.shape)


def test_the_papers_layers(paper: PersonSearchNetwork) -> None:
    """Section 4.1: conv1-conv5, 512 3x3 filters, 9 anchors, fc6 and fc7 of 4096, fc8 of 256, C+1 classes."""
    assert isinstance(paper.trunk, Vgg16Trunk)
    head = paper.proposals.network.head
    assert shape(head.conv) == (512, 512, 3, 3)
    assert shape(head.classify) == (2 * 9, 512, 1, 1)
    assert shape(head.regress) == (4 * 9, 512, 1, 1)
    assert shape(paper.head.fc6) == (4096, 512 * 7 * 7)
    assert shape(paper.head.fc7) == (4096, 4096)
    assert shape(paper.head.fc8) == (256, 4096)
    assert shape(paper.head.box) == (4, 4096)  # "on the top of fc7"
    assert shape(paper.head.classifier) == (IDENTITIES + 1, 256)
    assert paper.head.person is None  # one classifier tells people from background and each other
    assert not [m for m in paper.modules() if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d)]


def test_the_papers_numbers_and_the_authors_where_the_text_is_silent() -> None:
    settings = vgg16()
    network = settings.network
    assert settings.similarity == "euclidean"
    assert (settings.input.short_side, settings.input.long_side) == (600, 1000)
    proposals = network.proposals
    assert (proposals.anchor_sizes, proposals.anchor_ratios) == ((128, 256, 512), (0.5, 1.0, 2.0))
    assert (proposals.positive_iou, proposals.negative_iou, proposals.batch) == (0.7, 0.3, 256)
    assert (proposals.before_nms, proposals.after_nms) == ((12000, 6000), (2000, 300))
    assert proposals.nms == 0.7
    rois = network.rois
    assert (rois.batch, rois.person_fraction, rois.person_iou) == (128, 0.25, 0.5)
    assert rois.background_iou == (0.0, 0.5)
    (pool,) = network.pools
    assert (pool.source, pool.size, pool.kind) == ("trunk", (7, 7), "pool")
    assert (network.head.dropout, network.head.embedding_relu) == (0.5, False)
    losses = network.losses
    assert (losses.identity, losses.k, losses.normaliser, losses.identity_weight) == (
        "rss",
        100,
        "batch",
        1.0,
    )
    detect = network.detect
    assert (detect.min_score, detect.nms, detect.limit, detect.describe_refined) == (0.05, 0.4, 100, False)


def test_the_authors_reading_differs_in_what_it_says_and_nothing_else() -> None:
    text, code = vgg16().to_json(), vgg16_authors().to_json()
    assert code["network"]["head"].pop("embedding_relu")
    assert not text["network"]["head"].pop("embedding_relu")
    theirs, ours = code.pop("input"), text.pop("input")
    assert code == text
    assert (
        (theirs["short_side"], theirs["long_side"]) == (ours["short_side"], ours["long_side"]) == (600, 1000)
    )
    assert theirs["bgr"]
    assert [255 * m for m in theirs["mean"][::-1]] == pytest.approx([102.9801, 115.9465, 122.7717])
    assert [255 * d for d in theirs["std"]] == [1, 1, 1]
    assert not ours["bgr"]


def test_proposals_below_sixteen_pixels_are_dropped_as_the_authors_do(paper: PersonSearchNetwork) -> None:
    assert paper.proposals.network.min_size == 16


@pytest.mark.parametrize(("identities", "k"), [(5532, 100), (99, 100), (98, 99), (3, 4)])
def test_k_is_at_most_all_classes(identities: int, k: int) -> None:
    with torch.device("meta"):
        assert build_network(dataclasses.replace(vgg16(), identities=identities)).k == k


def test_the_paper_network_runs() -> None:
    """Losses and detections of the real trunk; fc6 and fc7 narrower, whose 4096 only cost time here."""
    settings = dataclasses.replace(vgg16(), identities=20)
    narrow = dataclasses.replace(settings.network, head=dataclasses.replace(settings.network.head, hidden=32))
    torch.manual_seed(0)
    network = build_network(dataclasses.replace(settings, network=narrow))
    images = torch.randn(1, 3, 96, 128)
    with torch.no_grad():
        losses = network(images, [(96, 128)], [Targets(torch.tensor([[10.0, 8, 40, 88]]), torch.tensor([3]))])
        (seen,) = network.eval().detect(images, [(96, 128)])
    assert set(losses) == {"proposal_class", "proposal_box", "identity", "box"}  # the paper's four
    assert all(torch.isfinite(value) for value in losses.values())
    assert len(seen.boxes) > 0
    assert seen.embeddings.shape == (len(seen.boxes), 256)
    assert (seen.scores >= 0.05).all()


@pytest.mark.parametrize("make", [compact, compact_tiny])
def test_the_compact_networks_have_the_same_parts(make) -> None:
    settings = dataclasses.replace(make(), identities=7)
    network = build_network(settings)
    assert isinstance(network.trunk, CompactTrunk)
    assert settings.network.proposals.anchors == 9
    assert network.head.fc8.out_features == settings.network.head.dim
    assert network.head.classifier.out_features == 8
    assert settings.network.losses.identity == "rss"
    assert settings.input.multiple % 32 == 0
    assert {pool.source for pool in settings.network.pools} <= set(network.trunk.layout)


def test_only_the_four_losses_and_the_score_layers() -> None:
    torch.manual_seed(0)
    network = build_network(dataclasses.replace(compact_tiny(), identities=4))
    targets = [Targets(torch.tensor([[10.0, 8, 40, 88]]), torch.tensor([3]))] * 2
    losses = network(torch.randn(2, 3, 96, 128), [(96, 128)] * 2, targets)
    assert set(losses) == {"proposal_class", "proposal_box", "identity", "box", "person"}


def test_settings_survive_json() -> None:
    import json

    for make in (vgg16, compact, compact_tiny):
        values = json.loads(json.dumps(make().to_json()))
        assert values["network"]["head"]["dim"] == make().network.head.dim
    assert ModelSettings().to_json()["trunk"] == "vgg16"


def test_an_unknown_trunk_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="vgg19"):
        build_trunk("vgg19")
