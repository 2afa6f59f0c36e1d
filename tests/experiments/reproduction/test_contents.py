"""What a data set's digests notice: searches that changed, pictures that changed, and nothing else."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np

from personsearch.datasets.searches import list_searches
from personsearch.experiments.reproduction.contents import pictures_digest, searches_digest
from personsearch.types import Query, Scene, Trials

BOX = np.array([[0, 0, 20, 60]], np.float32)


def searches(gallery: tuple[int, ...] = (1, 2), x1: float = 0.0) -> Trials:
    boxes = BOX + np.array([[x1, 0, 0, 0]], np.float32)
    scenes = [Scene(name, boxes=boxes, people=[0]) for name in ("a.jpg", "b.jpg", "c.jpg")]
    return list_searches("made", scenes, [Query("a.jpg", scenes[0].boxes[0], 0)], [np.array(gallery)])


def test_searches_by_what_is_searched_and_not_by_their_name() -> None:
    one = searches_digest(searches())
    assert one == searches_digest(searches())
    assert one == searches_digest(dataclasses.replace(searches(), name="another"))
    assert one != searches_digest(searches(gallery=(2, 1)))
    assert one != searches_digest(searches(x1=1.0))


def test_pictures_by_name_and_size(tmp_path: Path) -> None:
    file = tmp_path / "a.jpg"
    scene = Scene("a.jpg", boxes=BOX, people=[0], path=file)
    missing = pictures_digest([scene])
    file.write_bytes(b"123")
    there = pictures_digest([scene])
    file.write_bytes(b"1234")
    assert len({missing, there, pictures_digest([scene])}) == 3
    file.write_bytes(b"321")
    assert pictures_digest([scene]) == there  # the catch: as many bytes
    assert pictures_digest([dataclasses.replace(scene, name="b.jpg")]) != there
