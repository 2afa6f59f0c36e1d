"""Why was somebody not found? One exactly defined reason for every query, and where the reasons gather."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from personsearch.errors import DatasetError
from personsearch.evaluation.bands import HEIGHTS, UNKNOWN, VISIBLE, Groups, bands, named, share_interval
from personsearch.evaluation.iou_rule import match_thresholds, paired_iou, with_sides
from personsearch.evaluation.search import score_search
from personsearch.evaluation.search_rules import SearchRules
from personsearch.evaluation.search_tables import SearchFeatures, ranges
from personsearch.ranking.bootstrap import Interval
from personsearch.types import Array, Scene, SearchScores, Trials

REASONS = ("found", "ranked low", "below threshold", "box too loose", "not detected", "nobody to find")
"""What became of a query, from best to worst: :class:`FailureSplit` says what each means."""
FOUND, RANKED_LOW, BELOW, LOOSE, NOT_DETECTED, NOBODY = range(len(REASONS))
LEAST_OVERLAP = 0.1
"""Overlap from which a badly placed box still counts as meant for the person."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Appearances:
    """Every true box that a query could have found, and what became of it: A rows, by query.

    Attributes:
        query, entry, scene: (A,) int64 rows in the trials.
        box: (A, 4) float32.
        reason: (A,) int8: ``FOUND`` means detected here (a matching box is in the ranking, at
            whatever rank), else ``BELOW``, ``LOOSE`` or ``NOT_DETECTED``.
        needed: (A,) overlap from which a detection matches.
        overlap: (A,) the best overlap with any detection above the threshold; 0 for none.
        score: (A,) the best score of a detection that matches, above the threshold or below; NaN
            for none.
        visible: (A,) share of the body that can be seen; NaN where unknown.
        loose_row, loose_detection: (L,) int64, which detections (rows of the features) are loose
            boxes on which of these appearances.
    """

    query: Array
    entry: Array
    scene: Array
    box: Array
    reason: Array
    needed: Array
    overlap: Array
    score: Array
    visible: Array
    loose_row: Array
    loose_detection: Array


@dataclass(frozen=True, kw_only=True)
class FailureCell:
    """Queries, or appearances, that have something in common.

    Attributes:
        of: ``"query"`` or ``"appearance"``.
        by: what they have in common, e.g. ``"query height"``.
        value: and what that is, e.g. ``"50 to 100 px"``.
        n: how many they are; none of them without somebody to find.
        counts: how many of them for each of ``REASONS`` but the last, in that order.
        lost: share that is not found, with its Wilson interval
            (:func:`~personsearch.evaluation.bands.share_interval` says why).
    """

    of: str
    by: str
    value: str
    n: int
    counts: tuple[int, ...]
    lost: Interval


