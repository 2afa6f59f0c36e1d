"""Who is looked for where: searches (:class:`~personsearch.types.Trials`) made from annotated pictures.

What the field calls a protocol is a rule from annotation to searches. The rules that need no
file of their own stand here, for every data set and for self-contained features files alike.

PRW has 12.6 million gallery entries and CUHK-SYSU's full gallery 20 million, nearly all of them
without a box: per-entry tables are built once, in their final type, and a table whose entries
all have no rows is one broadcast zero.
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

_NOBODY = np.zeros((0, 4), np.float32)


def camera_trials(
    name: str, scenes: Sequence[Scene], queries: Sequence[Query], cameras: Cameras = "all"
) -> Trials:
    """Every query looked for in every picture but its own (``cameras``: of which cameras).

    An entry's true boxes are all boxes of the person there, in the order of the annotation, so
    a person annotated twice in one picture has two; ``Scene.ignore`` gives the ignored boxes.
    A true box that is itself ignored is only ignored.

    Source: the protocol that the field uses on PRW ("regular": all; "multi-view": other).

    Raises:
        DatasetError: a query's picture is not among ``scenes``, two pictures have one name, or
            the person has none.
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
    own = _rows_of_queries(queries, scenes)
    taken = np.ones((len(queries), len(scenes)), bool)
    if cameras != "all":
        camera = _cameras(scenes)
        taken = (camera[own][:, None] == camera[None]) == (cameras == "same")
    taken[np.arange(len(queries)), own] = False
    entry_scene: Array = np.broadcast_to(np.arange(len(scenes), dtype=np.int32), taken.shape)[taken]
    entry_ptr = _pointers(taken.sum(1))
    people = np.array([query.person for query in queries], np.int64)
    entries, truth_box = _truths(scenes, people, entry_ptr, entry_scene)
    ignore_ptr, ignore_box = _boxes_of([scene.boxes[scene.ignore] for scene in scenes], entry_scene)
    return Trials(
        name=name,
        scenes=tuple(scene.name for scene in scenes),
        query_scene=own,
        query_box=np.array([query.box for query in queries], np.float32).reshape(-1, 4),
        query_person=people,
        entry_ptr=entry_ptr,
        entry_scene=entry_scene,
        truth_ptr=_sparse_pointers(entries, None, len(entry_scene)),
        truth_box=truth_box,
        ignore_ptr=ignore_ptr,
        ignore_box=ignore_box,
    )


def full_gallery(trials: Trials, name: str) -> Trials:
    """Every query of ``trials`` looked for in all of ``trials.scenes``: CUHK-SYSU's "full" gallery.

    The entries of ``trials`` come first, as they are, repeats and own picture too; then every
    other picture in the order of ``trials.scenes``, but the query's own, as a distractor.

    Source: ``gallery_size = -1`` of the field's evaluators, where the person in a picture that
    the given gallery does not list is nobody.
    """
    n, given = len(trials.scenes), np.diff(trials.entry_ptr)
    entry_scene = np.empty(int(given.sum()) + len(trials) * n, np.int32)
    old = np.empty(int(given.sum()), np.int64)  # where the given entries stand now
    counts = np.zeros(len(trials), np.int64)
    end = 0
    for i in range(len(trials)):
        start, stop = trials.entry_ptr[i], trials.entry_ptr[i + 1]
        listed = trials.entry_scene[start:stop]
        other = np.ones(n, bool)
        other[listed] = False
        other[trials.query_scene[i]] = False
        more = np.flatnonzero(other)
        begin, middle, end = end, end + len(listed), end + len(listed) + len(more)
        old[start:stop] = np.arange(begin, middle)
        entry_scene[begin:middle] = listed
        entry_scene[middle:end] = more
        counts[i] = end - begin

    return replace(
        trials,
        name=name,
        entry_ptr=_pointers(counts),
        entry_scene=entry_scene[:end],
        truth_ptr=_sparse_pointers(old, np.diff(trials.truth_ptr), end),
        ignore_ptr=_sparse_pointers(old, np.diff(trials.ignore_ptr), end),
    )


