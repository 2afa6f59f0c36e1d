"""``personsearch dataset``: data sets on disk."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from personsearch.cli import dataset_check, dataset_convert, dataset_protocol, dataset_stats, dataset_view
from personsearch.cli.options import FormatOption, JsonOption, ProgressKind, ProgressOption, SeedOption
from personsearch.cli.output import Answer, Printer, chosen
from personsearch.errors import UsageError

if TYPE_CHECKING:
    from personsearch.datasets.dataset import Dataset, Split

SPLITS: tuple[Split, ...] = ("train", "test")

MARKS = ("annotation/generated.json", ".parts")
"""What a finished or an interrupted generation leaves in its folder."""

app = typer.Typer(
    rich_markup_mode=None, help="Make, check, count, convert and show data sets.", add_completion=False
)


@app.callback(invoke_without_command=True)
def _group(context: typer.Context) -> None:
    """Make, check, count, convert and show data sets."""
    if context.invoked_subcommand is None:
        print(context.get_help())
        raise typer.Exit(2)


@app.command("make")
def make(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the new data set.", show_default=False)],
    preset: Annotated[str, typer.Option("--preset", help="tiny, demo or medium.")] = "demo",
    seed: SeedOption = None,
    workers: Annotated[int, typer.Option("--workers", min=0, help="Processes; 0 is one a core.")] = 0,
    form: FormatOption = None,
    as_json: JsonOption = False,
    progress: ProgressOption = ProgressKind.AUTO,
) -> None:
    """Generate a benchmark of drawn people in drawn scenes, in CUHK-SYSU's layout.

    The pictures depend on preset and seed alone. Interrupted, it goes on where it was.

    \b
    Examples:
      personsearch dataset make --out data
      personsearch dataset make --preset medium --seed 7 --out data-medium
    """
    from dataclasses import replace

    from personsearch.datasets.open import open_dataset
    from personsearch.datasets.synthetic.make import make_dataset
    from personsearch.datasets.synthetic.presets import preset as preset_of
    from personsearch.progress import console

    printer = Printer(chosen(form, as_json))
    _check_own(out)
    settings = preset_of(preset)
    if seed is not None:
        settings = replace(settings, seed=seed)
    root = make_dataset(out, settings, workers=workers, progress=console(progress))
    printer(answer(open_dataset("synthetic", root), preset, settings.seed))


def _check_own(out: Path) -> None:
    """Raise UsageError unless ``out`` is new, empty, or a generated data set: nothing else is drawn over."""
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out} is a file, not a folder", hint="give a new folder with --out")
    others = out.is_dir() and any(not item.name.startswith(".") for item in out.iterdir())
    if others and not any((out / mark).exists() for mark in MARKS):
        raise UsageError(
            f"{out} is not empty and holds no generated data set", hint="give a new folder with --out"
        )


def answer(made: Dataset, preset: str, seed: int) -> Answer:
    """What is in the data set that was made."""
    halves = {split: made.scenes(split) for split in SPLITS}
    counts = {
        f"{split}_{what}": number
        for split, scenes in halves.items()
        for what, number in (("pictures", len(scenes)), ("people", sum(len(scene) for scene in scenes)))
    }
    known = [int(scene.people.max(initial=-1)) for scene in halves["train"]]
    counts["train_identities"] = 1 + max(known, default=-1)
    sizes = list(made.gallery_sizes)
    record = {
        "schema": "personsearch.dataset/1",
        "root": str(made.root),
        "preset": preset,
        "seed": seed,
        **counts,
        "gallery_sizes": sizes,
    }
    return Answer(
        record=record,
        rows=[{"what": key.replace("_", " "), "number": value} for key, value in counts.items()],
        before=[f"{made.root}: preset {preset}, seed {seed}, galleries of {', '.join(map(str, sizes))}"],
        after=[f"next: personsearch train --dataset synthetic --root {made.root} --out model"],
    )


app.command("check")(dataset_check.check)
app.command("stats")(dataset_stats.stats)
app.command("convert")(dataset_convert.convert)
app.command("protocol")(dataset_protocol.protocol)
app.command("view")(dataset_view.view)
