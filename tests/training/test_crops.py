"""Stage 1's crops: the box lands where it should, the background shows nobody."""

from __future__ import annotations

import dataclasses
import io
import sys
from multiprocessing.reduction import ForkingPickler

import numpy as np
import pytest

from personsearch.boxes import iou
from personsearch.errors import DatasetError, PersonSearchError
from personsearch.training.crops import (
    CropBatches,
    CropStore,
    background_boxes,
    covered_share,
    cut,
    cut_crops,
)
from personsearch.training.settings import AugmentSettings, CropSettings
from personsearch.types import Scene

RED, GREY = np.array([250, 10, 10]), np.array([60, 60, 60])


def street(box, size=(400, 300)) -> np.ndarray:
    """A grey picture with one red block."""
    pixels = np.empty((size[1], size[0], 3), np.uint8)
    pixels[:] = GREY
    x1, y1, x2, y2 = (int(v) for v in box)
    pixels[y1:y2, x1:x2] = RED
    return pixels


def redness(crop: np.ndarray) -> np.ndarray:
    """(h, w) share of red in each pixel, 0..1."""
    return ((crop[..., 0].astype(float) - GREY[0]) / (RED[0] - GREY[0])).clip(0, 1)


def found(crop: np.ndarray) -> np.ndarray:
    """The red block's box in the crop, to a fraction of a pixel: centre and sides from moments."""
    share = redness(crop)
    columns, rows = share.max(axis=0), share.max(axis=1)
    sides = np.array([columns.sum(), rows.sum()])
    middle = np.array([np.average(np.arange(len(v)) + 0.5, weights=v) for v in (columns, rows)])
    return np.concatenate([middle - sides / 2, middle + sides / 2])


ASPECT = CropSettings(stored=(192, 96), margin=0.125, keep_aspect=True)


@pytest.mark.parametrize(
    "box",
    [
        (100, 60, 140, 150),  # about life size
        (200, 100, 212, 128),  # far away, enlarged five times
        (100, 40, 200, 280),  # near, made smaller
        (150, 100, 250, 150),  # lying: the width decides the window
    ],
)
def test_the_box_lands_where_it_says(box) -> None:
    crop, inside = cut(street(box), np.array(box, np.float32), ASPECT)
    assert crop.shape == (192, 96, 3)
    np.testing.assert_allclose(found(crop), inside, atol=0.5)
    # And so does its middle, more exactly: half a pixel too far would show here.
    middle = (found(crop)[:2] + found(crop)[2:]) / 2
    np.testing.assert_allclose(middle, (inside[:2] + inside[2:]) / 2, atol=0.15)


def test_the_window_worked_by_hand() -> None:
    """80 high, an eighth above and below: a window of 100 x 50 around the middle (120, 100)."""
    _, inside = cut(street((110, 60, 130, 140)), np.array([110, 60, 130, 140], np.float32), ASPECT)
    np.testing.assert_allclose(inside, np.array([15, 10, 35, 90]) * 1.92, rtol=1e-5)


def test_stretched_crops_are_the_box_itself() -> None:
    """The paper resizes the box: all red, from edge to edge."""
    box = np.array([100, 60, 140, 150], np.float32)
    crop, inside = cut(street(box), box, CropSettings())
    assert crop.shape == (256, 256, 3)
    assert inside.tolist() == [0, 0, 256, 256]
    share = redness(crop)
    assert share[8:-8, 8:-8].min() > 0.99
    np.testing.assert_allclose(share.sum(axis=1)[8:-8], share[:, ::-1].sum(axis=1)[8:-8])
    assert abs(share[:, 0].mean() - share[:, -1].mean()) < 0.02  # as much grey at the left as at the right
    assert abs(share[0].mean() - share[-1].mean()) < 0.02


def test_what_lies_outside_the_picture_repeats_its_border() -> None:
    box = np.array([0, 0, 30, 120], np.float32)
    crop, inside = cut(street(box), box, ASPECT)
    above = crop[: int(inside[1]) - 2, int(inside[0]) + 2 : int(inside[2]) - 2]
    assert above.size
    assert redness(above).min() > 0.9


