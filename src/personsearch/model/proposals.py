"""The proposal network: 3x3 filters, nine anchors a cell, sibling classification and regression (paper 4.1).

Anchors, matching, sampling and filtering are torchvision's; ours are the head with its
two-way softmax, and the choice of anchors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.rpn import RegionProposalNetwork

from personsearch.errors import UsageError
from personsearch.model.sampling import within_ignored


@dataclass(frozen=True, kw_only=True)
class ProposalSettings:
    """How people are proposed; the defaults are the authors' (field: their code).

    Attributes:
        channels: filters of the 3x3 layer.
        anchor_sizes: square roots of the anchors' areas, in input pixels; with a feature
            pyramid one for each level, finest first.
        anchor_ratios: height over width.
        positive_iou, negative_iou: an anchor is a person above, background below.
        batch: anchors a picture in the loss, half of them people where there are enough.
        before_nms, after_nms: proposals kept, (training, test).
        nms: overlap above which the weaker proposal goes.
        min_score: weaker proposals are dropped (0: none are).
        min_size: proposals with a shorter side are dropped, in input pixels.
    """

    channels: int = 512
    anchor_sizes: tuple[float, ...] = (128, 256, 512)
    anchor_ratios: tuple[float, ...] = (0.5, 1.0, 2.0)
    positive_iou: float = 0.7
    negative_iou: float = 0.3
    batch: int = 256
    before_nms: tuple[int, int] = (12000, 6000)
    after_nms: tuple[int, int] = (2000, 300)
    nms: float = 0.7
    min_score: float = 0.0
    min_size: float = 16.0

    @property
    def anchors(self) -> int:
        """Anchors at each cell."""
        return len(self.anchor_sizes) * len(self.anchor_ratios)


class ProposalHead(nn.Module):
    """Scores and offsets of every anchor.

    The classification layer has two outputs an anchor, person and not, as the paper's; their
    difference is returned, because a two-way softmax is the sigmoid of the difference.
    """

    def __init__(self, inside: int, channels: int, anchors: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inside, channels, 3, padding=1)
        self.classify = nn.Conv2d(channels, 2 * anchors, 1)
        self.regress = nn.Conv2d(channels, 4 * anchors, 1)
        for layer in (self.conv, self.classify, self.regress):
            nn.init.normal_(layer.weight, std=0.01)
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]

    def forward(self, maps: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """Per map: (b, anchors, h, w) person-minus-background logits and (b, 4*anchors, h, w) offsets."""
        logits, offsets = [], []
        for x in maps:
            hidden = functional.relu(self.conv(x))
            pair = self.classify(hidden).float()
            half = pair.shape[1] // 2
            logits.append(pair[:, half:] - pair[:, :half])
            offsets.append(self.regress(hidden).float())
        return logits, offsets


class _ScoredProposals(RegionProposalNetwork):  # type: ignore[misc]
    """Torchvision's, whose boxes keep their score as a fifth column, and which knows ignored places."""

    def assign_targets_to_anchors(
        self, anchors: list[Tensor], targets: list[dict[str, Tensor]]
    ) -> tuple[list[Tensor], list[Tensor]]:
        """1 for people, 0 for background, -1 for anchors that are neither, and never sampled."""
        labels, matched = super().assign_targets_to_anchors(anchors, targets)
        for i, target in enumerate(targets):
            if "ignored" in target:
                hidden = (labels[i] == 0) & within_ignored(anchors[i], target["ignored"])
                labels[i] = labels[i].masked_fill(hidden, -1)
        return labels, matched

    def filter_proposals(self, *arguments: Any) -> tuple[list[Tensor], list[Tensor]]:
        boxes, scores = super().filter_proposals(*arguments)
        return [torch.cat([b, s[:, None]], dim=1) for b, s in zip(boxes, scores, strict=True)], scores


