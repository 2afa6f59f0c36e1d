"""Training all three descriptors on a generated benchmark: deterministic, resumable, readable, useful."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from scipy.io import savemat

from personsearch import images
from personsearch.baselines.parts import CONFIG, WEIGHTS, read_part, save_part
from personsearch.baselines.reid import dense_training
from personsearch.baselines.reid.bow import WordSettings
from personsearch.baselines.reid.bow_training import BowSettings, train_bow
from personsearch.baselines.reid.dense import Reduction
from personsearch.baselines.reid.dense_training import (
    DenseSettings,
    KissmeSettings,
    principal_components,
    train_dense,
    train_kissme,
)
from personsearch.baselines.reid.load import load_descriptor
from personsearch.baselines.reid.patches import PatchSettings, describe_patches
from personsearch.datasets.open import open_dataset
from personsearch.datasets.synthetic.make import make_dataset
from personsearch.datasets.synthetic.presets import preset
from personsearch.errors import DatasetError, InputError, UsageError
from personsearch.ranking.similarity import similarities
from personsearch.types import Embedder, Scene

PATCHES = PatchSettings(crop=(64, 24), step=6)
DENSE = DenseSettings(patches=PATCHES, patch_dim=16, dim=20, most_patches=2000)
KISS = KissmeSettings(dense=DENSE, shrinkage=0.1)
BOW = BowSettings(crops=WordSettings(crop=(64, 32)), words=40, most_patches=4000)


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    root = make_dataset(tmp_path_factory.mktemp("generated") / "root", preset("tiny"), workers=1)
    return open_dataset("synthetic", root).scenes("train")


@pytest.fixture(scope="module")
def trained(scenes, tmp_path_factory):
    """Every descriptor's embedder and folder, by kind."""
    base = tmp_path_factory.mktemp("parts")
    return {
        "dense-euclidean": (train_dense(scenes, DENSE, base / "euclidean"), base / "euclidean"),
        "dense-kissme": (train_kissme(scenes, KISS, base / "kissme"), base / "kissme"),
        "bow": (train_bow(scenes, BOW, base / "bow"), base / "bow"),
    }


def again(kind, scenes, folder, **rest):
    if kind == "bow":
        return train_bow(scenes, BOW, folder, **rest)
    if kind == "dense-kissme":
        return train_kissme(scenes, KISS, folder, **rest)
    return train_dense(scenes, DENSE, folder, **rest)


KINDS = ("dense-euclidean", "dense-kissme", "bow")


@pytest.mark.parametrize("kind", KINDS)
def test_each_is_an_embedder_that_is_read_as_it_was_trained(kind, trained, scenes):
    embedder, folder = trained[kind]
    assert isinstance(embedder, Embedder)
    assert embedder.name == kind
    assert embedder.similarity == ("cosine" if kind == "bow" else "euclidean")
    assert sorted(path.name for path in folder.iterdir()) == [CONFIG, WEIGHTS]  # nothing left over
    read = load_descriptor(folder)
    assert read.fingerprint == embedder.fingerprint == read_part(folder).fingerprint
    scene = next(scene for scene in scenes if len(scene) > 1)
    picture = images.load(scene.path)
    found = read.embed(picture, scene.boxes)
    assert found.shape == (len(scene), read.dim)
    assert found.dtype == np.float32
    assert np.isfinite(found).all()
    np.testing.assert_array_equal(found, embedder.embed(picture, scene.boxes))
    alone = np.concatenate([read.embed(picture, box[None]) for box in scene.boxes])
    np.testing.assert_allclose(alone, found, rtol=1e-4, atol=1e-5)
    assert read.embed(picture, np.zeros((0, 4))).shape == (0, read.dim)
    with pytest.raises(InputError, match="no area"):
        read.embed(picture, np.array([[-9, -9, -1, -1]]))


@pytest.mark.parametrize("kind", KINDS)
def test_it_finds_people_far_above_chance(kind, trained, scenes):
    """On the pictures it was trained on: whether anything is upside down, not how good it is."""
    embedder, _ = trained[kind]
    vectors, people = [], []
    for scene in scenes:
        mine = scene.people >= 0
        if mine.any():
            vectors.append(embedder.embed(images.load(scene.path), scene.boxes[mine]))
            people.append(scene.people[mine])
    table, who = np.concatenate(vectors), np.concatenate(people)
    alike = similarities(table, table, embedder.similarity)
    np.fill_diagonal(alike, -np.inf)
    asked = np.array([np.sum(who == one) > 1 for one in who])
    right = np.mean(who[alike.argmax(axis=1)][asked] == who[asked])
    chance = np.mean([(np.sum(who == one) - 1) / (len(who) - 1) for one in who[asked]])
    assert right > 3 * chance
    assert right > 0.4


@pytest.mark.parametrize("kind", KINDS)
def test_a_second_run_is_the_same_to_the_byte(kind, trained, scenes, tmp_path):
    again(kind, scenes, tmp_path / "again")
    for name in (CONFIG, WEIGHTS):
        assert (tmp_path / "again" / name).read_bytes() == (trained[kind][1] / name).read_bytes()


