"""The joint network: which loss teaches which part."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch

from personsearch.model import network as network_module
from personsearch.model.network import PersonSearchNetwork, Targets
from personsearch.model.presets import build_network, compact_tiny

SIZES = [(96, 128), (80, 128)]


def tiny(**losses) -> PersonSearchNetwork:
    torch.manual_seed(0)
    base = compact_tiny()
    inner = dataclasses.replace(base.network, losses=dataclasses.replace(base.network.losses, **losses))
    return build_network(dataclasses.replace(base, identities=5, network=inner)).train()


@pytest.fixture
def batch() -> tuple[torch.Tensor, list[Targets]]:
    torch.manual_seed(1)
    targets = [
        Targets(torch.tensor([[10.0, 8, 40, 88], [60, 10, 90, 80]]), torch.tensor([3, -1])),
        Targets(torch.tensor([[20.0, 4, 50, 76]]), torch.tensor([0])),
    ]
    return torch.randn(2, 3, 96, 128), targets


def touched(network: PersonSearchNetwork) -> set[str]:
    """Parameters with a gradient that is not zero."""
    return {n for n, p in network.named_parameters() if p.grad is not None and bool((p.grad != 0).any())}


def test_the_reid_losses_do_not_teach_the_proposals(batch) -> None:
    """Footnote 2: identity and box losses reach head and trunk, never the proposal module."""
    network = tiny()
    losses = network(batch[0], SIZES, batch[1])
    (losses["identity"] + losses["box"] + losses["person"]).backward()
    names = touched(network)
    assert not {n for n in names if n.startswith("proposals.")}
    for part in ("head.fc6.", "head.fc7.", "head.fc8.", "head.box.", "head.classifier.", "trunk.stem."):
        assert any(n.startswith(part) for n in names), part


def test_the_proposal_losses_teach_proposals_and_trunk_and_nothing_else(batch) -> None:
    network = tiny()
    losses = network(batch[0], SIZES, batch[1])
    (losses["proposal_class"] + losses["proposal_box"]).backward()
    names = touched(network)
    for part in ("conv", "classify", "regress"):
        assert any(n.startswith(f"proposals.network.head.{part}") for n in names)
    assert any(n.startswith("trunk.stem.") for n in names)
    assert not {n for n in names if n.startswith("head.")}


def test_a_leak_into_the_proposals_would_be_seen(batch, monkeypatch) -> None:
    """The planted mistake: proposals that depend on the proposal layers' weights, not detached."""
    network = tiny()
    original = network.proposals.forward

    def leaky(*arguments):
        found, losses = original(*arguments)
        weight = network.proposals.network.head.regress.weight.sum()
        return [boxes + 1e-3 * weight for boxes in found], losses

    monkeypatch.setattr(network.proposals, "forward", leaky)
    losses = network(batch[0], SIZES, batch[1])
    losses["box"].backward()
    assert "proposals.network.head.regress.weight" in touched(network)


def test_stage_1_teaches_no_box_layer_and_no_proposals() -> None:
    network = tiny()
    boxes = torch.tensor([[4.0, 2, 28, 62]])
    targets = [Targets(boxes, torch.tensor([label])) for label in (0, 4, 5, 5)]
    losses = network(torch.randn(4, 3, 64, 32), [(64, 32)] * 4, targets, False)
    assert set(losses) == {"identity", "person"}
    sum(losses.values()).backward()
    names = touched(network)
    assert not {n for n in names if n.startswith(("proposals.", "head.box."))}
    assert {"head.classifier.weight", "head.fc8.weight"} <= names


def seen_by(monkeypatch, name: str) -> list[tuple]:
    """Calls of a loss of the network module, recorded."""
    calls = []
    original = getattr(network_module, name)

    def spy(*arguments, **keywords):
        value = original(*arguments, **keywords)
        calls.append((arguments, keywords, value))
        return value

    monkeypatch.setattr(network_module, name, spy)
    return calls


def test_stage_1_is_the_plain_softmax_over_all_classes(monkeypatch) -> None:
    rss, plain = seen_by(monkeypatch, "rss_loss"), seen_by(monkeypatch, "softmax_loss")
    targets = [Targets(torch.tensor([[0.0, 0, 32, 64]]), torch.tensor([label])) for label in (1, 5)]
    tiny()(torch.randn(2, 3, 64, 32), [(64, 32)] * 2, targets, False)
    assert not rss
    ((logits, labels), _, _) = plain[0]
    assert logits.shape == (2, 6)
    assert labels.tolist() == [1, 5]


