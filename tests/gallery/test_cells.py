"""Looking at a part of everybody: what is found is right, and enough of it is found, conditions included."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from personsearch.errors import InputError
from personsearch.gallery import cells as module
from personsearch.gallery.cells import FILE, make_cells, nearest, read_cells
from personsearch.gallery.filters import Filter
from personsearch.gallery.gallery import Gallery
from personsearch.gallery.searching import Asked
from personsearch.types import Detections, Query

MODEL = "a" * 64
SOMEBODY = Query("query.jpg", [1, 2, 3, 4])
DIM = 16


def clustered(n: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    centres = 3 * np.random.default_rng(0).standard_normal((60, DIM))
    return (centres[rng.integers(0, 60, n)] + rng.standard_normal((n, DIM))).astype(np.float32)


@pytest.fixture(params=["cosine", pytest.param("euclidean", marks=pytest.mark.long)])
def large(request, new_gallery: Callable, state: Callable) -> Gallery:
    """4,000 people in 40 pictures, of two cameras."""
    gallery = new_gallery(dim=DIM, similarity=request.param)
    vectors = clustered(4000, 1)
    for number in range(40):
        boxes = [[20 * i, 0, 20 * i + 10, 30] for i in range(100)]
        seen = Detections(boxes, np.full(100, 0.9), vectors[100 * number : 100 * number + 100])
        gallery.add_picture(state(gallery, f"{number}.jpg"), seen, camera="a" if number % 2 else "b")
    return gallery


def found(gallery: Gallery, queries: np.ndarray, exact: bool, where: Filter) -> list[dict[int, float]]:
    asked = Asked(k=100, per="person", where=where, exact=exact)
    results = gallery.search_many(queries, [SOMEBODY] * len(queries), asked, fingerprint=MODEL)
    return [{hit.detection: hit.similarity for hit in result.hits} for result in results]


def test_recall_with_and_without_conditions(large: Gallery, state: Callable) -> None:
    cells = large.maintain(cells=True)
    assert cells is not None
    assert cells.recall >= module.RECALL
    assert cells.probes < len(cells.centres)  # it does look at a part only
    queries = clustered(30, 2)
    for where, bar in (
        (Filter(), 0.99),
        (Filter(cameras=("a",)), 0.99),
        (Filter(paths=("1.jpg", "2.jpg")), 1.0),  # few: all of them are ranked
        (Filter(cameras=("c",)), 1.0),
    ):
        shares = []
        for some, everybody in zip(
            found(large, queries, False, where), found(large, queries, True, where), strict=True
        ):
            assert len(some) == len(everybody)
            both = some.keys() & everybody.keys()
            shares.append(len(both) / len(everybody) if everybody else 1.0)
            assert all(some[number] == pytest.approx(everybody[number], rel=1e-6) for number in both)
        assert np.mean(shares) >= bar, where
    large.add_picture(state(large, "new.jpg"), Detections([[0, 0, 1, 1]], [0.9], [queries[0]]))
    best = max(found(large, queries[:1], False, Filter())[0].items(), key=lambda item: item[1])
    assert best[0] == 4001  # who came later is in a cell as well
    with Gallery.open(large.path) as reader:
        assert max(found(reader, queries[:1], False, Filter())[0].items(), key=lambda i: i[1])[0] == 4001


def test_the_own_picture_and_one_a_picture(large: Gallery, pictures: Path) -> None:
    large.maintain(cells=True)
    query = large._newest().people.vectors[:1]
    asked = Asked(k=3, exact=False)
    hits = large.search_many(query, [SOMEBODY], asked, fingerprint=MODEL)[0].hits
    assert hits[0].detection == 1
    assert len({hit.picture for hit in hits}) == 3
    others = large.search_many(
        query, [SOMEBODY], asked, fingerprint=MODEL, exclude_pictures=[pictures / "0.jpg"]
    )[0].hits
    assert [hit.detection for hit in others[:2]] == [hit.detection for hit in hits[1:]]


def test_cells_are_made_when_asked_for_and_go_with_the_forgotten(large: Gallery, state: Callable) -> None:
    assert large.maintain() is None
    first = large.maintain(cells=True)
    assert first is not None
    kept = read_cells(large.path, MODEL)
    assert kept is not None
    assert kept.probes == first.probes
    np.testing.assert_array_equal(kept.cell, first.cell)
    again = large.maintain()
    assert again is not None
    assert len(again.detection) == 4000
    assert read_cells(large.path, "other model") is None
    large.forget([1])
    assert not (large.path / FILE).exists()
    assert len(found(large, clustered(1, 3), False, Filter())[0]) == 100  # exact then
    assert large.maintain() is None
    large.maintain(cells=True)
    (large.path / FILE).write_bytes(b"nothing")
    with pytest.raises(InputError, match=r"cells\.npz is damaged"):
        read_cells(large.path, MODEL)
    assert large.maintain() is not None
    assert large.maintain(cells=False) is None
    assert not (large.path / FILE).exists()


def test_the_nearest_centre_by_hand() -> None:
    centres = np.array([[1, 0], [0, 1], [-3, 0]], np.float32)
    vectors = np.array([[5, 1], [-1, 2], [-2.2, 0.1]], np.float32)
    assert nearest(vectors, centres, "euclidean").tolist() == [0, 1, 2]
    assert nearest(vectors, centres, "product").tolist() == [0, 2, 2]


def test_too_few(new_gallery: Callable, state: Callable, seen: Callable) -> None:
    with new_gallery() as gallery:
        gallery.add_picture(state(gallery, "a.jpg"), seen([1, 0, 0]))
        with pytest.raises(InputError, match="too few"):
            gallery.maintain(cells=True)
        with pytest.raises(InputError, match="too few"):
            make_cells(gallery._newest().people, "cosine", MODEL)
