"""One page: whom a search looked for, whom it found and, where that is known, whether it was right."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from operator import attrgetter

import numpy as np
from jinja2 import Environment, FunctionLoader, StrictUndefined, Template
from markupsafe import Markup

from personsearch import __version__
from personsearch.report.cards import (
    NOBODY,
    Card,
    Quality,
    hit_card,
    likeness,
    missed_card,
    percent,
    place,
    printable,
    query_views,
)
from personsearch.report.review import review_data
from personsearch.report.spread import Spread, chart
from personsearch.report.truth import Found, compare
from personsearch.types import Array, Hit, Picture, SearchResult

REVIEW_CROP = (320, 640)
"""Largest crop, width and height: it is looked at closely."""

VERDICTS = {
    "likely": ("likely", "✓ Likely in this gallery"),
    "unsure": ("open", "? Perhaps in this gallery"),
    "likely absent": ("absent", "✕ Likely not in this gallery"),
}
"""What a verdict looks like; it is advice, and hides no hit."""

LIMITS = (
    "It compares clothing and general appearance, not faces: it is at its best within one event or one day, "
    "and it fails when people change clothes.",
    "A hit is a suggestion, to be looked at by a person. People dressed alike are confused, above all "
    "where they are small, far away or half hidden.",
    "Not meant for identifying anybody by name, nor for a decision about anybody that nobody checks.",
)


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One row of the table of figures.

    Attributes:
        name: e.g. ``"mAP"`` or ``"Queries"``.
        value: a share in [0, 1] as a float, or a count as an int.
        low, high: ends of the value's interval, if there is one.
        note: a few words below the name.
    """

    name: str
    value: float | int
    low: float | None = None
    high: float | None = None
    note: str = ""


def half(boxes: Array) -> Array:
    """(n,) the usual overlap from which a detection counts as the person: 0.5."""
    return np.full(len(boxes), 0.5)


@dataclass(frozen=True, eq=False, kw_only=True)
class PageOptions:
    """What else a page can say.

    Attributes:
        title: the page's heading.
        model: what the model is called, beside its fingerprint.
        truth: where the person really is: (n, 4) boxes by picture, named as in the hits,
            without the query's own appearance. None: nobody knows, and the page says nothing
            of right and wrong.
        threshold: smallest overlap with each of (n, 4) true boxes at which a hit is right.
        figures: the table of figures.
        figures_note: what they were measured on.
        notes: said before the general limits.
        most_missed: how many missed pictures are shown.
        scene_side: longer side, in pixels, of the pictures in the page.
        quality: of their JPEG.
        rejected: the people just below the hits, best first: what was nearly an answer.
        spread: how alike everybody is who was compared.
        verdict: whether the person is in the gallery at all: ``"likely"``, ``"unsure"`` or
            ``"likely absent"``; empty where nobody says so.
        named: what ``load`` is asked for to show a hit, and the page calls its picture.
    """

    title: str = "Where is this person?"
    model: str = ""
    truth: Mapping[str, Array] | None = None
    threshold: Callable[[Array], Array] = half
    figures: Sequence[Figure] = ()
    figures_note: str = ""
    notes: Sequence[str] = ()
    most_missed: int = 12
    scene_side: int = 960
    quality: int = 82
    rejected: Sequence[Hit] = ()
    spread: Spread | None = None
    verdict: str = ""
    named: Callable[[Hit], str] = attrgetter("picture")


@dataclass(frozen=True, kw_only=True)
class _Part:
    text: str
    strong: bool = False


@dataclass(frozen=True, kw_only=True)
class _Row:
    """A figure as the table shows it; lengths in hundredths of the bar."""

    name: str
    note: str
    text: str
    interval: str
    bar: float | None
    ends: tuple[float, float] | None


@dataclass(frozen=True, kw_only=True)
class _Missed:
    lead: str
    cards: list[Card] = field(default_factory=list)
    more: str = ""