def test_background_boxes_overlap_nobody() -> None:
    """The authors' rule: IoU below 0.3 with everybody, labelled or not."""
    people = np.array([[50, 40, 100, 200], [200, 30, 260, 220], [300, 100, 340, 190]], np.float32)
    scene = Scene("s", boxes=people, people=[1, -1, 2])
    boxes = background_boxes(scene, (400, 300), 40, np.random.default_rng(0))
    assert len(boxes) == 40
    assert iou(boxes, people).max() < 0.3
    assert (boxes >= 0).all()
    assert (boxes <= [400, 300, 400, 300]).all()
    sides = boxes[:, 2:] - boxes[:, :2]
    assert (sides[:, 1] > sides[:, 0]).all()
    nobody = Scene("s")
    assert len(background_boxes(nobody, (400, 300), 5, np.random.default_rng(0))) == 5


def test_a_crowd_leaves_no_room_for_background() -> None:
    """People wherever one could draw: fewer boxes than asked for, not wrong ones, no endless search."""
    everywhere = background_boxes(Scene("s"), (100, 100), 1000, np.random.default_rng(1))
    crowd = Scene("s", boxes=everywhere, people=np.full(1000, -1))
    boxes = background_boxes(crowd, (100, 100), 50, np.random.default_rng(0))
    assert len(boxes) < 50
    assert not len(boxes) or iou(boxes, everywhere).max() < 0.3


@pytest.fixture(scope="module")
def store(scenes, tmp_path_factory) -> CropStore:
    return cut_crops(scenes, tmp_path_factory.mktemp("crops"), ASPECT, identities=40, seed=3)


def test_every_labelled_person_and_as_many_of_background(store: CropStore, scenes) -> None:
    named = sum(int((s.people >= 0).sum()) for s in scenes)
    assert (store.labels < 40).sum() == named
    assert (store.labels == 40).sum() == named
    assert len(store.pixels) == len(store.boxes) == 2 * named
    wanted = np.concatenate([s.people[s.people >= 0] for s in scenes])
    assert store.labels[store.labels < 40].tolist() == wanted.tolist()


def test_a_crop_shows_its_own_person(store: CropStore) -> None:
    """Everybody wears a colour of their own: it must be the one of the label."""
    for pixels, box, label in zip(store.pixels, store.boxes, store.labels, strict=True):
        if label == 40:
            continue
        x1, y1, x2, y2 = np.round(box).astype(int)
        inside = pixels[y1 + 6 : y2 - 6, x1 + 6 : x2 - 6].reshape(-1, 3).astype(float).mean(axis=0)
        colour = np.random.default_rng(int(label) + 100).integers(0, 256, 3)
        np.testing.assert_allclose(inside, colour, atol=2)


def test_a_finished_cut_is_reused_and_an_interrupted_one_is_not(scenes, tmp_path) -> None:
    class Stop(Exception):
        pass

    def halfway(items, label, *, total=None, done=0):
        for i, item in enumerate(items):
            if i == 4:
                raise Stop
            yield item

    with pytest.raises(Stop):
        cut_crops(scenes, tmp_path, ASPECT, identities=40, seed=3, progress=halfway)
    assert not (tmp_path / "crops.json").exists()
    first = cut_crops(scenes, tmp_path, ASPECT, identities=40, seed=3)

    def never(items, label, *, total=None, done=0):
        raise AssertionError("cut again")

    again = cut_crops(scenes, tmp_path, ASPECT, identities=40, seed=3, progress=never)
    assert np.array_equal(first.pixels, again.pixels)
    assert np.array_equal(first.boxes, again.boxes)
    assert np.array_equal(first.labels, again.labels)


