"""Twelve searchers out of three detectors and four embedders, without looking at anything twice.

Every detector looks at each picture once, every embedder at each query once, and at the people of each
detector once; what was seen lies in features files, from which the searchers are put together.
They have the fingerprints, and their features files the names, of the searchers that
:func:`personsearch.experiments.benchmark.describe` would have run.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from typing import Protocol as Interface

import cv2
import numpy as np
import torch

from personsearch import images
from personsearch.baselines.two_stage import Detector, TwoStage
from personsearch.datasets.dataset import Dataset
from personsearch.errors import InputError
from personsearch.experiments.benchmark import Protocol, describe
from personsearch.experiments.timing import ROUNDS, Work, quickest_in_turn
from personsearch.features import Features
from personsearch.files import write_json
from personsearch.model.searcher import choose_device
from personsearch.progress import Progress, silent
from personsearch.types import Array, Detections, Embedder, Picture, Scene, Searcher, Similarity


def _named(what: str, fingerprint: str) -> str:
    return hashlib.sha256(f"{what}\n{fingerprint}\n".encode()).hexdigest()


class Finder:
    """A detector as a searcher that describes nobody: vectors of length 0."""

    dim = 0
    similarity: Similarity = "euclidean"

    def __init__(self, detector: Detector) -> None:
        self.detector = detector
        self.fingerprint = _named("boxes alone", detector.fingerprint)

    def detect(self, picture: Picture) -> Detections:
        """The detector's people."""
        seen = self.detector.detect(picture)
        return Detections(seen.boxes, seen.scores, np.zeros((len(seen), 0), np.float32))

    def embed(self, picture: Picture, boxes: Array) -> Array:
        """(n, 0): nothing."""
        return np.zeros((len(boxes), 0), np.float32)


class Describer:
    """An embedder as a searcher that finds nobody: only the queries are described."""

    def __init__(self, embedder: Embedder) -> None:
        self.embedder = embedder
        self.dim = embedder.dim
        self.similarity = embedder.similarity
        self.fingerprint = _named("queries alone", embedder.fingerprint)

    def detect(self, picture: Picture) -> Detections:
        """Nobody."""
        return Detections.none(self.dim)

    def embed(self, picture: Picture, boxes: Array) -> Array:
        """The embedder's vectors."""
        return self.embedder.embed(picture, boxes)


class Recorded:
    """What a detector saw before, as a detector: boxes and scores by the picture's name.

    Args:
        detector: whose fingerprint and name these are.
        seen: what its :class:`Finder` saw.
    """

    def __init__(self, detector: Detector, seen: Features) -> None:
        self.fingerprint = detector.fingerprint
        self.name = getattr(detector, "name", "")
        self._seen = seen

    def detect(self, picture: Picture) -> Detections:
        """Everybody whom it saw in the picture of that name; DatasetError where it never looked."""
        return self._seen.detections(picture.name)


class Assembled:
    """A detector's recorded boxes, described now, and an embedder's recorded queries.

    Args:
        two: a :class:`Recorded` detector and the embedder.
        asked: what the embedder's :class:`Describer` saw.
    """

    def __init__(self, two: TwoStage, asked: Features) -> None:
        self.two = two
        self.fingerprint, self.dim, self.similarity = two.fingerprint, two.dim, two.similarity
        self._rows: dict[tuple[str, bytes], int] = {}
        names = [asked.scenes[row] for row in asked.q_img]
        for row, (name, box) in enumerate(zip(names, asked.q_box, strict=True)):
            self._rows.setdefault((name, box.tobytes()), row)
        self._asked = asked.q_feat

    def detect(self, picture: Picture) -> Detections:
        """The recorded people, described."""
        return self.two.detect(picture)

    def embed(self, picture: Picture, boxes: Array) -> Array:
        """The recorded vectors of queries."""
        keys = [(picture.name, box.tobytes()) for box in np.asarray(boxes, np.float32)]
        found: Array = self._asked[[self._rows[key] for key in keys]]
        return found


@dataclass(frozen=True, eq=False, kw_only=True)
class Looked:
    """Everything that was seen, by name of detector and embedder.

    Attributes:
        boxes: what each detector saw.
        people: by (detector, embedder), boxes with their vectors, and the queries'.
        files: the features file of each pair.
    """

    boxes: dict[str, Features]
    people: dict[tuple[str, str], Features]
    files: dict[tuple[str, str], Path]


def look(
    detectors: dict[str, Detector],
    embedders: dict[str, Embedder],
    dataset: Dataset,
    protocol: Protocol,
    folder: Path,
    *,
    progress: Progress = silent,
) -> Looked:
    """Run every pair over the test half of ``dataset``; killed at any moment, the same call goes on.

    Args:
        folder: of the features files.
        progress: told of every picture, with who is looking.

    Raises:
        InputError: a picture cannot be read.
    """

    def seen(searcher: Searcher, what: str) -> tuple[Features, Path]:
        return describe(searcher, dataset, protocol, folder, progress=_saying(progress, what))

    boxes = {name: seen(Finder(one), f"{name}: finding")[0] for name, one in detectors.items()}
    asked = {name: seen(Describer(one), f"{name}: queries")[0] for name, one in embedders.items()}
    people: dict[tuple[str, str], Features] = {}
    files: dict[tuple[str, str], Path] = {}
    for finder, detector in detectors.items():
        for describer, embedder in embedders.items():
            pair = Assembled(TwoStage(Recorded(detector, boxes[finder]), embedder), asked[describer])
            found, file = seen(pair, f"{finder}+{describer}")
            people[finder, describer], files[finder, describer] = found, file
    return Looked(boxes=boxes, people=people, files=files)


