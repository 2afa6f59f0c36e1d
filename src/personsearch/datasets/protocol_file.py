"""Protocols as JSON files, for any data set whose pictures have names.

::

    {"name": "street reentry", "rule": "in words, for people",
     "gallery": ["a.jpg", "b.jpg"],
     "ignored": {"b.jpg": [[x, y, w, h]]},
     "queries": [{"image": "a.jpg", "bbox": [x, y, w, h], "person_id": "p1",
                  "exclude_frames": [1, 147],
                  "gallery": ["b.jpg", 0], "truths": [[0, x, y, w, h]], "ignored": []}]}

Only ``gallery``, ``queries`` and a query's ``image``, ``bbox`` and ``person_id`` are needed. A query is
looked for in ``gallery`` without its own picture and without the pictures whose ``frame`` lies in
``exclude_frames`` (first and last, both included; of whatever camera): its own appearance, or
the next second of the same walk would answer it. The right answers are the person's boxes in
the annotation; boxes that are ignored there, or less than 0.25 visible, count neither way.

What a rule cannot say is listed: a query's own ``gallery`` (names, or places in the common one;
in protocol order, repeats and its own picture kept), its ``truths`` (place in its gallery, then the box), and
what is ignored, by picture for all queries or by place for one. Written protocols list their
truths, so that they mean the same without the annotation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from personsearch.boxes import from_xywh
from personsearch.datasets.json_files import Fields, exact_xywh, read_json, write_tables
from personsearch.errors import DatasetError
from personsearch.types import UNLABELLED, Array, Trials

ByPlace = tuple[Array, Array]
"""Places in a gallery, rising, and a (n, 4) box for each."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Sought:
    """One query as the file has it; None where the file leaves it to the rule.

    ``gallery`` are places in :attr:`ProtocolFile.names`.
    """

    where: str
    image: str
    box: Array
    person: str
    exclude_frames: tuple[int, int] | None
    gallery: Array | None
    truths: ByPlace | None
    ignored: ByPlace | None


@dataclass(frozen=True, eq=False, kw_only=True)
class ProtocolFile:
    """A protocol as its file has it, not yet held against pictures.

    ``names`` are those of the common gallery, its first ``common`` ones, and of the queries' own.
    """

    path: Path
    name: str
    rule: str
    names: tuple[str, ...]
    common: int
    ignored: Mapping[str, Array] | None
    queries: tuple[Sought, ...]


def read_protocol_file(path: Path) -> ProtocolFile:
    """The protocol in ``path``.

    Raises:
        DatasetError: the file is missing, no JSON, or not of this form; it names query and field.
    """
    top = Fields(read_json(path), str(path))
    names: list[str] = []
    _places(top, "gallery", names, 0)
    common = len(names)
    raw = top.objects("queries")
    if not raw:
        raise DatasetError(f"{path} has no queries", hint="queries is a list of image, bbox, person_id")
    return ProtocolFile(
        path=path,
        name=top.text("name") or path.stem,
        rule=top.text("rule") or "",
        queries=tuple(
            _query(Fields(one, f"{path}: queries[{i}]"), names, common) for i, one in enumerate(raw)
        ),
        ignored=_ignored_by_picture(top),
        names=tuple(names),
        common=common,
    )


def write_protocol_file(
    path: Path, trials: Trials, *, rule: str = "", person_names: Sequence[str] | None = None
) -> None:
    """Write ``trials`` to ``path``, all or nothing; what is read back are the same searches.

    ``Trials.scenes`` comes back where the data set's test half has the same pictures in that order.

    Args:
        path: the file.
        trials: any searches.
        rule: in words, how they were made.
        person_names: what the annotation calls person 0, 1, 2 ...; None where it has the numbers themselves.

    Raises:
        DatasetError: there is no query, one has no identity, or a box has no inside.
    """
    if not len(trials):
        raise DatasetError(f"{path}: there is no query to write", hint="every person is seen only once")
    if (trials.query_person == UNLABELLED).any():
        raise DatasetError(f"{path}: a query has no identity", hint="leave it out; it cannot be looked for")
    used = np.unique(trials.entry_scene)
    place = np.full(len(trials.scenes), -1, np.int64)
    place[used] = np.arange(len(used))
    boxes = exact_xywh(trials.query_box)
    truth_rows = _rows_by_query(trials, trials.truth_ptr, trials.truth_box)
    by_picture = _one_a_picture(trials)
    junk_rows = None
    if by_picture is None:
        junk_rows = _rows_by_query(trials, trials.ignore_ptr, trials.ignore_box)
    queries = []
    for i in range(len(trials)):
        own, person = int(trials.query_scene[i]), int(trials.query_person[i])
        entries = trials.entry_scene[trials.entry_ptr[i] : trials.entry_ptr[i + 1]]
        common = used[used != own]
        query: dict[str, Any] = {
            "image": trials.scenes[own],
            "bbox": boxes[i],
            "person_id": person_names[person] if person_names is not None else person,
        }
        places = place[entries]
        if len(entries) == len(common) and np.array_equal(entries, common):
            # The common gallery still lists the query's own picture, and places count it.
            places_of = np.flatnonzero(used != own)
        else:
            query["gallery"] = places.tolist()
            places_of = np.arange(len(entries))
        query["truths"] = [[int(places_of[at]), *box] for at, box in truth_rows[i]]
        if junk_rows is not None:
            query["ignored"] = [[int(places_of[at]), *box] for at, box in junk_rows[i]]
        queries.append(query)
    head: dict[str, Any] = {"name": trials.name, "rule": rule} if rule else {"name": trials.name}
    head["gallery"] = [trials.scenes[row] for row in used.tolist()]
    head["ignored"] = by_picture or {}
    write_tables(path, head, {"queries": queries})


