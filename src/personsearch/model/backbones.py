"""Trunks made elsewhere: torchvision's ResNets, timm's models, and a feature pyramid over either."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from importlib import import_module
from typing import Any, Literal

from torch import Tensor, nn
from torchvision.models import ResNet, resnet18, resnet50
from torchvision.ops import FeaturePyramidNetwork, FrozenBatchNorm2d
from torchvision.ops.feature_pyramid_network import LastLevelMaxPool

from personsearch.errors import UsageError
from personsearch.model.trunks import MapLayout, Trunk, TrunkSettings, halve_safely

FROM_SCRATCH = "frozen norms keep ImageNet's statistics, and training from random weights has none"


class Staged(Trunk):
    """A trunk of stages: one map at 1/16, or all of them from 1/4 to 1/32 for a pyramid."""

    stages: dict[str, MapLayout]

    def maps(self, images: Tensor) -> dict[str, Tensor]:
        """Every stage's map, by the names of :attr:`stages`."""
        raise NotImplementedError

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """One map, ``"trunk"`` at 1/16."""
        return {"trunk": self.maps(images)["c4"]}


class ResNetTrunk(Staged):
    """Stem and res2-res4 of a ResNet: ``"trunk"`` at stride 16; with ``deep`` all four stages.

    Random weights: :func:`personsearch.model.weights.load_imagenet` loads others.
    """

    def __init__(self, depth: Literal[18, 50], settings: TrunkSettings, *, deep: bool = False) -> None:
        super().__init__()
        self.depth, self.settings = depth, settings
        whole = torchvision_resnet(depth, settings)
        self.conv1, self.bn1, self.relu, self.maxpool = whole.conv1, whole.bn1, whole.relu, whole.maxpool
        self.layer1, self.layer2, self.layer3 = whole.layer1, whole.layer2, whole.layer3
        self.layer4 = whole.layer4 if deep else None
        width = 1 if depth == 18 else 4
        self.stages = {f"c{i}": MapLayout(2**i * 16 * width, 2**i) for i in range(2, 6 if deep else 5)}
        self.layout = {"trunk": self.stages["c4"]}
        if settings.frozen:
            for part in (self.conv1, self.bn1, self.layer1):
                part.requires_grad_(False)

    def maps(self, images: Tensor) -> dict[str, Tensor]:
        """``c2`` at 1/4 ... ``c4`` at 1/16, and ``c5`` of a deep trunk."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(images))))
        found = {}
        for name, layer in (
            ("c2", self.layer1),
            ("c3", self.layer2),
            ("c4", self.layer3),
            ("c5", self.layer4),
        ):
            if layer is not None:
                found[name] = x = layer(x)
        return found

    def tail(self) -> tuple[nn.Module, int]:
        """res5 with weights of its own."""
        return torchvision_resnet(self.depth, self.settings).layer4, 2 * self.stages["c4"].channels

    def learn_everything(self) -> None:
        """Nothing stays as it is; frozen norms would."""
        if self.settings.norm == "frozen":
            raise UsageError(FROM_SCRATCH, hint="ask for ImageNet weights, or choose norm group")
        self.requires_grad_(True)


def torchvision_resnet(depth: Literal[18, 50], settings: TrunkSettings) -> ResNet:
    """The whole classifier with random weights and the settings' norm."""
    norms: dict[str, Callable[[int], nn.Module]] = {
        "frozen": FrozenBatchNorm2d,
        "batch": nn.BatchNorm2d,
        "group": lambda channels: nn.GroupNorm(32, channels),
    }
    # Nothing is downloaded here: weights are `weights.load_imagenet`'s job, and asked for by name.
    make = resnet18 if depth == 18 else resnet50
    whole: ResNet = make(weights=None, norm_layer=norms[settings.norm])
    halve_safely(whole)
    return whole


