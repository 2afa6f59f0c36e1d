"""Which proposals become training RoIs."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from personsearch.model.sampling import Rois, RoiSettings, sample_rois, within_ignored

BACKGROUND = 9


def overlap(a, b) -> float:
    """Intersection over union of two boxes, by hand."""
    wide = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    tall = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    both = wide * tall
    return both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both)


def check(rois: Rois, truth, people, config: RoiSettings) -> None:
    """What must hold of any sample, recomputed RoI by RoI."""
    assert len({len(column) for column in rois}) == 1
    assert len(rois.boxes) <= config.batch
    assert int(rois.person.sum()) <= round(config.batch * config.person_fraction)
    low, high = config.background_iou
    columns = (column.tolist() for column in rois)
    for box, identity, person, target in zip(*columns, strict=True):
        shares = [overlap(box, t) for t in truth]
        best = max(shares, default=0.0)
        if person:
            owner = shares.index(best)
            assert best >= config.person_iou
            assert identity == people[owner]
            assert target == truth[owner]
        else:
            assert low <= best < high
            assert identity == BACKGROUND
            assert target == box


def sample(proposals, truth, people, config: RoiSettings) -> Rois:
    return sample_rois(
        torch.tensor(proposals, dtype=torch.float32).reshape(-1, 4),
        torch.tensor(truth, dtype=torch.float32).reshape(-1, 4),
        torch.tensor(people, dtype=torch.int64),
        background=BACKGROUND,
        settings=config,
    )


TRUTH = [[0.0, 0.0, 10.0, 20.0], [50.0, 0.0, 60.0, 20.0]]
PROPOSALS = [
    [0.0, 0.0, 10.0, 19.0],  # 0.95 of the first
    [50.0, 2.0, 60.0, 20.0],  # 0.9 of the second
    [0.0, 0.0, 10.0, 9.5],  # 0.475 of the first: neither, with a gap
    [0.0, 10.0, 10.0, 30.0],  # 1/3 of the first
    [80.0, 80.0, 90.0, 90.0],  # nobody
]


def rows(rois: Rois) -> dict[tuple[float, ...], tuple[int, bool, tuple[float, ...]]]:
    columns = (column.tolist() for column in rois)
    return {tuple(b): (i, p, tuple(t)) for b, i, p, t in zip(*columns, strict=True)}


def test_a_picture_worked_by_hand() -> None:
    config = RoiSettings(batch=20, person_fraction=0.5, background_iou=(0.0, 0.45))
    one, two = tuple(TRUTH[0]), tuple(TRUTH[1])
    assert rows(sample(PROPOSALS, TRUTH, [4, -1], config)) == {
        one: (4, True, one),  # annotated boxes join the proposals
        two: (-1, True, two),  # an unlabelled person is a person, and nobody in particular
        (0.0, 0.0, 10.0, 19.0): (4, True, one),
        (50.0, 2.0, 60.0, 20.0): (-1, True, two),
        (0.0, 10.0, 10.0, 30.0): (BACKGROUND, False, (0.0, 10.0, 10.0, 30.0)),
        (80.0, 80.0, 90.0, 90.0): (BACKGROUND, False, (80.0, 80.0, 90.0, 90.0)),
    }


def test_the_background_range_is_the_settings() -> None:
    """The authors' range is [0, 0.5); with a lower end of 0.1 the empty street is not drawn."""
    drawn = rows(sample(PROPOSALS, TRUTH, [4, 2], RoiSettings(batch=20, person_fraction=0.5)))
    assert drawn[(0.0, 0.0, 10.0, 9.5)][0] == BACKGROUND
    hard = RoiSettings(batch=20, person_fraction=0.5, background_iou=(0.1, 0.5))
    assert (80.0, 80.0, 90.0, 90.0) not in rows(sample(PROPOSALS, TRUTH, [4, 2], hard))


def test_a_picture_with_nobody_is_all_background() -> None:
    rois = sample(PROPOSALS, [], [], RoiSettings(batch=4))
    assert rois.identities.tolist() == [BACKGROUND] * 4
    assert not rois.person.any()
    assert torch.equal(rois.boxes, rois.targets)


def test_a_picture_without_proposals_still_teaches_its_people() -> None:
    rois = sample([], TRUTH, [3, -1], RoiSettings(batch=8))
    assert sorted(rois.identities.tolist()) == [-1, 3]
    assert rois.person.all()
    nothing = sample([], [], [], RoiSettings(batch=8))
    assert len(nothing.boxes) == 0


