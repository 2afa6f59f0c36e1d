"""The page that ``search --html`` writes: the hits, who was nearly one, and how alike everybody is."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from personsearch.gallery.asking import Answered, Sought
    from personsearch.gallery.gallery import Gallery
    from personsearch.gallery.searching import Asked, Order
    from personsearch.types import Array, Hit, Picture, SearchResult

MORE = 6
"""How many of the people just below the hits the page shows."""


@dataclass(frozen=True, eq=False, kw_only=True)
class More:
    """What the page shows besides the hits.

    Attributes:
        rejected: who came just below them, best first.
        alike: (n,) how alike everybody is who was compared.
    """

    rejected: tuple[Hit, ...]
    alike: Array


def ask(
    gallery: Gallery, sought: Sought, asked: Asked, order: Order | None, html: Path | None
) -> tuple[Answered, More | None]:
    """The gallery's answer; where a page is wanted, also what it shows besides."""
    if html is None:
        return gallery.ask(sought, asked, order), None
    from personsearch.gallery.everybody import similarities_to_everybody

    found = gallery.ask(sought, replace(asked, k=asked.k + MORE), order)
    hits = found.result.hits
    known = () if sought.own else sought.right
    alike = similarities_to_everybody(
        gallery,
        sought.person.query(gallery.fingerprint, gallery.similarity),
        asked,
        fingerprint=gallery.fingerprint,
        exclude_pictures=[one.picture for one in known if one.picture and one.detection is None],
        exclude_detections=[one.detection for one in known if one.detection is not None],
    )
    answered = replace(found, result=replace(found.result, hits=hits[: asked.k]), asked=asked)
    return answered, More(rejected=hits[asked.k :], alike=alike)


def write_page(
    path: Path,
    result: SearchResult,
    picture: Picture,
    model: str = "",
    *,
    more: More | None = None,
    verdict: str = "",
) -> None:
    """Write the page of a search to ``path``, whole or not at all.

    Args:
        path: the HTML file.
        result: the hits.
        picture: the one that the query's box is in.
        model: what the model is called.
        more: what else is shown, from :func:`ask`.
        verdict: ``"likely"``, ``"unsure"``, ``"likely absent"``, or nothing.
    """
    from personsearch.cli.answers import shot_name, shots_of
    from personsearch.files import write_text
    from personsearch.report.html import PageOptions, search_page
    from personsearch.report.spread import spread_of

    rejected = () if more is None else more.rejected
    options = PageOptions(
        model=model,
        rejected=rejected,
        spread=None if more is None else spread_of(more.alike),
        verdict=verdict,
        named=shot_name,
    )
    load = shots_of([*result.hits, *rejected])
    write_text(path, search_page(result, picture, load, options))
