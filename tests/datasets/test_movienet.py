"""MovieNet-PS: other names, cell arrays for people, and a pool for every gallery size."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.io import loadmat, savemat

from personsearch.datasets.cuhk_sysu_writer import write_annotations
from personsearch.datasets.dataset import Dataset
from personsearch.datasets.movienet import MovieNet, movienet_layout
from personsearch.errors import DatasetError, UsageError
from personsearch.types import Scene

PROTOCOLS = Path("annotation/test/train_test")


def film_world(world: dict) -> dict:
    """The same world as frames of films: names with a folder, training pictures with somebody in them."""

    def named(scene: Scene) -> Scene:
        return replace(scene, name=f"tt0001/{scene.name}")

    train = [named(scene) for scene in world["train"] if (scene.people >= 0).any()]
    galleries = {
        size: replace(trials, scenes=tuple(f"tt0001/{name}" for name in trials.scenes))
        for size, trials in world["galleries"].items()
    }
    return {"train": train, "test": [named(scene) for scene in world["test"]], "galleries": galleries}


@given(st.integers(0, 100_000), st.sampled_from([(1,), (1, 3), (2, 5)]))
@settings(max_examples=8, deadline=None)
def test_written_then_read_is_the_same(world_of, assert_same_trials, assert_same_scenes, seed, sizes) -> None:
    world = film_world(world_of(np.random.default_rng(seed), sizes))
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_annotations(root, **world, layout=movienet_layout(30))
        data = MovieNet(root)
        assert isinstance(data, Dataset)
        assert (data.name, data.gallery_sizes) == ("movienet-ps", sizes)
        assert_same_scenes(data.scenes("train"), tuple(world["train"]))
        test = data.scenes("test")
        assert [scene.name for scene in test] == [scene.name for scene in world["test"]]
        assert test[0].path == root / "Image/tt0001" / Path(test[0].name).name
        for size in sizes:
            assert_same_trials(data.trials(size), world["galleries"][size])
        assert {path.name for path in (root / "annotation").glob("pool*.mat")} == {
            f"pool_{size}.mat" for size in sizes
        }
        again = {"train": data.scenes("train"), "test": test}
        galleries = {size: data.trials(size) for size in sizes}
        write_annotations(root / "b", **again, galleries=galleries, layout=movienet_layout(30))
        assert_same_scenes(MovieNet(root / "b").scenes("test"), test)


@pytest.fixture
def root(world_of, tmp_path: Path) -> Path:
    world = film_world(world_of(np.random.default_rng(1), (2, 4)))
    write_annotations(tmp_path, **world, layout=movienet_layout(10))
    return tmp_path


def test_the_files_are_what_its_authors_loader_reads(root: Path) -> None:
    """That loader takes column 2 of Train, and (name, box, hard) from every row of a scene."""
    train = loadmat(root / PROTOCOLS / "Train_app10.mat")["Train"]
    for _, count, scene in train:
        assert scene.shape == (int(count[0, 0]), 3)
        for name, box, _ in scene:
            assert str(name[0]).startswith("tt0001/")
            assert box.squeeze().shape == (4,)


def test_training_pictures_are_those_that_train_lists(root: Path) -> None:
    before = [scene.name for scene in MovieNet(root).scenes("train")]
    images = loadmat(root / "annotation/Images.mat")["Img"]
    spare = images[:, :1].copy()
    spare["imname"][0, 0] = "tt0009/spare.jpg"  # neither in a pool nor in Train
    savemat(root / "annotation/Images.mat", {"Img": np.concatenate([images, spare], axis=1)})
    assert [scene.name for scene in MovieNet(root).scenes("train")] == before


def test_which_appearances(root: Path) -> None:
    train = loadmat(root / PROTOCOLS / "Train_app10.mat")["Train"]
    savemat(root / PROTOCOLS / "Train_app70.mat", {"Train": train[:1]})
    assert MovieNet(root).layout.train == "Train_app70.mat"
    assert MovieNet(root, appearances=10).layout.train == "Train_app10.mat"
    with pytest.raises(UsageError, match=r"no Train_app30\.mat") as caught:
        MovieNet(root, appearances=30)
    assert caught.value.hint == "there: 10, 70"
    for path in (root / PROTOCOLS).glob("Train_app*.mat"):
        path.unlink()
    with pytest.raises(DatasetError, match="holds no Train_app file"):
        MovieNet(root)


def test_what_it_does_not_have(root: Path) -> None:
    data = MovieNet(root)
    with pytest.raises(UsageError, match=r"no TestG2000\.mat"):
        data.trials()
    with pytest.raises(UsageError, match="no subset 'occlusion'") as caught:
        data.subset_trials("occlusion")
    assert caught.value.hint == "movienet-ps has no subsets"


def test_a_gallery_picture_outside_of_its_own_pool_is_an_error(root: Path) -> None:
    whole = loadmat(root / "annotation/pool_2.mat")["pool"]
    data = MovieNet(root)
    named = data.trials(2)
    gone = named.scenes[named.entry_scene[0]]
    rest = np.array([[cell] for cell in whole.ravel() if str(cell[0]) != gone], object).reshape(-1, 1)
    savemat(root / "annotation/pool_2.mat", {"pool": rest})
    with pytest.raises(DatasetError, match=rf"TestG2\.mat names the picture {gone}, which pool_2\.mat lacks"):
        MovieNet(root).trials(2)
    (root / "annotation/pool_4.mat").unlink()
    with pytest.raises(DatasetError, match=r"pool_4\.mat is missing"):
        MovieNet(root).scenes("test")


def test_what_the_layout_cannot_hold_is_refused(world_of, tmp_path: Path) -> None:
    world = film_world(world_of(np.random.default_rng(1), (2,)))
    crowd = Scene("tt0001/crowd.jpg", boxes=[[0, 0, 5, 9]], people=[-1])
    layout = movienet_layout(10)
    with pytest.raises(DatasetError, match=r"crowd\.jpg shows nobody with an identity"):
        write_annotations(tmp_path / "new", **{**world, "train": [*world["train"], crowd]}, layout=layout)
    with pytest.raises(DatasetError, match="without a gallery"):
        write_annotations(tmp_path / "new", **{**world, "galleries": {}}, layout=layout)
    with pytest.raises(DatasetError, match="no subset occlusion"):
        write_annotations(tmp_path / "new", **world, occlusion=world["galleries"][2], layout=layout)
    assert not (tmp_path / "new").exists()
