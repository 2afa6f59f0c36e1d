"""Random sampling softmax against the paper's equations (1) and (2) and its rules 1-3."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from personsearch.model.losses.rss import rss_loss, sample_classes
from personsearch.model.losses.softmax import softmax_loss


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def literal_loss(logits, labels, chosen, divisor: float) -> float:
    """Equation (2), letter by letter; ``chosen`` holds i_1 ... i_K of every labelled row."""
    total = 0.0
    chosen = iter(chosen)
    for x, c in zip(logits, labels, strict=True):
        if c == -1:
            continue
        indices = next(chosen)
        x_tilde = [x[i] for i in indices]
        t_tilde = [1.0 if i == c else 0.0 for i in indices]
        y_tilde = [math.exp(v) / sum(math.exp(u) for u in x_tilde) for v in x_tilde]
        total += -sum(t * math.log(y) for t, y in zip(t_tilde, y_tilde, strict=True))
    return total / divisor


def check_rules(labels: torch.Tensor, chosen: torch.Tensor, classes: int, k: int) -> None:
    """Rules 1-3 of the paper, and that no class comes twice."""
    background = classes - 1
    assert chosen.shape == (len(labels), k)
    assert chosen.dtype == torch.int64
    for c, row in zip(labels.tolist(), chosen.tolist(), strict=True):
        assert row[0] == c
        assert len(set(row)) == k
        assert all(0 <= i <= background for i in row)
        others = row[1:] if c == background else row[2:]
        if c != background:
            assert row[1] == background
        assert background not in others
        assert c not in others


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_sampled_classes_keep_the_papers_rules(data) -> None:
    classes = data.draw(st.integers(2, 12))
    k = data.draw(st.integers(2, classes))
    labels = torch.tensor(data.draw(st.lists(st.integers(0, classes - 1), max_size=8)), dtype=torch.int64)
    check_rules(
        labels, sample_classes(labels, classes, k, generator(data.draw(st.integers(0, 99)))), classes, k
    )


@pytest.mark.parametrize(
    "broken",
    [
        torch.tensor([[0, 3, 1], [3, 1, 3]]),  # the background twice
        torch.tensor([[3, 0, 1], [3, 1, 2]]),  # the target second
        torch.tensor([[0, 1, 2], [3, 1, 2]]),  # no background
        torch.tensor([[0, 3, 0], [3, 1, 2]]),  # the target twice
        torch.tensor([[0, 3, 1], [3, 1, 1]]),  # with replacement
    ],
)
def test_the_check_of_the_rules_can_fail(broken) -> None:
    check_rules(torch.tensor([0, 3]), torch.tensor([[0, 3, 2], [3, 0, 2]]), 4, 3)
    with pytest.raises(AssertionError):
        check_rules(torch.tensor([0, 3]), broken, 4, 3)


@pytest.mark.parametrize("label", [2, 8])
def test_the_other_classes_are_drawn_uniformly(label: int) -> None:
    """Each drawn place alone is uniform over the identities but the target (rules 2 and 3)."""
    classes, k, n = 9, 5, 6000
    chosen = sample_classes(torch.full((n,), label), classes, k, generator(1)).numpy()
    first = 1 if label == classes - 1 else 2
    allowed = [i for i in range(classes - 1) if i != label]
    for place in range(first, k):
        counts = np.bincount(chosen[:, place], minlength=classes)[allowed]
        assert counts.sum() == n
        assert chisquare(counts).pvalue > 1e-3
    # And together: pairs of drawn classes are uniform as well, so the places are not tied.
    pairs = np.sort(chosen[:, first : first + 2], axis=1)
    _, counts = np.unique(pairs, axis=0, return_counts=True)
    assert len(counts) == len(allowed) * (len(allowed) - 1) // 2
    assert chisquare(counts).pvalue > 1e-3


def test_each_row_draws_for_itself() -> None:
    chosen = sample_classes(torch.zeros(40, dtype=torch.int64), 200, 10, generator(0))
    assert len({tuple(sorted(row)) for row in chosen.tolist()}) == 40


@pytest.mark.parametrize("normaliser", ["valid", "batch"])
@pytest.mark.parametrize("seed", range(3))
def test_the_loss_is_equation_2(normaliser: str, seed: int) -> None:
    rng = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(9, 8, generator=rng)
    labels = torch.tensor([0, 7, -1, 3, 3, 7, -1, 6, 1])
    chosen = sample_classes(labels[labels >= 0], 8, 4, generator(seed)).tolist()
    value = rss_loss(logits, labels, k=4, normaliser=normaliser, generator=generator(seed))
    slow = literal_loss(logits.tolist(), labels.tolist(), chosen, 7 if normaliser == "valid" else 9)
    assert float(value) == pytest.approx(slow, abs=1e-6)


def test_a_loss_worked_by_hand() -> None:
    """K = 2: only the target and the background are ever chosen, so nothing is left to chance.

    Person: x_c = log 3, x_background = 0: y = 3/4. Unlabelled: nothing. Sum: log(4/3).
    """
    logits = torch.tensor([[math.log(3), 50.0, 0.0], [9.0, 9.0, 9.0]])
    labels = torch.tensor([0, -1])
    assert float(rss_loss(logits, labels, k=2)) == pytest.approx(math.log(4 / 3), abs=1e-6)
    assert float(rss_loss(logits, labels, k=2, normaliser="batch")) == pytest.approx(math.log(4 / 3) / 2)


@pytest.mark.parametrize("normaliser", ["valid", "batch"])
def test_with_all_classes_it_is_the_plain_softmax(normaliser: str) -> None:
    logits = 5 * torch.randn(20, 7, generator=generator(3))
    labels = torch.randint(-1, 7, (20,), generator=generator(4))
    a = logits.clone().requires_grad_()
    b = logits.clone().requires_grad_()
    ours = rss_loss(a, labels, k=7, normaliser=normaliser)
    plain = softmax_loss(b, labels, normaliser=normaliser)
    torch.testing.assert_close(ours, plain, rtol=1e-6, atol=1e-6)
    ours.backward()
    plain.backward()
    torch.testing.assert_close(a.grad, b.grad, rtol=1e-5, atol=1e-7)


def test_the_gradient_is_softmax_minus_target_on_the_chosen_and_zero_elsewhere() -> None:
    logits = (2 * torch.randn(6, 12, generator=generator(5))).requires_grad_()
    labels = torch.tensor([4, -1, 11, 0, -1, 4])
    valid = labels >= 0
    chosen = sample_classes(labels[valid], 12, 5, generator(6))
    rss_loss(logits, labels, k=5, normaliser="batch", generator=generator(6)).backward()
    wanted = torch.zeros(6, 12)
    for row, indices in zip(valid.nonzero().squeeze(1).tolist(), chosen, strict=True):
        share = torch.softmax(logits.detach()[row, indices], dim=0)
        share[0] -= 1
        wanted[row, indices] = share / 6
    torch.testing.assert_close(logits.grad, wanted, rtol=1e-5, atol=1e-7)
    assert (logits.grad[~valid] == 0).all()
    assert (logits.grad != 0).sum() == 4 * 5


def test_the_gradient_is_that_of_the_value() -> None:
    """The loss computes in float32, so the steps of the numerical derivative are coarse."""
    logits = torch.randn(4, 6, dtype=torch.float64, generator=generator(7)).requires_grad_()
    labels = torch.tensor([1, 5, -1, 3])

    def value(x: torch.Tensor) -> torch.Tensor:
        return rss_loss(x, labels, k=4, generator=generator(8))

    assert torch.autograd.gradcheck(value, (logits,), eps=1e-2, atol=2e-3)


@pytest.mark.parametrize("normaliser", ["valid", "batch"])
def test_nobody_labelled_means_no_loss_and_no_gradient(normaliser: str) -> None:
    """13% of CUHK-SYSU's pictures show nobody with an identity: a mean over nothing would be NaN."""
    for rows in (3, 0):
        logits = torch.randn(rows, 5).requires_grad_()
        loss = rss_loss(logits, torch.full((rows,), -1), k=3, normaliser=normaliser)
        loss.backward()
        assert loss.item() == 0.0
        assert (logits.grad == 0).all()


