"""``personsearch evaluate``: how good is a model, by the benchmark's own protocol."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from personsearch.cli.options import (
    DatasetName,
    DatasetOption,
    DeviceOption,
    FormatOption,
    JsonOption,
    ModelOption,
    ProgressKind,
    ProgressOption,
    RootOption,
)
from personsearch.cli.output import Answer, Printer, chosen


class BoxSource(StrEnum):
    """Whose boxes are described."""

    DETECTED = "detected"
    ANNOTATED = "annotated"


class SubsetName(StrEnum):
    """The searches for people who are hard to see."""

    OCCLUSION = "occlusion"
    LOW_RESOLUTION = "low-resolution"


GallerySizeOption = Annotated[
    int, typer.Option("--gallery-size", min=1, help="Pictures a query is looked for in.")
]
SubsetOption = Annotated[
    SubsetName | None,
    typer.Option("--subset", help="Instead of a gallery size: the hard searches.", show_default=False),
]
BoxesOption = Annotated[
    BoxSource, typer.Option("--boxes", help="annotated: an upper bound in which nobody is missed.")
]
OutOption = Annotated[
    Path | None,
    typer.Option(
        "--out", "-o", help="Folder of features and figures; default: in the model's.", show_default=False
    ),
]


def evaluate(
    model: ModelOption,
    root: RootOption,
    dataset: DatasetOption = DatasetName.CUHK_SYSU,
    gallery_size: GallerySizeOption = 100,
    subset: SubsetOption = None,
    boxes: BoxesOption = BoxSource.DETECTED,
    out: OutOption = None,
    device: DeviceOption = "auto",
    form: FormatOption = None,
    as_json: JsonOption = False,
    progress: ProgressOption = ProgressKind.AUTO,
) -> None:
    """Score a model by the protocol of its benchmark: mAP and top-1/5/10, with 95 % intervals.

    Every test picture is looked at once; what was seen is kept in a features file and used again
    for other gallery sizes. Intervals come from drawing the queries again: they say how much
    other queries would change a number, not another training.

    \b
    Examples:
      personsearch evaluate --model model --dataset synthetic --root data --gallery-size 50
      personsearch evaluate --model run --dataset cuhk-sysu --root CUHK-SYSU --subset occlusion
      personsearch evaluate --model model --dataset synthetic --root data --boxes annotated --json
    """
    from personsearch.datasets.open import open_dataset
    from personsearch.experiments.benchmark import Protocol, benchmark_record, benchmark_rows, run_benchmark
    from personsearch.files import write_json
    from personsearch.model.checkpoint import load_searcher
    from personsearch.progress import console

    printer = Printer(chosen(form, as_json))
    data = open_dataset(dataset, root)
    searcher = load_searcher(model, device)
    protocol = Protocol(
        gallery_size=gallery_size, subset=None if subset is None else subset.value, boxes=boxes.value
    )
    folder = out if out is not None else model / "evaluation"
    result = run_benchmark(searcher, data, protocol, folder, progress=console(progress))
    record: dict[str, Any] = {
        "schema": "personsearch.evaluate/1",
        "model": searcher.fingerprint,
        "dataset": data.name,
        **benchmark_record(result),
    }
    which = f"gallery-{gallery_size}" if subset is None else str(subset)
    file = folder / f"scores-{data.name}-{which}-{boxes}-{searcher.fingerprint[:12]}.json"
    write_json(file, record)
    before = [
        f"protocol {result.search.protocol}, {boxes} boxes: {len(result.search.ap)} queries, "
        f"{result.pictures} test pictures"
    ]
    printer(Answer(record=record, rows=benchmark_rows(result), before=before, after=[f"figures  {file}"]))
