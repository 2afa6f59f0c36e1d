"""What is in memory is brought up to date by reading what is new, and is what reading everything gives."""

import time
import weakref
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest

from personsearch.errors import PersonSearchError
from personsearch.gallery import people as rows
from personsearch.gallery import tables
from personsearch.gallery.gallery import Gallery
from personsearch.gallery.ledger import SCHEMA, Entry
from personsearch.gallery.people import People
from personsearch.gallery.snapshot import LedgerReader, read_ledger
from personsearch.gallery.tables import Table
from personsearch.types import Detections, Query

MODEL = "a" * 64
SOMEBODY = Query("query.jpg", [1, 2, 3, 4])
FIELDS = ("detection", "picture", "frame", "box", "score", "time", "vectors", "lengths", "shot")
FIELDS += ("position", "tracklet")


def test_after_every_kind_of_change(
    new_gallery: Callable, state: Callable, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(4)
    loads = []
    real = People.load

    def load(*given: object) -> People:
        loads.append(1)
        return real(*given)

    monkeypatch.setattr(People, "load", staticmethod(load))

    def same(reader: Gallery) -> None:
        """The reader's copy against one that is read anew."""
        now = reader._newest().people
        with Gallery.open(reader.path) as fresh:
            anew = fresh._newest().people
        for name in FIELDS:
            np.testing.assert_array_equal(getattr(now, name), getattr(anew, name), name)
        assert now.circumstances_of(range(len(now))) == anew.circumstances_of(range(len(anew)))

    with new_gallery(dim=4) as writer, Gallery.open(writer.path) as reader:
        for number in range(12):
            what = number % 6
            if what in (0, 1, 2):
                n = int(rng.integers(0, 5))
                boxes = [[20 * i, 0, 20 * i + 10, 30] for i in range(n)]
                seen = Detections(boxes, np.ones(n), rng.standard_normal((n, 4)))
                camera, time = [None, "a", "b"][number % 3], None if number % 2 else float(number)
                writer.add_picture(state(writer, f"{number}.jpg"), seen, camera=camera, time=time)
            elif what == 3:
                seen = Detections([[0, 0, 10, 30]], [1], rng.standard_normal((1, 4)))
                writer.add_picture(state(writer, f"{number - 3}.jpg", f"new {number}"), seen)
            elif what == 4:
                writer.mark_missing(state(writer, f"{number - 3}.jpg").place)
            else:
                numbers = writer._newest().people.detection
                if len(numbers):
                    writer.forget([int(numbers[rng.integers(len(numbers))])])
                back = writer.entry(state(writer, f"{number - 4}.jpg").place)
                if back is not None and back.picture is not None:
                    writer.add_place(state(writer, f"{number - 4}.jpg"), back.picture)
            writer.flush()
            same(reader)
            same(writer)
        before = len(loads)
        writer.add_picture(state(writer, "last.jpg"), Detections([[0, 0, 1, 1]], [1], [[1, 2, 3, 4]]))
        writer._newest()
        writer.flush()
        reader._newest()
        assert len(loads) == before  # only the new rows were read


def test_a_column_that_comes_later(
    tmp_path: Path, new_gallery: Callable, state: Callable, seen: Callable
) -> None:
    """A gallery from before the column is read at once, and gets it from the next writer."""
    with new_gallery() as gallery:
        gallery.add_picture(state(gallery, "a.jpg"), seen([1, 2, 3]))
    old = Table(gallery.path, "people", rows.schema(3))
    later = pa.schema([*rows.schema(3), pa.field("mood", pa.int64())])
    table = Table(gallery.path, "people", later)
    (batch,) = table.batches(["detection", "mood"])
    assert batch.to_pylist() == [{"detection": 1, "mood": None}]
    table.upgrade()
    version = table.newest()
    table.upgrade()
    assert table.newest() == version
    (row,) = [row for batch in table.batches(later.names) for row in batch.to_pylist()]
    table.add(pa.Table.from_pylist([{**row, "detection": 2, "mood": 7}], schema=later))
    old.newest()
    old.add(pa.Table.from_pylist([{**row, "detection": 3}], schema=later).drop_columns(["mood"]))
    table.newest()
    found = [pair for batch in table.batches(["detection", "mood"]) for pair in batch.to_pylist()]
    assert found == [
        {"detection": 1, "mood": None},
        {"detection": 2, "mood": 7},
        {"detection": 3, "mood": None},
    ]
    table.rewrite()
    assert [pair for batch in table.batches(["detection", "mood"]) for pair in batch.to_pylist()] == found
    needed = Table(gallery.path, "people", pa.schema([*later, pa.field("must", pa.int64(), nullable=False)]))
    with pytest.raises(PersonSearchError, match="has no column must"):
        needed.upgrade()


def test_nothing_is_asked_of_the_tables_while_nobody_writes(
    new_gallery: Callable, state: Callable, seen: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder's time of change says that nothing happened, but only once it is old enough to tell."""
    asked, later = [], [0]
    real = Table.newest
    monkeypatch.setattr(Table, "newest", lambda self: asked.append(1) or real(self))
    clock = SimpleNamespace(time_ns=lambda: time.time_ns() + later[0])
    with new_gallery() as writer, Gallery.open(writer.path) as reader:
        monkeypatch.setattr(tables, "time", clock)

        def questions(gallery: Gallery, people: int) -> int:
            asked.clear()
            assert len(gallery._newest().people) == people
            return len(asked)

        for number in range(1, 4):
            writer.add_picture(state(writer, f"{number}.jpg"), seen([number, 0, 0]))
            writer.flush()
            later[0] = -3_600_000_000_000  # just written: the time of change may hide another commit
            assert questions(reader, number) > 0
            assert questions(reader, number) > 0
            later[0] = 3_600_000_000_000  # an hour ago
            assert questions(reader, number) > 0
            assert questions(reader, number) == 0
            questions(writer, number)
            assert questions(writer, number) == 0


def test_a_ledger_that_only_grew_is_read_where_it_grew(
    new_gallery: Callable, state: Callable, seen: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    parsed = []
    real = Entry.__init__

    def counted(self: Entry, **known: object) -> None:
        parsed.append(known["path"])
        real(self, **known)

    with new_gallery() as writer:
        reader = LedgerReader(Table(writer.path, "ledger", SCHEMA))
        assert list(reader.newest()) == []
        for number in range(5):
            writer.add_picture(state(writer, f"{number}.jpg"), seen([number, 0, 0]))
        writer.flush()
        first = reader.newest()
        assert reader.newest() is first
        writer.add_picture(state(writer, "5.jpg"), seen([5, 0, 0]))
        writer.add_place(state(writer, "copy.jpg", "sha of 0.jpg"), 1)
        writer.flush()
        monkeypatch.setattr(Entry, "__init__", counted)
        second = reader.newest()
        assert sorted(parsed) == ["5.jpg", "copy.jpg"]  # and not the five that were there
        monkeypatch.undo()
        assert (len(list(first)), len(list(second))) == (5, 7)  # the first is as it was
        assert [entry.path for entry in second.entries_of(1)] == ["0.jpg", "copy.jpg"]
        assert [entry.path for entry in first.entries_of(1)] == ["0.jpg"]
        writer.mark_missing(state(writer, "3.jpg").place)  # not at the end: everything is read
        writer.flush()
        third = reader.newest()
        anew = read_ledger(Table(writer.path, "ledger", SCHEMA))
        assert sorted(map(str, third)) == sorted(map(str, anew))
        assert (third.live(), third.newest_picture) == (anew.live(), anew.newest_picture)
        reader.release()
        assert sorted(map(str, reader.newest())) == sorted(map(str, anew))


def test_a_read_that_failed_is_not_taken_for_one_that_worked(
    new_gallery: Callable, state: Callable, seen: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A search after it fails as well, or gives what is there now; never what was there before."""
    clock = SimpleNamespace(time_ns=lambda: time.time_ns() + 3_600_000_000_000)
    with new_gallery() as writer, Gallery.open(writer.path) as reader:
        monkeypatch.setattr(tables, "time", clock)  # stamps tell changes apart at once
        for number in range(3):
            writer.add_picture(state(writer, f"{number}.jpg"), seen([number, 0, 0]))
        writer.flush()
        assert reader._newest().people.detection.tolist() == [1, 2, 3]
        writer.forget([2])
        with monkeypatch.context() as patch:

            def fail(*_: object, **__: object) -> None:
                raise PersonSearchError("the disk is away")

            patch.setattr(Table, "batches", fail)
            for _ in range(2):
                with pytest.raises(PersonSearchError, match="the disk is away"):
                    reader._newest()
        assert reader._newest().people.detection.tolist() == [1, 3]


def test_nobody_is_copied_where_everything_must_be_read_anew(
    new_gallery: Callable, state: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The old people, a copy of them and the new ones at once would be three times the memory."""
    copies = []
    real = People.of_pictures

    def of_pictures(self: People, pictures: np.ndarray) -> People:
        copies.append(len(self))
        return real(self, pictures)

    monkeypatch.setattr(People, "of_pictures", of_pictures)
    with new_gallery() as writer, Gallery.open(writer.path) as reader:
        for number in range(4):
            two = Detections([[0, 0, 10, 30], [20, 0, 30, 30]], [0.9, 0.8], [[number, 0, 0], [number, 1, 1]])
            writer.add_picture(state(writer, f"{number}.jpg"), two)
        writer.flush()
        assert len(reader._newest().people) == 8
        writer.mark_missing(state(writer, "3.jpg").place)
        writer.flush()
        assert (len(reader._newest().people), len(copies)) == (6, 1)  # here a copy is all that is needed
        writer.forget([1])
        copies.clear()
        old, alive = weakref.ref(reader._newest().people.room), []
        real_load = People.load
        writer.forget([3])

        def load(*given: object) -> People:
            alive.append(old() is not None)
            return real_load(*given)

        monkeypatch.setattr(People, "load", staticmethod(load))
        assert reader._newest().people.detection.tolist() == [2, 4, 5, 6]
        assert alive == [False]  # who is replaced has gone by then
        writer.forget([5])
        copies.clear()
        assert reader._newest().people.detection.tolist() == [2, 4, 6]
        assert copies == []
