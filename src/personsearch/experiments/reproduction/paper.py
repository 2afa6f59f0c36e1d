"""The numbers that the paper prints, as data, and what is known of them.

Source: Xiao et al., End-to-End Deep Learning for Person Search, first version (arXiv 1604.01850v1, 2016).
Shares are in per cent, as printed. Figures 5 and 7 carry points that are not in the text; of them only what
the text says is here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

TABLE1: Mapping[str, tuple[int, int]] = {
    "CUHK-SYSU (the paper's)": (8432, 99809),
    "Market-1501": (1501, 32643),
    "CUHK03": (1360, 13164),
    "VIPeR": (632, 1264),
    "i-LIDS": (119, 476),
    "GRID": (250, 500),
    "CUHK01": (971, 1942),
}
"""Identities and boxes of its data set and the six other ones (table 1)."""

COUNTS: Mapping[str, int] = {
    "pictures": 18184,
    "training pictures": 11206,
    "training identities": 5532,
    "test pictures": 6978,
    "test identities (queries)": 2900,
    "queries of low resolution": 290,
    "occluded queries": 187,
}
"""Of its own data set (3 and 3.1)."""

PEOPLE_A_PICTURE = 5.3
"""Its 3.1 says background people; its own counts, 99,809 boxes in 18,184 pictures, make 5.5 of everybody."""

TABLE2: Mapping[tuple[str, str], tuple[float, float]] = {
    ("acf", "euclidean"): (21.7, 25.9),
    ("acf", "kissme"): (32.3, 38.1),
    ("acf", "bow"): (42.4, 48.4),
    ("acf", "idnet"): (47.3, 53.3),
    ("deep", "euclidean"): (28.0, 33.0),
    ("deep", "kissme"): (39.1, 44.9),
    ("deep", "bow"): (48.3, 54.1),
    ("deep", "idnet"): (52.6, 59.0),
    ("gt", "euclidean"): (41.1, 45.9),
    ("gt", "kissme"): (56.2, 61.9),
    ("gt", "bow"): (62.5, 67.2),
    ("gt", "idnet"): (66.5, 71.1),
}
"""mAP and top-1 by detector and re-id method (table 2)."""

OURS = (55.7, 62.7)
"""mAP and top-1 of its joint network (tables 2 and 3)."""

REPAIRED = (69.7, 73.0)
"""The same model by the repaired evaluator: 69.69 and 72.97 (the authors' repository, issue 13)."""

TABLE3: Mapping[str, Mapping[str, tuple[float, float]]] = {
    "whole": {"deep+kissme": (39.1, 44.9), "acf+bow": (42.4, 48.4), "ours": OURS},
    "occlusion": {"deep+kissme": (18.2, 17.7), "acf+bow": (29.1, 32.1), "ours": (39.7, 43.3)},
    "low-resolution": {"deep+kissme": (43.8, 42.8), "acf+bow": (44.9, 53.8), "ours": (35.7, 42.1)},
}
"""mAP and top-1 by subset of the queries (table 3)."""

FIG6_MAP: Mapping[str, float] = {"softmax": 40.0, "rss": 55.0}
"""Where its test mAP converges, "about": softmax from stage 1, and RSS (5.4)."""

RECALLS = (0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
"""Detection recalls of figure 7a."""
BEST_RECALL = 0.7
"""Where every baseline of figure 7a has its highest top-1 (5.5)."""

GALLERY_SIZES = (50, 100, 500, 1000, 2000, 4000)
"""Of figure 7b. "Drop by half" between the first and the last is all that the text says of its numbers; at
100 the values are those of table 2."""

SPEED_RATIO = 40.0
"""How many times faster its network is than Deep with IDNet, "about" (5.3)."""

JOINT_GAIN = 3.0
"""Points by which joint training is ahead of Deep with IDNet (5.3; 3.1 mAP and 3.7 top-1 in table 2)."""


@dataclass(frozen=True, kw_only=True)
class Said:
    """One claim of the paper's section 5, in our own words.

    Attributes:
        key: as the decisions name it.
        where: section.
        text: the claim.
        rule: when it holds, where that is not "every difference lies on its side of zero".
    """

    key: str
    where: str
    text: str
    rule: str = ""


CLAIMS: tuple[Said, ...] = (
    Said(key="deep-detects", where="5.2", text="Deep finds people better than ACF"),
    Said(
        key="detector", where="5.2", text="a better detector gives better search, whatever the re-id method"
    ),
    Said(key="truth", where="5.2", text="annotated boxes give much better search than detected ones"),
    Said(
        key="order",
        where="5.2",
        text="the order of the re-id methods is the same with every detector",
        rule="holds where each pair of methods is the same way round, for sure, with all three; does not "
        "hold where one pair is one way round for sure with one detector and the other way with another",
    ),
    Said(key="best", where="5.3", text="the joint network is better than every pair without annotated boxes"),
    Said(key="truth-idnet", where="5.3", text="IDNet on annotated boxes is better than the joint network"),
    Said(key="joint", where="5.3", text="joint training is better than Deep and IDNet trained separately"),
    Said(
        key="joint-points",
        where="5.3",
        text="and by about 3 points of mAP",
        rule="holds where the interval lies within 1.5 and 6 points, does not hold where it lies outside",
    ),
    Said(
        key="speed",
        where="5.3",
        text="the joint network is about 40 times faster than Deep with IDNet",
        rule="holds where the interval lies within 40 / 1.5 and 40 x 1.5, does not hold where it lies "
        "outside",
    ),
    Said(
        key="initial-loss",
        where="5.4",
        text="without a good initial point the softmax loss stays high",
        rule="holds where in every seed more than half of the first loss is left over the last half of "
        "stage 2, does not hold where in every seed less is left",
    ),
    Said(key="initial", where="5.4", text="a good initial point raises mAP, with softmax"),
    Said(key="rss", where="5.4", text="RSS is better than softmax from the same initial point"),
    Said(
        key="recall",
        where="5.5",
        text="every baseline has its best top-1 at a detection recall of 70 %",
        rule="holds where 70 % is ahead of the smallest and of the largest recall for sure and behind none "
        "for sure, does not hold where it is behind one for sure",
    ),
    Said(key="gallery", where="5.5", text="top-1 falls as the gallery grows"),
    Said(
        key="gallery-half",
        where="5.5",
        text="and by half from 50 to 4,000 pictures",
        rule="holds where the interval of what is left lies within 40 and 62.5 %, does not hold where one "
        "method's lies outside",
    ),
    Said(key="occlusion", where="5.5", text="occlusion hurts every method"),
    Said(key="small-ours", where="5.5", text="low resolution hurts the joint network"),
    Said(
        key="small-others",
        where="5.5",
        text="low resolution does not hurt the hand-made descriptors",
        rule="does not hold where one of them loses for sure, holds where none can lose as much as 3 points",
    ),
)
"""What section 5 claims, in its order."""
