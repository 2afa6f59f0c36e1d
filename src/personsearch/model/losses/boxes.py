"""Regression loss of the two box layers: smooth L1 on torchvision's box coordinates (paper 4.2)."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional


def box_loss(predicted: Tensor, target: Tensor, *, divisor: int, beta: float = 1.0) -> Tensor:
    """Summed smooth L1 of the persons' box offsets over ``divisor`` RoIs.

    Fast R-CNN divides by all sampled RoIs, not by the persons among them, so that a
    picture's box loss grows with how many people it shows.

    Args:
        predicted, target: (m, 4) encoded offsets of the person RoIs.
        divisor: number of sampled RoIs, at least 1.
        beta: where the parabola ends and the line begins.

    Source: Girshick, Fast R-CNN (ICCV 2015), equation (3).
    """
    return functional.smooth_l1_loss(predicted.float(), target.float(), beta=beta, reduction="sum") / divisor
