"""The two passes of a search as modules that ``torch.export`` can follow at any size.

The network's own ``detect`` decides in Python, by lengths that only the picture knows: how many
proposals pass a filter, whether a pyramid's level has any. A graph for every picture can hold no
such decision, so the same steps stand here once more without one: what is to go gets a
score below 0, and two operators of our own, for which ONNX has one node each, say how many
rows are left. Whether both ways agree is measured at every export (``export_parity``).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torchvision.ops import nms, roi_align, roi_pool
from torchvision.ops.poolers import initLevelMapper

from personsearch.model.aligning import SAMPLES
from personsearch.model.head import HeadOutput, ReidHead, person_scores
from personsearch.model.inputs import normalised
from personsearch.model.losses.rss import log_odds
from personsearch.model.network import PersonSearchNetwork
from personsearch.model.pooling import PYRAMID, PoolSettings
from personsearch.model.presets import ModelSettings

GONE = -1.0
"""The score of a row that is to go: below every probability."""


class _Operators(NamedTuple):
    """Two operators whose number of rows depends on the numbers they are given."""

    best: Any
    survivors: Any


@cache
def operators() -> _Operators:
    """Our operators, made known to torch on the first call.

    ``best(scores (n,), k)``: values and indices of the ``min(k, n)`` largest, largest first.
    ``survivors(boxes (n, 4), scores (n,), overlap, limit)``: indices of the boxes that non-maximum
    suppression keeps, best first, at most ``limit``, none with a score below 0.
    """

    def best(scores: Tensor, k: int) -> tuple[Tensor, Tensor]:
        values, indices = torch.topk(scores, min(k, len(scores)))
        return values, indices

    def best_shape(scores: Tensor, k: int) -> tuple[Tensor, Tensor]:
        count = torch.library.get_ctx().new_dynamic_size()
        return scores.new_empty(count), scores.new_empty(count, dtype=torch.int64)

    def survivors(boxes: Tensor, scores: Tensor, overlap: float, limit: int) -> Tensor:
        alive = (scores >= 0).nonzero().squeeze(1)
        return alive[nms(boxes[alive], scores[alive], overlap)[:limit]]

    def survivors_shape(boxes: Tensor, scores: Tensor, overlap: float, limit: int) -> Tensor:
        return scores.new_empty(torch.library.get_ctx().new_dynamic_size(), dtype=torch.int64)

    # Annotations are text here, so that torch has to be told what they say.
    schemas: tuple[tuple[str, Callable[..., Any], Callable[..., Any]], ...] = (
        ("best(Tensor scores, int k) -> (Tensor, Tensor)", best, best_shape),
        (
            "survivors(Tensor boxes, Tensor scores, float overlap, int limit) -> Tensor",
            survivors,
            survivors_shape,
        ),
    )
    made = []
    for schema, function, shape in schemas:
        name, _, rest = schema.partition("(")
        operator = torch.library.custom_op(
            f"personsearch::{name}", function, mutates_args=(), schema=f"({rest}"
        )
        operator.register_fake(shape)
        made.append(operator)
    return _Operators(*made)


class _Pass(nn.Module):
    """What both passes share: the input, and one RoI's way through a head.

    Args:
        network: with its weights, in test mode.
        settings: what it was built from.
    """

    def __init__(self, network: PersonSearchNetwork, settings: ModelSettings) -> None:
        super().__init__()
        self.network, self.settings = network, settings
        self.operators = operators()

    def _input(self, pictures: Tensor) -> Tensor:
        """(b, h, w, 3) uint8 RGB to the trunk's (b, 3, h', w'), padded as ``inputs.padded_batch`` does."""
        _, height, width, _ = pictures.shape
        multiple = self.settings.input.multiple
        rows = torch.arange((height + multiple - 1) // multiple * multiple)
        columns = torch.arange((width + multiple - 1) // multiple * multiple)
        # By whole numbers: a mean in float32 may fall on the other side of the next one.
        colours = pictures.to(torch.int64).sum(dim=(1, 2)) // (height * width)
        inside = ((rows < height)[:, None] & (columns < width)[None, :])[None, :, :, None]
        near = pictures[:, rows.clamp(max=height - 1)][:, :, columns.clamp(max=width - 1)]
        padded = torch.where(inside, near, colours.to(torch.uint8)[:, None, None, :])
        return normalised(padded.permute(0, 3, 1, 2), self.settings.input)

    def _pooled(self, maps: dict[str, Tensor], boxes: Tensor, picture: Tensor) -> Tensor:
        """What ``RoiPooling`` gives for ``boxes`` (n, 4) of the pictures ``picture`` (n,)."""
        rois = torch.cat([picture.to(boxes.dtype)[:, None], boxes], dim=1)
        pooling = self.network.pooling
        grids = [self._grid(s, maps, rois) for s in pooling.settings]
        return torch.cat([grid.flatten(1) for grid in grids], dim=1) if pooling.flat else grids[0]

    def _grid(self, s: PoolSettings, maps: dict[str, Tensor], rois: Tensor) -> Tensor:
        pooling = self.network.pooling
        if s.source == PYRAMID:
            return self._pyramid_grid(s, maps, rois)
        scale = 1.0 / pooling.layout[s.source].stride
        if s.kind == "pool":
            grid: Tensor = roi_pool(maps[s.source], rois, s.size, scale)
        else:
            grid = roi_align(maps[s.source], rois, s.size, scale, sampling_ratio=SAMPLES, aligned=True)
        return grid

    def _pyramid_grid(self, s: PoolSettings, maps: dict[str, Tensor], rois: Tensor) -> Tensor:
        """Every box from every level, and of these the level that ``MultiScaleRoIAlign`` takes."""
        pooling = self.network.pooling
        strides = [pooling.layout[name].stride for name in pooling.levels]
        finest, coarsest = (stride.bit_length() - 1 for stride in (strides[0], strides[-1]))
        level = initLevelMapper(finest, coarsest)([rois[:, 1:]])
        grid: Tensor | None = None
        for i, (name, stride) in enumerate(zip(pooling.levels, strides, strict=True)):
            here = roi_align(maps[name], rois, s.size, 1.0 / stride, sampling_ratio=SAMPLES, aligned=False)
            grid = here if grid is None else torch.where((level == i)[:, None, None, None], here, grid)
        assert grid is not None
        return grid

    @staticmethod
    def _through(head: ReidHead, pooled: Tensor) -> HeadOutput:
        """What ``head`` says, without the classes where people have a score of their own."""
        if head.settings.dim:
            output: HeadOutput = head(pooled, classify=head.person is None)
            return output
        # Of a sequential network's first part; len() of its rows would fix their number.
        hidden = head._hidden(pooled)
        assert head.person is not None
        person = head.person(hidden).float().squeeze(1)
        return HeadOutput(hidden[:, :0].float(), head.box(hidden).float(), None, person)


class GalleryPass(_Pass):
    """Picture (h, w, 3) uint8 to everybody in it: boxes (n, 4), scores (n,), embeddings (n, dim).

    Boxes are in pixels of that picture, best score first. Of a detector: boxes and scores.
    """

    def __init__(self, network: PersonSearchNetwork, settings: ModelSettings) -> None:
        super().__init__(network, settings)
        anchors = network.proposals.network.anchor_generator.cell_anchors
        for i, cell in enumerate(anchors):
            self.register_buffer(f"anchors{i}", cell.float(), persistent=False)

    def forward(self, picture: Tensor) -> tuple[Tensor, ...]:
        """See the class."""
        height, width, _ = picture.shape
        limits = torch.stack([torch.full((), s, dtype=torch.float32) for s in (width, height) * 2])
        images = self._input(picture[None])
        maps = self.network.trunk(images)
        boxes, scores = self._proposed(images, maps, limits)
        if self.settings.network.parts == "detector":
            boxes, scores, _ = self._kept(boxes, scores, boxes[:, :0], limits)
            return boxes, scores
        if self.settings.network.sequential:
            boxes, _, _ = self._look(self.network.first, maps, boxes, limits)
        boxes, scores, embeddings = self._look(self.network.head, maps, boxes, limits)
        if self.settings.network.detect.describe_refined:
            pooled = self._pooled(maps, boxes, torch.zeros_like(scores))
            embeddings = self.network.head(pooled, classify=False).embeddings
        return boxes, scores, embeddings

    def _proposed(self, images: Tensor, maps: dict[str, Tensor], limits: Tensor) -> tuple[Tensor, Tensor]:
        """Proposals (n, 4) and their scores (n,), best first: torchvision's filter without its branches."""
        proposals = self.network.proposals
        network, chosen = proposals.network, proposals.settings
        levels = [maps[name] for name in proposals.levels]
        found: list[tuple[Tensor, Tensor]] = []
        for i, (logits, offsets) in enumerate(zip(*network.head(levels), strict=True)):
            flat = logits[0].permute(1, 2, 0).reshape(-1)
            values, best = self.operators.best(flat, chosen.before_nms[1])
            moves = offsets[0].unflatten(0, (-1, 4)).permute(2, 3, 0, 1).reshape(-1, 4)[best]
            anchors = self._anchors(i, images, levels[i])[best]
            boxes = network.box_coder.decode_single(moves, anchors)
            found.append((torch.minimum(boxes.clamp(min=0), limits), values.sigmoid()))
        boxes = torch.cat([b for b, _ in found])
        scores = torch.cat([s for _, s in found])
        large = ((boxes[:, 2:] - boxes[:, :2]) >= chosen.min_size).all(dim=1)
        scores = torch.where(large & (scores >= chosen.min_score), scores, GONE)
        apart = boxes
        if len(found) > 1:  # boxes of two levels do not suppress each other: each has a place of its own
            shift = limits.max() + 1
            apart = torch.cat([b + i * shift for i, (b, _) in enumerate(found)])
        kept = self.operators.survivors(apart, scores, chosen.nms, chosen.after_nms[1])
        return boxes[kept], scores[kept]

    def _anchors(self, level: int, images: Tensor, cells: Tensor) -> Tensor:
        """(h*w*anchors, 4) of one level; the stride from the sizes, as torchvision takes it."""
        (height, width), (whole_height, whole_width) = cells.shape[2:], images.shape[2:]
        down = (torch.arange(height) * (whole_height // height)).float()[:, None].expand(height, width)
        right = (torch.arange(width) * (whole_width // width)).float()[None, :].expand(height, width)
        shifts = torch.stack([right, down, right, down], dim=2).reshape(-1, 1, 4)
        cell: Tensor = getattr(self, f"anchors{level}")
        return (shifts + cell[None]).reshape(-1, 4)

    def _look(
        self, head: ReidHead, maps: dict[str, Tensor], boxes: Tensor, limits: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """What a re-id part makes of proposals: boxes, scores and embeddings of those it keeps."""
        output = self._through(head, self._pooled(maps, boxes, torch.zeros_like(boxes[:, 0])))
        losses = self.settings.network.losses
        raised = log_odds(self.network.identities, self.network.k) if losses.correction == "test" else 0.0
        scores = person_scores(output, background=raised)
        moved = self.network.coder.decode_single(output.offsets, boxes)
        return self._kept(moved, scores, output.embeddings, limits)

    def _kept(
        self, boxes: Tensor, scores: Tensor, embeddings: Tensor, limits: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Threshold, clip, suppress, best ``limit``, as the network's own."""
        settings = self.settings.network.detect
        boxes = torch.minimum(boxes.clamp(min=0), limits)
        alive = ((boxes[:, 2:] - boxes[:, :2]) >= 1).all(dim=1) & (scores >= settings.min_score)
        scores = torch.where(alive, scores, GONE)
        kept = self.operators.survivors(boxes, scores, settings.nms, settings.limit)
        return boxes[kept], scores[kept], embeddings[kept]


class QueryPass(_Pass):
    """Picture (h, w, 3) uint8 and boxes (n, 4) in its pixels to embeddings (n, dim)."""

    def forward(self, picture: Tensor, boxes: Tensor) -> Tensor:
        """See the class."""
        maps = self.network.trunk(self._input(picture[None]))
        pooled = self._pooled(maps, boxes, torch.zeros_like(boxes[:, 0]))
        embeddings: Tensor = self.network.head(pooled, classify=False).embeddings
        return embeddings


class CropPass(_Pass):
    """Crops (n, h, w, 3) uint8 and one box (n, 4) in pixels of each to embeddings (n, dim)."""

    def forward(self, crops: Tensor, boxes: Tensor) -> Tensor:
        """See the class."""
        maps = self.network.trunk(self._input(crops))
        pooled = self._pooled(maps, boxes, torch.arange(boxes.shape[0]))
        embeddings: Tensor = self.network.head(pooled, classify=False).embeddings
        return embeddings
