"""Conditions are met before anybody is ranked: against a slow search that looks at one person at a time."""

import fnmatch
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from personsearch.errors import UsageError
from personsearch.gallery.filters import Filter
from personsearch.gallery.gallery import Gallery
from personsearch.gallery.ledger import Place
from personsearch.gallery.searching import Asked
from personsearch.types import Detections, Query

MODEL = "a" * 64
SOMEBODY = Query("query.jpg", [1, 2, 3, 4])


@pytest.fixture
def town(new_gallery: Callable, state: Callable) -> Gallery:
    """Cameras north and south, hours 0 to 3, heights 10 to 40; the wrong people are the more alike."""
    gallery = new_gallery(dim=2)
    for camera in ("north", "south", None):
        for hour in (0, 1, 2, None):
            boxes = [[0, 0, 5, height] for height in (10, 20, 40)]
            far = {"north": 9.0, "south": 5.0, None: 0.0}[camera] + (hour or 0)
            seen = Detections(boxes, [0.9, 0.6, 0.3], [[far, 0], [far, 1], [far, 2]])
            name = f"{camera}/{hour}.{'png' if hour == 1 else 'jpg'}"
            gallery.add_picture(
                state(gallery, name), seen, camera=camera, time=None if hour is None else 3600.0 * hour
            )
    gallery.flush()
    return gallery


def find(gallery: Gallery, **conditions: object) -> list[str]:
    found = gallery.search(
        np.zeros(2), 2, fingerprint=MODEL, query=SOMEBODY, min_score=0.0, where=Filter(**conditions)
    )
    return ["/".join(Path(hit.picture).parts[-2:]) for hit in found.hits]


def test_worked_by_hand(town: Gallery, pictures: Path) -> None:
    assert find(town) == ["None/0.jpg", "None/None.jpg"]
    assert find(town, cameras=("north",)) == ["north/0.jpg", "north/None.jpg"]  # all the others are nearer
    assert find(town, cameras=("north", "south")) == ["south/0.jpg", "south/None.jpg"]
    assert find(town, cameras=("east",)) == []
    assert find(town, since=3600.0) == ["None/1.png", "None/2.jpg"]
    assert find(town, since=3600.0, until=7200.0) == ["None/1.png", "south/1.png"]  # until is not in it
    assert find(town, since=0.0, until=0.0) == []
    assert find(town, paths=("*.png",)) == ["None/1.png", "south/1.png"]
    assert find(town, paths=("north/*",)) == ["north/0.jpg", "north/None.jpg"]
    assert find(town, paths=(str(pictures / "south" / "*"),)) == ["south/0.jpg", "south/None.jpg"]
    assert find(town, paths=("0.jpg", "2.jpg"), cameras=("north",)) == ["north/0.jpg", "north/2.jpg"]
    assert find(town, paths=("nort",)) == []
    tall = town.search(
        np.zeros(2), 1, fingerprint=MODEL, query=SOMEBODY, min_score=0.0, where=Filter(min_height=40)
    )
    assert tall.hits[0].box.tolist() == [0, 0, 5, 40]
    assert find(town, min_height=41) == []
    low = town.search(np.zeros(2), 9, fingerprint=MODEL, query=SOMEBODY, where=Filter(max_height=10))
    assert {hit.box[3] for hit in low.hits} == {10.0}


@dataclass
class Person:
    row: int
    vector: np.ndarray
    camera: str | None
    time: float | None
    height: float
    score: float
    path: str


def test_what_is_found_is_what_looking_at_everybody_finds(new_gallery: Callable, state: Callable) -> None:
    rng = np.random.default_rng(11)
    people: list[Person] = []
    with new_gallery(dim=4, similarity="cosine") as gallery:
        for number in range(40):
            n = int(rng.integers(0, 6))
            camera = [None, "a", "b", "c"][rng.integers(4)]
            time = None if rng.random() < 0.2 else float(rng.integers(0, 50))
            heights = rng.integers(5, 50, n)
            seen = Detections(
                [[0, 0, 5, h] for h in heights], rng.uniform(0, 1, n), rng.standard_normal((n, 4))
            )
            name = f"{'xy'[number % 2]}/{number}.jpg"
            gallery.add_picture(state(gallery, name), seen, camera=camera, time=time)
            for i in range(n):
                one = Person(
                    len(people) + 1,
                    seen.embeddings[i],
                    camera,
                    time,
                    heights[i],
                    seen.scores[i],
                    name,
                )
                people.append(one)
        for _ in range(60):
            where = Filter(
                cameras=tuple(rng.permutation(["a", "b", "d"])[: rng.integers(0, 3)].tolist()),
                since=None if rng.random() < 0.5 else float(rng.integers(0, 30)),
                until=None if rng.random() < 0.5 else float(rng.integers(30, 60)),
                paths=() if rng.random() < 0.5 else ("x/*",),
                min_height=None if rng.random() < 0.5 else float(rng.integers(0, 30)),
                max_height=None if rng.random() < 0.7 else float(rng.integers(30, 60)),
            )
            bar, k = float(np.float32(rng.uniform(0, 0.8))), int(rng.integers(1, 30))
            queries = rng.standard_normal((3, 4)).astype(np.float32)

            def meets(one: Person, where: Filter = where, bar: float = bar) -> bool:
                return (
                    one.score >= bar
                    and (not where.cameras or one.camera in where.cameras)
                    and (where.since is None or (one.time is not None and one.time >= where.since))
                    and (where.until is None or (one.time is not None and one.time < where.until))
                    and (not where.paths or fnmatch.fnmatchcase(one.path, where.paths[0]))
                    and (where.min_height is None or one.height >= where.min_height)
                    and (where.max_height is None or one.height <= where.max_height)
                )

            asked = Asked(k=k, per="person", min_score=bar, where=where)
            results = gallery.search_many(queries, [SOMEBODY] * 3, asked, fingerprint=MODEL)
            for query, result in zip(queries, results, strict=True):

                def alike(one: Person, query: np.ndarray = query) -> float:
                    return float(one.vector @ query / np.linalg.norm(one.vector) / np.linalg.norm(query))

                expected = sorted(filter(meets, people), key=lambda one: -alike(one))[:k]
                assert [hit.detection for hit in result.hits] == [one.row for one in expected]
                np.testing.assert_allclose(
                    [hit.similarity for hit in result.hits], [alike(one) for one in expected], atol=1e-6
                )


