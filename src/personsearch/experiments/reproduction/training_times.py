"""How long the trainings behind a stage took, as their own folders tell: of all runs, whoever began them.

A stage that finds its models finished takes a second, and what they cost would be told nowhere.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from personsearch.experiments.baseline_training import STATE
from personsearch.experiments.reproduction.workshop import Workshop
from personsearch.training.state import METRICS, read_lines


def logged_seconds(run: Path) -> float:
    """Seconds between the lines of a run's log: of its steps, without start, validation and saving."""
    return sum(float(line.get("seconds", 0.0)) for line in read_lines(run / METRICS))


def _all(runs: Iterable[Path]) -> float | None:
    """Of runs together; None where none of them left a log."""
    there = [run for run in runs if (run / METRICS).exists()]
    return sum(map(logged_seconds, there)) if there else None


def ours(shop: Workshop) -> float | None:
    """Our network's, and stage 1's where that is a run of its own."""
    if shop.asked.model is not None:
        return None
    return _all([shop.our_folder, *_start(shop)])


def _start(shop: Workshop) -> list[Path]:
    return [shop.ablation / f"start-{shop.seed}"] if shop.foreign_ablation is None else []


def part(kind: str, shop: Workshop) -> float | None:
    """One of the baselines' parts, by the book of their folder.

    Those that are trained together are told of with the first of them, whose stage does it.
    """
    together = shop.classical if kind in shop.classical else (kind,)
    if kind != together[0]:
        return None
    try:
        book = json.loads((shop.parts / STATE).read_text(encoding="utf-8"))
        return sum(float(book["seconds"][one]) for one in together)
    except (OSError, ValueError, KeyError, TypeError):
        return None  # the book is the trainings' own, which refuse a damaged one


def ablation(shop: Workshop) -> float | None:
    """The ablation's runs, but for those that :func:`ours` counts; None where their results were given."""
    if shop.foreign_ablation is not None:
        return None
    counted = {shop.our_folder, *_start(shop)}
    return _all(run for run in sorted(shop.ablation.glob("*-*")) if run not in counted)


def sweep(shop: Workshop) -> float | None:
    """The runs with other K and with softmax, and their initial point where it was made for them."""
    return _all([*sorted((shop.out / "sweep").glob("*-*")), shop.out / "start"])


def best(shop: Workshop) -> float | None:
    """Our best network's."""
    return _all([shop.out / "best"])
