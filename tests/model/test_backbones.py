"""ResNets, timm's models and pyramids: maps, norms, what is frozen, what is refused."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import nn
from torchvision.ops import FrozenBatchNorm2d, box_area

from personsearch.errors import UsageError
from personsearch.model import backbones
from personsearch.model.backbones import PyramidTrunk, ResNetTrunk, torchvision_resnet
from personsearch.model.network import Targets
from personsearch.model.pooling import PoolSettings, RoiPooling
from personsearch.model.presets import build_network, build_trunk, resnet50, with_pyramid
from personsearch.model.trunks import TrunkSettings

GROUP = TrunkSettings(norm="group", frozen=False)


def parameters_of(trunk: nn.Module) -> int:
    return sum(p.numel() for p in trunk.parameters())


@pytest.mark.parametrize(("name", "channels"), [("resnet18", 256), ("resnet50", 1024)])
def test_a_resnet_ends_at_res4_whose_stride_is_16(name: str, channels: int) -> None:
    with torch.device("meta"):
        trunk = build_trunk(name)
        (found,) = trunk(torch.zeros(2, 3, 64, 96)).values()
        tail, wide = trunk.tail()
        assert tail(found).shape == (2, wide, 2, 3)
    assert found.shape == (2, channels, 4, 6)
    assert (trunk.layout["trunk"].channels, trunk.layout["trunk"].stride) == (channels, 16)
    assert wide == 2 * channels
    assert trunk.layer4 is None


def test_the_first_layers_of_a_resnet_are_frozen_when_asked() -> None:
    with torch.device("meta"):
        trunk, free = build_trunk("resnet18"), build_trunk("resnet18", GROUP)
    frozen = {name.split(".")[0] for name, p in trunk.named_parameters() if not p.requires_grad}
    assert frozen == {"conv1", "layer1"}  # frozen norms have no parameters, only buffers
    assert {name.split(".")[0] for name, p in trunk.named_parameters() if p.requires_grad} == {
        "layer2",
        "layer3",
    }
    assert all(p.requires_grad for p in free.parameters())


@pytest.mark.parametrize(
    ("norm", "kind"), [("frozen", FrozenBatchNorm2d), ("batch", nn.BatchNorm2d), ("group", nn.GroupNorm)]
)
def test_the_norm_is_the_one_asked_for(norm: str, kind: type[nn.Module]) -> None:
    with torch.device("meta"):
        trunk = build_trunk("resnet18", TrunkSettings(norm=norm))
        tail, _ = trunk.tail()
    for part in (trunk, tail):
        norms = [
            m for m in part.modules() if isinstance(m, FrozenBatchNorm2d | nn.BatchNorm2d | nn.GroupNorm)
        ]
        assert norms
        assert all(isinstance(m, kind) for m in norms)


def test_frozen_norms_from_random_weights_are_refused() -> None:
    """Statistics of nothing: 0 and 1. vgg16 only thaws, and group norms do not mind."""
    with torch.device("meta"):
        with pytest.raises(UsageError, match="frozen norms"):
            build_trunk("resnet18").learn_everything()
        with pytest.raises(UsageError, match="frozen norms"):
            build_trunk("resnet18", TrunkSettings(pyramid=32)).learn_everything()
        for trunk in (build_trunk("vgg16"), build_trunk("resnet18", TrunkSettings(norm="group"))):
            trunk.learn_everything()
            assert all(p.requires_grad for p in trunk.parameters())


def test_a_trunk_is_the_classifiers_own_layers() -> None:
    """The names and the numbers of torchvision's ResNet, so that its weights fit."""
    torch.manual_seed(0)
    whole = torchvision_resnet(18, GROUP).eval()
    trunk = ResNetTrunk(18, GROUP).eval()
    theirs = whole.state_dict()
    trunk.load_state_dict({name: theirs[name] for name in trunk.state_dict()})
    images = torch.randn(1, 3, 32, 64)
    with torch.no_grad():
        x = whole.maxpool(whole.relu(whole.bn1(whole.conv1(images))))
        wanted = whole.layer3(whole.layer2(whole.layer1(x)))
        torch.testing.assert_close(trunk(images)["trunk"], wanted)


