"""A data set with new protocols: the pictures stand where the annotation names them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from personsearch.datasets.coco import CocoPersons
from personsearch.datasets.coco_writer import write_coco
from personsearch.datasets.open import open_dataset
from personsearch.datasets.protocol_build import BuildSettings, build_protocols
from personsearch.datasets.protocol_maker import ProtocolSettings
from personsearch.images import encode_jpeg
from personsearch.types import Scene


@pytest.fixture
def in_folders(tmp_path: Path) -> CocoPersons:
    """Six pictures in two folders, two people who are each in three of them."""
    root = tmp_path / "mine"
    names = [f"{place}/{k}.jpg" for place in ("hall", "yard") for k in range(3)]
    scenes = []
    for k, name in enumerate(names):
        path = root / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode_jpeg(np.full((120, 160, 3), 40 * k, np.uint8)))
        box = [10.0, 10.0, 40.0, 100.0]
        scenes.append(Scene(name, path=path, size=(160, 120), boxes=[box], people=[k % 2], camera="1"))
    write_coco(root, test=scenes)
    return CocoPersons(root)


@pytest.mark.parametrize("layout", ["coco", "cuhk-sysu"])
def test_pictures_stand_where_the_annotation_says(
    in_folders: CocoPersons, tmp_path: Path, layout: str
) -> None:
    settings = BuildSettings(protocol=ProtocolSettings(test_share=1.0), layout=layout)  # type: ignore[arg-type]
    made = build_protocols(in_folders, tmp_path / "out", settings)
    read = open_dataset(layout, tmp_path / "out")
    test = read.scenes("test")
    assert len(test) == 6
    assert sorted(scene.path.read_bytes() for scene in test if scene.path) == sorted(
        scene.path.read_bytes() for scene in in_folders.scenes("test") if scene.path
    )
    # CUHK-SYSU's layout has no cameras and no folders, and that is said.
    assert any("camera" in note for note in made.notes) == (layout == "cuhk-sysu")
