"""The plain identity softmax, equation (1)."""

from __future__ import annotations

import math

import pytest
import torch

from personsearch.model.losses.softmax import divisor, softmax_loss


def literal_loss(logits, labels, over: float) -> float:
    """Equation (1), letter by letter."""
    total = 0.0
    for x, c in zip(logits, labels, strict=True):
        if c == -1:
            continue
        y = [math.exp(v) / sum(math.exp(u) for u in x) for v in x]
        total += -sum((1.0 if i == c else 0.0) * math.log(p) for i, p in enumerate(y))
    return total / over


@pytest.mark.parametrize(("normaliser", "over"), [("valid", 3), ("batch", 5)])
def test_the_loss_is_equation_1(normaliser: str, over: int) -> None:
    logits = torch.randn(5, 4, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([0, -1, 3, -1, 2])
    value = softmax_loss(logits, labels, normaliser=normaliser)
    assert float(value) == pytest.approx(literal_loss(logits.tolist(), labels.tolist(), over), abs=1e-6)


def test_a_loss_worked_by_hand() -> None:
    """Scores log 1, log 2, log 5: the last has 5/8."""
    logits = torch.tensor([[0.0, math.log(2), math.log(5)]])
    assert float(softmax_loss(logits, torch.tensor([2]))) == pytest.approx(math.log(8 / 5), abs=1e-6)


def test_ignored_rows_have_no_gradient_and_the_gradient_is_that_of_the_value() -> None:
    logits = torch.randn(4, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    logits.requires_grad_()
    labels = torch.tensor([4, -1, 0, 2])
    softmax_loss(logits, labels).backward()
    assert (logits.grad[1] == 0).all()
    assert torch.autograd.gradcheck(lambda x: softmax_loss(x, labels), (logits,), eps=1e-2, atol=2e-3)


@pytest.mark.parametrize("normaliser", ["valid", "batch"])
@pytest.mark.parametrize("rows", [0, 3])
def test_nobody_labelled_means_no_loss_and_no_gradient(normaliser: str, rows: int) -> None:
    logits = torch.randn(rows, 5).requires_grad_()
    loss = softmax_loss(logits, torch.full((rows,), -1), normaliser=normaliser)
    loss.backward()
    assert loss.item() == 0.0
    assert (logits.grad == 0).all()


def test_what_the_sum_is_divided_by() -> None:
    labels = torch.tensor([3, -1, 0, -1])
    assert (divisor(labels, "valid"), divisor(labels, "batch")) == (2, 4)
    nobody = torch.tensor([-1, -1])
    assert (divisor(nobody, "valid"), divisor(nobody, "batch")) == (1, 2)
    assert (divisor(nobody[:0], "valid"), divisor(nobody[:0], "batch")) == (1, 1)
