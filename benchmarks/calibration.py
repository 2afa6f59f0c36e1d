"""What are probabilities and verdicts worth on people whom nobody trained or fitted on, and yes and no?

    python benchmarks/calibration.py --model MODEL --root DATA [--dataset synthetic] [--features FILE]

The test people of a data set are divided into halves, by identity. On the first half a calibration is
fitted (pairs, and whole searches, each weighed by a curve of other people); the second half judges
it, and the model's own calibration as it lies in the model's folder; and, with ``--recalibrate``, as
``train`` would write it now (the same held-out training people, described anew: minutes).

A search is a test person's query picture in a gallery of 50 to 400 pictures: once with all other
pictures of the person, once with none. Of every picture the most similar detection counts.

Errors are expected calibration errors (15 bins) of the first hit and of the first five, and of the
probability that the person is there. "False absent" is the share of searches for people who are in the
gallery's pictures (detected or not) that are called "likely absent". Intervals are bootstraps over people.

Yes and no: the first five hits (one a picture) are judged by the annotation, and the search is made
again with them as examples. Residual collection (Salton and Buckley 1990): judged hits, and whoever else
is in the pictures of right ones, are taken out of both rankings, so that nothing is gained by what
was told; people of whom nothing is left to be found are left out. Average precision over everybody left,
undetected appearances counted as missed.

Writes ``benchmarks/results/calibration.json``.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from personsearch.boxes import iou
from personsearch.datasets.open import open_dataset
from personsearch.features import Features, extract
from personsearch.files import write_json
from personsearch.ranking.bootstrap import mean_interval, paired_interval
from personsearch.ranking.calibration import Calibration, expected_calibration_error, fit_calibration
from personsearch.ranking.combining import combined
from personsearch.ranking.presence import (
    JudgedSearch,
    fit_searches,
    hit_probabilities,
    judge,
)
from personsearch.ranking.similarity import similarities

RESULT = Path(__file__).parent / "results" / "calibration.json"
SIZES = (50, 100, 200, 400)
JUDGED = 5
RESAMPLES = 1000
Array = np.ndarray


@dataclass(frozen=True, eq=False, kw_only=True)
class World:
    """Everybody detected in the test pictures, and whom the queries look for.

    Attributes:
        picture, who, vectors: (n,), (n,), (n, d) of the detections; -1 for nobody in particular.
        query, person, own: (q, d), (q,), (q,) the queries, who they are, and their picture.
        shows: for each query the pictures that show the person, but its own.
        kind: how vectors are compared.
        alike: (q, n) similarities.
    """

    picture: Array
    who: Array
    vectors: Array
    query: Array
    person: Array
    own: Array
    shows: tuple[Array, ...]
    kind: str
    alike: Array


def world_of(features: Features, scenes: Sequence[Any], min_score: float) -> World:
    """Detections named by the annotated person whom each overlaps by at least a half."""
    named = {scene.name: scene for scene in scenes}
    picture = np.repeat(np.arange(len(features.scenes)), np.diff(features.det_ptr))
    who = np.full(len(picture), -1, np.int64)
    for number, name in enumerate(features.scenes):
        rows = np.arange(*features.det_ptr[number : number + 2])
        scene = named[name]
        if len(rows) and len(scene):
            shared = iou(features.det_box[rows], scene.boxes)
            best = shared.argmax(axis=1)
            who[rows] = np.where(shared.max(axis=1) >= 0.5, scene.people[best], -1)
    keep = features.det_score >= min_score
    shows = []
    for person, own in zip(features.q_pid.tolist(), features.q_img.tolist(), strict=True):
        there = [i for i, name in enumerate(features.scenes) if person in named[name].people.tolist()]
        shows.append(np.array([i for i in there if i != own], np.int64))
    vectors = features.det_feat[keep]
    return World(
        picture=picture[keep],
        who=who[keep],
        vectors=vectors,
        query=features.q_feat,
        person=features.q_pid,
        own=features.q_img,
        shows=tuple(shows),
        kind=features.similarity,
        alike=similarities(features.q_feat, vectors, features.similarity),
    )


def gallery(world: World, query: int, size: int, present: bool, rng: np.random.Generator) -> Array:
    """(m,) rows of the people in a gallery of so many pictures, the person's own among them or none."""
    shows = world.shows[query]
    pictures = np.setdiff1d(np.arange(world.picture.max() + 1), np.append(shows, world.own[query]))
    others = rng.permutation(pictures)[: size - (len(shows) if present else 0)]
    return np.flatnonzero(np.isin(world.picture, np.concatenate([others, shows]) if present else others))


