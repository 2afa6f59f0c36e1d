"""``personsearch train``: a model from annotated pictures."""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from personsearch.cli.network_options import (
    CorrectionChoice,
    LossChoice,
    NormChoice,
    Pyramid,
    TrunkChoice,
    preset_option,
)
from personsearch.cli.options import (
    DatasetName,
    DatasetOption,
    DeviceOption,
    FormatOption,
    JsonOption,
    ProgressKind,
    ProgressOption,
    SeedOption,
)
from personsearch.cli.output import Answer, Printer, chosen
from personsearch.errors import UsageError

if TYPE_CHECKING:
    from personsearch.training.sanity import DryRun
    from personsearch.training.settings import TrainingSettings
    from personsearch.types import Scene


class Pretrained(StrEnum):
    """Where the trunk's initial weights come from."""

    NONE = "none"
    IMAGENET = "imagenet"


class PrecisionName(StrEnum):
    """In what the network computes."""

    AUTO = "auto"
    FP32 = "fp32"
    BF16 = "bf16"
    FP16 = "fp16"


class Keep(StrEnum):
    """Which weights are the run's model."""

    LAST = "last"
    BEST = "best"


Root = Annotated[
    Path | None,
    typer.Option("--root", help="Folder of the data set.", show_default="with --resume, as before"),
]
Out = Annotated[
    Path | None, typer.Option("--out", "-o", help="Folder of the run and its model.", show_default=False)
]
Resume = Annotated[
    Path | None,
    typer.Option("--resume", help="Go on with this run, by its own settings.", show_default=False),
]
Preset = Annotated[
    str,
    typer.Option(
        "--preset",
        help="compact-tiny, demo, medium, medium-long; for real data vgg16 (the paper's), vgg16-authors "
        "(their code's), oim, seqnet or resnet50; deep- or idnet- and one of them: its detector or embedder.",
    ),
]
PretrainedChoice = Annotated[
    Pretrained | None, preset_option("Initial weights of the trunk.", "--pretrained")
]
CoverShare = Annotated[
    float | None,
    preset_option("Chance that a part of a person in a scene is covered.", "--cover", min=0.0, max=1.0),
]
Steps1 = Annotated[int | None, preset_option("Steps on crops; 0 skips stage 1.", "--steps1", min=0)]
Steps2 = Annotated[int | None, preset_option("Steps on scenes; 0 skips stage 2.", "--steps2", min=0)]
Batch = Annotated[int | None, preset_option("Scenes a step of stage 2.", "--batch", min=1)]
Batch1 = Annotated[int | None, preset_option("Crops a step of stage 1.", "--batch1", min=1)]
Accumulate = Annotated[
    int | None, preset_option("Passes a step of stage 2 is split into.", "--accumulate", min=1)
]
Rate = Annotated[float | None, preset_option("Learning rate of stage 2.", "--rate", min=0.0)]
Rate1 = Annotated[float | None, preset_option("Learning rate of stage 1.", "--rate1", min=0.0)]
Workers = Annotated[int | None, preset_option("Processes that prepare pictures.", "--workers", min=0)]
PrecisionChoice = Annotated[PrecisionName | None, preset_option("fp16 wants CUDA.", "--precision")]
Ema = Annotated[
    float | None,
    preset_option("Decay of an average of the weights, which becomes the model.", "--ema", min=0.0),
]
Validate = Annotated[
    int | None,
    preset_option("Steps of stage 2 between searches in a held-out part; 0: none.", "--validate", min=0),
]
KeepChoice = Annotated[
    Keep | None, preset_option("Which weights become the model; best/ is kept too.", "--keep")
]
InitialFrom = Annotated[
    Path | None,
    typer.Option("--initial-from", help="A run whose stage 1 takes this one's place.", show_default=False),
]
Snapshots = Annotated[
    str | None,
    typer.Option(
        "--snapshots", help="Steps of stage 2 whose weights are kept: 0,500,1000.", show_default=False
    ),
]
LikeShapes = Annotated[
    bool | None, preset_option("Batches of scenes of like shape.", "--like-shapes/--any-shapes")
]
Checkpointing = Annotated[
    bool | None, preset_option("Less memory, more time.", "--checkpointing/--no-checkpointing")
]
Compile = Annotated[bool | None, preset_option("Compile the trunk.", "--compile/--no-compile")]
SyncNorms = Annotated[
    bool | None, preset_option("Batch norms over all processes' samples.", "--sync-norms/--own-norms")
]
Log = Annotated[
    str | None, typer.Option("--log", help="Beside metrics.jsonl: csv, tensorboard.", show_default=False)
]
Overfit = Annotated[
    int | None,
    typer.Option(
        "--overfit", help="Learn so many scenes by heart; fails if it cannot.", min=1, show_default=False
    ),
]
Dry = Annotated[bool, typer.Option("--dry-run", help="A few steps of each stage, nothing written.")]

