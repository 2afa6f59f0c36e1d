"""The official layout with every trap in it, and files that are not what they should be."""

from __future__ import annotations

import contextlib
import tarfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.io import loadmat, savemat

from personsearch.datasets import cache
from personsearch.datasets.cuhk_sysu import CuhkSysu
from personsearch.datasets.cuhk_sysu_layout import picture_name
from personsearch.datasets.cuhk_sysu_tables import Pictures, Searches
from personsearch.datasets.dataset import Dataset
from personsearch.datasets.open import open_dataset
from personsearch.errors import DatasetError, UsageError
from personsearch.types import UNLABELLED

GOLDEN = Path(__file__).resolve().parents[2] / ".." / "shared" / "golden"
OWN_GOLDEN = Path(__file__).parent / "golden"
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
    s5, s4, s3 = CuhkSysu(root).scenes("test")  # the order of pool.mat
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
    assert trials.scenes == ("s5.jpg", "s4.jpg", "s3.jpg")  # the order of pool.mat
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


def test_galleries_that_are_cell_arrays(root: Path) -> None:
    """As MovieNet-PS has its people: a row an entry, a column a field."""
    found = loadmat(root / PROTOCOLS / "TestG5.mat")["TestG5"]
    second = search("s4.jpg", box(300, 20, 50, 170), "p8", ("s3.jpg", NOBODY))
    save(root, PROTOCOLS / "TestG5.mat", "TestG5", both := struct(QUERY, tuple(found[0, 0]), second))
    plain = CuhkSysu(root).trials(5)
    for row in both[0]:
        gallery = row["Gallery"][0]
        cell = np.empty((len(gallery), 3), object)
        for k, entry in enumerate(gallery):
            cell[k] = [entry[name] for name in gallery.dtype.names]
        row["Gallery"] = cell
    save(root, PROTOCOLS / "TestG5.mat", "TestG5", both)
    for column in ("entry_ptr", "entry_scene", "truth_ptr", "truth_box"):
        np.testing.assert_array_equal(getattr(CuhkSysu(root).trials(5), column), getattr(plain, column))


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
    with pytest.raises(
        DatasetError, match=r"Train\.mat: train person 0 is in s4\.jpg, a picture of the other half"
    ):
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
    with pytest.raises(UsageError, match="no data set called 'cuhk'"):
        open_dataset("cuhk", root)
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


def test_the_usual_gallery_is_100(root: Path) -> None:
    data = CuhkSysu(root)
    with pytest.raises(UsageError, match=r"no TestG100\.mat") as caught:
        data.trials()
    assert caught.value.hint == "gallery sizes there: 5"
    entries = [search("s3.jpg", box(400, 50, 60, 160), "p9", ("s4.jpg", NOBODY))]
    save(root, PROTOCOLS / "TestG100.mat", "TestG100", struct(QUERY, *entries))
    assert CuhkSysu(root).trials().name == "cuhk-sysu gallery=100"
    with pytest.raises(UsageError, match="cuhk-sysu does not tell which camera"):
        data.trials(5, cameras="other")


def test_the_full_gallery_is_the_smallest_and_every_other_picture(root: Path) -> None:
    few = search("s3.jpg", box(400, 50, 60, 160), "p9", ("s4.jpg", box(300, 20, 50, 170)))
    save(root, PROTOCOLS / "TestG1.mat", "TestG1", struct(QUERY, few))
    full = CuhkSysu(root).trials("full")
    assert full.name == "cuhk-sysu gallery=full"
    assert [full.scenes[k] for k in full.entry_scene] == ["s4.jpg", "s5.jpg"]  # not its own, s3.jpg
    assert full.truth_ptr.tolist() == [0, 1, 1]


@pytest.mark.parametrize(
    "file", ["Images.mat", "pool.mat", "Train.mat", "TestG5.mat query", "TestG5.mat entry"]
)
@pytest.mark.parametrize(
    "name",
    ["../s1.jpg", "a/../../s1.jpg", "/etc/passwd", "a\\s1.jpg", "C:s1.jpg", "a//b.jpg", "a/.", "s\x011.jpg"],
)
def test_names_that_lead_out_of_the_folder(root: Path, file: str, name: str) -> None:
    if file == "Images.mat":
        content = struct([("imname", "O"), ("nAppear", "O"), ("box", "O")], image(name, box(1, 2, 3, 4)))
        save(root, "annotation/Images.mat", "Img", content)
    elif file == "pool.mat":
        save(root, "annotation/pool.mat", "pool", cells("s3.jpg", name))
    elif file == "Train.mat":
        save(root, PROTOCOLS / "Train.mat", "Train", cells(person("p1", (name, box(1, 2, 3, 4)))))
    else:
        query, entry = (name, "s4.jpg") if file.endswith("query") else ("s3.jpg", name)
        bad = search(query, box(400, 50, 60, 160), "p9", (entry, NOBODY))
        save(root, PROTOCOLS / "TestG5.mat", "TestG5", struct(QUERY, bad))
    with pytest.raises(DatasetError, match=r"leads out of the folder|cannot be the name") as caught:
        CuhkSysu(root).scenes("test" if file.startswith("TestG") else "train")
    said = str(caught.value)
    assert file.split(" ")[0] in said
    assert "imname" in said or file == "pool.mat"
    assert "\n" not in said
    assert "\x01" not in said


