"""Measure how hard the generated benchmark is: python benchmarks/hardness.py ROOT [--preset demo]."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from personsearch.datasets.synthetic.make import make_dataset
from personsearch.datasets.synthetic.presets import preset
from personsearch.experiments.hardness import measure_hardness
from personsearch.files import write_json
from personsearch.progress import console


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("root", type=Path, help="the benchmark; generated there when it is missing")
    parser.add_argument("--preset", default="demo")
    parser.add_argument("--gallery-size", type=int, default=50)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "hardness.json")
    given = parser.parse_args()
    if not (given.root / "annotation" / "generated.json").exists():
        make_dataset(given.root, preset(given.preset), progress=console())
    result = measure_hardness(given.root, given.gallery_size, progress=console())
    print(json.dumps(result, indent=2, sort_keys=True))
    write_json(given.out, result)


if __name__ == "__main__":
    main()
