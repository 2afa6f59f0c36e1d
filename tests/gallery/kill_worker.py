"""Adds, forgets and maintains until it is killed, and says what it has done once it is on the disk.

Waits for one line of JSON on standard input, [GALLERY, PICTURES, FIRST, SEED]: what it needs is imported
by then, so that every moment after it is one of opening or writing.
"""

from __future__ import annotations

import json
import sys
from datetime import timedelta
from pathlib import Path

import lancedb  # noqa: F401  # takes seconds; the kills should hit work, not this
import numpy as np

from personsearch.gallery import tables
from personsearch.gallery.gallery import Gallery
from personsearch.gallery.ledger import FileState
from personsearch.types import Detections

DIM = 32
MODEL = "k" * 64


def people_of(number: int) -> int:
    """How many people picture ``number`` shows."""
    return 1 + number % 4


def seen_in(number: int) -> Detections:
    """Who is in picture ``number``: vectors that are nobody else's."""
    n = people_of(number)
    boxes = [[20 * i, 0, 20 * i + 10, 30] for i in range(n)]
    return Detections(boxes, np.full(n, 0.9), np.random.default_rng(number).standard_normal((n, DIM)))


def say(*words: object) -> None:
    """A line that is out before anything else happens."""
    print(*words, flush=True)


def add(gallery: Gallery, pictures: Path, number: int) -> None:
    """Add picture ``number`` to the batch."""
    place = gallery.place(pictures / f"{number}.jpg")
    assert place is not None
    state = FileState(place=place, size=1, mtime_ns=number, sha256=f"content {number}")
    gallery.add_picture(state, seen_in(number))


def work(path: Path, pictures: Path, first: int, seed: int) -> None:
    """Until killed: two pictures a commit, now and then somebody forgotten or a folding."""
    chance = np.random.default_rng(seed)
    if seed % 2:
        tables._KEEP = timedelta(0)  # maintenance then also removes the files of older versions
    say("opening")  # which sweeps, and finishes a removal in which an earlier process was killed
    with Gallery.open(path, writable=True) as gallery:
        say("ready")
        number = first
        while True:
            what = chance.random()
            if what < 0.5:
                several = [number, number + 1]
                for one in several:
                    say("adding", one)
                    add(gallery, pictures, one)
                gallery.flush()
                for one in several:
                    say("added", one)
                number += 2
            elif what < 0.8:
                known = [e for e in gallery.entries() if e.state == "done" and e.people]
                if not known:
                    continue
                entry = known[int(chance.integers(len(known)))]
                there = gallery.stored(numbers_of(gallery, entry.picture))
                one = there[int(chance.integers(len(there)))]
                who = f"{Path(one.picture).stem}:{int(one.box[0]) // 20}"
                say("forgetting", who)
                gallery.forget([one.detection], reason=who)
                say("forgotten", who)
            else:
                say("maintaining")
                gallery.maintain()
                say("maintained")


def numbers_of(gallery: Gallery, picture: int | None) -> list[int]:
    """Numbers of the people in a picture."""
    batches = gallery._people_table.rows_of("picture", [picture or 0], ["detection"])
    return [n for batch in batches for n in batch.column("detection").to_pylist()]


if __name__ == "__main__":
    say("imported")
    gallery, pictures, first, seed = json.loads(sys.stdin.readline())
    work(Path(gallery), Path(pictures), first, seed)
