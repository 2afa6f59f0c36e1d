"""The re-id part: what reads what."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from personsearch.model.head import HeadOutput, HeadSettings, ReidHead, person_scores


def plain(**changes) -> ReidHead:
    torch.manual_seed(0)
    return ReidHead(12, 5, HeadSettings(hidden=8, dim=4, **changes)).eval()


def test_the_layers_are_the_papers() -> None:
    head = plain()
    shapes = {
        name: tuple(layer.weight.shape)
        for name, layer in head.named_children()
        if isinstance(layer, nn.Linear)
    }
    assert shapes == {"fc6": (8, 12), "fc7": (8, 8), "fc8": (4, 8), "box": (4, 8), "classifier": (6, 4)}
    assert head.person is None


def test_the_answers_against_a_slow_version() -> None:
    """fc6, ReLU, fc7, ReLU; fc8 and the box layer on fc7; the classifier on fc8 as it is."""
    head = plain()
    pooled = torch.randn(3, 12)
    out = head(pooled)

    def layer(m: nn.Linear, x: list[float]) -> list[float]:
        pairs = zip(m.weight.tolist(), m.bias.tolist(), strict=True)
        return [sum(w * v for w, v in zip(row, x, strict=True)) + b for row, b in pairs]

    for i, x in enumerate(pooled.tolist()):
        hidden = [max(0.0, v) for v in layer(head.fc6, x)]
        hidden = [max(0.0, v) for v in layer(head.fc7, hidden)]
        embedding = layer(head.fc8, hidden)
        assert out.embeddings[i].tolist() == pytest.approx(embedding, abs=1e-5)
        assert out.offsets[i].tolist() == pytest.approx(layer(head.box, hidden), abs=1e-5)
        assert out.identities[i].tolist() == pytest.approx(layer(head.classifier, embedding), abs=1e-5)


def test_rows_do_not_look_at_each_other() -> None:
    head = plain(separate_score=True, normed=True)
    pooled = torch.randn(5, 12)
    together = head(pooled)
    for i in range(5):
        for a, b in zip(together, head(pooled[i : i + 1]), strict=True):
            torch.testing.assert_close(a[i : i + 1], b, rtol=1e-5, atol=1e-6)


def test_dropout_and_relu_of_the_authors_code_are_options() -> None:
    pooled = torch.randn(64, 12)
    assert (plain()(pooled).embeddings < 0).any()
    assert (plain(embedding_relu=True)(pooled).embeddings >= 0).all()
    wild = plain(dropout=0.5).train()
    assert not torch.equal(wild(pooled).offsets, wild(pooled).offsets)
    calm = plain(dropout=0.0).train()
    assert torch.equal(calm(pooled).offsets, calm(pooled).offsets)


def test_identities_can_be_left_out() -> None:
    head = plain()
    pooled = torch.randn(2, 12)
    assert head(pooled, classify=False).identities is None
    assert torch.equal(head(pooled, classify=False).embeddings, head(pooled).embeddings)


def test_the_papers_score_is_one_minus_background() -> None:
    """Scores 0, 0, log 2: the background has 2 of 4 parts."""
    empty = torch.zeros(1, 0)
    out = HeadOutput(empty, empty, torch.tensor([[1.0, 1.0, 2.0]]).log(), None)
    assert person_scores(out).item() == pytest.approx(1 / 2)
    own = HeadOutput(empty, empty, None, torch.tensor([3.0]).log())
    assert person_scores(own).item() == pytest.approx(3 / 4)
    with pytest.raises(ValueError, match="identities"):
        person_scores(HeadOutput(empty, empty, None, None))
