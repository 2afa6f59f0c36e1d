"""The proposal network: 3x3 filters, nine anchors a cell, sibling classification and regression (paper 4.1).

Anchors, matching, sampling and filtering are torchvision's; ours are the head with its
two-way softmax, and the choice of anchors.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.rpn import RegionProposalNetwork


@dataclass(frozen=True, kw_only=True)
class ProposalSettings:
    """How people are proposed; the defaults are the authors' (field: their code).

    Attributes:
        channels: filters of the 3x3 layer.
        anchor_sizes: square roots of the anchors' areas, in input pixels.
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


class Proposals(nn.Module):
    """Where people may be: boxes for a trunk's map, and the two losses that teach it."""

    def __init__(self, inside: int, settings: ProposalSettings) -> None:
        super().__init__()
        self.settings = settings
        generator = AnchorGenerator((settings.anchor_sizes,), (settings.anchor_ratios,))
        self.network = RegionProposalNetwork(
            generator,
            ProposalHead(inside, settings.channels, settings.anchors),
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
        feature_map: Tensor,
        boxes: list[Tensor] | None = None,
    ) -> tuple[list[Tensor], dict[str, Tensor]]:
        """Proposed boxes of every picture, best first, and in training the losses.

        Args:
            images: (b, 3, h, w) the padded input, for its size.
            sizes: (height, width) of each picture without its padding.
            feature_map: (b, c, h/s, w/s).
            boxes: per picture (n, 4) annotated people, in training.

        Returns:
            Per picture (m, 4) detached boxes in input pixels; losses
            ``proposal_class`` and ``proposal_box`` (empty outside training).
        """
        targets = None if boxes is None else [{"boxes": b} for b in boxes]
        found, losses = self.network(ImageList(images, sizes), {"trunk": feature_map}, targets)
        names = {"loss_objectness": "proposal_class", "loss_rpn_box_reg": "proposal_box"}
        # No gradient of the re-id part reaches the proposals' coordinates (paper, footnote 2).
        return [b.detach() for b in found], {names[key]: value for key, value in losses.items()}


def person_anchors(low: float, high: float, count: int = 9, ratio: float = 2.4) -> ProposalSettings:
    """Settings with ``count`` anchors of one person-like shape, heights from ``low`` to ``high`` pixels.

    >>> settings = person_anchors(40, 320)
    >>> settings.anchors, round(settings.anchor_sizes[0] * 2.4**0.5)
    (9, 40)
    """
    step = (high / low) ** (1 / (count - 1))
    sizes = tuple(low * step**i / ratio**0.5 for i in range(count))
    return ProposalSettings(anchor_sizes=sizes, anchor_ratios=(ratio,))
