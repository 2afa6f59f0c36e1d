"""The proposal network: anchors, filters, sibling layers, losses, and what no gradient reaches."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch.nn import functional
from torchvision.models.detection.image_list import ImageList
from torchvision.ops import box_iou

from personsearch.model.presets import compact_tiny
from personsearch.model.proposals import ProposalHead, Proposals, ProposalSettings, person_anchors
from personsearch.model.sampling import within_ignored


@pytest.fixture
def small() -> Proposals:
    torch.manual_seed(0)
    return Proposals(6, ProposalSettings(channels=8, anchor_sizes=(16, 32, 64), batch=32))


def test_nine_anchors_of_a_cell_worked_by_hand() -> None:
    """The defaults: areas 128², 256², 512², height over width 1/2, 1, 2, around the cell's corner."""
    anchors = Proposals(4, ProposalSettings(channels=4)).network.anchor_generator.cell_anchors[0]
    sides = (anchors[:, 2:] - anchors[:, :2]).tolist()
    assert len(sides) == 9
    assert ProposalSettings().anchors == 9
    for size in (128, 256, 512):
        for ratio in (0.5, 1.0, 2.0):
            wide, tall = size / ratio**0.5, size * ratio**0.5
            assert any(abs(w - wide) <= 1 and abs(h - tall) <= 1 for w, h in sides), (size, ratio)
    torch.testing.assert_close(anchors[:, :2], -anchors[:, 2:])


def test_anchors_lie_a_stride_apart(small: Proposals) -> None:
    images = ImageList(torch.zeros(1, 3, 64, 96), [(64, 96)])
    (anchors,) = small.network.anchor_generator(images, [torch.zeros(1, 6, 4, 6)])
    assert anchors.shape == (4 * 6 * 9, 4)
    centres = (anchors[:, :2] + anchors[:, 2:]) / 2
    assert sorted(set(centres[:, 0].tolist())) == [0, 16, 32, 48, 64, 80]
    assert sorted(set(centres[:, 1].tolist())) == [0, 16, 32, 48]


def test_person_anchors_have_one_shape_and_rising_heights() -> None:
    config = person_anchors(40, 320, count=4, ratio=2.0)
    heights = [size * 2.0**0.5 for size in config.anchor_sizes]
    assert heights == pytest.approx([40, 80, 160, 320])
    assert config.anchor_ratios == (2.0,)


def test_sibling_layers_read_the_same_hidden_map() -> None:
    head = ProposalHead(6, 8, 9)
    seen = []
    for layer in (head.classify, head.regress):
        layer.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    x = torch.randn(2, 6, 5, 7)
    (logits,), (offsets,) = head([x])
    assert logits.shape == (2, 9, 5, 7)
    assert offsets.shape == (2, 36, 5, 7)
    assert seen[0] is seen[1]
    torch.testing.assert_close(seen[0], functional.relu(head.conv(x)))


def test_the_sigmoid_of_the_difference_is_the_two_way_softmax() -> None:
    torch.manual_seed(1)
    head = ProposalHead(6, 8, 9)
    torch.nn.init.normal_(head.classify.weight)
    x = torch.randn(2, 6, 5, 7)
    (logits,), _ = head([x])
    pair = head.classify(functional.relu(head.conv(x))).unflatten(1, (2, 9))  # (b, 2, 9, h, w)
    person = torch.softmax(pair, dim=1)[:, 1]
    torch.testing.assert_close(logits.sigmoid(), person)
    # And so is the loss: binary cross-entropy of the difference = softmax loss of the pair.
    wanted = torch.randint(0, 2, person.shape)
    torch.testing.assert_close(
        functional.binary_cross_entropy_with_logits(logits, wanted.float()),
        functional.cross_entropy(pair, wanted),
    )


def test_the_losses_against_a_slow_version(small: Proposals) -> None:
    """Softmax over a sample of anchors; smooth L1 (beta 1/9) of the people among them, over the sample."""
    small.train()
    feature_map = torch.randn(1, 6, 4, 6)
    images, truth = torch.zeros(1, 3, 64, 96), torch.tensor([[20.0, 8.0, 44.0, 56.0]])
    torch.manual_seed(3)
    _, losses = small(images, [(64, 96)], {"trunk": feature_map}, [truth])
    assert set(losses) == {"proposal_class", "proposal_box"}

    network = small.network
    (logits,), (offsets,) = network.head([feature_map])
    logits = logits.permute(0, 2, 3, 1).flatten().tolist()
    offsets = offsets.unflatten(1, (9, 4)).permute(0, 3, 4, 1, 2).reshape(-1, 4)
    anchors = network.anchor_generator(ImageList(images, [(64, 96)]), [feature_map])
    labels, matched = network.assign_targets_to_anchors(anchors, [{"boxes": truth}])
    wanted = network.box_coder.encode(matched, anchors)[0]
    torch.manual_seed(3)
    positive, negative = network.fg_bg_sampler(labels)
    positive, negative = positive[0].nonzero().squeeze(1).tolist(), negative[0].nonzero().squeeze(1).tolist()
    assert positive
    assert len(positive) + len(negative) == 32
    share = [1 / (1 + 2.718281828459045 ** -logits[i]) for i in positive + negative]
    truths = [1] * len(positive) + [0] * len(negative)
    slow = -sum(
        float(torch.tensor(p if t else 1 - p).log()) for p, t in zip(share, truths, strict=True)
    ) / len(share)
    assert losses["proposal_class"].item() == pytest.approx(slow, rel=1e-4)
    total = 0.0
    for i in positive:
        for d in (offsets[i] - wanted[i]).abs().tolist():
            total += d * d / (2 / 9) if d < 1 / 9 else d - 1 / 18
    assert losses["proposal_box"].item() == pytest.approx(total / 32, rel=1e-4)


