"""Raw results of every stage, made by hand: twelve queries, whose scores a person can check."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

N = 12
CELLS = {
    "acf+euclidean": 0.2, "acf+kissme": 0.3, "acf+bow": 0.4, "acf+idnet": 0.5,
    "deep+euclidean": 0.3, "deep+kissme": 0.4, "deep+bow": 0.5, "deep+idnet": 0.6,
    "gt+euclidean": 0.5, "gt+kissme": 0.6, "gt+bow": 0.7, "gt+idnet": 0.8,
}  # fmt: skip
"""Mean average precision of each pair: the paper's order everywhere."""


def record(
    ap: Sequence[float | None], first: Sequence[int] | None = None, name: str = "made"
) -> dict[str, Any]:
    """A search's record; unless told, the first answer is right where average precision is over a half."""
    known = [value for value in ap if value is not None]
    first = [1 if (value or 0) > 0.5 else 2 for value in ap] if first is None else list(first)
    hits = [f == 1 for f, value in zip(first, ap, strict=True) if value is not None]
    mean, top = sum(known) / len(known), sum(hits) / len(hits)
    return {
        "protocol": name,
        "gallery_size": 100,
        "queries": len(known),
        "mAP": {"mean": mean, "low": max(0.0, mean - 0.1), "high": min(1.0, mean + 0.1)},
        "top1": {"mean": top, "low": max(0.0, top - 0.2), "high": min(1.0, top + 0.2)},
        "rules": {"ap": "step", "det_threshold": 0.5},
        "ap_per_query": list(ap),
        "first_hit_per_query": list(first),
    }


def around(mean: float, n: int = N, swing: float = 0.02) -> list[float]:
    """``n`` scores around ``mean``, a little up and down in turn."""
    return [mean + swing * (-1) ** i for i in range(n)]


def hits(right: int, n: int = N) -> dict[str, Any]:
    """A record whose first answer is right for ``right`` of ``n`` queries, the first ones."""
    return record([0.5] * n, [1] * right + [2] * (n - right))


def detection(gain: tuple[float, float, float] = (0.2, 0.1, 0.3)) -> dict[str, Any]:
    marks = {f"{r:g}": [r, 0.9, 1 - r] for r in (0.4, 0.5, 0.6, 0.7, 0.8)} | {"0.9": None}
    row = {
        "truths": 60,
        "largest_recall": 0.85,
        "at_threshold": {"threshold": 0.5, "recall": 0.7, "precision": 0.9},
        "curve": {"recall": [0.1, 0.5, 0.85], "precision": [1.0, 0.95, 0.6]},
        "marks": marks,
        "intervals": {
            "n": 40, "ap": [0.5, 0.7], "recall": [0.6, 0.8], "precision": [0.85, 0.95],
            "marks": {name: mark and [0.8, 0.95] for name, mark in marks.items()},
        },
    }  # fmt: skip
    mean, low, high = gain
    return {
        "min_height": 50.0,
        "pictures": 40,
        "detectors": {"acf": {**row, "ap": 0.6}, "deep": {**row, "ap": 0.6 + mean}},
        "difference": {"mean": mean, "low": low, "high": high, "n": 40},
    }


def table2(ours: float = 0.63) -> dict[str, Any]:
    def cell(mean: float, ms: float) -> dict[str, Any]:
        between = {"mean": 3 * ms, "low": 2 * ms, "high": 4 * ms}
        return {"record": record(around(mean)), "detect_ms": ms, "describe_ms": 2 * ms, "ms": between}

    cells = {pair: cell(mean, 10 + 5 * i) for i, (pair, mean) in enumerate(CELLS.items())}
    # Each query by a little more or less: the interval of the difference has a width.
    mine = {"record": record(around(ours, swing=0.04)), "detect_ms": 30.0, "describe_ms": None}
    cells["deep+idnet"]["record"] = record(around(CELLS["deep+idnet"]), [1] * 4 + [2] * 8)
    curve = {"recall": [0.1, 0.9], "precision": [1.0, 0.8]}
    return {
        "pictures": 40,
        "timing": {"timed": 20, "device": "cpu", "rounds": 3},
        "cells": cells,
        "ours": mine,
        "joint_detection": {"recall": 0.9, "curve": curve},
    }


