"""Which proposals become training RoIs, and what each of them should answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torchvision.ops import box_area, box_iou


@dataclass(frozen=True, kw_only=True)
class RoiSettings:
    """How RoIs are drawn from proposals; the defaults are the authors'.

    Attributes:
        batch: RoIs a picture.
        person_fraction: at most this share of them are people.
        person_iou: overlap from which a proposal is a person.
        background_iou: (low, high) overlap of a background RoI, high excluded.
    """

    batch: int = 128
    person_fraction: float = 0.25
    person_iou: float = 0.5
    background_iou: tuple[float, float] = (0.0, 0.5)


class Rois(NamedTuple):
    """Training RoIs of one picture; row i of each is one RoI.

    Attributes:
        boxes: (m, 4) input pixels.
        identities: (m,) 0..C-1, C for background, -1 for people without an identity.
        person: (m,) bool; unlabelled people are people.
        targets: (m, 4) the annotated box of a person RoI; of a background RoI its own box.
    """

    boxes: Tensor
    identities: Tensor
    person: Tensor
    targets: Tensor


def within_ignored(boxes: Tensor, ignored: Tensor | None) -> Tensor:
    """(n,) bool: at least half of the box's area lies in one of the ignored boxes (m, 4).

    >>> boxes = torch.tensor([[0.0, 0, 10, 10], [4, 0, 14, 10], [6, 0, 16, 10]])
    >>> within_ignored(boxes, torch.tensor([[0.0, 0, 9, 99]])).tolist()
    [True, True, False]
    """
    if ignored is None or not len(ignored):
        return torch.zeros(len(boxes), dtype=torch.bool, device=boxes.device)
    corner = torch.maximum(boxes[:, None, :2], ignored[None, :, :2])
    far = torch.minimum(boxes[:, None, 2:], ignored[None, :, 2:])
    shared = (far - corner).clamp_min(0).prod(dim=2)
    half: Tensor = 2 * shared >= box_area(boxes)[:, None]
    return half.any(dim=1)


def sample_rois(
    proposals: Tensor,
    truth: Tensor,
    people: Tensor,
    *,
    background: int,
    settings: RoiSettings,
    ignored: Tensor | None = None,
) -> Rois:
    """Draw a picture's training RoIs from its proposals and its annotated boxes.

    Annotated boxes join the proposals, so that nobody whom the proposals miss is left out of
    the draw. Where more candidates are people than their share allows, chance decides, and
    an annotated box may lose against proposals around the same person.

    Args:
        proposals: (p, 4). truth: (n, 4). people: (n,) identities or -1 (``UNLABELLED``).
        background: class of the background, C.
        settings: sizes and thresholds.
        ignored: (m, 4) places whose candidates are no background, see :func:`within_ignored`.
    """
    candidates = torch.cat([truth, proposals]) if len(truth) else proposals
    if len(truth):
        overlap, owner = box_iou(candidates, truth).max(dim=1)
    else:
        overlap = candidates.new_zeros(len(candidates))
        owner = torch.zeros(len(candidates), dtype=torch.int64, device=candidates.device)
    low, high = settings.background_iou
    persons = (overlap >= settings.person_iou).nonzero().squeeze(1)
    free = ~within_ignored(candidates, ignored)
    others = ((overlap >= low) & (overlap < high) & free).nonzero().squeeze(1)
    count = min(len(persons), round(settings.batch * settings.person_fraction))
    persons = persons[torch.randperm(len(persons), device=persons.device)[:count]]
    others = others[torch.randperm(len(others), device=others.device)[: settings.batch - count]]
    chosen = torch.cat([persons, others])
    person = torch.arange(len(chosen), device=chosen.device) < count
    identities = torch.full((len(chosen),), background, dtype=torch.int64, device=chosen.device)
    targets = candidates[chosen].clone()
    if len(truth):
        identities[:count] = people[owner[persons]]
        targets[:count] = truth[owner[persons]]
    return Rois(candidates[chosen], identities, person, targets)
