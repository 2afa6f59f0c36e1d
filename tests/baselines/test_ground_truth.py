from __future__ import annotations

import numpy as np
import pytest

from personsearch.baselines.ground_truth import GroundTruth
from personsearch.errors import DatasetError, InputError
from personsearch.types import Picture, Scene

SCENES = (
    Scene("a.jpg", size=(40, 30), boxes=[[1, 2, 11, 22], [-5, 3, 8, 40], [20, 5, 30, 25]], people=[3, -1, 4]),
    Scene("b.jpg", boxes=[[0, 0, 5, 9], [7, 0, 9, 9]], people=[1, 2], ignore=[True, False]),
    Scene("empty.jpg"),
)


def blank(name: str, width: int = 40, height: int = 30) -> Picture:
    return Picture(np.zeros((height, width, 3), np.uint8), name)


def test_annotated_people_are_found_surely_and_inside_the_picture() -> None:
    gt = GroundTruth(SCENES)
    seen = gt.detect(blank("a.jpg"))
    assert seen.boxes.tolist() == [[1, 2, 11, 22], [0, 3, 8, 30], [20, 5, 30, 25]]
    assert seen.scores.tolist() == [1, 1, 1]
    assert seen.embeddings.shape == (3, 0)
    assert gt.detect(blank("b.jpg")).boxes.tolist() == [[7, 0, 9, 9]]  # what is ignored is nobody
    assert len(gt.detect(blank("empty.jpg"))) == 0
    beyond = GroundTruth([Scene("c", boxes=[[50, 0, 60, 20], [0, 0, 9, 9]], people=[0, 1])])
    assert beyond.detect(blank("c")).boxes.tolist() == [[0, 0, 9, 9]]


def test_other_pictures_are_refused_and_so_is_another_of_the_same_name() -> None:
    gt = GroundTruth(SCENES)
    with pytest.raises(InputError, match=r"photo\.jpg is not annotated") as told:
        gt.detect(blank("photo.jpg"))
    assert "evaluate" in told.value.hint
    with pytest.raises(InputError, match=r"a\.jpg is 41x30, but .* is 40x30"):
        gt.detect(blank("a.jpg", 41))
    with pytest.raises(DatasetError, match=r"two pictures are called a\.jpg"):
        GroundTruth([SCENES[0], SCENES[0]])


def test_the_fingerprint_is_of_names_and_boxes() -> None:
    def of(*scenes: Scene) -> str:
        return GroundTruth(scenes).fingerprint

    same = Scene("a", boxes=[[0, 0, 1, 1]], people=[5])
    assert of(same) == of(Scene("a", boxes=[[0, 0, 1, 1]], people=[6]))  # who it is, it does not say
    others = [
        of(Scene("b", boxes=[[0, 0, 1, 1]], people=[5])),
        of(Scene("a", boxes=[[0, 0, 1, 2]], people=[5])),
        of(Scene("a", boxes=[[0, 0, 1, 1]], people=[5], ignore=[True])),
        of(same, Scene("c")),
    ]
    assert len({of(same), *others}) == 5
