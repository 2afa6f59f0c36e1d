"""``personsearch search``: where else is this person?"""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from personsearch.cli import page
from personsearch.cli import sought as words
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
from personsearch.cli.found import answer, example_record
from personsearch.cli.options import (
    DeviceOption,
    FormatOption,
    GalleryOption,
    JsonOption,
    NullOption,
    PartsOption,
)
from personsearch.cli.output import Printer, chosen, rounded_box
from personsearch.errors import UsageError

if TYPE_CHECKING:
    from personsearch.baselines.open import NamedSearcher
    from personsearch.gallery.asking import Answered
    from personsearch.gallery.gallery import Gallery
    from personsearch.gallery.named import Example
    from personsearch.gallery.searching import Asked
    from personsearch.gallery.terms import Terms
    from personsearch.types import Picture


class PerKind(StrEnum):
    """How many people of a picture can be hits."""

    PICTURE = "picture"
    PERSON = "person"


ConfOption = Annotated[
    float, typer.Option("--conf", min=0, max=1, help="Whom the detector scores less is nobody.")
]
TopOption = Annotated[int, typer.Option("--top-k", "-k", min=1, help="How many hits.")]
HtmlOption = Annotated[
    Path | None,
    typer.Option("--html", help="Also write one self-contained page.", dir_okay=False, show_default=False),
]
PerOption = Annotated[PerKind, typer.Option("--per", help="One hit a picture, or everybody in it.")]
ApproximateOption = Annotated[
    bool, typer.Option("--approximate", help="Look at the nearest cells only, where there are any.")
]
ExitCodeOption = Annotated[bool, typer.Option("--exit-code", help="End with 1 when there is no hit.")]
SaveOption = Annotated[
    str | None,
    typer.Option("--save-as", metavar="NAME", help="Keep the person with the gallery.", show_default=False),
]
SessionOption = Annotated[
    Path | None,
    typer.Option(
        "--session", help="Write the search to a file, for refine.", dir_okay=False, show_default=False
    ),
]