def first_of_each(world: World, rows: Array, alike: Array, k: int) -> Array:
    """The ``k`` best of ``rows``, one a picture."""
    order = rows[np.argsort(-alike, kind="stable")]
    return order[np.sort(np.unique(world.picture[order], return_index=True)[1])[:k]]


def best_view(world: World, query: int, rows: Array) -> float:
    """Similarity of the most similar detection of the person; minus infinity for none."""
    return float(world.alike[query, rows[world.who[rows] == world.person[query]]].max(initial=-np.inf))


def searches(world: World, queries: Array, seed: int) -> list[tuple[int, int, JudgedSearch]]:
    """(query, size, how it came out): every query at every size, with the person and without."""
    rng = np.random.default_rng(seed)
    found = []
    for size in SIZES:
        for query in queries.tolist():
            for present in (True, False):
                rows = gallery(world, query, size, present, rng)
                best = first_of_each(world, rows, world.alike[query, rows], 10)
                judged = JudgedSearch(
                    similarities=world.alike[query, best].astype(np.float64),
                    right=world.who[best] == world.person[query],
                    people=len(rows),
                    present=present,
                    best=best_view(world, query, rows),
                )
                found.append((query, size, judged))
    return found


def pairs(world: World, queries: Array) -> tuple[Array, Array]:
    """Similarities of the queries to everybody in other pictures, and whether it is the person."""
    values, same = [], []
    for query in queries.tolist():
        elsewhere = world.picture != world.own[query]
        values.append(world.alike[query, elsewhere])
        same.append(world.who[elsewhere] == world.person[query])
    return np.concatenate(values), np.concatenate(same)


def fitted(world: World, queries: Array, method: str, seed: int) -> Calibration:
    """A calibration by these queries: pairs of all, and searches each weighed by the other half's curve."""
    whole = fit_calibration(*pairs(world, queries), method=method)  # type: ignore[arg-type]
    halves = queries[::2], queries[1::2]
    curves, judged = [], []
    for mine, others in (halves, halves[::-1]):
        curve = fit_calibration(*pairs(world, others), method=method)  # type: ignore[arg-type]
        some = [search for _, _, search in searches(world, mine, seed)]
        curves += [curve] * len(some)
        judged += some
    return fit_searches(whole, judged, curves=curves)


def interval(
    people: Array, statistic: Callable[[Array], float], rng: np.random.Generator
) -> dict[str, float | None]:
    """A statistic of rows, with its bootstrap over people (``people``: whose each row is)."""
    names, place = np.unique(people, return_inverse=True)
    rows = [np.flatnonzero(place == i) for i in range(len(names))]
    drawn = []
    for _ in range(RESAMPLES):
        some = np.concatenate([rows[i] for i in rng.integers(0, len(names), len(names))])
        value = statistic(some)
        if np.isfinite(value):
            drawn.append(value)
    value = statistic(np.arange(len(people)))
    if not np.isfinite(value) or not drawn:
        return {"value": None, "low": None, "high": None}
    low, high = np.quantile(drawn, [0.025, 0.975])
    return {"value": round(float(value), 4), "low": round(float(low), 4), "high": round(float(high), 4)}


def share(mask: Array, of: Array) -> Callable[[Array], float]:
    """The share of ``mask`` among the rows that are ``of``."""
    return lambda rows: float(mask[rows][of[rows]].mean()) if of[rows].any() else float("nan")


