"""Protocols for any annotated pictures: halves, queries, galleries, subsets of what is hard.

Everything is drawn from one seed, each query by itself, so that more people or pictures
do not change the rest.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from personsearch.datasets.protocol_split import split_scenes
from personsearch.datasets.rows import ignored, visible
from personsearch.datasets.searches import list_searches
from personsearch.errors import DatasetError, UsageError
from personsearch.protocols import camera_trials
from personsearch.types import UNLABELLED, Array, Query, Scene, Trials

OCCLUDED = 0.6
"""A query of whom less than this share is visible counts as occluded (more than 40% hidden)."""

SMALLEST = 0.1
"""The low-resolution subset is this share of the queries, those of the smallest height."""

USUAL_GALLERY = 100
"""Gallery of the subsets, as in CUHK-SYSU; smaller where the data are."""

_BARELY = 0.25
_SPLIT, _QUERY, _GALLERY = range(3)

Gallery = tuple[Array, Array]
"""Pictures of one query that show the person, and distractors, both in gallery order."""


@dataclass(frozen=True, kw_only=True)
class ProtocolSettings:
    """What to make.

    Attributes:
        seed: decides everything that is drawn.
        test_share: of the people, for the test half; 1 for no training half.
        gallery_sizes: wanted; what the data cannot hold is left away and named.
        queries_per_person: at most, each in another picture.
        most_right: at most this share of a gallery shows the person, where there are distractors
            enough: in a film, most pictures do.

    Raises:
        UsageError: a number makes no sense.
    """

    seed: int = 0
    test_share: float = 0.5
    gallery_sizes: tuple[int, ...] = (50, 100, 500, 1000, 2000, 4000)
    queries_per_person: int = 1
    most_right: float = 0.5

    def __post_init__(self) -> None:
        for said, fits in (
            (f"seed {self.seed}", self.seed >= 0),
            (f"test share {self.test_share}", 0 < self.test_share <= 1),
            (f"gallery sizes {self.gallery_sizes}", all(size > 0 for size in self.gallery_sizes)),
            (f"{self.queries_per_person} queries a person", self.queries_per_person > 0),
            (f"share of right answers {self.most_right}", 0 < self.most_right <= 1),
        ):
            if not fits:
                raise UsageError(f"{said} makes no sense", hint="shares are in (0, 1], numbers positive")


@dataclass(frozen=True, eq=False, kw_only=True)
class Protocols:
    """What was made.

    Attributes:
        settings: from which.
        train, test: the halves, people renumbered: training people ``0..C-1``; a test person's
            number is the index of the first query for them, who is not looked for has none.
        train_people, test_people: (n,) the number that each of them had before.
        queries: in order; first one for everybody, then the second ones.
        full: every query in all test pictures but its own.
        galleries: by size, smaller ones inside larger ones.
        occlusion, low_resolution: searches for people who are hard to see, if there are any.
        left_out: names of pictures that show people of both halves.
        notes: what could not be had and why, in lines for people.
    """

    settings: ProtocolSettings
    train: tuple[Scene, ...]
    test: tuple[Scene, ...]
    train_people: Array
    test_people: Array
    queries: tuple[Query, ...]
    full: Trials
    galleries: Mapping[int, Trials]
    occlusion: Trials | None
    low_resolution: Trials | None
    left_out: tuple[str, ...] = ()
    notes: tuple[str, ...] = field(default=())


def make_protocols(
    scenes: Sequence[Scene],
    settings: ProtocolSettings | None = None,
    *,
    train: Sequence[Scene] | None = None,
) -> Protocols:
    """Protocols of ``scenes``, people numbered through all of them.

    Args:
        scenes: what to split, or, with ``train``, the test half as it is.
        settings: what to make; None for the field's sizes.
        train: the training half of a data set that is split already (numbered by itself).

    Raises:
        DatasetError: two pictures share a name, nobody in the test half is in two pictures, or
            people are so mixed that no split leaves two halves.
    """
    settings = settings or ProtocolSettings()
    _check_names([*scenes, *(train or ())])
    left_out: tuple[str, ...] = ()
    if train is None:
        halves = split_scenes(scenes, settings.test_share, np.random.default_rng([settings.seed, _SPLIT]))
        train, test = ([scenes[row] for row in rows.tolist()] for rows in (halves.train, halves.test))
        left_out = tuple(scenes[row].name for row in halves.left_out.tolist())
    else:
        test = list(scenes)
    drawn = choose_queries(test, settings.seed, settings.queries_per_person)
    if left_out and not (drawn and len(_people_of(train))):
        raise DatasetError(
            f"these pictures cannot be split: {len(left_out)} of {len(scenes)} show people of both halves",
            hint="search in all of them (`--test-share 1`), or give the training pictures apart",
        )
    if not drawn:
        raise DatasetError(
            "nobody in the test half is in two pictures, so there is nobody to look for",
            hint="name people in two pictures; `--resplit --test-share 1` makes all pictures test pictures",
        )
    test_people = np.array(list(dict.fromkeys(query.person for query in drawn)), np.int64)
    train_people = _people_of(train)
    number = {person: i for i, person in enumerate(test_people.tolist())}
    queries = tuple(replace(query, person=number[query.person]) for query in drawn)
    searched = renumber(test, test_people)
    galleries, hard, notes = _searches(searched, queries, settings)
    if left_out:
        notes.insert(0, f"{len(left_out)} pictures show people of both halves and are left out")
    return Protocols(
        settings=settings,
        train=renumber(train, train_people),
        test=searched,
        train_people=train_people,
        test_people=test_people,
        queries=queries,
        full=camera_trials("gallery=full", searched, queries),
        galleries=galleries,
        occlusion=hard[0],
        low_resolution=hard[1],
        left_out=left_out,
        notes=tuple(notes),
    )


def _check_names(scenes: Sequence[Scene]) -> None:
    names = Counter(scene.name for scene in scenes)
    twice = next((name for name, count in names.items() if count > 1), None)
    if twice is not None:
        raise DatasetError(f"two pictures are called {twice}", hint="names must differ, in both halves too")


def choose_queries(scenes: Sequence[Scene], seed: int = 0, per_person: int = 1) -> list[Query]:
    """Queries for everybody who is well enough seen in two pictures, drawn for each person by themselves.

    A box that is ignored, or of which less than a quarter is visible, is neither a query nor
    counts as a second picture. People come in the order of their numbers, first one query for
    each, then the second ones.
    """
    clear = [replace(scene, ignore=ignored(scene) | (visible(scene) < _BARELY)) for scene in scenes]
    people = _people_of(scenes)
    found = places(clear, int(people.max(initial=UNLABELLED)) + 1)
    rounds: list[list[Query]] = [[] for _ in range(per_person)]
    for person in people.tolist():
        part = found.of(person)
        pictures, first = np.unique(found.scene[part], return_index=True)
        if len(pictures) < 2:
            continue
        rng = np.random.default_rng([seed, _QUERY, person])
        chosen = rng.permutation(first)[: min(per_person, len(pictures))]
        for i, row in enumerate((part.start + chosen).tolist()):
            rounds[i].append(Query(scenes[found.scene[row]].name, found.box[row], person))
    return [query for queries in rounds for query in queries]


def renumber(scenes: Sequence[Scene], people: Array) -> tuple[Scene, ...]:
    """``scenes`` with person ``people[i]`` called ``i``, and everybody else ``UNLABELLED``."""
    number = {person: i for i, person in enumerate(people.tolist())}
    return tuple(
        replace(scene, people=np.array([number.get(p, UNLABELLED) for p in scene.people.tolist()], np.int64))
        for scene in scenes
    )


@dataclass(frozen=True, eq=False, kw_only=True)
class Places:
    """Where everybody is: columns over all appearances, CSR by identity, in the order of the scenes."""

    pointer: Array
    scene: Array
    box: Array
    visible: Array

    def of(self, person: int) -> slice:
        """Rows of ``person``."""
        return slice(int(self.pointer[person]), int(self.pointer[person + 1]))

    def who(self, rows: Array) -> Array:
        """The person of each of ``rows``."""
        people: Array = np.searchsorted(self.pointer, rows, side="right") - 1
        return people


def places(scenes: Sequence[Scene], identities: int, *, all_boxes: bool = False) -> Places:
    """Appearances of identities ``0..identities - 1`` in ``scenes``; ``all_boxes``: the ignored ones too."""
    people = np.concatenate([np.zeros(0, np.int64), *(scene.people for scene in scenes)])
    where = np.repeat(np.arange(len(scenes)), [len(scene) for scene in scenes])
    boxes = np.concatenate([np.zeros((0, 4), np.float32), *(scene.boxes for scene in scenes)])
    shares = np.concatenate([np.zeros(0, np.float32), *map(visible, scenes)])
    junk = np.concatenate([np.zeros(0, bool), *map(ignored, scenes)])
    order = np.argsort(people, kind="stable")
    order = order[(people[order] >= 0) & (all_boxes | ~junk[order])]
    pointer = np.searchsorted(people[order], np.arange(identities + 1))
    return Places(pointer=pointer, scene=where[order], box=boxes[order], visible=shares[order])


@dataclass(frozen=True, eq=False, kw_only=True)
class Pool:
    """What galleries are filled from.

    Attributes:
        scenes: how many test pictures there are.
        sizes: of the galleries, smallest first.
        found: where everybody is.
        shown: the same with the boxes that are ignored: no distractor shows the person even so.
        most_right: at most this share of a gallery shows the person (see :class:`ProtocolSettings`).
    """

    scenes: int
    sizes: Sequence[int]
    found: Places
    shown: Places
    most_right: float = 1.0


def fill_galleries(
    pool: Pool,
    rows: Array,
    generator: Callable[[int], np.random.Generator],
    lookalikes: Mapping[int, Sequence[int]] | None = None,
) -> list[Gallery]:
    """For every query (``rows`` of ``pool.found``) the right pictures and all distractors, in gallery order.

    Smaller galleries are beginnings of larger ones (:func:`cut`). Pictures of a lookalike (by
    person) come first in the distractors' draw and are shuffled into the smallest gallery.
    """
    smallest, largest = (pool.sizes[0], pool.sizes[-1]) if len(pool.sizes) else (0, 0)
    result = []
    for i, (row, person) in enumerate(zip(rows.tolist(), pool.found.who(rows).tolist(), strict=True)):
        rng = generator(i)
        positives = np.unique(pool.found.scene[pool.found.of(person)])
        positives = positives[positives != pool.found.scene[row]]
        own = set(pool.shown.scene[pool.shown.of(person)].tolist())
        others = rng.permutation(pool.scenes)
        others = others[~np.isin(others, list(own))][:largest]
        lookalike = np.array([s for s in (lookalikes or {}).get(person, ()) if s not in own], np.int64)
        others = np.concatenate([lookalike, others[~np.isin(others, lookalike)]])[:largest]
        first = max(smallest - len(positives), 0)
        others[:first] = rng.permutation(others[:first])
        if len(positives) > pool.most_right * smallest:
            positives = rng.permutation(positives)
        result.append((positives, others))
    return result


def cut(galleries: Sequence[Gallery], size: int, most_right: float = 1.0) -> list[Gallery]:
    """Every gallery's first ``size`` pictures, of them at most that share right if there are others.

    One is right at least, however small the gallery: a search that nobody can win measures nothing.

    >>> [[part.tolist() for part in one] for one in cut([(np.array([3, 4]), np.array([7, 8]))], 1, 0.5)]
    [[[3], []]]
    """
    result = []
    for positives, others in galleries:
        right = min(len(positives), max(int(most_right * size), size - len(others), 1), size)
        result.append((positives[:right], others[: size - right]))
    return result


def fitting_sizes(wanted: Sequence[int], most: int, least: int = 1) -> list[int]:
    """The wanted sizes from ``least`` to ``most``, smallest first; where none fits, ``most`` alone.

    >>> fitting_sizes((500, 50, 100), 120), fitting_sizes((50,), 20), fitting_sizes((50,), 0)
    ([50, 100], [20], [])
    """
    return sorted({size for size in wanted if least <= size <= most}) or [most] * (most > 0)


def smallest(heights: Array) -> Array:
    """(Q,) which queries are the tenth of the smallest height; of equal ones the earlier.

    >>> smallest(np.array([9, 5, 5, 8, 7, 9, 9, 9, 9, 9, 9])).nonzero()[0].tolist()
    [1]
    """
    mask = np.zeros(len(heights), bool)
    mask[np.argsort(heights, kind="stable")[: round(SMALLEST * len(heights))]] = True
    return mask


def _people_of(scenes: Sequence[Scene]) -> Array:
    """Everybody with a number, rising."""
    people = np.unique(np.concatenate([np.zeros(0, np.int64), *(scene.people for scene in scenes)]))
    named: Array = people[people != UNLABELLED]
    return named


def _searches(
    test: Sequence[Scene], queries: Sequence[Query], settings: ProtocolSettings
) -> tuple[dict[int, Trials], list[Trials | None], list[str]]:
    """Galleries by size, the two subsets, and what could not be had."""
    people = max(query.person for query in queries) + 1
    found, shown = places(test, people), places(test, people, all_boxes=True)
    row_of = {scene.name: row for row, scene in enumerate(test)}
    rows = np.array([_row(found, row_of[query.scene], query) for query in queries], np.int64)
    who = found.who(rows)
    right = [len(np.unique(found.scene[found.of(person)])) - 1 for person in range(people)]
    out = [len(np.unique(shown.scene[shown.of(person)])) for person in range(people)]
    most = min(right[person] + len(test) - out[person] for person in who.tolist())
    sizes = fitting_sizes(settings.gallery_sizes, most)
    missing = sorted(set(settings.gallery_sizes) - set(sizes))
    notes = [f"no gallery of {size}: the test half has {most} pictures for every query" for size in missing]
    pool = Pool(scenes=len(test), sizes=sizes, found=found, shown=shown, most_right=settings.most_right)
    filled = fill_galleries(pool, rows, lambda i: np.random.default_rng([settings.seed, _GALLERY, i]))

    def searches(name: str, size: int, chosen: Array) -> Trials:
        parts = cut([filled[i] for i in chosen.tolist()], size, settings.most_right)
        listed = [np.concatenate(part) for part in parts]
        return list_searches(name, test, [queries[i] for i in chosen.tolist()], listed)

    galleries = {size: searches(f"gallery={size}", size, np.arange(len(queries))) for size in sizes}
    usual = max([size for size in sizes if size <= USUAL_GALLERY], default=sizes[0])
    shares, heights = found.visible[rows], found.box[rows, 3] - found.box[rows, 1]
    hard: list[Trials | None] = []
    for name, mask in (("occlusion", shares < OCCLUDED), ("low-resolution", smallest(heights))):
        hard.append(searches(f"{name} gallery={usual}", usual, np.flatnonzero(mask)) if mask.any() else None)
    if np.isnan(shares).all():
        notes.append("no occlusion subset: the annotation does not say how much of anybody is visible")
    elif hard[0] is None:
        notes.append("no occlusion subset: no query is more than 40% occluded")
    if hard[1] is None:
        notes.append(f"no low-resolution subset: a tenth of {len(queries)} queries is none")
    return galleries, hard, notes


def _row(found: Places, scene: int, query: Query) -> int:
    """The appearance that is ``query``."""
    part = found.of(query.person)
    same = (found.scene[part] == scene) & (found.box[part] == query.box).all(1)
    return int(part.start) + int(np.argmax(same))
