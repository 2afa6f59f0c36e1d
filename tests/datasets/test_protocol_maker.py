"""Protocols for any pictures: no leaks, full galleries, subsets by their definition, one seed one result."""

from __future__ import annotations

import json
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from personsearch.datasets.coco import CocoPersons
from personsearch.datasets.cuhk_sysu import CuhkSysu
from personsearch.datasets.protocol_maker import (
    Protocols,
    ProtocolSettings,
    choose_queries,
    cut,
    make_protocols,
    smallest,
)
from personsearch.datasets.protocol_split import split_scenes
from personsearch.datasets.protocol_writer import write_protocols
from personsearch.errors import DatasetError, UsageError
from personsearch.types import UNLABELLED, Scene, Trials


def world(rng: np.random.Generator, pictures: int, people: int, known: float = 0.8) -> list[Scene]:
    """People in a few pictures each, some twice in one, some ignored, some of nobody."""
    who: list[list[int]] = [[UNLABELLED] * int(rng.integers(0, 3)) for _ in range(pictures)]
    for person in range(people):
        for k in rng.choice(pictures, min(int(rng.integers(1, 5)), pictures), replace=False).tolist():
            who[k] += [person] * (1 + int(rng.random() < 0.1))
    scenes = []
    for k, row in enumerate(who):
        rng.shuffle(row)
        corner = rng.random((len(row), 2)) * 300
        boxes = np.concatenate([corner, corner + 2 + rng.random((len(row), 2)) * 90], axis=1)
        visible = np.where(rng.random(len(row)) < known, rng.random(len(row)), np.nan)
        ignore = rng.random(len(row)) < 0.1
        scenes.append(Scene(f"s{k}.jpg", boxes=boxes, people=row, visible=visible, ignore=ignore))
    return scenes


def people_of(scenes: tuple[Scene, ...]) -> set[int]:
    return {p for scene in scenes for p in scene.people.tolist()} - {UNLABELLED}


def check_searches(trials: Trials, test: tuple[Scene, ...], size: int | None) -> None:
    """Against the definition, entry by entry."""
    by_name = {scene.name: scene for scene in test}
    for i in range(len(trials)):
        person, own = int(trials.query_person[i]), trials.scenes[trials.query_scene[i]]
        rows = range(trials.entry_ptr[i], trials.entry_ptr[i + 1])
        names = [trials.scenes[trials.entry_scene[e]] for e in rows]
        assert own not in names
        assert len(set(names)) == len(names) == (len(test) - 1 if size is None else size)
        right = 0
        for e, name in zip(rows, names, strict=True):
            scene = by_name[name]
            mine = (scene.people == person) & ~scene.ignore
            truth = trials.truth_box[trials.truth_ptr[e] : trials.truth_ptr[e + 1]]
            np.testing.assert_array_equal(truth, scene.boxes[mine])
            right += len(truth) > 0
            if size is not None and not len(truth):
                assert person not in scene.people, "no distractor shows the person, not even ignored"
        assert right >= 1
        scene = by_name[own]
        assert trials.query_box[i].tolist() in scene.boxes[(scene.people == person) & ~scene.ignore].tolist()


