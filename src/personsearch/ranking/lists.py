"""One search of a benchmark as data for people: whom it asked for, who came first, where the person was."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from personsearch.types import Array

Verdict = Literal["right", "again", "loose", "wrong"]
"""The person; the person once more, in a box that scoring counts as wrong; the person in a box that
is too loose to count; somebody else."""
Outcome = Literal["found", "ranked low", "below threshold", "box too loose", "not detected"]
"""What became of one true box; :mod:`personsearch.evaluation.failures` defines the words."""


@dataclass(frozen=True, eq=False, kw_only=True)
class RankedHit:
    """One detection of a ranking.

    Attributes:
        rank: 1 for the best.
        similarity: larger is more alike.
        picture: name of the scene.
        box: (4,) float32 x1 y1 x2 y2.
        score: the detector's.
        verdict: whether it is the person.
    """

    rank: int
    similarity: float
    picture: str
    box: Array
    score: float
    verdict: Verdict


@dataclass(frozen=True, eq=False, kw_only=True)
class Appearance:
    """One true box of the person in the gallery.

    Attributes:
        picture: name of the scene.
        box: (4,) float32.
        outcome: what became of it.
        rank: of the detection that scoring takes for it; 0 if there is none.
        overlap: best overlap with a detection above the threshold.
        needed: overlap that would do.
        score: best score of a detection that overlaps enough; None if none does.
        nearest: (4,) the detection that overlaps it most, whatever its score; None if none does.
    """

    picture: str
    box: Array
    outcome: Outcome
    rank: int
    overlap: float
    needed: float
    score: float | None = None
    nearest: Array | None = None


@dataclass(frozen=True, eq=False, kw_only=True)
class RankList:
    """One query, the first of its ranking, and every place where the person could have been found.

    Attributes:
        query: its number in the protocol, from 0, as in the JSON of the evaluation.
        picture: the scene it is in.
        box: (4,) float32.
        ap: average precision.
        first_hit: rank of the first right answer; 0 for never.
        reason: why it is lost at rank 1, ``"found"`` if it is not.
        pictures, people: entries of the gallery and detections that were ranked.
        hits: the first of the ranking.
        appearances: all true boxes, found or not.
    """

    query: int
    picture: str
    box: Array
    ap: float
    first_hit: int
    reason: str
    pictures: int
    people: int
    hits: tuple[RankedHit, ...]
    appearances: tuple[Appearance, ...]
