"""A thousand small worlds, scored and scored again by the protocol as it is told, with lists and loops.

The slow half knows nothing of the package but the arithmetic of similarities: it was
written from the description of the field's evaluators. Planted mistakes go into it, so
each is shown to be seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import permutations
from typing import Any

import numpy as np
import pytest

from personsearch.evaluation.detection import DetectionRules, score_detection
from personsearch.evaluation.search import SearchRules, rules_of_prw, score_search, score_searches
from personsearch.ranking.kreciprocal import KReciprocalRules, rerank
from personsearch.types import UNLABELLED, Scene

WORLDS = 1000
PARTS = 10
Box = Sequence[float]


@dataclass
class World:
    """Pictures with people in them, and who is looked for where."""

    names: list[str]
    seen: list[list[tuple]]  # per picture (box, score, embedding)
    queries: list[tuple]  # (picture, box, person)
    asked: np.ndarray  # an embedding a query
    around: list[np.ndarray]  # the query and the others in its picture
    galleries: list[list[tuple]]  # per query (picture, true boxes, ignored boxes)
    kind: str


def make(seed: int, *, ties: bool) -> World:
    """People stand at three spots; somebody far away is only a few pixels wide."""
    rng = np.random.default_rng(seed)
    wide = rng.choice([6, 14, 60], 3)
    spots = [[100 * k, 0, 100 * k + wide[k], 2 * wide[k]] for k in range(3)]
    empty, pictures = seed % 17 == 0, 1 if seed % 13 == 0 else int(rng.integers(1, 7))

    def someone() -> list[float]:
        return (rng.integers(-2, 3, 3) if ties else rng.normal(size=3).astype(np.float32)).tolist()

    def near(spot: int) -> list[float]:
        loose = max(2, int(wide[spot]) // 5)
        box = np.array(spots[spot]) + rng.integers(-loose, loose + 1, 4)
        return [*box[:2].tolist(), *np.maximum(box[2:], box[:2] + 1).tolist()]

    def several(choices: list[int]) -> list[Box]:
        boxes = [spots[k] for k in rng.integers(0, 3, rng.choice(choices))]
        return [near(int(rng.integers(3))) if rng.random() < 0.2 else box for box in boxes]

    seen = [
        [
            (near(int(k)), float(rng.choice([0.3, 0.5, 0.9])), someone())
            for k in rng.integers(0, 3, 0 if empty else rng.integers(0, 6))
        ]
        for _ in range(pictures)
    ]
    count = 1 if seed % 11 == 0 else int(rng.integers(1, 5))
    queries = [(int(rng.integers(pictures)), [900 + 50 * k, 0, 920 + 50 * k, 90], k) for k in range(count)]
    present = [0, 0, 1, 1, 2] if seed % 7 else [0]
    galleries = [
        [
            (int(rng.integers(pictures)), several(present), several([0, 0, 0, 1]) if seed % 3 == 0 else [])
            for _ in range(rng.integers(0, 7))
        ]
        for _ in queries
    ]
    asked = np.array([someone() for _ in queries], np.float32)
    around = [
        np.array([asked[k], *(someone() for _ in range(rng.integers(0, 3)))], np.float32)
        for k in range(count)
    ]
    names = [f"s{k}.jpg" for k in range(pictures)]
    return World(names, seen, queries, asked, around, galleries, str(rng.choice(["cosine", "euclidean"])))


def as_ours(world: World, trials_of, features_of):
    trials = trials_of(world.names, world.queries, world.galleries)
    features = features_of(world.names, world.seen, trials, world.asked, world.kind)
    around = np.concatenate(world.around)
    return trials, replace(
        features,
        qdet_ptr=np.cumsum([0, *map(len, world.around)]),
        qdet_box=np.zeros((len(around), 4)),
        qdet_score=np.ones(len(around)),
        qdet_feat=around,
    )


# --- the slow half: search ----------------------------------------------------------------------


def overlap(a: Box, b: Box, more: float = 0) -> float:
    """Intersection over union; ``more`` is 1 where a box ends with its last pixel."""
    width = min(a[2], b[2]) - max(a[0], b[0]) + more
    height = min(a[3], b[3]) - max(a[1], b[1]) + more
    if width <= 0 or height <= 0:
        return 0.0
    both = (a[2] - a[0] + more) * (a[3] - a[1] + more) + (b[2] - b[0] + more) * (b[3] - b[1] + more)
    return width * height / (both - width * height)


def inside(a: Box, b: Box, more: float) -> bool:
    """Most of ``a`` lies in ``b``."""
    width = min(a[2], b[2]) - max(a[0], b[0]) + more
    height = min(a[3], b[3]) - max(a[1], b[1]) + more
    if width <= 0 or height <= 0:
        return False
    return width * height / ((a[2] - a[0] + more) * (a[3] - a[1] + more)) >= 0.5


def alike(a: Any, b: Any, kind: str) -> float:
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if kind == "euclidean":
        return -float(np.float32(np.sqrt(((a - b) ** 2).sum())))
    lengths = np.linalg.norm(a) * np.linalg.norm(b)
    return float(np.float32(a @ b / lengths)) if lengths else 0.0


def enough(box: Box, rules: SearchRules, mistake: str) -> float:
    more = rules.box_sides == "inclusive"
    w, h = box[2] - box[0] + more, box[3] - box[1] + more
    if rules.match_iou == "fixed":
        return 0.5
    if mistake == "precedence":
        return min(0.5, w * h / (w + 10) * (h + 10))
    return min(0.5, w * h / ((w + 10) * (h + 10)))


def searched(world: World, i: int, rules: SearchRules) -> tuple[list[tuple], int]:
    """The searched entries with the boxes that are looked for, and how many are to be found."""
    own, gallery = world.queries[i][0], world.galleries[i]
    entries: list[tuple[int, list[Box], list[Box]]] = []
    if rules.policy == "clean":
        for picture, truths, ignored in gallery:
            if picture == own:
                continue
            known = next((entry for entry in entries if entry[0] == picture), None)
            if known is None:
                known = (picture, [], [])
                entries.append(known)
            known[1].extend(
                box for k, box in enumerate(truths) if box not in known[1] and box not in truths[:k]
            )
            known[2].extend(ignored)
        return entries, sum(len(entry[1]) for entry in entries)
    for picture, truths, ignored in gallery:
        if rules.repeated == "twice" or picture not in [entry[0] for entry in entries]:
            entries.append((picture, list(truths[:1]), ignored))
    return entries, sum(len(truths) > 0 for _, truths, _ in gallery)


def rearranged(world: World, i: int, values: list[float], where: list[int], feats: list, rules: SearchRules):
    """The similarities after context matching or k-reciprocal re-ranking."""
    if rules.k_reciprocal is not None and values:
        rows, new = rerank(
            world.asked[i],
            np.array(feats, np.float32),
            np.array(values, np.float32),
            world.kind,
            rules.k_reciprocal,
        )
        behind = {row: values[row] - max(values) - 2 for row in range(len(values))}
        return [
            {**behind, **dict(zip(rows.tolist(), new.tolist(), strict=True))}[k] for k in range(len(values))
        ]
    if rules.context is None:
        return values
    k1, k2 = rules.context
    best = sorted(range(len(values)), key=lambda k: -values[k])[:k1]
    result, asked = list(values), world.around[i][:k2]
    for entry in {where[k] for k in best}:
        here = [k for k in range(len(values)) if where[k] == entry]
        edge = [[alike(one, feats[k], world.kind) for k in here] for one in asked]
        small = min(len(asked), len(here))
        matchings = [
            list(zip(left, right, strict=True))
            for left in permutations(range(len(asked)), small)
            for right in permutations(range(len(here)), small)
        ]
        matching = max(matchings, key=lambda pairs: sum(edge[a][b] for a, b in pairs))
        for a, b in matching:
            if a == 0:
                result[here[b]] = max(edge[x][y] for x, y in matching)
    return result


def right_ones(truths, boxes, values, rules, mistake) -> tuple[set[int], set[int], set[int]]:
    """Of one entry's detections: who is right, who is on a true box, who is junk."""
    more = float(rules.box_sides == "inclusive")
    shares = [[overlap(box, truth, more) for truth in truths] for box in boxes]
    least = [enough(truth, rules, mistake) for truth in truths]
    on = {k for k, share in enumerate(shares) if any(s >= m for s, m in zip(share, least, strict=True))}
    junk = set()
    if rules.junk_overlap is not None:
        junk = {k for k, share in enumerate(shares) if any(s >= rules.junk_overlap for s in share)} - on
    if mistake == "all right":
        return on, on, junk
    right, free = set(), set(range(len(truths)))
    for k in sorted(on, key=lambda k: (-values[k], k)):
        open_boxes = [t for t in sorted(free) if shares[k][t] >= least[t]]
        if open_boxes:
            free.remove(max(open_boxes, key=lambda t: (shares[k][t], -t)))
            right.add(k)
    return right, on, junk


