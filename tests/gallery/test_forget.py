"""Forgetting: off the disk to the last byte, kept out afterwards, and done to the end after any death."""

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from personsearch.errors import InputError
from personsearch.gallery import removal, suppression
from personsearch.gallery.audit import AuditLog
from personsearch.gallery.cells import FILE as CELLS
from personsearch.gallery.gallery import Gallery
from personsearch.gallery.named import NamedPeople, NamedPerson
from personsearch.gallery.near import add_near
from personsearch.gallery.session import save_as
from personsearch.gallery.side import Side
from personsearch.gallery.tables import Table
from personsearch.gallery.verify import verify
from personsearch.types import Detections, Query

MODEL = "a" * 64
SOMEBODY = Query("query.jpg", [1, 2, 3, 4])


def holding(folder: Path, needle: bytes) -> list[str]:
    """The files below ``folder`` with these bytes in them."""
    found = []
    for where, _, names in os.walk(folder):
        for name in names:
            if needle in Path(where, name).read_bytes():
                found.append(name)
    return found


def vector(number: int, dim: int = 16) -> np.ndarray:
    """Numbers that occur nowhere else."""
    return np.random.default_rng(number).standard_normal(dim).astype(np.float32)


def boxes(n: int) -> np.ndarray:
    """Side by side, so that no two are one person."""
    return np.array([[20 * i, 0, 20 * i + 10, 30] for i in range(n)], np.float32)


def crowd(first: int, n: int) -> Detections:
    return Detections(boxes(n), np.full(n, 0.9), [vector(first + i) for i in range(n)])


def everybody(gallery: Gallery) -> list[int]:
    result = gallery.search(
        np.zeros(gallery.dim) + 1, 1000, fingerprint=MODEL, query=SOMEBODY, per="person", min_score=0
    )
    return sorted(hit.detection for hit in result.hits)


@pytest.fixture
def crowded(new_gallery: Callable, state: Callable) -> Gallery:
    """Three pictures of four people each; person i is vector i, number i + 1; one picture has a copy."""
    gallery = new_gallery(dim=16, similarity="cosine")
    for picture in range(3):
        number = gallery.add_picture(state(gallery, f"{picture}.jpg"), crowd(4 * picture, 4))
        gallery.flush()
    gallery.add_place(state(gallery, "copy.jpg", "sha of 2.jpg"), number)
    gallery.flush()
    return gallery


def test_not_a_byte_of_a_vector_stays(crowded: Gallery) -> None:
    needles = {number: vector(number).tobytes() for number in range(12)}
    assert all(holding(crowded.path, needle) for needle in needles.values())  # it could fail
    receipt = crowded.forget([2, 12], reason="request 7")
    for number, needle in needles.items():
        assert bool(holding(crowded.path, needle)) == (number not in (1, 11)), number
    assert everybody(crowded) == [1, *range(3, 12)]
    assert (crowded.pictures, crowded.people) == (3, 10)
    assert receipt.detections == (2, 12)
    assert receipt.deleted == {"people": 2, "vectors": 2, "thumbnails": 0, "crops": 0, "saved": 0}
    assert (receipt.pictures, receipt.kept_out, receipt.examples, receipt.reason) == (2, 2, 0, "request 7")
    assert not (crowded.path / removal.JOB).exists()
    crowded.close()
    report = verify(crowded.path)
    assert report.findings == ()
    with Gallery.open(crowded.path) as reader:
        assert everybody(reader) == [1, *range(3, 12)]
        (record,) = AuditLog(crowded.path).records()
        assert (record["action"], record["receipt"]) == ("forget", receipt.receipt)
        assert record["deleted"] == receipt.deleted


def test_the_bytes_stay_when_only_rows_are_deleted(crowded: Gallery) -> None:
    """Why the table is written anew: the planted mistake is what deleting alone would leave."""
    crowded._people_table.delete("detection", [2])
    crowded._people_table.tidy()
    assert holding(crowded.path, vector(1).tobytes())


