"""Stage 2's batches: whole scenes, everybody where they stand."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from personsearch.errors import DatasetError
from personsearch.model.presets import InputSettings
from personsearch.training.scenes import SceneBatches, without_names
from personsearch.training.settings import AugmentSettings
from personsearch.types import Scene

INPUT = InputSettings(short_side=150, long_side=320, multiple=32)


def batches(scenes, **augment) -> SceneBatches:
    return SceneBatches(scenes, INPUT, AugmentSettings(**augment), batch=3, seed=2)


@pytest.mark.parametrize(("flip", "scale"), [(0.0, 1.0), (1.0, 1.0), (0.0, 0.8), (1.0, 1.3)])
def test_boxes_lie_on_their_people(scenes, flip: float, scale: float) -> None:
    """Everybody wears a colour of their own: it fills the box, and ends where the box ends."""
    batch = batches(scenes, flip=flip, scale=(scale, scale))[0]
    assert batch.images.shape[1] == 3
    assert all(side % 32 == 0 for side in batch.images.shape[2:])
    assert len(batch.sizes) == len(batch.boxes) == len(batch.people) == 3
    for image, size, boxes, people in zip(batch.images, batch.sizes, batch.boxes, batch.people, strict=True):
        assert size == (round(150 * scale), round(200 * scale))
        assert boxes.dtype == np.float32
        assert boxes.shape == (4, 4)
        pixels = image.permute(1, 2, 0).numpy().astype(int)
        for box, person in zip(boxes, people, strict=True):
            colour = np.random.default_rng(int(person) + 100).integers(0, 256, 3)
            alike = (np.abs(pixels - colour) < 30).all(axis=2)
            x1, y1, x2, y2 = np.round(box).astype(int)
            assert alike[y1 + 2 : y2 - 2, x1 + 2 : x2 - 2].mean() > 0.99
            for outside in (alike[y1:y2, x2 + 2 : x2 + 4], alike[y2 + 2 : y2 + 4, x1:x2]):
                assert outside.mean() < 0.2


def test_a_step_is_the_same_whenever_it_is_asked(scenes) -> None:
    augment = {"gain": 0.2, "cast": 0.1, "gamma": 0.1, "scale": (0.7, 1.2)}
    one, other = batches(scenes, **augment), batches(scenes, **augment)
    other[5], other[0]
    a, b = one[2], other[2]
    assert (a.images == b.images).all()
    assert a.sizes == b.sizes
    for x, y in zip(a.boxes, b.boxes, strict=True):
        assert np.array_equal(x, y)
    assert len({one[step].sizes[0] for step in range(5)}) > 1


def test_an_epoch_shows_every_scene_once(scenes) -> None:
    data = SceneBatches(scenes, INPUT, AugmentSettings(), batch=4, seed=2)
    shown = [tuple(p.tolist()) for step in range(2) for p in data[step].people]
    assert sorted(shown) == sorted(tuple(s.people.tolist()) for s in scenes)


def test_boxes_follow_each_axis(tmp_path) -> None:
    """A picture of 301 x 4 becomes 320 x 4: sides are whole pixels, and the axes grow differently."""
    import cv2

    cv2.imwrite(str(tmp_path / "flat.png"), np.zeros((4, 301, 3), np.uint8))
    scene = Scene("flat", path=tmp_path / "flat.png", boxes=[[0, 0, 301, 4]], people=[0])
    batch = batches([scene], flip=0.0)[0]
    height, width = batch.sizes[0]
    np.testing.assert_allclose(batch.boxes[0], [[0, 0, width, height]], rtol=1e-5)


def test_boxes_without_area_in_the_picture_are_left_out(scenes) -> None:
    """Such a box overlaps no anchor, and the proposal network would give it all of them as its best."""
    scene = scenes[0]
    strange = [[5, 5, 5, 40], [500, 10, 540, 90], [-60, 10, 0, 90]]
    more = dataclasses.replace(
        scene,
        boxes=np.concatenate([scene.boxes, np.array(strange, np.float32)]),
        people=np.concatenate([scene.people, [1, 2, -1]]),
        visible=None,
        ignore=None,
    )
    one, other = batches([scene])[0], batches([more])[0]
    for a, b in zip((*one.boxes, *one.people), (*other.boxes, *other.people), strict=True):
        assert np.array_equal(a, b)


def test_scenes_that_show_nobody(scenes) -> None:
    empty = Scene("empty", path=scenes[0].path)
    assert len(batches([empty, *scenes]).scenes) == len(scenes)
    with pytest.raises(DatasetError, match="nobody"):
        batches([empty])
    with pytest.raises(DatasetError, match=scenes[0].name):
        batches([dataclasses.replace(scenes[0], path=None)])[0]


def test_names_are_taken_and_the_others_renumbered() -> None:
    one = Scene("a", boxes=np.zeros((4, 4)), people=[10, 30, -1, 20])
    two = Scene("b", boxes=np.zeros((2, 4)), people=[20, 40])
    three = Scene("c")
    changed = without_names([one, two, three], np.array([20]))
    assert [s.people.tolist() for s in changed] == [[0, 1, -1, -1], [-1, 2], []]
    assert [len(s) for s in changed] == [4, 2, 0]  # they stay: still people to the detector
    assert one.people.tolist() == [10, 30, -1, 20]
    everybody = without_names([one], np.array([10, 20, 30]))
    assert everybody[0].people.tolist() == [-1] * 4
    assert without_names([], np.zeros(0, np.int64)) == ()
    assert without_names([one], np.zeros(0, np.int64))[0].people.tolist() == [0, 2, -1, 1]


def test_shares_are_slices_of_the_batch(scenes) -> None:
    """Whoever makes a share has drawn for all of the batch: light, mirror, covers are the batch's."""
    augment = {"gain": 0.3, "cast": 0.1, "gamma": 0.1, "cover": 0.7, "scale": (0.7, 1.2)}
    data = SceneBatches(scenes, INPUT, AugmentSettings(**augment), batch=4, seed=2)
    for step in (0, 5):
        whole = data[step]
        for count in (1, 2, 4):
            for index in range(count):
                share = data.share(step, index, count)
                for ours, theirs in zip(share, whole, strict=True):
                    for a, b in zip(ours, theirs[index::count], strict=True):
                        assert np.array_equal(np.asarray(a), np.asarray(b))


