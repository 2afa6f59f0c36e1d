"""Why somebody was not found: each reason by hand, all against a slow oracle, and what always holds."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from personsearch.errors import DatasetError
from personsearch.evaluation.bands import HEIGHTS, VISIBLE, bands, named, share_interval
from personsearch.evaluation.failures import REASONS, split_failures
from personsearch.evaluation.search import SearchRules, score_search
from personsearch.types import Scene

PERSON = [0, 0, 40, 100]
LOOSE = [0, 0, 40, 48]  # overlaps PERSON by 0.48
FITS = [0, 0, 40, 90]
FAR = [300, 0, 340, 100]
NAMES = ["q", "a", "b", "c"]
ME, OTHER = [1.0, 0.0], [0.0, 1.0]


@pytest.fixture
def split_of(trials_of, features_of):
    """Splits one query whose person is in the pictures given, in each with these detections."""

    def split(pictures, scenes=(), *, true=PERSON, rules=None, k=1, seen_elsewhere=()):
        rules = rules or SearchRules()
        trials = trials_of(
            NAMES, [(0, PERSON, 0)], [[(i + 1, [true]) for i in range(len(pictures))] + [(3, [])]]
        )
        seen = [[], *pictures, *[[] for _ in range(2 - len(pictures))], list(seen_elsewhere)]
        features = features_of(NAMES, seen, trials, [ME])
        return split_failures(trials, features, rules, scenes, k)

    return split


def reason(split) -> str:
    return REASONS[split.reason[0]]


# --- each reason by hand ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("detections", "expected"),
    [
        ([(FITS, 0.9, ME)], "found"),
        ([(FITS, 0.9, OTHER)], "ranked low"),
        ([(FITS, 0.4, ME)], "below threshold"),
        ([(LOOSE, 0.9, ME)], "box too loose"),
        ([(LOOSE, 0.4, ME)], "not detected"),  # neither good enough nor sure enough
        ([(FAR, 0.9, ME)], "not detected"),
        ([], "not detected"),
        ([(LOOSE, 0.9, ME), (FITS, 0.4, ME)], "below threshold"),  # the nearer to success counts
        ([(FITS, 0.4, ME), (FITS, 0.9, OTHER)], "ranked low"),
        ([([0, 0, 40, 9], 0.9, ME)], "not detected"),  # overlaps by 0.09
        ([([0, 0, 40, 11], 0.9, ME)], "box too loose"),  # and by 0.11
        ([([0, 0, 40, 50], 0.9, ME)], "found"),  # by 0.5: enough is enough
    ],
)
def test_one_appearance(split_of, detections, expected):
    assert reason(split_of([detections], seen_elsewhere=[(FAR, 0.9, [0.9, 0.1])])) == expected


def test_the_appearance_nearest_to_success_gives_the_reason(split_of):
    missed, loose, low = [], [(LOOSE, 0.9, ME)], [(FITS, 0.3, ME)]
    assert reason(split_of([missed, loose])) == "box too loose"
    assert reason(split_of([loose, low])) == "below threshold"
    split = split_of([loose, low])
    assert [REASONS[code] for code in split.appearances.reason] == ["box too loose", "below threshold"]
    assert split.appearances.overlap == pytest.approx([0.48, 0])
    assert split.appearances.score[1] == pytest.approx(0.3)
    assert np.isnan(split.appearances.score[0])
    assert split.appearances.needed.tolist() == [0.5, 0.5]


def test_a_box_of_the_neighbour_is_not_a_loose_box(split_of):
    neighbour = [20, 0, 60, 100]
    seen = [(neighbour, 0.9, ME)]  # overlaps PERSON by a third
    assert reason(split_of([seen])) == "box too loose"
    scene = Scene("a", boxes=[PERSON, neighbour], people=[0, -1])
    assert reason(split_of([seen], [scene])) == "not detected"


def test_within_how_many_answers(split_of):
    others = [(FAR, 0.9, [0.9, 0.1]), (FAR, 0.9, [0.8, 0.2])]
    found = [(FITS, 0.9, [0.7, 0.3])]
    reasons = [reason(split_of([found], k=k, seen_elsewhere=others)) for k in (1, 2, 3)]
    assert reasons == ["ranked low", "ranked low", "found"]


def test_nobody_to_find_is_in_no_cell(split_of, trials_of, features_of):
    trials = trials_of(NAMES, [(0, PERSON, 0), (0, PERSON, 1)], [[(1, [])], [(1, [PERSON])]])
    features = features_of(NAMES, [[], [(FITS, 0.9, ME)], [], []], trials, [ME, ME])
    split = split_failures(trials, features, SearchRules(), [])
    assert [REASONS[code] for code in split.reason] == ["nobody to find", "found"]
    assert [(cell.of, cell.by, cell.n) for cell in split.cells if cell.by == "all"] == [
        ("query", "all", 1),
        ("appearance", "all", 1),
    ]


def test_policies_decide_who_is_to_be_found(trials_of, features_of):
    """The second entry of a picture and the query's own picture count only where the rules say so."""
    trials = trials_of(NAMES, [(0, PERSON, 0)], [[(1, []), (1, [PERSON]), (0, [PERSON]), (0, [PERSON, FAR])]])
    features = features_of(NAMES, [[], [(FITS, 0.9, OTHER)], [], []], trials, [ME])

    def entries(**rules):
        seen = split_failures(trials, features, SearchRules(**rules), []).appearances
        return seen.entry.tolist()

    assert entries() == [1, 2, 3]
    assert entries(repeated="first") == [2]
    assert entries(policy="clean") == [1]


