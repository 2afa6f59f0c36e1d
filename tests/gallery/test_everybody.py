"""How alike everybody is, against a slow loop and the search itself; and who came since."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from personsearch.errors import ModelMismatch
from personsearch.gallery.everybody import newcomers, ranges_of, similarities_to_everybody, within
from personsearch.gallery.filters import Filter
from personsearch.gallery.gallery import Gallery
from personsearch.gallery.ledger import FileState
from personsearch.gallery.searching import Asked
from personsearch.types import Detections, Query

RNG = np.random.default_rng(5)


def filled(path: Path, pictures: int, first: int = 0) -> dict[int, np.ndarray]:
    """Pictures of two people each into the gallery; their vectors by picture."""
    vectors = {}
    (path.parent / "photos").mkdir(exist_ok=True)
    opened = Gallery.open(path, writable=True) if path.exists() else Gallery.create(path, "m", 4, "cosine")
    with opened as gallery:
        gallery.add_source(path.parent / "photos")
        for number in range(first, first + pictures):
            file = path.parent / "photos" / f"{number}.jpg"
            file.write_bytes(b"x")
            place = gallery.place(file)
            assert place is not None
            state = FileState(place=place, size=1, mtime_ns=10**9 * number, sha256=f"{number:064d}")
            look = RNG.normal(size=(2, 4)).astype(np.float32)
            seen = Detections([[0, 0, 10, 20], [30, 0, 40, 50]], [0.9, 0.4], look)
            picture = gallery.add_picture(state, seen, camera="north" if number % 2 else None)
            vectors[picture] = look
    return vectors


@pytest.fixture
def gallery(tmp_path: Path) -> Path:
    return tmp_path / "gallery"


def test_everybody_who_is_searched_is_compared(gallery: Path) -> None:
    vectors = filled(gallery, 6)
    query = RNG.normal(size=4).astype(np.float32)

    def slow(rows: list[np.ndarray]) -> list[float]:
        return sorted(float(v @ query / np.linalg.norm(v) / np.linalg.norm(query)) for v in rows)

    with Gallery.open(gallery) as opened:
        everybody = similarities_to_everybody(opened, query, Asked(min_score=0), fingerprint="m")
        assert sorted(everybody.tolist()) == pytest.approx(slow([v for two in vectors.values() for v in two]))
        sure = similarities_to_everybody(opened, query, Asked(min_score=0.5), fingerprint="m")
        assert sorted(sure.tolist()) == pytest.approx(slow([two[0] for two in vectors.values()]))
        asked = Asked(k=99, per="person", min_score=0, where=Filter(cameras=("north",), paths=("[123].jpg",)))
        own = gallery.parent / "photos" / "3.jpg"
        found = similarities_to_everybody(opened, query, asked, fingerprint="m", exclude_pictures=[own])
        result = opened.search_many(
            query[None], [Query("q", [0, 0, 1, 1])], asked, fingerprint="m", exclude_pictures=[own]
        )[0]
        assert sorted(found.tolist(), reverse=True) == pytest.approx([h.similarity for h in result.hits])
        assert len(found) == 2
        number = result.hits[0].detection
        rest = similarities_to_everybody(
            opened, query, asked, fingerprint="m", exclude_pictures=[own], exclude_detections=[number]
        )
        left = [hit.similarity for hit in result.hits if hit.picture != result.hits[0].picture]
        assert sorted(rest.tolist(), reverse=True) == pytest.approx(left)
        with pytest.raises(ModelMismatch):
            similarities_to_everybody(opened, query, asked, fingerprint="other")


def test_who_came_since(gallery: Path) -> None:
    filled(gallery, 3)
    with Gallery.open(gallery) as opened:
        everybody = newcomers(opened, [], min_score=0)
        assert [(Path(c.picture).name, len(c.detections)) for c in everybody.crowds] == [
            ("0.jpg", 2),
            ("1.jpg", 2),
            ("2.jpg", 2),
        ]
        assert [crowd.camera for crowd in everybody.crowds] == [None, "north", None]
        assert [crowd.clock for crowd in everybody.crowds] == [0, 1, 2]  # of the files' last change
        known = everybody.pictures
        assert newcomers(opened, known).crowds == ()
        new = filled(gallery, 2, first=3)
        came = newcomers(opened, known)
        assert [Path(c.picture).name for c in came.crowds] == ["3.jpg", "4.jpg"]
        assert [c.scores.tolist() for c in came.crowds] == [[pytest.approx(0.9)]] * 2  # the unsure are nobody
        assert np.array_equal(came.crowds[0].embeddings[0], new[came.crowds[0].number][0])
        assert came.people == 2
        # a picture that was left out before is new, though its number is old
        assert [Path(c.picture).name for c in newcomers(opened, [(2, 99)]).crowds] == ["0.jpg"]


@given(st.sets(st.integers(0, 60)))
def test_ranges_hold_the_same_numbers(numbers: set[int]) -> None:
    ranges = ranges_of(numbers)
    assert {n for first, last in ranges for n in range(first, last + 1)} == numbers
    assert within(np.arange(70), ranges).tolist() == [n in numbers for n in range(70)]
    assert all(one[1] + 1 < other[0] for one, other in itertools.pairwise(ranges))