def test_the_same_picture_indexed_again_leaves_the_person_out(
    crowded: Gallery, state: Callable, pictures: Path
) -> None:
    crowded.forget([2])
    with pytest.raises(InputError, match=r"nobody in .* has the number 2"):
        crowded.forget([2])
    again = crowded.add_picture(state(crowded, "elsewhere/0.jpg", "sha of 0.jpg"), crowd(0, 4))
    shifted = Detections(boxes(4) + np.array([2, 1, 2, 1]), np.full(4, 0.9), [vector(i) for i in range(4)])
    crowded.add_picture(state(crowded, "third/0.jpg", "sha of 0.jpg"), shifted)
    crowded.flush()
    assert not holding(crowded.path, vector(1).tobytes())
    assert crowded._ledger.entry_of(again).people == 3
    crowded.add_picture(state(crowded, "other content.jpg"), crowd(0, 4))
    crowded.flush()
    assert holding(crowded.path, vector(1).tobytes())  # nothing was kept to recognise the person by
    text = (crowded.path / suppression.FILE).read_text()
    assert "vector" not in json.loads(text)["boxes"][0]
    assert json.loads(text)["examples"] == []
    crowded.close()
    with Gallery.open(crowded.path, writable=True) as later:
        number = later.add_picture(state(later, "4th/0.jpg", "sha of 0.jpg"), crowd(0, 4))
        assert later._ledger.entry_of(number).people == 3


def test_an_example_kept_on_request_recognises_the_person_elsewhere(
    crowded: Gallery, state: Callable
) -> None:
    receipt = crowded.forget([2], keep_examples=0.95)
    assert receipt.examples == 1
    near = vector(1) + 0.01 * vector(99)
    seen = Detections(boxes(3), np.full(3, 0.9), [near, vector(50), -vector(1)])
    number = crowded.add_picture(state(crowded, "new.jpg"), seen)
    assert crowded._ledger.entry_of(number).people == 2
    crowded.flush()
    assert not holding(crowded.path, near.tobytes())
    for impossible in (1.5, float("nan")):
        with pytest.raises(InputError, match="not a possible cosine similarity"):
            crowded.forget([3], keep_examples=impossible)


def test_whoever_stands_in_the_same_place_goes_too(new_gallery: Callable, state: Callable) -> None:
    """Two boxes of one person, of which the detector was less sure of one."""
    with new_gallery(dim=16) as gallery:
        box = [[0, 0, 10, 30], [1, 1, 11, 31], [8, 0, 18, 30], [40, 0, 50, 30]]
        seen = Detections(box, [0.9, 0.2, 0.8, 0.7], [vector(i) for i in range(4)])
        gallery.add_picture(state(gallery, "a.jpg"), seen)
        planned = gallery.forget([1], only_count=True)
        assert (planned.detections, everybody(gallery)) == ((1, 2), [1, 2, 3, 4])
        receipt = gallery.forget([1])
        assert receipt.detections == (1, 2)
        assert everybody(gallery) == [3, 4]
        assert not holding(gallery.path, vector(1).tobytes())


def test_everybody_of_a_picture_and_of_a_missing_one(crowded: Gallery, state: Callable) -> None:
    crowded.mark_missing(state(crowded, "0.jpg").place)
    crowded.flush()
    assert everybody(crowded) == list(range(5, 13))
    assert [number for number, _ in crowded.alike(vector(1), 0.99, fingerprint=MODEL)] == [2]
    crowded.forget([1, 2, 3, 4, 5, 6, 7, 8])
    assert everybody(crowded) == [9, 10, 11, 12]
    assert (crowded.pictures, crowded.people) == (2, 4)
    for number in range(8):
        assert not holding(crowded.path, vector(number).tobytes())
    people = crowded.stored([9, 3, 12])
    assert [person.detection for person in people] == [9, 12]
    assert Path(people[0].picture).name in ("2.jpg", "copy.jpg")
    numbered = crowded.add_picture(state(crowded, "new.jpg"), crowd(90, 1))
    assert crowded._ledger.entry_of(numbered).people == 1
    crowded.close()
    assert verify(crowded.path).right


def test_a_number_is_never_given_to_somebody_else(crowded: Gallery, state: Callable) -> None:
    crowded.forget([11, 12])
    crowded.close()
    with Gallery.open(crowded.path, writable=True) as again:
        again.add_picture(state(again, "new.jpg"), crowd(40, 1))
        assert everybody(again) == [*range(1, 11), 13]


