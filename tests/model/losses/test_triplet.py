"""Batch-hard triplets against a slow version of equation (5) of their paper."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from personsearch.model.losses.triplet import triplet_loss

BACKGROUND = 4


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def literal_loss(embeddings, labels, margin: float, normaliser: str) -> float:
    """Each anchor, its farthest positive, its nearest negative."""
    units = [[v / math.hypot(*row) for v in row] for row in embeddings]
    known = [i for i, label in enumerate(labels) if 0 <= label < BACKGROUND]
    losses = []
    for a in known:
        same = [math.dist(units[a], units[p]) for p in known if p != a and labels[p] == labels[a]]
        other = [math.dist(units[a], units[n]) for n in known if labels[n] != labels[a]]
        if same and other:
            losses.append(max(0.0, margin + max(same) - min(other)))
    over = len(losses) if normaliser == "valid" else len(labels)
    return sum(losses) / max(over, 1)


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.integers(-1, BACKGROUND), max_size=9),
    st.integers(0, 99),
    st.sampled_from(["valid", "batch"]),
    st.sampled_from([0.0, 0.3, 1.0]),
)
def test_the_loss_is_the_slow_one(labels, seed: int, normaliser: str, margin: float) -> None:
    x = torch.randn(len(labels), 3, generator=generator(seed))
    value = triplet_loss(
        x,
        torch.tensor(labels, dtype=torch.int64),
        background=BACKGROUND,
        margin=margin,
        normaliser=normaliser,
    )
    assert float(value) == pytest.approx(literal_loss(x.tolist(), labels, margin, normaliser), abs=1e-4)


def test_a_loss_worked_by_hand() -> None:
    """East, north, west: anchor 0 is sqrt 2 from its own and 2 from the other; anchor 1 sqrt 2 from both."""
    x = torch.tensor([[1.0, 0.0], [0.0, 7.0], [-2.0, 0.0]])
    labels = torch.tensor([0, 0, 1])
    first, second = max(0.0, 0.7 + math.sqrt(2) - 2), 0.7
    value = triplet_loss(x, labels, background=BACKGROUND, margin=0.7)
    assert float(value) == pytest.approx((first + second) / 2, abs=1e-5)
    over_all = triplet_loss(x, labels, background=BACKGROUND, margin=0.7, normaliser="batch")
    assert float(over_all) == pytest.approx((first + second) / 3, abs=1e-5)


def test_the_gradient_is_that_of_the_value_and_the_left_out_have_none() -> None:
    x = torch.randn(7, 4, dtype=torch.float64, generator=generator(1)).requires_grad_()
    labels = torch.tensor([0, 0, 1, -1, BACKGROUND, 1, 2])

    def value(x: torch.Tensor) -> torch.Tensor:
        return triplet_loss(x, labels, background=BACKGROUND, margin=1.0)

    assert torch.autograd.gradcheck(value, (x,))
    value(x).backward()
    assert (x.grad[[3, 4]] == 0).all()
    assert (x.grad[[0, 1, 2, 5]] != 0).any(dim=1).all()


@pytest.mark.parametrize(
    "labels", [[], [-1, -1], [0], [0, 0], [0, 1], [BACKGROUND, BACKGROUND, 0], [0, 0, -1, BACKGROUND]]
)
def test_no_triplet_no_loss_and_no_gradient(labels) -> None:
    x = torch.randn(len(labels), 3).requires_grad_()
    loss = triplet_loss(x, torch.tensor(labels, dtype=torch.int64), background=BACKGROUND)
    loss.backward()
    assert loss.item() == 0.0
    assert (x.grad == 0).all()


def test_equal_rows_and_rows_of_zeros_have_finite_gradients() -> None:
    """The root of a distance of 0 has an infinite slope."""
    x = torch.tensor([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0], [0.0, 0.0]], requires_grad=True)
    loss = triplet_loss(x, torch.tensor([0, 0, 1, 1]), background=BACKGROUND)
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(x.grad).all()
