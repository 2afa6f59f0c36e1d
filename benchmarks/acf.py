"""How fast, how well and after how long training the detector of aggregated channel features finds people.

    python benchmarks/acf.py --root DATA                        # generated data: `personsearch dataset make`
    python benchmarks/acf.py --dataset coco --root DIR --out coco.json

Trains on the train half (or goes on with what RUNS holds) and looks at the test half. Frames a second
are processor time of one thread on one picture of 640 x 480. The result file is made for generated
data unless --out says otherwise. Intervals are of 95 %, over pictures; those of one sequence
stick together, so for them they are too narrow. With --again the times in --out stay; the rest is
measured anew (on a busy machine).
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from drawing import drawn_intervals, ends

from personsearch.baselines.acf.detector import AcfDetector, load_acf
from personsearch.baselines.acf.settings import AcfSettings
from personsearch.baselines.acf.train import train_acf
from personsearch.datasets.open import open_dataset
from personsearch.evaluation.coco import score_coco
from personsearch.evaluation.detection import DetectionRules, judge_detections, score_detection
from personsearch.evaluation.missrate import REASONABLE, score_miss_rate
from personsearch.features import Features
from personsearch.files import write_json
from personsearch.images import load
from personsearch.progress import Progress, console
from personsearch.ranking.calibration import expected_calibration_error
from personsearch.types import Array, Picture, Scene

DRAWS = 500
SPEED = "speed on one core, 640 x 480, from 50 px"


def seen_in(detector: AcfDetector, scenes: Sequence[Scene], progress: Progress) -> Features:
    """Everybody detected, as evaluation wants it; nobody is looked for."""
    seen = [
        detector.detect(load(scene.path, name=scene.name))
        for scene in progress(scenes, "detecting", total=len(scenes))
        if scene.path is not None
    ]
    none = {"box": np.zeros((0, 4)), "score": np.zeros(0), "feat": np.zeros((0, 0))}
    return Features(
        scenes=tuple(scene.name for scene in scenes),
        det_ptr=np.cumsum([0, *map(len, seen)]),
        det_box=np.concatenate([one.boxes for one in seen]),
        det_score=np.concatenate([one.scores for one in seen]),
        det_feat=np.concatenate([one.embeddings for one in seen]),
        q_img=np.zeros(0),
        q_box=none["box"],
        q_pid=np.zeros(0),
        q_feat=none["feat"],
        qdet_ptr=np.zeros(1),
        qdet_box=none["box"],
        qdet_score=none["score"],
        qdet_feat=none["feat"],
        meta={"fingerprint": detector.fingerprint, "similarity": "cosine", "dim": 0},
    )


def measured(scenes: Sequence[Scene], features: Features) -> dict[str, float]:
    """The numbers that get an interval."""
    judged = judge_detections(scenes, features, DetectionRules(det_threshold=0.0, min_height=50))
    half = score_detection(scenes, features, DetectionRules(min_height=50))
    miss = score_miss_rate(scenes, features, REASONABLE)
    coco = score_coco(scenes, features)
    return {
        "recall at any score": float(judged.right.sum() / max(judged.truths, 1)),
        "recall at score 0.5": half.recall,
        "precision at score 0.5": float(half.recall * half.truths / max(half.detections, 1)),
        "recall at precision 0.9": judged.curve.recall_at_precision(0.9),
        "coco ap50": coco.ap50,
        "coco ap": coco.ap,
        "log-average miss rate, reasonable": miss.log_average,
        "miss rate at 0.1 false alarms a picture": miss.at(0.1),
    }


def quality(detector: AcfDetector, scenes: Sequence[Scene], progress: Progress) -> dict[str, Any]:
    features = seen_in(detector, scenes, progress)
    judged = judge_detections(scenes, features, DetectionRules(det_threshold=0.0, min_height=50))

    def measure(rows: Array) -> dict[str, float]:
        return measured([scenes[row] for row in rows], features)

    drawn = drawn_intervals(measure, np.arange(len(scenes)), np.random.default_rng(0), resamples=DRAWS)
    return {
        "pictures": len(scenes),
        "people of 50 px and more": judged.truths,
        "people, reasonable": score_miss_rate(scenes, features, REASONABLE).truths,
        "detections a picture": round(len(features.det_score) / len(scenes), 2),
        **{name: round(one.mean, 4) for name, one in drawn.items()},
        "calibration error of the scores": round(expected_calibration_error(judged.scores, judged.right), 4),
        "intervals": {name: ends(one) for name, one in drawn.items()},
        "by source": by_source(scenes, features),
    }


def by_source(scenes: Sequence[Scene], features: Features) -> dict[str, Any]:
    """By folder of the pictures: who is there and who is found, picture by picture."""
    found: dict[str, dict[str, Any]] = {}
    for scene in scenes:
        low = judge_detections([scene], features, DetectionRules(det_threshold=0.0, min_height=50))
        half = judge_detections([scene], features, DetectionRules(min_height=50))
        counts = [low.truths, int(low.right.sum()), int(half.right.sum()), int((~half.right).sum())]
        source, slash, _ = scene.name.partition("/")
        one = found.setdefault(source if slash else "all", {"pictures": []})
        one["pictures"].append(counts)
    names = ("people", "found at any score", "found at score 0.5", "wrong at score 0.5")
    return {
        source: {
            **dict(zip(names, np.sum(one["pictures"], axis=0).tolist(), strict=True)),
            "pictures": len(one["pictures"]),
            "these four picture by picture": " ".join("/".join(map(str, row)) for row in one["pictures"]),
        }
        for source, one in found.items()
    }


def resized(picture: Picture) -> Picture:
    return Picture(cv2.resize(picture.pixels, (640, 480), interpolation=cv2.INTER_AREA), name=picture.name)


def frames_a_second(detector: AcfDetector, scenes: Sequence[Scene], rounds: int = 3) -> dict[str, float]:
    """Processor seconds of one thread, decoding left out; the quickest of ``rounds`` over 20 pictures."""
    cv2.setNumThreads(1)
    pictures = [resized(load(scene.path)) for scene in scenes[:20] if scene.path is not None]
    taken = []
    for _ in range(rounds):
        start = time.process_time()
        for picture in pictures:
            detector.detect(picture)
        taken.append((time.process_time() - start) / len(pictures))
    start = time.process_time()
    for picture in pictures:
        detector.model.pyramid(picture.pixels)
    pyramid = (time.process_time() - start) / len(pictures)
    return {
        "frames a second": round(1 / min(taken), 2),
        "milliseconds": round(1000 * min(taken), 1),
        "of it pyramid": round(1000 * pyramid, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--dataset", default="synthetic")
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--runs", type=Path, default=Path("runs") / "acf")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--pictures", type=int, default=AcfSettings.pictures, help="to train on, at most")
    parser.add_argument("--min-height", type=float, default=AcfSettings.min_height)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--again", action="store_true", help="keep the times that --out has")
    given = parser.parse_args()
    if given.again and (given.out is None or not given.out.exists()):
        parser.error("--again needs an --out that is there")
    progress = console()
    cv2.setNumThreads(1)
    data = open_dataset(given.dataset, given.root)
    settings = AcfSettings(seed=given.seed, pictures=given.pictures, min_height=given.min_height)
    folder = given.runs / f"{given.dataset}-{given.seed}"
    fresh = not folder.exists()
    start, processor = time.perf_counter(), time.process_time()
    train_acf(data.scenes("train"), settings, folder, progress=progress)
    spent = {
        "minutes": round((time.perf_counter() - start) / 60, 2),
        "processor minutes": round((time.process_time() - processor) / 60, 2),
    }
    detector, scenes = load_acf(folder), data.scenes("test")
    before = json.loads(given.out.read_text()) if given.again else {}
    result = {
        "dataset": data.name,
        "settings": dataclasses.asdict(settings),
        "training": before.get("training")
        or {
            "pictures": min(len(data.scenes("train")), settings.pictures),
            **(spent if fresh else {}),
        },
        SPEED: before.get(SPEED) or frames_a_second(detector, scenes),
        "test": quality(detector, scenes, progress),
    }
    print(json.dumps(result, indent=2))
    if given.out or given.dataset == "synthetic":
        write_json(given.out or Path(__file__).parent / "results" / "acf.json", result)


if __name__ == "__main__":
    main()