def test_names_of_pictures() -> None:
    for name in ("s1.jpg", "tt0047396/shot_0.jpg", "Größe 人.jpg", "...jpg"):
        assert picture_name(name, "here") == name
    for name in ("..", "a\0.jpg", "\\\\host\\x.jpg", "c:/x.jpg", "a/", "x" * 300, "a\u2028b.jpg", "."):
        with pytest.raises(DatasetError, match=r"^here: '"):
            picture_name(name, "here")


@pytest.mark.parametrize(
    ("file", "variable", "value", "said"),
    [
        ("Images.mat", "Img", struct([("name", "O"), ("box", "O")], ("s1.jpg", ABSENT)), "no field 'imname'"),
        ("Images.mat", "Img", struct([("imname", "O"), ("box", "O")], (7, ABSENT)), "imname: a name is not"),
        (
            "Images.mat",
            "Img",
            struct([("imname", "O"), ("box", "O")], ("s1.jpg", box(1, 2, 3, 4))),
            r"box of s1\.jpg is not a struct",
        ),
        (
            "Images.mat",
            "Img",
            struct([("imname", "O"), ("nAppear", "O"), ("box", "O")], image("s1.jpg", np.array([[1, 2, 3]]))),
            r"idlocate of s1\.jpg: a box is not four",
        ),
        (
            "Images.mat",
            "Img",
            struct([("imname", "O"), ("nAppear", "O"), ("box", "O")], image("s1.jpg", np.array([["abcd"]]))),
            r"idlocate of s1\.jpg: a box is not four",
        ),
        (
            "Images.mat",
            "Img",
            struct(
                [("imname", "O"), ("nAppear", "O"), ("box", "O")],
                image("s1.jpg", np.array([[1, 2, np.nan, 4]])),
            ),
            r"idlocate of s1\.jpg: a box is not finite",
        ),
        (
            "Images.mat",
            "Img",
            struct([("imname", "O"), ("box", "O")], image("s1.jpg", np.array([[1, 2, 3, 1e300]]))[::2]),
            r"idlocate of s1\.jpg: a box is not finite, or larger than any picture",
        ),
        ("test/train_test/Train.mat", "Train", cells(person("p1", (3, box(1, 2, 3, 4)))), "person 0 imname"),
        (
            "test/train_test/Train.mat",
            "Train",
            cells(person("p1", ("s1.jpg", np.ones((1, 5))))),
            r"person 0 idlocate in s1\.jpg: a box is not four",
        ),
        (
            "test/train_test/TestG5.mat",
            "TestG5",
            struct(QUERY, search("s3.jpg", ABSENT, "p9")),
            "query 0 is not one box in one picture",
        ),
        (
            "test/train_test/TestG5.mat",
            "TestG5",
            struct(QUERY, search("s3.jpg", box(400, 50, 60, 160), "p9", ("s4.jpg", np.ones((2, 4))))),
            "query 0: Gallery idlocate: a box is not four",
        ),
        (
            "test/train_test/TestG5.mat",
            "TestG5",
            struct(QUERY, search("s3.jpg", box(400, 50, 60, 160), np.ones(2))),
            "query 0: idname is not a text",
        ),
    ],
)
def test_wrong_fields_are_named(root: Path, file: str, variable: str, value: np.ndarray, said: str) -> None:
    save(root, f"annotation/{file}", variable, value)
    with pytest.raises(DatasetError, match=said) as caught:
        CuhkSysu(root).scenes("test" if "TestG" in file else "train")
    assert Path(file).name in str(caught.value)
    assert "\n" not in str(caught.value)


def long_gallery(root: Path) -> None:
    """A file whose galleries are long enough for the quick way of reading."""
    entries = [("s5.jpg", NOBODY), ("s4.jpg", box(300, 20, 50, 170)), *[("s3.jpg", NOBODY)] * 70]
    one = search("s3.jpg", box(400, 50, 60, 160), "p9", *entries)
    save(root, PROTOCOLS / "TestG72.mat", "TestG72", struct(QUERY, one))


@given(st.data())
@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_damaged_file_is_read_or_refused(root: Path, data: st.DataObject) -> None:
    damage_and_read(root, data)


