"""Adding people, and finding them as a slow search over lists would."""

import json
import math
import subprocess
import sys
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from personsearch.errors import InputError, ModelMismatch, PersonSearchError
from personsearch.gallery.gallery import Gallery
from personsearch.ranking.calibration import Calibration
from personsearch.types import Detections, Hit, Query, SearchResult

MODEL = "a" * 64
SOMEBODY = Query("query.jpg", [1, 2, 3, 4])


def search(gallery: Gallery, embedding: list[float], k: int = 20, **more: object) -> SearchResult:
    return gallery.search(np.array(embedding), k, fingerprint=MODEL, query=SOMEBODY, **more)


def names(result: SearchResult) -> list[str]:
    return [Path(hit.picture).name for hit in result.hits]


def test_worked_by_hand(new_gallery: Callable, state: Callable, seen: Callable, pictures: Path) -> None:
    with new_gallery() as gallery:
        gallery.add_picture(state(gallery, "a.jpg"), seen([0, 0, 0], [3, 4, 0]), camera="north", time=12.5)
        gallery.add_picture(state(gallery, "b.jpg"), seen([6, 8, 0], [0, 0, 1]))
        gallery.add_picture(state(gallery, "empty.jpg"), Detections.none(3))
        result = search(gallery, [0, 0, 0])
    assert [(h.rank, h.similarity, h.detection) for h in result.hits] == [(1, 0.0, 1), (2, -1.0, 4)]
    first = result.hits[0]
    assert first.picture == str(pictures / "a.jpg")
    assert first.box.tolist() == [0, 0, 10, 20]
    assert (first.camera, first.time, first.probability) == ("north", 12.5, None)
    assert first.score == pytest.approx(0.9)
    assert (result.hits[1].camera, result.hits[1].time) == (None, None)
    assert (result.pictures, result.people, result.model, result.similarity) == (3, 4, MODEL, "euclidean")
    assert result.query is SOMEBODY
    with Gallery.open(result.gallery) as gallery:
        everybody = search(gallery, [0, 0, 0], per="person")
        assert [h.similarity for h in everybody.hits] == [0.0, -1.0, -5.0, -10.0]
        assert [h.detection for h in everybody.hits] == [1, 4, 2, 3]
        assert (gallery.pictures, gallery.people) == (3, 4)
        without = search(gallery, [0, 0, 0], exclude_picture=pictures / "a.jpg")
        assert names(without) == ["b.jpg"]
        assert names(search(gallery, [0, 0, 0], exclude_picture="/nowhere/a.jpg")) == ["a.jpg", "b.jpg"]


def test_hits_are_made_as_their_class_makes_them(new_gallery: Callable, state: Callable) -> None:
    """All fields, none besides, and nothing that the class would have checked or filled in."""
    with new_gallery() as gallery:
        gallery.add_picture(
            state(gallery, "a.jpg"), Detections([[0, 0, 4, 9]], [0.9], np.eye(3)[:1]), camera="n"
        )
        (hit,) = search(gallery, [0, 0, 0]).hits
    assert list(vars(hit)) == [field.name for field in fields(Hit)]
    made = vars(Hit(**vars(hit)))
    assert all(made[name] is value for name, value in vars(hit).items())
    assert not hasattr(Hit, "__post_init__")
    assert not hasattr(Hit, "__slots__")


def test_who_scores_too_little_is_stored_but_no_answer(new_gallery: Callable, state: Callable) -> None:
    vectors = np.eye(3, dtype=np.float32)
    with new_gallery() as gallery:
        boxes = np.array([[0, 0, 10, 20]] * 3, np.float32)
        gallery.add_picture(state(gallery, "a.jpg"), Detections(boxes, [0.9, 0.5, 0.49], vectors))
        assert gallery.people == 3
        found = search(gallery, [0, 0, 1], per="person")
        assert [h.detection for h in found.hits] == [1, 2]  # 0.5 keeps: the bound belongs to it
        everybody = search(gallery, [0, 0, 1], per="person", min_score=0.0)
        assert [h.detection for h in everybody.hits] == [3, 1, 2]


