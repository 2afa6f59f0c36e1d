"""The forms of an answer: tables for people; JSON lines, CSV and paths for programs."""

from __future__ import annotations

import csv
import io
import json

import numpy as np
import pytest

from personsearch.cli.output import Answer, Format, Printer, chosen, plain
from personsearch.errors import UsageError

ANSWER = Answer(
    record={"schema": "personsearch.x/1", "box_xyxy": np.array([1.5, 2], np.float32), "bad": float("nan")},
    rows=[{"rank": 1, "picture": "=cmd()", "score": 0.5}, {"rank": 12, "picture": "b,c.jpg", "score": None}],
    before=["before\x1b[2J"],
    after=["after"],
    paths=["=cmd()", "b,c.jpg"],
)


def written(form: Format, *answers: Answer, null: bool = False) -> str:
    stream = io.StringIO()
    printer = Printer(form, null, stream)
    for answer in answers:
        printer(answer)
    return stream.getvalue()


def test_jsonl_is_one_strict_object_a_line() -> None:
    lines = written(Format.JSONL, ANSWER, ANSWER).splitlines()
    assert len(lines) == 2
    assert json.loads(lines[0]) == {"schema": "personsearch.x/1", "box_xyxy": [1.5, 2.0], "bad": None}


def test_table_aligns_and_strips_control_characters() -> None:
    assert written(Format.TABLE, ANSWER).splitlines() == [
        "before?[2J",
        "rank  picture  score",
        "   1  =cmd()   0.500",
        "  12  b,c.jpg      -",
        "after",
    ]


def test_csv_has_one_header_and_no_formulas() -> None:
    rows = list(csv.reader(io.StringIO(written(Format.CSV, ANSWER, ANSWER))))
    assert rows[0] == ["rank", "picture", "score"]
    assert len(rows) == 5
    assert rows[1:3] == [["1", "'=cmd()", "0.5"], ["12", "b,c.jpg", ""]]


def test_paths_end_with_a_newline_or_nul() -> None:
    assert written(Format.PATHS, ANSWER) == "=cmd()\nb,c.jpg\n"
    assert written(Format.PATHS, ANSWER, null=True) == "=cmd()\0b,c.jpg\0"


def test_the_form_follows_the_terminal_and_contradictions_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for terminal, expected in ((True, Format.TABLE), (False, Format.JSONL)):
        monkeypatch.setattr("sys.stdout.isatty", lambda terminal=terminal: terminal, raising=False)
        assert chosen(None, False) is expected
    assert chosen(None, True) is Format.JSONL
    assert chosen(Format.CSV, False, listing=True) is Format.CSV
    with pytest.raises(UsageError):
        chosen(Format.TABLE, True)
    with pytest.raises(UsageError):
        chosen(Format.PATHS, False)


def test_plain_turns_numpy_and_infinities_into_json() -> None:
    value = plain({"a": np.float32(0.5), "b": np.arange(2), "c": (float("inf"), True, None), 3: np.int64(4)})
    assert json.dumps(value) == '{"a": 0.5, "b": [0, 1], "c": [null, true, null], "3": 4}'


def test_jsonl_is_utf8_also_where_a_name_is_not() -> None:
    name = b"\xff\xfe.jpg".decode("utf-8", "surrogateescape")
    line = written(Format.JSONL, Answer(record={"picture": name, "note": "ü"}))
    assert json.loads(line.encode()) == {"picture": name, "note": "ü"}
    assert "ü" in written(Format.JSONL, Answer(record={"note": "ü"}))  # readable wherever it can be