@dataclass(frozen=True, eq=False, kw_only=True)
class FailureSplit:
    """For every query the reason it was lost. A query is lost if no right answer is among its first ``k``.

    Every appearance of the person in the gallery is looked at (those that the policies of the
    rules leave to be found); the reason is that of the appearance which came nearest to success:

    - *ranked low*: a detection above the threshold matches it, but ranks behind ``k`` others;
    - *below threshold*: a detection would match, but its score is under the detection threshold;
    - *box too loose*: a detection above the threshold overlaps it by 0.1 or more, yet by less than
      a match needs, and overlaps no other annotated person of the picture more;
    - *not detected*: none of these.

    *Nobody to find* are queries without any true box in the entries that are searched; they
    are in no cell.

    Attributes:
        protocol, k: which searches, and within how many answers.
        reason: (Q,) int8, index into ``REASONS``.
        appearances: all of them.
        cells: all queries first, then the splits, then the same of all appearances. Splits of
            queries by truth use the tallest true box and the largest known visible share:
            what would have been easiest to find. A split of which nothing is known is left out.
        lowest_score: the smallest score among the features' detections; if it is not below the
            threshold, they were cut before, and *below threshold* shows as *not detected*.
        det_threshold: the threshold.
    """

    protocol: str
    k: int
    reason: Array
    appearances: Appearances
    cells: tuple[FailureCell, ...]
    lowest_score: float
    det_threshold: float

    @property
    def threshold_hides(self) -> bool:
        """Whether the features were cut at the threshold, so that *below threshold* cannot be told."""
        return not self.lowest_score < self.det_threshold

    def rows(self, of: str | None = None) -> list[dict[str, Any]]:
        """A flat line for each cell, for a table or for JSON; only those ``of`` queries or appearances."""
        return [
            {
                "of": cell.of,
                "by": cell.by,
                "value": cell.value,
                "n": cell.n,
                **{
                    name.replace(" ", "_"): count
                    for name, count in zip(REASONS[:NOBODY], cell.counts, strict=True)
                },
                "lost": cell.lost.mean,
                "low": cell.lost.low,
                "high": cell.lost.high,
            }
            for cell in self.cells
            if of in (None, cell.of)
        ]

    def to_json(self) -> dict[str, Any]:
        """Everything that a JSON file keeps: the cells and the reason of each query."""
        return {
            "schema": "personsearch.failures/1",
            "protocol": self.protocol,
            "k": self.k,
            "det_threshold": self.det_threshold,
            "below_threshold_known": not self.threshold_hides,
            "reason_per_query": [REASONS[code] for code in self.reason],
            "cells": self.rows(),
        }


def split_failures(
    trials: Trials,
    features: SearchFeatures,
    rules: SearchRules,
    scenes: Sequence[Scene],
    k: int = 1,
    *,
    scores: SearchScores | None = None,
) -> FailureSplit:
    """Why each query of ``trials`` has no right answer among the first ``k``.

    :class:`FailureSplit` defines the reasons.

    Args:
        scenes: annotation of the pictures, for who else is in them, how much of people can be
            seen, and the cameras; what it does not say is split as "not known".
        scores: what :func:`score_search` gave for the same ``trials``, ``features`` and
            ``rules``, if it is at hand: it is the larger part of the work.

    Raises:
        DatasetError: a gallery names a picture that ``features`` do not have.
        ValueError: ``scores`` of other searches, ``k`` below 1.
    """
    if k < 1:
        raise ValueError(f"k must be positive, got {k}")
    scores = score_search(trials, features, rules) if scores is None else scores
    if len(scores.first_hit) != len(trials) or scores.protocol != trials.name:
        raise ValueError(f"scores of {scores.protocol!r} do not belong to {trials.name!r}")
    annotated = _Annotation(trials, scenes)
    seen = _appearances(trials, features, rules, annotated)
    reason = np.full(len(trials), NOBODY, np.int8)
    np.minimum.at(reason, seen.query, seen.reason)
    reason[(reason == FOUND) | (scores.first_hit > k)] = RANKED_LOW  # detected, at some rank
    reason[(scores.first_hit >= 1) & (scores.first_hit <= k)] = FOUND
    return FailureSplit(
        protocol=trials.name,
        k=k,
        reason=reason,
        appearances=seen,
        cells=(*_query_cells(trials, reason, seen, annotated), *_appearance_cells(seen, annotated)),
        lowest_score=float(np.min(features.det_score)) if len(features.det_score) else float("inf"),
        det_threshold=rules.det_threshold,
    )


