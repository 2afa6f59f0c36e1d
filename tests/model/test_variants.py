"""Every variant is a few arguments of the one network: it learns, it finds, it is saved whole."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import nn

from personsearch.errors import UsageError
from personsearch.model import network as network_module
from personsearch.model.checkpoint import load_network, save_model
from personsearch.model.head import HeadOutput, HeadSettings, NormScore, ReidHead, person_scores
from personsearch.model.losses.oim import OimSettings
from personsearch.model.losses.rss import log_odds
from personsearch.model.network import PersonSearchNetwork, Targets
from personsearch.model.pooling import PoolSettings
from personsearch.model.presets import (
    ModelSettings,
    build_network,
    compact_tiny,
    oim,
    resnet50,
    seqnet,
    vgg16,
)
from personsearch.model.trunks import TrunkSettings

SIZES = [(96, 128), (80, 128)]


def tiny(*, head: dict | None = None, losses: dict | None = None, **network) -> ModelSettings:
    base = compact_tiny()
    inner = dataclasses.replace(
        base.network,
        head=dataclasses.replace(base.network.head, **(head or {})),
        losses=dataclasses.replace(base.network.losses, **(losses or {})),
        **network,
    )
    return dataclasses.replace(base, identities=5, network=inner)


VARIANTS = {
    "corrected": tiny(losses={"k": 4, "correction": "training"}),
    "corrected at the test": tiny(head={"separate_score": False}, losses={"k": 4, "correction": "test"}),
    "margin": tiny(head={"cosine_scale": 20.0}, losses={"identity": "margin"}),
    "cosine rss": tiny(head={"cosine_scale": 20.0}, losses={"k": 4}),
    "oim": tiny(losses={"identity": "oim", "oim": OimSettings(queue=7)}),
    "triplet": tiny(losses={"identity": "triplet"}),
    "rss and triplet": tiny(losses={"triplet_weight": 0.5}),
    "norm-aware": tiny(head={"separate_score": False, "norm_aware": True}),
    "sequential": tiny(sequential=True),
    "seqnet": tiny(
        head={"separate_score": False, "norm_aware": True}, losses={"identity": "oim"}, sequential=True
    ),
}


def made(settings: ModelSettings) -> PersonSearchNetwork:
    torch.manual_seed(0)
    return build_network(settings).train()


def batch() -> tuple[torch.Tensor, list[Targets]]:
    torch.manual_seed(1)
    targets = [
        Targets(torch.tensor([[10.0, 8, 40, 88], [60, 10, 90, 80]]), torch.tensor([3, -1])),
        Targets(torch.tensor([[20.0, 4, 50, 76]]), torch.tensor([0])),
    ]
    return torch.randn(2, 3, 96, 128), targets


@pytest.mark.parametrize("name", VARIANTS)
def test_a_variant_learns_in_both_stages_finds_and_is_saved_whole(name: str, tmp_path) -> None:
    settings = VARIANTS[name]
    network = made(settings)
    images, targets = batch()
    boxes = torch.tensor([[4.0, 2, 28, 62]])
    crops = [Targets(boxes, torch.tensor([label])) for label in (0, 4, 0, 5)]
    steps = [(torch.randn(4, 3, 64, 32), [(64, 32)] * 4, crops, False), (images, SIZES, targets, True)]
    for arguments in steps * 2:  # twice: a table must be filled before it can teach
        network.zero_grad()
        losses = network(*arguments)
        total = sum(losses.values())
        assert torch.isfinite(total)
        total.backward()
    touched = {n for n, p in network.named_parameters() if p.grad is not None and (p.grad != 0).any()}
    for part in ("trunk.stem.0.weight", "head.fc6.weight", "head.fc8.weight", "head.box.weight"):
        assert part in touched, part
    if settings.network.sequential:
        assert {"first.fc6.weight", "first.person.weight", "first.box.weight"} <= touched
        assert {"first_box", "first_person"} <= set(losses)
    network.eval()
    seen = network.detect(images, SIZES)
    assert sum(len(s.boxes) for s in seen) > 0
    for one in seen:
        assert len(one.boxes) == len(one.scores) == len(one.embeddings)
        assert one.embeddings.shape[1] == 16
        assert ((one.scores >= 0) & (one.scores <= 1)).all()
    save_model(tmp_path / "model", network, settings)
    again, read = load_network(tmp_path / "model")
    assert read == settings
    for ours, theirs in zip(seen, again.eval().detect(images, SIZES), strict=True):
        for a, b in zip(ours, theirs, strict=True):
            assert torch.equal(a, b)


@pytest.mark.parametrize("name", VARIANTS)
def test_nobody_with_a_name_and_nobody_at_all_are_survived(name: str) -> None:
    network = made(VARIANTS[name])
    images, _ = batch()
    nameless = Targets(torch.tensor([[10.0, 8, 40, 88]]), torch.tensor([-1]))
    nobody = Targets(torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64))
    for targets in (nameless, nobody):
        losses = network(images, SIZES, [targets, targets])
        sum(losses.values()).backward()
        assert all(torch.isfinite(p.grad).all() for p in network.parameters() if p.grad is not None)
        if "triplet" in name:
            part = "identity" if name == "triplet" else "triplet"
            assert losses[part].item() == 0.0
        if name in ("oim", "seqnet"):
            assert losses["identity"].item() == 0.0


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        (tiny(head={"separate_score": False}, losses={"identity": "oim"}), "score of its own"),
        (tiny(head={"separate_score": False}, losses={"identity": "triplet"}), "score of its own"),
        (tiny(losses={"identity": "margin"}), "cosine"),
        (tiny(losses={"identity": "softmax", "correction": "training"}), "odds"),
        (tiny(losses={"correction": "test"}), "score of their own"),
        (tiny(parts="detector", sequential=True), "detector"),
        (tiny(head={"dim": 0}), "embedding"),
        (tiny(head={"body": "res5"}), "exactly one pool"),
        (tiny(head={"body": "res5"}, pools=compact_tiny().network.pools[:1]), "fifth stage"),
        (tiny(pools=(PoolSettings(source="nowhere"),)), "nowhere"),
        (tiny(pools=(PoolSettings(source="pyramid", kind="align"),)), "pyramid"),
    ],
)
def test_settings_that_contradict_each_other_are_one_clear_error(settings: ModelSettings, word: str) -> None:
    with pytest.raises(UsageError, match=word) as caught:
        build_network(settings)
    assert caught.value.hint


def test_the_table_has_no_classifier_beside_it_and_lies_in_the_checkpoint() -> None:
    network = made(VARIANTS["oim"])
    assert network.head.classifier is None
    state = network.state_dict()
    assert state["matching.table"].shape == (5, 16)
    assert state["matching.queue"].shape == (7, 16)
    images, targets = batch()
    network(images, SIZES, targets)
    assert int(network.matching.header) > 0  # an unlabelled person went into the queue
    assert network.matching.table[[0, 3]].any(dim=1).all()
    assert not network.matching.table[[1, 2, 4]].any()


def test_two_thousand_classes_are_scored_only_where_rss_has_drawn(monkeypatch) -> None:
    """The same loss, and the classifier never builds all scores; with fewer classes it does."""
    for identities, gathered in ((160, True), (100, False)):
        settings = dataclasses.replace(tiny(losses={"k": 4}), identities=identities)
        network = made(settings)
        assert network._gathers == gathered
        images, targets = batch()
        torch.manual_seed(2)
        ours = network(images, SIZES, targets)
        with monkeypatch.context() as patch:
            patch.setattr(network_module, "gathers", lambda classes, k, way=not gathered: way)
            torch.manual_seed(2)
            other = network(images, SIZES, targets)
        for name, value in ours.items():
            torch.testing.assert_close(value, other[name], rtol=1e-5, atol=1e-6)


def test_norm_aware_scores_rise_with_length_alone() -> None:
    """By hand: mean 2 and deviation 1 of the lengths, scale 3, shift 1: length 3 gives 3 (3 - 2) / 1 + 1."""
    score = NormScore().eval()
    score.norm.running_mean.fill_(2.0)
    score.norm.running_var.fill_(1.0 - score.norm.eps)
    nn.init.constant_(score.norm.weight, 3.0)
    nn.init.constant_(score.norm.bias, 1.0)
    rows = torch.tensor([[3.0, 0.0], [0.0, -3.0], [0.6, 0.8]])
    torch.testing.assert_close(score(rows), torch.tensor([[4.0], [4.0], [-2.0]]))
    assert torch.isfinite(score.train()(rows[:1])).all()


def test_norm_aware_identity_is_the_direction_alone() -> None:
    """With OIM, an embedding twice as long is the same person and has another score."""
    network = made(VARIANTS["seqnet"]).eval()
    rows, labels = torch.randn(6, 16), torch.tensor([0, 1, 2, 3, 4, -1])
    network.matching.remember(nn.functional.normalize(rows), labels)
    near = rows + 0.1 * torch.randn(6, 16)
    torch.testing.assert_close(network.matching(near, labels), network.matching(2 * near, labels))
    assert not torch.allclose(network.head.person(near), network.head.person(2 * near))


def test_a_cosine_classifier_sees_directions_alone() -> None:
    torch.manual_seed(0)
    head = ReidHead(12, 5, HeadSettings(hidden=8, dim=4, cosine_scale=10.0)).eval()
    rows = torch.randn(3, 4)
    scores = head.classify(rows)
    torch.testing.assert_close(scores, head.classify(7 * rows))
    assert scores.abs().max() <= 10
    assert head.classifier.bias is None


def test_the_corrected_score_is_the_softmax_with_the_background_raised() -> None:
    """Parts 1, 1 and 2 of 4; the background's odds tripled: 2 of 8 are left for people."""
    empty = torch.zeros(1, 0)
    out = HeadOutput(empty, empty, torch.tensor([[1.0, 1.0, 2.0]]).log(), None)
    raised = person_scores(out, background=float(torch.tensor(3.0).log()))
    assert raised.item() == pytest.approx(2 / 8)
    settings = VARIANTS["corrected at the test"]
    network, plain = made(settings).eval(), made(tiny(head={"separate_score": False}, losses={"k": 4})).eval()
    plain.load_state_dict(network.state_dict())
    images, _ = batch()
    odds = [
        {tuple(b): s / (1 - s) for b, s in zip(one.boxes.tolist(), one.scores.tolist(), strict=True)}
        for one in (network.detect(images, SIZES)[0], plain.detect(images, SIZES)[0])
    ]
    both = odds[0].keys() & odds[1].keys()
    assert both
    for box in both:
        assert odds[1][box] / odds[0][box] == pytest.approx(5 / 3, rel=1e-3)
    assert log_odds(5, 4) == pytest.approx(float(torch.tensor(5 / 3).log()))