@pytest.mark.parametrize("lost", ["changed", "failed", "near", "died"])
def test_nor_is_that_of_somebody_whose_file_is_another_now(
    crowded: Gallery, state: Callable, lost: str
) -> None:
    file = state(crowded, "new.jpg")
    crowded.add_picture(file, crowd(40, 2))
    crowded.flush()
    assert everybody(crowded) == list(range(1, 15))

    def death() -> None:
        raise SystemExit

    if lost == "changed":
        crowded.add_picture(state(crowded, "new.jpg", "others"), crowd(0, 1).take(np.zeros(1, bool)))
    elif lost == "near":
        add_near(crowded, file, 1)
    else:
        crowded.add_failure(file, "decode", "broken")
    if lost == "died":  # after the entry that counts, before anything else
        crowded._batch._losing = death
        with pytest.raises(SystemExit):
            crowded.flush()
    crowded.close()
    Gallery.open(crowded.path, writable=True).close()
    with Gallery.open(crowded.path, writable=True) as again:
        again.add_picture(state(again, "later.jpg"), crowd(50, 1))
        assert everybody(again) == [*range(1, 13), 15]


def test_frames_of_a_video_are_told_apart(new_gallery: Callable, state: Callable) -> None:
    out = suppression.Suppression(
        boxes=(suppression.Box(sha256="v", box=(0, 0, 10, 30), receipt="r", frame=7),)
    )
    seen = Detections(boxes(2), [0.9, 0.8], [vector(0), vector(1)])
    assert out.keeps_out("v", seen, 7, MODEL, "cosine").tolist() == [True, False]
    assert out.keeps_out("v", seen, 8, MODEL, "cosine").tolist() == [False, False]


STEPS = ("job", "suppressed", "cells", "side", "numbered", "people", "ledger", "rewrite", "named", "audit")
STEPS += ("unlink", "between two saved people", "between the tables of a migration")


def under_way(gallery: Gallery) -> None:
    """A migration that has described everybody, and not taken over yet."""
    side = Side(fingerprint="b" * 64, dim=16, similarity="cosine", generation=1)
    side.write(gallery.path)
    tables = gallery._people_table, gallery._ledger_table
    for new, old in zip(side.tables(gallery.path), tables, strict=True):
        new.add(pa.Table.from_batches(list(old.batches(old.schema.names)), old.schema))


