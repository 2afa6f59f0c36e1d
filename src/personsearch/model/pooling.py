"""RoI pooling: a vector of fixed length for any box, from one or several feature maps (paper 4.1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torchvision.ops import MultiScaleRoIAlign, roi_pool

from personsearch.errors import UsageError
from personsearch.model.aligning import SAMPLES, align
from personsearch.model.trunks import MapLayout

PYRAMID = "pyramid"


@dataclass(frozen=True, kw_only=True)
class PoolSettings:
    """How one map is pooled.

    Attributes:
        source: the trunk's name of the map, or ``"pyramid"``: the level of a feature pyramid
            that suits the size of each box (wants ``TrunkSettings.pyramid``, and ``"align"``).
        size: (rows, columns) of the pooled grid.
        kind: ``"pool"`` is the paper's RoI pooling, which rounds a box to the map's cells;
            ``"align"`` samples between them, which small people need.
    """

    source: str = "trunk"
    size: tuple[int, int] = (7, 7)
    kind: Literal["pool", "align"] = "pool"


class RoiPooling(nn.Module):
    """Concatenated, flattened grids of every configured map.

    Args:
        settings: one for each grid.
        layout: of the trunk's maps.
        flat: False gives the grid itself, (n, channels, rows, columns), of the only pool.
        levels: names of a pyramid's maps that boxes are pooled from, finest first.

    Raises:
        UsageError: a pool asks for what the trunk does not have.
    """

    def __init__(
        self,
        settings: tuple[PoolSettings, ...],
        layout: dict[str, MapLayout],
        *,
        flat: bool = True,
        levels: tuple[str, ...] = (),
    ) -> None:
        super().__init__()
        self.settings, self.layout, self.flat, self.levels = settings, layout, flat, levels
        if not flat and len(settings) != 1:
            raise UsageError(f"body res5 wants exactly one pool, not {len(settings)}", hint="give it one")
        if any(s.source == PYRAMID and (s.kind != "align" or not levels) for s in settings):
            raise UsageError(
                "a pyramid is pooled by kind align, from a trunk that has one",
                hint="set trunk_options.pyramid",
            )
        self.length = 0
        for s in settings:
            source = levels[0] if s.source == PYRAMID else s.source
            if source not in layout:
                raise UsageError(
                    f"the trunk has no map called {source!r}", hint=f"choose from {', '.join(layout)}"
                )
            self.length += layout[source].channels * s.size[0] * s.size[1]

    def forward(self, maps: dict[str, Tensor], boxes: list[Tensor]) -> Tensor:
        """(all boxes, length) features; ``boxes`` holds per picture (n, 4) in input pixels.

        Row order is picture by picture, box by box.
        """
        grids = [self._grid(s, maps, boxes) for s in self.settings]
        if not self.flat:
            return grids[0]
        return torch.cat([grid.flatten(1) for grid in grids], dim=1)

    def _grid(self, s: PoolSettings, maps: dict[str, Tensor], boxes: list[Tensor]) -> Tensor:
        if s.source == PYRAMID:
            # Made anew for each batch: it remembers the scales of the first picture it sees.
            levels = MultiScaleRoIAlign(list(self.levels), list(s.size), sampling_ratio=SAMPLES)
            finest = maps[self.levels[0]].shape[2:]
            stride = self.layout[self.levels[0]].stride
            padded = (finest[0] * stride, finest[1] * stride)
            grid: Tensor = levels({n: maps[n].float() for n in self.levels}, boxes, [padded] * len(boxes))
            return grid
        scale = 1.0 / self.layout[s.source].stride
        source = maps[s.source]
        if s.kind == "pool":
            grid = roi_pool(source.float(), boxes, s.size, scale)
        else:
            grid = align(source.float(), boxes, s.size, scale)
        return grid