def test_the_own_picture_of_each_of_many_queries_is_left_out(town: Gallery, pictures: Path) -> None:
    asked = Asked(k=2, min_score=0.0, where=Filter(cameras=("north",)))
    files = [None, pictures / "north/0.jpg", pictures / "north/1.png", "/nowhere.jpg"]
    results = town.search_many(
        np.zeros((4, 2)), [SOMEBODY] * 4, asked, fingerprint=MODEL, exclude_pictures=files
    )
    found = [[Path(hit.picture).name for hit in result.hits] for result in results]
    both = ["0.jpg", "None.jpg"]
    assert found == [both, ["None.jpg", "1.png"], both, both]
    with pytest.raises(ValueError, match="2 embeddings, 1 queries"):
        town.search_many(np.zeros((2, 2)), [SOMEBODY], asked, fingerprint=MODEL)


def test_a_hit_is_named_by_the_copy_that_meets_the_glob(
    new_gallery: Callable, state: Callable, seen: Callable
) -> None:
    with new_gallery() as gallery:
        number = gallery.add_picture(state(gallery, "a/1.jpg", "same"), seen([0, 0, 0]))
        gallery.add_place(state(gallery, "b/1.jpg", "same"), number)
        gallery.add_place(state(gallery, "c/1.jpg", "same"), number)
        gallery.mark_missing(state(gallery, "c/1.jpg").place)

        def found(glob: str) -> list[str]:
            where = Filter(paths=(glob,))
            hits = gallery.search(np.zeros(3), fingerprint=MODEL, query=SOMEBODY, where=where).hits
            return ["/".join(Path(hit.picture).parts[-2:]) for hit in hits]

        assert [found(glob) for glob in ("*/1.jpg", "b/*", "c/*")] == [["a/1.jpg"], ["b/1.jpg"], []]


def test_conditions_nobody_can_meet_are_refused() -> None:
    with pytest.raises(UsageError, match="since is after until"):
        Filter(since=2.0, until=1.0)
    with pytest.raises(UsageError, match="min height is after max height"):
        Filter(min_height=2.0, max_height=1.0)
    with pytest.raises(UsageError, match="finite"):
        Filter(min_height=float("nan"))
    assert Filter(since=1.0, until=1.0).to_json() == {"since": 1.0, "until": 1.0}
    assert Filter(cameras=("a",), paths=("*",)).to_json() == {"cameras": ["a"], "paths": ["*"]}


def test_globs_are_held_against_name_path_or_whole_path() -> None:
    named = Filter(paths=("*.jpg",)).names()
    assert named is not None
    assert named(Place(0, "deep/er/x.jpg"), "/p/deep/er/x.jpg")
    assert not named(Place(0, "x.jpg/y.png"), "/p/x.jpg/y.png")
    below = Filter(paths=("deep/*",)).names()
    assert below is not None
    assert below(Place(0, "deep/er/x.jpg"), "/p/deep/er/x.jpg")
    assert not below(Place(0, "a/deep/x.jpg"), "/p/a/deep/x.jpg")
    whole = Filter(paths=("/p/*",)).names()
    assert whole is not None
    assert whole(Place(0, "x.jpg"), "/p/x.jpg")
    assert not whole(Place(0, "x.jpg"), "/q/x.jpg")
    assert Filter().names() is None


def test_globs_are_remembered_but_not_for_ever(town: Gallery, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("personsearch.gallery.searching.NAMED", 3)
    for number in range(10):
        town.search(
            np.zeros(town.dim),
            fingerprint=town.fingerprint,
            query=SOMEBODY,
            where=Filter(paths=(f"{number}*",)),
        )
        assert 1 <= len(town._newest().named) <= 3
