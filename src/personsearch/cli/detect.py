"""``personsearch detect``: who is in these pictures, videos or before this camera, and where."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from personsearch.cli.options import (
    DeviceOption,
    FormatOption,
    JsonOption,
    ModelOption,
    NullOption,
    PartsOption,
    ProgressKind,
    ProgressOption,
)
from personsearch.cli.output import Answer, Printer, box_text, chosen, rounded_box
from personsearch.cli.sources import (
    AllFramesOption,
    EveryOption,
    FollowOption,
    ForOption,
    FpsOption,
    KeyframesOption,
    RecursiveOption,
    SceneOption,
    SourcesArgument,
    camera_step,
    chosen_sampling,
    incomplete,
    only_camera,
    only_of_cameras,
    seconds_of,
)
from personsearch.progress import timecode

if TYPE_CHECKING:
    from personsearch.indexing.model_failures import CarefulSearcher
    from personsearch.media.sampling import Sampling
    from personsearch.progress import Progress
    from personsearch.types import Detections, Picture

ConfOption = Annotated[
    float, typer.Option("--conf", min=0, max=1, help="Leave out detections below this score.")
]
EmbedOption = Annotated[bool, typer.Option("--embed", help="Write each person's embedding, too (jsonl).")]

Shot = tuple["Picture", dict[str, Any]]
"""A picture, and what a frame's record says besides."""


def detect(
    sources: SourcesArgument,
    model: ModelOption,
    recursive: RecursiveOption = True,
    follow_links: FollowOption = False,
    every: EveryOption = None,
    fps: FpsOption = None,
    keyframes: KeyframesOption = False,
    scene: SceneOption = None,
    all_frames: AllFramesOption = False,
    lasting: ForOption = None,
    conf: ConfOption = 0.5,
    embed: EmbedOption = False,
    parts: PartsOption = Path("baselines"),
    device: DeviceOption = "auto",
    form: FormatOption = None,
    as_json: JsonOption = False,
    null: NullOption = False,
    progress: ProgressOption = ProgressKind.AUTO,
) -> None:
    """Find everybody in pictures and videos: a box in upright pixels and a score each.

    Of a video, a frame a second (see --every), each with its time in the video. A file that
    cannot be read is reported and passed over; the exit code is then 3.

    \b
    Examples:
      personsearch detect photo.jpg --model model
      personsearch detect photos --model model --conf 0.7 --format csv > people.csv
      personsearch detect photos --model model --format paths     # pictures with somebody in them
      personsearch detect film.mp4 --every 2s --model model
      personsearch detect webcam:0 --every 1s --for 10s --model model
    """
    from personsearch.baselines.open import Where, open_searcher
    from personsearch.indexing.model_failures import CarefulSearcher
    from personsearch.progress import console

    printer = Printer(chosen(form, as_json, listing=True), null)
    sampling = chosen_sampling(every, fps, keyframes, scene, all_frames)
    address = only_camera(sources)
    shots: _Files | _Frames
    if address is None:
        only_of_cameras(lasting)
        shots = _Files.found(sources, sampling, recursive, follow_links)
    else:
        step = camera_step(every, fps, keyframes or all_frames or scene is not None)
        shots = _Frames(address, step, seconds_of(lasting))
    searcher = open_searcher(model, Where(parts=parts, device=device))
    if progress is ProgressKind.AUTO and sys.stdout.isatty():
        progress = ProgressKind.NONE  # the answers themselves say how far it is; a bar would run into them
    printed = partial(answer, fingerprint=searcher.fingerprint, embed=embed)
    _tell(shots, CarefulSearcher(searcher), conf, printed, printer, console(progress))
    shots.complain()


def _tell(
    shots: _Files | _Frames,
    ask: CarefulSearcher,
    conf: float,
    answer_of: Callable[[Picture, Detections], Answer],
    printer: Printer,
    progress: Progress,
) -> None:
    """Say who is in each shot; those that the model fails on are said, too, and count as failed."""
    from personsearch.cli.failures import say
    from personsearch.errors import PersonSearchError

    last = None  # video whose path was said
    for picture, besides in progress(iter(shots), "detecting", total=shots.total):
        seen = ask(picture)
        if isinstance(seen, str):
            shots.failed.add(besides.get("video") or picture.name)
            say(f"{picture.name}: the model failed: {seen}")
            continue
        told = answer_of(picture, seen.take(seen.scores >= conf))
        video = besides.get("video")
        paths = told.paths if video is None else [video] * (bool(told.paths) and video != last)
        last = video if told.paths else last
        printer(replace(told, record={**told.record, **besides}, paths=paths))
    failures = ask.failures
    if failures.bad and not failures.good:
        raise PersonSearchError(
            f"the model failed on everything: {failures.said}", hint="--debug shows where"
        ) from failures.last


