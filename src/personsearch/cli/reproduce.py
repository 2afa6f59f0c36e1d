"""``personsearch reproduce``: every table and figure of the paper, on any data set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from personsearch.cli.options import (
    MOST_SEED,
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
from personsearch.cli.train import Pretrained
from personsearch.errors import UsageError

if TYPE_CHECKING:
    from personsearch.experiments.reproduction.stages import Planned
    from personsearch.experiments.reproduction.workshop import Asked


class ReproductionPreset(StrEnum):
    """How large a reproduction is."""

    PAPER = "paper"
    MEDIUM = "medium"
    SMALL = "small"
    TINY = "tiny"


Items = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[ITEM]...",
        help="table1 table2 table3 fig1 fig2 fig3 fig4 fig5 fig6 fig7a fig7b speed, beyond the paper "
        "failures cost sweep best; or all.",
        show_default="all",
    ),
]
Out = Annotated[Path, typer.Option("--out", "-o", help="Folder for data, models, results and report.")]
Root = Annotated[
    Path | None,
    typer.Option(
        "--root", help="Folder of the data set; without it, synthetic data are drawn.", show_default=False
    ),
]
Preset = Annotated[ReproductionPreset, typer.Option("--preset", help="How large.", case_sensitive=False)]
Seeds = Annotated[str, typer.Option("--seeds", help="Of trainings: 0,1; all of them in the ablation only.")]
PretrainedChoice = Annotated[
    Pretrained | None,
    typer.Option("--pretrained", help="Where trunks begin.", show_default="imagenet for paper, else none"),
]
Model = Annotated[
    Path | None,
    typer.Option(
        "--model", "-m", help="A joint network trained before, instead of training ours.", show_default=False
    ),
]
Best = Annotated[
    Path | None, typer.Option("--best", help="A network to stand as our best one.", show_default=False)
]
AblationFrom = Annotated[
    Path | None,
    typer.Option(
        "--ablation-from", help="Results that `personsearch ablation` left elsewhere.", show_default=False
    ),
]
ReportFrom = Annotated[
    Path | None,
    typer.Option(
        "--report-from",
        help="Run nothing: make the report of this numbers.json into OUT.",
        show_default=False,
    ),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and stop.")]


def reproduce(
    out: Out,
    items: Items = None,
    root: Root = None,
    dataset: DatasetOption = DatasetName.SYNTHETIC,
    preset: Preset = ReproductionPreset.SMALL,
    seeds: Seeds = "0",
    pretrained: PretrainedChoice = None,
    model: Model = None,
    best: Best = None,
    ablation_from: AblationFrom = None,
    report_from: ReportFrom = None,
    dry_run: DryRun = False,
    device: DeviceOption = "auto",
    form: FormatOption = None,
    as_json: JsonOption = False,
    progress: ProgressOption = ProgressKind.AUTO,
) -> None:
    """Reproduce the paper's tables and figures, and say which of its claims hold on these data.

    Whatever is missing is done: data, trainings, features, searches. Each stage leaves a file of
    raw results in OUT/results and is not done again; interrupted or killed, the same command goes on.
    The report lies in OUT/report, as Markdown and as one page of HTML, with the paper's numbers beside
    these. Preset small is planned for 41 minutes on two cores, medium for 144; paper trains VGG16, on a GPU.

    \b
    Examples:
      personsearch reproduce all --preset small --out reproduced
      personsearch reproduce all --dataset cuhk-sysu --root CUHK-SYSU --preset paper --device cuda --out paper
      personsearch reproduce table2 fig5 --dataset prw --root PRW --preset medium --out prw
      personsearch reproduce all --preset medium --ablation-from docs/ablation --out medium --dry-run
      personsearch reproduce --report-from reproduced/report/numbers.json --out report-again
    """
    from personsearch.experiments.reproduction.sizes import size_called
    from personsearch.experiments.reproduction.workshop import Asked

    printer = Printer(chosen(form, as_json))
    if report_from is not None:
        given = {"--root": root, "--model": model, "--best": best, "--ablation-from": ablation_from}
        printer(_again(report_from, out, items, {**given, "--dry-run": dry_run or None}))
        return
    size = size_called(preset.value)
    asked = Asked(
        dataset=dataset.value,
        root=root,
        size=size,
        seeds=_seeds(seeds),
        device=device,
        pretrained=size.pretrained if pretrained is None else pretrained.value,
        model=model,
        best=best,
        ablation=ablation_from,
    )
    printer(_run(tuple(items or ("all",)), asked, out, dry_run=dry_run, progress=progress))


def _run(items: Sequence[str], asked: Asked, out: Path, *, dry_run: bool, progress: ProgressKind) -> Answer:
    """Do what is missing, or say only what that is."""
    from personsearch.experiments.reproduction.page import write_report
    from personsearch.experiments.reproduction.pipeline import chosen_items, plan_of, reproduce
    from personsearch.progress import console

    wanted = chosen_items(items, asked)
    plan = plan_of(wanted, asked, out)
    if dry_run:
        return _plan_answer(wanted, asked, plan, out)
    say = announcer(progress)
    for line in plan_lines(plan):
        say(line)
    made = reproduce(wanted, asked, out, progress=console(progress), say=say)
    return _answer(made, write_report(made, out))


def _again(numbers: Path, out: Path, items: list[str] | None, given: Mapping[str, object]) -> Answer:
    """The report from raw numbers, which cannot heed what is ``given`` for a run."""
    for flag, value in given.items():
        if value is not None:
            raise UsageError(f"--report-from runs nothing, so {flag} means nothing", hint=f"leave out {flag}")
    from personsearch.experiments.reproduction.again import report_from

    return _answer(*report_from(numbers, out, tuple(items or ("all",))))


def _seeds(text: str) -> tuple[int, ...]:
    try:
        numbers = tuple(dict.fromkeys(int(word) for word in text.split(",") if word.strip()))
    except ValueError:
        numbers = ()
    if not numbers or min(numbers) < 0 or max(numbers) > MOST_SEED:
        raise UsageError(f"--seeds {text} is no list of seeds", hint="write 0,1")
    return numbers


def plan_lines(plan: Sequence[Planned]) -> list[str]:
    """What is to be done, a line a stage, and about how long it takes together."""
    lines = []
    for one in plan:
        minutes = "" if one.minutes is None else f", about {one.minutes:g} min on two cores"
        lines.append(f"{one.stage.title}: " + ("done before" if one.done else f"to do{minutes}"))
    todo = [one for one in plan if not one.done]
    if todo and all(one.minutes is not None for one in todo):
        lines.append(f"together about {sum(one.minutes or 0.0 for one in todo):.0f} min on two cores")
    elif todo:
        lines.append("how long that takes has not been measured for this preset")
    return lines


def _plan_answer(items: Sequence[str], asked: Asked, plan: Sequence[Planned], out: Path) -> Answer:
    rows = [
        {"stage": one.stage.name, "what": one.stage.title, "done": "yes" if one.done else "no",
         "minutes": one.minutes}
        for one in plan
    ]  # fmt: skip
    record = {
        "schema": "personsearch.reproduction-plan/1",
        "out": str(out),
        "dataset": asked.dataset,
        "preset": asked.size.name,
        "items": list(items),
        "stages": [{**row, "done": row["done"] == "yes"} for row in rows],
    }
    return Answer(record=record, rows=rows, after=plan_lines(plan)[-1:])


def _answer(made: Any, folder: Path) -> Answer:
    from personsearch.experiments.reproduction.claims import decide
    from personsearch.experiments.reproduction.page import HTML, MARKDOWN, NUMBERS

    decisions = decide(made.results)
    rows = [{"section": one.said.where, "claim": one.said.text, "here": one.verdict} for one in decisions]
    files = {name: str(folder / file) for name, file in
             (("markdown", MARKDOWN), ("html", HTML), ("numbers", NUMBERS))}  # fmt: skip
    record = {
        "schema": "personsearch.reproduction/1",
        "items": list(made.items),
        "claims": [one.record() for one in decisions],
        "seconds": {name: round(value, 1) for name, value in made.seconds.items()},
        **files,
    }
    return Answer(record=record, rows=rows, after=["", *(f"{name:<9}{path}" for name, path in files.items())])
