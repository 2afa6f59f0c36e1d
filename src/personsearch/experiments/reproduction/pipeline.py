"""Which table and figure needs which stages, and the run from data to report."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from personsearch.baselines.open import TRAINED
from personsearch.errors import InputError, UsageError
from personsearch.experiments.reproduction import (
    ablations,
    anatomy,
    costs,
    measurements,
    samples,
    training_times,
    trainings,
)
from personsearch.experiments.reproduction.stages import Ledger, Planned, Stage, ordered, planned, run_plan
from personsearch.experiments.reproduction.workshop import Asked, Workshop
from personsearch.files import WriterLock, disk_errors, write_json
from personsearch.model.searcher import choose_device
from personsearch.progress import Progress, silent
from personsearch.training.settings import shaping

RESULTS, STATE, LOCK = "results", "reproduction.json", "lock"
_TITLES = {
    "acf": "training ACF",
    "deep": "training Deep",
    "euclidean": "learning DenseSIFT + ColorHist",
    "kissme": "learning KISSME",
    "bow": "learning BoW",
    "idnet": "training IDNet",
}


def _stages() -> dict[str, Stage]:
    """Every stage, each behind those that it needs."""
    data = Stage(name="data", title="data", work=trainings.make_data, settings=trainings.data_settings)
    light = (
        Stage(name="statistics", title="counting people", needs=("data",), work=measurements.count),
        Stage(name="samples", title="choosing examples", needs=("data",), work=samples.samples),
        Stage(
            name="network",
            title="walking the network",
            needs=("data",),
            work=anatomy.anatomy,
            settings=lambda shop: {"training": shaping(shop.base().to_json())},
        ),
    )
    ours = Stage(
        name="ours",
        title="training our network",
        needs=("data",),
        work=trainings.train_ours,
        settings=trainings.ours_settings,
        intact=trainings.ours_intact,
        given=lambda shop: shop.asked.model is not None,
        trained=training_times.ours,
    )
    parts = tuple(
        Stage(
            name=kind,
            title=_TITLES[kind],
            needs=("data",),
            **trainings.of_part(kind),
            trained=partial(training_times.part, kind),
        )
        for kind in TRAINED
    )
    return {stage.name: stage for stage in (data, *light, ours, *parts, *_measured(), *_beyond())}


def _beyond() -> tuple[Stage, ...]:
    """The ablation, and what the paper does not have."""
    return (
        Stage(
            name="ablation",
            title="the ablation",
            needs=("data",),
            work=ablations.ablate,
            settings=ablations.ablate_settings,
            given=lambda shop: shop.foreign_ablation is not None,
            trained=training_times.ablation,
        ),
        Stage(
            name="sweep",
            title="RSS with other K",
            needs=("data", "ours"),
            work=trainings.sweep,
            settings=trainings.sweep_settings,
            trained=training_times.sweep,
        ),
        Stage(
            name="best",
            title="our best network",
            needs=("data",),
            work=trainings.best,
            settings=trainings.best_settings,
            given=trainings.best_given,
            trained=training_times.best,
        ),
    )


def _measured() -> tuple[Stage, ...]:
    """The stages that look at pictures with finished models."""
    return (
        Stage(
            name="detection",
            title="how well people are found",
            needs=("data", "acf", "deep"),
            work=measurements.detection,
            settings=measurements.detection_curves_settings,
        ),
        Stage(
            name="table2",
            title="all methods' searches",
            needs=("data", "ours", *TRAINED),
            work=measurements.table2,
            settings=measurements.table2_settings,
        ),
        Stage(
            name="recall",
            title="searches by detection recall",
            needs=("data", "acf", "deep", "kissme", "bow"),
            work=measurements.recall,
            settings=measurements.detection_settings,
        ),
        Stage(
            name="gallery",
            title="searches by gallery size",
            needs=("data", "ours", "deep", "bow"),
            work=measurements.gallery,
        ),
        Stage(
            name="subsets",
            title="searches for people who are hard to see",
            needs=("data", "ours", "acf", "deep", "kissme", "bow"),
            work=measurements.subsets,
        ),
        Stage(
            name="failures",
            title="why queries are lost",
            needs=("data", "ours", "acf", "deep", "bow", "idnet"),
            work=measurements.failures,
        ),
        Stage(
            name="speed",
            title="speed",
            needs=("data", "ours", "deep", "idnet"),
            work=costs.speed,
            settings=costs.speed_settings,
        ),
        Stage(
            name="cost",
            title="memory",
            needs=("data", "ours", "acf", "deep", "bow", "idnet"),
            work=costs.cost,
            settings=costs.speed_settings,
        ),
    )


STAGES: Mapping[str, Stage] = _stages()
ITEMS: Mapping[str, tuple[str, ...]] = {
    "table1": ("statistics",),
    "fig1": ("samples",),
    "fig2": ("statistics",),
    "fig3": ("samples",),
    "fig4": ("network",),
    "table2": ("table2",),
    "fig5": ("detection",),
    "fig6": ("ablation",),
    "fig7a": ("recall", "detection"),
    "fig7b": ("gallery",),
    "table3": ("subsets",),
    "speed": ("speed",),
    "failures": ("failures",),
    "cost": ("cost", "table2"),
    "sweep": ("sweep",),
    "best": ("best", "table2", "gallery"),
}
"""What can be asked for, in the order of the report, with the stages it is made of."""
BEYOND = ("failures", "cost", "sweep", "best")
"""What the paper does not have."""


def chosen_items(names: Sequence[str], asked: Asked) -> tuple[str, ...]:
    """The items called ``names``, everything that the preset holds for ``all``, in the report's order.

    Raises:
        UsageError: there is no such item, or the preset has none.
    """
    unknown = [name for name in names if name not in (*ITEMS, "all")]
    if unknown or not names:
        raise UsageError(
            f"there is no table or figure {unknown[0]!r}" if unknown else "nothing is asked for",
            hint=f"choose among {', '.join(ITEMS)}, or all",
        )
    lacking = {"sweep": not asked.size.sweep, "best": not (asked.size.best or asked.best)}
    for name in names:
        if lacking.get(name):
            raise UsageError(f"preset {asked.size.name} has no {name}", hint="choose preset medium")
    if "all" in names:
        return tuple(name for name in ITEMS if not lacking.get(name))
    return tuple(name for name in ITEMS if name in names)


def stages_of(items: Sequence[str]) -> tuple[Stage, ...]:
    """Everything that ``items`` need, each behind what it needs."""
    return ordered(STAGES, [stage for item in items for stage in ITEMS[item]])


@dataclass(frozen=True, kw_only=True)
class Reproduction:
    """What a run gave.

    Attributes:
        asked: for what.
        items: tables and figures, in the report's order.
        results: of every stage behind them, by name.
        seconds: that each of them took when it was done.
        by: which versions did it, by name of the stage.
        command: that did it, and the Python it ran in, where that was not this one just now.
    """

    asked: Asked
    items: tuple[str, ...]
    results: Mapping[str, dict[str, Any]]
    seconds: Mapping[str, float]
    by: Mapping[str, str] = field(default_factory=dict)
    command: str = ""
    python: str = ""


def plan_of(items: Sequence[str], asked: Asked, out: Path) -> tuple[Planned, ...]:
    """What :func:`reproduce` would do; nothing is written."""
    check(asked, out)
    stages = stages_of(items)
    shop = Workshop(asked, out, [stage.name for stage in stages])
    return planned(stages, Ledger(out / RESULTS), shop)


def check(asked: Asked, out: Path) -> None:
    """Raise for what only a later stage would stumble over, hours from now."""
    if asked.root is None and asked.dataset != "synthetic":
        raise UsageError(
            f"--root is missing: {asked.dataset} cannot be drawn", hint="give the data set's folder"
        )
    choose_device(asked.device)
    for folder, what in ((asked.model, "model"), (asked.best, "model"), (asked.ablation, "results")):
        if folder is not None and not folder.is_dir():
            raise InputError(f"{folder} is not a folder", hint=f"give a folder of {what}")
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out} is a file, not a folder", hint="give another folder with --out")
    state = _state(out)
    if state is not None and state != _claim(asked):
        differs = next(key for key, value in _claim(asked).items() if state.get(key) != value)
        raise UsageError(
            f"{out} holds a reproduction with another {differs}: {state.get(differs)}",
            hint="give another folder with --out",
        )


def reproduce(
    items: Sequence[str],
    asked: Asked,
    out: Path,
    *,
    progress: Progress = silent,
    say: Callable[[str], None] = lambda line: None,
) -> Reproduction:
    """Do whatever is missing for ``items``; killed at any moment, the same call goes on.

    Args:
        items: as :func:`chosen_items` gives them.
        asked: for what.
        out: folder of this reproduction; with other data or another preset, take another one.
        progress: told of every long job.
        say: hears a line at the beginning and end of every stage.

    Raises:
        UsageError: ``out`` holds a reproduction of other data or another preset.
        LockedError: another process works there.
    """
    check(asked, out)
    with disk_errors(out):
        out.mkdir(parents=True, exist_ok=True)
    lock = WriterLock(out / LOCK)
    try:
        if _state(out) is None:
            write_json(out / STATE, _claim(asked))
        stages = stages_of(items)
        shop = Workshop(asked, out, [stage.name for stage in stages], progress=progress, say=say)
        ledger = Ledger(out / RESULTS)
        results = run_plan(planned(stages, ledger, shop), ledger, shop)
        entries = {name: ledger.entry(name) for name in results}
    finally:
        lock.release()
    seconds = {name: float(entry["seconds"]) for name, entry in entries.items() if entry is not None}
    by = {name: str(entry.get("by", "an earlier version")) for name, entry in entries.items() if entry}
    return Reproduction(asked=asked, items=tuple(items), results=results, seconds=seconds, by=by)


def _claim(asked: Asked) -> dict[str, Any]:
    """What one folder belongs to."""
    return {
        "schema": "personsearch.reproduction/1",
        "dataset": asked.dataset,
        "preset": asked.size.name,
        "seed": asked.seeds[0],
        "pretrained": asked.pretrained,
    }


def _state(out: Path) -> dict[str, Any] | None:
    path = out / STATE
    if not path.exists():
        return None
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} cannot be read", hint="remove it, or give another folder") from error
    if not isinstance(found, dict):
        raise UsageError(f"{path} is no record of a reproduction", hint="give another folder with --out")
    return found
