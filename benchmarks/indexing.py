"""How fast are pictures and videos indexed end to end, and where does the time go?

    python benchmarks/indexing.py --model RUN [SOURCE ...] [--pictures 60] [--every 1s] [--rounds 3]

Without a source, a folder of made-up 1280x720 JPEG files. Each round indexes everything into new
galleries: one thing after the other (``--jobs 0``), with reading, hashing and decoding, the network,
and writing timed apart; and with them side by side, as the command does it. The rounds take turns,
and the quickest of each counts. The machine must be quiet, and RUN a trained model: an untrained
network hands on as many boxes as it may. Writes ``benchmarks/results/indexing.json``, numbers only.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from personsearch import images
from personsearch.gallery.batch import Batch
from personsearch.indexing import run
from personsearch.indexing.local import index_sources
from personsearch.indexing.options import IndexOptions
from personsearch.media.sampling import every
from personsearch.media.sources import find_sources
from personsearch.media.video import Video
from personsearch.model.checkpoint import load_searcher
from personsearch.types import IndexReport, Searcher

RESULT = Path(__file__).parent / "results" / "indexing.json"


class Clock:
    """Adds up the seconds spent in some functions."""

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()

    def timed(self, name: str, work: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*words: Any, **more: Any) -> Any:
            started = time.perf_counter()
            try:
                return work(*words, **more)
            finally:
                self.seconds[name] += time.perf_counter() - started

        return timed

    def generator(self, name: str, work: Callable[..., Any]) -> Callable[..., Any]:
        """The same for a generator: the time until each of its items is there."""

        def timed(*words: Any, **more: Any) -> Any:
            items = work(*words, **more)
            following = self.timed(name, lambda: next(items, None))
            while (item := following()) is not None:
                yield item

        return timed


class TimedSearcher:
    """A searcher whose network is timed."""

    def __init__(self, searcher: Searcher, clock: Clock) -> None:
        self.fingerprint, self.dim = searcher.fingerprint, searcher.dim
        self.similarity = searcher.similarity
        self.embed = searcher.embed
        self.detect = clock.timed("network", searcher.detect)


def draw(folder: Path, pictures: int) -> None:
    """Made-up pictures of 1280x720 with as much detail as photographs have in JPEG."""
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True)
    for number in range(pictures):
        coarse = rng.integers(0, 256, (45, 80, 3)).astype(np.uint8)
        pixels = cv2.resize(coarse, (1280, 720), interpolation=cv2.INTER_CUBIC).astype(np.int16)
        noise = rng.normal(0, 6, pixels.shape)
        content = images.encode_jpeg(np.clip(pixels + noise, 0, 255).astype(np.uint8), 90)
        (folder / f"{number:05}.jpg").write_bytes(content)


def once(sources: list[str], searcher: Searcher, options: IndexOptions) -> tuple[IndexReport, Counter[str]]:
    """Index into a new gallery, with the parts timed."""
    clock = Clock()
    kept = run.prepare, Batch.commit, Video.frames
    run.prepare = clock.timed("read, hash and decode", run.prepare)
    Batch.commit = clock.timed("write", Batch.commit)  # type: ignore[method-assign]
    Video.frames = clock.generator("decode video", Video.frames)  # type: ignore[method-assign]
    try:
        with tempfile.TemporaryDirectory() as folder:
            report = index_sources(sources, Path(folder) / "gallery", TimedSearcher(searcher, clock), options)
    finally:
        run.prepare, Batch.commit, Video.frames = kept  # type: ignore[method-assign]
    return report, clock.seconds


def measure(sources: list[str], searcher: Searcher, options: IndexOptions, rounds: int) -> dict[str, Any]:
    """Figures of both ways, their rounds taking turns."""
    ways = {"one after the other": replace(options, jobs=0), "side by side": options}
    best: dict[str, tuple[IndexReport, Counter[str]]] = {}
    for _ in range(rounds):
        for name, way in ways.items():
            found = once(sources, searcher, way)
            if name not in best or found[0].seconds < best[name][0].seconds:
                best[name] = found
    figures: dict[str, Any] = {}
    for name, (report, seconds) in best.items():
        looked_at = report.frames + report.added - (1 if report.frames else 0)
        figures[name] = {
            "seconds": round(report.seconds, 2),
            "looked_at": looked_at,
            "a_second": round(looked_at / report.seconds, 2),
            "people": report.people,
            "tracklets": report.tracklets,
            "failed": len(report.failures),
            "seconds_in": {part: round(spent, 2) for part, spent in sorted(seconds.items())},
        }
    slow, quick = (figures[name]["seconds"] for name in ways)
    return {**figures, "gain": round(slow / quick, 3)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sources", nargs="*")
    parser.add_argument("--model", required=True, type=Path)
    parser.add_argument("--pictures", type=int, default=60)
    parser.add_argument("--every", default="1s")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=RESULT)
    words = parser.parse_args()
    searcher = load_searcher(words.model, "auto")
    options = IndexOptions(sampling=every(words.every), near_duplicates=True)
    result: dict[str, Any] = {
        "schema": "personsearch.benchmark.indexing/1",
        "machine": {"cores": os.cpu_count(), "cpu": platform.processor() or platform.machine()},
        "model": searcher.fingerprint[:12],
        "every": words.every,
        "jobs": options.jobs,
        "rounds": words.rounds,
        "sources": {},
    }
    with tempfile.TemporaryDirectory() as folder:
        sources = {Path(source).name: [source] for source in words.sources}
        if not sources:
            draw(Path(folder) / "drawn", words.pictures)
            sources = {f"{words.pictures} drawn pictures of 1280x720": [f"{folder}/drawn"]}
        for name, several in sources.items():
            find_sources(several)
            result["sources"][name] = measure(several, searcher, options, words.rounds)
            print(name, json.dumps(result["sources"][name], indent=2), flush=True)
    words.out.parent.mkdir(exist_ok=True)
    words.out.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