def area_under(pairs: list[tuple[float, bool]], reading: str) -> float:
    found = sum(label for _, label in pairs)
    total, recall, precision = 0.0, 0.0, 1.0
    for level in sorted({value for value, _ in pairs}, reverse=True):
        above = [label for value, label in pairs if value >= level]
        r, p = sum(above) / found, sum(above) / len(above)
        total += (r - recall) * (p if reading == "step" else (p + precision) / 2)
        recall, precision = r, p
    return total


def slow_search(world: World, rules: SearchRules, mistake: str = "") -> list[tuple[float, int, float]]:
    """Per query (average precision, first hit, recall)."""
    answers = []
    for i in range(len(world.queries)):
        entries, wanted = searched(world, i, rules)
        if not wanted:
            nothing = float("nan") if rules.policy == "clean" else 0.0
            answers.append((nothing, 0, nothing))
            continue
        values, where, boxes, feats = [], [], [], []
        for number, (picture, _, _) in enumerate(entries):
            for box, score, feat in world.seen[picture]:
                if np.float32(score) >= np.float32(rules.det_threshold):
                    values.append(alike(world.asked[i], feat, world.kind))
                    where.append(number)
                    boxes.append(box)
                    feats.append(feat)
        values = rearranged(world, i, values, where, feats, rules)
        pairs: list[tuple[float, bool]] = []
        for number, (_, truths, ignored) in enumerate(entries):
            here = [k for k in range(len(values)) if where[k] == number]
            mine = [boxes[k] for k in here], [values[k] for k in here]
            right, on, junk = right_ones(truths, *mine, rules, mistake)
            more = float(rules.box_sides == "inclusive")
            for k, (box, value) in enumerate(zip(*mine, strict=True)):
                gone = any(overlap(box, b, more) >= 0.5 or inside(box, b, more) for b in ignored) or k in junk
                if k in on or not gone:
                    pairs.append((value, k in right))
        found = sum(label for _, label in pairs)
        order = sorted(range(len(pairs)), key=lambda k: -pairs[k][0])
        hits = [rank for rank, k in enumerate(order, 1) if pairs[k][1]]
        share = found / wanted
        area = area_under(pairs, rules.ap) if found else 0.0
        answers.append((area if mistake == "misses" else area * share, hits[0] if hits else 0, share))
    return answers


