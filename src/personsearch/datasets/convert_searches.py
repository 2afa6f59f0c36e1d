"""Searches as another layout can hold them: listed, drawn, or left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from personsearch.datasets.convert_material import Loss, Material, Step
from personsearch.errors import DatasetError
from personsearch.protocols import take_queries
from personsearch.types import UNLABELLED, Array, Scene, Trials

SIZES = (50, 100, 500, 1000, 2000, 4000)
_MOST_ENTRIES = 2_000_000  # of searches in all pictures that are still listed one by one


def one_box(material: Material) -> tuple[Material, Sequence[Loss]]:
    """At most one right answer a gallery picture."""
    lost: set[tuple[str, int]] = set()

    def first(trials: Trials) -> Trials:
        counts = np.diff(trials.truth_ptr)
        owner = np.repeat(np.arange(len(trials)), np.diff(trials.entry_ptr))
        for entry in np.flatnonzero(counts > 1).tolist():
            lost.add((trials.scenes[trials.entry_scene[entry]], int(trials.query_person[owner[entry]])))
        kept = np.minimum(counts, 1)
        return replace(
            trials,
            truth_ptr=np.concatenate([[0], np.cumsum(kept)]),
            truth_box=trials.truth_box[trials.truth_ptr[:-1][counts > 0]],
        )

    fitting = material.with_trials(first)
    what = "gallery pictures with two boxes of one person: the first is the right answer, alone"
    return fitting, [Loss(count=len(lost), what=what)]


def no_galleries(material: Material) -> tuple[Material, Sequence[Loss]]:
    """Queries alone, each to be looked for in all pictures."""
    lost = [
        Loss(count=len(material.galleries), what="gallery sizes: every query is looked for in all pictures"),
        Loss(count=len(material.subsets), what="subsets of hard queries: they are left out"),
    ]
    if material.searches is None:
        raise _no_queries("prw")
    if material.whole is not None:
        part = np.diff(material.whole.entry_ptr) < len(material.whole.scenes) - 1
        what = "queries that leave out some pictures: they are looked for in all but their own"
        lost.append(Loss(count=int(part.sum()), what=what))
    return replace(material, galleries={}, whole=material.searches, subsets={}), lost


def _no_queries(target: str) -> DatasetError:
    return DatasetError(
        f"the data set has no queries, and {target} needs them",
        hint="personsearch dataset protocol makes some",
    )


def listed_galleries(seed: int) -> Step:
    """CUHK-SYSU lists every gallery; searches in all pictures are listed where that is possible."""

    def step(material: Material) -> tuple[Material, Sequence[Loss]]:
        if material.galleries:
            return material, ()
        if material.whole is None:
            raise _no_queries("cuhk-sysu")
        lengths = np.diff(material.whole.entry_ptr)
        if not len(lengths) or not lengths.min():
            raise _no_queries("cuhk-sysu")
        if len(set(lengths.tolist())) == 1 and len(material.whole.entry_scene) <= _MOST_ENTRIES:
            return replace(material, galleries={int(lengths[0]): material.whole}, whole=None), ()
        shortest = int(lengths.min())
        sizes = [size for size in SIZES if size < shortest] or [shortest]
        drawn = {size: draw_gallery(material.whole, size, seed) for size in sizes}
        shown = ", ".join(map(str, sizes))
        lost = Loss(
            count=len(material.whole),
            what=f"searches in all pictures: galleries of {shown} are drawn of them (seed {seed})",
        )
        return replace(material, galleries=drawn, whole=None), [lost]

    return step


def draw_gallery(trials: Trials, size: int, seed: int) -> Trials:
    """The same queries, each in ``size`` of its gallery pictures: its positives first, then others by lot.

    Smaller galleries are beginnings of larger ones of the same seed; a query's draw does not
    depend on the other queries.
    """
    positive = np.diff(trials.truth_ptr) > 0
    rows = []
    for query in range(len(trials)):
        entries = np.arange(trials.entry_ptr[query], trials.entry_ptr[query + 1])
        others = entries[~positive[entries]]
        shuffled = np.random.default_rng([seed, query]).permutation(others)
        rows.append(np.concatenate([entries[positive[entries]], shuffled])[:size])
    kept = np.concatenate([np.zeros(0, np.int64), *rows])

    def table(ptr: Array, box: Array) -> tuple[Array, Array]:
        boxes = [box[ptr[entry] : ptr[entry + 1]] for entry in kept[ptr[kept + 1] > ptr[kept]].tolist()]
        counts = ptr[kept + 1] - ptr[kept]
        return np.concatenate([[0], np.cumsum(counts)]), np.concatenate(
            [np.zeros((0, 4), np.float32), *boxes]
        )

    truth_ptr, truth_box = table(trials.truth_ptr, trials.truth_box)
    ignore_ptr, ignore_box = table(trials.ignore_ptr, trials.ignore_box)
    return replace(
        trials,
        name=f"{trials.name} gallery={size} drawn={seed}",
        entry_ptr=np.concatenate([[0], np.cumsum([len(part) for part in rows])]),
        entry_scene=trials.entry_scene[kept],
        truth_ptr=truth_ptr,
        truth_box=truth_box,
        ignore_ptr=ignore_ptr,
        ignore_box=ignore_box,
    )


def only_sought(material: Material) -> tuple[Material, Sequence[Loss]]:
    """CUHK-SYSU names the test people by their queries: who is in no gallery is nobody.

    People are numbered anew: the training half without gaps, the test half by their first query;
    second queries for somebody come after everybody's first, as those numbers need it.
    """
    asked = material.galleries[min(material.galleries)].query_person
    first = np.sort(np.unique(asked, return_index=True)[1])
    order = np.concatenate([first, np.setdiff1d(np.arange(len(asked)), first)])
    material = replace(
        material, galleries={size: take_queries(t, order) for size, t in material.galleries.items()}
    )
    searches = material.galleries[min(material.galleries)]
    kept: set[tuple[str, tuple[float, ...], int]] = set()
    owner = np.repeat(np.arange(len(searches)), np.diff(searches.entry_ptr))
    entry_of = np.repeat(np.arange(len(owner)), np.diff(searches.truth_ptr))
    places = np.concatenate([searches.query_scene, searches.entry_scene[entry_of]])
    boxes = np.concatenate([searches.query_box, searches.truth_box])
    people = np.concatenate([searches.query_person, searches.query_person[owner[entry_of]]])
    for place, box, person in zip(places.tolist(), boxes.tolist(), people.tolist(), strict=True):
        kept.add((searches.scenes[place], tuple(box), person))
    sought = list(dict.fromkeys(person for person in searches.query_person.tolist()))
    test_number = {person: number for number, person in enumerate(sought)}
    present = np.unique(np.concatenate([np.zeros(0, np.int64), *(s.people for s in material.train)]))
    train_number = {p: n for n, p in enumerate(present[present != UNLABELLED].tolist())}
    lost = 0

    def of_test(scene: Scene) -> Scene:
        nonlocal lost
        numbers = []
        for box, person in zip(scene.boxes.tolist(), scene.people.tolist(), strict=True):
            named = (scene.name, tuple(box), person) in kept
            lost += person != UNLABELLED and not named
            numbers.append(test_number[person] if named else UNLABELLED)
        return replace(scene, people=np.array(numbers, np.int64))

    def of_train(scene: Scene) -> Scene:
        numbers = [train_number.get(person, UNLABELLED) for person in scene.people.tolist()]
        return replace(scene, people=np.array(numbers, np.int64))

    def of_trials(trials: Trials) -> Trials:
        numbers = [test_number.get(person, UNLABELLED) for person in trials.query_person.tolist()]
        return replace(trials, query_person=np.array(numbers, np.int64))

    fitting = replace(
        material,
        train=tuple(map(of_train, material.train)),
        test=tuple(map(of_test, material.test)),
        names={},
    ).with_trials(of_trials)
    what = "boxes of test people in no gallery: they lose their identity"
    return fitting, [Loss(count=lost, what=what)]