class _Annotation:
    """Boxes, visible shares and cameras of the trials' pictures, as columns."""

    def __init__(self, trials: Trials, scenes: Sequence[Scene]) -> None:
        of = {scene.name: scene for scene in scenes}
        listed = [of[name] if name in of else Scene(name) for name in trials.scenes]
        self.ptr = np.concatenate([[0], np.cumsum([len(scene) for scene in listed], dtype=np.int64)])
        self.box = np.concatenate([np.zeros((0, 4), np.float32), *(scene.boxes for scene in listed)])
        self.visible = np.concatenate(
            [np.zeros(0, np.float32), *(np.asarray(scene.visible) for scene in listed)]
        )
        self.camera = np.array([scene.camera or "" for scene in listed], np.str_)

    def pairs(self, scene: Array, box: Array) -> tuple[Array, Array, Array]:
        """Each ``box[i]`` with everybody annotated in ``scene[i]``: i, row of the annotation, overlap."""
        start, stop = self.ptr[scene], self.ptr[scene + 1]
        row, i = ranges(start, stop), np.repeat(np.arange(len(scene)), stop - start)
        return i, row, paired_iou(box[i], self.box[row])

    def visible_of(self, scene: Array, box: Array) -> Array:
        """(n,) visible share of the annotated person whom each box overlaps best, by half at least."""
        i, row, overlap = self.pairs(scene, box)
        order = np.lexsort((row, -overlap, i))
        order = order[np.unique(i[order], return_index=True)[1]]
        order = order[overlap[order] >= 0.5]
        visible = np.full(len(scene), np.nan)
        visible[i[order]] = self.visible[row[order]]
        return visible


def _appearances(
    trials: Trials, features: SearchFeatures, rules: SearchRules, annotated: _Annotation
) -> Appearances:
    entry, truth = _searched(trials, rules)
    scene = trials.entry_scene[entry].astype(np.int64)
    truth_sides = with_sides(truth, rules.box_sides)
    threshold = match_thresholds(truth_sides, rules.match_iou)
    start, stop = _detections(trials, features, scene)
    row, of = ranges(start, stop), np.repeat(np.arange(len(entry)), stop - start)
    box = with_sides(np.asarray(features.det_box, np.float32)[row], rules.box_sides)
    score = np.asarray(features.det_score)[row]
    overlap = paired_iou(box, truth_sides[of])
    above, matches = score >= np.float32(rules.det_threshold), overlap >= threshold[of]

    def any_of(pairs: Array) -> Array:
        found = np.zeros(len(entry), bool)
        found[of[pairs]] = True
        return found

    loose = np.flatnonzero(above & ~matches & (overlap >= LEAST_OVERLAP))
    loose = loose[~_of_another(annotated, scene[of[loose]], box[loose], overlap[loose])]
    reason = np.full(len(entry), NOT_DETECTED, np.int8)
    reason[any_of(loose)] = LOOSE
    reason[any_of(np.flatnonzero(matches & ~above))] = BELOW
    reason[any_of(np.flatnonzero(matches & above))] = FOUND
    best, best_score = np.zeros(len(entry)), np.full(len(entry), np.nan)
    np.maximum.at(best, of[above], overlap[above])
    np.fmax.at(best_score, of[matches], score[matches])
    return Appearances(
        query=np.searchsorted(trials.entry_ptr, entry, "right") - 1,
        entry=entry,
        scene=scene,
        box=truth,
        reason=reason,
        needed=threshold,
        overlap=best,
        score=best_score,
        visible=annotated.visible_of(scene, truth),
        loose_row=of[loose],
        loose_detection=row[loose],
    )


def _searched(trials: Trials, rules: SearchRules) -> tuple[Array, Array]:
    """The true boxes that the policies leave to be found: entry and box of each, ascending."""
    policies, n = rules.policies, max(1, len(trials.scenes))
    row = np.arange(len(trials.truth_box))
    entry = np.searchsorted(trials.truth_ptr, row, "right") - 1
    query = np.searchsorted(trials.entry_ptr, entry, "right") - 1
    scene = trials.entry_scene[entry]
    kept = np.ones(len(row), bool)
    if policies.several_boxes == "first":
        kept &= row == trials.truth_ptr[entry]
    if policies.own_picture == "dropped":
        kept &= scene != trials.query_scene[query]
    if policies.repeated_picture == "first":
        owner = np.repeat(np.arange(len(trials)), np.diff(trials.entry_ptr))
        first = np.unique(owner * n + trials.entry_scene, return_index=True)[1]
        kept &= np.isin(entry, first)
    if policies.repeated_picture == "once":  # the same box of one picture is one place
        named = np.column_stack([query * n + scene, trials.truth_box.astype(np.float64)])
        kept &= np.isin(row, np.unique(named, axis=0, return_index=True)[1])
    return entry[kept], np.asarray(trials.truth_box[kept], np.float32)