# --- search: both halves ---------------------------------------------------------------------------


def some_rules(seed: int, ties: bool) -> SearchRules:
    """Every rule in turn; re-ranking only where no two matchings are equally good."""
    rng = np.random.default_rng(seed + 10_000)
    if seed % 9 == 0:
        return rules_of_prw()
    again: dict[str, Any] = {}
    if not ties:
        again = [
            {},
            {"context": (int(rng.integers(1, 6)), int(rng.integers(1, 4)))},
            {"k_reciprocal": KReciprocalRules(top=int(rng.integers(1, 12)), k1=3, k2=2)},
        ][int(rng.integers(3))]
    return SearchRules(
        det_threshold=float(rng.choice([0.0, 0.5, 0.5, 0.95])),
        match_iou=str(rng.choice(["size-adaptive", "size-adaptive", "fixed"])),
        repeated=str(rng.choice(["twice", "first"])),
        ap=str(rng.choice(["step", "trapezoid"])),
        policy=str(rng.choice(["official", "official", "clean"])),
        box_sides=str(rng.choice(["continuous", "continuous", "inclusive"])),
        junk_overlap=None if rng.random() < 0.6 else 0.3,
        **again,
    )


def same(scores, slow: list[tuple[float, int, float]]) -> bool:
    ap, hits, recall = (np.array(column) for column in zip(*slow, strict=True))
    return bool(
        np.allclose(scores.ap, ap, atol=1e-9, equal_nan=True)
        and np.array_equal(scores.first_hit, hits)
        and np.allclose(scores.recall, recall, atol=1e-9, equal_nan=True)
    )