def test_features_cut_at_the_threshold_are_said(split_of):
    assert split_of([[(FITS, 0.9, ME)]]).threshold_hides
    assert not split_of([[(FITS, 0.9, ME), (FAR, 0.2, ME)]]).threshold_hides
    assert split_of([[]]).threshold_hides


def test_fixed_overlap_and_inclusive_sides_are_those_of_the_rules(split_of):
    small, seen = (
        [0, 0, 8, 20],
        [([0, 0, 8, 9], 0.9, ME)],
    )  # overlap 0.45; a third would do for so small a box
    assert reason(split_of([seen], true=small)) == "found"
    assert reason(split_of([seen], true=small, rules=SearchRules(match_iou="fixed"))) == "box too loose"
    near = [([0, 0, 7, 9.2], 0.9, ME)]  # 0.48, but 8 x 10.2 of 8 x 20 where both ends are pixels of the box
    whole = SearchRules(match_iou="fixed", box_sides="inclusive")
    assert reason(split_of([near], true=[0, 0, 7, 19], rules=whole)) == "found"
    assert (
        reason(split_of([near], true=[0, 0, 7, 19], rules=SearchRules(match_iou="fixed"))) == "box too loose"
    )


# --- the cells ----------------------------------------------------------------------------------


def test_cells_by_hand(trials_of, features_of):
    small = [0, 0, 20, 49]
    scenes = [
        Scene("q", boxes=[PERSON], people=[0], visible=[0.3], camera="2"),
        Scene("a", boxes=[PERSON], people=[0], visible=[1.0], camera="10"),
        Scene("b", boxes=[small], people=[0], visible=[0.5], camera="2"),
        Scene("c", camera="2"),
    ]
    trials = trials_of(
        NAMES, [(0, PERSON, 0), (3, small, 1)], [[(1, [PERSON]), (2, [small])], [(2, [small])]]
    )
    features = features_of(NAMES, [[], [(FITS, 0.9, ME)], [], []], trials, [ME, ME])
    split = split_failures(trials, features, SearchRules(), scenes)
    cells = {(cell.of, cell.by, cell.value): cell for cell in split.cells}
    found = {key: (cell.n, cell.counts) for key, cell in cells.items() if key[0] == "query"}
    yes, no = (1, (1, 0, 0, 0, 0)), (1, (0, 0, 0, 0, 1))
    assert found == {
        ("query", "all", "all"): (2, (1, 0, 0, 0, 1)),
        ("query", "query height", "under 50 px"): no,
        ("query", "query height", "100 to 200 px"): yes,
        ("query", "query visible", "under 40%"): yes,
        ("query", "query visible", "not known"): no,  # nobody is annotated where it is
        ("query", "truth height", "under 50 px"): no,
        ("query", "truth height", "100 to 200 px"): yes,  # the tallest
        ("query", "truth visible", "40 to 60%"): no,
        ("query", "truth visible", "80% or more"): yes,
        ("query", "query camera", "2"): (2, (1, 0, 0, 0, 1)),
        ("query", "truth camera", "own camera too"): (2, (1, 0, 0, 0, 1)),
    }
    assert [key[2] for key in cells if key[:2] == ("appearance", "camera")] == ["2", "10"]
    assert cells["appearance", "camera", "2"].lost.mean == 1.0
    assert cells["query", "all", "all"].lost.mean == 0.5
    rows = split.rows("appearance")
    assert {row["of"] for row in rows} == {"appearance"}
    assert rows[0]["not_detected"] == 2
    assert json.loads(json.dumps(split.to_json()))["reason_per_query"] == ["found", "not detected"]