@pytest.mark.parametrize("dies_at", STEPS)
def test_a_death_anywhere_is_finished_by_the_next_writer(
    dies_at: str, crowded: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    def death(*_: object, **__: object) -> None:
        raise SystemExit

    written: list[str] = []
    write = NamedPerson.write

    def first_only(person: NamedPerson, path: Path) -> None:
        if written:
            raise SystemExit
        written.append(person.name)
        write(person, path)

    known = [crowded.examples([2])[0], crowded.examples([3])[0]]
    for name in ("Ana", "Ben"):
        save_as(crowded, name, NamedPerson(name=name, examples=tuple(known)))
    if dies_at == "between the tables of a migration":
        under_way(crowded)
    (crowded.path / CELLS).write_bytes(vector(1).tobytes())  # the centre of a cell of one person
    with monkeypatch.context() as patch:
        target = {
            "job": (removal, "finish"),
            "suppressed": (suppression.Suppression, "write"),
            "cells": (removal, "forget_cells"),
            "side": (removal, "take_out_of_side"),
            "named": (removal, "forget_named"),
            "numbered": (removal, "take_out"),
            "people": (Table, "add"),
            "ledger": (Table, "put"),
            "rewrite": (Table, "rewrite"),
            "audit": (AuditLog, "append"),
            "unlink": (Path, "unlink"),
            "between two saved people": (NamedPerson, "write", first_only),
            "between the tables of a migration": (Table, "rewrite"),
        }[dies_at]
        patch.setattr(*(target if len(target) == 3 else (*target, death)))
        with pytest.raises(SystemExit):
            crowded.forget([2, 12], reason="r")
    crowded.close()
    assert verify(crowded.path).right
    with Gallery.open(crowded.path) as reader:
        assert everybody(reader) in (list(range(1, 13)), [1, *range(3, 12)])
    with Gallery.open(crowded.path, writable=True) as again:
        assert everybody(again) == [1, *range(3, 12)]
    assert not (crowded.path / removal.JOB).exists()
    assert not (crowded.path / CELLS).exists()
    for name in ("Ana", "Ben"):
        assert [e.detection for e in NamedPeople(crowded.path).load(name).examples] == [3]
    for number in range(12):
        assert bool(holding(crowded.path, vector(number).tobytes())) == (number not in (1, 11))
    records = list(AuditLog(crowded.path).records())
    assert [record["action"] for record in records] == ["forget"]
    assert len(suppression.read_suppression(crowded.path).boxes) == 2
    notes = {"migration"} if dies_at == "between the tables of a migration" else set()
    assert {finding.rule for finding in verify(crowded.path).findings} == notes


def test_many_numbers_are_found_in_one_reading(crowded: Gallery, monkeypatch: pytest.MonkeyPatch) -> None:
    table, wanted, columns = crowded._people_table, [2, 5, 7, 12, 99], ["picture", "score"]
    few = [row for batch in table.rows_of("detection", wanted, columns) for row in batch.to_pylist()]
    readings = []

    def counted(self: Table, *arguments: object) -> object:
        readings.append(arguments)
        return batches(self, *arguments)

    batches = Table.batches
    monkeypatch.setattr(Table, "batches", counted)
    monkeypatch.setattr("personsearch.gallery.tables._AT_A_TIME", 2)
    found = list(table.rows_of("detection", wanted, columns))
    assert [row for batch in found for row in batch.to_pylist()] == few
    assert len(few) == 4
    assert len(readings) == 1


def test_readers_go_on_while_somebody_is_forgotten(crowded: Gallery) -> None:
    with Gallery.open(crowded.path) as reader:
        assert everybody(reader) == list(range(1, 13))
        crowded.forget([5])
        assert everybody(reader) == [*range(1, 5), *range(6, 13)]
        with Gallery.open(crowded.path) as half:  # open, but nothing read yet
            crowded.forget([6])
            assert everybody(half) == [*range(1, 5), *range(7, 13)]


def test_damage_is_not_taken_for_nobody_forgotten(crowded: Gallery) -> None:
    crowded.forget([2])
    crowded.close()
    file = crowded.path / suppression.FILE
    good = file.read_text()
    for damage in (
        "",
        "{}",
        "[]",
        good.replace('"box_xyxy"', '"box"'),
        good.replace('"format": 2', '"format": 9'),
        good.replace('"cuts"', '"cut"'),
    ):
        file.write_text(damage)
        with pytest.raises(InputError, match=r"suppressed\.json"):
            Gallery.open(crowded.path, writable=True)
        assert not verify(crowded.path).right
    file.write_text(good)
    (crowded.path / removal.JOB).write_text('{"detections": "x"}')
    with pytest.raises(InputError, match=r"removal\.json is damaged"):
        Gallery.open(crowded.path, writable=True)


def test_pruning_deletes_the_old_and_keeps_the_files_known(new_gallery: Callable, state: Callable) -> None:
    now = time.time()
    with new_gallery(dim=16) as gallery:
        gallery.add_picture(state(gallery, "old.jpg"), crowd(0, 2), time=1000.0, camera="a")
        gallery.add_picture(state(gallery, "older.jpg"), crowd(2, 2), time=500.0, camera="b")
        gallery.add_picture(state(gallery, "edge.jpg"), crowd(4, 1), time=2000.0)
        gallery.add_picture(state(gallery, "undated.jpg"), crowd(5, 1))
        planned = gallery.prune(2000.0, cameras=("a",), only_count=True)
        assert (planned.deleted["people"], gallery.people) == (2, 6)
        assert gallery.prune(100.0).deleted["people"] == 0
        receipt = gallery.prune(2000.0, cameras=("a",), reason="30 days")
        assert (receipt.action, receipt.deleted["people"], receipt.pictures) == ("prune", 2, 1)
        assert everybody(gallery) == [3, 4, 5, 6]
        gallery.prune(2000.0)  # who was seen at that very moment stays
        assert everybody(gallery) == [5, 6]
        for number in range(4):
            assert not holding(gallery.path, vector(number).tobytes())
        entry = gallery.entry(state(gallery, "old.jpg").place)
        assert entry is not None
        assert (entry.state, entry.people, entry.sha256) == ("done", 0, "sha of old.jpg")
        gallery.prune(now + 60)  # without a time, the time of indexing counts
        assert everybody(gallery) == []
        assert suppression.read_suppression(gallery.path).boxes == ()
    with Gallery.open(gallery.path) as reader:
        assert [record["action"] for record in AuditLog(reader.path).records()] == ["prune"] * 3
        assert reader.prune(0.0, only_count=True).deleted["people"] == 0
        with pytest.raises(ValueError, match="not open for writing"):
            reader.prune(now)
        with pytest.raises(ValueError, match="not open for writing"):
            reader.forget([1])
    assert verify(gallery.path).findings == ()