@pytest.mark.parametrize("part", range(PARTS))
def test_search_in_a_thousand_worlds(trials_of, features_of, part: int) -> None:
    for seed in range(part, WORLDS, PARTS):
        ties = seed % 2 == 0
        world = make(seed, ties=ties)
        for rules in (SearchRules(), some_rules(seed, ties)):
            trials, features = as_ours(world, trials_of, features_of)
            scores = score_search(trials, features, rules)
            assert same(scores, slow_search(world, rules)), (seed, rules)
            wanted = [i for i in range(len(trials)) if not searched(world, i, rules)[1]]
            assert scores.rules["without_positives"] == wanted


def test_the_worlds_hold_what_they_promise() -> None:
    worlds = [make(seed, ties=True) for seed in range(WORLDS)]
    gallery = [(w, i, g) for w in worlds for i, g in enumerate(w.galleries)]
    assert any(not any(w.seen) for w in worlds)  # nobody is seen at all
    assert any(len(w.names) == 1 for w in worlds)
    assert any(len(w.queries) == 1 for w in worlds)
    assert any(not any(truths for _, truths, _ in g) for _, _, g in gallery)  # nobody is present
    assert any(len(truths) > 1 for _, _, g in gallery for _, truths, _ in g)
    assert any(len({picture for picture, _, _ in g}) < len(g) for _, _, g in gallery)
    assert any(w.queries[i][0] in [picture for picture, _, _ in g] for w, i, g in gallery)
    assert any(ignored for _, _, g in gallery for _, _, ignored in g)


@pytest.mark.parametrize("mistake", ["precedence", "misses", "all right"])
def test_a_planted_mistake_is_seen(trials_of, features_of, mistake: str) -> None:
    different = 0
    for seed in range(100):
        world = make(seed, ties=False)
        scores = score_search(*as_ours(world, trials_of, features_of))
        assert same(scores, slow_search(world, SearchRules()))
        different += not same(scores, slow_search(world, SearchRules(), mistake))
    assert different >= 5


@pytest.mark.parametrize("column", ["det_box", "det_feat", "det_score"])
def test_rows_shifted_by_one_are_seen(trials_of, features_of, column: str) -> None:
    different = 0
    for seed in range(100):
        world = make(seed, ties=False)
        trials, features = as_ours(world, trials_of, features_of)
        shifted = replace(features, **{column: np.roll(getattr(features, column), 1, axis=0)})
        different += not same(score_search(trials, shifted), slow_search(world, SearchRules()))
    assert different >= 5


def test_protocols_scored_together_are_scored_the_same(trials_of, features_of) -> None:
    for seed in range(60):
        world = make(seed, ties=seed % 2 == 0)
        trials, features = as_ours(world, trials_of, features_of)
        halves = [list(gallery[half::2]) for half in (0, 1) for gallery in world.galleries]
        n = len(world.galleries)
        protocols = [
            trials,
            trials_of(world.names, world.queries, halves[:n]),
            trials_of(world.names, world.queries[::-1], halves[n:][::-1]),
        ]
        for one, scores in zip(
            protocols, score_searches(protocols, features, some_rules(seed, True)), strict=True
        ):
            alone = score_search(one, features, some_rules(seed, True))
            np.testing.assert_array_equal(scores.ap, alone.ap)
            np.testing.assert_array_equal(scores.first_hit, alone.first_hit)


# --- detection ------------------------------------------------------------------------------------


def annotated(seed: int) -> tuple[list[Scene], list[list[tuple]]]:
    """Scenes with named, unnamed, low and ignored people, and what was detected."""
    rng = np.random.default_rng(seed)
    scenes, seen = [], []
    for k in range(1 if seed % 11 == 0 else rng.integers(1, 6)):
        n = 0 if seed % 13 == 0 else int(rng.integers(0, 5))
        corner = rng.integers(0, 30, (n, 2))
        boxes = np.concatenate([corner, corner + rng.integers(5, 40, (n, 2))], 1).astype(np.float32)
        ignore = rng.random(n) < (0.2 if seed % 3 == 0 else 0)
        scenes.append(Scene(f"s{k}", boxes=boxes, people=rng.integers(-1, 3, n), ignore=ignore))
        found = boxes[rng.random(n) < 0.8]
        found = np.concatenate([found, found[: rng.integers(0, 3)]]) + rng.integers(-3, 4, 4)
        found = np.concatenate([found, rng.integers(0, 40, (rng.integers(0, 3), 4))])
        found[:, 2:] = np.maximum(found[:, 2:], found[:, :2] + 1)
        scores = rng.choice([0.2, 0.5, 0.6, 0.9], len(found))
        seen.append([(b.tolist(), float(s), [1.0]) for b, s in zip(found, scores, strict=True)])
        if seed % 17 == 0:
            seen[-1] = []
    return scenes, seen


