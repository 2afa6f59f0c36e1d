"""Figure 6: the ablation made here, or its raw results from elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from personsearch.errors import UsageError
from personsearch.experiments.ablation import VARIANTS, run_ablation
from personsearch.experiments.ablation_report import Run, read_runs, summary
from personsearch.experiments.reproduction.detection_intervals import recall_interval
from personsearch.experiments.reproduction.trainings import ablation_settings
from personsearch.experiments.reproduction.workshop import Workshop
from personsearch.files import sha256_of
from personsearch.training.folder import data_summary
from personsearch.training.settings import shaping

FIGURE = tuple(variant.name for variant in VARIANTS if variant.figure)
LAST = 0.5
"""Share of stage 2, its end, over which losses are compared."""


def ablate_settings(shop: Workshop) -> dict[str, Any]:
    """The runs' settings, or the files they come from."""
    foreign = shop.foreign_ablation
    if foreign is not None:
        return {"results": sha256_of(*sorted(foreign.glob("*.json"))), "test half": "checked"}
    return {
        "training": shaping(shop.base().to_json()),
        "seeds": list(shop.asked.seeds),
        "points": shop.size.points,
    }


def ablate(shop: Workshop) -> dict[str, Any]:
    """Softmax without and with stage 1, and RSS: losses and test mAP on the way, and what is told of them.

    Raises:
        UsageError: results that were brought along are of other training data.
    """
    folder = shop.foreign_ablation
    if folder is None:
        settings = ablation_settings(shop, shop.asked.seeds, FIGURE)
        files = run_ablation(
            shop.data, shop.ablation, settings, device=shop.asked.device, progress=shop.progress, say=shop.say
        )
        folder = files[0].parent
    runs = read_runs(folder)
    unchecked = check_runs(runs, shop, folder)
    return {
        "foreign": shop.foreign_ablation is not None,
        "preset": runs[0].raw["preset"],
        "summary": summary(runs),
        "curves": {name: _curves(of) for name, of in _by_name(runs).items()},
        "initial_loss": initial_loss(runs),
        "recall": recalls(runs),
        "unchecked": unchecked,
    }


def check_runs(runs: Sequence[Run], shop: Workshop, folder: Path) -> str:
    """Refuse results of other data; what could not be checked, in words, or nothing.

    Results from before the test half was written down do not name it. Their queries' heights have to be
    those of the queries here, which tells another test half though not another picture.

    Raises:
        UsageError: they are of other data.
    """
    hint = "give results on this data set"
    for key, half in (("data", "train"), ("test data", "test")):
        here = data_summary(shop.data.scenes(half))["checksum"]  # type: ignore[arg-type]
        if any(run.raw[key].get("checksum") != here for run in runs if key in run.raw):
            raise UsageError(f"{folder} holds an ablation of other data ({half} half)", hint=hint)
    if all("test data" in run.raw for run in runs):
        return ""
    size = runs[0].raw["search"]["gallery_size"]
    held = shop.data.gallery_sizes
    if size not in held and held:
        return "its results do not name their test half, and nothing of it could be compared with this one"
    boxes = shop.data.trials(size if held else None).query_box
    here = np.round(boxes[:, 3] - boxes[:, 1], 1).tolist()
    if runs[0].raw["query_height"] != here:
        raise UsageError(f"{folder} holds an ablation of other data (test half: other queries)", hint=hint)
    return "its results do not name their test half; that its queries are as many and as tall was checked"


def recalls(runs: Sequence[Run]) -> dict[str, Any]:
    """Detection recall by way to train, means over seeds with their interval over pictures.

    Only of runs that noted it by picture.
    """
    found: dict[str, Any] = {}
    for name, of in _by_name(runs).items():
        kept = [run.raw["detection"] for run in of]
        if all("found_per_picture" in one for one in kept):
            right = np.mean([one["found_per_picture"] for one in kept], axis=0)
            found[name] = recall_interval(right, np.asarray(kept[0]["people_per_picture"]), 0)
    return found


def _by_name(runs: Sequence[Run]) -> dict[str, list[Run]]:
    found: dict[str, list[Run]] = {}
    for run in runs:
        found.setdefault(run.variant.name, []).append(run)
    return found


def _curves(of: Sequence[Run]) -> dict[str, Any]:
    """Of each seed: identity loss by step of the log, mAP by step looked at."""
    return {
        "title": of[0].variant.title,
        "figure": of[0].variant.figure,
        "seeds": [run.seed for run in of],
        "step": of[0].raw["losses"]["step"],
        "loss": [[round(value, 4) for value in run.raw["losses"]["identity"]] for run in of],
        "looked": [point["step"] for point in of[0].raw["way"]],
        "mAP": [[point["mAP"] for point in run.raw["way"]] for run in of],
    }


def initial_loss(runs: Sequence[Run]) -> dict[str, Any] | None:
    """Softmax's identity loss without a good initial point and with one, of every seed that has both.

    ``first`` is the first line of the log without one, ``without`` and ``with`` are means over the last
    half of stage 2. Lines of one run follow from each other, so a seed is one number each and no
    interval is drawn from lines. None where one of the two was not run.
    """
    by_name = _by_name(runs)
    with_point, without = (by_name.get(name, ()) for name in ("softmax", "softmax-unstarted"))
    pairs = [(a, b) for a in without for b in with_point if a.seed == b.seed]
    if not pairs:
        return None
    return {
        "seeds": [a.seed for a, _ in pairs],
        "first": [round(float(a.raw["losses"]["identity"][0]), 4) for a, _ in pairs],
        "without": [_end(a.raw) for a, _ in pairs],
        "with": [_end(b.raw) for _, b in pairs],
    }


def _end(raw: Mapping[str, Any]) -> float:
    """Mean identity loss over the last part of stage 2."""
    values = np.asarray(raw["losses"]["identity"], np.float64)
    return round(float(values[-max(1, round(LAST * len(values))) :].mean()), 4)
