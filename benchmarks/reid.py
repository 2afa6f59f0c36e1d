"""How fast are the classical descriptors, and how good on given boxes?

    python benchmarks/reid.py ROOT --work DIR [--gallery-size 50] [--queries N] [--train-pictures N]
    python benchmarks/reid.py --real DIR --work DIR [--sets cuhk03 cuhk01]

With ROOT, a generated benchmark (``personsearch dataset make``): the descriptors are trained on its
training half and search its test half on the annotated boxes; milliseconds a person are measured on
its test pictures, decoding left out, on one thread. Writes ``benchmarks/results/reid.json``.

With ``--real``, a folder with ``cuhk03/`` (``train_IIII_KK.jpg``, ``val_IIII_KK.jpg``; KK < 5 is camera A)
and ``cuhk01/`` (``IIIIKKK.jpg``; KKK below 3 is camera A): crops of people from two cameras. Trained on
the people of one half, tested on the others: a picture of each from camera A is looked for among one
picture of each from camera B, drawn 20 times (single shot). With one right answer a query, mAP is the
mean reciprocal rank. Intervals are of 95 % over test people, whose values are means of the drawings; the
gallery stays. Writes ``benchmarks/results/reid-real.json``: numbers only, with every rank.

``--colour-names w2c.mat`` runs BoW with the learned table, too. Crops and steps stay in ``--work``.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from drawing import ends

from personsearch import images
from personsearch.baselines.reid.bow_training import BowSettings, train_bow
from personsearch.baselines.reid.colour_names import agreement, focal_table, read_table
from personsearch.baselines.reid.crops import people_crops
from personsearch.baselines.reid.dense_training import (
    DenseSettings,
    KissmeSettings,
    train_dense,
    train_kissme,
)
from personsearch.datasets.open import open_dataset
from personsearch.experiments.benchmark import Protocol, run_benchmark
from personsearch.files import write_json
from personsearch.progress import Progress, console
from personsearch.ranking.bootstrap import mean_interval, paired_interval
from personsearch.ranking.similarity import similarities
from personsearch.types import Embedder, Picture, Scene

RESULTS = Path(__file__).parent / "results"
DRAWS, RANKS = 20, (1, 5, 10, 20)
Train = Callable[[Sequence[Scene], Path, Path, Progress], Any]


def trainings(colour_names: Path | None, pairs: int) -> dict[str, Train]:
    """Every descriptor by name: (scenes, folder, cache, progress) -> embedder."""

    def bow(table: Path | None) -> Train:
        return lambda scenes, folder, cache, progress: train_bow(
            scenes, BowSettings(colour_names=table), folder, cache=cache, progress=progress
        )

    found: dict[str, Train] = {
        "euclidean": lambda scenes, folder, cache, progress: train_dense(
            scenes, DenseSettings(), folder, cache=cache, progress=progress
        ),
        "kissme": lambda scenes, folder, cache, progress: train_kissme(
            scenes, replace(KissmeSettings(), pairs=pairs), folder, cache=cache, progress=progress
        ),
        "bow": bow(None),
    }
    if colour_names is not None:
        found["bow, learned colour names"] = bow(colour_names)
    return found


def speed(embedder: Embedder, pictures: list[tuple[Picture, np.ndarray]]) -> float:
    """Milliseconds a person on one thread, the best of three rounds."""
    cv2.setNumThreads(1)
    count = sum(len(boxes) for _, boxes in pictures)
    rounds = []
    for _ in range(3):
        start = time.perf_counter()
        for picture, boxes in pictures:
            embedder.embed(picture, boxes)
        rounds.append(time.perf_counter() - start)
    return round(1000 * min(rounds) / count, 2)


def on_generated(given: argparse.Namespace) -> None:
    dataset = open_dataset("synthetic", given.root)
    progress = console("plain")
    train, test = dataset.scenes("train")[: given.train_pictures], dataset.scenes("test")
    sample = [(images.load(scene.path), scene.boxes) for scene in test[:40] if len(scene) and scene.path]
    record: dict[str, Any] = {"gallery_size": given.gallery_size, "train pictures": len(train)}
    for name, learn in trainings(given.colour_names, given.pairs).items():
        start = time.perf_counter()
        embedder = learn(
            train, given.work / "parts" / name.replace(", ", "-"), given.work / "cache", progress
        )
        seconds = time.perf_counter() - start
        protocol = Protocol(boxes="annotated", gallery_size=given.gallery_size, limit=given.queries)
        result = run_benchmark(embedder, dataset, protocol, given.work, progress=progress)
        record[name] = {
            "ms a person": speed(embedder, sample),
            "training seconds": round(seconds, 1),
            "dim": embedder.dim,
            **{key: round(one.mean, 4) for key, one in result.intervals.items()},
            "mAP interval": [round(result.intervals["mAP"].low, 4), round(result.intervals["mAP"].high, 4)],
            "queries": len(result.search.ap),
        }
        write_json(RESULTS / "reid.json", record)
        print(name, json.dumps(record[name]), flush=True)


def real_people(folder: Path, name: str) -> tuple[list[Scene], list[Scene], np.ndarray]:
    """Crops as scenes with one box each: training people, held-out people, camera (0 or 1) of the latter."""
    train, held, camera = [], [], []
    for path in sorted((folder / name).glob("*.jpg")):
        if name == "cuhk03":
            part, person, number = path.stem.split("_")
            trained, second = part == "train", int(number) >= 5
        else:  # the usual halves: 485 people to train on, 486 to test
            person, number = path.stem[:4], path.stem[4:]
            trained, second = int(person) <= 485, int(number) >= 3
        width, height = images.read_size(path)
        scene = Scene(path.name, path, (width, height), [[0, 0, width, height]], [int(person)])
        if trained:
            train.append(scene)
        else:
            held.append(scene)
            camera.append(int(second))
    return train, held, np.array(camera)


def embed_all(embedder: Any, scenes: Sequence[Scene], progress: Progress) -> np.ndarray:
    rows = []
    for scene in progress(scenes, "describing", total=len(scenes)):
        picture = images.load(scene.path)
        rows.append(embedder.describe(people_crops(picture, scene.boxes, embedder.settings.crop)))
    return np.concatenate(rows)


def cross_camera(
    vectors: np.ndarray, people: np.ndarray, camera: np.ndarray, embedder: Embedder
) -> np.ndarray:
    """(20, people) rank of everybody of camera A in camera B, single shot, in each drawing."""
    both = np.intersect1d(people[camera == 0], people[camera == 1])
    rng = np.random.default_rng(0)
    ranks = []
    for _ in range(DRAWS):
        asked = [rng.choice(np.flatnonzero((people == who) & (camera == 0))) for who in both]
        there = [rng.choice(np.flatnonzero((people == who) & (camera == 1))) for who in both]
        alike = similarities(vectors[asked], vectors[there], embedder.similarity)
        ranks.append(1 + (alike > alike.diagonal()[:, None]).sum(axis=1))
    return np.array(ranks)


def by_person(ranks: np.ndarray) -> dict[str, np.ndarray]:
    """CMC and mAP of every person (people,), the mean of the drawings."""
    return {**{f"top-{k}": (ranks <= k).mean(axis=0) for k in RANKS}, "mAP": (1 / ranks).mean(axis=0)}


def summary(ranks: np.ndarray) -> dict[str, Any]:
    drawn = {name: mean_interval(one, np.random.default_rng(0)) for name, one in by_person(ranks).items()}
    return {
        **{name: round(one.mean, 4) for name, one in drawn.items()},
        "intervals over people": {name: ends(one) for name, one in drawn.items()},
        "top-1 deviation": round(float((ranks <= 1).mean(axis=1).std()), 4),
        "people": ranks.shape[1],
        "ranks, a drawing a line": [" ".join(map(str, row)) for row in ranks.tolist()],
    }


def differences(found: dict[str, np.ndarray]) -> dict[str, Any]:
    """How much better each method is than each before it, over the same people in the same drawings."""
    said: dict[str, Any] = {}
    for i, (name, ranks) in enumerate(found.items()):
        for other in list(found)[:i]:
            mine, theirs = by_person(ranks), by_person(found[other])
            for measure in ("top-1", "mAP"):
                one = paired_interval(mine[measure], theirs[measure], np.random.default_rng(0))
                said[f"{name} over {other}, {measure}"] = [round(one.mean, 4), *ends(one)]
    return said


def on_real(given: argparse.Namespace) -> None:
    progress = console("plain")
    record: dict[str, Any] = {"protocol": f"cross-camera, single shot, mean of {DRAWS} drawings"}
    if given.colour_names is not None:
        same = agreement(focal_table(), read_table(given.colour_names))
        record["first names as in the learned table"] = round(same, 4)
    for name in given.sets:
        train, held, camera = real_people(given.real, name)
        people = np.array([scene.people[0] for scene in held])
        record[name] = {"training crops": len(train), "held-out crops": len(held)}
        found: dict[str, np.ndarray] = {}
        for method, learn in trainings(given.colour_names, given.pairs).items():
            work = given.work / name
            embedder = learn(train, work / "parts" / method.replace(", ", "-"), work / "cache", progress)
            vectors = embed_all(embedder, held, progress)
            found[method] = cross_camera(vectors, people, camera, embedder)
            record[name][method] = summary(found[method])
            record[name]["differences, with intervals over people"] = differences(found)
            write_json(RESULTS / "reid-real.json", record)
            print(name, method, json.dumps(record[name][method]["intervals over people"]), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("root", type=Path, nargs="?")
    parser.add_argument("--real", type=Path)
    parser.add_argument("--sets", nargs="+", choices=("cuhk03", "cuhk01"), default=["cuhk03", "cuhk01"])
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--colour-names", type=Path)
    parser.add_argument("--gallery-size", type=int, default=50)
    parser.add_argument("--queries", type=int)
    parser.add_argument("--train-pictures", type=int)
    parser.add_argument("--pairs", type=int, default=KissmeSettings().pairs)
    given = parser.parse_args()
    if (given.root is None) == (given.real is None):
        parser.error("give either ROOT or --real DIR")
    on_real(given) if given.real is not None else on_generated(given)


if __name__ == "__main__":
    main()
