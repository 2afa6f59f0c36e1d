"""Folded norms: the same network, fewer layers."""

from __future__ import annotations

import copy
import dataclasses

import numpy as np
import pytest
import torch
from torch import nn
from torchvision.ops import FrozenBatchNorm2d

from personsearch.model.checkpoint import load_searcher, save_model
from personsearch.model.folding import fold_norms
from personsearch.model.network import PersonSearchNetwork
from personsearch.model.presets import build_network, compact_tiny, seqnet
from personsearch.model.searcher import NetworkSearcher
from personsearch.model.trunks import TrunkSettings
from personsearch.types import Picture

BOXES = [torch.tensor([[10.0, 8, 40, 88], [60, 10, 90, 80]]), torch.tensor([[20.0, 4, 50, 76]])]


def lived(network: PersonSearchNetwork) -> PersonSearchNetwork:
    """Norms with statistics and weights of their own: fresh ones hardly do anything."""
    rng = torch.Generator().manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d | FrozenBatchNorm2d):
            shape = module.weight.shape
            with torch.no_grad():
                module.weight.copy_(0.5 + torch.rand(shape, generator=rng))
                module.bias.copy_(torch.randn(shape, generator=rng) / 5)
            module.running_mean.copy_(torch.randn(shape, generator=rng) / 5)
            module.running_var.copy_(0.5 + torch.rand(shape, generator=rng))
    return network.eval()


def settings(name: str):
    if name == "compact":
        return dataclasses.replace(compact_tiny(), identities=5)
    base = dataclasses.replace(seqnet(), trunk="resnet18", identities=5, trunk_options=TrunkSettings())
    pools = (dataclasses.replace(base.network.pools[0], size=(4, 4)),)
    return dataclasses.replace(base, network=dataclasses.replace(base.network, pools=pools))


@pytest.mark.parametrize("name", ["compact", "resnet"])
def test_the_answers_stay_and_the_norms_are_gone(name: str) -> None:
    torch.manual_seed(0)
    network = lived(build_network(settings(name)))
    folded = fold_norms(copy.deepcopy(network))
    kinds = (nn.BatchNorm1d, nn.BatchNorm2d, FrozenBatchNorm2d)
    left = [n for n, m in folded.named_modules() if isinstance(m, kinds)]
    # The norm over an embedding's length follows no layer.
    assert left == ([] if name == "compact" else ["head.person.norm"])
    images = torch.randn(2, 3, 96, 128)
    with torch.no_grad():
        for ours, theirs in zip(folded.trunk(images).values(), network.trunk(images).values(), strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(
            folded.describe(images, BOXES), network.describe(images, BOXES), rtol=1e-3, atol=1e-3
        )


def test_a_loaded_searcher_is_folded_and_finds_the_same_people(
    tiny_settings, picture: Picture, tmp_path
) -> None:
    torch.manual_seed(0)
    network = lived(build_network(tiny_settings))
    save_model(tmp_path / "m", network, tiny_settings)
    plain = NetworkSearcher(network, tiny_settings, fingerprint="f", device="cpu")
    loaded = load_searcher(tmp_path / "m", "cpu")
    assert any(isinstance(m, nn.BatchNorm2d) for m in plain.network.modules())
    assert not any(isinstance(m, nn.BatchNorm2d) for m in loaded.network.modules())
    ours, theirs = loaded.detect(picture), plain.detect(picture)
    assert len(ours) == len(theirs) > 0
    np.testing.assert_allclose(ours.boxes, theirs.boxes, atol=0.05)
    np.testing.assert_allclose(ours.scores, theirs.scores, atol=1e-4)
    np.testing.assert_allclose(ours.embeddings, theirs.embeddings, rtol=1e-3, atol=1e-3)


def test_bf16_is_near(tiny_settings, picture: Picture, tmp_path) -> None:
    torch.manual_seed(0)
    save_model(tmp_path / "m", lived(build_network(tiny_settings)), tiny_settings)
    exact, quick = (load_searcher(tmp_path / "m", "cpu", precision=p) for p in ("fp32", "bf16"))
    boxes = [[10, 10, 60, 150], [100, 30, 160, 220]]
    ours, theirs = quick.embed(picture, boxes), exact.embed(picture, boxes)
    assert ours.dtype == np.float32
    assert not np.array_equal(ours, theirs)
    near = (ours * theirs).sum(axis=1) / np.linalg.norm(ours, axis=1) / np.linalg.norm(theirs, axis=1)
    assert (near > 0.99).all()
    assert np.isfinite(quick.detect(picture).embeddings).all()
