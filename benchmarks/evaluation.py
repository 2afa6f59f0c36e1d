"""How long does scoring take at the sizes of CUHK-SYSU and PRW, and how much memory?

    python benchmarks/evaluation.py [--folder DIR] [--cases gallery-100 all-sizes ...]

Made-up features files of the real sizes (CUHK-SYSU: 6,978 pictures, about 6 detections each, 2,900
queries; PRW: 6,112 frames, about 30,000 detections, 2,057 queries looked for in all of them; 256
numbers a person), with the truth and the galleries inside. Every case is a process of its own. Its
seconds begin when Python and the package are there and end with the numbers: reading the
features, making the searches, scoring. Beside them stands the bare float32 product of queries
with detections, which no evaluator of all galleries can do without, timed in the same process
afterwards. Peak memory is that of the whole process before the product. Writes
``benchmarks/results/evaluation.json`` (``--folder``: where the features files are kept).
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from personsearch.evaluation.coco import score_coco
from personsearch.evaluation.detection import score_detection
from personsearch.evaluation.search import SearchRules, rules_of_prw, score_searches
from personsearch.features import Features
from personsearch.features.truth import read_truth
from personsearch.protocols import junk_of_prw
from personsearch.ranking.kreciprocal import KReciprocalRules

SIZES = (50, 100, 500, 1000, 2000, 4000)
PEOPLE, DIM = 6, 256
RESULT = Path(__file__).parent / "results" / "evaluation.json"
Columns = dict[str, Any]

# What a case scores: of which file, which protocols, by which rules.
SEARCH: dict[str, tuple[str, Sequence[Any], SearchRules]] = {
    **{f"gallery-{size}": ("cuhk", (size,), SearchRules()) for size in SIZES},
    "gallery-full": ("cuhk", ("full",), SearchRules()),
    "all-sizes": ("cuhk", SIZES, SearchRules()),
    "gallery-100 clean": ("cuhk", (100,), SearchRules(policy="clean")),
    "gallery-4000 clean": ("cuhk", (4000,), SearchRules(policy="clean")),
    "gallery-100 context": ("cuhk", (100,), SearchRules(context=(10, 3))),
    "gallery-100 k-reciprocal": ("cuhk", (100,), SearchRules(k_reciprocal=KReciprocalRules())),
    "prw": ("prw", ("full",), SearchRules()),
    "prw context": ("prw", ("full",), SearchRules(context=(30, 4))),
    "prw junk": ("prw", ("full",), rules_of_prw()),
}
OTHER = ("detection", "coco")
USUAL = (
    *("gallery-50", "gallery-100", "gallery-4000", "gallery-full", "all-sizes", "prw", "detection"),
    *("gallery-4000 clean", "gallery-100 context", "prw context", "prw junk", "coco"),
)
ROUNDS = 3


def annotation(rng: np.random.Generator, pictures: int, identities: int, appearances: Any) -> Columns:
    """Boxes in pictures; each person stands in some of them (``appearances``: how many for each)."""
    counts = np.maximum(rng.poisson(PEOPLE, pictures), 1)
    ptr = np.concatenate([[0], np.cumsum(counts)])
    corner = rng.integers((0, 0), (700, 300), (ptr[-1], 2))
    box = np.concatenate([corner, corner + rng.integers((30, 90), (100, 280), corner.shape)], axis=1)
    pid = np.full(ptr[-1], -1, np.int32)
    for person in range(identities):
        for picture in rng.permutation(pictures)[: appearances[person]]:
            free = np.flatnonzero(pid[ptr[picture] : ptr[picture + 1]] < 0)
            if len(free):
                pid[ptr[picture] + free[0]] = person + 1
    return {"gt_ptr": ptr, "gt_box": box.astype(np.int32), "gt_pid": pid}


def detections(rng: np.random.Generator, truth: Columns, identities: int, alarms: float) -> Columns:
    """Most people are detected, a few pixels off; so many false alarms a picture besides."""
    ptr, pictures = truth["gt_ptr"], len(truth["gt_ptr"]) - 1
    found = rng.random(ptr[-1]) < 0.82
    centre = unit(rng.standard_normal((identities + 1, DIM)))
    noise = unit(rng.standard_normal((int(found.sum()), DIM)))
    pid = truth["gt_pid"][found]
    named = np.where(pid[:, None] > 0, centre[np.maximum(pid, 0)] * 0.7, 0) + noise
    false = np.repeat(np.arange(pictures), rng.poisson(alarms, pictures))
    picture = np.concatenate([np.repeat(np.arange(pictures), np.diff(ptr))[found], false])
    box = np.concatenate(
        [
            truth["gt_box"][found] + rng.integers(-6, 7, (len(pid), 4)),
            np.tile([900, 10, 950, 120], (len(false), 1)),
        ]
    )
    feat = np.concatenate([named, rng.standard_normal((len(false), DIM))])
    score = rng.uniform(0.4, 1, len(picture))
    order = np.lexsort((-score, picture))
    return {
        "det_ptr": np.searchsorted(picture[order], np.arange(pictures + 1)),
        "det_box": box[order].astype(np.float32),
        "det_score": score[order].astype(np.float32),
        "det_feat": unit(feat[order]).astype(np.float32),
        "centre": centre,
    }


def queries(rng: np.random.Generator, truth: Columns, seen: Columns, rows: np.ndarray) -> Columns:
    """Boxes ``rows`` of the annotation are looked for; two people stand around each."""
    owner = np.repeat(np.arange(len(truth["gt_ptr"]) - 1), np.diff(truth["gt_ptr"]))
    pid, box = truth["gt_pid"][rows], truth["gt_box"][rows]
    feat = unit(seen["centre"][pid] * 0.7 + unit(rng.standard_normal((len(rows), DIM)))).astype(np.float32)
    around = unit(rng.standard_normal((len(rows), 3, DIM))).astype(np.float32)
    around[:, 0] = feat
    return {
        "q_img": owner[rows].astype(np.int32),
        "q_box": box,
        "q_pid": pid,
        "q_feat": feat,
        "qdet_ptr": np.arange(len(rows) + 1) * 3,
        "qdet_box": np.repeat(box, 3, axis=0).astype(np.float32),
        "qdet_score": np.ones(3 * len(rows), np.float32),
        "qdet_feat": around.reshape(-1, DIM),
    }


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def make_cuhk(path: Path, count: int, seed: int = 0) -> None:
    """One query a person, who is in one to a few other pictures; galleries of distractors from all others."""
    rng = np.random.default_rng(seed)
    pictures, others = 6978, 1 + rng.poisson(0.9, count)
    truth = annotation(rng, pictures, count, others + 1)
    seen = detections(rng, truth, count, 1.1)
    owner = np.repeat(np.arange(pictures), np.diff(truth["gt_ptr"]))
    mine = [np.flatnonzero(truth["gt_pid"] == person + 1) for person in range(count)]
    rows = np.array([boxes[0] for boxes in mine])
    columns = {
        "img_name": np.array([f"s{k}.jpg" for k in range(pictures)]),
        "img_cam": np.full(pictures, -1, np.int32),
        "img_wh": np.full((pictures, 2), (1000, 700), np.int32),
        **truth,
        **queries(rng, truth, seen, rows),
        **{name: column for name, column in seen.items() if name != "centre"},
    }
    ngt = np.array([len(boxes) - 1 for boxes in mine], np.int32)
    listed = np.empty((count, max(SIZES)), np.int16)
    for i, boxes in enumerate(mine):
        rest = rng.permutation(pictures)
        rest = rest[~np.isin(rest, owner[boxes])]
        listed[i] = np.concatenate([owner[boxes[1:]], rest])[: max(SIZES)]
    for size in SIZES:
        columns[f"gal{size}_img"] = listed[:, :size]
        columns[f"gal{size}_ngt"] = ngt
        columns[f"gal{size}_gtbox"] = truth["gt_box"][np.concatenate([boxes[1:] for boxes in mine])]
    meta = {"layout_version": 1, "name": "made up, cuhk", "kind": "cuhk", "dim": DIM, "sizes": SIZES}
    np.savez(path, meta=np.array(json.dumps(meta)), **columns)


def make_prw(path: Path, count: int, seed: int = 1) -> None:
    """450 people in some 40 frames each, of six cameras; each is looked for several times."""
    rng = np.random.default_rng(seed)
    pictures, identities = 6112, 450
    truth = annotation(rng, pictures, identities, rng.integers(10, 75, identities))
    thin = rng.random(len(truth["gt_pid"])) < 0.25  # PRW has four people a frame, one of them unnamed
    owner = np.repeat(np.arange(pictures), np.diff(truth["gt_ptr"]))
    kept = thin | (truth["gt_pid"] > 0)
    truth = {
        "gt_ptr": np.searchsorted(owner[kept], np.arange(pictures + 1)),
        "gt_box": truth["gt_box"][kept],
        "gt_pid": truth["gt_pid"][kept],
    }
    seen = detections(rng, truth, identities, 1.9)
    rows = np.sort(rng.permutation(np.flatnonzero(truth["gt_pid"] > 0))[:count])
    camera = rng.integers(1, 7, pictures).astype(np.int32)
    columns = {
        "img_name": np.array([f"c{camera[k]}s1_{k:06}.jpg" for k in range(pictures)]),
        "img_cam": camera,
        "img_wh": np.full((pictures, 2), (1920, 1080), np.int32),
        **truth,
        **queries(rng, truth, seen, rows),
        **{name: column for name, column in seen.items() if name != "centre"},
    }
    meta = {"layout_version": 1, "name": "made up, prw", "kind": "prw", "dim": DIM}
    np.savez(path, meta=np.array(json.dumps(meta)), **columns)


def measure(case: str, folder: Path) -> Columns:
    """One case in this process: what the command line reports."""
    kind, sizes, rules = SEARCH.get(case, ("cuhk", (), SearchRules()))
    path = folder / f"{kind}.npz"
    started = time.perf_counter()
    features = Features.load(path)
    truth = read_truth(path)
    assert truth is not None
    read = time.perf_counter()
    trials = [truth.trials(size) for size in sizes]
    if case == "prw junk":
        trials = [junk_of_prw(one, truth.scenes()) for one in trials]
    scenes = truth.scenes() if case in OTHER else ()
    made = time.perf_counter()
    if case == "detection":
        numbers: Any = asdict(score_detection(scenes, features))
    elif case == "coco":
        numbers = asdict(score_coco(scenes, features))
    else:
        numbers = {one.protocol: [one.mean_ap, one.top(1)] for one in score_searches(trials, features, rules)}
    ended = time.perf_counter()
    peak = peak_mebibytes()
    return {
        "case": case,
        "seconds": round(ended - started, 3),
        "of_which_reading": round(read - started, 3),
        "of_which_making_searches": round(made - read, 3),
        "of_which_scoring": round(ended - made, 3),
        "peak_mebibytes": peak,
        "bare_product_seconds": round(bare_product(features), 3),
        "queries": len(features.q_feat),
        "detections": len(features.det_feat),
        "numbers": numbers,
    }


def peak_mebibytes() -> int:
    """The most memory this process ever held; not that of whoever started it, which ``getrusage`` adds."""
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) // 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def bare_product(features: Features, block: int = 512) -> float:
    """Seconds for all queries times all detections in float32, once the threads are awake."""
    for _ in range(2):
        start = time.perf_counter()
        for row in range(0, len(features.q_feat), block):
            features.q_feat[row : row + block] @ features.det_feat.T
        seconds = time.perf_counter() - start
    return seconds


def best_of(case: str, folder: Path, rounds: int) -> Columns:
    """The fastest of some runs, each a fresh process, and the slowest's seconds."""
    runs = []
    for _ in range(rounds):
        line = [sys.executable, __file__, "--folder", str(folder), "--measure", case]
        runs.append(json.loads(subprocess.run(line, check=True, capture_output=True, text=True).stdout))
    best = min(runs, key=lambda run: run["seconds"])
    ratio = round(best["seconds"] / best["bare_product_seconds"], 2)
    return {**best, "slowest_seconds": max(run["seconds"] for run in runs), "seconds_over_product": ratio}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, help="where the features files are kept and looked for")
    parser.add_argument("--cases", nargs="+", default=USUAL, choices=[*SEARCH, *OTHER])
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        print(json.dumps(measure(arguments.measure, arguments.folder)))
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        for name, make, count in (("cuhk", make_cuhk, 2900), ("prw", make_prw, 2057)):
            if not (folder / f"{name}.npz").exists():
                make(folder / f"{name}.npz", count)
        rows = []
        for case in arguments.cases:
            rows.append(best_of(case, folder, arguments.rounds))
            print(json.dumps({name: value for name, value in rows[-1].items() if name != "numbers"}))
    threads = os.environ.get("OMP_NUM_THREADS", str(os.cpu_count()))
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    said = {"threads": threads, "numpy": np.__version__, "rounds": arguments.rounds, "runs": rows}
    RESULT.write_text(json.dumps(said, indent=2) + "\n")


if __name__ == "__main__":
    main()
