"""The page that ``search --html`` writes: the hits, who was nearly one, and how alike everybody is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from personsearch.gallery.gallery import Gallery
    from personsearch.gallery.searching import Asked
    from personsearch.types import Array, Hit, Picture, SearchResult

MORE = 6
"""How many of the people just below the hits the page shows."""


def with_more(asked: Asked, html: Path | None) -> Asked:
    """What to search for so that the page can show who was nearly a hit."""
    return asked if html is None else replace(asked, k=asked.k + MORE)


def cut(result: SearchResult, k: int) -> tuple[SearchResult, tuple[Hit, ...]]:
    """The result with its first ``k`` hits, and the rest."""
    return replace(result, hits=result.hits[:k]), result.hits[k:]


def everybody(
    gallery: Gallery, embedding: Array, asked: Asked, fingerprint: str, without: Path | None
) -> Array:
    """(n,) how alike everybody is who was compared; for the page's chart."""
    from personsearch.gallery.everybody import similarities_to_everybody

    return similarities_to_everybody(
        gallery, embedding, asked, fingerprint=fingerprint, exclude_picture=without
    )


def write_page(
    path: Path,
    result: SearchResult,
    picture: Picture,
    model: str = "",
    *,
    rejected: tuple[Hit, ...] = (),
    alike: Array | None = None,
    verdict: str = "",
) -> None:
    """Write the page of a search to ``path``, whole or not at all.

    Args:
        path: the HTML file.
        result: the hits.
        picture: the one that the query's box is in.
        model: what the model is called.
        rejected: who came just below the hits.
        alike: (n,) how alike everybody is; None leaves the chart away.
        verdict: ``"likely"``, ``"unsure"``, ``"likely absent"``, or nothing.
    """
    from personsearch.cli.answers import shot_name, shots_of
    from personsearch.files import write_text
    from personsearch.report.html import PageOptions, search_page
    from personsearch.report.spread import spread_of

    options = PageOptions(
        model=model,
        rejected=rejected,
        spread=None if alike is None else spread_of(alike),
        verdict=verdict,
        named=shot_name,
    )
    load = shots_of([*result.hits, *rejected])
    write_text(path, search_page(result, picture, load, options))