def judged_by(
    calibration: Calibration, found: list[tuple[int, int, JudgedSearch]], seed: int
) -> dict[str, Any]:
    """Errors of a calibration, and what its verdicts are worth."""
    rng = np.random.default_rng(seed)
    people = np.array([query for query, _, _ in found])
    size = np.array([size for _, size, _ in found])
    there = np.array([search.present for _, _, search in found])
    said = [judge(calibration, search.similarities, search.people) for _, _, search in found]
    verdict = np.array([one.verdict for one in said])
    hits = np.array([hit_probabilities(calibration, s.similarities[:5], s.people) for _, _, s in found])
    right = np.array([s.right[:5] for _, _, s in found])

    def error(probability: Array, outcome: Array) -> Callable[[Array], float]:
        return lambda rows: expected_calibration_error(probability[rows].ravel(), outcome[rows].ravel())

    def by_chance(probability: Array) -> float:
        """The error that these very probabilities would have if they were right."""
        draws = [rng.random(probability.shape) < probability for _ in range(200)]
        errors = [expected_calibration_error(probability.ravel(), drawn.ravel()) for drawn in draws]
        return round(float(np.mean(errors)), 4)

    absent, likely = verdict == "likely absent", verdict == "likely"
    report: dict[str, Any] = {
        "error of the first hit": interval(people, error(hits[:, 0], right[:, 0]), rng),
        "error of the first five": interval(people, error(hits, right), rng),
        "error of the first hit, were all probabilities right": by_chance(hits[:, 0]),
        "error of the first hit, by size": {
            str(one): round(error(hits[:, 0], right[:, 0])(np.flatnonzero(size == one)), 4) for one in SIZES
        },
        "false absent": interval(people, share(absent, there), rng),
        "false absent, by size": {
            str(one): round(share(absent, there & (size == one))(np.arange(len(size))), 4) for one in SIZES
        },
        "absent said where the person is absent, by size": {
            str(one): round(share(absent, ~there & (size == one))(np.arange(len(size))), 4) for one in SIZES
        },
        "absent said where the person is absent": interval(people, share(absent, ~there), rng),
        "present, of those called absent": interval(people, share(there, absent), rng),
        "likely said where the person is there": interval(people, share(likely, there), rng),
        "absent, of those called likely": interval(people, share(~there, likely), rng),
    }
    if said[0].present is not None:
        present = np.array([one.present for one in said])
        report["error of being there"] = interval(people, error(present, there), rng)
    return report


def precision(alike: Array, right: Array, wanted: int) -> float:
    """Average precision of a ranking in which ``wanted`` could be found."""
    places = np.flatnonzero(right[np.argsort(-alike, kind="stable")]) + 1
    return float((np.arange(1, len(places) + 1) / places).sum() / wanted)


def unit(vectors: Array) -> Array:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


RULES: dict[str, Callable[[Array, Array, Array], Array]] = {
    **{
        f"Rocchio {away}": lambda p, n, x, away=away: similarities(
            combined(p, n, away=away)[None], x, "cosine"
        )[0]
        for away in (0.0, 0.1, 0.25, 0.5, 1.0)
    },
    "most similar example": lambda p, n, x: similarities(p, x, "cosine").max(axis=0),
    "most similar example, less a quarter of the most similar wrong one": lambda p, n, x: (
        similarities(p, x, "cosine").max(axis=0)
        - (0.25 * np.maximum(similarities(n, x, "cosine").max(axis=0), 0) if len(n) else 0.0)
    ),
}