@pytest.mark.parametrize("similarity", ["cosine", "euclidean"])
def test_search_is_what_sorting_everybody_gives(
    similarity: str, new_gallery: Callable, state: Callable
) -> None:
    rng = np.random.default_rng(5)
    stored: list[tuple[np.ndarray, int, int]] = []
    with new_gallery(dim=4, similarity=similarity) as gallery:
        for number in range(60):
            n = int(rng.integers(0, 9))
            # Small whole numbers, so that ties happen.
            embeddings = rng.integers(-2, 3, (n, 4)).astype(np.float32)
            boxes = rng.uniform(0, 100, (n, 4))
            gallery.add_picture(state(gallery, f"{number}.jpg"), Detections(boxes, np.ones(n), embeddings))
            stored += [(row, number, len(stored) + i) for i, row in enumerate(embeddings)]
            if number % 13 == 0:
                gallery.flush()

        def slow(query: np.ndarray, k: int, per: str) -> tuple[list[int], list[float]]:
            def alike(row: np.ndarray) -> float:
                if similarity == "euclidean":
                    return -math.dist(row, query)
                lengths = math.hypot(*row) * math.hypot(*query)
                return float(row @ query) / lengths if lengths else 0.0

            ranked = sorted(stored, key=lambda item: (-round(alike(item[0]), 5), item[2]))
            if per == "picture":
                met: set[int] = set()
                ranked = [item for item in ranked if not (item[1] in met or met.add(item[1]))]
            return [item[2] for item in ranked[:k]], [alike(item[0]) for item in ranked[:k]]

        for _ in range(4):
            query = rng.integers(-2, 3, 4).astype(np.float32)
            for k in (1, 7, 1000):
                for per in ("picture", "person"):
                    hits = search(gallery, query, k, per=per).hits
                    got = [hit.detection - 1 for hit in hits]
                    values = [hit.similarity for hit in hits]
                    assert values == sorted(values, reverse=True)
                    expected, alike = slow(query, k, per)
                    assert values == pytest.approx(alike, abs=1e-5)
                    if similarity == "euclidean":  # cosines that tie by hand may differ in the last bit
                        assert got == expected


def test_ties_are_given_in_the_order_of_storing(
    new_gallery: Callable, state: Callable, seen: Callable
) -> None:
    with new_gallery() as gallery:
        for number in range(30):
            gallery.add_picture(state(gallery, f"{number}.jpg"), seen([1, 1, 1], [1, 1, 1]))
        assert [hit.detection for hit in search(gallery, [1, 1, 1], 10).hits] == list(range(1, 21, 2))


def test_many_people_in_few_pictures(new_gallery: Callable, state: Callable) -> None:
    crowd = Detections(np.zeros((500, 4)), np.ones(500), np.linspace(0, 1, 1500).reshape(500, 3))
    with new_gallery() as gallery:
        gallery.add_picture(state(gallery, "crowd.jpg"), crowd)
        gallery.add_picture(state(gallery, "far.jpg"), crowd.take([499]))
        assert names(search(gallery, [0, 0, 0], 3)) == ["crowd.jpg", "far.jpg"]


def test_a_changed_picture_replaces_what_was_known(
    new_gallery: Callable, state: Callable, seen: Callable
) -> None:
    with new_gallery() as gallery:
        gallery.add_picture(state(gallery, "a.jpg"), seen([1, 0, 0], [2, 0, 0]))
        gallery.add_picture(state(gallery, "b.jpg"), seen([5, 0, 0]))
        gallery.flush()
        gallery.add_picture(state(gallery, "a.jpg", "new content", 2), seen([9, 0, 0]))
        result = search(gallery, [1, 0, 0], per="person")
    assert [hit.similarity for hit in result.hits] == [-4.0, -8.0]
    with Gallery.open(result.gallery) as gallery:
        assert (gallery.pictures, gallery.people) == (2, 2)
        assert len({hit.detection for hit in search(gallery, [0, 0, 0], per="person").hits}) == 2