def test_the_seed_decides_the_background(scenes, tmp_path, store: CropStore) -> None:
    same = cut_crops(scenes, tmp_path / "a", ASPECT, identities=40, seed=3)
    other = cut_crops(scenes, tmp_path / "b", ASPECT, identities=40, seed=4)
    assert np.array_equal(same.pixels, store.pixels)
    people = store.labels < 40
    assert np.array_equal(other.pixels[people], store.pixels[people])
    assert not np.array_equal(other.pixels[~people], store.pixels[~people])


def test_nobody_with_a_name_and_no_picture(scenes, tmp_path) -> None:
    nameless = [dataclasses.replace(s, people=np.full(len(s), -1)) for s in scenes]
    with pytest.raises(DatasetError, match="identity"):
        cut_crops(nameless, tmp_path, ASPECT, identities=40, seed=3)
    with pytest.raises(DatasetError, match=scenes[0].name):
        cut_crops([dataclasses.replace(scenes[0], path=None)], tmp_path, ASPECT, identities=40, seed=3)


@pytest.mark.skipif(sys.platform != "linux", reason="needs /dev/full")
def test_a_full_disk_is_one_clear_error(scenes, tmp_path) -> None:
    """Not a crash: a memory-mapped file on a full disk would end the process by a signal."""
    (tmp_path / "crops.u8").symlink_to("/dev/full")
    with pytest.raises(PersonSearchError, match="no space left"):
        cut_crops(scenes, tmp_path, ASPECT, identities=40, seed=3)
    assert not (tmp_path / "crops.json").exists()


def batches(store: CropStore, settings: CropSettings = ASPECT, **augment) -> CropBatches:
    settings = dataclasses.replace(settings, sizes=((64, 32), (128, 64)), background_share=0.25)
    return CropBatches(store, settings, AugmentSettings(**augment), batch=8, seed=5, identities=40)


def test_a_batch_has_its_shares_and_covers_everybody(store: CropStore) -> None:
    data = batches(store)
    seen: list[int] = []
    for step in range(8):
        batch = data[step]
        assert batch.images.dtype == np.uint8
        assert batch.images.shape[:2] == (8, 3)
        assert batch.images.shape[2:] in ((64, 32), (128, 64))
        assert batch.boxes.shape == (8, 4)
        assert (batch.labels == 40).sum() == 2
        seen += batch.labels[batch.labels < 40].tolist()
    people = store.labels[store.labels < 40].tolist()
    assert sorted(seen[: len(people)]) == sorted(people)
    assert {data[step].images.shape[2] for step in range(12)} == {64, 128}


def test_a_step_is_the_same_whenever_it_is_asked(store: CropStore) -> None:
    augment = {"gain": 0.2, "cast": 0.1, "gamma": 0.1, "erase": 0.5}
    one, other = batches(store, **augment), batches(store, **augment)
    for step in (4, 1, 3):
        other[step]
    for a, b in zip(one[3], other[3], strict=True):
        assert np.array_equal(a, b)
    assert not np.array_equal(one[3].images, one[4].images[:, :, :64, :32])


@pytest.mark.parametrize("flip", [0.0, 1.0])
def test_boxes_stay_on_their_people(store: CropStore, flip: float) -> None:
    """Within the jitter of 6% that stands for a detector's inexact box."""
    data = batches(store, flip=flip)
    for step in range(4):
        batch = data[step]
        for image, box, label in zip(batch.images, batch.boxes, batch.labels, strict=True):
            if label == 40:
                continue
            colour = np.random.default_rng(int(label) + 100).integers(0, 256, 3)
            alike = (np.abs(image.transpose(1, 2, 0).astype(int) - colour) < 12).all(axis=2)
            rows, columns = np.flatnonzero(alike.mean(axis=1) > 0.2), np.flatnonzero(alike.mean(axis=0) > 0.3)
            there = np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1])
            sides = np.tile(box[2:] - box[:2], 2)
            assert (np.abs(there - box) <= 0.08 * sides + 1.5).all(), (there, box)


