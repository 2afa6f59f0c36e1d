"""Who is looked for where: searches (:class:`~personsearch.types.Trials`) made from annotated pictures.

What the field calls a protocol is a rule from annotation to searches. The rules that need no
file of their own stand here, for every data set and for self-contained features files alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal, get_args

import numpy as np

from personsearch.boxes import iou
from personsearch.errors import DatasetError, UsageError
from personsearch.types import UNLABELLED, Array, Query, Scene, Trials

Cameras = Literal["all", "same", "other"]
"""Which pictures a query is looked for in: all, those of its own camera, or those of the others."""


def camera_trials(
    name: str, scenes: Sequence[Scene], queries: Sequence[Query], cameras: Cameras = "all"
) -> Trials:
    """Every query looked for in every picture but its own (``cameras``: of which cameras).

    An entry's true boxes are all boxes of the person there, in the order of the annotation, so
    a person annotated twice in one picture has two; ``Scene.ignore`` gives the ignored boxes.
    A true box that is itself ignored is only ignored.

    Source: the protocol that the field uses on PRW ("regular": all; "multi-view": other).

    Raises:
        DatasetError: a query's picture is not among ``scenes``, or its person has no name.
        UsageError: ``cameras`` is not "all" and a picture does not say its camera, or there is
            no such choice.

    >>> scenes = [Scene("a", boxes=[[0, 0, 4, 8]], people=[0], camera="1"),
    ...           Scene("b", boxes=[[1, 1, 5, 9]], people=[0], camera="2"), Scene("c", camera="1")]
    >>> found = camera_trials("two cameras", scenes, [Query("a", [0, 0, 4, 8], 0)], "other")
    >>> [found.scenes[row] for row in found.entry_scene], found.truth_box.tolist()
    (['b'], [[1.0, 1.0, 5.0, 9.0]])
    """
    if cameras not in get_args(Cameras):
        raise UsageError(f"no cameras {cameras!r}", hint=f"one of: {', '.join(get_args(Cameras))}")
    row_of = {scene.name: row for row, scene in enumerate(scenes)}
    own = _rows_of_queries(queries, row_of)
    taken = np.ones((len(queries), len(scenes)), bool)
    taken[np.arange(len(queries)), own] = False
    if cameras != "all":
        camera = _cameras(scenes)
        taken &= (camera[own][:, None] == camera[None]) == (cameras == "same")
    _, entry_scene = np.nonzero(taken)
    counts = taken.sum(1)
    entry_ptr = np.concatenate([[0], np.cumsum(counts)])
    people = np.array([query.person for query in queries], np.int64)
    truth_ptr, truth_box = _truths(scenes, people, np.repeat(np.arange(len(queries)), counts), entry_scene)
    ignored = [scene.boxes[scene.ignore] for scene in scenes]
    per_entry = np.array([len(boxes) for boxes in ignored], np.int64)[entry_scene]
    boxes = [ignored[row] for row in entry_scene[per_entry > 0]]
    return Trials(
        name=name,
        scenes=tuple(scene.name for scene in scenes),
        query_scene=own,
        query_box=np.array([query.box for query in queries], np.float32).reshape(-1, 4),
        query_person=people,
        entry_ptr=entry_ptr,
        entry_scene=entry_scene,
        truth_ptr=truth_ptr,
        truth_box=truth_box,
        ignore_ptr=np.concatenate([[0], np.cumsum(per_entry)]),
        ignore_box=np.concatenate([np.zeros((0, 4), np.float32), *boxes]),
    )


def full_gallery(trials: Trials, name: str) -> Trials:
    """Every query of ``trials`` looked for in all of ``trials.scenes``: CUHK-SYSU's "full" gallery.

    The entries of ``trials`` come first, as they are, repeats and own picture too; then every
    other picture in the order of ``trials.scenes``, but the query's own, as a distractor.

    Source: ``gallery_size = -1`` of the field's evaluators, where the person in a picture that
    the given gallery does not list is nobody.
    """
    n = len(trials.scenes)
    more, counts = [], []
    for i in range(len(trials)):
        listed = np.zeros(n, bool)
        listed[trials.entry_scene[trials.entry_ptr[i] : trials.entry_ptr[i + 1]]] = True
        listed[trials.query_scene[i]] = True
        more.append(np.flatnonzero(~listed).astype(np.int32))
        counts.append(len(more[-1]))
    given = np.diff(trials.entry_ptr)
    places = np.repeat(trials.entry_ptr[1:], counts)  # after the given entries of the same query
    entry_scene = np.insert(trials.entry_scene, places, np.concatenate([np.zeros(0, np.int32), *more]))
    old = np.arange(len(trials.entry_scene)) + np.repeat(np.cumsum([0, *counts])[:-1], given)

    def pointers(ptr: Array) -> Array:
        rows = np.zeros(len(entry_scene), np.int64)
        rows[old] = np.diff(ptr)
        return np.concatenate([[0], np.cumsum(rows)])

    return replace(
        trials,
        name=name,
        entry_ptr=np.concatenate([[0], np.cumsum(given + counts)]),
        entry_scene=entry_scene,
        truth_ptr=pointers(trials.truth_ptr),
        ignore_ptr=pointers(trials.ignore_ptr),
    )


def take_queries(trials: Trials, rows: Sequence[int] | Array) -> Trials:
    """The searches for the queries in ``rows``, in that order."""
    rows = np.asarray(rows, np.int64)
    entries = _ranges(trials.entry_ptr[rows], trials.entry_ptr[rows + 1])

    def table(ptr: Array, box: Array) -> tuple[Array, Array]:
        start, stop = ptr[entries], ptr[entries + 1]
        return np.concatenate([[0], np.cumsum(stop - start)]), box[_ranges(start, stop)]

    truth_ptr, truth_box = table(trials.truth_ptr, trials.truth_box)
    ignore_ptr, ignore_box = table(trials.ignore_ptr, trials.ignore_box)
    return replace(
        trials,
        query_scene=trials.query_scene[rows],
        query_box=trials.query_box[rows],
        query_person=trials.query_person[rows],
        entry_ptr=np.concatenate([[0], np.cumsum(trials.entry_ptr[rows + 1] - trials.entry_ptr[rows])]),
        entry_scene=trials.entry_scene[entries],
        truth_ptr=truth_ptr,
        truth_box=truth_box,
        ignore_ptr=ignore_ptr,
        ignore_box=ignore_box,
    )


def junk_of_prw(trials: Trials, scenes: Sequence[Scene]) -> Trials:
    """``trials`` with PRW's own, stricter junk: what its authors' evaluation leaves out of the ranking.

    The person in a picture of the query's own camera is neither right nor wrong, nor is anybody
    without an identity. The field's evaluators, and so the default here, count both.

    Source: Zheng et al., Person Re-identification in the Wild, CVPR 2017, and its baseline code.

    Raises:
        UsageError: a picture does not say its camera.
    """
    of = {scene.name: scene for scene in scenes}
    listed = [of[name] for name in trials.scenes]
    camera = _cameras(listed)
    unnamed = [scene.boxes[(scene.people == UNLABELLED) | scene.ignore] for scene in listed]
    query = np.repeat(np.arange(len(trials)), np.diff(trials.entry_ptr))
    same = camera[trials.query_scene[query]] == camera[trials.entry_scene]
    truths = np.diff(trials.truth_ptr)
    moved = np.repeat(same, truths)
    ignore_ptr, ignore_box = [0], [np.zeros((0, 4), np.float32)]
    for entry, scene in enumerate(trials.entry_scene.tolist()):
        ignore_box.append(unnamed[scene])
        count = len(unnamed[scene])
        if same[entry] and truths[entry]:
            ignore_box.append(trials.truth_box[trials.truth_ptr[entry] : trials.truth_ptr[entry + 1]])
            count += int(truths[entry])
        ignore_ptr.append(ignore_ptr[-1] + count)
    return replace(
        trials,
        name=f"{trials.name} junk=prw",
        truth_ptr=np.concatenate([[0], np.cumsum(np.where(same, 0, truths))]),
        truth_box=trials.truth_box[~moved],
        ignore_ptr=np.array(ignore_ptr),
        ignore_box=np.concatenate(ignore_box),
    )


def match_queries(scenes: Sequence[Scene], queries: Sequence[Query], overlap: float = 0.5) -> list[Query]:
    """``queries`` with the identity of the box they overlap best (by ``overlap`` at least), where unnamed."""
    of = {scene.name: scene for scene in scenes}
    named = []
    for query in queries:
        scene = of.get(query.scene)
        if query.person == UNLABELLED and scene is not None and len(scene):
            shared = iou(scene.boxes, query.box[None])[:, 0]
            best = int(np.argmax(shared))
            if shared[best] >= overlap:
                query = replace(query, person=int(scene.people[best]))
        named.append(query)
    return named


def _rows_of_queries(queries: Sequence[Query], row_of: dict[str, int]) -> Array:
    for number, query in enumerate(queries):
        if query.scene not in row_of:
            raise DatasetError(
                f"query {number} is in {query.scene}, which is no test picture",
                hint="are queries and pictures of one set?",
            )
        if query.person == UNLABELLED:
            raise DatasetError(
                f"query {number} in {query.scene} has no identity", hint="it cannot be looked for"
            )
    return np.array([row_of[query.scene] for query in queries], np.int32)


def _cameras(scenes: Sequence[Scene]) -> Array:
    unknown = next((scene.name for scene in scenes if scene.camera is None), None)
    if unknown is not None:
        raise UsageError(f"{unknown} does not say its camera", hint="use --cameras all")
    return np.unique([str(scene.camera) for scene in scenes], return_inverse=True)[1].reshape(-1)


def _truths(scenes: Sequence[Scene], people: Array, query: Array, scene: Array) -> tuple[Array, Array]:
    """CSR pointer over the entries (query, scene) and the boxes of the entry's person."""
    counts = np.array([len(one) for one in scenes], np.int64)
    owner = np.repeat(np.arange(len(scenes)), counts)
    person = np.concatenate([np.zeros(0, np.int64), *(one.people for one in scenes)])
    box = np.concatenate([np.zeros((0, 4), np.float32), *(one.boxes for one in scenes)])
    ignored = np.concatenate([np.zeros(0, bool), *(one.ignore for one in scenes)])
    rows = np.flatnonzero(np.isin(person, people) & ~ignored)
    # Entries stand in (query, scene) order, so the key of an entry is its place in a sorted list.
    entry_key = query.astype(np.int64) * len(scenes) + scene
    pairs_query, pairs_row = [], []
    for i, wanted in enumerate(people.tolist()):
        mine = rows[person[rows] == wanted]
        pairs_query.append(np.full(len(mine), i))
        pairs_row.append(mine)
    of_query = np.concatenate([np.zeros(0, np.int64), *pairs_query])
    of_row = np.concatenate([np.zeros(0, np.int64), *pairs_row])
    key = of_query * len(scenes) + owner[of_row]
    place = np.searchsorted(entry_key, key)
    there = place < len(entry_key)
    there[there] = entry_key[place[there]] == key[there]
    pointers = np.concatenate([[0], np.cumsum(np.bincount(place[there], minlength=len(entry_key)))])
    return pointers, box[of_row[there]]


def _ranges(start: Array, stop: Array) -> Array:
    """``start[0], ..., stop[0] - 1, start[1], ...`` in one array."""
    length = stop - start
    result: Array = np.repeat(start - (np.cumsum(length) - length), length) + np.arange(length.sum())
    return result
