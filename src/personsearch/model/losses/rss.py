"""Random sampling softmax (RSS): a softmax over K classes drawn anew for every RoI (paper 4.2).

With thousands of identities and a handful of them in a batch of two scenes, the plain
softmax pushes down every absent class at every step. RSS lets each RoI push down only K-1
classes, drawn uniformly, the background always among them.
"""

from __future__ import annotations

import torch
from torch import Tensor

from personsearch.model.losses.softmax import Normaliser, divisor


def sample_classes(labels: Tensor, classes: int, k: int, generator: torch.Generator | None = None) -> Tensor:
    """The K classes each RoI's softmax runs over, its own class first.

    The paper's rules, with background = ``classes - 1``: (1) the target comes first; (2) a
    background RoI draws its other K-1 classes uniformly from the identities; (3) any
    other RoI takes the background second and draws K-2 from the identities but its own.
    Drawn without replacement, so no class occurs twice.

    Args:
        labels: (n,) int64 in 0..classes-1.
        classes: C + 1.
        k: how many classes, 2 <= k <= classes.
        generator: source of chance on the labels' device; torch's own when None.

    Returns:
        (n, k) int64.

    Source: Xiao et al. 2016, rules 1-3 below equation (2).

    >>> sample_classes(torch.tensor([1, 3]), 4, 4)[:, 0].tolist()
    [1, 3]
    >>> sorted(sample_classes(torch.tensor([1]), 4, 4)[0].tolist())  # K = C + 1: all of them
    [0, 1, 2, 3]
    """
    if not 2 <= k <= classes:
        raise ValueError(f"k must be in 2..{classes} (C+1), got {k}")
    background = classes - 1
    n = len(labels)
    # The k-1 largest of uniform keys are a uniform draw without replacement; a key above
    # all others puts the target of a person first.
    keys = torch.rand(n, background, device=labels.device, generator=generator)
    person = labels != background
    rows = person.nonzero().squeeze(1)
    keys[rows, labels[rows]] = 2.0
    drawn = keys.topk(k - 1, dim=1).indices
    behind = torch.full((n, 1), background, device=labels.device)
    for_person = torch.cat([drawn[:, :1], behind, drawn[:, 1:]], dim=1)
    for_background = torch.cat([behind, drawn], dim=1)
    return torch.where(person[:, None], for_person, for_background)


def rss_loss(
    logits: Tensor,
    labels: Tensor,
    *,
    k: int,
    normaliser: Normaliser = "valid",
    generator: torch.Generator | None = None,
) -> Tensor:
    """Mean of ``-log softmax(sampled logits)[target]`` over labelled rows.

    Args:
        logits: (n, C+1) classifier scores; class C is the background.
        labels: (n,) int64, 0..C, or -1 for people without an identity (no loss, no gradient).
        k: classes per softmax; the paper uses 100.
        normaliser: what the sum is divided by.
        generator: source of chance.

    Returns:
        A scalar; 0 when no row is labelled. With k = C+1 it is the plain softmax.

    Source: Xiao et al. 2016, equation (2).

    >>> round(float(rss_loss(torch.zeros(1, 9), torch.tensor([0]), k=4)), 4)  # log 4
    1.3863
    """
    rows = (labels >= 0).nonzero().squeeze(1)
    chosen = sample_classes(labels[rows], logits.shape[1], k, generator)
    sampled = logits[rows].float().gather(1, chosen)
    each = sampled.logsumexp(dim=1) - sampled[:, 0]
    return each.sum() / divisor(labels, normaliser)
