"""``personsearch clips``: the piece of video around each hit, with its sound."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from personsearch.cli.answers import STANDARD_INPUT, AnswersArgument, make_folder, read_searches
from personsearch.cli.options import FormatOption, JsonOption, NullOption, ProgressKind, ProgressOption
from personsearch.cli.output import Answer, Printer, chosen
from personsearch.progress import timecode

if TYPE_CHECKING:
    from personsearch.media.clips import Piece
    from personsearch.types import Hit

OutOption = Annotated[Path, typer.Option("--out", "-o", help="Folder of the clips.", show_default=False)]
BeforeOption = Annotated[
    str, typer.Option("--before", help="How much to show before each hit: 3s, 500ms ...")
]
AfterOption = Annotated[str, typer.Option("--after", help="How much to show after each hit.")]


def clips(
    out: OutOption,
    answers: AnswersArgument = STANDARD_INPUT,
    before: BeforeOption = "3s",
    after: AfterOption = "5s",
    form: FormatOption = None,
    as_json: JsonOption = False,
    null: NullOption = False,
    progress: ProgressOption = ProgressKind.AUTO,
) -> None:
    """Cut the video around each hit of a search: MP4 files with the sound, the videos stay as they are.

    It goes on from what 'personsearch search' wrote as JSON lines. A clip holds all of the time in
    which the person is seen there; clips that overlap become one. Hits in pictures have no clip.
    Interrupted, the same command makes only the clips that are not there yet. A video that is gone
    or cannot be read is reported and passed over; the exit code is then 3.

    \b
    Examples:
      personsearch search -q photo.jpg --largest -m model -g gallery --json | personsearch clips --out clips
      personsearch clips hits.jsonl --out clips --before 10s --after 10s --format paths
    """
    from personsearch.cli.sources import length_of
    from personsearch.errors import PartialFailure
    from personsearch.media.container import pyav
    from personsearch.progress import console

    printer = Printer(chosen(form, as_json, listing=True), null)
    around = length_of(before), length_of(after)
    hits = [hit for result in read_searches(answers) for hit in result.hits]
    filmed = [hit for hit in hits if hit.position is not None]
    pyav()
    make_folder(out)
    work = _Work(out)
    work.plan(filmed, *around)
    for _ in console(progress)(work.steps(), "cutting", total=len(work.jobs)):
        pass
    rows = [job.row() for job in work.jobs if job.done]
    record = {
        "schema": "personsearch.clips/1",
        "out": str(out),
        "clips": [job.record() for job in work.jobs if job.done],
        "hits": len(hits),
        "hits_in_pictures": len(hits) - len(filmed),
        "failed": len(work.failed),
    }
    none = f"no clips: none of the {len(hits)} hits is in a video"
    paths = [str(job.path) for job in work.jobs if job.done]
    printer(Answer(record=record, rows=rows, after=[] if filmed else [none], paths=paths))
    if work.failed:
        raise PartialFailure(
            f"videos that could not be cut: {len(work.failed)}",
            hint="the lines above say why; the other clips are done",
        )


@dataclass
class _Job:
    """One clip to be made."""

    video: Path
    piece: Piece
    hits: list[Hit]
    path: Path
    done: bool = False

    def row(self) -> dict[str, Any]:
        """As a line of a table."""
        ranks = ",".join(str(hit.rank) for hit in self.hits)
        start, end = timecode(self.piece.start), timecode(self.piece.end)
        return {"clip": str(self.path), "hits": ranks, "from": start, "to": end, "video": str(self.video)}

    def record(self) -> dict[str, Any]:
        """As JSON; ``at_s`` is where in the clip a hit is."""
        return {
            "clip": str(self.path),
            "video": str(self.video),
            "start_s": self.piece.start,
            "end_s": self.piece.end,
            "hits": [
                {
                    "rank": hit.rank,
                    "detection": hit.detection,
                    "at_s": round((hit.position or 0.0) - self.piece.start, 3),
                }
                for hit in self.hits
            ],
        }


@dataclass
class _Work:
    """All clips of a command, video by video."""

    out: Path
    jobs: list[_Job] = field(default_factory=list)
    failed: set[Path] = field(default_factory=set)

    def plan(self, hits: list[Hit], before: float, after: float) -> None:
        """Which clips hold these hits; a video that is gone has none."""
        from personsearch.media.clips import pieces_around

        videos: dict[Path, list[Hit]] = {}
        for hit in hits:
            videos.setdefault(Path(hit.picture), []).append(hit)
        for video, seen in videos.items():
            try:
                about = video.stat()
            except (OSError, ValueError) as error:
                self._blame(video, f"{video} is gone: {getattr(error, 'strerror', None) or error}")
                continue
            for piece, inside in pieces_around([_span(hit) for hit in seen], before, after):
                key = f"{video.absolute()}\0{about.st_size}\0{about.st_mtime_ns}\0{piece}"
                held = [seen[i] for i in inside]
                path = self.out / _clip_name(video, piece, key)
                self.jobs.append(_Job(video=video, piece=piece, hits=held, path=path))

    def steps(self) -> Iterator[_Job]:
        """Make the clips that are not there yet, one after the other."""
        from itertools import groupby

        for video, jobs in groupby(self.jobs, key=lambda job: job.video):
            yield from self._cut(video, list(jobs))

    def _cut(self, video: Path, jobs: list[_Job]) -> Iterator[_Job]:
        from personsearch.errors import InputError
        from personsearch.media.clips import Cutter

        for job in jobs:  # a whole clip of the same piece of the same file: an earlier run made it
            job.done = job.path.is_file() and not job.path.is_symlink()
        missing = [job for job in jobs if not job.done]
        yield from (job for job in jobs if job.done)
        if not missing:
            return
        try:
            with Cutter(video) as cutter:
                for job in missing:
                    cutter.cut(job.piece, job.path)
                    job.done = True
                    yield job
        except InputError as error:
            self._blame(video, str(error))
            yield from (job for job in missing if not job.done)

    def _blame(self, video: Path, said: str) -> None:
        from personsearch.cli.failures import say

        say(said)
        self.failed.add(video)


def _span(hit: Hit) -> tuple[float, float]:
    """The seconds in which the person is seen, the hit's own frame among them."""
    at = max(hit.position or 0.0, 0.0)
    if hit.span is None:
        return at, at
    return max(min(hit.span.first, at), 0.0), max(hit.span.last, at)


def _clip_name(video: Path, piece: Piece, key: str) -> str:
    from personsearch.media.names import safe_name

    at = timecode(piece.start)[:8].replace(":", "-")
    return safe_name(f"{video.stem[:40]}_{at}", key, ".mp4")