def ablation(softmax: float = 0.1, rss: float = 0.1, left: Sequence[float] = (0.8, 0.7)) -> dict[str, Any]:
    """Gains of softmax over softmax without stage 1, of RSS over softmax, and what is left of the loss."""

    def pair(a: str, b: str, gain: float) -> dict[str, Any]:
        mAP = {"mean": gain, "low": gain - 0.05, "high": gain + 0.05}
        return {"a": a, "b": b, "a_title": a, "b_title": b, "seeds": [0, 1], "mAP": mAP}

    names = ("softmax-unstarted", "softmax", "rss")
    ends = {"mean": 0.5, "low": 0.4, "high": 0.6}
    variants = [
        {"variant": name, "title": name, "seeds": [0, 1], "mAP": ends, "top1": ends, "recall": 0.9}
        for name in names
    ]
    curves = {
        name: {
            "title": name, "figure": True, "seeds": [0, 1], "step": list(range(20, 420, 20)),
            "loss": [[3 - 0.1 * i + j for i in range(20)] for j in (0.0, 0.2)],
            "looked": [200, 400], "mAP": [[0.2, 0.4], [0.25, 0.45]],
        }
        for name in names
    }  # fmt: skip
    initial = {"seeds": [0, 1], "first": [5.0, 5.0], "without": [5 * share for share in left],
               "with": [2.0, 2.0]}  # fmt: skip
    return {
        "foreign": False,
        "preset": "demo",
        "summary": {
            "protocol": "made", "queries": N, "variants": variants,
            "pairs": [pair("softmax", "softmax-unstarted", softmax), pair("rss", "softmax", rss)],
        },
        "curves": curves,
        "initial_loss": initial,
        "recall": {name: {"mean": 0.9, "low": 0.85, "high": 0.95} for name in names},
        "unchecked": "",
    }  # fmt: skip


def recall(tops: Sequence[int] = (2, 4, 7, 10, 7, 2)) -> dict[str, Any]:
    """Right first answers (of twelve) at recalls 40 to 90 %, of every pair."""

    def rows(n: int) -> dict[str, Any]:
        return {
            f"{0.4 + 0.1 * i:.1f}": {"recall": 0.4 + 0.1 * i, "threshold": 0.5, "record": hits(top, n)}
            for i, top in enumerate(tops)
        }

    # Each of its own, so that reading the wrong one is seen: by n.
    pairs = ("deep+bow", "deep+kissme", "acf+bow", "acf+kissme")
    return {"pairs": {pair: rows(N + i) for i, pair in enumerate(pairs)}}


def gallery(sizes: Sequence[int] = (50, 100, 4000), tops: Sequence[int] = (10, 9, 5)) -> dict[str, Any]:
    """Right first answers, of twelve in fifty, by gallery size: 600 queries."""

    def rows(less: int) -> dict[str, Any]:
        return {str(size): hits(50 * top - less, 50 * N) for size, top in zip(sizes, tops, strict=True)}

    lacking = [size for size in (50, 100, 500, 1000, 2000, 4000) if size not in sizes]
    return {
        "sizes": list(sizes),
        "lacking": lacking,
        "methods": {"ours": rows(0), "deep+bow": rows(min(10, 50 * min(tops)))},
    }


def subsets(hidden: float = 0.2, small: float = 0.3) -> dict[str, Any]:
    """What ours loses when occluded and when small; the others lose as much, and nothing."""
    methods = ("deep+kissme", "acf+bow", "ours")

    def of(loss: float, *, others: bool) -> dict[str, Any]:
        return {m: record(around(0.6 - loss * (others or m == "ours"))) for m in methods}

    return {
        "subsets": {
            "whole": of(0.0, others=True),
            "occlusion": of(hidden, others=True),
            "low-resolution": of(small, others=False),
        }
    }


