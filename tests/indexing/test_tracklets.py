"""Tracklets: worked by hand, against every possible assignment, and by what must always hold."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from personsearch.indexing.tracklets import Tracker, TrackletSettings, likeness, pair_costs
from personsearch.types import Array, Detections

RED, GREEN, BLUE = [1.0, 0, 0], [0, 1.0, 0], [0, 0, 1.0]


def at(x: float, y: float = 0.0, height: float = 40.0) -> list[float]:
    return [x, y, x + height / 2, y + height]


def people(*who: tuple[list[float], list[float]]) -> Detections:
    boxes = np.array([box for box, _ in who], np.float32).reshape(-1, 4)
    looks = np.array([look for _, look in who], np.float32).reshape(len(who), 3)
    return Detections(boxes, np.full(len(who), 0.9), looks)


def ways(frames: list[tuple[float, Detections]], **more: float) -> list[list[int]]:
    tracker = Tracker(TrackletSettings(**more))
    return [tracker.update(position, seen).tolist() for position, seen in frames]


def test_two_people_who_cross_keep_their_numbers() -> None:
    frames = [
        (t, people((at(10 + 10 * t), RED), (at(60 - 10 * t), GREEN)))
        if t % 2
        else (t, people((at(60 - 10 * t), GREEN), (at(10 + 10 * t), RED)))
        for t in range(6)
    ]
    assert ways(frames) == [[0, 1], [1, 0], [0, 1], [1, 0], [0, 1], [1, 0]]


def test_a_gap_is_bridged_until_patience_ends() -> None:
    here, nobody = people((at(0), RED)), people()
    assert ways([(0, here), (1, nobody), (2, here)], max_gap=2.0) == [[0], [], [0]]
    assert ways([(0, here), (1, nobody), (2.01, here)], max_gap=2.0) == [[0], [], [1]]


def test_gates() -> None:
    first = (0.0, people((at(0), RED)))
    # The same look, three body heights a second away is possible, further is not.
    assert ways([first, (1.0, people((at(119), RED)))]) == [[0], [0]]
    assert ways([first, (1.0, people((at(121), RED)))]) == [[0], [1]]
    assert ways([first, (2.0, people((at(121), RED)))]) == [[0], [0]]
    # Somebody who looks quite different is another person, in the very same place.
    assert ways([first, (1.0, people((at(0), GREEN)))]) == [[0], [1]]
    # On nearly the same place a fair likeness (0.6) is enough; elsewhere it is not.
    fair = [0.6, 0.8, 0.0]
    assert ways([first, (1.0, people((at(2), fair)))]) == [[0], [0]]
    assert ways([first, (1.0, people((at(60), fair)))]) == [[0], [1]]


def test_the_cheapest_pairs_together_win() -> None:
    # One by one, the first person would take tracklet 0 (0.98) and leave the second without any.
    looks = np.array([[1, 0.2, 0], [1, 0, 0.0]])
    seen = people((at(100), [1, 0.1, 0]), (at(110), [0.75, 0.66, 0]))
    settings_ = TrackletSettings(min_alike=0.8, weight=0.0, min_iou=0.9)
    costs = pair_costs(
        np.array([at(100), at(100)], np.float32), looks, seen.boxes, seen.embeddings, np.ones(2), settings_
    )
    assert np.isfinite(costs).tolist() == [[True, True], [True, False]]
    tracker = Tracker(settings_)
    tracker.update(0.0, people((at(100), looks[0].tolist()), (at(100), looks[1].tolist())))
    assert tracker.update(1.0, seen).tolist() == [1, 0]


def test_what_a_pair_costs() -> None:
    costs = pair_costs(
        np.array([[0, 0, 10, 20]], np.float32),
        np.array([[3.0, 0]]),
        np.array([[5, 0, 15, 20], [0, 0, 10, 20], [500, 0, 510, 20]], np.float32),
        np.array([[1.0, 1], [2, 0], [2, 0]]),
        np.array([1.0]),
        TrackletSettings(),
    )
    # IoU 1/3, cosine 0.7071: half of 2/3 and half of 0.2929; the same; too far away.
    np.testing.assert_allclose(costs, [[0.4798, 0.0, np.inf]], atol=1e-4)


def test_wrong_order_and_wrong_settings() -> None:
    tracker = Tracker()
    tracker.update(1.0, people())
    with pytest.raises(ValueError, match="not later"):
        tracker.update(1.0, people())
    with pytest.raises(ValueError, match="no settings"):
        TrackletSettings(weight=1.5)


def best_by_trying(costs: Array) -> tuple[int, float]:
    """Most pairs, then least cost, over every way to pair rows with columns."""
    rows, columns = costs.shape
    best = (0, 0.0)
    for chosen in itertools.product([*range(columns), None], repeat=rows):
        taken = [c for c in chosen if c is not None]
        if len(set(taken)) < len(taken):
            continue
        found = [costs[r, c] for r, c in enumerate(chosen) if c is not None]
        if all(np.isfinite(found)) and (-len(found), sum(found)) < (-best[0], best[1]):
            best = (len(found), float(sum(found)))
    return best


crowd = st.lists(
    st.tuples(st.integers(0, 60), st.integers(0, 20), st.sampled_from([RED, GREEN, BLUE, [0.7, 0.7, 0.1]])),
    max_size=4,
).map(lambda several: people(*[(at(x, y, 30), look) for x, y, look in several]))


@given(crowd, crowd)
@settings(max_examples=30, deadline=None)
def test_as_good_as_trying_everything(before: Detections, after: Detections) -> None:
    tracker = Tracker()
    tracker.update(0.0, before)
    given_ = tracker.update(0.5, after)
    costs = pair_costs(
        before.boxes,
        before.embeddings,
        after.boxes,
        after.embeddings,
        np.full(len(before), 0.5),
        tracker.settings,
    )
    pairs = [(int(n), c) for c, n in enumerate(given_) if n < len(before)]
    total = sum(costs[r, c] for r, c in pairs)
    most, least = best_by_trying(costs)
    assert len(pairs) == most
    assert total == pytest.approx(least)


@given(st.lists(crowd, min_size=2, max_size=6), st.integers(1, 5), st.randoms(use_true_random=False))
@settings(max_examples=30, deadline=None)
def test_what_always_holds(frames: list[Detections], cut: int, chance) -> None:
    whole = Tracker()
    numbers = [whole.update(float(t), seen) for t, seen in enumerate(frames)]
    for given_ in numbers:
        assert len(set(given_.tolist())) == len(given_)
    assert set(np.concatenate(numbers).tolist()) == set(range(whole.tracklets))
    # An interrupted run that takes up the stored rows goes on in exactly the same way.
    cut = min(cut, len(frames) - 1)
    first = int(np.max(np.concatenate(numbers[:cut]), initial=-1)) + 1
    resumed = Tracker(first=first)
    since = cut - 1 - resumed.settings.max_gap
    for t in range(cut):
        if t >= since and len(frames[t]):
            resumed.resume(float(t), frames[t], numbers[t])
    for t in range(cut, len(frames)):
        assert resumed.update(float(t), frames[t]).tolist() == numbers[t].tolist()


def test_likeness_is_the_cosine_one_by_one() -> None:
    rng = np.random.default_rng(0)
    one, other = rng.normal(size=(4, 5)), rng.normal(size=(3, 5))
    slow = [[max(0.0, a @ b / np.sqrt((a @ a) * (b @ b))) for b in other] for a in one]
    np.testing.assert_allclose(likeness(one, other), slow)