def test_the_second_part_sees_where_the_first_has_moved_the_boxes(monkeypatch) -> None:
    """Training and test: the first part's boxes, moved by its own layer, are what the second is given."""
    network = made(VARIANTS["sequential"])
    nn.init.constant_(network.first.box.bias, 1.0)  # a tenth of a side to the right and down, wider, taller
    nn.init.zeros_(network.first.box.weight)
    images, targets = batch()
    pooled: list[list[torch.Tensor]] = []
    original = network.pooling.forward
    monkeypatch.setattr(
        network.pooling, "forward", lambda maps, boxes: (pooled.append(boxes), original(maps, boxes))[1]
    )
    network(images, SIZES, targets)
    first, second = pooled
    moved = network.coder.decode(torch.ones(sum(map(len, first)), 4), first).squeeze(1)
    height, width = SIZES[0]
    ours = {tuple(round(v, 2) for v in b.clamp(min=0).tolist()) for b in moved}
    inside = [b for b in second[0] if (b[2:] < torch.tensor([width, height])).all() and (b > 0).all()]
    known = {tuple(b.tolist()) for b in targets[0].boxes}
    checked = 0
    for box in inside:
        if tuple(box.tolist()) not in known:
            assert any(max(abs(a - b) for a, b in zip(box.tolist(), m, strict=True)) < 0.1 for m in ours)
            checked += 1
    assert checked
    pooled.clear()
    network.eval().detect(images, SIZES)
    proposals, kept, *_ = pooled
    assert sum(map(len, kept)) <= sum(map(len, proposals))
    assert not {tuple(b.tolist()) for b in kept[0]} & {tuple(b.tolist()) for b in proposals[0]}


