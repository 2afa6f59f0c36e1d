"""What a training preset reaches on the generated benchmark, over seeds, beside the untrained network.

    python benchmarks/training.py ROOT --data demo --preset demo --seeds 0 1 2
    python benchmarks/training.py ROOT --data medium --preset medium --seeds 0

The data are generated into ROOT when it holds none; runs stay in RUNS and are resumed. The
result holds every query's average precision and first hit, so that other numbers can be
computed from it later.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np

from personsearch.datasets.dataset import Dataset
from personsearch.datasets.open import open_dataset
from personsearch.datasets.synthetic.make import make_dataset
from personsearch.datasets.synthetic.presets import preset as data_preset
from personsearch.experiments.benchmark import Benchmark, Protocol, run_benchmark
from personsearch.files import write_json
from personsearch.model.checkpoint import load_searcher, read_settings, untrained_searcher
from personsearch.progress import Progress, console
from personsearch.training.presets import preset
from personsearch.training.train import train
from personsearch.types import Searcher


def record(result: Benchmark) -> dict[str, Any]:
    return {
        "mAP": round(result.search.mean_ap, 4),
        "mAP interval": [round(getattr(result.intervals["mAP"], side), 4) for side in ("low", "high")],
        **{f"top-{k}": round(result.search.top(k), 4) for k in (1, 5, 10)},
        "found": round(float(result.search.recall.mean()), 4),
        "detection recall": round(result.detection.recall, 4),
        "detection AP": round(result.detection.ap, 4),
        "queries": len(result.search.ap),
        "ap per query": np.round(result.search.ap, 4).tolist(),
        "first hit per query": result.search.first_hit.tolist(),
    }


def measure(
    searcher: Searcher, data: Dataset, gallery_size: int, folder: Path, progress: Progress
) -> dict[str, Any]:
    return {
        boxes: record(
            run_benchmark(
                searcher,
                data,
                Protocol(gallery_size=gallery_size, boxes=boxes),
                folder,
                progress=progress,
            )
        )
        for boxes in ("detected", "annotated")
    }


def descent(run: Path) -> dict[str, Any]:
    """Seconds, processor seconds and last losses of each stage, from the run's own log."""
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    stages = {}
    for number in (1, 2):
        of_stage = [line for line in lines if line["stage"] == number]
        descended = [line for line in of_stage if "loss" in line]
        if descended:
            stages[f"stage {number}"] = {
                "steps": descended[-1]["step"] + 1,
                "seconds": round(sum(line["seconds"] for line in descended), 1),
                "processor seconds": round(sum(line["processor_seconds"] for line in descended), 1),
                "last": descended[-1],
            }
            found = [{"step": one["step"], **one["validation"]} for one in of_stage if "validation" in one]
            if found:
                stages[f"stage {number}"]["validation"] = found
    environment = json.loads((run / "environment.json").read_text(encoding="utf-8"))
    return {**stages, "environment": environment}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("root", type=Path, help="the generated data; made there when missing")
    parser.add_argument("--data", default="demo", help="their preset")
    parser.add_argument("--preset", default="demo", help="of the training")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--gallery-size", type=int, default=50)
    parser.add_argument("--runs", type=Path, default=Path("runs") / "benchmark")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    progress = console()
    make_dataset(given.root, data_preset(given.data), progress=progress)
    data = open_dataset("synthetic", given.root)
    results: dict[str, Any] = {"data": given.data, "preset": given.preset, "gallery size": given.gallery_size}
    for seed in given.seeds:
        settings = dataclasses.replace(preset(given.preset), seed=seed)
        run = train(data.scenes("train"), given.runs / f"{given.preset}-{seed}", settings, progress=progress)
        searcher = load_searcher(run)
        results[f"seed {seed}"] = {
            **measure(searcher, data, given.gallery_size, run / "evaluation", progress),
            "descent": descent(run),
        }
    floor = untrained_searcher(read_settings(run), seed=given.seeds[0])
    results["untrained"] = measure(floor, data, given.gallery_size, run / "untrained", progress)
    means = {
        name: round(float(np.mean([results[f"seed {seed}"]["detected"][name] for seed in given.seeds])), 4)
        for name in ("mAP", "top-1", "top-5", "top-10")
    }
    results["mean over seeds"] = means
    print(json.dumps(means))
    out = given.out or Path(__file__).parent / "results" / f"training-{given.preset}.json"
    write_json(out, results)


if __name__ == "__main__":
    main()
