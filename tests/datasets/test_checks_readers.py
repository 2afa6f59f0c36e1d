"""What the readers of COCO, MOT and CUHK-SYSU leave out or read as nobody is found by the check."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from personsearch.datasets.checks import check_dataset
from personsearch.datasets.coco import CocoPersons
from personsearch.datasets.cuhk_sysu import CuhkSysu
from personsearch.datasets.dataset import Dataset
from personsearch.datasets.mot import MotSequences
from personsearch.errors import DatasetError


def coco(root: Path, boxes: list[dict[str, Any]], splits: tuple[str, ...]) -> CocoPersons:
    """A picture a split; each box names its picture by ``image_id``."""
    images = [{"id": i, "file_name": f"{i}.jpg", "split": split} for i, split in enumerate(splits)]
    annotations = [{"id": i, "bbox": [1 + i, 1, 10, 20], **box} for i, box in enumerate(boxes)]
    root.mkdir(exist_ok=True)
    content = {"images": images, "annotations": annotations, "categories": []}
    (root / "annotations.json").write_text(json.dumps(content))
    return CocoPersons(root)


def sequence(folder: Path, rows: str, info: str = "") -> None:
    (folder / "gt").mkdir(parents=True)
    (folder / "gt" / "gt.txt").write_text(rows)
    if info:
        (folder / "seqinfo.ini").write_text(f"[Sequence]\n{info}\n")


def found(dataset: Dataset, **more: Any) -> dict[str, tuple[str, int, tuple[str, ...]]]:
    report = check_dataset(dataset, **{"looks": "none", **more})
    return {one.rule: (one.severity, one.count, one.examples) for one in report.findings}


def test_a_validation_part_is_checked_like_a_half(tmp_path: Path) -> None:
    boxes = [
        {"image_id": 0, "person_id": "a"},
        {"image_id": 1, "person_id": "a"},
        {"image_id": 1, "person_id": "v", "bbox": [-30, 1, 31, 9]},
        {"image_id": 2, "person_id": "b"},
        {"image_id": 3, "person_id": "b"},
    ]
    data = coco(tmp_path, boxes, ("train", "val", "test", "test"))
    rules = found(data, looks="headers")
    assert rules["shared-validation"] == ("error", 1, ("a: in train too",))
    assert rules["missing-picture"][1] == 4
    assert rules["box-outside"][1] == 1
    assert check_dataset(data, looks="none").counts["val_boxes"] == 2


def test_boxes_that_only_a_weaker_field_names_are_counted(tmp_path: Path) -> None:
    boxes = [
        {"image_id": 0, "person_id": "a"},
        {"image_id": 1, "person_id": "a", "track_id": 3},
        {"image_id": 0, "track_id": 4},
        {"image_id": 1, "object_id": 5},
        {"image_id": 1},
    ]
    rules = found(coco(tmp_path, boxes, ("test", "test")))
    assert rules == {"other-identity-field": ("warning", 2, ("0.jpg", "1.jpg"))}


def test_boxes_without_an_area_are_told(tmp_path: Path) -> None:
    boxes = [{"image_id": i, "person_id": 1} for i in (0, 1)] + [{"image_id": 1, "bbox": [1, 1, 0, 5]}]
    assert found(coco(tmp_path / "coco", boxes, ("test", "test"))) == {"empty-box": ("error", 1, ("1.jpg",))}
    sequence(tmp_path / "mot" / "A", "1,1,1,1,5,9,1,1,1\n2,1,1,1,5,9,1,1,1\n2,2,1,1,0,9,1,1,1\n")
    expected = {"empty-box": ("error", 1, ("A/img1/000002.jpg",))}
    assert found(MotSequences(tmp_path / "mot")) == expected


def test_boxes_without_an_area_are_a_note_in_the_layout_that_is_published_with_some(
    tmp_path: Path, world_of, monkeypatch
) -> None:
    from dataclasses import replace

    from personsearch.datasets.cuhk_sysu_writer import write_annotations

    write_annotations(tmp_path, **world_of(np.random.default_rng(1)))
    (tmp_path / "Image" / "SSM").mkdir(parents=True, exist_ok=True)
    data = CuhkSysu(tmp_path)
    empty = np.zeros(len(data._pictures.names), np.int64)
    empty[0] = 3
    monkeypatch.setattr(data, "_pictures", replace(data._pictures, empty=empty))
    rules = found(data)
    assert rules["box-left-out"] == ("note", 3, (data._pictures.names[0],) * 3)
    assert "empty-box" not in rules


def test_a_sequence_without_truth_is_a_note_and_a_test_half_without_searches_a_warning(
    tmp_path: Path,
) -> None:
    sequence(tmp_path / "A", "1,1,1,1,5,9,1,1,1\n")
    (tmp_path / "B" / "img1").mkdir(parents=True)
    rules = found(MotSequences(tmp_path))
    assert rules["sequence-not-annotated"] == ("note", 1, ("test: B",))
    assert rules["nobody-to-find"][:2] == ("warning", 1)
    assert "unreadable-annotation" not in rules


@pytest.mark.parametrize(("length", "fits"), [(10_000_000, False), (100_001, False), (1000, True)])
def test_a_length_beyond_all_sense_is_refused(tmp_path: Path, length: int, fits: bool) -> None:
    sequence(tmp_path / "A", "1,1,1,1,5,9,1,1,1\n", f"seqLength={length}")
    data = MotSequences(tmp_path)
    if fits:
        assert len(data.scenes("test")) == length
    else:
        with pytest.raises(DatasetError, match=f"seqLength is {length}, but 1 frames are annotated"):
            data.scenes("test")


def test_the_same_trouble_in_both_halves_is_told_once(tmp_path: Path) -> None:
    data = coco(tmp_path, [{"image_id": 9}], ("train", "test"))
    severity, count, (said,) = found(data)["unreadable-annotation"]
    assert (severity, count) == ("error", 1)
    assert said.startswith("train: ")
