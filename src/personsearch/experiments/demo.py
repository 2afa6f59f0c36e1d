"""The main job from end to end, on pictures that anybody may have: ``personsearch demo``.

Six stages, each of which leaves its result in the folder and is taken up again there: a data
set, a model, its figures, a folder of whole pictures that training never saw, a gallery of
everybody in them, and the search for one person with its page.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from personsearch.datasets.open import open_dataset
from personsearch.datasets.synthetic.make import make_dataset
from personsearch.datasets.synthetic.presets import preset as dataset_preset
from personsearch.datasets.synthetic.protocols import gallery_sizes
from personsearch.datasets.synthetic.settings import SyntheticSettings
from personsearch.errors import UsageError
from personsearch.evaluation.iou_rule import match_threshold
from personsearch.experiments.benchmark import Benchmark, Protocol, benchmark_record, run_benchmark
from personsearch.files import write_bytes, write_json, write_text
from personsearch.gallery.description import DESCRIPTION
from personsearch.gallery.gallery import Gallery
from personsearch.images import load
from personsearch.indexing.local import index_folder
from personsearch.model.checkpoint import load_searcher
from personsearch.model.searcher import choose_device
from personsearch.progress import Progress, clock, silent
from personsearch.report.html import Figure, PageOptions, search_page
from personsearch.report.truth import compare
from personsearch.training.presets import preset as training_preset
from personsearch.training.settings import TrainingSettings
from personsearch.training.train import train
from personsearch.types import Array, Hit, IndexReport, Query, Scene, Searcher, SearchResult, Trials


@dataclass(frozen=True, kw_only=True)
class DemoSettings:
    """How large the demo is.

    Attributes:
        dataset: preset of the generated data set.
        training: preset of the training.
        gallery_size: pictures a query is looked for in when the model is scored.
        hits: how many are shown.
        seed: of data and training; None takes the presets' own.
        workers: processes that draw pictures; 0 is one a core.
    """

    dataset: str = "demo"
    training: str = "demo"
    gallery_size: int = 50
    hits: int = 10
    seed: int | None = None
    workers: int = 0


@dataclass(frozen=True, kw_only=True)
class Judged:
    """A hit, and whether it is the person looked for."""

    hit: Hit
    right: bool


@dataclass(frozen=True, eq=False, kw_only=True)
class DemoResult:
    """What came out, all of it also on disk.

    Attributes:
        query: whom the search looked for.
        hits: best first, the query's own picture left out.
        appearances: in how many other pictures of the gallery the person is.
        benchmark: the model's figures.
        index: what indexing did in this run.
        page: the report.
        seconds: what each stage took when it did its work, and what it took in this run.
    """

    query: Query
    hits: tuple[Judged, ...]
    appearances: int
    benchmark: Benchmark
    index: IndexReport
    page: Path
    seconds: dict[str, tuple[float, float]] = field(default_factory=dict)


STATE = "demo.json"


def run_demo(
    out: Path,
    settings: DemoSettings,
    *,
    device: str = "auto",
    progress: Progress = silent,
    say: Callable[[str], None] = lambda line: None,
) -> DemoResult:
    """Do everything that is not done yet, and return what came out.

    Args:
        out: folder that belongs to this demo; with other settings, take another one.
        say: hears a line at the beginning and end of every stage.

    Raises:
        UsageError: ``out`` holds a demo of other settings, or something else altogether; there
            is no such preset or gallery size. It is said before anything is made.
        InputError: the device is not to be had.
    """
    _check(settings, device)
    stages = _Stages(out, settings, say)
    with stages("data set"):
        data = open_dataset("synthetic", _make_data(out / "data", settings, progress))
    with stages("training"):
        scenes = data.scenes("train")
        model = train(scenes, out / "model", _training(settings), device=device, progress=progress)
    searcher = load_searcher(model, device)
    with stages("evaluation"):
        protocol = Protocol(gallery_size=settings.gallery_size)
        benchmark = run_benchmark(searcher, data, protocol, out / "evaluation", progress=progress)
        write_json(out / "evaluation" / "scores.json", benchmark_record(benchmark))
    with stages("indexing"):
        photos = copy_photos(data.scenes("test"), out / "photos").resolve()
        index = _index(photos, out / "gallery", searcher, progress)
    with stages("search"):
        query = choose_query(data.trials(settings.gallery_size))
        scenes = data.scenes("test")
        truth = appearances(scenes, query, photos)
        result = _search(searcher, query, photos, out / "gallery", settings.hits)
        page = out / "report.html"
        write_text(page, _page(result, photos / query.scene, truth, benchmark))
    stages.finish()
    right = compare(result.hits, truth, match_threshold).right
    return DemoResult(
        query=query,
        hits=tuple(Judged(hit=hit, right=ok) for hit, ok in zip(result.hits, right, strict=True)),
        appearances=len(truth),
        benchmark=benchmark,
        index=index,
        page=page,
        seconds=stages.seconds,
    )


class _Stages:
    """Announces stages, measures them, and remembers in the folder what it was made with."""

    def __init__(self, out: Path, settings: DemoSettings, say: Callable[[str], None]) -> None:
        self.path, self.say = out / STATE, say
        self.settings = asdict(settings)
        self.seconds: dict[str, tuple[float, float]] = {}
        self.earlier: dict[str, float] = {}
        if self.path.exists():
            state = _read_state(self.path)
            if state.get("settings") != self.settings:
                raise UsageError(
                    f"{out} holds a demo with other settings: {state.get('settings')}",
                    hint="give another folder with --out, or remove this one",
                )
            self.earlier = {str(name): float(spent) for name, spent in state.get("seconds", {}).items()}
        elif out.exists() and any(out.iterdir()):
            raise UsageError(f"{out} is not empty and holds no demo", hint="give another folder with --out")
        self._save()

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        """One stage: what it takes is added to what interrupted runs of it took."""
        finished = self.earlier.get(f"{name} finished")
        self.say(f"{name}: " + ("done before, checking" if finished is not None else "begins"))
        start = time.monotonic()
        try:
            yield
        except BaseException:
            if finished is None:
                self.earlier[name] = self.earlier.get(name, 0.0) + time.monotonic() - start
                self._save()
            raise
        spent = time.monotonic() - start
        worked = finished if finished is not None else self.earlier.get(name, 0.0) + spent
        self.earlier[f"{name} finished"] = worked
        self.seconds[name] = (worked, spent)
        self._save()
        self.say(f"{name}: ready after {clock(spent)}")

    def _save(self) -> None:
        write_json(self.path, {"settings": self.settings, "seconds": self.earlier})

    def finish(self) -> None:
        """Say what everything took together."""
        self.say(f"all stages: {clock(sum(spent for _, spent in self.seconds.values()))}")


def _read_state(path: Path) -> dict[str, Any]:
    try:
        state = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} cannot be read", hint="remove the folder and run again") from error
    return state if isinstance(state, dict) else {}


def _check(settings: DemoSettings, device: str) -> None:
    """Raise for what only a later stage would stumble over, minutes from now."""
    drawn = _drawing(settings)
    _training(settings)
    choose_device(device)
    sizes = gallery_sizes(drawn, drawn.test_scenes)
    if settings.gallery_size not in sizes:
        raise UsageError(
            f"preset {settings.dataset} has no galleries of {settings.gallery_size} pictures",
            hint=f"gallery sizes there: {', '.join(map(str, sizes))}",
        )


def _drawing(settings: DemoSettings) -> SyntheticSettings:
    chosen = dataset_preset(settings.dataset)
    return chosen if settings.seed is None else replace(chosen, seed=settings.seed)


def _make_data(root: Path, settings: DemoSettings, progress: Progress) -> Path:
    return make_dataset(root, _drawing(settings), workers=settings.workers, progress=progress)


def _training(settings: DemoSettings) -> TrainingSettings:
    chosen = training_preset(settings.training)
    return chosen if settings.seed is None else replace(chosen, seed=settings.seed)


def copy_photos(scenes: tuple[Scene, ...], folder: Path) -> Path:
    """A folder with the pictures of ``scenes`` and nothing else, as somebody would have it.

    Files that are there already stay; links to the data set's files where the disk allows them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for scene in scenes:
        target = folder / scene.name
        if scene.path is None or target.exists():
            continue
        try:
            os.link(scene.path, target)
        except OSError:  # another disk, or a file system without links
            write_bytes(target, scene.path.read_bytes())
    return folder


