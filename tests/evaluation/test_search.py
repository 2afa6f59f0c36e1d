"""Search scoring by hand, on small data, and what must always hold; ``test_worlds.py`` has a slow oracle."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from personsearch.errors import DatasetError, InputError
from personsearch.evaluation import iou_rule, search
from personsearch.evaluation.search import SearchRules, rules_of_prw, score_search
from personsearch.ranking.kreciprocal import KReciprocalRules

SCENES = ["a", "b", "c", "d", "e"]
PERSON = [0, 0, 40, 100]  # wide enough that 0.5 decides
ELSEWHERE = [200, 0, 240, 100]


def angle(degrees: float) -> list[float]:
    return [np.cos(np.radians(degrees)), np.sin(np.radians(degrees))]


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


# --- what is done about each known defect -----------------------------------------------------------

CLEAN = SearchRules(policy="clean")


def test_a_repeated_picture_is_searched_once_with_all_its_boxes(trials_of, features_of) -> None:
    # Official: 1 right of 4 boxes, 1 right of 4, both at the same similarity: 2 of 4 there, twice the work.
    gallery = [(1, [PERSON]), (1, [PERSON, ELSEWHERE]), (1, [])]
    trials = trials_of(SCENES[:2], [(0, PERSON, 0)], [gallery])
    seen = [[], [(PERSON, 0.9, angle(10)), (ELSEWHERE, 0.9, angle(30)), ([80, 0, 120, 100], 0.9, angle(20))]]
    features = features_of(SCENES[:2], seen, trials, [angle(0)])
    scores = score_search(trials, features, CLEAN)
    assert (scores.recall.tolist(), scores.first_hit.tolist()) == ([1.0], [1])
    assert scores.ap.tolist() == [pytest.approx((1 / 1 + 2 / 3) / 2)]
    twice = score_search(trials, features)  # the third listing has no true box, so its person is wrong
    assert twice.ap.tolist() == [pytest.approx(2 / 3)]
    assert twice.first_hit.tolist() == [1]
    once = trials_of(SCENES[:2], [(0, PERSON, 0)], [[(1, [ELSEWHERE, PERSON])]])
    assert score_search(once, features, CLEAN).ap.tolist() == scores.ap.tolist()


def test_ignored_boxes_of_all_entries_of_a_repeated_picture_count(trials_of, features_of) -> None:
    trials = trials_of(SCENES[:2], [(0, PERSON, 0)], [[(1, [PERSON]), (1, [], [ELSEWHERE])]])
    seen = [[], [(PERSON, 0.9, angle(10)), (ELSEWHERE, 0.9, angle(0))]]
    features = features_of(SCENES[:2], seen, trials, [angle(0)])
    assert score_search(trials, features, CLEAN).ap.tolist() == [1.0]


def test_the_own_picture_leaves_the_gallery_with_its_boxes(trials_of, features_of) -> None:
    trials = trials_of(SCENES[:2], [(0, PERSON, 0)], [[(0, [PERSON]), (1, [PERSON])]])
    seen = [[(PERSON, 0.9, angle(0))], [(ELSEWHERE, 0.9, angle(10)), (PERSON, 0.9, angle(20))]]
    features = features_of(SCENES[:2], seen, trials, [angle(0)])
    official, clean = score_search(trials, features), score_search(trials, features, CLEAN)
    assert (official.ap.tolist(), official.first_hit.tolist()) == ([pytest.approx((1 + 2 / 3) / 2)], [1])
    assert (clean.ap.tolist(), clean.first_hit.tolist()) == ([0.5], [2])


def test_each_of_two_boxes_is_found_by_a_detection_of_its_own(trials_of, features_of) -> None:
    beside = [10, 0, 50, 100]  # overlaps PERSON by 0.6: the first detection is on both
    trials = trials_of(["a", "b"], [(0, PERSON, 0)], [[(1, [PERSON, beside])]])
    seen = [[], [(PERSON, 0.9, angle(10)), ([0, 0, 40, 96], 0.9, angle(20)), (beside, 0.9, angle(30))]]
    features = features_of(["a", "b"], seen, trials, [angle(0)])
    # the first takes the box it overlaps most, the second (0.58 on the other) what is left, the third nothing
    assert score_search(trials, features, CLEAN).ap.tolist() == [1.0]
    far = features_of(
        ["a", "b"], [[], [seen[1][0], ([0, 0, 30, 96], 0.9, angle(20)), seen[1][2]]], trials, [angle(0)]
    )
    assert score_search(trials, far, CLEAN).ap.tolist() == [pytest.approx((1 + 2 / 3) / 2)]
    turned = trials_of(["a", "b"], [(0, PERSON, 0)], [[(1, [beside, PERSON])]])
    assert score_search(turned, far, CLEAN).ap.tolist() == [pytest.approx((1 + 2 / 3) / 2)]
    official = score_search(trials, features)
    assert (official.recall.tolist(), official.ap.tolist()) == ([1.0], [1.0])  # the first box only
    one = features_of(["a", "b"], [[], seen[1][:1]], trials, [angle(0)])
    assert score_search(trials, one, CLEAN).ap.tolist() == [0.5]  # one detection finds one of the two


def test_of_equally_similar_detections_the_earlier_chooses_first(trials_of, features_of) -> None:
    trials = trials_of(["a", "b"], [(0, PERSON, 0)], [[(1, [PERSON, ELSEWHERE])]])
    seen = [[], [([0, 0, 30, 96], 0.9, angle(10)), (PERSON, 0.9, angle(10))]]
    scores = score_search(trials, features_of(["a", "b"], seen, trials, [angle(0)]), CLEAN)
    assert (scores.first_hit.tolist(), scores.recall.tolist()) == ([1], [0.5])


def test_a_query_with_nobody_to_find_is_left_out(trials_of, features_of) -> None:
    trials = trials_of(["a"], [(0, PERSON, 0), (0, ELSEWHERE, 1)], [[(0, [PERSON])], []])
    features = features_of(["a"], [[(PERSON, 0.9, [1, 0])]], trials, [[1, 0], [1, 0]])
    clean = score_search(trials, features, CLEAN)
    assert np.isnan(clean.ap).tolist() == np.isnan(clean.recall).tolist() == [True, True]
    assert np.isnan(clean.mean_ap)
    assert clean.rules["without_positives"] == [0, 1]  # the first one's only picture is its own
    official = score_search(trials, features)
    assert (official.ap.tolist(), official.rules["without_positives"]) == ([1.0, 0.0], [1])


def test_the_mean_is_over_those_who_can_be_found(trials_of, features_of) -> None:
    queries = [(0, PERSON, 0), (0, ELSEWHERE, 1)]
    trials = trials_of(["a", "b"], queries, [[(1, [PERSON])], [(1, [])]])
    features = features_of(["a", "b"], [[], [(PERSON, 0.9, [1, 0])]], trials, [[1, 0], [1, 0]])
    clean, official = score_search(trials, features, CLEAN), score_search(trials, features)
    assert (clean.mean_ap, clean.top(1)) == (1.0, 1.0)
    assert (official.mean_ap, official.top(1)) == (0.5, 0.5)


def test_every_policy_is_named_in_the_scores(by_hand) -> None:
    official = score_search(*by_hand, SearchRules(repeated="first")).rules
    assert official["policy"] == "official"
    assert official["policies"] == {
        "repeated_picture": "first",
        "own_picture": "kept",
        "several_boxes": "first",
        "without_positives": "zero",
    }
    clean = score_search(*by_hand, CLEAN).rules
    assert clean["repeated"] == "once"
    assert list(clean["policies"].values()) == ["once", "dropped", "each", "left out"]
    for rules in (
        official,
        clean,
        score_search(*by_hand, SearchRules(k_reciprocal=KReciprocalRules())).rules,
    ):
        json.dumps(rules)


def test_the_junk_of_prw(trials_of, features_of) -> None:
    """Half on the person (overlap 0.4): wrong for the field, neither for PRW's authors, if more alike."""
    half = [0, 0, 40, 40]
    trials = trials_of(["a"], [(0, PERSON, 0)], [[(0, [PERSON])]])
    seen = [[(half, 0.9, angle(0)), (PERSON, 0.9, angle(10)), (ELSEWHERE, 0.9, angle(20))]]
    features = features_of(["a"], seen, trials, [angle(0)])
    assert score_search(trials, features).ap.tolist() == [0.5]
    assert score_search(trials, features, SearchRules(junk_overlap=0.3)).ap.tolist() == [1.0]
    assert score_search(trials, features, SearchRules(junk_overlap=0.45)).ap.tolist() == [0.5]
    assert score_search(trials, features, rules_of_prw()).ap.tolist() == [1.0]


