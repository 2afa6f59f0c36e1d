"""RoI pooling: order, frame and length."""

from __future__ import annotations

import pytest
import torch

from personsearch.model.pooling import PoolSettings, RoiPooling
from personsearch.model.trunks import MapLayout

LAYOUT = {"trunk": MapLayout(2, 16), "colour": MapLayout(1, 4)}


@pytest.mark.parametrize("kind", ["pool", "align"])
def test_a_constant_region_pools_to_its_value(kind: str) -> None:
    """A map whose value is its column: a box around cells 4..7 must see those and no others."""
    pooling = RoiPooling((PoolSettings(kind=kind, size=(1, 2)),), LAYOUT)
    columns = torch.arange(12.0).expand(1, 2, 10, 12).contiguous()
    box = torch.tensor([[4 * 16.0, 0, 8 * 16.0 - 16 * (kind == "pool"), 64]])
    (row,) = pooling({"trunk": columns}, [box]).tolist()
    if kind == "align":  # cell i's value stands at its centre, i + 1/2
        assert row == pytest.approx([4.5, 6.5, 4.5, 6.5])
    else:  # cells 4 to 7, the larger of each half
        assert row == [5, 7, 5, 7]


def test_rows_come_picture_by_picture_and_maps_side_by_side() -> None:
    settings = (
        PoolSettings(size=(2, 3), kind="align"),
        PoolSettings(source="colour", size=(4, 1), kind="align"),
    )
    pooling = RoiPooling(settings, LAYOUT)
    assert pooling.length == 2 * 6 + 4
    maps = {"trunk": torch.randn(2, 2, 8, 8), "colour": torch.randn(2, 1, 32, 32)}
    boxes = [torch.tensor([[0.0, 0, 40, 90], [30, 10, 80, 100]]), torch.tensor([[5.0, 5, 25, 60]])]
    rows = pooling(maps, boxes)
    assert rows.shape == (3, 16)
    for row, picture, box in ((0, 0, boxes[0][:1]), (1, 0, boxes[0][1:]), (2, 1, boxes[1])):
        alone = pooling({name: m[picture : picture + 1] for name, m in maps.items()}, [box])
        torch.testing.assert_close(rows[row : row + 1], alone)


def test_no_boxes_no_rows() -> None:
    pooling = RoiPooling((PoolSettings(),), LAYOUT)
    assert pooling({"trunk": torch.randn(2, 2, 8, 8)}, [torch.zeros(0, 4)] * 2).shape == (0, 98)