WITH_RESUME = ("resume", "root", "device", "workers", "log", "form", "as_json", "progress", "context")
"""What a run that goes on may be told: where its data are now, and how fast and how loud to be."""


def train(
    context: typer.Context,
    root: Root = None,
    out: Out = None,
    resume: Resume = None,
    dataset: DatasetOption = DatasetName.CUHK_SYSU,
    preset: Preset = "demo",
    seed: SeedOption = None,
    pretrained: PretrainedChoice = None,
    loss: LossChoice = None,
    correction: CorrectionChoice = None,
    trunk: TrunkChoice = None,
    norm: NormChoice = None,
    pyramid: Pyramid = None,
    cover: CoverShare = None,
    steps1: Steps1 = None,
    steps2: Steps2 = None,
    batch: Batch = None,
    batch1: Batch1 = None,
    accumulate: Accumulate = None,
    rate: Rate = None,
    rate1: Rate1 = None,
    precision: PrecisionChoice = None,
    ema: Ema = None,
    validate: Validate = None,
    keep: KeepChoice = None,
    initial_from: InitialFrom = None,
    snapshots: Snapshots = None,
    like_shapes: LikeShapes = None,
    checkpointing: Checkpointing = None,
    compiled: Compile = None,
    sync_norms: SyncNorms = None,
    workers: Workers = None,
    log: Log = None,
    overfit: Overfit = None,
    dry_run: Dry = False,
    device: DeviceOption = "auto",
    form: FormatOption = None,
    as_json: JsonOption = False,
    progress: ProgressOption = ProgressKind.AUTO,
) -> None:
    """Train the network in the paper's two stages: crops of people, then whole scenes.

    The folder is a model that every other command takes. Interrupted, the same command goes
    on where it was, or --resume; finished, it returns at once. torchrun -m personsearch train
    ... trains on several devices or machines.

    \b
    Examples:
      personsearch train --dataset synthetic --root data --out model
      personsearch train --root CUHK-SYSU --preset vgg16 --pretrained imagenet --device cuda --out run
      personsearch train --root data --dataset synthetic --trunk resnet18 --pyramid --loss margin --out run
      personsearch train --resume run
    """
    told = dict(context.params)
    told.update(_checked(context))
    _run(told, Printer(chosen(form, as_json)))


def _checked(context: typer.Context) -> dict[str, Any]:
    """The flags whose text is more than a word; refuses those that do not go together."""
    told = context.params
    given = {name for name in told if context.get_parameter_source(name).name == "COMMANDLINE"}  # type: ignore[union-attr]
    if told["resume"] is not None:
        wrong = sorted(given - set(WITH_RESUME))
        if wrong:
            raise UsageError(
                f"--{wrong[0].replace('_', '-')} cannot be changed in a run that is resumed",
                hint="give --resume RUN alone, or start another run with --out",
            )
    elif told["root"] is None or (told["out"] is None and not told["dry_run"]):
        missing = "--root" if told["root"] is None else "--out"
        raise UsageError(f"{missing} is missing", hint="give --root DATA --out RUN, or --resume RUN")
    return {"snapshots": _steps(told["snapshots"]), "log": _logs(told["log"])}


def _steps(text: str | None) -> tuple[int, ...] | None:
    """``"0,500"`` as numbers."""
    try:
        return None if text is None else tuple(int(part) for part in text.split(",") if part.strip())
    except ValueError as error:
        raise UsageError(f"--snapshots {text} is no list of steps", hint="write 0,500,1000") from error


def _logs(text: str | None) -> tuple[str, ...] | None:
    """``"csv,tensorboard"`` as words."""
    if text is None:
        return None
    words = tuple(part.strip() for part in text.split(",") if part.strip())
    unknown = [word for word in words if word not in ("csv", "tensorboard")]
    if unknown:
        raise UsageError(f"there is no log called {unknown[0]!r}", hint="choose csv, tensorboard or both")
    return words


def _run(told: dict[str, Any], printer: Printer) -> None:
    """Resolve the flags to settings and do what was asked for."""
    from personsearch.progress import console
    from personsearch.training.sanity import check_overfit, dry_run
    from personsearch.training.train import train as run_training

    if told["resume"] is not None:
        scenes, settings, source = _resumed(told)
    else:
        scenes, settings, source = _begun(told)
    if told["dry_run"]:
        printer(_dry_answer(dry_run(scenes, settings, device=told["device"]), len(scenes)))
        return
    folder = run_training(
        scenes,
        told["resume"] or told["out"],
        settings,
        device=told["device"],
        progress=console(told["progress"]),
        source=source,
    )
    learned = check_overfit(folder) if "overfit" in source else {}
    if os.environ.get("RANK", "0") == "0":  # under torchrun one process answers for all
        printer(_answer(folder, settings, len(scenes), source, learned))


