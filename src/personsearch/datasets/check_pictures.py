"""Do the picture files and the annotation belong together? Read in parallel, headers or whole."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Literal

import numpy as np

from personsearch import images
from personsearch.boxes import area, clip
from personsearch.datasets.dataset import Part
from personsearch.datasets.findings import Findings
from personsearch.datasets.rows import has_size, ignored, visible
from personsearch.errors import InputError
from personsearch.files import sha256_of
from personsearch.progress import Progress
from personsearch.types import Array, Scene

OVER = 1.0
"""Pixels by which a box may leave its picture: coordinates that count from one do so."""

_AHEAD = 64


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What a picture file said.

    Attributes:
        split, name: of its scene.
        size: (width, height), None where it cannot be read.
        problem: the rule it breaks, and why; empty when it breaks none.
        digest: SHA-256 of the file where pictures were read whole.
    """

    split: Part
    name: str
    size: tuple[int, int] | None = None
    problem: tuple[str, str] = ("", "")
    digest: str = ""


def check_pictures(
    scenes: Sequence[tuple[Part, Scene]],
    looks: Literal["headers", "whole"],
    workers: int,
    findings: Findings,
    progress: Progress,
) -> list[Seen]:
    """Read the picture of every scene and hold its boxes against its size.

    Returns:
        What every picture said, in the order of ``scenes``.
    """
    label = "reading headers" if looks == "headers" else "decoding pictures"
    jobs = [_Look(split, scene, looks == "whole") for split, scene in scenes]
    threads = workers or (os.cpu_count() or 1) + 2
    seen = []
    for (_, scene), one in zip(
        scenes, progress(_in_parallel(jobs, threads), label, total=len(jobs)), strict=True
    ):
        seen.append(one)
        rule, detail = one.problem
        if rule:
            findings.add(rule, scene.name, detail)
        if one.size is not None and scene.size is not None and one.size != scene.size:
            said = f"{scene.size[0]}x{scene.size[1]}"
            findings.add("other-size", scene.name, f"{one.size[0]}x{one.size[1]}, annotated as {said}")
        check_places(scene, one.size or scene.size, findings)
    return seen


@dataclass(frozen=True, eq=False)
class _Look:
    """Reading one picture: a call without arguments, for a thread."""

    split: Part
    scene: Scene
    whole: bool

    def __call__(self) -> Seen:
        path, split, name = self.scene.path, self.split, self.scene.name
        if path is None:
            return Seen(split=split, name=name, problem=("no-picture-file", ""))
        if not path.is_file():
            return Seen(split=split, name=name, problem=("missing-picture", str(path)))
        try:
            size = images.load(path).size if self.whole else images.read_size(path)
            digest = sha256_of(path) if self.whole else ""
        except InputError as error:
            return Seen(split=split, name=name, problem=("unreadable-picture", str(error)))
        except OSError as error:
            said = error.strerror or type(error).__name__
            return Seen(split=split, name=name, problem=("unreadable-picture", said))
        return Seen(split=split, name=name, size=size, digest=digest)


def _in_parallel(jobs: Sequence[Callable[[], Seen]], threads: int) -> Iterator[Seen]:
    """Results of ``jobs`` in their order, few of them ahead: Ctrl-C does not wait for all."""
    with ThreadPoolExecutor(threads) as pool:
        rest = iter(jobs)
        waiting: list[Future[Seen]] = [pool.submit(job) for job in islice(rest, _AHEAD)]
        try:
            while waiting:
                yield waiting.pop(0).result()
                waiting += [pool.submit(job) for job in islice(rest, 1)]
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def check_places(scene: Scene, size: tuple[int, int] | None, findings: Findings) -> None:
    """Boxes that leave a picture of ``size`` (None: unknown): a little, or half of them and more."""
    real = has_size(scene) & ~ignored(scene)
    boxes, shares = scene.boxes[real].astype(np.float64), visible(scene)[real]
    limits = size or (np.inf, np.inf)
    inside = area(clip(boxes, limits)) / area(boxes)  # type: ignore[arg-type]
    over = np.maximum(-boxes[:, :2], boxes[:, 2:] - np.array(limits, np.float64)).max(axis=1, initial=0)
    for row in np.flatnonzero(over > OVER).tolist():
        # An annotation that says how little is to be seen means the whole body, picture or not.
        explained = shares[row] <= inside[row] + 0.1
        half_gone = inside[row] <= 0.5 and not (explained and inside[row] > 0)
        rule = "box-outside" if half_gone else "box-over-edge"
        where = "" if size is None else f" of {size[0]}x{size[1]}"
        findings.add(rule, scene.name, f"{_numbers(boxes[row])}{where}")


def _numbers(box: Array) -> str:
    x1, y1, x2, y2 = (float(side) for side in box)
    return ",".join(f"{round(value, 2):g}" for value in (x1, y1, x2 - x1, y2 - y1))


def check_unlisted(scenes: Sequence[Scene], findings: Findings) -> None:
    """Picture files beside the annotated ones that nobody annotated."""
    listed = {scene.path for scene in scenes if scene.path is not None}
    suffixes = {path.suffix.lower() for path in listed}
    for folder in sorted({path.parent for path in listed}):
        if folder.is_dir():
            others = (Path(entry.path) for entry in os.scandir(folder) if entry.is_file())
            extra = sorted(p for p in others if p.suffix.lower() in suffixes and p not in listed)
            findings.extend("unlisted-picture", (path.name for path in extra))
