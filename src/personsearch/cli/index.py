"""``personsearch index``: everybody in pictures, videos or before a camera, into a gallery."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import asdict, dataclass
from enum import StrEnum
from functools import partial
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
    CameraOption,
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
    name_for,
    only_camera,
    only_of_cameras,
    seconds_of,
)

if TYPE_CHECKING:
    from personsearch.indexing.cameras import Watch
    from personsearch.indexing.cluster_hands import ClusterOptions
    from personsearch.indexing.options import IndexOptions
    from personsearch.media.sampling import Sampling
    from personsearch.types import Failure, IndexReport, Searcher

_COUNTS = ("added", "unchanged", "updated", "removed", "moved", "duplicates")


RetryOption = Annotated[
    bool, typer.Option("--retry-failed", help="Try files again that failed and have not changed.")
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


class Engine(StrEnum):
    """Where pictures are looked at."""

    LOCAL = "local"
    RAY = "ray"


EngineOption = Annotated[
    Engine, typer.Option("--engine", help="Look at pictures here, or on a Ray cluster.", case_sensitive=False)
]
WorkersOption = Annotated[
    int | None,
    typer.Option(
        "--workers", min=1, help="Of ray, processes with the model; default: one a GPU.", show_default=False
    ),
]
AddressOption = Annotated[
    str | None,
    typer.Option(
        "--ray-address", help="Of ray, the cluster (auto, HOST:PORT); default: one here.", show_default=False
    ),
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
    camera: CameraOption = None,
    time_from: TimeOption = "exif",
    near_duplicates: NearOption = False,
    frames: FramesOption = None,
    lasting: ForOption = None,
    engine: EngineOption = Engine.LOCAL,
    workers: WorkersOption = None,
    ray_address: AddressOption = None,
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
      personsearch index /shared/photos --engine ray --model /shared/model --gallery /shared/gallery
    """
    sampling = chosen_sampling(every, fps, keyframes, scene, all_frames)
    given = {"recursive": recursive, "follow_links": follow_links, "retry_failed": retry_failed}
    options = _options(sampling, camera, time_from, near_duplicates, given)
    by_content = keyframes or all_frames or scene is not None
    address = only_camera(sources)
    watch = _watch(frames, lasting, every, fps, by_content) if address is not None else None
    if address is not None:
        name_for(address, camera)
    else:
        only_of_cameras(lasting, frames)
    job = Job(sources=sources, gallery=gallery, model=model, parts=parts, device=device, options=options)
    cluster = _cluster(engine, workers, ray_address, watch)
    printer = Printer(chosen(form, as_json))
    report = _indexed(job, watch, cluster, progress)
    printer(answer(report, _following(model, gallery, parts)))
    _complain(report.failures, gallery)


@dataclass(frozen=True, kw_only=True)
class Job:
    """What is indexed into what, with which model."""

    sources: list[str]
    gallery: Path
    model: str
    parts: Path
    device: str
    options: IndexOptions

    def opener(self, elsewhere: bool) -> Callable[[], Searcher]:
        """Opens the model; ``elsewhere``, where relative paths would be others."""
        from personsearch.baselines.open import Where, open_searcher

        model, parts = self.model, self.parts
        if elsewhere:
            model = str(Path(model).resolve()) if Path(model).is_dir() else model
            parts = parts.resolve()
        return partial(open_searcher, model, Where(parts=parts, device=self.device))


def _options(
    sampling: Sampling, camera: str | None, time_from: str, near_duplicates: bool, given: dict[str, bool]
) -> IndexOptions:
    from personsearch.indexing.options import IndexOptions
    from personsearch.media.times import time_from as parsed

    return IndexOptions(
        sampling=sampling,
        camera=camera,
        time_from=parsed(time_from),
        near_duplicates=near_duplicates,
        **given,  # type: ignore[arg-type]
    )


def _cluster(
    engine: Engine, workers: int | None, address: str | None, watch: Watch | None
) -> ClusterOptions | None:
    """The cluster that is to be used; None for this process alone."""
    from personsearch.errors import UsageError

    if engine is Engine.LOCAL:
        if workers is not None or address is not None:
            raise UsageError("--workers and --ray-address are of a cluster", hint="add --engine ray")
        return None
    if watch is not None:
        raise UsageError("a camera is watched by one process", hint="leave --engine out")
    from personsearch.indexing.cluster_hands import ClusterOptions

    return ClusterOptions(address=address, workers=workers)


def _indexed(
    job: Job, watch: Watch | None, cluster: ClusterOptions | None, kind: ProgressKind
) -> IndexReport:
    """Index files, here or on a cluster; or, with ``watch``, the one camera that the sources name."""
    from personsearch.progress import console

    opener, progress = job.opener(cluster is not None), console(kind)
    searcher = opener()
    if cluster is not None:
        from personsearch.indexing.cluster import index_on_cluster

        return index_on_cluster(
            job.sources, job.gallery, searcher, opener, job.options, cluster, progress=progress
        )
    if watch is None:
        from personsearch.indexing.local import index_sources

        return index_sources(job.sources, job.gallery, searcher, job.options, progress=progress)
    from personsearch.indexing.cameras import index_camera
    from personsearch.media.camera import camera

    source = camera(job.sources[0], name=job.options.camera)
    return index_camera(source, job.gallery, searcher, watch, progress=progress)


def _following(model: str, gallery: Path, parts: Path) -> str:
    """What a person does next."""
    words = f"--model {_quoted(model)} --gallery {_quoted(gallery)}"
    if parts != Path("baselines"):
        words += f" --parts {_quoted(parts)}"
    return f"next: personsearch search --query PHOTO {words}"


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
    step = camera_step(every, fps, by_content)
    return Watch(folder=frames, every=step, seconds=seconds_of(lasting))


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