def slow_detection(scenes, seen, rules: DetectionRules, mistake: str = "") -> tuple[float, float, int, int]:
    """(recall, average precision, truths, detections), picture by picture."""
    pairs, truths = [], 0
    for scene, people in zip(scenes, seen, strict=True):
        boxes = [[float(x) for x in box] for box in scene.boxes]
        high = [box[3] - box[1] >= rules.min_height for box in boxes]
        wanted = [
            box
            for box, person, ignore, tall in zip(boxes, scene.people, scene.ignore, high, strict=True)
            if tall and not ignore and not (rules.labelled_only and person == UNLABELLED)
        ]
        low = [b for b, i, tall in zip(boxes, scene.ignore, high, strict=True) if not tall and not i]
        if rules.labelled_only and not wanted:
            continue
        people = [one for one in people if np.float32(one[1]) >= np.float32(rules.det_threshold)]
        shares = [[np.float32(overlap(box, truth)) for truth in wanted] for box, _, _ in people]
        for k, (box, score, _) in enumerate(people):
            right = False
            for t in range(len(wanted)):
                column = [shares[j][t] for j in range(len(people))]
                best = shares[k].index(max(shares[k])) == t and column.index(max(column)) == k
                right |= bool((best or mistake == "all right") and shares[k][t] >= rules.iou)
            beside = (
                any(
                    overlap(box, b) >= 0.5 or inside(box, b, 0)
                    for b, i in zip(boxes, scene.ignore, strict=True)
                    if i
                )
                or any(overlap(box, b) >= rules.iou for b in low)
                or box[3] - box[1] < rules.min_height
            )
            if right or not beside:
                pairs.append((score, right))
        truths += len(wanted)
    found = sum(label for _, label in pairs)
    recall = found / truths if truths else float("nan")
    area = area_under(pairs, rules.ap) if found else 0.0
    return recall, area if mistake == "misses" else area * recall, truths, len(pairs)


def detected(seed: int, features_of, trials_of):
    scenes, seen = annotated(seed)
    names = [scene.name for scene in scenes]
    return scenes, seen, features_of(names, seen, trials_of(names, [], []), np.zeros((0, 1)))


@pytest.mark.parametrize("part", range(PARTS))
def test_detection_in_a_thousand_worlds(trials_of, features_of, part: int) -> None:
    for seed in range(part, WORLDS, PARTS):
        scenes, seen, features = detected(seed, features_of, trials_of)
        rng = np.random.default_rng(seed + 10_000)
        for rules in (
            DetectionRules(),
            DetectionRules(
                det_threshold=float(rng.choice([0.0, 0.5, 0.95])),
                iou=float(rng.choice([0.3, 0.5, 0.7])),
                labelled_only=bool(rng.random() < 0.5),
                min_height=float(rng.choice([0, 0, 15, 25])),
                ap=str(rng.choice(["step", "trapezoid"])),
            ),
        ):
            got = score_detection(scenes, features, rules)
            np.testing.assert_allclose(
                (got.recall, got.ap, got.truths, got.detections),
                slow_detection(scenes, seen, rules),
                atol=1e-9,
                err_msg=f"{seed} {rules}",
            )


@pytest.mark.parametrize("mistake", ["misses", "all right"])
def test_a_planted_mistake_in_detection_is_seen(trials_of, features_of, mistake: str) -> None:
    different = 0
    for seed in range(100):
        scenes, seen, features = detected(seed, features_of, trials_of)
        got = score_detection(scenes, features)
        wrong = slow_detection(scenes, seen, DetectionRules(), mistake)
        different += not np.allclose((got.recall, got.ap), wrong[:2], equal_nan=True)
    assert different >= 5
