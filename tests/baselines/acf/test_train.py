from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from personsearch.baselines.acf import train as module
from personsearch.baselines.acf.detector import load_acf
from personsearch.baselines.acf.settings import AcfSettings
from personsearch.baselines.acf.state import STATE
from personsearch.baselines.acf.train import train_acf
from personsearch.baselines.acf.windows import Truth
from personsearch.boxes import iou
from personsearch.errors import InputError, LockedError, UsageError
from personsearch.evaluation.detection import mutual_best
from personsearch.files import WriterLock
from personsearch.images import load
from personsearch.types import Scene


def quick(small: AcfSettings) -> AcfSettings:
    return dataclasses.replace(small, trees=(4, 6, 8), pictures=8, negatives=200, negatives_added=100)


def test_people_are_found_in_new_pictures(trained: Path, new_scenes: list[Scene]) -> None:
    detector = load_acf(trained)
    found = wanted = wrong = 0
    for scene in new_scenes:
        seen = detector.detect(load(scene.path))
        sure = seen.take(seen.scores >= 0.5).boxes
        hits = mutual_best(sure, scene.boxes, 0.5)
        found, wanted, wrong = found + hits.sum(), wanted + len(scene), wrong + (~hits).sum()
    assert found >= 0.8 * wanted
    assert wrong <= 0.3 * wanted
    assert 0.35 < detector.model.aspect < 0.45  # drawn as 0.4


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, scenes: list[Scene], small: AcfSettings) -> Path:
    return train_acf(scenes, quick(small), tmp_path_factory.mktemp("whole"))


@pytest.mark.parametrize("rounds", [1, 2, 3])
def test_killed_after_a_round_it_goes_on_to_the_same_bytes(
    tmp_path: Path,
    scenes: list[Scene],
    small: AcfSettings,
    whole: Path,
    monkeypatch: pytest.MonkeyPatch,
    rounds: int,
) -> None:
    settings = quick(small)
    keep, grown = module.save_standing, module.grow_trees

    def killed(folder: Path, standing: module.Standing, made_from: dict) -> None:
        keep(folder, standing, made_from)
        if standing.rounds == rounds:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(module, "save_standing", killed)
        with pytest.raises(KeyboardInterrupt):
            train_acf(scenes, settings, tmp_path / "part")
    counted = []

    def counting(*given: object, **named: object) -> object:
        counted.append(1)
        return grown(*given, **named)

    monkeypatch.setattr(module, "grow_trees", counting)
    folder = train_acf(scenes, settings, tmp_path / "part")
    assert load_acf(folder).fingerprint == load_acf(whole).fingerprint
    assert len(counted) == 3 - rounds  # no round is made twice
    assert not (folder / STATE).exists()


def test_the_seed_decides(tmp_path: Path, scenes: list[Scene], small: AcfSettings, whole: Path) -> None:
    one = load_acf(whole)
    other = load_acf(train_acf(scenes, dataclasses.replace(quick(small), seed=1), tmp_path))
    assert one.fingerprint != other.fingerprint
    assert not np.array_equal(one.model.trees.features, other.model.trees.features)


def test_a_finished_folder_is_left_and_other_wishes_refused(
    trained: Path, scenes: list[Scene], small: AcfSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {path.name: path.stat().st_mtime_ns for path in trained.iterdir()}
    assert train_acf(scenes, small, trained) == trained
    assert {path.name: path.stat().st_mtime_ns for path in trained.iterdir()} == before
    with pytest.raises(UsageError, match="other settings or scenes"):
        train_acf(scenes, dataclasses.replace(small, seed=5), trained)
    with pytest.raises(UsageError, match="other settings or scenes"):
        train_acf(scenes[1:], small, trained)


def test_the_state_of_another_training_is_refused(
    tmp_path: Path, scenes: list[Scene], small: AcfSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, keep = quick(small), module.save_standing

    def killed(*given: object) -> None:
        keep(*given)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(module, "save_standing", killed)
        with pytest.raises(KeyboardInterrupt):
            train_acf(scenes, settings, tmp_path)
    with pytest.raises(UsageError, match="other settings or scenes"):
        train_acf(scenes, dataclasses.replace(settings, views=2), tmp_path)
    (tmp_path / STATE).write_bytes(b"\xff" * 100)
    with pytest.raises(UsageError, match="is damaged"):
        train_acf(scenes, settings, tmp_path)


def test_one_writer(tmp_path: Path, scenes: list[Scene], small: AcfSettings) -> None:
    lock = WriterLock(tmp_path / "lock")
    try:
        with pytest.raises(LockedError):
            train_acf(scenes, small, tmp_path)
    finally:
        lock.release()


def test_no_background_where_the_annotation_says_nothing(
    tmp_path: Path, scenes: list[Scene], small: AcfSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half of every picture is ignored, and everybody in it: nothing of it is ever taken for background."""
    marked = []
    for scene in scenes:
        boxes = np.concatenate([scene.boxes, [[100, 0, 200, 160]]]).astype(np.float32)
        ignore = np.append(scene.boxes[:, 2] > 100, True)
        marked.append(
            Scene(scene.name, path=scene.path, boxes=boxes, people=np.full(len(boxes), -1), ignore=ignore)
        )
    asked: list[tuple[np.ndarray, np.ndarray]] = []
    judge = module.is_background

    def watching(boxes: np.ndarray, truth: Truth, most: float) -> np.ndarray:
        free = judge(boxes, truth, most)
        asked.append((boxes[free], np.concatenate([truth.wanted, truth.others])))
        return free

    monkeypatch.setattr(module, "is_background", watching)
    monkeypatch.setattr("personsearch.baselines.acf.windows.is_background", watching)
    train_acf(marked, quick(small), tmp_path)
    assert sum(len(free) for free, _ in asked) > 100
    for free, people in asked:
        inside = np.maximum(free[:, 2] - np.maximum(free[:, 0], 100), 0)
        assert (inside <= 0.1 * (free[:, 2] - free[:, 0]) + 1e-3).all()
        assert iou(free, people).max(initial=0) <= 0.1


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda s: [dataclasses.replace(one, path=None) for one in s], "has no picture"),
        (lambda s: [Scene(one.name, path=one.path) for one in s], "only 0 of"),
        (lambda s: [], "only 0 of 0"),
        (
            lambda s: [
                dataclasses.replace(
                    one,
                    boxes=np.concatenate([one.boxes, [[0, 0, 200, 160]]]),
                    people=np.full(len(one) + 1, -1),
                    ignore=np.append(one.ignore, True),
                    visible=None,
                )
                for one in s
            ],
            "background",
        ),
        (lambda s: [dataclasses.replace(one, path=Path("nowhere.jpg")) for one in s], "does not exist"),
    ],
)
def test_what_cannot_be_learnt_from(
    tmp_path: Path, scenes: list[Scene], small: AcfSettings, change: object, said: str
) -> None:
    with pytest.raises(InputError, match=said):
        train_acf(change(scenes), quick(small), tmp_path)
