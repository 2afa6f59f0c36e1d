"""What one pass saves: the joint network against its detector followed by its embedder on crops.

    python benchmarks/two_steps.py [--presets compact vgg16] [--people 1 5 10 20 40] [--threads N]

The paper claims about 40 times against Deep followed by IDNet (end of its 5.3), which cuts out every
person and puts each crop through a whole trunk. Here both ways share trunk, sizes and thresholds, and
the number of people is what varies; weights are random, so the joint pass describes as many people as it
may keep (``people kept``), whatever the column says: its cost hardly depends on them. Crops are of the
compact stage 1's largest size, and of the paper's 224x224. The machine must be quiet. Writes
``benchmarks/results/two-steps.json``.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
from speed import IDENTITIES, made_up, quickest

from personsearch.files import write_json
from personsearch.model import presets
from personsearch.model.folding import fold_norms
from personsearch.model.presets import CropSettings, ModelSettings
from personsearch.model.searcher import KINDS, NetworkModel
from personsearch.types import Array

RESULT = Path(__file__).parent / "results" / "two-steps.json"
CROPS = {"192x96": CropSettings(size=(192, 96), keep_aspect=True), "224x224": CropSettings(size=(224, 224))}


def built(settings: ModelSettings) -> NetworkModel:
    torch.manual_seed(0)
    settings = dataclasses.replace(settings, identities=IDENTITIES)
    network = fold_norms(presets.build_network(settings))
    return KINDS[settings.network.parts](network, settings, fingerprint="untrained", device="cpu")


def boxes_of(count: int, width: int, height: int) -> Array:
    """``count`` people of 40 x 120 pixels in a row that overlap where there are many."""
    left = np.linspace(0, width - 41, count)
    top = np.full(count, (height - 120) / 2)
    return np.stack([left, top, left + 40, top + 120], axis=1).astype(np.float32)


def measured(name: str, counts: list[int], size: tuple[int, int], seconds: float) -> dict[str, Any]:
    base: ModelSettings = getattr(presets, name)()
    picture = made_up(*size)
    joint = built(base)
    one = quickest(lambda: joint.detect(picture), seconds)[0]
    kept = len(joint.detect(picture))
    detector = built(presets.detector(base))
    found = quickest(lambda: detector.detect(picture), seconds)[0]
    rows = []
    for crop, settings in CROPS.items():
        embedder = built(presets.embedder(base, settings))
        for count in counts:
            boxes = boxes_of(count, *size)
            described = quickest(lambda e=embedder, b=boxes: e.embed(picture, b), seconds)[0]
            rows.append(
                {
                    "people": count,
                    "crop": crop,
                    "two steps": round(found + described, 4),
                    "ratio": round((found + described) / one, 2),
                }
            )
            print(name, json.dumps(rows[-1]), flush=True)
    return {"one pass": round(one, 4), "people kept": kept, "detector": round(found, 4), "rows": rows}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--presets", nargs="*", default=["compact", "vgg16"])
    parser.add_argument("--people", type=int, nargs="+", default=[1, 5, 10, 20, 40])
    parser.add_argument("--picture", default="640x480")
    parser.add_argument("--seconds", type=float, default=3.0, help="of each measurement")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--out", type=Path, default=RESULT)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    width, height = (int(side) for side in given.picture.split("x"))
    load = os.getloadavg()[0]
    results = {name: measured(name, given.people, (width, height), given.seconds) for name in given.presets}
    said = {"torch": torch.__version__, "threads": given.threads, "load before": load}
    write_json(given.out, {**said, "picture": given.picture, "presets": results})


if __name__ == "__main__":
    main()
