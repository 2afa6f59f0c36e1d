"""Smooth L1 of the re-id part's box layer."""

from __future__ import annotations

import pytest
import torch

from personsearch.model.losses.boxes import box_loss


def test_a_loss_worked_by_hand() -> None:
    """|d| = 1/2: d^2 / 2 = 1/8. |d| = 2: |d| - 1/2 = 3/2. Over 4 RoIs: 13/32."""
    predicted = torch.tensor([[0.5, 0.0, 0.0, -2.0]])
    assert float(box_loss(predicted, torch.zeros(1, 4), divisor=4)) == pytest.approx(13 / 32)


def test_beta_moves_the_bend() -> None:
    """beta = 1/9: |d| = 1/2 is on the line, 1/2 - 1/18."""
    predicted = torch.tensor([[0.5, 0.0, 0.0, 0.0]])
    assert float(box_loss(predicted, torch.zeros(1, 4), divisor=1, beta=1 / 9)) == pytest.approx(4 / 9)


def test_against_a_slow_version() -> None:
    rng = torch.Generator().manual_seed(0)
    predicted, target = 2 * torch.randn(7, 4, generator=rng), torch.randn(7, 4, generator=rng)
    slow = 0.0
    for d in (predicted - target).flatten().tolist():
        slow += d * d / 2 if abs(d) < 1 else abs(d) - 0.5
    assert float(box_loss(predicted, target, divisor=48)) == pytest.approx(slow / 48, rel=1e-5)


def test_no_person_no_loss() -> None:
    predicted = torch.zeros(0, 4, requires_grad=True)
    loss = box_loss(predicted, torch.zeros(0, 4), divisor=1)
    loss.backward()
    assert loss.item() == 0.0


def test_the_gradient_is_that_of_the_value() -> None:
    predicted = torch.tensor([[0.3, -0.6, 1.7, -3.0]], dtype=torch.float64, requires_grad=True)
    target = torch.zeros(1, 4, dtype=torch.float64)
    assert torch.autograd.gradcheck(
        lambda p: box_loss(p, target, divisor=3), (predicted,), eps=1e-2, atol=2e-3
    )