@pytest.mark.parametrize("kind", KINDS)
def test_killed_in_a_late_step_it_goes_on_behind_the_last_whole_one(kind, trained, scenes, tmp_path):
    labels: list[str] = []

    def killed(items, label, *, total=None, done=0):
        labels.append(label)
        for number, item in enumerate(items):
            if len(labels) == 3 and number == 0:
                raise KeyboardInterrupt
            yield item

    with pytest.raises(KeyboardInterrupt):
        again(kind, scenes, tmp_path / "part", progress=killed)
    assert not (tmp_path / "part" / CONFIG).exists()
    before = len(labels)
    resumed: list[tuple[str, int]] = []

    def counted(items, label, *, total=None, done=0):
        items = list(items)
        resumed.append((label, len(items)))
        yield from items

    again(kind, scenes, tmp_path / "part", progress=counted)
    assert before == 3
    assert resumed[0] == ("cutting people", 0)
    assert resumed[1][0] == labels[2]  # the step before the last is not done again
    assert (tmp_path / "part" / WEIGHTS).read_bytes() == (trained[kind][1] / WEIGHTS).read_bytes()


def test_a_finished_part_is_read_and_another_is_not_overwritten(trained, scenes, tmp_path, monkeypatch):
    folder = tmp_path / "part"
    shutil.copytree(trained["dense-euclidean"][1], folder)
    monkeypatch.setattr(dense_training, "_reduction", None)  # would fail if it were called
    assert train_dense(scenes, DENSE, folder).fingerprint == trained["dense-euclidean"][0].fingerprint
    for settings in (replace(DENSE, seed=1), replace(DENSE, patches=replace(PATCHES, bins=16))):
        with pytest.raises(UsageError, match="trained otherwise"):
            train_dense(scenes, settings, folder)
    with pytest.raises(UsageError, match="trained otherwise"):
        train_dense(scenes[:-1], DENSE, folder)
    with pytest.raises(UsageError, match="dense-euclidean part that was trained otherwise"):
        train_kissme(scenes, KISS, folder)


def test_a_cache_is_shared_and_kept(trained, scenes, tmp_path):
    cache = tmp_path / "cache"
    train_dense(scenes, DENSE, tmp_path / "euclidean", cache=cache)
    labels = []

    def told(items, label, *, total=None, done=0):
        labels.append(label)
        yield from items

    train_kissme(scenes, KISS, tmp_path / "kissme", cache=cache, progress=told)
    assert labels == ["cutting people", "describing people"]  # projections are there already
    kept = {path.name.split("-")[0] for path in cache.iterdir()}
    assert kept == {"crops", "patches", "people", "vectors"}
    assert (tmp_path / "kissme" / WEIGHTS).read_bytes() == (trained["dense-kissme"][1] / WEIGHTS).read_bytes()
    file = next(cache.glob("vectors-*.npz"))
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(InputError, match=r"vectors-\w+\.npz is damaged"):
        train_kissme(scenes, KISS, tmp_path / "kissme2", cache=cache)


def test_the_reduction_is_principal_components_of_everybody(trained, scenes):
    """The two projections, done slowly: centre, rotate, concatenate, centre, rotate."""
    part = read_part(trained["dense-euclidean"][1])
    a = part.arrays
    scene = scenes[0]
    crop = np.random.default_rng(0).integers(0, 256, (64, 24, 3), dtype=np.uint8)
    patches = describe_patches(crop, PATCHES)
    rows = [a["patch_basis"] @ (patch - a["patch_mean"]) for patch in patches]
    expected = a["basis"] @ (np.concatenate(rows) - a["mean"])
    found = trained["dense-euclidean"][0].describe(crop[None])[0]
    np.testing.assert_allclose(found, expected, atol=1e-4)
    for name in ("patch_basis", "basis"):
        np.testing.assert_allclose(a[name] @ a[name].T, np.eye(len(a[name])), atol=1e-4)
    metric = read_part(trained["dense-kissme"][1]).arrays["metric"]
    learned = trained["dense-kissme"][0].describe(crop[None])[0]
    np.testing.assert_allclose(learned, metric @ expected, rtol=1e-3, atol=1e-3 * np.abs(learned).max())
    assert scene.path is not None


