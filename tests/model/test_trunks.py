"""Trunks: sides, strides, channels, and how far the padding is felt."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from personsearch.model.presets import build_trunk
from personsearch.model.trunks import CompactTrunk, HalvingConv2d, Residual, TrunkSettings, Vgg16Trunk

TINY = ((16, 16, 24, 24), (1, 1, 1, 1), 24, 4)


@pytest.fixture(scope="module")
def vgg() -> Vgg16Trunk:
    torch.manual_seed(0)
    return Vgg16Trunk().eval()


def test_vgg16_is_conv1_to_conv5_at_stride_16(vgg: Vgg16Trunk) -> None:
    layers = [m for m in vgg.convolutions if isinstance(m, nn.Conv2d)]
    widths = [64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512]
    assert [m.out_channels for m in layers] == widths
    assert [m.in_channels for m in layers] == [3, *widths[:-1]]
    assert {(m.kernel_size, m.stride, m.padding) for m in layers} == {((3, 3), (1, 1), (1, 1))}
    pools = [i for i, m in enumerate(vgg.convolutions) if isinstance(m, nn.MaxPool2d)]
    assert pools == [4, 9, 16, 23]  # after conv1_2, conv2_2, conv3_3, conv4_3; none after conv5_3
    assert isinstance(vgg.convolutions[-1], nn.ReLU)
    assert (vgg.layout["trunk"].channels, vgg.layout["trunk"].stride) == (512, 16)


def test_vgg16_freezes_conv1_and_conv2_and_nothing_else(vgg: Vgg16Trunk) -> None:
    layers = [m for m in vgg.convolutions if isinstance(m, nn.Conv2d)]
    for i, layer in enumerate(layers):
        assert all(p.requires_grad == (i >= 4) for p in layer.parameters())


def test_vgg16_shapes_and_a_living_signal(vgg: Vgg16Trunk) -> None:
    """13 layers without batch norm: with careless first weights nothing would come out of the last."""
    with torch.no_grad():
        out = vgg(torch.randn(1, 3, 64, 48))["trunk"]
    assert out.shape == (1, 512, 4, 3)
    assert 0.01 < float(out.std()) < 100


@pytest.mark.parametrize("size", [(32, 64), (96, 32), (64, 64)])
def test_the_compact_maps_have_the_sides_they_say(size: tuple[int, int]) -> None:
    trunk = CompactTrunk(*TINY).eval()
    maps = trunk(torch.randn(2, 3, *size))
    assert set(maps) == set(trunk.layout) == {"trunk", "colour"}
    for name, layout in trunk.layout.items():
        assert maps[name].shape == (2, layout.channels, size[0] // layout.stride, size[1] // layout.stride)
    assert (trunk.layout["trunk"].stride, trunk.layout["colour"].stride) == (8, 4)


@pytest.mark.parametrize("name", ["trunk", "colour"])
def test_a_cell_is_moved_by_the_pixels_it_spans(name: str) -> None:
    """The map's frame is the picture's: change the pixels of one cell, and that cell changes most."""
    torch.manual_seed(1)
    trunk = CompactTrunk(*TINY).eval()
    stride = trunk.layout[name].stride
    images = torch.randn(1, 3, 128, 128)
    changed = images.clone()
    row, column = 7, 9
    changed[..., row * stride : (row + 1) * stride, column * stride : (column + 1) * stride] += 3
    with torch.no_grad():
        moved = (trunk(changed)[name] - trunk(images)[name]).abs().sum(dim=1)[0]
    assert divmod(int(moved.argmax()), moved.shape[1]) == (row, column)


def test_the_colour_branch_sees_nothing_but_its_own_pixels() -> None:
    trunk = CompactTrunk(*TINY).eval()
    images = torch.randn(1, 3, 32, 32)
    changed = images.clone()
    changed[..., 4:8, 8:12] += 1
    moved = (trunk(changed)["colour"] != trunk(images)["colour"]).any(dim=1)[0]
    assert moved.nonzero().tolist() == [[1, 2]]


def test_a_residual_block_halves_and_widens() -> None:
    x = torch.randn(1, 4, 8, 8)
    assert Residual(4, 6, stride=2).eval()(x).shape == (1, 6, 4, 4)
    same = Residual(4, 4).eval()
    assert isinstance(same.shortcut, nn.Identity)
    nn.init.zeros_(same.second[1].weight)  # a block that adds nothing passes its input through
    torch.testing.assert_close(same(x), x.relu())


def test_strided_shortcuts_start_from_at_least_sixteen_channels() -> None:
    """Below that oneDNN's weight gradient of torch 2.15 (channels last, AVX-512) corrupts the heap."""
    from personsearch.model.presets import build_trunk

    for name in ("compact", "compact-tiny"):
        layers = [m for m in build_trunk(name).modules() if isinstance(m, nn.Conv2d)]
        strided = [m for m in layers if m.kernel_size == (1, 1) and m.stride == (2, 2)]
        assert strided
        assert min(m.in_channels for m in strided) >= 16


@pytest.mark.parametrize("size", [(2, 1), (4, 2), (4, 1), (8, 2), (5, 3), (4, 4)])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_halving_is_a_convolution_also_of_maps_of_one_column(size: tuple[int, int], precision: str) -> None:
    """torch 2.14.1 on a processor with AMX leaves bfloat16 outputs of one column unwritten."""
    torch.manual_seed(0)
    ours = HalvingConv2d(64, 96, 3, 2, 1, bias=False).to(memory_format=torch.channels_last)
    x = torch.randn(96, 64, *size).contiguous(memory_format=torch.channels_last)
    with torch.no_grad():
        want = nn.functional.conv2d(x, ours.weight, stride=2, padding=1)
    for _ in range(3):
        # What the allocator hands out next is full of NaN, and so is what nobody writes to.
        held = [torch.full((1 << n,), float("nan")) for n in range(8, 21)]
        del held
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            found = ours(x)
        assert found.shape == want.shape
        close = {"rtol": 0, "atol": 0.1} if precision == "bf16" else {"rtol": 1e-5, "atol": 1e-5}
        torch.testing.assert_close(found.float(), want, **close)


def test_the_trunk_halves_by_it() -> None:
    trunk = CompactTrunk(*TINY)
    halving = [m for m in trunk.modules() if isinstance(m, nn.Conv2d) and m.stride == (2, 2)]
    assert {type(m) for m in halving if m.kernel_size == (3, 3)} == {HalvingConv2d}


@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
def test_resnets_halve_by_it_too(name: str) -> None:
    trunk = build_trunk(name, TrunkSettings(norm="batch"))
    halving = [m for m in trunk.modules() if isinstance(m, nn.Conv2d) and m.stride == (2, 2)]
    assert {type(m) for m in halving if m.kernel_size == (3, 3)} == {HalvingConv2d}
    tail, _ = trunk.tail()
    assert any(isinstance(m, HalvingConv2d) for m in tail.modules())
