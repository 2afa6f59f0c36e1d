"""Thousands of classes: drawing and scoring without touching all of them; and the odds RSS shifts."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from scipy.stats import chisquare

from personsearch.model.losses import rss
from personsearch.model.losses.rss import (
    gathers,
    log_odds,
    rss_loss,
    rss_loss_gathered,
    sample_classes,
)
from personsearch.model.losses.softmax import softmax_loss


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def rejecting(monkeypatch):
    """Draws by rejection whatever the size, so that a small one can be counted out."""
    monkeypatch.setattr(rss, "REJECTION_FROM", 2)


def test_the_sizes_decide_which_way_is_taken(monkeypatch) -> None:
    taken = []
    for name in ("_draw_by_keys", "_draw_by_rejection"):
        original = getattr(rss, name)
        monkeypatch.setattr(rss, name, lambda *given, o=original, n=name: (taken.append(n), o(*given))[1])
    for classes, k in ((2401, 100), (5533, 100), (5533, 5000)):
        sample_classes(torch.tensor([0, classes - 1]), classes, k, generator(0))
    assert taken == ["_draw_by_keys", "_draw_by_rejection", "_draw_by_keys"]
    assert not gathers(2401, 100)
    assert gathers(5533, 100)


def test_rejection_keeps_the_papers_rules() -> None:
    classes, k = 5533, 100
    labels = torch.tensor([0, 17, 5531, 5532, 5532, 100] * 20)
    chosen = sample_classes(labels, classes, k, generator(1))
    assert chosen.shape == (120, k)
    assert chosen.dtype == torch.int64
    for c, row in zip(labels.tolist(), chosen.tolist(), strict=True):
        assert row[0] == c
        assert len(set(row)) == k
        assert all(0 <= i < classes for i in row)
        if c == classes - 1:
            assert classes - 1 not in row[1:]
        else:
            assert row[1] == classes - 1


@pytest.mark.parametrize("label", [5, 40])
def test_rejection_draws_uniformly(rejecting, label: int) -> None:
    """41 classes and K = 5, so that many rows hold repetitions; every place alone, and pairs."""
    classes, k, n = 41, 5, 20_000
    chosen = sample_classes(torch.full((n,), label), classes, k, generator(2)).numpy()
    first = 1 if label == classes - 1 else 2
    allowed = [i for i in range(classes - 1) if i != label]
    for place in range(first, k):
        counts = np.bincount(chosen[:, place], minlength=classes)[allowed]
        assert counts.sum() == n
        assert chisquare(counts).pvalue > 1e-3
    pairs = np.sort(chosen[:, first : first + 2], axis=1)
    _, counts = np.unique(pairs, axis=0, return_counts=True)
    assert len(counts) == len(allowed) * (len(allowed) - 1) // 2
    assert chisquare(counts).pvalue > 1e-3


def test_rows_that_ran_short_are_drawn_again(rejecting) -> None:
    """8 identities, 8 wanted distinct in the 18 draws of a row: one row in four falls short."""
    labels = torch.full((4000,), 8)
    chosen = rss._draw_by_rejection(labels, 8, 8, generator(3))
    assert (chosen.sort(dim=1).values == torch.arange(8)).all()
    for place in range(8):
        assert chisquare(np.bincount(chosen[:, place].numpy(), minlength=8)).pvalue > 1e-3


def test_an_empty_batch_is_drawn(rejecting) -> None:
    assert sample_classes(torch.zeros(0, dtype=torch.int64), 90, 5, generator(0)).shape == (0, 5)


@pytest.mark.parametrize("corrected", [False, True])
@pytest.mark.parametrize("normaliser", ["valid", "batch"])
def test_gathered_scores_give_the_same_loss_and_gradients(corrected: bool, normaliser: str) -> None:
    classes, d, k = 60, 7, 9
    x = torch.randn(8, d, generator=generator(4))
    weight, bias = (
        torch.randn(classes, d, generator=generator(5)),
        torch.randn(classes, generator=generator(6)),
    )
    labels = torch.tensor([0, 59, -1, 17, 17, 59, -1, 58])
    results = []
    for gathered in (False, True):
        parts = [t.clone().requires_grad_() for t in (x, weight, bias)]
        options = {"k": k, "normaliser": normaliser, "corrected": corrected, "generator": generator(7)}
        if gathered:
            loss = rss_loss_gathered(*parts, labels, **options)
        else:
            loss = rss_loss(parts[0] @ parts[1].T + parts[2], labels, **options)
        loss.backward()
        results.append((loss.detach(), *(p.grad for p in parts)))
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)
    assert (results[1][1][[2, 6]] == 0).all()


def test_the_gathered_gradient_is_that_of_the_value() -> None:
    parts = [
        torch.randn(*shape, dtype=torch.float64, generator=generator(i)).requires_grad_()
        for i, shape in enumerate(((4, 3), (9, 3), (9,)))
    ]
    labels = torch.tensor([1, 8, -1, 3])

    def value(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        return rss_loss_gathered(x, weight, bias, labels, k=4, generator=generator(8))

    assert torch.autograd.gradcheck(value, parts)
    scores = torch.randn(4, 9, dtype=torch.float64, generator=generator(9)).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda s: rss_loss(s, labels, k=4, generator=generator(8), corrected=True), (scores,)
    )


@pytest.mark.parametrize("rows", [0, 3])
def test_gathered_nobody_labelled_means_no_loss_and_no_gradient(rows: int) -> None:
    x, weight, bias = (torch.randn(*s).requires_grad_() for s in ((rows, 3), (9, 3), (9,)))
    loss = rss_loss_gathered(x, weight, bias, torch.full((rows,), -1), k=4)
    loss.backward()
    assert loss.item() == 0.0
    assert all((t.grad == 0).all() for t in (x, weight, bias))


def test_gathered_in_half_precision_computes_in_float32() -> None:
    x, weight, bias = torch.randn(2, 3), torch.randn(9, 3), torch.randn(9)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = rss_loss_gathered(x, weight, bias, torch.tensor([1, 8]), k=4, generator=generator(0))
    assert loss.dtype == torch.float32
    assert torch.equal(
        loss, rss_loss_gathered(x, weight, bias, torch.tensor([1, 8]), k=4, generator=generator(0))
    )


def expected_gradient(scores: list[float], p: list[float], k: int) -> list[float]:
    """Of the mean RSS over labels drawn from p and every set that rules 1-3 may draw, counted out."""
    background = len(p) - 1
    gradient = [0.0] * len(p)
    for c, share in enumerate(p):
        others = [i for i in range(background) if i != c]
        always = [c] if c == background else [c, background]
        sets = list(itertools.combinations(others, k - len(always)))
        for drawn in sets:
            chosen = [*always, *drawn]
            total = sum(math.exp(scores[i]) for i in chosen)
            for i in chosen:
                gradient[i] += share / len(sets) * (math.exp(scores[i]) / total - (i == c))
    return gradient


@pytest.mark.parametrize("k", [2, 3, 4, 6])
def test_rss_rests_where_the_correction_says(k: int) -> None:
    """Five identities and background: log p, the background's lower by log(C / (K-1)), exactly."""
    p = [0.05, 0.1, 0.02, 0.2, 0.13, 0.5]
    truth = [math.log(share) for share in p]
    rest = [*truth[:-1], truth[-1] - log_odds(5, k)]
    assert max(map(abs, expected_gradient(rest, p, k))) < 1e-12
    if 2 < k < 6:  # not at log p, nor at the C / (K-2) that one might think of
        assert max(map(abs, expected_gradient(truth, p, k))) > 1e-2
        wrong = [*truth[:-1], truth[-1] - math.log(5 / (k - 2))]
        assert max(map(abs, expected_gradient(wrong, p, k))) > 1e-2


