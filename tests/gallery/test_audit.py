"""The log can only grow: whatever else is done to it is seen."""

import json
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from personsearch.errors import InputError
from personsearch.gallery.audit import HEAD, LOG, NOTHING, AuditLog, seal


@pytest.fixture
def log(tmp_path: Path) -> AuditLog:
    """Five records."""
    log = AuditLog(tmp_path)
    for number in range(5):
        log.append("search", {"hits": [number], "purpose": "ü"})
    return log


def lines(log: AuditLog) -> list[bytes]:
    return (log.folder / LOG).read_bytes().splitlines(keepends=True)


def rewrite(log: AuditLog, several: list[bytes]) -> None:
    (log.folder / LOG).write_bytes(b"".join(several))


def test_records_follow_one_another(log: AuditLog) -> None:
    report = log.check()
    assert (report.records, report.problems) == (5, ())
    records = list(log.records())
    assert [record["number"] for record in records] == [1, 2, 3, 4, 5]
    assert records[0]["previous"] == NOTHING
    assert all(a["hash"] == b["previous"] for a, b in pairwise(records))
    assert all(record["hash"] == seal(record) for record in records)
    assert report.head == records[-1]["hash"]
    assert {"time", "who", "action", "schema"} <= set(records[0])
    assert AuditLog(log.folder / "none").check().problems == ()


def test_every_kind_of_change_is_seen(log: AuditLog) -> None:
    good = lines(log)
    changed = [line.replace(b'"purpose": "\\u00fc"', b'"purpose": "other"') for line in good]
    assert changed != good
    for planted, said in (
        ([changed[0], *good[1:]], "line 1 was changed"),
        ([*good[:4], changed[4]], "line 5 was changed"),
        ([*good[:2], *good[3:]], "line 3 does not follow"),
        ([good[0], good[2], good[1], *good[3:]], "does not follow"),
        ([*good[:3], good[2], *good[3:]], "line 4 does not follow"),
        (good[1:], "line 1 does not follow"),
        (good[:4], "records at the end are missing"),
        ([], "records at the end are missing"),
        ([*good[:2], b"{}\n", *good[2:]], "line 3"),
        ([*good[:2], b"no json\n", *good[2:]], "line 3 is not a record"),
    ):
        rewrite(log, planted)
        problems = log.check().problems
        assert any(said in problem for problem in problems), (said, problems)
    rewrite(log, good)
    assert log.check().problems == ()


def test_a_record_that_is_sealed_again_breaks_the_next(log: AuditLog) -> None:
    good = lines(log)
    record = json.loads(good[1])
    record["hits"] = [99]
    record["hash"] = seal(record)
    rewrite(log, [good[0], json.dumps(record).encode() + b"\n", *good[2:]])
    assert log.check().problems == ("line 3 does not follow the line before it",)
    record = json.loads(good[4])
    record["hits"] = [99]
    record["hash"] = seal(record)
    rewrite(log, [*good[:4], json.dumps(record).encode() + b"\n"])
    assert "another one" in log.check().problems[0]


def test_cutting_off_the_end_is_remembered_by_the_next_record(log: AuditLog) -> None:
    rewrite(log, lines(log)[:3])
    log.append("search", {})
    assert (log.folder / HEAD).exists()
    assert any("cut off" in problem for problem in log.check().problems)


def test_half_a_line_of_a_writer_that_died_is_no_record(log: AuditLog) -> None:
    with (log.folder / LOG).open("ab") as file:
        file.write(lines(log)[-1][:40])
    assert log.check().problems == ()
    log.append("forget", {"receipt": "r1"})
    assert log.check() == AuditLog(log.folder).check()
    assert (log.check().records, log.check().problems) == (6, ())
    assert log.holds("r1")
    assert not log.holds("r2")


def test_a_head_that_was_not_written_yet_is_no_damage(log: AuditLog) -> None:
    """A death between the record and the head."""
    head = (log.folder / HEAD).read_bytes()
    log.append("search", {})
    (log.folder / HEAD).write_bytes(head)
    assert log.check().problems == ()


def test_a_log_whose_end_is_garbage_takes_no_more(log: AuditLog) -> None:
    with (log.folder / LOG).open("ab") as file:
        file.write(b"garbage\n")
    with pytest.raises(InputError, match="last line"):
        log.append("search", {})


def test_long_records_and_long_logs(tmp_path: Path) -> None:
    log = AuditLog(tmp_path)
    for number in range(4):
        log.append("search", {"purpose": "x" * (100_000 if number % 2 else 10)})
    assert (log.check().records, log.check().problems) == (4, ())


def test_several_processes_write_one_chain(tmp_path: Path) -> None:
    program = """
import sys, pathlib
from personsearch.gallery.audit import AuditLog
for number in range(10):
    AuditLog(pathlib.Path(sys.argv[1])).append("search", {"by": sys.argv[2]})
"""
    running = [subprocess.Popen([sys.executable, "-c", program, str(tmp_path), str(i)]) for i in range(3)]
    assert [process.wait() for process in running] == [0, 0, 0]
    report = AuditLog(tmp_path).check()
    assert (report.records, report.problems) == (30, ())
