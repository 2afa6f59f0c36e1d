"""``personsearch dataset check``: is this copy of a data set right?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from personsearch.cli.options import (
    DatasetOption,
    FormatOption,
    JsonOption,
    ProgressKind,
    ProgressOption,
    RootOption,
)
from personsearch.cli.output import Answer, Printer, chosen

if TYPE_CHECKING:
    from personsearch.datasets.checks import CheckReport
    from personsearch.datasets.dataset import Dataset

PicturesOption = Annotated[
    bool | None,
    typer.Option(
        "--pictures/--no-pictures",
        help="Decode every picture and compare all contents; or read none. Default: headers.",
        show_default=False,
    ),
]
OfficialOption = Annotated[
    bool | None,
    typer.Option(
        "--official/--no-official",
        help="Hold the counts against the published ones. Default: where it must be a copy of those.",
        show_default=False,
    ),
]
WorkersOption = Annotated[
    int, typer.Option("--workers", min=0, help="Threads that read pictures; 0 is a few more than cores.")
]


def check(
    dataset: DatasetOption,
    root: RootOption,
    pictures: PicturesOption = None,
    official: OfficialOption = None,
    workers: WorkersOption = 0,
    form: FormatOption = None,
    as_json: JsonOption = False,
    progress: ProgressOption = ProgressKind.AUTO,
) -> None:
    """Prove that a copy of a data set is right: counts, pictures, boxes, halves and galleries.

    Errors make numbers wrong (missing pictures, boxes outside, people or pictures in both
    halves, duplicates, galleries that hold the query itself); warnings are odd; notes are known
    of the published data. Ends with 0 when there is no error, and with 4 when there is one.

    \b
    Examples:
      personsearch dataset check --dataset cuhk-sysu --root CUHK-SYSU --official
      personsearch dataset check --dataset synthetic --root data --pictures
      personsearch dataset check --dataset coco --root mine --json
    """
    from personsearch.datasets.checks import check_dataset
    from personsearch.datasets.open import open_dataset
    from personsearch.errors import DatasetError
    from personsearch.progress import console

    printer = Printer(chosen(form, as_json))
    data = open_dataset(dataset, root)
    report = check_dataset(
        data,
        official=official,
        looks="headers" if pictures is None else "whole" if pictures else "none",
        workers=workers,
        progress=console(progress),
    )
    printer(answer(data, report))
    if not report.right:
        first = next(finding for finding in report.findings if finding.severity == "error")
        more = report.number("error") - 1
        raise DatasetError(
            f"{root} is not right: {first.message} ({first.count:,})"
            + (f", and {more} more {'kind' if more == 1 else 'kinds'} of errors" if more else ""),
            hint="the report names the first places of each; --json has them all in one object",
        )


def answer(data: Dataset, report: CheckReport) -> Answer:
    """The report in all its forms."""
    numbers = {severity: report.number(severity) for severity in ("error", "warning", "note")}
    counts = report.counts
    halves = [
        f"{split}: {shown(counts[f'{split}_pictures'])} pictures, {shown(counts[f'{split}_boxes'])} boxes "
        f"({shown(counts[f'{split}_labelled'])} of {shown(counts[f'{split}_identities'])} known people)"
        for split in ("train", "test", "val")
        if f"{split}_pictures" in counts
    ]
    looked = {
        "none": "no picture read",
        "headers": "headers only; --pictures decodes",
        "whole": "pictures decoded",
    }
    held = (
        "held against the published counts" if report.published else "no published counts to hold it against"
    )
    verdict = "right" if report.right else "not right"
    return Answer(
        record={
            "schema": "personsearch.dataset-check/1",
            "dataset": data.name,
            "root": str(data.root),
            "right": report.right,
            "published": report.published,
            "pictures": report.looks,
            "counts": counts,
            "errors": numbers["error"],
            "warnings": numbers["warning"],
            "notes": numbers["note"],
            "findings": [
                {
                    "severity": finding.severity,
                    "rule": finding.rule,
                    "message": finding.message,
                    "count": finding.count,
                    "examples": finding.examples,
                }
                for finding in report.findings
            ],
        },
        rows=[
            {
                "weight": finding.severity,
                "number": finding.count,
                "what": finding.message,
                "where": "; ".join(finding.examples[:2]) + (" ..." if finding.count > 2 else ""),
            }
            for finding in report.findings
        ],
        before=[f"{data.name} in {data.root}: {looked[report.looks]}, {held}", *halves],
        after=[
            f"{verdict}: {numbers['error']} {'kind' if numbers['error'] == 1 else 'kinds'} of errors, "
            f"{numbers['warning']} of warnings, {numbers['note']} of notes"
        ],
    )


def shown(number: int | None) -> str:
    """A number as people read it; a question mark where it could not be counted.

    >>> shown(18184), shown(None)
    ('18,184', '?')
    """
    return "?" if number is None else f"{number:,}"
