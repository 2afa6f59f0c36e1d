"""The networks that have a name, each the difference of a few arguments."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any, Literal

from personsearch.errors import UsageError
from personsearch.model.head import HeadSettings
from personsearch.model.network import DetectSettings, LossSettings, NetworkSettings, PersonSearchNetwork
from personsearch.model.pooling import PoolSettings
from personsearch.model.proposals import ProposalSettings, person_anchors
from personsearch.model.sampling import RoiSettings
from personsearch.model.trunks import CompactTrunk, Trunk, Vgg16Trunk
from personsearch.types import Similarity

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True, kw_only=True)
class InputSettings:
    """How a picture becomes the network's input.

    Attributes:
        short_side, long_side: the picture is scaled so that its short side is the first,
            unless its long side would pass the second (pixels).
        multiple: sides are padded at the right and bottom to a multiple of this.
        mean, std: per RGB channel, of pixels in [0, 1].
    """

    short_side: int = 600
    long_side: int = 1000
    multiple: int = 16
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD


@dataclass(frozen=True, kw_only=True)
class ModelSettings:
    """A model as its ``config.json`` holds it: architecture, preprocessing, similarity.

    Attributes:
        trunk: which fully convolutional part.
        identities: C, training identities.
        network: the other parts.
        input: preprocessing.
        similarity: how embeddings are compared.
    """

    trunk: Literal["vgg16", "compact", "compact-tiny"] = "vgg16"
    identities: int = 0
    network: NetworkSettings = field(default_factory=NetworkSettings)
    input: InputSettings = field(default_factory=InputSettings)
    similarity: Similarity = "euclidean"

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        return dataclasses.asdict(self)


def build_trunk(name: str) -> Trunk:
    """The trunk called ``name``."""
    if name == "vgg16":
        return Vgg16Trunk()
    if name == "compact":
        return CompactTrunk()
    if name == "compact-tiny":
        # Not below 16: oneDNN's weight gradient of a strided 1x1 convolution from fewer channels,
        # channels last on AVX-512, writes past its buffer (torch 2.15).
        return CompactTrunk((16, 16, 24, 24), (1, 1, 1, 1), fused=24, colour=4)
    raise UsageError(f"there is no trunk called {name!r}", hint="choose vgg16 or compact")


def build_network(settings: ModelSettings) -> PersonSearchNetwork:
    """The network of ``settings``, with random weights."""
    return PersonSearchNetwork(build_trunk(settings.trunk), settings.identities, settings.network)


def vgg16() -> ModelSettings:
    """The paper's network, to the letter (4.1, 4.3); where its text is silent, the authors' code.

    conv1-conv5 of VGG16, 512 proposal filters and 9 anchors, RoI pooling 7x7, fc6 and fc7
    of 4096, fc8 of 256, one classifier of C+1 classes, Euclidean distance. fc8 is linear, as the
    text has it: the authors' ReLU and dropout on it are ``HeadSettings.embedding_relu``.
    """
    return ModelSettings()


def compact() -> ModelSettings:
    """The same parts at a size for two cores, about 4 M parameters.

    Beside sizes, these details are its own: person-shaped anchors at 1/8; RoIAlign on the
    fused map and on a colour branch; batch norm, because it trains from scratch; a score
    layer that unlabelled people teach too; people described at their refined boxes;
    cosine similarity.
    """
    proposals = dataclasses.replace(
        person_anchors(30, 340),
        channels=64,
        positive_iou=0.6,
        negative_iou=0.3,
        batch=128,
        before_nms=(600, 600),
        after_nms=(150, 100),
        min_size=4.0,
    )
    network = NetworkSettings(
        proposals=proposals,
        rois=RoiSettings(batch=48, person_fraction=0.5, background_iou=(0.0, 0.45)),
        pools=(
            PoolSettings(source="trunk", size=(8, 4), kind="align"),
            PoolSettings(source="colour", size=(10, 5), kind="align"),
        ),
        head=HeadSettings(hidden=512, dropout=0.0, separate_score=True, normed=True),
        losses=LossSettings(normaliser="valid"),
        detect=DetectSettings(describe_refined=True, nms=0.45, limit=60),
    )
    return ModelSettings(
        trunk="compact",
        network=network,
        input=InputSettings(short_side=384, long_side=640, multiple=32),
        similarity="cosine",
    )


def compact_tiny() -> ModelSettings:
    """The compact network at a size for tests: everything in it, nothing of use."""
    base = compact()
    proposals: ProposalSettings = dataclasses.replace(base.network.proposals, channels=16)
    head = dataclasses.replace(base.network.head, hidden=32, dim=16)
    return dataclasses.replace(
        base,
        trunk="compact-tiny",
        network=dataclasses.replace(base.network, proposals=proposals, head=head),
        input=dataclasses.replace(base.input, short_side=192, long_side=320),
    )
