"""How well is a person found in whole real scenes? A network trained on drawn people, and others beside it.

    python benchmarks/real.py --model RUN --root FOLDER [--pairs "ACF + KISSME=acf+kissme" ...] [--parts DIR]

FOLDER holds a folder a set, each with ``annotations.json`` (COCO), ``images/`` and ``protocol.json``; without
--sets all of them are taken. Beside the network stand the same network untrained (seed 0), a histogram of
colours in the box, any ``LABEL=DETECTOR+EMBEDDER``, and chance (random vectors, mean of 100 drawings). People
are the ones found (score 0.5 or more), or the annotated boxes, which take the detector's mistakes away; a
pair with ``gt`` is of the second kind. Boxes that are ignored, or less than 0.25 visible, count neither way.

Intervals are of 95 %: over queries, and over people, since several queries look for the same one; of
detection over runs of 10 successive pictures. What was seen stays in --work. The sets cannot be passed on:
``benchmarks/results/real.json`` holds numbers only.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from drawing import drawn_intervals, ends, group_interval

from personsearch.baselines.open import Where, open_embedder, open_searcher, split_pair
from personsearch.baselines.two_stage import TwoStage
from personsearch.datasets.coco import CocoPersons
from personsearch.datasets.dataset import Dataset
from personsearch.datasets.protocol_trials import with_ignored
from personsearch.errors import UsageError
from personsearch.evaluation.detection import score_detection
from personsearch.experiments.benchmark import Boxes, Evaluation, Protocol, describe, evaluate
from personsearch.experiments.hardness import ColourHistogram
from personsearch.features import Features
from personsearch.files import write_json
from personsearch.model.checkpoint import load_searcher, untrained_searcher
from personsearch.model.searcher import NetworkSearcher
from personsearch.progress import Progress, console
from personsearch.ranking.bootstrap import mean_interval
from personsearch.types import Array, Scene

RESULT = Path(__file__).parent / "results" / "real.json"
RUN, CHANCE_DRAWS, DETECTION_DRAWS = 10, 100, 1000
NETWORK, UNTRAINED, COLOURS = "network", "untrained network", "colour histogram"


@dataclass(frozen=True, kw_only=True)
class Method:
    """One line of the result.

    Attributes:
        name: of how people are described (and found).
        searcher: who does it; with annotated boxes it need only describe.
        boxes: whose people are searched.
        finds: whether its detections are its own, and not another line's.
    """

    name: str
    searcher: Any
    boxes: Boxes
    finds: bool = True


def methods(given: argparse.Namespace) -> list[Method]:
    network = load_searcher(given.model, given.device)
    if not isinstance(network, NetworkSearcher):
        raise UsageError(f"{given.model} is an export", hint="give the folder that train wrote")
    untrained = untrained_searcher(network.settings, seed=0, device=given.device)
    colours = ColourHistogram()
    found = [
        Method(name=NETWORK, searcher=network, boxes="detected"),
        Method(name=UNTRAINED, searcher=untrained, boxes="detected"),
        Method(name=COLOURS, searcher=TwoStage(network, colours), boxes="detected", finds=False),
        Method(name=NETWORK, searcher=network, boxes="annotated"),
        Method(name=UNTRAINED, searcher=untrained, boxes="annotated"),
        Method(name=COLOURS, searcher=colours, boxes="annotated"),
    ]
    where = Where(parts=given.parts, device=given.device)
    for words in given.pairs:
        label, _, pair = words.partition("=")
        parts = split_pair(pair)
        if parts is None:
            raise UsageError(f"--pairs {words} is no pair", hint="write LABEL=DETECTOR+EMBEDDER")
        if parts[0] == "gt":
            found.append(Method(name=label, searcher=open_embedder(parts[1], where), boxes="annotated"))
        else:
            found.append(Method(name=label, searcher=open_searcher(pair, where), boxes="detected"))
    return found


def searched(result: Evaluation) -> dict[str, Any]:
    """mAP and top-1 with intervals over queries and over people, and every query's."""
    search, people = result.search, result.trials.query_person
    said: dict[str, Any] = {}
    for name, values in (("mAP", search.ap), ("top-1", (search.first_hit == 1).astype(float))):
        said[name] = round(float(values.mean()), 4)
        said[f"{name}, over queries"] = ends(mean_interval(values, np.random.default_rng(0)))
        said[f"{name}, over people"] = ends(group_interval(values, people, np.random.default_rng(0)))
    said["ap per query"] = " ".join(f"{value:.4f}" for value in search.ap)
    said["first hit per query"] = " ".join(map(str, search.first_hit.tolist()))
    return said


