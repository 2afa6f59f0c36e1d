"""Blocks that are computed again: the same numbers, and less kept."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from personsearch.model.presets import build_trunk
from personsearch.model.trunks import TrunkSettings
from personsearch.training import memory
from personsearch.training.memory import recompute_blocks


def kept(trunk: nn.Module, images: torch.Tensor) -> tuple[int, float]:
    """Bytes that the gradient needs kept, and the loss, of one pass; gradients are left in the trunk."""
    sizes: dict[int, int] = {}

    def count(tensor: torch.Tensor) -> torch.Tensor:
        sizes[tensor.data_ptr()] = tensor.numel() * tensor.element_size()
        return tensor

    own = {p.data_ptr() for p in trunk.parameters()}
    with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
        loss = sum(value.square().mean() for value in trunk(images).values())
    loss.backward()
    return sum(size for pointer, size in sizes.items() if pointer not in own), loss.item()


@pytest.mark.parametrize("name", ["compact-tiny", "vgg16", "resnet18"])
def test_the_same_numbers_and_less_kept(name: str) -> None:
    torch.manual_seed(0)
    plain = build_trunk(name, TrunkSettings(norm="batch")).train()
    again = copy.deepcopy(plain)
    names = list(again.state_dict())
    assert recompute_blocks(again) >= 1
    assert list(again.state_dict()) == names
    images = torch.randn(2, 3, 64, 64)
    (most, a), (less, b) = kept(plain, images), kept(again, images)
    assert a == b
    assert less < 0.8 * most
    for (path, x), y in zip(plain.named_parameters(), again.parameters(), strict=True):
        assert (x.grad is None) == (y.grad is None)
        if x.grad is not None:
            torch.testing.assert_close(x.grad, y.grad, atol=1e-6, rtol=1e-4, msg=path)
    for (path, x), y in zip(plain.named_buffers(), again.buffers(), strict=True):
        assert torch.equal(x, y), path  # a batch is seen twice and counts once


def test_statistics_that_count_twice_would_be_seen(monkeypatch) -> None:
    from contextlib import nullcontext

    monkeypatch.setattr(memory, "_once", lambda _: nullcontext())
    torch.manual_seed(0)
    plain = build_trunk("compact-tiny").train()
    again = copy.deepcopy(plain)
    recompute_blocks(again)
    images = torch.randn(2, 3, 64, 64)
    kept(plain, images), kept(again, images)
    assert any(not torch.equal(x, y) for x, y in zip(plain.buffers(), again.buffers(), strict=True))


def test_in_the_test_nothing_is_computed_twice() -> None:
    trunk = build_trunk("compact-tiny").eval()
    images = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        before = trunk(images)["trunk"]
        recompute_blocks(trunk)
        assert torch.equal(trunk(images)["trunk"], before)
