"""``personsearch baselines``: the paper's two-stage methods, trained and compared."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from personsearch.cli.options import (
    DatasetName,
    DatasetOption,
    DeviceOption,
    FormatOption,
    JsonOption,
    PartsOption,
    ProgressKind,
    ProgressOption,
    RootOption,
    SeedOption,
)
from personsearch.cli.output import Answer, Printer, chosen
from personsearch.errors import UsageError

if TYPE_CHECKING:
    from personsearch.experiments.baseline_table import BaselineTable, Cell
    from personsearch.experiments.baseline_training import TrainedParts
    from personsearch.types import Array

app = typer.Typer(
    rich_markup_mode=None, help="Train and compare the paper's two-stage methods.", add_completion=False
)
TABLE, CURVES = "table.json", "precision-recall.png"


@app.callback(invoke_without_command=True)
def _group(context: typer.Context) -> None:
    """Train and compare the paper's two-stage methods: a detector, then a re-id method."""
    if context.invoked_subcommand is None:
        print(context.get_help())
        raise typer.Exit(2)


@app.command("train")
def train(
    root: RootOption,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the parts.")] = Path("baselines"),
    dataset: DatasetOption = DatasetName.CUHK_SYSU,
    preset: Annotated[
        str, typer.Option("--preset", help="tiny, demo or medium: sizes of the two networks.")
    ] = "demo",
    only: Annotated[
        str | None,
        typer.Option(
            "--only",
            metavar="KIND,...",
            help="Some of acf, deep, euclidean, kissme, bow, idnet.",
            show_default="all six",
        ),
    ] = None,
    seed: SeedOption = None,
    device: DeviceOption = "auto",
    form: FormatOption = None,
    as_json: JsonOption = False,
    progress: ProgressOption = ProgressKind.AUTO,
) -> None:
    """Train the detectors and re-id methods of the paper's Table 2, each into a folder of --out.

    Detectors: acf (channel features, boosted trees), deep (the network without its re-id part).
    Re-id: euclidean and kissme (DenseSIFT and colour histograms), bow (words of colour), idnet
    (the network without its proposals). Interrupted, it goes on where it was; what is finished
    is skipped.

    \b
    Examples:
      personsearch baselines train --dataset synthetic --root data --out baselines
      personsearch baselines train --dataset prw --root PRW --preset medium --only acf,bow --out parts
    """
    from personsearch.datasets.open import open_dataset
    from personsearch.experiments.baseline_training import TRAINED, train_baselines
    from personsearch.progress import console

    printer = Printer(chosen(form, as_json))
    names = TRAINED if only is None else tuple(part.strip() for part in only.split(",") if part.strip())
    data = open_dataset(dataset, root)

    def say(line: str) -> None:
        if progress is not ProgressKind.NONE:
            print(f"== {line}", file=sys.stderr, flush=True)

    trained = train_baselines(
        data.scenes("train"),
        out,
        preset,
        only=names,
        seed=seed,
        device=device,
        progress=console(progress),
        source={"dataset": str(dataset.value), "root": str(root.resolve())},
        say=say,
    )
    words = f"--dataset {dataset.value} --root {root} --parts {out}"
    printer(trained_answer(trained, out, preset, words))


