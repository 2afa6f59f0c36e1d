"""``personsearch refine``: yes and no to the hits of a search, and a better ranking."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from personsearch.cli import page
from personsearch.cli import search as searching
from personsearch.cli import sought as words
from personsearch.cli.filters import PurposeOption
from personsearch.cli.found import answer
from personsearch.cli.options import FormatOption, GalleryOption, JsonOption, NullOption
from personsearch.cli.output import Printer, box_text, chosen, printable
from personsearch.errors import InputError, UsageError

if TYPE_CHECKING:
    from personsearch.gallery.asking import Answered, Sought
    from personsearch.gallery.gallery import Gallery
    from personsearch.gallery.named import Example
    from personsearch.gallery.searching import Asked, Order
    from personsearch.gallery.session import Session

SessionOption = Annotated[
    Path | None,
    typer.Option("--session", help="File that search --session wrote.", dir_okay=False, show_default=False),
]
YesOption = Annotated[
    list[str] | None,
    typer.Option("--yes", metavar="RANKS", help="Hits that are the person: 1,3-5.", show_default=False),
]
NoOption = Annotated[
    list[str] | None,
    typer.Option("--no", metavar="RANKS", help="Hits that are not.", show_default=False),
]
YesDetectionOption = Annotated[
    list[int] | None, typer.Option("--yes-detection", help="The same, by number.", show_default=False)
]
NoDetectionOption = Annotated[
    list[int] | None, typer.Option("--no-detection", help="The same, by number.", show_default=False)
]
JudgementsOption = Annotated[
    Path | None,
    typer.Option(
        "--judgements",
        help="File that was saved on the page of a search.",
        dir_okay=False,
        show_default=False,
    ),
]
TopOption = Annotated[
    int | None,
    typer.Option(
        "--top-k",
        "-k",
        min=1,
        help="How many hits; default: as before.",
        show_default=False,
    ),
]


def refine(
    gallery: GalleryOption,
    session: SessionOption = None,
    person: words.PersonOption = None,
    yes: YesOption = None,
    no: NoOption = None,
    yes_detection: YesDetectionOption = None,
    no_detection: NoDetectionOption = None,
    judgements: JudgementsOption = None,
    save_as: searching.SaveOption = None,
    top_k: TopOption = None,
    html: searching.HtmlOption = None,
    purpose: PurposeOption = "",
    form: FormatOption = None,
    as_json: JsonOption = False,
    null: NullOption = False,
) -> None:
    """Say which hits of a search are the person and which are not, and search again with that.

    The search is one that was written to a file (search --session), or that of a saved person.
    Conditions and order are those of that search (of a saved person, of the last one), and ranks are
    those that were shown last. Without any yes or no, a terminal is asked for each hit.
    What was judged stays judged: with the session, and with the saved person. Judged hits, and the
    pictures of right ones, are not shown again. No model is needed.

    \b
    Examples:
      personsearch refine -g gallery --session lost-child.json --yes 1,3 --no 2,4-6
      personsearch refine -g gallery --person Ana --no-detection 17
      personsearch refine -g gallery --session lost-child.json --judgements judgements.json --save-as Ana
    """
    from personsearch.gallery.asking import Sought
    from personsearch.gallery.gallery import Gallery
    from personsearch.gallery.named import checked_name

    printer = Printer(chosen(form, as_json, listing=True), null)
    if (session is None) == (person is None):
        raise UsageError("which search is refined?", hint="give --session FILE or --person NAME")
    if save_as is not None:
        checked_name(save_as)
    with Gallery.open(gallery) as opened:
        before = _session(opened, session, person)
        right = _numbers(before, yes, "--yes") + list(yes_detection or ())
        wrong = _numbers(before, no, "--no") + list(no_detection or ())
        if judgements is not None:
            said = _judged(opened, judgements)
            right, wrong = right + said[0], wrong + said[1]
        if not right and not wrong:
            right, wrong = _asked(opened, before)
        judged = _examples(opened, right, wrong)
        whom = before.person.including(judged)
        asked = before.terms.asked if top_k is None else replace(before.terms.asked, k=top_k)
        sought = Sought(name=before.saved or whom.name, examples=whom.examples, own=before.terms.own)
        answered, more = _ask(opened, sought, asked, before.terms.order, html)
        _say(before, judged)
        searching.note_search(answered, asked, purpose, "refine")
        where = searching.Keeping(save_as=save_as or None, person=before.saved, judged=True, session=session)
        searching.keep(opened, answered, where)
    printer(answer(answered, html, asked))  # first: a page that fails must not cost the hits
    searching.write_page(html, answered, None, "", more)


def _session(gallery: Gallery, session: Path | None, person: str | None) -> Session:
    """The search to go on from."""
    from personsearch.gallery.named import NamedPeople
    from personsearch.gallery.session import Session, read_session
    from personsearch.gallery.terms import Terms

    if session is not None:
        found, gone = read_session(session, gallery)
        if gone:
            print(
                f"{gone} examples are of people who are not in the gallery any more, and left out",
                file=sys.stderr,
            )
        return found
    whom = NamedPeople(gallery.path).load(person or "")
    terms = whom.terms or Terms()
    return Session(person=whom, model=gallery.fingerprint, terms=terms, saved=whom.name)


def _ask(
    gallery: Gallery, sought: Sought, asked: Asked, order: Order, html: Path | None
) -> tuple[Answered, page.More | None]:
    """The answer in the order of before; by similarity where whoever was beside the person is gone."""
    from personsearch.gallery.asking import NoContext

    try:
        return page.ask(gallery, sought, asked, order, html)
    except NoContext as error:
        print(f"warning: ordered by similarity: {error}", file=sys.stderr)
        return page.ask(gallery, sought, asked, None, html)


def _numbers(session: Session, ranks: list[str] | None, option: str) -> list[int]:
    """The people at these ranks of what was shown last."""
    found = []
    for rank in (rank for text in ranks or () for rank in parse_ranks(text, option)):
        if rank > len(session.person.shown):
            raise InputError(
                f"{option} {rank}: {len(session.person.shown)} hits were shown last",
                hint="ranks count from 1; search again, or name hits by --yes-detection and --no-detection",
            )
        number = session.person.shown[rank - 1]
        if not number:
            raise InputError(
                f"{option} {rank}: hit {rank} is not in the gallery any more",
                hint="judge the others; all that were shown keep their ranks",
            )
        found.append(number)
    return found


def _examples(gallery: Gallery, right: list[int], wrong: list[int]) -> list[Example]:
    """The hits that were judged, as examples."""
    if set(right) & set(wrong):
        raise UsageError("a hit cannot be the person and not be the person")
    judged = gallery.examples(list(dict.fromkeys(right)))
    return judged + gallery.examples(list(dict.fromkeys(wrong)), right=False)


def _say(session: Session, judged: list[Example]) -> None:
    """Which hits were judged: somebody else may have searched for the person meanwhile."""
    shown = session.person.shown
    for one in judged:
        rank = f"rank {shown.index(one.detection) + 1}" if one.detection in shown else "a hit"
        where = f"{printable(one.picture)}  box {box_text(one.box)}  detection {one.detection}"
        print(f"{'yes' if one.right else 'no'}  {rank} = {where}", file=sys.stderr)


def parse_ranks(text: str, option: str) -> list[int]:
    """The ranks that are written ``1,3-5``.

    >>> parse_ranks("1,3-5", "--yes")
    [1, 3, 4, 5]
    """
    found: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        numbers = [first, last] if dash else [first, first]
        if not all(number.isascii() and number.isdigit() and len(number) < 7 for number in numbers):
            raise UsageError(f"{option} {text!r} is not a list of ranks", hint="write 1,3-5")
        low, high = (int(number) for number in numbers)
        if not 1 <= low <= high:
            raise UsageError(f"{option} {text!r} is not a list of ranks", hint="they count from 1: 1,3-5")
        found += range(low, high + 1)
    return found


def _judged(gallery: Gallery, path: Path) -> tuple[list[int], list[int]]:
    """The hits that a page's reader judged: the person, and not the person."""
    from personsearch.errors import ModelMismatch
    from personsearch.report.review import read_judgements

    said = read_judgements(path)
    if said.model != gallery.fingerprint:
        raise ModelMismatch(
            f"{path} judges people described by model {said.model[:12]}, not {gallery.fingerprint[:12]}",
            hint="give the gallery that the page was made from",
        )
    right = [one.detection for one in said.judged if one.same]
    return right, [one.detection for one in said.judged if not one.same]


def _asked(gallery: Gallery, session: Session) -> tuple[list[int], list[int]]:
    """What a person at the terminal says of each hit that was shown last.

    Raises:
        UsageError: there is no terminal to ask at, or nothing to ask about.
    """
    if not sys.stdin.isatty():
        raise UsageError(
            "no hit was judged", hint="give --yes RANKS or --no RANKS; a terminal would be asked"
        )
    known = {person.detection: person for person in gallery.stored(session.person.shown)}
    right: list[int] = []
    wrong: list[int] = []
    for rank, number in enumerate(session.person.shown, 1):
        if number not in known:
            continue
        where = f"{printable(known[number].picture)}  box {box_text(known[number].box)}"
        print(
            f"{rank}  {where}\n   the person? [y]es [n]o [enter] cannot say [q]uit: ", end="", file=sys.stderr
        )
        sys.stderr.flush()
        word = sys.stdin.readline()
        said = word.strip().lower()[:1]
        if not word or said == "q":
            break
        if said in ("y", "n"):
            (right if said == "y" else wrong).append(number)
    if not right and not wrong:
        raise UsageError("no hit was judged", hint="answer y or n for at least one")
    return right, wrong
