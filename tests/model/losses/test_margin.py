"""Normalised softmax with a margin, against equation (4) of its paper."""

from __future__ import annotations

import math

import pytest
import torch

from personsearch.model.losses.margin import cosine_scores, margin_loss
from personsearch.model.losses.softmax import softmax_loss


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def literal_loss(embeddings, weight, labels, scale: float, margin: float, over: float) -> float:
    """Equation (4), letter by letter, cosines and all."""

    def cosine(a, b) -> float:
        lengths = math.sqrt(sum(v * v for v in a)) * math.sqrt(sum(v * v for v in b))
        return sum(x * y for x, y in zip(a, b, strict=True)) / lengths

    total = 0.0
    for x, y in zip(embeddings, labels, strict=True):
        if y == -1:
            continue
        own = math.exp(scale * (cosine(x, weight[y]) - margin))
        others = sum(math.exp(scale * cosine(x, w)) for j, w in enumerate(weight) if j != y)
        total += -math.log(own / (own + others))
    return total / over


@pytest.mark.parametrize(("normaliser", "over"), [("valid", 3), ("batch", 5)])
def test_the_loss_is_equation_4(normaliser: str, over: int) -> None:
    x, w = torch.randn(5, 3, generator=generator(0)), torch.randn(4, 3, generator=generator(1))
    labels = torch.tensor([0, -1, 3, -1, 2])
    value = margin_loss(cosine_scores(x, w, 12.0), labels, margin=0.35, scale=12.0, normaliser=normaliser)
    slow = literal_loss(x.tolist(), w.tolist(), labels.tolist(), 12.0, 0.35, over)
    assert float(value) == pytest.approx(slow, rel=1e-5)


def test_a_loss_worked_by_hand() -> None:
    """Cosines 1 and 0, scale 10, margin 0.9: scores 1 and 0: log(1 + 1/e)."""
    scores = cosine_scores(torch.tensor([[7.0, 0.0]]), torch.tensor([[2.0, 0.0], [0.0, 3.0]]), 10.0)
    assert scores.tolist() == [[10.0, 0.0]]
    value = margin_loss(scores, torch.tensor([0]), margin=0.9, scale=10.0)
    assert float(value) == pytest.approx(math.log(1 + math.exp(-1)), rel=1e-5)


def test_lengths_do_not_count_and_margins_only_make_it_harder() -> None:
    x, w = torch.randn(6, 3, generator=generator(2)), torch.randn(4, 3, generator=generator(3))
    scores, labels = cosine_scores(x, w, 8.0), torch.tensor([0, 1, 2, 3, 0, -1])
    torch.testing.assert_close(scores, cosine_scores(x * torch.rand(6, 1).add(0.1), 9 * w, 8.0))
    plain = softmax_loss(scores, labels)
    values = [margin_loss(scores, labels, margin=m, scale=8.0) for m in (0.0, 0.2, 0.4)]
    assert torch.equal(values[0], plain)
    assert values[0] < values[1] < values[2]


def test_the_gradient_is_that_of_the_value_and_unlabelled_rows_have_none() -> None:
    x = torch.randn(4, 3, dtype=torch.float64, generator=generator(4)).requires_grad_()
    w = torch.randn(5, 3, dtype=torch.float64, generator=generator(5)).requires_grad_()
    labels = torch.tensor([4, -1, 0, 2])

    def value(x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        return margin_loss(cosine_scores(x, w, 5.0), labels, margin=0.35, scale=5.0)

    assert torch.autograd.gradcheck(value, (x, w))
    value(x, w).backward()
    assert (x.grad[1] == 0).all()


@pytest.mark.parametrize("rows", [0, 3])
def test_nobody_labelled_means_no_loss_and_no_gradient(rows: int) -> None:
    x = torch.randn(rows, 3).requires_grad_()
    scores = cosine_scores(x, torch.randn(4, 3), 10.0)
    loss = margin_loss(scores, torch.full((rows,), -1), margin=0.35, scale=10.0)
    loss.backward()
    assert loss.item() == 0.0
    assert (x.grad == 0).all()


def test_an_embedding_of_zeros_is_survived() -> None:
    x = torch.zeros(1, 3, requires_grad=True)
    loss = margin_loss(cosine_scores(x, torch.randn(4, 3), 30.0), torch.tensor([1]), margin=0.35, scale=30.0)
    loss.backward()
    assert torch.isfinite(loss)
    assert (x.grad == 0).all()
