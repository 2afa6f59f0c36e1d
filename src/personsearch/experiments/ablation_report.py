"""What the ablation's raw results say: tables, the paper's figure 6, and whether its order came out."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from personsearch.errors import InputError
from personsearch.evaluation.comparison import scores_from_json, sign_flip_p_value
from personsearch.experiments.ablation import SCHEMA, VARIANTS, Variant
from personsearch.experiments.ablation_page import markdown
from personsearch.files import write_bytes, write_json, write_text
from personsearch.images import encode_png
from personsearch.ranking.bootstrap import Interval, mean_interval, paired_interval
from personsearch.report.plots import Curve, Panel, plot
from personsearch.types import Array, SearchScores

PAGE, NUMBERS, CURVES = "ablation.md", "ablation.json", "ablation.png"
SMALL = 0.1
"""Share of the queries, those of the smallest height, that the low-resolution subset is."""
PAIRS = (
    ("softmax", "softmax-unstarted"),
    ("rss", "softmax"),
    ("rss-corrected", "rss"),
    ("oim", "rss"),
    ("rss-fine", "rss"),
    ("rss-longer", "rss"),
)
"""What is compared, the better one by expectation first; the first two are the paper's claim."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Run:
    """One finished run's raw results.

    Attributes:
        variant: which.
        seed: of the training.
        raw: the file's JSON.
        scores: of the finished model's searches.
    """

    variant: Variant
    seed: int
    raw: Mapping[str, Any]
    scores: SearchScores


def read_runs(folder: Path) -> list[Run]:
    """Every run that has its file in ``folder``, in the order of the table, seed by seed.

    Raises:
        InputError: there is none, one is not such a file, or two are of different searches.
    """
    known = {variant.name: variant for variant in VARIANTS}
    runs = []
    for file in sorted(folder.glob("*.json")):
        try:
            raw = json.loads(file.read_text(encoding="utf-8"))
            if raw["schema"] != SCHEMA or raw["variant"] not in known:
                raise KeyError("schema")
            search = dict(raw["search"])
            # JSON has no NaN: a query that the rules leave out is null there.
            for name in ("ap_per_query", "recall_per_query"):
                search[name] = [float("nan") if value is None else value for value in search[name]]
            scores = scores_from_json(search, str(file))
            runs.append(Run(variant=known[raw["variant"]], seed=int(raw["seed"]), raw=raw, scores=scores))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"{file} holds no results of this ablation", hint="remove it, or run that variant again"
            ) from error
    if not runs:
        raise InputError(f"there are no results in {folder}", hint="run personsearch ablation first")
    order = [variant.name for variant in VARIANTS]
    runs = sorted(runs, key=lambda run: (order.index(run.variant.name), run.seed))
    _check_comparable(runs)
    return runs


def _check_comparable(runs: Sequence[Run]) -> None:
    """Refuse results that were not made alike."""
    first = runs[0]
    for run in runs[1:]:
        both = f"results of {run.variant.name}-{run.seed} and {first.variant.name}-{first.seed}"
        same = (run.scores.protocol, len(run.scores.ap)) == (first.scores.protocol, len(first.scores.ap))
        if not same or run.raw["query_height"] != first.raw["query_height"]:
            raise InputError(
                f"{both} are of different searches", hint="keep one data set and gallery size a folder"
            )
        if any(run.raw[name] != first.raw[name] for name in ("preset", "pretrained", "data")):
            raise InputError(
                f"{both} are of different presets or training data", hint="keep one preset a folder"
            )
    for of in _by_name(runs).values():
        steps = {(tuple(p["step"] for p in r.raw["way"]), tuple(r.raw["losses"]["step"])) for r in of}
        if len(steps) > 1:
            raise InputError(
                f"the runs of {of[0].variant.name} were looked at after different steps",
                hint="run them with the same --points",
            )


