"""The network of figure 4 is the one that is trained: walked, not written down."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from personsearch.experiments.reproduction.anatomy import walk
from personsearch.model.head import HeadSettings
from personsearch.model.presets import ModelSettings, compact_tiny, vgg16


def small(base: ModelSettings, **head: Any) -> ModelSettings:
    network = base.network
    network = dataclasses.replace(network, head=dataclasses.replace(network.head, **head))
    return dataclasses.replace(base, identities=9, network=network)


@pytest.fixture(scope="module")
def compact() -> dict[str, Any]:
    return walk(small(compact_tiny()), (320, 240))


def block(found: dict[str, Any], name: str) -> dict[str, Any]:
    """By its name, with its part before it where two parts have one of that name."""
    part, _, last = name.rpartition("/")
    (one,) = (b for b in found["blocks"] if b["name"] == last and part in ("", b["part"]))
    return one


def parents(found: dict[str, Any], name: str) -> list[str]:
    of = block(found, name)["parents"]
    return sorted("picture" if i < 0 else found["blocks"][i]["name"] for i in of)


def test_shapes_and_weights_by_hand(compact: dict[str, Any]) -> None:
    # 320x240 on a short side of at most 192: 256x192, a multiple of 32 on both sides.
    assert compact["input"] == [3, 192, 256]
    stem = block(compact, "stem")
    assert (stem["shape"], stem["layers"]) == ((16, 48, 64), ["6x6 conv /4"])
    assert stem["parameters"] == 3 * 16 * 6 * 6
    # 8x4 cells of 24 channels and 10x5 cells of 4.
    assert block(compact, "pooling")["shape"] == (8 * 4 * 24 + 10 * 5 * 4,)
    assert block(compact, "fc6")["parameters"] == (968 + 1) * 32
    # 9 anchors: two scores and four offsets each.
    assert [block(compact, name)["shape"][0] for name in ("classify", "regress")] == [18, 36]
    # Nine identities and the background.
    assert block(compact, "classifier")["parameters"] == (16 + 1) * 10


def test_who_reads_whom(compact: dict[str, Any]) -> None:
    assert parents(compact, "stem") == ["picture"]
    assert parents(compact, "stages 0") == ["stem"]
    assert parents(compact, "lateral 0") == ["stages 1"]
    assert parents(compact, "lateral 2") == ["stages 3"]
    assert parents(compact, "trunk/colour") == ["picture"]
    assert parents(compact, "trunk") == ["lateral 0", "lateral 1", "lateral 2"]  # the fused map
    assert parents(compact, "map/colour") == ["colour"]  # the map is what comes out of the layers
    assert parents(compact, "conv") == ["trunk"]
    assert parents(compact, "pooling") == ["colour", "trunk"]
    assert parents(compact, "classify") == parents(compact, "regress") == ["conv"]
    assert parents(compact, "fc8") == parents(compact, "box") == parents(compact, "person") == ["fc7"]
    assert parents(compact, "classifier") == ["fc8"]


def test_losses_and_what_they_read(compact: dict[str, Any]) -> None:
    assert {name: layers[-1].rpartition(".")[2] for name, layers in compact["losses"].items()} == {
        "proposal_class": "classify",
        "proposal_box": "regress",
        "identity": "classifier",
        "box": "box",
        "person": "person",
    }
    assert (compact["identity_loss"], compact["k"]) == ("rss", 10)


def test_every_convolution_and_every_fully_connected_weight_is_counted(compact: dict[str, Any]) -> None:
    from torch import nn

    from personsearch.model.presets import build_network

    network = build_network(small(compact_tiny()))
    layers = [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    wanted = sum(p.numel() for layer in layers for p in layer.parameters())
    assert sum(block["parameters"] for block in compact["blocks"]) == wanted
    assert compact["parameters"]["all"] >= wanted


def test_another_network_gives_another_figure() -> None:
    base = small(vgg16(), hidden=16)
    tiny = dataclasses.replace(base.input, short_side=64, long_side=96)
    found = walk(dataclasses.replace(base, input=tiny), (96, 64))
    trunk = [block for block in found["blocks"] if block["part"] == "trunk"]
    assert [len(block["layers"]) for block in trunk] == [2, 2, 3, 3, 3]  # conv1 to conv5
    assert [block["shape"][0] for block in trunk] == [64, 128, 256, 512, 512]
    assert [block["name"] for block in trunk][-1] == "convolutions 5"
    # The paper's classifier scores people, too: there is no layer of its own for that.
    assert "person" not in found["losses"]
    assert HeadSettings().separate_score is False
    plain = dataclasses.replace(base.network.losses, identity="softmax")
    network = dataclasses.replace(base.network, losses=plain)
    assert (
        walk(dataclasses.replace(base, input=tiny, network=network), (96, 64))["identity_loss"] == "softmax"
    )