@app.command("evaluate")
def evaluate(
    root: RootOption,
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Folder of features, table and curves.", show_default=False)
    ],
    parts: PartsOption = Path("baselines"),
    dataset: DatasetOption = DatasetName.CUHK_SYSU,
    model: Annotated[
        Path | None,
        typer.Option("--model", "-m", help="The joint network, for a row of its own.", show_default=False),
    ] = None,
    only: Annotated[
        str | None,
        typer.Option(
            "--only",
            metavar="PART,...",
            help="Rows and columns: some of acf, deep, gt, euclidean, kissme, bow, idnet.",
            show_default="all",
        ),
    ] = None,
    gallery_size: Annotated[
        str | None,
        typer.Option(
            "--gallery-size",
            metavar="N|full",
            help="Pictures a query is looked for in. Default: the field's.",
            show_default=False,
        ),
    ] = None,
    det_threshold: Annotated[
        float, typer.Option("--det-threshold", help="Detections with a lower score count as not made.")
    ] = 0.5,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of the intervals' and tests' draws.")] = 0,
    device: DeviceOption = "auto",
    form: FormatOption = None,
    as_json: JsonOption = False,
    progress: ProgressOption = ProgressKind.AUTO,
) -> None:
    """Fill the paper's Table 2: every detector with every re-id method, and whether its order holds.

    Writes table.json, and the detectors' precision-recall curves. Interrupted, it goes on where it
    was. Intervals and p say how much other queries would change a number, not another training.

    \b
    Examples:
      personsearch baselines evaluate --dataset synthetic --root data --parts baselines --out table
      personsearch baselines evaluate --root CUHK-SYSU --model run --gallery-size 100 --out table
    """
    from personsearch.cli.dataset_files import write_png
    from personsearch.cli.evaluate_asked import gallery_size as size_of
    from personsearch.cli.output import plain
    from personsearch.datasets.open import open_dataset
    from personsearch.experiments.baseline_table import TableSettings, fill_table
    from personsearch.files import write_json
    from personsearch.model.checkpoint import load_searcher
    from personsearch.progress import console

    printer = Printer(chosen(form, as_json))
    detectors, embedders = _chosen_parts(only)
    settings = TableSettings(
        gallery_size=size_of(gallery_size),
        det_threshold=det_threshold,
        detectors=detectors,
        embedders=embedders,
        seed=seed,
    )
    joint = None if model is None else load_searcher(model, device)
    table = fill_table(
        open_dataset(dataset, root), parts, out, settings, joint=joint, device=device, progress=console(progress)
    )
    write_json(out / TABLE, plain(table.record()))
    if table.found:
        write_png(out / CURVES, curves(table))
    printer(table_answer(table, out))


