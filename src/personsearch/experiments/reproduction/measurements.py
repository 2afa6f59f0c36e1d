"""The stages that measure: each leaves the raw numbers of one table or figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from personsearch.datasets.dataset import Dataset, Subset
from personsearch.datasets.inventory import sources, subset_if_there
from personsearch.datasets.statistics import record_of, statistics
from personsearch.evaluation.detection import DetectionRules, JudgedDetections, judge_detections
from personsearch.evaluation.failures import split_failures
from personsearch.evaluation.metrics import average_precision
from personsearch.evaluation.search_rules import SearchRules
from personsearch.experiments.baseline_table import Cell, TableSettings, curve_marks, fill_table
from personsearch.experiments.reproduction.costs import speed_settings
from personsearch.experiments.reproduction.detection_intervals import DRAWS, columns, drawn, intervals
from personsearch.experiments.reproduction.paper import GALLERY_SIZES, RECALLS
from personsearch.experiments.reproduction.records import interval_record, kept, number
from personsearch.experiments.reproduction.sizes import sizes_held
from personsearch.experiments.reproduction.workshop import OURS, THRESHOLD, Workshop
from personsearch.features import Features
from personsearch.types import Array, Scene

FOUND = ("acf", "deep")
RECALL_PAIRS = ("deep+bow", "deep+kissme", "acf+bow", "acf+kissme")
GALLERY_METHODS = (OURS, "deep+bow")
SUBSET_METHODS = ("deep+kissme", "acf+bow", OURS)
FAILURE_METHODS = (OURS, "deep+idnet", "acf+bow")
SUBSETS: tuple[Subset, ...] = ("occlusion", "low-resolution")
_POINTS = 200


def count(shop: Workshop) -> dict[str, Any]:
    """Tables 1 and figure 2: how much there is, and how tall people are."""
    groups = statistics(shop.data, sources(shop.data))
    known = []
    for row in record_of(groups):
        heights: Any = row["heights"]
        shares = {name: _number_or_nan(row[name]) for name in ("people_a_picture", "background_a_picture")}
        known.append({**row, **shares, "heights": {kind: _plain(values) for kind, values in heights.items()}})
    return {"groups": known, "subsets": {name: _subset_size(shop.data, name) for name in SUBSETS}}


def _number_or_nan(value: Any) -> float | None:
    return number(float(value))


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: np.asarray(value).tolist() if name in ("edges", "counts") else number(float(value))
        for name, value in values.items()
    }


def _subset_size(data: Dataset, name: Subset) -> int | None:
    trials = subset_if_there(data, name)
    return None if trials is None else len(trials)


def detection_settings(shop: Workshop) -> dict[str, Any]:
    """Who counts."""
    return {"min_height": shop.size.min_height}


def detection_curves_settings(shop: Workshop) -> dict[str, Any]:
    """Who counts, and whether intervals are drawn: results from before they were are made again."""
    return {**detection_settings(shop), "draws": DRAWS}


def detection(shop: Workshop) -> dict[str, Any]:
    """Figure 5: precision against recall of every score, and which threshold reaches which recall."""
    scenes = shop.data.scenes("test")
    rules = DetectionRules(det_threshold=-np.inf, min_height=shop.size.min_height)
    seen = {name: shop.found_by(name) for name in FOUND}
    judged = {name: judged_pictures(scenes, found, rules) for name, found in seen.items()}
    rows = {
        name: {
            **_curve(scenes, found, rules),
            "intervals": intervals(judged[name], THRESHOLD, RECALLS, shop.seed),
        }
        for name, found in seen.items()
    }
    return {
        "min_height": shop.size.min_height,
        "pictures": len(scenes),
        "detectors": rows,
        "difference": ap_difference(judged["deep"], judged["acf"], shop.seed),
    }


def _curve(scenes: Sequence[Scene], seen: Features, rules: DetectionRules) -> dict[str, Any]:
    judged = judge_detections(scenes, seen, rules)
    curve = judged.curve
    rows = np.arange(len(curve.recall))
    if len(rows) > _POINTS:
        rows = np.unique(np.linspace(0, len(rows) - 1, _POINTS).round().astype(int))
    marks = {}
    for wanted in RECALLS:
        reached = curve_marks(curve.recall, curve.precision, curve.threshold, at=(wanted,))
        marks[f"{wanted:g}"] = (
            [*(round(value, 6) for value in reached[0][:2]), reached[0][2]] if reached else None
        )
    at = np.flatnonzero(curve.threshold >= np.float32(THRESHOLD))
    last = int(at[-1]) if len(at) else -1
    return {
        "truths": judged.truths,
        "ap": number(_ap(judged)),
        "largest_recall": number(float(curve.recall[-1]) if len(curve.recall) else 0.0),
        "at_threshold": {
            "threshold": THRESHOLD,
            "recall": number(float(curve.recall[last])) if last >= 0 else 0.0,
            "precision": number(float(curve.precision[last])) if last >= 0 else None,
        },
        "curve": {
            "recall": np.round(curve.recall[rows], 5).tolist(),
            "precision": np.round(curve.precision[rows], 5).tolist(),
        },
        "marks": marks,
    }


def _ap(judged: JudgedDetections) -> float:
    """Average precision times recall, over all scores."""
    if not judged.truths:
        return float("nan")
    recall = float(judged.right.sum() / judged.truths)
    return average_precision(judged.scores, judged.right, "step") * recall


def judged_pictures(scenes: Sequence[Scene], seen: Features, rules: DetectionRules) -> list[JudgedDetections]:
    """Each picture's detections by themselves: no detection is right for what another picture holds."""
    return [judge_detections([scene], seen, rules) for scene in scenes]


