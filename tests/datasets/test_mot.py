"""MOT sequences: rows by hand, classes and flags, ids of one sequence or of all, oddities, fuzz."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from personsearch.datasets.dataset import Dataset
from personsearch.datasets.mot import MotSequences
from personsearch.errors import DatasetError, UsageError
from personsearch.types import UNLABELLED

NINE = """1,5,1,1,10,20,1,1,0.75
1,7,11.5,1,10,20,1,7,1
3,5,2,3,10,20,0,1,0.5

3,2,31,3,10,20,1,1,-1
3,9,31,3,10,20,1,3,1
3,-1,51,3,10,20,1,1,0.25
2,2,31,3,0,20,1,1,1
"""


def sequence(folder: Path, rows: str, info: str = "", pictures: tuple[str, ...] = ()) -> Path:
    (folder / "gt").mkdir(parents=True)
    (folder / "gt" / "gt.txt").write_text(rows)
    if info:
        (folder / "seqinfo.ini").write_text(f"[Sequence]\n{info}\n")
    for name in pictures:
        (folder / "img1").mkdir(exist_ok=True)
        (folder / "img1" / name).touch()
    return folder


def test_a_case_by_hand(tmp_path: Path) -> None:
    sequence(tmp_path / "s1", NINE, "seqLength=4\nimWidth=640\nimHeight=480\nimExt=.png")
    dataset = MotSequences(tmp_path)
    assert isinstance(dataset, Dataset)
    assert (dataset.name, dataset.scenes("train"), dataset.gallery_sizes) == ("mot", (), ())
    first, second, third, fourth = dataset.scenes("test")
    assert (first.name, first.camera, first.size) == ("s1/img1/000001.png", "s1", (640, 480))
    assert first.path == tmp_path / "s1" / "img1" / "000001.png"
    assert first.boxes.tolist() == [[0, 0, 10, 20], [10.5, 0, 20.5, 20]], "the first pixel is called 1"
    assert first.people.tolist() == [1, UNLABELLED], "a static person has no identity"
    assert first.ignore.tolist() == [False, True]
    assert (len(second), len(fourth)) == (0, 0), "pictures of nobody, and a box of no width"
    assert third.people.tolist() == [1, 0, UNLABELLED], "a car is left out"
    assert third.ignore.tolist() == [True, False, False]
    np.testing.assert_array_equal(third.visible, np.array([0.5, np.nan, 0.25], np.float32))
    assert dataset.raw_ids("test").tolist() == ["s1:2", "s1:5"]
    assert dataset.frames("test")["s1/img1/000003.png"] == 3
    assert MotSequences(tmp_path, first_pixel=0).scenes("test")[0].boxes[0].tolist() == [1, 1, 11, 21]


def test_ten_columns_and_annotated_frames_alone(tmp_path: Path) -> None:
    sequence(tmp_path, "2,1,1,1,5,9,1,-6.8,3.2,0\n7,1,1,1,5,9,0,-1,-1,-1\r\n")
    scenes = MotSequences(tmp_path).scenes("test")
    assert [s.name for s in scenes] == [f"{tmp_path.name}/img1/{n:06d}.jpg" for n in (2, 7)]
    assert [s.ignore.tolist() for s in scenes] == [[False], [True]]
    assert np.isnan(scenes[0].visible).all()
    assert scenes[0].path == tmp_path / "img1" / "000002.jpg"


@pytest.mark.parametrize(
    ("flag", "kind", "kept", "ignored"),
    [(1, 1, True, False), (0, 1, True, True), *((1, k, True, True) for k in (2, 7, 8, 12, 13))]
    + [(flag, k, False, False) for k in (3, 4, 5, 6, 9, 10, 11, 99) for flag in (0, 1)],
)
def test_every_class_and_flag(tmp_path: Path, flag: int, kind: int, kept: bool, ignored: bool) -> None:
    sequence(tmp_path / "s", f"1,3,1,1,5,9,{flag},{kind},1\n")
    (scene,) = MotSequences(tmp_path).scenes("test")
    assert len(scene) == kept
    if kept:
        assert scene.ignore[0] == ignored
        assert (scene.people[0] == 0) == (kind == 1)


def test_an_id_is_a_person_of_its_sequence_or_of_all(tmp_path: Path) -> None:
    for name, ids in (("b", (4, 1)), ("a", (1, 8))):
        rows = "".join(f"1,{i},{10 * i},1,5,9,1,1,1\n" for i in ids)
        sequence(tmp_path / name, rows)
    apart = MotSequences(tmp_path)
    assert [s.people.tolist() for s in apart.scenes("test")] == [[0, 1], [3, 2]]
    assert apart.raw_ids("test").tolist() == ["a:1", "a:8", "b:1", "b:4"]
    together = MotSequences(tmp_path, global_ids=True)
    assert [s.people.tolist() for s in together.scenes("test")] == [[0, 2], [1, 0]]
    assert together.raw_ids("test").tolist() == ["1", "4", "8"]
    trials = together.trials(cameras="other")
    assert trials.query_person.tolist() == [0]
    assert len(trials.truth_box) == 1
    (tmp_path / "a" / "seqinfo.ini").write_text("[Sequence]\nglobalIds=1\n")
    assert len(MotSequences(tmp_path).raw_ids("test")) == 4, "one sequence alone cannot say so"
    (tmp_path / "b" / "seqinfo.ini").write_text("[Sequence]\nglobalIds=1\n")
    assert len(MotSequences(tmp_path).raw_ids("test")) == 3
    assert len(MotSequences(tmp_path, global_ids=False).raw_ids("test")) == 4


def test_halves_and_sequences_without_truth(tmp_path: Path) -> None:
    sequence(tmp_path / "train" / "a", "1,1,1,1,5,9,1,1,1\n")
    (tmp_path / "test" / "hidden" / "img1").mkdir(parents=True)
    dataset = MotSequences(tmp_path)
    assert (len(dataset.scenes("train")), len(dataset.scenes("test"))) == (1, 0)
    assert dataset.scenes("train")[0].name == "train/a/img1/000001.jpg"
    assert dataset.unannotated == ("test: hidden",)
    sequence(tmp_path / "other" / "val" / "a", "1,1,1,1,5,9,1,1,1\n")
    assert len(MotSequences(tmp_path / "other").scenes("test")) == 1
    with pytest.raises(UsageError, match="no split"):
        dataset.scenes("all")
    with pytest.raises(DatasetError, match=r"holds no sequence with gt/gt\.txt"):
        MotSequences(tmp_path / "test")


def test_pictures_on_disk_are_the_frames(tmp_path: Path) -> None:
    names = ("00000010.jpg", "00000002.jpg", "Thumbs.db", "00000003.jpg")
    folder = sequence(tmp_path / "s", "2,1,1,1,5,9,1,1,1\n", "seqLength=50", names)
    scenes = MotSequences(tmp_path).scenes("test")
    assert [s.name for s in scenes] == [f"s/img1/000000{n}.jpg" for n in ("02", "03", "10")]
    (folder / "img1" / "3.jpg").touch()
    with pytest.raises(DatasetError, match="holds frame 3 twice"):
        MotSequences(tmp_path).scenes("test")
    (folder / "img1" / "3.jpg").unlink()
    (folder / "gt" / "gt.txt").write_text("4,1,1,1,5,9,1,1,1\n")
    with pytest.raises(DatasetError, match=r"gt\.txt: frame 4 has no picture in s"):
        MotSequences(tmp_path).scenes("test")


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ("1,1,1,1,5,9,1,1\n", "line 1 has 8 columns"),
        ("1,1,1,1,5,9,1,1,1\n1,2,1,1,5,9,1,1,1,1\n", "line 2 has 10 columns, others 9"),
        ("1,1,1,1,5,x,1,1,1\n", "line 1: '1,1,1,1,5,x,1,1,1' is not numbers"),
        ("1,1,1,1,5,nan,1,1,1\n", "line 1: a number is not finite"),
        ("1,1,1,1,5,1e9,1,1,1\n", "line 1: a number is not finite or too large"),
        ("1,1,1,1,-5,9,1,1,1\n", "line 1: width or height is negative"),
        ("1.5,1,1,1,5,9,1,1,1\n", "line 1: frame and id must be whole"),
        ("-1,1,1,1,5,9,1,1,1\n", "line 1: frame and id must be whole"),
        ("1,1,1,1,5,9,1,1,1.5\n", r"line 1: visible is 1\.5"),
        ("1,1,1,1,5,9,1,1,nan\n", "line 1: visible is nan"),
        ("1,1,1,1,5,9,1,1,1\n\n1,1,2,1,5,9,1,1,1\n", "line 3: id 1 is in frame 1 twice"),
    ],
)
def test_odd_rows_are_named(tmp_path: Path, rows: str, said: str) -> None:
    sequence(tmp_path / "s", rows)
    with pytest.raises(DatasetError, match=rf"s.gt.gt\.txt {said}") as caught:
        MotSequences(tmp_path).scenes("test")
    assert caught.value.hint


ODD_INFO = (
    "imWidth=wide imDir=../.. imDir=/etc imDir= seqLength=-3 seqLength=99999999999 imExt=/x imDigits=0 "
    "frames=a frames=-1 globalIds=perhaps x"
)


@pytest.mark.parametrize("info", ODD_INFO.split())
def test_an_odd_seqinfo_is_named(tmp_path: Path, info: str) -> None:
    sequence(tmp_path / "s", NINE, info)
    with pytest.raises(DatasetError, match=r"seqinfo\.ini"):
        MotSequences(tmp_path).scenes("test")
    (tmp_path / "s" / "seqinfo.ini").write_bytes(b"\xff\xfe[Sequence]")
    with pytest.raises(DatasetError, match=r"seqinfo\.ini cannot be read"):
        MotSequences(tmp_path).scenes("test")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sequence(tmp_path_factory.mktemp("mot") / "s", NINE, "seqLength=4")


@given(
    st.integers(0, len(NINE)), st.integers(0, 255), st.sampled_from(["seqLength", "imWidth", "", "[x]", "%("])
)
@settings(max_examples=60, deadline=None)
def test_whatever_stands_there_it_is_read_or_refused_in_one_line(
    folder: Path, at: int, byte: int, info: str
) -> None:
    raw = NINE.encode()
    (folder / "seqinfo.ini").write_text(f"[Sequence]\n{info}=7\n")
    for broken in (raw[:at], raw[:at] + bytes([byte]) + raw[at + 1 :]):
        (folder / "gt" / "gt.txt").write_bytes(broken)
        try:
            for scene in MotSequences(folder.parent).scenes("test"):
                assert np.isfinite(scene.boxes).all()
        except DatasetError as error:
            assert_helpful(error)


def assert_helpful(error: DatasetError) -> None:
    assert "\n" not in str(error)
    assert error.hint
