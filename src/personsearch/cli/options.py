"""The options that several commands share, so that the same word means the same everywhere."""

from __future__ import annotations

import sys
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from personsearch.cli.output import Format

MOST_SEED = 2**32 - 1
"""Largest seed that every generator of random numbers in the house takes."""


class ProgressKind(StrEnum):
    """How a long job says how far it is."""

    AUTO = "auto"
    BAR = "bar"
    PLAIN = "plain"
    NONE = "none"


def announcer(progress: ProgressKind) -> Callable[[str], None]:
    """Says the stages of a long job on standard error, unless nothing is to be said."""

    def say(line: str) -> None:
        if progress is not ProgressKind.NONE:
            print(f"== {line}", file=sys.stderr, flush=True)

    return say


class DatasetName(StrEnum):
    """The layouts of data sets that can be read, as ``datasets.open.NAMES`` has them."""

    CUHK_SYSU = "cuhk-sysu"
    SYNTHETIC = "synthetic"
    MOVIENET_PS = "movienet-ps"
    PRW = "prw"
    COCO = "coco"
    MOT = "mot"


ModelOption = Annotated[
    str,
    typer.Option(
        "--model",
        "-m",
        metavar="DIR|DETECTOR+EMBEDDER",
        help="Folder of the model, as `train` wrote it, or two parts such as acf+bow.",
        show_default=False,
    ),
]
PartsOption = Annotated[
    Path, typer.Option("--parts", help="Folder of the trained parts that DETECTOR+EMBEDDER names.")
]
GalleryOption = Annotated[
    Path, typer.Option("--gallery", "-g", help="Folder of the gallery.", show_default=False)
]
DatasetOption = Annotated[
    DatasetName, typer.Option("--dataset", help="Layout of the data set.", case_sensitive=False)
]
RootOption = Annotated[Path, typer.Option("--root", help="Folder of the data set.", show_default=False)]
DeviceOption = Annotated[str, typer.Option("--device", help="auto, cpu, cuda, cuda:0 or mps.")]
ProgressOption = Annotated[
    ProgressKind,
    typer.Option(
        "--progress", help="On standard error: a bar, plain lines, or nothing.", case_sensitive=False
    ),
]
SeedOption = Annotated[
    int | None,
    typer.Option(
        "--seed",
        min=0,
        max=MOST_SEED,
        help="Another world, other initial weights and order; default: the preset's.",
        show_default=False,
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Short for --format jsonl.")]
FormatOption = Annotated[
    Format | None,
    typer.Option(
        "--format",
        help="How results are written. Default: table on a terminal, jsonl in a pipe.",
        case_sensitive=False,
        show_default=False,
    ),
]
NullOption = Annotated[bool, typer.Option("--null", "-0", help="End paths with NUL, for xargs -0.")]
