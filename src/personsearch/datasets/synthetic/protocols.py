"""Queries and galleries of a generated test split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from personsearch.datasets.synthetic.plan import protocol_generator
from personsearch.datasets.synthetic.settings import SyntheticSettings
from personsearch.types import Array, Scene, Trials

OCCLUDED = 0.6
"""A query of whom less than this share is visible counts as occluded (more than 40% hidden)."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Places:
    """Where every test identity is: columns over its appearances, CSR by identity."""

    pointer: Array
    scene: Array
    box: Array
    visible: Array

    def of(self, person: int) -> slice:
        """Rows of ``person``."""
        return slice(int(self.pointer[person]), int(self.pointer[person + 1]))


def places(scenes: Sequence[Scene], identities: int) -> Places:
    """Appearances of identities ``0..identities - 1`` in ``scenes``."""
    people = np.concatenate([scene.people for scene in scenes])
    where = np.repeat(np.arange(len(scenes)), [len(scene) for scene in scenes])
    boxes = np.concatenate([scene.boxes for scene in scenes])
    visible = np.concatenate([scene.visible for scene in scenes])
    order = np.argsort(people, kind="stable")
    order = order[people[order] >= 0]
    pointer = np.searchsorted(people[order], np.arange(identities + 1))
    return Places(pointer=pointer, scene=where[order], box=boxes[order], visible=visible[order])


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
    name: str, names: Sequence[str], found: Places, rows: Array, galleries: Sequence[tuple[Array, Array]]
) -> Trials:
    """Trials of the queries ``rows``; a gallery is (rows of positives, scenes of distractors)."""
    sizes = [len(positives) + len(others) for positives, others in galleries]
    entry_scene, counts, truth = [], [], []
    for positives, others in galleries:
        entry_scene += [found.scene[positives], others]
        counts += [np.ones(len(positives), int), np.zeros(len(others), int)]
        truth.append(found.box[positives])
    entries = int(sum(sizes))
    people = np.searchsorted(found.pointer, rows, side="right") - 1
    return Trials(
        name=name,
        scenes=tuple(names),
        query_scene=found.scene[rows],
        query_box=found.box[rows],
        query_person=people,
        entry_ptr=np.concatenate([[0], np.cumsum(sizes)]),
        entry_scene=np.concatenate([*entry_scene, np.zeros(0, int)]),
        truth_ptr=np.concatenate([[0], np.cumsum(np.concatenate([*counts, np.zeros(0, int)]))]),
        truth_box=np.concatenate([*truth, np.zeros((0, 4), np.float32)]),
        ignore_ptr=np.zeros(entries + 1, np.int64),
        ignore_box=np.zeros((0, 4), np.float32),
    )


def galleries(
    settings: SyntheticSettings, found: Places, rows: Array, twins: Mapping[int, Sequence[int]], scenes: int
) -> list[tuple[Array, Array]]:
    """For every query (rows of positives, scenes of all distractors in gallery order).

    Smaller galleries are beginnings of larger ones. Pictures of a lookalike come first
    of the distractors' draw and are shuffled into the smallest gallery.
    """
    result = []
    sizes = gallery_sizes(settings, scenes)
    for person, row in enumerate(rows.tolist()):
        rng = protocol_generator(settings, person)
        rng.random()
        part = found.of(person)
        positives = np.array([r for r in range(part.start, part.stop) if r != row], np.int64)
        own = set(found.scene[part].tolist())
        most = (sizes[-1] if sizes else 0) - len(positives)
        others = rng.permutation(scenes)
        others = others[~np.isin(others, list(own))][: max(most, 0)]
        lookalike = np.array([s for s in twins.get(person, ()) if s not in own], np.int64)
        first = (sizes[0] if sizes else 0) - len(positives)
        others = np.concatenate([lookalike, others[~np.isin(others, lookalike)]])[: max(most, 0)]
        others[:first] = rng.permutation(others[:first])
        result.append((positives, others))
    return result


def gallery_sizes(settings: SyntheticSettings, scenes: int) -> list[int]:
    """Sizes of the protocols that a pool of ``scenes`` can fill, smallest first.

    A query has up to five right answers, so that a gallery holds at least six pictures. Where
    the pool is too small for every wanted size, all of it but the query's picture is searched.
    """
    fitting = sorted({size for size in settings.gallery_sizes if 6 <= size < scenes})
    return fitting or [scenes - 1] * (scenes > 1)


def cut(galleries: Sequence[tuple[Array, Array]], size: int) -> list[tuple[Array, Array]]:
    """Every gallery's first ``size`` pictures."""
    return [(positives[:size], others[: max(size - len(positives), 0)]) for positives, others in galleries]
