"""Normalised softmax with an additive margin: directions alone tell people apart."""

from __future__ import annotations

import torch
from torch import Tensor

from personsearch.model.losses.softmax import Normaliser, softmax_loss
from personsearch.model.vectors import unit


def cosine_scores(embeddings: Tensor, weight: Tensor, scale: float) -> Tensor:
    """(n, C+1) scores ``scale * cos(embedding, row of weight)``.

    Without a scale of 10 to 30 the softmax over thousands of cosines could not tell anybody
    from anybody: they all lie in [-1, 1].

    >>> cosine_scores(torch.tensor([[3.0, 0.0]]), torch.tensor([[1.0, 0.0], [0.0, 5.0]]), 10.0).tolist()
    [[10.0, 0.0]]
    """
    return scale * unit(embeddings) @ unit(weight).T


def margin_loss(
    scores: Tensor, labels: Tensor, *, margin: float, scale: float, normaliser: Normaliser = "valid"
) -> Tensor:
    """Softmax of scaled cosines, from whose target ``scale * margin`` is taken.

    With a margin of 0 it is the plain softmax of these scores.

    Args:
        scores: (n, C+1) from :func:`cosine_scores`; class C is the background.
        labels: (n,) int64, 0..C, or -1 for people without an identity (no loss, no gradient).
        margin: by how much the target's cosine must be larger than the others'; 0.35 in the paper.
        scale: of the cosines.
        normaliser: what the sum is divided by.

    Source: Wang et al., CosFace (CVPR 2018), equation (4).

    >>> round(float(margin_loss(torch.tensor([[4.0, 0.0]]), torch.tensor([0]), margin=0.4, scale=10)), 4)
    0.6931
    """
    target = torch.zeros_like(scores).scatter_(1, labels.clamp_min(0)[:, None], scale * margin)
    return softmax_loss(scores - target, labels, normaliser=normaliser)
