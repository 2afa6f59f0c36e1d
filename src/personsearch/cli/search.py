"""``personsearch search``: where else is this person?"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from personsearch.cli.filters import (
    CameraOption,
    MaxHeightOption,
    MinHeightOption,
    PathOption,
    PurposeOption,
    SinceOption,
    UntilOption,
    asked_filter,
)
from personsearch.cli.options import (
    DeviceOption,
    FormatOption,
    GalleryOption,
    JsonOption,
    ModelOption,
    NullOption,
    PartsOption,
)
from personsearch.cli.output import Answer, Printer, box_text, chosen, rounded_box
from personsearch.cli.sources import clock

if TYPE_CHECKING:
    from personsearch.baselines.open import Where
    from personsearch.cli.query import Wanted
    from personsearch.gallery.searching import Asked
    from personsearch.types import Hit, Picture, SearchResult


class PerKind(StrEnum):
    """How many people of a picture can be hits."""

    PICTURE = "picture"
    PERSON = "person"


QueryOption = Annotated[
    Path, typer.Option("--query", "-q", help="Picture with the person.", show_default=False)
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
ConfOption = Annotated[
    float, typer.Option("--conf", min=0, max=1, help="Whom the detector scores less is nobody.")
]
TopOption = Annotated[int, typer.Option("--top-k", "-k", min=1, help="How many hits.")]
HtmlOption = Annotated[
    Path | None,
    typer.Option("--html", help="Also write one self-contained page.", dir_okay=False, show_default=False),
]
PerOption = Annotated[PerKind, typer.Option("--per", help="One hit a picture, or everybody in it.")]
OwnOption = Annotated[bool, typer.Option("--own", help="The query's own picture is an answer, too.")]
ApproximateOption = Annotated[
    bool, typer.Option("--approximate", help="Look at the nearest cells only, where there are any.")
]
ExitCodeOption = Annotated[bool, typer.Option("--exit-code", help="End with 1 when there is no hit.")]


def search(
    query: QueryOption,
    gallery: GalleryOption,
    model: ModelOption,
    box: BoxOption = None,
    pick: PickOption = None,
    largest: LargestOption = False,
    conf: ConfOption = 0.5,
    top_k: TopOption = 10,
    html: HtmlOption = None,
    per: PerOption = PerKind.PICTURE,
    own: OwnOption = False,
    camera: CameraOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    path: PathOption = None,
    min_height: MinHeightOption = None,
    max_height: MaxHeightOption = None,
    purpose: PurposeOption = "",
    approximate: ApproximateOption = False,
    exit_code: ExitCodeOption = False,
    parts: PartsOption = Path("baselines"),
    device: DeviceOption = "auto",
    form: FormatOption = None,
    as_json: JsonOption = False,
    null: NullOption = False,
) -> None:
    """Find the person of one picture in a gallery, best hit first.

    Without --box the picture must show one person; several are listed, to be picked by number.
    Hits are ranked by likeness of appearance, mostly clothing: a person who changed clothes is
    missed, and somebody dressed alike is found. The query's own picture is left out. Conditions
    (--camera, --since, --path ...) are met before anybody is ranked, and what is not known meets
    none. The search is noted in the gallery's audit log. No hits is an answer, too: exit code 0.

    \b
    Examples:
      personsearch search --query photo.jpg --box 412,88,140,390 --model model --gallery gallery
      personsearch search -q photo.jpg --largest -m model -g gallery -k 20 --html hits.html
      personsearch search -q photo.jpg -m model -g gallery --camera north --since 2026-06-01
      personsearch search -q photo.jpg -m model -g gallery --format paths -0 | xargs -0 cp -t hits/
    """
    from personsearch.baselines.open import Where
    from personsearch.cli.query import Wanted
    from personsearch.gallery.searching import Asked
    from personsearch.images import load

    printer = Printer(chosen(form, as_json, listing=True), null)
    wanted = Wanted(box=box, pick=pick, largest=largest, conf=conf)
    where = asked_filter(camera, since, until, path, min_height, max_height)
    asked = Asked(k=top_k, per=per.value, min_score=conf, where=where, exact=not approximate)
    picture = load(query, name=str(query))
    named = model, Where(parts=parts, device=device)
    result, name = _find(picture, wanted, asked, gallery, named, None if own else query)
    note_search(result, query, asked, purpose)
    _write_page(html, result, picture, name)
    printer(answer(result, html, asked))
    raise typer.Exit(int(exit_code and not result.hits))


def _find(
    picture: Picture,
    wanted: Wanted,
    asked: Asked,
    gallery: Path,
    model: tuple[str, Where],
    without: Path | None,
) -> tuple[SearchResult, str]:
    """Who is like the person wanted, and the name of the model that says so."""
    from personsearch.baselines.open import open_searcher
    from personsearch.cli.query import warn_if_small
    from personsearch.gallery.gallery import Gallery
    from personsearch.types import Query

    person = wanted.given(picture)
    with Gallery.open(gallery) as opened:
        searcher = open_searcher(*model)
        opened.check_model(searcher.fingerprint)
        if person is None:
            person = wanted.found(picture, searcher.detect(picture))
        warn_if_small(person)
        results = opened.search_many(
            searcher.embed(picture, person[None]),
            [Query(picture.name, person)],
            asked,
            fingerprint=searcher.fingerprint,
            exclude_pictures=[without],
        )
    return results[0], searcher.name


def note_search(result: SearchResult, query: Path, asked: Asked, purpose: str) -> None:
    """Put a search into the gallery's audit log: who looked for whom, and what was found.

    A gallery that cannot be written to (on read-only media, or somebody else's) is searched all the
    same, and the user is told that nothing was noted.
    """
    from personsearch.errors import PersonSearchError
    from personsearch.files import sha256_of
    from personsearch.gallery.audit import AuditLog

    details = {
        "query": {
            "picture": str(query),
            "sha256": sha256_of(query),
            "box_xyxy": rounded_box(result.query.box),
        },
        "model": result.model,
        "filter": asked.where.to_json(),
        "hits": [hit.detection for hit in result.hits],
        "purpose": purpose,
    }
    try:
        AuditLog(Path(result.gallery)).append("search", details)
    except PersonSearchError as error:
        print(f"warning: this search is not in the audit log: {error}", file=sys.stderr)


def _write_page(path: Path | None, result: SearchResult, picture: Picture, model: str) -> None:
    if path is None:
        return
    from personsearch.files import write_text
    from personsearch.report.html import PageOptions, search_page

    frames: dict[str, tuple[Path, float]] = {}
    hits = []
    for hit in result.hits:
        name = hit.picture if hit.position is None else f"{hit.picture}@{clock(hit.position)}"
        if hit.position is not None:
            frames[name] = Path(hit.picture), hit.position
        hits.append(replace(hit, picture=name))
    result = replace(result, hits=tuple(hits))
    write_text(path, search_page(result, picture, _loader(frames), PageOptions(model=model)))


def _loader(frames: dict[str, tuple[Path, float]]) -> Callable[[str], Picture]:
    """Loads pictures by their paths, and by name these frames of videos: each video is decoded once."""
    from personsearch.errors import InputError
    from personsearch.images import decode, encode_jpeg, load
    from personsearch.media.stills import Stills

    kept: dict[str, bytes | InputError] = {}  # small, however many hits there are
    with Stills() as stills:
        for name, (file, position) in sorted(frames.items(), key=lambda item: item[1]):
            try:
                kept[name] = encode_jpeg(stills(file, position=position).pixels)
            except InputError as error:
                kept[name] = error

    def shown(name: str) -> Picture:
        found = kept.get(name)
        if isinstance(found, InputError):
            raise found
        return load(name) if found is None else decode(found, name)

    return shown


def answer(result: SearchResult, html: Path | None = None, asked: Asked | None = None) -> Answer:
    """The hits of a search, best first."""
    record = {
        "schema": "personsearch.search/1",
        "query": {"picture": result.query.scene, "box_xyxy": rounded_box(result.query.box)},
        "gallery": result.gallery,
        "pictures": result.pictures,
        "people": result.people,
        "model": result.model,
        "similarity": result.similarity,
        "filter": {} if asked is None else asked.where.to_json(),
        "exact": asked is None or asked.exact,
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
        "position_s": hit.position,
        "span": None if hit.span is None else hit.span._asdict(),
    }


def hit_row(hit: Hit) -> dict[str, Any]:
    """One hit as a line of a table."""
    when = None if hit.time is None else datetime.fromtimestamp(hit.time, UTC).strftime("%Y-%m-%d %H:%M:%S")
    return {
        "rank": hit.rank,
        "probability": hit.probability,
        "similarity": hit.similarity,
        "picture": hit.picture,
        "at": None if hit.position is None else clock(hit.position),
        "when": when,
        "camera": hit.camera,
        "box x,y,w,h": box_text(hit.box),
        "score": hit.score,
    }
