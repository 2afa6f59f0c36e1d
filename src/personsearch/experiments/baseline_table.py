"""The paper's Table 2 on any data set: detectors by re-id methods, and the joint network beside them.

Rows are ACF, Deep and the annotated boxes (GT), columns the four re-id methods (paper 5.1-5.2); beside it
the detectors' precision-recall curves (its Fig. 5), and whether the order that the paper found holds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from personsearch.baselines.ground_truth import GroundTruth
from personsearch.baselines.open import TRAINED_EMBEDDERS, Where, open_detector, open_embedder
from personsearch.baselines.two_stage import Detector
from personsearch.datasets.dataset import Dataset, GallerySize
from personsearch.evaluation.detection import DetectionRules, judge_detections, score_detection
from personsearch.evaluation.search_rules import SearchRules
from personsearch.experiments.assembled import Stopwatch, look, timed_scenes
from personsearch.experiments.baseline_order import Claim, check_order
from personsearch.experiments.benchmark import Evaluation, Protocol, describe, evaluate, evaluation_record
from personsearch.features import Features
from personsearch.progress import Progress, silent
from personsearch.ranking.bootstrap import Interval, mean_interval
from personsearch.types import Array, DetectionScores, Embedder, Searcher

DETECTORS = ("acf", "deep", "gt")
EMBEDDERS = TRAINED_EMBEDDERS
JOINT = "joint"
COSTS = "costs.json"
"""In the folder of the features files: what was timed."""
SCHEMA = "personsearch.baselines/1"
RECALLS = (0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
"""Recalls at which the curves are pointed out, and which the paper's Fig. 7 varies."""
_POINTS = 200


@dataclass(frozen=True, kw_only=True)
class TableSettings:
    """How the table is filled.

    Attributes:
        gallery_size: pictures a query is looked for in; None: what the field uses on this data set.
        det_threshold: detections with a lower score do not exist.
        min_height: people less high than this count neither way in the curves (paper 3.1: 50 pixels).
        detectors, embedders: rows and columns.
        timed: pictures on which the stages are timed.
        seed: of the bootstrap's and the tests' drawings.
    """

    gallery_size: GallerySize | None = None
    det_threshold: float = 0.5
    min_height: float = 50.0
    detectors: tuple[str, ...] = DETECTORS
    embedders: tuple[str, ...] = EMBEDDERS
    timed: int = 20
    seed: int = 0

    def protocol(self) -> Protocol:
        """Which searches are scored, and how."""
        rules = SearchRules(det_threshold=self.det_threshold)
        return Protocol(gallery_size=self.gallery_size, rules=rules, seed=self.seed)


@dataclass(frozen=True, eq=False, kw_only=True)
class Cell:
    """One searcher's figures.

    Attributes:
        evaluation: its searches.
        detect_ms, describe_ms: milliseconds a picture; a joint network does both at once, and
            the second is NaN.
        ms: both together, with the interval over the pictures that were timed.
        features: the file of what it saw.
    """

    evaluation: Evaluation
    detect_ms: float
    describe_ms: float
    ms: Interval
    features: Path


@dataclass(frozen=True, eq=False, kw_only=True)
class FoundPeople:
    """How well a detector finds people, whoever they are.

    Attributes:
        threshold, precision, recall: (m,) its curve over all scores, highest first, thinned.
        scores: recall and AP at the threshold of the searches.
        marks: (recall, precision, threshold) of the curve where it passes ``RECALLS``.
    """

    threshold: Array
    precision: Array
    recall: Array
    scores: DetectionScores
    marks: tuple[tuple[float, float, float], ...]


@dataclass(frozen=True, eq=False, kw_only=True)
class BaselineTable:
    """Everything that came out.

    Attributes:
        dataset: its name. protocol: of the searches, as scored.
        settings: as asked.
        cells: by detector and embedder.
        joint: the joint network's, where there is one.
        found: by detector but GT (and ``"joint"``).
        claims: the paper's order, pair by pair.
        pictures: looked at.
    """

    dataset: str
    protocol: str
    settings: TableSettings
    cells: Mapping[tuple[str, str], Cell]
    joint: Cell | None
    found: Mapping[str, FoundPeople]
    claims: tuple[Claim, ...] = field(default=())
    pictures: int = 0

    def record(self, *, per_query: bool = True) -> dict[str, Any]:
        """As JSON; without ``per_query`` the lists of a number a query are left away."""
        rows = [
            {"detector": detector, "embedder": embedder, **_cell_record(cell, per_query)}
            for (detector, embedder), cell in self.cells.items()
        ]
        return {
            "schema": SCHEMA,
            "dataset": self.dataset,
            "protocol": self.protocol,
            "pictures": self.pictures,
            "settings": asdict(self.settings),
            "cells": rows,
            "joint": None if self.joint is None else _cell_record(self.joint, per_query),
            "detection": {name: _found_record(one) for name, one in self.found.items()},
            "order": [claim.record() for claim in self.claims],
        }


