"""Whatever is wrong with a gallery is found; what can be mended is mended, and nothing else is touched."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from personsearch.errors import PersonSearchError
from personsearch.gallery import ledger as records
from personsearch.gallery.audit import AuditLog
from personsearch.gallery.gallery import Gallery
from personsearch.gallery.repair import repair
from personsearch.gallery.suppression import Box, Suppression
from personsearch.gallery.verify import verify
from personsearch.types import Query

MODEL = "a" * 64


@pytest.fixture
def whole(new_gallery: Callable, state: Callable, seen: Callable) -> Gallery:
    """Four pictures of two people, each a commit of its own."""
    gallery = new_gallery()
    for number in range(4):
        gallery.add_picture(state(gallery, f"{number}.jpg"), seen([number, 0, 0], [number, 1, 0]))
        gallery.flush()
    return gallery


def found(path: Path) -> list[str]:
    with Gallery.open(path) as gallery:
        hits = gallery.search(
            np.zeros(3), 99, fingerprint=MODEL, query=Query("q", [0, 0, 1, 1]), per="person"
        )
        return sorted(Path(hit.picture).name for hit in hits.hits)


def rules(path: Path, severity: str = "error") -> list[str]:
    return [finding.rule for finding in verify(path).findings if finding.severity == severity]


def test_a_whole_gallery(whole: Gallery) -> None:
    report = verify(whole.path)
    assert report.right
    assert (report.files, report.pictures, report.people, report.findings) == (4, 4, 8, ())
    whole.close()
    before = found(whole.path)
    assert repair(whole.path) == []
    assert found(whole.path) == before


def test_lost_people_are_found_and_their_pictures_read_again(whole: Gallery, state: Callable) -> None:
    whole._people_table.delete("detection", [3])
    whole.close()
    assert rules(whole.path) == ["people missing"]
    assert verify(whole.path).findings[0].examples == ("1.jpg",)
    assert repair(whole.path) == [
        "ledger: 1 files have lost people and are looked at again by the next indexing"
    ]
    assert verify(whole.path).findings == ()
    assert found(whole.path) == ["0.jpg", "0.jpg", "2.jpg", "2.jpg", "3.jpg", "3.jpg"]
    with Gallery.open(whole.path) as gallery:
        entry = gallery.entry(state(gallery, "1.jpg").place)
        assert entry is not None
        assert (entry.state, entry.size, entry.stage) == ("failed", -1, "verify")


def test_debris_is_a_note_and_is_swept(whole: Gallery) -> None:
    table = whole._people_table
    (batch, *_) = table.batches(table.schema.names)
    stray = batch.set_column(1, table.schema.field("picture"), records.pa.array([99] * len(batch)))
    table.add(records.pa.Table.from_batches([stray]))
    whole.close()
    assert rules(whole.path) == []
    assert rules(whole.path, "note") == ["debris"]
    assert verify(whole.path).right
    repair(whole.path)
    assert verify(whole.path).findings == ()
    assert len(found(whole.path)) == 8


def test_people_twice_or_impossible_are_removed(whole: Gallery) -> None:
    table = whole._people_table
    batches = list(table.batches(table.schema.names))
    twice = batches[0].slice(0, 1)
    table.add(records.pa.Table.from_batches([twice]))
    whole.close()
    assert set(rules(whole.path)) == {"people missing", "doubled people"}
    assert repair(whole.path)[0] == "people: removed 1 rows that were there twice or cannot be right"
    assert verify(whole.path).findings == ()
    assert len(found(whole.path)) == 8
    with Gallery.open(whole.path, writable=True) as again:
        table = again._people_table
        rows = records.pa.Table.from_batches(table.batches(table.schema.names))
        scores = rows.column("score").to_numpy().copy()
        scores[5] = np.nan
        table.delete("detection", rows.column("detection").to_pylist())
        index = rows.schema.get_field_index("score")
        table.add(rows.set_column(index, table.schema.field("score"), records.pa.array(scores)))
    assert rules(whole.path) == ["impossible"]
    repair(whole.path)
    assert verify(whole.path).right
    assert len(found(whole.path)) == 6  # the whole picture is read again


def test_the_number_of_somebody_removed_is_not_given_again(
    whole: Gallery, state: Callable, seen: Callable
) -> None:
    table = whole._people_table
    rows = records.pa.Table.from_batches(table.batches(table.schema.names))
    scores = rows.column("score").to_numpy().copy()
    scores[7] = np.nan  # the newest person, whose number nothing else shows
    table.delete("detection", rows.column("detection").to_pylist())
    index = rows.schema.get_field_index("score")
    table.add(rows.set_column(index, table.schema.field("score"), records.pa.array(scores)))
    whole.close()
    repair(whole.path)
    with Gallery.open(whole.path, writable=True) as again:
        again.add_picture(state(again, "new.jpg"), seen([9, 9, 9]))
        again.flush()
        assert [person.detection for person in again.stored(range(20))] == [1, 2, 3, 4, 5, 6, 9]


def test_files_twice_in_the_ledger(whole: Gallery) -> None:
    entries = list(whole.entries())
    whole._ledger_table.add(records.to_rows([replace(entries[1], recorded=1.0)]))
    whole.close()
    assert rules(whole.path) == ["doubled files"]
    assert repair(whole.path) == ["ledger: removed 1 rows of files that were there twice"]
    assert verify(whole.path).findings == ()
    assert len(found(whole.path)) == 8


@pytest.mark.parametrize("name", ["people", "ledger"])
@pytest.mark.parametrize("damage", ["empty", "half", "gone", "zeros"])
def test_a_damaged_data_file_costs_its_own_pictures(name: str, damage: str, whole: Gallery) -> None:
    whole.close()
    newest = max((whole.path / f"{name}.lance" / "data").iterdir(), key=lambda file: file.stat().st_mtime_ns)
    content = newest.read_bytes()
    if damage == "gone":
        newest.unlink()
    else:
        newest.write_bytes(
            {"empty": b"", "half": content[: len(content) // 2], "zeros": bytes(len(content))}[damage]
        )
    assert "unreadable" in rules(whole.path)
    done = repair(whole.path)
    assert any("went back from version" in line for line in done), done
    assert verify(whole.path).findings == ()
    assert found(whole.path) == ["0.jpg", "0.jpg", "1.jpg", "1.jpg", "2.jpg", "2.jpg"]


@pytest.mark.parametrize("name", ["people", "ledger"])
def test_a_damaged_manifest_is_put_aside(name: str, whole: Gallery) -> None:
    whole.close()
    versions = whole.path / f"{name}.lance" / "_versions"
    newest = max(versions.glob("*.manifest"), key=lambda file: file.stat().st_mtime_ns)
    newest.write_bytes(b"")
    assert "unreadable" in rules(whole.path)
    done = repair(whole.path)
    assert any("manifest" in line for line in done), done
    assert verify(whole.path).right
    assert set(found(whole.path)) >= {"0.jpg", "1.jpg", "2.jpg"}


def test_a_table_that_is_gone_cannot_be_mended(whole: Gallery) -> None:
    import shutil

    whole.close()
    shutil.rmtree(whole.path / "people.lance")
    assert "unreadable" in rules(whole.path)
    with pytest.raises(PersonSearchError) as caught:
        repair(whole.path)
    assert caught.value.hint
    assert "\n" not in str(caught.value)


def test_people_who_were_forgotten_and_are_there(whole: Gallery) -> None:
    Suppression(boxes=(Box(sha256="sha of 1.jpg", box=(0, 0, 10, 20), receipt="r"),)).write(whole.path)
    whole.close()
    assert rules(whole.path) == ["forgotten"]


def test_a_changed_audit_log_is_said_and_not_mended(whole: Gallery) -> None:
    log = AuditLog(whole.path)
    log.append("search", {"hits": [1]})
    path = whole.path / "audit.jsonl"
    path.write_text(json.dumps({**json.loads(path.read_text()), "hits": []}) + "\n")
    whole.close()
    assert rules(whole.path) == ["audit log"]
    before = path.read_text()
    repair(whole.path)
    assert rules(whole.path) == ["audit log"]
    assert path.read_text() == before


def test_temporary_files_and_writers_at_work(whole: Gallery, state: Callable, seen: Callable) -> None:
    (whole.path / ".gallery.json.1.tmp").write_text("{")
    assert rules(whole.path, "note") == ["temporary"]
    whole.add_picture(state(whole, "later.jpg"), seen([1, 1, 1]))
    assert verify(whole.path).right
    with pytest.raises(PersonSearchError, match="is being written by process"):
        repair(whole.path)
    whole.close()
    assert repair(whole.path) == ["removed the temporary file .gallery.json.1.tmp"]
    assert verify(whole.path).people == 9
