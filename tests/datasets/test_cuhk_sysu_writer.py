"""What is written is read back; what the layout cannot hold is refused before a byte is written."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.io import loadmat

from personsearch.datasets.cuhk_sysu import CuhkSysu
from personsearch.datasets.cuhk_sysu_writer import write_annotations
from personsearch.errors import DatasetError
from personsearch.protocols import take_queries
from personsearch.types import Scene


@given(st.integers(0, 100_000), st.sampled_from([(1,), (2,), (1, 3), (2, 5)]))
@settings(max_examples=12, deadline=None)
def test_written_then_read_is_the_same(world_of, assert_same_trials, assert_same_scenes, seed, sizes) -> None:
    world = world_of(np.random.default_rng(seed), sizes)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        largest = world["galleries"][max(sizes)]
        write_annotations(root / "a", **world, occlusion=largest, low_resolution=largest)
        first = CuhkSysu(root / "a")
        assert first.gallery_sizes == sizes
        assert_same_scenes(first.scenes("train"), tuple(world["train"]))
        for size in sizes:
            assert_same_trials(first.trials(size), world["galleries"][size])
        galleries = {size: first.trials(size) for size in sizes}
        hard = [first.subset_trials(subset) for subset in ("occlusion", "low-resolution")]
        for trials in hard:
            assert_same_trials(trials, largest)
        scenes = {split: first.scenes(split) for split in ("train", "test")}
        write_annotations(
            root / "b", **scenes, galleries=galleries, occlusion=hard[0], low_resolution=hard[1]
        )
        again = CuhkSysu(root / "b")
        for split in ("train", "test"):
            assert_same_scenes(again.scenes(split), scenes[split])
        for size in sizes:
            assert_same_trials(again.trials(size), galleries[size])


def test_every_appearance_that_a_gallery_shows_has_its_identity(world_of, tmp_path: Path) -> None:
    world = world_of(np.random.default_rng(3), (5,))
    write_annotations(tmp_path, **world)
    for read, made in zip(CuhkSysu(tmp_path).scenes("test"), world["test"], strict=True):
        np.testing.assert_array_equal(read.people, made.people)  # room for all of them at size 5


def test_equal_data_are_equal_bytes(world_of, tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_annotations(tmp_path / name, **world_of(np.random.default_rng(8)))
    files = [
        {p.relative_to(tmp_path / name): p.read_bytes() for p in (tmp_path / name).rglob("*") if p.is_file()}
        for name in ("a", "b")
    ]
    assert files[0] == files[1]
    assert {path.name for path in files[0]} >= {
        "Images.mat",
        "Person.mat",
        "pool.mat",
        "Train.mat",
        "TestG3.mat",
    }


def test_positives_stand_first_for_loaders_that_stop_at_the_first_empty_entry(
    tmp_path: Path, world_of
) -> None:
    world = world_of(np.random.default_rng(5), (4,))
    trials = world["galleries"][4]
    scene = {s.name: s for s in world["test"]}[trials.scenes[trials.query_scene[0]]]
    late = replace(  # the first query: three distractors, then its own picture
        trials,
        entry_scene=np.array([*trials.entry_scene[:3], trials.query_scene[0], *trials.entry_scene[4:]]),
        truth_ptr=np.array([0, 0, 0, 0, *([1] * (len(trials.truth_ptr) - 4))]),
        truth_box=scene.boxes[scene.people == 0][:1],
    )
    write_annotations(tmp_path, train=world["train"], test=world["test"], galleries={4: late})
    read = CuhkSysu(tmp_path).trials(4)
    assert read.truth_ptr[:5].tolist() == [0, 1, 1, 1, 1]
    assert read.entry_scene[:4].tolist() == [late.entry_scene[3], *late.entry_scene[:3]]


def test_the_files_look_like_the_official_ones(world_of, tmp_path: Path) -> None:
    world = world_of(np.random.default_rng(1), (3,))
    write_annotations(tmp_path, **world)
    protocols = tmp_path / "annotation/test/train_test"
    gallery = loadmat(protocols / "TestG3.mat")["TestG3"]
    assert gallery.shape == (1, len(world["galleries"][3]))
    query, entries = gallery["Query"][0, 0], gallery["Gallery"][0, 0]
    assert (query.shape, query.dtype.names) == ((1, 1), ("imname", "idlocate", "ishard", "idname"))
    assert (entries.shape, entries.dtype.names) == ((1, 3), ("imname", "idlocate", "ishard"))
    assert query["idlocate"][0, 0].dtype == np.uint16
    assert entries["idlocate"][0, -1].shape in ((1, 0), (1, 4))
    people = len({p for s in world["train"] for p in s.people.tolist()} - {-1})
    assert loadmat(protocols / "Train.mat")["Train"].shape[0] == people
    assert loadmat(tmp_path / "annotation/pool.mat")["pool"].shape == (len(world["test"]), 1)
    person = loadmat(tmp_path / "annotation/Person.mat")["Person"]
    assert person.dtype.names == ("idname", "nAppear", "scene")
    assert person["scene"][0, 0].dtype.names == ("imname", "idlocate", "ishard")


def test_a_box_off_the_left_edge_survives(tmp_path: Path) -> None:
    scene = Scene("s1.jpg", boxes=np.array([[-20, 5, 30, 90]]), people=np.array([0]))
    write_annotations(tmp_path, train=[scene], test=[], galleries={})
    assert CuhkSysu(tmp_path).scenes("train")[0].boxes.tolist() == [[-20, 5, 30, 90]]


def refused(world, tmp_path: Path, match: str) -> None:
    with pytest.raises(DatasetError, match=match):
        write_annotations(tmp_path / "new", **world)
    assert not (tmp_path / "new").exists()


def test_what_the_layout_cannot_hold_is_refused(world_of, tmp_path: Path) -> None:
    def scene(name="s1.jpg", box=(0, 0, 5, 9), person=0) -> Scene:
        return Scene(name, boxes=np.array([box]), people=np.array([person]))

    nothing = {"test": [], "galleries": {}}
    refused({"train": [scene(), scene()], **nothing}, tmp_path, r"two scenes are called s1\.jpg")
    refused({"train": [scene(box=(0, 0.5, 5, 9), person=-1)], **nothing}, tmp_path, "not on whole pixels")
    refused({"train": [scene(person=3)], **nothing}, tmp_path, "identity 0 never appears, but 3 does")

    world = world_of(np.random.default_rng(0), (3,))
    trials = world["galleries"][3]

    def with_trials(**changes) -> dict:
        return {**world, "galleries": {3: replace(trials, **changes)}}

    entries = len(trials.entry_scene)
    ignored = {"ignore_ptr": np.array([0] * entries + [1]), "ignore_box": np.array([[0, 0, 9, 9]])}
    refused(with_trials(**ignored), tmp_path, "no ignored boxes")
    twice = {
        "truth_ptr": np.array([0, *[2] * entries]),
        "truth_box": np.repeat(trials.query_box[:1], 2, axis=0),
    }
    refused(with_trials(**twice), tmp_path, "two boxes of one person")
    refused(with_trials(query_box=trials.query_box + 1), tmp_path, "has no person at")
    renamed = {"scenes": ("elsewhere.jpg",) * len(trials.scenes)}
    refused(with_trials(**renamed), tmp_path, r"elsewhere\.jpg")


def test_shares_of_an_earlier_data_set_do_not_stay(tmp_path: Path) -> None:
    for visible in (0.25, np.nan):
        scene = Scene(
            "s1.jpg", boxes=np.array([[0, 0, 9, 9]]), people=np.array([0]), visible=np.array([visible])
        )
        write_annotations(tmp_path, train=[scene], test=[], galleries={})
        np.testing.assert_equal(
            CuhkSysu(tmp_path).scenes("train")[0].visible, np.array([visible], np.float32)
        )


def test_names_are_one_a_person_and_protocols_do_not_hang_on_the_training_half(
    world_of, tmp_path: Path
) -> None:
    world = world_of(np.random.default_rng(4))
    other = [Scene("another.jpg", boxes=[[0, 0, 5, 9], [9, 9, 20, 40]], people=[0, 1])]
    write_annotations(tmp_path / "a", **world)
    write_annotations(tmp_path / "b", **{**world, "train": other})
    for name in ("TestG1.mat", "TestG3.mat"):
        place = Path("annotation") / "test" / "train_test" / name
        assert (tmp_path / "a" / place).read_bytes() == (tmp_path / "b" / place).read_bytes()
    people = loadmat(tmp_path / "b" / "annotation" / "Person.mat")["Person"][0]
    names = [str(person["idname"][0]) for person in people]
    queries = loadmat(tmp_path / "b" / place)[place.stem][0]
    sought = [str(query["Query"][0, 0]["idname"][0]) for query in queries]
    assert len(set(names)) == len(names) == 2 + len(sought)
    assert set(sought) <= set(names)
    train = loadmat(tmp_path / "b" / "annotation" / "test" / "train_test" / "Train.mat")["Train"]
    assert not {str(cell[0][0, 0]["idname"][0]) for cell in train} & set(sought)


def test_a_query_is_its_person(world_of, tmp_path: Path) -> None:
    """Test people have no number in the files: a reader counts the queries."""
    world = next(
        made
        for made in (world_of(np.random.default_rng(seed), (3,)) for seed in range(99))
        if len(made["galleries"][3]) == 3
    )
    trials = world["galleries"][3]
    swapped = take_queries(trials, [1, 0, 2])
    refused(
        {**world, "galleries": {3: swapped}}, tmp_path, "TestG3: query 0 looks for person 1; .* row of the"
    )
    fewer = take_queries(trials, [0, 1])
    refused(
        {**world, "galleries": {3: trials, 2: fewer}}, tmp_path, "TestG2 and TestG3 have different queries"
    )
    unknown = replace(trials, query_person=np.array([0, -1, 2]))
    refused({**world, "galleries": {3: unknown}}, tmp_path, "query 1 looks for person -1")
    twice = take_queries(trials, [0, 1, 0, 2])
    refused({**world, "galleries": {3: twice}}, tmp_path, "query 3 looks for person 2")
    write_annotations(tmp_path, **{**world, "galleries": {3: take_queries(trials, [0, 1, 2, 0])}})
    assert CuhkSysu(tmp_path).trials(3).query_person.tolist() == [0, 1, 2, 0]


@pytest.mark.parametrize("name", ["../s1.jpg", "/s1.jpg", "a\\s1.jpg", "s1.jpg\n", ""])
def test_names_that_no_reader_takes_are_not_written(name: str, tmp_path: Path) -> None:
    scene = Scene(name, boxes=np.array([[0, 0, 5, 9]]), people=np.array([0]))
    refused({"train": [scene], "test": [], "galleries": {}}, tmp_path, "a scene's name: ")
