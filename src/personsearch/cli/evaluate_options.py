"""What ``personsearch evaluate`` can be asked for: the words of the command line."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from personsearch.cli.options import DatasetName


class BoxSource(StrEnum):
    """Whose boxes are described."""

    DETECTED = "detected"
    ANNOTATED = "annotated"


class SubsetName(StrEnum):
    """The searches for people who are hard to see."""

    OCCLUSION = "occlusion"
    LOW_RESOLUTION = "low-resolution"


class CamerasName(StrEnum):
    """Of which cameras the gallery's pictures are."""

    ALL = "all"
    SAME = "same"
    OTHER = "other"


class MatchName(StrEnum):
    """Overlap that finds a person."""

    SIZE_ADAPTIVE = "size-adaptive"
    FIXED = "fixed"


class RepeatedName(StrEnum):
    """A picture that a gallery lists again."""

    FIRST = "first"
    TWICE = "twice"


class PolicyName(StrEnum):
    """The known defects of the protocols."""

    OFFICIAL = "official"
    CLEAN = "clean"


class JunkName(StrEnum):
    """What counts neither way."""

    FIELD = "field"
    PRW = "prw"


class ApName(StrEnum):
    """How average precision is read."""

    STEP = "step"
    TRAPEZOID = "trapezoid"


class SidesName(StrEnum):
    """What a box's far sides are."""

    CONTINUOUS = "continuous"
    INCLUSIVE = "inclusive"


FeaturesOption = Annotated[
    Path | None,
    typer.Option(
        "--features",
        help="Score this features file, of any method, instead of a model.",
        show_default=False,
    ),
]
ModelOption = Annotated[
    str | None,
    typer.Option(
        "--model",
        "-m",
        metavar="DIR|DETECTOR+EMBEDDER",
        help="Folder of the model, as `train` wrote it, or two parts such as acf+bow or gt+idnet.",
        show_default=False,
    ),
]
DatasetOption = Annotated[
    DatasetName | None,
    typer.Option(
        "--dataset",
        help="Layout of the data set. Default: the annotation in --features, else cuhk-sysu.",
        case_sensitive=False,
        show_default=False,
    ),
]
RootOption = Annotated[
    Path | None, typer.Option("--root", help="Folder of the data set.", show_default=False)
]
GallerySizeOption = Annotated[
    str | None,
    typer.Option(
        "--gallery-size",
        metavar="N|full",
        help="Pictures a query is looked for in. Default: the field's (CUHK-SYSU 100, others full).",
        show_default=False,
    ),
]
AllSizesOption = Annotated[
    bool, typer.Option("--all-sizes", help="Every gallery size of the data set, a line each.")
]
CamerasOption = Annotated[
    CamerasName, typer.Option("--cameras", help="Look only in pictures of all, the same or other cameras.")
]
SubsetOption = Annotated[
    SubsetName | None,
    typer.Option(
        "--subset",
        help="Instead of a gallery size: searches for people who are hard to see.",
        show_default=False,
    ),
]
JunkOption = Annotated[
    JunkName, typer.Option("--junk", help="prw: PRW's own rule, same camera and nameless people out.")
]
QueryBoxOption = Annotated[
    BoxSource,
    typer.Option(
        "--query-box",
        help="What describes a query: its annotated box, or the detection that overlaps it most.",
    ),
]
BoxesOption = Annotated[
    BoxSource,
    typer.Option("--boxes", help="With --model: annotated is an upper bound in which nobody is missed."),
]
LimitOption = Annotated[
    int | None,
    typer.Option("--limit-queries", min=1, help="Only the first N queries.", show_default=False),
]
ThresholdOption = Annotated[
    float, typer.Option("--det-threshold", help="Detections with a lower score count as not made.")
]
MatchOption = Annotated[
    MatchName, typer.Option("--match-iou", help="Overlap that finds a person; fixed is 0.5.")
]
RepeatedOption = Annotated[
    RepeatedName, typer.Option("--repeated", help="Pictures that a gallery lists again: search them twice?")
]
PolicyOption = Annotated[
    PolicyName, typer.Option("--policy", help="clean: every known defect of the protocols repaired.")
]
ApOption = Annotated[
    ApName, typer.Option("--ap", help="trapezoid: average precision as before 2017, for old numbers.")
]
SidesOption = Annotated[
    SidesName, typer.Option("--box-sides", help='inclusive: boxes a pixel larger ("+1"), as PRW\'s authors.')
]
JunkOverlapOption = Annotated[
    float | None,
    typer.Option(
        "--junk-overlap",
        help="Detections that overlap the person by this, but too little to match, count neither way.",
        show_default=False,
    ),
]
ContextOption = Annotated[
    str | None,
    typer.Option(
        "--context-matching", metavar="K1,K2", help="CBGM re-ranking, e.g. 10,3.", show_default=False
    ),
]
KReciprocalOption = Annotated[
    str | None,
    typer.Option(
        "--k-reciprocal",
        metavar="K1,K2,WEIGHT",
        help="Re-ranking by shared neighbours, e.g. 20,6,0.3.",
        show_default=False,
    ),
]
DetectionOption = Annotated[bool, typer.Option("--detection", help="Score detection instead of search.")]
IouOption = Annotated[
    float | None,
    typer.Option("--iou", help="With --detection: overlap of a right one. Default: 0.5.", show_default=False),
]
LabelledOption = Annotated[
    bool,
    typer.Option("--labelled-only", help="With --detection: only people with an identity are to be found."),
]
HeightOption = Annotated[
    float | None,
    typer.Option(
        "--min-height",
        min=0,
        help="With --detection: people less high than this, in pixels, count neither way.",
        show_default=False,
    ),
]
CocoOption = Annotated[bool, typer.Option("--coco", help="With --detection: COCO's average precision, too.")]
CompareOption = Annotated[
    Path | None,
    typer.Option(
        "--compare",
        metavar="FILE",
        help="Another features file (.npz) or scores (.json): query by query against it.",
        show_default=False,
    ),
]
FailuresOption = Annotated[
    bool, typer.Option("--failures", help="Why queries were lost, by height, visible share and camera.")
]
OpenSetOption = Annotated[
    bool,
    typer.Option(
        "--open-set", help="How often the right person is named at a false-alarm rate of 0.1, 1 and 10 %."
    ),
]
ReliabilityOption = Annotated[
    bool,
    typer.Option(
        "--reliability",
        help="Are answers as often right as their probability says? By --model's calibration, "
        "else by one that is fitted on other people.",
    ),
]
ReportOption = Annotated[
    Path | None,
    typer.Option(
        "--report",
        metavar="FILE.html",
        help="Page of the best, middle and worst queries in pictures, with charts of what was asked.",
        show_default=False,
    ),
]
FeaturesOutOption = Annotated[
    Path | None,
    typer.Option(
        "--features-out",
        metavar="FILE.npz",
        help="Write features and annotation as one file that can be scored by itself.",
        show_default=False,
    ),
]
OutOption = Annotated[
    Path | None,
    typer.Option(
        "--out",
        "-o",
        help="Folder of features and figures. Default: `evaluation` in the model's folder, if it has one.",
        show_default=False,
    ),
]
