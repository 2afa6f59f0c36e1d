"""RoI pooling: a vector of fixed length for any box, from one or several feature maps (paper 4.1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torchvision.ops import roi_align, roi_pool

from personsearch.model.trunks import MapLayout


@dataclass(frozen=True, kw_only=True)
class PoolSettings:
    """How one map is pooled.

    Attributes:
        source: the trunk's name of the map.
        size: (rows, columns) of the pooled grid.
        kind: ``"pool"`` is the paper's RoI pooling, which rounds a box to the map's cells;
            ``"align"`` samples between them, which small people need.
    """

    source: str = "trunk"
    size: tuple[int, int] = (7, 7)
    kind: Literal["pool", "align"] = "pool"


class RoiPooling(nn.Module):
    """Concatenated, flattened grids of every configured map."""

    def __init__(self, settings: tuple[PoolSettings, ...], layout: dict[str, MapLayout]) -> None:
        super().__init__()
        self.settings = settings
        self.layout = layout
        self.length = sum(layout[s.source].channels * s.size[0] * s.size[1] for s in settings)

    def forward(self, maps: dict[str, Tensor], boxes: list[Tensor]) -> Tensor:
        """(all boxes, length) features; ``boxes`` holds per picture (n, 4) in input pixels.

        Row order is picture by picture, box by box.
        """
        pooled = []
        for s in self.settings:
            scale = 1.0 / self.layout[s.source].stride
            source = maps[s.source]
            if s.kind == "pool":
                grid = roi_pool(source.float(), boxes, s.size, scale)
            else:
                grid = roi_align(source.float(), boxes, s.size, scale, sampling_ratio=2, aligned=True)
            pooled.append(grid.flatten(1))
        return torch.cat(pooled, dim=1)