def write_report(results: Path, out: Path) -> dict[str, Any]:
    """Make the report of the raw results in ``results``: three files in ``out``; its numbers are returned.

    Raises:
        InputError: as :func:`read_runs`.
    """
    runs = read_runs(results)
    found = summary(runs)
    write_bytes(out / CURVES, encode_png(fig6(runs)))
    write_text(out / PAGE, markdown(found, CURVES))
    write_json(out / NUMBERS, found)
    return found


def summary(runs: Sequence[Run]) -> dict[str, Any]:
    """All numbers of the report as JSON holds them, computed from the raw results alone."""
    heights = np.asarray(runs[0].raw["query_height"])
    small = small_queries(heights)
    by_name = _by_name(runs)
    return {
        "schema": "personsearch.ablation/1",
        "protocol": runs[0].scores.protocol,
        "queries": len(heights),
        "small_queries": {
            "n": int(small.sum()),
            "tallest_px": round(float(heights[small].max()), 1),
        },
        "runs": [_run_row(run) for run in runs],
        "variants": [_variant_row(of, small) for of in by_name.values()],
        "pairs": [
            _pair(by_name[a], by_name[b], small)
            for a, b in PAIRS
            if _seeds(by_name.get(a, ())) & _seeds(by_name.get(b, ()))
        ],
    }


def small_queries(heights: Array, share: float = SMALL) -> Array:
    """(Q,) bool: the ``share`` of the queries with the smallest height, at least one.

    >>> small_queries(np.array([90.0, 40.0, 70.0]), 0.34).tolist()
    [False, True, False]
    """
    count = max(1, int(share * len(heights) + 0.5))
    rows = np.argsort(heights, kind="stable")[:count]
    mask = np.zeros(len(heights), bool)
    mask[rows] = True
    return mask


def verdict(difference: Interval) -> str:
    """Whether a difference that was expected to be positive is.

    >>> verdict(Interval(mean=0.1, low=0.02, high=0.2, level=0.95))
    'holds'
    """
    if difference.low > 0:
        return "holds"
    return "reversed" if difference.high < 0 else "cannot be told"


def fig6(runs: Sequence[Run]) -> Array:
    """Training loss and test mAP against the step (paper, figure 6), as (h, w, 3) uint8 pixels.

    Means over seeds, with the seeds' range as a band. The catch: the identity loss of RSS is a
    softmax over K classes, softmax's over all C+1, so that the two losses share no scale.
    """
    losses, scores = [], []
    for of in _by_name(runs).values():
        if not of[0].variant.figure:
            continue
        step = np.asarray(of[0].raw["losses"]["step"])
        identity = np.array([_smooth(run.raw["losses"]["identity"]) for run in of])
        losses.append(_band(of[0].variant.title, step, identity))
        way = np.array([[point["mAP"] for point in run.raw["way"]] for run in of])
        at = np.array([point["step"] for point in of[0].raw["way"]])
        scores.append(_band(of[0].variant.title, at, way))
    return plot(
        [
            Panel(title="Identity loss in training", curves=losses, x="step of stage 2", y="loss"),
            Panel(title="Search in the test half", curves=scores, x="step of stage 2", y="mAP"),
        ],
        width=5.6,
        height=3.8,
    )


def _by_name(runs: Sequence[Run]) -> dict[str, list[Run]]:
    found: dict[str, list[Run]] = {}
    for run in runs:
        found.setdefault(run.variant.name, []).append(run)
    return found


def _seeds(of: Sequence[Run]) -> set[int]:
    return {run.seed for run in of}


def _ap(of: Sequence[Run]) -> Array:
    """(Q,) average precision of each query, the mean over runs."""
    mean: Array = np.mean([run.scores.ap for run in of], axis=0)
    return mean


def _first(of: Sequence[Run]) -> Array:
    """(Q,) share of the runs whose first answer was right; NaN where the rules leave the query out."""
    share: Array = np.mean([run.scores.first_hit == 1 for run in of], axis=0)
    return np.where(np.isnan(_ap(of)), np.nan, share)


def _mean(values: Array) -> dict[str, float]:
    return _numbers(mean_interval(values[~np.isnan(values)], np.random.default_rng(0)))


