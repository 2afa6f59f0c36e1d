"""Results on standard output: a table for people, JSON lines, CSV or paths for programs.

Every command turns its answer into :class:`Answer`; which form it takes is decided here, once.
"""

from __future__ import annotations

import csv
import json
import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TextIO

from personsearch.errors import UsageError
from personsearch.files import harmless


class Format(StrEnum):
    """How results are written."""

    TABLE = "table"
    JSONL = "jsonl"
    CSV = "csv"
    PATHS = "paths"


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One result of a command, in a form for each reader.

    Attributes:
        record: the JSON object; it names its ``schema``, and boxes say their form (``box_xyxy``).
        rows: one mapping a line of the table or CSV; the keys are the columns.
        before, after: lines that stand around the table.
        paths: the files it names, for ``--format paths``; None where there are none to name.
    """

    record: Mapping[str, Any]
    rows: Sequence[Mapping[str, Any]] = ()
    before: Sequence[str] = ()
    after: Sequence[str] = ()
    paths: Sequence[str] | None = None


def chosen(form: Format | None, as_json: bool, *, listing: bool = False) -> Format:
    """The form that was asked for; a table on a terminal and JSON lines in a pipe when none was.

    Args:
        form: what ``--format`` said.
        as_json: whether ``--json`` was given.
        listing: whether the command's answer is a list of files, which CSV and paths need.
    """
    if as_json and form not in (None, Format.JSONL):
        raise UsageError(f"--json and --format {form} contradict each other", hint="give one of them")
    if form in (Format.CSV, Format.PATHS) and not listing:
        raise UsageError(f"--format {form} has nothing to list here", hint="use table or jsonl")
    if as_json:
        return Format.JSONL
    return form or (Format.TABLE if sys.stdout.isatty() else Format.JSONL)


@dataclass
class Printer:
    """Writes answers one after the other.

    Attributes:
        form: how.
        null: end paths with a NUL byte, for ``xargs -0``.
        stream: where; standard output by default.
    """

    form: Format
    null: bool = False
    stream: TextIO = field(default_factory=lambda: sys.stdout)
    _columns: tuple[str, ...] | None = None

    def __call__(self, answer: Answer) -> None:
        """Write one answer, at once."""
        if self.form is Format.JSONL:
            print(json_line(answer.record), file=self.stream)
        elif self.form is Format.CSV:
            self._write_csv(answer.rows)
        elif self.form is Format.PATHS:
            for path in answer.paths or ():
                print(path, end="\0" if self.null else "\n", file=self.stream)
        else:
            for line in answer.before:
                print(printable(line), file=self.stream)
            if answer.rows:
                print_table(answer.rows, self.stream)
            for line in answer.after:
                print(printable(line), file=self.stream)
        self.stream.flush()

    def _write_csv(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Rows of CSV, the header before the first."""
        for row in rows:
            if self._columns is None:
                self._columns = tuple(row)
                csv.writer(self.stream, lineterminator="\n").writerow(self._columns)
            csv.writer(self.stream, lineterminator="\n").writerow([harmless(row[c]) for c in self._columns])


def print_table(rows: Sequence[Mapping[str, Any]], stream: TextIO) -> None:
    """A table with aligned columns: numbers to the right, the rest to the left.

    >>> print_table([{"rank": 1, "picture": "a.jpg"}, {"rank": 10, "picture": "b.jpg"}], sys.stdout)
    rank  picture
       1  a.jpg
      10  b.jpg
    """
    columns = list(rows[0])
    cells = [[shown(row[column]) for column in columns] for row in rows]
    right = [all(isinstance(row[column], int | float | None) for row in rows) for column in columns]
    widths = [max(len(column), *(len(line[i]) for line in cells)) for i, column in enumerate(columns)]
    for line in (columns, *cells):
        padded = (
            text.rjust(width) if to_right else text.ljust(width)
            for text, width, to_right in zip(line, widths, right, strict=True)
        )
        print("  ".join(padded).rstrip(), file=stream)


def shown(value: Any) -> str:
    """A value as a cell of a table shows it.

    >>> shown(0.123456), shown(None), shown(7), shown("a\\x1b[2Jb")
    ('0.123', '-', '7', 'a?[2Jb')
    """
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "-"
    return f"{value:.3f}" if isinstance(value, float) else printable(str(value))


def printable(text: str) -> str:
    """``text`` without control characters: a file's name must not steer the terminal."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def json_line(record: Mapping[str, Any]) -> str:
    """``record`` as one line of JSON that is UTF-8, also where a file's name is not.

    Bytes of a name that are no text are written as the escapes Python reads them back from.

    >>> json_line({"picture": "ü\\udcff.jpg"}), json_line({"picture": "ü.jpg"})
    ('{"picture": "\\\\u00fc\\\\udcff.jpg"}', '{"picture": "ü.jpg"}')
    """
    value = plain(record)
    line = json.dumps(value, ensure_ascii=False, allow_nan=False)
    try:
        line.encode()
    except UnicodeEncodeError:
        return json.dumps(value, allow_nan=False)
    return line


def plain(value: Any) -> Any:
    """``value`` as JSON can hold it: arrays become lists, NaN and infinities become null.

    >>> plain({"a": (1, float("nan"))})
    {'a': [1, None]}
    """
    if hasattr(value, "tolist"):  # NumPy arrays and numbers, without importing NumPy for --help
        value = value.tolist()
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, str) or value is None or isinstance(value, int):
        return value
    return [plain(item) for item in value] if isinstance(value, Iterable) else str(value)


def rounded_box(box: Any) -> list[float]:
    """A box's four numbers to a hundredth of a pixel, as JSON carries them."""
    return [round(float(side), 2) for side in box]


def box_text(box_xyxy: Any) -> str:
    """A box the way ``--box`` takes it, ``x,y,w,h`` in whole pixels, so that it can be copied.

    >>> box_text([10.2, 20.0, 40.2, 99.6])
    '10,20,30,80'
    """
    x1, y1, x2, y2 = (float(side) for side in box_xyxy)
    return f"{x1:.0f},{y1:.0f},{x2 - x1:.0f},{y2 - y1:.0f}"
