"""Crops against a slow rounding of boxes, and the cut of a training set that is killed and goes on."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from personsearch import images
from personsearch.baselines.reid import crops as module
from personsearch.baselines.reid.crops import cut_labelled, people_crops
from personsearch.errors import DatasetError, InputError
from personsearch.types import Picture, Scene


def numbered(width: int, height: int) -> Picture:
    """Every pixel tells its column (red) and row (green)."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[..., 0] = np.arange(width)
    pixels[..., 1] = np.arange(height)[:, None]
    return Picture(pixels)


def test_a_box_of_the_crops_size_is_cut_out_as_it_is():
    crop = people_crops(numbered(60, 80), np.array([[5, 7, 25, 47]]), (40, 20))[0]
    assert crop[0, 0].tolist() == [5, 7, 0]
    assert crop[39, 19].tolist() == [24, 46, 0]


def test_shrinking_averages():
    crop = people_crops(numbered(60, 80), np.array([[0, 0, 40, 80]]), (40, 20))[0]
    # two by two pixels each: columns 0 and 1 average to 0.5, rounded to even or up by OpenCV
    assert abs(int(crop[10, 10, 0]) - 20.5) <= 0.5
    assert abs(int(crop[10, 10, 1]) - 20.5) <= 0.5


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(-30, 110), min_size=4, max_size=4))
def test_equals_the_box_cut_to_the_picture_and_rounded(sides):
    x1, x2 = sorted(sides[:2])
    y1, y2 = sorted(sides[2:])
    picture = numbered(64, 96)
    box = np.array([[x1, y1, x2, y2]], np.float32)
    x1, y1, x2, y2 = box[0].tolist()
    if not (max(x1, 0) < min(x2, 64) and max(y1, 0) < min(y2, 96)):
        with pytest.raises(InputError, match="no area"):
            people_crops(picture, box, (16, 8))
        return
    columns = [c for c in range(64) if round(max(x1, 0)) <= c < round(min(x2, 64))]
    rows = [r for r in range(96) if round(max(y1, 0)) <= r < round(min(y2, 96))]
    columns = columns or [min(round(max(x1, 0)), 63)]
    rows = rows or [min(round(max(y1, 0)), 95)]
    part = picture.pixels[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    how = cv2.INTER_AREA if part.shape[0] * part.shape[1] > 128 else cv2.INTER_LINEAR
    expected = cv2.resize(part, (8, 16), interpolation=how)
    np.testing.assert_array_equal(people_crops(picture, box, (16, 8))[0], expected)


@pytest.mark.parametrize("box", [[0, 0, np.nan, 5], [70, 0, 80, 5], [5, 5, 5, 9], [0, 0, np.inf, 5]])
def test_a_box_without_area_is_refused(box):
    with pytest.raises(InputError, match="no area"):
        people_crops(numbered(64, 96), np.array([[1, 1, 9, 9], box]), (16, 8))


def test_nobody_gives_no_crops():
    assert people_crops(numbered(64, 96), np.zeros((0, 4)), (16, 8)).shape == (0, 16, 8, 3)


@pytest.fixture
def scenes(tmp_path):
    """Five pictures; person p is a block of grey 40 p, and somebody unnamed and somebody ignored beside."""
    made = []
    for number in range(5):
        pixels = np.zeros((40, 80, 3), np.uint8)
        pixels[:, :20] = 40 * (number % 3) + 40
        path = tmp_path / f"{number}.png"
        path.write_bytes(images.encode_jpeg(pixels, 95))
        boxes = [[0, 0, 20, 40], [20, 0, 40, 40], [40, 0, 60, 40]]
        people = [number % 3, -1, 7]
        made.append(Scene(path.name, path, (80, 40), boxes, people, ignore=[False, False, True]))
    return made


def test_only_the_labelled_are_cut_in_the_order_of_the_scenes(scenes, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "SHARD_SCENES", 2)
    empty = Scene("nobody.jpg", None, boxes=[[0, 0, 9, 9]], people=[-1])  # has no file, and needs none
    found = cut_labelled([scenes[0], empty, *scenes[1:]], (20, 10), tmp_path / "cache")
    assert found.people.tolist() == [0, 1, 2, 0, 1]
    assert len(found.files) == 3
    pixels = np.concatenate(list(found.shards()))
    assert pixels.shape == (5, 20, 10, 3)
    middle = pixels[:, 10, 5, 0].astype(int)
    assert np.abs(middle - [40, 80, 120, 40, 80]).max() <= 3
    taken = np.concatenate(list(found.take(np.array([0, 3, 4]))))
    np.testing.assert_array_equal(taken, pixels[[0, 3, 4]])


def test_killed_it_goes_on_and_other_scenes_get_files_of_their_own(scenes, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "SHARD_SCENES", 2)
    whole = cut_labelled(scenes, (20, 10), tmp_path / "whole")
    looked: list[str] = []
    load = images.load

    def killed_at_the_fourth(path, **rest):
        looked.append(path.name)
        if len(looked) == 4:
            raise KeyboardInterrupt
        return load(path, **rest)

    monkeypatch.setattr(images, "load", killed_at_the_fourth)
    with pytest.raises(KeyboardInterrupt):
        cut_labelled(scenes, (20, 10), tmp_path / "cache")
    told: list[tuple[int | None, int]] = []

    def progress(items, label, *, total=None, done=0):
        told.append((total, done))
        yield from items

    again = cut_labelled(scenes, (20, 10), tmp_path / "cache", progress=progress)
    assert told == [(5, 2)]  # the first shard was whole
    assert looked[4:] == ["2.png", "3.png", "4.png"]
    for mine, theirs in zip(again.files, whole.files, strict=True):
        np.testing.assert_array_equal(np.load(mine)["pixels"], np.load(theirs)["pixels"])
    again.files[1].write_bytes(b"PK")
    with pytest.raises(InputError, match=r"00001\.npz is damaged"):
        list(again.shards())
    other = cut_labelled(scenes[:3], (20, 10), tmp_path / "cache")
    assert other.digest != again.digest
    assert other.people.tolist() == [0, 1, 2]


def test_nobody_labelled_and_no_picture_are_told(scenes, tmp_path):
    with pytest.raises(DatasetError, match="no person"):
        cut_labelled([Scene("a", boxes=[[0, 0, 9, 9]], people=[-1])], (20, 10), tmp_path)
    with pytest.raises(DatasetError, match="a has no picture file"):
        cut_labelled([Scene("a", boxes=[[0, 0, 9, 9]], people=[1])], (20, 10), tmp_path)
