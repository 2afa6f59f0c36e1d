import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from personsearch.report.truth import compare
from personsearch.types import Hit


def half(boxes):
    return np.full(len(boxes), 0.5)


def hits_of(*pairs):
    return [
        Hit(rank=i + 1, similarity=0.0, picture=name, box=np.array(box, np.float32), score=1.0, detection=i)
        for i, (name, box) in enumerate(pairs)
    ]


def overlap(a, b):
    wide = max(0, min(a[2], b[2]) - max(a[0], b[0]))
    high = max(0, min(a[3], b[3]) - max(a[1], b[1]))
    return wide * high / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - wide * high)


def test_cases_by_hand():
    truth = {"a": np.array([[0, 0, 10, 20]]), "b": np.array([[0, 0, 10, 20], [30, 0, 40, 20]])}
    hits = hits_of(
        ("c", [0, 0, 10, 20]),  # not there
        ("a", [0, 0, 10, 9]),  # there, too small
        ("b", [30, 1, 40, 20]),
        ("b", [29, 0, 40, 20]),  # the same again
        ("a", [0, 0, 10, 10]),  # exactly half
    )
    found = compare(hits, truth, half)
    assert found.right == (False, False, True, True, True)
    assert (found.first, found.seen, found.appearances) == (3, 2, 3)
    assert {name: boxes.tolist() for name, boxes in found.missed.items()} == {"b": [[0, 0, 10, 20]]}


def test_the_threshold_is_that_of_the_box():
    truth = {"a": np.array([[0, 0, 10, 20], [100, 0, 200, 200]])}
    hits = hits_of(("a", [0, 0, 10, 8]), ("a", [100, 0, 200, 80]))
    assert compare(hits, truth, lambda boxes: np.where(boxes[:, 2] - boxes[:, 0] < 20, 0.3, 0.5)).right == (
        True,
        False,
    )


def test_a_hit_finds_the_box_that_it_overlaps_most():
    truth = {"a": np.array([[0, 0, 10, 20], [2, 0, 12, 20]])}  # two copies of one annotation, nearly
    found = compare(hits_of(("a", [2, 0, 12, 20])), truth, half)
    assert found.missed["a"].tolist() == [[0, 0, 10, 20]]


def test_nobody_there_and_nobody_found():
    assert compare([], {}, half).appearances == 0
    assert compare(hits_of(("a", [0, 0, 1, 1])), {"a": np.zeros((0, 4))}, half).right == (False,)
    missed = compare([], {"a": np.array([[0, 0, 1, 1]])}, half)
    assert (missed.first, missed.seen, list(missed.missed)) == (0, 0, ["a"])


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_equals_a_slow_form(seed):
    rng = np.random.default_rng(seed)

    def some(n):
        low = rng.integers(0, 12, size=(n, 2))
        return np.concatenate([low, low + rng.integers(2, 9, size=(n, 2))], axis=1)

    truth = {name: some(rng.integers(0, 4)) for name in "abc"}
    hits = hits_of(*[("abcd"[rng.integers(4)], box) for box in some(6)])
    found = compare(hits, truth, half)
    seen = set()
    for hit, right in zip(hits, found.right, strict=True):
        known = truth.get(hit.picture, [])
        overlaps = [overlap(hit.box, box) for box in known]
        assert right == any(value >= 0.5 for value in overlaps)
        if right:
            seen.add((hit.picture, overlaps.index(max(overlaps))))
    assert found.seen == len(seen)
    assert sum(len(boxes) for boxes in found.missed.values()) == found.appearances - len(seen)