@given(st.integers(0, 10**6), st.integers(2, 40), st.integers(2, 25), st.sampled_from([0.2, 0.5, 0.8, 1.0]))
@example(2410, 3, 7, 1.0)  # galleries of one picture
@settings(max_examples=40, deadline=None)
def test_halves_share_nobody_and_nothing_and_searches_hold(
    seed: int, pictures: int, people: int, share: float
) -> None:
    rng = np.random.default_rng(seed)
    scenes = world(rng, pictures, people)
    chosen = ProtocolSettings(
        seed=seed, test_share=share, gallery_sizes=(2, 4, 8, 1000), queries_per_person=1 + seed % 3
    )
    try:
        made = make_protocols(scenes, chosen)
    except DatasetError as error:
        assert_nobody_twice(error)
        return
    names = [scene.name for scene in (*made.train, *made.test)]
    assert sorted([*names, *made.left_out]) == sorted(scene.name for scene in scenes)
    before = {scene.name: scene for scene in scenes}
    both = [
        {p for name in part for p in before[name].people.tolist()} - {UNLABELLED}
        for part in ([s.name for s in made.train], [s.name for s in made.test])
    ]
    assert not both[0] & both[1]
    assert share < 1 or not (made.train or made.left_out)
    for scene in made.train:
        old = before[scene.name].people
        np.testing.assert_array_equal(np.append(made.train_people, UNLABELLED)[scene.people], old)
    assert people_of(made.train) == set(range(len(made.train_people)))
    assert people_of(made.test) == set(range(len(made.test_people)))
    first = {}
    for i, query in enumerate(made.queries):
        first.setdefault(query.person, i)
    assert all(person == i for person, i in first.items()), "a number is the index of the first query"
    check_searches(made.full, made.test, None)
    for size, trials in made.galleries.items():
        assert len(trials) == len(made.queries)
        check_searches(trials, made.test, size)
    check_subsets(made)


def assert_nobody_twice(error: DatasetError) -> None:
    assert "nobody in the test half is in two pictures" in str(error) or "cannot be split" in str(error)


def check_subsets(made: Protocols) -> None:
    by_name = {scene.name: scene for scene in made.test}
    shares, heights = [], []
    for query in made.queries:
        scene = by_name[query.scene]
        row = next(k for k in range(len(scene)) if scene.boxes[k].tolist() == query.box.tolist())
        shares.append(float(scene.visible[row]))
        heights.append(float(query.box[3] - query.box[1]))
    hidden = [i for i, share in enumerate(shares) if share < 0.6]
    small = sorted(sorted(range(len(heights)), key=lambda i: heights[i])[: round(0.1 * len(heights))])
    for trials, rows in ((made.occlusion, hidden), (made.low_resolution, small)):
        assert (trials is None) == (not rows)
        if trials is not None:
            assert trials.query_box.tolist() == [made.queries[i].box.tolist() for i in rows]
    if made.occlusion is None:
        assert any("no occlusion subset" in note for note in made.notes)