def _chosen_parts(only: str | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Rows and columns that ``--only`` names; all of a kind where it names none."""
    from personsearch.experiments.baseline_table import DETECTORS, EMBEDDERS

    names = [] if only is None else [part.strip() for part in only.split(",") if part.strip()]
    unknown = [name for name in names if name not in (*DETECTORS, *EMBEDDERS)]
    if unknown:
        known = ", ".join((*DETECTORS, *EMBEDDERS))
        raise UsageError(f"there is no row or column {unknown[0]!r}", hint=f"choose among {known}")
    rows = tuple(name for name in DETECTORS if name in names) or DETECTORS
    columns = tuple(name for name in EMBEDDERS if name in names) or EMBEDDERS
    return rows, columns


def trained_answer(trained: TrainedParts, out: Path, preset: str, words: str) -> Answer:
    """What was trained, how long it took, and how large the networks are."""
    rows: list[dict[str, Any]] = [
        {
            "part": part.kind,
            "seconds": round(part.seconds, 1),
            "weights": trained.capacity.get(part.kind),
            "this time": "skipped" if part.skipped else "trained",
            "fingerprint": part.fingerprint[:12],
        }
        for part in trained.parts
    ]
    record = {
        "schema": "personsearch.baselines-train/1",
        "out": str(out),
        "preset": preset,
        "parts": [
            {
                "part": part.kind,
                "folder": str(part.folder),
                "fingerprint": part.fingerprint,
                "seconds": part.seconds,
                "skipped": part.skipped,
            }
            for part in trained.parts
        ],
        "capacity": trained.capacity,
    }
    sizes = trained.capacity
    share = sizes["idnet"] / sizes["joint"]
    after = [
        f"idnet has {sizes['idnet']:,} weights, {100 * share:.0f} % of the joint network's {sizes['joint']:,}",
        f"next: personsearch baselines evaluate {words} --out table",
    ]
    return Answer(record=record, rows=rows, after=after)


def table_answer(table: BaselineTable, out: Path) -> Answer:
    """The table as the paper prints it, with intervals, cost, curves and order below."""
    from personsearch.cli.evaluate_tables import table as lines_of

    rows = [_row(f"{finder} + {method}", cell) for (finder, method), cell in table.cells.items()]
    if table.joint is not None:
        rows.append(_row("joint network", table.joint))
    after = ["", "mAP / top-1 in per cent, as the paper's Table 2", *lines_of(_paper_rows(table)), ""]
    after += _detection_lines(table)
    after += _order_lines(table)
    after += ["", f"figures  {out / TABLE}"]
    if table.found:
        after.append(f"curves   {out / CURVES}")
    return Answer(
        record={**table.record(per_query=False), "table": str(out / TABLE)},
        rows=rows,
        before=[
            f"{table.protocol}: {table.pictures} pictures, {len(_first(table).evaluation.search.ap)} queries",
            f"detections from score {table.settings.det_threshold:g}; low and high: 95 % interval of mAP",
            "",
        ],
        after=after,
    )


def _first(table: BaselineTable) -> Cell:
    return next(iter(table.cells.values()))


def _row(name: str, cell: Cell) -> dict[str, Any]:
    ap, top = cell.evaluation.intervals["mAP"], cell.evaluation.intervals["top-1"]
    together = cell.detect_ms + (cell.describe_ms if cell.describe_ms == cell.describe_ms else 0.0)
    return {
        "method": name,
        "mAP": ap.mean,
        "low": ap.low,
        "high": ap.high,
        "top-1": top.mean,
        "ms find": round(cell.detect_ms, 1),
        "ms describe": None if cell.describe_ms != cell.describe_ms else round(cell.describe_ms, 1),
        "ms": round(together, 1),
    }


def _paper_rows(table: BaselineTable) -> list[dict[str, Any]]:
    """A row a detector, a column a re-id method."""

    def said(cell: Cell | None) -> str:
        if cell is None:
            return "-"
        ap, top = (100 * cell.evaluation.intervals[name].mean for name in ("mAP", "top-1"))
        return f"{ap:.1f} / {top:.1f}"

    rows = [
        {"": finder, **{method: said(table.cells.get((finder, method))) for method in table.settings.embedders}}
        for finder in table.settings.detectors
    ]
    if table.joint is not None:
        for row in rows:
            row["joint"] = said(table.joint if row[""] == "deep" else None)
    return rows


def _detection_lines(table: BaselineTable) -> list[str]:
    """How well each detector finds people."""
    from personsearch.cli.evaluate_tables import table as lines_of

    if not table.found:
        return []
    rows = []
    for name, found in table.found.items():
        row: dict[str, Any] = {"detector": name, "recall": found.scores.recall, "AP": found.scores.ap}
        for recall, precision, _ in found.marks:
            row[f"p@{10 * int(recall * 10)}"] = precision
        rows.append(row)
    columns = list(dict.fromkeys(key for row in rows for key in row))
    height = table.settings.min_height
    return [
        f"people of {height:g} px and more: recall and AP from score {table.settings.det_threshold:g}, "
        "precision at a recall of so many per cent",
        *lines_of([{column: row.get(column) for column in columns} for row in rows]),
        "",
    ]


def _order_lines(table: BaselineTable) -> list[str]:
    """The paper's order, pair by pair, by mAP; top-1 where it says otherwise."""
    from personsearch.cli.evaluate_tables import table as lines_of

    if not table.claims:
        return []
    rows = [
        {
            "the paper says": f"{claim.better} over {claim.worse}",
            "by": claim.difference.measure,
            "difference": claim.difference.difference.mean,
            "low": claim.difference.difference.low,
            "high": claim.difference.difference.high,
            "p": claim.difference.p_value,
            "here": claim.verdict,
        }
        for claim in table.claims
    ]
    counts = {word: sum(claim.verdict == word for claim in table.claims) for word in ("holds", "undecided")}
    wrong = len(table.claims) - sum(counts.values())
    return [
        f"the paper's order holds in {counts['holds']} of {len(rows)} comparisons, "
        f"{counts['undecided']} undecided (p of 0.05 or more), {wrong} reversed",
        *lines_of(rows),
    ]


def curves(table: BaselineTable) -> Array:
    """The paper's Fig. 5: precision against recall, with points pointed out."""
    from personsearch.report.plots import Curve, Mark, precision_recall

    lines = [Curve(name=name, x=one.recall, y=one.precision) for name, one in table.found.items()]
    marks = [
        Mark(curve=number, x=recall, y=precision, text=f"({recall:.2f}, {precision:.2f})")
        for number, one in enumerate(table.found.values())
        for recall, precision, _ in one.marks
    ]
    title = f"Detection, people of {table.settings.min_height:g} px and more"
    return precision_recall(lines, title=title, marks=marks)
