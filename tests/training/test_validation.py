"""Identities held out of training."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from personsearch.errors import DatasetError
from personsearch.model.checkpoint import load_searcher
from personsearch.ranking.calibration import fit_calibration
from personsearch.training import stages as stages_module
from personsearch.training.settings import ValidationSettings
from personsearch.training.train import train
from personsearch.training.validation import calibrate, choose_validation, hold_out, search_held_out
from personsearch.types import Detections, Scene


def crowd(*pictures: list[int]) -> list[Scene]:
    return [
        Scene(str(i), path=None, boxes=[[j, 0, j + 1, 2] for j in range(len(p))], people=p)
        for i, p in enumerate(pictures)
    ]


MANY = crowd(list(range(20)), list(range(20)), [-1, -1, 30], [40, 40])


def test_only_people_in_at_least_two_pictures_can_be_held_out() -> None:
    """30 was seen once; 40 twice, but in one picture: no pair across pictures, and -1 is nobody."""
    for seed in range(20):
        chosen = choose_validation(MANY, 4, seed)
        assert len(chosen) == 4
        assert len(set(chosen.tolist())) == 4
        assert (np.diff(chosen) > 0).all()
        assert set(chosen.tolist()) <= set(range(20))


def test_the_seed_decides() -> None:
    assert choose_validation(MANY, 4, 1).tolist() == choose_validation(MANY, 4, 1).tolist()
    assert len({tuple(choose_validation(MANY, 4, seed)) for seed in range(8)}) > 4


def test_a_small_set_keeps_most_of_its_people_for_training() -> None:
    """30 asked for of 20: somebody must be left to train on."""
    assert len(choose_validation(MANY, 30, 0)) <= 22 // 2
    assert len(choose_validation(MANY, 0, 0)) == 0
    assert len(choose_validation([], 3, 0)) == 0
    assert len(choose_validation(crowd([1, 2], [1, 2]), 30, 0)) == 0
    assert len(choose_validation(MANY, 1, 0)) == 0  # one person alone makes no pair of two people


class Known:
    """Embeds a box as the identity written into its left side."""

    fingerprint, dim, similarity = "f", 2, "euclidean"

    def embed(self, picture, boxes):
        angle = np.asarray(boxes)[:, 0] / 10
        return np.stack([np.cos(angle), np.sin(angle)], axis=1).astype(np.float32)


@pytest.fixture
def pictures(tmp_path):
    """Three pictures; the left side of a box says who it is, give or take a little."""
    import cv2

    made = []
    for i, people in enumerate(([1, 2, 5], [1, 2, -1], [2, 3, 1])):
        cv2.imwrite(str(tmp_path / f"{i}.png"), np.zeros((30, 90, 3), np.uint8))
        boxes = [[10 * p + i if p > 0 else 70, 0, 80, 20] for p in people]
        made.append(Scene(str(i), path=tmp_path / f"{i}.png", boxes=boxes, people=people))
    return made


def test_pairs_worked_by_hand(pictures) -> None:
    """Held out: 1 and 2, three pictures each. Across pictures: 3 right pairs each, and 6 wrong ones.

    The two of one picture are left out: they are always two people.
    """
    curve = calibrate(Known(), pictures, np.array([1, 2]))
    assert (curve.pairs, curve.prior) == (12, 0.5)
    rows = [(p, i, Known().embed(None, [[10 * p + i, 0, 80, 20]])[0]) for i in range(3) for p in (1, 2)]
    distances, same = [], []
    for a, (p, i, x) in enumerate(rows):
        for q, j, y in rows[a + 1 :]:
            if i != j:
                distances.append(-float(np.linalg.norm(x - y)))
                same.append(p == q)
    slow = fit_calibration(np.array(distances), np.array(same))
    grid = np.linspace(-2, 0, 50)
    np.testing.assert_allclose(curve.probability(grid), slow.probability(grid), atol=0.02)


def test_nobody_held_out_no_calibration(pictures) -> None:
    assert calibrate(Known(), pictures, np.zeros(0, np.int64)) is None


WISHES = ValidationSettings(every=8, identities=2, pictures=8)


def test_the_held_out_leave_with_all_their_pictures() -> None:
    """20 people in two of 40 pictures each; nobody who serves calibration is drawn."""
    scenes = crowd(*[[i % 20, (i + 1) % 20] for i in range(40)])
    taken = np.array([0, 1, 2, 3])
    drawn = [hold_out(scenes, taken, ValidationSettings(every=1, identities=3), seed) for seed in range(10)]
    for held_out in drawn:
        assert len(held_out.identities) >= 2
        assert not set(held_out.identities.tolist()) & set(taken.tolist())
        assert len(held_out.pictures) <= 10  # a quarter
        left = held_out.training(scenes)
        assert len(left) + len(held_out.pictures) == len(scenes)
        assert not any(np.isin(s.people, held_out.identities).any() for s in left)
    assert len({tuple(h.identities) for h in drawn}) > 5
    again = hold_out(scenes, taken, ValidationSettings(every=1, identities=3), 0)
    assert again.identities.tolist() == drawn[0].identities.tolist()
    few = hold_out(scenes, taken, ValidationSettings(every=1, identities=9, pictures=8), 0)
    assert len(few.pictures) <= 8
    with pytest.raises(DatasetError, match="too few"):
        hold_out(scenes[:3], taken, WISHES, 0)


class Sees(Known):
    """Detects the annotated people of the three pictures, and describes them by who they are."""

    def __init__(self, pictures):
        self.boxes = {s.name: s.boxes for s in pictures}

    def detect(self, picture):
        boxes = self.boxes[picture.name]
        return Detections(boxes, np.full(len(boxes), 0.9), self.embed(picture, boxes))


def test_a_search_worked_by_hand(pictures, tmp_path) -> None:
    """1 is first seen in picture 0, and found first in 1 and in 2; nothing is left behind."""
    from personsearch.training.validation import HeldOut

    held_out = HeldOut(np.array([1, 2]), np.array([0, 1, 2]))
    scores = search_held_out(Sees(pictures), pictures, held_out, tmp_path / "scratch.npz")
    assert scores.ap.tolist() == [1.0, 1.0]
    assert scores.top(1) == 1.0
    assert {p.suffix for p in tmp_path.iterdir()} == {".png"}

    class Blind(Sees):
        def embed(self, picture, boxes):  # whoever stands last in a picture is most alike
            return np.stack([np.arange(len(boxes))[::-1], np.ones(len(boxes))], axis=1).astype(np.float32)

    worse = search_held_out(Blind(pictures), pictures, held_out, tmp_path / "scratch.npz")
    assert worse.mean_ap < 1


@pytest.fixture(scope="module")
def validated(scenes, settings, tmp_path_factory):
    """A run that validates after 8, 16 and 20 steps, and what stage 2 was given."""
    wanted = dataclasses.replace(
        settings,
        joint=dataclasses.replace(settings.joint, steps=20),
        validation=WISHES,
        snapshots=(8, 16, 20),
    )
    given: list = []
    inner = stages_module.SceneBatches

    def recording(data, *arguments, **keywords):
        given.extend(data)
        return inner(data, *arguments, **keywords)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stages_module, "SceneBatches", recording)
        out = train(scenes, tmp_path_factory.mktemp("validated") / "run", wanted, device="cpu")
    return out, wanted, given


def test_a_run_says_how_it_searches_and_keeps_the_best(validated, scenes) -> None:
    out, _, given = validated
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    found = [line for line in lines if "validation" in line]
    assert [line["step"] for line in found] == [7, 15, 19]
    assert all(set(line["validation"]) == {"mAP", "top1"} and line["stage"] == 2 for line in found)
    held_out = hold_out(scenes, choose_validation(scenes, 2, 0), WISHES, 0)
    names = {scenes[row].name for row in held_out.pictures}
    assert len(given) == len(scenes) - len(names)
    assert not {s.name for s in given} & names
    best, last = load_searcher(out / "best", "cpu"), load_searcher(out, "cpu")
    assert best.calibration is not None
    assert best.settings == last.settings
    # The first of the best: an equal one that comes later is no better.
    value = max(found, key=lambda line: line["validation"]["mAP"])
    snapshot = load_file(out / f"snapshots/step-{value['step'] + 1}.safetensors")
    kept = load_file(out / "best/model.safetensors")
    assert all(torch.equal(kept[key], snapshot[key]) for key in kept)
    assert not (out / "validation.npz").exists()


def test_the_best_can_be_the_runs_model(validated, scenes, tmp_path) -> None:
    out, wanted, _ = validated
    keep = dataclasses.replace(wanted, validation=dataclasses.replace(WISHES, keep="best"))
    other = train(scenes, tmp_path / "run", keep, device="cpu")
    for name in ("best/model.safetensors", "model.safetensors"):
        ours, theirs = load_file(other / name), load_file(out / "best/model.safetensors")
        assert all(torch.equal(ours[key], theirs[key]) for key in theirs)


def test_validation_changes_nothing_that_is_learned(validated, scenes, settings, tmp_path) -> None:
    """The same pictures left out, and nobody looked for on the way: the same weights."""
    out, wanted, _ = validated
    rarely = dataclasses.replace(wanted, validation=dataclasses.replace(WISHES, every=1000))
    other = train(scenes, tmp_path / "run", rarely, device="cpu")
    ours, theirs = load_file(other / "model.safetensors"), load_file(out / "model.safetensors")
    assert all(torch.equal(ours[key], theirs[key]) for key in theirs)


def test_an_average_is_what_is_searched_and_exported(scenes, settings, tmp_path) -> None:
    """Snapshot, validation's best and the model, all at the last step: the average, not the last weights."""
    short = dataclasses.replace(settings.joint, steps=4)
    wanted = dataclasses.replace(settings, joint=short, validation=WISHES, average=0.99, snapshots=(4,))
    out = train(scenes, tmp_path / "a", wanted, device="cpu")
    plain = train(scenes, tmp_path / "b", dataclasses.replace(wanted, average=0.0), device="cpu")
    files = [out / "model.safetensors", out / "best/model.safetensors", out / "snapshots/step-4.safetensors"]
    one, *others = [load_file(path) for path in files]
    assert all(torch.equal(one[key], other[key]) for other in others for key in one)
    raw = load_file(plain / "model.safetensors")
    assert not torch.equal(raw["head.fc8.weight"], one["head.fc8.weight"])