def test_the_ignored_are_neither_people_nor_lost(scenes) -> None:
    """They leave people and boxes, follow the mirror, and stand in a column of their own."""
    ignore = np.array([False, True, False, False])
    one = dataclasses.replace(scenes[0], ignore=ignore)
    for flip in (0.0, 1.0):
        plain, other = batches([scenes[0]], flip=flip)[0], batches([one], flip=flip)[0]
        assert [len(b) for b in other.boxes] == [3] * 3
        assert [len(b) for b in other.ignored] == [1] * 3
        assert np.array_equal(other.boxes[0], plain.boxes[0][~ignore])
        assert np.array_equal(other.people[0], plain.people[0][~ignore])
        assert np.array_equal(other.ignored[0], plain.boxes[0][ignore])
        assert other.ignored[0].dtype == np.float32
    nobody = dataclasses.replace(scenes[0], ignore=np.ones(4, bool))
    with pytest.raises(DatasetError, match="nobody"):
        batches([nobody])


def test_covers_hide_part_of_people_and_nothing_else(scenes) -> None:
    plain, other = batches(scenes, flip=0.0)[0], batches(scenes, flip=0.0, cover=1.0)[0]
    columns = (plain.images, other.images, plain.boxes, plain.sizes)
    for a, b, boxes, (height, width) in zip(*columns, strict=True):
        changed = (a != b).any(dim=0).numpy()[:height, :width]  # the padding has the picture's mean colour
        assert changed.any()
        near = np.zeros_like(changed)
        for x1, y1, x2, y2 in boxes:
            w = x2 - x1
            near[int(y1) : int(y2) + 1, max(0, int(x1 - 0.21 * w)) : int(x2 + 0.21 * w) + 1] = True
        assert not (changed & ~near).any()
        shares = [changed[int(y1) : int(y2), int(x1) : int(x2)].mean() for x1, y1, x2, y2 in boxes]
        assert 0 < max(shares) <= 0.55
    assert (batches(scenes, flip=0.0, cover=1e-9)[0].images == plain.images).all()


def test_like_shapes_pad_less(scenes, tmp_path) -> None:
    """Wide and high pictures, four a batch, some without a size in their annotation: apart where wished."""
    import cv2

    high = []
    for i in range(8):
        path = tmp_path / f"high-{i}.png"
        cv2.imwrite(str(path), np.zeros((128, 96, 3), np.uint8))
        high.append(Scene(path.name, path=path, boxes=[[10, 10, 40, 90]], people=[i]))
    mixed = [*scenes, *high]
    area = {}
    for like in (False, True):
        data = SceneBatches(mixed, INPUT, AugmentSettings(), batch=4, seed=0, like_shapes=like)
        area[like] = sum(data[step].images.shape[2] * data[step].images.shape[3] for step in range(12))
    assert area[True] < 0.85 * area[False]