class _Files:
    """The pictures of files, and the frames of videos among them, one after the other.

    Attributes:
        failed: the files that could not be used, or not whole.
        named: how many files there are.
        relative: whether files are called by their path from the working directory.
    """

    def __init__(self, files: list[Path], sampling: Sampling) -> None:
        from personsearch.media.sources import is_video_file

        self._files = [(file, is_video_file(file)) for file in files]
        self._sampling = sampling
        self.failed: set[str] = set()
        self.named, self.relative = len(files), False

    @property
    def total(self) -> int | None:
        """How many shots there will be at most, if known."""
        return None if any(video for _, video in self._files) else self.named

    @staticmethod
    def found(sources: list[str], sampling: Sampling, recursive: bool, follow_links: bool) -> _Files:
        """What ``sources`` name; what they name and does not exist is said at once."""
        from personsearch.cli.failures import say
        from personsearch.media.sources import find_sources

        found = find_sources(sources, recursive=recursive, follow_links=follow_links)
        shots = _Files(list(found.files), sampling)
        shots.relative = not any(Path(source).is_absolute() for source in sources)
        shots.named += len(found.failures)
        for failure in found.failures:
            shots.failed.add(failure.path)
            say(f"{failure.path}: {failure.error}")
        return shots

    def complain(self) -> None:
        """End with the code of a job that is done in part, if it is."""
        from personsearch.errors import PartialFailure

        if self.failed:
            raise PartialFailure(
                f"{len(self.failed)} of {self.named} files could not be used, or not whole",
                hint="the lines above say why; all others were looked at",
            )

    def _name(self, file: Path) -> str:
        return os.path.relpath(file) if self.relative else str(file)

    def __iter__(self) -> Iterator[Shot]:
        from personsearch.cli.failures import say
        from personsearch.errors import InputError, UsageError
        from personsearch.images import load

        for file, video in self._files:
            try:
                if video:
                    yield from self._frames(file)
                else:
                    yield load(file, name=self._name(file)), {}
            except (InputError, UsageError) as error:  # also that PyAV is not there to read videos
                if len(self._files) == 1 and not self.failed:
                    raise
                self.failed.add(self._name(file))
                named = isinstance(error, InputError)
                say(str(error) if named else f"{self._name(file)}: {error}: {error.hint}")

    def _frames(self, file: Path) -> Iterator[Shot]:
        from personsearch.cli.failures import say
        from personsearch.media.video import Video
        from personsearch.types import Picture

        with Video(file) as video:
            for frame in video.frames(self._sampling):
                name = f"{self._name(file)}@{timecode(frame.position)}"
                place = {
                    "video": self._name(file),
                    "position_s": round(frame.position, 6),
                    "pts": frame.pts,
                    "time_base": str(frame.time_base),
                }
                yield Picture(frame.pixels, name), place
            if video.damage is not None:
                self.failed.add(self._name(file))
                say(f"{file}: {video.damage}")


class _Frames:
    """The frames of one camera.

    Attributes:
        failed: its name, if the model failed on one of them.
        total: unknown.
    """

    def __init__(self, address: str, every: float, seconds: float | None) -> None:
        from personsearch.media.camera import camera

        self._camera, self._every, self._seconds = camera(address), every, seconds
        self.failed: set[str] = set()
        self.total: int | None = None

    def __iter__(self) -> Iterator[Shot]:
        from personsearch.types import Picture

        for frame in self._camera.frames(self._every, seconds=self._seconds):
            yield Picture(frame.pixels, self._camera.name), {"time": round(frame.time, 3)}

    def complain(self) -> None:
        """End with the code of a job that is done in part, if it is."""
        from personsearch.cli.failures import say

        health = self._camera.health
        if health.failures:
            say(f"{self._camera.name}: {health.last_error}")
        if health.failures or self.failed:
            raise incomplete(self._camera)


def answer(picture: Picture, seen: Detections, fingerprint: str, *, embed: bool) -> Answer:
    """One picture's people, best score first."""
    width, height = picture.size
    people: list[dict[str, Any]] = []
    rows: list[dict[str, Any]] = []
    for i in range(len(seen)):
        score = round(float(seen.scores[i]), 4)
        person: dict[str, Any] = {"box_xyxy": rounded_box(seen.boxes[i]), "score": score}
        if embed:
            person["embedding"] = [float(f"{value:.6g}") for value in seen.embeddings[i]]
        people.append(person)
        rows.append(
            {"picture": picture.name, "person": i + 1, "score": score, "box x,y,w,h": box_text(seen.boxes[i])}
        )
    record = {
        "schema": "personsearch.detect/1",
        "picture": picture.name,
        "width": width,
        "height": height,
        "model": fingerprint,
        "people": people,
    }
    before = [] if people else [f"{picture.name}: nobody"]
    return Answer(record=record, rows=rows, before=before, paths=[picture.name] if people else [])