def ap_difference(
    a: Sequence[JudgedDetections], b: Sequence[JudgedDetections], seed: int, *, draws: int = 2000
) -> dict[str, Any]:
    """How much better detector ``a`` is than ``b`` in average precision, with its interval over pictures.

    Pictures are drawn again with replacement, the same ones for both detectors.
    """
    rng = np.random.default_rng(seed)
    ours, theirs = columns(a), columns(b)

    def gain(rows: Array) -> float:
        return drawn(ours, rows).ap(ours.right) - drawn(theirs, rows).ap(theirs.right)

    mean = gain(np.arange(len(a)))
    gains = [gain(rng.integers(len(a), size=len(a))) for _ in range(draws)]
    low, high = np.quantile(gains, [0.025, 0.975])
    return {"mean": number(mean), "low": number(float(low)), "high": number(float(high)), "n": len(a)}


def table2_settings(shop: Workshop) -> dict[str, Any]:
    """The threshold of the searches, who counts in the curves, and what the times are measured on."""
    return {"det_threshold": THRESHOLD, "min_height": shop.size.min_height, **speed_settings(shop)}


def table2(shop: Workshop) -> dict[str, Any]:
    """Table 2: every detector with every re-id method, and our network; with what a picture costs."""
    settings = TableSettings(
        gallery_size=shop.gallery_size,
        det_threshold=THRESHOLD,
        min_height=shop.size.min_height,
        timed=shop.size.timed,
        seed=shop.seed,
    )
    for detector in settings.detectors:  # what other figures use, too, is looked at under its own name
        for embedder in settings.embedders:
            shop.seen_by(f"{detector}+{embedder}")
    table = fill_table(
        shop.data,
        shop.parts,
        shop.features,
        settings,
        joint=shop.ours,
        device=shop.asked.device,
        progress=shop.progress,
    )
    assert table.joint is not None
    return {
        "pictures": table.pictures,
        "timing": speed_settings(shop),
        "cells": {f"{finder}+{method}": _cell(cell) for (finder, method), cell in table.cells.items()},
        OURS: _cell(table.joint),
        "joint_detection": {
            "recall": number(table.found["joint"].scores.recall),
            "curve": {
                "recall": np.round(table.found["joint"].recall, 5).tolist(),
                "precision": np.round(table.found["joint"].precision, 5).tolist(),
            },
        },
    }


def _cell(cell: Cell) -> dict[str, Any]:
    return {
        "record": kept(cell.evaluation),
        "detect_ms": number(cell.detect_ms),
        "describe_ms": number(cell.describe_ms),
        "ms": interval_record(cell.ms),
    }


def recall(shop: Workshop) -> dict[str, Any]:
    """Figure 7a: top-1 where each detector's threshold is set to reach a recall."""
    thresholds = _marks(shop)
    rows: dict[str, Any] = {}
    for pair in RECALL_PAIRS:
        rows[pair] = {}
        for wanted, mark in thresholds[pair.partition("+")[0]].items():
            if mark is None:
                rows[pair][wanted] = None
                continue
            rules = SearchRules(det_threshold=float(mark[2]))
            (found,) = shop.searches(pair, [shop.protocol(rules=rules)])
            rows[pair][wanted] = {"recall": mark[0], "threshold": mark[2], "record": kept(found)}
    return {"pairs": rows}


def _marks(shop: Workshop) -> dict[str, dict[str, Any]]:
    """(recall, precision, threshold) by detector and wanted recall, as in figure 5's stage."""
    scenes = shop.data.scenes("test")
    rules = DetectionRules(det_threshold=-np.inf, min_height=shop.size.min_height)
    return {name: _curve(scenes, shop.found_by(name), rules)["marks"] for name in FOUND}


def gallery(shop: Workshop) -> dict[str, Any]:
    """Figure 7b: every gallery size that the data hold, and the paper's that they do not."""
    held, lacking = sizes_held(shop.data, GALLERY_SIZES)
    rows = {}
    for method in GALLERY_METHODS if held else ():
        found = shop.searches(method, [shop.protocol(gallery_size=size) for size in held])
        rows[method] = {str(size): kept(one) for size, one in zip(held, found, strict=True)}
    return {"sizes": list(held), "lacking": list(lacking), "methods": rows}


def subsets(shop: Workshop) -> dict[str, Any]:
    """Table 3: people who are hard to see; a subset that the data do not hold is null."""
    rows: dict[str, Any] = {"whole": {}}
    for method in SUBSET_METHODS:
        (whole,) = shop.searches(method, [shop.protocol()])
        rows["whole"][method] = kept(whole)
    for subset in SUBSETS:
        if not _subset_size(shop.data, subset):
            rows[subset] = None
            continue
        rows[subset] = {}
        for method in SUBSET_METHODS:
            (found,) = shop.searches(method, [shop.subset_protocol(subset)])
            rows[subset][method] = kept(found)
    return {"subsets": rows}


def failures(shop: Workshop) -> dict[str, Any]:
    """Why queries are lost, by method."""
    scenes, rows = shop.data.scenes("test"), {}
    for method in FAILURE_METHODS:
        (found,) = shop.searches(method, [shop.protocol()])
        rules = found.protocol.rules
        split = split_failures(found.trials, shop.seen_by(method), rules, scenes, scores=found.search)
        cells = [row for row in split.rows("query") if row["by"] in ("all", "query height", "query visible")]
        rows[method] = [
            {key: number(value) if isinstance(value, float) else value for key, value in row.items()}
            for row in cells
        ]
    return {"methods": rows}