def _index(photos: Path, gallery: Path, searcher: Searcher, progress: Progress) -> IndexReport:
    """Everybody in ``photos``; a gallery that an earlier model filled is made anew."""
    if (gallery / DESCRIPTION).exists():
        with Gallery.open(gallery) as opened:
            stale = opened.fingerprint != searcher.fingerprint
        if stale:
            shutil.rmtree(gallery)
    return index_folder(photos, gallery, searcher, progress=progress)


def choose_query(trials: Trials) -> Query:
    """One search of the protocol that is neither hopeless nor picked for its result.

    Among the queries whose person appears in most gallery pictures, the middle one by height:
    a rule that looks at the annotation only, never at what the model answers.
    """
    entries = np.diff(trials.truth_ptr) > 0
    positives = np.add.reduceat(np.append(entries, False), trials.entry_ptr[:-1]) * (
        np.diff(trials.entry_ptr) > 0
    )
    most = np.flatnonzero(positives == positives.max())
    heights = trials.query_box[most, 3] - trials.query_box[most, 1]
    chosen = most[np.argsort(heights, kind="stable")[len(most) // 2]]
    name = trials.scenes[trials.query_scene[chosen]]
    return Query(name, trials.query_box[chosen], int(trials.query_person[chosen]))


def appearances(scenes: tuple[Scene, ...], query: Query, photos: Path) -> dict[str, Array]:
    """Where the person really is: (n, 4) boxes by picture as hits name it, the query's own left out."""
    return {
        str(photos / scene.name): scene.boxes[scene.people == query.person]
        for scene in scenes
        if scene.name != query.scene and (scene.people == query.person).any()
    }


def _search(searcher: Searcher, query: Query, photos: Path, gallery: Path, hits: int) -> SearchResult:
    """The most similar people of other pictures than the query's."""
    own = photos / query.scene
    embedding = searcher.embed(load(own, name=query.scene), query.box[None])[0]
    with Gallery.open(gallery) as opened:
        return opened.search(
            embedding, hits, fingerprint=searcher.fingerprint, query=query, exclude_picture=own
        )


def _page(result: SearchResult, own: Path, truth: dict[str, Array], benchmark: Benchmark) -> str:
    """The report: query, hits in their scenes, truth, and the model's figures."""
    figures = [
        Figure(name=name, value=interval.mean, low=interval.low, high=interval.high)
        for name, interval in benchmark.intervals.items()
    ]
    figures.append(Figure(name="Detection recall", value=benchmark.detection.recall))
    figures.append(Figure(name="Queries", value=len(benchmark.search.ap)))
    options = PageOptions(
        truth=truth,
        threshold=match_threshold,
        figures=figures,
        figures_note=f"{benchmark.search.protocol}; 95 % intervals from drawing the queries again",
        notes=("The pictures are generated, and so is everybody in them.",),
    )
    return search_page(result, load(own, name=own.name), load, options)