def search_page(
    result: SearchResult,
    query_picture: Picture,
    load: Callable[[str], Picture],
    options: PageOptions | None = None,
) -> str:
    """The search as one HTML page that needs nothing else: no file beside it, no network.

    It is made to be reviewed by keyboard: its own small script shows query and hit side by side,
    takes yes, no and unsure, and saves them as a file that :mod:`personsearch.report.review` reads.
    Without a script, and on paper, it shows the same hits one below the other.

    File names, camera names and the like are other people's text: they are escaped, and the
    page's own policy allows this style and this script by their hashes and nothing else. A picture
    that cannot be read any more leaves its place on the page, with the reason.

    Args:
        result: what the gallery answered.
        query_picture: the picture that ``result.query.box`` is in.
        load: gives the picture of a hit, by ``options.named``; its errors (those of
            :mod:`personsearch.errors`) are shown in place of the picture.
        options: :class:`PageOptions`.

    Returns:
        The page's text, to be written as UTF-8. The same arguments give the same page.
    """
    options = options or PageOptions()
    quality = Quality(side=options.scene_side, jpeg=options.quality, crop=REVIEW_CROP)
    found = None if options.truth is None else compare(result.hits, options.truth, options.threshold)
    hits = _cards(result.hits, result, load, found, options, quality)
    near = _cards(options.rejected, result, load, None, options, quality)
    missed = None if found is None else _missed(found, load, options.most_missed, quality)
    queried = query_views(query_picture, result.query.box, quality)
    views = [view for shown in [*hits, *near, *(missed.cards if missed else [])] for view in shown.views]
    rows = [_row(figure) for figure in options.figures]
    spread = options.spread
    return (
        template("page.html.j2").render(
            **_own(_style({view.shape: view.ratio for view in [*queried, *views]})),
            title=printable(options.title),
            data=Markup(review_data(result, [*result.hits, *options.rejected])),  # holds no "<"
            verdict=VERDICTS.get(options.verdict.replace("_", " ")),
            answer=_answer(result, found),
            facts=_facts(result, options),
            query_views=queried,
            query_place=place(result.query.scene, query_picture.taken, query_picture.camera),
            hits=hits,
            near=near,
            spread=spread and chart(spread, result.hits, options.rejected, result.similarity),
            hits_title=_counted(len(hits), "hit") if hits else "No hits",
            hits_lead=_order(result) if hits else f"{_why_none(result)}.",
            legend=_legend(found),
            missed=missed,
            figures=rows,
            intervals=any(row.interval for row in rows),
            figures_note=printable(options.figures_note),
            notes=[printable(note) for note in (*options.notes, *LIMITS)],
        )
        + "\n"
    )


def _own(style: str) -> dict[str, str]:
    """The page's own style and script, which its policy allows by their hashes: no foreign text gets here."""
    script = (files("personsearch.report") / "review.js").read_text(encoding="utf-8")
    return {
        "version": __version__,
        "style": Markup(style),
        "style_hash": _digest(style),
        "script": Markup(script),
        "script_hash": _digest(script),
    }


def _digest(text: str) -> str:
    """What the page's policy calls a style or script that it allows."""
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _cards(
    people: Sequence[Hit],
    result: SearchResult,
    load: Callable[[str], Picture],
    found: Found | None,
    options: PageOptions,
    quality: Quality,
) -> list[Card]:
    """A card for everybody, in order; ``found`` says who is right."""
    cards = []
    for i, hit in enumerate(people):
        right = None if found is None else found.right[i]
        truth = NOBODY if found is None else found.truth.get(hit.picture, NOBODY)
        name = options.named(hit)
        cards.append(hit_card(hit, result.similarity, load, quality, right=right, truth=truth, name=name))
    return cards


def _missed(found: Found, load: Callable[[str], Picture], most: int, quality: Quality) -> _Missed:
    """The pictures in which the person stood and no hit found them."""
    if not found.appearances:
        return _Missed(lead="The person is in no other picture of this gallery.")
    if not found.missed:
        return _Missed(lead="Nobody: every appearance of the person in this gallery is among the hits.")
    names = list(found.missed)
    absent = found.appearances - found.seen
    return _Missed(
        lead=f"{_counted(absent, 'appearance')} of the person in this gallery that no hit above shows. "
        "The dotted box is where the annotation puts them.",
        cards=[missed_card(name, found.missed[name], load, quality) for name in names[:most]],
        more=f"And {_counted(len(names) - most, 'more picture')}, not shown." if len(names) > most else "",
    )


def _why_none(result: SearchResult) -> str:
    """Why there is no hit: somebody is always the most alike, unless nobody was compared."""
    if not result.people:
        return "The gallery holds nobody to compare with"
    return "Everybody in the gallery is in the query's own picture or was detected too uncertainly"