class Proposals(nn.Module):
    """Where people may be: boxes for a trunk's map, and the two losses that teach it.

    Args:
        inside: channels of each map.
        settings: sizes and thresholds.
        levels: names of the maps that are read: one, or those of a feature pyramid.

    Raises:
        UsageError: there are several maps, but not one anchor size for each.
    """

    def __init__(self, inside: int, settings: ProposalSettings, levels: tuple[str, ...] = ("trunk",)) -> None:
        super().__init__()
        self.settings, self.levels = settings, levels
        sizes: tuple[tuple[float, ...], ...] = (settings.anchor_sizes,)
        if len(levels) > 1:
            sizes = tuple((size,) for size in settings.anchor_sizes)
        if len(sizes) != len(levels):
            raise UsageError(
                f"a pyramid of {len(levels)} maps has {len(sizes)} anchor sizes", hint="give one for each map"
            )
        generator = AnchorGenerator(sizes, (settings.anchor_ratios,) * len(levels))
        self.network = _ScoredProposals(
            generator,
            ProposalHead(inside, settings.channels, generator.num_anchors_per_location()[0]),
            fg_iou_thresh=settings.positive_iou,
            bg_iou_thresh=settings.negative_iou,
            batch_size_per_image=settings.batch,
            positive_fraction=0.5,
            pre_nms_top_n={"training": settings.before_nms[0], "testing": settings.before_nms[1]},
            post_nms_top_n={"training": settings.after_nms[0], "testing": settings.after_nms[1]},
            nms_thresh=settings.nms,
            score_thresh=settings.min_score,
        )
        self.network.min_size = settings.min_size

    def forward(
        self,
        images: Tensor,
        sizes: list[tuple[int, int]],
        maps: dict[str, Tensor],
        boxes: list[Tensor] | None = None,
        ignored: Sequence[Tensor | None] | None = None,
    ) -> tuple[list[Tensor], dict[str, Tensor]]:
        """Proposed boxes of every picture, best first, and in training the losses.

        Args:
            images: (b, 3, h, w) the padded input, for its size.
            sizes: (height, width) of each picture without its padding.
            maps: of the trunk, (b, c, h/s, w/s) each; those of :attr:`levels` are read.
            boxes: per picture (n, 4) annotated people, in training.
            ignored: per picture (m, 4) places whose anchors are no background, or None.

        Returns:
            Per picture (m, 4) detached boxes in input pixels; losses
            ``proposal_class`` and ``proposal_box`` (empty outside training).
        """
        found, losses = self.scored(images, sizes, maps, boxes, ignored)
        # No gradient of the re-id part reaches the proposals' coordinates (paper, footnote 2).
        return [f[:, :4].detach().contiguous() for f in found], losses

    def scored(
        self,
        images: Tensor,
        sizes: list[tuple[int, int]],
        maps: dict[str, Tensor],
        boxes: list[Tensor] | None = None,
        ignored: Sequence[Tensor | None] | None = None,
    ) -> tuple[list[Tensor], dict[str, Tensor]]:
        """As :meth:`forward`, each box with the probability that it shows a person: (m, 5)."""
        targets = None if boxes is None else [{"boxes": b} for b in boxes]
        for i, places in enumerate(ignored or ()):
            if targets is not None and places is not None and len(places):
                targets[i]["ignored"] = places
        read = {name: maps[name] for name in self.levels}
        found, losses = self.network(ImageList(images, sizes), read, targets)
        names = {"loss_objectness": "proposal_class", "loss_rpn_box_reg": "proposal_box"}
        return found, {names[key]: value for key, value in losses.items()}


def person_anchors(low: float, high: float, count: int = 9, ratio: float = 2.4) -> ProposalSettings:
    """Settings with ``count`` anchors of one person-like shape, heights from ``low`` to ``high`` pixels.

    >>> settings = person_anchors(40, 320)
    >>> settings.anchors, round(settings.anchor_sizes[0] * 2.4**0.5)
    (9, 40)
    """
    step = (high / low) ** (1 / (count - 1))
    sizes = tuple(low * step**i / ratio**0.5 for i in range(count))
    return ProposalSettings(anchor_sizes=sizes, anchor_ratios=(ratio,))
