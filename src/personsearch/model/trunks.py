"""Fully convolutional trunks: a picture in, named feature maps out.

A trunk is a module with ``layout``: for each map its channels and stride. The proposal
network reads the map ``"trunk"``; RoI pooling reads those its settings name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from personsearch.errors import UsageError


@dataclass(frozen=True)
class MapLayout:
    """One feature map: how many channels, and how many input pixels a cell spans."""

    channels: int
    stride: int


@dataclass(frozen=True, kw_only=True)
class TrunkSettings:
    """Choices within a trunk; vgg16 and the compact ones know only ``frozen``, and the latter not even that.

    Attributes:
        norm: of ResNets and timm's models. ``"frozen"``: batch norm at ImageNet's statistics, for
            a batch of two pictures has none worth the name; it wants ImageNet weights.
            ``"group"``: group norm, for training from scratch (not timm's). ``"batch"``.
        frozen: the first layers keep their first weights: conv1 and conv2 of vgg16, as in the
            authors' code (the text does not say), stem and res2 of a ResNet.
        pyramid: channels of a feature pyramid over the stages at 1/4 to 1/32; 0 for none.
            Source: Lin et al., Feature Pyramid Networks (CVPR 2017).
        timm: for trunk ``"timm"``, the name of its model.
    """

    norm: Literal["frozen", "group", "batch"] = "frozen"
    frozen: bool = True
    pyramid: int = 0
    timm: str = ""


class Trunk(nn.Module):
    """What every trunk is: ``forward(images (b, 3, h, w)) -> {name: (b, c, h/s, w/s)}``.

    Attributes:
        layout: of each map.
        levels: the maps that the proposals read.
        pooled_levels: the maps of a pyramid that boxes are pooled from, finest first.
    """

    layout: dict[str, MapLayout]
    levels: tuple[str, ...] = ("trunk",)
    pooled_levels: tuple[str, ...] = ()

    def tail(self) -> tuple[nn.Module, int]:
        """A stage of its own that continues the map ``"trunk"``, for a head; and its channels."""
        raise UsageError(
            f"{type(self).__name__} has no fifth stage to make a head of",
            hint="choose resnet18 or resnet50, or body fc",
        )

    def learn_everything(self) -> None:
        """Nothing stays as it is: what training from random weights wants."""
        self.requires_grad_(True)


class Vgg16Trunk(Trunk):
    """conv1-conv5 of VGG16 without the last pooling: 512 channels at stride 16 (paper 4.1).

    Args:
        freeze: how many of the 13 convolutions stay as they are; the authors' code
            freezes the first four (conv1 and conv2), the text does not say.
    """

    def __init__(self, freeze: int = 4) -> None:
        super().__init__()
        from torchvision.models.vgg import cfgs, make_layers

        # Without weights: loading is `weights.load_imagenet`'s job, and asked for by name. And
        # without torchvision's fc6 and fc7, whose 120 million weights the head has of its own.
        self.convolutions = cast(nn.Sequential, make_layers(cfgs["D"])[:-1])
        self.layout = {"trunk": MapLayout(512, 16)}
        layers = [m for m in self.convolutions if isinstance(m, nn.Conv2d)]
        for layer in layers:
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
            nn.init.zeros_(cast(nn.Parameter, layer.bias))
        for layer in layers[:freeze]:
            layer.requires_grad_(False)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """One map, ``"trunk"``."""
        return {"trunk": self.convolutions(images)}


class HalvingConv2d(nn.Conv2d):
    """A 3x3 convolution of stride 2 that never computes an output of a single column.

    oneDNN's bfloat16 kernel for AMX leaves parts of such an output unwritten (torch 2.14.1: whatever
    the memory held before, at times NaN). A column of zeros more is what the padding holds anyway.
    """

    def forward(self, x: Tensor) -> Tensor:
        """(b, outside, h/2, w/2), rounded up."""
        if x.shape[3] > 2:
            return super().forward(x)
        return super().forward(functional.pad(x, (0, 3 - x.shape[3])))[..., :1]


def _halves(layer: nn.Conv2d) -> bool:
    shape = (layer.kernel_size, layer.stride, layer.padding, layer.dilation, layer.groups)
    return shape == ((3, 3), (2, 2), (1, 1), (1, 1), 1)


def halve_safely(module: nn.Module) -> nn.Module:
    """``module`` itself, its plain 3x3 convolutions of stride 2 being :class:`HalvingConv2d` from now on."""
    for inner in module.modules():
        if type(inner) is nn.Conv2d and _halves(inner):
            inner.__class__ = HalvingConv2d  # it has nothing of its own but forward()
    return module


def _normed(inside: int, outside: int, kernel: int, stride: int = 1) -> nn.Sequential:
    """Convolution, batch norm, ReLU."""
    kind = HalvingConv2d if (kernel, stride) == (3, 2) else nn.Conv2d
    return nn.Sequential(
        kind(inside, outside, kernel, stride, kernel // 2, bias=False),
        nn.BatchNorm2d(outside),
        nn.ReLU(inplace=True),
    )


class Residual(nn.Module):
    """Two 3x3 convolutions around a shortcut; the first may halve the map and widen it."""

    def __init__(self, inside: int, outside: int, stride: int = 1) -> None:
        super().__init__()
        self.first = _normed(inside, outside, 3, stride)
        self.second = nn.Sequential(
            nn.Conv2d(outside, outside, 3, padding=1, bias=False), nn.BatchNorm2d(outside)
        )
        same = inside == outside and stride == 1
        self.shortcut = (
            nn.Identity()
            if same
            else nn.Sequential(nn.Conv2d(inside, outside, 1, stride, bias=False), nn.BatchNorm2d(outside))
        )

    def forward(self, x: Tensor) -> Tensor:
        """Same size as the input over the stride."""
        return functional.relu(self.second(self.first(x)) + self.shortcut(x))


class CompactTrunk(Trunk):
    """A trunk for two cores: about 2 GFLOP for a picture of 480x360 (a product and a sum are two).

    A stride-4 patch stem, residual stages at 1/4, 1/8, 1/16 and 1/32, the deeper ones added
    back at 1/8 (``"trunk"``, where small people still span a few cells), and a thin branch
    that keeps the colours themselves at 1/4 (``"colour"``): clothing is mostly colour, and
    what a deep stage has mixed away no embedding can bring back.

    Args:
        widths: channels of the four stages.
        depths: residual blocks of the four stages.
        fused: channels of ``"trunk"``.
        colour: channels of ``"colour"``.
    """

    def __init__(
        self,
        widths: tuple[int, int, int, int] = (32, 64, 128, 160),
        depths: tuple[int, int, int, int] = (1, 2, 2, 1),
        fused: int = 96,
        colour: int = 16,
    ) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, widths[0], 6, 4, 1, bias=False), nn.BatchNorm2d(widths[0]), nn.ReLU(inplace=True)
        )
        stages = []
        inside = widths[0]
        for i, (width, depth) in enumerate(zip(widths, depths, strict=True)):
            blocks = [Residual(inside, width, stride=1 if i == 0 else 2)]
            blocks += [Residual(width, width) for _ in range(depth - 1)]
            stages.append(nn.Sequential(*blocks))
            inside = width
        self.stages = nn.ModuleList(stages)
        self.lateral = nn.ModuleList([nn.Conv2d(width, fused, 1) for width in widths[1:]])
        self.norm = nn.BatchNorm2d(fused)
        self.colour = nn.Sequential(_normed(3, 2 * colour, 1), _normed(2 * colour, colour, 1))
        self.layout = {"trunk": MapLayout(fused, 8), "colour": MapLayout(colour, 4)}

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """``"trunk"`` at stride 8 and ``"colour"`` at stride 4; sides must be multiples of 32."""
        x = self.stages[0](self.stem(images))
        eighth = self.stages[1](x)
        sixteenth = self.stages[2](eighth)
        thirtysecond = self.stages[3](sixteenth)
        deep = self.lateral[1](sixteenth) + functional.interpolate(
            self.lateral[2](thirtysecond), scale_factor=2.0, mode="nearest"
        )
        fused = self.lateral[0](eighth) + functional.interpolate(deep, scale_factor=2.0, mode="nearest")
        colour = self.colour(functional.avg_pool2d(images, 4))
        return {"trunk": torch.relu(self.norm(fused)), "colour": colour}
