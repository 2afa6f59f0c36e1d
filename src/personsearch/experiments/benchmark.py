"""What was seen against a data set's protocols: the searches, the numbers with intervals, and their names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal
from typing import Protocol as Interface

import numpy as np

from personsearch.datasets.dataset import Dataset, GallerySize, Subset
from personsearch.errors import UsageError
from personsearch.evaluation.detection import score_detection
from personsearch.evaluation.search import score_searches
from personsearch.evaluation.search_rules import SearchRules
from personsearch.features import Features, QueryBox, detected_queries, extract
from personsearch.progress import Progress, silent
from personsearch.protocols import Cameras, junk_of_prw, take_queries
from personsearch.ranking.bootstrap import Interval, mean_interval
from personsearch.types import Array, DetectionScores, Scene, Searcher, SearchScores, Trials

Boxes = Literal["detected", "annotated"]
Junk = Literal["field", "prw"]
TOP = (1, 5, 10)


class Source(Interface):
    """Whoever knows the truth: a data set, or the annotation inside a features file."""

    @property
    def name(self) -> str:
        """What it is called."""
        ...

    @property
    def gallery_sizes(self) -> tuple[int, ...]:
        """Sizes of the listed galleries, smallest first; none where every gallery is whole."""
        ...

    def scenes(self, split: Literal["test"]) -> tuple[Scene, ...]:
        """The annotated test pictures."""
        ...

    def trials(self, gallery_size: GallerySize | None = None, *, cameras: Cameras = "all") -> Trials:
        """The searches of one protocol."""
        ...

    def subset_trials(self, subset: Subset) -> Trials:
        """The searches for people who are hard to see."""
        ...


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """Which searches are scored, and how.

    Attributes:
        gallery_size: pictures a query is looked for in; None: what the field uses there.
        cameras: of which cameras these are.
        subset: instead of a gallery size, the searches for people who are hard to see.
        junk: ``"prw"``: the stricter rule of PRW's authors.
        limit: only so many queries, the first ones.
        query_box: what describes a query: the annotated box, or the detection that overlaps it best.
        boxes: those the searcher finds, or the annotated ones (an upper bound: nobody is missed).
        rules: how scores are made of rankings.
        seed: of the bootstrap's drawings.
    """

    gallery_size: GallerySize | None = None
    cameras: Cameras = "all"
    subset: Subset | None = None
    junk: Junk = "field"
    limit: int | None = None
    query_box: QueryBox = "annotated"
    boxes: Boxes = "detected"
    rules: SearchRules = field(default_factory=SearchRules)
    seed: int = 0


@dataclass(frozen=True, eq=False, kw_only=True)
class Evaluation:
    """One protocol's searches, scored.

    Attributes:
        dataset: what it is called.
        protocol: as it was asked for.
        gallery_size: pictures in a gallery, ``"full"`` for all of them.
        trials: the searches.
        search: average precision and first right hit of every query.
        intervals: of ``"mAP"``, ``"top-1"``, ``"top-5"`` and ``"top-10"``, 95 % over queries.
        similarity: how embeddings were compared.
        undetected: queries that no detection overlaps, where queries are detections: their
            average precision is 0.
    """

    dataset: str
    protocol: Protocol
    gallery_size: GallerySize
    trials: Trials
    search: SearchScores
    intervals: dict[str, Interval]
    similarity: str
    undetected: tuple[int, ...] = ()


@dataclass(frozen=True, eq=False, kw_only=True)
class Benchmark(Evaluation):
    """What a searcher reached: its searches, and its detections.

    Attributes:
        detection: how well people were found, over all test pictures.
        pictures: how many those are.
        features: the file with what the searcher saw.
    """

    detection: DetectionScores
    pictures: int
    features: Path


def run_benchmark(
    searcher: Searcher,
    dataset: Dataset,
    protocol: Protocol,
    folder: Path,
    *,
    progress: Progress = silent,
) -> Benchmark:
    """Score ``searcher`` on the test half of ``dataset``.

    Every test picture is looked at once; what was seen stays in ``folder`` and is used again
    by the next call for the same model and pictures, whatever its gallery size.

    Args:
        folder: for the features file, named after the model and what it looked at.
    """
    features, file = describe(searcher, dataset, protocol, folder, progress=progress)
    scenes = dataset.scenes("test")
    (one,) = evaluate(features, dataset, [protocol])
    return Benchmark(
        **vars(one), detection=score_detection(scenes, features), pictures=len(scenes), features=file
    )


def describe(
    searcher: Searcher,
    dataset: Dataset,
    protocol: Protocol,
    folder: Path,
    *,
    progress: Progress = silent,
) -> tuple[Features, Path]:
    """What ``searcher`` sees in the test half of ``dataset``, and the file in ``folder`` that holds it."""
    # All gallery sizes ask for the same people, so the features of the smallest serve every other.
    described = dataset.trials(min(dataset.gallery_sizes)) if dataset.gallery_sizes else dataset.trials()
    parts = [dataset.name, protocol.boxes, searcher.fingerprint[:12]]
    if protocol.subset is not None:
        wanted = dataset.subset_trials(protocol.subset)
        if not _queries(wanted) <= _queries(described):
            described = wanted
            parts.insert(1, protocol.subset)
    file = folder / f"features-{'-'.join(parts)}.npz"
    scenes = dataset.scenes("test")
    return extract(searcher, scenes, described, file, boxes=protocol.boxes, progress=progress), file


def evaluate(features: Features, source: Source, protocols: Sequence[Protocol]) -> list[Evaluation]:
    """``features`` scored by ``protocols``, which share their rules and their queries' source.

    Raises:
        UsageError: ``source`` has no such protocol, or the rules of two protocols differ.
        DatasetError: the features are of other pictures or queries.
    """
    first = protocols[0]
    if any((one.rules, one.query_box) != (first.rules, first.query_box) for one in protocols):
        raise UsageError("protocols of one evaluation share their rules", hint="evaluate them one by one")
    asked, unseen = features, np.zeros(len(features.q_img), bool)
    if first.query_box == "detected":
        asked, unseen = detected_queries(features, first.rules.det_threshold)
    all_trials = [searches(source, protocol) for protocol in protocols]
    scored = score_searches(all_trials, asked, first.rules)
    return [
        _evaluation(asked, source, protocol, trials, search, unseen)
        for protocol, trials, search in zip(protocols, all_trials, scored, strict=True)
    ]


def _evaluation(
    features: Features,
    source: Source,
    protocol: Protocol,
    trials: Trials,
    search: SearchScores,
    unseen: Array,
) -> Evaluation:
    undetected = (
        np.flatnonzero(unseen[features.query_rows(trials)]) if unseen.any() else np.zeros(0, np.int64)
    )
    search = _lost(search, undetected)
    return Evaluation(
        dataset=source.name,
        protocol=protocol,
        gallery_size=_size_of(protocol, trials, source),
        trials=trials,
        search=search,
        intervals=intervals(search, protocol.seed),
        similarity=features.similarity,
        undetected=tuple(undetected.tolist()),
    )


def searches(source: Source, protocol: Protocol) -> Trials:
    """The searches that ``protocol`` asks ``source`` for."""
    if protocol.subset is not None:
        if protocol.gallery_size is not None or protocol.cameras != "all":
            raise UsageError(
                f"the searches for {protocol.subset} have galleries of their own",
                hint="give neither a gallery size nor cameras with a subset",
            )
        trials = source.subset_trials(protocol.subset)
    else:
        trials = source.trials(protocol.gallery_size, cameras=protocol.cameras)
    if protocol.limit is not None and protocol.limit < len(trials):
        trials = replace(take_queries(trials, range(protocol.limit)), name=trials.name)
    if protocol.junk == "prw":
        trials = junk_of_prw(trials, source.scenes("test"))
    return trials


def intervals(search: SearchScores, seed: int) -> dict[str, Interval]:
    """mAP and top-k with how much other queries of the same kind might change them.

    Queries that the rules leave out (NaN) are in no mean. With no query left all are NaN.
    """
    counted = ~np.isnan(search.ap)
    values = {"mAP": search.ap[counted]}
    hit = search.first_hit[counted]
    for k in TOP:
        values[f"top-{k}"] = ((hit >= 1) & (hit <= k)).astype(float)
    if not counted.any():
        nan = float("nan")
        return {name: Interval(mean=nan, low=nan, high=nan, level=0.95) for name in values}
    return {name: mean_interval(value, np.random.default_rng(seed)) for name, value in values.items()}


def evaluation_record(result: Evaluation) -> dict[str, Any]:
    """The numbers as JSON holds them, with everything that shaped them beside."""
    protocol, search = result.protocol, result.search
    return {
        "dataset": result.dataset,
        "protocol": search.protocol,
        "gallery_size": result.gallery_size,
        "cameras": protocol.cameras,
        "subset": protocol.subset,
        "junk": protocol.junk,
        "query_box": protocol.query_box,
        "ap_kind": protocol.rules.ap,
        "policy": protocol.rules.policy,
        "similarity": result.similarity,
        "rules": {**asdict(protocol.rules), **dict(search.rules)},
        "queries": len(search.ap),
        **{_key(name): interval.mean for name, interval in result.intervals.items()},
        "intervals": {
            _key(name): {"low": interval.low, "high": interval.high, "level": interval.level}
            for name, interval in result.intervals.items()
        },
        "without_positives": list(search.rules.get("without_positives", ())),
        "without_detection": list(result.undetected),
        "ap_per_query": search.ap.tolist(),
        "first_hit_per_query": search.first_hit.tolist(),
        "recall_per_query": search.recall.tolist(),
    }


def evaluation_row(result: Evaluation) -> dict[str, Any]:
    """The numbers as a line of a table, with the names of what shaped them beside."""
    protocol, interval = result.protocol, result.intervals["mAP"]
    which = [
        protocol.subset or ("listed" if result.gallery_size != "full" else f"cameras {protocol.cameras}")
    ]
    if protocol.junk != "field":
        which.append(f"junk {protocol.junk}")
    return {
        "dataset": result.dataset,
        "protocol": ", ".join(which),
        "gallery": result.gallery_size,
        "query": protocol.query_box,
        "AP": protocol.rules.ap,
        "policy": protocol.rules.policy,
        "queries": len(result.search.ap),
        "mAP": interval.mean,
        "low": interval.low,
        "high": interval.high,
        **{f"top-{k}": result.intervals[f"top-{k}"].mean for k in TOP},
    }


def detection_record(dataset: str, scores: DetectionScores, pictures: int) -> dict[str, Any]:
    """How well people were found, as JSON holds it, with what shaped the numbers beside."""
    return {
        "dataset": dataset,
        "protocol": f"{dataset} detection",
        "pictures": pictures,
        "truths": scores.truths,
        "detections": scores.detections,
        "ap_kind": scores.rules.get("ap", "step"),
        "rules": dict(scores.rules),
        "recall": scores.recall,
        "ap": scores.ap,
    }


def detection_summary(scores: DetectionScores) -> dict[str, Any]:
    """How well people were found, beside the numbers of a search."""
    return {
        "recall": scores.recall,
        "ap": scores.ap,
        "truths": scores.truths,
        "detections": scores.detections,
        "rules": dict(scores.rules),
    }


def benchmark_record(result: Benchmark) -> dict[str, Any]:
    """Searches and detection of a searcher as JSON holds them."""
    return {
        **evaluation_record(result),
        "boxes": result.protocol.boxes,
        "pictures": result.pictures,
        "detection": detection_summary(result.detection),
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


def _key(measure: str) -> str:
    """``top-1`` as the key of an object: ``top1``."""
    return measure.replace("-", "")


def _lost(search: SearchScores, rows: Array) -> SearchScores:
    """``search`` with nothing found by the queries in ``rows``: nobody could be looked for."""
    if not len(rows):
        return search
    ap, first = search.ap.copy(), search.first_hit.copy()
    ap[rows] = np.where(np.isnan(ap[rows]), ap[rows], 0.0)
    first[rows] = 0
    return replace(search, ap=ap, first_hit=first)


def _queries(trials: Trials) -> set[tuple[str, tuple[float, ...]]]:
    """Everybody that the searches look for: picture and box."""
    names = [trials.scenes[row] for row in trials.query_scene]
    return {(name, tuple(box)) for name, box in zip(names, trials.query_box.tolist(), strict=True)}


def _size_of(protocol: Protocol, trials: Trials, source: Source) -> GallerySize:
    """Pictures in a gallery, where all galleries list as many; ``"full"`` otherwise."""
    if protocol.gallery_size is not None:
        return protocol.gallery_size
    counts = np.unique(np.diff(trials.entry_ptr)).tolist()
    listed = len(counts) == 1 and (protocol.subset is not None or counts[0] in source.gallery_sizes)
    return counts[0] if listed else "full"
