"""Every defect that can be planted in a copy is found, and a right copy has none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from personsearch.datasets import published
from personsearch.datasets.check_galleries import check_galleries
from personsearch.datasets.checks import CheckReport, check_dataset
from personsearch.datasets.cuhk_sysu import CuhkSysu
from personsearch.datasets.cuhk_sysu_writer import write_annotations
from personsearch.datasets.findings import EXAMPLES, RULES, Findings
from personsearch.errors import DatasetError, UsageError
from personsearch.images import encode_jpeg
from personsearch.types import UNLABELLED, Scene, Trials

SIZE = (100, 80)
READ = {
    "nobody-to-find",
    "sequence-not-annotated",
    "other-identity-field",
    "box-left-out",
    "shared-validation",
}


@dataclass
class Memory:
    """A data set that is what the test says."""

    train: tuple[Scene, ...]
    test: tuple[Scene, ...]
    galleries: dict[int, Trials] = field(default_factory=dict)
    whole: Trials | None = None
    names: dict[str, list[str]] | None = None
    name: str = "memory"
    root: Path = Path("memory")

    def __post_init__(self) -> None:
        if self.names is not None:
            self.raw_ids = lambda split: np.array(self.names[split])

    @property
    def gallery_sizes(self) -> tuple[int, ...]:
        return tuple(self.galleries)

    def scenes(self, split: str) -> tuple[Scene, ...]:
        return self.train if split == "train" else self.test

    def trials(self, gallery_size: Any = None, *, cameras: str = "all") -> Trials:
        if gallery_size in self.galleries:
            return self.galleries[gallery_size]
        if self.whole is None:
            raise UsageError("no such gallery")
        return self.whole

    def subset_trials(self, subset: str) -> Trials:
        raise UsageError("no subsets")


def searches(rows: list[tuple[int, list[tuple[int, int]]]], scenes: tuple[Scene, ...]) -> Trials:
    """Query i is for person i in a scene (row); entries are (row, how many boxes of the person)."""
    entries = [entry for _, gallery in rows for entry in gallery]
    owner = [i for i, (_, gallery) in enumerate(rows) for _ in gallery]
    truths = [
        scenes[row].boxes[scenes[row].people == person][0]
        for person, (row, count) in zip(owner, entries, strict=True)
        for _ in range(count)
    ]
    return Trials(
        name="two",
        scenes=tuple(scene.name for scene in scenes),
        query_scene=[row for row, _ in rows],
        query_box=[scenes[row].boxes[scenes[row].people == i][0] for i, (row, _) in enumerate(rows)],
        query_person=np.arange(len(rows)),
        entry_ptr=np.cumsum([0, *(len(gallery) for _, gallery in rows)]),
        entry_scene=[row for row, _ in entries],
        truth_ptr=np.cumsum([0, *(count for _, count in entries)]),
        truth_box=np.array(truths).reshape(-1, 4),
        ignore_ptr=np.zeros(len(entries) + 1),
        ignore_box=np.zeros((0, 4)),
    )


def picture(folder: Path, name: str, shade: int, size: tuple[int, int] = SIZE) -> Path:
    path = folder / name
    path.write_bytes(encode_jpeg(np.full((size[1], size[0], 3), shade, np.uint8)))
    return path


@pytest.fixture
def right(tmp_path: Path) -> Memory:
    """Nothing is wrong with this one: two train pictures, three test pictures, one query."""

    def scene(name: str, shade: int, *people: tuple[int, list[int]]) -> Scene:
        boxes = np.array([box for _, box in people]).reshape(-1, 4)
        path = picture(tmp_path, name, shade)
        return Scene(name, path=path, size=SIZE, boxes=boxes, people=[person for person, _ in people])

    train = (
        scene("s1.jpg", 10, (0, [0, 0, 20, 60]), (UNLABELLED, [30, 5, 50, 70])),
        scene("s2.jpg", 20, (0, [5, 5, 30, 70])),
    )
    test = (
        scene("t1.jpg", 30, (0, [1, 1, 21, 61])),
        scene("t2.jpg", 40, (0, [2, 2, 22, 62]), (UNLABELLED, [50, 2, 70, 62])),
        scene("t3.jpg", 50),
    )
    galleries = {2: searches([(0, [(1, 1), (2, 0)])], test)}
    names = {"train": ["anna"], "test": ["ben"]}
    return Memory(train, test, galleries, names=names, root=tmp_path)


def rules(report: CheckReport) -> dict[str, tuple[str, int]]:
    return {finding.rule: (finding.severity, finding.count) for finding in report.findings}


def test_a_right_copy_is_right(right: Memory) -> None:
    for looks in ("none", "headers", "whole"):
        report = check_dataset(right, looks=looks)
        assert report.findings == ()
        assert report.right
        assert not report.published
    assert report.counts == {
        "train_pictures": 2,
        "train_boxes": 3,
        "train_labelled": 2,
        "train_identities": 1,
        "test_pictures": 3,
        "test_boxes": 3,
        "test_labelled": 2,
        "test_identities": 1,
        "queries": 1,
    }


def boxes(data: Memory, split: str, row: int, values: list[list[float]], **columns: Any) -> None:
    """Give a scene other boxes."""
    scenes = list(getattr(data, split))
    scenes[row] = replace(scenes[row], boxes=values, **{"visible": None, "ignore": None, **columns})
    setattr(data, split, tuple(scenes))


def missing(data: Memory) -> None:
    data.train[1].path.unlink()


def unreadable(data: Memory) -> None:
    data.test[2].path.write_bytes(b"no picture")


def resized(data: Memory) -> None:
    picture(data.root, "s1.jpg", 10, (50, 40))


def outside(data: Memory) -> None:
    boxes(data, "train", 1, [[500, 5, 530, 70]])


def over_edge(data: Memory) -> None:
    boxes(data, "train", 1, [[-4, 5, 30, 70]])


def empty(data: Memory) -> None:
    boxes(data, "train", 0, [[0, 0, 20, 60], [30, 5, 30, 70]])


def not_a_number(data: Memory) -> None:
    boxes(data, "train", 0, [[0, 0, 20, 60], [30, 5, np.nan, 70]])


def duplicate(data: Memory) -> None:
    boxes(data, "train", 0, [[0, 0, 20, 60], [0, 0, 20, 60]])


def twice(data: Memory) -> None:
    boxes(data, "train", 0, [[0, 0, 20, 60], [30, 5, 50, 70]], people=[0, 0])


def lone(data: Memory) -> None:
    boxes(data, "train", 0, [[0, 0, 20, 60], [30, 5, 50, 70]], people=[0, 1])


def shared_picture(data: Memory) -> None:
    data.train = (*data.train, Scene("t3.jpg", path=data.test[2].path))


def shared_file(data: Memory) -> None:
    data.train = (*data.train, Scene("other.jpg", path=data.test[2].path))


def shared_content(data: Memory) -> None:
    (data.root / "s9.jpg").write_bytes(data.test[2].path.read_bytes())
    data.train = (*data.train, Scene("s9.jpg", path=data.root / "s9.jpg"))


def same_content(data: Memory) -> None:
    (data.root / "t9.jpg").write_bytes(data.test[2].path.read_bytes())
    data.test = (*data.test, Scene("t9.jpg", path=data.root / "t9.jpg"))


def shared_person(data: Memory) -> None:
    data.names = {"train": ["anna"], "test": ["anna"]}


def shared_bystander(data: Memory) -> None:
    boxes(data, "test", 1, [[2, 2, 22, 62], [50, 2, 70, 62]], people=[0, 1])
    boxes(data, "test", 2, [[50, 2, 70, 62]], people=[1])
    data.names = {"train": ["anna"], "test": ["ben", "anna"]}


def unlisted(data: Memory) -> None:
    picture(data.root, "s77.jpg", 99)


def own_picture(data: Memory) -> None:
    data.galleries = {2: searches([(0, [(1, 1), (0, 0)])], data.test)}
    data.test = (replace(data.test[0], people=[0]), *data.test[1:])


def repeated(data: Memory) -> None:
    data.galleries = {3: searches([(0, [(1, 1), (2, 0), (2, 0)])], data.test)}


def late(data: Memory) -> None:
    data.galleries = {2: searches([(0, [(2, 0), (1, 1)])], data.test)}


def unanswered(data: Memory) -> None:
    data.galleries = {1: searches([(0, [(2, 0)])], data.test)}


def short(data: Memory) -> None:
    data.galleries = {3: data.galleries[2]}


def left_out(data: Memory) -> None:
    data.galleries = {2: searches([(0, [(1, 0), (2, 0)])], data.test)}


def strange_truth(data: Memory) -> None:
    data.galleries[2] = replace(data.galleries[2], truth_box=[[60, 2, 80, 62]])


def strange_query(data: Memory) -> None:
    data.galleries[2] = replace(data.galleries[2], query_box=[[60, 2, 80, 62]])


def shifted_query(data: Memory) -> None:
    data.galleries[2] = replace(data.galleries[2], query_box=[[1, 1, 20, 61]])


PLANTED: dict[Callable[[Memory], None], str] = {
    missing: "missing-picture",
    unreadable: "unreadable-picture",
    resized: "other-size",
    outside: "box-outside",
    over_edge: "box-over-edge",
    empty: "empty-box",
    not_a_number: "empty-box",
    duplicate: "duplicate-box",
    twice: "person-twice",
    lone: "lone-person",
    shared_picture: "shared-picture",
    shared_file: "shared-picture",
    shared_content: "shared-content",
    same_content: "same-content",
    shared_person: "shared-person",
    shared_bystander: "shared-bystander",
    unlisted: "unlisted-picture",
    own_picture: "own-picture",
    repeated: "repeated-entry",
    late: "positives-not-first",
    unanswered: "no-positive",
    short: "gallery-length",
    left_out: "positive-left-out",
    strange_truth: "truth-not-annotated",
    strange_query: "query-not-annotated",
    shifted_query: "query-box-shifted",
}


@pytest.mark.parametrize("plant", PLANTED, ids=lambda plant: plant.__name__)
def test_a_planted_defect_is_found(right: Memory, plant: Callable[[Memory], None]) -> None:
    plant(right)
    report = check_dataset(right, looks="whole")
    rule = PLANTED[plant]
    found = rules(report)
    assert found[rule] == (RULES[rule][0], 1)
    assert report.right == (not any(severity == "error" for severity, _ in found.values()))
    expected = {
        "resized": {"box-over-edge", "box-outside"},
        "shared_file": {"shared-content"},
        "own_picture": {"positive-left-out"},
        "left_out": {"no-positive"},
        "duplicate": set(),
    }.get(plant.__name__, set())
    assert set(found) - {rule} <= expected


def test_every_rule_but_those_of_the_published_sets_is_planted() -> None:
    elsewhere = {
        "unreadable-annotation",
        "nothing-there",
        "official-count",
        "not-official",
        "no-picture-file",
        *READ,  # tests/datasets/test_checks_readers.py
    }
    assert set(PLANTED.values()) | elsewhere == set(RULES)


def test_contents_are_compared_only_when_pictures_are_decoded(right: Memory) -> None:
    shared_content(right)
    assert check_dataset(right).findings == ()
    right.test[2].path.write_bytes(right.test[2].path.read_bytes()[:-9])  # damage behind the header
    assert check_dataset(right).findings == ()
    assert set(rules(check_dataset(right, looks="whole"))) == {"unreadable-picture"}
    assert check_dataset(right, looks="none").findings == ()


def test_the_whole_body_may_leave_the_picture_where_the_annotation_says_so(right: Memory) -> None:
    boxes(right, "train", 1, [[-60, 5, 30, 70]], visible=[0.3])
    assert rules(check_dataset(right)) == {"box-over-edge": ("warning", 1)}
    boxes(right, "train", 1, [[-60, 5, 30, 70]], visible=[1.0])
    assert rules(check_dataset(right)) == {"box-outside": ("error", 1)}
    boxes(right, "train", 1, [[-60, 5, 30, 70]], ignore=[True])
    assert rules(check_dataset(right)) == {}
    boxes(right, "train", 1, [[-1, -1, 101, 81]])  # coordinates that count from one
    assert rules(check_dataset(right)) == {}


def test_what_cannot_be_read_is_a_finding_and_the_rest_is_checked(right: Memory) -> None:
    def broken(split: str) -> tuple[Scene, ...]:
        if split == "train":
            raise DatasetError("Train.mat is damaged")
        return right.test

    right.scenes = broken  # type: ignore[method-assign]
    repeated(right)
    report = check_dataset(right)
    assert rules(report) == {"unreadable-annotation": ("error", 1), "repeated-entry": ("error", 1)}
    assert report.findings[0].examples == ("train: Train.mat is damaged",)
    assert report.counts["train_pictures"] is None
    nothing = check_dataset(Memory((), ()))
    assert rules(nothing) == {"nothing-there": ("error", 1)}


def test_without_queries_or_pictures_the_rest_is_checked(right: Memory) -> None:
    right.galleries = {}
    report = check_dataset(right)
    assert (report.findings, report.counts["queries"]) == ((), None)
    right.train = tuple(replace(scene, path=None) for scene in right.train)
    assert rules(check_dataset(right)) == {
        "no-picture-file": ("note", 2),
        "unlisted-picture": ("note", 2),
    }


def test_counts_are_held_against_the_published_ones(right: Memory, monkeypatch) -> None:
    here = {**check_dataset(right).counts, "train_boxes": 4}
    monkeypatch.setattr(published, "COUNTS", {"memory": here})
    report = check_dataset(right)
    assert report.published
    (finding,) = report.findings
    assert (finding.rule, finding.severity) == ("official-count", "error")
    assert finding.examples == ("train boxes: 3 instead of 4",)
    # Much less than what is published is another data set, unless it is said to be that one.
    monkeypatch.setattr(published, "COUNTS", {"memory": {**here, "test_pictures": 300}})
    assert rules(check_dataset(right)) == {"not-official": ("note", 1)}
    assert rules(check_dataset(right, official=True)) == {"official-count": ("error", 2)}
    with pytest.raises(UsageError, match="nothing is published"):
        check_dataset(replace(right, name="mine"), official=True)


def test_known_oddities_of_the_published_data_are_notes(right: Memory, monkeypatch) -> None:
    twice(right)
    late(right)
    monkeypatch.setattr(published, "COUNTS", {"memory": dict(check_dataset(right).counts)})
    monkeypatch.setattr(published, "KNOWN", {"memory": {"person-twice": frozenset({"s1.jpg"})}})
    assert rules(check_dataset(right)) == {
        "person-twice": ("note", 1),
        "positives-not-first": ("error", 1),
    }
    assert rules(check_dataset(right, official=False))["person-twice"] == ("warning", 1)
    monkeypatch.setattr(published, "KNOWN", {"memory": {"person-twice": frozenset({"s2.jpg"})}})
    assert rules(check_dataset(right))["person-twice"] == ("warning", 1)
    # A number of them is known as a whole only.
    for most, severity in ((1, "note"), (0, "warning")):
        monkeypatch.setattr(published, "KNOWN", {"memory": {"person-twice": most}})
        assert rules(check_dataset(right))["person-twice"] == (severity, 1)


def test_a_finding_names_the_first_places_only() -> None:
    findings = Findings()
    findings.extend("missing-picture", (f"s{i}.jpg" for i in range(20)))
    (finding,) = findings.found()
    assert (finding.count, finding.examples) == (20, tuple(f"s{i}.jpg" for i in range(EXAMPLES)))
    assert [one.severity for one in findings.found({"missing-picture": 20})] == ["note"]
    assert [one.severity for one in findings.found({"missing-picture": 19})] == ["error"]
    parts = findings.found({"missing-picture": frozenset({"s3.jpg", "s99.jpg"})})
    assert [(one.severity, one.count) for one in parts] == [("error", 19), ("note", 1)]


def test_the_published_numbers_add_up() -> None:
    sysu, prw = published.COUNTS["cuhk-sysu"], published.COUNTS["prw"]
    assert sysu["train_pictures"] + sysu["test_pictures"] == 18_184
    assert sysu["train_identities"] + sysu["queries"] == 8_432
    assert sysu["train_boxes"] - sysu["train_labelled"] == 40_187
    assert prw["train_boxes"] - prw["train_labelled"] == 3_141
    assert prw["test_boxes"] - prw["test_labelled"] == 5_935
    assert published.looks_published("prw", prw)
    assert not published.looks_published("prw", {**prw, "test_pictures": 300})
    assert not published.looks_published("coco", prw)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_galleries_against_a_slow_check(seed: int) -> None:
    """What is odd in random galleries, counted by a loop over lists."""
    rng = np.random.default_rng(seed)
    scenes = tuple(
        Scene(f"{i}", boxes=[[0, 0, 9, 9 + p] for p in range(3)], people=rng.permutation(3)) for i in range(4)
    )
    rows = []
    for _ in range(int(rng.integers(1, 4))):
        entries = [(int(rng.integers(4)), int(rng.integers(2))) for _ in range(int(rng.integers(0, 6)))]
        rows.append((int(rng.integers(4)), entries))
    findings = Findings()
    check_galleries(searches(rows, scenes), scenes, 3, findings, fixed=True)
    expected: Counter[str] = Counter()
    for row, entries in rows:
        listed: list[int] = []
        for scene, count in entries:
            expected["own-picture"] += scene == row
            expected["repeated-entry"] += scene in listed
            expected["positive-left-out"] += count == 0  # everybody is in every picture
            listed.append(scene)
        counts = [count for _, count in entries]
        expected["no-positive"] += sum(counts) == 0
        expected["gallery-length"] += len(entries) != 3
        expected["positives-not-first"] += counts != sorted(counts, reverse=True)
    assert {f.rule: f.count for f in findings.found()} == {rule: n for rule, n in expected.items() if n}


def test_a_written_copy_is_right_and_a_wrong_pool_is_found(tmp_path: Path, right: Memory) -> None:
    folder = tmp_path / "Image" / "SSM"
    folder.mkdir(parents=True)
    for scene in (*right.train, *right.test):
        scene.path.rename(folder / scene.name)
    write_annotations(tmp_path, train=right.train, test=right.test, galleries=right.galleries)
    data = CuhkSysu(tmp_path)
    report = check_dataset(data)
    assert set(rules(report)) == {"not-official"}
    assert report.right
    # A training picture that shows somebody with a name, put into the pool.
    write_annotations(
        tmp_path / "wrong",
        train=right.train[:1],
        test=(*right.test, right.train[1]),
        galleries={2: replace(right.galleries[2], scenes=(*right.galleries[2].scenes, "s2.jpg"))},
    )
    wrong = tmp_path / "wrong" / "annotation"
    (wrong / "test/train_test/Train.mat").write_bytes(
        (tmp_path / "annotation/test/train_test/Train.mat").read_bytes()
    )
    report = check_dataset(CuhkSysu(tmp_path / "wrong"), looks="none")
    assert not report.right
    assert "s2.jpg" in report.findings[0].examples[0]
