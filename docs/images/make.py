"""Draw the README's pictures of the generated data: python docs/images/make.py ROOT (a made data set)."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from personsearch.datasets.open import open_dataset
from personsearch.files import write_bytes
from personsearch.images import encode_jpeg, load
from personsearch.report.sheets import SheetLayout, identity_rows, identity_sheet, scene_sheet
from personsearch.types import Picture, Scene


def picture(scene: Scene) -> Picture:
    assert scene.path is not None
    return load(scene.path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("root", type=Path, help="a generated data set")
    parser.add_argument("--scenes", type=int, default=12)
    parser.add_argument("--people", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    given = parser.parse_args()
    scenes = open_dataset("synthetic", given.root).scenes("test")
    chosen = scenes[:: max(1, len(scenes) // given.scenes)][: given.scenes]
    sheet = scene_sheet(chosen, picture, columns=4, layout=SheetLayout(cell=(400, 300)))
    write_bytes(given.out / "scenes.jpg", encode_jpeg(sheet, quality=88))
    people = np.concatenate([scene.people for scene in scenes])
    counts = np.bincount(people[people >= 0])
    often = np.argsort(-counts, kind="stable")[: given.people]
    rows = identity_rows(scenes, often.tolist(), picture)
    write_bytes(given.out / "identities.jpg", encode_jpeg(identity_sheet(rows), quality=88))


if __name__ == "__main__":
    main()
