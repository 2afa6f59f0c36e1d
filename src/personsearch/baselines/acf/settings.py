"""What a detector of aggregated channel features is made of, and how it is trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from personsearch.errors import UsageError

CELL = 4
"""Pixels a side of the square blocks over which channels are averaged (the paper's shrinkage)."""


@dataclass(frozen=True, kw_only=True)
class AcfSettings:
    """Sizes, shares and thresholds; the same settings, scenes and seed give the same bytes.

    The window of 32 x 64 pixels around a person of 50 is the paper's for small people: nothing
    has to be enlarged to find somebody who is 50 pixels high. (Its other model, 64 x 128 around
    100, sees more of large people; with ``octaves_up=1`` it finds small ones at four times the cost.)

    Attributes:
        seed: of every drawing.
        window: (width, height) in pixels that a decision looks at; multiples of 4.
        person_height: how high, in pixels, the person in the middle of the window is.
        octaves_up: how often the picture is doubled before the search; people from
            ``person_height / 2**octaves_up`` pixels up are found.
        scales_per_octave: scales between a size and its half.
        trees: of the bootstrapping rounds, first to last.
        feature_share: of the features, that a tree may choose from.
        pictures: training pictures that are looked at, at most; drawn where there are more.
        held_out: share of them that no tree sees, for the curve from sums to probabilities.
        min_height: people lower than this, in pixels, are neither sought nor background.
        least_visible: nor are people of whom less than this share can be seen.
        views: cut-outs of a person, each of them mirrored, too; from the second on shifted a little.
        positives: cut-outs of people, at most.
        negatives, negatives_added, negatives_per_picture: cut-outs of background: those kept,
            those sought in a round, and those from one picture, at most.
        negative_overlap: background overlaps nobody by more than this.
        cascade_threshold: a window whose sum falls to this or below after any tree is background.
        cascade_slack: added to every leaf, so that fewer people are lost on the way.
        nms_overlap: of two people detected, overlapping by more than this share of the smaller
            box, the better one stays.

    Sources: Dollár, Appel, Belongie and Perona, Fast Feature Pyramids for Object Detection
    (TPAMI 2014), section 6.1 for the detector. Views that are shifted, and the mirrored ones, are
    ours where data are few; the paper mirrors.
    """

    seed: int = 0
    window: tuple[int, int] = (32, 64)
    person_height: float = 50.0
    octaves_up: int = 0
    scales_per_octave: int = 8
    trees: tuple[int, ...] = (32, 128, 512, 2048)
    feature_share: float = 1 / 16
    pictures: int = 2000
    held_out: float = 0.1
    min_height: float = 50.0
    least_visible: float = 0.5
    views: int = 2
    positives: int = 16_000
    negatives: int = 10_000
    negatives_added: int = 5000
    negatives_per_picture: int = 25
    negative_overlap: float = 0.1
    cascade_threshold: float = -1.0
    cascade_slack: float = 0.005
    nms_overlap: float = 0.65

    def __post_init__(self) -> None:
        width, height = self.window
        cells = width > 0 and height > 0 and width % CELL == 0 and height % CELL == 0
        counts = (
            self.scales_per_octave,
            self.pictures - 1,
            self.views,
            self.positives,
            self.negatives,
            self.negatives_added,
            self.negatives_per_picture,
            len(self.trees),
            *self.trees,
        )
        wrong = (
            ("window", not cells),
            ("person_height", not 0 < self.person_height <= height),
            ("octaves_up", not 0 <= self.octaves_up <= 2),
            ("counts", min(counts) < 1),
            ("feature_share", not 0 < self.feature_share <= 1),
            ("held_out", not 0 < self.held_out < 1),
            ("least_visible", not 0 <= self.least_visible <= 1),
            ("negative_overlap", not 0 <= self.negative_overlap <= 1),
            ("nms_overlap", not 0 <= self.nms_overlap <= 1),
            ("cascade_threshold", not self.cascade_threshold < 0),
            ("cascade_slack", not 0 <= self.cascade_slack <= 1),
        )
        for name, is_wrong in wrong:
            if is_wrong:
                told = "every count must be 1 or more" if name == "counts" else getattr(self, name)
                raise UsageError(f"a detector of this {name} cannot be meant: {told}", hint="see AcfSettings")

    @property
    def cells(self) -> tuple[int, int]:
        """(rows, columns) of cells in a window."""
        return self.window[1] // CELL, self.window[0] // CELL

    def to_json(self) -> dict[str, Any]:
        """The settings as JSON knows them; whole numbers given for others are written as such."""
        kinds: dict[str, Any] = {field.name: type(field.default) for field in fields(self)}
        return {
            name: list(value) if kinds[name] is tuple else kinds[name](value)
            for name, value in asdict(self).items()
        }

    @staticmethod
    def from_json(values: Mapping[str, Any]) -> AcfSettings:
        """The settings that :meth:`to_json` gave; all of them, and nothing else.

        Raises:
            UsageError: they are not.
        """
        known = {field.name: field for field in fields(AcfSettings)}
        odd = sorted(set(known) ^ set(values))
        if odd:
            raise UsageError(
                f"setting {odd[0]} is missing or unknown", hint="it was written by another version?"
            )
        given: dict[str, Any] = {}
        for name, field in known.items():
            value: Any = values[name]
            default: Any = field.default
            if isinstance(default, tuple):
                right = isinstance(value, list) and all(type(one) is int for one in value)
                right = right and (name != "window" or len(value) == 2)
            else:
                right = type(value) is type(default) or (type(default) is float and type(value) is int)
            if not right:
                raise UsageError(f"setting {name} cannot be {value!r}", hint="the file was changed by hand?")
            given[name] = tuple(value) if isinstance(default, tuple) else type(default)(value)
        return AcfSettings(**given)
