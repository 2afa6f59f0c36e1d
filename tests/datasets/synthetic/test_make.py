"""On disk: the same bytes however it is made, protocols that hold, nothing overwritten."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from personsearch.datasets.open import open_dataset
from personsearch.datasets.synthetic import make
from personsearch.datasets.synthetic.make import make_dataset
from personsearch.datasets.synthetic.protocols import choose_queries, places
from personsearch.datasets.synthetic.settings import SyntheticSettings
from personsearch.errors import DatasetError
from personsearch.types import UNLABELLED, Scene


def digests(root: Path) -> dict[str, str]:
    files = sorted(path for path in root.rglob("*") if path.is_file())
    return {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files
    }


def test_the_number_of_workers_changes_nothing(made: Path, small: SyntheticSettings, tmp_path: Path) -> None:
    make_dataset(tmp_path / "two", small, workers=2)
    assert digests(tmp_path / "two") == digests(made)
    assert not (made / ".parts").exists()


def test_another_seed_changes_everything(made: Path, small: SyntheticSettings, tmp_path: Path) -> None:
    few = replace(small, seed=4, train_identities=0, train_scenes=0)
    other = digests(make_dataset(tmp_path / "other", few, workers=1))
    mine = digests(made)
    assert all(other[name] != mine[name] for name in other if name.endswith(".jpg"))


def test_the_test_split_does_not_know_the_training_settings(
    made: Path, small: SyntheticSettings, tmp_path: Path
) -> None:
    root = make_dataset(
        tmp_path / "r", replace(small, train_identities=2, train_scenes=3, twin_share=0.6), workers=1
    )
    one, two = open_dataset("synthetic", made), open_dataset("synthetic", root)
    assert [s.name for s in one.scenes("test")] == [s.name for s in two.scenes("test")]
    for a, b in zip(one.scenes("test"), two.scenes("test"), strict=True):
        assert a.path is not None
        assert b.path is not None
        assert a.path.read_bytes() == b.path.read_bytes()
        np.testing.assert_array_equal(a.boxes, b.boxes)
        np.testing.assert_array_equal(a.people, b.people)
        np.testing.assert_array_equal(a.visible, b.visible)
    for name in ("entry_scene", "truth_box", "query_box", "query_person"):
        np.testing.assert_array_equal(getattr(one.trials(6), name), getattr(two.trials(6), name))


class Killed(Exception):
    pass


def test_killed_and_started_again_the_bytes_are_the_same(
    made: Path, small: SyntheticSettings, tmp_path: Path
) -> None:
    root = tmp_path / "killed"

    def dies(items: Iterable[int], label: str, *, total: int | None = None, done: int = 0) -> Iterator[int]:
        for i, item in enumerate(items):
            if i == 8:
                raise Killed
            yield item

    with pytest.raises(Killed):
        make_dataset(root, small, workers=1, progress=dies)
    assert not (root / "annotation").exists()
    pictures = sorted(root.rglob("*.jpg"))
    assert pictures
    pictures[0].write_bytes(pictures[0].read_bytes()[:100])  # half written when the power went
    seen: list[int] = []

    def told(items: Iterable[int], label: str, *, total: int | None = None, done: int = 0) -> Iterator[int]:
        seen.append(done)
        yield from items

    make_dataset(root, small, workers=1, progress=told)
    assert digests(root) == digests(made)
    assert seen == [2]  # of ten pictures drawn, the chunk of eight has a broken one and is drawn again


def test_killed_while_the_annotation_is_written_it_goes_on(
    made: Path, small: SyntheticSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "killed"
    real = make.write_annotations

    def dies(*arguments: object, **named: object) -> None:
        real(*arguments, **named)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(make, "write_annotations", dies)
        with pytest.raises(Killed):
            make_dataset(root, small, workers=1)
    assert (root / "annotation").exists()
    make_dataset(root, small, workers=1)
    assert digests(root) == digests(made)


def test_a_finished_benchmark_is_left_alone_and_another_one_refused(
    made: Path, small: SyntheticSettings, tmp_path: Path
) -> None:
    before = digests(made)
    assert make_dataset(made, small) == made
    with pytest.raises(DatasetError, match="other settings"):
        make_dataset(made, replace(small, bystanders=2.0))
    assert digests(made) == before
    foreign = tmp_path / "foreign"
    (foreign / "annotation").mkdir(parents=True)
    with pytest.raises(DatasetError, match="another data set"):
        make_dataset(foreign, small)


def test_halves_share_no_picture_and_nobody(made: Path, small: SyntheticSettings) -> None:
    dataset = open_dataset("synthetic", made)
    train, test = dataset.scenes("train"), dataset.scenes("test")
    assert (len(train), len(test)) == (small.train_scenes, small.test_scenes)
    assert not {s.name for s in train} & {s.name for s in test}
    for scenes, count in ((train, small.train_identities), (test, small.test_identities)):
        people = np.concatenate([s.people for s in scenes])
        seen = np.bincount(people[people != UNLABELLED], minlength=count)
        assert len(seen) == count
        assert seen.min() >= 2
    assert all(np.isfinite(s.visible).all() for s in (*train, *test))


def test_protocols_are_searches_that_make_sense(made: Path, small: SyntheticSettings) -> None:
    dataset = open_dataset("synthetic", made)
    assert dataset.gallery_sizes == (6, 8)  # 50 pictures are more than there are
    scenes = {scene.name: scene for scene in dataset.scenes("test")}
    large = dataset.trials(8)
    for size in dataset.gallery_sizes:
        trials = dataset.trials(size)
        assert len(trials) == small.test_identities
        np.testing.assert_array_equal(trials.query_box, large.query_box)
        for i in range(len(trials)):
            entries = trials.entry_scene[trials.entry_ptr[i] : trials.entry_ptr[i + 1]].tolist()
            truths = np.diff(trials.truth_ptr[trials.entry_ptr[i] : trials.entry_ptr[i + 1] + 1])
            assert len(entries) == len(set(entries)) == size
            assert trials.query_scene[i] not in entries
            assert truths[0] == 1
            assert (np.diff(truths) <= 0).all(), "positives stand first"
            person = int(trials.query_person[i])
            for entry, truth in zip(entries, truths.tolist(), strict=True):
                assert (person in scenes[trials.scenes[entry]].people) == bool(truth)
            known = large.entry_scene[large.entry_ptr[i] : large.entry_ptr[i + 1]].tolist()
            named = [large.scenes[k] for k in known]
            assert {trials.scenes[k] for k in entries} <= set(named), "smaller galleries lie in larger ones"


def test_the_record_says_who_has_a_twin_and_where(made: Path, small: SyntheticSettings) -> None:
    record = json.loads((made / "annotation" / "generated.json").read_text())
    assert record["settings"] == small.as_json()
    assert len(record["queries"]) == small.test_identities
    dataset = open_dataset("synthetic", made)
    trials = dataset.trials(6)
    with_twin = 0
    for i, query in enumerate(record["queries"]):
        entries = trials.entry_scene[trials.entry_ptr[i] : trials.entry_ptr[i + 1]]
        names = [trials.scenes[k] for k in entries.tolist()]
        with_twin += bool(query["twins"])
        positives = int(np.diff(trials.truth_ptr[trials.entry_ptr[i] : trials.entry_ptr[i + 1] + 1]).sum())
        if query["twins"] and len(query["twins"]) <= 6 - positives:
            assert set(query["twins"]) <= set(names), "a lookalike is in the smallest gallery"
        assert query["height"] == trials.query_box[i, 3] - trials.query_box[i, 1]
    assert with_twin > 0


def scene(name: str, people: list[int], visible: list[float]) -> Scene:
    boxes = np.array([[0, 0, 10, 50 + i] for i in range(len(people))], np.float32)
    return Scene(name, boxes=boxes, people=people, visible=np.array(visible, np.float32))


def test_queries_are_well_visible_but_for_the_wanted_share(small: SyntheticSettings) -> None:
    scenes = [scene("a", [0, 1, UNLABELLED], [0.5, 0.9, 1]), scene("b", [1, 0], [0.3, 0.9])]
    found = places(scenes, 2)
    assert found.scene.tolist() == [0, 1, 0, 1]
    nobody = choose_queries(found, replace(small, occluded_share=0.0))
    assert found.visible[nobody].tolist() == pytest.approx([0.9, 0.9])
    half = choose_queries(found, replace(small, occluded_share=0.5))
    assert found.visible[half].tolist() == pytest.approx([0.5, 0.9])


def test_a_benchmark_without_training_pictures(small: SyntheticSettings, tmp_path: Path) -> None:
    settings = replace(
        small, train_identities=0, train_scenes=0, test_identities=2, test_scenes=3, gallery_sizes=(50,)
    )
    root = make_dataset(tmp_path / "r", settings, workers=1)
    dataset = open_dataset("synthetic", root)
    assert len(dataset.scenes("test")) == 3
    assert dataset.scenes("train") == ()
    shutil.rmtree(root)