def test_a_pyramid_has_five_levels_of_one_width() -> None:
    trunk = build_trunk("resnet18", TrunkSettings(norm="group", pyramid=32))
    assert isinstance(trunk, PyramidTrunk)
    with torch.no_grad():
        maps = trunk(torch.randn(1, 3, 64, 128))
    assert trunk.levels == ("p2", "p3", "p4", "p5", "p6")
    assert trunk.pooled_levels == ("p2", "p3", "p4", "p5")
    for name, layout in trunk.layout.items():
        assert maps[name].shape == (1, 32, 64 // layout.stride, 128 // layout.stride), name
    assert [layout.stride for layout in trunk.layout.values()] == [4, 8, 16, 32, 64]


def test_boxes_are_pooled_from_the_level_of_their_size() -> None:
    """Canonical: 224 x 224 from p4; half the side one level finer. Each map holds its own number."""
    trunk = build_trunk("resnet18", TrunkSettings(norm="group", pyramid=32))
    pooling = RoiPooling(
        (PoolSettings(source="pyramid", size=(1, 1), kind="align"),), trunk.layout, levels=trunk.pooled_levels
    )
    boxes = torch.tensor([[0.0, 0, 60, 60], [0, 0, 120, 120], [10, 10, 234, 234], [0, 0, 460, 460]])
    assert box_area(boxes).sqrt().tolist() == [60, 120, 224, 460]
    for size in ((512, 512), (256, 512)):  # and another batch, of other sides
        maps = {
            name: torch.full((1, 32, size[0] // layout.stride, size[1] // layout.stride), float(name[1]))
            for name, layout in trunk.layout.items()
        }
        assert pooling(maps, [boxes])[:3, 0].tolist() == pytest.approx([2, 3, 4])
    assert pooling.length == 32


def test_a_network_with_a_pyramid_learns_and_finds() -> None:
    settings = with_pyramid(resnet50(), 32)
    head = dataclasses.replace(settings.network.head, hidden=16)
    proposals = dataclasses.replace(settings.network.proposals, after_nms=(20, 10), min_size=1.0)
    settings = dataclasses.replace(
        settings,
        trunk="resnet18",
        trunk_options=TrunkSettings(norm="group", pyramid=32),
        identities=5,
        network=dataclasses.replace(settings.network, head=head, proposals=proposals),
    )
    torch.manual_seed(0)
    network = build_network(settings).train()
    images = torch.randn(1, 3, 96, 128)
    losses = network(images, [(96, 128)], [Targets(torch.tensor([[10.0, 8, 40, 88]]), torch.tensor([3]))])
    sum(losses.values()).backward()
    assert network.trunk.pyramid.layer_blocks[0][0].weight.grad.any()
    (seen,) = network.eval().detect(images, [(96, 128)])
    assert len(seen.boxes)


def test_levels_and_anchor_sizes_must_agree() -> None:
    settings = with_pyramid(resnet50(), 32)
    proposals = dataclasses.replace(settings.network.proposals, anchor_sizes=(32, 64))
    network = dataclasses.replace(settings.network, proposals=proposals)
    with torch.device("meta"), pytest.raises(UsageError, match="2 anchor sizes"):
        build_network(dataclasses.replace(settings, identities=5, network=network))


@pytest.mark.parametrize("name", ["vgg16", "compact"])
def test_a_trunk_without_stages_has_no_pyramid(name: str) -> None:
    with pytest.raises(UsageError, match="no feature pyramid"):
        build_trunk(name, TrunkSettings(pyramid=64))


def test_timm_is_asked_for_by_name_only(monkeypatch) -> None:
    def missing(name: str):
        raise ImportError(name)

    monkeypatch.setattr(backbones, "import_module", missing)
    with pytest.raises(UsageError, match="needs the package timm") as caught:
        build_trunk("timm", TrunkSettings(timm="resnet18"))
    assert "personsearch[timm]" in caught.value.hint


class TestTimm:
    """timm is an extra; where it is not installed these are skipped."""

    @pytest.fixture(autouse=True)
    def _timm(self) -> None:
        pytest.importorskip("timm")

    def test_a_model_ends_at_stride_16_without_layers_that_nothing_reads(self) -> None:
        trunk = build_trunk("timm", TrunkSettings(timm="mobilenetv3_small_050", norm="batch")).eval()
        with torch.no_grad():
            found = trunk(torch.randn(1, 3, 64, 96))["trunk"]
        layout = trunk.layout["trunk"]
        assert layout.stride == 16
        assert found.shape == (1, layout.channels, 4, 6)
        loss = trunk.train()(torch.randn(2, 3, 64, 96))["trunk"].sum()
        loss.backward()
        assert all(p.grad is not None for p in trunk.parameters())

    def test_a_pyramid_over_a_model_and_frozen_norms(self) -> None:
        trunk = build_trunk("timm", TrunkSettings(timm="mobilenetv3_small_050", pyramid=16))
        with torch.no_grad():
            maps = trunk(torch.randn(1, 3, 64, 64))
        assert [m.shape[2] for m in maps.values()] == [16, 8, 4, 2, 1]
        assert not [m for m in trunk.bottom.modules() if isinstance(m, nn.BatchNorm2d)]
        with pytest.raises(UsageError, match="frozen norms"):
            trunk.learn_everything()

    @pytest.mark.parametrize(
        ("settings", "word"),
        [
            (TrunkSettings(timm="no_such_model"), "no_such_model"),
            (TrunkSettings(timm="vit_tiny_patch16_224", pyramid=16), "strides"),
            (TrunkSettings(timm="mobilenetv3_small_050", norm="group"), "own norms"),
        ],
    )
    def test_what_cannot_be_is_one_clear_error(self, settings: TrunkSettings, word: str) -> None:
        with pytest.raises(UsageError, match=word) as caught:
            build_trunk("timm", settings)
        assert caught.value.hint
