"""Directions of vectors, safe where there is none."""

from __future__ import annotations

import torch
from torch import Tensor

SHORTEST = 1e-6


def unit(vectors: Tensor) -> Tensor:
    """(n, d) float32 vectors of length 1; a vector shorter than 1e-6 becomes 0, with a gradient of 0.

    A ReLU embedding can be all zeros. Dividing by a small number in the place of its length
    would send a gradient of a million times the loss's into the network.

    >>> unit(torch.tensor([[3.0, 4.0], [0.0, 0.0]])).tolist()
    [[0.6000000238418579, 0.800000011920929], [0.0, 0.0]]
    """
    rows = vectors if vectors.dtype == torch.float64 else vectors.float()
    length = torch.linalg.vector_norm(rows, dim=1, keepdim=True)
    result: Tensor = rows / length.clamp_min(SHORTEST) * (length > SHORTEST)
    return result
