"""The passes as one graph follow the network step by step: to the bit, before anything is exported."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from personsearch.model.export_graph import CropPass, GalleryPass, QueryPass, operators
from personsearch.model.inputs import normalised, padded_batch
from personsearch.model.network import PersonSearchNetwork
from personsearch.model.pooling import PoolSettings
from personsearch.model.presets import (
    ModelSettings,
    build_network,
    compact_tiny,
    detector,
    embedder,
    resnet50,
    with_pyramid,
)
from personsearch.model.trunks import TrunkSettings

SIZES = [(97, 130), (160, 64), (64, 64), (33, 200), (1, 1)]


def tiny(*, head: dict | None = None, losses: dict | None = None, **network) -> ModelSettings:
    base = compact_tiny()
    inner = dataclasses.replace(
        base.network,
        head=dataclasses.replace(base.network.head, **(head or {})),
        losses=dataclasses.replace(base.network.losses, **(losses or {})),
        **network,
    )
    return dataclasses.replace(base, identities=5, network=inner)


def pyramid() -> ModelSettings:
    base = dataclasses.replace(
        resnet50(), trunk="resnet18", identities=5, trunk_options=TrunkSettings(norm="batch")
    )
    return with_pyramid(base, channels=16)


VARIANTS = {
    "compact": tiny(),
    "bgr": dataclasses.replace(tiny(), input=dataclasses.replace(tiny().input, bgr=True)),
    "described at proposals": tiny(
        detect=dataclasses.replace(compact_tiny().network.detect, describe_refined=False)
    ),
    "pooled": tiny(pools=(PoolSettings(size=(3, 3)),)),
    "scored by the classes": tiny(head={"separate_score": False}, losses={"k": 4, "correction": "test"}),
    "norm-aware": tiny(head={"separate_score": False, "norm_aware": True}),
    "sequential": tiny(sequential=True),
    "pyramid": pyramid(),
    "detector": detector(tiny()),
}


def made(chosen: ModelSettings) -> PersonSearchNetwork:
    """Random weights loud enough that scores and boxes differ from place to place."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        network = build_network(chosen).eval()
        for name, module in network.named_modules():
            last = name.rsplit(".", 1)[-1]
            if (
                last in ("box", "person", "classify", "regress")
                and getattr(module, "weight", None) is not None
            ):
                module.weight.data.mul_(20)
    return network


NETWORKS = {name: made(chosen) for name, chosen in VARIANTS.items() if name == "compact"}


def network_of(name: str) -> PersonSearchNetwork:
    if name not in NETWORKS:
        NETWORKS[name] = made(VARIANTS[name])
    return NETWORKS[name]


def drawn(size: tuple[int, int], seed: int = 0) -> np.ndarray:
    coarse = np.random.default_rng(seed).integers(0, 256, (size[0] // 12 + 1, size[1] // 12 + 1, 3))
    return np.ascontiguousarray(coarse.astype(np.uint8).repeat(12, 0).repeat(12, 1)[: size[0], : size[1]])


@torch.no_grad()
def both(name: str, pixels: np.ndarray) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """What the network answers, and what the graph does."""
    chosen, network = VARIANTS[name], network_of(name)
    batch, sizes = padded_batch([pixels], chosen.input.multiple)
    (seen,) = network.detect(normalised(batch, chosen.input), sizes)
    wanted = [column.numpy() for column in seen if column.shape[-1] or column.dim() == 1]
    found = GalleryPass(network, chosen)(torch.from_numpy(pixels))
    return wanted, [column.numpy() for column in found]


@pytest.mark.parametrize("name", VARIANTS)
def test_the_gallery_pass_is_the_network(name: str) -> None:
    people = 0
    for size in SIZES:
        wanted, found = both(name, drawn(size))
        people += len(wanted[0])
        assert [a.shape for a in found[:2]] == [a.shape for a in wanted[:2]]
        for a, b in zip(found, wanted, strict=len(wanted[0]) > 0):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-4)
    assert people > 20


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 150), st.integers(1, 150), st.integers(0, 9))
def test_at_any_size(height: int, width: int, seed: int) -> None:
    wanted, found = both("compact", drawn((height, width), seed))
    assert [a.shape for a in found] == [a.shape for a in wanted]
    for a, b in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(a, b)


def test_padding_has_the_mean_colour_rounded_down() -> None:
    chosen = tiny()
    pixels = np.full((3, 5, 3), (10, 20, 30), np.uint8)
    pixels[0, 0] = (24, 5, 30)  # means 10 + 14/15, 19, 30
    padded = GalleryPass(network_of("compact"), chosen)._input(torch.from_numpy(pixels)[None])
    assert padded.shape == (1, 3, 32, 32)
    outside = torch.tensor([10, 19, 30], dtype=torch.uint8).view(1, 3, 1, 1)
    assert torch.equal(padded[:, :, -1:, -1:], normalised(outside, chosen.input))
    batch, _ = padded_batch([pixels], 32)
    assert torch.equal(padded, normalised(batch, chosen.input))


@torch.no_grad()
@pytest.mark.parametrize("name", ["compact", "pooled", "pyramid"])
def test_the_query_pass_describes_as_the_network(name: str) -> None:
    chosen, network = VARIANTS[name], network_of(name)
    pixels = drawn((97, 130))
    boxes = torch.tensor([[0, 0, 130, 97], [10, 5, 40, 90], [100, 60, 130, 97], [3, 3, 4, 4.0]])
    batch, _ = padded_batch([pixels], chosen.input.multiple)
    wanted = network.describe(normalised(batch, chosen.input), [boxes])
    query = QueryPass(network, chosen)
    torch.testing.assert_close(query(torch.from_numpy(pixels), boxes), wanted)
    assert query(torch.from_numpy(pixels), boxes[:0]).shape == (0, chosen.network.head.dim)


@torch.no_grad()
def test_the_crop_pass_describes_one_box_in_each_crop() -> None:
    chosen = embedder(tiny())
    network = made(chosen)
    crops = [drawn((50, 30), seed) for seed in range(3)]
    boxes = torch.tensor([[2.0, 2, 28, 48], [0, 0, 30, 50], [5, 9, 20, 30]])
    batch, _ = padded_batch(crops, chosen.input.multiple)
    wanted = network.describe(normalised(batch, chosen.input), [box[None] for box in boxes])
    found = CropPass(network, chosen)(torch.from_numpy(np.stack(crops)), boxes)
    torch.testing.assert_close(found, wanted)
    assert not torch.allclose(found[0], found[1])


def test_best_by_hand() -> None:
    values, indices = operators().best(torch.tensor([0.1, 0.9, 0.5]), 2)
    assert indices.tolist() == [1, 2]
    assert values.tolist() == pytest.approx([0.9, 0.5])
    assert operators().best(torch.tensor([0.1, 0.9]), 5)[1].tolist() == [1, 0]


def test_survivors_by_hand() -> None:
    boxes = torch.tensor([[0, 0, 10, 10], [0, 0, 10, 9], [20, 0, 30, 10], [40, 0, 50, 10], [0, 0, 10, 8.0]])
    scores = torch.tensor([0.5, 0.9, -1.0, 0.7, -1.0])
    # The first overlaps the second by 0.9 and goes; who has a score below 0 is neither kept nor in the way.
    assert operators().survivors(boxes, scores, 0.45, 9).tolist() == [1, 3]
    assert operators().survivors(boxes, scores, 0.95, 9).tolist() == [1, 3, 0]
    assert operators().survivors(boxes, scores, 0.95, 2).tolist() == [1, 3]
    assert operators().survivors(boxes, -torch.ones(5), 0.45, 9).tolist() == []
