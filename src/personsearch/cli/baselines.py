"""``personsearch baselines``: the paper's two-stage methods, trained and compared."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from personsearch.cli.evaluate_options import GallerySizeOption, ThresholdOption
from personsearch.cli.options import (
    MOST_SEED,
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
    announcer,
)
from personsearch.cli.output import Printer, chosen
from personsearch.errors import UsageError

app = typer.Typer(
    rich_markup_mode=None, help="Train and compare the paper's two-stage methods.", add_completion=False
)
TableOption = Annotated[
    Path, typer.Option("--out", "-o", help="Folder of features, table and curves.", show_default=False)
]
JointOption = Annotated[
    Path | None,
    typer.Option("--model", "-m", help="The joint network, for figures of its own.", show_default=False),
]
CellsOption = Annotated[
    str | None,
    typer.Option(
        "--only",
        metavar="PART,...",
        help="Rows and columns: some of acf, deep, gt, euclidean, kissme, bow, idnet.",
        show_default="all",
    ),
]
DrawsOption = Annotated[
    int, typer.Option("--seed", min=0, max=MOST_SEED, help="Of the intervals' and tests' draws.")
]


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
    from personsearch.baselines.open import TRAINED
    from personsearch.cli.baselines_tables import trained_answer
    from personsearch.datasets.open import open_dataset
    from personsearch.experiments.baseline_training import train_baselines
    from personsearch.progress import console

    printer = Printer(chosen(form, as_json))
    names = TRAINED if only is None else tuple(part.strip() for part in only.split(",") if part.strip())
    data = open_dataset(dataset, root)

    trained = train_baselines(
        data.scenes("train"),
        out,
        preset,
        only=names,
        seed=seed,
        device=device,
        progress=console(progress),
        source={"dataset": str(dataset.value), "root": str(root.resolve())},
        say=announcer(progress),
    )
    words = f"--dataset {dataset.value} --root {root} --parts {out}"
    printer(trained_answer(trained, out, preset, words))


@app.command("evaluate")
def evaluate(
    root: RootOption,
    out: TableOption,
    parts: PartsOption = Path("baselines"),
    dataset: DatasetOption = DatasetName.CUHK_SYSU,
    model: JointOption = None,
    only: CellsOption = None,
    gallery_size: GallerySizeOption = None,
    det_threshold: ThresholdOption = 0.5,
    seed: DrawsOption = 0,
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
    from personsearch.cli.baselines_tables import CURVES, TABLE, curves, table_answer
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
        open_dataset(dataset, root),
        parts,
        out,
        settings,
        joint=joint,
        device=device,
        progress=console(progress),
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
