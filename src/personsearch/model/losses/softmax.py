"""Identity loss over all classes: the ordinary softmax (paper 4.2, equation 1)."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

Normaliser = Literal["valid", "batch"]


def divisor(labels: Tensor, normaliser: Normaliser) -> int:
    """By how many RoIs a summed identity loss is divided, never 0.

    ``"valid"``: those with a label. ``"batch"``: all of them, unlabelled people included,
    as the authors' code does (their batch of 128 RoIs is constant, so a picture with few
    labelled people counts for less). A picture without any labelled RoI is ordinary
    (13% of CUHK-SYSU's): a mean over nothing would be NaN, here it is 0.
    """
    count = int((labels >= 0).sum()) if normaliser == "valid" else len(labels)
    return max(count, 1)


def widened(scores: Tensor) -> Tensor:
    """Scores in at least float32: a softmax over thousands of bfloat16 numbers is none."""
    return scores if scores.dtype == torch.float64 else scores.float()


def softmax_loss(logits: Tensor, labels: Tensor, *, normaliser: Normaliser = "valid") -> Tensor:
    """Mean of ``-log softmax(logits)[label]`` over labelled rows.

    Args:
        logits: (n, C+1) classifier scores; class C is the background.
        labels: (n,) int64, 0..C, or -1 for people without an identity (no loss, no gradient).
        normaliser: what the sum is divided by, see :func:`divisor`.

    Returns:
        A scalar; 0 with a gradient of 0 when no row is labelled.

    Source: Xiao et al. 2016, equation (1).

    >>> round(float(softmax_loss(torch.zeros(2, 4), torch.tensor([0, -1]))), 4)  # log 4
    1.3863
    """
    total = functional.cross_entropy(widened(logits), labels, ignore_index=-1, reduction="sum")
    return total / divisor(labels, normaliser)
