"""Learning to find people: rounds of boosting, each against the background that fooled the one before."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from personsearch.baselines.acf.channels import CHANNELS
from personsearch.baselines.acf.detector import KIND, AcfModel, save_acf
from personsearch.baselines.acf.pyramid import estimate_power, window_features
from personsearch.baselines.acf.settings import AcfSettings
from personsearch.baselines.acf.state import STATE, Standing, read_standing, save_standing
from personsearch.baselines.acf.trees import Trees, grow_trees
from personsearch.baselines.acf.windows import (
    covered,
    cut_window,
    is_background,
    person_windows,
    random_background,
    truth_of,
)
from personsearch.baselines.parts import CONFIG, read_part
from personsearch.boxes import iou
from personsearch.errors import InputError, UsageError
from personsearch.evaluation.detection import mutual_best
from personsearch.files import WriterLock, disk_errors
from personsearch.images import load
from personsearch.progress import Progress, silent
from personsearch.ranking.calibration import Calibration, fit_calibration
from personsearch.types import Array, Picture, Scene

POWER_PICTURES = 32
"""Pictures from which the power law is estimated."""
RANDOM_HELD_OUT = 10
"""Windows of background from each picture held out that the curve from sums to probabilities is fitted to,
beside what was detected wrongly."""


@dataclass(frozen=True, eq=False, kw_only=True)
class _Plan:
    """Which pictures are for what; the truth of each is known without reading it."""

    training: tuple[Scene, ...]
    held_out: tuple[Scene, ...]


def train_acf(
    scenes: Sequence[Scene], settings: AcfSettings, folder: Path, *, progress: Progress = silent
) -> Path:
    """Train a detector on ``scenes`` into ``folder``, and return the folder.

    Killed at any moment and called again it goes on after the last finished round, and ends with
    the same bytes. A finished folder is left as it is. Pictures are read when they are needed;
    memory holds the windows (at most ``positives + negatives + negatives_added``) and one picture.

    Args:
        scenes: annotated pictures with paths. Boxes that ``ignore`` marks, people who are too low or
            too hidden are neither sought nor background.
        settings: sizes, shares and the seed.
        folder: of the detector, and of the state while it is being trained.
        progress: told in pictures and trees.

    Raises:
        InputError: a picture cannot be read or has no path; nobody to learn from, or no background.
        UsageError: ``folder`` holds another detector, or a training of other settings or scenes.
        LockedError: another process trains there.

    Source: Dollár et al. (TPAMI 2014), section 6.1.
    """
    folder = Path(folder)
    made_from = {"settings": settings.to_json(), "trained_on": _summary(scenes)}
    if _is_finished(folder, made_from):
        (folder / STATE).unlink(missing_ok=True)  # left by a kill just after the end
        return folder
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    lock = WriterLock(folder / "lock")
    try:
        if not _is_finished(folder, made_from):  # again: another may have been at it until a moment ago
            plan = _plan(scenes, settings)
            standing = read_standing(folder, made_from) or _begin(plan, settings, progress)
            while standing.rounds < len(settings.trees):
                standing = _next_round(standing, plan, settings, progress)
                save_standing(folder, standing, made_from)
            model = _model(standing, settings)
            save_acf(folder, model, _calibrated(model, plan, progress), made_from["trained_on"])
        (folder / STATE).unlink(missing_ok=True)
    finally:
        lock.release()
    return folder


def _is_finished(folder: Path, made_from: dict[str, Any]) -> bool:
    """Whether ``folder`` holds just the detector that is wanted."""
    if not (folder / CONFIG).exists():
        return False
    part = read_part(folder)
    found = {name: part.settings.get(name) for name in made_from}
    if part.kind != KIND or found != json.loads(json.dumps(made_from)):
        raise UsageError(
            f"{folder} holds a detector of other settings or scenes", hint="choose another folder"
        )
    return True


def _summary(scenes: Sequence[Scene]) -> dict[str, Any]:
    """What is learnt from, enough to notice that it has changed."""
    digest = hashlib.sha256()
    for scene in scenes:
        columns = (scene.boxes, scene.visible, scene.ignore)
        digest.update(f"{scene.name}\n".encode() + b"".join(np.asarray(one).tobytes() for one in columns))
    return {
        "scenes": len(scenes),
        "people": sum(len(scene) for scene in scenes),
        "checksum": digest.hexdigest(),
    }


def _plan(scenes: Sequence[Scene], settings: AcfSettings) -> _Plan:
    """A drawing of pictures; those held out show people, who are the smaller part."""
    without = next((scene for scene in scenes if scene.path is None), None)
    if without is not None:
        raise InputError(f"scene {without.name} has no picture", hint="give the data set with its pictures")
    order = np.random.default_rng([settings.seed, 0]).permutation(len(scenes))[: settings.pictures]
    drawn = [scenes[i] for i in order]
    peopled = [i for i, scene in enumerate(drawn) if len(truth_of(scene, settings).wanted)]
    if len(peopled) < 2:
        raise InputError(
            f"only {len(peopled)} of {len(drawn)} pictures show somebody to learn from",
            hint=f"they must be {settings.min_height:g} px high and {settings.least_visible:.0%} visible",
        )
    held = set(peopled[: min(max(round(settings.held_out * len(drawn)), 1), len(peopled) // 2)])
    return _Plan(
        training=tuple(scene for i, scene in enumerate(drawn) if i not in held),
        held_out=tuple(drawn[i] for i in sorted(held)),
    )


def _begin(plan: _Plan, settings: AcfSettings, progress: Progress) -> Standing:
    """Everything before the first round: the power law, the shape of people, and their windows."""
    first = (_pixels(scene) for scene in plan.training[:POWER_PICTURES])
    try:
        power = estimate_power(first)
    except ValueError as error:
        raise InputError(f"cannot learn from these pictures: {error}", hint="give larger pictures") from error
    sides = [truth_of(scene, settings).wanted for scene in plan.training]
    wide = np.concatenate(sides)
    aspect = float(np.median((wide[:, 2] - wide[:, 0]) / (wide[:, 3] - wide[:, 1])))
    rng = np.random.default_rng([settings.seed, 1])
    found: list[Array] = []
    enough = 0
    for scene in progress(plan.training, "people", total=len(plan.training)):
        wanted = truth_of(scene, settings).wanted
        if len(wanted) and enough < settings.positives:
            found.append(person_windows(_pixels(scene), wanted, settings, rng))
            enough += len(found[-1])
    people = np.concatenate(found)[: settings.positives]
    none = Trees(np.zeros((0, 3), np.int32), np.zeros((0, 3), np.uint8), np.zeros((0, 4), np.float32))
    return Standing(rounds=0, people=people, background=people[:0], trees=none, power=power, aspect=aspect)


def _next_round(standing: Standing, plan: _Plan, settings: AcfSettings, progress: Progress) -> Standing:
    """More background, and trees from the first on that know it."""
    number = standing.rounds
    label = f"round {number + 1} of {len(settings.trees)}"
    rng = np.random.default_rng([settings.seed, 2, number])
    added = _background(standing, plan, settings, rng, progress, f"{label}: background")
    room = max(settings.negatives - len(added), 0)
    before = standing.background
    kept = np.sort(rng.choice(len(before), min(room, len(before)), replace=False))
    background = np.concatenate([before[kept], added])
    if not len(background):
        raise InputError(
            "no picture shows a window of background", hint="give pictures that show more than people"
        )
    count = settings.trees[number]
    grown = grow_trees(
        standing.people,
        background,
        count,
        share=settings.feature_share,
        slack=settings.cascade_slack,
        rng=rng,
    )
    trees = list(progress(grown, f"{label}: trees", total=count))
    return Standing(
        rounds=number + 1,
        people=standing.people,
        background=background,
        trees=Trees(*(np.concatenate([vars(tree)[name] for tree in trees]) for name in vars(trees[0]))),
        power=standing.power,
        aspect=standing.aspect,
    )


def _background(
    standing: Standing,
    plan: _Plan,
    settings: AcfSettings,
    rng: np.random.Generator,
    progress: Progress,
    label: str,
) -> Array:
    """Windows without people: drawn in the first round, later those that fooled the last round's trees."""
    model = _model(standing, settings)
    found: list[Array] = [standing.people[:0]]
    enough = 0
    order = rng.permutation(len(plan.training))
    for i in progress(order.tolist(), label, total=len(order)):
        if enough >= settings.negatives_added:
            continue
        scene = plan.training[i]
        picture, truth = _picture(scene), truth_of(scene, settings)
        pyramid = model.pyramid(picture.pixels)
        most = min(settings.negatives_per_picture, settings.negatives_added - enough)
        if standing.rounds:
            places, boxes, _ = model.find(pyramid, picture.size)
            wrong = is_background(boxes, truth, settings.negative_overlap)
            found.append(pyramid.features(places[wrong][:most]))
        else:
            found.append(random_background(pyramid, truth, model.aspect, most, settings, rng))
        enough += len(found[-1])
    return np.concatenate(found)


