"""``personsearch dataset convert``: a data set in another layout."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from personsearch.cli.options import (
    MOST_SEED,
    DatasetOption,
    FormatOption,
    JsonOption,
    ProgressKind,
    ProgressOption,
    RootOption,
)
from personsearch.cli.output import Answer, Printer, chosen
from personsearch.errors import UsageError

if TYPE_CHECKING:
    from personsearch.datasets.convert import Conversion
    from personsearch.datasets.staging import Transfer


class LayoutName(StrEnum):
    """Layouts that can be written."""

    CUHK_SYSU = "cuhk-sysu"
    PRW = "prw"
    COCO = "coco"
    MOT = "mot"


ToOption = Annotated[
    LayoutName, typer.Option("--to", help="The layout to write.", case_sensitive=False, show_default=False)
]
OutOption = Annotated[
    Path, typer.Option("--out", "-o", help="Folder of the new data set.", show_default=False)
]
LinkOption = Annotated[bool, typer.Option("--link/--copy", help="Hard links to the pictures, or copies.")]
NoPicturesOption = Annotated[bool, typer.Option("--no-pictures", help="Write the annotation alone.")]
RoundOption = Annotated[bool, typer.Option("--round", help="Boxes between pixels may be rounded.")]
LossyOption = Annotated[
    bool, typer.Option("--lossy", help="Go on without what the layout cannot hold; each is said.")
]
DrawOption = Annotated[
    int, typer.Option("--seed", min=0, max=MOST_SEED, help="Of galleries, where they must be drawn.")
]


def convert(
    dataset: DatasetOption,
    root: RootOption,
    to: ToOption,
    out: OutOption,
    link: LinkOption = False,
    no_pictures: NoPicturesOption = False,
    rounding: RoundOption = False,
    lossy: LossyOption = False,
    seed: DrawOption = 0,
    form: FormatOption = None,
    as_json: JsonOption = False,
    progress: ProgressOption = ProgressKind.AUTO,
) -> None:
    """Write a data set in another layout; what that cannot hold is said, and only lost on request.

    Ends with 4 when something would be lost and neither --round nor --lossy allows for it. An
    interrupted conversion goes on with the same command; until then --out does not exist.

    \b
    Examples:
      personsearch dataset convert --dataset cuhk-sysu --root CUHK-SYSU --to coco --out coco --link
      personsearch dataset convert --dataset coco --root mine --to cuhk-sysu --round --out mine-mat
      personsearch dataset convert --dataset mot --root MOT17 --to prw --lossy --out mot-as-prw
    """
    from personsearch.datasets.convert import ConversionSettings, NotHeldError
    from personsearch.datasets.convert import convert as convert_dataset
    from personsearch.datasets.open import open_dataset
    from personsearch.errors import DatasetError
    from personsearch.progress import console

    printer = Printer(chosen(form, as_json))
    allow: Literal["nothing", "round", "lossy"] = "lossy" if lossy else "round" if rounding else "nothing"
    settings = ConversionSettings(
        target=to.value, pictures=transfer_of(link, no_pictures), allow=allow, seed=seed
    )
    data = open_dataset(dataset, root)
    try:
        made = convert_dataset(data, out, settings, progress=console(progress))
    except NotHeldError as error:
        for loss in error.losses:
            typer.echo(f"{to.value} cannot hold {loss.count:,} {loss.what}", err=True)
        kinds = f"{len(error.losses)} kinds of things" if len(error.losses) > 1 else "one kind of thing"
        raise DatasetError(f"{to.value} cannot hold {kinds} that are in {root}", hint=error.hint) from error
    printer(answer(made, data.name, to.value))


def transfer_of(link: bool, no_pictures: bool) -> Transfer:
    """What becomes of the pictures."""
    if link and no_pictures:
        raise UsageError("--link and --no-pictures contradict each other", hint="give one of them")
    return "none" if no_pictures else "link" if link else "copy"


def answer(made: Conversion, source: str, layout: str) -> Answer:
    """What was written, in all its forms."""
    return Answer(
        record={
            "schema": "personsearch.dataset-convert/1",
            "root": str(made.root),
            "from": source,
            "layout": layout,
            "counts": made.counts,
            "renamed": made.renamed,
            "lost": [{"count": loss.count, "what": loss.what} for loss in made.losses],
        },
        rows=[{"what": key.replace("_", " "), "number": value} for key, value in made.counts.items()],
        before=[f"{made.root}: {source} as {layout}"],
        after=[
            *(f"lost  {loss.count:,} {loss.what}" for loss in made.losses),
            *([f"{made.renamed:,} pictures have another name; see conversion.json"] if made.renamed else []),
            f"next: personsearch dataset check --dataset {layout} --root {made.root}",
        ],
    )
