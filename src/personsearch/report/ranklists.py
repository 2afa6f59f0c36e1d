"""One page: the rankings of a benchmark that went best, worst and in between, and why."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.resources import files

import numpy as np
from markupsafe import Markup

from personsearch import __version__
from personsearch.errors import PersonSearchError
from personsearch.images import encode_jpeg
from personsearch.ranking.lists import Appearance, RankedHit, RankList
from personsearch.report.cards import (
    Box,
    Card,
    Place,
    Quality,
    View,
    hit_card,
    missed_card,
    place,
    printable,
    query_views,
)
from personsearch.report.html import Figure, hundredths, template
from personsearch.types import Array, Hit, Picture

WORDS = {
    "found": "Found",
    "ranked low": "Ranked low",
    "below threshold": "Below threshold",
    "box too loose": "Box too loose",
    "not detected": "Not detected",
    "nobody to find": "Nobody to find",
}
"""What the page calls each reason."""


@dataclass(frozen=True, kw_only=True)
class RankGroup:
    """Rank lists under one heading, e.g. the worst."""

    name: str
    lead: str
    lists: Sequence[RankList]


@dataclass(frozen=True, eq=False, kw_only=True)
class Chart:
    """A plot, as :mod:`personsearch.report.curves` draws it.

    Attributes:
        title: said below it.
        pixels: (h, w, 3) uint8.
        alt: what it shows, for those who cannot see it.
        wide: takes a row for itself.
    """

    title: str
    pixels: Array
    alt: str
    wide: bool = False


@dataclass(frozen=True, eq=False, kw_only=True)
class RankListOptions:
    """What else the page says.

    Attributes:
        title: its heading.
        rules: what shaped the numbers, name and value: data set, protocol, gallery size, query source,
            reading of average precision, policy, number of queries.
        figures: mAP, top-1 and so on with their intervals.
        reasons: what became of all queries of the protocol, in counts: words of ``WORDS``.
        charts: plots below the figures.
        notes: said at the end, e.g. what the features cannot tell.
        similarity: how embeddings were compared; ``"euclidean"`` shows distances.
        cameras: of pictures, by name, where known.
        most_missed: places that no shown hit found, per query.
        side, quality: of the pictures in the page: longer side in pixels, JPEG quality.
    """

    title: str = "Rank lists"
    rules: Sequence[tuple[str, str]] = ()
    figures: Sequence[Figure] = ()
    reasons: Mapping[str, int] = field(default_factory=dict)
    charts: Sequence[Chart] = ()
    notes: Sequence[str] = ()
    similarity: str = "cosine"
    cameras: Mapping[str, str] = field(default_factory=dict)
    most_missed: int = 3
    side: int = 560
    quality: int = 78


@dataclass(frozen=True, kw_only=True)
class _Entry:
    """One query as the page shows it."""

    number: int
    ap: str
    first: str
    found: str
    reason: str
    word: str
    why: str
    ranked: str
    place: Place
    views: tuple[View, ...]
    error: str
    hits: list[Card]
    missed: list[Card]
    missed_title: str
    more: str


@dataclass(frozen=True, kw_only=True)
class _Group:
    name: str
    lead: str
    entries: list[_Entry]


@dataclass(frozen=True, kw_only=True)
class _Line:
    """A row, with a bar where it is a share: lengths in hundredths of it."""

    name: str
    note: str
    text: str
    more: str
    bar: float | None
    ends: tuple[float, float] | None = None


def ranklist_page(
    groups: Sequence[RankGroup], load: Callable[[str], Picture], options: RankListOptions | None = None
) -> str:
    """The rank lists as one HTML page that needs nothing else: no script, no file beside it, no network.

    Right and wrong are told by word, sign and line as well as by colour. Names of files and
    cameras are other people's text: they are escaped, and the page's own policy forbids it
    scripts and anything that is loaded. A picture that cannot be read leaves its place, with the
    reason.

    Args:
        groups: in the order in which they are shown; empty ones are left out.
        load: gives a scene's picture by name; its errors (those of :mod:`personsearch.errors`)
            are shown in place of the picture.
        options: :class:`RankListOptions`.

    Returns:
        The page's text, to be written as UTF-8. The same arguments give the same page.
    """
    options = options or RankListOptions()
    shown = [
        _Group(
            name=printable(group.name),
            lead=printable(group.lead),
            entries=[_entry(one, load, options) for one in group.lists],
        )
        for group in groups
        if group.lists
    ]
    charts = [(printable(chart.title), _chart(chart), chart.wide) for chart in options.charts]
    style = _style([view.ratio for group in shown for entry in group.entries for view in _views(entry)])
    return (
        template("ranklists.html.j2").render(
            title=printable(options.title),
            version=__version__,
            style=Markup(style),  # our own files and our own numbers: no foreign text gets here
            style_hash=base64.b64encode(hashlib.sha256(style.encode()).digest()).decode(),
            rules=[(printable(name), printable(value)) for name, value in options.rules],
            figures=[_figure(figure) for figure in options.figures],
            reasons=_reasons(options.reasons),
            charts=charts,
            groups=shown,
            notes=[printable(note) for note in options.notes],
        )
        + "\n"
    )


def _entry(one: RankList, load: Callable[[str], Picture], options: RankListOptions) -> _Entry:
    quality = Quality(side=options.side, jpeg=options.quality)
    views: tuple[View, ...] = ()
    error = ""
    try:
        views = query_views(load(one.picture), one.box, quality)
    except PersonSearchError as problem:
        error = printable(f"The picture cannot be shown: {problem}")
    hidden = [a for a in one.appearances if not 1 <= a.rank <= len(one.hits)]
    hidden.sort(key=lambda a: (a.rank == 0, a.rank))
    left = len(hidden) - options.most_missed
    return _Entry(
        number=one.query,
        ap="–" if np.isnan(one.ap) else f"{one.ap:.3f}",
        first=f"{one.first_hit:,}" if one.first_hit else "never",
        found=f"{sum(a.rank > 0 for a in one.appearances)} of {len(one.appearances)}",
        reason=one.reason.replace(" ", "-"),
        word=WORDS.get(one.reason, printable(one.reason)),
        why=_why(one),
        ranked=f"{one.people:,} boxes in {one.pictures:,} pictures",
        place=place(one.picture, camera=options.cameras.get(one.picture)),
        views=views,
        error=error,
        hits=[_hit(hit, one, load, options) for hit in one.hits],
        missed=[_missed(a, one, load, options) for a in hidden[: options.most_missed]],
        missed_title="Where else the person is"
        if len(hidden) < len(one.appearances)
        else "Where the person is",
        more=f"And {left:,} more {'place' if left == 1 else 'places'}, not shown." if left > 0 else "",
    )


def _why(one: RankList) -> str:
    """One sentence on what became of the query."""
    before = one.first_hit - 1
    return {
        "found": "The first answer is right.",
        "ranked low": "Detected, but "
        + (
            f"{before:,} {'box ranks' if before == 1 else 'boxes rank'} before the first right answer."
            if before > 0
            else "no right answer ranks."
        ),
        "below threshold": "A box fits, but its score is below the detection threshold.",
        "box too loose": "A box is on the person, but too loose to count.",
        "not detected": "No box is on the person in any picture.",
        "nobody to find": "The person is in no picture of this gallery.",
    }.get(one.reason, "")


def _what_became(appearance: Appearance, one: RankList) -> str:
    """One sentence on a true box that none of the shown hits found."""
    if appearance.rank:
        return f"Detected, at rank {appearance.rank:,} of {one.people:,}."
    if appearance.outcome == "below threshold" and appearance.score is not None:
        return f"A box fits, but its score of {appearance.score:.2f} is below the detection threshold."
    if appearance.outcome == "box too loose":
        return (
            f"The box on the person overlaps by {appearance.overlap:.2f}; {appearance.needed:.2f} is needed."
        )
    return "No box is on the person."


def _hit(hit: RankedHit, one: RankList, load: Callable[[str], Picture], options: RankListOptions) -> Card:
    known = [appearance.box for appearance in one.appearances if appearance.picture == hit.picture]
    card = hit_card(
        Hit(
            rank=hit.rank,
            similarity=hit.similarity,
            picture=hit.picture,
            box=hit.box,
            score=hit.score,
            detection=hit.rank,
            camera=options.cameras.get(hit.picture),
        ),
        "euclidean" if options.similarity == "euclidean" else "cosine",  # larger is more alike
        load,
        Quality(side=options.side, jpeg=options.quality),
        right=hit.verdict in ("right", "again"),
        truth=np.array(known, np.float32).reshape(-1, 4),
    )
    if hit.verdict == "again":
        note = "A second box on the same person: scoring counts it as wrong."
        return replace(card, verdict="again", badge="✓ Same person again", note=note)
    if hit.verdict == "loose":
        note = "The person, but the box is too loose to count; the dotted box is right."
        return replace(card, verdict="loose", badge="✕ Box too loose", note=note)
    return card


def _missed(
    appearance: Appearance, one: RankList, load: Callable[[str], Picture], options: RankListOptions
) -> Card:
    sizes: list[tuple[int, int]] = []

    def loaded(name: str) -> Picture:
        picture = load(name)
        sizes.append(picture.size)
        return picture

    quality = Quality(side=options.side, jpeg=options.quality)
    card = missed_card(appearance.picture, appearance.box[None], loaded, quality)
    views = card.views
    if sizes and len(views) == 2 and appearance.nearest is not None:
        views = (views[0], _with_box(views[1], "near", appearance.nearest, sizes[0]))
    outcome = "ranked low" if appearance.rank else appearance.outcome
    return replace(
        card,
        place=place(appearance.picture, camera=options.cameras.get(appearance.picture)),
        views=views,
        verdict=outcome.replace(" ", "-"),
        badge=WORDS[outcome],
        note=_what_became(appearance, one),
    )


def _with_box(view: View, kind: str, box: Array, size: tuple[int, int]) -> View:
    """``view`` of a picture of ``size`` (width, height) with one more box of that picture drawn."""
    factor = view.width / size[0], view.height / size[1]
    x1, y1, x2, y2 = (float(side) for side in np.asarray(box, np.float64) * [*factor, *factor])
    drawn = Box(kind=kind, x=round(x1, 1), y=round(y1, 1), width=round(x2 - x1, 1), height=round(y2 - y1, 1))
    return replace(view, boxes=(*view.boxes, drawn))


def _chart(chart: Chart) -> View:
    content = base64.b64encode(encode_jpeg(chart.pixels, 92)).decode()
    height, width = chart.pixels.shape[:2]
    return View(uri=f"data:image/jpeg;base64,{content}", width=width, height=height, alt=printable(chart.alt))


def _figure(figure: Figure) -> _Line:
    name, note = printable(figure.name), printable(figure.note)
    if isinstance(figure.value, int):
        return _Line(name=name, note=note, text=f"{figure.value:,}", more="", bar=None)
    more, ends = "", None
    if figure.low is not None and figure.high is not None:
        more = f"{figure.low:.3f} – {figure.high:.3f}"
        ends = (hundredths(figure.low), hundredths(figure.high))
    return _Line(
        name=name, note=note, text=f"{figure.value:.3f}", more=more, bar=hundredths(figure.value), ends=ends
    )


def _reasons(counts: Mapping[str, int]) -> list[_Line]:
    """What became of all queries, in the order of ``WORDS``."""
    total = sum(counts.values())
    return [
        _Line(
            name=word,
            note="",
            text=f"{counts[reason]:,}",
            more=f"{100 * counts[reason] / total:.1f}%" if total else "",
            bar=hundredths(counts[reason] / total) if total else 0.0,
        )
        for reason, word in WORDS.items()
        if reason in counts and (counts[reason] or reason != "nobody to find")
    ]


def _views(entry: _Entry) -> list[View]:
    return [*entry.views, *(view for card in [*entry.hits, *entry.missed] for view in card.views)]


def _style(ratios: Sequence[int]) -> str:
    """The style sheets, with a rule for every shape of picture: its share of a row."""
    room = files("personsearch.report")
    sheets = [(room / name).read_text(encoding="utf-8") for name in ("page.css", "ranklists.css")]
    rules = [f".r{ratio} {{ flex-grow: {ratio / 100}; }}" for ratio in sorted(set(ratios))]
    return "\n" + "".join(sheets) + "\n".join(rules) + "\n"