def statistics() -> dict[str, Any]:
    heights = {
        kind: {"edges": [0, 50, 100, 150], "counts": [1, 5, 2]}
        for kind in ("identity", "background", "query")
    }
    row = {
        "source": "all", "pictures": 30, "identities": 12, "queries": 12, "boxes": 90, "labelled": 40,
        "background": 50, "people_a_picture": 3.0, "background_a_picture": 1.7, "heights": heights,
    }  # fmt: skip
    groups = [{"split": split, **row} for split in ("both", "train", "test")]
    return {"groups": groups, "subsets": {"occlusion": None, "low-resolution": 3}}


def everything() -> dict[str, Any]:
    """Results of all stages, in the paper's favour."""
    place = {"picture": "a.jpg", "box_xyxy": [10.0, 10.0, 30.0, 60.0]}
    summary = {"scenes": 30, "people": 90, "labelled": 40, "identities": 12, "checksum": "abc"}
    reasons = {"found": 6, "ranked_low": 3, "below_threshold": 1, "box_too_loose": 1, "not_detected": 1}
    lost = [
        {
            "of": "query",
            "by": "all",
            "value": "all",
            "n": 12,
            **reasons,
            "lost": 0.5,
            "low": 0.25,
            "high": 0.75,
        }
    ]
    return {
        "data": {"name": "synthetic", "generated": True, "train": summary, "test": summary,
                 "gallery_sizes": [50, 100], "gallery_size": 100},
        "statistics": statistics(),
        "samples": {
            "searches": [{"query": place, "hits": [place, place], "distractors": [place] * 3, "right": 2,
                          "gallery": 100}] * 2,
            "queries": {"high resolution": {"n": 9, "queries": [place] * 4}, "occlusion": None,
                        "low-resolution": {"n": 3, "queries": [place] * 3}},
        },
        "detection": detection(),
        "table2": table2(),
        "recall": recall(),
        "gallery": gallery(),
        "subsets": subsets(),
        "failures": {"methods": dict.fromkeys(("ours", "deep+idnet", "acf+bow"), lost)},
        "speed": {"ratio": 41.0, "low": 35.0, "high": 50.0, "n": 20, "joint_ms": 10.0, "pair_ms": 410.0,
                  "people_a_picture": 6.0, "threads": 2, "timed": 20, "device": "cpu", "rounds": 3,
                  "joint": {"mean": 10.0, "low": 9.0, "high": 11.0},
                  "pair": {"mean": 410.0, "low": 400.0, "high": 420.0}},
        "cost": {"memory_mib": {"ours": 80.0, "deep+idnet": None, "deep+bow": 90.0, "acf+bow": 20.0},
                 "parameters": {"ours": 4_000_000, "deep": 1_000_000, "idnet": 3_000_000}},
        "ablation": ablation(),
        "sweep": {"classes": 601, "rows": [
            {"k": k, "record": record(around(0.5)), "recall": 0.9, "ap": 0.8,
             "recall_interval": {"mean": 0.9, "low": 0.88, "high": 0.92}} for k in (10, 100, None)]},
        "best": {"name": "medium-long", "record": record(around(0.7)), "recall": 0.9, "ap": 0.8},
        "ours": {"fingerprint": "f", "given": False},
    }  # fmt: skip


class Make:
    """The functions above, for tests that want one of them otherwise."""

    record, hits, around = staticmethod(record), staticmethod(hits), staticmethod(around)
    detection, table2, ablation = staticmethod(detection), staticmethod(table2), staticmethod(ablation)
    recall, gallery, subsets = staticmethod(recall), staticmethod(gallery), staticmethod(subsets)
    cells = CELLS


@pytest.fixture(scope="session")
def fresh() -> Callable[[], dict[str, Any]]:
    """Makes everything anew, for fixtures that live longer than a test."""
    return everything


@pytest.fixture
def make() -> type[Make]:
    return Make


@pytest.fixture
def results() -> dict[str, Any]:
    return everything()


@pytest.fixture
def changed(results: dict[str, Any]) -> Callable[..., dict[str, Any]]:
    """Everything, but for some stages."""
    return lambda **stages: {**results, **stages}