def fill_table(
    dataset: Dataset,
    parts: Path,
    out: Path,
    settings: TableSettings = TableSettings(),
    *,
    joint: Searcher | None = None,
    device: str = "auto",
    progress: Progress = silent,
) -> BaselineTable:
    """Evaluate every detector with every embedder on the test half of ``dataset``.

    Everything that looks at pictures leaves a features file in ``out``; killed, the same call
    goes on there, and a second call only counts.

    Args:
        parts: folder that ``personsearch baselines train`` wrote.
        out: folder of the features files.
        joint: our network, for the paper's last column.

    Raises:
        InputError: a part is not trained; all of them are opened before anything is looked at.
        UsageError: the data set has no such gallery size.
    """
    scenes = dataset.scenes("test")
    protocol = settings.protocol()
    dataset.trials(settings.gallery_size)  # refuses a size that is not there
    where = Where(parts=parts, device=device, scenes=scenes)
    detectors: dict[str, Detector] = {name: open_detector(name, where) for name in settings.detectors}
    embedders: dict[str, Embedder] = {name: open_embedder(name, where) for name in settings.embedders}
    looked = look(detectors, embedders, dataset, protocol, out, progress=progress)
    of_joint = None if joint is None else describe(joint, dataset, protocol, out, progress=progress)
    timed = timed_scenes(scenes, settings.timed)
    watch = Stopwatch(
        out / COSTS, timed, looked.boxes, dataset=dataset.name, device=device, progress=progress
    )
    times = _times(watch, detectors, embedders, joint)
    cells = {
        pair: _cell(dataset, protocol, (features, looked.files[pair]), times[pair[0]], times["+".join(pair)])
        for pair, features in looked.people.items()
    }
    seen = {name: looked.boxes[name] for name, one in detectors.items() if not isinstance(one, GroundTruth)}
    ours = None
    if of_joint is not None:
        ours = _cell(dataset, protocol, of_joint, times[JOINT], None)
        seen[JOINT] = of_joint[0]
    scores = {pair: cell.evaluation.search for pair, cell in cells.items()}
    return BaselineTable(
        dataset=dataset.name,
        protocol=next(iter(scores.values())).protocol,
        settings=settings,
        cells=cells,
        joint=ours,
        found={name: _found(dataset, one, settings) for name, one in seen.items()},
        claims=check_order(scores, None if ours is None else ours.evaluation.search, settings.seed),
        pictures=len(scenes),
    )


def _times(
    watch: Stopwatch,
    detectors: Mapping[str, Detector],
    embedders: Mapping[str, Embedder],
    joint: Searcher | None,
) -> dict[str, Array]:
    """Milliseconds with each picture: of detectors, of ``detector+embedder`` for describing, of ours."""
    asked = {name: watch.detecting(one) for name, one in detectors.items()}
    for finder, detector in detectors.items():
        for describer, embedder in embedders.items():
            asked[f"{finder}+{describer}"] = watch.describing(finder, detector, embedder)
    if joint is not None:
        asked[JOINT] = watch.detecting(joint)
    return watch.times(asked)  # all of them together: they take turns


def _cell(
    dataset: Dataset,
    protocol: Protocol,
    seen: tuple[Features, Path],
    finding: Array,
    describing: Array | None,
) -> Cell:
    features, file = seen
    (scored,) = evaluate(features, dataset, [protocol])
    both = finding if describing is None else finding + describing
    return Cell(
        evaluation=scored,
        detect_ms=float(finding.mean()),
        describe_ms=float("nan") if describing is None else float(describing.mean()),
        ms=mean_interval(both, np.random.default_rng(protocol.seed)),
        features=file,
    )


def _found(dataset: Dataset, seen: Features, settings: TableSettings) -> FoundPeople:
    """The curve over every score, and the numbers at the searches' threshold."""
    scenes = dataset.scenes("test")
    whole = DetectionRules(det_threshold=-np.inf, min_height=settings.min_height)
    curve = judge_detections(scenes, seen, whole).curve
    rules = DetectionRules(det_threshold=settings.det_threshold, min_height=settings.min_height)
    rows = np.arange(len(curve.recall))
    if len(rows) > _POINTS:
        rows = np.unique(np.linspace(0, len(rows) - 1, _POINTS).round().astype(int))
    return FoundPeople(
        threshold=curve.threshold[rows],
        precision=curve.precision[rows],
        recall=curve.recall[rows],
        scores=score_detection(scenes, seen, rules),
        marks=curve_marks(curve.recall, curve.precision, curve.threshold),
    )


def curve_marks(
    recall: Array, precision: Array, threshold: Array, at: Sequence[float] = RECALLS
) -> tuple[tuple[float, float, float], ...]:
    """(recall, precision, threshold) of the first point of a curve that reaches each recall of ``at``.

    >>> curve_marks(np.array([0.3, 0.55, 0.62]), np.array([1, 0.9, 0.8]), np.array([0.9, 0.6, 0.5]))
    ((0.55, 0.9, 0.6), (0.62, 0.8, 0.5))
    """
    marks = []
    for least in at:
        reached = np.flatnonzero(recall >= least)
        if len(reached):
            row = int(reached[0])
            mark = (float(recall[row]), float(precision[row]), float(threshold[row]))
            if mark not in marks:
                marks.append(mark)
    return tuple(marks)


def _cell_record(cell: Cell, per_query: bool) -> dict[str, Any]:
    record = evaluation_record(cell.evaluation)
    if not per_query:
        record = {key: value for key, value in record.items() if not key.endswith("_per_query")}
    return {
        **record,
        "detect_ms": cell.detect_ms,
        "describe_ms": cell.describe_ms,
        "ms_interval": [cell.ms.low, cell.ms.high],
        "features": str(cell.features),
    }


def _found_record(found: FoundPeople) -> dict[str, Any]:
    return {
        "recall": found.scores.recall,
        "ap": found.scores.ap,
        "truths": found.scores.truths,
        "detections": found.scores.detections,
        "rules": dict(found.scores.rules),
        "curve": {
            "threshold": np.round(found.threshold, 5).tolist(),
            "precision": np.round(found.precision, 5).tolist(),
            "recall": np.round(found.recall, 5).tolist(),
        },
        "marks": [{"recall": r, "precision": p, "threshold": t} for r, p, t in found.marks],
    }
