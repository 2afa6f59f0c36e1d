"""The networks that have a name, each the difference of a few arguments."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from personsearch.errors import UsageError
from personsearch.model.backbones import make_backbone
from personsearch.model.head import HeadSettings
from personsearch.model.losses.oim import OimSettings
from personsearch.model.network import PersonSearchNetwork
from personsearch.model.pooling import PYRAMID, PoolSettings
from personsearch.model.proposals import ProposalSettings, person_anchors
from personsearch.model.sampling import RoiSettings
from personsearch.model.settings import DetectSettings, LossSettings, NetworkSettings
from personsearch.model.trunks import CompactTrunk, Trunk, TrunkSettings, Vgg16Trunk
from personsearch.types import Similarity

TrunkName = Literal["vgg16", "resnet18", "resnet50", "timm", "compact", "compact-tiny"]

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True, kw_only=True)
class InputSettings:
    """How a picture becomes the network's input.

    Attributes:
        short_side, long_side: the picture is scaled so that its short side is the first,
            unless its long side would pass the second (pixels).
        multiple: sides are padded at the right and bottom to a multiple of this.
        mean, std: per RGB channel, of pixels in [0, 1]: torchvision's. The authors' code
            subtracts the means of its own pictures and divides by nothing (:data:`CAFFE`).
        bgr: the network sees blue first, as the authors' does.
    """

    short_side: int = 600
    long_side: int = 1000
    multiple: int = 16
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    bgr: bool = False


# The authors' code: BGR pixels in [0, 255] minus (102.9801, 115.9465, 122.7717); here per RGB, in [0, 1].
CAFFE = InputSettings(mean=(122.7717 / 255, 115.9465 / 255, 102.9801 / 255), std=(1 / 255,) * 3, bgr=True)


@dataclass(frozen=True, kw_only=True)
class CropSettings:
    """How IDNet cuts a person out of a picture.

    Attributes:
        size: (height, width) of its input; the paper's is 224 x 224.
        keep_aspect: cut a window of the input's shape around the box; otherwise the box is
            stretched to it, as the paper does.
        margin: share of a person's height that is kept above and below, with ``keep_aspect`` only.
    """

    size: tuple[int, int] = (224, 224)
    keep_aspect: bool = False
    margin: float = 0.0


@dataclass(frozen=True, kw_only=True)
class ModelSettings:
    """A model as its ``config.json`` holds it: architecture, preprocessing, similarity.

    Attributes:
        trunk: which fully convolutional part. trunk_options: choices within it.
        identities: C, training identities.
        network: the other parts.
        input: preprocessing.
        crop: preprocessing of people cut out, for a network of ``parts`` ``"embedder"`` alone.
        similarity: how embeddings are compared. The paper and the authors' code compare them
            as they are, by Euclidean distance.
    """

    trunk: TrunkName = "vgg16"
    trunk_options: TrunkSettings = field(default_factory=TrunkSettings)
    identities: int = 0
    network: NetworkSettings = field(default_factory=NetworkSettings)
    input: InputSettings = field(default_factory=InputSettings)
    crop: CropSettings = field(default_factory=CropSettings)
    similarity: Similarity = "euclidean"

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        return dataclasses.asdict(self)


def build_trunk(name: str, options: TrunkSettings | None = None) -> Trunk:
    """The trunk called ``name``, with random weights.

    Raises:
        UsageError: there is none of that name, or it has not what the options ask for.
    """
    options = options or TrunkSettings()
    if name in ("resnet18", "resnet50", "timm"):
        return make_backbone(name, options)
    if name not in ("vgg16", "compact", "compact-tiny"):
        known = ", ".join(get_args(TrunkName))
        raise UsageError(f"there is no trunk called {name!r}", hint=f"choose one of {known}")
    if options.pyramid:
        raise UsageError(f"{name} has no feature pyramid", hint="choose resnet18, resnet50 or timm")
    if name == "vgg16":
        return Vgg16Trunk(freeze=4 if options.frozen else 0)
    if name == "compact":
        return CompactTrunk()
    # Not below 16: oneDNN's weight gradient of a strided 1x1 convolution from fewer channels,
    # channels last on AVX-512, writes past its buffer (torch 2.15).
    return CompactTrunk((16, 16, 24, 24), (1, 1, 1, 1), fused=24, colour=4)


def build_network(settings: ModelSettings) -> PersonSearchNetwork:
    """The network of ``settings``, with random weights."""
    trunk = build_trunk(settings.trunk, settings.trunk_options)
    return PersonSearchNetwork(trunk, settings.identities, settings.network)


def vgg16() -> ModelSettings:
    """The paper's network, to the letter (4.1, 4.3); where its text is silent, the authors' code.

    conv1-conv5 of VGG16, 512 proposal filters and 9 anchors, RoI pooling 7x7, fc6 and fc7
    of 4096, fc8 of 256, one classifier of C+1 classes, Euclidean distance. fc8 is linear, as the
    text has it. What the authors' code does otherwise is :func:`vgg16_authors`.
    """
    return ModelSettings()


def vgg16_authors() -> ModelSettings:
    """:func:`vgg16` as the authors' published code has it, line by line where it differs.

    What both share, because the text is silent: input of 600 to 1000 pixels
    (``InputSettings``), 12000 to 2000 proposals in training and 6000 to 300 in the test at an
    overlap of 0.7 (``ProposalSettings``), 128 RoIs (``RoiSettings``), the identity loss divided by
    all of them (``LossSettings.normaliser``), a score of 1 - P(background) (``person_scores``),
    suppression at 0.4 (``DetectSettings``), distances of embeddings as they are (``similarity``).
    """
    base = vgg16()
    # Text: "a 256-d fully connected layer"; code: with ReLU and dropout on it.
    head = dataclasses.replace(base.network.head, embedding_relu=True)
    return dataclasses.replace(
        base,
        network=dataclasses.replace(base.network, head=head),
        # Text: nothing; code: BGR means of Caffe's VGG16. vgg16() takes torchvision's way instead,
        # whose weights are the ones to be had; load_imagenet fits them to this one.
        input=CAFFE,
    )


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


def fine(base: ModelSettings, by: float = 1.25) -> ModelSettings:
    """``base`` looking at pictures ``by`` times as large: more cells on small people, more work for all.

    Anchors and the smallest proposal grow alike, so that they mean the same people. At 1.25 the
    compact network sees a picture of 640x480 as it is.

    >>> fine(compact()).input.short_side, fine(compact()).input.long_side
    (480, 800)
    """
    proposals = base.network.proposals
    proposals = dataclasses.replace(
        proposals,
        anchor_sizes=tuple(by * size for size in proposals.anchor_sizes),
        min_size=by * proposals.min_size,
    )
    seen = dataclasses.replace(
        base.input,
        short_side=round(by * base.input.short_side),
        long_side=round(by * base.input.long_side),
    )
    return dataclasses.replace(
        base,
        network=dataclasses.replace(base.network, proposals=proposals),
        input=seen,
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


def resnet50() -> ModelSettings:
    """ResNet-50 up to res4 with a light re-id part: the quick one among the large.

    RoIAlign on res4, two hidden layers of 1,024 (not res5 over 14x14 cells for every RoI, which
    costs ten times the trunk), person-shaped anchors, a score layer of its own.
    """
    base = compact().network
    return ModelSettings(
        trunk="resnet50",
        network=NetworkSettings(
            proposals=dataclasses.replace(
                person_anchors(40, 560),
                channels=128,
                before_nms=(2000, 1000),
                after_nms=(300, 100),
                min_size=8.0,
            ),
            rois=RoiSettings(batch=64, person_fraction=0.5),
            pools=(PoolSettings(size=(8, 4), kind="align"),),
            head=HeadSettings(hidden=1024, dropout=0.0, separate_score=True, normed=True),
            losses=LossSettings(normaliser="valid"),
            detect=dataclasses.replace(base.detect, limit=100),
        ),
        similarity="cosine",
    )


def oim() -> ModelSettings:
    """OIM's network: ResNet-50, res5 as the re-id part, a table in the place of the classifier.

    Source: Xiao et al., Joint Detection and Identification Feature Learning for Person Search
    (CVPR 2017), and its code: RoI pooling 14x14 on res4, a score layer of its own, cosine.
    """
    network = NetworkSettings(
        pools=(PoolSettings(size=(14, 14)),),
        head=HeadSettings(body="res5", dropout=0.0, separate_score=True),
        losses=LossSettings(identity="oim", normaliser="valid"),
    )
    return ModelSettings(trunk="resnet50", network=network, similarity="cosine")


def seqnet() -> ModelSettings:
    """SeqNet's: two res5 parts in sequence, the second scoring people by their embedding's length.

    Source: Li and Miao (AAAI 2021), and its code: RoIAlign 14x14, OIM with a scale of 30, 900 to
    1500 pixels.
    """
    base = oim()
    network = dataclasses.replace(
        base.network,
        sequential=True,
        pools=(PoolSettings(size=(14, 14), kind="align"),),
        head=HeadSettings(body="res5", dropout=0.0, norm_aware=True, normed=True),
        losses=LossSettings(identity="oim", normaliser="valid", oim=OimSettings(scale=30.0)),
    )
    return dataclasses.replace(
        base, network=network, input=dataclasses.replace(base.input, short_side=900, long_side=1500)
    )


def with_pyramid(base: ModelSettings, channels: int = 256) -> ModelSettings:
    """A ResNet or timm model with a feature pyramid under proposals and pooling.

    Anchors of one size on each level, people of three shapes, as in torchvision's detectors.
    """
    network = base.network
    proposals = dataclasses.replace(
        network.proposals,
        channels=channels,
        anchor_sizes=(32, 64, 128, 256, 512),
        anchor_ratios=(1.0, 2.0, 3.0),
    )
    pools = tuple(PoolSettings(source=PYRAMID, size=pool.size, kind="align") for pool in network.pools[:1])
    return dataclasses.replace(
        base,
        trunk_options=dataclasses.replace(base.trunk_options, pyramid=channels),
        network=dataclasses.replace(network, proposals=proposals, pools=pools),
        input=dataclasses.replace(base.input, multiple=32),
    )


def detector(base: ModelSettings) -> ModelSettings:
    """Trunk and proposals of ``base`` alone, trained as a detector: "Deep" of the paper's 5.1."""
    network = dataclasses.replace(base.network, parts="detector", sequential=False)
    return dataclasses.replace(base, network=network)


def embedder(base: ModelSettings, crop: CropSettings | None = None) -> ModelSettings:
    """``base`` without its proposals, describing people cut out: "IDNet" of the paper's 5.1."""
    network = dataclasses.replace(base.network, parts="embedder", sequential=False)
    return dataclasses.replace(base, network=network, crop=crop or base.crop)
