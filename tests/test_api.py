"""The public face, on people who are rectangles of one colour."""

from __future__ import annotations

import dataclasses
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from personsearch.api import Gallery, PersonSearch, as_picture
from personsearch.errors import InputError, ModelMismatch, UsageError
from personsearch.gallery.filters import Filter
from personsearch.gallery.searching import Asked
from personsearch.indexing.cameras import Watch
from personsearch.indexing.options import IndexOptions
from personsearch.model.checkpoint import save_model
from personsearch.model.presets import CropSettings, build_network, compact_tiny, embedder
from personsearch.types import Array, Detections, Picture, Scene

WALL = 250


class OneRectangle:
    """Sees the one dark thing in front of a bright wall; describes it by its mean colour."""

    dim = 3
    similarity = "euclidean"

    def __init__(self, fingerprint: str = "one") -> None:
        self.fingerprint = fingerprint

    def detect(self, picture: Picture) -> Detections:
        ys, xs = np.nonzero((picture.pixels < WALL - 40).any(axis=2))
        boxes = np.array([[xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]], np.float32)
        return Detections(boxes, [0.7], self.embed(picture, boxes))

    def embed(self, picture: Picture, boxes: Array) -> Array:
        crops = [picture.pixels[y1:y2, x1:x2] for x1, y1, x2, y2 in np.asarray(boxes, int)]
        return np.array([crop.mean(axis=(0, 1)) / 255 for crop in crops], np.float32)


def pixels(colour: tuple[int, int, int], left: int = 10) -> Array:
    picture = np.full((100, 200, 3), WALL, np.uint8)
    picture[10:70, left : left + 20] = colour
    return picture


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for name, colour in (("red", (220, 30, 30)), ("rust", (200, 40, 40)), ("blue", (30, 30, 220))):
        Image.fromarray(pixels(colour)).save(folder / f"{name}.png")
    return folder


@pytest.fixture
def model() -> PersonSearch:
    return PersonSearch(OneRectangle())


def test_index_detect_and_search(model: PersonSearch, photos: Path, tmp_path: Path) -> None:
    report = model.index(photos, tmp_path / "g")
    assert (report.added, report.people, report.failures) == (3, 3, ())
    people = model.detect(photos / "red.png")
    assert people.boxes.tolist() == [[10, 10, 30, 70]]
    result = model.search(tmp_path / "g", photos / "red.png", people.boxes[0])
    assert [Path(hit.picture).name for hit in result.hits] == ["rust.png", "blue.png"]  # not itself
    with Gallery.open(tmp_path / "g") as gallery:
        everybody = model.search(gallery, pixels((220, 30, 30)), people.boxes[0], color="rgb")
        again = model.search(gallery, pixels((220, 30, 30)), people.boxes[0], 1, color="rgb")
    assert [Path(hit.picture).name for hit in everybody.hits] == ["red.png", "rust.png", "blue.png"]
    assert len(again.hits) == 1


def test_two_parts_are_a_model_and_gt_wants_scenes(photos: Path, tmp_path: Path) -> None:
    untrained = dataclasses.replace(compact_tiny(), identities=2)
    crops = embedder(untrained, CropSettings(size=(64, 32)))
    save_model(tmp_path / "parts" / "idnet", build_network(crops), crops)
    scenes = [Scene(str(photos / "red.png"), boxes=[[10, 10, 30, 70]], people=[0])]
    pair = PersonSearch.load("gt+idnet", "cpu", parts=tmp_path / "parts", scenes=scenes)
    people = pair.detect(photos / "red.png")
    assert people.boxes.tolist() == [[10, 10, 30, 70]]
    assert people.embeddings.shape == (1, 16)
    with pytest.raises(InputError, match="is not annotated"):
        pair.detect(photos / "blue.png")
    with pytest.raises(UsageError, match="gt needs annotated pictures"):
        PersonSearch.load("gt+idnet", "cpu", parts=tmp_path / "parts")


def test_bgr_pixels_are_turned_and_unsaid_order_is_refused(model: PersonSearch) -> None:
    red = pixels((220, 30, 30))
    expected = model.embed(red, np.array([[10, 10, 30, 70]]), color="rgb")
    turned = model.embed(red[..., ::-1], np.array([[10, 10, 30, 70]]), color="bgr")
    assert np.array_equal(expected, turned)
    assert not np.array_equal(expected, model.embed(red, np.array([[10, 10, 30, 70]]), color="bgr"))
    with pytest.raises(UsageError, match="order"):
        model.detect(red)
    with pytest.raises(UsageError, match="color"):
        as_picture(Picture(red), color="rgb")


@pytest.mark.parametrize(
    "wrong", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3)), np.zeros((0, 4, 3), np.uint8)]
)
def test_arrays_that_are_no_picture(wrong: Array) -> None:
    with pytest.raises(InputError, match="uint8"):
        as_picture(wrong, color="rgb")


@pytest.mark.parametrize(
    "box", [[300, 0, 320, 50], [-15, 10, 5, 70], [1, 2, 3], [5, 5, 5, 9], [0, 0, np.nan, 5]]
)
def test_boxes_that_mean_nothing(model: PersonSearch, photos: Path, box: list[float], tmp_path: Path) -> None:
    model.index(photos, tmp_path / "g")
    with pytest.raises(InputError, match="box"):
        model.search(tmp_path / "g", photos / "red.png", np.array(box))


def test_min_score_and_another_model(model: PersonSearch, photos: Path, tmp_path: Path) -> None:
    assert len(model.detect(photos / "red.png", min_score=0.8)) == 0
    model.index(photos, tmp_path / "g")
    with pytest.raises(ModelMismatch):
        PersonSearch(OneRectangle("other")).search(
            tmp_path / "g", photos / "red.png", np.array([10, 10, 30, 70])
        )


