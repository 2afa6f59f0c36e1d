"""A searcher against a data set's protocol: features once, then the numbers, with intervals."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from personsearch.datasets.dataset import Dataset, Subset
from personsearch.evaluation.detection import score_detection
from personsearch.evaluation.search import score_search
from personsearch.features import extract
from personsearch.progress import Progress, silent
from personsearch.ranking.bootstrap import Interval, mean_interval
from personsearch.types import DetectionScores, Searcher, SearchScores, Trials

Boxes = Literal["detected", "annotated"]
TOP = (1, 5, 10)


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """Which searches are scored, and on which boxes.

    Attributes:
        gallery_size: pictures a query is looked for in.
        subset: instead of a gallery size, the searches for people who are hard to see.
        boxes: those the searcher finds, or the annotated ones (an upper bound: nobody is missed).
        seed: of the bootstrap's drawings.
    """

    gallery_size: int = 100
    subset: Subset | None = None
    boxes: Boxes = "detected"
    seed: int = 0


@dataclass(frozen=True, eq=False, kw_only=True)
class Benchmark:
    """What a searcher reached.

    Attributes:
        search: average precision and first right hit of every query.
        intervals: of ``"mAP"``, ``"top-1"``, ``"top-5"`` and ``"top-10"``, 95 % over queries.
        detection: how well people were found, over all test pictures.
        pictures: how many those are.
        features: the file with what the searcher saw.
    """

    protocol: Protocol
    search: SearchScores
    intervals: dict[str, Interval]
    detection: DetectionScores
    pictures: int
    features: Path


def run_benchmark(
    searcher: Searcher, dataset: Dataset, protocol: Protocol, folder: Path, *, progress: Progress = silent
) -> Benchmark:
    """Score ``searcher`` on the test half of ``dataset``.

    Every test picture is looked at once; what was seen stays in ``folder`` and is used again
    by the next call for the same model and pictures, whatever its gallery size.

    Args:
        folder: for the features file, named after the model and what it looked at.
    """
    scenes = dataset.scenes("test")
    # All gallery sizes ask for the same people, so the features of the smallest serve every other.
    described = dataset.trials(min(dataset.gallery_sizes))
    if protocol.subset is not None:
        trials = dataset.subset_trials(protocol.subset)
    else:
        trials = dataset.trials(protocol.gallery_size)
    parts = [dataset.name, protocol.boxes, searcher.fingerprint[:12]]
    if not _queries(trials) <= _queries(described):
        described = trials
        parts.insert(1, protocol.subset or f"gallery-{protocol.gallery_size}")
    file = folder / f"features-{'-'.join(parts)}.npz"
    features = extract(searcher, scenes, described, file, boxes=protocol.boxes, progress=progress)
    search = score_search(trials, features)
    return Benchmark(
        protocol=protocol,
        search=search,
        intervals=intervals(search, protocol.seed),
        detection=score_detection(scenes, features),
        pictures=len(scenes),
        features=file,
    )


def _queries(trials: Trials) -> set[tuple[str, tuple[float, ...]]]:
    """Everybody that the searches look for: picture and box."""
    names = [trials.scenes[row] for row in trials.query_scene]
    return {(name, tuple(box)) for name, box in zip(names, trials.query_box.tolist(), strict=True)}


def intervals(search: SearchScores, seed: int) -> dict[str, Interval]:
    """mAP and top-k with how much other queries of the same kind might change them."""
    values = {"mAP": search.ap}
    for k in TOP:
        values[f"top-{k}"] = ((search.first_hit >= 1) & (search.first_hit <= k)).astype(float)
    return {name: mean_interval(value, np.random.default_rng(seed)) for name, value in values.items()}


def benchmark_record(result: Benchmark) -> dict[str, Any]:
    """The numbers as JSON holds them, with everything that shaped them."""
    return {
        "protocol": result.search.protocol,
        "boxes": result.protocol.boxes,
        "queries": len(result.search.ap),
        "pictures": result.pictures,
        **{
            name: {
                "value": interval.mean,
                "low": interval.low,
                "high": interval.high,
                "level": interval.level,
            }
            for name, interval in result.intervals.items()
        },
        "detection": {
            "recall": result.detection.recall,
            "ap": result.detection.ap,
            "truths": result.detection.truths,
            "detections": result.detection.detections,
            "rules": dict(result.detection.rules),
        },
        "rules": dict(result.search.rules),
        "features": str(result.features),
    }


def benchmark_rows(result: Benchmark) -> list[dict[str, Any]]:
    """The numbers as lines of a table: the measure, its value and the ends of its interval."""
    rows: list[dict[str, Any]] = [
        {"measure": name, "value": interval.mean, "low": interval.low, "high": interval.high}
        for name, interval in result.intervals.items()
    ]
    found = result.detection
    rows.append({"measure": "detection recall", "value": found.recall, "low": None, "high": None})
    rows.append({"measure": "detection AP", "value": found.ap, "low": None, "high": None})
    return rows
