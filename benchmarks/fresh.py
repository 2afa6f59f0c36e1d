"""Score finished runs on a test half that nobody tuned on: python benchmarks/fresh.py ROOT RUN [RUN ...].

The compact presets were chosen by looking at the test half of seed 0. This draws one of another seed
(people, places and light of its own) into ROOT and scores the same weights there.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path
from typing import Any

from personsearch.datasets.open import open_dataset
from personsearch.datasets.synthetic.make import make_dataset
from personsearch.datasets.synthetic.presets import preset
from personsearch.experiments.benchmark import Protocol, run_benchmark
from personsearch.files import write_json
from personsearch.model.checkpoint import load_searcher
from personsearch.progress import console


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("root", type=Path, help="the data; made there when missing")
    parser.add_argument("runs", type=Path, nargs="+", help="finished run folders")
    parser.add_argument("--seed", type=int, default=1, help="of the data")
    parser.add_argument("--gallery-size", type=int, default=50)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "fresh.json")
    given = parser.parse_args()
    progress = console()
    settings = dataclasses.replace(preset("demo"), seed=given.seed, train_identities=0, train_scenes=0)
    data = open_dataset("synthetic", make_dataset(given.root, settings, progress=progress))
    results: dict[str, Any] = {"seed of the data": given.seed, "gallery size": given.gallery_size}
    for run in given.runs:
        protocol = Protocol(gallery_size=given.gallery_size)
        found = run_benchmark(load_searcher(run), data, protocol, run / "fresh", progress=progress)
        results[run.name] = {
            "mAP": round(found.search.mean_ap, 4),
            "mAP interval": [round(found.intervals["mAP"].low, 4), round(found.intervals["mAP"].high, 4)],
            **{f"top-{k}": round(found.search.top(k), 4) for k in (1, 5, 10)},
            "detection recall": round(found.detection.recall, 4),
            "queries": len(found.search.ap),
        }
        print(run.name, json.dumps(results[run.name]), flush=True)
    write_json(given.out, results)


if __name__ == "__main__":
    main()
