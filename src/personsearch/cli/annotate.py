"""``personsearch annotate``: copies of the pictures with the boxes of hits or detections drawn in."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from personsearch.cli.answers import STANDARD_INPUT, AnswersArgument, make_folder, read_file
from personsearch.cli.options import FormatOption, JsonOption, NullOption, ProgressKind, ProgressOption
from personsearch.cli.output import Answer, Printer, chosen

if TYPE_CHECKING:
    from personsearch.media.stills import Stills
    from personsearch.report.records import Sight
    from personsearch.types import Array


class PictureKind(StrEnum):
    """What the copies are written as."""

    JPG = "jpg"
    PNG = "png"


OutOption = Annotated[Path, typer.Option("--out", "-o", help="Folder of the copies.", show_default=False)]
AsOption = Annotated[PictureKind, typer.Option("--as", help="What the copies are.", case_sensitive=False)]
CocoOption = Annotated[
    Path | None,
    typer.Option("--coco", help="Also write the boxes as COCO JSON.", dir_okay=False, show_default=False),
]


def annotate(
    out: OutOption,
    answers: AnswersArgument = STANDARD_INPUT,
    kind: AsOption = PictureKind.JPG,
    coco: CocoOption = None,
    form: FormatOption = None,
    as_json: JsonOption = False,
    null: NullOption = False,
    progress: ProgressOption = ProgressKind.AUTO,
) -> None:
    """Draw the boxes of hits or detections into copies of their pictures; the pictures stay as they are.

    It goes on from what 'personsearch search' or 'personsearch detect' wrote as JSON lines. A frame
    of a video becomes a picture of its own. Every copy is named after its picture, with a mark that
    keeps two pictures of one name apart. A picture that cannot be read is reported and passed over;
    the exit code is then 3.

    \b
    Examples:
      personsearch search -q photo.jpg --largest -m model -g gallery --json | personsearch annotate --out seen
      personsearch detect photos -m model --json | personsearch annotate --out seen --as png --coco seen.json
      personsearch annotate hits.jsonl --out seen --format paths
    """
    from personsearch.errors import PartialFailure
    from personsearch.files import write_text
    from personsearch.media.stills import Stills
    from personsearch.progress import console
    from personsearch.report.exchange import coco as coco_of
    from personsearch.report.records import sights

    printer = Printer(chosen(form, as_json, listing=True), null)
    seen = sights(read_file(answers))
    _prepare(out, seen)
    done = _Copies(out, kind)
    order = sorted(range(len(seen)), key=lambda i: _order(seen[i]))  # a video is decoded once
    with Stills() as stills:
        for i in console(progress)(order, "annotating", total=len(order)):
            done.take(i, seen[i], stills)
    kept = sorted(done.written)
    if coco is not None:
        found = coco_of([seen[i] for i in kept], [done.sizes[i] for i in kept])
        write_text(coco, json.dumps(found) + "\n")  # in ASCII: names need be no text
    paths = [str(done.written[i]) for i in kept]
    rows = [
        {"copy": str(done.written[i]), "people": len(seen[i].people), "picture": seen[i].file} for i in kept
    ]
    record = {
        "schema": "personsearch.annotate/1",
        "out": str(out),
        "copies": rows,
        "coco": None if coco is None else str(coco),
        "failed": len(done.failed),
    }
    after = [] if coco is None else [f"boxes    {coco}"]
    printer(Answer(record=record, rows=rows, after=after, paths=paths))
    if done.failed:
        raise PartialFailure(
            f"{len(done.failed)} of {len(seen)} pictures could not be read",
            hint="the lines above say why; the others are done",
        )


def _prepare(out: Path, seen: list[Sight]) -> None:
    """Make the folder; UsageError where no frame of a video can be read here: once, not for every frame."""
    from personsearch.media.container import pyav

    if any(sight.is_frame for sight in seen):
        pyav()
    make_folder(out)


def _order(sight: Sight) -> tuple[str, float, int]:
    return sight.file, sight.position or 0.0, sight.frame or 0


@dataclass
class _Copies:
    """Draws and writes, and remembers what became of every picture, by its number."""

    out: Path
    kind: PictureKind
    written: dict[int, Path] = field(default_factory=dict)
    sizes: dict[int, tuple[int, int]] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)

    def take(self, number: int, sight: Sight, stills: Stills) -> None:
        """One picture."""
        from personsearch.cli.failures import say
        from personsearch.errors import InputError
        from personsearch.files import write_bytes
        from personsearch.images import encode_jpeg, encode_png
        from personsearch.media.names import safe_name

        try:  # by time stamp and position, as far as known: joined recordings have the same stamp twice
            picture = stills(Path(sight.file), sight.frame, sight.position)
        except InputError as error:
            self.failed.append(str(error))
            say(str(error))
            return
        key = f"{Path(sight.file).absolute()}\0{sight.frame}\0{sight.position}"
        stem = Path(sight.file).stem + (f"_{sight.position:.3f}s" if sight.position is not None else "")
        path = self.out / safe_name(stem, key, f".{self.kind}")
        encode = encode_png if self.kind is PictureKind.PNG else encode_jpeg
        write_bytes(path, encode(drawn(picture.pixels, sight)))
        self.written[number], self.sizes[number] = path, picture.size


def drawn(pixels: Array, sight: Sight) -> Array:
    """The pixels with everybody's box and label on them."""
    from personsearch.report.cards import printable
    from personsearch.report.drawing import HIT, Mark, draw

    return draw(
        pixels, [Mark(box=person.box, style=HIT, label=printable(person.label)) for person in sight.people]
    )