def _begun(told: dict[str, Any]) -> tuple[tuple[Scene, ...], TrainingSettings, dict[str, str]]:
    """Scenes, settings and source of a new run."""
    from personsearch.datasets.open import open_dataset
    from personsearch.training.choices import Choices, resolved
    from personsearch.training.presets import preset as preset_of
    from personsearch.training.sanity import overfit

    choices = Choices(
        seed=told["seed"],
        pretrained=told["pretrained"] and told["pretrained"].value,
        loss=told["loss"] and told["loss"].value,
        correction=told["correction"] and told["correction"].value,
        trunk=told["trunk"],
        norm=told["norm"] and told["norm"].value,
        pyramid=told["pyramid"],
        cover=told["cover"],
        steps1=told["steps1"],
        steps2=told["steps2"],
        batch=told["batch"],
        batch1=told["batch1"],
        accumulate=told["accumulate"],
        rate=told["rate"],
        rate1=told["rate1"],
        workers=told["workers"],
        precision=told["precision"] and told["precision"].value,
        average=told["ema"],
        validate=told["validate"],
        keep=told["keep"] and told["keep"].value,
        initial_from=None if told["initial_from"] is None else str(told["initial_from"].resolve()),
        snapshots=told["snapshots"],
        like_shapes=told["like_shapes"],
        checkpointing=told["checkpointing"],
        compiled=told["compiled"],
        norms=None if told["sync_norms"] is None else ("synchronised" if told["sync_norms"] else "own"),
        logs=told["log"],
    )
    settings = resolved(preset_of(told["preset"]), choices)
    source = {"dataset": str(told["dataset"].value), "root": str(told["root"].resolve())}
    scenes = open_dataset(told["dataset"], told["root"]).scenes("train")
    if told["overfit"] is not None:
        source["overfit"] = str(told["overfit"])
        scenes, settings = overfit(scenes, settings, told["overfit"])
    return scenes, settings, {**source, "preset": told["preset"]}


def _resumed(told: dict[str, Any]) -> tuple[tuple[Scene, ...], TrainingSettings, dict[str, str]]:
    """Scenes, settings and source of the run that goes on."""
    import dataclasses

    from personsearch.datasets.open import open_dataset
    from personsearch.training.folder import read_run
    from personsearch.training.sanity import overfit

    settings, source = read_run(told["resume"])
    root = told["root"] or (Path(source["root"]) if "root" in source else None)
    if root is None or "dataset" not in source:
        raise UsageError(
            f"{told['resume']} does not say where its data are", hint="run the command that began it again"
        )
    changes = {"workers": told["workers"], "logs": told["log"]}
    settings = dataclasses.replace(settings, **{k: v for k, v in changes.items() if v is not None})
    scenes = open_dataset(source["dataset"], root).scenes("train")
    if "overfit" in source:
        scenes, _ = overfit(scenes, settings, int(source["overfit"]))
    return scenes, settings, source


def _answer(
    folder: Path,
    settings: TrainingSettings,
    pictures: int,
    source: dict[str, str],
    learned: dict[str, Any],
) -> Answer:
    from personsearch.model.checkpoint import fingerprint_of

    record: dict[str, Any] = {
        "schema": "personsearch.train/1",
        "model": str(folder),
        "fingerprint": fingerprint_of(folder),
        "preset": source.get("preset", ""),
        "seed": settings.seed,
        "pictures": pictures,
    }
    if learned:
        record["overfit"] = learned
    rows = [{"what": key, "value": value} for key, value in record.items() if key != "schema"]
    data = f"--dataset {source.get('dataset', 'cuhk-sysu')} --root {source.get('root', 'DATA')}"
    return Answer(record=record, rows=rows, after=[f"next: personsearch evaluate --model {folder} {data}"])


def _dry_answer(tried: DryRun, pictures: int) -> Answer:
    """What a run would be, for people and for programs."""
    from dataclasses import asdict

    record = {"schema": "personsearch.train-dry-run/1", **asdict(tried)}
    rows: list[dict[str, Any]] = [
        {"what": "device", "value": f"{tried.device}, {tried.precision}"},
        {"what": "scenes", "value": f"{tried.scenes} of {pictures}, {tried.held_out} held out"},
        {"what": "identities", "value": tried.identities},
        {"what": "weights", "value": f"{tried.parameters:,}, {tried.learning:,} learn"},
    ]
    for stage in tried.stages:
        losses = ", ".join(f"{name} {value:.3g}" for name, value in stage.losses.items())
        rows += [
            {
                "what": stage.name,
                "value": f"{stage.steps} steps of {stage.batch} in {stage.passes} pass(es), "
                f"about {stage.hours:.2f} h, {stage.memory_gib:.2f} GiB at most",
            },
            {
                "what": "",
                "value": f"a step {stage.step_seconds:.3f} s, its data {stage.data_seconds:.3f} s; {losses}",
            },
        ]
    return Answer(record=record, rows=rows, after=["nothing was written"])
