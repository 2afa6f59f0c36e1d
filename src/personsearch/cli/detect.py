"""``personsearch detect``: who is in these pictures, and where."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from personsearch.cli.options import (
    DeviceOption,
    FormatOption,
    JsonOption,
    ModelOption,
    NullOption,
    PartsOption,
    ProgressKind,
    ProgressOption,
)
from personsearch.cli.output import Answer, Printer, box_text, chosen, rounded_box

if TYPE_CHECKING:
    from personsearch.types import Detections, Picture


def detect(
    sources: Annotated[
        list[Path],
        typer.Argument(metavar="PICTURE|FOLDER...", help="Pictures, or folders of them.", show_default=False),
    ],
    model: ModelOption,
    conf: Annotated[
        float, typer.Option("--conf", min=0, max=1, help="Leave out detections below this score.")
    ] = 0.5,
    embed: Annotated[
        bool, typer.Option("--embed", help="Write each person's embedding, too (jsonl).")
    ] = False,
    parts: PartsOption = Path("baselines"),
    device: DeviceOption = "auto",
    form: FormatOption = None,
    as_json: JsonOption = False,
    null: NullOption = False,
    progress: ProgressOption = ProgressKind.AUTO,
) -> None:
    """Find everybody in pictures: a box in upright pixels and a score each.

    A picture that cannot be read is reported and passed over; the exit code is then 3.

    \b
    Examples:
      personsearch detect photo.jpg --model model
      personsearch detect photos --model model --conf 0.7 --format csv > people.csv
      personsearch detect photos --model model --format paths     # pictures with somebody in them
    """
    from personsearch.baselines.open import Where, open_searcher
    from personsearch.cli.failures import say
    from personsearch.errors import InputError, PartialFailure
    from personsearch.images import load
    from personsearch.media.folders import find_pictures
    from personsearch.progress import console

    printer = Printer(chosen(form, as_json, listing=True), null)
    paths: list[Path] = []
    for source in sources:
        paths += find_pictures(source) if source.is_dir() else [source]
    searcher = open_searcher(model, Where(parts=parts, device=device))
    failed: list[Path] = []
    if progress is ProgressKind.AUTO and sys.stdout.isatty():
        progress = ProgressKind.NONE  # the answers themselves say how far it is; a bar would run into them
    for path in console(progress)(paths, "detecting", total=len(paths)):
        try:
            picture = load(path, name=str(path))
        except InputError as error:
            if len(paths) == 1:
                raise
            failed.append(path)
            say(str(error))
            continue
        seen = searcher.detect(picture)
        printer(answer(picture, seen.take(seen.scores >= conf), searcher.fingerprint, embed=embed))
    if failed:
        raise PartialFailure(
            f"{len(failed)} of {len(paths)} pictures could not be read",
            hint="the lines above say why; all others were looked at",
        )


def answer(picture: Picture, seen: Detections, fingerprint: str, *, embed: bool) -> Answer:
    """One picture's people, best score first."""
    width, height = picture.size
    people: list[dict[str, Any]] = []
    rows: list[dict[str, Any]] = []
    for i in range(len(seen)):
        score = round(float(seen.scores[i]), 4)
        person: dict[str, Any] = {"box_xyxy": rounded_box(seen.boxes[i]), "score": score}
        if embed:
            person["embedding"] = [float(f"{value:.6g}") for value in seen.embeddings[i]]
        people.append(person)
        rows.append(
            {"picture": picture.name, "person": i + 1, "score": score, "box x,y,w,h": box_text(seen.boxes[i])}
        )
    record = {
        "schema": "personsearch.detect/1",
        "picture": picture.name,
        "width": width,
        "height": height,
        "model": fingerprint,
        "people": people,
    }
    before = [] if people else [f"{picture.name}: nobody"]
    return Answer(record=record, rows=rows, before=before, paths=[picture.name] if people else [])
