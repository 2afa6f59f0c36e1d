"""What evaluators of person search differ in, each difference with a name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from personsearch.evaluation.iou_rule import BoxSides, MatchIou
from personsearch.evaluation.metrics import ApReading
from personsearch.ranking.kreciprocal import KReciprocalRules

Repeated = Literal["twice", "first"]
Policy = Literal["official", "clean"]


@dataclass(frozen=True, kw_only=True)
class Policies:
    """What is done about each known defect of the field's protocols (:attr:`SearchRules.policies`).

    Attributes:
        repeated_picture: a gallery lists one picture more than once. ``"twice"``: it is
            searched as often as it is listed, each time with the boxes of that entry.
            ``"first"``: only the first entry is searched; the true box of a later one counts
            as missed, which no searcher can help. ``"once"``: it is searched once, with the
            true and the ignored boxes of all its entries.
        own_picture: the query's own picture is in its gallery. ``"kept"``: as any other
            picture, so a query may find itself. ``"dropped"``: with its true boxes.
        several_boxes: an entry has several boxes of the person. ``"first"``: the first is
            the only one. ``"each"``: each is to be found (the same box once), by a detection
            of its own: the most similar detection chooses first, and of the boxes it overlaps
            enough and that are still free it takes the one it overlaps most.
        without_positives: nobody is to be found. ``"zero"``: average precision 0 (the field's
            evaluators give 0 or divide by zero). ``"left out"``: the query counts in no
            mean; its average precision and recall are NaN.
    """

    repeated_picture: Literal["twice", "first", "once"]
    own_picture: Literal["kept", "dropped"]
    several_boxes: Literal["first", "each"]
    without_positives: Literal["zero", "left out"]


@dataclass(frozen=True, kw_only=True)
class SearchRules:
    """What evaluators differ in. The defaults are those of the first and most cited one.

    Attributes:
        det_threshold: detections with a lower score do not exist.
        match_iou: overlap that finds a person: ``"size-adaptive"``, or ``"fixed"`` at 0.5.
        repeated: a picture that a gallery lists again is searched ``"twice"``, or only the
            ``"first"`` time (its person is counted as missed the second time, as SeqNet's
            evaluator and its descendants do). ``policy="clean"`` does neither.
        ap: how average precision is read.
        policy: ``"official"`` reproduces the field, defects included; ``"clean"`` repairs
            every known one. :attr:`policies` names them.
        box_sides: ``"continuous"``, or ``"inclusive"``: x2 and y2 are the last pixel of the
            box, so every box is a pixel wider and higher ("+1").
        junk_overlap: a detection that overlaps the true box by this or more, but not
            enough to be right, leaves the ranking; None: it is wrong like any other.
        context: k1 and k2 of context matching (CBGM), None: none. The people around a query
            are as the features file has them, whatever ``det_threshold``.
        k_reciprocal: how the best of every query are put in order anew, None: not at all.
    """

    det_threshold: float = 0.5
    match_iou: MatchIou = "size-adaptive"
    repeated: Repeated = "twice"
    ap: ApReading = "step"
    policy: Policy = "official"
    box_sides: BoxSides = "continuous"
    junk_overlap: float | None = None
    context: tuple[int, int] | None = None
    k_reciprocal: KReciprocalRules | None = None

    def __post_init__(self) -> None:
        for name, choices in (
            ("match_iou", MatchIou),
            ("repeated", Repeated),
            ("ap", ApReading),
            ("policy", Policy),
            ("box_sides", BoxSides),
        ):
            if getattr(self, name) not in get_args(choices):
                allowed = ", ".join(get_args(choices))
                raise ValueError(f"{name} is one of {allowed}, got {getattr(self, name)!r}")
        if self.junk_overlap is not None and not 0 < self.junk_overlap <= 1:
            raise ValueError(f"junk_overlap is an overlap, got {self.junk_overlap}")
        if self.context is not None and (len(self.context) != 2 or min(self.context) < 1):
            raise ValueError(f"context is k1 and k2, both positive, got {self.context}")
        if self.context is not None and self.k_reciprocal is not None:
            raise ValueError("context matching and k-reciprocal re-ranking exclude each other")

    @property
    def policies(self) -> Policies:
        """What is done about each known defect of the protocols."""
        if self.policy == "clean":
            return Policies(
                repeated_picture="once",
                own_picture="dropped",
                several_boxes="each",
                without_positives="left out",
            )
        return Policies(
            repeated_picture=self.repeated,
            own_picture="kept",
            several_boxes="first",
            without_positives="zero",
        )


OFFICIAL = SearchRules()
"""The rules of the field, where nobody says otherwise."""


def rules_of_prw(det_threshold: float = 0.5) -> SearchRules:
    """How PRW's own authors score, which nobody after them did: for trials with their junk in them.

    Boxes with inclusive sides, an overlap of 0.5 finds whatever the size, from 0.3 to 0.5 is
    junk, average precision by trapezoids. The rest of their rule is about who is looked
    for where: :func:`personsearch.protocols.junk_of_prw`. Of several detections that
    overlap a true box enough the most similar is right and the others are wrong, as
    everywhere here.

    Source: Zheng et al., Person Re-identification in the Wild, CVPR 2017, and its baseline code.
    """
    return SearchRules(
        det_threshold=det_threshold,
        match_iou="fixed",
        ap="trapezoid",
        box_sides="inclusive",
        junk_overlap=0.3,
    )
