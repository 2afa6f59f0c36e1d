"""Figures 1b and 3: which searches are shown, chosen by the annotation and never by what a model answers."""

from __future__ import annotations

from typing import Any

import numpy as np

from personsearch.datasets.dataset import Subset
from personsearch.datasets.inventory import subset_if_there
from personsearch.experiments.reproduction.workshop import Workshop
from personsearch.types import Array, Trials

QUERIES, HITS, DISTRACTORS = 4, 2, 3
"""Rows of figure 1b, and what stands in each."""
EXAMPLES = 8
"""Queries of each kind in figure 3."""
KINDS: tuple[Subset, ...] = ("occlusion", "low-resolution")


def samples(shop: Workshop) -> dict[str, Any]:
    """Searches for figure 1b, and queries of each subset for figure 3: pictures by name, boxes."""
    trials = shop.data.trials(shop.gallery_size)
    kinds: dict[str, Any] = {}
    hard: set[tuple[str, tuple[float, ...]]] = set()
    for kind in KINDS:
        found = subset_if_there(shop.data, kind)
        if found is None or not len(found):
            kinds[kind] = None
            continue
        hard |= {_query(found, row) for row in range(len(found))}
        rows = spread(np.arange(len(found)), EXAMPLES)
        kinds[kind] = {"n": len(found), "queries": [_said(_query(found, row)) for row in rows]}
    easy = np.array([row for row in range(len(trials)) if _query(trials, row) not in hard], np.int64)
    tall = _tallest_half(trials, easy)
    kinds["high resolution"] = {
        "n": len(tall),
        "queries": [_said(_query(trials, row)) for row in spread(tall, EXAMPLES)],
    }
    return {"searches": [search(trials, row) for row in _rows(trials)], "queries": kinds}


def spread(rows: Array, count: int) -> list[int]:
    """At most ``count`` of ``rows``, evenly from the first to the last.

    >>> spread(np.arange(10), 4), spread(np.arange(2), 4)
    ([0, 3, 6, 9], [0, 1])
    """
    if len(rows) <= count:
        return [int(row) for row in rows]
    return [int(rows[i]) for i in np.linspace(0, len(rows) - 1, count).round().astype(int)]


def search(trials: Trials, row: int) -> dict[str, Any]:
    """One search: the query, its first right pictures with their true boxes, and the first distractors."""
    hits: list[dict[str, Any]] = []
    others: list[dict[str, Any]] = []
    for entry in range(int(trials.entry_ptr[row]), int(trials.entry_ptr[row + 1])):
        name = trials.scenes[trials.entry_scene[entry]]
        truth = trials.truth_box[trials.truth_ptr[entry] : trials.truth_ptr[entry + 1]]
        (hits if len(truth) else others).append(_said((name, truth[0].tolist() if len(truth) else ())))
    return {
        "query": _said(_query(trials, row)),
        "hits": hits[:HITS],
        "distractors": others[:DISTRACTORS],
        "right": len(hits),
        "gallery": len(hits) + len(others),
    }


def _rows(trials: Trials) -> list[int]:
    """Searches spread over those with as many right pictures as are shown, of all where there are none."""
    right = np.array([len(search(trials, row)["hits"]) for row in range(len(trials))])
    return spread(np.flatnonzero(right == right.max(initial=0)), QUERIES)


def _tallest_half(trials: Trials, rows: Array) -> Array:
    """Those of ``rows`` that are at least as tall as the middle one, in their order."""
    height = trials.query_box[rows, 3] - trials.query_box[rows, 1]
    kept: Array = rows[height >= np.median(height)] if len(rows) else rows
    return kept


def _query(trials: Trials, row: int) -> tuple[str, tuple[float, ...]]:
    return trials.scenes[trials.query_scene[row]], tuple(trials.query_box[row].tolist())


def _said(place: tuple[str, Any]) -> dict[str, Any]:
    name, box = place
    return {"picture": name, "box_xyxy": [round(float(side), 2) for side in box]}
