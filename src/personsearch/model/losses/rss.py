"""Random sampling softmax (RSS): a softmax over K classes drawn anew for every RoI (paper 4.2).

With thousands of identities and a handful of them in a batch of two scenes, the plain
softmax pushes down every absent class at every step. RSS lets each RoI push down only K-1
classes, drawn uniformly, the background always among them.

**What RSS does to the score of a person.** Let a RoI with features x be identity c with
probability p(c) and background with p(b). A set S of the background and K-1 identities is drawn
with probability 1 / binom(C-1, K-2) for a person of S (rule 3) and 1 / binom(C, K-1) for the
background (rule 2). Given S, the label is therefore c in proportion to p(c), and b in proportion
to p(b) binom(C-1, K-2) / binom(C, K-1) = p(b) (K-1) / C: for every S the same. So the scores
at which RSS comes to rest are log p(c) for each identity and log p(b) - log(C / (K-1)) for the
background: a softmax over all C+1 of them finds people too often, by odds of C / (K-1) (4.0 in
the logarithm at C = 5,532 and K = 100). The correction is one constant for rows of people and of
background alike, exact for every K, and 0 at K = C+1: take it from the background's score
inside the sampled softmax ("training"), and the scores learned are those of the plain softmax;
or train as the paper does and add it to the background's score when people are scored ("test").
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from personsearch.model.losses.softmax import Normaliser, divisor, widened

# From here on distinct draws by rejection replace the sort of one key a class. Below, the keys
# cost less than a hundredth of a training step, and runs recorded with them can be repeated.
REJECTION_FROM = 4096
# How many times K the classes must be for gathering K rows of the classifier for each RoI to be
# faster than all C+1 scores (benchmarks/rss.py: forward and backward, 128 RoIs, K = 100, CPU).
GATHER_FROM = 40


def log_odds(identities: int, k: int) -> float:
    """log(C / (K-1)): by how much RSS over ``k`` classes lowers the background's score.

    >>> round(log_odds(5532, 100), 2), log_odds(99, 100)
    (4.02, 0.0)
    """
    return math.log(identities / (k - 1))


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
    by_rejection = classes >= REJECTION_FROM and 8 * k <= classes
    draw = _draw_by_rejection if by_rejection else _draw_by_keys
    drawn = draw(labels, background, k - 1, generator)
    person = labels != background
    behind = torch.full((len(labels), 1), background, device=labels.device)
    for_person = torch.cat([drawn[:, :1], behind, drawn[:, 1:]], dim=1)
    for_background = torch.cat([behind, drawn], dim=1)
    return torch.where(person[:, None], for_person, for_background)


def _draw_by_keys(labels: Tensor, background: int, count: int, generator: torch.Generator | None) -> Tensor:
    """(n, count) distinct identities of each row, a person's own first.

    The largest of uniform keys are a uniform draw without replacement; a key above all
    others puts the target of a person first. Touches n * C numbers.
    """
    keys = torch.rand(len(labels), background, device=labels.device, generator=generator)
    rows = (labels != background).nonzero().squeeze(1)
    keys[rows, labels[rows]] = 2.0
    return keys.topk(count, dim=1).indices


def _draw_by_rejection(
    labels: Tensor, background: int, count: int, generator: torch.Generator | None
) -> Tensor:
    """The same from n * K numbers: the first ``count`` distinct values of independent draws.

    A row whose draws hold too few distinct values is drawn again. Whether they do does not
    depend on which values they are, so the draw stays uniform.
    """
    result = labels.new_empty(len(labels), count)
    waiting = torch.arange(len(labels), device=labels.device)
    width = count + count // 4 + 8
    while len(waiting):
        drawn = torch.randint(
            background, (len(waiting), width), device=labels.device, generator=generator, dtype=labels.dtype
        )
        own = labels[waiting]
        drawn[:, 0] = torch.where(own != background, own, drawn[:, 0])
        ordered, order = drawn.sort(dim=1, stable=True)
        again = functional.pad(ordered[:, 1:] == ordered[:, :-1], (1, 0))
        fresh = torch.empty_like(again).scatter_(1, order, ~again)
        place = fresh.cumsum(dim=1) - 1
        enough = place[:, -1] >= count - 1
        place = torch.where(fresh & (place < count), place, count)  # the last column is thrown away
        distinct = drawn.new_empty(len(waiting), count + 1).scatter_(1, place, drawn)[:, :count]
        result[waiting[enough]] = distinct[enough]
        waiting = waiting[~enough]
    return result


def rss_loss(
    logits: Tensor,
    labels: Tensor,
    *,
    k: int,
    normaliser: Normaliser = "valid",
    generator: torch.Generator | None = None,
    corrected: bool = False,
) -> Tensor:
    """Mean of ``-log softmax(sampled logits)[target]`` over labelled rows.

    Args:
        logits: (n, C+1) classifier scores; class C is the background.
        labels: (n,) int64, 0..C, or -1 for people without an identity (no loss, no gradient).
        k: classes per softmax; the paper uses 100.
        normaliser: what the sum is divided by.
        generator: source of chance.
        corrected: take :func:`log_odds` from the background's scores. Not in the paper.

    Returns:
        A scalar; 0 when no row is labelled. With k = C+1 it is the plain softmax.

    Source: Xiao et al. 2016, equation (2).

    >>> round(float(rss_loss(torch.zeros(1, 9), torch.tensor([0]), k=4)), 4)  # log 4
    1.3863
    """
    rows = (labels >= 0).nonzero().squeeze(1)
    chosen = sample_classes(labels[rows], logits.shape[1], k, generator)
    sampled = widened(logits[rows]).gather(1, chosen)
    return _mean(sampled, chosen, labels, logits.shape[1], normaliser, corrected)


def rss_loss_gathered(
    embeddings: Tensor,
    weight: Tensor,
    bias: Tensor,
    labels: Tensor,
    *,
    k: int,
    normaliser: Normaliser = "valid",
    generator: torch.Generator | None = None,
    corrected: bool = False,
) -> Tensor:
    """:func:`rss_loss` of ``embeddings @ weight.T + bias``, of which only the K scores in use are computed.

    Reads and writes n * K * d numbers in the place of n * (C+1) scores and C * d weights; when
    that is faster :func:`gathers` says. (The gradient of the weights is dense all the same, as
    every optimiser here wants it.)

    Args:
        embeddings: (n, d). weight: (C+1, d). bias: (C+1,).
        labels, k, normaliser, generator, corrected: as of :func:`rss_loss`.
    """
    rows = (labels >= 0).nonzero().squeeze(1)
    chosen = sample_classes(labels[rows], len(weight), k, generator)
    with torch.autocast(embeddings.device.type, enabled=False):
        sampled = _SampledScores.apply(widened(embeddings[rows]), widened(weight), chosen) + bias[chosen]
    return _mean(sampled, chosen, labels, len(weight), normaliser, corrected)


def gathers(classes: int, k: int) -> bool:
    """Whether gathering is the faster way at this size."""
    return classes >= GATHER_FROM * k


def _mean(
    sampled: Tensor, chosen: Tensor, labels: Tensor, classes: int, normaliser: Normaliser, corrected: bool
) -> Tensor:
    """Equation (2) on (m, k) sampled scores, the target's first."""
    if corrected:
        sampled = sampled - log_odds(classes - 1, chosen.shape[1]) * (chosen == classes - 1)
    each = sampled.logsumexp(dim=1) - sampled[:, 0]
    return each.sum() / divisor(labels, normaliser)