def _answer(result: SearchResult, found: Found | None) -> list[_Part]:
    """The outcome in one or two sentences."""
    if not result.hits:
        why = _why_none(result)
        return [_Part(text=f"Nobody was found: {why[0].lower()}{why[1:]}.")]
    if found is not None:
        if not found.appearances:
            return [
                _Part(
                    text="The person is in no other picture of this gallery, so every hit is somebody else."
                )
            ]
        parts = [
            _Part(text=f"{found.seen} of {_counted(found.appearances, 'appearance')} found", strong=True),
            _Part(text=f" among the first {_counted(len(result.hits), 'hit')}. "),
        ]
        first = f"The first right hit is at rank {found.first}." if found.first else "No hit is right."
        return [*parts, _Part(text=first)]
    best = result.hits[0]
    value, name = likeness(best, result.similarity)
    if best.probability is None:
        return [
            _Part(text="The most similar person", strong=True),
            _Part(text=f" has a {name} of {value}. The model is not calibrated: judge by eye."),
        ]
    return [
        _Part(text=f"The best hit is {percent(best.probability)} likely", strong=True),
        _Part(text=" to be the person looked for. Compare the pictures before you rely on it."),
    ]


def _facts(result: SearchResult, options: PageOptions) -> list[tuple[str, str, bool]]:
    """What was searched and with what: name, value, whether it is code."""
    x1, y1, x2, y2 = (float(side) for side in result.query.box)
    compared = {"cosine": "by cosine similarity", "euclidean": "by Euclidean distance"}[result.similarity]
    facts = [
        ("Looked for", f"{x2 - x1:.0f} × {y2 - y1:.0f} pixels at {x1:.0f}, {y1:.0f}", False),
        ("Gallery", f"{_counted(result.people, 'person')} in {_counted(result.pictures, 'picture')}", False),
        ("", printable(result.gallery), True),
    ]
    if options.model:
        facts.append(("Model", printable(options.model), False))
    fingerprint = printable(result.model)
    facts.append(
        ("" if options.model else "Model", fingerprint[:16] + ("…" if len(fingerprint) > 16 else ""), True)
    )
    facts.append(("Compared", compared, False))
    return facts


def _order(result: SearchResult) -> str:
    """How the hits are sorted, and what the number beside each means."""
    if any(hit.probability is not None for hit in result.hits):
        return (
            "Best first, with the probability that it is the same person, learnt from people who are known. "
            "In pictures of another kind than theirs it can be far too sure."
        )
    if result.similarity == "cosine":
        return "Best first. Similarity is at most 1; it is no probability."
    return "Best first. The distance is 0 for a perfect copy; it is no probability."


def _legend(found: Found | None) -> list[tuple[str, str]]:
    """What the lines around people mean."""
    if found is None:
        return [("query", "looked for"), ("hit", "hit")]
    return [
        ("query", "looked for"),
        ("right", "hit, right person"),
        ("wrong", "hit, someone else"),
        ("truth", "where the person is"),
    ]


def _row(figure: Figure) -> _Row:
    """A figure as the table shows it."""
    name, note = printable(figure.name), printable(figure.note)
    if isinstance(figure.value, int):
        return _Row(name=name, note=note, text=f"{figure.value:,}", interval="", bar=None, ends=None)
    interval, ends = "", None
    if figure.low is not None and figure.high is not None:
        interval = f"{figure.low:.3f} – {figure.high:.3f}"
        ends = (hundredths(figure.low), hundredths(figure.high))
    bar = hundredths(figure.value)
    return _Row(name=name, note=note, text=f"{figure.value:.3f}", interval=interval, bar=bar, ends=ends)


def hundredths(share: float) -> float:
    """A share as a length of the bar of 100; 0 where there is none."""
    return round(100 * min(max(share, 0.0), 1.0), 2) if share == share else 0.0


def _counted(n: int, what: str) -> str:
    """A number with its noun.

    >>> _counted(1, "person"), _counted(2000, "person"), _counted(3, "hit")
    ('1 person', '2,000 people', '3 hits')
    """
    many = "people" if what == "person" else f"{what}s"
    return f"{n:,} {what if n == 1 else many}"


def _style(ratios: Mapping[str, int]) -> str:
    """The style sheet, with a rule for every shape of picture: its share of a row."""
    room = files("personsearch.report")
    sheet = "".join((room / name).read_text(encoding="utf-8") for name in ("page.css", "review.css"))
    rules = [f".{shape} {{ flex-grow: {ratio / 100}; }}" for shape, ratio in sorted(ratios.items())]
    return "\n" + sheet + "\n".join(rules) + "\n"


def template(name: str) -> Template:
    """A page's template of this room; everything that is put into it is escaped."""
    room = files("personsearch.report")
    loader = FunctionLoader(lambda file: (room / file).read_text(encoding="utf-8"))
    pages = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    return pages.get_template(name)