def test_shares_and_counts() -> None:
    """Ten people in a batch of 16: 4 of them at a quarter, and 12 of background."""
    truth = [[30.0 * i, 0.0, 30.0 * i + 10, 20.0] for i in range(10)]
    empty = [[30.0 * i, 50.0, 30.0 * i + 10, 70.0] for i in range(40)]
    rois = sample(empty, truth, [*range(9), -1], RoiSettings(batch=16))
    assert (int(rois.person.sum()), len(rois.boxes)) == (4, 16)
    few = sample(empty[:3], truth, [*range(9), -1], RoiSettings(batch=16))
    assert (int(few.person.sum()), len(few.boxes)) == (4, 7)
    one = sample(empty, truth[:1], [5], RoiSettings(batch=16))
    assert (int(one.person.sum()), len(one.boxes)) == (1, 16)


def test_every_person_has_the_same_chance() -> None:
    truth = [[30.0 * i, 0.0, 30.0 * i + 10, 20.0] for i in range(6)]
    torch.manual_seed(0)
    seen = torch.zeros(6)
    for _ in range(400):
        seen[sample([], truth, list(range(6)), RoiSettings(batch=8)).identities] += 1
    assert seen.sum() == 800
    assert ((seen - 133.3).abs() < 4 * (400 * (1 / 3) * (2 / 3)) ** 0.5).all()


boxes_strategy = st.lists(
    st.tuples(*[st.integers(0, 30)] * 2, *[st.integers(4, 20)] * 2).map(
        lambda b: [float(b[0]), float(b[1]), float(b[0] + b[2]), float(b[1] + b[3])]
    ),
    max_size=12,
    unique_by=tuple,
)


@settings(max_examples=40, deadline=None)
@given(boxes_strategy, boxes_strategy, st.integers(1, 12), st.sampled_from([0.25, 0.5]), st.integers(0, 99))
def test_any_sample_keeps_the_rules(proposals, truth, batch, share, seed) -> None:
    torch.manual_seed(seed)
    people = [i % 4 - 1 for i in range(len(truth))]
    # Thresholds that no overlap of small whole boxes hits exactly: rounding decides nothing.
    config = RoiSettings(batch=batch, person_fraction=share, person_iou=0.5001, background_iou=(0.0, 0.4501))
    check(sample(proposals, truth, people, config), truth, people, config)


@pytest.mark.parametrize("column", ["identities", "targets", "boxes"])
def test_the_check_sees_columns_out_of_step(column: str) -> None:
    config = RoiSettings(batch=20, person_fraction=0.5)
    rois = sample(PROPOSALS[:2], TRUTH, [4, -1], config)
    check(rois, TRUTH, [4, -1], config)
    one, other = rois.identities.tolist().index(4), rois.identities.tolist().index(-1)
    swapped = getattr(rois, column).clone()
    swapped[[one, other]] = swapped[[other, one]]
    with pytest.raises(AssertionError):
        check(rois._replace(**{column: swapped}), TRUTH, [4, -1], config)


IGNORED = torch.tensor([[70.0, 70.0, 85.0, 95.0]])


def test_places_that_are_ignored_are_no_background() -> None:
    """Half of the last proposal lies in the ignored box; of people nothing changes."""
    given = [torch.tensor(TRUTH), torch.tensor([3, -1])]
    proposals = torch.tensor([*PROPOSALS, [0.0, 71.0, 84.0, 90.0]])  # this one by far less than half
    for ignored, there in ((None, True), (torch.zeros(0, 4), True), (IGNORED, False)):
        torch.manual_seed(0)
        rois = sample_rois(
            proposals, *given, background=BACKGROUND, settings=RoiSettings(batch=20), ignored=ignored
        )
        boxes = rois.boxes.tolist()
        assert ([80.0, 80.0, 90.0, 90.0] in boxes) == there
        assert [0.0, 71.0, 84.0, 90.0] in boxes
    over_people = torch.tensor([[0.0, 0.0, 100.0, 100.0]])
    rois = sample_rois(
        proposals, *given, background=BACKGROUND, settings=RoiSettings(batch=20), ignored=over_people
    )
    assert rois.person.all()
    assert len(rois.boxes) == 4


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 999))
def test_what_is_ignored_against_a_slow_version(seed: int) -> None:
    rng = torch.Generator().manual_seed(seed)
    corners = 20 * torch.rand(8, 2, generator=rng)
    boxes = torch.cat([corners, corners + 1 + 9 * torch.rand(8, 2, generator=rng)], dim=1)
    slow = []
    for box in boxes[:5].tolist():
        shares = []
        for place in boxes[5:].tolist():
            wide = max(0.0, min(box[2], place[2]) - max(box[0], place[0]))
            tall = max(0.0, min(box[3], place[3]) - max(box[1], place[1]))
            shares.append(wide * tall / ((box[2] - box[0]) * (box[3] - box[1])))
        slow.append(max(shares) >= 0.5)
    assert within_ignored(boxes[:5], boxes[5:]).tolist() == slow