def _detections(trials: Trials, features: SearchFeatures, scene: Array) -> tuple[Array, Array]:
    """Rows ``start:stop`` of everybody detected in each of ``scene``."""
    row_of = {name: row for row, name in enumerate(features.scenes)}
    rows = np.array([row_of.get(name, -1) for name in trials.scenes], np.int64)
    missing = scene[rows[scene] < 0]
    if len(missing):
        raise DatasetError(
            f"the features hold nothing of {trials.scenes[missing[0]]}",
            hint="they were made for other pictures; make them again for this data set",
        )
    return np.asarray(features.det_ptr)[rows[scene]], np.asarray(features.det_ptr)[rows[scene] + 1]


def _of_another(annotated: _Annotation, scene: Array, box: Array, overlap: Array) -> Array:
    """(n,) bool: each detected box overlaps somebody else in its picture more than ``overlap``."""
    i, _, shared = annotated.pairs(scene, box)
    most = np.zeros(len(scene), np.result_type(shared, overlap))
    np.maximum.at(most, i, shared)
    other: Array = most > overlap
    return other


def _query_cells(
    trials: Trials, reason: Array, seen: Appearances, annotated: _Annotation
) -> list[FailureCell]:
    scene = trials.query_scene.astype(np.int64)
    tallest, clearest = np.full(len(trials), np.nan), np.full(len(trials), np.nan)
    np.fmax.at(tallest, seen.query, _heights(seen.box))
    np.fmax.at(clearest, seen.query, seen.visible)
    camera = annotated.camera[scene]
    here = np.zeros(len(trials), bool)
    here[seen.query[annotated.camera[seen.scene] == camera[seen.query]]] = True
    reach = np.where(camera == "", "", np.where(here, "own camera too", "other cameras only"))
    splits = {
        "all": named(["all"] * len(trials)),
        "query height": bands(_heights(trials.query_box), HEIGHTS, " px"),
        "query visible": bands(annotated.visible_of(scene, trials.query_box), VISIBLE, "%"),
        "truth height": bands(tallest, HEIGHTS, " px"),
        "truth visible": bands(clearest, VISIBLE, "%"),
        "query camera": named(camera.tolist()),
        "truth camera": named(reach.tolist()),
    }
    kept = reason != NOBODY
    return _all_cells("query", {by: one.take(kept) for by, one in splits.items()}, reason[kept])


def _appearance_cells(seen: Appearances, annotated: _Annotation) -> list[FailureCell]:
    splits = {
        "all": named(["all"] * len(seen.query)),
        "height": bands(_heights(seen.box), HEIGHTS, " px"),
        "visible": bands(seen.visible, VISIBLE, "%"),
        "camera": named(annotated.camera[seen.scene].tolist()),
    }
    return _all_cells("appearance", splits, seen.reason)


def _all_cells(of: str, splits: Mapping[str, Groups], reason: Array) -> list[FailureCell]:
    """The cells of every split; one of which nothing is known is no split."""
    kept = {by: groups for by, groups in splits.items() if {name for name, _ in groups} != {UNKNOWN}}
    return [cell for by, groups in kept.items() for cell in _cells(of, by, groups, reason)]


def _cells(of: str, by: str, groups: Groups, reason: Array) -> list[FailureCell]:
    cells = []
    for value, rows in groups:
        counts = np.bincount(reason[rows], minlength=len(REASONS))[:NOBODY]
        lost = share_interval(len(rows) - int(counts[FOUND]), len(rows))
        cells.append(
            FailureCell(of=of, by=by, value=value, n=len(rows), counts=tuple(counts.tolist()), lost=lost)
        )
    return cells


def _heights(boxes: Array) -> Array:
    height: Array = np.asarray(boxes[:, 3] - boxes[:, 1], np.float64)
    return height