def test_components_equal_the_eigenvectors_of_the_covariance():
    rng = np.random.default_rng(0)
    table = rng.normal(size=(60, 7)) @ np.diag([9, 5, 3, 1, 1, 0.5, 0.1]) + 4
    mean, basis = principal_components(table, 3, 0)
    values, vectors = np.linalg.eigh(np.cov(table.T))
    np.testing.assert_allclose(mean, table.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(np.abs((basis * vectors.T[::-1][:3]).sum(axis=1)), 1, atol=1e-4)
    assert principal_components(table[:3], 6, 0)[1].shape == (2, 7)  # no more than rows - 1
    assert values[-1] > values[0]


def test_large_training_sets_are_drawn_from(scenes, tmp_path):
    few = train_dense(scenes, replace(DENSE, most_people=8, most_patches=100), tmp_path / "few")
    assert few.dim == 7  # rows - 1
    train_bow(scenes, replace(BOW, most_people=8, most_patches=800), tmp_path / "bow")
    said = read_part(tmp_path / "bow").settings["training"]
    assert (said["most_people"], said["most_patches"]) == (8, 800)


def test_the_learned_colour_names_go_into_the_part(scenes, tmp_path):
    rows = np.random.default_rng(0).uniform(0.01, 1, (32**3, 11))
    savemat(tmp_path / "w2c.mat", {"w2c": rows})
    found = train_bow(scenes, replace(BOW, colour_names=tmp_path / "w2c.mat"), tmp_path / "bow")
    wanted = rows[3 + 32 * 5 + 1024 * 7]
    np.testing.assert_allclose(found.learned.table[3, 5, 7], wanted / wanted.sum(), rtol=1e-5)
    assert read_part(tmp_path / "bow").settings["training"]["colour_names"].startswith("file ")
    with pytest.raises(DatasetError, match="is missing"):
        train_bow(scenes, replace(BOW, colour_names=tmp_path / "no.mat"), tmp_path / "other")


def test_the_mean_of_training_people_is_subtracted(trained, scenes):
    """Negative evidence: over the people that were trained on, every number is 0 on average."""
    embedder, _ = trained["bow"]
    vectors = [
        embedder.embed(images.load(scene.path), scene.boxes[scene.people >= 0])
        for scene in scenes
        if (scene.people >= 0).any()
    ]
    table = np.concatenate(vectors)
    assert np.abs(table.mean(axis=0)).max() < 1e-5
    assert np.abs(table).max() > 0.05


def test_what_cannot_be_trained_is_told(scenes, tmp_path):
    nobody = [Scene("a", boxes=[[0, 0, 9, 9]], people=[-1])]
    for train, settings in ((train_dense, DENSE), (train_kissme, KISS), (train_bow, BOW)):
        with pytest.raises(DatasetError, match="no person"):
            train(nobody, settings, tmp_path / "nobody")
    once = [
        replace(scene, people=np.where(scene.people >= 0, np.arange(len(scene)) + 100 * number, -1))
        for number, scene in enumerate(scenes)
    ]
    with pytest.raises(DatasetError, match="seen twice"):
        train_kissme(once, KISS, tmp_path / "once")
    alone = next(s for s in scenes if (s.people >= 0).any())
    one = replace(alone, people=np.where(np.arange(len(alone)) == 0, 3, -1))
    with pytest.raises(DatasetError, match="only 1 labelled people"):
        train_dense([one], DENSE, tmp_path / "one")
    with pytest.raises(InputError, match="cannot be taken apart"):
        train_dense(scenes, replace(DENSE, patches=replace(PATCHES, patch=20)), tmp_path / "large")
    with pytest.raises(InputError, match="do not fit together"):
        train_bow(scenes, replace(BOW, words=5), tmp_path / "words")
    with pytest.raises(InputError, match="do not fit together"):
        train_bow(scenes, replace(BOW, crops=WordSettings(crop=(32, 32))), tmp_path / "stripes")


@pytest.mark.parametrize(
    ("kind", "array"),
    [("dense-euclidean", "basis"), ("dense-kissme", "metric"), ("bow", "idf"), ("bow", "table")],
)
def test_damaged_parts_are_told(kind, array, trained, tmp_path):
    part = read_part(trained[kind][1])
    cut = {**part.arrays, array: part.arrays[array][..., :-1]}
    save_part(tmp_path / "cut", kind, part.settings, cut)
    with pytest.raises(InputError, match=f"{array} is"):
        load_descriptor(tmp_path / "cut")
    holed = {**part.arrays, array: np.full_like(part.arrays[array], np.nan)}
    save_part(tmp_path / "nan", kind, part.settings, holed)
    with pytest.raises(InputError, match=f"{array} is not finite"):
        load_descriptor(tmp_path / "nan")
    missing = {name: value for name, value in part.arrays.items() if name != array}
    save_part(tmp_path / "missing", kind, part.settings, missing)
    with pytest.raises(InputError, match=f"{array} is missing"):
        load_descriptor(tmp_path / "missing")
    save_part(tmp_path / "silent", kind, {}, part.arrays)
    with pytest.raises(InputError, match="does not say how"):
        load_descriptor(tmp_path / "silent")
    settings = json.loads(json.dumps(part.settings))
    settings["settings"]["patch"] = 100
    save_part(tmp_path / "odd", kind, settings, part.arrays)
    with pytest.raises(InputError, match=r"cannot be taken apart|do not fit together"):
        load_descriptor(tmp_path / "odd")


def test_a_part_of_another_kind_is_no_descriptor(tmp_path):
    save_part(tmp_path, "acf", {}, {"trees": np.zeros(3, np.float32)})
    with pytest.raises(InputError, match="'acf', which describes nobody"):
        load_descriptor(tmp_path)
    assert Reduction.__dataclass_params__.frozen  # type: ignore[attr-defined]
