"""How long does the scorer take at CUHK-SYSU's size, next to the matrix product it cannot do without?

    python benchmarks/evaluation.py [--queries 2900] [--gallery 100 500 ...]

Made-up data of the real size: 6,978 pictures with 6 people each, 256 numbers a person.
Seconds depend on the machine; the ratio to the bare float32 product of the same run, which
an evaluator has to pay anyway, does not much. Writes ``benchmarks/results/evaluation.json``.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import time
from pathlib import Path
from typing import Any

import numpy as np

from personsearch.evaluation.detection import score_detection
from personsearch.evaluation.search import score_search
from personsearch.features import Features
from personsearch.types import Scene, Trials

PICTURES, PEOPLE, DIM = 6978, 6, 256
RESULT = Path(__file__).parent / "results" / "evaluation.json"


def made_up(queries: int, gallery: int, seed: int = 0) -> tuple[Trials, Features, list[Scene]]:
    """Two positives a query, six people a picture, each detected a few pixels off."""
    rng = np.random.default_rng(seed)
    corner = rng.integers(0, 500, (PICTURES, PEOPLE, 2))
    truth = np.concatenate([corner, corner + rng.integers((40, 120), (90, 260), corner.shape)], axis=-1)
    detected = (truth + rng.integers(-8, 9, truth.shape)).reshape(-1, 4)
    names = tuple(f"s{k}.jpg" for k in range(PICTURES))
    pictures = np.array([rng.choice(PICTURES, gallery, replace=False) for _ in range(queries)])
    has_truth = np.tile(np.arange(gallery) < 2, queries)
    own = rng.integers(0, PICTURES, queries)
    trials = Trials(
        name=f"made up gallery={gallery}",
        scenes=names,
        query_scene=own,
        query_box=truth[own, 0],
        query_person=np.arange(queries),
        entry_ptr=np.arange(queries + 1) * gallery,
        entry_scene=pictures.ravel(),
        truth_ptr=np.concatenate([[0], np.cumsum(has_truth)]),
        truth_box=truth[pictures[:, :2].ravel(), rng.integers(0, PEOPLE, 2 * queries)],
        ignore_ptr=np.zeros(queries * gallery + 1),
        ignore_box=np.zeros((0, 4)),
    )
    described = rng.standard_normal((queries, DIM), dtype=np.float32)
    features = Features(
        scenes=names,
        det_ptr=np.arange(PICTURES + 1) * PEOPLE,
        det_box=detected,
        det_score=rng.uniform(0.5, 1, PICTURES * PEOPLE),
        det_feat=rng.standard_normal((PICTURES * PEOPLE, DIM), dtype=np.float32),
        q_img=own,
        q_box=trials.query_box,
        q_pid=trials.query_person,
        q_feat=described,
        qdet_ptr=np.arange(queries + 1),
        qdet_box=trials.query_box,
        qdet_score=np.ones(queries),
        qdet_feat=described,
        meta={"version": 1, "fingerprint": "made up", "similarity": "euclidean", "dim": DIM},
    )
    scenes = [Scene(name, boxes=truth[k], people=np.full(PEOPLE, -1)) for k, name in enumerate(names)]
    return trials, features, scenes


def timed(work: Any) -> tuple[Any, float]:
    start = time.perf_counter()
    return work(), time.perf_counter() - start


def bare_product(features: Features, block: int = 512) -> None:
    for start in range(0, len(features.q_feat), block):
        features.q_feat[start : start + block] @ features.det_feat.T


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--queries", type=int, default=2900)
    parser.add_argument("--gallery", type=int, nargs="+", default=[100, 1000])
    arguments = parser.parse_args()
    rows = []
    for gallery in arguments.gallery:
        trials, features, scenes = made_up(arguments.queries, gallery)
        bare_product(features)  # wakes the threads up
        _, product = timed(lambda features=features: bare_product(features))
        scores, search = timed(lambda trials=trials, features=features: score_search(trials, features))
        _, detection = timed(lambda scenes=scenes, features=features: score_detection(scenes, features))
        rows.append(
            {
                "gallery": gallery,
                "queries": arguments.queries,
                "bare_product_seconds": round(product, 3),
                "search_seconds": round(search, 3),
                "search_over_product": round(search / product, 2),
                "detection_seconds": round(detection, 3),
                "mean_ap": scores.mean_ap,
                "peak_mebibytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
            }
        )
        print(json.dumps(rows[-1]))
    threads = os.environ.get("OMP_NUM_THREADS", str(os.cpu_count()))
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    RESULT.write_text(
        json.dumps({"threads": threads, "numpy": np.__version__, "runs": rows}, indent=2) + "\n"
    )


if __name__ == "__main__":
    main()
