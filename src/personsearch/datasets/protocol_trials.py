"""The searches that a protocol file means among a data set's pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from personsearch.datasets.protocol_file import ByPlace, ProtocolFile, Sought
from personsearch.datasets.rows import ignored, visible
from personsearch.datasets.searches import list_searches, pointers
from personsearch.errors import DatasetError, UsageError
from personsearch.protocols import Cameras
from personsearch.types import UNLABELLED, Array, Query, Scene, Trials

BARELY_VISIBLE = 0.25
"""Boxes of which less is visible count neither way."""

_UNKNOWN = np.iinfo(np.int64).min


@dataclass(frozen=True, eq=False, kw_only=True)
class Pictures:
    """What a data set knows of the pictures that a protocol is about.

    Attributes:
        scenes: the test half.
        people: the number of every person, by the annotation's own name.
        frames: the frame number of pictures, by name, where known.
    """

    scenes: Sequence[Scene]
    people: Mapping[str, int]
    frames: Mapping[str, int]


def protocol_trials(
    protocol: ProtocolFile,
    name: str,
    pictures: Pictures,
    *,
    gallery: Literal["listed", "full"] = "listed",
    cameras: Cameras = "all",
) -> Trials:
    """The searches of ``protocol`` among ``pictures``; ``Trials.scenes`` names all of them.

    Args:
        protocol: as read.
        name: of the protocol, for tables.
        pictures: what the data set knows.
        gallery: ``"full"`` looks in all pictures instead of those listed (and by the rule alone).
        cameras: of which cameras the gallery's pictures are.

    Raises:
        DatasetError: the protocol names pictures or people that are not there.
        UsageError: ``cameras`` is not "all" and a picture does not say its camera.
    """
    if gallery == "full":
        every = tuple(scene.name for scene in pictures.scenes)
        by_rule = [replace(one, gallery=None, truths=None, ignored=None) for one in protocol.queries]
        protocol = replace(protocol, names=every, common=len(every), queries=tuple(by_rule))
    row_of = {scene.name: row for row, scene in enumerate(pictures.scenes)}
    _check_names(protocol, row_of, pictures.people)
    camera = _cameras(pictures.scenes, cameras)
    frame = np.array([pictures.frames.get(scene.name, _UNKNOWN) for scene in pictures.scenes], np.int64)
    row = np.array([row_of[name] for name in protocol.names], np.int64)
    rows, kept = [], []
    for one in protocol.queries:
        own = row_of[one.image]
        listed = row[: protocol.common] if one.gallery is None else row[one.gallery]
        keep = np.ones(len(listed), bool) if one.gallery is not None else listed != own
        if one.exclude_frames is not None:
            first, last = one.exclude_frames
            _check_frames(one, frame[listed], pictures.scenes, listed)
            keep &= (frame[listed] < first) | (frame[listed] > last)
        if camera is not None:
            keep &= (camera[listed] == camera[own]) == (cameras == "same")
        rows.append(listed)
        kept.append(keep)
    queries = [Query(one.image, one.box, pictures.people[one.person]) for one in protocol.queries]
    galleries = [listed[keep] for listed, keep in zip(rows, kept, strict=True)]
    ruled = list_searches(name, with_ignored(pictures.scenes, protocol.ignored), queries, galleries)
    truth_ptr, truth_box = _listed_or(
        [one.truths for one in protocol.queries], kept, ruled.entry_ptr, (ruled.truth_ptr, ruled.truth_box)
    )
    ignore_ptr, ignore_box = _listed_or(
        [one.ignored for one in protocol.queries],
        kept,
        ruled.entry_ptr,
        (ruled.ignore_ptr, ruled.ignore_box),
    )
    return replace(
        ruled, truth_ptr=truth_ptr, truth_box=truth_box, ignore_ptr=ignore_ptr, ignore_box=ignore_box
    )


def _check_names(protocol: ProtocolFile, row_of: Mapping[str, int], people: Mapping[str, int]) -> None:
    """Every picture and person that the protocol names is there."""
    for name in (*protocol.names, *(protocol.ignored or ())):
        if name not in row_of:
            raise DatasetError(
                f"{protocol.path}: gallery names {name}, which is no test picture",
                hint="are protocol and annotation of one set?",
            )
    for one in protocol.queries:
        if one.image not in row_of:
            raise DatasetError(
                f"{one.where}: {one.image} is no test picture", hint="are protocol and annotation of one set?"
            )
        if one.person not in people:
            raise DatasetError(
                f"{one.where}: person_id {one.person} is nobody in the test pictures",
                hint="are protocol and annotation of one set?",
            )


def _check_frames(one: Sought, frame: Array, scenes: Sequence[Scene], rows: Array) -> None:
    """Leaving out by frame needs the frame of every picture."""
    unknown = np.flatnonzero(frame == _UNKNOWN)
    if len(unknown):
        raise DatasetError(
            f"{one.where}: exclude_frames, but {scenes[rows[unknown[0]]].name} does not say its frame",
            hint="give every picture a frame in the annotation",
        )


def _cameras(scenes: Sequence[Scene], cameras: Cameras) -> Array | None:
    """The camera of every picture; None where it does not matter."""
    if cameras == "all":
        return None
    unknown = next((scene.name for scene in scenes if scene.camera is None), None)
    if unknown is not None:
        raise UsageError(f"{unknown} does not say its camera", hint="use --cameras all")
    return np.array([scene.camera for scene in scenes], object)


def with_ignored(scenes: Sequence[Scene], listed: Mapping[str, Array] | None = None) -> list[Scene]:
    """The scenes as a protocol sees them: what is hardly visible counts neither way.

    Where the protocol lists what is ignored, that is all: the lists replace the annotation's.
    """
    result = []
    for scene in scenes:
        hardly = visible(scene) < BARELY_VISIBLE  # False where nobody knows
        ignore = ignored(scene) | hardly
        if listed is None:
            result.append(replace(scene, ignore=ignore))
            continue
        boxes = listed.get(scene.name, np.zeros((0, 4), np.float32))
        seen = ~ignore
        result.append(
            replace(
                scene,
                boxes=np.concatenate([scene.boxes[seen], boxes]),
                people=np.concatenate([scene.people[seen], np.full(len(boxes), UNLABELLED)]),
                visible=None,
                ignore=np.arange(int(seen.sum()) + len(boxes)) >= int(seen.sum()),
            )
        )
    return result


def _listed_or(
    listed: Sequence[ByPlace | None], kept: Sequence[Array], entry_ptr: Array, ruled: tuple[Array, Array]
) -> tuple[Array, Array]:
    """A CSR table over all entries: what a query lists (in the places kept), else what the rule says."""
    if all(one is None for one in listed):
        return ruled
    ptr, box = ruled
    counts, boxes = [np.zeros(0, np.int64)], [np.zeros((0, 4), np.float32)]
    for i, (one, keep) in enumerate(zip(listed, kept, strict=True)):
        if one is None:
            part = ptr[entry_ptr[i] : entry_ptr[i + 1] + 1]
            counts.append(np.diff(part))
            boxes.append(box[part[0] : part[-1]])
        else:
            places, table = one
            counts.append(np.bincount(places, minlength=len(keep))[keep])
            boxes.append(table[keep[places]])
    return pointers(np.concatenate(counts)), np.concatenate(boxes)
