"""When was this taken? From the file's own metadata, its time of change, or its name.

Times are seconds since 1970. What names no time zone is read as UTC: a zone that is guessed from
the machine would make the same pictures two different things in two places.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from personsearch.errors import UsageError

Kind = Literal["exif", "mtime", "filename"]

_PARTS = {
    "Y": r"(?P<Y>[0-9]{4})",
    "m": r"(?P<m>1[0-2]|0[1-9])",
    "d": r"(?P<d>3[01]|[12][0-9]|0[1-9])",
    "H": r"(?P<H>2[0-3]|[01][0-9])",
    "M": r"(?P<M>[0-5][0-9])",
    "S": r"(?P<S>[0-5][0-9])",
    "f": r"(?P<f>[0-9]{1,6})",
    "s": r"(?P<s>[0-9]{9,10})",
    "z": r"(?P<z>Z|[+-][0-9]{2}:?[0-9]{2})",
    "%": "%",
}


@dataclass(frozen=True)
class TimeFrom:
    """Where the time of a picture, or of a video's first frame, is taken from.

    Attributes:
        kind: ``"exif"``: the file's own metadata (EXIF; a video's creation time);
            ``"mtime"``: the file's last change (a video's is the end of its recording);
            ``"filename"``: its name.
        pattern: of the name: text in which ``%Y %m %d %H %M %S`` (and ``%f`` fractions of a second,
            ``%z`` zone, ``%s`` seconds since 1970) stand for their digits and ``*`` for anything.
    """

    kind: Kind = "exif"
    pattern: str = ""

    def of_name(self, name: str) -> float | None:
        """The time that a file's name says; None if the pattern is not in it.

        The pattern may stand anywhere in the name; the first place counts. What it leaves away is
        midnight, or the first of the month.

        >>> TimeFrom("filename", "%Y-%m-%d_%H").of_name("cam2_1970-01-02_01.mp4")
        90000.0
        """
        found = re.search(_expression(self.pattern), name)
        return None if found is None else _moment(found.groupdict())

    def of(self, path: Path, own: float | None, *, mtime_ns: int, length: float = 0.0) -> float | None:
        """When ``path`` was taken, by this rule; None if it cannot be known.

        Args:
            path: the file.
            own: what its metadata says.
            mtime_ns: when it was last changed, nanoseconds since 1970.
            length: seconds that a video lasts, which its last change comes after.
        """
        if self.kind == "mtime":
            return mtime_ns / 1e9 - length
        return own if self.kind == "exif" else self.of_name(path.name)


def time_from(text: str) -> TimeFrom:
    """``exif``, ``mtime`` or ``filename:PATTERN``, as people write it.

    Raises:
        UsageError: neither, or a pattern that no time can be told from.

    >>> time_from("filename:%Y%m%d-%H%M%S")
    TimeFrom(kind='filename', pattern='%Y%m%d-%H%M%S')
    """
    kind, _, pattern = text.partition(":")
    if text == "exif":
        return TimeFrom("exif")
    if text == "mtime":
        return TimeFrom("mtime")
    if kind != "filename" or not pattern:
        raise UsageError(
            f"time from {text!r} is not understood", hint="exif, mtime or filename:PATTERN, e.g. %Y-%m-%d_%H"
        )
    _expression(pattern)
    return TimeFrom("filename", pattern)


def _expression(pattern: str) -> str:
    """The regular expression of a pattern; every part at most once, and enough of them for a date."""
    parts = re.findall(r"%(.?)", pattern)
    names = [part for part in parts if part != "%"]
    wrong = [part for part in names if part not in _PARTS]
    if wrong or len(set(names)) < len(names) or not ({"Y", "m"} <= set(names) or "s" in names):
        raise UsageError(
            f"{pattern!r} is no pattern of a time",
            hint="each of %Y %m %d %H %M %S %f %z at most once, at least %Y and %m, or %s alone",
        )
    text = re.split(r"%(.)", pattern)
    escaped = [
        _PARTS[part] if number % 2 else ".*?".join(re.escape(piece) for piece in part.split("*"))
        for number, part in enumerate(text)
    ]
    return "".join(escaped)


def _moment(said: dict[str, str | None]) -> float | None:
    """Seconds since 1970 of the parts of a time; None for the 31st of February."""
    if (since := said.get("s")) is not None:
        return float(since)
    zone = (said.get("z") or "Z").replace("Z", "+00:00")
    fraction = (said.get("f") or "0").ljust(6, "0")
    try:
        moment = datetime(
            int(said["Y"] or 0),
            int(said["m"] or 1),
            int(said.get("d") or 1),
            int(said.get("H") or 0),
            int(said.get("M") or 0),
            int(said.get("S") or 0),
            int(fraction),
            UTC,
        )
        offset = datetime.strptime(zone, "%z").utcoffset()
    except ValueError:
        return None
    return moment.timestamp() - (offset.total_seconds() if offset else 0.0)