@pytest.mark.parametrize("kind", ["rss", "softmax"])
def test_the_identity_loss_is_the_one_asked_for(kind: str, batch, monkeypatch) -> None:
    calls = {"rss": seen_by(monkeypatch, "rss_loss"), "softmax": seen_by(monkeypatch, "softmax_loss")}
    network = tiny(identity=kind, k=4, normaliser="batch", identity_weight=0.5)
    losses = network(batch[0], SIZES, batch[1])
    assert not calls["softmax" if kind == "rss" else "rss"]
    ((arguments, keywords, value),) = calls[kind]
    logits, labels = arguments
    assert keywords["normaliser"] == "batch"
    if kind == "rss":
        assert keywords["k"] == 4
    torch.testing.assert_close(losses["identity"], 0.5 * value)
    # Everybody is there: two labelled, one unlabelled person, and background as class C.
    assert set(labels.tolist()) == {-1, 0, 3, 5}
    assert logits.shape == (len(labels), 6)


def test_the_box_loss_is_of_people_only_and_over_all_rois(batch, monkeypatch) -> None:
    samples, boxes = seen_by(monkeypatch, "sample_rois"), seen_by(monkeypatch, "box_loss")
    network = tiny()
    network(batch[0], SIZES, batch[1])
    rois = [value for _, _, value in samples]
    people = torch.cat([r.person for r in rois])
    ((predicted, wanted), keywords, _) = boxes[0]
    assert len(predicted) == int(people.sum()) > 0
    assert keywords["divisor"] == len(people)
    # What the layer should say, by hand: shift of the centre in tenths of a side, log sides in fifths.
    source = torch.cat([r.boxes for r in rois])[people]
    target = torch.cat([r.targets for r in rois])[people]
    sides = source[:, 2:] - source[:, :2]
    shift = ((target[:, :2] + target[:, 2:]) - (source[:, :2] + source[:, 2:])) / 2 / sides * 10
    growth = ((target[:, 2:] - target[:, :2]) / sides).log() * 5
    torch.testing.assert_close(wanted, torch.cat([shift, growth], dim=1), atol=1e-4, rtol=1e-4)


def test_unlabelled_people_teach_the_score_as_people(batch, monkeypatch) -> None:
    samples = seen_by(monkeypatch, "sample_rois")
    network = tiny()
    answers = []
    network.head.register_forward_hook(lambda module, given, output: answers.append(output.person))
    losses = network(batch[0], SIZES, batch[1])
    rois = [value for _, _, value in samples]
    nameless = torch.cat([r.identities for r in rois]) == -1
    person = torch.cat([r.person for r in rois])
    assert nameless.any()
    assert person[nameless].all()
    logits = answers[0].tolist()
    slow = sum(math.log1p(math.exp(-x if y else x)) for x, y in zip(logits, person.tolist(), strict=True))
    assert losses["person"].item() == pytest.approx(slow / len(person), rel=1e-4)


def test_a_picture_without_names_or_without_people_has_finite_losses() -> None:
    network = tiny()
    for targets in (
        Targets(torch.tensor([[10.0, 8, 40, 88]]), torch.tensor([-1])),
        Targets(torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64)),
    ):
        losses = network(torch.randn(2, 3, 96, 128), [(96, 128)] * 2, [targets, targets])
        total = sum(losses.values())
        assert torch.isfinite(total)
        total.backward()
        assert all(torch.isfinite(p.grad).all() for p in network.parameters() if p.grad is not None)


def test_the_seed_decides_every_draw(batch) -> None:
    values = []
    for seed in (7, 7, 8):
        network = tiny()
        torch.manual_seed(seed)
        values.append({k: v.item() for k, v in network(batch[0], SIZES, batch[1]).items()})
    assert values[0] == values[1]
    assert values[0] != values[2]


def test_describe_is_the_networks_own_embedding_of_the_box(batch) -> None:
    """Test phase (4.3): the proposals replaced by the given boxes, nothing else changed."""
    network = tiny().eval()
    boxes = [batch[1][0].boxes, batch[1][1].boxes]
    with torch.no_grad():
        rows = network.describe(batch[0], boxes)
        maps = network.trunk(batch[0])
        for i, (picture, box) in enumerate(((0, boxes[0][0]), (0, boxes[0][1]), (1, boxes[1][0]))):
            one = {name: m[picture : picture + 1] for name, m in maps.items()}
            alone = network.head(network.pooling(one, [box[None]])).embeddings[0]
            torch.testing.assert_close(rows[i], alone, rtol=1e-4, atol=1e-5)


def test_a_picture_that_shows_nothing_gives_no_rows() -> None:
    network = tiny().eval()
    torch.nn.init.constant_(network.head.person.bias, -100.0)
    (seen,) = network.detect(torch.zeros(1, 3, 96, 128), [(96, 128)])
    assert seen.boxes.shape == (0, 4)
    assert seen.embeddings.shape == (0, 16)
