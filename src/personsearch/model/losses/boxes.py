"""Regression loss of the box layer on fc7: smooth L1 on torchvision's box coordinates (paper 4.2).

The proposals' is smooth L1 too, computed by torchvision, whose parabola ends at 1/9 rather
than 1: so does the authors' code, while the paper's text knows one smooth L1.
"""

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
