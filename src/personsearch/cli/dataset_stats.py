"""``personsearch dataset stats``: how much is in a data set, and how tall its people are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from personsearch.cli.options import DatasetOption, FormatOption, JsonOption, RootOption
from personsearch.cli.output import Answer, Printer, chosen
from personsearch.errors import DatasetError

if TYPE_CHECKING:
    from personsearch.datasets.statistics import Group
    from personsearch.types import Array

PngOption = Annotated[
    Path | None,
    typer.Option("--png", help="Also draw the distributions of heights to this file.", show_default=False),
]
SourcesOption = Annotated[
    Path | None,
    typer.Option(
        "--sources",
        help="Where pictures come from, a line each: NAME SOURCE (s1.jpg street).",
        show_default=False,
    ),
]
HeightOption = Annotated[
    float, typer.Option("--min-height", min=0, help="Leave out people less tall, in pixels; the paper: 50.")
]


def stats(
    dataset: DatasetOption,
    root: RootOption,
    png: PngOption = None,
    min_height: HeightOption = 0.0,
    sources: SourcesOption = None,
    form: FormatOption = None,
    as_json: JsonOption = False,
) -> None:
    """Count pictures, people and boxes by half and source, and how tall people are.

    The row "both" is that of the paper's Table 1; the distributions are those of its Fig. 2: test
    people with an identity, and everybody else. Sources are known where the annotation or
    --sources names them; the published CUHK-SYSU does not say which pictures are from films.

    \b
    Examples:
      personsearch dataset stats --dataset synthetic --root data --png heights.png
      personsearch dataset stats --dataset cuhk-sysu --root CUHK-SYSU --min-height 50 --json
      personsearch dataset stats --dataset coco --root mine --sources sources.txt
    """
    from personsearch.datasets.inventory import sources as named_sources
    from personsearch.datasets.open import open_dataset
    from personsearch.datasets.statistics import statistics

    printer = Printer(chosen(form, as_json))
    data = open_dataset(dataset, root)
    known = named_sources(data) if sources is None else read_sources(sources)
    groups = statistics(data, known, min_height=min_height)
    if not groups:
        raise DatasetError(f"{root} has no annotated picture", hint="is this the right folder?")
    if png is not None:
        from personsearch.cli.dataset_files import check_png, write_png

        check_png(png)
        write_png(png, figure(groups))
    printer(answer(data.name, str(root), groups, min_height, png))


def read_sources(path: Path) -> dict[str, str]:
    """By name of a picture its source, from a file of lines ``NAME SOURCE``; the name may hold spaces.

    Raises:
        DatasetError: the file cannot be read, or a line is odd or contradicts an earlier one.
    """
    try:
        lines = path.read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(f"{path} cannot be read as text", hint="a line each: NAME SOURCE") from error
    known: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        words = line.rsplit(None, 1)
        if not words:
            continue
        if len(words) != 2 or known.setdefault(words[0].strip(), words[1]) != words[1]:
            raise DatasetError(f"{path} line {number}: {line[:60]!r}", hint="a line each, once: NAME SOURCE")
    return known


def figure(groups: Sequence[Group]) -> Array:
    """Fig. 2: heights in the test half (of all, without one) of people with an identity and of the others."""
    from personsearch.datasets.statistics import height_edges, histogram
    from personsearch.report.statistics_plot import HeightPanel, height_plot

    test = [group for group in groups if group.split == "test"] or list(groups)
    parts = [group for group in test if group.source != "all"] or test
    edges = height_edges(test)
    names = [f"{group.split}, {group.source}" if len(parts) > 1 else group.split for group in parts]
    asked = [group for group in test if group.source == "all" and len(group.query)]
    panels = [
        HeightPanel(
            title=f"People with an identity ({sum(len(g.people) for g in parts):,})",
            names=[*names, *("queries" for _ in asked)],
            counts=[histogram(h, edges) for h in (*(g.people for g in parts), *(g.query for g in asked))],
        ),
        HeightPanel(
            title=f"Everybody else ({sum(len(g.background) for g in parts):,})",
            names=names,
            counts=[histogram(g.background, edges) for g in parts],
        ),
    ]
    return height_plot(panels, edges)


def answer(name: str, root: str, groups: Sequence[Group], min_height: float, png: Path | None) -> Answer:
    """The groups in all their forms."""
    from personsearch.datasets.statistics import quantiles, record_of

    rows: list[dict[str, Any]] = []
    for group in groups:
        row: dict[str, Any] = {"half": group.split}
        if any(other.source != "all" for other in groups):
            row["source"] = group.source
        rows.append(
            row
            | {
                "pictures": group.pictures,
                "identities": group.identities,
                "boxes": group.boxes,
                "with identity": len(group.people),
                "others": len(group.background),
                "ignored": group.ignored,
                "others a picture": round(group.background_a_picture, 2),
                "height of identities": heights(quantiles(group.people)),
                "of others": heights(quantiles(group.background)),
            }
        )
    above = f", people of {min_height:g} pixels and more" if min_height else ""
    after = ["heights in pixels: median (5 % .. 95 %)"]
    return Answer(
        record={
            "schema": "personsearch.dataset-stats/1",
            "dataset": name,
            "root": root,
            "min_height": min_height,
            "png": None if png is None else str(png),
            "groups": record_of(groups),
        },
        rows=rows,
        before=[f"{name} in {root}{above}"],
        after=after if png is None else [*after, f"figure  {png}"],
    )


def heights(known: dict[str, float]) -> str:
    """Median and the range of nine in ten.

    >>> heights({"q50": 200.0, "q5": 80.0, "q95": 410.4})
    '200 (80 .. 410)'
    """
    middle = known["q50"]
    return "-" if middle != middle else f"{middle:.0f} ({known['q5']:.0f} .. {known['q95']:.0f})"
