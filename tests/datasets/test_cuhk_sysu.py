"""The official layout with every trap in it, and files that are not what they should be."""

from __future__ import annotations

import contextlib
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import loadmat, savemat

from personsearch.datasets.cuhk_sysu import CuhkSysu
from personsearch.datasets.dataset import Dataset
from personsearch.datasets.open import open_dataset
from personsearch.errors import DatasetError, UsageError
from personsearch.types import UNLABELLED

GOLDEN = Path(__file__).resolve().parents[2] / ".." / "shared" / "golden"
ENTRY = [("imname", "O"), ("idlocate", "O"), ("ishard", "O")]
NOBODY = np.zeros((1, 0))
PROTOCOLS = Path("annotation/test/train_test")


def struct(dtype: list, *rows: tuple) -> np.ndarray:
    return np.array(list(rows), dtype=dtype).reshape(1, -1)


def box(x: int, y: int, w: int, h: int, dtype: Any = np.uint16) -> np.ndarray:
    return np.array([[x, y, w, h]], dtype)


def image(name: str, *boxes: np.ndarray) -> tuple:
    located = struct([("idlocate", "O"), ("ishard", "O")], *((b, np.zeros((1, 1), np.uint8)) for b in boxes))
    return name, np.array([[len(boxes)]], np.uint8), located if boxes else np.zeros((0, 0))


def search(name: str, where: np.ndarray, idname: str, *entries: tuple) -> tuple:
    query = struct([*ENTRY, ("idname", "O")], (name, where, np.zeros((1, 1), np.uint8), idname))
    return query, struct(ENTRY, *((n, b, NOBODY) for n, b in entries))


def person(idname: str, *where: tuple) -> np.ndarray:
    scene = struct(ENTRY, *((n, b, np.zeros((1, 1), np.uint8)) for n, b in where))
    return struct(
        [("idname", "O"), ("nAppear", "O"), ("scene", "O")], (idname, np.array([[len(where)]]), scene)
    )


def cells(*values: Any) -> np.ndarray:
    column = np.empty((len(values), 1), object)
    column[:, 0] = values
    return column


def save(root: Path, path: str | Path, variable: str, value: np.ndarray) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    savemat(root / path, {variable: value})


