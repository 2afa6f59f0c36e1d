"""Who is searched at all: the options that say it, and times as people write them."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from personsearch.errors import UsageError

if TYPE_CHECKING:
    from personsearch.gallery.filters import Filter

CameraOption = Annotated[
    list[str] | None,
    typer.Option("--camera", help="Only people seen by this camera; repeatable.", show_default=False),
]
SinceOption = Annotated[
    str | None,
    typer.Option(
        "--since", metavar="TIME", help="Not before, e.g. 2026-06-01 or 2026-06-01T14:30.", show_default=False
    ),
]
UntilOption = Annotated[
    str | None, typer.Option("--until", metavar="TIME", help="Before this time.", show_default=False)
]
PathOption = Annotated[
    list[str] | None,
    typer.Option(
        "--path",
        metavar="GLOB",
        help="Only pictures of this name; with a /, of this path below the folder; repeatable.",
        show_default=False,
    ),
]
MinHeightOption = Annotated[
    float | None,
    typer.Option("--min-height", min=0, help="Only people at least so many pixels high.", show_default=False),
]
MaxHeightOption = Annotated[
    float | None,
    typer.Option("--max-height", min=0, help="Only people at most so many pixels high.", show_default=False),
]
PurposeOption = Annotated[str, typer.Option("--purpose", help="Why, for the audit log.", show_default=False)]

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}


def parse_time(text: str, option: str) -> float:
    """Seconds since 1970 of an ISO 8601 date or time; UTC where it names no offset, as in pictures.

    >>> parse_time("1970-01-02", "--since"), parse_time("1970-01-01T02:00+01:00", "--since")
    (86400.0, 3600.0)
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise UsageError(
            f"{option} {text!r} is no time",
            hint="write 2026-06-01, 2026-06-01T14:30 or 2026-06-01T14:30+02:00",
        ) from error
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def parse_age(text: str, option: str) -> float:
    """Seconds of a duration such as ``30d``, ``12h``, ``2w``.

    >>> parse_age("30d", "--older-than"), parse_age("1.5h", "--older-than")
    (2592000.0, 5400.0)
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhdw])", text.strip())
    if found is None:
        raise UsageError(f"{option} {text!r} is no duration", hint="write a number and s, m, h, d or w: 30d")
    return float(found[1]) * UNITS[found[2]]


def moment_before(older_than: str) -> float:
    """Seconds since 1970 of the moment so long ago; ``older_than`` may also be a date."""
    if re.fullmatch(r"\s*[\d.]+[smhdw]\s*", older_than):
        return time.time() - parse_age(older_than, "--older-than")
    return parse_time(older_than, "--older-than")


def asked_filter(
    camera: list[str] | None,
    since: str | None,
    until: str | None,
    path: list[str] | None,
    min_height: float | None,
    max_height: float | None,
) -> Filter:
    """The conditions that the options name."""
    from personsearch.gallery.filters import Filter

    return Filter(
        cameras=tuple(camera or ()),
        since=None if since is None else parse_time(since, "--since"),
        until=None if until is None else parse_time(until, "--until"),
        paths=tuple(path or ()),
        min_height=min_height,
        max_height=max_height,
    )
