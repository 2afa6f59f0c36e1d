"""``personsearch train``: a model from annotated pictures."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from personsearch.cli.options import (
    DatasetName,
    DatasetOption,
    DeviceOption,
    FormatOption,
    JsonOption,
    ProgressKind,
    ProgressOption,
    RootOption,
    SeedOption,
)
from personsearch.cli.output import Answer, Printer, chosen


class Pretrained(StrEnum):
    """Where the trunk's initial weights come from."""

    NONE = "none"
    IMAGENET = "imagenet"


def train(
    root: RootOption,
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Folder of the run and its model.", show_default=False)
    ],
    dataset: DatasetOption = DatasetName.CUHK_SYSU,
    preset: Annotated[
        str, typer.Option("--preset", help="compact-tiny, demo, medium, medium-long or vgg16 (the paper's).")
    ] = "demo",
    seed: SeedOption = None,
    pretrained: Annotated[
        Pretrained | None,
        typer.Option("--pretrained", help="Initial weights of the trunk.", show_default="the preset's"),
    ] = None,
    device: DeviceOption = "auto",
    form: FormatOption = None,
    as_json: JsonOption = False,
    progress: ProgressOption = ProgressKind.AUTO,
) -> None:
    """Train the network in the paper's two stages: crops of people, then whole scenes.

    The folder is a model that every other command takes. Interrupted, the same command goes
    on where it was; finished, it returns at once.

    \b
    Examples:
      personsearch train --dataset synthetic --root data --out model
      personsearch train --root CUHK-SYSU --preset vgg16 --pretrained imagenet --device cuda --out run
    """
    from dataclasses import replace

    from personsearch.datasets.open import open_dataset
    from personsearch.model.checkpoint import fingerprint_of
    from personsearch.progress import console
    from personsearch.training.presets import preset as preset_of
    from personsearch.training.train import train as run_training

    printer = Printer(chosen(form, as_json))
    settings = preset_of(preset)
    if seed is not None:
        settings = replace(settings, seed=seed)
    if pretrained is not None:
        settings = replace(settings, pretrained=pretrained.value)
    scenes = open_dataset(dataset, root).scenes("train")
    folder = run_training(scenes, out, settings, device=device, progress=console(progress))
    record = {
        "schema": "personsearch.train/1",
        "model": str(folder),
        "fingerprint": fingerprint_of(folder),
        "preset": preset,
        "seed": settings.seed,
        "pictures": len(scenes),
    }
    rows = [{"what": key, "value": value} for key, value in record.items() if key != "schema"]
    after = [f"next: personsearch evaluate --model {folder} --dataset {dataset} --root {root}"]
    printer(Answer(record=record, rows=rows, after=after))
