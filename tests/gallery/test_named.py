"""Named people: kept whole, under names that lead nowhere else, and gone when they are forgotten."""

import base64
import json
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from personsearch.errors import InputError, PersonSearchError, UsageError
from personsearch.gallery.gallery import Gallery
from personsearch.gallery.named import FOLDER, Example, NamedPeople, NamedPerson, checked_name
from personsearch.gallery.near import add_near, shown_by
from personsearch.types import Detections

MODEL, OTHER = "a" * 64, "b" * 64


def vector(number: int, dim: int = 16) -> np.ndarray:
    """Numbers that occur nowhere else."""
    return np.random.default_rng(number).standard_normal(dim).astype(np.float32)


def example(number: int, **more) -> Example:
    known = {
        "model": MODEL,
        "right": True,
        "picture": "x.jpg",
        "box": [0, 0, 10, 30],
        "sha256": f"{number:064x}",
    }
    return Example(vector=vector(number), **{**known, **more})


def holding(folder: Path, number: int) -> list[str]:
    """Files with this vector in them, as bytes or as text."""
    raw = vector(number).tobytes()
    needles = raw, base64.b64encode(raw)
    found = []
    for path in folder.rglob("*"):
        if path.is_file() and any(needle in path.read_bytes() for needle in needles):
            found.append(path.name)
    return found


def save(people: NamedPeople, name: str, *examples: Example) -> None:
    people.change(name, lambda old: (old or NamedPerson(name=name)).including(examples))


def test_what_is_saved_comes_back_to_the_last_bit(tmp_path: Path) -> None:
    people = NamedPeople(tmp_path)
    assert people.names() == []
    first = example(1, picture="b\udcff.jpg", position=1.5, frame=7)
    save(people, "Ana", first, example(2, right=False, detection=9))
    save(people, "Müller 2", example(3))
    back = people.load("Ana")
    assert people.names() == ["Ana", "Müller 2"]
    assert back.to_json() == NamedPeople(tmp_path).load("Ana").to_json()
    assert back.examples[0].vector.tobytes() == first.vector.tobytes()
    assert [(e.picture, e.position, e.frame, e.detection, e.right) for e in back.examples] == [
        ("b\udcff.jpg", 1.5, 7, None, True),
        ("x.jpg", None, None, 9, False),
    ]
    assert people.remove("Ana")
    assert not people.remove("Ana")
    assert people.names() == ["Müller 2"]
    with pytest.raises(InputError, match="nobody called Ana"):
        people.load("Ana")


def test_the_same_hit_judged_again_is_one_example() -> None:
    person = NamedPerson(name="a").including([example(1, detection=4), example(2)])
    again = person.including([example(1, detection=4, right=False), example(2)])
    assert [(e.detection, e.right) for e in again.examples] == [(4, False), (None, True)]


def test_pixels_without_a_file_are_told_apart_by_what_they_look_like() -> None:
    crops = [example(number, picture="", sha256="") for number in (1, 2, 1)]
    person = NamedPerson(name="a").including(crops)
    assert [e.vector.tobytes() for e in person.examples] == [vector(1).tobytes(), vector(2).tobytes()]


def test_what_to_look_for_is_of_one_model_only() -> None:
    person = NamedPerson(name="a").including([example(1), example(2, model=OTHER), example(3, right=False)])
    expected = vector(1) / np.linalg.norm(vector(1)) - 0.25 * vector(3) / np.linalg.norm(vector(3))
    assert person.query(MODEL, "cosine") == pytest.approx(expected, abs=1e-5)
    assert person.query(OTHER, "cosine").tobytes() == vector(2).tobytes()
    with pytest.raises(InputError, match="no example by model"):
        person.query("c" * 64, "cosine")
    with pytest.raises(InputError, match="there is none of the person"):
        NamedPerson(name="a").including([example(3, right=False)]).query(MODEL, "cosine")


BAD = ["", ".", "..", "../x", "a/b", "a\\b", "/etc/x", ".hidden", "-x", " x", "x ", "x.", "con", "NUL.txt"]
BAD += ["com1", "a\0b", "a\nb", "a:b", "a*", "x" * 81, "ä" * 41, "\udcff", "%2e%2e%2f", "a\u202eb"]


@pytest.mark.parametrize("name", BAD)
def test_names_that_are_refused(tmp_path: Path, name: str) -> None:
    for act in (NamedPeople(tmp_path).load, NamedPeople(tmp_path).remove):
        with pytest.raises(UsageError, match="cannot be the name"):
            act(name)
    assert list(tmp_path.iterdir()) == []


@settings(deadline=None)
@given(st.text(max_size=90))
def test_a_name_is_refused_or_is_a_file_in_its_folder(name: str) -> None:
    try:
        known = checked_name(name)
    except UsageError:
        return
    path = Path("/somewhere") / FOLDER / f"{known}.json"
    assert path.resolve().parent == Path("/somewhere") / FOLDER
    assert path.stem == known
    assert len(path.name.encode()) < 200
    assert checked_name(known) == known