@pytest.mark.parametrize("flip", [0.0, 1.0])
def test_a_box_beside_the_middle_follows_the_mirror(flip: float) -> None:
    box = np.array([4, 10, 24, 60], np.float32)
    store = CropStore(street(box, (48, 96))[None], box[None], np.array([0]))
    settings = CropSettings(stored=(96, 48), sizes=((64, 32),), keep_aspect=True)
    data = CropBatches(store, settings, AugmentSettings(flip=flip), batch=1, seed=1, identities=1)
    for step in range(4):
        image, moved, _ = (column[0] for column in data[step])
        sides = np.tile(moved[2:] - moved[:2], 2)
        assert (np.abs(found(image.transpose(1, 2, 0)) - moved) <= 0.08 * sides).all()


def test_the_paper_crops_are_a_window_of_the_stored_one() -> None:
    """Stored at 40, seen at 32: shifted by 0..8, mirrored or not, nothing resized."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (6, 40, 40, 3), dtype=np.uint8)
    store = CropStore(pixels, np.tile(np.float32([0, 0, 40, 40]), (6, 1)), np.array([0, 1, 2, 3, 3, 3]))
    settings = CropSettings(stored=(40, 40), sizes=((32, 32),))
    data = CropBatches(store, settings, AugmentSettings(), batch=6, seed=1, identities=3)
    places = set()
    for step in range(6):
        batch = data[step]
        assert sorted(batch.labels.tolist()) == [0, 1, 2, 3, 3, 3]  # half of it background
        assert (batch.boxes == [0, 0, 32, 32]).all()
        for image in batch.images.transpose(0, 2, 3, 1):
            matches = [
                (i, top, left, mirrored)
                for i in range(6)
                for mirrored in (False, True)
                for top in range(9)
                for left in range(9)
                if (pixels[i, top, left] == image[0, -1 if mirrored else 0]).all()
                and (
                    pixels[i, top : top + 32, left : left + 32] == (image[:, ::-1] if mirrored else image)
                ).all()
            ]
            assert len(matches) == 1
            places.add(matches[0][1:])
    assert len({p[:2] for p in places}) > 10
    assert {p[2] for p in places} == {False, True}


def test_shares_are_slices_of_the_batch(store: CropStore) -> None:
    data = batches(store, gain=0.2, cast=0.1, gamma=0.1, erase=0.5)
    for step in range(3):
        for count in (1, 2, 4):
            for index in range(count):
                for ours, theirs in zip(data.share(step, index, count), data[step], strict=True):
                    assert np.array_equal(ours, theirs[index::count])


def test_a_loader_process_is_sent_the_path_and_not_the_pixels(store: CropStore) -> None:
    """What spawn sends: far less than the crops, also after they were read here."""
    data = batches(store)
    before = data[0]
    buffer = io.BytesIO()
    ForkingPickler(buffer).dump(data)
    assert len(buffer.getvalue()) < 20_000 < np.asarray(store.pixels).nbytes
    again = ForkingPickler.loads(buffer.getvalue())
    assert np.array_equal(again[0].images, before.images)
    assert len(again.store.pixels) == len(store.pixels)


def test_nobody_ignored_is_cut_and_no_background_is_cut_from_them(scenes, tmp_path) -> None:
    """One named person to be ignored, and half a picture of which nobody says what is in it."""
    region = np.array([[0, 0, 64, 96]], np.float32)
    changed = [
        dataclasses.replace(
            s,
            boxes=np.concatenate([s.boxes, region]),
            people=[*s.people, -1],
            visible=None,
            ignore=np.array([True, False, False, False, True]),
        )
        for s in scenes
    ]
    cut_ones = cut_crops(changed, tmp_path, ASPECT, identities=40, seed=3)
    people = cut_ones.labels[cut_ones.labels < 40].tolist()
    assert people == [int(p) for s in scenes for p in s.people[1:3]]
    boxes = background_boxes(changed[0], (128, 96), 30, np.random.default_rng(0))
    assert len(boxes)
    assert covered_share(boxes, region).max() < 0.3
    free = background_boxes(scenes[0], (128, 96), 30, np.random.default_rng(0))
    assert covered_share(free, region).max() > 0.3