def test_boxes_with_inclusive_sides(trials_of, features_of) -> None:
    """One pixel of two: half of the person where the last pixel counts, nothing where it does not."""
    box = [0, 0, 0, 1]
    trials = trials_of(["a"], [(0, box, 0)], [[(0, [box])]])
    features = features_of(["a"], [[([0, 0, 0, 0], 0.9, [1, 0])]], trials, [[1, 0]])
    assert score_search(trials, features, SearchRules(box_sides="inclusive", match_iou="fixed")).mean_ap == 1
    assert score_search(trials, features, SearchRules(match_iou="fixed")).mean_ap == 0
    # inclusive, the person is 1 by 2 pixels: her threshold is 2 / (11 * 12), and 1 / 40 is more
    large = replace(features, det_box=np.array([[0, 0, 4, 7]]))
    assert score_search(trials, large, SearchRules(box_sides="inclusive")).mean_ap == 1


# --- re-ranking -----------------------------------------------------------------------------------


def test_a_companion_speaks_for_the_person(trials_of, features_of) -> None:
    """The companion stands in b, so the person there gets her similarity and passes the stranger in a."""
    trials = trials_of(SCENES[:3], [(2, PERSON, 0)], [[(0, []), (1, [PERSON])]])
    person, stranger, companion = [0.8, 0.6, 0], [0.9, 0.436, 0], [0, 0, 1.0]
    seen = [[(PERSON, 0.9, stranger)], [(PERSON, 0.9, person), (ELSEWHERE, 0.9, companion)], []]
    features = features_of(SCENES[:3], seen, trials, [[1, 0, 0]])
    features = replace(
        features,
        qdet_ptr=[0, 2],
        qdet_box=[PERSON, ELSEWHERE],
        qdet_score=[1, 0.9],
        qdet_feat=[[1, 0, 0], [0, 0, 1]],
    )
    assert score_search(trials, features).first_hit.tolist() == [2]
    assert score_search(trials, features, SearchRules(context=(10, 3))).first_hit.tolist() == [1]
    assert score_search(trials, features, SearchRules(context=(1, 3))).first_hit.tolist() == [
        2
    ]  # b is not looked at