def test_unlabelled_rows_change_nothing_but_the_batch_divisor() -> None:
    logits = torch.randn(3, 6, generator=generator(9))
    labels = torch.tensor([2, 5, 0])
    more = torch.cat([logits, 100 * torch.ones(3, 6)])
    unlabelled = torch.cat([labels, torch.full((3,), -1)])
    alone = rss_loss(logits, labels, k=3, generator=generator(1))
    assert float(rss_loss(more, unlabelled, k=3, generator=generator(1))) == pytest.approx(float(alone))
    halved = rss_loss(more, unlabelled, k=3, normaliser="batch", generator=generator(1))
    assert float(halved) == pytest.approx(float(alone) / 2)


def test_the_generator_decides_alone() -> None:
    labels = torch.zeros(8, dtype=torch.int64)
    torch.manual_seed(0)
    one = sample_classes(labels, 50, 6, generator(2))
    torch.manual_seed(99)
    assert torch.equal(one, sample_classes(labels, 50, 6, generator(2)))
    assert not torch.equal(one, sample_classes(labels, 50, 6, generator(3)))
    torch.manual_seed(5)
    of_torch = sample_classes(labels, 50, 6)
    torch.manual_seed(5)
    assert torch.equal(of_torch, sample_classes(labels, 50, 6))


@pytest.mark.parametrize("k", [-1, 0, 1, 8])
def test_k_outside_two_to_all_is_refused(k: int) -> None:
    with pytest.raises(ValueError, match="k must be in"):
        sample_classes(torch.tensor([0]), 7, k)
    with pytest.raises(ValueError, match="k must be in"):
        rss_loss(torch.zeros(1, 7), torch.tensor([0]), k=k)


def test_large_scores_do_not_overflow() -> None:
    logits = torch.tensor([[1e4, -1e4, 0.0, 1e4]], dtype=torch.float32)
    assert float(rss_loss(logits, torch.tensor([1]), k=4)) == pytest.approx(2e4 + math.log(2), rel=1e-6)
    half = logits.to(torch.bfloat16)
    assert torch.isfinite(rss_loss(half, torch.tensor([1]), k=4))
