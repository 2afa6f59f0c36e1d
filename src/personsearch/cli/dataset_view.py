"""``personsearch dataset view``: pictures with their boxes and identities on one sheet."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from personsearch.cli.dataset_files import check_png, write_png
from personsearch.cli.options import DatasetOption, FormatOption, JsonOption, RootOption
from personsearch.cli.output import Answer, Printer, chosen
from personsearch.errors import DatasetError, UsageError

if TYPE_CHECKING:
    from personsearch.types import Picture, Scene

MOST_PEOPLE = 40
"""Rows that a sheet of people can have: more is no sheet any more."""


class SplitName(StrEnum):
    """A half of a data set."""

    TRAIN = "train"
    TEST = "test"


OutOption = Annotated[Path, typer.Option("--out", "-o", help="The sheet, a PNG file.", show_default=False)]
SplitOption = Annotated[SplitName, typer.Option("--split", help="Which half.")]
SceneOption = Annotated[
    list[str] | None,
    typer.Option(
        "--scene", help="This picture; several: again. Default: some of the half.", show_default=False
    ),
]
PeopleOption = Annotated[
    list[str] | None,
    typer.Option(
        "--people", help="All views of these identities (7 or 7,12) instead of scenes.", show_default=False
    ),
]
NumberOption = Annotated[
    int,
    typer.Option("--number", "-n", min=1, max=200, help="Pictures, evenly over the half; views a person."),
]
ColumnsOption = Annotated[int, typer.Option("--columns", min=1, max=20, help="Pictures in a row.")]


def view(
    dataset: DatasetOption,
    root: RootOption,
    out: OutOption,
    split: SplitOption = SplitName.TEST,
    scene: SceneOption = None,
    people: PeopleOption = None,
    number: NumberOption = 12,
    columns: ColumnsOption = 4,
    form: FormatOption = None,
    as_json: JsonOption = False,
) -> None:
    """Draw a contact sheet: scenes with boxes and identities, or every view of some people.

    People with an identity have a green box with its number, all others a thin grey one.

    \b
    Examples:
      personsearch dataset view --dataset synthetic --root data --out sheet.png
      personsearch dataset view --dataset prw --root PRW --scene c1s1_000151.jpg --out frame.png
      personsearch dataset view --dataset coco --root mine --split train --people 3,17 --out them.png
    """
    from personsearch.datasets.open import open_dataset

    printer = Printer(chosen(form, as_json))
    check_png(out)
    if scene and people:
        raise UsageError("--scene and --people are two sheets", hint="give one of them")
    wanted = numbers(people or [])
    data = open_dataset(dataset, root)
    scenes = data.scenes(split.value)
    if not scenes:
        raise DatasetError(f"the {split} half of {root} has no pictures", hint="is it the other --split?")
    if wanted:
        shown, pixels = _people_sheet(scenes, wanted, number)
    else:
        shown = _named(scenes, scene, root) if scene else _spread(scenes, number)
        from personsearch.report.sheets import scene_sheet

        pixels = scene_sheet(shown, _load, columns)
    write_png(out, pixels)
    record = {
        "schema": "personsearch.dataset-view/1",
        "dataset": data.name,
        "root": str(root),
        "split": split.value,
        "scenes": [one.name for one in shown],
        "people": wanted,
        "out": str(out),
        "width": pixels.shape[1],
        "height": pixels.shape[0],
    }
    printer(answer(record, shown))


def answer(record: dict[str, Any], shown: Sequence[Scene]) -> Answer:
    """What is on the sheet, in all its forms."""
    return Answer(
        record=record,
        rows=[
            {
                "scene": one.name,
                "boxes": len(one),
                "identities": " ".join(str(person) for person in one.people.tolist() if person >= 0) or None,
            }
            for one in shown
        ],
        after=[f"sheet  {record['out']} ({record['width']}x{record['height']})"],
    )


def numbers(words: Sequence[str]) -> list[int]:
    """Identities out of ``7`` and ``7,12``, each once.

    >>> numbers(["7", "12, 7,3"])
    [7, 12, 3]
    """
    try:
        found = [int(part) for word in words for part in word.split(",")]
    except ValueError:
        raise UsageError(f"--people {' '.join(words)}: identities are numbers", hint="such as 7,12") from None
    if len(found) > MOST_PEOPLE:
        raise UsageError(f"{len(found)} people are too many for a sheet", hint=f"at most {MOST_PEOPLE}")
    return list(dict.fromkeys(found))


def _load(scene: Scene) -> Picture:
    from personsearch.images import load

    if scene.path is None:
        raise DatasetError(f"{scene.name} names no picture file", hint="the annotation alone cannot be drawn")
    return load(scene.path)


def _spread(scenes: Sequence[Scene], number: int) -> list[Scene]:
    """``number`` of ``scenes``, evenly from the first to the last."""
    count = min(number, len(scenes))
    last = len(scenes) - 1
    return [scenes[round(i * last / max(count - 1, 1))] for i in range(count)]


def _named(scenes: Sequence[Scene], names: Sequence[str], root: Path) -> list[Scene]:
    of = {scene.name: scene for scene in scenes}
    for name in names:
        if name not in of:
            raise UsageError(
                f"{root} has no scene {name} in this half",
                hint=f"names are such as {scenes[0].name}; see --split",
            )
    return [of[name] for name in names]


def _people_sheet(scenes: Sequence[Scene], wanted: Sequence[int], most: int) -> tuple[list[Scene], Any]:
    """The scenes that show ``wanted``, and a sheet of everybody's views."""
    from personsearch.report.sheets import identity_rows, identity_sheet

    known = {person for scene in scenes for person in scene.people.tolist() if person >= 0}
    for person in wanted:
        if person not in known:
            said = f"from {min(known)} to {max(known)}" if known else "none"
            raise UsageError(
                f"nobody has the identity {person} in this half", hint=f"identities there: {said}"
            )
    shown = [scene for scene in scenes if set(wanted) & set(scene.people.tolist())]
    return shown, identity_sheet(identity_rows(shown, wanted, _load, most=most))