def test_replaced_twice_in_one_batch(new_gallery: Callable, state: Callable, seen: Callable) -> None:
    with new_gallery() as gallery:
        for number in range(3):
            gallery.add_picture(state(gallery, "a.jpg", f"content {number}"), seen([number, 0, 0]))
        assert [hit.similarity for hit in search(gallery, [0, 0, 0], per="person").hits] == [-2.0]
    with Gallery.open(gallery.path, writable=True) as again:
        assert len(again._people_table) == 1


def test_copies_are_stored_once_and_outlive_the_original(
    new_gallery: Callable, state: Callable, seen: Callable, pictures: Path
) -> None:
    with new_gallery() as gallery:
        number = gallery.add_picture(state(gallery, "a.jpg", "same"), seen([1, 0, 0]))
        assert gallery.picture_of("same") == number
        gallery.add_place(state(gallery, "copy.jpg", "same"), number)
        assert (gallery.pictures, gallery.people) == (1, 1)
        assert names(search(gallery, [1, 0, 0])) == ["a.jpg"]
        assert not search(gallery, [1, 0, 0], exclude_picture=pictures / "copy.jpg").hits
        gallery.mark_missing(state(gallery, "a.jpg").place)
        assert names(search(gallery, [1, 0, 0])) == ["copy.jpg"]
        gallery.mark_missing(state(gallery, "copy.jpg").place)
        assert not search(gallery, [1, 0, 0]).hits
        assert (gallery.pictures, gallery.people, gallery.is_live(number)) == (0, 0, False)
    with Gallery.open(gallery.path, writable=True) as gallery:
        gallery.add_place(state(gallery, "moved.jpg", "same"), gallery.picture_of("same"))
        assert names(search(gallery, [1, 0, 0])) == ["moved.jpg"]


