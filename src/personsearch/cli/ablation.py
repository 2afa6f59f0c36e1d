"""``personsearch ablation``: what the initial point and the identity loss do (paper 5.4, figure 6)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from personsearch.cli.options import (
    DatasetName,
    DatasetOption,
    DeviceOption,
    FormatOption,
    JsonOption,
    ProgressKind,
    ProgressOption,
    announcer,
)
from personsearch.cli.output import Answer, Printer, chosen
from personsearch.cli.train import Pretrained, Workers
from personsearch.errors import UsageError

Out = Annotated[Path, typer.Option("--out", "-o", help="Folder for runs, results and report.")]
Root = Annotated[Path | None, typer.Option("--root", help="Folder of the data set.", show_default=False)]
Preset = Annotated[str, typer.Option("--preset", help="Of the training.")]
Seeds = Annotated[str, typer.Option("--seeds", help="Of the training: 0,1.")]
Only = Annotated[
    str | None, typer.Option("--only", help="Some of the variants: softmax,rss.", show_default=False)
]
GallerySize = Annotated[int, typer.Option("--gallery-size", min=1, help="Pictures a query is looked for in.")]
Points = Annotated[int, typer.Option("--points", min=1, help="Test scores on the way.")]
PretrainedChoice = Annotated[
    Pretrained, typer.Option("--pretrained", help="Where trunks begin; the paper: imagenet.")
]
ReportFrom = Annotated[
    Path | None,
    typer.Option(
        "--report-from", help="Train nothing: make the report of these results.", show_default=False
    ),
]


def ablation(
    context: typer.Context,
    out: Out,
    root: Root = None,
    dataset: DatasetOption = DatasetName.CUHK_SYSU,
    preset: Preset = "medium",
    seeds: Seeds = "0,1",
    only: Only = None,
    gallery_size: GallerySize = 50,
    points: Points = 4,
    pretrained: PretrainedChoice = Pretrained.NONE,
    report_from: ReportFrom = None,
    workers: Workers = None,
    device: DeviceOption = "auto",
    form: FormatOption = None,
    as_json: JsonOption = False,
    progress: ProgressOption = ProgressKind.AUTO,
) -> None:
    """Train the paper's ablation and its successors, and draw figure 6.

    Plain softmax without and with stage 1, random sampling softmax (RSS), RSS with its odds
    corrected, OIM, RSS at a finer input, and beside preset medium the longer medium-long. What
    is finished is not trained again; the report is made of everything that has results in
    OUT/results, whichever call trained it.

    \b
    Examples:
      personsearch ablation --dataset synthetic --root data --preset medium --out runs/ablation
      personsearch ablation --dataset synthetic --root data --out runs/ablation --seeds 0 --only rss,oim
      personsearch ablation --root CUHK-SYSU --preset vgg16 --pretrained imagenet --gallery-size 100 -o fig6
      personsearch ablation --report-from docs/ablation/results --out docs/ablation
    """
    from personsearch.experiments.ablation_report import write_report

    printer = Printer(chosen(form, as_json))
    results = report_from if report_from is not None else _run(context.params)
    printer(_answer(write_report(results, out), out))


def _run(told: dict[str, Any]) -> Path:
    """Train and score what is missing; the folder of the raw results."""
    if told["root"] is None:
        raise UsageError("--root is missing", hint="give --root DATA, or --report-from RESULTS")
    numbers, names = _seeds(told["seeds"]), _names(told["only"])

    from personsearch.datasets.open import open_dataset
    from personsearch.experiments.ablation import RESULTS, AblationSettings, run_ablation
    from personsearch.progress import console

    settings = AblationSettings(
        preset=told["preset"],
        seeds=numbers,
        only=names,
        gallery_size=told["gallery_size"],
        points=told["points"],
        pretrained=told["pretrained"].value,
        workers=told["workers"],
    )
    run_ablation(
        open_dataset(told["dataset"], told["root"]),
        told["out"],
        settings,
        device=told["device"],
        progress=console(told["progress"]),
        say=announcer(told["progress"]),
    )
    results: Path = told["out"] / RESULTS
    return results


def _seeds(text: str) -> tuple[int, ...]:
    try:
        numbers = tuple(dict.fromkeys(int(word) for word in text.split(",") if word.strip()))
    except ValueError:
        numbers = ()
    if not numbers or min(numbers) < 0:
        raise UsageError(f"--seeds {text} is no list of seeds", hint="write 0,1")
    return numbers


def _names(text: str | None) -> tuple[str, ...]:
    return () if text is None else tuple(word.strip() for word in text.split(",") if word.strip())


def _answer(found: dict[str, Any], out: Path) -> Answer:
    from personsearch.experiments.ablation_report import PAGE

    rows = [
        {
            "way to train": row["title"],
            "seeds": ",".join(map(str, row["seeds"])),
            "mAP": row["mAP"]["mean"],
            "low": row["mAP"]["low"],
            "high": row["mAP"]["high"],
            "top-1": row["top1"]["mean"],
            "recall": row["recall"],
        }
        for row in found["variants"]
    ]
    after = [
        f"{row['a_title']} over {row['b_title']}: {row['mAP']['mean']:+.3f} mAP, {row['verdict']}"
        for row in found["pairs"]
    ]
    return Answer(record=found, rows=rows, before=[found["protocol"]], after=[*after, str(out / PAGE)])
