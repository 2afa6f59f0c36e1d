"""The paper's ablation (5.4, figure 6) and its successors: what the initial point and the identity loss do.

Each finished run leaves one small JSON file of raw results: its losses, the test scores on the way, and
every query's average precision. The report (:mod:`personsearch.experiments.ablation_report`) is made
from these files alone, so that it can be made again where the runs are long gone.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from personsearch.datasets.dataset import Dataset, GallerySize
from personsearch.errors import UsageError
from personsearch.experiments.benchmark import Benchmark, Protocol, evaluation_record, run_benchmark
from personsearch.experiments.found import found_by_picture
from personsearch.features import Features
from personsearch.files import write_json
from personsearch.model.checkpoint import load_searcher
from personsearch.model.presets import fine
from personsearch.model.settings import Identity
from personsearch.progress import Progress, silent
from personsearch.training.folder import SETTINGS, data_summary
from personsearch.training.presets import medium_long
from personsearch.training.presets import preset as training_preset
from personsearch.training.settings import TrainingSettings
from personsearch.training.snapshots import INITIAL, load_snapshot
from personsearch.training.state import METRICS, read_lines
from personsearch.training.train import train
from personsearch.types import Scene, Searcher

SCHEMA = "personsearch.ablation-run/1"
RESULTS, CLAIM = "results", "ablation-settings.json"
_START = "start"


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One way to train, as the difference from the preset.

    Attributes:
        name: of its folder and file.
        title: in tables and legends.
        change: from the preset's settings to its own.
        started: whether stage 2 begins at the point that stage 1 reached, which all started
            variants of a seed share; else stage 2 begins at the trunk's first weights.
        figure: whether it is one of the three of the paper's figure 6.
        whole: a whole run of its own, both stages, looked at when it is finished and not on the way.
        beside: only beside this preset; empty for any.
    """

    name: str
    title: str
    change: Callable[[TrainingSettings], TrainingSettings]
    started: bool = True
    figure: bool = False
    whole: bool = False
    beside: str = ""


@dataclass(frozen=True, kw_only=True)
class AblationSettings:
    """What is run.

    Attributes:
        preset: of the training; its stage 1 makes the initial point.
        seeds: of weights, order and draws.
        only: names of variants; empty for all.
        gallery_size: pictures a query is looked for in; None: what the field uses on this data set.
        points: test scores on the way, the last being the finished model's.
        pretrained: ``"imagenet"`` begins at ImageNet's weights, as the paper does.
        workers: processes that prepare pictures; None: as the preset has it. Changes no result.
        steps: of stages 1 and 2, in the place of the preset's.
    """

    preset: str = "medium"
    seeds: tuple[int, ...] = (0, 1)
    only: tuple[str, ...] = ()
    gallery_size: GallerySize | None = 50
    points: int = 4
    pretrained: Literal["none", "imagenet"] = "none"
    workers: int | None = None
    steps: tuple[int, int] | None = None

    def base(self) -> TrainingSettings:
        """The training that all variants differ from."""
        base = dataclasses.replace(training_preset(self.preset), pretrained=self.pretrained)
        if self.workers is not None:
            base = dataclasses.replace(base, workers=self.workers)
        if self.steps is None:
            return base
        initial, joint = (
            dataclasses.replace(stage, steps=steps)
            for stage, steps in zip((base.initial, base.joint), self.steps, strict=True)
        )
        return dataclasses.replace(base, initial=initial, joint=joint)


def with_loss(base: TrainingSettings, identity: Identity, **more: Any) -> TrainingSettings:
    """``base`` with another identity loss; ``more`` are fields of its ``LossSettings``, as ``k``."""
    losses = dataclasses.replace(base.model.network.losses, identity=identity, **more)
    network = dataclasses.replace(base.model.network, losses=losses)
    return dataclasses.replace(base, model=dataclasses.replace(base.model, network=network))


def _unstarted(base: TrainingSettings) -> TrainingSettings:
    """Softmax without stage 1: nothing was taught, so nothing is held back."""
    joint = dataclasses.replace(base.joint, reid_rate=1.0, freeze_head_norms=False)
    initial = dataclasses.replace(base.initial, steps=0)
    return dataclasses.replace(with_loss(base, "softmax"), initial=initial, joint=joint)


def _longer(base: TrainingSettings) -> TrainingSettings:
    return dataclasses.replace(
        medium_long(), seed=base.seed, pretrained=base.pretrained, workers=base.workers
    )