def test_the_same_seed_gives_the_same_and_another_another() -> None:
    scenes = world(np.random.default_rng(3), 60, 30)
    one, two, other = (make_protocols(scenes, ProtocolSettings(seed=seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one.full.query_box, two.full.query_box)
    assert [s.name for s in one.test] == [s.name for s in two.test] != [s.name for s in other.test]
    for size in one.galleries:
        np.testing.assert_array_equal(one.galleries[size].entry_scene, two.galleries[size].entry_scene)


def test_sizes_that_the_data_cannot_hold_are_named_and_small_ones_lie_in_large_ones() -> None:
    scenes = world(np.random.default_rng(5), 400, 60)
    made = make_protocols(scenes, ProtocolSettings(test_share=0.5))
    assert list(made.galleries) == [50, 100]
    assert [note.split(":")[0] for note in made.notes[-4:]] == [
        f"no gallery of {n}" for n in (500, 1000, 2000, 4000)
    ]
    small, large = made.galleries[50], made.galleries[100]
    for i in range(len(small)):
        inner = set(small.entry_scene[small.entry_ptr[i] : small.entry_ptr[i + 1]].tolist())
        assert inner < set(large.entry_scene[large.entry_ptr[i] : large.entry_ptr[i + 1]].tolist())
    few = make_protocols(film(12), ProtocolSettings(test_share=1.0))
    assert len(few.galleries) == 1
    assert max(few.galleries) < 12


def test_more_people_do_not_change_the_draws_of_the_others() -> None:
    scenes = world(np.random.default_rng(5), 60, 20)
    fewer = [replace(s, people=np.where(s.people > 12, UNLABELLED, s.people)) for s in scenes]
    mine = {q.person: (q.scene, q.box.tolist()) for q in choose_queries(scenes, 4)}
    assert {q.person: (q.scene, q.box.tolist()) for q in choose_queries(fewer, 4)} == {
        person: query for person, query in mine.items() if person <= 12
    }


def film(length: int) -> list[Scene]:
    """Everybody meets somebody: person p is in frames p .. p + 4."""
    scenes = []
    for frame in range(length):
        people = [p for p in range(length - 4) if p <= frame <= p + 4]
        boxes = [[10 * p, 0, 10 * p + 8, 20] for p in people]
        scenes.append(Scene(f"{frame:03d}.jpg", boxes=np.array(boxes).reshape(-1, 4), people=people))
    return scenes


def test_a_film_is_parted_where_few_pictures_are_lost() -> None:
    made = make_protocols(film(60), ProtocolSettings(seed=1, test_share=0.5))
    assert 4 <= len(made.left_out) <= 12, "one or two cuts of about four frames"
    assert abs(len(people_of(made.test)) - 28) <= 6
    assert made.notes[0] == f"{len(made.left_out)} pictures show people of both halves and are left out"


def test_a_crowd_that_always_stays_together_cannot_be_split() -> None:
    crowd = [Scene(f"{k}.jpg", boxes=[[0, 0, 5, 9], [9, 0, 15, 9]], people=[0, 1]) for k in range(4)]
    with pytest.raises(DatasetError, match="cannot be split: 4 of 4 show people of both halves") as caught:
        make_protocols(crowd)
    assert "--test-share 1" in caught.value.hint
    assert len(make_protocols(crowd, ProtocolSettings(test_share=1)).queries) == 2


def test_people_who_meet_stay_together_where_that_is_possible() -> None:
    scenes = [
        Scene(f"{g}{k}.jpg", boxes=[[0, 0, 5, 9], [9, 0, 15, 9]], people=[2 * g, 2 * g + 1])
        for g in range(10)
        for k in range(3)
    ]
    empty = [Scene(f"e{k}.jpg") for k in range(10)]
    halves = split_scenes([*scenes, *empty], 0.3, np.random.default_rng(0))
    assert len(halves.left_out) == 0
    assert sorted(halves.test.tolist() + halves.train.tolist()) == list(range(40))
    assert (halves.test < 30).sum() == 9
    assert (halves.test >= 30).sum() == 3
    for share in (0.35, 0.37):  # no number of whole pairs, and still nobody is parted
        assert len(split_scenes(scenes, share, np.random.default_rng(0)).left_out) == 0


def test_at_most_half_of_a_gallery_is_right_where_there_are_others() -> None:
    scenes = [Scene(f"{k}.jpg", boxes=[[0, 0, 5, 9]], people=[0 if k < 30 else 1]) for k in range(40)]
    made = make_protocols(scenes, ProtocolSettings(test_share=1, gallery_sizes=(10, 20, 39)))
    right = {s: [int(n) for n in _right(t)] for s, t in made.galleries.items()}
    assert right == {10: [5, 5], 20: [10, 9], 39: [29, 9]}
    assert cut([(np.arange(9), np.arange(2))], 10, 0.5)[0][0].tolist() == list(range(8))


def _right(trials: Trials) -> list[int]:
    shown = np.diff(trials.truth_ptr) > 0
    return [shown[a:b].sum() for a, b in zip(trials.entry_ptr[:-1], trials.entry_ptr[1:], strict=True)]


def test_a_split_that_is_there_is_kept() -> None:
    scenes = world(np.random.default_rng(8), 40, 20)
    made = make_protocols(
        scenes[:20], train=[replace(s, people=s.people + 100 * (s.people >= 0)) for s in scenes[20:]]
    )
    assert [s.name for s in made.test] == [s.name for s in scenes[:20]]
    assert people_of(made.train) == set(range(len(made.train_people)))
    assert made.train_people.min() >= 100
    with pytest.raises(DatasetError, match=r"two pictures are called s0\.jpg"):
        make_protocols(scenes[:20], train=scenes[:1])


def test_what_makes_no_sense_is_refused() -> None:
    for wrong in ({"seed": -1}, {"test_share": 0.0}, {"gallery_sizes": (0,)}, {"queries_per_person": 0}):
        with pytest.raises(UsageError, match="makes no sense"):
            ProtocolSettings(**wrong)
    with pytest.raises(DatasetError, match="nobody in the test half is in two pictures"):
        make_protocols([Scene("a.jpg")])
    with pytest.raises(DatasetError, match="nobody in the test half"):
        make_protocols([])
    assert smallest(np.array([])).tolist() == []


def test_a_query_is_somebody_whom_one_can_see() -> None:
    box = [[0, 0, 5, 9]]
    scenes = [
        Scene("a", boxes=box, people=[0], visible=[0.1]),
        Scene("b", boxes=box, people=[0], ignore=[True]),
        Scene("c", boxes=box, people=[0], visible=[0.3]),
    ]
    assert choose_queries(scenes) == []
    (query,) = choose_queries([*scenes, Scene("d", boxes=box * 2, people=[0, 0])], per_person=1)
    assert query.scene in ("c", "d")
    assert len(choose_queries([*scenes, Scene("d", boxes=box, people=[0])], per_person=5)) == 2


@pytest.mark.parametrize("seed", range(3))
def test_written_protocols_are_read_back(tmp_path: Path, seed: int) -> None:
    scenes = world(np.random.default_rng(seed), 60, 25)
    made = make_protocols(
        scenes, ProtocolSettings(seed=seed, gallery_sizes=(5, 10, 4000), queries_per_person=2)
    )
    frames = {scene.name: k for k, scene in enumerate(scenes)}
    (tmp_path / "protocols").mkdir()
    (tmp_path / "protocols" / "gallery_7.json").write_text("{}")
    written = write_protocols(tmp_path, made, "coco", frames=frames)
    assert written.places["s1.jpg"] == Path("images/s1.jpg")
    read = CocoPersons(tmp_path)
    assert read.gallery_sizes == (5, 10)
    for one, other in zip(read.scenes("test"), made.test, strict=True):
        np.testing.assert_array_equal(one.people, other.people)
        np.testing.assert_array_equal(one.boxes, other.boxes)
    pairs = [(read.trials(), made.full), *((read.trials(n), made.galleries[n]) for n in (5, 10))]
    for subset, trials in (("occlusion", made.occlusion), ("low-resolution", made.low_resolution)):
        if trials is not None:
            pairs.append((read.subset_trials(subset), trials))
    assert len(pairs) >= 4
    for one, other in pairs:
        for column in (
            "query_box",
            "query_person",
            "entry_ptr",
            "entry_scene",
            "truth_ptr",
            "truth_box",
            "ignore_box",
        ):
            np.testing.assert_array_equal(getattr(one, column), getattr(other, column), column)
    record = json.loads((tmp_path / "protocols" / "made.json").read_text())
    assert record["settings"]["seed"] == seed
    assert record["notes"] == list(made.notes)


def test_written_in_the_layout_of_cuhk_sysu(tmp_path: Path) -> None:
    made = make_protocols(world(np.random.default_rng(2), 60, 25), ProtocolSettings(gallery_sizes=(5, 10)))
    written = write_protocols(tmp_path, made, "cuhk-sysu")
    assert any("between pixels" in loss.what for loss in written.losses)
    read = CuhkSysu(tmp_path)
    assert read.gallery_sizes == (5, 10)
    for size in (5, 10):
        trials = read.trials(size)
        assert len(trials) == len(made.queries)
        assert np.abs(trials.query_box - made.galleries[size].query_box).max() <= 0.5
        np.testing.assert_array_equal(_right(trials), _right(made.galleries[size]))
    assert len(read.scenes("test")) == len(made.test)
    with pytest.raises(UsageError, match="not written in layout"):
        write_protocols(tmp_path, made, "prw")


def test_nothing_is_left_behind_in_a_temporary_folder() -> None:
    with tempfile.TemporaryDirectory() as folder:
        made = make_protocols(film(20), ProtocolSettings(test_share=1, gallery_sizes=(5,)))
        write_protocols(Path(folder), made)
        names = {path.relative_to(folder).as_posix() for path in Path(folder).rglob("*") if path.is_file()}
    protocols = {f"protocols/{name}.json" for name in ("gallery_5", "low-resolution", "made")}
    assert names == {"annotations.json", "protocol.json"} | protocols
