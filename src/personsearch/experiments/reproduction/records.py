"""A search's scores as the stages' files hold them, and back."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from personsearch.evaluation.comparison import scores_from_json
from personsearch.experiments.benchmark import Evaluation
from personsearch.ranking.bootstrap import Interval
from personsearch.types import Array, SearchScores

MEASURES = {"mAP": "mAP", "top-1": "top1"}


def kept(result: Evaluation) -> dict[str, Any]:
    """Numbers, intervals and every query's score; a query that the rules leave out is null."""
    search = result.search
    return {
        "protocol": search.protocol,
        "gallery_size": result.gallery_size,
        "queries": int((~np.isnan(search.ap)).sum()),
        **{key: interval_record(result.intervals[name]) for name, key in MEASURES.items()},
        "rules": {"ap": search.rules.get("ap", "step"), "det_threshold": result.protocol.rules.det_threshold},
        "ap_per_query": [None if math.isnan(value) else round(value, 6) for value in search.ap.tolist()],
        "first_hit_per_query": search.first_hit.tolist(),
    }


def interval_record(one: Interval) -> dict[str, float | None]:
    """Mean and ends; null where there is no number."""
    return {name: number(getattr(one, name)) for name in ("mean", "low", "high")}


def number(value: float) -> float | None:
    """Five digits, as a report could ever want; null for NaN.

    >>> number(0.1234567), number(float("nan"))
    (0.12346, None)
    """
    return None if math.isnan(value) else round(float(value), 5)


def scores_of(record: Mapping[str, Any], name: str = "a stage's file") -> SearchScores:
    """The scores that :func:`kept` kept."""
    ap = [float("nan") if value is None else value for value in record["ap_per_query"]]
    return scores_from_json({**record, "ap_per_query": ap}, name)


def first_right(scores: SearchScores) -> Array:
    """(Q,) 1.0 where the first answer is right; NaN where the rules leave the query out."""
    return np.where(np.isnan(scores.ap), np.nan, (scores.first_hit == 1).astype(float))
