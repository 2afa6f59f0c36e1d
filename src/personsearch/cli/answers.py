"""What ``search`` and ``detect`` answered, read back, and the pictures that it names."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from personsearch.report.records import Sight
    from personsearch.types import Hit, Picture, SearchResult

AnswersArgument = Annotated[
    str,
    typer.Argument(
        metavar="[FILE]",
        help="JSON lines of 'personsearch search' (or detect); - is standard input.",
        show_default=False,
    ),
]
STANDARD_INPUT = "-"


def read_file(source: str) -> list[SearchResult | Sight]:
    """All answers in a file of JSON lines, or on standard input.

    Raises:
        InputError: it cannot be read, or a line is no answer.
        UsageError: nothing is piped in and no file was named.
    """
    from personsearch.errors import InputError, UsageError
    from personsearch.report.records import read_answers

    if source == STANDARD_INPUT:
        if sys.stdin is None or sys.stdin.isatty():
            raise UsageError(
                "there are no answers to go on from",
                hint="pipe them in (personsearch search ... --format jsonl | ...), or name a file of them",
            )
        answers = list(read_answers(sys.stdin.buffer, "standard input"))
    else:
        try:
            with Path(source).open("rb") as file:
                answers = list(read_answers(file, source))
        except OSError as error:
            raise InputError(
                f"{source} cannot be read: {error.strerror}", hint="name a file of JSON lines, or -"
            ) from error
    if not answers:
        name = "standard input" if source == STANDARD_INPUT else source
        raise InputError(f"{name} has no answers", hint="personsearch search ... --format jsonl > FILE")
    return answers


def read_searches(source: str) -> list[SearchResult]:
    """All results of searches; anything else is an error."""
    from personsearch.errors import InputError
    from personsearch.types import SearchResult

    answers = read_file(source)
    results = [answer for answer in answers if isinstance(answer, SearchResult)]
    if len(results) < len(answers):
        raise InputError(
            "these are detections, not the answer of a search", hint="give what 'personsearch search' wrote"
        )
    return results


def make_folder(out: Path) -> None:
    """The folder that a command writes to; made if there is none.

    Raises:
        InputError: there is a file in its place.
    """
    from personsearch.errors import InputError
    from personsearch.files import disk_errors

    with disk_errors(out):
        try:
            out.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError) as error:
            raise InputError(
                f"{out} cannot be a folder: a file is there", hint="name another --out"
            ) from error


def shot_name(hit: Hit) -> str:
    """What a hit's picture is called where it is shown: a frame of a video has its time in its name."""
    from personsearch.progress import timecode

    return hit.picture if hit.position is None else f"{hit.picture}@{timecode(hit.position)}"


def shots_of(hits: Iterable[Hit]) -> Callable[[str], Picture]:
    """Loads the pictures of these hits by :func:`shot_name`; each video is decoded once, now.

    What is loaded of videos stays in memory as JPEG. A picture that cannot be read is a
    PersonSearchError when it is asked for.
    """
    from personsearch.errors import PersonSearchError
    from personsearch.images import decode, encode_jpeg, load
    from personsearch.media.stills import Stills

    frames = {shot_name(hit): (Path(hit.picture), hit.position) for hit in hits if hit.position is not None}
    kept: dict[str, bytes | PersonSearchError] = {}
    with Stills() as stills:
        for name, (file, position) in sorted(frames.items(), key=lambda item: item[1]):
            try:
                kept[name] = encode_jpeg(stills(file, position=position).pixels)
            except PersonSearchError as error:  # also that videos cannot be read here at all
                kept[name] = error

    def shown(name: str) -> Picture:
        found = kept.get(name)
        if isinstance(found, PersonSearchError):
            raise found
        return load(name) if found is None else decode(found, name)

    return shown
