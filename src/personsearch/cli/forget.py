"""``personsearch forget``: a person out of a gallery, for good."""

from __future__ import annotations

import math
from dataclasses import dataclass
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
    from personsearch.types import Array

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
PersonOption = Annotated[
    str | None,
    typer.Option(
        "--person", help="Somebody who was saved under this name, and the name.", show_default=False
    ),
]
ReasonOption = Annotated[str, typer.Option("--reason", help="For receipt and audit log.", show_default=False)]
YesOption = Annotated[bool, typer.Option("--yes", help="Do it. Without, say who would be deleted.")]


def forget(
    gallery: GalleryOption,
    detection: DetectionOption = None,
    person: PersonOption = None,
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
    be (--query, --model, --min-similarity), or a saved name (--person: the hits saved with it, and with
    --min-similarity all who are so much like it); look at the list first, it is printed without --yes.
    Vectors leave the disk at once, and the boxes are left out when the same pictures are indexed
    again. Another picture of the person, indexed later, is recognised only with --keep-example.
    Photographs, pages and copies of the folder are not touched. A receipt is printed and noted in
    the audit log.

    \b
    Examples:
      personsearch forget -g gallery --detection 17 --detection 42
      personsearch forget -g gallery --detection 17 --reason "request 4711" --yes
      personsearch forget -g gallery --person Ana --min-similarity 0.8 --reason "request 4712" --yes
      personsearch forget -g gallery -q photo.jpg --box 412,88,140,390 -m model --min-similarity 0.8
    """
    from personsearch.baselines.open import Where
    from personsearch.gallery.gallery import Gallery
    from personsearch.gallery.named import checked_name

    printer = Printer(chosen(form, as_json))
    person = None if person is None else checked_name(person)
    _check(detection, person, query, model, min_similarity)
    with Gallery.open(gallery, writable=yes) as opened:
        known, looks = (set(), []) if person is None else _saved(opened, person)
        numbers = known | set(detection or ())
        if query is not None and model is not None:
            named = model, Where(parts=parts, device=device)
            looks.append(_look(opened, query, (box, pick, largest), named))
        numbers = {one.detection for one in _known(opened, numbers, looks, min_similarity)}
        saved = _Saved(gallery=opened, person=person, looks=looks, min_similarity=min_similarity)
        people, more = _planned(opened, numbers, keep_example)
        besides = max(saved.count(), more)
        if not yes or not (numbers or besides):
            printer(preview(gallery, people, besides))
            return
        receipt = opened.forget(numbers, reason=reason, keep_examples=keep_example) if numbers else None
        printer(receipt_answer(receipt, people, gallery, saved.remove(reason)))


def _known(
    gallery: Gallery, numbers: set[int], looks: list[Array], min_similarity: float | None
) -> list[Stored]:
    """The people with these numbers, and all who are so much like one of ``looks``."""
    people = gallery.stored(sorted(numbers))
    strangers = sorted(numbers - {one.detection for one in people})
    if strangers:
        raise UsageError(
            f"nobody in {gallery.path} has the number {strangers[0]}", hint="search gives them as `detection`"
        )
    if min_similarity is None:
        return people
    for look in looks:
        alike = gallery.alike(look, min_similarity, fingerprint=gallery.fingerprint)
        numbers = numbers | {number for number, _ in alike}
    return gallery.stored(sorted(numbers))


def _planned(gallery: Gallery, numbers: set[int], keep_example: float | None) -> tuple[list[Stored], int]:
    """Everybody who goes with these people, themselves included; how many saved examples go with them."""
    if numbers:
        planned = gallery.forget(numbers, keep_examples=keep_example, only_count=True)
        return gallery.stored(planned.detections), planned.deleted["saved"]
    if keep_example is not None:
        raise UsageError(
            "nobody in the gallery was named, so no example can be kept",
            hint="leave --keep-example out, or name a hit of the person: --detection NUMBER",
        )
    return [], 0


@dataclass(frozen=True, eq=False, kw_only=True)
class _Saved:
    """Examples of named people that go because of a name, or of what they look like."""

    gallery: Gallery
    person: str | None
    looks: list[Array]
    min_similarity: float | None

    def count(self) -> int:
        """How many there are."""
        from personsearch.gallery.named import NamedPeople

        alike = sum(self._alike(look, only_count=True) for look in self.looks)
        if self.person is None:
            return alike
        return max(alike, len(NamedPeople(self.gallery.path).load(self.person).examples))

    def remove(self, reason: str) -> int:
        """Take them out, after everything else; how many there were."""
        from personsearch.gallery.audit import AuditLog
        from personsearch.gallery.named import NamedPeople

        people, gone = NamedPeople(self.gallery.path), 0
        if self.person is not None and self.person in people.names():
            gone += len(people.load(self.person).examples)
            people.remove(self.person)
        gone += sum(self._alike(look) for look in self.looks)
        if gone:
            details = {
                "saved": gone,
                "person": self.person,
                "reason": reason or f"forgot {self.person or 'by look'}",
            }
            AuditLog(self.gallery.path).append("forget", details)
        return gone

    def _alike(self, look: Array, only_count: bool = False) -> int:
        from personsearch.gallery.named_forgetting import forget_alike

        if self.min_similarity is None:
            return 0
        known = self.gallery.fingerprint, self.gallery.similarity, self.min_similarity
        return forget_alike(self.gallery.path, look, *known, only_count=only_count)


def _saved(gallery: Gallery, person: str) -> tuple[set[int], list[Array]]:
    """The hits that show this saved person and are still there, and what the person looks like, if known."""
    from personsearch.gallery.named import NamedPeople
    from personsearch.gallery.near import shown_by

    found = NamedPeople(gallery.path).load(person)
    right = [example for example in found.examples if example.right]
    there = {e.detection for e in gallery.stored([e.detection for e in right if e.detection is not None])}
    there |= shown_by(gallery, [example for example in right if example.detection is None])
    known = len(found.vectors(gallery.fingerprint)) > 0
    return there, [found.query(gallery.fingerprint, gallery.similarity)] if known else []


def _check(
    detection: list[int] | None,
    person: str | None,
    query: Path | None,
    model: str | None,
    min_similarity: float | None,
) -> None:
    """Raise UsageError unless somebody is named, in a way that is complete."""
    if not detection and query is None and person is None:
        raise UsageError("nobody was named", hint="give --detection NUMBER, or --query PICTURE and the rest")
    if min_similarity is not None and not math.isfinite(min_similarity):
        raise UsageError(f"--min-similarity {min_similarity} is not a number")
    if person is not None and query is None and model is None:
        return
    needed = {"--query": query, "--model": model, "--min-similarity": min_similarity}
    missing = [name for name, value in needed.items() if value is None]
    if 0 < len(missing) < len(needed):
        raise UsageError(
            f"{' and '.join(missing)} missing", hint="--query, --model and --min-similarity go together"
        )


def _look(
    opened: Gallery, query: Path, named: tuple[str | None, int | None, bool], model: tuple[str, Where]
) -> Array:
    """What the person of a picture looks like."""
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
    vector: Array = searcher.embed(picture, person[None])[0]
    return vector


def preview(gallery: Path, people: list[Stored], saved: int = 0) -> Answer:
    """Who would be deleted, and how many saved examples."""
    more = f", and {saved} examples of saved people" if saved else ""
    return Answer(
        record={
            "schema": "personsearch.forget/1",
            "gallery": str(gallery),
            "deleted": False,
            "people": [_record(person) for person in people],
            "saved": saved,
        },
        rows=[_row(person) for person in people],
        after=[f"{len(people)} people{more} would be deleted for good; to do it, add --yes"],
    )


def receipt_answer(receipt: Receipt | None, people: list[Stored], gallery: Path, saved: int = 0) -> Answer:
    """What was deleted; ``saved``: examples of saved people besides those that the receipt counts."""
    if receipt is None:
        return Answer(
            record={
                "schema": "personsearch.forget/1",
                "gallery": str(gallery),
                "deleted": True,
                "people": [],
                "saved": saved,
            },
            after=[f"deleted  {saved} examples of saved people; nobody in the gallery was named"],
        )
    besides = [f"besides  {saved} examples of saved people"] if saved else []
    return Answer(
        record={**receipt.to_json(), "saved_besides": saved},
        rows=[_row(person) for person in people],
        after=[
            f"receipt  {receipt.receipt}",
            "deleted  " + ", ".join(f"{number} {kind}" for kind, number in receipt.deleted.items()),
            *besides,
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
