"""A network with another trunk, norm, pyramid or identity loss: what the flags of ``train`` mean."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal, cast

from personsearch.errors import UsageError
from personsearch.model.presets import ModelSettings, TrunkName, with_pyramid
from personsearch.model.settings import Identity, NetworkSettings

COSINE_SCALE = 30.0
"""Of the cosines of a margin softmax: above what CosFace (Wang et al., CVPR 2018) shows to be the least for
many classes, about the logarithm of their number, and what OIM's successors divide by (1/0.033)."""


@dataclass(frozen=True, kw_only=True)
class Variant:
    """What is wanted otherwise; None leaves what is there.

    Attributes:
        trunk: ``"vgg16"``, ``"compact"``, ``"resnet18"``, ``"resnet50"``, or ``"timm:NAME"``.
        norm: of a ResNet or one of timm's; left out with another trunk: ``"frozen"`` where it begins with
            ImageNet's weights, else ``"group"`` (timm's keep their own: ``"batch"``).
        pyramid: proposals and pooling on a feature pyramid (ResNets and timm's).
        loss: the identity loss.
        correction: of RSS, where the odds that it shifts are corrected.
    """

    trunk: str | None = None
    norm: Literal["frozen", "group", "batch"] | None = None
    pyramid: bool | None = None
    loss: Identity | None = None
    correction: Literal["none", "training", "test"] | None = None


def varied(base: ModelSettings, wanted: Variant, *, pretrained: bool) -> ModelSettings:
    """``base`` with what is ``wanted``; ``pretrained`` if its trunk begins with ImageNet's weights.

    >>> from personsearch.model.presets import compact
    >>> light = varied(compact(), Variant(trunk="resnet18", loss="margin"), pretrained=False)
    >>> light.trunk, light.trunk_options.norm, [pool.source for pool in light.network.pools]
    ('resnet18', 'group', ['trunk'])
    >>> light.network.head.cosine_scale
    30.0

    Raises:
        UsageError: there is no such trunk, or it has no such norm or pyramid.
    """
    model = base if wanted.trunk is None else _on_trunk(base, wanted.trunk, pretrained)
    if wanted.norm is not None:
        if model.trunk not in ("resnet18", "resnet50", "timm"):
            raise UsageError(f"the norms of {model.trunk} are fixed", hint="--norm is for ResNets and timm's")
        options = dataclasses.replace(model.trunk_options, norm=wanted.norm)
        model = dataclasses.replace(model, trunk_options=options)
    if wanted.pyramid:
        model = with_pyramid(model, channels=model.network.proposals.channels)
    return dataclasses.replace(model, network=_with_loss(model.network, wanted))


def _on_trunk(base: ModelSettings, name: str, pretrained: bool) -> ModelSettings:
    kind, _, timm = name.partition(":")
    if kind not in ("vgg16", "compact", "resnet18", "resnet50", "timm") or bool(timm) != (kind == "timm"):
        raise UsageError(
            f"there is no trunk {name!r}", hint="vgg16, compact, resnet18, resnet50, or timm:NAME of timm's"
        )
    from_scratch: Any = "batch" if kind == "timm" else "group"
    options = dataclasses.replace(
        base.trunk_options, timm=timm, norm="frozen" if pretrained else from_scratch, pyramid=0
    )
    # What only another trunk has to pool from (the colours of compact, the levels of a pyramid) is left away.
    pools = tuple(pool for pool in base.network.pools if pool.source == "trunk")
    return dataclasses.replace(
        base,
        trunk=cast(TrunkName, kind),
        trunk_options=options,
        network=dataclasses.replace(base.network, pools=pools or base.network.pools),
    )


def _with_loss(network: NetworkSettings, wanted: Variant) -> NetworkSettings:
    losses, head = network.losses, network.head
    if wanted.loss is not None:
        losses = dataclasses.replace(losses, identity=wanted.loss)
    if wanted.correction is not None:
        losses = dataclasses.replace(losses, correction=wanted.correction)
    if losses.identity == "margin" and not head.cosine_scale:
        head = dataclasses.replace(head, cosine_scale=COSINE_SCALE)
    return dataclasses.replace(network, losses=losses, head=head)