def _places(entry: Fields, field: str, names: list[str], common: int) -> Array:
    """A gallery of names, or of places among the ``common`` first ``names``, as places; names are added."""
    values = entry.objects(field)
    if values and set(map(type, values)) == {int} and min(values) >= 0 and max(values) < common:
        return np.array(values, np.int64)  # the usual one of a written file, and thousands long
    places = []
    for value in values:
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < common:
            places.append(value)
        elif isinstance(value, str) and value:
            places.append(len(names))
            names.append(value)
        else:
            raise entry.wrong(field, "a list of names of pictures, or of places in the common gallery")
    return np.array(places, np.int64)


def _query(entry: Fields, names: list[str], common: int) -> Sought:
    for field in ("image", "bbox", "person_id"):
        if field not in entry:
            raise entry.wrong(field, "there")
    gallery = _places(entry, "gallery", names, common) if "gallery" in entry else None
    count = common if gallery is None else len(gallery)
    frames = None
    if "exclude_frames" in entry:
        pair = entry.objects("exclude_frames")
        if len(pair) != 2 or not all(isinstance(n, int) and not isinstance(n, bool) for n in pair):
            raise entry.wrong("exclude_frames", "the first and the last frame")
        if not all(abs(n) < 2**62 for n in pair):
            raise entry.wrong("exclude_frames", "numbers of frames")
        frames = (pair[0], pair[1])
    box = from_xywh(np.array(entry.box("bbox")))
    if (box[2:] <= box[:2]).any():
        raise entry.wrong("bbox", "a box with an inside")
    return Sought(
        where=entry.where,
        image=entry.text("image") or "",
        box=box,
        person=entry.label("person_id") or "",
        exclude_frames=frames,
        gallery=gallery,
        truths=_by_place(entry, "truths", count),
        ignored=_by_place(entry, "ignored", count),
    )


def _by_place(entry: Fields, field: str, count: int) -> ByPlace | None:
    """Rows of place, x, y, w, h; None where the field is absent."""
    if field not in entry:
        return None
    places, boxes = [], []
    for i, row in enumerate(entry.objects(field)):
        if not isinstance(row, list) or len(row) != 5:
            raise entry.wrong(field, "a list of [place, x, y, width, height]")
        one = Fields({"place": row[0], "box": row[1:]}, f"{entry.where}: {field}[{i}]")
        place = one.integer("place")
        if place is None or not 0 <= place < count:
            raise one.wrong("place", f"a place in its gallery of {count}")
        places.append(place)
        boxes.append(one.box("box"))
    order = np.argsort(places, kind="stable")
    table = from_xywh(np.array(boxes).reshape(-1, 4))[order]
    return np.array(places, np.int64)[order], table


def _ignored_by_picture(top: Fields) -> dict[str, Array] | None:
    if "ignored" not in top:
        return None
    tables = Fields(top.values["ignored"], f"{top.where}: ignored")
    ignored = {}
    for name in tables.values:
        rows = tables.objects(name)
        boxes = [
            Fields({"box": row}, f"{tables.where} of {name}, box {i}").box("box")
            for i, row in enumerate(rows)
        ]
        ignored[name] = from_xywh(np.array(boxes).reshape(-1, 4))
    return ignored


def _rows_by_query(trials: Trials, ptr: Array, box: Array) -> list[list[tuple[int, list[float]]]]:
    """Per query the (place in its gallery, x y w h) of every box of a table."""
    entry = np.repeat(np.arange(len(ptr) - 1), np.diff(ptr))
    query = np.searchsorted(trials.entry_ptr, entry, side="right") - 1
    numbers = exact_xywh(box)
    rows: list[list[tuple[int, list[float]]]] = [[] for _ in range(len(trials))]
    for at, i, one in zip((entry - trials.entry_ptr[query]).tolist(), query.tolist(), numbers, strict=True):
        rows[i].append((at, one))
    return rows


def _one_a_picture(trials: Trials) -> dict[str, list[list[float]]] | None:
    """What is ignored in every picture, if it is the same wherever the picture is an entry; else None."""
    if not len(trials.ignore_box):
        return {}
    counts = np.diff(trials.ignore_ptr)
    scenes, first = np.unique(trials.entry_scene, return_index=True)
    example = np.zeros(len(trials.scenes), np.int64)
    example[scenes] = first
    like = example[trials.entry_scene]
    if not np.array_equal(counts, counts[like]):
        return None
    at = np.arange(len(trials.ignore_box)) - np.repeat(trials.ignore_ptr[:-1], counts)
    if not np.array_equal(
        trials.ignore_box, trials.ignore_box[np.repeat(trials.ignore_ptr[:-1][like], counts) + at]
    ):
        return None
    return {
        trials.scenes[scene]: exact_xywh(
            trials.ignore_box[trials.ignore_ptr[entry] : trials.ignore_ptr[entry + 1]]
        )
        for scene, entry in zip(scenes.tolist(), first.tolist(), strict=True)
        if counts[entry]
    }
