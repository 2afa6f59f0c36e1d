"""``personsearch forget``: a person out of a gallery, for good."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from personsearch.cli.options import DeviceOption, FormatOption, GalleryOption, JsonOption, PartsOption
from personsearch.cli.output import Answer, Printer, box_text, chosen, rounded_box
from personsearch.errors import UsageError

if TYPE_CHECKING:
    from personsearch.baselines.open import Where
    from personsearch.gallery.gallery import Gallery
    from personsearch.gallery.removal import Receipt
    from personsearch.gallery.stored import Stored

DetectionOption = Annotated[
    list[int] | None,
    typer.Option("--detection", help="Number of a hit, as search gives it; repeatable.", show_default=False),
]
LikeOption = Annotated[
    Path | None, typer.Option("--query", "-q", help="Picture of the person.", show_default=False)
]
BoxOption = Annotated[
    str | None,
    typer.Option(
        "--box", metavar="X,Y,W,H", help="Where the person is, in upright pixels.", show_default=False
    ),
]
PickOption = Annotated[
    int | None, typer.Option("--pick", help="Without --box: the person of this number.", show_default=False)
]
LargestOption = Annotated[bool, typer.Option("--largest", help="Without --box: whoever is largest.")]
ModelOption = Annotated[
    str | None,
    typer.Option(
        "--model",
        "-m",
        metavar="DIR|DETECTOR+EMBEDDER",
        help="The gallery's model, for --query.",
        show_default=False,
    ),
]
SimilarityOption = Annotated[
    float | None,
    typer.Option("--min-similarity", help="With --query: everybody at least so similar.", show_default=False),
]
KeepOption = Annotated[
    float | None,
    typer.Option(
        "--keep-example",
        metavar="SIMILARITY",
        help="Keep a description of the person, to leave out whoever is so similar later, too.",
        show_default=False,
    ),
]
ReasonOption = Annotated[str, typer.Option("--reason", help="For receipt and audit log.", show_default=False)]
YesOption = Annotated[bool, typer.Option("--yes", help="Do it. Without, say who would be deleted.")]


def forget(
    gallery: GalleryOption,
    detection: DetectionOption = None,
    query: LikeOption = None,
    box: BoxOption = None,
    pick: PickOption = None,
    largest: LargestOption = False,
    model: ModelOption = None,
    min_similarity: SimilarityOption = None,
    keep_example: KeepOption = None,
    reason: ReasonOption = "",
    yes: YesOption = False,
    parts: PartsOption = Path("baselines"),
    device: DeviceOption = "auto",
    form: FormatOption = None,
    as_json: JsonOption = False,
) -> None:
    """Delete a person from a gallery for good, and keep the person out of the same pictures.

    Name the hits (--detection, as search gives them), or give a picture and how similar others must
    be (--query, --model, --min-similarity); look at the list first, it is printed without --yes.
    Vectors leave the disk at once, and the boxes are left out when the same pictures are indexed
    again. Another picture of the person, indexed later, is recognised only with --keep-example.
    Photographs, pages and copies of the folder are not touched. A receipt is printed and noted in
    the audit log.

    \b
    Examples:
      personsearch forget -g gallery --detection 17 --detection 42
      personsearch forget -g gallery --detection 17 --reason "request 4711" --yes
      personsearch forget -g gallery -q photo.jpg --box 412,88,140,390 -m model --min-similarity 0.8
    """
    from personsearch.baselines.open import Where
    from personsearch.gallery.gallery import Gallery

    printer = Printer(chosen(form, as_json))
    _check(detection, query, model, min_similarity)
    with Gallery.open(gallery, writable=yes) as opened:
        numbers = sorted(set(detection or ()))
        if query is not None and model is not None and min_similarity is not None:
            named = model, Where(parts=parts, device=device)
            found = _alike(opened, query, (box, pick, largest), named, min_similarity)
            numbers = sorted({*numbers, *found})
        people = opened.stored(numbers)
        strangers = sorted(set(numbers) - {person.detection for person in people})
        if strangers:
            raise UsageError(
                f"nobody in {gallery} has the number {strangers[0]}", hint="search gives them as `detection`"
            )
        if not yes or not numbers:
            printer(preview(gallery, people))
            return
        printer(receipt_answer(opened.forget(numbers, reason=reason, keep_examples=keep_example), people))


def _check(
    detection: list[int] | None, query: Path | None, model: str | None, min_similarity: float | None
) -> None:
    """Raise UsageError unless somebody is named, in a way that is complete."""
    if not detection and query is None:
        raise UsageError("nobody was named", hint="give --detection NUMBER, or --query PICTURE and the rest")
    needed = {"--query": query, "--model": model, "--min-similarity": min_similarity}
    missing = [name for name, value in needed.items() if value is None]
    if 0 < len(missing) < len(needed):
        raise UsageError(
            f"{' and '.join(missing)} missing", hint="--query, --model and --min-similarity go together"
        )
    if min_similarity is not None and not math.isfinite(min_similarity):
        raise UsageError(f"--min-similarity {min_similarity} is not a number")


def _alike(
    opened: Gallery,
    query: Path,
    named: tuple[str | None, int | None, bool],
    model: tuple[str, Where],
    min_similarity: float,
) -> list[int]:
    """Numbers of everybody who is so similar to the person of a picture."""
    from personsearch.baselines.open import open_searcher
    from personsearch.cli.query import Wanted
    from personsearch.images import load

    picture = load(query, name=str(query))
    wanted = Wanted(box=named[0], pick=named[1], largest=named[2])
    person = wanted.given(picture)
    searcher = open_searcher(*model)
    opened.check_model(searcher.fingerprint)
    if person is None:
        person = wanted.found(picture, searcher.detect(picture))
    embedding = searcher.embed(picture, person[None])[0]
    found = opened.alike(embedding, min_similarity, fingerprint=searcher.fingerprint)
    return [detection for detection, _ in found]


def preview(gallery: Path, people: list[Stored]) -> Answer:
    """Who would be deleted."""
    return Answer(
        record={
            "schema": "personsearch.forget/1",
            "gallery": str(gallery),
            "deleted": False,
            "people": [_record(person) for person in people],
        },
        rows=[_row(person) for person in people],
        after=[f"{len(people)} people would be deleted for good; to do it, add --yes"],
    )


def receipt_answer(receipt: Receipt, people: list[Stored]) -> Answer:
    """What was deleted."""
    more = receipt.deleted["people"] - len(people)
    return Answer(
        record=receipt.to_json(),
        rows=[_row(person) for person in people],
        after=[
            f"receipt  {receipt.receipt}",
            "deleted  "
            + ", ".join(f"{number} {kind}" for kind, number in receipt.deleted.items())
            + (f" ({more} in the same places as those listed)" if more else ""),
            f"kept out {receipt.kept_out} boxes; {receipt.examples} examples kept",
        ],
    )


def _record(person: Stored) -> dict[str, Any]:
    return {
        "detection": person.detection,
        "picture": person.picture,
        "present": person.present,
        "box_xyxy": rounded_box(person.box),
        "score": round(person.score, 4),
        "camera": person.camera,
        "time": person.time,
        "frame": person.frame,
    }


def _row(person: Stored) -> dict[str, Any]:
    return {
        "detection": person.detection,
        "picture": person.picture,
        "box x,y,w,h": box_text(person.box),
        "score": person.score,
        "camera": person.camera,
    }