def _numbers(interval: Interval) -> dict[str, float]:
    return {name: round(getattr(interval, name), 5) for name in ("mean", "low", "high")}


def _run_row(run: Run) -> dict[str, Any]:
    seconds = run.raw["cost"]["2"]["processor_seconds"]
    return {
        "variant": run.variant.name,
        "title": run.variant.title,
        "seed": run.seed,
        "mAP": _mean(_ap([run])),
        "top1": _mean(_first([run])),
        "minutes": round(seconds / 60, 1),
        "trained_on": _machine(run.raw["environment"]),
    }


def _machine(environment: Mapping[str, Any]) -> str:
    """The card, or how many threads of a processor; and the precision of the products."""
    threads = environment["threads"]
    where = environment["device_name"] or f"processor, {threads} thread{'s' * (threads != 1)}"
    return f"{where}, {environment['precision']}"


def _variant_row(of: Sequence[Run], small: Array) -> dict[str, Any]:
    ap = _ap(of)
    return {
        "variant": of[0].variant.name,
        "title": of[0].variant.title,
        "seeds": [run.seed for run in of],
        "mAP": _mean(ap),
        "top1": _mean(_first(of)),
        "recall": round(float(np.mean([run.raw["detection"]["recall"] for run in of])), 5),
        "annotated_mAP": round(float(np.mean([run.raw["annotated"]["mAP"] for run in of])), 5),
        "small_mAP": _mean(ap[small]),
        "other_mAP": _mean(ap[~small]),
        "gap": _apart(ap, small),
    }


def _pair(a: Sequence[Run], b: Sequence[Run], small: Array) -> dict[str, Any]:
    seeds = sorted(_seeds(a) & _seeds(b))
    a, b = ([run for run in of if run.seed in seeds] for of in (a, b))
    ap_a, ap_b, top_a, top_b = _ap(a), _ap(b), _first(a), _first(b)
    counted = ~np.isnan(ap_a)
    rng = np.random.default_rng(0)
    difference = paired_interval(ap_a[counted], ap_b[counted], rng)
    gain = np.where(counted, ap_a - ap_b, np.nan)
    return {
        "a": a[0].variant.name,
        "b": b[0].variant.name,
        "a_title": a[0].variant.title,
        "b_title": b[0].variant.title,
        "seeds": seeds,
        "mAP": _numbers(difference),
        "mAP_p": sign_flip_p_value(gain[counted], rng),
        "top1": _numbers(paired_interval(top_a[counted], top_b[counted], rng)),
        "top1_p": sign_flip_p_value((top_a - top_b)[counted], rng),
        "verdict": verdict(difference),
        "small_mAP": _mean(gain[small]),
        "shrinks": _apart(-gain, small),
    }


def _apart(values: Array, small: Array, draws: int = 2000) -> dict[str, float]:
    """How much lower ``values`` are for small people than for the others, with its interval.

    Each of the two groups is drawn again by itself: they share no query.
    """
    rng = np.random.default_rng(0)
    groups = [values[mask & ~np.isnan(values)] for mask in (~small, small)]
    others, few = (g[rng.integers(len(g), size=(draws, len(g)))].mean(axis=1) for g in groups)
    low, high = np.quantile(others - few, [0.025, 0.975])
    mean = float(groups[0].mean() - groups[1].mean())
    return _numbers(Interval(mean=mean, low=float(low), high=float(high), level=0.95))


def _smooth(values: Sequence[float], width: int = 5) -> Array:
    """Running means, so that a line can be followed by eye; the ends use what there is."""
    kernel = np.ones(min(width, len(values)))
    total = np.convolve(values, kernel, mode="same")
    return total / np.convolve(np.ones(len(values)), kernel, mode="same")


def _band(name: str, x: Array, rows: Array) -> Curve:
    if len(rows) == 1:
        return Curve(name=name, x=x, y=rows[0])
    return Curve(name=name, x=x, y=rows.mean(axis=0), low=rows.min(axis=0), high=rows.max(axis=0))
