"""What the network is made of beside its trunk, as frozen values; a variant is ``dataclasses.replace``."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from personsearch.model.head import HeadSettings
from personsearch.model.losses.oim import OimSettings
from personsearch.model.losses.softmax import Normaliser
from personsearch.model.pooling import PoolSettings
from personsearch.model.proposals import ProposalSettings
from personsearch.model.sampling import RoiSettings

Identity = Literal["rss", "softmax", "margin", "oim", "triplet"]


@dataclass(frozen=True, kw_only=True)
class LossSettings:
    """The identity loss.

    Attributes:
        identity: ``"rss"`` (the paper's), the plain ``"softmax"``, the softmax of scaled cosines
            with a ``"margin"`` (wants ``HeadSettings.cosine_scale``), ``"oim"``, which has a
            table in the place of the classifier, or ``"triplet"``. The last two say nothing
            about background, so people need a score of their own (``separate_score`` or
            ``norm_aware``).
        k: classes sampled by RSS; min(k, C+1) is used.
        correction: of the odds that RSS shifts towards people (``losses/rss.py``): ``"training"``
            within the loss, ``"test"`` when people are scored by the classifier. The paper and
            the authors' code have ``"none"``.
        normaliser: by what the identity loss is divided: ``"valid"`` RoIs, those with a
            label, or the ``"batch"`` of all RoIs, as the authors' code has it; the text speaks of
            one RoI only.
        identity_weight: against the other losses; the paper sums with weight 1.
        margin: of the cosine, for ``"margin"``.
        oim: table and queue.
        triplet_margin: of the distance between unit vectors.
        triplet_weight: of a triplet loss beside another identity loss; 0 for none.
    """

    identity: Identity = "rss"
    k: int = 100
    correction: Literal["none", "training", "test"] = "none"
    normaliser: Normaliser = "batch"
    identity_weight: float = 1.0
    margin: float = 0.35
    oim: OimSettings = field(default_factory=OimSettings)
    triplet_margin: float = 0.3
    triplet_weight: float = 0.0


@dataclass(frozen=True, kw_only=True)
class DetectSettings:
    """What is kept of a picture at test time; the defaults are the authors'.

    Attributes:
        min_score: weaker people are dropped.
        nms: overlap above which the weaker of two boxes goes.
        limit: people kept a picture.
        describe_refined: describe people at their refined boxes (a second, small pass of
            the re-id part) rather than at the proposals they came from. The paper's single
            pass describes proposals, while a query is described at its exact box.
    """

    min_score: float = 0.05
    nms: float = 0.4
    limit: int = 100
    describe_refined: bool = False


@dataclass(frozen=True, kw_only=True)
class NetworkSettings:
    """Everything that shapes the network beside its trunk.

    Attributes:
        parts: ``"joint"`` is the whole network. ``"detector"`` leaves the re-id part away: trunk
            and proposals, trained as a detector ("Deep" of the paper's 5.1). ``"embedder"``
            leaves the proposals away: it describes crops ("IDNet").
        sequential: two re-id parts, one after the other: the first tells people from
            background and refines their boxes, the second describes and scores them there.
            Source: Li and Miao, Sequential End-to-end Network for Efficient Person Search
            (AAAI 2021).
    """

    parts: Literal["joint", "detector", "embedder"] = "joint"
    sequential: bool = False
    proposals: ProposalSettings = field(default_factory=ProposalSettings)
    rois: RoiSettings = field(default_factory=RoiSettings)
    pools: tuple[PoolSettings, ...] = (PoolSettings(),)
    head: HeadSettings = field(default_factory=HeadSettings)
    losses: LossSettings = field(default_factory=LossSettings)
    detect: DetectSettings = field(default_factory=DetectSettings)

    def contradiction(self) -> str:
        """Why no network can be built from these settings; empty when one can."""
        identity, head = self.losses.identity, self.head
        own_score = head.separate_score or head.norm_aware
        if self.parts == "joint" and identity in ("oim", "triplet") and not own_score:
            return f"identity loss {identity} does not teach background: it needs a score of its own"
        if self.parts != "detector" and identity == "margin" and not head.cosine_scale:
            return "identity loss margin needs a cosine classifier (cosine_scale)"
        if self.losses.correction != "none" and identity != "rss":
            return f"identity loss {identity} has no odds to correct"
        if self.losses.correction == "test" and own_score:
            return "people with a score of their own are not scored by the classifier that is to be corrected"
        if self.sequential and self.parts != "joint":
            return f"a network of the {self.parts} alone has no two parts to run one after the other"
        if head.dim < 1 and self.parts != "detector":
            return "an embedding needs at least one number"
        return ""