def test_readers_see_what_was_committed_and_nothing_else(
    new_gallery: Callable, state: Callable, seen: Callable, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    with new_gallery() as writer, Gallery.open(writer.path) as reader:
        assert not search(reader, [0, 0, 0]).hits
        writer.add_picture(state(writer, "a.jpg"), seen([0, 0, 0]))
        assert not search(reader, [0, 0, 0]).hits
        writer.flush()
        assert names(search(reader, [0, 0, 0])) == ["a.jpg"]
        assert reader.people == 1
        writer.add_source(other)  # a source that the reader does not know when it looks again
        place = writer.place(other / "x.jpg")
        known = state(writer, "a.jpg", "x")
        writer.add_picture(type(known)(place=place, size=1, mtime_ns=1, sha256="x"), seen([0, 0, 0]))
        writer.flush()
        assert [hit.picture for hit in search(reader, [0, 0, 0]).hits][1] == str(other / "x.jpg")


def test_another_model_is_refused(new_gallery: Callable, state: Callable, seen: Callable) -> None:
    with new_gallery() as gallery:
        with pytest.raises(
            ModelMismatch, match="described by model aaaaaaaaaaaa, not bbbbbbbbbbbb"
        ) as caught:
            gallery.search(np.zeros(3), fingerprint="b" * 64, query=SOMEBODY)
        assert caught.value.exit_code == 5
        assert caught.value.hint
        for wrong in (np.zeros(4), np.zeros((1, 3)), np.array([0, np.nan, 0])):
            with pytest.raises(ValueError, match="finite numbers"):
                search(gallery, wrong)
        with pytest.raises(ValueError, match="4 numbers"):
            gallery.add_picture(state(gallery, "a.jpg"), seen([1, 2, 3, 4]))
        with pytest.raises(ValueError, match="embeddings of the detections are not finite"):
            gallery.add_picture(state(gallery, "a.jpg"), seen([1, 2, math.inf]))
        with pytest.raises(ValueError, match="at least 1"):
            search(gallery, [0, 0, 0], 0)
        assert gallery.people == 0


def test_probabilities_come_from_the_calibration(
    new_gallery: Callable, state: Callable, seen: Callable
) -> None:
    curve = Calibration(
        method="isotonic", pairs=10, prior=0.5, similarities=(-10.0, 0.0), probabilities=(0.0, 1.0)
    )
    with new_gallery(calibration=curve) as gallery:
        gallery.add_picture(state(gallery, "a.jpg"), seen([0, 0, 0]))
        gallery.add_picture(state(gallery, "b.jpg"), seen([0, 4, 0]))
    with Gallery.open(gallery.path) as gallery:
        assert gallery.calibration == curve
        assert [hit.probability for hit in search(gallery, [0, 0, 0]).hits] == pytest.approx([1.0, 0.6])
    (gallery.path / "calibration.json").write_text("[")
    with pytest.raises(InputError, match=r"calibration\.json is damaged"):
        Gallery.open(gallery.path)


def test_people_of_one_video_are_one_hit_a_frame(
    new_gallery: Callable, state: Callable, seen: Callable
) -> None:
    """The format carries frames already: those of one picture number are told apart."""
    with new_gallery() as gallery:
        gallery.add_picture(state(gallery, "a.mp4"), seen([0, 0, 0], [1, 0, 0]), frame=7, time=0.28)
        gallery.add_picture(state(gallery, "b.mp4"), seen([2, 0, 0]), frame=7, time=0.5)
        assert [hit.time for hit in search(gallery, [0, 0, 0]).hits] == [0.28, 0.5]


def test_gallery_and_pictures_can_be_moved_together(
    new_gallery: Callable, state: Callable, seen: Callable, tmp_path: Path, pictures: Path
) -> None:
    with new_gallery() as gallery:
        gallery.add_picture(state(gallery, "sub/a.jpg"), seen([0, 0, 0]))
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    gallery.path.rename(moved / "gallery")
    with Gallery.open(moved / "gallery") as alone:  # the pictures stayed
        assert [hit.picture for hit in search(alone, [0, 0, 0]).hits] == [str(pictures / "sub/a.jpg")]
    pictures.rename(moved / "pictures")
    with Gallery.open(moved / "gallery", writable=True) as both:
        assert [hit.picture for hit in search(both, [0, 0, 0]).hits] == [str(moved / "pictures/sub/a.jpg")]
        both.add_source(moved / "pictures")
        described = json.loads((moved / "gallery/gallery.json").read_text())
        assert described["sources"] == [{"root": str(moved / "pictures"), "beside": "../pictures"}]


def test_places_belong_to_the_innermost_source(new_gallery: Callable, pictures: Path, tmp_path: Path) -> None:
    with new_gallery() as gallery:
        gallery.add_source(pictures / "inner")  # inside a source: no new one
        assert gallery.place(pictures / "inner" / "a.jpg") == (0, "inner/a.jpg")
        gallery.add_source(tmp_path)
        assert gallery.place(pictures / "a.jpg") == (0, "a.jpg")
        assert gallery.place(tmp_path / "b.jpg") == (1, "b.jpg")
        assert gallery.place(tmp_path / "x" / ".." / "b.jpg") == (1, "b.jpg")
        assert gallery.place("/elsewhere/b.jpg") is None


def test_strange_folder_names(new_gallery: Callable, state: Callable, seen: Callable) -> None:
    for number, name in enumerate(
        ("a b#c%20?d", "ümlaut 'quoted' \"double\"", "s3:", "back\\slash", "-dash")
    ):
        with new_gallery(name=name) as gallery:
            gallery.add_picture(state(gallery, f"{name}.jpg"), seen([number, 0, 0]))
            assert {"people.lance", "ledger.lance"} <= {item.name for item in gallery.path.iterdir()}
        with Gallery.open(gallery.path) as gallery:
            assert names(search(gallery, [number, 0, 0])) == [f"{name}.jpg"]


def test_making_one_where_something_is(tmp_path: Path, new_gallery: Callable) -> None:
    new_gallery().close()
    with pytest.raises(InputError, match="is a gallery already"):
        new_gallery()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.doc").write_text("precious")
    with pytest.raises(InputError, match="neither empty nor a gallery"):
        new_gallery(name="full")
    assert (tmp_path / "full" / "thesis.doc").read_text() == "precious"
    assert [item.name for item in (tmp_path / "full").iterdir()] == ["thesis.doc"]
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="is a file"):
        new_gallery(name="file")
    with pytest.raises(ValueError, match="not a model"):
        new_gallery(name="other", dim=0)