def _fine(base: TrainingSettings) -> TrainingSettings:
    return dataclasses.replace(base, model=fine(base.model))


VARIANTS = (
    Variant(
        name="softmax-unstarted",
        title="softmax, without stage 1",
        change=_unstarted,
        started=False,
        figure=True,
    ),
    Variant(
        name="softmax", title="softmax, from stage 1", change=lambda b: with_loss(b, "softmax"), figure=True
    ),
    Variant(name="rss", title="RSS, from stage 1", change=lambda b: with_loss(b, "rss"), figure=True),
    Variant(
        name="rss-corrected",
        title="RSS, odds corrected",
        change=lambda b: with_loss(b, "rss", correction="training"),
    ),
    Variant(name="oim", title="OIM", change=lambda b: with_loss(b, "oim")),
    Variant(name="rss-fine", title="RSS, finer input", change=_fine),
    Variant(
        name="rss-longer",
        title="RSS, longer and more varied",
        change=_longer,
        started=False,
        whole=True,
        beside="medium",
    ),
)


def chosen_variants(names: Sequence[str], preset: str = "medium") -> tuple[Variant, ...]:
    """The variants called ``names``, all of them where there are none, in the order of the table.

    Raises:
        UsageError: there is no such variant beside ``preset``.
    """
    known = {variant.name: variant for variant in VARIANTS if variant.beside in ("", preset)}
    for name in names:
        if name not in known:
            raise UsageError(f"there is no variant {name!r}", hint=f"choose from {', '.join(known)}")
    return tuple(variant for name, variant in known.items() if not names or name in names)


def run_ablation(
    dataset: Dataset,
    out: Path,
    settings: AblationSettings,
    *,
    device: str = "auto",
    progress: Progress = silent,
    say: Callable[[str], None] = lambda line: None,
) -> tuple[Path, ...]:
    """Train and score whatever is missing, and return the files of raw results.

    A run that has its file is not looked at again; one that was killed goes on.

    Args:
        out: holds a folder a run (``softmax-0`` ...), the initial points (``start-0`` ...) and
            ``results/`` with a JSON file for each finished run.
        say: hears a line for each run.

    Raises:
        UsageError: no such variant, preset or gallery size, or ``out`` holds runs of other settings.
    """
    variants = chosen_variants(settings.only, settings.preset)
    base = settings.base()
    scenes = dataset.scenes("train")
    dataset.trials(settings.gallery_size)  # asked now rather than after an hour
    _claim(out, settings, scenes, dataset.scenes("test"))
    files = []
    for seed in settings.seeds:
        seeded = dataclasses.replace(base, seed=seed)
        for variant in variants:
            file = out / RESULTS / f"{variant.name}-{seed}.json"
            files.append(file)
            if file.exists():
                say(f"{file.stem}: done before")
                continue
            say(f"{file.stem}: begins")
            run = out / file.stem
            wanted = resolved(variant, seeded, settings, out)
            if variant.started:
                _reach_start(scenes, out / f"{_START}-{seed}", seeded, device, progress, say)
            train(scenes, run, wanted, device=device, progress=progress)
            write_json(file, _raw(run, variant, seed, dataset, settings, device, progress))
            say(f"{file.stem}: ready")
    return tuple(files)


def _claim(out: Path, settings: AblationSettings, scenes: Sequence[Scene], searched: Sequence[Scene]) -> None:
    """Refuse a folder whose runs are of other settings or data: they could not be compared."""
    wanted: dict[str, Any] = {
        "preset": settings.preset,
        "pretrained": settings.pretrained,
        "gallery_size": settings.gallery_size,
        "points": settings.points,
        "data": data_summary(scenes),
        "test data": data_summary(searched),
    }
    if settings.steps is not None:  # left away otherwise, as folders from before there was a choice have it
        wanted["steps"] = settings.steps
    path = out / CLAIM
    if path.exists():
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            found = None
        if isinstance(found, dict) and "test data" not in found:  # from before it was written down
            del wanted["test data"]
        if found != json.loads(json.dumps(wanted)):
            raise UsageError(
                f"{out} holds an ablation of other settings or data", hint="choose another --out"
            )
    else:
        write_json(path, wanted)