def test_the_corrected_loss_rests_at_the_probabilities_themselves() -> None:
    """The code's own draws: 40,000 RoIs with labels in proportion to p, scores log p."""
    p = np.array([0.05, 0.1, 0.05, 0.2, 0.1, 0.5])
    labels = torch.from_numpy(np.repeat(np.arange(6), (40_000 * p).astype(int)))
    gradients = {}
    for corrected in (True, False):
        scores = torch.from_numpy(np.log(p)).requires_grad_()
        rows = scores.expand(len(labels), -1)
        rss_loss(rows, labels, k=3, corrected=corrected, generator=generator(10)).backward()
        gradients[corrected] = float(scores.grad.abs().max())
    assert gradients[True] < 0.006
    assert gradients[False] > 0.05


def test_with_all_classes_there_is_nothing_to_correct() -> None:
    logits = torch.randn(9, 7, generator=generator(11))
    labels = torch.randint(-1, 7, (9,), generator=generator(12))
    torch.testing.assert_close(rss_loss(logits, labels, k=7, corrected=True), softmax_loss(logits, labels))
    assert log_odds(6, 7) == 0.0


def test_a_corrected_loss_worked_by_hand() -> None:
    """C = 6, K = 3: 3 is taken from the odds of the background. Person: y = 1 / (1 + 1/3 + 1)."""
    value = rss_loss(torch.zeros(1, 7), torch.tensor([0]), k=3, corrected=True)
    assert float(value) == pytest.approx(math.log(1 + 1 / 3 + 1), rel=1e-6)
    value = rss_loss(torch.zeros(1, 7), torch.tensor([6]), k=3, corrected=True)
    assert float(value) == pytest.approx(math.log(1 + 3 + 3), rel=1e-6)
