"""``personsearch demo``: the whole job on generated pictures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from personsearch.cli.options import (
    DeviceOption,
    FormatOption,
    JsonOption,
    ProgressKind,
    ProgressOption,
    SeedOption,
    announcer,
)
from personsearch.cli.output import Answer, Printer, box_text, chosen, rounded_box

if TYPE_CHECKING:
    from personsearch.experiments.demo import DemoResult


def demo(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for everything it makes.")] = Path("demo"),
    dataset: Annotated[
        str, typer.Option("--dataset-preset", help="Size of the data: tiny, demo, medium.")
    ] = "demo",
    preset: Annotated[
        str, typer.Option("--preset", help="Training: compact-tiny, demo, medium, medium-long.")
    ] = "demo",
    gallery_size: Annotated[
        int, typer.Option("--gallery-size", min=1, help="Pictures a query is looked for in.")
    ] = 50,
    seed: SeedOption = None,
    device: DeviceOption = "auto",
    form: FormatOption = None,
    as_json: JsonOption = False,
    progress: ProgressOption = ProgressKind.AUTO,
) -> None:
    """Do the whole job once: generate, train, evaluate, index, search, and show it on one page.

    About ten minutes on two cores, without a network. Interrupted, it goes on where it was; a
    second run uses what is finished.

    \b
    Examples:
      personsearch demo --out demo
      personsearch demo --out small --dataset-preset tiny --preset compact-tiny --gallery-size 6
    """
    printer = Printer(chosen(form, as_json))

    from personsearch.experiments.demo import DemoSettings, run_demo
    from personsearch.progress import console

    settings = DemoSettings(dataset=dataset, training=preset, gallery_size=gallery_size, seed=seed)
    printer(
        answer(run_demo(out, settings, device=device, progress=console(progress), say=announcer(progress)))
    )


def answer(result: DemoResult) -> Answer:
    """The figures, the ranked hits, what every stage took, and where the page is."""
    from personsearch.experiments.benchmark import benchmark_record, benchmark_rows
    from personsearch.progress import clock

    rows = [
        {
            "rank": judged.hit.rank,
            "right": "yes" if judged.right else "no",
            "probability": judged.hit.probability,
            "similarity": judged.hit.similarity,
            "picture": Path(judged.hit.picture).name,
            "box x,y,w,h": box_text(judged.hit.box),
        }
        for judged in result.hits
    ]
    scored = result.benchmark
    lines = [f"evaluation: {scored.search.protocol}, {len(scored.search.ap)} queries"]
    for row in benchmark_rows(scored):
        between = "" if row["low"] is None else f"   95 % interval {row['low']:.3f} to {row['high']:.3f}"
        lines.append(f"  {row['measure']:<17}{row['value']:.3f}{between}")
    lines += [
        "",
        f"search: the person at {box_text(result.query.box)} of {result.query.scene}, who is in "
        f"{result.appearances} other pictures of the gallery",
        "",
    ]
    spent = ", ".join(f"{name} {clock(worked)}" for name, (worked, _) in result.seconds.items())
    found = sum(judged.right for judged in result.hits)
    after = ["", f"right among these: {found} of {len(rows)}", f"time: {spent}", f"page: {result.page}"]
    record = {
        "schema": "personsearch.demo/1",
        "evaluation": benchmark_record(scored),
        "query": {
            "picture": result.query.scene,
            "box_xyxy": rounded_box(result.query.box),
            "appearances": result.appearances,
        },
        "hits": [
            {
                "rank": judged.hit.rank,
                "right": judged.right,
                "similarity": judged.hit.similarity,
                "probability": judged.hit.probability,
                "picture": judged.hit.picture,
                "box_xyxy": rounded_box(judged.hit.box),
            }
            for judged in result.hits
        ],
        "seconds": {name: round(worked, 1) for name, (worked, _) in result.seconds.items()},
        "page": str(result.page),
    }
    return Answer(record=record, rows=rows, before=lines, after=after)
