"""RoIAlign by matrix products: torchvision's numbers, and its gradient up to rounding."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torchvision.ops import roi_align

from personsearch.model import aligning
from personsearch.model.aligning import align, axis_weights


def both(
    source: Tensor, boxes: list[Tensor], size: tuple[int, int], scale: float
) -> list[tuple[Tensor, ...]]:
    """(values, gradient) of ours and of torchvision's, for the same made-up gradient of the grid."""
    found = []
    for pooled in (align, lambda *a: roi_align(*a, sampling_ratio=2, aligned=True)):
        leaf = source.clone().requires_grad_()
        grid = pooled(leaf, boxes, size, scale)
        grid.backward(torch.sin(torch.arange(grid.numel(), dtype=torch.float32)).view(grid.shape))
        found.append((grid.detach(), leaf.grad))
    return found


def agree(source: Tensor, boxes: list[Tensor], size: tuple[int, int], scale: float) -> None:
    (ours, gradient), (theirs, wanted) = both(source, boxes, size, scale)
    assert torch.equal(ours, theirs)
    torch.testing.assert_close(gradient, wanted, rtol=1e-4, atol=2e-5)


def test_by_hand() -> None:
    """A box of one cell around the centre of cell (1, 1): it and its neighbours share the gradient."""
    source = torch.zeros(1, 1, 3, 3).requires_grad_()
    align(source, [torch.tensor([[1.0, 1.0, 2.0, 2.0]])], (1, 1), 1.0).sum().backward()
    axis = torch.tensor([0.125, 0.75, 0.125])
    torch.testing.assert_close(source.grad, torch.outer(axis, axis)[None, None])


corner = st.floats(-40, 120, width=32)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.lists(st.tuples(corner, corner, corner, corner), max_size=4), min_size=1, max_size=3),
    st.tuples(st.integers(1, 5), st.integers(1, 4)),
    st.integers(1, 9),
    st.integers(1, 9),
)
def test_any_boxes_inside_across_and_outside_the_map(
    drawn: list[list[tuple[float, ...]]], size: tuple[int, int], height: int, width: int
) -> None:
    torch.manual_seed(0)
    source = torch.randn(len(drawn), 3, height, width)
    agree(source, [torch.tensor(rows, dtype=torch.float32).view(-1, 4) for rows in drawn], size, 1 / 8)


def test_the_sizes_of_the_compact_network() -> None:
    torch.manual_seed(0)
    source = torch.randn(2, 96, 48, 64).contiguous(memory_format=torch.channels_last)
    left, top = 400 * torch.rand(2, 30), 250 * torch.rand(2, 30)
    boxes = [
        torch.stack([x, y, x + 90 * torch.rand(30), y + 200 * torch.rand(30)], dim=1)
        for x, y in zip(left, top, strict=True)
    ]
    agree(source, boxes, (8, 4), 1 / 8)


def test_blocks_of_any_size_and_autocast_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    source = torch.randn(2, 3, 9, 8)
    boxes = [30 * torch.rand(5, 4).cumsum(dim=1), 30 * torch.rand(3, 4).cumsum(dim=1)]
    agree(source, boxes, (3, 2), 1 / 8)
    monkeypatch.setattr(aligning, "_SPREAD_AT_ONCE", 3 * 8 * 3 * 2)  # two boxes
    agree(source, boxes, (3, 2), 1 / 8)
    with torch.autocast("cpu", torch.bfloat16):
        agree(source, boxes, (3, 2), 1 / 8)


def test_weights_of_a_box_inside_the_map_sum_to_one() -> None:
    weights = axis_weights(torch.tensor([0.0, 2.5]), torch.tensor([5.0, 3.0]), 4, 8)
    torch.testing.assert_close(weights.sum(dim=2), torch.ones(2, 4))


def test_a_planted_mistake_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        aligning, "axis_weights", lambda low, high, *n: axis_weights(low + 0.5, high + 0.5, *n)
    )
    torch.manual_seed(0)
    with pytest.raises(AssertionError):
        agree(torch.randn(1, 2, 8, 8), [torch.tensor([[8.0, 8.0, 40.0, 50.0]])], (3, 2), 1 / 8)


def test_without_a_gradient_it_is_torchvisions_own() -> None:
    source = torch.randn(1, 2, 6, 6)
    boxes = [torch.tensor([[4.0, 4.0, 30.0, 40.0]])]
    assert torch.equal(align(source, boxes, (2, 2), 0.125), roi_align(source, boxes, (2, 2), 0.125, 2, True))