def resolved(
    variant: Variant, base: TrainingSettings, settings: AblationSettings, out: Path
) -> TrainingSettings:
    """The settings of one run: the variant's, with snapshots on the way, and where it starts."""
    changed = variant.change(base)
    if variant.whole:
        return changed
    steps = changed.joint.steps
    points = np.linspace(0, steps, settings.points + 1)[1:-1]
    changed = dataclasses.replace(changed, snapshots=tuple(round(float(p)) for p in points))
    if not variant.started:
        return changed
    initial = dataclasses.replace(changed.initial, steps=0)
    start = str((out / f"{_START}-{base.seed}").resolve())
    # What ImageNet's weights keep frozen stays frozen: `pretrained` is the preset's, though stage 1's
    # point takes the place of the weights themselves.
    return dataclasses.replace(changed, initial=initial, initial_from=start)


def _reach_start(
    scenes: Sequence[Scene],
    folder: Path,
    base: TrainingSettings,
    device: str,
    progress: Progress,
    say: Callable[[str], None],
) -> None:
    """Stage 1 alone, once a seed: classification of crops by the plain softmax (paper 4.2)."""
    if (folder / INITIAL).exists():
        return
    say(f"{folder.name}: begins")
    joint = dataclasses.replace(base.joint, steps=0)
    train(scenes, folder, dataclasses.replace(base, joint=joint), device=device, progress=progress)
    say(f"{folder.name}: ready")


def _raw(
    run: Path,
    variant: Variant,
    seed: int,
    dataset: Dataset,
    settings: AblationSettings,
    device: str,
    progress: Progress,
) -> dict[str, Any]:
    """Everything that the report needs to know of a finished run."""

    def scored(searcher: Searcher, boxes: Any = "detected") -> Benchmark:
        protocol = Protocol(gallery_size=settings.gallery_size, boxes=boxes)
        return run_benchmark(searcher, dataset, protocol, run / "evaluation", progress=progress)

    told = json.loads((run / SETTINGS).read_text(encoding="utf-8"))
    steps = told["settings"]["joint"]["steps"]
    way = []
    for step in told["settings"]["snapshots"]:
        way.append(_point(step, scored(load_snapshot(run, step, device))))
    searcher = load_searcher(run, device)
    last = scored(searcher)
    way.append(_point(steps, last))
    boxes = last.trials.query_box
    found, people = found_by_picture(dataset.scenes("test"), Features.load(last.features))
    return {
        "schema": SCHEMA,
        "variant": variant.name,
        "seed": seed,
        "preset": settings.preset,
        "pretrained": settings.pretrained,
        "fingerprint": searcher.fingerprint,
        "data": told["data"],
        "test data": data_summary(dataset.scenes("test")),
        "environment": json.loads((run / "environment.json").read_text(encoding="utf-8")),
        "cost": {number: _cost(run, number) for number in (1, 2)},
        "losses": _losses(run),
        "way": way,
        "query_height": np.round(boxes[:, 3] - boxes[:, 1], 1).tolist(),
        "detection": {
            "recall": last.detection.recall,
            "ap": last.detection.ap,
            "found_per_picture": found.tolist(),
            "people_per_picture": people.tolist(),
        },
        "search": _rounded(evaluation_record(last)),
        "annotated": _rounded(evaluation_record(scored(searcher, "annotated"))),
    }


def _point(step: int, result: Benchmark) -> dict[str, Any]:
    measures = {name: interval.mean for name, interval in result.intervals.items()}
    return {
        "step": step,
        "mAP": round(measures["mAP"], 5),
        "top1": round(measures["top-1"], 5),
        "recall": round(result.detection.recall, 5),
    }


def _rounded(record: dict[str, Any]) -> dict[str, Any]:
    """With average precisions of six digits, which is what a report could ever want."""
    for name in ("ap_per_query", "recall_per_query"):
        record[name] = [None if np.isnan(value) else round(value, 6) for value in record[name]]
    return record


def _lines(run: Path, number: int) -> list[dict[str, Any]]:
    return [line for line in read_lines(run / METRICS) if line["stage"] == number and "loss" in line]


def _cost(run: Path, number: int) -> dict[str, float]:
    lines = _lines(run, number)
    return {
        "steps": lines[-1]["step"] + 1 if lines else 0,
        "seconds": round(sum(line["seconds"] for line in lines), 1),
        "processor_seconds": round(sum(line["processor_seconds"] for line in lines), 1),
    }


def _losses(run: Path) -> dict[str, list[float]]:
    """Stage 2's mean losses, a value for each line of the log."""
    lines = _lines(run, 2)
    return {
        "step": [line["step"] + 1 for line in lines],
        "all": [line["loss"] for line in lines],
        "identity": [line["identity"] for line in lines],
    }
