"""The joint network of the paper's figure 4: trunk, proposals, RoI pooling, re-id part, four losses."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models.detection._utils import BoxCoder
from torchvision.ops import clip_boxes_to_image, nms

from personsearch.model.head import HeadOutput, HeadSettings, ReidHead, person_scores
from personsearch.model.losses.boxes import box_loss
from personsearch.model.losses.rss import rss_loss
from personsearch.model.losses.softmax import Normaliser, softmax_loss
from personsearch.model.pooling import PoolSettings, RoiPooling
from personsearch.model.proposals import Proposals, ProposalSettings
from personsearch.model.sampling import Rois, RoiSettings, sample_rois
from personsearch.model.trunks import Trunk


@dataclass(frozen=True, kw_only=True)
class LossSettings:
    """The identity loss.

    Attributes:
        identity: ``"rss"`` or the plain ``"softmax"``.
        k: classes sampled by RSS; min(k, C+1) is used.
        normaliser: by what the identity loss is divided.
        identity_weight: against the other losses; the paper sums with weight 1.
    """

    identity: Literal["rss", "softmax"] = "rss"
    k: int = 100
    normaliser: Normaliser = "batch"
    identity_weight: float = 1.0


@dataclass(frozen=True, kw_only=True)
class DetectSettings:
    """What is kept of a picture at test time; the defaults are the authors'.

    Attributes:
        min_score: weaker people are dropped.
        nms: overlap above which the weaker of two boxes goes.
        limit: people kept a picture.
        describe_refined: describe people at their refined boxes (a second, small pass of
            the re-id part) rather than at the proposals they came from. The paper's single
            pass describes proposals, while a query is described at its exact box.
    """

    min_score: float = 0.05
    nms: float = 0.4
    limit: int = 100
    describe_refined: bool = False


@dataclass(frozen=True, kw_only=True)
class NetworkSettings:
    """Everything that shapes the network beside its trunk."""

    proposals: ProposalSettings = field(default_factory=ProposalSettings)
    rois: RoiSettings = field(default_factory=RoiSettings)
    pools: tuple[PoolSettings, ...] = (PoolSettings(),)
    head: HeadSettings = field(default_factory=HeadSettings)
    losses: LossSettings = field(default_factory=LossSettings)
    detect: DetectSettings = field(default_factory=DetectSettings)


class Targets(NamedTuple):
    """Annotation of one training picture, in input pixels.

    Attributes:
        boxes: (n, 4).
        people: (n,) 0..C-1, C for a background crop (stage 1 only), -1 unlabelled.
    """

    boxes: Tensor
    people: Tensor


class Seen(NamedTuple):
    """People of one picture, in input pixels; row i of each is one person."""

    boxes: Tensor
    scores: Tensor
    embeddings: Tensor


class PersonSearchNetwork(nn.Module):
    """Proposes people in whole pictures and describes each of them by one vector.

    Args:
        trunk: the fully convolutional part.
        identities: C, the number of training identities.
        settings: sizes and thresholds of the other parts.
    """

    def __init__(self, trunk: Trunk, identities: int, settings: NetworkSettings) -> None:
        super().__init__()
        self.settings = settings
        self.identities = identities
        self.trunk = trunk
        self.proposals = Proposals(trunk.layout["trunk"].channels, settings.proposals)
        self.pooling = RoiPooling(settings.pools, trunk.layout)
        self.head = ReidHead(self.pooling.length, identities, settings.head)
        # Weights of Fast R-CNN: offsets of about unit size make the smooth L1 of use.
        self.coder = BoxCoder(weights=(10.0, 10.0, 5.0, 5.0))

    @property
    def k(self) -> int:
        """Classes in an RSS softmax: min(K, C + 1)."""
        return min(self.settings.losses.k, self.identities + 1)

    def forward(
        self,
        images: Tensor,
        sizes: list[tuple[int, int]],
        targets: list[Targets],
        joint: bool = True,
    ) -> dict[str, Tensor]:
        """The losses of a batch, by name; their sum is what training minimises.

        Args:
            images: (b, 3, h, w) normalised input, padded to a common size.
            sizes: (height, width) of each picture without its padding.
            targets: annotation per picture.
            joint: the joint network's four losses; False: identity classification of the
                given boxes alone (and person or not, where there is a score layer), which is
                stage 1 (paper 4.2).
        """
        maps = self.trunk(images)
        if not joint:
            output = self.head(self.pooling(maps, [t.boxes for t in targets]))
            return self._crop_losses(output.identities, output.person, targets)
        proposals, losses = self.proposals(images, sizes, maps["trunk"], [t.boxes for t in targets])
        rois = [
            sample_rois(found, t.boxes, t.people, background=self.identities, settings=self.settings.rois)
            for found, t in zip(proposals, targets, strict=True)
        ]
        return {**losses, **self._roi_losses(maps, rois)}

    def _identity_loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        losses = self.settings.losses
        if losses.identity == "rss":
            value = rss_loss(logits, labels, k=self.k, normaliser=losses.normaliser)
        else:
            value = softmax_loss(logits, labels, normaliser=losses.normaliser)
        return losses.identity_weight * value

    def _crop_losses(
        self, identities: Tensor | None, person: Tensor | None, targets: list[Targets]
    ) -> dict[str, Tensor]:
        """Stage 1: the ordinary softmax over C+1 classes, as the batch is rich in identities."""
        assert identities is not None
        labels = torch.cat([t.people for t in targets])
        losses = {"identity": softmax_loss(identities, labels)}
        if person is not None:
            losses["person"] = functional.binary_cross_entropy_with_logits(
                person, (labels != self.identities).float()
            )
        return losses

    def _roi_losses(self, maps: dict[str, Tensor], rois: list[Rois]) -> dict[str, Tensor]:
        output = self.head(self.pooling(maps, [r.boxes for r in rois]))
        assert output.identities is not None
        labels = torch.cat([r.identities for r in rois])
        person = torch.cat([r.person for r in rois])
        wanted = torch.cat(self.coder.encode([r.targets for r in rois], [r.boxes for r in rois]))
        losses = {
            "identity": self._identity_loss(output.identities, labels),
            "box": box_loss(output.offsets[person], wanted[person], divisor=max(len(labels), 1)),
        }
        if output.person is not None:
            losses["person"] = functional.binary_cross_entropy_with_logits(output.person, person.float())
        return losses

    @torch.no_grad()
    def describe(self, images: Tensor, boxes: list[Tensor]) -> Tensor:
        """(all boxes, dim) embeddings of given people: the proposals replaced by ``boxes`` (paper 4.3)."""
        pooled = self.pooling(self.trunk(images), boxes)
        output: HeadOutput = self.head(pooled, classify=False)
        return output.embeddings

    @torch.no_grad()
    def detect(self, images: Tensor, sizes: list[tuple[int, int]]) -> list[Seen]:
        """Everybody in each picture, best first, in input pixels (paper 4.3)."""
        maps = self.trunk(images)
        proposals, _ = self.proposals(images, sizes, maps["trunk"])
        classify = self.head.person is None
        output = self.head(self.pooling(maps, proposals), classify=classify)
        scores = person_scores(output)
        boxes = self.coder.decode(output.offsets, proposals).squeeze(1) if len(scores) else output.offsets
        counts = [len(p) for p in proposals]
        columns = (_rows(column, counts) for column in (boxes, scores, output.embeddings))
        seen = [self._keep(Seen(*rows), size) for *rows, size in zip(*columns, sizes, strict=True)]
        if self.settings.detect.describe_refined:
            pooled = self.pooling(maps, [s.boxes for s in seen])
            again = _rows(self.head(pooled, classify=False).embeddings, [len(s.boxes) for s in seen])
            seen = [s._replace(embeddings=e) for s, e in zip(seen, again, strict=True)]
        return seen

    def _keep(self, seen: Seen, size: tuple[int, int]) -> Seen:
        """Threshold, clip, suppress, best ``limit``: one index moves all three columns together."""
        settings = self.settings.detect
        boxes = clip_boxes_to_image(seen.boxes, size)
        sides = boxes[:, 2:] - boxes[:, :2]
        alive = ((seen.scores >= settings.min_score) & (sides >= 1).all(dim=1)).nonzero().squeeze(1)
        best = alive[nms(boxes[alive], seen.scores[alive], settings.nms)[: settings.limit]]
        return Seen(boxes[best], seen.scores[best], seen.embeddings[best])


def _rows(column: Tensor, counts: list[int]) -> list[Tensor]:
    """A column over all pictures, cut into each picture's rows."""
    return list(torch.split_with_sizes(column, counts))
