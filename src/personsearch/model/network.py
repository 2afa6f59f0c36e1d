"""The joint network of the paper's figure 4: trunk, proposals, RoI pooling, re-id part, four losses."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models.detection._utils import BoxCoder
from torchvision.ops import clip_boxes_to_image, nms

from personsearch.errors import UsageError
from personsearch.model.head import HeadOutput, HeadSettings, ReidHead, person_scores
from personsearch.model.losses.boxes import box_loss
from personsearch.model.losses.margin import margin_loss
from personsearch.model.losses.oim import OimTable
from personsearch.model.losses.rss import gathers, log_odds, rss_loss, rss_loss_gathered
from personsearch.model.losses.softmax import softmax_loss
from personsearch.model.losses.triplet import triplet_loss
from personsearch.model.pooling import RoiPooling
from personsearch.model.proposals import Proposals
from personsearch.model.sampling import Rois, sample_rois
from personsearch.model.settings import DetectSettings, LossSettings, NetworkSettings
from personsearch.model.trunks import Trunk

__all__ = [
    "DetectSettings",
    "LossSettings",
    "NetworkSettings",
    "PersonSearchNetwork",
    "Seen",
    "Targets",
]


class Targets(NamedTuple):
    """Annotation of one training picture, in input pixels.

    Attributes:
        boxes: (n, 4).
        people: (n,) 0..C-1, C for a background crop (stage 1 only), -1 unlabelled.
        ignored: (m, 4) places that teach nothing about background; None for none.
    """

    boxes: Tensor
    people: Tensor
    ignored: Tensor | None = None


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
        settings: which parts there are, their sizes and thresholds.

    Raises:
        UsageError: the settings contradict each other.
    """

    def __init__(self, trunk: Trunk, identities: int, settings: NetworkSettings) -> None:
        super().__init__()
        if settings.contradiction():
            raise UsageError(settings.contradiction(), hint="change the network's settings")
        self.settings = settings
        self.identities = identities
        self.trunk = trunk
        if settings.parts != "embedder":
            inside = trunk.layout[trunk.levels[0]].channels
            self.proposals = Proposals(inside, settings.proposals, trunk.levels)
        if settings.parts != "detector":
            flat = settings.head.body == "fc"
            self.pooling = RoiPooling(settings.pools, trunk.layout, flat=flat, levels=trunk.pooled_levels)
            by_table = settings.losses.identity == "oim"
            self.head = self._make_head(0 if by_table else identities, settings.head)
            if by_table:
                self.matching = OimTable(identities, settings.head.dim, settings.losses.oim)
        if settings.sequential:
            first = dataclasses.replace(settings.head, dim=0, separate_score=True, norm_aware=False)
            self.first = self._make_head(0, first)
        # Weights of Fast R-CNN: offsets of about unit size make the smooth L1 of use.
        self.coder = BoxCoder(weights=(10.0, 10.0, 5.0, 5.0))

    def _make_head(self, identities: int, settings: HeadSettings) -> ReidHead:
        tail = self.trunk.tail() if settings.body == "res5" else None
        return ReidHead(self.pooling.length, identities, settings, tail)

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
            joint: the joint network's four losses (of a detector: its own two); False:
                identity classification of the given boxes alone (and person or not, where
                there is a score layer), which is stage 1 (paper 4.2) and all of IDNet's training.
        """
        if self.settings.parts == ("embedder" if joint else "detector"):
            stage = "scenes" if joint else "crops"
            raise UsageError(
                f"the {self.settings.parts} alone does not learn from {stage}", hint="skip that stage"
            )
        maps = self.trunk(images)
        if not joint:
            output = self.head(self.pooling(maps, [t.boxes for t in targets]))
            return self._crop_losses(output, torch.cat([t.people for t in targets]))
        boxes = [t.boxes for t in targets]
        proposals: list[Tensor]
        losses: dict[str, Tensor]
        proposals, losses = self.proposals(images, sizes, maps, boxes, [t.ignored for t in targets])
        if self.settings.parts == "detector":
            return losses
        rois = self._sample(proposals, targets)
        if self.settings.sequential:
            output = self.first(self.pooling(maps, [r.boxes for r in rois]))
            losses.update({f"first_{k}": v for k, v in self._box_losses(output, rois).items()})
            rois = self._sample(self._moved(output, [r.boxes for r in rois], sizes), targets)
        return {**losses, **self._roi_losses(maps, rois)}

    def _sample(self, proposals: list[Tensor], targets: list[Targets]) -> list[Rois]:
        return [
            sample_rois(
                found,
                t.boxes,
                t.people,
                background=self.identities,
                settings=self.settings.rois,
                ignored=t.ignored,
            )
            for found, t in zip(proposals, targets, strict=True)
        ]

    def _moved(self, output: HeadOutput, boxes: list[Tensor], sizes: list[tuple[int, int]]) -> list[Tensor]:
        """The boxes where the box layer puts them, inside their pictures, without a gradient."""
        moved = self.coder.decode(output.offsets.detach(), boxes).squeeze(1)
        parts = zip(_rows(moved, [len(b) for b in boxes]), sizes, strict=True)
        inside = [clip_boxes_to_image(rows, size) for rows, size in parts]
        return [rows[((rows[:, 2:] - rows[:, :2]) >= 1).all(dim=1)] for rows in inside]

    def _identity_loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The identity loss of classifier scores (n, C+1), with its weight."""
        losses = self.settings.losses
        if losses.identity == "rss":
            corrected = losses.correction == "training"
            value = rss_loss(logits, labels, k=self.k, normaliser=losses.normaliser, corrected=corrected)
        elif losses.identity == "margin":
            scale = self.settings.head.cosine_scale
            value = margin_loss(
                logits, labels, margin=losses.margin, scale=scale, normaliser=losses.normaliser
            )
        else:
            value = softmax_loss(logits, labels, normaliser=losses.normaliser)
        return losses.identity_weight * value

    def _gathered_loss(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """RSS without the scores that nobody drew."""
        losses = self.settings.losses
        assert self.head.classifier is not None
        return losses.identity_weight * rss_loss_gathered(
            embeddings,
            self.head.classifier.weight,
            self.head.classifier.bias,
            labels,
            k=self.k,
            normaliser=losses.normaliser,
            corrected=losses.correction == "training",
        )

    def _triplet(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        losses = self.settings.losses
        return triplet_loss(
            embeddings,
            labels,
            background=self.identities,
            margin=losses.triplet_margin,
            normaliser=losses.normaliser,
        )

    @property
    def _gathers(self) -> bool:
        """Whether the joint loss needs no more than K of a RoI's identity scores, and that is faster."""
        by_rss = self.settings.losses.identity == "rss" and not self.settings.head.cosine_scale
        return by_rss and gathers(self.identities + 1, self.k)

    def _identity_losses(self, output: HeadOutput, labels: Tensor) -> dict[str, Tensor]:
        """The joint network's identity loss, and a triplet loss beside it where one is asked for."""
        losses = self.settings.losses
        if losses.identity == "oim":
            value = losses.identity_weight * self.matching(
                output.embeddings, labels, normaliser=losses.normaliser
            )
        elif losses.identity == "triplet":
            value = losses.identity_weight * self._triplet(output.embeddings, labels)
        elif output.identities is None:
            value = self._gathered_loss(output.embeddings, labels)
        else:
            value = self._identity_loss(output.identities, labels)
        found = {"identity": value}
        if losses.triplet_weight:
            found["triplet"] = losses.triplet_weight * self._triplet(output.embeddings, labels)
        return found

    def _crop_losses(self, output: HeadOutput, labels: Tensor) -> dict[str, Tensor]:
        """Stage 1: the ordinary softmax over C+1 classes, as the batch is rich in identities.

        With a margin or OIM's table already theirs: there is no other classifier to begin with.
        """
        settings = self.settings.losses
        if output.identities is None:
            losses = {"identity": self.matching(output.embeddings, labels)}
        elif settings.identity == "margin":
            losses = {"identity": self._identity_loss(output.identities, labels)}
        else:
            losses = {"identity": softmax_loss(output.identities, labels)}
        if output.person is not None:
            losses["person"] = functional.binary_cross_entropy_with_logits(
                output.person, (labels != self.identities).float()
            )
        return losses

    def _roi_losses(self, maps: dict[str, Tensor], rois: list[Rois]) -> dict[str, Tensor]:
        classify = not self._gathers
        output = self.head(self.pooling(maps, [r.boxes for r in rois]), classify=classify)
        labels = torch.cat([r.identities for r in rois])
        return {**self._identity_losses(output, labels), **self._box_losses(output, rois)}

    def _box_losses(self, output: HeadOutput, rois: list[Rois]) -> dict[str, Tensor]:
        """Where people stand and, where there is a score layer, whether they are people."""
        person = torch.cat([r.person for r in rois])
        wanted = torch.cat(self.coder.encode([r.targets for r in rois], [r.boxes for r in rois]))
        losses = {"box": box_loss(output.offsets[person], wanted[person], divisor=max(len(person), 1))}
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
        """Everybody in each picture, best first, in input pixels (paper 4.3).

        A detector alone has embeddings of length 0.
        """
        maps = self.trunk(images)
        if self.settings.parts == "detector":
            found, _ = self.proposals.scored(images, sizes, maps)
            seen = [Seen(f[:, :4].contiguous(), f[:, 4].contiguous(), f[:, :0]) for f in found]
            return [self._keep(*pair) for pair in zip(seen, sizes, strict=True)]
        proposals, _ = self.proposals(images, sizes, maps)
        if self.settings.sequential:
            proposals = [s.boxes for s in self._look(self.first, maps, proposals, sizes)]
        seen = self._look(self.head, maps, proposals, sizes)
        if self.settings.detect.describe_refined:
            pooled = self.pooling(maps, [s.boxes for s in seen])
            again = _rows(self.head(pooled, classify=False).embeddings, [len(s.boxes) for s in seen])
            seen = [s._replace(embeddings=e) for s, e in zip(seen, again, strict=True)]
        return seen

    def _look(
        self, head: nn.Module, maps: dict[str, Tensor], proposals: list[Tensor], sizes: list[tuple[int, int]]
    ) -> list[Seen]:
        """What a re-id part makes of proposals: those it keeps, refined, scored, described."""
        output = head(self.pooling(maps, proposals), classify=head.person is None)
        losses = self.settings.losses
        raised = log_odds(self.identities, self.k) if losses.correction == "test" else 0.0
        scores = person_scores(output, background=raised)
        boxes = self.coder.decode(output.offsets, proposals).squeeze(1) if len(scores) else output.offsets
        counts = [len(p) for p in proposals]
        columns = (_rows(column, counts) for column in (boxes, scores, output.embeddings))
        return [self._keep(Seen(*rows), size) for *rows, size in zip(*columns, sizes, strict=True)]

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


def capacity(network: PersonSearchNetwork) -> dict[str, int]:
    """Number of weights of each part, and ``"all"`` of them.

    Below: 3x3 from 96 to 64 channels, then 2 scores and 4 offsets of 9 anchors each.

    >>> from personsearch.model.presets import build_network, compact
    >>> import dataclasses
    >>> capacity(build_network(dataclasses.replace(compact(), identities=9)))["proposals"]
    58870
    >>> (96 * 9 + 1) * 64 + (64 + 1) * 18 + (64 + 1) * 36
    58870
    """
    parts = {
        name: sum(p.numel() for p in part.parameters())
        for name, part in network.named_children()
        if isinstance(part, nn.Module)
    }
    return {name: count for name, count in parts.items() if count} | {"all": sum(parts.values())}