def test_gradients_of_the_second_part_do_not_reach_the_first() -> None:
    network = made(VARIANTS["sequential"])
    images, targets = batch()
    losses = network(images, SIZES, targets)
    (losses["identity"] + losses["box"] + losses["person"]).backward()
    assert not [n for n, p in network.named_parameters() if n.startswith("first.") and p.grad is not None]


@pytest.mark.parametrize("preset", [vgg16, resnet50, oim, seqnet])
def test_the_larger_presets_are_buildable(preset) -> None:
    settings = dataclasses.replace(preset(), identities=50)
    with torch.device("meta"):
        network = build_network(settings)
    tail = settings.network.head.body == "res5"
    assert hasattr(network.head, "res5") == tail
    if tail:
        assert network.head.fc8.in_features == network.head.box.in_features == 2048
    assert hasattr(network, "first") == settings.network.sequential


def test_res5_heads_have_weights_of_their_own_and_run() -> None:
    base = seqnet()
    inner = dataclasses.replace(
        base.network,
        proposals=dataclasses.replace(base.network.proposals, after_nms=(20, 10), channels=16, min_size=1.0),
        pools=(dataclasses.replace(base.network.pools[0], size=(4, 4)),),
        rois=dataclasses.replace(base.network.rois, batch=8),
    )
    settings = dataclasses.replace(
        base, trunk="resnet18", identities=5, network=inner, trunk_options=TrunkSettings(norm="group")
    )
    network = made(settings)
    assert network.head.res5 is not network.first.res5
    assert not torch.equal(network.head.res5[0].conv1.weight, network.first.res5[0].conv1.weight)
    images, targets = batch()
    sum(network(images, SIZES, targets).values()).backward()
    for part in ("head", "first"):
        assert getattr(network, part).res5[0].conv1.weight.grad.any(), part
    (one, two) = network.eval().detect(images, SIZES)
    assert one.embeddings.shape[1] == two.embeddings.shape[1] == 256