def test_what_nobody_knows_is_no_split(split_of):
    assert {cell.by for cell in split_of([[(FITS, 0.9, ME)]]).cells} == {
        "all",
        "query height",
        "truth height",
        "height",
    }


def test_bands_hold_their_lower_edge():
    assert [name for name, _ in bands(np.array([50.0, 49.999, 1e9]), HEIGHTS, " px")] == [
        "under 50 px",
        "50 to 100 px",
        "400 px or more",
    ]
    shares = np.array([0.6, 0.4, 0.8], np.float32)  # stored as float32, a little off
    assert [name for name, _ in bands(shares, VISIBLE, "%")] == ["40 to 60%", "60 to 80%", "80% or more"]
    assert [name for name, rows in named(["b", "", "b", "11", "9"]) for _ in rows] == [
        "9",
        "11",
        "b",
        "b",
        "not known",
    ]


@pytest.mark.parametrize(("count", "n"), [(0, 1), (3, 3), (5, 12), (290, 2900)])
def test_wilson_by_its_formula(count, n):
    z, p = 1.959963984540054, count / n
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    found = share_interval(count, n)
    assert (found.low, found.high) == pytest.approx((max(0, centre - half), centre + half), abs=1e-9)


# --- against a slow oracle ----------------------------------------------------------------------


def world(seed, trials_of, features_of):
    """A few pictures with annotated people and detections all around them."""
    rng = np.random.default_rng(seed)
    names = [f"s{i}" for i in range(6)]
    spots = [np.array([60 * k, 0, 60 * k + w, 2 * w], float) for k, w in enumerate((8, 20, 45, 45))]
    scenes, seen = [], []
    for name in names:
        here = rng.random(4) < 0.6
        scenes.append(
            Scene(
                name,
                boxes=[spot for spot, there in zip(spots, here, strict=True) if there],
                people=[k for k in range(4) if here[k]],
                visible=rng.choice([0.2, 0.5, 1.0], int(here.sum())),
                camera=str(rng.integers(1, 3)),
            )
        )
        seen.append(
            [
                (
                    (spots[k] + rng.integers(-12, 13, 4) * rng.integers(0, 2)).tolist(),
                    float(rng.choice([0.2, 0.6])),
                    rng.integers(-2, 3, 3).tolist(),
                )
                for k in rng.integers(0, 4, rng.integers(0, 7))
            ]
        )
    galleries, queries = [], []
    for k in range(4):
        queries.append((int(rng.integers(6)), spots[k], k))
        truths = [
            (i, [scenes[i].boxes[scenes[i].people.tolist().index(k)]] if k in scenes[i].people else [])
            for i in rng.integers(0, 6, 5)
        ]
        galleries.append(truths)
    trials = trials_of(names, queries, galleries)
    return trials, features_of(names, seen, trials, rng.normal(size=(4, 3))), scenes


def area_shared(a, b) -> float:
    wide = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    high = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    return wide * high


