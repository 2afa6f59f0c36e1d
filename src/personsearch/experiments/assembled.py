"""Twelve searchers out of three detectors and four embedders, without looking at anything twice.

Every detector looks at each picture once, every embedder at each query once, and at the people of each
detector once; what was seen lies in features files, from which the searchers are put together.
They have the fingerprints, and their features files the names, of the searchers that
:func:`personsearch.experiments.benchmark.describe` would have run.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from personsearch import images
from personsearch.baselines.two_stage import Detector, TwoStage
from personsearch.datasets.dataset import Dataset
from personsearch.errors import InputError
from personsearch.experiments.benchmark import Protocol, describe
from personsearch.features import Features
from personsearch.files import write_json
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


class Stopwatch:
    """Milliseconds a picture of each stage, measured on a few pictures and kept in a file.

    Apart from the extraction, whose pictures may come from an earlier run: what is measured is
    one process that does nothing else, pictures already decoded, the first one not counted.

    Args:
        file: where what was measured is kept; measured again for another model or other pictures.
        scenes: the pictures.
        boxes: what each detector saw, so that embedders can be timed alone.
    """

    def __init__(self, file: Path, scenes: Sequence[Scene], boxes: dict[str, Features]) -> None:
        self.file, self.scenes, self.boxes = file, scenes, boxes
        self._known = _read_costs(file)
        self._pictures: list[Picture] = []
        self._key = hashlib.sha256("\n".join(scene.name for scene in scenes).encode()).hexdigest()[:12]

    def detecting(self, detector: Detector | Searcher) -> float:
        """Milliseconds a picture for finding people (of a joint network: for everything)."""
        key = f"detect {detector.fingerprint} {self._key}"
        return self._measured(key, lambda picture: detector.detect(picture))

    def describing(self, name: str, detector: Detector, embedder: Embedder) -> float:
        """Milliseconds a picture for describing the people of the detector called ``name``."""

        def work(picture: Picture) -> object:
            people = self.boxes[name].detections(picture.name).boxes
            return embedder.embed(picture, people) if len(people) else None

        return self._measured(f"describe {detector.fingerprint} {embedder.fingerprint} {self._key}", work)

    def _measured(self, key: str, work: Any) -> float:
        if key not in self._known:
            pictures = self._loaded()
            work(pictures[0])
            start = time.perf_counter()
            for picture in pictures:
                work(picture)
            self._known[key] = 1000 * (time.perf_counter() - start) / len(pictures)
            write_json(self.file, self._known)
        return self._known[key]

    def _loaded(self) -> list[Picture]:
        if not self._pictures:
            for scene in self.scenes:
                if scene.path is None:
                    raise InputError(
                        f"picture {scene.name} is missing", hint="is the data set unpacked whole?"
                    )
                self._pictures.append(images.load(scene.path, name=scene.name))
        return self._pictures


def _read_costs(file: Path) -> dict[str, float]:
    """What was measured before; nothing where the file is missing or damaged, which costs seconds."""
    import json

    try:
        values = json.loads(file.read_text(encoding="utf-8"))
        return {str(key): float(value) for key, value in values.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def _saying(progress: Progress, what: str) -> Progress:
    """``progress`` with another label, so that twelve passes over the same pictures are told apart."""

    def told(items: Any, label: str, *, total: int | None = None, done: int = 0) -> Any:
        return progress(items, what, total=total, done=done)

    return told
