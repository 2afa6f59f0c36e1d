"""Unit vectors, and none where there is no direction."""

from __future__ import annotations

import torch

from personsearch.model.vectors import unit


def test_by_hand_and_in_half_precision() -> None:
    rows = unit(torch.tensor([[3.0, 4.0], [0.0, -2.0]], dtype=torch.bfloat16))
    assert rows.dtype == torch.float32
    torch.testing.assert_close(rows, torch.tensor([[0.6, 0.8], [0.0, -1.0]]))


def test_nothing_stays_nothing_and_gets_no_gradient() -> None:
    """The planted mistake is torch's own normalize, whose gradient there is a million million."""
    given = torch.tensor([[0.0, 0.0], [1e-9, 0.0], [2.0, 0.0]], requires_grad=True)
    rows = unit(given)
    assert rows.tolist() == [[0, 0], [0, 0], [1, 0]]
    rows.sum().backward()
    assert given.grad.tolist() == [[0, 0], [0, 0], [0, 0.5]]
    other = torch.zeros(1, 2, requires_grad=True)
    torch.nn.functional.normalize(other).sum().backward()
    assert other.grad.abs().max() > 1e9


def test_the_gradient_is_that_of_the_value() -> None:
    given = torch.randn(3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    assert torch.autograd.gradcheck(unit, (given.requires_grad_(),))
