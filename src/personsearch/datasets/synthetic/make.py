"""Write a generated benchmark to disk in CUHK-SYSU's layout; killed at any moment it resumes."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import shutil
import signal
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from personsearch.datasets.cuhk_sysu import PICTURES
from personsearch.datasets.cuhk_sysu_writer import write_annotations
from personsearch.datasets.protocol_maker import smallest
from personsearch.datasets.synthetic.photo import make_tiles
from personsearch.datasets.synthetic.plan import Cast, plan_split
from personsearch.datasets.synthetic.protocols import (
    OCCLUDED,
    choose_queries,
    cut,
    galleries,
    gallery_sizes,
    make_trials,
    places,
)
from personsearch.datasets.synthetic.scene import make_shot
from personsearch.datasets.synthetic.settings import SyntheticSettings
from personsearch.errors import DatasetError
from personsearch.files import disk_errors, write_json
from personsearch.images import encode_jpeg
from personsearch.progress import Progress, silent
from personsearch.types import Array, Scene

VERSION = 1
"""Raised whenever the same settings would give other bytes."""

RECORD = Path("annotation/generated.json")
_CHUNK = 8


def make_dataset(
    root: Path, settings: SyntheticSettings, *, workers: int = 0, progress: Progress = silent
) -> Path:
    """Generate the benchmark ``settings`` describe under ``root``, and return ``root``.

    The bytes depend on ``settings`` alone, not on ``workers`` or on interruptions. What an
    interrupted run finished is kept; a finished benchmark is left as it is.

    Args:
        root: folder to write; new, or one that an earlier run with the same settings began.
        settings: see :func:`personsearch.datasets.synthetic.presets.preset`.
        workers: processes; 0 for one per core.
        progress: told of every picture.

    Raises:
        DatasetError: ``root`` holds something else.
    """
    root = Path(root)
    if _finished(root, settings):
        return root
    folder = root / ".parts"
    folder.mkdir(parents=True, exist_ok=True)
    (root / PICTURES).mkdir(parents=True, exist_ok=True)
    plans = {split: plan_split(settings, split) for split in ("test", "train")}
    jobs = [
        (split, start, plan[start : start + _CHUNK])
        for split, plan in plans.items()
        for start in range(0, len(plan), _CHUNK)
    ]
    missing = [job for job in jobs if not _part_holds(root, folder, job)]
    total = sum(len(job[2]) for job in jobs)
    done = total - sum(len(job[2]) for job in missing)
    with disk_errors(root):
        for _ in progress(_run(root, settings, missing, workers), "drawing scenes", total=total, done=done):
            pass
    _write_annotations(root, folder, settings, plans)
    shutil.rmtree(folder)
    return root


def _finished(root: Path, settings: SyntheticSettings) -> bool:
    """Whether ``root`` holds this very benchmark; an error when it holds another."""
    record = root / RECORD
    begun = root / ".parts" / "settings.json"
    wanted = {"version": VERSION, "settings": settings.as_json()}
    for path in (record, begun):
        if path.exists():
            held = json.loads(path.read_text())
            if {key: held.get(key) for key in wanted} != wanted:
                raise DatasetError(
                    f"{root} holds a benchmark made with other settings", hint="choose an empty folder"
                )
    if record.exists():
        return True
    # Annotation beside an unfinished run of ours is what a kill left while it was written.
    if (root / "annotation").exists() and not begun.exists():
        raise DatasetError(f"{root} holds another data set", hint="choose an empty folder")
    write_json(begun, wanted)
    return False


def picture_name(settings: SyntheticSettings, split: str, number: int) -> str:
    """File name of a picture; test pictures come first, so that they do not depend on training.

    >>> picture_name(SyntheticSettings(test_scenes=440), "train", 0)
    's441.jpg'
    """
    return f"s{number + 1 + (settings.test_scenes if split == 'train' else 0)}.jpg"


Job = tuple[str, int, tuple[Cast, ...]]


def _run(root: Path, settings: SyntheticSettings, jobs: list[Job], workers: int) -> Iterator[int]:
    """Do ``jobs``; yields once a picture."""
    count = min(workers or os.cpu_count() or 1, len(jobs))
    if count <= 1:
        for job in jobs:
            yield from range(_draw_chunk(root, settings, job))
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(count, mp_context=context, initializer=_leave_interrupts) as pool:
        try:
            for future in as_completed([pool.submit(_draw_chunk, root, settings, job) for job in jobs]):
                yield from range(future.result())
        except BaseException:
            # Waiting here: the context manager's own shutdown would take the cancelling back.
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def _leave_interrupts() -> None:
    """Ctrl-C is for the parent: a worker finishes its chunk and is then told to stop."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _draw_chunk(root: Path, settings: SyntheticSettings, job: Job) -> int:
    """Draw one chunk of pictures and then its part file, which says that they are whole."""
    cv2.setNumThreads(1)
    split, start, casts = job
    tiles = make_tiles()
    scenes = []
    for number, cast in enumerate(casts, start=start):
        shot = make_shot(settings, split, number, cast, tiles)
        name = picture_name(settings, split, number)
        content = encode_jpeg(shot.pixels, quality=shot.quality)
        path = root / PICTURES / name
        path.write_bytes(content)
        scenes.append(
            {
                "name": name,
                "bytes": len(content),
                "sha256": hashlib.sha256(content).hexdigest(),
                "boxes": shot.boxes.tolist(),
                "people": shot.people.tolist(),
                "twins": shot.twins.tolist(),
                "visible": [round(float(v), 4) for v in shot.visible],
            }
        )
    write_json(_part_path(root / ".parts", split, start), scenes)
    return len(casts)