def test_proposals_are_inside_the_picture_best_first_and_apart(small: Proposals) -> None:
    torch.nn.init.normal_(small.network.head.classify.weight)
    torch.nn.init.normal_(small.network.head.regress.weight, std=0.2)
    small.eval()
    sizes = [(60, 90), (64, 50)]
    found, losses = small(torch.zeros(2, 3, 64, 96), sizes, {"trunk": torch.randn(2, 6, 4, 6)})
    assert losses == {}
    for boxes, (height, width) in zip(found, sizes, strict=True):
        assert 0 < len(boxes) <= 300
        assert (boxes >= 0).all()
        assert (boxes[:, [0, 2]] <= width).all()
        assert (boxes[:, [1, 3]] <= height).all()
        shared = box_iou(boxes, boxes).fill_diagonal_(0)
        assert shared.max() <= small.settings.nms + 1e-5


def test_the_proposals_numbers_reach_the_network() -> None:
    config = ProposalSettings(
        channels=4,
        before_nms=(70, 50),
        after_nms=(30, 20),
        nms=0.6,
        min_score=0.1,
        batch=64,
        positive_iou=0.65,
        negative_iou=0.2,
    )
    network = Proposals(4, config).network
    network.train()
    assert (network.pre_nms_top_n(), network.post_nms_top_n()) == (70, 30)
    network.eval()
    assert (network.pre_nms_top_n(), network.post_nms_top_n()) == (50, 20)
    assert (network.nms_thresh, network.score_thresh) == (0.6, 0.1)
    assert (network.fg_bg_sampler.batch_size_per_image, network.fg_bg_sampler.positive_fraction) == (64, 0.5)
    matcher = network.proposal_matcher
    assert (matcher.high_threshold, matcher.low_threshold) == (0.65, 0.2)


class Attached(torch.nn.Module):
    """A proposal network that hands out boxes with a gradient."""

    def forward(self, images, features, targets):
        return [2 * features["trunk"].flatten()[:4].reshape(1, 4)], {}


def test_proposed_coordinates_carry_no_gradient(small: Proposals) -> None:
    """Footnote 2 of the paper; torchvision detaches too, but that is torchvision's business."""
    small.network = Attached()
    (boxes,), _ = small(
        torch.zeros(1, 3, 16, 16), [(16, 16)], {"trunk": torch.randn(1, 6, 1, 1, requires_grad=True)}
    )
    assert not boxes.requires_grad


def test_a_picture_with_nobody_still_has_a_class_loss(small: Proposals) -> None:
    small.train()
    _, losses = small(
        torch.zeros(1, 3, 64, 96), [(64, 96)], {"trunk": torch.randn(1, 6, 4, 6)}, [torch.zeros(0, 4)]
    )
    assert losses["proposal_box"].item() == 0.0
    assert losses["proposal_class"].item() > 0


def test_the_compact_preset_has_nine_anchors_too() -> None:
    assert compact_tiny().network.proposals.anchors == 9
    assert dataclasses.replace(compact_tiny().network.proposals, anchor_ratios=(1.0, 2.0)).anchors == 18


def test_anchors_in_ignored_places_are_never_sampled(small: Proposals) -> None:
    """Background there becomes neither; people stay people, and without such places nothing changes."""
    images, truth = ImageList(torch.zeros(1, 3, 64, 96), [(64, 96)]), torch.tensor([[20.0, 8.0, 44.0, 56.0]])
    anchors = small.network.anchor_generator(images, [torch.zeros(1, 6, 4, 6)])
    place = torch.tensor([[0.0, 0.0, 50.0, 64.0]])
    (plain,), _ = small.network.assign_targets_to_anchors(anchors, [{"boxes": truth}])
    (labels,), _ = small.network.assign_targets_to_anchors(anchors, [{"boxes": truth, "ignored": place}])
    inside = within_ignored(anchors[0], place)
    assert (plain[inside] == 0).any()
    assert (labels[inside & (plain == 0)] == -1).all()
    rest = ~(inside & (plain == 0))
    assert torch.equal(labels[rest], plain[rest])
    assert (labels == 1).any()


@pytest.mark.parametrize("ignored", [None, [None], [torch.zeros(0, 4)], [torch.tensor([[50.0, 0, 96, 64]])]])
def test_ignored_places_reach_the_losses(small: Proposals, ignored) -> None:
    small.train()
    maps = {"trunk": torch.randn(1, 6, 4, 6, generator=torch.Generator().manual_seed(0))}
    truth = torch.tensor([[20.0, 8.0, 44.0, 56.0]])
    values = []
    for places in (None, ignored):
        torch.manual_seed(3)
        _, losses = small(torch.zeros(1, 3, 64, 96), [(64, 96)], maps, [truth], places)
        values.append(losses["proposal_class"].item())
    nothing = ignored is None or ignored[0] is None or not len(ignored[0])
    assert (values[0] == values[1]) == nothing