class TimmTrunk(Staged):
    """Any of timm's models that gives feature maps: ``"trunk"`` is its last one at stride 16.

    Raises:
        UsageError: timm is not installed, has no such model, or the model has no maps at
            these strides.
    """

    def __init__(self, settings: TrunkSettings, *, deep: bool = False) -> None:
        super().__init__()
        self.settings = settings
        every: Any = make_timm(settings.timm, pretrained=False)
        reductions = every.feature_info.reduction()
        names = {2**i: f"c{i}" for i in range(2, 6)}
        self.indices = {names[r]: i for i, r in enumerate(reductions) if r in names}
        wanted = list(names.values()) if deep else ["c4"]
        if any(name not in self.indices for name in wanted):
            raise UsageError(
                f"timm's {settings.timm} has maps at strides {reductions}, which are not enough",
                hint="choose one with strides 4, 8, 16 and 32",
            )
        # Made again with the maps in use alone: a stage that nothing reads would train on nothing.
        kept = [self.indices[name] for name in wanted]
        model: Any = make_timm(settings.timm, pretrained=False, maps=kept)
        channels = model.feature_info.channels()
        self.model = made_as_wished(model, settings)
        self.stages = {n: MapLayout(c, 2 ** int(n[1])) for n, c in zip(wanted, channels, strict=True)}
        self.layout = {"trunk": self.stages["c4"]}
        self.kept = kept

    def maps(self, images: Tensor) -> dict[str, Tensor]:
        """The stages in use."""
        found = self.model(images)
        if str(getattr(self.model, "output_fmt", "")).endswith("NHWC"):  # of Swin and its kin
            found = [x.permute(0, 3, 1, 2).contiguous() for x in found]
        return dict(zip(self.stages, found, strict=True))

    def learn_everything(self) -> None:
        """Nothing stays as it is; frozen norms would."""
        if self.settings.norm == "frozen" and any("Frozen" in type(m).__name__ for m in self.modules()):
            raise UsageError(FROM_SCRATCH, hint="ask for ImageNet weights, or choose norm batch")
        self.requires_grad_(True)


def make_timm(name: str, *, pretrained: bool, maps: list[int] | None = None) -> nn.Module:
    """timm's ``features_only`` model; with ``pretrained`` timm may download it."""
    try:
        timm = import_module("timm")
    except ImportError as error:
        raise UsageError(
            "trunk timm needs the package timm", hint="pip install 'personsearch[timm]'"
        ) from error
    if not timm.is_model(name):
        raise UsageError(
            f"timm has no model {name!r}", hint="python -c 'import timm; print(timm.list_models())'"
        )
    chosen: dict[str, Any] = {} if maps is None else {"out_indices": maps}
    if name.startswith("swin"):
        chosen["strict_img_size"] = False  # pictures are not all of the size it was trained on
    try:
        made: Any = timm.create_model(name, pretrained=pretrained, features_only=True, **chosen)
    except (AttributeError, AssertionError, NotImplementedError) as error:
        raise UsageError(f"timm's {name} gives no feature maps: {error}", hint="choose another") from error
    kind, _, last = str(made.feature_info.module_name()[-1]).partition(".")
    if maps is not None and kind == "blocks":
        # EfficientNets and MobileNets keep the blocks behind their last map, and compute them.
        del made.blocks[int(last.split(".")[0]) + 1 :]
    model: nn.Module = made
    return halve_safely(model)


def made_as_wished(model: nn.Module, settings: TrunkSettings) -> nn.Module:
    """timm's model with the settings' norm."""
    if settings.norm == "group":
        raise UsageError("timm's models keep their own norms", hint="choose norm frozen or batch")
    if settings.norm == "frozen":
        frozen: nn.Module = import_module("timm.layers").freeze_batch_norm_2d(model)
        return frozen
    return model


class PyramidTrunk(Trunk):
    """A feature pyramid over a staged trunk: ``p2`` to ``p5`` of equal width, and ``p6`` for proposals."""

    def __init__(self, bottom: Staged, channels: int) -> None:
        super().__init__()
        self.bottom = bottom
        widths = [stage.channels for stage in bottom.stages.values()]
        self.pyramid = FeaturePyramidNetwork(widths, channels, extra_blocks=LastLevelMaxPool())
        self.pooled_levels = tuple(f"p{name[1]}" for name in bottom.stages)
        self.layout = {
            name: MapLayout(channels, stage.stride)
            for name, stage in zip(self.pooled_levels, bottom.stages.values(), strict=True)
        }
        coarsest = 2 * max(layout.stride for layout in self.layout.values())
        self.layout[f"p{len(self.pooled_levels) + 2}"] = MapLayout(channels, coarsest)
        self.levels = tuple(self.layout)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Every level, finest first."""
        stages = self.bottom.maps(images)
        found = self.pyramid(OrderedDict((name, stages[name]) for name in self.bottom.stages))
        return dict(zip(self.levels, found.values(), strict=True))

    def learn_everything(self) -> None:
        """Nothing stays as it is, below and above."""
        self.bottom.learn_everything()
        self.requires_grad_(True)


def make_backbone(name: str, settings: TrunkSettings) -> Trunk:
    """Trunk ``"resnet18"``, ``"resnet50"`` or ``"timm"``, under a pyramid if one is set."""
    deep = bool(settings.pyramid)
    bottom: Staged
    if name == "timm":
        bottom = TimmTrunk(settings, deep=deep)
    else:
        bottom = ResNetTrunk(18 if name == "resnet18" else 50, settings, deep=deep)
    return PyramidTrunk(bottom, settings.pyramid) if deep else bottom


def first_convolution(trunk: Trunk) -> nn.Conv2d:
    """The layer that reads the pixels."""
    return next(m for m in trunk.modules() if isinstance(m, nn.Conv2d) and m.in_channels == 3)