def test_k_reciprocal_puts_the_first_in_order_anew_and_nobody_else(trials_of, features_of) -> None:
    rng = np.random.default_rng(4)
    people = [([50 * k, 0, 50 * k + 40, 100], 0.9, rng.normal(size=4).tolist()) for k in range(30)]
    trials = trials_of(["a", "b"], [(1, PERSON, 0)], [[(0, [people[7][0]])]])
    features = features_of(["a", "b"], [people, []], trials, [rng.normal(size=4)])
    plain = score_search(trials, features).first_hit[0]
    assert plain > 5
    few = KReciprocalRules(top=int(plain) - 1, k1=3, k2=2)
    assert score_search(trials, features, SearchRules(k_reciprocal=few)).first_hit[0] == plain
    many = replace(few, top=30, weight=1.0)  # the original distances alone
    assert score_search(trials, features, SearchRules(k_reciprocal=many)).first_hit[0] == plain


def test_the_plain_product_counts_lengths(trials_of, features_of) -> None:
    """Embeddings multiplied by the detector's confidence: a sure stranger passes an unsure match."""
    trials = trials_of(["a"], [(0, PERSON, 0)], [[(0, [PERSON])]])
    seen = [[(PERSON, 0.5, [0.5, 0.0]), (ELSEWHERE, 0.9, [0.72, 0.54])]]
    features = features_of(["a"], seen, trials, [[1, 0]], "product")
    for again in ({}, {"k_reciprocal": KReciprocalRules(weight=1.0, top=1)}, {"context": (10, 3)}):
        assert score_search(trials, features, SearchRules(**again)).first_hit.tolist() == [2]
    cosine = features_of(["a"], seen, trials, [[1, 0]])
    assert score_search(trials, cosine).first_hit.tolist() == [1]


def test_unit_vectors_in_half_precision_are_multiplied_as_they_are(trials_of, features_of) -> None:
    """The lengths are off by 0.0004, the products in order: dividing by the lengths would turn that round."""
    trials = trials_of(["a"], [(0, PERSON, 0)], [[(0, [PERSON])]])
    seen = [[(PERSON, 0.9, [0.6, 0.8]), (ELSEWHERE, 0.9, [0.5999, 0.7995])]]
    features = features_of(["a"], seen, trials, [[1, 0]])
    assert score_search(trials, features).first_hit.tolist() == [1]
    longer = replace(features, det_feat=features.det_feat * 2)  # these are no unit vectors
    assert score_search(trials, longer).first_hit.tolist() == [2]


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


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"match_iou": "loose"}, "match_iou"),
        ({"policy": "tidy"}, "policy"),
        ({"repeated": "once"}, "repeated"),
        ({"box_sides": "+1"}, "box_sides"),
        ({"junk_overlap": 0.0}, "junk_overlap"),
        ({"context": (0, 3)}, "context"),
        ({"context": (10, 3), "k_reciprocal": KReciprocalRules()}, "exclude"),
    ],
)
def test_rules_that_do_not_exist_are_refused(wrong: dict, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        SearchRules(**wrong)


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
        patch.setattr(search, "WORTH_A_BLOCK", worth)  # 0: never by blocks
        parts = score_search(trials, features, block=block)
    np.testing.assert_array_equal(whole.ap, parts.ap)
    np.testing.assert_array_equal(whole.first_hit, parts.first_hit)


@given(worlds())
@settings(max_examples=30, deadline=None)
def test_counting_by_sorting_gives_the_same(trials_of, features_of, world) -> None:
    trials, features = scored(trials_of, features_of, world)
    by_sorting = score_search(trials, features)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(search, "_WORTH_SORTING", 0)
        counted = score_search(trials, features)
    np.testing.assert_array_equal(counted.ap, by_sorting.ap)
    np.testing.assert_array_equal(counted.first_hit, by_sorting.first_hit)


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

    monkeypatch.setattr(iou_rule, "match_threshold", slipped)
    with pytest.raises(AssertionError):
        test_a_far_person_is_found_by_a_looser_box(trials_of, features_of)


@pytest.mark.parametrize("column", ["det_box", "det_feat"])
def test_boxes_and_features_shifted_by_a_row_would_be_seen(by_hand, column: str) -> None:
    trials, features = by_hand
    shifted = replace(features, **{column: np.roll(getattr(features, column), -1, axis=0)})
    with pytest.raises(AssertionError):
        test_by_hand((trials, shifted), "cosine")
