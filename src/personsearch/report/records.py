"""Reading back what ``search`` and ``detect`` wrote as JSON lines: other commands go on from there.

The lines may come from anywhere, so every field is checked; what is not there, or is another kind of
thing, is one error that names the line.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, get_args

import numpy as np

from personsearch.errors import InputError
from personsearch.types import Array, Hit, Query, SearchResult, Similarity, Span

SEARCH, DETECT = "personsearch.search/1", "personsearch.detect/1"
LONGEST_LINE = 1 << 26
MOST_HITS = 1_000_000


@dataclass(frozen=True, eq=False, kw_only=True)
class Person:
    """Somebody in a picture, with a few words about them.

    Attributes:
        box: (4,) float32 x1 y1 x2 y2, upright picture pixels.
        label: short.
        score: the detector's.
        known: what else is known, as JSON values: rank, similarity, detection ...
    """

    box: Array
    label: str
    score: float
    known: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False, kw_only=True)
class Sight:
    """One picture, or one frame of a video, and who is marked in it.

    Attributes:
        file: path.
        people: who.
        frame, position: of a video: time stamp, seconds since the first frame; as far as known.
    """

    file: str
    people: tuple[Person, ...]
    frame: int | None = None
    position: float | None = None

    @property
    def is_frame(self) -> bool:
        """Whether it is a frame of a video."""
        return self.frame is not None or self.position is not None


def read_answers(lines: Iterable[str | bytes], name: str) -> Iterator[SearchResult | Sight]:
    """What each line says: the result of a search, or who was detected in a picture. Empty lines are none.

    Args:
        lines: JSON lines as ``personsearch search`` or ``personsearch detect`` writes them.
        name: where they come from, for errors.

    Raises:
        InputError: a line is neither, or something in it is wrong.
    """
    for number, line in enumerate(lines, 1):
        where = f"line {number} of {name}"
        if len(line) > LONGEST_LINE:
            raise InputError(f"{where} is too long")
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise InputError(f"{where} is no JSON", hint=_HINT) from error
        try:
            yield _answer(record)
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            said = f"{error} is missing" if isinstance(error, KeyError) else str(error)
            raise InputError(f"{where} cannot be used: {said}", hint=_HINT) from error


_HINT = "give what 'personsearch search --format jsonl' (or detect) wrote"


def _answer(record: Any) -> SearchResult | Sight:
    schema = record.get("schema") if isinstance(record, dict) else None
    if schema == SEARCH:
        return _result(record)
    if schema == DETECT:
        return _sight(record)
    raise ValueError(f"its schema is {json.dumps(schema)[:60]}")


def _result(record: dict[str, Any]) -> SearchResult:
    kind = _of(record, "similarity", str)
    if kind not in get_args(Similarity):
        raise ValueError(f"similarity is {kind[:40]!r}")
    hits = _of(record, "hits", list)
    if len(hits) > MOST_HITS:
        raise ValueError(f"it has {len(hits)} hits")
    return SearchResult(
        query=_query(record),
        hits=tuple(_hit(hit) for hit in hits),
        gallery=_of(record, "gallery", str),
        model=_of(record, "model", str),
        similarity=kind,
        pictures=_of(record, "pictures", int),
        people=_of(record, "people", int),
    )


def _query(record: dict[str, Any]) -> Query:
    """Whom the search was for: the first example of the person, which says where in a video it is."""
    query, position = _of(record, "query", dict), None
    for example in _maybe(record, "examples", list) or []:
        if not isinstance(example, dict):
            raise TypeError("an example is no object")
        if _of(example, "right", bool):
            position = _maybe_number(example, "position_s")
            break
    return Query(_text(query, "picture"), _box(query), position=position)


def _hit(item: Any) -> Hit:
    if not isinstance(item, dict):
        raise TypeError("a hit is no object")
    span = _maybe(item, "span", dict)
    return Hit(
        rank=_of(item, "rank", int),
        similarity=_number(item, "similarity"),
        picture=_text(item, "picture"),
        box=_box(item),
        score=_number(item, "score"),
        detection=_of(item, "detection", int),
        probability=_maybe_number(item, "probability"),
        camera=_maybe(item, "camera", str),
        time=_maybe_number(item, "time"),
        position=_maybe_number(item, "position_s"),
        span=None
        if span is None
        else Span(_number(span, "first"), _number(span, "last"), _of(span, "frames", int)),
    )


def _sight(record: dict[str, Any]) -> Sight:
    people = []
    for item in _of(record, "people", list):
        score = _number(item, "score")
        people.append(Person(box=_box(item), label=f"{score:.2f}", score=score))
    video = _maybe(record, "video", str)
    frame = _maybe(record, "pts", int) if video is not None else None
    return Sight(
        file=_text(record, "picture") if video is None else video,
        people=tuple(people),
        frame=frame,
        position=_maybe_number(record, "position_s") if video is not None else None,
    )


def sights(answers: Iterable[SearchResult | Sight]) -> list[Sight]:
    """The pictures of all answers, each once, with everybody who is marked in them; in order.

    >>> hit = Hit(rank=2, similarity=0.8612, picture="a.jpg", box=np.zeros(4), score=0.9, detection=7)
    >>> result = SearchResult(query=Query("q", [0, 0, 1, 1]), hits=(hit,), gallery="g", model="m",
    ...                       similarity="cosine", pictures=1, people=1)
    >>> [(s.file, s.people[0].label) for s in sights([result])]
    [('a.jpg', '2: 0.861')]
    """
    found: dict[tuple[str, float | None, int | None], list[Person]] = {}
    for answer in answers:
        if isinstance(answer, Sight):
            key = answer.file, answer.position, answer.frame
            found.setdefault(key, []).extend(answer.people)
            continue
        for hit in answer.hits:
            found.setdefault((hit.picture, hit.position, None), []).append(_marked(hit, answer.similarity))
    return [
        Sight(file=file, people=tuple(people), frame=frame, position=position)
        for (file, position, frame), people in found.items()
    ]


def _marked(hit: Hit, kind: Similarity) -> Person:
    """A hit as it is marked in its picture."""
    alike = f"{abs(hit.similarity):.2f}" if kind == "euclidean" else f"{hit.similarity:.3f}"
    likely = "" if hit.probability is None else f" ({100 * hit.probability:.0f}%)"
    return Person(
        box=np.asarray(hit.box, np.float32),
        label=f"{hit.rank}: {alike}{likely}",
        score=hit.score,
        known={
            "rank": hit.rank,
            "similarity": hit.similarity,
            "probability": hit.probability,
            "detection": hit.detection,
        },
    )


def _of(record: Any, name: str, kind: Any) -> Any:
    """A field of a kind."""
    value = record[name]
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise TypeError(f"{name} is {json.dumps(value)[:60]}")
    return value


def _maybe(record: dict[str, Any], name: str, kind: Any) -> Any:
    return None if record.get(name) is None else _of(record, name, kind)


def _text(record: Any, name: str) -> str:
    """A path: not empty, and without the letter that ends one for the system."""
    value: str = _of(record, name, str)
    if not value or "\0" in value:
        raise ValueError(f"{name} is {json.dumps(value)[:60]}")
    return value


def _number(record: Any, name: str) -> float:
    value = float(_of(record, name, (int, float)))
    if not math.isfinite(value):
        raise ValueError(f"{name} is not finite")
    return value


def _maybe_number(record: dict[str, Any], name: str) -> float | None:
    return None if record.get(name) is None else _number(record, name)


def _box(record: Any) -> Array:
    sides = _of(record, "box_xyxy", list)
    if len(sides) != 4:
        raise ValueError("box_xyxy is not four numbers")
    box = np.array([_number({"box_xyxy": side}, "box_xyxy") for side in sides], np.float64)
    if np.abs(box).max() > 1e9 or box[2] < box[0] or box[3] < box[1]:
        raise ValueError(f"box_xyxy is {box.tolist()}")
    return box.astype(np.float32)