def take_queries(trials: Trials, rows: Sequence[int] | Array) -> Trials:
    """The searches for the queries in ``rows``, in that order."""
    rows = np.asarray(rows, np.int64).reshape(-1)
    entries = [slice(int(start), int(stop)) for start, stop in _bounds(trials.entry_ptr, rows)]

    def table(ptr: Array, box: Array) -> tuple[Array, Array]:
        if not len(box):
            return _sparse_pointers(np.zeros(0, np.int64), np.zeros(0, np.int64), count), box
        lengths = [np.diff(ptr[part.start : part.stop + 1]) for part in entries]
        boxes = [box[ptr[part.start] : ptr[part.stop]] for part in entries]
        return _pointers(_joined(lengths, ptr[:0])), _joined(boxes, box[:0])

    count = sum(part.stop - part.start for part in entries)
    truth_ptr, truth_box = table(trials.truth_ptr, trials.truth_box)
    ignore_ptr, ignore_box = table(trials.ignore_ptr, trials.ignore_box)
    return replace(
        trials,
        query_scene=trials.query_scene[rows],
        query_box=trials.query_box[rows],
        query_person=trials.query_person[rows],
        entry_ptr=_pointers(np.array([part.stop - part.start for part in entries], np.int64)),
        entry_scene=_joined([trials.entry_scene[part] for part in entries], trials.entry_scene[:0]),
        truth_ptr=truth_ptr,
        truth_box=truth_box,
        ignore_ptr=ignore_ptr,
        ignore_box=ignore_box,
    )


def junk_of_prw(trials: Trials, scenes: Sequence[Scene]) -> Trials:
    """``trials`` with PRW's own, stricter junk: what its authors' evaluation leaves out of the ranking.

    The person in a picture of the query's own camera is neither right nor wrong, nor is anybody
    without an identity. The field's evaluators, and so the default here, count both. Boxes that
    ``trials`` already ignore stay ignored.

    Source: Zheng et al., Person Re-identification in the Wild, CVPR 2017, and its baseline code.

    Raises:
        UsageError: a picture does not say its camera.
        DatasetError: ``scenes`` lack one of the trials' pictures.
    """
    of = {scene.name: scene for scene in scenes}
    missing = [name for name in trials.scenes if name not in of]
    if missing:
        raise DatasetError(f"{missing[0]} is not annotated", hint="are searches and pictures of one set?")
    listed = [of[name] for name in trials.scenes]
    camera = _cameras(listed)
    nobody_ptr, nobody = _table([s.boxes[(s.people == UNLABELLED) & ~np.asarray(s.ignore)] for s in listed])
    truth_ptr, ignore_ptr = (np.zeros(len(trials.entry_scene) + 1, np.int64) for _ in range(2))
    boxes, kept = [], []
    for i in range(len(trials)):  # query by query: tables over all entries at once are gigabytes on PRW
        first, last = trials.entry_ptr[i : i + 2]
        start, stop = slice(first, last), slice(first + 1, last + 1)
        scene = trials.entry_scene[start]
        same = camera[scene] == camera[trials.query_scene[i]]
        truths = np.diff(trials.truth_ptr[first : last + 1])
        person = trials.truth_box[trials.truth_ptr[first] : trials.truth_ptr[last]]
        kept.append(person[np.repeat(~same, truths)])
        truth_ptr[stop] = np.where(same, 0, truths)
        moved = np.where(same, trials.truth_ptr[stop], trials.truth_ptr[start])
        ignore_ptr[stop], junk = _side_by_side(
            (trials.ignore_box, trials.ignore_ptr[start], trials.ignore_ptr[stop]),
            (trials.truth_box, trials.truth_ptr[start], moved),
            (nobody, nobody_ptr[scene], nobody_ptr[scene + 1]),
        )
        boxes.append(junk)
    return replace(
        trials,
        name=f"{trials.name} junk=prw",
        truth_ptr=np.cumsum(truth_ptr, out=truth_ptr),
        truth_box=_joined(kept, trials.truth_box[:0]),
        ignore_ptr=np.cumsum(ignore_ptr, out=ignore_ptr),
        ignore_box=_joined(boxes, trials.ignore_box[:0]),
    )


def match_queries(scenes: Sequence[Scene], queries: Sequence[Query], overlap: float = 0.5) -> list[Query]:
    """``queries`` with the identity of the box they overlap best (by ``overlap`` at least), where unnamed.

    >>> scenes = [Scene("a", boxes=[[0, 0, 4, 8], [2, 0, 6, 8]], people=[5, 6])]
    >>> [q.person for q in match_queries(scenes, [Query("a", [2, 0, 6, 7]), Query("b", [0, 0, 1, 1])])]
    [6, -1]
    """
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


def _rows_of_queries(queries: Sequence[Query], scenes: Sequence[Scene]) -> Array:
    row_of = {scene.name: row for row, scene in enumerate(scenes)}
    if len(row_of) != len(scenes):
        raise DatasetError("two pictures have one name", hint="names of pictures must differ")
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
    """(len(scenes),) int32 number of each picture's camera."""
    unknown = next((scene.name for scene in scenes if scene.camera is None), None)
    if unknown is not None:
        raise UsageError(f"{unknown} does not say its camera", hint="use --cameras all")
    names = [str(scene.camera) for scene in scenes]
    number = {name: i for i, name in enumerate(sorted(set(names)))}
    return np.array([number[name] for name in names], np.int32)


