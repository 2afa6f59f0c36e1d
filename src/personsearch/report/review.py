"""What a reader of the page can judge, and the file that their judgements become.

The page holds one block of JSON: whom the search looked for and whom it found. Its script adds what
the reader says of each and writes ``personsearch.judgements/1``, which :func:`read_judgements` reads
back: pairs of whom the search looked for and whom it found, with yes or no.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from personsearch.errors import InputError
from personsearch.types import Hit, SearchResult

SCHEMA = "personsearch.judgements/1"
LONGEST = 1 << 26
"""Bytes of the longest file of judgements that is read."""


def review_data(result: SearchResult, entries: Sequence[Hit]) -> str:
    """The page's block of JSON: the head of a file of judgements, and the ``entries`` to be judged.

    It can stand inside ``<script type="application/json">``: no ``<`` is in it, and nothing but
    ASCII, so that a name that is no text survives the page and comes back as it was.

    >>> from personsearch.types import Query
    >>> nobody = SearchResult(query=Query("</script>", [0, 0, 9, 9]), hits=(), gallery="g", model="m",
    ...                       similarity="cosine", pictures=0, people=0)
    >>> json.loads(review_data(nobody, []))["head"]["query"]["picture"], "<" in review_data(nobody, [])
    ('</script>', False)
    """
    head = {
        "schema": SCHEMA,
        "query": {"picture": result.query.scene, "box_xyxy": _box(result.query.box)},
        "gallery": result.gallery,
        "model": result.model,
    }
    people = [
        {
            "detection": hit.detection,
            "picture": hit.picture,
            "box_xyxy": _box(hit.box),
            "similarity": float(hit.similarity),
        }
        for hit in entries
    ]
    text = json.dumps({"head": head, "entries": people})
    name = hashlib.sha256(text.encode()).hexdigest()[:16]
    data = json.dumps({"name": name, "head": head, "entries": people}, allow_nan=False)
    return data.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _box(box: Any) -> list[float]:
    return [round(float(side), 2) for side in box]


@dataclass(frozen=True, kw_only=True)
class Judged:
    """One person whom a reader judged.

    Attributes:
        detection: the person's number in the gallery.
        picture: path of the picture as it was indexed.
        box_xyxy: where in it.
        same: whether it is the person looked for.
        similarity: to the query, where the file says so.
    """

    detection: int
    picture: str
    box_xyxy: tuple[float, float, float, float]
    same: bool
    similarity: float | None = None


@dataclass(frozen=True, kw_only=True)
class Judgements:
    """What a reader said of one search; whoever was left open is not in it.

    Attributes:
        query, query_box_xyxy: the picture and box of the person looked for.
        gallery, model: which gallery was searched, and the fingerprint of its model.
        judged: everybody who was judged.
    """

    query: str
    query_box_xyxy: tuple[float, float, float, float]
    gallery: str
    model: str
    judged: tuple[Judged, ...]


def read_judgements(path: Path | str) -> Judgements:
    """The judgements in the file ``path``, as the page saved it.

    Raises:
        InputError: it cannot be read, or is none.
    """
    path = Path(path)
    try:
        if path.stat().st_size > LONGEST:
            raise InputError(f"{path} is too long for a file of judgements")
        found = json.loads(path.read_bytes())
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is no JSON: {error}", hint=_HINT) from error
    try:
        return _judgements(found)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        said = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise InputError(f"{path} is no file of judgements: {said}", hint=_HINT) from error


_HINT = "press 'Save judgements' on the page that personsearch search --html wrote"


def _judgements(found: Any) -> Judgements:
    if not isinstance(found, dict) or found.get("schema") != SCHEMA:
        raise ValueError(f"its schema is not {SCHEMA}")
    query = _kind(found["query"], dict, "query")
    return Judgements(
        query=_kind(query["picture"], str, "query.picture"),
        query_box_xyxy=_corners(query["box_xyxy"]),
        gallery=_kind(found["gallery"], str, "gallery"),
        model=_kind(found["model"], str, "model"),
        judged=tuple(_one(item) for item in _kind(found["judged"], list, "judged")),
    )


def _one(item: Any) -> Judged:
    item = _kind(item, dict, "judged")
    alike = item.get("similarity")
    return Judged(
        detection=_kind(item["detection"], int, "detection"),
        picture=_kind(item["picture"], str, "picture"),
        box_xyxy=_corners(item["box_xyxy"]),
        same=_kind(item["same"], bool, "same"),
        similarity=None if alike is None else float(_kind(alike, (int, float), "similarity")),
    )


def _kind(value: Any, kind: Any, name: str) -> Any:
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise ValueError(f"{name} cannot be {json.dumps(value)[:40]}")
    return value


def _corners(value: Any) -> tuple[float, float, float, float]:
    """Four finite numbers."""
    sides = [float(_kind(side, (int, float), "box_xyxy")) for side in _kind(value, list, "box_xyxy")]
    if len(sides) != 4 or not all(abs(side) < 1e9 for side in sides):
        raise ValueError("box_xyxy is not four numbers")
    return sides[0], sides[1], sides[2], sides[3]
