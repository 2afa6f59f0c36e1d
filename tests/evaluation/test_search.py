"""Search scoring three ways: a case by hand, the protocol written again slowly, and what must always hold."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from personsearch.errors import DatasetError, InputError
from personsearch.evaluation import search
from personsearch.evaluation.search import SearchRules, score_search
from personsearch.types import Trials

SCENES = ["a", "b", "c", "d", "e"]
PERSON = [0, 0, 40, 100]  # wide enough that 0.5 decides
ELSEWHERE = [200, 0, 240, 100]


def angle(degrees: float) -> list[float]:
    return [np.cos(np.radians(degrees)), np.sin(np.radians(degrees))]


# --- the protocol once more, with lists and loops ------------------------------------------------


def slow_overlap(a, b) -> float:
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    return shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared)


def slow_ap(pairs: list[tuple[float, int]], reading: str) -> float:
    found = sum(label for _, label in pairs)
    if not found:
        return 0.0
    area, recall, precision = 0.0, 0.0, 1.0
    for level in sorted({value for value, _ in pairs}, reverse=True):
        above = [label for value, label in pairs if value >= level]
        r, p = sum(above) / found, sum(above) / len(above)
        area += (r - recall) * (p if reading == "step" else (p + precision) / 2)
        recall, precision = r, p
    return area


def slow_scores(trials: Trials, features, rules: SearchRules) -> list[tuple[float, int, float]]:
    """Per query (AP, first hit, recall), entry by entry as the protocol tells it."""
    results = []
    for i in range(len(trials)):
        query = features.q_feat[i].astype(np.float64)
        wanted = found = 0
        pairs: list[tuple[float, int]] = []
        listed = set()
        for entry in range(trials.entry_ptr[i], trials.entry_ptr[i + 1]):
            truths = trials.truth_box[trials.truth_ptr[entry] : trials.truth_ptr[entry + 1]]
            ignored = trials.ignore_box[trials.ignore_ptr[entry] : trials.ignore_ptr[entry + 1]]
            wanted += len(truths) > 0
            name = trials.scenes[trials.entry_scene[entry]]
            if rules.repeated == "first" and name in listed:
                continue
            listed.add(name)
            people = []
            seen = features.detections(name)
            for box, score, embedding in zip(seen.boxes, seen.scores, seen.embeddings, strict=True):
                if score >= np.float32(rules.det_threshold):
                    other = embedding.astype(np.float64)
                    lengths = np.linalg.norm(query) * np.linalg.norm(other)
                    if features.similarity == "cosine":
                        alike = float(np.float32(query @ other / lengths)) if lengths else 0.0
                    else:
                        alike = -float(np.float32(np.linalg.norm(query - other)))
                    people.append((alike, [float(x) for x in box]))
            labels, on_truth = [0] * len(people), [False] * len(people)
            if len(truths):
                box = [float(x) for x in truths[0]]
                width, height = box[2] - box[0], box[3] - box[1]
                least = min(0.5, (width * height) / ((width + 10) * (height + 10)))
                least = 0.5 if rules.match_iou == "fixed" else least
                on_truth = [slow_overlap(person[1], box) >= least for person in people]
                for k in sorted(range(len(people)), key=lambda k: -people[k][0]):
                    if on_truth[k]:
                        labels[k] = 1
                        found += 1
                        break
            for (alike, box), label, on in zip(people, labels, on_truth, strict=True):
                left_out = any(
                    slow_overlap(box, b) >= 0.5
                    or slow_overlap([*map(max, box[:2], b[:2]), *map(min, box[2:], b[2:])], box) >= 0.5
                    for b in ignored
                )
                if on or not left_out:
                    pairs.append((alike, label))
        order = sorted(range(len(pairs)), key=lambda k: -pairs[k][0])
        hits = [rank for rank, k in enumerate(order, 1) if pairs[k][1]]
        recall = found / wanted if wanted else 0.0
        results.append((slow_ap(pairs, rules.ap) * recall, hits[0] if hits else 0, recall))
    return results


@st.composite
def worlds(draw, ties: bool = True):
    """A few scenes with detections around a few spots, galleries with repeats, small and large people."""
    seed = draw(st.integers(0, 10_000))
    rng = np.random.default_rng(seed)
    size = rng.choice([8, 14, 60], size=3)  # far people have a threshold below 0.5
    spots = [[100 * k, 0, 100 * k + size[k], 2 * size[k]] for k in range(3)]
    names = [f"s{k}" for k in range(rng.integers(1, 7))]
    seen = []
    for _ in names:
        people = []
        for k in rng.integers(0, 3, rng.integers(0, 5)):
            box = np.array(spots[k]) + rng.integers(-4, 5, 4)
            embedding = rng.integers(-2, 3, 3) if ties else rng.normal(size=3)
            people.append((box.tolist(), float(rng.choice([0.3, 0.5, 0.9])), embedding.tolist()))
        seen.append(people)
    queries, galleries = [], []
    for person in range(rng.integers(1, 5)):
        queries.append((int(rng.integers(len(names))), spots[rng.integers(3)], person))
        galleries.append(
            [
                (
                    int(rng.integers(len(names))),
                    [spots[k] for k in rng.integers(0, 3, rng.choice([0, 0, 1, 2]))],
                    [spots[k] for k in rng.integers(0, 3, rng.choice([0, 0, 0, 1]))],
                )
                for _ in range(rng.integers(0, 6))
            ]
        )
    return names, queries, galleries, seen, rng.normal(size=(len(queries), 3)).round(0 if ties else 6)


every_rule = st.builds(
    SearchRules,
    det_threshold=st.sampled_from([0.0, 0.5, 0.95]),
    match_iou=st.sampled_from(["size-adaptive", "fixed"]),
    repeated=st.sampled_from(["twice", "first"]),
    ap=st.sampled_from(["step", "trapezoid"]),
)


@given(worlds(), every_rule, st.sampled_from(["cosine", "euclidean"]))
@settings(max_examples=150, deadline=None)
def test_the_protocol_written_slowly_gives_the_same(trials_of, features_of, world, rules, kind) -> None:
    names, queries, galleries, seen, embeddings = world
    trials = trials_of(names, queries, galleries)
    features = features_of(names, seen, trials, embeddings, kind)
    # two queries at one place share a row of the features; give each its own description
    features = replace(features, q_feat=features.q_feat[features.query_rows(trials)])
    scores = score_search(trials, features, rules)
    slow = slow_scores(trials, features, rules)
    np.testing.assert_allclose(scores.ap, [ap for ap, _, _ in slow], atol=1e-12)
    assert scores.first_hit.tolist() == [hit for _, hit, _ in slow]
    np.testing.assert_allclose(scores.recall, [recall for _, _, recall in slow])


# --- by hand ------------------------------------------------------------------------------------


@pytest.fixture
def by_hand(trials_of, features_of):
    """One query at angle 0, positives in a, b and c; c has no detection at all, d is a distractor.

    Ranking: d 10 deg (wrong), a 20 (right), b 30 (on the person, less placed but more alike: right),
    b 40 (on the person too: wrong), a 50 (elsewhere: wrong).
    """
    trials = trials_of(SCENES, [(4, PERSON, 0)], [[(0, [PERSON]), (1, [PERSON]), (2, [PERSON]), (3, [])]])
    seen = [
        [(PERSON, 0.9, angle(20)), (ELSEWHERE, 0.8, angle(50))],
        [(PERSON, 0.9, angle(40)), ([0, 0, 40, 60], 0.8, angle(30)), (PERSON, 0.4, angle(0))],
        [],
        [(PERSON, 0.9, angle(10))],
        [],
    ]
    return trials, features_of(SCENES, seen, trials, [angle(0)])


@pytest.mark.parametrize("kind", ["cosine", "euclidean"])
def test_by_hand(by_hand, kind: str) -> None:
    trials, features = by_hand
    features = replace(features, meta={**features.meta, "similarity": kind})
    scores = score_search(trials, features)
    assert scores.recall.tolist() == [pytest.approx(2 / 3)]
    assert scores.ap.tolist() == [pytest.approx((1 / 2 + 2 / 3) / 2 * 2 / 3)]
    assert scores.first_hit.tolist() == [2]
    assert (scores.top(1), scores.top(2), scores.top(10)) == (0.0, 1.0, 1.0)
    assert scores.rules["similarity"] == kind
    assert scores.protocol == "test"


def test_a_detection_at_the_threshold_is_kept(by_hand) -> None:
    trials, features = by_hand
    scores = score_search(trials, features, SearchRules(det_threshold=0.4))  # b's third, angle 0, is best now
    assert scores.first_hit.tolist() == [1]


def test_a_far_person_is_found_by_a_looser_box(trials_of, features_of) -> None:
    far, loose = [0, 0, 10, 20], [0, 0, 20, 25]  # overlap 200 / 500 = 0.4, threshold 200 / 600
    trials = trials_of(["a"], [(0, far, 0)], [[(0, [far])]])
    features = features_of(["a"], [[(loose, 0.9, [1, 0])]], trials, [[1, 0]])
    assert score_search(trials, features).mean_ap == 1.0
    assert score_search(trials, features, SearchRules(match_iou="fixed")).mean_ap == 0.0


def test_a_picture_listed_twice(trials_of, features_of) -> None:
    trials = trials_of(["a"], [(0, PERSON, 0)], [[(0, [PERSON]), (0, [PERSON])]])
    features = features_of(["a"], [[(PERSON, 0.9, [1, 0])]], trials, [[1, 0]])
    assert score_search(trials, features).ap.tolist() == [1.0]
    first = score_search(trials, features, SearchRules(repeated="first"))
    assert (first.ap.tolist(), first.recall.tolist()) == ([0.5], [0.5])


def test_ignored_people_leave_the_ranking(trials_of, features_of) -> None:
    crowd = [150, 0, 400, 120]
    seen = [[(ELSEWHERE, 0.9, [1, 0]), (PERSON, 0.9, [1, 0.1])]]
    for ignored, ap in (([], 0.5), ([crowd], 1.0), ([PERSON], 0.5)):
        trials = trials_of(["a"], [(0, PERSON, 0)], [[(0, [PERSON], ignored)]])
        features = features_of(["a"], seen, trials, [[1, 0]])
        assert score_search(trials, features).ap.tolist() == [ap], ignored


# --- small data ---------------------------------------------------------------------------------


def test_nobody_seen_anywhere(trials_of, features_of) -> None:
    trials = trials_of(["a"], [(0, PERSON, 0)], [[(0, [PERSON])]])
    scores = score_search(trials, features_of(["a"], [[]], trials, [[1, 0]]))
    assert (scores.ap.tolist(), scores.first_hit.tolist(), scores.recall.tolist()) == ([0], [0], [0])


def test_a_query_without_positives_scores_nothing_and_is_named(trials_of, features_of) -> None:
    trials = trials_of(["a"], [(0, PERSON, 0), (0, PERSON, 1)], [[(0, [PERSON])], [(0, [])]])
    features = features_of(["a"], [[(PERSON, 0.9, [1, 0])]], trials, [[1, 0], [1, 0]])
    scores = score_search(trials, features)
    assert scores.ap.tolist() == [1, 0]
    assert scores.rules["without_positives"] == [1]


def test_no_queries(trials_of, features_of) -> None:
    trials = trials_of(["a"], [], [])
    scores = score_search(trials, features_of(["a"], [[]], trials, np.zeros((0, 2))))
    assert len(scores.ap) == 0
    assert np.isnan(scores.mean_ap)


def test_features_of_other_pictures_are_refused(by_hand) -> None:
    trials, features = by_hand
    other = replace(features, scenes=("z", *features.scenes[1:]))
    with pytest.raises(DatasetError, match="hold nothing of a "):
        score_search(trials, other)


@pytest.mark.parametrize("column", ["det_feat", "q_feat"])
def test_numbers_that_are_not_finite_are_refused(by_hand, column: str) -> None:
    trials, features = by_hand
    broken = getattr(features, column).copy()
    broken[0, 0] = np.nan
    with pytest.raises(InputError, match="not finite"):
        score_search(trials, replace(features, **{column: broken}))


def test_rules_that_do_not_exist_are_refused() -> None:
    with pytest.raises(ValueError, match="match_iou"):
        SearchRules(match_iou="loose")  # type: ignore[arg-type]


# --- what must always hold ----------------------------------------------------------------------


def scored(trials_of, features_of, world, **rules):
    names, queries, galleries, seen, embeddings = world
    queries = [(0, [900 + 50 * k, 0, 920 + 50 * k, 90], k) for k in range(len(queries))]  # each its own box
    trials = trials_of(names, queries, galleries)
    return trials, features_of(names, seen, trials, embeddings, rules.pop("kind", "cosine"))


@given(worlds(ties=False), st.floats(0.1, 50))
@settings(max_examples=30, deadline=None)
def test_only_the_order_of_similarities_matters(trials_of, features_of, world, scale: float) -> None:
    trials, features = scored(trials_of, features_of, world)
    longer = replace(features, det_feat=features.det_feat * np.float32(scale))  # cosine does not see lengths
    np.testing.assert_allclose(score_search(trials, features).ap, score_search(trials, longer).ap)
    unit = features.det_feat / np.maximum(np.linalg.norm(features.det_feat, axis=1, keepdims=True), 1e-9)
    meta = {
        **features.meta,
        "similarity": "euclidean",
    }  # of unit vectors, the distance falls as the cosine rises
    np.testing.assert_allclose(
        score_search(trials, features).ap,
        score_search(
            trials,
            replace(
                features,
                det_feat=unit,
                q_feat=features.q_feat / np.linalg.norm(features.q_feat, axis=1, keepdims=True),
                meta=meta,
            ),
        ).ap,
        atol=1e-12,
    )


@given(worlds(), st.integers(0, 100))
@settings(max_examples=30, deadline=None)
def test_a_distractor_never_helps(trials_of, features_of, world, seed: int) -> None:
    names, queries, galleries, seen, embeddings = world
    rng = np.random.default_rng(seed)
    more = [*seen, [(PERSON, 0.9, rng.integers(-2, 3, 3).tolist()) for _ in range(3)]]
    larger = [[*gallery, (len(names), [])] for gallery in galleries]
    before = scored(trials_of, features_of, (names, queries, galleries, seen, embeddings))
    after = scored(trials_of, features_of, ([*names, "new"], queries, larger, more, embeddings))
    assert (score_search(*after).ap <= score_search(*before).ap + 1e-12).all()


@given(worlds())
@settings(max_examples=30, deadline=None)
def test_everything_is_a_share(trials_of, features_of, world) -> None:
    for reading in ("step", "trapezoid"):
        scores = score_search(*scored(trials_of, features_of, world), SearchRules(ap=reading))
        assert ((scores.ap >= 0) & (scores.ap <= scores.recall + 1e-12) & (scores.recall <= 1)).all()
        assert ((scores.first_hit > 0) == (scores.recall > 0)).all()


@given(worlds(), st.integers(1, 4), st.sampled_from([0, 1, 16]))
@settings(max_examples=40, deadline=None)
def test_the_block_size_changes_nothing(trials_of, features_of, world, block: int, worth: int) -> None:
    trials, features = scored(trials_of, features_of, world)
    whole = score_search(trials, features)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(search, "_WORTH_A_BLOCK", worth)  # 0: never by blocks
        parts = score_search(trials, features, block=block)
    np.testing.assert_array_equal(whole.ap, parts.ap)
    np.testing.assert_array_equal(whole.first_hit, parts.first_hit)


def test_memory_is_bounded_by_blocks(by_hand, monkeypatch: pytest.MonkeyPatch) -> None:
    trials, features = by_hand
    monkeypatch.setattr(search, "_BLOCK_NUMBERS", 1)
    assert score_search(trials, features).first_hit.tolist() == [2]


# --- planted mistakes -----------------------------------------------------------------------------


def test_a_slip_of_precedence_in_the_threshold_would_be_seen(
    golden, trials_of, features_of, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slipped(boxes):
        width, height = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
        return np.minimum(0.5, width * height / (width + 10) * (height + 10))

    monkeypatch.setattr(search, "match_threshold", slipped)
    with pytest.raises(AssertionError):
        test_a_far_person_is_found_by_a_looser_box(trials_of, features_of)


@pytest.mark.parametrize("column", ["det_box", "det_feat"])
def test_boxes_and_features_shifted_by_a_row_would_be_seen(by_hand, column: str) -> None:
    trials, features = by_hand
    shifted = replace(features, **{column: np.roll(getattr(features, column), -1, axis=0)})
    with pytest.raises(AssertionError):
        test_by_hand((trials, shifted), "cosine")
