"""RoI pooling: order, frame and length."""

from __future__ import annotations

import pytest
import torch

from personsearch.model.pooling import PoolSettings, RoiPooling
from personsearch.model.trunks import MapLayout

LAYOUT = {"trunk": MapLayout(2, 16), "colour": MapLayout(1, 4)}


@pytest.mark.parametrize(("source", "stride"), [("trunk", 16), ("colour", 4)])
@pytest.mark.parametrize("kind", ["pool", "align"])
def test_a_box_pools_the_cells_it_spans(kind: str, source: str, stride: int) -> None:
    """A map whose value is its column: a box around cells 4..7 must see those and no others."""
    channels = LAYOUT[source].channels
    pooling = RoiPooling((PoolSettings(source=source, kind=kind, size=(1, 2)),), LAYOUT)
    columns = torch.arange(12.0).expand(1, channels, 10, 12).contiguous()
    # RoI pooling counts the cell of the far side in, as the box conventions of its time had it.
    box = torch.tensor([[4.0, 0, 7 if kind == "pool" else 8, 4]]) * stride
    (row,) = pooling({source: columns}, [box]).tolist()
    if kind == "align":  # cell i spans i to i + 1: the means of 4, 5 and of 6, 7
        assert row == pytest.approx([4.5, 6.5] * channels)
    else:  # the larger of each half
        assert row == [5, 7] * channels


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