def test_load_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no model folder"):
        PersonSearch.load(tmp_path / "none")


BOX = np.array([10, 10, 30, 70])


def test_sources_of_every_kind(model: PersonSearch, photos: Path, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("photos/blue.png\n")
    assert model.index(f"{photos}/r*.png", tmp_path / "g").added == 2
    assert model.index([photos / "red.png", tmp_path / "list.txt"], tmp_path / "g").added == 1
    assert model.index(photos, tmp_path / "g").unchanged == 3
    with pytest.raises(UsageError, match="a camera is indexed alone"):
        model.index("rtsp://127.0.0.1/1", tmp_path / "g")
    with pytest.raises(UsageError, match="a camera is indexed alone"):
        model.index(photos, tmp_path / "g", watch=Watch(folder=tmp_path))
    with pytest.raises(InputError, match="does not exist"):
        model.index(tmp_path / "none", tmp_path / "g")


def test_a_camera_is_a_source(
    model: PersonSearch, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def seen(source: object, gallery: object, searcher: object, watch: object, progress: object) -> str:
        asked.append((source.name, gallery, searcher, watch))
        return "report"

    monkeypatch.setattr("personsearch.api.index_camera", seen)
    watch = Watch(folder=tmp_path / "frames", most=3)
    assert model.index("webcam:0", tmp_path / "g", watch=watch) == "report"
    assert asked[0][1:] == (tmp_path / "g", model.searcher, watch)
    for channel, name in ((1, "gate"), (2, "hall")):
        address, options = f"rtsp://10.0.0.7/live?channel={channel}", IndexOptions(camera=name)
        model.index(address, tmp_path / "g", watch=watch, options=options)
        with pytest.raises(UsageError, match=r"others may be rtsp://10\.0\.0\.7/live"):
            model.index(address, tmp_path / "g", watch=watch)
    assert [name for name, *_ in asked] == ["webcam:0", "gate", "hall"]


def test_a_gallery_adds_searches_refines_and_forgets(
    model: PersonSearch, photos: Path, tmp_path: Path
) -> None:
    with Gallery.open(tmp_path / "g", model) as gallery:
        assert gallery.add(photos).added == 3
        found = gallery.search(photos / "red.png", BOX)
        assert [Path(hit.picture).name for hit in found.result.hits] == ["rust.png", "blue.png"]
        assert (found.judgement, found.ranked) == (None, 2)
        rust, blue = found.result.hits
        better = gallery.refine(found, right=[rust], wrong=[blue.detection])
        assert better.result.hits == ()
        assert [(e.right, e.detection) for e in better.sought.examples] == [
            (True, None),
            (True, rust.detection),
            (False, blue.detection),
        ]
        assert model.refine(gallery, found, wrong=[blue]).result.hits[0].detection == rust.detection
        assert model.refine(tmp_path / "g", found, wrong=[blue]).result.hits[0].detection == rust.detection
        narrow = gallery.search(photos / "red.png", BOX, asked=Asked(k=1, where=Filter(paths=("[br]*",))))
        assert gallery.refine(narrow, wrong=[rust]).asked == narrow.asked
        assert model.refine(gallery, narrow, wrong=[rust]).asked == narrow.asked
        assert model.refine(gallery, narrow, wrong=[rust], k=7).asked == replace(narrow.asked, k=7)
        assert gallery.save_as("Nan", narrow).terms == narrow.terms
        gallery.named.remove("Nan")
        gallery.save_as("Ana", better)
        again = gallery.search(person="Ana", own=True)
        assert [Path(hit.picture).name for hit in again.result.hits] == ["red.png", "rust.png"]
        more = gallery.search(examples=[model.example(pixels((220, 30, 30)), BOX, color="rgb")])
        assert len(more.result.hits) == 3
        assert gallery.forget([rust], reason="r").deleted["saved"] == 1
        assert [e.detection for e in gallery.named.load("Ana").examples] == [None, blue.detection]
        assert len(gallery.search(photos / "red.png", BOX).result.hits) == 1


def test_what_a_gallery_refuses(model: PersonSearch, photos: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not a gallery"):
        Gallery.open(tmp_path / "g")
    model.index(photos, tmp_path / "g")
    with pytest.raises(ModelMismatch):
        Gallery.open(tmp_path / "g", PersonSearch(OneRectangle("other")))
    with Gallery.open(tmp_path / "g") as gallery:
        with pytest.raises(UsageError, match="need a model"):
            gallery.add(photos)
        with pytest.raises(UsageError, match="need a model"):
            gallery.search(photos / "red.png", BOX)
        with pytest.raises(UsageError, match="nobody is looked for"):
            gallery.search(examples=gallery.store.examples([1], right=False))
        found = gallery.search(examples=gallery.store.examples([1]))
        for said in ({}, {"right": [1], "wrong": [1]}):
            with pytest.raises(UsageError, match="is the person or is not"):
                gallery.refine(found, **said)
        with pytest.raises(InputError, match="has the number 99"):
            gallery.refine(found, right=[99])


def test_a_crop_is_the_whole_picture(model: PersonSearch, photos: Path) -> None:
    assert model.example(photos / "red.png").box.tolist() == [0, 0, 200, 100]
    with pytest.raises(InputError, match="box"):
        model.example(photos / "red.png", np.array([300, 0, 320, 50]))


def test_from_pretrained_is_load(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no model folder"):
        PersonSearch.from_pretrained(tmp_path / "none")