class _SampledScores(torch.autograd.Function):
    """(n, k) products of row i of ``embeddings`` with rows ``chosen[i]`` of ``weight``.

    Autograd's own way through a gathered (n, k, d) tensor would write that tensor's gradient
    out, and add it up on one thread. Both gradients are weighted sums of rows, which is what an
    embedding bag computes.
    """

    @staticmethod
    def forward(context: Any, embeddings: Tensor, weight: Tensor, chosen: Tensor) -> Tensor:
        context.save_for_backward(embeddings, weight, chosen)
        return torch.bmm(weight[chosen], embeddings.unsqueeze(2)).squeeze(2)

    @staticmethod
    @once_differentiable
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None]:
        embeddings, weight, chosen = context.saved_tensors
        gradient = gradient.contiguous()
        of_embeddings = functional.embedding_bag(chosen, weight, per_sample_weights=gradient, mode="sum")
        # Per class: the RoIs that drew it, one bag a class, most of them empty.
        classes, order = chosen.flatten().sort(stable=True)
        edges = torch.arange(len(weight), device=chosen.device)
        of_weight = functional.embedding_bag(
            order.div(chosen.shape[1], rounding_mode="floor"),
            embeddings,
            torch.searchsorted(classes, edges),
            per_sample_weights=gradient.flatten()[order],
            mode="sum",
        )
        return of_embeddings, of_weight, None
