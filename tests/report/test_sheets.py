import numpy as np
import pytest

from personsearch.report.drawing import BYSTANDER, RIGHT
from personsearch.report.sheets import (
    IdentityRow,
    SheetLayout,
    identity_rows,
    identity_sheet,
    scene_sheet,
)
from personsearch.types import Picture, Scene

LAYOUT = SheetLayout(cell=(80, 60), gap=4, text=11)


def plain(shade, width=160, height=120):
    return Picture(np.full((height, width, 3), shade, np.uint8))


def has(pixels, colour):
    return bool((pixels == np.array(colour)).all(axis=-1).any())


def test_scenes_stand_in_a_grid_in_order():
    scenes = [Scene(f"s{i}.jpg") for i in range(5)]
    sheet = scene_sheet(scenes, lambda scene: plain(10 + 40 * int(scene.name[1])), 2, LAYOUT)
    cell = 60 + 11 + 10
    assert sheet.shape == (3 * (cell + 4) + 4, 2 * 84 + 4, 3)
    for i in range(5):
        top, left = 4 + (i // 2) * (cell + 4), 4 + (i % 2) * 84
        assert (sheet[top : top + 60, left : left + 80] == 10 + 40 * i).all()
        assert sheet[top + 60 : top + cell, left : left + 80].min() < 100  # its name
    assert (sheet[-(cell + 4) :, 88:] == 255).all()  # no sixth


def test_people_with_an_identity_look_different_from_bystanders():
    def sheet(person, ignore=False):
        scene = Scene("s", boxes=[[20, 30, 60, 110]], people=[person], ignore=[ignore])
        return scene_sheet([scene], lambda scene: plain(100), 1, LAYOUT)

    assert has(sheet(3), RIGHT.colour)
    assert not has(sheet(3), BYSTANDER.colour)
    assert has(sheet(-1), BYSTANDER.colour)
    assert not has(sheet(-1), RIGHT.colour)
    assert not has(sheet(3, ignore=True), RIGHT.colour)
    box = (sheet(3)[4:64, 4:84] == np.array(RIGHT.colour)).all(axis=-1)
    assert box[14:56, 9:31].sum() >= box[14:].sum()  # at half size, as the picture


def test_identities_stand_in_rows():
    scenes = [
        Scene("a", boxes=[[0, 0, 40, 80], [50, 0, 90, 80]], people=[1, 2]),
        Scene("b", boxes=[[0, 0, 40, 80], [0, 0, 9, 9]], people=[2, -1]),
        Scene("c", boxes=[[0, 0, 40, 80]], people=[9]),
    ]
    seen = []

    def load(scene):
        seen.append(scene.name)
        return plain({"a": 50, "b": 150}[scene.name])

    rows = identity_rows(scenes, [2, 1], load)
    assert seen == ["a", "b"]  # each once, none without need
    assert [row.name for row in rows] == ["person 2", "person 1"]
    assert [[int(view[0, 0, 0]) for view in row.views] for row in rows] == [[50, 150], [50]]
    assert all(len(row.views) == 1 for row in identity_rows(scenes, [2, 1], load, most=1))
    sheet = identity_sheet(rows, SheetLayout(cell=(20, 40), gap=2, text=11))
    assert sheet.shape[0] == 2 * 42 + 2
    cells = sheet[:, -(2 * 22 + 2) :]
    assert [int(cells[y, x, 0]) for y, x in [(20, 10), (20, 36), (62, 10), (62, 36)]] == [50, 150, 50, 255]


def test_a_sheet_of_nothing_is_refused():
    with pytest.raises(ValueError, match="needs scenes"):
        scene_sheet([], plain)
    with pytest.raises(ValueError, match="with a view"):
        identity_sheet([IdentityRow(name="x", views=[])])
