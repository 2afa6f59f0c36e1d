"""Queries and galleries of a generated test split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from personsearch.datasets.protocol_maker import (
    OCCLUDED,
    Gallery,
    Places,
    Pool,
    cut,
    fill_galleries,
    fitting_sizes,
    places,
)
from personsearch.datasets.searches import list_searches
from personsearch.datasets.synthetic.plan import protocol_generator
from personsearch.datasets.synthetic.settings import SyntheticSettings
from personsearch.types import Array, Query, Scene, Trials

__all__ = ["OCCLUDED", "choose_queries", "cut", "galleries", "gallery_sizes", "make_trials", "places"]

_LEAST = 6


def choose_queries(found: Places, settings: SyntheticSettings) -> Array:
    """(Q,) row of ``found`` that is the query of every identity.

    The wanted share of queries is more than 40% hidden; the others are drawn among the
    well visible appearances.
    """
    identities = len(found.pointer) - 1
    hiding = [p for p in range(identities) if (found.visible[found.of(p)] < OCCLUDED).any()]
    wanted = round(settings.occluded_share * identities)
    occluded = set(hiding[:wanted])
    rows = np.empty(identities, np.int64)
    for person in range(identities):
        rng = protocol_generator(settings, person)
        part = found.of(person)
        clear = found.visible[part] >= OCCLUDED
        good = np.flatnonzero(~clear if person in occluded else clear)
        if not len(good):
            good = np.array([int(np.argmax(found.visible[part]))])
        rows[person] = part.start + int(rng.choice(good))
    return rows


def make_trials(
    name: str, names: Sequence[str], found: Places, rows: Array, galleries: Sequence[Gallery]
) -> Trials:
    """Trials of the queries ``rows``; a gallery is (pictures of the person, distractors)."""
    order = np.argsort(found.scene, kind="stable")
    start = np.searchsorted(found.scene[order], np.arange(len(names) + 1))
    parts = [order[start[k] : start[k + 1]] for k in range(len(names))]
    scenes = [
        Scene(one, boxes=found.box[part], people=found.who(part))
        for one, part in zip(names, parts, strict=True)
    ]
    queries = [
        Query(names[found.scene[row]], found.box[row], person)
        for row, person in zip(rows.tolist(), found.who(rows).tolist(), strict=True)
    ]
    return list_searches(name, scenes, queries, [np.concatenate(gallery) for gallery in galleries])


def galleries(
    settings: SyntheticSettings, found: Places, rows: Array, twins: Mapping[int, Sequence[int]], scenes: int
) -> list[Gallery]:
    """For every query (pictures of the person, all distractors in gallery order); twins are lookalikes."""

    def generator(person: int) -> np.random.Generator:
        rng = protocol_generator(settings, person)
        rng.random()  # the first number chose the query
        return rng

    sizes = gallery_sizes(settings, scenes)
    return fill_galleries(Pool(scenes=scenes, sizes=sizes, found=found, shown=found), rows, generator, twins)


def gallery_sizes(settings: SyntheticSettings, scenes: int) -> list[int]:
    """Sizes of the protocols that a pool of ``scenes`` can fill, smallest first.

    A query has up to five right answers, so that a gallery holds at least six pictures. Where
    the pool is too small for every wanted size, all of it but the query's picture is searched.
    """
    return fitting_sizes(settings.gallery_sizes, scenes - 1, _LEAST)