def _truths(
    scenes: Sequence[Scene], people: Array, entry_ptr: Array, entry_scene: Array
) -> tuple[Array, Array]:
    """The (entry, box) pairs in which an entry's picture holds its query's person, in order of entries."""
    owner = np.repeat(np.arange(len(scenes)), [len(one) for one in scenes])
    person = _joined([one.people for one in scenes], np.zeros(0, np.int64))
    box = _joined([one.boxes for one in scenes], _NOBODY)
    rows = np.flatnonzero(~_joined([np.asarray(one.ignore) for one in scenes], np.zeros(0, bool)))
    rows = rows[np.argsort(person[rows], kind="stable")]  # by person, then as annotated
    first = np.searchsorted(person[rows], people, "left")
    last = np.searchsorted(person[rows], people, "right")
    entries, taken = [], []
    for i in range(len(people)):
        mine = rows[first[i] : last[i]]
        # The entries of a query stand in the order of the scenes, so each is found by bisection.
        listed = entry_scene[entry_ptr[i] : entry_ptr[i + 1]]
        place = np.searchsorted(listed, owner[mine].astype(np.int32))
        there = place < len(listed)
        there[there] = listed[place[there]] == owner[mine[there]]
        entries.append(entry_ptr[i] + place[there])
        taken.append(mine[there])
    return _joined(entries, np.zeros(0, np.int64)), box[_joined(taken, np.zeros(0, np.int64))]


def _table(parts: Sequence[Array]) -> tuple[Array, Array]:
    """Boxes of several items as a CSR table."""
    return _pointers(np.array([len(part) for part in parts], np.int64)), _joined(parts, _NOBODY)


def _boxes_of(boxes: Sequence[Array], entry_scene: Array) -> tuple[Array, Array]:
    """A CSR table over the entries: the boxes that belong to each entry's picture."""
    ptr, table = _table(boxes)
    if not len(table):
        return _sparse_pointers(np.zeros(0, np.int64), None, len(entry_scene)), table
    hit = np.flatnonzero(np.diff(ptr).astype(bool)[entry_scene])
    start, stop = ptr[entry_scene[hit]], ptr[entry_scene[hit] + 1]
    return _sparse_pointers(hit, stop - start, len(entry_scene)), table[_ranges(start, stop)]


def _side_by_side(*tables: tuple[Array, Array, Array]) -> tuple[Array, Array]:
    """Number of boxes of each item, and the boxes: those of the first table (boxes, start, stop), then ..."""
    counts: Array = np.sum([stop - start for _, start, stop in tables], axis=0)
    result = np.empty((counts.sum(), 4), np.float32)
    place = np.cumsum(counts) - counts
    for boxes, start, stop in tables:
        if len(boxes):
            result[_ranges(place, place + stop - start)] = boxes[_ranges(start, stop)]
            place += stop - start
    return counts, result


def _pointers(counts: Array) -> Array:
    """CSR pointers of items with so many rows each."""
    pointers = np.zeros(len(counts) + 1, np.int64)
    np.cumsum(counts, out=pointers[1:])
    return pointers


def _sparse_pointers(items: Array, counts: Array | None, n: int) -> Array:
    """CSR pointers over ``n`` items of which only ``items`` have rows: ``counts``, or one a mention."""
    if not len(items) or (counts is not None and not counts.any()):
        return np.broadcast_to(np.zeros(1, np.int64), n + 1)
    pointers = np.zeros(n + 1, np.int64)
    if counts is None:
        items, counts = np.unique(items, return_counts=True)
    pointers[items + 1] = counts
    return np.cumsum(pointers, out=pointers)


def _bounds(ptr: Array, rows: Array) -> Array:
    """(len(rows), 2) first and last + 1 row of each item."""
    return np.stack([ptr[rows], ptr[rows + 1]], axis=1)


def _joined(parts: Sequence[Array], empty: Array) -> Array:
    """All ``parts`` in a row; ``empty`` gives the type where there are none."""
    return np.concatenate([empty, *parts])


def _ranges(start: Array, stop: Array) -> Array:
    """``start[0], ..., stop[0] - 1, start[1], ...`` in one array."""
    length = stop - start
    result: Array = np.repeat(start - (np.cumsum(length) - length), length) + np.arange(length.sum())
    return result
