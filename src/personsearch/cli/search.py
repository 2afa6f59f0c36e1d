"""``personsearch search``: where else is this person?"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from personsearch.cli.options import (
    DeviceOption,
    FormatOption,
    GalleryOption,
    JsonOption,
    ModelOption,
    NullOption,
)
from personsearch.cli.output import Answer, Printer, box_text, chosen, rounded_box

if TYPE_CHECKING:
    from personsearch.types import Hit, SearchResult


def search(
    query: Annotated[
        Path, typer.Option("--query", "-q", help="Picture with the person.", show_default=False)
    ],
    gallery: GalleryOption,
    model: ModelOption,
    box: Annotated[
        str | None,
        typer.Option(
            "--box", metavar="X,Y,W,H", help="Where the person is, in upright pixels.", show_default=False
        ),
    ] = None,
    pick: Annotated[
        int | None,
        typer.Option("--pick", help="Without --box: the person of this number.", show_default=False),
    ] = None,
    largest: Annotated[bool, typer.Option("--largest", help="Without --box: whoever is largest.")] = False,
    conf: Annotated[
        float, typer.Option("--conf", min=0, max=1, help="Without --box: who scores less is nobody.")
    ] = 0.5,
    top_k: Annotated[int, typer.Option("--top-k", "-k", min=1, help="How many hits.")] = 10,
    html: Annotated[
        Path | None, typer.Option("--html", help="Also write one self-contained page.", show_default=False)
    ] = None,
    exit_code: Annotated[bool, typer.Option("--exit-code", help="End with 1 when there is no hit.")] = False,
    device: DeviceOption = "auto",
    form: FormatOption = None,
    as_json: JsonOption = False,
    null: NullOption = False,
) -> None:
    """Find the person of one picture in a gallery, best hit first.

    Without --box the picture must show one person; several are listed, to be picked by number.
    Hits are ranked by likeness of appearance, mostly clothing: a person who changed clothes is
    missed, and somebody dressed alike is found. No hits is an answer, too: exit code 0.

    \b
    Examples:
      personsearch search --query photo.jpg --box 412,88,140,390 --model model --gallery gallery
      personsearch search -q photo.jpg --largest -m model -g gallery -k 20 --html hits.html
      personsearch search -q photo.jpg -m model -g gallery --format paths -0 | xargs -0 cp -t hits/
    """
    from personsearch.cli.query import choose_person, inside, parse_box, warn_if_small
    from personsearch.errors import UsageError
    from personsearch.files import write_text
    from personsearch.gallery.gallery import Gallery
    from personsearch.images import load
    from personsearch.model.checkpoint import load_searcher
    from personsearch.types import Query

    printer = Printer(chosen(form, as_json, listing=True), null)
    if sum((box is not None, pick is not None, largest)) > 1:
        raise UsageError("--box, --pick and --largest contradict each other", hint="give one of them")
    given = parse_box(box) if box is not None else None
    picture = load(query, name=str(query))
    if given is not None:
        given = inside(given, picture)
    with Gallery.open(gallery) as opened:
        searcher = load_searcher(model, device)
        person = (
            given
            if given is not None
            else choose_person(picture, searcher, conf=conf, pick=pick, largest=largest)
        )
        warn_if_small(person)
        embedding = searcher.embed(picture, person[None])[0]
        result = opened.search(
            embedding, top_k, fingerprint=searcher.fingerprint, query=Query(str(query), person)
        )
    if html is not None:
        from personsearch.report.html import search_page

        write_text(html, search_page(result, picture, load))
    printer(answer(result, html))
    if exit_code and not result.hits:
        raise typer.Exit(1)


def answer(result: SearchResult, html: Path | None = None) -> Answer:
    """The hits of a search, best first."""
    record = {
        "schema": "personsearch.search/1",
        "query": {"picture": result.query.scene, "box_xyxy": rounded_box(result.query.box)},
        "gallery": result.gallery,
        "pictures": result.pictures,
        "people": result.people,
        "model": result.model,
        "similarity": result.similarity,
        "hits": [hit_record(hit) for hit in result.hits],
        "html": None if html is None else str(html),
    }
    before = [
        f"query    {result.query.scene}  box {box_text(result.query.box)}",
        f"gallery  {result.gallery}: {result.people} people in {result.pictures} pictures",
    ]
    after = [] if result.hits else ["no hits"]
    if html is not None:
        after.append(f"page     {html}")
    return Answer(
        record=record,
        rows=[hit_row(hit) for hit in result.hits],
        before=before,
        after=after,
        paths=list(dict.fromkeys(hit.picture for hit in result.hits)),
    )


def hit_record(hit: Hit) -> dict[str, Any]:
    """One hit as JSON."""
    return {
        "rank": hit.rank,
        "similarity": hit.similarity,
        "probability": hit.probability,
        "picture": hit.picture,
        "box_xyxy": rounded_box(hit.box),
        "score": round(hit.score, 4),
        "detection": hit.detection,
        "camera": hit.camera,
        "time": hit.time,
    }


def hit_row(hit: Hit) -> dict[str, Any]:
    """One hit as a line of a table."""
    when = None if hit.time is None else datetime.fromtimestamp(hit.time, UTC).strftime("%Y-%m-%d %H:%M:%S")
    return {
        "rank": hit.rank,
        "probability": hit.probability,
        "similarity": hit.similarity,
        "picture": hit.picture,
        "when": when,
        "camera": hit.camera,
        "box x,y,w,h": box_text(hit.box),
        "score": hit.score,
    }