@pytest.mark.long
@given(st.data())
@settings(max_examples=5000, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_many_damaged_files_are_read_or_refused(root: Path, data: st.DataObject) -> None:
    damage_and_read(root, data)


def damage_and_read(root: Path, data: st.DataObject) -> None:
    """Cut a file or change some of its bytes, packed or not; what comes of it is data or one clear line."""
    long_gallery(root)
    path = data.draw(st.sampled_from(sorted((root / "annotation").rglob("*.mat"))))
    whole = path.read_bytes()
    content = whole
    if data.draw(st.booleans(), label="packed"):
        body = zlib.compress(whole[128:])
        content = whole[:128] + len(body).to_bytes(4, "little").join([b"\x0f\0\0\0", body])
    broken = bytearray(
        content[: data.draw(st.integers(0, len(content))) if data.draw(st.booleans()) else None]
    )
    changes = st.tuples(st.integers(0, len(content)), st.integers(0, 255))
    for place, value in data.draw(st.lists(changes, max_size=4)):
        if place < len(broken):
            broken[place] = value
    path.write_bytes(bytes(broken))
    said = read_everything(root)
    path.write_bytes(whole)
    assert said is None or ("\n" not in str(said) and said.hint)


def read_everything(root: Path) -> DatasetError | None:
    opened = CuhkSysu(root)
    try:
        for split in ("train", "test"):
            opened.scenes(split)
        for size in opened.gallery_sizes:
            opened.trials(size)
    except DatasetError as error:
        return error
    return None


def test_what_the_cache_keeps_is_what_the_files_say(
    root: Path, monkeypatch: pytest.MonkeyPatch, assert_same_trials, assert_same_scenes
) -> None:
    long_gallery(root)
    small = struct([("Query", "O"), ("Gallery", "O")], search("s3.jpg", box(400, 50, 60, 160), "p9"))
    save(root, "annotation/test/subset/Resolution.mat", "Test_Size", small)
    monkeypatch.setenv(cache.VARIABLE, str(root / "cache"))
    fresh = CuhkSysu(root)
    monkeypatch.setattr(cache, "SMALLEST", 1)
    for _ in range(2):  # made, then found
        kept = CuhkSysu(root)
        for size in (5, 72):
            assert_same_trials(kept.trials(size), fresh.trials(size))
        assert_same_trials(kept.subset_trials("low-resolution"), fresh.subset_trials("low-resolution"))
        for split in ("train", "test"):
            assert_same_scenes(kept.scenes(split), fresh.scenes(split))
    kinds = {path.name.rsplit("-", 1)[0] for path in (root / "cache").iterdir()}
    variables = ("TestG5", "TestG72", "Test_Size")
    assert kinds == {"cuhk-pictures-2", *(f"cuhk-searches-{name}-2" for name in variables)}
    monkeypatch.setattr(
        "personsearch.datasets.cuhk_sysu.read_searches", lambda *_: pytest.fail("the file was read again")
    )
    assert len(CuhkSysu(root).trials(72)) == 1


def test_tables_that_do_not_fit_together_are_refused() -> None:
    good = {
        "names": ("s1.jpg", "s2.jpg"),
        "query_name": np.array([0]),
        "query_box": np.array([[1.0, 2, 3, 4]]),
        "query_id": ("p1",),
        "entry_ptr": np.array([0, 2]),
        "entry_name": np.array([0, 1]),
        "truth_entry": np.array([1]),
        "truth_box": np.array([[1.0, 2, 3, 4]]),
    }
    assert Searches.from_arrays(Searches(**good).to_arrays()).to_arrays().keys() == good.keys()
    wrong = {
        "names": ("s1.jpg",),
        "query_name": np.array([0, 0]),
        "query_box": np.array([[1.0, 2, 3]]),
        "query_id": ("p1", "p2"),
        "entry_ptr": np.array([0, 3]),
        "entry_name": np.array([0, -1]),
        "truth_entry": np.array([2]),
        "truth_box": np.array([[1.0, 2, 3, np.nan]]),
    }
    for name, value in wrong.items():
        with pytest.raises(ValueError):
            Searches(**{**good, name: value})
    with pytest.raises(ValueError, match="listed twice"):
        Pictures(
            names=("a", "a"), box_ptr=np.zeros(3, np.int64), box=np.zeros((0, 4)), empty=np.zeros(2, np.int64)
        )


def expected_of(data: CuhkSysu, a: dict[str, np.ndarray]) -> None:
    """Every array of the neutral layout against what was read, element by element."""
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


def unpack(name: str, archive: Path, folder: Path) -> CuhkSysu:
    with tarfile.open(archive) as packed:
        packed.extractall(folder, filter="data")
    return CuhkSysu(folder / name)


def test_a_reference_data_set_reads_as_its_arrays_say(tmp_path: Path) -> None:
    with np.load(OWN_GOLDEN / "cuhk_quirks.truth.npz", allow_pickle=False) as file:
        arrays = dict(file)
    expected_of(unpack("cuhk_quirks", OWN_GOLDEN / "cuhk_quirks.disk.tar.gz", tmp_path), arrays)


@pytest.mark.skipif(not GOLDEN.is_dir(), reason="the reference results are not beside the repository")
@pytest.mark.parametrize("name", ["cuhk_a", "cuhk_b", "cuhk_quirks", "cuhk_ties", "cuhk_tiny"])
def test_all_reference_data_sets_read_as_their_arrays_say(name: str, tmp_path: Path) -> None:
    with np.load(GOLDEN / f"{name}.npz", allow_pickle=False) as file:
        arrays = dict(file)
    expected_of(unpack(name, GOLDEN / f"{name}.disk.tar.gz", tmp_path), arrays)
