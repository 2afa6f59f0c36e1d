"""``personsearch dataset protocol``: halves, queries and galleries for any annotated pictures."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from personsearch.cli.dataset_convert import LinkOption, NoPicturesOption, OutOption, transfer_of
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
    from personsearch.datasets.dataset import Dataset
    from personsearch.datasets.protocol_maker import Protocols

SIZES = (50, 100, 500, 1000, 2000, 4000)


class ProtocolLayout(StrEnum):
    """Layouts that hold galleries."""

    COCO = "coco"
    CUHK_SYSU = "cuhk-sysu"


LayoutOption = Annotated[
    ProtocolLayout, typer.Option("--to", help="The layout to write.", case_sensitive=False)
]
DrawOption = Annotated[
    int, typer.Option("--seed", min=0, max=MOST_SEED, help="Decides everything that is drawn.")
]
ShareOption = Annotated[
    float | None,
    typer.Option(
        "--test-share",
        min=0.0,
        max=1.0,
        help="Of the people, where halves are drawn: with --resplit, or where there is no training half. "
        "Default: 0.5.",
        show_default=False,
    ),
]
SizesOption = Annotated[
    list[int] | None,
    typer.Option(
        "--gallery-size", min=1, help="Several: again. Default: 50 to 4000, as fit.", show_default=False
    ),
]
QueriesOption = Annotated[
    int, typer.Option("--queries-per-person", min=1, help="At most, each in another picture.")
]
ResplitOption = Annotated[
    bool, typer.Option("--resplit", help="Draw new halves although the data set has its own.")
]


def protocol(
    dataset: DatasetOption,
    root: RootOption,
    out: OutOption,
    to: LayoutOption = ProtocolLayout.COCO,
    seed: DrawOption = 0,
    test_share: ShareOption = None,
    gallery_size: SizesOption = None,
    queries_per_person: QueriesOption = 1,
    resplit: ResplitOption = False,
    link: LinkOption = False,
    no_pictures: NoPicturesOption = False,
    form: FormatOption = None,
    as_json: JsonOption = False,
    progress: ProgressOption = ProgressKind.AUTO,
) -> None:
    """Make halves, queries, galleries and the two hard subsets, as files that others can use.

    Halves are the data set's own; without a training half every picture is a test picture, until
    --resplit or --test-share draws two that share no picture and no person. The low-resolution
    subset is the tenth of the queries with the smallest height, the occlusion subset those of whom
    less than 60 % can be seen. The same seed makes the same protocol.

    \b
    Examples:
      personsearch dataset protocol --dataset coco --root mine --out mine-benchmark --seed 1
      personsearch dataset protocol --dataset mot --root MOT17 --out bench --gallery-size 50 --link
      personsearch dataset protocol --dataset prw --root PRW --to cuhk-sysu --resplit --out prw-mat
    """
    from personsearch.datasets.open import open_dataset
    from personsearch.datasets.protocol_build import BuildSettings, build_protocols
    from personsearch.datasets.protocol_maker import ProtocolSettings
    from personsearch.progress import console

    printer = Printer(chosen(form, as_json))
    data = open_dataset(dataset, root)
    settings = BuildSettings(
        protocol=ProtocolSettings(
            seed=seed,
            test_share=0.5 if test_share is None else test_share,
            gallery_sizes=tuple(sorted(set(gallery_size))) if gallery_size else SIZES,
            queries_per_person=queries_per_person,
        ),
        layout=to.value,
        halves="draw" if draws(data, resplit, test_share) else "keep",
        pictures=transfer_of(link, no_pictures),
    )
    made = build_protocols(data, out, settings, progress=console(progress))
    printer(answer(made, out, to.value))


def draws(data: Dataset, resplit: bool, test_share: float | None) -> bool:
    """Whether new halves are drawn: --resplit asks for that, or --test-share where nothing is split.

    Raises:
        UsageError: a share of halves that are kept makes no sense.
    """
    if resplit or test_share is None:
        return resplit
    if data.scenes("train"):
        raise UsageError(
            "--test-share is for halves that are drawn, and this data set has its own",
            hint="leave it out, or draw new halves with --resplit",
        )
    return True


def answer(made: Protocols, out: Path, layout: str) -> Answer:
    """What was made, in all its forms."""
    counts = {
        "train_pictures": len(made.train),
        "train_identities": len(made.train_people),
        "test_pictures": len(made.test),
        "test_identities": len(made.test_people),
        "queries": len(made.queries),
        "occlusion_queries": 0 if made.occlusion is None else len(made.occlusion),
        "low_resolution_queries": 0 if made.low_resolution is None else len(made.low_resolution),
        "left_out_pictures": len(made.left_out),
    }
    sizes = sorted(made.galleries)
    record = {
        "schema": "personsearch.dataset-protocol/1",
        "root": str(out),
        "layout": layout,
        "seed": made.settings.seed,
        **counts,
        "gallery_sizes": sizes,
        "notes": list(made.notes),
    }
    return Answer(
        record=record,
        rows=[{"what": key.replace("_", " "), "number": value} for key, value in counts.items()],
        before=[f"{out}: seed {made.settings.seed}, galleries of {', '.join(map(str, sizes)) or 'all only'}"],
        after=[
            *(f"note  {note}" for note in made.notes),
            f"next: personsearch dataset check --dataset {layout} --root {out}",
        ],
    )
