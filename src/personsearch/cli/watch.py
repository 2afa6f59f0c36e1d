"""``personsearch watch``: tell when a named person is seen in new pictures, videos or before a camera."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from personsearch.cli.options import (
    DeviceOption,
    GalleryOption,
    ModelOption,
    PartsOption,
    ProgressKind,
    ProgressOption,
)
from personsearch.cli.output import json_line
from personsearch.cli.sources import (
    CameraOption,
    EveryOption,
    ForOption,
    FpsOption,
    RecursiveOption,
    SourcesArgument,
    chosen_sampling,
    length_of,
    name_for,
    only_camera,
    only_of_cameras,
    seconds_of,
)

if TYPE_CHECKING:
    from personsearch.gallery.gallery import Gallery
    from personsearch.indexing.watch_gallery import GalleryWatch
    from personsearch.indexing.watch_sources import Alert
    from personsearch.indexing.watching import Bar, Lookout
    from personsearch.media.sampling import Sampling
    from personsearch.progress import Progress
    from personsearch.types import Searcher

PersonOption = Annotated[
    list[str] | None,
    typer.Option("--person", help="Whom to watch for; several: any of them. [default: everybody named]"),
]
ProbabilityOption = Annotated[
    float | None,
    typer.Option(
        "--min-prob",
        min=0,
        max=1,
        help="Tell from this probability on. [default: 0.9 where calibrated]",
        show_default=False,
    ),
]
SimilarityOption = Annotated[
    float | None,
    typer.Option("--min-similarity", help="Tell from this similarity on.", show_default=False),
]
IndexOption = Annotated[bool, typer.Option("--index", help="Put everybody seen into the gallery, too.")]
OnceOption = Annotated[bool, typer.Option("--once", help="Look at what is there now, and end.")]
PollOption = Annotated[str, typer.Option("--poll", help="How often to look for new files: 10s, 1m ...")]
QuietOption = Annotated[
    str, typer.Option("--quiet", help="Whoever was seen there within so long is not told again; 0: always.")
]
StateOption = Annotated[
    Path | None,
    typer.Option("--state", help="What was told. [default: watch.jsonl in the gallery]", show_default=False),
]
FramesOption = Annotated[
    Path | None,
    typer.Option("--frames", help="Of a camera, the folder its pictures are kept in.", show_default=False),
]
ConfOption = Annotated[
    float, typer.Option("--conf", min=0, max=1, help="Whom the detector scores less is nobody.")
]


def watch(
    sources: SourcesArgument,
    gallery: GalleryOption,
    model: ModelOption,
    person: PersonOption = None,
    min_prob: ProbabilityOption = None,
    min_similarity: SimilarityOption = None,
    index: IndexOption = False,
    once: OnceOption = False,
    poll: PollOption = "10s",
    quiet: QuietOption = "60s",
    every: EveryOption = None,
    fps: FpsOption = None,
    recursive: RecursiveOption = True,
    conf: ConfOption = 0.5,
    lasting: ForOption = None,
    camera: CameraOption = None,
    frames: FramesOption = None,
    state: StateOption = None,
    parts: PartsOption = Path("baselines"),
    device: DeviceOption = "auto",
    progress: ProgressOption = ProgressKind.AUTO,
) -> None:
    """Tell when a person who has a name in the gallery is seen: one JSON line on standard output each.

    Sources are a folder that grows, videos, or one camera; every file is looked at once, and again
    when it changes. With --index everybody seen goes into the gallery as well. A person is told once
    for each way through a video or past a camera, and not again while still being seen there. What
    was told survives a kill: start the same command again. An alert is a suggestion that a person
    has to check; people dressed alike are taken for one another.

    \b
    Examples:
      personsearch watch incoming --gallery gallery --model model --person Ana
      personsearch watch incoming -g gallery -m model --index --min-prob 0.95 --poll 1m
      personsearch watch cam2.mp4 -g gallery -m model --once --every 500ms --min-similarity 0.8
      personsearch watch rtsp://10.0.0.7/1 -g gallery -m model --every 1s --frames seen --for 8h
      personsearch watch 'rtsp://10.0.0.7/live?channel=2' --camera gate -g gallery -m model --every 1s
    """
    from personsearch.baselines.open import Where, open_searcher
    from personsearch.progress import console, silent

    sampling = chosen_sampling(every, fps, False, None, False)
    address = only_camera(sources)
    _check(address is not None, once, index, frames)
    named = (camera or None) if address is None else name_for(address, camera)
    how = _How(sampling=sampling, conf=conf, lasting=seconds_of(lasting), recursive=recursive, named=named)
    pause, names = length_of(poll), tuple(person or ())
    with _lookout(gallery, names, (min_prob, min_similarity), length_of(quiet), state) as (opened, lookout):
        searcher = open_searcher(model, Where(parts=parts, device=device))
        opened.check_model(searcher.fingerprint)
        again = partial(_read_again, opened, lookout, names)
        run = _Run(sources, opened, searcher, lookout, again, how)
        if address is None:
            run.files(once=once, index=index, pause=pause, progress=console(progress) if once else silent)
        else:
            run.camera(address, frames, index=index)


@contextmanager
def _lookout(
    gallery: Path,
    names: tuple[str, ...],
    least: tuple[float | None, float | None],
    quiet: float,
    state: Path | None,
) -> Iterator[tuple[Gallery, Lookout]]:
    """The open gallery, and what looks out for these people with its memory."""
    from personsearch.gallery.gallery import Gallery
    from personsearch.gallery.named import NamedPeople
    from personsearch.indexing.watch_state import WatchState
    from personsearch.indexing.watching import Lookout, load_named

    with ExitStack() as closing:
        opened = closing.enter_context(Gallery.open(gallery))
        named, bar = load_named(opened, names, _warn), _bar(*least, opened)
        known = NamedPeople(gallery).names()
        memory = closing.enter_context(WatchState(state or gallery / "watch.jsonl", known))
        yield opened, Lookout(named=named, bar=bar, state=memory, quiet=quiet)


def _read_again(gallery: Gallery, lookout: Lookout, names: tuple[str, ...]) -> None:
    """Whom to look out for may have changed meanwhile."""
    from personsearch.indexing.watching import load_named

    lookout.named = load_named(gallery, names)


def _check(camera: bool, once: bool, index: bool, frames: Path | None) -> None:
    """Refuse options that contradict each other."""
    from personsearch.errors import UsageError

    if camera and once:
        raise UsageError("a camera has no end that --once could wait for", hint="--for 10m")
    if camera and index and frames is None:
        raise UsageError(
            "a camera has no files that hits could show",
            hint="say where its pictures with people are kept: --frames DIR",
        )
    if not camera:
        only_of_cameras(None, frames)


def _bar(probability: float | None, similarity: float | None, gallery: Gallery) -> Bar:
    """From where on somebody is told.

    Raises:
        UsageError: a probability without a calibration, or nothing at all to go by.
    """
    from personsearch.errors import UsageError
    from personsearch.indexing.watching import PROBABLE, Bar

    calibrated = gallery.calibration is not None
    if probability is not None and not calibrated:
        raise UsageError("this gallery has no calibration, so no probabilities", hint="--min-similarity")
    if probability is None and similarity is None:
        if not calibrated:
            raise UsageError(
                "this gallery has no calibration: say from which similarity on somebody is told",
                hint="--min-similarity; 'personsearch search' shows what is usual here",
            )
        probability = PROBABLE
    return Bar(probability=probability, similarity=similarity)


def tell(alert: Alert) -> None:
    """Write one alert, at once."""
    print(json_line(alert.to_json()), flush=True)


def _warn(line: str) -> None:
    print(f"warning: {line}", file=sys.stderr)


@dataclass(frozen=True, kw_only=True)
class _How:
    """Which frames, whom the detector makes out, for how long, folders in folders, the camera's name."""

    sampling: Sampling
    conf: float
    lasting: float | None
    recursive: bool
    named: str | None