def overlap(a, b) -> float:
    def size(box):
        return max(0.0, box[2] - box[0]) * max(0.0, box[3] - box[1])

    shared = area_shared(a, b)
    union = size(a) + size(b) - shared
    return shared / union if union > 0 else 0.0


def slow_reason(trials, features, scenes, i, first_hit, threshold=0.5) -> str:
    """One query's reason, one box after the other."""
    if 1 <= first_hit <= 1:
        return "found"
    outcomes = []
    for entry in range(trials.entry_ptr[i], trials.entry_ptr[i + 1]):
        if trials.truth_ptr[entry] == trials.truth_ptr[entry + 1]:
            continue
        scene = trials.entry_scene[entry]
        truth = trials.truth_box[trials.truth_ptr[entry]].tolist()
        w, h = truth[2] - truth[0], truth[3] - truth[1]
        needed = min(0.5, w * h / ((w + 10) * (h + 10)))
        outcome = 4
        people = features.detections(trials.scenes[scene])
        for box, score in zip(people.boxes.tolist(), people.scores.tolist(), strict=True):
            shared, sure = overlap(box, truth), score >= threshold
            others = [overlap(box, other) for other in scenes[scene].boxes.tolist()]
            if shared >= needed:
                outcome = min(outcome, 1 if sure else 2)
            elif sure and shared >= 0.1 and shared >= max(others) - 1e-6:
                outcome = min(outcome, 3)
        outcomes.append(outcome)
    return REASONS[min(outcomes)] if outcomes else "nobody to find"


@given(st.integers(0, 100_000))
@settings(max_examples=40, deadline=None)
def test_reasons_are_those_of_a_slow_oracle(trials_of, features_of, seed):
    trials, features, scenes = world(seed, trials_of, features_of)
    scores = score_search(trials, features)
    split = split_failures(trials, features, SearchRules(), scenes, scores=scores)
    expected = [slow_reason(trials, features, scenes, i, scores.first_hit[i]) for i in range(len(trials))]
    assert [REASONS[code] for code in split.reason] == expected
    everybody = sum(name != "nobody to find" for name in expected)
    for by in {cell.by for cell in split.cells if cell.of == "query"} if everybody else ():
        cells = [cell for cell in split.cells if cell.by == by and cell.of == "query"]
        assert sum(cell.n for cell in cells) == everybody
        total = Counter()
        for cell in cells:
            assert sum(cell.counts) == cell.n
            assert cell.lost.low <= cell.lost.mean <= cell.lost.high
            total.update(dict(zip(REASONS, cell.counts, strict=False)))
        assert total == Counter(name for name in expected if name != "nobody to find")


@given(st.integers(0, 100_000))
@settings(max_examples=20, deadline=None)
def test_a_lower_threshold_only_ever_detects_more(trials_of, features_of, seed):
    trials, features, scenes = world(seed, trials_of, features_of)
    strict, lax = (
        split_failures(trials, features, SearchRules(det_threshold=t), scenes).appearances for t in (0.5, 0.1)
    )
    assert (lax.reason <= strict.reason).all()
    assert (lax.overlap >= strict.overlap).all()
    assert (lax.reason != REASONS.index("below threshold")).all()


# --- wrong use ----------------------------------------------------------------------------------


def test_scores_of_other_searches_are_refused(split_of, trials_of, features_of):
    trials = trials_of(NAMES, [(0, PERSON, 0)], [[(1, [PERSON])]])
    features = features_of(NAMES, [[], [], [], []], trials, [ME])
    scores = score_search(trials, features)
    for other in (replace(scores, protocol="other"), replace(scores, first_hit=np.zeros(2, np.int64))):
        with pytest.raises(ValueError, match="do not belong"):
            split_failures(trials, features, SearchRules(), [], scores=other)
    with pytest.raises(ValueError, match="positive"):
        split_failures(trials, features, SearchRules(), [], 0)
    fewer = features_of(["q", "b"], [[], []], trials_of(["q", "b"], [(0, PERSON, 0)], [[(1, [])]]), [ME])
    with pytest.raises(DatasetError, match="nothing of a"):
        split_failures(trials, fewer, SearchRules(), [], scores=scores)
