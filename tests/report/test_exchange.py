"""COCO and supervision: the right numbers in other people's words."""

import json
import sys
from dataclasses import dataclass, field
from types import SimpleNamespace

import numpy as np
import pytest

from personsearch.errors import InputError
from personsearch.report.exchange import coco, supervision_of
from personsearch.report.records import Person, Sight, sights
from personsearch.types import Detections


def test_coco_by_hand(result):
    seen = sights([result(("a.jpg", [1, 2, 11, 32.5]), ("b.jpg", [0, 0, 5, 5]), ("a.jpg", [3, 3, 4, 4]))])
    found = json.loads(json.dumps(coco(seen, [(640, 480), (100, 50)])))
    assert found["images"] == [
        {"id": 1, "file_name": "a.jpg", "width": 640, "height": 480},
        {"id": 2, "file_name": "b.jpg", "width": 100, "height": 50},
    ]
    assert [(a["id"], a["image_id"], a["bbox"], a["area"]) for a in found["annotations"]] == [
        (1, 1, [1, 2, 10, 30.5], 305),
        (2, 1, [3, 3, 1, 1], 1),
        (3, 2, [0, 0, 5, 5], 25),
    ]
    assert found["annotations"][0]["attributes"]["rank"] == 1
    assert {a["category_id"] for a in found["annotations"]} == {found["categories"][0]["id"]}


def test_frames_are_images_of_their_own():
    nobody = ()
    seen = [Sight(file="f.mp4", people=nobody, position=t) for t in (0.0, 1.25)]
    names = [image["file_name"] for image in coco(seen, [(8, 8)] * 2)["images"]]
    assert names == ["f.mp4@0.000", "f.mp4@1.250"]


def test_coco_is_read_by_the_library_that_scores_it(tmp_path):
    from faster_coco_eval import COCO

    person = Person(box=np.array([10, 20, 40, 100]), label="", score=0.5)
    path = tmp_path / "coco.json"
    path.write_text(json.dumps(coco([Sight(file="a.jpg", people=(person,))], [(640, 480)])))
    read = COCO(str(path))
    assert read.anns[1]["bbox"] == [10, 20, 30, 80]
    assert read.loadRes(read.dataset["annotations"]).getAnnIds(imgIds=[1]) == [1]


@dataclass
class StandIn:
    """What supervision.Detections takes, and checks of it."""

    xyxy: np.ndarray
    confidence: np.ndarray
    class_id: np.ndarray
    data: dict = field(default_factory=dict)

    def __post_init__(self):
        n = len(self.xyxy)
        assert self.xyxy.shape == (n, 4)
        assert self.confidence.shape == self.class_id.shape == (n,)
        assert all(len(column) == n for column in self.data.values())


@pytest.fixture
def stand_in(monkeypatch):
    monkeypatch.setitem(sys.modules, "supervision", SimpleNamespace(Detections=StandIn))


def test_detections_and_hits_for_supervision(stand_in, result):
    seen = Detections([[0, 0, 1, 2], [3, 3, 4, 9]], [0.9, 0.5], [[1, 0], [0, 1]])
    made = supervision_of(seen)
    assert made.xyxy.tolist() == [[0, 0, 1, 2], [3, 3, 4, 9]]
    assert made.confidence.tolist() == pytest.approx([0.9, 0.5])
    assert made.data["embedding"].tolist() == [[1, 0], [0, 1]]
    hits = supervision_of(result(("a", [1, 1, 9, 30]), ("b", [2, 1, 9, 30])).hits)
    assert hits.data["picture"].tolist() == ["a", "b"]
    assert hits.data["rank"].tolist() == [1, 2]
    assert len(supervision_of([]).xyxy) == len(supervision_of(Detections.none(3)).xyxy) == 0


def test_without_supervision_there_is_one_clear_error(monkeypatch):
    monkeypatch.setitem(sys.modules, "supervision", None)
    with pytest.raises(InputError, match="supervision is not installed") as caught:
        supervision_of([])
    assert caught.value.hint == "pip install supervision"


def test_the_real_supervision_takes_them(result):
    supervision = pytest.importorskip("supervision")
    made = supervision_of(result(("a", [1, 1, 9, 30])).hits)
    assert isinstance(made, supervision.Detections)
    assert len(made) == 1
    assert len(supervision_of([])) == 0
