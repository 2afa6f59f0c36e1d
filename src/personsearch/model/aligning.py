"""RoIAlign on CPUs with a gradient by matrix products: torchvision's adds cell by cell, on one core."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torchvision.ops import roi_align

SAMPLES = 2
"""Samples a bin on each axis, everywhere in the house."""
_SPREAD_AT_ONCE = 1 << 24
"""Numbers that boxes spread along the rows of a map, at a time (64 MiB)."""


def align(source: Tensor, boxes: list[Tensor], size: tuple[int, int], scale: float) -> Tensor:
    """torchvision's ``roi_align`` with two samples a bin and pixel centres at halves.

    The same numbers forward; the gradient equal up to rounding, and several times sooner on a CPU,
    where it was a quarter of a training step. Boxes get no gradient.

    Args:
        source: (b, c, h, w) float32.
        boxes: per picture (n, 4) x1 y1 x2 y2, in input pixels.
        size: (rows, columns) of the grid.
        scale: cells of the map an input pixel spans.

    Returns:
        (all boxes, c, rows, columns).

    Source: He et al., Mask R-CNN (ICCV 2017), section 3; a bin's samples lie on a grid, so bilinear
    interpolation is a product of one matrix for each axis.
    """
    if not (source.requires_grad and source.device.type == "cpu"):
        return torch.as_tensor(roi_align(source, boxes, size, scale, SAMPLES, True))
    counts = [len(b) for b in boxes]
    rois = torch.cat(boxes).to(source.dtype)
    return torch.as_tensor(_Align.apply(source, rois, counts, size, scale))


def axis_weights(low: Tensor, high: Tensor, bins: int, cells: int) -> Tensor:
    """(n, bins, cells): what each cell of an axis gives to each bin between ``low`` and ``high``.

    Args:
        low, high: (n,) ends of the boxes in cells, the first cell's centre being 0.
        bins: of the grid along this axis. cells: of the map along it.

    A bin is the mean of samples at its quarters, each shared by its two neighbours; beyond half a cell
    outside the map a sample counts as 0. Here one bin around cell 1, samples at 0.75 and 1.25:

    >>> axis_weights(torch.tensor([0.5]), torch.tensor([1.5]), 1, 3).tolist()
    [[[0.125, 0.75, 0.125]]]
    """
    steps = (torch.arange(bins * SAMPLES, device=low.device, dtype=low.dtype) + 0.5) / (bins * SAMPLES)
    at = low[:, None] + (high - low)[:, None] * steps
    inside = (at >= -1) & (at <= cells)
    at = at.clamp(min=0)
    below = at.floor().clamp(max=cells - 1)
    above = (below + 1).clamp(max=cells - 1)
    share = torch.where(below >= cells - 1, torch.zeros_like(at), at - below)
    weights = at.new_zeros(len(low), bins * SAMPLES, cells)
    for cell, part in ((below, 1 - share), (above, share)):
        weights.scatter_add_(2, cell.long()[..., None], (part * inside)[..., None])
    return weights.view(len(low), bins, SAMPLES, cells).mean(dim=2)


class _Align(torch.autograd.Function):
    @staticmethod
    def forward(
        context: Any, source: Tensor, rois: Tensor, counts: list[int], size: tuple[int, int], scale: float
    ) -> Tensor:
        context.save_for_backward(rois)
        context.counts, context.size, context.scale = counts, size, scale
        context.shape = source.shape
        pictures = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
        rows = torch.cat([pictures[:, None].to(rois), rois], dim=1)
        return torch.as_tensor(roi_align(source, rows, size, scale, SAMPLES, True))

    @staticmethod
    def backward(context: Any, *grads: Tensor) -> tuple[Tensor, None, None, None, None]:
        (rois,) = context.saved_tensors
        with torch.autocast("cpu", enabled=False):
            return _to_map(context, rois, grads[0].float()), None, None, None, None


def _to_map(context: Any, rois: Tensor, grad: Tensor) -> Tensor:
    """(b, c, h, w) gradient of the map: what each bin's gradient (n, c, rows, columns) gives to each cell.

    Block by block of boxes: what all of them spread along the map's rows would not fit beside it.
    """
    (rows, columns), (batch, channels, height, width) = context.size, context.shape
    # Half a cell less: the map's first cell has its centre at half a cell.
    ends = rois * context.scale - 0.5
    across = axis_weights(ends[:, 0], ends[:, 2], columns, width)
    down = axis_weights(ends[:, 1], ends[:, 3], rows, height)
    grad = grad.permute(0, 2, 3, 1).contiguous()
    result = grad.new_zeros(batch, height, width * channels)
    block = max(1, _SPREAD_AT_ONCE // (rows * width * channels))
    begun = 0
    for picture, count in enumerate(context.counts):
        for start in range(begun, begun + count, block):
            part = slice(start, min(start + block, begun + count))
            # (boxes, rows, width, c): what each row of the grid gives to each column of the map.
            spread = torch.matmul(across[part].transpose(1, 2)[:, None], grad[part])
            by_row = down[part].reshape(-1, height)
            result[picture].addmm_(by_row.T, spread.view(-1, width * channels))
        begun += count
    return result.view(batch, height, width, channels).permute(0, 3, 1, 2)