def refinement(world: World, size: int, seed: int) -> dict[str, Any]:
    """What yes and no to the first five hits gain, by each rule."""
    rng = np.random.default_rng(seed)
    before: list[float] = []
    after: dict[str, list[float]] = {name: [] for name in RULES}
    yes = []
    for query in range(len(world.query)):
        rows = gallery(world, query, size, True, rng)
        alike = world.alike[query, rows]
        judged = first_of_each(world, rows, alike, JUDGED)
        is_right = world.who[judged] == world.person[query]
        yes.append(int(is_right.sum()))
        gone = np.isin(rows, judged) | np.isin(world.picture[rows], world.picture[judged[is_right]])
        left, vectors = rows[~gone], world.vectors[rows[~gone]]
        wanted = len(np.setdiff1d(world.shows[query], world.picture[judged[is_right]]))
        if not wanted:
            continue
        right = world.who[left] == world.person[query]
        before.append(precision(alike[~gone], right, wanted))
        positives = np.concatenate([world.query[query][None], world.vectors[judged[is_right]]])
        for name, rule in RULES.items():
            values = rule(positives, world.vectors[judged[~is_right]], vectors)
            after[name].append(precision(values, right, wanted))

    def said(values: Any) -> dict[str, float]:
        return {"value": round(values.mean, 4), "low": round(values.low, 4), "high": round(values.high, 4)}

    drawing = np.random.default_rng(seed)
    return {
        "pictures": size,
        "searches with somebody left to find": len(before),
        "right ones among the first five": round(float(np.mean(yes)), 3),
        "residual mAP before": said(mean_interval(np.array(before), drawing)),
        "after": {
            name: {
                "residual mAP": said(mean_interval(np.array(values), drawing)),
                "gain": said(paired_interval(np.array(values), np.array(before), drawing)),
            }
            for name, values in after.items()
        },
    }


def recalibrated(model: Path, dataset: Any) -> Calibration | None:
    """The calibration that ``train`` would write for this model now."""
    from personsearch.model.checkpoint import load_searcher
    from personsearch.progress import console
    from personsearch.training.validation import calibrate, choose_validation

    settings = json.loads((model / "settings.json").read_text())["settings"]
    scenes = dataset.scenes("train")
    people = choose_validation(scenes, settings["validation_identities"], settings["seed"])
    return calibrate(load_searcher(model, "cpu"), scenes, people, progress=console("plain"))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--root", type=Path, required=True, help="of the data set")
    parser.add_argument("--dataset", default="synthetic")
    parser.add_argument("--features", type=Path, help="of its test pictures; made and kept where missing")
    parser.add_argument("--min-score", type=float, default=0.5)
    parser.add_argument("--recalibrate", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=RESULT)
    given = parser.parse_args()
    dataset = open_dataset(given.dataset, given.root)
    scenes = dataset.scenes("test")
    path = given.features or given.model / "evaluation" / "features-for-calibration.npz"
    if path.exists():
        features = Features.load(path)
    else:
        from personsearch.model.checkpoint import load_searcher
        from personsearch.progress import console

        searcher = load_searcher(given.model, "cpu")
        features = extract(searcher, scenes, dataset.trials(), path, progress=console("plain"))
    world = world_of(features, scenes, given.min_score)
    order = np.random.default_rng(given.seed).permutation(len(world.query))
    first, second = np.sort(order[: len(order) // 2]), np.sort(order[len(order) // 2 :])
    report: dict[str, Any] = {
        "model": features.fingerprint,
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}",
        "test people": {"fitted on": len(first), "reported on": len(second)},
        "detections": len(world.who),
        "sizes of galleries, in pictures": list(SIZES),
        "calibrations": {},
    }
    calibrations: dict[str, Calibration | None] = {
        "of half of the people, isotonic": fitted(world, first, "isotonic", given.seed),
        "of half of the people, logistic": fitted(world, first, "platt", given.seed),
    }
    kept = given.model / "calibration.json"
    if kept.exists():
        calibrations["the model's, as it is"] = Calibration.from_json(json.loads(kept.read_text()))
    if given.recalibrate:
        calibrations["the model's, as train writes it now"] = recalibrated(given.model, dataset)
    fresh = searches(world, second, given.seed + 1)
    for name, calibration in calibrations.items():
        if calibration is not None:
            report["calibrations"][name] = judged_by(calibration, fresh, given.seed)
            print(name, json.dumps(report["calibrations"][name], indent=1), flush=True)
    report["yes and no to five hits"] = [refinement(world, size, given.seed) for size in (100, 400)]
    print(json.dumps(report["yes and no to five hits"], indent=1), flush=True)
    write_json(given.out, report)


if __name__ == "__main__":
    main()