def test_a_making_that_was_killed_is_made_again(
    tmp_path: Path, new_gallery: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    from personsearch.gallery.description import Description

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Description, "write", killed)
        with pytest.raises(KeyboardInterrupt):
            new_gallery()
    with pytest.raises(InputError, match="is not a gallery"):
        Gallery.open(tmp_path / "gallery")
    with new_gallery() as gallery:
        assert gallery.people == 0


def test_what_is_no_gallery(tmp_path: Path, new_gallery: Callable) -> None:
    for path in (tmp_path / "nowhere", tmp_path):
        with pytest.raises(InputError, match=r"is not a gallery: it has no gallery\.json") as caught:
            Gallery.open(path)
        assert "personsearch index" in caught.value.hint
    new_gallery().close()
    file = tmp_path / "gallery" / "gallery.json"
    good = json.loads(file.read_text())

    def said(text: str) -> PersonSearchError:
        file.write_text(text)
        with pytest.raises(PersonSearchError) as caught:
            Gallery.open(tmp_path / "gallery")
        assert "\n" not in str(caught.value)
        assert caught.value.hint
        return caught.value

    for damage in (
        "",
        "{",
        "[]",
        "null",
        "{}",
        "\udc80".encode("utf-8", "surrogateescape").decode("latin-1"),
        "[" * 100_000,
        json.dumps(good | {"format": "1"}),
        json.dumps(good | {"format": 0}),
        json.dumps(good | {"sources": [{}]}),
        json.dumps(good | {"similarity": "manhattan"}),
        json.dumps(good | {"dim": "3"}),
        json.dumps({name: value for name, value in good.items() if name != "fingerprint"}),
    ):
        assert "gallery.json is damaged" in str(said(damage))
    newer = said(json.dumps({"format": 2, "anything": "else"}))
    assert "format version 2" in str(newer)
    assert "update" in newer.hint
    file.write_text(json.dumps(good))
    Gallery.open(tmp_path / "gallery").close()


def test_reading_needs_no_lock_and_writing_needs_asking(
    new_gallery: Callable, state: Callable, seen: Callable
) -> None:
    new_gallery().close()
    with Gallery.open(new_gallery(name="other").path) as reader:
        with pytest.raises(ValueError, match="not open for writing"):
            reader.add_picture(state(reader, "a.jpg"), seen([0, 0, 0]))
        with pytest.raises(ValueError, match="not open for writing"):
            reader.flush()
        reader.close()
        reader.close()


def test_importing_needs_no_lancedb_and_using_it_is_quiet(tmp_path: Path) -> None:
    program = """
import sys
from personsearch.gallery.gallery import Gallery
from personsearch.gallery.ledger import FileState
from personsearch.types import Detections, Query
assert not {"lancedb", "torch", "cv2"} & set(sys.modules)
with Gallery.create(sys.argv[1], "f", 2, "cosine") as gallery:
    gallery.add_source(".")
    state = FileState(place=gallery.place("a.jpg"), size=1, mtime_ns=1, sha256="x")
    gallery.add_picture(state, Detections([[0, 0, 1, 1]], [1], [[1, 2]]))
    assert gallery.search([1, 2], fingerprint="f", query=Query("q", [0, 0, 1, 1])).hits
assert "torch" not in sys.modules
"""
    done = subprocess.run(
        [sys.executable, "-W", "default", "-c", program, str(tmp_path / "gallery")],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