def _part_path(folder: Path, split: str, start: int) -> Path:
    return folder / f"{split}-{start}.json"


def _part_holds(root: Path, folder: Path, job: Job) -> bool:
    """Whether an earlier run finished this chunk and its pictures are still whole."""
    path = _part_path(folder, job[0], job[1])
    if not path.exists():
        return False
    for scene in json.loads(path.read_text()):
        picture = root / PICTURES / scene["name"]
        if not picture.exists() or hashlib.sha256(picture.read_bytes()).hexdigest() != scene["sha256"]:
            return False
    return True


def _read_parts(root: Path, folder: Path, settings: SyntheticSettings, split: str) -> list[dict[str, Any]]:
    count = settings.of_split(split)[1]
    parts = [json.loads(_part_path(folder, split, start).read_text()) for start in range(0, count, _CHUNK)]
    return [scene for part in parts for scene in part]


def _write_annotations(
    root: Path, folder: Path, settings: SyntheticSettings, plans: dict[str, tuple[Cast, ...]]
) -> None:
    """Annotation files from the parts, the record last: it says that all is there."""
    raw = {split: _read_parts(root, folder, settings, split) for split in plans}
    scenes = {
        split: [
            Scene(
                scene["name"],
                path=root / PICTURES / scene["name"],
                size=settings.size,
                boxes=np.array(scene["boxes"], np.float32).reshape(-1, 4),
                people=np.array(scene["people"], np.int64),
                visible=np.array(scene["visible"], np.float32),
            )
            for scene in rows
        ]
        for split, rows in raw.items()
    }
    test = scenes["test"]
    names = [scene.name for scene in test]
    found = places(test, settings.test_identities)
    rows = choose_queries(found, settings)
    lookalikes = _lookalikes(raw["test"])
    entries = galleries(settings, found, rows, lookalikes, len(test))
    sizes = gallery_sizes(settings, len(test))
    trials = {n: make_trials(f"gallery={n}", names, found, rows, cut(entries, n)) for n in sizes}
    usual = max([n for n in sizes if n <= 100], default=0)
    hidden = found.visible[rows] < OCCLUDED
    heights = found.box[rows, 3] - found.box[rows, 1]
    subsets = [_subset(mask, usual, (names, found, rows, entries)) for mask in (hidden, smallest(heights))]
    write_annotations(
        root,
        train=scenes["train"],
        test=test,
        galleries=trials,
        occlusion=subsets[0],
        low_resolution=subsets[1],
    )
    queries = [
        {
            "height": int(heights[i]),
            "visible": round(float(found.visible[rows[i]]), 4),
            "twins": [names[scene] for scene in lookalikes.get(i, [])],
        }
        for i in range(len(rows))
    ]
    write_json(root / RECORD, {"version": VERSION, "settings": settings.as_json(), "queries": queries})


def _subset(mask: Array, size: int, parts: tuple[Any, ...]) -> Any:
    """Trials of the queries in ``mask`` with galleries of ``size``; None when there are none."""
    names, found, rows, entries = parts
    chosen = np.flatnonzero(mask)
    if not size or not len(chosen):
        return None
    return make_trials(
        f"subset gallery={size}", names, found, rows[chosen], cut([entries[i] for i in chosen], size)
    )


def _lookalikes(test: list[dict[str, Any]]) -> dict[int, list[int]]:
    """Per test identity the pictures in which somebody dressed much alike was really drawn."""
    result: dict[int, list[int]] = {}
    for number, scene in enumerate(test):
        for person in scene["twins"]:
            if person >= 0:
                result.setdefault(person, []).append(number)
    return result
