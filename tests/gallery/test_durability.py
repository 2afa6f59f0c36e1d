"""What is on disk after the worst: deaths between two commits, full disks, damage, two writers."""

import errno
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from personsearch.errors import LockedError, PersonSearchError
from personsearch.gallery import batch, tables
from personsearch.gallery.gallery import Gallery
from personsearch.gallery.interrupt import uninterrupted
from personsearch.gallery.tables import Table
from personsearch.types import Query

MODEL = "a" * 64


def found(gallery: Gallery) -> list[str]:
    result = gallery.search(
        np.zeros(gallery.dim), 100, fingerprint=MODEL, query=Query("q", [0, 0, 1, 1]), per="person"
    )
    return sorted(Path(hit.picture).name for hit in result.hits)


@pytest.mark.parametrize("dies_in", ["people", "ledger", "orphans"])
def test_death_between_the_commits_of_a_batch(
    dies_in: str, new_gallery: Callable, state: Callable, seen: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The batch that was dying is there whole or not at all, and the debris is swept."""
    gallery = new_gallery()
    gallery.add_picture(state(gallery, "old.jpg"), seen([1, 0, 0]))
    gallery.add_picture(state(gallery, "other.jpg"), seen([2, 0, 0]))
    gallery.flush()
    gallery.add_picture(state(gallery, "old.jpg", "changed", 2), seen([3, 0, 0], [4, 0, 0]))
    gallery.add_picture(state(gallery, "new.jpg"), seen([5, 0, 0]))

    def death(*_: object) -> None:
        raise SystemExit

    with monkeypatch.context() as patch:
        table = gallery._people_table if dies_in in ("people", "orphans") else gallery._ledger_table
        method = {"people": "add", "ledger": "put", "orphans": "delete"}[dies_in]
        patch.setattr(table, method, death)
        with pytest.raises(SystemExit):
            gallery.flush()
    gallery.close()  # writes no more
    before, after = ["old.jpg", "other.jpg"], ["new.jpg", "old.jpg", "old.jpg", "other.jpg"]
    expected = after if dies_in == "orphans" else before
    with Gallery.open(gallery.path) as reader:
        assert found(reader) == expected
    with Gallery.open(gallery.path, writable=True) as again:
        assert len(again._people_table) == len(expected)
        again.add_picture(state(again, "later.jpg"), seen([6, 0, 0]))
        assert found(again) == sorted([*expected, "later.jpg"])
        numbers = [
            n for rows in again._people_table.batches(["detection"]) for n in rows["detection"].to_pylist()
        ]
        assert len(numbers) == len(set(numbers))


def test_a_batch_is_committed_when_it_is_large_or_old(
    new_gallery: Callable, state: Callable, seen: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    def committed(gallery: Gallery) -> int:
        return len(gallery._ledger_table)

    with new_gallery() as gallery:
        gallery._ledger_table.newest()
        gallery.add_picture(state(gallery, "1.jpg"), seen([0, 0, 0]))
        assert committed(gallery) == 0
        monkeypatch.setattr(batch, "PEOPLE", 3)
        gallery.add_picture(state(gallery, "2.jpg"), seen([0, 0, 0], [0, 0, 0]))
        assert committed(gallery) == 2
        monkeypatch.setattr(batch, "FILES", 2)
        gallery.add_failure(state(gallery, "3.jpg"), "decode", "broken")
        assert committed(gallery) == 2
        gallery.add_failure(state(gallery, "4.jpg"), "decode", "broken")
        assert committed(gallery) == 4
        monkeypatch.setattr(batch, "SECONDS", 0.0)
        gallery.add_failure(state(gallery, "5.jpg"), "decode", "broken")
        assert committed(gallery) == 5


def test_a_batch_that_waits_is_committed_though_nothing_follows(
    new_gallery: Callable, state: Callable, seen: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    with new_gallery() as gallery:
        gallery.add_picture(state(gallery, "1.jpg"), seen([0, 0, 0]))
        gallery.keep_up()
        assert len(gallery._ledger_table) == 0
        monkeypatch.setattr(batch, "SECONDS", 0.0)
        gallery.keep_up()
        assert len(gallery._ledger_table) == 1


def test_what_a_killed_writer_did_not_sync_is_synced_by_the_next(
    new_gallery: Callable, state: Callable, seen: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its files are part of what is acknowledged later; those of an hour ago are on the disk anyway."""
    gallery = new_gallery()
    with monkeypatch.context() as patch:
        patch.setattr(Table, "_sync", lambda self: None)
        gallery.add_picture(state(gallery, "a.jpg"), seen([1, 0, 0]))
        gallery.flush()
    gallery._batch._broken = True  # it is killed here
    gallery.close()
    left = {str(file) for file in gallery._people_table.files.rglob("*") if file.is_file()}
    old = min(left)
    os.utime(old, (0, 0))
    synced: set[str] = set()
    real = os.fsync

    def fsync(handle: int) -> None:
        synced.add(str(Path(f"/proc/self/fd/{handle}").readlink()))
        real(handle)

    with Gallery.open(gallery.path, writable=True) as again:
        monkeypatch.setattr(os, "fsync", fsync)
        again.add_picture(state(again, "b.jpg"), seen([2, 0, 0]))
        again.flush()
        monkeypatch.undo()
    assert left - {old} <= synced
    assert old not in synced


def test_everything_is_synced_before_it_is_acknowledged(
    new_gallery: Callable, state: Callable, seen: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: set[tuple[int, int]] = set()
    real = os.fsync

    def fsync(handle: int) -> None:
        about = os.fstat(handle)
        synced.add((about.st_dev, about.st_ino))
        real(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    with new_gallery() as gallery:
        for number in range(3):
            gallery.add_picture(state(gallery, f"{number}.jpg"), seen([number, 0, 0]))
            gallery.add_picture(state(gallery, "same.jpg", f"{number}", number), seen([number, 0, 0]))
            gallery.flush()
            for where, _, files in os.walk(gallery.path):
                for path in [Path(where), *(Path(where, name) for name in files)]:
                    about = path.stat()
                    ours = path.suffix in (".lance", ".txn", ".manifest", ".arrow", ".json")
                    assert (about.st_dev, about.st_ino) in synced or not ours, path


def test_tidying_keeps_everybody(
    new_gallery: Callable, state: Callable, seen: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch, "TIDY_EVERY", 5)
    with new_gallery() as gallery, Gallery.open(gallery.path) as reader:
        for number in range(12):
            gallery.add_picture(state(gallery, f"{number}.jpg"), seen([number, 0, 0]))
            gallery.flush()
            assert len(found(reader)) == number + 1
        result = gallery.search(
            np.array([3, 0, 0]), 3, fingerprint=MODEL, query=Query("q", [0, 0, 1, 1]), per="person"
        )
        assert [hit.detection for hit in result.hits] == [4, 3, 5]


def full_disk(*_: object, **__: object) -> None:
    raise RuntimeError(
        "lance error: LanceError(IO): Generic LocalFileSystem error: No space left on device (os error 28), "
        "/somewhere/rust/src/writer.rs:1:2\n  caused by something"
    )


@pytest.mark.parametrize("fills_at", ["people", "ledger", "fsync"])
def test_a_full_disk_is_one_line_and_costs_one_batch(
    fills_at: str, new_gallery: Callable, state: Callable, seen: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    gallery = new_gallery()
    gallery.add_picture(state(gallery, "a.jpg"), seen([1, 0, 0]))
    gallery.flush()
    with monkeypatch.context() as patch, pytest.raises(PersonSearchError) as caught:  # noqa: PT012
        if fills_at == "fsync":

            def fsync(_: int) -> None:
                raise OSError(errno.ENOSPC, "No space left on device")

            patch.setattr(os, "fsync", fsync)
        else:
            table = gallery._people_table if fills_at == "people" else gallery._ledger_table
            patch.setattr(type(table._table), "add", full_disk)
            if fills_at == "ledger":
                patch.setattr(gallery._people_table, "add", lambda rows: None)
        gallery.add_picture(state(gallery, "b.jpg"), seen([2, 0, 0]))
        gallery.flush()
    assert "no space left on the disk of" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "free some space" in caught.value.hint
    with pytest.raises(PersonSearchError, match="failed before; nothing more is written"):
        gallery.flush()  # silence would be taken for an acknowledgement
    with pytest.raises(PersonSearchError, match="failed before"):
        found(gallery)
    gallery.close()
    with Gallery.open(gallery.path, writable=True) as again:
        assert "a.jpg" in found(again)
        again.add_picture(state(again, "c.jpg"), seen([3, 0, 0]))
        assert {"a.jpg", "c.jpg"} <= set(found(again))


def test_a_disk_that_really_takes_no_more(tmp_path: Path, pictures: Path) -> None:
    """The system refuses the write in the middle of LanceDB's own file."""
    program = """
import resource, signal, sys
import numpy as np
from personsearch.errors import PersonSearchError
from personsearch.gallery.gallery import Gallery
from personsearch.gallery.ledger import FileState
from personsearch.types import Detections, Query
def add(gallery, name, n):
    state = FileState(place=gallery.place(sys.argv[2] + "/" + name), size=1, mtime_ns=1, sha256=name)
    gallery.add_picture(state, Detections(np.zeros((n, 4)), np.ones(n), np.random.rand(n, 64)))
def names():
    with Gallery.open(sys.argv[1]) as gallery:
        found = gallery.search(np.zeros(64), fingerprint="f", query=Query("q", [0, 0, 1, 1]))
        return sorted({hit.picture.split("/")[-1] for hit in found.hits})
gallery = Gallery.create(sys.argv[1], "f", 64, "euclidean")
gallery.add_source(sys.argv[2])
add(gallery, "a.jpg", 10)
gallery.flush()
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
try:
    add(gallery, "b.jpg", 1000)
    gallery.flush()
except PersonSearchError as error:
    assert "\\n" not in str(error), error
    print("refused:", str(error)[-80:])
gallery.close()
print(names())
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
with Gallery.open(sys.argv[1], writable=True) as gallery:
    add(gallery, "b.jpg", 1000)
print(names())
"""
    arguments = [sys.executable, "-c", program, str(tmp_path / "gallery"), str(pictures)]
    done = subprocess.run(arguments, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith("refused:")
    assert lines[1:] == ["['a.jpg']", "['a.jpg', 'b.jpg']"]


def test_damage_is_said_not_hidden(new_gallery: Callable, state: Callable, seen: Callable) -> None:
    with new_gallery() as gallery:
        gallery.add_picture(state(gallery, "a.jpg"), seen([1, 0, 0]))
        gallery.add_picture(state(gallery, "b.jpg"), seen([2, 0, 0], [3, 0, 0]))
        gallery.flush()
        gallery._people_table.delete("detection", [3])
    with Gallery.open(gallery.path) as reader:
        with pytest.raises(
            PersonSearchError, match="damaged: people of 1 pictures are not all there"
        ) as caught:
            found(reader)
        assert caught.value.hint
    for data in (gallery.path / "ledger.lance" / "data").iterdir():
        data.write_bytes(b"")
    with pytest.raises(PersonSearchError, match=r"ledger\.lance cannot be used") as caught:
        Gallery.open(gallery.path)
    assert "\n" not in str(caught.value)


def test_a_second_writer_hears_who_is_writing(new_gallery: Callable) -> None:
    with new_gallery() as gallery:
        with pytest.raises(LockedError) as caught:
            Gallery.open(gallery.path, writable=True)
        assert f"process {os.getpid()} on " in str(caught.value)
        assert caught.value.exit_code == 6
        Gallery.open(gallery.path).close()
        program = "import sys; from personsearch.gallery.lock import WriterLock; WriterLock(sys.argv[1])"
        program = program.replace("sys.argv[1]", "__import__('pathlib').Path(sys.argv[1])")
        arguments = [sys.executable, "-c", program, str(gallery.path / "writer.lock")]
        done = subprocess.run(arguments, capture_output=True, text=True)
        assert f"is being written by process {os.getpid()}" in done.stderr
    Gallery.open(gallery.path, writable=True).close()


def test_what_a_dead_writer_was_about_to_write_goes_with_the_next(new_gallery: Callable) -> None:
    """But for the audit log's, which a reader may be writing just now."""
    gallery = new_gallery()
    gallery.close()
    names = ("gallery.json", "suppressed.json", "removal.json", "migration.json", "cells.npz", "audit.head")
    for name in names:
        (gallery.path / f".{name}.77.tmp").write_bytes(b"half of")
    Gallery.open(gallery.path).close()
    assert len(list(gallery.path.glob(".*.tmp"))) == 6
    Gallery.open(gallery.path, writable=True).close()
    assert [left.name for left in gallery.path.glob(".*.tmp")] == [".audit.head.77.tmp"]


def test_a_dead_writers_lock_holds_nobody_up(new_gallery: Callable) -> None:
    path = new_gallery()
    path.close()
    program = """
import os, sys, pathlib, signal
from personsearch.gallery.lock import WriterLock
lock = WriterLock(pathlib.Path(sys.argv[1]))
print("locked", flush=True)
signal.pause()
"""
    arguments = [sys.executable, "-c", program, str(path.path / "writer.lock")]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "locked\n"
        with pytest.raises(LockedError, match=f"process {other.pid} on"):
            Gallery.open(path.path, writable=True)
        other.send_signal(signal.SIGKILL)
        other.wait()
    Gallery.open(path.path, writable=True).close()
    (path.path / "writer.lock").write_text("garbage")
    with Gallery.open(path.path, writable=True):
        assert json.loads((path.path / "writer.lock").read_text())["process"] == os.getpid()


def test_interrupting_waits_for_the_end_of_a_commit() -> None:
    steps = []
    with pytest.raises(KeyboardInterrupt):  # noqa: PT012
        with uninterrupted():
            os.kill(os.getpid(), signal.SIGINT)
            steps.append("went on")
        steps.append("came after")
    assert steps == ["went on"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_whatever_is_deleted_is_one_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many numbers, in runs or alone; and who stays is whom a look at each number leaves."""
    rng = np.random.default_rng(3)
    table = Table(tmp_path, "numbers", pa.schema([("number", pa.int64())]), create=True)
    everybody = np.arange(-20, 400)
    runs = np.concatenate([np.arange(first, first + 9) for first in range(0, 390, 11)])
    for some, named in (
        (rng.permutation(everybody)[:200], 64),
        (np.append(runs, [397, 2**70]), 64),
        (runs, 3),
        (everybody[3:-3], 64),
        ([5, 5, -7, 10**6], 64),
        ([], 64),
        ([-(2**63) - 1, 2**63], 64),
    ):
        monkeypatch.setattr(tables, "_RUNS", named)
        table.add(pa.table({"number": everybody}))
        before = table.newest()
        gone = {int(n) for n in some}
        found = [
            n for rows in table.rows_of("number", list(gone), ["number"]) for n in rows["number"].to_pylist()
        ]
        assert sorted(found) == sorted(gone & set(everybody.tolist()))
        table.delete("number", list(gone))
        assert table.newest() - before == bool(found)
        left = [n for rows in table.batches(["number"]) for n in rows["number"].to_pylist()]
        assert sorted(left) == [n for n in everybody.tolist() if n not in gone]
        table.delete("number", left)