def search(
    command: typer.Context,
    gallery: GalleryOption,
    query: words.QueryOption = None,
    box: words.BoxOption = None,
    pick: words.PickOption = None,
    largest: words.LargestOption = False,
    crop: words.CropOption = None,
    detection: words.DetectionOption = None,
    person: words.PersonOption = None,
    wrong: words.NotOption = None,
    wrong_detection: words.NotDetectionOption = None,
    model: words.AnyModelOption = None,
    conf: ConfOption = 0.5,
    top_k: TopOption = 10,
    html: HtmlOption = None,
    per: PerOption = PerKind.PICTURE,
    own: words.OwnOption = False,
    rerank: words.RerankOption = "none",
    rerank_top: words.RerankTopOption = 200,
    context: words.ContextOption = False,
    save_as: SaveOption = None,
    session: SessionOption = None,
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
    """Find a person in a gallery, best hit first.

    The person is somebody in a picture (--query; without a box it must show one person, several are
    listed to be picked by number), a crop, a hit of an earlier search, or somebody saved; several of
    these are one search, and people who are not meant (--not) lead it away from them.
    Hits are ranked by likeness of appearance, mostly clothing: a person who changed clothes is
    missed, and somebody dressed alike is found. Where the model is calibrated, each hit has a
    probability, and the search a verdict; no hit is hidden by it. Pictures of the query are left out.
    Conditions (--camera ...) are met before ranking, and what is not known meets none. Searches are
    noted in the gallery's audit log. No hits is an answer, too: exit code 0.

    \b
    Examples:
      personsearch search --query photo.jpg --box 412,88,140,390 --model model --gallery gallery
      personsearch search -q photo.jpg --largest -m model -g gallery -k 20 --html hits.html
      personsearch search -q a.jpg:412,88,140,390 -q b.jpg --not c.jpg -m model -g gallery --save-as Ana
      personsearch search --person Ana -g gallery --camera north --since 2026-06-01
      personsearch search -q photo.jpg -m model -g gallery --format paths -0 | xargs -0 cp -t hits/
    """
    from personsearch.gallery.gallery import Gallery
    from personsearch.gallery.named import checked_name
    from personsearch.gallery.searching import Asked

    printer = Printer(chosen(form, as_json, listing=True), null)
    named = words.Named.of(command.params, person=person)
    order = words.asked_order(rerank, rerank_top, context)
    where = asked_filter(camera, since, until, path, min_height, max_height)
    asked = Asked(k=top_k, per=per.value, min_score=conf, where=where, exact=not approximate)
    if save_as is not None:
        checked_name(save_as)
    shown = named.shown()
    with Gallery.open(gallery) as opened:
        whom, model_name = words.described(named, shown, opened, lambda: opened_model(model, parts, device))
        answered, more = page.ask(opened, whom, asked, order, html)
        note_search(answered, asked, purpose)
        keep(opened, answered, Keeping(save_as=save_as or None, person=named.person, session=session))
    picture = shown[0].picture if shown and shown[0].right else None
    printer(answer(answered, html, asked))  # first: a page that fails must not cost the hits
    write_page(html, answered, picture, model_name, more)
    raise typer.Exit(int(exit_code and not answered.result.hits))


def opened_model(model: str | None, parts: Path, device: str) -> NamedSearcher:
    """The model that describes pictures; UsageError where none was named."""
    from personsearch.baselines.open import Where, open_searcher

    if model is None:
        raise UsageError("pictures need --model to be described", hint="give the model of the gallery")
    return open_searcher(model, Where(parts=parts, device=device))


@dataclass(frozen=True, kw_only=True)
class Keeping:
    """Where a search is kept.

    Attributes:
        save_as: name under which the person is saved with the gallery.
        person: saved name that the search is of.
        judged: whether that one gets the examples of the search, too, as long as somebody has the name.
        session: file that the search is written to.
    """

    save_as: str | None
    person: str | None
    judged: bool = False
    session: Path | None


def keep(gallery: Gallery, answered: Answered, where: Keeping) -> None:
    """Save whom a search was for under a name, and the search in a file, where that is wanted."""
    from personsearch.gallery.session import Session, add_to_saved
    from personsearch.gallery.session import save_as as save

    shown = tuple(hit.detection for hit in answered.result.hits)
    examples = tuple(placed(example) for example in answered.sought.examples)
    terms, saved = answered.terms, where.save_as or where.person
    whom = replace(answered.sought.person, examples=examples, shown=shown, terms=terms)
    if terms.order != answered.order and (saved is not None or where.session is not None):
        print(
            "warning: who is beside the person in a picture is not kept: refine orders by similarity",
            file=sys.stderr,
        )
    if where.save_as is not None:
        whom = save(gallery, where.save_as, whom)
    elif where.person is not None and where.judged:
        known = add_to_saved(gallery, where.person, whom)
        if known is None:
            print(f"nobody is called {where.person} any more: nothing was saved there", file=sys.stderr)
            saved = None
        else:
            whom = known
    elif where.person is not None:
        _remember(gallery, where.person, shown, terms)
    if where.session is not None:
        person = replace(whom, terms=None)  # the session says them
        kept = Session(person=person, model=gallery.fingerprint, terms=terms, saved=saved)
        kept.write(where.session)


def _remember(gallery: Gallery, name: str, shown: tuple[int, ...], terms: Terms) -> None:
    """Note which hits of a saved person were shown, and on which terms: they can be judged by rank."""
    from personsearch.errors import InputError, PersonSearchError
    from personsearch.gallery.named import NamedPeople, NamedPerson

    def act(old: NamedPerson | None) -> NamedPerson | None:
        return None if old is None else replace(old, shown=shown, terms=terms)

    try:
        NamedPeople(gallery.path).change(name, act)
    except InputError:
        raise
    except PersonSearchError as error:  # a gallery that cannot be written to is searched all the same
        print(f"warning: these hits cannot be judged by rank later: {error}", file=sys.stderr)


def placed(example: Example) -> Example:
    """The same with a path that holds from anywhere."""
    if not example.picture:
        return example
    path = Path(example.picture)
    return replace(example, picture=str(path.parent.resolve() / path.name))


def note_search(answered: Answered, asked: Asked, purpose: str, action: str = "search") -> None:
    """Put a search into the gallery's audit log: who looked for whom, and what was found.

    A gallery that cannot be written to (on read-only media, or somebody else's) is searched all the
    same, and the user is told that nothing was noted.
    """
    first = answered.sought.right[0]
    details: dict[str, Any] = {
        "query": {
            "picture": first.picture,
            "sha256": first.sha256,
            "box_xyxy": rounded_box(first.box),
        },
        "model": answered.result.model,
        "filter": asked.where.to_json(),
        "hits": [hit.detection for hit in answered.result.hits],
        "purpose": purpose,
    }
    if len(answered.sought.examples) > 1 or first.detection is not None:
        details["examples"] = [example_record(example) for example in answered.sought.examples]
        details["person"] = answered.sought.name
    note(Path(answered.result.gallery), action, details)


def note(gallery: Path, action: str, details: dict[str, Any]) -> None:
    """Add a record to a gallery's audit log; a warning where that cannot be."""
    from personsearch.errors import PersonSearchError
    from personsearch.gallery.audit import AuditLog

    try:
        AuditLog(gallery).append(action, details)
    except PersonSearchError as error:
        print(f"warning: this {action} is not in the audit log: {error}", file=sys.stderr)


def write_page(
    path: Path | None,
    answered: Answered,
    picture: Picture | None,
    model: str,
    more: page.More | None = None,
) -> None:
    """Write the page of a search, where one is wanted; ``picture`` is the query's, if it is at hand."""
    if path is None:
        return
    from personsearch.media.stills import Stills

    if picture is None:
        first = answered.sought.right[0]
        with Stills() as stills:
            found = stills(Path(first.picture), first.frame, first.position)
        picture = replace(found, name=answered.result.query.scene)
    verdict = "" if answered.judgement is None else answered.judgement.verdict
    page.write_page(path, answered.result, picture, model, more=more, verdict=verdict)