@dataclass
class _Run:
    """One watch: its parts, and its two ways of going on."""

    sources: list[str]
    gallery: Gallery
    searcher: Searcher
    lookout: Lookout
    again: Callable[[], None]
    how: _How

    def files(self, *, once: bool, index: bool, pause: float, progress: Progress) -> None:
        """Round after round over the files, until the time is up; or one round."""
        from personsearch.errors import PartialFailure

        end = None if self.how.lasting is None else time.monotonic() + self.how.lasting
        step = self._indexing(once, progress) if index else self._looking(once, progress)
        while True:
            failed, now = step(), time.monotonic()
            if once or (end is not None and now >= end):
                if failed:
                    raise PartialFailure(f"{failed} files could not be used", hint="the lines above say why")
                return
            time.sleep(pause if end is None else min(pause, end - now))  # the last round is at the end
            self.again()

    def _looking(self, once: bool, progress: Progress) -> Callable[[], int]:
        """A round that only looks; how many files could not be used so far."""
        from personsearch.cli.failures import say
        from personsearch.indexing.watch_sources import SETTLED, FileWatch

        watch = FileWatch(
            sources=self.sources,
            searcher=self.searcher,
            lookout=self.lookout,
            tell=tell,
            complain=say,
            sampling=self.how.sampling,
            min_score=self.how.conf,
            settled=0.0 if once else SETTLED,
            recursive=self.how.recursive,
            camera=self.how.named,
        )

        def step() -> int:
            for _ in progress(watch.round(), "watching"):
                pass
            return watch.failed

        return step

    def _indexing(self, once: bool, progress: Progress) -> Callable[[], int]:
        """A round that indexes what is new, and looks at who came."""
        from personsearch.cli.failures import say
        from personsearch.errors import InputError, LockedError
        from personsearch.indexing.local import index_sources
        from personsearch.indexing.options import IndexOptions
        from personsearch.indexing.watch_sources import are_folders

        watch = self._gallery_watch(self.how.named)
        options = IndexOptions(
            sampling=self.how.sampling, recursive=self.how.recursive, camera=self.how.named
        )
        said: set[str] = set()

        def step() -> int:
            watch.look()  # what an earlier watch indexed and was killed before telling
            try:
                report = index_sources(
                    self.sources, self.gallery.path, self.searcher, options, progress=progress
                )
            except LockedError as error:  # somebody else writes; the next round tries again
                if once:
                    raise
                say(str(error))
                return 0
            except InputError:
                if not are_folders(self.sources):
                    raise
                return 0  # folders that are still empty
            for failure in report.failures:
                line = f"{failure.path}: {failure.error}"
                if line not in said:
                    said.add(line)
                    say(line)
            watch.look()
            return len(report.failures)

        return step

    def _gallery_watch(self, camera: str | None) -> GalleryWatch:
        from personsearch.indexing.watch_gallery import GalleryWatch

        watch = GalleryWatch(
            gallery=self.gallery, lookout=self.lookout, tell=tell, min_score=self.how.conf, camera=camera
        )
        watch.start()
        return watch

    def camera(self, address: str, frames: Path | None, *, index: bool) -> None:
        """A camera, until the time is up."""
        from personsearch.cli.watch_camera import CameraRun
        from personsearch.media.camera import camera

        source = camera(address, name=self.how.named)
        run = CameraRun(
            camera=source,
            searcher=self.searcher,
            every=float(self.how.sampling.value),
            seconds=self.how.lasting,
            conf=self.how.conf,
            again=self.again,
        )
        if index and frames is not None:
            run.index(self._gallery_watch(source.name), frames)
        else:
            run.look(self.lookout, tell, frames)