QUERY, ABSENT = [("Query", "O"), ("Gallery", "O")], np.zeros((0, 0))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two training pictures, three test pictures; boxes of every type, positives in the middle, repeats."""
    (tmp_path / "Image/SSM").mkdir(parents=True)
    images = [
        image("s1.jpg", box(84, 10, 84, 225, np.uint8), box(1, 2, 0, 30, np.uint8)),
        image("s2.jpg", box(250, 200, 90, 240, np.uint8), box(5, 6, 7, 8, np.int16)),
        image("s3.jpg", box(400, 50, 60, 160), box(10, 10, 30, 0)),
        image("s4.jpg", box(300, 20, 50, 170, np.float64)),
        image("s5.jpg"),
    ]
    save(
        tmp_path,
        "annotation/Images.mat",
        "Img",
        struct([("imname", "O"), ("nAppear", "O"), ("box", "O")], *images),
    )
    save(tmp_path, "annotation/pool.mat", "pool", cells("s5.jpg", "s4.jpg", "s3.jpg"))
    people = cells(
        person("p7", ("s2.jpg", box(250, 200, 90, 240))),
        person("p2", ("s1.jpg", box(84, 10, 84, 225)), ("s2.jpg", box(5, 6, 7, 8, np.uint8))),
    )
    save(tmp_path, PROTOCOLS / "Train.mat", "Train", people)
    entries = [
        ("s5.jpg", NOBODY),
        ("s4.jpg", box(300, 20, 50, 170)),
        ("s4.jpg", box(300, 20, 50, 170)),
        ("s5.jpg", ABSENT),
        ("s3.jpg", box(400, 50, 60, 160, np.float64)),
    ]
    save(
        tmp_path,
        PROTOCOLS / "TestG5.mat",
        "TestG5",
        struct(QUERY, search("s3.jpg", box(400, 50, 60, 160), "p9", *entries)),
    )
    return tmp_path


def test_it_is_a_data_set(root: Path) -> None:
    data = open_dataset("cuhk-sysu", root)
    assert isinstance(data, Dataset)
    assert (data.name, data.root, data.gallery_sizes) == ("cuhk-sysu", root, (5,))


def test_training_pictures_are_those_outside_the_pool(root: Path) -> None:
    s1, s2 = CuhkSysu(root).scenes("train")
    assert s1.boxes.tolist() == [[84, 10, 168, 235]]  # 84 + 225 overflows uint8; the box of no width is gone
    assert s1.people.tolist() == [1]
    assert s2.boxes.tolist() == [[250, 200, 340, 440], [5, 6, 12, 14]]
    assert s2.people.tolist() == [0, 1]  # row of Train.mat; equal numbers in different types are equal boxes
    assert s1.path == root / "Image/SSM/s1.jpg"


def test_test_people_are_numbered_by_their_query(root: Path) -> None:
    s3, s4, s5 = CuhkSysu(root).scenes("test")
    assert (s3.people.tolist(), s4.people.tolist(), len(s5)) == ([0], [0], 0)
    assert s3.boxes.tolist() == [[400, 50, 460, 210]]


def test_entries_stay_as_they_are_given(root: Path) -> None:
    trials = CuhkSysu(root).trials(5)
    assert [trials.scenes[k] for k in trials.entry_scene] == [
        "s5.jpg",
        "s4.jpg",
        "s4.jpg",
        "s5.jpg",
        "s3.jpg",
    ]
    assert trials.truth_ptr.tolist() == [0, 0, 1, 2, 2, 3]
    assert trials.truth_box.tolist() == [[300, 20, 350, 190]] * 2 + [[400, 50, 460, 210]]
    assert trials.scenes[trials.query_scene[0]] == "s3.jpg"  # its own picture is in its gallery too
    assert trials.scenes == ("s3.jpg", "s4.jpg", "s5.jpg")
    assert trials.query_person.tolist() == [0]


def test_one_of_everything(tmp_path: Path) -> None:
    (tmp_path / "Image/SSM").mkdir(parents=True)
    images = struct(
        [("imname", "O"), ("nAppear", "O"), ("box", "O")],
        image("s1.jpg", box(1, 1, 9, 9)),
        image("s2.jpg", box(2, 2, 9, 9)),
    )
    save(tmp_path, "annotation/Images.mat", "Img", images)
    save(tmp_path, "annotation/pool.mat", "pool", cells("s2.jpg"))
    save(
        tmp_path, PROTOCOLS / "Train.mat", "Train", person("p1", ("s1.jpg", box(1, 1, 9, 9)))
    )  # not even a cell
    single = search("s2.jpg", box(2, 2, 9, 9), "p2", ("s2.jpg", box(2, 2, 9, 9)))
    save(tmp_path, PROTOCOLS / "TestG1.mat", "TestG1", struct(QUERY, single))
    data = CuhkSysu(tmp_path)
    assert data.scenes("train")[0].people.tolist() == [0]
    trials = data.trials(1)
    assert (len(trials), trials.truth_box.tolist()) == (1, [[2, 2, 11, 11]])


def test_subsets_know_their_people_by_the_test_half(root: Path) -> None:
    occluded = [
        search("s4.jpg", box(300, 20, 50, 170), "p9", ("s3.jpg", box(400, 50, 60, 160))),
        search("s5.jpg", box(1, 1, 20, 40), "p9", ("s4.jpg", NOBODY)),
        search("s5.jpg", box(1, 1, 20, 40), "p1", ("s4.jpg", NOBODY)),
    ]
    save(root, "annotation/test/subset/Occlusion.mat", "Occlusion1", struct(QUERY, *occluded))
    small = struct([("Query", "O"), ("Gallery", "O")], search("s3.jpg", box(400, 50, 60, 160), "p9"))
    save(root, "annotation/test/subset/Resolution.mat", "Test_Size", small)
    data = CuhkSysu(root)
    assert data.subset_trials("occlusion").query_person.tolist() == [0, 0, UNLABELLED]
    assert data.subset_trials("low-resolution").entry_ptr.tolist() == [0, 0]
    with pytest.raises(UsageError, match="no subset 'dark'"):
        data.subset_trials("dark")  # type: ignore[arg-type]


def test_only_what_is_needed_is_read(root: Path) -> None:
    (root / PROTOCOLS / "TestG4000.mat").write_bytes(b"nothing of the kind")
    data = CuhkSysu(root)
    assert len(data.scenes("train")) == 2
    assert data.gallery_sizes == (5, 4000)
    assert len(data.trials(5)) == 1
    with pytest.raises(DatasetError, match=r"TestG4000\.mat cannot be read"):
        data.trials(4000)


def mat73(path: Path) -> None:
    path.write_bytes(
        b"MATLAB 7.3 MAT-file".ljust(116) + b"\0" * 8 + b"\x00\x02IM" + b"\x89HDF\r\n\x1a\n" + b"\0" * 600
    )


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda p: p.unlink(), "is missing"),
        (lambda p: p.write_bytes(b""), "cannot be read as a MATLAB file"),
        (lambda p: p.write_bytes(b"\xff\xd8\xff" + b"JPEG" * 200), "cannot be read as a MATLAB file"),
        (lambda p: p.write_bytes(p.read_bytes()[:300]), "cannot be read as a MATLAB file"),
        (lambda p: p.write_bytes(p.read_bytes()[:-40]), "cannot be read as a MATLAB file"),
        (lambda p: savemat(p, {"Other": np.ones(3)}), r"holds no variable '\w+' \(it holds: Other\)"),
        (mat73, r"is a MATLAB 7\.3"),
        (
            lambda p: savemat(p, {p.stem.replace("Images", "Img"): np.ones(3)}),
            "not a cell|not a struct",
        ),
    ],
)
@pytest.mark.parametrize(
    "file", ["Images.mat", "pool.mat", "test/train_test/Train.mat", "test/train_test/TestG5.mat"]
)
def test_a_file_that_is_not_one_is_named_in_one_line(root: Path, file: str, damage: Any, said: str) -> None:
    path = root / "annotation" / file
    data = CuhkSysu(root)
    assert data.gallery_sizes == (5,)
    damage(path)

    def read_all() -> None:
        data.scenes("train")
        data.trials(5)

    with pytest.raises(DatasetError, match=said) as caught:
        read_all()
    assert path.name in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.hint


def test_no_byte_of_a_damaged_file_gets_out_as_anything_but_an_error(root: Path) -> None:
    path = root / PROTOCOLS / "TestG5.mat"
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(150):
        broken = bytearray(whole)
        for place in rng.integers(100, len(whole), rng.integers(1, 4)).tolist():
            broken[place] = int(rng.integers(256))
        path.write_bytes(bytes(broken))
        with contextlib.suppress(DatasetError):
            CuhkSysu(root).trials(5)


def change(root: Path, file: str | Path, variable: str, edit: Any) -> None:
    content = loadmat(root / file)[variable]
    edit(content)
    savemat(root / file, {variable: content})


def test_an_identity_without_its_box_is_an_error_not_a_stranger(root: Path) -> None:
    def move(train: np.ndarray) -> None:
        train[0, 0]["scene"][0, 0]["idlocate"][0, 0][0, 0] += 1

    change(root, PROTOCOLS / "Train.mat", "Train", move)
    with pytest.raises(
        DatasetError, match=r"train person 0: box 251,200,90,240 of s2\.jpg is not in Images\.mat"
    ):
        CuhkSysu(root).scenes("train")


def test_a_box_of_two_people_is_an_error(root: Path) -> None:
    people = cells(*(person(f"p{k}", ("s2.jpg", box(5, 6, 7, 8))) for k in range(2)))
    save(root, PROTOCOLS / "Train.mat", "Train", people)
    with pytest.raises(DatasetError, match=r"box 5,6,7,8 of s2\.jpg belongs to two people, 0 and 1"):
        CuhkSysu(root).scenes("train")


def test_halves_that_meet_are_an_error(root: Path) -> None:
    save(root, PROTOCOLS / "Train.mat", "Train", cells(person("p1", ("s4.jpg", box(300, 20, 50, 170)))))
    with pytest.raises(DatasetError, match=r"appears in s4\.jpg, a picture of the other half"):
        CuhkSysu(root).scenes("train")
    wrong = search("s3.jpg", box(400, 50, 60, 160), "p9", ("s1.jpg", NOBODY))
    save(root, PROTOCOLS / "TestG5.mat", "TestG5", struct(QUERY, wrong))
    with pytest.raises(DatasetError, match=r"names the picture s1\.jpg, which pool\.mat lacks"):
        CuhkSysu(root).trials(5)


def test_galleries_with_other_queries_are_an_error(root: Path) -> None:
    other = search("s4.jpg", box(300, 20, 50, 170), "p9", ("s3.jpg", NOBODY))
    save(root, PROTOCOLS / "TestG9.mat", "TestG9", struct(QUERY, other))
    with pytest.raises(DatasetError, match=r"TestG9\.mat and TestG5\.mat list different queries"):
        CuhkSysu(root).trials(9)


def test_folders_that_are_not_one(root: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no data set called 'prw'"):
        open_dataset("prw", root)
    with pytest.raises(DatasetError, match="is not a folder"):
        open_dataset("cuhk-sysu", tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetError, match="holds no folder 'annotation'"):
        open_dataset("cuhk-sysu", tmp_path / "empty")
    with pytest.raises(UsageError, match=r"no TestG100\.mat"):
        CuhkSysu(root).trials()
    (root / "Image/SSM").rmdir()
    with pytest.raises(DatasetError, match="SSM is missing"):
        CuhkSysu(root).scenes("test")
    (root / PROTOCOLS / "TestG5.mat").unlink()
    (root / "Image/SSM").mkdir()
    with pytest.raises(DatasetError, match="holds no TestG file"):
        CuhkSysu(root).scenes("test")


def test_a_damaged_sidecar_is_named(root: Path) -> None:
    (root / "annotation/visible.npz").write_bytes(b"PK\x03\x04 and no more")
    with pytest.raises(DatasetError, match=r"visible\.npz is damaged"):
        CuhkSysu(root).scenes("train")


@pytest.mark.skipif(not GOLDEN.is_dir(), reason="the reference results are not beside the repository")
@pytest.mark.parametrize("name", ["cuhk_a", "cuhk_b", "cuhk_quirks", "cuhk_ties", "cuhk_tiny"])
def test_reference_data_sets_read_as_their_arrays_say(name: str, tmp_path: Path) -> None:
    with tarfile.open(GOLDEN / f"{name}.disk.tar.gz") as archive:
        archive.extractall(tmp_path, filter="data")
    with np.load(GOLDEN / f"{name}.npz", allow_pickle=False) as file:
        a = dict(file)
    data = CuhkSysu(tmp_path / name)
    names = a["img_name"].tolist()
    scenes = {scene.name: scene for scene in data.scenes("test")}
    assert scenes.keys() == set(names)
    for i, scene in enumerate(names):
        rows = slice(*a["gt_ptr"][i:][:2])
        wanted = {
            (*b, p - 1 if p > 0 else UNLABELLED)
            for b, p in zip(a["gt_box"][rows].tolist(), a["gt_pid"][rows].tolist(), strict=True)
            for b in [tuple(b)]
        }
        got = {
            (*b, p) for b, p in zip(scenes[scene].boxes.tolist(), scenes[scene].people.tolist(), strict=True)
        }
        assert got == wanted
    assert data.gallery_sizes == (50, 100)
    for size in data.gallery_sizes:
        trials = data.trials(size)
        assert [trials.scenes[k] for k in trials.query_scene] == [names[k] for k in a["q_img"]]
        np.testing.assert_array_equal(trials.query_box, a["q_box"])
        np.testing.assert_array_equal(trials.query_person, a["q_pid"] - 1)
        assert [trials.scenes[k] for k in trials.entry_scene] == [
            names[k] for k in a[f"gal{size}_img"].ravel()
        ]
        np.testing.assert_array_equal(trials.truth_box, a[f"gal{size}_gtbox"])
        counts = np.diff(trials.truth_ptr).reshape(-1, size)
        np.testing.assert_array_equal(counts, np.arange(size) < a[f"gal{size}_ngt"][:, None])
    everybody = {p for scene in data.scenes("train") for p in scene.people.tolist()} - {UNLABELLED}
    assert everybody == set(range(len(everybody)))
    assert everybody
