"""Triplet loss over the batch, each anchor against its hardest positive and negative."""

from __future__ import annotations

import torch
from torch import Tensor

from personsearch.model.losses.softmax import Normaliser, divisor
from personsearch.model.vectors import unit


def triplet_loss(
    embeddings: Tensor,
    labels: Tensor,
    *,
    background: int,
    margin: float = 0.3,
    normaliser: Normaliser = "valid",
) -> Tensor:
    """Mean of ``max(0, margin + farthest same - nearest other)``, distances between unit vectors.

    Args:
        embeddings: (n, d), of any length: their directions are compared.
        labels: (n,) int64. Rows of -1 and of the background are left out: two unlabelled
            people may be one, and background has no identity.
        background: its class, C.
        margin: by how much the nearest other person must be farther away.
        normaliser: ``"valid"`` divides by the anchors that have both, someone of the same identity
            and someone of another; ``"batch"`` by all rows.

    Returns:
        A scalar; 0 with a gradient of 0 when there is no such anchor.

    Source: Hermans, Beyer and Leibe, In Defense of the Triplet Loss (2017), equation (5).

    >>> x = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
    >>> round(float(triplet_loss(x, torch.tensor([0, 0, 1]), background=2)), 3)  # (0.3 + sqrt 2 - 2, 0.3)
    0.15
    """
    rows = ((labels >= 0) & (labels != background)).nonzero().squeeze(1)
    people, vectors = labels[rows], unit(embeddings[rows])
    # The clamp keeps the root's slope finite where two rows are one direction.
    distances = (2 - 2 * vectors @ vectors.T).clamp_min(1e-12).sqrt()
    same = people[:, None] == people[None]
    itself = torch.eye(len(rows), dtype=torch.bool, device=labels.device)
    positive, negative = same & ~itself, ~same
    anchors = (positive.any(dim=1) & negative.any(dim=1)).nonzero().squeeze(1)
    if not len(anchors):
        return embeddings.sum() * 0.0
    farthest = distances.masked_fill(~positive, -1.0)[anchors].amax(dim=1)
    nearest = distances.masked_fill(~negative, 3.0)[anchors].amin(dim=1)
    counted = torch.full_like(labels, -1).index_fill_(0, rows[anchors], 0)
    return (margin + farthest - nearest).relu().sum() / divisor(counted, normaliser)