def detected(scenes: list[Scene], features: Features) -> dict[str, Any]:
    """Recall and AP of people at score 0.5, with intervals over runs of pictures."""
    whole = score_detection(scenes, features)

    def measure(rows: Array) -> dict[str, float]:
        one = score_detection([scenes[row] for row in rows], features)
        return {"recall": one.recall, "AP": one.ap}

    runs = np.arange(len(scenes)) // RUN
    drawn = drawn_intervals(measure, runs, np.random.default_rng(0), resamples=DETECTION_DRAWS)
    return {
        "people": whole.truths,
        "detections": whole.detections,
        **{name: round(one.mean, 4) for name, one in drawn.items()},
        **{f"{name}, over runs of {RUN} pictures": ends(one) for name, one in drawn.items()},
    }


def chance(features: Features, dataset: Dataset, protocol: Protocol) -> dict[str, float]:
    """What vectors that know nothing reach on the same boxes."""
    rng = np.random.default_rng(0)
    values = []
    for _ in range(CHANCE_DRAWS):
        people, queries = (rng.normal(size=(n, 8)) for n in (len(features.det_feat), len(features.q_feat)))
        random = replace(
            features,
            det_feat=people.astype(np.float32),
            q_feat=queries.astype(np.float32),
            qdet_feat=np.zeros((len(features.qdet_feat), 8), np.float32),
            meta={**features.meta, "dim": 8},
        )
        (one,) = evaluate(random, dataset, [protocol])
        values.append((one.search.ap.mean(), (one.search.first_hit == 1).mean()))
    mean_ap, top = np.mean(values, axis=0).tolist()
    return {"mAP": round(mean_ap, 4), "top-1": round(top, 4)}


def differences(results: dict[tuple[str, Boxes], Evaluation]) -> dict[str, Any]:
    """How much better the network is than the others on the same boxes, with paired intervals over people."""
    said: dict[str, Any] = {}
    for (name, boxes), other in results.items():
        if name == NETWORK or (NETWORK, boxes) not in results:
            continue
        ours = results[NETWORK, boxes]
        drawn = group_interval(
            ours.search.ap - other.search.ap, ours.trials.query_person, np.random.default_rng(0)
        )
        said[f"over {name}, {boxes}"] = {"mAP": round(drawn.mean, 4), "mAP, over people": ends(drawn)}
    return said


def one_set(root: Path, lines: list[Method], work: Path, progress: Progress) -> Iterator[dict[str, Any]]:
    """The set's numbers after each line, so that a run that is stopped leaves those it has."""
    dataset = CocoPersons(root)
    scenes = with_ignored(dataset.scenes("test"))
    trials = dataset.trials()
    said: dict[str, Any] = {
        "pictures": len(scenes),
        "queries": len(trials),
        "people": len(np.unique(trials.query_person)),
        "person of each query": " ".join(map(str, trials.query_person.tolist())),
        "pictures a gallery": round(float(np.diff(trials.entry_ptr).mean()), 1),
        "true boxes a query": round(len(trials.truth_box) / len(trials), 1),
    }
    results: dict[tuple[str, Boxes], Evaluation] = {}
    for line in lines:
        protocol = Protocol(boxes=line.boxes)
        features, _ = describe(line.searcher, dataset, protocol, work, progress=progress)
        (result,) = evaluate(features, dataset, [protocol])
        results[line.name, line.boxes] = result
        key = f"{line.name}, {line.boxes} boxes"
        said[key] = searched(result)
        if line.boxes == "detected" and line.finds:
            said[key]["detection"] = detected(scenes, features)
        if line.boxes == "annotated" and line.name == COLOURS:
            said["chance, annotated boxes"] = chance(features, dataset, protocol)
        print(root.name, key, json.dumps({k: v for k, v in said[key].items() if "per" not in k}), flush=True)
        said["the network's lead"] = differences(results)
        yield said


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--sets", nargs="+")
    parser.add_argument("--pairs", nargs="*", default=[], metavar="LABEL=DETECTOR+EMBEDDER")
    parser.add_argument("--parts", type=Path, default=Path("baselines"))
    parser.add_argument("--work", type=Path, default=Path("runs") / "real")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--out", type=Path, default=RESULT)
    given = parser.parse_args()
    sets = given.sets or sorted(path.parent.name for path in given.root.glob("*/protocol.json"))
    if not sets:
        parser.error(f"{given.root} holds no folder with a protocol.json")
    lines = methods(given)
    record: dict[str, Any] = {"model": given.model.name, "fingerprint": lines[0].searcher.fingerprint[:12]}
    for name in sets:
        for said in one_set(given.root / name, lines, given.work / name, console("plain")):
            write_json(given.out, {**record, name: said})
        record[name] = said


if __name__ == "__main__":
    main()
