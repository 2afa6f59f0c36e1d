"""``personsearch index``: everybody in pictures, videos or before a camera, into a gallery."""

from __future__ import annotations

import shlex
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from personsearch.cli.options import (
    DeviceOption,
    FormatOption,
    GalleryOption,
    JsonOption,
    ModelOption,
    PartsOption,
    ProgressKind,
    ProgressOption,
)
from personsearch.cli.output import Answer, Printer, chosen
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
    chosen_sampling,
    only_camera,
    seconds_of,
)

if TYPE_CHECKING:
    from personsearch.indexing.cameras import Watch
    from personsearch.indexing.options import IndexOptions
    from personsearch.progress import Progress
    from personsearch.types import Failure, IndexReport, Searcher

_COUNTS = ("added", "unchanged", "updated", "removed", "moved", "duplicates")


RetryOption = Annotated[
    bool, typer.Option("--retry-failed", help="Try files again that failed and have not changed.")
]
NameOption = Annotated[
    str | None,
    typer.Option("--camera", help="Name of the camera, instead of what files say.", show_default=False),
]
TimeOption = Annotated[
    str, typer.Option("--time-from", help="exif, mtime or filename:PATTERN such as %Y-%m-%d_%H.")
]
NearOption = Annotated[
    bool, typer.Option("--near-duplicates", help="Store pictures that are others saved anew, too.")
]
FramesOption = Annotated[
    Path | None,
    typer.Option("--frames", help="Of a camera, the folder its pictures are kept in.", show_default=False),
]


def index(
    sources: SourcesArgument,
    gallery: GalleryOption,
    model: ModelOption,
    recursive: RecursiveOption = True,
    follow_links: FollowOption = False,
    retry_failed: RetryOption = False,
    every: EveryOption = None,
    fps: FpsOption = None,
    keyframes: KeyframesOption = False,
    scene: SceneOption = None,
    all_frames: AllFramesOption = False,
    camera: NameOption = None,
    time_from: TimeOption = "exif",
    near_duplicates: NearOption = False,
    frames: FramesOption = None,
    lasting: ForOption = None,
    parts: PartsOption = Path("baselines"),
    device: DeviceOption = "auto",
    form: FormatOption = None,
    as_json: JsonOption = False,
    progress: ProgressOption = ProgressKind.AUTO,
) -> None:
    """Put everybody in pictures and videos into a gallery that can be searched.

    Sources are folders, patterns, lists of files (.txt, a path a line), pictures, videos, or one
    camera (rtsp://..., http://..., webcam:0). Adding them again adds only what is new or changed, by
    content. Interrupted, the same command goes on. Files that cannot be read are recorded with the
    reason; the exit code is then 3.

    \b
    Examples:
      personsearch index photos --model model --gallery gallery
      personsearch index 'trip/**/*.jpg' list.txt --model model --gallery gallery --json
      personsearch index cam2.mp4 --every 500ms --camera cam2 --model model --gallery gallery
      personsearch index rtsp://10.0.0.7/1 --frames seen --for 1h --model model --gallery gallery
    """
    from personsearch.baselines.open import Where, open_searcher
    from personsearch.indexing.options import IndexOptions
    from personsearch.media.times import time_from as parsed
    from personsearch.progress import console

    printer = Printer(chosen(form, as_json))
    options = IndexOptions(
        recursive=recursive,
        follow_links=follow_links,
        retry_failed=retry_failed,
        sampling=chosen_sampling(every, fps, keyframes, scene, all_frames),
        camera=camera,
        time_from=parsed(time_from),
        near_duplicates=near_duplicates,
    )
    by_content = keyframes or all_frames or scene is not None
    watch = _watch(frames, lasting, every, fps, by_content) if only_camera(sources) else None
    if watch is None:
        _only_of_cameras(frames, lasting)
    searcher = open_searcher(model, Where(parts=parts, device=device))
    report = _indexed(sources, gallery, searcher, options, watch, console(progress))
    printer(answer(report, _following(model, gallery, parts)))
    _complain(report.failures, gallery)


def _indexed(
    sources: list[str],
    gallery: Path,
    searcher: Searcher,
    options: IndexOptions,
    watch: Watch | None,
    progress: Progress,
) -> IndexReport:
    """Index files; or, with ``watch``, the one camera that ``sources`` name."""
    from personsearch.indexing.cameras import index_camera
    from personsearch.indexing.local import index_sources
    from personsearch.media.camera import camera

    if watch is None:
        return index_sources(sources, gallery, searcher, options, progress=progress)
    source = camera(sources[0], name=options.camera)
    return index_camera(source, gallery, searcher, watch, progress=progress)


def _following(model: str, gallery: Path, parts: Path) -> str:
    """What a person does next."""
    words = f"--model {_quoted(model)} --gallery {_quoted(gallery)}"
    if parts != Path("baselines"):
        words += f" --parts {_quoted(parts)}"
    return f"next: personsearch search --query PHOTO {words}"


def _only_of_cameras(frames: Path | None, lasting: str | None) -> None:
    from personsearch.errors import UsageError

    if frames is not None or lasting is not None:
        raise UsageError("--frames and --for are for cameras", hint="leave them out for files")


def _watch(
    frames: Path | None, lasting: str | None, every: str | None, fps: float | None, by_content: bool
) -> Watch:
    from personsearch.errors import UsageError
    from personsearch.indexing.cameras import Watch

    if frames is None:
        raise UsageError(
            "a camera has no files that hits could show",
            hint="say where its pictures with people are kept: --frames DIR",
        )
    if by_content:
        raise UsageError("a camera is looked at in steps of time", hint="--every or --fps")
    step = chosen_sampling(every, fps, False, None, False).value
    return Watch(folder=frames, every=float(step), seconds=seconds_of(lasting))


def _complain(failures: tuple[Failure, ...], gallery: Path) -> None:
    """Say every failure, and end with the code of a job that is done in part."""
    from personsearch.cli.failures import say
    from personsearch.errors import PartialFailure

    for failure in failures:
        named = failure.error.startswith(failure.path)  # most errors name their file themselves
        say(failure.error if named else f"{failure.path}: {failure.error}")
    if failures:
        raise PartialFailure(
            f"files that could not be indexed, or not whole: {len(failures)}; all else is in {gallery}",
            hint="mend or remove them and run the same command again, or --retry-failed",
        )


def answer(report: IndexReport, following: str) -> Answer:
    """The counts of an indexing, with every failure named."""
    counts = {name: getattr(report, name) for name in _COUNTS}
    counts |= {"failed": len(report.failures), "people": report.people}
    record = {
        "schema": "personsearch.index/1",
        "gallery": report.gallery,
        "model": report.model,
        **counts,
        "near": report.near,
        "frames": report.frames,
        "tracklets": report.tracklets,
        "failures": [asdict(failure) for failure in report.failures],
        "seconds": round(report.seconds, 2),
    }
    if report.frames:
        counts |= {"frames": report.frames, "tracklets": report.tracklets}
    return Answer(record=record, rows=[counts], after=[following])


def _quoted(path: Path | str) -> str:
    return shlex.quote(str(path))