@dataclass(frozen=True, kw_only=True)
class Timed:
    """Something whose time is asked for.

    Attributes:
        key: says what it is and on what; times are kept under it.
        work: does it with a picture.
    """

    key: str
    work: Work


class Seen(Interface):
    """Whoever knows the people of a picture by its name: :class:`~personsearch.features.Features` do."""

    def detections(self, name: str) -> Detections:
        """The people in the picture called ``name``."""
        ...


class Stopwatch:
    """Milliseconds of each stage with each of a few pictures, measured once and kept in a file.

    Apart from the extraction, whose pictures may come from an earlier run: what is measured is
    one process that does nothing else, pictures already decoded, as
    :func:`personsearch.experiments.timing.quickest_in_turn` does it. Whoever asks later, for another table,
    is told the same numbers.

    Args:
        file: where what was measured is kept; measured again for another model, other pictures, another
            device or another number of threads.
        scenes: the pictures.
        boxes: what each detector saw, so that embedders can be timed alone.
        dataset: what the pictures' data set is called: another one may call its pictures the same.
        device: that the models run on, as it was asked for.
        progress: told of every picture that is timed.
    """

    def __init__(
        self,
        file: Path,
        scenes: Sequence[Scene],
        boxes: Mapping[str, Seen],
        *,
        dataset: str,
        device: str = "auto",
        progress: Progress = silent,
    ) -> None:
        self.file, self.scenes, self.boxes, self.progress = file, scenes, boxes, progress
        self._known = _read_costs(file)
        self._pictures: list[Picture] = []
        sizes = [(scene.name, scene.size or images.read_size(_file(scene))) for scene in scenes]
        said = json.dumps([dataset, sizes, _machine(device), ROUNDS])
        self._key = hashlib.sha256(said.encode()).hexdigest()[:12]

    def detecting(self, detector: Detector | Searcher) -> Timed:
        """Finding people (of a joint network: everything)."""
        return Timed(key=f"detect {detector.fingerprint} {self._key}", work=detector.detect)

    def describing(self, name: str, detector: Detector, embedder: Embedder) -> Timed:
        """Describing the people of the detector called ``name``."""

        def work(picture: Picture) -> object:
            people = self.boxes[name].detections(picture.name).boxes
            return embedder.embed(picture, people) if len(people) else None

        return Timed(key=f"describe {detector.fingerprint} {embedder.fingerprint} {self._key}", work=work)

    def times(self, asked: Mapping[str, Timed]) -> dict[str, Array]:
        """(n,) milliseconds with each picture, by the names of ``asked``; what is missing takes turns."""
        missing = {one.key: one.work for one in asked.values() if one.key not in self._known}
        if missing:
            found = quickest_in_turn(missing, self._loaded(), progress=self.progress)
            self._known |= {key: [round(ms, 4) for ms in each.tolist()] for key, each in found.items()}
            write_json(self.file, self._known)
        return {name: np.array(self._known[one.key]) for name, one in asked.items()}

    def _loaded(self) -> list[Picture]:
        if not self._pictures:
            for scene in self.scenes:
                self._pictures.append(images.load(_file(scene), name=scene.name))
        return self._pictures


def timed_scenes(scenes: Sequence[Scene], count: int) -> Sequence[Scene]:
    """At most ``count`` pictures to measure times on, spread over all of them.

    >>> timed_scenes(range(10), 4)  # type: ignore[arg-type]
    range(0, 8, 2)
    """
    return scenes[:: max(1, len(scenes) // count)][:count]


def _read_costs(file: Path) -> dict[str, list[float]]:
    """What was measured before; nothing where the file is missing, damaged or old."""
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
        return {str(key): [float(ms) for ms in each] for key, each in values.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def _file(scene: Scene) -> Path:
    if scene.path is None:
        raise InputError(f"picture {scene.name} is missing", hint="is the data set unpacked whole?")
    return scene.path


def _machine(device: str) -> list[str | int]:
    """What runs the models, as far as it shows here: a GPU by its name, and the threads of both libraries."""
    chosen = choose_device(device)
    name = torch.cuda.get_device_name(chosen) if chosen.type == "cuda" else ""
    return [str(chosen), name, torch.get_num_threads(), cv2.getNumThreads()]


def _saying(progress: Progress, what: str) -> Progress:
    """``progress`` with another label, so that twelve passes over the same pictures are told apart."""

    def told(items: Any, label: str, *, total: int | None = None, done: int = 0) -> Any:
        return progress(items, what, total=total, done=done)

    return told