def test_two_names_do_not_differ_in_case_only(tmp_path: Path) -> None:
    people = NamedPeople(tmp_path)
    save(people, "Ana", example(1))
    with pytest.raises(UsageError, match="in case only"):
        save(people, "ana", example(2))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda value: "[]",
        lambda value: "{",
        lambda value: json.dumps({**value, "schema": "another"}),
        lambda value: json.dumps({**value, "examples": [{**value["examples"][0], "vector": "AA"}]}),
        lambda value: json.dumps({**value, "examples": [{**value["examples"][0], "right": 1}]}),
        lambda value: json.dumps({**value, "examples": [{**value["examples"][0], "box_xyxy": [1]}]}),
        lambda value: json.dumps({**value, "examples": {}, "shown": None}),
    ],
)
def test_a_damaged_file_is_one_clear_line(tmp_path: Path, spoil) -> None:
    people = NamedPeople(tmp_path)
    save(people, "Ana", example(1))
    path = tmp_path / FOLDER / "Ana.json"
    path.write_text(spoil(json.loads(path.read_text())))
    with pytest.raises(InputError, match=r"Ana\.json"):
        people.load("Ana")


def test_a_newer_format_is_refused(tmp_path: Path) -> None:
    people = NamedPeople(tmp_path)
    save(people, "Ana", example(1))
    path = tmp_path / FOLDER / "Ana.json"
    path.write_text(path.read_text().replace('"format": 1', '"format": 2'))
    with pytest.raises(PersonSearchError, match="format version 2"):
        people.load("Ana")


def test_several_change_one_person_and_nothing_is_lost(tmp_path: Path) -> None:
    def add(first: int) -> None:
        for number in range(first, first + 10):
            save(NamedPeople(tmp_path), "Ana", example(number))

    workers = [threading.Thread(target=add, args=(10 * i,)) for i in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(NamedPeople(tmp_path).load("Ana").examples) == 30


@pytest.fixture
def crowded(new_gallery: Callable, state: Callable) -> Gallery:
    """One picture of four people; person i is vector i, number i + 1."""
    gallery = new_gallery(dim=16, similarity="cosine")
    boxes = np.array([[20 * i, 0, 20 * i + 10, 30] for i in range(4)], np.float32)
    gallery.add_picture(
        state(gallery, "0.jpg"), Detections(boxes, np.full(4, 0.9), [vector(i) for i in range(4)])
    )
    gallery.flush()
    return gallery


def test_forgetting_takes_the_examples_along(crowded: Gallery) -> None:
    people = NamedPeople(crowded.path)
    box = [20, 0, 30, 30]
    save(people, "hit", example(1, detection=2), example(2, detection=3))
    save(people, "place", example(51, box=box, sha256="sha of 0.jpg"), example(52, box=[60, 0, 70, 30]))
    save(people, "only", example(1, detection=2), example(2, right=False, detection=3))
    save(people, "wrong", example(3, detection=4), example(1, right=False, detection=2))
    save(people, "alike", example(61, detection=None))
    save(people, "other", replace(example(1, model=OTHER, sha256="y" * 64), vector=vector(7, 8)))
    people.change("hit", lambda old: replace(old, shown=(2, 3)))
    (crowded.path / FOLDER / ".hit.json.77.tmp").write_bytes(vector(1).tobytes())  # a writer that died
    receipt = crowded.forget([2])
    assert receipt.deleted["saved"] == 4
    assert people.names() == ["alike", "hit", "other", "place", "wrong"]
    assert [e.detection for e in people.load("hit").examples] == [3]
    assert people.load("hit").shown == (0, 3)  # rank 2 stays rank 2
    assert [e.box.tolist() for e in people.load("place").examples] == [[60, 0, 70, 30]]
    assert [e.right for e in people.load("wrong").examples] == [True]
    assert holding(crowded.path, 1) == []
    assert holding(crowded.path, 51) == []
    assert holding(crowded.path, 2) != []


def test_a_place_in_a_picture_or_its_copy_names_whoever_is_stored_there(
    crowded: Gallery, state: Callable, pictures: Path
) -> None:
    Image.new("RGB", (200, 100)).save(pictures / "0.jpg")
    Image.new("RGB", (100, 50)).save(pictures / "half.jpg")
    add_near(crowded, state(crowded, "half.jpg"), 1, (0.5, 0.5))
    crowded.flush()
    own = example(51, box=[21, 0, 31, 30], sha256="sha of 0.jpg")
    copied = example(52, box=[20, 0, 25, 15], sha256="sha of half.jpg")
    assert shown_by(crowded, [own]) == {2}
    assert shown_by(crowded, [copied]) == {3}
    assert shown_by(crowded, [own, copied, example(53), example(54, sha256="")]) == {2, 3}
    assert shown_by(crowded, [replace(own, frame=7)]) == set()


def test_a_kept_example_takes_lookalikes_along(crowded: Gallery) -> None:
    people = NamedPeople(crowded.path)
    near = vector(1) + 0.01 * vector(9)
    save(people, "near", replace(example(1), vector=near))
    save(people, "far", example(5))
    assert crowded.forget([2], keep_examples=0.9).deleted["saved"] == 1
    assert people.names() == ["far"]


def test_pruning_takes_hits_along_and_a_damaged_person_stops_it(crowded: Gallery) -> None:
    people = NamedPeople(crowded.path)
    save(people, "old", example(1, detection=2))
    assert crowded.prune(1e12, only_count=True).deleted["saved"] == 1
    assert people.names() == ["old"]
    path = crowded.path / FOLDER / "bad.json"
    path.write_text("{")
    with pytest.raises(InputError, match=r"bad\.json"):
        crowded.prune(1e12)
    path.unlink()
    crowded.prune(1e12)
    assert people.names() == []