def _calibrated(model: AcfModel, plan: _Plan, progress: Progress) -> Calibration:
    """The logistic curve from sums to probabilities, fitted to the pictures held out.

    Right is everybody who is there, once: by the sum of the window that found them, or where none
    did, of the window around them. Wrong is what else was detected, and some background.
    """
    settings = model.settings
    rng = np.random.default_rng([settings.seed, 3])
    sums: list[Array] = []
    right: list[Array] = []
    for scene in progress(plan.held_out, "scores", total=len(plan.held_out)):
        picture, truth = _picture(scene), truth_of(scene, settings)
        pyramid = model.pyramid(picture.pixels)
        _, boxes, found = model.find(pyramid, picture.size)
        hit = mutual_best(boxes, truth.wanted, 0.5)
        missed = truth.wanted[~mutual_best(truth.wanted, boxes[hit], 0.5)]
        unclear = (iou(boxes, truth.others).max(axis=1, initial=0.0) >= 0.5) | (
            covered(boxes, truth.ignored) >= 0.5
        )
        wrong = found[~hit & ~unclear]
        drawn = random_background(pyramid, truth, model.aspect, RANDOM_HELD_OUT, settings, rng)
        people = np.concatenate([found[hit], model.trees.sums(_around(picture.pixels, missed, settings))])
        nobody = np.concatenate([wrong, model.trees.sums(drawn)])
        sums += [people, nobody]
        right += [np.ones(len(people), bool), np.zeros(len(nobody), bool)]
    truths = np.concatenate(right)
    if truths.all():
        raise InputError(
            "the pictures held out show no background", hint="give pictures that show more than people"
        )
    return fit_calibration(np.concatenate(sums), truths, method="platt")


def _around(pixels: Array, boxes: Array, settings: AcfSettings) -> Array:
    """(n, f) features of the windows around ``boxes``."""
    empty = np.zeros((0, CHANNELS * settings.cells[0] * settings.cells[1]), np.uint8)
    rows = [empty]
    for left, top, right, bottom in np.asarray(boxes, np.float64).tolist():
        middle = np.array([left + right, top + bottom]) / 2
        part = cut_window(pixels, middle, settings.person_height / (bottom - top), settings)
        rows.append(window_features(part, settings)[None])
    return np.concatenate(rows)


def _model(standing: Standing, settings: AcfSettings) -> AcfModel:
    return AcfModel(settings=settings, trees=standing.trees, power=standing.power, aspect=standing.aspect)


def _picture(scene: Scene) -> Picture:
    assert scene.path is not None  # the plan has made sure
    return load(scene.path, name=scene.name)


def _pixels(scene: Scene) -> Array:
    return _picture(scene).pixels
