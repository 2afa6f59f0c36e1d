"""The answer of a search: a table with its verdict for people, objects for programs."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from personsearch.cli.output import Answer, box_text, printable, rounded_box
from personsearch.progress import timecode

if TYPE_CHECKING:
    from personsearch.gallery.asking import Answered
    from personsearch.gallery.named import Example
    from personsearch.gallery.searching import Asked
    from personsearch.types import Hit


def answer(answered: Answered, html: Path | None = None, asked: Asked | None = None) -> Answer:
    """The hits of a search, best first, and the verdict; cameras that nobody knows are warned of."""
    if answered.strange:
        names = ", ".join(answered.strange)
        print(
            printable(f"warning: nobody in {answered.result.gallery} was seen by camera {names}"),
            file=sys.stderr,
        )
    result, sought, judged = answered.result, answered.sought, answered.judgement
    record = {
        "schema": "personsearch.search/1",
        "query": {"picture": result.query.scene, "box_xyxy": rounded_box(result.query.box)},
        "examples": [example_record(example) for example in sought.examples],
        "gallery": result.gallery,
        "pictures": result.pictures,
        "people": result.people,
        "ranked": answered.ranked,
        "model": result.model,
        "similarity": result.similarity,
        "filter": {} if asked is None else asked.where.to_json(),
        "exact": asked is None or asked.exact,
        "order": answered.order.kind,
        "verdict": None if judged is None else judged.verdict,
        "present": None if judged is None else judged.present,
        "hits": [hit_record(hit) for hit in result.hits],
        "html": None if html is None else str(html),
    }
    before = [
        f"query    {result.query.scene}  box {box_text(result.query.box)}{_more(answered)}",
        f"gallery  {result.gallery}: {result.people} people in {result.pictures} pictures",
    ]
    after = [] if result.hits else ["no hits"]
    if judged is not None:
        there = (
            ""
            if judged.present is None
            else f"  (probability that the person is there: {judged.present:.2f})"
        )
        compared = f"; {answered.ranked} of {result.people} people compared"
        after.append(f"verdict  {judged.verdict}{compared}{there}")
    if html is not None:
        after.append(f"page     {html}")
    return Answer(
        record=record,
        rows=[hit_row(hit) for hit in result.hits],
        before=before,
        after=after,
        paths=list(dict.fromkeys(hit.picture for hit in result.hits)),
    )


def _more(answered: Answered) -> str:
    """How many more examples there are, in words."""
    right = len(answered.sought.right)
    wrong = len(answered.sought.examples) - right
    said = [f"{right - 1} more of the person"] if right > 1 else []
    said += [f"{wrong} of others"] if wrong else []
    return f"  ({', '.join(said)})" if said else ""


def example_record(example: Example) -> dict[str, Any]:
    """One example as JSON, without what the person looks like."""
    return {
        "right": example.right,
        "picture": example.picture,
        "box_xyxy": rounded_box(example.box),
        "detection": example.detection,
        "position_s": example.position,
    }


def hit_record(hit: Hit) -> dict[str, Any]:
    """One hit as JSON."""
    return {
        "rank": hit.rank,
        "similarity": hit.similarity,
        "probability": hit.probability,
        "picture": hit.picture,
        "box_xyxy": rounded_box(hit.box),
        "score": round(hit.score, 4),
        "detection": hit.detection,
        "camera": hit.camera,
        "time": hit.time,
        "position_s": hit.position,
        "span": None if hit.span is None else hit.span._asdict(),
    }


def hit_row(hit: Hit) -> dict[str, Any]:
    """One hit as a line of a table."""
    when = None if hit.time is None else datetime.fromtimestamp(hit.time, UTC).strftime("%Y-%m-%d %H:%M:%S")
    return {
        "rank": hit.rank,
        "probability": hit.probability,
        "similarity": hit.similarity,
        "picture": hit.picture,
        "at": None if hit.position is None else timecode(hit.position),
        "when": when,
        "camera": hit.camera,
        "box x,y,w,h": box_text(hit.box),
        "score": hit.score,
        "detection": hit.detection,
    }
