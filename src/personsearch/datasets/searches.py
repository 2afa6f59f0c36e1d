"""Searches of queries in given galleries, from annotated pictures: who is where comes from the scenes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from personsearch.datasets.rows import ignored
from personsearch.errors import DatasetError
from personsearch.types import UNLABELLED, Array, Query, Scene, Trials

_NO_BOX = np.zeros((0, 4), np.float32)


class NobodyToFind(DatasetError):
    """Nobody is in two test pictures: all could be read, but there is nothing to search."""


def list_searches(
    name: str, scenes: Sequence[Scene], queries: Sequence[Query], galleries: Sequence[Array]
) -> Trials:
    """Query i looked for in the pictures ``galleries[i]``, in that order, repeats and own picture kept.

    An entry's true boxes are all boxes of the person in that picture that are not ignored, in the
    order of the annotation; ``Scene.ignore`` gives the ignored ones.

    Args:
        name: of the protocol.
        scenes: every picture that may occur.
        queries: their pictures are among ``scenes``.
        galleries: per query the rows of ``scenes`` to search.

    Raises:
        DatasetError: a query lies in no picture of ``scenes`` or has no identity.

    >>> scenes = [Scene("a", boxes=[[0, 0, 4, 8]], people=[0]), Scene("b"),
    ...           Scene("c", boxes=[[1, 1, 5, 9]], people=[0])]
    >>> found = list_searches("two", scenes, [Query("a", [0, 0, 4, 8], 0)], [np.array([2, 1])])
    >>> found.entry_scene.tolist(), found.truth_ptr.tolist(), found.truth_box.tolist()
    ([2, 1], [0, 1, 1], [[1.0, 1.0, 5.0, 9.0]])
    """
    row_of = {scene.name: row for row, scene in enumerate(scenes)}
    people = _people_of(queries, row_of)
    owner = np.repeat(np.arange(len(scenes)), [len(scene) for scene in scenes])
    person = np.concatenate([np.zeros(0, np.int64), *(scene.people for scene in scenes)])
    box = np.concatenate([_NO_BOX, *(scene.boxes for scene in scenes)])
    rows = np.flatnonzero(~np.concatenate([np.zeros(0, bool), *(ignored(scene) for scene in scenes)]))
    rows = rows[np.argsort(person[rows], kind="stable")]  # by person, then by picture, then as annotated
    first, last = (np.searchsorted(person[rows], people, side) for side in ("left", "right"))
    junk = [scene.boxes[ignored(scene)] for scene in scenes]
    junk_count = np.array([len(boxes) for boxes in junk], np.int64)

    counts, truths, junk_counts, junk_boxes = [], [_NO_BOX], [], [_NO_BOX]
    for i, gallery in enumerate(galleries):
        mine = rows[first[i] : last[i]]
        start, stop = (np.searchsorted(owner[mine], gallery, side) for side in ("left", "right"))
        counts.append(stop - start)
        truths += [box[mine[start[k] : stop[k]]] for k in np.flatnonzero(stop > start)]
        junk_counts.append(junk_count[gallery])
        junk_boxes += [junk[row] for row in gallery[junk_count[gallery] > 0].tolist()]
    return Trials(
        name=name,
        scenes=tuple(row_of),
        query_scene=np.array([row_of[query.scene] for query in queries], np.int32),
        query_box=np.array([query.box for query in queries], np.float32).reshape(-1, 4),
        query_person=people,
        entry_ptr=pointers(np.array([len(gallery) for gallery in galleries], np.int64)),
        entry_scene=np.concatenate([np.zeros(0, np.int32), *galleries]).astype(np.int32),
        truth_ptr=pointers(np.concatenate([np.zeros(0, np.int64), *counts])),
        truth_box=np.concatenate(truths),
        ignore_ptr=pointers(np.concatenate([np.zeros(0, np.int64), *junk_counts])),
        ignore_box=np.concatenate(junk_boxes),
    )


def pointers(counts: Array) -> Array:
    """CSR pointers of items with so many rows each.

    >>> pointers(np.array([2, 0, 1])).tolist()
    [0, 2, 2, 3]
    """
    result = np.zeros(len(counts) + 1, np.int64)
    np.cumsum(counts, out=result[1:])
    return result


def _people_of(queries: Sequence[Query], row_of: dict[str, int]) -> Array:
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
    return np.array([query.person for query in queries], np.int64)
